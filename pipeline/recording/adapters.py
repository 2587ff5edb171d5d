"""The seam between live and replay: two transport adapters for one ``requests`` session.

Both set ``captured_at`` (aware, UTC) on the response or exception, and both give only the headers that are kept.
"""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zlib
from collections import defaultdict, deque
from collections.abc import Collection, Mapping
from typing import Any, Final

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError, SSLError

from pipeline.clock import Clock, SystemClock, Timer
from pipeline.errors import RequestNotRecorded
from pipeline.odds_api.endpoints import RECORDED, endpoint, envelope_time, nearest, parse_url, refuse_imported
from pipeline.odds_api.redaction import KEPT_HEADERS, hide_keys_in_logs
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Exchange, Failure

_EXCEPTIONS: Final[Mapping[str, type[requests.RequestException]]] = {
    "CONNECT": requests.ConnectionError,
    "DECODE": requests.exceptions.ContentDecodingError,
    "RESET": requests.ConnectionError,
    "TIMEOUT": requests.Timeout,
    "TLS": requests.exceptions.SSLError,
}


# Seconds in which a body must be there. A time-out of silence is not enough: a byte now and then would never end.
BODY_DEADLINE: Final = 120.0
_CHUNK: Final = 1 << 16


class LiveAdapter(HTTPAdapter):
    """Sends over the network. Each response is read to its end, dated, and stripped of headers that are not kept.

    Args:
        clock: tells when an answer was received. A historical answer bears the time of its envelope instead, since
            facts are dated by it.
        timer: measures how long a body takes.
        deadline: seconds in which a body must be there.
    """

    def __init__(self, clock: Clock, timer: Timer | None = None, deadline: float = BODY_DEADLINE) -> None:
        super().__init__(max_retries=0)
        self._clock = clock
        self._timer = timer or SystemClock()
        self._deadline = deadline
        hide_keys_in_logs()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Send one request.

        Raises:
            requests.RequestException: no answer came, or it took too long, broke off or cannot be unpacked.
            UsageError: ``ENDPOINT_IMPORTED``: the API has no such endpoint, and nothing was sent.
        """
        refuse_imported(request.url or "")
        response = super().send(request, *args, **kwargs)
        body = _unpacked(self._read(response.raw), response.headers.get("content-encoding", ""))
        response.raw = io.BytesIO(body)
        captured_at = self._clock.now()
        if response.status_code == 200 and endpoint(parse_url(request.url or "").endpoint).is_historical:
            captured_at = envelope_time(body) or captured_at
        kept = {
            # a NUL is legal nowhere, and comes all the same
            name: value.replace("\0", "\ufffd")
            for name, value in response.headers.items()
            if name.lower() in KEPT_HEADERS
        }
        response.headers = CaseInsensitiveDict(kept)
        vars(response)["captured_at"] = captured_at
        return response

    def _read(self, raw: BaseHTTPResponse) -> bytes:
        """The body as it was sent, still packed."""
        until = self._timer.elapsed() + self._deadline
        data = bytearray()
        try:
            while chunk := raw.read1(_CHUNK, decode_content=False):
                data += chunk
                if self._timer.elapsed() > until:
                    raise requests.ReadTimeout(f"no whole body within {self._deadline} seconds")
        except ReadTimeoutError as error:
            raise requests.ReadTimeout(error) from error
        except SSLError as error:
            raise requests.exceptions.SSLError(error) from error
        except ProtocolError as error:
            raise requests.exceptions.ChunkedEncodingError(error) from error
        except HTTPError as error:
            raise requests.RequestException(error) from error
        except BaseException:
            raw.close()
            raise
        return bytes(data)


def _unpacked(data: bytes, encoding: str) -> bytes:
    """The body. What was cut is refused: urllib3 takes a gzip stream without its end for a whole one."""
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        return data
    try:
        return gzip.decompress(data)
    except (EOFError, OSError, zlib.error) as error:
        raise requests.exceptions.ContentDecodingError(error) from error


class ReplayAdapter(BaseAdapter):
    """Answers requests from one recorded batch, and opens no socket.

    Identical requests are answered in their recorded order, attempts included. A recorded failure fails again in the
    same way. The key is no part of the comparison.

    Args:
        batch: the batch to replay.
        played: (place, attempt) of exchanges that were replayed before, in a run that was cut short.
    """

    def __init__(self, batch: Batch, played: Collection[tuple[int, int]] = ()) -> None:
        super().__init__()
        self._batch_id = batch.batch_id
        self._waiting: dict[ApiRequest, deque[Exchange]] = defaultdict(deque)
        for exchange in batch.exchanges:
            queue = self._waiting[exchange.request]
            if (exchange.place, exchange.attempt) not in played:
                queue.append(exchange)

    @property
    def unplayed(self) -> tuple[Exchange, ...]:
        """Exchanges that nobody has asked for, by place and attempt."""
        left = (exchange for queue in self._waiting.values() for exchange in queue)
        return tuple(sorted(left, key=lambda exchange: (exchange.place, exchange.attempt)))

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Answer one request from the recording.

        Raises:
            RequestNotRecorded: ``REQUEST_NOT_RECORDED``: the batch does not hold it, or not once more.
            requests.RequestException: where the recorded exchange is a transport failure.
        """
        exchange = self._take(parse_url(request.url or "", RECORDED))
        if exchange.status is None:
            assert exchange.failure is not None
            error = _EXCEPTIONS.get(exchange.failure.code, requests.RequestException)(exchange.failure.message)
            _note(error, exchange.captured_at, exchange.failure)
            raise error
        response = requests.Response()
        response.status_code = exchange.status
        response.headers = CaseInsensitiveDict(exchange.headers)
        # without a raw stream the content is None, as it was
        response.raw = None if exchange.body is None else io.BytesIO(exchange.body)
        response.url = request.url or ""
        response.request = request
        _note(response, exchange.captured_at, exchange.failure)
        return response

    def close(self) -> None:
        """Nothing is open."""

    def _take(self, request: ApiRequest) -> Exchange:
        if queue := self._waiting.get(request):
            return queue.popleft()
        if request in self._waiting:
            why = "every recorded answer to it was replayed already"
        else:
            why = f"the nearest recorded one is `{nearest(request.text, [known.text for known in self._waiting])}`"
        raise RequestNotRecorded(
            "REQUEST_NOT_RECORDED",
            f"Batch {self._batch_id} does not hold the request `{request.text}`: {why}.",
            "Replay with the plan that the batch was recorded with, or record it anew.",
        )


def _note(target: requests.Response | requests.RequestException, captured_at: dt.datetime, failure: Failure | None) -> None:
    vars(target).update(captured_at=captured_at, failure=failure)
