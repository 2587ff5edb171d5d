"""Recordings that tests and benchmarks make, and the bundled one in a database."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import Clock
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording, RecordingWriter, reseal
from pipeline.replay.snapshots import FOLDER
from pipeline.resources import resource
from pipeline.transform.apply import apply_batches, prepare
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Role, Warehouse

BUNDLED: Final = "fixtures/recordings/simulated"


def written(folder: Path, batches: Iterable[Batch]) -> Path:
    """A recording of some batches, in a folder of its own."""
    writer = RecordingWriter(folder, durable=False)
    for batch in batches:
        sealing = writer.begin(batch.batch_id, batch.scheduled_at, batch.plan, batch.source)
        for exchange in batch.exchanges:
            sealing.add(exchange)
        sealing.seal()
    return folder


def fill(warehouse: Warehouse, engine: Engine, clock: Clock) -> None:
    """Load the bundled recording, all batches at once."""
    recording = Recording.open(resource(BUNDLED))
    prepare(warehouse, engine)
    with warehouse.connect(Role.INGESTER) as ingester:
        for batch in recording.batches():
            load_batch(ingester, batch, clock)
    applied = apply_batches(warehouse, engine, recording.batch_ids, clock)
    assert applied.published, applied.failed


def unpack(archive: tarfile.TarFile, folder: Path, members: Iterable[tarfile.TarInfo] | None = None) -> None:
    """Unpack files below a folder, as data: the same in Python before 3.11.4, which takes no filter."""
    archive.extraction_filter = getattr(tarfile, "data_filter", None)
    archive.extractall(folder, members=members)


def bundled_part(folder: Path, count: int, *, first: int = 0, with_snapshots: bool = True) -> Path:
    """A copy of some batches of the bundled recording, sealed, in a folder that is made."""
    source = resource(BUNDLED)
    (folder / "batches").mkdir(parents=True)
    shutil.copy(source / "recording.json", folder)
    if with_snapshots:
        (folder / FOLDER).mkdir()
    for batch_id in Recording.open(source).batch_ids[first : first + count]:
        shutil.copytree(source / "batches" / batch_id, folder / "batches" / batch_id)
        if with_snapshots:
            shutil.copy(source / FOLDER / f"{batch_id}.json", folder / FOLDER)
    reseal(folder)
    return folder
