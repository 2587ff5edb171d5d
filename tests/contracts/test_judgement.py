"""The answer contracts: what is accepted, what is quarantined and why, and that no bytes make the judge raise."""

from __future__ import annotations

import datetime as dt
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import from_answer
from pipeline.contracts import strict_json
from pipeline.contracts.judgement import ENDPOINT_NAMES, Judgement, contract_version, judge
from pipeline.contracts.rules import RULES
from pipeline.errors import UsageError
from pipeline.odds_api.endpoints import IMPORTED, RECORDED
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.model import Coverage, Exchange, Failure
from pipeline.recording.source_files import Source
from pipeline.recording.store import Recording
from pipeline.resources import resource
from tests.ledgers import BET, PREDICTION

NOON = dt.datetime(2025, 10, 9, 12, tzinfo=dt.UTC)
ID = "e10fe83ee6178a598e7fa84ea0913366"
OTHER_ID = "0" * 32
NFL = "americanfootball_nfl"
AT = "2025-10-09T11:59:30Z"


def event(**more: Any) -> dict[str, Any]:
    fixed = {"id": ID, "sport_key": NFL, "sport_title": "NFL", "commence_time": "2025-10-10T00:15:00Z"}
    return {**fixed, "home_team": "New York Giants", "away_team": "Philadelphia Eagles", **more}


def bookmakers(**more: Any) -> list[dict[str, Any]]:
    outcomes = [
        {"name": "New York Giants", "price": 1.91, "point": 7.0},
        {"name": "Philadelphia Eagles", "price": 2, "point": -7},
    ]
    return [
        {"key": "fanduel", "title": "FanDuel", **more, "markets": [{"key": "spreads", "last_update": AT, "outcomes": outcomes}]}
    ]


def envelope(data: Any) -> dict[str, Any]:
    return {"timestamp": AT, "previous_timestamp": "2025-10-09T11:54:30Z", "next_timestamp": None, "data": data}


def good(endpoint: str) -> Any:
    """A small answer as the API gives it."""
    odds = event(bookmakers=bookmakers(last_update=AT))
    answers: dict[str, Any] = {
        "sports": [
            {
                "key": NFL,
                "group": "American Football",
                "title": "NFL",
                "description": "",
                "active": True,
                "has_outrights": False,
            }
        ],
        "events": [event(home_rotation=101, away_rotation=None)],
        "odds": [odds],
        "event_odds": event(bookmakers=bookmakers()),
        "event_markets": event(bookmakers=[{"key": "fanduel", "title": "x", "markets": [{"key": "h2h", "last_update": AT}]}]),
        "scores": [
            event(completed=False, scores=None, last_update=None),
            event(id=OTHER_ID, completed=True, scores=[{"name": "New York Giants", "score": "17"}], last_update=AT),
        ],
        "participants": [{"id": "par_01hqmkr1xsfxmrj5pdq0f23asx", "full_name": "New York Giants"}],
        "bets": [dict(BET)],
        "predictions": [dict(PREDICTION)],
        "historical_events": envelope([event()]),
        "historical_odds": envelope([odds]),
        "historical_event_odds": envelope(odds),
    }
    return answers[endpoint]


def verdict(
    body: Any, endpoint: str = "odds", *, sport: str | None = NFL, event_id: str | None = None, odds_format: str = "decimal"
) -> Judgement:
    """Judge a document (or bytes) as the answer of a request."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = ApiRequest.of(endpoint, sport=sport, event_id=event_id, params={"oddsFormat": odds_format})
    return judge(Exchange(0, 1, request, Coverage(), NOON, 200, (), data))


def rules(judgement: Judgement) -> set[str]:
    assert (judgement.verdict == "accepted") == (not judgement.findings)
    return {finding.rule for finding in judgement.findings}


def test_there_is_a_contract_for_every_endpoint() -> None:
    assert set(ENDPOINT_NAMES) == set(RECORDED)
    files = {path.name for path in resource("contracts/odds_api").glob("*.schema.json")}
    assert files == {f"{name}.schema.json" for name in RECORDED} | {"common.schema.json"}


def test_the_contracts_are_json_schemas_of_2020_12_that_need_no_network() -> None:
    for path in resource("contracts/odds_api").glob("*.schema.json"):
        schema = json.loads(path.read_text(encoding="utf-8"))
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        assert jsonschema_rs.meta.is_valid(schema)
        assert schema["$id"].endswith(f".invalid/contracts/odds_api/{path.name}")


def test_the_version_names_the_content() -> None:
    number, _, digest = contract_version().partition("+")
    assert number == resource("contracts/odds_api/VERSION").read_text().strip()
    assert len(digest) == 8


@pytest.mark.parametrize("endpoint", RECORDED)
def test_a_good_answer_is_accepted(endpoint: str) -> None:
    found = verdict(good(endpoint), endpoint)
    assert found.findings == ()
    assert found.verdict == "accepted"
    assert found.outcomes == (2 if RECORDED[endpoint].has_markets else 0)
    assert found.document_text is not None
    assert json.loads(found.document_text) == good(endpoint)


@pytest.mark.parametrize("endpoint", [name for name, row in RECORDED.items() if row.shape.endswith("array")])
def test_an_empty_list_is_accepted(endpoint: str) -> None:
    assert verdict(envelope([]) if endpoint.startswith("historical") else [], endpoint).verdict == "accepted"


def test_unknown_fields_are_accepted() -> None:
    answer = good("odds")
    answer[0]["broadcast"] = {"tv": [1, 2.5, None, True]}
    answer[0]["bookmakers"][0]["markets"][0]["outcomes"][0]["odds_boost"] = "yes"
    assert verdict(answer).verdict == "accepted"


@pytest.mark.parametrize(
    ("fields", "is_good"),
    [
        ({"price": -100}, True),
        ({"price": -99.5}, False),
        ({"price": 1.91}, False),
        ({"price": 1.91, "odds_format": "decimal"}, True),
        ({"price": 1, "odds_format": "decimal"}, False),
        ({"price": -110, "odds_format": "decimal"}, False),
        ({"stake": 0}, False),
        ({"stake": "25"}, False),
        ({"ledger": "x" * 121}, False),
        ({"bet_id": ""}, False),
    ],
)
def test_a_bet_that_is_none_is_held_back_and_the_others_are_let_in(fields: dict[str, Any], is_good: bool) -> None:
    found = verdict([{**BET, "bet_id": "other"}, {**BET, **fields}], "bets")
    assert [each.pointer for each in found.held] == ([] if is_good else ["/1"])
    assert {each.kind for each in found.held} <= {"bet"} and found.verdict.startswith("accepted")


def test_a_bet_stands_once_in_its_ledger() -> None:
    found = verdict([BET, {**BET, "ledger": "other"}, {**PREDICTION, **BET, "bet_id": "2"}], "bets")
    assert found.verdict == "accepted"
    found = verdict([BET, {**BET, "stake": 1}, {**BET, "ledger": "other"}], "bets")
    assert (rules(found), [each.pointer for each in found.held]) == ({"identity.duplicate_bet"}, ["/0", "/1"])
    found = verdict([PREDICTION, PREDICTION, {**PREDICTION, "ledger": "other"}], "predictions")
    assert (rules(found), [each.pointer for each in found.held]) == ({"identity.duplicate_prediction"}, ["/0", "/1"])


def test_repeated_outcomes_are_accepted() -> None:
    answer = good("event_odds")
    market = answer["bookmakers"][0]["markets"][0]
    market["key"] = "player_points"
    market["outcomes"] = [{"name": "Over", "description": "J. Doe", "price": price, "point": 4.5} for price in (1.8, 1.9, 1.9)]
    found = verdict(answer, "event_odds")
    assert (found.verdict, found.outcomes) == ("accepted", 3)


def test_every_field_the_contract_requires_is_missed() -> None:
    """Dropping any field of a good answer quarantines it, but for those that the API sends only sometimes."""
    optional = {"last_update", "point", "home_rotation", "away_rotation", "previous_timestamp", "next_timestamp"}
    for endpoint in RECORDED:
        for path in _paths(good(endpoint)):
            if endpoint in IMPORTED and path[-1] == "description":
                continue
            if isinstance(path[-1], str) and (path[-1] not in optional or (endpoint == "scores" and path[-1] == "last_update")):
                answer = good(endpoint)
                del _at(answer, path[:-1])[path[-1]]
                assert rules(verdict(answer, endpoint)) == {"schema"}, (endpoint, path)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [*([path] if path else []), *(found for step, inner in steps for found in _paths(inner, (*path, step)))]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _with(change: Callable[[dict[str, Any]], object]) -> Any:
    answer = good("odds")
    change(answer[0])
    return answer


def _outcome(**fields: Any) -> Any:
    return _with(lambda event: event["bookmakers"][0]["markets"][0]["outcomes"][0].update(fields))


@pytest.mark.parametrize(
    "time_text",
    [
        "2025-02-29T00:00:00Z", "2025-13-01T00:00:00Z", "2025-00-10T00:00:00Z", "2025-04-31T00:00:00Z", "2025-10-09T24:00:00Z",
        "2025-10-09T00:60:00Z", "2016-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "2025-10-09T00:00:00+00:00",
        "2025-10-09 00:00:00Z", "2025-10-09T00:00:00.5Z", "2025-10-09T00:00:00Z\n", "", "2025-10-09", "1760000000", None,
        631151999, 4102444801, 1760000000000, 1760000000.5, -1760000000, True,
    ],
)  # fmt: skip
def test_a_time_that_is_none_is_quarantined(time_text: Any) -> None:
    assert rules(verdict(_with(lambda event: event.update(commence_time=time_text)))) == {"schema"}
    assert rules(verdict({**good("historical_odds"), "timestamp": time_text}, "historical_odds")) == {"schema"}


@pytest.mark.parametrize("time", ["2024-02-29T23:59:59Z", 1709251199, 1709251199.0])
def test_a_leap_day_is_a_time_in_either_date_format(time: Any) -> None:
    assert verdict(_with(lambda event: event.update(commence_time=time))).verdict == "accepted"


@pytest.mark.parametrize("price", [0, 0.5, -0.5, 1e-9, 1000000, -1000000, 1e20, "1.9", None, True, [1.9], {}])
def test_a_price_that_sql_could_not_hold_is_quarantined(price: Any) -> None:
    assert rules(verdict(_outcome(price=price))) == {"schema"}


@pytest.mark.parametrize("price", [1, 1.0, 1.001, 999999, 36.25])
def test_a_decimal_price_is_admitted(price: float) -> None:
    assert "odds.format" not in rules(verdict(_outcome(price=price)))
    assert verdict(_outcome(price=price)).verdict != "quarantined" and not verdict(_outcome(price=price)).held


@pytest.mark.parametrize(("odds_format", "price"), [("decimal", -110), ("decimal", -1), ("american", 1.91), ("american", -99)])
def test_a_price_of_the_other_format_is_found(odds_format: str, price: float) -> None:
    answer = good("odds")
    for outcome in answer[0]["bookmakers"][0]["markets"][0]["outcomes"]:
        outcome["price"] = 150
    assert "odds.format" not in rules(verdict(answer, odds_format=odds_format))
    answer[0]["bookmakers"][0]["markets"][0]["outcomes"][1]["price"] = price
    found = verdict(answer, odds_format=odds_format)
    assert found.verdict == "accepted_with_findings"
    assert [(finding.rule, finding.pointer, finding.value) for finding in found.findings] == [
        ("odds.format", "/0/bookmakers/0/markets/0/outcomes/1/price", str(price))
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"point": 100000},
        {"point": "7"},
        {"name": ""},
        {"name": "x" * 501},
        {"name": None},
        {"description": 7},
        {"link": 7},
        {"sid": []},
        {"bet_limit": "many"},
        {"bet_limit": -1},
        {"multiplier": 1e9},
    ],
)
def test_an_outcome_out_of_bounds_is_quarantined(fields: dict[str, Any]) -> None:
    assert rules(verdict(_outcome(**fields))) == {"schema"}


@pytest.mark.parametrize(
    "fields",
    [
        {"point": None},
        {"point": 2.25},
        {"description": None},
        {"link": None, "sid": None, "bet_limit": None, "multiplier": None},
        {"link": "https://book.example/1", "sid": "1-2", "bet_limit": 2500.5, "multiplier": 0.5},
        {"name": "x" * 500},
    ],
)
def test_an_outcome_within_bounds_is_admitted(fields: dict[str, Any]) -> None:
    assert verdict(_outcome(**fields)).verdict != "quarantined" and not verdict(_outcome(**fields)).held


@pytest.mark.parametrize("key", ["", "H2H", "h 2h", "h2h\n", "hâ", "k" * 121, 7, None])
def test_a_key_that_is_none_is_quarantined(key: Any) -> None:
    assert rules(verdict(_with(lambda event: event["bookmakers"][0]["markets"][0].update(key=key)))) == {"schema"}
    assert rules(verdict(_with(lambda event: event["bookmakers"][0].update(key=key)))) == {"schema"}
    assert "schema" in rules(verdict(_with(lambda event: event.update(sport_key=key)), sport=None))


@pytest.mark.parametrize("event_id", ["E" * 32, "e" * 31, "e" * 33, "e" * 32 + "\n", None, 7])
def test_an_event_id_that_is_none_is_quarantined(event_id: Any) -> None:
    assert rules(verdict(_with(lambda event: event.update(id=event_id)))) == {"schema"}


def test_bookmaker_last_update_is_promised_by_odds_only() -> None:
    answer = good("odds")
    del answer[0]["bookmakers"][0]["last_update"]
    assert rules(verdict(answer)) == {"schema"}
    assert verdict(answer[0], "event_odds").verdict == "accepted"
    assert verdict(envelope(answer[0]), "historical_event_odds").verdict == "accepted"


def test_market_last_update_and_teams_may_be_missing_as_in_old_answers_and_outrights() -> None:
    answer = _with(lambda event: event.update(home_team=None, away_team=None, has_outrights=True))
    del answer[0]["bookmakers"][0]["markets"][0]["last_update"]
    assert verdict(answer).verdict == "accepted"


@pytest.mark.parametrize("scores", [None, [], [{"name": "New York Giants", "score": "0"}]])
def test_scores_may_be_null_empty_or_there(scores: Any) -> None:
    assert verdict([event(completed=False, scores=scores, last_update=None)], "scores").verdict == "accepted"


@pytest.mark.parametrize("scores", ["0", {}, [{"name": "A", "score": 0}], [{"name": "A"}], [None]])
def test_other_scores_are_quarantined(scores: Any) -> None:
    assert rules(verdict([event(completed=False, scores=scores, last_update=None)], "scores")) == {"schema"}


# --- identity --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("endpoint", ["events", "odds", "event_odds", "event_markets", "historical_events", "historical_odds"])
def test_an_answer_about_another_sport_is_quarantined(endpoint: str) -> None:
    found = verdict(good(endpoint), endpoint, sport="icehockey_nhl")
    assert rules(found) == {"identity.sport"}
    assert found.findings[0].value == NFL
    assert found.findings[0].pointer.endswith("/sport_key")
    assert verdict(good(endpoint), endpoint, sport="upcoming").verdict == "accepted"
    assert verdict(good(endpoint), endpoint, sport=None).verdict == "accepted"


@pytest.mark.parametrize("endpoint", ["event_odds", "event_markets", "historical_event_odds"])
def test_an_answer_about_another_event_is_quarantined(endpoint: str) -> None:
    assert rules(verdict(good(endpoint), endpoint, event_id=OTHER_ID)) == {"identity.event"}
    assert verdict(good(endpoint), endpoint, event_id=ID).verdict == "accepted"


@pytest.mark.parametrize("endpoint", ["events", "odds", "scores", "historical_events", "historical_odds"])
def test_an_event_that_stands_twice_is_quarantined(endpoint: str) -> None:
    answer = good(endpoint)
    data = answer["data"] if isinstance(answer, dict) else answer
    data.append(data[0])
    found = verdict(answer, endpoint)
    # which of them is meant nobody can tell
    assert [(finding.rule, finding.value) for finding in found.findings] == [("identity.duplicate_event", ID)] * 2
    base = "/data" if isinstance(answer, dict) else ""
    assert [finding.pointer for finding in found.findings] == [f"{base}/0/id", f"{base}/{len(data) - 1}/id"]
    assert (found.verdict == "quarantined") == (len(data) == 2)  # where nothing else stands
    data.insert(1, {**data[0], "id": "1" * 32})
    found = verdict(answer, endpoint)
    assert found.verdict == "accepted_with_findings"
    assert [each.pointer for each in found.held] == [f"{base}/0", f"{base}/{len(data) - 1}"]


def test_a_sport_or_participant_that_stands_twice_is_quarantined() -> None:
    assert rules(verdict(good("sports") * 2, "sports", sport=None)) == {"identity.duplicate_sport"}
    assert rules(verdict(good("participants") * 2, "participants")) == {"identity.duplicate_participant"}


# --- what is no JSON -------------------------------------------------------------------------------------------------

TEXT = json.dumps(good("odds")).encode()
NOT_STRICT = {
    "empty": (b"", "json.syntax"),
    "blank": (b" \n", "json.syntax"),
    "html": (b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", "json.syntax"),
    "cut off": (TEXT[:-1], "json.syntax"),
    "more after it": (TEXT + b"x", "json.syntax"),
    "progress text before it": (b"  % Total\r\n" + TEXT, "json.syntax"),
    "byte order mark": (b"\xef\xbb\xbf" + TEXT, "json.syntax"),
    "a raw NUL": (TEXT.replace(b"Giants", b"Gi\x00ants"), "json.syntax"),
    "a raw line end in a string": (TEXT.replace(b"Giants", b"Gi\nants"), "json.syntax"),
    "UTF-16": (TEXT.decode().encode("utf-16"), "body.utf8"),
    "Latin-1": (TEXT.replace(b"Giants", b"Gi\xe4nts"), "body.utf8"),
    "a surrogate in UTF-8": (TEXT.replace(b"Giants", b"Gi\xed\xa0\x80nts"), "body.utf8"),
    "a NUL": (TEXT.replace(b"Giants", b"Gi\\u0000ants"), "json.nul"),
    "a NUL in a key": (TEXT.replace(b'"id"', b'"x\\u0000": 1, "id"'), "json.nul"),
    "a lone surrogate": (TEXT.replace(b"Giants", b"Gi\\ud800ants"), "json.surrogate"),
    "a lone low surrogate": (TEXT.replace(b"Giants", b"Gi\\uDfffants"), "json.surrogate"),
    "surrogates in the wrong order": (TEXT.replace(b"Giants", b"\\ude00\\ud83d"), "json.surrogate"),
    "NaN": (TEXT.replace(b"1.91", b"NaN"), "json.constant"),
    "Infinity": (TEXT.replace(b"1.91", b"Infinity"), "json.constant"),
    "-Infinity": (TEXT.replace(b"1.91", b"-Infinity"), "json.constant"),
    "60 digits": (TEXT.replace(b"1.91", b"1" * 60), "json.number"),
    "60 digits after the point": (TEXT.replace(b"1.91", b"1." + b"1" * 60), "json.number"),
    "6000 digits": (TEXT.replace(b"1.91", b"-" + b"1" * 6000), "json.number"),
    "a large exponent": (TEXT.replace(b"1.91", b"1e999999"), "json.number"),
    "a small exponent": (TEXT.replace(b"1.91", b"1E-999999"), "json.number"),
    "a monstrous exponent": (TEXT.replace(b"1.91", b"1e" + b"9" * 5000), "json.number"),
    "a key twice": (TEXT.replace(b'"id"', b'"id": "x", "id"'), "json.duplicate_key"),
    "a key twice, once escaped": (TEXT.replace(b'"id"', b'"i\\u0064": "x", "id"'), "json.duplicate_key"),
    "a key twice deep inside": (TEXT.replace(b'"price"', b'"price": 1, "price"', 1), "json.duplicate_key"),
    "too deep": (b"[" * 101 + b"]" * 101, "json.depth"),
    "too deep in objects": (b'{"a":' * 101 + b"1" + b"}" * 101, "json.depth"),
    "too deep and mixed": (b'[{"a":' * 51 + b"1" + b"}]" * 51, "json.depth"),
    "too deep beside": (b"[[]," + b"[" * 101 + b"]" * 101 + b"]", "json.depth"),
    "open brackets": (b"[" * 5_000_000, "json.depth"),
    "open objects": (b'{"a":' * 1_000_000, "json.depth"),
    "closed brackets": (b"]" * 100, "json.syntax"),
    "too many values": (b"[" + b"1," * 1_000_001 + b"1]", "body.size"),
    "too many lists": (b"[" + b"[]," * 1_000_001 + b"[]]", "body.size"),
    "too large": (b" " * (strict_json.MAX_BYTES + 1), "body.size"),
}


@pytest.mark.parametrize("name", NOT_STRICT)
def test_what_is_no_strict_json_is_quarantined_soon(name: str) -> None:
    body, rule = NOT_STRICT[name]
    begun = time.process_time()
    found = verdict(body)
    assert time.process_time() - begun < 2
    assert [finding.rule for finding in found.findings] == [rule]
    assert (found.verdict, found.outcomes, found.document_text) == ("quarantined", 0, None)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100 + b"]" * 100,
        json.dumps({"x": "[" * 200 + '"' + "{" * 200 + "\\"}).encode(),
        b'"\\\\u0000 \\\\ud800 \\ud83d\\ude00 \\u00e4"',
        b"[" + b"9" * 30 + b", -1.5e-30, 0.1E+30, -0, -0.0]",
        ("[" + ", ".join(f'{{"a": "{i}"}}' for i in range(10)) + "]").encode(),
    ],
)
def test_what_is_strict_json_reaches_the_schema(body: bytes) -> None:
    found = verdict(body)
    assert rules(found) == {"schema"}
    assert found.document_text == body.decode()


def test_escaped_pairs_and_backslashes_are_accepted() -> None:
    found = verdict(TEXT.replace(b"Giants", b"\\ud83d\\ude00 \\\\u0000 \\\\ud800"))
    assert found.verdict == "accepted"


@pytest.mark.parametrize(
    "body", [{"message": "Unknown sport", "error_code": "UNKNOWN_SPORT", "details_url": "x"}, None, 1, "x", [[]]]
)
@pytest.mark.parametrize("endpoint", RECORDED)
def test_another_document_is_quarantined(endpoint: str, body: Any) -> None:
    found = verdict(body, endpoint)
    assert rules(found) == {"schema"}
    assert found.document_text is not None


def test_findings_are_few_short_and_name_their_place() -> None:
    answer = [event(id=f"{n:032x}", bookmakers=bookmakers(last_update=AT)) for n in range(3000)]
    for item in answer[1500:]:
        item["bookmakers"][0]["title"] = "\x01\ud800" + "x" * 5000
    body = json.dumps(answer).encode().replace(b"\\ud800", b"\xf0\x9f\x98\x80")
    found = verdict(body)
    assert len(found.findings) == 20
    assert found.findings[0].pointer == "/1500/bookmakers/0/title"
    assert found.findings[19].pointer == "/1519/bookmakers/0/title"
    assert all(len(finding.value) <= 200 and len(finding.message) <= 400 for finding in found.findings)
    assert all(str(text).isprintable() for finding in found.findings for text in finding.to_json().values())
    assert (found.outcomes, len(found.held), sum(each.outcomes for each in found.held)) == (3000, 1500, 3000)


def test_a_long_historical_answer_names_its_place_too() -> None:
    data = [event(id=f"{n:032x}", bookmakers=bookmakers(last_update=AT)) for n in range(3000)]
    data[2000]["id"] = "x"
    assert [finding.pointer for finding in verdict(envelope(data), "historical_odds").findings] == ["/data/2000/id"]
    found = verdict({**envelope(data), "timestamp": "x"}, "historical_odds")
    assert {finding.pointer for finding in found.findings} == {"/timestamp"}


def test_too_many_events_are_quarantined() -> None:
    data = [event(id=f"{n:032x}") for n in range(20_001)]
    assert verdict(data[:-1], "events").verdict == "accepted"
    assert rules(verdict(data, "events")) == {"schema"}


def test_a_large_broken_item_takes_little_time() -> None:
    body = b'{"bookmakers": [' + b",".join([b"{}"] * 990_000) + b"]}"
    begun = time.process_time()
    assert rules(verdict(body, "event_odds")) == {"schema"}
    assert time.process_time() - begun < 5


def test_a_failed_request_is_not_judged() -> None:
    request = ApiRequest.of("odds", sport=NFL)
    failed = Exchange(0, 1, request, Coverage(), NOON, 404, (), b"{}", Failure("UNKNOWN_SPORT", ""))
    with pytest.raises(ValueError, match="not judged"):
        judge(failed)


def test_an_answer_without_a_body_is_quarantined() -> None:
    found = judge(Exchange(0, 1, ApiRequest.of("odds", sport=NFL), Coverage(), NOON, 200))
    assert rules(found) == {"body.missing"}


def test_an_endpoint_without_a_contract_is_named() -> None:
    with pytest.raises(UsageError, match="'ods'"):
        verdict(b"[]", "ods")


# --- real answers ----------------------------------------------------------------------------------------------------

# Of the large archives every so many files; what they ask for beyond their folders; which files are quarantined, and why.
STRIDES = {"nfl_week6_2025": 12, "nba_historical_2023": 9, "worldcup_quarterfinals_2026": 12}
OPTIONS: dict[str, dict[str, Any]] = {
    "malformed": {"endpoints": ["event_odds"], "captured_at": "2025-11-25T18:20:00Z"},
    "nba_player_props_2024": {"captured_at": "2024-02-22T20:00:00Z"},
    "outrights_and_lay_2021": {"captured_at": "2021-11-13T17:35:00Z"},
}
BROKEN = {
    "malformed/not_json_progress_text.json": "json.syntax",
    "malformed/api_v3_shape.json": "schema",
    "nhl_four_endpoints_2025/event_odds/20250516T143249Z.json": "schema",
    "nhl_four_endpoints_2025/event_odds/20250516T143453Z.json": "schema",
}
# What is odd in true answers: prices and books that FACTS.md tells of too, and times where a file was saved long after (or its
# time was declared too early) by whoever kept it.
ODD = {
    "malformed": {"time.stale"},
    "nfl_week6_2025": {"market.placeholder_price"},
    "worldcup_quarterfinals_2026": {"market.placeholder_price"},
    "nhl_four_endpoints_2025": {"market.placeholder_price", "time.stale"},
    "nba_player_props_2024": {"time.ahead"},
    "ncaaf_odds_and_scores_2026": {"time.stale"},
    "outrights_and_lay_2021": {"market.overround", "time.ahead", "time.stale"},
}


@pytest.mark.parametrize(
    "archive",
    [
        *("nfl_week6_2025", "worldcup_quarterfinals_2026", "nfl_decimal_repeats_2023", "nba_historical_2023", "malformed"),
        *("nhl_four_endpoints_2025", "nba_player_props_2024", "ncaaf_odds_and_scores_2026", "outrights_and_lay_2021"),
    ],
)
def test_real_answers_are_accepted_but_for_the_broken_ones(archive: str, recorded_dir: Path, tmp_path: Path) -> None:
    bodies: dict[str, bytes] = {}
    for number, file in enumerate(Source(recorded_dir / f"{archive}.tar.xz").files()):
        if number % STRIDES.get(archive, 1) == 0:
            assert file.body is not None
            bodies[file.path] = file.body
            (tmp_path / "in" / file.path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / file.path).write_bytes(file.body)
    options: dict[str, Any] = {"endpoints": ["odds"], **OPTIONS.get(archive, {})}
    report = import_recording(tmp_path / "in", tmp_path / "out", ImportOptions.parse(**options))
    assert (report.total.files, report.total.exchanges) == (len(bodies), len(bodies))
    broken: list[tuple[bytes, str]] = []
    for batch in Recording.open(tmp_path / "out").batches():
        for exchange in batch.exchanges:
            found = judge(exchange)
            assert exchange.body is not None
            if found.verdict != "quarantined":
                assert {finding.rule for finding in found.findings} <= ODD.get(archive, set())
                assert found.outcomes == exchange.body.count(b'"price":')
            else:
                broken.append((exchange.body, found.findings[0].rule))
    expected = [(body, BROKEN[path]) for path, body in bodies.items() if path in BROKEN]
    assert sorted(broken) == sorted(expected)


# --- generated -------------------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
endpoints = st.sampled_from(list(RECORDED))


def _check(found: Judgement) -> None:
    severities = {RULES[finding.rule].severity for finding in found.findings}
    if found.verdict == "quarantined":
        assert severities & {"quarantine", "hold"} and not found.held
    else:
        assert "quarantine" not in severities and ("hold" in severities) == bool(found.held)
        assert found.verdict == ("accepted_with_findings" if severities else "accepted")
    for finding in found.findings:
        for text in map(str, finding.to_json().values()):
            assert text.isprintable()
            assert len(text) <= 400
    if found.document_text is not None:
        # what is handed to jsonb is what every parser takes
        json.dumps(json.loads(found.document_text), allow_nan=False, ensure_ascii=False).encode()


@given(st.binary(max_size=200), endpoints)
def test_no_bytes_make_it_raise(body: bytes, endpoint: str) -> None:
    _check(verdict(body, endpoint))


@given(json_values, endpoints)
def test_no_document_makes_it_raise(document: Any, endpoint: str) -> None:
    _check(verdict(json.dumps(document).encode("utf-8", "surrogatepass"), endpoint))


@given(endpoints, st.data())
def test_no_changed_byte_makes_it_raise(endpoint: str, data: st.DataObject) -> None:
    body = bytearray(json.dumps(good(endpoint)).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.sampled_from(b'\x00"\\[]{}:,0e-.\xff\xedaN '))
    _check(verdict(bytes(body), endpoint))


@given(endpoints, json_values, st.data())
def test_no_changed_value_makes_it_raise(endpoint: str, value: Any, data: st.DataObject) -> None:
    answer = good(endpoint)
    path = data.draw(st.sampled_from(_paths(answer)))
    _at(answer, path[:-1])[path[-1]] = value
    found = verdict(json.dumps(answer).encode(), endpoint)
    _check(found)
    is_admitted = found.verdict != "quarantined" and not found.held
    if is_admitted and "odds.format" not in rules(found) and path[-1] == "price":
        assert 1 <= value <= 999999
    if is_admitted and path[-1] in ("commence_time", "timestamp"):
        from_answer(value)


@given(
    st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**7), 10**7), st.sampled_from(["american", "decimal"])
)
def test_an_accepted_price_has_a_probability(price: float, odds_format: str) -> None:
    answer = _outcome(price=price)
    answer[0]["bookmakers"][0]["markets"][0]["outcomes"][1]["price"] = 110
    found = verdict(answer, odds_format=odds_format)
    if found.verdict != "quarantined" and not found.held and "odds.format" not in rules(found):
        american = 100 / (price + 100) if price > 0 else -price / (-price + 100)
        probability = american if odds_format == "american" else 1 / price
        assert 0 < probability <= 1
        assert math.isfinite(probability)


@settings(max_examples=50)
@given(st.recursive(st.just(0), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=20), st.integers(0, 110))
def test_the_depth_is_counted_as_python_counts(inner: Any, more: int) -> None:
    def depth(value: Any) -> int:
        return 1 + max(map(depth, value)) if isinstance(value, list) else 0

    body = b"[" * more + json.dumps(inner).encode() + b"]" * more
    if depth(inner) + more > strict_json.MAX_DEPTH:
        with pytest.raises(strict_json.NotStrict, match=r"json\.depth"):
            strict_json.parse(body)
    else:
        strict_json.parse(body)
