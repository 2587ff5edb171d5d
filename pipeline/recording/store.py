"""Recordings on disk: one folder per batch, bodies byte for byte, an index with hashes that is written last.

A batch grows in ``unsealed/<batch_id>/``, where a journal tells what is safely there, and is moved to
``batches/<batch_id>/`` in one rename when its index is written. So ``batches/`` holds only whole batches, and a crash
loses no answer that was received.

Every index bears a seal (see ``seals``). Then the batch is listed: ``seals/<day>.json`` has the seals of the batches of a day
and ``recording.json`` the days, each of these files sealed in its turn. A list per day keeps the cost of a batch the same in a
recording of ten batches and of ten thousand. What a crash leaves is a batch that no list has: it is whole by its own seal,
a reader takes it and says so, and the next writer lists it. A listed batch that is not there is an error.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import hashlib
import json
import os
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pipeline
from pipeline.clock import is_datable, to_iso
from pipeline.errors import ConflictError, RecordingError, SetupError, UsageError
from pipeline.odds_api.endpoints import nearest
from pipeline.recording.file_format import (
    PLAIN_NAME,
    BodyFile,
    BrokenDocument,
    Entry,
    Head,
    Index,
    NewerFormat,
    check_identity,
    entry_of,
    head_of,
    index_of,
    parse,
    seals_of,
)
from pipeline.recording.model import FORMAT_VERSION, Batch, Exchange, PlanIdentity
from pipeline.recording.seals import seal_of, sealed

_HEAD: Final = "recording.json"
_INDEX: Final = "index.json"
_JOURNAL: Final = "exchanges.jsonl"
_UNDER_WAY: Final = "under_way"
_SEALS: Final = "seals"
# Which clock dated a batch's exchanges, by the batch's source.
_CLOCKS: Final = {"import": "recorded", "simulated": "simulated"}

Key = tuple[int, int]
_Stamp = tuple[int, int, int] | None


class Recording:
    """A recording, read lazily: one batch in memory at a time, in order of time.

    Attributes:
        path: its folder.
        name: the name it was given.
        batch_ids: ids of its sealed batches, sorted.
        remarks: what a user should be told about it, a line each; empty where all is as it should be.
    """

    def __init__(self, path: Path, head: Head, batch_ids: tuple[str, ...], seals: Mapping[str, str]) -> None:
        self.path = path
        self.name = head.name
        self.batch_ids = batch_ids
        self._head = head
        self._seals = seals
        self._checked: set[str] = set()

    @classmethod
    def open(cls, path: Path | str) -> Recording:
        """Open a recording.

        Raises:
            RecordingError: ``RECORDING_NOT_FOUND``, ``RECORDING_EMPTY``, ``RECORDING_INDEX_BROKEN``,
                ``RECORDING_FORMAT_NEWER``, ``RECORDING_SEAL_BROKEN``, ``RECORDING_BATCH_MISSING``.
        """
        path = Path(path)
        head = _read_head(path)
        # the lists before the folders: a batch that is sealed meanwhile is listed after its folder is there
        seals = _read_seals(path, head)
        batch_ids = _batch_ids(path)
        if gone := sorted(seals.keys() - set(batch_ids)):
            raise _gone(path, gone)
        if not batch_ids:
            raise _empty(path)
        return cls(path, head, batch_ids, seals)

    def __len__(self) -> int:
        return len(self.batch_ids)

    @property
    def remarks(self) -> tuple[str, ...]:
        """See the class."""
        reseal = f"`sports-market recording reseal {self.path}`"
        if self._head.format < FORMAT_VERSION:
            return (f"{self.path} is not sealed (format {self._head.format}): damage to it may go unseen. Seal it: {reseal}.",)
        unlisted = [batch_id for batch_id in self.batch_ids if batch_id not in self._seals]
        if not unlisted:
            return ()
        return (
            f"{self.path}: no list of seals has {len(unlisted)} of its batches, such as {unlisted[0]}: a run was stopped as it"
            f" sealed them or seals them now, or they were put there by hand. The next run that writes there lists them, or"
            f" {reseal}.",
        )

    def read(self, batch_id: str) -> Batch:
        """One batch; its seal and the hash of every body are checked.

        Raises:
            RecordingError: ``RECORDING_NOT_FOUND`` (no such batch), ``RECORDING_INDEX_BROKEN``,
                ``RECORDING_FORMAT_NEWER``, ``RECORDING_UNKNOWN_ENDPOINT``, ``RECORDING_SEAL_BROKEN``,
                ``RECORDING_NOT_SEALED``, ``RECORDING_BODY_MISSING``, ``RECORDING_HASH_MISMATCH``.
        """
        index = self._index(batch_id)
        return _batch(self.path / "batches" / batch_id, index)

    def batches(self) -> Iterator[Batch]:
        """All batches in order of time, one at a time."""
        return (self.read(batch_id) for batch_id in self.batch_ids)

    def check(self, batch_ids: Iterable[str] | None = None) -> None:
        """Read the indexes of some batches, by default of all, and see that their bodies are there; no body is read.

        For a run that writes: it refuses a broken batch before it writes those before it. What was checked once is not again.

        Raises:
            RecordingError: as :meth:`read` does, but for hashes of bodies.
        """
        for batch_id in self.batch_ids if batch_ids is None else batch_ids:
            if batch_id not in self._checked:
                for entry in self._index(batch_id).entries:
                    if entry.body is not None:
                        _body_path(self.path / "batches" / batch_id, entry.body)
                self._checked.add(batch_id)

    def _index(self, batch_id: str) -> Index:
        if batch_id not in self.batch_ids:
            raise RecordingError(
                "RECORDING_NOT_FOUND",
                f"{self.path} holds no batch {batch_id!r}; the nearest is {nearest(batch_id, self.batch_ids)!r}.",
                "Name one of its batches.",
            )
        must_seal = self._head.format >= FORMAT_VERSION
        return _read_index(self.path / "batches" / batch_id, batch_id, self._seals.get(batch_id), must_seal=must_seal)


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
        self._lists = _Lists(self.path, durable)
        head = self.path / _HEAD
        if self.check(self.path):
            self.name = _read_head(self.path).name
            return
        self.name = name or self.path.resolve().name
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # git must not touch a line end: bodies are kept byte for byte
            _write(self.path / ".gitattributes", b"* -text\n", durable)
            document = {
                "format": FORMAT_VERSION,
                "name": self.name,
                "tool": _tool(),
                "created_from": created_from,
                "days": [],
            }
            _write_atomically(head, sealed(document)[0], durable)

    @staticmethod
    def check(path: Path) -> bool:
        """Whether a recording is there; where none is, one can be made. Nothing is written.

        Raises:
            UsageError: ``RECORDING_FOLDER_IN_USE``: the folder holds something that is no recording.
            RecordingError: the recording that is there is broken or newer.
        """
        if (path / _HEAD).exists():
            _read_head(path)
            return True
        if path.exists() and (not path.is_dir() or any(not entry.name.startswith(".") for entry in path.iterdir())):
            raise UsageError(
                "RECORDING_FOLDER_IN_USE", f"{path} is there and is no recording.", "Name a new or an empty folder."
            )
        return False

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
        if not PLAIN_NAME.fullmatch(batch_id) or not folder.is_dir():
            return None
        return _batch(folder, _read_index(folder, batch_id, self._lists.seal_of(batch_id), must_seal=False))

    def heal(self) -> None:
        """End what a crash cut short of sealing a batch that is there already; the first new batch would do it too."""
        self._lists.heal()

    def begin(self, batch_id: str, scheduled_at: dt.datetime, plan: PlanIdentity, source: str) -> BatchWriter:
        """Begin a batch, or go on with one that a crash left or that is sealed already.

        Args:
            batch_id: must be ``plan.batch_id(scheduled_at)``.
            scheduled_at: the batch's time, aware, whole seconds.
            plan: what was asked.
            source: ``live``, ``import``, ``simulated`` or ``backfill``.

        Raises:
            ValueError: the id does not follow from plan and time.
            RecordingError: ``BATCH_TIME_INVALID``, or what is there already is broken.
        """
        if not is_datable(scheduled_at):
            raise RecordingError(
                "BATCH_TIME_INVALID",
                f"There is no batch of {to_iso(scheduled_at)}: it is not between the years 1990 and 2100.",
                "Correct the machine's clock, or the time that was given.",
            )
        check_identity(batch_id, scheduled_at, plan)
        known = self.sealed(batch_id)
        if known is not None:  # a crash may have left its journal, and it in no list
            if self._lists.seal_of(batch_id) is None:
                self._lists.heal()
            _tidy(self.path / "batches" / batch_id)
        batch = Batch(batch_id, scheduled_at, plan, source, ())
        return BatchWriter(self.path, batch, known, self._lists, durable=self._durable)


class BatchWriter:
    """One batch on its way to being sealed. Made by :meth:`RecordingWriter.begin`."""

    def __init__(self, path: Path, batch: Batch, known: Batch | None, lists: _Lists, *, durable: bool) -> None:
        self._path = path
        self._batch = batch
        self._sealed = known
        self._lists = lists
        self._durable = durable
        self._folder = path / "unsealed" / batch.batch_id
        self._exchanges: dict[Key, Exchange] = {}
        self._journal_size = 0
        self._lost = 0
        if known is None:
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
            RecordingError: ``EXCHANGE_INVALID``: an index could not say this, so that nobody could read it.
            SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``; what was kept before stays.
        """
        key = (exchange.place, exchange.attempt)
        if key in self._exchanges:
            if self._exchanges[key] != exchange:
                raise _conflict(self._batch.batch_id, self._exchanges.values(), {**self._exchanges, key: exchange}.values())
            return
        if self._sealed is None:
            entry = _entry(exchange)
            text = _canonical(entry).encode()
            _check_readable(self._batch.batch_id, text)
            line = hashlib.sha256(text).hexdigest().encode() + b" " + text + b"\n"
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
            RecordingError: ``BATCH_EMPTY``: nothing was added.
            SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``.
        """
        given = tuple(self._exchanges[key] for key in sorted(self._exchanges))
        if self._sealed is not None:
            if given and given != self._sealed.exchanges:
                raise _conflict(self._batch.batch_id, self._sealed.exchanges, given)
            return self._sealed
        if not given:
            raise RecordingError(
                "BATCH_EMPTY", f"Batch {self._batch.batch_id} has no exchange.", "Ask something, or import an answer."
            )
        at = scheduled_at or self._batch.scheduled_at
        batch = Batch(self._batch.plan.batch_id(at), at, self._batch.plan, self._batch.source, given)
        target = self._path / "batches" / batch.batch_id
        if target.is_dir():  # only under another time than it was begun with
            known = _batch(target, _read_index(target, batch.batch_id, None, must_seal=False))
            if known.exchanges != given:
                raise _conflict(batch.batch_id, known.exchanges, given)
            self.discard()
            return known
        with _writing(target):
            self._folder.mkdir(parents=True, exist_ok=True)
            text, seal = sealed(_index(batch))
            _write_atomically(self._folder / _INDEX, text, self._durable)
            target.parent.mkdir(exist_ok=True)
            self._folder.rename(target)
            _flush_folder(target.parent, self._durable)
            # before it is listed: what a crash leaves in no list is tidied too
            _tidy(target)
            self._lists.add(batch.batch_id, seal)
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
                entry = entry_of(parse(_journaled(line)))
                self._exchanges[entry.place, entry.attempt] = entry.make(_body(self._folder, entry.body))


class _Lists:
    """The lists of seals of a recording that is written. What was read is kept as long as nobody else writes its file."""

    def __init__(self, path: Path, durable: bool) -> None:
        self._path = path
        self._durable = durable
        self._healed = False
        self._head: tuple[_Stamp, Head] | None = None
        self._day: tuple[str, _Stamp, dict[str, str]] | None = None

    def seal_of(self, batch_id: str) -> str | None:
        """The seal that a list has for a batch."""
        day = batch_id[:8]
        return self._list(day).get(batch_id) if day in self._read_head().days else None

    def add(self, batch_id: str, seal: str) -> None:
        """List a batch that was just sealed, and what an earlier writer left unlisted. None is listed before format 2."""
        if not self._healed:
            self.heal()
        self._put({batch_id: seal})

    def heal(self) -> None:
        """List what is whole by its own seal and in no list. What is broken stays out, and the next reader names it."""
        head = self._read_head()
        if head.format >= FORMAT_VERSION:
            listed = _read_seals(self._path, head)
            found = {}
            for batch_id in sorted(set(_batch_ids(self._path)) - listed.keys()):
                folder = self._path / "batches" / batch_id
                with contextlib.suppress(RecordingError):
                    index = _read_index(folder, batch_id, None, must_seal=True)
                    _tidy(folder)
                    found[batch_id] = str(index.document["seal"])
            self._put(found)
        with contextlib.suppress(OSError):  # there is none, or an unsealed batch is in it
            (self._path / "unsealed").rmdir()
        self._healed = True

    def _put(self, found: Mapping[str, str]) -> None:
        head = self._read_head()
        if head.format < FORMAT_VERSION:
            return
        by_day: dict[str, dict[str, str]] = defaultdict(dict)
        for batch_id, seal in found.items():
            by_day[batch_id[:8]][batch_id] = seal
        for day, seals in by_day.items():
            file = _list_file(self._path, day)
            known = self._list(day) if day in head.days or file.exists() else {}
            if not seals.items() <= known.items():
                new = known | seals
                _write_list(self._path, day, new, self._durable)
                self._day = (day, _stamp(file), new)
        if by_day.keys() - set(head.days):
            _write_head(self._path, head.document, {*head.days, *by_day}, self._durable)

    def _read_head(self) -> Head:
        stamp = _stamp(self._path / _HEAD)
        if self._head is None or self._head[0] != stamp:
            self._head = (stamp, _read_head(self._path))
        return self._head[1]

    def _list(self, day: str) -> dict[str, str]:
        stamp = _stamp(_list_file(self._path, day))
        if self._day is None or self._day[:2] != (day, stamp):
            self._day = (day, stamp, _read_list(self._path, day))
        return self._day[2]


def _stamp(file: Path) -> _Stamp:
    """What tells a file from the one that was there before; None where there is none."""
    with contextlib.suppress(OSError):
        found = file.stat()
        return found.st_ino, found.st_mtime_ns, found.st_size
    return None


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


def _list_file(path: Path, day: str) -> Path:
    return path / _SEALS / f"{day}.json"


def _write_list(path: Path, day: str, seals: Mapping[str, str], durable: bool) -> None:
    (path / _SEALS).mkdir(exist_ok=True)
    document = {"format": FORMAT_VERSION, "day": day, "seals": dict(seals)}
    _write_atomically(_list_file(path, day), sealed(document)[0], durable)


def _write_head(path: Path, document: Mapping[str, Any], days: Iterable[str], durable: bool) -> None:
    """Write `recording.json` with these days, after their lists."""
    new = {**document, "format": FORMAT_VERSION, "days": sorted(days)}
    _write_atomically(path / _HEAD, sealed(new)[0], durable)


def _check_readable(batch_id: str, text: bytes) -> None:
    """See that what is written can be read: the same rules hold for both."""
    try:
        entry_of(parse(text))
    except BrokenDocument as error:
        raise RecordingError(
            "EXCHANGE_INVALID",
            f"Batch {batch_id}: an exchange cannot be recorded: {error}.",
            "Correct what it was made from, such as the plan or what was declared of an import.",
        ) from error


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


# --- sealing anew ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Resealed:
    """What sealing a recording anew did.

    Attributes:
        path: its folder.
        batches: how many it has.
        sealed: ids of batches that had no seal.
        changed: ids of batches whose index was not as it was sealed, and is taken as it is.
        listed: ids of batches that were sealed and in no list.
        gone: ids of batches that were listed and are not there.
    """

    path: Path
    batches: int
    sealed: tuple[str, ...]
    changed: tuple[str, ...]
    listed: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0."""
        return 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        lists = {name: list(getattr(self, name)) for name in ("sealed", "changed", "listed", "gone")}
        return {"recording": str(self.path), "batches": self.batches, **lists}

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.path}: {self.batches} batches: {len(self.sealed)} had no seal, {len(self.changed)} had changed since they"
            f" were sealed, {len(self.listed)} were in no list, {len(self.gone)} listed ones are gone",
            *(f"changed, and taken as it is: {batch_id}" for batch_id in self.changed),
            *(f"gone, and listed no more: {batch_id}" for batch_id in self.gone),
        ]


def reseal(path: Path | str) -> Resealed:
    """Seal a recording as it is: one of an older format, or one that was changed on purpose. Bodies are not touched.

    Everything is read before anything is written. Run again after a crash, it ends the same.

    Raises:
        RecordingError: a document of it cannot be read, or a body is not as its index says.
        SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``.
    """
    path = Path(path)
    head = _read_head(path, checked=False)
    listed: dict[str, str] = {}
    for day in head.days:
        with contextlib.suppress(RecordingError):  # it is written anew
            listed |= _read_list(path, day)
    batch_ids = _batch_ids(path)
    if not batch_ids:
        raise _empty(path)
    new: dict[str, str] = {}
    unsealed, changed = [], []
    for batch_id in batch_ids:
        folder = path / "batches" / batch_id
        index = _read_index(folder, batch_id, None, must_seal=False, checked=False)
        _batch(folder, index)
        new[batch_id] = _sealed_index(index)[1]
        if index.format < FORMAT_VERSION:
            unsealed.append(batch_id)
        elif new[batch_id] != seal_of((folder / _INDEX).read_bytes()) or listed.get(batch_id, new[batch_id]) != new[batch_id]:
            changed.append(batch_id)
    with _writing(path):
        for batch_id in (*unsealed, *changed):
            folder = path / "batches" / batch_id
            index = _read_index(folder, batch_id, None, must_seal=False, checked=False)
            _write_atomically(folder / _INDEX, _sealed_index(index)[0], durable=True)
        days = {batch_id[:8] for batch_id in new}
        for day in sorted(days):
            _write_list(path, day, {key: seal for key, seal in new.items() if key.startswith(day)}, durable=True)
        _write_head(path, head.document, days, durable=True)
        for file in (path / _SEALS).glob("*.json"):
            if file.stem not in days:
                file.unlink()
    return Resealed(
        path,
        len(batch_ids),
        tuple(unsealed),
        tuple(changed),
        tuple(sorted(new.keys() - listed.keys() - set(unsealed) - set(changed))),
        tuple(sorted(listed.keys() - new.keys())),
    )


def _sealed_index(index: Index) -> tuple[bytes, str]:
    return sealed({**index.document, "format": FORMAT_VERSION})


# --- reading ---------------------------------------------------------------------------------------------------------


def _read_head(path: Path, *, checked: bool = True) -> Head:
    """A recording's head, once it is known to be good; its seal too, where that is checked."""
    file = path / _HEAD
    if not file.is_file():
        if path.is_dir() and not any(path.iterdir()):
            raise _empty(path)
        raise RecordingError(
            "RECORDING_NOT_FOUND",
            f"{path} holds no recording ({_HEAD} is missing)." if path.exists() else f"{path} does not exist.",
            "Name a folder made by `sports-market import` or by a run.",
        )
    with _parsing(file):
        data = file.read_bytes()
        head = head_of(parse(data))
    if checked:
        _check_seal(file, data, head.format)
    return head


def _read_seals(path: Path, head: Head) -> dict[str, str]:
    """The seals of all listed batches."""
    return {batch_id: seal for day in head.days for batch_id, seal in _read_list(path, day).items()}


def _read_list(path: Path, day: str) -> dict[str, str]:
    file = _list_file(path, day)
    if not file.is_file():
        raise _broken(file, "it is missing")
    with _parsing(file):
        data = file.read_bytes()
        seals = seals_of(parse(data), day)
    _check_seal(file, data, FORMAT_VERSION)
    return seals


def _batch_ids(path: Path) -> tuple[str, ...]:
    return _folders(path / "batches")


def _folders(folder: Path) -> tuple[str, ...]:
    if not folder.is_dir():
        return ()
    with os.scandir(folder) as entries:
        return tuple(sorted(entry.name for entry in entries if entry.is_dir()))


def _read_index(folder: Path, batch_id: str, listed: str | None, *, must_seal: bool, checked: bool = True) -> Index:
    """A batch's index.

    Args:
        folder: the batch's.
        batch_id: that it must be of.
        listed: the seal that a list has for it.
        must_seal: whether one of an older format, which has no seal, is refused.
        checked: whether its seal must be right.
    """
    file = folder / _INDEX
    if not file.is_file():
        raise _broken(file, "it is missing")
    with _parsing(file):
        data = file.read_bytes()
        index = index_of(parse(data))
        if index.batch_id != batch_id:
            raise BrokenDocument("batch_id", f"it is the index of batch {index.batch_id!r}")
    if not checked:
        return index
    if must_seal and index.format < FORMAT_VERSION:
        raise RecordingError(
            "RECORDING_NOT_SEALED",
            f"{file} has no seal (format {index.format}), in a recording whose batches have one.",
            _reseal_hint(folder.parent.parent),
        )
    _check_seal(file, data, index.format)
    if listed is not None and index.document["seal"] != listed:
        raise _seal_broken(file, "it is sealed, but it is not the one that the recording lists", folder.parent.parent)
    return index


def _check_seal(file: Path, data: bytes, version: int) -> None:
    """See that a file is, to the byte, what was sealed; before format 2 nothing was."""
    if version >= FORMAT_VERSION and seal_of(data) is None:
        root = file.parent.parent.parent if file.name == _INDEX else file.parent if file.name == _HEAD else file.parent.parent
        raise _seal_broken(file, "it is not as it was sealed", root)


def _batch(folder: Path, index: Index) -> Batch:
    """The batch of an index, with its bodies, each checked by its hash."""
    file = folder / _INDEX

    def read(entry: Entry) -> Exchange:
        with _parsing(file):
            return entry.make(_body(folder, entry.body))

    return Batch(index.batch_id, index.scheduled_at, index.plan, index.source, tuple(map(read, index.entries)))


def _body(folder: Path, body: BodyFile | None) -> bytes | None:
    if body is None:
        return None
    data: bytes = _body_path(folder, body).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != body.sha256 or len(data) != body.size:
        raise RecordingError(
            "RECORDING_HASH_MISMATCH",
            f"Batch {folder.name}: the body {body.file} has sha256 {found} ({len(data)} bytes), "
            f"its index says {body.sha256} ({body.size} bytes).",
            "Restore the file; if the change is meant, write its hash and size into the index, and reseal the recording.",
        )
    return data


def _body_path(folder: Path, body: BodyFile) -> Path:
    """Where a body is; a link could lead out of the folder."""
    file = folder / body.file
    if file.is_symlink():
        raise _broken(folder / _INDEX, f"body file {body.file!r} is not a plain file name of its folder")
    if not file.is_file():
        raise RecordingError(
            "RECORDING_BODY_MISSING",
            f"Batch {folder.name}: the body {body.file} is missing.",
            "Restore the file, or record anew.",
        )
    return file


def _journaled(line: bytes) -> bytes:
    """What a line of a journal says, which its hash goes before; lines of older versions have none."""
    if line.startswith(b"{"):
        return line
    digits, _, text = line.partition(b" ")
    if hashlib.sha256(text).hexdigest().encode() != digits:
        raise ValueError("a line is not as it was written")
    return text


@contextlib.contextmanager
def _parsing(file: Path) -> Iterator[None]:
    try:
        yield
    except RecordingError:
        raise
    except NewerFormat as error:
        raise RecordingError(
            "RECORDING_FORMAT_NEWER",
            f"{file} has format {error.version}; this version of sports-market reads up to {FORMAT_VERSION}.",
            "Upgrade sports-market.",
        ) from error
    except BrokenDocument as error:
        raise _broken(file, str(error), error.code) from error
    except (ValueError, RecursionError, OSError) as error:
        raise _broken(file, str(error)) from error


def _broken(file: Path, why: str, code: str = "RECORDING_INDEX_BROKEN") -> RecordingError:
    return RecordingError(code, f"{file} cannot be read: {why}.", "Restore it from a copy, or record or import anew.")


def _seal_broken(file: Path, why: str, root: Path) -> RecordingError:
    return RecordingError("RECORDING_SEAL_BROKEN", f"{file} was changed or damaged: {why}.", _reseal_hint(root))


def _reseal_hint(root: Path) -> str:
    return f"Restore it from a copy; if it is meant to be so, run `sports-market recording reseal {root}`."


def _gone(path: Path, batch_ids: Collection[str]) -> RecordingError:
    return RecordingError(
        "RECORDING_BATCH_MISSING",
        f"{path} lists {len(batch_ids)} batches that are not there, such as {min(batch_ids)}.",
        f"Restore them from a copy; if they were removed on purpose, run `sports-market recording reseal {path}`.",
    )


def _empty(path: Path) -> RecordingError:
    return RecordingError("RECORDING_EMPTY", f"{path} holds no sealed batch.", "Import or collect one first.")
