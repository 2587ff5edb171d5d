"""What tiers ask in a month: worked out by hand, and never less than what events that come and go make due."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.cadence import EPOCH, Cadence, duration_text, parse_cadence, parse_duration
from pipeline.collect.plan_cost import PlanCost
from pipeline.collect.plan_file import load_plan_file
from pipeline.collect.plan_month import MONTH, Asked, Listing
from tests.conftest import REPOSITORY

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
CLOSING = REPOSITORY / "pipeline" / "plans" / "closing.yml"


def test_the_closing_plan_by_hand() -> None:
    file = load_plan_file(CLOSING)
    assert file.tiers is not None
    # at most 16 events and 5 starts at a time, each listed for a week: in 31 days and a tier's width, which touch 5 weeks,
    # 25 starts. Each has 12 moments in its last hour, 22 in the 11 hours before, 20 in the 60 hours before that, 17 in play.
    due = Asked.of(file.tiers, Listing(16, 5))
    assert due.sport == 25 * 12 + 25 * 22 + 248 + 25 * 17 + 62  # of the third no more than a month has: 31 * 8
    assert due.events == 80 * (12 + 22 + 20 + 17) + 16 * 62
    # odds of three markets and scores of finished games: 3 + 2
    assert PlanCost.of(file, 16, 6, Listing(16, 5)).per_month == 6 * due.sport * (3 + 2)
    assert PlanCost.of(file, 16, 6).per_run == 6 * 5
    always = PlanCost.of(file, 10_000, 6).per_month
    assert always == 6 * 5 * 31 * 288  # no more than all of it each time


def test_nothing_listed_leaves_the_time_for_all_else() -> None:
    assert Asked.of(parse_cadence({"1h": "5m", "otherwise": "12h"}), Listing(0, 0)) == Asked(62, 0)
    assert Asked.of(parse_cadence({"1h": "5m", "in_play": "5m"}), Listing(0, 0)) == Asked(0, 0)


def test_periods_are_written_as_they_are_read() -> None:
    for text in ("90s", "15m", "36h", "7d"):
        found = parse_duration(text)
        assert found is not None and duration_text(found) == text


PERIODS = st.sampled_from([1, 2, 3, 6, 12])
CADENCES = st.builds(
    lambda widths, periods, in_play, otherwise: Cadence(
        tuple((width * HOUR, every * 10 * MINUTE) for width, every in zip(sorted(widths), periods, strict=False)),
        None if in_play is None else in_play * 10 * MINUTE,
        None if otherwise is None else otherwise * 10 * MINUTE,
    ),
    st.sets(st.integers(1, 40), min_size=1, max_size=3),
    st.lists(PERIODS, min_size=3, max_size=3),
    st.none() | PERIODS,
    st.none() | PERIODS,
).filter(lambda cadence: not any(every % cadence.periods[0] for every in cadence.periods))  # as parse_cadence demands
STARTS = st.lists(st.tuples(st.integers(-2 * 1440, 9 * 1440), st.integers(0, 20), st.integers(0, 200)), max_size=12)


@given(CADENCES, STARTS, st.integers(1, 48))
@settings(max_examples=60, deadline=None)
def test_never_less_than_what_comes_and_goes(cadence: Cadence, games: list[tuple[int, int, int]], before: int) -> None:
    """In a month of seven days, so that each of its moments can be looked at."""
    month, grid = 7 * DAY, 10 * MINUTE
    begin = EPOCH + 3 * DAY
    # (start, listed from, listed to): listed for ``before`` hours or longer, and until after its start
    rows = [
        (at := begin + minutes * MINUTE, at - before * HOUR - longer * HOUR, at + after * MINUTE)
        for minutes, longer, after in games
    ]
    moments = [begin + number * grid for number in range(month // grid)]
    # what is listed at a time changes where something begins to be listed
    at_a_time = [[start for start, first, last in rows if first <= at <= last] for at in (row[1] for row in rows)]
    listing = Listing(
        max(map(len, at_a_time), default=0), max((len(set(each)) for each in at_a_time), default=0), before * HOUR, 200 * MINUTE
    )
    on = {at: [start for start, first, last in rows if first <= at <= last] for at in moments}
    sport = sum(any(cadence.is_due(at, start) for start in (None, *on[at])) for at in moments)
    events = sum(cadence.is_due(at, start) for at in moments for start in on[at])
    bound = _of_a_week(cadence, listing)
    assert sport <= bound.sport and events <= bound.events


def _of_a_week(cadence: Cadence, listing: Listing) -> Asked:
    from unittest import mock

    from pipeline.collect import plan_month

    assert MONTH == 31 * DAY
    with mock.patch.object(plan_month, "MONTH", 7 * DAY):
        return Asked.of(cadence, listing)
