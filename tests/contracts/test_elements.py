"""What is wrong below the document holds back the smallest element that stands alone; the rest is let in."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.contracts.elements import element_at, original, without
from pipeline.contracts.judgement import judge
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Coverage, Exchange
from tests.contracts.generated import from_schemas, mutated

NOON = dt.datetime(2025, 10, 9, 12, tzinfo=dt.UTC)
AT = "2025-10-09T11:59:30Z"
NFL = "americanfootball_nfl"


def market(key: str) -> dict[str, Any]:
    outcomes = [{"name": name, "price": 1.95, "point": 45.5} for name in ("Over", "Under")]
    if key == "h2h":
        outcomes = [{"name": name, "price": 1.95} for name in ("Giants", "Eagles")]
    return {"key": key, "last_update": AT, "outcomes": outcomes}


def event(number: int) -> dict[str, Any]:
    books = [
        {"key": key, "title": key, "last_update": AT, "markets": [market("h2h"), market("totals")]} for key in ("one", "two")
    ]
    return {
        "id": f"{number:032x}", "sport_key": NFL, "sport_title": "NFL", "commence_time": "2025-10-10T00:15:00Z",
        "home_team": "Giants", "away_team": "Eagles", "bookmakers": books,
    }  # fmt: skip


ODDS = [event(1), event(2), event(3)]
SCORES = [
    {**event(n), "completed": True, "last_update": AT, "scores": [{"name": t, "score": "1"} for t in ("Giants", "Eagles")]}
    for n in (1, 2)
]
SPORTS = [
    {"key": f"sport_{n}", "group": "G", "title": "T", "description": "", "active": True, "has_outrights": False} for n in (1, 2)
]


def exchange(document: Any, endpoint: str = "odds") -> Exchange:
    sport = None if endpoint == "sports" else NFL
    event_id = f"{1:032x}" if endpoint in ("event_odds", "historical_event_odds", "event_markets") else None
    params = {"date": "2025-10-09T12:00:00Z"} if endpoint.startswith("historical") else {}
    request = ApiRequest.of(endpoint, sport=sport, event_id=event_id, params=params)
    return Exchange(0, 1, request, Coverage(sport=sport), NOON, 200, body=json.dumps(document).encode())


def broken(document: Any, *path: str | int, value: Any = None, drop: bool = False) -> Any:
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


MARKET = ("bookmakers", 1, "markets", 0)
HELD = {
    "a price": ((1, *MARKET, "outcomes", 1, "price"), None, "/1/bookmakers/1/markets/0", "market", 2),
    "a name": ((1, *MARKET, "outcomes", 0, "name"), "", "/1/bookmakers/1/markets/0", "market", 2),
    "a point": ((1, "bookmakers", 0, "markets", 1, "outcomes", 0, "point"), "7", "/1/bookmakers/0/markets/1", "market", 2),
    "no list of outcomes": ((1, *MARKET, "outcomes"), {}, "/1/bookmakers/1/markets/0", "market", 0),
    "a market's time": ((1, *MARKET, "last_update"), "yesterday", "/1/bookmakers/1", "bookmaker", 4),
    "a market's key": ((1, *MARKET, "key"), "H 2 H", "/1/bookmakers/1", "bookmaker", 4),
    "a market that is none": ((1, *MARKET), 7, "/1/bookmakers/1", "bookmaker", 2),
    "a book's time": ((1, "bookmakers", 1, "last_update"), 5, "/1/bookmakers/1", "bookmaker", 4),
    "a book's key": ((1, "bookmakers", 1, "key"), None, "/1/bookmakers/1", "bookmaker", 4),
    "a book that is none": ((1, "bookmakers", 1), None, "/1/bookmakers/1", "bookmaker", 0),
    "an id": ((1, "id"), "x", "/1", "event", 8),
    "a team": ((1, "home_team"), 7, "/1", "event", 8),
    "a start": ((1, "commence_time"), None, "/1", "event", 8),
    "no list of books": ((1, "bookmakers"), None, "/1", "event", 0),
    "an event that is none": ((1,), None, "/1", "event", 0),
}


@pytest.mark.parametrize("what", HELD)
def test_the_smallest_element_is_held_back_and_the_rest_is_let_in(what: str) -> None:
    path, value, pointer, kind, outcomes = HELD[what]
    found = judge(exchange(broken(ODDS, *path, value=value)))
    assert found.verdict == "accepted_with_findings"
    assert [(each.pointer, each.kind, each.outcomes) for each in found.held] == [(pointer, kind, outcomes)]
    total = sum(len(m.get("outcomes", ())) for e in ODDS for b in e["bookmakers"] for m in b["markets"])
    assert found.outcomes + outcomes <= total and found.outcomes == 24 - (
        8 if kind == "event" else 4 if kind == "bookmaker" else 2
    )
    assert {each.rule for each in found.findings} == {"schema"}
    assert all(found.holds_back(each) for each in found.findings)
    # of history the same, below its envelope
    envelope = {"timestamp": AT, "data": broken(ODDS, *path, value=value)}
    assert [each.pointer for each in judge(exchange(envelope, "historical_odds")).held] == [f"/data{pointer}"]


def test_what_is_held_back_is_named_as_far_as_it_can_be_told() -> None:
    (held,) = judge(exchange(broken(ODDS, 1, *MARKET, "outcomes", 1, "price"))).held
    assert (held.event_id, held.bookmaker_key, held.market_key) == (f"{2:032x}", "two", "h2h")
    (held,) = judge(exchange(broken(ODDS, 1, "bookmakers", 1, "key", value="T W O"))).held
    assert (held.event_id, held.bookmaker_key) == (f"{2:032x}", None)
    (held,) = judge(exchange(broken(ODDS, 1, "id", value="E" * 32))).held
    assert held.event_id is None


def test_several_are_held_back_in_their_order_and_findings_name_their_places() -> None:
    document = broken(broken(broken(ODDS, 2, "id"), 1, *MARKET, "outcomes", 1, "price"), 0, "bookmakers", 0, "title")
    found = judge(exchange(document))
    assert [each.pointer for each in found.held] == ["/0/bookmakers/0", "/1/bookmakers/1/markets/0", "/2"]
    assert {each.pointer for each in found.findings} == {
        "/0/bookmakers/0/title", "/1/bookmakers/1/markets/0/outcomes/1/price", "/2/id",
    }  # fmt: skip


def test_other_findings_keep_their_places_in_the_body() -> None:
    document = broken(ODDS, 0, "bookmakers", 0, "key")
    document[0]["bookmakers"][1]["markets"][1]["outcomes"][1]["point"] = 44.5
    found = judge(exchange(document))
    assert [(each.rule, each.pointer) for each in found.findings] == [
        ("schema", "/0/bookmakers/0/key"),
        ("totals.points", "/0/bookmakers/1/markets/1/outcomes/1/point"),
    ]


WHOLE = {
    "no list": {"message": "x"},
    "an older shape": {"success": True, "data": ODDS},
    "every event": [broken(each, "id") for each in ODDS],
    "a sport that is none": broken(ODDS, 1, "sport_key", value="N F L"),
    "another sport": broken(ODDS, 1, "sport_key", value="icehockey_nhl"),
    "another sport beside a broken price": broken(
        broken(ODDS, 1, "sport_key", value="icehockey_nhl"), 0, *MARKET, "outcomes", 1, "price"
    ),
}


@pytest.mark.parametrize("what", WHOLE)
def test_what_is_wrong_with_the_document_or_the_sport_holds_the_answer(what: str) -> None:
    found = judge(exchange(WHOLE[what]))
    assert (found.verdict, found.held) == ("quarantined", ())
    assert found.findings


def test_an_answer_about_one_event_stands_without_a_market_or_book_but_not_without_its_event() -> None:
    for endpoint in ("event_odds", "historical_event_odds"):
        wrap = (lambda data: {"timestamp": AT, "data": data}) if endpoint.startswith("historical") else (lambda data: data)
        base = "/data" if endpoint.startswith("historical") else ""
        found = judge(exchange(wrap(broken(ODDS[0], *MARKET, "outcomes", 1, "price")), endpoint))
        assert [each.pointer for each in found.held] == [f"{base}/bookmakers/1/markets/0"]
        assert found.findings[0].pointer == f"{base}/bookmakers/1/markets/0/outcomes/1/price"
        found = judge(exchange(wrap(broken(ODDS[0], "bookmakers", 1, "title")), endpoint))
        assert [each.pointer for each in found.held] == [f"{base}/bookmakers/1"]
        assert judge(exchange(wrap(broken(ODDS[0], "commence_time")), endpoint)).verdict == "quarantined"
    found = judge(exchange(broken(ODDS[0], *MARKET, "key"), "event_markets"))
    assert [each.pointer for each in found.held] == ["/bookmakers/1"]


def test_a_game_and_a_sport_stand_alone_too() -> None:
    found = judge(exchange(broken(SCORES, 0, "scores", 1, "score", value=3), "scores"))
    assert [(each.pointer, each.kind, each.event_id) for each in found.held] == [("/0", "event", f"{1:032x}")]
    found = judge(exchange(broken(SPORTS, 0, "group"), "sports"))
    assert [(each.pointer, each.kind) for each in found.held] == [("/0", "sport")]
    found = judge(exchange([*SPORTS, SPORTS[0]], "sports"))
    assert [each.pointer for each in found.held] == ["/0", "/2"]


def test_of_an_event_that_stands_twice_with_a_broken_price_the_event_is_held_back() -> None:
    document = broken([*ODDS, ODDS[1]], 1, *MARKET, "outcomes", 1, "price")
    found = judge(exchange(document))
    assert [each.pointer for each in found.held] == ["/1", "/3"]
    assert found.outcomes == 16


def test_an_element_is_found_by_its_pointer() -> None:
    for pointer in ("/2", "/2/bookmakers/1", "/2/bookmakers/1/markets/0"):
        element = element_at("odds", ODDS, pointer)
        assert element is not None and element.pointer == pointer and element.event_id == f"{3:032x}"
    assert element_at("odds", ODDS, "/3") is None
    assert element_at("odds", ODDS, "/2/bookmakers") is None
    assert element_at("event_odds", ODDS[0], "/bookmakers/0") is not None
    assert element_at("event_odds", ODDS[0], "") is None


@given(
    st.lists(
        st.sampled_from(["/0", "/2", "/1/bookmakers/0", "/1/bookmakers/1", "/1/bookmakers/1/markets/0", "/2/bookmakers/1"])
    )
)
def test_a_document_without_elements_and_the_places_of_what_is_left(gone: list[str]) -> None:
    rest = without(ODDS, gone)
    for index, kept in enumerate(rest):
        place = original(f"/{index}/bookmakers", gone)
        assert ODDS[int(place.split("/")[1])]["id"] == kept["id"]
        for number, book in enumerate(kept["bookmakers"]):
            _, outer, _, inner = original(f"/{index}/bookmakers/{number}", gone).split("/")
            assert ODDS[int(outer)]["bookmakers"][int(inner)]["key"] == book["key"]


@settings(max_examples=200)
@given(answer=from_schemas() | mutated())
def test_without_what_is_held_back_the_contract_is_kept(answer: Exchange) -> None:
    found = judge(answer)
    if found.held:
        rest = without(found.document, [each.pointer for each in found.held])
        again = judge(Exchange(0, 1, answer.request, answer.coverage, answer.captured_at, 200, body=json.dumps(rest).encode()))
        assert again.verdict != "quarantined" and not again.held
        assert again.outcomes == found.outcomes
