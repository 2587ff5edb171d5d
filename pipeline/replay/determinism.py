"""Is gold what its answers make of it? Compare with a recording's snapshot, or compute a batch's events anew from bronze."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.recording.store import Recording
from pipeline.replay.explain import explain
from pipeline.replay.snapshots import SnapshotStore
from pipeline.transform.apply import Session, transformer_session
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.digest import GoldTable, scope_digests, stored_digests, stored_tables
from pipeline.warehouse.months import refuse_archived

SNAPSHOT: Final = "snapshot"
REBUILT: Final = "rebuilt"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How one gold table compares with what it must be.

    Attributes:
        table: its name.
        method: ``snapshot``: the whole table, with the recording's snapshot; ``rebuilt``: the rows of the batch's events,
            with rows computed anew from bronze.
        compared: digests compared: 1 of a whole table, else one per event or key.
        differing: how many differ.
        message: what differs first.
    """

    table: str
    method: str
    compared: int
    differing: int = 0
    message: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.differing


def compare_with_snapshot(session: Session, recording: Recording) -> tuple[Comparison, ...] | None:
    """Compare the stored tables with the snapshot of the state at hand.

    Args:
        session: sees the state.
        recording: whose first k batches are the published ones, else nothing is compared.

    Returns:
        A comparison per table; None where the state is none of the recording's, or has no snapshot.
    """
    with session.cursor() as cursor:
        cursor.execute("select batch_id from ops.batch_states where state = 'published'")
        published = {batch_id for (batch_id,) in cursor.fetchall()}
    known = recording.batch_ids[: len(published)]
    if not published or published != set(known):
        return None
    store = SnapshotStore(recording.path)
    wanted = store.read(known[-1])
    if wanted is None:
        return None
    found = stored_digests(session)
    messages: dict[str, str] = {}
    if found != dict(wanted.digests):
        before = [snapshot for batch_id in known if (snapshot := store.read(batch_id)) is not None]
        for difference in reversed(explain(session, before, found)):
            messages[difference.table] = " ".join((difference.line(), *difference.where()))
    return tuple(
        Comparison(
            name,
            SNAPSHOT,
            1,
            int(digest != wanted.digests.get(name)),
            None
            if digest == wanted.digests.get(name)
            else messages.get(name, f"{digest}, the snapshot has {wanted.digests.get(name)}"),
        )
        for name, digest in found.items()
    )


def compare_with_rebuild(warehouse: Warehouse, engine: Engine, batch_id: str) -> tuple[Comparison, ...]:
    """Compute the events of a published batch anew from bronze, in a transaction that is rolled back, and compare.

    Gold's rows of those events are taken away first, and every answer that shows one of them is applied again; so nothing of
    what stands is an input, and nobody else sees any of it. It costs what those events' answers cost.

    Args:
        warehouse: holds the batch.
        engine: what runs the project's SQL.
        batch_id: the batch; one that shows no event compares nothing.

    Returns:
        A comparison per stored table.

    Raises:
        WarehouseError: ``MONTHS_ARCHIVED``: not every answer of those events is here.
    """
    with transformer_session(warehouse) as session:
        refuse_archived(session, _times(session, batch_id), f"To compute the events of {batch_id} anew")
        scopes = {table.name: _scopes(session, table, batch_id) for table in stored_tables()}
        refuse_archived(session, _first_seen(session, scopes["gold.events"]), f"To compute the events of {batch_id} anew")
        before = _digests(session, scopes)
        message = None
        if scopes["gold.events"]:
            _take_back(session, scopes)
            results = engine.run(session, warehouse, "batch")
            message = next((f"{result.name}: {result.message}" for result in results if not result.ok), None)
        after = before if message else _digests(session, scopes)
        # never committed: this was only a look
    return tuple(_compared(table.name, before[table.name], after[table.name], message) for table in stored_tables())


def _compared(name: str, before: Mapping[str, str], after: Mapping[str, str], message: str | None) -> Comparison:
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    if message is None and differing:
        first = differing[0]
        message = f"{first}: {before.get(first, 'no rows')} stands, {after.get(first, 'no rows')} from bronze"
    return Comparison(name, REBUILT, len(before.keys() | after.keys()), len(differing) or int(message is not None), message)


def _scopes(session: Session, table: GoldTable, batch_id: str) -> list[str]:
    """The keys by which a table's digests are kept that a batch is about."""
    source = {"event_id": "event_sightings", "sport_key": "sport_sightings", "bookmaker_key": "bookmaker_sightings"}
    with session.cursor() as cursor:
        cursor.execute(
            f"select distinct shown.{table.scope_key} from ops.ledger as ledger"
            f" join silver.{source[table.scope_key]} as shown on shown.exchange_id = ledger.exchange_id"
            " where ledger.batch_id = %s and ledger.applied",
            [batch_id],
        )
        return [key for (key,) in cursor.fetchall()]


def _times(session: Session, batch_id: str) -> list[dt.datetime]:
    with session.cursor() as cursor:
        cursor.execute("select captured_at from bronze.exchanges where batch_id = %s", [batch_id])
        return [at for (at,) in cursor.fetchall()]


def _first_seen(session: Session, events: Sequence[str]) -> list[dt.datetime]:
    with session.cursor() as cursor:
        cursor.execute("select first_seen_at from gold.events where event_id = any (%s)", [list(events)])
        return [at for (at,) in cursor.fetchall()]


def _digests(session: Session, scopes: Mapping[str, Sequence[str]]) -> dict[str, dict[str, str]]:
    return {table.name: scope_digests(session, table, scopes[table.name]) for table in stored_tables()}


def _take_back(session: Session, scopes: Mapping[str, Sequence[str]]) -> None:
    """Take gold's rows of some events away, and let every answer that shows one of them wait to be applied."""
    events = list(scopes["gold.events"])
    _execute(session, "delete from ops.run_batches")
    with session.cursor() as cursor:
        cursor.execute(
            "select distinct sightings.exchange_id::text from silver.event_sightings as sightings"
            " where sightings.event_id = any (%s)",
            [events],
        )
        shown = [exchange_id for (exchange_id,) in cursor.fetchall()]
    _execute(
        session,
        "insert into ops.run_batches select distinct ledger.batch_id from ops.ledger as ledger"
        " where ledger.exchange_id = any (%s::uuid[])",
        [shown],
    )
    # a verdict that waits to be followed is no part of this
    _execute(session, "update ops.ledger set applied = admitted, applied_held = held where not is_settled")
    _execute(session, "update ops.ledger set applied = false where exchange_id = any (%s::uuid[])", [shown])
    for table in stored_tables():
        if table.scope_key == "event_id":
            _execute(session, f"delete from {table.name} where event_id = any (%s)", [events])


def _execute(session: Session, statement: str, values: Sequence[Any] = ()) -> None:
    with session.cursor() as cursor:
        cursor.execute(statement, values or None)
