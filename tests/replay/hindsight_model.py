"""quotes_sampled, game_lines, outcome_grades and best_price_now in plain Python, from the definitions and not from the SQL.

Closings, the consensus at the close and the stretches of prices are those of the other models; sampling, market openings,
grades and what can be bet on now are worked out here. Rows are those of events whose start an answer about them has reached.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from statistics import median
from typing import Any, Final

from tests.replay import model_lines
from tests.replay.closing_model import Close, Closings, is_about
from tests.replay.model import (
    Gold,
    Quote,
    Row,
    Table,
    Time,
    _seed,
    _sets_without_outliers,
    book_profile,
    market_rule,
    parameter,
    rounded,
    sharpness,
)

SECOND: Final = dt.timedelta(seconds=1)
GRID_MINUTES: Final = (168 * 60, 72 * 60, 24 * 60, 12 * 60, 6 * 60, 3 * 60, 60, 30, 15, 5)
GAME_MARKETS: Final = {"h2h": ("home", "draw", "away"), "spreads": ("home", "away"), "totals": ("over", "under")}
HALF: Final = Fraction(1, 2)
Series = tuple[Any, ...]


def seconds(length: dt.timedelta) -> int:
    return length // SECOND


def stands(row: Mapping[str, Any], at: Time) -> bool:
    return row["valid_from"] <= at and (row["valid_to"] is None or at < row["valid_to"])


def reaches_into(row: Mapping[str, Any], since: Time | None, until: Time) -> bool:
    """Whether a stretch lies at least partly within [since, until)."""
    return row["valid_from"] < until and (since is None or row["valid_to"] is None or row["valid_to"] > since)


def has_own_prices(book: str) -> bool:
    return book_profile(book)[1] in ("back_fixed", "back_net")


def age_limit(to_be: str, phase: str) -> dt.timedelta:
    """How old a quote may be to be fresh, or usable."""
    return dt.timedelta(seconds=int(parameter(f"{to_be}_age_{phase}_seconds")))


def price_net(price: Decimal, book: str) -> Decimal:
    """What a bettor is paid: of an exchange net of commission."""
    _, kind, commission = book_profile(book)
    return rounded(1 + (Fraction(price) - 1) * (1 - Fraction(commission)), 8) if kind == "back_net" else price


def most_even(rows: Iterable[Row], place_of: Mapping[int, int]) -> Row:
    """A book's main set: the nearest to even by its first side, then the lowest overround, |point|, point."""
    nothing = Decimal(0)
    return min(
        rows,
        key=lambda row: (
            abs(Fraction(row["fair_multiplicative"][place_of[id(row)]]) - Fraction(1, 2)),
            row["overround"],
            abs(row["line_point"] or nothing),
            row["line_point"] or nothing,
            row["set_no"],
        ),
    )


@dataclass(frozen=True)
class Opening:
    """How a market opened: by whom, on which line, and the probability of each side; of a sharp group, its book and prices."""

    basis: str
    groups: tuple[str, ...]
    at: Time
    line_point: Decimal | None
    outcome_set: str
    is_left_censored: bool
    names: Mapping[str, str]
    probabilities: Mapping[str, Decimal]
    book: str | None = None
    prices: Mapping[str, Decimal | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Bet:
    """An outcome on a line, whatever the book."""

    market: str
    point: Decimal | None
    kind: str
    name: str
    side: str


@dataclass(frozen=True)
class Score:
    """A final score as an outcome's own set has home and away."""

    home: Decimal
    away: Decimal

    @property
    def margin(self) -> Decimal:
        return self.home - self.away


@dataclass(frozen=True)
class Standing:
    """A quote that stands, with what the newest answer says of it."""

    row: Row
    word: Quote

    @property
    def line(self) -> Series:
        return (self.word.market, self.word.description, self.word.line_point, self.word.outcome_set)

    @property
    def book(self) -> str:
        return self.word.book

    @property
    def name(self) -> str:
        return self.word.name

    @property
    def net(self) -> Decimal:
        assert self.word.price_decimal is not None
        return price_net(self.word.price_decimal, self.book)

    @property
    def ratio(self) -> Fraction:
        return Fraction(rounded(Fraction(self.word.implied or 0) / Fraction(self.word.overround or 1), 10))

    def limit(self, to_be: str) -> dt.timedelta:
        return age_limit(to_be, self.row["phase_as_known"])

    def is_at_most(self, to_be: str) -> bool:
        """Whether it was read recently enough to be fresh, or usable."""
        return self.word.answer.captured_at - self.word.quote_at <= self.limit(to_be)


def _usable(kind: str, quotes: Sequence[Standing]) -> list[Standing]:
    """Of one line: complete, unbroken, with a known age that is young enough, and near to the other groups."""
    own = [each for each in quotes if each.word.problem is None and has_own_prices(each.book)]
    runners: dict[str, set[str]] = defaultdict(set)
    for each in own:
        runners[each.book].add(each.name)
    all_runners = set().union(*runners.values())

    def is_whole(each: Standing) -> bool:
        if kind != "field":
            return each.word.is_complete
        share = Fraction(len(runners[each.book]), len(all_runners))
        assert each.word.overround is not None
        is_priced = each.word.overround <= parameter("field_overround_max")
        return share >= Fraction(parameter("field_coverage_min")) and is_priced

    whole = [each for each in own if is_whole(each)]
    speaking: dict[tuple[str, str], Standing] = {}
    for each in sorted(whole, key=lambda each: each.row["line_rank"]):
        if each.is_at_most("fresh"):
            speaking.setdefault((each.name, each.book), each)
    far = {
        (each.book, each.name if kind == "field" else None)
        for each in speaking.values()
        if _is_far_from(each, [other for other in speaking.values() if other.name == each.name])
    }
    return [
        each
        for each in whole
        if each.word.last_update is not None
        and each.is_at_most("usable")
        and (each.book, each.name if kind == "field" else None) not in far
    ]


def _is_far_from(one: Standing, offers: Sequence[Standing]) -> bool:
    voices: dict[str, Standing] = {}
    for each in sorted(offers, key=lambda each: (each.word.overround, each.book)):
        voices.setdefault(book_profile(each.book)[0], each)
    others = [each.ratio for group, each in voices.items() if group != book_profile(one.book)[0]]
    limit = parameter("outlier_pre" if one.row["phase_as_known"] == "pre" else "outlier_in_play")
    return len(others) >= parameter("outlier_min_groups") and abs(one.ratio - median(others)) > Fraction(limit)


def _set_key(row: Row) -> Series:
    return tuple(row[name] for name in ("event_id", "bookmaker_key", "market_key", "description", "line_point", "set_no"))


def settlement_rule(sport: str) -> Mapping[str, str]:
    return max(
        (row for row in _seed("settlement_rules") if sport.startswith(row["sport_prefix"])),
        key=lambda row: len(row["sport_prefix"]),
    )


def _score_of(bet: Bet, event: Row, final: Row) -> Score | None:
    """By the names of the scores' answer: another answer may have home and away the other way round."""
    if final["home_score"] is None or final["away_score"] is None:
        return None
    is_turned = (bet.side == "home" and bet.name == final["away_team"]) or (
        bet.side == "away" and bet.name == final["home_team"]
    )
    scores = (final["home_score"], final["away_score"])
    return Score(*(scores[::-1] if is_turned else scores))


def _shares(bet: Bet, score: Score) -> tuple[Fraction, Fraction]:
    """The share of a stake that is won at the price, and that which comes back."""
    family = market_rule(bet.market)["family"]
    if family == "yes_no":
        both = score.home > 0 and score.away > 0
        return Fraction((bet.side == "yes") == both), Fraction(0)
    if bet.side == "draw" or bet.kind == "three_way":
        result = "home" if score.margin > 0 else "away" if score.margin < 0 else "draw"
        return Fraction(bet.side == result), Fraction(0)
    lead = score.home + score.away if family == "totals" else score.margin
    point = bet.point if family in ("spreads", "totals") else Decimal(0)
    assert point is not None
    # a quarter line is the two lines beside it, with half of the stake on each
    quarter = Decimal("0.25")
    points = (point - quarter, point + quarter) if abs(point) % Decimal("0.5") == quarter else (point,)
    ahead = [lead - each if family == "totals" else lead + each for each in points]
    if bet.side in ("away", "under"):
        ahead = [-each for each in ahead]
    return Fraction(sum(each > 0 for each in ahead), len(ahead)), Fraction(sum(each == 0 for each in ahead), len(ahead))


class Hindsight:
    """What is known of events that have begun, from a set of answers."""

    def __init__(self, gold: Gold) -> None:
        self.gold = gold
        self.results = gold.results()
        self.events = {key[0]: row for key, row in gold.events(gold.listing_intervals(), self.results).items()}
        self.history = gold.price_history()
        self.margins = gold.margins(self.history)
        self._series_of_event: dict[str, dict[Series, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for key, row in self.history.items():
            if row["price_side"] == "back":
                self._series_of_event[key[0]][key[:-1]].append(row)
        self._quoted: dict[Series, list[Series]] = defaultdict(list)
        for series in gold.quotes:
            self._quoted[series[:4]].append(series)
        self._sets_of_event: dict[str, list[Row]] = defaultdict(list)
        for row in self.margins.values():
            self._sets_of_event[row["event_id"]].append(row)

    # how the market closed

    @cached_property
    def _closings(self) -> Closings:
        return Closings(self.gold)

    @property
    def closes(self) -> dict[Series, Close]:
        """Of each series."""
        return self._closings.closes

    @cached_property
    def agreed(self) -> Table:
        """What all held at the close."""
        return self._closings.consensus_rows()

    # what stands in for a clock

    @cached_property
    def known_until(self) -> dict[str, Time]:
        """When the newest answer about each event or the whole of its sport was received."""
        return {
            event_id: max(answer.captured_at for answer in self.gold.answers if is_about(answer, event_id, event["sport_key"]))
            for event_id, event in self.events.items()
        }

    def is_reached(self, event_id: str) -> bool:
        return bool(self.known_until[event_id] >= self.events[event_id]["start_at"])

    @cached_property
    def reached(self) -> list[str]:
        return [event_id for event_id in self.events if self.is_reached(event_id)]

    # quotes_sampled

    def quotes_sampled(self) -> Table:
        return {key: row for event_id in self.reached for key, row in self._sampled(event_id)}

    def _sampled(self, event_id: str) -> Iterator[tuple[Series, Row]]:
        start = self.events[event_id]["start_at"]
        cells: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
        place_of: dict[int, int] = {}
        for row in self._sets_of_event[event_id]:
            family = model_lines.featured_family(row["market_key"])
            side = "over" if family == "totals" else "home"
            kinds = ("two_way", "three_way") if family == "h2h" else ("two_way",)
            if (
                family is not None
                and row["description"] is None
                and row["is_sound"]
                and row["outcome_set"] in kinds
                and side in row["outcome_sides"]
                and row["valid_from"] < start
                and has_own_prices(row["bookmaker_key"])
            ):
                place_of[id(row)] = row["outcome_sides"].index(side)
                cells[(row["bookmaker_key"], row["market_key"], row["outcome_set"])].append(row)
        looks = [start - minutes * dt.timedelta(minutes=1) for minutes in GRID_MINUTES]
        for minutes, at in zip(GRID_MINUTES, looks, strict=True):
            if at < self.events[event_id]["first_seen_at"]:
                continue
            for cell, sets in cells.items():
                standing = [row for row in sets if stands(row, at)]
                main = most_even(standing, place_of) if standing else None
                for side in {side for row in sets for side in row["outcome_sides"]}:
                    own = [row for row in sets if side in row["outcome_sides"]]
                    yield (
                        (event_id, *cell, side, minutes),
                        self._sample(event_id, cell, side, at, main, own)
                        | {"start_at": start, "sport_key": self.events[event_id]["sport_key"]},
                    )

    def _sample(
        self, event_id: str, cell: tuple[str, str, str], side: str, at: Time, main: Row | None, sets: Sequence[Row]
    ) -> Row:
        book, market, _ = cell
        known_start = self.gold.start_known(event_id, at)
        row: Row = dict.fromkeys(
            (
                "line_point", "price_native", "odds_format", "price_decimal", "price_net", "fair_probability", "fair_basis",
                "overround", "seconds_since_seen", "quote_age_seconds", "is_fresh",
            ),
        ) | {
            "operator_group": book_profile(book)[0],
            "outcome_name": min(each["outcome_names"][each["outcome_sides"].index(side)] for each in sets),
            "sampled_at": at,
            "seconds_to_start_as_known": seconds(known_start - at),
            "quote_state": "not_quoted" if any(each["valid_from"] <= at for each in sets) else "unknown",
        }  # fmt: skip
        if main is None:
            return row
        place = main["outcome_sides"].index(side)
        series, stretch = self._priced(event_id, (book, market, main["outcome_names"][place]), main, place, at)
        word = self.gold._last_word(series, at)
        limit = parameter("fresh_age_pre_seconds" if known_start > at else "fresh_age_in_play_seconds")
        age = word.answer.captured_at - word.quote_at
        return row | {
            "quote_state": "quoted",
            "line_point": main["line_point"],
            "price_native": stretch["price_native"],
            "odds_format": stretch["odds_format"],
            "price_decimal": stretch["price_decimal"],
            "price_net": price_net(stretch["price_decimal"], book),
            "fair_probability": main["fair_power"][place],
            "fair_basis": main["fair_basis"],
            "overround": main["overround"],
            "seconds_since_seen": seconds(at - word.answer.captured_at),
            "quote_age_seconds": None if word.last_update is None else seconds(age),
            "is_fresh": age <= dt.timedelta(seconds=int(limit)),
        }

    def _priced(self, event_id: str, named: tuple[str, str, str], main: Row, place: int, at: Time) -> tuple[Series, Row]:
        """The stretch that gives a set's outcome its price; of a book that shows a line twice the one of that price."""
        found = [
            (series, row)
            for series, rows in self._series_of_event[event_id].items()
            if (series[1], series[2], series[4]) == named and series[3] is None
            for row in rows
            if stands(row, at) and row["line_point"] == main["line_point"]
        ]
        return min(
            found, key=lambda item: (abs(item[1]["implied_probability"] - main["implied_probabilities"][place]), item[0][-1])
        )

    # market openings

    def _censored(self, series: Series) -> tuple[Time, bool]:
        """When a series was first seen, and whether nobody had asked for it before."""
        event_id, book, market = series[:3]
        first = min(self._series_of_event[event_id][series], key=lambda row: row["valid_from"])
        at = first["valid_from"]
        word = self.gold._last_word(series, at)
        start = self.events[event_id]["commence_time_first"]
        asked_before = any(
            answer.captured_at < at
            and answer.moment != word.answer.moment
            and market in answer.coverage.markets
            and book in answer.coverage.books
            and is_about(answer, event_id, first["sport_key"])
            and answer.tells_of(event_id, book, market)
            and (answer.coverage.commence_from is None or answer.coverage.commence_from <= start)
            and (answer.coverage.commence_to is None or start <= answer.coverage.commence_to)
            for answer in self.gold.answers
        )
        return at, not asked_before

    def market_opening(self, event_id: str, market: str) -> list[Opening]:
        """How a market without descriptions opened, by kind of set and line; its point is not part of a series' name."""
        assert market_rule(market)["is_point_in_key"] == "false"
        own = {
            series: rows
            for series, rows in self._series_of_event[event_id].items()
            if series[2] == market and series[3] is None and has_own_prices(series[1])
        }
        seen = {series: self._censored(series) for series in own if series[-1] == 1}
        sharp = self._sharp_opening(event_id, seen)
        return [sharp] if sharp is not None else self._agreed_opening(own, seen, self.events[event_id]["start_at"])

    def _sharp_opening(self, event_id: str, seen: Mapping[Series, tuple[Time, bool]]) -> Opening | None:
        firsts: list[tuple[tuple[Any, ...], Quote]] = []
        for series, (_, is_left_censored) in seen.items():
            weight = sharpness(series[1])[0]
            # what comes when the game is on opens nothing
            sound = [
                quote
                for quote in self.gold.quotes[series]
                if quote.problem is None and quote.answer.captured_at < self.events[event_id]["start_at"]
            ]
            if weight > 0 and not is_left_censored and sound:
                first = min(
                    sound,
                    key=lambda q: (
                        q.answer.moment, -q.answer.captured_at.timestamp(), q.answer.place, q.answer.exchange_id,
                    ),
                )  # fmt: skip
                firsts.append(((-weight, book_profile(series[1])[0], first.answer.captured_at, series[1]), first))
        if not firsts:
            return None
        first = min(firsts, key=lambda item: item[0])[1]
        members = [
            quote
            for series in self._quoted[(first.event_id, first.book, first.market, first.description)]
            for quote in self.gold.quotes[series]
            if quote.answer is first.answer and quote.line == first.line and quote.duplicate_no == first.duplicate_no
        ]
        return Opening(
            "sharp",
            (book_profile(first.book)[0],),
            first.answer.captured_at,
            first.line_point,
            first.outcome_set,
            False,
            {quote.side: quote.name for quote in members},
            {quote.side: rounded(Fraction(quote.implied or 0) / Fraction(quote.overround or 1), 10) for quote in members},
            first.book,
            {quote.side: quote.price_decimal for quote in members},
        )

    def _agreed_opening(
        self, own: Mapping[Series, Sequence[Row]], seen: Mapping[Series, tuple[Time, bool]], start: Time
    ) -> list[Opening]:
        """The first capture before the start, of those at which a quote comes to a line, where enough groups stand on it."""
        arrivals: dict[Time, set[Decimal | None]] = defaultdict(set)
        for rows in own.values():
            before: Row | None = None
            for row in sorted(rows, key=lambda row: row["valid_from"]):
                goes_on = before is not None and (before["valid_to"], before["line_point"]) == (
                    row["valid_from"], row["line_point"],
                )  # fmt: skip
                if not goes_on:
                    arrivals[row["valid_from"]].add(row["line_point"])
                before = row
        for at in sorted(at for at in arrivals if at < start):
            agreed = []
            for point in arrivals[at]:
                by_kind: dict[str, list[Quote]] = defaultdict(list)
                for series, rows in own.items():
                    if any(stands(row, at) and row["line_point"] == point for row in rows):
                        word = self.gold._last_word(series, at)
                        if word.problem is None and word.is_complete:
                            by_kind[word.outcome_set].append(word)
                for kind, words in by_kind.items():
                    groups = len({book_profile(word.book)[0] for word in words})
                    if groups >= parameter("opening_min_groups"):
                        distance = abs(point) if point is not None else Decimal(0)
                        agreed.append(((-groups, distance, point or Decimal(0), kind), point, words))
            if agreed:
                (*_, kind), point, words = min(agreed, key=lambda item: item[0])
                voices: dict[tuple[str, str], Quote] = {}
                for word in sorted(words, key=lambda w: (w.overround, w.book, w.rank)):
                    voices.setdefault((word.side, book_profile(word.book)[0]), word)
                shares: dict[str, list[Fraction]] = defaultdict(list)
                for (side, _), word in voices.items():
                    shares[side].append(Fraction(rounded(Fraction(word.implied or 0) / Fraction(word.overround or 1), 10)))
                is_left_censored = not any(first <= at and not censored for first, censored in seen.values())
                return [
                    Opening(
                        "groups",
                        tuple(sorted({group for _, group in voices})),
                        at,
                        point,
                        kind,
                        is_left_censored,
                        {side: word.name for (side, _), word in voices.items()},
                        {side: rounded(median(all), 10) for side, all in shares.items()},
                    )
                ]
        return []

    def market_openings(self) -> Table:
        """Of the three markets of events that began, whose sides are those of a game."""
        return self._openings_of({event_id for event_id in self.events if self.is_reached(event_id)})

    def market_openings_now(self) -> Table:
        """Of those that have not begun."""
        return self._openings_of({event_id for event_id in self.events if not self.is_reached(event_id)})

    def _openings_of(self, event_ids: Collection[str]) -> Table:
        return {
            (event_id, market, opening.names[side]): {
                "sport_key": self.events[event_id]["sport_key"],
                "description": None,
                "line_point": opening.line_point,
                "outcome_set": opening.outcome_set,
                "outcome_side": side,
                "start_at": self.events[event_id]["start_at"],
                "opening_basis": opening.basis,
                "operator_groups": opening.groups,
                "bookmaker_key": opening.book,
                "price_decimal": opening.prices.get(side),
                "probability": probability,
                "first_seen_at": opening.at,
                "is_left_censored": opening.is_left_censored,
                "opened_at": None if opening.is_left_censored else opening.at,
            }
            for event_id in event_ids
            for market, sides in GAME_MARKETS.items()
            for opening in self.market_opening(event_id, market)
            for side, probability in opening.probabilities.items()
            if side in sides
        }

    # game_lines

    def game_lines(self) -> Table:
        """Of all games; what is told of the lines is that of those that began."""
        return self._games({event_id: self.is_reached(event_id) for event_id in self.events})

    def game_lines_now(self) -> Table:
        """Of games that have not begun, with what is told of their lines so far."""
        return self._games({event_id: True for event_id in self.events if not self.is_reached(event_id)})

    def _games(self, are_told: Mapping[str, bool]) -> Table:
        best = self.gold.best_price(self.history)
        consensus = self.gold.consensus(self.margins)
        lines = model_lines.consensus_line(self.margins, self.gold.known_sport, self.gold.stale)
        stretches = {
            "agreed": _by_market(self.agreed), "best": _by_market(best), "consensus": _by_market(consensus),
            "lines": _by_market(lines),
        }  # fmt: skip
        rows: Table = {}
        for event_id, is_told in are_told.items():
            event = self.events[event_id]
            if event["home_team"] is None or event["away_team"] is None or event["has_outrights"]:
                continue
            row: Row = {
                name: event[name]
                for name in (
                    "sport_key", "home_team", "away_team", "start_at", "start_basis", "start_is_suspect", "status", "source",
                )
            }  # fmt: skip
            # the seed of overrides is empty where this is compared
            row["same_event_as"] = None
            for market, sides in GAME_MARKETS.items():
                own = {name: tables.get((event_id, market, None), {}) for name, tables in stretches.items()}
                told = self._market_lines(event, event_id, market, sides, own) if is_told else {}
                row |= _named(market, sides, told)
            row |= self._final_score(event_id, event)
            rows[(event_id,)] = row
        return rows

    def _final_score(self, event_id: str, event: Row) -> Row:
        """The score by the sides that the game has; an answer may have home and away the other way round."""
        result = self.results.get((event_id,))
        # of two games under one id nobody knows whose it is
        if result is None or not result["completed"] or result["problem"] == "one_id_two_games":
            return {"home_score": None, "away_score": None}
        home, away = result["home_score"], result["away_score"]
        if (result["home_team"], result["away_team"]) == (event["away_team"], event["home_team"]):
            home, away = away, home
        return {"home_score": home, "away_score": away}

    def _close_status(self, event_id: str, event: Row, statuses: Collection[str]) -> str:
        """Of a market, from its main line's outcomes: too few groups come first, but for a game that was not played."""
        if event["status"] == "gone_early":
            return "unplayed"
        if statuses:
            return min(statuses, key=lambda status: (status != "too_few_groups", status == "ok"))
        return "provisional" if event["start_is_suspect"] or not self.is_reached(event_id) else "none"

    def _market_lines(self, event: Row, event_id: str, market: str, sides: Sequence[str], own: Mapping[str, Table]) -> Row:
        start, side = event["start_at"], sides[0]
        openings = [
            opening
            for opening in self.market_opening(event_id, market)
            if not opening.is_left_censored and opening.at < start and side in opening.probabilities
        ]
        opening = openings[0] if openings else None
        since = opening.at if opening else None
        row: Row = {}
        if opening is not None:
            row |= {
                "opened_at": opening.at,
                "opening_basis": opening.basis,
                "opening_line_point": opening.line_point,
                "opening_probability": opening.probabilities[side],
            }
        hung = [
            line["line_modal"]
            for line in own["lines"].values()
            if reaches_into(line, since, start) and line["line_modal"] is not None
        ]
        row |= {"line_point_min": min(hung, default=None), "line_point_max": max(hung, default=None)}
        main = {key: close for key, close in own["agreed"].items() if close["is_main_line"]}
        row["close_status"] = self._close_status(event_id, event, {close["close_status"] for close in main.values()})
        if not main:
            return row
        _, _, _, point, kind, _ = next(iter(main))
        row |= {
            "closing_outcome_set": kind,
            "closing_line_point": point,
            "group_count": min(close["group_count"] for close in main.values()),
            **{f"probability_{close['outcome_side']}": close["fair_median"] for close in main.values()},
        }
        for key, offer in own["best"].items():
            # as it stood up to the start
            stood = offer["valid_from"] < start and (offer["valid_to"] is None or offer["valid_to"] >= start)
            if key[:5] == (event_id, market, None, point, kind) and stood:
                row[f"price_{offer['outcome_side']}"] = offer["best_price_decimal"]
                row[f"books_{offer['outcome_side']}"] = offer["books"]
                row["best_hold"] = offer["best_hold"]
        held = [
            vote["fair_median"]
            for key, vote in own["consensus"].items()
            if key[:5] == (event_id, market, None, point, kind)
            and vote["outcome_side"] == side
            and reaches_into(vote, since, start)
            and vote["fair_median"] is not None
        ]
        return row | {"probability_min": min(held, default=None), "probability_max": max(held, default=None)}

    # grades

    def outcome_grades(self) -> Table:
        """How a bet on each outcome that a book ever quoted is settled by the rules of its sport; overrides are left out."""
        rows: Table = {}
        for event_id in self.reached:
            quoted: dict[Series, set[str]] = defaultdict(set)
            for row in self._sets_of_event[event_id]:
                for name, side in zip(row["outcome_names"], row["outcome_sides"], strict=True):
                    quoted[(row["market_key"], row["description"], row["line_point"], row["outcome_set"], name)].add(side)
            for (market, description, point, kind, name), sides in quoted.items():
                bet = Bet(market, point, kind, name, min(sides))
                rows[(event_id, market, description, point, kind, name)] = self._graded(event_id, bet)
        return rows

    def _graded(self, event_id: str, bet: Bet) -> Row:
        event, result = self.events[event_id], self.results.get((event_id,))
        final = result if result is not None and result["completed"] else None
        rule = settlement_rule(event["sport_key"])
        score = None if final is None else _score_of(bet, event, final)
        refusal = self._refusal(event_id, bet, rule, final, score)
        won, refunded = (None, None) if refusal is not None or score is None else _shares(bet, score)
        grades = {
            (None, None): "unresolved", (1, 0): "win", (HALF, HALF): "half_win", (0, 1): "push", (0, HALF): "half_loss",
            (0, 0): "loss",
        }  # fmt: skip
        reason = {"full_game_assumed": "assumes_full_game"}.get(rule["settlement"], "final_score")
        if market_rule(bet.market)["family"] == "to_qualify":
            reason = "decisive_final_score"
        return {
            "sport_key": event["sport_key"],
            "outcome_side": bet.side,
            "start_at": event["start_at"],
            "home_score": final and final["home_score"],
            "away_score": final and final["away_score"],
            "grade": grades[(won, refunded)],
            "won_share": won,
            "refunded_share": refunded,
            "grade_reason": refusal or reason,
            "override_reason": None,
            "rule": rule["settlement"],
        }

    def _refusal(self, event_id: str, bet: Bet, rule: Mapping[str, str], final: Row | None, score: Score | None) -> str | None:
        """Why nobody can say: what is wrong with the market comes first, then with the sport's rule, then with the score."""
        told, settlement = market_rule(bet.market), rule["settlement"]
        family = told["family"]
        if family in ("outrights", "props", "team_totals"):
            return {"outrights": "outright", "props": "prop", "team_totals": "team_total"}[family]
        if told["period"] == "part":
            return "period"
        is_graded = family in ("h2h", "spreads", "totals") or bet.market in ("btts", "draw_no_bet", "to_qualify")
        if not is_graded or (settlement == "bout" and family != "h2h"):
            return "market_without_rule"
        # by 90 minutes a draw is an outcome of its own
        kinds = {
            "yes_no": ("yes_no",),
            "h2h": ("three_way",) if settlement in ("regulation", "knock_out") else ("two_way", "three_way"),
        }
        if bet.kind not in kinds.get(family, ("two_way",)):
            return "unexpected_outcome_set"
        if family in ("spreads", "totals") and bet.point is None:
            return "no_point"
        teams = final or self.events[event_id]
        if bet.side in ("home", "away") and bet.name not in (teams["home_team"], teams["away_team"]):
            return "teams_differ"
        if settlement in ("retirement", "unknown"):
            return {"retirement": "retirement_rules_differ", "unknown": "sport_without_rule"}[settlement]
        if final is None:
            over = dt.timedelta(seconds=int(parameter("results_window_seconds")))
            is_lost = self.known_until[event_id] > self.events[event_id]["start_at"] + over
            return "never_completed" if is_lost else "not_completed"
        if final["problem"] not in (None, "final_taken_back"):
            problem: str = final["problem"]
            return problem
        assert score is not None
        if family == "to_qualify":
            return "two_legs_possible" if rule["may_have_two_legs"] == "true" else None if score.margin else "level_score"
        if settlement == "knock_out" and not self._ended_in_regulation(event_id, final):
            return "extra_time_possible"
        if settlement in ("overtime_included", "full_game_assumed") and bet.kind == "three_way":
            return "regulation_score_unknown"
        return None

    def _ended_in_regulation(self, event_id: str, final: Row) -> bool:
        """Whether an answer called it completed, with this score, too soon after its start for extra time."""
        event = self.events[event_id]
        since = max(final["completed_since"], final["score_since"])
        longest = dt.timedelta(seconds=int(parameter("regulation_max_seconds")))
        is_known = not event["start_is_suspect"] and event["start_basis"] != "kept_unproven"
        return bool(is_known and event["start_at"] <= since <= event["start_at"] + longest)

    # what can be bet on now

    def best_price_now(self) -> Table:
        """The best usable price of each outcome by the newest answer about its event."""
        latest = dt.datetime.max.replace(tzinfo=dt.UTC)
        titles = self.gold.bookmakers()
        rows: Table = {}
        for event_id, event in self.events.items():
            known_until = self.known_until[event_id]
            standing = [
                Standing(row, self.gold._last_word(series, latest))
                for series, own in self._series_of_event[event_id].items()
                for row in own
                if row["valid_to"] is None
            ]
            lines: dict[Series, list[Standing]] = defaultdict(list)
            for each in standing:
                lines[each.line].append(each)
            for line, quotes in lines.items():
                rows |= self._best_now(event_id, event, known_until, line, _usable(line[-1], quotes), titles)
        return rows

    def _best_now(
        self, event_id: str, event: Row, known_until: Time, line: Series, usable: Sequence[Standing], titles: Table
    ) -> Table:
        market, description, point, kind = line
        phase = self.gold.phase(event_id, known_until)
        by_outcome: dict[str, dict[str, Standing]] = defaultdict(dict)
        for each in sorted(usable, key=lambda each: each.row["line_rank"]):
            if known_until - each.word.quote_at <= age_limit("usable", phase):
                by_outcome[each.name].setdefault(each.book, each)
        best: Table = {}
        for name, books in by_outcome.items():
            price = max(each.net for each in books.values())
            holders = [books[book] for book in sorted(books) if books[book].net == price]
            first = holders[0]
            american = [
                each.word.native
                for each in holders
                if each.word.answer.odds_format == "american" and book_profile(each.book)[1] == "back_fixed"
            ]
            fair = self._held_by_others(event_id, line, first, price) if phase == "pre" else None
            best[(event_id, market, description, point, kind, name)] = {
                "sport_key": event["sport_key"],
                "home_team": event["home_team"],
                "away_team": event["away_team"],
                "start_at": event["start_at"],
                "phase": phase,
                "outcome_side": first.row["outcome_side"],
                "price_decimal": price,
                "price_american": american[0] if american else None,
                "bookmaker_keys": tuple(each.book for each in holders),
                "bookmaker_titles": tuple(titles[(each.book,)]["title"] for each in holders),
                "runner_up_price_decimal": max((each.net for each in books.values() if each.net < price), default=None),
                "book_count": len(books),
                "quote_age_seconds": max(seconds(known_until - each.word.quote_at) for each in holders),
                "known_until": known_until,
                "best_hold": None,
                "fair_probability_of_others": fair,
                "ev_fraction": None if fair is None else rounded(Fraction(price) * Fraction(fair) - 1, 10),
                "beats_others": None if fair is None else price * fair > 1,
            }
        if kind != "field" and len(best) == (3 if kind == "three_way" else 2):
            hold = rounded(1 - 1 / sum(1 / Fraction(row["price_decimal"]) for row in best.values()), 10)
            for row in best.values():
                row["best_hold"] = hold
        return best

    def _held_by_others(self, event_id: str, line: Series, offer: Standing, price: Decimal) -> Decimal | None:
        """The consensus of the other groups, before the start, for the best price of all that stand."""
        if offer.row["phase_as_known"] != "pre":
            return None
        stretch = self.best_open.get((event_id, *line, offer.name))
        if stretch is None or offer.book not in stretch["books"] or stretch["best_price_decimal"] != price:
            return None
        return self.held_by_others(event_id, line, book_profile(offer.book)[0], offer.name)[1]

    def held_by_others(self, event_id: str, line: Series, own_group: str, outcome: str) -> tuple[int, Decimal | None]:
        """How many groups but one vote for an outcome by the sets that stand, and what they hold it for if they are enough."""
        sets: dict[str, Row] = {}
        for row in sorted(self._sets_of_event[event_id], key=lambda row: row["set_no"]):
            is_on_line = (row["market_key"], row["description"], row["line_point"], row["outcome_set"]) == line
            is_open = is_on_line and row["valid_to"] is None and row["is_sound"] and has_own_prices(row["bookmaker_key"])
            if is_open and not any(until is None for _, until in self.gold.stale.stretches.get(_set_key(row), ())):
                sets.setdefault(row["bookmaker_key"], row)
        votes: dict[str, dict[str, Decimal]] = defaultdict(dict)
        near = sorted(
            _sets_without_outliers(list(sets.values())), key=lambda item: (item[0]["overround"], item[0]["bookmaker_key"])
        )
        for row, names in near:
            group = book_profile(row["bookmaker_key"])[0]
            for name in names:
                if group != own_group:
                    votes[name].setdefault(group, row["fair_power"][row["outcome_names"].index(name)])
        count = len(votes.get(outcome, ()))
        if count < parameter("expected_value_min_groups"):
            return count, None
        medians = {name: median(map(Fraction, told.values())) for name, told in votes.items()}
        return count, rounded(medians[outcome] / Fraction(rounded(sum(medians.values(), Fraction(0)), 10)), 10)

    @cached_property
    def best_open(self) -> Table:
        return {key[:-1]: row for key, row in self.gold.best_price(self.history).items() if row["valid_to"] is None}


def _by_market(table: Table) -> dict[Series, Table]:
    """Rows by event, market and description, with which their keys begin."""
    found: dict[Series, Table] = defaultdict(dict)
    for key, row in table.items():
        found[key[:3]][key] = row
    return found


def _named(market: str, sides: Sequence[str], told: Row) -> Row:
    """A market's part of a row of game_lines."""
    row: Row = {
        "opened_at": told.get("opened_at"),
        "opening_basis": told.get("opening_basis"),
        f"opening_probability_{sides[0]}": told.get("opening_probability"),
        "closing_hold": told.get("best_hold"),
        "closing_group_count": told.get("group_count"),
        "close_status": told.get("close_status", "provisional"),
        f"probability_{sides[0]}_min": told.get("probability_min"),
        f"probability_{sides[0]}_max": told.get("probability_max"),
    }
    if market == "h2h":
        row["closing_outcome_set"] = told.get("closing_outcome_set")
    else:
        row |= {
            name: told.get(name) for name in ("opening_line_point", "closing_line_point", "line_point_min", "line_point_max")
        }
    for side in sides:
        row[f"closing_probability_{side}"] = told.get(f"probability_{side}")
        row[f"closing_price_{side}"] = told.get(f"price_{side}")
        row[f"closing_books_{side}"] = told.get(f"books_{side}", ())
    return {f"{market}_{name}": value for name, value in row.items()}
