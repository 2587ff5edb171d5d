"""Final scores of recorded games, which no archive has with odds: drawn, and told as an answer of the API tells them."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.clock import to_iso
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity


@dataclass(frozen=True)
class Game:
    """A game that has begun.

    Attributes:
        event_id: its id.
        start_at: when it began.
        home: the team at home.
        away: the other one.
    """

    event_id: str
    start_at: dt.datetime
    home: str
    away: str


def score_batch(sport: str, games: Sequence[Game], at: dt.datetime, chance: random.Random) -> Batch:
    """A batch of one answer, received at ``at``, by which all these games of a sport are over."""
    most = 4 if sport.startswith(("soccer", "icehockey")) else 40
    told = [
        {
            "id": game.event_id, "sport_key": sport, "sport_title": sport, "commence_time": to_iso(game.start_at),
            "completed": True, "home_team": game.home, "away_team": game.away, "last_update": to_iso(at),
            "scores": [{"name": team, "score": str(chance.randrange(most))} for team in (game.home, game.away)],
        }
        for game in games
    ]  # fmt: skip
    identity = PlanIdentity({"kind": "scores", "sport": sport})
    coverage = Coverage(sport=sport, events=tuple(game.event_id for game in games))
    request = ApiRequest.of("scores", sport=sport, params={})
    exchange = Exchange(0, 1, request, coverage, at, 200, body=json.dumps(told).encode())
    return Batch(identity.batch_id(at), at, identity, "import", (exchange,))
