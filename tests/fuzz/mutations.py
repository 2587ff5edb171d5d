"""Broken answers and indices: bytes that are damaged, and documents in which something is other than it was."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any, Final

MOMENTS: Final = (
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"),
    *("1000-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1989-12-31T23:59:59Z", "1990-01-01T00:00:00Z", "2100-12-31T23:59:59Z"),
    *("2101-01-01T00:00:00Z", "2024-02-30T00:00:00Z", "2024-10-27T12:00:60Z", "2016-12-31T23:59:60Z", "2024-10-27T24:00:00Z"),
    *("2024-10-27T12:00:00", "2024-10-27", "2024-10-27T12:00:00.999999999Z", "2024-10-27T12:00:00+02:00", "infinity", "now"),
    *("294277-01-01T00:00:00Z", "4714-11-24T00:00:00Z BC", 0, 1, -1, 1730030400, 1730030400000, 2**31, 2**63, 253402300800),
)
NUMBERS: Final = (
    *(0, -0.0, 1, -1, 100, -100, 101, -101, 1.0, 1.001, 1e-30, 1e30, 1e308, -1e308, 5e-324, 0.1 + 0.2, 999999, 1000000),
    *(2**31 - 1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63, 10**29, 10**40, 10**400, 1.5, 0.5, 99999.99, 100000.5),
)
TEXTS: Final = (
    *(
        "",
        " ",
        "\0",
        "a\0b",
        "\ud800",
        "\udfff\ud800",
        "\ufeff",
        "\u2028",
        "\U0001f600",
        "'; drop table x; --",
        "\\",
        '"',
        "%s",
        "{}",
    ),
    *(
        "null",
        "NaN",
        "true",
        "1",
        "-110",
        "a" * 120,
        "a" * 121,
        "a" * 500,
        "a" * 5_000,
        "x" * 200_000,
        "é" * 400,
        "\x1b[31m",
        "\n",
    ),
    *(
        "h2h",
        "h2h_lay",
        "spreads",
        "totals",
        "outrights",
        "Draw",
        "Over",
        "Under",
        "icehockey_nhl",
        "0" * 32,
        "f" * 32,
        "F" * 32,
    ),
)
OTHERS: Final = (None, True, False, [], {}, [[]], [None], {"": None}, {"a": {"b": []}})


def mutated(body: bytes, chance: random.Random) -> bytes:
    """A body with one to four things wrong: mostly in the document, sometimes in the bytes."""
    if chance.random() < 0.2:
        return damaged(body, chance)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return damaged(body, chance)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        document = changed(document, chance)
    text = written(document)
    return damaged(text, chance) if chance.random() < 0.05 else text


def written(document: Any) -> bytes:
    """The document as JSON; lone surrogates as escapes, as some programs write them."""
    return json.dumps(document).encode()


def damaged(data: bytes, chance: random.Random) -> bytes:
    """The bytes, damaged in one way."""
    at = chance.randrange(len(data) + 1)
    some = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
    flipped = bytearray(data or b" ")
    for _ in range(chance.choice((1, 1, 3, 20))):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    key, _, rest = data.partition(b":")
    escape = chance.choice((b"\\u0000", b"\\ud800", b"\\udc00\\ud800", b"\xed\xa0\x80", b"\xc0\x80"))
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: bytes(flipped),
        lambda: data[:at],
        lambda: data[at:],
        lambda: data[:at] + some + data[at:],
        lambda: b"\xef\xbb\xbf" + data,
        lambda: data.decode("utf-8", "replace").encode("utf-16"),
        lambda: data[:at] + b"\0" + data[at:],
        lambda: data[:at] + escape + data[at:],
        lambda: data.replace(b"1", chance.choice((b"1e999", b"1" * 400, b"-1e-999", b"01", b"0x1", b"1.", b"+1")), 1),
        lambda: data.replace(b"null", chance.choice((b"NaN", b"Infinity", b"-Infinity", b"undefined")), 1),
        lambda: b"[" * chance.choice((50, 101, 5_000, 200_000)) + data,
        lambda: b'{"a":' * chance.choice((50, 101, 5_000)) + data + b"}" * 50,
        lambda: data + data,
        lambda: key + b":1," + key.rpartition(b"{")[2] + b":" + rest,
        lambda: b"",
        lambda: b"null",
        lambda: data + b"\n\x1a",
    )
    return chance.choice(ways)()


def changed(document: Any, chance: random.Random) -> Any:
    """The document with one value changed, gone, repeated, swapped with another one, or new."""
    document = copy.deepcopy(document)
    places = _places(document)
    if not places:
        return chance.choice((*OTHERS, *NUMBERS, *TEXTS))
    # places near the root are few: each depth as often as the others
    depth = chance.choice(sorted({each[2] for each in places}))
    holder, step, _ = chance.choice([each for each in places if each[2] == depth])
    other, elsewhere, _ = chance.choice(places)
    match chance.randrange(9):
        case 0:
            del holder[step]
        case 1 if isinstance(holder, list):
            holder.extend([copy.deepcopy(holder[step])] * chance.choice((1, 1, 2, 50)))
        case 2:
            holder[step], other[elsewhere] = copy.deepcopy(other[elsewhere]), copy.deepcopy(holder[step])
        case 3:
            holder[step] = copy.deepcopy(other[elsewhere])
        case 4:
            holder[step] = chance.choice(OTHERS)
        case 5 if isinstance(holder, dict):
            holder[chance.choice(TEXTS)] = chance.choice((*OTHERS, *NUMBERS, *TEXTS))
        case _:
            holder[step] = _other(holder[step], chance)
    return document


def _other(value: Any, chance: random.Random) -> Any:
    """Another value, mostly of the same kind."""
    if chance.random() < 0.15:
        return chance.choice((*OTHERS, *NUMBERS, *TEXTS, *MOMENTS))
    if isinstance(value, bool) or value is None:
        return chance.choice(OTHERS)
    if isinstance(value, int | float):
        return chance.choice((*NUMBERS, -value, value + 1, value * 10, value % 7, str(value)))
    if isinstance(value, str):
        return chance.choice(
            MOMENTS if value[4:5] == "-" and value[:2] in ("19", "20") else (*TEXTS, value.upper(), value + " ")
        )
    return type(value)()


def _places(value: Any, depth: int = 0) -> list[tuple[Any, Any, int]]:
    """Every (holder, step, depth) of a document."""
    if isinstance(value, dict):
        steps: list[Any] = list(value)
    elif isinstance(value, list):
        steps = list(range(len(value)))
    else:
        return []
    found = [(value, step, depth) for step in steps]
    return found + [place for step in steps for place in _places(value[step], depth + 1)]


# --- smaller -----------------------------------------------------------------------------------------------------


def reduced(data: bytes, fails: Callable[[bytes], bool]) -> bytes:
    """The smallest part of a document, or of bytes that are none, that still fails; as far as ``fails`` lets it go on."""
    try:
        document = json.loads(data)
        if not fails(written(document)):
            raise ValueError
    except (ValueError, RecursionError):
        return bytes(_fewer(list(data), lambda part: fails(bytes(part))))
    again = True
    while again:
        again = False
        # large parts first: whatever goes takes all that is in it
        for path in sorted(_paths(document), key=len):
            smaller = _without(document, path)
            if smaller is not None and fails(written(smaller)):
                document, again = smaller, True
                break
    return written(document)


def _fewer(items: list[Any], fails: Callable[[list[Any]], bool]) -> list[Any]:
    """Delta debugging: the items without which it does not fail."""
    size = max(1, len(items) // 2)
    while True:
        at = 0
        while at < len(items):
            rest = items[:at] + items[at + size :]
            if rest and fails(rest):
                items = rest
            else:
                at += size
        if size == 1:
            return items
        size = max(1, size // 2)


def fewer(items: list[Any], fails: Callable[[list[Any]], bool]) -> list[Any]:
    """The items of a list without which it does not fail."""
    return _fewer(items, fails)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(*path, step) for step in steps] + [each for step in steps for each in _paths(value[step], (*path, step))]


def _without(document: Any, path: tuple[Any, ...]) -> Any:
    smaller = copy.deepcopy(document)
    holder = smaller
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return smaller
