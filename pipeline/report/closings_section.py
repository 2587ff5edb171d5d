"""The section of closings against openings. A pure function of the facts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pipeline.report.amounts import NONE, american, decimal_odds, handicap, percent, percent_change, plain, signed
from pipeline.report.closing_facts import ClosedMarket
from pipeline.report.facts import Facts
from pipeline.report.grids import Cell, Column, moment, number, share, since, table
from pipeline.report.parts import Part, Section
from pipeline.report.price_cells import odds_cell
from pipeline.report.wording import CLOSES, is_spread, market_title, words_of


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
        "closings-table",
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
                odds_cell(each.opening_price),
                "yes" if each.is_opening else "no: it was there at the first look",
                odds_cell(each.closing_price),
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
