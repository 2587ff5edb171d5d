"""How old the newest published answer is, against what each contract promises.

A contract's latency says how soon a sealed batch is published; how often there is a batch is the plan's affair. So a warehouse
of an old recording is always stale, and staleness is told as a warning until somebody says how old is too old.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.clock import Clock, to_iso
from pipeline.contracts.tables import SECONDS, TableContract
from pipeline.errors import UsageError
from pipeline.warehouse.connect import Role, Warehouse

_AGE: Final = re.compile(rf"(\d{{1,6}})([{''.join(SECONDS)}])")


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old one table is.

    Attributes:
        contract: ``schema.table``.
        newest_at: when the newest published answer was received; None where nothing is published.
        waiting_since: since when the oldest sealed batch waits to be published or withheld; None where none does.
        now: the moment of the question.
        limit: the age that is still fresh; by default the latency that the contract declares.
    """

    contract: str
    newest_at: dt.datetime | None
    waiting_since: dt.datetime | None
    now: dt.datetime
    limit: dt.timedelta

    @property
    def age(self) -> dt.timedelta | None:
        """Of the newest published answer."""
        return None if self.newest_at is None else self.now - self.newest_at

    @property
    def is_fresh(self) -> bool:
        """Whether the newest published answer is young enough, and no sealed batch has waited longer than that."""
        is_late = self.waiting_since is not None and self.now - self.waiting_since > self.limit
        return self.age is not None and self.age <= self.limit and not is_late

    def to_json(self) -> dict[str, Any]:
        """One JSON object; times in seconds."""
        return {
            "contract": self.contract,
            "fresh": self.is_fresh,
            "newest_at": None if self.newest_at is None else to_iso(self.newest_at),
            "age_seconds": None if self.age is None else int(self.age.total_seconds()),
            "limit_seconds": int(self.limit.total_seconds()),
            "waiting_since": None if self.waiting_since is None else to_iso(self.waiting_since),
        }

    def line(self) -> str:
        """What is wrong or right with it, for people; without the table's name."""
        newest = (
            "nothing is published" if self.newest_at is None else f"the newest published answer is of {to_iso(self.newest_at)}"
        )
        waiting = "" if self.waiting_since is None else f", a sealed batch waits since {to_iso(self.waiting_since)}"
        return f"{newest}{waiting}; {'within' if self.is_fresh else 'not within'} {self.limit}"


def freshness(
    warehouse: Warehouse, clock: Clock, contracts: Sequence[TableContract], max_age: dt.timedelta | None = None
) -> tuple[Freshness, ...]:
    """How old each table with a declared latency is.

    Args:
        warehouse: bootstrapped.
        clock: tells the present.
        contracts: those without a latency are left out.
        max_age: the limit in place of the declared latency.
    """
    with warehouse.connect(Role.INGESTER) as connection:
        row = connection.execute(
            """
            select
                (
                    select exchanges.captured_at
                    from bronze.exchanges as exchanges
                    join ops.batch_states as states on states.batch_id = exchanges.batch_id
                    where states.state = 'published' and exchanges.body_sha256 is not null
                    order by exchanges.captured_at desc
                    limit 1
                ) as newest_at,
                (select min(states.changed_at) from ops.batch_states as states where states.state = 'sealed') as waiting_since
            """
        ).fetchone()
    newest_at, waiting_since = row or (None, None)
    now = clock.now()
    return tuple(
        Freshness(contract.name, newest_at, waiting_since, now, max_age or contract.latency)
        for contract in contracts
        if contract.latency is not None
    )


def parse_age(text: str) -> dt.timedelta:
    """An age such as ``90m``, ``25h`` or ``2d``.

    Raises:
        UsageError: ``AGE``.
    """
    found = _AGE.fullmatch(text)
    if found is None:
        raise UsageError("AGE", f"{text!r} is no age.", f"Give a number and one of {', '.join(SECONDS)}, such as 90m or 25h.")
    return dt.timedelta(seconds=int(found[1]) * SECONDS[found[2]])
