"""A batch that is proven: what it bears on is computed anew before it is committed, and it is withheld where that differs."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline import cli
from pipeline.clock import UTC, ManualClock, SystemClock
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.recording.model import Batch, exchange_id
from pipeline.recording.store import Recording
from pipeline.runs import load as runs_load
from pipeline.runs.context import RunContext
from pipeline.runs.load import LoadSummary, load_batches
from pipeline.runs.quarantine import retry_answers, withdraw_answer
from pipeline.transform.anew import REBUILT, borne_on
from pipeline.transform.apply import apply_batches, rebuild, transformer_session
from pipeline.transform.engine import Engine
from pipeline.transform.program import Program, Step
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import recomputed_digests
from tests.conftest import Project, live_environment
from tests.recordings import written
from tests.replay import wild
from tests.replay.support import CLOCK, Databases, digests, take

BATCHES: Final = wild.market_of(96)
# What a batch overlooks is what stands of its sport that it does not show: prices, and the list.
OVERLOOKED: Final = {
    "gold.price_history": "open_rows.market_key = any (pending.market_keys)\n            and open_rows.valid_to is null",
    "gold.event_listing_intervals": "open_rows.sport_key = pending.sport_key and open_rows.valid_to is null",
}


def sabotaged(program: Program, old: str) -> Program:
    """The program with a condition of what a batch touches that nothing meets any more."""
    assert sum(text.count(old) for step in program.parts["batch"] for text in step.statements) == 1

    def edited(step: Step) -> Step:
        return replace(step, statements=tuple(text.replace(old, f"{old} and false") for text in step.statements))

    return replace(program, parts={**program.parts, "batch": tuple(map(edited, program.parts["batch"]))})


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return Recording.open(written(tmp_path_factory.mktemp("wild") / "recording", BATCHES))


@pytest.fixture(scope="module")
def golden(databases: Databases, project: Project) -> dict[str, str]:
    """The digests that a load without any proof ends in."""
    with databases() as warehouse:
        take(warehouse, project.program, BATCHES)
        return digests(warehouse)


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch in a run of its own, as live batches come."""
    monkeypatch.setattr(runs_load, "WINDOW", 1)


def load(
    warehouse: Warehouse, engine: Engine, source: Recording, batch_ids: Sequence[str] | None = None, *, prove: bool = True
) -> LoadSummary:
    context = RunContext(warehouse, engine, CLOCK, prove=prove)
    return load_batches(source, source.batch_ids if batch_ids is None else batch_ids, context)


def found(warehouse: Warehouse, statement: str) -> list[tuple[Any, ...]]:
    with warehouse.connect(Role.TRANSFORMER) as session:
        return session.execute(statement.encode()).fetchall()


def proofs(warehouse: Warehouse) -> dict[str, str]:
    """Batch → what its proof said."""
    return dict(found(warehouse, f"select batch_id, status from ops.check_results where check_name = '{REBUILT}'"))


# --- honest batches -------------------------------------------------------------------------------------------------------


def test_honest_batches_pass_and_gold_is_what_it_is_without_a_proof(
    recording: Recording, golden: dict[str, str], prepared: Warehouse, project: Project
) -> None:
    assert load(prepared, project.program, recording).published == len(BATCHES)
    assert digests(prepared) == golden
    assert proofs(prepared) == dict.fromkeys(recording.batch_ids, "pass")
    # what a proof computed is nowhere: not in silver, nor in what is noted of the run
    assert found(prepared, "select count(*) from ops.run_batches") == [(0,)]
    assert found(prepared, "select count(*) from ops.ledger where not is_settled") == [(0,)]


def test_late_and_repeated_ones_pass_too(
    recording: Recording, golden: dict[str, str], prepared: Warehouse, project: Project
) -> None:
    order = list(recording.batch_ids)
    random.Random(5).shuffle(order)
    assert order != list(recording.batch_ids)
    for batch_id in order:
        assert load(prepared, project.program, recording, [batch_id]).published == 1
    assert load(prepared, project.program, recording).standing == len(BATCHES)
    assert digests(prepared) == golden
    assert apply_batches(prepared, project.program, order[:2], CLOCK, prove=True).published
    assert digests(prepared) == golden


def test_so_do_windows_and_without_a_proof_there_is_no_such_check(
    recording: Recording,
    golden: dict[str, str],
    databases: Databases,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs_load, "WINDOW", 3)
    for prove in (True, False):
        with databases() as warehouse:
            load(warehouse, project.program, recording, prove=prove)
            assert digests(warehouse) == golden
            assert len(proofs(warehouse)) == prove * len(BATCHES)


def test_what_is_withdrawn_and_released_is_proven(
    recording: Recording, golden: dict[str, str], prepared: Warehouse, project: Project
) -> None:
    take(prepared, project.program, BATCHES)
    context = RunContext(prepared, project.program, CLOCK, prove=True)
    batch = next(each for each in BATCHES if any("odds" in e.request.endpoint and e.status == 200 for e in each.exchanges))
    place = next(e.place for e in batch.exchanges if "odds" in e.request.endpoint and e.status == 200)
    answer = str(exchange_id(batch.batch_id, place, 1))
    gone = withdraw_answer(context, answer, "a test account answered")
    assert (gone.exit_code, gone.failures, proofs(prepared)) == (0, (), {batch.batch_id: "pass"})
    assert digests(prepared) != golden
    back = retry_answers(context, [answer])
    assert (back.exit_code, back.digests) == (0, golden)


def test_dbt_proves_as_the_program_does(recording: Recording, prepared: Warehouse, project: Project) -> None:
    assert load(prepared, project.dbt, recording, recording.batch_ids[:2]).published == 2
    assert proofs(prepared) == dict.fromkeys(recording.batch_ids[:2], "pass")


# --- what a batch overlooks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", OVERLOOKED)
def test_a_batch_that_overlooks_something_is_withheld_where_it_is_proven(
    table: str, recording: Recording, golden: dict[str, str], databases: Databases, project: Project
) -> None:
    broken = sabotaged(project.program, OVERLOOKED[table])
    with databases() as warehouse:
        assert load(warehouse, broken, recording, prove=False).published == len(BATCHES)
        assert digests(warehouse) != golden
    with databases() as warehouse:
        for batch_id in recording.batch_ids:
            before = digests(warehouse)
            done = load(warehouse, broken, recording, [batch_id])
            if done.withheld:
                break
        assert (done.withheld, done.published, done.exit_code) == (1, 0, 1)
        # of silver and gold nothing is there, of bronze all is
        assert digests(warehouse) == before
        assert found(
            warehouse,
            f"select count(*) from silver.quotes as q join ops.ledger as l using (exchange_id) where l.batch_id = '{batch_id}'",
        ) == [(0,)]
        assert found(warehouse, f"select bool_and(not applied) from ops.ledger where batch_id = '{batch_id}'") == [(True,)]
        assert found(
            warehouse,
            f"select count(*) > 0 from bronze.exchanges as e join bronze.bodies as b using (body_sha256)"
            f" where e.batch_id = '{batch_id}'",
        ) == [(True,)]
        # what failed is told: the check, the table, the key, and what differs first
        [(failures, message)] = found(
            warehouse, f"select failures, message from ops.check_results where batch_id = '{batch_id}' and status = 'fail'"
        )
        assert failures > 0
        assert message.startswith(f"{table} ") and "valid_to: null stands, 2026-01-10T" in message and "from bronze" in message
        assert found(warehouse, f"select state, detail from ops.batch_states where batch_id = '{batch_id}'") == [
            ("withheld", "failed: rebuilt")
        ]
        [(told,)] = found(warehouse, f"select message from ops.alerts where kind = 'withheld' and batch_id = '{batch_id}'")
        assert told == f"batch {batch_id} is withheld: rebuilt"

        # nobody lets it in by leaving the proof out
        assert load(warehouse, broken, recording, [batch_id], prove=False).withheld == 1
        assert digests(warehouse) == before
        # once the program is mended it is published, and all that follows
        assert load(warehouse, project.program, recording, prove=False).withheld == 0
        assert digests(warehouse) == golden
        assert proofs(warehouse)[batch_id] == "pass"


def test_of_a_window_only_the_bad_batch_is_withheld(
    recording: Recording, databases: Databases, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = sabotaged(project.program, OVERLOOKED["gold.price_history"])
    with databases() as warehouse:
        withheld = [each for each in recording.batch_ids if load(warehouse, broken, recording, [each]).withheld]
    assert 0 < len(withheld) < len(BATCHES)
    last = recording.batch_ids.index(withheld[0]) + 1
    monkeypatch.setattr(runs_load, "WINDOW", last)
    with databases() as warehouse:
        # of the window's answers some would be right together, so each half may pass: but never the one that is wrong by itself
        done = load(warehouse, broken, recording, recording.batch_ids[:last])
        assert done.published + done.withheld == last
        assert set(proofs(warehouse)) == set(recording.batch_ids[:last])


def test_a_row_that_somebody_changed_holds_back_the_next_batch_until_a_rebuild(
    recording: Recording, golden: dict[str, str], prepared: Warehouse, project: Project
) -> None:
    load(prepared, project.program, recording, recording.batch_ids[:-1])
    shown = sorted(shown_in(BATCHES[-1]))
    with transformer_session(prepared) as session:
        with session.cursor() as cursor:
            cursor.execute(
                "update gold.price_history set observations = observations + 1 where ctid in ("
                "select ctid from gold.price_history where event_id = any (%s) and valid_to is not null"
                " order by valid_to limit 1) returning series_id",
                [shown],
            )
            [(series_id,)] = cursor.fetchall()
        session.commit()
    done = load(prepared, project.program, recording)
    [(message,)] = found(prepared, "select message from ops.check_results where status = 'fail'")
    assert done.withheld == 1
    assert message.startswith(f"gold.price_history series_id={series_id}, ") and "observations: " in message
    rebuild(prepared, project.program)
    assert load(prepared, project.program, recording).published == 1
    assert digests(prepared) == golden


def test_a_model_that_cannot_be_computed_anew_withholds_too(
    recording: Recording, prepared: Warehouse, project: Project
) -> None:
    load(prepared, project.program, recording, recording.batch_ids[:1])
    # what only many answers at once bring about
    [step] = [each for each in project.program.parts["batch"] if each.name == "price_history"]
    fails = "select 1 / (case when (select count(distinct batch_id) from ops.run_batches) > 1 then 0 else 1 end)"
    spoilt = replace(step, statements=(fails, *step.statements), counted=None if step.counted is None else step.counted + 1)
    parts = tuple(spoilt if each is step else each for each in project.program.parts["batch"])
    broken = replace(project.program, parts={**project.program.parts, "batch": parts})
    done = load(prepared, broken, recording, recording.batch_ids[:2])
    assert (done.withheld, done.failed_checks) == (1, 1)
    [(message,)] = found(prepared, "select message from ops.check_results where status = 'fail'")
    assert message == "it cannot be computed anew: price_history: division by zero"


# --- what a batch bears on ------------------------------------------------------------------------------------------------


def test_it_bears_on_what_it_covers_without_showing_it(recording: Recording, prepared: Warehouse, project: Project) -> None:
    take(prepared, project.program, BATCHES)
    with transformer_session(prepared) as session:
        for batch in BATCHES:
            events = set(borne_on(session, [batch.batch_id])["gold.events"])
            sports = {e.coverage.sport for e in batch.exchanges if e.coverage is not None}
            assert {wild.SPORT_OF[event] for event in events} <= sports
            assert shown_in(batch) <= events


def shown_in(batch: Batch) -> set[str]:
    bodies = b"".join(e.body for e in batch.exchanges if e.status == 200 and e.body is not None)
    return {event for event in wild.EVENT_IDS if f'"{event}"'.encode() in bodies}


# --- who asks for it ------------------------------------------------------------------------------------------------------


def test_a_plan_or_an_option_asks_for_it(
    prepared: Warehouse, own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in live_environment(prepared, own_state).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SPORTS_MARKET_API_KEY", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
    clock = ManualClock(dt.datetime(2026, 1, 4, 17, 7, tzinfo=UTC))
    plan = tmp_path / "plan.yml"

    def ingest(*options: str, prove: str = "") -> tuple[int, dict[str, Any], dict[str, str]]:
        """The exit code, what is told of the load, and what the proof of the newest batch said."""
        plan.write_text(
            "endpoints: [events, odds]\nsports: [basketball_nba]\nregions: [us]\ncadence: 30m\nalerts: [withheld]\n" + prove
        )
        where = ["--plan", str(plan), "--spool", str(tmp_path / "spool"), "--api-url", url, "--sandbox-clock"]
        code = cli.main(["ingest", "--live", "--once", *where, *options, "--json"])
        told = json.loads(capsys.readouterr().out)
        clock.sleep(1800)
        newest = {told["batch_id"]: proofs(prepared).get(told["batch_id"], "none")}
        return code, told["load"], newest

    sandbox = Sandbox(SimulatedMarket(7), SandboxClock(clock), SystemClock())
    with serving(sandbox) as url:
        said = [ingest(), ingest("--prove"), ingest(prove="prove: true\n"), ingest(prove="prove: false\n")]
        assert [(code, load["published"], *newest.values()) for code, load, newest in said] == [
            (0, 1, "none"), (0, 1, "pass"), (0, 1, "pass"), (0, 1, "none"),
        ]  # fmt: skip
        with prepared.connect(Role.TRANSFORMER) as session:
            session.execute("update gold.price_history set observations = observations + 1 where valid_to is not null")
            session.commit()
        before = recomputed(prepared)
        [(code, load, newest)] = [ingest(prove="prove: true\n")]
        assert (code, load["published"], load["withheld"], *newest.values()) == (1, 0, 1, "fail")
        assert recomputed(prepared) == before
    # `load` tries it again, and proves it without being asked to
    load_command = ["load", str(tmp_path / "spool")]
    assert cli.main(load_command) == 1
    assert "rebuilt: gold.price_history series_id=" in " ".join(capsys.readouterr().out.split())
    assert cli.main(["rebuild"]) == 0
    assert cli.main([*load_command, "--prove"]) == 0
    assert proofs(prepared)[next(iter(newest))] == "pass"


def recomputed(warehouse: Warehouse) -> dict[str, str]:
    with warehouse.connect(Role.TRANSFORMER) as session:
        return recomputed_digests(session)
