"""What each column of an asset comes from, as Dagster has it: on the asset, and as its pages and other tools ask for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import InProcessTestWorkspaceLoadTarget
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster_graphql.schema import create_schema

from pipeline.transform.lineage import read_lineage

KEY = "dagster/column_lineage"
SCHEMA = "dagster/column_schema"
QUERY = """
query ($keys: [AssetKeyInput!]!) {
  assetNodes(assetKeys: $keys) {
    assetKey { path }
    metadataEntries {
      label
      ... on TableColumnLineageMetadataEntry { lineage { columnName columnDeps { assetKey { path } columnName } } }
    }
  }
}
"""


@pytest.fixture(scope="module")
def graph(defs: dg.Definitions) -> Any:
    return defs.resolve_asset_graph()


def told(graph: Any) -> dict[dg.AssetKey, dg.TableColumnLineage]:
    return {node.key: node.metadata[KEY] for node in graph.asset_nodes if KEY in node.metadata}


def test_every_model_says_where_its_columns_come_from(graph: Any) -> None:
    assert {tuple(key.path) for key in told(graph)} == read_lineage().keys()
    for key, lineage in told(graph).items():
        schema = graph.get(key).metadata[SCHEMA]
        assert sorted(lineage.deps_by_column) == sorted(column.name for column in schema.columns), key


def test_a_source_is_a_column_of_an_asset_upstream(graph: Any) -> None:
    for key, lineage in told(graph).items():
        for dep in (dep for deps in lineage.deps_by_column.values() for dep in deps):
            assert dep.asset_key in graph.get(key).parent_keys, (key, dep)
            columns = graph.get(dep.asset_key).metadata.get(SCHEMA)
            if columns is not None:  # sources have none
                assert dep.column_name in {column.name for column in columns.columns}, (key, dep)


def test_graphql_gives_it_of_tables_and_views(defs: dg.Definitions, tmp_path: Path) -> None:
    origin = InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="pipeline.orchestration.definitions"))
    wanted = [{"path": ["gold", "sports"]}, {"path": ["gold", "openings"]}]
    with (
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
        WorkspaceProcessContext(instance, InProcessTestWorkspaceLoadTarget(origin)) as process,
    ):
        context = process.create_request_context()
        answer = create_schema().execute(QUERY, context_value=context, variable_values={"keys": wanted})
    assert answer.errors is None, answer.errors
    found = {
        ("/".join(node["assetKey"]["path"]), each["columnName"]): {
            ("/".join(dep["assetKey"]["path"]), dep["columnName"]) for dep in each["columnDeps"]
        }
        for node in answer.data["assetNodes"]
        for entry in node["metadataEntries"]
        if entry["label"] == KEY
        for each in entry["lineage"]
    }
    assert found["gold/sports", "has_outrights"] == {("silver/sport_sightings", "has_outrights")}
    assert found["gold/openings", "price_decimal"] == {("gold/price_history", "price_decimal")}
