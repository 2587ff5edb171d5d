"""Nothing in silver and gold comes from a clock, a locale, a time zone, a sequence or a float; and work follows the batch."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from pipeline.clock import UTC, Clock
from pipeline.recording.model import Batch, PlanIdentity
from pipeline.warehouse.connect import PIPELINE_ROLES, Role, Warehouse
from tests.conftest import Project
from tests.replay import wild
from tests.replay.model import Gold
from tests.replay.support import Databases, assert_model_agrees, digests, take
from tests.replay.transcript import Transcript

BATCHES = wild.market_of(96)


class HastyClock:
    """Every look at it is a day later."""

    def __init__(self, start: dt.datetime) -> None:
        self.time = start

    def now(self) -> dt.datetime:
        self.time += dt.timedelta(days=1, microseconds=1)
        return self.time


CLOCKS: dict[str, Clock] = {
    "long before": HastyClock(dt.datetime(1987, 1, 1, tzinfo=UTC)),
    "far ahead": HastyClock(dt.datetime(2100, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-9, minutes=-30)))),
}


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process whose environment asks for New York's time and German dates, of libpq too."""
    for name, value in {
        "TZ": "America/New_York",
        "PGTZ": "America/New_York",
        "PGDATESTYLE": "German, DMY",
        "LC_ALL": "de_DE.UTF-8",
        "PGOPTIONS": "-c timezone=Asia/Kathmandu -c intervalstyle=iso_8601",
    }.items():
        monkeypatch.setenv(name, value)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(scope="module")
def golden(databases: Databases, project: Project, transcript: Transcript) -> dict[str, str]:
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, BATCHES)
        return digests(warehouse)


@pytest.mark.parametrize("clock", CLOCKS)
def test_the_clock_does_not_matter(
    clock: str, golden: dict[str, str], prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    with transcript.instead_of_dbt():
        take(prepared, project, BATCHES, step=2, clock=CLOCKS[clock])
    assert digests(prepared) == golden
    with prepared.connect(Role.READER) as reader:
        wall = reader.execute("select count(distinct changed_at) from ops.batch_states").fetchone()
    assert wall is not None
    assert wall[0] > 1, "the clock was not asked at all"


@pytest.mark.usefixtures("elsewhere")
def test_the_machines_time_zone_and_dates_do_not_matter(
    golden: dict[str, str], prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    take(prepared, project, BATCHES[:2])
    with transcript.instead_of_dbt():
        take(prepared, project, BATCHES[2:])
    assert digests(prepared) == golden


def test_the_servers_defaults_do_not_matter(
    golden: dict[str, str], prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    settings = {
        "timezone": "Asia/Kathmandu",
        "datestyle": "SQL, DMY",
        "intervalstyle": "sql_standard",
        "extra_float_digits": "-15",
    }
    with prepared.connect(Role.OWNER, autocommit=True) as owner:
        for name, value in settings.items():
            owner.execute(f"alter database {prepared.dbname} set {name} = '{value}'".encode())
            for role in PIPELINE_ROLES:
                owner.execute(f"alter role {prepared.user(role)} in database {prepared.dbname} set {name} = '{value}'".encode())
    with psycopg.connect(prepared.conninfo(Role.OWNER).replace("TimeZone", "application_name")) as plain:
        assert plain.execute("show timezone").fetchone() == ("Asia/Kathmandu",), "the defaults were not set"
    take(prepared, project, BATCHES[:2])
    with transcript.instead_of_dbt():
        take(prepared, project, BATCHES[2:])
    assert digests(prepared) == golden


# --- types ----------------------------------------------------------------------------------------------------------------

COLUMNS = """
    select format('%s.%s.%s', n.nspname, c.relname, a.attname), format_type(a.atttypid, a.atttypmod), c.relkind::text
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_class as c on c.oid = a.attrelid
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname in ('silver', 'gold') and c.relkind in ('r', 'v', 'm', 'p') and a.attnum > 0 and not a.attisdropped
"""


def test_silver_and_gold_have_no_float_and_no_naive_time(prepared: Warehouse) -> None:
    with prepared.connect(Role.OWNER) as owner:
        columns = owner.execute(COLUMNS).fetchall()
    assert len(columns) > 200
    banned = (
        "real",
        "double precision",
        "money",
        "json",
        "timestamp without time zone",
        "time without time zone",
        "date",
        "interval",
    )
    # but a month or a day, which is one of UTC by its description
    assert not [
        (name, kind) for name, kind, _ in columns if kind.removesuffix("[]") in banned and not name.endswith((".month", ".day"))
    ]
    # of tables; a view's expression may have no scale
    assert not [name for name, kind, relation in columns if kind == "numeric" and relation == "r"], "numeric without a scale"


def test_nothing_is_filled_in_by_the_database(prepared: Warehouse) -> None:
    with prepared.connect(Role.OWNER) as owner:
        for query in (
            "select adrelid::regclass::text from pg_catalog.pg_attrdef join pg_catalog.pg_class on pg_class.oid = adrelid"
            " where relnamespace in ('silver'::regnamespace, 'gold'::regnamespace)",
            "select oid::regclass::text from pg_catalog.pg_class where relkind = 'S'"
            " and relnamespace in ('silver'::regnamespace, 'gold'::regnamespace, 'bronze'::regnamespace, 'ops'::regnamespace)",
            "select attrelid::regclass::text from pg_catalog.pg_attribute join pg_catalog.pg_class on pg_class.oid = attrelid"
            " where (attidentity <> '' or attgenerated <> '')"
            " and relnamespace in ('silver'::regnamespace, 'gold'::regnamespace)",
            "select tgname::text from pg_catalog.pg_trigger join pg_catalog.pg_class on pg_class.oid = tgrelid"
            " where not tgisinternal and relnamespace in ('silver'::regnamespace, 'gold'::regnamespace)",
        ):
            assert owner.execute(query.encode()).fetchall() == []


# --- work follows the batch -----------------------------------------------------------------------------------------------

BIG = ("silver.quotes", "silver.event_sightings", "silver.coverage", "gold.price_history", "gold.best_price", "bronze.bodies",
       "bronze.exchanges")  # fmt: skip


def later_market(number: int) -> list[Batch]:
    """The market again, days later and with other event ids."""
    shift = dt.timedelta(days=number)
    moved = []
    for batch in BATCHES:
        scheduled = batch.scheduled_at + shift
        exchanges = []
        for exchange in batch.exchanges:
            body, request, coverage = exchange.body, exchange.request, exchange.coverage
            for event_id in wild.EVENT_IDS:
                other = f"{number:04x}{event_id[4:]}"
                body = None if body is None else body.replace(event_id.encode(), other.encode())
                if request.event_id == event_id:
                    request = replace(request, event_id=other)
                if coverage.events and event_id in coverage.events:
                    coverage = replace(coverage, events=tuple(other if e == event_id else e for e in coverage.events))
            day = wild.NOON + shift
            body = None if body is None else body.replace(f"{wild.NOON:%Y-%m-%d}".encode(), f"{day:%Y-%m-%d}".encode())
            captured = exchange.captured_at + shift
            exchanges.append(replace(exchange, body=body, request=request, coverage=coverage, captured_at=captured))
        plan = PlanIdentity(dict(batch.plan.document))
        moved.append(replace(batch, batch_id=plan.batch_id(scheduled), scheduled_at=scheduled, exchanges=tuple(exchanges)))
    return moved


def test_a_batch_in_order_reads_no_big_table_from_end_to_end(
    prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    """Each table that grows is entered through an index. What is small here is read whole by any planner that may choose, so
    it may not: a table is scanned then only where no index would do."""
    with transcript.instead_of_dbt():
        for number in range(1, 25):
            take(prepared, project, later_market(number), step=0)
        with prepared.connect(Role.OWNER, autocommit=True) as owner:
            owner.execute("analyze")
            owner.execute(f"alter database {prepared.dbname} set enable_seqscan = off".encode())
        newest = later_market(40)
        take(prepared, project, newest[:1])
        rows = dict(counts(prepared))
        before = scans(prepared)
        take(prepared, project, newest[1:-1])
    take(prepared, project, newest[-1:])  # with the checks
    after = scans(prepared)
    assert rows["silver.quotes"] > 10_000
    assert rows["gold.price_history"] > 4_000
    assert {table: after[table][0] - before[table][0] for table in BIG} == dict.fromkeys(BIG, 0)
    # and through the index few rows are read
    read = {table: after[table][1] - before[table][1] for table in BIG}
    assert read["silver.quotes"] < rows["silver.quotes"], read
    # what begins reads its own history, once for each table of hindsight
    assert read["gold.price_history"] < 2.5 * rows["gold.price_history"], read


def scans(warehouse: Warehouse) -> dict[str, tuple[int, int]]:
    """Sequential scans of each table so far, and rows read through its indexes."""
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        # what other sessions counted is flushed as they end; this one's snapshot of it must be new
        owner.execute("select pg_stat_clear_snapshot()")
        rows = owner.execute(
            # what is scanned of a table that is kept by month are its partitions
            "select stats.schemaname || '.' || coalesce(base.relname, stats.relname), sum(coalesce(stats.seq_scan, 0))::int,"
            " sum(coalesce(stats.idx_tup_fetch, 0))::int from pg_catalog.pg_stat_user_tables as stats"
            " left join pg_catalog.pg_inherits as parts on parts.inhrelid = stats.relid"
            " left join pg_catalog.pg_class as base on base.oid = parts.inhparent group by 1"
        ).fetchall()
    return {name: (sequential, read) for name, sequential, read in rows}


def counts(warehouse: Warehouse) -> Iterator[tuple[str, int]]:
    with warehouse.connect(Role.OWNER) as owner:
        for table in BIG:
            row = owner.execute(f"select count(*) from {table}".encode()).fetchone()
            assert row is not None
            yield table, int(row[0])


def test_a_moved_market_is_the_market_moved(prepared: Warehouse, project: Project, transcript: Transcript) -> None:
    with transcript.instead_of_dbt():
        take(prepared, project, [*BATCHES, *later_market(1)], step=4)
    assert_model_agrees(prepared, Gold([*BATCHES, *later_market(1)]))
