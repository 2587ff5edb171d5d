r"""The text of a row, of which a digest is made, and its hash: laid down here, in Python, for whoever computes them elsewhere.

A row's text is what one would write between the parentheses of SQL's ``values (…)``: the columns in the order of the table's
contract, with a comma between, and nothing else. It depends on no time zone, locale, setting or version, and no two rows of one
table have the same. Of a column's type:

==============  =============================================================================================================
any             ``NULL`` where there is no value
text            between single quotes; each quote in it doubled. One with a backslash: each backslash doubled too, and an
                ``E`` before the first quote. All other characters stand as they are
uuid            32 lower-case hexadecimal digits in the usual five groups
boolean         ``true`` or ``false``
integers        decimal digits, with a ``-`` where negative
numeric(p,s)    with exactly s decimals; without a point where s is 0. Never an exponent, never ``-0``
numeric         without zeros at the end of its decimals, and without a point where none are left
 not finite     ``NaN``, ``Infinity``, ``-Infinity``
timestamptz     seconds since 1970-01-01T00:00:00Z, with exactly six decimals; ``Infinity``, ``-Infinity``
date            seconds from 1970-01-01 to its beginning, without decimals; ``Infinity``, ``-Infinity``
arrays          their JSON without spaces, quoted as a text is; not of numeric without p and s, timestamptz and date. Elements
                as above, but ``null``; texts and uuids as JSON strings that escape ``"``, ``\`` and control characters alone
                (``\b \f \n \r \t``, else as ``\u001f``); numbers that are not finite as JSON strings
==============  =============================================================================================================

A row's hash is the sha256 of its text in UTF-8; its first 16 bytes, as a big-endian number, count. The digest of a relation is
``sum128:ROWS:SUM``: how many rows it has, and the sum of their hashes modulo 2^128, in 32 hexadecimal digits. One without rows
has ``sum128:0:00000000000000000000000000000000``.

The warehouse computes the same in SQL (:mod:`pipeline.warehouse.digest`), without anything of this but the last line.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
import re
import uuid
from collections.abc import Iterable, Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, Inexact
from typing import Any, Final, TypeAlias

Value: TypeAlias = str | bool | int | float | Decimal | dt.datetime | dt.date | uuid.UUID | Sequence[Any] | None

MODULUS: Final = 1 << 128
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_NUMERIC: Final = re.compile(r"numeric\(\d+,(\d+)\)")
_EXACT: Final = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])


def row_text(types: Sequence[str], values: Sequence[Value]) -> str:
    """The text of a row.

    Args:
        types: of the columns, as PostgreSQL's ``format_type`` names them.
        values: of the columns. A date or time that is not finite is ``float("inf")`` or its negative.

    Raises:
        TypeError: a value that is none of its type; or a type of which no text is laid down.
        ValueError: as many values as types are needed; a time needs a zone.
        decimal.Inexact: a number with more decimals than its column has.
    """
    return ",".join(_field(name, value) for name, value in zip(types, values, strict=True))


def row_hash(text: str) -> int:
    """The number that a row with this text counts for in its relation's sum: from 0 to 2^128 - 1."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def digest_text(rows: int, total: int) -> str:
    """The digest of a relation, from the number of its rows and the sum of their hashes."""
    return f"sum128:{rows}:{total % MODULUS:032x}"


def relation_digest(types: Sequence[str], rows: Iterable[Sequence[Value]]) -> str:
    """The digest of these rows, in whatever order they come."""
    hashes = [row_hash(row_text(types, values)) for values in rows]
    return digest_text(len(hashes), sum(hashes))


def _field(name: str, value: Value) -> str:
    if value is None:
        return "NULL"
    if name.endswith("[]") and isinstance(value, list | tuple):
        return _quoted(_json(name.removesuffix("[]"), value))
    return _quoted(value) if name == "text" and isinstance(value, str) else _bare(name, value)


def _bare(name: str, value: Value) -> str:
    """The text of a value that is neither null nor a text."""
    match value:
        case bool() if name == "boolean":
            return "true" if value else "false"
        case int() if name in ("smallint", "integer", "bigint") and not isinstance(value, bool):
            return str(value)
        case uuid.UUID() if name == "uuid":
            return str(value)
        case Decimal() if name == "numeric" or _NUMERIC.fullmatch(name):
            return _number(name, value)
        case float() if name in ("date", "timestamp with time zone") and math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case dt.datetime() if name == "timestamp with time zone":
            return _seconds(value)
        case dt.date() if name == "date" and not isinstance(value, dt.datetime):
            return str((value - _EPOCH.date()).days * 86400)
    raise TypeError(f"{value!r} has no text as a value of type {name}")


def _quoted(text: str) -> str:
    doubled = text.replace("'", "''")
    return "E'" + doubled.replace("\\", "\\\\") + "'" if "\\" in text else f"'{doubled}'"


def _number(name: str, value: Decimal) -> str:
    if value.is_nan():
        return "NaN"
    if value.is_infinite():
        return "Infinity" if value > 0 else "-Infinity"
    declared = _NUMERIC.fullmatch(name)
    exact = value.quantize(Decimal((0, (1,), -int(declared[1]))), context=_EXACT) if declared else value.normalize(_EXACT)
    return format(abs(exact) if exact.is_zero() else exact, "f")


def _seconds(value: dt.datetime) -> str:
    if value.tzinfo is None:
        raise ValueError(f"{value} has no zone")
    microseconds = (value - _EPOCH) // dt.timedelta(microseconds=1)
    seconds, rest = divmod(abs(microseconds), 1_000_000)
    return f"{'-' if microseconds < 0 else ''}{seconds}.{rest:06d}"


def _json(name: str, value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return f"[{','.join(_json(name, each) for each in value)}]"
    if name == "text" and isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if name in ("numeric", "date", "timestamp with time zone"):
        raise TypeError(f"{value!r} has no text as a value of type {name} in an array")
    text = _bare(name, value)
    return f'"{text}"' if name == "uuid" or text in ("NaN", "Infinity", "-Infinity") else text
