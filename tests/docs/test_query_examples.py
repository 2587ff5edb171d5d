"""The queries of the pages run as they stand, as the reader, over a warehouse that holds the bundled recording."""

from __future__ import annotations

import re
from typing import Final

import pytest

from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import REPOSITORY

_PAGES: Final = (
    *sorted((REPOSITORY / "docs").glob("*.md")),
    REPOSITORY / "README.md",
    REPOSITORY / "dbt/models/gold/README.md",
)
QUERIES: Final = [
    pytest.param(query, id=f"{page.name} {number}")
    for page in _PAGES
    for number, query in enumerate(
        re.findall(r"^    ((?:select|with) [^;`]+);", page.read_text(encoding="utf-8"), re.M | re.S), start=1
    )
]


def test_there_are_such_queries() -> None:
    assert len(QUERIES) >= 4


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_runs(query: str, bundled: Warehouse) -> None:
    with bundled.connect(Role.READER) as connection:
        # one of those that the queries ask about
        row = connection.execute(
            b"select min(event_id) from silver.stg_odds where captured_at >= '2024-10-25' and captured_at < '2024-10-26'"
        ).fetchone()
        assert row is not None
        rows = connection.execute(query.replace("…", row[0]).encode()).fetchall()
    # nobody bets there
    assert rows or "gold.bet_ledger" in query
