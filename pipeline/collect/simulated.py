"""Record the simulated market: the bundled recording, made anew from its seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.clock import ManualClock
from pipeline.collect.collector import collect
from pipeline.collect.plan import ExplicitPlan, Step
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.simulator import SimulatedMarket, SimulatorAdapter
from pipeline.odds_api.simulator.bundled import NAME, SEED, bundled_batches
from pipeline.recording.model import PlanIdentity
from pipeline.recording.store import RecordingWriter


def record_simulated(out: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> int:
    """Collect the bundled batches from the simulated market into a recording; the same bytes on every machine.

    Args:
        out: the recording's folder: new, empty, or holding (part of) the same recording, which is completed.
        progress: told how many batches are done, of how many.

    Returns:
        How many batches the recording has.

    Raises:
        UsageError: ``RECORDING_FOLDER_IN_USE``.
        SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``.
    """
    writer = RecordingWriter(out, name=NAME, created_from=f"the simulated market, seed {SEED}")
    identity = PlanIdentity({"kind": "simulated", "name": NAME, "seed": SEED})
    market = SimulatedMarket(SEED)
    batches = bundled_batches()
    for done, batch in enumerate(batches, start=1):
        clock = ManualClock(batch.asked_at)
        steps = tuple(Step(place, request) for place, request in enumerate(batch.requests))
        with open_session(SimulatorAdapter(market, clock)) as session:
            client = OddsApiClient(session, clock=clock)
            collect(ExplicitPlan(identity, steps), batch.scheduled_at, client, writer, source="simulated")
        progress(done, len(batches))
    return len(batches)
