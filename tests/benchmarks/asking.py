"""What a season costs its readers: CPU of the server for what people ask of it.

Of the tables of hindsight one event, one week of a sport, and an aggregate over all; and each query of ``dbt/analyses``.
"""

from __future__ import annotations

from typing import Final

from pipeline.recording.store import Recording
from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Connection, Role, Warehouse
from tests.benchmarks.figures import Figure
from tests.benchmarks.lanes import Bench

FILTER_LIMIT: Final = 1.0
AGGREGATE_LIMIT: Final = 2.0
QUERY_LIMIT: Final = 5.0
QUERY_AIM: Final = 2.0
# Table: a column whose sum is asked for; of all that is stored of events that began.
TABLES: Final = {
    "closings": "price_decimal",
    "closing_consensus": "fair_median",
    "clv": "clv_price",
    "outcome_grades": "won_share",
    "calibration_observations": "brier",
    "quotes_sampled": "fair_probability",
    "game_lines": "h2h_closing_probability_home",
}
_BUSIEST: Final = (
    "select event_id, sport_key, date_trunc('week', min(start_at) at time zone 'UTC')"
    " from gold.closings group by event_id, sport_key order by count(*) desc, event_id limit 1"
)


def asking(bench: Bench, recording: Recording, batches: int | None = None) -> list[Figure]:
    """Load a recording, the first batches of it, and ask: the dearest of each kind of question."""
    warehouse = bench.database()
    names = recording.batch_ids[:batches]
    bench.load(warehouse, (recording.read(name) for name in names))
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute("analyze")
    queries = _analyses(bench, warehouse)
    with warehouse.connect(Role.READER, autocommit=True) as reader:
        busiest = reader.execute(_BUSIEST).fetchone()
        if busiest is None:
            raise SystemExit(f"{recording.name} has no event that began")
        event_id, sport_key, week = busiest
        chosen = {
            "one event": f"event_id = '{event_id}'",
            "one week": f"sport_key = '{sport_key}' and start_at >= '{week}Z'"
            f" and start_at < timestamptz '{week}Z' + interval '7 days'",
        }

        def dearest(questions: dict[str, str]) -> tuple[float, str]:
            costs = {name: _cpu_of(bench, reader, query) for name, query in questions.items()}
            for name, cost in sorted(costs.items(), key=lambda item: -item[1]):
                bench.say(f"  {cost:6.3f} s of CPU: {name}")
            worst = max(costs, key=lambda name: costs[name])
            return costs[worst], worst

        filtered = dearest(
            {f"{name}, {some}": f"select * from gold.{name} where {where}" for some, where in chosen.items() for name in TABLES}
        )
        empty = empty_tables(reader)
        if empty:
            bench.say(f"LEFT OUT of the sums: {', '.join(empty)}, of which {recording.name} has no rows.")
        added = dearest(
            {name: f"select count(*), sum({column}) from gold.{name}" for name, column in TABLES.items() if name not in empty}
        )
        asked = dearest(queries)
    bench.server.drop_database(warehouse)
    of = f"of {recording.name}, {len(names)} batches; dearest:"
    return [
        Figure("season_filter_cpu_seconds", filtered[0], FILTER_LIMIT, True, f"{of} {filtered[1]}"),
        Figure(
            "season_aggregate_cpu_seconds",
            added[0],
            AGGREGATE_LIMIT,
            True,
            f"{of} {added[1]}; without {', '.join(empty) or 'none'}",
        ),
        Figure("season_query_cpu_seconds", asked[0], QUERY_LIMIT, True, f"{of} {asked[1]}", aim=QUERY_AIM),
    ]


def empty_tables(reader: Connection) -> list[str]:
    """Those of :data:`TABLES` that hold no row: a sum over them says nothing of what it costs."""
    found = []
    for name in TABLES:
        row = reader.execute(f"select exists (select from gold.{name})".encode()).fetchone()
        if row != (True,):
            found.append(name)
    return found


def _cpu_of(bench: Bench, reader: Connection, query: str) -> float:
    """CPU seconds of the server, planning included; the second time, when what it reads is in memory."""
    reader.execute(query.encode()).fetchall()
    before = bench.postgres.seconds()
    reader.execute(query.encode()).fetchall()
    return bench.postgres.seconds() - before


def _analyses(bench: Bench, warehouse: Warehouse) -> dict[str, str]:
    """The queries in plain SQL, by name."""
    project = DbtProject(bench.work / "asking", lambda line: None)
    project.invoke("compile", ["--select", "resource_type:analysis"], warehouse.dbt_env(Role.TRANSFORMER))
    folder = project.work_dir / "target" / "compiled" / "sports_market" / "analyses"
    return {file.stem: file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.sql"))}
