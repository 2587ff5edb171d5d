"""A live run with a key of its own, on the command line: afterwards, and while it runs, the key is nowhere."""

from __future__ import annotations

import datetime as dt
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline.clock import UTC, ManualClock, SystemClock
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.secret import Secret
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import REPOSITORY

AT = dt.datetime(2026, 1, 4, 17, 7, tzinfo=UTC)
PLAN = "endpoints: [sports, events, odds, scores]\nsports: [basketball_nba]\nregions: [us]\n"


def dump(warehouse: Warehouse) -> Iterator[tuple[str, bytes]]:
    """Every row of every table as text; bytes in it are hex digits."""
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        tables = owner.execute(
            "select format('%I.%I', table_schema, table_name) from information_schema.tables"
            " where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (name,) in tables:
            # a query, as a table in parts cannot be copied by its name
            with owner.cursor().copy(f"copy (select * from {name}) to stdout".encode()) as rows:
                yield str(name), b"".join(bytes(row) for row in rows)


def processes() -> str:
    """What a list of processes shows to everybody."""
    found = []
    for process in psutil.process_iter():
        try:
            found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return "\n".join(found)


@pytest.mark.parametrize("faults", [["429=0", "events:500", "odds:reset", "scores:html"], ["ok", "ok", "401"]])
def test_it_is_in_no_file_table_text_or_list_of_processes(faults: list[str], prepared: Warehouse, tmp_path: Path) -> None:
    key = secrets.token_hex(16)
    (tmp_path / "plan.yml").write_text(PLAN)
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(ManualClock(AT)), SystemClock(), key=Secret(key), faults=faults)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPORTS_MARKET_")} | {
        "PYTHONPATH": str(REPOSITORY),
        "SPORTS_MARKET_API_KEY": key,
        "SPORTS_MARKET_STATE_DIR": str(tmp_path / "state"),
        "SPORTS_MARKET_ROLE_PREFIX": prepared.role_prefix,
        "SPORTS_MARKET_DATABASE_URL": prepared.conninfo(Role.OWNER),
    }
    listed: list[str] = []
    with serving(sandbox) as url:
        command = [sys.executable, "-m", "pipeline.cli", "ingest", "--live", "--once", "--sandbox-clock", "--debug"]
        command += ["--plan", str(tmp_path / "plan.yml"), "--spool", str(tmp_path / "spool"), "--api-url", url]
        running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        while running.poll() is None:
            listed.append(processes())
            time.sleep(0.2)
        said, _ = running.communicate()
    assert running.returncode == (3 if "401" in faults else 0), said
    assert sandbox.calls and any(command[-1] in one for one in listed)
    assert key not in said and not any(key in one for one in listed)
    tables = dict(dump(prepared))
    assert "bronze.bodies" in tables and (b"basketball_nba".hex().encode() in tables["bronze.bodies"] or "401" in faults)
    for name, text in tables.items():
        assert key.encode() not in text and key.encode().hex().encode() not in text, name
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".json" for path in files)
    for path in files:
        assert key.encode() not in path.read_bytes() and key not in str(path), path
