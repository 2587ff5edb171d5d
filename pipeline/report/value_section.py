"""The section of value, arbitrages and middles. A pure function of the facts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.report.amounts import NONE, age, american, decimal_odds, fair_price, percent, percent_change
from pipeline.report.facts import Facts
from pipeline.report.grids import Cell, Column, Table, change, moment, number, since, table
from pipeline.report.parts import Part, Section
from pipeline.report.price_cells import ago_cell, market_text, odds_cell
from pipeline.report.value_facts import Leg, Opportunity
from pipeline.report.wording import QUALITIES, is_spread, market_title, outcome_text, points_text, words_of

SHOWN: Final = Column("Seen for", True, "from the first answer that showed it to the last one; between answers nobody looked")


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
                odds_cell(value.price_decimal),
                odds_cell(fair_price(value.fair_probability)),
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
    heads = ("Game", "Market", measure, "Bets", "Quality", "Now", "First seen #", SHOWN)
    return table(
        key,
        title,
        heads[:2] + (("Middle",) if is_middle else ()) + heads[2:],
        (
            (
                Cell(each.title, note=each.sport_title),
                market_text(each.market_key, each.description),
                *((_middle(each),) if is_middle else ()),
                number(percent(each.value, 2), each.value) if is_middle else _returns(each),
                Cell("", lines=tuple(_leg(leg, each.market_key) for leg in each.legs)),
                Cell(words_of(each.quality, QUALITIES), tone="good" if each.quality == "clean" else ""),
                _stands(each),
                ago_cell(each.valid_from, facts),
                since(each.shown_seconds) if each.shown_seconds else number("one answer", 0),
            )
            for each in found
        ),
        empty,
    )


def _returns(each: Opportunity) -> Cell:
    """What an arbitrage returns; that it is good is said of a clean one alone."""
    return number(percent_change(each.value, 2), each.value, tone="good" if each.quality == "clean" else "")


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
