"""Lines of steps over time as small drawings: pure functions of the facts. Colours are the page's; names stand beside it.

A drawing is 1000 by 1000 whatever its size on the page, so that words beside it keep theirs on a narrow screen.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from pipeline.report.amounts import clock, iso
from pipeline.report.movement_facts import Stretch
from pipeline.texts import shown

# More lines than that are a tangle; the table has all.
LINES: Final = 7
SIZE: Final = 1000
# Characters of a name beside a line.
LABEL: Final = 40
CONSENSUS: Final = "consensus"
_STEPS: Final = tuple(Decimal(step) for step in ("0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1", "0.2", "0.25"))
_POINT_STEPS: Final = tuple(Decimal(step) for step in ("0.5", "1", "2", "5", "10", "20", "50"))


@dataclass(frozen=True, slots=True)
class Line:
    """A source's line: its name, its place among the colours (0 is the consensus), and an SVG path in thousandths."""

    name: str
    colour: int
    path: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word at an axis: where, in per cent of it from the left or the bottom, and a moment where it is one."""

    text: str
    place: str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing.

    Attributes:
        key: its id on the page.
        title: what it shows.
        label: the same for who cannot see it.
        begins, ends: the moments at its left and right edge, ISO.
        low, high: the values at its bottom and top.
        unit: of the values: ``%`` where they are probabilities times 100, or empty.
        lines: the consensus last, so that it lies on top.
        values, times: words at its axes.
        start: where the event starts, in per cent from the left; empty where that is not on it.
        left_out: sources that have no line.
    """

    key: str
    title: str
    label: str
    begins: str
    ends: str
    low: str
    high: str
    unit: str
    lines: tuple[Line, ...]
    values: tuple[Mark, ...]
    times: tuple[Mark, ...]
    start: str
    left_out: int


def steps_chart(
    key: str, title: str, stretches: Sequence[Stretch], start_at: dt.datetime, is_probability: bool
) -> Chart | None:
    """Values over time, which hold until the next; None without any."""
    if not stretches:
        return None
    sources = _liveliest(stretches)
    left_out = len({stretch.source for stretch in stretches}) - len(sources)
    drawn = [stretch for _, found in sources for stretch in found]
    begins, ends = min(each.begins for each in drawn), max(each.ends for each in drawn)
    if ends <= begins:
        ends = begins + dt.timedelta(minutes=1)
    low, high, step = _range([each.value for each in drawn], _STEPS if is_probability else _POINT_STEPS)

    def x(at: dt.datetime) -> int:
        return round(SIZE * Fraction(int((at - begins).total_seconds()), int((ends - begins).total_seconds())))

    def y(value: Decimal) -> int:
        return SIZE - round(SIZE * Fraction((value - low) / (high - low)))

    factor = 100 if is_probability else 1
    count = int((high - low) / step)
    return Chart(
        key=key,
        title=title,
        label=f"{title} over time, by {len(sources)} sources; the table below has their ranges.",
        begins=iso(begins),
        ends=iso(ends),
        low=f"{(low * factor).normalize():f}",
        high=f"{(high * factor).normalize():f}",
        unit="%" if is_probability else "",
        # the consensus is drawn last, and named first
        lines=tuple(Line(name, colour, _path(found, x, y)) for name, colour, found in reversed(_coloured(sources))),
        values=tuple(_mark(low + step * number, low, high, factor) for number in range(count + 1)),
        times=tuple(_times(begins, ends)),
        start=_per_cent(Fraction(x(start_at), SIZE)) if begins <= start_at <= ends else "",
        left_out=left_out,
    )


def _liveliest(stretches: Sequence[Stretch]) -> list[tuple[str, list[Stretch]]]:
    """The consensus, and the books with the most changes, in order of name."""
    by_source: dict[str, list[Stretch]] = {}
    for stretch in stretches:
        by_source.setdefault(stretch.source, []).append(stretch)
    books = sorted((source for source in by_source if source != CONSENSUS), key=lambda book: (-len(by_source[book]), book))
    first = [CONSENSUS] if CONSENSUS in by_source else []
    return [(source, by_source[source]) for source in first + sorted(books[:LINES])]


def _coloured(sources: list[tuple[str, list[Stretch]]]) -> list[tuple[str, int, list[Stretch]]]:
    books = (number for number in range(1, len(sources) + 1))
    return [(shown(name, LABEL), 0 if name == CONSENSUS else next(books), found) for name, found in sources]


def _path(stretches: Sequence[Stretch], x: Callable[[dt.datetime], int], y: Callable[[Decimal], int]) -> str:
    """Steps; the line is broken where there was no value."""
    parts: list[str] = []
    until: dt.datetime | None = None
    for stretch in stretches:
        height = y(stretch.value)
        parts.append(f"V{height}" if until == stretch.begins else f"M{x(stretch.begins)} {height}")
        parts.append(f"H{x(stretch.ends)}")
        until = stretch.ends
    return "".join(parts)


def _range(values: Sequence[Decimal], steps: Sequence[Decimal]) -> tuple[Decimal, Decimal, Decimal]:
    """The lowest and the highest value on the drawing, and the step between its marks: at most six of them, on round values."""
    lowest, highest = min(values), max(values)
    for step in steps:
        low, high = (lowest // step) * step, -((-highest) // step) * step
        low, high = (low - step if low > lowest else low), (high + step if high < highest else high)
        if low == high:
            low, high = low - step, high + step
        if (high - low) / step <= 6:
            break
    return low, high, step


def _mark(value: Decimal, low: Decimal, high: Decimal, factor: int) -> Mark:
    unit = " %" if factor == 100 else ""
    return Mark(f"{(value * factor).normalize() + 0:f}{unit}", _per_cent(Fraction((value - low) / (high - low))))


def _times(begins: dt.datetime, ends: dt.datetime) -> list[Mark]:
    """The two edges and the middle; more would touch on a narrow screen."""
    length = ends - begins
    return [
        Mark(clock(begins + length * part / 2), _per_cent(Fraction(part, 2)), iso(begins + length * part / 2))
        for part in range(3)
    ]


def _per_cent(part: Fraction) -> str:
    return f"{round(part * 10000) / 100:g}"
