import json

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import ReadTimeoutError

from pipeline.odds_api.api_errors import ERROR_CODES, MESSAGE_LIMIT, Failure, classify
from pipeline.odds_api.transport_failures import classify_transport


def body(code: object, message: object = "why") -> bytes:
    return json.dumps({"message": message, "error_code": code}).encode()


@pytest.mark.parametrize(
    ("status", "answer", "failure"),
    [
        (401, body("INVALID_KEY"), Failure("INVALID_KEY", "why")),
        (401, body("OUT_OF_USAGE_CREDITS"), Failure("OUT_OF_USAGE_CREDITS", "why")),
        (404, body("EVENT_NOT_FOUND"), Failure("EVENT_NOT_FOUND", "why")),
        (422, body("INVALID_MARKET"), Failure("INVALID_MARKET", "why")),
        (422, body("INVALID_MARKET_COMBO"), Failure("INVALID_MARKET_COMBO", "why")),
        (422, body("INVALID_MARKET_"), Failure("HTTP_422", "why")),
        (429, body("EXCEEDED_FREQ_LIMIT"), Failure("EXCEEDED_FREQ_LIMIT", "why")),
        (500, b"<h1>oops</h1>\n", Failure("HTTP_500", "<h1>oops</h1>")),
        (502, None, Failure("HTTP_502", "")),
        (404, body(["EVENT_NOT_FOUND"]), Failure("HTTP_404", "why")),
        (302, b"", Failure("HTTP_302", "")),
    ],
)
def test_by_error_code_then_by_status(status: int, answer: bytes | None, failure: Failure) -> None:
    assert classify(status, answer) == failure


def test_200_is_no_failure_whatever_it_says() -> None:
    assert classify(200, body("INVALID_KEY")) is None


def test_no_credits_is_no_bad_key() -> None:
    failures = {code: classify(401, body(code)) for code in ERROR_CODES}
    bad = {code for code, failure in failures.items() if failure is not None and failure.is_key_problem}
    assert bad == {"MISSING_KEY", "INVALID_KEY", "DEACTIVATED_KEY"}


@given(st.integers(201, 599), st.binary() | st.builds(body, st.text(), st.text() | st.integers()))
def test_any_answer_is_classified(status: int, answer: bytes) -> None:
    failure = classify(status, answer)
    assert failure is not None
    assert failure.code in ERROR_CODES or failure.code == f"HTTP_{status}"
    assert len(failure.message) <= MESSAGE_LIMIT
    assert "\0" not in failure.message
    failure.message.encode()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (requests.exceptions.SSLError(), "TLS"),
        (requests.ConnectTimeout(), "TIMEOUT"),
        (requests.ReadTimeout(), "TIMEOUT"),
        (requests.ConnectionError(ReadTimeoutError(None, "url", "late")), "TIMEOUT"),  # type: ignore[arg-type]
        (requests.exceptions.ChunkedEncodingError(), "RESET"),
        (requests.exceptions.ContentDecodingError(), "DECODE"),
        (requests.ConnectionError("no route to secret"), "CONNECT"),
    ],
)
def test_transport_failures(error: requests.RequestException, code: str) -> None:
    failure = classify_transport(error)
    assert failure.code == code
    assert "secret" not in failure.message
