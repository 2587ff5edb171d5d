"""Probabilities and price ladders from additions, multiplications, divisions and square roots alone.

``exp``, ``log`` and ``pow`` of the C library, and the built-in ``sum`` of floats (compensated since Python 3.12), may differ
in the last bit between machines or versions; nothing here uses them.
"""

from __future__ import annotations

_D = (0.0498673470, 0.0211410061, 0.0032776263, 0.0000380036, 0.0000488906, 0.0000053830)


def normal_cdf(x: float) -> float:
    """Standard normal distribution function (Abramowitz and Stegun 26.2.19, error below 1.5e-7)."""
    size = -x if x < 0 else x
    if size > 6.0:
        size = 6.0
    poly = 1.0 + size * (_D[0] + size * (_D[1] + size * (_D[2] + size * (_D[3] + size * (_D[4] + size * _D[5])))))
    for _ in range(4):
        poly *= poly
    tail = 0.5 / poly
    return tail if x < 0 else 1.0 - tail


def clamp(value: float, low: float, high: float) -> float:
    """The value, or the bound it goes beyond."""
    return low if value < low else high if value > high else value


def nearest(value: float, step: float) -> float:
    """The nearest multiple of step; halves go up. Exact for steps that are powers of two."""
    scaled = value / step + 0.5
    whole = int(scaled)
    if whole > scaled:
        whole -= 1
    return whole * step


_AMERICAN_COARSE = ((250, 5), (500, 10), (1000, 25), (2500, 50), (5000, 100), (20000, 500))
_AMERICAN_FINE = ((200, 1), (400, 2), (700, 5), (1500, 10), (3000, 25), (6000, 50), (20000, 100))
_DECIMAL_FINE = ((300, 1), (600, 5), (1200, 10), (2600, 50), (10000, 100), (100000, 1000))
_DECIMAL_COARSE = ((150, 1), (300, 5), (600, 10), (1200, 50), (2600, 100), (10000, 500), (100000, 5000))

LADDERS = {
    "american_coarse": _AMERICAN_COARSE,
    "american_fine": _AMERICAN_FINE,
    "decimal_fine": _DECIMAL_FINE,
    "decimal_coarse": _DECIMAL_COARSE,
}


def _rounded(size: float, ladder: tuple[tuple[int, int], ...]) -> int:
    step = ladder[-1][1]
    for limit, candidate in ladder:
        if size < limit:
            step = candidate
            break
    return int(size / step + 0.5) * step


def quoted(probability: float, ladder: str) -> int:
    """The price that a book shows for an implied probability, in its own notation.

    Args:
        probability: implied, in (0, 1).
        ladder: a key of ``LADDERS``.

    Returns:
        American odds as an integer (never -100, never within ±100) for an american ladder; else hundredths of decimal odds.
    """
    rungs = LADDERS[ladder]
    if ladder.startswith("american"):
        if probability <= 0.5:
            price = _rounded(100.0 * (1.0 - probability) / probability, rungs)
            return max(price, 100)
        price = _rounded(100.0 * probability / (1.0 - probability), rungs)
        return 100 if price <= 100 else -price
    return max(_rounded(100.0 / probability, rungs), 101)


def american_of(cents: int) -> int:
    """American odds of decimal odds given in hundredths: 191 → -110, 200 → 100, 350 → 250."""
    if cents >= 200:
        return cents - 100
    if cents <= 100:
        return -100000
    return -((2 * 10000 + (cents - 100)) // (2 * (cents - 100)))


def cents_of(american: int) -> int:
    """Hundredths of decimal odds of american odds: -110 → 191, 250 → 350."""
    if american > 0:
        return 100 + american
    return 100 + (2 * 10000 - american) // (2 * -american)
