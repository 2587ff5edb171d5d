"""The mutation score: good answers and good rows are broken in every way that a rule is there for."""

from __future__ import annotations

from typing import Final

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import Clock
from pipeline.contracts.mutations import answers, tables
from pipeline.contracts.mutations.score import Score, together
from pipeline.errors import CheckFailed
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.transform.apply import apply_batches, prepare
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Role, Warehouse

BUNDLED: Final = "fixtures/recordings/simulated"


def mutation_score(warehouse: Warehouse, engine: Engine, clock: Clock) -> Score:
    """One score of all rules: of answers, and of tables at every place that enforces them.

    Args:
        warehouse: bootstrapped, without batches, made for this; the bundled recording is loaded into it.
        engine: what runs the project's SQL.
        clock: dates verdicts and states.
    """
    fill(warehouse, engine, clock)
    return together(answers.score(), tables.score(warehouse, engine.scopes()))


def fill(warehouse: Warehouse, engine: Engine, clock: Clock) -> None:
    """Load the bundled recording, all batches at once.

    Raises:
        CheckFailed: ``NO_GOOD_ROWS``.
    """
    recording = Recording.open(resource(BUNDLED))
    prepare(warehouse, engine)
    with warehouse.connect(Role.INGESTER) as ingester:
        for batch in recording.batches():
            load_batch(ingester, batch, clock)
    applied = apply_batches(warehouse, engine, recording.batch_ids, clock)
    if not applied.published:
        failed = applied.failed[0]
        raise CheckFailed(
            "NO_GOOD_ROWS",
            f"The bundled recording does not pass its checks: {failed.name}: {failed.message}.",
            "Replay it, and mend what that shows.",
        )
