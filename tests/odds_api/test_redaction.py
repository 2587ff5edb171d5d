import json
import logging
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline.odds_api.redaction import hide_keys_in_logs, redact, redact_bytes
from pipeline.secret import Secret

KEYS = st.text(st.characters(codec="utf-8"), min_size=8, max_size=40).filter(lambda key: "*" not in key)
AROUND = st.text("<>{} \n", max_size=20)


@given(KEYS, AROUND, AROUND)
def test_a_secret_is_found_however_it_is_quoted(key: str, before: str, after: str) -> None:
    assume(key not in f"{before}##{after}")
    secret = Secret(key)
    for form in (key, quote(key), quote(key, safe=""), quote_plus(key), json.dumps(key)[1:-1]):
        assert redact(f"{before}#{form}#{after}", [secret]) == f"{before}#***#{after}"
        assert redact_bytes(f"{before}#{form}#{after}".encode(), [secret]) == f"{before}#***#{after}".encode()


@given(st.binary())
def test_bytes_without_the_secret_stay_as_they_are(data: bytes) -> None:
    assert redact_bytes(data, [Secret("0123456789abcdef" * 20)]) == data


def test_a_key_in_a_query_is_hidden_without_knowing_it() -> None:
    text = "GET https://x/v4/sports?all=true&apiKey=abc123&b=1 HTTP/1.1"
    assert redact(text) == "GET https://x/v4/sports?all=true&apiKey=***&b=1 HTTP/1.1"
    assert redact(redact(text)) == redact(text)


def test_urllib3_logs_no_key(caplog: pytest.LogCaptureFixture) -> None:
    hide_keys_in_logs()
    hide_keys_in_logs()
    logger = logging.getLogger("urllib3.connectionpool")
    with caplog.at_level(logging.DEBUG):
        logger.debug('%s "GET %s"', "https://x:443", "/v4/sports?apiKey=abc123")
        logger.debug("other %d", 5)
    assert caplog.messages == ['https://x:443 "GET /v4/sports?apiKey=***"', "other 5"]
    assert len([one for one in logger.filters if type(one).__name__ == "_KeyFilter"]) == 1
