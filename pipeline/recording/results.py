"""Turn results that people have as CSV into a recording: answers in the shape of the API's own scores.

The API's scores reach three days back and have no history. What is older comes in here, and then goes through the contract,
bronze and silver as every other answer.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.clock import UTC, from_iso
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.csv_import import (
    CsvReport,
    Entry,
    Row,
    Table,
    column,
    defaults_of,
    is_name,
    iso,
    read,
    reported,
    time_of,
    wrong_event,
)
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity

REQUIRED: Final = ("event_id", "sport_title", "commence_time", "home_team", "away_team", "home_score", "away_score")
# reasons is what the query of unresolved games tells its reader: of a result it says nothing, and is not taken
OPTIONAL: Final = ("sport_key", "completed", "captured_at", "last_update", "reasons")
# as far as silver takes a score for a number
_SCORE: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,2})?", re.ASCII)
_WORDS: Final[Mapping[str, bool]] = {"": True, "true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def _wrong_cells(row: Row) -> Iterator[str]:
    """What is wrong with a row."""
    yield from wrong_event(row)
    for name, advice in (
        ("sport_title", "write the sport's title, as in gold.sports"),
        ("home_team", "write the team's name, as in gold.events"),
        ("away_team", "write the team's name, as in gold.events"),
    ):
        if not is_name(row.get(name, "")):
            yield column(row, name, advice)
    if row.get("home_team") and row.get("home_team") == row.get("away_team"):
        yield column(row, "away_team", "write the other team")
    times = {name: time_of(row.get(name, "")) for name in ("commence_time", "captured_at", "last_update")}
    if times["commence_time"] is None:
        yield column(row, "commence_time", "write the event's start, such as 2025-10-12T17:00:00Z, as in gold.events")
    if times["captured_at"] is None:
        yield column(row, "captured_at", "write when the result was known, such as 2025-10-16T12:00:00Z, or give --captured-at")
    if row.get("last_update") and times["last_update"] is None:
        yield column(row, "last_update", "write a time such as 2025-10-12T20:12:09Z, or leave it empty")
    completed = _WORDS.get(row.get("completed", "").lower())
    if completed is None:
        yield column(row, "completed", "write true or false")
    scores = [row.get(name, "") for name in ("home_score", "away_score")]
    for name, score in zip(("home_score", "away_score"), scores, strict=True):
        if score and not _SCORE.fullmatch(score):
            yield column(row, name, "write a plain number")
        elif not score and (completed or any(scores)):
            yield column(row, name, "write the score, or completed = false and no score at all")
    start, known = times["commence_time"], times["captured_at"]
    if completed and start and known and known < start:
        yield column(row, "captured_at", "it is before commence_time, when nothing can be completed: write a later time")


TABLE: Final = Table("results", "game", REQUIRED, OPTIONAL, _wrong_cells)


def import_results(
    files: Sequence[Path], out: Path, *, captured_at: str | None = None, sport: str | None = None, simulated: bool = False
) -> CsvReport:
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
    defaults = defaults_of(TABLE, captured_at=captured_at, sport=sport)
    rows, kept = read(
        TABLE, files, defaults, _entry, lambda said, before: f"event {said.key[0]} has another result at {before.place}"
    )
    return reported(TABLE, out, files, rows, kept, _batches(kept, simulated), has_ledgers=False)


def _entry(place: str, row: Row) -> Entry:
    event = _event(row)
    return Entry(place, iso(row["captured_at"]), (row["event_id"],), event)


def _event(row: Row) -> dict[str, Any]:
    """A row as the API's scores would tell it."""
    shown = [
        {"name": row[f"{side}_team"], "score": row[f"{side}_score"]} for side in ("home", "away") if row.get(f"{side}_score")
    ]
    return {
        "id": row["event_id"],
        "sport_key": row["sport_key"],
        "sport_title": row["sport_title"],
        "commence_time": iso(row["commence_time"]),
        "completed": _WORDS[row.get("completed", "").lower()],
        "home_team": row["home_team"],
        "away_team": row["away_team"],
        "scores": shown or None,
        "last_update": iso(row["last_update"]) if row.get("last_update") else None,
    }


def _batches(results: Iterable[Entry], simulated: bool) -> list[Batch]:
    """One batch per capture time, in order of time."""
    answers: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        answers[result.captured_at][result.document["sport_key"]].append(result.document)
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
