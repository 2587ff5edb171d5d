"""The text of a row: what is laid down of each type, and that no two rows have the same."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal, Inexact
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.warehouse.row_text import digest_text, relation_digest, row_hash, row_text

NEPAL = dt.timezone(dt.timedelta(hours=5, minutes=45))


@pytest.mark.parametrize(
    ("type_name", "value", "text"),
    [
        ("text", None, "NULL"),
        ("text", "NULL", "'NULL'"),
        ("text", "", "''"),
        ("text", 'Ja\'Marr, "Jr."\n€', "'Ja''Marr, \"Jr.\"\n€'"),
        ("text", "a\\'b", "E'a\\\\''b'"),
        ("uuid", uuid.UUID(int=0xABC), "00000000-0000-0000-0000-000000000abc"),
        ("boolean", True, "true"),
        ("boolean", False, "false"),
        ("integer", -7, "-7"),
        ("bigint", 2**62, "4611686018427387904"),
        ("numeric(8,3)", Decimal("-1.5"), "-1.500"),
        ("numeric(8,3)", Decimal("-0"), "0.000"),
        ("numeric(8,0)", Decimal("1E3"), "1000"),
        ("numeric(8,3)", Decimal("NaN"), "NaN"),
        ("numeric", Decimal("1.50"), "1.5"),
        ("numeric", Decimal("1E+2"), "100"),
        ("numeric", Decimal("-0.00"), "0"),
        ("numeric", Decimal("-Infinity"), "-Infinity"),
        ("timestamp with time zone", dt.datetime(1970, 1, 1, 5, 45, tzinfo=NEPAL), "0.000000"),
        ("timestamp with time zone", dt.datetime(1969, 12, 31, 23, 59, 58, 500_001, dt.UTC), "-1.499999"),
        ("timestamp with time zone", dt.datetime(2025, 10, 9, 0, 42, 48, tzinfo=dt.UTC), "1759970568.000000"),
        ("timestamp with time zone", float("-inf"), "-Infinity"),
        ("date", dt.date(1970, 1, 2), "86400"),
        ("date", dt.date(1969, 12, 31), "-86400"),
        ("date", float("inf"), "Infinity"),
        ("text[]", [], "'[]'"),
        ("text[]", ["a", None, "b'\"\x1f\x7f"], 'E\'["a",null,"b\'\'\\\\"\\\\u001f\x7f"]\''),
        ("integer[]", [1, None], "'[1,null]'"),
        ("boolean[]", [True], "'[true]'"),
        ("numeric(12,10)[]", [Decimal("0.5"), Decimal("NaN")], "'[0.5000000000,\"NaN\"]'"),
        ("uuid[]", [uuid.UUID(int=1)], "'[\"00000000-0000-0000-0000-000000000001\"]'"),
        ("integer[]", None, "NULL"),
    ],
)
def test_the_text_of_a_value(type_name: str, value: Any, text: str) -> None:
    assert row_text([type_name], [value]) == text


def test_a_row_and_a_relation_have_these() -> None:
    """Written out, so that whoever computes them elsewhere has something to hold it against."""
    types, rows = ("text", "numeric(8,3)", "boolean"), [("a", Decimal(1), True), ("b'", None, False)]
    assert [row_text(types, row) for row in rows] == ["'a',1.000,true", "'b''',NULL,false"]
    assert [f"{row_hash(row_text(types, row)):032x}" for row in rows] == [
        "a0d0bb0c03355d7eb819c567f6c59284",
        "9cb7c707cf9f0ebcaa65ab4249f51341",
    ]
    assert relation_digest(types, rows) == relation_digest(types, rows[::-1]) == "sum128:2:3d888213d2d46c3b627f70aa40baa5c5"
    assert relation_digest(types, []) == digest_text(0, 0) == f"sum128:0:{'0' * 32}"
    assert digest_text(1, -1) == f"sum128:1:{'f' * 32}"


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("text", 1),
        ("integer", True),
        ("integer", "1"),
        ("boolean", 1),
        ("numeric(8,3)", 1.5),
        ("date", dt.datetime(2025, 1, 1, tzinfo=dt.UTC)),
        ("timestamp with time zone", float("nan")),
        ("double precision", 1.5),
        ("jsonb", {}),
        ("text[]", "ab"),
        ("numeric[]", [Decimal(1)]),
        ("timestamp with time zone[]", [float("inf")]),
    ],
)
def test_what_has_no_text_is_refused(type_name: str, value: Any) -> None:
    with pytest.raises(TypeError, match="has no text as a value of type"):
        row_text([type_name], [value])


def test_what_a_column_cannot_hold_is_refused() -> None:
    with pytest.raises(Inexact):
        row_text(["numeric(8,3)"], [Decimal("1.2345")])
    with pytest.raises(ValueError, match="has no zone"):
        row_text(["timestamp with time zone"], [dt.datetime(2025, 1, 1)])
    with pytest.raises(ValueError, match="zip"):
        row_text(["text", "text"], ["a"])


# what could be taken for a separator, a quote, an escape or a null
tricky = st.none() | st.text(alphabet="',\\EN[]\"ULa", max_size=6)
cells = st.tuples(tricky, tricky, st.none() | st.lists(tricky, max_size=2))


@given(cells, cells)
def test_no_two_rows_have_the_same_text(one: Any, other: Any) -> None:
    types = ("text", "text", "text[]")
    assert (row_text(types, one) == row_text(types, other)) == (one == other)
