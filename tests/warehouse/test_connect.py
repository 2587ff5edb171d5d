from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import psycopg
import psycopg2  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from pipeline.errors import SetupError, UsageError, WarehouseError
from pipeline.secret import Secret
from pipeline.warehouse.connect import (
    PIPELINE_ROLES,
    SESSION_SETTINGS,
    Connection,
    Role,
    Warehouse,
    check_server,
    create_database_sql,
    explain,
    from_url,
)
from pipeline.warehouse.database import Server

PLAIN = Warehouse(host="db", port="5433", dbname="w", owner="o", owner_password=Secret("pw"), role_prefix="x_")


def one(connection: Connection, query: str) -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


# --- descriptions


def test_roles_log_in_under_their_prefix_and_the_owner_under_its_own_name() -> None:
    assert [PLAIN.user(role) for role in Role] == ["o", "x_ingester", "x_transformer", "x_reader"]


def test_a_roles_password_is_derived_from_the_owners() -> None:
    expected = hashlib.scrypt(b"pw", salt=b"sports-market:o:x_reader", n=2**15, r=8, p=1, maxmem=2**26, dklen=32).hex()
    assert PLAIN.password(Role.READER) == Secret(expected)
    assert PLAIN.password(Role.OWNER) == Secret("pw")
    assert len({PLAIN.password(role) for role in Role}) == 4
    assert PLAIN.former_password(Role.READER) == Secret(hmac.new(b"pw", b"sports-market:x_reader", hashlib.sha256).hexdigest())


def test_a_common_role_password_gives_each_role_one_of_its_own() -> None:
    """What opens the reader opens nothing else."""
    configured = replace(PLAIN, role_password=Secret("rp"))
    found = [configured.password(role) for role in Role]
    assert found[0] == Secret("pw")
    assert len({*found, *(PLAIN.password(role) for role in Role), Secret("rp")}) == 8
    assert [configured.former_password(role) for role in PIPELINE_ROLES] == [Secret("rp")] * 3
    assert [configured.is_configured(role) for role in PIPELINE_ROLES] == [True] * 3


@pytest.mark.parametrize("role", PIPELINE_ROLES)
def test_a_roles_own_password_is_its_own(role: Role) -> None:
    own = replace(PLAIN, own_passwords=((role, Secret("its own")),))
    assert {each: own.password(each) for each in Role} == {
        each: Secret("its own") if each is role else PLAIN.password(each) for each in Role
    }
    assert [each for each in PIPELINE_ROLES if own.is_configured(each)] == [role]


def test_other_owners_and_prefixes_have_other_passwords() -> None:
    others = [PLAIN, replace(PLAIN, owner="p"), replace(PLAIN, role_prefix="y_")]
    assert len({each.password(Role.READER) for each in others}) == 3
    # roles are the server's: all its databases know the same ones
    assert replace(PLAIN, dbname="another").password(Role.READER) == PLAIN.password(Role.READER)


def test_without_any_password_none_is_sent() -> None:
    bare = replace(PLAIN, owner_password=None)
    assert [bare.password(role) for role in Role] == [None] * 4
    assert "password" not in conninfo_to_dict(bare.conninfo(Role.READER))
    assert bare.dbt_env(Role.READER)["SPORTS_MARKET_DBT_PASSWORD"] == ""


def test_the_dbt_environment_of_the_transformer() -> None:
    password = PLAIN.password(Role.TRANSFORMER)
    assert password is not None
    assert replace(PLAIN, parameters=(("sslmode", "require"),)).dbt_env() == {
        "SPORTS_MARKET_DBT_HOST": "db",
        "SPORTS_MARKET_DBT_PORT": "5433",
        "SPORTS_MARKET_DBT_USER": "x_transformer",
        "SPORTS_MARKET_DBT_PASSWORD": password.reveal(),
        "SPORTS_MARKET_DBT_DBNAME": "w",
        "SPORTS_MARKET_DBT_SSLMODE": "require",
    }


def test_the_urls_own_options_stay_and_ours_come_last() -> None:
    warehouse = from_url("postgresql://u@h/d?options=-c%20TimeZone%3DAsia/Tokyo%20-c%20work_mem%3D8MB", "x_")
    options = conninfo_to_dict(warehouse.conninfo(Role.READER))["options"]
    assert str(options).startswith("-c TimeZone=Asia/Tokyo -c work_mem=8MB -c TimeZone=UTC")


names = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1)


@given(user=names, password=names, dbname=names)
def test_a_url_comes_back_as_the_parts_it_was_made_of(user: str, password: str, dbname: str) -> None:
    url = f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@h:1/{quote(dbname, safe='')}?sslmode=require"
    warehouse = from_url(url, "x_")
    assert (warehouse.owner, warehouse.owner_password, warehouse.dbname) == (user, Secret(password), dbname)
    assert (warehouse.host, warehouse.port, warehouse.parameters) == ("h", "1", (("sslmode", "require"),))
    back = conninfo_to_dict(warehouse.conninfo(Role.OWNER))
    assert (back["user"], back["password"], back["dbname"], back["sslmode"]) == (user, password, dbname, "require")


@given(names.map(lambda text: f"§{text}§"))
def test_no_repr_shows_a_password(password: str) -> None:
    warehouse = from_url(f"postgresql://u:{quote(password, safe='')}@h/d", "x_", Secret(f"{password}!"))
    assert password not in repr(warehouse)
    assert password not in warehouse.place


def test_what_a_url_does_not_say_comes_from_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", "someone")
    monkeypatch.setenv("PGHOST", "somewhere")
    monkeypatch.setenv("PGPORT", "7777")
    monkeypatch.delenv("PGDATABASE", raising=False)
    warehouse = from_url("postgresql://", "x_")
    assert (warehouse.owner, warehouse.host, warehouse.port, warehouse.dbname) == ("someone", "somewhere", "7777", "someone")


@pytest.mark.parametrize("url", ["hidden", "postgresql://u:hidden%zz@h/d", "postgresql://h/d?hidden=1"])
def test_a_url_that_cannot_be_read_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        from_url(url, "x_")
    assert caught.value.code == "DATABASE_URL_INVALID"
    assert "hidden" not in str(caught.value)


# --- sessions


@pytest.mark.parametrize("role", list(Role))
def test_each_role_logs_in_as_itself(warehouse: Warehouse, role: Role) -> None:
    with warehouse.connect(role) as connection:
        assert one(connection, "select session_user") == warehouse.user(role)
        assert one(connection, "select current_setting('application_name')") == f"sports-market {role}"
        assert not connection.autocommit
    with warehouse.connect(role, autocommit=True) as connection:
        assert connection.autocommit


def test_sessions_are_pinned_whatever_the_environment_and_the_database_say(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with warehouse.connect(Role.OWNER, autocommit=True) as connection:
        for name, value in {
            "timezone": "Asia/Tokyo",
            "datestyle": "German, DMY",
            "intervalstyle": "iso_8601",
            "extra_float_digits": "-3",
            "bytea_output": "escape",
            "search_path": "gold",
            "jit": "on",
            "client_encoding": "latin1",
        }.items():
            connection.execute(f"alter database {warehouse.dbname} set {name} = '{value}'".encode())
    monkeypatch.setenv("PGTZ", "America/New_York")
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGOPTIONS", "-c jit=on -c search_path=silver")
    expected = {name: value.replace(",", ", ") for name, value in SESSION_SETTINGS.items()} | {"client_encoding": "UTF8"}
    for role in Role:
        with warehouse.connect(role) as connection:
            connection.rollback()
            found = {name: one(connection, f"select current_setting('{name}')").replace(", ", ",") for name in expected}
            assert found == {name: value.replace(", ", ",") for name, value in expected.items()}


def test_no_object_of_a_user_is_found_without_its_schema(warehouse: Warehouse) -> None:
    with warehouse.connect(Role.OWNER) as connection:
        connection.execute("create temporary table t as select 1 as x")
        assert one(connection, "select x from t") == 1
    with warehouse.connect(Role.TRANSFORMER) as connection:
        connection.execute("create table gold.u as select 1 as x")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("select x from u")


def test_psycopg2_and_dbts_environment_lead_to_the_same_session(warehouse: Warehouse) -> None:
    env = warehouse.dbt_env()
    by_parts = psycopg2.connect(
        host=env["SPORTS_MARKET_DBT_HOST"],
        port=env["SPORTS_MARKET_DBT_PORT"],
        user=env["SPORTS_MARKET_DBT_USER"],
        password=env["SPORTS_MARKET_DBT_PASSWORD"],
        dbname=env["SPORTS_MARKET_DBT_DBNAME"],
        sslmode=env["SPORTS_MARKET_DBT_SSLMODE"],
    )
    by_text = psycopg2.connect(warehouse.conninfo(Role.TRANSFORMER))
    try:
        for connection in (by_parts, by_text):
            with connection.cursor() as cursor:
                cursor.execute("select session_user, current_database()")
                assert cursor.fetchone() == (warehouse.user(Role.TRANSFORMER), warehouse.dbname)
        with by_text.cursor() as cursor:
            cursor.execute("show timezone")
            assert cursor.fetchone() == ("UTC",)
    finally:
        by_parts.close()
        by_text.close()


# --- refusals


def test_nobody_listening_is_named_without_the_password() -> None:
    with pytest.raises(WarehouseError) as caught:
        from_url("postgresql://u:s3cret-pw@127.0.0.1:1/d", "x_").connect(Role.OWNER)
    assert caught.value.code == "DATABASE_UNREACHABLE"
    assert "127.0.0.1:1/d" in caught.value.message
    assert "s3cret-pw" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_database_is_named_with_the_command_that_makes_it(server: Server) -> None:
    with pytest.raises(WarehouseError) as caught:
        replace(server.home, dbname="no such one").connect(Role.OWNER)
    assert caught.value.code == "DATABASE_NOT_FOUND"
    assert create_database_sql("no such one") in caught.value.next_step


def test_a_missing_role_is_named(server: Server) -> None:
    with pytest.raises(WarehouseError) as caught:
        replace(server.home, role_prefix="nobody_has_this_").connect(Role.READER)
    assert caught.value.code == "ROLE_LOGIN_FAILED"
    assert "nobody_has_this_reader" in caught.value.message
    with pytest.raises(WarehouseError) as caught:
        replace(server.home, owner="nobody_has_this").connect(Role.OWNER)
    assert caught.value.code == "DATABASE_LOGIN_FAILED"


def test_a_wrong_password_is_named_but_not_shown(server: Server) -> None:
    if server.home.owner_password is None:
        pytest.skip("this server asks for no password")
    with pytest.raises(WarehouseError) as caught:
        replace(server.home, owner_password=Secret("wr0ng-pw")).connect(Role.OWNER)
    assert caught.value.code == "DATABASE_LOGIN_FAILED"
    assert "wr0ng-pw" not in str(caught.value)


@pytest.mark.parametrize(("version", "refused"), [(140099, True), (90600, True), (150000, False), (180001, False)])
def test_a_server_older_than_15_is_refused(version: int, refused: bool) -> None:
    connection = cast(Connection, SimpleNamespace(info=SimpleNamespace(server_version=version)))
    if not refused:
        check_server(connection, PLAIN)
        return
    with pytest.raises(WarehouseError) as caught:
        check_server(connection, PLAIN)
    assert caught.value.code == "SERVER_TOO_OLD"


@pytest.fixture
def database_as(server: Server, clone_names: Iterator[str]) -> Iterator[Any]:
    """Makes a database from the text after its name; skips where this server cannot."""
    made: list[str] = []

    def make(options: str) -> Warehouse:
        name = next(clone_names)
        with server.home.connect_unchecked(Role.OWNER) as connection:
            try:
                connection.execute(f'create database "{name}" template template0 {options}'.encode())
            except psycopg.Error as error:
                pytest.skip(f"this server cannot: {error}")
        made.append(name)
        return replace(server.home, dbname=name)

    yield make
    with server.home.connect_unchecked(Role.OWNER) as connection:
        for name in made:
            connection.execute(f'drop database "{name}" with (force)'.encode())


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ("encoding 'SQL_ASCII' locale_provider libc locale 'C'", "DATABASE_ENCODING"),
        ("encoding 'LATIN1' locale_provider libc locale 'C'", "DATABASE_ENCODING"),
        ("encoding 'UTF8' locale_provider libc locale 'C.UTF-8'", "DATABASE_COLLATION"),
        ("encoding 'UTF8' locale_provider libc locale 'en_US.UTF-8'", "DATABASE_COLLATION"),
        ("encoding 'UTF8' locale_provider libc lc_collate 'C' lc_ctype 'C.UTF-8'", "DATABASE_COLLATION"),
        ("encoding 'UTF8' locale_provider icu icu_locale 'en' locale 'C'", "DATABASE_COLLATION"),
        ("encoding 'UTF8' locale_provider builtin builtin_locale 'C.UTF-8' locale 'C'", "DATABASE_COLLATION"),
        ("encoding 'UTF8' locale_provider builtin builtin_locale 'C' locale 'C'", None),
        ("encoding 'UTF8' locale_provider builtin builtin_locale 'C' locale 'C.UTF-8'", None),
        ("encoding 'UTF8' locale_provider libc locale 'POSIX'", None),
    ],
)
def test_only_utf8_and_c_are_let_in(database_as: Any, server: Server, options: str, code: str | None) -> None:
    warehouse: Warehouse = database_as(options)
    if code is None:
        warehouse.connect(Role.OWNER).close()
        return
    with pytest.raises(WarehouseError) as caught:
        warehouse.connect(Role.OWNER)
    assert caught.value.code == code

    # The command that the message prints makes a database that is let in.
    command = re.search(r'CREATE DATABASE "NAME" (.*);', caught.value.next_step)
    assert command is not None
    right: Warehouse = database_as(command[1].removeprefix("TEMPLATE template0"))
    right.connect(Role.OWNER).close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (psycopg.errors.DiskFull("could not extend file"), "DISK_FULL"),
        (psycopg.errors.AdminShutdown("terminating connection"), "DATABASE_LOST"),
        (psycopg.OperationalError("server closed the connection unexpectedly\nmore"), "DATABASE_LOST"),
        (psycopg.errors.InsufficientPrivilege("permission denied"), "DATABASE_FORBIDDEN"),
        (psycopg.errors.IdleInTransactionSessionTimeout("terminating connection"), "DATABASE_LOST"),
        (psycopg.errors.ConnectionFailure("the server"), "DATABASE_LOST"),
        (psycopg.errors.ProtocolViolation("invalid message length"), "DATABASE_ERROR"),
        (psycopg.errors.OutOfMemory("out of memory"), "DATABASE_EXHAUSTED"),
        (psycopg.errors.SyntaxError("syntax error"), "DATABASE_ERROR"),
        (psycopg.OperationalError("out of memory"), "DATABASE_ERROR"),
    ],
)
def test_database_errors_from_outside_are_explained(error: psycopg.Error, code: str) -> None:
    explained = explain(error, PLAIN)
    assert isinstance(explained, SetupError)
    assert explained.code == code
    assert "db:5433/w" in explained.message
    assert str(error).splitlines()[0] in explained.message


@pytest.mark.parametrize(
    ("statements", "values", "code"),
    [
        (["set statement_timeout = 50", "select pg_sleep(9)"], [], "DATABASE_CANCELED"),
        (["set lock_timeout = 50", "begin", "lock table bronze.batches"], [], "WAREHOUSE_BUSY"),
        (["select cast(%s as integer)"], [2**40], "DATABASE_ERROR"),
        (["select %s::text"], ["\0"], "DATABASE_ERROR"),
        (["select " + ", ".join(["%s"] * 70_000)], [1] * 70_000, "DATABASE_ERROR"),
        (["select " + "(" * 50_000 + "1" + ")" * 50_000], [], "DATABASE_ERROR"),
        (["select repeat('x', 1073741823) || 'x'"], [], "DATABASE_ERROR"),
        (["select cast('x' as integer)"], [], "DATABASE_ERROR"),
        (["select pg_terminate_backend(pg_backend_pid())"], [], "DATABASE_LOST"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_only_a_lost_database_is_called_lost(warehouse: Warehouse, statements: list[str], values: list[Any], code: str) -> None:
    *before, last = statements
    with warehouse.connect(Role.OWNER) as holder, warehouse.connect(Role.OWNER, autocommit=True) as connection:
        holder.execute("lock table bronze.batches")
        for statement in before:
            connection.execute(statement.encode())
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(last.encode(), values or None)
        assert explain(caught.value, warehouse).code == code, str(caught.value)
        if code == "DATABASE_LOST":
            with pytest.raises(psycopg.OperationalError) as caught:
                connection.execute("select 1")
            assert explain(caught.value, warehouse).code == code
