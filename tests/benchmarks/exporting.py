"""What files of gold cost: an export against ``COPY … (format binary)`` of the same rows, in one run.

The rows are those of the largest tables, each so many times that what an export costs by itself (it reads the contracts, and
puts each file on the disk) does not count.

``python -m tests.benchmarks.exporting ADDRESS PREFIX`` measures one database, in a process of its own: its memory is told too.
"""

from __future__ import annotations

import datetime as dt
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import Final

from pipeline.export.readable import Readable, Wanted, named
from pipeline.warehouse.connect import Role, Warehouse, from_url
from tests.benchmarks.figures import Figure

# of an idle machine; with others on its cores the server and the export cannot work side by side
LIMIT: Final = 0.25
AIM: Final = 0.5
MEMORY_LIMIT_MB: Final = 500
_ROUNDS: Final = 3
_TABLES: Final = ("price_history", "margins", "best_price", "consensus")
_ROWS: Final = 300_000


def exporting(warehouse: Warehouse) -> list[Figure]:
    """The rate of an export against that of COPY, and its memory."""
    command = [sys.executable, "-m", "tests.benchmarks.exporting", warehouse.conninfo(Role.OWNER), warehouse.role_prefix]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    detail = f"of {found['rows']:,} rows, {found['rows_per_second']:,.0f} a second, median of {_ROUNDS}"
    return [
        Figure("export_against_copy", found["ratio"], LIMIT, False, f"rate / that of COPY in binary, {detail}", aim=AIM),
        Figure("export_memory_mb", found["memory_mb"], MEMORY_LIMIT_MB, True, "peak of a process that exports"),
    ]


class _Nowhere:
    """Takes what COPY sends, and drops it."""

    def write(self, row: bytes) -> None:
        """Drop it."""


class _Repeated(Readable):
    """A table whose rows come many times."""

    times = 1

    def source(self, rows: str | None = None) -> str:
        """Its rows, so many times."""
        return f"(select found.* from {self.name} as found cross join generate_series(1, {self.times})) as t"


def measured(warehouse: Warehouse) -> dict[str, float]:
    """Rows, rows a second, the ratio of rates and the peak of memory, of exports side by side with COPY."""
    from pipeline.export.streams import Snapshot
    from pipeline.export.write_export import write_export

    chosen = named(_TABLES)
    with warehouse.connect(Role.READER) as connection:
        counts = [connection.execute(f"select count(*) from {one.name}".encode()).fetchone() for one in chosen]
    _Repeated.times = -(-_ROWS // max(1, sum(count[0] for count in counts if count)))
    tables = [_Repeated(**{each.name: getattr(one, each.name) for each in fields(one)}) for one in chosen]
    # the digest that is kept is that of the rows as they stand
    wanted = Wanted(until=dt.datetime(9999, 1, 1, tzinfo=dt.UTC))
    ratios, seconds, rows = [], [], 0
    for _ in range(_ROUNDS):
        with Snapshot(warehouse) as snapshot, snapshot.session.cursor() as cursor:
            started = time.perf_counter()
            for one in tables:
                cursor.copy_expert(f"copy (select t.* from {one.source()}) to stdout (format binary)", _Nowhere())
            copied = time.perf_counter() - started
        out = Path(tempfile.mkdtemp(prefix="sm-lake-", dir="/tmp"))
        try:
            started = time.perf_counter()
            summary = write_export(warehouse, out, tables, wanted=wanted)
            seconds.append(time.perf_counter() - started)
        finally:
            shutil.rmtree(out)
        ratios.append(copied / seconds[-1])
        rows = sum(each.rows for each in summary.tables.values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rate = rows / statistics.median(seconds)
    return {"rows": rows, "rows_per_second": rate, "ratio": statistics.median(ratios), "memory_mb": memory}


if __name__ == "__main__":
    print(json.dumps(measured(from_url(sys.argv[1], sys.argv[2]))))
