"""When to ask once more, and how fast to ask at all."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections import deque
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Final

from pipeline.clock import UTC, Timer
from pipeline.odds_api.api_errors import Failure

CALLS_PER_SECOND: Final = 30
# A call may reach the server a little sooner after the one before it than it left.
_WINDOW: Final = 1.05


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Which failures are worth another attempt, and after how long. It knows no clock and no chance.

    Attributes:
        attempts: at most so many in all, the first included.
        first_delay: seconds before the second attempt; doubled for each further one.
        longest_delay: seconds at which doubling ends.
        longest_wait: seconds; where the server asks for a longer ``Retry-After``, there is no further attempt in this run.
        seed: chooses the jitter, which takes up to half of a delay away.
    """

    attempts: int = 4
    first_delay: float = 1.0
    longest_delay: float = 30.0
    longest_wait: float = 90.0
    seed: str = ""

    def seeded(self, seed: str) -> RetryPolicy:
        """The same policy with other jitter, so that those who failed together do not come back together."""
        return replace(self, seed=seed)

    def next_delay(self, attempt: int, failure: Failure | None, retry_after: float | None = None) -> float | None:
        """Seconds to wait before the next attempt; None where there is none.

        Args:
            attempt: the attempt that ended so, from 1.
            failure: what it ended in; None = an answer.
            retry_after: seconds that the server asked to wait; the delay is never shorter.
        """
        if failure is None or not failure.can_heal or attempt >= self.attempts:
            return None
        if retry_after is not None and retry_after > self.longest_wait:
            return None
        # so many doublings are always past the longest delay
        delay = min(self.longest_delay, self.first_delay * 2.0 ** min(attempt - 1, 64))
        delay *= 1 - _fraction(f"{self.seed}|{attempt}") / 2
        return max(delay, retry_after or 0.0)


def _fraction(text: str) -> float:
    """A number from 0 to 1 that follows from a text and looks like chance."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2.0**48


def retry_after(header: str | None, now: dt.datetime) -> float | None:
    """Seconds that a ``Retry-After`` header asks to wait: a number of seconds, or a date; None where it says neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


class Pace:
    """Holds callers back so that no second has more than so many calls. Fit for several threads.

    Args:
        timer: measures, and waits.
        per_second: how many.
    """

    def __init__(self, timer: Timer, per_second: int = CALLS_PER_SECOND) -> None:
        self._timer = timer
        self._calls: deque[float] = deque(maxlen=per_second)
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next call may go."""
        with self._lock:
            if len(self._calls) == self._calls.maxlen:
                early = self._calls[0] + _WINDOW - self._timer.elapsed()
                if early > 0:
                    self._timer.sleep(early)
            self._calls.append(self._timer.elapsed())
