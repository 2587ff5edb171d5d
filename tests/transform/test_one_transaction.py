"""What dbt does on our connection: everything, in one transaction that we end. An upgrade that moves it fails here."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import psycopg2
import pytest
from dbt.adapters.base.connections import BaseConnectionManager
from dbt.adapters.postgres.connections import PostgresConnectionManager
from dbt.adapters.sql.connections import SQLConnectionManager

from pipeline.bronze.batch_load import load_batch
from pipeline.errors import WarehouseError
from pipeline.transform import apply
from pipeline.transform.apply import apply_batches, prepare, take_transform_lock, transformer_session
from pipeline.transform.engine import Engine
from pipeline.transform.one_transaction import REPLACED, one_transaction
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import bootstrap
from tests.conftest import Project
from tests.replay import wild
from tests.replay.support import CLOCK
from tests.replay.transcript import sent_statements

BATCHES = wild.market_of(96)

# name → where it is defined now, whether it is a class method, its parameters without self or cls
SIGNATURES: dict[str, tuple[type, bool, tuple[str, ...]]] = {
    "open": (PostgresConnectionManager, True, ("connection",)),
    "cancel": (PostgresConnectionManager, False, ("connection",)),
    "add_begin_query": (PostgresConnectionManager, False, ()),
    "add_commit_query": (SQLConnectionManager, False, ()),
    "_rollback_handle": (BaseConnectionManager, True, ("connection",)),
    "_close_handle": (BaseConnectionManager, True, ("connection",)),
}


def members() -> dict[str, Any]:
    return {name: PostgresConnectionManager.__dict__.get(name) for name in REPLACED}


@pytest.fixture
def session(prepared: Warehouse) -> Iterator[apply.Session]:
    with transformer_session(prepared) as opened:
        yield opened


@pytest.fixture(params=["program", "dbt"])
def engine(request: pytest.FixtureRequest, project: Project) -> Engine:
    """Both ways to run a batch."""
    found: Engine = getattr(project, request.param)
    return found


def loaded(warehouse: Warehouse, *numbers: int) -> list[str]:
    with warehouse.connect(Role.INGESTER) as ingester:
        return [load_batch(ingester, BATCHES[number], CLOCK).batch_id for number in numbers]


def scalar(session: apply.Session, query: str) -> Any:
    with session.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()[0][0]


# --- what is replaced -----------------------------------------------------------------------------------------------------


def test_what_is_replaced_is_where_it_was() -> None:
    assert set(SIGNATURES) == set(REPLACED)
    for name, (holder, is_class_method, parameters) in SIGNATURES.items():
        assert name in holder.__dict__, f"{holder.__name__}.{name} is gone"
        raw = holder.__dict__[name]
        assert isinstance(raw, classmethod) == is_class_method, name
        assert next(c for c in PostgresConnectionManager.__mro__ if name in c.__dict__) is holder, f"{name} has another holder"
        function: Callable[..., Any] = raw.__func__ if is_class_method else raw
        assert tuple(inspect.signature(function).parameters)[1:] == parameters, name


def test_nothing_else_of_dbt_begins_or_ends_a_transaction() -> None:
    """Each place in dbt's managers that talks to the handle about transactions goes through what is replaced."""
    for holder in (BaseConnectionManager, SQLConnectionManager, PostgresConnectionManager):
        for name, member in vars(holder).items():
            function = getattr(member, "__func__", member)
            if name in REPLACED or not inspect.isfunction(function):
                continue
            text = inspect.getsource(function)
            for call in ("handle.commit(", "handle.rollback(", "handle.close(", ".set_session(", "handle.autocommit"):
                assert call not in text, f"{holder.__name__}.{name} calls {call}"


def test_it_is_put_back(session: apply.Session) -> None:
    before = members()
    with one_transaction(session):
        assert all(value is not None for value in members().values())
        assert members() != before
    assert members() == before
    with pytest.raises(RuntimeError, match="in the middle"), one_transaction(session):
        raise RuntimeError("in the middle")
    assert members() == before


# --- what reaches the server ----------------------------------------------------------------------------------------------


def test_a_run_is_one_transaction_on_one_connection(
    prepared: Warehouse, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_ids = loaded(prepared, 0, 1)
    opened: list[Any] = []
    transactions: list[int] = []
    original_connect, original_run = psycopg2.connect, apply._run

    def connect(*arguments: Any, **named: Any) -> Any:
        opened.append(original_connect(*arguments, **named))
        return opened[-1]

    def run(session: apply.Session, *rest: Any) -> Any:
        transactions.append(scalar(session, "select pg_current_xact_id()::text::bigint"))
        try:
            return original_run(session, *rest)
        finally:
            transactions.append(scalar(session, "select pg_current_xact_id()::text::bigint"))

    def look(session: apply.Session) -> None:
        transactions.append(scalar(session, "select pg_current_xact_id()::text::bigint"))
        assert scalar(session, "select count(*) from gold.price_history") > 0
        with prepared.connect(Role.READER) as reader:
            assert reader.execute("select count(*) from gold.price_history").fetchone() == (0,)
            assert reader.execute("select count(*) from silver.quotes").fetchone() == (0,)
            assert reader.execute("select count(*) from ops.batch_states where state = 'published'").fetchone() == (0,)

    monkeypatch.setattr(psycopg2, "connect", connect)
    monkeypatch.setattr(apply, "_run", run)
    assert apply_batches(prepared, engine, batch_ids, CLOCK, before_commit=look).published
    assert len(opened) == 1
    assert opened[0].closed
    assert len(transactions) == 3
    assert len(set(transactions)) == 1
    with prepared.connect(Role.READER) as reader:
        row = reader.execute("select count(*) from gold.price_history").fetchone()
        assert row is not None
        assert row[0] > 0


def test_nothing_sent_begins_or_ends_a_transaction_or_changes_the_catalog(prepared: Warehouse, engine: Engine) -> None:
    """And one statement a model: what is sent for a batch could be sent without dbt."""
    loaded(prepared, 0, 1)
    apply_batches(prepared, engine, [BATCHES[0].batch_id], CLOCK)
    sent = [text.split("*/", 1)[-1].strip().lower() for text in sent_statements(prepared, engine, BATCHES[1])]
    words = [text.split(None, 1)[0].rstrip(";") for text in sent if not text.startswith("--")]
    assert not {"begin", "commit", "rollback", "start", "end", "savepoint", "abort"} & set(words)
    assert not {"create", "drop", "alter", "truncate", "grant", "comment"} & set(words)
    assert words.count("with") == len(engine.scopes())


def test_a_models_sql_is_the_same_text_for_every_batch(prepared: Warehouse, engine: Engine) -> None:
    first, second, third = (sent_statements(prepared, engine, BATCHES[number]) for number in (0, 1, 2))
    assert first == second == third
    assert all(batch.batch_id not in text for batch in BATCHES for text in first)


# --- what is left behind --------------------------------------------------------------------------------------------------


def test_a_failed_model_leaves_nothing(prepared: Warehouse, engine: Engine) -> None:
    with prepared.connect(Role.OWNER, autocommit=True) as owner:
        # the last model of a run; silver and most of gold are written by then
        owner.execute("alter table gold.best_price add constraint never check (best_price_decimal < 0)")
    batch_ids = loaded(prepared, 0)
    before = contents(prepared)
    done = apply_batches(prepared, engine, batch_ids, CLOCK)
    assert not done.published
    after = contents(prepared)
    assert after == before
    assert not any(after.values())


def test_a_run_that_is_given_up_leaves_nothing(prepared: Warehouse, engine: Engine) -> None:
    batch_ids = loaded(prepared, 0)
    before = contents(prepared)

    def give_up(session: apply.Session) -> None:
        raise RuntimeError("given up")

    with pytest.raises(RuntimeError, match="given up"):
        apply_batches(prepared, engine, batch_ids, CLOCK, before_commit=give_up)
    assert contents(prepared) == before
    assert apply_batches(prepared, engine, batch_ids, CLOCK).published


def test_making_the_relations_is_one_transaction_too(
    warehouse: Warehouse, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(*_: Any) -> None:
        raise RuntimeError("given up")

    with monkeypatch.context() as patch:
        patch.setattr(apply, "write_fingerprints", give_up)
        with pytest.raises(RuntimeError, match="given up"):
            prepare(warehouse, engine)
    with warehouse.connect(Role.OWNER) as owner:
        assert owner.execute(
            "select count(*) from pg_catalog.pg_class where relnamespace in ('silver'::regnamespace, 'gold'::regnamespace)"
        ).fetchone() == (0,)
    assert prepare(warehouse, engine)


def test_what_is_sealed_before_there_are_relations_waits_for_its_own_run(warehouse: Warehouse, engine: Engine) -> None:
    batch_ids = loaded(warehouse, 0)
    assert prepare(warehouse, engine)
    left = contents(warehouse)
    assert not any(left.values())
    assert apply_batches(warehouse, engine, batch_ids, CLOCK).published
    assert any(contents(warehouse).values())


def test_what_failed_once_is_no_failure_of_the_run_that_passed(prepared: Warehouse, engine: Engine) -> None:
    batch_ids = loaded(prepared, 0)
    with prepared.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute("alter table gold.best_price add constraint never check (best_price_decimal < 0)")
        assert not apply_batches(prepared, engine, batch_ids, CLOCK).published
        owner.execute("alter table gold.best_price drop constraint never")
        failed = "select count(*) from ops.check_results where status = 'fail'"
        assert owner.execute(failed).fetchone() != (0,)
        assert apply_batches(prepared, engine, batch_ids, CLOCK).published
        assert owner.execute(failed).fetchone() == (0,)
        # that of the load stands
        assert owner.execute("select count(*) from ops.check_results where check_name = 'drift'").fetchone() == (1,)


def test_two_transformations_wait_for_each_other(
    prepared: Warehouse, session: apply.Session, caplog: pytest.LogCaptureFixture
) -> None:
    """The second one says after a while for whom it waits, and gives up at its limit."""
    impatient = replace(prepared, lock_seconds=3)
    with pytest.raises(WarehouseError) as caught, transformer_session(impatient):
        pass
    assert caught.value.code == "TRANSFORM_LOCK_TIMEOUT"
    user = prepared.user(Role.TRANSFORMER)
    holder = rf"process {session.info.backend_pid} \('sports-market transformer', user '{user}'\) since 20"
    assert re.search(holder, caught.value.message)
    [told] = caplog.records
    assert told.levelname == "WARNING"
    assert re.search(f"Waiting for another transformation of .*{prepared.dbname}: {holder}", told.getMessage())
    session.rollback()
    with transformer_session(impatient) as other:
        assert scalar(other, "show lock_timeout") == "3s"
    assert len(caplog.records) == 1


def test_the_transformer_is_told_of_the_owners_lock_and_waits_no_longer_than_it_lasts(
    prepared: Warehouse, caplog: pytest.LogCaptureFixture
) -> None:
    patient = replace(prepared, lock_seconds=60)
    with prepared.connect(Role.OWNER) as owner:
        take_transform_lock(owner, prepared)
        release = threading.Timer(3, owner.commit)
        release.start()
        with transformer_session(patient):
            assert f"process {owner.info.backend_pid} ('sports-market owner', user '{prepared.owner}') since 20" in caplog.text
        release.join()


def test_a_batch_takes_the_lock_again_after_what_commits(
    prepared: Warehouse, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making months, which is committed, and the batch somebody else may have begun."""
    with prepared.connect(Role.INGESTER) as ingester:
        loaded = load_batch(ingester, BATCHES[0], CLOCK)
    emptied = apply.empty_scratch
    with prepared.connect(Role.OWNER) as owner:

        def then_another_begins(session: apply.Session) -> None:
            emptied(session)
            take_transform_lock(owner, prepared)

        monkeypatch.setattr(apply, "empty_scratch", then_another_begins)
        with pytest.raises(WarehouseError) as caught:
            apply_batches(replace(prepared, lock_seconds=1), project.program, [loaded.batch_id], CLOCK)
        assert caught.value.code == "TRANSFORM_LOCK_TIMEOUT"


@pytest.mark.parametrize("role", [Role.INGESTER, Role.READER])
@pytest.mark.parametrize(
    "statement",
    [
        *(f"lock table ops.transform_lock in {mode} mode" for mode in ("access share", "row exclusive", "access exclusive")),
        "select * from ops.transform_lock for update",
        "select pg_advisory_lock(7305001)",
        "select pg_advisory_xact_lock(7305002)",
        "lock table silver.quotes in share update exclusive mode",
        "lock table bronze.bodies in share update exclusive mode",
        "lock table ops.migrations in share mode",
    ],
)
def test_a_lesser_role_can_hold_nothing_that_a_load_waits_for(prepared: Warehouse, role: Role, statement: str) -> None:
    if "advisory" in statement and bootstrap(prepared).left_open:
        pytest.skip("the user of this server may not close what is the server's")
    with prepared.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_a_load_goes_on_while_readers_hold_all_that_they_may(prepared: Warehouse, project: Project) -> None:
    """Of two months, so that partitions are made; and a bootstrap, as each load begins with one."""
    impatient = replace(prepared, lock_seconds=3)
    with prepared.connect(Role.READER) as reader, prepared.connect(Role.OWNER) as owner:
        for relation in owner.execute(
            "select format('%%I.%%I', relnamespace::regnamespace, relname) from pg_class where relkind in ('r', 'p', 'v')"
            " and relnamespace::regnamespace::text in ('silver', 'gold', 'ops') and has_table_privilege(%s, oid, 'select')",
            [prepared.user(Role.READER)],
        ).fetchall():
            reader.execute(f"lock table {relation[0]} in access share mode".encode())
        owner.rollback()
        assert not bootstrap(impatient).changed
        assert apply_batches(impatient, project, loaded(prepared, 0), CLOCK).published


def test_tests_alone_change_nothing(session: apply.Session, prepared: Warehouse, engine: Engine) -> None:
    """A failed test of a run is no error of the session: what follows in the transaction still works."""
    found = engine.run(session, prepared, "blocking")
    assert found
    assert all(each.ok for each in found)
    assert scalar(session, "select 1") == 1


def contents(warehouse: Warehouse) -> dict[str, int]:
    """Rows of each relation that a transformation writes."""
    with warehouse.connect(Role.OWNER) as owner:
        tables = [
            f"{schema}.{name}"
            for schema, name in owner.execute(
                "select relnamespace::regnamespace::text, relname from pg_catalog.pg_class"
                " where relkind in ('r', 'p') and not relispartition and relnamespace::regnamespace::text in ('silver', 'gold')"
            ).fetchall()
        ]
        seeds = (
            "parameters",
            "sport_rules",
            "market_rules",
            "book_profile",
            "event_override",
            "player_alias",
            "result_override",
            "settlement_rules",
        )
        written = [t for t in tables if t.removeprefix("silver.") not in seeds]
        written += ["ops.pending", "ops.touched_events", "ops.row_changes", "ops.table_digests", "ops.run_batches"]
        counts = {}
        for table in written:
            row = owner.execute(f"select count(*) from {table}".encode()).fetchone()
            assert row is not None
            counts[table] = int(row[0])
        row = owner.execute("select count(*) from ops.ledger where applied").fetchone()
        assert row is not None
        return {**counts, "applied": int(row[0])}
