"""Collect one scheduled batch into the live recording."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import requests

from pipeline.clock import UTC, Clock
from pipeline.collect.collector import collect
from pipeline.collect.plan import Plan
from pipeline.errors import UsageError
from pipeline.odds_api.client import OddsApiClient
from pipeline.recording.model import Batch
from pipeline.recording.store import RecordingWriter


def collect_scheduled(plan: Plan, batch_id: str, session: requests.Session, clock: Clock, recording: Path) -> Batch:
    """Collect the batch of this id, which a schedule made from the plan and the time.

    Args:
        plan: what is asked.
        batch_id: of this plan.
        session: answers the requests.
        clock: dates a request that got no response.
        recording: the live recording's folder.

    Raises:
        UsageError: ``BATCH_OF_ANOTHER_PLAN``: the plan would call the batch of that time something else.
    """
    try:
        scheduled_at = dt.datetime.strptime(batch_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        scheduled_at = None
    if scheduled_at is None or plan.identity.batch_id(scheduled_at) != batch_id:
        raise UsageError(
            "BATCH_OF_ANOTHER_PLAN",
            f"No recording at hand holds {batch_id}, and the live plan {plan.identity.plan_id} has no such batch.",
            "Put its recording into the folder of recordings (SPORTS_MARKET_RECORDINGS_DIR), or configure its plan.",
        )
    client = OddsApiClient(session, clock=clock)
    return collect(plan, scheduled_at, client, RecordingWriter(recording, name="live"), source="live")
