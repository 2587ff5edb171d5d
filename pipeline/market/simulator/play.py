"""What happens on the field: ratings, expectations, and the score at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from pipeline.market.simulator.draws import Draws
from pipeline.market.simulator.listings import Listing
from pipeline.market.simulator.maths import clamp

# (seconds between jumps at tempo 1, share of the sport's walk); the second pair only in the last hours before the start.
_SLOW = ((345600, 0.85), (108000, 0.65), (46800, 0.45))
_FAST = ((10800, 0.30), (5400, 0.20))
_FAST_FROM = 5 * 3600


@lru_cache(maxsize=64)
def _steps(tempo: float, fast: bool) -> tuple[tuple[int, float], ...]:
    return tuple((int(period * tempo), size) for period, size in (_SLOW + _FAST if fast else _SLOW))


@dataclass(frozen=True, slots=True)
class Score:
    """State of a game.

    Attributes:
        home, away: points so far.
        done: share of the playing time that is over, 0 … 1.
    """

    home: int
    away: int
    done: float


class Play:
    """The course of one event.

    Args:
        draws: the seed's draws.
        listing: the event.
    """

    __slots__ = ("_draws", "_scoring", "base_margin", "base_total", "label", "listing")

    def __init__(self, draws: Draws, listing: Listing) -> None:
        game, sport = listing.game, listing.sport
        self._draws = draws
        self.listing = listing
        self.label = game.label
        rating = {
            side: draws.bell(f"{sport.key}/{game.season}/rating/{team}") * sport.rating_sd
            for side, team in (("home", game.home), ("away", game.away))
        }
        pace = draws.bell(f"{sport.key}/{game.season}/pace/{game.home}") + draws.bell(
            f"{sport.key}/{game.season}/pace/{game.away}"
        )
        form = draws.bell(f"{self.label}/form") * sport.rating_sd * 0.35
        self.base_margin = rating["home"] - rating["away"] + sport.home_edge + form
        self.base_total = sport.total_mean + pace * sport.total_sd * 0.16
        self._scoring: tuple[tuple[float, int, int], ...] | None = None

    def expected(self, at: int) -> tuple[float, float]:
        """The market's fair margin (home minus away) and total before the start."""
        sport, start = self.listing.sport, self.listing.start
        steps = _steps(sport.tempo, at >= start - _FAST_FROM)
        at = min(at, start)
        margin = self.base_margin + sport.walk * self._draws.walk(f"{self.label}/margin", at, steps)
        total = self.base_total + sport.walk * self._draws.walk(f"{self.label}/total", at, steps)
        return margin, max(total, sport.total_mean * 0.4)

    def score(self, at: int) -> Score:
        """The score at a moment; level at nil before the start, final from the end on."""
        listing = self.listing
        if at < listing.start:
            return Score(0, 0, 0.0)
        done = min(1.0, (at - listing.start) / (listing.end - listing.start))
        if self._scoring is None:
            self._scoring = self._course()
        home = away = 0
        for when, side, points in self._scoring:
            if when > done:
                break
            if side == 0:
                home += points
            else:
                away += points
        return Score(home, away, done)

    def final(self) -> Score:
        """The final score."""
        return self.score(self.listing.end)

    def _course(self) -> tuple[tuple[float, int, int], ...]:
        """Every score of the game: (share of the playing time, side, points), in order of time."""
        sport = self.listing.sport
        margin, total = self.expected(self.listing.start)
        course: list[tuple[float, int, int]] = []
        for side, mean in ((0, (total + margin) / 2), (1, (total - margin) / 2)):
            mean = clamp(mean, sport.total_mean * 0.12, sport.total_mean)
            chance = self._draws.block(f"{self.label}/course/{side}")
            place = self._draws.block(f"{self.label}/course/{side}/place")
            if sport.kind == "football":
                for drive in range(11):
                    value = chance[drive] / 256
                    touchdown, field_goal = mean / 11 * 0.105, mean / 11 * 0.085
                    points = 7 if value < touchdown else 3 if value < touchdown + field_goal else 0
                    if points == 7 and place[drive + 20] < 18:
                        points = 6 if place[drive + 20] < 12 else 8
                    course.append(((drive + place[drive] / 256) / 11, side, points))
            elif sport.kind == "basketball":
                for minute in range(48):
                    points = int(mean / 48 * 2 * chance[minute] / 256 + place[minute] / 256)
                    course.append(((minute + 0.5 + side * 0.25) / 48, side, points))
            elif sport.kind == "soccer":
                scale = mean / 30
                for third in range(30):
                    if chance[third] / 256 < scale:
                        course.append(((third + place[third] / 256) / 30, side, 1))
            elif sport.kind == "baseball":
                scale = mean / 9 / 0.5
                for inning in range(9):
                    value = chance[inning] / 256
                    points = 0
                    for least, share in ((1, 0.28), (2, 0.12), (3, 0.06), (4, 0.04)):
                        if value < share * scale:
                            points = least
                    course.append(((inning + (0.25 if side else 0.75)) / 9, side, points))
        course.sort()
        home = away = 0
        for _, side, points in course:
            home, away = (home + points, away) if side == 0 else (home, away + points)
        if home == away and sport.kind in ("football", "basketball", "baseball"):
            # Football ties are rare but real (professional only); the others play on until one leads.
            tied = sport.key == "americanfootball_nfl" and self._draws.chance(f"{self.label}/tie", 0.15)
            winner = self._draws.integer(f"{self.label}/overtime") & 1
            extra = {"football": 3, "basketball": self._draws.between(f"{self.label}/ot-by", 1, 9), "baseball": 1}[sport.kind]
            if not tied:
                course.append((0.9999, winner, extra))
        return tuple((when, side, points) for when, side, points in course if points)
