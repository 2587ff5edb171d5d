"""The recordings at hand: those of a folder, what was collected live, and the bundled one where there is no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from pipeline.recording.shelf import Shelf
from pipeline.resources import resource
from pipeline.settings import Settings

LIVE_RECORDING: Final = "live"
BUNDLED: Final = "fixtures/recordings"
# Said wherever it is offered.
BUNDLED_SAYS: Final = "No other recording is at hand, so the bundled one is offered. It is simulated: no game or price is real."


def live_folder(given: Settings) -> Path:
    """The recording that live batches are collected into."""
    return given.state_dir.absolute() / LIVE_RECORDING


def shelf_of(given: Settings) -> Shelf:
    """The recordings that are taken in, and what was collected live; the bundled one only where there is no other."""
    if offers_bundled(given):
        return Shelf((resource(BUNDLED), live_folder(given)))
    return Shelf((*([given.recordings_dir] if given.recordings_dir else []), live_folder(given)))


def offers_bundled(given: Settings) -> bool:
    """Whether the bundled recording, which is simulated, is offered to a warehouse: not beside real answers.

    None is named, no key is there to ask for real answers, and none were collected live.
    """
    return given.recordings_dir is None and given.api_key is None and not _holds_real(live_folder(given))


def is_bundled(recording: Path) -> bool:
    """Whether a recording is one of those that come with the package."""
    return recording.resolve().is_relative_to(resource(BUNDLED).resolve())


def _holds_real(folder: Path) -> bool:
    """Whether the first batch that was collected says anything but simulated; what is mixed is refused by the load."""
    indices = sorted(folder.glob("batches/*/index.json"))
    return bool(indices) and json.loads(indices[0].read_bytes()).get("source") != "simulated"
