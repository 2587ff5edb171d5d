import datetime as dt

import pytest

from pipeline.errors import UsageError
from pipeline.odds_api.catalogue import books_of
from pipeline.odds_api.endpoints import ENDPOINTS
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.coverage import coverage_of
from pipeline.recording.model import Coverage

NHL = "icehockey_nhl"


@pytest.mark.parametrize(
    ("request_", "coverage"),
    [
        (
            ApiRequest.of("odds", sport=NHL, params={"regions": "us_dfs"}),
            Coverage(NHL, None, ("h2h", "h2h_lay"), ("betr_us_dfs", "pick6", "prizepicks", "underdog")),
        ),
        (
            ApiRequest.of("odds", sport=NHL, params={"regions": "us", "bookmakers": "z,a", "markets": "totals,h2h"}),
            Coverage(NHL, None, ("h2h", "h2h_lay", "totals"), ("a", "z")),
        ),
        (
            ApiRequest.of("odds", sport="golf_masters_tournament_winner", params={"bookmakers": "a"}),
            Coverage("golf_masters_tournament_winner", None, ("outrights", "outrights_lay"), ("a",)),
        ),
        (
            ApiRequest.of("odds", sport=NHL, params={"bookmakers": "a", "markets": "totals", "eventIds": "e2,e1"}),
            Coverage(NHL, ("e1", "e2"), ("totals",), ("a",)),
        ),
        (
            ApiRequest.of("odds", sport="upcoming", params={"bookmakers": "a", "commenceTimeTo": "2025-10-09T00:00:00Z"}),
            Coverage(None, (), ("h2h", "h2h_lay"), ("a",)),
        ),
        (
            ApiRequest.of("event_odds", sport=NHL, event_id="e", params={"bookmakers": "a", "markets": "player_points"}),
            Coverage(NHL, ("e",), ("player_points",), ("a",)),
        ),
        (
            ApiRequest.of("historical_event_odds", sport=NHL, event_id="e", params={"bookmakers": "a", "markets": "x"}),
            Coverage(NHL, ("e",), ("x",), ("a",)),
        ),
        (
            ApiRequest.of("event_markets", sport=NHL, event_id="e", params={"bookmakers": "a"}),
            Coverage(NHL, ("e",), (), ("a",)),
        ),
        (ApiRequest.of("events", sport=NHL), Coverage(NHL)),
        (ApiRequest.of("scores", sport=NHL, params={"eventIds": "e"}), Coverage(NHL, ("e",))),
        (ApiRequest.of("sports"), Coverage(None, ())),
        (ApiRequest.of("participants", sport=NHL), Coverage(NHL, ())),
    ],
    ids=lambda value: value.text if isinstance(value, ApiRequest) else "",
)
def test_what_a_request_covers(request_: ApiRequest, coverage: Coverage) -> None:
    assert coverage_of(request_) == coverage


def test_a_window_of_starts() -> None:
    window = {"commenceTimeFrom": "2025-10-09T00:00:00Z", "commenceTimeTo": "2025-10-10T00:00:00Z"}
    for name in ("odds", "events", "historical_odds", "historical_events"):
        coverage = coverage_of(ApiRequest.of(name, sport=NHL, params=window))
        assert coverage.commence_from == dt.datetime(2025, 10, 9, tzinfo=dt.UTC)
        assert coverage.commence_to == dt.datetime(2025, 10, 10, tzinfo=dt.UTC)
    # these endpoints know no such parameter
    assert coverage_of(ApiRequest.of("scores", sport=NHL, params=window)).commence_from is None
    with pytest.raises(UsageError, match="COMMENCE_TIME_INVALID"):
        coverage_of(ApiRequest.of("odds", sport=NHL, params={"commenceTimeTo": "noon"}))


def test_a_window_may_be_one_moment_and_not_end_before_it_begins() -> None:
    def covered(begin: str, end: str) -> Coverage:
        return coverage_of(ApiRequest.of("odds", sport=NHL, params={"commenceTimeFrom": begin, "commenceTimeTo": end}))

    moment = covered("2025-10-09T00:00:00Z", "2025-10-09T00:00:00Z")
    assert moment.commence_from == moment.commence_to == dt.datetime(2025, 10, 9, tzinfo=dt.UTC)
    with pytest.raises(UsageError) as caught:
        covered("2025-10-09T00:00:01Z", "2025-10-09T00:00:00Z")
    assert (caught.value.code, caught.value.message, caught.value.next_step) == (
        "COMMENCE_TIME_INVALID",
        "commenceTimeTo is before commenceTimeFrom.",
        "Write the earlier time as commenceTimeFrom.",
    )


@pytest.mark.parametrize("text", ["noon", "1989-12-31T23:59:59Z", "2101-01-01T00:00:00Z"])
def test_a_bound_that_is_no_time_of_a_game(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        coverage_of(ApiRequest.of("odds", sport=NHL, params={"commenceTimeTo": text}))
    assert (caught.value.code, caught.value.message, caught.value.next_step) == (
        "COMMENCE_TIME_INVALID",
        f"commenceTimeTo {text!r} is no time from 1990 to 2100.",
        "Write it as 2025-10-09T00:00:00Z.",
    )


def test_an_endpoint_of_one_event_that_is_asked_about_none() -> None:
    assert coverage_of(ApiRequest.of("event_odds", sport=NHL, params={"bookmakers": "a"})).events == ()


def test_every_endpoint_has_coverage_and_only_those_with_books_have_books() -> None:
    for name, row in ENDPOINTS.items():
        coverage = coverage_of(ApiRequest.of(name, sport=NHL, params={"regions": "us,uk"}))
        assert coverage.books == (books_of(["us", "uk"]) if row.has_books else ())
        assert bool(coverage.markets) == row.has_markets
