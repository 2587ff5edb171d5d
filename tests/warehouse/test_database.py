from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import UsageError, WarehouseError
from pipeline.settings import Settings
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap, resolve_server


def url(warehouse: Warehouse) -> str:
    """The owner's way in, in libpq's key=value form."""
    return warehouse.conninfo(Role.OWNER)


def test_a_database_url_is_resolved_to_its_own_database_and_said_out_loud(empty_database: Warehouse) -> None:
    said: list[str] = []
    settings = Settings(database_url=url(empty_database), role_prefix="x_")
    with resolve_server(settings, said.append) as server:
        standing = server.warehouse()
        assert standing.dbname == empty_database.dbname
        assert server.embedded is None
        assert server.major >= 15
        assert server.warehouse("another").dbname == "another"
    assert len(said) == 1
    assert empty_database.place in said[0]
    assert standing.role_prefix == "x_"


def test_without_a_url_it_is_the_embedded_server_and_its_standing_database_stays(short_folder: Path) -> None:
    said: list[str] = []
    settings = Settings(state_dir=short_folder)
    with resolve_server(settings, said.append) as server:
        standing = server.warehouse()
        bootstrap(standing)
        assert server.warehouse() == standing
        with pytest.raises(UsageError) as caught:
            server.drop_database(standing)
        assert caught.value.code == "DATABASE_NOT_OURS"
    assert any("embedded" in line and str(short_folder) in line for line in said)
    with resolve_server(settings, said.append) as server:
        assert not bootstrap(server.warehouse()).changed


def test_a_made_database_is_right_and_an_existing_one_is_refused_and_kept(server: Server, empty_database: Warehouse) -> None:
    with empty_database.connect(Role.OWNER, autocommit=True) as connection:
        connection.execute("create schema mine")
    with pytest.raises(WarehouseError) as caught:
        server.create_database(empty_database.dbname)
    assert caught.value.code == "DATABASE_EXISTS"
    with empty_database.connect(Role.OWNER) as connection:
        assert connection.execute("select to_regnamespace('mine')").fetchone() == ("mine",)


@pytest.mark.parametrize("name", ['with "quotes" and blanks', "Größe;--", "x" * 63])
def test_any_name_can_be_made_and_dropped(server: Server, name: str) -> None:
    made = server.create_database(name)
    made.connect(Role.OWNER).close()
    server.drop_database(made)
    assert not server.exists(name)
    server.drop_database(made)


@pytest.mark.parametrize("name", ["", "x" * 64, "ä" * 32, "a\0b"])
def test_a_name_that_postgres_would_cut_is_refused(server: Server, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        server.create_database(name)
    assert caught.value.code == "DATABASE_NAME_INVALID"


def test_a_clone_holds_what_its_template_holds_and_goes_its_own_way(
    server: Server, clone_names: Iterator[str], warehouse: Warehouse
) -> None:
    with warehouse.connect(Role.TRANSFORMER) as connection:
        connection.execute("create table gold.t as select 1 as x")
    clone = server.clone_database(warehouse, next(clone_names))
    try:
        with clone.connect(Role.TRANSFORMER) as connection:
            connection.execute("insert into gold.t values (2)")
        with clone.connect(Role.READER) as connection:
            assert connection.execute("select sum(x) from gold.t").fetchone() == (3,)
        with warehouse.connect(Role.READER) as connection:
            assert connection.execute("select sum(x) from gold.t").fetchone() == (1,)
        assert not bootstrap(clone).changed
        with pytest.raises(WarehouseError) as caught:
            server.clone_database(warehouse, clone.dbname)
        assert caught.value.code == "DATABASE_EXISTS"
    finally:
        server.drop_database(clone)


def test_a_template_in_use_is_an_error(server: Server, clone_names: Iterator[str], warehouse: Warehouse) -> None:
    with warehouse.connect(Role.READER), pytest.raises(WarehouseError) as caught:
        server.clone_database(warehouse, next(clone_names))
    assert caught.value.code == "DATABASE_IN_USE"


def test_a_database_of_another_run_is_never_dropped(server: Server, warehouse: Warehouse) -> None:
    other = Server(server.home, None, "the same server, another run")
    for found in (warehouse, replace(warehouse, dbname="template1")):
        with pytest.raises(UsageError) as caught:
            other.drop_database(found)
        assert caught.value.code == "DATABASE_NOT_OURS"
    assert server.exists(warehouse.dbname)


def test_dropping_ends_sessions_that_were_left_open(server: Server, clone_names: Iterator[str], template: Warehouse) -> None:
    made = server.clone_database(template, next(clone_names))
    with made.connect_unchecked(Role.OWNER):
        server.drop_database(made)
    assert not server.exists(made.dbname)


def test_a_user_without_createdb_is_told_what_to_run(server: Server, template: Warehouse, clone_names: Iterator[str]) -> None:
    reader = replace(server.home, owner=template.user(Role.READER), owner_password=template.password(Role.READER))
    with pytest.raises(WarehouseError) as caught:
        Server(reader, None, "as a reader").create_database(next(clone_names))
    assert caught.value.code == "DATABASE_CREATE_FORBIDDEN"
    assert "CREATEDB" in caught.value.next_step
