"""moves and steam against cases that are worked out here by hand from the answers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

D = Decimal
# five desks, and more where a test wants them
DESKS = ("betmgm", "betus", "bovada", "draftkings", "fanduel")
MORE = ("ballybet", "espnbet", "fanatics", "fliff", "hardrockbet", "mybookieag")


class Totals:
    """The totals of one game: what each book hangs, shown again and again."""

    def __init__(self, market: Any, books: tuple[str, ...] = DESKS, start: float = 100_000) -> None:
        self.market = market
        self.books = books
        self.start = start
        self.points = dict.fromkeys(books, 42.5)
        self.over = dict.fromkeys(books, 2.0)

    def at(self, minute: float, points: Mapping[str, float] | None = None, **over: float) -> None:
        """An answer of that minute, after some points or prices of Over (without a margin) moved."""
        self.points |= points or {}
        self.over |= over
        shown = [
            self.market.book(
                key,
                {"totals": [("Over", self.over[key], self.points[key]), ("Under", fair(self.over[key]), self.points[key])]},
                minute,
            )
            for key in self.books
            if self.points[key]
        ]
        answer = self.market.odds(
            self.market.game("e", self.start, shown), books=tuple(sorted(self.books)), markets=("totals",)
        )
        self.market.load(minute, answer)

    def moves(self, columns: str) -> list[tuple[Any, ...]]:
        return list(self.market.rows(f"select {columns} from gold.moves order by changed_at, bookmaker_key"))

    def steam(self, columns: str = "direction, triggered_at") -> list[tuple[Any, ...]]:
        return list(self.market.rows(f"select {columns} from gold.steam order by triggered_at"))


def fair(price: float) -> float:
    return round(1 / (1 - 1 / price), 10)


def up(*books: str, to: float = 43.0) -> dict[str, float]:
    return dict.fromkeys(books, to)


@pytest.fixture
def totals(market: Any) -> Totals:
    return Totals(market)


# --- moves ----------------------------------------------------------------------------------------------------------------


def test_half_a_point_or_a_hundredth_at_the_same_point_is_a_move(totals: Totals) -> None:
    totals.at(0)
    # p of Over: 1 / 1.97 = 0.5076, which is less than a hundredth away; 1 / 1.96 = 0.5102
    totals.at(5, {"betmgm": 42.75, "betus": 43.0}, bovada=1.97, draftkings=1.96)
    totals.market.publish()
    # and not by the sum of small steps: from 0.5076 to 1 / 1.95 = 0.5128
    totals.at(10, bovada=1.95, fanduel=2.05)
    totals.market.publish()

    columns = "bookmaker_key, direction, old_line_point, new_line_point, delta_point, round(delta_probability, 4), changed_at"
    assert totals.moves(columns) == [
        ("betus", "over", D("42.5"), 43, D("0.5"), None, totals.market.at(5)),
        ("draftkings", "over", D("42.5"), D("42.5"), 0, D("0.0102"), totals.market.at(5)),
        ("fanduel", "under", D("42.5"), D("42.5"), 0, D("-0.0122"), totals.market.at(10)),
    ]


def test_toward_home_by_the_handicap_and_by_the_price(market: Any) -> None:
    def show(minute: float, home: float, point: float) -> None:
        markets = {
            "h2h": [("Home", home), ("Away", fair(home))],
            "spreads": [("Home", 2.0, point), ("Away", 2.0, -point)],
        }
        market.load(minute, market.odds(market.game("e", 600, [market.book("fanduel", markets, minute)])))

    show(0, 2.0, -3.0)
    show(5, 1.9, -3.5)
    show(10, 2.0, -2.5)
    market.publish()

    found = market.rows("select market_key, direction, old_line_point from gold.moves order by changed_at, market_key")
    assert found == [("h2h", "home", None), ("spreads", "home", -3), ("h2h", "away", None), ("spreads", "away", D("-3.5"))]


def test_a_book_that_was_away_is_compared_for_as_long_as_the_window(totals: Totals) -> None:
    totals.at(0)
    totals.at(5, {"betmgm": 0, "betus": 0})
    totals.market.publish()
    totals.at(20, {"betmgm": 44})
    totals.at(21, {"betus": 44})
    totals.market.publish()

    # missed at minute 5 first: fifteen minutes, and sixteen; it moved between minutes 0 and 20
    assert totals.moves("bookmaker_key, prev_seen_at, changed_at") == [("betmgm", totals.market.at(0), totals.market.at(20))]


def test_in_play_nothing_moves(market: Any) -> None:
    totals = Totals(market, start=7)
    totals.at(0)
    totals.at(5, up("betmgm"))
    totals.at(10, up("betus", "bovada", "draftkings", "fanduel"))
    totals.market.publish()
    assert totals.moves("bookmaker_key") == [("betmgm",)]


@pytest.mark.parametrize(("back_at", "found"), [(21, 5), (22, 0)])
def test_a_start_that_slips_does_not_hide_moves(market: Any, back_at: float, found: int) -> None:
    """In play from minute 6 by the start that was known, and before the start again when it slips."""
    totals = Totals(market, start=6)
    totals.at(0)
    totals.at(6, up("betmgm"))
    market.publish()
    assert totals.moves("bookmaker_key") == []

    totals.start = 30
    totals.at(back_at, up("betus", "bovada", "draftkings", "fanduel"))
    market.publish()
    # from 42.5 before the start to 43 before the start; in play one of them had moved already
    moved = totals.moves("bookmaker_key, old_line_point, new_line_point, prev_seen_at, changed_at")
    assert moved == [(key, D("42.5"), D(43), market.at(0), market.at(back_at)) for key in DESKS][:found]
    assert [size for (size,) in totals.steam("size")] == [5][:found]

    # while it runs nothing moves
    totals.at(back_at + 10, {**up(*DESKS, to=44.0)})
    market.publish()
    assert len(totals.moves("bookmaker_key")) == found


def test_a_run_of_moves_goes_on_over_batches_and_ends_after_a_pause(totals: Totals) -> None:
    totals.at(0)
    for minute, point in ((5, 43.0), (35, 43.5), (66, 44.0), (70, 43.5), (96, 44.5)):
        totals.at(minute, up("betmgm", to=point))
        totals.market.publish()
    at = totals.market.at
    # 30 minutes are no pause, 31 are; a move the other way has a run of its own
    expected = [("over", at(5)), ("over", at(5)), ("over", at(66)), ("under", at(70)), ("over", at(66))]
    assert totals.moves("direction, run_began_at") == expected


# --- steam ----------------------------------------------------------------------------------------------------------------

ALL = (
    "direction, started_at, triggered_at, groups, size, quoting_count, other_way_count, first_movers, first_is_tied,"
    " capture_gap_seconds, too_coarse"
)


def test_the_row_is_fixed_with_the_fourth_mover_and_nothing_later_changes_it(totals: Totals) -> None:
    at = totals.market.at
    totals.at(0)
    totals.at(5, up("betus"))
    totals.at(10, up("bovada", "fanduel"))
    totals.market.publish()
    assert totals.steam() == []
    totals.at(15, up("draftkings"))
    totals.market.publish()

    row = (
        "over", at(5), at(15), ["betus", "bovada", "draftkings", "fanduel"], 4, 5, 0, ["betus"], False, 300, False,
    )  # fmt: skip
    assert totals.steam(ALL) == [row]

    # the fifth, who goes on, who turns back, and the start
    totals.at(20, up("betmgm"))
    totals.at(25, up("betus", "bovada", "draftkings", "fanduel", to=44))
    totals.at(30, up("betus", "bovada", "draftkings", to=41))
    totals.market.publish()
    assert totals.steam(ALL) == [row]


def test_the_window_is_a_quarter_of_an_hour(totals: Totals) -> None:
    totals.at(0)
    totals.at(5, up("betus"))
    totals.at(10, up("bovada", "fanduel"))
    totals.at(21, up("draftkings"))
    totals.market.publish()
    # at minute 21 the first is sixteen minutes ago
    assert totals.steam() == []
    totals.at(25, up("betmgm"))
    totals.market.publish()
    assert totals.steam("started_at, triggered_at, groups") == [
        (totals.market.at(10), totals.market.at(25), ["betmgm", "bovada", "draftkings", "fanduel"])
    ]


def test_an_episode_ends_after_half_an_hour_without_a_further_move(totals: Totals) -> None:
    at = totals.market.at
    totals.at(0)
    totals.at(5, up(*DESKS, to=43))
    totals.at(34, up("betus", to=43.5))
    totals.at(60, up(*DESKS, to=44))  # 26 minutes after the last: the same episode
    totals.market.publish()
    assert totals.steam() == [("over", at(5))]
    totals.at(91, up(*DESKS, to=45))  # 31 minutes: the next
    totals.at(92, up(*DESKS, to=41))  # and the other way it is one of its own
    totals.market.publish()
    assert totals.steam() == [("over", at(5)), ("over", at(91)), ("under", at(92))]


def test_it_takes_two_fifths_of_those_quoting(market: Any) -> None:
    totals = Totals(market, DESKS + MORE)  # eleven: four are 36 %, five 45 %
    totals.at(0)
    totals.at(5, up("betmgm", "betus", "bovada", "draftkings"))
    totals.at(10, up("fanduel"))
    totals.market.publish()
    assert totals.steam("triggered_at, size, quoting_count") == [(totals.market.at(10), 5, 11)]


@pytest.mark.parametrize(("against", "found"), [(1, 1), (2, 0)])
def test_a_fifth_the_other_way_is_too_much(market: Any, against: int, found: int) -> None:
    totals = Totals(market, (*DESKS, *MORE[:3]))  # of eight, one is an eighth and two are a quarter
    totals.at(0)
    totals.at(5, {**up(*DESKS), **up(*MORE[:against], to=42)})
    totals.market.publish()
    assert [count for (count,) in totals.steam("other_way_count")] == [against] * found


def test_a_desk_counts_once_and_by_its_last_move(market: Any) -> None:
    totals = Totals(market, ("betonlineag", "lowvig", "betmgm", "betus", "bovada"))
    totals.at(0)
    totals.at(5, up("betonlineag", "lowvig", "betmgm", "betus"))
    totals.market.publish()
    assert totals.steam() == [], "three desks"
    # the third desk turns back within the window, so that it takes two others
    totals.at(10, {**up("betus", to=42), **up("bovada")})
    totals.market.publish()
    assert totals.steam() == []


def test_captures_too_far_apart_cannot_tell(totals: Totals) -> None:
    totals.at(0)
    totals.at(20, up(*DESKS))
    totals.market.publish()
    assert totals.steam("started_at, first_movers, first_is_tied, capture_gap_seconds, too_coarse") == [
        (totals.market.at(20), list(DESKS), True, 1200, True)
    ]


def test_who_may_have_moved_before_the_first_is_a_first_mover_too(totals: Totals) -> None:
    at = totals.market.at
    totals.at(0)
    # betus is not seen at minute 5, when betmgm has moved
    totals.at(5, {**up("betmgm"), "betus": 0})
    totals.at(10, up("betus", "bovada", "draftkings"))
    totals.market.publish()
    assert totals.steam("started_at, triggered_at, first_movers, first_is_tied, capture_gap_seconds") == [
        (at(5), at(10), ["betmgm", "betus"], True, 600)
    ]


def test_one_that_moved_and_left_is_among_those_quoting(totals: Totals) -> None:
    totals.at(0)
    totals.at(5, up("betmgm"))
    totals.at(10, {**up("betus", "bovada", "draftkings"), "betmgm": 0})
    totals.market.publish()
    assert totals.steam("groups, quoting_count") == [(["betmgm", "betus", "bovada", "draftkings"], 5)]


def test_a_late_answer_makes_it_what_it_would_have_been(totals: Totals) -> None:
    totals.at(0)
    totals.at(20, up(*DESKS))
    totals.market.publish()
    assert totals.steam("too_coarse") == [(True,)]
    # what was asked at minute 15 comes in late: nobody had moved then
    totals.points = dict.fromkeys(DESKS, 42.5)
    totals.at(15)
    totals.market.publish()
    assert totals.steam("started_at, capture_gap_seconds, too_coarse") == [(totals.market.at(20), 300, False)]
