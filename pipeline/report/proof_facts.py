"""What was taken in and proven, how the batches are, and what they cost."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.report.asking import ask
from pipeline.warehouse.connect import Connection
from pipeline.warehouse.digest import stored_digests

# Of a warehouse of years, a report shows the newest batches.
BATCHES: Final = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch, as ops and gold have it.

    Attributes:
        batch_id: begins with its time.
        state: sealed, published or withheld.
        detail: why it is withheld.
        exchanges: requests, each attempt counted.
        failures: that got no answer.
        quarantined, waived, withdrawn: answers with that verdict.
        failed_checks: of the batch.
        events, books, outcomes: that it shows; None where it is not published.
        outcomes_median: of the batches of its plan before it; None for the first.
        quote_age_p50_seconds, quote_age_p95_seconds: of its quotes.
        starts_suspect: starts that it gave and that were not believed.
        results_missing: games whose score the API will soon forget.
    """

    batch_id: str
    state: str
    detail: str | None
    exchanges: int
    failures: int
    quarantined: int
    waived: int
    withdrawn: int
    failed_checks: int
    events: int | None
    books: int | None
    outcomes: int | None
    outcomes_median: int | None
    quote_age_p50_seconds: int | None
    quote_age_p95_seconds: int | None
    starts_suspect: int | None
    results_missing: int | None


@dataclass(frozen=True, slots=True)
class Check:
    """A check, and of how many batches it passed, warned and failed."""

    name: str
    passed: int
    warned: int
    failed: int


@dataclass(frozen=True, slots=True)
class Credits:
    """What a sport's endpoint cost on a day; ``sport_title`` is None where the endpoint has no sport."""

    day: dt.date
    endpoint: str
    sport_title: str | None
    calls: int
    computed: int
    reported: int
    doubtful: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What was taken in, and how it fared.

    Attributes:
        batch_states: how many batches are in each state, of all.
        batches: the newest, in order of time.
        checks: of the published batches, by name.
        digests: stored gold table → sha256.
        credits: newest day first.
    """

    batch_states: tuple[tuple[str, int], ...]
    batches: tuple[Batch, ...]
    checks: tuple[Check, ...]
    digests: tuple[tuple[str, str], ...]
    credits: tuple[Credits, ...]


def batch_states(connection: Connection) -> tuple[tuple[str, int], ...]:
    """How many batches are in each state."""
    return tuple(ask(connection, "select state, count(*) from ops.batch_states group by state order by state"))


def proof_facts(connection: Connection) -> Proof:
    """Of the whole warehouse, whatever the sport."""
    return Proof(
        batch_states=batch_states(connection),
        batches=tuple(Batch(*row) for row in reversed(ask(connection, _BATCHES, limit=BATCHES))),
        checks=tuple(Check(*row) for row in ask(connection, _CHECKS)),
        digests=tuple(stored_digests(connection).items()),
        credits=tuple(Credits(*row) for row in ask(connection, _CREDITS)),
    )


def total(pairs: Sequence[tuple[str, int]]) -> int:
    """The sum of counts."""
    return sum(count for _, count in pairs)


# only what a rerun finds again: no time at which something was loaded or checked
_BATCHES: Final = """
    select
        newest.batch_id, newest.state, newest.detail, newest.exchanges, newest.failures, newest.quarantined, newest.waived,
        newest.withdrawn, newest.failed_checks, health.events, health.books, health.outcomes, health.outcomes_median,
        health.quote_age_p50_seconds, health.quote_age_p95_seconds, health.starts_suspect, health.results_missing
    from (select * from ops.batch_health order by batch_id desc limit %(limit)s) as newest
    left join lateral (select * from gold.batch_health as b where b.batch_id = newest.batch_id) as health on true
    order by newest.batch_id desc
"""

_CHECKS: Final = """
    select
        results.check_name, count(*) filter (where results.status = 'pass'), count(*) filter (where results.status = 'warn'),
        count(*) filter (where results.status not in ('pass', 'warn'))
    from ops.check_results as results
    join ops.batch_states as states on states.batch_id = results.batch_id
    group by results.check_name
    order by results.check_name
"""

_CREDITS: Final = """
    select
        spent.day, spent.endpoint, coalesce(sports.title, spent.sport_key), spent.calls, spent.computed, spent.reported,
        spent.doubtful
    from ops.credits as spent
    left join gold.sports as sports on sports.sport_key = spent.sport_key
    order by spent.day desc, spent.endpoint, spent.sport_key nulls first
"""
