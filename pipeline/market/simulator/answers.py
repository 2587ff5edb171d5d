"""What an answer is, and the errors that the API documents."""

from __future__ import annotations

from dataclasses import dataclass

_DETAILS = "https://the-odds-api.com/liveapi/guides/v4/api-error-codes.html#"


@dataclass(frozen=True, slots=True)
class SimulatedAnswer:
    """One HTTP answer.

    Attributes:
        status: HTTP status.
        headers: (lower-case name, value) pairs, sorted by name.
        body: the body's bytes.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Refused(Exception):
    """The request gets an error answer.

    Args:
        status: HTTP status.
        code: the API's error code.
        message: the API's words.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def document(self) -> dict[str, str]:
        """The error body."""
        return {
            "message": self.message,
            "error_code": self.code,
            "details_url": _DETAILS + self.code.lower().replace("_", "-"),
        }


def invalid(code: str, message: str) -> Refused:
    """A parameter is wrong."""
    return Refused(422, code, message)


def unknown_sport() -> Refused:
    """There is no such sport."""
    return Refused(404, "UNKNOWN_SPORT", "Unknown sport. Get a list of sports at /v4/sports")


def event_not_found(event_id: str) -> Refused:
    """The event is unknown, expired, or not listed now."""
    return Refused(
        404, "EVENT_NOT_FOUND", f"Event not found. The event may have expired or the event id is invalid: {event_id}"
    )
