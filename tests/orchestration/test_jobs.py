"""The jobs beside the intake: each does what it says on a small warehouse, and fails where something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.replay.equivalence import COPIED
from pipeline.warehouse.connect import Role, Warehouse
from tests.orchestration.conftest import BATCH_IDS, Place


@pytest.fixture
def filled(place: Place, recordings: Callable[[int], Path]) -> Place:
    """Two batches are in."""
    recordings(2)
    place.add(BATCH_IDS[:2])
    assert place.run("ingest", *BATCH_IDS[:2]).success
    return place


def test_the_night_looks_at_all_rows_and_finds_what_is_wrong(filled: Place) -> None:
    result = filled.run("nightly")
    assert result.success
    found = filled.evaluations(result.run_id)
    graph = filled.defs.resolve_asset_graph()
    whole = {key for key in graph.asset_check_keys if not graph.get(key).partitions_def}
    assert {(asset, name) for asset, name, _ in found} == {(key.asset_key.to_user_string(), key.name) for key in whole}
    assert {key: each.description for key, each in found.items() if not each.passed} == {}

    filled.owner("update gold.price_history set price_decimal = price_decimal + 1")
    again = filled.run("nightly")
    found = filled.evaluations(again.run_id)
    failed = {key[:2] for key, each in found.items() if not each.passed}
    assert {("gold/price_history", "digest"), ("proof/full_refresh", "equivalent")} <= failed
    assert ("gold/events", "digest") not in failed


def test_a_rebuild_gives_the_same_rows_or_says_which_tables_differ(filled: Place) -> None:
    before = filled.digests()
    assert filled.run("rebuild").success
    assert filled.digests() == before
    filled.owner("update gold.price_history set price_decimal = price_decimal + 1")
    result = filled.run("rebuild")
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "REBUILD_DIFFERS" in str(failure.step_failure_data.user_failure_data)
    assert "gold.price_history" in str(failure.step_failure_data.user_failure_data)
    assert filled.digests() == before  # mended by it


def test_a_replay_has_a_database_of_its_own(filled: Place, tmp_path: Path) -> None:
    before = filled.digests()
    config = {"ops": {"replay_recording": {"config": {"recording": str(tmp_path / "recordings" / "first"), "step": 0}}}}
    assert filled.run("replay", run_config=config).success
    assert filled.digests() == before
    broken = {"ops": {"replay_recording": {"config": {"recording": str(tmp_path)}}}}
    assert not filled.run("replay", run_config=broken).success


def test_quarantine_and_tidying_up_leave_a_good_warehouse_alone(filled: Place) -> None:
    before = filled.digests()
    assert filled.run("quarantine").success
    assert filled.run("tidy").success
    assert filled.digests() == before
    assert filled.materialized("gold/events") == set(BATCH_IDS[:2])
    assert tuple(filled.instance.get_dynamic_partitions("batches")) == BATCH_IDS[:2]


def test_a_full_refresh_starts_from_all_of_bronze(prepared: Warehouse) -> None:
    with prepared.connect(Role.OWNER) as connection:
        rows = connection.execute("select tablename from pg_tables where schemaname = 'bronze'").fetchall()
    assert {name for schema, name in COPIED if schema == "bronze"} == {name for (name,) in rows}
