"""Load a recording into a standing warehouse: each batch is published whole or not at all, a backlog in small windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pipeline.bronze.batch_load import LoadedBatch, load_batch
from pipeline.clock import Clock
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording
from pipeline.runs.context import RunContext
from pipeline.runs.progress import BatchLine
from pipeline.transform.apply import Applied, Session, Transformer, apply_batches, count_changes, prepare
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.digest import stored_digests

# So many batches of a backlog are published together: together they cost a fraction of what they cost one by one.
WINDOW: Final = 20


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """What a load did.

    Attributes:
        batches: looked at.
        published: published now.
        standing: published before, left as they were.
        withheld: held back by a failed check.
        quarantined: answers in quarantine among all of them.
        held: elements of their other answers that are held back.
        failed_checks: checks that failed.
        digests: of the stored gold tables, at the end of a whole recording.
    """

    batches: int
    published: int
    standing: int
    withheld: int
    quarantined: int
    failed_checks: int
    held: int = 0
    digests: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0, or 1 where a batch is withheld."""
        return 1 if self.withheld else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "batches": self.batches,
            "published": self.published,
            "standing": self.standing,
            "withheld": self.withheld,
            "quarantined": self.quarantined,
            "held_elements": self.held,
            "failed_checks": self.failed_checks,
            "digests": self.digests,
        }

    def lines(self) -> list[str]:
        """For people."""
        held = f"held back: {self.quarantined:,} answers, {self.held:,} elements of others"
        return [
            f"{self.batches} batches: {self.published} published, {self.standing} were there, {self.withheld} withheld;"
            f" {self.failed_checks} checks failed",
            *([held] if self.quarantined or self.held else []),
        ]

    def every_digest(self) -> dict[str, str]:
        """The digest of each stored table."""
        return self.digests


def load_recording(
    recording: Path | Recording,
    context: RunContext,
    *,
    batches: int | None = None,
    mix_sources: bool = False,
) -> LoadSummary:
    """Load every batch of a recording that is not published yet.

    A load that was cut short goes on where it stopped: what was published stays, what was only sealed is published now,
    and a batch that was withheld is tried again.

    Args:
        recording: it, or its folder.
        context: what it works with.
        batches: only the first so many.
        mix_sources: take it even where the warehouse holds another source.

    Raises:
        ConflictError: ``BATCH_CONFLICT``: a batch id is known with other bytes; ``SOURCES_MIXED``.
        RecordingError: the recording is broken; where an index is, nothing was written.
        WarehouseError: ``MODELS_CHANGED``.
    """
    source = recording if isinstance(recording, Recording) else Recording.open(recording)
    summary = load_batches(source, source.batch_ids[:batches], context, mix_sources=mix_sources)
    with context.warehouse.connect(Role.TRANSFORMER) as connection:
        return replace(summary, digests=stored_digests(connection))


def load_batches(
    source: Recording,
    batch_ids: Sequence[str],
    context: RunContext,
    *,
    mix_sources: bool = False,
) -> LoadSummary:
    """Load some batches of a recording, as :func:`load_recording` does; no digest is computed.

    What waits is published in windows of :data:`WINDOW` batches. A window that fails is halved down to the batch that does, so
    that it alone is withheld.

    Args:
        source: the recording.
        batch_ids: of it, in the order in which they are loaded.
        context: what it works with.
        mix_sources: take them even where the warehouse holds another source.

    Raises:
        SportsMarketError: as :func:`load_recording` does.
    """
    source.check(batch_ids)
    with Transformer(context.warehouse) as transformer, context.warehouse.connect(Role.INGESTER) as ingester:
        prepare(transformer, context.engine)
        run = _Run(context, transformer, ingester, len(batch_ids), mix_sources)
        for batch in map(source.read, batch_ids):
            run.take(batch)
        return run.finish()


@dataclass
class _Run:
    """The state of one load."""

    context: RunContext
    transformer: Transformer
    ingester: Connection
    total: int
    mix_sources: bool
    waiting: list[LoadedBatch] = field(default_factory=list)
    done: int = 0
    states: Counter[str] = field(default_factory=Counter)
    quarantined: int = 0
    held: int = 0
    failed_checks: int = 0

    def __post_init__(self) -> None:
        self.since = self.context.clock.now()

    def take(self, batch: Batch) -> None:
        """Load a batch; publish it with those that wait, where these are enough."""
        loaded = load_batch(self.ingester, batch, self.context.clock, mix_sources=self.mix_sources)
        self.quarantined += loaded.quarantined
        self.held += loaded.held
        if _state(self.ingester, batch.batch_id) == "published" and not _unsettled(self.ingester, batch.batch_id):
            self._tell((loaded,), "standing", 0, None)
            return
        self.waiting.append(loaded)
        if len(self.waiting) == WINDOW:
            self._publish()

    def finish(self) -> LoadSummary:
        """Publish what waits, and sum up."""
        self._publish()
        return LoadSummary(
            self.total,
            self.states["published"],
            self.states["standing"],
            self.states["withheld"],
            self.quarantined,
            self.failed_checks,
            self.held,
        )

    def _publish(self) -> None:
        window, self.waiting = tuple(self.waiting), []
        if window:
            self._apply(window)

    def _apply(self, window: tuple[LoadedBatch, ...]) -> None:
        """Publish some batches together; where that fails, each half by itself: the others are none the worse for it."""
        batch_ids = tuple(each.batch_id for each in window)
        context = self.context
        applied, changes = apply_and_count(self.transformer, context.engine, batch_ids, context.clock, prove=context.prove)
        if not applied.published and len(window) > 1:
            middle = len(window) // 2
            self._apply(window[:middle])
            self._apply(window[middle:])
            return
        self.failed_checks += len(applied.failed)
        self._tell(window, "published" if applied.published else "withheld", changes, failure_text(applied))

    def _tell(self, window: tuple[LoadedBatch, ...], state: str, changes: int, detail: str | None) -> None:
        self.states[state] += len(window)
        now = self.context.clock.now()
        seconds, self.since = (now - self.since).total_seconds() / len(window), now
        for loaded in window:
            self.done += 1
            self.context.report(
                BatchLine(
                    self.done,
                    self.total,
                    loaded.batch_id,
                    state,
                    loaded.outcomes,
                    changes,
                    loaded.quarantined,
                    seconds,
                    detail,
                    loaded.held,
                )
            )


def unfinished(warehouse: Warehouse, batch_ids: Sequence[str]) -> tuple[str, ...]:
    """Those of some batches that the warehouse does not hold, or that nobody has tried to publish; no body is read for it."""
    with warehouse.connect(Role.INGESTER) as connection:
        rows = connection.execute(
            "select wanted.batch_id from unnest(%s::text[]) as wanted (batch_id)"
            " left join ops.batch_states as states on states.batch_id = wanted.batch_id"
            " where states.state is null or states.state = 'sealed' order by wanted.batch_id",
            [list(batch_ids)],
        ).fetchall()
    return tuple(batch_id for (batch_id,) in rows)


def apply_and_count(
    at: Warehouse | Transformer,
    engine: Engine,
    batch_ids: tuple[str, ...],
    clock: Clock,
    before_commit: Callable[[Session], None] = lambda session: None,
    *,
    prove: bool = False,
) -> tuple[Applied, int]:
    """Apply batches, as :func:`pipeline.transform.apply.apply_batches` does, and tell how many rows of gold they changed."""
    changes: list[int] = []

    def count(session: Session) -> None:
        changes.append(count_changes(session))
        before_commit(session)

    applied = apply_batches(at, engine, batch_ids, clock, before_commit=count, prove=prove)
    return applied, sum(changes)


def failure_text(applied: Applied) -> str | None:
    """The first failed check in a line, and how many there are."""
    if applied.published:
        return None
    first = applied.failed[0]
    more = f" (and {len(applied.failed) - 1} more)" if len(applied.failed) > 1 else ""
    return f"{first.line}{more}"


def _state(connection: Connection, batch_id: str) -> str | None:
    row = connection.execute("select state from ops.batch_states where batch_id = %s", [batch_id]).fetchone()
    connection.commit()
    return None if row is None else str(row[0])


def _unsettled(connection: Connection, batch_id: str) -> bool:
    """Whether a verdict came after the batch was published."""
    row = connection.execute(
        "select exists (select 1 from ops.ledger where batch_id = %s and not is_settled)", [batch_id]
    ).fetchone()
    connection.commit()
    return row is not None and bool(row[0])
