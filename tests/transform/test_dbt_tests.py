"""dbt's own tests run in this project as they do by hand: unit tests of the formulas, and whole-table tests at night."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from pipeline.contracts.tables import read_contracts
from pipeline.transform.project import NodeResult
from pipeline.warehouse.connect import Role


def run(market: Any, *selection: str) -> dict[str, NodeResult]:
    """The tests that dbt ran, by name."""
    results = market.project.invoke("test", ["--select", *selection], market.warehouse.dbt_env(Role.TRANSFORMER))
    return {result.name: result for result in results if result.resource_type in ("test", "unit_test")}


@pytest.fixture(scope="module")
def filled(module_market: Any) -> Any:
    """A market with a row in most tables."""
    market = module_market
    prices = {"h2h": [("Home", 1.8), ("Away", 2.1)], "totals": [("Over", 1.9, 41), ("Under", 1.9, 41)]}
    score = {
        "completed": True,
        "scores": [{"name": "Home", "score": "21"}, {"name": "Away", "score": "7"}],
        "last_update": None,
    }
    for minute in (0, 10, 80):
        # one that has begun by the second look, and one that is told of an hour before its start
        games = [market.game(name, start, [market.book("fanduel", prices, minute)]) for name, start in (("e", 5), ("h", 70))]
        market.load(
            minute,
            market.odds(*games),
            market.events(market.game("e", 5, None)),
            market.scores(
                market.game("s", -200, None, **score), *([market.game("h", 70, None, **score)] if minute == 80 else [])
            ),
        )
    market.publish()
    return market


@pytest.fixture
def broken(filled: Any) -> Iterator[Any]:
    """A session whose changes are committed, as dbt has its own; what it changes is put back by hand."""
    with filled.warehouse.connect(Role.TRANSFORMER, autocommit=True) as connection:
        yield connection


def test_the_unit_tests_of_the_formulas_pass(filled: Any) -> None:
    found = run(filled, "test_type:unit")
    assert {name: result.message for name, result in found.items() if result.status != "pass"} == {}
    assert {"quotes_prices", "quotes_sets", "quotes_line_point", "quotes_line_rank", "start_walk_after_the_start"} <= set(found)


def test_the_whole_table_tests_pass_on_sound_rows(filled: Any) -> None:
    found = run(filled, "tag:nightly")
    assert {name: result.message for name, result in found.items() if not result.ok} == {}
    assert len(found) > 30


@pytest.mark.parametrize(
    ("test", "break_it", "mend_it"),
    [
        pytest.param(
            "relationships_price_history_event_id",
            "update gold.price_history set event_id = event_id || 'x'",
            "update gold.price_history set event_id = left(event_id, -1)",
            id="relationships",
        ),
        pytest.param(
            "dbt_utils_unique_combination_of_columns_quotes_exchange_id",
            "insert into silver.quotes"
            " select (jsonb_populate_record(q, jsonb_build_object('quote_id', md5(q.quote_id::text)))).*"
            " from silver.quotes as q",
            "delete from silver.quotes where quote_id in (select md5(q.quote_id::text)::uuid from silver.quotes as q)",
            id="unique combination",
        ),
        pytest.param(
            "horizons_are_sampled",
            "update gold.clv set probability_taken = probability_taken + 0.01 where horizon = '1h' and outcome_side = 'over'",
            "update gold.clv set probability_taken = probability_taken - 0.01 where horizon = '1h' and outcome_side = 'over'",
            id="horizons of clv",
        ),
        pytest.param(
            "horizons_are_sampled",
            "update gold.calibration_observations set probability = probability + 0.01 where market_key = 'totals'",
            "update gold.calibration_observations set probability = probability - 0.01 where market_key = 'totals'",
            id="horizons of calibration",
        ),
    ],
)
def test_a_whole_table_test_can_fail(filled: Any, broken: Any, test: str, break_it: str, mend_it: str) -> None:
    [name] = {node.name for node in filled.project.manifest().nodes.values() if node.name.startswith(test)}
    broken.execute(break_it)
    try:
        assert {found: result.status for found, result in run(filled, name).items()} == {name: "fail"}
    finally:
        broken.execute(mend_it)
    assert run(filled, name)[name].ok


def test_every_stored_table_has_a_whole_table_test_of_its_key(filled: Any) -> None:
    nodes = filled.project.manifest().nodes.values()
    stored = {
        node.name for node in nodes if str(node.resource_type) == "model" and node.config.materialized in ("ledgered", "view")
    }
    unique = {
        node.attached_node.rpartition(".")[2]
        for node in nodes
        if str(node.resource_type) == "test" and "unique_combination_of_columns" in node.name
    }
    # what these sightings say is counted by the blocking checks, and their tables refuse a second row of one key
    sightings = {"bookmaker_sightings", "offered_markets", "participants", "sport_sightings"}
    # of staging the contracts count it, as they open each body anyway
    assert stored - unique == sightings | {name for name in stored if name.startswith("stg_")}


def test_keys_are_those_of_the_contracts_and_values_are_promised_there_only(filled: Any) -> None:
    tests = [node for node in filled.project.manifest().nodes.values() if str(node.resource_type) == "test"]
    keys = {
        node.attached_node.rpartition(".")[2]: tuple(node.test_metadata.kwargs["combination_of_columns"])
        for node in tests
        if "unique_combination_of_columns" in node.name and node.attached_node.startswith("model.")
    }
    promised = {contract.table: contract.key for contract in read_contracts()}
    # these have a hash for a key, and the test is of what it is the hash of
    hashed = ("quotes", "best_price", "closing_consensus", "outcome_grades", "market_openings")
    assert keys == {table: keys[table] if table in hashed else promised[table] for table in keys}
    values = [node for node in tests if node.name.startswith("accepted_values_")]
    assert {node.attached_node.rpartition(".")[2] for node in values} == {
        "market_rules",
        "book_profile",
        "result_override",
    }


def test_no_price_on_the_way_is_a_float(filled: Any) -> None:
    [(price,)] = filled.rows(
        "select distinct best_price_decimal from gold.best_price where outcome_name = 'Home' and valid_to is null"
    )
    assert isinstance(price, Decimal)
