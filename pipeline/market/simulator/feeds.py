"""When a book is read, when it stalls, drops out and comes back.

What the API shows of a book was read some time before, about half a minute as a rule, never more than a quarter of an hour: a
book whose feed stalls stays with its last prices for up to 15 minutes and then is absent until the feed is back.
"""

from __future__ import annotations

from pipeline.market.simulator.draws import Draws
from pipeline.market.simulator.listings import Listing
from pipeline.market.simulator.world import DAY, Book

OLDEST = 895  # seconds; nothing older is served
_SUSPENSIONS = (1020, 1800, 3000, 3600, 5400, 7200, 10800, 11600, 14400, 21600, 32400, 43200, 86400, 150000)
_SLOT = 2 * DAY
_SHORT_SLOT = 900
_FORGET = 50_000


class Feeds:
    """The readings of all books.

    Args:
        draws: the seed's draws.
    """

    def __init__(self, draws: Draws) -> None:
        self._draws = draws
        self._reads: dict[tuple[str, str, int], int | None] = {}
        self._stalls: dict[tuple[str, str, int], tuple[tuple[int, int], ...]] = {}

    def _stalled(self, sport: str, book: str, at: int) -> bool:
        day = at // DAY
        return any(begin <= at < end for which in (day - 1, day) for begin, end in self._stalls_of_day(sport, book, which))

    def _stalls_of_day(self, sport: str, book: str, day: int) -> tuple[tuple[int, int], ...]:
        key = (sport, book, day)
        found = self._stalls.get(key)
        if found is None:
            label = f"stall/{sport}/{book}/{day}"
            stalls: list[tuple[int, int]] = []
            for number in range(2):
                if self._draws.chance(f"{label}/short/{number}", 0.22):
                    begin = day * DAY + self._draws.between(f"{label}/short/{number}/begin", 0, DAY - 1)
                    stalls.append((begin, begin + self._draws.between(f"{label}/short/{number}/length", 300, 880)))
            if self._draws.chance(f"{label}/long", 0.06):
                begin = day * DAY + self._draws.between(f"{label}/begin", 0, DAY - 1)
                stalls.append((begin, begin + self._draws.between(f"{label}/length", 1500, 7200)))
            found = tuple(stalls)
            if len(self._stalls) >= _FORGET:
                self._stalls.clear()
            self._stalls[key] = found
        return found

    def last_read(self, sport: str, book: Book, at: int, every: int) -> int | None:
        """When the book was last read before a moment; None where that is too long ago to be served.

        Args:
            sport: sport key.
            book: the book.
            at: epoch seconds.
            every: seconds between readings.
        """
        key = (sport, book.key if every == book.reads else f"{book.key}/{every}", at)
        if key in self._reads:
            return self._reads[key]
        draws = self._draws
        phase = draws.integer(f"read/{key[0]}/{key[1]}") % every
        turn = (at - phase) // every
        found: int | None = None
        while at - (read := phase + turn * every) <= OLDEST:
            slow = draws.integer(f"slow/{key[0]}/{key[1]}/{read // 3600}") % 100 < 4
            missed = draws.integer(f"miss/{key[0]}/{key[1]}/{turn}") % 100 < (72 if slow else 17)
            if not missed and not self._stalled(sport, book.key, read):
                found = read
                break
            turn -= 1
        if len(self._reads) >= _FORGET:
            self._reads.clear()
        self._reads[key] = found
        return found

    def event_read(self, listing: Listing, book: Book, at: int, every: int, *, steady: bool = False) -> int | None:
        """When this event was last read at the book; None where the book does not show it now.

        A ``steady`` book never leaves out this event alone.
        """
        if steady:
            return self.last_read(listing.sport.key, book, at, every)
        if at >= listing.start and (short := self._short_suspension(listing, book, at)) and short[0] <= at < short[1]:
            return None
        for begin, end, frozen in self._pauses(listing, book, at):
            if begin <= at < end:
                if not frozen:
                    return None
                read = self.last_read(listing.sport.key, book, begin, every)
                return read if read is not None and at - read <= OLDEST else None
        return self.last_read(listing.sport.key, book, at, every)

    def _short_suspension(self, listing: Listing, book: Book, at: int) -> tuple[int, int] | None:
        label = f"{listing.event_id}/{book.desk}/short/{at // _SHORT_SLOT}"
        if self._draws.integer(label) % 1000 >= 8:
            return None
        begin = at // _SHORT_SLOT * _SHORT_SLOT + self._draws.between(f"{label}/begin", 0, 500)
        return begin, begin + self._draws.between(f"{label}/length", 60, 600)

    def _pauses(self, listing: Listing, book: Book, at: int) -> list[tuple[int, int, bool]]:
        """Stretches in which the book leaves out this event, as (begin, end, first frozen for a while?)."""
        pauses = []
        for slot in (at // _SLOT - 1, at // _SLOT):
            label = f"{listing.event_id}/{book.key}/pause/{slot}"
            value = self._draws.integer(label)
            if value % 1000 < 200:
                begin = slot * _SLOT + (value >> 12) % _SLOT
                length = _SUSPENSIONS[(value >> 40) % len(_SUSPENSIONS)]
                pauses.append((begin, begin + length, (value >> 56) & 1 == 1))
        return pauses
