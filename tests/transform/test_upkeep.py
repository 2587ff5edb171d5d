"""Without an autovacuum, and with a connection for each batch: tables do not bloat, and the planner knows their size."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.transform import upkeep
from pipeline.transform.apply import Transformer, apply_batches, rebuild, transformer_session
from pipeline.transform.upkeep import empty_scratch, refresh_statistics
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.digest import stored_tables
from tests.conftest import Project
from tests.replay import wild
from tests.replay.support import CLOCK

BATCHES = 40


@pytest.fixture
def owner(prepared: Warehouse) -> Iterator[Connection]:
    with prepared.connect(Role.OWNER, autocommit=True) as connection:
        yield connection


def without_autovacuum(owner: Connection) -> None:
    tables = owner.execute(
        "select oid::regclass::text from pg_class"
        " where relkind = 'r' and relnamespace::regnamespace::text in ('bronze', 'silver', 'gold', 'ops')"
    ).fetchall()
    for (name,) in tables:
        owner.execute(f"alter table {name} set (autovacuum_enabled = off)".encode())


def known_and_true(owner: Connection) -> dict[str, tuple[float, int]]:
    """Name of each stored gold table → rows as the planner knows them, and as they are."""
    found = {}
    for table in stored_tables():
        true = f"(select count(*) from {table.name})"
        query = f"select reltuples::float8, {true} from pg_class where oid = '{table.name}'::regclass"
        row = owner.execute(query.encode()).fetchone()
        assert row is not None
        found[table.name] = row
    return found


def wrong(owner: Connection) -> dict[str, tuple[float, int]]:
    """Those whose number of rows the planner does not know to a factor of two."""
    return {
        name: (known, true)
        for name, (known, true) in known_and_true(owner).items()
        if (true or known > 0) and not 0.5 * true <= known <= 2 * true
    }


def size(owner: Connection, name: str) -> int:
    row = owner.execute(f"select pg_relation_size('{name}')".encode()).fetchone()
    assert row is not None
    return int(row[0])


def fill(owner: Connection, rows: int = 40_000) -> None:
    owner.execute(f"insert into ops.row_changes select 't', n::text from generate_series(1, {rows}) as n".encode())


def test_many_batches_leave_no_bloat_and_fresh_statistics(
    prepared: Warehouse, project: Project, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 2**16  # these batches are small
    monkeypatch.setattr(upkeep, "_SCRATCH_BYTES", dict.fromkeys(upkeep._SCRATCH_BYTES, limit))
    without_autovacuum(owner)
    recording = Recording.open(resource("fixtures/recordings/simulated"))
    drawn = {batch.batch_id: batch for seed in (98, 99, 100) for batch in wild.market_of(seed)}
    batches = [*map(recording.read, recording.batch_ids), *drawn.values()][:BATCHES]
    assert len(batches) == BATCHES
    sizes, largest = [], 0
    with prepared.connect(Role.INGESTER) as ingester, Transformer(prepared) as transformer:
        for number, batch in enumerate(batches):
            load_batch(ingester, batch, CLOCK, mix_sources=True)
            at = transformer if number % 2 else prepared
            assert apply_batches(at, project, [batch.batch_id], CLOCK).published
            sizes.append(size(owner, "ops.row_changes"))
            row = owner.execute("select coalesce(sum(pg_column_size(t.*)), 0) from ops.row_changes as t").fetchone()
            assert row is not None
            largest = max(largest, int(row[0]))
            assert not wrong(owner), number
    # what one run leaves comes on top of what was too little to be given back
    assert max(sizes) <= limit + 2 * largest + 2**16
    assert max(size(owner, name) for name in ("ops.pending", "ops.touched_events")) <= 2 * limit


def test_a_rebuild_leaves_fresh_statistics(prepared: Warehouse, project: Project, owner: Connection) -> None:
    without_autovacuum(owner)
    with prepared.connect(Role.INGESTER) as ingester:
        batch_ids = [load_batch(ingester, batch, CLOCK).batch_id for batch in wild.market_of(99)[:3]]
    assert apply_batches(prepared, project, batch_ids, CLOCK).published
    rebuild(prepared, project)
    assert not wrong(owner)


def test_room_is_given_back_when_nobody_looks_and_no_reader_waits(
    prepared: Warehouse, owner: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(upkeep._SCRATCH_BYTES, "ops.row_changes", 2**20)
    fill(owner)
    with transformer_session(prepared) as session:
        with prepared.connect(Role.OWNER) as reader:
            assert reader.execute("select count(*) from ops.row_changes").fetchone() == (40_000,)
            empty_scratch(session)  # does not wait for the reader
            assert size(owner, "ops.row_changes") > 2**20
        empty_scratch(session)
        # committed: whoever reads it waits for nothing
        assert size(owner, "ops.row_changes") == 0


def test_what_is_little_stays(prepared: Warehouse, owner: Connection) -> None:
    fill(owner, 10)
    with transformer_session(prepared) as session:
        empty_scratch(session)
    assert owner.execute("select count(*) from ops.row_changes").fetchone() == (10,)


def test_statistics_that_cannot_be_taken_are_no_failure(
    prepared: Warehouse, owner: Connection, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_OUTGROWN", "select 'gold.not_there'")
    with caplog.at_level(logging.WARNING), transformer_session(prepared) as session:
        refresh_statistics(session)
        assert session.closed == 0
    assert "statistics" in caplog.text
    assert "not_there" in caplog.text


def test_a_table_that_somebody_holds_is_analyzed_another_time(prepared: Warehouse, owner: Connection) -> None:
    owner.execute("alter table gold.sports set (autovacuum_enabled = off)")
    done: list[Any] = []
    with prepared.connect(Role.OWNER) as holder, transformer_session(prepared) as session:
        holder.execute("lock table gold.sports in share update exclusive mode")
        analyzing = threading.Thread(target=lambda: done.append(refresh_statistics(session)))
        analyzing.start()
        analyzing.join(20)
        assert done == [None]


def test_a_table_of_as_many_rows_as_before_is_not_analyzed(prepared: Warehouse) -> None:
    """Else all statements that read it would be planned anew for each batch."""

    def known(session: Any, rows: int) -> float:
        with session.cursor() as cursor:
            cursor.execute("delete from ops.run_batches")
            cursor.execute("insert into ops.run_batches select number::text from generate_series(1, %s) as number", [rows])
            cursor.execute("select ops.analyze_if_other('ops.run_batches')")
            cursor.execute("select reltuples from pg_class where oid = 'ops.run_batches'::regclass")
            return float(cursor.fetchall()[0][0])

    with transformer_session(prepared) as session:
        assert [known(session, rows) for rows in (40, 60, 80, 81, 50, 41, 40)] == [40, 40, 40, 81, 81, 81, 40]
