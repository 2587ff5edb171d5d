"""Digests on a real server: the same as in Python, moved by every value, and kept up by what a batch wrote."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.contracts.tables import read_contracts
from pipeline.errors import WarehouseError
from pipeline.warehouse import digest
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.digest import (
    Column,
    GoldTable,
    changes_statement,
    recomputed_digests,
    refresh_digests,
    row_text_sql,
    scope_digests,
    stored_digests,
    stored_tables,
    views,
)
from pipeline.warehouse.row_text import digest_text, relation_digest, row_hash, row_text
from tests.warehouse.values import DATES, FINITE
from tests.warehouse.values import numbers as finite

EMPTY: Final = digest_text(0, 0)


@pytest.fixture
def session(bundled: Warehouse) -> Iterator[Connection]:
    """Of the transformer, on the bundled recording; whatever it does is undone."""
    with bundled.connect(Role.TRANSFORMER) as connection:
        yield connection
        connection.rollback()


def columns_of(session: Connection, name: str) -> tuple[Column, ...]:
    return digest.columns_of(session, [GoldTable(name, ())])[name]


def run(session: Connection, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    cursor = session.execute(query.encode(), values or None)
    return cursor.fetchall() if cursor.description else []


# --- the same as in Python


@pytest.mark.parametrize("relation", [*stored_tables(), *views()], ids=lambda relation: relation.name)
def test_real_rows_have_the_digest_that_python_computes(relation: GoldTable, session: Connection) -> None:
    types = [column.type_name for column in columns_of(session, relation.name)]
    rows = run(session, f"select * from {relation.name}")
    assert digest._digests(session, [relation])[relation.name] == relation_digest(types, rows)


def numbers(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    return finite(precision, scale) | st.just(Decimal("NaN"))


# what a column of each type may hold
KINDS: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    **FINITE,
    "numeric(8,3)": numbers(8, 3),
    "numeric(12,10)": numbers(12, 10),
    "numeric(9,0)": numbers(9, 0),
    "numeric": st.builds(
        lambda units, scale: Decimal(units).scaleb(-scale), st.integers(-(10**20), 10**20), st.integers(-30, 30)
    )
    | st.sampled_from([Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity")]),
    "timestamp with time zone": st.datetimes(timezones=st.timezones() | st.just(dt.UTC)).filter(
        lambda value: 1 < value.year < 9999
    )
    | st.sampled_from([float("inf"), float("-inf")]),
    "date": DATES | st.sampled_from([float("inf"), float("-inf")]),
    "numeric(12,10)[]": st.lists(st.none() | numbers(12, 10), max_size=3),
}
TYPES: Final = tuple(KINDS)
COLUMNS: Final = tuple(Column(f"c{number}", name) for number, name in enumerate(TYPES))
ROWS: Final = st.tuples(*(st.none() | values for values in KINDS.values()))
# all that could bear on how PostgreSQL writes a value
SETTINGS: Final = (
    {"TimeZone": "UTC", "DateStyle": "ISO,MDY", "lc_numeric": "C"},
    {"TimeZone": "Asia/Kathmandu", "DateStyle": "SQL,DMY", "extra_float_digits": "-15", "bytea_output": "escape"},
    {"TimeZone": "America/St_Johns", "DateStyle": "German,DMY", "IntervalStyle": "iso_8601", "quote_all_identifiers": "on"},
)


@pytest.fixture(scope="module")
def kinds(server: Any, prepared_template: Warehouse, clone_names: Iterator[str]) -> Iterator[Connection]:
    """A session with a table ``gold.kinds`` that has a column of each type, whose digest is kept."""
    made = server.clone_database(prepared_template, next(clone_names))
    try:
        with made.connect(Role.TRANSFORMER) as session:
            run(session, f"create table gold.kinds ({', '.join(f'{column.name} {column.type_name}' for column in COLUMNS)})")
            session.commit()
            yield session
    finally:
        server.drop_database(made)


def as_given(value: Any) -> Any:
    """A value as psycopg sends it; of times it knows the finite ones alone."""
    return {float("inf"): "infinity", float("-inf"): "-infinity"}[value] if isinstance(value, float) else value


def test_every_type_of_gold_is_among_those(bundled: Warehouse) -> None:
    with bundled.connect(Role.TRANSFORMER) as session:
        found = {column.type_name for relation in (*stored_tables(), *views()) for column in columns_of(session, relation.name)}
    kind = {name: name if "(" not in name else f"numeric(){'[]' if name.endswith('[]') else ''}" for name in (*found, *TYPES)}
    assert {kind[name] for name in found} <= {kind[name] for name in TYPES}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(ROWS, max_size=3), st.lists(ROWS, max_size=3), st.sampled_from(SETTINGS), st.sampled_from(SETTINGS))
def test_any_values_have_the_text_that_python_computes(
    kinds: Connection,
    first: list[Sequence[Any]],
    second: list[Sequence[Any]],
    noting: Mapping[str, str],
    reading: Mapping[str, str],
) -> None:
    """Of the stored row, and of the row that a batch noted: whatever the settings under which each of them is written."""
    kinds.rollback()
    assert columns_of(kinds, "gold.kinds") == COLUMNS
    # without the room of rows that were rolled back, in which a later row may get an earlier place
    run(kinds, "truncate gold.kinds")
    places = ", ".join(f"%s::{name}" for name in TYPES)
    for row in (*first, *second):
        run(kinds, f"insert into gold.kinds values ({places})", [as_given(value) for value in row])
    stored = f"select {row_text_sql(COLUMNS, 't')} from gold.kinds as t order by ctid"
    pin(kinds, noting)
    assert [text for (text,) in run(kinds, stored)] == [row_text(TYPES, row) for row in (*first, *second)]
    # the first are taken away again, the second come in their place
    run(kinds, "insert into ops.table_digests values ('gold.kinds', %s, %s) on conflict (table_name)"
        " do update set row_count = excluded.row_count, row_sum = excluded.row_sum",
        [len(first), sum(row_hash(row_text(TYPES, row)) for row in first) % 2**128])  # fmt: skip
    run(kinds, "delete from ops.row_changes")
    run(
        kinds,
        "insert into ops.row_changes (table_name, scope_key, old_row, new_row)"
        " select 'gold.kinds', '', case when number <= %s then noted end, case when number > %s then noted end"
        " from (select row_number() over (order by t.ctid) as number, to_jsonb(t) as noted from gold.kinds as t) as numbered",
        [len(first), len(first)],
    )
    pin(kinds, reading)
    kinds.execute(changes_statement((("gold.kinds", COLUMNS),)).encode())
    [(rows, total)] = run(kinds, "select row_count, row_sum from ops.table_digests where table_name = 'gold.kinds'")
    assert digest_text(rows, int(total)) == relation_digest(TYPES, second)


def pin(session: Connection, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        session.execute("select set_config(%s, %s, true)", [name, value])


def test_a_type_without_a_text_is_an_error_and_no_guess() -> None:
    for name in ("double precision", "jsonb", "timestamp without time zone", "character(3)", "numeric[]", "date[]", "time"):
        with pytest.raises(WarehouseError, match=r"^DIGEST_TYPE: .*row_text.py") as caught:
            row_text_sql((Column("weight", name),), "t")
        assert f"{name} (column weight)" in str(caught.value)


# --- moved by every value

OTHER: Final = {
    "text": "coalesce(t.{0}, '') || 'x'",
    "boolean": "t.{0} is not true",
    "integer": "coalesce(t.{0}, 0) + 1",
    "uuid": "coalesce(md5(t.{0}::text), md5(''))::uuid",
    "timestamp with time zone": "coalesce(t.{0}, '2025-01-01Z') + interval '1 microsecond'",
    "text[]": "coalesce(t.{0}, '{{}}') || null::text",
    "integer[]": "coalesce(t.{0}, '{{}}') || 1",
}


def other(column: Column) -> str:
    """An expression of another value: the next one that the type has, where it has one."""
    if column.type_name.startswith("numeric("):
        scale = int(column.type_name.removesuffix("[]").rstrip(")").split(",")[1])
        least = Decimal(1).scaleb(-scale)
        return (
            f"coalesce(t.{column.name}, '{{}}') || {least:f}::numeric"
            if column.type_name.endswith("[]")
            else f"coalesce(t.{column.name}, 0) + {least:f}"
        )
    return OTHER[column.type_name].format(column.name)


def sample(column: Column) -> str:
    """Some value, for a row of a table of which the bundled recording has none."""
    if column.type_name.endswith("[]"):
        return "'{}'"
    known = {"text": "'a'", "uuid": f"'{uuid.UUID(int=1)}'", "boolean": "true", "timestamp with time zone": "'2025-01-01Z'"}
    return known.get(column.type_name, "1")


@pytest.mark.parametrize("table", stored_tables(), ids=lambda table: table.name)
def test_every_column_of_a_table_enters_its_digest(table: GoldTable, session: Connection) -> None:
    """From all rows, and from what a batch notes: a change of the least is seen, and kept up to the bit."""
    columns = columns_of(session, table.name)
    assert columns
    if not run(session, f"select 1 from {table.name} limit 1"):
        run(session, f"insert into {table.name} values ({', '.join(map(sample, columns))})")
    run(session, f"delete from {table.name} as t where t.ctid <> (select min(other.ctid) from {table.name} as other)")
    refresh_digests(session, whole=True)
    seen = {stored_digests(session)[table.name]}
    for number, column in enumerate(columns, start=1):
        run(session, "delete from ops.row_changes")
        run(
            session,
            f"with before as materialized (select to_jsonb(t) as noted from {table.name} as t),"
            f" after as (update {table.name} as t set {column.name} = {other(column)} returning to_jsonb(t) as noted)"
            " insert into ops.row_changes (table_name, scope_key, old_row, new_row)"
            f" select '{table.name}', '', before.noted, after.noted from before cross join after",
        )
        found = digest._digests(session, [table])[table.name]
        seen.add(found)
        assert len(seen) == number + 1, f"{column.name} is in no digest"
        refresh_digests(session)
        assert stored_digests(session)[table.name] == found, f"{column.name} is not kept up"


def test_two_rows_that_swap_a_value_have_another_digest(session: Connection) -> None:
    before = recomputed_digests(session)
    rows = run(session, "select ctid::text, price_native from gold.price_history order by price_native, ctid")
    (one, low), (another, high) = rows[0], rows[-1]
    assert low != high
    for place, price in ((one, high), (another, low)):
        run(session, "update gold.price_history set price_native = %s where ctid = %s::tid", [price, place])
    after = recomputed_digests(session)
    assert {name for name in before if before[name] != after[name]} == {"gold.price_history"}


def test_a_row_that_is_there_twice_counts_twice(session: Connection) -> None:
    """An exclusive or would take the two for none."""
    columns = columns_of(session, "gold.sports")
    run(session, "create table gold.twice as select * from gold.sports where sport_key = 'icehockey_nhl'")
    table = GoldTable("gold.twice", ("sport_key",), "sport_key")
    seen = set()
    for _ in range(4):
        rows = run(session, "select * from gold.twice")
        found = digest._digests(session, [table])[table.name]
        assert found == relation_digest([column.type_name for column in columns], rows)
        assert scope_digests(session, table, ["icehockey_nhl", "none"]) == {"icehockey_nhl": found}
        seen.add(found)
        run(session, "insert into gold.twice select * from gold.twice")
    assert len(seen) == 4 and all(
        len(found) == len(f"sum128:{rows}:") + 32 for found, rows in zip(sorted(seen), (1, 2, 4, 8), strict=True)
    )


# --- kept


def test_digests_of_parts_add_up_to_that_of_the_whole(session: Connection) -> None:
    table = next(table for table in stored_tables() if table.name == "gold.price_history")
    events = [event_id for (event_id,) in run(session, "select distinct event_id from gold.price_history")]
    assert len(events) > 2
    parts = [found.split(":") for found in scope_digests(session, table, events).values()]
    whole = digest_text(sum(int(rows) for _, rows, _ in parts), sum(int(total, 16) for *_, total in parts))
    assert whole == stored_digests(session)[table.name]


def test_a_table_of_which_none_is_kept_is_digested_from_its_rows(session: Connection) -> None:
    """As after an upgrade; whatever was noted of it is in its rows already."""
    expected = recomputed_digests(session)
    run(session, "delete from ops.table_digests where table_name in ('gold.events', 'gold.margins')")
    assert stored_digests(session) == expected
    run(session, "delete from ops.row_changes where table_name not in ('gold.events', 'gold.margins')")
    refresh_digests(session)
    assert run(session, "select count(*) from ops.table_digests") == [(len(stored_tables()),)]
    assert stored_digests(session) == expected
    run(session, "update ops.table_digests set row_sum = 0")
    assert stored_digests(session) != expected
    refresh_digests(session, whole=True)
    assert stored_digests(session) == expected


def test_relations_that_were_never_made_are_empty(warehouse: Warehouse) -> None:
    with warehouse.connect(Role.READER) as reader:
        assert stored_digests(reader) == {table.name: EMPTY for table in stored_tables()}


def test_a_session_prepares_once_and_again_for_a_table_that_was_made_anew(session: Connection) -> None:
    prepared = "select name, statement from pg_prepared_statements where name like 'digest_changes_%'"
    run(session, "delete from ops.row_changes")
    for _ in range(3):
        refresh_digests(session)
    [(_, statement)] = run(session, prepared)
    assert (
        changes_statement(tuple((table.name, columns_of(session, table.name)) for table in stored_tables())).strip()
        in statement
    )
    run(session, "alter table gold.results rename to results_before")
    run(session, "create table gold.results as select *, 'more' as more from gold.results_before")
    refresh_digests(session, whole=True)
    run(session, "update gold.results set more = 'less'")
    run(
        session,
        "insert into ops.row_changes select 'gold.results', t.event_id, to_jsonb(t) || '{\"more\": \"more\"}', to_jsonb(t)"
        " from gold.results as t",
    )
    refresh_digests(session)
    assert stored_digests(session) == recomputed_digests(session)
    # a driver may throw the first away, for what was made anew
    assert statement not in [text for _, text in run(session, prepared)][-1:]


def test_the_columns_stand_in_the_order_of_the_contract(session: Connection) -> None:
    contracts = {f"{contract.schema}.{contract.table}": contract for contract in read_contracts()}
    assert contracts.keys() >= {relation.name for relation in (*stored_tables(), *views())}
    for relation in (*stored_tables(), *views()):
        promised = [column.name for column in contracts[relation.name].columns]
        assert [column.name for column in columns_of(session, relation.name)] == promised, relation.name
