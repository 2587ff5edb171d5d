"""How a table of gold is cut at a time, to be what it was then: what its promise says under ``cut``, and the SQL of it.

Whatever gold says of the time up to *t* follows from answers captured by *t*. So gold cut at *t* is gold as it was after the
batches up to *t*. Tables of hindsight, and those that tell of the newest answers alone, are not cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pipeline.contracts.promises import Promise

# Whose start says when a row is, where it has no time of its own.
EVENTS: Final = "gold.events"
START: Final = "start_at"
EVENT: Final = "event_id"


@dataclass(frozen=True, slots=True)
class Clip:
    """Stretches of time: those that began by then, open where they had not ended.

    Attributes:
        start: column of the beginning.
        end: column of the end, null while open.
        open: column → SQL, what an open row has in it.
        moving: columns that an open row derives from coverage, and so move with every answer; what they were then is not kept.
        left_out: column → why what it was then is not kept.
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
        left_out: column → why what it was then is not kept.
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


def rule_of(promise: Promise) -> Rule:
    """What a promise of gold says under ``cut``."""
    cut = promise.facts["cut"]
    if "hindsight" in cut:
        return Hindsight(cut["hindsight"])
    if "newest" in cut:
        return Newest(cut["newest"])
    left_out = cut.get("left_out", {})
    if "moment" in cut:
        return Filter(cut["moment"], left_out)
    begin, end = cut["stretch"]
    return Clip(begin, end, cut.get("open", {}), tuple(cut.get("moving", ())), left_out)


def cut_query(name: str, rule: Clip | Filter, columns: Sequence[str]) -> str:
    """The rows of a relation as the rule has them at ``%(at)s``; what is not kept of then is null.

    Args:
        name: of the relation.
        rule: its own.
        columns: those wanted, in order.
    """
    # a null of the column's own type
    then = {column: f"case when false then {column} end as {column}" for column in rule.left_out}
    if isinstance(rule, Clip):
        begin = rule.start
        opened = {rule.end: "null", **rule.open, **dict.fromkeys(rule.moving, "null")}
        open_row = f"({rule.end} is null or {rule.end} > %(at)s)"
        then = {
            column: f"case when {open_row} then {value} else {column} end as {column}" for column, value in opened.items()
        } | then
    else:
        begin = rule.moment
    return f"select {', '.join(then.get(column, column) for column in columns)} from {name} where {begin} <= %(at)s"


@dataclass(frozen=True, slots=True)
class Dating:
    """Which column says when a row is: files are parted by its month, and ``since`` and ``until`` go by it.

    Attributes:
        column: a column of the table itself, or of its event; None where a row has no time.
        of_event: whether it is the event's, of :data:`EVENTS`.
    """

    column: str | None
    of_event: bool = False


def dating_of(promise: Promise) -> Dating:
    """The one that its promise names (``month``), else the one that it is cut by, else its own start, else its event's."""
    rule, own = rule_of(promise), {column.name for column in promise.model.columns}
    if "month" in promise.facts:
        return Dating(str(promise.facts["month"]))
    if isinstance(rule, Clip):
        return Dating(rule.start)
    if isinstance(rule, Filter):
        return Dating(rule.moment)
    if START in own:
        return Dating(START)
    return Dating(START, of_event=True) if EVENT in own else Dating(None)
