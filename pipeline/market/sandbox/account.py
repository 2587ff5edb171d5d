"""What a sandbox's customer has used: credits per calendar month, and calls per second."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

CALLS_PER_SECOND: Final = 30


@dataclass(frozen=True, slots=True)
class Account:
    """Credits of one month. Each change gives a new account.

    Attributes:
        quota: credits per month; they come back on the first, 00:00 UTC.
        month: the month that ``used`` is of, as (year, month).
        used: credits used in it; never more than the quota.
    """

    quota: int
    month: tuple[int, int]
    used: int = 0

    @property
    def remaining(self) -> int:
        """Credits left."""
        return self.quota - self.used

    def at(self, month: tuple[int, int]) -> Account:
        """The account in that month."""
        return self if month == self.month else Account(self.quota, month)

    def charged(self, cost: int) -> Account | None:
        """The account after a call of that cost; None where the credits do not suffice."""
        return Account(self.quota, self.month, self.used + cost) if cost <= self.remaining else None


class RateLimit:
    """At most so many calls in any one second; calls that were refused do not count.

    Args:
        per_second: how many.
    """

    def __init__(self, per_second: int = CALLS_PER_SECOND) -> None:
        self._calls: deque[float] = deque(maxlen=per_second)
        self._per_second = per_second

    def admits(self, elapsed: float) -> bool:
        """Whether a call at that moment (seconds, never going back) is within the limit; counts it if so."""
        if len(self._calls) == self._per_second and elapsed - self._calls[0] < 1.0:
            return False
        self._calls.append(elapsed)
        return True
