"""What a lenient look into an answer shows: its shape, its sports, books, markets and prices. Nothing is judged."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.odds_api.endpoints import ENDPOINTS
from pipeline.printable import printable
from pipeline.recording.imports.times import time_of

KEY: Final = re.compile(r"[a-z0-9_]{1,120}")
EVENT_ID: Final = re.compile(r"[0-9a-f]{32}")
# What has more is kept all the same, but nothing is learnt from it: once parsed it takes a hundred times its size.
MAX_MARKS: Final = 1_000_000
NOTHING: Final = object()
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_ENVELOPE: Final = frozenset(("timestamp", "previous_timestamp", "next_timestamp", "data"))
_ARRAYS: Final = frozenset(row.name for row in ENDPOINTS.values() if row.shape == "array")


def parsed(body: bytes) -> Any:
    """The JSON document of a body in UTF-8; ``NOTHING`` where it is none, or too large to be looked into."""
    if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_MARKS:
        return NOTHING
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return NOTHING


@dataclass(slots=True)
class Prices:
    """What prices tell about the odds format.

    Attributes:
        american: prices that are no decimal odds: below 0.
        decimal: prices that are no american odds: between -100 and 100, or with a fraction.
        either: prices that fit both: whole numbers from 100 on.
    """

    american: int = 0
    decimal: int = 0
    either: int = 0

    def add(self, price: float) -> None:
        """Take in one price."""
        if price <= -100:
            self.american += 1
        elif price < 100 or price != int(price):
            self.decimal += 1
        else:
            self.either += 1


@dataclass(slots=True)
class Look:
    """What an answer shows; empty for what is no JSON.

    Attributes:
        shapes: endpoints whose answers have its shape; empty where it is of none.
        envelope_at: the time of a historical envelope, or None.
        is_envelope: whether it is one, whatever its time.
        answer_at: where in a wrapper an answer stands, as a JSON pointer; None where it is no wrapper.
        error: the API's own error code (or message) where it is an error; else None.
        unix_dates: whether its times are integers.
        read_at: when the newest of its quotes was read, by their last_update, or None.
    """

    shapes: frozenset[str] = frozenset()
    is_envelope: bool = False
    envelope_at: dt.datetime | None = None
    answer_at: str | None = None
    error: str | None = None
    sports: set[str] = field(default_factory=set)
    event_id: str | None = None
    books: set[str] = field(default_factory=set)
    markets: set[str] = field(default_factory=set)
    prices: Prices = field(default_factory=Prices)
    unix_dates: bool = False
    read_at: dt.datetime | None = None


def look_at(document: Any) -> Look:
    """Look into a parsed answer."""
    look = Look(shapes=_shapes(document))
    if isinstance(document, dict):
        look.error = _error(document)
        if _is_envelope(document):
            look.is_envelope = True
            found = time_of(document["timestamp"])
            look.envelope_at = None if found is None else found.at
            look.unix_dates = isinstance(document["timestamp"], int)
            document = document["data"]
        elif not look.shapes and look.error is None:
            look.answer_at = _answer_in(document)
    if isinstance(document, dict):
        event_id = document.get("id")
        look.event_id = event_id if isinstance(event_id, str) and EVENT_ID.fullmatch(event_id) else None
    updates: set[str | int] = set()
    for event in document if isinstance(document, list) else [document]:
        _add_key(look.sports, event, "sport_key")
        if isinstance(event, dict) and type(event.get("commence_time")) is int:
            look.unix_dates = True
        for book in _items(event, "bookmakers"):
            _add_key(look.books, book, "key")
            _add_update(updates, book)
            for market in _items(book, "markets"):
                _add_key(look.markets, market, "key")
                _add_update(updates, market)
                for outcome in _items(market, "outcomes"):
                    price = outcome.get("price") if isinstance(outcome, dict) else None
                    if isinstance(price, int | float) and not isinstance(price, bool) and abs(price) < 1e9:
                        look.prices.add(price)
    newest = [
        max(kind) for kind in ([u for u in updates if isinstance(u, str)], [u for u in updates if isinstance(u, int)]) if kind
    ]
    look.read_at = max((found.at for told in newest if (found := time_of(told)) is not None), default=None)
    return look


def _items(holder: Any, key: str) -> list[Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else []


def _add_key(keys: set[str], holder: Any, name: str) -> None:
    value = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(value, str) and KEY.fullmatch(value):
        keys.add(value)


def _add_update(updates: set[str | int], holder: Any) -> None:
    told = holder.get("last_update") if isinstance(holder, dict) else None
    if type(told) is int or (isinstance(told, str) and _ISO.fullmatch(told)):
        updates.add(told)


# --- shapes ----------------------------------------------------------------------------------------------------------


def _is_envelope(document: dict[str, Any]) -> bool:
    """Whether it is the API's envelope, and not a wrapper of somebody's own that has a time as well."""
    at = document.get("timestamp")
    if not isinstance(document.get("data"), list | dict):
        return False
    if not (type(at) is int or (isinstance(at, str) and _ISO.fullmatch(at))):
        return False
    return bool(document.keys() & {"previous_timestamp", "next_timestamp"}) or document.keys() <= _ENVELOPE


def _shapes(document: Any) -> frozenset[str]:
    if isinstance(document, list):
        return _of_list(document)
    if not isinstance(document, dict):
        return frozenset()
    if _is_envelope(document):
        data = document["data"]
        inner = _of_list(data) if isinstance(data, list) else _of_event(data)
        return frozenset(f"historical_{name}" for name in inner) & ENDPOINTS.keys()
    return _of_event(document)


def _of_list(items: list[Any]) -> frozenset[str]:
    """The endpoints whose answers are such a list: told by what all of its items have."""
    if not items:
        return _ARRAYS
    found = _ARRAYS
    for item in items:
        found = found & _of_item(item)
    return found


def _of_item(item: Any) -> frozenset[str]:
    if not isinstance(item, dict):
        return frozenset()
    if isinstance(item.get("bookmakers"), list) and "id" in item:
        return frozenset(("odds",))
    if "id" in item and ("scores" in item or "completed" in item):
        return frozenset(("scores",))
    if "id" in item and "sport_key" in item and "commence_time" in item and "bookmakers" not in item and "sites" not in item:
        return frozenset(("events",))
    if "key" in item and "group" in item and "active" in item:
        return frozenset(("sports",))
    return frozenset(("participants",)) if "full_name" in item and "id" in item else frozenset()


def _of_event(document: dict[str, Any]) -> frozenset[str]:
    books = document.get("bookmakers")
    if "id" not in document or not isinstance(books, list):
        return frozenset()
    markets = [market for book in books for market in _items(book, "markets") if isinstance(market, dict)]
    if not markets:
        return frozenset(("event_odds", "event_markets"))
    return frozenset(("event_odds",)) if any("outcomes" in market for market in markets) else frozenset(("event_markets",))


def _error(document: dict[str, Any]) -> str | None:
    code, message = document.get("error_code"), document.get("message")
    if "id" in document or "data" in document or not isinstance(message, str):
        return None
    return printable(code if isinstance(code, str) else message, most=60)


def _answer_in(document: dict[str, Any]) -> str | None:
    """Where an answer stands in a wrapper: the one place, at most two steps down, that has the shape of one."""
    places = [
        pointer for pointer, value in _inside(document, 2) if not (isinstance(value, list) and not value) and _shapes(value)
    ]
    return places[0] if len(places) == 1 else None


def _inside(document: dict[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
    for key, value in document.items():
        pointer = "/" + key.replace("~", "~0").replace("/", "~1")
        yield pointer, value
        if depth > 1 and isinstance(value, dict) and not _shapes(value):
            for inner, found in _inside(value, depth - 1):
                yield pointer + inner, found
