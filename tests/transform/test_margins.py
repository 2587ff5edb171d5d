"""margins and fair_probabilities against cases that are worked out here by hand from the answers."""

from __future__ import annotations

import csv
from decimal import Decimal
from typing import Any, Final

from pipeline.resources import resource

GOLF: Final = "golf_open"
QUARTER: Final = Decimal("0.25")


def decimals(*values: str | int) -> list[Decimal]:
    return [Decimal(value).quantize(Decimal("1e-10")) for value in values]


def test_a_set_its_margin_and_its_fair_probabilities(market: Any) -> None:
    # -150 is 150 / 250, -400 is 400 / 500: q = 0.6 and 0.8, B = 1.4, and 0.6² + 0.8² = 1
    shown = market.book("fanduel", {"h2h": [("Home", -400), ("Away", -150)]}, 0)
    market.load(0, market.odds(market.game("e", 600, [shown]), odds_format="american"))
    market.publish()

    [row] = market.rows(
        "select outcome_names, outcome_sides, implied_probabilities, overround, margin, hold, is_complete, problem, is_sound,"
        " fair_basis, fair_multiplicative, fair_additive, fair_power, power_k, fair_shin, shin_z from gold.margins"
    )
    names, sides, *rest = row
    assert (names, sides) == (["Away", "Home"], ["away", "home"])
    # d = 0.2: z = 0.4 (0.04 - 1.4) / (1.4 (0.04 - 1)) = 17 / 42
    assert rest == [
        decimals("0.6", "0.8"), Decimal("1.4"), Decimal("0.4"), Decimal("0.2857142857"), True, "overround_too_high", False,
        "plain", decimals("0.4285714286", "0.5714285714"), decimals("0.4", "0.6"), decimals("0.36", "0.64"), 2,
        decimals("0.4", "0.6"), Decimal("0.4047619048"),
    ]  # fmt: skip
    assert market.rows("select outcome_name, fair_power, hold from gold.fair_probabilities order by outcome_name") == [
        ("Away", Decimal("0.36"), Decimal("0.2857142857")),
        ("Home", Decimal("0.64"), Decimal("0.2857142857")),
    ]


def test_a_row_lasts_while_no_price_of_the_set_moves(market: Any) -> None:
    def books(home: float, others: float) -> list[dict[str, Any]]:
        return [
            market.book("fanduel", {"h2h": [("Home", home), ("Away", 2.0)]}, 0),
            market.book("betmgm", {"h2h": [("Home", others), ("Away", 2.0)]}, 0),
        ]

    asked = {"books": ("betmgm", "fanduel"), "markets": ("h2h",)}
    market.load(0, market.odds(market.game("e", 600, books(1.8, 1.9)), **asked))
    market.load(10, market.odds(market.game("e", 600, books(1.8, 1.95)), **asked))
    market.load(20, market.odds(market.game("e", 600, books(1.85, 1.95)), **asked))
    market.load(30, market.odds(market.game("e", 600, books(1.85, 1.95)[1:]), **asked))
    market.publish()

    found = market.rows(
        "select implied_probabilities[2], valid_from, valid_to from gold.margins where bookmaker_key = 'fanduel'"
        " order by valid_from"
    )
    assert found == [
        (Decimal("0.5555555556"), market.at(0), market.at(20)),
        (Decimal("0.5405405405"), market.at(20), market.at(30)),
    ]


def test_three_thirds_are_one(market: Any) -> None:
    """As of what the prices say, and not of what ten places of it leave."""
    shown = [market.book("fanduel", {"h2h": [("Home", 200), ("Draw", 200), ("Away", 200)]}, 0)]
    market.load(0, market.odds(market.game("e", 600, shown, sport="soccer_epl"), sport="soccer_epl", odds_format="american"))
    market.publish()

    third = decimals("0.3333333333") * 3
    assert market.rows("select overround, hold, problem, fair_power, power_k, fair_shin, shin_z from gold.margins") == [
        (1, 0, None, third, 1, third, 0)
    ]


def test_whole_and_quarter_points_say_what_they_are(market: Any) -> None:
    totals = {point: [("Over", 2.0, point), ("Under", 2.0, point)] for point in (3.0, 2.5, 2.25)}
    shown = [
        market.book(key, {"totals": outcomes}, 0)
        for key, outcomes in zip(("fanduel", "betmgm", "pinnacle"), totals.values(), strict=True)
    ]
    away = market.book("bovada", {"spreads": [("Home", 1.9, -0.75), ("Away", 1.9, 0.75)]}, 0)
    market.load(0, market.odds(market.game("e", 600, [*shown, away], sport="soccer_epl"), sport="soccer_epl"))
    market.publish()

    assert dict(market.rows("select line_point, fair_basis from gold.margins")) == {
        Decimal("3"): "no_push",
        Decimal("2.5"): "plain",
        Decimal("2.25"): "half_stake",
        Decimal("-0.75"): "half_stake",
    }


def test_a_field_is_complete_against_what_other_books_show(market: Any) -> None:
    def field(key: str, *prices: float) -> dict[str, Any]:
        return market.book(key, {"outrights": [(f"Runner {n}", price) for n, price in enumerate(prices)]}, 0)

    def shown(minute: float, *books: dict[str, Any]) -> None:
        game = market.game("g", 600, books, sport=GOLF, home=None, away=None, has_outrights=True)
        asked = {"books": ("betmgm", "bovada", "fanduel"), "markets": ("outrights",)}
        market.load(minute, market.odds(game, sport=GOLF, **asked))

    # sums of 1, of 1 with a runner less, and of 4 placeholders
    shown(0, field("fanduel", 2.0, 4.0, 4.0), field("bovada", 1.25, 1.25, 1.25))
    shown(10, field("fanduel", 2.0, 4.0, 4.0), field("bovada", 1.25, 1.25, 1.25), field("betmgm", 4.0, 4.0, 4.0, 4.0))
    market.publish()

    found = market.rows(
        "select bookmaker_key, valid_from, is_complete, runner_coverage, problem, fair_power from gold.margins order by 1, 2"
    )
    whole, part = Decimal(1), Decimal("0.75")
    assert found == [
        ("betmgm", market.at(10), True, whole, None, [QUARTER] * 4),
        ("bovada", market.at(0), True, whole, "overround_too_high", None),
        ("bovada", market.at(10), False, part, "incomplete", None),
        ("fanduel", market.at(0), True, whole, None, [Decimal("0.5"), QUARTER, QUARTER]),
        ("fanduel", market.at(10), False, part, "incomplete", None),
    ]


def test_a_longshot_that_the_additive_method_would_sink(market: Any) -> None:
    # q = 0.9, 0.2, 0.02: a third of the margin of 0.12 is more than the draw's price holds
    shown = market.book("fanduel", {"h2h": [("Home", 1.1111), ("Away", 5.0), ("Draw", 50.0)]}, 0)
    market.load(0, market.odds(market.game("e", 600, [shown], sport="soccer_epl"), sport="soccer_epl"))
    market.publish()

    assert market.rows(
        "select problem, is_sound, fair_additive, fair_power is not null, fair_shin is not null from gold.margins"
    ) == [("additive_negative", True, None, True, True)]


def test_lay_prices_are_in_no_set(market: Any) -> None:
    shown = market.book("betfair_ex_uk", {"h2h": [("Home", 2.0), ("Away", 2.0)], "h2h_lay": [("Home", 2.1), ("Away", 2.1)]}, 0)
    market.load(0, market.odds(market.game("e", 600, [shown])))
    market.publish()

    assert market.rows("select market_key, hold from gold.margins") == [("h2h", 0)]


def test_an_exchange_shows_both_sides_for_as_long_as_both_stand(market: Any) -> None:
    def exchange(back: float, lay: float | None) -> dict[str, Any]:
        laid = {} if lay is None else {"h2h_lay": [("Home", lay), ("Away", 2.2)]}
        return market.book("betfair_ex_uk", {"h2h": [("Home", back), ("Away", 2.0)], **laid}, 0)

    asked = {"books": ("betfair_ex_uk",), "markets": ("h2h", "h2h_lay")}
    for minute, back, lay in ((0, 2.0, 2.5), (10, 2.0, 2.1), (20, 2.0, None)):
        market.load(minute, market.odds(market.game("e", 600, [exchange(back, lay)]), **asked))
    market.publish()

    found = market.rows(
        "select valid_from, valid_to, back_net_price_decimal, lay_liability, spread, midpoint_probability"
        " from gold.exchange_quotes where outcome_name = 'Home' order by valid_from"
    )
    # 5 % of a winning of 1; 1 / 2 and 1 / 2.5, 1 / 2 and 1 / 2.1
    assert found == [
        (market.at(0), market.at(10), Decimal("1.95"), Decimal("1.5"), Decimal("0.5"), Decimal("0.45")),
        (market.at(10), market.at(20), Decimal("1.95"), Decimal("1.1"), Decimal("0.1"), Decimal("0.4880952381")),
    ]


def test_rules_of_outrights_name_whole_keys() -> None:
    """What one change may bear on is told by `is_outright`, which compares keys and looks for no prefix."""
    with resource("dbt/seeds/market_rules.csv").open(encoding="utf-8", newline="") as file:
        rules = [row for row in csv.DictReader(file) if row["family"] == "outrights"]
    assert rules and all(row["is_prefix"] == "false" for row in rules)
