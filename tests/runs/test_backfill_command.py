"""The command: it tells what it would cost, walks, loads, and ends in what a load of its spool into a fresh warehouse gives."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.clock import UTC, ManualClock, SystemClock
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.runs.context import RunContext
from pipeline.runs.load import load_recording
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.support import Databases, digests

NOW = dt.datetime(2026, 1, 20, tzinfo=UTC)


def test_a_back_fill(
    prepared: Warehouse,
    databases: Databases,
    project: Project,
    own_state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(ManualClock(NOW)), SystemClock())
    plan, spool = tmp_path / "plan.yml", tmp_path / "spool"
    plan.write_text("endpoints: [events, odds]\nsports: [basketball_nba]\nregions: [us]\nhistorical: true\ncadence: 10m\n")
    monkeypatch.setenv("SPORTS_MARKET_STATE_DIR", str(own_state))
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", prepared.role_prefix)
    monkeypatch.delenv("SPORTS_MARKET_API_KEY", raising=False)
    command = ["backfill", "--plan", str(plan), "--spool", str(spool), "--json", "--from", "2026-01-04T17:00:00Z"]
    command += ["--database-url", prepared.conninfo(Role.OWNER), "--to", "2026-01-04T17:30:00Z", "--credits"]
    with serving(sandbox) as url:
        assert cli.main([*command, "50", "--dry-run"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["snapshots"], told["calls"], told["credits"], told["snapshots_within_cap"]) == (4, 8, 44, 4)
        assert not spool.exists() and list(sandbox.calls) == []
        assert cli.main([*command, "50", "--api-url", url]) == 2
        assert "API_KEY_MISSING" in capsys.readouterr().err
        monkeypatch.setenv("SPORTS_MARKET_API_KEY", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
        assert cli.main([*command, "25", "--api-url", url]) == 0
        first = json.loads(capsys.readouterr().out)
        assert (first["state"], first["collected"], first["load"]["published"]) == ("stopped", 2, 2)
        assert cli.main([*command, "50", "--api-url", url]) == 0
        second = json.loads(capsys.readouterr().out)
        assert (second["state"], second["known"], second["load"]["batches"]) == ("done", 2, second["collected"])
        assert sandbox.account.used == first["credits"]["reported"] + second["credits"]["reported"]
        assert cli.main(["credits", "--json", "--database-url", prepared.conninfo(Role.OWNER)]) == 0
        ledger = json.loads(capsys.readouterr().out)
        assert {row["day"] for row in ledger["rows"]} == {"2026-01-20"}  # when it was spent, not what it is about
        assert ledger["total"]["reported"] == ledger["total"]["computed"] == sandbox.account.used
    with databases() as fresh:
        load_recording(spool, RunContext(fresh, project, ManualClock(NOW)))
        assert digests(fresh) == digests(prepared)
