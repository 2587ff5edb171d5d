"""A live run against the sandbox, and a replay of its spool: equal digests, also where the live run met faults."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.bronze.batch_load import load_batch
from pipeline.clock import UTC, ManualClock
from pipeline.collect.live import Conduct
from pipeline.collect.plan import MarketPlan
from pipeline.collect.plan_file import PlanFile
from pipeline.collect.scheduled import slot
from pipeline.errors import ApiError, UsageError
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.credits import Budget
from pipeline.recording.adapters import LiveAdapter
from pipeline.recording.store import Recording
from pipeline.replay.run import ReplayOptions, replay
from pipeline.report.credits_spent import credits_spent
from pipeline.runs import ingest
from pipeline.runs.context import RunContext
from pipeline.runs.ingest import IngestSummary, gold_digests, ingest_once
from pipeline.runs.load import load_recording
from pipeline.secret import Secret
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.support import Databases, digests

AT = dt.datetime(2026, 1, 4, 17, 7, 31, 5, tzinfo=UTC)
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
NBA = "basketball_nba"
PLAN = MarketPlan(endpoints=("sports", "events", "odds", "scores"), sports=(NBA, "soccer_fifa_world_cup"), regions=("us",))
EVERY = dt.timedelta(minutes=10)


class Live:
    """A sandbox, a spool, and the runs that collect from one into the other."""

    def __init__(self, spool: Path, project: Project, plan: MarketPlan = PLAN) -> None:
        self.spool, self.project, self.plan = spool, project, plan
        self.clock = ManualClock(AT)
        self.sandbox = Sandbox(SimulatedMarket(7), SandboxClock(self.clock), ManualClock(AT))

    def run(self, warehouse: Warehouse, faults: str = "", budget: Budget | None = None) -> IngestSummary:
        self.sandbox.faults.extend(faults.split())
        with serving(self.sandbox) as url, open_session(LiveAdapter(self.clock)) as session:
            session.trust_env = False
            client = OddsApiClient(session, clock=self.clock, base_url=url, api_key=Secret(KEY), timeout=(1.0, 0.3))
            conduct = Conduct(timer=ManualClock(AT), workers=2)
            file = PlanFile("test", self.plan, EVERY, budget or Budget())
            return ingest_once(file, client, self.spool, RunContext(warehouse, self.project, self.clock), conduct)


def test_a_plan_may_ask_for_unix_dates(tmp_path: Path, databases: Databases, project: Project) -> None:
    found = []
    for date_format in ("iso", "unix"):
        live = Live(tmp_path / date_format, project, replace(PLAN, date_format=date_format))
        with databases() as warehouse:
            done = live.run(warehouse)
            assert done.exit_code == 0 and done.load is not None and done.load.quarantined == 0
            found.append(digests(warehouse))
            del found[-1]["gold.event_start_changes"]  # it names exchanges, and so the plan
        (batch,) = Recording.open(live.spool).batches()
        asked = [each.request.param("dateFormat") for each in batch.exchanges if each.request.endpoint != "sports"]
        assert set(asked) == ({None} if date_format == "iso" else {"unix"})
    assert found[0] == found[1]


def test_a_live_run_through_faults_and_its_replay_end_alike(tmp_path: Path, databases: Databases, project: Project) -> None:
    live = Live(tmp_path / "spool", project)
    with databases() as warehouse:
        done = live.run(warehouse, "429 events:reset odds:500 odds:cut_gzip odds:timeout scores:404")
        assert done.batch is not None and done.load is not None and done.exit_code == 0
        assert done.batch.scheduled_at == dt.datetime(2026, 1, 4, 17, 0, tzinfo=UTC)
        assert done.failures == {"EVENT_NOT_FOUND": 1}
        # collected live, and known for what it is
        assert done.batch.source == "live"
        with warehouse.connect(Role.READER) as reader:
            assert reader.execute("select distinct source from gold.events").fetchall() == [("simulated",)]
        assert done.to_json()["attempts"] - done.to_json()["requests"] == 5
        assert done.bill.differing == ()
        # what the server charged is what the run knows of, and no more than it doubts
        assert done.bill.charged <= live.sandbox.account.used <= done.bill.charged + done.bill.doubtful
        calls = len(live.sandbox.calls)
        again = live.run(warehouse)
        assert again.batch == done.batch and len(live.sandbox.calls) == calls and again.load is not None
        assert (again.load.standing, again.load.published) == (1, 0)
        live.clock.sleep(600)
        later = live.run(warehouse)
        assert later.load is not None and len(Recording.open(live.spool)) == 2
        assert (later.load.batches, later.load.published) == (1, 1)  # what is done is not looked at again
        standing, told = digests(warehouse), gold_digests(warehouse)
        with warehouse.connect(Role.READER) as reader:
            ledger = credits_spent(reader, 31)
        bills = [one.bill for one in (done, later)]
        assert (ledger.exit_code, ledger.total("difference")) == (0, 0)
        assert ledger.total("reported") == ledger.total("computed") == sum(bill.charged for bill in bills) > 0
        assert ledger.total("doubtful") == sum(bill.doubtful for bill in bills) > 0
        assert ledger.total("calls") == len(live.sandbox.calls)
        assert {(row.day, row.sport_key) for row in ledger.rows if row.endpoint == "odds"} == {
            ("2026-01-04", sport) for sport in PLAN.sports
        }
    with databases() as fresh:
        load_recording(live.spool, RunContext(fresh, project, ManualClock(AT)))
        assert digests(fresh) == standing
    with databases() as fresh:
        options = ReplayOptions()
        replayed = replay(live.spool, RunContext(fresh, project, ManualClock(AT)), options, tmp_path / "scratch")
        assert replayed.digests == told and list(replayed.digests) == list(told)


def test_what_an_earlier_run_left_is_loaded_and_nothing_else(tmp_path: Path, databases: Databases, project: Project) -> None:
    live = Live(tmp_path / "spool", project)
    with databases() as warehouse:
        collected = []
        for _ in range(4):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ingest, "load_batches", lambda *arguments, **named: None)
                batch = live.run(warehouse).batch
            assert batch is not None
            collected.append(batch)
            live.clock.sleep(600)
        with warehouse.connect(Role.INGESTER) as ingester:
            load_batch(ingester, collected[1], live.clock)  # and a crash before it was published
        read: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            reading = Recording.read
            patch.setattr(Recording, "read", lambda self, batch_id: read.append(batch_id) or reading(self, batch_id))
            first = live.run(warehouse)
            assert first.batch is not None and first.load is not None and first.load.published == 5
            assert read == [*(batch.batch_id for batch in collected), first.batch.batch_id]
            read.clear()
            with warehouse.connect(Role.OWNER) as owner:
                owner.execute("update ops.batch_states set state = 'withheld' where batch_id = %s", [collected[0].batch_id])
            live.clock.sleep(600)
            second = live.run(warehouse)
            assert second.batch is not None and read == [second.batch.batch_id]


def test_a_run_that_was_stopped_is_gone_on_with(tmp_path: Path, databases: Databases, project: Project) -> None:
    live = Live(tmp_path / "spool", project)
    with databases() as warehouse:
        with pytest.raises(ApiError, match="OUT_OF_USAGE_CREDITS"):
            live.run(warehouse, "scores:OUT_OF_USAGE_CREDITS")
        answered = [call["request"] for call in live.sandbox.calls if call["status"] == 200]
        done = live.run(warehouse)
        assert done.load is not None and done.load.published == 1
        requests = [call["request"] for call in live.sandbox.calls if call["status"] == 200]
        assert answered and sorted(requests) == sorted(set(requests))  # no answer twice
        assert done.bill.charged == live.sandbox.account.used


def test_of_two_runs_at_one_time_one_does_the_work(tmp_path: Path, databases: Databases, project: Project) -> None:
    live = Live(tmp_path / "spool", project)
    live.spool.mkdir()
    with databases() as warehouse, (live.spool / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        busy = live.run(warehouse)
    assert (busy.batch, busy.load, busy.exit_code) == (None, None, 0)
    assert busy.to_json()["state"] == "busy" and "Another run" in busy.lines()[0]
    assert list(live.sandbox.calls) == []


def test_a_plan_that_cannot_keep_its_budget_makes_no_call(tmp_path: Path, databases: Databases, project: Project) -> None:
    live = Live(tmp_path / "spool", project)
    with databases() as warehouse, pytest.raises(UsageError, match="PLAN_OVER_BUDGET"):
        live.run(warehouse, budget=Budget(per_run=3))
    assert list(live.sandbox.calls) == [] and not live.spool.exists()


def test_the_plans_budget_holds(tmp_path: Path, databases: Databases, project: Project) -> None:
    live = Live(tmp_path / "spool", project)
    with databases() as warehouse, pytest.raises(ApiError, match="BUDGET_SPENT"):
        live.run(warehouse, "odds:reset " * 5, Budget(per_run=4))
    assert live.sandbox.account.used <= 4


def test_slots() -> None:
    assert slot(AT, dt.timedelta(minutes=1)) == dt.datetime(2026, 1, 4, 17, 7, tzinfo=UTC)
    assert slot(AT, dt.timedelta(hours=6)) == dt.datetime(2026, 1, 4, 12, tzinfo=UTC)
    assert slot(slot(AT, EVERY), EVERY) == slot(AT, EVERY)


def test_the_command_needs_a_key_and_a_good_plan_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = tmp_path / "plan.yml"
    plan.write_text(json.dumps({"endpoints": ["sports"]}))
    command = ["ingest", "--live", "--once", "--spool", str(tmp_path / "spool"), "--plan"]
    for name in ("SPORTS_MARKET_API_KEY", "ODDS_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert cli.main([*command, str(plan)]) == 2
    assert "error API_KEY_MISSING" in capsys.readouterr().err
    monkeypatch.setenv("SPORTS_MARKET_API_KEY", KEY)
    assert cli.main([*command, str(plan), "--api-url", "here"]) == 2
    assert "error API_BASE_URL_INVALID" in capsys.readouterr().err
    plan.write_text("endpoint: [sports]")
    assert cli.main([*command, str(plan)]) == 2
    assert "the nearest is 'endpoints'" in capsys.readouterr().err
    assert not (tmp_path / "spool").exists()
