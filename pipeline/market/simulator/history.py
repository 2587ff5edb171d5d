"""Which snapshots the history holds: a grid of five minutes (ten before September 2022) with gaps of hours."""

from __future__ import annotations

from pipeline.market.simulator.draws import Draws
from pipeline.market.simulator.fixtures import day_of
from pipeline.market.simulator.world import DAY

FEATURED_FROM = day_of(2020, 6, 6) * DAY
ADDITIONAL_FROM = day_of(2023, 5, 3) * DAY + 5 * 3600 + 1800
_FINER_FROM = day_of(2022, 9, 18)
_OUTAGE_DAYS = 24
_OUTAGES = (9000, 14400, 23400, 50100, 50100, 272700, 299400)  # seconds
SETTLE = 16  # a snapshot is taken over some seconds, so what it holds can be that much later than its timestamp


class History:
    """The snapshots of one seed.

    Args:
        draws: the seed's draws.
    """

    def __init__(self, draws: Draws) -> None:
        self._draws = draws

    def _grid(self, day: int) -> tuple[int, int]:
        if day < _FINER_FROM:
            return 600, 0
        return 300, 36 + self._draws.integer(f"grid/{day}") % 9

    def outage(self, at: int) -> tuple[int, int] | None:
        """The stretch without snapshots that a moment lies in."""
        block = at // (_OUTAGE_DAYS * DAY)
        for which in (block - 1, block):
            begin = which * _OUTAGE_DAYS * DAY + self._draws.integer(f"outage/{which}") % (_OUTAGE_DAYS * DAY)
            length = _OUTAGES[self._draws.integer(f"outage/{which}/length") % len(_OUTAGES)]
            if begin <= at < begin + length:
                return begin, begin + length
        return None

    def _floor(self, at: int) -> int:
        day = at // DAY
        step, offset = self._grid(day)
        turn = (at - day * DAY - offset) // step
        if turn >= 0:
            return day * DAY + offset + turn * step
        step, offset = self._grid(day - 1)
        return (day - 1) * DAY + offset + ((DAY - 1 - offset) // step) * step

    def at_or_before(self, at: int) -> int | None:
        """The latest snapshot not after a moment; None before the history begins."""
        while at >= FEATURED_FROM:
            point = self._floor(at)
            gap = self.outage(point)
            if gap is None:
                return point if point >= FEATURED_FROM else None
            at = gap[0] - 1
        return None

    def after(self, at: int) -> int:
        """The first snapshot after a moment."""
        point = self._floor(at)
        while point <= at:
            day = point // DAY
            step, _ = self._grid(day)
            following = point + step
            if following // DAY != day:
                following = (day + 1) * DAY + self._grid(day + 1)[1]
            point = following
            gap = self.outage(point)
            if gap is not None:
                # Go on from the last grid point inside the gap.
                point = self._floor(gap[1] - 1)
                at = max(at, point)
        return point

    def content_time(self, snapshot: int) -> int:
        """When the snapshot's content was gathered: at its timestamp or a few seconds after."""
        return snapshot + self._draws.integer(f"settle/{snapshot}") % SETTLE
