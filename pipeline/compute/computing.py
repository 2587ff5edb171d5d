"""Compute gold from recordings on many workers: read and cut, tasks by event, a second stage, one lake.

Where the work is done is a :class:`Workers`: Spark, or in tests one process alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from pipeline.compute.cutting import NO_EVENT, Head, Piece, cut_batch
from pipeline.compute.shard_task import StagedPart, StagedTable, TaskResult
from pipeline.errors import ConflictError, RecordingError, UsageError
from pipeline.export.manifest import ExportedTable, Manifest, Part, read_manifest
from pipeline.export.work_folder import WorkFolder, check_folder
from pipeline.recording.model import batch_time
from pipeline.recording.store import Recording, content_sha256
from pipeline.warehouse.digest import digest_of_parts, relations

# So many outcomes make a task: what it costs to cut, start and merge is small beside them, and a worker's disk holds them.
OUTCOMES_A_TASK: Final = 200_000
# What an event weighs beside its outcomes.
_EVENT_WEIGHT: Final = 10


@dataclass(frozen=True, slots=True)
class BatchPlace:
    """Where a batch is to be read, on any worker.

    Attributes:
        recording: the folder, absolute.
        batch_id: the batch.
    """

    recording: str
    batch_id: str


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be computed.

    Attributes:
        batches: of which answers.
        sport: only answers to requests about this sport; None = all.
        stage: the folder, seen by all workers, where files wait.
        shards: tasks; None = as many as workers can do at a time, or as there are :data:`OUTCOMES_A_TASK`.
    """

    batches: tuple[BatchPlace, ...]
    sport: str | None
    stage: str
    shards: int | None


@dataclass(frozen=True, slots=True)
class Cut:
    """What was read of some batches.

    Attributes:
        heads: of each batch.
        weights: of each event its outcomes; of one that only ledgers name, 0.
    """

    heads: tuple[Head, ...]
    weights: Mapping[str, int]

    @classmethod
    def of(cls, found: Iterable[tuple[Head, Iterable[tuple[str, int]]]]) -> Cut:
        """Heads, and of each what it adds to the weights."""
        heads = []
        weights: dict[str, int] = {}
        for head, own in found:
            heads.append(head)
            for event, weight in own:
                weights[event] = weights.get(event, 0) + weight
        return cls(tuple(heads), weights)


class Workers(Protocol):
    """Those who do the work."""

    def cut(self, job: Job) -> Cut:
        """Read, judge and cut all batches."""

    def width(self) -> int:
        """How many tasks run at a time."""

    def shards(self, job: Job, heads: Sequence[Head], owners: Mapping[str, int], count: int) -> list[TaskResult]:
        """Run the tasks; ``owners`` tells of each event which of the ``count`` tasks has it."""

    def merge(self, job: Job, heads: Sequence[Head], inputs: Sequence[tuple[str, str]]) -> TaskResult:
        """Run the second stage."""


@dataclass(frozen=True, slots=True)
class ComputeSummary:
    """What was computed.

    Attributes:
        out: the lake.
        batches: how many it is made of.
        tasks: of each how many events and outcomes it had, and the seconds that it took.
        merge_seconds: what the second stage took.
        digests: of each relation.
        bytes: of all files.
    """

    out: Path
    batches: int
    tasks: tuple[tuple[int, int, float], ...]
    merge_seconds: float
    digests: Mapping[str, str]
    bytes: int

    @property
    def exit_code(self) -> int:
        """0."""
        return 0

    @property
    def rows(self) -> int:
        """Of all relations."""
        return sum(int(digest.split(":")[1]) for digest in self.digests.values())

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "out": str(self.out),
            "batches": self.batches,
            "tasks": [
                {"events": events, "outcomes": outcomes, "seconds": round(seconds, 1)}
                for events, outcomes, seconds in self.tasks
            ],
            "merge_seconds": round(self.merge_seconds, 1),
            "bytes": self.bytes,
            "digests": dict(self.digests),
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [
            f"task {number}: {events:,} events, {outcomes:,} outcomes in {seconds:,.1f} s"
            for number, (events, outcomes, seconds) in enumerate(self.tasks, start=1)
        ]
        return [
            *lines,
            f"second stage: {self.merge_seconds:,.1f} s",
            f"{self.out}: {len(self.digests)} relations of {self.batches:,} batches, {self.rows:,} rows,"
            f" {self.bytes / 1e6:,.1f} MB",
        ]

    def every_digest(self) -> dict[str, str]:
        """The digest of each table and view."""
        return dict(self.digests)


def batches_in(paths: Iterable[Path], since: dt.datetime | None, until: dt.datetime | None) -> tuple[BatchPlace, ...]:
    """The batches of some recordings that were scheduled in a span, each once, in order; their indexes are checked.

    Raises:
        RecordingError: a recording is broken, or none holds a batch of the span (``RECORDING_EMPTY``).
        ConflictError: ``BATCH_CONFLICT``: two of them hold a batch with other content; names both hashes.
    """
    found: dict[str, BatchPlace] = {}
    for path in paths:
        recording = Recording.open(path)
        wanted = [batch_id for batch_id in recording.batch_ids if _is_within(batch_id, since, until)]
        recording.check(wanted)
        for batch_id in wanted:
            place = BatchPlace(str(path.absolute()), batch_id)
            known = found.setdefault(batch_id, place)
            if known != place:
                _check_same(known, place)
    if not found:
        raise RecordingError("RECORDING_EMPTY", "No recording holds a batch of that time.", "Name another span, or recording.")
    return tuple(found[batch_id] for batch_id in sorted(found))


def _check_same(known: BatchPlace, other: BatchPlace) -> None:
    """See that one batch id has one content."""
    contents = [content_sha256(Recording.open(place.recording).read(place.batch_id)) for place in (known, other)]
    if contents[0] != contents[1]:
        raise ConflictError(
            "BATCH_CONFLICT",
            f"{known.recording} holds batch {known.batch_id} with content {contents[0]}; {other.recording} has {contents[1]}.",
            "One batch id has one content for ever: find which of them is wrong, and leave it out.",
        )


def _is_within(batch_id: str, since: dt.datetime | None, until: dt.datetime | None) -> bool:
    at = batch_time(batch_id)
    if at is None:
        return since is None and until is None
    return (since is None or at >= since) and (until is None or at < until)


def compute(
    batches: tuple[BatchPlace, ...],
    out: Path,
    workers: Workers,
    *,
    sport: str | None = None,
    shards: int | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> ComputeSummary:
    """Compute gold, and let a folder hold exactly that.

    Args:
        batches: of which answers.
        out: the lake: a new folder, an empty one, or that of an export; all workers see it under this path.
        workers: who do it.
        sport: only answers to requests about this sport.
        shards: tasks; None = by how much there is.
        say: told what is done, a line each.

    Raises:
        UsageError: ``EXPORT_OUT``, ``EXPORT_FOREIGN``; ``SPORT_UNKNOWN``: no answer is about that sport.
        SetupError: ``EXPORT_BUSY``, ``EXPORT_MANIFEST_BROKEN``, ``EXPORT_FORMAT_NEWER``.
        CheckFailed: ``COMPUTE_WITHHELD``, ``COMPUTE_MERGE``.
    """
    check_folder(out)
    standing = read_manifest(out) if out.exists() else None
    with WorkFolder(out.absolute(), standing, "parquet") as work:
        job = Job(batches, sport, str(work.folder), shards)
        cut = workers.cut(job)
        heads = tuple(sorted(cut.heads, key=lambda head: head.batch_id))
        if not heads:
            raise UsageError(
                "SPORT_UNKNOWN", f"No answer is about the sport {sport!r}.", "Name a sport key that was asked for."
            )
        total = sum(cut.weights.values())
        count = shards or max(workers.width(), -(-total // OUTCOMES_A_TASK))
        owners = shared_out(cut.weights, count)
        say(f"Read and cut {len(heads):,} batches: {len(owners):,} events, {total:,} outcomes, for {count} tasks.")
        done = workers.shards(job, heads, owners, count)
        say(f"{count} tasks are done; the second stage reads what they have.")
        inputs = [each for result in done for each in result.inputs]
        merged = workers.merge(job, heads, inputs)
        tables, staged = _joined([*done, merged])
        for table, form, part in staged:
            work.note_part(table, form, part.part, work.folder / part.staged, part.file)
        files = {part.part.path: part.file for _, _, part in sorted(staged, key=lambda each: each[2].part.path)}
        asked = {"sport": None, "since": None, "until": None}
        batch_ids = tuple(head.batch_id for head in heads)
        manifest = Manifest("parquet", merged.program, batch_ids, asked, tables, files, merged.answers)
        work.place(files, standing.files if standing else ())
        work.write_manifest(manifest.to_bytes())
        work.clear(files)
    return ComputeSummary(
        out,
        len(heads),
        tuple((each.events, each.outcomes, each.seconds) for each in done),
        merged.seconds,
        {table.name: table.digest for table in tables},
        sum(file.bytes for file in files.values()),
    )


def shared_out(weights: Mapping[str, int], count: int) -> dict[str, int]:
    """Each event's task: the heaviest first, each to the one that has least; the same for the same weights."""
    load = [0] * count
    owners = {}
    for event, weight in sorted(weights.items(), key=lambda each: (-each[1], each[0])):
        least = load.index(min(load))
        owners[event] = least
        load[least] += weight + _EVENT_WEIGHT
    # what is about no event belongs to one of them
    owners.setdefault(NO_EVENT, 0)
    return owners


def _joined(results: Sequence[TaskResult]) -> tuple[tuple[ExportedTable, ...], list[tuple[str, str, StagedPart]]]:
    """All relations with the parts that tasks have of them, in the catalogue's order; and the files."""
    by_name: dict[str, list[StagedTable]] = {}
    for result in results:
        for table in result.tables:
            by_name.setdefault(table.table.name, []).append(table)
    tables = []
    staged = []
    for relation in relations():
        own = by_name[relation.name]
        parts = [part for table in own for part in table.parts]
        # a relation without rows keeps one file, for its columns
        chosen = [part for part in parts if part.part.rows] or parts[:1]
        chosen.sort(key=lambda part: (part.part.sport or "", part.part.month or "", part.part.path))
        plain: list[Part] = [part.part for part in chosen]
        digest = digest_of_parts(part.digest for part in plain)
        tables.append(replace(own[0].table, digest=digest, parts=tuple(plain)))
        staged += [(relation.name, "computed", part) for part in chosen]
    return tuple(tables), staged


def read_and_cut(place: BatchPlace, sport: str | None) -> tuple[Head, tuple[Piece, ...]] | None:
    """Read a batch, its hashes checked, and cut it; None where none of its answers is about the sport."""
    batch = Recording.open(Path(place.recording)).read(place.batch_id)
    if sport is not None:
        batch = replace(batch, exchanges=tuple(each for each in batch.exchanges if each.request.sport == sport))
    return cut_batch(batch) if batch.exchanges else None


def weights_of(head: Head, pieces: Iterable[Piece]) -> list[tuple[str, int]]:
    """What a batch adds to the weight of each event; those that ledgers name are events too."""
    return [*((piece.event_id, piece.outcomes) for piece in pieces), *((event, 0) for event in head.named)]
