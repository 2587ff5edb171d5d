"""Later verdicts on an answer that is in bronze: release what was quarantined, withdraw what was admitted.

Both append a verdict and move the ledger; silver and gold follow with the next transformation of the answer's batch, and
end as if the answer had been admitted, or had never come.
"""

from __future__ import annotations

import uuid

from psycopg.types.json import Jsonb

from pipeline.clock import Clock
from pipeline.contracts.answers import contract_version
from pipeline.errors import UsageError
from pipeline.warehouse.connect import Connection


def release(connection: Connection, answer: uuid.UUID, reason: str, clock: Clock) -> str:
    """Admit an answer that is quarantined or withdrawn.

    Args:
        connection: a session of the ingester.
        answer: its exchange id.
        reason: for the next reader.
        clock: dates the verdict.

    Returns:
        The batch to transform anew.

    Raises:
        UsageError: ``ANSWER_UNKNOWN``, ``ANSWER_ADMITTED``, or ``ANSWER_NOT_JSON`` where PostgreSQL cannot hold the body.
    """
    return _decide(connection, answer, "released", reason, clock)


def withdraw(connection: Connection, answer: uuid.UUID, reason: str, clock: Clock) -> str:
    """Take back an answer that was admitted by mistake; the mirror image of :func:`release`.

    Raises:
        UsageError: ``ANSWER_UNKNOWN`` or ``ANSWER_NOT_ADMITTED``.
    """
    return _decide(connection, answer, "withdrawn", reason, clock)


def _decide(connection: Connection, answer: uuid.UUID, verdict: str, reason: str, clock: Clock) -> str:
    with connection.transaction():
        row = connection.execute(
            "select ledger.batch_id, ledger.admitted, bodies.document is not null"
            " from ops.ledger as ledger"
            " join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id"
            " join bronze.bodies as bodies on bodies.body_sha256 = exchanges.body_sha256"
            " where ledger.exchange_id = %s for update of ledger",
            [answer],
        ).fetchone()
        if row is None:
            raise UsageError("ANSWER_UNKNOWN", f"There is no answer {answer} in the warehouse.", "Look up its exchange id.")
        batch_id, admitted, has_document = row
        if verdict == "withdrawn" and not admitted:
            raise UsageError("ANSWER_NOT_ADMITTED", f"The answer {answer} is not admitted.", "There is nothing to withdraw.")
        if verdict == "released" and admitted:
            raise UsageError("ANSWER_ADMITTED", f"The answer {answer} is admitted already.", "There is nothing to release.")
        if verdict == "released" and not has_document:
            raise UsageError(
                "ANSWER_NOT_JSON",
                f"The body of {answer} is no JSON that PostgreSQL can hold.",
                "It cannot be admitted as it is.",
            )
        connection.execute(
            "insert into ops.verdicts (exchange_id, verdict_no, verdict, findings, contract_version, reason, decided_at)"
            " select %(answer)s, max(verdict_no) + 1, %(verdict)s, %(findings)s, %(version)s, %(reason)s, %(at)s"
            " from ops.verdicts where exchange_id = %(answer)s",
            {
                "answer": answer,
                "verdict": verdict,
                "findings": Jsonb([]),
                "version": contract_version(),
                "reason": reason,
                "at": clock.now(),
            },
        )
        connection.execute("update ops.ledger set admitted = %s where exchange_id = %s", [verdict == "released", answer])
    return str(batch_id)
