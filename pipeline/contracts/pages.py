"""A page per contract, for people: one HTML file each, which needs no other."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pipeline.contracts.tables import TableContract
from pipeline.texts import shown

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;"
    "border-bottom:1px solid #ddd}small{font-weight:400;color:#666}input{font:inherit;padding:.3rem .5rem}"
    "code{font:13px ui-monospace,monospace}"
)
# Of no use without the script, and so not shown without it.
_SEARCH: Final = (
    '<p><input type="search" aria-label="Search contracts" placeholder="search: a table, a column, a word" size="40" hidden>'
    " <output></output></p>"
)
_SCRIPT: Final = """
const box = document.querySelector("input"), told = document.querySelector("output");
const rows = [...document.querySelectorAll("tr[data-words]")];
box.hidden = false;
box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const row of rows) row.hidden = !words.every(word => row.dataset.words.includes(word));
  for (const part of document.querySelectorAll("section")) part.hidden = !part.querySelector("tr[data-words]:not([hidden])");
  const left = rows.filter(row => !row.hidden).length;
  told.textContent = words.length ? (left ? `${left} of ${rows.length}` : "Nothing fits.") : "";
});
"""
# A page of words: no script but the search of the index, no picture, nothing of elsewhere.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def write_pages(contracts: Sequence[TableContract], readers: Mapping[str, Sequence[str]], folder: Path) -> Path:
    """Write ``index.html`` and a page per contract.

    Args:
        contracts: all of them.
        readers: contract name → models and exposures that read the table.
        folder: made where it is missing; pages of the same names are replaced.

    Returns:
        The index.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for contract in contracts:
        (folder / f"{contract.name}.html").write_text(page(contract, readers.get(contract.name, ())), encoding="utf-8")
    layers = "".join(
        _layer(schema, [each for each in contracts if each.schema == schema])
        for schema in sorted({each.schema for each in contracts})
    )
    body = f"{_SEARCH}{layers}<p><a href='data_docs/index.html'>Data Docs of the suites</a></p><script>{_SCRIPT}</script>"
    index = folder / "index.html"
    index.write_text(_html("Contracts", body, script=_SCRIPT), encoding="utf-8")
    return index


def _layer(schema: str, contracts: Sequence[TableContract]) -> str:
    """The tables of a layer, each row with the words that it is found by: its name, what it holds, and its columns."""
    rows = "".join(
        f'<tr data-words="{_text(" ".join((each.name, each.purpose, *(column.name for column in each.columns))).lower())}">'
        + "".join(
            f"<td>{cell}</td>"
            for cell in (
                f'<a href="{escape(quote(each.name))}.html">{_text(each.table)}</a>',
                _text(each.purpose),
                _text(each.grain),
                _text(each.version if each.status == "active" else f"{each.version}, {each.status}"),
                f"{len(each.rules)}",
            )
        )
        + "</tr>"
        for each in contracts
    )
    heads = "".join(f"<th>{head}</th>" for head in ("table", "what it holds", "grain", "version", "rules"))
    title = f"<h2>{_text(schema.capitalize())} <small>{len(contracts)} tables and views</small></h2>"
    return f'<section id="{_text(schema)}">{title}<table><tr>{heads}</tr>{rows}</table></section>'


def _asked(contract: TableContract) -> str:
    if contract.of_endpoint is not None:
        return "of all rows; by verify, of those of the newest answers"
    return "of the rows of each batch, and of all" if contract.is_checked_per_batch else "of all rows"


def page(contract: TableContract, readers: Sequence[str]) -> str:
    """The page of one contract."""
    facts = [
        ("purpose", _text(contract.purpose)),
        ("version", _text(contract.version)),
        ("status", _text(contract.status)),
        ("kind", "view" if contract.is_view else "table"),
        ("grain", _text(contract.grain)),
        ("key", _code(", ".join(contract.key))),
        ("rules are asked", _asked(contract)),
        ("freshness", _text(contract.freshness)),
        ("owner", _text(contract.owner)),
        ("read by", _text(", ".join(readers)) or "nothing here"),
    ]
    columns = [
        (
            _code(column.name),
            _code(column.physical_type),
            "no" if column.required else "yes",
            _text(column.unit or ""),
            _text(column.description + (f" One of: {', '.join(column.values)}." if column.values else "")),
        )
        for column in contract.columns
    ]
    rules = [
        (_code(rule.name), _text(rule.severity), _text(rule.dimension), _text(rule.description), _code(rule.condition))
        for rule in contract.rules
    ]
    return _html(
        contract.name,
        f"<p>{_text(contract.description)}</p>{_table((), facts)}"
        f"<h2>Columns</h2>{_table(('column', 'type', 'null', 'unit', 'description'), columns)}"
        f"<h2>Rules</h2>{_table(('rule', 'severity', 'dimension', 'says', 'condition of each row'), rules)}"
        '<p><a href="index.html">All contracts</a></p>',
    )


def _html(title: str, body: str, script: str = "") -> str:
    allowed = f"; script-src 'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" if script else ""
    meta = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}{allowed}">'
    head = f"{meta}<title>{_text(title)}</title><style>{_STYLE}</style>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{_text(title)}</h1>{body}</body></html>\n'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already."""
    heads = f"<tr>{''.join(f'<th>{each}</th>' for each in head)}</tr>" if head else ""
    return f"<table>{heads}{''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)}</table>"


def _text(text: str) -> str:
    """A text of a contract as HTML; whole, as a rule's condition may be long."""
    return escape(shown(text, max(len(text), 1)))


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>" if text else ""
