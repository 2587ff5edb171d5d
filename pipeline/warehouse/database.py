"""Which server is used, and the databases on it: made, cloned, dropped; never one that this process did not make."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Final

import psycopg
from psycopg import sql

import init_db
from pipeline.errors import UsageError, WarehouseError
from pipeline.settings import Settings
from pipeline.warehouse.connect import LOCK_SECONDS, Role, Warehouse, check_server, create_database_sql, explain, from_url
from pipeline.warehouse.embedded import Door, EmbeddedServer

Say = Callable[[str], None]

EMBEDDED_DATABASE: Final = "sports_market"
_NAME_LIMIT_BYTES: Final = 63
_DROP_TRIES: Final = 50


class Server:
    """A PostgreSQL server on which databases can be made. A context manager: leaving it lets an embedded server go.

    Args:
        home: the database to connect to for making others: the URL's own, or the embedded server's ``postgres``.
        embedded: the embedded server, if it is one.
        description: what the user is told about it.

    Attributes:
        major: the server's major version, such as 18.
    """

    def __init__(self, home: Warehouse, embedded: EmbeddedServer | None, description: str) -> None:
        self.home = home
        self.embedded = embedded
        self.description = description
        self._made: set[str] = set()
        with home.connect_unchecked(Role.OWNER) as connection:
            check_server(connection, home)
            self.major = connection.info.server_version // 10000

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the embedded server go; the last process that uses it stops it. Databases stay."""
        if self.embedded is not None:
            self.embedded.close()

    def warehouse(self, dbname: str | None = None) -> Warehouse:
        """A standing database.

        Args:
            dbname: its name; ``None`` = the URL's own database, or ``sports_market`` on the embedded server, which is
                made there if it is missing.
        """
        if dbname is None and self.embedded is None:
            return self.home
        if dbname is None:
            dbname = EMBEDDED_DATABASE
            if not self.exists(dbname):
                try:
                    self.create_database(dbname)
                    self._made.discard(dbname)  # it is to stand, so nobody drops it
                except WarehouseError as error:
                    if error.code != "DATABASE_EXISTS":  # another process made it in between
                        raise
        return replace(self.home, dbname=dbname)

    def exists(self, name: str) -> bool:
        """Whether the server has a database of this name."""
        with self.home.connect_unchecked(Role.OWNER) as connection:
            return connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is not None

    def create_database(self, name: str) -> Warehouse:
        """Make an empty database: UTF8, C collation.

        Raises:
            UsageError: ``DATABASE_NAME_INVALID``.
            WarehouseError: ``DATABASE_EXISTS``, ``DATABASE_CREATE_FORBIDDEN``.
        """
        return self._create(name, create_database_sql(name).rstrip(";"))

    def close_to_others(self, warehouse: Warehouse) -> None:
        """Let nobody into a database but its owner; nothing is done where it is somebody else's."""
        statement = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(sql.Identifier(warehouse.dbname))
        with self.home.connect_unchecked(Role.OWNER) as connection, contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)

    def clone_database(self, template: Warehouse, name: str) -> Warehouse:
        """Make a database with everything that ``template`` holds. Nobody may be connected to ``template``.

        Raises:
            UsageError: ``DATABASE_NAME_INVALID``.
            WarehouseError: ``DATABASE_EXISTS``, ``DATABASE_IN_USE``, ``DATABASE_CREATE_FORBIDDEN``.
        """
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        clone = self._create(name, statement.format(sql.Identifier(name), sql.Identifier(template.dbname)).as_string())
        # Rights on a database are no part of what it holds.
        init_db.grant_database(clone)
        return clone

    def keep_as_template(self, draft: Warehouse, name: str) -> None:
        """Give a database that this object made its lasting name, and let nobody into it any more: it is there to be cloned.

        Raises:
            WarehouseError: ``DATABASE_ERROR`` and others of :func:`explain`, such as where it has sessions.
        """
        with self.home.connect_unchecked(Role.OWNER) as connection:
            try:
                made = sql.Identifier(draft.dbname)
                connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(made))
                connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(made, sql.Identifier(name)))
            except psycopg.Error as error:
                raise explain(error, draft) from error
        self._made.discard(draft.dbname)

    def drop_templates(self, prefix: str) -> None:
        """Drop what was kept under names that begin so, whoever made it. Only on the embedded server, which is our own.

        Raises:
            WarehouseError: of :func:`explain`.
        """
        assert self.embedded is not None
        with self.home.connect_unchecked(Role.OWNER) as connection:
            try:
                rows = connection.execute("select datname from pg_database where starts_with(datname, %s)", [prefix]).fetchall()
                for (name,) in rows:
                    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            except psycopg.Error as error:
                raise explain(error, self.home) from error

    def drop_database(self, warehouse: Warehouse) -> None:
        """Drop a database that this object made; sessions on it are ended. Dropping it twice is fine.

        Raises:
            UsageError: ``DATABASE_NOT_OURS``: it was there before.
            WarehouseError: ``DATABASE_IN_USE``: others' sessions are on it that we may not end.
        """
        name = warehouse.dbname
        if name not in self._made:
            raise UsageError(
                "DATABASE_NOT_OURS",
                f"The database {name} was not made by this run, so it is not dropped.",
                f"Drop it yourself if it is not needed: DROP DATABASE {name};",
            )
        with self.home.connect_unchecked(Role.OWNER) as connection:
            drop = sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name))
            try:
                connection.execute(drop + sql.SQL(" WITH (FORCE)"))
            except psycopg.errors.InsufficientPrivilege:
                # We may not end the roles' sessions; those of this process just closed, and the server needs a moment.
                self._drop_when_free(connection, drop, warehouse)
            except psycopg.Error as error:
                raise explain(error, warehouse) from error

    def _drop_when_free(
        self, connection: psycopg.Connection[tuple[object, ...]], drop: sql.Composed, warehouse: Warehouse
    ) -> None:
        for _ in range(_DROP_TRIES):
            try:
                connection.execute(drop)
                return
            except psycopg.errors.ObjectInUse:
                time.sleep(0.1)
            except psycopg.Error as error:
                raise explain(error, warehouse) from error
        raise WarehouseError(
            "DATABASE_IN_USE",
            f"Other sessions are connected to {warehouse.place}.",
            f"Close them, then: DROP DATABASE {warehouse.dbname};",
        )

    def _create(self, name: str, statement: str) -> Warehouse:
        if not name or "\0" in name or len(name.encode()) > _NAME_LIMIT_BYTES:
            raise UsageError(
                "DATABASE_NAME_INVALID",
                f"{name!r} cannot name a database.",
                f"Use 1 to {_NAME_LIMIT_BYTES} bytes.",
            )
        warehouse = replace(self.home, dbname=name)
        try:
            with self.home.connect_unchecked(Role.OWNER) as connection:
                connection.execute(statement.encode())
        except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            raise WarehouseError(
                "DATABASE_EXISTS", f"There is a database {warehouse.place} already; it stays as it is.", "Use another name."
            ) from None
        except psycopg.errors.ObjectInUse as error:
            raise WarehouseError(
                "DATABASE_IN_USE", f"Other sessions use the template of {name}: {error}", "Close them, and run it again."
            ) from error
        except psycopg.errors.InsufficientPrivilege:
            raise WarehouseError(
                "DATABASE_CREATE_FORBIDDEN",
                f"The user {self.home.owner} may not make a database at {self.home.place}.",
                f'Let an administrator run: ALTER ROLE "{self.home.owner}" CREATEDB;'
                " Or use no database URL: the embedded server needs none.",
            ) from None
        except psycopg.Error as error:
            raise explain(error, warehouse) from error
        self._made.add(name)
        return warehouse


def resolve_server(settings: Settings, say: Say, tcp_port: int | None = None) -> Server:
    """The server to use: that of the database URL, else an embedded one in the state folder. Says which.

    Args:
        settings: names the URL or the state folder, and the roles.
        say: takes one line for the user.
        tcp_port: of the loopback, where the embedded server lets the reader in (:mod:`pipeline.warehouse.reader_door`); None =
            nowhere.

    Raises:
        UsageError: ``DATABASE_URL_INVALID``; ``TCP_NOT_EMBEDDED``: a port is wanted of a server that is not our own.
        SetupError: the server cannot be reached or is too old, or the embedded server does not start.
    """
    lock_seconds = settings.lock_seconds or LOCK_SECONDS
    if tcp_port is not None:
        check_embedded(settings)
    if settings.database_url is not None:
        chosen = {
            Role.INGESTER: settings.ingester_password,
            Role.TRANSFORMER: settings.transformer_password,
            Role.READER: settings.reader_password,
        }
        own = tuple((role, password) for role, password in chosen.items() if password is not None)
        home = from_url(settings.database_url, settings.role_prefix, settings.role_password, own)
        home = replace(home, lock_seconds=lock_seconds)
        server = Server(home, None, f"the server at {home.place}")
        say(f"Warehouse: PostgreSQL {server.major} at {home.place}, as the database URL says.")
        return server
    door = None if tcp_port is None else Door(tcp_port, EMBEDDED_DATABASE, f"{settings.role_prefix}{Role.READER}")
    embedded = EmbeddedServer.start(settings.state_dir, say=say, door=door)
    try:
        home = replace(embedded.warehouse(settings.role_prefix), lock_seconds=lock_seconds)
        server = Server(home, embedded, f"the embedded server in {embedded.data_dir}")
    except BaseException:
        embedded.close()
        raise
    say(f"Warehouse: embedded PostgreSQL {server.major} in {embedded.data_dir} (no database URL is set).")
    return server


def check_embedded(settings: Settings) -> None:
    """See whether a port can be opened: only the embedded server is ours to open.

    Raises:
        UsageError: ``TCP_NOT_EMBEDDED``; the URL is not repeated, as it may hold a password.
    """
    if settings.database_url is not None:
        raise UsageError(
            "TCP_NOT_EMBEDDED",
            "A port can be opened for the embedded server only, and a database URL names another one.",
            "Leave --tcp out, as that server listens where it always does; or unset SPORTS_MARKET_DATABASE_URL.",
        )


def bootstrap(warehouse: Warehouse, say: Say | None = None) -> init_db.Outcome:
    """Make schemas, roles, tables and rights in a database, as far as they are missing. See :func:`init_db.bootstrap`."""
    return init_db.bootstrap(warehouse, say)
