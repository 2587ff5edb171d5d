"""Is what grew batch by batch what bronze gives in one go? Computed in a database of its own, so that nobody waits for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from psycopg import sql

from pipeline.transform.apply import prepare, rebuild, transformer_session
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap
from pipeline.warehouse.digest import recomputed_digests
from pipeline.warehouse.months import refuse_any_archived

# What a rebuild starts from, in the order of references.
COPIED: Final = (
    ("bronze", "batches"),
    ("bronze", "bodies"),
    ("bronze", "late_documents"),
    ("bronze", "exchanges"),
    ("ops", "verdicts"),
    ("ops", "elements"),
    ("ops", "element_verdicts"),
    ("ops", "ledger"),
    ("ops", "batch_states"),
)


def anew_in_process(warehouse: Warehouse, engine: Engine) -> None:
    """Silver and gold from bronze as :func:`pipeline.transform.apply.rebuild` makes them."""
    prepare(warehouse, engine)
    rebuild(warehouse, engine)


def compare_full_refresh(
    server: Server, warehouse: Warehouse, engine: Engine, make: Callable[[Warehouse, Engine], None] = anew_in_process
) -> dict[str, tuple[str, str]]:
    """Copy bronze and what became of it into another database, rebuild silver and gold there, and drop it.

    Args:
        server: that the warehouse is on.
        warehouse: prepared; it is only read, in one moment of it.
        engine: what runs the project's SQL.
        make: computes silver and gold of the other database, which has bronze and nothing else.

    Returns:
        Table of gold → its digest here, and its digest anew; both from all rows.

    Raises:
        WarehouseError: ``DATABASE_CREATE_FORBIDDEN``, ``REBUILD_FAILED``, or ``MONTHS_ARCHIVED``.
    """
    with transformer_session(warehouse) as session:
        refuse_any_archived(session, "A full refresh elsewhere")
    elsewhere = server.create_database(f"{warehouse.dbname}_refresh_{os.getpid()}"[:63])
    try:
        bootstrap(elsewhere)
        # under the lock, so that bronze, the ledger and gold are of one moment
        with transformer_session(warehouse) as session:
            _copy(warehouse, elsewhere)
            stands = recomputed_digests(session)
        make(elsewhere, engine)
        with transformer_session(elsewhere) as session:
            anew = recomputed_digests(session)
    finally:
        server.drop_database(elsewhere)
    return {name: (stands[name], anew[name]) for name in stands}


def _copy(source: Warehouse, target: Warehouse) -> None:
    with source.connect(Role.OWNER) as reading, target.connect(Role.OWNER) as writing:
        reading.execute("set transaction isolation level repeatable read, read only")
        months = reading.execute("select distinct month from bronze.bodies order by 1").fetchall()
        writing.execute("select bronze.make_months(%s::date[])", [[month for (month,) in months]])
        for names in COPIED:
            table = sql.Identifier(*names)
            # what follows from the others is not copied
            found = reading.execute(
                "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
                " and attgenerated = '' order by attnum",
                [".".join(names)],
            ).fetchall()
            columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in found)
            with (
                reading.cursor().copy(sql.SQL("copy (select {} from {}) to stdout").format(columns, table)) as given,
                writing.cursor().copy(sql.SQL("copy {} ({}) from stdin").format(table, columns)) as taken,
            ):
                for data in given:
                    taken.write(data)
        # what was never published has no rows to compare
        writing.execute("update ops.batch_states set state = 'withheld' where state = 'sealed'")
        writing.commit()
