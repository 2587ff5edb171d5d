"""What a batch gives cause to tell: rows of ``ops.alerts``, written with the batch, and each cause once.

They are what gold says as the batch comes, by rules that know no clock, so that a replay raises the same. Nothing reads them
back into gold.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from pipeline.transform.engine import Session
from pipeline.transform.preparing import send

_RAISE_WITHHELD: Final = """
insert into ops.alerts (alert_id, kind, batch_id, raised_at, message, row_table, row_key)
select encode(sha256(convert_to('withheld|' || batches.batch_id, 'UTF8')), 'hex'), 'withheld', batches.batch_id,
    batches.scheduled_at, 'batch ' || batches.batch_id || ' is withheld: ' || %(reasons)s, 'ops.batch_states',
    jsonb_build_object('batch_id', batches.batch_id)
from bronze.batches as batches
where batches.batch_id = any (%(batch_ids)s)
on conflict (alert_id) do nothing
"""


@cache
def _statement() -> str:
    return Path(__file__).with_name("alerts.sql").read_text(encoding="utf-8")


def raise_alerts(session: Session, batch_ids: Sequence[str]) -> None:
    """Note what these batches give cause to tell; within the transaction that applies them, before its scratch is emptied."""
    with session.cursor() as cursor:
        send(cursor, _statement(), [list(batch_ids)])


def raise_withheld(session: Session, batch_ids: Sequence[str], reasons: str) -> None:
    """Note that a batch is withheld.

    Args:
        session: the transaction that notes its state.
        batch_ids: the one; several, where what fails is still looked for, are told when it is found.
        reasons: the checks that failed.
    """
    if len(batch_ids) == 1:
        with session.cursor() as cursor:
            cursor.execute(_RAISE_WITHHELD, {"batch_ids": list(batch_ids), "reasons": reasons})
