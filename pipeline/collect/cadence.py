"""How often to ask: by the time that is left to the start, so that the closing hour is seen best."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.clock import UTC
from pipeline.errors import UsageError

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(r"([1-9]\d{0,5})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_IN_PLAY, _OTHERWISE = "in_play", "otherwise"


@dataclass(frozen=True, slots=True)
class Cadence:
    """Periods by tiers. What is due at a moment follows from that moment and the starts alone.

    Each period counts from 1970, and is a multiple of the shortest, so that one grid of moments holds them all.

    Attributes:
        tiers: (time to the start at most, period), the nearest first.
        in_play: period of games that have begun and are listed still; None = they are not asked for.
        otherwise: period of all else, sports without games too; None = it is not asked for.
    """

    tiers: tuple[tuple[dt.timedelta, dt.timedelta], ...]
    in_play: dt.timedelta | None = None
    otherwise: dt.timedelta | None = None

    @property
    def periods(self) -> tuple[dt.timedelta, ...]:
        """All periods, the shortest first."""
        given = (self.in_play, self.otherwise, *(every for _, every in self.tiers))
        return tuple(sorted({every for every in given if every is not None}))

    def is_due(self, at: dt.datetime, start: dt.datetime | None) -> bool:
        """Whether a game is asked for at a moment.

        Args:
            at: a moment of the grid.
            start: when it begins; None = that is not known, or there is no game.
        """
        every = self._period(at, start)
        return every is not None and not (at - EPOCH) % every

    def next_due(self, after: dt.datetime, starts: Iterable[dt.datetime | None]) -> dt.datetime:
        """The first moment after one at which something is due; after the longest period at most, since games are added."""
        shortest, longest = self.periods[0], self.periods[-1]
        known = (None, *starts)
        at = last = after - (after - EPOCH) % longest + longest
        while (earlier := at - shortest) > after:
            at = earlier
        while at < last and not any(self.is_due(at, start) for start in known):
            at += shortest
        return at

    def _period(self, at: dt.datetime, start: dt.datetime | None) -> dt.timedelta | None:
        if start is None:
            return self.otherwise
        if start <= at:
            return self.in_play
        return next((every for within, every in self.tiers if start - at <= within), self.otherwise)


def parse_duration(text: Any) -> dt.timedelta | None:
    """``90s``, ``15m``, ``6h`` or ``1d``; None where it is no such text."""
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else dt.timedelta(**{_UNITS[found[2]]: int(found[1])})


def duration_text(duration: dt.timedelta) -> str:
    """The text that :func:`parse_duration` reads as this duration, in the largest unit that has it in whole numbers."""
    seconds = int(duration.total_seconds())
    number, unit = next((seconds // size, unit) for unit, size in _SECONDS.items() if not seconds % size)
    return f"{number}{unit}"


def parse_cadence(document: Mapping[Any, Any]) -> Cadence:
    """The cadence that a plan file's mapping describes.

    Raises:
        UsageError: ``PLAN_INVALID``.
    """
    read = dict(_periods(document))
    tiers = sorted((within, every) for within, every in read.items() if isinstance(within, dt.timedelta))
    cadence = Cadence(tuple(tiers), read.get(_IN_PLAY), read.get(_OTHERWISE))
    if not cadence.periods:
        raise _invalid("cadence is empty", "Give it tiers, such as `1h: 5m`, or one period.")
    shortest = cadence.periods[0]
    if odd := [every for every in cadence.periods if every % shortest]:
        raise _invalid(f"a period of {odd[0]} is no multiple of the shortest, {shortest}", "Choose periods that are.")
    return cadence


def _periods(document: Mapping[Any, Any]) -> Iterator[tuple[dt.timedelta | str, dt.timedelta]]:
    for key, value in document.items():
        within, every = key if key in (_IN_PLAY, _OTHERWISE) else parse_duration(key), parse_duration(value)
        if within is None or every is None:
            raise _invalid(
                f"cadence holds {key!r}: {value!r}",
                f"Its keys are times to the start, {_IN_PLAY} and {_OTHERWISE}; all times are such as 90s, 15m, 6h or 1d.",
            )
        yield within, every


def _invalid(why: str, next_step: str) -> UsageError:
    return UsageError("PLAN_INVALID", f"The plan cannot be used: {why}.", next_step)
