"""consensus_line against cases that are worked out here by hand from the answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

D = Decimal
GROUPS = ("fanduel", "betmgm", "bovada", "betus", "draftkings")


def total(
    market: Any, key: str, point: float, over: float = 2.0, under: float = 2.0, name: str = "totals", read: float = 0
) -> dict[str, Any]:
    return market.book(key, {name: [("Over", over, point), ("Under", under, point)]}, read)


def show(market: Any, minute: float, *books: dict[str, Any], sport: str | None = None) -> None:
    more = {} if sport is None else {"sport": sport}
    market.load(minute, market.odds(market.game("e", 600, books, **more), **more))


def lines(market: Any, columns: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(f"select {columns} from gold.consensus_line order by market_key, valid_from")
    return found


VALUES = "line_median, line_modal, group_share_at_modal, line_min, line_max, group_count, fair_line"


def test_median_mode_and_share_with_one_vote_per_group(market: Any) -> None:
    show(
        market,
        0,
        total(market, "fanduel", 41.5),
        total(market, "betmgm", 41.5),
        total(market, "bovada", 42.5),
        total(market, "betonlineag", 49.5, 1.95, 1.85),  # the other of its desk has the lower hold and speaks
        total(market, "lowvig", 42.0),
        total(market, "prizepicks", 60.5),  # a fantasy operator has no line of its own
    )
    market.publish()

    # 41.5 41.5 | 42 42.5; without a margin, and even, the fair line is the line
    assert lines(market, VALUES) == [(D("41.75"), D("41.5"), D("0.5"), D("41.5"), D("42.5"), 4, D("41.75"))]


def test_of_equally_frequent_lines_the_nearest_to_even_is_the_modal_one(market: Any) -> None:
    # 1 / 1.92 = 0.52 of Over at 41.5, an even price at 43
    show(
        market,
        0,
        *(total(market, key, 41.5, 1.92, 2.0869565217) for key in GROUPS[:2]),
        *(total(market, key, 43.0) for key in GROUPS[2:4]),
    )
    market.publish()
    assert lines(market, "line_modal, group_share_at_modal, group_count") == [(43, D("0.5"), 4)]


def test_the_main_line_of_a_book_that_hangs_several(market: Any) -> None:
    # 48 at even against 41.5 at 1.6 / 2.67
    several = [("Over", 1.6, 41.5), ("Under", 2.66666667, 41.5), ("Over", 2.0, 48), ("Under", 2.0, 48)]
    own = [market.book(key, {"totals": several}, 0) for key in GROUPS[:3]]
    market.load(0, market.event_odds(market.game("e", 600, own)))
    market.publish()
    assert lines(market, "line_median, line_min, line_max, group_count") == [(48, 48, 48, 3)]


def test_the_fair_line_by_hand(market: Any) -> None:
    # p = 1 / 1.6 = 0.625; 0.627 · 13.5 · ln(0.625 / 0.375) = 8.4645 · 0.5108256 = 4.3239
    spread = [("Home", 1.6, -3.0), ("Away", 2.66666667, 3.0)]
    both = {"totals": [("Over", 1.6, 41.5), ("Under", 2.66666667, 41.5)], "spreads": spread}
    show(market, 0, *(market.book(key, both, 0) for key in GROUPS[:3]))
    market.publish()
    # a likelier home side is even at a lower handicap, a likelier Over at a higher total
    assert lines(market, "market_key, line_median, fair_line") == [
        ("spreads", -3, D("-7.324")),
        ("totals", D("41.5"), D("45.824")),
    ]


def test_no_sigma_no_part_of_a_game_no_fair_line(market: Any) -> None:
    show(market, 0, *(total(market, key, 21.5, name="totals_h1") for key in GROUPS[:3]))
    show(market, 1, *(total(market, key, 8.5) for key in GROUPS[:3]), sport="baseball_mlb")
    market.publish()
    assert sorted(lines(market, "line_median, fair_line")) == [(D("8.5"), None), (D("21.5"), None)]


def test_too_few_groups_agree_on_nothing_but_show_their_lines(market: Any) -> None:
    show(market, 0, total(market, "fanduel", 41.5), total(market, "betmgm", 42.5))
    market.publish()
    assert lines(market, VALUES) == [(None, None, None, D("41.5"), D("42.5"), 2, None)]


def test_a_row_lasts_while_nothing_moves(market: Any) -> None:
    asked = {"books": GROUPS, "markets": ("totals",)}

    def at(minute: float, *points: float) -> None:
        shown = [total(market, key, point, read=minute) for key, point in zip(GROUPS, points, strict=False)]
        market.load(minute, market.odds(market.game("e", 600, shown), **asked))

    at(0, 41.5, 41.5, 41.5)
    at(10, 41.5, 41.5, 41.5)
    market.publish()
    at(20, 41.5, 41.5, 42.5)
    at(30)
    market.publish()
    at(40, 41.5, 41.5, 42.5)
    market.publish()

    found = lines(market, "valid_from, valid_to, line_median, line_max")
    assert found == [
        (market.at(0), market.at(20), D("41.5"), D("41.5")),
        (market.at(20), market.at(30), D("41.5"), D("42.5")),
        (market.at(40), None, D("41.5"), D("42.5")),
    ]


def test_alternates_have_no_vote(market: Any) -> None:
    books = [market.book(key, {"alternate_totals": [("Over", 2.0, 50.5), ("Under", 2.0, 50.5)]}, 0) for key in GROUPS]
    market.load(0, market.event_odds(market.game("e", 600, books)))
    market.publish()
    assert lines(market, "market_key") == []
