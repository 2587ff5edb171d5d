"""dbt on one connection and in one transaction, which the caller commits.

dbt-postgres opens a connection per thread and commits model by model. Within :func:`one_transaction` it uses the given
connection for everything, and its own BEGIN, COMMIT, ROLLBACK and close do nothing. This is the only place that reaches
into dbt-postgres; ``tests/transform/test_one_transaction.py`` fails when an upgrade moves what is replaced here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg2.extensions
from dbt.adapters.postgres.connections import PostgresConnectionManager

# Method names of dbt's connection managers that are replaced.
REPLACED: Final = ("open", "cancel", "add_begin_query", "add_commit_query", "_rollback_handle", "_close_handle")


@contextmanager
def one_transaction(handle: psycopg2.extensions.connection) -> Iterator[None]:
    """Let dbt work on ``handle`` until the block ends. Never commits, rolls back or closes it."""

    def open_(cls: type, connection: Any) -> Any:
        connection.handle = handle
        connection.state = "open"
        return connection

    def nothing(*_: Any) -> None:
        return None

    def cancel(self: Any, connection: Any) -> None:
        handle.cancel()

    manager: Any = PostgresConnectionManager
    replacements: dict[str, Any] = {
        "open": classmethod(open_),
        "cancel": cancel,
        "add_begin_query": nothing,
        "add_commit_query": nothing,
        "_rollback_handle": classmethod(nothing),
        "_close_handle": classmethod(nothing),
    }
    before = {name: manager.__dict__.get(name) for name in REPLACED}
    for name, replacement in replacements.items():
        setattr(manager, name, replacement)
    try:
        yield
    finally:
        for name, original in before.items():
            if original is None:
                delattr(manager, name)
            else:
                setattr(manager, name, original)
