"""The sandbox without sockets: keys, rate, credits, faults, and its time."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import UTC, ManualClock
from pipeline.errors import UsageError
from pipeline.market.sandbox.account import RateLimit
from pipeline.market.sandbox.faults import TRANSPORT, Fault, FaultScript, parse_fault
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.service import Reply, Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.api_errors import ERROR_CODES, classify
from pipeline.odds_api.endpoints import ENDPOINTS, cost, url
from pipeline.odds_api.redaction import SIMULATED_HEADER
from pipeline.odds_api.request import ApiRequest
from pipeline.secret import Secret

AT = dt.datetime(2026, 1, 4, 17, tzinfo=UTC)
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
NBA = "basketball_nba"
MARKET = SimulatedMarket(7)


class Called:
    """A sandbox whose time and timer are one clock, which moves on by ``pause`` seconds before each call."""

    def __init__(self, at: dt.datetime = AT, pause: float = 0.1, key: str | None = None, **options: Any) -> None:
        self.time = ManualClock(at)
        self.pause = pause
        self.sandbox = Sandbox(MARKET, SandboxClock(self.time), self.time, key=Secret(key) if key else None, **options)

    def get(self, path: str, query: str = "", fault: str | None = None, *, key: str = KEY, method: str = "GET") -> Reply:
        self.time.sleep(self.pause)
        return self.sandbox.answer(method, path, f"apiKey={key}&{query}" if key else query, fault)

    def code(self, *arguments: Any, **options: Any) -> tuple[int, str]:
        reply = self.get(*arguments, **options)
        return reply.status, json.loads(reply.body)["error_code"]


def header(reply: Reply, name: str) -> str | None:
    return dict(reply.headers).get(name)


def credits(reply: Reply) -> tuple[int, int, int]:
    last, used, remaining = (int(header(reply, f"x-requests-{name}") or "") for name in ("last", "used", "remaining"))
    return last, used, remaining


def a_game(called: Called) -> str:
    return str(json.loads(called.get(f"/v4/sports/{NBA}/events").body)[0]["id"])


# --- requests --------------------------------------------------------------------------------------------------------


def test_every_endpoint_is_answered_as_the_market_answers() -> None:
    called = Called()
    game = a_game(called)
    for name, row in ENDPOINTS.items():
        params = {"date": "2026-01-04T16:30:00Z"} if row.is_historical else {}
        params |= {"regions": "us"} if row.has_books else {}
        request = ApiRequest.of(
            name, sport=NBA if row.has_sport else None, event_id=game if row.has_event else None, params=params
        )
        path, _, query = url("", request).partition("?")
        for form in (path, f"{path}/"):
            reply = called.get(form, query)
            assert (reply.status, reply.body) == (200, MARKET.answer(request, called.time.now()).body), name
            assert header(reply, "content-type") == "application/json; charset=utf-8"
            assert credits(reply)[0] == cost(request, json.loads(reply.body))
            assert header(reply, SIMULATED_HEADER) == "true", name


@pytest.mark.parametrize("fault", ["401", "429=2", "500", "html", "redirect", "reset", "timeout", "cut_gzip", "drip", "change"])
def test_whatever_goes_wrong_it_says_that_it_is_simulated(fault: str) -> None:
    assert header(Called().get("/v4/sports", fault=fault), SIMULATED_HEADER) == "true"
    assert header(Called().get("/nowhere"), SIMULATED_HEADER) == "true"


def test_the_old_name_of_the_history() -> None:
    query = "date=2026-01-04T16:30:00Z&regions=us"
    old, new = (Called().get(path, query) for path in (f"/v4/sports/{NBA}/odds-history", f"/v4/historical/sports/{NBA}/odds"))
    assert old == new and old.status == 200


@pytest.mark.parametrize(
    "path", ["/", "/v4", "/v4/", "/v4/sport", "/v3/sports", "/x/v4/sports", "/v4/x/v4/sports", "/v4/sports//odds"]
)
def test_a_path_that_the_api_does_not_have(path: str) -> None:
    reply = Called().get(path)
    assert reply.status == 404 and header(reply, "x-requests-used") is None


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_only_get_is_answered(method: str) -> None:
    assert Called().code("/v4/sports", method=method) == (405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (f"/v4/sports/{NBA}/odds", "", (422, "MISSING_REGION")),
        (f"/v4/sports/{NBA}/odds", "regions=us&markets=player_points", (422, "INVALID_MARKET")),
        (f"/v4/sports/{NBA}/odds", "regions=us&markets=outrights", (422, "INVALID_MARKET_COMBO")),
        (f"/v4/sports/{NBA}/odds", "regions=us&commenceTimeFrom=2026-01-04T17:00:00.000Z", (422, "INVALID_COMMENCE_TIME_FROM")),
        (f"/v4/sports/{NBA}/odds", "regions=us&includeLinks=yes", (422, "INVALID_INCLUDE_LINKS")),
        (f"/v4/sports/{NBA}/odds", "regions=us&eventIds=abc", (422, "INVALID_EVENT_IDS")),
        (f"/v4/sports/{NBA}/scores", "daysFrom=4", (422, "INVALID_SCORES_DAYS_FROM")),
        (f"/v4/sports/{NBA}/events/{'0' * 32}/odds", "regions=us", (404, "EVENT_NOT_FOUND")),
        (f"/v4/sports/{NBA}/events/7/odds", "regions=us", (422, "INVALID_EVENT_ID")),
        (f"/v4/historical/sports/{NBA}/odds", "regions=us", (422, "MISSING_HISTORICAL_TIMESTAMP")),
        (
            f"/v4/historical/sports/{NBA}/odds",
            "regions=us&date=2026-01-04T17:00:00%2B00:00",
            (422, "INVALID_HISTORICAL_TIMESTAMP"),
        ),
        ("/v4/sports/chess/odds", "regions=us", (404, "UNKNOWN_SPORT")),
        ("/v4/sports", "all=1", (422, "INVALID_ALL_SPORTS_PARAM")),
    ],
)
def test_a_wrong_parameter_gets_its_code_and_costs_nothing(path: str, query: str, expected: tuple[int, str]) -> None:
    called = Called()
    assert called.code(path, query) == expected
    assert called.sandbox.account.used == 0


def test_the_key() -> None:
    any_key, one_key = Called(), Called(key="the good one")
    assert any_key.code("/v4/sports", key="") == (401, "MISSING_KEY")
    assert any_key.code("/v4/sports", key="short") == (401, "INVALID_KEY")
    assert any_key.get("/v4/sports", key="a" * 40).status == 200
    assert one_key.code("/v4/sports") == (401, "INVALID_KEY")
    assert one_key.get("/v4/sports", key="the%20good+one").status == 200
    assert KEY not in json.dumps(any_key.sandbox.state()) + repr(any_key.get("/v4/sports"))


# --- credits and rate ------------------------------------------------------------------------------------------------


def test_credits_are_used_run_out_and_come_back() -> None:
    called = Called(at=dt.datetime(2026, 1, 31, 23, 59, tzinfo=UTC), credits=5)
    odds = f"/v4/sports/{NBA}/odds"
    assert credits(called.get(odds, "regions=us,eu&markets=h2h,totals")) == (4, 4, 1)
    assert called.code(odds, "regions=us,eu") == (401, "OUT_OF_USAGE_CREDITS")
    assert credits(called.get("/v4/sports")) == (0, 4, 1)
    assert credits(called.get(odds, "regions=us")) == (1, 5, 0)
    assert credits(called.get("/v4/sports/soccer_fifa_world_cup/odds", "regions=us")) == (0, 5, 0)  # no events
    assert called.code(odds, "regions=us") == (401, "OUT_OF_USAGE_CREDITS")
    called.time.sleep(60)
    assert credits(called.get(odds, "regions=us")) == (1, 1, 4)


def test_at_most_thirty_calls_a_second() -> None:
    called = Called(pause=0.0)
    replies = [called.get("/v4/sports") for _ in range(32)]
    assert [reply.status for reply in replies] == [200] * 30 + [429] * 2
    assert json.loads(replies[-1].body)["error_code"] == "EXCEEDED_FREQ_LIMIT"
    called.time.sleep(1.0)
    assert called.get("/v4/sports").status == 200


@given(st.lists(st.floats(0, 0.3), max_size=150), st.integers(1, 30))
def test_no_second_has_more_calls_than_the_limit(pauses: list[float], limit: int) -> None:
    rate, now = RateLimit(limit), 0.0
    admitted: list[float] = []
    for pause in pauses:
        now += pause
        recent = sum(now - moment < 1.0 for moment in admitted)
        assert rate.admits(now) == (recent < limit)
        if recent < limit:
            admitted.append(now)


CALL = st.tuples(
    st.sampled_from(
        [
            ("/v4/sports", ""),
            (f"/v4/sports/{NBA}/odds", "regions=us"),
            (f"/v4/sports/{NBA}/odds", "regions=us,uk&markets=h2h,spreads"),
            (f"/v4/sports/{NBA}/scores", "daysFrom=2"),
            (f"/v4/sports/{NBA}/odds", "regions=moon"),
            (f"/v4/historical/sports/{NBA}/events", "date=2026-01-04T16:00:00Z"),
        ]
    ),
    st.none()
    | st.sampled_from(["401", "429", "500", "html", "reset", "redirect", "cut_gzip", "timeout", "OUT_OF_USAGE_CREDITS"]),
    st.sampled_from([0.0, 0.2, 15 * 86400.0]),
)


@given(st.lists(CALL, max_size=40), st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_the_account_adds_up_whatever_happens(calls: list[Any], quota: int) -> None:
    called = Called(credits=quota)
    used, month = 0, AT.month
    for (path, query), fault, pause in calls:
        called.time.sleep(pause)
        reply = called.get(path, query, fault)
        if called.time.now().month != month:
            used, month = 0, called.time.now().month
        if header(reply, "x-requests-last") is not None:
            last, said, remaining = credits(reply)
            used += last
            assert (said, remaining) == (used, quota - used) and remaining >= 0
            assert last == 0 or reply.status == 200
        assert called.sandbox.account.used == used


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(ERROR_CODES))
def test_every_error_code_can_be_asked_for(code: str) -> None:
    called = Called()
    reply = called.get("/v4/sports", fault=code)
    failure = classify(reply.status, reply.body)
    assert failure is not None and failure.code == code
    assert called.sandbox.account.used == 0


@pytest.mark.parametrize(("short", "status"), [("401", 401), ("404", 404), ("422", 422), ("429", 429), ("500", 500)])
def test_a_status_can_be_asked_for(short: str, status: int) -> None:
    assert Called().get("/v4/sports", fault=short).status == status
    assert Called().get("/v4/sports", query=f"sandboxFault={short}").status == status
    assert Called(faults=[short]).get("/v4/sports").status == status


def test_a_script_is_used_up_in_order_by_the_calls_that_fit() -> None:
    called = Called(faults=["ok", "500", "scores:404", "429=7"])
    paths = ["/v4/sports", "/v4/sports", f"/v4/sports/{NBA}/events", f"/v4/sports/{NBA}/scores", "/v4/sports"]
    replies = [called.get(path) for path in paths]
    assert [reply.status for reply in replies] == [200, 500, 429, 404, 200]
    assert header(replies[2], "retry-after") == "7"
    assert called.sandbox.faults.waiting == []


def test_a_lost_answer_is_paid_for_and_one_from_in_front_is_not() -> None:
    for kind in TRANSPORT:
        called = Called()
        reply = called.get(f"/v4/sports/{NBA}/odds", "regions=us", fault=kind)
        assert called.sandbox.account.used == (0 if kind in ("html", "redirect") else 1), kind
        assert reply.fault is None if kind in ("html", "redirect") else reply.fault == parse_fault(kind)


def test_a_redirect_does_not_carry_the_key() -> None:
    reply = Called().get("/v4/sports", "all=true", fault="redirect=http://elsewhere:81")
    assert (reply.status, header(reply, "location")) == (302, "http://elsewhere:81/v4/sports?all=true")


def test_a_body_can_change_between_two_calls() -> None:
    called = Called(pause=0.0)
    path, query = f"/v4/sports/{NBA}/odds", "regions=us&markets=h2h,spreads,totals"
    assert called.get(path, query).body == called.get(path, query).body
    first, second = (called.get(path, query, fault="change") for _ in range(2))
    assert first.body != second.body and (first.status, second.status) == (200, 200)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ok", None),
        ("timeout", Fault("timeout", "3600")),
        ("drip=0.5", Fault("drip", "0.5")),
        ("odds:INVALID_MARKET", Fault("INVALID_MARKET", "", "odds")),
        ("events:redirect=http://h:1", Fault("redirect", "http://h:1", "events")),
    ],
)
def test_faults_are_read(text: str, fault: Fault | None) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize("text", ["", "600", "rest", "ods:500", "timeout=soon", "drip=-1", "timeout=inf", "timeout=nan"])
def test_a_fault_that_is_none_is_refused_and_nothing_is_added(text: str) -> None:
    script = FaultScript()
    with pytest.raises(UsageError, match="FAULT_INVALID"):
        script.extend(["500", text])
    assert script.waiting == []


# --- time ------------------------------------------------------------------------------------------------------------


def test_the_clock_runs_faster_stands_still_and_steps() -> None:
    real = ManualClock(dt.datetime(2030, 1, 1, tzinfo=UTC))
    clock = SandboxClock.parse("2026-01-04T17:00:00Z*60", real)
    real.sleep(2)
    assert clock.now() == AT + dt.timedelta(minutes=2)
    clock.change(rate=0)
    real.sleep(99)
    assert clock.now() == AT + dt.timedelta(minutes=2)
    clock.change(step=-60)
    assert clock.now() == AT + dt.timedelta(minutes=1)
    clock.change(at=AT, rate=1)
    real.sleep(1)
    assert clock.now() == AT + dt.timedelta(seconds=1)
    assert SandboxClock.parse("wall", real).now() == real.now()


@pytest.mark.parametrize("text", ["", "noon", "2026-01-04T17:00:00", "wall*", "wall*fast", "wall*-1", "wall*nan", "wall*1e9"])
def test_a_clock_that_is_none_is_refused(text: str) -> None:
    if text == "wall*":
        SandboxClock.parse(text, ManualClock(AT))
        return
    with pytest.raises(UsageError, match="CLOCK_INVALID"):
        SandboxClock.parse(text, ManualClock(AT))


def test_a_step_out_of_the_calendar_is_refused() -> None:
    clock = SandboxClock(ManualClock(AT))
    for step in (float("nan"), float("inf"), 1e15):
        with pytest.raises(UsageError, match="CLOCK_INVALID"):
            clock.change(step=step)
    assert clock.now() == AT
