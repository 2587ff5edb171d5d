"""The text of a row is the same from PostgreSQL, Python, Arrow and DuckDB, and files keep its values."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import SetupError
from pipeline.export.arrow_rows import Digest, Layout, Rows, hashes_of, rows_of
from pipeline.export.streams import Snapshot
from pipeline.export.verify_export import _digest, source_of
from pipeline.export.writers import CsvSink, DuckDbTable, ParquetSink, open_duckdb
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import GoldTable, columns_of, row_text_sql
from pipeline.warehouse.row_text import relation_digest, row_text
from tests.warehouse.values import DATES, FINITE, TIMES, numbers

NAME = "gold.odd_values"
TYPES = {
    **FINITE,
    "numeric(8,3)": numbers(8, 3),
    "numeric(5,0)": numbers(5, 0),
    "numeric(12,12)": numbers(12, 12),
    "numeric(38,10)": numbers(28, 10),
    "numeric": numbers(28, 9),
    "timestamptz": TIMES,
    "date": DATES,
    "numeric(12,10)[]": st.lists(st.none() | numbers(12, 10), max_size=4),
}
rows_of_values = st.lists(st.tuples(*(st.none() | each for each in TYPES.values())), max_size=6)


@pytest.fixture
def odd(warehouse: Warehouse) -> Iterator[psycopg.Connection[Any]]:
    """A session that owns an empty table with a column of each type."""
    columns = ", ".join(f"c{number} {name}" for number, name in enumerate(TYPES))
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        made(owner, warehouse, columns)
        yield owner


def made(owner: psycopg.Connection[Any], warehouse: Warehouse, columns: str) -> None:
    owner.execute(f"drop table if exists {NAME}".encode())
    owner.execute(f"create table {NAME} ({columns})".encode())
    owner.execute(f"grant select on {NAME} to {warehouse.user(Role.READER)}".encode())


def read(warehouse: Warehouse, with_lines: bool = False) -> tuple[Layout, list[Rows], list[str]]:
    """Its layout, its rows as they are exported, and their texts as the server makes them."""
    with Snapshot(warehouse) as snapshot:
        columns = columns_of(snapshot.session, [GoldTable(NAME, ())])[NAME]
        layout = Layout.of(NAME, columns)
        blocks = [
            rows_of(block, layout, with_lines=with_lines)
            for block in snapshot.blocks(f"select {layout.select('t')} from {NAME} as t")
        ]
        return layout, blocks, [text for (text,) in snapshot.rows(f"select {row_text_sql(columns, 't')} from {NAME} as t")]


def insert(owner: psycopg.Connection[Any], rows: Sequence[Sequence[Any]]) -> None:
    owner.execute(f"truncate {NAME}".encode())
    places = ", ".join(f"%s::{name}" for name in TYPES)
    with owner.cursor() as cursor:
        cursor.executemany(f"insert into {NAME} values ({places})".encode(), rows)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows_of_values)
def test_four_engines_form_the_same_texts(
    rows: list[tuple[Any, ...]], odd: psycopg.Connection[Any], warehouse: Warehouse, tmp_path: Path
) -> None:
    insert(odd, rows)
    layout, blocks, texts_of_server = read(warehouse, with_lines=True)
    names = [column.type_name for column in layout.columns]
    assert sorted(texts_of_server) == sorted(row_text(names, row) for row in rows)
    assert sorted(text for block in blocks for text in block.texts.to_pylist()) == sorted(texts_of_server)

    expected, digest = relation_digest(names, rows), Digest()
    for block in blocks:
        digest.add(hashes_of(block.texts))
    assert digest.text() == expected
    with open_duckdb(":memory:") as database:
        sink: Any = ParquetSink(tmp_path / "odd.parquet", layout.schema)
        for block in blocks:
            sink.write([block.batch])
        sink.close()
        assert _digest(database, layout.columns, *source_of("parquet", [tmp_path / "odd.parquet"], layout.columns)) == expected
        sink = CsvSink(tmp_path / "odd.csv", layout.schema)
        for block in blocks:
            sink.write([pa.record_batch([block.lines], names=["line"])])
        sink.close()
        assert _digest(database, layout.columns, *source_of("csv", [tmp_path / "odd.csv"], layout.columns)) == expected
        sink = DuckDbTable(database, "odd", layout.schema)
        for block in blocks:
            sink.write([block.batch])
        assert _digest(database, layout.columns, "select * from odd", []) == expected


def test_values_stay_what_they_are(odd: psycopg.Connection[Any], warehouse: Warehouse) -> None:
    values: dict[str, Any] = {
        "text": "ß'→",
        "uuid": uuid.UUID(int=7),
        "boolean": True,
        "smallint": -1,
        "integer": 0,
        "bigint": 2**63 - 1,
        "numeric(8,3)": Decimal("-0.500"),
        "numeric(5,0)": Decimal(7),
        "numeric(12,12)": Decimal("1E-12"),
        "numeric(38,10)": Decimal("1.0000000001"),
        "numeric": Decimal("100.5"),
        "timestamptz": dt.datetime(1969, 12, 31, 23, 59, 59, 999999, dt.UTC),
        "date": dt.date(1, 1, 1),
        "text[]": ["a", None, ""],
        "uuid[]": [],
        "integer[]": [1, None],
        "numeric(12,10)[]": [Decimal("0.0000000001")],
        "boolean[]": [True],
    }
    row = [values[name] for name in TYPES]
    insert(odd, [row, (None,) * len(row)])
    _, [block], _ = read(warehouse)
    found, empty = (list(each.values()) for each in block.batch.to_pylist())
    assert found == [str(value) if isinstance(value, uuid.UUID) else value for value in row]
    assert empty == [None] * len(row)
    held_as = dict(zip(TYPES, block.batch.schema.types, strict=True))
    assert held_as["numeric(8,3)"] == pa.decimal128(8, 3)
    assert held_as["numeric(5,0)"] == pa.decimal128(5, 0)
    assert held_as["numeric"] == pa.decimal128(38, 12)
    assert held_as["timestamptz"] == pa.timestamp("us", tz="UTC")


def test_an_only_column_of_nulls_keeps_its_rows(warehouse: Warehouse) -> None:
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        made(owner, warehouse, "sole text")
        owner.execute(f"insert into {NAME} values (null), (''), (null)".encode())
    _, [block], _ = read(warehouse)
    assert sorted(block.texts.to_pylist()) == ["''", "NULL", "NULL"]


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("numeric(8,3)", "'NaN'"),
        ("numeric", "'Infinity'"),
        ("numeric", "0.1234567890123"),
        ("numeric", "1e26"),
        ("timestamptz", "'infinity'"),
        ("timestamptz", "'10000-01-01 00:00:00+00'"),
        ("timestamptz", "'0044-03-15 00:00:00+00 BC'"),
        ("date", "'-infinity'"),
        ("integer[]", "array[[1, 2], [3, 4]]"),
        ("text[]", "array[['a'], ['b']]"),
        ("numeric(8,3)[]", "array['NaN'::numeric]"),
    ],
)
def test_a_value_that_files_do_not_hold_is_refused(type_name: str, value: str, warehouse: Warehouse) -> None:
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        made(owner, warehouse, f"good integer, odd {type_name}")
        owner.execute(f"insert into {NAME} values (1, null), (2, {value})".encode())
    with pytest.raises(SetupError, match=r"gold\.odd_values\.odd has the value") as caught:
        read(warehouse)
    assert caught.value.code == "EXPORT_VALUE"


@pytest.mark.parametrize(
    "type_name", ["jsonb", "json", "numeric(40,2)", "numeric(5,-2)", "numeric[]", "timestamptz[]", "bytea", "real"]
)
def test_a_type_without_a_text_is_refused(type_name: str, warehouse: Warehouse) -> None:
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        made(owner, warehouse, f"odd {type_name}")
    with pytest.raises(SetupError) as caught:
        read(warehouse)
    assert caught.value.code == "EXPORT_TYPE"
    assert "gold.odd_values.odd" in str(caught.value)
