"""Starts settled by when the event leaves the list; games that leave it too early; and what closes by them.

A game of the NFL leaves the list 150 to 300 minutes after its start (sport_rules).
"""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.warehouse.connect import Role

EARLIER = 60 - 240  # the start, rewritten four hours back after it happened
OTHER = {"home": "X", "away": "Y"}


def two_way(market: Any, price: float, minute: float, key: str = "fanduel") -> dict[str, Any]:
    made: dict[str, Any] = market.book(key, {"h2h": [("Home", price), ("Away", 2.0)]}, minute)
    return made


def poll(market: Any, minute: float, start: float | None, *others: dict[str, Any], price: float = 1.9, **more: Any) -> None:
    """The game with a start, or, without one, an answer that lacks it."""
    shown = () if start is None else (market.game("e", start, [two_way(market, price, minute)], **more),)
    asked = {"books": ("fanduel",), "markets": ("h2h",)}
    sport = {"sport": more["sport"]} if "sport" in more else {}
    market.load(minute, market.odds(*shown, *others, **asked, **sport))


def told(market: Any, columns: str = "start_at, start_is_suspect, start_basis", name: str = "e") -> tuple[Any, ...]:
    [row] = market.rows(f"select {columns} from gold.events where event_id = '{market.id_of(name)}'")
    return tuple(row)


def closing(market: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = market.rows(
        "select quote_at, closing_age_seconds, close_status, is_closing from gold.closings where outcome_name = 'Home'"
    )
    return rows


@pytest.mark.parametrize(
    ("last_shown", "gone_at", "start", "is_suspect", "basis"),
    [
        # it left between minute 210 and 225: 150 to 165 minutes after the start that was kept
        (210, 225, 60, False, "settled_kept"),
        # the latest at which the start of four hours before fits too: 300 minutes after it is minute 120
        (119, 225, 60, False, "kept_unproven"),
        (120, 225, 60, False, "settled_kept"),
        # before 150 minutes after the kept one
        (119, 209, EARLIER, False, "settled_rival"),
        (119, 210, 60, False, "kept_unproven"),
        # neither
        (120, 209, 60, True, "as_announced"),
        (361, 400, 60, True, "as_announced"),
        # while it is listed, anything may come
        (210, None, 60, True, "as_announced"),
    ],
)
def test_when_it_leaves_the_list_tells_which_start_was_true(
    market: Any, last_shown: float, gone_at: float | None, start: float, is_suspect: bool, basis: str
) -> None:
    poll(market, 0, 60)
    poll(market, 58, 60)
    poll(market, 70, EARLIER)
    poll(market, last_shown, EARLIER)
    if gone_at is not None:
        poll(market, gone_at, None)
    market.publish()

    assert told(market) == (market.at(start), is_suspect, basis)


def test_a_settled_start_closes_as_others_do(market: Any) -> None:
    poll(market, 58, 60)
    poll(market, 70, EARLIER)
    poll(market, 210, EARLIER)
    market.publish()
    assert closing(market) == [(market.at(58), 120, "provisional", False)]

    poll(market, 225, None)
    market.publish()
    assert closing(market) == [(market.at(58), 120, "ok", True)]

    # it comes back: the question is open again
    poll(market, 240, EARLIER)
    market.publish()
    assert told(market) == (market.at(60), True, "as_announced")
    assert closing(market) == [(market.at(58), 120, "provisional", False)]


def test_a_game_that_was_put_off_closes_by_its_new_start(market: Any) -> None:
    late = 60 + 24 * 60
    poll(market, 58, 60)
    # told after the announced start, and a day later: not believed, until it leaves the list after the other
    poll(market, 70, late)
    poll(market, late - 20, late)
    poll(market, late - 5, late)
    poll(market, late + 5, late)
    poll(market, late + 190, late)
    market.publish()
    assert told(market) == (market.at(60), True, "as_announced")

    poll(market, late + 200, None)
    market.publish()
    assert told(market) == (market.at(late), False, "settled_rival")
    # what was read long after the start as known then counts: the start was another
    assert closing(market) == [(market.at(late - 5), 300, "ok", True)]
    assert told(market, "status, seen_in_play") == ("gone", True)


@pytest.mark.parametrize("sport", ["basketball_ncaab", "mma_mixed_martial_arts", "chess"])
def test_a_sport_of_which_nothing_is_known_stays_suspect(market: Any, sport: str) -> None:
    for minute, start in ((58, 60), (70, EARLIER), (210, EARLIER), (225, None)):
        poll(market, minute, start, sport=sport)
    market.publish()
    assert told(market) == (market.at(60), True, "as_announced")
    assert told(market, "status") == ("gone",)


def test_outrights_are_never_settled_and_never_gone_early(market: Any) -> None:
    for minute, start in ((58, 60), (70, EARLIER), (210, EARLIER), (225, None)):
        poll(market, minute, start, home=None, away=None, has_outrights=True)
    market.publish()
    assert told(market) == (market.at(60), True, "as_announced")


def test_only_the_latest_rival_counts(market: Any) -> None:
    poll(market, 58, 60)
    poll(market, 70, EARLIER)
    poll(market, 80, 60 + 20 * 60)
    poll(market, 119, 60 + 20 * 60)
    poll(market, 209, None)
    market.publish()
    # EARLIER fits, but it was taken back
    assert told(market) == (market.at(60), True, "as_announced")


def test_an_override_is_the_basis(market: Any) -> None:
    with market.warehouse.connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "insert into silver.event_override (event_id, start_at, reason) values (%s, %s, 'seen on site')",
            (market.id_of("e"), market.at(120)),
        )
        connection.commit()
    poll(market, 58, 60)
    poll(market, 70, EARLIER)
    poll(market, 115, EARLIER)
    poll(market, 400, None)
    market.publish()
    assert told(market) == (market.at(120), False, "override")
    # read 55 minutes after the start as known then
    assert closing(market) == [(market.at(115), 300, "ok", True)]


# --- gone early -------------------------------------------------------------------------------------------------------


def running(market: Any) -> dict[str, Any]:
    made: dict[str, Any] = market.game("other", 30, [two_way(market, 1.8, 0)], **OTHER)
    return made


def coming(market: Any) -> dict[str, Any]:
    made: dict[str, Any] = market.game("other", 900, [two_way(market, 1.8, 0)], **OTHER)
    return made


@pytest.mark.parametrize(
    ("last_shown", "gone_at", "others", "status"),
    [
        (65, 80, (running,), "gone_early"),
        (65, 209, (running,), "gone_early"),
        # 150 minutes after the start games leave
        (65, 210, (running,), "gone"),
        # an empty list may be a fault
        (65, 80, (), "gone"),
        # a list of games to come says nothing of one that began
        (65, 80, (coming,), "gone"),
        (65, 80, (coming, running), "gone_early"),
        (60, 80, (running,), "gone_early"),
        # last seen before the start
        (59, 80, (running,), "gone"),
        (55, 59, (running,), "withdrawn_before_start"),
    ],
)
def test_a_game_that_leaves_the_list_too_early_was_probably_not_played(
    market: Any, last_shown: float, gone_at: float, others: tuple[Any, ...], status: str
) -> None:
    poll(market, 50, 60)
    poll(market, last_shown, 60)
    shown = [other(market) for other in others[:1]] if len(others) == 1 else [coming(market)] * bool(others)
    if len(others) == 2:
        shown.append(market.game("third", 30, [two_way(market, 1.8, 0)], home="V", away="W"))
    poll(market, gone_at, None, *shown)
    market.publish()
    assert told(market, "status") == (status,)


@pytest.mark.parametrize("at_once", [True, False])
def test_an_empty_list_counts_once_games_as_old_leave_it(market: Any, at_once: bool) -> None:
    def later(minute: float, *others: dict[str, Any]) -> None:
        poll(market, minute, None, *others)
        if not at_once:
            market.publish()

    poll(market, 65, 60)
    later(80)
    later(209, coming(market))
    if not at_once:
        assert told(market, "status") == ("gone",)
    # 150 minutes after the start
    later(210, coming(market))
    later(211, coming(market))
    if at_once:
        market.publish()
    assert told(market, "status") == ("gone_early",)
    # an answer that came late is between the others
    poll(market, 100, None)
    market.publish()
    assert told(market, "status") == ("gone_early",)


def test_what_was_not_played_closes_nowhere(market: Any) -> None:
    poll(market, 0, 60, running(market))
    poll(market, 55, 60, running(market))
    poll(market, 65, 60, running(market))
    poll(market, 80, None, running(market))
    market.publish()
    unplayed = f"event_id = '{market.id_of('e')}'"
    assert market.rows(f"select distinct close_status, is_closing from gold.closings where {unplayed}") == [("unplayed", False)]
    for table in ("clv", "closing_consensus", "closing_returns", "calibration_observations"):
        assert market.rows(f"select count(*) from gold.{table} where {unplayed}") == [(0,)], table

    # it comes back
    poll(market, 90, 60, running(market))
    market.publish()
    assert told(market, "status") == ("started",)
    assert market.rows(f"select distinct close_status from gold.closings where {unplayed}") == [("ok",)]


def test_a_final_score_says_that_it_was_played(market: Any) -> None:
    poll(market, 65, 60)
    poll(market, 80, None, running(market))
    final = {"completed": True, "scores": [{"name": "Home", "score": "1"}, {"name": "Away", "score": "0"}], "last_update": None}
    market.publish()
    assert told(market, "status") == ("gone_early",)
    market.load(300, market.scores(market.game("e", 60, None, **final)))
    market.publish()
    assert told(market, "status") == ("completed",)


@pytest.mark.parametrize(("winner", "status"), [("home", "gone"), ("void", "gone_early"), (None, "gone")])
def test_an_override_of_the_result_says_whether_it_was_played(market: Any, winner: str | None, status: str) -> None:
    with market.warehouse.connect(Role.TRANSFORMER) as connection:
        connection.execute(
            "insert into silver.result_override (event_id, winner, home_score, away_score) values (%s, %s, %s, %s)",
            (market.id_of("e"), winner, None if winner else 1, None if winner else 0),
        )
        connection.commit()
    poll(market, 65, 60)
    poll(market, 80, None, running(market))
    market.publish()
    assert told(market, "status") == (status,)


def test_an_answer_about_one_event_alone_is_no_list(market: Any) -> None:
    market.load(65, market.odds(market.game("e", 60, [two_way(market, 1.9, 65)]), running(market)))
    market.publish()
    # asked for the event by itself, and not shown
    gone = market.Answer("events", [], event_id=market.id_of("e"))
    market.load(80, gone)
    market.publish()
    assert told(market, "status") == ("gone",)


# --- closing_coverage --------------------------------------------------------------------------------------------------


def coverage(market: Any, where: str = "true") -> dict[tuple[str, str], dict[str, int]]:
    names = ("ok", "aged", "old", "not_quoting", "none", "unplayed", "provisional", "not_asked", "archived")
    counts = ", ".join(f"{name}_count" for name in names)
    rows = market.rows(f"select bookmaker_key, market_key, event_count, {counts} from gold.closing_coverage where {where}")
    return {
        (book, key): {
            name: count for name, count in zip(("events", *names), values, strict=True) if count
        }
        for book, key, *values in rows
    }  # fmt: skip


def test_every_event_of_a_day_has_a_place(market: Any) -> None:
    names = {
        "ok",
        "aged",
        "old",
        "dropped",
        "bare",
        "unasked",
        "late",
        "suspect",
        "unplayed",
        "withdrawn",
        "to_come",
        "yesterday",
    }
    starts = {"to_come": 2000, "yesterday": -800}

    def game(name: str, *books: dict[str, Any], start: float | None = None) -> dict[str, Any]:
        made: dict[str, Any] = market.game(
            name, starts.get(name, 60) if start is None else start, list(books), home="Home", away=f"Away of {name}"
        )
        return made

    def ask(name: str, minute: float, *, is_quoting: bool = True, markets: tuple[str, ...] = ("h2h",)) -> Any:
        sides = [("Home", 1.9), (f"Away of {name}", 2.0)]
        shown = [market.book("fanduel", {"h2h": sides}, minute)] if is_quoting else []
        return market.event_odds(game(name, *shown), books=("fanduel",), markets=markets)

    def listed(*names: str, **starts: float) -> Any:
        games = [game(name, start=starts.get(name)) for name in sorted(names)]
        return market.events(*({key: each[key] for key in each if key != "bookmakers"} for each in games))

    market.load(1, listed(*names))
    market.load(20, ask("old", 20), ask("dropped", 20), ask("withdrawn", 20))
    market.load(40, ask("aged", 40), ask("to_come", 40))
    market.load(
        50, ask("dropped", 50, is_quoting=False), ask("bare", 50, is_quoting=False, markets=("h2h", "totals", "h2h_lay"))
    )
    market.load(55, ask("ok", 55), ask("suspect", 55), ask("unplayed", 55))
    names -= {"withdrawn"}
    market.load(58, listed(*names))
    market.load(65, listed(*names))
    # asked for the first time while they run
    market.load(70, listed(*names, suspect=EARLIER), ask("late", 70), ask("yesterday", 70))
    names -= {"unplayed"}
    market.load(80, listed(*names, suspect=EARLIER))
    market.publish()

    day = f"day = '{market.at(0):%Y-%m-%d}'"
    assert coverage(market, day) == {
        ("fanduel", "h2h"): {
            "events": 10, "ok": 1, "aged": 1, "old": 2, "not_quoting": 1, "none": 1, "not_asked": 2, "provisional": 1,
            "unplayed": 1,
        },
        # asked for of one game alone; lay prices have no closings
        ("fanduel", "totals"): {"events": 10, "none": 1, "not_asked": 9},
    }  # fmt: skip
    assert coverage(market, f"day < '{market.at(0):%Y-%m-%d}'") == {("fanduel", "h2h"): {"events": 1, "not_asked": 1}}
    assert coverage(market, "sport_key = 'chess'") == {}
