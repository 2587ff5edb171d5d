"""What each call of our own cost: by the API's rules, by its own word, and at most where the answer was lost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final

from pipeline.clock import UTC
from pipeline.odds_api.credits import Report, computed
from pipeline.odds_api.endpoints import cost
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.warehouse.connect import Connection

# Sources of batches whose calls were made by this project, and paid for.
OWN: Final = frozenset({"live", "backfill"})


@dataclass(frozen=True, slots=True)
class Charge:
    """What one call cost.

    Attributes:
        day: UTC, of the API's clock where it tells: a historical answer is dated by its envelope.
        computed: credits by the rules; None where that cannot be told from what came.
        reported: credits by the answer's headers; None where they do not say.
        doubtful: credits that a lost answer may have cost.
    """

    day: dt.date
    computed: int | None
    reported: int | None
    doubtful: int

    @classmethod
    def of(cls, exchange: Exchange, document: Any = None) -> Charge:
        """The charge of one exchange.

        Args:
            exchange: the call.
            document: its body parsed, where somebody has done that.
        """
        by_rule, reported = computed(exchange.request, exchange, document), Report.of(exchange.headers).last
        doubtful = cost(exchange.request) if by_rule is None and reported is None else 0
        return cls(_day(exchange), by_rule, reported, doubtful)


def record_charges(connection: Connection, batch: Batch, charges: Iterable[tuple[Exchange, Charge]]) -> None:
    """Note the charges of a batch, in the transaction that loads it."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.charges (exchange_id, day, computed, reported, doubtful) values (%s, %s, %s, %s, %s)",
            [
                (
                    exchange_id(batch.batch_id, exchange.place, exchange.attempt),
                    charge.day,
                    charge.computed,
                    charge.reported,
                    charge.doubtful,
                )
                for exchange, charge in charges
            ],
        )


def _day(exchange: Exchange) -> dt.date:
    try:
        moment = parsedate_to_datetime(dict(exchange.headers).get("date", ""))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC).date()
    except (ValueError, TypeError, OverflowError):
        return exchange.captured_at.date()
