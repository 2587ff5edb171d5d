"""Small wild markets, as batches: a world that changes between answers, and requests that look at parts of it.

The world is never asked for more than it holds, so a script that shrinks stays a market; each answer keeps to the
contract. What is wild are the changes, the requests' coverage, and the times at which answers come.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from hypothesis import strategies as st

from pipeline.clock import UTC, from_iso, to_iso
from pipeline.odds_api.api_errors import Failure
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.coverage import coverage_of
from pipeline.recording.model import Batch, Exchange, PlanIdentity

NOON: Final = dt.datetime(2026, 1, 10, 12, tzinfo=UTC)
STEP: Final = dt.timedelta(minutes=5)
SECOND: Final = dt.timedelta(seconds=1)
MINUTE: Final = dt.timedelta(minutes=1)

SPORTS: Final = ("basketball_nba", "soccer_epl")
EVENT_IDS: Final = tuple(f"{number:032x}" for number in (0xA1, 0xA2, 0xB1))
SPORT_OF: Final = dict(zip(EVENT_IDS, ("basketball_nba", "basketball_nba", "soccer_epl"), strict=True))
TEAMS: Final = dict(zip(EVENT_IDS, (("Hawks", "Bulls"), ("Bulls", "Suns"), ("Leeds", "Ajax")), strict=True))
# two of one operator group, an exchange, a name that no seed knows
BOOKS: Final = ("pinnacle", "betonlineag", "lowvig", "betfair_ex_uk", "newbook")
MARKETS: Final = ("h2h", "totals", "spreads", "player_points")
PRICES: Final = (-110, 100, 101, 150, 152, -250, 900, -1205, -100000)
POINTS: Final = ("215.5", "216", "3")
# keys of an answer that hold a time
TIMES: Final = ("commence_time", "last_update", "timestamp", "previous_timestamp", "next_timestamp")
# how long before its answer a book was read: at, just over and far over the limits of play and of before it
AGES: Final = (20, 90, 91, 900, 901, 5000)
STARTS: Final = tuple(dt.timedelta(minutes=m) for m in (7, 60, -1, -30, -80, 20, 400, 12, 290))


@dataclass
class World:
    """What there is to be seen at one time."""

    start: dict[str, dt.datetime] = field(default_factory=dict)
    hidden: set[tuple[str, ...]] = field(default_factory=set)
    price: dict[tuple[str, ...], int] = field(default_factory=dict)
    point: dict[tuple[str, ...], str] = field(default_factory=dict)
    second_line: set[tuple[str, ...]] = field(default_factory=set)
    doubled: set[tuple[str, ...]] = field(default_factory=set)
    age: dict[tuple[str, ...], int] = field(default_factory=dict)
    score: dict[str, tuple[str | None, str | None, bool]] = field(default_factory=dict)

    def shows(self, *key: str) -> bool:
        """Whether neither the thing nor what holds it is hidden."""
        return not any(key[:length] in self.hidden for length in range(1, len(key) + 1))


@dataclass(frozen=True)
class Change:
    """One change of the world: which knob, and where it is turned."""

    knob: str
    event: int
    book: int
    market: int
    value: int

    def turn(self, world: World, now: dt.datetime) -> None:
        event, book, market = EVENT_IDS[self.event], BOOKS[self.book], MARKETS[self.market]
        if self.knob == "event":
            world.hidden ^= {(event,)}
        elif self.knob == "book":
            world.hidden ^= {(event, book)}
        elif self.knob == "market":
            world.hidden ^= {(event, book, market)}
        elif self.knob == "outcome":
            world.hidden ^= {(event, book, market, str(self.value % 3))}
        elif self.knob == "price":
            world.price[(event, book, market, str(self.value % 2))] = PRICES[self.value % len(PRICES)]
        elif self.knob == "point":
            world.point[(event, book, market)] = POINTS[self.value % len(POINTS)]
        elif self.knob == "second line":
            world.second_line ^= {(event, book, market)}
        elif self.knob == "doubled":
            world.doubled ^= {(event, book, market)}
        elif self.knob == "age":
            world.age[(event, book, market)] = AGES[self.value % len(AGES)]
        elif self.knob == "start":
            world.start[event] = now.replace(microsecond=0) + STARTS[self.value % len(STARTS)]
        elif self.knob == "score":
            world.score[event] = (
                (None, None, False),
                ("1", "0", False),
                ("1", "1", False),
                ("2", "1", True),
                ("x", None, True),
            )[self.value % 5]


@dataclass(frozen=True)
class Look:
    """One request of a batch, after some changes of the world, and when its answer comes."""

    changes: tuple[Change, ...]
    endpoint: str
    event: int
    books: int
    markets: int
    american: bool
    window: int
    lag: dt.timedelta
    untold: int

    def exchange(self, world: World, place: int, at: dt.datetime) -> Exchange:
        sport, event = SPORT_OF[EVENT_IDS[self.event]], EVENT_IDS[self.event]
        params: dict[str, str] = {}
        endpoint = self.endpoint
        if endpoint == "upcoming":
            endpoint, sport = "odds", "upcoming"
        if "odds" in endpoint:
            params["bookmakers"] = ",".join(_subset(BOOKS, self.books))
            params["markets"] = ",".join(_subset(MARKETS, self.markets))
            params["oddsFormat"] = "american" if self.american else "decimal"
        if endpoint in ("odds", "events") and sport != "upcoming":
            if self.window == 1:
                params["commenceTimeFrom"] = to_iso(at.replace(microsecond=0) + 5 * MINUTE)
            elif self.window == 2:
                params["commenceTimeTo"] = to_iso(at.replace(microsecond=0) + 30 * MINUTE)
            elif self.window == 3:
                params["eventIds"] = event
        if endpoint.startswith("historical_"):
            params["date"] = to_iso(at.replace(microsecond=0))
        has_event = endpoint in ("event_odds", "event_markets", "historical_event_odds")
        request = ApiRequest.of(endpoint, sport=sport, event_id=event if has_event else None, params=params)
        return self._answered(world, request, place, at)

    def _answered(self, world: World, request: ApiRequest, place: int, at: dt.datetime) -> Exchange:
        coverage = coverage_of(request)
        shown: list[Any] = []
        for event_id in EVENT_IDS:
            asked_sport = request.sport in ("upcoming", SPORT_OF[event_id])
            asked_event = not coverage.events or event_id in coverage.events
            start = world.start[event_id]
            in_window = (coverage.commence_from is None or start >= coverage.commence_from) and (
                coverage.commence_to is None or start <= coverage.commence_to
            )
            if world.shows(event_id) and asked_sport and asked_event and in_window:
                shown.append(self._event(world, request, event_id, at))
        if request.event_id is not None:
            if not shown:
                failure = Failure("EVENT_NOT_FOUND", "Event not found")
                return Exchange(
                    place, 1, request, coverage, at, 404, body=b'{"error_code": "EVENT_NOT_FOUND"}', failure=failure
                )
            document: Any = shown[0]
        else:
            document = shown
        if request.endpoint.startswith("historical_"):
            document = {"timestamp": to_iso(at.replace(microsecond=0)), "data": document}
        return Exchange(place, 1, request, coverage, at, 200, body=json.dumps(document).encode())

    def _event(self, world: World, request: ApiRequest, event_id: str, at: dt.datetime) -> dict[str, Any]:
        home, away = TEAMS[event_id]
        event: dict[str, Any] = {
            "id": event_id,
            "sport_key": SPORT_OF[event_id],
            "sport_title": SPORT_OF[event_id].upper(),
            "commence_time": to_iso(world.start[event_id]),
            "home_team": home,
            "away_team": away,
        }
        if request.endpoint == "scores":
            home_score, away_score, completed = world.score.get(event_id, (None, None, False))
            told = [{"name": n, "score": s} for n, s in ((away, away_score), (home, home_score)) if s is not None]
            event |= {"completed": completed, "scores": told or None, "last_update": None}
        elif request.endpoint == "event_markets":
            event["bookmakers"] = [
                {
                    "key": book,
                    "title": book.title(),
                    "markets": [{"key": market} for market in MARKETS if world.shows(event_id, book, market)],
                }
                for book in BOOKS
                if world.shows(event_id, book)
            ]
        elif "odds" in request.endpoint:
            event["bookmakers"] = [
                self._book(world, request, event_id, book, at)
                for book in (request.param("bookmakers") or "").split(",")
                if world.shows(event_id, book)
            ]
        return event

    def _book(self, world: World, request: ApiRequest, event_id: str, book: str, at: dt.datetime) -> dict[str, Any]:
        markets = []
        for market in (request.param("markets") or "").split(","):
            if world.shows(event_id, book, market):
                outcomes = self._outcomes(world, event_id, book, market)
                read_at = at.replace(microsecond=0) - world.age.get((event_id, book, market), AGES[0]) * SECOND
                markets.append({"key": market, "last_update": to_iso(read_at), "outcomes": outcomes})
                if market == "h2h" and book.startswith("betfair"):
                    markets.append({"key": "h2h_lay", "outcomes": outcomes[:1]})
        if self.untold == 1:
            for told in markets:
                told.pop("last_update", None)
        shown = {"key": book, "title": book.title(), "markets": markets}
        if request.endpoint != "event_odds":
            shown["last_update"] = to_iso(at.replace(microsecond=0) - (10 - 15 * self.untold) * SECOND)
        return shown

    def _outcomes(self, world: World, event_id: str, book: str, market: str) -> list[dict[str, Any]]:
        home, away = TEAMS[event_id]
        points = [Decimal(world.point.get((event_id, book, market), POINTS[0]))]
        if (event_id, book, market) in world.second_line and market != "h2h":
            points.append(points[0] + 2)
        outcomes: list[dict[str, Any]] = []
        names = {"h2h": (home, away, "Draw"), "spreads": (home, away)}.get(market, ("Over", "Under"))
        for number, point in enumerate(points):
            for index, name in enumerate(names):
                if name == "Draw" and SPORT_OF[event_id] != "soccer_epl":
                    continue
                if not world.shows(event_id, book, market, str(index)):
                    continue
                american = world.price.get((event_id, book, market, str(index % 2)), PRICES[(index + BOOKS.index(book)) % 3])
                if name == "Draw":
                    american = 300
                outcome: dict[str, Any] = {
                    "name": name,
                    "price": self._price(american + 5 * number * (1 if american > 0 else -1)),
                }
                if market == "player_points":
                    outcome["description"] = "Ann Lee"
                if market != "h2h":
                    spread = point - 215 if index == 0 else 215 - point
                    outcome["point"] = float(spread if market == "spreads" else point)
                outcomes.append(outcome)
        if (event_id, book, market) in world.doubled and outcomes:
            outcomes.append({**outcomes[0], "price": self._price(140)})
        return outcomes

    def _price(self, american: int) -> float | int:
        if self.american:
            return american
        exact = 1 + (Decimal(american) / 100 if american > 0 else Decimal(100) / -american)
        return max(float(exact.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)), 1.0)


def _subset(items: Sequence[str], bits: int) -> list[str]:
    """The items whose bits are set; all of them for 0."""
    return [item for number, item in enumerate(items) if bits >> number & 1] or list(items)


@dataclass(frozen=True)
class Poll:
    """One batch: how many steps after the one before it is due, of which plan, and its requests."""

    steps: int
    plan: int
    delay: dt.timedelta
    looks: tuple[Look, ...]


# What is drawn from; what stands more than once comes more often. Most of it is about the first event and the first books,
# so that the same lines are asked for again and again, and change in between.
KNOBS: Final = (
    "price", "price", "price", "point", "point", "book", "book", "event", "market", "outcome", "outcome", "start",
    "second line", "second line", "doubled", "score",
)  # fmt: skip
ENDPOINTS: Final = (
    "odds", "odds", "odds", "odds", "odds", "event_odds", "event_odds", "events", "scores", "historical_odds",
    "historical_events", "upcoming", "event_markets", "historical_event_odds",
)  # fmt: skip
EVENTS_DRAWN: Final = (0, 0, 0, 1, 2)
BOOKS_TURNED: Final = (0, 0, 0, 1, 1, 2, 3, 4)
MARKETS_TURNED: Final = (0, 1, 1, 2, 3)
BOOKS_ASKED: Final = (0, 0, 0, 0, 0, 1, 2, 11, 24)
MARKETS_ASKED: Final = (0, 0, 0, 0, 1, 2, 3, 9)
AMERICAN: Final = (True, True, True, False)
WINDOWS: Final = (0, 0, 0, 0, 0, 1, 2, 3)
# answers of one batch come together, one after the other, or so late that other batches come between
LAGS: Final = (2 * SECOND, 2 * SECOND, 0 * SECOND, SECOND / 2, 5 * MINUTE, 6 * MINUTE)
# 5 minutes: the very time of the next moment
DELAYS: Final = (0 * SECOND, 0 * SECOND, 0 * SECOND, SECOND, 5 * MINUTE, 11 * MINUTE)
STEPS: Final = (1, 1, 1, 0, 2)
UNTOLD: Final = (0, 0, 1)
VALUES: Final = range(9)
PLANS: Final = range(2)
MOST_CHANGES: Final = 6
MOST_LOOKS: Final = 3
FEWEST_POLLS: Final = 3
MOST_POLLS: Final = 9

changes = st.builds(
    Change,
    # a seed's market (market_of) stays what it was, as tests count on what it holds
    st.sampled_from((*KNOBS, "age", "age")),
    st.sampled_from(EVENTS_DRAWN),
    st.sampled_from(BOOKS_TURNED),
    st.sampled_from(MARKETS_TURNED),
    st.sampled_from(VALUES),
)
looks = st.builds(
    Look,
    changes=st.lists(changes, max_size=MOST_CHANGES).map(tuple),
    endpoint=st.sampled_from(ENDPOINTS),
    event=st.sampled_from(EVENTS_DRAWN),
    books=st.sampled_from(BOOKS_ASKED),
    markets=st.sampled_from(MARKETS_ASKED),
    american=st.sampled_from(AMERICAN),
    window=st.sampled_from(WINDOWS),
    lag=st.sampled_from(LAGS),
    untold=st.sampled_from(UNTOLD),
)
polls = st.builds(
    Poll,
    steps=st.sampled_from(STEPS),
    plan=st.sampled_from(PLANS),
    delay=st.sampled_from(DELAYS),
    looks=st.lists(looks, min_size=1, max_size=MOST_LOOKS).map(tuple),
)
scripts = st.lists(polls, min_size=FEWEST_POLLS, max_size=MOST_POLLS)


def batches_of(script: Sequence[Poll]) -> list[Batch]:
    """The batches of a script, in order of their ids; a batch whose id came before is left out.

    The world changes as the script goes on; what is seen late was late in coming, and tells of the world as it was asked.
    """
    world = World(
        start={event: NOON + delta for event, delta in zip(EVENT_IDS, (12 * MINUTE, 90 * MINUTE, 25 * MINUTE), strict=True)}
    )
    made: dict[str, Batch] = {}
    step = 0
    for poll in script:
        step += poll.steps
        scheduled = NOON + step * STEP
        plan = PlanIdentity({"kind": "wild", "plan": poll.plan})
        at = scheduled + poll.delay
        exchanges = []
        for place, look in enumerate(poll.looks):
            for change in look.changes:
                change.turn(world, at)
            at += look.lag if place else 0 * SECOND
            exchanges.append(look.exchange(world, place, at))
        batch = Batch(plan.batch_id(scheduled), scheduled, plan, "simulated", tuple(exchanges))
        made.setdefault(batch.batch_id, batch)
    return [made[batch_id] for batch_id in sorted(made)]


def without(batch: Batch, places: frozenset[int]) -> Batch:
    """The batch as if the answers at these places had failed."""
    failure = Failure("TIMEOUT", "No answer in time.")
    return replace(
        batch,
        exchanges=tuple(
            replace(exchange, status=None, headers=(), body=None, failure=failure) if exchange.place in places else exchange
            for exchange in batch.exchanges
        ),
    )


def with_unix_dates(batch: Batch) -> Batch:
    """The batch as if it had asked for times in seconds since 1970."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: int(from_iso(inner).timestamp()) if key in TIMES and inner is not None else changed(inner)
                for key, inner in value.items()
            }
        return [changed(inner) for inner in value] if isinstance(value, list) else value

    def asked(exchange: Exchange) -> Exchange:
        if exchange.body is None:
            return exchange
        request, body = exchange.request, json.dumps(changed(json.loads(exchange.body))).encode()
        params = {**dict(request.params), "dateFormat": "unix"}
        unix = ApiRequest.of(request.endpoint, sport=request.sport, event_id=request.event_id, params=params)
        return replace(exchange, request=unix, body=body)

    return replace(batch, exchanges=tuple(map(asked, batch.exchanges)))


def with_broken_elements(batch: Batch, seed: int, share: float = 0.15) -> Batch:
    """The batch as if some elements of its answers came broken: prices, keys, times, teams, scores, ids."""
    draw = random.Random(f"{seed}|{batch.batch_id}")

    def hit() -> bool:
        return draw.random() < share

    def broken_event(event: Any) -> Any:
        if hit() and hit():
            event[draw.choice(("id", "commence_time", "home_team"))] = draw.choice((None, 7, "E" * 32)) if hit() else 7
        for book in event.get("bookmakers", ()):
            if hit() and hit():
                book[draw.choice(("key", "title"))] = draw.choice((None, "", 7))
            for market in book["markets"]:
                if hit() and hit():
                    market[draw.choice(("key", "last_update"))] = draw.choice((0, "yesterday"))
                for outcome in market.get("outcomes", ()):
                    if hit():
                        outcome[draw.choice(("price", "name", "point"))] = draw.choice(({}, "", [1]))
        for score in event.get("scores") or ():
            if hit():
                score["score"] = 3
        return event

    def broken(exchange: Exchange) -> Exchange:
        if exchange.body is None or exchange.status != 200:
            return exchange
        document = json.loads(exchange.body)
        data = document["data"] if exchange.request.endpoint.startswith("historical_") else document
        for event in data if isinstance(data, list) else [data]:
            broken_event(event)
        return replace(exchange, body=json.dumps(document).encode())

    return replace(batch, exchanges=tuple(map(broken, batch.exchanges)))


def market_of(seed: int) -> list[Batch]:
    """One large market, drawn by chance that is fixed by the seed."""
    draw = random.Random(seed)

    def change() -> Change:
        turned = (EVENTS_DRAWN, BOOKS_TURNED, MARKETS_TURNED, VALUES)
        return Change(draw.choice(KNOBS), *(draw.choice(values) for values in turned))

    def look() -> Look:
        return Look(
            changes=tuple(change() for _ in range(draw.randint(0, MOST_CHANGES))),
            endpoint=draw.choice(ENDPOINTS),
            event=draw.choice(EVENTS_DRAWN),
            books=draw.choice(BOOKS_ASKED),
            markets=draw.choice(MARKETS_ASKED),
            american=draw.choice(AMERICAN),
            window=draw.choice(WINDOWS),
            lag=draw.choice(LAGS),
            untold=draw.choice(UNTOLD),
        )

    def poll() -> Poll:
        looks = tuple(look() for _ in range(draw.randint(1, MOST_LOOKS)))
        return Poll(draw.choice(STEPS), draw.choice(PLANS), draw.choice(DELAYS), looks)

    return batches_of([poll() for _ in range(MOST_POLLS)])


def ask(endpoint: str, *turned: Change, lag: dt.timedelta = 2 * SECOND, window: int = 0, american: bool = True) -> Look:
    """A request for all there is of the first event's sport, after some changes."""
    return Look(turned, endpoint, 0, 0, 0, american, window, lag, 0)


def due(*looks: Look, delay: dt.timedelta = 0 * SECOND, steps: int = 1) -> Poll:
    """The next batch."""
    return Poll(steps, 0, delay, looks)


def turn(knob: str, value: int = 0, *, book: int = 0, market: int = 0) -> Change:
    """A change of the first event."""
    return Change(knob, 0, book, market, value)


def of_soccer(*turned: tuple[int, int]) -> Look:
    """A request for all there is of soccer, after a price of some books was turned."""
    changes = tuple(Change("price", 2, book, 0, value) for book, value in turned)
    return Look(changes, "odds", 2, 0, 0, True, 0, 2 * SECOND, 0)


# What chance finds too seldom.
DIRECTED: Final[dict[str, tuple[Poll, ...]]] = {
    "scores between listings, then gone": (
        due(ask("odds")), due(ask("scores")), due(ask("odds")), due(ask("scores")), due(ask("odds", turn("event"))),
        due(ask("scores")), due(ask("odds", turn("event"))),
    ),
    # the first event starts 12 minutes after noon; the values are places in STARTS
    "a schedule more than an hour back, a start more than four hours late": (
        due(ask("odds")), due(ask("odds", turn("start", 4))), due(ask("odds", turn("start", 3))), due(ask("odds")),
        due(ask("odds", turn("start", 8))), due(ask("events", turn("start", 6))), due(ask("odds", turn("start", 0))),
    ),
    "one book of five far off, then near again": (
        due(ask("odds")),
        due(ask("odds", turn("price", 6), turn("price", 7))),
        due(ask("odds", turn("price", 6, book=4), turn("price", 7, book=4))),
        due(ask("odds", turn("price", 0), turn("price", 1))),
        due(ask("odds", turn("price", 3, book=3), turn("price", 5, book=1))),
    ),
    "a line that comes back at the same price": (
        due(ask("odds")), due(ask("odds", turn("book"))), due(ask("odds", turn("book"))), due(ask("odds", turn("outcome"))),
        due(ask("odds", turn("outcome"))), due(ask("odds", turn("market"))), due(ask("odds", turn("market"))),
    ),
    "gone as it starts": (due(ask("odds", turn("start", 5))), due(ask("odds", turn("event")), steps=4), due(ask("odds"))),
    "scores that disagree at one time": (
        due(ask("scores", turn("score", 1))), due(ask("scores"), ask("scores", turn("score", 2), lag=0 * SECOND)),
        due(ask("scores", turn("score", 3)), ask("scores", turn("score", 1), lag=0 * SECOND)),
        due(ask("scores", turn("score", 4))),
    ),
    "two moments at one time": (
        due(ask("odds"), delay=5 * MINUTE), due(ask("odds")), due(ask("odds", turn("price", 6)), delay=5 * MINUTE),
        due(ask("odds", turn("price", 3))), due(ask("odds", turn("event")), delay=5 * MINUTE), due(ask("odds", turn("event"))),
        due(ask("odds"), delay=5 * MINUTE), due(ask("odds", turn("book"))),
    ),
    "two requests of a batch that disagree, and a batch that comes late": (
        due(ask("odds"), ask("event_odds", turn("price", 3)), delay=6 * MINUTE),
        due(ask("odds", turn("price", 4)), ask("odds", turn("book"), lag=0 * SECOND)),
        due(ask("event_odds", turn("book"), turn("event")), delay=11 * MINUTE),
        due(ask("odds", turn("event"))),
    ),
    # even values are prices of the home side, odd ones of the away side
    "an arbitrage better, worse, gone, and better than ever": (
        due(ask("odds")), due(ask("odds", turn("price", 12))), due(ask("odds", turn("price", 10))),
        due(ask("odds", turn("price", 4), turn("price", 11, book=4))),
        due(ask("odds", turn("price", 0), turn("price", 14, book=2))), due(ask("odds", turn("price", 4))),
    ),
    # even values of AGES are fresh where the odd one before is not, in play from 90 s on, before it from 900 s on
    "feeds that stall and come back, before the start and in play": (
        due(ask("odds")), due(ask("odds", turn("age", 4), turn("age", 4, book=2))), due(ask("odds", turn("age", 3))),
        due(ask("odds", turn("age", 2, book=2), turn("age", 2, book=1))), due(ask("odds", turn("age", 1))),
        due(ask("odds", turn("price", 6), turn("age", 2))),
        due(ask("odds", turn("point", 1, market=1), turn("age", 2, market=1))),
        due(ask("odds", turn("point", 0, market=1))), due(ask("odds", turn("book"))), due(ask("odds", turn("book"))),
        due(ask("odds", turn("age", 0), turn("age", 0, book=1), turn("age", 0, book=2), turn("age", 0, market=1))),
    ),
    "an arbitrage of three outcomes": (
        due(of_soccer()), due(of_soccer((0, 6), (0, 5), (1, 14), (1, 15))), due(of_soccer((1, 3))), due(of_soccer((0, 0))),
    ),
    "middles that come and go": (
        due(ask("odds")), due(ask("odds", turn("point", 1, market=1))), due(ask("odds", turn("point", 1, book=2, market=1))),
        due(ask("odds", turn("point", 1, book=1, market=2), turn("price", 3, book=3, market=2))),
        due(ask("odds", turn("point", 0, market=1), turn("second line", book=3, market=1))),
        due(ask("odds", turn("second line", book=4, market=3), turn("point", 1, book=3, market=3))),
    ),
}  # fmt: skip
