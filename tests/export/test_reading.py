"""Gold from Python: tables in three forms, as they are and as they were."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas
import pyarrow as pa
import pytest
from polars import DataFrame

import pipeline
from pipeline.contracts.cuts import Clip, Filter, Hindsight, Newest
from pipeline.errors import SportsMarketError
from pipeline.export import extra
from pipeline.export.readable import Readable, readable
from pipeline.export.reading import OpenWarehouse
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import REPOSITORY, Project, address
from tests.replay.support import take

BATCHES = list(Recording.open(resource("fixtures/recordings/simulated")).batches())
CUT = [one for one in readable().values() if isinstance(one.rule, Clip | Filter)]


@pytest.fixture
def gold(bundled: Warehouse) -> Iterator[OpenWarehouse]:
    with OpenWarehouse(bundled) as opened:
        yield opened


def code_of(work: Any) -> str:
    with pytest.raises(SportsMarketError) as caught:
        work()
    return caught.value.code


def test_a_table_comes_in_three_forms(gold: OpenWarehouse, bundled: Warehouse) -> None:
    selection = gold.table("best_price", sport="basketball_nba")
    table = selection.arrow()
    with bundled.connect(Role.READER) as connection:
        rows = connection.execute("select * from gold.best_price where sport_key = 'basketball_nba'").fetchall()
    assert len(rows) == table.num_rows > 100
    expected = sorted(((str(row[0]), *row[1:]) for row in rows), key=repr)
    assert sorted((tuple(row.values()) for row in table.to_pylist()), key=repr) == expected
    assert table.schema.field("best_price_decimal").type == pa.decimal128(14, 8)
    assert table.schema.field("valid_from").type == pa.timestamp("us", tz="UTC")
    frame = selection.polars()
    assert isinstance(frame, DataFrame)
    assert isinstance(frame["best_price_decimal"][0], Decimal)
    assert frame.equals(selection.polars())
    panda = selection.pandas()
    assert isinstance(panda, pandas.DataFrame)
    assert isinstance(panda["best_price_decimal"].iloc[0], Decimal)
    assert str(panda["valid_from"].dtype) == "timestamp[us, tz=UTC][pyarrow]"
    assert len(panda) == len(frame) == table.num_rows == sum(len(batch) for batch in selection.batches())


def test_what_is_asked_for_is_what_comes(gold: OpenWarehouse) -> None:
    since, until = dt.datetime(2024, 10, 25, 13, tzinfo=dt.UTC), dt.date(2024, 10, 26)
    table = gold.table("gold.price_history", since=since, until=until, columns=["valid_from", "series_id"]).arrow()
    assert table.column_names == ["valid_from", "series_id"]
    times = table.column("valid_from").to_pylist()
    assert times
    assert since <= min(times)
    assert max(times) < dt.datetime(2024, 10, 26, tzinfo=dt.UTC)
    # of an event without a time of its own, the start of the event counts
    starts = {row["event_id"]: row["start_at"] for row in gold.table("events").arrow().to_pylist()}
    found = {row["event_id"] for row in gold.table("results", until=until).arrow().to_pylist()}
    everything = {row["event_id"] for row in gold.table("results").arrow().to_pylist()}
    assert found == {event for event in everything if starts[event] < dt.datetime(2024, 10, 26, tzinfo=dt.UTC)} < everything
    assert gold.table("bookmakers", sport="basketball_nba").arrow().num_rows == gold.table("bookmakers").arrow().num_rows
    assert gold.table("middles").arrow().num_rows == 0
    assert set(gold.tables()) == {one.short for one in readable().values()}


@pytest.mark.parametrize("one", readable().values(), ids=lambda one: one.short)
def test_every_table_can_be_read_and_says_when_it_was_not(one: Readable, gold: OpenWarehouse) -> None:
    assert gold.table(one.name).arrow().schema.names
    as_of = "2024-10-26T00:00:00Z"
    if isinstance(one.rule, Hindsight | Newest):
        code = "AS_OF_HINDSIGHT" if isinstance(one.rule, Hindsight) else "AS_OF_NEWEST"
        assert code_of(lambda: gold.table(one.short, as_of=as_of)) == code
    else:
        assert gold.table(one.short, as_of=as_of).arrow().num_rows <= gold.table(one.short).arrow().num_rows


def test_as_of_is_what_a_database_had_that_took_the_batches_until_then(
    prepared: Warehouse, project: Project, bundled: Warehouse
) -> None:
    count = 9
    take(prepared, project, BATCHES[:count], step=0)
    at = max(exchange.captured_at for batch in BATCHES[:count] for exchange in batch.exchanges)
    filled = set()
    with OpenWarehouse(prepared) as then, OpenWarehouse(bundled) as now:
        for one in CUT:
            was, found = then.table(one.short).arrow(), now.table(one.short, as_of=at).arrow()
            rows = rows_of(one, was)
            assert rows_of(one, found) == rows, one.name
            # what is not kept of then is null, and no look ahead
            assert all(found.column(name).null_count == found.num_rows for name in one.rule.left_out)  # type: ignore[union-attr]
            if rows and rows_of(one, now.table(one.short).arrow()) != rows:
                filled.add(one.short)
    assert {"price_history", "best_price", "consensus", "moves", "line_movement", "openings", "bookmakers"} <= filled


def rows_of(one: Readable, table: Any) -> list[str]:
    """The rows, without what is not kept of then."""
    assert isinstance(one.rule, Clip | Filter)
    moving = one.rule.moving if isinstance(one.rule, Clip) else ()
    found = []
    for row in table.to_pylist():
        is_open = isinstance(one.rule, Clip) and row[one.rule.end] is None
        left_out = {*one.rule.left_out, *(moving if is_open else ())}
        found.append(repr([value for name, value in row.items() if name not in left_out]))
    return sorted(found)


def test_wrong_use_is_told(gold: OpenWarehouse, warehouse: Warehouse) -> None:
    assert code_of(lambda: gold.table("best_prise")) == "TABLE_UNKNOWN"
    assert code_of(lambda: gold.table("best_price", since="yesterday")) == "TIME_INVALID"
    assert code_of(lambda: gold.table("best_price", as_of=dt.datetime(2024, 10, 26))) == "TIME_INVALID"
    assert code_of(lambda: gold.table("best_price", since="2024-10-26", until="2024-10-26")) == "SPAN_EMPTY"
    assert code_of(gold.table("best_price", sport="nhl").arrow) == "SPORT_UNKNOWN"
    assert code_of(gold.table("best_price", columns=["price"]).arrow) == "COLUMN_UNKNOWN"
    assert code_of(OpenWarehouse(warehouse).table("best_price").arrow) == "DATABASE_NOT_READY"


@pytest.mark.parametrize(("form", "package"), [("arrow", "pyarrow"), ("polars", "polars"), ("pandas", "pandas")])
def test_a_missing_package_is_told_with_its_command(
    form: str, package: str, gold: OpenWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = extra.find_spec
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == package else there(name))
    with pytest.raises(SportsMarketError, match=rf"needs {package}.*pip install '\.\[export\]'") as caught:
        getattr(gold.table("moves"), form)()
    assert caught.value.code == "EXTRA_MISSING"


def test_the_package_opens_a_warehouse_by_its_address(bundled: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", bundled.role_prefix)
    with pipeline.open_warehouse(address(bundled)) as gold:
        assert gold.table("moves").arrow().num_rows > 100
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", address(bundled))
    with pipeline.open_warehouse() as gold:
        assert gold.table("moves").arrow().num_rows > 100
    assert code_of(lambda: pipeline.open_warehouse("postgresql://localhost:1/nowhere")) == "DATABASE_UNREACHABLE"


def test_to_import_the_package_costs_nothing() -> None:
    script = "import sys, pipeline; print(sorted({'psycopg', 'pyarrow', 'yaml', 'polars'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert run.stdout == "[]\n"
    assert Path(pipeline.__file__).parent == REPOSITORY / "pipeline"
