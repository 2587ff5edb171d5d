"""The example queries about value: what they find in the bundled recording is what they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.support import Databases, take

Rows = list[dict[str, Any]]
BUNDLED = resource("fixtures/recordings/simulated")
# games are near, and asked about minutes ago
EVENING = "20241025T2346"


@pytest.fixture(scope="module")
def bundled(databases: Databases, project: Project) -> Iterator[Warehouse]:
    """The bundled recording in a database."""
    with databases() as warehouse:
        take(warehouse, project, list(Recording.open(BUNDLED).batches()), step=0)
        yield warehouse


@pytest.fixture(scope="module")
def evening(databases: Databases, project: Project) -> Iterator[Warehouse]:
    """The same as it stood on its first evening."""
    with databases() as warehouse:
        batches = [batch for batch in Recording.open(BUNDLED).batches() if batch.batch_id < EVENING]
        take(warehouse, project, batches, step=0)
        yield warehouse


@pytest.fixture(scope="module")
def queries(bundled: Warehouse, project: Project) -> dict[str, str]:
    """The queries as dbt writes them, by name, for any database."""
    results = project.invoke("compile", ["--select", "resource_type:analysis"], bundled.dbt_env(Role.TRANSFORMER))
    return {result.name: (result.sql or "").replace(f'"{bundled.dbname}".', "") for result in results}


def run(warehouse: Warehouse, query: str) -> Rows:
    with warehouse.connect(Role.READER) as connection:
        cursor = connection.execute(query.encode())
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, values, strict=True)) for values in cursor]


def test_bets_with_value_now(evening: Warehouse, queries: dict[str, str]) -> None:
    query = queries["bets_with_value_now"]
    found = run(evening, query)
    assert all(row["ev_fraction"] > 0.02 and 0 <= row["quote_age_seconds"] < 120 for row in found)
    # whatever the market of that evening: without a limit on the value there are more
    every = run(evening, query.replace("> 0.02", "> -1"))
    assert len(every) > len(found) and {row["bookmaker_key"] for row in every} > {row["bookmaker_key"] for row in found}
    assert every[: len(found)] == found, "the best come first"


def test_clv_by_book_and_horizon(bundled: Warehouse, queries: dict[str, str]) -> None:
    found = run(bundled, queries["clv_by_book_and_horizon"])
    assert len({row["bookmaker_key"] for row in found}) > 3
    assert {"24h", "6h", "1h", "15min"} & {row["horizon"] for row in found}
    assert all(0 <= row["same_point_share"] <= 1 for row in found)


def test_opening_to_closing(bundled: Warehouse, queries: dict[str, str]) -> None:
    found = run(bundled, queries["opening_to_closing"])
    keys = [(row["start_at"], row["home_team"], row["market_key"], row["description"]) for row in found]
    assert keys and len(keys) == len(set(keys)), "one row per game and market"
    assert any(row["line_moved"] for row in found)
