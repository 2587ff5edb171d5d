"""Files of answers as people keep them: a folder, a single file, or a tar archive, read without unpacking anything."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from pipeline.errors import RecordingError

# One file is held in memory at a time; an answer of the API has a few megabytes at most.
MAX_FILE_BYTES = 128 * 1024 * 1024
_ARCHIVES = (".tar", ".tar.xz", ".txz", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of the source.

    Attributes:
        path: inside the source, with forward slashes; bytes that are no UTF-8 are escaped.
        body: its bytes; None where it is not to be read.
        problem: why it is not to be read, or None.
    """

    path: str
    body: bytes | None
    problem: str | None = None


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
                "IMPORT_SOURCE_NOT_FOUND", f"There is no {path}.", "Name a folder, a JSON file or a tar archive."
            )
        self.path = path
        self._is_archive = path.is_file() and path.name.endswith(_ARCHIVES)
        self._listed = None if self._is_archive else list(_walk(path))

    @property
    def name(self) -> str:
        """The source's own name, without where it lies."""
        return self.path.resolve().name

    @property
    def folder(self) -> str | None:
        """The name of the folder in which the outermost files lie, where the source is that folder or a file in it."""
        if self._is_archive:
            return None
        path = self.path.resolve()
        return path.name if path.is_dir() else path.parent.name

    @property
    def total(self) -> int | None:
        """How many files it has; None for an archive, which tells only by being read."""
        return None if self._listed is None else len(self._listed)

    def files(self) -> Iterator[SourceFile]:
        """Its files, one in memory at a time.

        Raises:
            RecordingError: ``IMPORT_SOURCE_BROKEN``, the archive is damaged or cut off.
        """
        if self._listed is None:
            yield from _members(self.path)
        else:
            for inside, path in self._listed:
                yield _read(inside, path)


def _walk(top: Path) -> Iterator[tuple[str, Path]]:
    """Every candidate below a folder by (path inside, path), sorted."""
    if not top.is_dir():
        yield _shown(top.name), top
        return
    found: list[tuple[str, Path]] = []
    for folder, folders, names in os.walk(top):
        here = Path(folder)
        folders[:] = [name for name in folders if not name.startswith(".")]
        linked = [name for name in folders if (here / name).is_symlink()]
        for name in (*linked, *names):
            if not name.startswith("."):
                path = here / name
                found.append((_shown(path.relative_to(top).as_posix()), path))
    yield from sorted(found)


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _read(inside: str, path: Path) -> SourceFile:
    try:
        about = path.lstat()
        problem = _problem(link=stat.S_ISLNK(about.st_mode), regular=stat.S_ISREG(about.st_mode), size=about.st_size)
        return SourceFile(inside, None, problem) if problem else SourceFile(inside, path.read_bytes())
    except OSError as error:
        return SourceFile(inside, None, f"cannot be read ({error.strerror})")


def _problem(*, link: bool, regular: bool, size: int) -> str | None:
    if link:
        return "is a link"
    if not regular:
        return "is no regular file"
    return f"is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB" if size > MAX_FILE_BYTES else None


class _Tail:
    """A file that remembers what it was last read, so that the end of an archive can be told from damage."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.last = b""

    def read(self, size: int = -1) -> bytes:
        self.last = self._file.read(size)
        return self.last

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def _members(path: Path) -> Iterator[SourceFile]:
    try:
        # tarfile's own stream mode takes a compressed file that is cut off for one that has ended.
        with _open(path) as file:
            tail = _Tail(file)
            with tarfile.open(fileobj=tail, mode="r:") as archive:  # type: ignore[call-overload]
                while (member := archive.next()) is not None:
                    # It would keep every member that it has ever seen.
                    archive.members.clear()
                    found = _member(archive, member)
                    if found is not None:
                        yield found
            if tail.last.strip(b"\x00"):
                raise tarfile.ReadError("bad header")
            while file.read(1 << 20):
                pass  # to the end, where the checksum is
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        message = f"The archive {path} cannot be read to its end: {error}."
        raise RecordingError("IMPORT_SOURCE_BROKEN", message, "Fetch or pack it again.") from error


def _open(path: Path) -> IO[bytes]:
    """The archive's bytes, decompressed as its name says."""
    if path.name.endswith((".xz", ".txz")):
        return lzma.open(path)
    if path.name.endswith((".gz", ".tgz")):
        return cast(IO[bytes], gzip.open(path))
    return bz2.open(path) if path.name.endswith((".bz2", ".tbz2")) else path.open("rb")


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> SourceFile | None:
    if member.isdir():
        return None
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    inside = _shown("/".join(parts))
    if member.name.startswith("/") or ".." in parts:
        return SourceFile(_shown(member.name), None, "has a name that leads out of the archive")
    if any(part.startswith(".") for part in parts):
        return None
    problem = _problem(
        link=member.islnk() or member.issym(), regular=member.isreg() and not member.issparse(), size=member.size
    )
    file = None if problem else archive.extractfile(member)
    return SourceFile(inside, None, problem or "is no regular file") if file is None else SourceFile(inside, file.read())
