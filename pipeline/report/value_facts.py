"""Where value is: bets that the other books hold for too cheap, arbitrages and middles, each with its quality and ages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pipeline.report.asking import SEEN, ask
from pipeline.warehouse.connect import Connection

# Of more, the best are shown.
ROWS: Final = 300


@dataclass(frozen=True, slots=True)
class Leg:
    """One bet of an arbitrage or a middle.

    Attributes:
        outcome_name, outcome_side: what is backed.
        line_point: its line: of spreads the home handicap.
        book: the book's title.
        price_decimal: after an exchange's commission.
        stake_share: of all stakes.
        age_seconds: of the quote in the answer that showed it; None where no answer says.
        is_outlier: whether the price is far from those of the other books.
    """

    outcome_name: str
    outcome_side: str
    line_point: Decimal | None
    book: str
    price_decimal: Decimal
    stake_share: Decimal
    age_seconds: int | None
    is_outlier: bool


@dataclass(frozen=True, slots=True)
class Opportunity:
    """An arbitrage or a middle, at its best.

    Attributes:
        title, sport_title, start_at: its event.
        market_key, description: its market.
        quality: clean, stale, outlier, in_play or implausible, as gold has it.
        is_open: whether it stands in the newest answer about its event.
        is_fresh: whether that answer is recent enough to speak of now.
        seen_seconds: how old that answer is; None of what is gone.
        valid_from: when it was first seen.
        shown_seconds: from then to the last answer that showed it; 0 where no second one did.
        value: of an arbitrage what it returns over the stakes; of a middle what it costs, as fractions.
        width: points between the lines of a middle; None of an arbitrage.
        winning_numbers: scores that win both bets of a middle.
        legs: the bets.
    """

    title: str
    sport_title: str
    start_at: dt.datetime
    market_key: str
    description: str | None
    quality: str
    is_open: bool
    is_fresh: bool
    seen_seconds: int | None
    valid_from: dt.datetime
    shown_seconds: int
    value: Decimal
    width: Decimal | None
    winning_numbers: tuple[int, ...]
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class Value:
    """A price that stands, above what the other operator groups hold the outcome for: a row of gold.expected_value.

    Attributes:
        title, sport_title, start_at: its event.
        market_key, description, outcome_name, outcome_side, line_point: what is backed.
        book: the book's title.
        price_decimal: after an exchange's commission.
        fair_probability: the others' consensus.
        group_count: how many they are.
        ev_fraction: what a bet brings, as a fraction of the stake, if they are right.
        is_usable: whether the quote can be acted on: the answer that shows it is recent, and it is usable there.
        age_seconds: of the quote, at the report's time.
    """

    title: str
    sport_title: str
    start_at: dt.datetime
    market_key: str
    description: str | None
    outcome_name: str
    outcome_side: str
    line_point: Decimal | None
    book: str
    price_decimal: Decimal
    fair_probability: Decimal
    group_count: int
    ev_fraction: Decimal
    is_usable: bool
    age_seconds: int


@dataclass(frozen=True, slots=True)
class Chances:
    """Value, arbitrages and middles.

    Attributes:
        values: of prices that stand, the best first.
        looked_at: prices that stand and could be held against the others.
        arbitrages, middles: open, or gone within a day: open ones first, then by quality, then by value.
        arbitrages_ever, middles_ever: quality → how many, of all time.
    """

    values: tuple[Value, ...]
    looked_at: int
    arbitrages: tuple[Opportunity, ...]
    middles: tuple[Opportunity, ...]
    arbitrages_ever: tuple[tuple[str, int], ...]
    middles_ever: tuple[tuple[str, int], ...]


def value_facts(connection: Connection, as_of: dt.datetime, sport: str | None) -> Chances:
    """What stands at a time, and what stood in the day before it."""
    asked: dict[str, Any] = {"as_of": as_of, "since": as_of - dt.timedelta(hours=24), "sport": sport, "most": ROWS}
    return Chances(
        values=tuple(Value(*row) for row in ask(connection, _VALUES, **asked)),
        looked_at=ask(connection, _LOOKED_AT, as_of=as_of, sport=sport)[0][0],
        arbitrages=tuple(_opportunity(row) for row in ask(connection, _ARBITRAGES, **asked)),
        middles=tuple(_opportunity(row) for row in ask(connection, _MIDDLES, **asked)),
        arbitrages_ever=tuple(ask(connection, _ARBITRAGES_EVER, sport=sport)),
        middles_ever=tuple(ask(connection, _MIDDLES_EVER, sport=sport)),
    )


def _opportunity(row: Sequence[Any]) -> Opportunity:
    names, sides, lines, books, prices, shares, ages, outliers, keys = row[14:]
    legs = zip(names, sides, lines, books, prices, shares, ages, (key in outliers for key in keys), strict=True)
    return Opportunity(*(*row[:14], tuple(Leg(*leg) for leg in legs)))


_VALUES: Final = """
    select
        coalesce(event.away_team || ' at ' || event.home_team, sports.title, event.sport_key),
        coalesce(sports.title, event.sport_key), event.start_at, valued.market_key, valued.description, valued.outcome_name,
        valued.outcome_side, valued.line_point, coalesce(books.title, valued.bookmaker_key), valued.price_decimal,
        valued.fair_probability, valued.group_count, valued.ev_fraction,
        valued.is_usable and extract(epoch from %(as_of)s - valued.captured_at) <= limits.pre,
        cast(floor(extract(epoch from %(as_of)s - valued.quote_at)) as integer)
    from gold.expected_value as valued
    join gold.events as event on event.event_id = valued.event_id
    left join gold.sports as sports on sports.sport_key = event.sport_key
    left join gold.bookmakers as books on books.bookmaker_key = valued.bookmaker_key
    cross join (select max(value) as pre from silver.parameters where name = 'fresh_age_pre_seconds') as limits
    where valued.ev_fraction > 0 and valued.start_at > %(as_of)s and valued.captured_at > %(since)s
        and valued.sport_key = coalesce(%(sport)s, valued.sport_key)
    order by 14 desc, valued.ev_fraction desc, valued.line_id, valued.bookmaker_key
    limit %(most)s
"""

_LOOKED_AT: Final = """
    select count(*)
    from gold.expected_value as valued
    where valued.ev_fraction is not null and valued.start_at > %(as_of)s
        and valued.sport_key = coalesce(%(sport)s, valued.sport_key)
"""


def _opportunities(table: str, told: str, points: str, best: str) -> str:
    """Arbitrages or middles: what is told of each, its legs as they were at its best, and what puts the best first.

    Args:
        table: with its schema.
        told: its value, width and winning numbers.
        points: the line point of each leg.
        best: the end of the order.
    """
    return f"""
    {SEEN}
    select
        coalesce(event.away_team || ' at ' || event.home_team, sports.title, event.sport_key),
        coalesce(sports.title, event.sport_key), event.start_at, found.market_key, found.description, found.quality,
        found.valid_to is null, coalesce(found.valid_to is null and seen.is_fresh, false),
        case when found.valid_to is null then seen.seconds end, found.valid_from,
        cast(floor(extract(epoch from coalesce(found.last_seen_at, seen.captured_at) - found.valid_from)) as integer),
        {told}, found.outcome_names, found.outcome_sides, {points},
        (
            select array_agg(coalesce(books.title, leg.bookmaker_key) order by leg.place)
            from unnest(found.books_at_best) with ordinality as leg (bookmaker_key, place)
            left join gold.bookmakers as books on books.bookmaker_key = leg.bookmaker_key
        ),
        found.prices_at_best, found.stake_shares_at_best, found.ages_at_best, found.outliers_at_best, found.books_at_best
    from {table} as found
    join gold.events as event on event.event_id = found.event_id
    left join gold.sports as sports on sports.sport_key = event.sport_key
    left join seen on seen.event_id = found.event_id
    where coalesce(found.valid_to, seen.captured_at) > %(since)s and found.sport_key = coalesce(%(sport)s, found.sport_key)
    order by
        found.valid_to is null and seen.is_fresh desc nulls last, found.valid_to is null desc,
        array_position(array['clean', 'stale', 'outlier', 'in_play', 'implausible'], found.quality), {best}
    limit %(most)s
"""


def _ever(table: str) -> str:
    """How many there were of each quality."""
    return f"""
    select quality, count(*) from {table} where sport_key = coalesce(%(sport)s, sport_key)
    group by quality order by quality
"""


_ARBITRAGES: Final = _opportunities(
    "gold.arbitrages",
    "found.margin_best, null, array[]::integer []",
    "array_fill(found.line_point, array[cardinality(found.outcome_names)])",
    "found.margin_best desc, found.arbitrage_id",
)
_MIDDLES: Final = _opportunities(
    "gold.middles",
    "found.cost_best, found.width, found.winning_numbers",
    "array[found.line_point, found.other_line_point]",
    "found.cost_best, found.middle_id",
)
_ARBITRAGES_EVER: Final = _ever("gold.arbitrages")
_MIDDLES_EVER: Final = _ever("gold.middles")
