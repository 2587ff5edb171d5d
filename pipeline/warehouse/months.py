"""Months (UTC): what grows is kept by the month in which its answer was captured, and old months may be archived.

Archived is always everything before one month: of those months bodies and silver rows are in recordings and no longer here;
the index of what came, and gold, stay.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pipeline.clock import UTC
from pipeline.errors import UsageError, WarehouseError

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])")


def month_of(moment: dt.datetime) -> dt.date:
    """The first day of the month (UTC) that an aware time lies in."""
    return moment.astimezone(UTC).date().replace(day=1)


def month_from(text: str) -> dt.date:
    """The month that ``2025-10`` names.

    Raises:
        UsageError: ``MONTH_INVALID``.
    """
    found = _MONTH.fullmatch(text)
    if found is None or found[1] == "0000":
        raise UsageError("MONTH_INVALID", f"{text!r} names no month.", "Write it as YYYY-MM, such as 2025-10.")
    return dt.date(int(found[1]), int(found[2]), 1)


def month_text(month: dt.date) -> str:
    """``2025-10``."""
    return month.isoformat()[:7]


def following(month: dt.date) -> dt.date:
    """The month after a month."""
    return (month + dt.timedelta(days=31)).replace(day=1)


def archived_months(session: Any) -> tuple[dt.date, ...]:
    """The months that are archived, in order; by any session of psycopg or psycopg2."""
    with session.cursor() as cursor:
        cursor.execute("select month from ops.archived_months order by month")
        return tuple(month for (month,) in cursor.fetchall())


def refuse_archived(session: Any, needed: Iterable[dt.datetime], who: str) -> None:
    """Stop what needs rows of archived months.

    Args:
        session: sees ``ops.archived_months``.
        needed: the times whose rows are needed, and those of all later ones.
        who: what needs them, to begin a sentence with.

    Raises:
        WarehouseError: ``MONTHS_ARCHIVED``; names the months.
    """
    since = min((month_of(moment) for moment in needed), default=None)
    if since is not None:
        _refuse([month for month in archived_months(session) if month >= since], who)


def refuse_any_archived(session: Any, who: str) -> None:
    """Stop what needs all that ever came.

    Raises:
        WarehouseError: ``MONTHS_ARCHIVED``; names the months.
    """
    _refuse(archived_months(session), who)


def _refuse(months: Sequence[dt.date], who: str) -> None:
    if months:
        names = ", ".join(map(month_text, months))
        raise WarehouseError(
            "MONTHS_ARCHIVED",
            f"{who} needs months that are archived: {names}.",
            f"Bring them back with `sports-market archive --restore --since {month_text(months[0])}`.",
        )
