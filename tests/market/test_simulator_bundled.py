"""The bundled recording's batches really show what they were chosen for."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from pipeline.market.simulator import SimulatedMarket, bundled
from pipeline.market.simulator.bundled import BundledBatch, bundled_batches
from pipeline.odds_api.endpoints import ENDPOINTS, cost
from pipeline.odds_api.request import ApiRequest


@dataclass(frozen=True)
class Exchange:
    """A request of a batch and its answer."""

    batch: BundledBatch
    request: ApiRequest
    status: int
    size: int
    last: str
    document: Any


@cache
def exchanges() -> tuple[Exchange, ...]:
    market = SimulatedMarket(bundled.SEED)
    found = []
    for batch in bundled_batches():
        for request in batch.requests:
            answer = market.answer(request, batch.asked_at)
            last = dict(answer.headers)["x-requests-last"]
            found.append(Exchange(batch, request, answer.status, len(answer.body), last, json.loads(answer.body)))
    return tuple(found)


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def of(endpoint: str, sport: str | None = None) -> list[Exchange]:
    return [e for e in exchanges() if e.request.endpoint == endpoint and e.request.sport == (sport or e.request.sport)]


def shown(event_id: str, endpoint: str) -> list[dict[str, Any] | None]:
    """The event in each answer of an endpoint that covered it, in order of time; None where it was not there."""
    found: list[dict[str, Any] | None] = []
    sport = next(x.request.sport for x in exchanges() if event_id in (x.request.param("eventIds") or "").split(","))
    for exchange in of(endpoint, sport):
        asked = exchange.request.param("eventIds")
        if asked is None or event_id in asked.split(","):
            found.append(next((event for event in exchange.document if event["id"] == event_id), None))
    return found


def markets() -> list[tuple[Exchange, dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """(exchange, event, book, market) of all odds answers at their own time."""
    return [
        (exchange, event, book, market)
        for exchange in exchanges()
        if exchange.status == 200 and exchange.request.endpoint in ("odds", "event_odds")
        for event in (exchange.document if isinstance(exchange.document, list) else [exchange.document])
        for book in event["bookmakers"]
        for market in book["markets"]
    ]


def test_about_two_dozen_batches_of_every_endpoint_and_moderate_size() -> None:
    batches = bundled_batches()
    assert 22 <= len(batches) <= 28
    assert {exchange.request.endpoint for exchange in exchanges()} == set(ENDPOINTS)
    assert sum(exchange.size for exchange in exchanges()) <= 2_500_000
    times = [batch.scheduled_at for batch in batches]
    assert times == sorted(set(times)), "each batch has its own time"
    assert all(len(set(batch.requests)) == len(batch.requests) for batch in batches)


def test_historical_batches_stand_apart_under_their_envelopes_time() -> None:
    for batch in bundled_batches():
        kinds = {request.endpoint.startswith("historical") for request in batch.requests}
        assert kinds == {batch.is_historical}
        assert batch.asked_at >= batch.scheduled_at
    for exchange in exchanges():
        if exchange.batch.is_historical:
            assert _time(exchange.document["timestamp"]) == exchange.batch.scheduled_at
            assert exchange.document["data"]
            asked = exchange.request.param("date")
            assert asked is not None and _time(asked) > exchange.batch.scheduled_at
        else:
            assert exchange.batch.asked_at == exchange.batch.scheduled_at


def test_parameters_are_those_that_the_endpoints_have() -> None:
    for exchange in exchanges():
        row = ENDPOINTS[exchange.request.endpoint]
        assert {name for name, _ in exchange.request.params} <= set(row.params)
        for _, value in exchange.request.params:
            assert value == ",".join(sorted(value.split(",")))


def test_credits_follow_the_cost_rules() -> None:
    for exchange in exchanges():
        expected = cost(exchange.request, exchange.document) if exchange.status == 200 else 0
        assert exchange.last == str(expected), exchange.request.text


def test_there_is_something_before_during_and_after() -> None:
    phases: Counter[str] = Counter()
    for exchange, event, _, _ in markets():
        phases["live" if _time(event["commence_time"]) <= exchange.batch.asked_at else "pre"] += 1
    assert phases["live"] > 300 and phases["pre"] > 1000
    assert {exchange.request.sport for exchange in of("odds") if exchange.document} >= {
        bundled.NFL,
        bundled.NBA,
        bundled.MLB,
        bundled.EPL,
        bundled.GOLF,
        bundled.MMA,
        "upcoming",
    }


def test_starts_are_nudged_and_rewritten_to_the_true_one() -> None:
    early = [_time(event["commence_time"]) for event in shown(bundled.NFL_EARLY, "events") if event]
    assert early[0] < bundled_kickoff() and bundled_kickoff() in early
    assert early[-1].second != 0 and len(set(early)) >= 4
    rewritten = 0
    for event_id in (bundled.NFL_EARLY, bundled.NFL_FLAPPED, bundled.NFL_LATE, bundled.NBA_PROPS, bundled.NBA_OTHER):
        starts = [_time(event["commence_time"]) for event in shown(event_id, "odds") if event]
        rewritten += starts[0].second == 0 and starts[-1].second != 0
    assert rewritten >= 4


def bundled_kickoff() -> dt.datetime:
    return dt.datetime(2024, 10, 27, 17, tzinfo=dt.UTC)


def test_an_event_vanishes_before_its_start_and_returns_under_its_id() -> None:
    seen = [event is not None for event in shown(bundled.NFL_WITHDRAWN, "odds")]
    text = "".join("x" if there else "." for there in seen)
    assert "x.." in text and text.startswith("x") and text.endswith("x")
    events = "".join("x" if event else "." for event in shown(bundled.NFL_WITHDRAWN, "events"))
    assert events.startswith("x") and "." in events and events.endswith("x")


def test_one_game_is_carried_on_under_a_second_id() -> None:
    first, second = shown(bundled.NBA_FIRST_ID, "odds"), shown(bundled.NBA_SECOND_ID, "odds")
    both = [(one is not None, two is not None) for one, two in zip(first, second, strict=True)]
    assert [pair for place, pair in enumerate(both) if place == 0 or pair != both[place - 1]] == [
        (True, False),
        (True, True),
        (False, True),
    ]
    one, two = next(event for event in first if event), next(event for event in second if event)
    assert (one["home_team"], one["away_team"]) == (two["home_team"], two["away_team"])
    assert abs(_time(one["commence_time"]) - _time(two["commence_time"])) <= dt.timedelta(hours=6)


def test_a_doubleheader_is_listed_under_two_ids_and_played_twice() -> None:
    pairs = [shown(event_id, "odds")[0] for event_id in bundled.MLB_DOUBLE]
    assert all(pairs) and len({(e["home_team"], e["away_team"]) for e in pairs if e}) == 1
    scores = {row["id"]: row for row in of("scores", bundled.MLB)[-1].document}
    assert all(scores[event_id]["completed"] for event_id in bundled.MLB_DOUBLE)


def test_a_book_drops_out_and_rejoins() -> None:
    rejoined = set()
    for event_id in (bundled.NFL_EARLY, bundled.NFL_FLAPPED, bundled.NFL_LATE, bundled.NBA_PROPS, bundled.NBA_OTHER):
        history = [{book["key"] for book in event["bookmakers"]} for event in shown(event_id, "odds") if event]
        for key in set().union(*history):
            text = "".join("x" if key in books else "." for books in history).strip(".")
            if "." in text:
                rejoined.add((event_id, key))
    assert rejoined


def test_a_placeholder_stands_on_both_sides_in_play() -> None:
    found = [
        (book["key"], market["key"], market["outcomes"][0]["price"])
        for exchange, event, book, market in markets()
        if _time(event["commence_time"]) <= exchange.batch.asked_at
        and {outcome["price"] for outcome in market["outcomes"]} in ({-100000}, {-10000}, {1.0}, {1.01})
    ]
    assert any(price == -100000 for _, _, price in found), found


def test_a_draw_is_missing() -> None:
    found = Counter(
        len(market["outcomes"])
        for _, event, _, market in markets()
        if event["sport_key"] == bundled.EPL and market["key"] == "h2h"
    )
    assert set(found) == {2, 3} and found[3] > 20 * found[2]


def test_empty_answers() -> None:
    empty = [exchange for exchange in exchanges() if exchange.document == []]
    assert {exchange.request.sport for exchange in empty} >= {"icehockey_nhl", bundled.MLB}
    without = [e for e in of("event_odds") if e.status == 200 and e.document["bookmakers"] == []]
    assert without and all(exchange.last == "0" for exchange in without)


def test_failures_are_events_that_are_not_there() -> None:
    failed = [exchange for exchange in exchanges() if exchange.status != 200]
    assert {exchange.document["error_code"] for exchange in failed} == {"EVENT_NOT_FOUND"}
    assert {exchange.request.event_id for exchange in failed} == {bundled.NFL_WITHDRAWN, bundled.NFL_EARLY}


@pytest.mark.parametrize("sport", [bundled.NFL, bundled.NBA, bundled.MLB, bundled.EPL])
def test_scores_before_the_start_and_finished(sport: str) -> None:
    rows = [row for exchange in of("scores", sport) for row in exchange.document]
    assert any(row["scores"] is None for row in rows)
    assert any(row["completed"] and row["scores"] for row in rows)


def test_every_game_quoted_in_play_has_its_result() -> None:
    final = {row["id"] for exchange in of("scores") for row in exchange.document if row["completed"]}
    assert {bundled.NFL_EARLY, bundled.NFL_FLAPPED, bundled.NFL_LATE, bundled.NBA_PROPS, bundled.NBA_OTHER} <= final
    assert {bundled.NBA_SECOND_ID, bundled.EPL_EARLY, *bundled.MLB_DOUBLE} <= final
    assert bundled.NBA_FIRST_ID not in final


def test_props_hold_repeated_rows_and_many_points() -> None:
    twice, points = 0, 0
    for _, _, _, market in markets():
        if market["key"] == "player_points":
            rows = Counter((o["name"], o["description"], o["point"]) for o in market["outcomes"])
            twice += max(rows.values()) > 1
            lines = Counter((o["name"], o["description"]) for o in market["outcomes"])
            points = max(points, *lines.values())
    assert twice >= 2 and points >= 8


def test_outrights_and_fights_come_with_lay_lists() -> None:
    keys = Counter(market["key"] for _, _, _, market in markets())
    assert keys["outrights"] >= 6 and keys["outrights_lay"] >= 2 and keys["h2h_lay"] >= 10
    for _, event, _, market in markets():
        if market["key"] == "outrights":
            assert event["home_team"] is None and len(market["outcomes"]) >= 60
    limits = [o["bet_limit"] for _, _, _, m in markets() for o in m["outcomes"] if "bet_limit" in o]
    assert limits and None in limits and any(limits)
