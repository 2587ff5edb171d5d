"""What Dagster adds: to a start, and to each batch."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from unittest import mock

from pipeline.clock import SystemClock
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.replay.run import ReplayOptions, replay
from pipeline.runs.context import RunContext
from pipeline.transform.current_program import load_program
from pipeline.warehouse.connect import Role
from pipeline.warehouse.database import Server, bootstrap
from tests.benchmarks.figures import Figure, PostgresCpu

LOADING_LIMIT: Final = 3.0
# CPU of a stored event of Dagster's log: validation, serialisation and the insert.
SECONDS_PER_EVENT: Final = 0.012
_LOADING: Final = (
    "import sys, time; t0 = time.process_time(); import dagster, dagster_dbt; t1 = time.process_time();"
    "from pipeline.orchestration.definitions import defs; defs.get_repository_def(); t2 = time.process_time();"
    "assert 'great_expectations' not in sys.modules; print(t1 - t0, t2 - t0)"
)


def loading_definitions(state: Path) -> Figure:
    """CPU until Dagster has all definitions, against what importing it and dagster-dbt takes."""
    environment = {**os.environ, "SPORTS_MARKET_STATE_DIR": str(state), "DAGSTER_DISABLE_TELEMETRY": "1"}
    ratios = []
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", _LOADING], env=environment, check=True, capture_output=True, text=True)
        libraries, definitions = map(float, done.stdout.split())
        ratios.append(definitions / libraries)
    # the first one parses dbt's project
    ratio = statistics.median(ratios[1:])
    return Figure("definitions_load", ratio, LOADING_LIMIT, True, "CPU / that of importing Dagster and dagster-dbt")


def backfill_against_replay(server: Server, recording: Recording, count: int, work: Path, say: Callable[[str], None]) -> Figure:
    """CPU of Python and server: a backfill with its definitions loaded, against a replay and so much for each stored event."""
    postgres, project, clock = PostgresCpu(server), load_program(work / "dbt", print), SystemClock()

    def cpu() -> float:
        return time.process_time() + postgres.seconds()

    taken = work / "backfilled" / "recording"
    writer = RecordingWriter(taken, durable=False)
    for batch in map(recording.read, recording.batch_ids[:count]):
        begun = writer.begin(batch.batch_id, batch.scheduled_at, batch.plan, batch.source)
        for exchange in batch.exchanges:
            begun.add(exchange)
        begun.seal()
    count = len(writer.batch_ids)

    warehouse = server.create_database(f"bench_{os.getpid()}_replayed")
    bootstrap(warehouse)
    # both compare each state with its snapshot
    replay(taken, RunContext(warehouse, project, clock), ReplayOptions(update=True), work / "first")
    server.drop_database(warehouse)
    warehouse = server.create_database(f"bench_{os.getpid()}_replayed")
    bootstrap(warehouse)
    started = cpu()
    summary = replay(taken, RunContext(warehouse, project, clock), ReplayOptions(), work / "second")
    replaying = cpu() - started
    server.drop_database(warehouse)
    if summary.exit_code:
        raise SystemExit("\n".join(summary.lines()))

    with _surroundings(server, work, taken.parent):
        import dagster as dg

        from pipeline.orchestration.dagster_backfill import backfill_partitions
        from pipeline.orchestration.dagster_resources import project_of, settings

        project_of(settings()).manifest()
        with dg.DagsterInstance.get() as instance:
            instance.get_dynamic_partitions("batches")  # Dagster's tables are made
            started = cpu()
            filled = backfill_partitions(instance, None, lambda line: None)
            filling = cpu() - started
            events = sum(len(instance.all_logs(run_id)) for run_id in filled.runs)
    if filled.exit_code or filled.published != count:
        raise SystemExit("\n".join(filled.lines()))
    allowed = replaying + events * SECONDS_PER_EVENT
    say(f"  {count} batches: {replaying:.1f} s of CPU replayed, {filling:.1f} s by Dagster, which stored {events:,} events")
    return Figure(
        "backfill_against_replay",
        filling / allowed,
        1.0,
        True,
        f"CPU of {count} batches / (that of their replay + {SECONDS_PER_EVENT * 1000:.0f} ms for each stored event);"
        f" {filling / replaying:.2f} of the replay",
    )


@contextmanager
def _surroundings(server: Server, work: Path, recordings: Path) -> Iterator[None]:
    """The environment of an operator: a warehouse, recordings, and Dagster's own database on the same server."""
    from pipeline.orchestration.home import make_home

    warehouse = server.create_database(f"bench_{os.getpid()}_backfilled")
    given = {
        "SPORTS_MARKET_STATE_DIR": str(work / "state"),
        "SPORTS_MARKET_DATABASE_URL": warehouse.conninfo(Role.OWNER),
        "SPORTS_MARKET_RECORDINGS_DIR": str(recordings),
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    with mock.patch.dict(os.environ, {**given, **make_home(work / "state", server)}):
        yield
    server.drop_database(warehouse)
