"""arbitrages against cases that are worked out here by hand from the answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pipeline.resources import resource

BOOKS = ("betfair_ex_uk", "betmgm", "betonlineag", "bovada", "draftkings", "fanduel", "lowvig", "pinnacle")


def quote(market: Any, key: str, home: float, away: float, updated: float | None = 0) -> dict[str, Any]:
    return market.book(key, {"h2h": [("Home", home), ("Away", away)]}, updated)


def load(market: Any, minute: float, *books: dict[str, Any], start: float = 600) -> None:
    market.load(minute, market.odds(market.game("e", start, books), books=BOOKS, markets=("h2h",)))


def stored(market: Any, columns: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(f"select {columns} from gold.arbitrages order by line_point, valid_from")
    return found


def clean(market: Any, columns: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(f"select {columns} from gold.arbitrages_clean order by line_point, valid_from")
    return found


def test_two_books_whose_prices_return_more_than_the_stakes(market: Any) -> None:
    # 1 / 2.1 + 1 / 2.0 = 41/42, so that 1 comes back as 42/41; 20/41 of the stake lies on Home, 21/41 on Away
    load(market, 0, quote(market, "fanduel", 2.1, 1.8), quote(market, "betmgm", 1.8, 2.0))
    market.publish()

    columns = "books_at_open, prices_at_open, round(margin_at_open, 8), margin_best = margin_at_open, best_at, quality, phase"
    # outcomes in the order of their names
    books, prices = ["betmgm", "fanduel"], [2, Decimal("2.1")]
    assert stored(market, columns) == [(books, prices, Decimal("0.02439024"), True, market.at(0), "clean", "pre")]
    assert stored(market, "outcome_names, outcome_sides, outcome_set, line_point") == [
        (["Away", "Home"], ["away", "home"], "two_way", None)
    ]
    [(away, home)] = stored(market, "round(stake_shares_at_open[1], 8), round(stake_shares_at_open[2], 8)")
    assert (away, home) == (Decimal("0.51219512"), Decimal("0.48780488"))


def test_a_sum_of_1_is_none_nor_is_one_book_alone_nor_one_operator(market: Any) -> None:
    load(market, 0, quote(market, "fanduel", 2.0, 1.8), quote(market, "betmgm", 1.8, 2.0))
    load(market, 10, quote(market, "fanduel", 2.1, 2.1))
    load(market, 20, quote(market, "betonlineag", 2.1, 1.8), quote(market, "lowvig", 1.8, 2.1))
    market.publish()
    assert stored(market, "valid_from") == []


def test_where_one_operator_has_the_best_of_all_another_one_gives_a_leg(market: Any) -> None:
    # pinnacle alone: 2 / 2.1; with fanduel's Away at 2.05 it costs less than with its Home at 2.0
    load(market, 0, quote(market, "pinnacle", 2.1, 2.1), quote(market, "fanduel", 2.0, 2.05))
    market.publish()

    # 1 / 2.1 + 1 / 2.05 = 0.9639953542, 1 / that - 1 = 0.0373494
    assert stored(market, "books_at_open, round(margin_at_open, 7)") == [(["fanduel", "pinnacle"], Decimal("0.0373494"))]


def test_of_equal_prices_the_first_name_counts_as_long_as_two_operators_remain(market: Any) -> None:
    shared = [quote(market, key, 2.05, 2.05) for key in ("lowvig", "betonlineag")]
    market.load(
        0,
        market.odds(
            # for Away betonlineag comes first, but then Home is not to be had elsewhere: pinnacle must give Away
            market.game("one way only", 600, [*shared, quote(market, "pinnacle", 1.9, 2.05)]),
            # Away is the first leg
            market.game("any way", 600, [quote(market, key, 2.05, 2.05) for key in ("fanduel", "betmgm", "bovada")]),
        ),
    )
    market.publish()
    assert dict(stored(market, "event_id, books_at_open")) == {
        market.id_of("one way only"): ["pinnacle", "betonlineag"],
        market.id_of("any way"): ["betmgm", "bovada"],
    }


def test_an_exchange_counts_after_its_commission(market: Any) -> None:
    # 5 % of the winnings: 2.1 is worth 1 + 1.1 * 0.95 = 2.045, and 2.04 only 1.988
    load(market, 0, quote(market, "betfair_ex_uk", 2.1, 1.8), quote(market, "fanduel", 1.8, 2.0))
    load(market, 10, quote(market, "betfair_ex_uk", 2.04, 1.8), quote(market, "fanduel", 1.8, 2.0))
    market.publish()

    # 1 / 2.045 + 1 / 2 = 0.98899756, 1 / that - 1 = 0.01112485
    columns = "prices_at_open[2], round(margin_at_open, 7), valid_to"
    assert stored(market, columns) == [(Decimal("2.045"), Decimal("0.0111248"), market.at(10))]


def test_three_outcomes_need_all_three(market: Any) -> None:
    def soccer(key: str, *outcomes: tuple[Any, ...]) -> dict[str, Any]:
        return market.book(key, {"h2h": list(outcomes)}, 0)

    shown = [
        soccer("fanduel", ("Home", 2.5), ("Away", 2.9), ("Draw", 3.3)),
        soccer("betmgm", ("Home", 2.4), ("Away", 3.2), ("Draw", 3.3)),
        # two prices only are another product, whatever they sum to
        soccer("bovada", ("Home", 9.0), ("Away", 9.0)),
    ]
    market.load(0, market.odds(market.game("e", 600, shown, sport="soccer_epl"), sport="soccer_epl"))
    market.publish()
    # 1 / 2.5 + 1 / 3.2 + 1 / 3.3 = 1.0155
    assert stored(market, "valid_from") == []

    shown[1] = soccer("betmgm", ("Home", 2.4), ("Away", 3.2), ("Draw", 3.6))
    market.load(10, market.odds(market.game("e", 600, shown, sport="soccer_epl"), sport="soccer_epl"))
    market.publish()
    # 0.4 + 0.3125 + 0.27777778 = 0.99027778, 1 / that - 1 = 0.00981767
    columns = "outcome_set, books_at_open, round(margin_at_open, 8), valid_from"
    assert stored(market, columns) == [("three_way", ["betmgm", "betmgm", "fanduel"], Decimal("0.00981767"), market.at(10))]


def test_lines_are_not_mixed(market: Any) -> None:
    def total(key: str, over: float, under: float, point: float) -> dict[str, Any]:
        return market.book(key, {"totals": [("Over", over, point), ("Under", under, point)]}, 0)

    shown = [total("fanduel", 2.1, 1.8, 41.5), total("betmgm", 1.8, 2.1, 42.5), total("bovada", 1.7, 2.0, 41.5)]
    market.load(0, market.odds(market.game("e", 600, shown)))
    market.publish()
    assert stored(market, "line_point, books_at_open") == [(Decimal("41.5"), ["fanduel", "bovada"])]


def test_one_row_as_long_as_it_stands_with_the_legs_at_open_and_at_best(market: Any) -> None:
    def at(minute: float, home: float, *more: dict[str, Any]) -> None:
        load(market, minute, quote(market, "fanduel", home, 1.8, minute), quote(market, "betmgm", 1.8, 2.0, minute), *more)

    at(0, 2.1)
    at(10, 2.1)
    at(20, 2.15)  # 1 / 2.15 + 1 / 2 = 0.96511628: 0.03614458
    at(30, 2.1, quote(market, "draftkings", 2.12, 1.7, 30))  # other legs, and worse ones
    at(40, 2.15)  # as good as at minute 20
    at(50, 1.9)
    at(60, 2.1)
    market.publish()

    columns = "valid_from, valid_to, last_seen_at, captures, books_at_open, books_at_best, round(margin_best, 8), best_at"
    legs, best = ["betmgm", "fanduel"], Decimal("0.03614458")
    assert stored(market, columns) == [
        (market.at(0), market.at(50), market.at(40), 5, legs, legs, best, market.at(20)),
        # an open row stores nothing that moves with an answer
        (market.at(60), None, None, None, legs, legs, Decimal("0.02439024"), market.at(60)),
    ]

    at(70, 2.1)
    at(80, 2.1)
    market.publish()
    assert stored(market, columns)[1] == (market.at(60), None, None, None, legs, legs, Decimal("0.02439024"), market.at(60))
    columns = "valid_from, last_seen_at, captures, seen_for_seconds"
    assert clean(market, columns) == [(market.at(0), market.at(40), 5, 2400), (market.at(60), market.at(80), 3, 1200)]


def test_seen_once_it_lasted_no_time(market: Any) -> None:
    load(market, 0, quote(market, "fanduel", 2.1, 1.8), quote(market, "betmgm", 1.8, 2.0))
    load(market, 10, quote(market, "fanduel", 1.9, 1.8), quote(market, "betmgm", 1.8, 2.0))
    market.publish()
    assert clean(market, "valid_to, last_seen_at, captures, seen_for_seconds") == [(market.at(10), market.at(0), 1, 0)]


def test_an_answer_about_other_books_says_nothing_of_it(market: Any) -> None:
    load(market, 0, quote(market, "fanduel", 2.1, 1.8), quote(market, "betmgm", 1.8, 2.0))
    other = market.game("e", 600, [quote(market, "bovada", 1.9, 1.9)])
    market.load(10, market.odds(other, books=("bovada",), markets=("h2h",)))
    market.load(20, market.odds(market.game("e", 600, [], home="Home"), books=("fanduel", "betmgm"), markets=("totals",)))
    market.publish()
    assert clean(market, "valid_to, last_seen_at, captures, seen_for_seconds") == [(None, market.at(0), 1, 0)]


def test_play_begins_another_row(market: Any) -> None:
    for minute in (0, 10, 20):
        books = quote(market, "fanduel", 2.1, 1.8, minute), quote(market, "betmgm", 1.8, 2.0, minute)
        load(market, minute, *books, start=10)
    market.publish()
    assert stored(market, "valid_from, valid_to, phase, quality") == [
        (market.at(0), market.at(10), "pre", "clean"),
        (market.at(10), None, "in_play", "in_play"),
    ]
    assert clean(market, "valid_from") == [(market.at(0),)]


QUALITIES = {
    # home price at fanduel, minutes from the last updates of fanduel and betmgm to the answer → quality, oldest, apart
    "in time": ((2.1, 2, 1), ("clean", 120, 60)),
    "too old": ((2.1, 121 / 60, 2), ("stale", 121, 1)),
    "too far apart": ((2.1, 61 / 60, 0), ("stale", 61, 61)),
    # beside 2.0 a profit of 5 % needs 1 / (1 / 1.05 - 1 / 2) = 2.2105
    "great": ((2.21, 0, 0), ("clean", 0, 0)),
    "too great": ((2.22, 0, 0), ("implausible", 0, 0)),
    "too great comes first": ((2.3, 5, 0), ("implausible", 300, 300)),
}


def test_quality(market: Any) -> None:
    games = [
        market.game(name, 600, [quote(market, "fanduel", home, 1.7, 10 - one), quote(market, "betmgm", 1.8, 2.0, 10 - other)])
        for name, ((home, one, other), _) in QUALITIES.items()
    ]
    market.load(10, market.odds(*games))
    market.publish()
    found = {event: told for event, *told in stored(market, "event_id, quality, max_leg_age_seconds, leg_age_spread_seconds")}
    assert found == {market.id_of(name): list(told) for name, (_, told) in QUALITIES.items()}


def test_an_unknown_age_is_not_a_fresh_one(market: Any) -> None:
    event = market.game("e", 600, [quote(market, "fanduel", 2.1, 1.8, None), quote(market, "betmgm", 1.8, 2.0, 0)])
    market.load(0, market.event_odds(event))
    market.publish()
    assert stored(market, "quality, ages_at_open, max_leg_age_seconds, leg_age_spread_seconds") == [
        ("stale", [0, None], None, None)
    ]


def test_quality_is_the_worse_of_open_and_best(market: Any) -> None:
    load(market, 0, quote(market, "fanduel", 2.1, 1.8, 0), quote(market, "betmgm", 1.8, 2.0, 0))
    load(market, 10, quote(market, "fanduel", 2.12, 1.8, 10), quote(market, "betmgm", 1.8, 2.0, 5))
    market.publish()
    columns = "quality, max_leg_age_seconds, leg_age_spread_seconds, ages_at_open, ages_at_best"
    assert stored(market, columns) == [("stale", 300, 300, [0, 0], [300, 0])]


def test_an_outlier_is_named(market: Any) -> None:
    # Home: 0.5 at three operators; 1.75 / (2.25 + 1.75) = 0.4375 at fanduel, 0.0625 away
    others = [quote(market, key, 1.9, 1.9) for key in ("betmgm", "bovada")]
    load(market, 0, quote(market, "fanduel", 2.25, 1.75), quote(market, "draftkings", 1.86, 1.86), *others)
    market.publish()
    # 1 / 2.25 + 1 / 1.9 = 0.97076
    assert stored(market, "quality, books_at_open, outliers_at_open") == [("outlier", ["betmgm", "fanduel"], ["fanduel"])]


def test_a_broken_or_incomplete_set_gives_no_leg(market: Any) -> None:
    load(
        market,
        0,
        quote(market, "fanduel", 2.5, 2.5),  # sums to 0.8
        market.book("bovada", {"h2h": [("Home", 2.5)]}, 0),
        quote(market, "betmgm", 1.9, 2.0),
    )
    market.publish()
    assert stored(market, "valid_from") == []


def test_a_late_answer_ends_a_row_before_its_best(market: Any) -> None:
    def at(minute: float, home: float) -> None:
        load(market, minute, quote(market, "fanduel", home, 1.8, minute), quote(market, "betmgm", 1.8, 2.0, minute))

    columns = "valid_from, valid_to, captures, round(margin_best, 8), best_at"
    at(0, 2.1)
    at(10, 2.12)  # 1 / 2.12 + 1 / 2 = 0.97169811: 0.02912621
    at(40, 2.15)
    market.publish()
    assert stored(market, columns) == [(market.at(0), None, None, Decimal("0.03614458"), market.at(40))]

    at(20, 1.9)
    market.publish()
    assert stored(market, columns) == [
        (market.at(0), market.at(20), 2, Decimal("0.02912621"), market.at(10)),
        (market.at(40), None, None, Decimal("0.03614458"), market.at(40)),
    ]


def test_the_query_for_the_longest_by_book_pair(market: Any) -> None:
    text = (resource("dbt") / "analyses" / "arbitrages_by_book_pair.sql").read_text(encoding="utf-8")
    query = text.replace("{{ ref('arbitrages_clean') }}", "gold.arbitrages_clean").replace(
        "{{ ref('coverage') }}", "silver.coverage"
    )
    week = 7 * 24 * 60

    def at(minute: float, home: float, away: float, start: float = 3 * week) -> None:
        books = quote(market, "fanduel", home, 1.8, minute), quote(market, "betmgm", 1.8, away, minute)
        load(market, minute, *books, start=start)

    at(-60, 2.1, 2.0)  # more than a week before the last answer
    at(-50, 1.9, 2.0)
    at(10, 2.1, 2.0)
    at(30, 2.1, 2.0)
    at(40, 1.9, 2.0)
    at(50, 2.15, 2.0)
    at(60, 1.9, 2.0)
    lows = quote(market, "lowvig", 2.1, 1.8, 70), quote(market, "betmgm", 1.8, 2.0, 70)
    load(market, 70, *lows, start=3 * week)
    at(80, 1.9, 1.9)
    at(week, 1.9, 1.9)
    market.publish()

    # 1 / 2.15 + 1 / 2 = 0.96511628, 1 / 2.1 + 1 / 2 = 41/42
    found = [(books, count, seconds, round(margin, 8)) for books, count, seconds, margin in market.rows(query)]
    assert found == [
        (["betmgm", "fanduel"], 2, 1200, Decimal("0.03614458")),
        (["betmgm", "lowvig"], 1, 0, Decimal("0.02439024")),
    ]
