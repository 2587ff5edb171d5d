"""What a batch costs: CPU of Python and PostgreSQL, buffers, memory; as ratios within one run, since machines are noisy.

    python -m tests.benchmarks.run [--batches N] [--history SMALL LARGE…] [--event-rows N] [--backfill N] [--json]

It imports the recorded NFL week where the recordings are (SPORTS_MARKET_RECORDED), else it uses the bundled recording, and
says which. It prints each figure with its limit, and where another number is wanted that aim, and ends with 1 where a limit is
broken. The limits are so close to what was measured that a doubling breaks them.

What a batch costs is told as a multiple of the floor (``floor.sql``): what the least pipeline does with the same bodies, on the
same server, in the same minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from unittest import mock

from pipeline.bronze.batch_load import load_batch
from pipeline.contracts.judgement import judge
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording
from pipeline.runs.load import WINDOW
from pipeline.settings import Settings
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import resolve_server
from pipeline.warehouse.digest import stored_tables
from tests.benchmarks.asking import asking
from tests.benchmarks.batches import moving_event, nfl_or_bundled, outcomes, recorded, timeline, with_american_odds
from tests.benchmarks.collecting import collecting_against_requests
from tests.benchmarks.commands import commands
from tests.benchmarks.exporting import exporting
from tests.benchmarks.figures import Figure, typical_ratio
from tests.benchmarks.floor import Floor
from tests.benchmarks.history import lengthen
from tests.benchmarks.lanes import Bench, Lane, Pipeline, Sample, Turns, spread
from tests.benchmarks.orchestrating import backfill_against_replay, loading_definitions

# Each so close to what was measured that a doubling breaks it; what depends on the machine leaves room for a busy one.
CPU_PER_BATCH_LIMIT: Final = 1.2
CONTRACTS_LIMIT: Final = 0.22
BATCH_FLOOR_AIM: Final = 8.0
BATCH_FLOOR_LIMIT: Final = 11.0
WINDOW_FLOOR_AIM: Final = 4.0
WINDOW_FLOOR_LIMIT: Final = 7.5
HISTORY_AIM: Final = 1.15
HISTORY_CPU_LIMIT: Final = 1.25
HISTORY_BUFFERS_LIMIT: Final = 1.15
WORLDCUP_LIMIT: Final = 0.55
WORLDCUP_AIM: Final = 1 / 3
COPY_LIMIT: Final = 0.5
MEMORY_LIMIT_MB: Final = 230
VALIDATION_LIMIT_MB: Final = 14
GOLD_SIZE_LIMIT: Final = 5.5
# Figures whose limits are those of the recorded answers of the NFL, each ten times as large as a bundled one.
OF_THE_NFL: Final = frozenset(
    {"batch_against_floor", "window_against_floor", "worldcup_against_nfl", "validation_mb_per_second", "bronze_against_copy"}
)
# So many turns go before those that are measured: a session plans each statement anew in its first runs.
WARM: Final = 4
# With fewer, a run still makes statistics anew after every other batch, and then plans its statements anew.
WORLDCUP_PAST: Final = 40
# A run of fewer batches asks of a part of the season.
SEASON_FROM: Final = 20
# of the season its beginning, of the week a day on which games begin
SEASON_PARTS: Final = (slice(40), slice(235, 275))
# An event of so many polls has a short past.
SHORT_EVENT: Final = 10


def bronze_against_copy(bench: Bench, batches: list[Batch]) -> Figure:
    """The rate at which bronze takes judged answers in and books them, against a plain COPY into the same column types.

    What judging costs has a figure and a limit of its own (``validation_mb_per_second``).

    In bytes per second of CPU, client and server together: what else runs on the machine makes no difference then.
    """
    bodies = [(e.sha256, len(e.body), e.body, e.body.decode()) for b in batches for e in b.exchanges if e.body is not None]
    unique = list({body[0]: body for body in bodies}.values())
    size = sum(body[1] for body in unique)
    judgements = {exchange.sha256: judge(exchange) for batch in batches for exchange in batch.exchanges}
    ratios = []
    for _ in range(3):
        warehouse = bench.database()
        with (
            warehouse.connect(Role.INGESTER) as ingester,
            mock.patch("pipeline.bronze.batch_load.judge", lambda exchange: judgements[exchange.sha256]),
        ):
            started = bench.cpu()
            for batch in batches:
                load_batch(ingester, batch, bench.clock)
            loading = bench.cpu() - started
        with warehouse.connect(Role.OWNER) as owner:
            owner.execute(
                "create table bronze.copied (body_sha256 text primary key, byte_count int, body bytea, document jsonb)"
            )
            started = bench.cpu()
            with owner.cursor().copy("copy bronze.copied from stdin") as copy:
                for row in unique:
                    copy.write_row(row)
            owner.commit()
            copying = bench.cpu() - started
        bench.server.drop_database(warehouse)
        ratios.append(copying / loading)
        bench.say(f"  bronze {size / loading / 1e6:.0f} MB per CPU second, COPY {size / copying / 1e6:.0f}")
    return Figure(
        "bronze_against_copy", sorted(ratios)[1], COPY_LIMIT, False, "rate of the load / rate of COPY, CPU, median of 3"
    )


def validation_rate(batches: list[Batch]) -> Figure:
    """How many megabytes of answers are judged in a second of CPU on one core, every rule included."""
    exchanges = [exchange for batch in batches for exchange in batch.exchanges if exchange.status == 200]
    size = sum(len(exchange.body or b"") for exchange in exchanges)
    rates = []
    for _ in range(3):
        started = time.process_time()
        for exchange in exchanges:
            judge(exchange)
        rates.append(size / (time.process_time() - started) / 1e6)
    return Figure("validation_mb_per_second", sorted(rates)[1], VALIDATION_LIMIT_MB, False, "answers judged, median of 3")


def gold_size(warehouse: Warehouse, say: Any) -> Figure:
    """Bytes of all stored gold, heap and indexes, for those of the price history."""
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        rows = owner.execute(
            "select name, pg_relation_size(name::regclass), pg_indexes_size(name::regclass)"
            " from unnest(%s::text[]) as t (name)",
            [[table.name for table in stored_tables()]],
        ).fetchall()
        counted = owner.execute("select count(*) from gold.price_history").fetchone()
    assert counted is not None
    sizes = {name: heap + indexes for name, heap, indexes in rows}
    for name, size in sorted(sizes.items(), key=lambda item: -item[1]):
        say(f"  {name}: {size / counted[0]:,.0f} bytes per price change")
    return Figure(
        "gold_size",
        sum(sizes.values()) / sizes["gold.price_history"],
        GOLD_SIZE_LIMIT,
        True,
        f"{sum(sizes.values()) / counted[0]:,.0f} bytes, heap and indexes, of gold per price change / those of its history",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=20, help="batches whose cost is measured (default 20)")
    parser.add_argument(
        "--history",
        type=int,
        nargs="+",
        default=(40, 400),
        metavar="N",
        help="earlier batches: few, then one or more longer pasts",
    )
    parser.add_argument("--event-rows", type=int, default=20_000, metavar="N", help="rows of the event with a long history")
    parser.add_argument("--backfill", type=int, default=50, metavar="N", help="batches of the backfill by Dagster (default 50)")
    parser.add_argument(
        "--slack",
        type=float,
        default=1.0,
        metavar="F",
        help="widen the limits so many times, as few batches or a busy machine need (default 1)",
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()
    if len(arguments.history) < 2:
        parser.error("--history needs a short past and a longer one")

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="sm-bench-", dir="/tmp") as folder:
        work = Path(folder)
        (recording, is_nfl), worldcup = nfl_or_bundled(work), recorded("worldcup_quarterfinals_2026", work)
        say(f"recording: {recording.name}, {len(recording)} batches")
        with resolve_server(Settings(state_dir=work / "state"), lambda line: None) as server:
            bench = Bench(server, work, say)
            small, *large = arguments.history
            figures = measure(bench, recording, worldcup, arguments.batches, small, large, arguments.event_rows)
            nba = recorded("nba_historical_2023", work, by_folder=True)
            parts = (slice(None), slice(None)) if arguments.batches >= SEASON_FROM else SEASON_PARTS
            figures += asking(bench, nba or recording, recording if nba and is_nfl else None, *parts)
            figures.append(collecting_against_requests(work, say))
            figures.append(backfill_against_replay(server, recording, arguments.backfill, work, say))
            figures.append(loading_definitions(work / "state"))
            figures += commands(work / "commands", rounds=3 if arguments.batches >= 20 else 1)
    # the limits are those of full answers of a league; the bundled ones are small, and of all kinds
    told = [figure.with_slack(arguments.slack) for figure in figures if is_nfl or figure.name not in OF_THE_NFL]
    left = sorted(OF_THE_NFL - {figure.name for figure in told})
    for figure in told:
        say(figure.line)
    if left:
        say(f"LEFT OUT: {', '.join(left)}, as what they compare is not recorded here.")
    if arguments.json:
        print(json.dumps({figure.name: figure.value for figure in told}, indent=1))
    return 0 if all(figure.ok for figure in told) else 1


def measure(
    bench: Bench,
    recording: Recording,
    worldcup: Recording | None,
    count: int,
    small: int,
    large: Sequence[int],
    event_rows: int,
) -> list[Figure]:
    """All figures of one run that come from taking batches in."""
    # the same batches after a short past, and after longer ones of which the newest part is the same
    turns = WARM + count
    start = len(recording) * -(-(small + turns) // len(recording)) - turns
    measured = list(timeline(recording, start, turns))
    few = bench.database()
    bench.load(few, timeline(recording, start - small, small))
    pasts = {size: bench.clone(few) for size in large}
    for size, warehouse in pasts.items():
        lengthen(warehouse, size // small - 1)
        bench.say(f"  a past of {size // small * small} batches")
    by_window, windowed = bench.clone(few), max(WINDOW, count // WINDOW * WINDOW)
    windows = list(timeline(recording, start, WINDOW + windowed))

    poll = with_american_odds(itertools.chain(measured, recording.batches()))
    polls = -(-event_rows // outcomes(next(moving_event(poll, 0, 1))))
    long_event, short_event = bench.database(), bench.database()
    bench.load(long_event, moving_event(poll, 0, polls))
    # as many rows in all, so that no index is deeper than the other's
    bench.load(short_event, moving_event(poll, 0, polls, newcomers=SHORT_EVENT))
    event_polls = list(moving_event(poll, polls, turns))
    rows = _history_rows(long_event)
    if rows < event_rows:
        raise SystemExit(f"the event has {rows} rows of history, and not {event_rows}")

    with ExitStack() as stack:
        stack.enter_context(bench.no_vacuum())
        floor = Floor(stack.enter_context(bench.empty_database().connect(Role.OWNER)), measured)

        def ours(warehouse: Warehouse, batches: Sequence[Batch], **options: Any) -> Pipeline:
            return stack.enter_context(Pipeline(bench, warehouse, batches, **options))

        lanes: dict[str, Lane] = {
            "copy": Turns(floor.plain_turn),
            "floor": Turns(floor.turn),
            "few": ours(few, measured),
            **{str(size): ours(warehouse, measured) for size, warehouse in pasts.items()},
            "windows": ours(by_window, windows, window=WINDOW, portions=[*spread(WINDOW, WARM), *spread(windowed, count)]),
            "short event": ours(short_event, event_polls),
            "long event": ours(long_event, event_polls),
        }
        if worldcup is not None:
            before = bench.database()
            first = min(WORLDCUP_PAST, len(worldcup) - turns)
            bench.load(before, timeline(worldcup, 0, first))
            lanes["worldcup"] = ours(before, list(timeline(worldcup, first, turns)))
        found = dict(zip(lanes, bench.interleaved(tuple(lanes.values()), count, warm=WARM), strict=True))
        quotes, changes = floor.counts()
    for name, samples in found.items():
        bench.say(f"  {name}: {_told(samples)}")
    bench.say(
        f"the floor: {_typical_cpu(found['floor']) * 1000:.0f} ms of CPU a batch ({quotes:,} outcomes, {changes:,} changes in"
        f" {turns}), {typical_ratio(_cpu(found['floor']), _cpu(found['copy'])):.1f} times a plain COPY of the bodies"
    )
    size_of_gold = gold_size(few, bench.say)
    return [
        *_against_floor(found, windowed),
        *_with_history(found, {str(size): f"after {size // small * small} / after {small} earlier batches" for size in large}),
        *_with_event(found, rows),
        *_of_worldcup(found),
        size_of_gold,
        validation_rate(measured[WARM:]),
        bronze_against_copy(bench, [recording.read(batch_id) for batch_id in recording.batch_ids[:count]]),
        Figure(
            "python_memory_mb",
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            MEMORY_LIMIT_MB,
            True,
            "peak of this process",
        ),
        *exporting(pasts[large[-1]]),
    ]


def _against_floor(found: dict[str, list[Sample]], windowed: int) -> list[Figure]:
    last = list(found)[list(found).index("windows") - 1]  # the longest past
    samples, floor = found[last], _typical_cpu(found["floor"])
    python, postgres = (statistics.median(getattr(sample, part) for sample in samples) for part in ("python", "postgres"))
    contracts, few = (statistics.median(sample.contracts for sample in found[name]) for name in (last, "few"))
    return [
        Figure(
            "batch_against_floor",
            typical_ratio(_cpu(found["few"]), _cpu(found["floor"])),
            BATCH_FLOOR_LIMIT,
            True,
            "CPU of a batch by itself / that of the floor with the same bodies",
            aim=BATCH_FLOOR_AIM,
        ),
        Figure(
            "window_against_floor",
            sum(_cpu(found["windows"])) / windowed / floor,
            WINDOW_FLOOR_LIMIT,
            True,
            f"CPU of a batch, {WINDOW} published together / that of the floor",
            aim=WINDOW_FLOOR_AIM,
        ),
        Figure(
            "cpu_seconds_per_batch",
            _typical_cpu(samples),
            CPU_PER_BATCH_LIMIT,
            True,
            f"Python {python:.2f} + PostgreSQL {postgres:.2f}, after the longest past",
        ),
        Figure(
            "contracts_cpu_seconds_per_batch",
            contracts,
            CONTRACTS_LIMIT,
            True,
            f"of that: every table's contract, on the touched rows; {few:.2f} after the shortest past",
        ),
    ]


def _with_history(found: dict[str, list[Sample]], told: dict[str, str]) -> list[Figure]:
    return [figure for name, detail in told.items() for figure in _grown(name, found[name], found["few"], detail)]


def _with_event(found: dict[str, list[Sample]], rows: int) -> list[Figure]:
    detail = f"a poll of one event with {rows:,} rows of history / with {SHORT_EVENT} polls of history"
    return _grown("event", found["long event"], found["short event"], detail)


def _grown(name: str, many: Sequence[Sample], few: Sequence[Sample], detail: str) -> list[Figure]:
    cpu = typical_ratio(_cpu(many), _cpu(few))
    buffers = typical_ratio([sample.buffers for sample in many], [sample.buffers for sample in few])
    return [
        Figure(f"cpu_with_history_{name}", cpu, HISTORY_CPU_LIMIT, True, detail, aim=HISTORY_AIM),
        Figure(f"buffers_with_history_{name}", buffers, HISTORY_BUFFERS_LIMIT, True, detail, aim=HISTORY_AIM),
    ]


def _of_worldcup(found: dict[str, list[Sample]]) -> list[Figure]:
    if "worldcup" not in found:
        return []
    ratio = _typical_cpu(found["worldcup"]) / _typical_cpu(found["few"])
    return [Figure("worldcup_against_nfl", ratio, WORLDCUP_LIMIT, True, "CPU of a batch, ten times smaller", aim=WORLDCUP_AIM)]


def _cpu(samples: Sequence[Sample]) -> list[float]:
    return [sample.cpu for sample in samples]


def _typical_cpu(samples: Sequence[Sample]) -> float:
    return statistics.median(_cpu(samples))


def _told(samples: Sequence[Sample]) -> str:
    python, postgres, buffers = (
        statistics.median(getattr(sample, part) for sample in samples) for part in ("python", "postgres", "buffers")
    )
    return f"{python * 1000:.0f} ms of Python, {postgres * 1000:.0f} of PostgreSQL, {buffers:,.0f} buffers a turn"


def _history_rows(warehouse: Warehouse) -> int:
    with warehouse.connect(Role.OWNER) as owner:
        row = owner.execute("select count(*) from gold.price_history").fetchone()
    assert row is not None
    return int(row[0])


if __name__ == "__main__":
    sys.exit(main())
