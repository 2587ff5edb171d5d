"""On real recordings SQL and the model agree: slices spread over each, long gaps and play included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import odds_tools
import pytest

from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.model import Gold
from tests.replay.support import Databases, assert_model_agrees, batches_of, digests, take
from tests.replay.transcript import Transcript

pytestmark = pytest.mark.recorded

# which of its files (by time), and what an import must be told
SLICES: dict[str, tuple[Sequence[int], dict[str, Any]]] = {
    # far apart, and close together while games are on
    "nfl_week6_2025": ((*range(0, 415, 42), *range(368, 410, 4)), {"endpoints": ["odds"]}),
    # two matches are played from the 330th to the 350th file
    "worldcup_quarterfinals_2026": ((*range(0, 428, 30), *range(328, 353)), {"endpoints": ["odds"]}),
    "nba_historical_2023": ((*range(0, 60, 4), *range(250, 290, 3)), {}),
    "nfl_decimal_repeats_2023": (range(21), {"endpoints": ["odds"]}),
    "nhl_four_endpoints_2025": (range(22), {}),
    "outrights_and_lay_2021": (range(7), {"captured_at": "2021-11-11T12:00:00Z"}),
    "nba_player_props_2024": (range(3), {"captured_at": "2024-02-22T20:00:00Z"}),
    "ncaaf_odds_and_scores_2026": (range(2), {}),
}
PLAYED = ("nfl_week6_2025", "worldcup_quarterfinals_2026")


@pytest.mark.parametrize("name", SLICES)
def test_sql_and_model_agree(
    name: str,
    recorded_dir: Path,
    tmp_path: Path,
    databases: Databases,
    project: Project,
    transcript: Transcript,
) -> None:
    batches = batches_of(recorded_dir / f"{name}.tar.xz", *SLICES[name], tmp_path)
    model = Gold(batches)
    assert model.outcome_count > 0
    if name in PLAYED:
        assert {row["phase_as_known"] for row in model.price_history().values()} == {"pre", "in_play"}
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, batches)
        assert_model_agrees(warehouse, model)
        digests(warehouse)
        assert_a_package_finds_the_same(warehouse)


def assert_a_package_finds_the_same(warehouse: Warehouse) -> None:
    """The fair probabilities of all complete sets, to 1e-9."""
    with warehouse.connect(Role.READER) as connection:
        sets = connection.execute(
            "select distinct implied_probabilities, overround, fair_multiplicative, fair_additive, fair_power, fair_shin"
            " from gold.margins where fair_power is not null"
        ).fetchall()
    assert sets
    for implied, overround, *found in sets:
        odds = [float(1 / q) for q in implied]
        for method, ours in zip(("multiplicative", "additive", "power", "shin"), found, strict=True):
            if ours is not None and not (method == "shin" and overround == 1):
                theirs = odds_tools.fair_probabilities(odds, method)
                assert all(abs(float(a) - b) < 1e-9 for a, b in zip(ours, theirs, strict=True)), (method, implied)
