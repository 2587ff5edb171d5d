import datetime as dt
import json
import socket
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.collect.collector import collect, collect_again
from pipeline.collect.plan import ExplicitPlan, MarketPlan, Step
from pipeline.errors import ConflictError, RequestNotRecorded
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.endpoints import ENDPOINTS
from pipeline.odds_api.redaction import KEPT_HEADERS
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.adapters import ReplayAdapter
from pipeline.recording.model import Batch, Coverage, Exchange, Failure, PlanIdentity
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.secret import Secret

AT = dt.datetime(2025, 10, 9, 0, 42, 48, tzinfo=dt.UTC)
NHL = "icehockey_nhl"
ODDS = ApiRequest.of("odds", sport=NHL, params={"markets": "h2h", "regions": "us"})


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a replay opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def answer(place: int, body: bytes = b"[]", request: ApiRequest = ODDS, **changes: Any) -> Exchange:
    values: dict[str, Any] = {"coverage": Coverage(NHL), "captured_at": AT + dt.timedelta(seconds=place), "status": 200}
    return Exchange(place, changes.pop("attempt", 1), request, body=body, **(values | changes))


def failed(place: int, attempt: int, code: str) -> Exchange:
    return Exchange(place, attempt, ODDS, Coverage(NHL), AT, None, failure=Failure(code, "as recorded"))


def batch_of(*exchanges: Exchange, plan: PlanIdentity | None = None, at: dt.datetime = AT, source: str = "live") -> Batch:
    plan = plan or PlanIdentity({"kind": "test"})
    return Batch(plan.batch_id(at), at, plan, source, exchanges)


def replay_client(adapter: ReplayAdapter, key: str | None = None) -> OddsApiClient:
    return OddsApiClient(open_session(adapter), clock=ManualClock(AT), api_key=None if key is None else Secret(key))


# --- any batch ---------------------------------------------------------------------------------------------------

TIMES = st.datetimes(min_value=dt.datetime(2000, 1, 1), max_value=dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
KEYS = st.text("abc_012", min_size=1, max_size=6)
HEADERS = st.dictionaries(
    st.sampled_from(sorted(KEPT_HEADERS)),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12).map(str.strip),
).map(lambda headers: tuple(sorted(headers.items())))
FAILURES = st.builds(
    Failure, st.sampled_from(["CONNECT", "TIMEOUT", "RESET", "TLS", "DECODE", "HTTP_500", "EVENT_NOT_FOUND"]), TEXT
)
LISTS = st.lists(KEYS, max_size=2, unique=True).map(tuple)


@st.composite
def coverages(draw: st.DrawFn) -> Coverage:
    begin, end = draw(st.none() | TIMES), draw(st.none() | TIMES)
    if begin is not None and end is not None:
        begin, end = sorted((begin, end))
    return Coverage(draw(st.none() | KEYS), draw(st.none() | LISTS), draw(LISTS), draw(LISTS), begin, end)


@st.composite
def requests_(draw: st.DrawFn) -> ApiRequest:
    row = draw(st.sampled_from(list(ENDPOINTS.values())))
    return ApiRequest.of(
        row.name,
        sport=draw(st.none() | KEYS) if row.has_sport else None,
        event_id=draw(st.none() | KEYS) if row.has_event else None,
        params=draw(st.dictionaries(KEYS, TEXT, max_size=2)),
    )


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    # few distinct requests, so that identical ones meet
    known = draw(st.lists(requests_(), min_size=1, max_size=3))
    places = draw(st.lists(st.tuples(st.integers(0, 1200), st.integers(1, 4)), unique=True, min_size=1, max_size=7).map(sorted))
    exchanges = []
    for place, attempt in places:
        status = draw(st.none() | st.sampled_from([200, 200, 200, 204, 302, 401, 404, 429, 500]))
        if status is None:
            came: dict[str, Any] = {"failure": draw(FAILURES)}
        else:
            bodies = st.binary(max_size=60)
            body, failure = (bodies, st.none()) if status == 200 else (st.none() | bodies, FAILURES)
            came = {"headers": draw(HEADERS), "body": draw(body), "failure": draw(failure)}
        request, coverage, captured_at = draw(st.sampled_from(known)), draw(coverages()), draw(TIMES)
        exchanges.append(Exchange(place, attempt, request, coverage, captured_at, status, **came))
    plan = PlanIdentity(draw(st.dictionaries(KEYS, st.lists(TEXT, max_size=2) | st.booleans() | st.none(), max_size=3)))
    at = draw(TIMES).replace(microsecond=0)
    return batch_of(*exchanges, plan=plan, at=at, source=draw(st.sampled_from(["live", "import", "simulated", "backfill"])))


@given(batches())
@settings(deadline=None)
def test_any_batch_collected_again_is_the_same_batch(tmp_path_factory: pytest.TempPathFactory, batch: Batch) -> None:
    path = tmp_path_factory.mktemp("again") / "r"
    assert collect_again(batch, RecordingWriter(path, durable=False)) == batch
    assert list(Recording.open(path).batches()) == [batch]


@given(batches(), st.data())
@settings(deadline=None)
def test_a_replay_that_was_cut_short_goes_on(
    tmp_path_factory: pytest.TempPathFactory, batch: Batch, data: st.DataObject
) -> None:
    writer = RecordingWriter(tmp_path_factory.mktemp("again") / "r", durable=False)
    begun = writer.begin(batch.batch_id, batch.scheduled_at, batch.plan, batch.source)
    for exchange in batch.exchanges[: data.draw(st.integers(0, len(batch.exchanges)))]:
        begun.add(exchange)
    assert collect_again(batch, writer) == batch


# --- single properties of it -----------------------------------------------------------------------------------


def test_identical_requests_replay_in_their_recorded_order(tmp_path: Path) -> None:
    batch = batch_of(failed(0, 1, "TIMEOUT"), answer(0, b"1", attempt=2), answer(1, b"2"), answer(2, b"3"))
    adapter = ReplayAdapter(batch)
    client = replay_client(adapter)
    answers = [client.send(ODDS) for _ in range(4)]
    assert [(one.status, one.body) for one in answers] == [(None, None), (200, b"1"), (200, b"2"), (200, b"3")]
    assert [one.captured_at for one in answers] == [one.captured_at for one in batch.exchanges]
    assert answers[0].failure == Failure("TIMEOUT", "as recorded")
    assert adapter.unplayed == ()
    with pytest.raises(RequestNotRecorded, match="replayed already"):
        client.send(ODDS)


def test_the_key_is_no_part_of_the_comparison() -> None:
    assert replay_client(ReplayAdapter(batch_of(answer(0, b"1"))), "0123456789abcdef").send(ODDS).body == b"1"


def test_a_request_that_is_not_recorded_names_the_nearest() -> None:
    other = ApiRequest.of("scores", sport="soccer_epl")
    adapter = ReplayAdapter(batch_of(answer(0, request=other), answer(1)))
    with pytest.raises(RequestNotRecorded) as caught:
        replay_client(adapter, "0123456789abcdef").send(
            ApiRequest.of("odds", sport=NHL, params={"markets": "totals", "regions": "us"})
        )
    assert caught.value.code == "REQUEST_NOT_RECORDED"
    assert ODDS.text in caught.value.message and "markets=totals" in caught.value.message
    assert "0123456789abcdef" not in str(caught.value)


def test_what_was_not_played_is_reported_in_order() -> None:
    batch = batch_of(answer(0), answer(1, request=ApiRequest.of("sports")), answer(2))
    adapter = ReplayAdapter(batch)
    assert adapter.unplayed == batch.exchanges
    replay_client(adapter).send(ODDS)
    assert adapter.unplayed == batch.exchanges[1:]


def test_other_content_in_the_other_recording_is_a_conflict(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "r")
    collect_again(batch_of(answer(0, b"1")), writer)
    with pytest.raises(ConflictError, match="BATCH_CONFLICT"):
        collect_again(batch_of(answer(0, b"2")), writer)


def test_a_market_plan_expands_in_a_replay_as_it_did_live(tmp_path: Path) -> None:
    plan = MarketPlan(endpoints=("events", "event_odds"), sports=(NHL,), regions=("us",), event_markets=("btts",))
    (events,) = plan.expand(AT, [])
    listed = answer(0, json.dumps([{"id": "e2", "sport_key": NHL}, {"id": "e1", "sport_key": NHL}]).encode(), events.request)
    first, second = plan.expand(AT, [listed])[1:]
    gone = answer(
        1,
        b'{"error_code": "EVENT_NOT_FOUND", "message": "gone"}',
        first.request,
        status=404,
        failure=Failure("EVENT_NOT_FOUND", "gone"),
    )
    batch = batch_of(listed, gone, answer(2, b"{}", second.request), plan=plan.identity)
    again = collect(plan, AT, replay_client(ReplayAdapter(batch)), RecordingWriter(tmp_path / "a"), source="live")
    assert [(one.request, one.body, one.failure) for one in again.exchanges] == [
        (one.request, one.body, one.failure) for one in batch.exchanges
    ]
    assert again.exchanges[1].coverage.events == ("e1",)
    assert collect_again(again, RecordingWriter(tmp_path / "b")) == again


def historical(timestamp: str) -> tuple[MarketPlan, Batch]:
    plan = MarketPlan(endpoints=("odds",), sports=(NHL,), regions=("us",), historical=True)
    (step,) = plan.expand(AT, [])
    body = json.dumps({"timestamp": timestamp, "data": []}).encode()
    return plan, batch_of(answer(0, body, step.request), plan=plan.identity, source="backfill")


def test_a_historical_batch_is_filed_under_its_envelope_and_a_known_envelope_is_a_duplicate(tmp_path: Path) -> None:
    plan, batch = historical("2025-10-09T00:40:38Z")
    writer = RecordingWriter(tmp_path / "a")
    filed = collect(plan, AT, replay_client(ReplayAdapter(batch)), writer, source="backfill")
    assert filed.batch_id == plan.identity.batch_id(filed.scheduled_at)
    assert filed.scheduled_at == dt.datetime(2025, 10, 9, 0, 40, 38, tzinfo=dt.UTC)
    assert list(Recording.open(tmp_path / "a").batches()) == [filed]
    # asked ten minutes later, the API still gave the same snapshot
    later = AT + dt.timedelta(minutes=10)
    (step,) = plan.expand(later, [])
    other = batch_of(answer(0, batch.exchanges[0].body or b"", step.request), plan=plan.identity, at=later)
    assert collect(plan, later, replay_client(ReplayAdapter(other)), writer, source="backfill") == filed
    assert Recording.open(tmp_path / "a").batch_ids == (filed.batch_id,)
    assert collect_again(filed, RecordingWriter(tmp_path / "b")) == filed


def test_a_run_that_was_cut_short_asks_only_for_the_rest(tmp_path: Path) -> None:
    batch = batch_of(*(answer(place, b"%d" % place, ApiRequest.of("events", sport=f"s{place}")) for place in range(3)))
    plan, writer = ExplicitPlan.of(batch), RecordingWriter(tmp_path / "r")
    short = ReplayAdapter(batch_of(*batch.exchanges[:2]))
    with pytest.raises(RequestNotRecorded):
        collect(plan, AT, replay_client(short), writer, source="live")
    rest = ReplayAdapter(batch_of(batch.exchanges[2]))
    assert collect(plan, AT, replay_client(rest), writer, source="live") == batch
    nothing = ReplayAdapter(batch_of())
    assert collect(plan, AT, replay_client(nothing), writer, source="live") == batch


def test_coverage_comes_from_the_step_or_else_from_the_request(tmp_path: Path) -> None:
    declared = Coverage(NHL, ("e1",), ("h2h",), ("fanduel",))
    plan = ExplicitPlan(PlanIdentity({}), (Step(0, ODDS, declared), Step(1, ApiRequest.of("sports"))))
    recorded = batch_of(answer(0), answer(1, request=ApiRequest.of("sports")))
    batch = collect(plan, AT, replay_client(ReplayAdapter(recorded)), RecordingWriter(tmp_path / "r"), source="live")
    assert [one.coverage for one in batch.exchanges] == [declared, Coverage(None, ())]
