"""The rules about what a valid answer says: each fires on its break, names the market, and knows what is normal."""

from __future__ import annotations

import copy
import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline.contracts.finding import MAX_FINDINGS, Findings
from pipeline.contracts.judgement import Judgement, judge
from pipeline.contracts.rules import RULES
from pipeline.contracts.shapes import ENDPOINT_NAMES, ENVELOPES
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Coverage, Exchange
from pipeline.resources import resource
from tests.contracts.generated import from_schemas, mutated

NOON = dt.datetime(2025, 10, 9, 12, 0, 0, 999999, tzinfo=dt.UTC)
AT = "2025-10-09T11:59:30Z"
ID = "e" * 32
TEAMS = ("Arsenal", "Burnley")


def outcomes(*rows: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(("name", "price", "point"), row, strict=False)) for row in rows]


def event(
    *markets: tuple[str, list[dict[str, Any]]], sport: str = "soccer_epl", teams: Any = TEAMS, at: str = AT
) -> dict[str, Any]:
    shown = [{"key": key, "last_update": at, "outcomes": rows} for key, rows in markets]
    return {
        "id": ID,
        "sport_key": sport,
        "sport_title": "x",
        "commence_time": "2025-10-09T19:00:00Z",
        "home_team": teams[0],
        "away_team": teams[1],
        "bookmakers": [{"key": "pinnacle", "title": "Pinnacle", "last_update": at, "markets": shown}],
    }


def verdict(document: Any, endpoint: str = "odds", **params: str) -> Judgement:
    request = ApiRequest.of(endpoint, sport="upcoming", params=params)
    return judge(Exchange(0, 1, request, Coverage(), NOON, 200, (), json.dumps(document).encode()))


def fired(document: Any, endpoint: str = "odds", **params: str) -> dict[str, str]:
    """Rule → pointer of its one finding."""
    found = verdict(document, endpoint, **params)
    assert found.verdict == ("accepted_with_findings" if found.findings else "accepted")
    assert len({finding.rule for finding in found.findings}) == len(found.findings), found.findings
    return {finding.rule: finding.pointer for finding in found.findings}


WIN = outcomes((TEAMS[0], 2.7), (TEAMS[1], 2.8), ("Draw", 3.4))
TWO = outcomes((TEAMS[0], 1.91), (TEAMS[1], 1.91))
LINES = outcomes((TEAMS[0], 1.91, 1.5), (TEAMS[1], 1.91, -1.5))
TOTAL = outcomes(("Over", 1.91, 2.5), ("Under", 1.91, 2.5))
MARKET = "/0/bookmakers/0/markets/0"


@pytest.mark.parametrize(
    "shown",
    [
        event(("h2h", WIN), ("spreads", LINES), ("totals", TOTAL)),
        event(("h2h", TWO), sport="americanfootball_nfl"),
        event(("h2h", WIN), sport="icehockey_nhl"),
        event(("h2h_lay", TWO), ("h2h_q1", WIN)),
        event(("spreads", outcomes((TEAMS[0], 1.9, 0), (TEAMS[1], 1.9, -0.0)))),
        event(("spreads", outcomes((TEAMS[1], 1.9, -7), (TEAMS[0], 1.9, 7.0)))),
        event(("alternate_spreads", outcomes((TEAMS[0], 1.4, 3.5), (TEAMS[0], 1.9, 1.5), (TEAMS[1], 1.9, -1.5)))),
        event(("alternate_totals", outcomes(("Over", 1.4, 1.5), ("Over", 1.9, 2.5)))),
        event(("player_points", outcomes(("Over", 9.0, 1.5), ("Over", 1.9, 2.5)))),
        event(("something_new", outcomes(("Whatever", 9.0)))),
        event(("outrights", outcomes(("A", 9.0), ("B", 1.2), ("C", 1000))), teams=(None, None)),
        event(),
    ],
)
def test_what_is_normal_in_the_wild_has_no_finding(shown: Any) -> None:
    assert fired([shown]) == {}


@pytest.mark.parametrize(
    ("shown", "rule", "below"),
    [
        (("h2h", TWO), "market.outcome_set", "/outcomes"),
        (("h2h_3_way", TWO), "market.outcome_set", "/outcomes"),
        (("h2h", [*WIN, WIN[2]]), "market.outcome_set", "/outcomes"),
        (("h2h_lay", [*TWO, TWO[0]]), "market.outcome_set", "/outcomes"),
        (("totals", TOTAL[:1]), "market.outcome_set", "/outcomes"),
        (("spreads", []), "market.outcome_set", "/outcomes"),
        (("h2h", [*WIN[:2], {"name": "The Draw", "price": 3.4}]), "market.outcome_names", "/outcomes/2/name"),
        (("h2h_q1", [{"name": "Arsenal FC", "price": 2}, *WIN[1:]]), "market.outcome_names", "/outcomes/0/name"),
        (("spreads", [LINES[0], {**LINES[1], "name": "Draw"}]), "market.outcome_names", "/outcomes/1/name"),
        (("alternate_totals", [{**TOTAL[0], "name": "over"}]), "market.outcome_names", "/outcomes/0/name"),
        (("spreads", [LINES[0], {**LINES[1], "point": 1.5}]), "spreads.points", "/outcomes/1/point"),
        (("totals", [TOTAL[0], {**TOTAL[1], "point": -2.5}]), "totals.points", "/outcomes/1/point"),
        (("totals", [TOTAL[0], {**TOTAL[1], "point": None}]), "market.point_missing", "/outcomes/1"),
        (("alternate_spreads", TWO[:1]), "market.point_missing", "/outcomes/0"),
        (("h2h", outcomes((TEAMS[0], 1.001), (TEAMS[1], 30), ("Draw", 30))), "market.placeholder_price", "/outcomes/0/price"),
        (("outrights", outcomes(("A", 1))), "market.placeholder_price", "/outcomes/0/price"),
        (("h2h", outcomes((TEAMS[0], 9), (TEAMS[1], 9), ("Draw", 9))), "market.overround", "/outcomes"),
        (("totals", outcomes(("Over", 1.5, 2.5), ("Under", 1.5, 2.5))), "market.overround", "/outcomes"),
    ],
)  # fmt: skip
def test_a_break_flags_its_market(shown: Any, rule: str, below: str) -> None:
    found = verdict([event(shown)])
    assert [(finding.rule, finding.pointer) for finding in found.findings] == [(rule, MARKET + below)]
    line = found.findings[0].to_json()
    assert (line["event_id"], line["bookmaker_key"], line["market_key"]) == (ID, "pinnacle", shown[0])
    assert found.document_text is not None


@pytest.mark.parametrize(("price", "found"), [(-100000, True), (-99999, False), (-100001, True), (100, False)])
def test_american_placeholders(price: int, found: bool) -> None:
    rows = outcomes((TEAMS[0], price), (TEAMS[1], 5000), ("Draw", 5000))
    assert ("market.placeholder_price" in fired([event(("h2h", rows))], oddsFormat="american")) is found


@pytest.mark.parametrize(
    ("at", "rule"),
    [
        ("2025-10-09T12:05:00Z", None),
        ("2025-10-09T12:05:01Z", "time.ahead"),
        ("2025-10-09T11:40:00Z", None),
        ("2025-10-09T11:39:59Z", "time.stale"),
    ],
)
def test_times_are_held_to_the_capture(at: str, rule: str | None) -> None:
    shown = event(("h2h", WIN), at=at)
    assert fired([shown]) == ({rule: f"{MARKET}/last_update"} if rule else {})
    del shown["bookmakers"][0]["markets"][0]["last_update"]
    assert fired([shown]) == ({rule: "/0/bookmakers/0/last_update"} if rule else {})
    del shown["bookmakers"][0]["last_update"]
    assert fired(shown, "event_odds") == {}


def test_times_of_history_are_held_to_the_envelope() -> None:
    old = {"timestamp": "2021-10-09T12:00:00Z", "data": [event(("h2h", WIN), at="2021-10-09T12:00:16Z")]}
    assert fired(old, "historical_odds", date="2021-10-09T12:00:00Z") == {}
    assert fired(old, "historical_odds", date="2021-10-09T11:59:59Z") == {"envelope.after_date": "/timestamp"}
    assert fired(old, "historical_odds", date="tomorrow") == {}
    around = {"previous_timestamp": "2021-10-09T11:50:00Z", "next_timestamp": "2021-10-09T12:10:00Z"}
    assert fired({**old, **around}, "historical_odds") == {}
    assert fired({**old, "next_timestamp": "2021-10-09T12:00:00Z"}, "historical_odds") == {
        "envelope.neighbours": "/next_timestamp"
    }


def test_what_is_wrong_with_events() -> None:
    shown = event(("h2h", WIN))
    later = {**shown, "id": "f" * 32, "commence_time": "2025-10-10T19:00:00Z"}
    assert fired([shown, later]) == {}
    assert fired([later, shown]) == {"list.sorted": "/1/commence_time"}
    assert fired([event(teams=("A", "A"))]) == {"event.teams": "/0/away_team"}
    assert fired([event(("h2h", WIN), teams=("A", None))]) == {"event.teams": "/0/away_team"}
    twice = copy.deepcopy(shown)
    twice["bookmakers"] *= 2
    assert fired([twice]) == {"odds.repeated": "/0/bookmakers/1/key"}
    assert fired([event(("h2h", WIN), ("h2h", WIN))]) == {"odds.repeated": "/0/bookmakers/0/markets/1/key"}


def test_scores_are_those_of_the_teams() -> None:
    rows = [{"name": "Arsenal", "score": "1"}, {"name": "Everton", "score": "1"}]
    game = {**event(), "completed": True, "scores": rows, "last_update": "2025-10-09T13:00:00Z"}
    assert fired([game], "scores") == {"time.ahead": "/0/last_update", "scores.names": "/0/scores/1/name"}
    assert fired([{**game, "scores": None, "last_update": None}], "scores") == {}


def test_findings_are_bounded_and_the_rest_is_counted() -> None:
    shown = [event(*[("totals", TOTAL[:1])] * 50)]
    found = verdict(shown).findings
    repeated = [finding for finding in found if finding.rule == "odds.repeated"]
    missing = [finding for finding in found if finding.rule == "market.outcome_set"]
    assert (len(repeated), len(missing)) == (MAX_FINDINGS, MAX_FINDINGS)
    assert (repeated[-1].more, missing[-1].more, repeated[0].more) == (29, 30, 0)
    assert missing[-1].to_json()["more"] == 30
    assert [finding.rule for finding in found] == sorted((f.rule for f in found), key=list(RULES).index)


def test_an_answer_without_breaks_has_no_findings() -> None:
    assert Findings().all() == ()


def test_every_rule_names_a_place_that_is_there() -> None:
    for rule in RULES.values():
        assert rule.endpoints
        assert set(rule.endpoints) <= set(ENDPOINT_NAMES)
        for endpoint in rule.endpoints:
            place = rule.where.replace("{endpoint}", endpoint)
            path = resource(place) if place.startswith("contracts") else resource("contracts").parent / place
            text = path.read_text(encoding="utf-8")
            assert path.suffix == ".json" or f'"{rule.id}"' in text or f'.{rule.id.split(".")[1]}"' in text, rule.id
    assert {rule.id for rule in RULES.values() if rule.endpoints == ENVELOPES} == {"envelope.after_date", "envelope.neighbours"}


@settings(max_examples=200)
@given(answer=from_schemas() | mutated())
def test_no_answer_makes_it_raise(answer: Exchange) -> None:
    found = judge(answer)
    severities = {RULES[finding.rule].severity for finding in found.findings}
    assert ("quarantine" in severities) <= (found.verdict == "quarantined") <= bool({"quarantine", "hold"} & severities)
    assert bool(found.held) == (found.verdict != "quarantined" and "hold" in severities)
    assert (found.verdict == "accepted") == (not severities)
