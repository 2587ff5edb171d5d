"""The bundled recording is offered where there is no other, and is called simulated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.orchestration.at_hand import BUNDLED, BUNDLED_SAYS, is_bundled, live_folder, offers_bundled, shelf_of
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.resources import resource
from pipeline.secret import Secret
from pipeline.settings import Settings

SIMULATED = resource(f"{BUNDLED}/simulated")


def collected(folder: Path, source: str) -> None:
    """A recording of one batch that says where it is from."""
    batch = next(Recording.open(SIMULATED).batches())
    writer = RecordingWriter(folder, durable=False).begin(batch.batch_id, batch.scheduled_at, batch.plan, source)
    for exchange in batch.exchanges:
        writer.add(exchange)
    writer.seal()


def test_it_is_offered_where_there_is_nothing_else(tmp_path: Path) -> None:
    given = Settings(state_dir=tmp_path)
    assert offers_bundled(given)
    assert shelf_of(given).batch_ids == Recording.open(SIMULATED).batch_ids
    held = shelf_of(given).recording_of(Recording.open(SIMULATED).batch_ids[0])
    assert held is not None and is_bundled(held.path)
    assert "simulated" in BUNDLED_SAYS
    assert not is_bundled(tmp_path)


@pytest.mark.parametrize(("source", "offered"), [("simulated", True), ("live", False), ("import", False)])
def test_not_beside_real_answers_that_were_collected(source: str, offered: bool, tmp_path: Path) -> None:
    given = Settings(state_dir=tmp_path)
    collected(live_folder(given), source)
    assert offers_bundled(given) is offered
    assert len(shelf_of(given).batch_ids) == (len(Recording.open(SIMULATED).batch_ids) if offered else 1)


def test_not_beside_a_key_or_a_folder_that_is_named(tmp_path: Path) -> None:
    with_key = Settings(state_dir=tmp_path, api_key=Secret("0" * 32))
    named = Settings(state_dir=tmp_path, recordings_dir=tmp_path / "recordings")
    for given in (with_key, named):
        assert not offers_bundled(given)
        assert shelf_of(given).batch_ids == ()


def test_the_bundled_one_says_that_it_is_simulated() -> None:
    indices = list(SIMULATED.glob("batches/*/index.json"))
    assert indices and {json.loads(file.read_bytes())["source"] for file in indices} == {"simulated"}
