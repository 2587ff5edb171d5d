"""A batch that was stopped half-way, gone on with in its slot or sealed after it: no credit is forgotten, or spent twice."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.collect.abandoned import seal_abandoned
from pipeline.collect.live import Conduct
from pipeline.collect.plan import MarketPlan
from pipeline.collect.plan_file import PlanFile
from pipeline.collect.scheduled import nothing_due
from pipeline.errors import ApiError
from pipeline.market.simulator import SimulatorAdapter
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.credits import Bill, Budget
from pipeline.recording.model import Batch
from pipeline.recording.store import BatchWriter, Recording, RecordingWriter
from tests.collect import test_conduct
from tests.collect.test_conduct import AT, FAULT, MARKET, NBA, PLAN, Cut, Place, cut_after, replayed, seen

served, place = test_conduct.served, test_conduct.place

SLOT = dt.timedelta(minutes=10)
FILE = PlanFile("test", PLAN, SLOT, Budget())
BATCH_ID = PLAN.identity.batch_id(AT)


def next_slot(path: Path, file: PlanFile = FILE, after: dt.timedelta = SLOT) -> tuple[str, ...]:
    """What the beginning of a later run does; whoever answers here is never asked."""
    clock = ManualClock(AT + after)
    with open_session(SimulatorAdapter(MARKET, clock)) as session:
        client = OddsApiClient(session, clock=clock)
        return seal_abandoned(file, AT + after, client, RecordingWriter(path, durable=False), Conduct(timer=clock), "live")


def bill_of(batch: Batch) -> Bill:
    return Bill.of((one.request, one) for one in batch.exchanges)


def killed(patched: pytest.MonkeyPatch, place: Place, path: Path, keeps: int, workers: int = 1) -> None:
    """A run that ends at once when it has kept so much: nothing is tidied up, as nothing is where a process is killed."""
    cut_after(patched, keeps)
    expect = BatchWriter.expect
    calls: list[int] = []
    patched.setattr(BatchWriter, "expect", lambda self, number: calls or calls.append(number) or expect(self, number))
    with pytest.raises(Cut):
        place.collect(path, workers=workers)


def test_what_was_stopped_is_sealed_in_the_next_slot_as_it_is(place: Place, tmp_path: Path) -> None:
    place.reset(["ok", "ok", "ok", "ok", "OUT_OF_USAGE_CREDITS"])
    with pytest.raises(ApiError):
        place.collect(tmp_path / "r")
    asked = len(place.asked)
    assert next_slot(tmp_path / "r", after=dt.timedelta(0)) == ()  # in its own slot it is gone on with
    assert next_slot(tmp_path / "r") == (BATCH_ID,)
    [batch] = Recording.open(tmp_path / "r").batches()
    kept = [(0, 1, "ok"), (1, 1, "ok"), (2, 1, "ok"), (3, 1, "ok"), (4, 1, "OUT_OF_USAGE_CREDITS")]
    assert seen(batch) == [*kept, (5, 1, "NOT_ASKED"), (6, 1, "NOT_ASKED")]
    assert (batch.batch_id, batch.scheduled_at, batch.source) == (BATCH_ID, AT, "live")
    assert bill_of(batch).charged == place.sandbox.account.used > 0 and bill_of(batch).doubtful == 0
    assert len(place.asked) == asked and RecordingWriter(tmp_path / "r").unsealed == ()
    assert sorted(path.name for path in (tmp_path / "r" / "batches" / BATCH_ID).iterdir() if path.suffix != ".json") == []
    replayed(tmp_path, batch)
    assert next_slot(tmp_path / "r") == () and place.collect(tmp_path / "r") == batch and len(place.asked) == asked


def test_a_killed_run_leaves_calls_that_may_have_been_paid_for(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        killed(patched, place, tmp_path / "r", keeps=4, workers=2)
    assert next_slot(tmp_path / "r") == (BATCH_ID,)
    [batch] = Recording.open(tmp_path / "r").batches()
    codes = [code for _, _, code in seen(batch)]
    assert codes == ["ok"] * 4 + ["ABANDONED"] * 2 + ["NOT_ASKED"]
    assert [one.captured_at for one in batch.exchanges[4:]] == [AT + SLOT] * 3
    bill = bill_of(batch)
    assert bill.charged < place.sandbox.account.used <= bill.charged + bill.doubtful
    replayed(tmp_path, batch)


def test_a_killed_run_is_gone_on_with_in_its_slot_and_what_was_lost_counts(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        killed(patched, place, tmp_path / "r", keeps=3)
    # the call under way cost 1; with the next ones that is more than may be spent
    with pytest.raises(ApiError, match="BUDGET_SPENT"):
        place.collect(tmp_path / "r", budget=Budget(per_run=3))
    batch = place.collect(tmp_path / "r")
    assert seen(batch)[3:5] == [(3, 1, "ABANDONED"), (3, 2, "ok")]
    bill = bill_of(batch)
    assert bill.charged < place.sandbox.account.used == bill.charged + bill.doubtful
    replayed(tmp_path, batch)


def test_kills_are_no_attempts(place: Place, tmp_path: Path) -> None:
    for keeps in (0, 2, 2, 2, 2, 2):
        with pytest.MonkeyPatch.context() as patched:
            killed(patched, place, tmp_path / "r", keeps, workers=2)
    place.reset(["reset"])
    batch = place.collect(tmp_path / "r", workers=2)
    last = {one.place: one.failure for one in batch.exchanges}
    assert set(last.values()) == {None} and len(batch.exchanges) > 12
    replayed(tmp_path, batch)


def test_only_batches_of_this_plan_that_asked_something_are_sealed(place: Place, tmp_path: Path) -> None:
    place.reset(["ok", "401"])
    with pytest.raises(ApiError):
        place.collect(tmp_path / "r")
    other = PlanFile("other", MarketPlan(endpoints=("sports",)), SLOT, Budget())
    assert next_slot(tmp_path / "r", other) == ()
    (tmp_path / "r" / "unsealed" / "nonsense").mkdir()
    empty = PLAN.identity.batch_id(AT - SLOT)
    (tmp_path / "r" / "unsealed" / empty).mkdir()
    assert RecordingWriter(tmp_path / "r").unsealed == tuple(sorted((empty, BATCH_ID, "nonsense")))
    assert next_slot(tmp_path / "r") == (BATCH_ID,)
    assert RecordingWriter(tmp_path / "r").unsealed == ("nonsense",)


def test_steps_that_answers_would_have_named_are_failures_too(place: Place, tmp_path: Path) -> None:
    plan = MarketPlan(endpoints=("events", "event_odds"), sports=(NBA,), regions=("us",), event_markets=("player_points",))
    place.reset(["ok", "ok", "OUT_OF_USAGE_CREDITS"])
    with pytest.raises(ApiError):
        place.collect(tmp_path / "r", plan)
    next_slot(tmp_path / "r", PlanFile("props", plan, SLOT, Budget()))
    [batch] = Recording.open(tmp_path / "r").batches()
    codes = [code for _, _, code in seen(batch)]
    assert codes[:3] == ["ok", "ok", "OUT_OF_USAGE_CREDITS"] and len(codes) > 4 and set(codes[3:]) == {"NOT_ASKED"}
    asked = {one.request.event_id for one in batch.exchanges if one.request.endpoint == "event_odds"}
    assert len(asked) == len(codes) - 1
    replayed(tmp_path, batch)


def test_a_half_batch_tells_nothing_about_what_is_due(place: Place, tmp_path: Path) -> None:
    from pipeline.collect.cadence import parse_cadence

    tiers = PlanFile("tiers", PLAN, SLOT, Budget(), parse_cadence({"1m": "10m", "otherwise": "12h"}))
    place.collect(tmp_path / "whole")
    assert nothing_due(tiers, AT + SLOT, tmp_path / "whole") is not None
    place.reset(["ok", "401"])
    with pytest.raises(ApiError):
        place.collect(tmp_path / "half")
    next_slot(tmp_path / "half")
    assert nothing_due(tiers, AT + SLOT, tmp_path / "half") is None


@given(
    st.lists(FAULT, max_size=12),
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=4),
    st.integers(1, 4),
    st.booleans(),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_through_faults_and_kills_our_account_is_never_at_odds_with_the_servers(
    place: Place,
    tmp_path_factory: pytest.TempPathFactory,
    faults: list[str],
    ends: list[tuple[int, bool]],
    workers: int,
    goes_on: bool,
) -> None:
    path = tmp_path_factory.mktemp("ends")
    place.reset(faults)
    for keeps, is_kill in ends:
        with pytest.MonkeyPatch.context() as patched:
            try:
                if is_kill:
                    killed(patched, place, path / "r", keeps, workers)
                else:
                    cut_after(patched, keeps)
                    place.collect(path / "r", workers=workers)
            except (Cut, ApiError, pytest.fail.Exception):
                pass
    while goes_on:
        try:
            place.collect(path / "r", workers=workers)
            break
        except ApiError:
            continue
    next_slot(path / "r")
    assert RecordingWriter(path / "r").unsealed == ()
    batches = [batch for one in RecordingWriter(path / "r").batch_ids if (batch := RecordingWriter(path / "r").sealed(one))]
    bill = Bill.of((one.request, one) for batch in batches for one in batch.exchanges)
    assert bill.differing == ()
    assert 0 <= bill.charged <= place.sandbox.account.used <= bill.charged + bill.doubtful
    for batch in batches:
        assert batch.batch_id == BATCH_ID
        answered = [one.place for one in batch.exchanges if one.status == 200]
        assert len(answered) == len(set(answered))
        steps = {step.place for step in PLAN.expand(AT, batch.exchanges)}
        assert {one.place for one in batch.exchanges} == steps  # each request has its answer or its failure
        replayed(path, batch)
