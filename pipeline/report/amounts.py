"""How the report writes amounts: odds, probabilities, points, ages and times. Pure and exact: decimals, never floats."""

from __future__ import annotations

import datetime as dt
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

NONE: Final = "–"
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# written out, as what strftime writes hangs on the locale
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def american_of(price_decimal: Decimal) -> int | None:
    """The American odds that are nearest to a decimal price: from +100 up, or below -100; None for a price that is none."""
    gain = price_decimal - 1
    if gain <= 0:
        return None
    odds = gain * 100 if gain >= 1 else -100 / gain
    return int(odds.quantize(Decimal(1), ROUND_HALF_UP))


def american(price_decimal: Decimal | None, sent: Decimal | None = None) -> str:
    """American odds such as ``+150`` or ``-110``: as sent where they were, else the nearest to the decimal price."""
    if sent is not None:
        return f"{sent.normalize():+f}"
    odds = None if price_decimal is None else american_of(price_decimal)
    return NONE if odds is None else f"{odds:+d}"


def decimal_odds(price_decimal: Decimal | None) -> str:
    """Decimal odds with two places, such as ``1.91``; with three below 1.1, where a hundredth is much."""
    if price_decimal is None:
        return NONE
    return f"{rounded(price_decimal, 3 if price_decimal < Decimal('1.1') else 2)}"


def fair_price(probability: Decimal | None) -> Decimal | None:
    """The decimal price at which a bet on it would bring nothing; None for what is no probability of an open outcome."""
    return None if probability is None or not 0 < probability < 1 else 1 / probability


def percent(fraction: Decimal | None, places: int = 1) -> str:
    """A fraction as per cent, such as ``54.1 %``."""
    return NONE if fraction is None else f"{rounded(100 * fraction, places)} %"


def percent_change(fraction: Decimal | None, places: int = 1) -> str:
    """A difference of fractions, with its sign, such as ``+1.6 %``."""
    return NONE if fraction is None else f"{signed(rounded(100 * fraction, places))} %"


def rounded(value: Decimal, places: int) -> Decimal:
    """Half up, to so many places, without a minus before a zero."""
    found = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    return found if found else abs(found)


def signed(value: Decimal) -> str:
    """With its sign; a zero has none."""
    return f"{value:+f}" if value else f"{value:f}"


def plain(value: Decimal | None) -> str:
    """Without trailing zeros, such as ``44.5``."""
    return NONE if value is None else f"{value.normalize() + 0:f}"


def handicap(value: Decimal | None) -> str:
    """Points with their sign, such as ``-3.5``; ``0`` for none (a pick)."""
    return NONE if value is None else signed(Decimal(plain(value)))


def age(seconds: int | None) -> str:
    """A length of time in its largest whole units, such as ``40 s``, ``3 min``, ``5 h`` and ``2 d``."""
    if seconds is None:
        return NONE
    if seconds < 0:
        return f"-{age(-seconds)}"
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= (2 * unit if unit == _DAY else unit):
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def counted(count: int, thing: str) -> str:
    """So many things, such as ``1 game`` and ``28 games``."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def iso(moment: dt.datetime) -> str:
    """A moment as a page's ``datetime`` takes it, in UTC."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(moment: dt.datetime) -> str:
    """A moment as a reader without a script sees it, in UTC: ``Sun 12 Oct 17:00``."""
    at = moment.astimezone(dt.UTC)
    return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at:%H:%M}"


def seconds_between(earlier: dt.datetime, later: dt.datetime) -> int:
    """Whole seconds from one moment to another."""
    return int((later - earlier).total_seconds())
