"""Recordings that tests and benchmarks make."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.recording.model import Batch
from pipeline.recording.store import RecordingWriter


def written(folder: Path, batches: Iterable[Batch]) -> Path:
    """A recording of some batches, in a folder of its own."""
    writer = RecordingWriter(folder, durable=False)
    for batch in batches:
        sealing = writer.begin(batch.batch_id, batch.scheduled_at, batch.plan, batch.source)
        for exchange in batch.exchanges:
            sealing.add(exchange)
        sealing.seal()
    return folder
