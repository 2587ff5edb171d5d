"""A file that says what was asked for: which files, and with which parameters."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.clock import UTC, from_iso, to_iso
from pipeline.errors import UsageError
from pipeline.odds_api.catalogue import books_of
from pipeline.odds_api.endpoints import nearest
from pipeline.printable import printable
from pipeline.recording.imports.look import EVENT_ID, KEY

FORMATS: Final = ("american", "decimal")
UPCOMING: Final = "upcoming"
_KEYS: Final = ("files", "sport", "markets", "regions", "books", "format", "window", "events")
_WINDOW: Final = ("from", "to")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the requests of some files asked for. What is not named was not limited, or is what the files show.

    Attributes:
        files: globs of paths inside the source, or of the ends of them.
        sport: a sport key, or ``upcoming``; None = the answers' own.
        markets: market keys; empty = those that the files of the family show.
        regions: regions; not together with ``books``.
        books: bookmaker keys; empty = those that the files of the family show.
        odds_format: ``american`` or ``decimal``; None = as the prices tell.
        commence_from, commence_to: inclusive bounds of the start, in UTC; None = no bound.
        events: event ids; empty = every event of the sport, within the window.
    """

    files: tuple[str, ...]
    sport: str | None = None
    markets: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    books: tuple[str, ...] = ()
    odds_format: str | None = None
    commence_from: dt.datetime | None = None
    commence_to: dt.datetime | None = None
    events: tuple[str, ...] = ()

    @property
    def is_certain(self) -> bool:
        """Whether it says what the requests were, and not just how their prices are written."""
        return any((self.sport, self.markets, self.regions, self.books, self.commence_from, self.commence_to, self.events))

    def matches(self, path: str) -> bool:
        """Whether a path inside the source is meant."""
        return any(path_matches(path, glob) for glob in self.files)

    def to_json(self) -> dict[str, Any]:
        """What it declares, as it enters the plan's identity."""
        document = {
            "files": list(self.files),
            "sport": self.sport,
            "markets": list(self.markets),
            "regions": list(self.regions),
            "bookmakers": list(self.books),
            "oddsFormat": self.odds_format,
            "commenceTimeFrom": None if self.commence_from is None else to_iso(self.commence_from),
            "commenceTimeTo": None if self.commence_to is None else to_iso(self.commence_to),
            "eventIds": list(self.events),
        }
        return {key: value for key, value in document.items() if value}


def path_matches(path: str, glob: str) -> bool:
    """Whether a glob matches a path inside the source, or the end of one."""
    parts = path.split("/")
    return any(fnmatchcase("/".join(parts[index:]), glob) for index in range(len(parts)))


def load_asked(path: Path) -> tuple[Asked, ...]:
    """Read a file of what was asked (YAML): a list, of which the first entry that matches a file counts.

    Raises:
        UsageError: ``ASKED_NOT_FOUND``, ``ASKED_UNKNOWN_KEY`` (naming the nearest valid one), ``ASKED_INVALID``,
            ``UNKNOWN_REGION``.
    """
    shown = printable(str(path))
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError("ASKED_NOT_FOUND", f"{shown} cannot be read ({error.strerror}).", "Check the path.") from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        problem = printable(" ".join(str(error).split()), most=200)
        raise UsageError("ASKED_INVALID", f"{shown} is no YAML: {problem}.", "Mend the file.") from error
    if not isinstance(document, list) or not document:
        raise _invalid(shown, "it is no list", "Write a list such as `- {files: h2h_*.json, markets: [h2h]}`.")
    return tuple(_asked(entry, f"{shown}, entry {number}") for number, entry in enumerate(document, start=1))


def _asked(entry: Any, place: str) -> Asked:
    _check_keys(entry, _KEYS, place)
    window = entry.get("window")
    if window is not None:
        _check_keys(window, _WINDOW, f"{place}, window")
    sport = entry.get("sport")
    if sport is not None and not (isinstance(sport, str) and KEY.fullmatch(sport)):
        raise _invalid(place, f"sport is {sport!r}", "It is a sport key such as icehockey_nhl, or upcoming.")
    odds_format = entry.get("format")
    if odds_format is not None and odds_format not in FORMATS:
        raise _invalid(place, f"format is {odds_format!r}", f"It is one of {', '.join(FORMATS)}.")
    markets, regions, books = (_keys(entry, key, place) for key in ("markets", "regions", "books"))
    events = _texts(entry, "events", place)
    for event in events:
        if not EVENT_ID.fullmatch(event):
            raise _invalid(place, f"{event!r} among its events is no event id", "An id has 32 hexadecimal digits.")
    files = _texts(entry, "files", place)
    if not files:
        raise _invalid(place, "it names no files", "Name globs, such as `files: h2h_*.json`.")
    if books and regions:
        raise _invalid(place, "it has books and regions", "Declare the books or the regions, not both.")
    books_of(regions)
    begin, end = (_time(window, key, place) for key in _WINDOW)
    if begin is not None and end is not None and end < begin:
        raise _invalid(place, "its window ends before it begins", "Write the earlier time as `from`.")
    if sport == UPCOMING and (window is not None or events):
        raise _invalid(place, "upcoming takes no window and no events", "Leave them out: it covers the events that it shows.")
    return Asked(
        files=files, sport=sport, markets=markets, regions=regions, books=books, odds_format=odds_format,
        commence_from=begin, commence_to=end, events=events,
    )  # fmt: skip


def _check_keys(value: Any, known: tuple[str, ...], place: str) -> None:
    if not isinstance(value, Mapping):
        raise _invalid(place, f"it is {printable(repr(value), most=80)}", f"It has keys: {', '.join(known)}.")
    for key in value:
        if key not in known:
            raise UsageError(
                "ASKED_UNKNOWN_KEY",
                f"{place}: there is no key {printable(repr(key), most=80)}; the nearest is {nearest(str(key), known)!r}.",
                f"Valid keys: {', '.join(known)}.",
            )


def _texts(entry: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    value = entry.get(key)
    values = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(item, str) and item for item in values) or (value == []):
        raise _invalid(place, f"{key} is {printable(repr(value), most=80)}", "It is a text or a list of texts.")
    return tuple(sorted(set(values)))


def _keys(entry: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    value = entry.get(key)
    if isinstance(value, str):
        entry = {key: [part.strip() for part in value.split(",")]}
    for item in _texts(entry, key, place):
        if not KEY.fullmatch(item):
            raise _invalid(place, f"{item!r} among its {key} is no key", "Write keys such as h2h, spreads.")
    return _texts(entry, key, place)


def _time(window: Mapping[str, Any] | None, key: str, place: str) -> dt.datetime | None:
    value = None if window is None else window.get(key)
    if value is None:
        return None
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, str):
        try:
            return from_iso(value)
        except ValueError:
            pass
    raise _invalid(place, f"{key} of its window is {str(value)!r}", "Write a time such as 2025-10-09T00:00:00Z.")


def _invalid(place: str, why: str, next_step: str) -> UsageError:
    return UsageError("ASKED_INVALID", f"{place} cannot be used: {why}.", next_step)
