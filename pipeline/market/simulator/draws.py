"""Chance without state: every draw is a keyed hash of its label, so it can be asked in any order and any number of times."""

from __future__ import annotations

from hashlib import blake2b

_LIMIT = 200_000  # draws remembered; forgetting them costs time only, never another value


class Draws:
    """Draws of one seed.

    A label is any text; equal labels give equal draws. Only integer arithmetic and IEEE basic operations are used, so a
    draw is the same on every machine and every Python.

    Args:
        seed: any integer.
    """

    __slots__ = ("_key", "_seen")

    def __init__(self, seed: int) -> None:
        self._key = blake2b(str(seed).encode(), digest_size=32).digest()
        self._seen: dict[str, int] = {}

    def block(self, label: str, size: int = 64) -> bytes:
        """Up to 64 bytes of chance."""
        return blake2b(label.encode(), digest_size=size, key=self._key).digest()

    def integer(self, label: str) -> int:
        """An integer of 64 bits."""
        value = self._seen.get(label)
        if value is None:
            if len(self._seen) >= _LIMIT:
                self._seen.clear()
            value = int.from_bytes(blake2b(label.encode(), digest_size=8, key=self._key).digest(), "big")
            self._seen[label] = value
        return value

    def unit(self, label: str) -> float:
        """Uniform in [0, 1)."""
        return (self.integer(label) >> 11) * (1.0 / (1 << 53))

    def signed(self, label: str) -> float:
        """Uniform in [-1, 1)."""
        return self.unit(label) * 2.0 - 1.0

    def bell(self, label: str) -> float:
        """About normal with mean 0 and variance 1: three sums of 21 bits each; never beyond ±3."""
        value = self.integer(label)
        total = (value & 0x1FFFFF) + ((value >> 21) & 0x1FFFFF) + ((value >> 42) & 0x1FFFFF)
        return total * (2.0 / (1 << 21)) - 3.0

    def between(self, label: str, low: int, high: int) -> int:
        """An integer of low … high, both included."""
        return low + self.integer(label) % (high - low + 1)

    def chance(self, label: str, probability: float) -> bool:
        """True with the given probability."""
        return self.unit(label) < probability

    def walk(self, label: str, at: int, steps: tuple[tuple[int, float], ...]) -> float:
        """A value that jumps now and then and stands still between, readable at any time.

        Args:
            label: which walk.
            at: epoch seconds.
            steps: (seconds between jumps, size of a jump): the value is the sum of one step function for each.
        """
        total = 0.0
        for period, size in steps:
            phase = self.integer(f"{label}/{period}") % period
            total += size * self.signed(f"{label}/{period}/{(at + phase) // period}")
        return total
