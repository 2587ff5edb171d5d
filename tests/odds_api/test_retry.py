import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import ManualClock
from pipeline.odds_api.api_errors import ERROR_CODES, Failure
from pipeline.odds_api.retry import Pace, RetryPolicy, retry_after

NOW = dt.datetime(2026, 1, 31, 23, 59, 50, tzinfo=dt.UTC)
HEALING = {"CONNECT", "TIMEOUT", "RESET", "DECODE", "EXCEEDED_FREQ_LIMIT", "HTTP_429", "HTTP_500", "HTTP_502", "HTTP_503"}
OTHERS = (ERROR_CODES - {"EXCEEDED_FREQ_LIMIT"}) | {
    "TLS",
    "PROTOCOL",
    "HTTP_302",
    "HTTP_401",
    "HTTP_403",
    "HTTP_404",
    "HTTP_422",
}
SECONDS = st.floats(0, 1e6)
POLICIES = st.builds(
    RetryPolicy,
    attempts=st.integers(1, 2000),
    first_delay=st.just(0.0) | st.floats(0.001, 100),
    longest_delay=st.floats(0, 1000),
    longest_wait=SECONDS,
    seed=st.text(),
)


@given(POLICIES, st.integers(1, 2001), st.sampled_from(sorted(OTHERS)) | st.none(), st.none() | SECONDS)
def test_what_cannot_heal_is_never_tried_again(
    policy: RetryPolicy, attempt: int, code: str | None, asked: float | None
) -> None:
    assert policy.next_delay(attempt, None if code is None else Failure(code, ""), asked) is None


@given(POLICIES, st.integers(1, 2001), st.sampled_from(sorted(HEALING)), st.none() | SECONDS)
def test_what_can_heal_is_tried_again_later_and_later(
    policy: RetryPolicy, attempt: int, code: str, asked: float | None
) -> None:
    delay = policy.next_delay(attempt, Failure(code, "x"), asked)
    assert delay == policy.next_delay(attempt, Failure(code, "y"), asked)  # no chance
    if attempt >= policy.attempts or (asked or 0.0) > policy.longest_wait:
        assert delay is None
        return
    assert delay is not None
    backoff = min(policy.longest_delay, policy.first_delay * 2 ** min(attempt - 1, 200))
    assert max(backoff / 2, asked or 0.0) <= delay <= max(backoff, asked or 0.0)


def test_seeds_come_back_at_different_times() -> None:
    delays = {RetryPolicy().seeded(str(seed)).next_delay(1, Failure("TIMEOUT", "")) for seed in range(200)}
    assert len(delays) == 200
    assert all(delay is not None for delay in delays)
    quarters = {int(8 * (delay or 0.0)) for delay in delays}
    assert quarters == {4, 5, 6, 7}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("9" * 400, 999999999.0),
        ("Sun, 01 Feb 2026 00:00:00 GMT", 10.0),
        ("Sun, 01 Feb 2026 00:00:00 -0000", 10.0),
        ("Sun, 01 Feb 2025 00:00:00 GMT", 0.0),
        ("Sun, 99 Feb 2025 00:00:00 GMT", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


@given(st.text())
def test_any_retry_after_is_read(header: str) -> None:
    assert (retry_after(header, NOW) or 0.0) >= 0.0


@given(st.lists(st.floats(0, 0.5), max_size=100), st.integers(1, 30))
def test_no_second_has_more_calls(pauses: list[float], per_second: int) -> None:
    timer = ManualClock(NOW)
    pace = Pace(timer, per_second)
    calls = []
    for pause in pauses:
        timer.sleep(pause)
        pace.wait()
        calls.append(timer.elapsed())
    for first, later in zip(calls, calls[per_second:], strict=False):
        assert later - first > 1.0


def test_calls_within_the_pace_do_not_wait() -> None:
    timer = ManualClock(NOW)
    pace = Pace(timer)
    for _ in range(30):
        pace.wait()
    assert timer.now() == NOW
    pace.wait()
    assert dt.timedelta(seconds=1) < timer.now() - NOW < dt.timedelta(seconds=1.1)
