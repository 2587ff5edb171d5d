"""What a replay costs: CPU of Python and PostgreSQL, buffers, memory; as ratios within one run, since machines are noisy.

    python -m tests.benchmarks.run [--batches N] [--history SMALL LARGE] [--backfill N] [--json]

It imports the recorded NFL week where the recordings are (SPORTS_MARKET_RECORDED), else it uses the bundled recording, and
says which. It prints each figure with its limit, and ends with 1 where a limit is broken.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import os
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from pipeline.bronze.load import load_batch
from pipeline.clock import SystemClock, to_iso
from pipeline.collect.collector import collect_again
from pipeline.contracts.answers import judge
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.resources import resource as packaged
from pipeline.settings import Settings
from pipeline.transform.apply import apply_batches, prepare
from pipeline.transform.checks import CheckResult, batch_checks
from pipeline.transform.program import load_program
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap, resolve_server
from pipeline.warehouse.digest import TABLES, refresh_digests, stored_digests
from tests.benchmarks.collecting import collecting_against_requests
from tests.benchmarks.figures import Figure, PostgresCpu
from tests.benchmarks.orchestrating import backfill_against_replay, loading_definitions

REPOSITORY = Path(__file__).resolve().parents[2]
RECORDED = Path(os.environ.get("SPORTS_MARKET_RECORDED") or REPOSITORY.parent / "shared" / "recorded")

CPU_PER_BATCH_LIMIT = 2.0
HISTORY_LIMIT = 1.2
COPY_LIMIT = 0.5
CONTRACTS_LIMIT = 0.5
MEMORY_LIMIT_MB = 600
VALIDATION_LIMIT_MB = 20
GOLD_SIZE_LIMIT = 12


@dataclass(frozen=True)
class Cost:
    """What some batches cost, each."""

    python: float
    postgres: float
    buffers: float
    # of the first two: evaluating the contracts of tables
    contracts: float

    @property
    def cpu(self) -> float:
        return self.python + self.postgres


class Bench:
    def __init__(self, server: Server, work: Path, say: Any) -> None:
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
        self.made += 1
        warehouse = self.server.create_database(f"bench_{os.getpid()}_{self.made}")
        bootstrap(warehouse)
        prepare(warehouse, self.project)
        return warehouse

    def cpu(self) -> float:
        """CPU seconds that this process and the server have used so far."""
        return time.process_time() + self.postgres.seconds()

    def clone(self, warehouse: Warehouse) -> Warehouse:
        self.made += 1
        return self.server.clone_database(warehouse, f"bench_{os.getpid()}_{self.made}")

    def load(self, warehouse: Warehouse, batches: Iterator[Batch], step: int) -> None:
        """Load and apply, without measuring."""
        with warehouse.connect(Role.INGESTER) as ingester:
            chunk: list[str] = []
            for number, batch in enumerate(batches, start=1):
                load_batch(ingester, batch, self.clock)
                chunk.append(batch.batch_id)
                if len(chunk) == step:
                    self._apply(warehouse, chunk)
                    chunk = []
                    self.say(f"  {number} batches of history")
            if chunk:
                self._apply(warehouse, chunk)

    def _apply(self, warehouse: Warehouse, chunk: list[str]) -> None:
        applied = apply_batches(warehouse, self.project, chunk, self.clock)
        if not applied.published:
            raise SystemExit(f"a check failed: {applied.failed[0]}")

    def costs(self, warehouses: Sequence[Warehouse], batches: Sequence[Batch]) -> list[Cost]:
        """Collect again, load, transform, check and digest, one batch at a time.

        The warehouses take turns, batch by batch: what else the machine does bears on them alike.
        """
        for warehouse in warehouses:
            with warehouse.connect(Role.OWNER, autocommit=True) as owner:
                owner.execute("vacuum analyze")
        writers = [RecordingWriter(self.work / f"again_{warehouse.dbname}", durable=False) for warehouse in warehouses]
        buffers = [self._buffers(warehouse) for warehouse in warehouses]
        python, postgres, contracts = ([0.0] * len(warehouses) for _ in range(3))
        with ExitStack() as stack:
            stack.enter_context(mock.patch("pipeline.transform.apply.batch_checks", self._batch_checks))
            ingesters = [stack.enter_context(warehouse.connect(Role.INGESTER)) for warehouse in warehouses]
            for number, batch in enumerate(batches):
                for turn in range(len(warehouses)):
                    each = (number + turn) % len(warehouses)
                    before = time.process_time(), self.postgres.seconds(), self.contracts
                    again = collect_again(batch, writers[each])
                    load_batch(ingesters[each], again, self.clock)
                    applied = apply_batches(
                        warehouses[each], self.project, [again.batch_id], self.clock, before_commit=stored_digests
                    )
                    if not applied.published:
                        raise SystemExit(f"a check failed: {applied.failed[0]}")
                    python[each] += time.process_time() - before[0]
                    postgres[each] += self.postgres.seconds() - before[1]
                    contracts[each] += self.contracts - before[2]
        count = len(batches)
        return [
            Cost(
                python[each] / count,
                postgres[each] / count,
                (self._buffers(warehouse) - buffers[each]) / count,
                contracts[each] / count,
            )
            for each, warehouse in enumerate(warehouses)
        ]

    def _batch_checks(self, *arguments: Any) -> tuple[CheckResult, ...]:
        started = self.cpu()
        found = batch_checks(*arguments)
        self.contracts += self.cpu() - started
        return found

    def _buffers(self, warehouse: Warehouse) -> int:
        with warehouse.connect(Role.OWNER, autocommit=True) as owner:
            owner.execute("select pg_stat_force_next_flush()")
            row = owner.execute(
                "select blks_hit + blks_read from pg_stat_database where datname = current_database()"
            ).fetchone()
        assert row is not None
        return int(row[0])


def shifted(batch: Batch, weeks: int) -> Batch:
    """The same batch some weeks later, with event ids of its own."""
    by = dt.timedelta(weeks=weeks)

    def later(match: re.Match[bytes]) -> bytes:
        return to_iso(dt.datetime.fromisoformat(match[0].decode()) + by).encode()

    def renamed(match: re.Match[bytes]) -> bytes:
        return match[1] + hashlib.md5(match[2] + str(weeks).encode()).hexdigest().encode() + b'"'

    exchanges = []
    for exchange in batch.exchanges:
        body = exchange.body
        if body is not None:
            body = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", later, body)
            body = re.sub(rb'("id":\s*")([0-9a-f]{32})"', renamed, body)
        exchanges.append(replace(exchange, body=body, captured_at=exchange.captured_at + by))
    at = batch.scheduled_at + by
    return Batch(batch.plan.batch_id(at), at, batch.plan, batch.source, tuple(exchanges))


def timeline(recording: Recording, first: int, count: int) -> Iterator[Batch]:
    """Batches ``first`` to ``first + count`` of a recording that is played again and again, each time some weeks later."""
    ids = recording.batch_ids
    for number in range(first, first + count):
        yield shifted(recording.read(ids[number % len(ids)]), 3 * (number // len(ids)))


def lengthen(warehouse: Warehouse, times: int) -> None:
    """Put copies of all that a warehouse holds before it: each some weeks earlier than the one after it, with ids of its own.

    The rows are those that loading the recording again and again, shifted in time, would have left, and come in minutes.
    """
    with warehouse.connect(Role.OWNER) as owner:
        spans = owner.execute(
            "select ceil(extract(epoch from max(captured_at) - min(captured_at)) / 604800)::int from bronze.exchanges"
        ).fetchone()
        assert spans is not None
        earlier = f"copy.n * interval '{spans[0]} weeks'"
        tables = owner.execute(
            "select table_schema || '.' || table_name, array_agg(column_name::text order by ordinal_position),"
            " array_agg(data_type::text order by ordinal_position)"
            " from information_schema.columns join information_schema.tables using (table_schema, table_name)"
            " where table_type = 'BASE TABLE' and is_generated = 'NEVER'"
            " and not exists ("
            "  select 1 from pg_class where oid = to_regclass(table_schema || '.' || table_name) and relispartition)"
            " and ("
            "  table_schema = 'gold'"
            "  or table_schema = 'silver' and table_name not in ('parameters', 'sport_rules', 'market_rules', 'book_profile',"
            "   'event_override')"
            "  or table_schema || '.' || table_name in ('bronze.batches', 'bronze.exchanges', 'ops.ledger', 'ops.batch_states',"
            "   'ops.verdicts'))"
            " group by table_schema, table_name order by table_schema, table_name"
        ).fetchall()
        # the owner would own what it makes
        owner.execute(f'set role "{warehouse.user(Role.TRANSFORMER)}"'.encode())
        owner.execute(
            "select ops.make_months(parted.partrelid::regclass, array("
            f" select distinct ops.month_of(t.captured_at - {earlier})"
            f" from bronze.exchanges as t cross join generate_series(1, {times}) as copy (n) order by 1))"
            " from pg_partitioned_table as parted where parted.partrelid <> 'bronze.bodies'::regclass"
        )
        owner.execute("reset role")
        for name, columns, types in tables:
            parts = ", ".join(_renamed(column, kind, earlier) for column, kind in zip(columns, types, strict=True))
            owner.execute(
                f"insert into {name} ({', '.join(columns)}) select {parts} from {name} as t"
                f" cross join generate_series(1, {times}) as copy (n)"
                # what is open in the last batch would have been closed by the next one; but an event keeps its sport
                f" {'where t.valid_to is not null' if 'valid_to' in columns and 'moved_from' not in columns else ''}"
                " on conflict do nothing"
            )
        refresh_digests(owner, whole=True)
        owner.commit()


def _renamed(column: str, kind: str, earlier: str) -> str:
    if kind == "timestamp with time zone":
        return f"t.{column} - {earlier}"
    if kind == "uuid":
        return f"md5(t.{column}::text || copy.n)::uuid"
    if column == "event_id":
        return f"case when t.{column} ~ '^[0-9a-f]{{32}}$' then md5(t.{column} || copy.n) else t.{column} end"
    return f"t.{column} || '-' || copy.n" if column == "batch_id" else f"t.{column}"


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
            mock.patch("pipeline.bronze.load.judge", lambda exchange: judgements[exchange.sha256]),
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
            [[table.name for table in TABLES]],
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
    parser.add_argument("--history", type=int, nargs=2, default=(40, 400), metavar=("SMALL", "LARGE"), help="earlier batches")
    parser.add_argument("--backfill", type=int, default=50, metavar="N", help="batches of the backfill by Dagster (default 50)")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    arguments = parser.parse_args()

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="sm-bench-", dir="/tmp") as folder:
        work = Path(folder)
        archive = RECORDED / "nfl_week6_2025.tar.xz"
        if archive.is_file():
            import_recording(archive, work / "nfl", ImportOptions.parse(endpoints=["odds"]))
            recording = Recording.open(work / "nfl")
        else:
            recording = Recording.open(packaged("fixtures/recordings/simulated"))
        say(f"recording: {recording.name}, {len(recording)} batches")
        with resolve_server(Settings(state_dir=work / "state"), lambda line: None) as server:
            figures = measure(Bench(server, work, say), recording, arguments.batches, *arguments.history)
            figures.append(collecting_against_requests(work, say))
            figures.append(backfill_against_replay(server, recording, arguments.backfill, work, say))
            figures.append(loading_definitions(work / "state"))
    for figure in figures:
        sign = "≤" if figure.at_most else "≥"
        say(f"{'ok  ' if figure.ok else 'FAIL'} {figure.name} {figure.value:.2f} ({sign} {figure.limit}) {figure.detail}")
    if arguments.json:
        print(json.dumps({figure.name: figure.value for figure in figures}, indent=1))
    return 0 if all(figure.ok for figure in figures) else 1


def measure(bench: Bench, recording: Recording, count: int, small: int, large: int) -> list[Figure]:
    """All figures of one run."""
    # the same batches after a short past, and after a long one of which the newest part is the same
    start = len(recording) * -(-(small + count) // len(recording)) - count
    measured = list(timeline(recording, start, count))
    few_batches = bench.database()
    bench.load(few_batches, timeline(recording, start - small, small), step=min(50, small))
    many_batches = bench.clone(few_batches)
    lengthen(many_batches, large // small - 1)
    few, many = bench.costs((few_batches, many_batches), measured)
    large = large // small * small
    for size, found in ((small, few), (large, many)):
        bench.say(
            f"after {size}: {found.cpu:.2f} s of CPU a batch (Python {found.python:.2f}, PostgreSQL {found.postgres:.2f}),"
            f" {found.buffers:,.0f} buffers"
        )
    # the longer past is made of copies, which fill their pages better
    size_of_gold = gold_size(few_batches, bench.say)
    for warehouse in (few_batches, many_batches):
        bench.server.drop_database(warehouse)
    return [
        Figure(
            "cpu_seconds_per_batch",
            many.cpu,
            CPU_PER_BATCH_LIMIT,
            True,
            f"Python {many.python:.2f} + PostgreSQL {many.postgres:.2f}",
        ),
        Figure(
            "contracts_cpu_seconds_per_batch",
            many.contracts,
            CONTRACTS_LIMIT,
            True,
            f"of that: every table's contract, on the touched rows; {few.contracts:.2f} after {small} earlier batches",
        ),
        Figure("cpu_with_history", many.cpu / few.cpu, HISTORY_LIMIT, True, f"after {large} / after {small} earlier batches"),
        Figure(
            "buffers_with_history",
            many.buffers / few.buffers,
            HISTORY_LIMIT,
            True,
            f"after {large} / after {small} earlier batches",
        ),
        size_of_gold,
        validation_rate(measured),
        bronze_against_copy(bench, [recording.read(batch_id) for batch_id in recording.batch_ids[:count]]),
        Figure(
            "python_memory_mb",
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            MEMORY_LIMIT_MB,
            True,
            "peak of this process",
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
