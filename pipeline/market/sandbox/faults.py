"""What can go wrong on demand.

A fault is written ``[ENDPOINT:]KIND[=ARGUMENT]``, such as ``500``, ``event_odds:reset`` or ``429=2``. ``ok`` is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pipeline.errors import UsageError
from pipeline.market.simulator.answers import Refused
from pipeline.odds_api.api_errors import ERROR_CODES
from pipeline.odds_api.endpoints import ENDPOINTS, nearest

NONE: Final = "ok"
_SHORT: Final = {
    "401": "INVALID_KEY",
    "404": "EVENT_NOT_FOUND",
    "422": "INVALID_MARKET",
    "429": "EXCEEDED_FREQ_LIMIT",
    "500": "HTTP_500",
}
_STATUS: Final = {
    "MISSING_KEY": 401,
    "INVALID_KEY": 401,
    "DEACTIVATED_KEY": 401,
    "OUT_OF_USAGE_CREDITS": 401,
    "HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN": 401,
    "EVENT_NOT_FOUND": 404,
    "UNKNOWN_SPORT": 404,
    "EXCEEDED_FREQ_LIMIT": 429,
}
_MESSAGE: Final = {
    "MISSING_KEY": "API key is missing. Get an API key at https://the-odds-api.com",
    "INVALID_KEY": "API key is not valid. Get an API key at https://the-odds-api.com",
    "DEACTIVATED_KEY": "API key is deactivated. This could be due to cancelation or a failed payment",
    "OUT_OF_USAGE_CREDITS": "Usage quota has been reached. See usage plans at https://the-odds-api.com",
    "HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN": "Historical odds are only available on paid usage plans."
    " See usage plans at https://the-odds-api.com",
    "EXCEEDED_FREQ_LIMIT": "Requests are too frequent. Please slow down",
}

Transport = Literal["timeout", "reset", "cut_gzip", "html", "drip", "redirect", "change"]
# Kind, and the argument that it takes where none is given: seconds of silence, seconds per byte, where to.
TRANSPORT: Final[dict[str, str]] = {
    "timeout": "3600",
    "reset": "",
    "cut_gzip": "",
    "html": "",
    "drip": "0.05",
    "redirect": "http://localhost:1",
    "change": "",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong with one call.

    Attributes:
        kind: an error code of the API, ``HTTP_500``, or one of ``TRANSPORT``.
        argument: what the kind needs to know; of an error, the ``Retry-After`` that it bears, or nothing.
        endpoint: the endpoint it waits for; None = any.
    """

    kind: str
    argument: str = ""
    endpoint: str | None = None

    @property
    def seconds(self) -> float:
        """The argument of ``timeout`` and ``drip``."""
        return float(self.argument)

    def refusal(self) -> Refused | None:
        """The error answer of the API that it is; None for any other fault."""
        if self.kind not in ERROR_CODES:
            return None
        return Refused(_STATUS.get(self.kind, 422), self.kind, _MESSAGE.get(self.kind, f"Asked for: {self.kind}"))


def parse_fault(text: str) -> Fault | None:
    """Read one fault; None for ``ok``.

    Raises:
        UsageError: ``FAULT_INVALID``, naming the nearest kind or endpoint.
    """
    head, colon, rest = text.partition(":")
    endpoint = head if colon and "=" not in head else None
    if endpoint is not None and endpoint not in ENDPOINTS:
        raise _invalid(text, f"there is no endpoint {endpoint!r}, the nearest is {nearest(endpoint, ENDPOINTS)!r}")
    kind, _, argument = (text if endpoint is None else rest).partition("=")
    if kind == NONE:
        return None
    kind = _SHORT.get(kind, kind)
    known = (*_SHORT, *TRANSPORT, *sorted(ERROR_CODES))
    if kind not in known and kind != "HTTP_500":
        raise _invalid(text, f"there is no {kind!r}, the nearest is {nearest(kind, known)!r}")
    fault = Fault(kind, argument or TRANSPORT.get(kind, ""), endpoint)
    if kind in ("timeout", "drip"):
        try:
            good = 0 <= fault.seconds < float("inf")
        except ValueError:
            good = False
        if not good:
            raise _invalid(text, f"{fault.argument!r} is no number of seconds")
    return fault


class FaultScript:
    """Faults for the calls to come. Each call uses up the first one that fits it; a plain one fits any call.

    Args:
        entries: texts of faults.

    Raises:
        UsageError: ``FAULT_INVALID``.
    """

    def __init__(self, entries: Iterable[str] = ()) -> None:
        self._waiting: list[tuple[str, Fault | None]] = []
        self.extend(entries)

    @property
    def waiting(self) -> list[str]:
        """What is not used up."""
        return [text for text, _ in self._waiting]

    def extend(self, entries: Iterable[str]) -> None:
        """Add some at the end.

        Raises:
            UsageError: ``FAULT_INVALID``; then none is added.
        """
        self._waiting += [(text, parse_fault(text)) for text in entries]

    def take(self, endpoint: str) -> Fault | None:
        """The fault of a call of that endpoint."""
        for place, (_, fault) in enumerate(self._waiting):
            if fault is None or fault.endpoint in (None, endpoint):
                del self._waiting[place]
                return fault
        return None


def _invalid(text: str, why: str) -> UsageError:
    return UsageError(
        "FAULT_INVALID",
        f"{text!r} is no fault: {why}.",
        f"Write [ENDPOINT:]KIND[=ARGUMENT]; kinds are {', '.join((*_SHORT, *TRANSPORT))} and the API's error codes.",
    )
