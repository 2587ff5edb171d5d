"""Runs one after the other: by the plan's cadence, through a spent budget, and stopped between two batches or within one."""

from __future__ import annotations

import datetime as dt
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.clock import UTC, ManualClock
from pipeline.collect.cadence import parse_cadence
from pipeline.collect.plan import MarketPlan
from pipeline.collect.plan_file import PlanFile, with_period
from pipeline.errors import ApiError, UsageError
from pipeline.odds_api.credits import Budget
from pipeline.recording.store import Recording
from pipeline.runs.ingest import IngestSummary
from pipeline.runs.ingest_on import ingest_on
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import live_environment

AT = dt.datetime(2026, 1, 4, 17, 7, 31, 5, tzinfo=UTC)
MINUTE = dt.timedelta(minutes=1)
PLAN = MarketPlan(endpoints=("sports", "events", "odds"), sports=("basketball_nba",), regions=("us",))
PLAIN = PlanFile("plain", PLAN, 10 * MINUTE, Budget())
TIERS = parse_cadence({"1h": "5m", "otherwise": "1h"})
NOTHING = IngestSummary(Path("spool"), None, None)


class Until(ManualClock):
    """A clock that is interrupted at some moment, as it waits."""

    def __init__(self, begin: dt.datetime, end: dt.datetime) -> None:
        super().__init__(begin)
        self.end = end

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.time >= self.end:
            raise KeyboardInterrupt


def moments(file: PlanFile, minutes: int, takes: dict[int, int] | None = None) -> list[int]:
    """At which minutes past 17:00 a loop runs, where the n-th run takes so many minutes."""
    found: list[int] = []
    clock = Until(AT, AT + minutes * MINUTE)

    def once(at: dt.datetime) -> IngestSummary:
        found.append(int((at - AT.replace(minute=0, second=0, microsecond=0)) / MINUTE))
        ManualClock.sleep(clock, 60.0 * (takes or {}).get(len(found), 0))
        return NOTHING

    assert ingest_on(once, file, clock, clock, print).exit_code == 0
    return found


def test_it_keeps_to_the_cadence() -> None:
    assert moments(PLAIN, 35) == [0, 10, 20, 30, 40]
    # what passed while a run took long is left out, but for the last
    assert moments(PLAIN, 60, {2: 25}) == [0, 10, 30, 40, 50, 60]
    assert moments(PlanFile("tiers", PLAN, 5 * MINUTE, Budget(), TIERS), 130) == [5, 60, 120]
    assert moments(with_period(PlanFile("tiers", PLAN, 5 * MINUTE, Budget(), TIERS), "30m"), 60) == [0, 30, 60]


def test_a_period_is_needed() -> None:
    with pytest.raises(UsageError, match="CADENCE_MISSING"):
        with_period(PlanFile("none", PLAN, None, Budget()), "")
    with pytest.raises(UsageError, match="CADENCE_INVALID"):
        with_period(PLAIN, "often")
    assert with_period(PLAIN, "") == PLAIN


def test_a_spent_budget_is_waited_for_and_a_refused_key_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    codes = ["BUDGET_SPENT", "OUT_OF_USAGE_CREDITS", "RESERVE_REACHED", "CREDITS_UNKNOWN", "API_UNREACHABLE"]

    def once(at: dt.datetime) -> IngestSummary:
        raise ApiError(codes.pop(0), "no more", "")

    clock = Until(AT, AT + 40 * MINUTE)
    assert ingest_on(once, PLAIN, clock, clock, print).skipped == 5
    assert "2026-01-04T17:10:00Z skipped: OUT_OF_USAGE_CREDITS: no more" in capsys.readouterr().out
    codes = ["INVALID_KEY"]
    with pytest.raises(ApiError, match="INVALID_KEY"):
        ingest_on(once, PLAIN, clock, clock, print)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_goes_on_until_it_is_stopped(number: int, prepared: Warehouse, own_state: Path, tmp_path: Path) -> None:
    from pipeline.clock import SystemClock
    from pipeline.market.sandbox.sandbox_clock import SandboxClock
    from pipeline.market.sandbox.server import serving
    from pipeline.market.sandbox.service import Sandbox
    from pipeline.market.simulator import SimulatedMarket

    plan = tmp_path / "plan.yml"
    plan.write_text(
        "endpoints: [sports, events, odds, scores]\ngroups: [Basketball]\nregions: [us]\n"
        "cadence: {12h: 10m, 2d: 1h, in_play: 10m, otherwise: 6h}\nbudget: {per_run: 50}\n"
    )
    system = SystemClock()
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(system, AT, 200.0), system)
    environment = live_environment(prepared, own_state)
    with serving(sandbox) as url:
        command = [sys.executable, "-m", "pipeline.cli", "ingest", "--live", "--every", "--plan", str(plan), "--json"]
        command += ["--spool", str(tmp_path / "spool"), "--api-url", url, "--sandbox-clock"]
        running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            until = system.elapsed() + 120
            while len(list(tmp_path.glob("spool/batches/*"))) < 3 and system.elapsed() < until and running.poll() is None:
                time.sleep(0.05)
            running.send_signal(number)
            out, told = running.communicate(timeout=60)
        finally:
            running.kill()
    # between two batches it ends well; in the middle of one it gives that up
    assert running.returncode in (0, 130), told
    if running.returncode == 0:
        assert json.loads(out)["batches"] >= 3 and json.loads(out)["credits"] == sandbox.account.used
    batches = Recording.open(tmp_path / "spool").batch_ids
    assert len(batches) >= 3
    with prepared.connect(Role.INGESTER) as connection:
        states = dict(connection.execute("select batch_id, state from ops.batch_states").fetchall())
        halves = connection.execute(
            "select count(*) from ops.ledger as l join ops.batch_states as s on s.batch_id = l.batch_id"
            " where l.applied <> (s.state = 'published')"
        ).fetchone()
    assert states.keys() <= set(batches) and set(states.values()) <= {"published", "sealed"} and halves == (0,)
