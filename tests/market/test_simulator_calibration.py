"""The simulated market's statistics lie in bands around what was measured on 14 million recorded rows of the real API.

The ``source`` of each band is the figure of that measurement: NFL 2025-09 to 2026-06, college football 2025-09 to 10,
MLB 2026-07 to 08, WNBA 2026-07 to 08, World Cup 2026 (``soccer``), KBO 2026; us books, american odds, snapshots every
15 to 22 minutes, college football every 4 hours. A band is mostly half to double; wider where the sports themselves
differ that much or events are rare.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from pipeline.clock import UTC
from pipeline.market.simulator import SimulatedMarket
from pipeline.market.simulator.world import SPORT_BY_KEY
from pipeline.odds_api.request import ApiRequest

SEED = 7
KEYS = {
    "nfl": "americanfootball_nfl",
    "ncaaf": "americanfootball_ncaaf",
    "mlb": "baseball_mlb",
    "wnba": "basketball_wnba",
    "soccer": "soccer_epl",
}


@dataclass(frozen=True)
class Period:
    """Polls of one sport: from when, how many, how many seconds apart."""

    start: dt.datetime
    polls: int
    step: int


ODDS = {
    "nfl": Period(dt.datetime(2025, 10, 9, tzinfo=UTC), 330, 1357),
    "ncaaf": Period(dt.datetime(2025, 9, 20, tzinfo=UTC), 60, 14027),
    "mlb": Period(dt.datetime(2025, 7, 10, tzinfo=UTC), 200, 900),
    "wnba": Period(dt.datetime(2025, 7, 10, tzinfo=UTC), 480, 900),
    "soccer": Period(dt.datetime(2025, 10, 2, tzinfo=UTC), 384, 900),
}
EVENTS = {
    "nfl": Period(dt.datetime(2025, 9, 1, tzinfo=UTC), 6400, 1357),
    "ncaaf": Period(dt.datetime(2025, 8, 25, tzinfo=UTC), 1100, 3600),
    "mlb": Period(dt.datetime(2025, 7, 5, tzinfo=UTC), 3200, 900),
    "wnba": Period(dt.datetime(2025, 6, 5, tzinfo=UTC), 6000, 900),
    "soccer": Period(dt.datetime(2025, 9, 1, tzinfo=UTC), 7000, 900),
}


def _time(text: str) -> float:
    return dt.datetime.fromisoformat(text).timestamp()


def _implied(price: int) -> float:
    return 100 / (price + 100) if price > 0 else -price / (100 - price)


def _quantile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure_odds(market: SimulatedMarket, sport: str, period: Period) -> dict[str, float]:
    """Statistics of a run of ``/odds`` answers."""
    params = {"regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "american"}
    request = ApiRequest.of("odds", sport=KEYS[sport], params=params)
    count: Counter[str] = Counter()
    lists: dict[str, list[float]] = defaultdict(list)
    rows: dict[Any, Any] = {}
    quoted: set[tuple[str, str]] = set()
    dropped: set[tuple[str, str]] = set()
    events_before: set[str] = set()
    reads: dict[Any, float] = {}
    for poll in range(period.polls):
        at = period.start + dt.timedelta(seconds=poll * period.step)
        now = at.timestamp()
        events = json.loads(market.answer(request, at).body)
        rows_before, rows, quoted_before, quoted = rows, {}, quoted, set()
        lists["events"].append(len(events))
        for event in events:
            live = _time(event["commence_time"]) <= now
            count["events"] += 1
            count["events without books"] += not event["bookmakers"]
            lists["books"].append(len(event["bookmakers"]))
            best: dict[str, float] = {}
            for book in event["bookmakers"]:
                read = _time(book["last_update"])
                quoted.add((event["id"], book["key"]))
                lists["markets"].append(len(book["markets"]))
                keys = {one["key"] for one in book["markets"]}
                count["books"] += 1
                count["books without h2h"] += "h2h" not in keys
                count["books without totals"] += "totals" not in keys
                for one in book["markets"]:
                    place = (event["id"], book["key"], one["key"])
                    seen = _time(one["last_update"])
                    count["regressions"] += seen < reads.get(place, 0)
                    reads[place] = seen
                    lists["age"].append(now - seen)
                    count["markets"] += 1
                    count["equal"] += seen == read
                    count["one second"] += seen == read - 1
                    count["newer"] += seen > read
                    total = 0.0
                    for outcome in one["outcomes"]:
                        price = outcome["price"]
                        rows[*place, outcome["name"]] = (price, outcome.get("point"), live)
                        total += _implied(price)
                        count["rows"] += 1
                        count["long"] += abs(price) >= 10_000
                        count["placeholder"] += abs(price) >= 100_000
                        count["even"] += price == 100
                        count["impossible"] += abs(price) < 100 or price == -100
                        if one["key"] == "h2h":
                            best[outcome["name"]] = min(best.get(outcome["name"], 9.0), _implied(price))
                    count["wide"] += total > 1.3
                    if one["key"] == "h2h":
                        count["h2h"] += 1
                        count["h2h of two"] += len(one["outcomes"]) == 2
                    if not live:
                        lists[f"hold {one['key']}"].append(1 - 1 / total)
            if not live and len(event["bookmakers"]) > 2 and best:
                count["compared"] += 1
                count["arbitrages"] += sum(best.values()) < 1
        common = rows.keys() & rows_before.keys()
        if common:
            changed = 0
            for key in common:
                (price, point, live), (old_price, old_point, _) = rows[key], rows_before[key]
                moved = (price, point) != (old_price, old_point)
                changed += moved
                phase, name = "live" if live else "pre", key[2]
                count[f"{phase} rows"] += 1
                count[f"{phase} moved"] += moved
                count[f"{name} rows"] += 1
                count[f"{name} point"] += point != old_point
                count[f"{name} price"] += point == old_point and price != old_price
                count[f"{name} both"] += point != old_point and price != old_price
            lists["changed"].append(changed / len(common))
            count["pairs without change"] += not changed and rows.keys() == rows_before.keys()
        ids = {event["id"] for event in events}
        for pair in quoted_before:
            if pair[0] in ids:
                count["book pairs"] += 1
                if pair not in quoted:
                    count["drops"] += 1
                    dropped.add(pair)
        for pair in quoted - quoted_before:
            if pair[0] in events_before:
                count["rejoins"] += pair in dropped
                dropped.discard(pair)
        events_before = ids
    share = {
        "events median": _quantile(lists["events"], 0.5),
        "books median": _quantile(lists["books"], 0.5),
        "books max": max(lists["books"]),
        "markets median": _quantile(lists["markets"], 0.5),
        "changed p25": _quantile(lists["changed"], 0.25),
        "changed median": _quantile(lists["changed"], 0.5),
        "changed p95": _quantile(lists["changed"], 0.95),
        "pre changed": count["pre moved"] / max(1, count["pre rows"]),
        "live changed": count["live moved"] / max(1, count["live rows"]),
        "age p5": _quantile(lists["age"], 0.05),
        "age median": _quantile(lists["age"], 0.5),
        "age p95": _quantile(lists["age"], 0.95),
        "age p99": _quantile(lists["age"], 0.99),
        "age max": max(lists["age"]),
        "age over 10 min": sum(age > 600 for age in lists["age"]) / len(lists["age"]),
        "drops": count["drops"] / count["book pairs"],
        "rejoins": count["rejoins"],
        "regressions": count["regressions"],
        "one second older": count["one second"] / count["markets"],
        "older": 1 - (count["equal"] + count["one second"]) / count["markets"],
        "newer": count["newer"],
        "events without books": count["events without books"] / count["events"],
        "without h2h": count["books without h2h"] / count["books"],
        "without totals": count["books without totals"] / count["books"],
        "h2h of two": count["h2h of two"] / max(1, count["h2h"]),
        "prices of 10,000": count["long"] / count["rows"],
        "placeholders": count["placeholder"],
        "wide": count["wide"],
        "even money": count["even"] / count["rows"],
        "impossible prices": count["impossible"],
        "arbitrages": count["arbitrages"] / max(1, count["compared"]),
        "h2h hold p5": _quantile(lists["hold h2h"], 0.05),
        "h2h hold median": _quantile(lists["hold h2h"], 0.5),
        "h2h hold p95": _quantile(lists["hold h2h"], 0.95),
        "both moved": count["spreads both"] + count["totals both"],
    }
    for name in ("h2h", "spreads", "totals"):
        share[f"{name} price moved"] = count[f"{name} price"] / max(1, count[f"{name} rows"])
        share[f"{name} point moved"] = count[f"{name} point"] / max(1, count[f"{name} rows"])
    return share


def measure_events(market: SimulatedMarket, sport: str, period: Period) -> dict[str, float]:
    """Statistics of a run of ``/events`` answers."""
    request = ApiRequest.of("events", sport=KEYS[sport])
    commence: dict[str, float] = {}
    away: dict[str, float] = {}
    changed: set[str] = set()
    count: Counter[str] = Counter()
    deltas: list[float] = []
    gaps: list[float] = []
    close: set[tuple[str, str]] = set()
    before: set[str] = set()
    for poll in range(period.polls):
        at = period.start + dt.timedelta(seconds=poll * period.step)
        now = at.timestamp()
        events = json.loads(market.answer(request, at).body)
        ids = {event["id"] for event in events}
        count["same"] += ids == before
        pairs: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
        for event in events:
            key, start = event["id"], _time(event["commence_time"])
            pairs[event["home_team"], event["away_team"]].append((start, key))
            if commence.get(key, start) != start:
                changed.add(key)
                deltas.append(start - commence[key])
                count["changed before start" if now < commence[key] else "changed after start"] += 1
                count["odd seconds"] += start % 60 != 0
                count["hours after it began"] += now > commence[key] + 5000 and abs(start - commence[key]) >= 10_000
            commence[key] = start
            if key in away:
                count["back"] += 1
                gaps.append(now - away.pop(key))
        for listed in pairs.values():
            count["listed twice"] += len(listed) > 1
            listed.sort()
            close |= {(one[1], two[1]) for one, two in pairwise(listed) if two[0] - one[0] <= 21_600}
        for key in before - ids:
            away[key] = now
            count["gone before start"] += now < commence[key]
        before = ids
    final = [gone - commence[key] for key, gone in away.items() if gone > commence[key]]
    return {
        "ids": len(commence),
        "same set": count["same"] / period.polls,
        "ids changed": len(changed) / len(commence),
        "changes before start": count["changed before start"] / len(commence),
        "changes after start": count["changed after start"] / len(commence),
        "changes to odd seconds": count["odd seconds"] / max(1, len(deltas)),
        "changes of 6 h": sum(abs(delta) >= 21_600 for delta in deltas),
        "changes by an hour back": sum(delta == -3600 for delta in deltas),
        "changes by an hour forth": sum(delta == 3600 for delta in deltas),
        "corrected hours after": count["hours after it began"],
        "delta median": _quantile(deltas, 0.5),
        "withdrawn": count["gone before start"] / len(commence),
        "back": count["back"] / max(1, count["gone before start"]),
        "gap median": _quantile(gaps, 0.5) if gaps else 0.0,
        "gap max": max(gaps, default=0.0),
        "final vanish median": _quantile(final, 0.5),
        "pairs listed twice": count["listed twice"] / period.polls,
        "ids within 6 h": len(close),
    }


@cache
def odds(sport: str) -> dict[str, float]:
    return measure_odds(SimulatedMarket(SEED), sport, ODDS[sport])


@cache
def events(sport: str) -> dict[str, float]:
    return measure_events(SimulatedMarket(SEED), sport, EVENTS[sport])


# (sport, statistic, low, high, source)
ODDS_BANDS = [
    # size of a snapshot
    ("nfl", "events median", 12, 31, "p50 17, p95 31"),
    ("ncaaf", "events median", 30, 75, "p50 69; 79 of some 130 teams are simulated"),
    ("mlb", "events median", 10, 29, "p50 15, p95 29"),
    ("wnba", "events median", 4, 9, "p50 6, p95 7"),
    ("soccer", "events median", 8, 40, "p50 8, p95 40"),
    ("nfl", "books median", 4, 9, "p50 5, max 11"),
    ("mlb", "books median", 4, 9, "p50 5, max 11"),
    ("wnba", "books median", 3, 8, "p50 4, max 11"),
    ("soccer", "books median", 5, 9, "p50 7, max 11"),
    ("ncaaf", "books median", 1, 4, "p50 1, p95 10"),
    ("nfl", "books max", 11, 11, "max 11"),
    ("nfl", "markets median", 3, 3, "p50 3"),
    ("soccer", "markets median", 2, 2, "p50 2"),
    ("nfl", "without h2h", 0.10, 0.30, "about 21 % of book-events have spreads and totals without h2h"),
    ("soccer", "without totals", 0.20, 0.45, "a third h2h without totals"),
    ("nfl", "events without books", 0, 0.002, "0 of 124,870"),
    ("soccer", "events without books", 0, 0.002, "29 of 38,706"),
    # change between consecutive snapshots
    ("nfl", "changed median", 0.015, 0.061, "0.0306"),
    ("ncaaf", "changed median", 0.054, 0.22, "0.109"),
    ("mlb", "changed median", 0.054, 0.22, "0.108"),
    ("wnba", "changed median", 0.026, 0.104, "0.0519"),
    ("soccer", "changed median", 0.027, 0.108, "0.0537"),
    ("nfl", "changed p25", 0.003, 0.03, "0.0087"),
    ("nfl", "changed p95", 0.17, 0.69, "0.343"),
    ("mlb", "changed p95", 0.19, 0.78, "0.391"),
    ("soccer", "changed p95", 0.10, 0.42, "0.206"),
    ("nfl", "pre changed", 0.01, 0.06, "a few %; 2.5 % in the recorded week 6"),
    ("soccer", "pre changed", 0.02, 0.10, "a few %; 5.4 % in the recorded quarterfinals"),
    ("nfl", "live changed", 0.30, 0.99, "30 %+ in play; 95 % in the recorded week 6"),
    ("soccer", "live changed", 0.30, 0.97, "30 %+ in play; 86 % in the recorded quarterfinals"),
    ("nfl", "h2h price moved", 0.027, 0.108, "5.39 %"),
    ("mlb", "h2h price moved", 0.067, 0.27, "13.47 %"),
    ("wnba", "h2h price moved", 0.048, 0.20, "9.67 %"),
    ("soccer", "h2h price moved", 0.032, 0.13, "6.47 %"),
    ("nfl", "spreads price moved", 0.010, 0.044, "2.17 %, same point"),
    ("mlb", "spreads price moved", 0.069, 0.28, "13.77 %, same point"),
    ("nfl", "spreads point moved", 0.013, 0.055, "2.71 %"),
    ("mlb", "spreads point moved", 0.018, 0.072, "3.60 %"),
    ("nfl", "totals price moved", 0.006, 0.025, "1.21 %, same point"),
    ("nfl", "totals point moved", 0.013, 0.055, "2.73 %"),
    ("wnba", "totals point moved", 0.034, 0.14, "6.84 %"),
    ("soccer", "totals point moved", 0.003, 0.025, "0.80 %"),
    ("nfl", "both moved", 50, 1e9, "point and price move together"),
    ("nfl", "drops", 0.0014, 0.0056, "0.28 % per book-event and pair"),
    ("mlb", "drops", 0.0018, 0.0072, "0.36 %"),
    ("wnba", "drops", 0.0013, 0.0052, "0.26 %"),
    ("soccer", "drops", 0.0012, 0.0046, "0.23 %"),
    ("nfl", "rejoins", 40, 400, "2,020 of 4,039 joins in 6,546 snapshots: some 100 in as many as here"),
    # times
    *[(sport, "age p5", 1, 6, "3 to 5 s") for sport in KEYS],
    *[(sport, "age median", 28, 46, "32 to 38 s") for sport in KEYS],
    *[(sport, "age p95", 100, 223, "128 to 223 s") for sport in KEYS],
    *[(sport, "age p99", 220, 500, "313 to 406 s") for sport in ("nfl", "mlb", "wnba", "soccer")],
    *[(sport, "age max", 600, 899, "886 to 899 s") for sport in KEYS],
    *[(sport, "age over 10 min", 0.0003, 0.005, "0.16 to 0.39 %") for sport in ("nfl", "mlb", "wnba", "soccer")],
    *[(sport, "one second older", 0.015, 0.13, "1.9 to 11.7 %") for sport in KEYS],
    *[(sport, "older", 0.00002, 0.002, "0 to 0.14 %") for sport in ("nfl", "mlb", "wnba", "soccer")],
    *[(sport, "newer", 0, 0, "0 but in the World Cup") for sport in KEYS],
    *[(sport, "regressions", 0, 0, "last_update goes backward: 0") for sport in KEYS],
    # values
    *[(sport, "impossible prices", 0, 0, "abs(price) < 100: 0; -100: 0") for sport in KEYS],
    *[(sport, "prices of 10,000", 0.00001, 0.0025, "0.011 % (nfl) to 0.127 % (kbo)") for sport in KEYS],
    ("nfl", "even money", 0.005, 0.04, "+100: 1.8 %"),
    ("mlb", "placeholders", 1, 40, "2,291 of 3.8 million at 10,000, 9 at 100,000; nfl 73; so a few in 170,000 rows"),
    ("mlb", "wide", 0, 25, "one-book overround > 1.3: 0 to 4"),
    ("soccer", "h2h of two", 0.00001, 0.003, "13 of 365,592: late draws and two-way prices"),
    ("nfl", "arbitrages", 0, 0.012, "37 of 10,006 event-snapshots in the recorded week 6"),
    ("mlb", "arbitrages", 0.0002, 0.015, "as nfl: rare, but there are some"),
    *[(sport, "h2h hold median", 0.033, 0.060, "4.1 % (nfl), 4.8 % (soccer) in the recordings") for sport in KEYS],
    *[(sport, "h2h hold p5", 0.02, 0.045, "3.4 %, 3.3 %") for sport in KEYS],
    *[(sport, "h2h hold p95", 0.05, 0.085, "6.5 %, 6.4 %") for sport in KEYS],
]
EVENT_BANDS = [
    ("nfl", "same set", 0.88, 0.99, "96.27 %"),
    ("ncaaf", "same set", 0.60, 0.90, "75.73 %, every 4 h"),
    ("mlb", "same set", 0.78, 0.95, "88.80 %"),
    ("wnba", "same set", 0.92, 0.99, "97.29 %"),
    ("soccer", "same set", 0.92, 0.99, "96.68 %"),
    ("nfl", "ids changed", 0.62, 0.90, "76.16 %"),
    ("ncaaf", "ids changed", 0.38, 0.62, "50.00 %"),
    ("mlb", "ids changed", 0.14, 0.30, "21.24 %"),
    ("wnba", "ids changed", 0.78, 0.98, "89.23 %"),
    ("soccer", "ids changed", 0.20, 0.45, "31.43 %"),
    ("nfl", "changes before start", 0.43, 1.3, "297 on 344 ids"),
    ("nfl", "changes after start", 0.43, 1.3, "248 on 344 ids"),
    ("ncaaf", "changes after start", 0.25, 0.9, "144 on 314 ids"),
    ("wnba", "changes after start", 0.7, 1.6, "89 on 65 ids"),
    *[(sport, "changes to odd seconds", 0.2, 1.0, "17:00:00 becomes 17:02:27") for sport in KEYS],
    ("nfl", "changes of 6 h", 1, 15, "6"),
    ("ncaaf", "changes of 6 h", 3, 24, "12"),
    ("nfl", "changes by an hour back", 10, 60, "p5 of the deltas -3,600 s: 27 or more of 545"),
    ("nfl", "changes by an hour forth", 10, 60, "p95 3,600 s"),
    ("ncaaf", "corrected hours after", 1, 30, "-3 to -9 h after they happened"),
    ("nfl", "delta median", 30, 180, "60 s"),
    ("soccer", "delta median", 40, 240, "120 s"),
    ("mlb", "delta median", 65, 262, "131 s"),
    ("nfl", "withdrawn", 0.5, 1.0, "279 on 344 ids"),
    ("ncaaf", "withdrawn", 0.07, 0.28, "45 on 314 ids"),
    ("mlb", "withdrawn", 0.03, 0.15, "33 on 452 ids"),
    ("wnba", "withdrawn", 0.0, 0.08, "1 on 65 ids"),
    ("soccer", "withdrawn", 0.01, 0.09, "3 on 105 ids"),
    ("nfl", "back", 0.95, 1.0, "279 of 279 with the same id"),
    ("ncaaf", "back", 0.85, 1.0, "40 of 45"),
    ("mlb", "back", 0.75, 0.999, "32 of 33"),
    ("nfl", "gap median", 9800, 39200, "19,604 s"),
    ("nfl", "gap max", 100_000, 265_000, "259,313 s"),
    ("nfl", "final vanish median", 11_500, 14_400, "about 3.6 h"),
    ("mlb", "final vanish median", 9900, 12_600, "10,789 s"),
    ("wnba", "final vanish median", 8000, 9900, "8,822 s"),
    ("soccer", "final vanish median", 7900, 9900, "8,597 s"),
    ("mlb", "pairs listed twice", 1.3, 5.3, "11,476 cases in 4,348 snapshots"),
    ("mlb", "ids within 6 h", 4, 30, "11 pairs on 452 ids"),
    ("nfl", "ids within 6 h", 0, 0, "0"),
]


@pytest.mark.parametrize(("sport", "statistic", "low", "high", "source"), ODDS_BANDS)
def test_odds_lie_in_the_band(sport: str, statistic: str, low: float, high: float, source: str) -> None:
    found = odds(sport)[statistic]
    assert low <= found <= high, f"{sport}, {statistic}: {found:.6g}, not in {low} … {high} (measured: {source})"


@pytest.mark.parametrize(("sport", "statistic", "low", "high", "source"), EVENT_BANDS)
def test_events_lie_in_the_band(sport: str, statistic: str, low: float, high: float, source: str) -> None:
    found = events(sport)[statistic]
    assert low <= found <= high, f"{sport}, {statistic}: {found:.6g}, not in {low} … {high} (measured: {source})"


def _outside(bands: list[Any], sport: str, found: dict[str, float]) -> set[str]:
    return {name for which, name, low, high, _ in bands if which == sport and not low <= found[name] <= high}


SHORT = Period(ODDS["wnba"].start, 96, 900)


def test_a_restless_market_falls_out_of_its_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.market.simulator.play._steps", lambda tempo, fast: ((1800, 0.6), (3600, 0.6)))
    outside = _outside(ODDS_BANDS, "wnba", measure_odds(SimulatedMarket(SEED), "wnba", SHORT))
    assert {"changed median", "h2h price moved"} <= outside


def test_slow_feeds_fall_out_of_their_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.market.simulator.feeds.OLDEST", 1800)
    monkeypatch.setattr("pipeline.market.simulator.feeds.Feeds._stalled", lambda self, sport, book, at: at % 2400 < 1200)
    outside = _outside(ODDS_BANDS, "wnba", measure_odds(SimulatedMarket(SEED), "wnba", SHORT))
    assert {"age p95", "age p99", "age max", "age over 10 min"} <= outside


def test_books_that_drop_too_often_fall_out_of_the_band(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.market.simulator.feeds._SLOT", 6 * 3600)
    assert "drops" in _outside(ODDS_BANDS, "wnba", measure_odds(SimulatedMarket(SEED), "wnba", SHORT))


def test_greedy_books_fall_out_of_the_band(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.market.simulator.quotes.View._h2h_margin", lambda self: 0.12)
    assert "h2h hold median" in _outside(ODDS_BANDS, "wnba", measure_odds(SimulatedMarket(SEED), "wnba", SHORT))


def test_a_calm_calendar_falls_out_of_its_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    key = KEYS["nfl"]
    calm = replace(SPORT_BY_KEY[key], withdrawn=0.0, rewritten=0.0, flapped=0.0, nudged=0.0)
    monkeypatch.setitem(SPORT_BY_KEY, key, calm)
    period = Period(EVENTS["nfl"].start, 1500, 1357)
    outside = _outside(EVENT_BANDS, "nfl", measure_events(SimulatedMarket(SEED), "nfl", period))
    assert {"ids changed", "withdrawn", "changes by an hour back"} <= outside
