"""How a command ends: what interrupts it, the error of the house that an exception means, and nothing secret in its text."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.errors import SetupError, SportsMarketError, WarehouseError
from pipeline.printable import printable
from pipeline.settings import SECRET_VARIABLES

PROGRAM: Final = "sports-market"
WRONG_USE, BROKEN = 2, 3

# The address's passwords are found by its form, and only some webhooks hold a secret.
_SECRET_VARIABLES: Final = ("ODDS_API_KEY", *(name for name in SECRET_VARIABLES if not name.endswith("_URL")))
# In a database URL, and in libpq's other form.
_PASSWORD: Final = re.compile(r"://[^\s:/@]*:([^\s@]+)@|\bpassword\s*=\s*'?([^\s']+)")


class Stop:
    """Whether somebody asked to stop."""

    asked = False


@contextlib.contextmanager
def stopping() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM both interrupt, so that what was begun is rolled back and what was made for the run is dropped."""
    stop = Stop()

    def interrupt(number: int, frame: object) -> None:
        stop.asked = True
        raise KeyboardInterrupt

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        # an interrupt that comes while Python collects garbage; it is heeded where the next batch ends
        if not (stop.asked and issubclass(lost.exc_type, KeyboardInterrupt)):
            tell_lost(lost)

    tell_lost = sys.unraisablehook
    try:
        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where signals are somebody else's
        before = {}
    sys.unraisablehook = unraisable
    try:
        yield stop
    finally:
        sys.unraisablehook = tell_lost
        for number, handler in before.items():
            signal.signal(number, handler)


def known_error(error: Exception) -> SportsMarketError | None:
    """The error of the house that another one means; None where it is a fault of ours."""
    if isinstance(error, SportsMarketError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" ({error.filename})" if error.filename else ""
        return SetupError("DISK_FULL", f"No space is left on the disk{where}.", "Free some space, and run it again.")
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return SetupError("FILE_UNUSABLE", f"{error.filename}: {error.strerror}.", "Check the path and its permissions.")
    if _is_database_error(error):
        return _database_error(error)
    return None


def _is_database_error(error: Exception) -> bool:
    # What was never imported cannot have failed.
    drivers = (sys.modules.get(name) for name in ("psycopg", "psycopg2"))
    return any(driver is not None and isinstance(error, driver.Error) for driver in drivers)


def _database_error(error: Exception) -> SportsMarketError:
    from pipeline.warehouse.connect import meaning

    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    text = next(iter(str(error).splitlines()), type(error).__name__)
    if state in ("42P01", "3F000"):  # no such table, no such schema
        return WarehouseError(
            "DATABASE_NOT_READY",
            f"The database lacks something that a load makes: {text}",
            f"Load a recording into it first (`{PROGRAM} load DIR`), or name another database.",
        )
    return meaning(state, text)


def unknown_error(error: Exception) -> SportsMarketError:
    """A fault of ours, and where it is."""
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" (at {Path(last[0].filename).name}:{last[0].lineno})" if last else ""
    text = " ".join(str(error).split())
    return SportsMarketError(
        "INTERNAL", f"{type(error).__name__}: {text}{where}", "Run the same command with --debug, and report what it shows."
    )


def tell_error(error: SportsMarketError, as_json: bool = False) -> int:
    """Tell it on stderr, for people or as one JSON object; its exit code."""
    if as_json:
        told = {"level": "error", "code": error.code, "message": error.message, "next": error.next_step}
        with contextlib.suppress(OSError):
            print(without_secrets(json.dumps(told)), file=sys.stderr, flush=True)
        return error.exit_code
    # what follows in a message is indented, so that it cannot pass for a line of ours
    message, next_step = (re.sub(r"\n(?! )", "\n  ", printable(text, keep="\n\t")) for text in (error.message, error.next_step))
    lines = f"error {error.code}: {message}\n  next: {next_step}"
    with contextlib.suppress(OSError):  # nobody is there to read it
        print(without_secrets(lines), file=sys.stderr, flush=True)
    return error.exit_code


def without_secrets(text: str) -> str:
    """The text without the key and the passwords that the environment, its files or the command line hold."""
    from urllib.parse import unquote

    from pipeline.odds_api.redaction import redact
    from pipeline.secret import Secret
    from pipeline.settings import with_files

    try:
        environ = with_files(os.environ)
    except SetupError:  # the file that cannot be read is what is told
        environ = dict(os.environ)
    values = {environ.get(name, "").strip() for name in _SECRET_VARIABLES}
    for place in (environ.get("SPORTS_MARKET_DATABASE_URL", ""), *sys.argv[1:]):
        for found in _PASSWORD.findall(place):
            values |= {*found, *map(unquote, found)}
    return redact(text, [Secret(value) for value in values if value])


def drop_output() -> None:
    """Nobody reads stdout any more: let Python's last flush go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
