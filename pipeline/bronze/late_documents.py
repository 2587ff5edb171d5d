"""What SQL reads of a body, where the contract that it was loaded under took it for no JSON."""

from __future__ import annotations

from pipeline.warehouse.connect import Connection


def keep_document(connection: Connection, sha256: str | None) -> None:
    """See to it that SQL finds the document of a body that is in bronze, whose own row is never changed.

    Raises:
        psycopg.Error: PostgreSQL cannot hold it as jsonb.
    """
    connection.execute(
        "insert into bronze.late_documents (body_sha256, document)"
        " select bodies.body_sha256, convert_from(bodies.body, 'UTF8')::jsonb"
        " from bronze.bodies as bodies where bodies.body_sha256 = %s and bodies.document is null"
        " on conflict do nothing",
        [sha256],
    )
