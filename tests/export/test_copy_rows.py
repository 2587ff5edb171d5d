"""Rows of files come back into PostgreSQL as they were, whatever their texts hold."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.export.copy_rows import copied_blocks, copy_statement
from pipeline.export.extra import FORMATS
from pipeline.export.manifest import ExportedTable, Part
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import Column

TEXTS = ["", "\\N", "a\tb\nc\rd", 'it\'s "quoted", {braced}', "back\\slash\\", "\\.", "ünï €", " edge ", "NULL", "null", None]
COLUMNS = {
    "number": "integer",
    '"order"': "text",
    "texts": "text[]",
    "is_so": "boolean",
    "price": "numeric(12,6)",
    "share": "numeric(6,6)",
    "at": "timestamp with time zone",
    "day": "date",
    "id": "uuid",
    "counts": "integer[]",
    "big": "bigint",
}
ZONE = dt.timezone(dt.timedelta(hours=-5))


def row(number: int, text: str | None) -> list[Any]:
    odd = number % 2
    return [
        number,
        text,
        [[], TEXTS, [text], None][number % 4],
        [True, False, None][number % 3],
        [Decimal("-0.500000"), Decimal("123456.654321"), None][number % 3],
        Decimal("0.25") if odd else Decimal("-0.000001"),
        [dt.datetime(2025, 3, 9, 2, 30, 0, 123456, ZONE), dt.datetime(1969, 12, 31, 23, 59, 59, 5, dt.UTC), None][number % 3],
        dt.date(1950, 2, 3) if odd else None,
        f"{number:08x}-0000-4000-8000-0123456789ab" if odd else None,
        [1, None, -3] if odd else [],
        -(2**62) if odd else None,
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_they_come_back(format: str, prepared: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    from pipeline.export.arrow_rows import Layout, rows_of
    from pipeline.export.writers import CsvSink, DuckDbTable, ParquetSink, open_duckdb

    columns = tuple(Column(name, kind) for name, kind in COLUMNS.items())
    layout = Layout.of("gold.odd", columns)
    with prepared.connect(Role.OWNER) as owner:
        declared = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        for name in ("odd", "back"):
            owner.execute(f"create table gold.{name} ({declared})".encode())
        for number, text in enumerate(TEXTS * 2):
            places = ", ".join(["%s"] * len(COLUMNS))
            owner.execute(f"insert into gold.odd values ({places})".encode(), row(number, text))
        with owner.cursor().copy(
            f"copy (select {layout.select('t')} from gold.odd as t) to stdout (format csv)".encode()
        ) as copy:
            rows = rows_of(b"".join(bytes(block) for block in copy), layout, with_lines=True)
        file = tmp_path / f"odd.{format}"
        if format == "duckdb":
            with open_duckdb(str(file)) as database:
                DuckDbTable(database, "odd", layout.schema).write([rows.batch])
        elif format == "csv":
            sink = CsvSink(file, layout.schema)
            sink.write([pa.record_batch([rows.lines], names=["line"])])
            sink.close()
        else:
            written = ParquetSink(file, layout.schema)
            written.write([rows.batch])
            written.close()
        part = Part(file.name, None, None, len(TEXTS) * 2, "", None)
        table = ExportedTable("gold.odd", "1", columns, (None, None), "", (part,))
        monkeypatch.setenv("TZ", "America/New_York")
        with owner.cursor().copy(copy_statement(table).replace("gold.odd", "gold.back").encode()) as copy:
            for block in copied_blocks(tmp_path, format, table):
                copy.write(block)
        differing = "select * from gold.odd except all select * from gold.back"
        assert owner.execute("select count(*) from gold.back").fetchone() == (len(TEXTS) * 2,)
        assert owner.execute(differing.encode()).fetchall() == []
