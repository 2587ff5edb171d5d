"""Execute a plan: send its requests, keep every exchange, seal the batch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial

from pipeline.clock import ManualClock
from pipeline.collect.live import Conduct, LiveRun
from pipeline.collect.plan import ExplicitPlan, Plan, Step
from pipeline.errors import ConflictError, RecordingError
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.recording.adapters import ReplayAdapter
from pipeline.recording.model import Batch, Exchange
from pipeline.recording.store import RecordingWriter, content_sha256


def collect(
    plan: Plan,
    scheduled_at: dt.datetime,
    client: OddsApiClient,
    writer: RecordingWriter,
    *,
    source: str,
    conduct: Conduct | None = None,
) -> Batch:
    """Collect one batch into a recording. Live, replay and back-fill differ only in the client's session.

    Every attempt ends in an exchange, an answer or a failure, which is on disk before a later one is sent. What a run
    that was cut short kept is not asked again, and a sealed batch is given back as it is.

    Args:
        plan: what to ask.
        scheduled_at: the batch's time, aware, whole seconds; for a historical plan the time asked about.
        client: sends the requests.
        writer: the recording.
        source: ``live``, ``import``, ``simulated`` or ``backfill``.
        conduct: how to deal with a server: retries, waiting, concurrency. None = ask the plan's steps, each once, and take
            whatever comes, as a replay does.

    Returns:
        The sealed batch. A historical one is filed under the time of its first envelope; where that batch is there
        already, it is a duplicate, and the one that is there is given back.

    Raises:
        RequestNotRecorded: the client replays, and the recording does not hold a request.
        SetupError: the recording cannot be written.
        ApiError: with a conduct: the key is refused, the credits are used up, or the budget forbids more. The batch is
            not sealed; another call goes on from what was kept.
    """
    batch_id = plan.identity.batch_id(scheduled_at)
    if known := writer.sealed(batch_id):
        return known
    batch = writer.begin(batch_id, scheduled_at, plan.identity, source)
    if conduct is None:
        while missing := _missing(plan.expand(scheduled_at, batch.exchanges), batch.exchanges):
            for step in missing:
                batch.add(_ask(client, step))
    else:
        expand, now = partial(plan.expand, scheduled_at), client.clock.now()
        run = LiveRun(batch, expand, partial(_ask, client), conduct.seeded(batch_id), now, client.address)
        with run.under_way():
            while missing := run.missing():
                run.ask(missing)
    filed_under = plan.filed_under(scheduled_at, batch.exchanges)
    if filed_under != scheduled_at and (known := writer.sealed(plan.identity.batch_id(filed_under))):
        batch.discard()
        return known
    return batch.seal(filed_under)


def collect_again(batch: Batch, writer: RecordingWriter) -> Batch:
    """Collect a recorded batch once more, through the replay adapter, into another recording.

    Raises:
        RecordingError: ``RECORDING_UNPLAYED``: exchanges were left over.
        ConflictError: the other recording holds this batch with other content.
    """
    begun = writer.begin(batch.batch_id, batch.scheduled_at, batch.plan, batch.source)
    adapter = ReplayAdapter(batch, played={(exchange.place, exchange.attempt) for exchange in begun.exchanges})
    with open_session(adapter) as session:
        client = OddsApiClient(session, clock=ManualClock(batch.scheduled_at))
        again = collect(ExplicitPlan.of(batch), batch.scheduled_at, client, writer, source=batch.source)
    if adapter.unplayed:
        left = ", ".join(f"{exchange.place}-{exchange.attempt} `{exchange.request.text}`" for exchange in adapter.unplayed)
        raise RecordingError(
            "RECORDING_UNPLAYED", f"Batch {batch.batch_id}: nothing asked for {left}.", "Replay with the recorded plan."
        )
    if again != batch:  # it was sealed there before
        raise ConflictError(
            "BATCH_CONFLICT",
            f"Batch {batch.batch_id} has content sha256:{content_sha256(batch)} here "
            f"and sha256:{content_sha256(again)} in {writer.path}.",
            "The same batch never has two contents: name another folder.",
        )
    return again


def _missing(steps: Sequence[Step], exchanges: Sequence[Exchange]) -> tuple[Step, ...]:
    kept = {(exchange.place, exchange.attempt) for exchange in exchanges}
    return tuple(step for step in steps if (step.place, step.attempt) not in kept)


def _ask(client: OddsApiClient, step: Step) -> Exchange:
    answer = client.send(step.request)
    return Exchange(
        place=step.place,
        attempt=step.attempt,
        request=step.request,
        coverage=step.covers,
        captured_at=answer.captured_at,
        status=answer.status,
        headers=answer.headers,
        body=answer.body,
        failure=answer.failure,
    )
