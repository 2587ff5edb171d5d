"""Descriptions reach the database: whoever opens a table in a BI tool reads what the YAML says of it."""

from __future__ import annotations

from typing import Any

from pipeline.contracts.described import described_models
from pipeline.contracts.promises import project_files
from pipeline.transform.apply import rebuild
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project

COMMENTS = """
    select format('%s.%s', n.nspname, c.relname), a.attname, col_description(c.oid, a.attnum)
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace and n.nspname in ('silver', 'gold')
    join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('r', 'p', 'v') and not c.relispartition
    union all
    select format('%s.%s', n.nspname, c.relname), '', obj_description(c.oid, 'pg_class')
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace and n.nspname in ('silver', 'gold')
    where c.relkind in ('r', 'p', 'v') and not c.relispartition
"""


def comments(warehouse: Warehouse) -> dict[tuple[str, str], str | None]:
    with warehouse.connect(Role.READER) as connection:
        return {(table, column): text for table, column, text in connection.execute(COMMENTS).fetchall()}


def described() -> dict[tuple[str, str], str]:
    faults: list[str] = []
    models = described_models(project_files(), faults)
    assert not faults
    return {(model.name, ""): model.description for model in models.values()} | {
        (model.name, column.name): column.description for model in models.values() for column in model.columns
    }


def flat(text: Any) -> str:
    return " ".join(str(text).split())


def test_every_table_and_column_carries_its_description(prepared: Warehouse) -> None:
    found = comments(prepared)
    assert not [place for place, text in found.items() if not text]  # seeds too
    wanted = described()
    assert {place: flat(found.get(place)) for place in wanted} == {place: flat(text) for place, text in wanted.items()}


def test_a_rebuild_keeps_them(prepared: Warehouse, project: Project) -> None:
    before = comments(prepared)
    rebuild(prepared, project)
    assert comments(prepared) == before
