"""All work of ``compute`` in one process, without Spark: what is proven of it, quickly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.compute.computing import Cut, Job, read_and_cut, weights_of
from pipeline.compute.cutting import Head, Piece
from pipeline.compute.shard_server import end_own_server, own_server
from pipeline.compute.shard_task import TaskResult, run_merge, run_shard


@dataclass
class ThisProcess:
    """All work in this process, a task at a time. A context manager: leaving it ends the server."""

    _pieces: list[Piece] = field(default_factory=list)

    def __enter__(self) -> ThisProcess:
        return self

    def __exit__(self, *error: object) -> None:
        end_own_server()

    def cut(self, job: Job) -> Cut:
        """Read, judge and cut all batches."""
        found = [each for each in (read_and_cut(place, job.sport) for place in job.batches) if each is not None]
        self._pieces += [piece for _, pieces in found for piece in pieces]
        return Cut.of((head, weights_of(head, pieces)) for head, pieces in found)

    def width(self) -> int:
        """One."""
        return 1

    def shards(self, job: Job, heads: Sequence[Head], owners: Mapping[str, int], count: int) -> list[TaskResult]:
        """Run the tasks, one after the other."""
        results = []
        for number in range(count):
            events = [event for event, owner in owners.items() if owner == number]
            pieces = [piece for piece in self._pieces if owners[piece.event_id] == number]
            results.append(run_shard(own_server(), Path(job.stage), heads, events, pieces, SystemClock()))
        return results

    def merge(self, job: Job, heads: Sequence[Head], inputs: Sequence[tuple[str, str]]) -> TaskResult:
        """Run the second stage."""
        return run_merge(own_server(), Path(job.stage), heads, inputs, SystemClock())
