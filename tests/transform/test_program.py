"""The program that dbt rendered does what dbt does, without it; and is of the project as it stands."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.bronze.verdicts import retry
from pipeline.recording.model import Batch
from pipeline.replay.determinism import compare_with_rebuild
from pipeline.resources import resource
from pipeline.transform import program as module
from pipeline.transform.apply import Applied, apply_batches, rebuild, transformer_session
from pipeline.transform.current_program import load_program
from pipeline.transform.engine import WORKS, Engine
from pipeline.transform.program import FILE, Program, Step, interruptible, project_key, write_program
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay import wild
from tests.replay.admission import answers_of, decide, quarantining, take_back
from tests.replay.support import CLOCK, Databases, digests, take

BATCHES = wild.market_of(96)


@pytest.fixture(scope="module")
def databases(server: Any, prepared_template: Warehouse, clone_names: Iterator[str]) -> Databases:
    from tests.replay.support import databases_of

    return databases_of(server, prepared_template, clone_names)


# --- the file -------------------------------------------------------------------------------------------------------------


def test_the_file_is_of_the_project_as_it_stands() -> None:
    """Where not: `python3 -m nox -s program`."""
    document = json.loads((resource("dbt") / FILE).read_bytes())
    assert document["key"] == project_key(resource("dbt"))


def test_it_is_what_dbt_says_of_the_project(project: Project) -> None:
    assert project.program.fingerprints() == project.dbt.fingerprints()
    assert project.program.scopes() == project.dbt.scopes()
    assert project.program.views() == project.dbt.views()
    tests = {node.name for node in project.dbt.manifest().nodes.values() if "blocking" in node.tags}
    for work in ("batch", "blocking"):
        assert {step.name for step in project.program.parts[work] if step.resource_type == "test"} == tests


def test_it_belongs_to_no_database_and_no_batch(project: Project) -> None:
    steps = [step for work in WORKS for step in project.program.parts[work]]
    texts = [text for step in steps for text in (*step.statements, step.grown or "")]
    assert not [text for text in texts if "render" in text and "rendered" not in text]
    assert all(step.statements for work in WORKS for step in project.program.parts[work])
    assert all(
        step.counted is not None and step.grown for step in project.program.parts["silver"] if step.name != "prepare_run"
    )


def test_it_is_read_as_it_was_written(project: Project, tmp_path: Path) -> None:
    write_program(tmp_path / "p.json", project.program)
    assert Program.from_json(json.loads((tmp_path / "p.json").read_bytes())) == project.program


def test_a_changed_project_is_rendered_anew_and_said(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    made: list[str] = []

    def render_apart(dbt: Any, key: str) -> Program:
        made.append(key)
        return replace(project.program, key=key)

    monkeypatch.setattr("pipeline.transform.render.render_apart", render_apart)
    monkeypatch.setattr("pipeline.transform.current_program.project_key", lambda directory: "another")
    for _ in range(2):
        assert load_program(tmp_path, told.append).key == "another"
    assert made == ["another"] and len(told) == 1 and "renders it anew" in told[0]
    (tmp_path / "program-another.json").write_text("{")
    load_program(tmp_path, told.append)
    assert made == ["another"] * 2


def test_nothing_of_dbt_is_imported_on_the_way_of_a_batch(short_folder: Path) -> None:
    script = (
        "import sys; from pipeline.cli import main; code = main(sys.argv[1:]);"
        "print([name for name in ('dbt', 'dagster', 'great_expectations', 'itables') if name in sys.modules], code)"
    )
    command = [sys.executable, "-c", script, "replay", "--batches", "1", "--json"]
    environment = {**os.environ, "SPORTS_MARKET_STATE_DIR": str(short_folder)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[] 0", done.stderr


def test_who_asks_nobody_imports_no_http(tmp_path: Path) -> None:
    script = (
        "import sys, pipeline.runs.load, pipeline.replay.verify;"
        "print([name for name in ('requests', 'urllib3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- against dbt ----------------------------------------------------------------------------------------------------------


# What a wrong model would write: into which table, when, and instead of what.
MUTANTS = {
    "a book is lost": ("silver.quotes", "new.bookmaker_key = 'pinnacle'", "return null"),
    "a price is another": ("gold.price_history", "true", "new.price_decimal := new.price_decimal + 0.5"),
    "a set is of more than it has": ("gold.margins", "new.is_complete", "new.overround := new.overround + 0.5"),
    "a worse price is the best": ("gold.best_price", "true", "new.best_price_decimal := 1.01"),
    "an outcome is missing": ("gold.consensus", "new.outcome_side in ('home', 'over')", "return null"),
    "a stretch ends before it begins": (
        "gold.event_listing_intervals",
        "true",
        "new.valid_to := new.valid_from - interval '1 hour'",
    ),
}


@contextmanager
def broken(warehouse: Warehouse, mutant: str) -> Iterator[None]:
    """A table takes other rows than its model gives."""
    table, when, instead = MUTANTS[mutant]
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute(
            "create function public.mutate() returns trigger language plpgsql as $$ begin"
            f" if {when} then {instead}; end if; return new; end $$".encode()
        )
        owner.execute(f"create trigger mutate before insert on {table} for each row execute function public.mutate()".encode())
    yield
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute("drop function public.mutate cascade")


def told(applied: Sequence[Applied]) -> list[Any]:
    """Checks by name, as their order among equals is nobody's promise."""
    return [(each.published, sorted((check.name, check.ok, check.failures) for check in each.checks)) for each in applied]


def through(engine: Engine, warehouse: Warehouse, batches: Sequence[Batch], step: int) -> list[Any]:
    found: list[Any] = [told(take(warehouse, engine, batches, step=step)), digests(warehouse)]
    with warehouse.connect(Role.TRANSFORMER) as connection:
        found.append(connection.execute("select table_name, count(*) from ops.row_changes group by 1 order by 1").fetchall())
    return found


ORDERS = {
    "recorded": (BATCHES, 1),
    "shuffled": (random.Random(5).sample(BATCHES, len(BATCHES)), 2),
    "in one go": (BATCHES, 0),
}


@pytest.mark.parametrize("order", ORDERS)
def test_both_give_the_same_rows_changes_and_checks(order: str, databases: Databases, project: Project) -> None:
    batches, step = ORDERS[order]
    found = []
    for engine in (project.program, project.dbt):
        with databases() as warehouse:
            found.append(through(engine, warehouse, batches, step))
    assert found[0] == found[1]


@pytest.mark.parametrize("mutant", MUTANTS)
def test_both_withhold_the_same_for_the_same_reasons(mutant: str, databases: Databases, project: Project) -> None:
    found = []
    for engine in (project.program, project.dbt):
        with databases() as warehouse, broken(warehouse, mutant):
            with warehouse.connect(Role.INGESTER) as ingester:
                for batch in BATCHES[:4]:
                    load_batch(ingester, batch, CLOCK)
            applied = apply_batches(warehouse, engine, [batch.batch_id for batch in BATCHES[:4]], CLOCK)
            assert not applied.published
            # dbt says of a check that it is skipped, or leaves it out
            found.append(sorted((check.name, check.failures) for check in applied.failed if check.failures))
    assert found[0] == found[1] != []


def test_both_release_and_withdraw_the_same(databases: Databases, project: Project) -> None:
    late, gone = answers_of(BATCHES, 4)[:2], answers_of(BATCHES, 4, 1)[:2]
    found = []
    for engine in (project.program, project.dbt):
        with databases() as warehouse:
            with quarantining(late):
                take(warehouse, engine, BATCHES, step=0)
            states = [digests(warehouse)]
            for verdict, answers in ((retry, late[::-1]), (take_back, gone)):
                states += [told(decide(warehouse, engine, verdict, answers)), digests(warehouse)]
            found.append(states)
    assert found[0] == found[1]
    before, _, released, _, withdrawn = found[0]
    assert before != released != withdrawn


def test_both_rebuild_the_same(databases: Databases, project: Project) -> None:
    with databases() as warehouse:
        take(warehouse, project.program, BATCHES)
        before = digests(warehouse)
        for engine in (project.program, project.dbt, project.program):
            rebuild(warehouse, engine)
            assert digests(warehouse) == before
            compared = compare_with_rebuild(warehouse, engine, BATCHES[2].batch_id)
            assert [each.message for each in compared if not each.ok] == []
        take(warehouse, project.dbt, BATCHES)


# --- one step after the other ---------------------------------------------------------------------------------------------


def program_of(*steps: Step) -> Program:
    return Program("k", {}, {}, (), (), dict.fromkeys(WORKS, steps))


def test_what_waits_for_a_failed_check_is_skipped_and_the_rest_goes_on(prepared: Warehouse) -> None:
    program = program_of(
        Step("a", "a", "model", ("select 1",)),
        Step("t", "t", "test", ("select 1",), after=("a",)),
        Step("b", "b", "model", ("select 1",), after=("a", "t")),
        Step("u", "u", "test", ("select 1 where false",), after=("b",)),
        Step("c", "c", "model", ("select 1",)),
    )
    with transformer_session(prepared) as session:
        found = program.run(session, prepared, "batch")
    assert [(each.name, each.status, each.failures) for each in found] == [
        ("a", "success", None), ("t", "fail", 1), ("b", "skipped", None), ("u", "skipped", None), ("c", "success", None),
    ]  # fmt: skip


def test_what_the_server_refuses_is_the_last(prepared: Warehouse) -> None:
    program = program_of(Step("a", "a", "model", ("select 1", "select 1 / 0")), Step("b", "b", "model", ("select 1",)))
    with transformer_session(prepared) as session:
        (found,) = program.run(session, prepared, "batch")
    assert (found.name, found.status, found.ok) == ("a", "error", False)
    assert found.message is not None and "division by zero" in found.message


def test_a_table_that_grew_much_is_analyzed(prepared: Warehouse) -> None:
    for rows, wanted in ((module.GROWN - 1, 0), (module.GROWN, 1)):
        step = Step("a", "a", "model", (f"select {rows}",), 0, "insert into ops.run_batches values ('analyzed')")
        with transformer_session(prepared) as session:
            program_of(step).run(session, prepared, "batch")
            with session.cursor() as cursor:
                cursor.execute("select count(*) from ops.run_batches")
                assert cursor.fetchall() == [(wanted,)]


def test_a_lost_server_is_no_failed_check(prepared: Warehouse) -> None:
    with transformer_session(prepared) as session:
        pid = session.info.backend_pid
        program = program_of(Step("a", "a", "model", ("select pg_sleep(30)",)))
        with prepared.connect(Role.OWNER, autocommit=True) as owner:
            threading.Timer(0.3, owner.execute, ["select pg_terminate_backend(%s)", [pid]]).start()
            with pytest.raises(psycopg2.Error):
                program.run(session, prepared, "batch")


def test_an_interrupt_cancels_the_statement_at_hand(prepared: Warehouse) -> None:
    with transformer_session(prepared) as session:

        def work() -> None:
            with session.cursor() as cursor:
                cursor.execute("select pg_sleep(60)")

        threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            interruptible(session, work)
        assert time.monotonic() - began < 30
        assert session.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_INERROR
