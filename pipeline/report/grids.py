"""Tables of the report as values: columns, cells that know how they sort, and why there are no rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pipeline.report.amounts import NONE, age, clock, iso, percent, percent_change
from pipeline.texts import shown

# Rows of a table on the page: a reader searches and pages in them, and beyond that asks gold.
ROWS: Final = 500
# What is missing sorts below all that is there.
MISSING: Final = "-1e9"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell.

    Attributes:
        text: what is read.
        order: what it sorts by, where that is not its text.
        note: a second line, softer.
        at: a moment, instead of a text: ISO, UTC.
        tone: good, bad, soft or empty.
        lines: instead of a text: several, each with a softer note.
        link: where the text leads to, or empty.
    """

    text: str
    order: str = ""
    note: str = ""
    at: str = ""
    tone: str = ""
    lines: tuple[tuple[str, str], ...] = ()
    link: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, with the unit; whether it holds numbers; what it means, where that is no common word."""

    title: str
    is_number: bool = False
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        key: its id on the page.
        title: what it shows.
        columns: of every row.
        rows: cells.
        empty: why there are none.
        left_out: rows that are not on the page.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str
    left_out: int = 0


def table(
    key: str, title: str, columns: Sequence[str | Column], rows: Iterable[Sequence[Cell | str | int | None]], empty: str
) -> Table:
    """A table of rows as they are sorted; a column whose title ends in ``#`` holds numbers."""
    heads = tuple(
        column if isinstance(column, Column) else Column(column.removesuffix("#").rstrip(), column.endswith("#"))
        for column in columns
    )
    found = [tuple(as_cell(cell) for cell in row) for row in rows]
    return Table(key, title, heads, tuple(found[:ROWS]), empty, max(0, len(found) - ROWS))


def as_cell(value: Cell | str | int | None) -> Cell:
    """A cell of a text or of a count."""
    if isinstance(value, Cell):
        return value
    if value is None or value == "":
        return Cell(NONE, MISSING, tone="soft")
    if isinstance(value, int):
        return Cell(f"{value:,}", str(value))
    return Cell(shown(value))


def number(text: str, value: Decimal | int | None, note: str = "", tone: str = "") -> Cell:
    """An amount as it is read, which sorts by its value."""
    return Cell(text, MISSING, note, tone="soft") if value is None else Cell(text, f"{value}", note, tone=tone)


def share(value: Decimal | None, places: int = 1, note: str = "") -> Cell:
    """A fraction as per cent."""
    return number(percent(value, places), value, note)


def change(value: Decimal | None, places: int = 1, note: str = "") -> Cell:
    """A difference of fractions, good above nothing."""
    return number(percent_change(value, places), value, note, "good" if value is not None and value > 0 else "")


def since(seconds: int | None, note: str = "") -> Cell:
    """A length of time, or an age."""
    return number(age(seconds), seconds, note)


def moment(at: dt.datetime | None, note: str = "") -> Cell:
    """A moment: the page's script shows it in the reader's zone."""
    return Cell(NONE, MISSING, tone="soft") if at is None else Cell(clock(at), iso(at), note, iso(at))
