"""The account of a run against the account of the sandbox, through every kind of fault."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.clock import UTC, ManualClock
from pipeline.errors import ApiError
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.api_errors import Failure, classify
from pipeline.odds_api.client import Answer
from pipeline.odds_api.credits import Account, Bill, Budget, Report, computed, credits_back_at
from pipeline.odds_api.endpoints import url
from pipeline.odds_api.request import ApiRequest

AT = dt.datetime(2026, 1, 4, 17, tzinfo=UTC)
KEY = "0" * 32
NBA, QUIET = "basketball_nba", "soccer_fifa_world_cup"
MARKET = SimulatedMarket(7)
GAME = str(json.loads(MARKET.answer(ApiRequest.of("events", sport=NBA), AT).body)[0]["id"])
REQUESTS = (
    ApiRequest.of("sports"),
    ApiRequest.of("odds", sport=NBA, params={"regions": "us"}),
    ApiRequest.of("odds", sport=NBA, params={"regions": "eu,us", "markets": "h2h,spreads,totals"}),
    ApiRequest.of("odds", sport=QUIET, params={"regions": "us"}),
    ApiRequest.of("scores", sport=NBA, params={"daysFrom": "3"}),
    ApiRequest.of("event_odds", sport=NBA, event_id=GAME, params={"regions": "us,us2", "markets": "btts,player_points"}),
    ApiRequest.of("event_odds", sport=NBA, event_id="0" * 32, params={"regions": "us"}),
    ApiRequest.of("historical_odds", sport=NBA, params={"regions": "us", "date": "2026-01-04T16:00:00Z"}),
)
ODDS = REQUESTS[1]
# A fault that loses the answer, and what the client makes of it.
LOST = {"reset": "RESET", "cut_gzip": "DECODE", "timeout": "TIMEOUT", "drip": "TIMEOUT"}


class Customer:
    """Sends requests to a sandbox, and loses answers."""

    def __init__(self, credits: int = 10_000) -> None:
        self.time = ManualClock(AT)
        self.sandbox = Sandbox(MARKET, SandboxClock(self.time), self.time, credits=credits)
        self.account = Account()
        self.before = 0  # what others have used, and earlier months

    @property
    def cost(self) -> int:
        """What the server has charged us in all."""
        return sum(call["cost"] for call in self.sandbox.calls) - self.before

    def send(self, request: ApiRequest, fault: str | None = None) -> Answer:
        self.account = self.account.sent(request)
        return self.answer(request, fault)

    def answer(self, request: ApiRequest, fault: str | None) -> Answer:
        self.time.sleep(0.1)
        if fault == "unreachable":
            return Answer(None, (), None, AT, Failure("CONNECT", ""))
        path, _, query = url("", request).partition("?")
        reply = self.sandbox.answer("GET", path, f"{query}&apiKey={KEY}", fault)
        if fault in LOST:
            return Answer(None, (), None, AT, Failure(LOST[fault], ""))
        return Answer(reply.status, reply.headers, reply.body, AT, classify(reply.status, reply.body))

    def ask(self, request: ApiRequest, fault: str | None = None) -> Answer:
        answer = self.send(request, fault)
        self.account = self.account.received(request, answer)
        return answer

    def other(self, request: ApiRequest) -> None:
        """Somebody else has the key too."""
        before = self.sandbox.account.used
        self.answer(request, None)
        self.before += self.sandbox.account.used - before


FAULT = st.none() | st.sampled_from(
    ["401", "404", "422", "429", "500", "html", "redirect", "change", "OUT_OF_USAGE_CREDITS", "unreachable", *LOST]
)
CALLS = st.lists(st.tuples(st.sampled_from(REQUESTS), FAULT), max_size=25)


def is_sound(account: Account) -> None:
    values = (
        account.spent,
        account.doubtful,
        account.tellable,
        account.lost,
        account.reported,
        account.under_way,
        account.foreign,
    )
    assert min(values) >= 0, account
    assert account.least <= account.most


@given(CALLS, st.sampled_from([5, 40, 10_000]))
@settings(max_examples=150, deadline=None)
def test_it_agrees_with_the_server_through_every_fault(calls: list[Any], quota: int) -> None:
    customer = Customer(quota)
    doubt: int | None = None
    for request, fault in calls:
        answer = customer.ask(request, fault)
        account = customer.account
        is_sound(account)
        assert account.least <= customer.cost <= account.most
        if Report.of(answer.headers).used is not None:
            assert account.used == customer.sandbox.account.used and account.remaining == customer.sandbox.account.remaining
            # only what was lost before the first report stays in doubt
            doubt = customer.cost - account.spent if doubt is None else doubt
            assert (
                account.tellable == account.lost == 0 and account.spent == customer.cost - doubt and doubt <= account.doubtful
            )
        assert account.foreign == 0


@given(CALLS, st.lists(st.integers(0, 3)))
@settings(max_examples=100, deadline=None)
def test_answers_that_are_under_way_together_come_in_any_order(calls: list[Any], order: list[int]) -> None:
    customer = Customer()
    customer.ask(ApiRequest.of("sports"))
    running: list[tuple[ApiRequest, Answer]] = []
    for place, (request, fault) in enumerate(calls):
        running.append((request, customer.send(request, fault)))
        assert customer.account.least <= customer.cost <= customer.account.most
        if len(running) > 3:
            customer.account = customer.account.received(*running.pop(order[place] if place < len(order) else 0))
        is_sound(customer.account)
        assert customer.account.least <= customer.cost <= customer.account.most
    for one in reversed(running):
        customer.account = customer.account.received(*one)
    customer.ask(ApiRequest.of("sports"))
    assert (customer.account.spent, customer.account.most, customer.account.foreign) == (customer.cost, customer.cost, 0)


@given(st.lists(st.tuples(st.sampled_from(REQUESTS), FAULT, st.booleans()), max_size=25))
@settings(max_examples=100, deadline=None)
def test_what_others_use_is_told_apart_where_nothing_was_lost(calls: list[Any]) -> None:
    customer = Customer()
    customer.ask(ApiRequest.of("sports"))
    for request, fault, foreign in calls:
        if foreign:
            customer.other(request)
        else:
            customer.ask(request, fault)
        is_sound(customer.account)
        # an answer that was lost and free cannot be told from one that others paid for: never less than we cost
        assert customer.account.most >= customer.cost
    customer.ask(ApiRequest.of("sports"))
    assert customer.account.spent + customer.account.foreign == customer.cost + customer.before
    if not any(fault in LOST or fault == "html" for _, fault, foreign in calls if not foreign):
        assert customer.account.spent == customer.cost


def test_a_month_turns() -> None:
    customer = Customer()
    customer.ask(ODDS)
    customer.ask(ODDS, "reset")
    customer.time.time = dt.datetime(2026, 2, 1, tzinfo=UTC)
    customer.ask(ODDS)
    assert (customer.account.used, customer.account.spent, customer.account.doubtful, customer.account.most) == (1, 2, 1, 3)
    customer.ask(ODDS, "reset")
    customer.ask(ODDS)
    assert (customer.account.used, customer.account.spent, customer.account.doubtful) == (3, 4, 1)


def test_a_report_of_a_new_month_tells_nothing_of_the_old_one() -> None:
    customer = Customer()
    customer.ask(ApiRequest.of("sports"))
    customer.ask(REQUESTS[2], "reset")
    customer.time.time = dt.datetime(2026, 2, 1, tzinfo=UTC)
    customer.ask(ODDS)  # what it reports could as well be the next of the old month
    assert (customer.account.spent, customer.account.doubtful, customer.cost) == (1, 6, 7)


@given(st.lists(st.tuples(st.sampled_from(REQUESTS), FAULT, st.sampled_from([0, 0, 9, 31])), max_size=25), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_months_may_turn_at_any_time(calls: list[Any], together: int) -> None:
    customer = Customer()
    running: list[tuple[ApiRequest, Answer]] = []
    for request, fault, days in calls:
        customer.time.sleep(days * 86400.0)
        running.append((request, customer.send(request, fault)))
        if len(running) == together:
            for one in reversed(running):
                customer.account = customer.account.received(*one)
                is_sound(customer.account)
            running.clear()
        assert customer.account.least <= customer.cost <= customer.account.most


def test_another_process_goes_on() -> None:
    customer = Customer()
    outcomes = [(ODDS, customer.answer(ODDS, fault)) for fault in (None, "reset", "500", "unreachable", "html")]
    bill = Bill.of(outcomes)
    assert bill == Bill(reported=1, computed=1, unreported=0, doubtful=2)
    assert Account.carried(bill) == Account(spent=1, doubtful=2)


# --- costs and headers -------------------------------------------------------------------------------------------------


@given(st.sampled_from(REQUESTS), st.sampled_from([None, "401", "404", "422", "429", "500", "change"]))
def test_what_is_computed_is_what_is_reported(request_: ApiRequest, fault: str | None) -> None:
    answer = Customer().answer(request_, fault)
    assert computed(request_, answer) == (Report.of(answer.headers).last or 0)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"7", b'"x"', b"[7]", b'{"bookmakers": [7]}', b'{"bookmakers": 7}', b"[" * 100_000]
)
def test_a_body_that_is_no_answer_costs_one_does_not_know_what(body: bytes) -> None:
    for request in REQUESTS:
        known = computed(request, Answer(200, (), body, AT))
        assert known is None or known >= 0
        account = Account().sent(request).received(request, Answer(200, (), body, AT))
        is_sound(account)
        assert account.under_way == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (None, None),
        ("", None),
        ("499", 499),
        ("499.0", 499),
        ("1.5", None),
        ("-1", None),
        ("x", None),
        ("NaN", None),
        ("٣", None),
        ("9" * 30, None),
    ],
)
def test_a_header_is_read_or_unknown(text: str | None, number: int | None) -> None:
    headers = () if text is None else (("x-requests-used", text),)
    assert Report.of(headers) == Report(None, number, None)


def test_without_headers_the_rules_are_all_there_is() -> None:
    answer = Answer(200, (), MARKET.answer(ODDS, AT).body, AT)
    account = Account().sent(ODDS).received(ODDS, answer)
    assert (account.spent, account.most, account.used) == (1, 1, None)


# --- the budget ----------------------------------------------------------------------------------------------------------


@given(CALLS, st.integers(0, 60), st.integers(0, 60))
@example([(ODDS, "reset")] * 3, 2, 58)
@settings(max_examples=100, deadline=None)
def test_a_budget_is_never_exceeded(calls: list[Any], limit: int, reserve: int) -> None:
    for budget in (Budget(per_run=limit), Budget(per_month=limit), Budget(reserve=reserve)):
        customer = Customer(credits=60)
        customer.ask(ApiRequest.of("sports"))
        for request, fault in calls:
            try:
                budget.check(customer.account, request)
            except ApiError:
                continue
            customer.ask(request, fault)
        if budget.per_run is None and budget.per_month is None:
            assert customer.sandbox.account.remaining >= reserve
        else:
            assert customer.cost <= limit


def test_what_is_free_is_always_allowed_and_the_rest_says_why_not() -> None:
    budget = Budget(per_run=2, per_month=10, reserve=5)
    budget.check(Account(spent=99, used=99, remaining=0), ApiRequest.of("sports"))
    budget.check(Account(spent=1, used=9, remaining=6), ODDS)
    Budget(per_run=1).check(Account(), ODDS)
    with pytest.raises(ApiError, match="CREDITS_UNKNOWN"):
        budget.check(Account(), ODDS)
    for account, code in (
        (Account(spent=1, lost=1), "BUDGET_SPENT: .* 2 of 2 "),
        (Account(used=9, remaining=99, lost=1), "BUDGET_SPENT: .* 10 of the month's 10 "),
        (Account(used=0, remaining=5), "RESERVE_REACHED: .* 5 left credits 5 "),
    ):
        with pytest.raises(ApiError, match=code):
            budget.check(account, ODDS)


def test_when_credits_come_back() -> None:
    assert credits_back_at(dt.datetime(2025, 12, 31, 23, 59, tzinfo=UTC)) == dt.datetime(2026, 1, 1, tzinfo=UTC)
    assert credits_back_at(dt.datetime(2026, 1, 1, tzinfo=UTC)) == dt.datetime(2026, 2, 1, tzinfo=UTC)
