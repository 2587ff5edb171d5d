"""Bad plans, keys, addresses and dates: one clear message, and not a single call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.clock import SystemClock
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PLAN = "endpoints: [events, odds]\nsports: [basketball_nba]\nregions: [us]\n"
PAST = "historical: true\n"
SPAN = ("--from", "2026-01-04T17:00:00Z", "--to", "2026-01-04T18:00:00Z", "--credits", "50")


@pytest.fixture(scope="module")
def asked() -> Iterator[tuple[Sandbox, str]]:
    system = SystemClock()
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(system), system)
    with serving(sandbox) as url:
        yield sandbox, url


@pytest.mark.parametrize(
    ("command", "plan", "key", "code"),
    [
        ("ingest", "endpoint: [odds]\n", KEY, "PLAN_UNKNOWN_KEY"),
        ("ingest", "endpoints: [odds\n", KEY, "PLAN_INVALID"),
        ("ingest", PLAN + "markets: [player_points]\n", KEY, "PLAN_INVALID"),
        ("ingest", PLAN + "cadence: often\n", KEY, "PLAN_INVALID"),
        ("ingest", PLAN + "budget: {per_run: much}\n", KEY, "PLAN_INVALID"),
        ("ingest", "", KEY, "PLAN_INVALID"),
        ("ingest", None, KEY, "PLAN_NOT_FOUND"),
        ("ingest", PLAN, "", "API_KEY_MISSING"),
        ("ingest", PLAN, f'"{KEY}"', "API_KEY_INVALID"),
        ("ingest", PLAN, f"{KEY[:16]} {KEY[16:]}", "API_KEY_INVALID"),
        ("ingest", PLAN, f"{KEY}\N{ZERO WIDTH SPACE}", "API_KEY_INVALID"),
        ("ingest --every often", PLAN, KEY, "CADENCE_INVALID"),
        ("ingest --every", PLAN, KEY, "CADENCE_MISSING"),
        ("ingest --workers 0", PLAN, KEY, "USAGE"),
        ("ingest --api-url ftp://here", PLAN, KEY, "API_BASE_URL_INVALID"),
        ("backfill", PLAN, KEY, "PLAN_NOT_HISTORICAL"),
        ("backfill", PLAN + PAST, "", "API_KEY_MISSING"),
        ("backfill --from 2026-01-04", PLAN + PAST, KEY, "DATE_INVALID"),
        ("backfill --to 2026-01-04T17:00:00+01:00", PLAN + PAST, KEY, "DATE_INVALID"),
        ("backfill --to 2026-02-30T17:00:00Z", PLAN + PAST, KEY, "DATE_INVALID"),
        ("backfill --to 2026-01-04T16:00:00Z", PLAN + PAST, KEY, "SPAN_INVALID"),
        ("backfill --credits some", PLAN + PAST, KEY, "USAGE"),
    ],
)
def test_one_message_and_no_call(
    asked: tuple[Sandbox, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    plan: str | None,
    key: str,
    code: str,
) -> None:
    sandbox, url = asked
    for name, value in {"API_KEY": key, "STATE_DIR": str(tmp_path / "state"), "API_BASE_URL": url}.items():
        monkeypatch.setenv(f"SPORTS_MARKET_{name}", value)
    for name in ("ODDS_API_KEY", "SPORTS_MARKET_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    if plan is not None:
        (tmp_path / "plan.yml").write_text(plan)
    name, *options = command.split()
    standard = [*SPAN] if name == "backfill" else ["--live", *([] if "--every" in options else ["--once"])]
    places = ["--plan", str(tmp_path / "plan.yml"), "--spool", str(tmp_path / "spool")]
    try:
        ended = cli.main([name, *standard, *places, *options])
    except SystemExit as end:  # of the parser
        ended = int(str(end.code))
    assert ended == 2
    told = capsys.readouterr()
    assert re.findall(r"^error (\w+): .+\n  next: .+$", told.err, re.MULTILINE) == [code]
    assert told.out == "" and "Traceback" not in told.err and (not key or key not in told.err)
    assert list(sandbox.calls) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"plan.yml"}  # nothing was begun
