"""The bundled recording is what the simulated market answers today, byte for byte."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from pipeline.collect.simulated import record_simulated
from pipeline.errors import ConflictError
from pipeline.market.simulator import bundled
from pipeline.recording.store import Recording
from pipeline.resources import resource


def test_the_bundled_recording_can_be_made_anew(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    count = record_simulated(tmp_path / "again", lambda done, total: told.append((done, total)))
    again, there = Recording.open(tmp_path / "again"), Recording.open(resource("fixtures/recordings/simulated"))
    assert count == len(there) == len(bundled.bundled_batches())
    assert told[-1] == (count, count)
    assert list(again.batches()) == list(there.batches())


def test_another_market_does_not_go_into_the_same_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is sealed stays: the same requests of another market are a conflict, or other batches."""
    record_simulated(tmp_path / "one", lambda done, total: None)
    before = {batch.batch_id: batch for batch in Recording.open(tmp_path / "one").batches()}
    monkeypatch.setattr(bundled, "SEED", bundled.SEED + 1)
    with contextlib.suppress(ConflictError):
        record_simulated(tmp_path / "one", lambda done, total: None)
    after = {batch.batch_id: batch for batch in Recording.open(tmp_path / "one").batches()}
    assert {batch_id: after[batch_id] for batch_id in before} == before
