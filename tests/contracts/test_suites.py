"""Suites of the tables' contracts on the bundled recording: all hold, each rule can fail, and none is silently left out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.clock import ManualClock, SystemClock
from pipeline.contracts import suites
from pipeline.contracts.commands import run
from pipeline.contracts.freshness import freshness, parse_age
from pipeline.contracts.row_rules import rows_query
from pipeline.contracts.suites import SuitesReport, run_suites, write_data_docs
from pipeline.contracts.tables import Rule, TableContract, read_contracts
from pipeline.errors import UsageError
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from tests.conftest import Project
from tests.contracts.mutations.score import Score
from tests.contracts.mutations.tables import count_broken, false_alarms, score
from tests.recordings import fill


@pytest.fixture(scope="module")
def loaded(server: Server, prepared_template: Warehouse, clone_names: Iterator[str], project: Project) -> Iterator[Warehouse]:
    """The bundled recording, all of it."""
    made = server.clone_database(prepared_template, next(clone_names))
    fill(made, project, SystemClock())
    yield made
    server.drop_database(made)


@pytest.fixture
def history() -> TableContract:
    [found] = [each for each in read_contracts() if each.name == "gold.price_history"]
    return found


def having(contract: TableContract, condition: str, severity: str = "error") -> TableContract:
    rule = Rule("one_more", "One more.", "accuracy", severity, condition)
    return replace(contract, written_rules=(*contract.written_rules, rule))


def test_every_contract_holds_on_the_bundled_recording(loaded: Warehouse) -> None:
    told: list[tuple[int, int]] = []
    report = run(loaded, progress=lambda done, total: told.append((done, total)))
    assert told == [(number, len(read_contracts())) for number in range(1, len(read_contracts()) + 1)]
    assert [(suite.contract, suite.broken, suite.problem) for suite in report.suites if not suite.ok] == []
    assert report.exit_code == 0 and len(report.suites) == len(read_contracts())
    assert all(suite.evaluated == 3 for suite in report.suites)


def test_a_broken_rule_is_named_with_rows_and_an_example(loaded: Warehouse, history: TableContract) -> None:
    [found] = run_suites(loaded, [having(history, "observations <> 1")])
    [broken] = found.broken
    assert not found.ok and found.problem is None and broken.rule == "one_more"
    with loaded.connect(Role.READER) as connection:
        row = connection.execute("select count(*) from gold.price_history where observations = 1").fetchone()
        assert row == (broken.failing,)
        assert count_broken(connection, having(history, "observations <> 1")) == (broken,)
    assert broken.example and len(broken.example.partition(": ")[0].split()) == 4
    assert broken.example.endswith('{"observations": 1}')
    assert SuitesReport((found,)).exit_code == 1 and any("one_more" in line for line in SuitesReport((found,)).lines())


def test_a_warning_does_not_fail(loaded: Warehouse, history: TableContract) -> None:
    [found] = run_suites(loaded, [having(history, "observations <> 1", "warning")])
    assert found.ok and found.warnings == ("one_more",)


def test_a_rule_with_colons_and_percent_signs_is_taken_as_it_is(loaded: Warehouse, history: TableContract) -> None:
    [found] = run_suites(loaded, [having(history, "market_key not like '%:nothing%' and line_rank::text <> ':x'")])
    assert found.ok, found


@pytest.mark.parametrize("kind", ["missing", "columns", "type", "error"])
def test_a_suite_that_cannot_run_or_meets_another_table_fails(loaded: Warehouse, history: TableContract, kind: str) -> None:
    first, *others = history.columns
    given = {
        "missing": replace(history, table="nothing"),
        "columns": replace(history, columns=(*others[::-1], first)),
        "type": replace(history, columns=(replace(first, physical_type="text"), *others)),
        "error": having(history, "1 / (line_rank - line_rank) = 1"),
    }[kind]
    [found] = run_suites(loaded, [given])
    assert not found.ok and SuitesReport((found,)).exit_code == 1
    said = {"missing": "no such table", "columns": "columns: found series_id", "error": "division by zero"}.get(kind)
    if said is not None:
        assert said in (found.problem or "")
    else:
        assert [(each.rule, each.example) for each in found.broken] == [("series_id_has_its_type", "uuid not null")]


def test_no_suite_at_all_is_a_failure() -> None:
    assert SuitesReport(()).exit_code == 1


# --- mutants ---------------------------------------------------------------------------------------------------------


@pytest.mark.proof(cases=0)  # `nox -s mutation`
def test_every_rule_is_killed_everywhere_and_no_good_row_is_accused(loaded: Warehouse, project: Project) -> None:
    contracts = read_contracts()
    result = score(loaded, project.scopes())
    assert result.ok, result.text()
    places = {(trial.rule, trial.place) for trial in result.trials}
    rules = {f"{each.name}.{rule.name}" for each in contracts for rule in each.rules}
    blocking = {f"{each.name}.{rule.name}" for each in contracts if each.is_checked_per_batch for rule in each.rules}
    structural = {f"{each.name}.{rule.name}" for each in contracts if not each.is_view for rule in each.rules}
    refused = {rule for rule in structural if rule.endswith(("_is_there", ".key_is_unique"))}
    assert places == {
        *((rule, "suite") for rule in rules), *((rule, "batch") for rule in blocking), *((rule, "table") for rule in refused)
    }  # fmt: skip
    with loaded.connect(Role.READER) as connection:
        left = connection.execute("select relname from pg_class where relname in ('all_mutants', 'mutants', 'twins')")
        assert left.fetchall() == []


def survivors(result: Score) -> set[tuple[str, str]]:
    assert result.exit_code == 1 and result.percent < 100
    return {(trial.rule.rpartition(".")[2], trial.place) for trial in result.trials if not trial.killed}


def test_a_rule_that_sleeps_is_named(loaded: Warehouse, history: TableContract, project: Project) -> None:
    first, *others = history.written_rules
    sleepy = replace(history, written_rules=(replace(first, condition="true"), *others))
    found = survivors(score(loaded, project.scopes(), [sleepy]))
    assert found == {(first.name, "suite"), (first.name, "batch")}


def test_a_batch_that_is_not_looked_at_is_named(loaded: Warehouse, history: TableContract) -> None:
    found = survivors(score(loaded, {history.name: "false"}, [history]))
    named = {rule.name for rule in history.rules if not rule.name.endswith(("_is_there", "key_is_unique"))}
    assert found == {(name, "batch") for name in named}


def test_a_suite_that_misses_rows_is_named(
    loaded: Warehouse, history: TableContract, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def part(contract: TableContract) -> str:
        return rows_query(contract, f"(select * from {contract.name} where line_rank > 0) as part")

    suites._suite.cache_clear()
    monkeypatch.setattr(suites, "rows_query", part)
    found = survivors(score(loaded, project.scopes(), [history]))
    suites._suite.cache_clear()
    assert found == {("line_rank_counts_from_1", "suite"), ("line_rank_is_there", "suite")}


def test_a_rule_without_a_mutant_and_a_rule_that_accuses_good_rows_are_named(
    loaded: Warehouse, history: TableContract, project: Project
) -> None:
    result = score(loaded, project.scopes(), [having(history, "observations <> 1")])
    assert result.silent == ["gold.price_history.one_more: there is no mutant"]
    assert any("by one_more" in each for each in result.accused) and result.exit_code == 1
    assert false_alarms(loaded) == []


# --- freshness -------------------------------------------------------------------------------------------------------

NEWEST = dt.datetime(2024, 10, 28, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("age", "max_age", "is_fresh"),
    [
        (dt.timedelta(minutes=59), None, True),
        (dt.timedelta(minutes=61), None, False),
        (dt.timedelta(minutes=61), "2h", True),
        (dt.timedelta(days=3), "2d", False),
    ],
)
def test_ages_are_held_against_the_latency_or_what_is_asked_for(
    loaded: Warehouse, age: dt.timedelta, max_age: str | None, is_fresh: bool
) -> None:
    limit = None if max_age is None else parse_age(max_age)
    found = freshness(loaded, ManualClock(NEWEST + age), read_contracts(), limit)
    assert {each.contract for each in found} == {each.name for each in read_contracts()}
    assert {(each.newest_at, each.age, each.is_fresh) for each in found} == {(NEWEST, age, is_fresh)}


def test_a_stale_warehouse_is_a_warning_until_an_age_is_asked_for(loaded: Warehouse, history: TableContract) -> None:
    later = ManualClock(NEWEST + dt.timedelta(days=1))
    warned = run(loaded, [history], later)
    assert warned.exit_code == 0 and not warned.to_json()["freshness"][0]["fresh"]
    assert any(line.startswith("stale") and "2024-10-28T12:00:00Z" in line for line in warned.lines())
    assert run(loaded, [history], later, dt.timedelta(hours=23)).exit_code == 1
    assert run(loaded, [history], later, dt.timedelta(hours=25)).exit_code == 0
    # nothing that could be fresh is not fresh
    assert run(loaded, [replace(history, latency=None)], later, dt.timedelta(hours=25)).exit_code == 1


def test_a_batch_that_waits_and_an_empty_warehouse_are_stale(prepared: Warehouse) -> None:
    clock = ManualClock(NEWEST)
    assert {each.is_fresh for each in freshness(prepared, clock, read_contracts())} == {False}
    with prepared.connect(Role.INGESTER) as connection:
        for number, (state, changed) in enumerate((("published", NEWEST), ("sealed", NEWEST - dt.timedelta(hours=2)))):
            connection.execute("insert into bronze.batches values (%s, %s, 'p', '{}', 'import', 1, '')", [f"b{number}", NEWEST])
            connection.execute("insert into ops.batch_states values (%s, %s, null, %s)", [f"b{number}", state, changed])
        connection.execute("select bronze.make_months(array[ops.month_of(%s)])", [NEWEST])
        connection.execute("insert into bronze.bodies values ('x', 2, '[]', '[]', ops.month_of(%s))", [NEWEST])
        connection.execute(
            "insert into bronze.exchanges"
            " values (gen_random_uuid(), 'b0', 0, 1, 'odds', null, null, '{}', '{}', %s, 200, '{}', 'x')",
            [NEWEST],
        )
        connection.commit()
    [first, *_] = freshness(prepared, clock, read_contracts())
    assert (first.newest_at, first.waiting_since, first.is_fresh) == (NEWEST, NEWEST - dt.timedelta(hours=2), False)
    assert all(each.is_fresh for each in freshness(prepared, clock, read_contracts(), dt.timedelta(hours=3)))


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1.5h", "1w", "1h30m", "9999999s"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_age(text)


def test_data_docs_hold_the_rules(history: TableContract, tmp_path: Path) -> None:
    write_data_docs([history], tmp_path / "docs")
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "docs").rglob("*.html")]
    assert any("valid_from_before_valid_to" in page and "A stretch ends after it begins." in page for page in pages)
