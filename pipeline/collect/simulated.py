"""Collect the simulated market into a recording: how the bundled recording is made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.clock import ManualClock
from pipeline.collect.collector import collect
from pipeline.collect.plan import ExplicitPlan, Step
from pipeline.market.simulator import SimulatedMarket, SimulatorAdapter, bundled
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.recording.model import PlanIdentity
from pipeline.recording.store import RecordingWriter


def record_simulated(out: Path, progress: Callable[[int, int | None], None]) -> int:
    """Record the bundled batches of the simulated market; the same bytes every time.

    Args:
        out: the recording's folder, new or of an earlier call that was cut short.
        progress: told how many batches of how many are done.

    Returns:
        How many batches there are.

    Raises:
        UsageError: ``RECORDING_FOLDER_IN_USE``.
        ConflictError: ``BATCH_CONFLICT``: the folder holds a recording of another market.
    """
    writer = RecordingWriter(out, name=bundled.NAME, created_from=f"the simulated market, seed {bundled.SEED}", durable=False)
    batches = bundled.bundled_batches()
    clock = ManualClock(batches[0].asked_at)
    with open_session(SimulatorAdapter(SimulatedMarket(bundled.SEED), clock)) as session:
        client = OddsApiClient(session, clock=clock)
        for done, batch in enumerate(batches, start=1):
            clock.time = batch.asked_at
            steps = tuple(Step(place, request) for place, request in enumerate(batch.requests))
            document = {"kind": "simulated", "seed": bundled.SEED, "requests": [request.text for request in batch.requests]}
            collect(ExplicitPlan(PlanIdentity(document), steps), batch.scheduled_at, client, writer, source="simulated")
            progress(done, len(batches))
    return len(batches)
