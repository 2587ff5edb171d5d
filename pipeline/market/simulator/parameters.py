"""Reads and checks the parameters of a request, as the API documents them."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from pipeline.clock import UTC
from pipeline.market.simulator.answers import invalid
from pipeline.market.simulator.props import PROP_KEYS
from pipeline.market.simulator.world import BOOKS, Book, Sport
from pipeline.odds_api.catalogue import BOOKS_BY_REGION, GAME_MARKETS
from pipeline.odds_api.request import ApiRequest

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
_KNOWN_BOOKS = frozenset(key for books in BOOKS_BY_REGION.values() for key in books) | {book.key for book in BOOKS}
_GAME_FEATURED = ("h2h", "h2h_lay", "spreads", "totals")
_FUTURE_FEATURED = ("outrights", "outrights_lay")
_OTHER_PROPS = frozenset(
    word
    for line in (
        "player_assists_alternate player_blocks player_field_goals player_first_basket player_goal_scorer_anytime",
        "player_pass_tds player_pass_tds_alternate player_pass_yds_alternate player_points_assists",
        "player_points_rebounds player_points_rebounds_assists player_points_rebounds_assists_alternate",
        "player_rebounds_alternate player_reception_yds player_receptions player_rush_attempts",
        "player_rush_yds_alternate player_shots_on_target player_steals player_threes player_threes_alternate",
        "player_triple_double player_turnovers player_1st_td player_last_td player_to_receive_card batter_hits",
        "batter_rbis batter_runs_scored batter_stolen_bases batter_strikeouts batter_total_bases batter_walks",
        "pitcher_earned_runs pitcher_hits_allowed pitcher_outs pitcher_walks pitcher_record_a_win",
    )
    for word in line.split()
)
_INCLUDES = {
    "includeLinks": ("INVALID_INCLUDE_LINKS", "links"),
    "includeSids": ("INVALID_INCLUDE_SIDS", "sids"),
    "includeBetLimits": ("INVALID_INCLUDE_BET_LIMITS", "bet_limits"),
    "includeMultipliers": ("INVALID_INCLUDE_MULTIPLIERS", "multipliers"),
    "includeRotationNumbers": ("INVALID_INCLUDE_ROTATION_NUMBERS", "rotation_numbers"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """A request's checked parameters.

    Attributes:
        american: american rather than decimal odds.
        unix: timestamps as epoch seconds.
        include: of links, sids, bet_limits, multipliers, rotation_numbers.
        event_ids: filter, or None.
        commence_from, commence_to: inclusive bounds in epoch seconds, or None.
    """

    american: bool
    unix: bool
    include: frozenset[str]
    event_ids: frozenset[str] | None
    commence_from: int | None
    commence_to: int | None


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def epoch_of(text: str) -> int | None:
    """Epoch seconds of ``YYYY-MM-DDTHH:MM:SSZ``; None for any other text, however close."""
    if not _ISO.fullmatch(text):
        return None
    try:
        return int(dt.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
    except ValueError:
        return None


def flag(request: ApiRequest, name: str, code: str) -> bool:
    """A literal ``true`` or ``false``."""
    text = request.param(name, "false")
    if text not in ("true", "false"):
        raise invalid(code, f"Invalid {name} parameter. Valid values are true, false")
    return text == "true"


def options(request: ApiRequest) -> Options:
    """Check the parameters that several endpoints share.

    Raises:
        Refused: the documented 422.
    """
    odds_format = request.param("oddsFormat", "decimal")
    if odds_format not in ("decimal", "american"):
        raise invalid("INVALID_ODDS_FORMAT", "Invalid oddsFormat parameter. Valid values are decimal, american")
    date_format = request.param("dateFormat", "iso")
    if date_format not in ("iso", "unix"):
        raise invalid("INVALID_DATE_FORMAT", "Invalid dateFormat parameter. Valid values are iso, unix")
    include = frozenset(word for name, (code, word) in _INCLUDES.items() if flag(request, name, code))
    event_ids: frozenset[str] | None = None
    if (ids := request.param("eventIds")) is not None:
        if not _words(ids) or any(not _EVENT_ID.fullmatch(word) for word in _words(ids)):
            raise invalid("INVALID_EVENT_IDS", "Invalid eventIds parameter. Event ids have 32 characters")
        event_ids = frozenset(_words(ids))
    bounds: list[int | None] = []
    for name, code in (("commenceTimeFrom", "INVALID_COMMENCE_TIME_FROM"), ("commenceTimeTo", "INVALID_COMMENCE_TIME_TO")):
        text = request.param(name)
        bound = None if text is None else epoch_of(text)
        if text is not None and bound is None:
            raise invalid(code, f"Invalid {name} parameter. The format is YYYY-MM-DDTHH:MM:SSZ")
        bounds.append(bound)
    if bounds[0] is not None and bounds[1] is not None and bounds[0] > bounds[1]:
        raise invalid("INVALID_COMMENCE_TIME_RANGE", "commenceTimeFrom must not be after commenceTimeTo")
    return Options(odds_format == "american", date_format == "unix", include, event_ids, bounds[0], bounds[1])


def books(request: ApiRequest) -> tuple[tuple[Book, ...], int]:
    """The books asked for, and how many regions they are billed as.

    Raises:
        Refused: MISSING_REGION, INVALID_REGION or INVALID_BOOKMAKERS.
    """
    named = list(dict.fromkeys(_words(request.param("bookmakers") or "")))
    if named:
        unknown = [key for key in named if key not in _KNOWN_BOOKS]
        if unknown:
            raise invalid("INVALID_BOOKMAKERS", f"Invalid bookmakers: {', '.join(unknown)}")
        return tuple(book for book in BOOKS if book.key in named), -(-len(named) // 10)
    regions = list(dict.fromkeys(_words(request.param("regions") or "")))
    if not regions:
        raise invalid("MISSING_REGION", "Missing regions or bookmakers key")
    unknown = [key for key in regions if key not in BOOKS_BY_REGION]
    if unknown:
        raise invalid("INVALID_REGION", f"Invalid regions: {', '.join(unknown)}")
    return tuple(book for book in BOOKS if any(region in regions for region in book.regions)), len(regions)


def markets(request: ApiRequest, sport: Sport | None, *, every: bool) -> tuple[str, ...]:
    """The market keys asked for, each once, in the order asked.

    Args:
        request: the request.
        sport: the sport, or None for ``upcoming``.
        every: whether markets beyond the featured ones may be asked for.

    Raises:
        Refused: MISSING_MARKET, INVALID_MARKET or INVALID_MARKET_COMBO.
    """
    outright = sport is not None and sport.kind == "outright"
    text = request.param("markets")
    if text is None:
        return ("outrights",) if outright else ("h2h",)
    keys = tuple(dict.fromkeys(_words(text)))
    if not keys:
        raise invalid("MISSING_MARKET", "Missing markets parameter")
    wrong = [key for key in keys if not _known(key, every)]
    if wrong:
        raise invalid("INVALID_MARKET", f"Invalid markets: {', '.join(wrong)}")
    misfits = [key for key in keys if (key in _FUTURE_FEATURED) != outright]
    if misfits:
        raise invalid("INVALID_MARKET_COMBO", f"Invalid combination of markets and sport: {', '.join(misfits)}")
    return keys


def _known(key: str, every: bool) -> bool:
    if key in _GAME_FEATURED or key in _FUTURE_FEATURED:
        return True
    return every and (key in GAME_MARKETS or key in PROP_KEYS or key in _OTHER_PROPS)


def checked_event_id(request: ApiRequest) -> str:
    """The event id of the path.

    Raises:
        Refused: INVALID_EVENT_ID.
    """
    event_id = request.event_id or ""
    if len(event_id) != 32:
        raise invalid("INVALID_EVENT_ID", "Invalid eventId parameter. Event ids have 32 characters")
    return event_id
