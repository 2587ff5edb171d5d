"""The folder of an export while it is written: who may write there, and what a run that was killed had done.

Finished files wait in ``.export`` and are told in its journal, a line each. They take their places when all are there, just
before the manifest does. What a run leaves behind the next one goes on from.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from pipeline.errors import SetupError, UsageError
from pipeline.export.manifest import MANIFEST, ExportedFile, Manifest, Part, part_json, part_of
from pipeline.export.writers import to_disk

WORK: Final = ".export"
_JOURNAL: Final = "journal.jsonl"


def check_folder(out: Path) -> None:
    """See, before any work, that an export can be written there.

    Raises:
        UsageError: ``EXPORT_OUT``: it is no folder, or one of somebody else.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError("EXPORT_OUT", f"{out} is no folder.", "Name a folder: a new one, an empty one, or that of an export.")
    if not (out / MANIFEST).exists() and not (out / WORK).is_dir():
        _refuse(out, sorted(path.name for path in out.iterdir()))


def files_in(out: Path) -> list[str]:
    """The files of an export's folder, sorted; without those of a run that is not done."""
    found = (path.relative_to(out) for path in out.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.as_posix() for path in found if path.parts[0] != WORK)


def _refuse(out: Path, names: Iterable[str]) -> None:
    first = next(iter(names), None)
    if first is not None:
        raise UsageError(
            "EXPORT_FOREIGN",
            f"{out} holds {first}, which no export wrote.",
            "Name a folder of its own for the export, or take out what is not of it.",
        )


class WorkFolder:
    """An export's folder, for one run at a time. A context manager.

    Args:
        out: the folder; it is made.
        standing: the manifest in it.
        format: of the files to be written.

    Raises:
        UsageError: ``EXPORT_FOREIGN``.
        SetupError: ``EXPORT_BUSY``.
    """

    def __init__(self, out: Path, standing: Manifest | None, format: str) -> None:
        self.out = out
        self.folder = out / WORK
        self.done: dict[str, tuple[str, ExportedFile]] = {}
        self.parts: dict[tuple[str, str], dict[tuple[str | None, str | None], Part]] = {}
        self.has_database = False
        self._format = format
        self._ours = set(standing.files) if standing else set()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._journal = _locked(self.folder / _JOURNAL, out)
        try:
            self._read(format)
            _refuse(out, (name for name in files_in(out) if name not in self._ours and name != MANIFEST))
            self._sweep()
        except BaseException:
            self._journal.close()
            raise
        self._count = max((int(staged.partition(".")[0]) for staged, _ in self.done.values()), default=0)

    def __enter__(self) -> WorkFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._journal.close()

    def new_file(self) -> Path:
        """A place for a file that is being written."""
        self._count += 1
        return self.folder / f"{self._count}.part"

    def note_part(self, table: str, form: str, part: Part, staged: Path, file: ExportedFile) -> None:
        """A file is whole."""
        to_disk(self.folder)
        self._note(
            {
                "table": table,
                "form": form,
                "part": part_json(part),
                "staged": staged.name,
                "bytes": file.bytes,
                "sha256": file.sha256,
            }
        )
        self.done[part.path] = (staged.name, file)
        self._ours.add(part.path)

    def note_table(self, table: str, form: str, parts: Iterable[Part]) -> None:
        """A table of the database is whole."""
        self._note({"table": table, "form": form, "parts": [part_json(part) for part in parts]})

    def note_database(self) -> None:
        """The database that tables are made in is there."""
        to_disk(self.folder)
        self._note({"database": True})

    def forget(self) -> None:
        """Begin anew: nothing of what was done counts."""
        self.parts.clear()
        self.done.clear()
        self.has_database = False
        self._begin_anew()
        self._sweep()

    def place(self, files: Mapping[str, ExportedFile], before: Iterable[str]) -> None:
        """Let the files that wait take their places.

        Args:
            files: all of the export that is done.
            before: those of the one that stands.
        """
        # from here on a run that is killed leaves files of both exports
        self._ours |= {*before, *files}
        self._note({"ours": sorted(self._ours)})
        for path in sorted(set(files) & set(self.done)):
            staged, final = self.folder / self.done[path][0], self.out / path
            if staged.exists():
                final.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(final)
                for folder in (final.parent, *final.parent.parents):
                    to_disk(folder)
                    if folder == self.out:
                        break

    def write_manifest(self, data: bytes) -> None:
        """Put the manifest in its place, unless it stands there already."""
        final = self.out / MANIFEST
        if final.exists() and final.read_bytes() == data:
            return
        temporary = self.folder / MANIFEST
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(final)
        to_disk(self.out)

    def clear(self, files: Mapping[str, ExportedFile]) -> int:
        """Take out what is no longer wanted, and what the run itself needed; how many files of the export went."""
        gone = [name for name in files_in(self.out) if name in self._ours and name not in files]
        for name in gone:
            (self.out / name).unlink()
        for folder in sorted((path for path in self.out.rglob("*") if path.is_dir()), reverse=True):
            with contextlib.suppress(OSError):  # it holds something
                folder.rmdir()
        shutil.rmtree(self.folder)
        return len(gone)

    def _note(self, line: Mapping[str, Any]) -> None:
        self._journal.write(json.dumps(line, sort_keys=True).encode() + b"\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _read(self, format: str) -> None:
        self._journal.seek(0)
        whole = self._journal.read().rpartition(b"\n")[0]
        self._journal.truncate(len(whole) + 1 if whole else 0)
        lines = [json.loads(line) for line in whole.splitlines()]
        for line in lines:
            self._ours |= {*line.get("ours", ()), *([line["part"]["path"]] if "part" in line else [])}
        if not lines or lines[0].get("format") != format:
            lines = []
            self._begin_anew()
        for line in lines:
            if "part" in line:
                self._take(line)
            elif "parts" in line:
                self.parts[line["table"], line["form"]] = {part.place: part for part in map(part_of, line["parts"])}
            elif "database" in line:
                self.has_database = True

    def _begin_anew(self) -> None:
        self._journal.truncate(0)
        self._note({"format": self._format})
        self._note({"ours": sorted(self._ours)})

    def _take(self, line: Mapping[str, Any]) -> None:
        part, file = part_of(line["part"]), ExportedFile(line["bytes"], line["sha256"])
        if any(is_there(place, file) for place in (self.folder / line["staged"], self.out / part.path)):
            self.done[part.path] = (line["staged"], file)
            self.parts.setdefault((line["table"], line["form"]), {})[part.place] = part

    def _sweep(self) -> None:
        """Take out what a run that was killed had not finished."""
        kept = {_JOURNAL, *(staged for staged, _ in self.done.values())}
        for path in self.folder.iterdir():
            if path.name not in kept and not (self.has_database and path.name.startswith("gold.duckdb")):
                path.unlink()


def is_there(path: Path, file: ExportedFile) -> bool:
    """Whether a file is there, with as many bytes as it should have."""
    try:
        return path.is_file() and path.stat().st_size == file.bytes
    except OSError:
        return False


def _locked(journal: Path, out: Path) -> Any:
    while True:
        stream = journal.open("a+b")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.close()
            raise SetupError("EXPORT_BUSY", f"Another run exports into {out}.", "Wait for it to end.") from None
        # whoever held it until now may just have taken it away
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(stream.fileno()).st_ino == journal.stat().st_ino:
                return stream
        stream.close()
        journal.parent.mkdir(parents=True, exist_ok=True)
