"""What Superset imports, without a Superset: it is in step with the models, names only what is there, and holds no secret.

That Superset takes it, and that every chart has rows, is for `python3 -m nox -s bi`.
"""

from __future__ import annotations

import json
import re
import runpy
import stat
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from pipeline.contracts.strict_yaml import load
from pipeline.warehouse.connect import Role, Warehouse
from tests.bi.bundle import CHARTS, DATASETS, FOLDER, PORT, as_text, files, gold

DEPLOYED: Final = FOLDER.parent
DOCUMENTS: Final = {
    str(path.relative_to(FOLDER)): yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.rglob("*.yaml"))
}
# Words of expressions that name no column.
SQL_WORDS: Final = {"sum", "count", "avg", "nullif", "case", "when", "then", "else", "end", "array_to_string"}


def below(folder: str) -> list[dict[str, Any]]:
    return [document for path, document in DOCUMENTS.items() if path.startswith(f"{folder}/")]


def by_uuid(folder: str) -> dict[str, dict[str, Any]]:
    return {document["uuid"]: document for document in below(folder)}


def names_in(expression: str) -> set[str]:
    return set(re.findall(r"[a-z_]\w*", re.sub(r"'[^']*'", "", expression))) - SQL_WORDS


def unknown(document: dict[str, Any], dataset: dict[str, Any]) -> set[str]:
    """What a chart asks for that its dataset has not, by its page or by its API."""
    known = {each["column_name"] for each in dataset["columns"]} | {each["metric_name"] for each in dataset["metrics"]}
    return asked_by_page(document["params"]) - known | asked_by_api(document["query_context"]) - known


def asked_by_page(params: dict[str, Any]) -> set[str]:
    listed = [*params.get("all_columns", []), *params.get("groupby", []), *params.get("metrics", [])]
    single = [params[name] for name in ("x_axis", "timeseries_limit_metric", "x_axis_sort") if name in params]
    ordered = [json.loads(each)[0] for each in params.get("order_by_cols", [])]
    return {
        *listed,
        *single,
        *ordered,
        *params.get("column_config", {}),
        *(each["subject"] for each in params["adhoc_filters"]),
    }


def asked_by_api(context: str) -> set[str]:
    [query] = json.loads(context)["queries"]
    columns = [each if isinstance(each, str) else each["sqlExpression"] for each in query["columns"]]
    ordered = [name for name, _ in query["orderby"]]
    return {*columns, *query.get("metrics", []), *ordered, *(each["col"] for each in query["filters"])}


def test_it_is_in_step_with_the_models() -> None:
    written = {str(path.relative_to(FOLDER)): path.read_text(encoding="utf-8") for path in FOLDER.rglob("*") if path.is_file()}
    made = {path: as_text(document) for path, document in files(gold()).items()}
    assert written == made, "write it anew: python3 -m tests.bi.bundle"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_a_file_is_yaml_and_says_nothing_twice(path: str) -> None:
    faults: list[str] = []
    assert load((FOLDER / path).read_text(encoding="utf-8"), path, faults) == DOCUMENTS[path]
    assert faults == []


@pytest.mark.parametrize("dataset", below("datasets"), ids=lambda each: each["table_name"])
def test_a_dataset_has_the_columns_of_its_model(dataset: dict[str, Any]) -> None:
    contract = gold()[dataset["table_name"]]
    kept = [each for each in dataset["columns"] if "expression" not in each]
    assert [(each["column_name"], each["type"]) for each in kept] == [
        (column.name, column.physical_type.upper()) for column in contract.columns
    ]
    assert all(each["description"] for each in kept)
    columns = {column.name for column in contract.columns}
    made = [each for each in dataset["columns"] if "expression" in each]
    assert {each["column_name"] for each in made} & columns == set()
    for each in (*made, *dataset["metrics"]):
        assert names_in(each["expression"]) <= columns, each
    # the filter for a sport holds for all of them
    assert {dataset["main_dttm_col"], "sport_key"} <= columns
    assert dataset["schema"] == "gold" and dataset["sql"] is None
    labels = [each["verbose_name"] for each in (*dataset["columns"], *dataset["metrics"])]
    assert sorted(labels) == sorted(set(labels))


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda each: each.table)
def test_what_is_said_of_a_column_is_of_one_that_is_there(dataset: Any) -> None:
    columns = {column.name for column in gold()[dataset.table].columns} | dataset.made.keys()
    assert dataset.labels.keys() | dataset.shown.keys() <= columns


@pytest.mark.parametrize("chart", below("charts"), ids=lambda each: each["slice_name"])
def test_a_chart_asks_for_what_its_dataset_has(chart: dict[str, Any]) -> None:
    assert unknown(chart, by_uuid("datasets")[chart["dataset_uuid"]]) == set()
    # but for what a page draws with, both ask for the same
    assert asked_by_api(chart["query_context"]) == asked_by_page(chart["params"])


def test_a_column_that_is_not_there_is_found() -> None:
    [chart] = [each for each in below("charts") if each["slice_name"] == "Games and their no-vig close"]
    dataset = by_uuid("datasets")[chart["dataset_uuid"]]
    by_page = {**chart, "params": {**chart["params"], "all_columns": ["home_teams"]}}
    by_api = {**chart, "query_context": chart["query_context"].replace("h2h_closing_hold", "h2h_holding")}
    assert unknown(by_page, dataset) == {"home_teams"} and unknown(by_api, dataset) == {"h2h_holding"}
    assert names_in("avg(case when a = 'b' then 1.0 else c end)") == {"a", "c"}


def test_what_is_referred_to_is_there() -> None:
    [database], [dashboard] = below("databases"), below("dashboards")
    assert {each["database_uuid"] for each in below("datasets")} == {database["uuid"]}
    drawn = [each["meta"] for each in dashboard["position"].values() if isinstance(each, dict) and each["type"] == "CHART"]
    charts = by_uuid("charts")
    assert sorted(each["uuid"] for each in drawn) == sorted(charts)
    assert [each["sliceName"] for each in drawn] == [charts[each["uuid"]]["slice_name"] for each in drawn]
    assert len({each["chartId"] for each in drawn}) == len(drawn) == len(CHARTS)
    for filtered in dashboard["metadata"]["native_filter_configuration"]:
        for target in filtered["targets"]:
            dataset = by_uuid("datasets")[target["datasetUuid"]]
            assert target["column"]["name"] in {each["column_name"] for each in dataset["columns"]}
    ids = [each["uuid"] for folder in ("databases", "datasets", "charts", "dashboards") for each in below(folder)]
    assert len(set(ids)) == len(ids)
    # a row is twelve wide at most, and its charts are as high as each other
    for row in (each for each in dashboard["position"].values() if isinstance(each, dict) and each["type"] == "ROW"):
        metas = [dashboard["position"][name]["meta"] for name in row["children"]]
        assert sum(each["width"] for each in metas) <= 12 and len({each["height"] for each in metas}) == 1


def test_it_leads_to_the_loopback_alone_and_holds_no_password() -> None:
    [database] = below("databases")
    parts = urlsplit(database["sqlalchemy_uri"])
    assert (parts.hostname, parts.port, parts.username, parts.password) == ("127.0.0.1", PORT, "sports_market_reader", None)
    assert not parts.query and "password" not in database
    assert not (database["allow_dml"] or database["allow_ctas"] or database["allow_cvas"] or database["allow_file_upload"])
    for path in sorted(each for each in DEPLOYED.rglob("*") if each.is_file() and each.suffix != ".pyc"):
        text = path.read_text(encoding="utf-8")
        assert set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b(?=[:/])", text)) <= {"127.0.0.1"}, path
        assert {each for each in re.findall(r"\w+://", text) if each != "sqlite://"} <= {"psycopg2://"}, path
        assert not re.search(r"(?i)passw(or)?d['\"]?\s*[:=]|scarf", text), path


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda each: each.table)
def test_what_is_made_of_columns_is_sql_that_the_reader_may_run(dataset: Any, prepared: Warehouse) -> None:
    with prepared.connect(Role.READER) as reader:
        for expression in dataset.made.values():
            reader.execute(f"select {expression} from gold.{dataset.table}".encode())
        for metric in dataset.metrics:
            assert len(reader.execute(f"select {metric.expression} from gold.{dataset.table}".encode()).fetchall()) == 1


def test_its_settings_keep_the_key_and_let_pages_ask_no_other_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    superset, config = ModuleType("superset"), ModuleType("superset.config")
    policy = {"img-src": ["'self'", "https://example.org"], "connect-src": ["https://example.org"], "script-src": ["'self'"]}
    config.TALISMAN_CONFIG = {"content_security_policy": policy}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "superset", superset)
    monkeypatch.setitem(sys.modules, "superset.config", config)
    monkeypatch.setenv("SUPERSET_HOME", str(tmp_path / "home"))
    first, second = (runpy.run_path(str(DEPLOYED / "superset_config.py")) for _ in range(2))
    assert first["SECRET_KEY"] == second["SECRET_KEY"] and len(first["SECRET_KEY"]) == 64
    assert stat.S_IMODE((tmp_path / "home" / "secret_key").stat().st_mode) == 0o600
    assert first["SQLALCHEMY_DATABASE_URI"].startswith(f"sqlite:///{tmp_path / 'home'}/")
    assert first["TALISMAN_ENABLED"]
    assert "https" not in json.dumps(first["TALISMAN_CONFIG"])
