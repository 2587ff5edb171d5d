"""Write gold as files: what changed since the last export into the same folder, and a manifest that proves them all.

Everything is read in one snapshot, by the role that only reads. Which parts of a table changed the server tells by a sum of its
own hashes of their rows, which costs a look at each row and sends none. Where nothing was exported yet they come with the rows.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.clock import to_iso
from pipeline.errors import CheckFailed
from pipeline.export.arrow_rows import Digest, Layout, Rows, hashes_of, rows_of
from pipeline.export.manifest import ExportedFile, ExportedTable, Manifest, Part, read_manifest
from pipeline.export.readable import EVERYTHING, Readable, Wanted
from pipeline.export.streams import Snapshot
from pipeline.export.work_folder import WorkFolder, check_folder, is_there
from pipeline.export.writers import CsvSink, DuckDbTable, ParquetSink, Sink, file_of, open_duckdb, quoted, to_disk
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.digest import Columns, digest_of_parts, kept_digests, made_of_digest
from pipeline.warehouse.months import following, month_from

DATABASE: Final = "gold.duckdb"
# Rows wait until there are so many bytes of a part, and of all parts; then they are written.
PART_BYTES: Final = 8 << 20
ALL_BYTES: Final = 64 << 20
# How many files may be open at a time: with more parts, the table is read several times.
OPEN_FILES: Final = 200
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"
_BEFORE_ALL: Final = -1
# What the server makes of a row.
_ROW_HASH: Final = "hash_record_extended(t, 0)"

Place = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class TableSummary:
    """What became of a table.

    Attributes:
        rows: how many it has.
        digest: of them.
        written: parts that were written by this run.
        kept: parts that stood, or that a run which was killed had written.
    """

    rows: int
    digest: str
    written: int
    kept: int


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export did.

    Attributes:
        out: its folder.
        format: of its files.
        program: of its manifest.
        batches: how many it is made of.
        tables: by name.
        bytes: of all files.
        removed: files that were taken out.
    """

    out: Path
    format: str
    program: str
    batches: int
    tables: Mapping[str, TableSummary]
    bytes: int
    removed: int

    @property
    def exit_code(self) -> int:
        """0."""
        return 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "out": str(self.out),
            "format": self.format,
            "program": self.program,
            "batches": self.batches,
            "bytes": self.bytes,
            "removed": self.removed,
            "tables": {
                name: {"rows": each.rows, "digest": each.digest, "written": each.written, "kept": each.kept}
                for name, each in self.tables.items()
            },
        }

    def lines(self) -> list[str]:
        """For people."""
        width = max(map(len, self.tables), default=0)
        lines = [
            f"{name:{width}} {each.rows:>11,} rows {each.written:>5} written {each.kept:>5} kept  {each.digest}"
            for name, each in self.tables.items()
        ]
        rows, written = sum(each.rows for each in self.tables.values()), sum(each.written for each in self.tables.values())
        kept = sum(each.kept for each in self.tables.values())
        return [
            *lines,
            f"{self.out}: {len(self.tables)} tables of {self.batches:,} batches, {rows:,} rows, {_size(self.bytes)};"
            f" {written} parts written, {kept} kept, {self.removed} files removed",
        ]


def write_export(
    warehouse: Warehouse,
    out: Path,
    tables: Sequence[Readable],
    format: str = "parquet",
    wanted: Wanted = EVERYTHING,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> ExportSummary:
    """Let a folder hold exactly these rows of these tables, as of now.

    Args:
        warehouse: the database.
        out: the folder: a new one, an empty one, or that of an export.
        tables: in the order of the manifest.
        format: ``parquet``, ``csv`` or ``duckdb``.
        wanted: which rows.
        progress: called with (tables done, of how many).

    Raises:
        UsageError: ``EXPORT_OUT``, ``EXPORT_FOREIGN``, ``SPORT_UNKNOWN``.
        SetupError: ``EXPORT_BUSY``, ``EXPORT_MANIFEST_BROKEN``, ``EXPORT_FORMAT_NEWER``, ``EXPORT_TYPE``, ``EXPORT_VALUE``.
        WarehouseError: ``DATABASE_NOT_READY``, and others of connections.
        CheckFailed: ``EXPORT_DIGEST``: what came is not what the warehouse keeps the digest of.
    """
    check_folder(out)
    standing = read_manifest(out)
    with Snapshot(warehouse) as snapshot:
        snapshot.check_sport(wanted.sport)
        columns = snapshot.columns(tables)
        layouts = {one.name: Layout.of(one.name, columns[one.name]) for one in tables}
        kept = kept_digests(snapshot.session) if wanted.is_all else {}
        with WorkFolder(out, standing, format) as work, ExitStack() as stack:
            if standing is not None and standing.format != format:
                standing = None
            writer: _Writer = _FileWriter(work, format, standing)
            if format == "duckdb":
                writer = stack.enter_context(_DatabaseWriter(work, standing))
            found: list[ExportedTable] = []
            counts: dict[str, TableSummary] = {}
            for done, one in enumerate(tables):
                progress(done, len(tables))
                table, written = _Table(snapshot, one, layouts[one.name], wanted, writer).export(kept.get(one.name))
                found.append(table)
                counts[one.name] = TableSummary(table.rows, table.digest, written, len(table.parts) - written)
            progress(len(tables), len(tables))
            files = writer.files(found)
            asked = {
                "sport": wanted.sport,
                "since": None if wanted.since is None else to_iso(wanted.since),
                "until": None if wanted.until is None else to_iso(wanted.until),
            }
            answers = made_of_digest(snapshot.session)
            manifest = Manifest(format, _program(snapshot), _batches(snapshot), asked, tuple(found), files, answers)
            work.place(files, standing.files if standing else ())
            work.write_manifest(manifest.to_bytes())
            removed = work.clear(files)
    size = sum(file.bytes for file in files.values())
    return ExportSummary(out, format, manifest.program, len(manifest.batches), counts, size, removed)


def program_of(fingerprints: Mapping[str, str]) -> str:
    """A hash of the code that computes rows, as a manifest has it: of each model's and seed's fingerprint."""
    return hashlib.sha256(json.dumps(sorted(fingerprints.items())).encode()).hexdigest()


def _program(snapshot: Snapshot) -> str:
    return program_of(dict(snapshot.rows("select model, fingerprint from ops.fingerprints")))


def _batches(snapshot: Snapshot) -> tuple[str, ...]:
    rows = snapshot.rows("select batch_id from ops.batch_states where state = 'published' order by batch_id")
    return tuple(batch_id for (batch_id,) in rows)


class _Table:
    """A table on its way."""

    def __init__(self, snapshot: Snapshot, one: Readable, layout: Layout, wanted: Wanted, writer: _Writer) -> None:
        self._snapshot, self._one, self._layout, self._wanted, self._writer = snapshot, one, layout, wanted, writer
        self._form = _form((one.sport_sql, one.time_sql), layout.columns)

    def export(self, kept_digest: str | None) -> tuple[ExportedTable, int]:
        """The table as exported, and how many parts were written for it."""
        known = self._writer.known(self._one, self._form)
        if self._is_as_it_was(known, kept_digest):
            parts, needed = dict(known), []
        else:
            # where nothing is there yet nothing is compared: what the rows' hashes sum to is told as the rows come
            states = self._states(are_compared=bool(known))
            parts = {place: known[place] for place, state in states.items() if _stands(known.get(place), state)}
            needed = [place for place in states if place not in parts]
            if self._writer.is_whole_tables and (needed or set(known) != set(states)):
                parts, needed = {}, list(states)
            for begin in range(0, len(needed), OPEN_FILES):
                group = needed[begin : begin + OPEN_FILES]
                for part in self._write(group, states, is_all=len(group) == len(states)):
                    parts[part.place] = part
        ordered = tuple(parts[place] for place in sorted(parts, key=_order))
        digest = digest_of_parts(part.digest for part in ordered)
        if kept_digest is not None and digest != kept_digest:
            raise CheckFailed(
                "EXPORT_DIGEST",
                f"The rows of {self._one.name} give {digest}; the warehouse keeps {kept_digest}.",
                "Ask `sports-market verify` what is wrong with the warehouse.",
            )
        if needed:
            self._writer.end_table(self._one.name, self._form, ordered)
        one, columns = self._one, self._layout.columns
        return ExportedTable(one.name, one.version, columns, (one.sport_sql, one.time_sql), digest, ordered), len(needed)

    def _is_as_it_was(self, known: Mapping[Place, Part], kept_digest: str | None) -> bool:
        """Whether the digest alone says that nothing changed: the rows, and so their places, are the same."""
        if kept_digest is None or self._one.reads_events or not known:
            return False
        return digest_of_parts(part.digest for part in known.values()) == kept_digest

    def _states(self, *, are_compared: bool) -> dict[Place, tuple[int, str | None]]:
        """Of each part how many rows it has and, where they are compared, what they sum to; of an empty table one part."""
        one = self._one
        month = "null::timestamptz" if one.time_sql is None else f"date_trunc('month', {one.time_sql})"
        row_sum = f"sum({_ROW_HASH})" if are_compared else "null"
        rows = self._snapshot.rows(
            "select seen.sport, to_char(seen.month, 'YYYY-MM'), seen.row_count, seen.row_sum from ("
            f"select {one.sport_sql or 'null::text'} as sport, {month} as month, count(*) as row_count,"
            f" {row_sum} as row_sum from {one.source()} where {self._wanted.where(one)} group by 1, 2"
            ") as seen",
            self._wanted.values(),
        )
        found = {(sport, moon): (count, _state(count, total) if are_compared else None) for sport, moon, count, total in rows}
        return {place: found[place] for place in sorted(found, key=_order)} or {(None, None): (0, _state(0, 0))}

    def _write(self, group: Sequence[Place], states: Mapping[Place, tuple[int, str | None]], is_all: bool) -> list[Part]:
        one, layout = self._one, self._layout
        beside = {}
        if one.sport_sql and not one.has_sport:
            beside["sport"] = one.sport_sql
        if one.time_sql and one.dating.of_event:
            beside["time"] = one.time_sql
        if any(states[place][1] is None for place in group):
            beside["row_hash"] = _ROW_HASH
        values = self._wanted.values()
        where = self._wanted.where(one, *([] if is_all else [_places_sql(group, one, values)]))
        selected = ", ".join([layout.select("t"), *(f"{sql} as beside_{name}" for name, sql in beside.items())])
        query = f"select {selected} from {one.source()} where {where}"
        sinks = _Sinks(lambda place: self._writer.open_sink(one, layout, place))
        if not any(states[place][0] for place in group):
            sinks.open(group[0])  # a table without rows has a file, or a table, for its columns
        for block in self._snapshot.blocks(query, values):
            rows = rows_of(block, layout, tuple(beside), with_lines=self._writer.takes_lines)
            sinks.take(rows, hashes_of(rows.texts), _places(rows, one))
        sinks.close()
        parts = []
        for place in group:
            count, state = states[place]
            told = state if state is not None else _state(count, sinks.row_sums.get(place, 0))
            parts.append(self._writer.end_part(one, self._form, place, sinks.digests.get(place, Digest()), told))
        return parts


def _form(parted_by: tuple[str | None, str | None], columns: Columns) -> str:
    """A hash of what a table's parts go by: with other columns, or parted in another way, no part that is there counts."""
    form = [*parted_by, *((column.name, column.type_name) for column in columns)]
    return hashlib.sha256(repr(form).encode()).hexdigest()[:16]


def _state(count: int, row_sum: int) -> str:
    """What a part's rows were: another number of them, or another sum, are others."""
    return f"{count}:{row_sum}"


def _exact_sum(numbers: Any) -> int:
    """The sum of numbers of 64 bits, which may need more."""
    return (int((numbers >> 32).sum()) << 32) + int((numbers & 0xFFFFFFFF).sum())


def _stands(part: Part | None, state: tuple[int, str | None]) -> bool:
    return part is not None and part.state == state[1]


def _order(place: Place) -> tuple[str, str]:
    return place[0] or "", place[1] or ""


def _places_sql(group: Sequence[Place], one: Readable, values: dict[str, Any]) -> str:
    """SQL: the rows of these parts; its values are added to those at hand."""
    found = []
    for number, (sport, month) in enumerate(group):
        conditions = []
        if one.sport_sql:
            values[f"sport_{number}"] = sport
            conditions.append(f"{one.sport_sql} {'=' if sport is not None else 'is not distinct from'} %(sport_{number})s")
        if one.time_sql and month is None:
            conditions.append(f"{one.time_sql} is null")
        elif one.time_sql:
            first = month_from(str(month))
            values |= {f"from_{number}": _midnight(first), f"to_{number}": _midnight(following(first))}
            conditions.append(f"{one.time_sql} >= %(from_{number})s and {one.time_sql} < %(to_{number})s")
        found.append(f"({' and '.join(conditions) or 'true'})")
    return f"({' or '.join(found)})"


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _places(rows: Rows, one: Readable) -> list[tuple[Place, Any]]:
    """The parts that rows of a block belong to, with which rows: an array of booleans of numpy, or None for all of them."""
    count = len(rows.batch)
    months = np.full(count, _BEFORE_ALL, dtype=np.int64)
    if one.time_sql:
        column = one.dating.column
        times = pc.cast(rows.beside["time"], pa.timestamp("us", tz="UTC")) if one.dating.of_event else rows.batch[column]
        numbers = pc.add(pc.multiply(pc.year(times), 100), pc.month(times))
        months = pc.fill_null(numbers, _BEFORE_ALL).to_numpy(zero_copy_only=False)
    sports: list[str | None] = [None]
    indices = np.zeros(count, dtype=np.int64)
    if one.sport_sql:
        encoded = (rows.batch["sport_key"] if one.has_sport else rows.beside["sport"]).dictionary_encode()
        sports = [*encoded.dictionary.to_pylist(), None]
        indices = pc.fill_null(encoded.indices, len(sports) - 1).to_numpy(zero_copy_only=False).astype(np.int64)
    keys = indices * 10_000_000 + months
    found = np.unique(keys)
    is_one = len(found) == 1
    return [
        ((sports[(key + 1) // 10_000_000], _month_text((key + 1) % 10_000_000 - 1)), None if is_one else keys == key)
        for key in found.tolist()
    ]


def _month_text(number: int) -> str | None:
    return None if number == _BEFORE_ALL else f"{number // 100:04d}-{number % 100:02d}"


class _Sinks:
    """The open files of a table, and the rows that wait for theirs."""

    def __init__(self, open_sink: Callable[[Place], Sink]) -> None:
        self._open_sink = open_sink
        self._open: dict[Place, Sink] = {}
        self._waiting: dict[Place, list[Any]] = {}
        self._bytes: dict[Place, int] = {}
        self.digests: dict[Place, Digest] = {}
        # of the server's hashes of rows, where they were asked for
        self.row_sums: dict[Place, int] = {}

    def open(self, place: Place) -> Sink:
        """The file of a part."""
        if place not in self._open:
            self._open[place] = self._open_sink(place)
        return self._open[place]

    def take(self, rows: Rows, hashes: Any, places: Sequence[tuple[Place, Any]]) -> None:
        """Take a block of rows."""
        batch = rows.batch if rows.lines is None else pa.record_batch([rows.lines], names=["line"])
        numbers = None
        if "row_hash" in rows.beside:
            numbers = rows.beside["row_hash"].cast(pa.int64()).to_numpy(zero_copy_only=False)
        for place, which in places:
            chosen = batch if which is None else batch.filter(pa.array(which))
            self.digests.setdefault(place, Digest()).add(hashes if which is None else hashes[which])
            if numbers is not None:
                self.row_sums[place] = self.row_sums.get(place, 0) + _exact_sum(numbers if which is None else numbers[which])
            self._waiting.setdefault(place, []).append(chosen)
            self._bytes[place] = self._bytes.get(place, 0) + chosen.nbytes
            if self._bytes[place] >= PART_BYTES:
                self._flush(place)
        while sum(self._bytes.values()) >= ALL_BYTES:
            self._flush(max(self._bytes, key=self._bytes.__getitem__))

    def close(self) -> None:
        """All rows are on the disk."""
        for place in list(self._waiting):
            self._flush(place)
        for sink in self._open.values():
            sink.close()

    def _flush(self, place: Place) -> None:
        batches = self._waiting.pop(place, [])
        self._bytes.pop(place, None)
        if batches:
            self.open(place).write(batches)


class _Writer:
    """What becomes of a table's rows, by format.

    Attributes:
        takes_lines: whether rows are written as lines of CSV.
        is_whole_tables: whether a table is written whole where any part of it changed.
    """

    takes_lines = False
    is_whole_tables = False

    def known(self, one: Readable, form: str) -> Mapping[Place, Part]:
        """The parts that are there, by this run, one that was killed, or the last one."""
        raise NotImplementedError

    def open_sink(self, one: Readable, layout: Layout, place: Place) -> Sink:
        """Where the rows of a part go."""
        raise NotImplementedError

    def end_part(self, one: Readable, form: str, place: Place, digest: Digest, state: str) -> Part:
        """A part's rows are all there."""
        raise NotImplementedError

    def end_table(self, table: str, form: str, parts: Sequence[Part]) -> None:
        """A table's parts are all there."""

    def files(self, tables: Sequence[ExportedTable]) -> dict[str, ExportedFile]:
        """The files of these tables."""
        raise NotImplementedError


class _FileWriter(_Writer):
    """A file per part."""

    def __init__(self, work: WorkFolder, format: str, standing: Manifest | None) -> None:
        self._work, self._format = work, format
        self._standing = standing.files if standing else {}
        self._tables = {table.name: table for table in standing.tables} if standing else {}
        self._staged: dict[tuple[str, Place], Path] = {}
        self.takes_lines = format == "csv"

    def known(self, one: Readable, form: str) -> Mapping[Place, Part]:
        found: dict[Place, Part] = {}
        table = self._tables.get(one.name)
        if table is not None and _form(table.parted_by, table.columns) == form:
            found = {
                part.place: part for part in table.parts if is_there(self._work.out / part.path, self._standing[part.path])
            }
        return found | self._work.parts.get((one.name, form), {})

    def open_sink(self, one: Readable, layout: Layout, place: Place) -> Sink:
        file = self._staged[one.name, place] = self._work.new_file()
        return CsvSink(file, layout.schema) if self.takes_lines else ParquetSink(file, layout.schema)

    def end_part(self, one: Readable, form: str, place: Place, digest: Digest, state: str) -> Part:
        part = Part(_path(one, form, place, digest, self._format), *place, digest.rows, digest.text(), state)
        staged = self._staged.pop((one.name, place))
        if part.path in self._standing and is_there(self._work.out / part.path, self._standing[part.path]):
            staged.unlink()  # the same rows stand there already
        else:
            self._work.note_part(one.name, form, part, staged, file_of(staged))
        return part

    def files(self, tables: Sequence[ExportedTable]) -> dict[str, ExportedFile]:
        paths = sorted(part.path for table in tables for part in table.parts)
        return {path: self._work.done[path][1] if path in self._work.done else self._standing[path] for path in paths}


class _DatabaseWriter(_Writer):
    """A table of one database per table. A context manager."""

    is_whole_tables = True

    def __init__(self, work: WorkFolder, standing: Manifest | None) -> None:
        self._work = work
        self._file = work.folder / DATABASE
        self._standing = standing.files[DATABASE] if standing else None
        self._tables = {table.name: table for table in standing.tables} if standing else {}
        # all of it is read: such a file has the size of some blocks, whatever it holds
        if self._standing and not (
            is_there(work.out / DATABASE, self._standing) and file_of(work.out / DATABASE) == self._standing
        ):
            self._standing, self._tables = None, {}
        self._current: DuckDbTable | None = None
        self._database: duckdb.DuckDBPyConnection | None = None
        if work.has_database:
            self._resume()

    def __enter__(self) -> _DatabaseWriter:
        return self

    def __exit__(self, *error: object) -> None:
        if self._database is not None:
            self._database.close()

    def known(self, one: Readable, form: str) -> Mapping[Place, Part]:
        if (one.name, form) in self._work.parts:
            return self._work.parts[one.name, form]
        table = self._tables.get(one.name)
        if table is None or _form(table.parted_by, table.columns) != form:
            return {}
        return {part.place: part for part in table.parts}

    def open_sink(self, one: Readable, layout: Layout, place: Place) -> Sink:
        if self._current is None:
            database = self._begun()
            database.execute("begin")
            self._current = DuckDbTable(database, one.short, layout.schema)
        return self._current

    def end_part(self, one: Readable, form: str, place: Place, digest: Digest, state: str) -> Part:
        return Part(DATABASE, *place, digest.rows, digest.text(), state)

    def end_table(self, table: str, form: str, parts: Sequence[Part]) -> None:
        database = self._begun()
        database.execute("commit")
        database.execute("force checkpoint")
        self._current = None
        self._work.note_table(table, form, parts)

    def files(self, tables: Sequence[ExportedTable]) -> dict[str, ExportedFile]:
        wanted = {table.name for table in tables}
        if self._database is None and self._standing is not None and wanted == set(self._tables):
            return {DATABASE: self._standing}
        database = self._begun()
        names = {_short(name) for name in wanted}
        for (name,) in database.execute("select table_name from duckdb_tables()").fetchall():
            if name not in names:
                database.execute(f"drop table {quoted(name)}")
        database.execute("force checkpoint")
        database.close()
        self._database = None
        to_disk(self._file)
        self._work.done[DATABASE] = (DATABASE, file_of(self._file))
        return {DATABASE: self._work.done[DATABASE][1]}

    def _begun(self) -> duckdb.DuckDBPyConnection:
        """The database under way: what a run that was killed left, else a copy of the one that stands, else a new one."""
        if self._database is None:
            if self._standing is not None:
                shutil.copyfile(self._work.out / DATABASE, self._file)
            self._database = open_duckdb(str(self._file))
            to_disk(self._file)
            self._work.note_database()
        return self._database

    def _resume(self) -> None:
        try:
            if not self._file.exists():
                raise duckdb.IOException("it took its place already")
            self._database = open_duckdb(str(self._file))
        except duckdb.Error:
            self._work.forget()


def _short(name: str) -> str:
    return name.partition(".")[2]


def _path(one: Readable, form: str, place: Place, digest: Digest, suffix: str) -> str:
    """Where a part's file stands: by sport and month where its table has them, under a name of its form and rows."""
    name = hashlib.sha256(f"{form} {digest.text()}".encode()).hexdigest()[:16]
    folders = [one.short]
    if digest.rows:
        folders += [f"sport={place[0] or _NO_VALUE}"] if one.sport_sql else []
        folders += [f"month={place[1] or _NO_VALUE}"] if one.time_sql else []
    return "/".join([*folders, f"{name}.{suffix}"])


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
