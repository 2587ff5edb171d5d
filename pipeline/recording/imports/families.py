"""What files are taken to have asked for: what their own family ever shows, and never more."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pipeline.odds_api.endpoints import ENDPOINTS, Endpoint
from pipeline.recording.imports.asked import UPCOMING
from pipeline.recording.imports.look import Look, Prices

UNKNOWN: Final = "unknown"
# Endpoints whose answers list the events of a sport, so that one that is missing may have gone.
_LISTS: Final = frozenset(
    row.name for row in ENDPOINTS.values() if row.has_sport and not row.has_event and row.name != "participants"
)
_SAYS_UPCOMING: Final = re.compile(r"(?<![a-z0-9])upcoming(?![a-z0-9])", re.IGNORECASE)


@dataclass(slots=True)
class Shown:
    """What the files of one family and sport ever show.

    Attributes:
        files: how many they are.
        books, markets: keys.
        american, decimal: files whose prices are surely so.
    """

    files: int = 0
    books: set[str] = field(default_factory=set)
    markets: set[str] = field(default_factory=set)
    american: int = 0
    decimal: int = 0

    def add(self, look: Look) -> None:
        """Take in a file."""
        self.files += 1
        self.books |= look.books
        self.markets |= look.markets
        format_, sure = own_format(look.prices)
        if sure:
            self.american += format_ == "american"
            self.decimal += format_ == "decimal"

    @property
    def odds_format(self) -> str | None:
        """The format of all files whose prices tell it; None where they differ, or none tells it."""
        if bool(self.american) == bool(self.decimal):
            return None
        return "american" if self.american else "decimal"


def merged(parts: Iterable[Shown]) -> Shown:
    """What several show together."""
    whole = Shown()
    for part in parts:
        whole.files += part.files
        whole.books |= part.books
        whole.markets |= part.markets
        whole.american += part.american
        whole.decimal += part.decimal
    return whole


def own_format(prices: Prices) -> tuple[str | None, bool]:
    """The odds format that a file's prices tell, and whether they all agree.

    Returns:
        ``american`` or ``decimal``; ``either`` where they fit both; ``neither`` where as many speak for the one as for the
        other; None where there are none.
    """
    if prices.american != prices.decimal:
        return ("american" if prices.american > prices.decimal else "decimal"), not (prices.american and prices.decimal)
    if prices.american:
        return "neither", False
    return ("either" if prices.either else None), False


@dataclass(slots=True)
class _Family:
    by_sport: defaultdict[str | None, Shown] = field(default_factory=lambda: defaultdict(Shown))
    shows_several: bool = False

    @property
    def sports(self) -> set[str]:
        return {sport for sport in self.by_sport if sport is not None and sport != UPCOMING}


class Families:
    """The families of an import: files of one endpoint whose names differ in the time alone."""

    def __init__(self) -> None:
        self._families: defaultdict[tuple[str, str], _Family] = defaultdict(_Family)
        self._endpoints: defaultdict[str, set[str]] = defaultdict(set)
        self._counts: Counter[tuple[str, str]] | None = None

    def add(self, endpoint: str, name: str, look: Look) -> str | None:
        """Take in a file; the sport that it shows, ``upcoming`` for several, None for none."""
        family = self._families[endpoint, name]
        self._endpoints[name].add(endpoint)
        sport = None if not look.sports else UPCOMING if len(look.sports) > 1 else min(look.sports)
        family.shows_several |= sport == UPCOMING
        family.by_sport[sport].add(look)
        return sport

    def endpoint(self, name: str, shapes: frozenset[str]) -> str | None:
        """The one endpoint of a family that a file of these shapes can be of, or None."""
        found = self._endpoints.get(name, set()) & shapes
        return min(found) if len(found) == 1 else None

    def sport(self, row: Endpoint, name: str, own: str | None) -> str | None:
        """The sport that a file had asked for: the answer's own, else its family's, else the only one there is."""
        if not row.has_sport:
            return None
        family = self._families[row.name, name]
        if family.shows_several:
            return UPCOMING
        if own is not None:
            return own
        counted = self._counted()
        here = {sport for endpoint, sport in counted if endpoint == row.name}
        everywhere = {sport for _, sport in counted}
        for sports in (family.sports, here, everywhere):
            if len(sports) == 1:
                return min(sports)
            if sports:
                break
        return UNKNOWN

    def shown(self, endpoint: str, name: str, sport: str | None) -> Shown:
        """What a family shows of a sport; all that it shows where the sport is another than its answers'."""
        family = self._families[endpoint, name]
        if not family.shows_several and sport in family.by_sport:
            return family.by_sport[sport]
        if sport == UNKNOWN:
            return Shown()
        return merged(family.by_sport.values())

    def doubt(self, row: Endpoint, name: str, sport: str | None, own: str | None) -> str | None:
        """Why cannot be told whether a file had asked for an event that it lacks; None where it can."""
        if row.name not in _LISTS or sport in (None, UNKNOWN):
            return None
        family = self._families[row.name, name]
        if family.shows_several:
            return None if own == UPCOMING else "some files of the same name show several sports, as polls of upcoming do"
        if row.family == "odds" and _SAYS_UPCOMING.search(name):
            return "the name says upcoming"
        own_too = sport in family.by_sport
        return "files of several names" if self._counted()[row.name, sport or ""] > own_too else None

    def _counted(self) -> Counter[tuple[str, str]]:
        """In how many families an endpoint shows a sport; counted once all files are in."""
        if self._counts is None:
            self._counts = Counter(
                (endpoint, sport)
                for (endpoint, _), family in self._families.items()
                if not family.shows_several
                for sport in family.sports
            )
        return self._counts
