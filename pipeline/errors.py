"""The closed tree of errors that a user may see.

Every error has a stable ``code`` (for scripts and searches), a message that names what and where, and a next step.
``exit_code`` is what the command line ends with: 1 a difference or failed check, 2 wrong use, 3 environment or bad
recording, 130 interrupted.
"""

from __future__ import annotations


class SportsMarketError(Exception):
    """Base of all errors of this project.

    Args:
        code: stable, upper case, e.g. ``RECORDING_HASH_MISMATCH``.
        message: what happened and where; never holds a secret.
        next_step: what the user can do about it.
    """

    exit_code = 3

    def __init__(self, code: str, message: str, next_step: str) -> None:
        super().__init__(f"{code}: {message} {next_step}".rstrip())
        self.code = code
        self.message = message
        self.next_step = next_step


class UsageError(SportsMarketError):
    """The command was called with arguments that cannot be meant."""

    exit_code = 2


class RecordingError(SportsMarketError):
    """A recording (or what should become one) is missing, broken, or of another format."""


class RequestNotRecorded(RecordingError):
    """A replay asked for something that the recording does not hold."""


class SetupError(SportsMarketError):
    """Something outside of this project is not as it must be: a server, a disk, a package."""


class WarehouseError(SetupError):
    """The database cannot be reached, is too old, has another encoding, or holds rows of other code."""


class ApiError(SportsMarketError):
    """The Odds API answered with an error, or not at all, and the run cannot go on."""


class ConflictError(SportsMarketError):
    """What comes cannot stand beside what is there: a batch id with other bytes or coverage, or answers of another source."""


class CheckFailed(SportsMarketError):
    """A blocking check failed, or a state differs from its snapshot."""

    exit_code = 1


class Interrupted(SportsMarketError):
    """The user or the system asked to stop."""

    exit_code = 130

    def __init__(self, message: str = "Interrupted; what was whole stays, and nothing half done was published.") -> None:
        super().__init__("INTERRUPTED", message, "Run the same command again to go on.")
