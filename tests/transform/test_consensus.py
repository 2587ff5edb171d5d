"""consensus against cases that are worked out here by hand from the answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

BOOKS = ("betfair_ex_uk", "betmgm", "betonlineag", "bovada", "draftkings", "fanduel", "lowvig", "pinnacle", "prizepicks")


def quote(market: Any, key: str, home: float, away: float, updated: float = 0) -> dict[str, Any]:
    return market.book(key, {"h2h": [("Home", home), ("Away", away)]}, updated)


def load(market: Any, minute: float, *books: dict[str, Any]) -> None:
    market.load(minute, market.odds(market.game("e", 600, books), books=BOOKS, markets=("h2h",)))


def of_home(market: Any, columns: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(
        f"select {columns} from gold.consensus where outcome_name = 'Home' order by valid_from"
    )
    return found


# prices without a margin, so that every method leaves them alone: p = 1/2, 2/5, 5/8


def test_a_group_has_one_vote_and_its_lowest_hold_speaks(market: Any) -> None:
    load(
        market,
        0,
        quote(market, "fanduel", 2.0, 2.0),
        quote(market, "betmgm", 2.0, 2.0),
        quote(market, "betonlineag", 1.95, 1.85),  # holds 5 %: the other of its desk speaks
        quote(market, "lowvig", 2.0, 2.0),
        quote(market, "prizepicks", 1.5, 3.0),  # a fantasy operator has no price of its own
    )
    market.publish()

    columns = "group_count, book_count, probability_min, probability_max, fair_median, fair_mean, stddev_pop"
    half = Decimal("0.5")
    assert of_home(market, columns) == [(3, 4, half, half, half, half, 0)]


def test_median_mean_and_deviation(market: Any) -> None:
    # home at 0.5 three times, and at 1 / 1.6 = 0.625
    load(
        market,
        0,
        *(quote(market, key, 2.0, 2.0) for key in ("fanduel", "betmgm", "bovada")),
        quote(market, "draftkings", 1.6, 8 / 3),
    )
    market.publish()

    # which lies 0.125 from the others' median: an outlier
    assert of_home(market, "group_count, book_count, fair_mean") == [(3, 3, Decimal("0.5"))]

    load(
        market,
        10,
        *(quote(market, key, 2.0, 2.0) for key in ("fanduel", "betmgm", "bovada")),
        quote(market, "draftkings", 1.92, 2.0869565217),
    )
    market.publish()

    # 1 / 1.92 = 0.5208333333 and 0.4791666667; (3 · 0.5 + 0.5208333333) / 4; deviation 0.0208333333 · √3 / 4
    [_, row] = of_home(market, "group_count, fair_median, round(fair_mean, 9), round(stddev_pop, 8), round(probability_max, 9)")
    assert row == (4, Decimal("0.5"), Decimal("0.505208333"), Decimal("0.00902110"), Decimal("0.520833333"))


def test_fewer_than_three_groups_agree_on_nothing(market: Any) -> None:
    load(market, 0, quote(market, "pinnacle", 2.0, 2.0), quote(market, "fanduel", 2.0, 2.0))
    market.publish()

    assert of_home(market, "fair_median, fair_mean, fair_sharp, group_count, sharp_basis, sharp_weight_total") == [
        (None, None, None, 2, "none", 1)
    ]


def test_the_sharp_speak_by_their_weight_and_are_named(market: Any) -> None:
    # home at 0.5, of weight 0, 0, 0.8 and 1; of lowvig, of weight 0.5, at 0.5208333
    def at(minute: float, *sharps: str) -> None:
        shown = [quote(market, key, 2.0, 2.0, minute) for key in ("fanduel", "betmgm", *sharps) if key != "lowvig"]
        lowvig = quote(market, "lowvig", 1.92, 2.0869565217, minute)
        load(market, minute, *shown, *([lowvig] if "lowvig" in sharps else []))

    at(0, "bovada")
    at(10, "lowvig")
    at(20, "lowvig", "betfair_ex_uk")
    at(30, "lowvig", "betfair_ex_uk", "pinnacle")
    market.publish()

    found = of_home(market, "valid_from, sharp_basis, sharp_weight_total, round(fair_sharp, 8)")
    assert found == [
        (market.at(0), "none", 0, None),
        (market.at(10), "us_proxy", Decimal("0.5"), Decimal("0.52083333")),
        # (0.5 · 0.5208333 + 0.8 · 0.5) / 1.3
        (market.at(20), "exchange", Decimal("1.3"), Decimal("0.50801282")),
        (market.at(30), "pinnacle", Decimal("2.3"), Decimal("0.50452899")),
    ]


def test_lines_and_kinds_of_sets_are_not_mixed(market: Any) -> None:
    def total(key: str, point: float) -> dict[str, Any]:
        return market.book(key, {"totals": [("Over", 2.0, point), ("Under", 2.0, point)]}, 0)

    shown = [total(key, 41.5) for key in ("fanduel", "betmgm", "bovada")] + [total("draftkings", 42.5)]
    market.load(0, market.odds(market.game("e", 600, shown)))
    market.publish()

    found = market.rows(
        "select line_point, group_count, fair_median from gold.consensus where outcome_name = 'Over' order by 1"
    )
    assert found == [(Decimal("41.5"), 3, Decimal("0.5")), (Decimal("42.5"), 1, None)]


def test_a_row_lasts_while_nothing_moves_and_says_how_old_it_began(market: Any) -> None:
    def at(minute: float, last: float, read: float = -5) -> None:
        load(
            market,
            minute,
            *(quote(market, key, 2.0, 2.0, minute - 1) for key in ("fanduel", "betmgm")),
            quote(market, "bovada", last, 2.0, read),
        )

    at(0, 2.0)
    at(10, 2.0)  # exactly as old as may be
    at(20, 1.95, 6)
    market.publish()

    assert of_home(market, "valid_from, valid_to, oldest_quote_age_at_open_seconds") == [
        (market.at(0), market.at(20), 300),
        (market.at(20), None, 840),
    ]


@pytest.mark.parametrize(
    "desk",
    [
        ("hardrockbet", "hardrockbet_az", "hardrockbet_fl", "hardrockbet_oh"),
        ("betrivers", "sugarhouse", "twinspires", "unibet_us"),
    ],
)
def test_the_keys_of_one_desk_are_one_voice(market: Any, desk: tuple[str, ...]) -> None:
    """Four keys agree and move together: it is nobody's consensus, and no steam."""
    for minute, home in ((0, 1.9), (5, 1.8), (10, 1.7)):
        load(market, minute, *(quote(market, key, home, 2.1, minute) for key in desk))
    market.publish()

    assert of_home(market, "group_count, book_count, fair_median") == [(1, 4, None)] * 3
    assert market.rows("select count(*), count(distinct operator_group) from gold.moves") == [(8, 1)]
    assert market.rows("select count(*) from gold.steam") == [(0,)]


@pytest.mark.parametrize("late", [False, True])
def test_a_late_answer_that_repeats_two_prices_makes_them_younger_later(market: Any, late: bool) -> None:
    """No price changes by it, and no row of price_history; but the third group, which nobody asked for, meets younger votes."""

    def poll(minute: float, *keys: str) -> None:
        books = [quote(market, key, 2.0, 2.0, minute) for key in keys]
        market.load(minute, market.odds(market.game("e", 600, books), books=keys, markets=("h2h",)))

    poll(0, "betmgm", "bovada")
    if not late:
        poll(2, "betmgm", "bovada")
    poll(4, "fanduel")
    market.publish()
    if late:
        poll(2, "betmgm", "bovada")
        market.publish()

    assert of_home(market, "valid_from, group_count, oldest_quote_age_at_open_seconds") == [
        (market.at(0), 2, 0),
        (market.at(4), 3, 120),
    ]
