"""The simulated market is a pure function of seed, time and request."""

from __future__ import annotations

import ast
import datetime as dt
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.market.simulator as package
from pipeline.clock import UTC
from pipeline.market.simulator import SimulatedMarket
from pipeline.market.simulator.world import SPORTS
from pipeline.odds_api.request import ApiRequest

FOLDER = Path(package.__file__).parent
START = dt.datetime(2025, 10, 11, 18, 3, 7, tzinfo=UTC)
# The digest of all QUESTIONS' answers. It may change only together with the bundled recording, which must be made anew then.
PINNED = "ea1f404c38cd4693685c9402b0b26f4cc3cd89744bf8a2ed2fe80b1908f0e08f"


def _ask(endpoint: str, sport: str | None = None, **params: str) -> ApiRequest:
    return ApiRequest.of(endpoint, sport=sport, params=params)


@cache
def _questions() -> Sequence[tuple[ApiRequest, dt.datetime]]:
    """Requests of many kinds, at times that go to and fro."""
    questions: list[tuple[ApiRequest, dt.datetime]] = []
    for step in range(6):
        at = START + dt.timedelta(minutes=step * 47)
        for sport in SPORTS:
            if sport.kind == "none":
                continue
            markets = "outrights" if sport.kind == "outright" else "h2h,spreads,totals"
            questions.append((_ask("odds", sport.key, regions="us,uk,eu,us_ex", markets=markets), at))
            questions.append((_ask("odds", sport.key, regions="us", markets=markets, oddsFormat="american"), at))
            questions.append((_ask("events", sport.key), at))
            if sport.kind != "outright":
                questions.append((_ask("scores", sport.key, daysFrom="3"), at))
        questions.append((_ask("sports", all="true"), at))
        date = (at - dt.timedelta(days=200 * step)).strftime("%Y-%m-%dT%H:%M:%SZ")
        questions.append((_ask("historical_odds", "soccer_epl", regions="eu", date=date), at))
        questions.append((_ask("historical_events", "basketball_nba", date=date), at))
    market = SimulatedMarket(5)
    for key in ("basketball_wnba", "americanfootball_nfl", "soccer_epl", "basketball_nba"):
        at = dt.datetime(2025, 9, 12, 20, 30, tzinfo=UTC) if key == "basketball_wnba" else START
        for event in json.loads(market.answer(_ask("events", key), at).body)[:2]:
            markets = "player_points,player_pass_yds,player_shots,alternate_totals,team_totals"
            request = ApiRequest.of(
                "event_odds", sport=key, event_id=event["id"], params={"regions": "us,us2,eu", "markets": markets}
            )
            questions.append((request, at))
    return questions


def _digest(pairs: list[tuple[str, bytes]]) -> str:
    whole = hashlib.sha256()
    for text, body in sorted(pairs):
        whole.update(text.encode() + b"\n" + body + b"\n")
    return whole.hexdigest()


def answers_digest(order: int = 1) -> str:
    """Digest over all questions' answers of a fresh market, asked forwards or backwards."""
    market = SimulatedMarket(5)
    pairs = []
    for request, at in _questions()[::order]:
        answer = market.answer(request, at)
        assert answer.status == 200, answer.body
        pairs.append((f"{request.text} {at.isoformat()} {answer.headers}", answer.body))
    return _digest(pairs)


@pytest.fixture(scope="module")
def forwards() -> str:
    return answers_digest()


def test_answers_are_the_pinned_ones(forwards: str) -> None:
    assert forwards == PINNED


def test_order_of_asking_does_not_matter(forwards: str) -> None:
    assert answers_digest(order=-1) == forwards


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_another_process_gives_the_same_bytes(hash_seed: str) -> None:
    code = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('purity', {str(Path(__file__))!r})\n"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
        "print(module.answers_digest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(FOLDER.parents[2]), "TZ": "Asia/Tokyo"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == PINNED


def test_a_warm_market_answers_like_a_fresh_one() -> None:
    warm = SimulatedMarket(5)
    for request, at in _questions():
        warm.answer(request, at + dt.timedelta(minutes=7))
    for request, at in _questions()[::9]:
        assert warm.answer(request, at) == SimulatedMarket(5).answer(request, at)


def test_forgetting_what_was_worked_out_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.market.simulator.draws._LIMIT", 3)
    monkeypatch.setattr("pipeline.market.simulator.feeds._FORGET", 2)
    monkeypatch.setattr("pipeline.market.simulator.market._BLOCKS_KEPT", 2)
    monkeypatch.setattr("pipeline.market.simulator.market._PLAYS_KEPT", 2)
    assert answers_digest() == PINNED


def test_another_seed_is_another_world() -> None:
    request = _ask("odds", "americanfootball_nfl", regions="us")
    bodies = {SimulatedMarket(seed).answer(request, START).body for seed in (-1, 0, 1, 2**80)}
    assert len(bodies) == 4


def test_fractions_of_a_second_and_the_zone_do_not_matter() -> None:
    request = _ask("odds", "soccer_epl", regions="uk")
    market = SimulatedMarket(1)
    elsewhere = START.astimezone(dt.timezone(dt.timedelta(hours=9))) + dt.timedelta(microseconds=999_999)
    assert market.answer(request, START) == market.answer(request, elsewhere)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        SimulatedMarket(1).answer(_ask("sports"), dt.datetime(2025, 1, 1))


def test_an_unknown_endpoint_is_refused() -> None:
    with pytest.raises(ValueError, match="lines"):
        SimulatedMarket(1).answer(ApiRequest("lines"), START)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(min_value=0, max_value=3),
    at=st.datetimes(min_value=dt.datetime(2024, 1, 1), max_value=dt.datetime(2027, 12, 31)),
    sport=st.sampled_from([sport for sport in SPORTS if sport.kind != "outright"]),
    endpoint=st.sampled_from(["odds", "events", "scores"]),
)
def test_any_moment_has_a_well_formed_answer(seed: int, at: dt.datetime, sport: object, endpoint: str) -> None:
    params = {"regions": "us,eu", "markets": "h2h,spreads,totals"} if endpoint == "odds" else {}
    moment = at.replace(tzinfo=UTC)
    key = sport.key  # type: ignore[attr-defined]
    answer = SimulatedMarket(seed).answer(ApiRequest.of(endpoint, sport=key, params=params), moment)
    assert answer.status == 200
    events = json.loads(answer.body)
    starts = [event["commence_time"] for event in events]
    assert starts == sorted(starts)
    assert len({event["id"] for event in events}) == len(events)
    assert all(event["sport_key"] == key for event in events)


def test_the_package_uses_no_source_of_chance_and_no_inexact_arithmetic() -> None:
    """No clock, no generator, no ``hash``; no libm function, and no ``sum`` (of floats it is not the same in every Python)."""
    modules = {"random", "secrets", "uuid", "time", "math", "cmath", "numpy", "zoneinfo", "locale", "statistics"}
    names = {"hash", "sum", "pow", "id", "float.hex"}
    methods = {"now", "today", "utcnow"}
    found = []
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.name}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                found += [f"{where} import {alias.name}" for alias in node.names if alias.name.split(".")[0] in modules]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in modules:
                found.append(f"{where} from {node.module}")
            elif isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load):
                found.append(f"{where} {node.id}")
            elif isinstance(node, ast.Attribute) and node.attr in methods and path.name != "adapter.py":
                found.append(f"{where} .{node.attr}")
            elif (
                isinstance(node, ast.BinOp)
                and isinstance(node.op, ast.Pow)
                and path.name in ("maths.py", "quotes.py", "play.py")
            ):
                found.append(f"{where} **")
    assert found == []
