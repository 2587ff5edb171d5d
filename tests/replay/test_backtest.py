"""The worked example, backtest_against_the_others, on a recorded evening: what it counts, and that nothing later changes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.recording.model import Batch
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.support import Databases, batches_of, take

pytestmark = pytest.mark.recorded

NAME: Final = "backtest_against_the_others"
# Thursday, 9 October 2025: from three and a half hours before Philadelphia at New York to the first answers in play
EVENING: Final = range(54, 72)
# behind the first answer after the hour before
JUST_AFTER: Final = "20251009T232"
# what is known at the bet; the other columns are the answer
KNOWN: Final = ("games", "outcomes_judged", "above_0", "above_1_percent", "best_promised", "bets", "mean_promised")
Rows = dict[tuple[str | None, str | None], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Evening:
    """The evening's batches, a database that holds them all, and the query."""

    batches: list[Batch]
    warehouse: Warehouse
    query: str


@pytest.fixture(scope="module")
def evening(
    recorded_dir: Path, tmp_path_factory: pytest.TempPathFactory, databases: Databases, project: Project
) -> Iterator[Evening]:
    archive, folder = recorded_dir / "nfl_week6_2025.tar.xz", tmp_path_factory.mktemp("evening")
    batches = batches_of(archive, EVENING, {"endpoints": ["odds"]}, folder)
    with databases() as warehouse:
        take(warehouse, project, batches, step=0)
        results = project.invoke("compile", ["--select", NAME], warehouse.dbt_env(Role.TRANSFORMER))
        [query] = [result.sql for result in results if result.name == NAME]
        assert query is not None
        yield Evening(batches, warehouse, query.replace(f'"{warehouse.dbname}".', ""))


def ask(warehouse: Warehouse, query: str) -> Rows:
    with warehouse.connect(Role.READER) as reader:
        cursor = reader.execute(query.encode())
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, values, strict=True)) for values in cursor]
    return {(row["sport_key"], row["market_key"]): row for row in rows}


def known(rows: Rows) -> Rows:
    return {key: {name: row[name] for name in KNOWN} for key, row in rows.items()}


def test_an_evening_has_nothing_to_bet_on(evening: Evening) -> None:
    rows = ask(evening.warehouse, evening.query)
    best = {"h2h": "-0.0021", "spreads": "-0.0012", "totals": "-0.0103", None: "-0.0012"}
    assert known(rows) == {
        (None if market is None else "americanfootball_nfl", market): dict(
            zip(KNOWN, (1, 6 if market is None else 2, 0, 0, Decimal(promised), 0, None), strict=True)
        )
        for market, promised in best.items()
    }


def test_what_was_known_at_the_bet_is_what_is_told_afterwards(evening: Evening, databases: Databases, project: Project) -> None:
    """The same question an hour before, of quotes_sampled_now; later answers bring the close, and change nothing else."""
    then = [batch for batch in evening.batches if batch.batch_id < JUST_AFTER]
    assert 0 < len(then) < len(evening.batches) - 3
    with databases() as warehouse:
        take(warehouse, project, then, step=0)
        assert ask(warehouse, evening.query)[None, None]["outcomes_judged"] == 0
        before = ask(warehouse, evening.query.replace('"quotes_sampled"', '"quotes_sampled_now"'))
    assert before[None, None]["outcomes_judged"] > 0
    assert known(before) == known(ask(evening.warehouse, evening.query))
