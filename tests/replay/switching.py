"""Small markets whose requests and answers switch: odds format, what kind of number a price is, the sport key of an id, regions
and book lists. Each answer keeps to the contract; by chance that hypothesis or a seed fixes.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st

from pipeline.clock import UTC, to_iso
from pipeline.odds_api.api_errors import Failure
from pipeline.odds_api.catalogue import books_of
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.coverage import coverage_of
from pipeline.recording.model import Batch, Exchange, PlanIdentity

NOON: Final = dt.datetime(2026, 1, 10, 12, tzinfo=UTC)
STEP: Final = dt.timedelta(minutes=5)
SECOND: Final = dt.timedelta(seconds=1)
MINUTE: Final = dt.timedelta(minutes=1)

# one competition under two keys, and one whose results scatter otherwise
KEYS: Final = ("basketball_nba_preseason", "basketball_nba", "americanfootball_nfl")
EVENTS: Final = tuple(f"{number:032x}" for number in (0xE1, 0xE2))
TEAMS: Final = (("Hawks", "Bulls"), ("Suns", "Nets"))
# of one operator, an exchange, two of the same region
BOOKS: Final = ("betfair_ex_uk", "betonlineag", "draftkings", "fanduel", "lowvig", "pinnacle")
MARKETS: Final = ("h2h", "totals")
REGIONS: Final = ("us", "eu", "uk", "us,eu,uk")
# a price as American and as decimal odds
PRICES: Final = ((-110, 1.91), (100, 2.0), (102, 2.02), (150, 2.5), (-250, 1.4), (900, 10.0), (-1205, 1.08))
POINTS: Final = (215.5, 216.0, 217.5)


@dataclass
class World:
    """What there is to be seen at one time."""

    key: dict[int, int] = field(default_factory=lambda: {0: 0, 1: 1})
    hidden: set[tuple[int, ...]] = field(default_factory=set)
    price: dict[tuple[int, int, int, int], int] = field(default_factory=dict)
    point: dict[tuple[int, int], int] = field(default_factory=dict)
    start: dict[int, dt.datetime] = field(default_factory=lambda: {0: NOON + 23 * MINUTE, 1: NOON + 300 * MINUTE})


@dataclass(frozen=True)
class Change:
    """One change of the world: which knob, and where it is turned."""

    knob: str
    event: int = 0
    book: int = 0
    market: int = 0
    value: int = 0

    def turn(self, world: World, now: dt.datetime) -> None:
        if self.knob == "key":
            world.key[self.event] = self.value % len(KEYS)
        elif self.knob == "event":
            world.hidden ^= {(self.event,)}
        elif self.knob == "book":
            world.hidden ^= {(self.event, self.book)}
        elif self.knob == "market":
            world.hidden ^= {(self.event, self.book, self.market)}
        elif self.knob == "price":
            world.price[(self.event, self.book, self.market, self.value % 2)] = self.value % len(PRICES)
        elif self.knob == "point":
            world.point[(self.event, self.book)] = self.value % len(POINTS)
        elif self.knob == "start":
            world.start[self.event] = now.replace(microsecond=0) + (self.value * 7 - 10) * MINUTE


@dataclass(frozen=True)
class Look:
    """A request and its answer.

    Attributes:
        changes: of the world, before it.
        endpoint: an endpoint, or ``upcoming``, or ``named`` for odds of the first event by its id.
        key: the sport asked for; an event that is under another key is not shown.
        told: the format asked for, and the numbers: 0 American, 1 decimal, 2 decimal as American, 3 American as decimal.
        region: of ``REGIONS``; from its length on, the book list.
        books: bits of the book list; 0 for all.
        lag: after the answer before it.
    """

    changes: tuple[Change, ...]
    endpoint: str = "odds"
    key: int = 0
    told: int = 0
    region: int = len(REGIONS)
    books: int = 0
    lag: dt.timedelta = 2 * SECOND

    def exchange(self, world: World, place: int, at: dt.datetime) -> Exchange:
        endpoint = {"upcoming": "odds", "named": "odds"}.get(self.endpoint, self.endpoint)
        sport = "upcoming" if self.endpoint == "upcoming" else KEYS[self.key]
        params: dict[str, str] = {}
        asked: Sequence[str] = ()
        if "odds" in endpoint:
            if self.region < len(REGIONS):
                params["regions"] = REGIONS[self.region]
                asked = books_of(tuple(REGIONS[self.region].split(",")))
            else:
                asked = [book for number, book in enumerate(BOOKS) if not self.books or self.books >> number & 1]
                params["bookmakers"] = ",".join(asked)
            params |= {"markets": ",".join(MARKETS), "oddsFormat": ("american", "decimal")[self.told % 2], "dateFormat": "iso"}
        if self.endpoint == "named":
            params["eventIds"] = EVENTS[0]
        if endpoint.startswith("historical_"):
            params["date"] = to_iso(at.replace(microsecond=0))
            del params["dateFormat"]
        request = ApiRequest.of(endpoint, sport=sport, event_id=EVENTS[0] if endpoint == "event_odds" else None, params=params)
        shown = [
            self._event(world, endpoint, event, asked)
            for event in range(len(EVENTS))
            if (event,) not in world.hidden
            and (sport == "upcoming" or world.key[event] == self.key)
            and (event == 0 or self.endpoint not in ("named", "event_odds"))
        ]
        coverage = coverage_of(request)
        if endpoint == "event_odds" and not shown:
            failure = Failure("EVENT_NOT_FOUND", "Event not found")
            return Exchange(place, 1, request, coverage, at, 404, body=b'{"error_code": "EVENT_NOT_FOUND"}', failure=failure)
        document: Any = shown[0] if endpoint == "event_odds" else shown
        if endpoint.startswith("historical_"):
            document = {"timestamp": to_iso(at.replace(microsecond=0)), "data": document}
        return Exchange(place, 1, request, coverage, at, 200, body=json.dumps(document).encode())

    def _event(self, world: World, endpoint: str, event: int, asked: Sequence[str]) -> dict[str, Any]:
        home, away = TEAMS[event]
        shown: dict[str, Any] = {
            "id": EVENTS[event],
            "sport_key": KEYS[world.key[event]],
            "sport_title": KEYS[world.key[event]].title(),
            "commence_time": to_iso(world.start[event]),
            "home_team": home,
            "away_team": away,
        }
        if endpoint == "scores":
            return shown | {"completed": False, "scores": None, "last_update": None}
        if "odds" in endpoint:
            shown["bookmakers"] = [
                {
                    "key": book,
                    "title": book.title(),
                    "last_update": to_iso(NOON),
                    "markets": self._markets(world, event, number),
                }
                for number, book in enumerate(BOOKS)
                if book in asked and (event, number) not in world.hidden
            ]
        return shown

    def _markets(self, world: World, event: int, book: int) -> list[dict[str, Any]]:
        found = []
        for number, market in enumerate(MARKETS):
            if (event, book, number) in world.hidden:
                continue
            names = TEAMS[event] if market == "h2h" else ("Over", "Under")
            outcomes = []
            for index, name in enumerate(names):
                price = PRICES[world.price.get((event, book, number, index), (book + index) % 3)]
                outcomes.append({"name": name, "price": price[(0, 1, 1, 0)[self.told]]})
                if market == "totals":
                    outcomes[-1]["point"] = POINTS[world.point.get((event, book), 0)]
            found.append({"key": market, "last_update": to_iso(NOON), "outcomes": outcomes})
        return found


@dataclass(frozen=True)
class Poll:
    """One batch: how many steps after the one before it is due, how late it begins, and its requests."""

    looks: tuple[Look, ...]
    steps: int = 1
    plan: int = 0
    delay: dt.timedelta = 0 * SECOND


# what stands more than once comes more often
KNOBS: Final = ("key", "key", "key", "price", "price", "point", "book", "book", "market", "event", "start")
ENDPOINTS: Final = (
    "odds", "odds", "odds", "odds", "event_odds", "events", "scores", "upcoming", "named", "historical_odds",
)  # fmt: skip
ASKED: Final = (0, 0, 0, 1, 1, 1, 2)
TOLD: Final = (0, 0, 0, 1, 1, 1, 2, 3)
ASKED_REGIONS: Final = (0, 1, 2, 3, 4, 4, 4)
ASKED_BOOKS: Final = (0, 0, 0, 0b101010, 0b010101, 0b111000)
LAGS: Final = (2 * SECOND, 0 * SECOND, 0 * SECOND, 5 * MINUTE)
DELAYS: Final = (0 * SECOND, 0 * SECOND, 0 * SECOND, 5 * MINUTE, 11 * MINUTE)
STEPS: Final = (1, 1, 1, 0, 2)

changes = st.builds(
    Change, st.sampled_from(KNOBS), st.sampled_from((0, 0, 1)), st.sampled_from((1, 1, 2, 4, 5)), st.sampled_from((0, 0, 1)),
    st.sampled_from(range(8)),
)  # fmt: skip
looks = st.builds(
    Look, st.lists(changes, max_size=4).map(tuple), st.sampled_from(ENDPOINTS), st.sampled_from(ASKED), st.sampled_from(TOLD),
    st.sampled_from(ASKED_REGIONS), st.sampled_from(ASKED_BOOKS), st.sampled_from(LAGS),
)  # fmt: skip
polls = st.builds(
    Poll,
    st.lists(looks, min_size=1, max_size=4).map(tuple),
    st.sampled_from(STEPS),
    st.sampled_from((0, 1)),
    st.sampled_from(DELAYS),
)
scripts = st.lists(polls, min_size=3, max_size=9)


def batches_of(script: Sequence[Poll]) -> list[Batch]:
    """The batches of a script, in order of their ids; a batch whose id came before is left out."""
    world = World()
    made: dict[str, Batch] = {}
    step = 0
    for poll in script:
        step += poll.steps
        scheduled = NOON + step * STEP
        at = scheduled + poll.delay
        plan = PlanIdentity({"kind": "switching", "plan": poll.plan})
        exchanges = []
        for place, look in enumerate(poll.looks):
            for change in look.changes:
                change.turn(world, at)
            at += look.lag if place else 0 * SECOND
            exchanges.append(look.exchange(world, place, at))
        batch = Batch(plan.batch_id(scheduled), scheduled, plan, "simulated", tuple(exchanges))
        made.setdefault(batch.batch_id, batch)
    return [made[batch_id] for batch_id in sorted(made)]


def market_of(seed: int, length: int = 10) -> list[Batch]:
    """A market by chance that the seed fixes."""
    draw = random.Random(seed)

    def change() -> Change:
        return Change(
            draw.choice(KNOBS), draw.choice((0, 0, 1)), draw.choice((1, 1, 2, 4, 5)), draw.choice((0, 0, 1)), draw.randrange(8)
        )

    def look() -> Look:
        turned = tuple(change() for _ in range(draw.randint(0, 4)))
        return Look(
            turned, draw.choice(ENDPOINTS), draw.choice(ASKED), draw.choice(TOLD), draw.choice(ASKED_REGIONS),
            draw.choice(ASKED_BOOKS), draw.choice(LAGS),
        )  # fmt: skip

    return batches_of(
        [
            Poll(tuple(look() for _ in range(draw.randint(1, 4))), draw.choice(STEPS), draw.randrange(2), draw.choice(DELAYS))
            for _ in range(length)
        ]
    )


def one(*changes: Change, key: int = 0, told: int = 1, endpoint: str = "odds", steps: int = 1, **rest: Any) -> Poll:
    """A batch of one request, after some changes."""
    return Poll((Look(changes, endpoint, key, told, **rest),), steps)


MOVE: Final = Change("key", value=1)
BACK: Final = Change("key", value=0)
GONE: Final = Change("event")
BOOK: Final = Change("book", book=2)

# What chance finds too seldom.
DIRECTED: Final[dict[str, tuple[Poll, ...]]] = {
    "american numbers that are none, then the same numbers as decimal": (
        one(told=2), one(told=1), one(Change("price", book=2), Change("price", book=2, value=1)), one(told=3), one(told=0),
        one(told=1),
    ),
    "moved to another key, and then without its book": (one(), one(MOVE, key=1), one(BOOK, key=1), one(BOOK, key=1)),
    "moved, and the old key goes on without it": (
        one(), one(MOVE, key=1), one(key=0), one(key=1), one(key=0), one(GONE, key=1),
    ),
    "not yet moved when the new key is asked for": (
        one(), one(key=1), one(MOVE, key=0), one(key=1), one(BACK, key=1), one(key=0),
    ),
    "moved and back, gone under either": (
        one(), one(MOVE, key=1), one(GONE, key=1), one(GONE, key=1), one(BACK, GONE, key=0), one(GONE, key=1), one(key=0),
    ),
    "shown under two keys at one time": (
        one(), Poll((Look((), key=0), Look((MOVE,), key=1, lag=0 * SECOND))), one(key=0), one(BOOK, key=1),
        Poll((Look((), key=1), Look((BACK,), key=0, lag=0 * SECOND), Look((), key=1, lag=0 * SECOND))), one(key=1), one(key=0),
    ),
    "only an answer without odds tells that it moved": (
        one(), one(MOVE, key=1, endpoint="events"), one(key=0), one(BOOK, key=1), one(BACK, key=0, endpoint="scores"),
        one(key=1), one(GONE, key=0),
    ),
    "upcoming and the id by name": (
        one(), one(MOVE, endpoint="upcoming"), one(key=0, endpoint="named"), one(GONE, key=1, endpoint="named"), one(key=0),
    ),
}  # fmt: skip
