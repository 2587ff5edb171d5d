"""What was stopped half-way and not gone on with in its time: its answers are paid for, and so they are kept as a batch."""

from __future__ import annotations

import datetime as dt
from functools import partial

from pipeline.collect.live import Conduct, LiveRun
from pipeline.collect.plan import Step
from pipeline.collect.plan_file import PlanFile
from pipeline.odds_api.client import OddsApiClient
from pipeline.recording.model import Exchange, batch_time
from pipeline.recording.store import RecordingWriter


def seal_abandoned(
    file: PlanFile, before: dt.datetime, client: OddsApiClient, spool: RecordingWriter, conduct: Conduct, source: str
) -> tuple[str, ...]:
    """Seal the plan's batches of earlier slots as they are, without a call. The spool is claimed.

    A call that was under way as the process ended becomes a failure that may have been paid for, any other that was not made
    a failure that was not. Of another plan nothing is known: not what it asks, nor whether its time is over. A walk
    through history comes by its moments again, and goes on itself.

    Args:
        file: the plan.
        before: the slot that is collected next.
        client: tells the time.
        spool: the recording.
        conduct: as the batch was collected with.
        source: of the batch.

    Returns:
        Their ids, in order of time. One without a single call is forgotten instead.
    """
    identity, plan = file.plan.identity, file.asking
    sealed = []
    for batch_id in () if file.plan.historical else spool.unsealed:
        at = batch_time(batch_id)
        if at is None or at >= before or batch_id != identity.batch_id(at):
            continue
        batch = spool.begin(batch_id, at, identity, source)
        if not batch.exchanges and not batch.lost:
            batch.discard()
            continue
        now = client.clock.now()
        LiveRun(batch, partial(plan.expand, at), _ask_nothing, conduct.seeded(batch_id), now, client.address).give_up()
        batch.seal()
        sealed.append(batch_id)
    return tuple(sealed)


def _ask_nothing(step: Step) -> Exchange:
    raise AssertionError(f"{step.request.text} is not to be asked")
