"""What is asked of Spark, by the command or by Dagster, checked before anything heavy is imported, and submitted.

Imports nothing heavy: without the extra, and without Java, it says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.compute.spark_extra import require_spark
from pipeline.errors import UsageError
from pipeline.export.extra import PACKAGES, require
from pipeline.export.readable import moment, span

if TYPE_CHECKING:
    from pipeline.compute.computing import ComputeSummary


@dataclass(frozen=True, slots=True)
class Asked:
    """A computation, as somebody wants it.

    Attributes:
        master: of Spark: ``local[2]``, ``local-cluster[2,1,1024]`` or ``spark://host:7077``.
        recordings: where all workers see them.
        out: the lake's folder, where all workers see it.
        since: only batches scheduled from this time on, as somebody writes it; None = all.
        until: only batches scheduled before this time.
        sport: only answers to requests about this sport; None = all.
        shards: tasks; None = by cores and outcomes.
        conf: settings of Spark.
    """

    master: str
    recordings: tuple[Path, ...]
    out: Path
    since: str | None = None
    until: str | None = None
    sport: str | None = None
    shards: int | None = None
    conf: tuple[tuple[str, str], ...] = ()


def settings_of_spark(given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Settings as somebody writes them, ``NAME=VALUE``.

    Raises:
        UsageError: ``USAGE``.
    """
    found: dict[str, str] = {}
    for each in given:
        name, is_set, value = each.partition("=")
        if not name or not is_set:
            raise UsageError("USAGE", f"--conf {each!r} is no NAME=VALUE.", "Write it as spark.executor.memory=2g.")
        found[name] = value
    return tuple(found.items())


def submit(asked: Asked, say: Callable[[str], None]) -> ComputeSummary:
    """Compute a lake on Spark.

    Args:
        asked: what.
        say: told what is done, a line each.

    Raises:
        UsageError: ``TIME_INVALID``, ``SPAN_EMPTY``, and those of :func:`pipeline.compute.computing.compute`.
        SetupError: ``EXTRA_MISSING``, ``JAVA_MISSING``, ``SPARK_START``, ``SPARK_FAILED``, and those of ``compute``.
        RecordingError, ConflictError, CheckFailed: of ``batches_in`` and ``compute``.
    """
    since, until = moment(asked.since, "--since"), moment(asked.until, "--until")
    span(since, until)
    require(*PACKAGES)
    require_spark()
    from pipeline.compute.computing import batches_in, compute
    from pipeline.compute.on_spark import SparkWorkers
    from pipeline.export.work_folder import check_folder

    check_folder(asked.out)
    batches = batches_in(asked.recordings, since, until)
    say(f"Starting Spark at {asked.master}, for {len(batches):,} batches …")
    conf: Mapping[str, str] = dict(asked.conf)
    with SparkWorkers(asked.master, conf) as workers:
        return compute(batches, asked.out, workers, sport=asked.sport, shards=asked.shards, say=say)
