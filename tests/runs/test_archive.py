"""Old months leave the warehouse as recordings and come back: nothing is lost on the way, and what needs them says so."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.bronze.batch_load import load_batch
from pipeline.bronze.lookup import body
from pipeline.bronze.verdicts import retry, withdraw
from pipeline.clock import UTC, to_iso
from pipeline.errors import SportsMarketError, UsageError, WarehouseError
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity, exchange_id
from pipeline.recording.store import Recording, content_sha256
from pipeline.replay.cell_explain import Explainer
from pipeline.replay.cell_scope import named_answers
from pipeline.replay.day import prove_day
from pipeline.replay.determinism import compare_with_rebuild
from pipeline.replay.equivalence import compare_full_refresh
from pipeline.replay.verify import verify
from pipeline.runs import archive as archiving
from pipeline.runs.archive import archive, restore
from pipeline.runs.context import RunContext
from pipeline.runs.load import load_recording
from pipeline.transform.apply import apply_batches, rebuild
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from pipeline.warehouse.digest import view_digests
from tests.conftest import Project
from tests.recordings import written
from tests.replay.admission import quarantining
from tests.replay.support import CLOCK, Databases, digests, take

NFL = "americanfootball_nfl"
MARKETS, BOOKS = ("h2h",), ("fanduel", "pinnacle")
PLAN = PlanIdentity({"kind": "test", "sports": [NFL]})
OLD, STRADDLING, YOUNG, OPEN = (f"{number:032x}" for number in (1, 2, 3, 4))
SEPTEMBER, OCTOBER, NOVEMBER, DECEMBER = (dt.date(2025, month, 1) for month in (9, 10, 11, 12))


def poll(at: dt.datetime, shown: dict[str, tuple[dt.datetime, float]], **changes: Any) -> Batch:
    """An answer that shows some events: id → (start, the home side's price)."""
    events = [
        {
            "id": event_id,
            "sport_key": NFL,
            "sport_title": "NFL",
            "commence_time": to_iso(start),
            "home_team": "Home",
            "away_team": "Away",
            "bookmakers": [
                {
                    "key": key,
                    "title": key,
                    "last_update": to_iso(at),
                    "markets": [
                        {
                            "key": "h2h",
                            "last_update": to_iso(at),
                            "outcomes": [{"name": "Away", "price": 2.0}, {"name": "Home", "price": price}],
                        }
                    ],
                }
                for key in BOOKS
            ],
        }
        for event_id, (start, price) in shown.items()
    ]
    exchange = Exchange(
        place=0,
        attempt=1,
        request=ApiRequest.of("odds", sport=NFL, params={"regions": "us", "markets": "h2h", "oddsFormat": "decimal"}),
        coverage=Coverage(sport=NFL, markets=MARKETS, books=BOOKS),
        captured_at=at + dt.timedelta(seconds=1),
        status=200,
        headers=(("x-requests-last", "1"), ("x-simulated", "true")),
        body=json.dumps(events).encode(),
    )
    return Batch(PLAN.batch_id(at), at, PLAN, "import", (replace(exchange, **changes),))


def day(month: int, number: int, hour: int = 12) -> dt.datetime:
    return dt.datetime(2025, month, number, hour, tzinfo=UTC)


# One event of September, one from September to October, one of November, one that is open in December.
BATCHES = (
    poll(day(9, 10), {OLD: (day(9, 11), 1.8)}),
    poll(day(9, 11), {OLD: (day(9, 11), 1.9)}),
    poll(day(9, 12), {}),
    poll(day(9, 28), {STRADDLING: (day(10, 2), 1.7)}),
    # the very same bytes in another month
    poll(day(10, 1, 0), {}),
    poll(day(10, 1), {STRADDLING: (day(10, 2), 1.6)}),
    poll(day(10, 3), {}),
    poll(day(11, 5), {YOUNG: (day(11, 6), 1.5)}),
    poll(day(11, 7), {}),
    poll(day(12, 1), {OPEN: (day(12, 20), 1.4)}),
)
KEPT_WHOLE = ("bronze.batches", "bronze.exchanges", "ops.ledger", "ops.verdicts", "silver.coverage")
BY_MONTH = ("bronze.bodies", "silver.quotes", "silver.event_sightings")


@pytest.fixture(scope="module")
def filled_template(databases: Databases, project: Project) -> Iterator[Warehouse]:
    with databases() as made:
        take(made, project, BATCHES, step=0)
        yield made


@pytest.fixture
def filled(server: Server, filled_template: Warehouse, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    """A warehouse that holds all batches."""
    made = server.clone_database(filled_template, next(clone_names))
    yield made
    server.drop_database(made)


def rows(warehouse: Warehouse, query: str, role: Role = Role.OWNER) -> list[tuple[Any, ...]]:
    with warehouse.connect(role) as connection:
        return connection.execute(query.encode()).fetchall()


def counts(warehouse: Warehouse, tables: Sequence[str] = (*KEPT_WHOLE, *BY_MONTH)) -> dict[str, int]:
    return {table: rows(warehouse, f"select count(*) from {table}")[0][0] for table in tables}


def parts(warehouse: Warehouse, schema: str) -> list[str]:
    return [
        name
        for (name,) in rows(
            warehouse,
            "select relname from pg_class where relkind = 'r' and relname ~ '_[0-9]{4}_[0-9]{2}$'"
            f" and relnamespace = '{schema}'::regnamespace order by 1",
        )
    ]


def views(warehouse: Warehouse) -> dict[str, str]:
    with warehouse.connect(Role.TRANSFORMER) as connection:
        return view_digests(connection)


def refused(what: Any, *arguments: Any, **more: Any) -> SportsMarketError:
    with pytest.raises(SportsMarketError) as raised:
        what(*arguments, **more)
    return raised.value


# --- partitions --------------------------------------------------------------------------------------------------------


def test_a_month_has_its_partitions_as_soon_as_something_comes_in_it(filled: Warehouse) -> None:
    months = ("2025_09", "2025_10", "2025_11", "2025_12")
    assert parts(filled, "bronze") == [f"bodies_{month}" for month in months]
    tables = ("event_sightings", "offered_markets", "participants", "quotes", "scores")
    assert parts(filled, "silver") == [f"{table}_{month}" for table in tables for month in months]
    # each row lies in the month in which its answer was captured; the same bytes lie in each of their months
    assert rows(filled, "select count(*) from silver.quotes_2025_09") == [(12,)]
    empty = BATCHES[4].exchanges[0].sha256
    found = rows(filled, f"select tableoid::regclass::text from bronze.bodies where body_sha256 = '{empty}' order by 1")
    assert [name for (name,) in found] == ["bronze.bodies_2025_09", "bronze.bodies_2025_10", "bronze.bodies_2025_11"]


def test_partitions_are_as_closed_as_their_table(filled: Warehouse) -> None:
    for role in (Role.INGESTER, Role.TRANSFORMER, Role.READER):
        for change in ("update bronze.bodies_2025_09 set byte_count = 1", "delete from bronze.bodies_2025_09"):
            assert "denied" in str(refused_by_server(filled, role, change))
    for change in (
        "update bronze.bodies_2025_09 set byte_count = 1 where false",
        "delete from bronze.bodies_2025_09",
        "truncate bronze.bodies_2025_09",
        "truncate bronze.bodies",
    ):
        assert "append-only" in str(refused_by_server(filled, Role.OWNER, change))
    assert "denied" in str(refused_by_server(filled, Role.READER, "select bronze.make_months(array[date '2030-01-01'])"))
    assert "denied" in str(refused_by_server(filled, Role.INGESTER, "select ops.make_months('silver.quotes', '{2030-01-01}')"))


def refused_by_server(warehouse: Warehouse, role: Role, statement: str) -> Exception:
    import psycopg

    with pytest.raises(psycopg.errors.InsufficientPrivilege) as raised:
        rows(warehouse, statement, role)
    return raised.value


def test_two_loads_race_for_a_new_month_and_both_get_in(prepared: Warehouse) -> None:
    batches = [poll(day(9, number), {OLD: (day(9, 30), 1.5 + number / 100)}) for number in range(1, 9)]

    def load(batch: Batch) -> None:
        with prepared.connect(Role.INGESTER) as ingester:
            assert load_batch(ingester, batch, CLOCK).is_new

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(load, batches))
    assert parts(prepared, "bronze") == ["bodies_2025_09"]
    assert counts(prepared, ("bronze.bodies", "bronze.batches")) == {"bronze.bodies": 8, "bronze.batches": 8}


def test_a_load_that_fails_leaves_no_partition(prepared: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.bronze.batch_load.record_shape", lambda *_: 1 // 0)
    with prepared.connect(Role.INGESTER) as ingester, pytest.raises(ZeroDivisionError):
        load_batch(ingester, BATCHES[0], CLOCK)
    assert parts(prepared, "bronze") == []


# --- out, and back -----------------------------------------------------------------------------------------------------


def test_months_go_out_and_the_recordings_make_the_same_warehouse_elsewhere(
    filled: Warehouse, project: Project, databases: Databases, tmp_path: Path
) -> None:
    before, whole = digests(filled), counts(filled, KEPT_WHOLE)
    summary = archive(filled, NOVEMBER, tmp_path, CLOCK)
    assert summary.exit_code == 0
    assert [(month.month, month.batches) for month in summary.months] == [(SEPTEMBER, 4), (OCTOBER, 3)]
    assert digests(filled) == before
    assert counts(filled, KEPT_WHOLE) == whole
    assert parts(filled, "bronze") == ["bodies_2025_11", "bodies_2025_12"]
    assert "quotes_2025_09" in parts(filled, "detached")
    assert counts(filled, BY_MONTH) == {"bronze.bodies": 3, "silver.quotes": 8, "silver.event_sightings": 2}
    # whole, with the sources and headers that tell what is simulated
    assert list(Recording.open(tmp_path / "2025-09").batches()) == list(BATCHES[:4])
    report = verify(filled, project)
    assert (report.failed, report.archived) == ((), ("2025-09", "2025-10"))
    assert report.outcomes_in_bodies == report.outcomes_in_silver == 8

    with databases() as other:
        for name in ("2025-09", "2025-10"):
            load_recording(tmp_path / name, RunContext(other, project, CLOCK))
        take(other, project, BATCHES[7:])
        assert digests(other) == before


def test_what_was_archived_comes_back_as_it_was(filled: Warehouse, project: Project, tmp_path: Path) -> None:
    before, all_rows, seen = digests(filled), counts(filled), views(filled)
    archive(filled, NOVEMBER, tmp_path, CLOCK, drop=True)
    assert parts(filled, "detached") == []
    # the months before it stay archived
    assert restore(filled, project, OCTOBER, None).to_json() == {"months": ["2025-10"], "batches": 3, "silver": True}
    assert rows(filled, "select month from ops.archived_months") == [(SEPTEMBER,)]
    shutil.move(tmp_path / "2025-09", tmp_path / "elsewhere" / "2025-09")
    assert refused(restore, filled, project, None, None).code == "RECORDING_NOT_FOUND"
    assert restore(filled, project, None, tmp_path / "elsewhere").months == ("2025-09",)
    assert (digests(filled), counts(filled), views(filled)) == (before, all_rows, seen)
    assert verify(filled, project).failed == ()
    rebuild(filled, project)
    assert digests(filled) == before
    # and out again, into what is there
    shutil.move(tmp_path / "elsewhere" / "2025-09", tmp_path / "2025-09")
    assert archive(filled, NOVEMBER, tmp_path, CLOCK).exit_code == 0
    assert refused(restore, filled, project, NOVEMBER, None).code == "MONTH_NOT_ARCHIVED"


def test_views_tell_nothing_of_events_that_are_archived_in_part(filled: Warehouse, tmp_path: Path) -> None:
    begun = "select sum(event_count), sum(archived_count) from gold.closing_coverage where bookmaker_key = 'fanduel'"
    closed = "select event_id, close_status, price_decimal from gold.closings order by series_id"
    before = rows(filled, closed)
    assert len({event for event, *_ in before}) == 3
    assert len(rows(filled, "select distinct event_id from gold.openings")) == 4
    assert {event for (event,) in rows(filled, "select event_id from gold.closings_now")} == {OPEN}
    assert rows(filled, begun) == [(3, 0)]
    archive(filled, OCTOBER, tmp_path, CLOCK)
    # no event falls out of those of its day
    assert rows(filled, begun) == [(3, 2)]
    assert {event for (event,) in rows(filled, "select event_id from gold.openings")} == {YOUNG, OPEN}
    # what is stored of them stays
    assert rows(filled, closed) == before
    assert len(rows(filled, "select distinct event_id from gold.price_history")) == 4


def test_what_is_archived_is_explained_as_far_as_it_goes(filled: Warehouse, tmp_path: Path) -> None:
    """Silver and bodies of it are gone: gold's own rows tell of each other, and all answers cannot be named."""
    archive(filled, NOVEMBER, tmp_path, CLOCK)
    with filled.connect(Role.TRANSFORMER) as connection:
        explainer = Explainer(connection)
        old, young = (explainer.explain("gold.events", {"event_id": event}) for event in (OLD, YOUNG))
        assert old.row is not None and young.row is not None
        assert not old.pieces and "gold.event_start_changes" in {each.relation for each in old.found}
        assert young.pieces and named_answers(connection, young)
        with pytest.raises(WarehouseError) as caught:
            named_answers(connection, old)
    assert caught.value.code == "MONTHS_ARCHIVED"


def test_the_warehouse_goes_on_after_an_archive(
    filled: Warehouse, project: Project, databases: Databases, tmp_path: Path
) -> None:
    more = (poll(day(12, 2), {OPEN: (day(12, 20), 1.3)}), poll(day(12, 3), {}))
    archive(filled, NOVEMBER, tmp_path, CLOCK, drop=True)
    take(filled, project, more)
    with databases() as other:
        take(other, project, (*BATCHES, *more), step=0)
        assert digests(filled) == digests(other)


# --- what stays --------------------------------------------------------------------------------------------------------


def test_a_month_stays_while_something_in_it_may_be_needed(filled: Warehouse, project: Project, tmp_path: Path) -> None:
    summary = archive(filled, dt.date(2026, 1, 1), tmp_path, CLOCK, dry_run=True)
    assert summary.exit_code == 1
    assert {month.month: month.reasons for month in summary.months} == {
        SEPTEMBER: (),
        OCTOBER: (),
        NOVEMBER: (),
        DECEMBER: ("it is the newest month, and more may come", f"event {OPEN} is still listed"),
    }
    assert not list(tmp_path.iterdir())
    with filled.connect(Role.INGESTER) as ingester:
        load_batch(ingester, poll(day(10, 20), {}), CLOCK)
    told = {month.month: month.reasons for month in archive(filled, DECEMBER, tmp_path, CLOCK).months}
    assert told[SEPTEMBER] == ()
    assert told[OCTOBER] == (f"batch {PLAN.batch_id(day(10, 20))}: it is sealed",)
    assert told[NOVEMBER] == ("2025-10 stays, and with it all later months",)
    assert rows(filled, "select month from ops.archived_months") == [(SEPTEMBER,)]


def test_an_answer_that_is_not_admitted_is_not_the_newest(prepared: Warehouse, project: Project, tmp_path: Path) -> None:
    """Gold does not know of its time: a grade that waits for later answers would be archived before it is settled."""
    newest = BATCHES[-1]
    with quarantining([(newest, newest.exchanges[0])]):
        take(prepared, project, (*BATCHES[:7], newest))
    told = {month.month: month.reasons for month in archive(prepared, DECEMBER, tmp_path, CLOCK).months}
    assert told[SEPTEMBER] == (f"event {STRADDLING} was shown in the last week",)
    assert told[OCTOBER][0] == "it is the newest month, and more may come"


def test_an_event_whose_grade_waits_keeps_its_month(
    prepared: Warehouse, project: Project, databases: Databases, tmp_path: Path
) -> None:
    """Other sports go on, and its own has no answer after the three days in which a score may come."""
    other = poll(day(12, 1), {OPEN: (day(12, 20), 1.4)})
    [exchange] = other.exchanges
    body = (exchange.body or b"").replace(NFL.encode(), b"basketball_nba")
    request = ApiRequest.of("odds", sport="basketball_nba", params=dict(exchange.request.params))
    coverage = replace(exchange.coverage, sport="basketball_nba")
    elsewhere = replace(other, exchanges=(replace(exchange, request=request, coverage=coverage, body=body),))
    take(prepared, project, (*BATCHES[:7], elsewhere))
    months = {month.month: month.reasons for month in archive(prepared, DECEMBER, tmp_path, CLOCK).months}
    assert months[SEPTEMBER] == (f"event {STRADDLING} may still get its score",)
    # and once it is known that none comes, it goes
    take(prepared, project, BATCHES[7:9])
    assert archive(prepared, NOVEMBER, tmp_path, CLOCK).exit_code == 0
    with databases() as fresh:
        take(fresh, project, (*BATCHES[:9], elsewhere), step=0)
        assert digests(prepared) == digests(fresh)


@pytest.mark.parametrize(
    ("last", "why"),
    [
        ({"at": day(10, 5), "shown": {OLD: (day(9, 11), 1.9)}}, "is still listed"),
        ({"at": day(12, 6), "shown": {}}, "was shown in the last week"),
    ],
)
def test_an_event_that_is_not_over_keeps_its_first_month(
    prepared: Warehouse, project: Project, tmp_path: Path, last: dict[str, Any], why: str
) -> None:
    shown = (poll(day(9, 10), {OLD: (day(9, 11), 1.8)}), poll(day(12, 1), {OLD: (day(9, 11), 1.8)}))
    take(prepared, project, (*shown[: 1 if "listed" in why else 2], poll(**last)))
    [month, *_] = archive(prepared, OCTOBER, tmp_path, CLOCK).months
    assert month.reasons == (f"event {OLD} {why}",)


# --- what needs archived months ----------------------------------------------------------------------------------------


def test_what_needs_archived_months_names_them_and_changes_nothing(
    filled: Warehouse, project: Project, server: Server, tmp_path: Path
) -> None:
    archive(filled, NOVEMBER, tmp_path, CLOCK)
    before = (digests(filled), counts(filled))
    answer = exchange_id(BATCHES[3].batch_id, 0, 1)
    late = poll(day(9, 29), {STRADDLING: (day(10, 2), 1.1)})
    with filled.connect(Role.INGESTER) as ingester:
        asked = {
            "a late batch": lambda: load_batch(ingester, late, CLOCK),
            "a decision": lambda: withdraw(ingester, answer, "why", CLOCK),
            "another": lambda: retry(ingester, answer, CLOCK),
            "a body": lambda: body(ingester, answer),
            "a rebuild": lambda: rebuild(filled, project),
            "a full refresh": lambda: compare_full_refresh(server, filled, project),
            "a proof": lambda: compare_with_rebuild(filled, project, BATCHES[5].batch_id),
        }
        for name, act in asked.items():
            error = refused(act)
            ingester.rollback()
            assert isinstance(error, WarehouseError), name
            assert (error.code, "2025-10" in error.message) == ("MONTHS_ARCHIVED", True), name
            assert "archive --restore --since 2025-" in error.next_step, name
        # what is known already is no late batch
        assert not load_batch(ingester, BATCHES[0], CLOCK).is_new
    assert (digests(filled), counts(filled)) == before


def test_what_is_here_is_proven_beside_archived_months(filled: Warehouse, project: Project, tmp_path: Path) -> None:
    archive(filled, NOVEMBER, tmp_path, CLOCK)
    following = poll(day(12, 2), {OPEN: (day(12, 20), 1.3)})
    with filled.connect(Role.INGESTER) as ingester:
        load_batch(ingester, following, CLOCK)
    applied = apply_batches(filled, project.program, [following.batch_id], CLOCK, prove=True)
    assert applied.published and applied.checks[-1].name == "rebuilt"
    spool = Recording.open(written(tmp_path / "spool", [*BATCHES, following]))
    for at in (day(12, 1), day(12, 2), day(11, 5)):
        proof = prove_day(filled, project.program, spool, at.date())
        assert (proof.exit_code, proof.published, proof.events, len(proof.checks)) == (0, 1, 1, 2)
    error = refused(lambda: prove_day(filled, project.program, spool, day(10, 1).date()))
    assert error.code == "MONTHS_ARCHIVED"


def test_a_batch_that_shows_an_archived_event_is_withheld_until_its_months_are_back(
    filled: Warehouse, project: Project, databases: Databases, tmp_path: Path
) -> None:
    archive(filled, OCTOBER, tmp_path, CLOCK)
    before = digests(filled)
    again = poll(day(12, 2), {STRADDLING: (day(12, 5), 1.2), OPEN: (day(12, 20), 1.4)})
    with filled.connect(Role.INGESTER) as ingester:
        load_batch(ingester, again, CLOCK)
    applied = apply_batches(filled, project, [again.batch_id], CLOCK)
    assert not applied.published
    assert "MONTHS_ARCHIVED: this needs months that are archived: 2025-09." in str(applied.failed[0].message)
    assert digests(filled) == before
    restore(filled, project, None, None)
    assert apply_batches(filled, project, [again.batch_id], CLOCK).published
    with databases() as other:
        take(other, project, (*BATCHES, again), step=0)
        assert digests(filled) == digests(other)


def test_plain_dbt_refuses_a_full_refresh_too(filled: Warehouse, project: Project, tmp_path: Path) -> None:
    archive(filled, OCTOBER, tmp_path, CLOCK)
    results = project.invoke("run", ["--full-refresh", "--select", "quotes"], filled.dbt_env(Role.TRANSFORMER))
    assert any("MONTHS_ARCHIVED" in str(result.message) and "2025-09" in str(result.message) for result in results)
    assert rows(filled, "select count(*) from silver.quotes where captured_at < '2025-11-01Z'") == [(4,)]


def test_after_a_change_of_the_models_months_come_back_for_a_rebuild(
    filled: Warehouse, project: Project, tmp_path: Path
) -> None:
    before = digests(filled)
    archive(filled, NOVEMBER, tmp_path, CLOCK, drop=True)
    rows(filled, "update ops.fingerprints set fingerprint = 'x' where model = 'quotes' returning 1", Role.TRANSFORMER)
    assert refused(rebuild, filled, project).code == "MONTHS_ARCHIVED"
    summary = restore(filled, project, None, None)
    assert not summary.silver
    assert "rebuild" in summary.lines()[-1]
    rebuild(filled, project)
    assert digests(filled) == before
    assert verify(filled, project).failed == ()


# --- trouble -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["_write", "_check", "_detach", "_parts"])
def test_a_run_that_was_killed_is_run_again(
    filled: Warehouse, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Before, and in the middle of, each step of the second month."""
    before, all_rows = digests(filled), counts(filled)
    original, calls = getattr(archiving, stage), []

    def dying(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            if stage == "_write":
                arguments = (*arguments[:3], lambda done, total: 1 // 0)
            elif stage == "_parts":
                return [*original(*arguments), ("silver", "quotes", "nowhere")]
            else:
                raise KeyboardInterrupt
        return original(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(archiving, stage, dying)
        with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like
            archive(filled, NOVEMBER, tmp_path, CLOCK)
    assert rows(filled, "select month from ops.archived_months") == [(SEPTEMBER,)]
    assert "quotes_2025_10" in parts(filled, "silver")
    assert archive(filled, NOVEMBER, tmp_path, CLOCK).exit_code == 0
    assert digests(filled) == before
    with monkeypatch.context() as patch:
        patch.setattr(archiving, "restore_silver", lambda *_: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            restore(filled, project, None, None)
    # bodies are back, but nobody may build on half of it
    assert len(rows(filled, "select month from ops.archived_months")) == 2
    restore(filled, project, None, None)
    assert (digests(filled), counts(filled)) == (before, all_rows)


def test_nothing_is_detached_that_was_not_read_back_right(
    filled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = archiving._write

    def flipping(connection: Any, batch_ids: Any, folder: Path, progress: Any) -> None:
        original(connection, batch_ids, folder, progress)
        [file, *_] = sorted(folder.glob("batches/*/*.odds.json"))
        file.write_bytes(file.read_bytes()[:-1] + b" ")

    with monkeypatch.context() as patch:
        patch.setattr(archiving, "_write", flipping)
        assert refused(archive, filled, NOVEMBER, tmp_path, CLOCK).code == "RECORDING_HASH_MISMATCH"
    assert rows(filled, "select month from ops.archived_months") == []
    # a body that somebody changed in bronze
    shutil.rmtree(tmp_path / "2025-09")
    with filled.connect(Role.OWNER) as owner:
        owner.execute("alter table bronze.bodies_2025_09 disable trigger append_only")
        owner.execute("update bronze.bodies_2025_09 set body = '[ ]' where body = '[]'")
        owner.commit()
    assert refused(archive, filled, NOVEMBER, tmp_path, CLOCK).code == "ARCHIVE_DIFFERS"
    assert parts(filled, "detached") == []


def test_a_load_in_between_keeps_the_month(
    filled: Warehouse, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = archiving._check

    def late(*arguments: Any) -> None:
        original(*arguments)
        take(filled, project, [poll(day(9, 20), {})])

    with monkeypatch.context() as patch:
        patch.setattr(archiving, "_check", late)
        assert refused(archive, filled, OCTOBER, tmp_path, CLOCK).code == "WAREHOUSE_BUSY"
    assert archive(filled, OCTOBER, tmp_path, CLOCK).months[0].batches == 5


def test_a_batch_across_two_months_is_in_both_recordings(prepared: Warehouse, project: Project, tmp_path: Path) -> None:
    at = dt.datetime(2025, 9, 30, 23, 59, 59, tzinfo=UTC)
    one = poll(at, {OLD: (day(10, 2), 1.8)}, captured_at=at)
    later = replace(one.exchanges[0], place=1, captured_at=at + dt.timedelta(seconds=5), body=one.exchanges[0].body)
    across = replace(one, exchanges=(*one.exchanges, later))
    batches = (across, poll(day(10, 3), {}), poll(day(12, 1), {}))
    take(prepared, project, batches)
    before = digests(prepared)
    archive(prepared, NOVEMBER, tmp_path, CLOCK, drop=True)
    for name in ("2025-09", "2025-10"):
        assert content_sha256(Recording.open(tmp_path / name).read(across.batch_id)) == content_sha256(across)
    restore(prepared, project, None, None)
    assert digests(prepared) == before
    assert verify(prepared, project).failed == ()


# --- the command -------------------------------------------------------------------------------------------------------


def test_the_command(
    filled: Warehouse, own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", filled.conninfo(Role.OWNER))
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", filled.role_prefix)
    monkeypatch.setenv("SPORTS_MARKET_STATE_DIR", str(own_state))
    out = str(tmp_path / "archive")

    def run(*arguments: str) -> tuple[int, Any]:
        code = cli.main(["archive", *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    code, told = run("--before", "2026-01", "--out", out, "--dry-run")
    assert (code, [month["month"] for month in told["months"]]) == (1, ["2025-09", "2025-10", "2025-11", "2025-12"])
    code, told = run("--before", "2025-10", "--out", out, "--drop")
    assert (code, told["months"][0]["recording"]) == (0, f"{out}/2025-09")
    assert cli.main(["rebuild"]) == 3
    assert "MONTHS_ARCHIVED" in capsys.readouterr().err
    assert run("--restore", "--since", "2025-09") == (0, {"months": ["2025-09"], "batches": 4, "silver": True})
    with pytest.raises(UsageError):
        archiving_month("2025-13")
    assert cli.main(["archive", "--before", "2025-10", "--since", "2025-09"]) == 2
    assert cli.main(["archive", "--before", "September"]) == 2


def archiving_month(text: str) -> dt.date:
    from pipeline.warehouse.months import month_from

    return month_from(text)


def test_a_restore_that_would_apply_something_else_is_refused(filled: Warehouse, project: Project, tmp_path: Path) -> None:
    archive(filled, OCTOBER, tmp_path, CLOCK)
    rows(filled, f"update ops.ledger set admitted = false where batch_id = '{BATCHES[0].batch_id}' returning 1", Role.INGESTER)
    error = refused(restore, filled, project, None, None)
    assert error.code == "RESTORE_FAILED"
    assert rows(filled, "select month from ops.archived_months") == [(SEPTEMBER,)]
