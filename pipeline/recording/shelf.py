"""The recordings at hand: which of them holds a batch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pipeline.errors import RecordingError
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording


class Shelf:
    """Recordings in some folders, as they were when the shelf was looked through.

    Args:
        folders: each a recording, or a folder of recordings; one that is missing or empty holds none.

    Attributes:
        remarks: what a user should be told about the recordings, a line each.

    Raises:
        RecordingError: a recording is broken or of a newer format.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._by_batch: dict[str, Recording] = {}
        remarks: list[str] = []
        for place in folders:
            for folder in (place, *sorted(place.glob("*/"))):
                if (folder / "recording.json").is_file() and any(folder.glob("batches/*/index.json")):
                    recording = Recording.open(folder)
                    remarks += recording.remarks
                    for batch_id in recording.batch_ids:
                        # one id has one content for ever, so any of those that hold it will do
                        self._by_batch.setdefault(batch_id, recording)

        self.remarks: Final = tuple(remarks)

    @property
    def batch_ids(self) -> tuple[str, ...]:
        """All sealed batches, in order of time."""
        return tuple(sorted(self._by_batch))

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those of the recordings that hold them, sorted."""
        return tuple(sorted({recording.path for recording in self._by_batch.values()}))

    def recording_of(self, batch_id: str) -> Recording | None:
        """The recording that holds a batch, if any does."""
        return self._by_batch.get(batch_id)

    def read(self, batch_id: str) -> Batch:
        """A batch.

        Raises:
            RecordingError: ``BATCH_NOT_RECORDED``; or what is there is broken.
        """
        recording = self.recording_of(batch_id)
        if recording is None:
            raise RecordingError(
                "BATCH_NOT_RECORDED",
                f"No recording at hand holds the batch {batch_id}.",
                "Put its recording into the folder of recordings (SPORTS_MARKET_RECORDINGS_DIR).",
            )
        return recording.read(batch_id)
