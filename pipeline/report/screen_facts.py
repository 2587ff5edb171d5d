"""What the screen tells: the games that are quoted now, every book's price of each outcome, the best, and the consensus."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pipeline.report.asking import SEEN, ask
from pipeline.warehouse.connect import Connection

# Of more games, the first to start are shown.
GAMES: Final = 150
# What was last asked for longer ago is no screen of now.
SEEN_WITHIN_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class Game:
    """An event that is to come or in play, with quotes that stand.

    Attributes:
        event_id: its id.
        sport_title: its sport.
        home_team, away_team: None for outrights.
        start_at: believed start.
        is_in_play: whether that is reached.
        source: the_odds_api, or simulated.
        known_until: captured_at of the newest answer that shows a price of it.
        is_fresh: whether that answer is recent enough to call its prices those of now.
    """

    event_id: str
    sport_title: str
    home_team: str | None
    away_team: str | None
    start_at: dt.datetime
    is_in_play: bool
    source: str
    known_until: dt.datetime
    is_fresh: bool


@dataclass(frozen=True, slots=True)
class Market:
    """A market, and whether each point under it is a market of its own."""

    market_key: str
    is_point_in_key: bool


@dataclass(frozen=True, slots=True)
class Book:
    """A book by key and title."""

    bookmaker_key: str
    title: str


@dataclass(frozen=True, slots=True)
class Quote:
    """A book's price of an outcome, as the newest answer that covers it shows it.

    Attributes:
        event_id, market_key, description, outcome_set, outcome_name, outcome_side: which outcome.
        point: beside the price; None without.
        line_point: the same for both sides of a spread: the home handicap.
        line_rank: 1 for the main line of its book.
        bookmaker_key: whose.
        price_decimal: before commission.
        price_american: as sent; None where it was sent as decimal.
        age_seconds: from when the book was read to the report's time; None where no answer says.
        reason: why it cannot be acted on, as gold has it, or ``seen_before``; None where it can.
    """

    event_id: str
    market_key: str
    description: str | None
    outcome_set: str
    outcome_name: str
    outcome_side: str
    point: Decimal | None
    line_point: Decimal | None
    line_rank: int
    bookmaker_key: str
    price_decimal: Decimal
    price_american: Decimal | None
    age_seconds: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Best:
    """The best usable price of an outcome: a row of gold.best_price_now.

    Attributes:
        event_id, market_key, description, line_point, outcome_set, outcome_name, outcome_side: which outcome.
        price_decimal: after an exchange's commission.
        price_american: as sent; None where it was not, or is an exchange's.
        bookmaker_keys, titles: of the books that offer it.
        runner_up_price_decimal: the next best; None without.
        book_count: books with a usable price.
        age_seconds: of the oldest of these quotes, at the report's time.
        best_hold: what is left to the books if each outcome is backed at its best price.
        ev_fraction: what a bet would bring if the other operator groups are right; None where too few say.
    """

    event_id: str
    market_key: str
    description: str | None
    line_point: Decimal | None
    outcome_set: str
    outcome_name: str
    outcome_side: str
    price_decimal: Decimal
    price_american: Decimal | None
    bookmaker_keys: tuple[str, ...]
    titles: tuple[str, ...]
    runner_up_price_decimal: Decimal | None
    book_count: int
    age_seconds: int
    best_hold: Decimal | None
    ev_fraction: Decimal | None


@dataclass(frozen=True, slots=True)
class Fair:
    """What the operator groups hold an outcome on a line for, the margin taken out; None where too few say."""

    event_id: str
    market_key: str
    description: str | None
    line_point: Decimal | None
    outcome_set: str
    outcome_name: str
    probability: Decimal | None
    group_count: int


@dataclass(frozen=True, slots=True)
class ConsensusLine:
    """Where most operator groups hang a spread or total now."""

    event_id: str
    market_key: str
    description: str | None
    line_modal: Decimal


@dataclass(frozen=True, slots=True)
class Screen:
    """The screen.

    Attributes:
        games: fresh ones first, then in order of start.
        not_shown: games with quotes that stand beside these: too many, or not asked for in a day.
        markets: of the quotes.
        books: of the quotes, in order of title.
        quotes: of these games.
        best: of these games.
        fair: of these games.
        lines: of these games.
    """

    games: tuple[Game, ...]
    not_shown: int
    markets: tuple[Market, ...]
    books: tuple[Book, ...]
    quotes: tuple[Quote, ...]
    best: tuple[Best, ...]
    fair: tuple[Fair, ...]
    lines: tuple[ConsensusLine, ...]


def screen_facts(connection: Connection, as_of: dt.datetime, sport: str | None) -> Screen:
    """The screen as of a time, of all sports or one."""
    found = ask(connection, _GAMES, as_of=as_of, sport=sport, hours=SEEN_WITHIN_HOURS)
    games = tuple(Game(*row[:-1]) for row in found if row[-1])[:GAMES]
    ids = [game.event_id for game in games]
    quotes = tuple(Quote(*row) for row in ask(connection, _QUOTES, as_of=as_of, ids=ids))
    return Screen(
        games=games,
        not_shown=len(found) - len(games),
        markets=tuple(Market(*row) for row in ask(connection, _MARKETS, keys=sorted({quote.market_key for quote in quotes}))),
        books=tuple(Book(*row) for row in ask(connection, _BOOKS, keys=sorted({quote.bookmaker_key for quote in quotes}))),
        quotes=quotes,
        best=tuple(Best(*row) for row in ask(connection, _BEST, as_of=as_of, ids=ids)),
        fair=tuple(Fair(*row) for row in ask(connection, _FAIR, ids=ids)),
        lines=tuple(ConsensusLine(*row) for row in ask(connection, _LINES, ids=ids)),
    )


# a game is as fresh as its newest answer
_GAMES: Final = f"""
    {SEEN}
    select
        event.event_id, coalesce(sports.title, event.sport_key), event.home_team, event.away_team, event.start_at,
        event.start_at <= %(as_of)s, event.source, seen.captured_at, seen.is_fresh,
        seen.captured_at > %(as_of)s - %(hours)s * interval '1 hour'
    from seen
    join gold.events as event on event.event_id = seen.event_id
    left join gold.sports as sports on sports.sport_key = event.sport_key
    where event.status in ('listed', 'started') and event.sport_key = coalesce(%(sport)s, event.sport_key)
    order by seen.is_fresh desc, event.start_at, event.event_id
"""

_QUOTES: Final = """
    select
        odds.event_id, odds.market_key, odds.description, odds.outcome_set, odds.outcome_name, odds.outcome_side, odds.point,
        odds.line_point, odds.line_rank, odds.bookmaker_key, odds.price_decimal,
        case when odds.odds_format = 'american' then odds.price_native end,
        case
            when odds.quote_age_seconds is not null
                then cast(floor(extract(epoch from %(as_of)s - odds.quote_at)) as integer)
        end,
        case
            when odds.reason is null and odds.captured_at < max(odds.captured_at) over (partition by odds.event_id)
                then 'seen_before'
            else odds.reason
        end
    from gold.current_odds as odds
    where odds.event_id = any (%(ids)s) and odds.price_decimal is not null
    order by
        odds.event_id, odds.market_key, odds.description nulls first, odds.line_point nulls first, odds.outcome_name,
        odds.bookmaker_key, odds.line_rank, odds.series_id
"""

_MARKETS: Final = """
    select shown.market_key, rule.is_point_in_key
    from unnest(cast(%(keys)s as text [])) as shown (market_key)
    cross join lateral (
        select rules.is_point_in_key
        from silver.market_rules as rules
        where rules.market_key = shown.market_key
            or (rules.is_prefix and starts_with(shown.market_key, coalesce(rules.market_key, '')))
        order by
            coalesce(rules.market_key = shown.market_key and not rules.is_prefix, false) desc,
            length(coalesce(rules.market_key, '')) desc
        limit 1
    ) as rule
    order by shown.market_key
"""

# two keys may share a title, as those of one exchange in two regions, which end their keys
_BOOKS: Final = """
    select
        shown.bookmaker_key,
        case
            when count(*) over (partition by books.title) > 1
                then books.title || ' ' || upper(regexp_replace(shown.bookmaker_key, '^.*_', ''))
            else coalesce(books.title, shown.bookmaker_key)
        end as title
    from unnest(cast(%(keys)s as text [])) as shown (bookmaker_key)
    left join gold.bookmakers as books on books.bookmaker_key = shown.bookmaker_key
    order by lower(coalesce(books.title, shown.bookmaker_key)), shown.bookmaker_key
"""

_BEST: Final = """
    select
        best.event_id, best.market_key, best.description, best.line_point, best.outcome_set, best.outcome_name,
        best.outcome_side, best.price_decimal, best.price_american, best.bookmaker_keys, best.bookmaker_titles,
        best.runner_up_price_decimal, best.book_count,
        best.quote_age_seconds + cast(floor(extract(epoch from %(as_of)s - best.known_until)) as integer),
        best.best_hold, best.ev_fraction
    from gold.best_price_now as best
    where best.event_id = any (%(ids)s)
    order by
        best.start_at, best.event_id, best.market_key, best.description nulls first, best.line_point nulls first,
        best.outcome_set, best.outcome_name
"""

_FAIR: Final = """
    select
        held.event_id, held.market_key, held.description, held.line_point, held.outcome_set, held.outcome_name,
        held.fair_median, held.group_count
    from gold.consensus as held
    where held.event_id = any (%(ids)s) and held.valid_to is null and held.method = 'power'
    order by
        held.event_id, held.market_key, held.description nulls first, held.line_point nulls first, held.outcome_set,
        held.outcome_name
"""

_LINES: Final = """
    select line.event_id, line.market_key, line.description, line.line_modal
    from gold.consensus_line as line
    where line.event_id = any (%(ids)s) and line.valid_to is null and line.line_modal is not null
    order by line.event_id, line.market_key, line.description nulls first
"""
