"""A warehouse holds what one source gave: The Odds API, or a simulated market. Its first load settles which."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from psycopg.types.json import Jsonb

from pipeline.errors import ConflictError
from pipeline.odds_api.endpoints import BASE_URL
from pipeline.odds_api.redaction import SIMULATED_HEADER
from pipeline.recording.model import Batch
from pipeline.warehouse.connect import Connection, Role, Warehouse

REAL: Final = "the_odds_api"
SIMULATED: Final = "simulated"


def sources_of(connection: Connection, batch: Batch) -> tuple[str, ...]:
    """Whose the answers of a batch are: ``the_odds_api``, ``simulated``, both, or nobody's where no call was answered."""
    # a batch or a header that says it needs no answer for it; a failure without one may come from whatever stands in between
    said = {
        exchange.headers
        for exchange in batch.exchanges
        if exchange.failure is None or SIMULATED_HEADER in dict(exchange.headers) or batch.source == SIMULATED
    }
    rows = connection.execute(
        "select distinct ops.source_of(%s, headers) from unnest(%s::jsonb[]) as headers order by 1",
        [batch.source, [Jsonb(dict(headers)) for headers in sorted(said)]],
    ).fetchall()
    return tuple(source for (source,) in rows)


def refuse_mixed(connection: Connection, given: Collection[str], what: str) -> bool:
    """Refuse what would make a warehouse hold a second source. One that holds both already takes either.

    Args:
        connection: a session of the ingester or the owner.
        given: the sources of what is to be loaded.
        what: what that is, as a sentence begins.

    Returns:
        Whether it would be the first of its source.

    Raises:
        ConflictError: ``SOURCES_MIXED``.
    """
    if all(_holds(connection, source) for source in given):
        return False
    present = [source for source in (REAL, SIMULATED) if _holds(connection, source)]
    if present or len(given) > 1:
        there = f"this warehouse holds {' and '.join(present)}" if present else "a warehouse holds one source"
        raise ConflictError(
            "SOURCES_MIXED",
            f"{what} is of {' and '.join(sorted(given))}, and {there}.",
            "Load it into another database; or, where both are meant to stand side by side, use --mix-sources: gold.events says"
            " which is which.",
        )
    return True


def refuse_calls(warehouse: Warehouse, base_url: str) -> None:
    """Refuse to ask the real API for a warehouse that could not take the answers, before a credit is spent.

    Args:
        warehouse: bootstrapped.
        base_url: where the calls would go; whose the answers of any other host are is told by these.

    Raises:
        ConflictError: ``SOURCES_MIXED``.
    """
    if urlsplit(base_url).hostname == urlsplit(BASE_URL).hostname:
        with warehouse.connect(Role.INGESTER) as connection:
            refuse_mixed(connection, (REAL,), f"What {base_url} answers")


def wait_for_others(connection: Connection) -> None:
    """Let no other load come in between for the rest of the transaction: of two first loads the second sees the first."""
    connection.execute("lock table ops.ledger in share row exclusive mode")


def _holds(connection: Connection, source: str) -> bool:
    return connection.execute("select ops.holds_source(%s)", [source]).fetchone() == (True,)
