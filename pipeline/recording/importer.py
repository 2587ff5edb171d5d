"""Turn answers that people already have into a recording.

The source is read twice, one file in memory at a time: first to learn each file's time, endpoint and sport and what the
recording ever shows, then to copy the bytes. Nothing is judged here: every file with a time and an endpoint is kept byte
for byte, even one that is no JSON. What cannot be placed is refused by name.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, Final

from pipeline.clock import UTC, to_iso
from pipeline.errors import ConflictError, RecordingError, SetupError, UsageError
from pipeline.odds_api.catalogue import books_of
from pipeline.odds_api.endpoints import ENDPOINTS, Endpoint, endpoint
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity
from pipeline.recording.sources import Source, SourceFile
from pipeline.recording.store import RecordingWriter

UNKNOWN: Final = "unknown"
_UPCOMING: Final = "upcoming"
_FORMATS: Final = ("american", "decimal")
_TEXTS: Final = (".md", ".txt")
# A larger file is kept all the same, but nothing is learnt from it: parsed, it would not fit into memory.
_MAX_LOOK_BYTES: Final = 32 * 1024 * 1024
_MAX_SPOOL_BYTES: Final = 64 * 1024 * 1024
_TIME = re.compile(r"(?<!\d)([12]\d{3})-?(\d\d)-?(\d\d)T(\d\d)[:-]?(\d\d)[:-]?(\d\d)Z", re.ASCII)
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_KEY = re.compile(r"[a-z0-9_]{1,120}")
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
_FOLDERS: Final = {folder: row.name for row in ENDPOINTS.values() for folder in (row.name, *row.folders)}
_ORDER: Final = {name: index for index, name in enumerate(ENDPOINTS)}

# Files read so far, and how many readings there will be: two of each file. None until an archive was read once.
Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the user declares about the files.

    Attributes:
        endpoint: the endpoint of files that no glob and no folder names one for.
        globs: (glob, endpoint); the first that matches a path inside the source, or the end of one, wins over folders.
        sport: the sport key that was asked for in every answer; else the answers' own.
        captured_at: the time of files that have none; whole seconds.
        odds_format: ``american`` or ``decimal``; else inferred.
        markets: the market keys that were asked for; else those that the answers show.
        books: the bookmaker keys that were asked for; else those that the answers show.
        regions: the regions that were asked for: covers their books and those that the answers show.
        simulated: the answers are made up. Nothing in them tells, so what is not declared is taken for The Odds API's.
    """

    endpoint: str | None = None
    globs: tuple[tuple[str, str], ...] = ()
    sport: str | None = None
    captured_at: dt.datetime | None = None
    odds_format: str | None = None
    markets: tuple[str, ...] = ()
    books: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    simulated: bool = False

    @classmethod
    def parse(
        cls,
        *,
        endpoints: Sequence[str] = (),
        sport: str | None = None,
        captured_at: str | None = None,
        odds_format: str | None = None,
        markets: str | None = None,
        books: str | None = None,
        regions: str | None = None,
        simulated: bool = False,
    ) -> ImportOptions:
        """The options from the texts of a command line.

        Args:
            endpoints: ``NAME`` (once) or ``GLOB=NAME``, of endpoints or of their folder names.
            sport: a sport key.
            captured_at: ``2025-10-09T00:42:48Z`` or ``20251009T004248Z``.
            odds_format: ``american`` or ``decimal``.
            markets: market keys, comma separated.
            books: bookmaker keys, comma separated.
            regions: regions, comma separated.
            simulated: whether the answers are made up.

        Raises:
            UsageError: ``UNKNOWN_ENDPOINT``, ``UNKNOWN_REGION``, or ``IMPORT_OPTION_INVALID`` naming the option.
        """
        names = [text for text in endpoints if "=" not in text]
        if len(names) > 1:
            raise _invalid("--endpoint", ", ".join(names), "Give one NAME, and GLOB=NAME for the files that differ.")
        globs = [text.rpartition("=") for text in endpoints if "=" in text]
        for glob, _, name in globs:
            if not glob or not name:
                raise _invalid("--endpoint", f"{glob}={name}", "Write GLOB=NAME, such as 'scores_*.json=scores'.")
        at = None
        if captured_at is not None and (at := _time_in(captured_at, whole=True)) is None:
            raise _invalid("--captured-at", captured_at, "Write a UTC time such as 2025-10-09T00:42:48Z.")
        if odds_format is not None and odds_format not in _FORMATS:
            raise _invalid("--odds-format", odds_format, f"Choose one of {', '.join(_FORMATS)}.")
        if sport is not None and not _KEY.fullmatch(sport):
            raise _invalid("--sport", sport, "Write a sport key such as icehockey_nhl.")
        given = {"--markets": markets, "--books": books, "--regions": regions}
        lists = {option: _keys(option, text) for option, text in given.items()}
        if lists["--books"] and lists["--regions"]:
            raise _invalid("--regions", regions or "", "Declare the books or the regions, not both.")
        books_of(lists["--regions"])
        return cls(
            endpoint=_endpoint_name(names[0]) if names else None,
            globs=tuple((glob, _endpoint_name(name)) for glob, _, name in globs),
            sport=sport,
            captured_at=at,
            odds_format=odds_format,
            markets=lists["--markets"],
            books=lists["--books"],
            regions=lists["--regions"],
            simulated=simulated,
        )

    @property
    def declared(self) -> dict[str, Any]:
        """The declared parameters, as they enter the plan's identity; nothing that was not declared."""
        given = {
            "sport": self.sport,
            "oddsFormat": self.odds_format,
            "markets": sorted(set(self.markets)),
            "bookmakers": sorted(set(self.books)),
            "regions": sorted(set(self.regions)),
            "simulated": self.simulated,
        }
        return {name: value for name, value in given.items() if value}


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that is not in the recording, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Counts:
    """``files`` = ``exchanges`` + ``duplicates`` + ``refused``."""

    files: int = 0
    exchanges: int = 0
    duplicates: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of every file.

    Attributes:
        total: over all files.
        by_endpoint: the same per endpoint, in the order of the endpoint table; ``unknown`` comes last.
        refused: by path.
        batches: batches of the recording.
        batches_written: those that were not there before.
        body_bytes: size of all bodies.
        first_at: time of the first batch, or None.
        last_at: time of the last batch, or None.
        sports: sport keys of the requests, sorted.
        odds_formats: ``endpoint sport`` → the odds format that its prices are read in.
        unmatched_globs: declared globs that no file matched.
    """

    total: Counts
    by_endpoint: Mapping[str, Counts]
    refused: tuple[Refused, ...]
    batches: int
    batches_written: int
    body_bytes: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    sports: tuple[str, ...]
    odds_formats: Mapping[str, str]
    unmatched_globs: tuple[str, ...]


def import_recording(source: Path, out: Path, options: ImportOptions, progress: Progress | None = None) -> ImportReport:
    """Import a folder, a file or a tar archive of answers into a recording.

    Files with one time form one batch. The same bytes as answer of the same request at the same time are a duplicate;
    at another time they are another observation. Importing again changes nothing, and completes what was interrupted.
    Where no file can be placed nothing is written.

    Args:
        source: a folder, a JSON file, or a ``.tar``, ``.tar.xz``, ``.tar.gz`` or ``.tar.bz2`` archive.
        out: the recording's folder: new, empty, or holding (part of) the same recording.
        options: what is declared.
        progress: called after each file that was read.

    Raises:
        RecordingError: ``IMPORT_SOURCE_NOT_FOUND``, ``IMPORT_SOURCE_EMPTY``, ``IMPORT_SOURCE_BROKEN``,
            ``IMPORT_SOURCE_CHANGED`` (while it was read), or what is in ``out`` is broken.
        UsageError: ``IMPORT_SOURCE_IS_RECORDING``, ``IMPORT_OUT_OVERLAPS``, ``RECORDING_FOLDER_IN_USE``.
        ConflictError: ``BATCH_CONFLICT`` or ``IMPORT_OUT_HOLDS_OTHER``: ``out`` holds other content. Nothing was changed.
        SetupError: ``DISK_FULL`` or ``RECORDING_NOT_WRITABLE``; batches that were sealed before stay.
    """
    opened = Source(source)
    _check_places(source, out)
    survey = _Survey(options, opened.folder)
    total = opened.total
    for count, file in enumerate(opened.files(), start=1):
        survey.take(file)
        if progress is not None:
            progress(count, None if total is None else 2 * total)
    if not survey.files:
        raise RecordingError("IMPORT_SOURCE_EMPTY", f"{source} holds no file.", "Name the folder or archive of the answers.")
    planned = survey.plan()
    there = _compare(out, planned)
    missing = {copy.index: (batch, copy) for batch in planned.batches if batch.batch_id not in there for copy in batch.copies}
    if missing:
        writer = RecordingWriter(out, created_from=f"import of {opened.name}")
        with contextlib.closing(_Spool(writer.path)) as spool:
            _copy(opened, writer, planned, missing, spool, survey.files, progress)
    elif progress is not None:
        progress(2 * survey.files, 2 * survey.files)
    return planned.report(batches_written=len(planned.batches) - len(there))


# --- what a file says ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Prices:
    """What a set of prices tells about the odds format."""

    any: bool = False
    negative: bool = False
    all_large_integers: bool = True

    def add(self, price: float) -> None:
        self.any = True
        self.negative = self.negative or price < 0
        self.all_large_integers = self.all_large_integers and price >= 100 and price == int(price)

    def merge(self, other: _Prices) -> None:
        self.any = self.any or other.any
        self.negative = self.negative or other.negative
        self.all_large_integers = self.all_large_integers and other.all_large_integers

    @property
    def odds_format(self) -> str:
        return "american" if self.negative or (self.any and self.all_large_integers) else "decimal"


@dataclass(slots=True)
class _Look:
    """What a lenient look into a body shows; empty for what is no JSON."""

    is_envelope: bool = False
    at: dt.datetime | None = None
    sports: set[str] = field(default_factory=set)
    event_id: str | None = None
    books: set[str] = field(default_factory=set)
    markets: set[str] = field(default_factory=set)
    prices: _Prices = field(default_factory=_Prices)


def _look(body: bytes) -> _Look:
    look = _Look()
    if len(body) > _MAX_LOOK_BYTES:
        return look
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return look
    if isinstance(document, dict) and "timestamp" in document and isinstance(document.get("data"), list | dict):
        look.is_envelope = True
        at = document["timestamp"]
        look.at = _time_in(at, whole=True) if isinstance(at, str) and _ISO.fullmatch(at) else None
        document = document["data"]
    if isinstance(document, dict):
        event_id = document.get("id")
        look.event_id = event_id if isinstance(event_id, str) and _EVENT_ID.fullmatch(event_id) else None
    for event in document if isinstance(document, list) else [document]:
        _add_key(look.sports, event, "sport_key")
        for book in _items(event, "bookmakers"):
            _add_key(look.books, book, "key")
            for market in _items(book, "markets"):
                _add_key(look.markets, market, "key")
                for outcome in _items(market, "outcomes"):
                    price = outcome.get("price") if isinstance(outcome, dict) else None
                    if isinstance(price, int | float) and not isinstance(price, bool) and abs(price) < 1e9:
                        look.prices.add(price)
    return look


def _items(holder: Any, key: str) -> list[Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else []


def _add_key(keys: set[str], holder: Any, name: str) -> None:
    value = holder.get(name) if isinstance(holder, dict) else None
    if isinstance(value, str) and _KEY.fullmatch(value):
        keys.add(value)


def _time_in(text: str, *, whole: bool = False) -> dt.datetime | None:
    """The first real time that a text holds (or is), or None."""
    for found in [_TIME.fullmatch(text)] if whole else _TIME.finditer(text):
        if found is not None:
            year, month, day, hour, minute, second = (int(part) for part in found.groups())
            with contextlib.suppress(ValueError):
                return dt.datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    return None


# --- the first reading -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a file that can be placed.

    Attributes:
        index: its number in the order of the source; an archive may hold a path twice.
        sport: its own; None where it shows none.
    """

    index: int
    path: str
    endpoint: str
    at: dt.datetime
    sha256: str
    size: int
    sport: str | None
    event_id: str | None

    @property
    def order(self) -> tuple[int, str, str, int]:
        return _ORDER[self.endpoint], self.path.rpartition("/")[2], self.path, self.index


@dataclass(frozen=True, slots=True)
class _Copy:
    """An exchange as planned: all but its bytes."""

    index: int
    path: str
    sha256: str
    place: int
    request: ApiRequest
    coverage: Coverage
    at: dt.datetime
    size: int

    def exchange(self, body: bytes) -> Exchange:
        return Exchange(self.place, 1, self.request, self.coverage, self.at, 200, (), body)


@dataclass(frozen=True, slots=True)
class _PlannedBatch:
    batch_id: str
    at: dt.datetime
    copies: tuple[_Copy, ...]


class _Survey:
    """Collects what the files of a source say, and plans the recording from it."""

    def __init__(self, options: ImportOptions, folder: str | None) -> None:
        self._options = options
        self._folder = folder
        self.files = 0
        self._seen: list[_Seen] = []
        self._refused: list[Refused] = []
        self._endpoint_files: Counter[str] = Counter()
        self._endpoint_refused: Counter[str] = Counter()
        self._sports: defaultdict[str, set[str]] = defaultdict(set)
        self._books: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._markets: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._prices: defaultdict[tuple[str, str], _Prices] = defaultdict(_Prices)
        self._used_globs: set[str] = set()

    def take(self, file: SourceFile) -> None:
        """Take in one file."""
        self.files += 1
        name = self._endpoint_of(file.path)
        if file.path.lower().endswith(_TEXTS):
            self._refuse(file.path, name, "is a text, no answer")
        elif file.body is None:
            self._refuse(file.path, name, file.problem or "cannot be read")
        else:
            look = _look(file.body)
            if name in ("odds", "events", "event_odds") and look.is_envelope:
                name = f"historical_{name}"
            at = look.at if name is not None and ENDPOINTS[name].is_historical else None
            at = at or _time_in(file.path.rpartition("/")[2]) or self._options.captured_at
            if name is None or at is None:
                reasons = []
                if name is None:
                    reasons.append("its endpoint is unknown (name it with --endpoint)")
                if at is None:
                    reasons.append("it has no capture time, in its name or an envelope (give one with --captured-at)")
                self._refuse(file.path, name, "; ".join(reasons))
            else:
                self._keep(file.path, file.body, name, at, look)

    def _keep(self, path: str, body: bytes, name: str, at: dt.datetime, look: _Look) -> None:
        self._endpoint_files[name] += 1
        self._sports[name] |= look.sports
        own = None if not look.sports else _UPCOMING if len(look.sports) > 1 else min(look.sports)
        sport = self._options.sport or own
        if sport is not None:
            self._books[ENDPOINTS[name].family, sport] |= look.books
            self._markets[ENDPOINTS[name].family, sport] |= look.markets
            self._prices[name, sport].merge(look.prices)
        event_id = None
        if ENDPOINTS[name].has_event:
            stem = path.rpartition("/")[2].partition(".")[0]
            event_id = look.event_id or (stem if _EVENT_ID.fullmatch(stem) else None)
        self._seen.append(_Seen(self.files, path, name, at, hashlib.sha256(body).hexdigest(), len(body), own, event_id))

    def _refuse(self, path: str, name: str | None, reason: str) -> None:
        self._endpoint_files[name or UNKNOWN] += 1
        self._endpoint_refused[name or UNKNOWN] += 1
        self._refused.append(Refused(path, reason))

    def _endpoint_of(self, path: str) -> str | None:
        """A declared glob, the nearest folder, the declared name, the folder that the source itself is."""
        parts = path.split("/")
        ends = ["/".join(parts[index:]) for index in range(len(parts))]
        for glob, name in self._options.globs:
            if any(fnmatchcase(end, glob) for end in ends):
                self._used_globs.add(glob)
                return name
        for folder in reversed(parts[:-1]):
            if folder.lower() in _FOLDERS:
                return _FOLDERS[folder.lower()]
        return self._options.endpoint or _FOLDERS.get((self._folder or "").lower())

    def plan(self) -> _Plan:
        """The recording that the files make."""
        by_time: defaultdict[dt.datetime, list[_Seen]] = defaultdict(list)
        for seen in self._seen:
            by_time[seen.at].append(seen)
        batches: list[tuple[dt.datetime, list[_Copy]]] = []
        duplicates: Counter[str] = Counter()
        formats: dict[str, str] = {}
        for at, members in sorted(by_time.items(), key=lambda item: item[0]):
            copies: list[_Copy] = []
            known: set[tuple[ApiRequest, str]] = set()
            for seen in sorted(members, key=lambda member: member.order):
                request, coverage = self._asked(seen)
                if (request, seen.sha256) in known:
                    duplicates[seen.endpoint] += 1
                    continue
                known.add((request, seen.sha256))
                copies.append(_Copy(seen.index, seen.path, seen.sha256, len(copies), request, coverage, at, seen.size))
                if (odds_format := request.param("oddsFormat")) is not None:
                    formats[f"{request.endpoint} {request.sport}"] = odds_format
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
                self._endpoint_files[name],
                self._endpoint_files[name] - duplicates[name] - self._endpoint_refused[name],
                duplicates[name],
                self._endpoint_refused[name],
            )
            for name in (*ENDPOINTS, UNKNOWN)
            if self._endpoint_files[name]
        }
        return _Plan(
            identity=identity,
            batches=tuple(_PlannedBatch(identity.batch_id(at), at, tuple(copies)) for at, copies in batches),
            counts=counts,
            refused=tuple(sorted(self._refused, key=lambda refused: (refused.path, refused.reason))),
            sports=tuple(sports),
            formats=dict(sorted(formats.items())),
            unmatched=tuple(glob for glob, _ in self._options.globs if glob not in self._used_globs),
        )

    def _asked(self, seen: _Seen) -> tuple[ApiRequest, Coverage]:
        """The request whose answer the file is taken for, and what it covered."""
        row = ENDPOINTS[seen.endpoint]
        sport = self._sport(row, seen)
        markets = self._declared_or_shown(self._options.markets, self._markets, row, sport) if row.has_markets else ()
        books: tuple[str, ...] = ()
        if row.has_books:
            books = self._declared_or_shown(self._options.books, self._books, row, sport)
            if self._options.regions:
                books = tuple(sorted({*books, *books_of(self._options.regions)}))
        params = {"dateFormat": "iso"} if "dateFormat" in row.params else {}
        if "oddsFormat" in row.params:
            params["oddsFormat"] = self._options.odds_format or self._prices[row.name, sport or ""].odds_format
        if markets:
            params["markets"] = ",".join(markets)
        if row.has_books and self._options.regions:
            params["regions"] = ",".join(sorted(set(self._options.regions)))
        elif books:
            params["bookmakers"] = ",".join(books)
        if row.is_historical:
            params["date"] = to_iso(seen.at)
        request = ApiRequest.of(row.name, sport=sport, event_id=seen.event_id, params=params)
        events: tuple[str, ...] | None = None
        if row.has_event:
            events = () if seen.event_id is None else (seen.event_id,)
        elif sport == _UPCOMING:
            events = ()
        return request, Coverage(None if sport == _UPCOMING else sport, events, markets, books)

    def _sport(self, row: Endpoint, seen: _Seen) -> str | None:
        if not row.has_sport:
            return None
        if self._options.sport or seen.sport:
            return self._options.sport or seen.sport
        for sports in (self._sports[row.name], set[str]().union(*self._sports.values())):
            if len(sports) == 1:
                return min(sports)
        return UNKNOWN

    @staticmethod
    def _declared_or_shown(
        declared: tuple[str, ...], shown: Mapping[tuple[str, str], set[str]], row: Endpoint, sport: str | None
    ) -> tuple[str, ...]:
        return tuple(sorted(set(declared or shown.get((row.family, sport or ""), ()))))


@dataclass(frozen=True, slots=True)
class _Plan:
    """The recording to be."""

    identity: PlanIdentity
    batches: tuple[_PlannedBatch, ...]
    counts: Mapping[str, Counts]
    refused: tuple[Refused, ...]
    sports: tuple[str, ...]
    formats: Mapping[str, str]
    unmatched: tuple[str, ...]

    def report(self, batches_written: int) -> ImportReport:
        return ImportReport(
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
            unmatched_globs=self.unmatched,
        )


# --- the second reading ----------------------------------------------------------------------------------------------


class _Spool:
    """Bodies that wait for the rest of their batch: in memory while they are few, then in a file without a name."""

    def __init__(self, folder: Path) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_MAX_SPOOL_BYTES, dir=str(folder))  # noqa: SIM115
        self._places: dict[int, tuple[int, int]] = {}
        self._end = 0

    def put(self, index: int, body: bytes) -> None:
        with _writing():
            self._file.seek(self._end)
            self._file.write(body)
        self._places[index] = (self._end, len(body))
        self._end += len(body)

    def take(self, index: int) -> bytes:
        start, size = self._places.pop(index)
        self._file.seek(start)
        body = self._file.read(size)
        if not self._places:
            self._file.truncate(0)
            self._end = 0
        return body

    def close(self) -> None:
        self._file.close()


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"A temporary file in the recording's folder cannot be written: {error.strerror}."
        raise SetupError("DISK_FULL", message, "Make room and run the same command again.") from error


def _copy(
    source: Source,
    writer: RecordingWriter,
    planned: _Plan,
    missing: Mapping[int, tuple[_PlannedBatch, _Copy]],
    spool: _Spool,
    files: int,
    progress: Progress | None,
) -> None:
    """Copy the bodies; a batch is written when its last body has come, so that no batch is ever half there."""
    waiting = {batch.batch_id: len(batch.copies) for batch, _ in missing.values()}
    identity = planned.identity
    for count, file in enumerate(source.files(), start=1):
        if count in missing:
            batch, copy = missing[count]
            if file.path != copy.path or file.body is None or hashlib.sha256(file.body).hexdigest() != copy.sha256:
                raise _changed(source, file.path)
            waiting[batch.batch_id] -= 1
            spool.put(count, file.body)
            if not waiting[batch.batch_id]:
                _seal(writer, identity, batch, spool)
        if progress is not None:
            progress(files + count, 2 * files)
    unsealed = [copy.path for batch, copy in missing.values() if waiting[batch.batch_id]]
    if unsealed:
        raise _changed(source, min(unsealed))


def _seal(writer: RecordingWriter, identity: PlanIdentity, batch: _PlannedBatch, spool: _Spool) -> None:
    source = "simulated" if identity.document["declared"].get("simulated") else "import"
    target = writer.begin(batch.batch_id, batch.at, identity, source)
    # What an interrupted import left costs nothing to make anew, and may be of other files.
    target.discard()
    try:
        for copy in batch.copies:
            target.add(copy.exchange(spool.take(copy.index)))
        target.seal()
    except BaseException:
        target.discard()
        raise


def _changed(source: Source, path: str) -> RecordingError:
    message = f"{path} in {source.path} changed while it was read."
    return RecordingError("IMPORT_SOURCE_CHANGED", message, "Run the same command again when nothing writes there.")


# --- what is there already -------------------------------------------------------------------------------------------


def _check_places(source: Path, out: Path) -> None:
    if (source / "recording.json").is_file():
        message = f"{source} is a recording already."
        raise UsageError("IMPORT_SOURCE_IS_RECORDING", message, "Replay or load it as it is.")
    here, there = source.resolve(), out.resolve()
    if here == there or here in there.parents or there in here.parents:
        message = f"{out} and {source} lie in each other."
        raise UsageError("IMPORT_OUT_OVERLAPS", message, "Write the recording to another folder.")
    if out.exists() and not (out.is_dir() and all(entry.name.startswith(".") for entry in out.iterdir())):
        # refuses a folder that holds something else before the source is read for nothing
        RecordingWriter(out)


def _compare(out: Path, planned: _Plan) -> frozenset[str]:
    """Ids of the planned batches that are in ``out`` already, the same.

    Raises:
        ConflictError: something else is there.
    """
    if not (out / "recording.json").exists() or not planned.batches:
        return frozenset()
    writer = RecordingWriter(out)
    there = frozenset(writer.batch_ids)
    others = there - {batch.batch_id for batch in planned.batches}
    if others:
        message = f"{out} holds {len(others)} other batches than this source makes, such as {min(others)}."
        raise ConflictError("IMPORT_OUT_HOLDS_OTHER", message, "Import into a new folder.")
    for batch in planned.batches:
        if batch.batch_id in there and (known := writer.sealed(batch.batch_id)) is not None:
            _compare_batch(known, batch)
    return there


def _compare_batch(known: Batch, batch: _PlannedBatch) -> None:
    def facts(exchange: Exchange | _Copy) -> tuple[str, ...]:
        coverage = json.dumps(exchange.coverage.to_json(), sort_keys=True)
        return exchange.request.text, f"sha256:{exchange.sha256}", coverage

    before, now = [facts(exchange) for exchange in known.exchanges], [facts(copy) for copy in batch.copies]
    if before == now and all(exchange.captured_at == batch.at for exchange in known.exchanges):
        return
    pairs = enumerate(zip(before, now, strict=False))
    index = next((index for index, (was, comes) in pairs if was != comes), min(len(before), len(now)))
    there, comes = (" ".join(side[index]) if index < len(side) else "nothing" for side in (before, now))
    raise ConflictError(
        "BATCH_CONFLICT",
        f"Batch {batch.batch_id} is there with other content: at place {index} it has {there}, and now comes {comes}.",
        "The same batch never has two contents: import into a new folder.",
    )


# --- options ---------------------------------------------------------------------------------------------------------


def _endpoint_name(text: str) -> str:
    return _FOLDERS.get(text.lower()) or endpoint(text).name


def _keys(option: str, text: str | None) -> tuple[str, ...]:
    keys: Iterable[str] = () if text is None else (part.strip() for part in text.split(","))
    found = tuple(sorted(set(keys)))
    for key in found:
        if not _KEY.fullmatch(key):
            raise _invalid(option, key, "Write keys such as h2h,spreads.")
    return found


def _invalid(option: str, value: str, next_step: str) -> UsageError:
    return UsageError("IMPORT_OPTION_INVALID", f"{option} cannot be {value!r}.", next_step)
