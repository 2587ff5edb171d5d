"""What is known afterwards, and what people bet, is that of a plain model, on slices of real recordings and the bundled one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from pipeline.recording.model import Batch
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay import wild
from tests.replay.hindsight_model import Hindsight
from tests.replay.ledger_model import BET_KEY, EVALUATION_KEY, PREDICTION_KEY, Ledgers, drawn
from tests.replay.model import Gold, Table
from tests.replay.slices import SLICES
from tests.replay.support import Databases, batches_of, differences, take
from tests.replay.transcript import Transcript

KEYS: Final = {
    "quotes_sampled": ("event_id", "bookmaker_key", "market_key", "outcome_set", "outcome_side", "minutes_to_start"),
    "game_lines": ("event_id",),
    "game_lines_now": ("event_id",),
    "outcome_grades": ("event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name"),
    "best_price_now": ("event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name"),
    "bet_ledger": BET_KEY,
    "prediction_scores": PREDICTION_KEY,
    "prediction_evaluation": EVALUATION_KEY,
}
# Entries that are drawn from each recording.
BETS, PREDICTIONS = 400, 250
WILD_SEEDS: Final = tuple(int(seed) for seed in (os.environ.get("SPORTS_MARKET_SEEDS") or "200,202,205").split(","))


def read(warehouse: Warehouse, table: str) -> Table:
    """All columns but surrogate keys."""
    key = KEYS[table]
    with warehouse.connect(Role.READER) as connection:
        cursor = connection.execute(f"select * from gold.{table}".encode())
        names = [column.name for column in cursor.description or ()]
        rows = [
            {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in zip(names, values, strict=True)
                if name != "line_id"
            }
            for values in cursor
        ]
    return {tuple(row[name] for name in key): {name: row[name] for name in row if name not in key} for row in rows}


def model_of(batches: Sequence[Batch]) -> tuple[list[Batch], dict[str, Table]]:
    """The batches of bets and predictions about what is quoted; and the tables, as the model has them."""
    hindsight = Hindsight(Gold(batches))
    entries = drawn(hindsight, BETS, PREDICTIONS)
    ledgers = Ledgers(hindsight, entries)
    return entries, {
        "quotes_sampled": hindsight.quotes_sampled(),
        "game_lines": hindsight.game_lines(),
        "game_lines_now": hindsight.game_lines_now(),
        "outcome_grades": hindsight.outcome_grades(),
        "best_price_now": hindsight.best_price_now(),
        "bet_ledger": ledgers.bet_ledger(),
        "prediction_scores": ledgers.prediction_scores(),
        "prediction_evaluation": ledgers.prediction_evaluation(),
    }


def assert_agreed(warehouse: Warehouse, expected: dict[str, Table]) -> int:
    """The cells compared; the tables must be equal in all of them."""
    found = {table: read(warehouse, table) for table in KEYS}
    lines = differences(found, expected, most=20)
    assert not lines, "\n".join(lines)
    return sum(len(row) for rows in found.values() for row in rows.values())


@pytest.mark.recorded
@pytest.mark.proof
@pytest.mark.parametrize("name", SLICES)
def test_hindsight_is_that_of_the_model(
    name: str, recorded_dir: Path, tmp_path: Path, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = batches_of(recorded_dir / f"{name}.tar.xz", *SLICES[name], tmp_path)
    entries, expected = model_of(batches)
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, [*batches, *entries], step=0)
        assert assert_agreed(warehouse, expected) > 0


@pytest.mark.proof
def test_hindsight_of_the_bundled_recording(databases: Databases, project: Project, transcript: Transcript) -> None:
    batches = list(Recording.open(resource("fixtures") / "recordings" / "simulated").batches())
    entries, expected = model_of(batches)
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, [*batches, *entries], step=0)
        assert assert_agreed(warehouse, expected) > 100_000
    # it has what the rules tell apart
    assert {row["was_there"] for row in expected["bet_ledger"].values()} == {"yes", "no", "unknown"}
    assert {row["clv_status"] for row in expected["bet_ledger"].values()} == {
        "in_play",
        "same_point",
        "point_moved",
        "no_close",
    }
    assert {row["status"] for row in expected["prediction_scores"].values()} >= {
        "ok",
        "superseded",
        "after_start",
        "not_graded",
    }
    assert expected["prediction_evaluation"]
    assert {row["grade"] for row in expected["outcome_grades"].values()} >= {"win", "loss", "push", "unresolved"}


@pytest.mark.proof
@pytest.mark.parametrize("seed", WILD_SEEDS)
def test_hindsight_of_a_wild_market(seed: int, databases: Databases, project: Project, transcript: Transcript) -> None:
    batches = wild.market_of(seed)
    entries, expected = model_of(batches)
    with databases() as warehouse, transcript.on_small_markets():
        take(warehouse, project, [*batches, *entries], step=0)
        assert_agreed(warehouse, expected)
