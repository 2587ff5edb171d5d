"""Texts of others, as they may be shown on a page: names, titles, keys and messages that came in an answer or a file."""

from __future__ import annotations

import re
from typing import Final

REPLACED: Final = "\N{REPLACEMENT CHARACTER}"
CUT: Final = "…"
# What stands for no value in a key that is written as text.
NULL: Final = "null"
# Of a name or a message, nobody reads more.
LIMIT: Final = 400
# Line breaks, controls and lone surrogates, and what turns the direction of the text around it.
_SPACES: Final = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_UNSHOWN: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str, limit: int = LIMIT) -> str:
    """One line of at most ``limit`` characters, without controls; what is replaced or cut is seen. It is no HTML yet."""
    line = _UNSHOWN.sub(REPLACED, _SPACES.sub(" ", text))
    return line if len(line) <= limit else line[: limit - 1] + CUT
