"""Times as people write them into names, folders and wrappers, and a name without them."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pipeline.clock import UTC
from pipeline.recording.archives import COMPRESSED

# Others are numbers that look like a time.
_YEARS: Final = range(1990, 2101)
_TIME_MARK: Final = "<time>"
_DATE_MARK: Final = "<date>"

# `-0500` is an offset only after a time with a T: elsewhere it may be a number that somebody counted.
_ZONE: Final = r"(?P<zone>Z|[+-]\d\d:\d\d(?!\d)|\+\d{4}(?!\d)|-(?:0\d|1[0-2])(?:00|15|30|45)(?!\d))?"
_FRACTION: Final = r"(?:[.,](?P<fraction>\d{1,9})(?!\d)|(?P<digits>\d{6}|\d{3})(?!\d))?"
_FULL: Final = re.compile(
    r"(?<!\d)(?P<year>[12]\d{3})(?P<ds>[-_.]?)(?P<month>\d\d)(?P=ds)(?P<day>\d\d)"
    r"(?P<between>[T_ -])(?P<hour>\d\d)(?P<ts>[-:_.]?)(?P<minute>\d\d)(?P=ts)(?P<second>\d\d)" + _FRACTION + r"(?!\d)" + _ZONE,
    re.ASCII,
)
_PLAIN: Final = re.compile(
    r"(?<![0-9A-Za-z])(?P<year>[12]\d{3})(?P<month>\d\d)(?P<day>\d\d)(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
    r"(?P<zone>Z)?(?![0-9A-Za-z])",
    re.ASCII,
)
_EPOCH: Final = re.compile(
    r"(?<![0-9A-Za-z.])(?P<seconds>\d{10})(?:(?P<millis>\d{3})|\.(?P<fraction>\d{1,9}))?(?![0-9A-Za-z])", re.ASCII
)
_DATE: Final = re.compile(r"(?<![0-9A-Za-z])([12]\d{3})([-_.]?)(\d\d)\2(\d\d)(?![0-9A-Za-z])", re.ASCII)
_NUMBERED: Final = re.compile(r"(?:[A-Za-z]+=)?(\d+)", re.ASCII)
_OF_DAY: Final = re.compile(r"[^0-9]*(\d\d)([-:_.])(\d\d)(?:\2(\d\d))?", re.ASCII)
_OF_DAY_PLAIN: Final = re.compile(r"[^0-9]*(\d\d)(\d\d)(\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Time:
    """A time that was found.

    Attributes:
        at: in UTC.
        has_zone: whether it was written with its offset; else it was taken for UTC.
    """

    at: dt.datetime
    has_zone: bool


def time_in(text: str) -> Time | None:
    """The first real time that a text holds, or None."""
    return next((found for found, _, _ in _times(text)), None)


def time_of(value: Any) -> Time | None:
    """The time that a JSON value is: an ISO text, or seconds or milliseconds since 1970 as a number or a text; or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        with contextlib.suppress(ValueError, OverflowError):
            return _epoch(value / 1000 if abs(value) >= 1e11 else value)
        return None
    if isinstance(value, str):
        text = value.strip()
        return next((found for found, start, end in _times(text) if (start, end) == (0, len(text))), None)
    return None


def _times(text: str) -> Iterator[tuple[Time, int, int]]:
    """Every real time in a text with its place, in the order of their places."""
    found = []
    for pattern in (_FULL, _PLAIN):
        for match in pattern.finditer(text):
            if (time := _written(match)) is not None:
                found.append((match.start(), match.end(), time))
    for match in _EPOCH.finditer(text):
        fraction = match["millis"] or match["fraction"] or "0"
        if (time := _epoch(int(match["seconds"]), fraction)) is not None:
            found.append((match.start(), match.end(), time))
    for start, end, time in sorted(found, key=lambda item: item[:2]):
        yield time, start, end


def _written(match: re.Match[str]) -> Time | None:
    parts = match.groupdict()
    year, month, day, hour, minute, second = (int(parts[name]) for name in ("year", "month", "day", "hour", "minute", "second"))
    fraction = (parts.get("fraction") or parts.get("digits") or "0").ljust(6, "0")[:6]
    zone = parts.get("zone")
    if zone and zone[0] == "-" and ":" not in zone and parts["between"] != "T":
        zone = None
    with contextlib.suppress(ValueError, OverflowError):
        at = dt.datetime(year, month, day, hour, minute, second, int(fraction), tzinfo=UTC)
        if zone and zone != "Z":
            hours, minutes = int(zone[1:3]), int(zone[-2:])
            if hours > 14 or minutes > 59:
                return None
            offset = dt.timedelta(hours=hours, minutes=minutes)
            at = at - offset if zone[0] == "+" else at + offset
        return Time(at, zone is not None) if at.year in _YEARS else None
    return None


def _epoch(seconds: float, fraction: str = "") -> Time | None:
    with contextlib.suppress(ValueError, OverflowError, OSError):
        whole, part = divmod(round(seconds * 1_000_000), 1_000_000)
        at = dt.datetime.fromtimestamp(whole, UTC).replace(microsecond=int((fraction or f"{part:06}").ljust(6, "0")[:6]))
        return Time(at, True) if at.year in _YEARS else None
    return None


def time_in_folders(path: str, *, alone: bool = False) -> Time | None:
    """The time that the folders of a path tell, with the file's name where that is a time of the day.

    A folder may bear a whole time, or its date (``2026-01-10``, ``2026/01/10``, ``date=2026-01-10``) with a folder of the
    hour below (``18``, ``hour=18``) or a file such as ``18-05-00.json``.

    Args:
        path: of a file, with forward slashes.
        alone: nothing but the folders is asked, so that ``180500.json`` is a time of the day and no number.
    """
    *folders, name = path.split("/")
    for folder in reversed(folders):
        if (found := time_in(folder)) is not None:
            return found
    for last in range(len(folders), 0, -1):
        date = _date(folders[:last])
        if date is not None:
            of_day = _of_day(folders[last:], name.partition(".")[0] if name.count(".") < 3 else name, alone)
            if of_day is not None:
                with contextlib.suppress(ValueError):
                    at = dt.datetime(*date, *of_day, tzinfo=UTC)
                    return Time(at, False) if at.year in _YEARS else None
            return None
    return None


def _date(folders: list[str]) -> tuple[int, int, int] | None:
    """The date that the last of these folders, or the last three, are."""
    match = _DATE.search(folders[-1])
    if match:
        return int(match[1]), int(match[3]), int(match[4])
    numbers = [_NUMBERED.fullmatch(folder) for folder in folders[-3:]]
    if len(numbers) == 3 and all(numbers):
        year, month, day = (int(number[1]) for number in numbers if number)
        if year in _YEARS and 1 <= month <= 12 and 1 <= day <= 31:
            return year, month, day
    return None


def _of_day(folders: list[str], stem: str, alone: bool) -> tuple[int, int, int] | None:
    match = _OF_DAY.fullmatch(stem) or (_OF_DAY_PLAIN.fullmatch(stem) if alone else None)
    if match is not None:
        numbers = [int(part) for part in match.groups() if part and part.isdigit()]
        return numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else 0
    numbers = [int(found[1]) for folder in folders[:3] if (found := _NUMBERED.fullmatch(folder)) and len(found[1]) == 2]
    if not numbers:
        return None
    hour, minute, second = [*numbers, 0, 0][:3]
    return hour, minute, second


def without_times(path: str, *, alone: bool = False) -> str:
    """A path whose times and dates are marks: the same for files that differ in the time alone.

    Args:
        path: with forward slashes.
        alone: as of :func:`time_in_folders`.
    """
    for ending in COMPRESSED:
        if path.lower().endswith(ending):
            path = path[: -len(ending)]
    for pattern in (_FULL, _PLAIN):
        path = pattern.sub(lambda match: match[0] if _written(match) is None else _TIME_MARK, path)
    path = _EPOCH.sub(lambda match: match[0] if _epoch(int(match["seconds"])) is None else _TIME_MARK, path)
    path = _DATE.sub(lambda match: _DATE_MARK if _is_date(match[1], match[3], match[4]) else match[0], path)
    *folders, name = path.split("/")
    for last in range(len(folders), 0, -1):
        triple = folders[max(0, last - 3) : last]
        if _DATE_MARK not in folders[last - 1] and _date(triple) is None:
            continue
        if _DATE_MARK not in folders[last - 1]:
            folders[last - 3 : last] = [_DATE_MARK]
            last -= 2
        folders[last:] = [_TIME_MARK if _NUMBERED.fullmatch(folder) else folder for folder in folders[last:]]
        stem, dot, ending = name.partition(".")
        if (match := _OF_DAY.fullmatch(stem) or (_OF_DAY_PLAIN.fullmatch(stem) if alone else None)) is not None:
            name = f"{stem[: match.start(1)]}{_TIME_MARK}{dot}{ending}"
        break
    return "/".join([*folders, name])


def _is_date(year: str, month: str, day: str) -> bool:
    return int(year) in _YEARS and 1 <= int(month) <= 12 and 1 <= int(day) <= 31


# --- patterns --------------------------------------------------------------------------------------------------------

_DIRECTIVES: Final = {
    "Y": r"\d{4}", "m": r"\d\d?", "d": r"\d\d?", "H": r"\d\d?", "M": r"\d\d?", "S": r"\d\d?", "f": r"\d{1,9}",
    "y": r"\d\d", "b": r"[A-Za-z]{3}", "j": r"\d{1,3}", "I": r"\d\d?", "p": r"[AaPp][Mm]",
    "z": r"Z|[+-]\d\d:?\d\d", "s": r"\d{10}(?:\d{3})?",
}  # fmt: skip
_MONTHS: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


class NamePattern:
    """Where a name bears its time, such as ``nfl_%d.%m.%Y_%H%M*.json``.

    Args:
        text: directives as of strftime (``%Y %m %d %H %M %S %f %y %b %j %I %p %z``, ``%s`` for seconds or milliseconds
            since 1970, ``%%``), ``*`` for any text, and all else as it stands. With a slash it is matched with the end of the
            path, else with the name.

    Raises:
        ValueError: it cannot tell a date; the text says why.
    """

    def __init__(self, text: str) -> None:
        self._folders = text.count("/")
        parts: list[str] = []
        names: list[str] = []
        tokens = re.findall(r"%.?|\*|[^%*]+", text, re.DOTALL)
        for token in tokens:
            if token == "*":
                parts.append(r"[^/]*?")
            elif token == "%%":
                parts.append("%")
            elif token.startswith("%"):
                name = token[1:]
                if name not in _DIRECTIVES:
                    raise ValueError(f"{token} is no directive; there are {' '.join(f'%{known}' for known in _DIRECTIVES)}")
                if name in names:
                    raise ValueError(f"{token} stands in it twice")
                names.append(name)
                parts.append(f"(?P<{name}>{_DIRECTIVES[name]})")
            else:
                parts.append(re.escape(token))
        has = set(names)
        if not ("s" in has or (has & {"Y", "y"} and ("j" in has or (has & {"m", "b"} and "d" in has)))):
            raise ValueError("it needs a year, a month and a day, or %s")
        if "I" in has and "p" not in has:
            raise ValueError("%I needs %p")
        self._pattern = re.compile("".join(parts), re.ASCII | re.DOTALL)

    def _match(self, path: str) -> re.Match[str] | None:
        parts = path.split("/")
        return self._pattern.fullmatch("/".join(parts[-1 - self._folders :]))

    def time(self, path: str) -> Time | None:
        """The time of a path, or None where the path is another or its time no real one."""
        match = self._match(path)
        if match is None:
            return None
        found = match.groupdict()
        if "s" in found:
            return time_of(found["s"])
        year = int(found["Y"]) if "Y" in found else 2000 + int(found["y"])
        hour = int(found.get("H") or 0)
        with contextlib.suppress(ValueError, OverflowError):
            if "I" in found:
                if not 1 <= int(found["I"]) <= 12:
                    return None
                hour = int(found["I"]) % 12 + (12 if found["p"].lower() == "pm" else 0)
            if "j" in found:
                date = dt.date(year, 1, 1) + dt.timedelta(days=int(found["j"]) - 1)
                if date.year != year:
                    return None
            else:
                month = int(found["m"]) if "m" in found else _MONTHS.index(found["b"].lower()) + 1
                date = dt.date(year, month, int(found["d"]))
            text = f"{date:%Y-%m-%d}T{hour:02}:{int(found.get('M') or 0):02}:{int(found.get('S') or 0):02}"
            zone = found.get("z") or ""
            if zone and zone != "Z" and ":" not in zone:
                zone = f"{zone[:3]}:{zone[3:]}"
            return time_of(f"{text}.{(found.get('f') or '0')}{zone}")
        return None

    def without_times(self, path: str) -> str:
        """The path with a mark for each directive; as :func:`without_times` has it where it does not match."""
        match = self._match(path)
        if match is None:
            return without_times(path)
        text = match.string
        for name in sorted(match.groupdict(), key=match.start, reverse=True):
            text = f"{text[: match.start(name)]}{_TIME_MARK}{text[match.end(name) :]}"
        head = path[: len(path) - len(match.string)]
        return without_times(f"{head}{text}")
