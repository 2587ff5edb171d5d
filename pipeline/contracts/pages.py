"""A page per contract, for people: one HTML file each, which needs no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pipeline.contracts.tables import TableContract
from pipeline.texts import shown

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;"
    "border-bottom:1px solid #ddd}code{font:13px ui-monospace,monospace}"
)
# A page of words: no script, no picture, nothing of elsewhere.
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
    rows = [
        (
            f'<a href="{escape(quote(each.name))}.html">{_text(each.name)}</a>',
            _text(each.version),
            _text(each.status),
            _text(each.grain),
            str(len(each.rules)),
        )
        for each in contracts
    ]
    body = _table(("table", "version", "status", "grain", "rules"), rows)
    index = folder / "index.html"
    index.write_text(
        _html("Contracts", f"{body}<p><a href='data_docs/index.html'>Data Docs of the suites</a></p>"), encoding="utf-8"
    )
    return index


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


def _html(title: str, body: str) -> str:
    meta = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
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
