"""The section of what moved: in the last hour and day, steam, and lines over time. A pure function of the facts."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from pipeline.report.amounts import age, handicap, percent, plain, seconds_between
from pipeline.report.charts import CONSENSUS, steps_chart
from pipeline.report.facts import Facts
from pipeline.report.grids import Cell, Column, Table, moment, number, table
from pipeline.report.movement_facts import Event, Mover, drawings_of, range_of
from pipeline.report.parts import Part, Section
from pipeline.report.price_cells import ago_cell, market_text
from pipeline.report.wording import STATUSES, is_spread, points_text, words_of


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
        ("Game", "Market", "Toward", "Moved, of operators #", "First", "Seen #", "Within 15 min"),
        (
            (
                Cell(each.title, note=each.sport_title),
                market_text(each.market_key, each.description),
                each.toward,
                Cell(f"{each.size} of {each.quoting_count}", str(each.size)),
                ", ".join(each.first_movers) if len(each.first_movers) <= 3 else f"{len(each.first_movers)} at once",
                ago_cell(each.triggered_at, facts),
                "not known: answers too far apart" if each.is_too_coarse else "yes",
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
                market_text(mover.market_key, mover.description),
                mover.toward,
                Cell(f"{mover.groups_moved} of {mover.groups_quoting}", str(mover.groups_moved)),
                _farthest(mover),
                _before_after(mover),
                ago_cell(mover.last_at, facts),
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
    return f"{market_text(mover.market_key, mover.description)} toward {mover.toward}, by up to {far}"


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
