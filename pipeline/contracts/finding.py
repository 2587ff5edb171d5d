"""What the contract finds wrong with an answer, in texts that can be stored and shown anywhere."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from pipeline.contracts.rules import RULES

MAX_FINDINGS: Final = 20
MAX_TEXT: Final = 200

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_PLACE: Final = {rule: place for place, rule in enumerate(RULES)}
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = MAX_TEXT
_REPR.maxlist = _REPR.maxdict = 4
_REPR.maxlevel = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an answer.

    Attributes:
        rule: id of one of ``rules.RULES``.
        pointer: JSON pointer of the place in the body; empty for the whole.
        value: the offending value, as Python would print it, at most 200 characters, all of them printable.
        message: what is wrong; printable too.
        about: what it flags, where it flags less than the answer: ``event_id``, ``bookmaker_key``, ``market_key``.
        more: on a rule's last finding: how many more of the rule the answer has. What breaks the schema is not counted.
    """

    rule: str
    pointer: str
    value: str
    message: str
    about: tuple[tuple[str, str], ...] = ()
    more: int = 0

    def to_json(self) -> dict[str, str | int]:
        """The JSON object of the verdict's row; ``about`` and ``more`` only where there is something to say."""
        texts = {"rule": self.rule, "pointer": self.pointer, "value": self.value, "message": self.message}
        return {**texts, **dict(self.about), **({"more": self.more} if self.more else {})}


def finding(rule: str, pointer: str, value: Any, message: str, about: Mapping[str, str] = _NOTHING) -> Finding:
    """A finding of any value, its texts made short and printable."""
    shown = printable(value, MAX_TEXT) if isinstance(value, str) else _REPR.repr(value)
    return Finding(rule, printable(pointer, MAX_TEXT), shown[:MAX_TEXT], printable(message, 2 * MAX_TEXT), tuple(about.items()))


def printable(text: str, most: int) -> str:
    """At most so many characters, without quotes around, unprintable ones escaped as Python does."""
    text = text[:most]
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)[:most]


class Findings:
    """Gathers the findings of one answer: the first 20 of every rule, and the number of the rest."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Finding]] = {}
        self._more: Counter[str] = Counter()

    def __len__(self) -> int:
        return sum(map(len, self._kept.values()))

    def add(self, rule: str, pointer: str, value: Any, message: str, about: Mapping[str, str] = _NOTHING) -> None:
        """Note one."""
        self.keep(finding(rule, pointer, value, message, about))

    def keep(self, found: Finding) -> None:
        """Note one that is made."""
        kept = self._kept.setdefault(found.rule, [])
        if len(kept) < MAX_FINDINGS:
            kept.append(found)
        else:
            self._more[found.rule] += 1

    def include(self, other: Findings, moved: Callable[[str], str]) -> None:
        """Note what was noted elsewhere, at other pointers."""
        for rule, kept in other._kept.items():
            for found in kept:
                self.keep(replace(found, pointer=moved(found.pointer)))
            self._more[rule] += other._more[rule]

    def all(self) -> tuple[Finding, ...]:
        """What was noted, in the order of the rules."""
        found: list[Finding] = []
        for rule in sorted(self._kept, key=_PLACE.__getitem__):
            found += self._kept[rule]
            found[-1] = replace(found[-1], more=self._more[rule])
        return tuple(found)
