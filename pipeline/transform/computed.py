"""Views, computed once for all that looks at all their rows.

A view is read by its tests, by its contract, by its digest, and by other views. Computed anew for each of them, the same rows
are made many times over. So they are kept in tables for as long as a transaction lasts, which is rolled back at its end: nobody
else sees these tables, and nobody waits for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from pipeline.transform.engine import Session

# ``schema.view`` → a relation that holds its rows
Computed: TypeAlias = Mapping[str, str]

_MADE: Final = re.compile(
    r'\Acreate view "(?P<schema>\w+)"\."(?P<name>\w+)__dbt_tmp"\s+as \(\n(?P<query>.*)\);?\s*\Z', re.DOTALL
)
_SUFFIX: Final = "__computed"


def queries_of_views(statements: Iterable[str]) -> dict[str, str]:
    """``schema.view`` of gold → its query, in the order in which they are made; staging would be all bodies once more.

    Args:
        statements: that make all relations, as dbt renders them.
    """
    found = (_MADE.match(statement) for statement in statements)
    return {
        f"{made['schema']}.{made['name']}": made["query"] for made in found if made is not None and made["schema"] == "gold"
    }


def compute_views(session: Session, queries: Mapping[str, str], tell: Callable[[], None] = lambda: None) -> dict[str, str]:
    """Fill a table from each view, one upon the other.

    Args:
        session: in a transaction that the caller rolls back.
        queries: of :func:`queries_of_views`.
        tell: called after each.
    """
    computed: dict[str, str] = {}
    with session.cursor() as cursor:
        for view, query in queries.items():
            copy = f"{view}{_SUFFIX}"
            cursor.execute(f"create unlogged table {copy} as (\n{reading(query, computed)})")
            cursor.execute(f"analyze {copy}")
            computed[view] = copy
            tell()
    return computed


def reading(query: str, computed: Computed) -> str:
    """A query as dbt renders it, which reads the tables in the views' place."""
    for view, copy in computed.items():
        query = query.replace(_quoted(view), _quoted(copy))
    return query


def _quoted(relation: str) -> str:
    return ".".join(f'"{part}"' for part in relation.split("."))
