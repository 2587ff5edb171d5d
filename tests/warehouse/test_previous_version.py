"""A populated warehouse of the version before months: bronze is moved, silver and gold are computed anew, and loads go on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from init_db import Migration, bootstrap, migrations
from pipeline.errors import WarehouseError
from pipeline.recording.model import Batch
from pipeline.transform.apply import prepare, rebuild
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.database import Server
from pipeline.warehouse.digest import recomputed_digests
from tests.conftest import Project
from tests.replay import wild
from tests.replay.support import Databases, databases_of, digests, take

# What that version made; its bodies knew no month.
BEFORE = tuple(file for file in migrations() if file.name < "005")
BRONZE_AND_OPS = (
    "bronze.batches",
    "bronze.bodies",
    "bronze.late_documents",
    "bronze.exchanges",
    "ops.verdicts",
    "ops.ledger",
    "ops.batch_states",
    "ops.batch_shapes",
    "ops.shape_firsts",
    "ops.charges",
    "ops.check_results",
)
MARKET = wild.market_of(96)


def moved(number: int) -> list[Batch]:
    """The market again, some months later: the same events, so that they reach over months, and partly the same bytes."""
    shift = dt.timedelta(days=31 * number)
    return [
        replace(
            batch,
            batch_id=batch.plan.batch_id(batch.scheduled_at + shift),
            scheduled_at=batch.scheduled_at + shift,
            exchanges=tuple(replace(each, captured_at=each.captured_at + shift) for each in batch.exchanges),
        )
        for batch in MARKET
    ]


BATCHES, LATER = [*MARKET[:4], *moved(1)[:4]], moved(2)[:2]


@pytest.fixture(scope="module")
def databases(server: Server, prepared_template: Warehouse, clone_names: Iterator[str]) -> Databases:
    return databases_of(server, prepared_template, clone_names)


@pytest.fixture
def previous(
    server: Server, template: Warehouse, clone_names: Iterator[str], databases: Databases, project: Project
) -> Iterator[tuple[Warehouse, dict[str, str]]]:
    """A warehouse as that version left it, and the digests of its gold."""
    old = server.create_database(next(clone_names))
    try:
        bootstrap(old, files=BEFORE)
        with databases() as new:
            take(new, project, BATCHES, step=0)
            copy(new, old)
            expected = digests(new)
        yield old, expected
    finally:
        server.drop_database(old)


def copy(new: Warehouse, old: Warehouse) -> None:
    """Put what a warehouse holds into one of the version before: tables of silver and gold without partitions, bodies once."""
    with new.connect(Role.OWNER) as reading, old.connect(Role.OWNER) as writing:
        for name in BRONZE_AND_OPS:
            columns = shared_columns(reading, writing, name)
            once = "distinct on (body_sha256)" if name == "bronze.bodies" else ""
            move(reading, writing, f"select {once} {columns} from {name}", f"{name} ({columns})")
        writing.execute(f'set role "{old.user(Role.TRANSFORMER)}"'.encode())
        for (name,) in reading.execute(
            "select relnamespace::regnamespace || '.' || relname from pg_class"
            " where relnamespace in ('silver'::regnamespace, 'gold'::regnamespace)"
            " and relkind in ('r', 'p') and not relispartition"
        ).fetchall():
            rows = reading.execute(
                "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute"
                " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
                [name],
            ).fetchall()
            writing.execute(f"create table {name} ({rows[0][0]})".encode())
            move(reading, writing, f"select * from {name}", name)
        writing.execute("create view gold.openings as select * from silver.quotes")
        writing.execute("insert into ops.fingerprints values ('quotes', 'of the version before')")
        writing.commit()


def shared_columns(reading: Connection, writing: Connection, name: str) -> str:
    query = "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped order by attnum"
    here, there = ([column for (column,) in each.execute(query, [name])] for each in (reading, writing))
    return ", ".join(column for column in there if column in here)


def move(reading: Connection, writing: Connection, query: str, target: str) -> None:
    with (
        reading.cursor().copy(f"copy ({query}) to stdout".encode()) as given,
        writing.cursor().copy(f"copy {target} from stdin".encode()) as taken,
    ):
        for data in given:
            taken.write(data)


def fetch(warehouse: Warehouse, query: str) -> Sequence[tuple[object, ...]]:
    with warehouse.connect(Role.OWNER) as connection:
        return connection.execute(query.encode()).fetchall()


ANSWERS = (
    "select exchanges.exchange_id, bodies.body from bronze.exchanges as exchanges"
    " join bronze.bodies as bodies on bodies.body_sha256 = exchanges.body_sha256"
)
KIND = "select relkind::text from pg_class where oid = '{}'::regclass"


def test_a_populated_warehouse_is_moved_and_goes_on(
    previous: tuple[Warehouse, dict[str, str]], project: Project, databases: Databases
) -> None:
    old, expected = previous
    answers = fetch(old, f"{ANSWERS} order by 1")
    assert len(answers) > 8
    assert fetch(old, KIND.format("bronze.bodies")) == [("r",)]

    assert bootstrap(old).applied == tuple(file.name for file in migrations() if file.name >= "005")
    by_month = f"{ANSWERS} and bodies.month = ops.month_of(exchanges.captured_at) order by 1"
    assert fetch(old, by_month) == answers
    parts = fetch(
        old, "select inhrelid::regclass::text from pg_inherits where inhparent = 'bronze.bodies'::regclass order by 1"
    )
    assert parts == [("bronze.bodies_2026_01",), ("bronze.bodies_2026_02",)]
    # the same bytes lie once in each of their months
    assert fetch(old, "select count(*) > count(distinct body_sha256) from bronze.bodies") == [(True,)]
    assert not bootstrap(old).changed

    with pytest.raises(WarehouseError, match="MODELS_CHANGED"):
        prepare(old, project)
    rebuild(old, project)
    assert digests(old) == expected
    assert [fetch(old, KIND.format(f"silver.{name}")) for name in ("quotes", "coverage")] == [[("p",)], [("r",)]]
    take(old, project, LATER)
    with databases() as other:
        take(other, project, [*BATCHES, *LATER], step=0)
        assert digests(old) == digests(other)


def test_a_migration_that_fails_leaves_the_warehouse_as_it_was(previous: tuple[Warehouse, dict[str, str]]) -> None:
    old, expected = previous
    broken = Migration("900_broken.sql", "select 1 / 0")
    with pytest.raises(WarehouseError, match="MIGRATION_FAILED"):
        bootstrap(old, files=[*migrations(), broken])
    assert fetch(old, KIND.format("bronze.bodies")) == [("r",)]
    with old.connect(Role.OWNER) as connection:
        connection.execute("alter table bronze.bodies disable trigger append_only")
        connection.execute("insert into bronze.bodies values ('nobody''s', 0, '', null)")
        connection.commit()
    # a body that no answer came with would be lost
    with pytest.raises(WarehouseError, match="belongs to no exchange"):
        bootstrap(old)
    # what that version kept of it is of another kind
    with old.connect(Role.OWNER) as connection:
        assert recomputed_digests(connection) == expected
