"""The first reading: what the files of a source say, and the recording that they make."""

from __future__ import annotations

import datetime as dt
import hashlib
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pipeline.clock import to_iso
from pipeline.odds_api.catalogue import LAY_MARKETS, books_of
from pipeline.odds_api.endpoints import ENDPOINTS, Endpoint
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.imports.asked import UPCOMING, Asked, path_matches
from pipeline.recording.imports.families import Families, Shown, own_format
from pipeline.recording.imports.import_options import FOLDERS, ImportOptions
from pipeline.recording.imports.look import EVENT_ID, NOTHING
from pipeline.recording.imports.report import Counts, Family, GuessedCoverage, ImportReport, Note, Refused
from pipeline.recording.imports.times import Time, time_in, time_in_folders, time_of, without_times
from pipeline.recording.imports.unwrapping import Missing, Unwrapped, answer_of, value_at
from pipeline.recording.model import Coverage, Exchange, PlanIdentity
from pipeline.recording.source_files import SourceFile

_UNKNOWN_ENDPOINT: Final = "unknown"
_TEXTS: Final = (".md", ".txt")
_NAMED: Final = 3
_ORDER: Final = {name: index for index, name in enumerate(ENDPOINTS)}
_NO_ENDPOINT: Final = "its endpoint is unknown (name it with --endpoint)"
# the API serves no older quote; one that is older in its answer is not fresh, and counts in no best price
_OLDEST_SERVED: Final = dt.timedelta(minutes=15)
_NO_TIME: Final = (
    "it has no capture time, in its name, its folders or an envelope (see --time-from, --name-pattern and --captured-at)"
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a file that can be placed.

    Attributes:
        index: its number in the order of the source; an archive may hold a path twice.
        endpoint: empty where only its family can tell.
        shapes: endpoints whose answers have its shape.
        as_is: whether the file's own bytes are stored.
        family: its path without times.
        sport: its own; None where it shows none.
        odds_format, sure: as of :func:`~pipeline.recording.imports.families.own_format`.
    """

    index: int
    path: str
    file: str
    endpoint: str
    shapes: frozenset[str]
    at: dt.datetime
    sha256: str
    size: int
    as_is: bool
    family: str
    sport: str | None
    event_id: str | None
    odds_format: str | None
    sure: bool
    unix_dates: bool

    @property
    def order(self) -> tuple[int, str, str, int]:
        return _ORDER[self.endpoint], self.path.rpartition("/")[2], self.path, self.index


@dataclass(frozen=True, slots=True)
class Copy:
    """An exchange as planned: all but its bytes."""

    index: int
    path: str
    sha256: str
    as_is: bool
    place: int
    request: ApiRequest
    coverage: Coverage
    at: dt.datetime
    size: int

    def exchange(self, body: bytes) -> Exchange:
        """The exchange with its bytes."""
        return Exchange(self.place, 1, self.request, self.coverage, self.at, 200, (), body)


@dataclass(frozen=True, slots=True)
class PlannedBatch:
    """A batch as planned: the files of one second."""

    batch_id: str
    at: dt.datetime
    copies: tuple[Copy, ...]


class _Notes:
    """What is to be said of many files, a line for each kind."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], list[str]] = {}
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, code: str, message: str, path: str) -> None:
        names = self._found.setdefault((code, message), [])
        self._counts[code, message] += 1
        if len(names) < _NAMED:
            names.append(path)

    def all(self) -> tuple[Note, ...]:
        return tuple(
            Note(code, message, self._counts[code, message], tuple(names))
            for (code, message), names in sorted(self._found.items())
        )


class Survey:
    """Collects what the files of a source say, and plans the recording from it.

    Args:
        options: what is declared.
        folder: the name of the folder in which the outermost files lie, or None.
    """

    def __init__(self, options: ImportOptions, folder: str | None) -> None:
        self._options = options
        self._folder = folder
        self.files = 0
        self._families = Families()
        self._seen: list[_Seen] = []
        self._refused: list[Refused] = []
        self._endpoint_files: Counter[str] = Counter()
        self._endpoint_refused: Counter[str] = Counter()
        self._times: Counter[str] = Counter()
        self._notes = _Notes()
        self._used_globs: set[str] = set()

    # --- files -------------------------------------------------------------------------------------------------------

    def take(self, file: SourceFile) -> None:
        """Take in one file."""
        self.files += 1
        name, is_declared = self._endpoint_of(file.file)
        if file.file.lower().endswith(_TEXTS):
            self._refuse(file.path, name, "is a text, no answer")
        elif file.body is None:
            self._refuse(file.path, name, file.problem or "cannot be read")
        else:
            self._take(file, answer_of(file, file.body, self._options.answer_at), name, is_declared)

    def _take(self, file: SourceFile, answer: Unwrapped, name: str | None, is_declared: bool) -> None:
        look = answer.look
        if name in ("odds", "events", "event_odds") and look.is_envelope:
            name = f"historical_{name}"
        reasons = []
        if answer.problem is not None:
            reasons.append(answer.problem)
        elif look.error is not None:
            reasons.append(f"is the API's error {look.error}, no answer")
        elif look.answer_at is not None:
            reasons.append(f"is a wrapper, and the answer stands at {look.answer_at} in it (name it with --answer-at)")
        elif is_declared and look.shapes and name not in look.shapes:
            shapes = " or ".join(sorted(look.shapes, key=_ORDER.__getitem__)[:2])
            reasons.append(f"has the shape of {shapes}, and not of {name} as --endpoint says")
        elif name is None and not look.shapes:
            reasons.append(_NO_ENDPOINT)
        if name is None and len(look.shapes) == 1 and not reasons:
            name = min(look.shapes)
            self._notes.add("ENDPOINT_GUESSED", f"by the shape of the answer, {name}", file.path)
        found = self._time(file, answer, name)
        if found is None and not (reasons and reasons != [_NO_ENDPOINT]):
            reasons.append(_NO_TIME)
        if reasons or found is None:
            self._refuse(file.path, name, "; ".join(reasons))
        else:
            self._keep(file, answer, name or "", found)

    def _keep(self, file: SourceFile, answer: Unwrapped, name: str, found: tuple[str, Time]) -> None:
        origin, time = found
        look = answer.look
        self._times[origin] += 1
        if not time.has_zone:
            self._notes.add("TIME_WITHOUT_ZONE", f"the time in the {origin} names no zone, and is taken for UTC", file.path)
        if look.read_at is not None and time.at - look.read_at > _OLDEST_SERVED:
            minutes = _OLDEST_SERVED // dt.timedelta(minutes=1)
            why = f"no quote was read in the {minutes} minutes before its time: is that when the answer came, and in UTC?"
            self._notes.add("READ_LONG_BEFORE", why, file.path)
        if answer.taken_from:
            self._notes.add("ANSWER_TAKEN_OUT", f"of {', '.join(answer.taken_from)}", file.path)
        pattern = self._options.name_pattern
        alone = self._options.time_from == "folder"
        family = sys.intern(without_times(file.file, alone=alone) if pattern is None else pattern.without_times(file.file))
        sport = self._families.add(name, family, look) if name else None if len(look.sports) != 1 else min(look.sports)
        stem = file.file.rpartition("/")[2].partition(".")[0]
        event_id = look.event_id or (stem if EVENT_ID.fullmatch(stem) else None)
        odds_format, sure = own_format(look.prices)
        as_is = not answer.taken_from
        self._seen.append(
            _Seen(
                self.files, file.path, file.file, name, look.shapes, time.at, hashlib.sha256(answer.body).hexdigest(),
                len(answer.body), as_is, family, sport, event_id, odds_format, sure, look.unix_dates,
            )
        )  # fmt: skip

    def _refuse(self, path: str, name: str | None, reason: str) -> None:
        self._endpoint_refused[name or _UNKNOWN_ENDPOINT] += 1
        self._refused.append(Refused(path, reason))

    def _endpoint_of(self, path: str) -> tuple[str | None, bool]:
        """A declared glob, the nearest folder, the declared name, the folder that the source itself is; whether declared."""
        for glob, name in self._options.globs:
            if path_matches(path, glob):
                self._used_globs.add(glob)
                return name, True
        for folder in reversed(path.split("/")[:-1]):
            if folder.lower() in FOLDERS:
                return FOLDERS[folder.lower()], False
        if self._options.endpoint is not None:
            return self._options.endpoint, True
        return FOLDERS.get((self._folder or "").lower()), False

    def _time(self, file: SourceFile, answer: Unwrapped, name: str | None) -> tuple[str, Time] | None:
        """Where the capture time stands, and the time."""
        look, options = answer.look, self._options
        if look.envelope_at is not None and (name is None or ENDPOINTS[name].is_historical):
            return "envelope", Time(look.envelope_at, True)
        found: Time | None = None
        origin = options.time_from or "name"
        if origin == "body":
            try:
                found = None if answer.whole is NOTHING else time_of(value_at(answer.whole, options.time_pointer))
            except Missing:
                found = None
        elif origin == "mtime":
            found = None if file.modified_at is None else Time(file.modified_at, True)
        elif origin == "folder":
            found = time_in_folders(file.file, alone=True)
        elif options.name_pattern is not None:
            found = options.name_pattern.time(file.file)
        else:
            found = time_in(file.file.rpartition("/")[2])
            if found is None and options.time_from is None and (found := time_in_folders(file.file)) is not None:
                origin = "folder"
        if found is not None:
            return origin, found
        return None if options.captured_at is None else ("--captured-at", Time(options.captured_at, True))

    # --- the plan ----------------------------------------------------------------------------------------------------

    def plan(self) -> Plan:
        """The recording that the files make."""
        by_second: defaultdict[dt.datetime, list[_Seen]] = defaultdict(list)
        for seen in self._placed():
            by_second[seen.at.replace(microsecond=0)].append(seen)
        batches: list[tuple[dt.datetime, list[Copy]]] = []
        duplicates: Counter[str] = Counter()
        formats: defaultdict[str, Counter[str]] = defaultdict(Counter)
        guesses = _Guesses(self._families)
        for at, members in sorted(by_second.items(), key=lambda item: item[0]):
            copies: list[Copy] = []
            known: set[tuple[ApiRequest, str, dt.datetime]] = set()
            for seen in sorted(members, key=lambda member: member.order):
                asked = self._asked(seen, guesses)
                if asked is None:
                    self._refuse(seen.path, seen.endpoint, "its prices fit american and decimal odds alike (see --odds-format)")
                    continue
                request, coverage = asked
                self._endpoint_files[seen.endpoint] += 1
                if (request, seen.sha256, seen.at) in known:
                    duplicates[seen.endpoint] += 1
                    continue
                known.add((request, seen.sha256, seen.at))
                copies.append(
                    Copy(seen.index, seen.path, seen.sha256, seen.as_is, len(copies), request, coverage, seen.at, seen.size)
                )
                if (odds_format := request.param("oddsFormat")) is not None:
                    formats[f"{request.endpoint} {request.sport}"][odds_format] += 1
            if copies:
                batches.append((at, copies))
        requests = [copy.request for _, copies in batches for copy in copies]
        sports = sorted({request.sport for request in requests if request.sport is not None})
        identity = PlanIdentity(
            {
                "kind": "import",
                "endpoints": sorted({request.endpoint for request in requests}),
                "sports": sports,
                "declared": self._options.declared,
            }
        )
        counts = {
            name: Counts(
                self._endpoint_files[name] + self._endpoint_refused[name],
                self._endpoint_files[name] - duplicates[name],
                duplicates[name],
                self._endpoint_refused[name],
            )
            for name in (*ENDPOINTS, _UNKNOWN_ENDPOINT)
            if self._endpoint_files[name] + self._endpoint_refused[name]
        }
        return Plan(
            identity=identity,
            batches=tuple(PlannedBatch(identity.batch_id(at), at, tuple(copies)) for at, copies in batches),
            counts=counts,
            refused=tuple(sorted(self._refused, key=lambda refused: (refused.path, refused.reason))),
            sports=tuple(sports),
            formats={name: dict(sorted(found.items())) for name, found in sorted(formats.items())},
            times=dict(sorted(self._times.items())),
            notes=self._notes.all(),
            guessed=guesses.all(),
            unmatched=tuple(glob for glob, _ in self._options.globs if glob not in self._used_globs),
            unmatched_asked=tuple(", ".join(asked.files) for asked in self._options.asked if asked not in guesses.used),
        )

    def _placed(self) -> list[_Seen]:
        """The files whose endpoint is known, or told by their family."""
        placed = []
        for seen in self._seen:
            if seen.endpoint:
                placed.append(seen)
            elif (name := self._families.endpoint(seen.family, seen.shapes)) is not None:
                self._notes.add("ENDPOINT_GUESSED", f"by other files of the same name, {name}", seen.path)
                placed.append(replace(seen, endpoint=name))
            else:
                self._refuse(seen.path, None, _NO_ENDPOINT)
        return placed

    def _asked(self, seen: _Seen, guesses: _Guesses) -> tuple[ApiRequest, Coverage] | None:
        """The request whose answer the file is taken for, and what it covered; None where its odds format is open."""
        row, options = ENDPOINTS[seen.endpoint], self._options
        asked = options.asked_of(seen.file)
        if asked is not None:
            guesses.used.add(asked)
        sport = self._families.sport(row, seen.family, seen.sport)
        if row.has_sport:
            sport = (asked.sport if asked is not None else None) or options.sport or sport
        shown = self._families.shown(row.name, seen.family, sport)
        params = {"dateFormat": "unix" if seen.unix_dates else "iso"} if "dateFormat" in row.params else {}
        if "oddsFormat" in row.params:
            declared = (asked.odds_format if asked is not None else None) or options.odds_format
            odds_format = declared or self._odds_format(seen, shown)
            if odds_format is None:
                return None
            params["oddsFormat"] = odds_format
        markets = _markets((asked.markets if asked is not None else ()) or options.markets, shown) if row.has_markets else ()
        books: tuple[str, ...] = ()
        if row.has_books:
            has_own = asked is not None and (asked.books or asked.regions)
            declared_books = asked.books if asked is not None and has_own else options.books
            regions = asked.regions if asked is not None and has_own else options.regions
            books = tuple(sorted({*(declared_books or shown.books), *books_of(regions)}))
            if regions:
                params["regions"] = ",".join(sorted(set(regions)))
            elif books:
                params["bookmakers"] = ",".join(books)
        if markets:
            params["markets"] = ",".join(markets)
        if row.is_historical:
            params["date"] = to_iso(seen.at)
        events = self._events(row, seen, asked, sport, guesses)
        begin, end = (None, None) if asked is None else (asked.commence_from, asked.commence_to)
        if sport == UPCOMING or "commenceTimeFrom" not in row.params:
            begin = end = None
        for name, bound in (("commenceTimeFrom", begin), ("commenceTimeTo", end)):
            if bound is not None:
                params[name] = to_iso(bound)
        if "eventIds" in row.params and asked is not None and asked.events:
            params["eventIds"] = ",".join(asked.events)
        event_id = _event_id(seen, asked) if row.has_event else None
        request = ApiRequest.of(row.name, sport=sport, event_id=event_id, params=params)
        return request, Coverage(None if sport == UPCOMING else sport, events, markets, books, begin, end)

    def _events(
        self, row: Endpoint, seen: _Seen, asked: Asked | None, sport: str | None, guesses: _Guesses
    ) -> tuple[str, ...] | None:
        """The events that the file had asked for; empty for none but those that it shows, None for all of the sport."""
        if row.has_event:
            event_id = _event_id(seen, asked)
            return () if event_id is None else (event_id,)
        if asked is not None and asked.events and "eventIds" in row.params:
            return asked.events
        if asked is not None and asked.is_certain:
            return () if sport == UPCOMING else None
        is_guess = guesses.add(row, seen, sport)
        return () if is_guess or sport == UPCOMING else None

    def _odds_format(self, seen: _Seen, shown: Shown) -> str | None:
        """The format of a file's prices; None where it is open."""
        if seen.sure or seen.odds_format is None:
            return seen.odds_format or shown.odds_format or "decimal"
        if seen.odds_format in ("either", "neither"):
            if shown.odds_format is not None:
                why = f"the prices fit both formats, and other files of the same name have {shown.odds_format} odds"
                self._notes.add("ODDS_FORMAT_OF_FAMILY", why, seen.path)
                return shown.odds_format
            if seen.odds_format == "neither":
                return None
            # no market has decimal odds of 100 and more on all of its sides
            why = "the prices are all whole numbers from 100 on, and are taken for american odds (see --odds-format)"
            self._notes.add("ODDS_FORMAT_GUESSED", why, seen.path)
            return "american"
        why = f"some prices fit no {seen.odds_format} odds, and more fit no other (see --odds-format)"
        self._notes.add("ODDS_FORMAT_GUESSED", why, seen.path)
        return seen.odds_format


def _event_id(seen: _Seen, asked: Asked | None) -> str | None:
    if seen.event_id is None and asked is not None and len(asked.events) == 1:
        return asked.events[0]
    return seen.event_id


def _markets(declared: tuple[str, ...], shown: Shown) -> tuple[str, ...]:
    """The markets asked for: those declared, with the lay markets that came by themselves, else those shown."""
    lay = {key for back, key in LAY_MARKETS.items() if back in declared and key in shown.markets}
    return tuple(sorted({*declared, *lay} if declared else shown.markets))


class _Guesses:
    """The endpoints and sports of which cannot be told what was asked for."""

    def __init__(self, families: Families) -> None:
        self.used: set[Asked] = set()
        self._families = families
        self._found: defaultdict[tuple[int, str, str], Counter[str]] = defaultdict(Counter)

    def add(self, row: Endpoint, seen: _Seen, sport: str | None) -> bool:
        """Whether the coverage of a file can only be guessed; it is remembered then."""
        why = self._families.doubt(row, seen.family, sport, seen.sport)
        if why is None:
            return False
        self._found[_ORDER[row.name], sport or "", why][seen.family] += 1
        return True

    def all(self) -> tuple[GuessedCoverage, ...]:
        """All of them, in the order of the endpoint table."""
        names = tuple(ENDPOINTS)
        return tuple(
            GuessedCoverage(
                names[order],
                sport,
                why,
                tuple(self._family(names[order], sport, name, files) for name, files in sorted(found.items())),
            )
            for (order, sport, why), found in sorted(self._found.items())
        )

    def _family(self, endpoint: str, sport: str, name: str, files: int) -> Family:
        shown = self._families.shown(endpoint, name, sport)
        return Family(name, files, tuple(sorted(shown.markets)), tuple(sorted(shown.books)))


@dataclass(frozen=True, slots=True)
class Plan:
    """The recording to be."""

    identity: PlanIdentity
    batches: tuple[PlannedBatch, ...]
    counts: Mapping[str, Counts]
    refused: tuple[Refused, ...]
    sports: tuple[str, ...]
    formats: Mapping[str, Mapping[str, int]]
    times: Mapping[str, int]
    notes: tuple[Note, ...]
    guessed: tuple[GuessedCoverage, ...]
    unmatched: tuple[str, ...]
    unmatched_asked: tuple[str, ...]

    def report(self, out: str, batches_written: int) -> ImportReport:
        """What is told of it."""
        return ImportReport(
            out=out,
            total=Counts(
                sum(count.files for count in self.counts.values()),
                sum(len(batch.copies) for batch in self.batches),
                sum(count.duplicates for count in self.counts.values()),
                len(self.refused),
            ),
            by_endpoint=self.counts,
            refused=self.refused,
            batches=len(self.batches),
            batches_written=batches_written,
            body_bytes=sum(copy.size for batch in self.batches for copy in batch.copies),
            first_at=self.batches[0].at if self.batches else None,
            last_at=self.batches[-1].at if self.batches else None,
            sports=self.sports,
            odds_formats=self.formats,
            times=self.times,
            notes=self.notes,
            guessed=self.guessed,
            unmatched_globs=self.unmatched,
            unmatched_asked=self.unmatched_asked,
        )
