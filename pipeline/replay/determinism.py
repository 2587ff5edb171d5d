"""Is gold what its answers make of it? Compare with a recording's snapshot, or compute a batch's events anew from bronze."""

from __future__ import annotations

from typing import Final

from pipeline.recording.store import Recording
from pipeline.replay.explain import explain
from pipeline.replay.snapshots import SnapshotStore
from pipeline.transform.anew import Comparison, compare_anew, refuse_what_is_archived, shown_by
from pipeline.transform.apply import Session, transformer_session
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.digest import stored_digests

SNAPSHOT: Final = "snapshot"


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
    """Compute the events that a published batch shows anew from bronze, in a transaction that is rolled back, and compare.

    Args:
        warehouse: holds the batch.
        engine: what runs the project's SQL.
        batch_id: the batch; one that shows no event compares nothing.

    Returns:
        A comparison per stored table, as :func:`pipeline.transform.anew.compare_anew` makes it.

    Raises:
        WarehouseError: ``MONTHS_ARCHIVED``: not every answer of those events is here.
    """
    with transformer_session(warehouse) as session:
        scopes = shown_by(session, [batch_id])
        refuse_what_is_archived(session, [batch_id], scopes, f"To compute the events of {batch_id} anew")
        return compare_anew(session, warehouse, engine, scopes)
