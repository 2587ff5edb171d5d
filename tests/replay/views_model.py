"""book_scorecard, expected_value and lead_lag in plain Python, from the definitions and not from the SQL.

What books showed is counted answer by answer; sets, when they were not fresh, best prices and moves are those of the other
models.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from statistics import median
from typing import Any, Final, TypeVar

from tests.replay import model_lines
from tests.replay.hindsight_model import Hindsight, age_limit, has_own_prices, price_net, seconds, stands
from tests.replay.model import (
    ODDS_ENDPOINTS,
    Answer,
    Quote,
    Row,
    Table,
    Time,
    book_profile,
    fair_basis,
    market_rule,
    parameter,
    rounded,
)
from tests.replay.value_model import CALIBRATION_HOURS, HOUR

PI: Final = Decimal("3.14159265358979323846264338327950288419716939937511")
FEATURED: Final = ("h2h", "spreads", "totals")
Card = tuple[str, str, dt.date]
Told = TypeVar("Told")


def month_of(at: Time) -> dt.date:
    return at.astimezone(dt.UTC).date().replace(day=1)


def share_of(told: Sequence[bool]) -> Decimal | None:
    return rounded(Fraction(sum(told), len(told)), 10) if told else None


# --- book_scorecard ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scorecards:
    """What each book was like in a sport and a month."""

    hindsight: Hindsight

    def rows(self) -> Table:
        holds, presence = _by_card(self._holds()), _by_card(self._presence())
        ages, oddities = _by_card(self._ages()), _by_card(self._oddities())
        rows: Table = {}
        for card in holds.keys() | presence.keys() | ages.keys() | oddities.keys():
            shown, aged, held = presence.get(card, []), ages.get(card, []), holds.get(card, [])
            compared = oddities.get(card, [])
            of_phase = {phase: [stale for of, stale in aged if of == phase] for phase in ("pre", "in_play")}
            rows[card] = {
                "mean_hold": rounded(sum(map(Fraction, held), Fraction(0)) / len(held), 10) if held else None,
                "hold_sets": len(held),
                "uptime": share_of(shown),
                "covering_captures": len(shown),
                "stale_share": share_of([stale for _, stale in aged]),
                "aged_quotes": len(aged),
                "stale_share_pre": share_of(of_phase["pre"]),
                "aged_quotes_pre": len(of_phase["pre"]),
                "stale_share_in_play": share_of(of_phase["in_play"]),
                "aged_quotes_in_play": len(of_phase["in_play"]),
                "outlier_share": share_of(compared),
                "compared_sets": len(compared),
            }
        return rows

    def outlier_counts(self) -> Table:
        """Of events that began, by book and hour."""
        return self._counts(lambda event_id: self.hindsight.is_reached(event_id))

    def outlier_counts_now(self) -> Table:
        """Of events that have not begun."""
        return self._counts(lambda event_id: not self.hindsight.is_reached(event_id))

    def _counts(self, is_told: Callable[[str], bool]) -> Table:
        rows: Table = {}
        for event_id, hours, book, is_far in self._looks():
            if is_told(event_id):
                event = self.hindsight.events[event_id]
                told = {"sport_key": event["sport_key"], "start_at": event["start_at"], "compared_sets": 0, "outlier_sets": 0}
                row = rows.setdefault((event_id, book, hours), told)
                row["compared_sets"] += 1
                row["outlier_sets"] += is_far
        return rows

    def _holds(self) -> Iterator[tuple[Card, Decimal]]:
        """Of each stretch of a sound set before the start, what the book keeps."""
        for row in self.hindsight.margins.values():
            if row["is_sound"] and row["phase_as_known"] == "pre" and row["market_key"] in FEATURED:
                yield (row["sport_key"], row["bookmaker_key"], month_of(row["valid_from"])), row["hold"]

    def _presence(self) -> Iterator[tuple[Card, bool]]:
        """Of each event that an answer shows with any book, whether each book that it asked for is there."""
        for answer in self.hindsight.gold.answers:
            if answer.endpoint in ODDS_ENDPOINTS:
                for event in answer.events:
                    shown = {book["key"] for book in event["bookmakers"]}
                    for book in answer.coverage.books if shown else ():
                        if book in shown or not _may_be_held_back(answer, event["id"], book):
                            yield (event["sport_key"], book, month_of(answer.captured_at)), book in shown

    def _ages(self) -> Iterator[tuple[Card, tuple[str, bool]]]:
        """Of each quote with an age, its phase as known then, and whether it was too old to use."""
        for quotes in self.hindsight.gold.quotes.values():
            for quote in quotes:
                if quote.last_update is not None and market_rule(quote.market)["price_side"] == "back":
                    at = quote.answer.captured_at
                    phase = self.hindsight.gold.phase(quote.event_id, at)
                    is_stale = at - quote.quote_at > age_limit("usable", phase)
                    yield (quote.sport, quote.book, month_of(at)), (phase, is_stale)

    def _oddities(self) -> Iterator[tuple[Card, bool]]:
        """Of each look, whether the set lies far from the others."""
        for event_id, hours, book, is_far in self._looks():
            event = self.hindsight.events[event_id]
            yield (event["sport_key"], book, month_of(event["start_at"] - hours * HOUR)), is_far

    def _looks(self) -> Iterator[tuple[str, int, str, bool]]:
        """Event, hours before its start and book of each set that stood then and can be compared; whether it lies far off."""
        for event_id, event in self.hindsight.events.items():
            for hours in CALIBRATION_HOURS:
                at = event["start_at"] - hours * HOUR
                if at <= self.hindsight.known_until[event_id]:
                    for row, is_far in self._compared(event_id, at):
                        yield event_id, hours, row["bookmaker_key"], is_far

    def _compared(self, event_id: str, at: Time) -> Iterator[tuple[Row, bool]]:
        lines: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in self.hindsight._sets_of_event[event_id]:
            is_sound = row["is_sound"] and row["set_no"] == 1 and row["market_key"] in FEATURED
            is_fresh = is_sound and stands(row, at) and not self.hindsight.gold.stale.holds(row, at)
            if is_fresh and has_own_prices(row["bookmaker_key"]):
                lines[(row["market_key"], row["description"], row["line_point"], row["outcome_set"])].append(row)
        for sets in lines.values():
            voices: dict[str, Mapping[str, Decimal]] = {}
            for row in sorted(sets, key=lambda row: (row["overround"], row["bookmaker_key"])):
                voices.setdefault(book_profile(row["bookmaker_key"])[0], _ratios(row))
            for row in sets:
                group = book_profile(row["bookmaker_key"])[0]
                far = []
                for name, ratio in _ratios(row).items():
                    others = [Fraction(of[name]) for other, of in voices.items() if other != group and name in of]
                    if len(others) >= parameter("outlier_min_groups"):
                        far.append(abs(Fraction(ratio) - median(others)) > Fraction(parameter("outlier_pre")))
                if far:
                    yield row, any(far)


def _ratios(row: Row) -> Mapping[str, Decimal]:
    return dict(zip(row["outcome_names"], row["fair_multiplicative"], strict=True))


def _may_be_held_back(answer: Answer, event_id: str, book: str) -> bool:
    """Whether what an answer holds back of an event is the book, a part of it, or may be."""
    return any(of[0] == event_id and (len(of) == 1 or of[1] in (None, book)) for of in answer.held_back)


def _by_card(found: Iterable[tuple[Card, Told]]) -> dict[Card, list[Told]]:
    cards: dict[Card, list[Told]] = defaultdict(list)
    for card, told in found:
        cards[card].append(told)
    return cards


# --- expected_value ---------------------------------------------------------------------------------------------------


def expected_value(hindsight: Hindsight) -> Table:
    """What each best price that stands before the start is worth, if the other groups are right; a row for each book."""
    rows: Table = {}
    for key, best in hindsight.best_open.items():
        for book in best["books"]:
            phase, word = _behind(hindsight, key, best, book)
            if phase == "pre":
                rows[(*key, book)] = _valued(hindsight, key, best, word)
    return rows


def _behind(hindsight: Hindsight, key: tuple[Any, ...], best: Row, book: str) -> tuple[str, Quote]:
    """The phase of the stretch that gives a book's best price, and the newest quote of it; of several the first by rank."""
    event_id, market, description, point, _, name = key
    found = [
        (series, row)
        for series, own in hindsight._series_of_event[event_id].items()
        if series[1:5] == (book, market, description, name)
        for row in own
        if row["valid_to"] is None
        and row["line_point"] == point
        and row["price_decimal"] is not None
        and price_net(row["price_decimal"], book) == best["best_price_decimal"]
    ]
    series, row = min(found, key=lambda item: item[0][-1])
    return row["phase_as_known"], hindsight.gold._last_word(series, dt.datetime.max.replace(tzinfo=dt.UTC))


def _valued(hindsight: Hindsight, key: tuple[Any, ...], best: Row, word: Quote) -> Row:
    event_id, market, _, point, _, name = key
    event, known_until = hindsight.events[event_id], hindsight.known_until[event_id]
    group, price = book_profile(word.book)[0], best["best_price_decimal"]
    group_count, fair = hindsight.held_by_others(event_id, key[1:5], group, name)
    is_young = known_until - word.quote_at <= age_limit("usable", "pre")
    return {
        "sport_key": event["sport_key"],
        "operator_group": group,
        "outcome_side": best["outcome_side"],
        "start_at": event["start_at"],
        "valid_from": best["valid_from"],
        "price_decimal": price,
        "fair_probability": fair,
        "group_count": group_count,
        "ev_fraction": None if fair is None else rounded(Fraction(price) * Fraction(fair) - 1, 10),
        "ev_basis": "too_few_groups" if fair is None else "median_of_others",
        "fair_basis": fair_basis(market, point),
        "captured_at": word.answer.captured_at,
        "quote_at": word.quote_at,
        "quote_age_seconds": None if word.last_update is None else seconds(word.answer.captured_at - word.quote_at),
        "is_usable": word.last_update is not None and hindsight.gold.phase(event_id, known_until) == "pre" and is_young,
    }


# --- lead_lag ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class GroupMove:
    """A move of an operator group at one capture, by however many of its books."""

    at: Time
    unmoved_at: Time

    @property
    def gap(self) -> int:
        return seconds(self.at - self.unmoved_at)


@dataclass(frozen=True)
class Comparison:
    """A group's move beside the nearest one of another: whether it led or lagged, and how long nobody looked."""

    leads: bool
    lags: bool
    gap: int


def moves_of(hindsight: Hindsight) -> Table:
    gold = hindsight.gold
    return model_lines.moves(hindsight.margins, gold.captures, gold.known_sport)


def lead_lag(moves: Table) -> Table:
    """Of each two groups, by sport and market, who moved first; `moves` are the rows of the table of that name."""
    sports = {(key[0], row["changed_at"]): row["sport_key"] for key, row in moves.items()}
    compared: dict[tuple[str, str, str, str], list[Comparison]] = defaultdict(list)
    for (event_id, market, *_), groups in _moves_one_way(moves).items():
        for group, own in groups.items():
            for other in groups.keys() - {group}:
                for move in own:
                    found = _beside(move, groups[other])
                    if found is not None:
                        compared[(sports[(event_id, move.at)], market, group, other)].append(found)
    return {key: _judged(found) for key, found in compared.items()}


def _moves_one_way(moves: Table) -> Mapping[tuple[Any, ...], Mapping[str, list[GroupMove]]]:
    """By event, market, description, kind of set and direction: each group's moves; its books at one capture are one."""
    found: dict[tuple[Any, ...], dict[tuple[str, Time], list[Time]]] = defaultdict(lambda: defaultdict(list))
    for key, row in moves.items():
        found[(*key[:4], row["direction"])][(row["operator_group"], row["changed_at"])].append(row["prev_seen_at"])
    told: dict[tuple[Any, ...], dict[str, list[GroupMove]]] = defaultdict(lambda: defaultdict(list))
    for way, captures in found.items():
        for (group, at), unmoved in captures.items():
            told[way][group].append(GroupMove(at, min(unmoved)))
    return told


def _beside(move: GroupMove, others: Sequence[GroupMove]) -> Comparison | None:
    window = dt.timedelta(seconds=int(parameter("lead_lag_window_seconds")))
    apart = min(abs(other.at - move.at) for other in others)
    if apart > window:
        return None
    nearest = [other for other in others if abs(other.at - move.at) == apart]
    return Comparison(
        leads=all(move.at <= other.unmoved_at for other in nearest),
        lags=all(other.at <= move.unmoved_at for other in nearest),
        gap=max(move.gap, *(other.gap for other in nearest)),
    )


def _judged(found: Sequence[Comparison]) -> Row:
    leads, lags = sum(each.leads for each in found), sum(each.lags for each in found)
    decided, ties = leads + lags, len(found) - leads - lags
    is_enough = decided >= parameter("lead_lag_min_decided")
    tie_share = rounded(Fraction(ties, len(found)), 10)
    return {
        "lead_count": leads,
        "lag_count": lags,
        "tie_count": ties,
        "tie_share": tie_share,
        "score": rounded(Fraction(leads - lags, decided), 10) if is_enough else None,
        "p_value": sign_test(leads, lags) if is_enough else None,
        "captures_median_gap_seconds": math.floor(median(Fraction(each.gap) for each in found)),
        "is_known": is_enough and tie_share <= parameter("lead_lag_max_tie_share"),
    }


def sign_test(leads: int, lags: int) -> Decimal:
    """Two-sided, by the normal distribution with half a count off each side, to six places."""
    with localcontext() as context:
        context.prec = 60
        x = Decimal(max(abs(leads - lags) - 1, 0)) / Decimal(2 * (leads + lags)).sqrt()
        if x > 6:
            return rounded(Decimal(0), 6)
        # erf(x) = 2 / sqrt(pi) * sum of (-1)^n x^(2n + 1) / (n! (2n + 1))
        term, total, n = x, x, 0
        while abs(term) > Decimal("1e-40"):
            n += 1
            term *= -x * x / n
            total += term / (2 * n + 1)
        return rounded(1 - 2 * total / PI.sqrt(), 6)
