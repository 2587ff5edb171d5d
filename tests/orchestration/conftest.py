"""A warehouse, recordings and a Dagster of the test's own, named by the environment as an operator names them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import recomputed_digests
from tests.conftest import Project, address, with_parse
from tests.recordings import bundled_part

BUNDLED = resource("fixtures/recordings/simulated")
BATCH_IDS = Recording.open(BUNDLED).batch_ids
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory, project: Project) -> Iterator[Path]:
    """One for all tests, so that dbt's document is written once."""
    folder = with_parse(tmp_path_factory.mktemp("state"), project)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SPORTS_MARKET_")]:
            patch.delenv(name)
        patch.setenv("SPORTS_MARKET_STATE_DIR", str(folder))
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
        yield folder


@pytest.fixture(scope="session")
def defs(state_dir: Path) -> dg.Definitions:
    """What Dagster loads."""
    from pipeline.orchestration.definitions import defs

    return defs


@dataclass
class Place:
    """A warehouse with Dagster on top."""

    warehouse: Warehouse
    defs: dg.Definitions
    instance: dg.DagsterInstance
    environment: dict[str, str]

    def add(self, batch_ids: Sequence[str]) -> None:
        """Add partitions in this order."""
        self.instance.add_dynamic_partitions("batches", list(batch_ids))

    def run(self, job: str = "ingest", *span: str, **more: Any) -> dg.ExecuteInProcessResult:
        """Run a job, on one partition or from one to another."""
        tags = dict(zip(RANGE, (span[0], span[-1]), strict=True)) if span else {}
        return self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=tags, raise_on_error=False, **more
        )

    def evaluations(self, run_id: str) -> dict[tuple[str, str, str | None], Any]:
        """(asset, check, partition) → evaluation, of one run."""
        found = {}
        for entry in self.instance.all_logs(run_id, {dg.DagsterEventType.ASSET_CHECK_EVALUATION}):
            each = entry.get_dagster_event().asset_check_evaluation_data
            found[each.asset_key.to_user_string(), each.check_name, each.partition] = each
        return found

    def materialized(self, key: str) -> set[str]:
        """The partitions of an asset that Dagster holds for materialized."""
        return set(self.instance.get_materialized_partitions(dg.AssetKey(key.split("/"))))

    def digests(self) -> dict[str, str]:
        """Of gold, from all rows."""
        with self.warehouse.connect(Role.TRANSFORMER) as connection:
            return recomputed_digests(connection)

    def owner(self, *statements: str) -> None:
        """Do something as the owner."""
        with self.warehouse.connect(Role.OWNER, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())


@pytest.fixture
def place(state_dir: Path, defs: dg.Definitions, prepared: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """An empty warehouse, and the bundled recording at hand."""
    environment = {
        "SPORTS_MARKET_STATE_DIR": str(state_dir),
        "SPORTS_MARKET_DATABASE_URL": address(prepared),
        "SPORTS_MARKET_ROLE_PREFIX": prepared.role_prefix,
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shutil.rmtree(state_dir / "live", ignore_errors=True)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Place(prepared, defs, instance, environment)


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """``recordings(3)`` puts a recording of the first three batches at hand, with their snapshots, and nothing else."""

    def make(count: int) -> Path:
        folder = bundled_part(tmp_path / "recordings" / "first", count)
        monkeypatch.setenv("SPORTS_MARKET_RECORDINGS_DIR", str(folder.parent))
        return folder

    return make
