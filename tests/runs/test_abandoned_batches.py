"""A live run that is killed in the midst of its calls, and the run of the next slot: what was paid for is published."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import UTC, ManualClock, SystemClock
from pipeline.errors import ApiError
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.credits import Bill
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.replay.run import ReplayOptions, replay
from pipeline.runs.context import RunContext
from pipeline.runs.ingest import gold_digests
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project, live_environment
from tests.replay.support import Databases, digests
from tests.runs.test_ingest import Live

AT = dt.datetime(2026, 1, 4, 17, 7, tzinfo=UTC)
PLAN = "endpoints: [sports, events, odds, scores]\nsports: [basketball_nba, icehockey_nhl]\nregions: [us]\ncadence: 10m\n"


def states(warehouse: Warehouse) -> dict[str, str]:
    with warehouse.connect(Role.INGESTER) as connection:
        return dict(connection.execute("select batch_id, state from ops.batch_states").fetchall())


def test_a_run_that_is_killed_and_the_next_slot(
    prepared: Warehouse, databases: Databases, project: Project, own_state: Path, tmp_path: Path
) -> None:
    (tmp_path / "plan.yml").write_text(PLAN)
    clock, system = ManualClock(AT), SystemClock()
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(clock), system, faults=["scores:timeout", "scores:timeout"])
    environment = live_environment(prepared, own_state)
    spool = tmp_path / "spool"
    with serving(sandbox) as url:
        command = [sys.executable, "-m", "pipeline.cli", "ingest", "--live", "--once", "--plan", str(tmp_path / "plan.yml")]
        command += ["--spool", str(spool), "--api-url", url, "--sandbox-clock", "--workers", "2", "--json"]
        running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            until = system.elapsed() + 120
            while len(sandbox.calls) < 7 and system.elapsed() < until and running.poll() is None:
                time.sleep(0.02)
            running.send_signal(signal.SIGKILL)
        finally:
            running.kill()
            running.communicate()
        asked = [call["request"] for call in sandbox.calls]
        assert len(asked) == 7 and not list(spool.glob("batches/*"))
        [half] = RecordingWriter(spool).unsealed

        clock.sleep(600)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["abandoned"] == [half] and told["load"]["published"] == 2
    batches = {batch.batch_id: batch for batch in Recording.open(spool).batches()}
    assert set(batches) == {half, told["batch_id"]} and states(prepared) == dict.fromkeys(batches, "published")
    kept = batches[half].exchanges
    assert sorted(one.request.text for one in kept) == sorted(asked)
    assert [one.failure.code for one in kept if one.failure] == ["ABANDONED", "ABANDONED"]
    assert len(sandbox.calls) == 14  # the half batch was not asked about again
    bill = Bill.of((one.request, one) for batch in batches.values() for one in batch.exchanges)
    assert bill.charged <= sandbox.account.used <= bill.charged + bill.doubtful
    with prepared.connect(Role.READER) as reader:
        row = reader.execute("select sum(coalesce(reported, computed)), sum(doubtful) from ops.credits").fetchone()
    assert row == (bill.charged, bill.doubtful)
    with databases() as fresh:
        again = replay(spool, RunContext(fresh, project, ManualClock(AT)), ReplayOptions(), tmp_path / "scratch")
    assert again.digests == gold_digests(prepared) == told["digests"]


def test_what_was_abandoned_is_loaded_though_the_next_run_stops_too(
    tmp_path: Path, databases: Databases, project: Project
) -> None:
    live = Live(tmp_path / "spool", project)
    with databases() as warehouse:
        with pytest.raises(ApiError):
            live.run(warehouse, "scores:OUT_OF_USAGE_CREDITS")
        assert states(warehouse) == {}
        live.clock.sleep(600)
        with pytest.raises(ApiError):
            live.run(warehouse, "401")
        [first] = Recording.open(live.spool).batch_ids
        assert states(warehouse) == {first: "published"}
        live.clock.sleep(600)
        done = live.run(warehouse)
        assert done.batch is not None and len(done.abandoned) == 1 and done.exit_code == 0
        assert done.lines()[0] == f"{done.abandoned[0]}: stopped half-way in its time, and sealed as it is"
        assert states(warehouse) == dict.fromkeys((first, *done.abandoned, done.batch.batch_id), "published")
        standing = digests(warehouse)
    with databases() as fresh:
        replay(live.spool, RunContext(fresh, project, ManualClock(AT)), ReplayOptions(), tmp_path / "scratch")
        assert digests(fresh) == standing
