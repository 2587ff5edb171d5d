"""A backfill from the command line: partitions for the batches at hand, and runs that take them in, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import dagster as dg

from pipeline.errors import UsageError
from pipeline.odds_api.endpoints import nearest
from pipeline.orchestration.asset_checks import NOT_MADE
from pipeline.orchestration.assets import STATEMENT_MILLISECONDS
from pipeline.orchestration.at_hand import shelf_of
from pipeline.orchestration.dagster_resources import settings
from pipeline.orchestration.definitions import defs
from pipeline.orchestration.partitions import batches, ranges

RANGE_START: Final = "dagster/asset_partition_range_start"
RANGE_END: Final = "dagster/asset_partition_range_end"
# What each event says is in Dagster's own log.
QUIET: Final = {"loggers": {"console": {"config": {"log_level": "INFO"}}}}
TOLD: Final = dg.DagsterEventType.ASSET_MATERIALIZATION
CHECKED: Final = dg.DagsterEventType.ASSET_CHECK_EVALUATION


@dataclass(frozen=True, slots=True)
class BackfillSummary:
    """What a backfill did.

    Attributes:
        batches: asked for.
        published: told as materialized.
        checks: evaluated, of all partitions.
        failed: ``asset check partition: what was found``, of those that did not pass.
        warnings: the same, of those that only warn.
        runs: run id → whether it ended well.
    """

    batches: int
    published: int
    checks: int
    failed: tuple[str, ...]
    warnings: tuple[str, ...]
    runs: dict[str, bool]

    @property
    def exit_code(self) -> int:
        """0, or 1 where a batch is withheld, a check failed, or a run did not end well."""
        return 0 if self.published == self.batches and not self.failed and all(self.runs.values()) else 1

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "batches": self.batches,
            "published": self.published,
            "checks": self.checks,
            "failed_checks": len(self.failed),
            "failed": list(self.failed),
            "warnings": list(self.warnings),
            "runs": self.runs,
        }

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.batches} batches: {self.published} published;"
            f" {self.checks} checks, {len(self.failed)} failed, {len(self.warnings)} warn",
            *(f"  failed: {line}" for line in self.failed),
            *(f"  warning: {line}" for line in self.warnings),
            *(f"run {run_id}: {'done' if ok else 'FAILED'}" for run_id, ok in self.runs.items()),
        ]


def backfill_partitions(
    instance: dg.DagsterInstance, batch_ids: Iterable[str] | None, say: Callable[[str], None]
) -> BackfillSummary:
    """Take batches of the recordings at hand in, as the job ``ingest`` does, in as few runs as their order in Dagster allows.

    Args:
        instance: Dagster's storage.
        batch_ids: some of them; None for all.
        say: told of each run.

    Raises:
        UsageError: ``BATCH_UNKNOWN``: no recording at hand holds one of them; ``NO_RECORDINGS``.
    """
    # else each event opens two or three connections to Dagster's database
    instance.optimize_for_webserver(statement_timeout=STATEMENT_MILLISECONDS, pool_recycle=3600, max_overflow=5)
    recorded = shelf_of(settings()).batch_ids
    wanted = recorded if batch_ids is None else tuple(sorted(set(batch_ids)))
    if not wanted:
        raise UsageError(
            "NO_RECORDINGS",
            "There is no recording at hand. The bundled one is simulated, and is not offered beside a key or real answers.",
            "Name the folder of a recording, or set SPORTS_MARKET_RECORDINGS_DIR.",
        )
    for batch_id in wanted:
        if batch_id not in recorded:
            raise UsageError(
                "BATCH_UNKNOWN",
                f"No recording at hand holds {batch_id}; the nearest is {nearest(batch_id, recorded) if recorded else 'none'}.",
                "Set SPORTS_MARKET_RECORDINGS_DIR to the folder of its recording.",
            )
    known = instance.get_dynamic_partitions(str(batches.name))
    instance.add_dynamic_partitions(str(batches.name), [batch_id for batch_id in wanted if batch_id not in set(known)])
    job = defs.resolve_job_def("ingest")
    published: set[str] = set()
    failed: list[str] = []
    warnings: list[str] = []
    runs, checks = {}, 0
    for first, last in ranges(instance.get_dynamic_partitions(str(batches.name)), wanted):
        say(f"Batches {first} to {last}")
        result = job.execute_in_process(
            instance=instance, tags={RANGE_START: first, RANGE_END: last}, raise_on_error=False, run_config=QUIET
        )
        runs[result.run_id] = result.success
        for entry in instance.all_logs(result.run_id, {TOLD, CHECKED}):
            event = entry.get_dagster_event()
            if event.event_type == TOLD and event.asset_key == dg.AssetKey(["gold", "price_history"]):
                published.add(str(event.partition))
            if event.event_type == CHECKED and NOT_MADE not in event.asset_check_evaluation_data.metadata:
                checks += 1
                found = event.asset_check_evaluation_data
                if not found.passed:
                    where = f"{found.asset_key.to_user_string()} {found.check_name} {found.partition}"
                    told = failed if found.severity is dg.AssetCheckSeverity.ERROR else warnings
                    told.append(f"{where}: {found.description}")
    return BackfillSummary(len(wanted), len(published), checks, tuple(failed), tuple(warnings), runs)
