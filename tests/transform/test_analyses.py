"""The example queries of dbt/analyses: each runs as the reader on the bundled recording, and finds something."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project

FOLDER = resource("dbt/analyses")
NAMES = sorted(path.stem for path in FOLDER.glob("*.sql"))
# What the bundled recording has no answer to: name → why.
EMPTY: Mapping[str, str] = {
    "arbitrages_by_book_pair": "no clean market has one; tests/transform/test_arbitrages.py runs it on one that has",
    "bets_with_value_now": "no game is near as it ends; tests/replay/test_value_queries.py runs it on an evening",
}
# Of a query that hangs, rather than of a slow machine.
LIMIT = "60s"


@pytest.fixture(scope="module")
def compiled(bundled: Warehouse, project: Project) -> dict[str, str]:
    """The queries in plain SQL, by name."""
    results = project.invoke("compile", ["--select", "resource_type:analysis"], bundled.dbt_env(Role.TRANSFORMER))
    assert [(result.name, result.message) for result in results if not result.ok] == []
    folder = project.work_dir / "target" / "compiled" / "sports_market" / "analyses"
    return {name: (folder / f"{name}.sql").read_text(encoding="utf-8") for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_runs_as_the_reader(name: str, compiled: dict[str, str], bundled: Warehouse) -> None:
    query = compiled[name]
    with bundled.connect(Role.READER) as connection:
        connection.execute(f"set local statement_timeout = '{LIMIT}'".encode())
        rows = connection.execute(query.encode()).fetchall()
        again = connection.execute(query.encode()).fetchall()
    assert rows == again
    assert bool(rows) != (name in EMPTY), f"{len(rows)} rows"


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_says_what_it_answers_and_in_which_order(name: str) -> None:
    text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8")
    assert text.startswith("-- ") and ";" not in text
    assert re.search(r"^order by", text, re.MULTILINE), "rows in no order"
    assert not re.search(r"\b(now|current_\w+|clock_timestamp)\b\s*\(|\bcurrent_(date|timestamp)\b", text), (
        "it depends on the day"
    )
