"""Which games there are: the leagues' calendars, for any year, out of the seed."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pipeline.market.simulator.draws import Draws
from pipeline.market.simulator.world import DAY, FIRST_NAMES, HOUR, LAST_NAMES, Sport

_EPOCH = dt.date(1970, 1, 1)
_WEEK_ANCHOR = 5  # epoch day 5 was a Tuesday: a sporting week runs from Tuesday to Monday
GOLF_FIELD = 88


@dataclass(frozen=True, slots=True)
class Game:
    """One real game (or fight, or tournament).

    Attributes:
        sport: its sport.
        label: names its draws; unique in the world.
        home, away: teams or fighters; empty for a tournament.
        scheduled: epoch seconds of the schedule that held in the end.
        season: year in which the season began.
    """

    sport: Sport
    label: str
    home: str
    away: str
    scheduled: int
    season: int


def date_of(day: int) -> dt.date:
    """The date of an epoch day."""
    return _EPOCH + dt.timedelta(days=day)


def day_of(year: int, month: int, day: int) -> int:
    """The epoch day of a date."""
    return (dt.date(year, month, day) - _EPOCH).days


def eastern(day: int, hour: int, minute: int) -> int:
    """Epoch seconds of a local time in New York."""
    year = date_of(day).year
    offset = 4 if _sunday(year, 3, 2) <= day < _sunday(year, 11, 1) else 5
    return day * DAY + (hour + offset) * HOUR + minute * 60


def london(day: int, hour: int, minute: int) -> int:
    """Epoch seconds of a local time in London."""
    year = date_of(day).year
    offset = 1 if _sunday(year, 4, 1) - 7 <= day < _sunday(year, 11, 1) - 7 else 0
    return day * DAY + (hour - offset) * HOUR + minute * 60


def _sunday(year: int, month: int, nth: int) -> int:
    first = day_of(year, month, 1)
    return first + (3 - first) % 7 + 7 * (nth - 1)


def _season_year(day: int, first_month: int) -> int:
    date = date_of(day)
    return date.year if date.month >= first_month else date.year - 1


def _in_span(day: int, season: int, start: tuple[int, int], end: tuple[int, int]) -> bool:
    """Whether the day is within start … end of the season; an end earlier in the year lies in the next year."""
    later = season + (1 if end < start else 0)
    return day_of(season, *start) <= day <= day_of(later, *end)


def _pairs(draws: Draws, label: str, teams: tuple[str, ...], count: int) -> list[tuple[str, str]]:
    order = sorted(teams, key=lambda team: draws.integer(f"{label}/order/{team}"))
    return [(order[2 * i], order[2 * i + 1]) for i in range(min(count, len(order) // 2))]


def block_days(sport: Sport) -> int:
    """How many days of the calendar are made at once."""
    return {"football": 7, "soccer": 7, "fight": 7, "baseball": 3, "outright": 365}.get(sport.kind, 1)


def block_of(sport: Sport, day: int) -> int:
    """The block that a day belongs to."""
    if sport.kind == "outright":
        return date_of(day).year
    return (day - _WEEK_ANCHOR) // block_days(sport)


def games_of_block(draws: Draws, sport: Sport, block: int) -> list[Game]:
    """The games of one block of days, in no particular order."""
    first = block * block_days(sport) + _WEEK_ANCHOR
    if sport.kind == "outright":
        year = block
        thursday = _sunday(year, 4, 2) - 3
        return [Game(sport, f"{sport.key}|{year}", "", "", thursday * DAY + 12 * HOUR, year)]
    if sport.key == "americanfootball_nfl":
        return _nfl(draws, sport, block, first)
    if sport.key == "americanfootball_ncaaf":
        return _ncaaf(draws, sport, block, first)
    if sport.kind == "soccer":
        return _epl(draws, sport, block, first)
    if sport.kind == "fight":
        return _fights(draws, sport, block, first)
    if sport.kind == "baseball":
        return _mlb(draws, sport, block, first)
    if sport.kind == "basketball":
        return _basketball(draws, sport, block, first)
    return []


def _made(
    draws: Draws, sport: Sport, block: int, season: int, pairs: list[tuple[str, str]], starts: list[int], series: str = ""
) -> list[Game]:
    games = []
    for place, ((one, two), start) in enumerate(zip(pairs, starts, strict=False)):
        label = f"{sport.key}|{block}|{series}{place}"
        home, away = (one, two) if draws.integer(f"{label}/home") & 1 else (two, one)
        games.append(Game(sport, label, home, away, start, season))
    return games


def _nfl(draws: Draws, sport: Sport, block: int, first: int) -> list[Game]:
    thursday, sunday, monday = first + 2, first + 5, first + 6
    season = _season_year(thursday, 6)
    labor_day = day_of(season, 9, 1)
    labor_day += (4 - labor_day) % 7
    week = (first - (labor_day + 1)) // 7 + 1
    playoff = {19: 6, 20: 4, 21: 2, 23: 1}
    if not (1 <= week <= 18 or week in playoff):
        return []
    late = [eastern(sunday, 16, 5), eastern(sunday, 16, 25), eastern(sunday, 16, 25)]
    starts = [
        eastern(thursday, 20, 15),
        eastern(sunday, 20, 20),
        eastern(monday, 20, 15),
        *late,
        eastern(sunday, 9, 30) if week in (5, 6, 7, 10) else eastern(sunday, 13, 0),
        *[eastern(sunday, 13, 0)] * 9,
    ]
    count = playoff.get(week, 16)
    if week in playoff:
        starts = [eastern(sunday - i % 2, 18 if count == 1 else (13, 15, 18, 20)[i % 4], 30) for i in range(count)]
    label = f"{sport.key}|{block}"
    pairs = _pairs(draws, label, sport.teams, count if week >= 15 or not 5 <= week <= 14 else 14)
    return _made(draws, sport, block, season, pairs, starts)


def _ncaaf(draws: Draws, sport: Sport, block: int, first: int) -> list[Game]:
    saturday = first + 4
    season = _season_year(saturday, 7)
    if _in_span(saturday, season, (8, 24), (12, 8)):
        starts = [eastern(first + 2, 19, 30), eastern(first + 3, 19, 0), eastern(first + 3, 21, 0)]
        slots = (
            (12, 0),
            (12, 0),
            (12, 45),
            (14, 0),
            (15, 30),
            (15, 30),
            (16, 0),
            (18, 0),
            (19, 0),
            (19, 30),
            (20, 0),
            (22, 30),
        )
        starts += [eastern(saturday, *slots[i % len(slots)]) for i in range(34)]
    elif _in_span(saturday, season, (12, 14), (1, 8)):
        starts = [eastern(first + i % 6, (12, 15, 19)[i % 3], 30) for i in range(8)]
    else:
        return []
    return _made(draws, sport, block, season, _pairs(draws, f"{sport.key}|{block}", sport.teams, len(starts)), starts)


def _epl(draws: Draws, sport: Sport, block: int, first: int) -> list[Game]:
    saturday, sunday, monday = first + 4, first + 5, first + 6
    season = _season_year(saturday, 7)
    if not _in_span(saturday, season, (8, 14), (5, 24)) or draws.chance(f"{sport.key}|{block}/break", 0.08):
        return []
    starts = [
        london(saturday, 12, 30),
        *[london(saturday, 15, 0)] * 4,
        london(saturday, 17, 30),
        london(sunday, 14, 0),
        london(sunday, 14, 0),
        london(sunday, 16, 30),
        london(monday, 20, 0),
    ]
    return _made(draws, sport, block, season, _pairs(draws, f"{sport.key}|{block}", sport.teams, 10), starts)


def person(draws: Draws, label: str) -> str:
    """An invented name; the same label gives the same person."""
    value = draws.integer(f"{label}/person")
    name = f"{FIRST_NAMES[value % len(FIRST_NAMES)]} {LAST_NAMES[(value >> 16) % len(LAST_NAMES)]}"
    return f"{name} Jr." if (value >> 32) % 12 == 0 else name


def people(draws: Draws, label: str, count: int) -> list[str]:
    """Different invented names, in a fixed order."""
    names: list[str] = []
    number = 0
    while len(names) < count:
        name = person(draws, f"{label}/{number}")
        if name not in names:
            names.append(name)
        number += 1
    return names


def _fights(draws: Draws, sport: Sport, block: int, first: int) -> list[Game]:
    saturday = first + 4
    count = draws.between(f"{sport.key}|{block}/card", 9, 13)
    fighters = people(draws, f"{sport.key}|{block}", 2 * count)
    opening = eastern(saturday, 18, 0)
    pairs = [(fighters[2 * i], fighters[2 * i + 1]) for i in range(count)]
    return _made(draws, sport, block, date_of(saturday).year, pairs, [opening + 1800 * i for i in range(count)])


_MLB_STARTS = (
    (18, 35),
    (18, 40),
    (19, 5),
    (19, 10),
    (19, 10),
    (19, 40),
    (20, 5),
    (20, 10),
    (21, 40),
    (22, 10),
    (13, 5),
    (13, 10),
)


def _mlb(draws: Draws, sport: Sport, block: int, first: int) -> list[Game]:
    season = date_of(first).year
    label = f"{sport.key}|{block}"
    if _in_span(first, season, (3, 27), (9, 29)):
        pairs = _pairs(draws, label, sport.teams, 15)
    elif _in_span(first, season, (10, 1), (10, 30)):
        pairs = _pairs(draws, label, sport.teams, 2)
    else:
        return []
    games = []
    for place, (one, two) in enumerate(pairs):
        series = f"{label}|{place}"
        home, away = (one, two) if draws.integer(f"{series}/home") & 1 else (two, one)
        double = draws.between(f"{series}/double", 0, 47)  # day of a doubleheader: two real games, two ids
        for number in range(3):
            if draws.chance(f"{series}/free/{number}", 0.10):
                continue
            hour, minute = _MLB_STARTS[draws.integer(f"{series}/slot/{number}") % len(_MLB_STARTS)]
            start = eastern(first + number, hour, minute)
            if double == number:
                start = eastern(first + number, 18, 40)
                games.append(Game(sport, f"{series}|{number}a", home, away, eastern(first + number, 13, 5), season))
            games.append(Game(sport, f"{series}|{number}", home, away, start, season))
    return games


def _basketball(draws: Draws, sport: Sport, block: int, first: int) -> list[Game]:
    label = f"{sport.key}|{block}"
    weekday = (first - 4) % 7  # Monday = 0
    if sport.key == "basketball_wnba":
        season = date_of(first).year
        if not _in_span(first, season, (5, 16), (10, 5)):
            return []
        count = (2, 3, 2, 2, 3, 3, 4)[weekday]
    else:
        season = _season_year(first, 8)
        if _in_span(first, season, (10, 22), (4, 13)):
            count = (8, 5, 11, 4, 10, 8, 6)[weekday]
        elif _in_span(first, season, (4, 18), (6, 15)):
            count = 1 + draws.integer(f"{label}/count") % (3 if date_of(first).month < 6 else 1)
        else:
            return []
    slots = ((19, 10), (19, 10), (19, 40), (20, 10), (20, 10), (20, 40), (21, 10), (22, 10), (22, 10), (22, 40), (19, 40))
    starts = [eastern(first, *slots[i]) for i in range(count)]
    return _made(draws, sport, block, season, _pairs(draws, label, sport.teams, count), starts)


def active(sport: Sport, day: int) -> bool:
    """Whether ``/sports`` calls the sport in season on an epoch day."""
    if sport.kind == "none":
        return False
    if sport.kind == "fight":
        return True
    season = date_of(day).year
    if sport.kind == "outright":
        masters = _sunday(season, 4, 2)
        return not masters < day < masters + 30
    spans = {
        "americanfootball_nfl": ((8, 25), (2, 14)),
        "americanfootball_ncaaf": ((8, 15), (1, 10)),
        "soccer_epl": ((8, 1), (5, 26)),
        "basketball_nba": ((10, 18), (6, 17)),
        "basketball_wnba": ((5, 13), (10, 7)),
        "baseball_mlb": ((3, 24), (11, 2)),
    }
    start, end = spans[sport.key]
    return _in_span(day, season, start, end) or _in_span(day, season - 1, start, end)
