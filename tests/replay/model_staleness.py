"""When books' sets were not fresh, as the independent model keeps it."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Time = dt.datetime
Row = Mapping[str, Any]


@dataclass(frozen=True)
class StaleSets:
    """The stretches in which some quote of a set was too old for its answer, an end of None being open."""

    stretches: dict[tuple[Any, ...], list[tuple[Time, Time | None]]] = field(default_factory=lambda: defaultdict(list))
    of_market: dict[tuple[Any, ...], list[tuple[Any, ...]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, row: Row, set_no: int) -> None:
        key = (*(row[c] for c in ("event_id", "bookmaker_key", "market_key", "description", "line_point")), set_no)
        self.stretches[key].append((row["valid_from"], row["valid_to"]))
        self.of_market[(row["event_id"], row["market_key"], row["description"])].append(key)

    def holds(self, row: Row, at: Time) -> bool:
        """Whether the set of a row of margins was not fresh at a time."""
        key = tuple(row[c] for c in ("event_id", "bookmaker_key", "market_key", "description", "line_point", "set_no"))
        return any(since <= at and (until is None or at < until) for since, until in self.stretches.get(key, ()))

    def times(self, event_id: str, market: str, description: str | None) -> Iterator[Time]:
        """When any set of a market became stale or fresh."""
        for key in self.of_market.get((event_id, market, description), ()):
            for stretch in self.stretches[key]:
                yield from (at for at in stretch if at is not None)
