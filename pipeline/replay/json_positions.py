"""Where a value stands in the bytes of a JSON document: from a JSON pointer to the half-open range of its bytes.

The document is read as Latin-1, a character per byte: JSON's own signs are ASCII, and what stands in texts need not be
understood to find their ends. Values are passed over by Python's own decoder, at the speed of C.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final

_DECODER: Final = json.JSONDecoder()
_SPACE: Final = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Bytes of a body: from ``start`` up to ``end``, which is not included."""

    start: int
    end: int

    def of(self, body: bytes) -> bytes:
        """These bytes."""
        return body[self.start : self.end]

    def moved(self, by: int) -> Range:
        """The same bytes in a document that begins ``by`` bytes earlier."""
        return Range(self.start + by, self.end + by)


def locate(body: bytes, pointer: str, within: Range | None = None) -> Range:
    """The bytes of the value that a pointer names.

    Args:
        body: a JSON document in UTF-8.
        pointer: RFC 6901, such as ``/0/bookmakers/2``; empty for the whole.
        within: the bytes of a value in ``body`` that the pointer begins at; None: the whole.

    Returns:
        The value's bytes, without the space around it. Of a key that stands twice the last one counts, as in jsonb.

    Raises:
        LookupError: there is no such value.
        ValueError: the bytes on the way are no JSON.
    """
    text = body.decode("latin-1")
    place = _skip(text, 0 if within is None else within.start)
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        place = _into(text, place, name, pointer)
    return Range(place, _end(text, place))


def find_object(body: bytes, member: str, value: str) -> Range | None:
    """The bytes of the one object that has a text member; quick where it is sure, None where it is not.

    Args:
        body: a JSON document in UTF-8, or some of its bytes.
        member: first member of the object, as the API writes ``id``.
        value: its text, without anything that JSON escapes.

    Returns:
        Its bytes; None where the text stands nowhere or twice, or the member is not the object's first.
    """
    word = json.dumps(value).encode()
    at = body.find(word)
    if at < 0 or body.find(word, at + 1) >= 0:
        return None
    head = re.compile(rb'\{[ \t\n\r]*"%s"[ \t\n\r]*:[ \t\n\r]*$' % re.escape(member.encode()))
    found = head.search(body, max(0, at - 200), at)
    if found is None:
        return None
    text = body[found.start() :].decode("latin-1")
    try:
        document, end = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return None
    # a later member of the same name would win
    is_it = isinstance(document, dict) and document.get(member) == value
    return Range(found.start(), found.start() + end) if is_it else None


def _into(text: str, place: int, name: str, pointer: str) -> int:
    """Where a member or an item of the value at a place begins."""
    opened = text[place : place + 1]
    if opened == "[":
        return _item(text, place, name, pointer)
    if opened == "{":
        return _member(text, place, name, pointer)
    raise LookupError(f"{pointer} leads into a value that holds no others")


def _item(text: str, place: int, name: str, pointer: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]*", name):
        raise LookupError(f"{name!r} in {pointer} is no place in an array")
    place = _skip(text, place + 1)
    for _ in range(int(name)):
        if text[place : place + 1] == "]":
            raise LookupError(f"{pointer}: the array ends before {name}")
        place = _skip(text, _end(text, place))
        if text[place : place + 1] != ",":
            raise LookupError(f"{pointer}: the array ends before {name}")
        place = _skip(text, place + 1)
    if text[place : place + 1] == "]":
        raise LookupError(f"{pointer}: the array ends before {name}")
    return place


def _member(text: str, place: int, name: str, pointer: str) -> int:
    found = None
    place = _skip(text, place + 1)
    while text[place : place + 1] == '"':
        begun = place
        _, place = scanstring(text, begun + 1, True)
        key = json.loads(text[begun:place].encode("latin-1"))
        place = _skip(text, place)
        if text[place : place + 1] != ":":
            raise ValueError(f"no colon at byte {place}")
        place = _skip(text, place + 1)
        if key == name:
            found = place
        place = _skip(text, _end(text, place))
        if text[place : place + 1] != ",":
            break
        place = _skip(text, place + 1)
    if found is None:
        raise LookupError(f"{pointer}: there is no member {name!r}")
    return found


def _end(text: str, place: int) -> int:
    try:
        _, end = _DECODER.raw_decode(text, place)
    except RecursionError:
        raise ValueError(f"the value at byte {place} is nested too deep") from None
    return end


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    assert found is not None
    return found.end()


def value_at(document: Any, pointer: str) -> Any:
    """The value that a pointer names in a parsed document.

    Raises:
        LookupError: there is none.
    """
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            if not re.fullmatch(r"0|[1-9][0-9]*", name):
                raise LookupError(f"{name!r} in {pointer} is no place in an array")
            document = document[int(name)]
        elif isinstance(document, dict):
            document = document[name]
        else:
            raise LookupError(f"{pointer} leads into a value that holds no others")
    return document
