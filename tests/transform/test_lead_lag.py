"""lead_lag against cases that are worked out here by hand from the answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

D = Decimal


def game(market: Any, number: int, points: Mapping[str, float], minute: float) -> dict[str, Any]:
    shown = [market.book(key, {"totals": [("Over", 2.0, p), ("Under", 2.0, p)]}, minute) for key, p in sorted(points.items())]
    found: dict[str, Any] = market.game(f"g{number}", 100_000, shown, home=f"Home {number}", away=f"Away {number}")
    return found


def show(market: Any, minute: float, games: Sequence[Mapping[str, float]]) -> None:
    """All games in one answer."""
    answers = [game(market, number, points, minute) for number, points in enumerate(games)]
    market.load(minute, market.odds(*answers, books=("betmgm", "fanduel"), markets=("totals",)))


def pairs(market: Any, columns: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    rows = market.rows(f"select operator_group, other_group, {columns} from gold.lead_lag")
    return {(one, other): tuple(values) for one, other, *values in rows}


def moved(market: Any, leads: int, lags: int, ties: int) -> None:
    """Games in which fanduel moves at minute 5 and betmgm at minute 10, or the other way round, or both at once."""
    still, ahead, behind, both = (
        {"fanduel": 42.5, "betmgm": 42.5},
        {"fanduel": 43.0, "betmgm": 42.5},
        {"fanduel": 42.5, "betmgm": 43.0},
        {"fanduel": 43.0, "betmgm": 43.0},
    )
    show(market, 0, [still] * (leads + lags + ties))
    show(market, 5, [ahead] * leads + [behind] * lags + [both] * ties)
    show(market, 10, [both] * (leads + lags + ties))
    market.publish()


def test_leads_lags_and_ties_are_counted_both_ways(market: Any) -> None:
    moved(market, 20, 12, 4)
    found = pairs(
        market,
        "lead_count, lag_count, tie_count, round(tie_share, 6), score, round(p_value, 6),"
        " captures_median_gap_seconds, is_known",
    )
    # 4 / 36; (20 - 12) / 32; erfc((8 - 1) / sqrt(2 · 32)); the exact binomial is 0.2153
    p = D(str(round(math.erfc(7 / 8), 6)))
    one, other = found[("fanduel", "betmgm")], found[("betmgm", "fanduel")]
    assert one == (20, 12, 4, D("0.111111"), D("0.25"), p, 300, True)
    assert other == (12, 20, 4, D("0.111111"), D("-0.25"), p, 300, True)


def test_fewer_than_thirty_decide_nothing(market: Any) -> None:
    moved(market, 29, 0, 0)
    assert pairs(market, "lead_count, score, p_value, is_known")[("fanduel", "betmgm")] == (29, None, None, False)


def test_nobody_is_ranked_where_most_are_ties(market: Any) -> None:
    moved(market, 30, 0, 31)
    found = pairs(market, "lead_count, tie_count, score, is_known")
    assert found[("fanduel", "betmgm")] == (30, 31, 1, False)


def test_overlapping_captures_are_a_tie(market: Any) -> None:
    show(market, 0, [{"fanduel": 42.5, "betmgm": 42.5}])
    # betmgm is not shown while fanduel has moved: it may have moved before
    show(market, 5, [{"fanduel": 43.0}])
    show(market, 10, [{"fanduel": 43.0, "betmgm": 43.0}])
    market.publish()
    counts = "lead_count, lag_count, tie_count, captures_median_gap_seconds"
    assert pairs(market, counts) == {("fanduel", "betmgm"): (0, 0, 1, 600), ("betmgm", "fanduel"): (0, 0, 1, 600)}


def test_the_nearest_counts_and_as_near_on_both_sides_is_a_tie(market: Any) -> None:
    def at(minute: float, fanduel: float, betmgm: float) -> None:
        show(market, minute, [{"fanduel": fanduel, "betmgm": betmgm}])

    at(0, 42.5, 42.5)
    at(5, 42.5, 43.0)
    at(10, 43.0, 43.0)  # fanduel: five minutes after one of betmgm, five before another
    at(15, 43.0, 43.5)
    at(18, 43.5, 43.5)  # three minutes after the nearest
    at(79, 43.5, 44.0)  # an hour and a minute after fanduel
    market.publish()

    found = pairs(market, "lead_count, lag_count, tie_count")
    assert found[("fanduel", "betmgm")] == (0, 1, 1)
    # minute 5 leads 10; 15 is nearest to 18, which it leads; 79 has nobody near
    assert found[("betmgm", "fanduel")] == (2, 0, 0)


def test_moves_the_other_way_and_more_than_an_hour_apart_are_not_compared(market: Any) -> None:
    show(market, 0, [{"fanduel": 42.5, "betmgm": 42.5}] * 2)
    show(market, 5, [{"fanduel": 43.0, "betmgm": 42.0}, {"fanduel": 43.0, "betmgm": 42.5}])
    show(market, 66, [{"fanduel": 43.0, "betmgm": 42.0}, {"fanduel": 43.0, "betmgm": 43.0}])
    market.publish()
    assert pairs(market, "lead_count") == {}
