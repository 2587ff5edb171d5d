"""The one source of wall time. A clock is passed in wherever time is needed; nothing else asks the system for it."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import Final, Protocol

UTC = dt.UTC
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Anything that tells the time as an aware ``datetime`` in UTC."""

    def now(self) -> dt.datetime:
        """The present moment, aware, in UTC."""


class Timer(Protocol):
    """Anything that measures and lets pass seconds: for pacing and waiting, never for dating."""

    def elapsed(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds pass."""


class SystemClock:
    """The machine's clock, and its timer."""

    def now(self) -> dt.datetime:
        """The present moment, aware, in UTC."""
        return dt.datetime.now(UTC)

    def elapsed(self) -> float:
        """Seconds since the machine was started, or so."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass
class ManualClock:
    """A clock that stands still until it is set or somebody sleeps: for replays and tests."""

    time: dt.datetime

    def now(self) -> dt.datetime:
        """The time it was last set to, and what was slept since."""
        return self.time

    def elapsed(self) -> float:
        """Its time in epoch seconds."""
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        """Put it forward, at once."""
        self.time += dt.timedelta(seconds=seconds)


def to_iso(moment: dt.datetime) -> str:
    """``2025-10-09T00:42:48Z``; with ``.ffffff`` only where there are fractions of a second.

    Args:
        moment: an aware datetime of any zone.
    """
    text = moment.astimezone(UTC).isoformat()
    return text.replace("+00:00", "Z")


def from_iso(text: str) -> dt.datetime:
    """The aware UTC datetime of an ISO text that names its offset.

    Raises:
        ValueError: the text is no ISO time, names no offset, or is in UTC beyond the years 1 to 9999.
    """
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} is beyond the years 1 to 9999") from error


def is_datable(moment: dt.datetime) -> bool:
    """Whether something recorded may bear this time: from 1990 to the end of 2100."""
    return 1990 <= moment.year <= 2100


def from_answer(time: str | int) -> dt.datetime:
    """The aware UTC datetime of a time in an answer: an ISO text that names its offset, or seconds since 1970.

    Raises:
        ValueError, TypeError, OverflowError: it is no such time.
    """
    if isinstance(time, str):
        return from_iso(time)
    return _EPOCH + dt.timedelta(seconds=time)


def compact(moment: dt.datetime) -> str:
    """``20251009T004248Z``: sortable, and fit for a file name. Fractions of a second are cut."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
