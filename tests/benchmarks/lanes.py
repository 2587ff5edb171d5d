"""Lanes: ways to take batches in, which are measured side by side, a batch of each in turn."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import psycopg

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import SystemClock
from pipeline.collect.collector import collect_again
from pipeline.recording.model import Batch
from pipeline.recording.store import RecordingWriter
from pipeline.replay.template import prepared_copy
from pipeline.runs.load import WINDOW
from pipeline.transform.apply import Transformer, apply_batches
from pipeline.transform.checks import CheckResult, batch_checks
from pipeline.transform.current_program import load_program
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from pipeline.warehouse.digest import stored_digests
from tests.benchmarks.figures import PostgresCpu


@dataclass(frozen=True)
class Sample:
    """What one turn of a lane cost: CPU seconds and buffers.

    Attributes:
        contracts: of the first two: evaluating the contracts of tables.
    """

    python: float
    postgres: float
    contracts: float
    buffers: int

    @property
    def cpu(self) -> float:
        return self.python + self.postgres


class Lane(Protocol):
    """Something with turns."""

    def turn(self, number: int) -> None:
        """Take in what comes at this turn."""

    def buffers(self) -> int:
        """Buffers that its database has read so far, in memory or not."""


class Bench:
    """The server to measure on, and what all lanes share."""

    def __init__(self, server: Server, work: Path, say: Callable[[str], None]) -> None:
        self.server = server
        self.work = work
        self.say = say
        self.clock = SystemClock()
        self.project = load_program(work / "dbt", print)
        self.postgres = PostgresCpu(server)
        self.made = 0
        # CPU seconds of the contracts' evaluation so far
        self.contracts = 0.0

    def database(self) -> Warehouse:
        """A new one with all relations and no batch."""
        made = prepared_copy(self.server, self.project, self._name())
        assert made is not None
        return made

    def empty_database(self) -> Warehouse:
        """A new one with nothing in it."""
        return self.server.create_database(self._name())

    def clone(self, warehouse: Warehouse) -> Warehouse:
        return self.server.clone_database(warehouse, self._name())

    def _name(self) -> str:
        self.made += 1
        return f"bench_{os.getpid()}_{self.made}"

    def cpu(self) -> float:
        """CPU seconds that this process and the server have used so far."""
        return time.process_time() + self.postgres.seconds()

    def load(self, warehouse: Warehouse, batches: Iterator[Batch]) -> None:
        """Load and apply as a backlog is, in windows, without measuring."""
        with Pipeline(self, warehouse, tuple(batches), window=WINDOW) as lane:
            for number in range(len(lane.batches)):
                lane.turn(number)
                if (number + 1) % 100 == 0:
                    self.say(f"  {number + 1} batches of history")
            lane.apply()

    @contextmanager
    def no_vacuum(self) -> Iterator[None]:
        """Autovacuum rests meanwhile: its work falls on nobody's turn, and what is bloated stays so."""
        with self.server.home.connect_unchecked(Role.OWNER) as owner:
            owner.execute("alter system set autovacuum = off")
            owner.execute("select pg_reload_conf()")
        try:
            yield
        finally:
            with self.server.home.connect_unchecked(Role.OWNER) as owner:
                owner.execute("alter system reset autovacuum")
                owner.execute("select pg_reload_conf()")

    def interleaved(self, lanes: Sequence[Lane], turns: int, *, warm: int) -> list[list[Sample]]:
        """What each turn of each lane costs. Another lane begins each time: what else the machine does bears on all alike.

        Args:
            lanes: to be measured.
            turns: so many are measured.
            warm: so many go before them, in which a session plans its statements.
        """
        samples: list[list[Sample]] = [[] for _ in lanes]
        with mock.patch("pipeline.transform.apply.batch_checks", self._batch_checks):
            for number in range(warm + turns):
                for offset in range(len(lanes)):
                    each = (number + offset) % len(lanes)
                    samples[each].append(self._sample(lanes[each], number))
        return [found[warm:] for found in samples]

    def _sample(self, lane: Lane, number: int) -> Sample:
        buffers, contracts = lane.buffers(), self.contracts
        python, postgres = time.process_time(), self.postgres.seconds()
        lane.turn(number)
        python, postgres = time.process_time() - python, self.postgres.seconds() - postgres
        return Sample(python, postgres, self.contracts - contracts, lane.buffers() - buffers)

    def _batch_checks(self, *arguments: Any) -> tuple[CheckResult, ...]:
        started = self.cpu()
        found = batch_checks(*arguments)
        self.contracts += self.cpu() - started
        return found


class Pipeline:
    """Ours, on one warehouse, with the connections that a run keeps.

    By itself it takes one batch at each turn as a replay does: collected again, loaded, transformed, checked and digested.
    With a window it does what ``load`` does: what it loaded is published together once it is enough.

    Args:
        window: batches that are published together; None: each by itself, collected again.
        portions: how many batches come at each turn; by default one.
    """

    def __init__(
        self,
        bench: Bench,
        warehouse: Warehouse,
        batches: Sequence[Batch],
        *,
        window: int | None = None,
        portions: Sequence[int] = (),
    ) -> None:
        self.bench = bench
        self.warehouse = warehouse
        self.batches = batches
        self.window = window
        self.ends = tuple(itertools.accumulate(portions or (1,) * len(batches)))
        self.waiting: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> Pipeline:
        with ExitStack() as stack:
            self.transformer = stack.enter_context(Transformer(self.warehouse))
            self.ingester = stack.enter_context(self.warehouse.connect(Role.INGESTER))
            self.watcher = stack.enter_context(self.warehouse.connect(Role.OWNER, autocommit=True))
            self._stack = stack.pop_all()
        self.writer = RecordingWriter(self.bench.work / f"again_{self.warehouse.dbname}", durable=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def turn(self, number: int) -> None:
        """Take in the batches of this turn."""
        for batch in self.batches[self.ends[number - 1] if number else 0 : self.ends[number]]:
            again = collect_again(batch, self.writer) if self.window is None else batch
            load_batch(self.ingester, again, self.bench.clock)
            self.waiting.append(batch.batch_id)
            if len(self.waiting) == (self.window or 1):
                self.apply()

    def apply(self) -> None:
        """Publish what was loaded."""
        waiting, self.waiting = self.waiting, []
        if waiting:
            clock, project = self.bench.clock, self.bench.project
            applied = apply_batches(self.transformer, project, waiting, clock, before_commit=_digested)
            if not applied.published:
                raise SystemExit(f"a check failed: {applied.failed[0]}")

    def buffers(self) -> int:
        """Of its database, so far."""
        _flush(self.ingester)
        return read_buffers(self.watcher)


def spread(total: int, parts: int) -> list[int]:
    """So many things in so many portions, as even as can be."""
    return [(part + 1) * total // parts - part * total // parts for part in range(parts)]


def _digested(session: Any) -> None:
    stored_digests(session)


def _flush(connection: psycopg.Connection[Any]) -> None:
    connection.execute("select pg_stat_force_next_flush()")
    connection.commit()


def read_buffers(connection: psycopg.Connection[Any]) -> int:
    """Buffers that a database has read so far, in memory or not, as far as its sessions told."""
    row = connection.execute("select blks_hit + blks_read from pg_stat_database where datname = current_database()").fetchone()
    assert row is not None
    return int(row[0])


@dataclass(frozen=True)
class Turns:
    """Turns whose buffers are nobody's concern, such as the floor's."""

    take: Callable[[int], None]

    def turn(self, number: int) -> None:
        """Take in what comes at this turn."""
        self.take(number)

    def buffers(self) -> int:
        """None are counted."""
        return 0
