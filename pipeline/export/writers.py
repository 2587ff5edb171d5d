"""Files of rows: a writer per format, each fed blocks of rows, each file whole on the disk when it is closed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import duckdb
import numpy as np
import pyarrow as pa
from pyarrow import parquet

from pipeline.export.manifest import ExportedFile

_CHUNK: Final = 1 << 20


class Sink(Protocol):
    """A file under way."""

    def write(self, batches: Sequence[Any]) -> None:
        """Take record batches."""

    def close(self) -> None:
        """All of it is on the disk."""


class ParquetSink:
    """Parquet, zstd; what is taken at once is a row group.

    Args:
        file: to be made.
        schema: of the rows.
    """

    def __init__(self, file: Path, schema: Any) -> None:
        self._file = file
        self._schema = schema
        # without Arrow's own schema: what stands there is what any reader of Parquet sees
        self._writer = parquet.ParquetWriter(file, schema, compression="zstd", compression_level=1, store_schema=False)

    def write(self, batches: Sequence[Any]) -> None:
        """Take record batches."""
        self._writer.write_table(pa.Table.from_batches(batches, self._schema))

    def close(self) -> None:
        """All of it is on the disk."""
        self._writer.close()
        to_disk(self._file)


class CsvSink:
    """CSV in UTF-8 with a head; texts stand between double quotes, and what is empty without them is a null.

    Args:
        file: to be made.
        schema: whose names make the head.
    """

    def __init__(self, file: Path, schema: Any) -> None:
        self._file = file
        self._stream = file.open("wb")
        self._stream.write((",".join(schema.names) + "\n").encode())

    def write(self, batches: Sequence[Any]) -> None:
        """Take record batches of one column, of lines."""
        for lines in (batch.column(0) for batch in batches):
            offsets, data = lines.buffers()[1:3]
            ends = np.frombuffer(offsets, dtype=np.int32)
            self._stream.write(memoryview(data or b"")[ends[lines.offset] : ends[lines.offset + len(lines)]])

    def close(self) -> None:
        """All of it is on the disk."""
        self._stream.close()
        to_disk(self._file)


class DuckDbTable:
    """A table of a DuckDB database, made anew.

    Args:
        database: that it is made in; a transaction is open.
        name: of the table.
        schema: of the rows.
    """

    def __init__(self, database: duckdb.DuckDBPyConnection, name: str, schema: Any) -> None:
        self._database = database
        self._name = quoted(name)
        self._insert("create or replace table {} as select * from waiting", schema.empty_table())

    def write(self, batches: Sequence[Any]) -> None:
        """Take record batches."""
        self._insert("insert into {} select * from waiting", pa.Table.from_batches(batches))

    def close(self) -> None:
        """Nothing: the database is what is closed."""

    def _insert(self, statement: str, rows: Any) -> None:
        self._database.register("waiting", rows)
        self._database.execute(statement.format(self._name))
        self._database.unregister("waiting")


def quoted(name: str) -> str:
    """An identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def open_duckdb(file: str, read_only: bool = False, spill: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A database that takes little memory, and reaches for no network and no extension.

    Args:
        file: it, or ``:memory:``.
        read_only: nothing is written to it.
        spill: a folder for what does not fit into memory; where there is none, DuckDB chooses.
    """
    return duckdb.connect(
        file,
        read_only=read_only,
        config={
            "memory_limit": "256MB",
            "threads": 2,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": True,
            **({} if spill is None else {"temp_directory": str(spill)}),
        },
    )


def to_disk(path: Path) -> None:
    """What was written to a file, or renamed in a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def file_of(path: Path) -> ExportedFile:
    """A file as it is on the disk."""
    found, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
            size += len(chunk)
    return ExportedFile(size, found.hexdigest())
