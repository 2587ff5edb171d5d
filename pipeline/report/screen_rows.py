"""The screen as rows: a game's market each, an outcome per line, the books side by side. A pure function of the facts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pipeline.report.amounts import NONE, age, american, clock, counted, decimal_odds, fair_price, iso, percent, seconds_between
from pipeline.report.facts import Facts
from pipeline.report.screen_facts import Best, Fair, Game, Quote, Screen
from pipeline.report.wording import (
    REASONS,
    game_title,
    market_order,
    market_title,
    outcome_text,
    point_text,
    words_of,
)
from pipeline.texts import shown

# Of more, those of the games' main markets come first.
ROWS: Final = 600
# Characters of a name on it, and in what is chosen from.
LABEL: Final = 60
# Away above home, as American screens have it; a draw between them.
SIDES: Final = {"away": 0, "draw": 1, "home": 2, "over": 0, "under": 1, "yes": 0, "no": 1}

LineKey = tuple[str, str, str | None, Decimal | None, str, str]


@dataclass(frozen=True, slots=True)
class Price:
    """A book's price in a row.

    Attributes:
        american, decimal: the price.
        point: beside it; empty where the row's line says it already.
        note: its age, where it is not fresh.
        why: why it cannot be acted on; empty where it can.
        is_best: whether no fresh price on the row's line is better.
        is_off_line: whether it hangs on another line than the row's.
    """

    american: str
    decimal: str
    point: str
    note: str
    why: str
    is_best: bool
    is_off_line: bool


@dataclass(frozen=True, slots=True)
class OutcomeLine:
    """An outcome of a row.

    Attributes:
        name: with its line.
        fair: consensus probability.
        fair_american, fair_decimal: the price at which a bet would bring nothing.
        best_american, best_decimal: the best price.
        best_books, best_all: the first book that offers it and how many more; all of them.
        prices: of each book of the screen; None where it has none.
    """

    name: str
    fair: str
    fair_american: str
    fair_decimal: str
    best_american: str
    best_decimal: str
    best_books: str
    best_all: str
    prices: tuple[Price | None, ...]


@dataclass(frozen=True, slots=True)
class ScreenRow:
    """A market of a game.

    Attributes:
        sport, market: in words.
        title: the game, where its outcomes do not tell it.
        start, start_at: as text, and ISO.
        order: sorts by start.
        is_in_play: whether the game has begun.
        seen: how long ago an answer showed it, where that is too long ago; else empty.
        hold: what is left to the books at the best prices; empty where that is not known.
        groups: operator groups in the consensus; empty where they are too few.
        lines: outcomes.
        quoted: whether each book of the screen has a price of any of them.
    """

    sport: str
    market: str
    title: str
    start: str
    start_at: str
    order: str
    is_in_play: bool
    seen: str
    hold: str
    groups: str
    lines: tuple[OutcomeLine, ...]
    quoted: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class ScreenTable:
    """The screen.

    Attributes:
        sports, markets, books: to choose from, in order.
        rows: main markets first, in order of start.
        left_out: rows that are not on the page.
        not_shown: games that are not, in words; empty where all are.
        empty: why there are none.
        first_market: the one that is chosen as the page opens; empty for all.
    """

    sports: tuple[str, ...]
    markets: tuple[str, ...]
    books: tuple[str, ...]
    rows: tuple[ScreenRow, ...]
    left_out: int
    not_shown: str
    empty: str
    first_market: str


def screen_table(facts: Facts) -> ScreenTable:
    """The screen of the facts."""
    screen = facts.screen
    games = {game.event_id: game for game in screen.games}
    order = {game.event_id: place for place, game in enumerate(screen.games)}
    grouped = _grouped(screen)
    keys = sorted(grouped, key=lambda key: (market_order(key[1]), order[key[0]], key[2] or "", key[3] or 0, key[4], key[5]))
    index = _Index(screen, facts)
    rows = [index.row(games[key[0]], key[1], key[2], grouped[key]) for key in keys[:ROWS]]
    markets = list(dict.fromkeys(row.market for row in rows))
    return ScreenTable(
        sports=tuple(sorted({row.sport for row in rows})),
        markets=tuple(markets),
        books=tuple(shown(book.title, LABEL) for book in screen.books),
        rows=tuple(rows),
        left_out=len(keys) - len(rows),
        not_shown=_not_shown(facts.screen.not_shown),
        empty=_empty(facts),
        first_market=markets[0] if markets else "",
    )


def _grouped(screen: Screen) -> Mapping[tuple[str, str, str | None, Decimal | None, str, str], list[Quote]]:
    """The quotes of each row: of a field every runner is one."""
    by_point = {market.market_key for market in screen.markets if market.is_point_in_key}
    found: defaultdict[tuple[str, str, str | None, Decimal | None, str, str], list[Quote]] = defaultdict(list)
    shown_games = {game.event_id for game in screen.games}
    for quote in screen.quotes:
        if quote.event_id not in shown_games:
            continue
        point = quote.line_point if quote.market_key in by_point else None
        runner = quote.outcome_name if quote.outcome_set == "field" else ""
        found[quote.event_id, quote.market_key, quote.description, point, quote.outcome_set, runner].append(quote)
    return found


class _Index:
    """What stands beside the quotes, by what it is about."""

    def __init__(self, screen: Screen, facts: Facts) -> None:
        self.as_of = facts.as_of
        self.books = [book.bookmaker_key for book in screen.books]
        self.best: dict[LineKey, Best] = {_key(best): best for best in screen.best}
        self.fair: dict[LineKey, Fair] = {_key(fair): fair for fair in screen.fair}
        self.hung = {(line.event_id, line.market_key, line.description): line.line_modal for line in screen.lines}

    def row(self, game: Game, market_key: str, description: str | None, quotes: list[Quote]) -> ScreenRow:
        line = self._line(game, market_key, description, quotes)
        outcomes = sorted({(SIDES.get(quote.outcome_side, 3), quote.outcome_name, quote.outcome_side) for quote in quotes})
        sample, sides = quotes[0], {side for _, _, side in outcomes}
        lines, holds, groups = [], set(), set()
        for _, name, side in outcomes:
            key = (game.event_id, market_key, description, line, sample.outcome_set, name)
            # of a game that was last seen long ago nothing is the best price of now
            best = self.best.get(key) if game.is_fresh else None
            fair = self.fair.get(key)
            probability = None if fair is None else fair.probability
            price = fair_price(probability)
            if best is not None and best.best_hold is not None:
                holds.add(best.best_hold)
            if fair is not None and probability is not None:
                groups.add(fair.group_count)
            mine = {quote.bookmaker_key: quote for quote in reversed(quotes) if quote.outcome_name == name}
            lines.append(
                OutcomeLine(
                    name=shown(outcome_text(market_key, side, name, line), LABEL),
                    fair=percent(probability),
                    fair_american=american(price),
                    fair_decimal=decimal_odds(price),
                    best_american=NONE if best is None else american(best.price_decimal, best.price_american),
                    best_decimal=NONE if best is None else decimal_odds(best.price_decimal),
                    best_books="" if best is None else _few(best.titles),
                    best_all="" if best is None else shown(", ".join(best.titles)),
                    prices=tuple(self._price(mine.get(book), line, best, game) for book in self.books),
                )
            )
        title = game_title(game.home_team, game.away_team, game.sport_title)
        return ScreenRow(
            sport=shown(game.sport_title, LABEL),
            market=shown(market_title(market_key), LABEL),
            # two sides name their game themselves
            title="" if {"home", "away"} <= sides else shown(f"{title}: {description}" if description else title),
            start=clock(game.start_at),
            start_at=iso(game.start_at),
            order=iso(game.start_at),
            is_in_play=game.is_in_play,
            seen="" if game.is_fresh else age(seconds_between(game.known_until, self.as_of)),
            hold=percent(min(holds)) if holds and sample.outcome_set != "field" else "",
            groups=f"{max(groups)}" if groups else "",
            lines=tuple(lines),
            quoted=tuple(any(line.prices[place] for line in lines) for place in range(len(self.books))),
        )

    def _line(self, game: Game, market_key: str, description: str | None, quotes: list[Quote]) -> Decimal | None:
        """The line that the row is about: the consensus', else the one that most usable quotes have."""
        lines = Counter(quote.line_point for quote in quotes if quote.reason is None) or Counter(
            quote.line_point for quote in quotes
        )
        hung = self.hung.get((game.event_id, market_key, description))
        if hung in lines:
            return hung
        return min(lines, key=lambda line: (-lines[line], abs(line or 0), line or 0))

    def _price(self, quote: Quote | None, line: Decimal | None, best: Best | None, game: Game) -> Price | None:
        if quote is None:
            return None
        is_off_line = quote.line_point != line
        why = "" if quote.reason is None else words_of(quote.reason, REASONS)
        if not game.is_fresh:
            why = why or "the newest answer that shows it is too old"
        note = age(quote.age_seconds) if why and quote.age_seconds is not None else ""
        return Price(
            american=american(quote.price_decimal, quote.price_american),
            decimal=decimal_odds(quote.price_decimal),
            point=point_text(quote.market_key, quote.point),
            note=note,
            why=shown(why),
            is_best=not why and not is_off_line and best is not None and quote.bookmaker_key in best.bookmaker_keys,
            is_off_line=is_off_line,
        )


def _key(row: Best | Fair) -> LineKey:
    return row.event_id, row.market_key, row.description, row.line_point, row.outcome_set, row.outcome_name


def _few(titles: Iterable[str]) -> str:
    """One name, and how many more."""
    first, *others = titles
    return f"{shown(first, LABEL)} +{len(others)}" if others else shown(first, LABEL)


def _not_shown(count: int) -> str:
    if not count:
        return ""
    why = "more than 24 hours before the newest answer, or they start later than these"
    return f"{counted(count, 'more game')} with prices {'is' if count == 1 else 'are'} not here: last asked for {why}."


def _empty(facts: Facts) -> str:
    if facts.screen.not_shown:
        return (
            f"No game that is to come or in play was asked for in the 24 hours before {clock(facts.as_of)} UTC; "
            f"{facts.screen.not_shown:,} were asked for before."
        )
    return f"No game that is to come or in play has a price in the newest answers, of {clock(facts.as_of)} UTC."
