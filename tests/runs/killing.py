"""A process of its own that runs one command and is killed, by SIGKILL, at its n-th step.

A step is a statement, a commit, a file below a folder that is opened to be written, renamed or removed, a folder that is made
or removed. The child is forked, patches the drivers in itself alone, and then runs ``sports-market`` as a user does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import psycopg2
import psycopg2.extensions

KILLED: Final = -signal.SIGKILL
# of one command, undisturbed
PATIENCE_SECONDS: Final = 300.0
_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_MOVES: Final = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link", "os.symlink")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process ended.

    Attributes:
        pid: of the process.
        code: its exit code, negative where a signal ended it.
        done: how many steps it began.
        said: what it printed.
    """

    pid: int
    code: int
    done: int
    said: str


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    *,
    at: int = 0,
    after_seconds: float | None = None,
) -> Ended:
    """Run a command in a process of its own, to its end unless it is to be killed.

    Args:
        arguments: of ``sports-market``.
        environment: all of it.
        folder: what is written below it counts; the command's own folder is there.
        at: kill it as it begins its n-th step; 0: never.
        after_seconds: kill it after so long.
    """
    fork = multiprocessing.get_context("fork")
    count = fork.Value("q", 0)
    log = folder.parent / f"{folder.name}.log"
    process = fork.Process(target=_child, args=(arguments, environment, folder, log, at, count))
    process.start()
    process.join(timeout=PATIENCE_SECONDS if after_seconds is None else after_seconds)
    if process.is_alive():
        process.kill()
    process.join(timeout=60)
    assert process.pid is not None and process.exitcode is not None
    return Ended(process.pid, process.exitcode, int(count.value), log.read_text(errors="replace") if log.exists() else "")


def _child(arguments: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path, at: int, count: Any) -> None:
    out = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1, closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    _count(at, count, folder)
    from pipeline import cli

    code = 2
    with suppress(SystemExit):
        code = cli.main(arguments)
    sys.stdout.flush()
    os._exit(code)  # what the parent would do at its end is not the child's to do


def _count(at: int, count: Any, folder: Path) -> None:
    """Count what this process does, and be killed before the n-th."""

    def step() -> None:
        with count.get_lock():
            count.value += 1
            is_due = count.value == at
        if is_due:
            os.kill(os.getpid(), signal.SIGKILL)

    connect = psycopg2.connect

    def counted_session(*arguments: Any, connection_factory: Any = psycopg2.extensions.connection, **named: Any) -> Any:
        def commit(self: Any) -> None:
            step()
            connection_factory.commit(self)

        factory = type(connection_factory.__name__, (connection_factory,), {"commit": commit})
        return connect(*arguments, connection_factory=factory, cursor_factory=_counted_cursor(step), **named)

    psycopg2.connect = counted_session
    for kind, name in (
        (psycopg.Cursor, "execute"),
        (psycopg.Cursor, "executemany"),
        (psycopg.Cursor, "copy"),
        (psycopg.Connection, "commit"),
    ):
        setattr(kind, name, _stepping(getattr(kind, name), step))

    below = f"{folder}{os.sep}"

    def heard(event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = given
            if isinstance(path, str) and (flags or 0) & _WRITING and path.startswith(below):
                step()
        elif event in _MOVES and str(given[0]).startswith(below):
            step()

    sys.addaudithook(heard)


def _stepping(original: Any, step: Any) -> Any:
    def stepping(*arguments: Any, **named: Any) -> Any:
        step()
        return original(*arguments, **named)

    return stepping


def _counted_cursor(step: Any) -> type:
    class Counted(psycopg2.extensions.cursor):
        def execute(self, query: Any, values: Any = None) -> None:
            step()
            super().execute(query, values)

    return Counted
