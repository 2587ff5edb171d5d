"""Turn results that people have as CSV into a recording: answers in the shape of the API's own scores.

The API's scores reach three days back and have no history. What is older comes in here, and then goes through the contract,
bronze and silver as every other answer. A file is taken whole or not at all: a batch that lacked a row would be another batch
once the row was mended.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.clock import UTC, from_iso, is_datable, to_iso
from pipeline.errors import ConflictError, RecordingError, UsageError
from pipeline.odds_api.endpoints import nearest
from pipeline.odds_api.request import ApiRequest
from pipeline.printable import printable
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity
from pipeline.recording.store import RecordingWriter, content_sha256

REQUIRED: Final = ("event_id", "sport_title", "commence_time", "home_team", "away_team", "home_score", "away_score")
# reasons is what the query of unresolved games tells its reader: of a result it says nothing, and is not taken
OPTIONAL: Final = ("sport_key", "completed", "captured_at", "last_update", "reasons")
_SHOWN_PROBLEMS: Final = 20
_EVENT_ID: Final = re.compile(r"[0-9a-f]{32}")
_KEY: Final = re.compile(r"[a-z0-9_]{1,120}")
# as far as silver takes a score for a number
_SCORE: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,2})?", re.ASCII)
_NAME_LENGTH: Final = 500
_WORDS: Final[Mapping[str, bool]] = {"": True, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class ResultsReport:
    """What became of every row.

    Attributes:
        rows: rows of all files; ``rows`` = ``results`` + ``duplicates``.
        results: of an event at a time, in the recording.
        duplicates: rows that say again what another row says.
        batches: batches that the rows make, one per capture time.
        batches_written: those that were not there before.
        sports: sport keys, sorted.
        first_at, last_at: capture times of the first and the last batch.
    """

    rows: int
    results: int
    duplicates: int
    batches: int
    batches_written: int
    sports: tuple[str, ...]
    first_at: dt.datetime
    last_at: dt.datetime

    @property
    def exit_code(self) -> int:
        """0: a file is taken whole, or refused with an error."""
        return 0

    def lines(self) -> list[str]:
        """What a person is told."""
        return [
            f"{self.rows:,} rows = {self.results:,} results + {self.duplicates:,} said twice; {', '.join(self.sports)}",
            f"{self.batches:,} batches ({self.batches_written:,} new), {to_iso(self.first_at)} to {to_iso(self.last_at)}",
        ]

    def to_json(self) -> dict[str, Any]:
        """The JSON document of the command."""
        return {
            "rows": self.rows,
            "results": self.results,
            "duplicates": self.duplicates,
            "batches": self.batches,
            "batches_written": self.batches_written,
            "sports": list(self.sports),
            "first_at": to_iso(self.first_at),
            "last_at": to_iso(self.last_at),
        }


def import_results(
    files: Sequence[Path], out: Path, *, captured_at: str | None = None, sport: str | None = None, simulated: bool = False
) -> ResultsReport:
    """Write the results of CSV files into a recording: one batch per capture time, one answer per sport in it.

    The same files give the same bytes. Importing again changes nothing; other files add batches to the recording.

    Args:
        files: UTF-8 CSV files with a header that names :data:`REQUIRED`, and any of :data:`OPTIONAL`.
        out: the recording's folder: new, empty, or a recording.
        captured_at: ISO time at which rows without one count as received.
        sport: sport key of rows without one.
        simulated: the results are those of a simulated market.

    Raises:
        UsageError: ``RESULTS_OPTION_INVALID``, or the folder holds something else.
        RecordingError: ``RESULTS_NOT_FOUND``, ``RESULTS_INVALID`` naming file, line, column and what to do; nothing is written.
        ConflictError: ``BATCH_CONFLICT``, the recording holds other results of that time; nothing was written.
    """
    if sport is not None and not _KEY.fullmatch(sport):
        raise UsageError("RESULTS_OPTION_INVALID", f"--sport cannot be {sport!r}.", "Write a sport key such as icehockey_nhl.")
    if captured_at is not None and _time(captured_at) is None:
        raise UsageError(
            "RESULTS_OPTION_INVALID", f"--captured-at cannot be {captured_at!r}.", "Write a time such as 2025-10-16T12:00:00Z."
        )
    defaults = {"captured_at": captured_at or "", "sport_key": sport or ""}
    problems: list[str] = []
    kept: dict[tuple[str, str], _Result] = {}
    rows = 0
    for file in files:
        for result in _read(file, defaults, problems):
            rows += 1
            before = kept.setdefault((result.captured_at, result.event_id), result)
            if before.event != result.event:
                problems.append(f"{result.place}: event {result.event_id} has another result at {before.place}; keep one")
    if not problems and not kept:
        problems.append(
            f"{', '.join(printable(str(file)) for file in files)}: no results; write one row per game below the header"
        )
    if problems:
        shown = problems[:_SHOWN_PROBLEMS]
        more = [f"and {len(problems) - len(shown)} more"] if len(problems) > len(shown) else []
        raise RecordingError(
            "RESULTS_INVALID",
            "Nothing was imported.\n  " + "\n  ".join([*shown, *more]),
            "Mend the files and import them again.",
        )
    batches = _batches(kept.values(), simulated)
    return ResultsReport(
        rows=rows,
        results=len(kept),
        duplicates=rows - len(kept),
        batches=len(batches),
        batches_written=_write(out, batches, files),
        sports=tuple(sorted({result.sport_key for result in kept.values()})),
        first_at=batches[0].scheduled_at,
        last_at=batches[-1].scheduled_at,
    )


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Result:
    """A good row.

    Attributes:
        place: file and line.
        captured_at: ISO time.
        event: as the API's scores have it.
    """

    place: str
    captured_at: str
    event: Mapping[str, Any]

    @property
    def event_id(self) -> str:
        return str(self.event["id"])

    @property
    def sport_key(self) -> str:
        return str(self.event["sport_key"])


def _read(file: Path, defaults: Mapping[str, str], problems: list[str]) -> Iterator[_Result]:
    """The good rows of a file; what is wrong with the others is added to the problems."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RecordingError(
            "RESULTS_NOT_FOUND", f"{printable(str(file))} cannot be read: {error.strerror}.", "Name a CSV file."
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problems.append(f"{printable(str(file))}, line {line}: it is no UTF-8; save the file as UTF-8")
        return
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        if wrong := list(_wrong_header(header)):
            problems += [f"{printable(str(file))}, line 1: {each}" for each in wrong]
            return
        for cells in reader:
            if not cells:
                continue
            place = f"{printable(str(file))}, line {reader.line_num}"
            if len(cells) != len(header):
                problems.append(f"{place}: {len(cells)} cells under {len(header)} columns; quote a cell that holds a comma")
                continue
            row = {**defaults, **{name: cell.strip() for name, cell in zip(header, cells, strict=True) if cell.strip()}}
            if wrong := list(_wrong_cells(row)):
                problems += [f"{place}, {each}" for each in wrong]
            else:
                yield _Result(place, _iso(row["captured_at"]), _event(row))
    except csv.Error as error:
        problems.append(f"{printable(str(file))}, line {reader.line_num}: {error}; write it as a spreadsheet saves CSV")


def _wrong_header(header: Sequence[str]) -> Iterator[str]:
    for name in REQUIRED:
        if name not in header:
            yield f"there is no column {name}; add it"
    for name in header:
        if header.count(name) > 1:
            yield f"column {name} stands twice; keep one"
        elif name not in (*REQUIRED, *OPTIONAL):
            known = nearest(name, (*REQUIRED, *OPTIONAL))
            yield f"column {name or '(without a name)'} is unknown; did you mean {known}? Else remove it"


def _wrong_cells(row: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a row: column, value, and what to do."""

    def column(name: str, advice: str) -> str:
        value = row.get(name, "")
        return f"column {name}: {value!r:.60}; {advice}" if value else f"column {name} is empty; {advice}"

    if not _EVENT_ID.fullmatch(row.get("event_id", "")):
        yield column("event_id", "write the event's id, 32 lower-case hex digits, as in gold.events")
    if not _KEY.fullmatch(row.get("sport_key", "")):
        yield column("sport_key", "write a sport key such as icehockey_nhl, or give --sport")
    for name, advice in (
        ("sport_title", "write the sport's title, as in gold.sports"),
        ("home_team", "write the team's name, as in gold.events"),
        ("away_team", "write the team's name, as in gold.events"),
    ):
        if not 0 < len(row.get(name, "")) <= _NAME_LENGTH or not row[name].isprintable():
            yield column(name, advice)
    if row.get("home_team") and row.get("home_team") == row.get("away_team"):
        yield column("away_team", "write the other team")
    times = {name: _time(row.get(name, "")) for name in ("commence_time", "captured_at", "last_update")}
    if times["commence_time"] is None:
        yield column("commence_time", "write the event's start, such as 2025-10-12T17:00:00Z, as in gold.events")
    if times["captured_at"] is None:
        yield column("captured_at", "write when the result was known, such as 2025-10-16T12:00:00Z, or give --captured-at")
    if row.get("last_update") and times["last_update"] is None:
        yield column("last_update", "write a time such as 2025-10-12T20:12:09Z, or leave it empty")
    completed = _WORDS.get(row.get("completed", "").lower())
    if completed is None:
        yield column("completed", "write true or false")
    scores = [row.get(name, "") for name in ("home_score", "away_score")]
    for name, score in zip(("home_score", "away_score"), scores, strict=True):
        if score and not _SCORE.fullmatch(score):
            yield column(name, "write a plain number")
        elif not score and (completed or any(scores)):
            yield column(name, "write the score, or completed = false and no score at all")
    start, known = times["commence_time"], times["captured_at"]
    if completed and start and known and known < start:
        yield column("captured_at", "it is before commence_time, when nothing can be completed: write a later time")


def _time(text: str) -> dt.datetime | None:
    """A time in whole seconds that a recording may say, or None."""
    try:
        at = from_iso(text)
    except ValueError:
        return None
    return at if at.microsecond == 0 and is_datable(at) else None


def _iso(text: str) -> str:
    return to_iso(from_iso(text))


def _event(row: Mapping[str, str]) -> dict[str, Any]:
    """A row as the API's scores would tell it."""
    shown = [
        {"name": row[f"{side}_team"], "score": row[f"{side}_score"]} for side in ("home", "away") if row.get(f"{side}_score")
    ]
    return {
        "id": row["event_id"],
        "sport_key": row["sport_key"],
        "sport_title": row["sport_title"],
        "commence_time": _iso(row["commence_time"]),
        "completed": _WORDS[row.get("completed", "").lower()],
        "home_team": row["home_team"],
        "away_team": row["away_team"],
        "scores": shown or None,
        "last_update": _iso(row["last_update"]) if row.get("last_update") else None,
    }


# --- writing ---------------------------------------------------------------------------------------------------------


def _batches(results: Iterable[_Result], simulated: bool) -> list[Batch]:
    """One batch per capture time, in order of time."""
    answers: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        answers[result.captured_at][result.sport_key].append(result.event)
    batches = []
    for captured_at, sports in sorted(answers.items()):
        at = from_iso(captured_at).astimezone(UTC)
        declared = {"events": "results", **({"simulated": True} if simulated else {})}
        plan = PlanIdentity({"kind": "import", "endpoints": ["scores"], "sports": sorted(sports), "declared": declared})
        exchanges = tuple(_exchange(place, sport, events, at) for place, (sport, events) in enumerate(sorted(sports.items())))
        batches.append(Batch(plan.batch_id(at), at, plan, "simulated" if simulated else "import", exchanges))
    return batches


def _exchange(place: int, sport: str, events: Sequence[Mapping[str, Any]], at: dt.datetime) -> Exchange:
    """The answer about one sport. It covers the events that it names, and tells nothing of others."""
    ordered = sorted(events, key=lambda event: (event["commence_time"], event["id"]))
    return Exchange(
        place=place,
        attempt=1,
        request=ApiRequest.of("scores", sport=sport, params={"dateFormat": "iso"}),
        coverage=Coverage(sport=sport, events=tuple(sorted(event["id"] for event in ordered))),
        captured_at=at,
        status=200,
        body=json.dumps(ordered, ensure_ascii=False, indent=1).encode(),
    )


def _write(out: Path, batches: Sequence[Batch], files: Sequence[Path]) -> int:
    """Write those that are not there; how many. Nothing is written where one of them is there with other content."""
    writer = RecordingWriter(out, created_from=f"results of {', '.join(sorted(file.name for file in files))}")
    missing = []
    for batch in batches:
        known = writer.sealed(batch.batch_id)
        if known is None:
            missing.append(batch)
        elif (there := content_sha256(known)) != (comes := content_sha256(batch)):
            raise ConflictError(
                "BATCH_CONFLICT",
                f"{out} holds other results of {to_iso(batch.scheduled_at)}: sha256:{there}, and now come sha256:{comes}.",
                "A correction is another answer: give it a later captured_at.",
            )
    for batch in missing:
        target = writer.begin(batch.batch_id, batch.scheduled_at, batch.plan, batch.source)
        target.discard()
        for exchange in batch.exchanges:
            target.add(exchange)
        target.seal()
    return len(missing)
