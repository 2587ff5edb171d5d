"""Expected states, kept beside a recording: one file per batch, small, sorted, one row a line, fit for review in git.

The file of batch k holds the digest of each stored gold table after the batches 1…k, and the rows that batch k added, changed
and removed: whole, as their key with the columns that changed, and as their key. Adding these up gives the expected rows
after any k, which is how a difference is explained. Columns without a value are left out. Rows with the same columns share a
block, and in it a group, which says once what is the same in all its rows, and which column always reads like another.
``views.json`` holds the digests of the views at
the ends of runs, by the last batch. Numbers with decimals are texts, so that none passes through a float.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.errors import RecordingError
from pipeline.warehouse.digest import GoldTable, Session, stored_tables

FOLDER: Final = "snapshots"
VIEWS_FILE: Final = "views.json"
FORMAT: Final = 4
KINDS: Final = ("added", "changed", "removed")
# A block's rows are grouped by the first few of these, as many as make it shortest.
GROUPED_BY: Final = ("valid_from", "event_id", "market_key")

Row = Mapping[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class TableChanges:
    """What a batch did to one table.

    Attributes:
        added: whole rows, without columns that are null.
        changed: key columns and the columns that changed, as they are now; None where they became null.
        removed: key columns.
    """

    added: tuple[Row, ...] = ()
    changed: tuple[Row, ...] = ()
    removed: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after a batch.

    Attributes:
        batch_id: the batch.
        digests: table name → ``sum128:ROWS:SUM``.
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
            RecordingError: as :func:`parse` does.
        """
        file = self.folder / f"{batch_id}.json"
        return parse(file.read_text(encoding="utf-8"), str(file)) if file.is_file() else None

    def write(self, snapshot: Snapshot) -> None:
        """Write or replace the snapshot of one batch."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{snapshot.batch_id}.json").write_text(render(snapshot), encoding="utf-8")

    def read_views(self, batch_id: str) -> Mapping[str, str] | None:
        """The views' digests after a run that ended with this batch, or None.

        Raises:
            RecordingError: as :func:`parse` does.
        """
        found = self._all_views().get(batch_id)
        return None if found is None else dict(found)

    def write_views(self, batch_id: str, digests: Mapping[str, str]) -> None:
        """Write or replace them; those of other ends stay, unless they are of an earlier format, which is not read any more.

        Raises:
            RecordingError: ``SNAPSHOT_BROKEN`` or ``SNAPSHOT_FORMAT_NEWER``.
        """
        try:
            known = self._all_views()
        except RecordingError as error:
            if error.code != "SNAPSHOT_FORMAT":
                raise
            known = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        document = {"format": FORMAT, "views": {**known, batch_id: dict(digests)}}
        text = json.dumps(document, indent=1, sort_keys=True) + "\n"
        (self.folder / VIEWS_FILE).write_text(text, encoding="utf-8")

    def _all_views(self) -> dict[str, dict[str, str]]:
        file = self.folder / VIEWS_FILE
        if not file.is_file():
            return {}
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            # the formats before 4 did not say which they are
            if (version := int(document.get("format", 3))) != FORMAT:
                raise _other_format(str(file), version)
            return {batch_id: dict(digests) for batch_id, digests in document["views"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # --update adds to it, and cannot where it is not to be read
            what = f"{file} cannot be read: {error!r}."
            raise RecordingError("SNAPSHOT_BROKEN", what, "Restore it, or remove it and write it anew with --update.") from None


def render(snapshot: Snapshot) -> str:
    """The file's text: JSON, sorted, one row a line."""
    tables = []
    for name in sorted(snapshot.changes):
        kinds = []
        for kind in KINDS:
            blocks = [_render_block(columns, rows) for columns, rows in _blocks(getattr(snapshot.changes[name], kind))]
            if blocks:
                kinds.append(f' "{kind}": [\n' + ",\n".join(blocks) + "\n ]")
        if kinds:
            tables.append(f"{json.dumps(name)}: {{\n" + ",\n".join(kinds) + "\n}")
    lines = [
        "{",
        f'"format": {FORMAT},',
        f'"batch_id": {json.dumps(snapshot.batch_id)},',
        f'"digests": {json.dumps(dict(snapshot.digests), indent=1, sort_keys=True)},',
        '"changes": {',
        ",\n".join(tables),
        "}",
        "}",
        "",
    ]
    return "\n".join(lines)


def _blocks(rows: Iterable[Row]) -> list[tuple[tuple[str, ...], list[Row]]]:
    """Rows by the columns that they have."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(sorted(row)), []).append(row)
    return sorted(found.items(), key=lambda block: block[0])


def _render_block(columns: Sequence[str], rows: Sequence[Row]) -> str:
    texts = [{column: _compact(row[column]) for column in columns} for row in rows]
    return min((_render_groups(columns, texts, GROUPED_BY[:count]) for count in range(len(GROUPED_BY) + 1)), key=len)


def _render_groups(columns: Sequence[str], rows: Iterable[Mapping[str, str]], by: Sequence[str]) -> str:
    groups: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(column, "") for column in by), []).append(row)
    texts = ",\n".join(_render_group(columns, group) for _, group in sorted(groups.items(), key=lambda group: group[0]))
    return f'  {{"columns": {_compact(columns)}, "groups": [\n{texts}\n  ]}}'


def _render_group(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    same = {column for column in columns if len(rows) > 1 and len({row[column] for row in rows}) == 1}
    shared = ",".join(f"{_compact(column)}:{rows[0][column]}" for column in columns if column in same)
    like = _alike([column for column in columns if column not in same], rows)
    lines = sorted("[" + ",".join(row[column] for column in columns if column not in same | like.keys()) + "]" for row in rows)
    read_like = f',"like":{_compact(like)}' if like else ""
    return f'{{"same":{{{shared}}}{read_like},"rows":[\n' + ",\n".join(lines) + "\n]}"


def _alike(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Columns that read like an earlier one in every row, where leaving them out is shorter."""
    found: dict[str, str] = {}
    first: dict[tuple[str, ...], str] = {}
    for column in columns:
        values = tuple(row[column] for row in rows)
        earlier = first.setdefault(values, column)
        if earlier != column and sum(len(value) + 1 for value in values) > len(column) + len(earlier) + 18:
            found[column] = earlier
    return found


def parse(text: str, where: str) -> Snapshot:
    """The inverse of :func:`render`.

    Raises:
        RecordingError: ``SNAPSHOT_BROKEN``, ``SNAPSHOT_FORMAT`` (an earlier one) or ``SNAPSHOT_FORMAT_NEWER``; names ``where``.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise _other_format(where, int(document["format"]))
        changes = {
            name: TableChanges(**{kind: tuple(_parse_blocks(table.get(kind, ()))) for kind in KINDS})
            for name, table in document["changes"].items()
        }
        return Snapshot(document["batch_id"], document["digests"], changes)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(where, repr(error)) from None


def _parse_blocks(blocks: Iterable[Mapping[str, Any]]) -> Iterator[Row]:
    for block in blocks:
        for group in block["groups"]:
            same, like = group["same"], group.get("like", {})
            varying = [column for column in block["columns"] if column not in same and column not in like]
            for values in group["rows"]:
                row = {**same, **dict(zip(varying, values, strict=True))}
                yield {**row, **{column: row[earlier] for column, earlier in like.items()}}


def changes_at_hand(session: Session) -> dict[str, TableChanges]:
    """What the transformation at hand changed, read within its transaction."""
    with session.cursor() as cursor:
        cursor.execute("select table_name, old_row::text, new_row::text from ops.row_changes")
        found = cursor.fetchall()
    collected: dict[str, tuple[list[Row], list[Row], list[Row]]] = {}
    for name, old_text, new_text in found:
        added, changed, removed = collected.setdefault(name, ([], [], []))
        key = table_named(name).key
        old, new = (None if text is None else _row(text) for text in (old_text, new_text))
        if old is None:
            assert new is not None
            added.append(new)
        elif new is None:
            removed.append({column: old[column] for column in key})
        else:
            columns = (c for c in old.keys() | new.keys() if c in key or old.get(c) != new.get(c))
            changed.append({column: new.get(column) for column in columns})
    return {name: TableChanges(*(tuple(rows) for rows in kinds)) for name, kinds in collected.items()}


def expected_rows(table: GoldTable, snapshots: Iterable[Snapshot]) -> dict[Key, Row]:
    """The rows of a table after the given snapshots 1…k, by key."""
    rows: dict[Key, Row] = {}
    for snapshot in snapshots:
        changes = snapshot.changes.get(table.name, TableChanges())
        for row in changes.removed:
            rows.pop(key_of(table, row), None)
        for row in changes.added:
            rows[key_of(table, row)] = row
        for row in changes.changed:
            key = key_of(table, row)
            after = {**rows.get(key, {}), **row}
            rows[key] = {column: value for column, value in after.items() if value is not None}
    return rows


def found_rows(session: Session, table: GoldTable) -> dict[Key, Row]:
    """The rows of a table as they are, by key, without columns that are null."""
    with session.cursor() as cursor:
        cursor.execute(f"select to_jsonb(t)::text from {table.name} as t")
        return {key_of(table, row): row for row in (_row(text) for (text,) in cursor.fetchall())}


def key_of(table: GoldTable, row: Row) -> Key:
    """The values of a row's key columns."""
    return tuple(row[column] for column in table.key)


def table_named(name: str) -> GoldTable:
    """The stored table of this name."""
    return next(table for table in stored_tables() if table.name == name)


def _row(text: str) -> Row:
    return {column: value for column, value in json.loads(text, parse_float=str).items() if value is not None}


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _other_format(where: str, version: int) -> RecordingError:
    if version > FORMAT:
        return RecordingError(
            "SNAPSHOT_FORMAT_NEWER", f"{where} has format {version}; this version reads {FORMAT}.", "Upgrade sports-market."
        )
    return RecordingError(
        "SNAPSHOT_FORMAT",
        f"{where} has format {version}, of an earlier version; this one reads format {FORMAT}.",
        "Write it anew with `sports-market replay RECORDING --update`, and look at what that changes.",
    )


def _broken(where: str, why: str) -> RecordingError:
    return RecordingError("SNAPSHOT_BROKEN", f"{where} cannot be read: {why}.", "Restore it, or write it anew with --update.")
