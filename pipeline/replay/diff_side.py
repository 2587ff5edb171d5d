"""What is compared with what: a side as somebody writes it on the command line. Light to import; nothing is opened here.

=========================================  ==================================================================================
``postgresql://…``, ``host=… dbname=…``    a database, by its owner's address
``warehouse:``, ``warehouse:NAME``         the standing warehouse of the settings, or another database on its server
a folder                                   a recording, which is replayed in a database of its own, or an export
… ``@2025-01-05T12:00:00Z``                each of these, as it was after the answers that were captured by then
=========================================  ==================================================================================
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pipeline.clock import to_iso
from pipeline.errors import UsageError
from pipeline.export.manifest import MANIFEST
from pipeline.export.readable import moment
from pipeline.settings import DEFAULT_ROLE_PREFIX
from pipeline.warehouse.connect import from_url

STANDING: Final = "warehouse:"
RECORDING: Final = "recording.json"
# What stands behind the last @ and begins as a day does is a time; what else does is part of an address or a name.
_TIMED: Final = re.compile(r"(?P<place>.+)@(?P<time>\d{4}-\d{2}-\d{2}[^@/]*)", re.DOTALL)
_ADDRESS: Final = re.compile(r"postgres(ql)?://|\s*\w+\s*=")
_WAYS: Final = (
    f"Write an address (postgresql://…), {STANDING} or {STANDING}NAME, or the folder of a recording or an export;"
    " and @TIME behind it for a point in time."
)


class Kind(StrEnum):
    """What holds the rows of a side."""

    ADDRESS = "address"
    STANDING = "standing"
    RECORDING = "recording"
    EXPORT = "export"


@dataclass(frozen=True, slots=True)
class Side:
    """One of two that are compared.

    Attributes:
        kind: what holds its rows.
        place: the address; the database's name, empty for the standing one; or the folder.
        at: as of which time; None: as it is.
        name: what messages and pages call it; holds no password.
    """

    kind: Kind
    place: str
    at: dt.datetime | None
    name: str

    @property
    def folder(self) -> Path:
        """Of a recording or an export."""
        return Path(self.place)


def side_of(text: str) -> Side:
    """Read a side as somebody wrote it.

    Args:
        text: as the module's head tells.

    Raises:
        UsageError: ``DIFF_SIDE_UNKNOWN``, ``DIFF_SIDE_AMBIGUOUS``, ``TIME_INVALID``, ``DATABASE_URL_INVALID``.
    """
    timed = _TIMED.fullmatch(text)
    if timed is None:
        return _placed(text, None)
    if not Path(text).exists():
        return _placed(timed["place"], moment(timed["time"], f"The time behind @ of {_shown(timed['place'])},"))
    if Path(timed["place"]).exists():
        raise UsageError(
            "DIFF_SIDE_AMBIGUOUS",
            f"{text} is a folder, and {timed['place']} at a time.",
            f"Write {Path(text).absolute()}/ for the folder, or {timed['place']}/@{timed['time']} for the time.",
        )
    return _placed(text, None)


def _placed(place: str, at: dt.datetime | None) -> Side:
    kind = _kind_of(place)
    name = f"{_shown(place)} at {to_iso(at)}" if at is not None else _shown(place)
    return Side(kind, place.removeprefix(STANDING) if kind is Kind.STANDING else place, at, name)


def _kind_of(place: str) -> Kind:
    if place.startswith(STANDING):
        if Path(place).exists():
            raise UsageError(
                "DIFF_SIDE_AMBIGUOUS",
                f"{place} is a folder, and a database of the settings' server.",
                f"Write ./{place} for the folder, or rename it.",
            )
        return Kind.STANDING
    if _ADDRESS.match(place) and not Path(place).exists():
        return Kind.ADDRESS
    folder = Path(place)
    if not folder.is_dir():
        raise UsageError("DIFF_SIDE_UNKNOWN", f"There is no folder {place}, and it is no database's address.", _WAYS)
    found = [kind for kind, file in ((Kind.RECORDING, RECORDING), (Kind.EXPORT, MANIFEST)) if (folder / file).is_file()]
    if len(found) == 2:
        raise UsageError(
            "DIFF_SIDE_AMBIGUOUS", f"{place} holds a recording and an export.", "Move one of them to a folder of its own."
        )
    if not found:
        raise UsageError(
            "DIFF_SIDE_UNKNOWN", f"{place} is neither a recording ({RECORDING}) nor an export ({MANIFEST}).", _WAYS
        )
    return found[0]


def _shown(place: str) -> str:
    """The place without a password.

    Raises:
        UsageError: ``DATABASE_URL_INVALID``.
    """
    if _ADDRESS.match(place) and not Path(place).exists():
        return from_url(place, DEFAULT_ROLE_PREFIX).place
    return place
