"""A final score stays, a later start under its id is another game: the model agrees, in every order."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.clock import UTC, to_iso
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity
from tests.conftest import Project
from tests.replay.model import Gold
from tests.replay.support import Databases, assert_model_agrees, digests, read_gold, take
from tests.replay.transcript import Transcript

START = dt.datetime(2026, 1, 10, 17, tzinfo=UTC)
SPORT, GAME = "baseball_mlb", "e" * 32

Json = dict[str, Any]


def hours(count: float) -> dt.datetime:
    return START + dt.timedelta(hours=count)


def game(start: float, **more: Any) -> Json:
    return {
        "id": GAME, "sport_key": SPORT, "sport_title": "MLB", "commence_time": to_iso(hours(start)),
        "home_team": "Hawks", "away_team": "Bulls", **more,
    }  # fmt: skip


def answer(endpoint: str, at: float, event: Json) -> Batch:
    markets = ("h2h",) if endpoint == "odds" else ()
    params = {"bookmakers": "fanduel", "markets": "h2h", "oddsFormat": "decimal"} if markets else {"daysFrom": "1"}
    coverage = Coverage(sport=SPORT, markets=markets, books=("fanduel",) if markets else ())
    request = ApiRequest.of(endpoint, sport=SPORT, params=params)
    plan = PlanIdentity({"kind": endpoint})
    exchange = Exchange(0, 1, request, coverage, hours(at), 200, body=json.dumps([event]).encode())
    return Batch(plan.batch_id(hours(at)), hours(at), plan, "import", (exchange,))


def score(at: float, *points: int | str, completed: bool = True, start: float = 0) -> Batch:
    told = [{"name": name, "score": str(each)} for name, each in zip(("Hawks", "Bulls"), points, strict=False)]
    return answer("scores", at, game(start, completed=completed, scores=told or None, last_update=None))


def odds(at: float, start: float = 0) -> Batch:
    market = {"key": "h2h", "outcomes": [{"name": "Hawks", "price": 1.5}, {"name": "Bulls", "price": 2.7}]}
    read = to_iso(hours(at))
    return answer(
        "odds",
        at,
        game(start, bookmakers=[{"key": "fanduel", "title": "FanDuel", "last_update": read, "markets": [market]}]),
    )


# answers, and the score that counts with what is wrong with it
CASES: dict[str, tuple[Callable[[], list[Batch]], tuple[Any, ...]]] = {
    "finished, then not, and without a score": (
        lambda: [odds(-1), score(3, 71, 68), score(27, completed=False)],
        (True, 71, 68, 3, 3, "final_taken_back"),
    ),
    "finished, then not, with another score": (
        lambda: [odds(-1), score(3, 2, 2), score(4, 3, 2, completed=False)],
        (True, 2, 2, 3, 3, "final_taken_back"),
    ),
    "finished, then without a score": (
        lambda: [odds(-1), score(3, 2, 1), score(4)],
        (True, 2, 1, 3, 3, "final_taken_back"),
    ),
    "a later final score replaces it, and a doubt in between is settled": (
        lambda: [odds(-1), score(3, 2, 2), score(4, 2, 2, completed=False), score(5, 3, 2)],
        (True, 3, 2, 5, 5, None),
    ),
    "finished without a score, then not: nothing final was told": (
        lambda: [odds(-1), score(3), score(4, 1, 0, completed=False)],
        (False, 1, 0, 4, None, None),
    ),
    "a final score that is no number stays too": (
        lambda: [odds(-1), score(3, "W", "O"), score(4, completed=False)],
        (True, None, None, 3, 3, "score_not_numeric"),
    ),
    "the second game of a day under the first one's id": (
        lambda: [odds(-1), score(3, 5, 1), odds(3.1, start=3.5), score(4, 0, 1, completed=False, start=3.5)],
        (True, 5, 1, 3, 3, "one_id_two_games"),
    ),
    "the second game is over, with the score of the first": (
        lambda: [score(3, 5, 1), score(7, 5, 1, start=3.5)],
        (True, 5, 1, 3, 3, "one_id_two_games"),
    ),
    "the second game ends otherwise": (
        lambda: [score(3, 5, 1), score(7, 0, 4, start=3.5)],
        (True, 0, 4, 7, 3, "one_id_two_games"),
    ),
    "only odds tell of a second game": (
        lambda: [odds(-1), score(3, 5, 1), odds(3.1, start=24)],
        (True, 5, 1, 3, 3, "one_id_two_games"),
    ),
    "a game that was brought forward is one game": (
        lambda: [odds(-20, start=8), odds(-2), score(3, 5, 1), odds(4)],
        (True, 5, 1, 3, 3, None),
    ),
    "a start that was rewritten to the true one is one game": (
        lambda: [odds(-1), score(3, 5, 1, start=0.2), score(5, 5, 1, start=3)],
        (True, 5, 1, 3, 3, None),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_score_that_counts(name: str, databases: Databases, project: Project, transcript: Transcript) -> None:
    made, (completed, home, away, score_since, completed_since, problem) = CASES[name]
    batches = made()
    model = Gold(batches)
    found = set()
    with transcript.instead_of_dbt():
        for order in (batches, batches[::-1], batches[1:] + batches[:1]):
            with databases() as warehouse:
                take(warehouse, project, order)
                assert_model_agrees(warehouse, model)
                found.add(digests(warehouse)["gold.results"])
                [row] = read_gold(warehouse)["gold.results"].values()
    assert len(found) == 1
    assert (row["completed"], row["home_score"], row["away_score"], row["problem"]) == (completed, home, away, problem)
    assert row["score_since"] == hours(score_since)
    assert row["completed_since"] == (None if completed_since is None else hours(completed_since))
