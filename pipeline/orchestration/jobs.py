"""The jobs, and the schedules that start them. Every schedule is off until somebody turns it on."""

import datetime as dt
import tempfile
from pathlib import Path
from typing import Any, Final

import dagster as dg
from pydantic import Field

from pipeline.bronze.batch_numbers import batch_numbers
from pipeline.bronze.lookup import Selection
from pipeline.clock import UTC, SystemClock, to_iso
from pipeline.collect.scheduled import forbidden, nothing_due, slot
from pipeline.compute.submitting import Asked, submit
from pipeline.errors import CheckFailed, SportsMarketError
from pipeline.orchestration import asset_checks, assets
from pipeline.orchestration.at_hand import live_folder
from pipeline.orchestration.dagster_resources import CLUSTER_POOL, WAREHOUSE_POOL, Api, Cluster, Workshop, said, settings
from pipeline.orchestration.partitions import batches, newest
from pipeline.orchestration.up import docs_folder
from pipeline.replay.publish import publish
from pipeline.replay.run import ReplayOptions, replay
from pipeline.resources import resource
from pipeline.runs.context import RunContext
from pipeline.runs.quarantine import retry_answers
from pipeline.transform.apply import prepare, rebuild, transformer_session
from pipeline.transform.docs import write_dbt_docs
from pipeline.warehouse.connect import Role
from pipeline.warehouse.database import bootstrap
from pipeline.warehouse.digest import overall_digests, recomputed_digests

# What is due, and whether it is there already, is found out at each tick; that costs no call.
EVERY_MINUTE: Final = "* * * * *"
MINUTE: Final = dt.timedelta(minutes=1)
AT_NIGHT: Final = "30 4 * * *"
# Finished runs without partitions (nightly, docs, sensors' own) are kept so long; runs of batches are the batches' history.
KEEP_RUNS_DAYS: Final = 60

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.assets(assets.recording, assets.batch).without_checks()
    | dg.AssetSelection.checks(*(spec.key for spec in (*asset_checks.BRONZE, *asset_checks.STORED))),
    description="Ingest and prove: take batches in from their recordings (or collect them), publish them, prove each.",
)

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.assets(assets.day, assets.full_refresh) | dg.AssetSelection.checks(*asset_checks.NIGHTLY),
    description="The day before from its bytes to gold, every test of whole tables, every contract on all rows, and the"
    " equivalence with a full refresh.",
)


class ReplayConfig(dg.Config):
    """Which recording, and how.

    Attributes:
        recording: its folder; empty = the bundled one.
        order: ``recorded``, ``reversed`` or ``shuffled``.
        step: batches per dbt run; 0 = all at once.
    """

    recording: str = ""
    order: str = "recorded"
    step: int = 1


@dg.op(pool=WAREHOUSE_POOL)
def replay_recording(context: dg.OpExecutionContext, config: ReplayConfig, workshop: Workshop) -> None:
    """Replay a recording in a database of its own, and prove every batch."""
    folder = Path(config.recording) if config.recording else resource("fixtures/recordings/simulated")
    with said(), tempfile.TemporaryDirectory() as scratch:
        server = workshop.server
        warehouse = server.create_database(f"replay_{context.run_id.replace('-', '')[:12]}")
        try:
            bootstrap(warehouse)
            options = ReplayOptions(order=config.order, step=config.step)
            summary = replay(folder, RunContext(warehouse, workshop.engine, workshop.clock), options, Path(scratch))
        finally:
            server.drop_database(warehouse)
        _tell(context, summary.to_json())
        if summary.exit_code:
            raise CheckFailed(
                "REPLAY_DIFFERS", "; ".join(summary.lines()[:6]), "Replay it on the command line to see all of it."
            )


@dg.op(pool=WAREHOUSE_POOL)
def rebuild_and_compare(context: dg.OpExecutionContext, workshop: Workshop) -> None:
    """Rebuild silver and gold from bronze where they stand, and compare each table with what stood there."""
    with said():
        warehouse, engine = workshop.warehouse, workshop.engine
        prepare(warehouse, engine)
        with transformer_session(warehouse) as session:
            before = recomputed_digests(session)
        rebuild(warehouse, engine)
        with transformer_session(warehouse) as session:
            after = recomputed_digests(session)
        differing = sorted(name for name in before if before[name] != after[name])
        _tell(context, {"before": before, "after": after})
        if differing:
            raise CheckFailed(
                "REBUILD_DIFFERS",
                f"The rebuild gave other rows in {', '.join(differing)}.",
                "What stands now is what bronze gives. Find what wrote the rows that stood before.",
            )


@dg.op(pool=WAREHOUSE_POOL)
def retry_quarantine(context: dg.OpExecutionContext, workshop: Workshop) -> None:
    """Judge every quarantined answer again by today's contracts, and publish the batches of those that are taken now.

    The checks of these batches' partitions are told anew.
    """
    with said():
        run = RunContext(workshop.warehouse, workshop.engine, workshop.clock)
        prepare(run.warehouse, run.engine)
        summary = retry_answers(run, Selection())
        _tell(context, summary.to_json())
        for batch_id in sorted({each.batch_id for each in summary.answers if each.outcome == "released"}):
            one = publish(run, batch_id, workshop.shelf.recording_of(batch_id))
            with run.warehouse.connect(Role.INGESTER) as ingester:
                numbers = batch_numbers(ingester, batch_id)
            asset_checks.tell(context, asset_checks.quarantine(batch_id, numbers), *asset_checks.published(batch_id, one))
        if summary.failures or summary.withheld:
            raise CheckFailed("QUARANTINE_RETRY_FAILED", "; ".join(summary.lines()[:6]), "Mend what is named, and try again.")


@dg.op(pool=WAREHOUSE_POOL)
def write_docs(context: dg.OpExecutionContext, workshop: Workshop) -> None:
    """Write dbt's docs, a page per contract, and the Data Docs of their suites, into the state folder."""
    from pipeline.contracts.commands import docs  # what it stands on takes ten seconds to import

    with said():
        warehouse, project, folder = workshop.warehouse, workshop.project, docs_folder(workshop.settings)
        prepare(warehouse, workshop.engine)
        pages = {
            "dbt": write_dbt_docs(project, warehouse, folder / "dbt"),
            "contracts": docs(project.manifest(), folder / "contracts"),
        }
    context.add_output_metadata({name: dg.MetadataValue.path(page.as_uri()) for name, page in pages.items()})


@dg.op
def tidy_up(context: dg.OpExecutionContext, workshop: Workshop) -> None:
    """Let go of old runs that published nothing, and of the oldest partitions beyond what is shown."""
    instance = context.instance
    before = workshop.clock.now() - dt.timedelta(days=KEEP_RUNS_DAYS)
    old = instance.get_run_records(dg.RunsFilter(created_before=before, statuses=_FINISHED))
    for record in old:
        if not {"dagster/partition", "dagster/asset_partition_range_start"} & record.dagster_run.tags.keys():
            instance.delete_run(record.dagster_run.run_id)
    known = instance.get_dynamic_partitions(str(batches.name))
    for key in set(known) - set(newest(known)):
        instance.delete_dynamic_partition(str(batches.name), key)


class ComputeConfig(dg.Config):
    """Which lake, as `sports-market compute` is asked for it.

    Attributes:
        recordings: folders; empty = the recordings at hand.
        out: the lake's folder; empty = ``lake`` in the state folder. All workers see it, and the recordings, under these paths.
        since, until: only batches scheduled then; empty = all.
        sport: only answers to requests about this sport; empty = all.
        shards: tasks; 0 = by cores and outcomes.
    """

    recordings: list[str] = Field(default=[])
    out: str = ""
    since: str = ""
    until: str = ""
    sport: str = ""
    shards: int = 0


@dg.op(pool=CLUSTER_POOL)
def compute_lake(context: dg.OpExecutionContext, config: ComputeConfig, workshop: Workshop, cluster: Cluster) -> None:
    """Compute gold of recordings on Spark, as a lake; its files are parted by sport and month.

    A run makes a lake whole, and is not parted itself: what happened in a month hangs on answers before and after it, and which
    sport an event has on all that show it, so that lakes of parts do not add up to the lake of all.
    """
    with said():
        asked = Asked(
            cluster.address,
            tuple(map(Path, config.recordings)) or workshop.shelf.folders,
            Path(config.out) if config.out else workshop.settings.state_dir.absolute() / "lake",
            config.since or None,
            config.until or None,
            config.sport or None,
            config.shards or None,
            tuple(sorted(cluster.conf.items())),
        )
        summary = submit(asked, context.log.info)
    context.add_output_metadata(
        {
            "lake": dg.MetadataValue.path(str(summary.out)),
            "batches": summary.batches,
            "rows": summary.rows,
            "bytes": summary.bytes,
            "tasks": len(summary.tasks),
            "seconds in tasks": round(sum(seconds for _, _, seconds in summary.tasks), 1),
            "seconds in the second stage": round(summary.merge_seconds, 1),
            **{f"digest of all {kind}": digest for kind, (_, digest) in overall_digests(summary.digests).items()},
            "result": dg.MetadataValue.json(summary.to_json()),
        }
    )


_FINISHED: Final = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

replay_job = dg.GraphDefinition("replay", node_defs=[replay_recording], description=replay_recording.__doc__).to_job()
rebuild_job = dg.GraphDefinition("rebuild", node_defs=[rebuild_and_compare], description=rebuild_and_compare.__doc__).to_job()
quarantine_job = dg.GraphDefinition("quarantine", node_defs=[retry_quarantine], description=retry_quarantine.__doc__).to_job()
docs_job = dg.GraphDefinition("docs", node_defs=[write_docs], description=write_docs.__doc__).to_job()
compute_job = dg.GraphDefinition("compute", node_defs=[compute_lake], description=compute_lake.__doc__).to_job()
tidy_job = dg.GraphDefinition("tidy", node_defs=[tidy_up], description=tidy_up.__doc__).to_job()

ALL: Final = (ingest, nightly, replay_job, rebuild_job, quarantine_job, docs_job, compute_job, tidy_job)


@dg.schedule(
    name="live",
    job=ingest,
    cron_schedule=EVERY_MINUTE,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Adds the batch that the plan's cadence makes due, and runs it; skips, and says why, what must not be spent.",
)
def live(context: dg.ScheduleEvaluationContext, api: Api) -> dg.RunRequest | dg.SkipReason:
    """One batch per slot of the cadence, named by the slot and the plan."""
    try:
        file, given, now = api.file, settings(), context.scheduled_execution_time.astimezone(UTC)
        at = slot(now.replace(microsecond=0), file.every or MINUTE)
        batch_id = file.plan.identity.batch_id(at)
        if batch_id in context.instance.get_dynamic_partitions(str(batches.name)):
            return dg.SkipReason(f"The batch of {to_iso(at)} is there.")
        if later := nothing_due(file, at, live_folder(given)):
            return dg.SkipReason(later)
        with api.client(SystemClock()) as client:
            why = forbidden(file, client)
        if why is not None:
            return dg.SkipReason(str(why))
    except SportsMarketError as error:
        return dg.SkipReason(str(error))
    context.instance.add_dynamic_partitions(str(batches.name), [batch_id])
    return dg.RunRequest(
        run_key=batch_id, partition_key=batch_id, tags={"batches": batch_id, "plans": file.plan.identity.plan_id}
    )


SCHEDULES: Final = (
    live,
    dg.ScheduleDefinition(name="nightly", job=nightly, cron_schedule=AT_NIGHT, execution_timezone="UTC"),
    dg.ScheduleDefinition(name="tidy", job=tidy_job, cron_schedule="0 5 * * 0", execution_timezone="UTC"),
)


def _tell(context: dg.OpExecutionContext, document: dict[str, Any]) -> None:
    context.add_output_metadata({"result": dg.MetadataValue.json(document)})
