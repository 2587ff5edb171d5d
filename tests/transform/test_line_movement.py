"""line_movement against cases that are worked out here by hand from the answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

ASKED = {"books": ("fanduel",), "markets": ("h2h", "spreads", "totals")}


def moves(market: Any, columns: str, name: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(
        f"select {columns} from gold.line_movement where outcome_name = '{name}' order by changed_at"
    )
    return found


def show(market: Any, minute: float, **markets: list[tuple[Any, ...]]) -> None:
    shown = [market.book("fanduel", markets, 0)] if markets else []
    market.load(minute, market.odds(market.game("e", 25, shown), **ASKED))


def test_a_price_moves_the_probability(market: Any) -> None:
    # without a margin the fair probability is the price's: 1/2 → 5/8, at 2.0 and 1.6
    show(market, 0, h2h=[("Home", 2.0), ("Away", 2.0)])
    show(market, 10, h2h=[("Home", 2.0), ("Away", 2.0)])
    show(market, 20, h2h=[("Home", 1.6), ("Away", 2.66666667)])
    market.publish()

    columns = (
        "kind, direction, delta_point, old_price_decimal, new_price_decimal, round(old_probability, 7),"
        " round(new_probability, 7), round(delta_probability, 7), across_gap, seconds_since_last_change, capture_gap_seconds,"
        " phase, changed_at"
    )
    half, new, delta = Decimal("0.5"), Decimal("0.625"), Decimal("0.125")
    rest = (False, 1200, 600, "pre", market.at(20))
    assert moves(market, columns, "Home") == [("price", "home", None, 2, Decimal("1.6"), half, new, delta, *rest)]
    [(direction, lost)] = moves(market, "direction, round(delta_probability, 7)", "Away")
    assert (direction, lost) == ("home", -delta)


def test_the_point_says_which_way_before_the_price(market: Any) -> None:
    show(market, 0, spreads=[("Home", 1.9, -3.0), ("Away", 1.9, 3.0)], totals=[("Over", 1.9, 41.5), ("Under", 1.9, 41.5)])
    # the home side gives more, and fewer points are expected, although both are cheaper to back
    show(market, 10, spreads=[("Home", 2.0, -3.5), ("Away", 1.8, 3.5)], totals=[("Over", 1.9, 40.5), ("Under", 1.9, 40.5)])
    market.publish()

    columns = "kind, direction, old_point, new_point, delta_point, delta_probability"
    assert moves(market, columns, "Home") == [("both", "home", -3, Decimal("-3.5"), Decimal("-0.5"), None)]
    assert moves(market, columns, "Away") == [("both", "home", 3, Decimal("3.5"), Decimal("0.5"), None)]
    assert moves(market, columns, "Over") == [("point", "under", Decimal("41.5"), Decimal("40.5"), -1, None)]
    assert moves(market, "direction", "Under") == [("under",)]


def test_a_gap_is_said_and_a_phase_is_no_change(market: Any) -> None:
    show(market, 0, h2h=[("Home", 2.0), ("Away", 2.0)])
    show(market, 10)
    show(market, 20, h2h=[("Home", 2.0), ("Away", 1.9)])
    show(market, 30, h2h=[("Home", 2.0), ("Away", 1.9)])
    show(market, 40, h2h=[("Home", 1.9), ("Away", 1.9)])
    market.publish()

    columns = "across_gap, phase, seconds_since_last_change, capture_gap_seconds"
    assert moves(market, columns, "Away") == [(True, "pre", 1200, 1200)]
    # from the row that began with play, at minute 30
    assert moves(market, columns, "Home") == [(False, "in_play", 600, 600)]


def test_another_kind_of_set_is_not_compared(market: Any) -> None:
    def soccer(minute: float, *outcomes: tuple[Any, ...]) -> None:
        shown = [market.book("fanduel", {"h2h": list(outcomes)}, 0)]
        market.load(minute, market.odds(market.game("e", 600, shown), **ASKED))

    soccer(0, ("Home", 2.5), ("Away", 3.0), ("Draw", 3.5))
    soccer(10, ("Home", 1.8), ("Away", 2.1))
    market.publish()

    [(kind, direction, old, new, delta)] = moves(
        market, "kind, direction, old_probability is not null, new_probability is not null, delta_probability", "Home"
    )
    assert (kind, direction, old, new, delta) == ("outcome_set", None, True, True, None)
