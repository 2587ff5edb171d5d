"""A time that can be set, stepped, sped up and stopped, and a clock that follows one over HTTP."""

from __future__ import annotations

import datetime as dt

import requests

from pipeline.clock import Clock, from_iso
from pipeline.errors import SetupError, UsageError

_TIMEOUT = (5.0, 5.0)


class SandboxClock:
    """Runs off another clock, from a moment and at a rate of one's own.

    Args:
        base: what really passes.
        at: where to begin; None = where ``base`` is.
        rate: seconds here per second of ``base``; 0 stands still.

    Raises:
        UsageError: ``CLOCK_INVALID``.
    """

    def __init__(self, base: Clock, at: dt.datetime | None = None, rate: float = 1.0) -> None:
        self._base = base
        self._since = base.now()
        self._at = self._since if at is None else at
        self.rate = _checked(rate)

    @classmethod
    def parse(cls, text: str, base: Clock) -> SandboxClock:
        """Read ``wall``, ``2026-01-04T17:00:00Z``, or either with a rate: ``2026-01-04T17:00:00Z*60``.

        Raises:
            UsageError: ``CLOCK_INVALID``.
        """
        start, _, rate = text.partition("*")
        try:
            return cls(base, None if start == "wall" else from_iso(start), float(rate or 1))
        except (ValueError, OverflowError):
            raise _invalid(f"{text!r} is no clock") from None

    def now(self) -> dt.datetime:
        """The present moment here, aware, in UTC."""
        return self._at + self.rate * (self._base.now() - self._since)

    def change(self, *, at: dt.datetime | None = None, step: float = 0.0, rate: float | None = None) -> None:
        """Go on from ``at`` (default: from now), ``step`` seconds later, at ``rate`` (default: as before).

        Raises:
            UsageError: ``CLOCK_INVALID``.
        """
        rate = self.rate if rate is None else _checked(rate)
        try:
            moved = (self.now() if at is None else at) + dt.timedelta(seconds=step)
        except (ValueError, OverflowError):
            raise _invalid(f"a step of {step} seconds leads nowhere") from None
        self._at, self._since, self.rate = moved, self._base.now(), rate


class FollowingClock:
    """The time of a sandbox, asked anew each time, so that its steps are seen at once.

    Args:
        url: the sandbox's URL.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url.rstrip('/')}/sandbox"
        self._session = requests.Session()
        self._session.trust_env = False

    def now(self) -> dt.datetime:
        """The present moment there.

        Raises:
            SetupError: ``SANDBOX_UNREACHABLE``.
        """
        try:
            answer = self._session.get(self._url, timeout=_TIMEOUT)
            return from_iso(answer.json()["now"])
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise SetupError(
                "SANDBOX_UNREACHABLE",
                f"No sandbox tells its time at {self._url} ({type(error).__name__}).",
                "Start one with `sports-market sandbox --print-url`, and name its URL.",
            ) from None


def _checked(rate: float) -> float:
    if not 0 <= rate <= 1e6:
        raise _invalid(f"a clock cannot run {rate} times as fast")
    return rate


def _invalid(why: str) -> UsageError:
    return UsageError(
        "CLOCK_INVALID",
        f"{why[:1].upper()}{why[1:]}.",
        "Write `wall` or 2026-01-04T17:00:00Z, and `*60` to speed it up.",
    )
