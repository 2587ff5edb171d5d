"""Live batches, of the simulated market and a sandbox over HTTP: a tick adds the partition, its run collects and publishes."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from pipeline.clock import ManualClock, SystemClock
from pipeline.collect.live import Conduct
from pipeline.collect.scheduled import claimed, collect_scheduled
from pipeline.errors import SetupError, UsageError
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.credits import Bill
from pipeline.orchestration.dagster_resources import Api
from pipeline.orchestration.sensors import failure_text
from pipeline.recording.store import Recording
from pipeline.warehouse.connect import Role
from pipeline.warehouse.row_text import digest_text
from tests.orchestration.conftest import BATCH_IDS, Place

TICK = dt.datetime(2026, 1, 15, 18, 0, tzinfo=dt.UTC)


def tick(place: Place, at: dt.datetime) -> dg.RunRequest | str:
    """The run that a tick asks for, or why it asks for none."""
    schedule = place.defs.get_repository_def().get_schedule_def("live")
    context = dg.build_schedule_context(
        instance=place.instance,
        scheduled_execution_time=at,
        repository_def=place.defs.get_repository_def(),
        resources={"api": Api()},
    )
    data = schedule.evaluate_tick(context)
    if not data.run_requests:
        return str(data.skip_message)
    [request] = data.run_requests
    return request


def test_it_is_off_until_somebody_turns_it_on(defs: dg.Definitions) -> None:
    for schedule in defs.get_repository_def().schedule_defs:
        assert schedule.default_status is dg.DefaultScheduleStatus.STOPPED


@pytest.fixture
def stored(place: Place) -> Iterator[Place]:
    """With a Dagster on disk: a schedule opens it by its address."""
    with dg.instance_for_test() as instance:
        place.instance = instance
        yield place


def test_without_a_key_nothing_is_asked_unless_the_settings_say_so(stored: Place, tmp_path: Path) -> None:
    assert "API_KEY_MISSING" in str(tick(stored, TICK))
    assert list(stored.instance.get_dynamic_partitions("batches")) == []


def test_a_tick_adds_its_partition_once_and_its_run_publishes_it(
    stored: Place, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = stored
    monkeypatch.setenv("SPORTS_MARKET_SIMULATED", "1")
    request = tick(place, TICK + dt.timedelta(minutes=3))
    assert isinstance(request, dg.RunRequest)
    assert tick(place, TICK) == "The batch of 2026-01-15T18:00:00Z is there."
    [batch_id] = place.instance.get_dynamic_partitions("batches")
    assert request.partition_key == batch_id
    assert batch_id.startswith("20260115T180000Z-")
    assert request.tags["batches"] == batch_id
    assert request.tags["plans"] == batch_id.partition("-")[2]

    assert place.run("ingest", batch_id).success
    assert Recording.open(state_dir / "live").batch_ids == (batch_id,)
    assert Recording.open(state_dir / "live").read(batch_id).source == "simulated"
    assert place.materialized("gold/price_history") == {batch_id}
    first = place.digests()
    again = place.run("ingest", batch_id)
    assert again.success  # what is on disk is not asked for again
    found = place.evaluations(again.run_id)
    assert found["gold/price_history", "determinism", batch_id].metadata["method"].value == "rebuilt"
    assert place.digests() == first
    rows = {table: digest for table, digest in first.items() if table == "gold.price_history"}
    assert rows["gold.price_history"] != digest_text(0, 0)


def test_a_batch_of_another_plan_is_not_collected(tmp_path: Path) -> None:
    clock = ManualClock(TICK)
    api = Api(simulated=True)
    for wrong in ("20260115T180000Z-000000000000", "nonsense"):
        with api.client(clock) as client, pytest.raises(UsageError) as caught:
            collect_scheduled(api.file, wrong, client, tmp_path / "live", Conduct(timer=clock))
        assert caught.value.code == "BATCH_OF_ANOTHER_PLAN"
    assert not (tmp_path / "live").exists()


@pytest.fixture
def sandbox(stored: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """The API over HTTP, and a plan of tiers, as an operator names them."""
    clock = ManualClock(TICK)
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(clock), SystemClock(), credits=60)
    plan = tmp_path / "plan.yml"
    plan.write_text(
        "endpoints: [sports, events, odds, scores]\ngroups: [Basketball]\nregions: [us]\n"
        "cadence: {12h: 30m, otherwise: 6h, in_play: 30m}\nbudget: {per_run: 20, reserve: 40}\n"
    )
    with serving(sandbox) as url:
        for name, value in {"API_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "API_BASE_URL": url, "PLAN": str(plan)}.items():
            monkeypatch.setenv(f"SPORTS_MARKET_{name}", value)
        yield sandbox


def test_a_tick_collects_from_the_api_and_skips_what_must_not_be_spent(
    stored: Place, sandbox: Sandbox, state_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.faults.extend(["ok", "429=0", "events:reset"])
    request = tick(stored, TICK)
    assert isinstance(request, dg.RunRequest) and request.partition_key is not None
    assert [call["cost"] for call in sandbox.calls] == [0]  # what the month has used is asked for first, and free
    assert stored.run("ingest", request.partition_key).success
    batch = Recording.open(state_dir / "live").read(request.partition_key)
    bill = Bill.of((exchange.request, exchange) for exchange in batch.exchanges)
    assert (batch.source, bill.charged, bill.differing) == ("live", sandbox.account.used, ())
    assert bill.charged > 0 and [one.failure and one.failure.code for one in batch.exchanges].count(None) > 3
    assert stored.materialized("gold/price_history") == {batch.batch_id}
    calls = len(sandbox.calls)
    assert stored.run("ingest", batch.batch_id).success and len(sandbox.calls) == calls  # no answer twice

    assert tick(stored, TICK + dt.timedelta(minutes=29)) == "The batch of 2026-01-15T18:00:00Z is there."
    assert len(sandbox.calls) == calls
    sandbox.account = replace(sandbox.account, used=20)
    assert "RESERVE_REACHED" in str(tick(stored, TICK + dt.timedelta(minutes=30)))
    sandbox.account = replace(sandbox.account, used=60)
    assert "come back on" in str(tick(stored, TICK + dt.timedelta(minutes=30)))
    sandbox.faults.extend(["401"])
    assert "INVALID_KEY" in str(tick(stored, TICK + dt.timedelta(minutes=30)))
    assert sandbox.account.used == 60
    assert list(stored.instance.get_dynamic_partitions("batches")) == [batch.batch_id]


def test_a_plan_that_asks_for_proof_has_its_batches_withheld_where_gold_differs(
    stored: Place, sandbox: Sandbox, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.yml"
    plan.write_text(plan.read_text().replace("reserve: 40", "reserve: 0") + "prove: true\n")
    methods, passed = [], []
    for number in range(2):
        request = tick(stored, TICK + number * dt.timedelta(minutes=30))
        assert isinstance(request, dg.RunRequest) and request.partition_key is not None
        batch_id = request.partition_key
        if number:
            stored.owner("update gold.event_start_changes set new_start = new_start + interval '1 second'")
        result = stored.run("ingest", batch_id)
        found = stored.evaluations(result.run_id)
        told = found["gold/event_start_changes", "determinism", batch_id]
        methods.append(told.metadata["method"].value)
        passed.append((result.success, told.passed, found["gold/event_listing_intervals", "determinism", batch_id].passed))
    assert methods == ["rebuilt", "rebuilt"]
    assert passed == [(True, True, True), (False, False, True)]
    assert "new_start: " in str(told.description)
    assert batch_id not in stored.materialized("gold/event_start_changes")
    with stored.warehouse.connect(Role.TRANSFORMER) as session:
        held = session.execute("select detail from ops.batch_states where batch_id = %s", [batch_id]).fetchall()
    assert held == [("failed: rebuilt",)]


def test_dagster_keeps_no_key(stored: Place, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    key = secrets.token_hex(16)
    monkeypatch.setenv("SPORTS_MARKET_API_KEY", key)
    sandbox.faults.extend(["ok", "ok", "events:500", "odds:401"])
    request = tick(stored, TICK)
    assert isinstance(request, dg.RunRequest) and request.partition_key is not None
    assert not stored.run("ingest", request.partition_key).success  # an exception is kept too
    assert stored.run("ingest", request.partition_key).success
    files = [path for path in Path(stored.instance.root_directory).rglob("*") if path.is_file()]
    kept = {path: path.read_bytes() for path in files}
    assert any(request.partition_key.encode() in data and b"INVALID_KEY" in data for data in kept.values())
    assert [path for path, data in kept.items() if key.encode() in data or key in str(path)] == []


def test_a_tick_rests_until_something_is_due(
    stored: Place, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.yml"
    plan.write_text(plan.read_text().replace("{12h: 30m, otherwise: 6h, in_play: 30m}", "{1m: 30m, otherwise: 6h}"))
    request = tick(stored, TICK)
    assert isinstance(request, dg.RunRequest) and request.partition_key is not None
    assert stored.run("ingest", request.partition_key).success
    assert tick(stored, TICK + dt.timedelta(hours=1)) == "Nothing is due before 2026-01-16T00:00:00Z."
    assert isinstance(tick(stored, TICK + dt.timedelta(hours=6)), dg.RunRequest)


def test_two_at_one_time_do_not_share_a_spool(tmp_path: Path) -> None:
    clock = ManualClock(TICK)
    api = Api(simulated=True)
    with claimed(tmp_path / "live"), api.client(clock) as client, pytest.raises(SetupError, match="SPOOL_BUSY"):
        batch_id = api.file.plan.identity.batch_id(TICK)
        collect_scheduled(api.file, batch_id, client, tmp_path / "live", Conduct(timer=clock))


def test_the_sensor_adds_sealed_batches_and_then_rests(place: Place) -> None:
    sensor = place.defs.get_repository_def().get_sensor_def("recordings")

    def looked() -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(instance=place.instance, repository_def=place.defs.get_repository_def())
        result = sensor(context)
        assert isinstance(result, dg.SensorResult | dg.SkipReason)
        return result

    first = looked()
    assert isinstance(first, dg.SensorResult)
    assert first.run_requests is None or first.run_requests == []  # it runs nothing
    [request] = first.dynamic_partitions_requests or []
    assert tuple(request.partition_keys) == BATCH_IDS
    place.add(request.partition_keys)
    assert isinstance(looked(), dg.SkipReason)


def test_a_failure_is_told_in_one_line() -> None:
    run = dg.DagsterRun(job_name="ingest", run_id="r1", tags={"batches": "a…b"})
    text = failure_text(run, ["CODE: what happened\nnext line\nmore"])
    assert text == "ingest (a…b) failed: CODE: what happened next line [run r1]"
    assert "before its first step" in failure_text(run, [])
