"""A simulated betting market that answers like The Odds API v4, for replays, tests and demonstrations without a key.

Its world is invented: leagues carry real team names, but games, prices, players, golfers and fighters are made up.

**One rule.** ``SimulatedMarket(seed).answer(request, at)`` is a pure function: the same seed, request and time give
the same bytes, in any order, any number of times, in any process, on any machine. There is no state between calls
(what the object remembers only saves work), no clock, and no random generator: every draw is a keyed hash of its
label (``draws``), and prices are worked out with additions, multiplications and divisions only (``maths``), never
with ``exp``, ``log``, ``pow``, or the built-in ``sum`` of floats, whose last bits differ between machines or
versions.

**How a moment is made.** Each step is a function of time and can be asked alone:

1. ``fixtures``: which games a league plays in a week (any year has a full calendar).
2. ``listings``: under which ids a game is carried, when it is listed (some vanish before the start and return), and
   what its commence_time says when: nudged, flapped by an hour, moved by many, delayed in steps of five minutes,
   rewritten to the true start with odd seconds, sometimes corrected by hours after the fact.
3. ``play``: the fair margin and total, which jump now and then and stand still between; after the start the score.
4. ``feeds``: when each book was last read; feeds stall, at most 15 minutes are served, then the book is absent; books
   drop out of single events and rejoin.
5. ``quotes`` and ``props``: what the book makes of it: its opinion, margin, lines, ladder of prices; alternates,
   player props with their repeated names and spellings, outrights and lay lists; in-play placeholders and withdrawn
   draws.
6. ``market``: parameters checked as documented, documents in the API's field order, headers with credits. ``history``
   says which snapshots the past holds: a five-minute grid with drifting seconds and gaps of hours.

**How true it is.** The shares and sizes are set to what was measured on 14 million recorded rows of the real API;
``tests/market/test_simulator_calibration.py`` states each band with its source figures.

**What differs from the API.** Credits drain steadily with time (``x-requests-used`` starts at 0 each month). Books
and sports are a choice of the real ones and do not change over the years; regions without a simulated book (``fr``,
``au``, ``us_dfs``) are known but empty. ``market.last_update`` is present in all years. MMA fights have no
scores and leave ``/scores`` when they are over.

``SimulatorAdapter`` mounts a market on a ``requests`` session; ``bundled`` says what the bundled recording asks of
it.
"""

from pipeline.market.simulator.adapter import SimulatorAdapter
from pipeline.market.simulator.answers import SimulatedAnswer
from pipeline.market.simulator.market import SimulatedMarket

__all__ = ["SimulatedAnswer", "SimulatedMarket", "SimulatorAdapter"]
