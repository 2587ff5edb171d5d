"""Batches as partitions: a backfill, in any order, twice, at once; what is withheld is withheld alone."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import dagster as dg
import pytest

from pipeline.errors import UsageError
from pipeline.recording.store import Recording
from pipeline.replay.snapshots import SnapshotStore
from tests.orchestration.conftest import BATCH_IDS, BUNDLED, Place

Recordings = Callable[[int], Path]


def wanted(count: int) -> dict[str, str]:
    snapshot = SnapshotStore(BUNDLED).read(BATCH_IDS[count - 1])
    assert snapshot is not None
    return dict(snapshot.digests)


def check_all_told(place: Place, batch_ids: Sequence[str]) -> None:
    """Dagster waits for no check of a run: it would show that as failed."""
    graph = place.defs.resolve_asset_graph()
    partitioned = sorted(key for key in graph.asset_check_keys if graph.get(key).partitions_def)
    infos = place.instance.event_log_storage.get_asset_check_partition_info(partitioned)
    states = {(info.check_key, info.partition_key): info.latest_execution_status.value for info in infos}
    assert states.keys() == {(key, batch_id) for key in partitioned for batch_id in batch_ids}
    assert set(states.values()) <= {"SUCCEEDED", "FAILED"}


@pytest.mark.proof
@pytest.mark.parametrize("count", [5, 26])
def test_the_bundled_recording_gives_the_digests_of_a_replay_and_every_check_is_green(
    count: int, place: Place, recordings: Recordings
) -> None:
    from pipeline.orchestration.dagster_backfill import backfill_partitions

    if count < len(BATCH_IDS):
        recordings(count)
    summary = backfill_partitions(place.instance, None, lambda line: None)
    assert summary.failed == ()
    assert (summary.batches, summary.published, summary.exit_code) == (count, count, 0)
    assert len(summary.runs) == 1  # one process for all of them
    assert place.digests() == wanted(count)
    [run_id] = summary.runs
    found = place.evaluations(run_id)
    # each check of a batch, for each batch, and nothing without its partition
    graph = place.defs.resolve_asset_graph()
    partitioned = {key for key in graph.asset_check_keys if graph.get(key).partitions_def}
    assert {(asset, name) for asset, name, _ in found} == {(key.asset_key.to_user_string(), key.name) for key in partitioned}
    assert {partition for _, _, partition in found} == set(BATCH_IDS[:count])
    assert len(found) == len(partitioned) * count == summary.checks
    # Dagster's pages show an evaluation that is of the newest materialization
    shown = place.instance.event_log_storage.get_asset_check_partition_info(sorted(partitioned))
    assert len(shown) == len(found)
    assert all(info.is_current for info in shown)
    assert {found[key].metadata["method"].value for key in found if key[1] == "determinism"} == {"snapshot"}
    for asset in ("recording", "bronze/bodies", "ops/ledger", "silver/quotes", "gold/price_history"):
        assert place.materialized(asset) == set(BATCH_IDS[:count]), asset


def test_numbers_and_a_picture_are_told_for_every_batch(place: Place, recordings: Recordings) -> None:
    recordings(2)
    place.add(BATCH_IDS[:2])
    assert place.run("ingest", *BATCH_IDS[:2]).success

    def told(key: str) -> dict[str, object]:
        event = place.instance.get_latest_materialization_event(dg.AssetKey(key.split("/")))
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.partition == BATCH_IDS[1]
        return {name: each.value for name, each in event.asset_materialization.metadata.items()}

    assert {"rows", "changes", "price_age_seconds", "hold"} <= told("silver/quotes").keys()
    assert float(str(told("silver/quotes")["hold"])) > 0
    assert int(str(told("bronze/bodies")["bytes"])) > 0
    assert "credits" in told("bronze/batches")
    prices = told("gold/price_history")
    assert {"rows", "changes", "seconds", "dagster/row_count"} <= prices.keys()
    assert "data:image/svg+xml;base64," in str(prices["line_movement"])


def test_partitions_in_any_order_and_again_end_the_same(place: Place, recordings: Recordings) -> None:
    recordings(4)
    shuffled = [BATCH_IDS[2], BATCH_IDS[0], BATCH_IDS[3], BATCH_IDS[1]]
    place.add(shuffled)
    methods = {}
    for batch_id in shuffled:
        result = place.run("ingest", batch_id)
        assert result.success
        found = place.evaluations(result.run_id)
        assert all(each.passed or each.severity is dg.AssetCheckSeverity.WARN for each in found.values())
        methods[batch_id] = found["gold/price_history", "determinism", batch_id].metadata["method"].value
    # a state that is none of the recording's is proven by computing its events anew
    assert methods == dict(zip(shuffled, ("rebuilt", "rebuilt", "rebuilt", "snapshot"), strict=True))
    assert place.digests() == wanted(4)
    assert place.run("ingest", shuffled[0]).success
    assert place.digests() == wanted(4)


def test_only_what_was_asked_for_is_taken_in(place: Place, recordings: Recordings) -> None:
    recordings(3)
    place.add(BATCH_IDS[:3])
    assert place.run("ingest", BATCH_IDS[0]).success
    assert place.materialized("gold/events") == {BATCH_IDS[0]}
    assert place.digests() == wanted(1)


def test_two_backfills_at_once_end_the_same(place: Place, recordings: Recordings, tmp_path: Path) -> None:
    folder = recordings(3)
    script = (
        "import sys, dagster as dg; from pipeline.orchestration.dagster_backfill import backfill_partitions\n"
        "with dg.instance_for_test() as instance: sys.exit(backfill_partitions(instance, None, print).exit_code)"
    )
    environment = {
        **place.environment,
        "SPORTS_MARKET_RECORDINGS_DIR": str(folder.parent),
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    both = [
        subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [each.communicate(timeout=600)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], told
    assert place.digests() == wanted(3)


def test_a_batch_with_a_broken_row_is_withheld_alone_and_green_after_the_fix(place: Place, recordings: Recordings) -> None:
    recordings(4)
    place.add(BATCH_IDS[:4])
    bad = BATCH_IDS[1]
    at = Recording.open(BUNDLED).read(bad).scheduled_at.isoformat()
    place.owner(
        "create function public.spoil() returns trigger language plpgsql as $$ begin"
        f" if new.moment_at = '{at}' then new.price_decimal := 0.5; end if; return new; end $$",
        "create trigger spoil before insert on silver.quotes for each row execute function public.spoil()",
    )
    result = place.run("ingest", BATCH_IDS[0], BATCH_IDS[3])
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert bad in str(failure.step_failure_data.user_failure_data)
    assert "1 of 4 batches" in str(failure.step_failure_data.user_failure_data)
    found = place.evaluations(result.run_id)
    made = {key: each for key, each in found.items() if key[2] == bad and "not_made" not in each.metadata}
    assert {key[:2] for key, each in made.items() if not each.passed} == {("silver/quotes", "silver_quotes")}
    check_all_told(place, BATCH_IDS[:4])
    # what was not reached warns, and does not fail
    left = [each for key, each in found.items() if key[2] == bad and key not in made]
    assert ("gold/price_history", "determinism", bad) in found and len(left) > 20
    assert {(each.severity, str(each.description)) for each in left} == {
        (dg.AssetCheckSeverity.WARN, "Not looked at: the batch is withheld.")
    }
    broken = found["silver/quotes", "silver_quotes", bad]
    # the rules in words; rows stand in the table, and no line of ids is before it
    assert re.fullmatch(r"[\d,]+ rows: quotes: [^|]+( \| quotes: [^|]+)*", str(broken.description))
    assert "quotes: a complete set is priced" in str(broken.description) and "found" not in broken.metadata
    assert int(broken.metadata["failing_rows"].value) > 0
    rows = broken.metadata["rows"]
    assert isinstance(rows, dg.TableMetadataValue)
    assert "quotes: price_decimal follows from the native price" in {row.data["rule"] for row in rows.records}
    assert any("betmgm h2h Baltimore Orioles" in str(row.data["key"]) for row in rows.records)
    assert all("price_decimal: 0.5" in str(row.data["holds"]) for row in rows.records)
    assert found["silver/quotes", "silver_quotes", BATCH_IDS[2]].passed
    assert place.materialized("gold/price_history") == set(BATCH_IDS[:4]) - {bad}
    assert bad in place.materialized("bronze/bodies")  # its bodies stay

    place.owner("drop function public.spoil cascade")
    again = place.run("ingest", bad)
    assert again.success
    now = place.evaluations(again.run_id)
    assert all(each.passed or each.severity is dg.AssetCheckSeverity.WARN for each in now.values())
    assert place.materialized("gold/price_history") == set(BATCH_IDS[:4])
    assert place.digests() == wanted(4)


def test_a_batch_that_cannot_be_read_does_not_keep_the_others(place: Place, recordings: Recordings) -> None:
    folder = recordings(3)
    body = next((folder / "batches" / BATCH_IDS[1]).glob("*.odds.json"), None) or next(
        path for path in (folder / "batches" / BATCH_IDS[1]).iterdir() if path.name != "index.json"
    )
    body.write_bytes(body.read_bytes() + b" ")
    place.add(BATCH_IDS[:3])
    result = place.run("ingest", BATCH_IDS[0], BATCH_IDS[2])
    assert not result.success
    found = place.evaluations(result.run_id)
    loaded = found["bronze/batches", "loaded", BATCH_IDS[1]]
    assert not loaded.passed
    assert loaded.metadata["code"].value == "RECORDING_HASH_MISMATCH"
    check_all_told(place, BATCH_IDS[:3])
    drift = found["bronze/exchanges", "drift", BATCH_IDS[1]]
    assert (drift.severity, drift.description) == (dg.AssetCheckSeverity.WARN, "Not looked at: it is not loaded.")
    assert place.materialized("gold/events") == {BATCH_IDS[0], BATCH_IDS[2]}

    shutil.copy(BUNDLED / "batches" / BATCH_IDS[1] / body.name, body)
    assert place.run("ingest", BATCH_IDS[1]).success
    assert place.digests() == wanted(3)


def test_gold_that_is_not_what_bronze_gives_is_found(place: Place, recordings: Recordings) -> None:
    folder = recordings(2)
    shutil.rmtree(folder / "snapshots")  # as a live recording is
    place.add(BATCH_IDS[:2])
    assert place.run("ingest", *BATCH_IDS[:2]).success
    place.owner("update gold.price_history set price_decimal = price_decimal + 1")
    result = place.run("ingest", BATCH_IDS[1])
    found = place.evaluations(result.run_id)
    differs = found["gold/price_history", "determinism", BATCH_IDS[1]]
    assert not differs.passed
    assert differs.metadata["method"].value == "rebuilt"
    assert int(differs.metadata["differing"].value) > 0
    assert found["gold/events", "determinism", BATCH_IDS[1]].passed
    assert not result.success


def test_a_batch_that_no_recording_holds_is_named(
    place: Place, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.orchestration.dagster_backfill import backfill_partitions

    monkeypatch.setenv("SPORTS_MARKET_SIMULATED", "1")
    recordings(1)
    with pytest.raises(UsageError) as caught:
        backfill_partitions(place.instance, ["20200101T000000Z-0123456789ab"], lambda line: None)
    assert caught.value.code == "BATCH_UNKNOWN"
    place.add(["20200101T000000Z-0123456789ab"])
    result = place.run("ingest", "20200101T000000Z-0123456789ab")
    assert not result.success
    assert "BATCH_OF_ANOTHER_PLAN" in json.dumps([str(event.event_specific_data) for event in result.all_events])


@pytest.mark.parametrize(
    ("known", "chosen", "expected"),
    [
        ("abcd", "abcd", [("a", "d")]),
        ("abcd", "ac", [("a", "a"), ("c", "c")]),
        ("dacb", "ab", [("a", "a"), ("b", "b")]),
        ("dacb", "bc", [("c", "b")]),
        ("abcd", "", []),
    ],
)
def test_a_run_takes_a_stretch_of_partitions(known: str, chosen: str, expected: list[tuple[str, str]]) -> None:
    from pipeline.orchestration.partitions import ranges

    assert list(ranges(known, chosen)) == expected
