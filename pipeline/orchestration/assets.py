"""The assets: recording → bronze → silver → gold, a partition per batch.

A run may hold many partitions. Each is told as it is done, by its own events: what is withheld is never told as materialized,
and what was published before it stays told.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final

import dagster as dg

from pipeline.bronze.batch_load import load_batch
from pipeline.bronze.batch_numbers import BatchNumbers, batch_numbers
from pipeline.bronze.sources import refuse_calls
from pipeline.collect.live import Conduct
from pipeline.collect.scheduled import collect_scheduled
from pipeline.errors import ConflictError, RecordingError
from pipeline.orchestration import asset_checks
from pipeline.orchestration.at_hand import BUNDLED_SAYS, is_bundled, live_folder
from pipeline.orchestration.dagster_resources import API_POOL, WAREHOUSE_POOL, Api, Workshop, said
from pipeline.orchestration.partitions import batches
from pipeline.orchestration.translator import SOURCES, STANDING, STORED_MODELS
from pipeline.replay.day import SPOOLED, DayProof, day_of, prove_day
from pipeline.replay.equivalence import compare_full_refresh
from pipeline.replay.publish import Publication, publish, refuse
from pipeline.report.movement import movement_markdown
from pipeline.runs.context import RunContext
from pipeline.transform.anew import REBUILT
from pipeline.transform.apply import prepare
from pipeline.warehouse.connect import Role
from pipeline.warehouse.months import archived_months, month_text

# For what passes by itself: a network, a server that restarts. What is wrong with a batch is not tried again.
RETRIES: Final = dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL)
STATEMENT_MILLISECONDS: Final = 60_000
EQUIVALENT: Final = "equivalent"
OWNERS: Final = ("team:sports-market",)

API_KEY: Final = dg.AssetKey("the_odds_api")
ANSWER_CONTRACTS: Final = dg.AssetKey(["contracts", "answers"])
RECORDING: Final = dg.AssetKey("recording")
# What the load of a batch makes: dbt's sources but for the transformation's own, and what stands behind them.
BRONZE: Final = {
    **{key: text for key, text in SOURCES.items() if key[0] == "bronze" or key[1] == "ledger"},
    ("bronze", "bodies"): "Response bodies byte for byte, once per content.",
    ("ops", "verdicts"): "Each answer's verdicts against its contract; the last one counts.",
}
DOCUMENTS: Final = ("bronze", "documents")
# A proof computes gold anew from these. It is held against every stored table, which is no lineage: a line from each would
# hide what gold is made of.
COMPUTED_FROM: Final = [[*key] for key in BRONZE if key[0] == "bronze"]
# Filled and emptied within a transformation; here so that the lineage has no gap.
WITHIN: Final = {key: text for key, text in SOURCES.items() if key not in BRONZE}

EXTERNAL: Final = (
    dg.AssetSpec(API_KEY, group_name="sources", kinds={"api"}, description="The Odds API, v4.", owners=OWNERS),
    dg.AssetSpec(
        ANSWER_CONTRACTS, group_name="sources", kinds={"json"}, description="What answers promise: JSON Schema.", owners=OWNERS
    ),
    dg.AssetSpec(
        asset_checks.TABLE_CONTRACTS,
        group_name="sources",
        kinds={"yaml"},
        description="What tables promise: ODCS documents.",
        owners=OWNERS,
    ),
    *(
        dg.AssetSpec([*key], group_name="silver", deps=[[*each] for each in BRONZE], kinds={"postgres"}, description=text)
        for key, text in WITHIN.items()
    ),
)


@dg.asset(
    key=RECORDING,
    deps=[API_KEY],
    partitions_def=batches,
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool=API_POOL,
    retry_policy=RETRIES,
    group_name="sources",
    kinds={"json"},
    owners=[*OWNERS],
    description="A sealed batch on disk: bodies byte for byte and an index. One that no recording holds is collected now.",
)
def recording(context: dg.AssetExecutionContext, workshop: Workshop, api: Api) -> Iterator[Any]:
    """Find each batch among the recordings at hand; ask the live plan for what is in none."""
    shelf, folder, clock = workshop.shelf, live_folder(workshop.settings), workshop.clock
    for batch_id in sorted(context.partition_keys):
        known = shelf.recording_of(batch_id)
        if known is None:
            with said(), api.client(clock) as client:
                if api.source == "live":
                    refuse_calls(workshop.warehouse, client.base_url)
                collect_scheduled(api.file, batch_id, client, folder, Conduct(), api.source)
        path = folder if known is None else known.path
        told = {"path": dg.MetadataValue.path(str(path)), "collected": known is None}
        marked = {"simulated": BUNDLED_SAYS} if is_bundled(path) else {}
        context.add_asset_metadata({**told, **marked}, RECORDING, partition_key=batch_id)
    yield dg.MaterializeResult()


@dg.multi_asset(
    name="batch",
    specs=[
        *(
            dg.AssetSpec(
                [*key],
                deps=[["bronze", "bodies"]]
                if key == DOCUMENTS
                else [RECORDING, *([ANSWER_CONTRACTS] if key[0] == "ops" else [])],
                group_name="bronze",
                kinds={"postgres"},
                owners=OWNERS,
                description=text,
                partitions_def=batches,
                skippable=True,
            )
            for key, text in BRONZE.items()
        ),
        *STORED_MODELS,
    ],
    check_specs=[*asset_checks.BRONZE, *asset_checks.STORED],
    backfill_policy=dg.BackfillPolicy.single_run(),
    pool=WAREHOUSE_POOL,
    retry_policy=RETRIES,
    can_subset=True,
    allow_arbitrary_check_specs=True,
)
def batch(context: dg.AssetExecutionContext, workshop: Workshop, api: Api) -> Iterator[Any]:
    """Load, publish and prove the batches of the run, one after the other in order of time, or withhold them.

    One that cannot be loaded, or is withheld, does not keep the others from it; the step fails at its end and names it.
    """
    keys = sorted(context.partition_keys)
    plans = sorted({key.partition("-")[2] for key in keys})
    context.instance.add_run_tags(context.run.run_id, {"batches": f"{keys[0]}…{keys[-1]}", "plans": ", ".join(plans[:5])})
    context.log.addFilter(_is_no_false_alarm)
    # else each event that is told opens two or three connections to Dagster's database
    context.instance.optimize_for_webserver(statement_timeout=STATEMENT_MILLISECONDS, pool_recycle=3600, max_overflow=5)
    loads = any(tuple(key.path) in BRONZE for key in context.selected_asset_keys)
    publishes = any(tuple(key.path) not in BRONZE for key in context.selected_asset_keys)
    done: dict[str, Publication] = {}
    broken: dict[str, str] = {}
    with said(), workshop.opened() as opened:
        shelf, proven_plan = workshop.shelf, api.proven_plan if publishes else None
        for batch_id in keys:
            try:
                if loads:
                    load_batch(opened.ingester, shelf.read(batch_id), workshop.clock)
                    numbers = batch_numbers(opened.ingester, batch_id)
                    numbers_of = bronze_metadata(numbers)
                    for path in BRONZE:
                        _materialized(context, dg.AssetKey([*path]), batch_id, numbers_of.get(path, {}))
                    found = (
                        asset_checks.loaded(batch_id),
                        asset_checks.quarantine(batch_id, numbers),
                        asset_checks.drift(batch_id, numbers),
                    )
                    asset_checks.tell(context, *found)
                if publishes:
                    prove = batch_id.partition("-")[2] == proven_plan
                    run = RunContext(opened.warehouse, workshop.engine, workshop.clock, prove=prove)
                    one = publish(run, batch_id, shelf.recording_of(batch_id))
                    done[batch_id] = one
                    for key in sorted(context.selected_asset_keys) if one.published else ():
                        if tuple(key.path) not in BRONZE:
                            _materialized(context, key, batch_id, _stored_metadata(key, one))
                    asset_checks.tell(context, *asset_checks.published(batch_id, one))
                    context.log.info(f"{batch_id}: {one.failure() or 'published and proven'} ({one.seconds:.2f} s)")
            except (RecordingError, ConflictError) as error:
                left = (spec.key for spec in (*asset_checks.BRONZE, *asset_checks.STORED) if spec.name != "loaded")
                asset_checks.tell(
                    context, asset_checks.loaded(batch_id, error), *asset_checks.not_made(batch_id, left, "it is not loaded")
                )
                broken[batch_id] = f"{error.code}: {error.message}"
        refuse(done, broken)
    yield from ()


@dg.asset(
    key=["proof", "full_refresh"],
    group_name="proof",
    deps=COMPUTED_FROM,
    check_specs=[
        dg.AssetCheckSpec(
            EQUIVALENT, asset=["proof", "full_refresh"], description="Each table has the rows that bronze gives anew."
        )
    ],
    pool=WAREHOUSE_POOL,
    owners=[*OWNERS],
    kinds={"postgres"},
    description="Silver and gold computed from bronze in a database of their own, compared with what stands, and dropped.",
)
def full_refresh(workshop: Workshop) -> Iterator[Any]:
    """Rebuild elsewhere, and compare the digests; where months are archived that cannot be done, and is no failure."""
    with said():
        prepare(workshop.warehouse, workshop.engine)
        with workshop.warehouse.connect(Role.TRANSFORMER) as session:
            archived = ", ".join(map(month_text, archived_months(session)))
        if archived:
            check = dg.AssetCheckResult(
                check_name=EQUIVALENT, passed=False, severity=dg.AssetCheckSeverity.WARN, metadata={"archived": archived}
            )
            yield dg.MaterializeResult(metadata={"archived": archived}, check_results=[check])
            return
        compared = compare_full_refresh(workshop.server, workshop.warehouse, workshop.project, workshop.make_anew)
    differing = {name: f"{stands} stands, {anew} from bronze" for name, (stands, anew) in compared.items() if stands != anew}
    check = dg.AssetCheckResult(check_name=EQUIVALENT, passed=not differing, metadata={"tables": len(compared), **differing})
    yield dg.MaterializeResult(metadata={name: anew for name, (_, anew) in compared.items()}, check_results=[check])


class DayConfig(dg.Config):
    """Which day.

    Attributes:
        day: such as ``2026-01-15``, of UTC; or ``yesterday``.
    """

    day: str = "yesterday"


@dg.asset(
    key=["proof", "day"],
    group_name="proof",
    deps=[RECORDING, *COMPUTED_FROM],
    check_specs=[
        dg.AssetCheckSpec(
            SPOOLED, asset=["proof", "day"], description="Every answer of the day's recordings is in bronze, byte for byte."
        ),
        dg.AssetCheckSpec(
            REBUILT, asset=["proof", "day"], description="Gold of what the day's batches bear on is what bronze gives anew."
        ),
    ],
    pool=WAREHOUSE_POOL,
    owners=[*OWNERS],
    kinds={"postgres"},
    description="The day before, from its bytes to gold: the recordings held against bronze, gold computed anew from it.",
)
def day(context: dg.AssetExecutionContext, config: DayConfig, workshop: Workshop) -> Iterator[Any]:
    """Prove the day before; recordings that are broken, or not loaded, are a failure of it."""
    with said():
        wanted = day_of(config.day, workshop.clock.now())
        proof = prove_day(workshop.warehouse, workshop.engine, workshop.shelf, wanted)
    counts: dict[str, Any] = {
        "day": str(proof.day),
        "spooled": proof.spooled,
        "published": proof.published,
        "events": proof.events,
    }
    yield dg.MaterializeResult(metadata=counts, check_results=_day_checks(proof))


ALL: Final[tuple[dg.AssetSpec | dg.AssetsDefinition, ...]] = (*EXTERNAL, *STANDING, recording, batch, full_refresh, day)


def _day_checks(proof: DayProof) -> list[dg.AssetCheckResult]:
    return [
        dg.AssetCheckResult(
            check_name=check.name, passed=check.ok, metadata=asset_checks.rows_of(check), description=check.message
        )
        for check in proof.checks
    ]


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    """Checks are told per partition, as events; Dagster expects them as outputs, and names all of them as a run ends."""
    return "did not yield or return expected outputs" not in record.getMessage()


def _materialized(context: dg.AssetExecutionContext, key: dg.AssetKey, batch_id: str, metadata: Mapping[str, Any]) -> None:
    if key in context.selected_asset_keys:
        context.log_event(dg.AssetMaterialization(asset_key=key, partition=batch_id, metadata=metadata))


def bronze_metadata(numbers: BatchNumbers) -> dict[tuple[str, ...], dict[str, Any]]:
    """What is told of each table of bronze, by its key, when a batch is loaded."""
    return {
        ("bronze", "batches"): {"plan": numbers.plan_id, "source": numbers.source, "credits": numbers.credits},
        ("bronze", "bodies"): {"rows": numbers.bodies, "bytes": numbers.body_bytes},
        ("bronze", "exchanges"): {"rows": numbers.exchanges, "failures": numbers.failures},
        ("ops", "verdicts"): {"quarantined": numbers.quarantined},
        ("ops", "ledger"): {"rows": numbers.answers, "outcomes": numbers.outcomes},
    }


def _stored_metadata(key: dg.AssetKey, one: Publication) -> dict[str, Any]:
    numbers = one.tables[".".join(key.path)]
    found: dict[str, Any] = {"rows": numbers.rows, "changes": numbers.changes}
    if key == asset_checks.QUOTES:
        found |= {"price_age_seconds": one.quotes.price_age_seconds, "hold": one.quotes.hold}
    if key == asset_checks.PRICES:
        found |= {"seconds": one.seconds}
        if one.movement is not None:
            found["line_movement"] = dg.MetadataValue.md(movement_markdown(one.movement))
    if key.path[0] == "gold":
        found["dagster/row_count"] = numbers.rows
    return {name: value for name, value in found.items() if value is not None}
