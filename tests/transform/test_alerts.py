"""What a batch gives cause to tell, worked out here by hand; each cause once, and the same in a replay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Role

BOOKS = ("betmgm", "betus", "bovada", "draftkings", "fanduel")


def alerts(market: Any, columns: str = "kind, message") -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(f"select {columns} from ops.alerts order by raised_at, kind, message")
    return found


def h2h(market: Any, key: str, home: float, away: float, updated: float) -> dict[str, Any]:
    shown: dict[str, Any] = market.book(key, {"h2h": [("Home", home), ("Away", away)]}, updated)
    return shown


def test_steam_is_told_once_by_the_batch_with_which_there_is_enough_of_it(market: Any) -> None:
    def total(minute: float, points: float) -> None:
        shown = [market.book(key, {"totals": [("Over", 2.0, points), ("Under", 2.0, points)]}, minute) for key in BOOKS]
        market.load(minute, market.odds(market.game("e", 5000, shown)))

    total(0, 42.5)
    market.publish()
    assert alerts(market) == []
    total(5, 43.5)
    market.publish()
    total(10, 43.5)
    market.publish()
    assert alerts(market) == [("steam", "Away at Home, totals: 5 of 5 operators moved toward over")]
    [(table, key)] = alerts(market, "row_table, row_key")
    where = " and ".join(f"{name} = '{value}'" for name, value in key.items())
    assert market.rows(f"select size from {table} where {where}") == [(5,)]


def test_an_arbitrage_is_told_when_it_begins_if_it_is_clean_and_before_the_start(market: Any) -> None:
    def shown(minute: float, home: float, start: float = 5000) -> None:
        books = [h2h(market, "betmgm", home, 1.8, minute), h2h(market, "fanduel", 1.85, 2.0, minute)]
        market.load(minute, market.odds(market.game("e", start, books)))
        market.publish()

    shown(0, 1.9)
    shown(5, 2.05)
    shown(10, 2.06)  # the same one, better
    assert alerts(market) == [("arbitrage", "Away at Home, h2h: 1.23 % at fanduel, betmgm")]
    shown(15, 1.9)
    shown(20, 2.05)  # another
    assert [kind for kind, _ in alerts(market)] == ["arbitrage", "arbitrage"]
    shown(25, 1.9, start=24)
    shown(26, 2.05, start=24)  # in play
    assert len(alerts(market)) == 2


@pytest.mark.parametrize(("games", "left", "told"), [(3, 0, True), (2, 0, False), (4, 1, False)])
def test_a_book_is_quiet_if_it_drops_out_of_three_games_and_stands_in_none(
    market: Any, games: int, left: int, told: bool
) -> None:
    def list_of(minute: float, quoted: int) -> None:
        shown = [
            market.game(
                f"g{number}",
                5000 + number,
                [h2h(market, key, 1.9, 2.0, minute) for key in ("betmgm", *(["fanduel"] if number < quoted else []))],
            )
            for number in range(games)
        ]
        market.load(minute, market.odds(*shown, books=("betmgm", "fanduel")))
        market.publish()

    list_of(0, games)
    list_of(5, left)
    list_of(10, left)
    sport = "americanfootball_nfl"
    quiet = ("book_quiet", f"fanduel dropped out of {games} games of {sport}, and stands in none")
    assert alerts(market) == ([quiet] if told else [])


def test_a_close_is_missed_where_the_newest_odds_are_old_as_the_start_comes(market: Any) -> None:
    market.load(0, market.odds(market.game("e", 60, [h2h(market, "fanduel", 1.9, 2.0, 0)])))
    market.load(49, market.events(market.game("e", 60, None)))
    market.publish()
    assert alerts(market) == []  # eleven minutes are left
    market.load(52, market.events(market.game("e", 60, None), market.game("never", 61, None)))
    market.publish()
    market.load(55, market.events(market.game("e", 60, None)))
    market.publish()
    first, second = alerts(market, "kind, message, event_id, raised_at")
    assert first[0] == second[0] == "close_missed" and first[3] == second[3] == market.at(52)
    assert {each[2] for each in (first, second)} == {market.id_of("e"), market.id_of("never")}
    told = " ".join(str(each[1]) for each in (first, second))
    assert "and its newest odds are of " in told and "and there are no odds of it" in told


def test_a_close_is_not_missed_while_odds_are_young(market: Any) -> None:
    market.load(51, market.odds(market.game("e", 60, [h2h(market, "fanduel", 1.9, 2.0, 50)])))
    market.load(55, market.events(market.game("e", 60, None)))
    market.publish()
    assert alerts(market) == []


def test_credits_are_low_below_a_tenth_and_told_once_a_month(market: Any) -> None:
    def spend(minute: float, used: int, left: int) -> None:
        batch_id = market.load(minute, market.events())
        headers = json.dumps({"x-requests-used": str(used), "x-requests-remaining": str(left)})
        with market.warehouse.connect(Role.OWNER) as owner:
            owner.execute("alter table bronze.exchanges disable trigger append_only")
            owner.execute("update bronze.exchanges set headers = %s where batch_id = %s", [headers, batch_id])
            owner.execute("alter table bronze.exchanges enable trigger append_only")
            owner.commit()
        market.publish()

    spend(0, 900, 100)
    assert alerts(market) == []
    spend(5, 901, 99)
    spend(10, 950, 50)
    month = f"{market.at(0):%Y-%m}"
    assert alerts(market) == [("credits_low", f"99 of 1000 credits of {month} are left")]


def test_a_withheld_batch_is_told_by_its_checks(market: Any) -> None:
    market.load(0, market.odds(market.game("e", 500, [h2h(market, "fanduel", 1.9, 2.0, 0)])))
    with market.warehouse.connect(Role.TRANSFORMER) as connection:
        connection.execute("alter table gold.bookmakers add constraint none_at_all check (bookmaker_key = '') not valid")
        connection.commit()
    applied = apply_batches(market.transformer, market.project, market.waiting, market.clock)
    assert not applied.published
    [(kind, message)] = alerts(market)
    assert kind == "withheld" and message.startswith(f"batch {market.waiting[0]} is withheld: ")
