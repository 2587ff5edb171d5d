"""What is missing in a database is made, in one transaction; what is there already is checked, never changed.

No superuser is needed: the connecting user owns the database (or may create in it), and either has CREATEROLE, or the
roles exist and it is a member of the transformer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

import psycopg
from psycopg import sql

from pipeline.errors import SetupError, WarehouseError
from pipeline.warehouse.connect import PIPELINE_ROLES, Connection, Role, Warehouse, explain, quoted

Say = Callable[[str], None]

# Two bootstraps of one database wait for each other; the number only has to be the same everywhere.
_LOCK: Final = 0x73706F727473
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
    """

    applied: tuple[str, ...]
    roles: tuple[str, ...]
    granted: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything was missing."""
        return bool(self.applied or self.roles or self.granted)

    def lines(self) -> tuple[str, ...]:
        """What to tell the user."""
        if not self.changed:
            return ("Nothing to do: the database is up to date.",)
        return (
            *(f"Made the role {name}." for name in self.roles),
            *(f"Granted: {statement}" for statement in self.granted),
            *(f"Applied {name}." for name in self.applied),
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
            ``ROLES_MISSING``, ``ROLE_MEMBERSHIP_MISSING``, ``ROLE_LOGIN_FAILED``, ``BOOTSTRAP_FORBIDDEN``, or one of
            connecting.
        SetupError: ``DISK_FULL``.
    """
    files = migrations() if files is None else files
    connection = warehouse.connect(Role.OWNER)
    with connection:
        try:
            connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])
            missing = _missing(connection, warehouse, files)
            roles = _make_roles(connection, warehouse)
            granted = _join_transformer(connection, warehouse)
            for file in missing:
                _apply(connection, warehouse, file)
            granted += _grant_database(connection, warehouse)
            connection.commit()
        except psycopg.errors.InsufficientPrivilege as error:
            raise _forbidden(warehouse, error) from error
        except psycopg.Error as error:
            raise explain(error, warehouse) from error
        finally:
            connection.rollback()
    _check_logins(warehouse)
    outcome = Outcome(tuple(file.name for file in missing), roles, granted)
    for line in outcome.lines() if say else ():
        assert say is not None
        say(line)
    return outcome


def grant_database(warehouse: Warehouse) -> tuple[str, ...]:
    """Give the roles their rights on the database itself, which a clone does not inherit from its template.

    Returns:
        The statements that were needed; usually none.
    """
    with warehouse.connect(Role.OWNER) as connection:
        try:
            return _grant_database(connection, warehouse)
        except psycopg.errors.InsufficientPrivilege as error:
            raise _forbidden(warehouse, error) from error


def _missing(connection: Connection, warehouse: Warehouse, files: Sequence[Migration]) -> list[Migration]:
    if connection.execute("select to_regclass('ops.migrations')").fetchone() == (None,):
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
    except (psycopg.errors.DuplicateSchema, psycopg.errors.DuplicateTable) as error:
        raise WarehouseError(
            "MIGRATION_FAILED",
            f"{file.name} at {warehouse.place}: {error}; but this database has no record of a bootstrap.",
            "Use a database of its own for sports-market.",
        ) from error
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
    wanted = [(role, "connect") for role in PIPELINE_ROLES] + [(Role.TRANSFORMER, "temporary")]
    for role, right in wanted:
        name = warehouse.user(role)
        has = connection.execute("select has_database_privilege(%s, current_database(), %s)", [name, right]).fetchone()
        if has != (True,):
            statement = f"grant {right} on database {quoted(warehouse.dbname)} to {quoted(name)}"
            connection.execute(statement.encode())
            granted.append(statement)
    return tuple(granted)


def _check_logins(warehouse: Warehouse) -> None:
    """Every process logs in as its role, so each must be able to, now."""
    for role in PIPELINE_ROLES:
        try:
            warehouse.connect(role).close()
        except WarehouseError as error:
            if error.code != "ROLE_LOGIN_FAILED" or not _set_password(warehouse, role):
                raise
            warehouse.connect(role).close()


def _set_password(warehouse: Warehouse, role: Role) -> bool:
    """Give an existing role the configured password; a derived one never replaces what somebody chose."""
    if warehouse.role_password is None:
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
    password = " with the password that SPORTS_MARKET_ROLE_PASSWORD names" if with_password else ""
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
