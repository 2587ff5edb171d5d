"""No look-ahead, by truncation: how each relation of gold is cut at a time, in plain SQL, to be what it was then.

Whatever gold says of the time up to *t* must follow from answers captured by *t*. So the final gold, cut at *t*, is gold after
the batches up to *t*. Each promise says under ``cut`` how its table or view is cut, or why it is not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, Final

from pipeline.contracts.cuts import Clip, Filter, Hindsight, Newest, Rule, cut_query, rule_of
from pipeline.contracts.promises import project_files, read_promises
from pipeline.warehouse.connect import Connection

__all__ = ["RULES", "Clip", "Filter", "Hindsight", "Newest", "Rows", "columns_of", "rows_cut"]

# As the promises of gold say it.
RULES: Final[Mapping[str, Rule]] = {
    promise.name: rule_of(promise) for promise in read_promises(project_files())[1] if promise.name.startswith("gold.")
}

Rows = dict[tuple[Any, ...], int]


def columns_of(connection: Connection, name: str) -> list[str]:
    """A relation's columns, in order."""
    return [column.name for column in connection.execute(f"select * from {name} limit 0".encode()).description or ()]


def rows_cut(connection: Connection, name: str, at: dt.datetime) -> Rows:
    """The rows of a relation as the rule has them at a time, counted; ``at`` beyond all times gives them as they stand.

    Raises:
        KeyError: it has no rule, or one that does not cut.
    """
    rule = RULES[name]
    if not isinstance(rule, Clip | Filter):
        raise KeyError(f"{name} is not cut: {rule.reason}")
    columns = [column for column in columns_of(connection, name) if column not in rule.left_out]
    query = cut_query(name, rule, columns)
    rows: Rows = {}
    for values in connection.execute(query.encode(), {"at": at}):
        row = tuple(tuple(value) if isinstance(value, list) else value for value in values)
        rows[row] = rows.get(row, 0) + 1
    return rows
