"""The jobs beside the intake: each does what it says on a small warehouse, and fails where something is wrong."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import pytest

from pipeline.bronze import batch_load as bronze_load
from pipeline.bronze import verdicts
from pipeline.contracts.judgement import Judgement, judge
from pipeline.recording.model import Exchange
from pipeline.replay.equivalence import COPIED
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import stored_tables
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


def test_the_night_proves_the_day_before_from_its_bytes_to_gold(filled: Place, tmp_path: Path) -> None:
    config = {"ops": {"proof__day": {"config": {"day": f"{BATCH_IDS[0][:4]}-{BATCH_IDS[0][4:6]}-{BATCH_IDS[0][6:8]}"}}}}

    def proven() -> dict[str, dg.AssetCheckEvaluation]:
        result = filled.run("nightly", run_config=config, asset_selection=[dg.AssetKey(["proof", "day"])])
        assert result.success
        [told] = result.asset_materializations_for_node("proof__day")
        assert [told.metadata[name].value for name in ("spooled", "published")] == [2, 2]
        return {name: each for (_, name, _), each in filled.evaluations(result.run_id).items()}

    assert {name: each.passed for name, each in proven().items()} == {"spool_in_bronze": True, "rebuilt": True}

    filled.owner("update gold.price_history set price_decimal = price_decimal + 1")
    folder = tmp_path / "recordings" / "first" / "batches" / BATCH_IDS[1]
    body = next(path for path in sorted(folder.iterdir()) if path.name != "index.json")
    body.write_bytes(body.read_bytes()[:-1])
    found = proven()
    assert not found["spool_in_bronze"].passed and not found["rebuilt"].passed
    assert found["spool_in_bronze"].description is not None and found["rebuilt"].description is not None
    assert found["spool_in_bronze"].description.startswith(f"batch {BATCH_IDS[1]}: RECORDING_HASH_MISMATCH")
    assert found["rebuilt"].description.startswith("gold.price_history series_id=")
    assert "price_decimal: " in found["rebuilt"].description


def test_plain_dbt_may_be_the_judge_and_leaves_the_next_batch_in_one_transaction(filled: Place) -> None:
    filled.owner("update gold.price_history set price_decimal = price_decimal + 1")
    result = filled.run(
        "nightly",
        run_config={"resources": {"workshop": {"config": {"dbt": "cli"}}}},
        asset_selection=[dg.AssetKey(["proof", "full_refresh"])],
    )
    assert result.success
    [judged] = [each for key, each in filled.evaluations(result.run_id).items() if key[1] == "equivalent"]
    # it finds what is wrong, and all else is what plain dbt makes of bronze
    assert not judged.passed
    assert judged.metadata.keys() == {"tables", "gold.price_history"}
    assert judged.metadata["tables"].value == len(stored_tables())
    assert list(Path(os.environ["SPORTS_MARKET_STATE_DIR"], "dbt", "cli").glob("run_results.json"))

    filled.owner("update gold.price_history set price_decimal = price_decimal - 1")
    assert filled.run("ingest", *BATCH_IDS[:2]).success  # dbt in this process is as it was


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


def test_what_is_let_in_later_has_its_checks_told_anew(
    place: Place, recordings: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def strict(exchange: Exchange) -> Judgement:
        found = judge(exchange)
        return replace(found, verdict="quarantined") if exchange.request.endpoint == "odds" else found

    recordings(2)
    place.add(BATCH_IDS[:2])
    assert place.run("ingest", BATCH_IDS[0]).success
    with monkeypatch.context() as patch:
        patch.setattr(bronze_load, "judge", strict)
        for module in (bronze_load, verdicts):
            patch.setattr(module, "contract_version", lambda: "an older one")
        held = place.run("ingest", BATCH_IDS[1])
    before = place.evaluations(held.run_id)
    assert not before["bronze/exchanges", "quarantine", BATCH_IDS[1]].passed
    assert not before["gold/price_history", "determinism", BATCH_IDS[1]].passed  # as the snapshot knows no quarantine

    result = place.run("quarantine")
    assert result.success
    after = place.evaluations(result.run_id)
    assert {partition for _, _, partition in after} == {BATCH_IDS[1]}
    left = {"loaded", "drift"}  # nothing of these can change
    assert {key[:2] for key in after} == {key[:2] for key in before if key[1] not in left}
    assert {key: each.description for key, each in after.items() if not each.passed} == {}
    assert all(each.target_materialization_data for each in after.values())  # else Dagster shows the old ones
    assert after["gold/price_history", "determinism", BATCH_IDS[1]].metadata["method"].value == "snapshot"


def test_the_docs_are_written_where_the_assets_say(filled: Place) -> None:
    assert filled.run("docs").success
    metadata = filled.defs.resolve_asset_graph().get(dg.AssetKey(["gold", "price_history"])).metadata
    for name in ("contract_page", "dbt_docs"):
        page = Path(unquote(urlsplit(metadata[name].path).path))
        assert "price_history" in page.read_text(encoding="utf-8"), name
    assert metadata["dbt_docs"].path.endswith("#!/model/model.sports_market.price_history")


def test_a_full_refresh_starts_from_all_of_bronze(prepared: Warehouse) -> None:
    with prepared.connect(Role.OWNER) as connection:
        rows = connection.execute("select tablename from pg_tables where schemaname = 'bronze'").fetchall()
    assert {name for schema, name in COPIED if schema == "bronze"} == {name for (name,) in rows}
