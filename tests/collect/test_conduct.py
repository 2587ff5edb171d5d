"""Collecting from a server that fails: the sandbox, over a real socket. Waiting is a clock put forward."""

from __future__ import annotations

import datetime as dt
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.clock import UTC, ManualClock, SystemClock
from pipeline.collect.collector import collect, collect_again
from pipeline.collect.live import Conduct
from pipeline.collect.plan import ExplicitPlan, MarketPlan, Plan, Step
from pipeline.errors import ApiError, UsageError
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.api_errors import KEPT_FOR_CLOSING
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.credits import Bill, Budget
from pipeline.odds_api.endpoints import ENDPOINTS, IMPORTED
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.adapters import LiveAdapter, ReplayAdapter
from pipeline.recording.model import Batch, PlanIdentity
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.secret import Secret

AT = dt.datetime(2026, 1, 4, 17, tzinfo=UTC)
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
NBA, NFL = "basketball_nba", "americanfootball_nfl"
ODDS = ApiRequest.of("odds", sport=NBA, params={"regions": "us"})
MARKET = SimulatedMarket(7)
PLAN = MarketPlan(endpoints=("sports", "events", "odds", "scores"), sports=(NBA, NFL), regions=("us",))


class Place:
    """A sandbox and whoever collects from it."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self.sandbox, self.url = sandbox, url
        self.timer = ManualClock(AT)

    def reset(self, faults: list[str], credits: int = 1000) -> None:
        self.sandbox.__init__(  # type: ignore[misc]
            MARKET, SandboxClock(ManualClock(AT)), ManySeconds(), credits=credits, faults=faults
        )
        self.timer = ManualClock(AT)

    def collect(
        self, path: Path, plan: Plan = PLAN, *, key: str = KEY, workers: int = 1, budget: Budget | None = None
    ) -> Batch:
        with open_session(LiveAdapter(ManualClock(AT), deadline=0.8)) as session:
            session.trust_env = False
            client = OddsApiClient(session, clock=ManualClock(AT), base_url=self.url, api_key=Secret(key), timeout=(0.7, 0.7))
            conduct = Conduct(timer=self.timer, workers=workers, budget=budget or Budget())
            return collect(plan, AT, client, RecordingWriter(path, durable=False), source="live", conduct=conduct)

    @property
    def asked(self) -> list[tuple[str, int]]:
        return [(call["request"], call["status"]) for call in self.sandbox.calls]

    @property
    def slept(self) -> float:
        return (self.timer.now() - AT).total_seconds()


class ManySeconds:
    """Each call is a second after the one before it, so that no limit is met."""

    def __init__(self) -> None:
        self._now = 0.0

    def elapsed(self) -> float:
        self._now += 1.0
        return self._now

    def sleep(self, seconds: float) -> None:
        raise AssertionError("the sandbox never sleeps on it")


@pytest.fixture(scope="module")
def served() -> Iterator[Place]:
    sandbox = Sandbox(MARKET, SandboxClock(ManualClock(AT)), ManySeconds())
    with serving(sandbox) as url:
        yield Place(sandbox, url)


@pytest.fixture
def place(served: Place) -> Place:
    served.reset([])
    return served


def explicit(*requests: ApiRequest) -> ExplicitPlan:
    return ExplicitPlan(PlanIdentity({"kind": "test"}), tuple(Step(place, one) for place, one in enumerate(requests)))


def seen(batch: Batch) -> list[tuple[int, int, str]]:
    return [(one.place, one.attempt, "ok" if one.failure is None else one.failure.code) for one in batch.exchanges]


def replayed(path: Path, batch: Batch) -> None:
    """The recording replays as the same sequence: asked as recorded, and asked by a plan that tries as hard."""
    assert list(Recording.open(path / "r").batches()) == [batch]
    assert collect_again(batch, RecordingWriter(path / "again", durable=False)) == batch


# --- attempts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("429", "EXCEEDED_FREQ_LIMIT"),
        ("500", "HTTP_500"),
        ("timeout", "TIMEOUT"),
        ("reset", "RESET"),
        ("cut_gzip", "DECODE"),
        ("drip=0.03", "TIMEOUT"),
    ],
)
def test_what_can_heal_is_asked_again_and_recorded(place: Place, tmp_path: Path, fault: str, code: str) -> None:
    place.reset([fault, "odds:" + fault])
    batch = place.collect(tmp_path / "r", explicit(ODDS, ApiRequest.of("sports")))
    assert seen(batch) == [(0, 1, code), (0, 2, code), (0, 3, "ok"), (1, 1, "ok")]
    assert 1.5 <= place.slept <= 3
    replayed(tmp_path, batch)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("404", "EVENT_NOT_FOUND"),
        ("UNKNOWN_SPORT", "UNKNOWN_SPORT"),
        ("422", "INVALID_MARKET"),
        ("redirect", "HTTP_302"),
        ("html", "ok"),
    ],
)
def test_what_cannot_heal_is_asked_once_and_stops_nothing(place: Place, tmp_path: Path, fault: str, code: str) -> None:
    place.reset([fault])
    batch = place.collect(tmp_path / "r", explicit(ODDS, ApiRequest.of("sports")))
    assert seen(batch) == [(0, 1, code), (1, 1, "ok")]
    assert place.slept == 0
    replayed(tmp_path, batch)


def test_attempts_end(place: Place, tmp_path: Path) -> None:
    place.reset(["500"] * 4)
    batch = place.collect(tmp_path / "r", explicit(ODDS, ApiRequest.of("sports")))
    assert seen(batch) == [*((0, attempt, "HTTP_500") for attempt in (1, 2, 3, 4)), (1, 1, "ok")]
    replayed(tmp_path, batch)


def test_a_server_that_is_down_is_not_asked_for_ever(place: Place, tmp_path: Path) -> None:
    place.reset(["500"] * 1000)
    batch = place.collect(tmp_path / "r", explicit(*(ApiRequest.of("events", sport=f"s{number}") for number in range(30))))
    assert len(batch.exchanges) == 30 + 20
    assert {one.place for one in batch.exchanges} == set(range(30))


def test_the_server_is_given_the_time_it_asks_for(place: Place, tmp_path: Path) -> None:
    place.reset(["429=60"])
    assert seen(place.collect(tmp_path / "r", explicit(ODDS))) == [(0, 1, "EXCEEDED_FREQ_LIMIT"), (0, 2, "ok")]
    assert place.slept == 60
    place.reset(["429=3600"])
    assert seen(place.collect(tmp_path / "s", explicit(ODDS))) == [(0, 1, "EXCEEDED_FREQ_LIMIT")]
    assert place.slept == 0


def test_while_one_request_waits_no_other_is_sent(place: Place, tmp_path: Path) -> None:
    place.reset(["429"])
    place.collect(tmp_path / "r", explicit(ODDS, ApiRequest.of("sports")))
    assert [status for _, status in place.asked] == [429, 200, 200]
    assert place.asked[0][0] == place.asked[1][0]


def test_the_key_does_not_follow_a_redirect(place: Place, tmp_path: Path) -> None:
    system = SystemClock()
    elsewhere = Sandbox(MARKET, SandboxClock(system), system)
    with serving(elsewhere) as other:
        place.reset([f"redirect={other}"])
        assert seen(place.collect(tmp_path / "r", explicit(ODDS))) == [(0, 1, "HTTP_302")]
    assert list(elsewhere.calls) == []


def test_expansion_waits_for_the_last_attempt(place: Place, tmp_path: Path) -> None:
    plan = MarketPlan(endpoints=("events", "event_odds"), sports=(NBA,), regions=("us",), event_markets=("player_points",))
    place.reset(["events:500", "events:reset", "event_odds:timeout", "event_odds:404"])
    batch = place.collect(tmp_path / "r", plan)
    events = json.loads(batch.exchanges[2].body or b"")
    assert len(events) > 2
    assert seen(batch)[:6] == [
        (0, 1, "HTTP_500"),
        (0, 2, "RESET"),
        (0, 3, "ok"),
        (1, 1, "TIMEOUT"),
        (1, 2, "EVENT_NOT_FOUND"),
        (2, 1, "ok"),
    ]
    assert len(batch.exchanges) == len(events) + 4
    replayed(tmp_path, batch)
    # a plan that tries as hard meets the same sequence
    with open_session(ReplayAdapter(batch)) as session:
        client = OddsApiClient(session, clock=ManualClock(AT))
        writer = RecordingWriter(tmp_path / "plan", durable=False)
        assert collect(plan, AT, client, writer, source="live", conduct=Conduct(timer=ManualClock(AT))) == batch


# --- the end of a run ------------------------------------------------------------------------------------------------


def test_no_credits_left_stops_the_run_and_says_when_they_come_back(place: Place, tmp_path: Path) -> None:
    place.reset([], credits=2)
    plan = explicit(*(ApiRequest.of("odds", sport=sport, params={"regions": "us"}) for sport in (NBA, NFL, NBA, NFL)))
    with pytest.raises(ApiError, match=r"OUT_OF_USAGE_CREDITS: .*come back on 2026-02-01 at 00:00 UTC") as stopped:
        place.collect(tmp_path / "r", plan)
    assert stopped.value.exit_code == 3
    assert [status for _, status in place.asked] == [200, 200, 401]
    assert RecordingWriter(tmp_path / "r").batch_ids == ()
    # another month
    place.reset([], credits=2)
    batch = place.collect(tmp_path / "r", plan)
    assert seen(batch) == [(0, 1, "ok"), (1, 1, "ok"), (2, 1, "OUT_OF_USAGE_CREDITS"), (2, 2, "ok"), (3, 1, "ok")]
    assert len(place.asked) == 2
    replayed(tmp_path, batch)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("budget", [Budget(per_run=5), Budget(per_month=5), Budget(reserve=5)])
def test_a_run_stops_before_it_spends_what_it_must_not(place: Place, tmp_path: Path, budget: Budget, workers: int) -> None:
    place.reset(["odds:reset"], credits=10)
    request = ApiRequest.of("odds", sport=NBA, params={"regions": "us,eu"})
    plan = explicit(ApiRequest.of("sports"), *[request] * 4)
    with pytest.raises(ApiError, match=r"BUDGET_SPENT|RESERVE_REACHED"):
        place.collect(tmp_path / "r", plan, budget=budget, workers=workers)
    # one answer is lost and paid for, one is there, and a third would be one too many
    assert place.sandbox.account.used == 4
    with pytest.raises(ApiError):
        place.collect(tmp_path / "r", plan, budget=budget, workers=workers)
    assert place.sandbox.account.used == 4
    # what is asked beside them is free, and tells what the month has used
    assert [text for text, _ in place.asked if text != "sports"] == [request.text] * 2
    batch = place.collect(tmp_path / "r", plan)
    bill = Bill.of((one.request, one) for one in batch.exchanges)
    assert bill == Bill(reported=8, computed=8, unreported=0, doubtful=2, differing=())
    assert place.sandbox.account.used == bill.charged + bill.doubtful
    replayed(tmp_path, batch)


@dataclass(frozen=True)
class Told:
    """A plan of steps that are about to begin, or not, or of which it does not tell."""

    steps: tuple[Step, ...]
    identity = PlanIdentity({"kind": "of a test"})

    def expand(self, scheduled_at: dt.datetime, exchanges: Any) -> tuple[Step, ...]:
        return self.steps

    def filed_under(self, scheduled_at: dt.datetime, exchanges: Any) -> dt.datetime:
        return scheduled_at


def test_credits_that_are_kept_for_closing_hours_are_spent_there_alone(place: Place, tmp_path: Path) -> None:
    place.reset([])
    requests = [ApiRequest.of("odds", sport=sport, params={"regions": "us"}) for sport in (NFL, NFL, NBA)]
    requests[1] = ApiRequest.of("odds", sport=NFL, params={"regions": "uk"})
    budget = Budget(per_month=3, closing_hour=2)
    kinds = zip(requests, (False, False, True), strict=True)
    known = Told(tuple(Step(at, request, is_closing=is_closing) for at, (request, is_closing) in enumerate(kinds)))
    batch = place.collect(tmp_path / "known", known, budget=budget)
    assert [exchange.status for exchange in batch.exchanges] == [200, None, 200]
    assert batch.exchanges[1].failure == KEPT_FOR_CLOSING
    # what does not go by starts must leave them alone
    place.reset([])
    with pytest.raises(ApiError, match="CLOSING_HOUR_KEPT"):
        place.collect(tmp_path / "unknown", Told(tuple(Step(at, each) for at, each in enumerate(requests))), budget=budget)
    assert place.sandbox.account.used == 1


@pytest.mark.parametrize("code", ["MISSING_KEY", "INVALID_KEY", "DEACTIVATED_KEY", "HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN"])
def test_a_key_that_is_refused_stops_the_run(place: Place, tmp_path: Path, code: str) -> None:
    place.reset(["ok", code])
    with pytest.raises(ApiError, match=f"{code}: .*SPORTS_MARKET_API_KEY"):
        place.collect(tmp_path / "r")
    assert len(place.asked) == 2


def test_without_conduct_every_step_is_asked_once(place: Place, tmp_path: Path) -> None:
    place.reset(["401", "500", "429"])
    with open_session(LiveAdapter(ManualClock(AT))) as session:
        session.trust_env = False
        client = OddsApiClient(session, clock=ManualClock(AT), base_url=place.url, api_key=Secret(KEY))
        batch = collect(PLAN, AT, client, RecordingWriter(tmp_path / "r"), source="live")
    assert [code for _, _, code in seen(batch)] == ["INVALID_KEY", "HTTP_500", "EXCEEDED_FREQ_LIMIT", *["ok"] * 4]


@pytest.mark.parametrize("name", IMPORTED)
def test_what_is_imported_is_never_asked_for(place: Place, name: str) -> None:
    with open_session(LiveAdapter(ManualClock(AT))) as session:
        session.trust_env = False
        client = OddsApiClient(session, clock=ManualClock(AT), base_url=place.url, api_key=Secret(KEY))
        with pytest.raises(UsageError, match="ENDPOINT_IMPORTED"):
            client.send(ApiRequest.of(name, params={"ledger": "mine"}))
    assert place.asked == []


# --- every fault, every endpoint ---------------------------------------------------------------------------------------

GAME = str(json.loads(MARKET.answer(ApiRequest.of("events", sport=NBA), AT).body)[0]["id"])


def request_of(name: str) -> ApiRequest:
    row = ENDPOINTS[name]
    params = {"regions": "us"} if row.has_books else {}
    params |= {"date": "2026-01-04T16:00:00Z"} if row.is_historical else {}
    return ApiRequest.of(name, sport=NBA if row.has_sport else None, event_id=GAME if row.has_event else None, params=params)


HEALING = {"429", "500", "timeout", "reset", "cut_gzip", "drip=1"}
STOPPING = {"401", "MISSING_KEY", "DEACTIVATED_KEY", "OUT_OF_USAGE_CREDITS", "HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN"}
OTHER = {"404", "422", "html", "redirect", "change"}


@pytest.mark.parametrize("fault", sorted(HEALING | STOPPING | OTHER))
@pytest.mark.parametrize("name", ENDPOINTS)
def test_a_batch_is_sealed_or_absent_and_no_answer_is_paid_for_twice(
    place: Place, tmp_path: Path, name: str, fault: str
) -> None:
    place.reset([f"{name}:{fault}"])
    plan = explicit(request_of(name), ODDS)
    if fault in STOPPING:
        with pytest.raises(ApiError) as stopped:
            place.collect(tmp_path / "r", plan)
        assert stopped.value.exit_code == 3 and RecordingWriter(tmp_path / "r").batch_ids == ()
    batch = place.collect(tmp_path / "r", plan)
    assert len(batch.exchanges) == (2 if fault in OTHER else 3)
    bill = Bill.of((one.request, one) for one in batch.exchanges)
    assert bill.charged <= place.sandbox.account.used <= bill.charged + bill.doubtful and bill.differing == ()
    answered = [one for one in batch.exchanges if one.status == 200]
    assert len({one.place for one in answered}) == len(answered)
    replayed(tmp_path, batch)


# --- cut short, and several at a time ----------------------------------------------------------------------------------


class Cut(Exception):
    """The process ends here."""


FAULT = st.sampled_from(["ok", "ok", "ok", "429", "500", "reset", "cut_gzip", "404", "html", "OUT_OF_USAGE_CREDITS"])


@given(st.lists(FAULT, max_size=12), st.lists(st.integers(0, 6), max_size=4), st.integers(1, 4))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_that_was_cut_short_goes_on_and_asks_no_answered_request_again(
    place: Place, tmp_path_factory: pytest.TempPathFactory, faults: list[str], cuts: list[int], workers: int
) -> None:
    path = tmp_path_factory.mktemp("cut")
    place.reset(faults)
    batch: Batch | None = None
    remaining = list(cuts)
    while batch is None:
        with pytest.MonkeyPatch.context() as patched:
            if remaining:
                cut_after(patched, remaining.pop())
            try:
                batch = place.collect(path / "r", workers=workers)
            except (Cut, ApiError):
                continue
    # what the server has answered is there, each answer once, but for what a cut lost between server and disk
    kept = [(one.request.text, one.status) for one in batch.exchanges if one.status is not None]
    assert len(place.asked) - len(batch.exchanges) <= len(cuts) * workers
    assert {text for text, _ in kept} == {step.request.text for step in PLAN.expand(AT, [])}
    for step in PLAN.expand(AT, []):
        outcomes = [one.failure for one in batch.exchanges if one.place == step.place]
        assert all(failure is not None for failure in outcomes[:-1])
    replayed(path, batch)


def cut_after(patched: pytest.MonkeyPatch, exchanges: int) -> None:
    """Let the process end when so many exchanges are on disk."""
    from pipeline.recording.store import BatchWriter

    left, add = [exchanges], BatchWriter.add

    def adding(self: Any, exchange: Any) -> None:
        if left[0] <= 0:
            raise Cut
        left[0] -= 1
        add(self, exchange)

    patched.setattr(BatchWriter, "add", adding)


def test_several_requests_are_under_way_at_a_time_and_no_more(place: Place, tmp_path: Path) -> None:
    under_way, most = [0], [0]
    lock = threading.Lock()

    class Counting(LiveAdapter):
        def send(self, *arguments: Any, **options: Any) -> Any:
            with lock:
                under_way[0] += 1
                most[0] = max(most[0], under_way[0])
            try:
                return super().send(*arguments, **options)
            finally:
                with lock:
                    under_way[0] -= 1

    with open_session(Counting(ManualClock(AT))) as session:
        session.trust_env = False
        client = OddsApiClient(session, clock=ManualClock(AT), base_url=place.url, api_key=Secret(KEY))
        conduct = Conduct(timer=ManualClock(AT), workers=3)
        batch = collect(PLAN, AT, client, RecordingWriter(tmp_path / "r"), source="live", conduct=conduct)
    assert most == [3]
    one_by_one = place.collect(tmp_path / "s")
    answers = [(one.place, one.attempt, one.request, one.body) for one in batch.exchanges]
    assert answers == [(one.place, one.attempt, one.request, one.body) for one in one_by_one.exchanges]


def test_one_connection_serves_them_all(place: Place, tmp_path: Path) -> None:
    adapter = LiveAdapter(ManualClock(AT))
    with open_session(adapter) as session:
        session.trust_env = False
        client = OddsApiClient(session, clock=ManualClock(AT), base_url=place.url, api_key=Secret(KEY))
        collect(PLAN, AT, client, RecordingWriter(tmp_path / "r"), source="live", conduct=Conduct(timer=ManualClock(AT)))
        pools: Any = adapter.poolmanager.pools
        assert [(pools[key].num_connections, pools[key].num_requests) for key in list(pools.keys())] == [(1, 7)]


def test_an_interrupt_keeps_what_is_under_way(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_by_interrupt = [True]

    from pipeline.collect import live

    waiting = live.wait

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if cut_by_interrupt and cut_by_interrupt.pop():
            raise KeyboardInterrupt
        return waiting(*arguments, **options)

    monkeypatch.setattr(live, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        place.collect(tmp_path / "r", workers=3)
    assert len(place.asked) == 3
    batch = place.collect(tmp_path / "r", workers=3)
    assert len(place.asked) == len(batch.exchanges) == 7


# --- the key -----------------------------------------------------------------------------------------------------------


@given(
    st.text("0123456789abcdef", min_size=32, max_size=32), st.lists(FAULT | st.sampled_from(["401", "redirect"]), max_size=7)
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_key_is_nowhere(place: Place, tmp_path_factory: pytest.TempPathFactory, key: str, faults: list[str]) -> None:
    path = tmp_path_factory.mktemp("key")
    place.reset(faults)
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record) + repr(record.args))

    root, handler = logging.getLogger(), Lines()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        lines.append(repr(place.collect(path / "r", key=key, workers=2)))
    except ApiError as error:
        lines.append(f"{error!r} {error} {error.__cause__!r} {error.__context__!r}")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    assert any("/v4/sports" in line for line in lines)
    assert place.asked
    written = b"\n".join(file.read_bytes() for file in path.rglob("*") if file.is_file())
    for form in {key, quote(key), quote_plus(key)}:
        assert form.encode() not in written
        assert form not in "\n".join([*lines, *map(str, path.rglob("*"))])
