"""The rows of a side that is open: which relations it has, and their cells as texts, in a table of DuckDB.

A cell's text is that of :mod:`pipeline.warehouse.row_text`, which any engine writes alike. So a database is compared with
files.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

import duckdb
import pyarrow as pa
from pyarrow import csv

from pipeline.clock import to_iso
from pipeline.contracts.cuts import Clip, Filter
from pipeline.errors import SetupError, WarehouseError
from pipeline.export.manifest import ExportedTable, Manifest, read_manifest
from pipeline.export.readable import EVERYTHING, Readable, Wanted, moment, readable
from pipeline.export.streams import Snapshot
from pipeline.export.verify_export import cell_text, source_of
from pipeline.export.writers import quoted
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.digest import Column, Columns, GoldTable, cell_text_sql, columns_of, kept_digests

_NAMES: Final = """
select format('%I.%I', spaces.nspname, made.relname), made.relkind = 'v'
from pg_class as made join pg_namespace as spaces on spaces.oid = made.relnamespace
where spaces.nspname = 'gold' and made.relkind in ('r', 'p', 'v', 'm')
order by 1
"""
_KEEPS: Final = """
select exists (
    select 1 from pg_attribute as held
    where held.attrelid = to_regclass('ops.table_digests') and held.attname = 'row_sum'
        and has_table_privilege(held.attrelid, 'select')
)
"""


class SideRows(Protocol):
    """A side that is open. A context manager."""

    @property
    def columns(self) -> Mapping[str, Columns]:
        """Of each relation that it has; by name, as ``gold.best_price``."""

    @property
    def views(self) -> frozenset[str]:
        """Those of them that are computed on reading."""

    @property
    def digests(self) -> Mapping[str, str]:
        """Of those of which one is known, and holds of what is compared."""

    @property
    def is_part(self) -> bool:
        """Whether it was made to hold some relations only: that it lacks one says nothing."""

    @property
    def at(self) -> dt.datetime | None:
        """As of which time it is read; None: as it is."""

    def __enter__(self) -> Self:
        """Itself."""

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        """Let it go."""

    def refusal(self, name: str) -> str | None:
        """Why a relation that it has cannot be read as it is asked for; None where it can."""

    def fill(self, database: duckdb.DuckDBPyConnection, table: str, name: str, columns: Sequence[Column]) -> None:
        """Make a table of DuckDB of a relation's cells: columns ``c0``, ``c1``, … of texts that are never null."""


class DatabaseRows:
    """A database, in one snapshot of the role that reads.

    Args:
        warehouse: the database.
        at: as of which time; None: as it is.
        wanted: which rows.

    Raises:
        WarehouseError: ``DATABASE_NOT_READY``: it has no gold; and as of :meth:`Warehouse.connect`.
    """

    def __init__(self, warehouse: Warehouse, at: dt.datetime | None = None, wanted: Wanted = EVERYTHING) -> None:
        self.is_part = False
        self.at, self._wanted = at, wanted
        self._snapshot = Snapshot(warehouse)
        try:
            found = self._snapshot.rows(_NAMES)
            if not found:
                raise WarehouseError(
                    "DATABASE_NOT_READY",
                    f"The database {warehouse.place} has no table of gold.",
                    "Load a recording into it first (`sports-market load DIR`), or name another database.",
                )
            self.views = frozenset(name for name, is_view in found if is_view)
            self.columns = columns_of(self._snapshot.session, [GoldTable(name, ()) for name, _ in found])
            is_whole = at is None and wanted.is_all
            # a database of other code may keep none, or keep them in another way
            [(keeps,)] = self._snapshot.rows(_KEEPS)
            self.digests = kept_digests(self._snapshot.session) if is_whole and keeps else {}
        except BaseException:
            self._snapshot.__exit__(None, None, None)
            raise

    def __enter__(self) -> DatabaseRows:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._snapshot.__exit__(kind, value, trace)

    def refusal(self, name: str) -> str | None:
        """Why a relation cannot be read as it is asked for."""
        return None if self._wanted.is_all and self.at is None else refused(readable().get(name), self.at)

    def fill(self, database: duckdb.DuckDBPyConnection, table: str, name: str, columns: Sequence[Column]) -> None:
        """Make a table of DuckDB of a relation's cells."""
        cells = [f"{cell_text_sql(column, f't.{column.name}')} as c{number}" for number, column in enumerate(columns)]
        source, where = f"{name} as t", "true"
        one = readable().get(name)
        if one is not None:
            rows = None if self.at is None else f"({one.cut([column.name for column in self.columns[name]])})"
            source, where = one.source(rows), self._wanted.where(one)
        names = [f"c{number}" for number in range(len(columns))]
        database.execute(f"create or replace table {table} ({', '.join(f'{each} varchar' for each in names)})")
        query = f"select {', '.join(cells)} from {source} where {where}"
        for block in self._snapshot.blocks(query, {**self._wanted.values(), "at": self.at}):
            database.register("waiting", _texts(block, names))
            database.execute(f"insert into {table} select * from waiting")
            database.unregister("waiting")


class ExportRows:
    """An export's folder.

    Args:
        folder: of the export.
        at: as of which time; None: as it is.
        database: that the tables are to be made in; files that are databases are attached to it.
        alias: a name for such a file, which no other one has.

    Raises:
        SetupError: ``EXPORT_NOT_FOUND``, ``EXPORT_MANIFEST_BROKEN``, ``EXPORT_FORMAT_NEWER``, ``EXPORT_FILE_UNREADABLE``.
    """

    def __init__(self, folder: Path, at: dt.datetime | None, database: duckdb.DuckDBPyConnection, alias: str) -> None:
        self.is_part = True
        self._folder, self.at, self._alias = folder, at, alias
        self._manifest = manifest_of(folder)
        self._tables = {table.name: table for table in self._manifest.tables}
        self.columns = {table.name: table.columns for table in self._manifest.tables}
        self.views: frozenset[str] = frozenset()
        self.digests = {table.name: table.digest for table in self._manifest.tables} if at is None else {}
        self._database = database
        self.attached = False
        if self._manifest.format == "duckdb" and self._manifest.files:
            [file] = self._manifest.files
            self._guarded(f"attach {_literal(str(folder / file))} as {alias} (read_only)", [])
            self.attached = True

    def __enter__(self) -> ExportRows:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self.attached:
            with suppress(duckdb.Error):
                self._database.execute(f"detach {self._alias}")

    def refusal(self, name: str) -> str | None:
        """Why a relation cannot be read as it is asked for."""
        return None if self.at is None else refused(readable().get(name), self.at)

    def fill(self, database: duckdb.DuckDBPyConnection, table: str, name: str, columns: Sequence[Column]) -> None:
        """Make a table of DuckDB of a relation's cells."""
        held = self._tables[name]
        source, values = self._source(held)
        if source is None:
            names = ", ".join(f"c{number} varchar" for number in range(len(columns)))
            database.execute(f"create or replace table {table} ({names})")
            return
        types = dict(self._guarded(f"select column_name, column_type from (describe {source})", values).fetchall())
        if self.at is not None:
            source = _cut(readable()[name], source, [column.name for column in held.columns], self.at, types)
        cells = [
            f"{cell_text(quoted(column.unquoted), column.type_name, types[column.unquoted])} as c{number}"
            for number, column in enumerate(columns)
        ]
        self._guarded(f"create or replace table {table} as select {', '.join(cells)} from ({source})", values)

    def _source(self, held: ExportedTable) -> tuple[str | None, list[Any]]:
        """A query of a table's rows, and its values; None where it has no file."""
        if self.attached:
            return f"select * from {self._alias}.{quoted(held.name.partition('.')[2])}", []
        files = [self._folder / part.path for part in held.parts]
        return source_of(self._manifest.format, files, held.columns) if files else (None, [])

    def _guarded(self, statement: str, values: list[Any]) -> Any:
        try:
            return self._database.execute(statement, values)
        except duckdb.IOException as error:
            raise SetupError(
                "EXPORT_FILE_UNREADABLE",
                f"A file of {self._folder} cannot be read: {next(iter(str(error).splitlines()), '')}",
                "`sports-market export --verify` tells what is wrong with the folder.",
            ) from None


def manifest_of(folder: Path) -> Manifest:
    """The manifest of an export.

    Raises:
        SetupError: ``EXPORT_NOT_FOUND``, ``EXPORT_MANIFEST_BROKEN``, ``EXPORT_FORMAT_NEWER``.
    """
    found = read_manifest(folder)
    if found is None:
        raise SetupError(
            "EXPORT_NOT_FOUND", f"{folder} holds no export.", "Name the folder that `sports-market export --out` wrote."
        )
    return found


def wanted_of(manifest: Manifest) -> Wanted:
    """Which rows an export was asked for."""
    asked = manifest.asked
    return Wanted(asked.get("sport"), moment(asked.get("since"), "since"), moment(asked.get("until"), "until"))


def refused(one: Readable | None, at: dt.datetime | None) -> str | None:
    """Why a relation cannot be read as it is asked for; None where it can."""
    if one is None:
        return "this version does not know the table, so that it can only be compared whole"
    if at is None or isinstance(one.rule, Clip | Filter):
        return None
    return f"it cannot be read as of a time: {one.rule.reason}"


def columns_of_then(name: str) -> frozenset[str]:
    """The columns of a relation that are not what they were where it is cut at a time."""
    one = readable().get(name)
    if one is None or not isinstance(one.rule, Clip | Filter):
        return frozenset()
    moving = one.rule.moving if isinstance(one.rule, Clip) else ()
    return frozenset((*one.rule.left_out, *moving))


def _cut(one: Readable, source: str, columns: Sequence[str], at: dt.datetime, types: Mapping[str, str]) -> str:
    """The rows of a query as of a time, in DuckDB: the rule's SQL is plain enough for both."""
    assert isinstance(one.rule, Clip | Filter)
    begin = one.rule.start if isinstance(one.rule, Clip) else one.rule.moment
    # files of CSV hold times without their zone, which is UTC
    text = to_iso(at).removesuffix("Z") if types[begin] == "TIMESTAMP" else to_iso(at)
    query = one.cut(columns).replace(f" from {one.name} where ", f" from ({source}) where ")
    return query.replace("%(at)s", f"{_literal(text)}::{types[begin]}")


def _texts(block: bytes, names: Sequence[str]) -> Any:
    """Lines of CSV as Arrow: texts, none of them null."""
    return csv.read_csv(
        pa.BufferReader(block),
        # one block, so one thread: others of Arrow may still run as the process ends, which aborts it
        read_options=csv.ReadOptions(column_names=list(names), block_size=max(len(block) + 1, 1 << 10), use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
