"""The answer in a file: its exact bytes, whatever is around them; and what its shape tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.recording.imports.look import look_at
from pipeline.recording.imports.unwrapping import Missing, answer_of, slice_at, value_at
from pipeline.recording.source_files import SourceFile

EVENT: dict[str, Any] = {"id": "a" * 32, "sport_key": "baseball_mlb", "commence_time": "2026-01-11T18:00:00Z"}
BOOK: dict[str, Any] = {"key": "fanduel", "markets": [{"key": "h2h", "outcomes": []}]}
PRICED = EVENT | {"bookmakers": [BOOK]}
LISTED = EVENT | {"bookmakers": [{"key": "fanduel", "markets": [{"key": "h2h", "last_update": "x"}]}]}
SCORE = EVENT | {"completed": False, "scores": None}


def taken(body: bytes, pointer: str | None = None, line: int | None = None) -> Any:
    return answer_of(SourceFile("a.json", body, line=line), body, pointer)


TEXT = '[ {"id": "ä€😀", "n": 1.50} ]\n'


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_decoded_and_said(encoding: str) -> None:
    answer = taken(TEXT.encode(encoding))
    assert answer.body == TEXT.encode()
    assert len(answer.taken_from) == 1


def test_what_is_the_answer_in_utf_8_is_kept_as_it_is() -> None:
    answer = taken(TEXT.encode())
    assert (answer.body, answer.taken_from, answer.problem) == (TEXT.encode(), (), None)


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"\xef\xbb\xbf<html>", b"\x00\x31", b"", b"\xfe\xff\xd8\x00"])
def test_what_only_begins_like_another_encoding_is_kept_as_it_is(body: bytes) -> None:
    assert (taken(body).body, taken(body).taken_from) == (body, ())


@pytest.mark.parametrize("pointer", ["/data", "/a~1b/~0/2", "/"])
def test_the_exact_bytes_are_cut_out_of_a_wrapper(pointer: str) -> None:
    inner = '[ {"id" : "ä", "n":1.50,"e":1E2}\r\n, {} ]'
    wrappers = {
        "/data": '{"x": "}]\\"", "data" :%s , "z":[[]]}',
        "/a~1b/~0/2": '{"a/b":{"~": [0, {"q":1}, %s]}}',
        "/": '\n{"":%s}\n',
    }
    body = (wrappers[pointer] % inner).encode()
    answer = taken(body, pointer)
    assert answer.body == inner.encode()
    assert answer.taken_from == (f"a wrapper, at {pointer}",)
    assert answer.whole == json.loads(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def places(document: Any, pointer: str = "") -> list[tuple[str, Any]]:
    found = [(pointer, document)]
    items = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    for key, value in items:
        found += places(value, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")
    return found


@given(JSON, st.sampled_from([None, 1]), st.booleans())
def test_every_place_of_every_document_is_cut_out(document: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    for pointer, value in places(document):
        assert json.loads(slice_at(text, pointer)) == value == value_at(document, pointer)


@pytest.mark.parametrize(
    ("body", "pointer", "why"),
    [
        (b'{"data": 1, "data": [2]}', "/data", "two things"),
        (b'{"other": 1}', "/data", "nothing is called 'data'"),
        (b'{"data": 1}', "/data/x", "nothing is called 'x'"),
        (b'{"data": [1}', "/data", "it is no JSON"),
        (b"<html>", "/data", "nothing is called"),
        (b'{"data" 1}', "/data", "it is no JSON"),
    ],
)
def test_a_wrapper_without_the_answer_is_told(body: bytes, pointer: str, why: str) -> None:
    assert why in (taken(body, pointer).problem or "")
    with pytest.raises((Missing, ValueError)):
        slice_at(body.decode(), pointer)


def test_an_answer_needs_no_wrapper_even_where_others_have_one() -> None:
    body = json.dumps([PRICED]).encode()
    assert (taken(body, "/data").body, taken(body, "/data").taken_from) == (body, ())


def test_a_line_is_json_or_refused() -> None:
    assert taken(b'[{"a": 1}', line=3).problem is not None
    assert taken(b"7", line=3).problem is not None
    assert taken(b"[]", line=3).problem is None


@pytest.mark.parametrize(
    ("document", "shapes"),
    [
        ([PRICED, EVENT | {"bookmakers": []}], {"odds"}),
        ([EVENT], {"events"}),
        ([SCORE], {"scores"}),
        ([{"key": "a", "group": "b", "active": True}], {"sports"}),
        ([{"full_name": "a", "id": "b"}], {"participants"}),
        ([], {"sports", "events", "odds", "scores", "participants"}),
        (PRICED, {"event_odds"}),
        (LISTED, {"event_markets"}),
        (EVENT | {"bookmakers": []}, {"event_odds", "event_markets"}),
        ({"timestamp": "2026-01-10T18:00:00Z", "data": [PRICED]}, {"historical_odds"}),
        ({"timestamp": 1768068000, "data": [EVENT]}, {"historical_events"}),
        (
            {"timestamp": "2026-01-10T18:00:00Z", "previous_timestamp": None, "data": PRICED, "new": 1},
            {"historical_event_odds"},
        ),
        ({"timestamp": "2026-01-10T18:00:00Z", "data": []}, {"historical_odds", "historical_events"}),
        ({"timestamp": "2026-01-10T18:00:00Z", "remaining": 3, "data": [PRICED]}, set()),
        ([PRICED, EVENT], set()),
        ([EVENT | {"sites": []}], set()),
        ({"a": 1}, set()),
        ("text", set()),
    ],
)
def test_the_shape_tells_the_endpoint(document: Any, shapes: set[str]) -> None:
    assert look_at(document).shapes == shapes


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({"fetched_at": "x", "data": [PRICED]}, "/data"),
        ({"response": {"status": 200, "bo/dy": [SCORE]}}, "/response/bo~1dy"),
        ({"event": PRICED, "other": 1}, "/event"),
        ({"a": [PRICED], "b": [EVENT]}, None),
        ({"data": [{"sites": []}]}, None),
        ({"data": []}, None),
    ],
)
def test_a_wrapper_is_seen_through(document: Any, place: str | None) -> None:
    assert look_at(document).answer_at == place


def test_an_error_of_the_api_is_told_from_answers() -> None:
    assert look_at({"message": "Usage quota", "error_code": "OUT_OF_USAGE_CREDITS"}).error == "OUT_OF_USAGE_CREDITS"
    assert look_at({"message": "no\x1b"}).error == "no\\x1b"
    assert look_at(PRICED | {"message": "x"}).error is None


def test_unix_dates_are_seen() -> None:
    assert look_at([PRICED | {"commence_time": 1768154400}]).unix_dates
    assert look_at({"timestamp": 1768068000, "data": []}).unix_dates
    assert not look_at([PRICED]).unix_dates
