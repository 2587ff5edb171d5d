import datetime as dt
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from pipeline.clock import ManualClock
from pipeline.errors import UsageError
from pipeline.odds_api.api_errors import Failure
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.request import ApiRequest
from pipeline.secret import Secret

NOW = dt.datetime(2025, 10, 9, 0, 42, 48, tzinfo=dt.UTC)
KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
SPORTS = ApiRequest.of("sports", params={"all": "true"})


class Canned(BaseAdapter):
    """Keeps what it is sent and answers with one prepared response or exception."""

    def __init__(self, answer: Exception | None = None, status: int = 200, content: bytes = b"[]") -> None:
        super().__init__()
        self.answer, self.status, self.content = answer, status, content
        self.sent: list[tuple[requests.PreparedRequest, dict[str, Any]]] = []

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        self.sent.append((request, kwargs))
        if self.answer is not None:
            raise self.answer
        response = requests.Response()
        response.status_code = self.status
        response.request = request
        response._content = self.content
        response.headers["X-Requests-Last"] = f"1 {KEY}"
        if 300 <= self.status < 400:
            response.headers["Location"] = "https://elsewhere/v4/sports"
        vars(response)["captured_at"] = NOW
        return response

    def close(self) -> None:
        pass


def client(adapter: Canned, key: str | None = KEY) -> OddsApiClient:
    return OddsApiClient(
        open_session(adapter), clock=ManualClock(NOW), base_url="https://x", api_key=None if key is None else Secret(key)
    )


def test_the_key_is_added_as_the_request_leaves_and_nothing_waits_for_ever() -> None:
    adapter = Canned()
    client(adapter).send(SPORTS)
    ((sent, options),) = adapter.sent
    assert sent.url == f"https://x/v4/sports?all=true&apiKey={KEY}"
    assert "Authorization" not in sent.headers
    assert sent.headers["Accept-Encoding"] == "gzip"
    assert all(seconds > 0 for seconds in options["timeout"])


def test_without_a_key_none_is_sent() -> None:
    adapter = Canned()
    client(adapter, None).send(SPORTS)
    assert adapter.sent[0][0].url == "https://x/v4/sports?all=true"


def test_an_answer() -> None:
    answer = client(Canned(content=b'[{"key": 1.0}]\n')).send(SPORTS)
    assert (answer.status, answer.body, answer.captured_at, answer.failure) == (200, b'[{"key": 1.0}]\n', NOW, None)
    assert answer.headers == (("x-requests-last", "1 ***"),)


def test_an_error_status_is_a_failure_and_its_text_is_redacted() -> None:
    answer = client(Canned(status=401, content=f'{{"error_code": "INVALID_KEY", "message": "bad {KEY}"}}'.encode())).send(
        SPORTS
    )
    assert answer.failure == Failure("INVALID_KEY", "bad ***")
    assert KEY.encode() not in (answer.body or b"")


def test_a_redirect_is_not_followed() -> None:
    adapter = Canned(status=302)
    answer = client(adapter).send(SPORTS)
    assert (answer.status, answer.failure, len(adapter.sent)) == (302, Failure("HTTP_302", "[]"), 1)


def test_a_transport_failure_is_dated_and_does_not_quote_the_url() -> None:
    answer = client(Canned(requests.ConnectionError(f"url: /v4/sports?apiKey={KEY}"))).send(SPORTS)
    assert (answer.status, answer.body, answer.captured_at) == (None, None, NOW)
    assert answer.failure == Failure("CONNECT", "No connection (ConnectionError).")


def test_a_bug_is_no_failure_of_the_request() -> None:
    with pytest.raises(ZeroDivisionError):
        client(Canned(ZeroDivisionError())).send(SPORTS)


def test_nothing_shows_the_key() -> None:
    one = client(Canned())
    assert KEY not in repr(one) + repr(vars(one))


@pytest.mark.parametrize("base", ["", "api.example.org", "ftp://x", "https://"])
def test_a_base_url_that_is_none_is_refused(base: str) -> None:
    with pytest.raises(UsageError, match="BASE_URL_INVALID"):
        OddsApiClient(open_session(Canned()), clock=ManualClock(NOW), base_url=base)
