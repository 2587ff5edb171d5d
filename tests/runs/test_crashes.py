"""Whatever ends a command, and wherever: run again, nothing is wrong and the digests are those of an undisturbed run.

Killed at statements from the first to the last, and at moments that are drawn; the server dies, its disk fills, a folder cannot
be written, the clock goes back. ``SPORTS_MARKET_KILLS`` says how many moments are drawn for each command; all
cases: ``nox -s proofs``.
"""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import psycopg2
import psycopg2.extensions
import pytest

from init_db import bootstrap as bootstrap_database
from pipeline.bronze.lookup import Selection
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
from pipeline.runs.archive import archive, restore
from pipeline.runs.backfill import backfill
from pipeline.runs.context import RunContext
from pipeline.runs.ingest import ingest_once
from pipeline.runs.load import load_recording
from pipeline.runs.quarantine import retry_answers
from pipeline.secret import Secret
from pipeline.transform.apply import prepare, rebuild
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap
from pipeline.warehouse.embedded import EmbeddedServer
from tests.conftest import CARELESS, Project
from tests.recordings import written
from tests.replay import wild
from tests.replay.support import CLOCK, Databases, digests, take
from tests.runs import test_archive

KILLS: Final = int(os.environ.get("SPORTS_MARKET_KILLS") or 20)
BATCHES = wild.market_of(96)[:4]
AT = dt.datetime(2026, 1, 4, 17, 7, 31, tzinfo=UTC)
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


def in_a_process(work: Callable[[], object], delay: float | None = None) -> int:
    """Do it in a process of its own, killed after so many seconds unless it has ended; its exit code."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(timeout=delay if delay is not None else 300)
    if process.is_alive():
        process.kill()
    process.join(timeout=60)
    assert process.exitcode is not None
    return process.exitcode


def duration(work: Callable[[], object]) -> float:
    began = time.monotonic()
    assert in_a_process(work) == 0
    return time.monotonic() - began


def check(warehouse: Warehouse, project: Project, golden: dict[str, str]) -> None:
    assert digests(warehouse) == golden
    report = verify(warehouse, project)
    assert not report.failed, [(each.name, each.message) for each in report.failed]


# --- at a statement, from the first to the last -------------------------------------------------------------------------


def counted(limit: int, counter: Any) -> None:
    """Let this process count what it sends to a server, and be killed as it sends the n-th."""

    def sent() -> None:
        counter.value += 1
        if counter.value == limit:
            os.kill(os.getpid(), signal.SIGKILL)

    class Counting(psycopg2.extensions.cursor):
        def execute(self, query: Any, values: Any = None) -> None:
            sent()
            super().execute(query, values)

    connect, execute, executemany = psycopg2.connect, psycopg.Cursor.execute, psycopg.Cursor.executemany
    psycopg2.connect = lambda *a, **k: connect(*a, cursor_factory=Counting, **k)

    def executed(self: Any, *a: Any, **k: Any) -> Any:
        sent()
        return execute(self, *a, **k)

    def many(self: Any, *a: Any, **k: Any) -> Any:
        sent()
        return executemany(self, *a, **k)

    psycopg.Cursor.execute = executed  # type: ignore[assignment,method-assign]
    psycopg.Cursor.executemany = many  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def statements(recording: Path, databases: Databases, project: Project) -> int:
    """How many a load sends."""
    counter = multiprocessing.Value("i", 0)
    with databases() as warehouse:

        def work() -> None:
            counted(0, counter)
            load(recording, warehouse, project)

        assert in_a_process(work) == 0
    return int(counter.value)


PERCENTS: Final = 100


@pytest.mark.proof(cases=6)
@pytest.mark.parametrize("percent", random.Random(3).sample(range(PERCENTS), PERCENTS))
def test_a_load_killed_at_a_statement_ends_alike(
    percent: int, statements: int, recording: Path, golden: dict[str, str], databases: Databases, project: Project
) -> None:
    counter = multiprocessing.Value("i", 0)
    with databases() as warehouse:

        def work() -> None:
            counted(1 + statements * percent // PERCENTS, counter)
            load(recording, warehouse, project)

        code = in_a_process(work)
        assert code == -signal.SIGKILL
        digests(warehouse)  # what is kept fits the rows
        load(recording, warehouse, project)
        check(warehouse, project, golden)


# --- at moments that are drawn --------------------------------------------------------------------------------------------


def killed_often(
    name: str, work: Callable[[], object], undisturbed: float, after: Callable[[], None], times: int = KILLS
) -> None:
    """Kill it again and again, each time anew or from where it stood, then let it end."""
    draw = random.Random(name)
    killed = 0
    for _ in range(times):
        # the first time, which was measured, takes longer than the next ones
        killed += in_a_process(work, draw.uniform(0.0, 0.7 * undisturbed)) != 0
        after()
    assert killed, "it was never killed"


@pytest.mark.proof(cases=0)
def test_rebuild(databases: Databases, project: Project, golden: dict[str, str]) -> None:
    with databases() as warehouse:
        take(warehouse, project, BATCHES, step=0)

        def work() -> None:
            rebuild(warehouse, project)

        killed_often("rebuild", work, duration(work), lambda: check(warehouse, project, golden))
        work()
        check(warehouse, project, golden)


@pytest.mark.proof(cases=0)
def test_archive_and_restore(databases: Databases, project: Project, tmp_path: Path) -> None:
    with databases() as warehouse, databases() as other:
        for made in (warehouse, other):
            take(made, project, test_archive.BATCHES, step=0)
        before = digests(warehouse)

        def away(where: Warehouse = warehouse, folder: str = "archive") -> None:
            archive(where, test_archive.DECEMBER, tmp_path / folder, CLOCK, drop=True)

        def back(where: Warehouse = warehouse) -> None:
            restore(where, project, None, None)

        spent = duration(lambda: away(other, "other")), duration(lambda: back(other))
        draw = random.Random("archive")
        killed = 0
        for _ in range(KILLS):
            killed += in_a_process(away, draw.uniform(0.0, spent[0])) != 0
            check(warehouse, project, before)
            killed += in_a_process(back, draw.uniform(0.0, spent[1])) != 0
            check(warehouse, project, before)
        assert killed > KILLS // 2
        away()
        check(warehouse, project, before)
        back()
        check(warehouse, project, before)


@pytest.mark.proof(cases=0)
def test_quarantine_retry(databases: Databases, project: Project, golden: dict[str, str]) -> None:
    from tests.runs.test_quarantine import a_rule, stricter

    with databases() as warehouse, databases() as other:
        for made in (warehouse, other):
            with stricter(a_rule):
                take(made, project, BATCHES, step=0)
        assert digests(warehouse) != golden

        def work(where: Warehouse = warehouse) -> None:
            retry_answers(RunContext(where, project, CLOCK), Selection())

        spent = duration(lambda: work(other))
        killed_often("retry", work, spent, lambda: None)
        work()
        check(warehouse, project, golden)


@pytest.mark.proof(cases=0)
def test_bootstrap(server: Server, clone_names: Iterator[str], project: Project, golden: dict[str, str]) -> None:
    def made() -> Warehouse:
        return server.create_database(next(clone_names))

    other = made()
    spent = duration(lambda: bootstrap_database(other))
    server.drop_database(other)
    draw = random.Random("bootstrap")
    warehouse = made()
    try:
        for _ in range(KILLS):
            in_a_process(lambda: bootstrap_database(warehouse), draw.uniform(0.0, spent))
        bootstrap(warehouse)
        assert not bootstrap_database(warehouse).changed
        prepare(warehouse, project)
        take(warehouse, project, BATCHES)
        check(warehouse, project, golden)
    finally:
        server.drop_database(warehouse)


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

    def fill(self, warehouse: Warehouse) -> None:
        from pipeline.collect.history_walk import Span

        plan = MarketPlan(endpoints=("events", "odds"), sports=("basketball_nba",), regions=("us",), historical=True)
        file = PlanFile("test", plan, dt.timedelta(minutes=10), Budget())
        conduct = Conduct(timer=ManualClock(AT), workers=2)
        span = Span(file, AT - dt.timedelta(days=3), AT - dt.timedelta(days=3) + dt.timedelta(minutes=40), 500)
        with self.client() as client:
            backfill(span, client, self.spool, RunContext(warehouse, self.project, self.clock), conduct, lambda line: None)


@contextmanager
def live(spool: Path, project: Project) -> Iterator[Live]:
    clock = ManualClock(AT)
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(clock), ManualClock(AT))
    with serving(sandbox) as url:
        yield Live(url, clock, spool, project)


@pytest.mark.proof(cases=1)
@pytest.mark.parametrize("kills", [2, KILLS])
def test_ingest(kills: int, databases: Databases, project: Project, tmp_path: Path) -> None:
    """Killed while it asks, records, loads or publishes: what its spool holds is what a replay of it gives."""
    with live(tmp_path / "spool", project) as run, databases() as warehouse:
        with databases() as other:
            run.spool = tmp_path / "undisturbed"
            spent = duration(lambda: run.ingest(other, 0))
            run.spool = tmp_path / "spool"
        draw = random.Random("ingest")
        for number in range(kills):
            in_a_process(lambda number=number: run.ingest(warehouse, number), draw.uniform(0.0, spent))  # type: ignore[misc]
        run.ingest(warehouse, kills)
        _same_as_its_spool(run.spool, warehouse, databases, project)


@pytest.mark.proof(cases=0)
def test_backfill(databases: Databases, project: Project, tmp_path: Path) -> None:
    with live(tmp_path / "spool", project) as run, databases() as warehouse:
        with databases() as other:
            run.spool = tmp_path / "undisturbed"
            spent = duration(lambda: run.fill(other))
            wanted = digests(other)
            run.spool = tmp_path / "spool"
        killed_often("backfill", lambda: run.fill(warehouse), spent, lambda: None)
        run.fill(warehouse)
        check(warehouse, project, wanted)
        _same_as_its_spool(run.spool, warehouse, databases, project)


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
