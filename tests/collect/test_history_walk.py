"""A walk through the history: by its links over its gaps, within a cap, and no snapshot is paid for twice."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.clock import UTC, ManualClock, SystemClock
from pipeline.collect.history_walk import Forecast, Span, Walked, parse_moment, walk
from pipeline.collect.live import Conduct
from pipeline.collect.plan import MarketPlan
from pipeline.collect.plan_file import PlanFile
from pipeline.errors import UsageError
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.credits import Budget
from pipeline.odds_api.retry import Pace
from pipeline.recording.adapters import LiveAdapter
from pipeline.recording.store import Recording, RecordingWriter
from pipeline.secret import Secret

NOW = dt.datetime(2026, 1, 20, tzinfo=UTC)
BEGIN = dt.datetime(2026, 1, 4, 17, tzinfo=UTC)
MINUTE = dt.timedelta(minutes=1)
PLAN = MarketPlan(endpoints=("events", "odds"), sports=("basketball_nba",), regions=("us",), historical=True)
FILE = PlanFile("history", PLAN, None, Budget())
PRICE = 11  # a list of events, and one market in one region
MARKET = SimulatedMarket(7)


class Place:
    def __init__(self, sandbox: Sandbox, url: str, path: Path) -> None:
        self.sandbox, self.url, self.path = sandbox, url, path

    def walk(self, minutes: float, credits: int = 1000, file: PlanFile = FILE, begin: dt.datetime = BEGIN) -> Walked:
        clock, system = ManualClock(NOW), SystemClock()
        with open_session(LiveAdapter(clock)) as session:
            session.trust_env = False
            client = OddsApiClient(session, clock=clock, base_url=self.url, api_key=Secret("0" * 32), pace=Pace(system))
            span = Span(file, begin, begin + minutes * MINUTE, credits)
            return walk(span, client, RecordingWriter(self.path, durable=False), Conduct(timer=ManualClock(NOW)))

    @property
    def times(self) -> list[dt.datetime]:
        return [batch.scheduled_at for batch in Recording.open(self.path).batches()]

    def links(self) -> list[tuple[str, str]]:
        bodies = [json.loads(batch.exchanges[0].body or b"") for batch in Recording.open(self.path).batches()]
        return [(body["timestamp"], body["next_timestamp"]) for body in bodies]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    sandbox = Sandbox(MARKET, SandboxClock(ManualClock(NOW)), SystemClock())
    with serving(sandbox) as url:
        yield Place(sandbox, url, tmp_path / "spool")


def test_it_takes_every_snapshot_by_the_links(place: Place) -> None:
    walked = place.walk(30)
    assert walked.stopped_at is None and walked.known == 0
    links = place.links()
    assert len(links) == len(walked.batches) in (6, 7)
    assert [following for _, following in links[:-1]] == [at for at, _ in links[1:]]
    assert place.times[0] <= BEGIN and place.times[-1] <= BEGIN + 30 * MINUTE < parse_moment(links[-1][1])
    assert walked.bill.charged == place.sandbox.account.used == PRICE * len(links)
    # all of it again, and what lies within: no call
    calls = len(place.sandbox.calls)
    again, within = place.walk(30), place.walk(7, begin=BEGIN + 11 * MINUTE)
    assert (again.batches, again.known, within.batches) == ((), len(links), ()) and within.known >= 1
    assert len(place.sandbox.calls) == calls


def test_the_cap_holds_and_the_next_walk_goes_on(place: Place) -> None:
    first = place.walk(30, credits=2 * PRICE + 5)
    assert len(first.batches) == 2 and first.stopped_at is not None and "5 are left" in (first.why or "")
    assert place.sandbox.account.used == 2 * PRICE
    second = place.walk(30)
    assert second.known == 2 and second.stopped_at is None
    assert place.sandbox.account.used == PRICE * len(place.times)
    assert len(set(place.times)) == len(first.batches) + len(second.batches)


def test_lost_answers_count_for_the_cap_and_a_stopped_snapshot_is_gone_on_with(place: Place) -> None:
    place.sandbox.faults.extend(["historical_odds:reset"])
    first = place.walk(30, credits=PRICE + 5)
    assert first.batches == () and first.stopped_at == BEGIN
    assert place.sandbox.account.used <= PRICE + 5
    assert place.walk(0, credits=100).batches != ()
    asked = [call["request"] for call in place.sandbox.calls if call["fault"] is None]
    assert len(asked) == len(set(asked)) == 2


def test_a_cadence_is_the_least_distance_and_gaps_are_leapt_over(place: Place) -> None:
    file = PlanFile("hourly", PLAN, 60 * MINUTE, Budget())
    walked = place.walk(24 * 60 * 12, file=PlanFile("daily", PLAN, 24 * 60 * MINUTE, Budget()))
    times = place.times
    assert len(times) == len(set(times)) == len(walked.batches)
    assert place.sandbox.account.used == PRICE * len(times)  # none was a duplicate
    assert all(later - earlier >= dt.timedelta(hours=23) for earlier, later in itertools.pairwise(times))
    assert place.walk(120, file=file).known >= 1  # of any cadence, one plan


def test_history_that_was_not_there_yet_is_found_later(place: Place) -> None:
    place.sandbox.clock.change(at=BEGIN + 12 * MINUTE)
    first = place.walk(60)
    assert first.stopped_at is None and place.times[-1] <= BEGIN + 12 * MINUTE
    place.sandbox.clock.change(at=NOW)
    second = place.walk(60)
    assert second.known == len(first.batches) and place.times[-1] > BEGIN + 50 * MINUTE
    assert len(place.times) == len(first.batches) + len(second.batches)
    assert place.sandbox.account.used == PRICE * len(place.times)


def test_the_forecast_makes_no_call_and_is_never_too_low(place: Place) -> None:
    span = Span(FILE, BEGIN, BEGIN + 30 * MINUTE, 40)
    told = Forecast.of(span, None, 5).to_json()
    assert (told["snapshots"], told["calls"], told["credits"], told["snapshots_within_cap"]) == (7, 14, 77, 3)
    assert list(place.sandbox.calls) == []
    place.walk(30, credits=40)
    left = Forecast.of(span, RecordingWriter(place.path), 5).to_json()
    assert left["snapshots"] <= 7 - 3 + 1
    before = place.sandbox.account.used
    place.walk(30)
    assert place.sandbox.account.used - before <= left["credits"]


@pytest.mark.parametrize("text", ["2025-10-09T00:42:48.000Z", "2025-10-09T00:42:48+00:00", "2025-10-09", "now"])
def test_moments_that_the_api_refuses_are_refused_before_any_call(text: str) -> None:
    with pytest.raises(UsageError, match="DATE_INVALID"):
        parse_moment(text)


def test_spans_that_cannot_be_meant() -> None:
    live = PlanFile("live", MarketPlan(endpoints=("sports",)), None, Budget())
    with pytest.raises(UsageError, match="PLAN_NOT_HISTORICAL"):
        Span(live, BEGIN, BEGIN, 1)
    with pytest.raises(UsageError, match="SPAN_INVALID"):
        Span(FILE, BEGIN, BEGIN - MINUTE, 1)
