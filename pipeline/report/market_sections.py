"""Sections of what the market does: what moved, where value is, and closing against opening. Pure functions of the facts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

from pipeline.report.amounts import (
    NONE,
    age,
    american,
    decimal_odds,
    fair_price,
    handicap,
    percent,
    percent_change,
    plain,
    seconds_between,
    signed,
)
from pipeline.report.charts import CONSENSUS, steps_chart
from pipeline.report.closing_facts import ClosedMarket
from pipeline.report.facts import Facts
from pipeline.report.grids import Cell, Column, Table, change, moment, number, share, since, table
from pipeline.report.movement_facts import Event, Mover, drawings_of, range_of
from pipeline.report.parts import Part, Section
from pipeline.report.screen_facts import Best
from pipeline.report.value_facts import Leg, Opportunity
from pipeline.report.wording import (
    CLOSES,
    QUALITIES,
    STATUSES,
    game_title,
    is_spread,
    market_title,
    outcome_text,
    points_text,
    words_of,
)


def best_part(facts: Facts) -> Part:
    """Every outcome and line with its best price now."""
    titles = {game.event_id: game for game in facts.screen.games}

    def game_of(best: Best) -> str:
        game = titles[best.event_id]
        return game_title(game.home_team, game.away_team, game.sport_title)

    known = [best for best in facts.screen.best if best.event_id in titles]
    rows = [
        (
            Cell(game_of(best), note=titles[best.event_id].sport_title),
            market_title(best.market_key),
            outcome_text(best.market_key, best.outcome_side, best.outcome_name, best.line_point, best.description),
            _odds(best.price_decimal, best.price_american),
            ", ".join(best.titles),
            _odds(best.runner_up_price_decimal),
            best.book_count,
            change(best.ev_fraction),
            since(best.age_seconds),
        )
        for best in known
    ]
    return Part(
        title="Best price of every outcome, on every line",
        line=f"{len(rows):,} outcomes",
        is_folded=True,
        notes=(
            "Each price is the best that could be acted on in the newest answer about its game: complete, unbroken, fresh, not "
            "far from the others, and of exchanges after commission. “Worth” is what a bet would bring if the other operators "
            "are right; it is told before the start, where at least four of them say.",
        ),
        table=table(
            "best",
            "Best prices now",
            (
                "Game",
                "Market",
                "Outcome",
                "Best price #",
                "At",
                "Next best #",
                Column("Books", True, "that have a price to act on"),
                "Worth #",
                "Age #",
            ),
            rows,
            "No price can be acted on: in the newest answers none is complete, fresh and near the others.",
        ),
    )


def moved_section(facts: Facts) -> Section:
    """What moved in the last hour and day, steam, and lines over time."""
    movement = facts.movement
    if movement.newest_move_at is None:
        nothing = "No book has moved a line before a start yet: a move takes two answers that differ."
    else:
        passed = age(seconds_between(movement.newest_move_at, facts.as_of))
        nothing = f"No book moved a line by half a point, or 1 % of probability. The newest move is {passed} old."
    steam = table(
        "steam",
        "Steam in the last 24 hours",
        ("Game", "Market", "Toward", "Moved, of operators #", "First", "Seen #", Column("Told apart", False)),
        (
            (
                Cell(each.title, note=each.sport_title),
                _market(each.market_key, each.description),
                each.toward,
                Cell(f"{each.size} of {each.quoting_count}", str(each.size)),
                ", ".join(each.first_movers) if len(each.first_movers) <= 3 else f"{len(each.first_movers)} at once",
                _ago(each.triggered_at, facts),
                "no: answers too far apart" if each.is_too_coarse else "yes",
            )
            for each in movement.steam
        ),
        "No four operators moved a market the same way within 15 minutes.",
    )
    parts = [
        Part(
            title="In the last hour",
            notes=(
                "Lines that books moved before the start, in the hour before the newest answer. What most operators moved "
                "stands first; then what moved farthest.",
            ),
            table=_movers("moved-hour", "What moved in the last hour", movement.hour, facts, nothing),
        ),
        Part(
            title="In the last 24 hours",
            line=f"{len(movement.day):,} markets",
            is_folded=True,
            table=_movers("moved-day", "What moved in the last 24 hours", movement.day, facts, nothing),
        ),
        Part(
            title="Steam: many operators one way within 15 minutes",
            line=f"{len(movement.steam):,} in the last 24 hours",
            is_folded=True,
            table=steam,
        ),
        *(part for number, event in enumerate(facts.events) for part in _event_parts(number, event)),
    ]
    if facts.events:
        parts.insert(
            3,
            Part(
                title="Lines over time",
                notes=(
                    f"Games drawn: {facts.chosen_by}. A value holds until the next one; a line ends at the start, and where "
                    "no quote stood. The chance of the home side is each book’s own price without its margin; the consensus is "
                    "the median of the operators.",
                ),
            ),
        )
    return Section("moved", "What moved", "Which lines moved, how far, and who moved them.", tuple(parts))


def _movers(key: str, title: str, movers: Sequence[Mover], facts: Facts, empty: str) -> Table:
    return table(
        key,
        title,
        (
            "Game",
            "Market",
            "Toward",
            Column("Operators that moved", True, "of those that quote the market"),
            Column("Farthest", True, "the longest single move: in points, else in probability"),
            Column("Consensus", True, "of the home side or the line: before, and after"),
            "Newest #",
            "Start #",
        ),
        (
            (
                Cell(mover.title, note=mover.sport_title),
                _market(mover.market_key, mover.description),
                mover.toward,
                Cell(f"{mover.groups_moved} of {mover.groups_quoting}", str(mover.groups_moved)),
                _farthest(mover),
                _before_after(mover),
                _ago(mover.last_at, facts),
                moment(mover.start_at),
            )
            for mover in movers
        ),
        empty,
    )


def _farthest(mover: Mover) -> Cell:
    if mover.points is not None:
        return number(points_text(mover.points), 1000 + mover.points)
    return number(percent(mover.probability), mover.probability)


def _before_after(mover: Mover) -> Cell:
    if mover.market_key.startswith("h2h"):
        before, after = mover.probability_before, mover.probability_after
        return number(f"{percent(before)} → {percent(after)}", None if None in (before, after) else after)
    show = handicap if is_spread(mover.market_key) else plain
    return number(f"{show(mover.line_before)} → {show(mover.line_after)}", mover.line_after)


def mover_text(mover: Mover) -> str:
    """How a market moved, in a line."""
    far = points_text(mover.points) if mover.points is not None else percent(mover.probability)
    return f"{_market(mover.market_key, mover.description)} toward {mover.toward}, by up to {far}"


def _event_parts(place: int, event: Event) -> list[Part]:
    titles = {
        "chances": f"Chance of {event.home_team} to win",
        "spreads": f"Spread of {event.home_team}",
        "totals": "Total",
    }
    charts = [
        steps_chart(f"{name}-{place}", titles[name], stretches, event.start_at, name == "chances")
        for name, stretches in drawings_of(event)
    ]
    made_up = " Simulated: neither the game nor its prices are real." if event.source == "simulated" else ""
    ranges: list[tuple[Cell | str | int, ...]] = [
        (
            "Consensus" if source == CONSENSUS else source,
            titles[name],
            *(_value(value, name) for value in range_of(stretches, source)[:4]),
            range_of(stretches, source)[4],
        )
        for name, stretches in drawings_of(event)
        for source in sorted({stretch.source for stretch in stretches}, key=lambda source: (source != CONSENSUS, source))
    ]
    return [
        Part(
            title=event.title,
            notes=(
                f"{event.sport_title}, {words_of(event.status, STATUSES)}; "
                f"{event.changes:,} changes before the start.{made_up}",
            ),
            charts=tuple(chart for chart in charts if chart is not None),
        ),
        Part(
            title=f"{event.title}: the numbers",
            line=f"{len(ranges)} lines",
            is_folded=True,
            table=table(
                f"ranges-{place}",
                f"{event.title}: each source before the start",
                ("Source", "Of", "First #", "Last #", "Lowest #", "Highest #", "Values #"),
                ranges,
                "No book had a complete price of it before the start.",
            ),
        ),
    ]


def _value(value: Decimal, name: str) -> Cell:
    if name == "chances":
        return number(percent(value), value)
    return number(handicap(value) if name == "spreads" else plain(value), value)


def value_section(facts: Facts) -> Section:
    """Value, arbitrages and middles."""
    chances = facts.chances
    usable = [value for value in chances.values if value.is_usable]
    values = table(
        "values",
        "Prices above what the other operators hold fair",
        (
            "Game",
            "Bet",
            "At",
            "Price #",
            Column("Fair price", True, "of the other operators, the margin taken out"),
            Column("Worth", True, "what a bet brings if the others are right"),
            Column("Others", True, "operators that hold it so"),
            Column("Quality", False),
            "Age #",
            "Start #",
        ),
        (
            (
                Cell(value.title, note=value.sport_title),
                Cell(
                    outcome_text(value.market_key, value.outcome_side, value.outcome_name, value.line_point, value.description),
                    note=market_title(value.market_key),
                ),
                value.book,
                _odds(value.price_decimal),
                _odds(fair_price(value.fair_probability)),
                change(value.ev_fraction, 2),
                value.group_count,
                "to act on" if value.is_usable else "not to act on: old, or far from the others",
                since(value.age_seconds),
                moment(value.start_at),
            )
            for value in chances.values
        ),
        f"Of {chances.looked_at:,} best prices that stand before a start and can be held against four other operators, none is "
        "above what these hold fair."
        if chances.looked_at
        else "No best price that stands before a start can be held against four other operators.",
    )
    return Section(
        "value",
        "Value, arbitrages and middles",
        "Where a price is better than the others say it should be, how good that is, and how old.",
        (
            Part(
                title="Value",
                notes=(f"{len(usable):,} of {len(chances.values):,} can be acted on.",) if chances.values else (),
                table=values,
            ),
            Part(
                title="Arbitrages",
                notes=(_ever("arbitrages", chances.arbitrages_ever),),
                table=_opportunities(
                    "arbitrages",
                    "Arbitrages that stand, or were gone within 24 hours",
                    chances.arbitrages,
                    facts,
                    "None stands, and none was gone within 24 hours.",
                ),
            ),
            Part(
                title="Middles",
                notes=(
                    _ever("middles", chances.middles_ever)
                    + " Both bets win where the score falls between the lines; else the pair costs what is told.",
                ),
                table=_opportunities(
                    "middles",
                    "Middles that stand, or were gone within 24 hours",
                    chances.middles,
                    facts,
                    "None stands, and none was gone within 24 hours: lines half a point apart, at a cost of at most 2 %.",
                ),
            ),
        ),
    )


def _ever(what: str, counts: Sequence[tuple[str, int]]) -> str:
    if not counts:
        return f"No {what} were ever seen here."
    told = ", ".join(f"{count:,} {words_of(quality, {'in_play': 'in play'})}" for quality, count in counts)
    return f"Seen here since the first answer: {told}. A clean one has young legs, read close together, before the start."


def _opportunities(key: str, title: str, found: Sequence[Opportunity], facts: Facts, empty: str) -> Table:
    is_middle = key == "middles"
    measure = (
        Column("Costs", True, "of all stakes, where not both win") if is_middle else Column("Returns", True, "over the stakes")
    )
    heads = ("Game", "Market", measure, "Bets", "Quality", "Now", "First seen #", "Stood #")
    return table(
        key,
        title,
        heads[:2] + (("Middle",) if is_middle else ()) + heads[2:],
        (
            (
                Cell(each.title, note=each.sport_title),
                _market(each.market_key, each.description),
                *((_middle(each),) if is_middle else ()),
                number(percent(each.value, 2), each.value) if is_middle else change(each.value, 2),
                Cell("", lines=tuple(_leg(leg, each.market_key) for leg in each.legs)),
                Cell(words_of(each.quality, QUALITIES), tone="good" if each.quality == "clean" else ""),
                _stands(each),
                _ago(each.valid_from, facts),
                since(each.stood_seconds),
            )
            for each in found
        ),
        empty,
    )


def _stands(each: Opportunity) -> Cell:
    if each.is_fresh:
        return Cell("stands", "0", tone="good")
    return Cell("not known", "1", f"last seen {age(each.seen_seconds)} ago") if each.is_open else Cell("gone", "2", tone="soft")


def _middle(each: Opportunity) -> Cell:
    where = "a home margin of" if is_spread(each.market_key) else "a total of"
    wins = ", ".join(f"{score}" for score in each.winning_numbers[:6])
    return number(
        NONE if each.width is None else points_text(each.width),
        each.width,
        f"both win at {where} {wins}" if wins else "no score wins both in full",
    )


def _leg(leg: Leg, market_key: str) -> tuple[str, str]:
    """A bet, and what else there is to know of it."""
    bet = outcome_text(market_key, leg.outcome_side, leg.outcome_name, leg.line_point)
    price = f"{american(leg.price_decimal)} ({decimal_odds(leg.price_decimal)})"
    old = "age not known" if leg.age_seconds is None else f"{age(leg.age_seconds)} old"
    far = ", far from the others" if leg.is_outlier else ""
    return f"{bet} {price} at {leg.book}", f"{percent(leg.stake_share, 0)} of the stakes, {old}{far}"


def closings_section(facts: Facts) -> Section:
    """Where markets closed, beside where they opened."""
    closings = facts.closings
    counts = dict(closings.statuses)
    closed = counts.get("ok", 0) + counts.get("aged", 0)
    every = sum(counts.values())
    without = ", ".join(
        f"{count:,} {words_of(status, CLOSES)}" for status, count in closings.statuses if status not in ("ok", "aged")
    )
    coverage = (
        f"{closed:,} of {every:,} markets of games that began have a close{f'; of the others: {without}' if without else ''}."
    )
    if not every:
        empty = "No game has begun yet, so nothing has closed."
    else:
        empty = f"None of {every:,} markets of games that began has a close: {without or 'too few operators had one'}."
    markets = table(
        "closings",
        "Opening and close of each market",
        (
            "Game",
            "Market",
            Column("First", True, "the opening, or what was seen first: the home side’s chance, or the line"),
            Column("Close", True, "the line, and the chance of the home side or Over"),
            Column("Moved", True, "from first to close"),
            Column("Best at the close", False),
            Column("Hold", True, "what was left to the books at the best closing prices"),
            Column("Operators", True, "that closed"),
            "Close’s age",
            "Score",
            "Start #",
        ),
        (_closed(each) for each in closings.markets),
        empty,
    )
    by_book = table(
        "closings-books",
        "Moneyline of the home side at each book",
        ("Game", "Home side", "Book", "First price #", "Is an opening", "Closing price #", "Chance moved #", "Close’s age #"),
        (
            (
                Cell(each.title, note=each.sport_title),
                each.outcome_name,
                each.book,
                _odds(each.opening_price),
                "yes" if each.is_opening else "no: it was there at the first look",
                _odds(each.closing_price),
                number(*_moved(1 / each.closing_price - 1 / each.opening_price)),
                since(each.closing_age_seconds, "" if each.close_status == "ok" else "aged"),
            )
            for each in closings.by_book
        ),
        empty,
    )
    return Section(
        "closings",
        "Closing against opening",
        "Where each market began and where it ended, for closings that are closings: at most 30 minutes old at the start.",
        (
            Part(notes=(coverage,) if every else (), table=markets),
            Part(title="By book", line=f"{len(closings.by_book):,} prices", is_folded=True, table=by_book),
        ),
    )


def _closed(each: ClosedMarket) -> tuple[Cell | str | int | None, ...]:
    is_moneyline = each.market_key == "h2h"
    show = handicap if is_spread(each.market_key) else plain
    first = percent(each.first_probability) if is_moneyline else show(each.first_line)
    sides = ("Over", "Under") if each.market_key == "totals" else (each.home_team, each.away_team)
    best = tuple(
        (f"{side} {american(price)} ({decimal_odds(price)})", f"at {', '.join(books[:2])}{_more(books[2:])}")
        for side, price, books in zip(sides, (each.price, each.other_price), (each.price_books, each.other_books), strict=True)
        if price is not None and books
    )
    begun = each.first_probability if is_moneyline else each.first_line
    ended = each.closing_probability if is_moneyline else each.closing_line
    moved = None if begun is None or ended is None else ended - begun
    if moved is None:
        how = Cell(NONE, tone="soft")
    else:
        how = number(*_moved(moved)) if is_moneyline else number(f"{signed(moved.normalize() + 0)}", moved)
    score = "" if each.home_score is None else f"{plain(each.away_score)} : {plain(each.home_score)}"
    return (
        Cell(each.title, note=each.sport_title),
        market_title(each.market_key),
        number(first, begun, "opening" if each.is_opening else "first seen"),
        number(
            percent(each.closing_probability) if is_moneyline else show(each.closing_line),
            ended,
            "" if is_moneyline else f"{percent(each.closing_probability)} {'over' if each.market_key == 'totals' else 'home'}",
        ),
        how,
        Cell("", lines=best) if best else None,
        share(each.hold),
        each.group_count,
        Cell(words_of(each.close_status, CLOSES)),
        score,
        moment(each.start_at),
    )


def _more(books: Sequence[str]) -> str:
    return f" and {len(books)} more" if books else ""


def _moved(probability: Decimal) -> tuple[str, Decimal]:
    return percent_change(probability), probability


def _odds(price: Decimal | None, sent: Decimal | None = None) -> Cell:
    return Cell(NONE, "0", tone="soft") if price is None else Cell(american(price, sent), f"{price}", decimal_odds(price))


def _market(market_key: str, description: str | None) -> str:
    return f"{market_title(market_key)}: {description}" if description else market_title(market_key)


def _ago(at: dt.datetime, facts: Facts) -> Cell:
    seconds = seconds_between(at, facts.as_of)
    return number("in the newest answer" if seconds == 0 else f"{age(seconds)} ago", seconds)
