"""Recordings on disk: one folder per batch, bodies byte for byte, an index with hashes that is written last.

A batch grows in ``unsealed/<batch_id>/``, where a journal tells what is safely there, and is moved to
``batches/<batch_id>/`` in one rename when its index is written. So ``batches/`` holds only whole batches, and a crash
loses no answer that was received.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pipeline
from pipeline.clock import from_iso, to_iso
from pipeline.errors import ConflictError, RecordingError, SetupError, UsageError
from pipeline.odds_api.endpoints import ENDPOINTS, nearest
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import FORMAT_VERSION, Batch, Coverage, Exchange, Failure, PlanIdentity

_HEAD: Final = "recording.json"
_INDEX: Final = "index.json"
_JOURNAL: Final = "exchanges.jsonl"
_UNDER_WAY: Final = "under_way"
_PLAIN_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]*")
# Which clock dated a batch's exchanges, by the batch's source.
_CLOCKS: Final = {"import": "recorded", "simulated": "simulated"}

Key = tuple[int, int]


class Recording:
    """A recording, read lazily: one batch in memory at a time, in order of time.

    Attributes:
        path: its folder.
        name: the name it was given.
        batch_ids: ids of its sealed batches, sorted.
    """

    def __init__(self, path: Path, name: str, batch_ids: tuple[str, ...]) -> None:
        self.path = path
        self.name = name
        self.batch_ids = batch_ids

    @classmethod
    def open(cls, path: Path | str) -> Recording:
        """Open a recording.

        Raises:
            RecordingError: ``RECORDING_NOT_FOUND``, ``RECORDING_EMPTY``, ``RECORDING_INDEX_BROKEN``,
                ``RECORDING_FORMAT_NEWER``.
        """
        path = Path(path)
        name = _read_head(path)
        batch_ids = _batch_ids(path)
        if not batch_ids:
            raise _empty(path)
        return cls(path, name, batch_ids)

    def __len__(self) -> int:
        return len(self.batch_ids)

    def read(self, batch_id: str) -> Batch:
        """One batch; the hash of every body is checked.

        Raises:
            RecordingError: ``RECORDING_NOT_FOUND`` (no such batch), ``RECORDING_INDEX_BROKEN``,
                ``RECORDING_FORMAT_NEWER``, ``RECORDING_UNKNOWN_ENDPOINT``, ``RECORDING_BODY_MISSING``,
                ``RECORDING_HASH_MISMATCH``.
        """
        if batch_id not in self.batch_ids:
            raise RecordingError(
                "RECORDING_NOT_FOUND",
                f"{self.path} holds no batch {batch_id!r}; the nearest is {nearest(batch_id, self.batch_ids)!r}.",
                "Name one of its batches.",
            )
        return _read_batch(self.path / "batches" / batch_id, batch_id)

    def batches(self) -> Iterator[Batch]:
        """All batches in order of time, one at a time."""
        return (self.read(batch_id) for batch_id in self.batch_ids)


class RecordingWriter:
    """Writes batches into a recording, which it makes where there is none. One process writes a recording at a time.

    Args:
        path: the recording's folder; made if missing, refused if it holds something else.
        name: the name of a new recording; the folder's name by default.
        created_from: what a new recording is made from, in words.
        durable: whether every answer reaches the disk before the next request; False for what can be made anew.

    Raises:
        UsageError: ``RECORDING_FOLDER_IN_USE``: the folder holds something that is no recording.
        RecordingError: the recording that is there is broken or newer.
        SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``.
    """

    def __init__(self, path: Path | str, *, name: str | None = None, created_from: str = "", durable: bool = True) -> None:
        self.path = Path(path)
        self._durable = durable
        head = self.path / _HEAD
        if head.exists():
            self.name = _read_head(self.path)
            return
        if self.path.exists() and (
            not self.path.is_dir() or any(not entry.name.startswith(".") for entry in self.path.iterdir())
        ):
            raise UsageError(
                "RECORDING_FOLDER_IN_USE", f"{self.path} is there and is no recording.", "Name a new or an empty folder."
            )
        self.name = name or self.path.resolve().name
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # git must not touch a line end: bodies are kept byte for byte
            _write(self.path / ".gitattributes", b"* -text\n", durable)
            document = {"format": FORMAT_VERSION, "name": self.name, "tool": _tool(), "created_from": created_from}
            _write_atomically(head, _pretty(document), durable)

    @property
    def batch_ids(self) -> tuple[str, ...]:
        """Ids of the batches sealed so far, sorted."""
        return _batch_ids(self.path)

    @property
    def unsealed(self) -> tuple[str, ...]:
        """Ids of the batches that were begun and are not sealed, sorted."""
        return _folders(self.path / "unsealed")

    def sealed(self, batch_id: str) -> Batch | None:
        """The sealed batch of that id, or None."""
        folder = self.path / "batches" / batch_id
        return _read_batch(folder, batch_id) if _PLAIN_NAME.fullmatch(batch_id) and folder.is_dir() else None

    def begin(self, batch_id: str, scheduled_at: dt.datetime, plan: PlanIdentity, source: str) -> BatchWriter:
        """Begin a batch, or go on with one that a crash left or that is sealed already.

        Args:
            batch_id: must be ``plan.batch_id(scheduled_at)``.
            scheduled_at: the batch's time, aware, whole seconds.
            plan: what was asked.
            source: ``live``, ``import``, ``simulated`` or ``backfill``.

        Raises:
            ValueError: the id does not follow from plan and time.
            RecordingError: what is there already is broken.
        """
        _check_identity(batch_id, scheduled_at, plan)
        sealed = self.sealed(batch_id)
        if sealed is not None:  # a crash may have left its journal
            _tidy(self.path / "batches" / batch_id)
        return BatchWriter(self.path, Batch(batch_id, scheduled_at, plan, source, ()), sealed, durable=self._durable)


class BatchWriter:
    """One batch on its way to being sealed. Made by :meth:`RecordingWriter.begin`."""

    def __init__(self, path: Path, batch: Batch, sealed: Batch | None, *, durable: bool) -> None:
        self._path = path
        self._batch = batch
        self._sealed = sealed
        self._durable = durable
        self._folder = path / "unsealed" / batch.batch_id
        self._exchanges: dict[Key, Exchange] = {}
        self._journal_size = 0
        self._lost = 0
        if sealed is None:
            self._resume()

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """What is there already, by place and attempt: after a resume, or all of a sealed batch."""
        return self._sealed.exchanges if self._sealed else tuple(self._exchanges[key] for key in sorted(self._exchanges))

    @property
    def lost(self) -> int:
        """Calls that may have been under way when an earlier process ended: their answers were paid for, and are not here."""
        return self._lost

    def expect(self, calls: int) -> None:
        """Note how many calls may be under way from now on, for the case that the process ends at once.

        Raises:
            SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``.
        """
        with _writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_atomically(self._folder / _UNDER_WAY, f"{calls}\n".encode(), self._durable)

    def add(self, exchange: Exchange) -> None:
        """Keep one exchange. It is on disk when this returns. Adding it again changes nothing.

        Raises:
            ConflictError: ``BATCH_CONFLICT``: another exchange is at this place and attempt.
            SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``; what was kept before stays.
        """
        key = (exchange.place, exchange.attempt)
        if key in self._exchanges:
            if self._exchanges[key] != exchange:
                raise _conflict(self._batch.batch_id, self._exchanges.values(), {**self._exchanges, key: exchange}.values())
            return
        if self._sealed is None:
            entry = _entry(exchange)
            line = (_canonical(entry) + "\n").encode()
            with _writing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                if exchange.body is not None:
                    _write(self._folder / entry["body"]["file"], exchange.body, self._durable)
                with (self._folder / _JOURNAL).open("ab") as journal:
                    # an earlier attempt may have left half a line
                    journal.truncate(self._journal_size)
                    journal.write(line)
                    _flush(journal, self._durable)
                self._journal_size += len(line)
        self._exchanges[key] = exchange

    def seal(self, scheduled_at: dt.datetime | None = None) -> Batch:
        """Write the index, last and atomically: from now on the batch is there for readers.

        Args:
            scheduled_at: another time to file the batch under (a historical batch bears the time of its envelope).

        Returns:
            The sealed batch; where it was sealed before with the same content, nothing is written.

        Raises:
            ConflictError: ``BATCH_CONFLICT``: the id is sealed with other content; names both hashes.
            SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``.
        """
        given = tuple(self._exchanges[key] for key in sorted(self._exchanges))
        if self._sealed is not None:
            if given and given != self._sealed.exchanges:
                raise _conflict(self._batch.batch_id, self._sealed.exchanges, given)
            return self._sealed
        at = scheduled_at or self._batch.scheduled_at
        batch = Batch(self._batch.plan.batch_id(at), at, self._batch.plan, self._batch.source, given)
        target = self._path / "batches" / batch.batch_id
        if target.is_dir():  # only under another time than it was begun with
            known = _read_batch(target, batch.batch_id)
            if known.exchanges != given:
                raise _conflict(batch.batch_id, known.exchanges, given)
            self.discard()
            return known
        with _writing(target):
            self._folder.mkdir(parents=True, exist_ok=True)
            _write_atomically(self._folder / _INDEX, _pretty(_index(batch)), self._durable)
            target.parent.mkdir(exist_ok=True)
            self._folder.rename(target)
            _flush_folder(target.parent, self._durable)
            _tidy(target)
            with contextlib.suppress(OSError):  # another unsealed batch is in it
                self._folder.parent.rmdir()
        self._sealed, self._batch = batch, batch
        return batch

    def discard(self) -> None:
        """Forget what was collected for this batch and is not sealed."""
        if self._folder.is_dir():
            # the journal goes first: without it, the other files are only leftovers
            for file in sorted(self._folder.iterdir(), key=lambda file: file.name != _JOURNAL):
                file.unlink()
            self._folder.rmdir()
            with contextlib.suppress(OSError):
                self._folder.parent.rmdir()
        self._exchanges, self._journal_size, self._lost = {}, 0, 0

    def _resume(self) -> None:
        journal, under_way = self._folder / _JOURNAL, self._folder / _UNDER_WAY
        if under_way.exists():
            with _parsing(under_way):
                self._lost = int(under_way.read_bytes())
        if not journal.exists():
            return
        data = journal.read_bytes()
        # a crash may have left half a line at the end; its answer was not yet safe
        self._journal_size = data.rfind(b"\n") + 1
        for line in data[: self._journal_size].splitlines():
            with _parsing(journal):
                entry = _load(line)
            exchange = _exchange(self._folder, journal, entry)
            self._exchanges[exchange.place, exchange.attempt] = exchange


def content_sha256(batch: Batch) -> str:
    """Hex sha256 of what a batch says: its id (so its time and plan) and its exchanges; not of the tools that wrote it."""
    return _content_sha256(batch.batch_id, batch.exchanges)


def _content_sha256(batch_id: str, exchanges: Iterable[Exchange]) -> str:
    document = {"batch_id": batch_id, "exchanges": [_entry(exchange) for exchange in exchanges]}
    return hashlib.sha256(_canonical(document).encode()).hexdigest()


# --- writing ---------------------------------------------------------------------------------------------------------


def _index(batch: Batch) -> dict[str, Any]:
    return {
        "format": FORMAT_VERSION,
        "batch_id": batch.batch_id,
        "scheduled_at": to_iso(batch.scheduled_at),
        "plan": batch.plan.document,
        "source": batch.source,
        "tool": _tool(),
        "clock": _CLOCKS.get(batch.source, "system"),
        "exchanges": [_entry(exchange) for exchange in batch.exchanges],
    }


def _entry(exchange: Exchange) -> dict[str, Any]:
    request, body, failure = exchange.request, exchange.body, exchange.failure
    file = f"{exchange.place:03d}-{exchange.attempt}.{request.endpoint}.json"
    return {
        "place": exchange.place,
        "attempt": exchange.attempt,
        "request": {
            "endpoint": request.endpoint,
            "sport": request.sport,
            "event_id": request.event_id,
            "params": dict(request.params),
        },
        "coverage": exchange.coverage.to_json(),
        "captured_at": to_iso(exchange.captured_at),
        "status": exchange.status,
        "headers": dict(exchange.headers),
        "body": None if body is None else {"file": file, "sha256": exchange.sha256, "bytes": len(body)},
        "failure": None if failure is None else {"code": failure.code, "message": failure.message},
    }


def _tool() -> dict[str, str]:
    return {"sports-market": pipeline.__version__, "python": f"{sys.version_info.major}.{sys.version_info.minor}"}


def _canonical(document: Any) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _pretty(document: Any) -> bytes:
    return (json.dumps(document, sort_keys=True, indent=2, allow_nan=False) + "\n").encode()


def _tidy(folder: Path) -> None:
    for name in (_JOURNAL, _UNDER_WAY):
        (folder / name).unlink(missing_ok=True)


def _write(file: Path, data: bytes, durable: bool) -> None:
    with file.open("wb") as stream:
        stream.write(data)
        _flush(stream, durable)


def _write_atomically(file: Path, data: bytes, durable: bool) -> None:
    temporary = file.with_name(f".{file.name}.tmp")
    _write(temporary, data, durable)
    temporary.replace(file)
    _flush_folder(file.parent, durable)


def _flush(stream: Any, durable: bool) -> None:
    stream.flush()
    if durable:
        os.fsync(stream.fileno())


def _flush_folder(folder: Path, durable: bool) -> None:
    if durable and os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SetupError(
                "DISK_FULL", f"No space is left to write {target}.", "Make room and run the same command again."
            ) from error
        raise SetupError(
            "RECORDING_NOT_WRITABLE", f"{target} cannot be written: {error.strerror}.", "Check the folder and its permissions."
        ) from error


def _conflict(batch_id: str, there: Iterable[Exchange], given: Iterable[Exchange]) -> ConflictError:
    return ConflictError(
        "BATCH_CONFLICT",
        f"Batch {batch_id} is there with content sha256:{_content_sha256(batch_id, there)} "
        f"and came again with sha256:{_content_sha256(batch_id, given)}.",
        "The same batch never has two contents: record into another folder, or remove the wrong one.",
    )


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_head(path: Path) -> str:
    """The recording's name, once its head is known to be good."""
    head = path / _HEAD
    if not head.is_file():
        if path.is_dir() and not any(path.iterdir()):
            raise _empty(path)
        raise RecordingError(
            "RECORDING_NOT_FOUND",
            f"{path} holds no recording ({_HEAD} is missing)." if path.exists() else f"{path} does not exist.",
            "Name a folder made by `sports-market import` or by a run.",
        )
    with _parsing(head):
        document = _load(head.read_bytes())
        _check_format(head, document)
        name: str = _typed(document, "name", str)
    return name


def _batch_ids(path: Path) -> tuple[str, ...]:
    return _folders(path / "batches")


def _folders(folder: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.name for entry in folder.iterdir() if entry.is_dir())) if folder.is_dir() else ()


def _read_batch(folder: Path, batch_id: str) -> Batch:
    index = folder / _INDEX
    if not index.is_file():
        raise _broken(index, "it is missing")
    with _parsing(index):
        document = _load(index.read_bytes())
        _check_format(index, document)
        plan = PlanIdentity(_typed(document, "plan", dict))
        scheduled_at = from_iso(_typed(document, "scheduled_at", str))
        source = _typed(document, "source", str)
        entries = _typed(document, "exchanges", list)
        if document["batch_id"] != batch_id:
            raise ValueError(f"it is the index of batch {document['batch_id']!r}")
        _check_identity(batch_id, scheduled_at, plan)
    exchanges = tuple(_exchange(folder, index, entry) for entry in entries)
    keys = [(exchange.place, exchange.attempt) for exchange in exchanges]
    if keys != sorted(set(keys)):
        raise _broken(index, "its exchanges are not in order of place and attempt, each once")
    return Batch(batch_id, scheduled_at, plan, source, exchanges)


def _exchange(folder: Path, index: Path, entry: Any) -> Exchange:
    with _parsing(index):
        asked = _typed(entry, "request", dict)
        name = _typed(asked, "endpoint", str)
    if name not in ENDPOINTS:
        raise RecordingError(
            "RECORDING_UNKNOWN_ENDPOINT",
            f"{index} names the endpoint {name!r}; the nearest known is {nearest(name, ENDPOINTS)!r}.",
            "Correct the index, or use a version of sports-market that knows it.",
        )
    with _parsing(index):
        failure = _typed(entry, "failure", dict, type(None))
        return Exchange(
            place=_typed(entry, "place", int),
            attempt=_typed(entry, "attempt", int),
            request=ApiRequest.of(
                name,
                sport=_typed(asked, "sport", str, type(None)),
                event_id=_typed(asked, "event_id", str, type(None)),
                params=_texts(asked, "params"),
            ),
            coverage=Coverage.from_json(_typed(entry, "coverage", dict)),
            captured_at=from_iso(_typed(entry, "captured_at", str)),
            status=_typed(entry, "status", int, type(None)),
            headers=tuple(sorted(_texts(entry, "headers").items())),
            body=_body(folder, _typed(entry, "body", dict, type(None))),
            failure=None if failure is None else Failure(_typed(failure, "code", str), _typed(failure, "message", str)),
        )


def _body(folder: Path, entry: dict[str, Any] | None) -> bytes | None:
    if entry is None:
        return None
    name, expected = _typed(entry, "file", str), _typed(entry, "sha256", str)
    file = folder / name
    # a recording may come from anyone: no name in it leads out of its folder
    if not _PLAIN_NAME.fullmatch(name) or file.is_symlink():
        raise ValueError(f"body file {name!r} is not a plain file name of its folder")
    if not file.is_file():
        raise RecordingError(
            "RECORDING_BODY_MISSING", f"Batch {folder.name}: the body {name} is missing.", "Restore the file, or record anew."
        )
    data: bytes = file.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != expected or len(data) != _typed(entry, "bytes", int):
        raise RecordingError(
            "RECORDING_HASH_MISMATCH",
            f"Batch {folder.name}: the body {name} has sha256 {found} ({len(data)} bytes), "
            f"its index says {expected} ({entry['bytes']} bytes).",
            "Restore the file; if the change is meant, write its hash and size into the index.",
        )
    return data


def _load(data: bytes) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(data, parse_constant=refuse)


def _typed(document: Any, key: str, *types: type) -> Any:
    value = document[key]
    if not isinstance(value, types) or isinstance(value, bool):
        raise TypeError(f"{key!r} is {value!r:.60}")
    return value


def _texts(document: Any, key: str) -> dict[str, str]:
    values: dict[str, str] = _typed(document, key, dict)
    if not all(isinstance(value, str) for value in values.values()):
        raise TypeError(f"{key!r} holds something that is no text")
    return values


def _check_format(file: Path, document: Any) -> None:
    version = _typed(document, "format", int)
    if version > FORMAT_VERSION:
        raise RecordingError(
            "RECORDING_FORMAT_NEWER",
            f"{file} has format {version}; this version of sports-market reads up to {FORMAT_VERSION}.",
            "Upgrade sports-market.",
        )
    if version < 1:
        raise ValueError(f"there is no format {version}")


def _check_identity(batch_id: str, scheduled_at: dt.datetime, plan: PlanIdentity) -> None:
    if batch_id != plan.batch_id(scheduled_at):
        raise ValueError(f"batch id {batch_id!r} does not follow from its plan and time ({plan.batch_id(scheduled_at)!r})")
    if scheduled_at.microsecond:
        raise ValueError(f"the time of batch {batch_id!r} has fractions of a second")


@contextlib.contextmanager
def _parsing(file: Path) -> Iterator[None]:
    try:
        yield
    except RecordingError:
        raise
    except KeyError as error:
        raise _broken(file, f"{error} is missing") from error
    except (ValueError, TypeError, IndexError, RecursionError, OSError) as error:
        raise _broken(file, str(error)) from error


def _broken(file: Path, why: str) -> RecordingError:
    return RecordingError(
        "RECORDING_INDEX_BROKEN", f"{file} cannot be read: {why}.", "Restore it from a copy, or record or import anew."
    )


def _empty(path: Path) -> RecordingError:
    return RecordingError("RECORDING_EMPTY", f"{path} holds no sealed batch.", "Import or collect one first.")
