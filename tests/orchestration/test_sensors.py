"""A run that failed is told in one line, in the log and to a webhook, whose address stays out of the log; and what the command
line published shows as materialized."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipeline.collect.plan_file import load_plan_file
from pipeline.orchestration.sensors import failure_text
from pipeline.warehouse.connect import Role
from tests.hooks import Hook, listening
from tests.orchestration.conftest import BATCH_IDS, BUNDLED, Place


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    with listening() as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("SPORTS_MARKET_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hooks/t0ken")
        yield server


@dg.op
def breaks() -> None:
    raise dg.Failure("ROWS_BROKEN: two rows\nand more\nof it")


@dg.job
def broken() -> None:
    breaks()


def tell_of_a_failure(defs: dg.Definitions) -> list[str]:
    """Let a run fail, and the sensor see it; what it logged."""
    with dg.DagsterInstance.ephemeral() as instance:
        tags = {"dagster/partition": BATCH_IDS[0]}
        result = broken.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
        [event] = [each for each in result.all_events if each.event_type_value == "PIPELINE_FAILURE"]
        context = dg.build_run_status_sensor_context(
            sensor_name="failures",
            dagster_event=event,
            dagster_instance=instance,
            dagster_run=result.dagster_run,
            partition_key=None,
        ).for_run_failure()
        told: list[str] = []
        context.log.error = told.append  # type: ignore[method-assign, assignment]
        [sensor] = [each for each in defs.get_repository_def().sensor_defs if each.name == "failures"]
        sensor(context)  # type: ignore[operator]
    return told


def test_a_failure_is_logged_and_posted(defs: dg.Definitions, hook: Hook) -> None:
    [line] = tell_of_a_failure(defs)
    assert line.startswith(f"broken ({BATCH_IDS[0]}) failed: ROWS_BROKEN: two rows and more [run ")
    assert hook.taken == [("/hooks/t0ken", {"text": line})]


def test_a_webhook_that_refuses_is_told_without_its_address(defs: dg.Definitions, hook: Hook) -> None:
    hook.status = 500
    first, second = tell_of_a_failure(defs)
    assert "ROWS_BROKEN" in first
    assert second == "The webhook did not take it: HTTPError."
    assert len(hook.taken) == 1


def test_without_a_webhook_it_is_logged_alone(defs: dg.Definitions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPORTS_MARKET_WEBHOOK_URL", raising=False)
    assert len(tell_of_a_failure(defs)) == 1


def test_a_run_that_never_began_has_a_text_too() -> None:
    run = dg.DagsterRun(job_name="ingest", run_id="6f1")
    assert failure_text(run, []) == "ingest (no partition) failed: it failed before its first step [run 6f1]"


def test_alerts_of_the_live_plan_are_told_and_posted(
    place: Place, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tick() -> Any:
        [sensor] = [each for each in place.defs.get_repository_def().sensor_defs if each.name == "alerts"]
        resources = {name: each for name, each in (place.defs.resources or {}).items() if name in ("api", "workshop")}
        with dg.build_sensor_context(instance=place.instance, resources=resources) as context:
            return sensor.evaluate_tick(context).skip_message

    plan = tmp_path / "plan.yml"
    plan.write_text("endpoints: [odds]\nsports: [basketball_nba]\nregions: [us]\ncadence: 5m\n")
    monkeypatch.setenv("SPORTS_MARKET_PLAN", str(plan))
    assert tick() == "The plan asks to be told of nothing."
    plan.write_text(plan.read_text() + "alerts: [withheld]\n")
    assert tick() == "0 alerts were told."
    plan_id = load_plan_file(plan).plan.identity.plan_id
    with place.warehouse.connect(Role.OWNER) as owner:
        owner.execute(
            "insert into bronze.batches (batch_id, scheduled_at, plan_id, plan, source, exchange_count, content_sha256)"
            " values ('b', now(), %s, '{}', 'live', 0, '')",
            [plan_id],
        )
        owner.execute(
            "insert into ops.alerts (alert_id, kind, batch_id, raised_at, message, row_table, row_key)"
            " values ('a', 'withheld', 'b', now(), 'why', 'ops.batch_states', '{}')"
        )
        owner.commit()
    assert tick() == "1 alerts were told."
    assert [body["text"] for _, body in hook.taken] == ["withheld: why"]
    assert tick() == "0 alerts were told."


def tick_of(place: Place, name: str) -> Any:
    """What one tick of a sensor gives."""
    [sensor] = [each for each in place.defs.get_repository_def().sensor_defs if each.name == name]
    resources = {name: each for name, each in (place.defs.resources or {}).items() if name == "workshop"}
    with dg.build_sensor_context(instance=place.instance, resources=resources) as context:
        return sensor.evaluate_tick(context)


def test_what_the_command_line_published_shows_as_materialized(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    # what Dagster loads knows its state folder from then on, so not before the folder is set
    from pipeline.orchestration import published_elsewhere

    assert tick_of(place, "published_elsewhere").skip_message == "Every published batch shows as materialized."
    first, second, third = BATCH_IDS[:3]
    place.add([first])
    run = place.run("ingest", first)
    assert run.success
    assert not [line for line in place.instance.all_logs(run.run_id) if "did not yield" in line.user_message]
    of_a_run = {event.asset_key for event in run.get_asset_materialization_events()} - {dg.AssetKey("recording")}
    subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "load", str(BUNDLED), "--batches", "3"],
        env=os.environ | place.environment,
        check=True,
        capture_output=True,
    )
    # a run of Dagster's own may still be telling of what was published a moment ago
    assert not tick_of(place, "published_elsewhere").asset_events
    monkeypatch.setattr(published_elsewhere, "GRACE", dt.timedelta(0))
    monkeypatch.setattr(published_elsewhere, "MOST_BATCHES", 1)
    told = tick_of(place, "published_elsewhere")
    assert {event.partition for event in told.asset_events} == {third}
    assert [each.partition_keys for each in told.dynamic_partitions_requests] == [[third]]
    assert {event.asset_key for event in told.asset_events} == of_a_run
    [ledger] = [event for event in told.asset_events if event.asset_key.to_user_string() == "ops/ledger"]
    assert ledger.metadata["outcomes"].value > 0

    for event in told.asset_events:
        place.instance.report_runless_asset_event(event)
    assert {event.partition for event in tick_of(place, "published_elsewhere").asset_events} == {second}


def test_a_warehouse_that_is_not_there_is_told_and_is_no_failure(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nowhere")
    assert tick_of(place, "published_elsewhere").skip_message.startswith("DATABASE_UNREACHABLE: ")
