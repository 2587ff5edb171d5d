"""Suites of the tables' contracts on the bundled recording: all hold, each rule can fail, and none is silently left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.bronze.load import load_batch
from pipeline.clock import SystemClock
from pipeline.contracts.commands import run
from pipeline.contracts.mutations.tables import false_alarms, score
from pipeline.contracts.row_rules import count_broken
from pipeline.contracts.suites import SuitesReport, run_suites, write_data_docs
from pipeline.contracts.tables import Rule, TableContract, read_contracts
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.transform.apply import apply_batches
from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server


@pytest.fixture(scope="module")
def loaded(
    server: Server, prepared_template: Warehouse, clone_names: Iterator[str], project: DbtProject
) -> Iterator[Warehouse]:
    """The bundled recording, all of it."""
    made = server.clone_database(prepared_template, next(clone_names))
    recording, clock = Recording.open(resource("fixtures/recordings/simulated")), SystemClock()
    with made.connect(Role.INGESTER) as connection:
        for batch in recording.batches():
            load_batch(connection, batch, clock)
    assert apply_batches(made, project, recording.batch_ids, clock).published
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
    report = run(loaded)
    assert [suite for suite in report.suites if not suite.ok] == []
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
    assert broken.example and len(broken.example.split()) == 4
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


def test_every_rule_is_killed_and_no_good_row_is_accused(loaded: Warehouse) -> None:
    trials = score(loaded)
    assert [trial for trial in trials if trial[2] is None] == []
    assert {rule for rule, _, _ in trials} == {f"{each.name}.{rule.name}" for each in read_contracts() for rule in each.rules}
    assert {"contract", "contract and table"} == {killer for _, _, killer in trials}
    assert false_alarms(loaded) == []


def test_data_docs_hold_the_rules(history: TableContract, tmp_path: Path) -> None:
    write_data_docs([history], tmp_path / "docs")
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "docs").rglob("*.html")]
    assert any("valid_from_before_valid_to" in page and "A stretch ends after it begins." in page for page in pages)
