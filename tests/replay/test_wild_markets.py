"""Generated markets: SQL and the model agree, and gold depends on the set of answers, not on how they came."""

from __future__ import annotations

import os
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pipeline.recording.model import Batch
from pipeline.replay.verify import verify
from tests.conftest import Project
from tests.replay import wild
from tests.replay.model import Gold
from tests.replay.orders import prove
from tests.replay.support import Databases, assert_model_agrees, take
from tests.replay.transcript import Transcript

# each one is a market of its own, taken in three times over
EXAMPLES = int(os.environ.get("SPORTS_MARKET_EXAMPLES") or 5)


def describe(batches: Sequence[Batch]) -> str:
    return "\n".join(
        f"{batch.batch_id} {exchange.place} {exchange.captured_at:%H:%M:%S.%f} {exchange.status} {exchange.request.text}"
        for batch in batches
        for exchange in batch.exchanges
    )


@settings(
    max_examples=EXAMPLES,
    derandomize="SPORTS_MARKET_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(script=wild.scripts, seed=st.integers(0, 9))
def test_a_wild_market_is_the_same_in_the_model_and_in_any_order(
    script: list[wild.Poll], seed: int, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = wild.batches_of(script)
    note(describe(batches))
    prove(batches, seed, databases, project, transcript)


@pytest.mark.parametrize("name", wild.DIRECTED)
def test_what_chance_finds_too_seldom(name: str, databases: Databases, project: Project, transcript: Transcript) -> None:
    prove(wild.batches_of(wild.DIRECTED[name]), 0, databases, project, transcript)


THROUGH_DBT = {"wild": wild.market_of(36), "two moments at one time": wild.batches_of(wild.DIRECTED["two moments at one time"])}


@pytest.mark.parametrize("name", THROUGH_DBT)
def test_a_wild_market_through_dbt_can_be_verified(name: str, databases: Databases, project: Project) -> None:
    batches = THROUGH_DBT[name]
    with databases() as warehouse:
        take(warehouse, project, batches[::2] + batches[1::2], step=3)
        assert_model_agrees(warehouse, Gold(batches))
        report = verify(warehouse, project)
    assert not report.failed, [(check.name, check.message) for check in report.failed]
