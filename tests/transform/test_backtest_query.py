"""The worked example, backtest_against_the_others, on a game that is worked out by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Role

NAME = "backtest_against_the_others"
START, HOUR_BEFORE = 600, 540
PRICES = dict.fromkeys(("betmgm", "bovada", "draftkings", "fanduel"), (1.95, 1.95))


def load(market: Any, minute: float, prices: dict[str, tuple[float, float]]) -> None:
    shown = [market.book(key, {"h2h": [("Home", home), ("Away", away)]}, minute) for key, (home, away) in prices.items()]
    market.load(minute, market.odds(market.game("e", START, shown)))


def test_it_backs_what_beats_the_others_and_no_outlier(market: Any) -> None:
    """betus pays 2.06 for what four hold for a half; williamhill_us, far from all, neither bets nor votes."""
    shown = {**PRICES, "betus": (2.06, 1.86), "williamhill_us": (2.6, 1.5)}
    load(market, HOUR_BEFORE - 1, shown)
    load(market, START - 5, {**PRICES, "betus": (1.95, 1.95)})
    load(market, START + 5, PRICES)
    market.publish()
    project: DbtProject = market.project
    project.invoke("compile", ["--select", NAME], market.warehouse.dbt_env(Role.TRANSFORMER))
    query = (project.work_dir / "target" / "compiled" / "sports_market" / "analyses" / f"{NAME}.sql").read_text(
        encoding="utf-8"
    )

    promised = Decimal("0.0300")
    told = (1, 2, 1, 1, promised, 1, promised, 1, promised, None, 0, None)
    assert market.rows(query) == [("americanfootball_nfl", "h2h", *told), (None, None, *told)]
