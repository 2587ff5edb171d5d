"""Sessions of psycopg2: for dbt's statements, and for rows that stream, as it lets other threads work while it waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import psycopg2
from psycopg2.extensions import connection as Session

from pipeline.warehouse.connect import SESSION_SETTINGS, Role, Warehouse

_Session = TypeVar("_Session", bound=Session)


def open_session(
    warehouse: Warehouse, role: Role, factory: type[_Session], settings: Mapping[str, str] | None = None
) -> _Session:
    """A session of a role, with the project's settings; no transaction is open.

    Args:
        warehouse: the database.
        role: who logs in.
        factory: the class of the connection.
        settings: more of the server's, by name.

    Raises:
        WarehouseError: as of :meth:`Warehouse.connect`.
    """
    with warehouse.connect(role):  # checks the server and the database, with our errors
        pass
    session = psycopg2.connect(warehouse.conninfo(role), connection_factory=factory)
    try:
        # libpq lets PGTZ and PGDATESTYLE of the environment win over the connection string
        chosen = {**SESSION_SETTINGS, **(settings or {})}
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute(
                "select set_config(lower(name), value, false) from unnest(%s::text[], %s::text[]) as t (name, value)",
                [list(chosen.keys()), list(chosen.values())],
            )
        session.autocommit = False
    except BaseException:
        session.close()
        raise
    return session
