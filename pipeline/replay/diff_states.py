"""What differs from the snapshots of a recording, over all its states and not in the last one alone.

Both sides are added up from what each batch changed: one from the snapshots, one from what the replay wrote. So a state costs
what its batch touched. A row or a cell that differs in several states counts once; where it first did is told with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.replay.diff_found import ABOUT, CELLS, ROWS, CellSample, ColumnDiff, Diff, Named, RowSample, TableDiff
from pipeline.replay.snapshots import Key, Row, Snapshot, TableChanges, key_of
from pipeline.warehouse.digest import GoldTable, stored_tables


class StateDiffs:
    """The states of a replay beside those of the snapshots, as they come.

    Attributes:
        states: how many differed.
    """

    def __init__(self) -> None:
        self.states = 0
        self._tables = {table.name: _Table(table) for table in stored_tables()}
        self._unknown: dict[str, None] = {}
        self._first_unknown: str | None = None

    def take(self, batch_id: str, wanted: Iterable[Snapshot | None], found: Mapping[str, TableChanges]) -> None:
        """Go on by a state.

        Args:
            batch_id: of the last batch that it holds.
            wanted: the snapshots of the batches that came since the last state; None where there is none.
            found: what the replay changed since.
        """
        if self._first_unknown is not None:
            return
        snapshots = []
        for snapshot in wanted:
            if snapshot is None:
                self._first_unknown = batch_id
                return
            snapshots.append(snapshot)
            self._unknown |= dict.fromkeys(snapshot.changes.keys() - self._tables.keys())
        differs = False
        for name, table in self._tables.items():
            changes = [snapshot.changes[name] for snapshot in snapshots if name in snapshot.changes]
            if changes or name in found:
                table.take(batch_id, changes, found.get(name, TableChanges()))
            differs = differs or bool(table.differing)
        self.states += differs

    def diff(self, recording: str) -> Diff:
        """All that differed; A are the snapshots.

        Args:
            recording: what it is called.
        """
        tables = {name: table.diff() for name, table in self._tables.items()}
        left = [(name, "this code has no such table") for name in sorted(self._unknown)]
        if self._first_unknown is not None:
            left.append(("the states from here on", f"{self._first_unknown} has no snapshot"))
        return Diff(
            f"{recording}, its snapshots",
            f"{recording}, by this code, over all states ({self.states:,} differ)",
            tuple(table for table in tables.values() if not table.is_empty),
            tuple(name for name, table in tables.items() if table.is_empty),
            not_compared=tuple(left),
        )


@dataclass
class _Table:
    """One table on both sides, and what differed so far.

    Attributes:
        differing: keys of the rows that differ in the state at hand.
        added, removed: rows that were on one side only, with what tells them and the batch of the first state.
        cells: column → key → the first state's cell.
        changed: keys of the rows that were on both sides, and differed.
    """

    table: GoldTable
    wanted: dict[Key, Row] = field(default_factory=dict)
    found: dict[Key, Row] = field(default_factory=dict)
    differing: set[Key] = field(default_factory=set)
    added: dict[Key, RowSample] = field(default_factory=dict)
    removed: dict[Key, RowSample] = field(default_factory=dict)
    cells: dict[str, dict[Key, CellSample]] = field(default_factory=dict)
    changed: set[Key] = field(default_factory=set)

    def take(self, batch_id: str, wanted: Iterable[TableChanges], found: TableChanges) -> None:
        """Add up what a state changed, and look at the rows that it touched."""
        touched: set[Key] = set()
        for changes in wanted:
            touched |= _add(self.table, self.wanted, changes)
        touched |= _add(self.table, self.found, found)
        for key in touched:
            a, b = self.wanted.get(key), self.found.get(key)
            if a == b:
                self.differing.discard(key)
                continue
            self.differing.add(key)
            self._note(batch_id, key, a, b)

    def _note(self, batch_id: str, key: Key, a: Row | None, b: Row | None) -> None:
        named, about = self._named(key, b or a or {}, batch_id)
        if a is None:
            self.added.setdefault(key, RowSample(named, about))
        elif b is None:
            self.removed.setdefault(key, RowSample(named, about))
        else:
            self.changed.add(key)
            for column in a.keys() | b.keys():
                if a.get(column) != b.get(column):
                    sample = CellSample(named, about, _text(a.get(column)), _text(b.get(column)))
                    self.cells.setdefault(column, {}).setdefault(key, sample)

    def _named(self, key: Key, row: Row, batch_id: str) -> tuple[Named, Named]:
        about = tuple((name, _text(row[name])) for name in ABOUT if name in row and name not in self.table.key)
        return tuple((name, _text(value)) for name, value in zip(self.table.key, key, strict=True)), (
            ("after", batch_id),
            *about,
        )

    def diff(self) -> TableDiff:
        """What differed."""
        columns = (
            ColumnDiff(name, len(cells), tuple(cells[key] for key in sorted(cells, key=_order)[:CELLS]))
            for name, cells in self.cells.items()
        )
        return TableDiff(
            self.table.name,
            len(self.wanted),
            len(self.found),
            len(self.added),
            len(self.removed),
            len(self.changed),
            tuple(sorted(columns, key=lambda column: (-column.cells, column.name))),
            tuple(self.added[key] for key in sorted(self.added, key=_order)[:ROWS]),
            tuple(self.removed[key] for key in sorted(self.removed, key=_order)[:ROWS]),
        )


def _add(table: GoldTable, rows: dict[Key, Row], changes: TableChanges) -> set[Key]:
    """Add to a table's rows what changed; the keys that were touched."""
    touched = set()
    for row in changes.removed:
        key = key_of(table, row)
        rows.pop(key, None)
        touched.add(key)
    for row in changes.added:
        key = key_of(table, row)
        rows[key] = row
        touched.add(key)
    for row in changes.changed:
        key = key_of(table, row)
        after = {**rows.get(key, {}), **row}
        rows[key] = {column: value for column, value in after.items() if value is not None}
        touched.add(key)
    return touched


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _order(key: Key) -> tuple[str, ...]:
    return tuple(map(str, key))
