from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import init_db
from init_db import Migration, Outcome, bootstrap, migrations
from init_db.__main__ import main
from pipeline.errors import WarehouseError
from pipeline.secret import Secret
from pipeline.warehouse.connect import PIPELINE_ROLES, Connection, Role, Warehouse
from pipeline.warehouse.database import Server
from pipeline.warehouse.embedded import EmbeddedServer
from tests.conftest import CARELESS, ROLE_PREFIX

INGESTER, TRANSFORMER, READER, OWNER = Role.INGESTER, Role.TRANSFORMER, Role.READER, Role.OWNER
REPOSITORY = Path(__file__).resolve().parents[1]

_numbers = itertools.count()


def run(warehouse: Warehouse, role: Role, *statements: str) -> list[tuple[object, ...]]:
    """Run statements in one transaction; the rows of the last one."""
    with warehouse.connect(role) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def as_admin(server: Server, *statements: str) -> None:
    with server.home.connect_unchecked(OWNER) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def prefix(server: Server) -> Iterator[str]:
    """A role prefix of the test's own; its roles are dropped once the test's databases are."""
    made = f"smt_{os.getpid()}_{next(_numbers)}_"
    yield made
    # The transformer before its member: the member granted rights on it.
    for name in ("transformer", "ingester", "reader", "boss"):
        as_admin(server, f"drop role if exists {made}{name}")


@pytest.fixture
def fresh(server: Server, prefix: str, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    """An empty database whose roles do not exist yet."""
    made = server.create_database(next(clone_names))
    yield replace(made, role_prefix=prefix)
    server.drop_database(made)


Boss = Callable[[str], Warehouse]


@pytest.fixture
def boss(server: Server, fresh: Warehouse, prefix: str) -> Boss:
    """Makes a plain user with the given attributes that owns the fresh database."""

    def make(attributes: str) -> Warehouse:
        name = f"{prefix}boss"
        as_admin(
            server,
            f"create role {name} login password 'b€ss' {attributes}",
            # Handing a database over takes membership, unless the tests' own user is a superuser.
            f"grant {name} to current_user" + (" with inherit true, set true" if server.major >= 16 else ""),
            f'alter database "{fresh.dbname}" owner to {name}',
        )
        return replace(fresh, owner=name, owner_password=Secret("b€ss"))

    return make


def refused(code: str, warehouse: Warehouse, files: list[Migration] | None = None) -> WarehouseError:
    with pytest.raises(WarehouseError) as caught:
        bootstrap(warehouse, files=files)
    assert caught.value.code == code, str(caught.value)
    return caught.value


# --- the migrations


def test_the_files_are_numbered_without_a_gap() -> None:
    names = [file.name for file in migrations()]
    assert [name.partition("_")[0] for name in names] == [f"{number:03}" for number in range(1, len(names) + 1)]
    assert names[:4] == ["001_schemas_and_roles.sql", "002_bronze.sql", "003_ops.sql", "004_grants.sql"]


@given(st.text())
def test_role_names_are_put_in_quoted(name: str) -> None:
    text = Migration("x.sql", 'grant :"reader" to b; -- a::text, \'"reader"\'').for_roles({"reader": name})
    quoted = '"' + name.replace('"', '""') + '"'
    assert text == f"grant {quoted} to b; -- a::text, '\"reader\"'"


# --- once, twice, changed


def test_a_first_run_makes_everything_and_a_second_nothing(fresh: Warehouse) -> None:
    said: list[str] = []
    first = bootstrap(fresh, said.append)
    assert first == Outcome(
        applied=tuple(file.name for file in migrations()),
        roles=tuple(fresh.user(role) for role in PIPELINE_ROLES),
        granted=first.granted,
        closed=first.closed,
    )
    assert [line for line in said if "004_grants.sql" in line]
    said.clear()
    assert bootstrap(fresh, said.append) == Outcome((), (), ())
    assert said == ["Nothing to do: the database is up to date."]
    rows = run(fresh, READER, "select nspname from pg_namespace where nspname in ('bronze', 'silver', 'gold', 'ops')")
    assert len(rows) == 4


def test_each_applied_file_is_on_record(warehouse: Warehouse) -> None:
    rows = run(warehouse, OWNER, "select name, sha256, role_prefix from ops.migrations order by name")
    assert rows == [(file.name, file.sha256, warehouse.role_prefix) for file in migrations()]


def test_a_file_that_came_later_is_applied_alone(warehouse: Warehouse) -> None:
    later = Migration("900_later.sql", 'create table ops.later (x int); grant select on ops.later to :"reader"')
    assert bootstrap(warehouse, files=[*migrations(), later]).applied == ("900_later.sql",)
    assert run(warehouse, READER, "select x from ops.later") == []


def test_a_changed_file_is_an_error_that_names_both_hashes(warehouse: Warehouse) -> None:
    files = list(migrations())
    changed = replace(files[1], text=files[1].text + "\n")
    error = refused("MIGRATION_CHANGED", warehouse, [files[0], changed, *files[2:]])
    assert changed.name in error.message
    assert changed.sha256 in error.message
    assert files[1].sha256 in error.message


def test_a_database_of_a_newer_version_is_refused(warehouse: Warehouse) -> None:
    error = refused("MIGRATION_UNKNOWN", warehouse, list(migrations()[:-1]))
    assert migrations()[-1].name in error.message


def test_another_prefix_is_refused(warehouse: Warehouse) -> None:
    assert warehouse.role_prefix in refused("ROLE_PREFIX_CHANGED", replace(warehouse, role_prefix="other_")).next_step


def test_a_file_that_fails_leaves_nothing_behind(fresh: Warehouse) -> None:
    broken = Migration("900_broken.sql", "create table gold.made (x int); select 1 / 0")
    error = refused("MIGRATION_FAILED", fresh, [*migrations(), broken])
    assert "900_broken.sql" in error.message
    assert "division by zero" in error.message
    assert run(fresh, OWNER, "select nspname from pg_namespace where nspname in ('bronze', 'silver', 'gold', 'ops')") == []
    assert run(fresh, OWNER, f"select rolname from pg_roles where rolname like '{fresh.role_prefix}%'") == []


def test_a_database_with_a_schema_of_that_name_is_left_alone(fresh: Warehouse) -> None:
    run(fresh, OWNER, "create schema gold", "create table gold.mine as select 1 as x")
    refused("MIGRATION_FAILED", fresh)
    assert run(fresh, OWNER, "select x from gold.mine") == [(1,)]


def test_two_at_once_in_one_database_apply_each_file_once(fresh: Warehouse) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(bootstrap, [fresh] * 4))
    assert sorted(name for outcome in outcomes for name in outcome.applied) == [file.name for file in migrations()]
    assert sum(len(outcome.roles) for outcome in outcomes) == 3


def test_many_at_once_in_several_databases_make_each_role_once(
    server: Server, fresh: Warehouse, clone_names: Iterator[str]
) -> None:
    others = [server.create_database(next(clone_names)) for _ in range(3)]
    try:
        databases = [fresh, *(replace(other, role_prefix=fresh.role_prefix) for other in others)]
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(bootstrap, databases * 2))
        made = sorted(name for outcome in outcomes for name in outcome.roles)
        assert made == sorted(fresh.user(role) for role in PIPELINE_ROLES)
        assert sum(len(outcome.applied) for outcome in outcomes) == 4 * len(migrations())
        for database in databases:
            assert run(database, READER, "select 1") == [(1,)]
    finally:
        for other in others:
            server.drop_database(other)


def test_many_at_once_by_a_plain_owner(server: Server, boss: Boss, clone_names: Iterator[str]) -> None:
    """The roles' memberships race as well, where no superuser passes without them."""
    first = boss("createrole")
    others = [server.create_database(next(clone_names)) for _ in range(3)]
    try:
        for other in others:
            as_admin(server, f'alter database "{other.dbname}" owner to {first.owner}')
        databases = [first, *(replace(first, dbname=other.dbname) for other in others)]
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(bootstrap, databases * 2))
        assert sum(len(outcome.roles) for outcome in outcomes) == 3
        assert sum(len(outcome.applied) for outcome in outcomes) == 4 * len(migrations())
    finally:
        for other in others:
            server.drop_database(other)


# --- who runs it


def test_an_owner_with_createrole_needs_no_superuser(boss: Boss) -> None:
    owner = boss("createrole")
    outcome = bootstrap(owner)
    assert len(outcome.roles) == 3
    assert not bootstrap(owner).changed
    assert run(owner, READER, "select batch_id from ops.batch_health") == []
    run(owner, TRANSFORMER, "create table gold.t as select 1 as x")
    assert run(owner, READER, "select x from gold.t") == [(1,)]
    assert run(owner, OWNER, "select x from gold.t") == [(1,)]


def test_on_a_prepared_server_the_owner_needs_no_special_right(server: Server, boss: Boss) -> None:
    owner = boss("nocreaterole")
    error = refused("ROLES_MISSING", owner)
    assert "PASSWORD '…'" in error.next_step
    commands = error.next_step.partition(": ")[2]

    # What the message says an administrator should run, in two steps, so that the second is seen to be needed.
    *create, grant = [command for command in commands.split(";") if command.strip()]
    assert len(create) == 3
    as_admin(server, *(command.replace("…", "the role's".replace("'", "''")) for command in create))
    assert "SPORTS_MARKET_INGESTER_PASSWORD" in error.next_step
    owner = replace(owner, own_passwords=tuple((role, Secret("the role's")) for role in PIPELINE_ROLES))
    membership = refused("ROLE_MEMBERSHIP_MISSING", owner)
    assert grant.strip().lower() in membership.next_step.lower()
    command = membership.next_step.partition(": ")[2]
    as_admin(server, command)

    outcome = bootstrap(owner)
    assert outcome.roles == ()
    assert outcome.applied
    assert not bootstrap(owner).changed
    run(owner, TRANSFORMER, "create table gold.t as select 1 as x")
    assert run(owner, READER, "select x from gold.t") == [(1,)]


def test_an_owner_without_rights_in_the_database_is_told_what_to_run(server: Server, boss: Boss) -> None:
    stranger = boss("createrole")
    as_admin(server, f'alter database "{stranger.dbname}" owner to current_user')
    error = refused("BOOTSTRAP_FORBIDDEN", stranger)
    as_admin(server, error.next_step.partition(": ")[2])
    assert bootstrap(stranger).changed


def test_a_role_that_may_not_log_in_is_named_and_a_configured_password_mends_it(server: Server, fresh: Warehouse) -> None:
    as_admin(server, f"create role {fresh.user(READER)} nologin")
    error = refused("ROLE_LOGIN_FAILED", fresh)
    assert fresh.user(READER) in error.message
    assert "SPORTS_MARKET_READER_PASSWORD" in error.next_step
    mended = replace(fresh, role_password=Secret("röle p@ss"))
    if fresh.owner_password is not None:
        # The others have derived passwords by now; a configured one replaces those too.
        assert bootstrap(mended).applied == ()
    else:
        bootstrap(mended)
    assert [run(mended, role, "select 1") for role in PIPELINE_ROLES] == [[(1,)]] * 3


def test_a_password_that_somebody_chose_is_never_replaced_by_a_derived_one(server: Server, fresh: Warehouse) -> None:
    if fresh.owner_password is None:
        pytest.skip("this server asks for no password")
    as_admin(server, f"create role {fresh.user(READER)} login password 'chosen'")
    refused("ROLE_LOGIN_FAILED", fresh)
    chosen = replace(fresh, owner=fresh.user(READER), owner_password=Secret("chosen"))
    assert run(chosen, OWNER, "select 1") == [(1,)]


def test_passwords_reach_the_server_hashed(fresh: Warehouse) -> None:
    secretive = replace(fresh, role_password=Secret("röle p@ss"))
    bootstrap(secretive)
    with fresh.connect(OWNER) as connection:
        try:
            rows = connection.execute(
                "select rolpassword from pg_authid where rolname = any(%s)", [[fresh.user(role) for role in PIPELINE_ROLES]]
            ).fetchall()
        except psycopg.errors.InsufficientPrivilege:
            pytest.skip("only a superuser may look")
    assert [row[0].startswith("SCRAM-SHA-256$") for row in rows] == [True] * 3


@pytest.fixture(scope="module")
def guarded() -> Iterator[Server]:
    """A server that asks the roles for their passwords."""
    folder = Path(tempfile.mkdtemp(prefix="sm-", dir="/tmp"))
    try:
        embedded = EmbeddedServer.start(folder, options=CARELESS)
        trusted = embedded.warehouse(ROLE_PREFIX)
        (embedded.data_dir / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        with trusted.connect_unchecked(OWNER) as connection:
            connection.execute("select pg_reload_conf()")
        home = replace(trusted, owner_password=Secret("the öwner's"))
        with Server(home, embedded, "a server with passwords") as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def opened_by(warehouse: Warehouse, password: Secret | None) -> list[Role]:
    """The roles that a password opens."""
    assert password is not None
    found = []
    for role in PIPELINE_ROLES:
        try:
            run(replace(warehouse, own_passwords=((role, password),)), role, "select 1")
        except WarehouseError as error:
            assert error.code == "ROLE_LOGIN_FAILED"
        else:
            found.append(role)
    return found


@pytest.mark.parametrize("role_password", [None, Secret("for all of them")])
def test_roles_of_an_earlier_version_get_passwords_of_their_own(guarded: Server, role_password: Secret | None) -> None:
    name = "upgraded" if role_password is None else "upgraded_too"
    new = replace(guarded.create_database(name), role_prefix=f"{name}_", role_password=role_password)
    former = tuple((role, secret) for role in PIPELINE_ROLES if (secret := new.former_password(role)) is not None)
    bootstrap(replace(new, own_passwords=former))
    with pytest.raises(WarehouseError, match="ROLE_LOGIN_FAILED") as caught:
        new.connect(READER)
    assert "`sports-market db bootstrap`" in caught.value.next_step and "upgrade" in caught.value.next_step
    if role_password is not None:
        assert opened_by(new, role_password) == [*PIPELINE_ROLES]

    outcome = bootstrap(new)
    users = tuple(new.user(role) for role in PIPELINE_ROLES)
    assert (outcome.passwords, outcome.applied, outcome.roles) == (users, (), ())
    assert outcome.lines()[0] == f"Set the password of {users[0]}: each role has one of its own now."
    assert not bootstrap(new).changed
    for role in PIPELINE_ROLES:
        assert opened_by(new, new.password(role)) == [role]
    assert [opened_by(new, secret) for _, secret in former] == [[]] * 3


def test_a_configured_password_is_set_and_one_that_somebody_chose_is_not_replaced_by_a_derived_one(guarded: Server) -> None:
    database = replace(guarded.create_database("chosen"), role_prefix="chosen_")
    bootstrap(database)
    own = replace(database, own_passwords=((READER, Secret("it is öurs")),))
    assert bootstrap(own).passwords == (own.user(READER),)
    assert opened_by(database, Secret("it is öurs")) == [READER]
    refused("ROLE_LOGIN_FAILED", database)
    assert not bootstrap(own).changed


def test_a_database_closed_to_the_public_is_opened_to_the_roles_and_so_is_its_clone(
    server: Server, fresh: Warehouse, clone_names: Iterator[str]
) -> None:
    close = 'revoke all on database "{}" from public'
    as_admin(server, close.format(fresh.dbname))
    outcome = bootstrap(fresh)
    assert len(outcome.granted) >= 3
    assert not bootstrap(fresh).changed
    clone = replace(server.clone_database(fresh, next(clone_names)), role_prefix=fresh.role_prefix)
    as_admin(server, close.format(clone.dbname))
    init_db.grant_database(clone)
    for role in PIPELINE_ROLES:
        assert run(clone, role, "select 1") == [(1,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(clone, role, "create temporary table t (x int)")
    server.drop_database(clone)


# --- who may do what

READ = {"SELECT"}
APPEND = {"SELECT", "INSERT"}
PROGRESS = {"SELECT", "INSERT", "UPDATE"}
WRITE = {"SELECT", "INSERT", "UPDATE", "DELETE"}
ALL = WRITE | {"TRUNCATE", "REFERENCES", "TRIGGER"}
NONE: set[str] = set()

# table: what ingester, transformer and reader may do with it
RIGHTS = {
    "bronze.batches": (APPEND, READ, NONE),
    "bronze.bodies": (APPEND, READ, NONE),
    "bronze.exchanges": (APPEND, READ, NONE),
    "bronze.late_documents": (APPEND, READ, NONE),
    "ops.alerts": ({"SELECT"}, APPEND, READ),
    "ops.archived_months": (READ, {"SELECT", "INSERT", "DELETE"}, READ),
    "ops.batch_shapes": (APPEND, READ, READ),
    "ops.batch_states": (PROGRESS, WRITE, READ),
    "ops.charges": (APPEND, READ, READ),
    "ops.check_results": (APPEND, ALL, READ),
    "ops.coverage_taken": (NONE, ALL, NONE),
    "ops.due_events": (NONE, ALL, NONE),
    "ops.due_lines": (NONE, ALL, NONE),
    "ops.element_verdicts": (APPEND, READ, NONE),
    "ops.elements": (APPEND, READ, NONE),
    "ops.table_digests": (READ, ALL, READ),
    "ops.fingerprints": (READ, ALL, READ),
    "ops.ledger": (PROGRESS, READ, NONE),
    "ops.migrations": (READ, NONE, NONE),
    "ops.pending": (READ, ALL, NONE),
    "ops.quotes_taken": (NONE, ALL, NONE),
    "ops.row_changes": (READ, ALL, NONE),
    "ops.run_batches": (READ, ALL, NONE),
    "ops.shape_firsts": (PROGRESS, READ, READ),
    "ops.touched_events": (READ, ALL, NONE),
    "ops.touched_lines": (NONE, ALL, NONE),
    "ops.touched_series": (NONE, ALL, NONE),
    "ops.transform_lock": (NONE, {"UPDATE"}, NONE),
    "ops.verdicts": (APPEND, READ, NONE),
}


def rights_on(connection: Connection, user: str, table: str) -> set[str]:
    query = "select has_table_privilege(%s, %s, %s)"
    return {right for right in ALL if connection.execute(query, [user, table, right]).fetchone() == (True,)}


def test_each_role_may_do_what_it_is_meant_to_and_nothing_else(warehouse: Warehouse) -> None:
    found: dict[str, tuple[set[str], ...]] = {}
    with warehouse.connect(OWNER) as connection:
        tables = connection.execute(
            "select schemaname || '.' || tablename from pg_tables where schemaname in ('bronze', 'silver', 'gold', 'ops')"
        ).fetchall()
        for (table,) in tables:
            found[table] = tuple(rights_on(connection, warehouse.user(role), table) for role in PIPELINE_ROLES)
    assert found == RIGHTS


def test_the_transformer_moves_only_applied_in_the_ledger(warehouse: Warehouse) -> None:
    fill(warehouse)
    run(warehouse, TRANSFORMER, "update ops.ledger set applied = true")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(warehouse, TRANSFORMER, "update ops.ledger set admitted = false")
    assert run(warehouse, INGESTER, "select admitted, applied from ops.ledger") == [(True, True)]


@pytest.mark.parametrize(
    ("role", "schemas"),
    [(INGESTER, {"bronze", "ops"}), (TRANSFORMER, {"bronze", "silver", "gold", "ops"}), (READER, {"silver", "gold", "ops"})],
)
def test_each_role_enters_its_schemas_and_only_the_transformer_creates(
    warehouse: Warehouse, role: Role, schemas: set[str]
) -> None:
    for schema in ("bronze", "silver", "gold", "ops"):
        on_schema = f"has_schema_privilege('{warehouse.user(role)}', '{schema}'"
        creates = role is TRANSFORMER and schema in ("silver", "gold")
        assert run(warehouse, OWNER, f"select {on_schema}, 'usage'), {on_schema}, 'create')") == [(schema in schemas, creates)]


# What each role may call of ours.
CALLS = {
    INGESTER: {"bronze.make_months", "ops.month_of", "ops.source_of", "ops.holds_source", "ops.outcomes_in"},
    TRANSFORMER: {
        "ops.game_name",
        "ops.iso",
        "ops.make_months",
        "ops.month_of",
        "ops.analyze_months",
        "ops.analyze_if_other",
        "ops.transform_lock_holders",
        "ops.source_of",
        "ops.holds_source",
        "ops.without",
        "ops.outcomes_in",
    },
    READER: {"ops.without"},
}


def skip_where_functions_stay_open(warehouse: Warehouse) -> None:
    outcome = bootstrap(warehouse)
    assert not outcome.changed
    if outcome.left_open:
        pytest.skip("the user of this server may not close what is the server's")


ATTRIBUTES = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"


@pytest.mark.parametrize("role", PIPELINE_ROLES)
def test_a_role_has_nothing_that_postgresql_gives_to_everybody_and_it_needs_not(warehouse: Warehouse, role: Role) -> None:
    skip_where_functions_stay_open(warehouse)
    user = warehouse.user(role)
    with warehouse.connect(OWNER) as connection:

        def found(query: str) -> set[str]:
            return {name for (name,) in connection.execute(query.encode(), {"user": user}).fetchall()}

        [attributes] = connection.execute(f"select {ATTRIBUTES} from pg_roles where rolname = %s".encode(), [user]).fetchall()
        assert set(attributes) == {False}
        memberships = "select pg_roles.rolname from pg_auth_members join pg_roles on pg_roles.oid = roleid"
        assert found(f"{memberships} where member = %(user)s::regrole") == set()
        rights = "select name from unnest(array['CONNECT', 'CREATE', 'TEMPORARY']) as name"
        assert found(f"{rights} where has_database_privilege(%(user)s, current_database(), name)") == {"CONNECT"}
        schemas = "select nspname from pg_namespace where has_schema_privilege(%(user)s, oid, {})"
        creates = {"silver", "gold"} if role is TRANSFORMER else set()
        assert found(schemas.format("'create'")) == creates
        assert found(schemas.format("'usage'")) & {"public", "detached"} == set()
        functions = (
            "select distinct pronamespace::regnamespace || '.' || proname from pg_proc"
            " where pronamespace {} in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
            " and has_function_privilege(%(user)s, oid, 'execute')"
        )
        assert found(functions.format("not")) == CALLS[role]
        of_the_server = found(functions.format(""))
        assert {
            name for name in of_the_server if re.match(r"pg_catalog\.(lo_|loread|lowrite|.*advisory_(xact_)?lock)", name)
        } == set()
        assert "pg_catalog.pg_sleep" in of_the_server  # the query looks at the right functions
    for statement in ("select lo_create(0)", "select lo_from_bytea(0, '')", "select pg_advisory_lock(7305001)"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(warehouse, role, statement)


def test_what_everybody_may_again_is_closed_again_and_the_owner_keeps_it(warehouse: Warehouse) -> None:
    skip_where_functions_stay_open(warehouse)
    run(
        warehouse,
        OWNER,
        f'grant temporary on database "{warehouse.dbname}" to public, "{warehouse.user(TRANSFORMER)}"',
        "grant usage on schema public to public",
        "grant execute on function lo_create(oid) to public",
    )
    outcome = bootstrap(warehouse)
    assert outcome.closed == (
        "temporary tables",
        "temporary tables of the roles",
        "the schema public",
        "large objects and advisory locks",
    )
    assert "Closed to all but the owner: the schema public." in outcome.lines()
    run(
        warehouse,
        OWNER,
        "create temporary table t (x int)",
        "select pg_advisory_xact_lock(1)",
        "select lo_unlink(lo_create(0))",
    )
    assert not bootstrap(warehouse).changed


def test_an_owner_who_may_not_close_it_is_told_what_an_administrator_runs(server: Server, boss: Boss) -> None:
    owner = boss("createrole")
    outcome = bootstrap(owner)
    assert outcome.closed == ("temporary tables", "the schema public")
    [statement] = outcome.left_open
    assert bootstrap(owner).lines() == (
        "Nothing to do: the database is up to date.",
        f"Left open to everybody, as only an administrator may close it: {statement};",
    )
    run(owner, READER, "select lo_create(0)")
    with replace(server.home, dbname=owner.dbname).connect(OWNER, autocommit=True) as admin:
        admin.execute(statement.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(owner, READER, "select lo_create(0)")
    run(owner, OWNER, "select lo_create(0)")
    assert bootstrap(owner).left_open == ()


UUID = "00000000-0000-0000-0000-000000000001"
MONTH = "2025-10-01"
HASH = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def fill(warehouse: Warehouse) -> None:
    """One batch with one accepted answer, as the ingester writes it."""
    run(
        warehouse,
        INGESTER,
        f"insert into bronze.batches values ('b', now(), 'p', '{{}}', 's', 1, '{HASH}')",
        f"select bronze.make_months(array[date '{MONTH}'])",
        f"insert into bronze.bodies values ('{HASH}', 0, '', null, '{MONTH}')",
        "insert into bronze.exchanges"
        " (exchange_id, batch_id, place, attempt, endpoint, request, coverage, captured_at, headers, body_sha256)"
        f" values ('{UUID}', 'b', 0, 1, 'odds', '{{}}', '{{}}', '{MONTH}', '{{}}', '{HASH}')",
        "insert into ops.verdicts (exchange_id, verdict_no, verdict, findings, contract_version, decided_at)"
        f" values ('{UUID}', 1, 'accepted', '[]', 'v', now())",
        f"insert into ops.ledger (exchange_id, batch_id, outcomes, admitted) values ('{UUID}', 'b', 0, true)",
        "insert into ops.batch_states values ('b', 'sealed', null, now())",
    )


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    "statement",
    [
        "update bronze.batches set source = 'x'",
        "update bronze.bodies set byte_count = 1",
        "update bronze.exchanges set status = 1",
        "update bronze.bodies set byte_count = 1 where false",
        "delete from bronze.batches",
        "delete from bronze.bodies",
        "delete from bronze.exchanges",
        "truncate bronze.batches cascade",
        "truncate bronze.bodies cascade",
        "truncate bronze.exchanges cascade",
        f"insert into bronze.bodies values ('{HASH}', 1, '', null, '{MONTH}')"
        " on conflict (body_sha256, month) do update set byte_count = 1",
        f"merge into bronze.bodies b using (select '{HASH}' as h) s on b.body_sha256 = s.h when matched then delete",
    ],
)
def test_bronze_refuses_change_to_every_role(warehouse: Warehouse, role: Role, statement: str) -> None:
    fill(warehouse)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(warehouse, role, statement)
    assert run(
        warehouse, INGESTER, "select source, byte_count, status from bronze.batches, bronze.bodies, bronze.exchanges"
    ) == [("s", 0, None)]


def test_bronze_takes_what_is_new_and_skips_what_is_known(warehouse: Warehouse) -> None:
    fill(warehouse)
    with warehouse.connect(INGESTER) as connection:
        with connection.cursor().copy("copy bronze.bodies (body_sha256, byte_count, body, month) from stdin") as copy:
            copy.write_row(("new", 1, b"x", MONTH))
        cursor = connection.execute(
            f"insert into bronze.bodies values ('{HASH}', 0, '', null, '{MONTH}') on conflict do nothing".encode()
        )
        assert cursor.rowcount == 0


def test_the_reader_sees_what_the_transformer_makes_anew(warehouse: Warehouse) -> None:
    for schema in ("silver", "gold"):
        run(warehouse, TRANSFORMER, f"create table {schema}.t as select 1 as x", f"create view {schema}.v as select 2 as x")
        assert run(warehouse, READER, f"select t.x, v.x from {schema}.t, {schema}.v") == [(1, 2)]
        # As dbt rebuilds a relation: a new one takes the name of the old one.
        run(
            warehouse,
            TRANSFORMER,
            f"create table {schema}.t__new as select 3 as x",
            f"alter table {schema}.t rename to t__old",
            f"alter table {schema}.t__new rename to t",
            f"drop table {schema}.t__old",
            f"drop view {schema}.v",
            f"create view {schema}.v as select 4 as x",
        )
        assert run(warehouse, READER, f"select t.x, v.x from {schema}.t, {schema}.v") == [(3, 4)]
        for statement in (f"insert into {schema}.t values (1)", f"delete from {schema}.t", f"drop table {schema}.t"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run(warehouse, READER, statement)


def test_the_reader_sees_no_bronze_but_how_batches_stand(warehouse: Warehouse) -> None:
    fill(warehouse)
    assert run(warehouse, READER, "select state from ops.batch_states") == [("sealed",)]
    columns = "state, exchanges, answers, failures, quarantined, waived, withdrawn, with_findings, failed_checks"
    health = f"select {columns}, latest_waiver_reason from ops.batch_health"
    assert run(warehouse, READER, health) == [("sealed", 1, 1, 0, 0, 0, 0, 0, 0, None)]
    run(
        warehouse,
        INGESTER,
        "insert into ops.verdicts (exchange_id, verdict_no, verdict, findings, contract_version, reason, decided_at)"
        f" values ('{UUID}', 2, 'waived', '[{{}}]', 'v', 'why', now())",
    )
    run(warehouse, TRANSFORMER, "insert into ops.check_results values ('b', 'c', 'fail', 1, null, now())")
    assert run(warehouse, READER, health) == [("sealed", 1, 1, 0, 0, 1, 0, 1, 1, "why")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        run(warehouse, READER, "select * from bronze.bodies")


def test_the_transformer_keeps_its_progress(warehouse: Warehouse) -> None:
    fill(warehouse)
    run(
        warehouse,
        TRANSFORMER,
        "insert into ops.run_batches values ('b')",
        f"insert into ops.pending values ('{UUID}', true)",
        "insert into ops.check_results values ('b', 'c', 'pass', 0, null, now())",
        "update ops.batch_states set state = 'published'",
        "truncate ops.pending, ops.run_batches",
    )
    assert run(warehouse, READER, "select status from ops.check_results") == [("pass",)]


def test_the_transformer_analyzes_its_tables_and_no_others(warehouse: Warehouse) -> None:
    run(warehouse, TRANSFORMER, "create table gold.t as select 1 as x")
    notices: list[str] = []
    with warehouse.connect(TRANSFORMER, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        tables = ["gold.t", *(table for table, (_, transformer, _) in RIGHTS.items() if transformer == ALL)]
        assert {"ops.pending", "ops.touched_events", "ops.check_results"} < set(tables)
        for table in tables:
            connection.execute(f"analyze {table}".encode())
        assert notices == []
        connection.execute("analyze ops.ledger")
    assert len(notices) == 1
    assert "ledger" in notices[0]


# --- as a program


def test_the_program_bootstraps_and_the_second_time_says_that_there_is_nothing_to_do(
    fresh: Warehouse, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--database-url", fresh.conninfo(OWNER), "--role-prefix", fresh.role_prefix]
    assert main(arguments) == 0
    first = capsys.readouterr()
    assert f"Made the role {fresh.role_prefix}reader." in first.out
    assert fresh.place in first.out
    assert main(arguments) == 0
    second = capsys.readouterr()
    assert "Nothing to do" in second.out
    if fresh.owner_password is not None:
        assert fresh.owner_password.reveal() not in first.out + first.err + second.out + second.err


def test_the_program_runs_as_a_module_without_a_url_on_the_embedded_server(short_folder: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPORTS_MARKET_")}
    environment |= {"SPORTS_MARKET_STATE_DIR": str(short_folder), "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}
    done = subprocess.run([sys.executable, "-m", "init_db"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert re.search(r"embedded PostgreSQL 18 in .*postgres", done.stdout)
    assert "Applied 004_grants.sql." in done.stdout
    assert not (short_folder / "postgres" / "postmaster.pid").exists()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (["--database-url", "postgresql://u:hidden@127.0.0.1:1/d"], 3, "DATABASE_UNREACHABLE"),
        (["--database-url", "no url hidden"], 2, "DATABASE_URL_INVALID"),
        (["--role-prefix", "Bad Prefix"], 2, "ROLE_PREFIX_INVALID"),
    ],
)
def test_the_program_says_what_is_wrong_on_stderr(
    arguments: list[str], exit_code: int, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == exit_code
    printed = capsys.readouterr()
    assert printed.err.startswith(f"{code}: ")
    assert "hidden" not in printed.err + printed.out
    assert "Traceback" not in printed.err
