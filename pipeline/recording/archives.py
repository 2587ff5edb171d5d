"""Archives of files, read as streams that nobody has to trust: nothing is unpacked, and nothing that they claim is believed.

Python's own readers take every header into memory, whatever its size. These read one header and one piece of a file at a
time, and stop where an archive becomes much larger than an honest one.
"""

from __future__ import annotations

import bz2
import contextlib
import datetime as dt
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Protocol, cast

from pipeline.clock import UTC
from pipeline.errors import RecordingError
from pipeline.printable import MOST, printable

TARS: Final = (".tar", ".tar.xz", ".txz", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2")
ARCHIVES: Final = (*TARS, ".zip")
# Kinds of archive that are told by their names, and not read.
_OTHERS: Final = (".7z", ".rar", ".tar.zst", ".zst", ".lz4", ".tar.lz4", ".cab", ".iso")
COMPRESSED: Final = (".gz", ".xz", ".bz2")

# What comes out of an archive, headers and padding included. Answers that hardly change pack some hundred times.
MAX_TOTAL_BYTES = 64 * 1024**3
MAX_RATIO = 500
RATIO_FROM_BYTES = 64 * 1024**2
# Even an empty list takes more, its header included, where many are packed together.
MIN_MEMBER_BYTES = 32
MEMBERS_FROM = 50_000
# A name and what else stands in front of a member; real ones have some hundred bytes.
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_NAME_BYTES: Final = 1024
# Enough for `xz -9`; a header may claim gigabytes.
_MAX_XZ_BYTES: Final = 80 * 1024**2
_PIECE: Final = 256 * 1024
_BLOCK: Final = 512
_FAILURES: Final = (tarfile.TarError, lzma.LZMAError, zlib.error, struct.error, EOFError, OSError)


class Stream(Protocol):
    """What bytes are read from."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive, to be read before the next one is asked for.

    Attributes:
        path: its name, with forward slashes, without ``.`` and empty parts; escaped.
        stream: its bytes; None where it is not to be read.
        size: as the archive tells it.
        modified_at: as the archive tells it; None where it does not, or in local time.
        problem: why it is not to be read, or None.
    """

    path: str
    stream: Stream | None
    size: int = 0
    modified_at: dt.datetime | None = None
    problem: str | None = None


class Allowance:
    """How many bytes may come out of a file: a bomb is told by what it becomes, in all and for its size.

    Args:
        path: of the file.
        size: its size in bytes.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = max(size, 1)
        self._spent = 0
        self._members = 0

    def member(self) -> None:
        """One more file is in it.

        Raises:
            RecordingError: ``IMPORT_ARCHIVE_REFUSED``.
        """
        self._members += 1
        if self._members > MEMBERS_FROM and self._members * MIN_MEMBER_BYTES > self._size:
            raise refused(self._path, f"more than {MEMBERS_FROM:,} files are in it, which cannot be with {self._size:,} bytes")

    def spend(self, size: int) -> None:
        """So many more bytes have come.

        Raises:
            RecordingError: ``IMPORT_ARCHIVE_REFUSED``.
        """
        self._spent += size
        if self._spent > MAX_TOTAL_BYTES:
            raise refused(self._path, f"more than {MAX_TOTAL_BYTES // 1024**2:,} MiB come out of it")
        if self._spent > RATIO_FROM_BYTES and self._spent > MAX_RATIO * self._size:
            raise refused(self._path, f"it becomes more than {MAX_RATIO} times as large as it is")


def refused(path: Path, why: str) -> RecordingError:
    """The error of an archive that is not read on."""
    return RecordingError(
        "IMPORT_ARCHIVE_REFUSED",
        f"The archive {printable(str(path))} is not safe to read: {why}.",
        "If you trust it, unpack it and import the folder.",
    )


def _broken(path: Path, why: object) -> RecordingError:
    text = printable(str(why), most=MOST)
    message = f"The archive {printable(str(path))} cannot be read to its end: {text}."
    return RecordingError("IMPORT_SOURCE_BROKEN", message, "Fetch or pack it again.")


def is_archive(name: str) -> bool:
    """Whether a name is that of an archive, read here or not."""
    return name.lower().endswith((*ARCHIVES, *_OTHERS))


def members(path: Path) -> Iterator[tuple[Member, Allowance]]:
    """The files of an archive, in its own order. Names that begin with a dot are no part of it.

    Raises:
        RecordingError: ``IMPORT_SOURCE_BROKEN``, ``IMPORT_ARCHIVE_REFUSED``.
    """
    try:
        allowance = Allowance(path, path.stat().st_size)
        with path.open("rb") as file:
            found = _zip(path, file, allowance) if path.name.lower().endswith(".zip") else _tar(path, file, allowance)
            for member in found:
                allowance.member()
                yield member, allowance
    except _FAILURES as error:
        raise _broken(path, error) from error


def decompressed(stream: Stream, ending: str) -> Stream:
    """What a compressed stream holds.

    Args:
        stream: compressed bytes.
        ending: one of :data:`COMPRESSED`.
    """
    file = cast(IO[bytes], io.BufferedReader(_Raw(stream)))
    if ending == ".gz":
        return gzip.GzipFile(fileobj=file)
    return bz2.BZ2File(file) if ending == ".bz2" else _Xz(file)


class _Raw(io.RawIOBase):
    """A stream as a file."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)


class _Xz:
    """An xz file, whose dictionary may only have so many bytes."""

    def __init__(self, file: Stream) -> None:
        self._file = file
        self._decoder = lzma.LZMADecompressor(memlimit=_MAX_XZ_BYTES)

    def read(self, size: int = -1, /) -> bytes:
        while True:
            if self._decoder.eof:
                # another stream may follow, after zeros that fill up
                rest = (self._decoder.unused_data or self._file.read(_PIECE)).lstrip(b"\x00")
                while not rest and (more := self._file.read(_PIECE)):
                    rest = more.lstrip(b"\x00")
                if not rest:
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=_MAX_XZ_BYTES)
                data = self._decoder.decompress(rest, size)
            elif self._decoder.needs_input:
                packed = self._file.read(_PIECE)
                if not packed:
                    raise EOFError("it is cut off")
                data = self._decoder.decompress(packed, size)
            else:
                data = self._decoder.decompress(b"", size)
            if data:
                return data


# --- tar -------------------------------------------------------------------------------------------------------------


class _Blocks:
    """The bytes of a tar archive, each counted once."""

    def __init__(self, path: Path, file: IO[bytes], allowance: Allowance) -> None:
        name = path.name.lower()
        self._stream: Stream = file
        for ending, names in ((".xz", (".xz", ".txz")), (".gz", (".gz", ".tgz")), (".bz2", (".bz2", ".tbz2"))):
            if name.endswith(names):
                self._stream = decompressed(file, ending)
        self._path = path
        self._allowance = allowance

    def some(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        try:
            data = self._stream.read(min(size, _PIECE))
        except MemoryError:
            raise refused(self._path, "it wants too much memory") from None
        except _FAILURES as error:
            if "Memory usage limit" in str(error):
                raise refused(self._path, f"to decompress it more than {_MAX_XZ_BYTES // 1024**2} MiB are needed") from error
            raise _broken(self._path, error) from error
        self._allowance.spend(len(data))
        return data

    def exactly(self, size: int) -> bytes:
        """So many bytes, which fit into memory."""
        pieces = []
        while size and (piece := self.some(size)):
            pieces.append(piece)
            size -= len(piece)
        if size:
            raise tarfile.ReadError("it is cut off")
        return b"".join(pieces)

    def skip(self, size: int) -> None:
        """Pass over so many bytes."""
        while size:
            piece = self.some(size)
            if not piece:
                raise tarfile.ReadError("it is cut off")
            size -= len(piece)


class _Data:
    """What a member of a tar archive holds, and the bytes that fill up its last block."""

    def __init__(self, blocks: _Blocks, size: int) -> None:
        self._blocks = blocks
        self._left = size
        self._padding = -size % _BLOCK

    def read(self, size: int = -1, /) -> bytes:
        if not self._left:
            return b""
        piece = self._blocks.some(self._left if size < 0 else min(size, self._left))
        if not piece:
            raise _broken(self._blocks._path, "it is cut off")
        self._left -= len(piece)
        return piece

    def pass_over(self) -> None:
        self._blocks.skip(self._left + self._padding)
        self._left = self._padding = 0


def _tar(path: Path, file: IO[bytes], allowance: Allowance) -> Iterator[Member]:
    blocks = _Blocks(path, file, allowance)
    extra: dict[str, str] = {}
    began = False
    while True:
        header = blocks.some(_BLOCK)
        if not header:
            if not began:
                raise tarfile.ReadError("it is empty")
            raise tarfile.ReadError("it ends without the mark of its end")
        header += blocks.exactly(_BLOCK - len(header))
        if not header.strip(b"\x00"):
            break
        began = True
        info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        if info.size < 0:
            raise tarfile.ReadError("a member has less than no bytes")
        if info.type in (b"x", b"X", b"g", b"L", b"K"):
            text = _header(path, blocks, info.size)
            if info.type in (b"x", b"X"):
                extra |= _pax(text)
            elif info.type == b"L":
                extra["path"] = text.partition(b"\x00")[0].decode("utf-8", "surrogateescape")
            continue
        if info.type == b"S":
            more = header[482]
            while more:
                more = blocks.exactly(_BLOCK)[504]
        given, extra = extra, {}
        sparse = info.type == b"S" or any(key.startswith("GNU.sparse.") for key in given)
        size = int(given["size"]) if given.get("size", "").isdecimal() else info.size
        name = given.get("GNU.sparse.name", given.get("path", info.name))
        # what is no file has no bytes behind its header, whatever size it claims
        data = _Data(blocks, size if info.isreg() or info.type not in tarfile.SUPPORTED_TYPES else 0)
        if not info.isdir():
            problem = "is a link" if info.islnk() or info.issym() else "is a sparse file" if sparse else None
            if problem is None and not info.isreg():
                problem = "is no regular file"
            member = _member(name, data, size, _epoch(info.mtime), problem)
            if member is not None:
                yield member
        data.pass_over()
    while rest := blocks.some(_PIECE):  # to the end, where the checksum is
        if rest.strip(b"\x00"):
            raise tarfile.ReadError("something follows after the mark of its end")


def _header(path: Path, blocks: _Blocks, size: int) -> bytes:
    if size > MAX_HEADER_BYTES:
        raise refused(path, f"a header of {size:,} bytes stands in it, and an honest one has some hundred")
    text = blocks.exactly(size)
    blocks.skip(-size % _BLOCK)
    return text


def _pax(text: bytes) -> dict[str, str]:
    """The records of an extended header: ``30 path=name`` and a newline, with the record's own length in front."""
    found = {}
    rest = text.rstrip(b"\x00")
    while rest:
        length, space, _ = rest.partition(b" ")
        if not space or not length.isdigit() or len(length) > 6 or not len(length) + 3 <= int(length) <= len(rest):
            raise tarfile.ReadError("an extended header is damaged")
        key, equals, value = rest[len(length) + 1 : int(length) - 1].partition(b"=")
        if not equals or rest[int(length) - 1 : int(length)] != b"\n":
            raise tarfile.ReadError("an extended header is damaged")
        found[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        rest = rest[int(length) :]
    return found


def _member(name: str, stream: Stream, size: int, modified_at: dt.datetime | None, problem: str | None) -> Member | None:
    """A member as it is shown; None where it is no part of the source."""
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
        return Member(printable(name, most=100), None, problem=f"has a name of more than {MAX_NAME_BYTES:,} bytes")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts:
        return Member(printable(name), None, problem="has a name that leads out of the archive")
    if any(part.startswith(".") for part in parts):
        return None
    path = printable("/".join(parts))
    return Member(path, None, problem=problem) if problem else Member(path, stream, size, modified_at)


def _epoch(seconds: float) -> dt.datetime | None:
    with contextlib.suppress(ValueError, OverflowError, OSError):
        return dt.datetime.fromtimestamp(int(seconds), UTC)
    return None


# --- zip -------------------------------------------------------------------------------------------------------------

_END: Final = struct.Struct("<4s4H2LH")
_END_64: Final = struct.Struct("<4sQ2H2L4Q")
_ENTRY: Final = struct.Struct("<4s2B5H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8


class _Zipped:
    """What a member of a zip archive holds; its checksum is looked at where it ends."""

    def __init__(self, path: Path, file: IO[bytes], allowance: Allowance, entry: _ZipEntry) -> None:
        self._path = path
        self._file = file
        self._allowance = allowance
        self._entry = entry
        self._at: int | None = None
        self._packed_left = entry.packed
        self._decoder = zlib.decompressobj(-zlib.MAX_WBITS) if entry.method == _DEFLATED else None
        self._waiting = b""
        self._got = 0
        self._crc = 0

    def read(self, size: int = -1, /) -> bytes:
        most = _PIECE if size < 0 else min(size, _PIECE)
        try:
            data = self._piece(most)
        except _FAILURES as error:
            raise _broken(self._path, f"{printable(self._entry.name, most=MOST)}: {error}") from error
        self._allowance.spend(len(data))
        self._got += len(data)
        self._crc = zlib.crc32(data, self._crc)
        if self._got > self._entry.size or (not data and (self._got, self._crc) != (self._entry.size, self._entry.crc)):
            raise _broken(self._path, f"{printable(self._entry.name, most=MOST)} has another size or checksum than it says")
        return data

    def _piece(self, most: int) -> bytes:
        if self._decoder is None:
            return self._packed(most)
        while not self._decoder.eof:
            packed = self._waiting or self._packed(_PIECE)
            data = self._decoder.decompress(packed, most)
            self._waiting = self._decoder.unconsumed_tail
            if data:
                return data
            if not packed:
                raise EOFError("it is cut off")
        return b""

    def _packed(self, most: int) -> bytes:
        if self._at is None:
            self._file.seek(self._entry.offset)
            fields = _LOCAL.unpack(self._file.read(_LOCAL.size))
            if fields[0] != b"PK\x03\x04":
                raise tarfile.ReadError("there is no such file where it should be")
            self._at = self._entry.offset + _LOCAL.size + fields[9] + fields[10]
        self._file.seek(self._at)
        data = self._file.read(min(most, self._packed_left))
        if not data and self._packed_left:
            raise EOFError("it is cut off")
        self._at += len(data)
        self._packed_left -= len(data)
        return data


@dataclass(frozen=True, slots=True)
class _ZipEntry:
    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def _zip(path: Path, file: IO[bytes], allowance: Allowance) -> Iterator[Member]:
    count, size, at = _directory(file)
    end = at + size
    for _ in range(count):
        file.seek(at)
        fields = _ENTRY.unpack(file.read(_ENTRY.size))
        if fields[0] != b"PK\x01\x02":
            raise tarfile.ReadError("its directory is damaged")
        system, flags, method, crc, packed, full = fields[2], fields[4], fields[5], *fields[8:11]
        name_size, extra_size, note_size, attributes, offset = *fields[11:14], fields[16], fields[17]
        raw, extra = file.read(name_size), file.read(extra_size)
        at += _ENTRY.size + name_size + extra_size + note_size
        allowance.spend(_ENTRY.size + name_size + extra_size + note_size)
        if len(raw) + len(extra) < name_size + extra_size or at > end:
            raise EOFError("its directory is cut off")
        name = raw.decode("utf-8", "surrogateescape") if flags & 0x800 else raw.decode("cp437")
        full, packed, offset, modified_at = _extra(extra, full, packed, offset)
        mode = attributes >> 16 if system == 3 else 0
        problem = None
        if stat.S_ISLNK(mode):
            problem = "is a link"
        elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            problem = "is no regular file"
        elif flags & 1:
            problem = "is encrypted"
        elif method not in (_STORED, _DEFLATED):
            problem = "is compressed in a way that is not read here"
        if name.endswith("/"):
            continue
        entry = _ZipEntry(name, method, crc, packed, full, offset)
        member = _member(name, _Zipped(path, file, allowance, entry), full, modified_at, problem)
        if member is not None:
            yield member
    if at != end:
        raise tarfile.ReadError("its directory holds more than it says")


def _directory(file: IO[bytes]) -> tuple[int, int, int]:
    """Entries, bytes and place of the directory, which stands at the archive's end."""
    whole = file.seek(0, io.SEEK_END)
    start = max(0, whole - _END.size - 0xFFFF)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + _END.size:
        raise tarfile.ReadError("it has no directory")
    _, disk, first, _, count, size, offset, _ = _END.unpack_from(tail, at)
    if disk or first:
        raise tarfile.ReadError("it is one of several parts")
    locator = tail[max(0, at - 20) : at]
    if locator[:4] == b"PK\x06\x07":
        file.seek(struct.unpack("<Q", locator[8:16])[0])
        end = _END_64.unpack(file.read(_END_64.size))
        if end[0] != b"PK\x06\x06":
            raise tarfile.ReadError("its directory is damaged")
        count, size, offset = end[7:10]
    if offset + size > whole:
        raise tarfile.ReadError("its directory is cut off")
    return count, size, offset


def _extra(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int, dt.datetime | None]:
    """What the extra fields say of the sizes, the place and the time in UTC."""
    modified_at = None
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        value = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == 0x5455 and len(value) >= 5 and value[0] & 1:
            modified_at = _epoch(struct.unpack_from("<l", value, 1)[0])
        if kind == 1:
            numbers = iter(struct.unpack(f"<{len(value) // 8}Q", value[: len(value) // 8 * 8]))
            wide = [next(numbers, known) if known == 0xFFFFFFFF else known for known in (size, packed, offset)]
            size, packed, offset = wide
    return size, packed, offset, modified_at
