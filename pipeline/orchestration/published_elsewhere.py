"""A sensor: what the command line published shows in Dagster as materialized, with what is known of it afterwards."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

import dagster as dg

from pipeline.bronze.batch_numbers import batch_numbers
from pipeline.errors import SportsMarketError
from pipeline.orchestration.assets import BRONZE, bronze_metadata
from pipeline.orchestration.dagster_resources import Workshop
from pipeline.orchestration.partitions import batches, newest
from pipeline.orchestration.translator import STORED_MODELS
from pipeline.warehouse.connect import Connection, Role

SECONDS: Final = 30
# A batch is some forty assets, and each of them an event in Dagster's database: so many batches take it a few seconds.
MOST_BATCHES: Final = 20
# A run of Dagster's own tells what it published within a moment. What it has not told by then, nobody will.
GRACE: Final = dt.timedelta(minutes=2)
SAYS: Final = "published by the command line; materialize it to have it proven here"
# The asset that is asked what is told already: all of a batch are told together.
_ASKED: Final = dg.AssetKey(["gold", "price_history"])


@dg.sensor(
    name="published_elsewhere",
    minimum_interval_seconds=SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Batches that the command line loaded and published become partitions that are materialized. It runs nothing.",
)
def published_elsewhere(context: dg.SensorEvaluationContext, workshop: Workshop) -> dg.SensorResult | dg.SkipReason:
    """Tell Dagster of the newest published batches that it has not been told of."""
    told = context.instance.get_materialized_partitions(_ASKED)
    try:
        with workshop.warehouse.connect(Role.INGESTER) as ingester:
            published = published_before(ingester, workshop.clock.now() - GRACE)
            waiting = [batch_id for batch_id in newest(published) if batch_id not in told]
            chosen = waiting[-MOST_BATCHES:]
            events = [event for batch_id in chosen for event in materializations(ingester, batch_id)]
    except SportsMarketError as error:
        return dg.SkipReason(f"{error.code}: {error.message}")
    if not chosen:
        return dg.SkipReason("Every published batch shows as materialized.")
    known = set(context.instance.get_dynamic_partitions(str(batches.name)))
    new = [batch_id for batch_id in chosen if batch_id not in known]
    context.log.info(f"{len(chosen)} batches that the command line published; {len(waiting) - len(chosen)} more wait")
    return dg.SensorResult(dynamic_partitions_requests=[batches.build_add_request(new)] if new else [], asset_events=events)


def published_before(connection: Connection, time: dt.datetime) -> list[str]:
    """The batches that were published by then."""
    found = connection.execute(
        "select batch_id from ops.batch_states where state = 'published' and changed_at <= %s order by batch_id", [time]
    )
    return [batch_id for (batch_id,) in found]


def materializations(connection: Connection, batch_id: str) -> Iterator[dg.AssetMaterialization]:
    """What a run of Dagster's would have told of a published batch, but for what only the run itself sees."""
    numbers = bronze_metadata(batch_numbers(connection, batch_id))
    keys: Sequence[tuple[str, ...]] = (*BRONZE, *(tuple(spec.key.path) for spec in STORED_MODELS))
    for key in keys:
        metadata = {**numbers.get(key, {}), "told": SAYS}
        yield dg.AssetMaterialization(asset_key=dg.AssetKey([*key]), partition=batch_id, metadata=metadata)
