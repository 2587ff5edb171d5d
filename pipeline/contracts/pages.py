"""A page per contract, for people: one HTML file each, which needs no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final

from pipeline.contracts.tables import TableContract

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1b1b}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;"
    "border-bottom:1px solid #ddd}code{font:13px ui-monospace,monospace}"
)


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
            f'<a href="{each.name}.html">{each.name}</a>',
            each.version,
            escape(each.status),
            escape(each.grain),
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


def page(contract: TableContract, readers: Sequence[str]) -> str:
    """The page of one contract."""
    facts = [
        ("version", escape(contract.version)),
        ("status", escape(contract.status)),
        ("kind", "view" if contract.is_view else "table"),
        ("grain", escape(contract.grain)),
        ("key", _code(", ".join(contract.key))),
        ("rules are asked", "of the rows of each batch, and of all" if contract.is_checked_per_batch else "of all rows"),
        ("freshness", escape(contract.freshness)),
        ("owner", escape(contract.owner)),
        ("read by", escape(", ".join(readers)) or "nothing here"),
    ]
    columns = [
        (
            _code(column.name),
            _code(column.physical_type),
            "no" if column.required else "yes",
            escape(column.unit or ""),
            escape(column.description + (f" One of: {', '.join(column.values)}." if column.values else "")),
        )
        for column in contract.columns
    ]
    rules = [
        (_code(rule.name), escape(rule.severity), escape(rule.dimension), escape(rule.description), _code(rule.condition))
        for rule in contract.rules
    ]
    return _html(
        contract.name,
        f"<p>{escape(contract.description)}</p>{_table((), facts)}"
        f"<h2>Columns</h2>{_table(('column', 'type', 'null', 'unit', 'description'), columns)}"
        f"<h2>Rules</h2>{_table(('rule', 'severity', 'dimension', 'says', 'condition of each row'), rules)}"
        '<p><a href="index.html">All contracts</a></p>',
    )


def _html(title: str, body: str) -> str:
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{body}</body></html>\n'


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already."""
    heads = f"<tr>{''.join(f'<th>{each}</th>' for each in head)}</tr>" if head else ""
    return f"<table>{heads}{''.join('<tr>' + ''.join(f'<td>{cell}</td>' for cell in row) + '</tr>' for row in rows)}</table>"


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>" if text else ""
