"""Gold in plain Python, written from the definitions and not from the SQL: what a slow and simple reader would compute.

It takes a set of batches and walks them whole: no ledger, no increments, no floats. Times are compared as datetimes,
numbers as Decimals of gold's scales, and rows are dictionaries keyed by what identifies a row to a person (surrogate keys
are left out). Where the definitions leave something open, the choice stands in a comment beside the code that makes it.
"""

from __future__ import annotations

import csv
import datetime as dt
import itertools
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from fractions import Fraction
from functools import cache, cached_property
from statistics import median
from typing import Any

from pipeline.bronze.batch_load import is_answer
from pipeline.contracts.elements import Element
from pipeline.contracts.judgement import judge
from pipeline.recording.model import Batch, Coverage, Exchange, exchange_id
from pipeline.resources import resource
from tests.replay import model_lines
from tests.replay.fair import fair
from tests.replay.model_staleness import StaleSets

Time = dt.datetime
Row = dict[str, Any]
Table = dict[tuple[Any, ...], Row]

LISTING_ENDPOINTS = (
    "events",
    "odds",
    "event_odds",
    "event_markets",
    "historical_events",
    "historical_odds",
    "historical_event_odds",
)
ODDS_ENDPOINTS = ("odds", "event_odds", "historical_odds", "historical_event_odds")
# at one time the kinds of answers are read in this order, scores last; a historical answer is of the kind it is the history of
SOURCE_RANKS = {"events": 1, "odds": 2, "event_odds": 3, "event_markets": 4, "scores": 5}
HOUR = dt.timedelta(hours=1)
_EXACT = Context(prec=60)
_PLACE = [Decimal(1).scaleb(-places) for places in range(12)]


def rounded(value: Fraction | Decimal | int, places: int) -> Decimal:
    """Half away from zero, as numeric columns do."""
    if isinstance(value, Fraction):
        exact = _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))
    else:
        exact = Decimal(value)
    return exact.quantize(_PLACE[places], ROUND_HALF_UP, _EXACT)


def parse_time(told: str | Decimal) -> Time:
    """ISO text, or seconds since 1970."""
    if isinstance(told, Decimal):
        return dt.datetime.fromtimestamp(int(told), dt.UTC)
    return dt.datetime.fromisoformat(told).astimezone(dt.UTC)


# --- what the seeds say ---------------------------------------------------------------------------------------------------


@cache
def _seed(name: str) -> tuple[Mapping[str, str], ...]:
    with (resource("dbt") / "seeds" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


@cache
def parameter(name: str) -> Decimal:
    return next(Decimal(row["value"]) for row in _seed("parameters") if row["name"] == name)


@cache
def market_rule(market: str) -> Mapping[str, str]:
    exact = [row for row in _seed("market_rules") if row["is_prefix"] == "false" and row["market_key"] == market]
    if exact:
        return exact[0]
    prefixes = [row for row in _seed("market_rules") if row["is_prefix"] == "true" and market.startswith(row["market_key"])]
    return max(prefixes, key=lambda row: len(row["market_key"]))


@cache
def sport_rule(sport: str) -> Mapping[str, str]:
    return max(
        (row for row in _seed("sport_rules") if sport.startswith(row["sport_prefix"])), key=lambda row: len(row["sport_prefix"])
    )


@cache
def listed_hours(sport: str) -> tuple[dt.timedelta, dt.timedelta] | None:
    """How long after its start a game leaves the list, at least and at most; None where that is not known."""
    rule = sport_rule(sport)
    if not rule["listed_min"]:
        return None
    least, most = (dt.timedelta(minutes=int(60 * Fraction(rule[name]))) for name in ("listed_min", "listed_max"))
    return least, most


@cache
def book_profile(book: str) -> tuple[str, str, Decimal]:
    """Operator group, kind of price, commission. An unknown book is its own group with fixed back prices."""
    for row in _seed("book_profile"):
        if row["bookmaker_key"] == book:
            assert not row["valid_from"] and not row["valid_to"]
            return row["operator_group"], row["price_kind"], Decimal(row["commission"])
    return book, "back_fixed", Decimal(0)


@cache
def sharpness(book: str) -> tuple[Decimal, bool]:
    """Weight among sharp books, and whether it is an exchange."""
    for row in _seed("book_profile"):
        if row["bookmaker_key"] == book:
            return Decimal(row["sharp_weight"]), row["is_exchange"] == "true"
    return Decimal(0), False


# --- answers --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """An admitted answer, opened."""

    exchange_id: uuid.UUID
    endpoint: str
    moment: Time
    captured_at: Time
    place: int
    sha256: str
    coverage: Coverage
    odds_format: str
    document: Any
    events: tuple[Mapping[str, Any], ...]
    source: str
    # what it does not tell as it is held back: (event,), (event, book or None) or (event, book, market)
    held_back: frozenset[tuple[str | None, ...]] = frozenset()

    def tells_of(self, event_id: str, book: str | None = None, market: str | None = None) -> bool:
        """Whether neither the event, nor the book, nor the book's market is held back."""
        named = (
            {(event_id,), (None,)}
            if book is None
            else {(event_id,), (event_id, None), (event_id, book), (event_id, book, market)}
        )
        return not named & self.held_back

    @property
    def kind(self) -> str:
        return self.endpoint.removeprefix("historical_")

    @property
    def last_first(self) -> tuple[Any, ...]:
        """Sorts the newest first; of one time the smallest place, then hash."""
        return (-self.captured_at.timestamp(), self.place, self.sha256, self.exchange_id)

    def event(self, event_id: str) -> Mapping[str, Any] | None:
        return next((event for event in self.events if event["id"] == event_id), None)

    def covers(self, event_id: str, sport: str | None) -> bool:
        """Whether it tells of an event: it shows it, or asked for the sport that it belonged to, as a whole or for it."""
        asked = self.coverage
        if self.event(event_id) is not None:
            return True
        return sport is not None and asked.sport == sport and (asked.events is None or event_id in asked.events)

    @property
    def reading_order(self) -> tuple[Any, ...]:
        """Sorts the answers about one event; of one time the last one is its newest."""
        return (self.captured_at, SOURCE_RANKS[self.kind], self.place, self.exchange_id)


def is_admitted(exchange: Exchange) -> bool:
    return is_answer(exchange) and judge(exchange).verdict != "quarantined"


def open_answers(
    batches: Iterable[Batch],
    admitted: Callable[[Exchange], bool] = is_admitted,
    held: Callable[[Exchange], Iterable[Element]] = lambda exchange: held_elements(exchange),
) -> list[Answer]:
    answers = []
    for batch in batches:
        for exchange in batch.exchanges:
            if not is_answer(exchange) or not admitted(exchange):
                continue
            assert exchange.body is not None and exchange.sha256 is not None
            document = json.loads(exchange.body, parse_float=Decimal, parse_int=Decimal)
            elements = held(exchange)
            document = part_of(document, {each.pointer for each in elements})
            if exchange.request.endpoint.startswith("historical_"):
                document = document["data"]
            events: tuple[Any, ...] = ()
            if exchange.request.endpoint not in ("sports", "participants"):
                events = (document,) if isinstance(document, dict) else tuple(document)
            answers.append(
                Answer(
                    exchange_id(batch.batch_id, exchange.place, exchange.attempt),
                    exchange.request.endpoint,
                    batch.scheduled_at,
                    exchange.captured_at,
                    exchange.place,
                    exchange.sha256,
                    exchange.coverage,
                    exchange.request.param("oddsFormat") or "decimal",
                    document,
                    events,
                    "simulated" if batch.source == "simulated" or "x-simulated" in dict(exchange.headers) else "the_odds_api",
                    frozenset(
                        (each.event_id,)
                        if each.kind == "event"
                        else (each.event_id, each.bookmaker_key)
                        if each.kind == "bookmaker"
                        else (each.event_id, each.bookmaker_key, each.market_key)
                        for each in elements
                    ),
                )
            )
    return answers


def held_elements(exchange: Exchange) -> tuple[Element, ...]:
    return judge(exchange).held


def part_of(value: Any, gone: set[str], place: str = "") -> Any:
    """A document without what stands at some JSON pointers."""
    if isinstance(value, dict):
        return {key: part_of(inner, gone, f"{place}/{key}") for key, inner in value.items()}
    if isinstance(value, list):
        return [part_of(item, gone, f"{place}/{n}") for n, item in enumerate(value) if f"{place}/{n}" not in gone]
    return value


# --- quotes: what one answer alone tells ----------------------------------------------------------------------------------


@dataclass
class Quote:
    """One outcome of one answer."""

    answer: Answer
    event_id: str
    sport: str
    book: str
    market: str
    description: str | None
    name: str
    side: str
    point: Decimal | None
    line_point: Decimal | None
    native: Decimal
    last_update: Time | None
    price_decimal: Decimal | None
    implied: Decimal | None
    entry: tuple[int, int] = (0, 0)
    is_superseded: bool = False
    duplicate_no: int = 1
    # two people of one name, whom one market of the book shows at one point
    has_namesakes: bool = False
    rank: int = 1
    outcome_set: str = "other"
    is_complete: bool = False
    overround: Decimal | None = None
    problem: str | None = "incomplete"
    first_side_fair: Fraction | None = None

    @property
    def exact(self) -> Fraction:
        """The implied probability, not rounded; of a price."""
        price = priced(self.native, self.answer.odds_format)
        assert price is not None
        return price[1]

    @property
    def series(self) -> tuple[Any, ...]:
        point_in_key = market_rule(self.market)["is_point_in_key"] == "true"
        return (
            self.event_id,
            self.book,
            self.market,
            self.description,
            self.name,
            self.point if point_in_key else None,
            self.rank,
        )

    @property
    def line(self) -> tuple[Any, ...]:
        return (self.event_id, self.market, self.description, self.line_point)

    @property
    def quote_at(self) -> Time:
        return min(self.answer.captured_at, self.last_update) if self.last_update else self.answer.captured_at


def priced(native: Decimal, odds_format: str) -> tuple[Fraction, Fraction] | None:
    """Decimal price and implied probability; None for a number that is no price in its format."""
    value = Fraction(native)
    if odds_format == "decimal":
        return (value, 1 / value) if value >= 1 else None
    if abs(value) < 100:
        return None
    if value > 0:
        return 1 + value / 100, Fraction(100) / (value + 100)
    return 1 + 100 / abs(value), abs(value) / (abs(value) + 100)


def _side(name: str, event: Mapping[str, Any]) -> str:
    if name == event["home_team"]:
        return "home"
    if name == event["away_team"]:
        return "away"
    return {"Draw": "draw", "Over": "over", "Under": "under", "Yes": "yes", "No": "no"}.get(name, "runner")


def quotes_of(answer: Answer) -> list[Quote]:
    if answer.endpoint not in ODDS_ENDPOINTS:
        return []
    quotes: list[Quote] = []
    for event in answer.events:
        for book_no, book in enumerate(event["bookmakers"]):
            for market_no, market in enumerate(book["markets"]):
                told = market.get("last_update") or book.get("last_update")
                for outcome in market["outcomes"]:
                    quote = _quote(answer, event, book["key"], market["key"], outcome, parse_time(told) if told else None)
                    quote.entry = (book_no, market_no)
                    quotes.append(quote)
    _silence_older_entries(quotes)
    _find_namesakes(quotes)
    _number_duplicates(quotes)
    sets = defaultdict(list)
    for quote in quotes:
        sets[
            (
                quote.event_id,
                quote.book,
                quote.market,
                quote.description,
                quote.line_point,
                quote.duplicate_no,
                quote.is_superseded,
            )
        ].append(quote)
    for members in sets.values():
        _judge_set(members)
    _rank_lines(quotes)
    return quotes


def _quote(
    answer: Answer, event: Mapping[str, Any], book: str, market: str, outcome: Mapping[str, Any], told: Time | None
) -> Quote:
    native = rounded(outcome["price"], 8)
    point = None if outcome.get("point") is None else rounded(outcome["point"], 3)
    price, implied = priced(native, answer.odds_format) or (None, None)
    side = _side(outcome["name"], event)
    line_point = point
    if market_rule(market)["family"] == "spreads":
        line_point = {"home": point, "away": None if point is None else -point}.get(side)
    return Quote(
        answer, event["id"], event["sport_key"], book, market, outcome.get("description"), outcome["name"], side, point,
        line_point, native, told,
        None if price is None else rounded(price, 8), None if implied is None else rounded(implied, 10),
    )  # fmt: skip


def _silence_older_entries(quotes: Sequence[Quote]) -> None:
    """Of a book's market that stands twice in an event, the entry with the newest last_update speaks, then the first."""
    entries: dict[tuple[str, str, str], list[Quote]] = defaultdict(list)
    for quote in quotes:
        entries[(quote.event_id, quote.book, quote.market)].append(quote)
    for members in entries.values():
        speaking = min(
            members, key=lambda q: (q.last_update is None, -q.last_update.timestamp() if q.last_update else 0, q.entry)
        ).entry
        for quote in members:
            quote.is_superseded = quote.entry != speaking


def _find_namesakes(quotes: Sequence[Quote]) -> None:
    """One market that shows one person at one point twice has two of that name; one that doubles several is a doubled list."""
    shown = Counter((quote.event_id, quote.entry, quote.description, quote.name, quote.point) for quote in quotes)
    doubled: dict[tuple[str, str, str], list[Quote]] = defaultdict(list)
    for quote in quotes:
        is_of_people = market_rule(quote.market)["family"] in ("props", "outrights") and not quote.is_superseded
        if is_of_people and shown[(quote.event_id, quote.entry, quote.description, quote.name, quote.point)] > 1:
            doubled[(quote.event_id, quote.book, quote.market)].append(quote)
    namesakes = {
        (quote.book, quote.line)
        for told in doubled.values()
        for quote in told
        if len({each.name if each.description is None else each.description for each in told}) == 1
    }
    for quote in quotes:
        quote.has_namesakes = (quote.book, quote.line) in namesakes


def _number_duplicates(quotes: Sequence[Quote]) -> None:
    """The very same outcome of a book again belongs to a second set: the pairs are taken in the order in which they stand."""
    seen: dict[tuple[Any, ...], int] = defaultdict(int)
    for quote in sorted(quotes, key=lambda quote: quote.is_superseded):
        key = (quote.event_id, quote.book, quote.market, quote.description, quote.name, quote.point)
        seen[key] += 1
        quote.duplicate_no = seen[key]


def _judge_set(members: Sequence[Quote]) -> None:
    first = members[0]
    rule, sport = market_rule(first.market), sport_rule(first.sport)
    sides = sorted(quote.side for quote in members)
    kinds = set(sides)
    if rule["family"] in ("outrights", "outrights_lay"):
        kind = "field"
    elif "draw" in kinds and kinds <= {"home", "away", "draw"}:
        kind = "three_way"
    elif kinds <= {"home", "away"} or kinds <= {"over", "under"}:
        kind = "two_way"
    elif kinds <= {"yes", "no"}:
        kind = "yes_no"
    else:
        kind = "other"
    expected = 2
    if rule["family"] in ("h2h", "h2h_lay"):
        expected = 3 if first.market.startswith("h2h_3_way") else int(sport["h2h_outcomes"])
    prices = [quote.price_decimal for quote in members if quote.price_decimal is not None]
    is_priced = len(prices) == len(members) and min(prices) > 1
    whole = {
        "three_way": sides == ["away", "draw", "home"],
        "two_way": expected == 2 and sides in (["away", "home"], ["over", "under"]),
        "yes_no": sides == ["no", "yes"],
    }.get(kind, False)
    # of what is no price nothing is added up
    told = [quote.implied for quote in members if quote.implied is not None]
    total = rounded(sum(told, Decimal(0)), 10) if told else None
    lay = rule["price_side"] == "lay"
    is_complete = is_priced and whole
    problem = None
    if first.is_superseded:
        problem = "superseded"
    elif first.has_namesakes:
        problem = "namesakes"
    elif kind == "two_way" and expected == 3:
        problem = "unexpected_outcome_set"
    elif kind == "other":
        problem = "unknown_outcomes"
    elif not is_priced:
        problem = "price_out_of_range"
    elif min(prices) <= Decimal("1.001"):
        problem = "placeholder_price"
    elif kind != "field" and not is_complete:
        problem = "incomplete"
    elif rule["family"] in ("spreads", "totals", "team_totals") and first.line_point is None:
        problem = "point_missing"
    elif lay:
        problem = None
    elif kind != "field" and total < parameter("overround_min"):
        problem = "overround_too_low"
    elif kind != "field" and total > parameter("overround_max"):
        problem = "overround_too_high"
    elif (
        # the range of a whole game says nothing of a part of it
        rule["family"] == "totals"
        and rule["period"] == "full_game"
        and first.line_point is not None
        and not Decimal(sport["total_min"]) <= first.line_point <= Decimal(sport["total_max"])
    ):
        problem = "total_out_of_range"
    leader = min(members, key=lambda quote: (quote.side not in ("home", "over", "yes"), quote.name))
    for quote in members:
        quote.outcome_set = kind
        quote.is_complete = is_complete
        quote.overround = total
        quote.problem = problem
        quote.first_side_fair = None
        if is_complete:
            assert leader.implied is not None and total is not None
            quote.first_side_fair = Fraction(leader.implied) / Fraction(total)


def _rank_lines(quotes: Sequence[Quote]) -> None:
    """Where a book shows a name twice in one market, all rows stay: the main line first."""
    nothing = Fraction(10**9)  # what is unknown comes last
    groups = defaultdict(list)
    for place, quote in enumerate(quotes):
        quote.rank = 1
        groups[quote.series].append((place, quote))
    for group in groups.values():
        group.sort(
            key=lambda item: (
                item[1].is_superseded,
                not item[1].is_complete,
                nothing if item[1].first_side_fair is None else abs(item[1].first_side_fair - Fraction(1, 2)),
                nothing if item[1].overround is None else item[1].overround,
                nothing if item[1].line_point is None else abs(item[1].line_point),
                nothing if item[1].line_point is None else item[1].line_point,
                item[1].duplicate_no,
                item[0],
            )
        )
        for rank, (_, quote) in enumerate(group, start=1):
            quote.rank = rank


# --- the model ------------------------------------------------------------------------------------------------------------


class Gold:
    """All of gold's stored tables, computed from a set of batches."""

    def __init__(
        self,
        batches: Iterable[Batch],
        admitted: Callable[[Exchange], bool] = is_admitted,
        held: Callable[[Exchange], Iterable[Element]] = lambda exchange: held_elements(exchange),
    ) -> None:
        self.answers = sorted(
            open_answers(batches, admitted, held), key=lambda a: (a.captured_at, a.moment, a.place, a.exchange_id)
        )
        self.shown: dict[str, list[Answer]] = defaultdict(list)
        for answer in self.answers:
            for event in answer.events:
                self.shown[event["id"]].append(answer)
        self.quotes: dict[tuple[Any, ...], list[Quote]] = defaultdict(list)
        for answer in self.answers:
            for quote in quotes_of(answer):
                self.quotes[quote.series].append(quote)
        self._by_sport: dict[str | None, list[Answer]] = defaultdict(list)
        for answer in self.answers:
            self._by_sport[answer.coverage.sport].append(answer)
        self._keys = {event_id: self._keys_of(event_id) for event_id in self.shown}
        self._covering: dict[str, list[Answer]] = {}
        self._stretches_of: dict[tuple[Any, ...], list[Row]] = {}
        self.start_changes = {event_id: self._walk_start(event_id) for event_id in self.shown}

    def tables(self) -> dict[str, Table]:
        listings = self.listing_intervals()
        results = self.results()
        history = self.price_history()
        margins = self.margins(history)
        moves = model_lines.moves(margins, self.captures, self.known_sport)
        return {
            "gold.sports": self.sports(),
            "gold.bookmakers": self.bookmakers(),
            "gold.events": self.events(listings, results),
            "gold.event_start_changes": self.event_start_changes(),
            "gold.event_listing_intervals": listings,
            "gold.price_history": history,
            "gold.stale_quotes": self.stale_quotes(),
            "gold.best_price": self.best_price(history),
            "gold.margins": margins,
            "gold.consensus": self.consensus(margins),
            "gold.consensus_line": model_lines.consensus_line(margins, self.known_sport, self.stale),
            "gold.moves": moves,
            "gold.steam": model_lines.steam(moves),
            "gold.arbitrages": self.arbitrages(margins),
            "gold.middles": self.middles(margins),
            "gold.results": results,
        }

    @property
    def outcome_count(self) -> int:
        return sum(map(len, self.quotes.values()))

    # starts

    def _walk_start(self, event_id: str) -> list[Row]:
        told = sorted(self.shown[event_id], key=lambda a: a.reading_order)
        said: dict[str, Time] = {}
        believed: Time | None = None
        walk = []
        for answer in told:
            event = answer.event(event_id)
            assert event is not None
            start, at = parse_time(event["commence_time"]), answer.captured_at
            repeated = said.get(answer.kind) == start
            said[answer.kind] = start
            # a source that tells first what others told before changes nothing
            if repeated or start == believed:
                continue
            if believed is None:
                accepted = True
            elif at < believed:
                accepted = start >= at - HOUR
            else:
                accepted = believed - HOUR / 4 <= start <= believed + 4 * HOUR
            after = start if accepted else believed
            walk.append(
                {
                    "event_id": event_id, "exchange_id": answer.exchange_id, "sport_key": event["sport_key"], "captured_at": at,
                    "source_rank": SOURCE_RANKS[answer.kind], "place": answer.place, "old_start": believed, "new_start": start,
                    "accepted": accepted, "start_as_known": after,
                }
            )  # fmt: skip
            believed = after
        return walk

    def start_known(self, event_id: str, at: Time) -> Time:
        """The start believed at a time, by all that was captured until then."""
        known: Time = [change for change in self.start_changes[event_id] if change["captured_at"] <= at][-1]["start_as_known"]
        return known

    def phase(self, event_id: str, at: Time) -> str:
        return "pre" if self.start_known(event_id, at) > at else "in_play"

    def event_start_changes(self) -> Table:
        return {(row["event_id"], row["exchange_id"]): row for walk in self.start_changes.values() for row in walk}

    # sport keys

    def _keys_of(self, event_id: str) -> list[tuple[Time, str]]:
        told = sorted(self.shown[event_id], key=lambda a: a.reading_order)
        return [(a.captured_at, event["sport_key"]) for a in told if (event := a.event(event_id)) is not None]

    def sport_at(self, event_id: str, at: Time) -> str | None:
        """The key under which an event was last shown up to a time."""
        return next((key for since, key in reversed(self._keys[event_id]) if since <= at), None)

    def known_sport(self, event_id: str, at: Time) -> str:
        """The same, once it was shown."""
        sport = self.sport_at(event_id, at)
        assert sport is not None
        return sport

    # coverage

    def covering(self, event_id: str) -> list[Answer]:
        """The answers that tell of an event: that show it, or asked for the sport that it belonged to as they came. One that
        asked for a window of starts asked about those whose start, as last heard of before it, lies in the window."""
        if event_id not in self._covering:
            keys = {key for _, key in self._keys[event_id]}
            asked = [answer for key in sorted(keys) for answer in self._by_sport[key]]
            shown = self.shown[event_id]
            self._covering[event_id] = [
                *shown,
                *(
                    answer
                    for answer in asked
                    if answer.event(event_id) is None
                    and answer.covers(event_id, self.sport_at(event_id, answer.captured_at))
                    and answer.tells_of(event_id)
                    and self._in_window(answer, event_id)
                ),
            ]
        return self._covering[event_id]

    def _in_window(self, answer: Answer, event_id: str) -> bool:
        asked = answer.coverage
        if asked.commence_from is None and asked.commence_to is None:
            return True
        heard = [a for a in self.shown[event_id] if a.captured_at < answer.captured_at]
        if not heard:
            return False
        newest = max(heard, key=lambda a: a.reading_order).event(event_id)
        assert newest is not None
        start = parse_time(newest["commence_time"])
        return (asked.commence_from is None or start >= asked.commence_from) and (
            asked.commence_to is None or start <= asked.commence_to
        )

    # listings

    def listing_intervals(self) -> Table:
        rows: Table = {}
        for event_id in self.shown:
            moments: dict[Time, list[Answer]] = defaultdict(list)
            for answer in self.covering(event_id):
                if answer.endpoint in LISTING_ENDPOINTS:
                    moments[answer.moment].append(answer)
            points: dict[Time, bool] = {}
            for answers in moments.values():
                showing = [a.captured_at for a in answers if a.event(event_id) is not None]
                at = min(showing) if showing else max(a.captured_at for a in answers)
                # two moments may have their answers at one time: one that shows it is enough
                points[at] = points.get(at, False) or bool(showing)
            for listed, group in itertools.groupby(sorted(points.items()), key=lambda point: point[1]):
                times = [at for at, _ in group]
                if not listed:
                    continue
                ends = min((at for at in points if at > times[-1]), default=None)
                rows[(event_id, times[0])] = {
                    "event_id": event_id,
                    "sport_key": self.known_sport(event_id, times[0]),
                    "valid_from": times[0],
                    "last_seen_at": times[-1] if ends else None,
                    "valid_to": ends,
                    "observations": len(times) if ends else None,
                }
        return rows

    # prices

    def price_history(self) -> Table:
        rows: Table = {}
        for series, quotes in self.quotes.items():
            for row in self._stretches(series, quotes):
                rows[(*series, row["valid_from"])] = row
        return rows

    def _points(self, series: tuple[Any, ...], quotes: Sequence[Quote]) -> list[tuple[Time, Quote | None, str | None]]:
        """What each moment says of a series: its price, or why it is absent; one word per time."""
        event_id, book, market = series[:3]
        by_moment: dict[Time, list[Quote]] = defaultdict(list)
        for quote in quotes:
            by_moment[quote.answer.moment].append(quote)
        words: dict[Time, tuple[bool, Time, Quote | None, str | None]] = {}

        def say(at: Time, moment: Time, quote: Quote | None, absence: str | None) -> None:
            # of two moments whose answers came at one time one that shows it is enough, then the later one speaks
            word = (quote is not None, moment, quote, absence)
            if at not in words or words[at][:2] < word[:2]:
                words[at] = word

        for moment, told in by_moment.items():
            chosen = min(told, key=lambda quote: quote.answer.last_first)
            say(chosen.answer.captured_at, moment, chosen, None)
        asked: dict[Time, list[Answer]] = defaultdict(list)
        for answer in self.covering(event_id):
            if market in answer.coverage.markets and book in answer.coverage.books and answer.tells_of(event_id, book, market):
                asked[answer.moment].append(answer)
        for moment, answers in asked.items():
            if moment not in by_moment:
                say(max(a.captured_at for a in answers), moment, None, _absence(answers, event_id, book, market))
        return [(at, quote, absence) for at, (_, _, quote, absence) in sorted(words.items(), key=lambda item: item[0])]

    def _stretches(self, series: tuple[Any, ...], quotes: Sequence[Quote]) -> Iterator[Row]:
        points = self._points(series, quotes)
        open_row: Row | None = None
        last: Quote | None = None
        last_seen: Time | None = None
        for at, quote, absence in points:
            if quote is None:
                if open_row is not None:
                    yield _closed(open_row, last_seen, at, str(absence))
                    open_row = None
                continue
            phase = self.phase(series[0], at)
            if open_row is not None:
                assert last is not None
                reason = None
                if _price_changed(last, quote):
                    reason = "changed"
                elif phase != open_row["phase_as_known"]:
                    reason = "phase"
                if reason:
                    yield _closed(open_row, last_seen, at, reason)
                    open_row = None
            if open_row is None:
                open_row = _row(quote, self.known_sport(series[0], at), phase, at, last_seen)
            open_row["observations"] += 1
            last, last_seen = quote, at
        if open_row is not None:
            yield {**open_row, "observations": None}

    # margins

    def margins(self, history: Table) -> Table:
        """Each book's sets over time; of outrights all books are looked at together, as fields are judged by one another."""
        cells: dict[tuple[Any, ...], list[tuple[tuple[Any, ...], Row]]] = defaultdict(list)
        for key, row in history.items():
            if row["price_side"] == "back":
                together = market_rule(row["market_key"])["family"] == "outrights"
                line = (row["event_id"], row["market_key"], row["description"], row["line_point"])
                cells[(*line, None if together else row["bookmaker_key"])].append((key[:-1], row))
        rows: Table = {}
        for members in cells.values():
            standing: dict[tuple[Any, ...], Row] = {}
            for at in sorted({at for _, row in members for at in (row["valid_from"], row["valid_to"]) if at is not None}):
                sets = self._sets_at(at, members)
                for key in [*standing.keys() - sets.keys(), *sets]:
                    old, new = standing.get(key), sets.get(key)
                    if old is not None and new is not None and all(old[c] == new[c] for c in _SET_VALUES):
                        continue
                    if old is not None:
                        old["valid_to"] = at
                        del standing[key]
                    if new is not None:
                        standing[key] = rows[(*key, at)] = new
        return rows

    def _sets_at(self, at: Time, members: Sequence[tuple[tuple[Any, ...], Row]]) -> dict[tuple[Any, ...], Row]:
        sets: dict[tuple[Any, ...], list[tuple[Row, Quote]]] = defaultdict(list)
        for series, row in members:
            if row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"]):
                word = self._last_word(series, at)
                if word.problem == "superseded":
                    continue
                line = (row["market_key"], row["description"], row["line_point"])
                sets[(row["event_id"], row["bookmaker_key"], *line, word.duplicate_no)].append((row, word))
        # of several answers the newest speaks for a set
        words = {key: min((w for _, w in rows), key=_newest_first) for key, rows in sets.items()}
        runners = {
            row["outcome_name"]
            for key, rows in sets.items()
            if words[key].outcome_set == "field" and words[key].problem is None
            for row, _ in rows
        }
        return {
            key: _margin_row(key, rows, words[key], self.known_sport(key[0], at), len(runners), at)
            for key, rows in sets.items()
        }

    # freshness

    def _is_too_old(self, word: Quote) -> bool:
        phase = self.phase(word.event_id, word.answer.captured_at)
        limit = parameter("fresh_age_pre_seconds" if phase == "pre" else "fresh_age_in_play_seconds")
        return word.answer.captured_at - word.quote_at > dt.timedelta(seconds=int(limit))

    def stale_quotes(self) -> Table:
        """When a series of back prices was not fresh, while it stood, by the set that it stood in."""
        return self._staleness[0]

    @property
    def stale(self) -> StaleSets:
        return self._staleness[1]

    @cached_property
    def _staleness(self) -> tuple[Table, StaleSets]:
        history = self.price_history()
        rows: Table = {}
        of_series: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for key, row in history.items():
            if row["price_side"] == "back":
                of_series[key[:-1]].append(row)
        for series, stretches in of_series.items():
            shown = {quote.answer.captured_at for quote in self.quotes[series]}
            ends = {at for row in stretches for at in (row["valid_from"], row["valid_to"]) if at is not None}
            standing: Row | None = None
            for at in sorted(shown | ends):
                now = [
                    row for row in stretches if row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"])
                ]
                new: Row | None = None
                if now and self._is_too_old(word := self._last_word(series, at)):
                    new = {
                        "event_id": word.event_id, "sport_key": self.known_sport(word.event_id, at), "bookmaker_key": word.book,
                        "market_key": word.market, "description": word.description, "outcome_name": word.name,
                        "line_rank": series[-1], "point": now[0]["point"], "line_point": now[0]["line_point"],
                        "outcome_set": word.outcome_set,
                        "phase_as_known": now[0]["phase_as_known"], "valid_from": at, "valid_to": None,
                        "age_at_open_seconds": _age(word, word.answer.captured_at), "set_no": word.duplicate_no,
                    }  # fmt: skip
                told = ("line_point", "outcome_set", "set_no")
                if standing is not None and new is not None and all(standing[c] == new[c] for c in told):
                    continue
                if standing is not None:
                    standing["valid_to"] = at
                standing = new
                if new is not None:
                    rows[(*series, at)] = new
        sets = StaleSets()
        for row in rows.values():
            sets.add(row, row.pop("set_no"))
        return rows, sets

    # consensus

    def consensus(self, margins: Table) -> Table:
        """The fair probabilities of lines; of sets that were fresh (`stale_quotes` has told which)."""
        lines: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in margins.values():
            if row["is_sound"] and book_profile(row["bookmaker_key"])[1] in ("back_fixed", "back_net"):
                line = (row["event_id"], row["market_key"], row["description"], row["line_point"], row["outcome_set"])
                lines[line].append(row)
        rows: Table = {}
        for line, sets in lines.items():
            standing: dict[str, Row] = {}
            changes = {at for row in sets for at in (row["valid_from"], row["valid_to"]) if at is not None}
            for at in sorted(changes.union(self.stale.times(*line[:3]))):
                held = self._consensus_at(at, line, sets)
                for name in sorted(standing.keys() | held.keys()):
                    old, new = standing.get(name), held.get(name)
                    if old is not None and new is not None and all(old[c] == new[c] for c in _CONSENSUS_VALUES):
                        continue
                    if old is not None:
                        old["valid_to"] = at
                        del standing[name]
                    if new is not None:
                        standing[name] = rows[(*line, name, "power", at)] = new
        return rows

    def _consensus_at(self, at: Time, line: tuple[Any, ...], sets: Sequence[Row]) -> dict[str, Row]:
        books: dict[str, Row] = {}
        for row in sorted(sets, key=lambda row: row["set_no"]):
            if row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"]) and not self.stale.holds(row, at):
                # a book that shows a set twice speaks with the first
                books.setdefault(row["bookmaker_key"], row)
        usable = _sets_without_outliers(list(books.values()))
        values: dict[str, dict[str, Row]] = defaultdict(dict)
        counts: dict[str, int] = defaultdict(int)
        sides = {}
        for row, near in sorted(usable, key=lambda kept: (kept[0]["overround"], kept[0]["bookmaker_key"])):
            for name, side in zip(row["outcome_names"], row["outcome_sides"], strict=True):
                if name not in near:
                    continue
                counts[name] += 1
                sides[name] = side
                # the lowest hold speaks for the group
                values[name].setdefault(book_profile(row["bookmaker_key"])[0], row)
        medians = {name: median(Fraction(_fair_of(row, name)) for row in voices.values()) for name, voices in values.items()}
        median_sum = rounded(sum(medians.values(), Fraction(0)), 10)
        found = {}
        for name, voices in values.items():
            fair_values = [Fraction(_fair_of(row, name)) for row in voices.values()]
            weights = [sharpness(row["bookmaker_key"])[0] for row in voices.values()]
            weight = sum(weights, Decimal(0))
            is_enough = len(voices) >= parameter("consensus_min_groups")
            is_sharp = is_enough and weight >= parameter("sharp_weight_min")
            sharp_groups = {group for group, row in voices.items() if sharpness(row["bookmaker_key"])[0] > 0}
            basis = "us_proxy"
            if "pinnacle" in sharp_groups:
                basis = "pinnacle"
            elif any(sharpness(voices[group]["bookmaker_key"])[1] for group in sharp_groups):
                basis = "exchange"
            mean = sum(fair_values, Fraction(0)) / len(fair_values)
            oldest = min(self._newest_quote_at(row, name, sides[name], at) for row in voices.values())
            found[name] = {
                "event_id": line[0],
                "sport_key": self.known_sport(line[0], at),
                "market_key": line[1],
                "description": line[2],
                "line_point": line[3],
                "outcome_set": line[4],
                "outcome_name": name,
                "outcome_side": sides[name],
                "method": "power",
                "valid_from": at,
                "valid_to": None,
                "fair_median": rounded(medians[name] / Fraction(median_sum), 10) if is_enough else None,
                "fair_mean": rounded(mean, 10) if is_enough else None,
                "fair_sharp": rounded(
                    sum((Fraction(w) * p for w, p in zip(weights, fair_values, strict=True)), Fraction(0)) / Fraction(weight),
                    10,
                )
                if is_sharp
                else None,
                "median_sum": median_sum,
                "group_count": len(voices),
                "book_count": counts[name],
                "probability_min": rounded(min(fair_values), 10),
                "probability_max": rounded(max(fair_values), 10),
                "stddev_pop": _root_of(sum(((p - mean) ** 2 for p in fair_values), Fraction(0)) / len(fair_values)),
                "sharp_weight_total": weight,
                "sharp_basis": basis if is_sharp else "none",
                "oldest_quote_age_at_open_seconds": min(max((at - oldest) // dt.timedelta(seconds=1), -(2**31)), 2**31 - 1),
            }
        return found

    def _newest_quote_at(self, row: Row, name: str, side: str, at: Time) -> Time:
        """When a book's newest quote of an outcome was read, on whatever rank its line then was."""
        market, point = row["market_key"], row["line_point"]
        if market_rule(market)["is_point_in_key"] == "false":
            point = None
        elif market_rule(market)["family"] == "spreads" and side == "away":
            point = -point
        key = (row["event_id"], row["bookmaker_key"], market, row["description"], name, point)
        until = [q for rank in self._ranks(key) for q in self.quotes[(*key, rank)] if q.answer.captured_at <= at]
        return min(until, key=_newest_first).quote_at

    def _ranks(self, key: tuple[Any, ...]) -> Iterator[int]:
        return itertools.takewhile(lambda rank: (*key, rank) in self.quotes, itertools.count(1))

    def captures(self, event_id: str, book: str, market: str, description: str | None, name: str) -> list[Time]:
        """When a book was seen with an outcome of a market whose point is part of the value, on whatever rank."""
        key = (event_id, book, market, description, name, None)
        return [quote.answer.captured_at for rank in self._ranks(key) for quote in self.quotes[(*key, rank)]]

    # arbitrages and middles

    def arbitrages(self, margins: Table) -> Table:
        """Per line the stretches in which its outcomes can be backed at two operators with a profit."""
        lines: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in margins.values():
            if row["is_sound"] and row["outcome_set"] != "field":
                line = (row["event_id"], row["market_key"], row["description"], row["line_point"])
                lines[(*line, row["outcome_set"], row["outcome_names"])].append(row)
        rows: Table = {}
        for line, sets in lines.items():
            legs = [[(row, leg) for row in sets] for leg in range(len(line[5]))]
            most = 1 - Fraction(len(legs), 10**10)
            for stretch in self._opportunities(line[:2], legs, most.__gt__, lambda total: 1 / total - 1):
                rows[(*line, stretch["valid_from"])] = {
                    **dict(zip(("event_id", "market_key", "description", "line_point", "outcome_set"), line, strict=False)),
                    "margin_at_open": stretch.pop("edge_at_open"),
                    "margin_best": stretch.pop("edge_best"),
                    **stretch,
                }
        return rows

    def middles(self, margins: Table) -> Table:
        """Per pair of a market's lines the stretches in which both ends can be backed at two operators at little cost."""
        markets: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in margins.values():
            sides = set(row["outcome_sides"])
            spread = market_rule(row["market_key"])["family"] == "spreads" and sides == {"home", "away"}
            if row["is_sound"] and row["line_point"] is not None and (spread or sides == {"over", "under"}):
                key = (row["event_id"], row["market_key"], row["description"])
                markets[(*key, ("home", "away") if spread else ("over", "under"))].append(row)
        most = 1 + Fraction(parameter("middle_cost_max"))
        rows: Table = {}
        for (event_id, market, description, sides), sets in markets.items():
            points = sorted({row["line_point"] for row in sets})
            for one, two in itertools.permutations(points, 2):
                # what is scored: the total, or how far the home side is ahead, which is -handicap where neither wins
                low, high = (one, two) if sides[0] == "over" else (-one, -two)
                if high - low < parameter("middle_width_min"):
                    continue
                legs = [
                    [(row, row["outcome_sides"].index(side)) for row in sets if row["line_point"] == point]
                    for side, point in zip(sides, (one, two), strict=True)
                ]
                for stretch in self._opportunities((event_id, market), legs, most.__ge__, lambda total: 1 - total):
                    rows[(event_id, market, description, one, two, sides, stretch["valid_from"])] = {
                        "event_id": event_id,
                        "market_key": market,
                        "description": description,
                        "line_point": one,
                        "other_line_point": two,
                        "width": high - low,
                        "winning_numbers": tuple(n for n in range(-1000, 1001) if _wins_over(n, low) and _wins_over(-n, -high)),
                        "cost_at_open": -stretch.pop("edge_at_open"),
                        "cost_best": -stretch.pop("edge_best"),
                        **stretch,
                    }
        return rows

    def _opportunities(
        self,
        market: tuple[str, str],
        legs: Sequence[Sequence[tuple[Row, int]]],
        is_one: Callable[[Fraction], bool],
        edge_of: Callable[[Fraction], Fraction],
    ) -> Iterator[Row]:
        """The stretches in which some choice of a set for each leg, not all of one operator, is an opportunity.

        Args:
            market: of which event, and which.
            legs: of each leg the sets that ever show it, with the place of its outcome in them.
            is_one: of the sum of the probabilities.
            edge_of: of that sum, what is better the higher it is.
        """
        sets = [row for leg in legs for row, _ in leg]
        phase, row = None, None
        for at in sorted({at for each in sets for at in (each["valid_from"], each["valid_to"]) if at is not None}):
            found = self._best_legs(at, legs, is_one, edge_of)
            if row is not None and (found is None or found["phase"] != phase):
                yield self._told(market, row, at)
                row = None
            if found is None:
                continue
            phase = found["phase"]
            if row is None:
                row = {
                    **{name: found[name] for name in ("sport_key", "outcome_names", "outcome_sides", "phase")},
                    "valid_from": at,
                    **{f"{name}_at_open": found[name] for name in _LEG_VALUES},
                    "edge_at_open": found["edge"],
                    "edge_best": None,
                }
            if row["edge_best"] is None or found["edge"] > row["edge_best"]:
                row |= {f"{name}_at_best": found[name] for name in _LEG_VALUES}
                row |= {"edge_best": found["edge"], "best_at": at}
        if row is not None:
            yield self._told(market, row, None)

    def _best_legs(
        self,
        at: Time,
        legs: Sequence[Sequence[tuple[Row, int]]],
        is_one: Callable[[Fraction], bool],
        edge_of: Callable[[Fraction], Fraction],
    ) -> Row | None:
        """Every choice of books is tried."""
        offers = []
        for leg in legs:
            books: dict[str, tuple[Row, int]] = {}
            for row, place in sorted(leg, key=lambda item: item[0]["set_no"]):
                stands = row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"])
                if stands and book_profile(row["bookmaker_key"])[1] in ("back_fixed", "back_net"):
                    # a book that shows a set twice speaks with the first
                    books.setdefault(row["bookmaker_key"], (row, place))
            offers.append(books)
        cheapest = sum((min((_net(*offer) for offer in books.values()), default=Decimal(2)) for books in offers), Decimal(0))
        if not is_one(Fraction(cheapest)):
            return None
        tried = [
            (sum((_net(*offers[leg][book]) for leg, book in enumerate(books)), Decimal(0)), books)
            for books in itertools.product(*offers)
            if len({book_profile(book)[0] for book in books}) > 1
        ]
        if not tried:
            return None
        total, books = min(tried)
        if not is_one(Fraction(total)):
            return None
        chosen = [offers[leg][book] for leg, book in enumerate(books)]
        words = [self._word_of(row, place, at) for row, place in chosen]
        ages = tuple(_age(word, at) for _, word in words)
        return {
            "sport_key": self.known_sport(chosen[0][0]["event_id"], at),
            "outcome_names": tuple(row["outcome_names"][place] for row, place in chosen),
            "outcome_sides": tuple(row["outcome_sides"][place] for row, place in chosen),
            "phase": "in_play" if any(row["phase_as_known"] == "in_play" for row, _ in chosen) else "pre",
            "edge": rounded(edge_of(Fraction(total)), 10),
            "books": books,
            "prices": tuple(price for price, _ in words),
            "ages": ages,
            "stake_shares": tuple(rounded(Fraction(_net(*each)) / Fraction(total), 10) for each in chosen),
            "outliers": tuple(book for leg, book in enumerate(books) if _is_far(chosen[leg], list(offers[leg].values()))),
        }

    def _word_of(self, row: Row, place: int, at: Time) -> tuple[Decimal, Quote]:
        """The price that stands in a set for an outcome, net of commission, and the last quote that said it."""
        market, point, name = row["market_key"], row["line_point"], row["outcome_names"][place]
        if market_rule(market)["is_point_in_key"] == "false":
            point = None
        elif market_rule(market)["family"] == "spreads" and row["outcome_sides"][place] == "away":
            point = -point
        key = (row["event_id"], row["bookmaker_key"], market, row["description"], name, point)
        for rank in self._ranks(key):
            for stood in self._standing_at((*key, rank), at):
                if (
                    stood["line_point"] == row["line_point"]
                    and stood["implied_probability"] == row["implied_probabilities"][place]
                ):
                    _, kind, commission = book_profile(row["bookmaker_key"])
                    net = 1 + (stood["price_decimal"] - 1) * (1 - commission) if kind == "back_net" else stood["price_decimal"]
                    return rounded(net, 8), self._last_word((*key, rank), at)
        raise AssertionError("a set without its price")

    def _standing_at(self, series: tuple[Any, ...], at: Time) -> Iterator[Row]:
        if series not in self._stretches_of:
            self._stretches_of[series] = list(self._stretches(series, self.quotes[series]))
        for row in self._stretches_of[series]:
            if row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"]):
                yield row

    def _told(self, market: tuple[str, str], row: Row, ends: Time | None) -> Row:
        """A stretch with its end, its quality, and how often it was seen."""
        ages = [*row["ages_at_open"], *row["ages_at_best"]]
        oldest = apart = None
        if None not in ages:
            oldest = max(ages)
            apart = max(max(row[name]) - min(row[name]) for name in ("ages_at_open", "ages_at_best"))
        quality = "clean"
        if row["edge_best"] > parameter("implausible_margin"):
            quality = "implausible"
        elif row["outliers_at_open"] or row["outliers_at_best"]:
            quality = "outlier"
        elif oldest is None or oldest > parameter("stale_leg_seconds") or apart > parameter("stale_spread_seconds"):
            quality = "stale"
        elif row["phase"] == "in_play":
            quality = "in_play"
        seen = []
        if ends is not None:
            books = {*row["books_at_open"], *row["books_at_best"]}
            within = [a for a in self.shown[market[0]] if row["valid_from"] <= a.captured_at < ends]
            seen = [a for a in within if any(_shows(a, market[0], book, market[1]) for book in books)]
        return {
            **row,
            "event_id": market[0],
            "valid_to": ends,
            "last_seen_at": max((a.captured_at for a in seen), default=None),
            "captures": len({a.moment for a in seen}) if ends is not None else None,
            "quality": quality,
            "max_leg_age_seconds": oldest,
            "leg_age_spread_seconds": apart,
        }

    # best price

    def best_price(self, history: Table) -> Table:
        lines: dict[tuple[Any, ...], list[tuple[tuple[Any, ...], Row]]] = defaultdict(list)
        for key, row in history.items():
            if row["price_side"] == "back":
                lines[(row["event_id"], row["market_key"], row["description"], row["line_point"])].append((key[:-1], row))
        rows: Table = {}
        for line, members in lines.items():
            changes = {at for _, row in members for at in (row["valid_from"], row["valid_to"]) if at is not None}
            standing: dict[tuple[str, str], Row] = {}
            for at in sorted(changes.union(self.stale.times(*line[:3]))):
                offers = self._best_at(at, members)
                for outcome in sorted(standing.keys() | offers.keys()):
                    old, new = standing.get(outcome), offers.get(outcome)
                    if old is not None and new is not None and all(old[c] == new[c] for c in _BEST_VALUES):
                        continue
                    if old is not None:
                        old["valid_to"] = at
                        del standing[outcome]
                    if new is not None:
                        standing[outcome] = rows[(*line, *outcome, at)] = new
        return rows

    def _last_word(self, series: tuple[Any, ...], at: Time) -> Quote:
        """What the last answer up to a time says of a quote's set."""
        until = [quote for quote in self.quotes[series] if quote.answer.captured_at <= at]
        return min(until, key=_newest_first)

    def _best_at(self, at: Time, members: Sequence[tuple[tuple[Any, ...], Row]]) -> dict[tuple[str, str], Row]:
        quoted = []
        heard = [
            (row, self._last_word(series, at))
            for series, row in members
            if row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"])
        ]
        # while a book shows two people of one name nobody can say whose price any book's is; of a field, that runner's
        namesakes = {
            row["outcome_name"] if row["outcome_side"] == "runner" else None
            for row, word in heard
            if word.problem == "namesakes" and row["line_rank"] > 1
        }
        for row, word in heard:
            if (row["outcome_name"] if row["outcome_side"] == "runner" else None) not in namesakes:
                group, kind, commission = book_profile(row["bookmaker_key"])
                if word.problem is not None or kind not in ("back_fixed", "back_net"):
                    continue
                net = row["price_decimal"]
                if kind == "back_net":
                    net = rounded(1 + (net - 1) * (1 - commission), 8)
                quoted.append((row, word, group, net))
        too_old = {
            (row["bookmaker_key"], word.outcome_set, word.duplicate_no) for row, word, _, _ in quoted if self._is_too_old(word)
        }
        quoted = [
            item
            for item in self._complete(quoted)
            if (item[0]["bookmaker_key"], item[1].outcome_set, item[1].duplicate_no) not in too_old
        ]
        by_outcome: dict[tuple[str, str], dict[str, tuple[Row, Quote, str, Decimal]]] = defaultdict(dict)
        for item in sorted(quoted, key=lambda item: item[0]["line_rank"]):
            # a book that shows an outcome twice speaks with the first
            by_outcome[(item[1].outcome_set, item[0]["outcome_name"])].setdefault(item[0]["bookmaker_key"], item)
        found: dict[tuple[str, str], Row] = {}
        out = {
            (kind, book, name if kind == "field" else None)
            for (kind, name), books in by_outcome.items()
            for book in _outliers(list(books.values()))
        }
        for (kind, name), books in by_outcome.items():
            usable = [item for book, item in books.items() if (kind, book, name if kind == "field" else None) not in out]
            if not usable:
                continue
            best = max(item[3] for item in usable)
            first = usable[0][0]
            holders = [item for item in usable if item[3] == best]
            below = [item[3] for item in usable if item[3] < best]
            age = at - max(item[1].quote_at for item in holders)
            found[(kind, name)] = {
                "event_id": first["event_id"],
                "sport_key": self.known_sport(first["event_id"], at),
                "market_key": first["market_key"],
                "description": first["description"],
                "line_point": first["line_point"],
                "outcome_set": kind,
                "outcome_name": name,
                "outcome_side": first["outcome_side"],
                "valid_from": at,
                "valid_to": None,
                "best_price_decimal": best,
                "books": tuple(sorted(item[0]["bookmaker_key"] for item in holders)),
                "runner_up_price_decimal": max(below, default=None),
                "book_count": len(usable),
                "best_hold": None,
                "age_at_open_seconds": min(max(age // dt.timedelta(seconds=1), -(2**31)), 2**31 - 1),
            }
        for kind, count in (("three_way", 3), ("two_way", 2), ("yes_no", 2)):
            offers = [row for (of, _), row in found.items() if of == kind]
            if len(offers) == count:
                total = sum((1 / Fraction(row["best_price_decimal"]) for row in offers), Fraction(0))
                for row in offers:
                    row["best_hold"] = rounded(1 - 1 / total, 10)
        return found

    def _complete(self, quoted: list[tuple[Row, Quote, str, Decimal]]) -> list[tuple[Row, Quote, str, Decimal]]:
        """Complete sets only; a field is complete when its book quotes nearly all runners that any book quotes."""
        runners = {row["outcome_name"] for row, word, _, _ in quoted if word.outcome_set == "field"}
        by_book: dict[str, set[str]] = defaultdict(set)
        for row, word, _, _ in quoted:
            if word.outcome_set == "field":
                by_book[row["bookmaker_key"]].add(row["outcome_name"])
        return [
            item
            for item in quoted
            if item[1].is_complete
            or (
                item[1].outcome_set == "field"
                and Fraction(len(by_book[item[0]["bookmaker_key"]]), len(runners)) >= Fraction(parameter("field_coverage_min"))
                and item[1].overround <= parameter("field_overround_max")
            )
        ]

    # events, results, sports, books

    def results(self) -> Table:
        rows: Table = {}
        for event_id, answers in self.shown.items():
            told = [(a, e) for a in answers if a.endpoint == "scores" and (e := a.event(event_id)) is not None]
            if not told:
                continue
            finals = [(a, e) for a, e in told if e["completed"] and None not in _scores(e)]
            # a final score stays: what is said of the game later is flagged, and only another final one replaces it
            counting, event = min(finals or told, key=lambda item: item[0].last_first)
            home, away = _scores(event)
            before = [(a, e) for a, e in told if a.captured_at < counting.captured_at]
            other = [a.captured_at for a, e in before if _scores(e) != (home, away)]
            running = [a.captured_at for a, e in before if not e["completed"]]

            def since(last_other: list[Time], told: list[tuple[Answer, Any]] = told) -> Time:
                return min(a.captured_at for a, _ in told if not last_other or a.captured_at > max(last_other))

            first_final = min((a.captured_at for a, _ in finals), default=None)
            problem = None
            # starts that were given before the final score was shown tell nothing: games are brought forward
            if first_final is not None and any(
                a.captured_at >= first_final and parse_time(shown["commence_time"]) > first_final
                for a in answers
                if (shown := a.event(event_id)) is not None
            ):
                problem = "one_id_two_games"
            elif event["home_team"] is None or event["away_team"] is None:
                problem = "no_teams"
            elif event["completed"] and (home is None or away is None):
                problem = "score_missing"
            elif any(text is not None and _number(text) is None for text in (home, away)):
                problem = "score_not_numeric"
            elif finals and any(a.captured_at > counting.captured_at for a, _ in told):
                problem = "final_taken_back"
            rows[(event_id,)] = {
                "event_id": event_id,
                "sport_key": event["sport_key"],
                "home_team": event["home_team"],
                "away_team": event["away_team"],
                "completed": event["completed"],
                "home_score": _number(home),
                "away_score": _number(away),
                "score_since": since(other),
                "completed_since": since(running) if event["completed"] else None,
                "problem": problem,
            }
        return rows

    def events(self, listings: Table, results: Table) -> Table:
        rows: Table = {}
        for event_id, answers in self.shown.items():
            order = sorted(answers, key=lambda a: a.reading_order)
            first, last = order[0].event(event_id), order[-1].event(event_id)
            assert first is not None and last is not None
            walk = self.start_changes[event_id]
            intervals = [row for key, row in listings.items() if key[0] == event_id]
            is_listed = any(row["valid_to"] is None for row in intervals)
            is_outright = any(bool((a.event(event_id) or {}).get("has_outrights")) for a in answers if a.endpoint != "scores")
            left = None
            if intervals and not is_listed:
                last_interval = max(intervals, key=lambda row: row["valid_from"])
                left = (last_interval["last_seen_at"], last_interval["valid_to"])
            span = listed_hours(last["sport_key"]) if not is_outright else None
            start, basis, is_suspect = _settled(walk, left, span)
            if (event_id,) in results and results[(event_id,)]["completed"]:
                status = "completed"
            elif is_listed or not intervals:
                status = "started" if order[-1].captured_at >= start else "listed"
            else:
                assert left is not None
                if left[1] < start:
                    status = "withdrawn_before_start"
                elif (
                    span
                    and left[0] >= start
                    and left[1] < start + span[0]
                    and self._list_goes_on(event_id, *left, start + span[0])
                ):
                    status = "gone_early"
                else:
                    status = "gone"
            rows[(event_id,)] = {
                "event_id": event_id,
                "sport_key": last["sport_key"],
                "home_team": last["home_team"],
                "away_team": last["away_team"],
                "has_outrights": is_outright,
                "source": min(a.source for a in answers),  # of the two words the simulated one comes first
                "commence_time_first": parse_time(first["commence_time"]),
                "commence_time_latest": parse_time(last["commence_time"]),
                "start_at": start,
                "start_is_suspect": is_suspect,
                "start_basis": basis,
                "start_change_count": sum(change["accepted"] and change["old_start"] is not None for change in walk),
                "first_seen_at": order[0].captured_at,
                "last_seen_at": None if is_listed else max((row["last_seen_at"] for row in intervals), default=None),
                "seen_in_play": any(a.captured_at >= start and a.endpoint != "scores" for a in answers),
                "status": status,
            }
        return rows

    def _list_goes_on(self, event_id: str, last_seen: Time, unlisted: Time, ordinary: Time) -> bool:
        """Whether an answer about the whole sport, of the moment that lacks the event, shows another game that began by the
        start it gives, or shows nothing at all while a list of when games ordinarily leave it lacks the event still."""
        sport = self.sport_at(event_id, unlisted)
        listing = [
            a for a in self.covering(event_id) if a.endpoint in LISTING_ENDPOINTS and last_seen < a.captured_at <= unlisted
        ]
        moments = {a.moment for a in listing if a.captured_at == unlisted}
        newest_key = self._keys[event_id][-1][1]
        lists = sorted(
            a.captured_at
            for a in self._by_sport[newest_key]
            if a.endpoint in LISTING_ENDPOINTS and a.coverage.events is None and (None,) not in a.held_back
        )
        for answer in listing:
            asked_whole = answer.coverage.events is None and answer.coverage.sport == sport
            if answer.moment not in moments or not asked_whole or answer.event(event_id) is not None:
                continue
            if not answer.events and not answer.held_back and lists and lists[-1] >= ordinary:
                return True
            begun = [
                e for e in answer.events if e["sport_key"] == sport and parse_time(e["commence_time"]) <= answer.captured_at
            ]
            if begun:
                return True
        return False

    def bookmakers(self) -> Table:
        told: dict[str, list[tuple[Answer, str]]] = defaultdict(list)
        for answer in self.answers:
            titles: dict[str, set[str]] = defaultdict(set)
            for event in answer.events:
                of_event: dict[str, str] = {}
                for book in event.get("bookmakers", ()):
                    of_event[book["key"]] = max(of_event.get(book["key"], ""), book["title"])
                for book, title in of_event.items():
                    titles[book].add(title)
            for book, found in titles.items():
                told[book].append((answer, min(found)))
        return {
            (book,): {
                "bookmaker_key": book,
                "title": min(sightings, key=lambda item: item[0].last_first)[1],
                "first_seen_at": min(answer.captured_at for answer, _ in sightings),
            }
            for book, sightings in told.items()
        }

    def sports(self) -> Table:
        catalogue: dict[str, list[tuple[Answer, Any]]] = defaultdict(list)
        of_events: dict[str, list[tuple[Answer, str]]] = defaultdict(list)
        for answer in self.answers:
            if answer.endpoint == "sports":
                for sport in answer.document:
                    catalogue[sport["key"]].append((answer, sport))
            titles: dict[str, set[str]] = defaultdict(set)
            for event in answer.events:
                titles[event["sport_key"]].add(event["sport_title"])
            for key, found in titles.items():
                of_events[key].append((answer, min(found)))
        rows: Table = {}
        for key in catalogue.keys() | of_events.keys():
            listed = min(catalogue[key], key=lambda item: item[0].last_first) if catalogue[key] else None
            carried = min(of_events[key], key=lambda item: item[0].last_first) if of_events[key] else None
            by_catalogue = listed is not None and (carried is None or listed[0].captured_at >= carried[0].captured_at)
            rows[(key,)] = {
                "sport_key": key,
                "title": listed[1]["title"] if by_catalogue and listed else carried[1] if carried else None,
                "sport_group": listed[1].get("group") if listed else None,
                "has_outrights": listed[1].get("has_outrights") if listed else None,
                "first_seen_at": min(answer.captured_at for answer, _ in (*catalogue[key], *of_events[key])),
            }
        return rows


def _settled(
    walk: Sequence[Row], left: tuple[Time, Time] | None, span: tuple[dt.timedelta, dt.timedelta] | None
) -> tuple[Time, str, bool]:
    """The start that is believed in the end, what it rests on, and whether it is suspect still; without overrides."""
    kept: Time = walk[-1]["start_as_known"]
    rivals = [change["new_start"] for change in walk if not change["accepted"]]
    if not rivals:
        return kept, "as_announced", False
    if left is None or span is None:
        return kept, "as_announced", True

    def fits(start: Time) -> bool:
        # the event left in (last seen, unlisted]
        return left[0] < start + span[1] and left[1] >= start + span[0]

    if fits(kept):
        return kept, "kept_unproven" if rivals[-1] != kept and fits(rivals[-1]) else "settled_kept", False
    return (rivals[-1], "settled_rival", False) if fits(rivals[-1]) else (kept, "as_announced", True)


_SET_VALUES = (
    "outcome_set", "outcome_names", "implied_probabilities", "phase_as_known", "is_complete", "runner_coverage", "problem",
)  # fmt: skip
_CONSENSUS_VALUES = (
    "fair_median", "fair_mean", "fair_sharp", "median_sum", "group_count", "book_count", "probability_min", "probability_max",
    "stddev_pop", "sharp_weight_total", "sharp_basis",
)  # fmt: skip
_LEG_VALUES = ("books", "prices", "ages", "stake_shares", "outliers")
_BEST_VALUES = ("best_price_decimal", "books", "runner_up_price_decimal", "book_count", "best_hold")


def _price_changed(before: Quote, after: Quote) -> bool:
    """Another point or price. Two formats of one price differ by their rounding, which is no change."""
    if before.point != after.point:
        return True
    if before.answer.odds_format == after.answer.odds_format:
        return before.native != after.native
    if before.price_decimal is None or after.price_decimal is None:
        # no price is another thing than a price; of two numbers that are none the numbers tell
        return (before.price_decimal, before.native) != (after.price_decimal, after.native)
    # decimal odds are cut to cents, american ones to whole numbers
    tolerance = Decimal("0.006") + Decimal("0.0005") * before.price_decimal**2
    return abs(after.price_decimal - before.price_decimal) > tolerance


def _absence(answers: Sequence[Answer], event_id: str, book: str, market: str) -> str:
    """The broadest thing that none of the answers shows."""
    events = [event for answer in answers if (event := answer.event(event_id)) is not None]
    if not events:
        return "event_absent"
    books = [shown for event in events for shown in event.get("bookmakers", ()) if shown["key"] == book]
    if not books:
        return "book_absent"
    if not any(shown["key"] == market for holder in books for shown in holder["markets"]):
        return "market_absent"
    return "outcome_absent"


def _row(quote: Quote, sport: str, phase: str, at: Time, last_seen: Time | None) -> Row:
    return {
        "event_id": quote.event_id,
        "line_rank": quote.rank,
        "sport_key": sport,
        "bookmaker_key": quote.book,
        "market_key": quote.market,
        "description": quote.description,
        "outcome_name": quote.name,
        "outcome_side": quote.side,
        "price_side": market_rule(quote.market)["price_side"],
        "point": quote.point,
        "line_point": quote.line_point,
        "price_native": quote.native,
        "odds_format": quote.answer.odds_format,
        "price_decimal": quote.price_decimal,
        "implied_probability": quote.implied,
        "phase_as_known": phase,
        "valid_from": at,
        "last_seen_at": None,
        "valid_to": None,
        "end_reason": "open",
        "prev_seen_at": last_seen,
        "observations": 0,
    }


def _newest_first(quote: Quote) -> tuple[Any, ...]:
    answer = quote.answer
    return (-answer.captured_at.timestamp(), -answer.moment.timestamp(), answer.place, answer.exchange_id)


def _exact_probability(row: Row) -> Fraction | None:
    price = priced(row["price_native"], row["odds_format"])
    return None if price is None else price[1]


def fair_basis(market: str, line_point: Decimal | None) -> str:
    """What a fair probability on a line is a probability of."""
    if market_rule(market)["family"] == "draw_no_bet" or (line_point is not None and line_point % 1 == 0):
        return "no_push"
    is_quarter = line_point is not None and abs(line_point) % 1 in (Decimal("0.25"), Decimal("0.75"))
    return "half_stake" if is_quarter else "plain"


def _margin_row(
    key: tuple[Any, ...], members: Sequence[tuple[Row, Quote]], word: Quote, sport: str, runners: int, at: Time
) -> Row:
    event_id, book, market, description, line_point, set_no = key
    rows = sorted((row for row, _ in members), key=lambda row: row["outcome_name"])
    names = tuple(row["outcome_name"] for row in rows)
    implied = tuple(row["implied_probability"] for row in rows)
    exact = tuple(_exact_probability(row) for row in rows)
    told = [q for q in exact if q is not None]
    sum_of_all = sum(told, Fraction(0)) if told else None
    total = rounded(sum_of_all, 10) if sum_of_all is not None else None
    kind, problem = word.outcome_set, word.problem
    coverage = None
    if kind == "field":
        coverage = rounded(Fraction(len(set(names)), runners), 10) if problem is None else None
        is_complete = coverage is not None and coverage >= parameter("field_coverage_min") and len(names) >= 2
    else:
        is_complete = word.is_complete and len(names) == (3 if kind == "three_way" else 2)
    is_complete = is_complete and len(set(names)) == len(names)
    if problem is None and not is_complete:
        problem = "incomplete"
    elif problem is None and kind == "field" and total is not None and total > parameter("field_overround_max"):
        problem = "overround_too_high"
    is_sound = problem is None
    values = fair(exact) if is_complete and (kind != "field" or is_sound) else None
    if is_sound and values is not None and values.additive is None:
        problem = "additive_negative"
    elif is_sound and total is not None and total < 1:
        problem = "underround"
    return {
        "event_id": event_id,
        "sport_key": sport,
        "bookmaker_key": book,
        "market_key": market,
        "description": description,
        "line_point": line_point,
        "set_no": set_no,
        "outcome_set": kind,
        "outcome_names": names,
        "outcome_sides": tuple(row["outcome_side"] for row in rows),
        "phase_as_known": "pre" if all(row["phase_as_known"] == "pre" for row in rows) else "in_play",
        "valid_from": at,
        "valid_to": None,
        "implied_probabilities": implied,
        "overround": total,
        "margin": total - 1 if is_complete and total else None,
        "hold": rounded(1 - 1 / sum_of_all, 10) if is_complete and sum_of_all else None,
        "is_complete": is_complete,
        "runner_coverage": coverage,
        "problem": problem,
        "is_sound": is_sound,
        "fair_basis": fair_basis(market, line_point),
        "fair_multiplicative": values and values.multiplicative,
        "fair_additive": values and values.additive,
        "fair_power": values and values.power,
        "fair_shin": values and values.shin,
        "power_k": values and values.power_k,
        "shin_z": values and values.shin_z,
    }


def _fair_of(row: Row, name: str) -> Decimal:
    value: Decimal = row["fair_power"][row["outcome_names"].index(name)]
    return value


def _sets_without_outliers(sets: Sequence[Row]) -> list[tuple[Row, list[str]]]:
    """Sets of which no outcome lies far from the median of the other operator groups; of a field the outcomes that do not."""

    def ratio(row: Row, name: str) -> Fraction:
        return Fraction(row["fair_multiplicative"][row["outcome_names"].index(name)])

    ratios: dict[str, dict[str, Fraction]] = defaultdict(dict)
    for other in sorted(sets, key=lambda other: (other["overround"], other["bookmaker_key"])):
        for name in other["outcome_names"]:
            ratios[name].setdefault(book_profile(other["bookmaker_key"])[0], ratio(other, name))

    def is_outlier(row: Row, name: str) -> bool:
        group = book_profile(row["bookmaker_key"])[0]
        others = [value for of, value in ratios[name].items() if of != group]
        limit = parameter("outlier_pre" if row["phase_as_known"] == "pre" else "outlier_in_play")
        return len(others) >= parameter("outlier_min_groups") and abs(ratio(row, name) - median(others)) > Fraction(limit)

    kept = []
    for row in sets:
        near = [name for name in row["outcome_names"] if not is_outlier(row, name)]
        if len(near) == len(row["outcome_names"]) or (near and row["outcome_set"] == "field"):
            kept.append((row, near))
    return kept


def _net(row: Row, place: int) -> Decimal:
    """The probability of an outcome at its price after commission: of 1 laid out, 1 + (1/q - 1)(1 - c) comes back."""
    q = row["implied_probabilities"][place]
    _, kind, commission = book_profile(row["bookmaker_key"])
    if kind != "back_net":
        return Decimal(q)
    return rounded(1 / (1 + (1 / Fraction(q) - 1) * (1 - Fraction(commission))), 10)


def _shows(answer: Answer, event_id: str, book: str, market: str) -> bool:
    event = answer.event(event_id) if answer.endpoint in ODDS_ENDPOINTS else None
    shown = [each for each in (event or {}).get("bookmakers", ()) if each["key"] == book]
    return any(each["key"] == market for holder in shown for each in holder["markets"])


def _age(word: Quote, at: Time) -> int | None:
    if word.last_update is None:
        return None
    return min(max((at - word.quote_at) // dt.timedelta(seconds=1), -(2**31)), 2**31 - 1)


def _is_far(offer: tuple[Row, int], offers: Sequence[tuple[Row, int]]) -> bool:
    """Whether an outcome lies far from the median of the other operator groups; a group's lowest margin speaks for it."""

    def ratio(item: tuple[Row, int]) -> Fraction:
        return Fraction(item[0]["fair_multiplicative"][item[1]])

    voices: dict[str, tuple[Row, int]] = {}
    for other in sorted(offers, key=lambda item: (item[0]["overround"], item[0]["bookmaker_key"])):
        voices.setdefault(book_profile(other[0]["bookmaker_key"])[0], other)
    voices.pop(book_profile(offer[0]["bookmaker_key"])[0])
    limit = parameter("outlier_pre" if offer[0]["phase_as_known"] == "pre" else "outlier_in_play")
    return len(voices) >= parameter("outlier_min_groups") and (
        abs(ratio(offer) - median(map(ratio, voices.values()))) > Fraction(limit)
    )


def _wins_over(score: int, line: Decimal) -> bool:
    """Whether a stake on more than the line is won in full: on a quarter line, on both lines beside it."""
    return all(
        score > side for side in ((line - Decimal("0.25"), line + Decimal("0.25")) if line % Decimal("0.5") else (line,))
    )


def _root_of(value: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = 40
        return rounded((Decimal(value.numerator) / Decimal(value.denominator)).sqrt(), 10)


def _closed(row: Row, last_seen: Time | None, at: Time, reason: str) -> Row:
    return {**row, "last_seen_at": last_seen, "valid_to": at, "end_reason": reason}


def _outliers(offers: Sequence[tuple[Row, Quote, str, Decimal]]) -> set[str]:
    """The books that lie far from the median of the other operator groups; a group's lowest margin speaks for it."""

    def fair(item: tuple[Row, Quote, str, Decimal]) -> Fraction:
        return Fraction(rounded(Fraction(item[1].implied) / Fraction(item[1].overround), 10))

    voices: dict[str, Fraction] = {}
    for item in sorted(offers, key=lambda item: (item[1].overround, item[0]["bookmaker_key"])):
        voices.setdefault(item[2], fair(item))
    far = set()
    for item in offers:
        others = [voice for group, voice in voices.items() if group != item[2]]
        limit = parameter("outlier_pre" if item[0]["phase_as_known"] == "pre" else "outlier_in_play")
        if len(others) >= parameter("outlier_min_groups") and abs(fair(item) - median(others)) > Fraction(limit):
            far.add(item[0]["bookmaker_key"])
    return far


def _scores(event: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The texts of the home and the away score, by name; the last of a name that stands twice."""
    by_name = {score["name"]: score["score"] for score in event["scores"] or ()}
    return by_name.get(event["home_team"]), by_name.get(event["away_team"])


def _number(text: str | None) -> Decimal | None:
    """A plain number; anything else stays text only."""
    whole, _, cents = (text or "").partition(".")
    plain = whole.isascii() and whole.isdecimal() and len(whole) <= 6
    if text is None or not plain or ("." in text and not (cents.isascii() and cents.isdecimal() and len(cents) <= 2)):
        return None
    return rounded(Decimal(text), 2)
