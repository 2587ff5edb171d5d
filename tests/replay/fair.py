"""Fair probabilities in plain Python, by intervals around a root; nothing in common with the SQL but the definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from functools import cache

PLACES = Decimal(1).scaleb(-10)
Values = tuple[Decimal, ...]


@dataclass(frozen=True)
class Fair:
    """What each method makes of a complete set's implied probabilities, to 10 places; None where it has no answer."""

    multiplicative: Values
    additive: Values | None
    power: Values
    shin: Values | None
    power_k: Decimal
    shin_z: Decimal | None


@cache
def fair(exact: tuple[Fraction, ...]) -> Fair:
    with localcontext() as context:
        context.prec = 60
        implied = tuple(Decimal(q.numerator) / q.denominator for q in exact)
        total, count = Decimal(sum(exact).numerator) / sum(exact).denominator, len(implied)
        shared = _rounded([q - (total - 1) / count for q in implied])
        k = _power_k(implied, total)
        z = None if total.quantize(PLACES, ROUND_HALF_UP) < 1 else _shin_z(implied, max(total, Decimal(1)))
        return Fair(
            _rounded([q / total for q in implied]),
            shared if min(shared) > 0 else None,
            _rounded([_power(q, k) for q in implied]),
            None if z is None else _rounded(_shin(implied, total, z)),
            k.quantize(PLACES, ROUND_HALF_UP),
            None if z is None else z.quantize(PLACES, ROUND_HALF_UP),
        )


def _rounded(values: Sequence[Decimal]) -> Values:
    # what a root is off by must not decide a tie
    return tuple(value.quantize(PLACES**2, ROUND_HALF_UP).quantize(PLACES, ROUND_HALF_UP) for value in values)


def _root(excess: Callable[[Decimal], Decimal], low: Decimal, high: Decimal) -> Decimal:
    """Where a function that is above 0 at ``low`` and not at ``high`` crosses: chords find it, signs beside it prove it."""
    width = Decimal("1e-35") * max(1, high)
    left, right, above, below = low, high, excess(low), excess(high)
    last, side = left, 0
    while above > 0 >= below:
        point = (left * below - right * above) / (below - above)
        if abs(point - last) < width / 4:
            if excess(point - width / 2) > 0 >= excess(point + width / 2):
                return point
            break
        last, found = point, excess(point)
        # an end that stays again counts for half, so that it is not for ever the same one (Illinois)
        if found > 0:
            left, above, below, side = point, found, below / 2 if side > 0 else below, 1
        else:
            right, below, above, side = point, found, above / 2 if side < 0 else above, -1
    while high - low > width:
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
    return (low + high) / 2


def _power(q: Decimal, k: Decimal) -> Decimal:
    return (k * q.ln()).exp()


def _power_k(implied: Values, total: Decimal) -> Decimal:
    if total == 1:
        return Decimal(1)
    logs = [q.ln() for q in implied]
    highest = -Decimal(len(implied)).ln() / max(logs)
    return _root(lambda k: sum(((k * log).exp() for log in logs), Decimal(0)) - 1, Decimal(0), highest + Decimal("1e-20"))


def _shin(implied: Values, total: Decimal, z: Decimal) -> list[Decimal]:
    return [((z * z + 4 * (1 - z) * q * q / total).sqrt() - z) / (2 * (1 - z)) for q in implied]


def _shin_z(implied: Values, total: Decimal) -> Decimal:
    if total == 1:
        return Decimal(0)
    return _root(lambda z: sum(_shin(implied, total, z), Decimal(0)) - 1, Decimal(0), 1 - Decimal("1e-12"))
