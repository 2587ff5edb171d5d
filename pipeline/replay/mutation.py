"""The mutation score: good answers and good rows are broken in every way that a rule is there for."""

from __future__ import annotations

from typing import Final

from pipeline.bronze.load import load_batch
from pipeline.clock import Clock
from pipeline.contracts.mutations import answers, tables
from pipeline.contracts.mutations.score import Score, together
from pipeline.errors import CheckFailed
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.transform.apply import apply_batches, prepare
from pipeline.transform.checks import scopes
from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Role, Warehouse

BUNDLED: Final = "fixtures/recordings/simulated"


def mutation_score(warehouse: Warehouse, project: DbtProject, clock: Clock) -> Score:
    """One score of all rules: of answers, and of tables at every place that enforces them.

    Args:
        warehouse: bootstrapped, without batches, made for this; the bundled recording is loaded into it.
        project: the dbt project.
        clock: dates verdicts and states.
    """
    fill(warehouse, project, clock)
    return together(answers.score(), tables.score(warehouse, scopes(project.manifest())))


def fill(warehouse: Warehouse, project: DbtProject, clock: Clock) -> None:
    """Load the bundled recording, all batches at once.

    Raises:
        CheckFailed: ``NO_GOOD_ROWS``.
    """
    recording = Recording.open(resource(BUNDLED))
    prepare(warehouse, project)
    with warehouse.connect(Role.INGESTER) as ingester:
        for batch in recording.batches():
            load_batch(ingester, batch, clock)
    applied = apply_batches(warehouse, project, recording.batch_ids, clock)
    if not applied.published:
        failed = applied.failed[0]
        raise CheckFailed(
            "NO_GOOD_ROWS",
            f"The bundled recording does not pass its checks: {failed.name}: {failed.message}.",
            "Replay it, and mend what that shows.",
        )
