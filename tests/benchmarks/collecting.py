"""What collecting adds to the calls themselves, against the sandbox on this machine."""

from __future__ import annotations

import datetime as dt
import itertools
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import requests

from pipeline.clock import UTC, ManualClock, SystemClock
from pipeline.collect.collector import collect
from pipeline.collect.live import Conduct
from pipeline.collect.plan import ExplicitPlan, Step
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.endpoints import url
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.adapters import LiveAdapter
from pipeline.recording.model import PlanIdentity
from pipeline.recording.store import RecordingWriter
from pipeline.secret import Secret
from tests.benchmarks.figures import Figure

COLLECTING_LIMIT: Final = 1.2
AT: Final = dt.datetime(2026, 1, 4, 17, tzinfo=UTC)
KEY: Final = Secret("0f1e2d3c4b5a69788796a5b4c3d2e1f0")
WORKERS: Final = 4
ROUNDS: Final = 12
SPORTS: Final = ("americanfootball_nfl", "basketball_nba", "icehockey_nhl")


class _ManySeconds:
    """Each call is a second after the one before it, so that no rate limit is met."""

    def __init__(self) -> None:
        self._seconds = itertools.count()

    def elapsed(self) -> float:
        return float(next(self._seconds))

    def sleep(self, seconds: float) -> None:
        """Never called."""


def _serve(pipe: Connection) -> None:
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(ManualClock(AT)), _ManySeconds(), credits=10**9)
    with serving(sandbox) as base_url:
        pipe.send(base_url)
        pipe.recv()


@contextmanager
def _sandbox() -> Iterator[str]:
    """In a process of its own, so that its work is not ours."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join()


def collecting_against_requests(work: Path, say: Callable[[str], None]) -> Figure:
    """Wall time of a batch, every answer on disk before the next call, against the same calls by requests alone."""
    markets = ("h2h", "spreads", "totals")
    lists = [
        ApiRequest.of("odds", sport=one, params={"regions": "us", "markets": market}) for one in SPORTS for market in markets
    ]
    steps = tuple(Step(place, request) for place, request in enumerate(lists * 4))
    plan = ExplicitPlan(PlanIdentity({"kind": "bench"}), steps)

    def collected(base_url: str, number: int) -> None:
        with open_session(LiveAdapter(SystemClock())) as session:
            session.trust_env = False
            client = OddsApiClient(session, clock=SystemClock(), base_url=base_url, api_key=KEY)
            writer = RecordingWriter(work / f"collected{number}")
            batch = collect(plan, AT, client, writer, source="live", conduct=Conduct(workers=WORKERS))
        assert {exchange.status for exchange in batch.exchanges} == {200} and len(batch.exchanges) == len(steps)

    def bare(base_url: str, number: int) -> None:
        with requests.Session() as session, ThreadPoolExecutor(WORKERS) as pool:
            session.trust_env = False
            targets = [f"{url(base_url, step.request)}&apiKey={KEY.reveal()}" for step in steps]
            answers = list(pool.map(lambda target: session.get(target, timeout=30), targets))
        assert {answer.status_code for answer in answers} == {200}

    with _sandbox() as base_url:
        bare(base_url, 0)  # the market thinks about its answers once
        took: dict[Callable[..., None], list[float]] = {bare: [], collected: []}
        for number in range(ROUNDS):
            # what else runs on the machine meets both alike
            for way in (bare, collected) if number % 2 else (collected, bare):
                took[way].append(_seconds(way, base_url, number))
    typical = {way: statistics.median(seconds) for way, seconds in took.items()}
    say(f"  {len(steps)} calls: {typical[bare]:.2f} s by requests alone, {typical[collected]:.2f} s collected")
    return Figure(
        "collecting_against_requests",
        typical[collected] / typical[bare],
        COLLECTING_LIMIT,
        True,
        f"wall time / that of requests alone, {WORKERS} calls at a time, median of {ROUNDS}",
    )


def _seconds(way: Callable[..., Any], *arguments: Any) -> float:
    started = time.perf_counter()
    way(*arguments)
    return time.perf_counter() - started
