"""clv, calibration_observations, book_twins and prediction_bins in plain Python, from the definitions and not from the SQL.

Stretches, sets, closes and grades are those of the other models; here prices are taken at their times before the start, and
compared with the close and with what came.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any, Final

from tests.replay.closing_model import Close
from tests.replay.hindsight_model import Hindsight, Series, has_own_prices, most_even, price_net, seconds, stands
from tests.replay.ledger_model import EVALUATION_KEY, scored
from tests.replay.model import Row, Table, Time, book_profile, parameter, rounded

HOUR: Final = dt.timedelta(hours=1)
CLV_HORIZONS: Final = {"24h": 24 * HOUR, "6h": 6 * HOUR, "1h": HOUR, "15min": HOUR / 4}
CALIBRATION_HOURS: Final = (0, 1, 3, 6, 12, 24, 72, 168)
METHODS: Final = ("multiplicative", "additive", "power", "shin")
HALF: Final = Fraction(1, 2)
CONFIDENCE_95: Final = Decimal("1.959963984540054")
Named = tuple[Any, ...]


def first_place(sides: Sequence[str]) -> int | None:
    """Where the side is that is looked at: home, Over or Yes."""
    return next((sides.index(side) for side in ("home", "over", "yes") if side in sides), None)


@dataclass(frozen=True)
class Forecast:
    """What someone held a set's outcomes for, and since when."""

    hours: int
    book: str
    method: str
    market: str
    point: Decimal | None
    kind: str
    names: Sequence[str]
    sides: Sequence[str]
    probabilities: Sequence[Decimal]
    valid_from: Time


class Values:
    """What prices were worth, and how near probabilities were."""

    def __init__(self, hindsight: Hindsight) -> None:
        self.hindsight, self.gold = hindsight, hindsight.gold
        self.agreed = hindsight.agreed
        self._closes_of: dict[str, list[tuple[Series, Close]]] = defaultdict(list)
        for series, close in hindsight.closes.items():
            if has_own_prices(series[1]):
                self._closes_of[series[0]].append((series, close))

    # clv

    def clv(self) -> Table:
        """Of events whose start is reached; outrights are left out, as in the closings of the model."""
        return self._clv_of(is_reached=True)

    def clv_now(self) -> Table:
        """Of those whose start is to come."""
        return self._clv_of(is_reached=False)

    def _clv_of(self, *, is_reached: bool) -> Table:
        rows: Table = {}
        for event_id, event in self.hindsight.events.items():
            if self.hindsight.is_reached(event_id) is is_reached and event["status"] != "gone_early":
                for series, close in self._closes_of[event_id]:
                    for horizon, at in self._moments(series, event):
                        row = self._taken(series, close, event, at)
                        if row is not None:
                            rows[(*series[:-1], horizon)] = row
        return rows

    def _moments(self, series: Series, event: Row) -> Iterator[tuple[str, Time]]:
        """The times before the start at which a price is looked at, as far as answers have reached them."""
        start, known_until = event["start_at"], self.hindsight.known_until[series[0]]
        opened_at, is_left_censored = self.hindsight._censored(series)
        if not is_left_censored and opened_at < start:
            yield "opening", opened_at
        for horizon, before in CLV_HORIZONS.items():
            if start - before <= known_until:
                yield horizon, start - before

    def _taken(self, series: Series, close: Close, event: Row, at: Time) -> Row | None:
        event_id, book, market, description, name = series[:5]
        stretch = next((row for row in self.hindsight._series_of_event[event_id][series] if stands(row, at)), None)
        if stretch is None:
            return None
        line = (event_id, book, market, description, stretch["line_point"], 1)
        held = next((row for row in self._sets_on[line] if stands(row, at)), None)
        if held is None or not held["is_sound"] or name not in held["outcome_names"]:
            return None
        place = held["outcome_names"].index(name)
        # the price of another of the book's sets on the line
        if held["implied_probabilities"][place] != stretch["implied_probability"]:
            return None
        price, probability = price_net(stretch["price_decimal"], book), held["fair_power"][place]
        quote = close.quote if close.is_closing or close.status == "provisional" else None
        is_closed = quote is not None and quote.outcome_set == held["outcome_set"]
        closed = quote if is_closed else None
        is_same_point = closed is not None and closed.line_point == stretch["line_point"]
        price_closing = None if closed is None or closed.price_decimal is None else price_net(closed.price_decimal, book)
        probability_closing = close.fair if is_closed else None
        line_of_all = (event_id, market, description, stretch["line_point"], held["outcome_set"], name)
        agreed = self.agreed.get(line_of_all) if is_same_point else None
        consensus = None if agreed is None else agreed["fair_median"]
        point_closing = None if closed is None else closed.point
        word = self.gold._last_word(series, at)
        first = min(self.hindsight._series_of_event[event_id][series], key=lambda row: row["valid_from"])
        return {
            "sport_key": event["sport_key"],
            "operator_group": book_profile(book)[0],
            "outcome_side": first["outcome_side"],
            "outcome_set": held["outcome_set"],
            "start_at": event["start_at"],
            "taken_at": at,
            "seconds_to_start": seconds(event["start_at"] - at),
            "seconds_since_seen": seconds(at - word.answer.captured_at),
            "line_point": stretch["line_point"],
            "point_taken": stretch["point"],
            "point_closing": point_closing,
            "price_taken": price,
            "price_closing": price_closing,
            "probability_taken": probability,
            "probability_closing": probability_closing,
            "consensus_closing": consensus,
            "group_count": agreed and agreed["group_count"],
            "fair_basis": held["fair_basis"],
            "clv_status": "no_close" if closed is None else "same_point" if is_same_point else "point_moved",
            "clv_ev": None if consensus is None else rounded(Fraction(price) * Fraction(consensus) - 1, 10),
            "clv_price": rounded(Fraction(price) / Fraction(price_closing) - 1, 10)
            if is_same_point and price_closing
            else None,
            "clv_probability": rounded(100 * (Fraction(probability_closing) - Fraction(probability)), 8)
            if is_same_point and probability_closing is not None
            else None,
            "clv_points": _points_gained(first["outcome_side"], stretch["point"], point_closing),
            "close_status": close.status,
            "is_closing": close.is_closing,
            "consensus_close_status": agreed and agreed["close_status"],
        }

    @cached_property
    def _sets_on(self) -> Mapping[Named, list[Row]]:
        found: dict[Named, list[Row]] = defaultdict(list)
        for key, row in self.hindsight.margins.items():
            found[key[:-1]].append(row)
        return found

    # calibration

    def calibration_observations(self) -> Table:
        rows: Table = {}
        grades = self.hindsight.outcome_grades()
        for event_id, event in self.hindsight.events.items():
            result = self.hindsight.results.get((event_id,))
            is_known = not event["start_is_suspect"] and event["start_basis"] != "kept_unproven"
            is_finished = result is not None and result["completed"] and event["status"] != "gone_early"
            if is_known and is_finished and self.hindsight.is_reached(event_id):
                closed = self._closed(event_id)
                for forecast in self._forecasts(event_id, event["start_at"]):
                    close_status = closed.get((forecast.book, forecast.market, forecast.kind)) if not forecast.hours else None
                    line = (event_id, forecast.market, None, forecast.point, forecast.kind)
                    observed = _observed(forecast, [grades.get((*line, name)) for name in forecast.names])
                    if observed is not None and (forecast.hours or close_status is not None):
                        key = (event_id, forecast.market, forecast.kind, forecast.book, forecast.method, forecast.hours)
                        rows[key] = observed | {
                            "sport_key": event["sport_key"],
                            "start_at": event["start_at"],
                            "close_status": close_status,
                        }
        return rows

    def _closed(self, event_id: str) -> Mapping[Named, str]:
        """How good the closes are, by book, market and kind of set: as good as the oldest of them."""
        statuses: dict[Named, set[str]] = defaultdict(set)
        for series, close in self._closes_of[event_id]:
            if close.is_closing and close.quote is not None and series[3] is None:
                statuses[(series[1], series[2], close.quote.outcome_set)].add(close.status)
        for key, row in self.agreed.items():
            if key[0] == event_id and row["is_closing"] and row["is_main_line"] and key[2] is None:
                statuses[("consensus", key[1], key[4])].add(row["close_status"])
        return {key: "aged" if "aged" in told else "ok" for key, told in statuses.items()}

    def _forecasts(self, event_id: str, start: Time) -> Iterator[Forecast]:
        for hours in CALIBRATION_HOURS:
            yield from self._forecasts_of_books(event_id, hours, start - hours * HOUR)
            yield from self._forecasts_of_all(event_id, hours, start - hours * HOUR)

    def _forecasts_of_books(self, event_id: str, hours: int, at: Time) -> Iterator[Forecast]:
        """Of each book's main line."""
        cells: dict[Named, list[Row]] = defaultdict(list)
        place_of: dict[int, int] = {}
        for row in self.hindsight._sets_of_event[event_id]:
            place = first_place(row["outcome_sides"])
            is_counted = row["is_sound"] and row["outcome_set"] != "field" and has_own_prices(row["bookmaker_key"])
            if is_counted and row["description"] is None and place is not None and stands(row, at):
                place_of[id(row)] = place
                cells[(row["bookmaker_key"], row["market_key"], row["outcome_set"])].append(row)
        for (book, market, kind), sets in cells.items():
            main = most_even(sets, place_of)
            for method in METHODS:
                if main[f"fair_{method}"] is not None:
                    yield Forecast(
                        hours, book, method, market, main["line_point"], kind, main["outcome_names"], main["outcome_sides"],
                        main[f"fair_{method}"], main["valid_from"],
                    )  # fmt: skip

    def _forecasts_of_all(self, event_id: str, hours: int, at: Time) -> Iterator[Forecast]:
        """Of the line that most groups hang; of several the nearest to even, then the lowest distance, then the lower point."""
        lines: dict[tuple[str, str], dict[Decimal | None, list[tuple[str, Row]]]] = defaultdict(lambda: defaultdict(list))
        for (_, market, description, point, kind, name, _, _), row in self._consensus_of[event_id]:
            if description is None and kind != "field" and row["fair_median"] is not None and stands(row, at):
                lines[(market, kind)][point].append((name, row))
        for (market, kind), hung in lines.items():
            ranked = []
            for point, members in hung.items():
                members.sort(key=lambda member: member[0])
                place = first_place([row["outcome_side"] for _, row in members])
                if place is not None:
                    nearness = abs(Fraction(members[place][1]["fair_median"]) - HALF)
                    groups = max(row["group_count"] for _, row in members)
                    distance = abs(point) if point is not None else Decimal(0)
                    ranked.append(((-groups, nearness, distance, point or Decimal(0)), point, members))
            if ranked:
                _, point, members = min(ranked, key=lambda each: each[0])
                yield Forecast(
                    hours, "consensus", "power", market, point, kind, [name for name, _ in members],
                    [row["outcome_side"] for _, row in members], [row["fair_median"] for _, row in members],
                    max(row["valid_from"] for _, row in members),
                )  # fmt: skip

    @cached_property
    def _consensus_of(self) -> Mapping[str, list[tuple[Named, Row]]]:
        found: dict[str, list[tuple[Named, Row]]] = defaultdict(list)
        for key, row in self.gold.consensus(self.hindsight.margins).items():
            found[key[0]].append((key, row | {"valid_from": key[-1]}))
        return found

    # book_twins

    def book_twins(self) -> Table:
        """Of each two groups: how often their prices of h2h are equal in the first answer in common after either moved."""
        pairs = self._compared()
        best: dict[tuple[str, str], tuple[Any, Row]] = {}
        for (one, other), counts in pairs.items():
            groups = (book_profile(one)[0], book_profile(other)[0])
            books = (one, other) if groups[0] < groups[1] else (other, one)
            changes, events = counts.changes, len(counts.events)
            if not changes:
                continue
            is_enough = changes >= parameter("twins_min_changes") and events >= parameter("twins_min_events")
            share = rounded(Fraction(counts.equal, changes), 10)
            row = {
                "bookmaker_key": books[0],
                "other_bookmaker_key": books[1],
                "changes": changes,
                "events": events,
                "equal_changes": counts.equal,
                "equal_share": share,
                "is_enough": is_enough,
                "is_candidate": is_enough and share >= parameter("twins_min_share"),
            }
            # of groups with several books the two that agree most speak
            rank = (not is_enough, -share, -changes, books)
            key = (min(groups), max(groups))
            if key not in best or rank < best[key][0]:
                best[key] = (rank, row)
        return {key: row for key, (_, row) in best.items()}

    def _compared(self) -> Mapping[tuple[str, str], Counts]:
        """A walk over the answers of each event, two books at a time."""
        counts: dict[tuple[str, str], Counts] = defaultdict(Counts)
        for event_id in self.hindsight.events:
            answers = self._h2h_by_answer(event_id)
            for one, other in itertools.combinations(sorted(set().union(*answers)), 2):
                if book_profile(one)[0] == book_profile(other)[0]:
                    continue
                common = [(answer[one], answer[other]) for answer in answers if one in answer and other in answer]
                for before, after in itertools.pairwise(common):
                    if [each.changes for each in before] != [each.changes for each in after]:
                        told = counts[(one, other)]
                        told.changes += 1
                        told.events.add(event_id)
                        told.equal += after[0].prices == after[1].prices
        return counts

    def _h2h_by_answer(self, event_id: str) -> list[dict[str, Quoted]]:
        """What each answer says of books with prices of their own, in order of their times."""
        shown: dict[tuple[Time, Any], set[str]] = defaultdict(set)
        for answer in self.gold.answers:
            event = answer.event(event_id)
            for book in () if event is None else event.get("bookmakers", ()):
                is_told = answer.tells_of(event_id, book["key"], "h2h") and has_own_prices(book["key"])
                if is_told and any(market["key"] == "h2h" for market in book["markets"]):
                    shown[(answer.captured_at, answer.exchange_id)].add(book["key"])
        sets = [
            row
            for row in self.hindsight._sets_of_event[event_id]
            if row["market_key"] == "h2h" and row["is_sound"] and row["set_no"] == 1
        ]
        last: dict[str, Quoted] = {}
        found = []
        for (at, _), books in sorted(shown.items(), key=lambda item: item[0][0]):
            quoted = {}
            for row in sets:
                book = row["bookmaker_key"]
                if book in books and stands(row, at):
                    prices = (row["outcome_names"], row["implied_probabilities"])
                    before = last.get(book, Quoted(prices, 0))
                    quoted[book] = last[book] = Quoted(prices, before.changes + (before.prices != prices))
            found.append(quoted)
        return found


@dataclass(frozen=True)
class Quoted:
    """A book's outcomes and their implied probabilities, and how often they had changed by then."""

    prices: Named
    changes: int


@dataclass
class Counts:
    """How two books moved."""

    changes: int = 0
    equal: int = 0
    events: set[str] = field(default_factory=set)


def _points_gained(side: str, taken: Decimal | None, closing: Decimal | None) -> Decimal | None:
    """Above 0 where the bettor has the better point."""
    if taken is None or closing is None or side not in ("home", "away", "over", "under"):
        return None
    return closing - taken if side == "over" else taken - closing


def _observed(forecast: Forecast, grades: Sequence[Row | None]) -> Row | None:
    """How a forecast scored; of pushes and halves of stakes nothing is learnt."""
    came = [grade["won_share"] if grade is not None and grade["grade"] in ("win", "loss") else None for grade in grades]
    is_quarter = forecast.point is not None and abs(forecast.point) % Decimal("0.5") != 0
    if None in came or is_quarter:
        return None
    place = first_place(forecast.sides)
    assert place is not None
    is_of_three = forecast.kind == "three_way"
    brier, log_loss = scored(
        forecast.probabilities if is_of_three else [forecast.probabilities[place]], came if is_of_three else [came[place]]
    )
    return {
        "line_point": forecast.point,
        "valid_from": forecast.valid_from,
        "probability": forecast.probabilities[place],
        "outcome": int(came[place] or 0),
        "brier": brier,
        "log_loss": log_loss,
    }


# --- predictions in bins ----------------------------------------------------------------------------------------------

BIN_KEY: Final = (*EVALUATION_KEY, "bin")


def prediction_bins(scores: Table) -> Table:
    """Of what was predicted in each tenth of probability, how much came; `scores` are the rows of prediction_scores."""
    bins: dict[Named, list[Row]] = defaultdict(list)
    for (ledger, _), row in scores.items():
        if row["status"] == "ok":
            tenth = min(int(row["probability"] * 10), 9)
            bins[(ledger, *(row[name] for name in EVALUATION_KEY[1:]), tenth)].append(row)
    return {key: _binned(rows) for key, rows in bins.items()}


def _binned(rows: Sequence[Row]) -> Row:
    n, hits = len(rows), sum(row["outcome"] for row in rows)
    common = [row for row in rows if row["close_probability"] is not None]
    low, high = wilson_95(hits, n)
    return {
        "n_predictions": n,
        "mean_probability": _mean(rows, "probability"),
        "hit_rate": rounded(Fraction(hits, n), 10),
        "hit_rate_low": low,
        "hit_rate_high": high,
        "publishable": n >= parameter("calibration_min_events"),
        "common_n": len(common),
        "common_mean_probability": _mean(common, "probability"),
        "common_close_probability": _mean(common, "close_probability"),
        "common_hit_rate": _mean(common, "outcome"),
    }


def _mean(rows: Sequence[Row], column: str) -> Decimal | None:
    return rounded(sum((Fraction(row[column]) for row in rows), Fraction(0)) / len(rows), 10) if rows else None


def wilson_95(hits: int, n: int) -> tuple[Decimal, Decimal]:
    """Wilson's interval of a share: (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n)."""
    precise = Context(prec=50)
    z2 = precise.multiply(CONFIDENCE_95, CONFIDENCE_95)
    share, others = precise.divide(Decimal(hits), Decimal(n)), precise.divide(Decimal(n - hits), Decimal(n))
    middle = precise.add(share, precise.divide(z2, Decimal(2 * n)))
    spread = precise.add(precise.divide(precise.multiply(share, others), Decimal(n)), precise.divide(z2, Decimal(4 * n * n)))
    reach = precise.multiply(CONFIDENCE_95, precise.sqrt(spread))
    whole = precise.add(Decimal(1), precise.divide(z2, Decimal(n)))
    low = precise.divide(precise.subtract(middle, reach), whole)
    high = precise.divide(precise.add(middle, reach), whole)
    return rounded(max(low, Decimal(0)), 10), rounded(min(high, Decimal(1)), 10)
