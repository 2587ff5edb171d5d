"""Closing quotes and the consensus at the close in plain Python, from the quotes themselves and not from the SQL.

The fair probabilities are worked out anew from each closing quote's own set; gold.margins is not asked.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from statistics import median
from typing import Any

from tests.replay.fair import fair
from tests.replay.model import Answer, Gold, Quote, Row, Table, Time, book_profile, market_rule, parameter, rounded, sharpness

SECOND = dt.timedelta(seconds=1)
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Close:
    """A book's closing quote of one series, None where no quote qualifies, and what is said of it."""

    quote: Quote | None
    status: str
    age: int | None
    fair: Decimal | None

    @property
    def is_closing(self) -> bool:
        return self.status in ("ok", "aged")


@dataclass(frozen=True)
class BookSet:
    """What a book closed with on one line."""

    book: str
    overround: Decimal
    quote_at: Time
    ratios: Mapping[str, Decimal]
    fairs: Mapping[str, Decimal]

    @property
    def group(self) -> str:
        return book_profile(self.book)[0]


class Closings:
    """Closings of all series of back prices (their main line), and what the market held at the close; without fields."""

    def __init__(self, gold: Gold) -> None:
        self.gold = gold
        self.events = gold.events(gold.listing_intervals(), gold.results())
        self.history: dict[Key, list[Row]] = defaultdict(list)
        for key, row in gold.price_history().items():
            self.history[key[:-1]].append(row)
        self.sets: dict[Key, list[Quote]] = defaultdict(list)
        for quotes in gold.quotes.values():
            for quote in quotes:
                self.sets[_set_key(quote)].append(quote)
        self.reached = {
            event_id
            for (event_id,), event in self.events.items()
            if any(
                answer.captured_at >= event["start_at"] and is_about(answer, event_id, event["sport_key"])
                for answer in gold.answers
            )
        }
        closes = {
            series: self._close(series)
            for series in gold.quotes
            if series[-1] == 1
            and market_rule(series[2])["price_side"] == "back"
            and market_rule(series[2])["family"] != "outrights"
        }
        # what was first quoted after the start has no closing
        self.closes = {
            series: close
            for series, close in closes.items()
            if close.quote is not None
            or min(row["valid_from"] for row in self.history[series]) <= self.events[(series[0],)]["start_at"]
        }

    def _close(self, series: Key) -> Close:
        event = self.events[(series[0],)]
        start = event["start_at"]
        until = [
            quote
            for quote in self.gold.quotes[series]
            if quote.problem is None
            and quote.quote_at <= start
            and (
                event["start_basis"] in ("settled_rival", "override")
                or quote.quote_at < self.gold.start_known(series[0], quote.answer.captured_at) + dt.timedelta(minutes=10)
            )
        ]
        # of one time the later moment, the smallest place, then the exchange
        last = min(
            until,
            key=lambda q: (
                -q.answer.captured_at.timestamp(),
                -q.answer.moment.timestamp(),
                q.answer.place,
                q.answer.exchange_id,
            ),
            default=None,
        )
        age = None if last is None else (start - last.quote_at) // SECOND
        is_reached = series[0] in self.reached
        is_quoting = any(
            row["valid_from"] <= start and (row["valid_to"] is None or row["valid_to"] > start) for row in self.history[series]
        )
        if event["status"] == "gone_early":
            status = "unplayed"
        elif event["start_is_suspect"] or not is_reached:
            status = "provisional"
        elif last is None or age is None:
            status = "none"
        elif not is_quoting and last.answer.captured_at <= start:
            status = "not_quoting"
        else:
            status = "ok" if age <= 600 else "aged" if age <= 1800 else "old"
        return Close(last, status, age, None if last is None else self._fair(last))

    def _fair(self, quote: Quote) -> Decimal:
        members = sorted(self.sets[_set_key(quote)], key=lambda each: each.name)
        return fair(tuple(each.exact for each in members)).power[[each.name for each in members].index(quote.name)]

    def closing_rows(self) -> Table:
        """What gold.closings says, by series."""
        rows: Table = {}
        for series, close in self.closes.items():
            quote = close.quote
            rows[series[:-1]] = {
                "price_native": quote and quote.native,
                "line_point": quote and quote.line_point,
                "captured_at": quote and quote.answer.captured_at,
                "quote_at": quote and quote.quote_at,
                "closing_age_seconds": close.age,
                "fair_probability": close.fair,
                "close_status": close.status,
                "is_closing": close.is_closing,
            }
        return rows

    def coverage_rows(self) -> Table:
        """What gold.closing_coverage says, by sport, day, book and market: counts of events by status."""
        order = ("unplayed", "provisional", "ok", "aged", "old", "not_quoting", "none")
        found: dict[str, dict[tuple[str, str], list[Close]]] = defaultdict(lambda: defaultdict(list))
        for series, close in self.closes.items():
            found[series[0]][(series[1], series[2])].append(close)
        # what was hung in play alone has no closing, and counts
        hung: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for series in self.history:
            rule = market_rule(series[2])
            if rule["price_side"] == "back" and rule["family"] != "outrights":
                hung[series[0]].add((series[1], series[2]))
        days: dict[tuple[str, dt.date], list[str]] = defaultdict(list)
        for (event_id,), event in self.events.items():
            if event_id in self.reached:
                days[(event["sport_key"], event["start_at"].date())].append(event_id)
        rows: Table = {}
        for (sport, day), begun in days.items():
            asked = {event_id: self._asked(event_id) for event_id in begun}
            pairs = {pair for event_id in begun for pair in (*asked[event_id], *found[event_id], *hung[event_id])}
            for book, market in pairs:
                counts: dict[str, int] = defaultdict(int)
                for event_id in begun:
                    event, closes = self.events[(event_id,)], found[event_id].get((book, market), [])
                    if (book, market) not in asked[event_id] and all(close.quote is None for close in closes):
                        status = "not_asked"
                    elif closes:
                        status = min((close.status for close in closes), key=order.index)
                    elif event["status"] == "gone_early":
                        status = "unplayed"
                    else:
                        status = "provisional" if event["start_is_suspect"] else "none"
                    counts[status] += 1
                rows[(sport, day, book, market)] = {
                    "event_count": len(begun),
                    **{f"{status}_count": counts[status] for status in (*order, "not_asked")},
                    "archived_count": 0,
                }
        return rows

    def _asked(self, event_id: str) -> set[tuple[str, str]]:
        """The books and markets of back prices that answers received by the start asked for, and do not hold back."""
        start = self.events[(event_id,)]["start_at"]
        return {
            (book, market)
            for answer in self.gold.covering(event_id)
            if answer.captured_at <= start
            for book in answer.coverage.books
            for market in answer.coverage.markets
            if market_rule(market)["price_side"] == "back"
            and market_rule(market)["family"] != "outrights"
            and answer.tells_of(event_id, book, market)
        }

    def consensus_rows(self) -> Table:
        """What gold.closing_consensus says, by outcome of a line."""
        books: dict[Key, dict[str, dict[str, tuple[Quote, Close]]]] = defaultdict(lambda: defaultdict(dict))
        for close in self.closes.values():
            quote = close.quote
            if quote is not None and book_profile(quote.book)[1] in ("back_fixed", "back_net"):
                books[(*quote.line, quote.outcome_set)][quote.book][quote.name] = (quote, close)
        rows: Table = {}
        best: dict[Key, tuple[Any, ...]] = {}
        for line, shown in books.items():
            # a set votes as a whole; before the start the newest quotes stand in for the closing ones
            by_book = {
                book: outcomes
                for book, outcomes in shown.items()
                if all(close.is_closing or close.status == "provisional" for _, close in outcomes.values())
            }
            if not by_book:
                continue
            found = self._line(line, by_book)
            rows |= found
            if found:
                market = line[:3]
                rank = _rank(found)
                best[market] = min(best.get(market, rank), rank)
        for key, row in rows.items():
            del row["_median"]
            row["is_main_line"] = (key[3], key[4]) == best[key[:3]][-1]
        return rows

    def _line(self, line: Key, by_book: Mapping[str, Mapping[str, tuple[Quote, Close]]]) -> Table:
        sets = []
        sides: dict[str, str] = {}
        for book, outcomes in by_book.items():
            quotes = [quote for quote, _ in outcomes.values()]
            sides |= {quote.name: quote.side for quote in quotes}
            sets.append(
                BookSet(
                    book,
                    quotes[0].overround,
                    quotes[0].quote_at,
                    {q.name: rounded(Fraction(q.implied) / Fraction(q.overround), 10) for q in quotes},
                    {name: close.fair for name, (_, close) in outcomes.items() if close.fair is not None},
                )
            )
        newest = max(each.quote_at for each in sets)
        near = [each for each in sets if (newest - each.quote_at) // SECOND <= parameter("closing_apart_seconds")]
        usable = [each for each in near if not any(_is_outlier(each, name, near) for name in each.ratios)]
        voters = _voices(usable)
        names = sorted({name for each in voters.values() for name in each.fairs})
        medians = {name: median(Fraction(each.fairs[name]) for each in voters.values()) for name in names}
        median_sum = rounded(sum(medians.values(), Fraction(0)), 10)
        event = self.events[(line[0],)]
        status = {close.status for outcomes in by_book.values() for _, close in outcomes.values()}
        rows: Table = {}
        for name in names:
            count = len(voters)
            is_enough = count >= parameter("consensus_min_groups")
            values = [Fraction(each.fairs[name]) for each in voters.values()]
            weights = {group: Fraction(sharpness(each.book)[0]) for group, each in voters.items()}
            weight = sum(weights.values(), Fraction(0))
            is_sharp = is_enough and weight >= Fraction(parameter("sharp_weight_min"))
            age = (event["start_at"] - max(each.quote_at for each in voters.values())) // SECOND
            rows[(*line, name)] = {
                "outcome_side": sides[name],
                "fair_median": rounded(medians[name] / Fraction(median_sum), 10) if is_enough else None,
                "fair_mean": rounded(sum(values, Fraction(0)) / count, 10) if is_enough else None,
                "fair_sharp": rounded(
                    sum((w * Fraction(voters[g].fairs[name]) for g, w in weights.items()), Fraction(0)) / weight, 10
                )
                if is_sharp
                else None,
                "sharp_basis": _basis(voters) if is_sharp else "none",
                "_median": medians[name],
                "median_sum": median_sum,
                "group_count": count,
                "book_count": len(usable),
                "closing_age_seconds": age,
                "close_status": "provisional"
                if "provisional" in status
                else "too_few_groups"
                if not is_enough
                else "aged"
                if age > 600
                else "ok",
            }
        for row in rows.values():
            row["is_closing"] = row["close_status"] in ("ok", "aged")
        return rows


def is_about(answer: Answer, event_id: str, sport: str) -> bool:
    """Whether an answer is about an event, or the whole of a sport: it asked for that, or shows the event under that key."""
    shown = answer.event(event_id)
    if shown is not None and shown["sport_key"] == sport:
        return True
    asked = answer.coverage
    return asked.sport == sport and (
        (asked.events is None and (None,) not in answer.held_back) or event_id in (asked.events or ())
    )


def _set_key(quote: Quote) -> Key:
    return (quote.answer.exchange_id, quote.book, *quote.line, quote.duplicate_no)


def _voices(sets: Sequence[BookSet]) -> dict[str, BookSet]:
    """The set with the lowest overround of each operator group."""
    voices: dict[str, BookSet] = {}
    for each in sorted(sets, key=lambda each: (each.overround, each.book)):
        voices.setdefault(each.group, each)
    return voices


def _is_outlier(one: BookSet, name: str, sets: Sequence[BookSet]) -> bool:
    others = [Fraction(each.ratios[name]) for group, each in _voices(sets).items() if group != one.group]
    is_compared = len(others) >= parameter("outlier_min_groups")
    return is_compared and abs(Fraction(one.ratios[name]) - median(others)) > Fraction(parameter("outlier_pre"))


def _basis(voters: Mapping[str, BookSet]) -> str:
    sharp = {group: each for group, each in voters.items() if sharpness(each.book)[0] > 0}
    if "pinnacle" in sharp:
        return "pinnacle"
    return "exchange" if any(sharpness(each.book)[1] for each in sharp.values()) else "us_proxy"


def _rank(rows: Table) -> tuple[Any, ...]:
    """The lines of a market in order, the main one first: most groups, nearest to even, lowest distance, lower point."""
    line = next(iter(rows))
    point, kind = line[3], line[4]
    [first] = [row for row in rows.values() if row["outcome_side"] in ("home", "over", "yes")]
    groups = max(row["group_count"] for row in rows.values())
    # with too few groups there is no fair value to compare by, but there are medians
    median_of_first = first["_median"] / Fraction(first["median_sum"])
    distance = Decimal(0) if point is None else abs(point)
    return (-groups, abs(median_of_first - Fraction(1, 2)), distance, Decimal(0) if point is None else point, (point, kind))
