"""What Dagster finds: the inventory, every proof as a check, a lineage without a gap, and what loading it costs."""

from __future__ import annotations

import graphlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from syrupy.assertion import SnapshotAssertion

from pipeline.contracts.tables import read_contracts
from pipeline.resources import resource
from tests.conftest import Project

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def graph(defs: dg.Definitions) -> Any:
    return defs.resolve_asset_graph()


def test_the_inventory(defs: dg.Definitions, graph: Any, snapshot: SnapshotAssertion) -> None:
    repository = defs.get_repository_def()

    def asset(key: dg.AssetKey) -> str:
        node = graph.get(key)
        made = "partitioned" if node.partitions_def else "whole" if node.is_materializable else "external"
        parts = [node.group_name, made, "+".join(sorted(node.kinds))]
        return " ".join((*parts, "<-", *sorted(parent.to_user_string() for parent in node.parent_keys)))

    def check(key: dg.AssetCheckKey) -> str:
        return "partitioned" if graph.get(key).partitions_def else "whole"

    assert {
        "assets": {key.to_user_string(): asset(key) for key in sorted(graph.get_all_asset_keys())},
        "checks": {f"{key.asset_key.to_user_string()} {key.name}": check(key) for key in sorted(graph.asset_check_keys)},
        "jobs": sorted(job.name for job in repository.get_all_jobs() if not job.name.startswith("__")),
        "schedules": {each.name: f"{each.cron_schedule} {each.default_status.value}" for each in repository.schedule_defs},
        "sensors": {each.name: each.default_status.value for each in repository.sensor_defs},
        "partitions": sorted({node.partitions_def.name for node in graph.asset_nodes if node.partitions_def}),
        "resources": sorted(defs.resources or {}),
    } == snapshot


def test_every_dbt_test_and_every_contract_is_a_check(graph: Any, project: Project) -> None:
    names = [key.name for key in graph.asset_check_keys]
    tests = [node.name for node in project.manifest().nodes.values() if str(node.resource_type) == "test"]
    assert tests
    assert [name for name in tests if names.count(name) != 1] == []
    for contract in read_contracts():
        suite = dg.AssetCheckKey(dg.AssetKey(["contracts", "tables"]), f"suite_{contract.schema}_{contract.table}")
        assert suite in graph.asset_check_keys
        per_batch = dg.AssetCheckKey(dg.AssetKey([contract.schema, contract.table]), "contract")
        assert (per_batch in graph.asset_check_keys) is contract.is_checked_per_batch


def test_every_check_of_a_batch_has_its_partitions(graph: Any) -> None:
    stored = {node.key for node in graph.asset_nodes if node.partitions_def and node.key.path[0] in ("silver", "gold")}
    assert {node.to_user_string().replace("/", ".") for node in stored} == {
        contract.name for contract in read_contracts() if contract.is_checked_per_batch
    }
    checked = {key.asset_key for key in graph.asset_check_keys if graph.get(key).partitions_def and key.name == "contract"}
    assert checked == stored


def test_the_lineage_has_no_gap(graph: Any) -> None:
    roots = {node.key.to_user_string() for node in graph.asset_nodes if not node.parent_keys}
    names = ("book_profile", "event_override", "market_rules", "parameters", "player_alias", "sport_rules")
    seeds = {f"silver/{name}" for name in (*names, "result_override", "settlement_rules")}
    assert roots == {"the_odds_api", "contracts/answers", "contracts/tables"} | seeds
    assert {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).group_name == "default"} == set()


def test_groups_are_folders_and_hang_on_each_other_one_way(graph: Any) -> None:
    """The lineage opens on boxes of groups: two that hang on each other would be drawn as a knot."""
    node_of = {node.key: node for node in graph.asset_nodes}
    folders = {
        path.stem: "_".join(path.relative_to(resource("dbt/models")).parent.parts)
        for path in resource("dbt/models").rglob("*.sql")
    }
    grouped = {node.key.path[-1]: node.group_name for node in graph.asset_nodes if node.key.path[-1] in folders}
    assert grouped == folders
    above: dict[str, set[str]] = {}
    for node in graph.asset_nodes:
        above.setdefault(node.group_name, set()).update(node_of[key].group_name for key in node.parent_keys)
    order = list(graphlib.TopologicalSorter({name: found - {name} for name, found in above.items()}).static_order())
    assert order[0] == "sources" and len(order) <= 16
    # longer names are cut in the middle
    assert max(map(len, order)) <= len("silver_staging")


def test_a_first_backfill_waits_for_nothing_that_no_run_makes(graph: Any) -> None:
    """Dagster asks "Are you sure?" where something upstream could be materialized, and never was."""
    taken_in = [node for node in graph.asset_nodes if node.partitions_def]
    upstream = {key for node in taken_in for key in node.parent_keys} - {node.key for node in taken_in}
    assert {"silver/parameters", "silver/market_rules"} <= {key.to_user_string() for key in upstream}
    assert [key.to_user_string() for key in upstream if graph.get(key).is_materializable] == []


def test_every_table_says_what_it_is(graph: Any) -> None:
    for node in graph.asset_nodes:
        assert node.description, node.key
        if node.key.path[0] == "gold":
            assert node.owners == ["team:sports-market"], node.key
            told = {f"dagster/{name}" for name in ("column_schema", "column_lineage", "code_references")}
            assert told | {"contract", "contract_page", "dbt_docs", "grain"} <= node.metadata.keys(), node.key
            assert ("explain" in node.metadata) == (node.key.path[0] == "gold"), node.key


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPORTS_MARKET_", "DAGSTER_"))}
    return {**kept, "PYTHONPATH": str(REPOSITORY), "DAGSTER_DISABLE_TELEMETRY": "1", "HOME": str(folder)}


def test_they_load_in_a_clean_folder_and_write_into_the_state_folder_only(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "pipeline.orchestration.definitions"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Validation successful" in done.stdout + done.stderr
    left = {path.name for path in tmp_path.iterdir()} - {".config", ".dagster", ".cache"}
    assert left == {".sports-market"}


def test_loading_them_imports_no_great_expectations_and_costs_little_more_than_dagster(state_dir: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time; t0 = time.process_time(); import dagster, dagster_dbt; t1 = time.process_time();"
        "from pipeline.orchestration.definitions import defs; defs.get_repository_def(); t2 = time.process_time();"
        "assert not {'great_expectations', 'pyspark', 'pyarrow', 'duckdb'} & set(sys.modules); print((t2 - t0) / (t1 - t0))"
    )
    clean = {**environment(tmp_path), "SPORTS_MARKET_STATE_DIR": str(state_dir)}
    command = [sys.executable, "-c", script]
    subprocess.run(command, env=clean, check=True, capture_output=True, timeout=300)  # dbt's document is there from now on
    done = subprocess.run(command, env=clean, check=True, capture_output=True, text=True, timeout=300)
    assert float(done.stdout) <= 3
