"""Archives that want to harm: each is refused with a clear error, in little memory, and nothing is written."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RecordingError
from pipeline.printable import printable
from pipeline.recording import archives, source_files
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.source_files import Source, SourceFile

MEGABYTE = 1024 * 1024
NAME = "odds/20260110T180000Z.json"

# Runs an import and tells its peak in MB and its error; the limit only protects the machine.
PROBE = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from pipeline.errors import SportsMarketError
from pipeline.recording.importer import ImportOptions, import_recording
try:
    report = import_recording(Path(sys.argv[1]), Path(sys.argv[2]), ImportOptions())
    print("refused:", *sorted({refused.reason for refused in report.refused}), sep="|")
except SportsMarketError as error:
    print(error)
# what getrusage tells is inherited from the process that started this one
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(int(peak.split()[1]) // 1024)
"""


def header(name: str, size: int, kind: bytes = b"0") -> bytes:
    info = tarfile.TarInfo(name)
    info.type = kind
    # what the header claims; the bytes behind it need not be there
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def member(name: str, body: bytes) -> bytes:
    return header(name, len(body)) + body + b"\0" * (-len(body) % 512)


END = b"\0" * 1024


def zeros(compress: Callable[[bytes], bytes], megabytes: int) -> bytes:
    """A compressed tar whose only member holds zeros, made piece by piece."""
    whole = io.BytesIO()
    pieces = [header(NAME, megabytes * MEGABYTE), *([b"\0" * MEGABYTE] * megabytes), END]
    if compress is gzip.compress:
        with gzip.GzipFile(fileobj=whole, mode="wb", compresslevel=9) as file:
            file.writelines(pieces)
        return whole.getvalue()
    packer = lzma.LZMACompressor(preset=0) if compress is lzma.compress else bz2.BZ2Compressor(1)
    return b"".join(packer.compress(piece) for piece in pieces) + packer.flush()


def overlapping_zip() -> bytes:
    """A zip whose hundred entries are one and the same megabytes of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b"\0" * (16 * MEGABYTE)
    packed = packer.compress(body) + packer.flush()
    crc = zlib.crc32(body)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, 0, 8, 0, 0, crc, len(packed), len(body), 0, 0) + packed
    entries = b""
    for number in range(100):
        name = f"odds/{number}.json".encode()
        entries += struct.pack(
            "<4s2B5H3L5H2L", b"PK\x01\x02", 20, 3, 20, 0, 8, 0, 0, crc, len(packed), len(body), len(name), 0, 0, 0, 0, 0, 0
        ) + name  # fmt: skip
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 100, 100, len(entries), len(local), 0)
    return local + entries + end


def long_lines() -> bytes:
    return gzip.compress(b"[" + b" " * (220 * MEGABYTE) + b"]\n", 1)


def tar_of_many_headers() -> bytes:
    """Millions of members without bytes, from a few kilobytes."""
    whole = io.BytesIO()
    block = header("a" * 90, 0) * 2048
    with gzip.GzipFile(fileobj=whole, mode="wb", compresslevel=6) as file:
        for _ in range(40):
            file.write(block)
    return whole.getvalue()


BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a pax header of 4 GB": ("a.tar", lambda: header("x", 4 << 30, b"x") + b"x" * 512, "IMPORT_ARCHIVE_REFUSED"),
    "a global pax header of 4 GB": ("a.tar", lambda: header("x", 4 << 30, b"g") + b"x" * 512, "IMPORT_ARCHIVE_REFUSED"),
    "a pax header of 900 MB that is partly there": (
        "a.tar.gz",
        lambda: gzip.compress(header("x", 900 * MEGABYTE, b"x") + b"9" * (220 * MEGABYTE), 1),
        "IMPORT_ARCHIVE_REFUSED",
    ),
    "a GNU name of 4 GB": ("a.tar", lambda: header("././@LongLink", 4 << 30, b"L") + b"a" * 512, "IMPORT_ARCHIVE_REFUSED"),
    "a GNU link name of 4 GB": ("a.tar", lambda: header("././@LongLink", 4 << 30, b"K") + b"a" * 512, "IMPORT_ARCHIVE_REFUSED"),
    "zeros in gzip": ("a.tar.gz", lambda: zeros(gzip.compress,220),"IMPORT_ARCHIVE_REFUSED"),
    "zeros in xz": ("a.tar.xz", lambda: zeros(lzma.compress,220),"IMPORT_ARCHIVE_REFUSED"),
    "zeros in bzip2": ("a.tar.bz2", lambda: zeros(bz2.compress,220),"IMPORT_ARCHIVE_REFUSED"),
    "members without bytes": ("a.tar.gz", tar_of_many_headers, "IMPORT_ARCHIVE_REFUSED"),
    "a zip whose entries overlap": ("a.zip", overlapping_zip, "IMPORT_ARCHIVE_REFUSED"),
    "an xz that wants a dictionary of 256 MB": (
        "a.tar.xz",
        lambda: lzma.compress(member(NAME, b"[]") + END, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]),
        "IMPORT_ARCHIVE_REFUSED",
    ),
    "a sparse file of 1 TB": (
        "a.tar",
        lambda: header(NAME, 0, b"S") + END,
        "is a sparse file",
    ),
    "a file of 2 GB that is not there": ("a.tar", lambda: header(NAME, 2 << 30) + b"x" * 512, "IMPORT_SOURCE_BROKEN"),
    "a line without an end": ("20260110T180000Z.jsonl.gz", long_lines, "is larger than 32 MiB"),
    "zeros in one gzip file": (
        "20260110T180000Z.json.gz", lambda: gzip.compress(b"\0" * (220 * MEGABYTE), 1), "is larger than 32 MiB",
    ),
    "an answer of empty lists": (
        "20260110T180000Z.json", lambda: b"[" + b"[]," * (9 * MEGABYTE) + b"[]]", "its endpoint is unknown",
    ),
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_in_little_memory(bomb: str, tmp_path: Path) -> None:
    name, make, says = BOMBS[bomb]
    # the test makes it in memory, so its own use tells nothing: the import has a process of its own
    (tmp_path / name).write_bytes(make())
    command = [sys.executable, "-c", PROBE, str(tmp_path / name), str(tmp_path / "out")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2], check=False)
    assert told.returncode == 0, told.stderr
    text, peak = told.stdout.strip().rsplit("\n", 1)
    assert says in text
    assert int(peak) < 200
    assert not (tmp_path / "out").exists()


def test_what_comes_out_in_all_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_TOTAL_BYTES", 4 * MEGABYTE)
    (tmp_path / "a.tar").write_bytes(b"".join(member(f"{n}.json", os.urandom(MEGABYTE)) for n in range(5)) + END)
    with pytest.raises(RecordingError, match=r"IMPORT_ARCHIVE_REFUSED.*more than 4 MiB come out of it.*unpack it"):
        list(Source(tmp_path / "a.tar").files())


@pytest.mark.parametrize("inner", ["b.tar", "b.TAR.GZ", "b.zip", "b.7z", "b.tgz"])
def test_an_archive_in_an_archive_is_refused_by_name(inner: str, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(member(inner, b"x" * 700) + member(NAME, b"[]") + END)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(inner, b"x" * 700)
        file.writestr(NAME, b"[]")
    for archive in ("a.tar", "a.zip"):
        found = list(Source(tmp_path / archive).files())
        assert [(each.path, each.problem) for each in found] == [(inner, "is an archive in an archive"), (NAME, None)]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / inner).write_bytes(b"x")
    (each,) = Source(tmp_path / "in").files()
    assert each.problem == "is an archive in a folder (import it by itself)"


def test_links_devices_and_sparse_files_are_passed_over(tmp_path: Path) -> None:
    old = bytearray(header("sparse.json", 512, b"S"))
    old[482] = 1  # more of its map follows
    old[148:156] = b"%06o\0 " % (sum(old[:148]) + sum(old[156:]) + 8 * 32)
    more = bytearray(512)
    more[504] = 1
    pax = b"22 GNU.sparse.major=1\n"
    (tmp_path / "a.tar").write_bytes(
        bytes(old) + bytes(more) + b"\0" * 512 + b"x" * 512
        + header("PaxHeader", len(pax), b"x") + pax.ljust(512, b"\0") + member("sparse2.json", b"x" * 600)
        + header("link.json", 0, b"2") + header("hard.json", 700, b"1") + header("device.json", 0, b"3")
        + member(NAME, b"[1]") + END
    )  # fmt: skip
    found = [(each.path, each.problem or each.body) for each in Source(tmp_path / "a.tar").files()]
    assert found == [
        ("sparse.json", "is a sparse file"), ("sparse2.json", "is a sparse file"), ("link.json", "is a link"),
        ("hard.json", "is a link"), ("device.json", "is no regular file"), (NAME, b"[1]"),
    ]  # fmt: skip


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_names_and_times_of_every_form_are_read(form: int, tmp_path: Path) -> None:
    names = ["odds/ä/20260110T180000Z.json", f"{'d' * 90}/{'e' * 90}.json", "plain.json"]
    names += [] if form == tarfile.USTAR_FORMAT else [f"{'long' * 60}/{'name' * 50}.json"]
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=form) as tar:
        for number, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size, info.mtime = number, 1768068000
            tar.addfile(info, io.BytesIO(b"x" * number))
    found = list(Source(tmp_path / "a.tar.gz").files())
    assert [(each.path, each.body) for each in found] == [(name, b"x" * n) for n, name in enumerate(names)]
    assert {str(each.modified_at) for each in found} == {"2026-01-10 18:00:00+00:00"}


@pytest.mark.parametrize("cut", ["its end mark", "the last member", "a trailing member"])
def test_an_archive_that_lost_or_hides_members_is_broken(cut: str, tmp_path: Path) -> None:
    whole = member("1.json", b"[]") + member("2.json", b"[]")
    data = {
        "its end mark": whole,
        "the last member": whole[:1024],
        "a trailing member": whole + END + member("3.json", b"[]") + END,
    }
    (tmp_path / "a.tar").write_bytes(data[cut])
    with pytest.raises(RecordingError, match="IMPORT_SOURCE_BROKEN"):
        list(Source(tmp_path / "a.tar").files())


@pytest.mark.parametrize("record", [b"9999 path=a\n", b"x path=a\n", b"11 path=abcd", b"5 a\n", b"-5 path=a\n", b"8 pathxa\n"])
def test_a_damaged_pax_header_is_broken(record: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(header("x", len(record), b"x") + record.ljust(512, b"\0") + member(NAME, b"[]") + END)
    with pytest.raises(RecordingError, match="IMPORT_SOURCE_BROKEN"):
        list(Source(tmp_path / "a.tar").files())


# --- zip -------------------------------------------------------------------------------------------------------------


def zipped(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_read_like_its_files(method: int, tmp_path: Path) -> None:
    files = {"odds/ä.json": b"[]", "odds/": b"", "odds/large.json": os.urandom(900_000), ".hidden": b"", "../out.json": b"[]"}
    found = {each.path: each.body or each.problem for each in Source(zipped(tmp_path / "a.zip", files, method)).files()}
    assert found == {
        "odds/ä.json": b"[]", "odds/large.json": files["odds/large.json"],
        "../out.json": "has a name that leads out of the archive",
    }  # fmt: skip


def test_a_zip64_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, archive.open(NAME, "w", force_zip64=True) as file:
        file.write(b"[]")
    assert [each.body for each in Source(tmp_path / "a.zip").files()] == [b"[]"]


def test_members_of_a_zip_that_are_not_read_are_refused_by_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        link = zipfile.ZipInfo("link.json")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("odd.json", b"[]", zipfile.ZIP_BZIP2)
    data = bytearray((tmp_path / "a.zip").read_bytes())
    found = {each.path: each.problem for each in Source(tmp_path / "a.zip").files()}
    assert found == {"link.json": "is a link", "odd.json": "is compressed in a way that is not read here"}
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    data[at + 38 : at + 42] = b"\0" * 4
    (tmp_path / "b.zip").write_bytes(data)
    assert next(iter(Source(tmp_path / "b.zip").files())).problem == "is encrypted"


def test_a_damaged_zip_is_broken(tmp_path: Path) -> None:
    data = zipped(tmp_path / "a.zip", {NAME: b"[" + b" " * 5000 + b"]", "2.json": os.urandom(2000)}).read_bytes()
    entry = data.index(b"PK\x01\x02")
    damaged = {
        "cut": data[:-30],
        "empty": b"",
        "crc": data[: entry + 16] + b"\0\0\0\0" + data[entry + 20 :],
        "size": data[: entry + 24] + b"\1\0\0\0" + data[entry + 28 :],
        "place": data[: entry + 42] + b"\7\0\0\0" + data[entry + 46 :],
        "bytes": data[:60] + bytes([data[60] ^ 0xFF]) + data[61:],
        "directory": data[:entry] + b"XX" + data[entry + 2 :],
    }
    for name, content in damaged.items():
        (tmp_path / f"{name}.zip").write_bytes(content)
        with pytest.raises(RecordingError, match="IMPORT_SOURCE_BROKEN"):
            list(Source(tmp_path / f"{name}.zip").files())


# --- files -----------------------------------------------------------------------------------------------------------


def read(folder: Path, name: str, content: bytes) -> list[SourceFile]:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return list(Source(folder / name).files())


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress), (".bz2", bz2.compress)])
def test_a_compressed_file_is_read(ending: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (found,) = read(tmp_path, f"a.json{ending}", pack(b"[1]") + pack(b" "))
    assert (found.body, found.was_compressed, found.path) == (b"[1] ", True, f"a.json{ending}")
    (found,) = read(tmp_path, f"b.json{ending}", pack(b"[1]" * 999)[:-9])
    assert (found.problem or "").startswith("cannot be decompressed")
    first, second = read(tmp_path, f"c.jsonl{ending}", pack(b"[1]\n\r\n  \n[2]\r\n"))
    assert [(each.path, each.body, each.line) for each in (first, second)] == [
        (f"c.jsonl{ending}:1", b"[1]", 1), (f"c.jsonl{ending}:4", b"[2]", 4),
    ]  # fmt: skip
    assert first.file == f"c.jsonl{ending}"


def test_a_body_saved_as_it_came_over_the_wire_is_decompressed(tmp_path: Path) -> None:
    (found,) = read(tmp_path, "a.json", gzip.compress(b"[1]"))
    assert (found.body, found.was_compressed) == (b"[1]", True)
    broken = gzip.compress(b"[1]")[:-3]
    (found,) = read(tmp_path, "b.json", broken)
    assert (found.body, found.was_compressed) == (broken, False)


def test_lines_come_one_at_a_time_and_long_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_files, "MAX_FILE_BYTES", MEGABYTE)
    content = b"\xef\xbb\xbf[1]\n" + b"x" * (MEGABYTE + 1) + b"\n[3]"
    assert [(each.line, each.body, each.problem) for each in read(tmp_path, "a.jsonl", content)] == [
        (1, b"[1]", None), (2, None, "is larger than 1 MiB"), (3, b"[3]", None),
    ]  # fmt: skip


# --- names -----------------------------------------------------------------------------------------------------------

EVIL = "odds/\x1b[31m\nerror FORGED: all is well\u202e\u2028.json"


def test_a_name_can_neither_move_the_cursor_nor_forge_a_line(tmp_path: Path) -> None:
    (tmp_path / "in" / "odds").mkdir(parents=True)
    (tmp_path / "in" / EVIL).write_bytes(b"[]")
    zipped(tmp_path / "a.zip", {EVIL: b"[]"})
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo(EVIL))
    for source in ("in", "a.zip", "a.tar"):
        report = import_recording(tmp_path / source, tmp_path / "out", ImportOptions())
        (line,) = report.warnings
        assert line.isprintable()
        assert r"\x1b[31m\nerror FORGED: all is well\u202e\u2028.json" in line


def test_printable_keeps_what_it_is_told_and_cuts_what_is_long() -> None:
    assert printable("a\tb\nc\x1b\x9b\x7f", keep="\n\t") == "a\tb\nc\\x1b\\x9b\\x7f"
    assert printable("ä€ 東京") == "ä€ 東京"
    assert printable("x" * 20, most=5) == "xxxxx…"
    assert printable(os.fsdecode(b"\xff")) == "\\xff"


# --- damage ----------------------------------------------------------------------------------------------------------


def _sound(folder: Path, ending: str) -> bytes:
    files = {f"odds/2026011{n}T180000Z.json": b'[{"id": "x"}]' * n for n in range(4)} | {f"{'long' * 60}.json": b"[]"}
    path = folder / f"sound{ending}"
    if ending == ".zip":
        zipped(path, files)
    else:
        with tarfile.open(path, "w:gz" if ending == ".tar.gz" else "w") as tar:
            for name, body in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(body)
                tar.addfile(info, io.BytesIO(body))
    return path.read_bytes()


@given(st.data(), st.sampled_from([".tar", ".tar.gz", ".zip"]))
@settings(max_examples=300, deadline=None)
def test_a_damaged_archive_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, ending: str
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    content = bytearray(_sound(folder, ending))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    (folder / f"damaged{ending}").write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2]))])
    try:
        for file in Source(folder / f"damaged{ending}").files():
            assert file.path.isprintable()
    except RecordingError as error:
        assert error.code in ("IMPORT_SOURCE_BROKEN", "IMPORT_ARCHIVE_REFUSED")
