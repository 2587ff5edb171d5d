"""Publish one batch and prove it: apply it, compare its state, and say in numbers what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import CheckFailed, RecordingError
from pipeline.recording.store import Recording
from pipeline.replay.determinism import compare_with_rebuild, compare_with_snapshot
from pipeline.runs.context import RunContext
from pipeline.runs.load import failure_text
from pipeline.transform.anew import Comparison
from pipeline.transform.apply import Applied, Session, apply_batches
from pipeline.warehouse.connect import Role
from pipeline.warehouse.digest import stored_tables

# Of a picture: so many lines, and of each so many points.
LINES, POINTS = 6, 40


@dataclass(frozen=True, slots=True)
class TableNumbers:
    """What a batch did to one table.

    Attributes:
        rows: of gold: in the table now; of silver: of its answers, or of the events that they touch.
        added, changed, removed: rows; of silver nothing of an answer is ever changed.
    """

    rows: int
    added: int = 0
    changed: int = 0
    removed: int = 0

    @property
    def changes(self) -> int:
        """All of them."""
        return self.added + self.changed + self.removed


@dataclass(frozen=True, slots=True)
class BookPrices:
    """How one book's price of an outcome moved.

    Attributes:
        bookmaker_key: the book.
        points: (epoch seconds from which it held, decimal price), in order of time; the last still holds at :attr:`until`.
        until: epoch seconds.
    """

    bookmaker_key: str
    points: tuple[tuple[float, float], ...]
    until: float


@dataclass(frozen=True, slots=True)
class Movement:
    """The outcome whose prices a batch moved most.

    Attributes:
        title: event, market and outcome.
        lines: one per book.
    """

    title: str
    lines: tuple[BookPrices, ...]


@dataclass(frozen=True, slots=True)
class QuoteNumbers:
    """The quotes of a batch.

    Attributes:
        price_age_seconds: median time from when a price was read to when it was received; None without quotes.
        hold: mean overround of the complete sets of two or three, less 1; None without any.
    """

    price_age_seconds: float | None = None
    hold: float | None = None


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of one batch.

    Attributes:
        applied: its checks, and whether it is published or withheld.
        comparisons: per gold table; empty where it is withheld for another reason than that they differ.
        tables: per table of silver and gold, with schema; empty where it is withheld.
        quotes: its quotes in numbers.
        movement: the prices that it moved most, if it moved any.
        latency_seconds: from its load to its publication.
        seconds: that it took.
    """

    applied: Applied
    comparisons: tuple[Comparison, ...] = ()
    tables: Mapping[str, TableNumbers] = field(default_factory=dict)
    quotes: QuoteNumbers = field(default_factory=QuoteNumbers)
    movement: Movement | None = None
    latency_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def published(self) -> bool:
        """Whether readers see it."""
        return self.applied.published

    def failure(self) -> str | None:
        """What speaks against it, in a line; None where nothing does."""
        differing = next((each for each in self.comparisons if not each.ok), None)
        if differing is not None:
            return f"{differing.table} differs ({differing.method}): {differing.message}"
        return failure_text(self.applied)


def publish(context: RunContext, batch_id: str, recording: Recording | None) -> Publication:
    """Apply one loaded batch, and prove the state after it.

    A state of the batch's recording that has a snapshot is compared with it, before it is committed but without a say in it;
    any other batch's events are computed anew from bronze afterwards, unless the context had them proven before.

    Args:
        context: what it works with; the warehouse is prepared.
        batch_id: a loaded batch.
        recording: that holds the batch, if there is one.

    Raises:
        RecordingError: ``BATCH_NOT_LOADED``: bronze does not have it.
    """
    warehouse, engine, clock = context.warehouse, context.engine, context.clock
    started = clock.now()
    seen: dict[str, Any] = {}

    def look(session: Session) -> None:
        seen["tables"] = _tables(session, engine.scopes())
        seen["quotes"] = _quotes(session)
        seen["movement"] = _movement(session)
        seen["comparisons"] = None if recording is None else compare_with_snapshot(session, recording)

    with warehouse.connect(Role.INGESTER) as connection:
        found = connection.execute(
            "select min(verdicts.decided_at), count(batches.batch_id) from bronze.batches as batches"
            " left join ops.ledger as ledger on ledger.batch_id = batches.batch_id"
            " left join ops.verdicts as verdicts on verdicts.exchange_id = ledger.exchange_id and verdicts.verdict_no = 1"
            " where batches.batch_id = %s",
            [batch_id],
        ).fetchone()
    assert found is not None
    loaded_at, known = found
    if not known:
        raise RecordingError("BATCH_NOT_LOADED", f"Bronze has no batch {batch_id}.", "Load its recording first.")
    applied = apply_batches(warehouse, engine, (batch_id,), clock, before_commit=look, prove=context.prove)
    if not applied.published:
        return Publication(applied, applied.comparisons, seconds=(clock.now() - started).total_seconds())
    latency = 0.0 if loaded_at is None else (clock.now() - loaded_at).total_seconds()
    comparisons = seen.pop("comparisons")
    if comparisons is None:
        comparisons = applied.comparisons or compare_with_rebuild(warehouse, engine, batch_id)
    seconds = (clock.now() - started).total_seconds()
    return Publication(applied, comparisons, **seen, latency_seconds=latency, seconds=seconds)


def refuse(publications: Mapping[str, Publication], broken: Mapping[str, str]) -> None:
    """Say at the end of a run what of it did not come out right.

    Raises:
        CheckFailed: ``BATCHES_NOT_PROVEN``.
    """
    told = {batch_id: failure for batch_id, each in publications.items() if (failure := each.failure()) is not None}
    lines = {**broken, **told}
    if lines:
        raise CheckFailed(
            "BATCHES_NOT_PROVEN",
            f"{len(lines)} of {len(publications) + len(broken)} batches: "
            + "; ".join(f"{batch_id} {line}" for batch_id, line in sorted(lines.items())[:5]),
            "The others are published. Mend what is named, and run these partitions again.",
        )


def _tables(session: Session, stored: Mapping[str, str]) -> dict[str, TableNumbers]:
    # what a run may change of a table of silver are the rows of its answers, or of the events that they touch
    brought = " union all ".join(
        f"select '{name}', count(*) from {name} as t where {scope}"
        for name, scope in sorted(stored.items())
        if name.startswith("silver.")
    )
    rows = dict(_query(session, "select table_name, row_count from ops.table_digests"))
    moved = {
        name: counts
        for name, *counts in _query(
            session,
            "select table_name, count(*) filter (where old_row is null),"
            " count(*) filter (where old_row is not null and new_row is not null), count(*) filter (where new_row is null)"
            " from ops.row_changes group by table_name",
        )
    }
    silver = {name: TableNumbers(int(count), added=int(count)) for name, count in _query(session, brought)}
    gold = {
        table.name: TableNumbers(int(rows.get(table.name, 0)), *map(int, moved.get(table.name, (0, 0, 0))))
        for table in stored_tables()
    }
    return {**silver, **gold}


def _quotes(session: Session) -> QuoteNumbers:
    ((age, hold),) = _query(
        session,
        "select percentile_disc(0.5) within group (order by extract(epoch from quotes.captured_at - quotes.quote_at)),"
        " avg(quotes.overround - 1) filter ("
        "     where quotes.is_complete and quotes.problem is null and quotes.outcome_set in ('two_way', 'three_way')"
        "         and quotes.price_side = 'back')"
        " from ops.pending as pending join silver.quotes as quotes"
        " on quotes.exchange_id = pending.exchange_id and quotes.captured_at = pending.captured_at",
    )
    return QuoteNumbers(None if age is None else float(age), None if hold is None else round(float(hold), 6))


def _movement(session: Session) -> Movement | None:
    """The main line of the game whose prices moved most often in the transformation at hand."""
    found = _query(
        session,
        "select changes.new_row ->> 'event_id', changes.new_row ->> 'market_key', changes.new_row ->> 'outcome_name'"
        " from ops.row_changes as changes"
        " where changes.table_name = 'gold.price_history' and changes.new_row ->> 'valid_to' is null"
        "     and changes.new_row ->> 'market_key' = 'h2h' and changes.new_row ->> 'price_decimal' is not null"
        " group by 1, 2, 3 order by count(*) desc, 1, 2, 3 limit 1",
    )
    if not found:
        return None
    event_id, market, outcome = found[0]
    rows = _query(
        session,
        "select history.bookmaker_key, extract(epoch from history.valid_from), history.price_decimal,"
        " extract(epoch from greatest(history.valid_from, history.last_seen_at, history.valid_to)),"
        " coalesce(events.home_team || ' – ' || events.away_team, history.event_id)"
        " from gold.price_history as history left join gold.events as events on events.event_id = history.event_id"
        " where history.event_id = %s and history.market_key = %s and history.outcome_name = %s"
        "     and history.line_rank = 1 and history.price_decimal is not null"
        " order by history.bookmaker_key, history.valid_from",
        [event_id, market, outcome],
    )
    points: dict[str, list[tuple[float, float]]] = {}
    for book, valid_from, price, _, _ in rows:
        points.setdefault(book, []).append((float(valid_from), float(price)))
    until = max(float(row[3]) for row in rows)
    liveliest = sorted(points, key=lambda book: (-len(points[book]), book))[:LINES]
    lines = tuple(BookPrices(book, tuple(points[book][-POINTS:]), until) for book in sorted(liveliest))
    return Movement(f"{rows[0][4]}, {market}: {outcome}", lines)


def _query(session: Session, statement: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    with session.cursor() as cursor:
        cursor.execute(statement, values)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
