"""What game_lines must not tell as if it were sure: the score of one of two games, and the close of one that was not played."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        # an answer of that id with a start after the first final score: of which game is it?
        (300, [(None, None)]),
        (None, [(7, 3)]),
    ],
)
def test_of_two_games_under_one_id_there_is_no_score(
    market: Any, second: float | None, expected: list[tuple[Any, ...]]
) -> None:
    prices = [market.book("fanduel", {"h2h": [("Home", 1.9), ("Away", 1.9)]}, 0)]
    final = {"completed": True, "scores": [{"name": "Home", "score": "7"}, {"name": "Away", "score": "3"}], "last_update": None}
    later = {"completed": False, "scores": None, "last_update": None}
    market.load(0, market.odds(market.game("e", 30, prices)))
    market.load(240, market.scores(market.game("e", 30, None, **final)))
    if second is not None:
        market.load(250, market.scores(market.game("e", second, None, **later)))
    market.publish()
    assert market.rows("select home_score, away_score from gold.game_lines") == expected


def test_a_game_that_was_not_played_has_no_close(market: Any) -> None:
    def poll(minute: float, *names: str) -> None:
        prices = [market.book("fanduel", {"h2h": [("Home", 1.9), ("Away", 1.9)]}, minute)]
        starts = {"e": 60, "other": 30}
        teams = {"e": {}, "other": {"home": "X", "away": "Y"}}
        games = [market.game(name, starts[name], prices, **teams[name]) for name in names]
        market.load(minute, market.odds(*games, books=("fanduel",), markets=("h2h",)))

    poll(50, "e", "other")
    poll(65, "e", "other")
    # the other one is in play
    poll(80, "other")
    market.publish()
    columns = "status, h2h_close_status, spreads_close_status, totals_close_status, h2h_closing_group_count"
    assert market.rows(f"select {columns} from gold.game_lines where event_id = '{market.id_of('e')}'") == [
        ("gone_early", "unplayed", "unplayed", "unplayed", None)
    ]
    # one book is no consensus
    assert market.rows(f"select {columns} from gold.game_lines where event_id = '{market.id_of('other')}'") == [
        ("started", "none", "none", "none", None)
    ]
