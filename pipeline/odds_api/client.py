"""Send one request and give back what came, as a value. Live or replay is the adapter mounted on the session."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import AuthBase

import pipeline
from pipeline.clock import Clock
from pipeline.errors import UsageError
from pipeline.odds_api.api_errors import Failure, classify
from pipeline.odds_api.endpoints import BASE_URL, url
from pipeline.odds_api.redaction import redact, redact_bytes
from pipeline.odds_api.request import ApiRequest
from pipeline.odds_api.retry import Pace
from pipeline.odds_api.transport_failures import classify_transport
from pipeline.secret import Secret

_LOG: Final = logging.getLogger("sports_market")
# seconds to connect, and of silence while reading
TIMEOUT: Final = (10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request.

    Attributes:
        status: HTTP status, or None where there was no answer at all.
        headers: the kept ones, lower case names, sorted, free of secrets.
        body: decoded body bytes (the transfer encoding is undone), free of secrets; None where none came.
        captured_at: when it was received, aware, UTC; a historical answer bears the time of its envelope.
        failure: set where this is no answer.
    """

    status: int | None
    headers: tuple[tuple[str, str], ...]
    body: bytes | None = field(repr=False)
    captured_at: dt.datetime
    failure: Failure | None = None


class KeyAuth(AuthBase):
    """Adds the key to a request's URL as it leaves."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the key."""
        request.prepare_url(request.url, {"apiKey": self._key.reveal()})
        return request


def open_session(adapter: BaseAdapter) -> requests.Session:
    """A session whose every request goes through ``adapter``. It keeps no cookies."""
    session = requests.Session()
    for prefix in ("https://", "http://"):
        session.mount(prefix, adapter)
    session.headers.update({"User-Agent": f"sports-market/{pipeline.__version__}", "Accept-Encoding": "gzip"})
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # proxies of the environment are for the network only
    session.trust_env = isinstance(adapter, HTTPAdapter)
    return session


class OddsApiClient:
    """The API, one request at a time.

    Args:
        session: see :func:`open_session`. Its adapter sets ``captured_at`` on each response.
        base_url: scheme and host of the API.
        api_key: added to each request as it leaves; None sends none.
        clock: dates a request that got no response.
        timeout: seconds to connect, and seconds of silence while reading.
        pace: holds requests back where they would come too fast; None = not at all.

    Attributes:
        clock: as given.
        base_url: as given.

    Raises:
        UsageError: ``BASE_URL_INVALID``.
    """

    def __init__(
        self,
        session: requests.Session,
        *,
        clock: Clock,
        base_url: str = BASE_URL,
        api_key: Secret | None = None,
        timeout: tuple[float, float] = TIMEOUT,
        pace: Pace | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError("BASE_URL_INVALID", "The API's base URL names no http(s) host.", f"The default is {BASE_URL}.")
        self._session = session
        self.base_url: Final = base_url
        self._secrets = () if api_key is None else (api_key,)
        # KeyAuth keeps requests from looking for another authorisation (.netrc)
        self._auth = KeyAuth(api_key) if api_key is not None else _no_auth
        self.clock: Final = clock
        self._timeout = timeout
        self._pace = pace

    @property
    def address(self) -> str:
        """Host and port of the API, for messages; no name or password that its URL may hold."""
        return urlsplit(self.base_url).netloc.rpartition("@")[2]

    def send(self, request: ApiRequest) -> Answer:
        """Send one request, once. A failed request is an :class:`Answer` with a failure, not an exception.

        Raises:
            RequestNotRecorded: the session replays, and its batch does not hold this request.
            UsageError: the request cannot be written as a URL.
        """
        target = url(self.base_url, request)
        if self._pace is not None:
            self._pace.wait()
        _LOG.debug("Asking %s.", target)
        try:
            # a redirect is not followed: it would carry the key to wherever it points
            response = self._session.get(target, auth=self._auth, timeout=self._timeout, allow_redirects=False)
            body: bytes | None = response.content
        except requests.RequestException as error:
            noted: Mapping[str, Any] = vars(error)
            failure = noted.get("failure") or classify_transport(error)
            return Answer(None, (), None, noted.get("captured_at") or self.clock.now(), self._clean(failure))
        body = None if body is None else redact_bytes(body, self._secrets)
        noted = vars(response)
        # a replayed response brings the failure that was recorded with it
        failure = noted["failure"] if "failure" in noted else classify(response.status_code, body)
        headers = tuple(sorted((name.lower(), redact(value, self._secrets)) for name, value in response.headers.items()))
        return Answer(response.status_code, headers, body, noted["captured_at"], self._clean(failure))

    def _clean(self, failure: Failure | None) -> Failure | None:
        return None if failure is None else Failure(failure.code, redact(failure.message, self._secrets))


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
