"""On real recordings SQL and the model agree: slices spread over each, long gaps and play included."""

from __future__ import annotations

from pathlib import Path

import odds_tools
import pytest

from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.model import Gold
from tests.replay.slices import PLAYED, SLICES
from tests.replay.support import Databases, assert_model_agrees, batches_of, digests, take
from tests.replay.transcript import Transcript

pytestmark = pytest.mark.recorded


# the others, of few files each, are proven with all proofs
@pytest.mark.proof(cases=8)
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
