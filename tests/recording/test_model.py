import datetime as dt
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Coverage, Exchange, Failure, exchange_id

TIMES = st.datetimes(timezones=st.just(dt.UTC))
NOW = dt.datetime(2025, 10, 9, tzinfo=dt.UTC)


@given(
    st.builds(
        Coverage,
        sport=st.none() | st.text(),
        events=st.none() | st.lists(st.text()).map(tuple),
        markets=st.lists(st.text()).map(tuple),
        books=st.lists(st.text()).map(tuple),
        commence_from=st.none() | TIMES,
        commence_to=st.none() | TIMES,
    )
)
def test_coverage_survives_json(coverage: Coverage) -> None:
    assert Coverage.from_json(coverage.to_json()) == coverage


@pytest.mark.parametrize("change", [{"markets": "h2h"}, {"events": [1]}, {"commence_from": "noon"}, {"books": None}])
def test_coverage_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Coverage.from_json(Coverage().to_json() | change)


def test_exchange_ids_never_move() -> None:
    assert exchange_id("20251009T004248Z-d8954039f540", 3, 1) == uuid.UUID("706d1c12-2468-9686-2b2a-981b633472fa")
    assert len({exchange_id("b", place, attempt) for place in range(20) for attempt in range(20)}) == 400


@pytest.mark.parametrize("wrong", [{"failure": None}, {"body": b""}, {"headers": (("date", "x"),)}])
def test_without_a_status_there_is_a_failure_and_nothing_else(wrong: dict[str, object]) -> None:
    right = {"headers": (), "body": None, "failure": Failure("TIMEOUT", "")}
    Exchange(0, 1, ApiRequest.of("sports"), Coverage(), NOW, None, **right)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="without an HTTP status"):
        Exchange(0, 1, ApiRequest.of("sports"), Coverage(), NOW, None, **(right | wrong))  # type: ignore[arg-type]
