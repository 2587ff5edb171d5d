"""A JSON parser that takes only what every other parser, PostgreSQL's too, reads in the same way.

Python's own parser accepts NaN, repeated keys, lone surrogates, NUL and numbers of any length. Each is refused here, and
deep nesting before any parser sees it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, NoReturn

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 100
# An honest answer of MAX_BYTES stays far below; `[[],[],…` of that size would take gigabytes once parsed.
MAX_VALUES = 1_000_000
MAX_DIGITS = 30
MAX_EXPONENT = 30

_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_STRING = re.compile(rb'"[^"]*"')
_NOT_STRUCTURE = bytes(set(range(256)) - set(b'[]{}"'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
# What may become a NUL or half of a surrogate pair; a hit is looked at closely.
_SUSPECT_ESCAPE = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class NotStrict(ValueError):
    """The bytes are no JSON that is read alike everywhere.

    Attributes:
        rule: stable id, e.g. ``json.duplicate_key``.
        pointer: JSON pointer of the place, where it is known.
        value: the offending piece of text, of any length.
        message: what is wrong.
    """

    def __init__(self, rule: str, message: str, *, value: str = "", pointer: str = "") -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule
        self.pointer = pointer
        self.value = value
        self.message = message


def parse(body: bytes) -> tuple[Any, str]:
    """The document and its text.

    Args:
        body: the bytes of an answer.

    Returns:
        The parsed value (dicts, lists, str, int, float, bool, None) and the decoded text.

    Raises:
        NotStrict: and nothing else, whatever the bytes.
    """
    if len(body) > MAX_BYTES:
        raise NotStrict("body.size", f"the body has {len(body)} bytes, more than {MAX_BYTES}")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        piece = ascii(body[error.start : error.start + 20])
        raise NotStrict("body.utf8", f"byte {error.start} is no UTF-8 ({error.reason})", value=piece) from None
    _refuse_depth(body)
    try:
        document = _DECODER.decode(text)
    except NotStrict:
        raise
    except json.JSONDecodeError as error:
        piece = text[error.pos : error.pos + 80]
        raise NotStrict("json.syntax", f"{error.msg} at character {error.pos}", value=piece) from None
    except RecursionError:
        raise NotStrict("json.depth", f"nested deeper than {MAX_DEPTH}") from None
    if _SUSPECT_ESCAPE.search(text):
        for pointer, string in _strings(document, ""):
            found = _UNSTORABLE.search(string)
            if found is not None:
                if found.group() == "\x00":
                    raise NotStrict("json.nul", "a string holds a NUL", value=string, pointer=pointer)
                raise NotStrict("json.surrogate", "a string holds half of a surrogate pair", value=string, pointer=pointer)
    return document, text


def _refuse_depth(body: bytes) -> None:
    """Bound the nesting without recursion: what is left of the text is its brackets, and each pass takes off one level."""
    # Translating is a plain copy, so strings go first only where escapes could hide their ends.
    plain = _ESCAPE.sub(b"", body) if b"\\" in body else body
    marks = plain.translate(None, _NOT_STRUCTURE).replace(b'""', b"")
    if b'"' in marks:
        marks = _STRING.sub(b"", marks)
    if len(marks) > 2 * MAX_VALUES or body.count(b",") > MAX_VALUES:
        if marks[: MAX_DEPTH + 1].translate(_ONE_KIND) == b"[" * (MAX_DEPTH + 1):
            raise NotStrict("json.depth", f"nested deeper than {MAX_DEPTH}")
        raise NotStrict("body.size", f"more than {MAX_VALUES} values")
    marks = marks.translate(_ONE_KIND)
    for _ in range(MAX_DEPTH):
        fewer = marks.replace(b"[]", b"")
        if len(fewer) == len(marks):
            break
        marks = fewer
    # Left are levels beyond the last pass, or brackets without a partner; few of those are the parser's to report.
    if b"[]" in marks or marks.count(b"[") > MAX_DEPTH:
        raise NotStrict("json.depth", f"nested deeper than {MAX_DEPTH}")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise NotStrict("json.duplicate_key", "a key stands twice in one object", value=key)
            seen.add(key)
    return found


def _integer(token: str) -> int:
    if len(token.lstrip("-")) > MAX_DIGITS:
        raise NotStrict("json.number", f"a number has more than {MAX_DIGITS} digits", value=token)
    return int(token)


def _float(token: str) -> float:
    mantissa, _, exponent = token.lower().partition("e")
    if len(mantissa.lstrip("-").replace(".", "")) > MAX_DIGITS:
        raise NotStrict("json.number", f"a number has more than {MAX_DIGITS} digits", value=token)
    if exponent and (len(exponent) > 10 or abs(int(exponent)) > MAX_EXPONENT):
        raise NotStrict("json.number", f"a number has an exponent beyond {MAX_EXPONENT}", value=token)
    return float(token)


def _constant(token: str) -> NoReturn:
    raise NotStrict("json.constant", f"{token} is no JSON", value=token)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _strings(value: Any, pointer: str) -> Iterator[tuple[str, str]]:
    """Every string with its pointer, keys included; the depth is bounded by now."""
    if isinstance(value, str):
        yield pointer, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield pointer, key
            yield from _strings(item, f"{pointer}/{escape(key)}")


def escape(key: str | int) -> str:
    """One step of a JSON pointer."""
    return str(key).replace("~", "~0").replace("/", "~1")
