"""The work on Spark: batches are read and cut where there is room, pieces go to their events' tasks, tasks write files.

A task's result is taken by Spark once, whatever was retried or tried twice; it names its files, and no others come to the lake.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import pyspark
from py4j.protocol import Py4JError
from pyspark import SparkConf, SparkContext, StorageLevel

import pipeline
from pipeline import errors
from pipeline.clock import SystemClock
from pipeline.compute.computing import BatchPlace, Cut, Job, read_and_cut, weights_of
from pipeline.compute.cutting import Head, Piece
from pipeline.compute.shard_server import end_own_server, own_server
from pipeline.compute.shard_task import TaskResult, run_merge, run_shard
from pipeline.errors import SetupError, SportsMarketError

T = TypeVar("T")

NAME: Final = "sports-market compute"
# Batches that one task of reading has; few, so that a lost one costs little.
_BATCHES_A_READ: Final = 16
# How an error of ours ends the trace of a task that Spark gave up.
_OURS: Final = re.compile(r"pipeline\.errors\.(\w+): ([A-Z_]+): ([^\n]*)")


class SparkWorkers:
    """An application of Spark. A context manager: leaving it ends the application, and with it every worker's server.

    Args:
        master: of Spark, such as ``local[2]``, ``local-cluster[2,1,1024]`` or ``spark://host:7077``.
        conf: settings of Spark beside those that are needed, which they go before.

    Raises:
        SetupError: ``SPARK_START``: the application does not start.
    """

    def __init__(self, master: str, conf: Mapping[str, str] | None = None) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="sports-market-spark-", ignore_cleanup_errors=True)
        self._before = {name: os.environ.get(name) for name in ("SPARK_HOME", "PYSPARK_PYTHON")}
        self._cut: Any = None
        # executors run the Python that the driver runs, where nothing else is said
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        if master.startswith("local-cluster"):
            os.environ["SPARK_HOME"] = str(_writable_home(Path(self._home.name)))
        try:
            settings = _settings(master, self._home.name) | dict(conf or {})
            self.context = SparkContext(conf=SparkConf().setAll(list(settings.items())))
        except Exception as error:
            self._leave()
            raise SetupError(
                "SPARK_START",
                f"Spark does not start at {master}: {str(error).strip().partition(chr(10))[0]}",
                "See that the master is there, and that this machine's Java is one that Spark knows.",
            ) from error
        self.context.setLogLevel("ERROR")

    def __enter__(self) -> SparkWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.stop()
        self._leave()

    def _leave(self) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._home.cleanup()

    def cut(self, job: Job) -> Cut:
        """Read, judge and cut all batches; the pieces stay on the workers' disks."""
        sport = job.sport
        slices = max(1, -(-len(job.batches) // _BATCHES_A_READ), min(len(job.batches), self.width()))
        places = self.context.parallelize(job.batches, slices)
        self._cut = places.mapPartitions(lambda own: _read(own, sport)).persist(StorageLevel.DISK_ONLY)
        # in one pass, so that what is read is read once
        found = _done(lambda: self._cut.map(lambda each: (each[0], weights_of(*each))).collect())
        return Cut.of(found)

    def width(self) -> int:
        """Cores that tasks have."""
        return max(1, int(self.context.defaultParallelism))

    def shards(self, job: Job, heads: Sequence[Head], owners: Mapping[str, int], count: int) -> list[TaskResult]:
        """Run the tasks."""
        stage = job.stage
        told, shared = self.context.broadcast(tuple(heads)), self.context.broadcast(dict(owners))
        keyed = self._cut.flatMap(lambda each: [(shared.value[piece.event_id], piece) for piece in each[1]])
        tasks = keyed.partitionBy(count, _as_it_is)

        def run(number: int, pieces: Iterable[tuple[int, Piece]]) -> Iterator[TaskResult]:
            events = [event for event, owner in shared.value.items() if owner == number]
            yield _on_worker(
                lambda: run_shard(own_server(), Path(stage), told.value, events, (each for _, each in pieces), SystemClock())
            )

        results: list[TaskResult] = _done(lambda: tasks.mapPartitionsWithIndex(run).collect())
        return results

    def merge(self, job: Job, heads: Sequence[Head], inputs: Sequence[tuple[str, str]]) -> TaskResult:
        """Run the second stage, on one worker."""
        stage = job.stage
        told = self.context.broadcast((tuple(heads), tuple(inputs)))

        def run(_: Iterable[int]) -> Iterator[TaskResult]:
            own_heads, own_inputs = told.value
            yield _on_worker(lambda: run_merge(own_server(), Path(stage), own_heads, own_inputs, SystemClock()))

        [result] = _done(lambda: self.context.parallelize([0], 1).mapPartitions(run).collect())
        assert isinstance(result, TaskResult)
        return result


def _read(places: Iterable[BatchPlace], sport: str | None) -> Iterator[tuple[Head, tuple[Piece, ...]]]:
    for place in places:
        found = read_and_cut(place, sport)
        if found is not None:
            yield found


def _as_it_is(task: int) -> int:
    return task


def _on_worker(work: Callable[[], TaskResult]) -> TaskResult:
    """Work that uses the worker's server; where it fails, the next attempt gets another server."""
    try:
        return work()
    except BaseException:
        end_own_server()
        raise


def _done(action: Callable[[], T]) -> T:
    """What an action of Spark gives; an error of ours that ended a task is raised as what it was.

    Raises:
        SportsMarketError: it.
        SetupError: ``SPARK_FAILED``: Spark gave it up for another reason.
    """
    try:
        return action()
    except Py4JError as error:
        text = str(error)
        ours = _OURS.search(text)
        kind = getattr(errors, ours[1], None) if ours else None
        if ours and isinstance(kind, type) and issubclass(kind, SportsMarketError):
            raise kind(ours[2], ours[3], "") from error
        told = [line for line in text.splitlines() if re.match(r"\S*(Error|Exception)\b.*", line)]
        raise SetupError(
            "SPARK_FAILED",
            f"Spark gave the work up: {(told or text.splitlines() or ['no reason was told'])[-1][:500]}",
            "Spark's own pages, and the logs of its workers, tell more. Nothing was written to the lake.",
        ) from error


def _settings(master: str, home: str) -> dict[str, str]:
    found = {
        "spark.master": master,
        "spark.app.name": NAME,
        "spark.ui.showConsoleProgress": "false",
        # where the code is not installed on the workers, it may lie at the same place
        "spark.executorEnv.PYTHONPATH": os.pathsep.join(
            filter(None, [str(Path(pipeline.__file__).resolve().parents[1]), os.environ.get("PYTHONPATH")])
        ),
    }
    if master.startswith("local"):
        # nobody on other machines is to reach it, and all that it writes goes with it
        found |= {
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.local.dir": home,
        }
    return found


def _writable_home(folder: Path) -> Path:
    """Spark's home, by links: the workers of a local cluster write into it, and the installed one is no place for that."""
    installed = Path(os.environ.get("SPARK_HOME") or Path(pyspark.__file__).parent)
    home = folder / "home"
    home.mkdir()
    for entry in installed.iterdir():
        if entry.name != "work":
            (home / entry.name).symlink_to(entry.resolve())
    return home
