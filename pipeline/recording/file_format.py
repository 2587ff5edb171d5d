"""What `recording.json`, the lists of seals, an index and a journal may say: each document as a frozen value, or one fault.

A recording may come from anyone, and what it says goes into file names, URLs and tables. So every field has a type, a range
and a length here, and every text is one that PostgreSQL can hold. (Own code and no pydantic: that would cost each command a
tenth of a second, and tells faults in several lines that name classes.)
"""

from __future__ import annotations

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.clock import from_iso, is_datable
from pipeline.errors import UsageError
from pipeline.odds_api.endpoints import RECORDED, nearest, parse_url, url
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import (
    FORMAT_VERSION,
    SOURCES,
    Coverage,
    Exchange,
    Failure,
    PlanIdentity,
)

PLAIN_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,199}")
_BATCH_ID: Final = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{12}", re.ASCII)
_DAY: Final = re.compile(r"\d{8}", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

# bronze has integer columns, and a body must fit into a field of PostgreSQL
_MAX_INTEGER: Final = 2**31 - 1
_MAX_BODY: Final = 1_000_000_000
# of keys, ids and names; they stand in indexes of the warehouse
_MAX_KEY: Final = 200
# of parameters, headers and failures: a request may list a few hundred ids
_MAX_TEXT: Final = 100_000
_MAX_DEPTH: Final = 32
# Options without which an answer cannot be read, and what the API answers to; to others it answers with an error.
_ANSWERED: Final = {"oddsFormat": ("american", "decimal"), "dateFormat": ("iso", "unix")}
_MAX_DIGITS: Final = 30


class BrokenDocument(ValueError):
    """A field that cannot be meant.

    Args:
        field: such as ``exchanges[0].coverage.books[2]``; empty for the whole document.
        why: what is wrong with it.
        code: of the error that a user sees.
    """

    def __init__(self, field: str, why: str, code: str = "RECORDING_INDEX_BROKEN") -> None:
        super().__init__(f"{field}: {why}" if field else why)
        self.code = code


class NewerFormat(Exception):
    """The document is of a format that this version does not know.

    Args:
        version: the format.
    """

    def __init__(self, version: int) -> None:
        super().__init__(str(version))
        self.version = version


@dataclass(frozen=True, slots=True)
class Head:
    """What `recording.json` says.

    Attributes:
        document: all of it.
        format: its format.
        name: the recording's.
        days: such as ``20241025``: each has a list of seals; none before format 2.
    """

    document: Mapping[str, Any]
    format: int
    name: str
    days: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BodyFile:
    """A body as an index names it.

    Attributes:
        file: its name in the batch's folder.
        sha256: of its bytes.
        size: in bytes.
    """

    file: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An exchange of an index.

    Attributes:
        field: where it stands.
        place, attempt: which exchange it is.
        body: the file of its body; None where none came.
        make: gives the exchange, from the bytes of its body.
    """

    field: str
    place: int
    attempt: int
    body: BodyFile | None
    make: Callable[[bytes | None], Exchange]


@dataclass(frozen=True, slots=True)
class Index:
    """What an `index.json` says.

    Attributes:
        document: all of it.
        format: its format.
        batch_id: which follows from time and plan.
        scheduled_at: the batch's time.
        plan: what was asked.
        source: one of ``SOURCES``.
        entries: in order of place and attempt.
    """

    document: Mapping[str, Any]
    format: int
    batch_id: str
    scheduled_at: dt.datetime
    plan: PlanIdentity
    source: str
    entries: tuple[Entry, ...]


def parse(data: bytes) -> Any:
    """The document of a file: strict JSON in UTF-8, of texts and numbers that PostgreSQL can hold.

    Raises:
        BrokenDocument: it is none.
        ValueError, RecursionError: it is no JSON.
    """
    document = json.loads(
        data.decode("utf-8"), object_pairs_hook=_pairs, parse_constant=_no_constant, parse_float=_float, parse_int=_int
    )
    _check_values(document, "", 0)
    return document


def head_of(document: Any) -> Head:
    """A `recording.json`.

    Raises:
        BrokenDocument: a field cannot be meant.
        NewerFormat: it is of a later version.
    """
    whole = _Field(document, "")
    version = _format(whole)
    name = whole["name"].text(_MAX_KEY)
    if "created_from" in whole.members():
        whole["created_from"].text(_MAX_TEXT, least=0)
    _tool(whole)
    days = tuple(day.text(8, _DAY) for day in whole["days"].items()) if version > 1 else ()
    if list(days) != sorted(set(days)):
        raise BrokenDocument("days", "they are not in order, each once")
    return Head(document, version, name, days)


def seals_of(document: Any, day: str) -> dict[str, str]:
    """A list of seals: of each batch of a day its seal.

    Raises:
        BrokenDocument: a field cannot be meant.
        NewerFormat: it is of a later version.
    """
    whole = _Field(document, "")
    if _format(whole) < 2:
        raise BrokenDocument("format", "there are no lists of seals before format 2")
    if whole["day"].text(8, _DAY) != day:
        raise BrokenDocument("day", f"it is the list of another day than {day}")
    seals = {}
    for batch_id, seal in whole["seals"].members().items():
        field = _Field(seal, f"seals.{batch_id}")
        if not (_BATCH_ID.fullmatch(batch_id) and batch_id.startswith(f"{day}T")):
            raise BrokenDocument(field.name, "this is no batch of that day")
        seals[batch_id] = field.text(64, _SHA256)
    return seals


def index_of(document: Any) -> Index:
    """An `index.json`.

    Raises:
        BrokenDocument: a field cannot be meant.
        NewerFormat: it is of a later version.
    """
    whole = _Field(document, "")
    version = _format(whole)
    plan = PlanIdentity(whole["plan"].members())
    scheduled_at = whole["scheduled_at"].moment()
    batch_id = whole["batch_id"].text(_MAX_KEY)
    try:
        check_identity(batch_id, scheduled_at, plan)
    except ValueError as error:
        raise BrokenDocument("batch_id", str(error)) from error
    source = whole["source"].text(_MAX_KEY)
    if source not in SOURCES:
        raise BrokenDocument("source", f"{source!r} is none of {', '.join(SOURCES)}")
    if "clock" in whole.members():
        whole["clock"].text(_MAX_KEY)
    _tool(whole)
    entries = tuple(map(_entry, whole["exchanges"].items()))
    if not entries:
        raise BrokenDocument("exchanges", "a batch has at least one")
    keys = [(entry.place, entry.attempt) for entry in entries]
    for before, entry, after in zip(keys, entries[1:], keys[1:], strict=False):
        if before == after:
            raise BrokenDocument(entry.field, f"place {entry.place} and attempt {entry.attempt} are there already")
        if before > after:
            raise BrokenDocument(entry.field, "the exchanges are not in order of place and attempt")
    return Index(document, version, batch_id, scheduled_at, plan, source, entries)


def entry_of(document: Any) -> Entry:
    """A line of a journal, which is an exchange as an index has it.

    Raises:
        BrokenDocument: a field cannot be meant.
    """
    return _entry(_Field(document, ""))


def check_identity(batch_id: str, scheduled_at: dt.datetime, plan: PlanIdentity) -> None:
    """See whether a batch's id follows from its time and plan.

    Raises:
        ValueError: it does not, or the time has fractions of a second.
    """
    if batch_id != plan.batch_id(scheduled_at):
        raise ValueError(f"batch id {batch_id!r} does not follow from its plan and time ({plan.batch_id(scheduled_at)!r})")
    if scheduled_at.microsecond:
        raise ValueError(f"the time of batch {batch_id!r} has fractions of a second")


# --- fields ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Field:
    """A value, and where it stands."""

    value: Any
    name: str

    def __getitem__(self, key: str) -> _Field:
        name = f"{self.name}.{key}" if self.name else key
        members = self.members()
        if key not in members:
            raise BrokenDocument(name, "it is missing")
        return _Field(members[key], name)

    def members(self) -> dict[str, Any]:
        if not isinstance(self.value, dict):
            raise self.broken("is no object")
        return self.value

    def items(self) -> Iterator[_Field]:
        if not isinstance(self.value, list):
            raise self.broken("is no list")
        return (_Field(value, f"{self.name}[{number}]") for number, value in enumerate(self.value))

    def text(self, limit: int, pattern: re.Pattern[str] | None = None, least: int = 1) -> str:
        if not isinstance(self.value, str):
            raise self.broken("is no text")
        if not least <= len(self.value) <= limit:
            raise self.broken(f"has {len(self.value)} characters, and not {least} to {limit}")
        if pattern is not None and not pattern.fullmatch(self.value):
            raise self.broken("has another form than it must")
        return self.value

    def number(self, least: int, most: int) -> int:
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.broken("is no whole number")
        if not least <= self.value <= most:
            raise self.broken(f"is not between {least} and {most}")
        return self.value

    def moment(self) -> dt.datetime:
        try:
            moment = from_iso(self.text(_MAX_KEY))
        except BrokenDocument:
            raise
        except ValueError as error:
            raise self.broken("is no time with an offset") from error
        if not is_datable(moment):
            raise self.broken("is not between the years 1990 and 2100")
        return moment

    def keys(self) -> tuple[str, ...]:
        """A list of keys or ids, each once."""
        found: dict[str, None] = {}
        for item in self.items():
            key = item.text(_MAX_KEY)
            if key in found:
                raise item.broken("is there already")
            found[key] = None
        return tuple(found)

    def texts(self) -> dict[str, str]:
        """An object of texts."""
        for key in self.members():
            if len(key) > _MAX_KEY:
                raise self.broken("has a name that is too long")
        return {key: self[key].text(_MAX_TEXT, least=0) for key in self.members()}

    def broken(self, why: str) -> BrokenDocument:
        shown = ascii(self.value)
        return BrokenDocument(self.name, f"{shown if len(shown) <= 60 else f'{shown[:57]}...'} {why}")


def _entry(entry: _Field) -> Entry:
    place, attempt = entry["place"].number(0, _MAX_INTEGER), entry["attempt"].number(1, _MAX_INTEGER)
    request = _request(entry["request"])
    coverage = _coverage(entry["coverage"])
    captured_at = entry["captured_at"].moment()
    status = None if entry["status"].value is None else entry["status"].number(100, 999)
    headers = _headers(entry["headers"])
    body = None if entry["body"].value is None else _body(entry["body"])
    failure = None if entry["failure"].value is None else _failure(entry["failure"])
    if status is None and (failure is None or body is not None or headers):
        raise entry["status"].broken("goes with a failure, and with neither body nor headers")
    if status == 200 and body is None:
        raise entry["body"].broken("is no body, which there is with status 200")
    if (status == 200) != (failure is None):
        raise entry["failure"].broken(f"does not go with status {status}: an answer has none, and all else has one")
    if status == 200:
        for name, known in _ANSWERED.items():
            if request.param(name, known[0]) not in known:
                raise entry["request"]["params"][name].broken(f"has no answer; known are {' and '.join(known)}")

    def make(content: bytes | None) -> Exchange:
        return Exchange(place, attempt, request, coverage, captured_at, status, headers, content, failure)

    return Entry(entry.name, place, attempt, body, make)


def _request(asked: _Field) -> ApiRequest:
    name = asked["endpoint"].text(_MAX_KEY)
    if name not in RECORDED:
        why = f"{name!r} is no known endpoint; the nearest is {nearest(name, RECORDED)!r}"
        raise BrokenDocument(asked["endpoint"].name, why, "RECORDING_UNKNOWN_ENDPOINT")
    sport, event_id = (
        None if asked[key].value is None else asked[key].text(_MAX_KEY, least=0) for key in ("sport", "event_id")
    )
    params = asked["params"].texts()
    try:
        request = ApiRequest.of(name, sport=sport, event_id=event_id, params=params)
        again = parse_url(url("http://api", request), RECORDED)
    except (UsageError, ValueError) as error:
        raise BrokenDocument(asked.name, getattr(error, "message", str(error))) from error
    if again != request:
        raise BrokenDocument(asked.name, "it cannot be asked: its URL would say something else")
    return request


def _coverage(covered: _Field) -> Coverage:
    sport, events = covered["sport"], covered["events"]
    begin, end = (None if each.value is None else each.moment() for each in (covered["commence_from"], covered["commence_to"]))
    if begin is not None and end is not None and end < begin:
        raise covered["commence_to"].broken("is before the window begins")
    return Coverage(
        sport=None if sport.value is None else sport.text(_MAX_KEY),
        events=None if events.value is None else events.keys(),
        markets=covered["markets"].keys(),
        books=covered["books"].keys(),
        commence_from=begin,
        commence_to=end,
    )


def _headers(field: _Field) -> tuple[tuple[str, str], ...]:
    headers = field.texts()
    for name in headers:
        if not name or name != name.lower():
            raise field[name].broken("has a name that is not in lower case")
    return tuple(sorted(headers.items()))


def _body(field: _Field) -> BodyFile:
    name = field["file"].text(_MAX_KEY, least=0)
    # no name leads out of the folder
    if not PLAIN_NAME.fullmatch(name):
        raise field["file"].broken("is not a plain file name of its folder")
    return BodyFile(name, field["sha256"].text(64, _SHA256), field["bytes"].number(0, _MAX_BODY))


def _failure(field: _Field) -> Failure:
    return Failure(field["code"].text(100, _CODE), field["message"].text(_MAX_TEXT, least=0))


def _format(whole: _Field) -> int:
    version = whole["format"].number(1, _MAX_INTEGER)
    if version > FORMAT_VERSION:
        raise NewerFormat(version)
    return version


def _tool(whole: _Field) -> None:
    if "tool" in whole.members():
        whole["tool"].texts()


# --- JSON ------------------------------------------------------------------------------------------------------------


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise BrokenDocument(ascii(twice)[1:-1][:_MAX_KEY], "it is there twice in one object")
    return found


def _no_constant(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or len(text) > _MAX_DIGITS:
        raise ValueError(f"the number {text[:_MAX_DIGITS]} is out of range")
    return number


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError(f"the number {text[:_MAX_DIGITS]}... is out of range")
    return int(text)


def _check_values(value: Any, name: str, depth: int) -> None:
    """See that no text holds what PostgreSQL cannot, and that nothing is nested too deeply."""
    if isinstance(value, str):
        if "\0" in value or _SURROGATE.search(value):
            raise _Field(value, name).broken("holds a NUL or half a surrogate pair, which no table can")
    elif isinstance(value, dict | list):
        if depth == _MAX_DEPTH:
            raise BrokenDocument(name, f"it is nested more than {_MAX_DEPTH} deep")
        if isinstance(value, list):
            for number, item in enumerate(value):
                _check_values(item, f"{name}[{number}]", depth + 1)
        else:
            for key, item in value.items():
                shown = ascii(key)[1:-1] if "\0" in key or _SURROGATE.search(key) else key
                _check_values(key, f"{name}.{shown}" if name else shown, depth + 1)
                _check_values(item, f"{name}.{shown}" if name else shown, depth + 1)
