"""The manifest of an export: what each file holds, by digests that depend on no engine, and what it was made of.

``manifest.json`` stands last, so a folder with one is whole. It is sealed: its own hash finds a byte of it that changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.errors import SetupError
from pipeline.recording.seals import seal_of, sealed
from pipeline.warehouse.digest import Column, Columns

MANIFEST: Final = "manifest.json"
SCHEMA_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of one sport and month.

    Attributes:
        path: of the file that holds them, below the export's folder, with forward slashes.
        sport: their sport; None where they have none.
        month: theirs, ``2025-10`` (UTC); None where they have none.
        rows: how many.
        digest: theirs, ``sum128:ROWS:SUM``.
        state: what the server made of them, which says whether they changed since; None where it was not asked.
    """

    path: str
    sport: str | None
    month: str | None
    rows: int
    digest: str
    state: str | None

    @property
    def place(self) -> tuple[str | None, str | None]:
        """Sport and month."""
        return self.sport, self.month


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """A table or view of an export.

    Attributes:
        name: ``gold.best_price``.
        contract: the version of its contract.
        columns: all of them, in order, as PostgreSQL has them.
        parted_by: the columns whose sport, and whose month, part its rows: of ``t``, itself, or of ``e``, a row's event.
        digest: of all its rows.
        parts: by sport and month.
    """

    name: str
    contract: str
    columns: Columns
    parted_by: tuple[str | None, str | None]
    digest: str
    parts: tuple[Part, ...]

    @property
    def rows(self) -> int:
        """How many it has."""
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file, as it was written.

    Attributes:
        bytes: how many.
        sha256: of them all.
    """

    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export's folder holds.

    Attributes:
        format: one of :data:`pipeline.export.extra.FORMATS`.
        program: a hash of the code that computed the rows, as the warehouse keeps it.
        batches: the published batches of which the rows are made.
        asked: which rows: sport, since and until; null = all.
        tables: in order.
        files: by path.
        answers: the digest of these batches' contents and of the answers that were let in; None of an older version.
    """

    format: str
    program: str
    batches: tuple[str, ...]
    asked: Mapping[str, str | None]
    tables: tuple[ExportedTable, ...]
    files: Mapping[str, ExportedFile]
    answers: str | None = None

    def to_bytes(self) -> bytes:
        """The file's bytes."""
        return sealed(
            {
                "schema_version": SCHEMA_VERSION,
                "format": self.format,
                "program": self.program,
                "made_of": {"batches": list(self.batches), "answers": self.answers},
                "asked": dict(self.asked),
                "tables": {
                    table.name: {
                        "contract": table.contract,
                        "columns": [{"name": column.name, "type": column.type_name} for column in table.columns],
                        "parted_by": {"sport": table.parted_by[0], "month": table.parted_by[1]},
                        "rows": table.rows,
                        "digest": table.digest,
                        "parts": [part_json(part) for part in table.parts],
                    }
                    for table in self.tables
                },
                "files": {path: {"bytes": file.bytes, "sha256": file.sha256} for path, file in self.files.items()},
            }
        )[0]


def part_json(part: Part) -> dict[str, Any]:
    """A part as JSON."""
    return {
        "path": part.path,
        "sport": part.sport,
        "month": part.month,
        "rows": part.rows,
        "digest": part.digest,
        "state": part.state,
    }


def part_of(found: Mapping[str, Any]) -> Part:
    """The inverse of :func:`part_json`."""
    return Part(found["path"], found["sport"], found["month"], found["rows"], found["digest"], found["state"])


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of an export; None where there is none.

    Raises:
        SetupError: ``EXPORT_MANIFEST_BROKEN``: it is not as it was written; ``EXPORT_FORMAT_NEWER``.
    """
    file = folder / MANIFEST
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return None
    broken = SetupError(
        "EXPORT_MANIFEST_BROKEN",
        f"{file} is not as an export wrote it.",
        "Bring it back from a copy, or export into another folder.",
    )
    if seal_of(data) is None:
        raise broken
    try:
        found = json.loads(data)
        if found["schema_version"] > SCHEMA_VERSION:
            raise SetupError(
                "EXPORT_FORMAT_NEWER",
                f"{file} has the schema version {found['schema_version']}; this version knows {SCHEMA_VERSION}.",
                "Use a newer sports-market.",
            )
        return Manifest(
            found["format"],
            found["program"],
            tuple(found["made_of"]["batches"]),
            found["asked"],
            tuple(
                ExportedTable(
                    name,
                    table["contract"],
                    tuple(Column(column["name"], column["type"]) for column in table["columns"]),
                    (table["parted_by"]["sport"], table["parted_by"]["month"]),
                    table["digest"],
                    tuple(map(part_of, table["parts"])),
                )
                for name, table in found["tables"].items()
            ),
            {path: ExportedFile(file["bytes"], file["sha256"]) for path, file in found["files"].items()},
            found["made_of"].get("answers"),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise broken from None
