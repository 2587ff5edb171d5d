"""Turn bets and predictions that people have as CSV into recordings of endpoints of their own, ``bets`` and ``predictions``.

A bet is dated by its capture, when the file was known, and not by when it was placed: what is told of a bet afterwards is no
knowledge of that time. So no row does without ``captured_at``, and nothing stands in for it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from pipeline.clock import UTC, from_iso
from pipeline.errors import UsageError
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.csv_import import (
    KEY,
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

# as long as the contract takes: both are parts of a key
_KEY_LENGTH: Final = 120
_POINT: Final = re.compile(r"[+-]?[0-9]{1,5}(\.[0-9]{1,3})?", re.ASCII)
_PRICE: Final = re.compile(r"[+-]?[0-9]{1,6}(\.[0-9]{1,8})?", re.ASCII)
_STAKE: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,8})?", re.ASCII)
_PROBABILITY: Final = re.compile(r"0?\.[0-9]{1,10}", re.ASCII)
_FORMATS: Final = ("american", "decimal")


def _wrong_in_both(row: Row, id_name: str, made: str, about: str) -> Iterator[str]:
    """What is wrong with the cells that bets and predictions share."""
    if not is_name(row.get("ledger", ""), _KEY_LENGTH):
        yield column(row, "ledger", f"write a name of at most {_KEY_LENGTH} characters, or give --ledger")
    if not is_name(row.get(id_name, ""), _KEY_LENGTH):
        yield column(row, id_name, f"write what tells it from the others of its ledger, at most {_KEY_LENGTH} characters")
    yield from wrong_event(row)
    if not KEY.fullmatch(row.get("market", "")):
        yield column(row, "market", "write a market key such as h2h, spreads or totals")
    if not is_name(row.get("outcome", "")):
        yield column(row, "outcome", "write the outcome's name as books have it: a team, Draw, Over or Under")
    if "description" in row and not is_name(row["description"]):
        yield column(row, "description", "write the player or team of a prop, or leave it empty")
    if "point" in row and not _POINT.fullmatch(row["point"]):
        yield column(row, "point", "write the outcome's handicap, or the total, such as -3.5, or leave it empty")
    then, known = time_of(row.get(made, "")), time_of(row.get("captured_at", ""))
    if then is None:
        yield column(row, made, f"write when it was {about}, such as 2025-10-12T16:30:00Z")
    if known is None:
        yield column(
            row, "captured_at", "write when this was written down, such as 2025-10-13T08:00:00Z, or give --captured-at"
        )
    elif then is not None and known < then:
        yield column(row, "captured_at", f"it is before {made}: write a later time")


def _wrong_bet(row: Row) -> Iterator[str]:
    yield from _wrong_in_both(row, "bet_id", "placed_at", "placed")
    if not KEY.fullmatch(row.get("bookmaker_key", "")):
        yield column(row, "bookmaker_key", "write the book's key, as in gold.bookmakers")
    if row.get("odds_format") not in _FORMATS:
        yield column(row, "odds_format", f"write {' or '.join(_FORMATS)}")
    price = row.get("price", "")
    is_american = row.get("odds_format") == "american"
    if not _PRICE.fullmatch(price) or (abs(Decimal(price)) < 100 if is_american else Decimal(price) <= 1):
        advice = "from 100 up or from -100 down" if is_american else "above 1"
        yield column(row, "price", f"write a price of its odds_format, {advice}")
    if not _STAKE.fullmatch(row.get("stake", "")) or Decimal(row["stake"]) == 0:
        yield column(row, "stake", "write what was staked, a plain number above 0")


def _wrong_prediction(row: Row) -> Iterator[str]:
    yield from _wrong_in_both(row, "prediction_id", "made_at", "made")
    if not _PROBABILITY.fullmatch(row.get("probability", "")) or Decimal(row["probability"]) == 0:
        yield column(row, "probability", "write a fraction between 0 and 1 such as 0.55, with at most 10 digits")


_EVENT: Final = ("event_id", "outcome")
_BOTH_OPTIONAL: Final = ("ledger", "sport_key", "description", "point", "captured_at")
BETS: Final = Table(
    "bets",
    "bet",
    ("bet_id", "placed_at", *_EVENT, "market", "bookmaker_key", "price", "odds_format", "stake"),
    _BOTH_OPTIONAL,
    _wrong_bet,
)
PREDICTIONS: Final = Table(
    "predictions",
    "prediction",
    ("prediction_id", "made_at", *_EVENT, "probability"),
    (*_BOTH_OPTIONAL, "market"),
    _wrong_prediction,
)
TABLES: Final[Mapping[str, Table]] = {table.things: table for table in (BETS, PREDICTIONS)}

_NUMBERS: Final = ("point", "price", "stake", "probability")
_TIMES: Final = ("placed_at", "made_at")
# The order of an item's members.
_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = {
    "bets": (
        "ledger", "bet_id", "placed_at", "event_id", "sport_key", "market", "description", "outcome", "point",
        "bookmaker_key", "price", "odds_format", "stake",
    ),
    "predictions": (
        "ledger", "prediction_id", "made_at", "event_id", "sport_key", "market", "description", "outcome", "point",
        "probability",
    ),
}  # fmt: skip


def import_ledger(
    things: str,
    files: Sequence[Path],
    out: Path,
    *,
    captured_at: str | None = None,
    sport: str | None = None,
    ledger: str | None = None,
    simulated: bool = False,
) -> CsvReport:
    """Write the bets or predictions of CSV files into a recording: one batch per capture time and ledger, one answer in it.

    The same files give the same bytes. Importing again changes nothing; other files add batches to the recording.

    Args:
        things: ``bets`` or ``predictions``.
        files: UTF-8 CSV files with a header that names the required columns of :data:`TABLES`, and any of the optional ones.
        out: the recording's folder: new, empty, or a recording.
        captured_at: ISO time at which rows without one count as received.
        sport: sport key of rows without one.
        ledger: name of the book of bets, or of the model, of rows without one.
        simulated: they are about events of a simulated market.

    Raises:
        UsageError: ``…_OPTION_INVALID``, or the folder holds something else.
        RecordingError: ``…_NOT_FOUND``, ``…_INVALID`` naming file, line, column and what to do; nothing is written.
        ConflictError: ``BATCH_CONFLICT``, the recording holds others of that ledger and time; nothing was written.
    """
    table = TABLES[things]
    defaults = defaults_of(table, captured_at=captured_at, sport=sport)
    if ledger is not None and not is_name(ledger.strip(), _KEY_LENGTH):
        raise UsageError(
            table.code("OPTION_INVALID"), f"--ledger cannot be {ledger!r:.200}.", f"Write at most {_KEY_LENGTH} characters."
        )
    defaults |= {"ledger": (ledger or "").strip()}
    if table is PREDICTIONS:
        defaults["market"] = "h2h"

    def differing(said: Entry, before: Entry) -> str:
        return f"{table.thing} {said.key[1]!r} of ledger {said.key[0]!r} says something else at {before.place}"

    rows, kept = read(table, files, defaults, lambda place, row: _entry(table, place, row), differing)
    return reported(table, out, files, rows, kept, _batches(table, kept, simulated), has_ledgers=True)


def _entry(table: Table, place: str, row: Row) -> Entry:
    item: dict[str, Any] = {name: row.get(name) or None for name in _MEMBERS[table.things]}
    for name in _NUMBERS:
        if item.get(name) is not None:
            # 1.50 and 1.5 are one number, and so are 0 and -0
            item[name] = (Decimal(item[name]) + 0).normalize()
    for name in _TIMES:
        if name in item:
            item[name] = iso(item[name])
    return Entry(place, iso(row["captured_at"]), (row["ledger"], row[table.required[0]]), item)


def _batches(table: Table, entries: Iterable[Entry], simulated: bool) -> list[Batch]:
    """One batch per capture time and ledger, in order of time."""
    answers: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        answers[entry.captured_at, entry.key[0]].append(entry)
    batches = []
    for (captured_at, ledger), said in sorted(answers.items()):
        at = from_iso(captured_at).astimezone(UTC)
        declared = {"ledger": ledger, **({"simulated": True} if simulated else {})}
        # sports are no part of it: what else a ledger says at one time is a conflict, and no other batch
        plan = PlanIdentity({"kind": "import", "endpoints": [table.things], "sports": [], "declared": declared})
        exchange = Exchange(
            place=0,
            attempt=1,
            request=ApiRequest.of(table.things, params={"ledger": ledger}),
            # it tells nothing of what is quoted, or listed
            coverage=Coverage(events=()),
            captured_at=at,
            status=200,
            body=_body(entry.document for entry in sorted(said, key=lambda each: each.key)),
        )
        batches.append(Batch(plan.batch_id(at), at, plan, "simulated" if simulated else "import", (exchange,)))
    return batches


def _body(items: Iterable[Mapping[str, Any]]) -> bytes:
    """A list of items as JSON; numbers digit by digit, as no float has them."""

    def member(name: str, value: Any) -> str:
        text = f"{value:f}" if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)
        return f'  "{name}": {text}'

    return (
        "[\n" + ",\n".join(" {\n" + ",\n".join(member(*each) for each in item.items()) + "\n }" for item in items) + "\n]"
    ).encode()
