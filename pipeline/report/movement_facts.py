"""What moved: markets that books moved before the start, steam, and the lines of some events over time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from pipeline.report.asking import ask
from pipeline.report.wording import GAME_MARKETS
from pipeline.warehouse.connect import Connection

# Of more, those that moved most are shown.
MOVERS: Final = 200


@dataclass(frozen=True, slots=True)
class Mover:
    """A market that operator groups moved one way within a window before the report's time, before its start.

    Attributes:
        event_id: its event.
        title: away at home.
        sport_title: its sport.
        start_at: believed start.
        market_key, description: its market.
        direction: home or away, over or under.
        toward: the team, or Over or Under.
        groups_moved, groups_quoting: operator groups.
        points: the longest move in points; None where none moved its point.
        probability: the longest move in probability, as a fraction; None where none moved at the same point.
        first_at, last_at: when the first and the last of them was seen.
        line_before, line_after: the median line of the groups before the window and now; None where there is none.
        probability_before, probability_after: the consensus of the home side then and now, of moneylines.
    """

    event_id: str
    title: str
    sport_title: str
    start_at: dt.datetime
    market_key: str
    description: str | None
    direction: str
    toward: str
    groups_moved: int
    groups_quoting: int
    points: Decimal | None
    probability: Decimal | None
    first_at: dt.datetime
    last_at: dt.datetime
    line_before: Decimal | None
    line_after: Decimal | None
    probability_before: Decimal | None
    probability_after: Decimal | None


@dataclass(frozen=True, slots=True)
class Steam:
    """Many operator groups moved one way within minutes: a row of gold.steam.

    Attributes:
        title, sport_title, market_key, description, toward: which market, and which way.
        triggered_at: when enough groups had moved.
        size, quoting_count: groups that moved, and that quoted.
        first_movers: groups that may have moved first.
        is_too_coarse: whether the answers are too far apart to tell that they moved within the window.
    """

    title: str
    sport_title: str
    market_key: str
    description: str | None
    toward: str
    triggered_at: dt.datetime
    size: int
    quoting_count: int
    first_movers: tuple[str, ...]
    is_too_coarse: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """A value that one source had from a time on.

    Attributes:
        source: a book's title, or ``consensus``.
        begins: from then.
        ends: until then; the event's start, or the newest answer, where it lasted so long.
        value: a probability, or points.
    """

    source: str
    begins: dt.datetime
    ends: dt.datetime
    value: Decimal


@dataclass(frozen=True, slots=True)
class Event:
    """An event that was chosen, and how its lines moved before the start.

    Attributes:
        event_id: its id.
        sport_title: its sport.
        title: away at home.
        home_team: whose chance the lines show; None for outrights.
        start_at: believed start.
        status: as gold.events has it.
        source: as gold.events has it.
        changes: prices or points that changed before the start.
        chances: fair probability of the home side, by book and by consensus.
        spreads: the home handicap that each book hung, and the median.
        totals: the total that each book hung, and the median.
    """

    event_id: str
    sport_title: str
    title: str
    home_team: str | None
    start_at: dt.datetime
    status: str
    source: str
    changes: int
    chances: tuple[Stretch, ...] = ()
    spreads: tuple[Stretch, ...] = ()
    totals: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class Movement:
    """What moved.

    Attributes:
        hour: of the last hour, what moved most first: by operator groups, then by how far.
        day: of the last 24 hours, likewise.
        newest_move_at: when any book's line last moved before a start; None where none did.
        steam: of the last 24 hours, the newest first.
    """

    hour: tuple[Mover, ...]
    day: tuple[Mover, ...]
    newest_move_at: dt.datetime | None
    steam: tuple[Steam, ...]


def movement_facts(connection: Connection, as_of: dt.datetime, sport: str | None) -> Movement:
    """What moved in the hour and the day before a time."""

    def movers(hours: int) -> tuple[Mover, ...]:
        since = as_of - dt.timedelta(hours=hours)
        return tuple(Mover(*row) for row in ask(connection, _MOVERS, since=since, as_of=as_of, sport=sport, most=MOVERS))

    since = as_of - dt.timedelta(hours=24)
    steam = ask(connection, _STEAM, since=since, sport=sport, most=MOVERS)
    return Movement(
        hour=movers(1),
        day=movers(24),
        newest_move_at=ask(connection, _NEWEST_MOVE, sport=sport)[0][0],
        steam=tuple(Steam(*row) for row in steam),
    )


def liveliest(connection: Connection, as_of: dt.datetime, sport: str | None, most: int) -> tuple[str, ...]:
    """The events with the most changes before the start, those whose start is still to come before all others."""
    rows = ask(connection, _LIVELIEST, as_of=as_of, markets=list(GAME_MARKETS), sport=sport, most=most)
    return tuple(event_id for (event_id,) in rows)


def event_facts(connection: Connection, event_id: str, as_of: dt.datetime) -> Event:
    """An event that is there, and its lines over time."""

    def steps(query: str, market: str = "h2h", side: str = "home") -> tuple[Stretch, ...]:
        rows = ask(connection, query, event=event_id, as_of=as_of, market=market, side=side)
        return tuple(Stretch(*row) for row in rows)

    [facts] = ask(connection, _EVENT, event=event_id)
    return replace(
        Event(*facts),
        chances=steps(_CHANCES),
        spreads=steps(_POINTS, "spreads", "home"),
        totals=steps(_POINTS, "totals", "over"),
    )


def range_of(stretches: Sequence[Stretch], source: str) -> tuple[Decimal, Decimal, Decimal, Decimal, int]:
    """The first, last, lowest and highest value of a source, and its number of stretches."""
    values = [stretch.value for stretch in stretches if stretch.source == source]
    return values[0], values[-1], min(values), max(values), len(values)


def drawings_of(event: Event) -> tuple[tuple[str, tuple[Stretch, ...]], ...]:
    """The values of an event's three drawings, by name."""
    return (("chances", event.chances), ("spreads", event.spreads), ("totals", event.totals))


def _line_at(name: str, at: str) -> str:
    """Joins the consensus line of what moved, as it stood at a time."""
    return f"""left join gold.consensus_line as {name}
        on {name}.event_id = moved.event_id and {name}.market_id = moved.market_id
        and {name}.valid_from <= {at} and ({name}.valid_to is null or {name}.valid_to > {at})"""


def _chance_at(name: str, at: str) -> str:
    """Joins the home side's fair probability in a moneyline that moved, as it stood at a time."""
    return f"""left join gold.consensus as {name}
        on {name}.event_id = moved.event_id and {name}.market_key = moved.market_key
        and {name}.description is not distinct from moved.description and {name}.outcome_set = moved.outcome_set
        and {name}.line_point is null and {name}.outcome_side = 'home' and {name}.method = 'power'
        and {name}.valid_from <= {at} and ({name}.valid_to is null or {name}.valid_to > {at})"""


# by operator groups first: one book that moves far is less than ten that move a little; moneylines have no point
_MOVERS: Final = f"""
    with moved as (
        select
            moves.event_id, moves.market_id, moves.market_key, moves.description, moves.outcome_set, moves.direction,
            count(distinct moves.operator_group) as groups_moved, max(cardinality(moves.quoting_groups)) as groups_quoting,
            max(abs(nullif(moves.delta_point, 0))) as points, max(abs(moves.delta_probability)) as probability,
            min(moves.changed_at) as first_at, max(moves.changed_at) as last_at
        from gold.moves as moves
        where moves.changed_at > %(since)s and moves.sport_key = coalesce(%(sport)s, moves.sport_key)
        group by
            moves.event_id, moves.market_id, moves.market_key, moves.description, moves.outcome_set, moves.direction
    )

    select
        moved.event_id, coalesce(event.away_team || ' at ' || event.home_team, sports.title, event.sport_key),
        coalesce(sports.title, event.sport_key), event.start_at, moved.market_key, moved.description, moved.direction,
        case moved.direction
            when 'home' then coalesce(event.home_team, 'home') when 'away' then coalesce(event.away_team, 'away')
            else initcap(moved.direction)
        end,
        moved.groups_moved, moved.groups_quoting, moved.points, moved.probability, moved.first_at, moved.last_at,
        line_before.line_median, line_after.line_median, before.fair_median, after.fair_median
    from moved
    join gold.events as event on event.event_id = moved.event_id
    left join gold.sports as sports on sports.sport_key = event.sport_key
    {_line_at("line_before", "%(since)s")}
    {_line_at("line_after", "moved.last_at")}
    {_chance_at("before", "%(since)s")}
    {_chance_at("after", "moved.last_at")}
    order by
        moved.groups_moved desc, moved.points desc nulls last, moved.probability desc nulls last, moved.event_id,
        moved.market_key, moved.description nulls first, moved.outcome_set, moved.direction
    limit %(most)s
"""

_NEWEST_MOVE: Final = """
    select max(changed_at) from gold.moves where sport_key = coalesce(%(sport)s, sport_key)
"""

_STEAM: Final = """
    select
        coalesce(event.away_team || ' at ' || event.home_team, sports.title, event.sport_key),
        coalesce(sports.title, event.sport_key), steam.market_key, steam.description,
        case steam.direction
            when 'home' then coalesce(event.home_team, 'home') when 'away' then coalesce(event.away_team, 'away')
            else initcap(steam.direction)
        end,
        steam.triggered_at, steam.size, steam.quoting_count,
        (
            select array_agg(coalesce(desk.titles, mover.operator_group) order by mover.operator_group)
            from unnest(steam.first_movers) as mover (operator_group)
            left join lateral (
                select string_agg(distinct books.title, '/') as titles
                from gold.bookmakers as books
                left join silver.book_profile as profile on profile.bookmaker_key = books.bookmaker_key
                where coalesce(profile.operator_group, books.bookmaker_key) = mover.operator_group
            ) as desk on true
        ),
        steam.too_coarse
    from gold.steam as steam
    join gold.events as event on event.event_id = steam.event_id
    left join gold.sports as sports on sports.sport_key = event.sport_key
    where steam.triggered_at > %(since)s and steam.sport_key = coalesce(%(sport)s, steam.sport_key)
    order by
        steam.triggered_at desc, steam.size desc, steam.event_id, steam.market_key, steam.description nulls first,
        steam.outcome_set, steam.direction
    limit %(most)s
"""

_LIVELIEST: Final = """
    select history.event_id
    from gold.price_history as history
    join gold.events as event on event.event_id = history.event_id
    where history.end_reason = 'changed'
        and history.phase_as_known = 'pre'
        and history.market_key = any (%(markets)s)
        and history.sport_key = coalesce(%(sport)s, history.sport_key)
    group by history.event_id, event.status, event.start_at
    order by event.status = 'listed' and event.start_at > %(as_of)s desc, count(*) desc, history.event_id
    limit %(most)s
"""

_EVENT: Final = """
    select
        event.event_id, coalesce(sports.title, event.sport_key),
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
    select
        coalesce(books.title, fair.bookmaker_key), fair.valid_from, least(fair.valid_to, event.start_at, %(as_of)s),
        fair.fair_power
    from gold.events as event
    join gold.fair_probabilities as fair on fair.event_id = event.event_id and fair.valid_from < event.start_at
    left join gold.bookmakers as books on books.bookmaker_key = fair.bookmaker_key
    where event.event_id = %(event)s
        and fair.market_key = %(market)s
        and fair.outcome_side = %(side)s
        and fair.set_no = 1
        and fair.is_sound
        and fair.fair_power is not null
        and fair.valid_from < %(as_of)s
    union all
    select 'consensus', consensus.valid_from, least(consensus.valid_to, event.start_at, %(as_of)s), consensus.fair_median
    from gold.events as event
    join gold.consensus as consensus on consensus.event_id = event.event_id and consensus.valid_from < event.start_at
    where event.event_id = %(event)s
        and consensus.market_key = %(market)s
        and consensus.outcome_side = %(side)s
        and consensus.method = 'power'
        and consensus.fair_median is not null
        and consensus.valid_from < %(as_of)s
    order by 1, 2, 4
"""

_POINTS: Final = """
    select
        coalesce(books.title, history.bookmaker_key), history.valid_from,
        least(history.valid_to, event.start_at, %(as_of)s), history.point
    from gold.events as event
    join gold.price_history as history on history.event_id = event.event_id and history.valid_from < event.start_at
    left join gold.bookmakers as books on books.bookmaker_key = history.bookmaker_key
    where event.event_id = %(event)s
        and history.market_key = %(market)s
        and history.outcome_side = %(side)s
        and history.line_rank = 1
        and history.point is not null
        and history.valid_from < %(as_of)s
    union all
    select 'consensus', line.valid_from, least(line.valid_to, event.start_at, %(as_of)s), line.line_median
    from gold.events as event
    join gold.consensus_line as line on line.event_id = event.event_id and line.valid_from < event.start_at
    where event.event_id = %(event)s
        and line.market_key = %(market)s
        and line.description is null
        and line.line_median is not null
        and line.valid_from < %(as_of)s
    order by 1, 2, 4
"""
