"""What a diff found, as values: light to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

# Of a column so many cells are shown, and of a table so many rows that are on one side only.
CELLS: Final = 3
ROWS: Final = 5
# What tells a person which row it is, where the key does not.
ABOUT: Final = (
    "event_id",
    "home_team",
    "away_team",
    "bookmaker_key",
    "market_key",
    "description",
    "outcome_name",
    "line_point",
    "point",
)

# Column → value; None where it has none.
Named = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class CellSample:
    """A cell that changed.

    Attributes:
        key: of its row.
        about: what else tells a person which row it is.
        a, b: the cell on both sides; None where it has no value.
    """

    key: Named
    about: Named
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class RowSample:
    """A row that is on one side only: its key, and what else tells a person which it is."""

    key: Named
    about: Named


@dataclass(frozen=True, slots=True)
class ColumnDiff:
    """A column of rows that are on both sides.

    Attributes:
        name: of the column.
        cells: how many changed.
        samples: the first of them, by key.
    """

    name: str
    cells: int
    samples: tuple[CellSample, ...]


@dataclass(frozen=True, slots=True)
class TableDiff:
    """A table that differs.

    Attributes:
        name: with its schema.
        rows_a, rows_b: how many rows it has on each side.
        added: rows that only B has.
        removed: rows that only A has.
        changed: rows that both have, with other cells.
        columns: those with changed cells, most changed first.
        first_added, first_removed: the first rows, by key.
        only_a, only_b: columns that one side has.
        retyped: column → its type in A, and in B.
    """

    name: str
    rows_a: int
    rows_b: int
    added: int
    removed: int
    changed: int
    columns: tuple[ColumnDiff, ...]
    first_added: tuple[RowSample, ...]
    first_removed: tuple[RowSample, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    retyped: tuple[tuple[str, str, str], ...] = ()

    @property
    def cells(self) -> int:
        """How many cells changed."""
        return sum(column.cells for column in self.columns)

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs after all."""
        return not (self.added or self.removed or self.changed or self.only_a or self.only_b or self.retyped)


@dataclass(frozen=True, slots=True)
class Diff:
    """What differs between two states.

    Attributes:
        a, b: what the sides are called.
        tables: those that differ, in the catalogue's order: what others are computed from comes first.
        equal: the names of those that do not.
        only_a, only_b: tables that one side has, with their rows.
        not_compared: table → why it was not.
    """

    a: str
    b: str
    tables: tuple[TableDiff, ...]
    equal: tuple[str, ...]
    only_a: tuple[tuple[str, int], ...] = ()
    only_b: tuple[tuple[str, int], ...] = ()
    not_compared: tuple[tuple[str, str], ...] = ()

    @property
    def exit_code(self) -> int:
        """0, or 1 where something differs."""
        return 1 if self.tables or self.only_a or self.only_b else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "a": self.a,
            "b": self.b,
            "tables": {
                table.name: {
                    "rows": {"a": table.rows_a, "b": table.rows_b},
                    "added": table.added,
                    "removed": table.removed,
                    "changed": table.changed,
                    "columns": [
                        {
                            "name": column.name,
                            "cells": column.cells,
                            "samples": [
                                {"key": dict(each.key), "about": dict(each.about), "a": each.a, "b": each.b}
                                for each in column.samples
                            ],
                        }
                        for column in table.columns
                    ],
                    "first_added": [{"key": dict(each.key), "about": dict(each.about)} for each in table.first_added],
                    "first_removed": [{"key": dict(each.key), "about": dict(each.about)} for each in table.first_removed],
                    "columns_only_in": {"a": list(table.only_a), "b": list(table.only_b)},
                    "retyped": {name: {"a": before, "b": after} for name, before, after in table.retyped},
                }
                for table in self.tables
            },
            "equal": list(self.equal),
            "tables_only_in": {"a": dict(self.only_a), "b": dict(self.only_b)},
            "not_compared": dict(self.not_compared),
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"A: {self.a}", f"B: {self.b}"]
        for table in self.tables:
            lines.append(f"{table.name}: {counted(table)}")
            lines += [f"  only in {side}: column {name}" for side, names in _sides(table) for name in names]
            lines += [f"  {name}: {before} in A, {after} in B" for name, before, after in table.retyped]
            for column in table.columns:
                lines.append(f"  {column.name}: {column.cells:,} cells")
                lines += [f"    [{named(each)}] {cell(each.a)} → {cell(each.b)}" for each in column.samples]
            for word, rows in (("added", table.first_added), ("removed", table.first_removed)):
                lines += [f"  {word}: [{named(each)}]" for each in rows]
        for side, tables in (("A", self.only_a), ("B", self.only_b)):
            lines += [f"{name}: only in {side}, {rows:,} rows" for name, rows in tables]
        lines += [f"{name}: not compared: {why}" for name, why in self.not_compared]
        told = len(self.tables) + len(self.only_a) + len(self.only_b)
        lines.append(f"{told} tables differ, {len(self.equal)} are equal, {len(self.not_compared)} were not compared")
        return lines


def counted(table: TableDiff) -> str:
    """Its rows in a line."""
    return (
        f"{table.added:,} rows added, {table.removed:,} removed, {table.changed:,} changed, {table.cells:,} cells;"
        f" {table.rows_a:,} rows in A, {table.rows_b:,} in B"
    )


def named(sample: CellSample | RowSample) -> str:
    """A row's key, and what else tells which it is, in a line."""
    return " ".join(f"{name}={cell(value)}" for name, value in (*sample.about, *sample.key))


def cell(value: str | None) -> str:
    """A cell for people."""
    return "null" if value is None else value or "''"


def _sides(table: TableDiff) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return (("A", table.only_a), ("B", table.only_b))
