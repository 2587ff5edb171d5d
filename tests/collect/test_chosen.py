"""Sports by group and games by the time to their start: what is free first, and nothing for what is not on."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import UTC, to_iso
from pipeline.collect.cadence import parse_cadence
from pipeline.collect.chosen import ChosenPlan
from pipeline.collect.plan import MarketPlan, Plan, Step
from pipeline.collect.plan_cost import PlanCost
from pipeline.collect.plan_file import load_plan_file
from pipeline.errors import UsageError
from pipeline.recording.model import Coverage, Exchange

AT = dt.datetime(2026, 1, 4, 17, 5, tzinfo=UTC)
HOUR = dt.timedelta(hours=1)
NBA, NFL, NHL = "basketball_nba", "americanfootball_nfl", "icehockey_nhl"
TIERS = parse_cadence({"1h": "5m", "12h": "1h", "in_play": "10m", "otherwise": "1d"})
PLAN = MarketPlan(
    endpoints=("sports", "events", "odds", "scores", "event_odds"),
    groups=("Basketball",),
    sports=(NHL,),
    regions=("us",),
    event_markets=("btts",),
)
SEASON = [
    {"key": NBA, "group": "Basketball", "active": True, "has_outrights": False},
    {"key": "basketball_euroleague", "group": "Basketball", "active": True},
    {"key": "basketball_wnba", "group": "Basketball", "active": False},
    {"key": NFL, "group": "American Football", "active": True},
    {"key": "../x", "group": "Basketball", "active": True},
    5,
]


def game(sport: str, name: str, start: dt.datetime) -> dict[str, str]:
    return {"id": name, "sport_key": sport, "commence_time": to_iso(start)}


def run(plan: Plan, at: dt.datetime, bodies: dict[str, Any]) -> list[str]:
    """Ask until nothing is missing; what was asked, in order."""
    exchanges: list[Exchange] = []
    while left := plan.expand(at, exchanges)[len(exchanges) :]:
        step = left[0]
        key = f"{step.request.endpoint} {step.request.sport}"
        exchanges.append(answered(step, bodies.get(key, bodies.get(step.request.endpoint, []))))
    asked = [exchange.request for exchange in exchanges]
    return [" ".join(filter(None, (one.endpoint, one.sport, one.event_id))) for one in asked]


def answered(step: Step, body: Any) -> Exchange:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(step.place, step.attempt, step.request, Coverage(), AT, 200, (), data)


def test_a_sport_without_events_costs_nothing() -> None:
    bodies = {"sports": SEASON, f"events {NBA}": [game(NBA, "b", AT + HOUR), game(NBA, "a", AT + HOUR)]}
    assert run(ChosenPlan(PLAN), AT, bodies) == [
        "sports",
        "events basketball_euroleague",
        f"events {NBA}",
        f"events {NHL}",
        f"odds {NBA}",
        "scores basketball_euroleague",  # in season: its last game may have ended
        f"scores {NBA}",
        f"event_odds {NBA} a",
        f"event_odds {NBA} b",
    ]
    assert run(ChosenPlan(PLAN), AT, {"sports": b"<html>"}) == ["sports", f"events {NHL}"]


def test_a_step_tells_whether_its_game_is_about_to_begin() -> None:
    games = [game(NBA, "soon", AT + HOUR), game(NBA, "later", AT + 2 * HOUR), game(NBA, "on", AT - HOUR)]
    exchanges: list[Exchange] = []
    plan = ChosenPlan(PLAN)
    while left := plan.expand(AT, exchanges)[len(exchanges) :]:
        is_list = left[0].request.endpoint == "events" and left[0].request.sport == NBA
        exchanges.append(answered(left[0], SEASON if left[0].request.endpoint == "sports" else games if is_list else []))
    steps = plan.expand(AT, exchanges)
    closing = [(step.request.endpoint, step.request.event_id) for step in steps if step.is_closing]
    assert closing == [("odds", None), ("event_odds", "soon")]
    assert all(step.is_closing is not None for step in steps)


def test_all_that_are_in_season() -> None:
    plan = MarketPlan(endpoints=("sports", "odds"), all_active=True, regions=("us",), markets=("h2h",))
    outright = {"key": "golf_masters_winner", "group": "Golf", "active": True, "has_outrights": True}
    asked = run(ChosenPlan(plan), AT, {"sports": [*SEASON, outright]})
    assert asked == ["sports", f"odds {NFL}", "odds basketball_euroleague", f"odds {NBA}"]
    only = MarketPlan(endpoints=("sports", "odds"), all_active=True, regions=("us",), markets=("outrights",))
    assert run(ChosenPlan(only), AT, {"sports": [*SEASON, outright]}) == ["sports", "odds golf_masters_winner"]


def test_games_are_asked_for_by_the_time_to_their_start() -> None:
    bodies = {
        "sports": SEASON,
        f"events {NBA}": [game(NBA, "soon", AT + HOUR), game(NBA, "later", AT + 5 * HOUR)],
        f"events {NHL}": [game(NHL, "later", AT + 5 * HOUR), game(NHL, "begun", AT - HOUR)],
    }
    free = ["sports", "events basketball_euroleague", f"events {NBA}", f"events {NHL}"]
    plan = ChosenPlan(PLAN, TIERS)
    assert run(plan, AT, bodies) == [*free, f"odds {NBA}", f"scores {NBA}", f"event_odds {NBA} soon"]
    assert run(plan, AT + HOUR / 12, bodies) == [
        *free,
        *(f"{name} {sport}" for name in ("odds", "scores") for sport in (NBA, NHL)),
        f"event_odds {NBA} soon",
        f"event_odds {NHL} begun",
    ]
    assert plan.identity == PLAN.identity
    midnight = AT.replace(hour=0, minute=0)
    assert run(plan, midnight, {"sports": SEASON}) == [*free, "scores basketball_euroleague", f"scores {NBA}"]


SPORT = {"key": st.sampled_from([NBA, "", 1]), "active": st.just(True), "group": st.just("Basketball")}
EVENT = {"id": st.sampled_from(["a", 5]), "sport_key": st.sampled_from([NBA, 1]), "commence_time": st.sampled_from(["x", 9])}
ROW = st.none() | st.fixed_dictionaries(SPORT) | st.fixed_dictionaries(EVENT)
BODY = st.binary(max_size=9) | st.lists(ROW) | ROW


@given(st.lists(BODY, min_size=12, max_size=12), st.sampled_from([None, TIERS]))
def test_expansion_is_pure_takes_any_answer_and_only_grows(answers: list[Any], tiers: Any) -> None:
    plan, exchanges = ChosenPlan(PLAN, tiers), list[Exchange]()
    for answer in answers:
        before = plan.expand(AT, exchanges)
        if len(before) == len(exchanges):
            break
        exchanges.append(answered(before[len(exchanges)], answer))
        after = plan.expand(AT, exchanges)
        assert after[: len(before)] == before == plan.expand(AT, exchanges[:-1])
        assert [step.place for step in after] == list(range(len(after)))


def test_files(tmp_path: Path) -> None:
    file = load_plan_file(Path(__file__).parents[2] / "pipeline/plans/closing.yml")
    assert file.tiers is not None and file.every == HOUR / 12 and isinstance(file.asking, ChosenPlan)
    cost = PlanCost.of(file, 9, 4)
    assert cost.per_run == 4 * (3 + 2) and cost.runs_per_month == 31 * 288
    assert PlanCost.of(file, 0).per_run == 0
    plain = load_plan_file(Path(__file__).parents[2] / "pipeline/plans/example.yml")
    assert plain.asking is plain.plan and not {"groups", "all_active"} & plain.plan.identity.document.keys()
    assert PLAN.identity.document["groups"] == ["Basketball"]
    for text, why in (
        ("endpoints: [odds]\nregions: [us]\nsports: [a]\ncadence: {1h: 5m}", "Add `events`"),
        ("endpoints: [odds]\nregions: [us]\ngroups: [Tennis]", "Add `sports`"),
        ("endpoints: [sports, odds]\nregions: [us]\nall_active: 1", "all_active is 1"),
    ):
        (tmp_path / "p.yml").write_text(text)
        with pytest.raises(UsageError, match=why):
            load_plan_file(tmp_path / "p.yml")
