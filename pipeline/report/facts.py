"""What the report tells, read from a warehouse as the reader: every question in SQL is here, and every answer is typed.

Nothing here looks at a clock: a report is as of the newest admitted answer. Rows come in a total order.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from pipeline.errors import UsageError, WarehouseError
from pipeline.warehouse.connect import Connection
from pipeline.warehouse.digest import stored_digests

# Of a warehouse of years, a report shows the newest batches.
BATCHES: Final = 200
# The markets of a game that every book has.
GAME_MARKETS: Final = ("h2h", "spreads", "totals")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to report on.

    Attributes:
        events: ids; empty for those with the most movement.
        sport: only events of this sport.
        most: so many events, where none is named.
    """

    events: tuple[str, ...] = ()
    sport: str | None = None
    most: int = 3


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, as ops and gold have it.

    Attributes:
        batch_id: begins with its time.
        state: sealed, published or withheld.
        detail: why it is withheld.
        exchanges: requests, each attempt counted.
        failures: that got no answer.
        quarantined, waived, withdrawn: answers with that verdict.
        failed_checks: of the batch.
        events, books, outcomes: that it shows; None where it is not published.
        outcomes_median: of the batches of its plan before it; None for the first.
        quote_age_p50_seconds, quote_age_p95_seconds: of its quotes.
        starts_suspect: starts that it gave and that were not believed.
        results_missing: games whose score the API will soon forget.
    """

    batch_id: str
    state: str
    detail: str | None
    exchanges: int
    failures: int
    quarantined: int
    waived: int
    withdrawn: int
    failed_checks: int
    events: int | None
    books: int | None
    outcomes: int | None
    outcomes_median: int | None
    quote_age_p50_seconds: int | None
    quote_age_p95_seconds: int | None
    starts_suspect: int | None
    results_missing: int | None


@dataclass(frozen=True, slots=True)
class Check:
    """A check, and of how many batches it passed, warned and failed."""

    name: str
    passed: int
    warned: int
    failed: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A value that one source had from a time on.

    Attributes:
        source: a bookmaker, or ``consensus``.
        begins: from then.
        ends: until then; the event's start, or the newest answer, where it lasted so long.
        value: a probability, or points.
    """

    source: str
    begins: dt.datetime
    ends: dt.datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class BestPrice:
    """The best price of an outcome at the event's start, or now where it is not reached.

    Attributes:
        market_key: the market.
        line_point: the line; None for h2h.
        outcome_name: the outcome.
        price_decimal: the best price.
        books: that offer it.
        book_count: books that offer any.
        age_at_open_seconds: how old the quote was as it became the best; None where the answer does not say.
        stood_seconds: since then.
    """

    market_key: str
    line_point: Decimal | None
    outcome_name: str
    price_decimal: Decimal
    books: tuple[str, ...]
    book_count: int
    age_at_open_seconds: int | None
    stood_seconds: int


@dataclass(frozen=True, slots=True)
class OpenClose:
    """One book's first and last price of the home side (or first outcome) before the start.

    Attributes:
        bookmaker_key: the book.
        outcome_name: the outcome.
        opening_price_decimal: of its first quote.
        is_left_censored: whether that quote was there when it was first asked for, so that it is no opening.
        closing_price_decimal: the last sound price before the start; None where there is none.
        closing_age_seconds: from the quote to the start.
        close_status: ok, aged, old, not_quoting, unplayed, none, provisional.
        is_closing: whether that price is a close: ok or aged.
    """

    bookmaker_key: str
    outcome_name: str
    opening_price_decimal: Decimal
    is_left_censored: bool
    closing_price_decimal: Decimal | None
    closing_age_seconds: int | None
    close_status: str
    is_closing: bool


@dataclass(frozen=True, slots=True)
class Event:
    """An event that was chosen, and what is told of it.

    Attributes:
        event_id: its id.
        sport_key: its sport.
        title: away at home.
        home_team: whose chance the lines show; None for outrights.
        start_at: believed start.
        status: as gold.events has it.
        source: as gold.events has it.
        changes: prices or points that changed before the start.
        chances: fair probability of the home side before the start, by book and by consensus.
        totals: the total that each book hung before the start.
        best_prices: in order of market, line and outcome.
        closings: in order of book.
    """

    event_id: str
    sport_key: str
    title: str
    home_team: str | None
    start_at: dt.datetime
    status: str
    source: str
    changes: int
    chances: tuple[Stretch, ...] = ()
    totals: tuple[Stretch, ...] = ()
    best_prices: tuple[BestPrice, ...] = ()
    closings: tuple[OpenClose, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """A book's hold in one market: the mean over its sound sets before the start, each stretch of no change counted once."""

    bookmaker_key: str
    market_key: str
    sets: int
    mean_hold: Decimal


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well probabilities fitted what happened: a row of gold.calibration."""

    sport_key: str
    market_key: str
    outcome_set: str
    bookmaker_key: str
    method: str
    horizon_hours: int
    n_events: int
    brier: Decimal
    brier_se: Decimal | None
    log_loss: Decimal
    publishable: bool


@dataclass(frozen=True, slots=True)
class Credits:
    """What a sport's endpoint cost on a day."""

    day: dt.date
    endpoint: str
    sport_key: str | None
    calls: int
    computed: int
    reported: int
    doubtful: int


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a report tells of a warehouse.

    Attributes:
        as_of: captured_at of the newest admitted answer.
        first_at: of the oldest.
        batch_states: how many batches are in each state, of all.
        batches: the newest, in order of time.
        checks: of the published batches, by name.
        digests: stored gold table → sha256.
        events: the chosen ones.
        chosen_by: how they were chosen, in words.
        holds: in order of book and market.
        completed: events with a completed score.
        calibration: how well probabilities fitted what happened; empty where nothing was graded.
        credits: newest day first.
    """

    as_of: dt.datetime
    first_at: dt.datetime
    batch_states: tuple[tuple[str, int], ...]
    batches: tuple[Batch, ...]
    checks: tuple[Check, ...]
    digests: tuple[tuple[str, str], ...]
    events: tuple[Event, ...]
    chosen_by: str
    holds: tuple[Hold, ...]
    completed: int
    calibration: tuple[Calibration, ...]
    credits: tuple[Credits, ...]


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
    states = _rows(connection, "select state, count(*) from ops.batch_states group by state order by state")
    if not dict(states).get("published"):
        withheld = dict(states).get("withheld", 0)
        raise WarehouseError(
            "NOTHING_TO_REPORT",
            f"The warehouse holds no published batch ({withheld} withheld).",
            "Load a recording into it, or give one with --recording.",
        )
    [(first_at, as_of)] = _rows(connection, "select min(captured_at), max(captured_at) from silver.coverage")
    chosen, chosen_by = _choose(connection, wanted)
    return Facts(
        as_of=as_of,
        first_at=first_at,
        batch_states=tuple(states),
        batches=tuple(Batch(*row) for row in reversed(_rows(connection, _BATCHES, limit=BATCHES))),
        checks=tuple(Check(*row) for row in _rows(connection, _CHECKS)),
        digests=tuple(stored_digests(connection).items()),
        events=tuple(_event(connection, event_id, as_of) for event_id in chosen),
        chosen_by=chosen_by,
        holds=tuple(Hold(*row) for row in _rows(connection, _HOLDS, markets=list(GAME_MARKETS), sport=wanted.sport)),
        completed=_rows(connection, "select count(*) from gold.results where completed")[0][0],
        calibration=tuple(Calibration(*row) for row in _rows(connection, _CALIBRATION, sport=wanted.sport)),
        credits=tuple(Credits(*row) for row in _rows(connection, _CREDITS)),
    )


# only what a rerun finds again: no time at which something was loaded or checked
_BATCHES: Final = """
    select
        newest.batch_id, newest.state, newest.detail, newest.exchanges, newest.failures, newest.quarantined, newest.waived,
        newest.withdrawn, newest.failed_checks, health.events, health.books, health.outcomes, health.outcomes_median,
        health.quote_age_p50_seconds, health.quote_age_p95_seconds, health.starts_suspect, health.results_missing
    from (select * from ops.batch_health order by batch_id desc limit %(limit)s) as newest
    left join lateral (select * from gold.batch_health as b where b.batch_id = newest.batch_id) as health on true
    order by newest.batch_id desc
"""

_CHECKS: Final = """
    select
        results.check_name, count(*) filter (where results.status = 'pass'), count(*) filter (where results.status = 'warn'),
        count(*) filter (where results.status not in ('pass', 'warn'))
    from ops.check_results as results
    join ops.batch_states as states on states.batch_id = results.batch_id
    group by results.check_name
    order by results.check_name
"""

_HOLDS: Final = """
    select margins.bookmaker_key, margins.market_key, count(*), round(avg(margins.hold), 6)
    from gold.margins as margins
    where margins.is_sound
        and margins.phase_as_known = 'pre'
        and margins.market_key = any (%(markets)s)
        and margins.sport_key = coalesce(%(sport)s, margins.sport_key)
    group by margins.bookmaker_key, margins.market_key
    order by margins.bookmaker_key, margins.market_key
"""

_LIVELIEST: Final = """
    select history.event_id
    from gold.price_history as history
    where history.end_reason = 'changed'
        and history.phase_as_known = 'pre'
        and history.market_key = any (%(markets)s)
        and history.sport_key = coalesce(%(sport)s, history.sport_key)
    group by history.event_id
    order by count(*) desc, history.event_id
    limit %(most)s
"""

_EVENT: Final = """
    select
        event.event_id, event.sport_key,
        coalesce(event.away_team || ' at ' || event.home_team, sports.title, event.sport_key), event.home_team,
        event.start_at, event.status, event.source,
        (
            select count(*)
            from gold.price_history as history
            where history.event_id = event.event_id and history.end_reason = 'changed' and history.phase_as_known = 'pre'
        )
    from gold.events as event
    left join gold.sports as sports on sports.sport_key = event.sport_key
    where event.event_id = %(event)s
"""

# a stretch that reaches over the start is cut there
_CHANCES: Final = """
    select fair.bookmaker_key, fair.valid_from, least(fair.valid_to, event.start_at, %(as_of)s), fair.fair_power
    from gold.events as event
    join gold.fair_probabilities as fair on fair.event_id = event.event_id and fair.valid_from < event.start_at
    where event.event_id = %(event)s
        and fair.market_key = 'h2h'
        and fair.outcome_side = 'home'
        and fair.set_no = 1
        and fair.is_sound
        and fair.fair_power is not null
    union all
    select 'consensus', consensus.valid_from, least(consensus.valid_to, event.start_at, %(as_of)s), consensus.fair_median
    from gold.events as event
    join gold.consensus as consensus on consensus.event_id = event.event_id and consensus.valid_from < event.start_at
    where event.event_id = %(event)s
        and consensus.market_key = 'h2h'
        and consensus.outcome_side = 'home'
        and consensus.method = 'power'
        and consensus.fair_median is not null
    order by 1, 2, 4
"""

_TOTALS: Final = """
    select history.bookmaker_key, history.valid_from, least(history.valid_to, event.start_at, %(as_of)s), history.point
    from gold.events as event
    join gold.price_history as history on history.event_id = event.event_id and history.valid_from < event.start_at
    where event.event_id = %(event)s
        and history.market_key = 'totals'
        and history.outcome_side = 'over'
        and history.line_rank = 1
        and history.point is not null
    order by history.bookmaker_key, history.valid_from
"""

_BEST_PRICES: Final = """
    select
        best.market_key, best.line_point, best.outcome_name, best.best_price_decimal, best.books, best.book_count,
        best.age_at_open_seconds, cast(floor(extract(epoch from moment.at - best.valid_from)) as integer)
    from gold.events as event
    cross join lateral (
        select least(event.start_at, %(as_of)s) as at
    ) as moment
    join gold.best_price as best
        on best.event_id = event.event_id
        and best.valid_from <= moment.at
        and (best.valid_to is null or best.valid_to > moment.at)
    where event.event_id = %(event)s and best.market_key = any (%(markets)s)
    order by best.market_key, best.book_count desc, best.line_point, best.outcome_name, best.line_id
"""

_CLOSINGS: Final = """
    select
        closings.bookmaker_key, closings.outcome_name, openings.price_decimal, openings.is_left_censored,
        closings.price_decimal, closings.closing_age_seconds, closings.close_status,
        closings.is_closing
    from gold.closings as closings
    join gold.openings as openings
        on openings.event_id = closings.event_id
        and openings.series_id = closings.series_id
    where closings.event_id = %(event)s and closings.market_key = 'h2h' and closings.outcome_side = 'home'
    order by closings.bookmaker_key, closings.series_id
"""

_CREDITS: Final = """
    select day, endpoint, sport_key, calls, computed, reported, doubtful
    from ops.credits
    order by day desc, endpoint, sport_key nulls first
"""

_CALIBRATION: Final = """
    select
        sport_key, market_key, outcome_set, bookmaker_key, method, horizon_hours, n_events, brier, brier_se, log_loss,
        publishable
    from gold.calibration
    where method = 'power' and sport_key = coalesce(%(sport)s, sport_key)
    order by sport_key, market_key, outcome_set, horizon_hours, bookmaker_key, method
"""


def _choose(connection: Connection, wanted: Wanted) -> tuple[tuple[str, ...], str]:
    """The events to tell of, and how they came to be chosen."""
    if wanted.sport is not None:
        sports = [key for (key,) in _rows(connection, "select sport_key from gold.sports order by sport_key")]
        if wanted.sport not in sports:
            raise UsageError(
                "NO_SUCH_SPORT", f"The warehouse has no sport {wanted.sport!r}.", f"It has {', '.join(sports) or 'none'}."
            )
    if wanted.events:
        found = _rows(connection, "select event_id from gold.events where event_id = any (%(ids)s)", ids=list(wanted.events))
        missing = [event_id for event_id in wanted.events if (event_id,) not in found]
        if missing:
            raise UsageError(
                "NO_SUCH_EVENT",
                f"The warehouse has no event {', '.join(missing)}.",
                "Take an event_id of gold.events; without --event, the report takes those that moved most.",
            )
        return tuple(dict.fromkeys(wanted.events)), "named"
    rows = _rows(connection, _LIVELIEST, markets=list(GAME_MARKETS), sport=wanted.sport, most=wanted.most)
    return tuple(event_id for (event_id,) in rows), "the most changes of price or point before the start"


def _event(connection: Connection, event_id: str, as_of: dt.datetime) -> Event:
    def ask(query: str) -> list[tuple[Any, ...]]:
        return _rows(connection, query, event=event_id, as_of=as_of, markets=list(GAME_MARKETS))

    [facts] = ask(_EVENT)
    return replace(
        Event(*facts),
        chances=tuple(Stretch(*row) for row in ask(_CHANCES)),
        totals=tuple(Stretch(*row) for row in ask(_TOTALS)),
        best_prices=tuple(_best_price(*row) for row in ask(_BEST_PRICES)),
        closings=tuple(OpenClose(*row) for row in ask(_CLOSINGS)),
    )


def _best_price(market: str, line: Decimal | None, outcome: str, price: Decimal, books: list[str], *rest: Any) -> BestPrice:
    return BestPrice(market, line, outcome, price, tuple(books), *rest)


def _rows(connection: Connection, query: str, **values: Any) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode(), values or None).fetchall()


def total(pairs: Sequence[tuple[str, int]]) -> int:
    """The sum of counts."""
    return sum(count for _, count in pairs)
