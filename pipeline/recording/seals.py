"""Seals: a document's hash over its own text, in which the place of the hash itself is filled with zeros.

A seal finds damage to any byte of its file. It does not find forgery: whoever can write a file can seal it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

_BLANK: Final = b"0" * 64
# Two spaces of indentation: a member of the document itself, which no text can look like, as a new line in one is escaped.
_SEAL: Final = re.compile(rb'\n  "seal": "([0-9a-f]{64})"')


def pretty(document: Mapping[str, Any]) -> bytes:
    """The canonical text of a document: sorted, indented by two, ASCII."""
    return (json.dumps(document, sort_keys=True, indent=2, allow_nan=False) + "\n").encode()


def sealed(document: Mapping[str, Any]) -> tuple[bytes, str]:
    """The canonical text of a document with its seal, and that seal."""
    text = pretty({**document, "seal": _BLANK.decode()})
    seal = hashlib.sha256(text).hexdigest()
    return _with(text, seal.encode()), seal


def seal_of(data: bytes) -> str | None:
    """The seal of a file's bytes; None where they do not bear one that is theirs."""
    found = _SEAL.findall(data)
    if len(found) != 1 or hashlib.sha256(_with(data, _BLANK)).hexdigest() != found[0].decode():
        return None
    return str(found[0].decode())


def _with(text: bytes, digits: bytes) -> bytes:
    return _SEAL.sub(b'\n  "seal": "' + digits + b'"', text, count=1)
