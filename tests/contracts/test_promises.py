"""Contracts are built: from dbt's YAML, a small promise, and what all of them share; and each mistake in those is named."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
import yaml

from pipeline.contracts.commands import export
from pipeline.contracts.promises import FOLDER, documents, project_files, read_promises
from pipeline.contracts.tables import SUFFIX, contracts_of, parse_contract, read_contracts
from pipeline.errors import SetupError
from pipeline.resources import resource
from tests.contracts.mutations.tables import broken_rows, written_rows

SHARED: Final = """
document:
  {apiVersion: v3.2.0, kind: DataContract, status: active, domain: odds, dataProduct: ours, team: {name: us}}
usage: Read it.
latency: {value: 1, unit: h, driver: analytics, description: Soon.}
evaluated: {per_batch: each batch, whole_table: all rows, per_answer: some rows}
units:
  types: {timestamptz: UTC}
  columns: {decimal odds: [price]}
values: {side: [back, lay]}
rules:
  price_is_above_1: {says: Above 1., dimension: accuracy, holds: price > 1, broken_by: [{price: "1"}]}
"""
MODELS: Final = """
version: 2
models:
  - name: prices
    description: "Prices. One per book."
    constraints:
      - type: primary_key
        columns: [book, at]
    columns:
      - name: book
        description: "{{ doc('book') }}"
        data_type: text
        constraints: [{type: not_null}]
      - name: at
        description: "When."
        data_type: timestamptz
        constraints: [{type: not_null}]
      - name: price
        description: "{{ doc( \\"book\\" ) }} Its price."
        data_type: "numeric(14,8)[]"
      - name: side
        description: "Side."
        data_type: text
      - name: stake
        description: "Stake."
        data_type: integer
        config: {meta: {unit: euro}}
"""
PROMISE: Final = """
version: 1.2.3
dated_by: at
cut: {moment: at}
values: {side: shared, book: ["a", "yes"]}
rules:
  price_is_above_1: shared
  stake_is_small:
    says: A stake is small.
    dimension: accuracy
    severity: warning
    holds: >-
      stake
      < 10
    broken_by:
      - {stake: "10", where: side = 'back'}
      - {stake: "11"}
"""
VIEW: Final = MODELS.replace("constraints:\n      - type: primary_key\n        columns: [book, at]\n    ", "")
PATH: Final = f"{FOLDER}/gold.prices.yml"


def project(promise: str = PROMISE, models: str = MODELS, shared: str = SHARED) -> dict[str, str]:
    return {
        f"{FOLDER}/_shared.yml": shared,
        PATH: promise,
        "dbt/models/gold/_gold.yml": models,
        "dbt/models/columns.md": "{% docs book %}\nBookmaker.\n{% enddocs %}",
    }


def faults(*arguments: str, **others: str) -> str:
    with pytest.raises(SetupError) as caught:
        contracts_of(project(*arguments, **others))
    assert caught.value.code == "CONTRACT_INVALID"
    return caught.value.message


def test_a_document_is_built_of_all_three() -> None:
    assert documents(project()) == {
        "gold.prices": {
            "apiVersion": "v3.2.0",
            "kind": "DataContract",
            "id": "ours.gold.prices",
            "name": "gold.prices",
            "version": "1.2.3",
            "status": "active",
            "domain": "odds",
            "dataProduct": "ours",
            "description": {"purpose": "Prices.", "usage": "Read it."},
            "schema": [
                {
                    "name": "prices",
                    "physicalName": "gold.prices",
                    "physicalType": "table",
                    "logicalType": "object",
                    "description": "Prices. One per book.",
                    "dataGranularityDescription": "One row per book, at.",
                    "customProperties": [{"property": "evaluated", "value": "per_batch", "description": "each batch"}],
                    "properties": [
                        {
                            "name": "book",
                            "physicalType": "text",
                            "logicalType": "string",
                            "required": True,
                            "primaryKey": True,
                            "primaryKeyPosition": 1,
                            "description": "Bookmaker.",
                            "enum": [{"value": "a"}, {"value": "yes"}],
                        },
                        {
                            "name": "at",
                            "physicalType": "timestamptz",
                            "logicalType": "timestamp",
                            "required": True,
                            "primaryKey": True,
                            "primaryKeyPosition": 2,
                            "description": "When.",
                            "customProperties": [{"property": "unit", "value": "UTC"}],
                        },
                        {
                            "name": "price",
                            "physicalType": "numeric(14,8)[]",
                            "logicalType": "array",
                            "items": {"logicalType": "number"},
                            "description": "Bookmaker. Its price.",
                            "customProperties": [{"property": "unit", "value": "decimal odds"}],
                        },
                        {
                            "name": "side",
                            "physicalType": "text",
                            "logicalType": "string",
                            "description": "Side.",
                            "enum": [{"value": "back"}, {"value": "lay"}],
                        },
                        {
                            "name": "stake",
                            "physicalType": "integer",
                            "logicalType": "integer",
                            "description": "Stake.",
                            "customProperties": [{"property": "unit", "value": "euro"}],
                        },
                    ],
                    "quality": [
                        {
                            "id": "price_is_above_1",
                            "name": "price_is_above_1",
                            "description": "Above 1.",
                            "dimension": "accuracy",
                            "severity": "error",
                            "type": "sql",
                            "query": "select count(*) from gold.prices where not (price > 1)",
                            "mustBe": 0,
                        },
                        {
                            "id": "stake_is_small",
                            "name": "stake_is_small",
                            "description": "A stake is small.",
                            "dimension": "accuracy",
                            "severity": "warning",
                            "type": "sql",
                            "query": "select count(*) from gold.prices where not (stake < 10)",
                            "mustBe": 0,
                        },
                    ],
                }
            ],
            "slaProperties": [
                {
                    "property": "latency",
                    "element": "prices.at",
                    "value": 1,
                    "unit": "h",
                    "driver": "analytics",
                    "description": "Soon.",
                }
            ],
            "team": {"name": "us"},
        }
    }


def test_what_differs_from_what_is_shared_is_said_in_the_promise() -> None:
    own = PROMISE + "purpose: Own.\nusage: Do not.\nstatus: draft\nlatency: {value: 5, unit: m}\nkey: [at]\n"
    [contract] = contracts_of(project(own))
    assert (contract.status, contract.key, contract.grain) == ("draft", ("at",), "One row per at.")
    assert contract.freshness == "latency 5 m: Soon." and contract.latency is not None and contract.latency.seconds == 300
    assert documents(project(own))["gold.prices"]["description"] == {"purpose": "Own.", "usage": "Do not."}


def test_a_model_without_a_primary_key_is_a_view_and_says_elsewhere_what_it_keeps() -> None:
    assert "key: neither a primary key nor a test" in faults(PROMISE, VIEW)
    [contract] = contracts_of(project(PROMISE + "key: [book]\nnever_null: [price]\n", VIEW))
    assert contract.is_view and not contract.is_checked_per_batch and contract.key == ("book",)
    assert {column.name for column in contract.columns if column.required} == {"book", "at", "price"}
    unique = (
        "data_tests:\n      - dbt_utils.unique_combination_of_columns:\n          arguments: {combination_of_columns: [side]}\n"
    )
    [contract] = contracts_of(project(PROMISE, VIEW.replace("    columns:", f"    {unique}    columns:", 1)))
    assert contract.key == ("side",)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version: 1.2.3", "version: 1.2", "version: 1.2 is not of type"),
        ("version: 1.2.3", "version: '1.2'", "version: \"1.2\" does not match"),
        ("dated_by: at\n", "", '"dated_by" is a required property'),
        ("dated_by: at", "dated_by: then", "dated_by: the model has no column then"),
        ("dated_by: at", "dated_by: at\ncolour: red", "'colour' was unexpected"),
        ("dated_by: at", "dated_by: at\nkey: [a]", "key: the model has no column a"),
        ("dated_by: at", "dated_by: at\nnever_null: [side]", "never_null: of a table, dbt's YAML says"),
        ("dated_by: at", "dated_by: at\nevaluated: per_answer", "evaluated: a table is not evaluated per_answer"),
        ("dated_by: at", "dated_by: at\nlatency: {unit: fortnights}", "latency/unit"),
        ("{moment: at}", "{moment: then}", "cut: the model has no column then"),
        ("{moment: at}", "{stretch: [at, at, at]}", "cut/stretch"),
        ("{moment: at}", "{moment: at, left_out: {then: so}}", "cut: the model has no column then"),
        ("{moment: at}", "{moment: at, hindsight: so}", "cut: says how a table of gold is cut"),
        ("cut: {moment: at}\n", "", "cut: says how a table of gold is cut"),
        ("side: shared", "side: [back, back]", "values/side"),
        ("side: shared", "side: other", 'values/side: "shared" was expected'),
        ("side: shared", "book: shared", "book stands twice"),
        ("side: shared", "at: shared", "values: contracts/warehouse/_shared.yml has no at"),
        ("price_is_above_1: shared", "price_is_odd: shared", "rules: contracts/warehouse/_shared.yml has no price_is_odd"),
        ("price_is_above_1: shared", "stake_is_small: shared", "stake_is_small stands twice"),
        ("severity: warning", "severity: shrug", "rules/stake_is_small/severity"),
        ("dimension: accuracy", "dimension: taste", "/schema/0/quality/1/dimension"),
        ("says: A stake is small.", "", '"says" is a required property'),
        ("< 10", "< 10); drop table x; (true", "rules/stake_is_small/holds"),
        ("< 10", "< 10 -- so", "rules/stake_is_small/holds"),
        ("{stake: \"11\"}", "{steak: \"11\"}", "rules/stake_is_small/broken_by: the model has no column steak"),
        ("{stake: \"11\"}", "{stake: 11}", "rules/stake_is_small/broken_by/1/stake: 11 is not of type"),
        ("rules:", "good_rows: [{steak: 1}]\nrules:", "good_rows: the model has no column steak"),
        ("rules:", "rules: [", "is no YAML"),
        (PROMISE, "- 1", "is no mapping"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_promise_is_named_with_its_place(old: str, new: str, said: str) -> None:
    assert PROMISE.count(old) == 1
    told = faults(PROMISE.replace(old, new))
    assert said in told and "gold.prices" in told


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('description: "Side."', "", "gold.prices.side lacks description"),
        ("data_type: integer", "", "gold.prices.stake lacks data_type"),
        ("data_type: integer", "data_type: money", "column stake: no logical type is known of money"),
        ("doc('book')", "doc('bok')", "gold.prices.book: its description takes doc block bok, which no .md file has"),
        ("Side.", "{{ var('side') }}", "gold.prices.side: its description has Jinja other than"),
        ("name: prices", "name: prize", "dbt/models describes no model gold.prices"),
        ("  - name: prices", "  - columns: [", "dbt/models/gold/_gold.yml: is no YAML"),
    ],
)
def test_a_mistake_in_the_yaml_of_a_model_is_named_with_its_place(old: str, new: str, said: str) -> None:
    assert MODELS.count(old) == 1
    assert said in faults(models=MODELS.replace(old, new))


def test_what_is_shared_is_held_to_its_form_and_every_file_is_looked_at() -> None:
    assert "_shared.yml: it: " in faults(shared="usage: x")
    both = project(PROMISE.replace("at}", "then}")) | {f"{FOLDER}/gold.other.yml": "version: 1.0.0\ndated_by: at\n"}
    with pytest.raises(SetupError) as caught:
        contracts_of(both)
    assert "gold.other.yml: dbt/models describes no model" in caught.value.message and "no column then" in caught.value.message
    with pytest.raises(SetupError, match="there is no promise"):
        contracts_of({path: text for path, text in project().items() if path != PATH})


def test_what_breaks_a_rule_stands_under_it() -> None:
    found = broken_rows()
    assert found["gold.best_price", "best_price_is_above_1"] == ({"best_price_decimal": "0"}, {"best_price_decimal": "1"})
    assert {"where", "books"} in [set(each) for each in found["gold.best_price", "books_are_sorted_and_stand_once"]]


def test_rows_that_no_recording_has_are_written_down() -> None:
    found = written_rows()
    assert found["silver.participants"][0]["full_name"] == "Some Team"
    needed = {each.name: {column.name for column in each.columns if column.required} for each in read_contracts()}
    assert all(needed[name] <= row.keys() for name, rows in found.items() for row in rows)


def test_no_promise_says_what_is_shared_or_follows() -> None:
    """A fact stands once: what a promise could leave out, it does."""
    shared, promises = read_promises(project_files())
    again = []
    for promise in promises:
        written: dict[str, Any] = dict(promise.facts)
        for what in ("rules", "values"):
            again += [
                f"{promise.name}: {what}/{name} is shared"
                for name, value in written.get(what, {}).items()
                if value != "shared" and value == shared[what].get(name)
            ]
        again += [f"{promise.name}: {what}" for what in ("usage", "status") if what in written]
        follows = promise.model.primary_key or promise.model.unique
        again += [f"{promise.name}: key"] if written.get("key") == list(follows) else []
        again += [f"{promise.name}: evaluated"] if written.get("evaluated") in ("whole_table", "per_batch") else []
        again += [f"{promise.name}: purpose"] if promise.model.description.startswith(written.get("purpose", "?") + " ") else []
    assert again == []
    used = {what: {name for each in promises for name in each.facts.get(what, ())} for what in ("rules", "values")}
    for what, names in used.items():
        assert shared[what].keys() <= names, "shared by nobody"


def test_what_is_written_by_hand_is_yaml_and_its_schema() -> None:
    assert {path.suffix for path in resource(FOLDER).iterdir() if path.is_file()} == {".yml", ".json"}


def test_exported_documents_keep_the_standard_and_say_the_same(tmp_path: Path) -> None:
    written = export(tmp_path / "out")
    contracts = read_contracts()
    assert [path.name for path in written] == [f"{contract.name}{SUFFIX}" for contract in contracts]
    assert tuple(parse_contract(path.read_text(encoding="utf-8"), path.name) for path in written) == contracts
    standard = json.loads((files("open_data_contract_standard") / "schema.json").read_text(encoding="utf-8"))
    for path in written:
        jsonschema_rs.validate(standard, yaml.safe_load(path.read_text(encoding="utf-8")))
