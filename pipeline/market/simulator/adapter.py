"""Mounts the simulated market on a ``requests`` session, in the place of the network."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from pipeline.clock import Clock
from pipeline.market.simulator.market import SimulatedMarket
from pipeline.odds_api.endpoints import endpoint, envelope_time, parse_url
from pipeline.odds_api.redaction import SIMULATED_HEADER


class SimulatorAdapter(BaseAdapter):
    """Answers from a simulated market at the clock's time; opens no socket.

    Args:
        market: the market.
        clock: tells when a request is made; the response's ``captured_at`` is that time. A historical answer bears the
            time of its envelope instead, as a live one does.
        says_so: whether each answer bears the header that it is simulated: for a spool that real answers may come into too.
            Without it the recording's batches must say it.
    """

    def __init__(self, market: SimulatedMarket, clock: Clock, *, says_so: bool = False) -> None:
        super().__init__()
        self._marks = {SIMULATED_HEADER: "true"} if says_so else {}
        self._market = market
        self._clock = clock

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The market's answer, as a response with ``captured_at`` set.

        Raises:
            UsageError: ``UNKNOWN_ENDPOINT``: the URL is none of the API's.
        """
        moment = self._clock.now()
        asked = parse_url(request.url or "")
        answer = self._market.answer(asked, moment)
        response = requests.Response()
        response.status_code = answer.status
        response.headers = CaseInsensitiveDict({**dict(answer.headers), **self._marks})
        response.raw = io.BytesIO(answer.body)
        response._content = answer.body
        response.encoding = "utf-8"
        response.request = request
        response.url = request.url or ""
        captured: Any = response
        is_envelope = answer.status == 200 and endpoint(asked.endpoint).is_historical
        captured.captured_at = (envelope_time(answer.body) if is_envelope else None) or moment
        return response

    def close(self) -> None:
        """Nothing to close."""
