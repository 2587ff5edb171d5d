"""Load a recording into a standing warehouse, batch by batch, each published whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline.bronze.load import load_batch
from pipeline.clock import Clock
from pipeline.recording.store import Recording
from pipeline.replay.progress import BatchLine
from pipeline.transform.apply import Applied, Session, Transformer, apply_batches, count_changes, prepare
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.digest import stored_digests


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
        return [
            f"{self.batches} batches: {self.published} published, {self.standing} were there, {self.withheld} withheld;"
            f" {self.quarantined} answers quarantined, {self.held} elements held back, {self.failed_checks} checks failed",
            *(f"{name} {digest}" for name, digest in self.digests.items()),
        ]


def load_recording(
    recording: Path | Recording,
    warehouse: Warehouse,
    engine: Engine,
    clock: Clock,
    report: Callable[[BatchLine], None],
    *,
    mix_sources: bool = False,
) -> LoadSummary:
    """Load every batch of a recording that is not published yet.

    A load that was cut short goes on where it stopped: what was published stays, what was only sealed is published now,
    and a batch that was withheld is tried again.

    Args:
        recording: it, or its folder.
        warehouse: bootstrapped.
        engine: what runs the project's SQL.
        clock: dates verdicts and states.
        report: told of each batch.
        mix_sources: take it even where the warehouse holds another source.

    Raises:
        ConflictError: ``BATCH_CONFLICT``: a batch id is known with other bytes; ``SOURCES_MIXED``.
        RecordingError: the recording is broken; where an index is, nothing was written.
        WarehouseError: ``MODELS_CHANGED``.
    """
    source = recording if isinstance(recording, Recording) else Recording.open(recording)
    summary = load_batches(source, source.batch_ids, warehouse, engine, clock, report, mix_sources=mix_sources)
    with warehouse.connect(Role.TRANSFORMER) as connection:
        return replace(summary, digests=stored_digests(connection))


def load_batches(
    source: Recording,
    batch_ids: Sequence[str],
    warehouse: Warehouse,
    engine: Engine,
    clock: Clock,
    report: Callable[[BatchLine], None],
    *,
    mix_sources: bool = False,
) -> LoadSummary:
    """Load some batches of a recording, as :func:`load_recording` does; no digest is computed.

    Args:
        source: the recording.
        batch_ids: of it, in the order in which they are loaded.
        warehouse: bootstrapped.
        engine: what runs the project's SQL.
        clock: dates verdicts and states.
        report: told of each batch.
        mix_sources: take them even where the warehouse holds another source.

    Raises:
        SportsMarketError: as :func:`load_recording` does.
    """
    source.check(batch_ids)
    published = standing = withheld = quarantined = held = failed_checks = 0
    with Transformer(warehouse) as transformer, warehouse.connect(Role.INGESTER) as ingester:
        prepare(transformer, engine)
        for done, batch in enumerate(map(source.read, batch_ids), start=1):
            started = clock.now()
            loaded = load_batch(ingester, batch, clock, mix_sources=mix_sources)
            quarantined += loaded.quarantined
            held += loaded.held
            changes, detail = 0, None
            if _state(ingester, batch.batch_id) == "published" and not _unsettled(ingester, batch.batch_id):
                standing += 1
                state = "standing"
            else:
                applied, changes = apply_and_count(transformer, engine, (batch.batch_id,), clock)
                failed_checks += len(applied.failed)
                state = "published" if applied.published else "withheld"
                published += applied.published
                withheld += not applied.published
                detail = failure_text(applied)
            seconds = (clock.now() - started).total_seconds()
            report(
                BatchLine(
                    done,
                    len(batch_ids),
                    batch.batch_id,
                    state,
                    loaded.outcomes,
                    changes,
                    loaded.quarantined,
                    seconds,
                    detail,
                    loaded.held,
                )
            )
    return LoadSummary(len(batch_ids), published, standing, withheld, quarantined, failed_checks, held)


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
) -> tuple[Applied, int]:
    """Apply batches and tell how many rows of gold they changed."""
    changes: list[int] = []

    def count(session: Session) -> None:
        changes.append(count_changes(session))
        before_commit(session)

    applied = apply_batches(at, engine, batch_ids, clock, before_commit=count)
    return applied, sum(changes)


def failure_text(applied: Applied) -> str | None:
    """The first failed check in a line, and how many there are."""
    if applied.published:
        return None
    first = applied.failed[0]
    more = f" (and {len(applied.failed) - 1} more)" if len(applied.failed) > 1 else ""
    return f"{first.name}: {first.message or f'{first.failures} rows'}{more}"


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
