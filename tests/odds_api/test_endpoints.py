import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.odds_api.endpoints import (
    ENDPOINTS,
    IMPORTED,
    RECORDED,
    asked_markets,
    cost,
    endpoint,
    envelope_time,
    parse_url,
    refuse_imported,
    split_list,
    url,
)
from pipeline.odds_api.request import ApiRequest

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
SEGMENTS = TEXTS.filter(lambda text: text not in (".", "..", "-"))


@st.composite
def api_requests(draw: st.DrawFn) -> ApiRequest:
    row = endpoint(draw(st.sampled_from(list(ENDPOINTS))))
    names = st.text("abcdefghijklmnopqrstuvwxyzFOT", min_size=1, max_size=10).filter(lambda name: name.lower() != "apikey")
    return ApiRequest.of(
        row.name,
        sport=draw(st.none() | SEGMENTS) if row.has_sport else None,
        event_id=draw(st.none() | SEGMENTS) if row.has_event else None,
        params=draw(st.dictionaries(names, st.text(st.characters(codec="utf-8")), max_size=4)),
    )


@pytest.mark.parametrize("name", IMPORTED)
def test_what_is_imported_is_no_endpoint_of_the_api(name: str) -> None:
    request = ApiRequest.of(name, params={"ledger": "mine & yours"})
    address = url("https://api.example/prefix", request)
    assert name not in ENDPOINTS and endpoint(name).is_free and cost(request) == 0
    assert parse_url(address, RECORDED) == request
    with pytest.raises(UsageError, match="UNKNOWN_ENDPOINT"):
        parse_url(address)
    with pytest.raises(UsageError, match="ENDPOINT_IMPORTED"):
        refuse_imported(address)
    refuse_imported("https://api.example/v4/sports")


def test_the_table_is_in_its_order() -> None:
    assert list(ENDPOINTS) == [
        *("sports", "events", "odds", "event_odds", "event_markets", "scores", "participants"),
        *("historical_events", "historical_odds", "historical_event_odds"),
    ]
    assert {name for name, row in ENDPOINTS.items() if row.is_free} == {"sports", "events"}
    assert {row.family for row in ENDPOINTS.values() if row.is_historical} == {"events", "odds", "event_odds"}


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (ApiRequest.of("sports", params={"all": "true"}), "https://x/v4/sports?all=true"),
        (
            ApiRequest.of("odds", sport="icehockey_nhl", params={"regions": "us,uk", "markets": "h2h"}),
            "https://x/v4/sports/icehockey_nhl/odds?markets=h2h&regions=us,uk",
        ),
        (
            ApiRequest.of("historical_event_odds", sport="a", event_id="e", params={"date": "2023-10-24T12:00:00Z"}),
            "https://x/v4/historical/sports/a/events/e/odds?date=2023-10-24T12:00:00Z",
        ),
        (ApiRequest.of("event_odds"), "https://x/v4/sports/-/events/-/odds"),
    ],
)
def test_url(request_: ApiRequest, expected: str) -> None:
    assert url("https://x/", request_) == expected


@given(api_requests(), st.sampled_from(["https://api.example.org", "http://127.0.0.1:80/prefix/"]))
def test_a_url_and_its_request_are_the_same(request_: ApiRequest, base: str) -> None:
    assert parse_url(url(base, request_)) == request_


def test_parse_url_drops_the_key_and_takes_a_trailing_slash() -> None:
    assert parse_url("https://x/v4/sports/a/odds/?apiKey=secret&markets=h2h") == ApiRequest.of(
        "odds", sport="a", params={"markets": "h2h"}
    )


@pytest.mark.parametrize("path", ["", "/v4", "/v4/sports/a/lines", "/v3/odds", "/v4/sports/a/events/b", "/v4/sports//odds"])
def test_parse_url_refuses_other_paths(path: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_url(f"https://x{path}?apiKey=secret")
    assert caught.value.code == "UNKNOWN_ENDPOINT"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "request_",
    [
        ApiRequest.of("sports", sport="a"),
        ApiRequest.of("odds", sport="a", event_id="e"),
        ApiRequest.of("odds", sport=".."),
        ApiRequest.of("odds", sport=""),
        ApiRequest.of("odds", sport="-"),
    ],
)
def test_a_request_that_its_path_cannot_hold_is_refused(request_: ApiRequest) -> None:
    with pytest.raises(UsageError, match="REQUEST_INVALID"):
        url("https://x", request_)


def test_an_unknown_endpoint_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="'event_odds'") as caught:
        endpoint("eventodds")
    assert caught.value.code == "UNKNOWN_ENDPOINT"


EVENT = {"bookmakers": [{"markets": [{"key": "h2h"}, {"key": "h2h_lay"}]}, {"markets": [{"key": "h2h"}]}]}
TWO = {"markets": "h2h,player_points", "regions": "us,uk,eu"}


@pytest.mark.parametrize(
    ("name", "params", "answer", "credits"),
    [
        ("sports", {}, None, 0),
        ("events", {}, None, 0),
        ("odds", {"regions": "us"}, None, 1),
        ("odds", {"markets": "h2h,spreads", "regions": "us,uk,eu"}, [{}], 6),
        ("odds", {"markets": "h2h,spreads", "regions": "us,uk,eu"}, [], 0),
        ("odds", {"bookmakers": ",".join(f"b{n}" for n in range(11)), "regions": "us,uk,eu"}, [{}], 2),
        ("event_odds", TWO, None, 6),
        ("event_odds", TWO, EVENT, 3),
        ("event_odds", TWO, {"bookmakers": []}, 0),
        ("event_markets", {"regions": "us"}, None, 1),
        ("scores", {}, [], 1),
        ("scores", {"daysFrom": "3"}, [{}], 2),
        ("participants", {}, None, 1),
        ("historical_events", {}, {"data": [{}]}, 1),
        ("historical_events", {}, {"data": []}, 0),
        ("historical_odds", {"regions": "us", "markets": "h2h,totals"}, {"data": [{}]}, 20),
        ("historical_odds", {"regions": "us", "markets": "h2h,totals"}, {"data": []}, 0),
        ("historical_event_odds", TWO, {"data": EVENT}, 30),
    ],
)
def test_cost(name: str, params: dict[str, str], answer: object, credits: int) -> None:
    assert cost(ApiRequest.of(name, params=params), answer) == credits


def test_markets_that_are_not_named() -> None:
    assert asked_markets(ApiRequest.of("odds", sport="icehockey_nhl")) == ("h2h",)
    assert asked_markets(ApiRequest.of("odds", sport="golf_masters_tournament_winner")) == ("outrights",)
    assert asked_markets(ApiRequest.of("scores", sport="icehockey_nhl")) == ()
    assert split_list("b, a,b,") == ("a", "b")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"timestamp": 5}',
        b'{"timestamp": "noon"}',
        b'{"timestamp": "0001-01-01T00:00:00+01:00"}',
        b'{"timestamp": "9999-01-01T00:00:00Z"}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_what_is_no_envelope_has_no_time(body: bytes) -> None:
    assert envelope_time(body) is None


def test_the_time_of_an_envelope() -> None:
    assert envelope_time(b'{"timestamp": "2023-10-24T11:55:38Z", "data": []}') == dt.datetime(
        2023, 10, 24, 11, 55, 38, tzinfo=dt.UTC
    )
