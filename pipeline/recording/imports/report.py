"""What an import tells: what became of every file, and what had to be taken for granted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeline.clock import to_iso
from pipeline.printable import MOST, printable

_NAMED: Final = 3
_FAMILIES_SHOWN: Final = 8
_GUESSES_SHOWN: Final = 8


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
class Note:
    """Something that was taken for granted, or done to files, and is no fault.

    Attributes:
        code: stable, e.g. ``ENDPOINT_GUESSED``.
        message: what it is, in words.
        count: of how many files.
        names: some of them.
    """

    code: str
    message: str
    count: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """Files that differ in the time alone, and what they are taken to have asked for.

    Attributes:
        name: their path, with marks for times and dates.
        files: how many they are.
        markets: market keys.
        books: bookmaker keys.
    """

    name: str
    files: int
    markets: tuple[str, ...]
    books: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GuessedCoverage:
    """Files of which cannot be told what they had asked for, so that no event is taken for gone where they lack it.

    Attributes:
        endpoint: their endpoint.
        sport: their sport.
        why: in words.
        families: by name.
    """

    endpoint: str
    sport: str
    why: str
    families: tuple[Family, ...]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of every file.

    Attributes:
        out: the recording, as it was named.
        total: over all files.
        by_endpoint: the same per endpoint, in the order of the endpoint table; ``unknown`` comes last.
        refused: by path.
        batches: batches of the recording.
        batches_written: those that were not there before.
        body_bytes: size of all bodies.
        first_at: time of the first batch, or None.
        last_at: time of the last batch, or None.
        sports: sport keys of the requests, sorted.
        odds_formats: ``endpoint sport`` → answers by the odds format that their prices are read in.
        times: where capture times were found → of how many files.
        notes: what was taken for granted or done to files.
        guessed: where coverage could only be guessed.
        unmatched_globs: declared globs that no file matched.
        unmatched_asked: globs of what was asked, of entries that no file matched.
    """

    out: str
    total: Counts
    by_endpoint: Mapping[str, Counts]
    refused: tuple[Refused, ...]
    batches: int
    batches_written: int
    body_bytes: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    sports: tuple[str, ...]
    odds_formats: Mapping[str, Mapping[str, int]]
    times: Mapping[str, int]
    notes: tuple[Note, ...]
    guessed: tuple[GuessedCoverage, ...]
    unmatched_globs: tuple[str, ...]
    unmatched_asked: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 all files are in, 1 some are refused, 3 nothing was imported."""
        if not self.total.exchanges:
            return 3
        return 1 if self.refused else 0

    @property
    def warnings(self) -> list[str]:
        """What is wrong, for people: the refused files, a line for each kind, and globs that match nothing."""
        kinds: dict[str, list[str]] = {}
        for refused in self.refused:
            kinds.setdefault(refused.reason, []).append(refused.path)
        lines = [f"refused {_named(paths, len(paths))}: {reason}" for reason, paths in kinds.items()]
        lines += [f"warning: no file matches --endpoint {glob}=…" for glob in self.unmatched_globs]
        return lines + [f"warning: no file matches {glob} of --asked" for glob in self.unmatched_asked]

    def lines(self) -> list[str]:
        """What a person is told."""
        return list(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{'':24}{'files':>8} ={'exchanges':>10} +{'duplicates':>11} +{'refused':>8}"
        for name, counts in (*self.by_endpoint.items(), ("total", self.total)):
            yield f"{name:24}{counts.files:>8,}  {counts.exchanges:>10,}  {counts.duplicates:>11,}  {counts.refused:>8,}"
        for request, formats in self.odds_formats.items():
            found = " and ".join(formats) if len(formats) == 1 else _counted(formats)
            yield f"{request}: {found} odds"
        if set(self.times) - {"name", "envelope"}:
            yield f"capture times: {_counted(self.times)}"
        for note in self.notes:
            yield f"{note.code}: {note.message}: {_named(note.names, note.count)}"
        for guess in self.guessed[:_GUESSES_SHOWN]:
            yield (
                f"COVERAGE_GUESSED: {guess.endpoint} {guess.sport}: {guess.why}. Each file is taken to have asked for what its"
                " own name ever shows, and for no event but those in it. Declare what was asked with --asked."
            )
            for family in guess.families[:_FAMILIES_SHOWN]:
                asked = "; ".join(
                    f"{kind} {', '.join(keys[:6])}{f' and {len(keys) - 6} more' if len(keys) > 6 else ''}"
                    for kind, keys in (("markets", family.markets), ("books", family.books))
                    if keys
                )
                yield f"  {family.name}: {_files(family.files)}{f'; {asked}' if asked else ''}"
            if len(guess.families) > _FAMILIES_SHOWN:
                yield f"  and {len(guess.families) - _FAMILIES_SHOWN:,} more names"
        if len(self.guessed) > _GUESSES_SHOWN:
            yield f"COVERAGE_GUESSED: and of {len(self.guessed) - _GUESSES_SHOWN:,} more endpoints and sports (see --json)"
        if self.first_at is not None and self.last_at is not None:
            times = f"{self.first_at:%Y-%m-%d %H:%M:%S} to {self.last_at:%Y-%m-%d %H:%M:%S} UTC"
            size = f"{self.body_bytes / 1e6:,.1f} MB of bodies"
            yield f"{self.out}: {self.batches:,} batches ({self.batches_written:,} new), {size}, {times}"
        else:
            yield "Nothing was imported."

    def to_json(self) -> dict[str, Any]:
        """The JSON document of the command; of the refused files it has all names."""
        kinds: dict[str, list[str]] = {}
        for refused in self.refused:
            kinds.setdefault(refused.reason, []).append(refused.path)
        return {
            "out": self.out,
            "total": _json(self.total),
            "by_endpoint": {name: _json(counts) for name, counts in self.by_endpoint.items()},
            "refused": [{"reason": reason, "count": len(paths), "files": paths} for reason, paths in kinds.items()],
            "batches": self.batches,
            "batches_written": self.batches_written,
            "body_bytes": self.body_bytes,
            "first_at": None if self.first_at is None else to_iso(self.first_at),
            "last_at": None if self.last_at is None else to_iso(self.last_at),
            "sports": list(self.sports),
            "odds_formats": {request: dict(formats) for request, formats in self.odds_formats.items()},
            "times": dict(self.times),
            "notes": [
                {"code": note.code, "message": note.message, "count": note.count, "files": list(note.names)}
                for note in self.notes
            ],
            "coverage_guessed": [
                {
                    "code": "COVERAGE_GUESSED",
                    "endpoint": guess.endpoint,
                    "sport": guess.sport,
                    "why": guess.why,
                    "families": [
                        {
                            "name": family.name,
                            "files": family.files,
                            "markets": list(family.markets),
                            "books": list(family.books),
                        }
                        for family in guess.families
                    ],
                }
                for guess in self.guessed
            ],
            "unmatched_globs": list(self.unmatched_globs),
            "unmatched_asked": list(self.unmatched_asked),
        }


def _json(counts: Counts) -> dict[str, int]:
    return {
        "files": counts.files, "exchanges": counts.exchanges, "duplicates": counts.duplicates, "refused": counts.refused,
    }  # fmt: skip


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count:,} files"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _named(names: Iterable[str], count: int) -> str:
    """``a``; ``3 files: a, b, c``; ``1,000 files: a, b, c and 997 more``."""
    shown = [printable(name, most=MOST) for name, _ in zip(names, range(_NAMED), strict=False)]
    if count == 1:
        return shown[0]
    more = f" and {count - len(shown):,} more" if count > len(shown) else ""
    return f"{count:,} files ({', '.join(shown)}{more})"
