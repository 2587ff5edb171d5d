"""The job `compute`: the lake of the command, told as metadata; and an error with its code where Spark is not there."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline.compute.spark_extra import has_java
from pipeline.export import extra
from pipeline.export.verify_export import verify_export
from pipeline.replay.snapshots import SnapshotStore
from tests.orchestration.conftest import BATCH_IDS, Place

needs_spark = pytest.mark.skipif(find_spec("pyspark") is None or not has_java(), reason="needs pyspark and a Java")


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    [failure] = [event for event in result.all_events if event.is_step_failure]
    return str(failure.step_failure_data.user_failure_data)


def asked(out: Path, master: str = "", **more: Any) -> dict[str, Any]:
    return {
        "ops": {"compute_lake": {"config": {"out": str(out), **more}}},
        "resources": {"cluster": {"config": {"master": master, "conf": {"spark.task.maxFailures": "1"}}}},
    }


@needs_spark
def test_a_lake_of_the_recordings_at_hand(
    place: Place, recordings: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recordings(3)
    monkeypatch.setenv("SPORTS_MARKET_SPARK_MASTER", "local[2]")
    result = place.run("compute", run_config=asked(tmp_path / "lake"))
    assert result.success
    told = {
        name: value.value
        for event in result.all_events
        if event.is_step_success or event.event_type is dg.DagsterEventType.STEP_OUTPUT
        for name, value in getattr(event.event_specific_data, "metadata", {}).items()
    }
    check = verify_export(tmp_path / "lake")
    assert check.faults == ()
    snapshot = SnapshotStore(folder).read(BATCH_IDS[2])
    assert snapshot is not None
    assert snapshot.digests.items() <= check.digests.items()
    assert told["result"]["digests"] == check.digests
    assert (told["batches"], told["tasks"], told["rows"]) == (3, 2, check.rows)
    assert told["lake"] == str(tmp_path / "lake") and told["seconds in tasks"] > 0
    assert {"digest of all tables", "digest of all views"} <= told.keys()


def test_no_master(place: Place, recordings: Callable[[int], Path], tmp_path: Path) -> None:
    recordings(1)
    assert "SPARK_MASTER_MISSING" in failure_of(place.run("compute", run_config=asked(tmp_path / "lake")))


def test_without_spark_it_says_what_to_install(
    place: Place, recordings: Callable[[int], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings(1)
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "pyspark" else find_spec(name))
    told = failure_of(place.run("compute", run_config=asked(tmp_path / "lake", "local[1]")))
    assert "EXTRA_MISSING" in told and "[spark]" in told
    assert not (tmp_path / "lake").exists()


def test_a_span_that_is_none(place: Place, recordings: Callable[[int], Path], tmp_path: Path) -> None:
    recordings(1)
    span = {"since": "2024-10-26", "until": "2024-10-25"}
    assert "SPAN_EMPTY" in failure_of(place.run("compute", run_config=asked(tmp_path / "lake", "local[1]", **span)))
