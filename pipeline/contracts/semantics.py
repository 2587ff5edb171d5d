"""Rules about what a valid answer says. Breaking one flags the market (or the answer) and keeps nothing out.

What is normal differs by market and sport, and stands in the seeds that SQL reads too (``dbt/seeds``).
"""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

from pipeline.clock import from_answer, from_iso, to_iso
from pipeline.contracts.finding import Findings
from pipeline.contracts.rules import RULES
from pipeline.contracts.shapes import ENVELOPES, PRICED, events_of
from pipeline.odds_api.request import ApiRequest
from pipeline.resources import resource

_AHEAD: Final = dt.timedelta(minutes=5)
_STALE: Final = dt.timedelta(minutes=20)
# The probability of 1.001, less what floats may lose.
_PLACEHOLDER: Final = 1 / 1.001 - 1e-9
_TOTALS: Final = frozenset(("Over", "Under"))


@dataclass(frozen=True, slots=True)
class _Market:
    """What is looked at in markets of one key.

    Attributes:
        family: ``h2h``, ``spreads`` or ``totals``, else empty: nothing is known of its outcomes.
        is_lay: an exchange's other side, which may lack outcomes and whose overround says nothing.
        has_lines: it holds any number of lines, perhaps one-sided.
        outcomes: how many it has, where the sport does not say.
    """

    family: str
    is_lay: bool
    has_lines: bool
    outcomes: int | None


def examine(request: ApiRequest, captured_at: dt.datetime, document: Any, found: Findings) -> None:
    """Note what a valid answer says that cannot be right.

    Args:
        request: what was asked.
        captured_at: when the answer came; a historical one names its own time instead.
        document: valid by the endpoint's schema.
        found: is added to.
    """
    endpoint = request.endpoint
    events, places = events_of(endpoint, document)
    if endpoint in ENVELOPES:
        captured_at = from_answer(document["timestamp"])
        _envelope(request, document, found)
    # ISO times are all of one form, and compare as texts.
    whole = captured_at.replace(microsecond=0)
    latest, earliest = to_iso(whole + _AHEAD), to_iso(whole - _STALE)
    if endpoint in RULES["list.sorted"].endpoints:
        _order(events, places, found)
    american = request.param("oddsFormat", "decimal") == "american"
    for event, place in zip(events, places, strict=True):
        home, away = event["home_team"], event["away_team"]
        if (home == away and home is not None) or (home is None) != (away is None):
            about = {"event_id": event["id"]}
            found.add("event.teams", f"{place}/away_team", away, f"the other team is {home!r}", about)
        if endpoint == "scores":
            _scores(event, place, latest, found)
        elif "bookmakers" in event and endpoint in RULES["odds.repeated"].endpoints:
            _books(event, place, found)
            if endpoint in PRICED:
                _Quotes(event, place, american, earliest, latest, found).examine()


def iso(time: str | int) -> str:
    """A time of an answer as ISO text, whichever date format it was asked for in."""
    return time if isinstance(time, str) else to_iso(from_answer(time))


def _envelope(request: ApiRequest, envelope: Mapping[str, Any], found: Findings) -> None:
    at = iso(envelope["timestamp"])
    try:
        asked = from_iso(request.param("date") or "")
    except ValueError:
        asked = None
    if asked is not None and from_iso(at) > asked:
        found.add("envelope.after_date", "/timestamp", at, f"the date asked for is {to_iso(asked)}")
    before, after = (
        None if envelope.get(name) is None else iso(envelope[name]) for name in ("previous_timestamp", "next_timestamp")
    )
    if before is not None and before >= at:
        found.add("envelope.neighbours", "/previous_timestamp", before, f"it is not earlier than {at}")
    if after is not None and after <= at:
        found.add("envelope.neighbours", "/next_timestamp", after, f"it is not later than {at}")


def _order(events: list[dict[str, Any]], places: list[str], found: Findings) -> None:
    before = ""
    for event, place in zip(events, places, strict=True):
        at = iso(event["commence_time"])
        if at < before:
            about = {"event_id": event["id"]}
            found.add("list.sorted", f"{place}/commence_time", at, f"the event before starts at {before}", about)
        before = at


def _scores(event: Mapping[str, Any], place: str, latest: str, found: Findings) -> None:
    about = {"event_id": event["id"]}
    at = None if event["last_update"] is None else iso(event["last_update"])
    if at is not None and at > latest:
        found.add(
            "time.ahead", f"{place}/last_update", at, f"more than 5 minutes after the answer; the limit is {latest}", about
        )
    for index, score in enumerate(event["scores"] or ()):
        if score["name"] not in (event["home_team"], event["away_team"]):
            found.add("scores.names", f"{place}/scores/{index}/name", score["name"], "it is no team of the event", about)


def _books(event: Mapping[str, Any], place: str, found: Findings) -> None:
    books: set[str] = set()
    for book_no, book in enumerate(event["bookmakers"]):
        about = {"event_id": event["id"], "bookmaker_key": book["key"]}
        if book["key"] in books:
            found.add("odds.repeated", f"{place}/bookmakers/{book_no}/key", book["key"], "it stands twice in the event", about)
        books.add(book["key"])
        if len({market["key"] for market in book["markets"]}) < len(book["markets"]):
            markets: set[str] = set()
            for market_no, market in enumerate(book["markets"]):
                key = market["key"]
                if key in markets:
                    pointer = f"{place}/bookmakers/{book_no}/markets/{market_no}/key"
                    found.add("odds.repeated", pointer, key, "it stands twice in the book", {**about, "market_key": key})
                markets.add(key)


class _Quotes:
    """The markets of one event."""

    def __init__(self, event: dict[str, Any], place: str, american: bool, earliest: str, latest: str, found: Findings) -> None:
        self.event = event
        self.place = place
        self.at = (0, 0)
        self.american = american
        self.earliest = earliest
        self.latest = latest
        self.found = found
        self.home, self.away = event["home_team"], event["away_team"]
        self.teams = frozenset((self.home, self.away))
        self.outcomes = _sport_outcomes(event["sport_key"])
        self.lowest, self.highest = _overrounds()

    def examine(self) -> None:
        """Note what is wrong with any of them."""
        for book_no, book in enumerate(self.event["bookmakers"]):
            book_at = book.get("last_update")
            for market_no, market in enumerate(book["markets"]):
                self.at = book_no, market_no
                at = market.get("last_update") or book_at
                if at is not None and not self.earliest <= (at := iso(at)) <= self.latest:
                    self._time(market, at)
                total = self._prices(market)
                rule = _market_rule(market["key"])
                if rule.family and None not in self.teams:
                    whole = self._outcomes(market, rule)
                    if whole and total is not None and not self.lowest <= total <= self.highest:
                        limits = f"{self.lowest:g} to {self.highest:g}"
                        self._add("market.overround", "/outcomes", round(total, 6), f"the probabilities add up beyond {limits}")

    def _about(self) -> tuple[str, dict[str, str]]:
        """The pointer of the bookmaker, and what a finding on the market flags."""
        book_no, market_no = self.at
        book = self.event["bookmakers"][book_no]
        market_key = book["markets"][market_no]["key"]
        about = {"event_id": self.event["id"], "bookmaker_key": book["key"], "market_key": market_key}
        return f"{self.place}/bookmakers/{book_no}", about

    def _add(self, rule: str, below: str, value: Any, message: str) -> None:
        pointer, about = self._about()
        self.found.add(rule, f"{pointer}/markets/{self.at[1]}{below}", value, message, about)

    def _time(self, market: Mapping[str, Any], at: str) -> None:
        pointer, about = self._about()
        pointer += f"/markets/{self.at[1]}/last_update" if "last_update" in market else "/last_update"
        if at > self.latest:
            message = f"more than 5 minutes after the answer; the limit is {self.latest}"
            self.found.add("time.ahead", pointer, at, message, about)
        else:
            message = f"more than 20 minutes before the answer; the limit is {self.earliest}"
            self.found.add("time.stale", pointer, at, message, about)

    def _prices(self, market: Mapping[str, Any]) -> float | None:
        """The sum of the probabilities; None where a price is none."""
        total: float | None = 0.0
        american = self.american
        for index, outcome in enumerate(market["outcomes"]):
            price = outcome["price"]
            if american:
                probability = 100 / (price + 100) if price >= 100 else price / (price - 100) if price <= -100 else None
            else:
                probability = 1 / price if price >= 1 else None
            if probability is None:
                message = f"no price in {'american' if american else 'decimal'} odds, which were asked for"
                self._add("odds.format", f"/outcomes/{index}/price", price, message)
                total = None
            else:
                if probability >= _PLACEHOLDER:
                    self._add("market.placeholder_price", f"/outcomes/{index}/price", price, "it pays next to nothing")
                if total is not None:
                    total += probability
        return total

    def _outcomes(self, market: Mapping[str, Any], rule: _Market) -> bool:
        """Look at names, their number and their points; whether the market is one whole set whose overround tells something."""
        outcomes = market["outcomes"]
        names = [outcome["name"] for outcome in outcomes]
        shown = frozenset(names)
        sides = _TOTALS if rule.family == "totals" else self.teams
        unknown = shown - sides
        if rule.family == "h2h":
            unknown -= {"Draw"}
        if unknown:
            wanted = ", ".join(sorted(sides))
            for index, name in enumerate(names):
                if name in unknown:
                    self._add("market.outcome_names", f"/outcomes/{index}/name", name, f"the outcomes are {wanted}")
            return False
        if rule.has_lines:
            self._points(outcomes, rule)
            return False
        if len(shown) < len(names):
            self._add("market.outcome_set", "/outcomes", names, "an outcome stands twice")
            return False
        if rule.is_lay:
            return False
        expected = (rule.outcomes or self.outcomes) if rule.family == "h2h" else 2
        if not sides <= shown or len(names) < expected:
            self._add("market.outcome_set", "/outcomes", names, f"{expected} outcomes belong to it")
            return False
        return rule.family == "h2h" or self._points(outcomes, rule)

    def _points(self, outcomes: list[dict[str, Any]], rule: _Market) -> bool:
        missing = [index for index, outcome in enumerate(outcomes) if outcome.get("point") is None]
        for index in missing:
            self._add("market.point_missing", f"/outcomes/{index}", outcomes[index], "it has no point")
        if missing or rule.has_lines:
            return False
        first, second = outcomes[0]["point"], outcomes[1]["point"]
        if first != (second if rule.family == "totals" else -second):
            message = "the points are not the same" if rule.family == "totals" else "the points are not opposite"
            self._add(f"{rule.family}.points", "/outcomes/1/point", second, f"{message}; the other is {first}")
            return False
        return True


@cache
def _seed(name: str) -> list[dict[str, str]]:
    with resource(f"dbt/seeds/{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def seeds() -> dict[str, list[dict[str, str]]]:
    """What the rules read of the seeds, as far as it changes what they find."""
    limits = [row for row in _seed("parameters") if row["name"] in ("overround_min", "overround_max")]
    return {"market_rules": _seed("market_rules"), "sport_rules": _seed("sport_rules"), "parameters": limits}


@lru_cache(maxsize=4096)
def _market_rule(key: str) -> _Market:
    """The exact key's row first, then that of the longest prefix, as SQL chooses."""
    rows = [
        row
        for row in _seed("market_rules")
        if row["market_key"] == key or (row["is_prefix"] == "true" and key.startswith(row["market_key"]))
    ]
    row = max(rows, key=lambda row: (row["market_key"] == key and row["is_prefix"] == "false", len(row["market_key"])))
    family = row["family"].removesuffix("_lay")
    return _Market(
        family=family if family in ("h2h", "spreads", "totals") else "",
        is_lay=row["price_side"] == "lay",
        has_lines=row["is_point_in_key"] == "true",
        outcomes=3 if key.startswith("h2h_3_way") else None,
    )


@lru_cache(maxsize=4096)
def _sport_outcomes(sport: str) -> int:
    rows = [row for row in _seed("sport_rules") if sport.startswith(row["sport_prefix"])]
    return int(max(rows, key=lambda row: len(row["sport_prefix"]))["h2h_outcomes"])


@cache
def _overrounds() -> tuple[float, float]:
    limits = {row["name"]: float(row["value"]) for row in _seed("parameters")}
    return limits["overround_min"], limits["overround_max"]
