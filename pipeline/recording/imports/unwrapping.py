"""The answer in a file: the file itself, or what is left when an encoding or a wrapper around it is taken off."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final

from pipeline.printable import printable
from pipeline.recording.imports.look import MAX_MARKS, NOTHING, Look, look_at, parsed
from pipeline.recording.source_files import SourceFile

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_ENCODINGS: Final = {"utf-8-sig": "UTF-8 with a byte order mark"}


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """What is stored of a file, and how it was got.

    Attributes:
        body: the bytes to store; the file's own where it is the answer in UTF-8.
        look: what they show.
        whole: the parsed document of the file, wrapper included; ``NOTHING`` where it is none.
        taken_from: what was taken off, in words; empty where the file is the answer.
        problem: why it cannot be taken, or None.
    """

    body: bytes
    look: Look
    whole: Any
    taken_from: tuple[str, ...] = ()
    problem: str | None = None


class Missing(LookupError):
    """Nothing stands where a pointer leads; the text says where it ends."""


def answer_of(file: SourceFile, body: bytes, pointer: str | None = None) -> Unwrapped:
    """The answer that a file holds.

    Args:
        file: where it stands.
        body: its bytes, decompressed.
        pointer: JSON pointer of the answer inside; a file without such a place that has the shape of an answer is one.
    """
    steps = ["a compressed file"] if file.was_compressed else []
    if file.line is not None:
        steps.append("a file of lines")
    encoding = json.detect_encoding(body)
    whole = parsed(body) if encoding == "utf-8" else NOTHING
    if encoding != "utf-8":
        try:
            text = body.decode(encoding)
            plain = text.encode("utf-8")
        except UnicodeError:
            text, plain = "", b""
        whole = parsed(plain) if plain[:1] not in (b"", b"\xef") else NOTHING
        if isinstance(whole, list | dict):
            body = plain
            steps.append(_ENCODINGS.get(encoding, encoding.partition("-le")[0].partition("-be")[0].upper()))
        else:
            whole = NOTHING
    if file.line is not None and not isinstance(whole, list | dict):
        return Unwrapped(body, Look(), whole, tuple(steps), "is a line that is no JSON list or object")
    look = look_at(whole)
    if pointer:
        if body.count(b",") + body.count(b"[") + body.count(b"{") > MAX_MARKS:
            return Unwrapped(body, Look(), whole, tuple(steps), "is too large to look for an answer in it")
        try:
            inner = slice_at(body.decode("utf-8"), pointer).encode("utf-8")
        except (Missing, ValueError, RecursionError) as error:
            if look.shapes or look.error is not None:
                return Unwrapped(body, look, whole, tuple(steps))
            why = printable(str(error), most=80) if isinstance(error, Missing) else "it is no JSON"
            return Unwrapped(body, look, whole, tuple(steps), f"has no answer at {printable(pointer)}: {why}")
        steps.append(f"a wrapper, at {printable(pointer)}")
        return Unwrapped(inner, look_at(parsed(inner)), whole, tuple(steps))
    return Unwrapped(body, look, whole, tuple(steps))


def steps_of(pointer: str) -> list[str]:
    """The steps of a JSON pointer (RFC 6901).

    Raises:
        ValueError: it is none.
    """
    if pointer and (not pointer.startswith("/") or re.search(r"~(?![01])", pointer)):
        raise ValueError("a pointer begins with a slash, such as /data or /response/body")
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def value_at(document: Any, pointer: str) -> Any:
    """The value at a pointer.

    Raises:
        Missing: nothing stands there.
    """
    for step in steps_of(pointer):
        if isinstance(document, dict) and step in document:
            document = document[step]
        elif isinstance(document, list) and step.isdecimal() and int(step) < len(document):
            document = document[int(step)]
        else:
            raise Missing(f"nothing is called {step!r} there")
    return document


def slice_at(text: str, pointer: str) -> str:
    """The exact text of the value at a pointer: not a character is written anew.

    Raises:
        Missing: nothing stands there, or two things do.
        ValueError: the text is no JSON.
    """
    decoder = json.JSONDecoder()
    at = _after_space(text, 0)
    for step in steps_of(pointer):
        found: list[int] = []
        opening = text[at : at + 1]
        if opening not in ("{", "["):
            raise Missing(f"nothing is called {step!r} there")
        closing = "}" if opening == "{" else "]"
        at = _after_space(text, at + 1)
        index = 0
        while text[at : at + 1] != closing:
            key = str(index)
            if opening == "{":
                if text[at : at + 1] != '"':
                    raise ValueError("a key is missing")
                key, at = scanstring(text, at + 1, True)
                at = _after_space(text, at)
                if text[at : at + 1] != ":":
                    raise ValueError("a colon is missing")
                at = _after_space(text, at + 1)
            if key == step:
                found.append(at)
            _, at = decoder.raw_decode(text, at)
            at = _after_space(text, at)
            index += 1
            if text[at : at + 1] == ",":
                at = _after_space(text, at + 1)
            elif text[at : at + 1] != closing:
                raise ValueError("a comma is missing")
        if len(found) != 1:
            raise Missing(f"{'two things are' if found else 'nothing is'} called {step!r} there")
        at = found[0]
    _, end = decoder.raw_decode(text, at)
    return text[at:end]


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
