"""A reader sees all of a batch or nothing; a crash anywhere leaves the last published state, and loading again ends alike."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline.bronze import batch_load as bronze_load
from pipeline.errors import WarehouseError
from pipeline.recording.model import Batch
from pipeline.runs import load as runs_load
from pipeline.runs.context import RunContext
from pipeline.runs.load import LoadSummary, load_recording
from pipeline.runs.progress import BatchLine
from pipeline.transform import apply, one_transaction
from pipeline.transform.apply import apply_batches, prepare, rebuild
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.recordings import written
from tests.replay import wild
from tests.replay.model import Gold
from tests.replay.support import CLOCK, Databases, assert_model_agrees, digests, read_gold, take
from tests.replay.transcript import Transcript

BATCHES = wild.market_of(96)
TEXT = "concat_ws('/', {})"
# One statement, so one moment of the database: what silver and gold hold, and what the state of the batches says.
FINGERPRINT = "select " + TEXT.format(
    ", ".join(
        (
            "(select count(*) from silver.quotes)",
            "(select count(distinct exchange_id) from silver.coverage)",
            "(select count(*) from silver.event_sightings)",
            "(select count(*) from gold.price_history)",
            "(select max(valid_from) from gold.price_history)",
            "(select count(*) from gold.price_history where valid_to is null)",
            "(select count(*) from gold.best_price)",
            "(select count(*) from gold.event_listing_intervals where valid_to is null)",
            "(select md5(string_agg(e::text, ';' order by e.event_id)) from gold.events as e)",
            "(select count(*) from ops.batch_states where state = 'published')",
        )
    )
)


def fingerprint(warehouse: Warehouse) -> str:
    with warehouse.connect(Role.READER) as reader:
        row = reader.execute(FINGERPRINT.encode()).fetchone()
    assert row is not None
    return str(row[0])


@contextmanager
def reading(warehouse: Warehouse) -> Iterator[list[str]]:
    """A reader that looks again and again while the block runs; gives what it saw."""
    seen: list[str] = []
    trouble: list[BaseException] = []
    enough = threading.Event()

    def look() -> None:
        try:
            with warehouse.connect(Role.READER, autocommit=True) as reader:
                while not enough.is_set():
                    row = reader.execute(FINGERPRINT.encode()).fetchone()
                    assert row is not None
                    seen.append(str(row[0]))
        except BaseException as error:
            trouble.append(error)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        enough.set()
        thread.join()
    assert not trouble, trouble


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("wild") / "recording", BATCHES)


@pytest.fixture(scope="module")
def golden(databases: Databases, project: Project, transcript: Transcript) -> dict[str, str]:
    """The digests of an undisturbed load."""
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, BATCHES)
        return digests(warehouse)


@pytest.fixture(autouse=True)
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch in a run of its own, so that there are many moments at which a load can be stopped or read."""
    monkeypatch.setattr(runs_load, "WINDOW", 1)


def load(
    recording: Path, warehouse: Warehouse, project: Project, report: Callable[[BatchLine], None] = lambda line: None
) -> LoadSummary:
    return load_recording(recording, RunContext(warehouse, project, CLOCK, report))


# --- readers --------------------------------------------------------------------------------------------------------------


def test_a_reader_never_sees_half_a_batch(
    recording: Path, golden: dict[str, str], prepared: Warehouse, project: Project
) -> None:
    published = [fingerprint(prepared)]
    with reading(prepared) as seen:
        summary = load(recording, prepared, project, lambda line: published.append(fingerprint(prepared)))
    assert summary.published == len(BATCHES)
    assert summary.digests == golden
    assert set(seen) <= set(published), set(seen) - set(published)
    # it was there, and saw several of the states go by
    assert len(set(seen)) > len(BATCHES) // 2
    assert len(set(published)) == len(BATCHES) + 1


def test_torn_states_would_be_seen(prepared: Warehouse, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same reader does see halves where dbt commits model by model."""

    @contextmanager
    def many_transactions(session: Any) -> Iterator[None]:
        session.commit()
        yield

    monkeypatch.setattr(one_transaction, "one_transaction", many_transactions)
    published = [fingerprint(prepared)]
    with reading(prepared) as seen:
        for batch in BATCHES[:3]:
            take(prepared, project.dbt, [batch])
            published.append(fingerprint(prepared))
    assert set(seen) - set(published)


def test_a_reader_sees_old_or_new_rows_during_a_rebuild_and_neither_stops_the_other(
    prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    """A reader of many tables waits for the whole rebuild; taking its tables one by one would end in a deadlock."""
    with transcript.instead_of_dbt():
        take(prepared, project, BATCHES, step=0)
    wanted = fingerprint(prepared)
    with reading(prepared) as seen:
        for _ in range(2):
            rebuild(prepared, project)
    assert set(seen) == {wanted}
    assert fingerprint(prepared) == wanted


# --- crashes --------------------------------------------------------------------------------------------------------------


def in_a_process(
    work: Callable[[], object], then: Callable[[multiprocessing.process.BaseProcess], None] = lambda p: None
) -> int:
    """Do it in a process of its own, and return its exit code; ``then`` may kill it."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    then(process)
    process.join(timeout=120)
    assert process.exitcode is not None
    return process.exitcode


def dying_at(module: Any, name: str, on_call: int, stop: signal.Signals) -> Callable[[], None]:
    """Let the process be stopped as it calls a function for the n-th time."""
    original = getattr(module, name)
    calls = [0]

    def call(*arguments: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == on_call:
            os.kill(os.getpid(), stop)
            time.sleep(0.01)
        return original(*arguments, **named)

    return lambda: setattr(module, name, call)


# where a load is stopped, and after how many batches; in this order, on one warehouse
HOOKS: dict[str, tuple[Any, str, int]] = {
    "bodies are in": (bronze_load, "_insert_exchanges", 1),
    "verdicts are not yet": (bronze_load, "_insert_verdicts", 1),
    "sealed, not transformed": (runs_load, "apply_and_count", 1),
    "in the models": (apply, "_outcomes_reconcile", 2),
    "before the ledger": (apply, "_settle", 1),
    "between ledger and state": (apply, "_note_states", 2),
    "before the digests": (apply, "refresh_digests", 1),
    "before the commit": (apply, "_note_checks", 1),
}


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_load_stopped_anywhere_ends_alike_when_run_again(
    stop: signal.Signals,
    recording: Path,
    golden: dict[str, str],
    prepared: Warehouse,
    project: Project,
    transcript: Transcript,
) -> None:
    published = {fingerprint(prepared)}
    for hook, (module, name, on_call) in HOOKS.items():
        arm = dying_at(module, name, on_call, stop)

        def work(arm: Callable[[], None] = arm) -> None:
            arm()
            with transcript.instead_of_dbt():
                load(recording, prepared, project)

        code = in_a_process(work)
        assert code == (-signal.SIGKILL if stop is signal.SIGKILL else 1), hook
        published.add(fingerprint(prepared))
        digests(prepared)  # what is kept fits the rows after every stop
    assert len(published) > 2
    with transcript.instead_of_dbt():
        summary = load(recording, prepared, project)
    assert summary.withheld == 0
    assert 0 < summary.standing < len(BATCHES)
    assert digests(prepared) == golden


def test_a_load_killed_at_any_time_ends_alike_when_run_again(
    recording: Path, golden: dict[str, str], databases: Databases, project: Project, transcript: Transcript
) -> None:
    """At times that are drawn."""
    delays = random.Random(11)
    with databases() as warehouse:
        for _ in range(4):

            def kill(process: multiprocessing.process.BaseProcess) -> None:
                process.join(timeout=delays.uniform(0.05, 1.5))
                process.kill()

            in_a_process(lambda: load(recording, warehouse, project), kill)
            digests(warehouse)
        with transcript.instead_of_dbt():
            load(recording, warehouse, project)
        assert digests(warehouse) == golden
        assert_model_agrees(warehouse, Gold(BATCHES))


def test_an_interrupt_while_the_server_works_leaves_the_batch_out(
    recording: Path, golden: dict[str, str], prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    """Ctrl-C in the middle of a statement: the run ends, nothing of the batch is there, and the next load takes it in."""
    before = fingerprint(prepared)

    def work() -> None:
        original = project.run

        def run(*arguments: Any) -> Any:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
            return original(*arguments)

        project.run = run  # type: ignore[assignment,method-assign]
        # slow enough for the interrupt to come in its middle
        load(recording, prepared, project)

    assert in_a_process(work) != 0
    assert fingerprint(prepared) == before
    with transcript.instead_of_dbt():
        assert load(recording, prepared, project).withheld == 0
    assert digests(prepared) == golden


# --- checks that fail -----------------------------------------------------------------------------------------------------


def losing_rows_of(warehouse: Warehouse, batch: Batch) -> None:
    """Let silver lose the rows that one batch brings: what a wrong model would do."""
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute(
            "create function public.lose() returns trigger language plpgsql as $$ begin"
            f" if new.moment_at = '{batch.scheduled_at.isoformat()}' then return null; end if; return new; end $$"
        )
        owner.execute("create trigger lose before insert on silver.quotes for each row execute function public.lose()")


def mend(warehouse: Warehouse) -> None:
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute("drop function public.lose cascade")


@pytest.mark.parametrize("window", [1, 3, 20])
def test_a_batch_whose_check_fails_is_withheld_and_the_others_go_on(
    window: int,
    recording: Path,
    golden: dict[str, str],
    prepared: Warehouse,
    project: Project,
    transcript: Transcript,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runs_load, "WINDOW", window)
    bad = next(batch for batch in BATCHES[2:] if any(e.request.param("markets") and e.failure is None for e in batch.exchanges))
    states: dict[str, str] = {}
    published = [fingerprint(prepared)]
    losing_rows_of(prepared, bad)

    def note(line: BatchLine) -> None:
        states[line.batch_id] = line.state
        published.append(fingerprint(prepared))
        if line.batch_id == bad.batch_id:
            assert line.detail is not None
            assert "outcomes" in line.detail

    with reading(prepared) as seen, transcript.instead_of_dbt():
        summary = load(recording, prepared, project, note)
    together = {batch.batch_id for batch in BATCHES if batch.scheduled_at == bad.scheduled_at}
    withheld = {batch_id for batch_id, state in states.items() if state == "withheld"}
    assert bad.batch_id in withheld <= together
    assert (summary.withheld, summary.published, summary.exit_code) == (len(withheld), len(BATCHES) - len(withheld), 1)
    assert set(seen) <= set(published)
    # a failed batch leaves the state as it was before it
    numbers = [number for number, batch in enumerate(BATCHES, start=1) if batch.batch_id in withheld]
    assert all(published[number] == published[number - 1] for number in numbers)
    assert_model_agrees(prepared, Gold([batch for batch in BATCHES if batch.batch_id not in withheld]))
    with prepared.connect(Role.READER) as reader:
        told: dict[str, str] = dict(
            reader.execute("select batch_id, detail from ops.batch_states where state = 'withheld'").fetchall()
        )
        failed = reader.execute("select count(*) from ops.check_results where status = 'fail'").fetchone()
    assert set(told) == withheld
    assert all("outcomes_reconcile" in str(detail) for detail in told.values())
    assert failed is not None
    assert failed[0] >= len(withheld)

    mend(prepared)
    with transcript.instead_of_dbt():
        again = load(recording, prepared, project)
    assert (again.published, again.standing, again.withheld) == (len(withheld), len(BATCHES) - len(withheld), 0)
    assert digests(prepared) == golden


def test_a_model_that_fails_withholds_the_batch(prepared: Warehouse, project: Project) -> None:
    """An error of the database in the middle of a run, not a failed test."""
    take(prepared, project, BATCHES[:1])
    before = fingerprint(prepared)
    with prepared.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute("alter table gold.best_price add constraint never check (false) not valid")
    batch = next(b for b in BATCHES[1:] if len(Gold([b]).tables()["gold.best_price"]) > 0)
    with prepared.connect(Role.INGESTER) as ingester:
        bronze_load.load_batch(ingester, batch, CLOCK)
    done = apply_batches(prepared, project, (batch.batch_id,), CLOCK)
    assert not done.published
    assert [check.name for check in done.failed] == ["best_price"]
    assert "never" in str(done.failed[0].message)
    states = published_states(prepared)
    assert states[batch.batch_id] == "withheld"
    assert fingerprint(prepared) == before
    with prepared.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute("alter table gold.best_price drop constraint never")
    assert apply_batches(prepared, project, (batch.batch_id,), CLOCK).published
    assert_model_agrees(prepared, Gold([BATCHES[0], batch]))


def published_states(warehouse: Warehouse) -> dict[str, str]:
    with warehouse.connect(Role.READER) as reader:
        return dict(reader.execute("select batch_id, state from ops.batch_states").fetchall())


# --- rows of other code ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["price_history", "parameters", "quotes"])
def test_rows_of_other_code_are_refused_until_they_are_rebuilt(
    model: str, recording: Path, prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    with transcript.instead_of_dbt():
        take(prepared, project, BATCHES[:3], step=0)
    before = read_gold(prepared)
    with prepared.connect(Role.TRANSFORMER, autocommit=True) as connection:
        connection.execute("update ops.fingerprints set fingerprint = 'of other code' where model = %s", [model])
    with pytest.raises(WarehouseError, match=model) as raised:
        load(recording, prepared, project)
    assert raised.value.code == "MODELS_CHANGED"
    assert "rebuild" in str(raised.value)
    assert read_gold(prepared) == before
    if model == "price_history":
        rebuild(prepared, project)
        assert not prepare(prepared, project)
        assert read_gold(prepared) == before


def test_a_failed_rebuild_leaves_everything_as_it_was(prepared: Warehouse, project: Project, transcript: Transcript) -> None:
    with transcript.instead_of_dbt():
        take(prepared, project, BATCHES[:3], step=0)
    before = digests(prepared), fingerprint(prepared)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "_settle", _full_disk)
        with pytest.raises(psycopg.errors.DiskFull):
            rebuild(prepared, project)
    assert (digests(prepared), fingerprint(prepared)) == before


def _full_disk(*_: Any) -> None:
    raise psycopg.errors.DiskFull("no space left on device")
