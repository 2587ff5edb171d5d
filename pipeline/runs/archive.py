"""Old months leave the warehouse as recordings, and come back from them.

A month is archived in this order: its batches are written as a recording, the recording is read back from the disk and held
against bronze, and only then, in one transaction, its partitions of bronze and silver are detached and the month is noted. A
run that was killed is run again: what was written is there, and what was not detached still stands.

Batches and exchanges (the index of what came), coverage, and gold stay.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql

from pipeline.bronze.batch_load import insert_body
from pipeline.bronze.read_back import read_batch
from pipeline.clock import Clock
from pipeline.errors import RecordingError, UsageError, WarehouseError
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording, RecordingWriter, content_sha256
from pipeline.transform.apply import prepare, restore_silver, take_transform_lock
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.months import archived_months, following, month_of, month_text

Progress = Callable[[int, int | None], None]

# The API's scores reach three days back; an event that nobody has shown for longer than this is over.
QUIET: Final = dt.timedelta(days=7)
# Of what keeps a month, so many are told.
_TOLD: Final = 3
_LOCK_TIMEOUT: Final = "60s"


@dataclass(frozen=True, slots=True)
class Month:
    """One month, and what becomes of it.

    Attributes:
        month: its first day.
        batches: how many batches have an answer captured in it.
        body_bytes: of the bodies, each content once.
        reasons: why it stays; empty where it can be archived.
        recording: where it is archived, None as long as it is not.
    """

    month: dt.date
    batches: int
    body_bytes: int
    reasons: tuple[str, ...] = ()
    recording: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """One object."""
        return {
            "month": month_text(self.month),
            "batches": self.batches,
            "body_bytes": self.body_bytes,
            "recording": None if self.recording is None else str(self.recording),
            "reasons": list(self.reasons),
        }

    def line(self) -> str:
        """For people."""
        size = f"{month_text(self.month)}: {self.batches:,} batches, {self.body_bytes / 1e6:,.1f} MB of bodies"
        if self.reasons:
            return f"{size}: stays: {'; '.join(self.reasons)}"
        return f"{size}: {'can be archived' if self.recording is None else f'archived in {self.recording}'}"


@dataclass(frozen=True, slots=True)
class ArchiveSummary:
    """What a run archived.

    Attributes:
        months: all months before the one that was named, in order.
    """

    months: tuple[Month, ...]

    @property
    def exit_code(self) -> int:
        """0, or 1 where a month stays."""
        return 1 if any(month.reasons for month in self.months) else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {"months": [month.to_json() for month in self.months]}

    def lines(self) -> list[str]:
        """For people."""
        return [month.line() for month in self.months] or ["There is no month to archive."]


@dataclass(frozen=True, slots=True)
class RestoreSummary:
    """What a run brought back.

    Attributes:
        months: as ``2025-10``.
        batches: that have an answer in them.
        silver: False where the models have changed since: then a rebuild computes it.
    """

    months: tuple[str, ...]
    batches: int
    silver: bool

    @property
    def exit_code(self) -> int:
        """0."""
        return 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {"months": list(self.months), "batches": self.batches, "silver": self.silver}

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"{', '.join(self.months)}: {self.batches:,} batches are back."]
        if not self.silver:
            lines.append("The models have changed since: run `sports-market rebuild`.")
        return lines


def archive(
    warehouse: Warehouse,
    before: dt.date,
    out: Path,
    clock: Clock,
    *,
    drop: bool = False,
    dry_run: bool = False,
    progress: Progress = lambda done, total: None,
) -> ArchiveSummary:
    """Archive all months before one, the oldest first, up to the first that must stay.

    Args:
        warehouse: bootstrapped.
        before: the first day of the first month that stays.
        out: a folder; each month becomes a recording in it, such as ``out/2025-10``.
        clock: dates what is noted.
        drop: whether detached partitions are dropped; else they lie in the schema ``detached``.
        dry_run: only tell what would be done.
        progress: told of each batch that is written.

    Raises:
        RecordingError: a recording of ``out`` is broken.
        ConflictError: ``BATCH_CONFLICT``: it has a batch with other content.
        WarehouseError: ``ARCHIVE_DIFFERS``: bronze, or what was read back from the disk, is not what was loaded once;
            ``WAREHOUSE_BUSY``, ``TRANSFORM_LOCK_TIMEOUT``. The month at hand stays as it was.
    """
    with warehouse.connect(Role.OWNER) as connection:
        months = list(_plan(connection, before))
        connection.rollback()
        for place, month in enumerate(months):
            if month.reasons or dry_run:
                continue
            folder = (out / month_text(month.month)).resolve()
            batch_ids = _batches(connection, month.month)
            _write(connection, batch_ids, folder, progress)
            _check(connection, batch_ids, folder)
            connection.rollback()
            _detach(connection, warehouse, month.month, batch_ids, folder, clock, drop)
            months[place] = Month(month.month, month.batches, month.body_bytes, (), folder)
    return ArchiveSummary(tuple(months))


def restore(
    warehouse: Warehouse,
    engine: Engine,
    since: dt.date | None,
    out: Path | None,
    progress: Progress = lambda done, total: None,
) -> RestoreSummary:
    """Bring archived months back: their bodies from the recordings, then their silver rows from the bodies.

    What is archived stays everything before one month, so with a month come all later ones.

    Args:
        warehouse: bootstrapped.
        engine: what runs the project's SQL.
        since: the first of them; None = all.
        out: where the recordings are now; None = where they were written.
        progress: told of each batch.

    Raises:
        UsageError: ``MONTH_NOT_ARCHIVED``.
        RecordingError: a recording is missing or broken.
        WarehouseError: ``ARCHIVE_DIFFERS``: a recording does not hold what was loaded once; ``RESTORE_FAILED``.
    """
    with warehouse.connect(Role.OWNER) as connection:
        archived = archived_months(connection)
        months = [month for month in archived if since is None or month >= since]
        if not months or (since is not None and since not in months):
            known = ", ".join(map(month_text, archived)) or "none"
            raise UsageError(
                "MONTH_NOT_ARCHIVED",
                f"{'No month' if since is None else month_text(since)} is archived in {warehouse.place}.",
                f"Archived: {known}.",
            )
        batches = {month: _batches(connection, month) for month in months}
        connection.commit()
        for month in months:
            _bring_bodies(connection, month, batches[month], out, progress)
        has_silver = _restore_silver(warehouse, engine, months)
        if not has_silver:
            connection.execute("delete from ops.archived_months where month = any (%s)", [months])
        for month in months:
            for table in _detached(connection, month):
                connection.execute(sql.SQL("drop table {}").format(table))
        connection.commit()
    return RestoreSummary(tuple(map(month_text, months)), len(set().union(*batches.values())), has_silver)


# --- which months -----------------------------------------------------------------------------------------------------


def _plan(connection: Connection, before: dt.date) -> tuple[Month, ...]:
    """The months before one that are not archived, each with what keeps it."""
    rows = connection.execute(
        "select came.month, came.batches, coalesce(kept.bytes, 0) from ("
        "  select ops.month_of(captured_at) as month, count(distinct batch_id) as batches"
        "  from bronze.exchanges group by 1"
        " ) as came left join (select month, sum(byte_count) as bytes from bronze.bodies group by month) as kept"
        " on kept.month = came.month"
        " where came.month < %s and came.month not in (select month from ops.archived_months) order by 1",
        [before],
    ).fetchall()
    keeping = _keeping(connection, before)
    months: list[Month] = []
    for month, batches, size in rows:
        reasons = keeping.get(month, [])
        more = [f"and {len(reasons) - _TOLD} more"] if len(reasons) > _TOLD else []
        told = [*reasons[:_TOLD], *more]
        if not told and months and months[-1].reasons:
            told = [f"{month_text(months[-1].month)} stays, and with it all later months"]
        months.append(Month(month, batches, int(size), tuple(told)))
    return tuple(months)


def _keeping(connection: Connection, before: dt.date) -> dict[dt.date, list[str]]:
    """Month → what in it may still be needed, in words."""
    found: dict[dt.date, list[str]] = {}
    # what is not applied tells gold of no time: hindsight may still wait for one
    newest = connection.execute(
        "select coalesce(max(exchanges.captured_at) filter (where ledger.applied), max(exchanges.captured_at))"
        " from bronze.exchanges as exchanges left join ops.ledger as ledger on ledger.exchange_id = exchanges.exchange_id"
    ).fetchone()
    assert newest is not None
    if newest[0] is None:
        return found
    found[month_of(newest[0])] = ["it is the newest month, and more may come"]
    batches = connection.execute(
        "select batches.batch_id, states.state, min(exchanges.captured_at)"
        " from bronze.batches as batches"
        " join ops.batch_states as states on states.batch_id = batches.batch_id"
        " join bronze.exchanges as exchanges on exchanges.batch_id = batches.batch_id"
        " where (states.state <> 'published' or exists ("
        "  select 1 from ops.ledger as ledger where ledger.batch_id = batches.batch_id and not ledger.is_settled))"
        " group by batches.batch_id, states.state order by batches.batch_id"
    ).fetchall()
    for batch_id, state, at in batches:
        why = "an answer of it waits to be applied" if state == "published" else f"it is {state}"
        found.setdefault(month_of(at), []).append(f"batch {batch_id}: {why}")
    if connection.execute("select to_regclass('gold.events')").fetchone() == (None,):
        return found
    events = connection.execute(
        "select open_events.event_id, open_events.first_seen_at, open_events.why from ("
        "  select events.event_id, events.first_seen_at, case"
        "   when exists (select 1 from gold.event_listing_intervals as listed"
        "    where listed.event_id = events.event_id and listed.valid_to is null) then 'is still listed'"
        "   when exists (select 1 from gold.price_history as history"
        "    where history.event_id = events.event_id and history.valid_to is null) then 'has an open price'"
        "   when events.start_at > %(newest)s then 'has not started'"
        "   when exists (select 1 from silver.event_sightings as shown"
        "    where shown.event_id = events.event_id and shown.captured_at > %(quiet)s) then 'was shown in the last week'"
        "   when exists (select 1 from gold.outcome_grades as graded where graded.event_id = events.event_id"
        "    and graded.grade_reason = 'not_completed') then 'may still get its score'"
        "  end as why"
        "  from gold.events as events where events.first_seen_at < %(before)s"
        " ) as open_events where open_events.why is not null order by open_events.first_seen_at, open_events.event_id",
        {"newest": newest[0], "quiet": newest[0] - QUIET, "before": before},
    ).fetchall()
    for event_id, first_seen_at, why in events:
        found.setdefault(month_of(first_seen_at), []).append(f"event {event_id} {why}")
    return found


def _batches(connection: Connection, month: dt.date) -> list[str]:
    rows = connection.execute(
        "select distinct batch_id from bronze.exchanges where captured_at >= %s and captured_at < %s order by 1",
        [_beginning(month), _beginning(following(month))],
    ).fetchall()
    return [batch_id for (batch_id,) in rows]


def _beginning(month: dt.date) -> dt.datetime:
    return dt.datetime(month.year, month.month, 1, tzinfo=dt.UTC)


# --- out --------------------------------------------------------------------------------------------------------------


def _write(connection: Connection, batch_ids: Sequence[str], folder: Path, progress: Progress) -> None:
    """Write the batches that the recording does not hold yet."""
    writer = RecordingWriter(folder, name=folder.name, created_from="a month of a warehouse")
    writer.heal()
    written = set(writer.batch_ids)
    for done, batch_id in enumerate(batch_ids, start=1):
        if batch_id not in written:
            batch = _stored(connection, batch_id)
            began = writer.begin(batch_id, batch.scheduled_at, batch.plan, batch.source)
            for exchange in batch.exchanges:
                began.add(exchange)
            began.seal()
        progress(done, len(batch_ids))


def _stored(connection: Connection, batch_id: str) -> Batch:
    """A batch as it was loaded. Where another month of it is archived already, that month's recording has it whole."""
    batch = read_batch(connection, batch_id)
    if content_sha256(batch) != _loaded_sha256(connection, batch_id):
        for (folder,) in connection.execute("select recording from ops.archived_months order by month desc").fetchall():
            if Path(folder).is_dir() and batch_id in (recording := Recording.open(folder)).batch_ids:
                return recording.read(batch_id)
        raise _differs(f"Bronze's batch {batch_id} is not what was loaded once.")
    return batch


def _check(connection: Connection, batch_ids: Sequence[str], folder: Path) -> None:
    """Read a recording back from the disk: every body by its hash, every batch by what it was when it was loaded."""
    recording = Recording.open(folder)
    missing = sorted(set(batch_ids) - set(recording.batch_ids))
    if missing:
        raise _differs(f"The recording {folder} lacks {len(missing)} batches, the first {missing[0]}.")
    for batch_id in batch_ids:
        found, expected = content_sha256(recording.read(batch_id)), _loaded_sha256(connection, batch_id)
        if found != expected:
            raise _differs(f"{folder} has batch {batch_id} with content {found}; what was loaded has {expected}.")


def _loaded_sha256(connection: Connection, batch_id: str) -> str:
    row = connection.execute("select content_sha256 from bronze.batches where batch_id = %s", [batch_id]).fetchone()
    assert row is not None
    return str(row[0])


def _differs(what: str) -> WarehouseError:
    return WarehouseError(
        "ARCHIVE_DIFFERS", what, "Nothing was changed. Run `sports-market verify`, or name another folder with --out."
    )


def _detach(
    connection: Connection,
    warehouse: Warehouse,
    month: dt.date,
    batch_ids: Sequence[str],
    folder: Path,
    clock: Clock,
    drop: bool,
) -> None:
    """Take a month's partitions away and note it, if nothing has changed since it was written."""
    try:
        take_transform_lock(connection, warehouse)
        connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'".encode())
        # no load in between
        connection.execute("lock table bronze.exchanges in share row exclusive mode")
        again = next((each for each in _plan(connection, following(month)) if each.month == month), None)
        if again is None or again.reasons or _batches(connection, month) != list(batch_ids):
            raise WarehouseError(
                "WAREHOUSE_BUSY", f"{month_text(month)} changed while it was written.", "Nothing was changed. Run it again."
            )
        for schema, table, name in _parts(connection, month):
            part = sql.Identifier(schema, name)
            connection.execute(sql.SQL("alter table {} detach partition {}").format(sql.Identifier(schema, table), part))
            # of a restore that was killed at its very end
            connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier("detached", name)))
            if drop:
                connection.execute(sql.SQL("drop table {}").format(part))
            else:
                connection.execute(sql.SQL("alter table {} set schema detached").format(part))
        connection.execute(
            "insert into ops.archived_months (month, recording, batches, archived_at) values (%s, %s, %s, %s)",
            [month, str(folder), len(batch_ids), clock.now()],
        )
        connection.commit()
    except psycopg.errors.LockNotAvailable as error:
        raise WarehouseError(
            "WAREHOUSE_BUSY",
            f"For a minute there was always somebody who uses the tables of {month_text(month)}.",
            "Nothing was changed. Run it again.",
        ) from error
    finally:
        connection.rollback()


def _parts(connection: Connection, month: dt.date) -> list[tuple[str, str, str]]:
    """Schema, table and partition of this month, of each table that is kept by month."""
    return connection.execute(
        "select base.relnamespace::regnamespace::text, base.relname, part.relname"
        " from pg_inherits as parts join pg_class as base on base.oid = parts.inhparent"
        " join pg_class as part on part.oid = parts.inhrelid"
        " where base.relnamespace in ('bronze'::regnamespace, 'silver'::regnamespace) and base.relkind = 'p'"
        " and part.relname = base.relname || to_char(%s::date, '_YYYY_MM') order by 1, 2",
        [month],
    ).fetchall()


# --- and back ---------------------------------------------------------------------------------------------------------


def _bring_bodies(
    connection: Connection, month: dt.date, batch_ids: Sequence[str], out: Path | None, progress: Progress
) -> None:
    """Put a month's bodies back into bronze, in one transaction; the month stays archived until silver is back too."""
    with connection.transaction():
        row = connection.execute(
            "delete from ops.archived_months where month = %s returning recording, batches, archived_at", [month]
        ).fetchone()
        assert row is not None
        folder = Path(row[0]) if out is None else out / month_text(month)
        connection.execute("select bronze.make_months(%s::date[])", [[month]])
        recording = Recording.open(folder)
        for done, batch_id in enumerate(batch_ids, start=1):
            if batch_id not in recording.batch_ids:
                raise RecordingError(
                    "ARCHIVE_INCOMPLETE", f"{folder} does not hold batch {batch_id}.", "Restore the recording from a copy."
                )
            batch = recording.read(batch_id)
            if content_sha256(batch) != _loaded_sha256(connection, batch_id):
                raise _differs(f"{folder} has batch {batch_id} with other content than was loaded once.")
            for exchange in batch.exchanges:
                if month_of(exchange.captured_at) == month:
                    insert_body(connection, exchange, exchange.sha256, None)
            progress(done, len(batch_ids))
        connection.execute(
            "insert into ops.archived_months (month, recording, batches, archived_at) values (%s, %s, %s, %s)", [month, *row]
        )


def _restore_silver(warehouse: Warehouse, engine: Engine, months: Sequence[dt.date]) -> bool:
    try:
        prepare(warehouse, engine)
    except WarehouseError as error:
        if error.code != "MODELS_CHANGED":
            raise
        return False
    restore_silver(warehouse, engine, months)
    return True


def _detached(connection: Connection, month: dt.date) -> list[sql.Identifier]:
    rows = connection.execute(
        "select relname from pg_class where relnamespace = 'detached'::regnamespace and relkind = 'r'"
        " and relname like '%%' || to_char(%s::date, '_YYYY_MM') order by 1",
        [month],
    ).fetchall()
    return [sql.Identifier("detached", name) for (name,) in rows]
