"""How often a plan with tiers asks in a month, at most: by how many events a sport lists at a time, and for how long."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pipeline.collect.cadence import Cadence

MONTH: Final = dt.timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Listing:
    """How the events of a sport come and go; no start is taken to move.

    Attributes:
        events: that are listed at a time, at most.
        starts: different starting times among them, at most.
        before: for how long an event is listed before its start, at least.
        after: the same after its start, at most.
    """

    events: int
    starts: int
    before: dt.timedelta = dt.timedelta(days=7)
    after: dt.timedelta = dt.timedelta(hours=4)

    def begin_within(self, number: int, width: dt.timedelta) -> int:
        """How many of so many at a time begin in a stretch at most: all that begin in one of ``before`` are listed at once."""
        return number * _ceiling(width, self.before)


@dataclass(frozen=True, slots=True)
class Asked:
    """How often something is due in a month, at most.

    Attributes:
        sport: moments at which a sport is: any of its events, or the time for all else.
        events: moments at which an event is, added up over the sport's events.
    """

    sport: int
    events: int

    @classmethod
    def of(cls, cadence: Cadence, listing: Listing) -> Asked:
        """What follows from the tiers.

        A tier's moments lie on its period's grid: there are no more than that has in a month, and no more than its width has,
        once for each start.
        """
        sport: dict[dt.timedelta, int] = defaultdict(int)
        events = 0
        for width, every, moments in _stretches(cadence, listing):
            # the first may begin before the month does, and the last after it
            sport[every] += moments * listing.begin_within(listing.starts, MONTH + width)
            of_each = moments * listing.begin_within(listing.events, MONTH + width)
            events += min(of_each, listing.events * _ceiling(MONTH, every))
        if cadence.otherwise is not None:
            sport[cadence.otherwise] += _ceiling(MONTH, cadence.otherwise)
            events += listing.events * _ceiling(MONTH, cadence.otherwise)
        whole = _ceiling(MONTH, cadence.periods[0])
        by_period = sum(min(count, _ceiling(MONTH, every)) for every, count in sport.items())
        return cls(min(by_period, whole), min(events, listing.events * whole))


def _stretches(cadence: Cadence, listing: Listing) -> Iterator[tuple[dt.timedelta, dt.timedelta, int]]:
    """(width, period, moments of its grid in it at most) of each tier, and of what is in play."""
    nearer = dt.timedelta(0)
    for within, every in cadence.tiers:
        yield within - nearer, every, _ceiling(within - nearer, every)
        nearer = within
    if cadence.in_play is not None:
        yield listing.after, cadence.in_play, listing.after // cadence.in_play + 1  # its start and its end are of it


def _ceiling(width: dt.timedelta, part: dt.timedelta) -> int:
    return -(-width // part)
