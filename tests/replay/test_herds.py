"""Markets in which many books move one way: lines, moves and steam agree with the model, however the batches come."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence
from typing import Any, Final

import pytest

from pipeline.clock import UTC, to_iso
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.coverage import coverage_of
from pipeline.recording.model import Batch, Exchange, PlanIdentity
from tests.conftest import Project
from tests.replay.model import Gold
from tests.replay.support import Databases, assert_model_agrees, differences, digests, read_gold, take
from tests.replay.transcript import Transcript

NOON: Final = dt.datetime(2026, 1, 10, 12, tzinfo=UTC)
START: Final = NOON + dt.timedelta(hours=20)
# two of one desk, an exchange, and a fantasy operator
BOOKS: Final = (
    "betfair_ex_uk", "betmgm", "betonlineag", "bovada", "draftkings", "fanatics", "fanduel", "lowvig", "pinnacle", "prizepicks",
)  # fmt: skip
MARKETS: Final = ("h2h", "spreads", "totals")
# minutes between captures: within the window, its very length, beyond it, the quiet time and beyond it
PAUSES: Final = (1, 4, 5, 5, 10, 10, 15, 16, 30, 31)
MODELLED: Final = ("gold.consensus_line", "gold.moves", "gold.steam")


def herd(seed: int, captures: int = 60) -> list[Batch]:
    """Batches of one game, by chance that the seed fixes: now and then the market leans one way, and some follow."""
    draw = random.Random(seed)
    point = {(book, market): {"h2h": 0.0, "spreads": -3.0, "totals": 43.0}[market] for book in BOOKS for market in MARKETS}
    price = dict.fromkeys(point, 1.9)
    gone: set[str] = set()
    at, lean, batches = NOON, 0, []
    for _ in range(captures):
        at += dt.timedelta(minutes=draw.choice(PAUSES))
        lean = draw.choice((lean, lean, 0, 1, -1))
        for key in point:
            if lean and draw.random() < 0.3:
                if key[1] == "h2h" or draw.random() < 0.3:
                    price[key] = draw.choice((1.75, 1.85, 1.9, 1.92, 2.0))
                else:
                    point[key] += draw.choice((0.5, 0.5, 0.25, 1.0)) * (lean if draw.random() < 0.9 else -lean)
        gone = {book for book in BOOKS if draw.random() < (0.6 if book in gone else 0.05)}
        batches.append(_batch(at, draw, gone, point, price))
    return batches


def _batch(
    at: dt.datetime,
    draw: random.Random,
    gone: set[str],
    point: dict[tuple[str, str], float],
    price: dict[tuple[str, str], float],
) -> Batch:
    def outcomes(book: str, market: str) -> list[dict[str, Any]]:
        line, first = point[(book, market)], price[(book, market)]
        names = ("Over", "Under") if market == "totals" else ("Hawks", "Bulls")
        points: tuple[dict[str, float], dict[str, float]] = ({"point": line}, {"point": line})
        if market == "spreads":
            points = ({"point": line}, {"point": -line})
        elif market == "h2h":
            points = ({}, {})
        found = [{"name": names[0], "price": first, **points[0]}, {"name": names[1], "price": 1.9, **points[1]}]
        # now and then a set is broken
        return found if draw.random() > 0.03 else found[:1]

    stamp = to_iso(at - dt.timedelta(seconds=20))
    event = {
        "id": "a" * 32,
        "sport_key": "americanfootball_nfl",
        "sport_title": "NFL",
        "commence_time": to_iso(START),
        "home_team": "Hawks",
        "away_team": "Bulls",
        "bookmakers": [
            {
                "key": book,
                "title": book.title(),
                "last_update": stamp,
                "markets": [
                    {"key": market, "last_update": stamp, "outcomes": outcomes(book, market)}
                    for market in MARKETS
                    if draw.random() > 0.02
                ],
            }
            for book in BOOKS
            if book not in gone
        ],
    }
    params = {"bookmakers": ",".join(BOOKS), "markets": ",".join(MARKETS), "oddsFormat": "decimal"}
    request = ApiRequest.of("odds", sport="americanfootball_nfl", params=params)
    exchange = Exchange(0, 1, request, coverage_of(request), at, 200, body=json.dumps([event]).encode())
    plan = PlanIdentity({"kind": "herd"})
    return Batch(plan.batch_id(at), at, plan, "simulated", (exchange,))


def shuffled(batches: Sequence[Batch], seed: int) -> list[Batch]:
    return random.Random(seed).sample(batches, len(batches))


SEEDS: Final = (0, 1)


def test_there_is_enough_of_every_kind_to_tell() -> None:
    found = [Gold(herd(seed)).tables() for seed in SEEDS]
    steam = [row for tables in found for row in tables["gold.steam"].values()]
    assert sum(len(tables["gold.moves"]) for tables in found) > 250 and len(steam) > 8
    assert {(row["too_coarse"], row["first_is_tied"]) for row in steam} >= {(False, False), (False, True), (True, True)}
    assert {row["direction"] for row in steam} == {"home", "away", "over", "under"}
    assert any(row["other_way_count"] for row in steam)


@pytest.mark.proof
@pytest.mark.parametrize("seed", SEEDS)
def test_however_the_batches_come_they_are_the_models(
    seed: int, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = herd(seed)
    model = Gold(batches).tables()
    golden = {}
    ways = {
        "recorded": (batches, 1),
        "shuffled": (shuffled(batches, seed), 4),
        "reversed": (batches[::-1], 7),
        "at once": (batches, 0),
    }
    with transcript.on_small_markets():
        for way, (order, step) in ways.items():
            with databases() as warehouse:
                take(warehouse, project, order, step=step)
                lines = differences(read_gold(warehouse), model)
                assert not lines, "\n".join([f"{way}: SQL and the model differ", *lines])
                golden[way] = digests(warehouse)
    assert len({tuple(sorted(found.items())) for found in golden.values()}) == 1, golden


def test_nothing_that_comes_later_changes_a_move_or_a_steam(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = herd(7, captures=40)
    seen: dict[tuple[Any, ...], Any] = {}
    with transcript.on_small_markets(), databases() as warehouse:
        for batch in batches:
            take(warehouse, project, [batch])
            gold = read_gold(warehouse)
            rows = {(table, *key): row for table in ("gold.moves", "gold.steam") for key, row in gold[table].items()}
            assert {key: rows.get(key) for key in seen} == seen, batch.batch_id
            new = rows.keys() - seen.keys()
            assert {
                max(row[name] for name in ("changed_at", "triggered_at") if name in row) for row in map(rows.get, new) if row
            } <= {batch.scheduled_at}
            seen = rows
        assert_model_agrees(warehouse, Gold(batches))
    assert any(key[0] == "gold.steam" for key in seen)
