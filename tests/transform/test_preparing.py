"""The connection that a run keeps: one for all its batches, statements parsed once, plans that follow the tables' growth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.errors import WarehouseError
from pipeline.transform.apply import Session, Transformer, apply_batches
from pipeline.transform.preparing import PreparingSession, send
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import stored_digests
from tests.conftest import Project
from tests.replay import wild
from tests.replay.support import CLOCK

BATCHES = wild.market_of(97)
PREPARED = "select count(*) from pg_prepared_statements where from_sql"


@pytest.fixture
def transformer(prepared: Warehouse) -> Iterator[Transformer]:
    with Transformer(prepared) as made:
        yield made


@pytest.fixture
def session(prepared: Warehouse) -> Iterator[PreparingSession]:
    made = psycopg2.connect(prepared.conninfo(Role.OWNER), connection_factory=PreparingSession)
    yield made
    made.close()


def rows(session: Session, query: str) -> list[tuple[object, ...]]:
    with session.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def sent(session: Session, text: str) -> list[tuple[object, ...]]:
    with session.cursor() as cursor:
        send(cursor, text)
        return list(cursor.fetchall())


def sent_by(session: PreparingSession) -> str:
    """What the next run begins with."""
    sent: list[bytes] = []

    class Listening(psycopg2.extensions.cursor):
        def execute(self, query: Any, values: Any = None) -> None:
            super().execute(query, values)
            sent.append(self.query or b"")

    session.cursor_factory = Listening
    session.begin_run()
    session.cursor_factory = psycopg2.extensions.cursor
    return b" ".join(sent).decode()


def loaded(warehouse: Warehouse, number: int) -> list[str]:
    with warehouse.connect(Role.INGESTER) as ingester:
        return [load_batch(ingester, BATCHES[number], CLOCK).batch_id]


def test_what_is_sent_again_is_prepared_once(session: PreparingSession) -> None:
    for text, wanted in (("select 1", 0), ("select 1", 1), ("select 2", 1), ("select 1", 1), ("select 2", 2), ("select 2", 2)):
        assert sent(session, text) == [(int(text[-1]),)]
        assert rows(session, PREPARED) == [(wanted,)]


def test_what_could_not_be_prepared_is_prepared_later(session: PreparingSession) -> None:
    rows(session, "create table public.there (n) as values (1); select 1")
    assert sent(session, "select n from public.there") == [(1,)]
    session.commit()
    for _ in range(2):
        rows(session, "drop table public.there; select 1")
        with pytest.raises(psycopg2.errors.UndefinedTable):
            sent(session, "select n from public.there")
        session.rollback()
        assert sent(session, "select n from public.there") == [(1,)]


def test_what_has_values_is_prepared_at_once_and_takes_others_each_time(session: PreparingSession) -> None:
    text = "select n from unnest($1::text[]) as given (n) where n <> $2 order by n"
    for names, other, found in ((["%s", "it's"], "%s", ["it's"]), ([], "", []), (["a", "b"], "it's", ["a", "b"])):
        with session.cursor() as cursor:
            send(cursor, text, [names, other])
            assert cursor.fetchall() == [(name,) for name in found]
        assert rows(session, PREPARED) == [(1,)]


def test_values_need_a_session_that_prepares(prepared: Warehouse) -> None:
    session = psycopg2.connect(prepared.conninfo(Role.OWNER))
    try:
        with session.cursor() as cursor, pytest.raises(TypeError, match="prepares"):
            send(cursor, "select $1::int", [1])
    finally:
        session.close()


def test_plans_follow_a_table_that_grows_without_being_analyzed(session: PreparingSession) -> None:
    """Planned on an empty table, the look for one row would read all of it for ever."""
    rows(session, "create table public.growing (n int primary key) with (autovacuum_enabled = off); select 1")
    query = "select count(*) from public.growing where n between 5 and 6"
    for _ in range(3):
        session.begin_run()
        # few rows: the server does best to read them all
        rows(session, "set enable_indexscan = off; set enable_indexonlyscan = off; set enable_bitmapscan = off; select 1")
        sent(session, query)
    rows(session, "reset all; insert into public.growing select generate_series(1, 20000); select 1")
    [(name,)] = rows(session, "select name from pg_prepared_statements where from_sql")

    def plan() -> str:
        return str(rows(session, f"explain execute {name}"))

    assert "Seq Scan" in plan()
    session.begin_run()  # the fourth
    assert "Seq Scan" not in plan()


def test_plans_are_made_anew_now_and_then_for_ever(session: PreparingSession) -> None:
    anew = [run for run in range(1, 101) if "discard plans" in sent_by(session)]
    assert anew == [1, 2, 4, 8, 16, 32, 64, 96]


def test_a_run_keeps_its_connection_and_ends_in_the_same_rows(
    transformer: Transformer, prepared: Warehouse, project: Project
) -> None:
    pids, prepared_statements, digests = set(), [], []

    def look(session: Session) -> None:
        pids.add(session.info.backend_pid)
        prepared_statements.append(rows(session, PREPARED)[0][0])
        digests.append(stored_digests(session))

    for number in range(4):
        assert apply_batches(transformer, project, loaded(prepared, number), CLOCK, before_commit=look).published
        with prepared.connect(Role.OWNER) as owner:
            # nothing is held between two batches
            owner.execute("lock table ops.transform_lock in exclusive mode nowait")
    assert len(pids) == 1
    first, second, third, _ = prepared_statements
    # of the first run what has values
    assert first == 2 < second
    assert third == second
    assert len({str(each) for each in digests}) == 4


def test_what_goes_before_and_after_a_model_is_prepared_too(
    transformer: Transformer, prepared: Warehouse, project: Project
) -> None:
    known: list[str] = []

    def look(session: Session) -> None:
        known[:] = [str(text) for (text,) in rows(session, "select statement from pg_prepared_statements")]

    for number in range(2):
        assert apply_batches(transformer, project, loaded(prepared, number), CLOCK, before_commit=look).published
    for table in ("touched_series", "touched_lines", "due_events", "due_lines", "pending", "touched_events"):
        assert [text for text in known if f" as insert into ops.{table} " in text], table
    assert [text for text in known if "insert into ops.alerts " in text]


@pytest.mark.parametrize("lost", [True, False])
def test_a_connection_that_is_lost_between_two_batches_is_made_anew(
    transformer: Transformer, prepared: Warehouse, project: Project, lost: bool
) -> None:
    with transformer.transaction() as session:
        before = session.info.backend_pid
    if lost:
        with prepared.connect(Role.OWNER, autocommit=True) as owner:
            owner.execute("select pg_terminate_backend(%s, 10000)", [before])
    with transformer.transaction() as session:
        assert (session.info.backend_pid != before) is lost
    assert apply_batches(transformer, project, loaded(prepared, 0), CLOCK).published


def test_a_connection_on_which_something_failed_is_not_used_again(transformer: Transformer) -> None:
    with transformer.transaction() as session:
        before = session.info.backend_pid
    with pytest.raises(KeyboardInterrupt), transformer.transaction() as session:
        rows(session, "delete from ops.run_batches; select 1")
        raise KeyboardInterrupt
    assert session.closed
    with transformer.transaction() as session:
        assert session.info.backend_pid != before


def test_what_is_not_committed_is_rolled_back(transformer: Transformer) -> None:
    with transformer.transaction() as session:
        rows(session, "insert into ops.run_batches values ('left'); select 1")
    with transformer.transaction() as session:
        assert rows(session, "select count(*) from ops.run_batches") == [(0,)]
        # nor does a setting of one batch outlive it
        assert rows(session, "show lock_timeout") == [(f"{transformer.warehouse.lock_seconds // 60}min",)]
        assert rows(session, "show work_mem") == [("64MB",)]


def test_a_connection_that_is_lost_in_a_batch_is_an_error(transformer: Transformer, prepared: Warehouse) -> None:
    with pytest.raises(psycopg2.OperationalError), transformer.transaction() as session:
        with prepared.connect(Role.OWNER, autocommit=True) as owner:
            owner.execute("select pg_terminate_backend(%s, 10000)", [session.info.backend_pid])
        rows(session, "select 1")


def test_a_server_that_is_gone_is_told_as_ever(prepared: Warehouse) -> None:
    gone = Transformer(replace(prepared, dbname="not_there"))
    with pytest.raises(WarehouseError) as caught, gone.transaction():
        pass
    assert caught.value.code == "DATABASE_NOT_FOUND"
