"""Contracts of tables: the documents, what they are compared with, and what a change of one means."""

from __future__ import annotations

import base64
import copy
import datetime as dt
import hashlib
import html
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from pipeline.contracts.commands import check, export
from pipeline.contracts.compatibility import classify, committed_contracts, unannounced
from pipeline.contracts.described import MODELS
from pipeline.contracts.pages import write_pages
from pipeline.contracts.promises import FOLDER, documents, project_files
from pipeline.contracts.tables import SUFFIX, Rule, TableContract, in_step, parse_contract, read_contracts, readers
from pipeline.errors import SetupError, UsageError
from pipeline.resources import resource
from tests.conftest import Project
from tests.contracts.mutations.tables import mutants_of

NAME: Final = "gold.price_history.odcs.yaml"


@pytest.fixture(scope="module")
def contracts() -> dict[str, TableContract]:
    return {each.name: each for each in read_contracts()}


@pytest.fixture
def history(contracts: dict[str, TableContract]) -> TableContract:
    return contracts["gold.price_history"]


@pytest.fixture
def document() -> dict[str, Any]:
    return copy.deepcopy(documents(project_files())[NAME.removesuffix(SUFFIX)])


def changed(contract: TableContract, column: str, **facts: Any) -> TableContract:
    return replace(
        contract, columns=tuple(replace(each, **facts) if each.name == column else each for each in contract.columns)
    )


# --- documents -------------------------------------------------------------------------------------------------------


def test_every_published_model_has_a_contract_and_dbt_is_in_step(contracts: dict[str, TableContract], project: Project) -> None:
    assert in_step(tuple(contracts.values()), project.manifest()) == []


def test_what_is_evaluated_per_answer_names_its_answers_and_their_endpoint(contracts: dict[str, TableContract]) -> None:
    assert (contracts["silver.stg_odds"].of_endpoint, contracts["silver.event_sightings"].of_endpoint) == ("odds", None)
    name = "silver.stg_odds.odcs.yaml"
    standing = documents(project_files())[name.removesuffix(SUFFIX)]
    places = {each["name"]: place for place, each in enumerate(standing["schema"][0]["properties"])}
    spoiled: dict[str, tuple[str, Any, str]] = {
        "a table": ("schema/0/physicalType", "table", "per_answer where it is a view"),
        "any endpoint": (f"schema/0/properties/{places['endpoint']}/enum", None, "an endpoint of one value"),
        "no answer": (f"schema/0/properties/{places['exchange_id']}/name", "answer_id", "has an exchange_id"),
    }
    for path, value, said in spoiled.values():
        document = copy.deepcopy(standing)
        put(document, path, value)
        with pytest.raises(SetupError, match=said):
            parse_contract(yaml.safe_dump(document), name)


def test_a_contract_says_what_its_document_says(history: TableContract) -> None:
    assert (history.key, history.is_view, history.version) == (("series_id", "line_rank", "valid_from"), False, "1.0.0")
    names = [rule.name for rule in history.rules]
    assert {"series_id_is_there", "end_reason_is_known", "valid_from_before_valid_to"} <= set(names)
    assert names[-1] == "key_is_unique" and len(names) == len(set(names))
    [known] = [rule for rule in history.rules if rule.name == "price_side_is_known"]
    assert known.condition == "price_side in ('back', 'lay')"


def put(document: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    place: Any = document
    for part in parents:
        place = place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("apiVersion", "v9.0.0", "/apiVersion"),
        ("colour", "red", "colour"),
        ("version", "1.0", "major.minor.patch"),
        ("team", None, "lacks team"),
        ("name", "gold.other", "differ"),
        ("schema/0/physicalType", "topic", "neither table nor view"),
        ("schema/0/properties/0/physicalType", None, "lacks physicalType"),
        ("schema/0/properties/1/name", "series_id", "series_id stands twice"),
        ("schema/0/properties/1/name", "a b", "no plain name"),
        ("schema/0/properties/0/primaryKeyPosition", 7, "positions in the key"),
        ("schema/0/customProperties/0/value", "now and then", "evaluated is whole_table"),
        ("slaProperties/0/unit", "fortnights", "latency must be a number"),
        ("slaProperties/0/value", "soon", "latency must be a number"),
        ("schema/0/quality/0/severity", "shrug", "neither error nor warning"),
        ("schema/0/quality/0/description", None, "lacks description"),
        ("schema/0/quality/0/mustBe", 1, "mustBe 0"),
        ("schema/0/quality/0/query", "select 0", "where not (CONDITION)"),
        ("schema/0/quality/0/query", "select count(*) from gold.events where not (true)", "where not (CONDITION)"),
        (
            "schema/0/quality/0/query",
            "select count(*) from gold.price_history where not (true); drop table x; (true)",
            "where not",
        ),
    ],
)
def test_a_document_that_breaks_the_standard_or_ours_is_refused(
    document: dict[str, Any], path: str, value: Any, said: str
) -> None:
    put(document, path, value)
    with pytest.raises(SetupError) as caught:
        parse_contract(yaml.safe_dump(document), NAME)
    assert caught.value.code == "CONTRACT_INVALID" and said in caught.value.message


def test_a_view_is_evaluated_as_a_whole_and_a_document_may_leave_it_unsaid(document: dict[str, Any]) -> None:
    assert parse_contract(yaml.safe_dump(document), NAME).is_checked_per_batch
    put(document, "schema/0/physicalType", "view")
    with pytest.raises(SetupError, match="evaluated is whole_table"):
        parse_contract(yaml.safe_dump(document), NAME)
    put(document, "schema/0/customProperties", None)
    assert not parse_contract(yaml.safe_dump(document), NAME).is_checked_per_batch


def test_a_latency_is_a_time(history: TableContract, document: dict[str, Any]) -> None:
    assert history.latency == dt.timedelta(hours=1)
    put(document, "slaProperties/0/property", "retention")
    assert parse_contract(yaml.safe_dump(document), NAME).latency is None


def test_what_is_no_yaml_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    for text in ("a: [", "- 1", ""):
        with pytest.raises(SetupError):
            parse_contract(text, NAME)
    with pytest.raises(SetupError, match=r"there is no contracts/warehouse/_shared\.yml"):
        read_contracts(tmp_path)


# --- dbt -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"physical_type": "text"}, "gold.price_history.point: type: the contract says 'text', dbt says 'numeric(8,3)'"),
        ({"required": True}, "gold.price_history.point: required: the contract says True, dbt says False"),
        ({"description": "?"}, "gold.price_history.point: description: the contract says '?', dbt says"),
        ({"name": "pint"}, "gold.price_history.point: dbt has the column, the contract has not"),
    ],
)
def test_what_differs_from_dbt_is_told_with_its_side(
    contracts: dict[str, TableContract], history: TableContract, project: Project, facts: dict[str, Any], said: str
) -> None:
    found = in_step(tuple({**contracts, history.name: changed(history, "point", **facts)}.values()), project.manifest())
    assert any(each.startswith(said) for each in found), found


def test_tables_without_contract_order_and_keys_are_told(
    contracts: dict[str, TableContract], history: TableContract, project: Project
) -> None:
    others = {name: each for name, each in contracts.items() if name != history.name}
    assert in_step(tuple(others.values()), project.manifest()) == [
        "gold.price_history: dbt has a model, and there is no contract"
    ]
    turned = replace(history, columns=history.columns[::-1], key=("series_id",))
    text = " ".join(in_step((*others.values(), turned), project.manifest()))
    assert "order of columns" in text and "key: the contract says ['series_id']" in text


def test_readers_are_named(project: Project) -> None:
    assert {"gold.best_price", "gold.price_history_now"} <= set(readers(project.manifest(), "gold.price_history"))


# --- compatibility ---------------------------------------------------------------------------------------------------


def breaking(old: TableContract | None, new: TableContract | None) -> list[bool]:
    return [change.is_breaking for change in classify(old, new)]


@pytest.mark.parametrize(
    ("column", "facts", "is_breaking"),
    [
        ("point", {"description": "better words"}, False),
        ("point", {"physical_type": "text"}, True),
        ("point", {"unit": "furlongs"}, True),
        ("point", {"required": True}, True),
        ("event_id", {"required": False}, True),
        ("price_side", {"values": ("back", "lay", "swap")}, False),
        ("price_side", {"values": ("back",)}, True),
        ("price_side", {"values": ()}, False),
        ("market_key", {"values": ("h2h",)}, True),
    ],
)
def test_a_changed_column(history: TableContract, column: str, facts: dict[str, Any], is_breaking: bool) -> None:
    assert breaking(history, changed(history, column, **facts)) == [is_breaking]


def test_columns_that_come_go_and_move(history: TableContract) -> None:
    without = replace(history, columns=history.columns[:-1])
    assert breaking(history, without) == [True]
    assert breaking(without, history) == [False]
    assert True in breaking(history, changed(history, "point", name="handicap"))
    assert breaking(history, replace(history, columns=history.columns[::-1])) == [True]
    assert breaking(history, replace(history, key=("series_id",))) == [True]


def test_rules_that_come_go_and_change(history: TableContract) -> None:
    first, *others = history.written_rules

    def having(*rules: Rule) -> TableContract:
        return replace(history, written_rules=(*rules, *others))

    assert breaking(history, having()) == [False]
    assert breaking(having(), history) == [True]
    assert breaking(having(), having(replace(first, severity="warning"))) == [False]
    assert breaking(history, having(replace(first, condition="false"))) == [True]
    assert breaking(history, having(replace(first, severity="warning"))) == [False]
    assert breaking(having(replace(first, severity="warning")), history) == [True]
    assert breaking(history, having(replace(first, description="?"))) == [False]


def test_contracts_that_come_and_go(history: TableContract) -> None:
    assert breaking(history, None) == [True] and breaking(None, history) == [False] and breaking(history, history) == []


def test_a_breaking_change_needs_a_major_version(history: TableContract) -> None:
    broken = changed(history, "point", physical_type="text")
    assert "needs version 2.0.0" in (unannounced(history, broken) or "")
    assert unannounced(history, replace(broken, version="1.9.9")) is not None
    assert unannounced(history, replace(broken, version="2.0.0")) is None
    assert unannounced(history, changed(history, "point", description="?")) is None
    assert "is below" in (unannounced(history, replace(history, version="0.9.0")) or "")


def git(folder: Path, *arguments: str) -> None:
    names = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(folder), *names, *arguments], check=True, capture_output=True)


def copied(root: Path) -> Path:
    """What contracts are built from, in a folder of its own."""
    for folder in (FOLDER, MODELS):
        shutil.copytree(resource(folder), root / folder)
    return root


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_contracts_are_compared_with_those_of_a_revision(tmp_path: Path, project: Project) -> None:
    root = copied(tmp_path / "deep" / "down")
    assert committed_contracts(root) is None
    assert check(project.manifest(), root=root).base is None
    git(tmp_path, "init", "-q")
    assert committed_contracts(root) is None
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "promises")
    assert committed_contracts(root) == read_contracts(root)
    with pytest.raises(UsageError):
        committed_contracts(root, "nowhere")

    same = check(project.manifest(), root=root)
    assert (same.exit_code, same.base, same.changes) == (0, "HEAD", ())
    history = root / MODELS / "gold" / "prices" / "_prices.yml"
    text = history.read_text(encoding="utf-8")
    before, after = text.split("  - name: price_history\n")
    history.write_text(f"{before}  - name: price_history\n{after.replace('numeric(8,3)', 'numeric(9,3)', 2)}", encoding="utf-8")
    found = check(project.manifest(), root=root)
    # the two columns lose their unit with their type, as it is the type's
    assert found.exit_code == 1 and len(found.changes) == 4 and len(found.differences) == 2
    assert "needs version 2.0.0" in found.faults[0] and "gold.best_price" in found.faults[0]
    (root / FOLDER / "gold.price_history.yml").unlink()
    gone = check(project.manifest(), root=root)
    assert any("the contract is gone" in fault and "gold.best_price" in fault for fault in gone.faults)
    assert "gold.price_history: dbt has a model, and there is no contract" in gone.differences


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_a_revision_that_keeps_full_documents_is_read_as_it_is(tmp_path: Path, project: Project) -> None:
    root = tmp_path / "project"
    export(root / FOLDER)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "documents")
    shutil.rmtree(root)
    copied(root)
    assert committed_contracts(root) == read_contracts(root) == read_contracts()
    assert check(project.manifest(), root=root).changes == ()


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_a_revision_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = copied(tmp_path / "project")
    (root / FOLDER / "gold.events.yml").write_text("version: 1\n", encoding="utf-8")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "broken")
    with pytest.raises(SetupError, match=r"Of revision HEAD: contracts/warehouse/gold\.events\.yml: .*version"):
        committed_contracts(root)


# --- mutants and pages -----------------------------------------------------------------------------------------------


def test_every_rule_has_a_mutant(contracts: dict[str, TableContract]) -> None:
    for contract in contracts.values():
        assert [rule.name for rule in contract.rules if not mutants_of(contract, rule)] == []


def test_a_page_per_contract(contracts: dict[str, TableContract], history: TableContract, tmp_path: Path) -> None:
    index = write_pages(tuple(contracts.values()), {history.name: ["gold.best_price"]}, tmp_path / "pages")
    text = (index.parent / f"{history.name}.html").read_text(encoding="utf-8")
    assert "gold.best_price" in text and "price_decimal &gt;= 1" in text and "<script" not in text
    assert all(f"{name}.html" in index.read_text(encoding="utf-8") for name in contracts)


def test_the_pages_open_on_a_list_by_layer_with_what_each_row_is_found_by(
    contracts: dict[str, TableContract], history: TableContract, tmp_path: Path
) -> None:
    text = write_pages(tuple(contracts.values()), {}, tmp_path).read_text(encoding="utf-8")
    gold, silver = re.findall(r'<section id="(\w+)">(.*?)</section>', text, re.DOTALL)
    assert (gold[0], silver[0]) == ("gold", "silver")
    assert gold[1].count("<tr data-words=") + silver[1].count("<tr data-words=") == len(contracts)
    assert 'href="gold.price_history.html"' in gold[1] and 'href="silver.quotes.html"' in silver[1]
    [words] = re.findall(r'data-words="(gold\.price_history [^"]*)"', gold[1])
    assert "price_decimal" in words and html.unescape(words) == html.unescape(words).lower()
    # no other script than the search may run
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert (
        f"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; script-src 'sha256-{allowed}'"
        in text
    )
