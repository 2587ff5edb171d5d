"""Replay a recording: collect each batch again, load it, transform it, check it, and compare the state with its snapshot.

Snapshot k is the state after the set of the batches 1…k. Gold depends on that set alone, so a state is compared whenever
the batches applied so far are such a prefix: after every batch in recorded order, at the end in any order.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.bronze.batch_load import LoadedBatch, load_batch
from pipeline.collect.collector import collect_again
from pipeline.errors import RecordingError
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.replay.diff_found import Diff
from pipeline.replay.diff_states import StateDiffs
from pipeline.replay.explain import Difference, explain
from pipeline.replay.options import ReplayOptions
from pipeline.replay.snapshots import Snapshot, SnapshotStore, TableChanges, changes_at_hand, parse, render
from pipeline.replay.verify import VerifyReport, verify
from pipeline.runs.context import RunContext
from pipeline.runs.load import apply_and_count, failure_text
from pipeline.runs.progress import BatchLine
from pipeline.transform.apply import Session, Transformer, prepare
from pipeline.warehouse.connect import Connection, Role
from pipeline.warehouse.digest import stored_digests

__all__ = ["ReplayOptions", "ReplaySummary", "replay"]

# What may be said of a batch at the end; each is explained by ReplaySummary.
STATES: Final = ("proven", "written", "covered", "new", "different", "withheld")


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """What a replay found. Each batch is in one of :data:`STATES`.

    Attributes:
        states: batch id → ``proven`` (the state was compared with its snapshot, and is equal), ``written`` (``--update`` wrote
            its snapshot anew), ``covered`` (only inside a later equal state), ``new`` (no snapshot to compare with),
            ``different`` or ``withheld``.
        quarantined: answers.
        held: elements of admitted answers that are held back.
        failed_checks: checks that failed, of batches and of the whole.
        outcomes_in_bodies: outcome objects in the bodies of admitted answers, counted in Python.
        outcomes_in_silver: rows of silver.quotes.
        digests: of stored gold tables and views, at the end.
        differences: the first rows that differ, after the first state that does.
        failures: what failed, a line each.
        updated: what --update wrote, a line each.
        unproven_is_failure: ``--require-snapshots``.
        diff: what differs from the snapshots over all states, where that was asked for.
    """

    states: dict[str, str]
    quarantined: int
    held: int
    failed_checks: int
    outcomes_in_bodies: int
    outcomes_in_silver: int
    digests: dict[str, str]
    differences: tuple[Difference, ...] = ()
    failures: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    unproven_is_failure: bool = False
    diff: Diff | None = None

    def count(self, state: str) -> int:
        """Batches in one state."""
        return sum(found == state for found in self.states.values())

    @property
    def exit_code(self) -> int:
        """0, or 1 for a difference, a failed check, a withheld batch, or a missing snapshot where they are required."""
        broken = self.failed_checks or self.differences or self.count("different") or self.count("withheld")
        return 1 if broken or (self.unproven_is_failure and self.count("new")) else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "batches": len(self.states),
            **{state: self.count(state) for state in STATES},
            "quarantined": self.quarantined,
            "held_elements": self.held,
            "failed_checks": self.failed_checks,
            "outcomes": {"in_bodies": self.outcomes_in_bodies, "in_silver": self.outcomes_in_silver},
            "digests": self.digests,
            "differences": [difference.to_json() for difference in self.differences],
            "failures": list(self.failures),
            **({} if self.diff is None else {"diff": self.diff.to_json()}),
        }

    def lines(self) -> list[str]:
        """For people."""
        counts = ", ".join(f"{self.count(state)} {state}" for state in STATES if self.count(state) or state == "proven")
        lines = [
            f"{len(self.states)} batches: {counts}; {self.failed_checks} checks failed",
            f"outcomes: {self.outcomes_in_bodies:,} in bodies, {self.outcomes_in_silver:,} in silver",
        ]
        if self.quarantined or self.held:
            lines.append(f"held back: {self.quarantined:,} answers, {self.held:,} elements of others")
        lines += [f"  failed: {failure}" for failure in self.failures]
        for difference in self.differences:
            lines += [f"  differs: {difference.line()}", *(f"    {line}" for line in difference.where())]
        lines += [f"  wrote: {line}" for line in self.updated]
        return lines if self.diff is None else [*lines, *self.diff.lines()]

    def every_digest(self) -> dict[str, str]:
        """The digest of each table and view."""
        return self.digests


def replay(
    recording: Path | Recording,
    context: RunContext,
    options: ReplayOptions,
    scratch: Path,
) -> ReplaySummary:
    """Replay a recording into a warehouse made for it.

    Args:
        recording: it, or its folder.
        context: what it works with; the warehouse has no batches.
        options: how.
        scratch: an empty folder for the batches as they are collected again.

    Raises:
        UsageError: ``REPLAY_OPTIONS``.
        RecordingError: the recording or a snapshot is broken; where an index is, nothing was written.
    """
    options.check()
    source = recording if isinstance(recording, Recording) else Recording.open(recording)
    chosen = source.batch_ids[: options.batches]
    source.check(chosen)
    with Transformer(context.warehouse) as transformer, context.warehouse.connect(Role.INGESTER) as ingester:
        prepare(transformer, context.engine)
        run = _Run(source, chosen, context, ingester, transformer, options, scratch)
        for chunk in _chunks(_ordered(chosen, options), options.step or len(chosen)):
            run.take(chunk)
    return run.finish()


def _ordered(batch_ids: Sequence[str], options: ReplayOptions) -> list[str]:
    ordered = list(batch_ids)
    if options.order == "reversed":
        ordered.reverse()
    elif options.order == "shuffled":
        # the same order everywhere, whatever Python's own generator does
        ordered.sort(key=lambda batch_id: hashlib.sha256(f"{options.seed} {batch_id}".encode()).hexdigest())
    return ordered


def _chunks(batch_ids: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    iterator = iter(batch_ids)
    while chunk := tuple(itertools.islice(iterator, size)):
        yield chunk


@dataclass
class _Run:
    """The state of one replay."""

    source: Recording
    chosen: tuple[str, ...]
    context: RunContext
    ingester: Connection
    transformer: Transformer
    options: ReplayOptions
    scratch: Path
    applied: set[str] = field(default_factory=set)
    compared: dict[int, str] = field(default_factory=dict)
    withheld: set[str] = field(default_factory=set)
    quarantined: int = 0
    held: int = 0
    outcomes: int = 0
    failed_checks: int = 0
    done: int = 0
    failures: list[str] = field(default_factory=list)
    differences: tuple[Difference, ...] = ()
    updates: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = SnapshotStore(self.source.path)
        self.fresh = SnapshotStore(self.scratch)
        self.diffs = StateDiffs() if self.options.diff else None
        self.seen = 0

    def take(self, chunk: tuple[str, ...]) -> None:
        """Collect, load and apply some batches; where they fail together, one at a time."""
        started = self.context.clock.now()
        loaded = [self._load(batch_id) for batch_id in chunk]
        self._apply(loaded, started)

    def _load(self, batch_id: str) -> LoadedBatch:
        collected = self.scratch / "collected"  # what was collected is what is loaded; it has served once bronze has it
        batch = collect_again(self.source.read(batch_id), RecordingWriter(collected, durable=False))
        # nobody takes this database for a warehouse
        loaded = load_batch(self.ingester, batch, self.context.clock, mix_sources=True)
        shutil.rmtree(collected)
        self.quarantined += loaded.quarantined
        self.held += loaded.held
        self.outcomes += loaded.outcomes
        return loaded

    def _apply(self, loaded: Sequence[LoadedBatch], started: dt.datetime) -> None:
        batch_ids = tuple(batch.batch_id for batch in loaded)
        prefix = self._prefix(batch_ids)
        state, detail = "applied", None
        changed: Mapping[str, TableChanges] = {}

        def look(session: Session) -> None:
            nonlocal state, detail, changed
            if prefix is not None:
                state, detail = self._compare(session, prefix)
                changed = changes_at_hand(session) if self.diffs is not None else {}

        applied, changes = apply_and_count(
            self.transformer, self.context.engine, batch_ids, self.context.clock, before_commit=look
        )
        if not applied.published and len(loaded) > 1:
            for batch in loaded:  # find the one that fails; the others are none the worse for it
                self._apply((batch,), started)
                started = self.context.clock.now()
            return
        if applied.published:
            self.applied.update(batch_ids)
            if prefix is not None:
                self.compared[prefix] = state
                self._add_up(prefix, changed)
        else:
            state, detail = "withheld", failure_text(applied)
            self.withheld.update(batch_ids)
            self.failed_checks += len(applied.failed)
            self.failures += [f"{batch_ids[0]} {check.line}" for check in applied.failed]
        seconds = (self.context.clock.now() - started).total_seconds() / len(loaded)
        for batch in loaded:
            self.done += 1
            shown = state if batch is loaded[-1] else "applied"
            self.context.report(
                BatchLine(
                    self.done,
                    len(self.chosen),
                    batch.batch_id,
                    shown,
                    batch.outcomes,
                    changes,
                    batch.quarantined,
                    seconds,
                    detail,
                )
            )

    def _prefix(self, batch_ids: Sequence[str]) -> int | None:
        """k, where what is applied together with these is the set of the first k batches."""
        together = self.applied.union(batch_ids)
        size = len(together)
        return size if together == set(self.chosen[:size]) else None

    def _compare(self, session: Session, prefix: int) -> tuple[str, str | None]:
        """Compare the state after the first ``prefix`` batches with its snapshot; note the new one where asked to."""
        batch_id = self.chosen[prefix - 1]
        digests = stored_digests(session)
        wanted = self._wanted(batch_id)
        if self.options.update:
            # as a file has it, so that the order of rows makes no difference
            snapshot = parse(render(Snapshot(batch_id, digests, changes_at_hand(session))), batch_id)
            if wanted == snapshot:
                return "proven", None
            self.fresh.write(snapshot)
            self.updates.append(batch_id)
            self.updated.append(_what_changes(wanted, snapshot))
            return "written", None
        if wanted is None:
            return "new", None
        if wanted.digests == digests:
            return "proven", None
        if not self.differences:
            before = [found for known in self.chosen[:prefix] if (found := self.store.read(known)) is not None]
            self.differences = explain(session, before, digests)
        return "different", self.differences[0].line()

    def _add_up(self, prefix: int, changed: Mapping[str, TableChanges]) -> None:
        """Take a state into what differs over all of them."""
        if self.diffs is not None:
            wanted = [self.store.read(batch_id) for batch_id in self.chosen[self.seen : prefix]]
            self.diffs.take(self.chosen[prefix - 1], wanted, changed)
            self.seen = prefix

    def _wanted(self, batch_id: str) -> Snapshot | None:
        """The snapshot; one that is broken or of an earlier format is none where it is about to be written anew."""
        try:
            return self.store.read(batch_id)
        except RecordingError as error:
            if self.options.update and error.code in ("SNAPSHOT_FORMAT", "SNAPSHOT_BROKEN"):
                return None
            raise

    def _wanted_views(self, batch_id: str) -> Mapping[str, str] | None:
        """The views' digests; those of an earlier format are none where they are about to be written anew."""
        try:
            return self.store.read_views(batch_id)
        except RecordingError as error:
            if error.code == "SNAPSHOT_FORMAT":
                return None
            raise

    def finish(self) -> ReplaySummary:
        """Verify the whole, compare the views, write what --update asks for, and sum up."""
        report = verify(self.transformer.warehouse, self.context.engine)
        self.failed_checks += len(report.failed)
        self.failures += [f"at the end, {check.line}" for check in report.failed]
        if self.outcomes != report.outcomes_in_silver and not self.withheld:
            self.failed_checks += 1
            self.failures.append(f"{self.outcomes} outcomes in the bodies, {report.outcomes_in_silver} in silver")
        self._views(report)
        if self.options.update:
            self._write_updates(report)
        return ReplaySummary(
            states=self._states(),
            quarantined=self.quarantined,
            held=self.held,
            failed_checks=self.failed_checks,
            outcomes_in_bodies=self.outcomes,
            outcomes_in_silver=report.outcomes_in_silver,
            digests={**report.digests, **report.view_digests},
            differences=self.differences,
            failures=tuple(self.failures),
            updated=tuple(self.updated),
            unproven_is_failure=self.options.require_snapshots,
            diff=None if self.diffs is None else self.diffs.diff(self.source.path.name),
        )

    def _views(self, report: VerifyReport) -> None:
        """Views are digested at the end of a run; their digests belong to the last state's snapshot."""
        last = len(self.chosen)
        if self.options.update or self.compared.get(last) != "proven":
            return
        batch_id = self.chosen[-1]
        wanted = self.store.read_views(batch_id)
        if wanted is None:  # the state's rows are proven, its views were never noted
            return
        differing = sorted(
            name for name in wanted.keys() | report.view_digests.keys() if wanted.get(name) != report.view_digests.get(name)
        )
        self.differences += tuple(
            Difference(batch_id, name, (), "digest", wanted.get(name), report.view_digests.get(name)) for name in differing
        )
        if differing:
            self.compared[last] = "different"

    def _write_updates(self, report: VerifyReport) -> None:
        if self.failed_checks or self.withheld:
            self.failures.append("the snapshots were left as they are, because checks failed")
            self.updated.clear()
            # what was not written was not proven either
            self.compared = {k: "different" if state == "written" else state for k, state in self.compared.items()}
            return
        for batch_id in self.updates:
            snapshot = self.fresh.read(batch_id)
            assert snapshot is not None
            self.store.write(snapshot)
        last = self.chosen[-1]
        if self._wanted_views(last) != report.view_digests:
            self.store.write_views(last, report.view_digests)
            self.updated.append(f"views after {last}")
            self.compared[len(self.chosen)] = "written"

    def _states(self) -> dict[str, str]:
        """Each batch's state; one that was not compared itself has that of the next compared state which it is part of."""
        states = {}
        for number, batch_id in enumerate(self.chosen, start=1):
            later = next((self.compared[k] for k in sorted(self.compared) if k >= number), "new")
            if batch_id in self.withheld:
                states[batch_id] = "withheld"
            elif number in self.compared:
                states[batch_id] = self.compared[number]
            else:
                states[batch_id] = "covered" if later == "proven" else later
        return states


def _what_changes(before: Snapshot | None, after: Snapshot) -> str:
    if before is None:
        rows = sum(len(c.added) + len(c.changed) + len(c.removed) for c in after.changes.values())
        return f"{after.batch_id}: new, {rows} rows"
    tables = sorted(
        name
        for name in before.digests.keys() | after.digests.keys()
        if before.digests.get(name) != after.digests.get(name)
        or before.changes.get(name, TableChanges()) != after.changes.get(name, TableChanges())
    )
    return f"{after.batch_id}: changed {', '.join(tables)}"
