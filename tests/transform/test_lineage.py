"""The lineage of the project's own models: in step, within what PostgreSQL says itself, and as a reader of the SQL knows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pipeline.resources import resource
from pipeline.transform.lineage import (
    FILE,
    Lineage,
    beyond_itself,
    compiled_models,
    compute_lineage,
    lineage_text,
    read_lineage,
)
from pipeline.transform.query_sources import Column, column_sources
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.database import Server
from tests.conftest import Project

Models = Mapping[tuple[str, str], str]

# As who reads the model would answer.
KNOWN = {
    "gold.sports.has_outrights": "silver.sport_sightings.has_outrights",
    "gold.sports.title": "silver.sport_sightings.sport_title",
    "gold.sports.sport_key": "silver.sport_sightings.sport_key",
    "gold.sports.first_seen_at": "silver.sport_sightings.captured_at",
    "gold.price_history.series_id": "silver.quotes.series_id",
    "gold.price_history.price_decimal": "silver.quotes.price_decimal",
    "gold.best_price.books": "gold.price_history.bookmaker_key",
    "gold.best_price.outcome_set": "silver.quotes.outcome_set",
    "gold.best_price.book_count": "",
    "gold.best_price.best_price_decimal": (
        "gold.price_history.price_decimal silver.book_profile.commission silver.book_profile.price_kind"
    ),
    "gold.closings.start_at": "gold.events.start_at",
    "gold.openings.first_seen_at": "gold.price_history.valid_from",
    "silver.quotes.sid": "bronze.documents.document ops.pending.held",
    "silver.quotes.captured_at": "bronze.exchanges.captured_at",
    "silver.quotes.quote_at": "bronze.documents.document bronze.exchanges.captured_at ops.pending.held",
}


@pytest.fixture(scope="module")
def prepared_once(server: Server, prepared_template: Warehouse, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    made = server.clone_database(prepared_template, next(clone_names))
    yield made
    server.drop_database(made)


@pytest.fixture(scope="module")
def models(project: Project, prepared_once: Warehouse) -> Models:
    return compiled_models(project, prepared_once)


@pytest.fixture(scope="module")
def lineage(models: Models, prepared_once: Warehouse) -> Lineage:
    return compute_lineage(models, prepared_once)


@pytest.fixture(scope="module")
def connection(prepared_once: Warehouse) -> Iterator[Connection]:
    with prepared_once.connect(Role.OWNER) as opened:
        yield opened


def test_the_file_is_in_step(lineage: Lineage) -> None:
    stands, anew = resource(f"dbt/{FILE}").read_text(encoding="utf-8").splitlines(), lineage_text(lineage).splitlines()
    differing = sorted({*stands} ^ {*anew})
    assert stands == anew, f"write dbt/{FILE} anew: `python3 -m nox -s lineage`; what differs: {differing[:5]}"


def test_the_file_is_read_as_it_was_written() -> None:
    assert lineage_text(read_lineage()) == resource(f"dbt/{FILE}").read_text(encoding="utf-8")


def test_every_column_of_every_model_is_there(lineage: Lineage, project: Project) -> None:
    relations = {
        (node.schema, node.name): [*node.columns]
        for node in project.manifest().nodes.values()
        if str(node.resource_type) == "model"
    }
    assert {model: sorted(columns) for model, columns in lineage.items()} == {
        model: sorted(columns) for model, columns in relations.items()
    }


@pytest.mark.parametrize("column", KNOWN)
def test_what_is_known(lineage: Lineage, column: str) -> None:
    schema, table, name = column.split(".")
    found = lineage[schema, table][name]
    assert " ".join(f"{each.schema}.{each.table}.{each.name}" for each in found) == KNOWN[column]


def test_a_model_has_other_relations_for_its_sources(lineage: Lineage) -> None:
    own = [
        (model, name)
        for model, columns in lineage.items()
        for name in columns
        for each in columns[name]
        if (each.schema, each.table) == model
    ]
    assert own == []


def test_most_columns_have_a_source(lineage: Lineage) -> None:
    without = {f"{table}.{name}" for (_, table), columns in lineage.items() for name, found in columns.items() if not found}
    assert "best_price.book_count" in without
    # counts, mostly
    assert len(without) < 0.025 * sum(map(len, lineage.values()))


def test_every_source_is_a_column_that_postgresql_says_the_query_needs(models: Models, connection: Connection) -> None:
    """Nothing is invented: the rule of a view of the query depends on each column that is named anywhere in it."""
    for model, query in models.items():
        named = frozenset[Column]().union(*column_sources(connection, query).values())
        assert named - needed(connection, query) == frozenset(), model


def test_what_postgresql_hands_on_as_it_is_has_that_source(models: Models, connection: Connection) -> None:
    """Nothing plain is lost: of an output column that is just a table's column, the server tells a client which."""
    told = 0
    for model, query in models.items():
        found = column_sources(connection, query)
        for name, origin in handed_on(connection, query).items():
            assert origin in found[name], (model, name)
            told += 1
    assert told > 150


def test_a_model_that_reads_itself_has_what_its_own_rows_were_made_of() -> None:
    me = ("gold", "kept")
    x, y = Column("silver", "a", "x"), Column("silver", "a", "y")
    direct = {
        "one": frozenset({Column(*me, "two")}),
        "two": frozenset({Column(*me, "three"), x}),
        "three": frozenset({Column(*me, "one"), y}),
        "alone": frozenset({Column(*me, "alone")}),
    }
    assert beyond_itself(me, direct) == {"one": (x, y), "two": (x, y), "three": (x, y), "alone": ()}


def needed(connection: Connection, query: str) -> frozenset[Column]:
    with connection.transaction(force_rollback=True):
        connection.execute(f"create temporary view asked as {query}".encode())
        rows: list[tuple[Any, ...]] = connection.execute(
            """
            select nspname, relname, attname
            from pg_rewrite
            join pg_depend on pg_depend.classid = 'pg_rewrite'::regclass and pg_depend.objid = pg_rewrite.oid
            join pg_attribute on attrelid = refobjid and attnum = refobjsubid
            join pg_class on pg_class.oid = attrelid
            join pg_namespace on pg_namespace.oid = relnamespace
            where ev_class = 'pg_temp.asked'::regclass and refclassid = 'pg_class'::regclass
            """
        ).fetchall()
    return frozenset(Column(*row) for row in rows)


def handed_on(connection: Connection, query: str) -> dict[str, Column]:
    with connection.transaction(force_rollback=True):
        cursor = connection.execute(f"select * from ({query}) as asked limit 0".encode())
        assert cursor.pgresult is not None and cursor.description is not None
        origins = {
            column.name: (cursor.pgresult.ftable(number), cursor.pgresult.ftablecol(number))
            for number, column in enumerate(cursor.description)
        }
        names = {
            (table, number): Column(*words)
            for table, number, *words in connection.execute(
                "select attrelid::bigint, attnum, nspname, relname, attname from pg_attribute"
                " join pg_class on pg_class.oid = attrelid join pg_namespace on pg_namespace.oid = relnamespace"
                " where attrelid = any (%s::oid[])",
                [[table for table, _ in origins.values()]],
            )
        }
    return {name: names[origin] for name, origin in origins.items() if origin[0]}
