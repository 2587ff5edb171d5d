"""consensus_line, moves and steam in plain Python, from the model's own margins and quotes; written from the definitions.

Every book's main line is looked up at every time at which anything of that book's market changed, and every window of moves
is counted from all of them: nothing is carried along, and nothing is known of batches.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from statistics import median
from typing import Any

from tests.replay import model
from tests.replay.model_staleness import StaleSets

Time = dt.datetime
Row = dict[str, Any]
Table = dict[tuple[Any, ...], Row]
# event, market, description, kind of set
Market = tuple[str, str, str | None, str]
# the times at which an outcome of a book was quoted: event, book, market, description, outcome
Captures = Callable[[str, str, str, str | None, str], Iterable[Time]]


def seconds(name: str) -> dt.timedelta:
    return dt.timedelta(seconds=int(model.parameter(name)))


@dataclass(frozen=True)
class MainLine:
    """A book's main set, from one change of its market to the next."""

    row: Row
    at: Time
    until: Time | None

    @property
    def place(self) -> int:
        sides = self.row["outcome_sides"]
        found: int = sides.index("over") if "over" in sides else sides.index("home")
        return found

    @property
    def point(self) -> Decimal | None:
        found: Decimal | None = self.row["line_point"]
        return found

    @property
    def fair(self) -> Decimal:
        found: Decimal = self.row["fair_power"][self.place]
        return found

    @property
    def ratio(self) -> Fraction:
        return Fraction(self.row["fair_multiplicative"][self.place])

    @property
    def group(self) -> str:
        return model.book_profile(self.row["bookmaker_key"])[0]

    def stands(self, at: Time) -> bool:
        return self.at <= at and (self.until is None or at < self.until)

    @property
    def cheapest_first(self) -> tuple[Decimal, str]:
        return (self.row["overround"], self.row["bookmaker_key"])


def featured_family(market: str) -> str | None:
    rule = model.market_rule(market)
    featured = rule["is_point_in_key"] == "false" and rule["family"] in ("h2h", "spreads", "totals")
    return rule["family"] if featured else None


def main_lines(margins: Table, stale: StaleSets | None = None) -> dict[Market, list[MainLine]]:
    """The main lines of all books with prices of their own, by market, in order of book and time; of fresh sets."""
    cells: dict[tuple[Market, str], list[Row]] = defaultdict(list)
    for row in margins.values():
        family = featured_family(row["market_key"])
        kinds = ("two_way", "three_way") if family == "h2h" else ("two_way",)
        named = set(row["outcome_sides"]) & ({"over"} if family == "totals" else {"home"})
        if not row["is_sound"] or family is None or row["outcome_set"] not in kinds or not named:
            continue
        if model.book_profile(row["bookmaker_key"])[1] in ("back_fixed", "back_net"):
            market = (row["event_id"], row["market_key"], row["description"], row["outcome_set"])
            cells[(market, row["bookmaker_key"])].append(row)
    found: dict[Market, list[MainLine]] = defaultdict(list)
    for (market, _), rows in sorted(cells.items(), key=lambda cell: repr(cell[0])):
        found[market] += _mains(rows, stale or StaleSets())
    return found


def _mains(rows: Sequence[Row], stale: StaleSets) -> Iterator[MainLine]:
    changes = {at for row in rows for at in (row["valid_from"], row["valid_to"]) if at is not None}
    times = sorted(changes.union(stale.times(rows[0]["event_id"], rows[0]["market_key"], rows[0]["description"])))
    for at, until in zip(times, [*times[1:], None], strict=True):
        standing = [
            MainLine(row, at, until)
            for row in rows
            if MainLine(row, row["valid_from"], row["valid_to"]).stands(at) and not stale.holds(row, at)
        ]
        if standing:
            nothing = Decimal(0)
            yield min(
                standing,
                key=lambda line: (
                    abs(line.ratio - Fraction(1, 2)),
                    line.row["overround"],
                    abs(line.point or nothing),
                    line.point or nothing,
                    line.row["set_no"],
                ),
            )


# --- consensus_line -------------------------------------------------------------------------------------------------------


def consensus_line(margins: Table, sport_at: Callable[[str, Time], str], stale: StaleSets) -> Table:
    rows: Table = {}
    for market, lines in main_lines(margins, stale).items():
        if featured_family(market[1]) == "h2h":
            continue
        standing: Row | None = None
        for at in sorted({at for line in lines for at in (line.at, line.until) if at is not None}):
            held = _hung_at(at, [line for line in lines if line.stands(at)])
            if standing is not None and held is not None and all(standing[name] == held[name] for name in _LINE_VALUES):
                continue
            if standing is not None:
                standing["valid_to"] = at
            standing = held
            if held is not None:
                held["sport_key"] = sport_at(market[0], at)
                rows[(*market[:3], at)] = held
    return rows


_LINE_VALUES = ("line_median", "line_modal", "group_share_at_modal", "line_min", "line_max", "group_count", "fair_line")


def _hung_at(at: Time, lines: Sequence[MainLine]) -> Row | None:
    voices: dict[str, MainLine] = {}
    for line in sorted(lines, key=lambda line: line.cheapest_first):
        voices.setdefault(line.group, line)
    if not voices:
        return None
    by_point: dict[Decimal, list[MainLine]] = defaultdict(list)
    for line in voices.values():
        assert line.point is not None
        by_point[line.point].append(line)
    modal = min(
        by_point,
        key=lambda point: (
            -len(by_point[point]),
            abs(median(line.ratio for line in by_point[point]) - Fraction(1, 2)),
            min(line.row["overround"] for line in by_point[point]),
            abs(point),
            point,
        ),
    )
    is_enough = len(voices) >= model.parameter("consensus_min_groups")
    points = [point for point, group in by_point.items() for _ in group]
    fair = [value for line in voices.values() if (value := _fair_line(line)) is not None]
    first = next(iter(voices.values())).row
    return {
        "event_id": first["event_id"],
        "market_key": first["market_key"],
        "description": first["description"],
        "valid_from": at,
        "valid_to": None,
        "line_median": model.rounded(median(map(Fraction, points)), 3) if is_enough else None,
        "line_modal": modal if is_enough else None,
        "group_share_at_modal": model.rounded(Fraction(len(by_point[modal]), len(voices)), 10) if is_enough else None,
        "line_min": min(points),
        "line_max": max(points),
        "group_count": len(voices),
        "fair_line": model.rounded(median(map(Fraction, fair)), 3) if is_enough and fair else None,
    }


def _fair_line(line: MainLine) -> Decimal | None:
    """Where both sides would be as likely, by the normal distribution that the logistic one stands for."""
    is_spread = featured_family(line.row["market_key"]) == "spreads"
    sigma = Decimal(model.sport_rule(line.row["sport_key"])["margin_sigma" if is_spread else "total_sigma"])
    if not sigma or model.market_rule(line.row["market_key"])["period"] != "full_game" or not 0 < line.fair < 1:
        return None
    assert line.point is not None
    with localcontext() as context:
        context.prec = 60
        odds = (line.fair / (1 - line.fair)).quantize(Decimal("1e-24"), rounding=ROUND_HALF_UP)
        logit = odds.ln().quantize(Decimal("1e-16"), rounding=ROUND_HALF_UP)
        away = sigma * model.parameter("fair_line_scale") * logit
        # the likelier the home side at its handicap, the lower the handicap that makes it even
        return line.point - away if is_spread else line.point + away


# --- moves ----------------------------------------------------------------------------------------------------------------


def moves(margins: Table, captures: Captures, sport_at: Callable[[str, Time], str]) -> Table:
    rows: Table = {}
    for market, lines in main_lines(margins).items():
        found = list(_moves_of(market, lines, captures))
        for row in found:
            row["run_began_at"] = _run_start(row, found)
            row["sport_key"] = sport_at(market[0], row["changed_at"])
            rows[(*market, row["bookmaker_key"], row["changed_at"])] = row
    return rows


def _moves_of(market: Market, lines: Sequence[MainLine], captures: Captures) -> Iterator[Row]:
    by_book: dict[str, list[MainLine]] = defaultdict(list)
    for line in lines:
        by_book[line.row["bookmaker_key"]].append(line)
    for book, own in by_book.items():
        before_the_start = [line for line in own if line.row["phase_as_known"] == "pre"]
        for old, new in itertools.pairwise(before_the_start):
            assert old.until is not None
            # a start that slips: it was in play between two lines before the start
            slipped = any(old.at < line.at < new.at for line in own if line.row["phase_as_known"] != "pre")
            if new.at - old.until > seconds("start_slip_seconds" if slipped else "steam_window_seconds"):
                continue
            same_point = old.point == new.point
            points = None if old.point is None or new.point is None else new.point - old.point
            chance = new.fair - old.fair if same_point else None
            by_point = points is not None and abs(points) >= model.parameter("move_min_points")
            by_chance = chance is not None and abs(chance) >= model.parameter("move_min_probability")
            if not by_point and not by_chance:
                continue
            family = featured_family(market[1])
            if by_point:
                assert points is not None
                is_first = points > 0 if family == "totals" else points < 0
            else:
                assert chance is not None
                is_first = chance > 0
            name = old.row["outcome_names"][old.place]
            yield {
                "event_id": market[0],
                "market_key": market[1],
                "description": market[2],
                "outcome_set": market[3],
                "bookmaker_key": book,
                "operator_group": new.group,
                "changed_at": new.at,
                "prev_seen_at": max(at for at in captures(market[0], book, *market[1:3], name) if at < old.until),
                "direction": ("over" if is_first else "under") if family == "totals" else ("home" if is_first else "away"),
                "old_line_point": old.point,
                "new_line_point": new.point,
                "delta_point": points,
                "old_probability": old.fair,
                "new_probability": new.fair,
                "delta_probability": chance,
                "quoting_groups": tuple(sorted({line.group for line in lines if line.stands(new.at)})),
            }


def _run_start(row: Row, found: Sequence[Row]) -> Time:
    """Walk back from a move over moves the same way, until there is none for the quiet time."""
    at: Time = row["changed_at"]
    while before := [
        other["changed_at"]
        for other in found
        if other["direction"] == row["direction"] and at - seconds("steam_quiet_seconds") <= other["changed_at"] < at
    ]:
        at = max(before)
    return at


# --- steam ----------------------------------------------------------------------------------------------------------------


def steam(all_moves: Table) -> Table:
    markets: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for key, row in all_moves.items():
        markets[key[:4]].append(row)
    rows: Table = {}
    for market, found in markets.items():
        for direction in {row["direction"] for row in found}:
            last_at: Time | None = None
            told = False
            for at in sorted({row["changed_at"] for row in found if row["direction"] == direction}):
                if last_at is None or at - last_at > seconds("steam_quiet_seconds"):
                    told = False  # the episode, if there was one, is over
                last_at = at
                row = None if told else _steam_at(at, direction, found)
                if row is not None:
                    told = True
                    rows[(*market, direction, at)] = row
    return rows


def _steam_at(at: Time, direction: str, found: Sequence[Row]) -> Row | None:
    window = [row for row in found if at - seconds("steam_window_seconds") <= row["changed_at"] <= at]
    by_group: dict[str, list[Row]] = defaultdict(list)
    for row in window:
        by_group[row["operator_group"]].append(row)
    this_way: dict[str, Row] = {}
    other_way = 0
    for group, own in by_group.items():
        latest = max(row["changed_at"] for row in own)
        last = min((row for row in own if row["changed_at"] == latest), key=lambda row: row["bookmaker_key"])
        if last["direction"] != direction:
            other_way += 1
            continue
        same = [row for row in own if row["direction"] == direction]
        this_way[group] = min(same, key=lambda row: (row["changed_at"], row["prev_seen_at"]))
    quoting = set(by_group).union(*(row["quoting_groups"] for row in window if row["changed_at"] == at))
    size = len(this_way)
    is_steam = (
        size >= model.parameter("steam_min_groups")
        and size >= model.parameter("steam_min_share") * len(quoting)
        and other_way < model.parameter("steam_other_way_share") * len(quoting)
    )
    if not is_steam:
        return None
    started = min(row["changed_at"] for row in this_way.values())
    first_movers = tuple(sorted(group for group, row in this_way.items() if row["prev_seen_at"] < started))
    gap = max((row["changed_at"] - row["prev_seen_at"]) // dt.timedelta(seconds=1) for row in this_way.values())
    first = window[0]
    return {
        **{name: first[name] for name in ("event_id", "sport_key", "market_key", "description", "outcome_set")},
        "direction": direction,
        "triggered_at": at,
        "started_at": started,
        "groups": tuple(sorted(this_way)),
        "size": size,
        "quoting_count": len(quoting),
        "other_way_count": other_way,
        "first_movers": first_movers,
        "first_is_tied": len(first_movers) > 1,
        "capture_gap_seconds": gap,
        "too_coarse": gap > model.parameter("steam_window_seconds"),
    }
