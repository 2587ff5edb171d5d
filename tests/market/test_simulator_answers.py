"""Shapes, parameters, errors and credits of the simulated market's answers, as the API documents them."""

from __future__ import annotations

import datetime as dt
import json
import re
import unicodedata
from collections import Counter
from functools import cache
from typing import Any

import pytest
import requests

from pipeline.clock import UTC, ManualClock
from pipeline.errors import UsageError
from pipeline.market.simulator import SimulatedAnswer, SimulatedMarket, SimulatorAdapter
from pipeline.market.simulator.maths import american_of, cents_of, nearest, normal_cdf, quoted
from pipeline.market.simulator.world import BOOKS, SPORTS
from pipeline.odds_api.catalogue import BOOKS_BY_REGION
from pipeline.odds_api.endpoints import ENDPOINTS, cost, url
from pipeline.odds_api.request import ApiRequest

MARKET = SimulatedMarket(11)
SUNDAY = dt.datetime(2025, 10, 12, 18, 30, tzinfo=UTC)  # in play: NFL; coming: EPL; October baseball
WINTER = dt.datetime(2025, 1, 14, 22, 50, tzinfo=UTC)  # an hour or so before basketball
NFL, NBA, EPL, MMA = "americanfootball_nfl", "basketball_nba", "soccer_epl", "mma_mixed_martial_arts"
GOLF = "golf_masters_tournament_winner"
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
EVENT = ["id", "sport_key", "sport_title", "commence_time", "home_team", "away_team"]


def ask(
    endpoint: str, sport: str | None = None, event_id: str | None = None, at: dt.datetime = SUNDAY, **params: str
) -> SimulatedAnswer:
    return MARKET.answer(ApiRequest.of(endpoint, sport=sport, event_id=event_id, params=params), at)


def get(endpoint: str, sport: str | None = None, event_id: str | None = None, at: dt.datetime = SUNDAY, **params: str) -> Any:
    answer = ask(endpoint, sport, event_id, at, **params)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


@cache
def nba_event() -> str:
    """A basketball game that begins within hours and has all kinds of props."""
    for event in get("events", NBA, at=WINTER):
        shown = get("event_odds", NBA, event["id"], at=WINTER, regions="us,us2", markets="player_points")
        if {"williamhill_us", "betrivers", "betparx"} <= {book["key"] for book in shown["bookmakers"]}:
            return str(event["id"])
    raise AssertionError("no game with props")


def books(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {book["key"]: {market["key"]: market for market in book["markets"]} for book in event["bookmakers"]}


# --- shapes ------------------------------------------------------------------------------------------------------------


def test_sports_lists_what_is_in_season_or_everything() -> None:
    shown, everything = get("sports"), get("sports", all="true")
    assert [list(row) for row in everything] == [["key", "group", "title", "description", "active", "has_outrights"]] * len(
        SPORTS
    )
    assert all(row["active"] for row in shown)
    assert {row["key"] for row in shown} == {row["key"] for row in everything if row["active"]}
    assert {NFL, EPL, MMA, GOLF} <= {row["key"] for row in shown}
    assert any(not row["active"] for row in everything)
    assert [row["key"] for row in everything if row["has_outrights"]] == [GOLF]


@pytest.mark.parametrize("year", [2024, 2025, 2026, 2027])
def test_every_week_of_the_year_has_several_sports(year: int) -> None:
    for week in range(52):
        at = dt.datetime(year, 1, 3, 12, tzinfo=UTC) + dt.timedelta(days=7 * week)
        playing = [s.key for s in SPORTS if s.kind not in ("none", "outright") and get("events", s.key, at=at)]
        assert len(playing) >= 2, (at, playing)
    at = dt.datetime(year, 10, 25, 12, tzinfo=UTC)
    playing = [s.key for s in SPORTS if s.kind not in ("none", "outright") and get("events", s.key, at=at)]
    assert len(playing) >= 5


def test_events_have_the_documented_fields_in_order() -> None:
    events = get("events", NFL)
    assert events
    assert all(list(event) == EVENT for event in events)
    assert all(re.fullmatch("[0-9a-f]{32}", event["id"]) and ISO.fullmatch(event["commence_time"]) for event in events)
    numbered = get("events", NFL, includeRotationNumbers="true")
    assert all(list(event) == [*EVENT, "home_rotation", "away_rotation"] for event in numbered)


def test_odds_have_the_documented_fields_in_order() -> None:
    events = get("odds", NFL, regions="us", markets="h2h,spreads,totals", oddsFormat="american")
    assert len(events) > 10
    for event in events:
        assert list(event) == [*EVENT, "bookmakers"]
        for book in event["bookmakers"]:
            assert list(book) == ["key", "title", "last_update", "markets"]
            keys = [market["key"] for market in book["markets"]]
            assert keys == sorted(set(keys))
            for market in book["markets"]:
                assert list(market) == ["key", "last_update", "outcomes"]
                names = [outcome["name"] for outcome in market["outcomes"]]
                assert names == sorted(names)
                points = [outcome.get("point") for outcome in market["outcomes"]]
                if market["key"] == "spreads":
                    assert points[0] == -points[1]
                elif market["key"] == "totals":
                    assert points[0] == points[1] and names == ["Over", "Under"]
                else:
                    assert points == [None, None]
                for outcome in market["outcomes"]:
                    assert list(outcome) == (["name", "price"] if market["key"] == "h2h" else ["name", "price", "point"])
                    assert type(outcome["price"]) is int and abs(outcome["price"]) >= 100 and outcome["price"] != -100


def test_three_way_football_has_its_draw_last_and_quarter_points() -> None:
    events = get("odds", EPL, regions="us,uk,eu", markets="h2h,spreads,totals", at=SUNDAY - dt.timedelta(days=3))
    quarters = 0
    for event in events:
        for book in event["bookmakers"]:
            for market in book["markets"]:
                names = [outcome["name"] for outcome in market["outcomes"]]
                if market["key"].startswith("h2h") and len(names) == 3:
                    assert names == [*sorted((event["home_team"], event["away_team"])), "Draw"]
                quarters += any((outcome.get("point", 0) * 4) % 2 for outcome in market["outcomes"])
    assert quarters > 10


def test_decimal_prices_and_points_are_printed_as_floats() -> None:
    answer = ask("odds", NFL, regions="us,eu", markets="h2h,spreads")
    numbers = re.findall(rb'"(?:price|point)":([^,}]+)', answer.body)
    assert len(numbers) > 500
    assert all(re.fullmatch(rb"-?\d+\.\d{1,2}", number) for number in numbers)
    assert any(number.endswith(b".0") for number in numbers)
    assert min(float(price) for price in re.findall(rb'"price":([^,}]+)', answer.body)) >= 1.0


def test_american_and_decimal_say_the_same() -> None:
    american = get("odds", NFL, regions="us,eu", oddsFormat="american")
    decimal = get("odds", NFL, regions="us,eu")
    pairs = [
        (a["price"], d["price"])
        for one, two in zip(american, decimal, strict=True)
        for b1, b2 in zip(one["bookmakers"], two["bookmakers"], strict=True)
        for m1, m2 in zip(b1["markets"], b2["markets"], strict=True)
        for a, d in zip(m1["outcomes"], m2["outcomes"], strict=True)
    ]
    assert len(pairs) > 300
    for a, d in pairs:
        exact = 1 + a / 100 if a > 0 else 1 + 100 / -a
        assert abs(exact - d) < 0.011 + 0.004 * d


def test_unix_dates() -> None:
    for event in get("odds", NFL, regions="us", dateFormat="unix"):
        assert type(event["commence_time"]) is int
        assert all(
            type(b["last_update"]) is int and type(m["last_update"]) is int for b in event["bookmakers"] for m in b["markets"]
        )
    envelope = get("historical_events", NFL, date="2025-10-01T00:00:00Z", dateFormat="unix")
    assert type(envelope["timestamp"]) is int
    assert any(type(row["last_update"]) is int for row in get("scores", NFL, dateFormat="unix"))


def test_market_last_update_is_the_books_or_a_little_older() -> None:
    for event in get("odds", NFL, regions="us,eu", markets="h2h,spreads,totals", dateFormat="unix"):
        for book in event["bookmakers"]:
            assert SUNDAY.timestamp() - 900 <= book["last_update"] <= SUNDAY.timestamp()
            assert all(market["last_update"] <= book["last_update"] for market in book["markets"])


def test_event_odds_has_no_book_time_but_its_history_has() -> None:
    event = get("event_odds", NBA, nba_event(), at=WINTER, regions="us", markets="h2h,player_points")
    assert list(event) == [*EVENT, "bookmakers"]
    assert all(list(book) == ["key", "title", "markets"] for book in event["bookmakers"])
    later = WINTER + dt.timedelta(days=1)
    envelope = get(
        "historical_event_odds", NBA, nba_event(), at=later, regions="us", markets="h2h", date="2025-01-14T22:50:00Z"
    )
    assert list(envelope) == ["timestamp", "previous_timestamp", "next_timestamp", "data"]
    assert envelope["data"]["bookmakers"]
    assert all(list(book) == ["key", "title", "last_update", "markets"] for book in envelope["data"]["bookmakers"])


def test_props_repeat_names_points_and_rows() -> None:
    found: Counter[str] = Counter()
    spellings: dict[str, set[str]] = {}  # by book
    for hour in (0, 24, 48, 72, 96):
        at = WINTER + dt.timedelta(hours=hour)
        for event in get("events", NBA, at=at)[:6]:
            shown = books(
                get("event_odds", NBA, event["id"], at=at, regions="us,us2", markets="player_points,player_double_double")
            )
            for book, markets in shown.items():
                rows = markets.get("player_points", {}).get("outcomes", [])
                names = {row["name"] for row in rows}
                keys = Counter((row["name"], row["description"], row["point"]) for row in rows)
                lines = Counter((row["name"], row["description"]) for row in rows)
                found[f"{book} twice"] += any(count > 1 for count in keys.values())
                found[f"{book} other price"] += len(
                    {(r["name"], r["description"], r["point"], r["price"]) for r in rows}
                ) > len(keys)
                found[f"{book} lines"] = max([found[f"{book} lines"], *lines.values()])
                found[f"{book} one-sided"] += names == {"Over"}
                for row in rows:
                    assert list(row) == ["name", "description", "price", "point"]
                    spellings.setdefault(book, set()).add(row["description"])
                for row in markets.get("player_double_double", {}).get("outcomes", []):
                    assert list(row) == ["name", "description", "price"] and row["name"] in ("Yes", "No")
    assert found["williamhill_us twice"] and found["williamhill_us other price"]
    assert not found["draftkings twice"]
    assert found["betrivers lines"] == found["betparx lines"] == 9
    assert found["draftkings lines"] == 1
    assert found["espnbet one-sided"] and not found["draftkings one-sided"]
    everything = {name for names in spellings.values() for name in names}
    plain = {"".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c)) for name in everything}
    assert any(re.match(r"\w\. ", name) for name in everything), "no player is written with an initial"
    assert any(f"{name} Jr." in everything or f"{name}." in everything for name in everything), "no suffix is left out or cut"
    assert len(plain) < len(everything), "nobody is written with and without accents"


def test_alternates_stand_in_event_odds_only() -> None:
    event = get("events", NFL)[-1]["id"]
    shown = books(get("event_odds", NFL, event, regions="us", markets="alternate_spreads,alternate_totals,team_totals"))
    lines = [o["point"] for markets in shown.values() for o in markets.get("alternate_spreads", {}).get("outcomes", [])]
    assert len(set(lines)) > 9
    assert ask("odds", NFL, regions="us", markets="alternate_spreads").status == 422


def test_a_market_nobody_offers_is_an_empty_list_of_books() -> None:
    answer = ask("event_odds", NBA, nba_event(), at=WINTER, regions="us_ex", markets="player_points")
    assert json.loads(answer.body)["bookmakers"] == []
    assert dict(answer.headers)["x-requests-last"] == "0"


def test_event_markets_names_what_event_odds_then_shows() -> None:
    listed = get("event_markets", NBA, nba_event(), at=WINTER, regions="us")
    assert list(listed) == [*EVENT, "bookmakers"]
    offered: set[tuple[str, str]] = set()
    for book in listed["bookmakers"]:
        assert list(book) == ["key", "title", "markets"]
        for market in book["markets"]:
            assert list(market) == ["key", "last_update"]
            offered.add((book["key"], market["key"]))
    keys = ",".join(sorted({key for _, key in offered}))
    shown = books(get("event_odds", NBA, nba_event(), at=WINTER, regions="us", markets=keys))
    assert {(book, key) for book, markets in shown.items() for key in markets} == offered


def test_outrights_have_null_teams_many_runners_and_a_shorter_lay_list() -> None:
    events = get("odds", GOLF, regions="us,uk")
    assert len(events) == 1
    event = events[0]
    assert list(event) == [EVENT[0], "has_outrights", *EVENT[1:], "bookmakers"]
    assert event["has_outrights"] is True and event["home_team"] is None and event["away_team"] is None
    shown = books(event)
    assert {"betfair_ex_uk", "paddypower"} <= set(shown)
    exchange = shown["betfair_ex_uk"]
    back, lay = exchange["outrights"]["outcomes"], exchange["outrights_lay"]["outcomes"]
    assert 60 <= len(lay) < len(back)
    assert {row["name"] for row in lay} <= {row["name"] for row in back}
    prices = {row["name"]: row["price"] for row in back}
    assert all(row["price"] > prices[row["name"]] or row["price"] == 1000.0 for row in lay)
    assert max(prices.values()) > 600
    assert all("outrights_lay" not in markets for key, markets in shown.items() if key == "paddypower")
    for markets in shown.values():
        rows = markets["outrights"]["outcomes"]
        assert len(rows) >= 60 and [r["name"] for r in rows] == sorted(r["name"] for r in rows)
        assert all(1.01 <= row["price"] <= 1000 for row in rows)
        assert 1.02 < sum(1 / row["price"] for row in rows) < 1.6


def test_exchanges_send_lay_prices_with_h2h() -> None:
    for sport in (EPL, MMA, NFL):
        seen = 0
        for event in get("odds", sport, regions="uk,eu"):
            for key, markets in books(event).items():
                assert ("h2h_lay" in markets) <= (key in ("betfair_ex_uk", "betfair_ex_eu", "matchbook", "smarkets"))
                back = {o["name"]: o["price"] for o in markets["h2h"]["outcomes"]}
                for outcome in markets.get("h2h_lay", {}).get("outcomes", []):
                    seen += 1
                    if back[outcome["name"]] > 1.01:
                        assert outcome["price"] > back[outcome["name"]]
        assert seen > 20


def test_books_of_a_request_are_those_of_its_regions_or_its_list() -> None:
    for region in ("us", "us2", "us_ex", "uk", "eu", "se"):
        keys = {key for event in get("odds", NFL, regions=region) for key in books(event)}
        assert keys and keys <= set(BOOKS_BY_REGION[region])
    for region in ("fr", "au", "us_dfs"):
        events = get("odds", NFL, regions=region)
        assert events and all(event["bookmakers"] == [] for event in events)
    shown = {key for event in get("odds", NFL, regions="us", bookmakers="pinnacle,lowvig") for key in books(event)}
    assert shown == {"pinnacle", "lowvig"}


def test_the_simulated_books_are_in_the_catalogue() -> None:
    for book in BOOKS:
        assert {region for region, keys in BOOKS_BY_REGION.items() if book.key in keys} == set(book.regions), book.key
    assert len(BOOKS) >= 24
    assert {"pinnacle", "betfair_ex_uk", "betonlineag", "lowvig"} <= {book.key for book in BOOKS}


def test_one_desk_hangs_the_same_lines() -> None:
    compared = 0
    for event in get("odds", NFL, bookmakers="betonlineag,lowvig", markets="spreads"):
        shown = books(event)
        if set(shown) == {"betonlineag", "lowvig"}:
            lines = {
                tuple(o["point"] for o in markets["spreads"]["outcomes"]) for markets in shown.values() if "spreads" in markets
            }
            compared += len(lines) == 1
    assert compared >= 5


def test_book_order_is_not_stable() -> None:
    orders = set()
    for hours in range(12):
        shown = get("odds", EPL, regions="uk", at=SUNDAY + dt.timedelta(hours=hours))
        orders.add(tuple(book["key"] for book in shown[0]["bookmakers"][:4]))
    assert len(orders) > 4


def test_extras_are_there_only_when_asked_for() -> None:
    event = get("odds", NFL, regions="us,eu", includeLinks="true", includeSids="true", includeBetLimits="true")[0]
    values: dict[str, set[bool]] = {}
    for book in event["bookmakers"]:
        assert list(book) == ["key", "title", "last_update", "markets", "link", "sid"]
        for market in book["markets"]:
            assert list(market) == ["key", "last_update", "outcomes", "link", "sid"]
            for outcome in market["outcomes"]:
                assert list(outcome) == ["name", "price", "link", "sid", "bet_limit"]
                for name in ("link", "sid", "bet_limit"):
                    values.setdefault(name, set()).add(outcome[name] is None)
    assert all(seen == {True, False} for seen in values.values())


def test_upcoming_is_what_is_live_and_the_next_eight() -> None:
    events = get("odds", "upcoming", regions="us", commenceTimeFrom="2030-01-01T00:00:00Z")
    now = SUNDAY.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert sum(event["commence_time"] > now for event in events) == 8
    live = {
        e["id"] for s in SPORTS if s.kind not in ("none", "outright") for e in get("events", s.key) if e["commence_time"] <= now
    }
    assert live == {event["id"] for event in events if event["commence_time"] <= now}
    assert len(live) > 3


def test_filters() -> None:
    events = get("events", NFL)
    ids = [events[1]["id"], events[4]["id"]]
    assert [e["id"] for e in get("odds", NFL, regions="us", eventIds=",".join([*ids, "0" * 32]))] == ids
    bounds = {"commenceTimeFrom": events[2]["commence_time"], "commenceTimeTo": events[-3]["commence_time"]}
    inside = [e["id"] for e in events if bounds["commenceTimeFrom"] <= e["commence_time"] <= bounds["commenceTimeTo"]]
    assert [e["id"] for e in get("events", NFL, **bounds)] == inside
    assert [e["id"] for e in get("odds", NFL, regions="us", **bounds)] == inside


def test_out_of_season_is_an_empty_array() -> None:
    assert ask("odds", "icehockey_nhl", regions="us").body == b"[]"
    assert ask("odds", NBA, regions="us", at=dt.datetime(2025, 8, 1, tzinfo=UTC)).body == b"[]"
    assert ask("scores", "icehockey_nhl").body == b"[]"


# --- scores ------------------------------------------------------------------------------------------------------------


def test_scores_before_during_and_after() -> None:
    rows = get("scores", NFL, daysFrom="3", at=SUNDAY)
    fields = ["id", "sport_key", "sport_title", "commence_time", "completed", "home_team", "away_team", "scores", "last_update"]
    assert all(list(row) == fields for row in rows)
    now = SUNDAY.strftime("%Y-%m-%dT%H:%M:%SZ")
    future = [row for row in rows if row["commence_time"] > now]
    running = [row for row in rows if row["commence_time"] <= now and not row["completed"]]
    over = [row for row in rows if row["completed"]]
    assert future and running and over
    assert all(row["scores"] is None and row["last_update"] is None for row in future)
    for row in running + over:
        assert [score["name"] for score in row["scores"]] == [row["home_team"], row["away_team"]]
        assert all(type(score["score"]) is str and score["score"].isdigit() for score in row["scores"])
    assert not any(row["completed"] for row in get("scores", NFL))
    assert {row["id"] for row in get("scores", NFL)} == {row["id"] for row in future + running}


def test_a_finished_score_stays_and_leaves_after_three_days() -> None:
    monday = SUNDAY + dt.timedelta(hours=20)
    final = {row["id"]: row["scores"] for row in get("scores", NFL, daysFrom="1", at=monday) if row["completed"]}
    assert len(final) >= 8
    later = {row["id"]: row["scores"] for row in get("scores", NFL, daysFrom="3", at=monday + dt.timedelta(hours=30))}
    assert all(later[key] == scores for key, scores in final.items())
    gone = {row["id"] for row in get("scores", NFL, daysFrom="3", at=monday + dt.timedelta(hours=80))}
    assert not gone & set(final)


def test_only_football_games_end_level() -> None:
    level: Counter[str] = Counter()
    played: Counter[str] = Counter()
    for sport, start in ((EPL, SUNDAY), (NBA, WINTER), ("baseball_mlb", dt.datetime(2025, 7, 1, tzinfo=UTC))):
        seen = set()
        for day in range(0, 60, 3):
            for row in get("scores", sport, daysFrom="3", at=start + dt.timedelta(days=day)):
                if row["completed"] and row["id"] not in seen:
                    seen.add(row["id"])
                    played[sport] += 1
                    level[sport] += row["scores"][0]["score"] == row["scores"][1]["score"]
    assert 0.12 < level[EPL] / played[EPL] < 0.40
    assert level[NBA] == level["baseball_mlb"] == 0


def test_scores_never_fall_during_a_game() -> None:
    highest: dict[str, tuple[int, int]] = {}
    for minute in range(0, 240, 7):
        for row in get("scores", NFL, daysFrom="1", at=SUNDAY + dt.timedelta(minutes=minute)):
            if row["scores"]:
                now = (int(row["scores"][0]["score"]), int(row["scores"][1]["score"]))
                before = highest.get(row["id"], (0, 0))
                assert now[0] >= before[0] and now[1] >= before[1]
                highest[row["id"]] = now
    assert len(highest) >= 8


# --- participants ------------------------------------------------------------------------------------------------------


def test_participants() -> None:
    rows = get("participants", NBA)
    assert len(rows) == 30 and all(list(row) == ["full_name", "id"] for row in rows)
    assert all(re.fullmatch(r"par_[0-9a-hjkmnp-tv-z]{26}", row["id"]) for row in rows)
    assert len({row["id"] for row in rows}) == 30
    assert {event["home_team"] for event in get("events", NBA, at=WINTER)} <= {row["full_name"] for row in rows}
    assert len(get("participants", GOLF)) > 60


# --- history -----------------------------------------------------------------------------------------------------------


def envelope(date: dt.datetime, at: dt.datetime | None = None) -> dict[str, Any]:
    text = date.strftime("%Y-%m-%dT%H:%M:%SZ")
    answer: dict[str, Any] = get("historical_events", NBA, at=at or SUNDAY, date=text)
    return answer


def stamp(text: str) -> dt.datetime:
    return dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def test_history_is_a_grid_of_five_minutes_with_gaps() -> None:
    seconds, gaps, repeats = set(), set(), 0
    last = ""
    for day in range(400):
        date = dt.datetime(2024, 1, 1, 12, tzinfo=UTC) + dt.timedelta(days=day)
        found = envelope(date)
        assert stamp(found["previous_timestamp"]) < stamp(found["timestamp"]) <= date < stamp(found["next_timestamp"])
        repeats += found["timestamp"] == last
        last = found["timestamp"]
        seconds.add(stamp(last).second)
        gaps.add((stamp(found["next_timestamp"]) - stamp(last)).total_seconds())
        if date - stamp(last) < dt.timedelta(minutes=5):
            assert stamp(last).minute == 55
    assert seconds == set(range(36, 45))
    assert 300.0 in gaps and max(gaps) > 70 * 3600
    assert repeats >= 2, "asked on consecutive days of an outage, the same envelope answers"


def test_history_can_be_walked_forth_and_back() -> None:
    found = envelope(dt.datetime(2024, 1, 1, tzinfo=UTC))
    for _ in range(40):
        following = envelope(stamp(found["next_timestamp"]))
        assert following["timestamp"] == found["next_timestamp"]
        assert following["previous_timestamp"] == found["timestamp"]
        found = following


def test_history_before_september_2022_has_ten_minutes_on_the_minute() -> None:
    found = envelope(dt.datetime(2021, 11, 13, 12, 3, tzinfo=UTC))
    assert (found["timestamp"], found["previous_timestamp"]) == ("2021-11-13T12:00:00Z", "2021-11-13T11:50:00Z")


def test_history_does_not_know_the_future() -> None:
    now = dt.datetime(2025, 1, 14, 12, 1, tzinfo=UTC)
    found = envelope(now + dt.timedelta(days=30), at=now)
    assert stamp(found["timestamp"]) <= now and found["next_timestamp"] is None


def test_history_holds_what_was_shown_then() -> None:
    date = dt.datetime(2025, 1, 14, 12, tzinfo=UTC)
    past = get("historical_odds", NBA, regions="us", markets="h2h", date="2025-01-14T12:00:00Z")
    assert past["data"]
    then = stamp(past["timestamp"])
    now = {e["id"]: e for e in get("odds", NBA, regions="us", markets="h2h", at=then)}
    assert {event["id"] for event in past["data"]} == set(now)
    assert date - then < dt.timedelta(minutes=5)


# --- credits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "credits"),
    [
        (ApiRequest.of("sports"), 0),
        (ApiRequest.of("events", sport=NFL), 0),
        (ApiRequest.of("odds", sport=NFL, params={"regions": "us,eu", "markets": "h2h,totals"}), 4),
        (ApiRequest.of("odds", sport=NFL, params={"regions": "us,us,eu", "markets": "h2h,h2h"}), 2),
        (ApiRequest.of("odds", sport="icehockey_nhl", params={"regions": "us,eu"}), 0),
        (ApiRequest.of("odds", sport=NFL, params={"bookmakers": ",".join(b.key for b in BOOKS[:11])}), 2),
        (ApiRequest.of("odds", sport=EPL, params={"regions": "uk"}), 1),
        (ApiRequest.of("scores", sport=NFL), 1),
        (ApiRequest.of("scores", sport=NFL, params={"daysFrom": "2"}), 2),
        (ApiRequest.of("participants", sport=NFL), 1),
        (
            ApiRequest.of(
                "historical_odds", sport=NFL, params={"regions": "us", "markets": "h2h,spreads", "date": "2025-10-01T00:00:00Z"}
            ),
            20,
        ),
        (ApiRequest.of("historical_events", sport=NFL, params={"date": "2025-10-01T00:00:00Z"}), 1),
        (ApiRequest.of("historical_events", sport=NFL, params={"date": "2025-06-01T00:00:00Z"}), 0),
    ],
)
def test_credits_of_a_call(request_: ApiRequest, credits: int) -> None:
    answer = MARKET.answer(request_, SUNDAY)
    assert answer.status == 200
    assert dict(answer.headers)["x-requests-last"] == str(credits)
    assert cost(request_, json.loads(answer.body)) == credits


def test_event_odds_bill_the_markets_returned() -> None:
    request = ApiRequest.of(
        "event_odds", sport=NBA, event_id=nba_event(), params={"regions": "us,us2", "markets": "h2h,player_points,btts"}
    )
    answer = MARKET.answer(request, WINTER)
    assert dict(answer.headers)["x-requests-last"] == "4"
    assert cost(request, json.loads(answer.body)) == 4


def test_quota_headers_come_with_every_answer_and_reset_on_the_first() -> None:
    def quota(at: dt.datetime) -> tuple[int, int]:
        headers = dict(ask("sports", at=at).headers)
        assert set(headers) == {"content-type", "x-requests-last", "x-requests-remaining", "x-requests-used"}
        return int(headers["x-requests-used"]), int(headers["x-requests-remaining"])

    before, after = quota(dt.datetime(2026, 6, 30, 23, 59, tzinfo=UTC)), quota(dt.datetime(2026, 7, 1, 0, 0, 39, tzinfo=UTC))
    assert before[0] > 50_000 and after[0] == 0
    assert sum(before) == sum(after) == 100_000
    assert dict(ask("odds", NFL).headers)["x-requests-last"] == "0"


# --- errors ------------------------------------------------------------------------------------------------------------

GOOD_ID = "0" * 32
ERRORS = [
    (404, "UNKNOWN_SPORT", "odds", "curling", None, {"regions": "us"}),
    (404, "UNKNOWN_SPORT", "events", "", None, {}),
    (404, "EVENT_NOT_FOUND", "event_odds", NFL, GOOD_ID, {"regions": "us"}),
    (404, "EVENT_NOT_FOUND", "event_markets", NFL, GOOD_ID, {"regions": "us"}),
    (404, "EVENT_NOT_FOUND", "historical_event_odds", NFL, GOOD_ID, {"regions": "us", "date": "2025-10-01T00:00:00Z"}),
    (422, "MISSING_REGION", "odds", NFL, None, {}),
    (422, "MISSING_REGION", "event_markets", NFL, GOOD_ID, {"regions": ""}),
    (422, "INVALID_REGION", "odds", NFL, None, {"regions": "us,mars"}),
    (422, "INVALID_BOOKMAKERS", "odds", NFL, None, {"bookmakers": "pinnacle,nobody"}),
    (422, "MISSING_MARKET", "odds", NFL, None, {"regions": "us", "markets": ""}),
    (422, "INVALID_MARKET", "odds", NFL, None, {"regions": "us", "markets": "h2h,player_points"}),
    (422, "INVALID_MARKET", "event_odds", NBA, GOOD_ID, {"regions": "us", "markets": "player_freethrows_made"}),
    (422, "INVALID_MARKET_COMBO", "odds", GOLF, None, {"regions": "us", "markets": "h2h"}),
    (422, "INVALID_MARKET_COMBO", "odds", NFL, None, {"regions": "us", "markets": "outrights"}),
    (422, "INVALID_DATE_FORMAT", "odds", NFL, None, {"regions": "us", "dateFormat": "rfc"}),
    (422, "INVALID_ODDS_FORMAT", "odds", NFL, None, {"regions": "us", "oddsFormat": "fractional"}),
    (422, "INVALID_ALL_SPORTS_PARAM", "sports", None, None, {"all": "yes"}),
    (422, "INVALID_SPORT", "events", "upcoming", None, {}),
    (422, "INVALID_SPORT", "scores", GOLF, None, {}),
    (422, "INVALID_SCORES_DAYS_FROM", "scores", NFL, None, {"daysFrom": "4"}),
    (422, "INVALID_SCORES_DAYS_FROM", "scores", NFL, None, {"daysFrom": "one"}),
    (422, "INVALID_EVENT_IDS", "odds", NFL, None, {"regions": "us", "eventIds": "abc"}),
    (422, "INVALID_EVENT_ID", "event_odds", NFL, "abc", {"regions": "us"}),
    (422, "MISSING_HISTORICAL_TIMESTAMP", "historical_events", NFL, None, {}),
    (422, "INVALID_HISTORICAL_TIMESTAMP", "historical_events", NFL, None, {"date": "2025-10-01T00:00:00+00:00"}),
    (422, "INVALID_HISTORICAL_TIMESTAMP", "historical_odds", NFL, None, {"regions": "us", "date": "2025-10-01T00:00:00.000Z"}),
    (422, "INVALID_HISTORICAL_TIMESTAMP", "historical_odds", NFL, None, {"regions": "us", "date": "2025-13-01T00:00:00Z"}),
    (
        422,
        "HISTORICAL_MARKETS_UNAVAILABLE_AT_DATE",
        "historical_event_odds",
        NBA,
        GOOD_ID,
        {"regions": "us", "markets": "player_points", "date": "2023-05-03T05:29:59Z"},
    ),
    (
        422,
        "HISTORICAL_MARKETS_UNAVAILABLE_AT_DATE",
        "historical_odds",
        NFL,
        None,
        {"regions": "us", "date": "2019-01-01T00:00:00Z"},
    ),
    (422, "INVALID_COMMENCE_TIME_FROM", "events", NFL, None, {"commenceTimeFrom": "2025-10-01"}),
    (422, "INVALID_COMMENCE_TIME_TO", "events", NFL, None, {"commenceTimeTo": "tomorrow"}),
    (
        422,
        "INVALID_COMMENCE_TIME_RANGE",
        "odds",
        NFL,
        None,
        {"regions": "us", "commenceTimeFrom": "2025-10-02T00:00:00Z", "commenceTimeTo": "2025-10-01T00:00:00Z"},
    ),
    (422, "INVALID_INCLUDE_LINKS", "odds", NFL, None, {"regions": "us", "includeLinks": "1"}),
    (422, "INVALID_INCLUDE_SIDS", "odds", NFL, None, {"regions": "us", "includeSids": "True"}),
    (422, "INVALID_INCLUDE_BET_LIMITS", "odds", NFL, None, {"regions": "us", "includeBetLimits": ""}),
    (422, "INVALID_INCLUDE_MULTIPLIERS", "event_odds", NFL, GOOD_ID, {"regions": "us", "includeMultipliers": "no"}),
    (422, "INVALID_INCLUDE_ROTATION_NUMBERS", "events", NFL, None, {"includeRotationNumbers": "no"}),
]


@pytest.mark.parametrize(("status", "code", "endpoint", "sport", "event_id", "params"), ERRORS)
def test_error_answers(
    status: int, code: str, endpoint: str, sport: str | None, event_id: str | None, params: dict[str, str]
) -> None:
    answer = MARKET.answer(ApiRequest.of(endpoint, sport=sport, event_id=event_id, params=params), SUNDAY)
    assert answer.status == status
    body = json.loads(answer.body)
    assert list(body) == ["message", "error_code", "details_url"]
    assert body["error_code"] == code
    assert body["details_url"].endswith("#" + code.lower().replace("_", "-"))
    assert body["message"]
    assert dict(answer.headers)["x-requests-last"] == "0"


def test_an_invalid_market_is_named() -> None:
    body = json.loads(ask("odds", NFL, regions="us", markets="h2h,player_freethrows_made").body)
    assert body["message"] == "Invalid markets: player_freethrows_made"


def test_an_event_that_is_over_or_withdrawn_is_not_found() -> None:
    truth = MARKET.listings(NFL, SUNDAY)
    withdrawn = next(listing for listing in truth if len(listing.listed) == 2)
    away = dt.datetime.fromtimestamp(withdrawn.listed[0][1] + 60, UTC)
    back = dt.datetime.fromtimestamp(withdrawn.listed[1][0] + 60, UTC)
    over = dt.datetime.fromtimestamp(withdrawn.listed[1][1], UTC)
    codes = [ask("event_odds", NFL, withdrawn.event_id, at=at, regions="us").status for at in (away, back, over)]
    assert codes == [404, 200, 404]


# --- adapter -----------------------------------------------------------------------------------------------------------


def session(at: dt.datetime) -> requests.Session:
    mounted = requests.Session()
    mounted.mount("https://", SimulatorAdapter(MARKET, ManualClock(at)))
    return mounted


def test_the_adapter_answers_like_the_market() -> None:
    request = ApiRequest.of("odds", sport=NFL, params={"regions": "us", "markets": "h2h,totals"})
    response = session(SUNDAY).get(url("https://api.the-odds-api.com", request) + "&apiKey=" + "k" * 32, timeout=5)
    answer = MARKET.answer(request, SUNDAY)
    assert (response.status_code, response.content) == (200, answer.body)
    assert {key.lower(): value for key, value in response.headers.items()} == dict(answer.headers)
    assert response.captured_at == SUNDAY  # type: ignore[attr-defined]
    assert response.json() == json.loads(answer.body)


def test_the_adapter_answers_every_endpoint() -> None:
    for row in ENDPOINTS.values():
        params = {"date": "2025-10-01T00:00:00Z"} if row.is_historical else {}
        params |= {"regions": "us"} if row.has_books else {}
        request = ApiRequest.of(
            row.name, sport=NFL if row.has_sport else None, event_id=GOOD_ID if row.has_event else None, params=params
        )
        response = session(SUNDAY).get(url("https://api.the-odds-api.com", request), timeout=5)
        assert response.status_code == (404 if row.has_event else 200), row.name


def test_the_adapter_passes_errors_on_as_answers() -> None:
    response = session(SUNDAY).get("https://api.the-odds-api.com/v4/sports/soccer_epl/odds", timeout=5)
    assert response.status_code == 422 and response.json()["error_code"] == "MISSING_REGION"
    assert not response.ok


def test_the_adapter_refuses_another_path() -> None:
    with pytest.raises(UsageError) as caught:
        session(SUNDAY).get("https://api.the-odds-api.com/v5/nothing", timeout=5)
    assert caught.value.code == "UNKNOWN_ENDPOINT"


# --- arithmetic --------------------------------------------------------------------------------------------------------


def test_prices_and_probabilities() -> None:
    assert [quoted(p, "american_coarse") for p in (0.1, 0.5, 0.504, 0.5238, 0.9)] == [900, 100, 100, -110, -900]
    assert [quoted(p, "decimal_fine") for p in (0.5, 0.9999)] == [200, 101]
    assert [american_of(cents) for cents in (100, 101, 191, 200, 350)] == [-100000, -10000, -110, 100, 250]
    assert [cents_of(price) for price in (-100000, -10000, -110, 100, 250)] == [100, 101, 191, 200, 350]
    assert nearest(-3.26, 0.5) == -3.5 and nearest(2.1, 0.25) == 2.0
    assert abs(normal_cdf(1.0) - 0.8413447) < 1e-6 and abs(normal_cdf(-2.5) - 0.0062097) < 1e-6
