"""No look-ahead, by truncation: how each relation of gold is cut at a time, in plain SQL, to be what it was then.

Whatever gold says of the time up to *t* must follow from answers captured by *t*. So the final gold, cut at *t*, is gold after
the batches up to *t*. Each promise says under ``cut`` how its table or view is cut, or why it is not.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.contracts.promises import project_files, read_promises
from pipeline.warehouse.connect import Connection


@dataclass(frozen=True, slots=True)
class Clip:
    """Stretches of time: those that began by then, open where they had not ended.

    Attributes:
        start: column of the beginning.
        end: column of the end, null while open.
        open: column → SQL, what an open row has in it.
        moving: columns that an open row derives from coverage, and so move with every answer; compared in closed rows only.
        left_out: column → why it is not compared.
    """

    start: str = "valid_from"
    end: str = "valid_to"
    open: Mapping[str, str] = field(default_factory=dict)
    moving: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Filter:
    """Facts of a moment: those by then.

    Attributes:
        moment: column.
        left_out: column → why it is not compared.
    """

    moment: str
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hindsight:
    """Not cut: what came later is meant to change it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Newest:
    """Not cut: it tells of the newest answers alone, and keeps nothing of earlier ones."""

    reason: str


Rule = Clip | Filter | Hindsight | Newest


def _rule(cut: Mapping[str, Any]) -> Rule:
    """What a promise says under ``cut``."""
    if "hindsight" in cut:
        return Hindsight(cut["hindsight"])
    if "newest" in cut:
        return Newest(cut["newest"])
    left_out = cut.get("left_out", {})
    if "moment" in cut:
        return Filter(cut["moment"], left_out)
    return Clip(*cut["stretch"], cut.get("open", {}), tuple(cut.get("moving", ())), left_out)


# As the promises of gold say it.
RULES: Final[Mapping[str, Rule]] = {
    promise.name: _rule(promise.facts["cut"])
    for promise in read_promises(project_files())[1]
    if promise.name.startswith("gold.")
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
    if isinstance(rule, Filter):
        query = f"select {', '.join(columns)} from {name} where {rule.moment} <= %(at)s"
    else:
        open_row = f"({rule.end} is null or {rule.end} > %(at)s)"
        opened = {rule.end: "null", **rule.open, **dict.fromkeys(rule.moving, "null")}
        shown = [
            f"case when {open_row} then {opened[column]} else {column} end as {column}" if column in opened else column
            for column in columns
        ]
        query = f"select {', '.join(shown)} from {name} where {rule.start} <= %(at)s"
    rows: Rows = {}
    for values in connection.execute(query.encode(), {"at": at}):
        row = tuple(tuple(value) if isinstance(value, list) else value for value in values)
        rows[row] = rows.get(row, 0) + 1
    return rows
