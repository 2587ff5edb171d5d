"""The example queries about moves, as the reader runs them."""

from __future__ import annotations

from typing import Any

from pipeline.warehouse.connect import Role

QUERIES = ("market_moves_of_the_last_hour", "who_moves_nfl_totals_first")


def total(market: Any, key: str, point: float, minute: float) -> dict[str, Any]:
    return market.book(key, {"totals": [("Over", 2.0, point), ("Under", 2.0, point)]}, minute)


def test_they_answer_what_they_ask(market: Any) -> None:
    points = {"fanduel": (42.5, 43.0, 43.0), "betmgm": (42.5, 42.5, 43.5), "bovada": (42.5, 42.5, 42.5)}
    for number, minute in enumerate((0, 55, 65)):
        shown = [total(market, key, own[number], minute) for key, own in points.items()]
        market.load(minute, market.odds(market.game("e", 600, shown)))
    market.publish()
    market.project.invoke("compile", ["--select", *QUERIES], market.warehouse.dbt_env(Role.TRANSFORMER))
    folder = market.project.work_dir / "target" / "compiled" / "sports_market" / "analyses"
    moves, first = (market.rows((folder / f"{name}.sql").read_text(encoding="utf-8")) for name in QUERIES)

    # an hour before minute 65 nothing had moved yet
    assert moves == [("Home", "Away", "totals", "over", 2, 3, 1, None, market.at(55), market.at(65))]
    assert [row[:7] for row in first] == [
        ("betmgm", "fanduel", False, None, None, 0, 1),
        ("fanduel", "betmgm", False, None, None, 1, 0),
    ]
