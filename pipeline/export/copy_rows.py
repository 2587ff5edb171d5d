"""Rows of an export as PostgreSQL's ``COPY … from stdin`` takes them: the way back. DuckDB reads files, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb

from pipeline.errors import SetupError
from pipeline.export.manifest import ExportedTable
from pipeline.export.verify_export import source_of
from pipeline.export.writers import open_duckdb, quoted
from pipeline.warehouse.digest import Column

# So many rows are in memory at a time.
ROWS: Final = 10_000
_TIME: Final = "timestamp with time zone"


def copy_statement(table: ExportedTable) -> str:
    """The statement that takes what :func:`copied_blocks` gives."""
    return f"copy {table.name} ({', '.join(column.name for column in table.columns)}) from stdin"


def copied_blocks(folder: Path, format: str, table: ExportedTable) -> Iterator[bytes]:
    """A table's rows, in blocks of whole lines of COPY's text format; in no order.

    Args:
        folder: of the export.
        format: of its files.
        table: as the manifest has it.

    Raises:
        SetupError: ``LAKE_UNREADABLE``: a file is missing, is none of its kind, or has other columns.
    """
    parts = [part for part in table.parts if part.rows]
    if not parts:
        return
    try:
        if format == "duckdb":
            with open_duckdb(str(folder / parts[0].path), read_only=True) as database:
                yield from _blocks(database, table.columns, f"select * from {quoted(table.name.partition('.')[2])}", [])
            return
        with open_duckdb(":memory:") as database:
            files = [folder / part.path for part in parts]
            yield from _blocks(database, table.columns, *source_of(format, files, table.columns))
    except duckdb.Error as error:
        raise SetupError(
            "LAKE_UNREADABLE",
            f"{folder}: {table.name}: {next(iter(str(error).splitlines()), type(error).__name__)}",
            "Ask `sports-market export --verify` which files are not as they were written, and write them again.",
        ) from error


def _blocks(database: duckdb.DuckDBPyConnection, columns: Sequence[Column], source: str, values: list[Any]) -> Iterator[bytes]:
    types = dict(database.execute(f"select column_name, column_type from (describe {source})", values).fetchall())
    if list(types) != [column.unquoted for column in columns]:
        raise duckdb.InvalidInputException(f"it has the columns {', '.join(types)}")
    fields = [_field(quoted(column.unquoted), column.type_name, types[column.unquoted]) for column in columns]
    line = f"concat_ws(chr(9), {', '.join(fields)}) || chr(10)"
    found = database.execute(f"select {line} as line from ({source})", values)
    while rows := found.fetchmany(ROWS):
        yield "".join(row for (row,) in rows).encode()


def _field(value: str, type_name: str, held_as: str) -> str:
    """An SQL expression of DuckDB: a value as COPY reads it, never null.

    Args:
        value: an expression of the value.
        type_name: of the column, as PostgreSQL names it.
        held_as: its type in DuckDB; of arrays in CSV it is their JSON.
    """
    if type_name.endswith("[]"):
        element = type_name.removesuffix("[]")
        items = value if held_as.endswith("[]") else f"from_json({value}, '[\"VARCHAR\"]')"
        text = _escaped(f"'{{' || coalesce(array_to_string([{_item(element)} for item in {items}], ','), '') || '}}'")
    elif type_name == "text":
        text = _escaped(value)
    elif type_name == _TIME:
        # without the session's zone
        text = f"make_timestamp(epoch_us({value}))::varchar || '+00'"
    else:
        text = f"{value}::varchar"
    return f"case when {value} is null then '\\N' else {text} end"


def _item(element: str) -> str:
    if element == "text":
        return """case when item is null then 'NULL' else '"' || replace(replace(item, '\\', '\\\\'), '"', '\\"') || '"' end"""
    return "coalesce(item::varchar, 'NULL')"


def _escaped(value: str) -> str:
    for character, written in (("'\\'", "'\\\\'"), ("chr(9)", "'\\t'"), ("chr(10)", "'\\n'"), ("chr(13)", "'\\r'")):
        value = f"replace({value}, {character}, {written})"
    return value
