"""Sensors: new batches of the recordings become partitions; a failed run is told in one line."""

from typing import Final

import dagster as dg

from pipeline.orchestration.at_hand import BUNDLED_SAYS, offers_bundled, shelf_of
from pipeline.orchestration.dagster_resources import Api, Workshop, settings
from pipeline.orchestration.partitions import batches, newest
from pipeline.runs.alerting import refused_by, send_alerts

SECONDS: Final = 30


@dg.sensor(
    name="recordings",
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sealed batches of the recordings at hand become partitions. It runs nothing: a backfill does.",
)
def recordings(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Add a partition for each sealed batch that has none."""
    known = context.instance.get_dynamic_partitions(str(batches.name))
    given = settings()
    new = [batch_id for batch_id in newest(shelf_of(given).batch_ids) if batch_id not in set(known)]
    if not new:
        return dg.SkipReason("Every sealed batch of the recordings at hand has its partition.")
    if offers_bundled(given):
        context.log.info(BUNDLED_SAYS)
    return dg.SensorResult(dynamic_partitions_requests=[batches.build_add_request(new)])


@dg.run_failure_sensor(
    name="failures",
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells which run failed, why, and what to do: in the log, and to the webhook that the settings name.",
)
def failures(context: dg.RunFailureSensorContext) -> None:
    """Log the failure; post it where a webhook is set."""
    text = failure_text(context.dagster_run, [_error(event) for event in context.get_step_failure_events()])
    context.log.error(text)
    webhook = settings().webhook_url
    if webhook is not None and (refused := refused_by(webhook, {"text": text})):
        context.log.error(f"The webhook did not take it: {refused}.")


@dg.sensor(
    name="alerts",
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells what the live plan asks to be told of: in the log, and to the webhook that the settings name.",
)
def alerts(context: dg.SensorEvaluationContext, workshop: Workshop, api: Api) -> dg.SkipReason:
    """Send what batches of the live plan gave cause to tell."""
    file = api.file
    if not file.alerts:
        return dg.SkipReason("The plan asks to be told of nothing.")
    plan_id, webhook = file.plan.identity.plan_id, settings().webhook_url
    told = send_alerts(workshop.warehouse, webhook, file.alerts, plan_id, workshop.clock, context.log.warning)
    return dg.SkipReason(f"{told} alerts were told.")


def _error(event: dg.DagsterEvent) -> str:
    failed = event.step_failure_data
    if failed.user_failure_data is not None and failed.user_failure_data.description:
        return failed.user_failure_data.description
    return "" if failed.error is None else failed.error.message


def failure_text(run: dg.DagsterRun, errors: list[str]) -> str:
    """One message: the job, its batches, the run, and the first lines of what failed."""
    about = run.tags.get("batches") or run.tags.get("dagster/partition") or "no partition"
    told = [line for error in errors for line in error.splitlines() if line.strip()][:2] or ["it failed before its first step"]
    return f"{run.job_name} ({about}) failed: {' '.join(told)} [run {run.run_id}]"


ALL: Final = (recordings, failures, alerts)
