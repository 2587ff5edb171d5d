"""What bronze holds, read back as the values that it was made of."""

from __future__ import annotations

import uuid
from typing import Any, Final

from pipeline.clock import UTC
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, Failure, PlanIdentity
from pipeline.warehouse.connect import Connection

_EXCHANGES: Final = (
    "select exchanges.place, exchanges.attempt, exchanges.endpoint, exchanges.sport_key, exchanges.event_id,"
    " exchanges.request -> 'params', exchanges.coverage, exchanges.captured_at, exchanges.status, exchanges.headers,"
    " bodies.body, exchanges.failure_code, exchanges.failure_message"
    " from bronze.exchanges as exchanges left join bronze.bodies as bodies"
    " on bodies.body_sha256 = exchanges.body_sha256 and bodies.month = ops.month_of(exchanges.captured_at)"
)


def read_exchange(connection: Connection, answer: uuid.UUID) -> Exchange:
    """An answer as it came; its month is not archived."""
    row = connection.execute(f"{_EXCHANGES} where exchanges.exchange_id = %s".encode(), [answer]).fetchone()
    assert row is not None
    return _exchange(row)


def read_batch(connection: Connection, batch_id: str) -> Batch:
    """A batch as it was loaded; what it has in archived months comes without bodies."""
    head = connection.execute(
        "select scheduled_at, plan, source from bronze.batches where batch_id = %s", [batch_id]
    ).fetchone()
    assert head is not None, batch_id
    scheduled_at, plan, source = head
    rows = connection.execute(
        f"{_EXCHANGES} where exchanges.batch_id = %s order by exchanges.place, exchanges.attempt".encode(), [batch_id]
    )
    return Batch(batch_id, scheduled_at.astimezone(UTC), PlanIdentity(plan), source, tuple(map(_exchange, rows)))


def _exchange(row: tuple[Any, ...]) -> Exchange:
    place, attempt, endpoint, sport, event_id, params, coverage, captured_at, status, headers, body, code, message = row
    return Exchange(
        place=place,
        attempt=attempt,
        request=ApiRequest.of(endpoint, sport=sport, event_id=event_id, params=params),
        coverage=Coverage.from_json(coverage),
        captured_at=captured_at.astimezone(UTC),
        status=status,
        headers=tuple(sorted(headers.items())),
        body=body,
        failure=None if code is None else Failure(code, message),
    )
