"""How a game appears in the API: under which ids, when it is listed, and what its commence_time says at any moment."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.market.simulator.draws import Draws
from pipeline.market.simulator.fixtures import Game
from pipeline.market.simulator.world import DAY, HOUR, Sport


@dataclass(frozen=True, slots=True)
class Listing:
    """One event id.

    Attributes:
        event_id: 32 lower-case hex digits.
        game: what is played.
        schedule: (from, commence_time) pairs in order; the last one whose ``from`` has come holds.
        listed: (from, to) stretches, half open, in which odds and events show it.
        start, end: when the game truly starts and ends.
        played: False where the game goes on under another id.

    All times are epoch seconds.
    """

    event_id: str
    game: Game
    schedule: tuple[tuple[int, int], ...]
    listed: tuple[tuple[int, int], ...]
    start: int
    end: int
    played: bool

    @property
    def sport(self) -> Sport:
        """Its sport."""
        return self.game.sport

    def is_listed(self, at: int) -> bool:
        """Whether odds and events show it."""
        return any(begin <= at < end for begin, end in self.listed)

    def commence(self, at: int) -> int:
        """What commence_time says."""
        value = self.schedule[0][1]
        for since, said in self.schedule:
            if since > at:
                break
            value = said
        return value

    def commence_in_scores(self, at: int) -> int:
        """What commence_time says in scores: once it runs, the true start."""
        return self.start if self.played and at >= self.start + 60 else self.commence(at)


_POSTING = 4 * HOUR
_GAPS = (9000, 10800, 12600, 14400, 16200, 18000, 19600, 19600, 21600, 25200, 28800, 32400, 36000, 37700, 86400, 259200)
_MOVES = (-73800, -61200, -28800, -21600, -12600, 12600, 15300, 21600, 25200)
_CORRECTIONS = (-31080, -28800, -21600, -18000, -14400, -12600, -10800)


def listings_of(draws: Draws, game: Game) -> tuple[Listing, ...]:
    """The ids under which a game is carried: mostly one, sometimes two."""
    sport, label = game.sport, game.label
    if sport.reissued and draws.chance(f"{label}/reissued", sport.reissued):
        # Withdrawn and carried on under a second id at another hour, as after a postponement; for a while both may show.
        handover = game.scheduled - draws.between(f"{label}/handover", 2, 9) * 1800
        shift = draws.between(f"{label}/shift", 2, 11) * 1800
        old = _listing(draws, game, "", game.scheduled - shift, last=handover)
        overlap = draws.between(f"{label}/overlap", -1800, 7200)
        return (old, _listing(draws, game, "/2", game.scheduled, first=handover - overlap))
    return (_listing(draws, game, "", game.scheduled),)


def _listing(
    draws: Draws, game: Game, suffix: str, scheduled: int, first: int | None = None, last: int | None = None
) -> Listing:
    sport, label = game.sport, game.label + suffix
    lead = draws.between(f"{label}/lead", *sport.lead)
    # Books post many games at once: the moment of the first listing falls on a grid of four hours.
    begin = (
        (scheduled - lead) // _POSTING * _POSTING + draws.between(f"posting/{sport.key}", 0, 1800) if first is None else first
    )
    changes: list[tuple[int, int]] = []

    start = scheduled + draws.between(f"{label}/late", *sport.start_delay)
    if draws.chance(f"{label}/rained", sport.rained):
        wait = 12600 if sport.kind == "football" else draws.between(f"{label}/rain", 6, 12) * 300
        start += wait
        changes.append((scheduled + draws.between(f"{label}/rain-known", 2, 9) * 60, scheduled + wait))
    elif draws.chance(f"{label}/delayed", sport.delayed):
        for step in range(1, 1 + draws.between(f"{label}/steps", 1, 3)):
            changes.append(
                (scheduled - 1200 + step * 420 + draws.between(f"{label}/step/{step}", 0, 200), scheduled + 300 * step)
            )
            start = max(start, scheduled + 300 * step + 40)
    if last is not None:
        start = max(start, last + 60)  # what is carried on under another id never starts under this one
    end = start + draws.between(f"{label}/duration", *sport.duration)

    if draws.chance(f"{label}/rewritten", sport.rewritten):
        known = start + draws.between(f"{label}/known", 60, 840)
        changes.append((known, start))
        if draws.chance(f"{label}/again", 0.15):  # the first rewrite was a guess
            changes[-1] = (known, start - draws.between(f"{label}/guess", 30, 150))
            changes.append((known + draws.between(f"{label}/later", 300, 1500), start))
    if draws.chance(f"{label}/corrected", sport.corrected):
        shift = _CORRECTIONS[draws.integer(f"{label}/correction") % len(_CORRECTIONS)]
        changes.append((start + draws.between(f"{label}/corrected-at", 5400, 9000), scheduled + shift))

    opening = scheduled
    if first is None:
        if draws.chance(f"{label}/nudged", sport.nudged):
            opening = scheduled - (60, 60, 60, 300, -300)[draws.integer(f"{label}/nudge") % 5]
            changes.append((scheduled - draws.between(f"{label}/nudged-at", lead // 8, lead // 2), scheduled))
        elif draws.chance(f"{label}/moved", sport.moved):
            opening = scheduled - _MOVES[draws.integer(f"{label}/move") % len(_MOVES)]
            changes.append((scheduled - draws.between(f"{label}/moved-at", lead // 4, lead * 3 // 4), scheduled))
        if draws.chance(f"{label}/flapped", sport.flapped):
            away = scheduled - draws.between(f"{label}/flapped-at", lead // 6, lead // 2)
            there = scheduled + (3600 if draws.integer(f"{label}/flap") & 1 else -3600)
            changes.append((away, there))
            changes.append((away + draws.between(f"{label}/flap-hours", 4, 12) * 1800, scheduled))

    gone = end + draws.between(f"{label}/linger", *sport.linger) if last is None else last
    listed: list[tuple[int, int]] = [(begin, gone)]
    if first is None and last is None and draws.chance(f"{label}/withdrawn", sport.withdrawn):
        # Whole lists are pulled and posted again together.
        away = begin + 5400 + draws.between(f"{label}/away", lead // 6, lead // 2) // (3 * _POSTING) * (3 * _POSTING)
        gap = min(_GAPS[draws.integer(f"{sport.key}/gap/{away}") % len(_GAPS)], lead // 3)
        listed = [(begin, away), (away + gap, gone)]

    changes.sort()
    return Listing(
        event_id=draws.block(f"{label}/id", 16).hex(),
        game=game,
        schedule=((begin - 400 * DAY, opening), *changes),
        listed=tuple(listed),
        start=start,
        end=end,
        played=last is None,
    )


def reach(sport: Sport) -> tuple[int, int]:
    """Within how many seconds before and after a game's schedule it can matter: listed before, or a result after."""
    return sport.lead[1] + DAY, sport.duration[1] + 4 * DAY + 6 * HOUR
