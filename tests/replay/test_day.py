"""A day is proven: each answer of its spool is in bronze as it is, and gold of its events is what bronze gives anew."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from pipeline import cli
from pipeline.bronze.verdicts import withdraw
from pipeline.errors import UsageError
from pipeline.recording.model import Batch, exchange_id
from pipeline.recording.store import Recording
from pipeline.replay.day import SPOOLED, DayProof, day_of, prove_day
from pipeline.transform.anew import REBUILT
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project, live_environment
from tests.recordings import written
from tests.replay import wild
from tests.replay.support import CLOCK, Databases, digests, take

# The same market on two days: most of what the second one shows was seen on the first.
MARKET: Final = wild.market_of(96)
SPLIT: Final = len(MARKET) // 2
DAY: Final = dt.date(2026, 1, 11)


def later(batch: Batch) -> Batch:
    """Filed on the day after; what it says stays."""
    at = batch.scheduled_at + dt.timedelta(days=1)
    by = dt.timedelta(days=1)
    exchanges = tuple(replace(each, captured_at=each.captured_at + by) for each in batch.exchanges)
    return Batch(batch.plan.batch_id(at), at, batch.plan, batch.source, exchanges)


FIRST: Final = MARKET[:SPLIT]
SECOND: Final = [later(batch) for batch in MARKET[SPLIT:]]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Of the second day alone."""
    return written(tmp_path / "spool", SECOND)


@pytest.fixture(scope="module")
def filled(databases: Databases, project: Project) -> Iterator[Warehouse]:
    """Both days; who changes something puts it back."""
    with databases() as warehouse:
        take(warehouse, project.program, [*FIRST, *SECOND])
        yield warehouse


def proven(warehouse: Warehouse, project: Project, spool: Path | None, day: dt.date = DAY) -> DayProof:
    return prove_day(warehouse, project.program, None if spool is None else Recording.open(spool), day)


def answer(spool: Path) -> tuple[Path, bytes]:
    """The file of a body of the spool, and what it holds."""
    files = sorted(path for path in spool.glob("batches/*/*") if path.name != "index.json" and path.stat().st_size > 20)
    return files[0], files[0].read_bytes()


def test_a_day_is_proven_whatever_the_warehouse_holds_beside_it(filled: Warehouse, project: Project, spool: Path) -> None:
    before = digests(filled)
    proof = proven(filled, project, spool)
    assert [(check.name, check.ok, check.message) for check in proof.checks] == [(SPOOLED, True, None), (REBUILT, True, None)]
    assert (proof.spooled, proof.published, proof.exit_code) == (len(SECOND), len(SECOND), 0)
    assert proof.events > 0
    assert digests(filled) == before
    # the day before has no spool any more
    yesterday = proven(filled, project, None, DAY - dt.timedelta(days=1))
    assert (yesterday.spooled, yesterday.published, [check.name for check in yesterday.checks]) == (None, len(FIRST), [REBUILT])
    # and the day after no batch at all
    tomorrow = proven(filled, project, spool, DAY + dt.timedelta(days=1))
    assert (tomorrow.spooled, tomorrow.published, tomorrow.events, tomorrow.exit_code) == (0, 0, 0, 0)


def test_a_changed_row_of_gold_is_found_with_its_table_key_and_column(filled: Warehouse, project: Project, spool: Path) -> None:
    change = "update gold.price_history set observations = observations {} 1 where series_id = %s and valid_to is not null"
    with filled.connect(Role.TRANSFORMER) as session:
        [(series_id,)] = session.execute(
            "select series_id from gold.price_history where valid_to is not null and event_id in"
            " (select event_id from silver.event_sightings where captured_at >= %s) order by valid_to, series_id limit 1",
            [dt.datetime(2026, 1, 11, tzinfo=dt.UTC)],
        ).fetchall()
        session.execute(change.format("+").encode(), [series_id])
        session.commit()
    try:
        proof = proven(filled, project, spool)
    finally:
        with filled.connect(Role.TRANSFORMER) as session:
            session.execute(change.format("-").encode(), [series_id])
            session.commit()
    assert [check.name for check in proof.failed] == [REBUILT]
    [row] = proof.failed[0].rows
    assert row.rule == "gold.price_history" and row.key.startswith(f"series_id={series_id}, ")
    assert "observations: " in row.holds and " from bronze" in row.holds
    assert f"  failed: rebuilt: gold.price_history {row.key}: {row.holds}" in proof.lines()
    assert proven(filled, project, spool).exit_code == 0


def test_a_changed_byte_of_the_spool_is_found(filled: Warehouse, project: Project, spool: Path) -> None:
    file, data = answer(spool)
    file.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    proof = proven(filled, project, spool)
    assert [check.name for check in proof.failed] == [SPOOLED]
    [row] = proof.failed[0].rows
    assert (row.rule, row.key) == ("batch", file.parent.name) and "RECORDING_HASH_MISMATCH" in row.holds
    file.write_bytes(data)
    assert proven(filled, project, spool).exit_code == 0


def test_other_answers_under_the_same_name_are_found_each_with_both_hashes(
    filled: Warehouse, project: Project, tmp_path: Path
) -> None:
    """Sealed as if they had come so: no hash of the spool itself tells."""
    batch = next(each for each in SECOND if any(e.body for e in each.exchanges))
    one = next(each for each in batch.exchanges if each.body)
    assert one.body is not None
    other = replace(one, body=one.body + b" ")
    exchanges = tuple(other if each is one else each for each in batch.exchanges)
    changed = [replace(each, exchanges=exchanges) if each is batch else each for each in SECOND]
    proof = proven(filled, project, written(tmp_path / "other", changed))
    [check] = proof.failed
    assert [(row.rule, row.key) for row in check.rows] == [
        ("batch", batch.batch_id),
        ("answer", str(exchange_id(batch.batch_id, one.place, one.attempt))),
    ]
    assert one.sha256 is not None and other.sha256 is not None
    assert f"bronze holds {one.sha256}, the spool {other.sha256}" in check.rows[1].holds


def test_what_was_never_loaded_or_came_short_is_found(filled: Warehouse, project: Project, tmp_path: Path) -> None:
    extra = later(MARKET[0])
    short = replace(SECOND[0], exchanges=SECOND[0].exchanges[:-1])
    proof = proven(filled, project, written(tmp_path / "more", [short, *SECOND[1:], extra]))
    [check] = proof.failed
    holds = {row.key: row.holds for row in check.rows}
    assert holds[extra.batch_id] == "bronze does not hold it: load the spool"
    last = SECOND[0].exchanges[-1]
    gone = str(exchange_id(SECOND[0].batch_id, last.place, last.attempt))
    assert holds[gone] == f"bronze holds it, and the spool does not (batch {SECOND[0].batch_id})"


def test_decisions_and_other_recordings_are_no_difference(databases: Databases, project: Project, spool: Path) -> None:
    batch = next(each for each in SECOND if any("odds" in e.request.endpoint and e.body for e in each.exchanges))
    place = next(e.place for e in batch.exchanges if "odds" in e.request.endpoint and e.body)
    with databases() as warehouse:
        take(warehouse, project.program, [*FIRST, *SECOND[:-1]], step=0)
        with warehouse.connect(Role.INGESTER, autocommit=True) as ingester:
            withdraw(ingester, exchange_id(batch.batch_id, place, 1), "a test account answered", CLOCK)
        # decided, and not followed yet: what stands is compared, and not what is to come
        assert [check.name for check in proven(warehouse, project, None).failed] == []
        take(warehouse, project.program, [*SECOND[:-1]], step=0)
        partly = proven(warehouse, project, spool)
        assert (partly.spooled, partly.published) == (len(SECOND), len(SECOND) - 1)
        assert [(row.rule, row.key) for check in partly.failed for row in check.rows] == [("batch", SECOND[-1].batch_id)]


def test_the_command(
    filled: Warehouse,
    spool: Path,
    own_state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in live_environment(filled, own_state).items():
        monkeypatch.setenv(name, value)
    command = ["verify", "--day", "2026-01-11", "--spool", str(spool)]
    assert cli.main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["day"], told["spooled"], told["checks"], told["failed"]) == ("2026-01-11", len(SECOND), 2, [])
    file, data = answer(spool)
    file.write_bytes(data[:-1])
    assert cli.main(command) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "2 checks, 1 failed" in out and f"failed: spool_in_bronze: batch {file.parent.name}: RECORDING_HASH" in out
    shutil.rmtree(spool)
    for arguments, code in (
        (command, "RECORDING_NOT_FOUND"),
        (["verify", "--day", "11.1.2026"], "DAY_INVALID"),
        (["verify", "--spool", str(spool)], "USAGE"),
    ):
        assert cli.main(arguments) in (2, 3)
        assert f"error {code}" in capsys.readouterr().err


def test_days() -> None:
    now = dt.datetime(2026, 3, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert day_of("yesterday", now) == dt.date(2026, 2, 27)
    assert day_of("2024-02-29", now) == dt.date(2024, 2, 29)
    for wrong in ("2023-02-29", "today", ""):
        with pytest.raises(UsageError, match="is no day"):
            day_of(wrong, now)
