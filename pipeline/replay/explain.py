"""Why a state differs from its snapshot: the first rows that differ, with table, key, column, expected and found."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from pipeline.replay.snapshots import Key, Row, Snapshot, expected_rows, found_rows, table_named
from pipeline.warehouse.digest import GoldTable, Session, stored_tables

ROWS_PER_TABLE: Final = 5
MISSING: Final = "no row"
ABOUT: Final = frozenset(("event_id", "bookmaker_key", "market_key", "outcome_name", "home_team", "away_team"))


@dataclass(frozen=True, slots=True)
class Difference:
    """One cell, or a row that is on one side only.

    Attributes:
        batch_id: the batch after which the state differs.
        table: e.g. ``gold.price_history``; for views only the digests are compared.
        key: column → value, what identifies the row; for a digest empty.
        about: column → value, what tells a person which row it is, where the key does not.
        column: the column, or ``*`` for the whole row, or ``digest``.
        expected, found: values as JSON has them; ``no row`` where the row is missing.
    """

    batch_id: str
    table: str
    key: tuple[tuple[str, Any], ...]
    column: str
    expected: Any
    found: Any
    about: tuple[tuple[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the summary."""
        return {
            "batch_id": self.batch_id,
            "table": self.table,
            "key": dict(self.key),
            "about": dict(self.about),
            "column": self.column,
            "expected": self.expected,
            "found": self.found,
        }

    def line(self) -> str:
        """One line for people: the cell."""
        return f"{self.table} {self.column}: expected {self.expected}, found {self.found}"

    def where(self, width: int = 96) -> list[str]:
        """Which row that is, and after which batch: lines of so many columns."""
        row = [f"{name}={value}" for name, value in (*self.about, *self.key)]
        return textwrap.wrap(" ".join([*row, f"after={self.batch_id}"]), width, break_long_words=False, break_on_hyphens=False)


def explain(session: Session, snapshots: Sequence[Snapshot], digests: dict[str, str]) -> tuple[Difference, ...]:
    """The first differing rows of each table whose digest differs.

    Args:
        session: sees the state.
        snapshots: 1…k; the last one is the state that was expected.
        digests: the state's digests.
    """
    wanted = snapshots[-1]
    found: list[Difference] = []
    order = [table.name for table in stored_tables()]  # what others are computed from comes first
    for name in sorted(
        wanted.digests.keys() | digests.keys(), key=lambda name: (order.index(name) if name in order else -1, name)
    ):
        if wanted.digests.get(name) == digests.get(name):
            continue
        if name not in wanted.digests or name not in digests:
            found.append(Difference(wanted.batch_id, name, (), "digest", wanted.digests.get(name), digests.get(name)))
            continue
        table = table_named(name)
        cells = tuple(
            islice(_cells(wanted.batch_id, table, expected_rows(table, snapshots), found_rows(session, table)), ROWS_PER_TABLE)
        )
        # the same rows under another digest: the snapshot's own parts do not fit together
        found.extend(cells or (Difference(wanted.batch_id, name, (), "digest", wanted.digests[name], digests[name]),))
    return tuple(found)


def _cells(batch_id: str, table: GoldTable, expected: dict[Key, Row], found: dict[Key, Row]) -> Iterator[Difference]:
    for key in sorted(expected.keys() | found.keys(), key=lambda values: tuple(map(str, values))):
        named = tuple(zip(table.key, key, strict=True))
        wanted, given = expected.get(key), found.get(key)
        about = tuple((column, value) for column, value in (wanted or given or {}).items() if column in ABOUT - set(table.key))
        if wanted is None or given is None:
            yield Difference(batch_id, table.name, named, "*", wanted or MISSING, given or MISSING, about)
            continue
        for column in sorted(wanted.keys() | given.keys()):
            if wanted.get(column) != given.get(column):
                yield Difference(batch_id, table.name, named, column, wanted.get(column), given.get(column), about)
