"""What a request asks about, read from the request alone."""

from __future__ import annotations

import contextlib
import datetime as dt

from pipeline.clock import from_iso, is_datable
from pipeline.errors import UsageError
from pipeline.odds_api.catalogue import books_of, with_lay
from pipeline.odds_api.endpoints import IMPORTED, asked_markets, endpoint, split_list
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Coverage


def coverage_of(request: ApiRequest) -> Coverage:
    """What a live request covers.

    Markets are those asked for, the API's default, and the lay markets that come by themselves. ``bookmakers`` wins
    over ``regions``, which mean the catalogue's books. ``upcoming`` and endpoints without events cover only the events
    that the answer shows.

    Raises:
        UsageError: ``UNKNOWN_ENDPOINT``, ``UNKNOWN_REGION``, ``COMMENCE_TIME_INVALID``.
    """
    row = endpoint(request.endpoint)
    upcoming = request.sport == "upcoming"
    events: tuple[str, ...] | None = None
    if row.has_event:
        events = () if request.event_id is None else (request.event_id,)
    elif upcoming or row.name in ("sports", "participants", *IMPORTED):
        events = ()
    elif "eventIds" in row.params:
        events = split_list(request.param("eventIds")) or None
    books: tuple[str, ...] = ()
    if row.has_books:
        books = split_list(request.param("bookmakers")) or books_of(split_list(request.param("regions")))
    has_window = "commenceTimeFrom" in row.params and not upcoming
    begin, end = (_bound(request, name) if has_window else None for name in ("commenceTimeFrom", "commenceTimeTo"))
    if begin is not None and end is not None and end < begin:
        raise UsageError(
            "COMMENCE_TIME_INVALID", "commenceTimeTo is before commenceTimeFrom.", "Write the earlier time as commenceTimeFrom."
        )
    return Coverage(
        sport=None if upcoming else request.sport,
        events=events,
        markets=with_lay(asked_markets(request)),
        books=books,
        commence_from=begin,
        commence_to=end,
    )


def _bound(request: ApiRequest, name: str) -> dt.datetime | None:
    text = request.param(name)
    if text is None:
        return None
    with contextlib.suppress(ValueError):
        moment = from_iso(text)
        if is_datable(moment):
            return moment
    raise UsageError(
        "COMMENCE_TIME_INVALID", f"{name} {text!r} is no time from 1990 to 2100.", "Write it as 2025-10-09T00:00:00Z."
    )
