"""Keep the shape of each batch in ``ops``, and say what drifted. ``ops.drift`` finds it; here it is written and read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from psycopg.types.json import Jsonb

from pipeline.clock import Clock
from pipeline.contracts.drift import WORDS, Drift, Mark, Seen, Shape, lines_of
from pipeline.recording.model import Batch
from pipeline.warehouse.connect import Connection

CHECK: Final = "drift"
# Of what drifted, so many lines are told in the check; the view has all of it.
LINES_SHOWN: Final = 5

_DRIFT: Final = "select batch_id, kind, endpoint, path, before, after, example_batch_id, example_place from ops.drift"


def record_shape(connection: Connection, batch: Batch, shape: Shape, clock: Clock) -> None:
    """Keep the shape of a batch, and note as a check of the batch what it brings that no batch before it in time showed.

    The check warns and never blocks; it tells what was known when the batch was loaded.

    Args:
        connection: of the ingester, in the transaction that takes the batch into bronze.
        batch: is in ``bronze.batches``, and for the first time.
        shape: of its exchanges.
        clock: dates the check.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.batch_shapes (batch_id, endpoint, plan_id, shape) values (%s, %s, %s, %s)",
            [(batch.batch_id, endpoint, batch.plan.plan_id, Jsonb(document)) for endpoint, document in to_json(shape).items()],
        )
    # Only what is not known yet is written; in the order of the key, so that two loads wait for each other and never in a ring.
    connection.execute(
        "insert into ops.shape_firsts as firsts (kind, endpoint, path, name, value, batch_id, place)"
        " select given.kind, given.endpoint, given.path, given.name, given.value, %(batch)s, given.place"
        " from unnest(%(kind)s::text[], %(endpoint)s::text[], %(path)s::text[], %(name)s::text[], %(value)s::text[],"
        " %(place)s::integer[]) as given (kind, endpoint, path, name, value, place)"
        " left join ops.shape_firsts as known on known.kind = given.kind and known.endpoint = given.endpoint"
        " and known.path = given.path and known.name = given.name and known.value = given.value"
        " where known.batch_id is null or known.batch_id > %(batch)s"
        " order by given.kind, given.endpoint, given.path, given.name, given.value"
        " on conflict (kind, endpoint, path, name, value) do update"
        " set batch_id = excluded.batch_id, place = excluded.place where firsts.batch_id > excluded.batch_id",
        {
            "batch": batch.batch_id,
            **{column: [getattr(mark, column) for mark in shape.marks] for column in Mark._fields},
            "place": [seen.example[1] for seen in shape.marks.values()],
        },
    )
    drifts = drift_of(connection, batch.batch_id)
    told = lines_of(drifts, batch.batch_id)
    more = [f"{len(told) - LINES_SHOWN} more"] if len(told) > LINES_SHOWN else []
    connection.execute(
        "insert into ops.check_results (batch_id, check_name, status, failures, message, checked_at)"
        " values (%s, %s, %s, %s, %s, %s)",
        [
            batch.batch_id,
            CHECK,
            "warn" if drifts else "pass",
            len(drifts),
            " | ".join([*told[:LINES_SHOWN], *more]) or None,
            clock.now(),
        ],
    )


def drift_of(connection: Connection, batch_id: str) -> tuple[Drift, ...]:
    """What a batch brought, as known now, sorted."""
    return drift_since(connection, batch_id, batch_id).get(batch_id, ())


def drift_since(connection: Connection, first: str, last: str) -> dict[str, tuple[Drift, ...]]:
    """What each batch from ``first`` to ``last`` brought, in order of time; batches without drift are left out."""
    rows = connection.execute(f"{_DRIFT} where batch_id between %s and %s".encode(), [first, last]).fetchall()
    found: defaultdict[str, list[Drift]] = defaultdict(list)
    for batch_id, *columns in rows:
        found[batch_id].append(Drift(*columns))
    return {batch_id: tuple(sorted(found[batch_id], key=Drift.order)) for batch_id in sorted(found)}


def shape_in(connection: Connection, batch_id: str) -> Shape:
    """The shape of a batch that was loaded; empty where no answer of it was JSON."""
    rows = connection.execute("select endpoint, shape from ops.batch_shapes where batch_id = %s", [batch_id]).fetchall()
    return from_json(batch_id, dict(rows))


def to_json(shape: Shape) -> dict[str, Any]:
    """The documents of ``ops.batch_shapes.shape`` by endpoint."""
    documents: dict[str, Any] = {}
    for mark in sorted(shape.marks):
        seen = shape.marks[mark]
        document = documents.setdefault(mark.endpoint, {"places": {}, "words": {}})
        if mark.kind in WORDS:
            document["words"].setdefault(mark.kind, {}).setdefault(mark.path, {})[mark.value] = [seen.times, seen.example[1]]
            continue
        place = document["places"].setdefault(mark.path, {"objects": 0, "first": None, "fields": {}})
        if mark.kind == "place":
            place.update(objects=seen.times, first=seen.example[1])
        else:
            place["fields"].setdefault(mark.name, {})[mark.value] = [seen.times, seen.example[1]]
    return documents


def from_json(batch_id: str, documents: Mapping[str, Any]) -> Shape:
    """The inverse of :func:`to_json`."""
    marks: dict[Mark, Seen] = {}
    for endpoint, document in documents.items():
        for path, place in document["places"].items():
            if place["objects"]:
                marks[Mark("place", endpoint, path)] = Seen(place["objects"], (batch_id, place["first"]))
            for name, types in place["fields"].items():
                for value, (times, first) in types.items():
                    marks[Mark("type", endpoint, path, name, value)] = Seen(times, (batch_id, first))
        for kind, paths in document["words"].items():
            for path, words in paths.items():
                for value, (times, first) in words.items():
                    marks[Mark(kind, endpoint, path, value=value)] = Seen(times, (batch_id, first))
    return Shape(marks)
