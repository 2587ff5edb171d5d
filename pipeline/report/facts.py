"""Everything that a report tells of a warehouse, read as the reader in one snapshot; each part's SQL is beside its types.

Nothing here looks at a clock: a report is as of the newest admitted answer. Rows come in a total order.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pipeline.errors import UsageError, WarehouseError
from pipeline.report.asking import ask
from pipeline.report.book_facts import Books, book_facts
from pipeline.report.closing_facts import Closings, closing_facts
from pipeline.report.movement_facts import Event, Movement, event_facts, liveliest, movement_facts
from pipeline.report.proof_facts import Proof, batch_states, proof_facts
from pipeline.report.screen_facts import Screen, screen_facts
from pipeline.report.value_facts import Chances, value_facts
from pipeline.warehouse.connect import Connection


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to report on.

    Attributes:
        events: ids of those whose lines are drawn; empty for those with the most movement.
        sport: only this sport.
        most: so many events, where none is named.
        explain_at: where ``up`` explains rows, for links; None for none.
    """

    events: tuple[str, ...] = ()
    sport: str | None = None
    most: int = 3
    explain_at: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a report tells of a warehouse.

    Attributes:
        as_of: captured_at of the newest admitted answer: the report's now.
        first_at: of the oldest.
        only_sport: title of the sport that it is narrowed to; None for all.
        is_simulated: whether no event is real.
        screen: what is quoted now.
        movement: what moved.
        events: those whose lines are drawn.
        chosen_by: how they were chosen, in words.
        chances: value, arbitrages and middles.
        closings: closing against opening.
        books: what the books are like.
        proof: what was taken in and proven, and how the batches are.
    """

    as_of: dt.datetime
    first_at: dt.datetime
    only_sport: str | None
    is_simulated: bool
    screen: Screen
    movement: Movement
    events: tuple[Event, ...]
    chosen_by: str
    chances: Chances
    closings: Closings
    books: Books
    proof: Proof


def gather(connection: Connection, wanted: Wanted) -> Facts:
    """Read it all, in one snapshot of the database.

    Args:
        connection: of the reader, or any other role; fresh.
        wanted: which events.

    Raises:
        UsageError: ``NO_SUCH_EVENT`` or ``NO_SUCH_SPORT``.
        WarehouseError: ``NOTHING_TO_REPORT``: no batch is published.
    """
    connection.execute("set transaction isolation level repeatable read, read only")
    states = dict(batch_states(connection))
    if not states.get("published"):
        raise WarehouseError(
            "NOTHING_TO_REPORT",
            f"The warehouse holds no published batch ({states.get('withheld', 0)} withheld).",
            "Load a recording into it, or give one with --recording.",
        )
    [(first_at, as_of)] = ask(connection, "select min(captured_at), max(captured_at) from silver.coverage")
    only_sport = _sport_title(connection, wanted.sport)
    chosen, chosen_by = _choose(connection, as_of, wanted)
    sources = ask(connection, "select distinct source from gold.events order by source")
    return Facts(
        as_of=as_of,
        first_at=first_at,
        only_sport=only_sport,
        is_simulated=sources == [("simulated",)],
        screen=screen_facts(connection, as_of, wanted.sport),
        movement=movement_facts(connection, as_of, wanted.sport),
        events=tuple(event_facts(connection, event_id, as_of) for event_id in chosen),
        chosen_by=chosen_by,
        chances=value_facts(connection, as_of, wanted.sport),
        closings=closing_facts(connection, as_of, wanted.sport),
        books=book_facts(connection, wanted.sport),
        proof=proof_facts(connection),
    )


def _sport_title(connection: Connection, sport: str | None) -> str | None:
    if sport is None:
        return None
    titles = dict(ask(connection, "select sport_key, coalesce(title, sport_key) from gold.sports order by sport_key"))
    if sport not in titles:
        raise UsageError("NO_SUCH_SPORT", f"The warehouse has no sport {sport!r}.", f"It has {', '.join(titles) or 'none'}.")
    return str(titles[sport])


def _choose(connection: Connection, as_of: dt.datetime, wanted: Wanted) -> tuple[tuple[str, ...], str]:
    """The events to draw, and how they came to be chosen."""
    if not wanted.events:
        found = liveliest(connection, as_of, wanted.sport, wanted.most)
        return found, "those with the most changes before the start, games that are still to come first"
    known = ask(connection, "select event_id from gold.events where event_id = any (%(ids)s)", ids=list(wanted.events))
    missing = [event_id for event_id in wanted.events if (event_id,) not in known]
    if missing:
        raise UsageError(
            "NO_SUCH_EVENT",
            f"The warehouse has no event {', '.join(missing)}.",
            "Take an event_id of gold.events; without --event, the report takes those that moved most.",
        )
    return tuple(dict.fromkeys(wanted.events)), "as named"
