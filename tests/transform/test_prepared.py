"""What the shared fixtures hand out: a database with relations, and a project that serves several."""

from __future__ import annotations

from pipeline.transform.apply import prepare
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import stored_tables
from tests.conftest import Project


def test_the_prepared_database_has_every_stored_table_and_no_row(prepared: Warehouse) -> None:
    with prepared.connect(Role.READER) as connection:
        for table in stored_tables():
            assert connection.execute(f"select count(*) from {table.name}".encode()).fetchone() == (0,)


def test_preparing_again_makes_nothing(prepared: Warehouse, project: Project) -> None:
    assert prepare(prepared, project) is False
