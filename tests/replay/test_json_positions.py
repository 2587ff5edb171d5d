"""Where a value stands in the bytes of a JSON document, held against Python's own reading of it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.replay.json_positions import Range, find_object, locate, value_at

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=6) | st.sampled_from(
    ["", "a/b", "m~n", "é", "\x85", '"', "\\", "id"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=25,
)


def written(value: Any, chance: random.Random, is_ascii: bool) -> str:
    """JSON with spaces wherever they may be, and now and then a key that stands twice."""

    def space() -> str:
        return chance.choice(["", "", " ", "\n  ", "\t", "\r\n"])

    def text(word: str) -> str:
        return json.dumps(word, ensure_ascii=is_ascii if chance.random() < 0.8 else not is_ascii)

    if isinstance(value, list):
        return f"[{space()}" + ",".join(f"{space()}{written(item, chance, is_ascii)}{space()}" for item in value) + "]"
    if isinstance(value, dict):
        members = [(name, written(inner, chance, is_ascii)) for name, inner in value.items()]
        if members and chance.random() < 0.3:
            members.insert(0, (members[-1][0], '{"not": [this]}'.replace("this", '"one"')))
        inside = ",".join(f"{space()}{text(name)}{space()}:{space()}{inner}{space()}" for name, inner in members)
        return f"{{{space()}{inside}}}"
    return json.dumps(value, ensure_ascii=is_ascii) if not isinstance(value, str) else text(value)


def pointers(value: Any, base: str = "") -> list[str]:
    found = [base]
    if isinstance(value, list):
        found += [each for place, item in enumerate(value) for each in pointers(item, f"{base}/{place}")]
    elif isinstance(value, dict):
        for name, inner in value.items():
            found += pointers(inner, f"{base}/{name.replace('~', '~0').replace('/', '~1')}")
    return found


@settings(max_examples=300, deadline=None)
@given(VALUES, st.randoms(use_true_random=False), st.booleans())
def test_the_bytes_of_every_value_are_that_value(value: Any, chance: random.Random, is_ascii: bool) -> None:
    body = f" {written(value, chance, is_ascii)}\n".encode()
    whole = json.loads(body)
    assert whole == value
    for pointer in pointers(value):
        found = locate(body, pointer)
        assert json.loads(found.of(body)) == value_at(whole, pointer), pointer
        # nothing around it
        assert found.of(body) == found.of(body).strip()


@settings(max_examples=100, deadline=None)
@given(VALUES, VALUES, st.randoms(use_true_random=False))
def test_a_range_within_a_value_leads_on(outer: Any, inner: Any, chance: random.Random) -> None:
    body = written({"a": [outer, inner]}, chance, True).encode()
    first = locate(body, "/a/1")
    for pointer in pointers(inner):
        assert locate(body, pointer, first) == locate(body, f"/a/1{pointer}")


@pytest.mark.parametrize("pointer", ["/b", "/a/3", "/a/x", "/a/01", "/a/-1", "/a/0/c", "/d/0", "/e/0"])
def test_what_is_not_there_is_an_error(pointer: str) -> None:
    with pytest.raises(LookupError):
        locate(b'{"a": [1, 2, {"b": 3}], "d": [], "e": "x"}', pointer)


@pytest.mark.parametrize("body", [b'{"a" 1}', b'{"a": [1,,2]}', b"[" * 100_000, b'{"a": tru}'])
def test_what_is_no_json_is_an_error(body: bytes) -> None:
    with pytest.raises((ValueError, LookupError)):
        locate(body, "/a/1" if body[:1] == b"{" else "")


def test_an_object_is_found_by_its_id() -> None:
    body = '[{"id": "aa", "x": "é"}, {\n "id":"bb" , "y": [{"id": "cc"}]}]'.encode()
    for event_id in ("aa", "bb", "cc"):
        found = find_object(body, "id", event_id)
        assert found is not None and json.loads(found.of(body))["id"] == event_id
    assert find_object(body, "id", "aa") == locate(body, "/0")
    assert find_object(body, "id", "bb") == locate(body, "/1")


@pytest.mark.parametrize(
    "body",
    [
        b'[{"id": "a"}, {"id": "b"}, "a"]',  # the text stands twice
        b'[{"x": 1, "id": "a"}]',  # not its first member
        b'[{"id": "a", "id": "b"}]',  # the last one counts
        b'[{"id": "b", "x": "a"}]',
        b'[{"id": "b"}]',
        b'[{"id": "a", "x": ',
    ],
)
def test_an_object_that_is_not_surely_it_is_not_found(body: bytes) -> None:
    assert find_object(body, "id", "a") is None


def test_a_key_is_read_as_utf_8_and_not_by_its_bytes() -> None:
    body = '{"é": 1, "\\u00e8": 2}'.encode()
    assert locate(body, "/é").of(body) == b"1" and locate(body, "/è").of(body) == b"2"
    with pytest.raises(LookupError):
        locate(body, "/Ã©")


def test_a_range_moves() -> None:
    assert Range(2, 5).moved(3) == Range(5, 8)
