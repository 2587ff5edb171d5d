"""Expected states, kept beside a recording: one file per batch, small, sorted, one row a line, fit for review in git.

The file of batch k holds the digest of each stored gold table after the batches 1…k, and the rows that batch k added,
changed and removed. Adding these up gives the expected rows after any k, which is how a difference is explained.
``views.json`` holds the digests of the views at the ends of runs. Numbers with decimals are texts, so that none passes
through a float.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.errors import RecordingError
from pipeline.warehouse.digest import TABLES, GoldTable, Session

FOLDER: Final = "snapshots"
VIEWS_FILE: Final = "views.json"
FORMAT: Final = 1

Row = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class TableChanges:
    """The rows of one table that a batch added, changed (as they are after it) and removed (as they were), by key."""

    added: tuple[Row, ...] = ()
    changed: tuple[Row, ...] = ()
    removed: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after a batch.

    Attributes:
        batch_id: the batch.
        digests: table name → ``sha256:…``.
        changes: table name → what the batch changed; tables without a change are left out.
    """

    batch_id: str
    digests: Mapping[str, str]
    changes: Mapping[str, TableChanges] = field(default_factory=dict)


class SnapshotStore:
    """The snapshots of one recording. It writes only what it is told to, and never deletes.

    Args:
        recording: the recording's folder.
    """

    def __init__(self, recording: Path) -> None:
        self.folder = recording / FOLDER

    def read(self, batch_id: str) -> Snapshot | None:
        """The snapshot of one batch, or None.

        Raises:
            RecordingError: ``SNAPSHOT_BROKEN``.
        """
        file = self.folder / f"{batch_id}.json"
        return parse(file.read_text(encoding="utf-8"), str(file)) if file.is_file() else None

    def write(self, snapshot: Snapshot) -> None:
        """Write or replace the snapshot of one batch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{snapshot.batch_id}.json").write_text(render(snapshot), encoding="utf-8")

    def read_views(self, batch_id: str) -> Mapping[str, str] | None:
        """The views' digests after a run that ended with this batch, or None."""
        found = self._all_views().get(batch_id)
        return None if found is None else dict(found)

    def write_views(self, batch_id: str, digests: Mapping[str, str]) -> None:
        """Write or replace them; those of other ends stay."""
        self.folder.mkdir(parents=True, exist_ok=True)
        document = {**self._all_views(), batch_id: dict(digests)}
        text = json.dumps(document, indent=1, sort_keys=True) + "\n"
        (self.folder / VIEWS_FILE).write_text(text, encoding="utf-8")

    def _all_views(self) -> dict[str, dict[str, str]]:
        file = self.folder / VIEWS_FILE
        if not file.is_file():
            return {}
        try:
            document: dict[str, dict[str, str]] = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _broken(str(file), str(error)) from None
        return document


def render(snapshot: Snapshot) -> str:
    """The file's text: JSON, sorted, one row a line."""
    columns = {
        name: sorted(next(iter((*changes.added, *changes.changed, *changes.removed))))
        for name, changes in snapshot.changes.items()
    }
    lines = [
        "{",
        f'"format": {FORMAT},',
        f'"batch_id": {json.dumps(snapshot.batch_id)},',
        f'"digests": {json.dumps(dict(snapshot.digests), indent=1, sort_keys=True)},',
        '"changes": {',
    ]
    tables = []
    for name in sorted(snapshot.changes):
        changes = snapshot.changes[name]
        parts = [f' "columns": {_compact(columns[name])}']
        for kind in ("added", "changed", "removed"):
            rows = sorted(_compact([row[column] for column in columns[name]]) for row in getattr(changes, kind))
            if rows:
                parts.append(f' "{kind}": [\n  ' + ",\n  ".join(rows) + "\n ]")
        tables.append(f"{json.dumps(name)}: {{\n" + ",\n".join(parts) + "\n}")
    lines.append(",\n".join(tables))
    lines.extend(["}", "}", ""])
    return "\n".join(lines)


def parse(text: str, where: str) -> Snapshot:
    """The inverse of :func:`render`.

    Raises:
        RecordingError: ``SNAPSHOT_BROKEN`` or ``SNAPSHOT_FORMAT``; names ``where``.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise RecordingError(
                "SNAPSHOT_FORMAT",
                f"{where} has format {document['format']}.",
                f"This version reads format {FORMAT}: update it.",
            )
        changes = {
            name: TableChanges(
                **{
                    kind: tuple(dict(zip(table["columns"], row, strict=True)) for row in table.get(kind, ()))
                    for kind in ("added", "changed", "removed")
                }
            )
            for name, table in document["changes"].items()
        }
        return Snapshot(document["batch_id"], document["digests"], changes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(where, repr(error)) from None


def changes_at_hand(session: Session) -> dict[str, TableChanges]:
    """What the transformation at hand changed, read within its transaction."""
    with session.cursor() as cursor:
        cursor.execute("select table_name, old_row::text, new_row::text from ops.row_changes")
        found = cursor.fetchall()
    collected: dict[str, tuple[list[Row], list[Row], list[Row]]] = {}
    for table, old, new in found:
        added, changed, removed = collected.setdefault(table, ([], [], []))
        if old is None:
            added.append(_row(new))
        elif new is None:
            removed.append(_row(old))
        else:
            changed.append(_row(new))
    return {table: TableChanges(*(tuple(rows) for rows in kinds)) for table, kinds in collected.items()}


def expected_rows(table: GoldTable, snapshots: Iterable[Snapshot]) -> dict[Key, Row]:
    """The rows of a table after the given snapshots 1…k, by key."""
    rows: dict[Key, Row] = {}
    for snapshot in snapshots:
        changes = snapshot.changes.get(table.name, TableChanges())
        for row in changes.removed:
            rows.pop(key_of(table, row), None)
        for row in (*changes.added, *changes.changed):
            rows[key_of(table, row)] = row
    return rows


def found_rows(session: Session, table: GoldTable) -> dict[Key, Row]:
    """The rows of a table as they are, by key."""
    with session.cursor() as cursor:
        cursor.execute(f"select to_jsonb(t)::text from {table.name} as t")
        return {key_of(table, row): row for row in (_row(text) for (text,) in cursor.fetchall())}


def key_of(table: GoldTable, row: Row) -> Key:
    """The values of a row's key columns."""
    return tuple(row[column] for column in table.key)


def table_named(name: str) -> GoldTable:
    """The stored table of this name."""
    return next(table for table in TABLES if table.name == name)


def _row(text: str) -> Row:
    row: Row = json.loads(text, parse_float=str)
    return row


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _broken(where: str, why: str) -> RecordingError:
    return RecordingError("SNAPSHOT_BROKEN", f"{where} cannot be read: {why}.", "Restore it, or write it anew with --update.")
