"""What counts in a best price and a consensus, worked out by hand: sets that are fresh, and whole."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

BOOKS = ("betmgm", "bovada", "draftkings", "fanduel", "pinnacle")
HOME = "outcome_name = 'Home'"


def quote(market: Any, key: str, home: float, away: float, read: float | None) -> dict[str, Any]:
    return market.book(key, {"h2h": [("Home", home), ("Away", away)]}, read)


def poll(market: Any, minute: float, *books: dict[str, Any], start: float = 600) -> None:
    market.load(minute, market.odds(market.game("e", start, books), books=BOOKS, markets=("h2h",)))


def best(market: Any, where: str = HOME) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(
        f"select valid_from, valid_to, best_price_decimal, books from gold.best_price where {where} order by valid_from"
    )
    return found


def test_a_feed_that_stalls_has_no_best_price_until_it_is_read_again(market: Any) -> None:
    for minute, read in ((0, 0), (15, 0), (20, 0), (30, 30)):
        poll(market, minute, quote(market, "fanduel", 2.1, 1.8, read), quote(market, "betmgm", 2.0, 1.9, minute))
        market.publish()

    # at 15 minutes it is exactly as old as may be; the price never moved
    assert market.rows(f"select valid_from, valid_to from gold.price_history where {HOME} and bookmaker_key = 'fanduel'") == [
        (market.at(0), None)
    ]
    assert best(market) == [
        (market.at(0), market.at(20), Decimal("2.1"), ["fanduel"]),
        (market.at(20), market.at(30), Decimal("2.0"), ["betmgm"]),
        (market.at(30), None, Decimal("2.1"), ["fanduel"]),
    ]
    columns = "outcome_name, valid_from, valid_to, phase_as_known, age_at_open_seconds"
    assert market.rows(f"select {columns} from gold.stale_quotes order by outcome_name") == [
        (name, market.at(20), market.at(30), "pre", 1200) for name in ("Away", "Home")
    ]


def test_in_play_a_minute_and_a_half_is_the_limit_and_an_unknown_age_counts(market: Any) -> None:
    # odds of one event may leave out when a book was read
    for minute in (4, 8):
        shown = [
            quote(market, "fanduel", 2.2, 1.7, minute - 2),
            quote(market, "bovada", 2.1, 1.75, None),
            quote(market, "betmgm", 2.0, 1.9, minute - 1.5),
        ]
        market.load(minute, market.event_odds(market.game("e", 6, shown), books=BOOKS, markets=("h2h",)))
    market.publish()

    # what is two minutes old counts before the start
    assert best(market) == [
        (market.at(4), market.at(8), Decimal("2.2"), ["fanduel"]),
        (market.at(8), None, Decimal("2.1"), ["bovada"]),
    ]
    usable = "select bookmaker_key, is_usable, reason from gold.current_odds where outcome_name = 'Home' order by 1"
    assert market.rows(usable) == [("betmgm", True, None), ("bovada", False, "age_unknown"), ("fanduel", False, "too_old")]


def test_a_set_counts_whole_or_not_at_all(market: Any) -> None:
    # of three outcomes one is far from the others', and the other two are the best there are
    def three(key: str, home: float, draw: float, away: float) -> dict[str, Any]:
        return market.book(key, {"h2h": [("Home", home), ("Draw", draw), ("Away", away)]}, 0)

    shown = [three(key, 2.5, 3.2, 2.9) for key in ("betmgm", "bovada", "draftkings")]
    shown += [three("fanduel", 2.6, 5.4, 2.3), three("pinnacle", 2.55, 3.25, 2.95)]
    game = market.game("e", 600, shown, sport="soccer_epl")
    market.load(0, market.odds(game, sport="soccer_epl", books=BOOKS, markets=("h2h",)))
    market.publish()

    assert market.rows("select outcome_name, best_price_decimal, books from gold.best_price order by outcome_name") == [
        (name, Decimal(price), ["pinnacle"]) for name, price in (("Away", "2.95"), ("Draw", "3.25"), ("Home", "2.55"))
    ]
    assert market.rows("select distinct group_count, book_count from gold.consensus") == [(4, 4)]
    far = "select bookmaker_key, outcome_name from gold.current_odds where is_outlier order by 1, 2"
    assert market.rows(far) == [("fanduel", name) for name in ("Away", "Draw", "Home")]
