"""Gold from Python: a session of the reader that gives tables as Arrow, polars or pandas, as they are or as they were.

Imports nothing heavy: what dataframes need is imported when one is asked for.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.export.extra import require
from pipeline.export.readable import Readable, Wanted, moment, named, readable, span
from pipeline.settings import Settings
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.database import Server, resolve_server

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from pipeline.export.arrow_rows import Layout
    from pipeline.export.streams import Snapshot

Moment = str | dt.date | dt.datetime


def open_warehouse(url: str | None = None, *, say: Callable[[str], None] = lambda line: None) -> OpenWarehouse:
    """Open a warehouse for reading, as the role that only reads.

    Args:
        url: ``postgresql://…`` of its owner, from which the reader's login follows; by default what the environment says
            (``SPORTS_MARKET_DATABASE_URL`` and the others), else the embedded server.
        say: told which server it is.

    Raises:
        UsageError: ``DATABASE_URL_INVALID``.
        SetupError: the server cannot be reached, or the embedded one does not start.
    """
    settings = Settings.from_env(os.environ)
    if url is not None:
        settings = replace(settings, database_url=url)
    server = resolve_server(settings, say)
    return OpenWarehouse(server.warehouse(), server)


class OpenWarehouse:
    """A warehouse that is open for reading. A context manager: leaving it lets an embedded server go.

    Args:
        warehouse: the database.
        server: that it is on, to be closed with it; None where somebody else closes that.
    """

    def __init__(self, warehouse: Warehouse, server: Server | None = None) -> None:
        self._warehouse = warehouse
        self._server = server

    def __enter__(self) -> OpenWarehouse:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let the server go."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def tables(self) -> tuple[str, ...]:
        """The names of gold's tables and views, ``best_price``; what others are computed from comes first."""
        return tuple(one.short for one in readable().values())

    def table(
        self,
        name: str,
        *,
        sport: str | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        as_of: Moment | None = None,
        columns: Sequence[str] | None = None,
    ) -> Selection:
        """Rows of a table or view of gold; nothing is read until they are asked for in a form.

        Args:
            name: ``best_price`` or ``gold.best_price``.
            sport: only rows of this sport; a table without one is given whole.
            since: only rows from this time on: of a stretch its beginning counts, of a fact its moment, of all else of an event
                its start. A day is its beginning in UTC.
            until: only rows before this time.
            as_of: the table as it was after the answers that were captured by then; columns of which that is not kept are null.
            columns: only these, in this order.

        Raises:
            UsageError: ``TABLE_UNKNOWN``, ``TIME_INVALID``, ``SPAN_EMPTY``; ``AS_OF_HINDSIGHT`` or ``AS_OF_NEWEST``: the table
                cannot be read as of a time.
        """
        [one] = named([name])
        wanted = Wanted(sport, moment(since, "since"), moment(until, "until"))
        span(wanted.since, wanted.until)
        at = moment(as_of, "as_of")
        if at is not None:
            one.cut(())
        return Selection(self._warehouse, one, wanted, at, None if columns is None else tuple(columns))


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows that were chosen of a table; each reading sees what is published as it begins.

    Numbers are decimals with their declared digits, times are in UTC with microseconds, arrays are lists; uuids are texts.
    Each form raises ``SetupError``: ``EXTRA_MISSING``, where a package is not installed; ``EXPORT_TYPE``, ``EXPORT_VALUE``,
    where Arrow does not hold what is there; ``UsageError``: ``SPORT_UNKNOWN``, ``COLUMN_UNKNOWN``; ``WarehouseError``.
    """

    warehouse: Warehouse
    one: Readable
    wanted: Wanted
    as_of: dt.datetime | None
    columns: tuple[str, ...] | None

    def batches(self) -> Iterator[pyarrow.RecordBatch]:
        """The rows as Arrow, some thousands at a time, as they come: for tables that do not fit into memory."""
        with self._opened() as (_, batches):
            yield from batches

    def arrow(self) -> pyarrow.Table:
        """The rows as a table of Arrow."""
        require("pyarrow")
        import pyarrow

        with self._opened() as (layout, batches):
            return pyarrow.Table.from_batches(batches, layout.schema)

    def polars(self) -> polars.DataFrame:
        """The rows as a dataframe of polars."""
        require("pyarrow", "polars")
        import polars

        found = polars.from_arrow(self.arrow())
        assert isinstance(found, polars.DataFrame)
        return found

    def pandas(self) -> pandas.DataFrame:
        """The rows as a dataframe of pandas, whose columns are Arrow's: with decimals, nulls and zones."""
        require("pyarrow", "pandas")
        import pandas

        found: pandas.DataFrame = self.arrow().to_pandas(types_mapper=pandas.ArrowDtype)
        return found

    @contextmanager
    def _opened(self) -> Iterator[tuple[Layout, Iterator[pyarrow.RecordBatch]]]:
        """The columns, and the rows as they come, of one snapshot."""
        require("pyarrow")
        from pipeline.export.arrow_rows import rows_of
        from pipeline.export.streams import Snapshot

        with Snapshot(self.warehouse) as snapshot:
            layout, query = self._asked(snapshot)
            values = {**self.wanted.values(), "at": self.as_of}
            yield layout, (rows_of(block, layout, with_texts=False).batch for block in snapshot.blocks(query, values))

    def _asked(self, snapshot: Snapshot) -> tuple[Layout, str]:
        """The columns, and the query of the rows."""
        from pipeline.export.arrow_rows import Layout

        snapshot.check_sport(self.wanted.sport)
        chosen = found = snapshot.columns([self.one])[self.one.name]
        if self.columns is not None:
            there = {column.name: column for column in found}
            if unknown := [name for name in self.columns if name not in there]:
                raise UsageError(
                    "COLUMN_UNKNOWN", f"{self.one.name} has no column {unknown[0]!r}.", f"It has {', '.join(there)}."
                )
            chosen = tuple(there[name] for name in self.columns)
        layout = Layout.of(self.one.name, chosen)
        rows = None if self.as_of is None else f"({self.one.cut([column.name for column in found])})"
        return layout, f"select {layout.select('t')} from {self.one.source(rows)} where {self.wanted.where(self.one)}"
