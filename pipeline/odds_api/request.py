"""One call of an endpoint, as a value. It never holds the API key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True, order=True)
class ApiRequest:
    """A request in canonical order.

    Attributes:
        endpoint: a name of ``endpoints.ENDPOINTS``, e.g. ``odds``, ``event_odds``, ``historical_events``.
        sport: the sport key in the path, or None where the path has none (``sports``).
        event_id: the event id in the path, or None.
        params: query parameters, sorted by name, without ``apiKey``; values as sent (lists comma separated and sorted).
    """

    endpoint: str
    sport: str | None = None
    event_id: str | None = None
    params: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(
        cls, endpoint: str, *, sport: str | None = None, event_id: str | None = None, params: Mapping[str, str] | None = None
    ) -> ApiRequest:
        """Build a request; parameters are put in order and an ``apiKey`` among them is refused (ValueError)."""
        given = dict(params or {})
        if any(name.lower() == "apikey" for name in given):
            raise ValueError("a request never holds the API key")
        return cls(endpoint, sport, event_id, tuple(sorted((name, str(value)) for name, value in given.items())))

    def param(self, name: str, default: str | None = None) -> str | None:
        """The value of one query parameter."""
        return dict(self.params).get(name, default)

    @property
    def text(self) -> str:
        """A readable, canonical form, e.g. ``odds sport=icehockey_nhl ?markets=h2h&regions=us``."""
        place = " ".join(f"{k}={v}" for k, v in (("sport", self.sport), ("event", self.event_id)) if v is not None)
        query = f"?{urlencode(self.params, safe=',:')}" if self.params else ""
        return " ".join(part for part in (self.endpoint, place, query) if part)
