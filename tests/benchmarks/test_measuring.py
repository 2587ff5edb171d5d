"""The benchmarks' own arithmetic: a figure that cannot fail, or a batch that is not what it claims, would prove nothing."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from pathlib import Path

import pytest

from pipeline.clock import from_iso
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from tests.benchmarks.asking import TABLES, empty_tables
from tests.benchmarks.batches import BUNDLED, moving_event, outcomes, shifted, timeline, with_american_odds
from tests.benchmarks.figures import Figure, PostgresCpu, own_seconds, stat_fields, typical_ratio
from tests.benchmarks.floor import FILE, sections
from tests.benchmarks.lanes import spread
from tests.benchmarks.season import HUNDRED, Hundred, growth


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording.open(resource(BUNDLED))


@pytest.fixture(scope="module")
def rich(recording: Recording) -> Batch:
    return with_american_odds(recording.batches())


class TestFigure:
    @pytest.mark.parametrize(
        ("value", "at_most", "ok"), [(2.0, True, True), (2.01, True, False), (2.0, False, True), (1.99, False, False)]
    )
    def test_its_limit_decides(self, value: float, at_most: bool, ok: bool) -> None:
        assert Figure("some", value, 2.0, at_most, "").ok is ok

    def test_a_missed_aim_is_told_and_does_not_fail(self) -> None:
        missed = Figure("some", 1.5, 2.0, True, "of all", aim=1.0)
        assert missed.ok
        assert missed.line == "ok   some 1.50 (≤ 2; aim ≤ 1, MISSED) of all"
        assert "MISSED" not in Figure("some", 1.0, 2.0, True, "", aim=1.0).line


class TestRatio:
    def test_it_pairs_what_was_measured_side_by_side(self) -> None:
        # the ratio of the medians would be 2
        assert typical_ratio([1, 4, 9], [1, 2, 3]) == 2
        assert typical_ratio([2, 2, 200], [1, 2, 100]) == 2
        assert typical_ratio([10, 2, 3], [10, 8, 1]) == 1

    def test_every_turn_needs_both(self) -> None:
        with pytest.raises(ValueError, match="shorter"):
            typical_ratio([1, 2], [1])


class TestOwnSeconds:
    FIELDS = ("S", "1", *["0"] * 9, "150", "50", "7", "9")

    def test_to_the_nanosecond(self, tmp_path: Path) -> None:
        (tmp_path / "schedstat").write_text("1234567890 5 6\n")
        assert own_seconds(tmp_path, self.FIELDS) == 1.23456789

    def test_in_ticks_where_the_kernel_does_not_say(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.sysconf", lambda name: 100)
        assert own_seconds(tmp_path, self.FIELDS) == 2.0


class TestBatches:
    def test_shifted_moves_times_and_renames_events(self, rich: Batch) -> None:
        later = shifted(rich, 3)
        assert later.scheduled_at - rich.scheduled_at == dt.timedelta(weeks=3)
        assert later.batch_id == rich.plan.batch_id(later.scheduled_at)
        for old, new in zip(rich.exchanges, later.exchanges, strict=True):
            assert new.captured_at - old.captured_at == dt.timedelta(weeks=3)
            if old.request.text.startswith("odds "):
                for was, now in zip(json.loads(old.body or b""), json.loads(new.body or b""), strict=True):
                    assert from_iso(now["commence_time"]) - from_iso(was["commence_time"]) == dt.timedelta(weeks=3)
                    assert now["id"] != was["id"] and len(now["id"]) == 32
                    assert now["home_team"] == was["home_team"]

    def test_a_timeline_plays_the_recording_again_later(self, recording: Recording) -> None:
        size = len(recording)
        first, again = timeline(recording, 0, 1), timeline(recording, size, 1)
        assert next(again).scheduled_at - next(first).scheduled_at == dt.timedelta(weeks=3)
        ids = [batch.batch_id for batch in timeline(recording, 0, 2 * size)]
        assert ids == sorted(set(ids))

    def test_every_price_of_a_moving_event_moves_at_every_poll(self, rich: Batch) -> None:
        polls = [json.loads(poll.exchanges[0].body or b"") for poll in moving_event(rich, 7, 12)]
        assert {event["id"] for (event,) in polls} == {polls[0][0]["id"]}
        prices = [
            [one["price"] for book in event["bookmakers"] for market in book["markets"] for one in market["outcomes"]]
            for (event,) in polls
        ]
        assert len(prices[0]) > 10
        for before, after in itertools.pairwise(prices):
            assert all(was != now for was, now in zip(before, after, strict=True))
        assert all(abs(price) >= 100 for one in prices for price in one)

    def test_a_poll_is_the_same_whatever_goes_before(self, rich: Batch) -> None:
        assert list(moving_event(rich, 0, 5))[3:] == list(moving_event(rich, 3, 2))

    def test_newcomers_take_turns_and_the_last_is_the_event_itself(self, rich: Batch) -> None:
        ids = [json.loads(poll.exchanges[0].body or b"")[0]["id"] for poll in moving_event(rich, 0, 7, newcomers=3)]
        assert [ids.index(one) for one in ids] == [0, 1, 1, 1, 4, 4, 4]
        assert ids[-1] == json.loads(next(moving_event(rich, 7, 1)).exchanges[0].body or b"")[0]["id"]

    def test_outcomes_are_counted(self, rich: Batch) -> None:
        poll = next(moving_event(rich, 0, 1))
        (event,) = json.loads(poll.exchanges[0].body or b"")
        assert outcomes(poll) == sum(len(market["outcomes"]) for book in event["bookmakers"] for market in book["markets"])


class TestFloorsFile:
    def test_it_has_every_step(self) -> None:
        found = sections(FILE.read_text())
        assert list(found) == ["tables", "plain", "answers", "flat", "quotes", "changes"]
        assert all(statement.endswith(";") for statement in found.values())
        # one statement each, but for the tables
        assert all(statement.count(";") == 1 for name, statement in found.items() if name != "tables")


@pytest.mark.parametrize(
    ("total", "parts", "portions"), [(20, 4, [5, 5, 5, 5]), (20, 6, [3, 3, 4, 3, 3, 4]), (2, 3, [0, 1, 1]), (5, 1, [5])]
)
def test_spread(total: int, parts: int, portions: list[int]) -> None:
    assert spread(total, parts) == portions


class TestGrowth:
    @staticmethod
    def piece(first: int, batches: int, cpu: float, outcomes: int = 100) -> Hundred:
        return Hundred(first, batches, outcomes, cpu, 1.0, 1)

    def test_the_last_hundred_against_the_second_by_outcome(self) -> None:
        pieces = [self.piece(0, HUNDRED, 50), self.piece(100, HUNDRED, 10), self.piece(200, HUNDRED, 30, outcomes=200)]
        assert growth(pieces) == pytest.approx(1.5)

    def test_pieces_that_are_no_hundred_are_passed_over(self) -> None:
        pieces = [
            *(self.piece(0, 25, 1), self.piece(25, 75, 1), self.piece(100, HUNDRED, 10)),
            *(self.piece(200, HUNDRED, 20), self.piece(300, 7, 90)),
        ]
        assert growth(pieces) == pytest.approx(2.0)

    def test_there_may_be_nothing_to_compare(self) -> None:
        assert growth([self.piece(0, HUNDRED, 1), self.piece(100, HUNDRED, 1)]) is None


def test_a_server_process_that_has_just_ended_is_counted(server: Server) -> None:
    if server.embedded is None:
        pytest.skip("the processes of a server elsewhere are not ours to count")
    account = PostgresCpu(server)
    for _ in range(10):
        before = account.seconds()
        with server.home.connect_unchecked(Role.OWNER) as connection:
            connection.execute("select sum(number) from generate_series(1, 2000000) as t (number)")
            [[process]] = connection.execute("select pg_backend_pid()").fetchall()
            folder = Path("/proc") / str(process)
            spent = own_seconds(folder, stat_fields(folder))
        # what ended is counted in ticks, in user and in system time each
        assert account.seconds() - before > spent - 0.03


def test_a_sum_over_no_rows_is_told_and_not_measured(bundled: Warehouse) -> None:
    with bundled.connect(Role.OWNER) as owner:
        assert empty_tables(owner) == []
        owner.execute("delete from gold.closing_consensus")
        assert empty_tables(owner) == ["closing_consensus"]
        owner.rollback()
    assert "closing_consensus" in TABLES
