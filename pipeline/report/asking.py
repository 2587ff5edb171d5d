"""How the report asks a warehouse: one statement, its values by name, and all its rows."""

from __future__ import annotations

from typing import Any

from pipeline.warehouse.connect import Connection


def ask(connection: Connection, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query, arrays as tuples. A query without values is sent as it stands."""
    rows = connection.execute(query.encode(), values or None).fetchall()
    return [tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in rows]
