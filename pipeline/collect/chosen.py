"""A plan whose requests depend on what is on: sports by group, games by the time to their start."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pipeline.clock import from_answer
from pipeline.collect.cadence import Cadence
from pipeline.collect.plan import EVENT_STAGES, MarketPlan, Step, is_key
from pipeline.odds_api.endpoints import ENDPOINTS
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Exchange, PlanIdentity

_PAID = ("odds", "scores", "participants")
# The hour before a start, in which what is asked becomes a close.
CLOSING: Final = dt.timedelta(hours=1)
# A request, and whether it is about a game that begins within the hour.
_Asked: TypeAlias = tuple[ApiRequest, bool]


@dataclass(frozen=True, slots=True)
class ChosenPlan:
    """A market plan that asks what is free first, and then for what those answers show to be on, and due.

    A sport that lists no event costs nothing; but scores of one that is in season are asked for, since its last games may
    have ended and left the list. Where a list did not come, its sport counts as one without games.

    Attributes:
        plan: what to ask. The cadence is no part of its identity.
        cadence: what is due when; None = all of it, each time.
    """

    plan: MarketPlan
    cadence: Cadence | None = None

    @property
    def identity(self) -> PlanIdentity:
        """The market plan's."""
        return self.plan.identity

    def expand(self, scheduled_at: dt.datetime, exchanges: Sequence[Exchange]) -> tuple[Step, ...]:
        """All steps that are known: sports, then events, then what is paid for, then the event endpoints."""
        asked: list[_Asked] = []
        for stage in (self._sports, self._events, self._paid, self._event_requests):
            if not {exchange.place for exchange in exchanges} >= set(range(len(asked))):
                break
            before = [exchange for exchange in exchanges if exchange.place < len(asked)]
            asked += stage(scheduled_at, before)
        return tuple(Step(place, request, is_closing=is_closing) for place, (request, is_closing) in enumerate(asked))

    def filed_under(self, scheduled_at: dt.datetime, exchanges: Sequence[Exchange]) -> dt.datetime:
        """The scheduled time."""
        return scheduled_at

    def _sports(self, at: dt.datetime, exchanges: Sequence[Exchange]) -> list[_Asked]:
        return [(self.plan.request("sports", at), False)] if "sports" in self.plan.endpoints else []

    def _events(self, at: dt.datetime, exchanges: Sequence[Exchange]) -> list[_Asked]:
        if "events" not in self.plan.endpoints:
            return []
        return [(self.plan.request("events", at, sport), False) for sport in self._chosen(exchanges)]

    def _paid(self, at: dt.datetime, exchanges: Sequence[Exchange]) -> list[_Asked]:
        games, in_season = listed(exchanges), {row["key"] for row in _season(exchanges)}
        asked = []
        for name in _PAID:
            for sport in self._chosen(exchanges) if name in self.plan.endpoints else ():
                starts = list(games.get(sport, {}).values())
                is_on = bool(starts) or "events" not in self.plan.endpoints or (name == "scores" and sport in in_season)
                if is_on and (self.cadence is None or any(self.cadence.is_due(at, start) for start in (None, *starts))):
                    is_closing = name == "odds" and any(_is_closing(at, start) for start in starts)
                    asked.append((self.plan.request(name, at, sport), is_closing))
        return asked

    def _event_requests(self, at: dt.datetime, exchanges: Sequence[Exchange]) -> list[_Asked]:
        games = [(sport, event, start) for sport, found in listed(exchanges).items() for event, start in found.items()]
        due = [game for game in games if self.cadence is None or self.cadence.is_due(at, game[2])]
        names = [name for name in EVENT_STAGES if name in self.plan.endpoints]
        return [
            (self.plan.request(name, at, sport, event), _is_closing(at, start))
            for name in names
            for sport, event, start in sorted(due, key=_place)
        ]

    def _chosen(self, exchanges: Sequence[Exchange]) -> list[str]:
        """The sports by key, and those of the groups that are in season."""
        plan, sports = self.plan, set(self.plan.sports)
        for row in _season(exchanges):
            is_wanted = plan.all_active or row.get("group") in plan.groups
            # a list of outrights has no other market, and no list of games has that one
            has_market = not plan.markets or (set(plan.markets) == {"outrights"}) == bool(row.get("has_outrights"))
            if is_wanted and has_market:
                sports.add(row["key"])
        return sorted(sports)


def listed(exchanges: Iterable[Exchange]) -> dict[str, dict[str, dt.datetime | None]]:
    """Sport → event id → start, of every event that a list of events or odds shows; whatever else is in it."""
    found: dict[str, dict[str, dt.datetime | None]] = {}
    for exchange in exchanges:
        if ENDPOINTS[exchange.request.endpoint].family in ("events", "odds"):
            for row in _rows(exchange):
                if is_key(row.get("sport_key")) and is_key(row.get("id")):
                    found.setdefault(row["sport_key"], {}).setdefault(row["id"], _start(row.get("commence_time")))
    return {sport: found[sport] for sport in sorted(found)}


def _season(exchanges: Iterable[Exchange]) -> Iterator[dict[str, Any]]:
    """Sports that the API says are in season."""
    for exchange in exchanges:
        if exchange.request.endpoint == "sports":
            yield from (row for row in _rows(exchange) if row.get("active") is True and is_key(row.get("key")))


def _rows(exchange: Exchange) -> Iterator[dict[str, Any]]:
    if exchange.status != 200 or exchange.body is None:
        return
    try:
        document = json.loads(exchange.body)
    except (ValueError, RecursionError):
        return
    yield from (row for row in (document if isinstance(document, list) else ()) if isinstance(row, dict))


def _start(time: Any) -> dt.datetime | None:
    try:
        return from_answer(time)
    except (ValueError, TypeError, OverflowError):
        return None


def _is_closing(at: dt.datetime, start: dt.datetime | None) -> bool:
    return start is not None and at <= start <= at + CLOSING


def _place(game: tuple[str, str, dt.datetime | None]) -> tuple[str, str]:
    return game[:2]
