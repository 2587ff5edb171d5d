"""Closing against opening: where each market of a game that began was first seen and where it closed, and by book."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pipeline.report.asking import ask
from pipeline.warehouse.connect import Connection

# Of more games that began, the newest are shown; and of these the newest by book.
GAMES: Final = 200
GAMES_BY_BOOK: Final = 40


@dataclass(frozen=True, slots=True)
class ClosedMarket:
    """Where a market of a game closed, by the books that have a close: a closing consensus that is a closing.

    Attributes:
        title, sport_title, start_at: the game.
        home_team, away_team: its sides.
        market_key: h2h, spreads or totals.
        is_opening: whether the first value is an opening; else the market was there in the first answer, or nobody can tell.
        first_at: when that value was seen; None without one.
        first_line, first_probability: the line of then, and the home side's (or Over's) probability; None where unknown.
        closing_line, closing_probability: of the close.
        price, price_books: the best closing price of the home side, or Over, and the books' titles.
        other_price, other_books: of the away side, or Under.
        hold: across the best closing prices.
        group_count: operator groups that closed.
        close_status: ok or aged.
        home_score, away_score: None without a final score.
    """

    title: str
    sport_title: str
    start_at: dt.datetime
    home_team: str
    away_team: str
    market_key: str
    is_opening: bool
    first_at: dt.datetime | None
    first_line: Decimal | None
    first_probability: Decimal | None
    closing_line: Decimal | None
    closing_probability: Decimal
    price: Decimal | None
    price_books: tuple[str, ...]
    other_price: Decimal | None
    other_books: tuple[str, ...]
    hold: Decimal | None
    group_count: int
    close_status: str
    home_score: Decimal | None
    away_score: Decimal | None


@dataclass(frozen=True, slots=True)
class OpenClose:
    """One book's first and closing price of the home side before the start; only of closings that are closings.

    Attributes:
        title, sport_title, start_at: the game.
        outcome_name: the home side.
        book: the book's title.
        opening_price: of its first quote, decimal.
        is_opening: whether that is an opening: else it was there when it was first asked for.
        closing_price: the last sound price before the start, decimal.
        closing_age_seconds: from the quote to the start.
        close_status: ok or aged.
    """

    title: str
    sport_title: str
    start_at: dt.datetime
    outcome_name: str
    book: str
    opening_price: Decimal
    is_opening: bool
    closing_price: Decimal
    closing_age_seconds: int
    close_status: str


@dataclass(frozen=True, slots=True)
class Closings:
    """Closing against opening.

    Attributes:
        markets: of the newest games that began, in order of start, the newest first.
        statuses: close_status → how many markets of all games that began.
        by_book: moneylines of the newest games.
    """

    markets: tuple[ClosedMarket, ...]
    statuses: tuple[tuple[str, int], ...]
    by_book: tuple[OpenClose, ...]


def closing_facts(connection: Connection, as_of: dt.datetime, sport: str | None) -> Closings:
    """Of the games that began by a time."""
    markets = ask(connection, _MARKETS, as_of=as_of, sport=sport, most=GAMES)
    by_book = ask(connection, _BY_BOOK, as_of=as_of, sport=sport, most=GAMES_BY_BOOK)
    return Closings(
        markets=tuple(ClosedMarket(*row) for row in markets),
        statuses=tuple(ask(connection, _STATUSES, as_of=as_of, sport=sport)),
        by_book=tuple(OpenClose(*row) for row in by_book),
    )


# where game_lines knows no opening, the first consensus that was seen stands in its place, and is not called one
_MARKETS: Final = """
    with started as (
        select lines.*, coalesce(sports.title, lines.sport_key) as sport_title
        from gold.game_lines as lines
        left join gold.sports as sports on sports.sport_key = lines.sport_key
        where lines.start_at <= %(as_of)s and lines.sport_key = coalesce(%(sport)s, lines.sport_key)
        order by lines.start_at desc, lines.event_id
        limit %(most)s
    ),

    closed as (
        select
            started.event_id, started.away_team || ' at ' || started.home_team as title, started.sport_title, started.start_at,
            started.home_team, started.away_team, market.*, started.home_score, started.away_score
        from started
        cross join lateral (
            values
            (
                1, 'h2h', started.h2h_opened_at, null, started.h2h_opening_probability_home, null,
                started.h2h_closing_probability_home, started.h2h_closing_price_home, started.h2h_closing_books_home,
                started.h2h_closing_price_away, started.h2h_closing_books_away, started.h2h_closing_hold,
                started.h2h_closing_group_count, started.h2h_close_status
            ),
            (
                2, 'spreads', started.spreads_opened_at, started.spreads_opening_line_point,
                started.spreads_opening_probability_home, started.spreads_closing_line_point,
                started.spreads_closing_probability_home, started.spreads_closing_price_home,
                started.spreads_closing_books_home, started.spreads_closing_price_away, started.spreads_closing_books_away,
                started.spreads_closing_hold, started.spreads_closing_group_count, started.spreads_close_status
            ),
            (
                3, 'totals', started.totals_opened_at, started.totals_opening_line_point,
                started.totals_opening_probability_over, started.totals_closing_line_point,
                started.totals_closing_probability_over, started.totals_closing_price_over, started.totals_closing_books_over,
                started.totals_closing_price_under, started.totals_closing_books_under, started.totals_closing_hold,
                started.totals_closing_group_count, started.totals_close_status
            )
        ) as market (
            place, market_key, opened_at, opening_line, opening_probability, closing_line, closing_probability, price, books,
            other_price, other_books, hold, group_count, close_status
        )
        where market.close_status in ('ok', 'aged') and market.closing_probability is not null
    )

    select
        closed.title, closed.sport_title, closed.start_at, closed.home_team, closed.away_team, closed.market_key,
        closed.opened_at is not null, coalesce(closed.opened_at, first_line.valid_from, first_price.valid_from),
        coalesce(closed.opening_line, first_line.line_median),
        coalesce(closed.opening_probability, first_price.fair_median), closed.closing_line, closed.closing_probability,
        closed.price,
        (
            select coalesce(array_agg(coalesce(named.title, book.bookmaker_key) order by book.bookmaker_key), array[]::text [])
            from unnest(closed.books) as book (bookmaker_key)
            left join gold.bookmakers as named on named.bookmaker_key = book.bookmaker_key
        ),
        closed.other_price,
        (
            select coalesce(array_agg(coalesce(named.title, book.bookmaker_key) order by book.bookmaker_key), array[]::text [])
            from unnest(closed.other_books) as book (bookmaker_key)
            left join gold.bookmakers as named on named.bookmaker_key = book.bookmaker_key
        ),
        closed.hold, closed.group_count, closed.close_status, closed.home_score, closed.away_score
    from closed
    left join lateral (
        select line.valid_from, line.line_median
        from gold.consensus_line as line
        where line.event_id = closed.event_id and line.market_key = closed.market_key and line.description is null
            and line.line_median is not null and line.valid_from < closed.start_at
        order by line.valid_from
        limit 1
    ) as first_line on closed.market_key <> 'h2h'
    left join lateral (
        select held.valid_from, held.fair_median
        from gold.consensus as held
        where held.event_id = closed.event_id and held.market_key = closed.market_key and held.outcome_side = 'home'
            and held.line_point is null and held.fair_median is not null and held.valid_from < closed.start_at
        order by held.valid_from, held.outcome_set
        limit 1
    ) as first_price on closed.market_key = 'h2h'
    order by closed.start_at desc, closed.event_id, closed.place
"""

_STATUSES: Final = """
    select market.close_status, count(*)
    from gold.game_lines as lines
    cross join lateral (
        values (lines.h2h_close_status), (lines.spreads_close_status), (lines.totals_close_status)
    ) as market (close_status)
    where lines.start_at <= %(as_of)s and lines.sport_key = coalesce(%(sport)s, lines.sport_key)
        and market.close_status is not null
    group by market.close_status
    order by market.close_status
"""

_BY_BOOK: Final = """
    with started as (
        select lines.event_id, lines.away_team || ' at ' || lines.home_team as title, lines.sport_key, lines.start_at
        from gold.game_lines as lines
        where lines.start_at <= %(as_of)s and lines.sport_key = coalesce(%(sport)s, lines.sport_key)
            and lines.h2h_close_status in ('ok', 'aged')
        order by lines.start_at desc, lines.event_id
        limit %(most)s
    )

    select
        started.title, coalesce(sports.title, started.sport_key), started.start_at, closings.outcome_name,
        coalesce(books.title, closings.bookmaker_key), openings.price_decimal, not openings.is_left_censored,
        closings.price_decimal, closings.closing_age_seconds, closings.close_status
    from started
    join gold.closings as closings on closings.event_id = started.event_id
    join gold.openings as openings on openings.event_id = closings.event_id and openings.series_id = closings.series_id
    left join gold.bookmakers as books on books.bookmaker_key = closings.bookmaker_key
    left join gold.sports as sports on sports.sport_key = started.sport_key
    where closings.market_key = 'h2h' and closings.outcome_side = 'home' and closings.is_closing
        and closings.price_decimal is not null and openings.price_decimal is not null
    order by started.start_at desc, started.event_id, closings.bookmaker_key, closings.series_id
"""
