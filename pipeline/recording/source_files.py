"""Files of answers as people keep them: a folder, a single file, or an archive, read without unpacking anything."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import lzma
import os
import stat
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.clock import UTC
from pipeline.errors import RecordingError
from pipeline.printable import printable
from pipeline.recording.archives import ARCHIVES, COMPRESSED, Allowance, Stream, decompressed, is_archive, members

# One file is held in memory at a time; an answer of the API has a few megabytes at most, and no contract takes a larger one.
MAX_FILE_BYTES = 32 * 1024 * 1024
_LINES: Final = (".jsonl", ".ndjson")
_PIECE: Final = 256 * 1024
_GZIP: Final = b"\x1f\x8b\x08"
_TOO_LONG: Final = object()


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the source, or a line of one that holds an answer in each.

    Attributes:
        path: inside the source, with forward slashes, escaped; with ``:7`` for its seventh line.
        body: its bytes, decompressed; None where it is not to be read.
        problem: why it is not to be read, or None.
        line: its number, from 1, in a file of lines; else None.
        was_compressed: whether the file was.
        modified_at: when the file was changed last (UTC), as the disk or the archive tells it.
    """

    path: str
    body: bytes | None
    problem: str | None = None
    line: int | None = None
    was_compressed: bool = False
    modified_at: dt.datetime | None = None

    @property
    def file(self) -> str:
        """The path without the line."""
        return self.path if self.line is None else self.path.rpartition(":")[0]


class Source:
    """A folder, file or archive whose files can be walked again and again, in the same order.

    Files and folders whose names begin with a dot are no part of it. Nothing is followed out of it: links are files
    with a problem, and so are members of an archive whose names lead elsewhere.
    """

    def __init__(self, path: Path) -> None:
        """Look at what the path is.

        Raises:
            RecordingError: ``IMPORT_SOURCE_NOT_FOUND``.
        """
        if not path.exists():
            raise RecordingError(
                "IMPORT_SOURCE_NOT_FOUND",
                f"There is no {printable(str(path))}.",
                "Name a folder, a JSON file, or a tar or zip archive.",
            )
        self.path = path
        self._is_archive = path.is_file() and path.name.lower().endswith(ARCHIVES)
        self._listed = None if self._is_archive else list(_walk(path))

    @property
    def name(self) -> str:
        """The source's own name, without where it lies."""
        return printable(self.path.resolve().name)

    @property
    def folder(self) -> str | None:
        """The name of the folder in which the outermost files lie, where the source is that folder or a file in it."""
        if self._is_archive:
            return None
        path = self.path.resolve()
        return path.name if path.is_dir() else path.parent.name

    @property
    def total(self) -> int | None:
        """How many files it has; None for an archive or files of lines, which tell only by being read."""
        if self._listed is None or any(_is_of_lines(inside) for inside, _ in self._listed):
            return None
        return len(self._listed)

    def files(self) -> Iterator[SourceFile]:
        """Its files, one in memory at a time.

        Raises:
            RecordingError: ``IMPORT_SOURCE_BROKEN``, the archive is damaged or cut off; ``IMPORT_ARCHIVE_REFUSED``, it holds
                what no honest one does.
        """
        if self._listed is None:
            for member, allowance in members(self.path):
                if member.stream is None:
                    yield SourceFile(member.path, None, member.problem)
                elif is_archive(member.path):
                    yield SourceFile(member.path, None, "is an archive in an archive")
                else:
                    yield from _opened(member.path, member.stream, member.size, allowance, member.modified_at)
        else:
            for inside, path in self._listed:
                yield from _read(inside, path)


def _walk(top: Path) -> Iterator[tuple[str, Path]]:
    """Every candidate below a folder by (path inside, path), sorted."""
    if not top.is_dir():
        yield printable(top.name), top
        return
    found: list[tuple[str, Path]] = []
    for folder, folders, names in os.walk(top):
        here = Path(folder)
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked = [name for name in folders if (here / name).is_symlink()]
        for name in (*linked, *names):
            if not name.startswith("."):
                path = here / name
                found.append((printable(path.relative_to(top).as_posix()), path))
    yield from sorted(found)


def _read(inside: str, path: Path) -> Iterator[SourceFile]:
    try:
        about = path.lstat()
        problem = _problem(about.st_mode, inside)
        if problem:
            yield SourceFile(inside, None, problem)
            return
        modified_at = dt.datetime.fromtimestamp(about.st_mtime_ns // 10**9, UTC)
        with path.open("rb") as file:
            yield from _opened(inside, file, about.st_size, Allowance(path, about.st_size), modified_at)
    except OSError as error:
        yield SourceFile(inside, None, f"cannot be read ({error.strerror})")


def _problem(mode: int, inside: str) -> str | None:
    if stat.S_ISLNK(mode):
        return "is a link"
    if not stat.S_ISREG(mode):
        return "is no regular file"
    return "is an archive in a folder (import it by itself)" if is_archive(inside) else None


def _ending(inside: str) -> str | None:
    return next((ending for ending in COMPRESSED if inside.lower().endswith(ending)), None)


def _is_of_lines(inside: str) -> bool:
    return inside.lower().removesuffix(_ending(inside) or "").endswith(_LINES)


class _Counted:
    """What comes out of a compressed file, counted."""

    def __init__(self, stream: Stream, allowance: Allowance) -> None:
        self._stream = stream
        self._allowance = allowance

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._allowance.spend(len(data))
        return data


def _opened(
    inside: str, stream: Stream, size: int, allowance: Allowance, modified_at: dt.datetime | None
) -> Iterator[SourceFile]:
    """The file, or its lines. What comes next in the source can only be read after them."""
    ending = _ending(inside)
    packed = ending is not None
    if ending is not None:
        stream = _Counted(decompressed(stream, ending), allowance)
    number = 0
    try:
        if _is_of_lines(inside):
            for number, line in _lines(stream):
                problem = _too_large() if line is None else None
                yield SourceFile(f"{inside}:{number}", line, problem, number, packed, modified_at)
            return
        body = None if not packed and size > MAX_FILE_BYTES else _whole(stream)
        if body is not None and not packed and body.startswith(_GZIP):
            # saved as it came over the wire; what only looks like it is kept as it is
            try:
                body, packed = _whole(_Counted(gzip.GzipFile(fileobj=io.BytesIO(body)), allowance)), True
            except (OSError, EOFError, zlib.error):
                packed = False
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        if not packed:
            raise
        # the file's own damage: what it lies in reports its own in another way
        path = inside if number == 0 else f"{inside}:{number + 1}"
        line_number = None if number == 0 else number + 1
        yield SourceFile(path, None, f"cannot be decompressed ({printable(str(error))})", line_number)
        return
    yield SourceFile(inside, body, _too_large() if body is None else None, None, packed, modified_at)


def _too_large() -> str:
    return f"is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB"


def _whole(stream: Stream) -> bytes | None:
    """All bytes of a stream; None where there are more than a file may have."""
    pieces, size = [], 0
    while piece := stream.read(_PIECE):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_FILE_BYTES:
            return None
    return b"".join(pieces)


def _lines(stream: Stream) -> Iterator[tuple[int, bytes | None]]:
    """The lines that hold something, with their numbers; None for one that is too large."""
    waiting: list[bytes] = []
    size = 0
    number = 1

    def line() -> bytes | None:
        if size > MAX_FILE_BYTES:
            return None
        whole = b"".join(waiting)
        return (whole.removeprefix(b"\xef\xbb\xbf") if number == 1 else whole).strip(b" \t\r")

    while piece := stream.read(_PIECE):
        first, *others = piece.split(b"\n")
        for index, part in enumerate((first, *others)):
            if index:
                if (found := line()) != b"":
                    yield number, found
                waiting, size, number = [], 0, number + 1
            size += len(part)
            if size <= MAX_FILE_BYTES:
                waiting.append(part)
            else:
                waiting.clear()
    if (found := line()) != b"":
        yield number, found
