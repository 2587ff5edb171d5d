"""The one source of wall time. A clock is passed in wherever time is needed; nothing else asks the system for it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

UTC = dt.UTC


class Clock(Protocol):
    """Anything that tells the time as an aware ``datetime`` in UTC."""

    def now(self) -> dt.datetime:
        """The present moment, aware, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> dt.datetime:
        """The present moment, aware, in UTC."""
        return dt.datetime.now(UTC)


@dataclass
class ManualClock:
    """A clock that stands still until it is set: for replays and tests."""

    time: dt.datetime

    def now(self) -> dt.datetime:
        """The time it was last set to."""
        return self.time


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
        ValueError: the text is no ISO time or names no offset.
    """
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment.astimezone(UTC)


def compact(moment: dt.datetime) -> str:
    """``20251009T004248Z``: sortable, and fit for a file name. Fractions of a second are cut."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
