"""What of gold can be read and exported, and how: its relations, each with its rows' sport, their time, and how it is cut.

All of it follows from the catalogue (``dbt/relations.json``) and the promises: a table that is added is here by itself.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pipeline.contracts.cuts import EVENT, EVENTS, Clip, Dating, Filter, Hindsight, Rule, cut_query, dating_of, rule_of
from pipeline.contracts.promises import Promise, project_files, read_promises
from pipeline.errors import UsageError
from pipeline.warehouse.digest import GoldTable, relations

SCHEMA: Final = "gold."
SPORT: Final = "sport_key"


@dataclass(frozen=True, slots=True)
class Readable:
    """A relation of gold.

    Attributes:
        relation: as the catalogue has it.
        version: of its contract.
        rule: how it is cut at a time.
        dating: which column says when a row is.
        has_sport: whether a row's sport is in it.
        has_event: whether a row's event is in it.
    """

    relation: GoldTable
    version: str
    rule: Rule
    dating: Dating
    has_sport: bool
    has_event: bool

    @property
    def name(self) -> str:
        """``gold.best_price``."""
        return self.relation.name

    @property
    def short(self) -> str:
        """``best_price``."""
        return self.name.removeprefix(SCHEMA)

    @property
    def sport_sql(self) -> str | None:
        """A row's sport, over :meth:`source`; None where rows have none."""
        return f"t.{SPORT}" if self.has_sport else f"e.{SPORT}" if self.has_event else None

    @property
    def time_sql(self) -> str | None:
        """When a row is, over :meth:`source`; None where rows have no time."""
        column = self.dating.column
        return None if column is None else f"{'e' if self.dating.of_event else 't'}.{column}"

    @property
    def reads_events(self) -> bool:
        """Whether sport or time are those of the row's event."""
        return self.dating.of_event or (self.has_event and not self.has_sport)

    def source(self, rows: str | None = None) -> str:
        """What to select from: ``t`` is the relation, or rows of its form; ``e`` the row's event, where that is needed."""
        joined = f" left join {EVENTS} as e on e.{EVENT} = t.{EVENT}" if self.reads_events else ""
        return f"{rows or self.name} as t{joined}"

    def cut(self, columns: Sequence[str]) -> str:
        """The query of its rows as they were at ``%(at)s``.

        Raises:
            UsageError: ``AS_OF_HINDSIGHT``, ``AS_OF_NEWEST``: it is not cut.
        """
        if isinstance(self.rule, Clip | Filter):
            return cut_query(self.name, self.rule, columns)
        is_hindsight = isinstance(self.rule, Hindsight)
        raise UsageError(
            "AS_OF_HINDSIGHT" if is_hindsight else "AS_OF_NEWEST",
            f"{self.name} cannot be read as of a time: {self.rule.reason}.",
            "Read it without as_of, or read a table that says what was known then: the contract of each says how it is cut.",
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are wanted of each relation.

    Attributes:
        sport: of this sport only.
        since: not before this time.
        until: before this time.
    """

    sport: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    @property
    def is_all(self) -> bool:
        """Whether every row is."""
        return self == EVERYTHING

    def conditions(self, one: Readable) -> list[str]:
        """SQL over :meth:`Readable.source`, with the values of :meth:`values`; a relation without sport, or time, is whole."""
        found = []
        if self.sport is not None and one.sport_sql:
            found.append(f"{one.sport_sql} = %(sport)s")
        if self.since is not None and one.time_sql:
            found.append(f"{one.time_sql} >= %(since)s")
        if self.until is not None and one.time_sql:
            found.append(f"{one.time_sql} < %(until)s")
        return found

    def where(self, one: Readable, *more: str) -> str:
        """The conditions, and more of them, as SQL's ``where``."""
        return " and ".join([*self.conditions(one), *more]) or "true"

    def values(self) -> dict[str, Any]:
        """Of :meth:`conditions`."""
        return {"sport": self.sport, "since": self.since, "until": self.until}


EVERYTHING: Final = Wanted()


@cache
def readable() -> Mapping[str, Readable]:
    """Every relation of gold by name, ``gold.best_price``; what others are computed from comes first."""
    promises = {promise.name: promise for promise in read_promises(project_files())[1]}
    return {relation.name: readable_of(relation, promises[relation.name]) for relation in relations()}


def readable_of(relation: GoldTable, promise: Promise) -> Readable:
    """A relation as its promise has it."""
    own = {column.name for column in promise.model.columns}
    return Readable(relation, str(promise.facts["version"]), rule_of(promise), dating_of(promise), SPORT in own, EVENT in own)


def named(names: Iterable[str]) -> tuple[Readable, ...]:
    """The relations of these names, with or without their schema, each once, in the catalogue's order.

    Raises:
        UsageError: ``TABLE_UNKNOWN``.
    """
    chosen = set()
    for name in names:
        full = name if name.startswith(SCHEMA) else f"{SCHEMA}{name}"
        if full not in readable():
            near = difflib.get_close_matches(full, readable(), n=1)
            raise UsageError(
                "TABLE_UNKNOWN",
                f"Gold has no table or view {name!r}." + (f" The nearest is {near[0].removeprefix(SCHEMA)}." if near else ""),
                "The page of gold's tables lists them all (docs/gold_tables.md).",
            )
        chosen.add(full)
    return tuple(one for name, one in readable().items() if name in chosen)


def check_sport(sport: str, known: Iterable[str]) -> None:
    """See that a sport is one of those known.

    Raises:
        UsageError: ``SPORT_UNKNOWN``.
    """
    sports = sorted(known)
    if sport not in sports:
        near = difflib.get_close_matches(sport, sports, n=1)
        nearest = f"the nearest is {near[0]}" if near else f"there are {', '.join(sports[:10]) or 'none yet'}"
        raise UsageError("SPORT_UNKNOWN", f"The warehouse has no sport {sport!r}; {nearest}.", "Name a sport key that it has.")


# Of listed sports some never had an event, and events come without a list of sports.
SPORTS_QUERY: Final = f"select {SPORT} from gold.sports union select {SPORT} from {EVENTS}"


def span(since: dt.datetime | None, until: dt.datetime | None) -> None:
    """See that a span can hold anything.

    Raises:
        UsageError: ``SPAN_EMPTY``.
    """
    if since is not None and until is not None and since >= until:
        raise UsageError(
            "SPAN_EMPTY", f"Nothing is since {since.isoformat()} and before {until.isoformat()}.", "Let since be before until."
        )


def moment(value: str | dt.date | dt.datetime | None, what: str) -> dt.datetime | None:
    """A time that somebody gave: a day is its beginning in UTC.

    Args:
        value: ``2025-10-09``, ``2025-10-09T00:42:48Z`` or with another offset; or the same as a date or an aware datetime.
        what: it is, for the message.

    Raises:
        UsageError: ``TIME_INVALID``.
    """
    if value is None:
        return None
    found: dt.datetime | None = None
    try:
        if isinstance(value, dt.datetime):
            found = value
        elif isinstance(value, dt.date):
            found = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
        elif len(value) == 10:
            return moment(dt.date.fromisoformat(value), what)
        else:
            found = dt.datetime.fromisoformat(value)
        if found.tzinfo is not None:
            return found.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError("TIME_INVALID", f"{what} {value!r} is no time with a zone.", "Write 2025-10-09, or 2025-10-09T00:42:48Z.")
