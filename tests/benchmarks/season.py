"""A season: some thousand batches loaded as a backlog is, and proven; its time, its growth and its disk.

    python -m tests.benchmarks.season [--batches N] [--sample N] [--json]

The recorded NFL week (SPORTS_MARKET_RECORDED; else the bundled recording) is played over and over, each time three weeks later
and with event ids of its own. A hundred batches at a time are written as a recording, loaded in windows as ``load`` does, and
removed again, so that neither memory nor the recordings' disk grows. It ends with 1 where

- a batch is not published, or the outcomes in silver are not those that the loads counted,
- ``verify`` of the whole warehouse finds a fault,
- the first batches (``--sample``) give other digests one by one than in windows, or
- an outcome of the last hundred batches costs more than its share of one of the second hundred.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.recording.store import Recording
from pipeline.replay.verify import verify
from pipeline.runs.context import RunContext
from pipeline.runs.load import load_batches
from pipeline.runs.progress import BatchLine
from pipeline.settings import Settings
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import resolve_server
from pipeline.warehouse.digest import stored_digests
from tests.benchmarks.batches import nfl_or_bundled, timeline
from tests.benchmarks.figures import Figure
from tests.benchmarks.lanes import Bench, Pipeline
from tests.recordings import written

BATCHES: Final = 6500
HUNDRED: Final = 100
SAMPLE: Final = 100
GROWTH_AIM, GROWTH_LIMIT = 1.15, 1.5
MEMORY_LIMIT_MB: Final = 600


@dataclass(frozen=True)
class Hundred:
    """What some batches in a row cost together.

    Attributes:
        first: how many batches came before.
        cpu: seconds, Python's and the server's.
        seconds: of wall time.
        size: of the warehouse after them, in bytes.
    """

    first: int
    batches: int
    outcomes: int
    cpu: float
    seconds: float
    size: int

    @property
    def per_outcome(self) -> float:
        """Seconds of CPU."""
        return self.cpu / self.outcomes


def growth(pieces: Sequence[Hundred]) -> float | None:
    """CPU of an outcome: of the last hundred batches, against the second hundred; the first one finds everything new.

    Pieces that are no hundred are passed over. None where there are no two to compare.
    """
    later = [each for each in pieces if each.batches == HUNDRED and each.first >= HUNDRED]
    return later[-1].per_outcome / later[0].per_outcome if len(later) > 1 and later[0].first == HUNDRED else None


class Season:
    """A warehouse that takes in hundred after hundred."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.warehouse = bench.database()
        self.empty_size = _size(self.warehouse)
        self.hundreds: list[Hundred] = []

    def take(self, recording: Recording) -> None:
        """Load all of a recording.

        Raises:
            SystemExit: a batch was not published.
        """
        lines: list[BatchLine] = []
        started, cpu = time.perf_counter(), self.bench.cpu()
        summary = load_batches(
            recording, recording.batch_ids, RunContext(self.warehouse, self.bench.project, self.bench.clock, lines.append)
        )
        cpu, seconds = self.bench.cpu() - cpu, time.perf_counter() - started
        if summary.published != len(recording):
            raise SystemExit(
                "\n".join([*summary.lines(), *(f"{line.batch_id}: {line.detail}" for line in lines if line.detail)])
            )
        told = sum(line.outcomes for line in lines)
        first = sum(each.batches for each in self.hundreds)
        self.hundreds.append(Hundred(first, len(recording), told, cpu, seconds, _size(self.warehouse)))

    def digests(self) -> dict[str, str]:
        """Of stored gold."""
        return _digests(self.warehouse)


def one_by_one(bench: Bench, recording: Recording) -> dict[str, str]:
    """The digests of stored gold after the batches of a recording, each published by itself."""
    warehouse = bench.database()
    with Pipeline(bench, warehouse, tuple(recording.batches()), window=1) as lane:
        for number in range(len(recording)):
            lane.turn(number)
    digests = _digests(warehouse)
    bench.server.drop_database(warehouse)
    return digests


def _digests(warehouse: Warehouse) -> dict[str, str]:
    with warehouse.connect(Role.TRANSFORMER) as connection:
        return stored_digests(connection)


def _size(warehouse: Warehouse) -> int:
    with warehouse.connect(Role.OWNER) as owner:
        row = owner.execute("select pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(row[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=BATCHES, help=f"how many (default {BATCHES})")
    parser.add_argument(
        "--sample", type=int, default=SAMPLE, help=f"of the first ones, proven one by one too (default {SAMPLE})"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    if arguments.batches < 1 or arguments.sample < 1:
        parser.error("--batches and --sample take a number from 1 on")

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="sm-season-", dir="/tmp") as folder:
        work = Path(folder)
        recording, _ = nfl_or_bundled(work)
        say(f"recording: {recording.name}, {len(recording)} batches, played until there are {arguments.batches}")
        with resolve_server(Settings(state_dir=work / "state"), lambda line: None) as server:
            figures = play(Bench(server, work, say), recording, arguments.batches, arguments.sample)
    for figure in figures:
        say(figure.line)
    if arguments.json:
        print(json.dumps({figure.name: figure.value for figure in figures}, indent=1))
    return 0 if all(figure.ok for figure in figures) else 1


def play(bench: Bench, recording: Recording, count: int, sample: int) -> list[Figure]:
    """Load, prove, and sum up."""
    season = Season(bench)
    sample = min(sample, HUNDRED, count)
    proven: dict[str, str] = {}
    # the sample is a piece of its own, so that its digests can be read
    starts = sorted({0, sample, *range(0, count, HUNDRED)} - {count})
    for start, stop in zip(starts, [*starts[1:], count], strict=True):
        piece = Recording.open(written(bench.work / "piece", timeline(recording, start, stop - start)))
        season.take(piece)
        last = season.hundreds[-1]
        bench.say(
            f"  {stop} of {count} batches: {last.cpu / last.batches * 1000:.0f} ms of CPU a batch,"
            f" {last.per_outcome * 1e6:.0f} µs an outcome, {last.seconds:.0f} s, {last.size / 1e6:,.0f} MB"
        )
        if not proven:
            proven = one_by_one(bench, piece)
            if proven != season.digests():
                names = sorted(name for name, digest in season.digests().items() if proven[name] != digest)
                raise SystemExit(
                    f"the first {sample} batches give other digests one by one than in windows: {', '.join(names)}"
                )
            bench.say(f"  the first {sample} batches give the same digests one by one")
        shutil.rmtree(bench.work / "piece")
    return _summed_up(bench, season, count)


def _summed_up(bench: Bench, season: Season, count: int) -> list[Figure]:
    started, cpu = time.perf_counter(), bench.cpu()
    report = verify(season.warehouse, bench.project)
    proving, proving_cpu = time.perf_counter() - started, bench.cpu() - cpu
    for check in report.failed:
        bench.say(f"  failed: {check.name}: {check.message or f'{check.failures} rows'}")
    told, size = sum(each.outcomes for each in season.hundreds), season.hundreds[-1].size - season.empty_size
    loading, loading_cpu = (sum(getattr(each, part) for each in season.hundreds) for part in ("seconds", "cpu"))
    bench.say(
        f"{count} batches, {told:,} outcomes: loaded in {loading:,.0f} s ({loading_cpu:,.0f} s of CPU),"
        f" verified in {proving:,.0f} s ({proving_cpu:,.0f} s of CPU);"
        f" {size / 1e9:.2f} GB, {size / count / 1e3:,.0f} kB a batch, {size / told:,.0f} bytes an outcome"
    )
    figures = [
        Figure("season_failed_checks", len(report.failed), 0, True, f"of {len(report.checks)}, of the whole warehouse"),
        Figure(
            "season_outcomes_missing", abs(told - report.outcomes_in_silver), 0, True, f"of {told:,} that the loads counted"
        ),
        Figure(
            "python_memory_mb",
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            MEMORY_LIMIT_MB,
            True,
            "peak of this process",
        ),
    ]
    grown = growth(season.hundreds)
    if grown is None:
        bench.say("LEFT OUT: season_growth, which needs three hundred batches.")
    else:
        detail = "CPU of an outcome, the last hundred batches / the second hundred"
        figures.append(Figure("season_growth", grown, GROWTH_LIMIT, True, detail, aim=GROWTH_AIM))
    return figures


if __name__ == "__main__":
    sys.exit(main())
