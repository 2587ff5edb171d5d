"""What differs between two states of gold is told to the cell, whatever holds them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.clock import UTC
from pipeline.errors import UsageError, WarehouseError
from pipeline.export.readable import Wanted
from pipeline.replay.diff import compare, shown_sql, workroom
from pipeline.replay.diff_found import Diff, TableDiff, named
from pipeline.replay.diff_page import render_diff
from pipeline.replay.diff_rows import DatabaseRows, ExportRows
from pipeline.replay.diff_side import Kind, side_of
from pipeline.transform.apply import transformer_session
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from pipeline.warehouse.digest import Column, refresh_digests, relations, stored_tables
from pipeline.warehouse.row_text import row_text
from tests.export.gold_of_batches import export

ODD = "it's \\ <b>&\n\t“x”, NULL"
AT = dt.datetime(2024, 10, 26, 2, tzinfo=UTC)


@pytest.fixture
def changed(server: Server, bundled: Warehouse, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    """The bundled recording's gold, in a database of its own in which a test may change rows."""
    made = server.clone_database(bundled, next(clone_names))
    yield made
    server.drop_database(made)


def change(warehouse: Warehouse, *statements: str) -> None:
    """Change rows of gold, and keep the digests up."""
    with warehouse.connect(Role.OWNER) as owner:
        for statement in statements:
            owner.execute(statement.encode())
        owner.commit()
    with transformer_session(warehouse) as session:
        refresh_digests(session, whole=True)
        session.commit()


def diff(a: Warehouse | Path, b: Warehouse | Path, at: dt.datetime | None = None, **how: Any) -> Diff:
    """What differs between databases and exports."""
    with ExitStack() as stack:
        room = stack.enter_context(workroom())
        wanted = how.pop("wanted", Wanted())
        sides = [
            ("AB"[number], stack.enter_context(ExportRows(one, at, room, f"file_{number}")))
            if isinstance(one, Path)
            else ("AB"[number], stack.enter_context(DatabaseRows(one, at, wanted)))
            for number, one in enumerate((a, b))
        ]
        return compare(*sides, room, **how)


def one(found: Diff) -> TableDiff:
    [table] = found.tables
    return table


def test_a_database_is_equal_to_itself_and_none_of_it_is_read(bundled: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DatabaseRows, "fill", lambda *_: pytest.fail("a table was read"))
    found = diff(bundled, bundled)
    assert found.exit_code == 0
    assert found.equal == tuple(table.name for table in stored_tables())


def test_every_relation_is_equal_to_itself_where_it_is_read(bundled: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.replay.diff_rows.kept_digests", lambda session: {})
    found = diff(bundled, bundled, with_views=True)
    assert found.exit_code == 0 and not found.not_compared
    assert found.equal == tuple(relation.name for relation in relations())


def test_rows_and_cells_are_told(bundled: Warehouse, changed: Warehouse, tmp_path: Path) -> None:
    change(
        changed,
        "update gold.results set home_score = home_score + 1, away_score = null"
        " where event_id = (select min(event_id) from gold.results where away_score is not null)",
        "update gold.results set away_score = away_score + 1"
        " where event_id = (select max(event_id) from gold.results where away_score is not null)",
        "delete from gold.bookmakers where bookmaker_key = 'betmgm'",
        "insert into gold.bookmakers select 'zz', 'Zed', first_seen_at from gold.bookmakers limit 1",
        "insert into gold.bookmakers select 'yy', 'Why', first_seen_at from gold.bookmakers limit 1",
    )
    found = diff(bundled, changed, cells_to=tmp_path / "cells.parquet")
    assert found.exit_code == 1
    books, results = sorted(found.tables, key=lambda table: table.name)
    assert (books.added, books.removed, books.changed, books.rows_b - books.rows_a) == (2, 1, 0, 1)
    assert [dict(row.key) for row in books.first_added] == [{"bookmaker_key": "yy"}, {"bookmaker_key": "zz"}]
    assert [dict(row.key) for row in books.first_removed] == [{"bookmaker_key": "betmgm"}]
    assert (results.added, results.removed, results.changed, results.cells) == (0, 0, 2, 3)
    # most changed first
    assert [(column.name, column.cells) for column in results.columns] == [("away_score", 2), ("home_score", 1)]
    first = results.columns[0].samples[0]
    with bundled.connect(Role.READER) as reader:
        rows = reader.execute("select event_id, away_score from gold.results where away_score is not null order by 1")
        [event_id, score] = rows.fetchall()[0]
    assert (dict(first.key), first.a, first.b) == ({"event_id": event_id}, str(score), None)
    cells = duckdb.sql(f"select * from '{tmp_path / 'cells.parquet'}'").fetchall()
    assert len(cells) == 2 + 1 + 3
    assert ("gold.results", f'{{"event_id":"{event_id}"}}', "changed", "away_score", str(score), None) in cells
    assert ("gold.bookmakers", '{"bookmaker_key":"zz"}', "added", None, None, None) in cells
    assert found.to_json()["tables"]["gold.results"]["columns"][0]["cells"] == 2
    assert "gold.results: 0 rows added, 0 removed, 2 changed, 3 cells" in "\n".join(found.lines())


def test_tables_and_columns_of_one_side_are_told(bundled: Warehouse, changed: Warehouse) -> None:
    change(
        changed,
        "alter table gold.results add column overtime boolean",
        "alter table gold.bookmakers rename column title to label",
        "alter table gold.event_listing_intervals alter column observations type bigint",
        "create table gold.weather (event_id text)",
        "grant select on gold.weather to public",
    )
    with changed.connect(Role.OWNER) as owner:
        owner.execute("drop view gold.unmatched_players")
        owner.commit()
    found = diff(bundled, changed, with_views=True)
    by_name = {table.name: table for table in found.tables}
    assert by_name["gold.results"].only_b == ("overtime",)
    assert (by_name["gold.bookmakers"].only_a, by_name["gold.bookmakers"].only_b) == (("title",), ("label",))
    assert ("observations", "integer", "bigint") in by_name["gold.event_listing_intervals"].retyped
    assert by_name["gold.event_listing_intervals"].changed == 0
    assert dict(found.only_b) == {"gold.weather": 0}
    assert [name for name, _ in found.only_a] == ["gold.unmatched_players"]
    assert diff(changed, bundled, names=["gold.weather"]).only_a == (("gold.weather", 0),)


def test_a_table_without_its_key_is_not_compared(bundled: Warehouse, changed: Warehouse) -> None:
    change(changed, "alter table gold.results rename column event_id to game_id")
    found = diff(bundled, changed, names=["gold.results"])
    assert dict(found.not_compared) == {"gold.results": "B has no column event_id, which is in the key of its rows"}


@pytest.mark.parametrize("format", ["parquet", "csv", "duckdb"])
def test_files_are_compared_as_databases_are(
    format: str, bundled: Warehouse, changed: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    literal = "E'" + ODD.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\t", "\\t") + "'"
    change(
        changed,
        f"update gold.bookmakers set title = {literal} where bookmaker_key = 'betmgm'",
        "update gold.best_price set books = '{}' where valid_from = (select min(valid_from) from gold.best_price)",
    )
    export(bundled, tmp_path / "lake", format=format)
    assert diff(tmp_path / "lake", bundled).exit_code == 0
    monkeypatch.setattr("pipeline.replay.diff_rows.kept_digests", lambda session: {})
    # read from both, and equal to the cell
    assert diff(tmp_path / "lake", bundled).exit_code == 0
    expected = diff(bundled, changed)
    assert {table.name for table in expected.tables} == {"gold.bookmakers", "gold.best_price"}
    assert diff(tmp_path / "lake", changed) == expected
    export(changed, tmp_path / "later", format=format)
    assert diff(tmp_path / "lake", tmp_path / "later") == expected
    assert one(diff(bundled, tmp_path / "later", names=["gold.bookmakers"])).columns[0].samples[0].b == ODD


def test_an_export_of_some_rows_is_compared_with_these(bundled: Warehouse, tmp_path: Path) -> None:
    wanted = Wanted("basketball_nba", dt.datetime(2024, 10, 26, tzinfo=UTC), None)
    export(bundled, tmp_path / "lake", "moves", "events", "openings", wanted=wanted)
    found = diff(tmp_path / "lake", bundled, wanted=wanted)
    assert found.exit_code == 0
    assert set(found.equal) == {"gold.events", "gold.moves", "gold.openings"}
    assert dict(found.not_compared)["gold.results"] == "the export A does not hold it"


@pytest.mark.parametrize("format", ["parquet", "csv", "duckdb"])
def test_a_point_in_time_is_what_was_known_then(format: str, bundled: Warehouse, tmp_path: Path) -> None:
    export(bundled, tmp_path / "lake", format=format)
    found = diff(tmp_path / "lake", bundled, AT)
    assert found.exit_code == 0
    assert {"gold.price_history", "gold.best_price", "gold.steam", "gold.arbitrages"} <= set(found.equal)
    assert dict(found.not_compared)["gold.closings"].startswith("it cannot be read as of a time: ")


def test_two_points_in_time_differ_by_what_came_between(bundled: Warehouse) -> None:
    with workroom() as room, DatabaseRows(bundled, AT) as a, DatabaseRows(bundled) as b:
        table = one(compare(("a", a), ("b", b), room, ["gold.best_price"]))
    with bundled.connect(Role.READER) as reader:
        [(added, ended)] = reader.execute(
            "select count(*) filter (where valid_from > %(at)s),"
            " count(*) filter (where valid_from <= %(at)s and valid_to > %(at)s) from gold.best_price",
            {"at": AT},
        ).fetchall()
    assert (table.added, table.removed, table.changed) == (added, 0, ended)
    assert [column.name for column in table.columns] == ["valid_to"]


@pytest.mark.parametrize(
    ("type_name", "value", "shown"),
    [
        ("text", ODD, ODD),
        ("text", "", ""),
        ("text", "NULL", "NULL"),
        ("text", None, None),
        ("text[]", ["a'b", 'c"\\'], '["a\'b","c\\"\\\\"]'),
        ("integer", -3, "-3"),
        ("boolean", True, "true"),
        ("timestamp with time zone", dt.datetime(2025, 1, 5, 12, tzinfo=UTC), "2025-01-05T12:00:00Z"),
        ("timestamp with time zone", dt.datetime(1969, 12, 31, 23, 59, 58, 500000, tzinfo=UTC), "1969-12-31T23:59:58.500000Z"),
        ("timestamp with time zone", float("inf"), "Infinity"),
        ("date", dt.date(1969, 12, 30), "1969-12-30"),
        ("date", float("-inf"), "-Infinity"),
    ],
)
def test_a_cell_is_shown_as_people_read_it(type_name: str, value: Any, shown: str | None) -> None:
    with workroom() as room:
        [(found,)] = room.execute(
            f"select {shown_sql('cell', Column('c', type_name))} from (select ?::varchar as cell)",
            [row_text([type_name], [value])],
        ).fetchall()
    assert found == shown


def test_the_page_needs_no_network_and_is_the_same_each_time(bundled: Warehouse, changed: Warehouse) -> None:
    change(changed, "update gold.bookmakers set title = '<script>alert(1)</script>' where bookmaker_key = 'betmgm'")
    found = diff(bundled, changed)
    page = render_diff(found)
    assert page == render_diff(diff(bundled, changed))
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page
    assert "http://" not in page and "https://" not in page and "default-src 'none'" in page
    assert '<td class="number">1</td>' in page and named(one(found).columns[0].samples[0]) in page
    assert "No difference." in render_diff(diff(bundled, bundled))


def test_a_database_without_gold_is_none(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError) as caught:
        DatabaseRows(warehouse)
    assert caught.value.code == "DATABASE_NOT_READY"


# --- how a side is written -------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, files in {
        "recording": ["recording.json"],
        "lake": ["manifest.json"],
        "both": ["recording.json", "manifest.json"],
        "foreign": ["thesis.txt"],
        "taken@2025-01-05": ["manifest.json"],
        "lake@2025-01-05": ["manifest.json"],
        "warehouse:x": ["manifest.json"],
    }.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("text", "kind", "place", "at", "name"),
    [
        ("recording", Kind.RECORDING, "recording", None, "recording"),
        ("lake/", Kind.EXPORT, "lake/", None, "lake/"),
        ("lake@2025-01-06", Kind.EXPORT, "lake", dt.datetime(2025, 1, 6, tzinfo=UTC), "lake at 2025-01-06T00:00:00Z"),
        ("taken@2025-01-05", Kind.EXPORT, "taken@2025-01-05", None, "taken@2025-01-05"),
        ("warehouse:", Kind.STANDING, "", None, "warehouse:"),
        ("warehouse:b@2025-01-05T12:00:00+01:00", Kind.STANDING, "b", dt.datetime(2025, 1, 5, 11, tzinfo=UTC), None),
        ("postgresql://u:p%40x@h:1/d", Kind.ADDRESS, "postgresql://u:p%40x@h:1/d", None, "h:1/d"),
        ("postgres://u:p@h:1/d@2025-01-05", Kind.ADDRESS, "postgres://u:p@h:1/d", dt.datetime(2025, 1, 5, tzinfo=UTC), None),
        ("host=h port=1 dbname=d password=p", Kind.ADDRESS, "host=h port=1 dbname=d password=p", None, "h:1/d"),
    ],
)
def test_a_side_is_read(text: str, kind: Kind, place: str, at: dt.datetime | None, name: str | None) -> None:
    side = side_of(text)
    assert (side.kind, side.place, side.at) == (kind, place, at)
    assert name is None or side.name == name
    assert "p%40x" not in side.name and "password" not in side.name


@pytest.mark.usefixtures("folders")
@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nowhere", "DIFF_SIDE_UNKNOWN"),
        ("foreign", "DIFF_SIDE_UNKNOWN"),
        ("nowhere@2025-01-05", "DIFF_SIDE_UNKNOWN"),
        ("both", "DIFF_SIDE_AMBIGUOUS"),
        ("lake@2025-01-05", "DIFF_SIDE_AMBIGUOUS"),
        ("warehouse:x", "DIFF_SIDE_AMBIGUOUS"),
        ("lake@2025-13-05", "TIME_INVALID"),
        ("lake@2025-01-05T12:00:00", "TIME_INVALID"),
        ("host=h nonsense", "DATABASE_URL_INVALID"),
    ],
)
def test_a_side_that_cannot_be_meant_has_a_code(text: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        side_of(text)
    assert caught.value.code == code and caught.value.next_step
