import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import UTC
from pipeline.collect.cadence import parse_cadence, parse_duration
from pipeline.errors import UsageError

AT = dt.datetime(2026, 1, 4, 17, tzinfo=UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
CADENCE = parse_cadence({"12h": "30m", "1h": "5m", "in_play": "15m", "otherwise": "6h"})


def test_tiers_are_read_in_order() -> None:
    tiers = ((HOUR, 5 * MINUTE), (12 * HOUR, 30 * MINUTE))
    assert (CADENCE.tiers, CADENCE.in_play, CADENCE.otherwise) == (tiers, 15 * MINUTE, 6 * HOUR)
    assert CADENCE.periods == (5 * MINUTE, 15 * MINUTE, 30 * MINUTE, 6 * HOUR)


@pytest.mark.parametrize(
    ("before", "due_at"),
    [
        (dt.timedelta(0), [0, 15, 30, 45]),  # begun
        (-30 * HOUR, [0, 15, 30, 45]),
        (HOUR + 55 * MINUTE, [0, 30, 55]),  # within the hour from 17:55
        (2 * HOUR, [0, 30]),
        (12 * HOUR + 20 * MINUTE, [30]),  # at 17:00 it is further away than any tier
        (13 * HOUR, []),
    ],
)
def test_what_is_due_when(before: dt.timedelta, due_at: list[int]) -> None:
    start = AT + before
    found = [minutes for minutes in range(0, 60, 5) if CADENCE.is_due(AT + minutes * MINUTE, start)]
    assert found == due_at


def test_without_a_tier_nothing_is_asked() -> None:
    cadence = parse_cadence({"1h": "5m"})
    assert not cadence.is_due(AT, None) and not cadence.is_due(AT, AT) and not cadence.is_due(AT, AT + 2 * HOUR)
    assert cadence.is_due(AT, AT + HOUR)
    assert parse_cadence({"otherwise": "1d"}).is_due(AT.replace(hour=0), None)


MOMENTS = st.integers(0, 3000).map(lambda minutes: AT + minutes * MINUTE)


@given(MOMENTS, st.lists(MOMENTS | st.none(), max_size=3))
def test_the_next_moment_is_the_first_that_is_due(after: dt.datetime, starts: list[dt.datetime | None]) -> None:
    found = CADENCE.next_due(after, starts)
    grid = [after + n * MINUTE for n in range(1, 361) if (after + n * MINUTE).minute % 5 == 0]
    first = next(moment for moment in grid if any(CADENCE.is_due(moment, start) for start in (None, *starts)))
    assert found == first


def test_new_games_are_looked_for_where_nothing_is_due() -> None:
    assert parse_cadence({"1h": "5m", "3h": "1h"}).next_due(AT + MINUTE, []) == AT + HOUR


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({}, "empty"),
        ({"1h": "5m", "2h": "7m"}, "no multiple"),
        ({"soon": "5m"}, "'soon'"),
        ({"1h": 5}, "'1h': 5"),
        ({60: "5m"}, "60"),
        ({"in_play": None}, "in_play"),
    ],
)
def test_others_are_refused(document: dict[object, object], why: str) -> None:
    with pytest.raises(UsageError, match=f"PLAN_INVALID.*{why}"):
        parse_cadence(document)


def test_durations() -> None:
    assert parse_duration("90s") == 1.5 * MINUTE and parse_duration("1d") == DAY
    assert [parse_duration(text) for text in ("0m", "m", "5", "5w", 5, None)] == [None] * 6
