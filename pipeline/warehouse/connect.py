"""How each role reaches one database, and what every session is pinned to.

A session never depends on a server's, database's or user's defaults: time zone, date style, number formats and search
path are set as it starts, and a database of another encoding or collation is refused with the command that makes a
right one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, Final

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline.errors import SetupError, UsageError, WarehouseError
from pipeline.secret import MASK, Secret

Connection = psycopg.Connection[tuple[Any, ...]]

MINIMUM_MAJOR: Final = 15
CONNECT_TIMEOUT_SECONDS: Final = 10
APPLICATION: Final = "sports-market"

# What could make the same SQL answer differently elsewhere. Names in the catalog come first and temporary tables last,
# so that no object of a user is ever found by an unqualified name.
SESSION_SETTINGS: Final[Mapping[str, str]] = {
    "TimeZone": "UTC",
    "DateStyle": "ISO,MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "search_path": "pg_catalog,pg_temp",
    "jit": "off",
}

# Settings that libpq may also send from its own environment variables (PGTZ, PGDATESTYLE), which the server then takes
# last; it reports them, so looking costs nothing.
_REPORTED: Final = {
    **{name: SESSION_SETTINGS[name].replace(",", ", ") for name in ("TimeZone", "DateStyle", "IntervalStyle")},
    "client_encoding": "UTF8",
}


class Role(StrEnum):
    """Who connects. ``OWNER`` is the user of the database URL; it bootstraps, and makes and drops databases."""

    OWNER = "owner"
    INGESTER = "ingester"
    TRANSFORMER = "transformer"
    READER = "reader"


PIPELINE_ROLES: Final = (Role.INGESTER, Role.TRANSFORMER, Role.READER)

# How long a transformation waits for another one; a rebuild of much takes its time.
LOCK_SECONDS: Final = 1800
# scrypt: some 0.1 s and 32 MB for each guess of whoever knows one password and is after that which it comes from.
_SCRYPT_COST: Final = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}


@dataclass(frozen=True, kw_only=True)
class Warehouse:
    """One database, and how each role connects to it. Holds no connection.

    Attributes:
        host: a host name, or the folder of a Unix socket; empty = libpq's default.
        port: as text; empty = libpq's default.
        dbname: the database.
        owner: the user of :attr:`Role.OWNER`.
        owner_password: that user's password, if it needs one.
        role_prefix: what the names of the other roles start with.
        role_password: what the other roles' passwords are derived from; without it, ``owner_password``.
        own_passwords: of roles whose password is configured and not derived.
        lock_seconds: how long a transformation waits for another one, and a statement of it for a table.
        parameters: further libpq parameters, such as ``("sslmode", "require")``.
    """

    host: str
    port: str
    dbname: str
    owner: str
    owner_password: Secret | None = None
    role_prefix: str
    role_password: Secret | None = None
    own_passwords: tuple[tuple[Role, Secret], ...] = ()
    lock_seconds: int = LOCK_SECONDS
    parameters: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def place(self) -> str:
        """``host:port/dbname``: what messages call this database. Holds no password."""
        return f"{self.host or 'the default host'}:{self.port or '5432'}/{self.dbname}"

    def user(self, role: Role) -> str:
        """The database user that ``role`` logs in as."""
        return self.owner if role is Role.OWNER else f"{self.role_prefix}{role}"

    def password(self, role: Role) -> Secret | None:
        """The password that ``role`` logs in with; ``None`` where none is sent.

        A role's password is its own configured one, else derived from ``role_password``, else from the owner's password: by
        scrypt, salted with the names of owner and role, so that a role's password gives neither another role's nor what it
        comes from. The database's name is no part of it, as roles are the server's and log in to all its databases.
        """
        if role is Role.OWNER:
            return self.owner_password
        own = dict(self.own_passwords).get(role)
        source = self.role_password or self.owner_password
        if own is not None or source is None:
            return own
        return Secret(_derived(source.reveal(), f"sports-market:{self.owner}:{self.user(role)}"))

    def is_configured(self, role: Role) -> bool:
        """Whether somebody chose the role's password, or what it is derived from, for the roles."""
        return self.role_password is not None or role in dict(self.own_passwords)

    def former_password(self, role: Role) -> Secret | None:
        """What earlier versions logged in with where no password of the role's own is configured."""
        if self.role_password is not None or self.owner_password is None:
            return self.role_password
        message = f"sports-market:{self.user(role)}".encode()
        return Secret(hmac.new(self.owner_password.reveal().encode(), message, hashlib.sha256).hexdigest())

    def conninfo(self, role: Role) -> str:
        """A libpq connection string, session settings included. It holds the password: never print it."""
        parameters: dict[str, str] = {"connect_timeout": str(CONNECT_TIMEOUT_SECONDS), **dict(self.parameters)}
        own = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
        # The last setting of a name wins: ours.
        parameters["options"] = f"{parameters.get('options', '')} {own}".strip()
        if self.host.startswith("/"):
            # An empty value keeps PGHOSTADDR of the environment from leading away from the socket.
            parameters["hostaddr"] = ""
        password = self.password(role)
        parameters |= {
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "user": self.user(role),
            "password": password.reveal() if password else "",
            "client_encoding": "UTF8",
            "application_name": f"{APPLICATION} {role}",
        }
        return make_conninfo("", **{name: value for name, value in parameters.items() if value or name == "hostaddr"})

    def dbt_env(self, role: Role = Role.TRANSFORMER) -> dict[str, str]:
        """Environment variables for a dbt profile; the password is empty where none is sent.

        Their names: ``SPORTS_MARKET_DBT_HOST``, ``_PORT``, ``_USER``, ``_PASSWORD``, ``_DBNAME`` and ``_SSLMODE``.
        """
        password = self.password(role)
        return {
            "SPORTS_MARKET_DBT_HOST": self.host,
            "SPORTS_MARKET_DBT_PORT": self.port or "5432",
            "SPORTS_MARKET_DBT_USER": self.user(role),
            "SPORTS_MARKET_DBT_PASSWORD": password.reveal() if password else "",
            "SPORTS_MARKET_DBT_DBNAME": self.dbname,
            "SPORTS_MARKET_DBT_SSLMODE": dict(self.parameters).get("sslmode", "prefer"),
        }

    def connect(self, role: Role, autocommit: bool = False) -> Connection:
        """A new session of ``role``, pinned and checked.

        Raises:
            WarehouseError: ``DATABASE_UNREACHABLE``, ``DATABASE_NOT_FOUND``, ``DATABASE_LOGIN_FAILED``,
                ``ROLE_LOGIN_FAILED``, ``SERVER_TOO_OLD``, ``DATABASE_ENCODING`` or ``DATABASE_COLLATION``.
        """
        connection = self.connect_unchecked(role)
        try:
            check_server(connection, self)
            check_database(connection, self)
            connection.autocommit = autocommit
        except BaseException:
            connection.close()
            raise
        return connection

    def connect_unchecked(self, role: Role) -> Connection:
        """A new pinned session in autocommit mode, to any server and database. For making databases and for checks.

        Raises:
            WarehouseError: ``DATABASE_UNREACHABLE``, ``DATABASE_NOT_FOUND``, ``DATABASE_LOGIN_FAILED`` or
                ``ROLE_LOGIN_FAILED``.
        """
        try:
            connection = psycopg.connect(self.conninfo(role), autocommit=True)
        except psycopg.Error as error:
            # Not chained: libpq's own texts stay out of tracebacks.
            raise self._connect_error(role, error) from None
        try:
            for name, wanted in _REPORTED.items():
                if connection.info.parameter_status(name) != wanted:
                    connection.execute(sql.SQL("set session {} = {}").format(sql.Identifier(name.lower()), wanted))
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_error(self, role: Role, error: psycopg.Error) -> WarehouseError:
        detail = self._without_passwords(" ".join(str(error).split()))
        user = self.user(role)
        # What fails before there is a session has no SQLSTATE; "FATAL" says that a server answered.
        if "FATAL" not in detail or "too many" in detail or "starting up" in detail or "shutting down" in detail:
            return WarehouseError(
                "DATABASE_UNREACHABLE",
                f"No database answers at {self.place}: {detail}",
                "Check that the server runs and that host, port and database of the database URL are right;"
                " without a database URL the embedded server is used.",
            )
        if f'database "{self.dbname}" does not exist' in detail:
            return WarehouseError(
                "DATABASE_NOT_FOUND",
                f"There is no database {self.dbname} at {self.place}.",
                f"Make it: {create_database_sql(self.dbname)}",
            )
        if role is Role.OWNER:
            return WarehouseError(
                "DATABASE_LOGIN_FAILED",
                f"The server at {self.place} refuses the user {user}: {detail}",
                "Check user and password of the database URL, and the server's pg_hba.conf.",
            )
        return WarehouseError(
            "ROLE_LOGIN_FAILED",
            f"The role {user} cannot log in at {self.place}: {detail}",
            "Run `sports-market db bootstrap` if this database was never bootstrapped, or not since an upgrade: each role has"
            " a password of its own now, which it sets. If the password in the database URL has changed, or the role was made"
            f" by hand: set {password_variable(role)} to the password that it has, or let an administrator run:"
            f" ALTER ROLE {quoted(user)} LOGIN PASSWORD '…';",
        )

    def _without_passwords(self, text: str) -> str:
        for secret in {self.owner_password, *(self.password(role) for role in PIPELINE_ROLES)} - {None}:
            assert secret is not None
            text = text.replace(secret.reveal(), MASK)
        return text


def password_variable(role: Role) -> str:
    """The environment variable that holds a role's own password."""
    return f"SPORTS_MARKET_{role.upper()}_PASSWORD"


@cache
def _derived(source: str, salt: str) -> str:
    """64 hex digits; slow to compute on purpose, so once per process."""
    return hashlib.scrypt(source.encode(), salt=salt.encode(), dklen=32, **_SCRYPT_COST).hex()


def from_url(
    url: str,
    role_prefix: str,
    role_password: Secret | None = None,
    own_passwords: tuple[tuple[Role, Secret], ...] = (),
) -> Warehouse:
    """The warehouse that a database URL names.

    Args:
        url: ``postgresql://user:password@host:port/dbname?parameter=value`` or libpq's ``key=value`` form.
        role_prefix: what the roles' names start with.
        role_password: what the roles' passwords are derived from, if not from the owner's.
        own_passwords: of roles whose password is not to be derived.

    Raises:
        UsageError: ``DATABASE_URL_INVALID``; the URL is not repeated, as it may hold a password.
    """
    try:
        parameters = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.ProgrammingError:
        raise UsageError(
            "DATABASE_URL_INVALID",
            "The database URL cannot be read.",
            "Write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; escape special characters in the password (%40 for @).",
        ) from None
    defaults = {option.keyword.decode(): (option.val or b"").decode() for option in pq.Conninfo.get_defaults()}
    user = parameters.pop("user", "") or defaults["user"]
    password = parameters.pop("password", "")
    return Warehouse(
        host=parameters.pop("host", "") or defaults["host"],
        port=parameters.pop("port", "") or defaults["port"],
        dbname=parameters.pop("dbname", "") or defaults["dbname"] or user,
        owner=user,
        owner_password=Secret(password) if password else None,
        role_prefix=role_prefix,
        role_password=role_password,
        own_passwords=own_passwords,
        parameters=tuple(sorted(parameters.items())),
    )


def check_server(connection: Connection, warehouse: Warehouse) -> None:
    """Refuse a server older than PostgreSQL 15.

    Raises:
        WarehouseError: ``SERVER_TOO_OLD``.
    """
    major = connection.info.server_version // 10000
    if major < MINIMUM_MAJOR:
        raise WarehouseError(
            "SERVER_TOO_OLD",
            f"The server at {warehouse.place} is PostgreSQL {major}; at least {MINIMUM_MAJOR} is needed.",
            "Use a newer server, or no database URL: the embedded server needs none.",
        )


def check_database(connection: Connection, warehouse: Warehouse) -> None:
    """Refuse a database whose encoding is not UTF8 or whose collation is not C.

    Raises:
        WarehouseError: ``DATABASE_ENCODING`` or ``DATABASE_COLLATION``; each prints the command that makes a right one.
    """
    # Through jsonb, as the column is called daticulocale before PostgreSQL 17 and means ICU only.
    row = connection.execute(
        "select pg_encoding_to_char(encoding), datcollate, datctype, datlocprovider::text, to_jsonb(d) ->> 'datlocale'"
        " from pg_database as d where datname = current_database()"
    ).fetchone()
    assert row is not None
    encoding, collate, ctype, provider, locale = row
    remedy = f"Make a right one: {create_database_sql('NAME')}"
    if encoding != "UTF8":
        raise WarehouseError(
            "DATABASE_ENCODING", f"The database {warehouse.place} has the encoding {encoding}; UTF8 is needed.", remedy
        )
    if provider == "b":
        found, right = f"builtin {locale}", locale == "C"
    elif provider == "c":
        found, right = f"{collate} (ctype {ctype})", {collate, ctype} <= {"C", "POSIX"}
    else:
        found, right = "one of ICU", False
    if not right:
        raise WarehouseError(
            "DATABASE_COLLATION",
            f"The database {warehouse.place} has the collation {found}; C is needed, so that order is the same everywhere.",
            remedy,
        )


def create_database_sql(name: str) -> str:
    """The command that makes a database of the right encoding and collation."""
    return (
        f"CREATE DATABASE {quoted(name)} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C';"
    )


def quoted(name: str) -> str:
    """``name`` as an SQL identifier, quoted."""
    return '"' + name.replace('"', '""') + '"'


def explain(error: psycopg.Error, warehouse: Warehouse) -> SetupError:
    """What a database error means that has its cause outside of this project: a full disk, a lost server, a missing right.

    Returns:
        An error to raise ``from`` the given one: see :func:`meaning`.
    """
    first_line = next(iter(str(error).splitlines()), type(error).__name__)
    return meaning(error.sqlstate, warehouse._without_passwords(first_line), warehouse.place)


def meaning(state: str | None, text: str, place: str = "the database") -> SetupError:
    """What an error of the server, or of the way to it, means.

    Args:
        state: its SQLSTATE; ``None`` = it came from no server, but from the driver on this side.
        text: its first line, without secrets.
        place: where it happened.

    Returns:
        ``DISK_FULL``, ``DATABASE_LOST``, ``DATABASE_FORBIDDEN``, ``WAREHOUSE_BUSY``, ``DATABASE_CANCELED``,
        ``DATABASE_EXHAUSTED`` or, for all else, ``DATABASE_ERROR``.
    """
    where = f"{place}: {text}"
    if state == "53100":
        return SetupError("DISK_FULL", f"The database server's disk is full at {where}", "Free some space, and run it again.")
    if state == "42501":
        return WarehouseError(
            "DATABASE_FORBIDDEN", f"A right is missing at {where}", "Run `sports-market db bootstrap` as the database's owner."
        )
    is_lost = (
        state in _LOST_STATES or (state.startswith("08") and state != "08P01") if state else _LOST.search(text) is not None
    )
    if is_lost:
        return WarehouseError("DATABASE_LOST", f"The server went away at {where}", "Check the server, and run it again.")
    if state in ("55P03", "40P01", "40001"):
        return WarehouseError("WAREHOUSE_BUSY", f"Somebody else holds what this needs at {where}", "Run it again.")
    if state == "57014":
        return WarehouseError(
            "DATABASE_CANCELED",
            f"The server ended a statement at {where}",
            "Look for a statement_timeout of the role, the database or the server, or for who cancelled it; then run it again.",
        )
    if (state or "").startswith("53"):
        return WarehouseError(
            "DATABASE_EXHAUSTED",
            f"The server ran out of memory, connections or locks at {where}",
            "Close other sessions, or raise the limit that it names; then run it again.",
        )
    return WarehouseError(
        "DATABASE_ERROR",
        f"The database refused a statement at {where}",
        "See the server's log; run it with --debug to see where, and report it.",
    )


# Shutdown, crash, start-up, a dropped database, sessions and transactions ended for their age.
_LOST_STATES: Final = frozenset({"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"})
# Of libpq and the drivers, whose own errors have no SQLSTATE; what they say of a wrong statement or value is none of these.
_LOST: Final = re.compile(
    r"the connection is (lost|closed)|connection (already closed|not open|pointer is NULL)|closed the connection"
    r"|no connection to the server|terminating connection|could not (send data to|receive data from) server"
    r"|SSL connection has been closed|SSL SYSCALL error|SSL error: unexpected eof|connection to server (at|on) .* failed"
    r"|connection (reset|refused|timed out)|broken pipe|connection timeout expired|(resolve|translate) host",
    re.IGNORECASE,
)
