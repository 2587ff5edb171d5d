"""What the books are like: what they keep, whether they close and are there, and what their prices were worth at the close."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pipeline.report.asking import ask
from pipeline.report.wording import GAME_MARKETS
from pipeline.warehouse.connect import Connection


@dataclass(frozen=True, slots=True)
class BookRow:
    """A book in a sport. Shares and means are fractions, and None where there is nothing to count.

    Attributes:
        book, sport_title: which.
        is_exchange: whether its prices are before commission.
        hold_h2h, hold_spreads, hold_totals: mean hold of sound sets before the start, each stretch of no change once.
        sets: these sets.
        closes, closable: markets of games that began with a close, and all of them.
        uptime: of each event that an answer shows and that the book was asked for, how often it was there.
        stale_share: quotes that were too old to use.
        outlier_share: sets that were far from those of the others.
        clv_1h, prices_1h: mean closing line value of its prices an hour before the start, and of how many.
        clv_24h, prices_24h: a day before.
    """

    book: str
    sport_title: str
    is_exchange: bool
    hold_h2h: Decimal | None
    hold_spreads: Decimal | None
    hold_totals: Decimal | None
    sets: int
    closes: int
    closable: int
    uptime: Decimal | None
    stale_share: Decimal | None
    outlier_share: Decimal | None
    clv_1h: Decimal | None
    prices_1h: int
    clv_24h: Decimal | None
    prices_24h: int


@dataclass(frozen=True, slots=True)
class Clv:
    """What a book's prices of a time before the start were worth at the close.

    Attributes:
        book, sport_title, horizon: opening, 24h, 6h, 1h or 15min.
        prices: that were compared with a close.
        same_point_share: of them, those whose point had not moved.
        mean_ev: mean of price × closing consensus - 1, where the point had not moved; None without any.
        mean_price: mean of price / the same book's closing price - 1.
    """

    book: str
    sport_title: str
    horizon: str
    prices: int
    same_point_share: Decimal
    mean_ev: Decimal | None
    mean_price: Decimal | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well probabilities fitted what happened: a row of gold.calibration of enough events."""

    sport_title: str
    market_key: str
    outcome_set: str
    book: str
    horizon_hours: int
    n_events: int
    brier: Decimal
    brier_se: Decimal | None
    log_loss: Decimal


@dataclass(frozen=True, slots=True)
class Graded:
    """How far a sport is from a calibration: the most events that any of its rows has."""

    sport_title: str
    most_events: int


@dataclass(frozen=True, slots=True)
class Books:
    """The books.

    Attributes:
        rows: in order of sport and title.
        clv: likewise, by horizon from the opening to the close.
        completed: events with a final score.
        graded: by sport.
        needed: events from which on a row of calibration counts.
        calibration: the rows that count.
    """

    rows: tuple[BookRow, ...]
    clv: tuple[Clv, ...]
    completed: int
    graded: tuple[Graded, ...]
    needed: int
    calibration: tuple[Calibration, ...]


def book_facts(connection: Connection, sport: str | None) -> Books:
    """The books of all sports, or of one."""
    return Books(
        rows=tuple(BookRow(*row) for row in ask(connection, _ROWS, sport=sport, markets=list(GAME_MARKETS))),
        clv=tuple(Clv(*row) for row in ask(connection, _CLV, sport=sport)),
        completed=ask(connection, "select count(*) from gold.results where completed")[0][0],
        graded=tuple(Graded(*row) for row in ask(connection, _GRADED, sport=sport)),
        needed=ask(connection, _NEEDED)[0][0],
        calibration=tuple(Calibration(*row) for row in ask(connection, _CALIBRATION, sport=sport)),
    )


_ROWS: Final = """
    with holds as (
        select
            margins.sport_key, margins.bookmaker_key, count(*) as sets,
            round(avg(margins.hold) filter (where margins.market_key = 'h2h'), 6) as hold_h2h,
            round(avg(margins.hold) filter (where margins.market_key = 'spreads'), 6) as hold_spreads,
            round(avg(margins.hold) filter (where margins.market_key = 'totals'), 6) as hold_totals
        from gold.margins as margins
        where margins.is_sound and margins.phase_as_known = 'pre' and margins.market_key = any (%(markets)s)
        group by margins.sport_key, margins.bookmaker_key
    ),

    -- gold's rows are by month: the months together
    scores as (
        select
            card.sport_key, card.bookmaker_key,
            round(sum(card.uptime * card.covering_captures) / nullif(sum(card.covering_captures), 0), 6) as uptime,
            round(sum(card.stale_share * card.aged_quotes) / nullif(sum(card.aged_quotes), 0), 6) as stale_share,
            round(sum(card.outlier_share * card.compared_sets) / nullif(sum(card.compared_sets), 0), 6) as outlier_share
        from gold.book_scorecard as card
        group by card.sport_key, card.bookmaker_key
    ),

    coverage as (
        select
            closes.sport_key, closes.bookmaker_key, sum(closes.ok_count + closes.aged_count) as closes,
            sum(closes.event_count) as closable
        from gold.closing_coverage as closes
        where closes.market_key = any (%(markets)s)
        group by closes.sport_key, closes.bookmaker_key
    ),

    worth as (
        select
            clv.sport_key, clv.bookmaker_key,
            round(avg(clv.clv_ev) filter (where clv.horizon = '1h'), 6) as clv_1h,
            count(clv.clv_ev) filter (where clv.horizon = '1h') as prices_1h,
            round(avg(clv.clv_ev) filter (where clv.horizon = '24h'), 6) as clv_24h,
            count(clv.clv_ev) filter (where clv.horizon = '24h') as prices_24h
        from gold.clv as clv
        where clv.is_closing and clv.market_key = any (%(markets)s)
        group by clv.sport_key, clv.bookmaker_key
    ),

    known as (
        select sport_key, bookmaker_key from holds
        union
        select sport_key, bookmaker_key from scores where uptime > 0
    )

    select
        coalesce(books.title, known.bookmaker_key), coalesce(sports.title, known.sport_key),
        exists (
            select from silver.book_profile as profile
            where profile.bookmaker_key = known.bookmaker_key and profile.is_exchange
        ),
        holds.hold_h2h,
        holds.hold_spreads, holds.hold_totals, coalesce(holds.sets, 0), coalesce(coverage.closes, 0),
        coalesce(coverage.closable, 0), scores.uptime, scores.stale_share, scores.outlier_share, worth.clv_1h,
        coalesce(worth.prices_1h, 0), worth.clv_24h, coalesce(worth.prices_24h, 0)
    from known
    left join holds on holds.sport_key = known.sport_key and holds.bookmaker_key = known.bookmaker_key
    left join scores on scores.sport_key = known.sport_key and scores.bookmaker_key = known.bookmaker_key
    left join coverage on coverage.sport_key = known.sport_key and coverage.bookmaker_key = known.bookmaker_key
    left join worth on worth.sport_key = known.sport_key and worth.bookmaker_key = known.bookmaker_key
    left join gold.bookmakers as books on books.bookmaker_key = known.bookmaker_key
    left join gold.sports as sports on sports.sport_key = known.sport_key
    where known.sport_key = coalesce(%(sport)s, known.sport_key)
    order by
        coalesce(sports.title, known.sport_key), known.sport_key, lower(coalesce(books.title, known.bookmaker_key)),
        known.bookmaker_key
"""

_CLV: Final = """
    select
        coalesce(books.title, clv.bookmaker_key), coalesce(sports.title, clv.sport_key), clv.horizon, count(*),
        round(avg(case when clv.clv_status = 'same_point' then 1.0 else 0.0 end), 6), round(avg(clv.clv_ev), 6),
        round(avg(clv.clv_price), 6)
    from gold.clv as clv
    left join gold.bookmakers as books on books.bookmaker_key = clv.bookmaker_key
    left join gold.sports as sports on sports.sport_key = clv.sport_key
    where clv.is_closing and clv.sport_key = coalesce(%(sport)s, clv.sport_key)
    group by clv.sport_key, sports.title, clv.bookmaker_key, books.title, clv.horizon
    order by
        coalesce(sports.title, clv.sport_key), clv.sport_key, lower(coalesce(books.title, clv.bookmaker_key)),
        clv.bookmaker_key, array_position(array['opening', '24h', '6h', '1h', '15min'], clv.horizon)
"""

_GRADED: Final = """
    select coalesce(sports.title, found.sport_key), max(found.n_events)
    from gold.calibration as found
    left join gold.sports as sports on sports.sport_key = found.sport_key
    where found.sport_key = coalesce(%(sport)s, found.sport_key)
    group by found.sport_key, sports.title
    order by max(found.n_events) desc, found.sport_key
"""

_NEEDED: Final = """
    select coalesce(max(cast(value as integer)), 0) from silver.parameters where name = 'calibration_min_events'
"""

_CALIBRATION: Final = """
    select
        coalesce(sports.title, found.sport_key), found.market_key, found.outcome_set,
        case found.bookmaker_key when 'consensus' then 'Consensus' else coalesce(books.title, found.bookmaker_key) end,
        found.horizon_hours, found.n_events, found.brier, found.brier_se, found.log_loss
    from gold.calibration as found
    left join gold.sports as sports on sports.sport_key = found.sport_key
    left join gold.bookmakers as books on books.bookmaker_key = found.bookmaker_key
    where found.method = 'power' and found.publishable and found.sport_key = coalesce(%(sport)s, found.sport_key)
    order by found.sport_key, found.market_key, found.outcome_set, found.horizon_hours, found.bookmaker_key
"""
