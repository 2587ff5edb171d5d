"""Shapes add up in any order, and each kind of drift is named precisely, where it is news and nowhere else."""

from __future__ import annotations

import copy
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contracts import drift
from pipeline.contracts.drift import Drift, Mark, Shape, compare, lines_of, profile, shape_of, shape_of_failure, union
from pipeline.contracts.drift_store import from_json, to_json
from pipeline.contracts.judgement import schemas
from pipeline.odds_api.api_errors import Failure
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.model import Exchange
from pipeline.recording.store import Recording
from pipeline.resources import resource
from tests.contracts.generated import from_schemas, mutated
from tests.contracts.mutations.answers import good_answers
from tests.contracts.mutations.schema import places
from tests.recordings import unpack

GOOD = good_answers()
NEW, OLD = "20300101T000000Z-new", "20250101T000000Z-old"


def answer(endpoint: str, *having: str) -> Exchange:
    """The fullest answer of an endpoint, whose request and body have these words."""
    found = [
        each
        for each in GOOD
        if each.request.endpoint == endpoint and all(word in each.request.text + (each.body or b"").decode() for word in having)
    ]
    return max(found, key=lambda each: len(each.body or b""))


def shape(exchange: Exchange, batch_id: str = OLD) -> Shape:
    return shape_of(batch_id, exchange, json.loads(exchange.body or b""))


def drifted(exchange: Exchange, change: Callable[[Any], Any], before: Iterable[Shape] = ()) -> tuple[Drift, ...]:
    """What is found when an answer comes changed, after it came as it is (or after something else)."""
    document = copy.deepcopy(json.loads(exchange.body or b""))
    changed = change(document)
    after = shape_of(NEW, exchange, document if changed is None else changed)
    return compare(union(before or (shape(exchange),)), after)


def outcomes(document: Any, market: str) -> list[dict[str, Any]]:
    return [
        outcome
        for event in document
        for book in event["bookmakers"]
        for found in book["markets"]
        if found["key"] == market
        for outcome in found["outcomes"]
    ]


# --- shapes ----------------------------------------------------------------------------------------------------------

exchanges = st.lists(mutated() | from_schemas(), max_size=5)


def shapes_of(given: list[Exchange]) -> list[Shape]:
    return [shape(replace(each, place=place), f"batch-{place % 2}") for place, each in enumerate(given)]


@given(exchanges, st.randoms(use_true_random=False))
def test_a_sum_of_shapes_does_not_know_its_order(given: list[Exchange], random: Any) -> None:
    shapes = shapes_of(given)
    mixed = random.sample(shapes, len(shapes))
    assert union(shapes) == union(mixed)
    cut = random.randint(0, len(shapes))
    assert union([union(shapes[:cut]), union(shapes[cut:])]) == union(shapes)


@given(exchanges)
def test_a_shape_does_not_differ_from_itself_nor_from_what_holds_it(given: list[Exchange]) -> None:
    shapes = shapes_of(given)
    whole = union(shapes)
    assert compare(whole, whole) == ()
    for each in shapes:
        assert compare(whole, each) == ()


@given(exchanges)
def test_a_shape_is_read_back_as_it_was_written(given: list[Exchange]) -> None:
    whole = union(shape(replace(each, place=place)) for place, each in enumerate(given))
    assert from_json(OLD, json.loads(json.dumps(to_json(whole)))) == whole


def test_a_shape_counts_objects_fields_and_words() -> None:
    exchange = answer("odds", "regions=us", "spreads")
    document = json.loads(exchange.body or b"")
    marks, spreads = shape(exchange).marks, outcomes(document, "spreads")
    path = "[].bookmakers[].markets[spreads].outcomes[]"
    assert marks[Mark("place", "odds", path)].times == len(spreads) > 0
    assert marks[Mark("type", "odds", path, "point", "number")].times == len(spreads)
    assert marks[Mark("type", "odds", "", "", "array")].times == 1
    assert marks[Mark("type", "odds", "", "[]", "object")].times == len(document)
    books = {book["key"] for event in document for book in event["bookmakers"]}
    assert {mark.value for mark in marks if mark.kind == "book"} == books
    assert {(mark.path, mark.value) for mark in marks if mark.kind == "sport"} == {("[].sport_key", exchange.request.sport)}
    assert {seen.example for seen in marks.values()} == {(OLD, exchange.place)}


def test_every_key_and_enum_of_the_schemas_is_a_word() -> None:
    key = schemas()["common.schema.json"]["$defs"]["key"]["pattern"]
    watched = 0
    for exchange in GOOD:
        found = {mark.value for mark in shape(exchange).marks if mark.kind in drift.WORDS}
        schema = schemas()[f"{exchange.request.endpoint}.schema.json"]
        for path, node, value in places(schema, json.loads(exchange.body or b"")):
            if value is not None and ("enum" in node or node.get("pattern") == key):
                assert value in found, (exchange.request.endpoint, path)
                watched += 1
    assert watched > len(GOOD)


# --- each kind -------------------------------------------------------------------------------------------------------

ODDS = answer("odds", "regions=us", "spreads")
SPREADS = "[].bookmakers[].markets[spreads].outcomes[]"


def every(market: str, **values: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        for outcome in outcomes(document, market):
            outcome.update(values)

    return change


def first(market: str, **values: Any) -> Callable[[Any], None]:
    return lambda document: outcomes(document, market)[0].update(values)


def without(path: str, name: str) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        holders = document
        for step in path.split("/") if path else ():
            holders = [item for holder in holders for item in holder[step]]
        for holder in holders:
            del holder[name]

    return change


def renamed(path: str, value: str) -> Callable[[Any], None]:
    """Give the first object of a list another key."""

    def change(document: Any) -> None:
        holder = document[0]
        for step in path.split("/") if path else ():
            holder = holder[step][0]
        holder["sport_key" if "sport_key" in holder else "key"] = value

    return change


@pytest.mark.parametrize(
    ("exchange", "change", "kind", "path", "before", "after"),
    [
        (ODDS, every("spreads", boost=1.1), "field_new", f"{SPREADS}.boost", None, "number"),
        (ODDS, first("spreads", boost=None), "field_new", f"{SPREADS}.boost", None, "null"),
        (ODDS, every("spreads", boost={"of": {"what": [1]}}), "field_new", f"{SPREADS}.boost", None, "object"),
        (ODDS, lambda document: document[0].update({"a.b []": 1}), "field_new", "[].'a.b []'", None, "number"),
        (ODDS, without("bookmakers", "last_update"), "field_gone", "[].bookmakers[].last_update", "string", None),
        (ODDS, first("spreads", price="1.9"), "type_changed", f"{SPREADS}.price", "number", "string"),
        (ODDS, first("spreads", point=True), "type_changed", f"{SPREADS}.point", "number", "boolean"),
        (ODDS, lambda document: document.append(None), "type_changed", "[]", "object", "null"),
        (ODDS, lambda document: {"message": "no"}, "type_changed", "", "array", "object"),
        (ODDS, renamed("", "quidditch"), "sport_new", "[].sport_key", None, "quidditch"),
        (ODDS, renamed("bookmakers", "wizbet"), "book_new", "[].bookmakers[].key", None, "wizbet"),
        (ODDS, renamed("bookmakers/markets", "snitch"), "market_new", "[].bookmakers[].markets[].key", None, "snitch"),
        (answer("sports"), renamed("", "quidditch"), "sport_new", "[].key", None, "quidditch"),
        (
            answer("sports"),
            lambda document: document[0].update(group="Quidditch"),
            "enum_value_new",
            "[].group",
            None,
            "Quidditch",
        ),
    ],
)
def test_a_change_is_named_alone(
    exchange: Exchange, change: Callable[[Any], Any], kind: str, path: str, before: str | None, after: str | None
) -> None:
    endpoint = drift._label(exchange.request)
    batch_id = OLD if kind == "field_gone" else NEW
    assert drifted(exchange, change) == (Drift(kind, endpoint, path, before, after, batch_id, exchange.place),)


def failed(code: str, body: bytes | None = None, status: int | None = 422) -> Exchange:
    return replace(ODDS, status=status, headers=(), body=body, failure=Failure(code, "no"))


@pytest.mark.parametrize(
    ("exchange", "code"),
    [
        (failed("INVALID_MARKET"), "INVALID_MARKET"),
        (failed("HTTP_503", b"<html>", 503), "HTTP_503"),
        # a code that the client has no name for yet
        (failed("HTTP_422", b'{"message": "no", "error_code": "MOON_PHASE"}'), "MOON_PHASE"),
        (failed("HTTP_422", b'{"message": "no", "error_code": "of any form"}'), "HTTP_422"),
    ],
)
def test_a_new_error_code(exchange: Exchange, code: str) -> None:
    after = shape_of_failure(NEW, exchange)
    assert compare(shape(ODDS), after) == (Drift("error_code_new", "odds", "", None, code, NEW, ODDS.place),)
    assert compare(union([shape(ODDS), after]), after) == ()
    assert compare(shape(answer("scores")), after) == ()  # that endpoint was never asked


def test_a_request_without_any_answer_shows_nothing() -> None:
    assert shape_of_failure(NEW, failed("TIMEOUT", None, None)) == Shape({})


# --- what is no drift ------------------------------------------------------------------------------------------------


def test_values_are_no_drift() -> None:
    assert drifted(ODDS, every("spreads", price=-2.5, point=4, name="Nobody")) == ()


def test_what_only_some_objects_had_may_go() -> None:
    def halve(document: Any) -> None:
        for outcome in outcomes(document, "spreads")[::2]:
            del outcome["point"]

    document = json.loads(ODDS.body or b"")
    halve(document)
    some = shape_of(OLD, ODDS, document)
    bare = copy.deepcopy(document)
    for outcome in outcomes(bare, "spreads"):
        outcome.pop("point", None)
    assert compare(some, shape_of(NEW, ODDS, bare)) == ()
    # and those that some have were there before
    assert compare(shape(ODDS), some) == ()


def test_too_few_objects_prove_nothing() -> None:
    def some(count: int, **more: Any) -> Shape:
        return shape_of(OLD, answer("participants"), [{"id": f"par_{number}", **more} for number in range(count)])

    enough = drift.ENOUGH
    assert [each.path for each in compare(some(enough, full_name="X"), some(enough))] == ["[].full_name"]
    assert compare(some(enough - 1, full_name="X"), some(enough)) == ()
    assert compare(some(enough, full_name="X"), some(enough - 1)) == ()


def test_an_empty_answer_proves_nothing() -> None:
    assert drifted(ODDS, lambda document: []) == ()
    assert drifted(ODDS, lambda document: None, [shape(replace(ODDS, body=b"[]"))]) == ()


def test_a_new_market_has_no_new_fields() -> None:
    def change(document: Any) -> None:
        market = {"key": "snitch", "last_update": "2025-01-01T00:00:00Z", "outcomes": [{"who": "Harry", "odd": 1}]}
        document[0]["bookmakers"][0]["markets"].append(market)

    assert [each.kind for each in drifted(ODDS, change)] == ["market_new"]


def test_items_are_no_field() -> None:
    """Where an object was and a list comes, its items are not new as well."""
    found = compare(shape_of(OLD, ODDS, {"message": "no"}), shape(ODDS))
    assert [(each.kind, each.path) for each in found if each.kind.startswith(("field", "type"))] == [("type_changed", "")]


def test_a_market_is_compared_with_itself() -> None:
    """Totals always had a point; head to head never had."""
    assert [each.path for each in drifted(ODDS, every("h2h", point=1))] == [SPREADS.replace("spreads", "h2h") + ".point"]


def test_what_was_never_asked_is_not_new() -> None:
    before = shape(ODDS)
    for endpoint in ("scores", "sports", "participants", "event_markets"):
        assert [each for each in compare(before, shape(answer(endpoint))) if each.kind.startswith(("field", "type"))] == []
    # a catalogue that is read for the first time names hundreds of keys
    for endpoint in drift.CATALOGUES:
        assert compare(before, shape(answer(endpoint))) == ()


def test_parameters_that_add_fields_make_another_endpoint() -> None:
    plain, full = answer("odds", "mma"), answer("odds", "includeLinks=true")
    assert drift._label(full.request) == "odds?includeBetLimits&includeLinks&includeSids"
    assert [each for each in compare(shape(plain), shape(full)) if each.kind.startswith(("field", "type"))] == []


def test_a_word_is_told_once() -> None:
    sides = []
    for name in (str(ODDS.request.sport), "quidditch"):
        answers = (ODDS, answer("scores"))
        bodies = [(each.body or b"").decode().replace(str(each.request.sport), name).encode() for each in answers]
        sides.append(union(shape(replace(each, body=body)) for each, body in zip(answers, bodies, strict=True)))
    assert [(each.kind, each.endpoint, each.after) for each in compare(*sides)] == [("sport_new", "odds", "quidditch")]


def test_words_are_known_wherever_they_were_seen() -> None:
    event_odds = answer("event_odds", "player_points")
    assert any(each.kind == "market_new" for each in compare(shape(ODDS), shape(event_odds)))
    listed = shape(answer("event_markets"))
    known = {mark.value for mark in listed.marks if mark.kind == "market"}
    found = compare(union([shape(ODDS), listed]), shape(event_odds))
    assert known & {each.after for each in found if each.kind == "market_new"} == set()


# --- whatever comes --------------------------------------------------------------------------------------------------


def test_a_nonsensical_answer_has_a_small_shape() -> None:
    wide = {f"{number:04}" + "ä" * 100: {f"f{inner}": [inner] for inner in range(200)} for number in range(3000)}
    deep: Any = 1
    for _ in range(90):
        deep = {"a.b": [deep]}
    odd: list[Any] = [[[[[]]]], None, 1, "x", [1, None, {}], {"": {"": ""}}, [{"sport_key": "x" * 10**6}, {"sport_key": {}}]]
    for document in (wide, [wide], deep, *odd):
        found = shape_of(NEW, ODDS, document)
        assert len(found.marks) <= drift.MAX_PLACES * (drift.MAX_FIELDS + 2)
        assert all(len("".join(mark)) < 700 for mark in found.marks)
        assert compare(found, found) == ()


def test_only_so_many_places_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MAX_PLACES", 5)
    found = shape_of(NEW, ODDS, {f"f{number}": {"inner": number} for number in range(50)})
    assert len({mark.path for mark in found.marks}) == 5


def test_names_that_are_cut_alike_are_counted_together() -> None:
    found = shape_of(NEW, ODDS, {"a" * 99 + "1": 1, "a" * 99 + "2": 1})
    assert found.marks[Mark("type", "odds", "", "'" + "a" * drift.MAX_NAME + "'", "number")].times == 2


# --- lines -----------------------------------------------------------------------------------------------------------


def test_words_and_markets_that_drift_alike_share_a_line() -> None:
    path = "[].bookmakers[].markets[{}].outcomes[].boost"
    drifts = [Drift("field_new", "odds", path.format(market), None, "number", NEW, 3) for market in ("h2h", "spreads")]
    drifts += [Drift("book_new", "odds", "[].bookmakers[].key", None, f"book_{number}", NEW, number) for number in range(10)]
    drifts.append(Drift("type_changed", "odds", "", "array", "object", NEW, 1))
    drifts.append(Drift("field_gone", "odds", "[].x", "null", None, OLD, 2))
    books = ", ".join(f"book_{number}" for number in range(8))
    assert lines_of(drifts, NEW) == [
        "field_new odds [].bookmakers[].markets[*].outcomes[].boost: number (h2h, spreads), e.g. place 3",
        f"book_new odds [].bookmakers[].key: {books} and 2 more, e.g. place 0",
        "type_changed odds: array → object, e.g. place 1",
        f"field_gone odds [].x: null, e.g. {OLD} place 2",
    ]


# --- recordings ------------------------------------------------------------------------------------------------------


def news(recording: Recording) -> dict[str, list[str]]:
    """What each batch brings that none before it had, in lines."""
    known, found = Shape({}), {}
    for batch in recording.batches():
        here = profile(batch)
        lines = lines_of(compare(known, here), batch.batch_id)
        if lines:
            found[batch.batch_id] = lines
        known = union([known, here])
    return found


def test_the_bundled_recording_has_little_drift() -> None:
    assert news(Recording.open(resource("fixtures/recordings/simulated"))) == {
        "20241026T004500Z-e9d41b95e35d": [
            "type_changed scores [].last_update: null → string, e.g. place 3",
            "type_changed scores [].scores: null → array, e.g. place 3",
        ],
        "20241026T103000Z-d203a1349ab7": ["market_new event_odds bookmakers[].markets[].key: btts, player_shots, e.g. place 2"],
        "20241026T104500Z-d489c1689fad": ["book_new odds [].bookmakers[].key: paddypower, e.g. place 1"],
        "20241026T190000Z-f9496b889324": ["error_code_new event_odds: EVENT_NOT_FOUND, e.g. place 5"],
    }


# What real batches brought: nothing that is not news.
# Of each recording every so many files, and what its batches brought: nothing that is not news.
RECORDED: dict[str, tuple[int, dict[str, Any], list[str]]] = {
    "nfl_week6_2025": (8, {"endpoints": ["odds"]}, []),
    "worldcup_quarterfinals_2026": (8, {"endpoints": ["odds"]}, ["book_new odds [].bookmakers[].key: lowvig, e.g. place 0"]),
    "nba_historical_2023": (1, {}, ["book_new historical_odds data[].bookmakers[].key: wynnbet, e.g. place 1"]),
    # the wrong file is a list where an event was asked for
    "nhl_four_endpoints_2025": (
        1,
        {},
        [
            "book_new event_odds bookmakers[].key: williamhill_us, e.g. place 3",
            "sport_new sports [].key: cricket_odi, soccer_france_ligue_two, e.g. place 0",
            "type_changed event_odds: object → array, e.g. place 3",
        ],
    ),
}


@pytest.mark.recorded
@pytest.mark.parametrize("name", RECORDED)
def test_real_recordings_bring_no_noise(name: str, recorded_dir: Path, tmp_path: Path) -> None:
    step, declared, lines = RECORDED[name]
    with tarfile.open(recorded_dir / f"{name}.tar.xz") as archive:
        files = sorted((file for file in archive.getmembers() if file.name.endswith(".json")), key=lambda file: file.name)
        unpack(archive, tmp_path / "answers", files[::step])
    import_recording(tmp_path / "answers", tmp_path / "recording", ImportOptions.parse(**declared))
    found = news(Recording.open(tmp_path / "recording"))
    assert [line for each in found.values() for line in each] == lines


@pytest.mark.recorded
def test_an_answer_from_2021_against_one_from_2023(recorded_dir: Path, tmp_path: Path) -> None:
    declared: dict[str, Any] = {
        "outrights_and_lay_2021": {"captured_at": "2021-11-11T12:00:00Z"},
        "nfl_decimal_repeats_2023": {"endpoints": ["odds"]},
    }
    shapes = []
    for name, options in declared.items():
        import_recording(recorded_dir / f"{name}.tar.xz", tmp_path / name, ImportOptions.parse(**options))
        recording = Recording.open(tmp_path / name)
        shapes.append(profile(recording.read(recording.batch_ids[0])))
    old, new = shapes
    assert [(each.kind, each.path) for each in compare(old, new) if each.kind.startswith(("field", "type"))] == [
        ("field_new", "[].bookmakers[].markets[].last_update")
    ]
    assert [(each.kind, each.path) for each in compare(new, old) if each.kind.startswith(("field", "type"))] == [
        ("field_gone", "[].bookmakers[].markets[].last_update"),
        ("field_new", "[].has_outrights"),
        ("type_changed", "[].away_team"),
        ("type_changed", "[].home_team"),
    ]
