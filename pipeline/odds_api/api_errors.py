"""What went wrong with a request, as a value: a failed request is daily life, and is recorded like an answer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from pipeline.errors import ApiError

MESSAGE_LIMIT: Final = 300

# The API's own codes. A body names one of them exactly; two are prefixes of others (INVALID_MARKET, INVALID_EVENT_ID).
ERROR_CODES: Final = frozenset(
    {
        "MISSING_KEY",
        "INVALID_KEY",
        "DEACTIVATED_KEY",
        "OUT_OF_USAGE_CREDITS",
        "HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN",
        "EVENT_NOT_FOUND",
        "UNKNOWN_SPORT",
        "MISSING_REGION",
        "INVALID_REGION",
        "INVALID_BOOKMAKERS",
        "MISSING_MARKET",
        "INVALID_MARKET",
        "INVALID_MARKET_COMBO",
        "INVALID_DATE_FORMAT",
        "INVALID_ODDS_FORMAT",
        "INVALID_ALL_SPORTS_PARAM",
        "INVALID_SPORT",
        "INVALID_SCORES_DAYS_FROM",
        "INVALID_EVENT_IDS",
        "INVALID_EVENT_ID",
        "MISSING_HISTORICAL_TIMESTAMP",
        "INVALID_HISTORICAL_TIMESTAMP",
        "INVALID_COMMENCE_TIME_FROM",
        "INVALID_COMMENCE_TIME_TO",
        "INVALID_COMMENCE_TIME_RANGE",
        "INVALID_PARTICIPANT_ID",
        "INVALID_INCLUDE_LINKS",
        "INVALID_INCLUDE_SIDS",
        "INVALID_INCLUDE_BET_LIMITS",
        "INVALID_INCLUDE_MULTIPLIERS",
        "INVALID_INCLUDE_ROTATION_NUMBERS",
        "HISTORICAL_MARKETS_UNAVAILABLE_AT_DATE",
        "INVALID_STATUS",
        "EXCEEDED_FREQ_LIMIT",
    }
)
# With these no request of the account is answered. OUT_OF_USAGE_CREDITS is a 401 too, but the key is good.
KEY_CODES: Final = frozenset({"MISSING_KEY", "INVALID_KEY", "DEACTIVATED_KEY"})
API_UNREACHABLE: Final = "API_UNREACHABLE"
OUT_OF_CREDITS: Final = "OUT_OF_USAGE_CREDITS"
_STOPPING: Final = KEY_CODES | {OUT_OF_CREDITS, "HISTORICAL_UNAVAILABLE_ON_FREE_USAGE_PLAN", "HTTP_401"}
# What may be over a moment later. TLS, PROTOCOL, and every answer that finds fault with the request stay as they are.
_HEALING: Final = frozenset({"CONNECT", "TIMEOUT", "RESET", "DECODE", "EXCEEDED_FREQ_LIMIT", "HTTP_429"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer body worth a verdict: a transport failure, or an HTTP status that is not 200.

    Attributes:
        code: ``EVENT_NOT_FOUND``, ``OUT_OF_USAGE_CREDITS`` … (the API's), ``HTTP_500``, or ``CONNECT``, ``TIMEOUT``,
            ``RESET``, ``TLS``, ``DECODE`` (the transfer encoding is broken), ``PROTOCOL`` (no HTTP answer); ``ABANDONED`` (the
            process ended while it was under way, if it was sent at all), ``NOT_ASKED`` (the run ended before, or keeps
            its credits).
        message: redacted; at most a few hundred characters.
    """

    code: str
    message: str

    @property
    def is_key_problem(self) -> bool:
        """Whether the API key itself is missing, wrong or deactivated."""
        return self.code in KEY_CODES

    @property
    def can_heal(self) -> bool:
        """Whether asking again a moment later may help."""
        return self.code in _HEALING or self.code.startswith("HTTP_5")

    @property
    def stops_the_run(self) -> bool:
        """Whether every further request would meet the same: the key is no good for them, or the credits are used up."""
        return self.code in _STOPPING


ABANDONED: Final = Failure("ABANDONED", "The run ended while this call may have been under way.")
NOT_ASKED: Final = Failure("NOT_ASKED", "The run ended before this was asked.")
KEPT_FOR_CLOSING: Final = Failure("NOT_ASKED", "What is left of the month's credits is kept for the hour before a start.")


def unreachable(address: str, failure: Failure) -> ApiError:
    """The error of a run that cannot go on because nothing answers.

    Args:
        address: host and port that were asked.
        failure: what the call ended in, without a status.
    """
    return ApiError(
        API_UNREACHABLE,
        f"Nothing answers at {address} ({failure.code}): {failure.message}",
        "Check the network and the address (--api-url, SPORTS_MARKET_API_BASE_URL). What was answered is kept: run it again.",
    )


def classify(status: int, body: bytes | None) -> Failure | None:
    """The failure that an HTTP answer tells of: by its exact ``error_code`` where the API knows it, else by status.

    Args:
        status: HTTP status.
        body: decoded body bytes; must already be free of secrets.

    Returns:
        None for status 200.
    """
    if status == 200:
        return None
    code, message = None, None
    try:
        document = json.loads(body or b"")
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict):
        code, message = document.get("error_code"), document.get("message")
    if not isinstance(message, str):
        message = (body or b"").decode("utf-8", "replace").strip()
    # a lone surrogate is legal in JSON text but in no file or database
    message = message.encode("utf-8", "replace").decode().replace("\0", "\ufffd")[:MESSAGE_LIMIT]
    return Failure(code if isinstance(code, str) and code in ERROR_CODES else f"HTTP_{status}", message)
