"""What is missing in a database is made, in one transaction; what is there already is checked, never changed.

No superuser is needed: the connecting user owns the database (or may create in it), and either has CREATEROLE, or the
roles exist and it is a member of the transformer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from typing import Final

import psycopg
from psycopg import sql

from pipeline.errors import SetupError, WarehouseError
from pipeline.warehouse.connect import PIPELINE_ROLES, Connection, Role, Warehouse, explain, password_variable, quoted

Say = Callable[[str], None]

# Of two bootstraps of one database the second one waits; nobody but its owner may lock this table so, or make a schema.
_LOCK: Final = "lock table ops.migrations in share row exclusive mode"
# A migration waits so long for tables that others read.
_LOCK_TIMEOUT: Final = "60s"
# Functions of the server that everybody may call, and with which a reader could fill the disk (large objects) or the table of
# locks that all sessions share.
_SHUT: Final = "proname ~ '^(lo_|loread$|lowrite$|pg_(try_)?advisory_(xact_)?lock)'"
# Roles belong to the whole server, where no lock holds between databases: whoever comes second looks again.
_TRIES: Final = 20
_COLLISIONS: Final = (psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation, psycopg.errors.InternalError_)


@dataclass(frozen=True)
class Migration:
    """One SQL file.

    Attributes:
        name: its file name, such as ``002_bronze.sql``; the order is that of the names.
        text: its content, with ``:"ingester"`` and the like where role names go.
    """

    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Over the content as UTF-8."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def for_roles(self, names: Mapping[str, str]) -> str:
        """The SQL to run: role names put in, quoted."""
        return re.sub(r':"(\w+)"', lambda match: quoted(names[match[1]]), self.text)


@dataclass(frozen=True)
class Outcome:
    """What a bootstrap did.

    Attributes:
        applied: names of the migrations that it applied, in order.
        roles: database users that it made.
        granted: rights on the database or memberships that it gave, as SQL.
        passwords: database users whose password it set anew.
        closed: what everybody or a role had the right to and needs not, and only the owner has now.
        left_open: the same where only an administrator may take it away, as SQL.
    """

    applied: tuple[str, ...]
    roles: tuple[str, ...]
    granted: tuple[str, ...]
    passwords: tuple[str, ...] = ()
    closed: tuple[str, ...] = ()
    left_open: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything was missing."""
        return bool(self.applied or self.roles or self.granted or self.passwords or self.closed)

    def lines(self) -> tuple[str, ...]:
        """What to tell the user."""
        left = tuple(
            f"Left open to everybody, as only an administrator may close it: {statement};" for statement in self.left_open
        )
        if not self.changed:
            return ("Nothing to do: the database is up to date.", *left)
        return (
            *(f"Made the role {name}." for name in self.roles),
            *(f"Granted: {statement}" for statement in self.granted),
            *(f"Applied {name}." for name in self.applied),
            *(f"Closed to all but the owner: {what}." for what in self.closed),
            *(f"Set the password of {name}: each role has one of its own now." for name in self.passwords),
            *left,
        )


def migrations() -> tuple[Migration, ...]:
    """The migrations of this package, in order."""
    folder = resources.files("init_db")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
    return tuple(Migration(file.name, file.read_text(encoding="utf-8")) for file in files)


def bootstrap(warehouse: Warehouse, say: Say | None = None, files: Sequence[Migration] | None = None) -> Outcome:
    """Make schemas, roles, tables and rights, as far as they are missing. A second run does nothing, and says so.

    Args:
        warehouse: the database; its owner's session does the work.
        say: takes lines for the user.
        files: the migrations; by default those of this package.

    Returns:
        What was done.

    Raises:
        WarehouseError: ``MIGRATION_CHANGED``, ``MIGRATION_UNKNOWN``, ``MIGRATION_FAILED``, ``ROLE_PREFIX_CHANGED``,
            ``ROLES_MISSING``, ``ROLE_MEMBERSHIP_MISSING``, ``ROLE_LOGIN_FAILED``, ``BOOTSTRAP_FORBIDDEN``,
            ``WAREHOUSE_BUSY``, or one of connecting.
        SetupError: ``DISK_FULL``.
    """
    files = migrations() if files is None else files
    with warehouse.connect(Role.OWNER) as connection:
        try:
            made = _bootstrapped(connection, warehouse, files)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            raise WarehouseError(
                "WAREHOUSE_BUSY",
                f"Somebody uses tables of {warehouse.place} that a migration changes, or another bootstrap is under way there.",
                "Nothing was changed. Wait for long queries to end, or end them, and run it again.",
            ) from error
        except psycopg.errors.InsufficientPrivilege as error:
            raise _forbidden(warehouse, error) from error
        except psycopg.Error as error:
            raise explain(error, warehouse) from error
        finally:
            connection.rollback()
    outcome = replace(made, passwords=_check_logins(warehouse))
    for line in outcome.lines() if say else ():
        assert say is not None
        say(line)
    return outcome


def _bootstrapped(connection: Connection, warehouse: Warehouse, files: Sequence[Migration]) -> Outcome:
    for _ in range(_TRIES):
        is_first = not _has_record(connection)
        try:
            connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'".encode())
            if not is_first:
                connection.execute(_LOCK)
            missing = _missing(connection, warehouse, files)
            roles = _make_roles(connection, warehouse)
            granted = _join_transformer(connection, warehouse)
            for file in missing:
                _apply(connection, warehouse, file)
            granted += _grant_database(connection, warehouse)
            closed, left_open = _close(connection, warehouse)
            connection.commit()
        except _Overtaken as error:
            connection.rollback()
            if _has_record(connection):
                continue  # by another bootstrap, which we waited for
            raise WarehouseError(
                "MIGRATION_FAILED",
                f"{files[0].name} at {warehouse.place}: {error.__cause__}; but this database has no record of a bootstrap.",
                "Use a database of its own for sports-market.",
            ) from error.__cause__
        return Outcome(tuple(file.name for file in missing), roles, granted, (), closed, left_open)
    raise WarehouseError("BOOTSTRAP_COLLISION", f"Bootstraps of {warehouse.place} come and go.", "Run it again.")


def _has_record(connection: Connection) -> bool:
    return connection.execute("select to_regclass('ops.migrations')").fetchone() != (None,)


class _Overtaken(Exception):
    """What the first migration of an empty database makes is there already. Its cause is the database's error."""


def grant_database(warehouse: Warehouse) -> tuple[str, ...]:
    """Give the roles their rights on the database itself, which a clone does not inherit from its template; and no others.

    Returns:
        What was needed.
    """
    with warehouse.connect(Role.OWNER) as connection:
        try:
            return (*_grant_database(connection, warehouse), *_close(connection, warehouse)[0])
        except psycopg.errors.InsufficientPrivilege as error:
            raise _forbidden(warehouse, error) from error


def _missing(connection: Connection, warehouse: Warehouse, files: Sequence[Migration]) -> list[Migration]:
    if not _has_record(connection):
        return list(files)
    rows = connection.execute("select name, sha256, role_prefix from ops.migrations").fetchall()
    applied = {name: sha256 for name, sha256, _ in rows}
    for prefix in {prefix for _, _, prefix in rows} - {warehouse.role_prefix}:
        raise WarehouseError(
            "ROLE_PREFIX_CHANGED",
            f"The roles of {warehouse.place} start with {prefix!r}, not with {warehouse.role_prefix!r}.",
            f"Set SPORTS_MARKET_ROLE_PREFIX={prefix}, or use another database.",
        )
    for file in files:
        if applied.get(file.name, file.sha256) != file.sha256:
            raise WarehouseError(
                "MIGRATION_CHANGED",
                f"{file.name} is not the file that {warehouse.place} was made with:"
                f" sha256 {file.sha256}, there {applied[file.name]}.",
                "Put the file back as it was and write a new migration; or load the recordings into a new database.",
            )
    unknown = sorted(applied.keys() - {file.name for file in files})
    if unknown:
        raise WarehouseError(
            "MIGRATION_UNKNOWN",
            f"{warehouse.place} has had {', '.join(unknown)}, which this version of sports-market does not know.",
            "Use the newer version that made it, or another database.",
        )
    return [file for file in files if file.name not in applied]


def _make_roles(connection: Connection, warehouse: Warehouse) -> tuple[str, ...]:
    wanted = [role for role in PIPELINE_ROLES if not _role_exists(connection, warehouse.user(role))]
    if not wanted:
        return ()
    allowed = connection.execute("select rolsuper or rolcreaterole from pg_roles where rolname = current_user").fetchone()
    if allowed != (True,):
        raise _roles_missing(connection, warehouse, wanted)
    return tuple(warehouse.user(role) for role in wanted if _make_role(connection, warehouse, role))


def _role_exists(connection: Connection, name: str) -> bool:
    return connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone() is not None


def _make_role(connection: Connection, warehouse: Warehouse, role: Role) -> bool:
    """Make a role with its password, unless somebody else was faster."""
    name = warehouse.user(role)
    statement = sql.SQL("create role {} login").format(sql.Identifier(name)) + _password_clause(connection, warehouse, role)
    for _ in range(_TRIES):
        if _role_exists(connection, name):
            return False
        try:
            with connection.transaction():
                connection.execute(statement)
        except _COLLISIONS:
            continue
        return True
    raise WarehouseError("BOOTSTRAP_COLLISION", f"The role {name} comes and goes at {warehouse.place}.", "Run it again.")


def _password_clause(connection: Connection, warehouse: Warehouse, role: Role) -> sql.Composable:
    password = warehouse.password(role)
    if password is None:
        return sql.SQL("")
    # Hashed here, so that the server's log never holds the password itself.
    hashed = connection.pgconn.encrypt_password(password.reveal().encode(), warehouse.user(role).encode(), b"scram-sha-256")
    return sql.SQL(" password {}").format(sql.Literal(hashed.decode()))


def _join_transformer(connection: Connection, warehouse: Warehouse) -> tuple[str, ...]:
    """Become a member of the transformer: only then may we make schemas and tables that it owns."""
    transformer = warehouse.user(Role.TRANSFORMER)
    options = " with inherit true, set true" if connection.info.server_version >= 160000 else ""
    statement = f"grant {quoted(transformer)} to {quoted(warehouse.owner)}{options}"
    for _ in range(_TRIES):
        if _is_member(connection, transformer):
            return ()
        try:
            with connection.transaction():
                connection.execute(statement.encode())
        except _COLLISIONS:
            continue
        except psycopg.errors.InsufficientPrivilege:
            break
        if _is_member(connection, transformer):
            return (statement,)
        break
    raise WarehouseError(
        "ROLE_MEMBERSHIP_MISSING",
        f"The user {warehouse.owner} is no member of {transformer} with all its rights at {warehouse.place}.",
        f"Let an administrator run: {statement};",
    )


def _is_member(connection: Connection, transformer: str) -> bool:
    may_become = "set" if connection.info.server_version >= 160000 else "member"
    query = "select pg_has_role(%s, %s) and pg_has_role(%s, 'usage')"
    return connection.execute(query, [transformer, may_become, transformer]).fetchone() == (True,)


def _apply(connection: Connection, warehouse: Warehouse, file: Migration) -> None:
    names = {str(role): warehouse.user(role) for role in PIPELINE_ROLES}
    try:
        connection.execute(file.for_roles(names).encode())
        connection.execute(
            "insert into ops.migrations (name, sha256, role_prefix) values (%s, %s, %s)",
            [file.name, file.sha256, warehouse.role_prefix],
        )
    except (psycopg.errors.DuplicateSchema, psycopg.errors.DuplicateTable, psycopg.errors.UniqueViolation) as error:
        raise _Overtaken from error
    except (psycopg.errors.InsufficientPrivilege, psycopg.OperationalError):
        raise
    except psycopg.Error as error:
        raise WarehouseError(
            "MIGRATION_FAILED",
            f"{file.name} at {warehouse.place}: {error}",
            "Nothing was changed. Report it with the server's version.",
        ) from error


def _grant_database(connection: Connection, warehouse: Warehouse) -> tuple[str, ...]:
    granted = []
    for role in PIPELINE_ROLES:
        name = warehouse.user(role)
        has = connection.execute("select has_database_privilege(%s, current_database(), 'connect')", [name]).fetchone()
        if has != (True,):
            statement = f"grant connect on database {quoted(warehouse.dbname)} to {quoted(name)}"
            connection.execute(statement.encode())
            granted.append(statement)
    return tuple(granted)


def _close(connection: Connection, warehouse: Warehouse) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Take away what PostgreSQL gives to everybody and no role needs: in words what was taken, as SQL what we may not take."""
    database, users = quoted(warehouse.dbname), [warehouse.user(role) for role in PIPELINE_ROLES]
    # whoever may all needs no grant, and one would only bind backups to its name
    keep = "null"
    if connection.execute("select rolsuper from pg_roles where rolname = current_user").fetchone() != (True,):
        owner = sql.Literal(warehouse.owner).as_string(connection)
        keep = f"execute format('grant execute on function %s to %I', each, {owner})"
    functions = (
        "do $$ declare each regprocedure; begin for each in select oid from pg_proc"
        f" where pronamespace = 'pg_catalog'::regnamespace and {_SHUT} order by oid loop"
        f" execute format('revoke execute on function %s from public', each); {keep}; end loop; end $$"
    )
    wanted: tuple[tuple[str, str, str, list[list[str]]], ...] = (
        (
            "temporary tables",
            f"revoke temporary on database {database} from public",
            "select has_database_privilege('public', current_database(), 'temporary')",
            [],
        ),
        (
            "temporary tables of the roles",
            f"revoke temporary on database {database} from {', '.join(map(quoted, users))}",
            "select exists (select 1 from pg_database cross join aclexplode(pg_database.datacl) as acl"
            " join pg_roles on pg_roles.oid = acl.grantee where pg_database.datname = current_database()"
            " and acl.privilege_type = 'TEMPORARY' and pg_roles.rolname = any (%s))",
            [users],
        ),
        (
            "the schema public",
            "revoke all on schema public from public",
            "select exists (select 1 from pg_namespace where nspname = 'public'"
            " and (has_schema_privilege('public', oid, 'usage') or has_schema_privilege('public', oid, 'create')))",
            [],
        ),
        (
            "large objects and advisory locks",
            functions,
            "select exists (select 1 from pg_proc where pronamespace = 'pg_catalog'::regnamespace"
            f" and {_SHUT} and has_function_privilege('public', oid, 'execute'))",
            [],
        ),
    )
    closed: list[str] = []
    left_open: list[str] = []
    for what, statement, is_open, values in wanted:
        if connection.execute(is_open.encode(), values or None).fetchone() != (True,):
            continue
        try:
            with connection.transaction():
                connection.execute(statement.encode())
        except psycopg.errors.InsufficientPrivilege:
            pass  # an error where we have no right of that kind at all, else a warning
        is_left = connection.execute(is_open.encode(), values or None).fetchone() == (True,)
        if is_left:
            left_open.append(statement)
        else:
            closed.append(what)
    return tuple(closed), tuple(left_open)


def _check_logins(warehouse: Warehouse) -> tuple[str, ...]:
    """Every process logs in as its role, so each must be able to, now. Returns the users whose password was set anew."""
    renewed = []
    for role in PIPELINE_ROLES:
        try:
            warehouse.connect(role).close()
        except WarehouseError as error:
            if error.code != "ROLE_LOGIN_FAILED" or not _set_password(warehouse, role):
                raise
            warehouse.connect(role).close()
            renewed.append(warehouse.user(role))
    return tuple(renewed)


def _has_former_password(warehouse: Warehouse, role: Role) -> bool:
    """Whether an earlier version of this project set the role's password: then it is ours to set."""
    former = warehouse.former_password(role)
    if former is None:
        return False
    try:
        replace(warehouse, own_passwords=((role, former),)).connect(role).close()
    except WarehouseError:
        return False
    return True


def _set_password(warehouse: Warehouse, role: Role) -> bool:
    """Give an existing role its password; a derived one never replaces what somebody chose."""
    if not warehouse.is_configured(role) and not _has_former_password(warehouse, role):
        return False
    with warehouse.connect(Role.OWNER) as connection:
        statement = sql.SQL("alter role {} login").format(sql.Identifier(warehouse.user(role)))
        try:
            connection.execute(statement + _password_clause(connection, warehouse, role))
        except psycopg.errors.InsufficientPrivilege:
            return False
    return True


def _roles_missing(connection: Connection, warehouse: Warehouse, wanted: Sequence[Role]) -> WarehouseError:
    with_password = "" if warehouse.password(Role.READER) is None else " PASSWORD '…'"
    statements = [f"CREATE ROLE {quoted(warehouse.user(role))} LOGIN{with_password};" for role in wanted]
    options = " WITH INHERIT TRUE, SET TRUE" if connection.info.server_version >= 160000 else ""
    statements.append(f"GRANT {quoted(warehouse.user(Role.TRANSFORMER))} TO {quoted(warehouse.owner)}{options};")
    variables = ", ".join(password_variable(role) for role in wanted)
    password = f" with passwords of their own, which {variables} then name," if with_password else ""
    return WarehouseError(
        "ROLES_MISSING",
        f"The roles {', '.join(warehouse.user(role) for role in wanted)} are missing at {warehouse.place},"
        f" and {warehouse.owner} may not make roles.",
        f"Let an administrator run{password}: {' '.join(statements)}",
    )


def _forbidden(warehouse: Warehouse, error: psycopg.Error) -> SetupError:
    return WarehouseError(
        "BOOTSTRAP_FORBIDDEN",
        f"The user {warehouse.owner} lacks a right at {warehouse.place}: {error}",
        f"Let an administrator run: ALTER DATABASE {quoted(warehouse.dbname)} OWNER TO {quoted(warehouse.owner)};",
    )
