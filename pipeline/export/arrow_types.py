"""What a column of gold is in Arrow, and so in each kind of file: numbers keep their decimals, times are in UTC."""

from __future__ import annotations

import re
from typing import Any, Final

import pyarrow as pa

from pipeline.errors import SetupError

# Of a numeric without declared digits: 26 before the point, 12 behind it.
FREE_NUMERIC: Final = (38, 12)
# What DuckDB, which proves the files, has as a decimal.
MOST_DIGITS: Final = 38
_NUMERIC: Final = re.compile(r"numeric\((\d+),(-?\d+)\)")
_PLAIN: Final = {
    "text": pa.string(),
    # as text: so it joins to the same column in every reader
    "uuid": pa.string(),
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "date": pa.date32(),
    "timestamp with time zone": pa.timestamp("us", tz="UTC"),
}
_NOT_IN_ARRAYS: Final = ("numeric", "date", "timestamp with time zone")


def arrow_type(type_name: str, where: str) -> Any:
    """The Arrow type of a column.

    Args:
        type_name: as PostgreSQL's ``format_type`` names it.
        where: the column, for the message.

    Raises:
        SetupError: ``EXPORT_TYPE``: no type, or no text of a row, is laid down for it.
    """
    element = type_name.removesuffix("[]")
    if element != type_name and element not in _NOT_IN_ARRAYS:
        return pa.list_(arrow_type(element, where))
    if type_name in _PLAIN:
        return _PLAIN[type_name]
    if type_name == "numeric":
        return pa.decimal128(*FREE_NUMERIC)
    declared = _NUMERIC.fullmatch(type_name)
    if declared and int(declared[1]) <= MOST_DIGITS and 0 <= int(declared[2]) <= int(declared[1]):
        return pa.decimal128(int(declared[1]), int(declared[2]))
    raise SetupError(
        "EXPORT_TYPE",
        f"{where} has the type {type_name}, of which no file can be made.",
        f"Leave its table out, or give the column another type: numerics have at most {MOST_DIGITS} digits.",
    )
