"""The throw-away server of one worker process: started once, a prepared database per task, nothing left however it ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pipeline.errors import SetupError
from pipeline.replay.template import prepared_copy
from pipeline.transform.current_program import load_program
from pipeline.transform.program import Program
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.database import Server
from pipeline.warehouse.embedded import EmbeddedServer

# Nothing of it is to survive, and no plan may depend on whether a vacuum came by.
OPTIONS: Final = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "20",
    "autovacuum": "off",
}
ROLE_PREFIX: Final = "sports_market_"
# It waits for a line, which says that all was cleared away, or for the end of its input, which comes with that of the worker:
# then it sees the server's end, and takes its folders out. It has a session of its own: what ends the worker does not reach it.
_SWEEP: Final = (
    'if read -r _; then exit 0; fi; kill -QUIT "$1" 2>/dev/null; pid=$1; shift; n=0;'
    ' while kill -0 "$pid" 2>/dev/null && [ $n -lt 100 ]; do sleep 0.1; n=$((n + 1)); done; rm -rf -- "$@"'
)


class ShardServer:
    """A server of this process's own, with what a task needs. A context manager.

    Args:
        local: a folder on a local disk; a folder of its own is made in it.

    Raises:
        SetupError: as of :meth:`EmbeddedServer.start`.
    """

    def __init__(self, local: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sports-market-", dir=local))
        self._numbers = itertools.count()
        self._sweeper: subprocess.Popen[bytes] | None = None
        try:
            self.embedded = EmbeddedServer.start(self.folder, options=OPTIONS, tied=True)
            self._sweeper = self._watched()
            self.server = Server(self.embedded.warehouse(ROLE_PREFIX), self.embedded, "a task's own server")
            self.program: Program = load_program(self.folder / "dbt", lambda line: None)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> ShardServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @contextlib.contextmanager
    def database(self) -> Iterator[Warehouse]:
        """A database with all relations and no row of a batch, for one task; dropped after it.

        Raises:
            SetupError: ``COMPUTE_DATABASE``: none can be made.
        """
        warehouse = prepared_copy(self.server, self.program, f"shard_{next(self._numbers)}")
        if warehouse is None:
            raise SetupError(
                "COMPUTE_DATABASE",
                f"No database can be made in {self.folder}.",
                "See that the workers' local disk has space, and run it again.",
            )
        try:
            yield warehouse
        finally:
            self.server.drop_database(warehouse)

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder for one task."""
        with tempfile.TemporaryDirectory(prefix="task-", dir=self.folder) as folder:
            yield Path(folder)

    def close(self) -> None:
        """Stop the server, and take its folders out. Closing twice is fine."""
        embedded = getattr(self, "embedded", None)
        if embedded is not None:
            embedded.close()
            if embedded.socket_dir != embedded.data_dir:
                shutil.rmtree(embedded.socket_dir, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._sweeper is not None and self._sweeper.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._sweeper.stdin.write(b"cleared\n")
                self._sweeper.stdin.close()
            self._sweeper.wait()
            self._sweeper = None

    def _watched(self) -> subprocess.Popen[bytes]:
        pid = (self.embedded.data_dir / "postmaster.pid").read_text().partition("\n")[0]
        folders = {str(self.folder)}
        if self.embedded.socket_dir != self.embedded.data_dir:
            folders.add(str(self.embedded.socket_dir))
        return subprocess.Popen(
            ["/bin/sh", "-c", _SWEEP, "sh", pid, *sorted(folders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )


_OWN: dict[int, ShardServer] = {}


def own_server() -> ShardServer:
    """The server of this worker process, which its tasks share; it ends with the process.

    Raises:
        SetupError: as of :class:`ShardServer`.
    """
    # a forked child has none of its own yet
    if os.getpid() not in _OWN:
        # Spark's folders for what is of one application, where it names them
        local = os.environ.get("SPARK_LOCAL_DIRS", "").partition(",")[0] or tempfile.gettempdir()
        _OWN[os.getpid()] = ShardServer(Path(local))
    return _OWN[os.getpid()]


def end_own_server() -> None:
    """End the server of this process, if there is one."""
    found = _OWN.pop(os.getpid(), None)
    if found is not None:
        found.close()
