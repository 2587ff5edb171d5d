"""Answers cut by event, without writing anything anew: a piece is the exact text of its event, so no number changes.

An answer is judged whole, and the verdict goes with its head. So do its hash, place and attempt: ids and ties come from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeline.bronze.batch_load import LookedAt, is_answer, look_at
from pipeline.contracts.elements import Element, count_outcomes
from pipeline.contracts.judgement import Judgement
from pipeline.contracts.shapes import ENVELOPES, EVENT_LISTS, ONE_EVENT, PRICED
from pipeline.recording.model import Batch, Exchange
from pipeline.recording.store import content_sha256

# Whose pieces belong to no event.
NO_EVENT: Final = ""
# What a ledger holds is looked at whole, wherever one of its events is.
LEDGERS: Final = ("bets", "predictions")
_DECODER: Final = json.JSONDecoder()
_BLANKS: Final = " \t\n\r"


@dataclass(frozen=True, slots=True)
class Piece:
    """What one answer says of one event, or all of it where it is about no event.

    Attributes:
        event_id: the event; ``""`` where there is none.
        batch_id: of its answer.
        number: of its exchange in the batch, from 0.
        ordinal: which of the answer's events it is, from 0.
        text: of the event, exactly as it came.
        outcomes: outcome objects in it, those that are held back included.
    """

    event_id: str
    batch_id: str
    number: int
    ordinal: int
    text: str
    outcomes: int


@dataclass(frozen=True, slots=True)
class Head:
    """A batch without the bodies of its answers.

    Attributes:
        looked: what is known of the batch; its exchanges have no bodies.
        ledgers: of exchanges that are answers of ledgers, by number, the whole text.
        named: events that these ledgers name.
    """

    looked: LookedAt
    ledgers: Mapping[int, str]
    named: tuple[str, ...]

    @property
    def batch_id(self) -> str:
        """The batch's."""
        return self.looked.batch.batch_id


def cut_batch(batch: Batch) -> tuple[Head, tuple[Piece, ...]]:
    """Judge a batch's answers, and cut those that are let in by event."""
    looked = look_at(batch, content_sha256(batch))
    pieces: list[Piece] = []
    ledgers: dict[int, str] = {}
    named: set[str] = set()
    for number, (exchange, judgement) in enumerate(zip(batch.exchanges, looked.judgements, strict=True)):
        found: list[Piece] = []
        if is_answer(exchange) and judgement is not None and judgement.verdict != "quarantined":
            text = judgement.document_text
            assert text is not None
            endpoint = exchange.request.endpoint
            if endpoint in LEDGERS:
                ledgers[number] = text
                named |= {each["event_id"] for each in json.loads(text) if isinstance(each.get("event_id"), str)}
            else:
                found = list(_cut(batch.batch_id, number, endpoint, text))
        pieces += found
    bare = replace(batch, exchanges=tuple(replace(exchange, body=None) for exchange in batch.exchanges))
    charges = tuple((replace(exchange, body=None), charge) for exchange, charge in looked.charges)
    judgements = tuple(None if each is None else replace(each, document_text=None) for each in looked.judgements)
    # how answers look changed since is told where they are loaded for good
    light = replace(looked, batch=bare, judgements=judgements, charges=charges, shape=None)
    return Head(light, ledgers, tuple(sorted(named))), tuple(pieces)


def _cut(batch_id: str, number: int, endpoint: str, text: str) -> Iterator[Piece]:
    begin = _skip(text, 0)
    if endpoint in ENVELOPES:
        begin = next(start for name, _, start, _ in _members(text, begin) if name == "data")
    if endpoint in ONE_EVENT:
        value, end = _DECODER.raw_decode(text, begin)
        yield _piece(batch_id, number, endpoint, 0, value, text[begin:end])
    elif endpoint in EVENT_LISTS:
        for ordinal, (value, span) in enumerate(_elements(text, begin)):
            yield _piece(batch_id, number, endpoint, ordinal, value, span)
    else:
        yield Piece(NO_EVENT, batch_id, number, 0, text, 0)


def _piece(batch_id: str, number: int, endpoint: str, ordinal: int, value: Any, text: str) -> Piece:
    event_id = value.get("id") if isinstance(value, dict) else None
    # one without an id is held back; its place counts all the same
    owner = event_id if isinstance(event_id, str) else NO_EVENT
    return Piece(owner, batch_id, number, ordinal, text, count_outcomes([value]) if endpoint in PRICED else 0)


def looked_at_by(head: Head, pieces: Iterable[Piece]) -> LookedAt:
    """A batch as a task loads it: whole but for the bodies, of which it has its own pieces.

    An answer that shows none of the task's events keeps its place in coverage, and has no body.

    Args:
        head: the batch.
        pieces: the task's own ones of it.
    """
    own: dict[int, list[Piece]] = {}
    for piece in pieces:
        own.setdefault(piece.number, []).append(piece)
    exchanges: list[Exchange] = []
    judgements: list[Judgement | None] = []
    for number, (exchange, judgement) in enumerate(zip(head.looked.batch.exchanges, head.looked.judgements, strict=True)):
        found = sorted(own.get(number, ()), key=lambda piece: piece.ordinal)
        text = head.ledgers.get(number) or (_body(exchange.request.endpoint, found) if found else None)
        if judgement is not None and number not in head.ledgers:
            ordinals = [piece.ordinal for piece in found]
            held = tuple(_moved(each, exchange.request.endpoint, ordinals) for each in judgement.held)
            there = sum(piece.outcomes for piece in found) - _held_in(judgement.held, exchange.request.endpoint, ordinals)
            judgement = replace(judgement, document_text=text, outcomes=there, held=held)
        elif judgement is not None:
            judgement = replace(judgement, document_text=text)
        exchanges.append(exchange if text is None else replace(exchange, body=text.encode()))
        judgements.append(judgement)
    batch = replace(head.looked.batch, exchanges=tuple(exchanges))
    return replace(head.looked, batch=batch, judgements=tuple(judgements))


def _body(endpoint: str, pieces: Sequence[Piece]) -> str:
    inner = f"[{','.join(piece.text for piece in pieces)}]" if endpoint in EVENT_LISTS else pieces[0].text
    return f'{{"data":{inner}}}' if endpoint in ENVELOPES else inner


def _ordinal(element: Element, endpoint: str) -> int:
    """Which of the answer's events an element is, or is in."""
    return int(element.pointer.split("/")[2 if endpoint in ENVELOPES else 1])


def _moved(element: Element, endpoint: str, own: Sequence[int]) -> Element:
    """An element of the whole answer, as the cut one has it; one of another task's event is where the cut one has nothing."""
    if endpoint not in EVENT_LISTS:
        return element
    ordinal = _ordinal(element, endpoint)
    place = own.index(ordinal) if ordinal in own else len(own) + ordinal
    steps = element.pointer.split("/")
    steps[2 if endpoint in ENVELOPES else 1] = str(place)
    return replace(element, pointer="/".join(steps))


def _held_in(held: Iterable[Element], endpoint: str, own: Sequence[int]) -> int:
    """Outcome objects of elements that are held back in these events of an answer."""
    is_list = endpoint in EVENT_LISTS
    return sum(each.outcomes for each in held if (_ordinal(each, endpoint) in own if is_list else own))


def _skip(text: str, place: int) -> int:
    while text[place] in _BLANKS:
        place += 1
    return place


def _members(text: str, place: int) -> Iterator[tuple[str, Any, int, int]]:
    """Key, value, begin and end of each member of the object at a place."""
    place = _skip(text, place + 1)
    while text[place] != "}":
        name, place = _DECODER.raw_decode(text, place)
        place = _skip(text, _skip(text, place) + 1)
        value, end = _DECODER.raw_decode(text, place)
        yield name, value, place, end
        place = _skip(text, end)
        if text[place] == ",":
            place = _skip(text, place + 1)


def _elements(text: str, place: int) -> Iterator[tuple[Any, str]]:
    """Value and exact text of each element of the array at a place."""
    place = _skip(text, place + 1)
    while text[place] != "]":
        value, end = _DECODER.raw_decode(text, place)
        yield value, text[place:end]
        place = _skip(text, end)
        if text[place] == ",":
            place = _skip(text, place + 1)
