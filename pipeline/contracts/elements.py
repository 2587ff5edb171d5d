"""The parts of an answer that stand alone: events, their bookmakers, their markets, and the entries of a catalogue.

What is wrong below the document holds back the smallest part that stands alone, and the rest of the answer is admitted: a
price, point or name holds back its market; a key or ``last_update`` the bookmaker; id, teams, start or a score the event.
What is wrong with the document itself, or with the sport, holds back the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, TypeAlias

from pipeline.contracts.shapes import ENVELOPES, EVENT_LISTS, ONE_EVENT, PRICED
from pipeline.resources import resource

Kind = Literal["event", "bookmaker", "market", "sport", "participant", "bet", "prediction"]
IsValid: TypeAlias = Callable[[Any], bool]

_ENTRIES: Final[Mapping[str, Kind]] = {
    "sports": "sport",
    "participants": "participant",
    "bets": "bet",
    "predictions": "prediction",
}


@dataclass(frozen=True, slots=True)
class Element:
    """A part of an answer that stands alone.

    Attributes:
        pointer: JSON pointer of it in the body, e.g. ``/0/bookmakers/2``.
        kind: what it is.
        event_id, bookmaker_key, market_key: which one it is; None where the answer does not tell, or it is of another kind.
        outcomes: outcome objects in it; 0 at endpoints without prices.
    """

    pointer: str
    kind: Kind
    event_id: str | None = None
    bookmaker_key: str | None = None
    market_key: str | None = None
    outcomes: int = 0

    @property
    def about(self) -> dict[str, str]:
        """What is known of which one it is, as findings tell it."""
        keys = {"event_id": self.event_id, "bookmaker_key": self.bookmaker_key, "market_key": self.market_key}
        return {name: key for name, key in keys.items() if key is not None}


@dataclass(frozen=True, slots=True)
class Broken:
    """An element that breaks the schema.

    Attributes:
        element: which one.
        part: a small document with nothing but it, that breaks the schema for the same reason.
        indexes: of a path in ``part``, the steps that are another index in the whole, by their position.
    """

    element: Element
    part: Any
    indexes: Mapping[int, int]


class WholeAnswer(Exception):
    """What is wrong is no single element of it."""


def broken_elements(endpoint: str, document: Any, is_valid: IsValid) -> list[Broken]:
    """The smallest elements of an invalid document without which it is valid, in their order.

    Args:
        endpoint: of the answer.
        document: a parsed body that breaks the schema.
        is_valid: whether a document keeps the endpoint's schema.

    Raises:
        WholeAnswer: no element is to blame, or every one.
    """
    if endpoint in ENVELOPES and not (isinstance(document, dict) and "data" in document):
        raise WholeAnswer
    whole = _Whole(endpoint, document, is_valid)
    if endpoint in ONE_EVENT:
        found, is_all = list(whole.within_event(whole.data, whole.base, {})), False
        if any(each.element.kind == "event" for each in found):
            raise WholeAnswer
    else:
        if not isinstance(whole.data, list) or not is_valid(whole.around([])):
            raise WholeAnswer
        found = [each for index, item in enumerate(whole.data) for each in whole.within_item(item, index)]
        is_all = sum(each.element.kind not in ("bookmaker", "market") for each in found) == len(whole.data)
    if is_all or not found or not is_valid(without(document, [each.element.pointer for each in found])):
        raise WholeAnswer
    return found


def element_at(endpoint: str, document: Any, pointer: str) -> Element | None:
    """The element that a pointer names; None where it names none."""
    return next((each for each in _elements(endpoint, document) if each.pointer == pointer), None)


def is_within(pointer: str, outer: str) -> bool:
    """Whether a place is that of an element, or in it."""
    return f"{pointer}/".startswith(f"{outer}/")


def without(document: Any, pointers: Iterable[str]) -> Any:
    """A document without some of its elements; the given one stays as it is, and what is untouched is shared."""
    gone: dict[str, Any] = {}
    for pointer in sorted(pointers, key=len):
        *steps, last = pointer.split("/")[1:]
        inner: dict[str, Any] | None = gone
        for step in steps:
            # None: gone as a whole, with all that is in it
            inner = inner if inner is None else inner.setdefault(step, {})
        if inner is not None:
            inner[last] = None
    return _without(document, gone)


def original(pointer: str, pointers: Iterable[str]) -> str:
    """The place in a whole document that a pointer into the document without ``pointers`` means."""
    gone = {tuple(each.split("/")[1:]) for each in pointers}
    found: tuple[str, ...] = ()
    for step in pointer.split("/")[1:]:
        if step.isdecimal():
            left, index = int(step), 0
            while left or (*found, str(index)) in gone:
                left -= (*found, str(index)) not in gone
                index += 1
            step = str(index)
        found = (*found, step)
    return "".join(f"/{step}" for step in found)


def _without(value: Any, gone: Mapping[str, Any]) -> Any:
    if not gone:
        return value
    if isinstance(value, list):
        return [
            _without(item, gone.get(str(index), {})) for index, item in enumerate(value) if gone.get(str(index), {}) is not None
        ]
    return {key: _without(inner, gone.get(key, {})) for key, inner in value.items()}


def _elements(endpoint: str, document: Any) -> Iterator[Element]:
    """All elements of a document, whatever is in it; of an answer about one event, those below the event."""
    data, base = (_member(document, "data"), "/data") if endpoint in ENVELOPES else (document, "")
    if endpoint in _ENTRIES:
        yield from (Element(f"/{index}", _ENTRIES[endpoint]) for index, _ in enumerate(_items(data)))
        return
    events = [(data, base)] if endpoint in ONE_EVENT else [(event, f"{base}/{n}") for n, event in enumerate(_items(data))]
    for event, place in events:
        if endpoint in EVENT_LISTS:
            yield _element(endpoint, place, "event", event)
        for book_no, book in enumerate(_items(_member(event, "bookmakers"))):
            yield _element(endpoint, f"{place}/bookmakers/{book_no}", "bookmaker", event, book)
            for market_no, market in enumerate(_items(_member(book, "markets"))):
                yield _element(endpoint, f"{place}/bookmakers/{book_no}/markets/{market_no}", "market", event, book, market)


class _Whole:
    """A document at hand, and how to put one part of it to the test."""

    def __init__(self, endpoint: str, document: Any, is_valid: IsValid) -> None:
        self.endpoint = endpoint
        self.document = document
        self.is_valid = is_valid
        self.data, self.base = (document["data"], "/data") if endpoint in ENVELOPES else (document, "")
        self.depth = 1 if endpoint in ENVELOPES else 0

    def around(self, data: Any) -> Any:
        """The document with other data."""
        return {**self.document, "data": data} if self.endpoint in ENVELOPES else data

    def within_item(self, item: Any, index: int) -> Iterator[Broken]:
        """What is broken of one item of a list."""
        alone = self.around([item])
        if self.is_valid(alone):
            return
        place = f"{self.base}/{index}"
        if self.endpoint in _ENTRIES:
            yield Broken(Element(place, _ENTRIES[self.endpoint]), alone, {self.depth: index})
        else:
            yield from self.within_event(item, place, {self.depth: index})

    def within_event(self, event: Any, place: str, indexes: Mapping[int, int]) -> Iterator[Broken]:
        """What is broken of an event: all of it, or some of its bookmakers and markets."""

        def around(value: Any) -> Any:
            return self.around([value] if indexes else value)

        whole = Broken(_element(self.endpoint, place, "event", event), around(event), indexes)
        books = _member(event, "bookmakers")
        if isinstance(event, dict) and not self.is_valid(around(bare := {**event, "bookmakers": []})):
            if self.is_valid(around({**bare, "sport_key": "any"})):
                raise WholeAnswer
        elif isinstance(books, list):
            found = [
                each
                for number, book in enumerate(books)
                for each in self._within_book(event, book, f"{place}/bookmakers/{number}", indexes, around)
            ]
            if found:
                yield from found
                return
        yield whole

    def _within_book(
        self, event: Mapping[str, Any], book: Any, place: str, indexes: Mapping[int, int], around: Callable[[Any], Any]
    ) -> list[Broken]:
        """What is broken of a bookmaker: nothing, all of it, or some of its markets."""

        def alone(book: Any) -> Any:
            return around({**event, "bookmakers": [book]})

        if self.is_valid(alone(book)):
            return []
        depth = self.depth + len(indexes) + 1
        indexes = {**indexes, depth: int(place.rpartition("/")[2])}
        whole = Broken(_element(self.endpoint, place, "bookmaker", event, book), alone(book), indexes)
        markets = _member(book, "markets")
        if not isinstance(markets, list) or not self.is_valid(alone({**book, "markets": []})):
            return [whole]
        found = []
        for market_no, market in enumerate(markets):
            part = alone({**book, "markets": [market]})
            if self.is_valid(part):
                continue
            # a market whose key or time is wrong is no market that could be missed: its book is in doubt
            named = {key: value for key in ("key", "last_update") if (value := _member(market, key)) is not None}
            if not self.is_valid(alone({**book, "markets": [{**named, "outcomes": []}]})) or self.endpoint not in PRICED:
                return [whole]
            element = _element(self.endpoint, f"{place}/markets/{market_no}", "market", event, book, market)
            found.append(Broken(element, part, {**indexes, depth + 2: market_no}))
        return found or [whole]


def _element(endpoint: str, pointer: str, kind: Kind, event: Any, book: Any = None, market: Any = None) -> Element:
    counted = [event] if kind == "event" else [{"bookmakers": [book]}]
    if kind == "market":
        counted = [{"bookmakers": [{"markets": [market]}]}]
    return Element(
        pointer,
        kind,
        _known(_member(event, "id"), "event_id"),
        _known(_member(book, "key"), "key"),
        _known(_member(market, "key"), "key"),
        count_outcomes(counted) if endpoint in PRICED else 0,
    )


def count_outcomes(events: Iterable[Any]) -> int:
    """Outcome objects of some events, whatever they are."""
    return sum(
        len(_items(_member(market, "outcomes")))
        for event in events
        for book in _items(_member(event, "bookmakers"))
        for market in _items(_member(book, "markets"))
    )


def _member(holder: Any, key: str) -> Any:
    return holder.get(key) if isinstance(holder, dict) else None


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _known(value: Any, name: str) -> str | None:
    """A key or an id, if it is one: by what is none nobody can tell what is meant."""
    return value if isinstance(value, str) and _pattern(name).fullmatch(value) else None


@cache
def _pattern(name: str) -> re.Pattern[str]:
    common = json.loads(resource("contracts/odds_api/common.schema.json").read_bytes())
    return re.compile(common["$defs"][name]["pattern"].removesuffix("$"))
