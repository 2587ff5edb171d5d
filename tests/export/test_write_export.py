"""An export holds what the warehouse holds, changes only what changed, and goes on where a run was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import pytest

from pipeline.clock import SystemClock
from pipeline.contracts.cuts import Dating
from pipeline.errors import CheckFailed, SetupError, SportsMarketError, UsageError, WarehouseError
from pipeline.export import write_export as module
from pipeline.export.extra import FORMATS
from pipeline.export.manifest import MANIFEST
from pipeline.export.readable import Wanted, moment, named, readable
from pipeline.export.streams import Snapshot
from pipeline.export.verify_export import verify_export
from pipeline.export.work_folder import WORK, WorkFolder
from pipeline.export.write_export import write_export
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import recomputed_digests, refresh_digests, view_digests
from tests.conftest import REPOSITORY, Project, address
from tests.export.gold_of_batches import export, manifest_of, stamps
from tests.replay.support import take

BATCHES = list(Recording.open(resource("fixtures/recordings/simulated")).batches())
every_format = pytest.mark.parametrize("format", FORMATS)


@every_format
def test_it_holds_the_rows_that_the_warehouse_holds(format: str, bundled: Warehouse, tmp_path: Path) -> None:
    summary = export(bundled, tmp_path / "lake", format=format)
    with bundled.connect(Role.TRANSFORMER) as connection:
        expected = recomputed_digests(connection)
    assert {name: each.digest for name, each in summary.tables.items()} == expected
    check = verify_export(tmp_path / "lake")
    assert (check.faults, check.digests) == ((), expected)
    assert not (tmp_path / "lake" / WORK).exists()


@every_format
def test_views_are_exported_where_they_are_named(format: str, bundled: Warehouse, tmp_path: Path) -> None:
    export(bundled, tmp_path / "lake", "clv_now", "market_openings_now", "book_twins", "middles_clean", format=format)
    with bundled.connect(Role.READER) as connection:
        expected = view_digests(connection)
    check = verify_export(tmp_path / "lake")
    assert check.faults == ()
    assert check.digests == {
        name: expected[name] for name in ("gold.book_twins", "gold.clv_now", "gold.market_openings_now", "gold.middles_clean")
    }


def test_files_are_parted_by_sport_and_month(bundled: Warehouse, tmp_path: Path) -> None:
    export(bundled, tmp_path / "lake")
    tables = {table.name: table for table in manifest_of(tmp_path / "lake").tables}
    parts = {name: {part.place for part in table.parts} for name, table in tables.items()}
    with bundled.connect(Role.READER) as connection:
        for name, time_of in (("price_history", "t.valid_from"), ("moves", "t.changed_at"), ("events", "t.start_at")):
            found = connection.execute(
                f"select distinct sport_key, to_char({time_of}, 'YYYY-MM') from gold.{name} as t".encode()
            ).fetchall()
            assert parts[f"gold.{name}"] == set(found), name
        # a table about events without a start of its own goes by its event's
        found = connection.execute(
            "select distinct t.sport_key, to_char(e.start_at, 'YYYY-MM')"
            " from gold.results as t join gold.events as e using (event_id)"
        ).fetchall()
        assert parts["gold.results"] == set(found)
    assert {sport for sport, _ in parts["gold.bookmakers"]} == {None}
    [empty] = tables["gold.middles"].parts
    assert (empty.rows, empty.path.count("/")) == (0, 1)
    assert all(part.path.startswith(f"moves/sport={part.sport}/month={part.month}/") for part in tables["gold.moves"].parts)


def test_the_manifest_says_what_it_was_made_of(bundled: Warehouse, tmp_path: Path) -> None:
    export(bundled, tmp_path / "lake", "moves", wanted=Wanted("basketball_nba", moment("2024-10-26", "since"), None))
    manifest = manifest_of(tmp_path / "lake")
    assert manifest.batches == tuple(sorted(batch.batch_id for batch in BATCHES))
    assert len(manifest.program) == 64
    assert manifest.asked == {"sport": "basketball_nba", "since": "2024-10-26T00:00:00Z", "until": None}
    [table] = manifest.tables
    assert table.contract == readable()["gold.moves"].version
    assert ("changed_at", "timestamp with time zone") in [(each.name, each.type_name) for each in table.columns]


@every_format
def test_nothing_is_written_where_nothing_changed(format: str, bundled: Warehouse, tmp_path: Path) -> None:
    export(bundled, tmp_path / "lake", format=format)
    before = stamps(tmp_path / "lake")
    summary = export(bundled, tmp_path / "lake", format=format)
    assert stamps(tmp_path / "lake") == before
    assert sum(each.written for each in summary.tables.values()) == summary.removed == 0


def test_only_what_is_asked_for_is_there(bundled: Warehouse, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    export(bundled, lake, "price_history", "bookmakers", "events")
    whole = manifest_of(lake)
    wanted = Wanted("basketball_nba", moment("2024-10-25T13:00:00Z", "since"), moment("2024-10-26", "until"))
    summary = export(bundled, lake, "price_history", "bookmakers", wanted=wanted)
    with bundled.connect(Role.READER) as connection:
        query = "select count(*) from gold.price_history where sport_key = %s and valid_from >= %s and valid_from < %s"
        [count] = connection.execute(query, [wanted.sport, wanted.since, wanted.until]).fetchone() or ()
    assert 0 < count == summary.tables["gold.price_history"].rows < whole.tables[-1].rows
    assert {part.sport for table in manifest_of(lake).tables for part in table.parts} == {"basketball_nba", None}
    check = verify_export(lake)
    assert check.faults == (), "files that are no longer wanted are gone"
    assert not (lake / "events").exists()
    assert set(check.digests) == {"gold.price_history", "gold.bookmakers"}


@every_format
def test_after_another_batch_only_what_changed_is_written(
    format: str, prepared: Warehouse, project: Project, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    take(prepared, project, BATCHES[:20], step=0)
    export(prepared, lake, format=format)
    before, old = stamps(lake), manifest_of(lake)
    take(prepared, project, BATCHES[20:], step=0)
    summary = export(prepared, lake, format=format)
    after, new = stamps(lake), manifest_of(lake)
    changed = {
        (table.name, part.place)
        for table, was in zip(new.tables, old.tables, strict=True)
        for part in table.parts
        if part.digest not in [each.digest for each in was.parts if each.place == part.place]
    }
    assert changed
    assert verify_export(lake).faults == ()
    export(prepared, tmp_path / "anew", format=format)
    assert [table.digest for table in manifest_of(tmp_path / "anew").tables] == [table.digest for table in new.tables]
    if format == "duckdb":
        assert summary.tables["gold.bookmakers"].written in (0, len(new.tables[2].parts))
        return
    kept = {part.path for table in new.tables for part in table.parts if (table.name, part.place) not in changed}
    assert kept
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    assert sum(each.written for each in summary.tables.values()) == len(changed) == len(set(after) - set(before))
    assert summary.removed == len(set(before) - set(after))


@every_format
def test_a_start_that_changes_month_moves_its_rows(format: str, prepared: Warehouse, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    with prepared.connect(Role.TRANSFORMER, autocommit=True) as writer:
        for event, start in (
            ("a", "2024-10-31T23:59:59.999999Z"),
            ("b", "2024-11-01T00:00:00Z"),
            ("c", "2024-12-01T00:00:00Z"),
        ):
            writer.execute(
                "insert into gold.events"
                " (event_id, sport_key, has_outrights, source, commence_time_first, commence_time_latest, start_at,"
                " start_is_suspect, start_basis, start_change_count, first_seen_at, seen_in_play, status)"
                " values (%s, 'nhl', false, 'live', %s, %s, %s, false, 'as_announced', 0, %s, false, 'listed')",
                [event, start, start, start, start],
            )
            writer.execute(
                "insert into gold.results (event_id, sport_key, completed, score_since) values (%s, 'nhl', false, %s)",
                [event, start],
            )
        refresh_digests(writer, whole=True)
        export(prepared, lake, "events", "results", format=format)
        before = stamps(lake)
        places = {table.name: [(part.month, part.rows) for part in table.parts] for table in manifest_of(lake).tables}
        assert places == {name: [("2024-10", 1), ("2024-11", 1), ("2024-12", 1)] for name in ("gold.events", "gold.results")}
        # the rows of results stay what they are: their event moves them
        writer.execute("update gold.events set start_at = '2024-11-02T00:00:00Z' where event_id = 'a'")
        refresh_digests(writer, whole=True)
    summary = export(prepared, lake, "events", "results", format=format)
    places = {table.name: [(part.month, part.rows) for part in table.parts] for table in manifest_of(lake).tables}
    assert places == {name: [("2024-11", 2), ("2024-12", 1)] for name in ("gold.events", "gold.results")}
    assert verify_export(lake).faults == ()
    if format != "duckdb":
        kept = [path for path in before if "month=2024-12" in path]
        assert len(kept) == 2
        assert [stamps(lake)[path] for path in kept] == [before[path] for path in kept]
        assert [each.written for each in summary.tables.values()] == [1, 1]


@every_format
def test_a_table_that_changed_its_columns_is_written_anew(format: str, prepared: Warehouse, tmp_path: Path) -> None:
    export(prepared, tmp_path / "lake", "events", format=format)
    with prepared.connect(Role.TRANSFORMER, autocommit=True) as writer:
        writer.execute("alter table gold.events add column more integer")
        refresh_digests(writer, whole=True)
    assert export(prepared, tmp_path / "lake", "events", format=format).tables["gold.events"].written == 1
    assert verify_export(tmp_path / "lake").faults == ()
    assert manifest_of(tmp_path / "lake").tables[0].columns[-1].name == "more"


def test_a_table_that_is_parted_in_another_way_is_written_anew(
    bundled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(bundled, tmp_path / "lake", "moves")
    [one] = named(["moves"])
    other = replace(one, dating=Dating("prev_seen_at"))
    summary = write_export(bundled, tmp_path / "lake", [other])
    assert summary.tables["gold.moves"].kept == 0
    assert summary.tables["gold.moves"].digest == manifest_of(tmp_path / "lake").tables[0].digest
    assert verify_export(tmp_path / "lake").faults == ()


def test_rows_that_differ_from_the_kept_digest_are_not_exported(prepared: Warehouse, project: Project, tmp_path: Path) -> None:
    take(prepared, project, BATCHES[:2], step=0)
    with prepared.connect(Role.TRANSFORMER, autocommit=True) as writer:
        writer.execute("update gold.price_history set price_decimal = price_decimal + 1 where valid_to is null")
    with pytest.raises(CheckFailed) as caught:
        export(prepared, tmp_path / "lake", "price_history")
    assert caught.value.code == "EXPORT_DIGEST"
    assert not (tmp_path / "lake" / MANIFEST).exists()


def environment(warehouse: Warehouse) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("SPORTS_MARKET_")} | {
        "PYTHONPATH": str(REPOSITORY),
        "SPORTS_MARKET_ROLE_PREFIX": warehouse.role_prefix,
        "SPORTS_MARKET_DATABASE_URL": address(warehouse),
    }


@every_format
def test_a_run_that_is_killed_is_gone_on_with(format: str, bundled: Warehouse, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    command = [sys.executable, "-m", "pipeline.cli", "export", "--out", str(lake), "--format", format]
    journal = lake / WORK / "journal.jsonl"
    with subprocess.Popen(command, env=environment(bundled), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        deadline = time.monotonic() + 60
        while run.poll() is None and time.monotonic() < deadline:
            if journal.exists() and journal.read_bytes().count(b'"table"') >= 3:
                break
            time.sleep(0.002)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
    assert not (lake / MANIFEST).exists(), "it was done before it could be killed"
    done = journal.read_bytes().count(b'"table"')
    summary = export(bundled, lake, format=format)
    assert sum(each.kept for each in summary.tables.values()) >= done >= 3
    assert verify_export(lake).faults == ()
    export(bundled, tmp_path / "whole", format=format)
    assert [table.digest for table in manifest_of(lake).tables] == [
        table.digest for table in manifest_of(tmp_path / "whole").tables
    ]


@every_format
@pytest.mark.parametrize("step", ["place", "write_manifest", "clear"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_it_ends_well_after_a_crash_at_the_end(
    format: str, step: str, when: str, prepared: Warehouse, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a first export and of one that replaces files; wherever it ends, the next run ends as if nothing had been."""
    lake = tmp_path / "lake"
    names = ("moves", "price_history", "events")
    taken = 0
    for count in (2, 6):
        take(prepared, project, BATCHES[taken:count], step=0)
        taken = count
        with monkeypatch.context() as patch:
            patch.setattr(WorkFolder, step, crashing(getattr(WorkFolder, step), when))
            with pytest.raises(ZeroDivisionError):
                export(prepared, lake, *names, format=format)
        export(prepared, lake, *names, format=format)
        check = verify_export(lake)
        assert check.faults == ()
        with prepared.connect(Role.TRANSFORMER) as connection:
            expected = recomputed_digests(connection)
        assert check.digests == {f"gold.{name}": expected[f"gold.{name}"] for name in sorted(names)}


def crashing(work: Callable[..., Any], when: str) -> Callable[..., Any]:
    def crash(*arguments: Any) -> Any:
        if when == "after":
            work(*arguments)
        raise ZeroDivisionError

    return crash


def test_a_file_that_was_lost_is_written_again(bundled: Warehouse, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    export(bundled, lake, "moves")
    path = manifest_of(lake).tables[0].parts[0].path
    (lake / path).unlink()
    # its table's digest says that nothing changed, and it is seen all the same
    assert export(bundled, lake, "moves").tables["gold.moves"].written == 1
    assert verify_export(lake).faults == ()


def test_two_runs_do_not_write_into_one_folder(bundled: Warehouse, tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "lake", None, "parquet"), pytest.raises(SetupError) as caught:
        export(bundled, tmp_path / "lake", "moves")
    assert caught.value.code == "EXPORT_BUSY"


def test_another_format_replaces_the_files(bundled: Warehouse, tmp_path: Path) -> None:
    for format in (*FORMATS, FORMATS[0]):
        export(bundled, tmp_path / "lake", "moves", "middles", format=format)
        assert verify_export(tmp_path / "lake").faults == ()
        suffixes = {path.rpartition(".")[2] for path in manifest_of(tmp_path / "lake").files}
        assert suffixes == {format}


def test_many_parts_are_written_a_few_at_a_time(bundled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN_FILES", 2)
    monkeypatch.setattr(module, "PART_BYTES", 1)
    export(bundled, tmp_path / "lake", "price_history", "results", "bookmakers")
    assert verify_export(tmp_path / "lake").faults == ()
    monkeypatch.setattr(module, "PART_BYTES", 1 << 30)
    monkeypatch.setattr(module, "ALL_BYTES", 1)
    export(bundled, tmp_path / "other", "price_history", "results", "bookmakers", format="csv")
    assert verify_export(tmp_path / "other").digests == verify_export(tmp_path / "lake").digests


def test_it_reads_as_the_role_that_only_reads(bundled: Warehouse) -> None:
    with Snapshot(bundled) as snapshot:
        assert snapshot.rows("select current_user, current_setting('transaction_isolation'), current_setting('TimeZone')") == [
            (bundled.user(Role.READER), "repeatable read", "UTC")
        ]
        with pytest.raises(psycopg2.Error, match="read-only transaction"):
            snapshot.rows("delete from gold.moves returning 1")


def refused(work: Callable[[], Any]) -> tuple[type[SportsMarketError], str]:
    with pytest.raises(SportsMarketError) as caught:
        work()
    return type(caught.value), caught.value.code


def test_wrong_folders_are_refused(bundled: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert refused(lambda: export(bundled, tmp_path / "file", "moves")) == (UsageError, "EXPORT_OUT")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("x")
    assert refused(lambda: export(bundled, tmp_path / "foreign", "moves")) == (UsageError, "EXPORT_FOREIGN")
    export(bundled, tmp_path / "lake", "moves")
    (tmp_path / "lake" / "moves" / "thesis.txt").write_text("x")
    assert refused(lambda: export(bundled, tmp_path / "lake", "moves")) == (UsageError, "EXPORT_FOREIGN")
    assert (tmp_path / "lake" / "moves" / "thesis.txt").exists()
    (tmp_path / "lake" / "moves" / "thesis.txt").unlink()
    manifest = tmp_path / "lake" / MANIFEST
    manifest.write_text(manifest.read_text().replace('"rows": ', '"rows": 1', 1))
    assert refused(lambda: export(bundled, tmp_path / "lake", "moves")) == (SetupError, "EXPORT_MANIFEST_BROKEN")


def test_an_unknown_sport_and_a_warehouse_without_gold_are_refused(
    bundled: Warehouse, warehouse: Warehouse, tmp_path: Path
) -> None:
    assert refused(lambda: export(bundled, tmp_path / "lake", "moves", wanted=Wanted("icehockey_nhk"))) == (
        UsageError,
        "SPORT_UNKNOWN",
    )
    assert refused(lambda: export(warehouse, tmp_path / "lake", "moves")) == (WarehouseError, "DATABASE_NOT_READY")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every write of a file of rows fails, as on a full disk."""

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device", "1.part")

    monkeypatch.setattr(module.ParquetSink, "write", fail)
    yield


def test_a_full_disk_leaves_the_export_that_stands(bundled: Warehouse, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    export(bundled, tmp_path / "lake", "moves")
    before = stamps(tmp_path / "lake")
    request.getfixturevalue("full_disk")
    with pytest.raises(OSError, match="No space left"):
        export(bundled, tmp_path / "lake", "moves", "price_history")
    check = verify_export(tmp_path / "lake")
    assert check.faults == ()
    assert before.items() <= stamps(tmp_path / "lake").items()


def test_a_database_of_an_unfinished_run_that_cannot_be_read_is_made_anew(bundled: Warehouse, tmp_path: Path) -> None:
    with WorkFolder(tmp_path / "lake", None, "duckdb") as work:
        (work.folder / module.DATABASE).write_bytes(b"no database" * 1000)
        work.note_database()
    export(bundled, tmp_path / "lake", "moves", format="duckdb")
    assert verify_export(tmp_path / "lake").faults == ()
    with duckdb.connect(str(tmp_path / "lake" / module.DATABASE), read_only=True) as database:
        assert database.execute("select count(*) > 100 from moves").fetchall() == [(True,)]


def test_clock_is_not_asked(bundled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows give the same bytes, whenever."""
    monkeypatch.setattr(SystemClock, "now", lambda clock: pytest.fail("the clock is asked"))
    export(bundled, tmp_path / "one", "moves", "events")
    export(bundled, tmp_path / "two", "moves", "events")
    assert {path: sha for path, (_, sha) in stamps(tmp_path / "one").items()} == {
        path: sha for path, (_, sha) in stamps(tmp_path / "two").items()
    }
