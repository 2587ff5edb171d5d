"""What a run does for the tables that it fills, beside its rows: fresh statistics, no bloat. It waits for nobody.

The server would do both by itself, minutes later, if its autovacuum is on. Until then a view over a table without statistics
can take fifty times as long, and a table that each batch fills and empties grows without end.
"""

from __future__ import annotations

import logging
from typing import Final

import psycopg2

from pipeline.transform.engine import Session

_LOG: Final = logging.getLogger("sports_market")
# Tables that each run fills and empties. Of more than so many bytes, most is room of rows that are gone. After a truncation the
# statements that name the table are planned anew: gold's all name ops.row_changes, of which a run may write a megabyte.
_SCRATCH_BYTES: Final = {
    **dict.fromkeys(
        (
            "ops.pending", "ops.touched_events", "ops.touched_series", "ops.touched_lines", "ops.due_events", "ops.due_lines",
            "ops.coverage_taken", "ops.quotes_taken",
        ),
        2**20,
    ),
    "ops.row_changes": 2**24,
}  # fmt: skip
# Tables whose number of rows is no longer what the planner knows: so each is analyzed a few times in all, as it grows.
_OUTGROWN: Final = """
select coalesce(string_agg(format('%I.%I', namespaces.nspname, tables.relname), ', ' order by tables.relname), '')
from pg_class as tables
join pg_namespace as namespaces on namespaces.oid = tables.relnamespace
cross join lateral (
    select pg_stat_get_live_tuples(tables.oid) as live, pg_stat_get_mod_since_analyze(tables.oid) as modified
) as counted
where namespaces.nspname in ('silver', 'gold')
    and tables.relkind = 'r'
    and pg_has_role(tables.relowner, 'usage')
    and counted.modified > 0
    and (counted.live > 2 * tables.reltuples or counted.live < 0.5 * tables.reltuples)
"""


def empty_scratch(session: Session) -> None:
    """Give back the room of what earlier runs noted, where it is much and nobody is looking; commits.

    It is done before a run and not within it, so that a reader of these tables waits for milliseconds at most.
    """
    sizes = ", ".join(f"pg_relation_size('{name}')" for name in _SCRATCH_BYTES)
    with session.cursor() as cursor:
        cursor.execute(f"select {sizes}")
        grown = [name for name, size in zip(_SCRATCH_BYTES, cursor.fetchall()[0], strict=True) if size > _SCRATCH_BYTES[name]]
        for name in grown:
            try:
                cursor.execute(f"savepoint scratch; lock table {name} in access exclusive mode nowait; truncate {name}")
            except psycopg2.errors.LockNotAvailable:
                cursor.execute("rollback to savepoint scratch")
    session.commit()


def note_growth(session: Session) -> None:
    """Let the server count, with the commit that follows, what the transaction at hand wrote."""
    with session.cursor() as cursor:
        cursor.execute("select pg_stat_force_next_flush()")


def refresh_statistics(session: Session) -> None:
    """Analyze the stored tables whose number of rows has doubled or halved since they were; commits.

    The rows are committed before; what goes wrong here is logged, and is no failure of theirs.
    """
    try:
        with session.cursor() as cursor:
            cursor.execute(_OUTGROWN)
            ((tables,),) = cursor.fetchall()
            if tables:
                cursor.execute(f"analyze (skip_locked) {tables}")
        session.commit()
    except psycopg2.Error as error:
        _LOG.warning("The statistics of silver and gold were not refreshed: %s", " ".join(str(error).split()))
        if not session.closed:
            session.rollback()
