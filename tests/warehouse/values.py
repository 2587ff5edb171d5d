"""What a column of each type may hold, and every engine of ours has a text for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from hypothesis import strategies as st

# texts that some engine's quoting might stumble over, and others
TEXTS: Final = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    [
        "",
        "NULL",
        "null",
        "a'b",
        'a"b',
        "a\\b",
        "\\'",
        "a,b",
        '","',
        "a\nb",
        "\r\n",
        "\x01\x1f",
        "ß→🏈",
        "{}",
        "[]",
        '["x"]',
        "\\.",
    ]
)


def numbers(digits: int, places: int) -> st.SearchStrategy[Decimal]:
    """Finite ones, of so many digits."""
    most = 10**digits - 1
    return st.integers(-most, most).map(lambda units: Decimal(units).scaleb(-places))


# of types of which every engine holds all values
FINITE: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "text": TEXTS,
    "uuid": st.uuids(),
    "boolean": st.booleans(),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "text[]": st.lists(st.none() | TEXTS, max_size=4),
    "uuid[]": st.lists(st.none() | st.uuids(), max_size=3),
    "integer[]": st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=4),
    "boolean[]": st.lists(st.none() | st.booleans(), max_size=3),
}
DATES: Final = st.dates()
TIMES: Final = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31), timezones=st.just(dt.UTC))
