"""expected_value, closing_consensus and clv against cases that are worked out here by hand from the answers.

Prices are mostly 1 / p of probabilities that sum to 1: without a margin every method leaves them alone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

# of events that have begun, and of those to come
CLOSED = "(select * from gold.{0} union all select * from gold.{0}_now) as closed"
BOOKS = ("betfair_ex_uk", "betmgm", "betonlineag", "betus", "bovada", "draftkings", "fanduel", "lowvig", "pinnacle")
MARKETS = ("h2h", "spreads", "totals")
SOCCER = "soccer_epl"


def d(text: str) -> Decimal:
    return Decimal(text)


def fair(market: Any, key: str, home: float, updated: float = 0) -> dict[str, Any]:
    """A book that holds the home side for ``home``, without a margin."""
    return market.book(key, {"h2h": [("Home", round(1 / home, 8)), ("Away", round(1 / (1 - home), 8))]}, updated)


def quote(market: Any, key: str, home: float, away: float, updated: float = 0) -> dict[str, Any]:
    return market.book(key, {"h2h": [("Home", home), ("Away", away)]}, updated)


def total(market: Any, key: str, point: float, updated: float = 0, over: float = 2.0, under: float = 2.0) -> dict[str, Any]:
    return market.book(key, {"totals": [("Over", over, point), ("Under", under, point)]}, updated)


def poll(market: Any, minute: float, *books: dict[str, Any], start: float = 600) -> None:
    market.load(minute, market.odds(market.game("e", start, books), books=BOOKS, markets=MARKETS))


# --- expected_value -------------------------------------------------------------------------------------------------


def values(market: Any, columns: str, where: str = "outcome_name = 'Home'") -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(
        f"select bookmaker_key, {columns} from gold.expected_value where {where} order by bookmaker_key"
    )
    return found


def test_the_others_say_what_a_price_is_worth(market: Any) -> None:
    even = ("betmgm", "betus", "bovada", "draftkings")
    # fanduel pays 2.1 for what it holds for 0.4761905 itself: its own vote must not count
    poll(market, 10, *(quote(market, key, 2.0, 2.0, 9) for key in even), quote(market, "fanduel", 2.1, 1.90909091, 8))
    market.publish()

    columns = "price_decimal, fair_probability, group_count, ev_fraction, ev_basis, fair_basis, quote_age_seconds, captured_at"
    rest = ("median_of_others", "plain")
    assert values(market, columns) == [("fanduel", d("2.1"), d("0.5"), 4, d("0.05"), *rest, 120, market.at(10))]
    # the best price of the other side is offered by four groups: 2.0 · 0.5 - 1, fanduel being one of the others
    assert values(market, columns, "outcome_name = 'Away'") == [
        (key, 2, d("0.5"), 4, 0, *rest, 60, market.at(10)) for key in even
    ]


def test_medians_are_divided_by_their_sum_and_the_own_desk_has_no_vote(market: Any) -> None:
    def soccer(key: str, home: float, draw: float, away: float) -> dict[str, Any]:
        names = {"Home": home, "Draw": draw, "Away": away}
        return market.book(key, {"h2h": [(name, round(1 / p, 8)) for name, p in names.items()]}, 0)

    others = [
        soccer("betmgm", 0.50, 0.30, 0.20),
        soccer("betus", 0.46, 0.33, 0.21),
        soccer("bovada", 0.46, 0.30, 0.24),
        soccer("draftkings", 0.48, 0.29, 0.23),
    ]
    # the desk of betonlineag: 2.3 for the home side; its other book holds more and must not vote either
    desk = [soccer("betonlineag", 1 / 2.3, 0.31, 1 - 0.31 - 1 / 2.3), soccer("lowvig", 0.49, 0.30, 0.21)]
    game = market.game("e", 600, [*others, *desk], sport=SOCCER)
    market.load(0, market.odds(game, sport=SOCCER))
    market.publish()

    # medians: 0.47, 0.30, 0.22, together 0.99; 2.3 · 0.47 / 0.99 - 1 = 0.0919
    columns = "group_count, round(fair_probability, 7), round(ev_fraction, 6), operator_group"
    assert values(market, columns) == [("betonlineag", 4, d("0.4747475"), d("0.091919"), "betonline")]


def test_three_others_are_too_few(market: Any) -> None:
    poll(
        market, 0, *(quote(market, key, 2.0, 2.0) for key in ("betmgm", "betus", "lowvig")), quote(market, "fanduel", 2.1, 1.9)
    )
    market.publish()

    assert values(market, "group_count, fair_probability, ev_fraction, ev_basis") == [
        ("fanduel", 3, None, None, "too_few_groups")
    ]


def test_an_exchange_pays_net_of_its_commission(market: Any) -> None:
    even = [quote(market, key, 2.0, 2.0) for key in ("betmgm", "betus", "bovada", "draftkings")]
    poll(market, 0, *even, quote(market, "betfair_ex_uk", 2.2, 1.83333333))
    market.publish()

    # 5 % of what is won: 1 + 1.2 · 0.95 = 2.14; 2.14 · 0.5 - 1
    assert values(market, "price_decimal, ev_fraction") == [("betfair_ex_uk", d("2.14"), d("0.07"))]


def test_what_is_in_play_or_far_from_the_market_is_no_bet(market: Any) -> None:
    even = [quote(market, key, 2.0, 2.0) for key in ("betmgm", "betus", "bovada", "draftkings")]
    # 3.0 and 1.5: 0.1667 from what the others hold
    far = quote(market, "fanduel", 3.0, 1.5)
    poll(market, 0, *even, far, start=5)
    market.publish()
    assert [row[0] for row in values(market, "ev_fraction")] == ["betmgm", "betus", "bovada", "draftkings"]

    poll(market, 10, *even, far, start=5)
    market.publish()
    assert values(market, "ev_fraction", "true") == []


def test_what_the_value_is_conditional_on(market: Any) -> None:
    games = [
        market.game(f"e{point}", 600, [total(market, key, point) for key in ("betmgm", "betus", "bovada")])
        for point in (41.5, 42, 42.25)
    ]
    market.load(0, market.odds(*games))
    market.publish()

    assert market.rows("select distinct line_point, fair_basis from gold.expected_value order by 1") == [
        (d("41.5"), "plain"),
        (d("42"), "no_push"),
        (d("42.25"), "half_stake"),
    ]


# --- closing_consensus ----------------------------------------------------------------------------------------------


def closing(market: Any, columns: str, name: str = "Home") -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(
        f"select {columns} from {CLOSED.format('closing_consensus')} where outcome_name = '{name}' order by line_point"
    )
    return found


def after_the_start(market: Any, minute: float = 90) -> None:
    """An answer about the sport that tells no price: by it the start is reached."""
    market.load(minute, market.odds(markets=("other",), books=BOOKS))


def test_the_close_is_made_of_each_book_s_last_quote_before_the_start(market: Any) -> None:
    poll(market, 40, *(fair(market, key, 0.6, 40) for key in ("betmgm", "betus", "bovada")), start=60)
    poll(
        market,
        58,
        fair(market, "betmgm", 0.50, 57),
        fair(market, "betus", 0.52, 58),
        fair(market, "bovada", 0.55, 50),
        # 0.9 is too far from the median of the others
        fair(market, "draftkings", 0.9, 57),
        start=60,
    )
    poll(market, 70, *(fair(market, key, 0.8, 70) for key in ("betmgm", "betus", "bovada")), start=60)
    market.publish()

    columns = (
        "round(fair_median, 7), round(fair_mean, 7), fair_sharp, sharp_basis, group_count, book_count, oldest_quote_at,"
        " newest_quote_at, closing_age_seconds, close_status, is_main_line"
    )
    # 0.50, 0.52, 0.55; the newest is 2 minutes old at the start
    times = (market.at(50), market.at(58), 120)
    assert closing(market, columns) == [(d("0.52"), d("0.5233333"), None, "none", 3, 3, *times, "ok", True)]


@pytest.mark.parametrize("is_reached", [True, False])
def test_members_are_closings_at_most_half_an_hour_apart_and_one_vote_per_desk(market: Any, is_reached: bool) -> None:
    # the newest is read as the game begins, or, before it does, whenever it is
    newest, start = (60, 60) if is_reached else (60, 600)
    poll(
        market,
        60,
        fair(market, "betmgm", 0.50, newest),
        fair(market, "betus", 0.52, 30),  # 30 minutes before the newest
        fair(market, "bovada", 0.54, 29),  # 31
        fair(market, "lowvig", 0.53, newest),
        quote(market, "betonlineag", 1.80, 1.90, newest),  # the other of its desk asks for less
        start=start,
    )
    after_the_start(market)
    market.publish()

    columns = (
        "fair_median, fair_mean, fair_sharp, sharp_basis, group_count, book_count, oldest_quote_at, close_status, is_closing"
    )
    # 0.50, 0.52, 0.53; of the sharp only the desk of lowvig
    [row] = closing(market, columns)
    assert [round(value, 6) for value in row[:3]] == [d("0.52"), d("0.516667"), d("0.53")]
    assert row[3:] == ("us_proxy", 3, 4, market.at(30), *(("ok", True) if is_reached else ("provisional", False)))


def test_too_few_aged_and_provisional_and_none_of_old_quotes(market: Any) -> None:
    keys = ("betmgm", "betus", "bovada")
    for name, count, minute in (("few", 2, 50), ("old", 3, 29), ("aged", 3, 30), ("fresh", 3, 52), ("coming", 3, 51)):
        start = 600 if name == "coming" else 60
        shown = [fair(market, key, 0.5, minute) for key in keys[:count]]
        market.load(minute, market.event_odds(market.game(name, start, shown)))
    after_the_start(market)
    market.publish()

    rows = market.rows(
        f"select event_id, close_status, fair_median, fair_mean, closing_age_seconds from {CLOSED.format('closing_consensus')}"
        " where outcome_name = 'Home'"
    )
    assert sorted(rows) == sorted(
        [
            (market.id_of("few"), "too_few_groups", None, None, 600),
            (market.id_of("aged"), "aged", d("0.5"), d("0.5"), 1800),
            (market.id_of("fresh"), "ok", d("0.5"), d("0.5"), 480),
            (market.id_of("coming"), "provisional", d("0.5"), d("0.5"), 32940),
        ]
    )


def test_each_line_closes_by_itself_and_one_is_the_main_one(market: Any) -> None:
    shown = [total(market, key, 41.5, 50) for key in ("betmgm", "betus", "bovada")]
    shown += [total(market, key, 42, 50, over=1.9, under=2.11111111) for key in ("draftkings", "fanduel")]
    # so three groups are on each, and the median there is further from even: 1 / 1.9
    shown += [total(market, "pinnacle", 42, 50)]
    poll(market, 50, *shown, start=60)
    after_the_start(market)
    market.publish()

    columns = "line_point, group_count, round(fair_median, 7), is_main_line, fair_basis, sharp_basis"
    assert closing(market, columns, "Over") == [
        (d("41.5"), 3, d("0.5"), True, "plain", "none"),
        (d("42"), 3, d("0.5263158"), False, "no_push", "pinnacle"),
    ]


def test_a_start_that_moves_moves_the_consensus(market: Any) -> None:
    keys = ("betmgm", "betus", "bovada")
    poll(market, 50, *(fair(market, key, 0.50, 50) for key in keys), start=60)
    poll(market, 55, *(fair(market, key, 0.52, 55) for key in keys), start=100)
    poll(market, 98, *(fair(market, key, 0.54, 98) for key in keys), start=100)
    after_the_start(market, 120)
    market.publish()

    assert closing(market, "round(fair_median, 7), closing_age_seconds, close_status") == [(d("0.54"), 120, "ok")]


# --- clv ------------------------------------------------------------------------------------------------------------


def taken(market: Any, columns: str, where: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(
        f"select horizon, {columns} from {CLOSED.format('clv')} where {where} order by taken_at, horizon"
    )
    return found


HOUR = 60
START = 50 * HOUR
SOFT = ("betmgm", "betus", "bovada")


def test_prices_at_each_horizon_against_the_close(market: Any) -> None:
    def at(hours: float, *books: dict[str, Any]) -> None:
        poll(market, hours * HOUR, *(quote(market, key, 2.0, 2.0, hours * HOUR) for key in SOFT), *books, start=START)

    at(0)
    at(1, quote(market, "fanduel", 2.2, 1.83333333))  # its opening
    at(25.5, quote(market, "fanduel", 2.1, 1.90909091))  # half an hour before 24 h
    at(45, quote(market, "fanduel", 2.05, 1.95238095))  # after 6 h, before 1 h
    at(49.9, quote(market, "fanduel", 2.0, 2.0, 49.9 * HOUR))
    market.load(51 * HOUR, market.odds(markets=("other",), books=BOOKS))
    market.publish()

    columns = (
        "taken_at, price_taken, price_closing, clv_status, round(clv_ev, 7), round(clv_price, 7), round(clv_probability, 4)"
    )
    # p: 1/2.2 = 0.4545455, 1/2.1 = 0.4761905, 1/2.05 = 0.4878049, 1/2; the market holds it for 0.5 at the close
    found = taken(market, columns, "bookmaker_key = 'fanduel' and outcome_name = 'Home'")
    assert found == [
        ("opening", market.at(HOUR), d("2.2"), 2, "same_point", d("0.1"), d("0.1"), d("4.5455")),
        ("24h", market.at(26 * HOUR), d("2.1"), 2, "same_point", d("0.05"), d("0.05"), d("2.3810")),
        ("6h", market.at(44 * HOUR), d("2.1"), 2, "same_point", d("0.05"), d("0.05"), d("2.3810")),
        ("1h", market.at(49 * HOUR), d("2.05"), 2, "same_point", d("0.025"), d("0.025"), d("1.2195")),
        ("15min", market.at(START - 15), d("2.05"), 2, "same_point", d("0.025"), d("0.025"), d("1.2195")),
    ]
    # the others were there at the first look
    assert {row[0] for row in taken(market, "1", "bookmaker_key = 'betus'")} == {"24h", "6h", "1h", "15min"}
    # last seen half an hour before, and at minute 45 · 60
    ages = dict(taken(market, "seconds_since_seen", "bookmaker_key = 'fanduel' and outcome_name = 'Home'"))
    assert ages == {"opening": 0, "24h": 1800, "6h": 18.5 * 3600, "1h": 4 * 3600, "15min": 4 * 3600 + 2700}


def test_a_point_that_moved_has_points_and_no_value(market: Any) -> None:
    def lines(point: float, handicap: float, minute: float) -> list[dict[str, Any]]:
        sides = {
            "spreads": [("Home", 1.9, handicap), ("Away", 1.9, -handicap)],
            "totals": [("Over", 1.9, point), ("Under", 1.9, point)],
        }
        return [market.book(key, sides, minute) for key in ("betmgm", "betus", "bovada")]

    poll(market, 0, *lines(41.5, -3, 0), start=600)
    poll(market, 580, *lines(43.5, -4, 580), start=600)
    poll(market, 610, start=600)
    market.publish()

    where = "bookmaker_key = 'betus' and outcome_name = '{}' and horizon = '6h'"
    columns = "clv_status, point_taken, point_closing, clv_points, clv_ev, clv_price, clv_probability, consensus_closing"
    none = (None, None, None, None)
    expected = {
        "Over": (d("41.5"), d("43.5"), 2),
        "Under": (d("41.5"), d("43.5"), -2),
        "Home": (-3, -4, 1),
        "Away": (3, 4, -1),
    }
    for name, points in expected.items():
        assert taken(market, columns, where.format(name)) == [("6h", "point_moved", *points, *none)]
    # 20 minutes before the start the point was there
    [row] = taken(market, "clv_status, clv_points, round(clv_ev, 7)", where.format("Over").replace("6h", "15min"))
    # both sides at 1.9 are worth 0.5: 0.95 - 1
    assert row == ("15min", "same_point", 0, d("-0.05"))


def test_an_exchange_s_prices_are_net_at_both_ends(market: Any) -> None:
    even = [quote(market, key, 2.0, 2.0, 0) for key in ("betmgm", "betus", "bovada")]
    poll(market, 0, *even, quote(market, "betfair_ex_uk", 2.2, 1.83333333), start=600)
    poll(market, 595, *even, quote(market, "betfair_ex_uk", 2.0, 2.0, 595), start=600)
    poll(market, 610, start=600)
    market.publish()

    # 1 + 1.2 · 0.95 = 2.14 and 1.95; the closing of the other books is ten hours old, and so they do not vote
    columns = "price_taken, price_closing, round(clv_price, 6)"
    assert taken(market, columns, "bookmaker_key = 'betfair_ex_uk' and outcome_name = 'Home' and horizon = '1h'") == [
        ("1h", d("2.14"), d("1.95"), d("0.097436"))
    ]


def test_a_time_that_has_not_come_has_no_price_and_the_close_so_far_is_provisional(market: Any) -> None:
    poll(market, 0, start=40 * HOUR)
    poll(market, 10, *(quote(market, key, 2.0, 2.0, 10) for key in SOFT), start=40 * HOUR)
    poll(market, 17 * HOUR, *(quote(market, key, 2.0, 2.0, 17 * HOUR) for key in SOFT), start=40 * HOUR)
    market.publish()

    columns = "clv_status, close_status, consensus_close_status, clv_ev"
    assert taken(market, columns, "bookmaker_key = 'betus' and outcome_name = 'Home'") == [
        (horizon, "same_point", "provisional", "provisional", 0) for horizon in ("opening", "24h")
    ]


def test_a_quote_long_after_the_start_then_known_closes_nothing(market: Any) -> None:
    # first quoted when the game was believed to be on; then it was put off by three hours, without another word on prices
    poll(market, 0, start=60)
    poll(market, 80, *(quote(market, key, 2.0, 2.0, 80) for key in SOFT), start=60)
    market.load(90, market.events(market.game("e", 240, None)))
    after_the_start(market, 250)
    market.publish()

    columns = "close_status, clv_status, price_closing, point_closing, clv_ev, clv_price, clv_probability, clv_points"
    assert taken(market, columns, "bookmaker_key = 'betus' and outcome_name = 'Home'") == [
        (horizon, "none", "no_close", *[None] * 6) for horizon in ("opening", "1h", "15min")
    ]
