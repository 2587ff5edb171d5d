"""What the user declares about the files of an import."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline.errors import UsageError
from pipeline.odds_api.catalogue import books_of
from pipeline.odds_api.endpoints import ENDPOINTS, IMPORTED, endpoint, nearest
from pipeline.recording.imports.asked import FORMATS, Asked, load_asked
from pipeline.recording.imports.look import KEY
from pipeline.recording.imports.times import NamePattern, time_of
from pipeline.recording.imports.unwrapping import steps_of

FOLDERS: Final = {folder: row.name for row in ENDPOINTS.values() for folder in (row.name, *row.folders)}
TIME_SOURCES: Final = ("name", "folder", "body", "mtime")
_GIVEN_TIME: Final = re.compile(r"\d{4}(-?)\d\d\1\d\dT\d\d([:-]?)\d\d\2\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the user declares about the files.

    Attributes:
        endpoint: the endpoint of files that no glob and no folder names one for.
        globs: (glob, endpoint); the first that matches a path inside the source, or the end of one, wins over folders.
        sport: the sport key that was asked for in every answer; else the answers' own.
        captured_at: the time of files that have none; whole seconds.
        odds_format: ``american`` or ``decimal``; else told by each file's prices.
        markets: the market keys that were asked for; else those that the answers show.
        books: the bookmaker keys that were asked for; else those that the answers show.
        regions: the regions that were asked for: covers their books and those that the answers show.
        asked: what the requests of some files asked for, for certain; the first that matches a file wins over the others.
        time_from: where times stand: ``name``, ``folder``, ``body`` or ``mtime``; None = in the name, else in folders.
        time_pointer: JSON pointer of the time in the file, where ``time_from`` is ``body``.
        name_pattern: how names bear their times; None = in any of the usual ways.
        answer_at: JSON pointer of the answer in a wrapper; None = a file is the answer.
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
    asked: tuple[Asked, ...] = ()
    time_from: str | None = None
    time_pointer: str = ""
    name_pattern: NamePattern | None = None
    answer_at: str | None = None
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
        asked: Path | None = None,
        time_from: str | None = None,
        name_pattern: str | None = None,
        answer_at: str | None = None,
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
            asked: a YAML file of what was asked.
            time_from: ``name``, ``folder``, ``mtime`` or ``body:POINTER``.
            name_pattern: see :class:`~pipeline.recording.imports.times.NamePattern`.
            answer_at: a JSON pointer.
            simulated: whether the answers are made up.

        Raises:
            UsageError: ``UNKNOWN_ENDPOINT``, ``UNKNOWN_REGION``, ``ASKED_NOT_FOUND``, ``ASKED_UNKNOWN_KEY``,
                ``ASKED_INVALID``, or ``IMPORT_OPTION_INVALID`` naming the option.
        """
        names = [text for text in endpoints if "=" not in text]
        if len(names) > 1:
            raise _invalid("--endpoint", ", ".join(names), "Give one NAME, and GLOB=NAME for the files that differ.")
        globs = [text.rpartition("=") for text in endpoints if "=" in text]
        for glob, _, name in globs:
            if not glob or not name:
                raise _invalid("--endpoint", f"{glob}={name}", "Write GLOB=NAME, such as 'scores_*.json=scores'.")
        if odds_format is not None and odds_format not in FORMATS:
            raise _invalid("--odds-format", odds_format, f"Choose one of {', '.join(FORMATS)}.")
        if sport is not None and not KEY.fullmatch(sport):
            raise _invalid("--sport", sport, "Write a sport key such as icehockey_nhl.")
        given = {"--markets": markets, "--books": books, "--regions": regions}
        lists = {option: _keys(option, text) for option, text in given.items()}
        if lists["--books"] and lists["--regions"]:
            raise _invalid("--regions", regions or "", "Declare the books or the regions, not both.")
        books_of(lists["--regions"])
        kind, pointer = _time_from(time_from)
        return cls(
            endpoint=_endpoint_name(names[0]) if names else None,
            globs=tuple((glob, _endpoint_name(name)) for glob, _, name in globs),
            sport=sport,
            captured_at=_captured_at(captured_at),
            odds_format=odds_format,
            markets=lists["--markets"],
            books=lists["--books"],
            regions=lists["--regions"],
            asked=() if asked is None else load_asked(asked),
            time_from=kind,
            time_pointer=pointer,
            name_pattern=_name_pattern(name_pattern, kind),
            answer_at=None if answer_at is None else _pointer("--answer-at", answer_at),
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
            "asked": [asked.to_json() for asked in self.asked],
            "simulated": self.simulated,
        }
        return {name: value for name, value in given.items() if value}

    def asked_of(self, path: str) -> Asked | None:
        """What is declared for certain of a file; None where nothing is."""
        return next((asked for asked in self.asked if asked.matches(path)), None)


def _endpoint_name(text: str) -> str:
    if text in IMPORTED:
        raise UsageError(
            "ENDPOINT_IMPORTED", f"Answers of the API are none of {text}.", f"See `sports-market {text} import --help`."
        )
    return FOLDERS.get(text.lower()) or endpoint(text).name


def _keys(option: str, text: str | None) -> tuple[str, ...]:
    keys: Iterable[str] = () if text is None else (part.strip() for part in text.split(","))
    found = tuple(sorted(set(keys)))
    for key in found:
        if not KEY.fullmatch(key):
            raise _invalid(option, key, "Write keys such as h2h,spreads.")
    return found


def _captured_at(text: str | None) -> dt.datetime | None:
    if text is None:
        return None
    found = time_of(text) if _GIVEN_TIME.fullmatch(text) else None
    if found is None:
        raise _invalid("--captured-at", text, "Write a UTC time such as 2025-10-09T00:42:48Z.")
    return found.at


def _time_from(text: str | None) -> tuple[str | None, str]:
    if text is None:
        return None, ""
    kind, colon, pointer = text.partition(":")
    if kind not in TIME_SOURCES:
        near = nearest(kind, TIME_SOURCES)
        raise _invalid("--time-from", text, f"The nearest is {near}; there are name, folder, mtime and body:POINTER.")
    if (kind == "body") != bool(colon):
        raise _invalid("--time-from", text, "Write name, folder, mtime, or body:POINTER such as body:/fetched_at.")
    return kind, _pointer("--time-from", pointer) if colon else ""


def _pointer(option: str, text: str) -> str:
    try:
        steps_of(text)
    except ValueError as error:
        raise _invalid(option, text, f"{str(error)[:1].upper()}{str(error)[1:]}.") from error
    return text


def _name_pattern(text: str | None, kind: str | None) -> NamePattern | None:
    if text is None:
        return None
    if kind not in (None, "name"):
        raise _invalid("--name-pattern", text, "It says how names bear times, and --time-from says that others do.")
    try:
        return NamePattern(text)
    except ValueError as error:
        raise _invalid("--name-pattern", text, f"{str(error)[:1].upper()}{str(error)[1:]}.") from error


def _invalid(option: str, value: str, next_step: str) -> UsageError:
    return UsageError("IMPORT_OPTION_INVALID", f"{option} cannot be {value!r}.", next_step)
