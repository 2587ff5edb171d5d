"""What a run asks for. Expanding a plan is a pure function of its time and of the answers so far."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Protocol

import yaml

from pipeline.clock import to_iso
from pipeline.errors import UsageError
from pipeline.odds_api.catalogue import FEATURED_MARKETS, LAY_MARKETS, books_of
from pipeline.odds_api.endpoints import ENDPOINTS, envelope_time, nearest
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.coverage import coverage_of
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity

# Endpoints of a plan in the order in which they are asked: what is free first.
_STAGES: Final = ("sports", "events", "odds", "scores", "participants")
EVENT_STAGES: Final = ("event_odds", "event_markets")
_LISTING: Final = ("events", "odds")
_HISTORICAL: Final = ("events", "odds", "event_odds")
# Keys of a plan file that say when and how much, not what; other parts read them.
_SCHEDULING: Final = ("name", "description", "cadence", "budget", "alerts", "prove")
_KEY: Final = re.compile(r"[0-9a-zA-Z_]+")
_EXAMPLES: Final = Path(__file__).resolve().parents[1] / "plans"
_LATER: Final = ("groups", "all_active", "date_format")


@dataclass(frozen=True, slots=True)
class Step:
    """One request of an expanded plan.

    Attributes:
        place: position in the plan, from 0.
        request: the request.
        coverage: what it covers, or None to read that from the request.
        attempt: from 1.
        is_closing: whether it is about a game that begins within the hour; None where the plan does not go by starts.
    """

    place: int
    request: ApiRequest
    coverage: Coverage | None = None
    attempt: int = 1
    is_closing: bool | None = None

    @property
    def covers(self) -> Coverage:
        """What it covers."""
        return coverage_of(self.request) if self.coverage is None else self.coverage


class Plan(Protocol):
    """What a run asks for."""

    @property
    def identity(self) -> PlanIdentity:
        """What identifies it."""

    def expand(self, scheduled_at: dt.datetime, exchanges: Sequence[Exchange]) -> tuple[Step, ...]:
        """All steps that are known, given the batch's exchanges so far. More exchanges only add steps at the end."""

    def filed_under(self, scheduled_at: dt.datetime, exchanges: Sequence[Exchange]) -> dt.datetime:
        """The time that the batch bears in the end."""


@dataclass(frozen=True, slots=True)
class ExplicitPlan:
    """A fixed list of steps: what an import, or a replay of a batch, asks for.

    Attributes:
        identity: given, not derived from the steps.
        steps: in order.
    """

    identity: PlanIdentity
    steps: tuple[Step, ...]

    @classmethod
    def of(cls, batch: Batch) -> ExplicitPlan:
        """The plan that asks exactly what a batch asked, attempts and coverage included, however it came to be asked."""
        return cls(
            batch.plan,
            tuple(Step(exchange.place, exchange.request, exchange.coverage, exchange.attempt) for exchange in batch.exchanges),
        )

    def expand(self, scheduled_at: dt.datetime, exchanges: Sequence[Exchange]) -> tuple[Step, ...]:
        """All steps, whatever was answered."""
        return self.steps

    def filed_under(self, scheduled_at: dt.datetime, exchanges: Sequence[Exchange]) -> dt.datetime:
        """The scheduled time."""
        return scheduled_at


@dataclass(frozen=True, slots=True)
class MarketPlan:
    """Sports and markets to ask for.

    It expands in stages: what is free, then odds, scores and participants, then the event endpoints for each event
    that those answers listed. A historical plan asks for the state at the batch's scheduled time, and its batch bears
    the time of the first envelope.

    Attributes:
        endpoints: names among sports, events, odds, scores, participants, event_odds, event_markets; a historical plan
            has events, odds and event_odds.
        sports: sport keys, or ``upcoming``; may be empty only where nothing but ``sports`` is asked.
        markets: featured market keys for ``odds``; empty = the API's default.
        regions: regions whose books are asked for; not together with ``bookmakers``.
        bookmakers: bookmaker keys.
        odds_format: ``decimal`` or ``american``.
        date_format: ``iso`` or ``unix`` (seconds since 1970): how the answers write their times.
        event_markets: market keys for ``event_odds``.
        scores_days_from: 1 to 3 to get finished scores of so many days, or None.
        historical: ask the historical endpoints.
        groups: groups of sports, such as ``Tennis``: those in season, as the endpoint ``sports`` tells, beside ``sports``.
        all_active: all sports in season.

    Raises:
        UsageError: ``PLAN_INVALID``, or ``UNKNOWN_REGION``.
    """

    endpoints: tuple[str, ...]
    sports: tuple[str, ...] = ()
    markets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    bookmakers: tuple[str, ...] = ()
    odds_format: str = "decimal"
    date_format: str = "iso"
    event_markets: tuple[str, ...] = ()
    scores_days_from: int | None = None
    historical: bool = False
    groups: tuple[str, ...] = ()
    all_active: bool = False

    def __post_init__(self) -> None:
        # one canonical order, so that plans that ask the same are the same
        for name in ("sports", "markets", "regions", "bookmakers", "event_markets", "groups"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        self._check()
        object.__setattr__(self, "endpoints", tuple(name for name in _STAGES + EVENT_STAGES if name in self.endpoints))

    @property
    def is_chosen(self) -> bool:
        """Whether its sports depend on what is in season."""
        return bool(self.groups) or self.all_active

    @property
    def identity(self) -> PlanIdentity:
        """Everything that is asked; the date of a historical batch is its time, not its plan."""
        # what came later is no part of a plan that does not use it
        names = [item.name for item in fields(self) if item.name not in _LATER or getattr(self, item.name) != item.default]
        values = ((name, getattr(self, name)) for name in names)
        return PlanIdentity(
            {"kind": "market", **{key: list(value) if isinstance(value, tuple) else value for key, value in values}}
        )

    def expand(self, scheduled_at: dt.datetime, exchanges: Sequence[Exchange]) -> tuple[Step, ...]:
        """All steps that are known; those of the event endpoints once all others have their exchange."""
        requests = self._sport_requests(scheduled_at)
        if {exchange.place for exchange in exchanges} >= set(range(len(requests))):
            listing = [exchange for exchange in exchanges if exchange.place < len(requests)]
            requests += self._event_requests(scheduled_at, listing)
        return tuple(Step(place, request) for place, request in enumerate(requests))

    def most_requests(self, events_per_sport: int, sports: int = 0) -> tuple[tuple[ApiRequest, int], ...]:
        """What a batch asks at most, before any answer is there: requests, and how many of each.

        Args:
            events_per_sport: how many events a sport may list.
            sports: how many may be in season, beside those that it names.
        """
        any_time = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
        if self.is_chosen:
            keys = (*self.sports, *(f"in_season_{number}" for number in range(sports)))
            named = replace(self, sports=keys or ("none",), groups=(), all_active=False)
            return named.most_requests(events_per_sport) if keys else ((self.request("sports", any_time), 1),)
        names = [name for name in EVENT_STAGES if name in self.endpoints]
        events = [(self.request(name, any_time, sport, "0" * 32), events_per_sport) for name in names for sport in self.sports]
        return tuple((request, 1) for request in self._sport_requests(any_time)) + tuple(events)

    def filed_under(self, scheduled_at: dt.datetime, exchanges: Sequence[Exchange]) -> dt.datetime:
        """The scheduled time, or the time of the first envelope that a historical batch holds."""
        if self.historical:
            bodies = (exchange.body for exchange in exchanges if exchange.status == 200)
            times = (envelope_time(body) for body in bodies if body is not None)
            return next((time.replace(microsecond=0) for time in times if time is not None), scheduled_at)
        return scheduled_at

    def _sport_requests(self, scheduled_at: dt.datetime) -> list[ApiRequest]:
        requests = []
        for name in _STAGES:
            if name in self.endpoints:
                sports = (None,) if name == "sports" else self.sports
                requests += [self.request(name, scheduled_at, sport) for sport in sports]
        return requests

    def _event_requests(self, scheduled_at: dt.datetime, exchanges: Iterable[Exchange]) -> list[ApiRequest]:
        listed = sorted(set(_listed_events(exchanges)))
        names = [name for name in EVENT_STAGES if name in self.endpoints]
        return [self.request(name, scheduled_at, sport, event) for name in names for sport, event in listed]

    def request(self, name: str, scheduled_at: dt.datetime, sport: str | None = None, event: str | None = None) -> ApiRequest:
        """The request of one endpoint, as this plan asks it."""
        row = ENDPOINTS[f"historical_{name}" if self.historical else name]
        params: dict[str, str] = {}
        if row.has_books:
            params |= {"bookmakers": ",".join(self.bookmakers)} if self.bookmakers else {"regions": ",".join(self.regions)}
        if row.has_markets:
            params["oddsFormat"] = self.odds_format
            if markets := self.event_markets if row.has_event else self.markets:
                params["markets"] = ",".join(markets)
        if self.date_format != "iso" and "dateFormat" in row.params:
            params["dateFormat"] = self.date_format
        if name == "scores" and self.scores_days_from is not None:
            params["daysFrom"] = str(self.scores_days_from)
        if self.historical:
            # the API takes whole seconds with a Z only
            params["date"] = to_iso(scheduled_at.replace(microsecond=0))
        return ApiRequest.of(row.name, sport=sport, event_id=event, params=params)

    def _check(self) -> None:
        known = _HISTORICAL if self.historical else _STAGES + EVENT_STAGES
        if not self.endpoints:
            raise _invalid("it asks for no endpoint", f"Known endpoints: {', '.join(known)}.")
        for name in self.endpoints:
            if name not in known:
                kind = "historical endpoint" if self.historical else "endpoint"
                raise _invalid(
                    f"there is no {kind} {name!r}, the nearest is {nearest(name, known)!r}", f"Known: {', '.join(known)}."
                )
        for name in ("sports", "markets", "bookmakers", "event_markets"):
            for key in getattr(self, name):
                if not _KEY.fullmatch(key):
                    raise _invalid(f"{name} holds {key!r}, which is no key", "Keys are letters, digits and underscores.")
        if self.is_chosen and (self.historical or "sports" not in self.endpoints):
            raise _invalid("what is in season is told by the endpoint `sports`, and now only", "Add `sports` to its endpoints.")
        if set(self.endpoints) != {"sports"} and not self.sports and not self.is_chosen:
            raise _invalid("it names no sport", "Add `sports: [...]`, `groups: [...]` or `all_active: true`.")
        if "upcoming" in self.sports and not set(self.endpoints) <= {"sports", "odds", *EVENT_STAGES}:
            raise _invalid("`upcoming` is a sport for odds only", "Ask the other endpoints for sports by their keys.")
        books_of(self.regions)
        if any(ENDPOINTS[name].has_books for name in self.endpoints) and bool(self.regions) == bool(self.bookmakers):
            raise _invalid("odds need either regions or bookmakers", "Give one of the two.")
        if odd := [key for key in self.markets if key not in FEATURED_MARKETS and key not in LAY_MARKETS.values()]:
            raise _invalid(
                f"odds cannot be asked for market {odd[0]!r}, the nearest is {nearest(odd[0], FEATURED_MARKETS)!r}",
                f"Only event_odds has other markets than {', '.join(FEATURED_MARKETS)}: name them under `event_markets`.",
            )
        if ("event_odds" in self.endpoints) != bool(self.event_markets):
            raise _invalid("event_odds and event_markets (its market keys) come together", "Give both or none.")
        if set(self.endpoints) & set(EVENT_STAGES) and not set(self.endpoints) & set(_LISTING):
            raise _invalid("no endpoint lists the events to ask about", "Add `events`, which is free.")
        if self.odds_format not in ("decimal", "american"):
            raise _invalid(f"odds_format is {self.odds_format!r}", "It is decimal or american.")
        if self.date_format not in ("iso", "unix"):
            raise _invalid(f"date_format is {self.date_format!r}", "It is iso or unix.")
        if self.scores_days_from is not None and (self.scores_days_from not in (1, 2, 3) or "scores" not in self.endpoints):
            raise _invalid("scores_days_from is 1, 2 or 3, and needs scores", "Correct or remove it.")


def load_plan(path: Path | str) -> MarketPlan:
    """Read a plan file (YAML).

    Raises:
        UsageError: ``PLAN_NOT_FOUND``, ``PLAN_UNKNOWN_KEY`` (naming the nearest valid one), ``PLAN_INVALID``.
    """
    return parse_plan(read_document(path))


def read_document(path: Path | str) -> Any:
    """What a plan file holds, unchecked.

    Args:
        path: of the file, or the bare name of a plan that comes with the package.

    Raises:
        UsageError: ``PLAN_NOT_FOUND``, ``PLAN_INVALID`` (it is no YAML).
    """
    path, examples = Path(path), {file.stem: file for file in sorted(_EXAMPLES.glob("*.yml"))}
    try:
        return yaml.safe_load(examples.get(str(path), path).read_bytes())
    except OSError as error:
        raise UsageError(
            "PLAN_NOT_FOUND",
            f"The plan {path} cannot be read: {error.strerror}.",
            f"Name a plan file, or one that is there: {', '.join(examples)}.",
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise _invalid(f"{path} is no YAML: {' '.join(str(error).split())}", "Correct it.") from error


def parse_plan(document: object) -> MarketPlan:
    """The plan that a parsed plan file describes.

    Raises:
        UsageError: ``PLAN_UNKNOWN_KEY``, ``PLAN_INVALID``.
    """
    if not isinstance(document, Mapping):
        raise _invalid("it is no mapping of keys to values", "Begin with `endpoints: [...]`.")
    types: dict[str, Any] = {item.name: item.type for item in fields(MarketPlan)}
    valid = (*types, *_SCHEDULING)
    for key in document:
        if key not in valid:
            raise UsageError(
                "PLAN_UNKNOWN_KEY",
                f"The plan has an unknown key {key!r}; the nearest is {nearest(str(key), valid)!r}.",
                f"Valid keys: {', '.join(valid)}.",
            )
    values = {key: _value(key, str(types[key]), value) for key, value in document.items() if key in types}
    if "endpoints" not in values:
        raise _invalid("it has no endpoints", "Add `endpoints: [...]`.")
    return MarketPlan(**values)


def _value(key: str, kind: str, value: object) -> Any:
    if kind.startswith("tuple"):
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise _invalid(f"{key} is {value!r}", "It is a list of keys.")
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "int | None" and (value is None or type(value) is int):
        return value
    raise _invalid(f"{key} is {value!r}", f"It is of type {kind}.")


def _invalid(why: str, next_step: str) -> UsageError:
    return UsageError("PLAN_INVALID", f"The plan cannot be used: {why}.", next_step)


def is_key(value: object) -> bool:
    """Whether a value can be a sport's or event's key: letters, digits and underscores."""
    return isinstance(value, str) and _KEY.fullmatch(value) is not None


def _listed_events(exchanges: Iterable[Exchange]) -> Iterable[tuple[str, str]]:
    """(sport, event id) of every event in the answers; whatever else they hold is not for the plan to judge."""
    for exchange in exchanges:
        # scores list finished events too, for which there are no odds
        if exchange.status != 200 or exchange.body is None or ENDPOINTS[exchange.request.endpoint].family not in _LISTING:
            continue
        try:
            document = json.loads(exchange.body)
        except (ValueError, RecursionError):
            continue
        data = document.get("data") if isinstance(document, dict) else document
        for event in data if isinstance(data, list) else ():
            sport, event_id = (event.get("sport_key"), event.get("id")) if isinstance(event, dict) else (None, None)
            if isinstance(sport, str) and isinstance(event_id, str) and _KEY.fullmatch(sport) and _KEY.fullmatch(event_id):
                yield sport, event_id
