"""The views of gold, against cases that are worked out here by hand from the answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Role
from pipeline.warehouse.digest import view_digests, views

SOCCER = "soccer_epl"


def two_way(market: Any, key: str, home: float, away: float, updated: float | None) -> dict[str, Any]:
    return market.book(key, {"h2h": [("Home", home), ("Away", away)]}, updated)


def usability(market: Any, where: str = "true") -> dict[tuple[str, ...], Any]:
    rows = market.rows(f"select bookmaker_key, outcome_name, reason from gold.current_odds where {where}")
    return {(book, name): reason for book, name, reason in rows}


# --- current_odds ---------------------------------------------------------------------------------------------------


def test_current_odds_has_the_newest_answer_and_its_age(market: Any) -> None:
    market.load(0, market.odds(market.game("e", 600, [two_way(market, "fanduel", 1.91, 1.91, -1)])))
    market.load(10, market.odds(market.game("e", 600, [two_way(market, "fanduel", 1.91, 1.91, 8)])))
    market.publish()

    found = market.rows(
        "select captured_at, quote_at, quote_age_seconds, phase, outcome_set, overround, is_complete, is_outlier, is_usable,"
        " valid_from from gold.current_odds where outcome_name = 'Home'"
    )

    # 2 / 1.91, the implied probabilities being rounded to 10 places before they are added
    overround = Decimal("0.5235602094") * 2
    expected = (market.at(10), market.at(8), 120, "pre", "two_way", overround, True, False, True, market.at(0))
    assert found == [expected]


def test_current_odds_names_the_first_reason_against_a_quote(market: Any) -> None:
    books = [
        two_way(market, "fanduel", 1.91, 1.91, 9),  # 60 s old
        two_way(market, "draftkings", 1.91, 1.91, 4.9),  # 306 s old
        two_way(market, "caesars", 1.0, 36.0, 9),  # a price that is none
        two_way(market, "betus", 1.2, 1.2, 9),  # sums to 1.67
        two_way(market, "bovada", 3.0, 3.0, 9),  # sums to 0.67
        market.book("pinnacle", {"h2h": [("Home", 1.91)]}, 9),  # one side only
        two_way(market, "prizepicks", 1.91, 1.91, 9),  # a fantasy operator
    ]
    # only answers about one event may come without a last_update
    unknown = market.event_odds(market.game("e", 600, [two_way(market, "betmgm", 1.91, 1.91, None)]))
    market.load(10, market.odds(market.game("e", 600, books)), unknown)
    market.publish()

    assert usability(market, "outcome_name = 'Home'") == {
        ("fanduel", "Home"): None,
        ("draftkings", "Home"): "too_old",
        ("betmgm", "Home"): "age_unknown",
        ("caesars", "Home"): "price_out_of_range",
        ("betus", "Home"): "overround_too_high",
        ("bovada", "Home"): "overround_too_low",
        ("pinnacle", "Home"): "incomplete",
        ("prizepicks", "Home"): "price_kind",
    }


@pytest.mark.parametrize(
    ("start", "later", "reason"),
    [
        # quotes were read in minute 9: 300 s before
        (600, 14, None),
        (600, 15, "too_old"),
        # two minutes before, and the game is under way
        (10.5, 11, "too_old"),
    ],
)
def test_what_is_usable_is_so_as_of_the_newest_answer(market: Any, start: float, later: float, reason: str | None) -> None:
    groups = ("fanduel", "draftkings", "caesars", "pinnacle", "bovada")
    books = [two_way(market, key, 1.91, 1.91, 9) for key in groups]
    market.load(10, market.odds(market.game("e", start, books)))
    # tells of no price
    market.load(later, market.events(market.game("e", start, None)))
    market.publish()

    assert set(usability(market).values()) == {reason}
    assert market.rows("select distinct captured_at, known_until, phase, phase_now from gold.current_odds") == [
        (market.at(10), market.at(later), "pre", "pre" if start > later else "in_play")
    ]
    usable = reason is None
    assert market.rows("select distinct is_usable from gold.expected_value where ev_fraction is not null") == [(usable,)]
    assert market.rows("select count(*) from gold.best_price_now") == [(2 if usable else 0,)]


def test_in_play_a_quote_ages_faster(market: Any) -> None:
    market.load(0, market.odds(market.game("e", 5, [two_way(market, "fanduel", 1.91, 1.91, 0)])))
    market.load(10, market.odds(market.game("e", 5, [two_way(market, "fanduel", 1.91, 1.91, 8)])))
    market.publish()

    assert market.rows("select distinct phase, quote_age_seconds, reason from gold.current_odds") == [
        ("in_play", 120, "too_old")
    ]


def test_an_outlier_is_told_by_three_other_groups_and_one_voice_each(market: Any) -> None:
    # p of Home is 0.5 for each but one, where it is (1/1.6) / (1/1.6 + 1/2.5) = 0.6098
    even = [two_way(market, key, 1.95, 1.95, 9) for key in ("fanduel", "draftkings", "betonlineag")]
    odd = two_way(market, "betmgm", 1.6, 2.5, 9)
    market.load(10, market.odds(market.game("enough", 600, [*even, odd])))
    # lowvig is of betonlineag's group: two other groups only
    lowvig = two_way(market, "lowvig", 1.95, 1.95, 9)
    market.load(11, market.event_odds(market.game("few", 600, [*even[1:], lowvig, odd])))
    market.publish()

    assert {
        key for key, reason in usability(market, f"event_id = '{market.id_of('enough')}'").items() if reason == "outlier"
    } == {
        ("betmgm", "Home"),
        ("betmgm", "Away"),
    }
    # ages are a minute more there, and still fine
    assert set(usability(market, f"event_id = '{market.id_of('few')}'").values()) == {None}


def test_soccer_without_its_draw_is_not_usable(market: Any) -> None:
    three = market.book("fanduel", {"h2h": [("Home", 2.5), ("Draw", 3.2), ("Away", 2.9)]}, 9)
    two = market.book("betmgm", {"h2h": [("Home", 1.5), ("Away", 2.6)]}, 9)
    market.load(10, market.odds(market.game("e", 600, [three, two], sport=SOCCER), sport=SOCCER))
    market.publish()

    assert usability(market) == {
        ("fanduel", "Home"): None,
        ("fanduel", "Draw"): None,
        ("fanduel", "Away"): None,
        ("betmgm", "Home"): "unexpected_outcome_set",
        ("betmgm", "Away"): "unexpected_outcome_set",
    }


def test_a_field_is_complete_against_the_other_books_and_lay_is_left_out(market: Any) -> None:
    runners = ["Ann", "Ben", "Cid", "Dan"]
    full = market.book("fanduel", {"outrights": [(name, 3.5) for name in runners]}, 9)
    part = market.book("betmgm", {"outrights": [(name, 3.5) for name in runners[:3]]}, 9)
    silly = market.book("bovada", {"outrights": [(name, 1.5) for name in runners]}, 9)
    lay = market.book("smarkets", {"outrights_lay": [(name, 3.6) for name in runners]}, 9)
    event = market.game("e", 600, [full, part, silly, lay], sport="golf_open", home=None, away=None, has_outrights=True)
    market.load(10, market.odds(event, sport="golf_open"))
    market.publish()

    reasons = usability(market)
    assert {reasons["fanduel", name] for name in runners} == {None}
    assert {reasons["betmgm", name] for name in runners[:3]} == {"incomplete"}
    assert {reasons["bovada", name] for name in runners} == {"overround_too_high"}
    assert not any(book == "smarkets" for book, _ in reasons)
    for view in ("openings", "closings_now", "market_openings_now"):
        assert market.rows(f"select count(*) from gold.{view} where market_key = 'outrights_lay'") == [(0,)]
    assert market.rows("select count(*) from gold.price_history_now where market_key = 'outrights_lay'") == [(4,)]


def test_a_series_that_the_newest_covering_answer_lacks_is_not_current(market: Any) -> None:
    both = [two_way(market, "fanduel", 1.91, 1.91, 0), two_way(market, "betmgm", 1.91, 1.91, 0)]
    market.load(0, market.odds(market.game("e", 600, both)))
    market.load(10, market.odds(market.game("e", 600, both[:1]), books=("betmgm", "fanduel")))
    # not asked for h2h: tells nothing
    market.load(20, market.odds(market.game("e", 600), markets=("totals",), books=("betmgm", "fanduel")))
    market.publish()

    assert market.rows("select distinct bookmaker_key, captured_at from gold.current_odds") == [("fanduel", market.at(10))]


# --- price_history_now ----------------------------------------------------------------------------------------------


def test_price_history_now_fills_what_open_rows_leave_null(market: Any) -> None:
    for minute, price in ((0, 1.9), (10, 1.95), (20, 1.95), (30, 1.95)):
        market.load(minute, market.odds(market.game("e", 600, [two_way(market, "fanduel", price, 1.9, minute)])))
    market.load(40, market.odds(market.game("e", 600), markets=("totals",), books=("fanduel",)))
    market.publish()

    found = market.rows(
        "select valid_from, last_seen_at, valid_to, observations, seen_for_seconds, known_until, seconds_since_seen"
        " from gold.price_history_now where outcome_name = 'Home' order by valid_from"
    )

    at = market.at
    assert found == [
        (at(0), at(0), at(10), 1, 0, at(10), 600),
        (at(10), at(30), None, 3, 1200, at(40), 600),
    ]


def test_a_row_that_closes_keeps_what_the_view_told(market: Any) -> None:
    h2h = two_way(market, "fanduel", 1.9, 1.9, None)
    # one moment with two answers counts once
    market.load(
        0, market.odds(market.game("e", 600, [h2h]), minute=0), market.event_odds(market.game("e", 600, [h2h]), minute=0.5)
    )
    market.load(10, market.odds(market.game("e", 600, [h2h])))
    market.publish()
    query = "select series_id, last_seen_at, observations from gold.price_history_now order by 1"
    before = market.rows(query)
    assert {row[1:] for row in before} == {(market.at(10), 2)}

    market.load(20, market.odds(market.game("e", 600), markets=("h2h",), books=("fanduel",)))
    market.publish()

    assert market.rows(query) == before
    assert market.rows("select count(*) from gold.price_history where valid_to is null") == [(0,)]


# --- openings -------------------------------------------------------------------------------------------------------


def test_what_was_there_at_the_first_look_has_no_opening(market: Any) -> None:
    asked = {"books": ("betmgm", "fanduel"), "markets": ("h2h",)}
    early, late = two_way(market, "fanduel", 1.9, 1.9, None), two_way(market, "betmgm", 1.8, 2.0, None)
    named = market.book("fanduel", {"h2h": [("X", 1.9), ("Y", 1.9)]})
    market.load(0, market.odds(market.game("old", 600, [early]), **asked))
    market.load(
        10, market.odds(market.game("old", 600, [early, late]), market.game("new", 900, [named], home="X", away="Y"), **asked)
    )
    market.publish()

    found = market.rows(
        "select e.home_team, bookmaker_key, is_left_censored, o.first_seen_at, opened_at, not_yet_at"
        " from gold.openings as o join gold.events as e using (event_id) where outcome_side = 'home' order by 1, 2"
    )
    at = market.at
    assert found == [
        ("Home", "betmgm", False, at(10), at(10), at(0)),
        ("Home", "fanduel", True, at(0), None, None),
        ("X", "fanduel", False, at(10), at(10), at(0)),
    ]


def test_an_answer_covers_only_what_it_asked_for(market: Any) -> None:
    both = [
        two_way(market, "fanduel", 1.9, 1.9, None),
        market.book("fanduel", {"totals": [("Over", 1.9, 40), ("Under", 1.9, 40)]}),
    ]
    h2h, totals = both
    merged = {**h2h, "markets": [*h2h["markets"], *totals["markets"]]}
    # another market, another window, another event: none of them looked for the totals of e
    market.load(0, market.odds(market.game("e", 600, [h2h])))
    market.load(1, market.odds(markets=("totals",), books=("fanduel",), window=(700, 800)))
    market.load(2, market.event_odds(market.game("other", 600, [totals], home="X", away="Y")))
    market.load(10, market.odds(market.game("e", 600, [merged])))
    market.publish()

    censored = (
        f"select distinct market_key, is_left_censored from gold.openings where event_id = '{market.id_of('e')}' order by 1"
    )
    assert market.rows(censored) == [("h2h", True), ("totals", True)]

    # an answer that comes late shows that the totals were not there
    market.load(5, market.odds(market.game("e", 600), markets=("totals",), books=("fanduel",)))
    market.publish()

    assert market.rows(censored) == [("h2h", True), ("totals", False)]


def test_openings_and_closings_have_one_row_per_series_the_main_line(market: Any) -> None:
    # one player, three lines under one key; the point is in the key of props, not in that of team-less totals
    points = [("Over", 1.9, 20.5, "Ann"), ("Under", 1.9, 20.5, "Ann"), ("Over", 2.6, 24.5, "Ann"), ("Under", 1.45, 24.5, "Ann")]
    totals = [("Over", 1.9, 210), ("Under", 1.9, 210), ("Over", 2.6, 216), ("Under", 1.45, 216)]
    shown = market.book("fanduel", {"player_points": points, "totals": totals})
    market.load(0, market.event_odds(market.game("e", 5, [shown], sport="basketball_nba"), sport="basketball_nba"))
    market.load(6, market.odds(sport="basketball_nba"))
    market.publish()

    for view in ("openings", "closings"):
        found = market.rows(f"select market_key, outcome_name, point from gold.{view} order by 1, 2, 3")
        assert found == [
            ("player_points", "Over", Decimal("20.500")),
            ("player_points", "Over", Decimal("24.500")),
            ("player_points", "Under", Decimal("20.500")),
            ("player_points", "Under", Decimal("24.500")),
            ("totals", "Over", Decimal("210.000")),
            ("totals", "Under", Decimal("210.000")),
        ]


# --- market_openings ------------------------------------------------------------------------------------------------


def test_a_market_opens_with_the_best_ranked_sharp_group(market: Any) -> None:
    asked = {"books": ("betonlineag", "fanduel", "pinnacle"), "markets": ("h2h",)}
    soft, lesser, best = (two_way(market, key, 1.9, 2.0, None) for key in ("fanduel", "betonlineag", "pinnacle"))
    market.load(0, market.odds(market.game("e", 600), **asked))
    market.load(10, market.odds(market.game("e", 600, [soft]), **asked))
    market.load(20, market.odds(market.game("e", 600, [soft, lesser]), **asked))
    market.load(30, market.odds(market.game("e", 600, [soft, lesser, best]), **asked))
    market.publish()

    found = market.rows(
        "select outcome_name, opening_basis, operator_groups, bookmaker_key, price_decimal, probability, opened_at"
        " from gold.market_openings_now order by 1"
    )

    # q/B: (1/1.9) / (1/1.9 + 1/2.0) = 2.0 / 3.9
    assert found == [
        ("Away", "sharp", ["pinnacle"], "pinnacle", Decimal("2.00000000"), Decimal("0.4871794872"), market.at(30)),
        ("Home", "sharp", ["pinnacle"], "pinnacle", Decimal("1.90000000"), Decimal("0.5128205128"), market.at(30)),
    ]


def test_a_sharp_book_that_was_there_at_the_first_look_opens_nothing(market: Any) -> None:
    asked = {"books": ("betmgm", "betus", "fanduel", "pinnacle"), "markets": ("spreads",)}

    def line(key: str, point: float) -> dict[str, Any]:
        return market.book(key, {"spreads": [("Home", 1.9, point), ("Away", 1.9, -point)]})

    sharp = line("pinnacle", -3)
    market.load(0, market.odds(market.game("e", 600, [sharp]), **asked))
    market.load(10, market.odds(market.game("e", 600, [sharp, line("fanduel", -3), line("betmgm", -3.5)]), **asked))
    # the third group comes to -3 by moving its line
    market.load(20, market.odds(market.game("e", 600, [sharp, line("fanduel", -3), line("betmgm", -3)]), **asked))
    market.load(
        30, market.odds(market.game("e", 600, [sharp, line("fanduel", -3), line("betmgm", -3), line("betus", -3)]), **asked)
    )
    market.publish()

    found = market.rows(
        "select outcome_name, line_point, opening_basis, operator_groups, bookmaker_key, probability, first_seen_at,"
        " is_left_censored from gold.market_openings_now order by 1"
    )

    groups = ["betmgm", "fanduel", "pinnacle"]
    assert found == [
        (name, Decimal("-3.000"), "groups", groups, None, Decimal("0.5"), market.at(20), False) for name in ("Away", "Home")
    ]


@pytest.mark.parametrize(("minute", "opened"), [(50, 2), (60, 0), (70, 0)])
def test_what_groups_agree_on_in_play_opens_nothing(market: Any, minute: float, opened: int) -> None:
    books = [two_way(market, key, 1.9, 2.0, None) for key in ("betmgm", "betus", "fanduel")]
    asked = {"books": ("betmgm", "betus", "fanduel"), "markets": ("h2h",)}
    market.load(0, market.odds(market.game("e", 60, books[:2]), **asked))
    market.load(minute, market.odds(market.game("e", 60, books), **asked))
    market.publish()

    stored, coming = ("market_openings", "market_openings_now") if minute >= 60 else ("market_openings_now", "market_openings")
    assert market.rows(f"select count(*) from gold.{stored}") == [(opened,)]
    assert market.rows(f"select count(*) from gold.{coming}") == [(0,)]


# --- closings -------------------------------------------------------------------------------------------------------


def closing(market: Any, where: str = "outcome_name = 'Home'") -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = market.rows(
        f"select bookmaker_key, price_decimal, quote_at, closing_age_seconds, close_status"
        f" from (select * from gold.closings union all select * from gold.closings_now) as closings where {where} order by 1"
    )
    return rows


def test_the_closing_is_the_last_sound_quote_before_the_start(market: Any) -> None:
    ok, old, gone = (lambda price, seen, key=key: two_way(market, key, price, 2.0, seen) for key in ("a_ok", "b_old", "c_gone"))
    never = market.book("d_never", {"h2h": [("Home", 1.9)]}, 10)
    asked = {"books": ("a_ok", "b_old", "c_gone", "d_never"), "markets": ("h2h",)}
    market.load(10, market.odds(market.game("e", 60, [ok(1.90, 10), old(1.80, 9), gone(1.70, 10), never]), **asked))
    # b_old's set is broken from here on, c_gone is not quoted any more
    market.load(50, market.odds(market.game("e", 60, [ok(1.95, 49), old(1.05, 50), never]), **asked))
    # received after the start, but read before it
    market.load(61, market.odds(market.game("e", 60, [ok(1.97, 59)]), **asked))
    market.load(70, market.odds(market.game("e", 60, [ok(1.50, 70)]), **asked))
    market.publish()

    at = market.at
    assert closing(market) == [
        ("a_ok", Decimal("1.97"), at(59), 60, "ok"),
        ("b_old", Decimal("1.8"), at(9), 51 * 60, "old"),
        ("c_gone", Decimal("1.7"), at(10), 50 * 60, "not_quoting"),
        ("d_never", None, None, None, "none"),
    ]


def test_before_the_start_a_closing_is_provisional(market: Any) -> None:
    market.load(0, market.odds(market.game("e", 60, [two_way(market, "fanduel", 1.9, 1.9, 0)])))
    market.publish()
    assert closing(market) == [("fanduel", Decimal("1.9"), market.at(0), 3600, "provisional")]

    # no odds, but an answer about the sport after the start
    market.load(61, market.scores(market.game("e", 60, None, completed=False, scores=None, last_update=None)))
    market.publish()
    assert closing(market) == [("fanduel", Decimal("1.9"), market.at(0), 3600, "old")]


def test_a_start_that_moves_moves_the_closing(market: Any) -> None:
    def poll(minute: float, start: float, price: float) -> None:
        market.load(minute, market.odds(market.game("e", start, [two_way(market, "fanduel", price, 2.0, minute)])))

    poll(0, 60, 1.90)
    poll(50, 60, 1.91)
    # the start was put off by 40 minutes: known from minute 55 on
    poll(55, 100, 1.92)
    poll(95, 100, 1.93)
    # the true start: minute 103. The quote at 101 is before it, and less than 10 minutes after the start known then
    poll(101, 100, 1.94)
    poll(104, 103, 1.95)
    market.publish()

    assert closing(market) == [("fanduel", Decimal("1.94"), market.at(101), 120, "ok")]


def test_a_quote_long_after_the_start_then_known_is_no_closing(market: Any) -> None:
    def poll(minute: float, start: float, price: float) -> None:
        market.load(minute, market.odds(market.game("e", start, [two_way(market, "fanduel", price, 2.0, minute)])))

    poll(59, 60, 1.90)
    poll(69, 60, 1.91)  # 9 minutes in
    poll(71, 60, 1.50)  # 11 minutes in: the game may be on
    poll(80, 75, 1.40)  # now the start is said to have been at minute 75
    market.publish()

    assert closing(market) == [("fanduel", Decimal("1.91"), market.at(69), 360, "ok")]


def test_a_suspect_start_leaves_the_closing_provisional(market: Any) -> None:
    market.load(0, market.odds(market.game("e", 60, [two_way(market, "fanduel", 1.9, 1.9, 0)])))
    # five hours back, after it happened: not believed
    market.load(70, market.odds(market.game("e", 60 - 300, [two_way(market, "fanduel", 1.9, 1.9, 70)])))
    market.publish()

    assert market.rows("select start_at, start_is_suspect from gold.events") == [(market.at(60), True)]
    assert [row[-1] for row in closing(market)] == ["provisional"]


# --- event_duplicates -----------------------------------------------------------------------------------------------


def pairs(market: Any) -> list[tuple[Any, ...]]:
    names = {market.id_of(name): name for name in ("first", "second", "far", "a", "b")}
    rows = market.rows(
        "select event_id, other_event_id, kind, is_swapped, start_gap_seconds, both_listed_from,"
        " replaced_after_seconds, is_same_event from gold.event_duplicates"
    )
    return sorted((names[one], names[other], *rest) for one, other, *rest in rows)


def test_two_ids_of_the_same_teams_are_a_pair(market: Any) -> None:
    first = market.game("first", 600, None)
    second = market.game("second", 840, None, home="Away", away="Home")
    far = market.game("far", 600 + 361, None)  # over 6 hours from the first
    others = market.game("others", 600, None, home="X", away="Y")
    market.load(0, market.events(first, others))
    market.load(10, market.events(first, second, others, far))
    market.publish()

    at = market.at
    assert pairs(market) == [
        (*sorted(["far", "second"], key=market.id_of), "both_listed", True, 121 * 60, at(10), None, False),
        ("first", "second", "both_listed", True, 240 * 60, at(10), None, False),
    ]


@pytest.mark.parametrize(
    ("listed", "kind", "after"),
    [
        pytest.param(["a", "b"], "replaced", 0, id="one ends as the other begins"),
        pytest.param(["a", "", "b"], "replaced", 600, id="nothing in between"),
        pytest.param(["b", "a"], "replaced", 0, id="the other way round"),
        pytest.param(["a", "b", "a"], "apart", None, id="taking turns"),
    ],
)
def test_a_replacement_was_never_listed_together(market: Any, listed: list[str], kind: str, after: int | None) -> None:
    for number, names in enumerate(listed):
        market.load(10 * number, market.events(*(market.game(name, 600, None) for name in names)))
    market.publish()

    [(event_id, _, found, _, _, together, found_after, _)] = pairs(market)
    assert (event_id, found, together, found_after) == (listed[0], kind, None, after)


def test_an_override_tells_that_two_ids_are_one_game(market: Any) -> None:
    market.load(0, market.events(market.game("a", 600, None), market.game("b", 600, None)))
    market.publish()
    with market.warehouse.connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "insert into silver.event_override (event_id, same_event_as) values (%s, %s)",
            [market.id_of("b"), market.id_of("a")],
        )

    assert [row[-1] for row in pairs(market)] == [True]


# --- all of them ----------------------------------------------------------------------------------------------------


def test_views_depend_on_the_set_of_answers_and_not_on_their_order(
    market: Any, server: Any, prepared_template: Any, clone_names: Any
) -> None:
    def props_at(into: Any, minute: float) -> list[Any]:
        points = {"player_points": [(side, 1.9, 20.5, name) for side in ("Over", "Under") for name in ("Ann Lee", "Bo Ek")]}
        others = {"player_points": [("Over", 1.95, 20.5, "ANN LEE"), ("Under", 1.8, 20.5, "B. Ek")]}
        # with a fourth desk it can be said who is far from the others
        return [
            into.book("bovada", {"h2h": [("Home", 1.9), ("Away", 1.9)], **points}, minute),
            into.book("betrivers", others, minute),
        ]

    def fill(into: Any, order: list[int]) -> dict[str, str]:
        batches = {}
        for minute in (0, 10, 20, 30):
            books = [two_way(into, key, 1.8 + minute / 100, 2.0, minute) for key in ("fanduel", "betmgm", "pinnacle")]
            both_sides = {"h2h": [("Home", 1.8), ("Away", 2.0)], "h2h_lay": [("Home", 1.9 + minute / 100), ("Away", 2.2)]}
            exchange = into.book("betfair_ex_uk", both_sides, minute)
            props = props_at(into, minute)
            games = [into.game("e", 25, [*books, exchange]), into.game("f", 300, [*books[: 1 + minute // 10], *props])]
            asked = {
                "books": ("betfair_ex_uk", "betmgm", "betrivers", "bovada", "fanduel", "pinnacle"),
                "markets": ("h2h", "h2h_lay", "player_points"),
            }
            batches[minute] = into.load(minute, into.odds(*games, **asked))
        scores = [{"name": "Home", "score": "24"}, {"name": "Away", "score": "20"}]
        final = into.game("e", 25, None, completed=True, scores=scores, last_update=None)
        batches[200] = into.load(200, into.scores(final))
        # fresh as of the newest answer
        now = [two_way(into, key, 1.8 + place / 10, 2.0, 210) for place, key in enumerate(("fanduel", "betmgm", "pinnacle"))]
        batches[210] = into.load(210, into.odds(into.game("f", 300, [*now, *props_at(into, 210)]), **asked))
        for minute in order:
            apply_batches(into.warehouse, into.project, [batches[minute]], into.clock)
        with into.warehouse.connect(Role.READER) as connection:
            return view_digests(connection)

    other = server.clone_database(prepared_template, next(clone_names))
    try:
        expected = fill(market, [0, 10, 20, 30, 200, 210])
        assert fill(type(market)(other, market.project), [20, 210, 0, 200, 30, 10]) == expected
    finally:
        server.drop_database(other)
    # nobody bets here
    ledgers = {"gold.bets", "gold.bet_ledger", "gold.predictions"} | {
        f"gold.prediction_{name}" for name in ("scores", "evaluation", "bins")
    }
    empty = {name for name, digest in expected.items() if digest.startswith("sum128:0:")}
    # and nothing is cheap
    assert empty == ledgers | {"gold.middles_clean"}
    assert expected.keys() == {view.name for view in views()}


def test_every_view_has_its_key_and_the_column_by_which_its_digest_is_built(prepared: Any) -> None:
    with prepared.connect(Role.READER) as connection:
        found = {row[0] for row in connection.execute("select 'gold.' || viewname from pg_views where schemaname = 'gold'")}
        assert found == {view.name for view in views()}
        for view in views():
            columns = [
                column.name for column in connection.execute(f"select * from {view.name} limit 0".encode()).description or ()
            ]
            assert set(view.key) <= set(columns)


def test_no_view_column_is_a_float(prepared: Any) -> None:
    with prepared.connect(Role.READER) as connection:
        rows = connection.execute(
            "select table_name, column_name from information_schema.columns"
            " where table_schema = 'gold' and data_type in ('real', 'double precision', 'timestamp without time zone')"
        ).fetchall()
    assert rows == []
