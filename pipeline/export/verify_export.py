"""Prove an export without a database: every byte by its file's hash, and every row by DuckDB, which had no part in writing it.

DuckDB reads the files, forms each row's text and hashes it, in SQL; the texts are those of :mod:`pipeline.warehouse.row_text`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb

from pipeline.errors import SetupError
from pipeline.export.arrow_types import FREE_NUMERIC
from pipeline.export.manifest import MANIFEST, ExportedTable, Manifest, read_manifest
from pipeline.export.work_folder import files_in, is_there
from pipeline.export.writers import file_of, open_duckdb, quoted
from pipeline.warehouse.digest import Column, digest_of_parts
from pipeline.warehouse.row_text import digest_text

_TIME: Final = "timestamp with time zone"
_NUMERIC: Final = re.compile(r"numeric\((\d+),(\d+)\)")
_SHORT: Final = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as the manifest says.

    Attributes:
        code: ``MANIFEST_CHANGED``, ``FILE_MISSING``, ``FILE_EXTRA``, ``FILE_CHANGED``, ``FILE_UNREADABLE``, ``ROWS_DIFFER`` or
            ``TABLE_DIFFERS``.
        path: the file, below the export's folder; of a table, its name.
        message: what is wrong with it.
    """

    code: str
    path: str
    message: str


@dataclass(frozen=True, slots=True)
class ExportCheck:
    """What was proven of an export.

    Attributes:
        folder: its folder.
        faults: what is wrong.
        files: how many the manifest names.
        rows: how many DuckDB read.
        digests: of each table, from the rows that DuckDB read.
    """

    folder: Path
    faults: tuple[Fault, ...]
    files: int
    rows: int
    digests: dict[str, str]

    @property
    def exit_code(self) -> int:
        """0, or 1 where something is wrong."""
        return 1 if self.faults else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "out": str(self.folder),
            "files": self.files,
            "rows": self.rows,
            "faults": [{"code": each.code, "path": each.path, "message": each.message} for each in self.faults],
            "digests": self.digests,
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"  {each.code}: {each.path}: {each.message}" for each in self.faults]
        lines = [f"{self.folder}: {self.files:,} files, {self.rows:,} rows, {len(self.faults)} faults", *lines]
        if self.faults:
            lines.append("Take the named files out and export into the folder again: what is missing is written anew.")
        return lines

    def every_digest(self) -> dict[str, str]:
        """The digest of each table and view."""
        return self.digests


def verify_export(folder: Path, progress: Callable[[int, int | None], None] = lambda done, total: None) -> ExportCheck:
    """Prove an export's files by its manifest.

    Args:
        folder: of the export.
        progress: called with (tables done, of how many).

    Raises:
        SetupError: ``EXPORT_NOT_FOUND``, ``EXPORT_FORMAT_NEWER``.
    """
    try:
        manifest = read_manifest(folder)
    except SetupError as error:
        if error.code != "EXPORT_MANIFEST_BROKEN":
            raise
        return ExportCheck(folder, (Fault("MANIFEST_CHANGED", MANIFEST, "it is not as it was written"),), 0, 0, {})
    except NotADirectoryError:
        manifest = None
    if manifest is None:
        raise SetupError(
            "EXPORT_NOT_FOUND", f"{folder} holds no export.", "Name the folder that `sports-market export --out` wrote."
        )
    faults = list(_of_files(folder, manifest))
    broken = {fault.path for fault in faults}
    digests = {}
    for done, table in enumerate(manifest.tables):
        progress(done, len(manifest.tables))
        reader = _of_database if manifest.format == "duckdb" else _of_parts
        digest, found = reader(folder, manifest.format, table, broken)
        faults += found
        if digest is not None:
            digests[table.name] = digest
    progress(len(manifest.tables), len(manifest.tables))
    rows = sum(int(digest.split(":")[1]) for digest in digests.values())
    return ExportCheck(folder, tuple(faults), len(manifest.files), rows, digests)


def _of_files(folder: Path, manifest: Manifest) -> Iterator[Fault]:
    there = set(files_in(folder)) - {MANIFEST}
    yield from (Fault("FILE_EXTRA", path, "the manifest names no such file") for path in sorted(there - set(manifest.files)))
    for path, file in manifest.files.items():
        if path not in there:
            yield Fault("FILE_MISSING", path, "the manifest names it")
        elif not is_there(folder / path, file) or (found := file_of(folder / path)) != file:
            size = (folder / path).stat().st_size
            what = f"has {size:,} bytes, not {file.bytes:,}" if size != file.bytes else f"has the sha256 {found.sha256}"
            yield Fault("FILE_CHANGED", path, f"it {what}, and not {file.sha256}" if size == file.bytes else f"it {what}")


Found = tuple[str | None, list[Fault]]


def _of_parts(folder: Path, format: str, table: ExportedTable, broken: set[str]) -> Found:
    """The digest of a table from its files, and what differs; None where one of them is broken."""
    faults, digests = [], []
    with open_duckdb(":memory:") as database:
        for part in table.parts:
            if part.path in broken:
                continue
            try:
                digest = _digest(database, table.columns, *source_of(format, [folder / part.path], table.columns))
            except duckdb.Error as error:
                faults.append(Fault("FILE_UNREADABLE", part.path, _first_line(error)))
                continue
            digests.append(digest)
            if digest != part.digest:
                faults.append(Fault("ROWS_DIFFER", part.path, f"its rows give {digest}, not {part.digest}"))
    return _whole(table, digests, faults, len(digests) == len(table.parts))


def _of_database(folder: Path, format: str, table: ExportedTable, broken: set[str]) -> Found:
    path = table.parts[0].path
    if path in broken:
        return None, []
    try:
        with open_duckdb(str(folder / path), read_only=True) as database:
            source = quoted(table.name.partition(".")[2])
            digest = _digest(database, table.columns, f"select * from {source}", [])
    except duckdb.Error as error:
        return None, [Fault("FILE_UNREADABLE", path, f"{table.name}: {_first_line(error)}")]
    return _whole(table, [digest], [], True)


def _whole(table: ExportedTable, digests: Sequence[str], faults: list[Fault], is_all: bool) -> Found:
    if not is_all:
        return None, faults
    digest = digest_of_parts(digests)
    if digest != table.digest and not faults:
        faults.append(Fault("TABLE_DIFFERS", table.name, f"its rows give {digest}, not {table.digest}"))
    return digest, faults


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def source_of(format: str, files: Sequence[Path], columns: Sequence[Column]) -> tuple[str, list[Any]]:
    """A query of DuckDB that gives the rows of files, and its values.

    Args:
        format: ``parquet`` or ``csv``.
        files: of one table; at least one.
        columns: of the table.
    """
    names = [str(file) for file in files]
    if format == "parquet":
        return "select * from read_parquet(?, hive_partitioning = false)", [names]
    types = ", ".join(f"{_literal(column.unquoted)}: {_literal(_csv_type(column.type_name))}" for column in columns)
    return (
        "select * from read_csv(?, auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', nullstr = '',"
        f" allow_quoted_nulls = false, hive_partitioning = false, columns = {{{types}}})",
        [names],
    )


def _csv_type(type_name: str) -> str:
    if type_name.endswith("[]"):
        return "varchar"  # their JSON
    plain = {"text": "varchar", "uuid": "varchar", _TIME: "timestamp", "numeric": "decimal({}, {})".format(*FREE_NUMERIC)}
    declared = _NUMERIC.fullmatch(type_name)
    return f"decimal({declared[1]}, {declared[2]})" if declared else plain.get(type_name, type_name)


def _digest(database: duckdb.DuckDBPyConnection, columns: Sequence[Column], source: str, values: list[Any]) -> str:
    """The digest of rows, from what DuckDB reads."""
    types = dict(database.execute(f"select column_name, column_type from (describe {source})", values).fetchall())
    names = [column.unquoted for column in columns]
    if list(types) != names:
        raise duckdb.InvalidInputException(f"it has the columns {', '.join(types)}")
    fields = [cell_text(quoted(name), column.type_name, types[name]) for name, column in zip(names, columns, strict=True)]
    lanes = [f"sum(('0x' || substr(row_hash, {1 + 8 * lane}, 8))::ubigint)" for lane in range(4)]
    [(rows, *sums)] = database.execute(
        f"select count(*), {', '.join(f'coalesce({lane}, 0)::varchar' for lane in lanes)}"
        f" from (select sha256(concat_ws(',', {', '.join(fields)})) as row_hash from ({source}))",
        values,
    ).fetchall()
    return digest_text(rows, sum(int(number) << (96 - 32 * lane) for lane, number in enumerate(sums)))


def cell_text(value: str, type_name: str, held_as: str) -> str:
    """An SQL expression of DuckDB: the text of a column's value, never null.

    Args:
        value: an expression of the value.
        type_name: of the column, as PostgreSQL names it.
        held_as: its type in DuckDB.
    """
    if type_name.endswith("[]") and held_as.endswith("[]"):
        item = _item("item", type_name.removesuffix("[]"))
        joined = f"coalesce(array_to_string([case when item is null then 'null' else {item} end for item in {value}], ','), '')"
        text = _quoted(f"('[' || {joined} || ']')")
    elif type_name == "text" or type_name.endswith("[]"):
        text = _quoted(value)
    elif type_name == _TIME:
        micro = f"epoch_us({value})"
        text = (
            f"(case when {micro} < 0 then '-' else '' end || (abs({micro}) // 1000000)::varchar || '.'"
            f" || lpad((abs({micro}) % 1000000)::varchar, 6, '0'))"
        )
    elif type_name == "date":
        text = f"(date_diff('day', date '1970-01-01', {value}) * 86400)::varchar"
    elif type_name == "numeric":
        text = f"regexp_replace(regexp_replace({value}::varchar, '(\\.\\d*?)0+$', '\\1'), '\\.$', '')"
    else:
        text = _plain(value, type_name)
    return f"case when {value} is null then 'NULL' else {text} end"


def _plain(value: str, type_name: str) -> str:
    """What DuckDB writes, but for the 0 that it leaves out before the point where all digits stand behind it."""
    declared = _NUMERIC.fullmatch(type_name)
    if declared and declared[1] == declared[2]:
        return f"regexp_replace({value}::varchar, '^(-?)\\.', '\\10.')"
    return f"{value}::varchar"


def _quoted(value: str) -> str:
    doubled = f"replace({value}, '''', '''''')"
    return (
        f"case when contains({value}, '\\') then 'E''' || replace({doubled}, '\\', '\\\\') || ''''"
        f" else '''' || {doubled} || '''' end"
    )


def _item(value: str, element: str) -> str:
    """The JSON of an array's element."""
    if element == "uuid":
        return f"'\"' || {value} || '\"'"
    if element != "text":
        return _plain(value, element)
    escaped = f"replace(replace({value}, '\\', '\\\\'), '\"', '\\\"')"
    whole = escaped
    for code in range(1, 32):
        whole = f"replace({whole}, chr({code}), {_literal(_SHORT.get(code) or chr(92) + f'u{code:04x}')})"
    return f"'\"' || case when regexp_matches({value}, '[\\x01-\\x1f]') then {whole} else {escaped} end || '\"'"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
