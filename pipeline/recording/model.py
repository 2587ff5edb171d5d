"""What a recording holds, as frozen values."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.clock import UTC, compact, from_iso, to_iso
from pipeline.odds_api.api_errors import Failure
from pipeline.odds_api.request import ApiRequest

__all__ = [
    "FORMAT_VERSION",
    "SOURCES",
    "Batch",
    "Coverage",
    "Exchange",
    "Failure",
    "PlanIdentity",
    "batch_time",
    "exchange_id",
]

FORMAT_VERSION: Final = 2
# How a batch came to be.
SOURCES: Final = ("live", "import", "simulated", "backfill")


def exchange_id(batch_id: str, place: int, attempt: int) -> uuid.UUID:
    """The id of one exchange, the same wherever its batch is loaded."""
    return uuid.UUID(hashlib.md5(f"{batch_id}|{place}|{attempt}".encode(), usedforsecurity=False).hexdigest())


def batch_time(batch_id: str) -> dt.datetime | None:
    """The time that a batch id begins with; None where it is none."""
    try:
        return dt.datetime.strptime(batch_id.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What an exchange asked about. A quote is absent only where an admitted exchange covered it and came without it.

    Attributes:
        sport: sport key; None for endpoints without one (``sports``) and for ``upcoming``.
        events: ``None`` = every event of the sport (within the window); a tuple = just these event ids. An empty tuple
            covers only the events that the answer itself shows (``upcoming``).
        markets: market keys asked for, sorted; empty for endpoints without markets.
        books: bookmaker keys asked for, sorted; empty for endpoints without books.
        commence_from, commence_to: inclusive bounds on commence_time that the request set, or None.
    """

    sport: str | None = None
    events: tuple[str, ...] | None = None
    markets: tuple[str, ...] = ()
    books: tuple[str, ...] = ()
    commence_from: dt.datetime | None = None
    commence_to: dt.datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """The JSON object of the index."""
        return {
            "sport": self.sport,
            "events": None if self.events is None else list(self.events),
            "markets": list(self.markets),
            "books": list(self.books),
            "commence_from": None if self.commence_from is None else to_iso(self.commence_from),
            "commence_to": None if self.commence_to is None else to_iso(self.commence_to),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Coverage:
        """The inverse of :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: the document is no such object.
        """

        def keys(values: Any) -> tuple[str, ...]:
            if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
                raise TypeError(f"coverage needs lists of texts, not {values!r}")
            return tuple(values)

        return cls(
            sport=document["sport"],
            events=None if document["events"] is None else keys(document["events"]),
            markets=keys(document["markets"]),
            books=keys(document["books"]),
            commence_from=None if document["commence_from"] is None else from_iso(document["commence_from"]),
            commence_to=None if document["commence_to"] is None else from_iso(document["commence_to"]),
        )


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, its place in the plan, the attempt, and what came back.

    Attributes:
        place: position of the request in the expanded plan, from 0.
        attempt: from 1; only the last attempt of a place may be an answer, earlier ones are failures.
        captured_at: when the answer (or the failure) was received; for imports the file's or the envelope's time.
        status: HTTP status, or None for a transport failure (which then has a failure, no headers, no body).
        headers: response headers that are kept, lower case names, sorted.
        body: the body's bytes, or None where none came.
        failure: set where this is no answer; an exchange with status 200 has a body and none.
    """

    place: int
    attempt: int
    request: ApiRequest
    coverage: Coverage
    captured_at: dt.datetime
    status: int | None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    failure: Failure | None = None

    def __post_init__(self) -> None:
        if self.status is None and (self.failure is None or self.body is not None or self.headers):
            raise ValueError("without an HTTP status there is a failure, and neither body nor headers")

    @property
    def sha256(self) -> str | None:
        """Hex sha256 of the body, or None."""
        return None if self.body is None else hashlib.sha256(self.body).hexdigest()


@dataclass(frozen=True, slots=True)
class PlanIdentity:
    """What a run asks for, reduced to what identifies it. Cadence and budget are not part of it.

    Attributes:
        document: canonical JSON-able mapping, e.g.
            ``{"kind": "import", "endpoints": [...], "sports": [...], "declared": {...}}``.
    """

    document: Mapping[str, Any]

    @property
    def plan_id(self) -> str:
        """First 12 hex digits of the sha256 of the canonical JSON."""
        text = json.dumps(self.document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def batch_id(self, scheduled_at: dt.datetime) -> str:
        """``20251009T004248Z-<plan_id>``: known before the first byte, the same on a retry, sortable."""
        return f"{compact(scheduled_at)}-{self.plan_id}"


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed batch: every request has its answer or its recorded failure.

    Attributes:
        batch_id: ``PlanIdentity.batch_id(scheduled_at)``.
        scheduled_at: the batch's one time (UTC, whole seconds).
        plan: identity of the plan.
        source: ``live``, ``import``, ``simulated`` or ``backfill``.
        exchanges: in order of (place, attempt).
    """

    batch_id: str
    scheduled_at: dt.datetime
    plan: PlanIdentity
    source: str
    exchanges: tuple[Exchange, ...]
