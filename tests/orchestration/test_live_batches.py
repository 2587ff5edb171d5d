"""Live batches on the simulated market: the schedule adds the partition, and its run collects and publishes it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipeline.collect.scheduled import collect_scheduled
from pipeline.orchestration.resources import Api
from pipeline.orchestration.sensors import failure_text
from pipeline.recording.store import Recording
from tests.orchestration.conftest import BATCH_IDS, Place

TICK = dt.datetime(2026, 1, 15, 18, 0, tzinfo=dt.UTC)


def request_of(place: Place, at: dt.datetime) -> dg.RunRequest:
    schedule = place.defs.get_repository_def().get_schedule_def("live")
    context = dg.build_schedule_context(
        instance=place.instance,
        scheduled_execution_time=at,
        repository_def=place.defs.get_repository_def(),
        resources={"api": Api()},
    )
    data = schedule.evaluate_tick(context)
    assert data.run_requests is not None
    [request] = data.run_requests
    return request


def test_it_is_off_until_somebody_turns_it_on(defs: dg.Definitions) -> None:
    for schedule in defs.get_repository_def().schedule_defs:
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


@pytest.fixture
def stored(place: Place) -> Iterator[Place]:
    """With a Dagster on disk: a schedule opens it by its address."""
    with dg.instance_for_test() as instance:
        place.instance = instance
        yield place


def test_a_tick_adds_its_partition_once_and_its_run_publishes_it(stored: Place, state_dir: Path) -> None:
    place = stored
    request = request_of(place, TICK)
    assert request == request_of(place, TICK)
    [batch_id] = place.instance.get_dynamic_partitions("batches")
    assert request.partition_key == batch_id
    assert batch_id.startswith("20260115T180000Z-")
    assert request.tags["batches"] == batch_id
    assert request.tags["plans"] == batch_id.partition("-")[2]

    assert place.run("ingest", batch_id).success
    assert Recording.open(state_dir / "live").batch_ids == (batch_id,)
    assert place.materialized("gold/price_history") == {batch_id}
    first = place.digests()
    again = place.run("ingest", batch_id)
    assert again.success  # what is on disk is not asked for again
    found = place.evaluations(again.run_id)
    assert found["gold/price_history", "determinism", batch_id].metadata["method"].value == "rebuilt"
    assert place.digests() == first
    rows = {table: digest for table, digest in first.items() if table == "gold.price_history"}
    assert rows["gold.price_history"] != f"sha256:{'e3b0c442' + '98fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'}"


def test_a_batch_of_another_plan_is_not_collected(tmp_path: Path) -> None:
    from pipeline.clock import ManualClock
    from pipeline.errors import UsageError

    api = Api()
    clock = ManualClock(TICK)
    for wrong in ("20260115T180000Z-000000000000", "nonsense"):
        with api.session(clock) as session, pytest.raises(UsageError) as caught:
            collect_scheduled(api.plan, wrong, session, clock, tmp_path / "live")
        assert caught.value.code == "BATCH_OF_ANOTHER_PLAN"
    assert not (tmp_path / "live").exists()


def test_the_sensor_adds_sealed_batches_and_then_rests(place: Place) -> None:
    sensor = place.defs.get_repository_def().get_sensor_def("recordings")

    def tick() -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(instance=place.instance, repository_def=place.defs.get_repository_def())
        result = sensor(context)
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        return result

    first = tick()
    assert isinstance(first, dg.SensorResult)
    assert first.run_requests is None or first.run_requests == []  # it runs nothing
    [request] = first.dynamic_partitions_requests or []
    assert tuple(request.partition_keys) == BATCH_IDS
    place.add(request.partition_keys)
    assert isinstance(tick(), dg.SkipReason)


def test_a_failure_is_told_in_one_line() -> None:
    run = dg.DagsterRun(job_name="ingest", run_id="r1", tags={"batches": "a…b"})
    text = failure_text(run, ["CODE: what happened\nnext line\nmore"])
    assert text == "ingest (a…b) failed: CODE: what happened next line [run r1]"
    assert "before its first step" in failure_text(run, [])
