"""What imports of CSV share: files are read row by row, all that is wrong is said at once, and what is good becomes batches.

A file is taken whole or not at all: a batch that lacked a row would be another batch once the row was mended.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.clock import from_iso, is_datable, to_iso
from pipeline.errors import ConflictError, RecordingError, UsageError
from pipeline.odds_api.endpoints import nearest
from pipeline.printable import printable
from pipeline.recording.model import Batch
from pipeline.recording.store import RecordingWriter, content_sha256

EVENT_ID: Final = re.compile(r"[0-9a-f]{32}")
KEY: Final = re.compile(r"[a-z0-9_]{1,120}")
NAME_LENGTH: Final = 500
_SHOWN_PROBLEMS: Final = 20

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Table:
    """What a CSV file holds.

    Attributes:
        things: what its rows are, such as ``results``.
        thing: what one row is about, such as ``game``.
        required, optional: its columns.
        wrong: what is wrong with a row: column, value, and what to do.
    """

    things: str
    thing: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    wrong: Callable[[Row], Iterator[str]]

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it may have."""
        return self.required + self.optional

    def code(self, name: str) -> str:
        """An error code of it."""
        return f"{self.things.upper()}_{name}"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a good row says.

    Attributes:
        place: file and line.
        captured_at: ISO time.
        key: what tells it from the others of its time.
        document: as an answer has it.
    """

    place: str
    captured_at: str
    key: tuple[str, ...]
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CsvReport:
    """What became of every row.

    Attributes:
        things: what the rows are, such as ``results``.
        rows: rows of all files; ``rows`` = ``entries`` + ``duplicates``.
        entries: what the recording holds of them, each at a time.
        duplicates: rows that say again what another row says.
        batches: batches that the rows make.
        batches_written: those that were not there before.
        ledgers: their names, sorted; None where the rows are of no ledger.
        sports: sport keys, sorted.
        first_at, last_at: capture times of the first and the last batch.
    """

    things: str
    rows: int
    entries: int
    duplicates: int
    batches: int
    batches_written: int
    ledgers: tuple[str, ...] | None
    sports: tuple[str, ...]
    first_at: dt.datetime
    last_at: dt.datetime

    @property
    def exit_code(self) -> int:
        """0: a file is taken whole, or refused with an error."""
        return 0

    def lines(self) -> list[str]:
        """What a person is told."""
        ledgers = "" if self.ledgers is None else f"{', '.join(self.ledgers)}: "
        return [
            f"{self.rows:,} rows = {self.entries:,} {self.things} + {self.duplicates:,} said twice;"
            f" {ledgers}{', '.join(self.sports)}",
            f"{self.batches:,} batches ({self.batches_written:,} new), {to_iso(self.first_at)} to {to_iso(self.last_at)}",
        ]

    def to_json(self) -> dict[str, Any]:
        """The JSON document of the command."""
        return {
            "rows": self.rows,
            self.things: self.entries,
            "duplicates": self.duplicates,
            "batches": self.batches,
            "batches_written": self.batches_written,
            **({} if self.ledgers is None else {"ledgers": list(self.ledgers)}),
            "sports": list(self.sports),
            "first_at": to_iso(self.first_at),
            "last_at": to_iso(self.last_at),
        }


def defaults_of(table: Table, *, captured_at: str | None, sport: str | None) -> dict[str, str]:
    """The cells of rows without their own.

    Raises:
        UsageError: ``…_OPTION_INVALID``.
    """
    if sport is not None and not KEY.fullmatch(sport):
        raise UsageError(
            table.code("OPTION_INVALID"), f"--sport cannot be {sport!r}.", "Write a sport key such as icehockey_nhl."
        )
    if captured_at is not None and time_of(captured_at) is None:
        raise UsageError(
            table.code("OPTION_INVALID"),
            f"--captured-at cannot be {captured_at!r}.",
            "Write a time such as 2025-10-16T12:00:00Z.",
        )
    return {"captured_at": captured_at or "", "sport_key": sport or ""}


def read(
    table: Table,
    files: Sequence[Path],
    defaults: Row,
    entry: Callable[[str, Row], Entry],
    differing: Callable[[Entry, Entry], str],
) -> tuple[int, list[Entry]]:
    """How many rows the files have, and what they say, each thing once.

    Args:
        table: what the files hold.
        files: UTF-8 CSV files with a header.
        defaults: cells of rows without their own.
        entry: what a good row says, by its place and cells.
        differing: what is wrong with an entry, of which an earlier one of its key and time says something else.

    Raises:
        RecordingError: ``…_NOT_FOUND``, ``…_INVALID`` naming file, line, column and what to do.
    """
    problems: list[str] = []
    kept: dict[tuple[str, ...], Entry] = {}
    rows = 0
    for file in files:
        for place, row in _rows(table, file, defaults, problems):
            rows += 1
            said = entry(place, row)
            before = kept.setdefault((said.captured_at, *said.key), said)
            if before.document != said.document:
                problems.append(f"{said.place}: {differing(said, before)}; keep one")
    if not problems and not kept:
        problems.append(
            f"{', '.join(printable(str(file)) for file in files)}: no {table.things};"
            f" write one row per {table.thing} below the header"
        )
    if problems:
        shown = problems[:_SHOWN_PROBLEMS]
        more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
        raise RecordingError(
            table.code("INVALID"),
            "Nothing was imported.\n  " + "\n  ".join([*shown, *more]),
            "Mend the files and import them again.",
        )
    return rows, list(kept.values())


def _rows(table: Table, file: Path, defaults: Row, problems: list[str]) -> Iterator[tuple[str, Row]]:
    """The good rows of a file, each with its place; what is wrong with the others is added to the problems."""
    name = printable(str(file))
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RecordingError(
            table.code("NOT_FOUND"), f"{name} cannot be read: {error.strerror}.", "Name a CSV file."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(f"{name}, line {line}: it is no UTF-8; save the file as UTF-8")
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [each.strip() for each in next(reader, [])]
        if wrong := list(_wrong_header(table, header)):
            problems += [f"{name}, line 1: {each}" for each in wrong]
            return
        for cells in reader:
            if not cells:
                continue
            place = f"{name}, line {reader.line_num}"
            if len(cells) != len(header):
                problems.append(f"{place}: {len(cells)} cells under {len(header)} columns; quote a cell that holds a comma")
                continue
            row = {**defaults, **{each: cell.strip() for each, cell in zip(header, cells, strict=True) if cell.strip()}}
            if wrong := list(table.wrong(row)):
                problems += [f"{place}, {each}" for each in wrong]
            else:
                yield place, row
    except csv.Error as error:
        problems.append(f"{name}, line {reader.line_num}: {error}; write it as a spreadsheet saves CSV")


def _wrong_header(table: Table, header: Sequence[str]) -> Iterator[str]:
    for name in table.required:
        if name not in header:
            yield f"there is no column {name}; add it"
    for name in header:
        if header.count(name) > 1:
            yield f"column {name} stands twice; keep one"
        elif name not in table.columns:
            known = nearest(name, table.columns)
            yield f"column {name or '(without a name)'} is unknown; did you mean {known}? Else remove it"


def column(row: Row, name: str, advice: str) -> str:
    """What is wrong with a cell: its column, its value, and what to do."""
    value = row.get(name, "")
    return f"column {name}: {value!r:.60}; {advice}" if value else f"column {name} is empty; {advice}"


def wrong_event(row: Row) -> Iterator[str]:
    """What is wrong with the cells that name the event."""
    if not EVENT_ID.fullmatch(row.get("event_id", "")):
        yield column(row, "event_id", "write the event's id, 32 lower-case hex digits, as in gold.events")
    if not KEY.fullmatch(row.get("sport_key", "")):
        yield column(row, "sport_key", "write a sport key such as icehockey_nhl, or give --sport")


def is_name(text: str, most: int = NAME_LENGTH) -> bool:
    """Whether it is a name that can be shown to people."""
    return 0 < len(text) <= most and text.isprintable()


def time_of(text: str) -> dt.datetime | None:
    """A time in whole seconds that a recording may say, or None."""
    try:
        at = from_iso(text)
    except ValueError:
        return None
    return at if at.microsecond == 0 and is_datable(at) else None


def iso(text: str) -> str:
    """A time as an answer has it."""
    return to_iso(from_iso(text))


def reported(
    table: Table,
    out: Path,
    files: Sequence[Path],
    rows: int,
    entries: Sequence[Entry],
    batches: Sequence[Batch],
    *,
    has_ledgers: bool,
) -> CsvReport:
    """Write the batches that are not there, and tell what became of the rows.

    Args:
        table: what the files hold.
        out: the recording's folder: new, empty, or a recording.
        files: those that were read.
        rows: how many rows they have.
        entries: what the rows say.
        batches: made of the entries, in order of time.
        has_ledgers: whether the key of an entry begins with the name of a ledger.

    Raises:
        UsageError: the folder holds something else.
        ConflictError: ``BATCH_CONFLICT``.
    """
    return CsvReport(
        things=table.things,
        rows=rows,
        entries=len(entries),
        duplicates=rows - len(entries),
        batches=len(batches),
        batches_written=_write(table, out, batches, files),
        ledgers=tuple(sorted({entry.key[0] for entry in entries})) if has_ledgers else None,
        sports=tuple(sorted({entry.document["sport_key"] for entry in entries})),
        first_at=batches[0].scheduled_at,
        last_at=batches[-1].scheduled_at,
    )


def _write(table: Table, out: Path, batches: Sequence[Batch], files: Sequence[Path]) -> int:
    """Write those that are not there; how many. Nothing is written where one of them is there with other content."""
    writer = RecordingWriter(out, created_from=f"{table.things} of {', '.join(sorted(file.name for file in files))}")
    missing = []
    for batch in batches:
        known = writer.sealed(batch.batch_id)
        if known is None:
            missing.append(batch)
        elif (there := content_sha256(known)) != (comes := content_sha256(batch)):
            raise ConflictError(
                "BATCH_CONFLICT",
                f"{out} holds other {table.things} of {to_iso(batch.scheduled_at)}: sha256:{there},"
                f" and now come sha256:{comes}.",
                "A correction is another answer: give it a later captured_at.",
            )
    for batch in missing:
        target = writer.begin(batch.batch_id, batch.scheduled_at, batch.plan, batch.source)
        target.discard()
        for exchange in batch.exchanges:
            target.add(exchange)
        target.seal()
    return len(missing)
