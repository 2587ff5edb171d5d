"""Whatever ends a command, and wherever: run again, nothing is wrong and the digests are those of an undisturbed run.

Each command is killed at steps from its first to its last, and at moments that are drawn; the server dies, its disk fills, a
folder cannot be written, the clock goes back. ``SPORTS_MARKET_POINTS`` says at how many steps each command is killed (1000: at
every one); all cases: ``nox -s crashes``.
"""

from __future__ import annotations

import datetime as dt
import functools
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import psycopg2
import psycopg2.extensions
import pytest

from pipeline.clock import UTC, ManualClock
from pipeline.collect.live import Conduct
from pipeline.collect.plan import MarketPlan
from pipeline.collect.plan_file import PlanFile
from pipeline.errors import SportsMarketError
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.credits import Budget
from pipeline.recording.adapters import LiveAdapter
from pipeline.recording.store import Recording
from pipeline.replay.verify import verify
from pipeline.runs.context import RunContext
from pipeline.runs.ingest import ingest_once
from pipeline.runs.load import load_recording
from pipeline.secret import Secret
from pipeline.transform.apply import prepare
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap
from pipeline.warehouse.embedded import EmbeddedServer
from tests.conftest import CARELESS, Project
from tests.recordings import written
from tests.replay.support import CLOCK, Databases, digests, take
from tests.runs.commands import AT, BATCHES, NAMES, Stage
from tests.runs.killing import KILLED

STRETCHES: Final = int(os.environ.get("SPORTS_MARKET_POINTS") or 40)
# 100 and more in all
MOMENTS_EACH: Final = 3
POINTS: Final = [(name, number) for number in range(STRETCHES) for name in NAMES]
MOMENTS: Final = [(name, number) for number in range(MOMENTS_EACH) for name in NAMES]
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("wild") / "recording", BATCHES)


@pytest.fixture(scope="module")
def golden(databases: Databases, project: Project) -> dict[str, str]:
    with databases() as warehouse:
        take(warehouse, project, BATCHES)
        return digests(warehouse)


def load(recording: Path, warehouse: Warehouse, project: Project) -> None:
    load_recording(recording, RunContext(warehouse, project, CLOCK))


def check(warehouse: Warehouse, project: Project, golden: dict[str, str]) -> None:
    assert digests(warehouse) == golden
    report = verify(warehouse, project)
    assert not report.failed, [(each.name, each.message) for each in report.failed]


# --- each command, killed ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stages(
    server: Server, clone_names: Iterator[str], prepared_template: Warehouse, project: Project, tmp_path_factory: Any
) -> Iterator[Callable[[str], Stage]]:
    """What each command starts from, made on first use."""
    with ExitStack() as stack:

        @functools.cache
        def stage(name: str) -> Stage:
            work = tmp_path_factory.mktemp(name)
            return stack.enter_context(Stage(name, server, clone_names, prepared_template, project, work))

        yield stage


def step_of(name: str, number: int, steps: int) -> int:
    """One step of a stretch of a command's: the stretches in an order, and the steps in them, that chance chose once."""
    draw = random.Random(name)
    stretch = draw.sample(range(STRETCHES), STRETCHES)[number]
    first, end = (steps * place // STRETCHES for place in (stretch, stretch + 1))
    if first == end:
        pytest.skip(f"{name} has {steps} steps, and each is another case")
    return 1 + random.Random(f"{name} {number}").randrange(first, end)


@pytest.mark.proof(cases=7)
@pytest.mark.parametrize(("name", "number"), POINTS)
def test_a_command_killed_at_any_step_is_run_again(name: str, number: int, stages: Callable[[str], Stage]) -> None:
    """At a statement, a commit or a file, one of each stretch of its steps."""
    stage = stages(name)
    at = step_of(name, number, stage.steps)
    with stage.place() as place:
        ended = stage.run(place, at=at)
        assert ended.code == KILLED, f"step {at} of {stage.steps}: {ended.said}"
        stage.end(place)


@pytest.mark.proof(cases=1)
@pytest.mark.parametrize(("name", "number"), MOMENTS)
def test_a_command_killed_at_any_moment_is_run_again(name: str, number: int, stages: Callable[[str], Stage]) -> None:
    """While the server works too; killed more than once, from where it stood."""
    stage = stages(name)
    draw = random.Random(f"{name} {number}")
    with stage.place() as place:
        for _ in range(3):
            stage.run(place, after_seconds=draw.uniform(0.0, stage.seconds))
        stage.end(place)


class Live:
    """A sandbox and runs against it."""

    def __init__(self, url: str, clock: ManualClock, spool: Path, project: Project) -> None:
        self.url, self.clock, self.spool, self.project = url, clock, spool, project

    @contextmanager
    def client(self) -> Iterator[OddsApiClient]:
        with open_session(LiveAdapter(self.clock)) as session:
            session.trust_env = False
            yield OddsApiClient(session, clock=self.clock, base_url=self.url, api_key=Secret(KEY), timeout=(1.0, 5.0))

    def ingest(self, warehouse: Warehouse, number: int) -> None:
        at = AT + dt.timedelta(minutes=10 * number)
        plan = MarketPlan(endpoints=("sports", "events", "odds", "scores"), sports=("basketball_nba",), regions=("us",))
        file = PlanFile("test", plan, dt.timedelta(minutes=10), Budget())
        conduct = Conduct(timer=ManualClock(at), workers=2)
        with self.client() as client:
            ingest_once(file, client, self.spool, RunContext(warehouse, self.project, ManualClock(at)), conduct)


@contextmanager
def live(spool: Path, project: Project) -> Iterator[Live]:
    clock = ManualClock(AT)
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(clock), ManualClock(AT))
    with serving(sandbox) as url:
        yield Live(url, clock, spool, project)


def _same_as_its_spool(spool: Path, warehouse: Warehouse, databases: Databases, project: Project) -> None:
    assert len(Recording.open(spool)) > 0
    with databases() as fresh:
        load(spool, fresh, project)
        check(warehouse, project, digests(fresh))


# --- the machine ----------------------------------------------------------------------------------------------------------


@contextmanager
def own_server(folder: Path, options: dict[str, str] | None = None) -> Iterator[tuple[EmbeddedServer, Server]]:
    embedded = EmbeddedServer.start(folder, options=options or {})
    with Server(embedded.warehouse("crash_"), embedded, "a server of the test's own") as server:
        yield embedded, server


def test_a_server_that_dies(recording: Path, golden: dict[str, str], project: Project, short_folder: Path) -> None:
    """The postmaster is killed in the middle of a load, which says that the database is lost; started again, all is whole."""
    embedded = EmbeddedServer.start(short_folder, options=CARELESS)
    server = Server(embedded.warehouse("crash_"), embedded, "a server of the test's own")
    warehouse = server.create_database("crash")
    bootstrap(warehouse)
    prepare(warehouse, project)
    pid = int(next(short_folder.rglob("postmaster.pid")).read_text().split()[0])
    seen: list[str] = []

    def kill(line: Any) -> None:
        seen.append(line.batch_id)
        if len(seen) == 2:
            os.kill(pid, signal.SIGKILL)

    with pytest.raises((psycopg.Error, psycopg2.Error, SportsMarketError)):
        load_recording(recording, RunContext(warehouse, project, CLOCK, kill))
    server.close()
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists() and Path(f"/proc/{pid}/status").read_text().find("Z (zombie)") < 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    with own_server(short_folder, CARELESS) as (_, again):
        found = again.warehouse("crash")
        load(recording, found, project)
        check(found, project, golden)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of so many megabytes, where one may be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="sm-", dir="/tmp"))
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0755", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()


def test_a_disk_that_fills(recording: Path, golden: dict[str, str], project: Project) -> None:
    options = {**CARELESS, "max_wal_size": "64MB", "min_wal_size": "32MB"}
    with small_disk(300) as disk, own_server(disk / "s", options) as (_, server):
        warehouse = server.create_database("crash")
        bootstrap(warehouse)
        prepare(warehouse, project)
        ballast = disk / "ballast"
        with pytest.raises((psycopg.Error, psycopg2.Error, SportsMarketError)):
            for _ in range(10):
                free = os.statvfs(disk)
                with ballast.open("ab") as file:
                    file.write(b"\0" * max(0, free.f_bavail * free.f_frsize - 200_000))
                load(recording, warehouse, project)
                with warehouse.connect(Role.OWNER, autocommit=True) as owner:
                    owner.execute("create table public.fill as select repeat('x', 1000) as x from generate_series(1, 9000)")
        ballast.unlink()
        with warehouse.connect(Role.OWNER, autocommit=True) as owner:
            owner.execute("drop table if exists public.fill")
        load(recording, warehouse, project)
        check(warehouse, project, golden)


def test_a_folder_that_cannot_be_written(recording: Path, databases: Databases, project: Project, tmp_path: Path) -> None:
    with small_disk(4) as disk, databases() as warehouse:
        spool = disk / "spool"
        spool.mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with live(spool, project) as run:
            with pytest.raises(SportsMarketError) as raised:
                run.ingest(warehouse, 0)
            assert raised.value.code == "SPOOL_NOT_WRITABLE"
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            run.ingest(warehouse, 0)
            _same_as_its_spool(spool, warehouse, databases, project)


class Backwards:
    """A clock that was set back, again and again."""

    def __init__(self) -> None:
        self.at = dt.datetime(2031, 1, 1, tzinfo=UTC)

    def now(self) -> dt.datetime:
        self.at -= dt.timedelta(hours=1)
        return self.at


def test_a_clock_that_goes_back(recording: Path, golden: dict[str, str], databases: Databases, project: Project) -> None:
    with databases() as warehouse:
        load_recording(recording, RunContext(warehouse, project, Backwards()))
        check(warehouse, project, golden)
        load_recording(recording, RunContext(warehouse, project, Backwards()))
        check(warehouse, project, golden)
