import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.plan import ExplicitPlan, MarketPlan, Step, load_plan, parse_plan
from pipeline.errors import UsageError
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Coverage, Exchange, PlanIdentity

AT = dt.datetime(2025, 10, 9, 0, 42, 48, tzinfo=dt.UTC)
NHL = "icehockey_nhl"
EVERYTHING = MarketPlan(
    endpoints=("participants", "event_markets", "event_odds", "scores", "odds", "events", "sports"),
    sports=("soccer_epl", NHL),
    markets=("totals", "h2h"),
    regions=("us", "eu"),
    odds_format="american",
    event_markets=("player_points", "btts"),
    scores_days_from=3,
)


def answered(step: Step, body: object = (), status: int = 200) -> Exchange:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(step.place, step.attempt, step.request, Coverage(), AT, status, (), data)


def answer_all(plan: MarketPlan, bodies: dict[str, Any]) -> list[Exchange]:
    return [answered(step, bodies.get(step.request.endpoint, [])) for step in plan.expand(AT, [])]


def test_stages() -> None:
    first = EVERYTHING.expand(AT, [])
    assert [(step.request.endpoint, step.request.sport) for step in first] == [
        ("sports", None),
        *((name, sport) for name in ("events", "odds", "scores", "participants") for sport in (NHL, "soccer_epl")),
    ]
    assert [step.place for step in first] == list(range(9))
    listed = {
        "events": [{"id": "e2", "sport_key": NHL}, {"id": "e1", "sport_key": NHL}],
        "odds": [{"id": "e3", "sport_key": "soccer_epl", "bookmakers": []}, {"id": "e1", "sport_key": NHL}],
        "scores": [{"id": "finished", "sport_key": NHL, "completed": True}],
    }
    exchanges = answer_all(EVERYTHING, listed)
    assert EVERYTHING.expand(AT, exchanges[:-1]) == first
    second = EVERYTHING.expand(AT, exchanges)
    assert second[:9] == first
    assert [(step.place, step.request.endpoint, step.request.sport, step.request.event_id) for step in second[9:]] == [
        (9, "event_odds", NHL, "e1"),
        (10, "event_odds", NHL, "e2"),
        (11, "event_odds", "soccer_epl", "e3"),
        (12, "event_markets", NHL, "e1"),
        (13, "event_markets", NHL, "e2"),
        (14, "event_markets", "soccer_epl", "e3"),
    ]
    # the answers of the events themselves add nothing
    assert EVERYTHING.expand(AT, exchanges + [answered(step, [{"id": "x", "sport_key": NHL}]) for step in second[9:]]) == second


def test_parameters() -> None:
    by_name = {step.request.endpoint: step.request for step in EVERYTHING.expand(AT, [])}
    assert by_name["sports"] == ApiRequest.of("sports")
    assert dict(by_name["odds"].params) == {"markets": "h2h,totals", "oddsFormat": "american", "regions": "eu,us"}
    assert dict(by_name["scores"].params) == {"daysFrom": "3"}
    exchanges = answer_all(EVERYTHING, {"events": [{"id": "e1", "sport_key": NHL}]})
    by_name = {step.request.endpoint: step.request for step in EVERYTHING.expand(AT, exchanges)}
    assert dict(by_name["event_odds"].params) == {"markets": "btts,player_points", "oddsFormat": "american", "regions": "eu,us"}
    assert dict(by_name["event_markets"].params) == {"regions": "eu,us"}
    (step,) = MarketPlan(endpoints=("odds",), sports=(NHL,), bookmakers=("b", "a")).expand(AT, [])
    assert dict(step.request.params) == {"bookmakers": "a,b", "oddsFormat": "decimal"}


ROW = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "../x", "", 5, None]), "sport_key": st.sampled_from([NHL, "", 1])}
)
BODY = st.binary(max_size=9) | st.lists(ROW | st.none() | st.integers() | ROW.map(lambda row: {"data": [row]})) | ROW
STATUS = st.sampled_from([200, 404])


@given(st.lists(st.tuples(BODY, STATUS), min_size=9, max_size=9))
def test_expansion_is_pure_takes_any_answer_and_only_grows(answers: list[tuple[Any, int]]) -> None:
    steps = EVERYTHING.expand(AT, [])
    exchanges = [answered(step, *answer) for step, answer in zip(steps, answers, strict=True)]
    expanded = EVERYTHING.expand(AT, exchanges)
    assert expanded == EVERYTHING.expand(AT, exchanges)
    assert [step.place for step in expanded] == list(range(len(expanded)))
    for count in range(len(exchanges) + 1):
        assert EVERYTHING.expand(AT, exchanges[:count]) in (steps, expanded)
    assert {step.request.event_id for step in expanded[9:]} <= {"a", "b"}


def test_a_historical_plan() -> None:
    plan = MarketPlan(
        endpoints=("events", "odds", "event_odds"), sports=(NHL,), regions=("us",), event_markets=("btts",), historical=True
    )
    steps = plan.expand(AT, [])
    assert [step.request.endpoint for step in steps] == ["historical_events", "historical_odds"]
    envelope = {"timestamp": "2025-10-09T00:40:38Z", "data": [{"id": "e1", "sport_key": NHL}]}
    exchanges = [answered(steps[0], b"[]", 500), answered(steps[1], envelope)]
    event = plan.expand(AT, exchanges)[2].request
    assert (event.endpoint, event.event_id, event.param("date")) == ("historical_event_odds", "e1", "2025-10-09T00:42:48Z")
    assert plan.filed_under(AT, exchanges) == dt.datetime(2025, 10, 9, 0, 40, 38, tzinfo=dt.UTC)
    assert plan.filed_under(AT, exchanges[:1]) == AT


def test_identity_is_what_is_asked_in_any_order() -> None:
    document = {"endpoints": ["odds"], "sports": ["b", "a"], "markets": ["totals", "h2h"], "regions": ["us"]}
    plan = parse_plan(document)
    same = parse_plan({**document, "sports": ["a", "b", "a"], "markets": ["h2h", "totals"], "cadence": "5 min", "budget": 7})
    assert plan == same and plan.identity.plan_id == same.identity.plan_id
    json.dumps(plan.identity.document)
    others: list[dict[str, object]] = [
        {"sports": ["a"]},
        {"endpoints": ["odds", "events"]},
        {"markets": ["h2h"]},
        {"regions": ["eu"]},
        {"regions": [], "bookmakers": ["fanduel"]},
        {"odds_format": "american"},
        {"endpoints": ["odds", "scores"], "scores_days_from": 1},
        {"endpoints": ["odds", "scores"]},
        {"endpoints": ["odds", "event_odds"], "event_markets": ["btts"]},
        {"historical": True},
    ]
    ids = {parse_plan(document | other).identity.plan_id for other in others}
    assert len(ids | {plan.identity.plan_id}) == len(others) + 1


def test_the_plan_id_never_moves() -> None:
    assert EVERYTHING.identity.plan_id == "083f149435b0"


GOOD: dict[str, object] = {"endpoints": ["odds"], "sports": [NHL], "regions": ["us"]}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"endpoints": []}, "no endpoint"),
        ({"endpoints": ["odd"]}, "nearest is 'odds'"),
        ({"endpoints": ["scores"], "historical": True}, "historical endpoint 'scores'"),
        ({"sports": []}, "no sport"),
        ({"sports": ["../x"]}, "no key"),
        ({"sports": ["upcoming"], "endpoints": ["events", "odds"]}, "upcoming"),
        ({"regions": []}, "regions or bookmakers"),
        ({"bookmakers": ["fanduel"]}, "regions or bookmakers"),
        ({"regions": ["usa"]}, "no region 'usa'"),
        ({"markets": ["player_points"]}, "'player_points'"),
        ({"event_markets": ["btts"]}, "come together"),
        ({"endpoints": ["odds", "event_odds"]}, "come together"),
        ({"endpoints": ["scores", "event_markets"]}, "lists the events"),
        ({"odds_format": "fractional"}, "odds_format"),
        ({"scores_days_from": 2}, "needs scores"),
        ({"endpoints": ["odds", "scores"], "scores_days_from": 4}, "1, 2 or 3"),
        ({"sports": NHL}, "list of keys"),
        ({"sports": [5]}, "list of keys"),
        ({"historical": "yes"}, "type bool"),
        ({"odds_format": 1}, "type str"),
        ({"scores_days_from": True}, "type int"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(change: dict[str, object], words: str) -> None:
    parse_plan(GOOD)
    with pytest.raises(UsageError) as caught:
        parse_plan(GOOD | change)
    assert caught.value.code in ("PLAN_INVALID", "UNKNOWN_REGION")
    assert words in str(caught.value) and caught.value.next_step


@pytest.mark.parametrize(
    ("key", "near"), [("sport", "sports"), ("event_market", "event_markets"), ("cadance", "cadence"), (5, "")]
)
def test_an_unknown_key_names_the_nearest(key: object, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_plan(dict[object, object](GOOD) | {key: []})
    assert caught.value.code == "PLAN_UNKNOWN_KEY"
    assert near in caught.value.message


def test_plan_files(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("name: a name\nendpoints: [odds]\nsports: [icehockey_nhl]\nregions:\n  - us\n")
    assert load_plan(file) == parse_plan(GOOD)
    for text in ("", "- odds", "endpoints: [", "sports: []", "\0"):
        file.write_text(text)
        with pytest.raises(UsageError, match="PLAN_INVALID"):
            load_plan(file)
    with pytest.raises(UsageError, match="PLAN_NOT_FOUND"):
        load_plan(tmp_path / "missing.yaml")


def test_an_explicit_plan_asks_what_it_was_given() -> None:
    steps = (Step(0, ApiRequest.of("sports")), Step(3, ApiRequest.of("sports"), Coverage(), 2))
    plan = ExplicitPlan(PlanIdentity({"kind": "import"}), steps)
    assert plan.expand(AT, []) == plan.expand(AT, [answered(steps[0])]) == steps
    assert plan.filed_under(AT, []) == AT
