"""The second reading: bodies are copied into the recording, batch by batch."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO

from pipeline.errors import RecordingError, SetupError
from pipeline.recording.imports.planning import Copy, Plan, PlannedBatch
from pipeline.recording.imports.unwrapping import answer_of
from pipeline.recording.model import PlanIdentity
from pipeline.recording.source_files import Source
from pipeline.recording.store import RecordingWriter

_MAX_SPOOL_BYTES = 64 * 1024 * 1024

# Files read so far, and how many readings there will be: two of each file. None until an archive was read once.
Progress = Callable[[int, int | None], None]


class Spool:
    """Bodies that wait for the rest of their batch: in memory while they are few, then in a file without a name.

    Args:
        folder: where that file is made.
    """

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_MAX_SPOOL_BYTES, dir=str(folder))  # noqa: SIM115
        self._places: dict[int, tuple[int, int]] = {}
        self._end = 0

    def put(self, index: int, body: bytes) -> None:
        """Keep a body."""
        with _writing():
            self._file.seek(self._end)
            self._file.write(body)
        self._places[index] = (self._end, len(body))
        self._end += len(body)

    def take(self, index: int) -> bytes:
        """Give a body back; it is kept no longer."""
        start, size = self._places.pop(index)
        self._file.seek(start)
        body = self._file.read(size)
        if not self._places:
            self._file.truncate(0)
            self._end = 0
        return body

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"A temporary file in the recording's folder cannot be written: {error.strerror}."
        raise SetupError("DISK_FULL", message, "Make room and run the same command again.") from error


def copy_bodies(
    source: Source,
    writer: RecordingWriter,
    plan: Plan,
    missing: Mapping[int, tuple[PlannedBatch, Copy]],
    *,
    answer_at: str | None,
    files: int,
    progress: Progress | None,
) -> None:
    """Copy the bodies; a batch is written when its last body has come, so that no batch is ever half there.

    Args:
        source: read from its beginning.
        writer: of the recording.
        plan: of the recording.
        missing: what is to be written, by the number of the file.
        answer_at: JSON pointer of the answer in a wrapper, or None.
        files: how many files the source has.
        progress: called after each file.

    Raises:
        RecordingError: ``IMPORT_SOURCE_CHANGED``, or what :meth:`Source.files` raises.
        SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``.
    """
    waiting = {batch.batch_id: len(batch.copies) for batch, _ in missing.values()}
    with contextlib.closing(Spool(writer.path)) as spool:
        for count, file in enumerate(source.files(), start=1):
            if count in missing:
                batch, copy = missing[count]
                if file.path != copy.path or file.body is None:
                    raise _changed(source, file.path)
                body = file.body if copy.as_is else answer_of(file, file.body, answer_at).body
                if hashlib.sha256(body).hexdigest() != copy.sha256:
                    raise _changed(source, file.path)
                waiting[batch.batch_id] -= 1
                spool.put(count, body)
                if not waiting[batch.batch_id]:
                    _seal(writer, plan.identity, batch, spool)
            if progress is not None:
                progress(files + count, 2 * files)
    unsealed = [copy.path for batch, copy in missing.values() if waiting[batch.batch_id]]
    if unsealed:
        raise _changed(source, min(unsealed))


def _seal(writer: RecordingWriter, identity: PlanIdentity, batch: PlannedBatch, spool: Spool) -> None:
    source = "simulated" if identity.document["declared"].get("simulated") else "import"
    target = writer.begin(batch.batch_id, batch.at, identity, source)
    # What an interrupted import left costs nothing to make anew, and may be of other files.
    target.discard()
    try:
        for copy in batch.copies:
            target.add(copy.exchange(spool.take(copy.index)))
        target.seal()
    except BaseException:
        target.discard()
        raise


def _changed(source: Source, path: str) -> RecordingError:
    message = f"{path} in {source.name} changed while it was read."
    return RecordingError("IMPORT_SOURCE_CHANGED", message, "Run the same command again when nothing writes there.")
