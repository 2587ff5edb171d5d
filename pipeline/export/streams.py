"""One reader's snapshot of the warehouse, and rows of it as they stream: the server sends while what came is worked on."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final

import psycopg2
import psycopg2.extensions

from pipeline.errors import WarehouseError
from pipeline.export.readable import SPORTS_QUERY, Readable, check_sport
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import Columns, columns_of
from pipeline.warehouse.psycopg2_session import open_session

# What is read in one go, in bytes; a few of them are under way.
BLOCK_BYTES: Final = 4 << 20
_UNDER_WAY: Final = 2


class Snapshot:
    """A transaction of the reader that only reads, and sees what was published as it began. A context manager.

    Args:
        warehouse: the database.

    Raises:
        WarehouseError: as of :meth:`Warehouse.connect`.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._connection = open_session(warehouse, Role.READER, psycopg2.extensions.connection)
        self._connection.set_session(isolation_level="REPEATABLE READ", readonly=True)

    def __enter__(self) -> Snapshot:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._connection.close()

    @property
    def session(self) -> Any:
        """The connection, of psycopg2."""
        return self._connection

    def rows(self, query: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """What a query gives, whole: for small ones."""
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return [tuple(row) for row in cursor.fetchall()]

    def columns(self, relations: Iterable[Readable]) -> Mapping[str, Columns]:
        """The columns of relations of gold, by name.

        Raises:
            WarehouseError: ``DATABASE_NOT_READY``: one of them was not made.
        """
        wanted = tuple(relations)
        found = columns_of(self._connection, [one.relation for one in wanted])
        for one in wanted:
            if one.name not in found:
                raise WarehouseError(
                    "DATABASE_NOT_READY",
                    f"The database lacks {one.name}, which a load makes.",
                    "Load a recording into it first (`sports-market load DIR`), or name another database.",
                )
        return found

    def check_sport(self, sport: str | None) -> None:
        """See that the warehouse knows a sport, where one is asked for.

        Raises:
            UsageError: ``SPORT_UNKNOWN``.
        """
        if sport is not None:
            check_sport(sport, (known for (known,) in self.rows(SPORTS_QUERY)))

    def blocks(self, query: str, values: Mapping[str, Any] | None = None) -> Iterator[bytes]:
        """What a query gives, as CSV, in blocks of whole rows.

        Raises:
            psycopg2.Error: of the server, or of the way to it.
        """
        with self._connection.cursor() as cursor:
            text = cursor.mogrify(f"copy ({query}) to stdout (format csv)", values).decode()
            blocks = _Blocks()
            thread = threading.Thread(target=blocks.fill, args=(cursor, text), daemon=True)
            thread.start()
            try:
                yield from blocks.taken()
            finally:
                blocks.stop()
                with contextlib.suppress(psycopg2.Error):
                    if thread.is_alive():
                        self._connection.cancel()
                thread.join()


class _Stopped(Exception):
    """Nobody wants the rest."""


class _Blocks:
    """Rows on their way from the thread that receives them to the one that works on them."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes | BaseException | None] = queue.Queue(_UNDER_WAY)
        self._parts: list[bytes] = []
        self._size = 0
        self._stopped = False

    def write(self, row: bytes) -> None:
        """Take a row; the driver calls it."""
        self._parts.append(row)
        self._size += len(row)
        if self._size >= BLOCK_BYTES:
            self._send()

    def fill(self, cursor: Any, text: str) -> None:
        """Receive all rows."""
        end: BaseException | None = None
        try:
            cursor.copy_expert(text, self)
            if self._parts:
                self._send()
        except BaseException as error:
            end = error
        with contextlib.suppress(_Stopped):
            self._put(end)

    def taken(self) -> Iterator[bytes]:
        """The blocks, in order."""
        while True:
            found = self._queue.get()
            if isinstance(found, bytes):
                yield found
            elif found is None:
                return
            else:
                raise found

    def stop(self) -> None:
        """Let the other thread end."""
        self._stopped = True

    def _send(self) -> None:
        block, self._parts, self._size = b"".join(self._parts), [], 0
        self._put(block)

    def _put(self, what: bytes | BaseException | None) -> None:
        while not self._stopped:
            with contextlib.suppress(queue.Full):
                self._queue.put(what, timeout=0.1)
                return
        raise _Stopped
