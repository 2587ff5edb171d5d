"""The command: it tells what it would cost, walks, loads, and ends in what a load of its spool into a fresh warehouse gives."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.clock import UTC, ManualClock, SystemClock, to_iso
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


def test_what_closes_are_missing_is_priced_asked_for_and_filled(
    prepared: Warehouse, own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(ManualClock(NOW)), SystemClock())
    plan, spool = tmp_path / "plan.yml", tmp_path / "spool"
    plan.write_text(
        "endpoints: [events, odds]\nsports: [basketball_nba]\nbookmakers: [draftkings, fanduel]\nmarkets: [h2h, totals]\n"
        "historical: true\n"
    )
    monkeypatch.setenv("SPORTS_MARKET_STATE_DIR", str(own_state))
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", prepared.role_prefix)
    monkeypatch.setenv("SPORTS_MARKET_API_KEY", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    command = ["backfill", "--plan", str(plan), "--spool", str(spool), "--json"]
    command += ["--database-url", prepared.conninfo(Role.OWNER)]
    morning = ["--from", "2026-01-04T12:00:00Z", "--to", "2026-01-04T12:00:00Z", "--credits", "100"]

    def ran(*options: str) -> Any:
        assert cli.main([*command, *options]) == 0
        return json.loads(capsys.readouterr().out)

    def closes() -> set[tuple[str, str, str]]:
        with prepared.connect(Role.READER) as reader:
            return set(
                reader.execute("select event_id, bookmaker_key, market_key from gold.closings where is_closing").fetchall()
            )

    day = ["--missing", "--from", "2026-01-04T00:00:00Z", "--to", "2026-01-08T00:00:00Z"]
    with serving(sandbox) as url:
        ran(*morning, "--api-url", url)
        calls = len(list(sandbox.calls))
        told = ran(*day, "--credits", "50", "--dry-run")
        assert len(list(sandbox.calls)) == calls
        assert told["snapshots"] > 2 and closes() == set()
        # a snapshot costs 1 for its list and 10 for each market, the list after the last start 1
        within = told["within_cap"]
        assert (within["snapshots"], within["lists_of_events"], within["credits"]) == (2, 1, 43)
        # of the most games first
        gains = [each["closes"] for each in told["moments"]]
        assert gains == sorted(gains, reverse=True) and gains[0] == 4 * told["moments"][0]["games"]

        done = ran(*day, "--credits", "50", "--api-url", url)
        assert (done["state"], done["collected"], done["credits"]["reported"]) == ("done", 3, 43)
        filled = closes()
        asked = {each["at"] for each in told["moments"][:2]}
        with prepared.connect(Role.READER) as reader:
            starts = dict(reader.execute("select event_id, start_at from gold.events").fetchall())
        assert filled and {to_iso(starts[event_id]) for event_id, _, _ in filled} >= asked
        # what is held is not asked for again
        later = ran(*day, "--credits", "50", "--dry-run")
        assert not asked & {each["at"] for each in later["moments"]}
        # each snapshot may list games of which nobody knew
        while ran(*day, "--credits", "1000", "--dry-run")["moments"]:
            assert ran(*day, "--credits", "1000", "--api-url", url)["collected"] > 0
        assert len(closes()) > len(filled)


def test_a_stretch_needs_two_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.yml"
    plan.write_text("endpoints: [odds]\nsports: [basketball_nba]\nregions: [us]\nhistorical: true\n")
    common = ["backfill", "--plan", str(plan), "--spool", str(tmp_path / "spool"), "--credits", "5", "--dry-run"]
    assert cli.main([*common, "--from", "2026-01-04T12:00:00Z"]) == 2
    assert "Give --from and --to, or --missing." in capsys.readouterr().err
