"""Gold from tasks is the gold of a replay, whatever is spread where."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.compute.computing import batches_in, compute, shared_out
from pipeline.compute.shard_task import TaskResult
from pipeline.errors import CheckFailed, ConflictError, RecordingError, UsageError
from pipeline.export.verify_export import verify_export
from pipeline.recording.model import batch_time
from pipeline.recording.store import Recording, content_sha256
from pipeline.replay.snapshots import SnapshotStore
from pipeline.resources import resource
from tests.compute import this_process
from tests.compute.this_process import ThisProcess
from tests.recordings import BUNDLED, written

RECORDING = resource(BUNDLED)


def proven() -> dict[str, str]:
    """The digests of all of gold after the last batch, as the recording's snapshots have them."""
    store, last = SnapshotStore(RECORDING), batches_in([RECORDING], None, None)[-1].batch_id
    snapshot, views = store.read(last), store.read_views(last)
    assert snapshot is not None and views is not None
    return {**snapshot.digests, **views}


@pytest.mark.parametrize("shards", [2, pytest.param(1, marks=pytest.mark.proof), pytest.param(4, marks=pytest.mark.proof)])
def test_the_bundled_recording(tmp_path: Path, shards: int) -> None:
    with ThisProcess() as workers:
        summary = compute(batches_in([RECORDING], None, None), tmp_path / "lake", workers, shards=shards)
    assert summary.digests == proven()
    check = verify_export(tmp_path / "lake")
    assert check.faults == ()
    assert check.digests == proven()
    assert len(summary.tasks) == shards


def test_a_run_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next one does not trip over what it left."""
    first, *_ = batches_in([RECORDING], None, None)
    lake = tmp_path / "lake"
    with ThisProcess() as workers:
        before = compute((first,), lake, workers)
    manifest = (lake / "manifest.json").read_bytes()

    def breaks(*arguments: object) -> TaskResult:
        raise CheckFailed("COMPUTE_MERGE", "It failed.", "")

    with ThisProcess() as workers, monkeypatch.context() as patch:
        patch.setattr(this_process, "run_merge", breaks)
        with pytest.raises(CheckFailed, match="COMPUTE_MERGE"):
            compute(batches_in([RECORDING], None, None)[:3], lake, workers)
    assert (lake / "manifest.json").read_bytes() == manifest
    with ThisProcess() as workers:
        again = compute((first,), lake, workers, shards=2)
    assert again.digests == before.digests
    check = verify_export(lake)
    assert check.faults == () and check.digests == before.digests


def test_events_are_shared_out_by_weight() -> None:
    weights = {"heavy": 1000, "a": 300, "b": 300, "c": 300, "only_in_a_ledger": 0}
    owners = shared_out(weights, 2)
    assert owners == shared_out(dict(reversed(weights.items())), 2)
    assert {owners[event] for event in ("a", "b", "c")} == {1 - owners["heavy"]}
    assert owners[""] == 0


def test_a_span_of_batches() -> None:
    every = batches_in([RECORDING, RECORDING], None, None)
    assert len(every) == len({place.batch_id for place in every})
    middle = batch_time(every[5].batch_id)
    assert batches_in([RECORDING], middle, None) == every[5:]
    assert batches_in([RECORDING], None, middle) == every[:5]
    with pytest.raises(RecordingError, match="RECORDING_EMPTY"):
        batches_in([RECORDING], middle, middle)


def test_recordings_that_differ_in_a_batch(tmp_path: Path) -> None:
    """Which one is right nobody can tell; the same batch in both is no difference."""
    first = Recording.open(RECORDING).read(batches_in([RECORDING], None, None)[0].batch_id)
    exchange, *others = first.exchanges
    other = replace(first, exchanges=(replace(exchange, body=b"[]"), *others))
    same = written(tmp_path / "same", [first])
    assert len(batches_in([same, RECORDING], None, None)) == len(batches_in([RECORDING], None, None))
    with pytest.raises(ConflictError, match="BATCH_CONFLICT") as raised:
        batches_in([RECORDING, written(tmp_path / "other", [other])], None, None)
    assert all(content_sha256(batch) in str(raised.value) for batch in (first, other))


def test_a_sport_that_nobody_asked_for(tmp_path: Path) -> None:
    with ThisProcess() as workers, pytest.raises(UsageError, match="SPORT_UNKNOWN"):
        compute(batches_in([RECORDING], None, None)[:1], tmp_path / "lake", workers, sport="curling")
