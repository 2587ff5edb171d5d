"""A small market for tests: answers written down as Python values, loaded and applied as real ones are."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import ManualClock, to_iso
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity
from pipeline.transform.apply import Applied, Transformer, apply_batches
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project

# Minute 0 of every test; times are minutes from here on.
T0: Final = dt.datetime(2025, 10, 9, 12, 0, tzinfo=dt.UTC)
NFL: Final = "americanfootball_nfl"
Outcome = tuple[Any, ...]


def at(minute: float) -> dt.datetime:
    """The time of a minute."""
    return T0 + dt.timedelta(minutes=minute)


def id_of(name: str) -> str:
    """An event id as the API makes them, for a name that a reader can follow."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def book(key: str, markets: Mapping[str, Sequence[Outcome]], updated: float | None = None) -> dict[str, Any]:
    """One bookmaker of an event.

    Args:
        key: bookmaker key.
        markets: market key → outcomes ``(name, price)``, ``(name, price, point)`` or ``(name, price, point, description)``.
        updated: minute of last_update; without it the answer has none.
    """
    stamp = {} if updated is None else {"last_update": to_iso(at(updated))}
    return {
        "key": key,
        "title": key.title(),
        **stamp,
        "markets": [
            {"key": market, **stamp, "outcomes": [_outcome(*each) for each in outcomes]} for market, outcomes in markets.items()
        ],
    }


def _outcome(name: str, price: float, point: float | None = None, description: str | None = None) -> dict[str, Any]:
    extra = {"point": point, "description": description}
    return {"name": name, "price": price, **{key: value for key, value in extra.items() if value is not None}}


def game(
    name: str,
    start: float,
    books: Sequence[dict[str, Any]] | None = (),
    *,
    sport: str = NFL,
    home: str | None = "Home",
    away: str | None = "Away",
    **more: Any,
) -> dict[str, Any]:
    """One event, starting at minute ``start``; its id is ``id_of(name)``; ``books=None`` for answers without odds."""
    return {
        "id": id_of(name),
        "sport_key": sport,
        "sport_title": sport.upper(),
        "commence_time": to_iso(at(start)),
        "home_team": home,
        "away_team": away,
        **({} if books is None else {"bookmakers": list(books)}),
        **more,
    }


@dataclass(frozen=True)
class Answer:
    """An answer and what its request covered.

    Attributes:
        endpoint: its name.
        document: what the body says.
        sport: in the path.
        markets: asked for.
        books: asked for.
        event_id: of the event endpoints, else None.
        window: asked bounds on the start, as minutes.
        odds_format: asked for.
        minute: when it was received; without it, at the batch's time.
    """

    endpoint: str
    document: Any
    sport: str | None = NFL
    markets: tuple[str, ...] = ()
    books: tuple[str, ...] = ()
    event_id: str | None = None
    window: tuple[float, float] | None = None
    odds_format: str = "decimal"
    minute: float | None = None

    def exchange(self, place: int, minute: float) -> Exchange:
        """The exchange at one place of a batch."""
        priced = "odds" in self.endpoint
        window = (None, None) if self.window is None else (at(self.window[0]), at(self.window[1]))
        return Exchange(
            place=place,
            attempt=1,
            request=ApiRequest.of(
                self.endpoint,
                sport=self.sport,
                event_id=self.event_id,
                params={"oddsFormat": self.odds_format, "markets": ",".join(self.markets)} if priced else {},
            ),
            coverage=Coverage(
                sport=self.sport,
                events=None if self.event_id is None else (self.event_id,),
                markets=tuple(sorted(self.markets)),
                books=tuple(sorted(self.books)),
                commence_from=window[0],
                commence_to=window[1],
            ),
            captured_at=at(minute if self.minute is None else self.minute),
            status=200,
            body=json.dumps(self.document).encode(),
        )


@dataclass
class SmallMarket:
    """A warehouse and the batches that a test puts into it."""

    warehouse: Warehouse
    project: Project
    clock: ManualClock = field(default_factory=lambda: ManualClock(at(0)))
    waiting: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        # one connection for all batches, as a run has
        self.transformer = Transformer(self.warehouse)

    at = staticmethod(at)
    id_of = staticmethod(id_of)
    game = staticmethod(game)
    book = staticmethod(book)
    Answer = Answer

    def odds(self, *games: dict[str, Any], **more: Any) -> Answer:
        """An odds answer about a sport; asks for the markets and books that it shows, unless told otherwise.

        It gives every book's last_update: minute 0, where a test does not care.
        """
        stamp = {"last_update": to_iso(at(0))}
        stamped = [{**event, "bookmakers": [{**stamp, **each} for each in event["bookmakers"]]} for event in games]
        return Answer("odds", stamped, **{**_shown(games), **more})

    def event_odds(self, event: dict[str, Any], **more: Any) -> Answer:
        """An odds answer about one event."""
        return Answer("event_odds", event, event_id=event["id"], **{**_shown([event]), **more})

    def events(self, *games: dict[str, Any], **more: Any) -> Answer:
        """A list of events without odds."""
        return Answer("events", list(games), **more)

    def scores(self, *games: dict[str, Any], **more: Any) -> Answer:
        """A scores answer; its games carry ``completed``, ``scores`` and ``last_update``."""
        return Answer("scores", list(games), **more)

    def load(self, minute: float, *answers: Answer, plan: str = "test") -> str:
        """Load one batch of that minute; returns its id. It is applied by :meth:`publish`."""
        identity = PlanIdentity({"kind": "import", "name": plan})
        batch = Batch(
            batch_id=identity.batch_id(at(minute)),
            scheduled_at=at(minute),
            plan=identity,
            source="import",
            exchanges=tuple(answer.exchange(place, minute) for place, answer in enumerate(answers)),
        )
        with self.warehouse.connect(Role.INGESTER) as connection:
            loaded = load_batch(connection, batch, self.clock)
            found = connection.execute("select findings from ops.verdicts where verdict = 'quarantined'").fetchall()
        assert loaded.quarantined == 0, found
        self.waiting.append(batch.batch_id)
        return batch.batch_id

    def publish(self) -> Applied:
        """Apply what was loaded since the last time, and see it published."""
        applied = apply_batches(self.transformer, self.project, self.waiting, self.clock)
        assert applied.published, applied.failed
        self.waiting = []
        return applied

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a reader finds."""
        with self.warehouse.connect(Role.READER) as connection:
            return connection.execute(query.encode()).fetchall()


def _shown(games: Sequence[dict[str, Any]]) -> dict[str, tuple[str, ...]]:
    books = [each for event in games for each in event["bookmakers"]]
    return {
        "books": tuple(sorted({each["key"] for each in books})),
        "markets": tuple(sorted({market["key"] for each in books for market in each["markets"]})),
    }


@pytest.fixture
def market(prepared: Warehouse, project: Project) -> Iterator[SmallMarket]:
    """A warehouse of the test's own with relations and no batch, and what fills it."""
    made = SmallMarket(prepared, project)
    with made.transformer:
        yield made


@pytest.fixture(scope="module")
def module_market(
    server: Any, prepared_template: Warehouse, clone_names: Iterator[str], project: Project
) -> Iterator[SmallMarket]:
    """The same for all tests of a module, which must leave it as it was."""
    made = server.clone_database(prepared_template, next(clone_names))
    filled = SmallMarket(made, project)
    with filled.transformer:
        yield filled
    server.drop_database(made)
