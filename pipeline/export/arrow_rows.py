"""Rows as the server sends them (``COPY … (format csv)``), turned into Arrow; and each row's text, of which digests are made.

Both are made of what the server sent, a block of rows at a time. The text is that of :mod:`pipeline.warehouse.row_text`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from pipeline.errors import SetupError
from pipeline.export.arrow_types import arrow_type
from pipeline.warehouse.digest import Columns
from pipeline.warehouse.row_text import digest_text

_TIME: Final = "timestamp with time zone"
# Of values that come again and again, each is looked at once a block.
_BY_UNIQUES: Final = ("text", "date", _TIME)
_HASH_LANES: Final = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a relation, as the server and as Arrow have them.

    Attributes:
        name: of the relation.
        columns: all of them, in order.
        schema: Arrow's.
    """

    name: str
    columns: Columns
    schema: Any

    @classmethod
    def of(cls, name: str, columns: Columns) -> Layout:
        """The layout of a relation's columns.

        Raises:
            SetupError: ``EXPORT_TYPE``.
        """
        fields = [pa.field(column.unquoted, arrow_type(column.type_name, f"{name}.{column.name}")) for column in columns]
        return cls(name, columns, pa.schema(fields))

    def select(self, row: str) -> str:
        """What ``COPY`` is to select: the columns, arrays as JSON."""
        return ", ".join(
            f"array_to_json({row}.{column.name}) as {column.name}"
            if column.type_name.endswith("[]")
            else f"{row}.{column.name}"
            for column in self.columns
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """A block of rows.

    Attributes:
        batch: an Arrow record batch with the layout's schema.
        lines: of each row its line of CSV, with its end; None unless asked for.
        texts: of each row its text; None unless asked for.
        beside: what was selected beside the columns, by name, as texts.
    """

    batch: Any
    lines: Any
    texts: Any
    beside: dict[str, Any]


def rows_of(
    block: bytes, layout: Layout, beside: Sequence[str] = (), *, with_lines: bool = False, with_texts: bool = True
) -> Rows:
    """A block of whole lines, read.

    Args:
        block: what ``COPY (select <layout.select>, <beside>) to stdout (format csv)`` sent.
        layout: of its columns.
        beside: names of what was selected after the columns.
        with_lines: whether lines of CSV are wanted.
        with_texts: whether texts of rows are wanted.

    Raises:
        SetupError: ``EXPORT_VALUE``: a value that its Arrow type does not hold.
    """
    names = [f"c{number}" for number in range(len(layout.columns) + len(beside))]
    table = csv.read_csv(
        pa.BufferReader(block),
        # one block, so one thread: others of Arrow may still run as the process ends, which aborts it
        read_options=csv.ReadOptions(column_names=names, block_size=max(len(block) + 1, 1 << 10), use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types={name: pa.string() for name in names},
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    raw = [column.combine_chunks() if column.num_chunks != 1 else column.chunk(0) for column in table.columns]
    ways = _Ways(b"'" in block, b"\\" in block, with_lines, with_texts)
    done = [
        _column(raw[number], column.type_name, field.type, ways, f"{layout.name}.{column.name}")
        for number, (column, field) in enumerate(zip(layout.columns, layout.schema, strict=True))
    ]
    batch = pa.record_batch([each[0] for each in done], schema=layout.schema)
    texts = _joined([each[1] for each in done], "NULL") if with_texts else None
    lines = pc.binary_join_element_wise(_joined([each[2] for each in done], ""), "\n", "") if with_lines else None
    return Rows(batch, lines, texts, dict(zip(beside, raw[len(layout.columns) :], strict=True)))


def hashes_of(texts: Any) -> Any:
    """Of each text the first 16 bytes of its sha256, as four numbers of 32 bits, the largest first: an array of numpy."""
    offsets = np.frombuffer(texts.buffers()[1], dtype=np.int32)[texts.offset : texts.offset + len(texts) + 1].tolist()
    data = memoryview(texts.buffers()[2] or b"")
    sha256 = hashlib.sha256
    digests = b"".join([sha256(data[begin:end]).digest() for begin, end in pairwise(offsets)])
    return np.frombuffer(digests, dtype=">u4").reshape(len(texts), 8)[:, :_HASH_LANES]


class Digest:
    """How many rows there were, and the sum of their hashes."""

    def __init__(self) -> None:
        self.rows = 0
        self.total = 0

    def add(self, hashes: Any) -> None:
        """Add rows by their hashes, as :func:`hashes_of` gives them."""
        self.rows += len(hashes)
        for lane, number in enumerate(hashes.sum(axis=0, dtype=np.uint64).tolist()):
            self.total += number << (96 - 32 * lane)

    def text(self) -> str:
        """``sum128:ROWS:SUM``."""
        return digest_text(self.rows, self.total)


@dataclass(frozen=True, slots=True)
class _Ways:
    """What a block holds, and what is wanted of it."""

    has_quotes: bool
    has_backslashes: bool
    lines: bool
    texts: bool


def _joined(fields: Sequence[Any], null: str) -> Any:
    return pc.binary_join_element_wise(*fields, ",", null_handling="replace", null_replacement=null)


def _column(raw: Any, type_name: str, wanted: Any, ways: _Ways, where: str) -> tuple[Any, Any, Any]:
    """Its values, their texts in a row's text, and in a line of CSV."""
    if type_name not in _BY_UNIQUES and not type_name.endswith("[]"):
        return _converted(raw, type_name, wanted, ways, where)
    encoded = raw.dictionary_encode()
    found = _converted(encoded.dictionary, type_name, wanted, ways, where)
    values, texts, lines = (None if each is None else each.take(encoded.indices) for each in found)
    return values, texts, lines


def _converted(raw: Any, type_name: str, wanted: Any, ways: _Ways, where: str) -> tuple[Any, Any, Any]:
    if type_name.endswith("[]"):
        values = _lists(raw, type_name, wanted, where)
        return values, _quoted(raw, ways) if ways.texts else None, _in_csv(raw) if ways.lines else None
    match type_name:
        case "text":
            return raw, _quoted(raw, ways) if ways.texts else None, _in_csv(raw) if ways.lines else None
        case "uuid":
            return raw, raw, raw
        case "boolean":
            values = pc.equal(raw, "t")
            text = pc.if_else(values, "true", "false")
            return values, text, text
        case "date":
            values = _cast(raw, wanted, where)
            days = pc.cast(values, pa.int32()).cast(pa.int64())
            return values, pc.multiply(days, 86400).cast(pa.string()), raw
        case "timestamp with time zone":
            values = _cast(raw, wanted, where)
            lines = pc.strftime(values, "%Y-%m-%dT%H:%M:%SZ") if ways.lines else None
            return values, _seconds(values) if ways.texts else None, lines
        case "numeric":
            values = _cast(raw, wanted, where)
            if not ways.texts:
                return values, None, raw
            # no zeros at the end of the decimals, and no point where none are left
            short = pc.replace_substring_regex(raw, r"(\.\d*?)0+$", r"\1")
            return values, pc.replace_substring_regex(short, r"\.$", ""), raw
    return _cast(raw, wanted, where), raw, raw


def _cast(raw: Any, wanted: Any, where: str) -> Any:
    try:
        return pc.cast(raw, wanted)
    except pa.ArrowInvalid:
        first = next(value for value in raw.to_pylist() if value is not None and not _fits(value, wanted))
        raise _unfit(first, wanted, where) from None


def _fits(value: str, wanted: Any) -> bool:
    try:
        pc.cast(pa.array([value]), wanted)
    except pa.ArrowInvalid:
        return False
    return True


def _unfit(value: str, wanted: Any, where: str) -> SetupError:
    return SetupError(
        "EXPORT_VALUE",
        f"{where} has the value {value[:80]}, which {wanted} does not hold.",
        "Files hold finite numbers with their declared digits, and times of the years 1 to 9999. Leave the table out, or mend"
        " the row.",
    )


def _quoted(raw: Any, ways: _Ways) -> Any:
    """Texts between single quotes, as SQL has them."""
    doubled = pc.replace_substring(raw, "'", "''") if ways.has_quotes else raw
    if not ways.has_backslashes:
        return pc.binary_join_element_wise("'", doubled, "'", "")
    first = pc.if_else(pc.match_substring(raw, "\\"), "E'", "'")
    return pc.binary_join_element_wise(first, pc.replace_substring(doubled, "\\", "\\\\"), "'", "")


def _in_csv(raw: Any) -> Any:
    """Texts between double quotes: what stands without any is no text but a null."""
    return pc.binary_join_element_wise('"', pc.replace_substring(raw, '"', '""'), '"', "")


def _seconds(values: Any) -> Any:
    """Seconds since 1970, with exactly six decimals."""
    microseconds = values.cast(pa.int64())
    least = pc.min(microseconds).as_py()
    if least is not None and least < 1_000_000:
        return pa.array([None if each is None else _seconds_text(each) for each in microseconds.to_pylist()], pa.string())
    digits = microseconds.cast(pa.string())
    return pc.binary_join_element_wise(pc.utf8_slice_codeunits(digits, 0, -6), pc.utf8_slice_codeunits(digits, -6), ".")


def _seconds_text(microseconds: int) -> str:
    seconds, rest = divmod(abs(microseconds), 1_000_000)
    return f"{'-' if microseconds < 0 else ''}{seconds}.{rest:06d}"


def _lists(raw: Any, type_name: str, wanted: Any, where: str) -> Any:
    """Lists, from the JSON of arrays."""
    element = type_name.removesuffix("[]")
    is_text = element in ("text", "uuid")
    # what needs a look at each of its characters is rare
    odd = r"\\|null" if is_text else 'true|false|["n]'
    if element == "boolean" or pc.any(pc.match_substring_regex(raw, odd)).as_py() or _is_nested(raw):
        return _lists_one_by_one(raw, element, wanted, where)
    is_empty = pc.equal(raw, "[]")
    edge, comma = (2, '","') if is_text else (1, ",")
    parts = pc.split_pattern(pc.utf8_slice_codeunits(raw, edge, -edge), comma)
    counts = pc.fill_null(pc.list_value_length(parts), 0).to_numpy(zero_copy_only=False)
    # an empty text splits into one
    empty = pc.fill_null(is_empty, False).to_numpy(zero_copy_only=False)
    kept = parts.flatten().filter(pa.array(np.repeat(~empty, counts)))
    offsets = np.concatenate(([0], np.cumsum(np.where(empty, 0, counts)))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), _cast(kept, wanted.value_type, where), type=wanted, mask=pc.is_null(raw))


def _is_nested(raw: Any) -> bool:
    return bool(pc.any(pc.starts_with(raw, "[[")).as_py())


def _lists_one_by_one(raw: Any, element: str, wanted: Any, where: str) -> Any:
    read: Callable[[Any], Any] = (lambda value: value) if element in ("text", "uuid", "boolean") else str
    found = []
    for text in raw.to_pylist():
        values = None if text is None else json.loads(text, parse_float=Decimal)
        if values is not None and any(isinstance(value, list) for value in values):
            raise _unfit(text, wanted, where)
        found.append(None if values is None else [None if value is None else read(value) for value in values])
    if read is not str:
        return pa.array(found, wanted)
    flat = pa.array([value for values in found for value in values or ()], pa.string())
    offsets = np.concatenate(([0], np.cumsum([len(values or ()) for values in found]))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), _cast(flat, wanted.value_type, where), type=wanted, mask=pc.is_null(raw))
