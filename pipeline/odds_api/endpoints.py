"""The endpoints of the API as one table: path, parameters, cost rule, answer shape; and what is imported beside them."""

from __future__ import annotations

import datetime as dt
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from pipeline.clock import from_answer, is_datable
from pipeline.errors import UsageError
from pipeline.odds_api.request import ApiRequest

# Where it is asked, unless told otherwise.
BASE_URL: Final = "https://api.the-odds-api.com"

Shape = Literal["array", "object", "envelope_array", "envelope_object"]
CostRule = Literal["free", "call", "call_if_any", "scores", "asked_market_region", "returned_market_region"]

# Stands in a path where an import does not know the sport or the event.
UNKNOWN: Final = "-"

_ODDS_OPTIONS: Final = (
    "regions",
    "bookmakers",
    "markets",
    "oddsFormat",
    "dateFormat",
    "includeLinks",
    "includeSids",
    "includeBetLimits",
    "includeRotationNumbers",
)
_FILTERS: Final = ("eventIds", "commenceTimeFrom", "commenceTimeTo")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint.

    Attributes:
        name: its name in this project.
        path: URL path, with ``{sport}`` and ``{event_id}`` where it has them.
        required, optional: query parameters. Where both are optional, one of ``regions`` and ``bookmakers`` is needed.
        cost_rule: what a call is billed by.
        cost_unit: credits per unit of the rule.
        shape: JSON shape of an answer.
        family: the endpoint whose silver table it feeds (``odds`` for ``historical_odds``).
        has_markets: whether it is asked with market keys.
        has_books: whether it is asked with regions or bookmakers.
        folders: names of folders in which people keep its answers.
    """

    name: str
    path: str
    shape: Shape
    family: str
    cost_rule: CostRule = "free"
    cost_unit: int = 0
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    has_markets: bool = False
    has_books: bool = False
    folders: tuple[str, ...] = ()

    @property
    def is_free(self) -> bool:
        """Whether a call costs no credits."""
        return self.cost_rule == "free"

    @property
    def is_historical(self) -> bool:
        """Whether an answer comes in an envelope that names its own time."""
        return self.shape.startswith("envelope")

    @property
    def has_sport(self) -> bool:
        """Whether the path names a sport."""
        return "{sport}" in self.path

    @property
    def has_event(self) -> bool:
        """Whether the path names one event."""
        return "{event_id}" in self.path

    @property
    def params(self) -> tuple[str, ...]:
        """All query parameters that it takes."""
        return self.required + self.optional


def _table(*rows: Endpoint) -> Mapping[str, Endpoint]:
    return MappingProxyType({row.name: row for row in rows})


# The order of this table is the order of endpoints wherever one is needed.
ENDPOINTS: Final[Mapping[str, Endpoint]] = _table(
    Endpoint("sports", "/v4/sports", "array", "sports", optional=("all",), folders=("sports",)),
    Endpoint(
        "events",
        "/v4/sports/{sport}/events",
        "array",
        "events",
        optional=("dateFormat", *_FILTERS, "includeRotationNumbers"),
        folders=("events",),
    ),
    Endpoint(
        "odds",
        "/v4/sports/{sport}/odds",
        "array",
        "odds",
        "asked_market_region",
        1,
        optional=(*_ODDS_OPTIONS, *_FILTERS),
        has_markets=True,
        has_books=True,
        folders=("odds",),
    ),
    Endpoint(
        "event_odds",
        "/v4/sports/{sport}/events/{event_id}/odds",
        "object",
        "event_odds",
        "returned_market_region",
        1,
        optional=(*_ODDS_OPTIONS, "includeMultipliers"),
        has_markets=True,
        has_books=True,
        folders=("event_odds", "event-odds"),
    ),
    Endpoint(
        "event_markets",
        "/v4/sports/{sport}/events/{event_id}/markets",
        "object",
        "event_markets",
        "call",
        1,
        optional=("regions", "bookmakers", "dateFormat"),
        has_books=True,
        folders=("event_markets", "event-markets"),
    ),
    Endpoint(
        "scores",
        "/v4/sports/{sport}/scores",
        "array",
        "scores",
        "scores",
        1,
        optional=("daysFrom", "dateFormat", "eventIds"),
        folders=("scores",),
    ),
    Endpoint("participants", "/v4/sports/{sport}/participants", "array", "participants", "call", 1, folders=("participants",)),
    Endpoint(
        "historical_events",
        "/v4/historical/sports/{sport}/events",
        "envelope_array",
        "events",
        "call_if_any",
        1,
        required=("date",),
        optional=("dateFormat", *_FILTERS, "includeRotationNumbers"),
        folders=("historical_events", "historical-events"),
    ),
    Endpoint(
        "historical_odds",
        "/v4/historical/sports/{sport}/odds",
        "envelope_array",
        "odds",
        "asked_market_region",
        10,
        required=("date",),
        optional=(*_ODDS_OPTIONS, *_FILTERS),
        has_markets=True,
        has_books=True,
        folders=("historical_odds", "historical-odds", "odds-history"),
    ),
    Endpoint(
        "historical_event_odds",
        "/v4/historical/sports/{sport}/events/{event_id}/odds",
        "envelope_object",
        "event_odds",
        "returned_market_region",
        10,
        required=("date",),
        optional=(*_ODDS_OPTIONS, "includeMultipliers"),
        has_markets=True,
        has_books=True,
        folders=("historical_event_odds", "historical-event-odds"),
    ),
)

# What people import besides answers of the API. Nobody asks for it: no plan names it, and no request for it leaves the machine.
IMPORTED: Final[Mapping[str, Endpoint]] = _table(
    Endpoint("bets", "/imported/bets", "array", "bets", optional=("ledger",)),
    Endpoint("predictions", "/imported/predictions", "array", "predictions", optional=("ledger",)),
)

# All that a recording may hold.
RECORDED: Final[Mapping[str, Endpoint]] = MappingProxyType({**ENDPOINTS, **IMPORTED})

_PATTERNS: Final = {
    row.name: re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", row.path) + r"/?$") for row in RECORDED.values()
}


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that looks most like ``word``; the first one where none does; empty where none is known."""
    words = list(known)
    return next(iter(difflib.get_close_matches(word, words, n=1, cutoff=0.0)), "")


def endpoint(name: str) -> Endpoint:
    """The endpoint of that name, of the API or imported.

    Raises:
        UsageError: ``UNKNOWN_ENDPOINT``, naming the nearest one.
    """
    if name not in RECORDED:
        raise UsageError(
            "UNKNOWN_ENDPOINT",
            f"There is no endpoint {name!r}; the nearest is {nearest(name, ENDPOINTS)!r}.",
            f"Known endpoints: {', '.join(ENDPOINTS)}.",
        )
    return RECORDED[name]


def url(base: str, request: ApiRequest) -> str:
    """The URL of a request, without the key.

    Args:
        base: scheme, host and perhaps a path prefix.
        request: a sport or event that its path needs and that is None is written ``-``.

    Raises:
        UsageError: ``UNKNOWN_ENDPOINT``, or ``REQUEST_INVALID`` where the request names what its path has no place for.
    """
    row = endpoint(request.endpoint)

    def segment(name: str, value: str | None, has_place: bool) -> str:
        if value is not None and (not has_place or value in ("", ".", "..", UNKNOWN)):
            raise UsageError(
                "REQUEST_INVALID",
                f"Endpoint {row.name!r} cannot be asked with {name} {value!r}.",
                f"Its path is {row.path}.",
            )
        return UNKNOWN if value is None else quote(value, safe="")

    path = row.path.format(
        sport=segment("sport", request.sport, row.has_sport), event_id=segment("event", request.event_id, row.has_event)
    )
    query = f"?{urlencode(request.params, safe=',:')}" if request.params else ""
    return f"{base.rstrip('/')}{path}{query}"


def parse_url(text: str, known: Iterable[str] = ENDPOINTS) -> ApiRequest:
    """The request that a URL asks: the inverse of :func:`url`. The key, if there, is dropped.

    Args:
        text: the URL.
        known: names of the endpoints that it may ask.

    Raises:
        UsageError: ``UNKNOWN_ENDPOINT``: no endpoint has such a path.
    """
    parts = urlsplit(text)
    for name in known:
        if match := _PATTERNS[name].search(parts.path):
            found = {key: None if value == UNKNOWN else unquote(value) for key, value in match.groupdict().items()}
            query = {key: value for key, value in parse_qsl(parts.query, keep_blank_values=True) if key.lower() != "apikey"}
            return ApiRequest.of(name, sport=found.get("sport"), event_id=found.get("event_id"), params=query)
    raise UsageError(
        "UNKNOWN_ENDPOINT", f"No endpoint has the path {parts.path!r}.", f"Known endpoints: {', '.join(ENDPOINTS)}."
    )


def refuse_imported(text: str) -> None:
    """See that a URL asks for nothing that is only imported.

    Raises:
        UsageError: ``ENDPOINT_IMPORTED``.
    """
    path = urlsplit(text).path
    for name in IMPORTED:
        if _PATTERNS[name].search(path):
            raise UsageError(
                "ENDPOINT_IMPORTED", f"The API has no {name}.", f"They are imported: `sports-market {name} import --help`."
            )


def split_list(text: str | None) -> tuple[str, ...]:
    """The keys of a comma separated parameter, sorted, each once."""
    return tuple(sorted({part.strip() for part in (text or "").split(",")} - {""}))


def asked_markets(request: ApiRequest) -> tuple[str, ...]:
    """The market keys a request asks for, the API's default included; empty where the endpoint has none.

    Lay markets, which come by themselves, are not among them.
    """
    if not endpoint(request.endpoint).has_markets:
        return ()
    # a future's sport key ends so; it cannot be asked for h2h
    default = "outrights" if (request.sport or "").endswith("_winner") else "h2h"
    return split_list(request.param("markets")) or (default,)


def cost(request: ApiRequest, answer: object | None = None) -> int:
    """The credits that a request costs.

    Args:
        request: the request.
        answer: the parsed JSON of its answer (status 200; errors are never billed), or None for the most it can cost.
    """
    row = endpoint(request.endpoint)
    data: Any = answer.get("data") if row.is_historical and isinstance(answer, dict) else answer
    if answer is not None and not data and row.cost_rule not in ("free", "call", "scores"):
        return 0
    books = split_list(request.param("bookmakers"))
    regions = -(-len(books) // 10) if books else len(split_list(request.param("regions")))
    match row.cost_rule:
        case "free":
            return 0
        case "call" | "call_if_any":
            return row.cost_unit
        case "scores":
            return row.cost_unit * (1 if request.param("daysFrom") is None else 2)
        case "asked_market_region":
            return row.cost_unit * len(asked_markets(request)) * regions
        case "returned_market_region":
            asked = set(asked_markets(request))
            returned = asked if answer is None else asked & _market_keys(data)
            return row.cost_unit * len(returned) * regions


def _market_keys(event: Any) -> set[str]:
    books = event.get("bookmakers", []) if isinstance(event, dict) else []
    return {market["key"] for book in books for market in book.get("markets", [])}


def envelope_time(body: bytes) -> dt.datetime | None:
    """The ``timestamp`` of a historical envelope, in UTC; None where the body is no such envelope, or names no year of ours."""
    try:
        named = from_answer(json.loads(body)["timestamp"])
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError):
        return None
    return named if is_datable(named) else None
