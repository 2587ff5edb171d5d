"""middles against cases that are worked out here by hand from the answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

BOOKS = ("betmgm", "betonlineag", "bovada", "fanduel", "lowvig")
ASKED = {"books": BOOKS, "markets": ("spreads", "totals")}


def total(market: Any, key: str, point: float, over: float, under: float) -> dict[str, Any]:
    return market.book(key, {"totals": [("Over", over, point), ("Under", under, point)]}, 0)


def spread(market: Any, key: str, home_point: float, home: float, away: float) -> dict[str, Any]:
    return market.book(key, {"spreads": [("Home", home, home_point), ("Away", away, -home_point)]}, 0)


def stored(market: Any, game: str, columns: str) -> list[tuple[Any, ...]]:
    of_game, order = f"event_id = '{market.id_of(game)}'", "line_point, other_line_point, valid_from"
    found: list[tuple[Any, ...]] = market.rows(f"select {columns} from gold.middles where {of_game} order by {order}")
    return found


def test_scores_that_win_both(market: Any) -> None:
    def game(name: str, one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = market.game(name, 600, [one, two])
        return found

    # wherever two prices of 1.97 meet, 2 / 1.97 - 1 = 0.01522843 is what it costs; beside them 1.85 is too dear
    dear, cheap = 1.85, 1.97
    market.load(
        0,
        market.odds(
            # 43 and 44 are over 42.5 and under 44.5; a total of 42.5 to be over and 44.5 to be under, not the other way round
            game("total", total(market, "fanduel", 42.5, cheap, cheap), total(market, "betmgm", 44.5, cheap, cheap)),
            # at 42 and 45 one leg is refunded, the other wins
            game("whole points", total(market, "fanduel", 42, cheap, dear), total(market, "betmgm", 45, dear, cheap)),
            # at 42 the Over is refunded; no score wins both
            game("half a point", total(market, "fanduel", 42, cheap, dear), total(market, "betmgm", 42.5, dear, cheap)),
            # at 21 the Over wins half only, as 20.75 is half a stake on 20.5 and half on 21, which is refunded
            game("quarters", total(market, "fanduel", 20.75, cheap, dear), total(market, "betmgm", 22.75, dear, cheap)),
            # Home +3.5 wins unless the home side loses by 4; Away -2.5 wins where it loses by 3 or more: it must lose by 3
            game("behind", spread(market, "fanduel", 3.5, cheap, dear), spread(market, "betmgm", 2.5, dear, cheap)),
            # Home -2.5 wins from 3 ahead, Away +6.5 up to 6 ahead
            game("ahead", spread(market, "fanduel", -2.5, cheap, dear), spread(market, "betmgm", -6.5, dear, cheap)),
            # Home +1.5 wins from 1 behind, Away +1.5 up to 1 ahead
            game("around 0", spread(market, "fanduel", 1.5, cheap, dear), spread(market, "betmgm", -1.5, dear, cheap)),
            # the wrong way round both lose between the lines
            game("hole", total(market, "fanduel", 44.5, cheap, dear), total(market, "betmgm", 42.5, dear, cheap)),
            game("one line", total(market, "fanduel", 42.5, cheap, dear), total(market, "betmgm", 42.5, dear, cheap)),
            game("near", total(market, "fanduel", 42, cheap, dear), total(market, "betmgm", 42.25, dear, cheap)),
            # 1 / 1.97 + 1 / 1.95 - 1 = 0.0204
            game("too dear", total(market, "fanduel", 42.5, cheap, dear), total(market, "betmgm", 44.5, dear, 1.95)),
            game("one operator", total(market, "lowvig", 42.5, cheap, dear), total(market, "betonlineag", 44.5, dear, cheap)),
            **ASKED,
        ),
    )
    market.publish()

    columns = "line_point, other_line_point, width, winning_numbers, outcome_sides, books_at_open"
    half = Decimal("0.5")
    totals, spreads, books = ["over", "under"], ["home", "away"], ["fanduel", "betmgm"]
    expected = {
        "total": (42 + half, 44 + half, 2, [43, 44], totals, books),
        "whole points": (42, 45, 3, [43, 44], totals, books),
        "half a point": (42, 42 + half, half, [], totals, books),
        "quarters": (Decimal("20.75"), Decimal("22.75"), 2, [22], totals, books),
        "behind": (3 + half, 2 + half, 1, [-3], spreads, books),
        "ahead": (-2 - half, -6 - half, 4, [3, 4, 5, 6], spreads, books),
        "around 0": (1 + half, -1 - half, 3, [-1, 0, 1], spreads, books),
    }
    for name, row in expected.items():
        assert stored(market, name, columns) == [row], name
    for name in ("hole", "one line", "near", "too dear", "one operator"):
        assert stored(market, name, columns) == [], name
    assert stored(market, "total", "round(cost_at_open, 8), cost_best = cost_at_open, quality") == [
        (Decimal("0.01522843"), True, "clean")
    ]


def test_winning_numbers_by_settling_every_score(market: Any) -> None:
    """The same from how stakes are settled: all that both legs win in full, and nothing else."""
    points = [(Decimal(a) / 4, Decimal(b) / 4) for a in range(0, 9) for b in range(a + 2, 13)]
    games = []
    for a, b in points:
        over_a, under_b = total(market, "fanduel", float(a), 1.97, 1.85), total(market, "betmgm", float(b), 1.85, 1.97)
        # a home side that gives a and b away: how far it is ahead is what counts
        home_a, away_b = spread(market, "fanduel", float(-a), 1.97, 1.85), spread(market, "betmgm", float(-b), 1.85, 1.97)
        games.append(market.game(f"totals {a} {b}", 600, [over_a, under_b], sport="soccer_epl"))
        games.append(market.game(f"spreads {a} {b}", 600, [home_a, away_b], sport="soccer_epl"))
    market.load(0, market.odds(*games, sport="soccer_epl", **ASKED))
    market.publish()

    def halves(line: Decimal) -> tuple[Decimal, Decimal]:
        """The two lines that a stake is split over."""
        quarter = Decimal("0.25")
        return (line - quarter, line + quarter) if line % Decimal("0.5") else (line, line)

    found = dict(market.rows("select event_id, winning_numbers from gold.middles"))
    for a, b in points:
        wins = [n for n in range(-5, 20) if all(n > half for half in halves(a)) and all(n < half for half in halves(b))]
        assert found[market.id_of(f"totals {a} {b}")] == wins, (a, b)
        assert found[market.id_of(f"spreads {a} {b}")] == wins, (a, b)


def test_a_middle_lasts_while_the_pair_of_lines_does(market: Any) -> None:
    def at(minute: float, *books: dict[str, Any]) -> None:
        market.load(minute, market.odds(market.game("e", 600, books), **ASKED))

    low = total(market, "fanduel", 42.5, 1.97, 1.85)
    at(0, low, total(market, "betmgm", 44.5, 1.85, 1.97))
    at(10, low, total(market, "betmgm", 44.5, 1.85, 1.99))  # 1 / 1.97 + 1 / 1.99 - 1 = 0.01012678
    at(20, low, total(market, "bovada", 44.5, 1.85, 1.97))
    at(30, low, total(market, "bovada", 43.5, 1.85, 1.97))
    market.publish()

    columns = "other_line_point, valid_from, valid_to, last_seen_at, captures, books_at_open[2], books_at_best[2], best_at"
    assert stored(market, "e", columns) == [
        (Decimal("43.5"), market.at(30), None, None, None, "bovada", "bovada", market.at(30)),
        (Decimal("44.5"), market.at(0), market.at(30), market.at(20), 3, "betmgm", "betmgm", market.at(10)),
    ]
    assert stored(market, "e", "round(cost_best, 8)")[1] == (Decimal("0.01012678"),)
    found = market.rows("select other_line_point, captures, seen_for_seconds from gold.middles_clean order by 1")
    # the quotes are of minute 0: what began at minute 30, and what was best at minute 10, is stale
    assert found == []
    assert stored(market, "e", "quality, max_leg_age_seconds") == [("stale", 1800), ("stale", 600)]


def test_a_sum_below_1_wins_at_any_score(market: Any) -> None:
    shown = [total(market, "fanduel", 42.5, 2.1, 1.75), total(market, "betmgm", 44.5, 1.75, 2.1)]
    market.load(0, market.odds(market.game("e", 600, shown), **ASKED))
    market.publish()
    assert stored(market, "e", "round(cost_at_open, 8), stake_shares_at_open[1] = 0.5, quality") == [
        (Decimal("-0.04761905"), True, "clean")
    ]
    assert market.rows("select count(*) from gold.arbitrages") == [(0,)]
