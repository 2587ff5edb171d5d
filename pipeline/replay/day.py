"""Is a day of a warehouse what its spool holds? Each answer against bronze, and gold of its events computed anew from bronze.

Both together are a replay of the day from nothing: what the spool holds is what bronze holds, and what bronze holds gives what
stands. A replay of the day alone would give other rows rightly, as most of its games were seen on the days before; so their
answers are taken from bronze, where the nights before compared them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pipeline.clock import UTC
from pipeline.errors import RecordingError, UsageError
from pipeline.recording.model import Batch, batch_time, exchange_id
from pipeline.recording.store import content_sha256
from pipeline.transform.anew import borne_on, check_of, compare_anew, refuse_what_is_archived
from pipeline.transform.apply import prepare, transformer_session
from pipeline.transform.checks import Checked, CheckResult, FailingRow
from pipeline.transform.engine import Engine, Session
from pipeline.warehouse.connect import Connection, Role, Warehouse

# The check that the spool and bronze hold the same bytes; that of gold has the name that it has for a batch.
SPOOLED: Final = "spool_in_bronze"
# Of what differs, so much is told.
_SHOWN: Final = 20
_DAY: Final = dt.timedelta(days=1)


class Spool(Protocol):
    """A recording, or several."""

    @property
    def batch_ids(self) -> tuple[str, ...]:
        """Its sealed batches."""

    def read(self, batch_id: str) -> Batch:
        """One of them; a RecordingError where it is broken."""


@dataclass(frozen=True, slots=True)
class DayProof(Checked):
    """What was found of a day.

    Attributes:
        day: of the batches' scheduled times, UTC.
        spooled: batches of it that the spool holds; None where no spool was looked at.
        published: batches of it that are published, whatever recording they are from.
        events: that these bear on, and that were computed anew.
        checks: ``spool_in_bronze``, where there is a spool, and ``rebuilt``.
    """

    day: dt.date
    spooled: int | None
    published: int
    events: int
    checks: tuple[CheckResult, ...]

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "day": self.day.isoformat(),
            "spooled": self.spooled,
            "published": self.published,
            "events": self.events,
            "checks": len(self.checks),
            "failed_checks": len(self.failed),
            "failed": [
                {
                    "name": check.name,
                    "failures": check.failures,
                    "message": check.message,
                    "rows": [{"what": row.rule, "key": row.key, "holds": row.holds} for row in check.rows],
                }
                for check in self.failed
            ],
        }

    def lines(self) -> list[str]:
        """For people."""
        spooled = "no spool was looked at" if self.spooled is None else f"{self.spooled} in the spool"
        return [
            f"{self.day}: {self.published} batches published, {spooled}; {self.events} events computed anew;"
            f" {len(self.checks)} checks, {len(self.failed)} failed",
            *(f"  failed: {check.name}: {row.rule} {row.key}: {row.holds}" for check in self.failed for row in check.rows),
            *(f"  failed: {check.name}: {check.message}" for check in self.failed if not check.rows),
        ]


def day_of(text: str, now: dt.datetime) -> dt.date:
    """The day that is meant: ``2026-01-15``, or ``yesterday``.

    Args:
        text: what was said.
        now: tells what yesterday was, in UTC.

    Raises:
        UsageError: ``DAY_INVALID``.
    """
    if text == "yesterday":
        return (now.astimezone(UTC) - _DAY).date()
    try:
        return dt.datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise UsageError("DAY_INVALID", f"{text!r} is no day.", "Write it as 2026-01-15, or yesterday.") from None


def prove_day(warehouse: Warehouse, engine: Engine, spool: Spool | None, day: dt.date) -> DayProof:
    """Hold a day's batches against bronze, and compute what they bear on anew; changes nothing.

    What the warehouse has beyond that day, or from other recordings, is no difference. Loads wait while gold is computed.

    Args:
        warehouse: bootstrapped.
        engine: what runs the project's SQL.
        spool: what the day was collected into; None: only gold is compared.
        day: UTC.

    Raises:
        WarehouseError: ``MODELS_CHANGED``: the rows are of other code; ``MONTHS_ARCHIVED``: not every answer about the day's
            events is here.
    """
    prepare(warehouse, engine)
    checks = []
    spooled = None if spool is None else tuple(each for each in spool.batch_ids if _is_of(each, day))
    if spool is not None and spooled is not None:
        with warehouse.connect(Role.INGESTER) as connection:
            checks.append(_spooled_check(found for each in spooled for found in _held_against_bronze(connection, spool, each)))
    with transformer_session(warehouse) as session:
        published = _published(session, day)
        scopes = borne_on(session, published)
        refuse_what_is_archived(session, published, scopes, f"To compute the events of {day} anew")
        checks.append(check_of(compare_anew(session, warehouse, engine, scopes)))
        # never committed: this was only a look
    events = len(scopes["gold.events"])
    return DayProof(day, None if spooled is None else len(spooled), len(published), events, tuple(checks))


def _is_of(batch_id: str, day: dt.date) -> bool:
    at = batch_time(batch_id)
    return at is not None and at.date() == day


def _published(session: Session, day: dt.date) -> list[str]:
    since = dt.datetime.combine(day, dt.time(), UTC)
    with session.cursor() as cursor:
        cursor.execute(
            "select batches.batch_id from bronze.batches as batches"
            " join ops.batch_states as states on states.batch_id = batches.batch_id"
            " where states.state = 'published' and batches.scheduled_at >= %s and batches.scheduled_at < %s order by 1",
            [since, since + _DAY],
        )
        return [batch_id for (batch_id,) in cursor.fetchall()]


def _spooled_check(found: Iterable[FailingRow]) -> CheckResult:
    rows = tuple(found)
    more = f" ({len(rows) - 1} more)" if len(rows) > 1 else ""
    message = f"{rows[0].rule} {rows[0].key}: {rows[0].holds}{more}" if rows else None
    return CheckResult(SPOOLED, not rows, len(rows), message, rows[:_SHOWN])


def _held_against_bronze(connection: Connection, spool: Spool, batch_id: str) -> Iterator[FailingRow]:
    """What of a batch bronze does not hold as the spool does: the batch, or answers of it."""
    try:
        batch = spool.read(batch_id)
    except RecordingError as error:
        yield FailingRow("batch", batch_id, f"{error.code}: {error.message}")
        return
    content = content_sha256(batch)
    known = connection.execute("select content_sha256 from bronze.batches where batch_id = %s", [batch_id]).fetchone()
    if known is None:
        yield FailingRow("batch", batch_id, "bronze does not hold it: load the spool")
        return
    if known[0] != content:
        yield FailingRow("batch", batch_id, f"bronze holds content {known[0]}, the spool {content}")
    there = _bodies(connection, batch_id)
    for exchange in batch.exchanges:
        one = str(exchange_id(batch_id, exchange.place, exchange.attempt))
        hashes = there.pop(one, None)
        if hashes is None or any(each != exchange.sha256 for each in hashes):
            stands = "nothing" if hashes is None else " and ".join(str(each) for each in dict.fromkeys(hashes))
            yield FailingRow("answer", one, f"bronze holds {stands}, the spool {exchange.sha256} (batch {batch_id})")
    for one in there:
        yield FailingRow("answer", one, f"bronze holds it, and the spool does not (batch {batch_id})")


def _bodies(connection: Connection, batch_id: str) -> dict[str, tuple[str | None, ...]]:
    """Exchange → the hash under which bronze holds its body, and that of the bytes, where their month is not archived."""
    rows = connection.execute(
        "select exchanges.exchange_id::text, exchanges.body_sha256, encode(sha256(bodies.body), 'hex'),"
        " ops.month_of(exchanges.captured_at) in (select archived.month from ops.archived_months as archived)"
        " from bronze.exchanges as exchanges"
        " left join bronze.bodies as bodies"
        "     on bodies.body_sha256 = exchanges.body_sha256 and bodies.month = ops.month_of(exchanges.captured_at)"
        " where exchanges.batch_id = %s order by exchanges.place, exchanges.attempt",
        [batch_id],
    ).fetchall()
    return {one: (named,) if is_archived else (named, of_bytes) for one, named, of_bytes, is_archived in rows}
