"""What a season costs its readers: CPU of the server for what people ask of it.

Of the tables of hindsight one event, one week of a sport, and an aggregate over all, as of the views that count them; and each
query of ``dbt/analyses``. A season of an answer a day has no closes, and none has scores: a week with closes, and drawn final
scores of all games, are loaded beside it.
"""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from typing import Final

from pipeline.recording.model import Batch
from pipeline.recording.store import Recording
from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Connection, Role, Warehouse
from tests.benchmarks.figures import Figure
from tests.benchmarks.lanes import Bench
from tests.final_scores import Game, score_batch

FILTER_LIMIT: Final = 1.0
AGGREGATE_LIMIT: Final = 2.0
QUERY_LIMIT: Final = 2.0
# Table: a column whose sum is asked for; of all that is stored of events that began.
TABLES: Final = {
    "closings": "price_decimal",
    "closing_consensus": "fair_median",
    "clv": "clv_price",
    "outcome_grades": "won_share",
    "calibration_observations": "brier",
    "quotes_sampled": "fair_probability",
    "game_lines": "h2h_closing_probability_home",
    "market_openings": "probability",
    "outlier_counts": "outlier_sets",
}
# What counts them, each read whole.
VIEWS: Final = {
    "book_scorecard": "mean_hold",
    "calibration": "brier",
    "calibration_bins": "hit_rate",
    "closing_coverage": "ok_count",
    "closing_returns": "return_multiple",
    "openings": "price_decimal",
}
_BEGUN: Final = (
    "select event_id, sport_key, start_at, home_team, away_team from gold.events"
    " where home_team is not null and away_team is not null and not has_outrights"
    " and start_at <= (select max(captured_at) from silver.coverage) order by event_id"
)
_BUSIEST: Final = (
    "select event_id, sport_key, date_trunc('week', min(start_at) at time zone 'UTC')"
    " from gold.closings group by event_id, sport_key order by count(*) desc, event_id limit 1"
)


def asking(bench: Bench, recording: Recording, week: Recording | None, batches: slice, week_batches: slice) -> list[Figure]:
    """Load those batches of a season and of a week, and ask: the dearest of each kind of question."""
    warehouse = bench.database()
    names = recording.batch_ids[batches]
    bench.load(warehouse, (recording.read(name) for name in names))
    if week is not None:
        bench.load(warehouse, (week.read(name) for name in week.batch_ids[week_batches]))
    bench.load(warehouse, iter(_scores(warehouse)))
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
        counted = {**TABLES, **VIEWS}
        added = dearest(
            {name: f"select count(*), sum({column}) from gold.{name}" for name, column in counted.items() if name not in empty}
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
        Figure("season_query_cpu_seconds", asked[0], QUERY_LIMIT, True, f"{of} {asked[1]}"),
    ]


def empty_tables(reader: Connection) -> list[str]:
    """Those of :data:`TABLES` that hold no row: a sum over them says nothing of what it costs."""
    found = []
    for name in TABLES:
        row = reader.execute(f"select exists (select from gold.{name})".encode()).fetchone()
        if row != (True,):
            found.append(name)
    return found


def _scores(warehouse: Warehouse) -> list[Batch]:
    """Final scores of the games that have begun, a batch per sport, a day after all else."""
    games: dict[str, list[Game]] = defaultdict(list)
    with warehouse.connect(Role.READER) as reader:
        for event_id, sport, start, home, away in reader.execute(_BEGUN.encode()):
            games[sport].append(Game(event_id, start, home, away))
        [(newest,)] = reader.execute(b"select max(captured_at) from silver.coverage").fetchall()
    chance = random.Random(0)
    return [score_batch(sport, games[sport], newest + dt.timedelta(days=1), chance) for sport in sorted(games)]


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
