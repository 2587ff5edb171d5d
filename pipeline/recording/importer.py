"""Turn answers that people already have into a recording.

The source is read twice, one file in memory at a time: first to learn each file's time, endpoint and sport and what its
family ever shows, then to copy the bytes. Nothing is judged here: every file with a time and an endpoint is kept byte
for byte, even one that is no JSON. What cannot be placed is refused by name.
"""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from pipeline.clock import to_iso
from pipeline.errors import ConflictError, RecordingError, UsageError
from pipeline.printable import printable
from pipeline.recording.imports.copying import Progress, copy_bodies
from pipeline.recording.imports.import_options import ImportOptions
from pipeline.recording.imports.planning import Copy, Plan, PlannedBatch, Survey
from pipeline.recording.imports.report import Counts, ImportReport, Refused
from pipeline.recording.model import Batch, Exchange
from pipeline.recording.source_files import Source
from pipeline.recording.store import RecordingWriter

__all__ = ["Counts", "ImportOptions", "ImportReport", "Progress", "Refused", "import_recording"]


def import_recording(source: Path, out: Path, options: ImportOptions, progress: Progress | None = None) -> ImportReport:
    """Import a folder, a file or an archive of answers into a recording.

    Files of one second form one batch. The same bytes as answer of the same request at the same time are a duplicate;
    at another time they are another observation. Importing again changes nothing, and completes what was interrupted.
    Where no file can be placed nothing is written.

    Args:
        source: a folder, a file, or a ``.zip``, ``.tar``, ``.tar.xz``, ``.tar.gz`` or ``.tar.bz2`` archive.
        out: the recording's folder: new, empty, or holding (part of) the same recording.
        options: what is declared.
        progress: called after each file that was read.

    Raises:
        RecordingError: ``IMPORT_SOURCE_NOT_FOUND``, ``IMPORT_SOURCE_EMPTY``, ``IMPORT_SOURCE_BROKEN``,
            ``IMPORT_SOURCE_CHANGED`` (while it was read), ``IMPORT_ARCHIVE_REFUSED`` (a header or what comes out of it is
            larger than in any honest one), or what is in ``out`` is broken.
        UsageError: ``IMPORT_SOURCE_IS_RECORDING``, ``IMPORT_OUT_OVERLAPS``, ``RECORDING_FOLDER_IN_USE``.
        ConflictError: ``BATCH_CONFLICT`` or ``IMPORT_OUT_HOLDS_OTHER``: ``out`` holds other content. Nothing was changed.
        SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``; batches that were sealed before stay.
    """
    opened = Source(source)
    _check_places(source, out)
    survey = Survey(options, opened.folder)
    total = opened.total
    for count, file in enumerate(opened.files(), start=1):
        survey.take(file)
        if progress is not None:
            progress(count, None if total is None else 2 * total)
    if not survey.files:
        raise RecordingError(
            "IMPORT_SOURCE_EMPTY", f"{printable(str(source))} holds no file.", "Name the folder or archive of the answers."
        )
    planned = survey.plan()
    there = _compare(out, planned)
    missing = {copy.index: (batch, copy) for batch in planned.batches if batch.batch_id not in there for copy in batch.copies}
    if missing:
        writer = RecordingWriter(out, created_from=f"import of {opened.name}")
        copy_bodies(opened, writer, planned, missing, answer_at=options.answer_at, files=survey.files, progress=progress)
    elif progress is not None:
        progress(2 * survey.files, 2 * survey.files)
    return planned.report(printable(str(out)), len(planned.batches) - len(there))


# --- what is there already -------------------------------------------------------------------------------------------


def _check_places(source: Path, out: Path) -> None:
    if (source / "recording.json").is_file():
        message = f"{printable(str(source))} is a recording already."
        raise UsageError("IMPORT_SOURCE_IS_RECORDING", message, "Replay or load it as it is.")
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        message = f"{printable(str(out))} and {printable(str(source))} lie in each other."
        raise UsageError("IMPORT_OUT_OVERLAPS", message, "Write the recording to another folder.")
    if out.exists() and not (out.is_dir() and all(entry.name.startswith(".") for entry in out.iterdir())):
        # refuses a folder that holds something else before the source is read for nothing
        RecordingWriter(out)


def _compare(out: Path, planned: Plan) -> frozenset[str]:
    """Ids of the planned batches that are in ``out`` already, the same.

    Raises:
        ConflictError: something else is there.
    """
    if not (out / "recording.json").exists() or not planned.batches:
        return frozenset()
    writer = RecordingWriter(out)
    there = frozenset(writer.batch_ids)
    others = there - {batch.batch_id for batch in planned.batches}
    if others:
        message = f"{printable(str(out))} holds {len(others)} other batches than this source makes, such as {min(others)}."
        raise ConflictError("IMPORT_OUT_HOLDS_OTHER", message, "Import into a new folder.")
    for batch in planned.batches:
        if batch.batch_id in there and (known := writer.sealed(batch.batch_id)) is not None:
            _compare_batch(known, batch)
    return there


def _compare_batch(known: Batch, batch: PlannedBatch) -> None:
    def facts(exchange: Exchange | Copy, at: dt.datetime) -> tuple[str, ...]:
        coverage = json.dumps(exchange.coverage.to_json(), sort_keys=True)
        return exchange.request.text, f"sha256:{exchange.sha256}", coverage, to_iso(at)

    before = [facts(exchange, exchange.captured_at) for exchange in known.exchanges]
    now = [facts(copy, copy.at) for copy in batch.copies]
    if before == now:
        return
    pairs = enumerate(zip(before, now, strict=False))
    index = next((index for index, (was, comes) in pairs if was != comes), min(len(before), len(now)))
    there, comes = (" ".join(side[index]) if index < len(side) else "nothing" for side in (before, now))
    raise ConflictError(
        "BATCH_CONFLICT",
        f"Batch {batch.batch_id} is there with other content: at place {index} it has {there}, and now comes {comes}.",
        "The same batch never has two contents: import into a new folder.",
    )
