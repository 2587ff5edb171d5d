"""Later verdicts on an answer that is in bronze: judge it again, let it in all the same, take it back.

Each appends a verdict and moves the ledger, in one transaction. Silver and gold follow with the next transformation of the
answer's batch, and end as if the answer had been admitted from the start, or had never come.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from pipeline.bronze.held_elements import hold_back
from pipeline.bronze.late_documents import keep_document
from pipeline.bronze.read_back import read_exchange
from pipeline.clock import Clock
from pipeline.contracts.finding import finding, printable
from pipeline.contracts.judgement import Judgement, contract_version, judge
from pipeline.contracts.shapes import ENTRY_KEYS, ENVELOPES, ONE_EVENT
from pipeline.errors import UsageError
from pipeline.recording.model import Exchange
from pipeline.warehouse.connect import Connection
from pipeline.warehouse.months import refuse_archived

QUARANTINED: Final = "quarantined"
# Verdicts that somebody asked for; all others are the load's.
DECISIONS: Final = ("released", "waived", "withdrawn")
ADMITTING: Final = ("accepted", "accepted_with_findings", "released", "waived")

_MAX_REASON: Final = 1000


@dataclass(frozen=True, slots=True)
class Decision:
    """What an answer's last verdict is after somebody asked for one.

    Attributes:
        answer: its exchange id.
        batch_id: its batch, to be transformed anew where ``is_new``.
        verdict: the last one, e.g. ``released``.
        is_new: whether it was given now; else it stood already.
        findings: of the verdict, as they are stored.
        pointer: of the element of it that was decided on; empty where it was the answer.
    """

    answer: uuid.UUID
    batch_id: str
    verdict: str
    is_new: bool
    findings: tuple[dict[str, Any], ...]
    pointer: str = ""


def retry(connection: Connection, answer: uuid.UUID, clock: Clock) -> Decision:
    """Judge an answer that is not admitted again, by the contract of this code.

    Args:
        connection: a session of the ingester, not within a transaction.
        answer: its exchange id.
        clock: dates the verdict.

    Returns:
        ``released`` where the contract takes it now; else what it was, or ``quarantined`` anew where findings or contract
        differ. What is admitted stays as it is.

    Raises:
        UsageError: ``ANSWER_UNKNOWN``.
        WarehouseError: ``MONTHS_ARCHIVED``; so do all decisions.
    """
    with connection.transaction():
        standing = standing_of(connection, answer)
        if standing.is_admitted:
            return standing.decision()
        exchange = read_exchange(connection, answer)
        judgement = judge(exchange)
        if judgement.verdict != QUARANTINED:
            judgement = _with_document(connection, exchange, judgement)
        verdict = QUARANTINED if judgement.verdict == QUARANTINED else "released"
        found = tuple(each.to_json() for each in judgement.findings)
        if (verdict, found, contract_version()) == (standing.verdict, standing.findings, standing.contract_version):
            return standing.decision()
        return _append(connection, standing, verdict, found, None, judgement, clock)


def waive(connection: Connection, answer: uuid.UUID, reason: str, clock: Clock) -> Decision:
    """Admit an answer as it is, although the contract refuses it; its findings stay with the verdict.

    Raises:
        UsageError: ``REASON_MISSING``, ``ANSWER_UNKNOWN``; ``ANSWER_ADMITTED``; ``ANSWER_KEEPS_CONTRACT``: there is nothing to
            waive; ``ANSWER_NOT_JSON``: PostgreSQL cannot hold its body; ``ANSWER_OTHER_SHAPE``: SQL would find nothing in it,
            and read that as nothing being on offer.
    """
    reason = reason_of(reason)
    with connection.transaction():
        standing = standing_of(connection, answer)
        if standing.verdict == "waived":
            return standing.decision()
        if standing.is_admitted:
            raise UsageError("ANSWER_ADMITTED", f"The answer {answer} is admitted already.", "There is nothing to waive.")
        exchange = read_exchange(connection, answer)
        judgement = judge(exchange)
        if judgement.verdict != QUARANTINED:
            judgement = _with_document(connection, exchange, judgement)
            if judgement.verdict != QUARANTINED:
                raise UsageError(
                    "ANSWER_KEEPS_CONTRACT",
                    f"The contract of this code does not refuse the answer {answer}.",
                    "Admit it with `sports-market quarantine retry`.",
                )
        elif judgement.document_text is not None:
            judgement = _with_document(connection, exchange, judgement)
        if judgement.document_text is None:
            first = judgement.findings[0]
            raise UsageError(
                "ANSWER_NOT_JSON",
                f"The body of {answer} is no JSON that PostgreSQL can hold: {first.message} ({first.rule}).",
                "It cannot be admitted as it is.",
            )
        if not _is_flattened(exchange.request.endpoint, judgement.document):
            raise UsageError(
                "ANSWER_OTHER_SHAPE",
                f"The body of {answer} is no answer of {exchange.request.endpoint}: what SQL reads is not there, which would"
                " look as if nothing were on offer.",
                "It cannot be admitted as it is.",
            )
        found = tuple(each.to_json() for each in judgement.findings)
        return _append(connection, standing, "waived", found, reason, judgement, clock)


def withdraw(connection: Connection, answer: uuid.UUID, reason: str, clock: Clock) -> Decision:
    """Take back an answer that was admitted by mistake.

    Raises:
        UsageError: ``REASON_MISSING``, ``ANSWER_UNKNOWN`` or ``ANSWER_NOT_ADMITTED``.
    """
    reason = reason_of(reason)
    with connection.transaction():
        standing = standing_of(connection, answer)
        if standing.verdict == "withdrawn":
            return standing.decision()
        if not standing.is_admitted:
            raise UsageError(
                "ANSWER_NOT_ADMITTED", f"The answer {answer} is {standing.verdict}.", "There is nothing to withdraw."
            )
        return _append(connection, standing, "withdrawn", (), reason, None, clock)


def put_back(connection: Connection, answer: uuid.UUID, reason: str, clock: Clock) -> Decision:
    """Undo what was decided and could not be applied: the verdict by which silver and gold stand is given again.

    Args:
        connection: a session of the ingester, not within a transaction.
        answer: its exchange id.
        reason: why it could not be applied.
        clock: dates the verdict.
    """
    with connection.transaction():
        standing = standing_of(connection, answer)
        row = connection.execute(
            "select verdicts.verdict, verdicts.findings, verdicts.contract_version"
            " from ops.verdicts as verdicts join ops.ledger as ledger on ledger.exchange_id = verdicts.exchange_id"
            " where verdicts.exchange_id = %s and (verdicts.verdict = any (%s)) = ledger.applied"
            " order by verdicts.verdict_no desc limit 1",
            [answer, list(ADMITTING)],
        ).fetchone()
        if row is None:
            return standing.decision()
        verdict, found, version = row
        return _append(connection, standing, verdict, tuple(found), reason_of(reason), None, clock, version)


@dataclass(frozen=True, slots=True)
class Standing:
    """An answer's last verdict."""

    answer: uuid.UUID
    batch_id: str
    is_admitted: bool
    verdict: str
    findings: tuple[dict[str, Any], ...]
    contract_version: str
    verdict_no: int

    def decision(self) -> Decision:
        """That nothing new was decided."""
        return Decision(self.answer, self.batch_id, self.verdict, False, self.findings)


def standing_of(connection: Connection, answer: uuid.UUID) -> Standing:
    """The last verdict of an answer, which nobody else decides on until the transaction ends."""
    locked = connection.execute(
        "select ledger.batch_id, ledger.admitted, exchanges.captured_at from ops.ledger as ledger"
        " join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id"
        " where ledger.exchange_id = %s for update of ledger",
        [answer],
    ).fetchone()
    if locked is None:
        raise UsageError("ANSWER_UNKNOWN", f"There is no answer {answer} in the warehouse.", "Look up its exchange id.")
    row = connection.execute(
        "select verdict, findings, contract_version, verdict_no from ops.verdicts"
        " where exchange_id = %s order by verdict_no desc limit 1",
        [answer],
    ).fetchone()
    assert row is not None
    batch_id, is_admitted, captured_at = locked
    refuse_archived(connection, [captured_at], f"A decision on the answer {answer}")
    verdict, findings, version, number = row
    return Standing(answer, batch_id, is_admitted, verdict, tuple(findings), version, number)


def _append(
    connection: Connection,
    standing: Standing,
    verdict: str,
    findings: tuple[dict[str, Any], ...],
    reason: str | None,
    judgement: Judgement | None,
    clock: Clock,
    version: str | None = None,
) -> Decision:
    """Append a verdict, and move the ledger; outcomes and held elements stay as they are where no judgement is given."""
    connection.execute(
        "insert into ops.verdicts (exchange_id, verdict_no, verdict, findings, contract_version, reason, decided_at)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        [
            standing.answer,
            standing.verdict_no + 1,
            verdict,
            Jsonb(list(findings)),
            version or contract_version(),
            reason,
            clock.now(),
        ],
    )
    connection.execute("update ops.ledger set admitted = %s where exchange_id = %s", [verdict in ADMITTING, standing.answer])
    if judgement is not None:
        outcomes = judgement.outcomes + sum(each.outcomes for each in judgement.held)
        connection.execute(
            "update ops.ledger set held = '{}', held_outcomes = 0, outcomes = %s where exchange_id = %s",
            [outcomes, standing.answer],
        )
        hold_back(connection, standing.answer, judgement, clock.now())
    return Decision(standing.answer, standing.batch_id, verdict, True, findings)


def _with_document(connection: Connection, exchange: Exchange, judgement: Judgement) -> Judgement:
    """See to it that SQL finds the body's document.

    Returns:
        The judgement; a quarantine without a document where PostgreSQL cannot hold it.
    """
    try:
        with connection.transaction():
            keep_document(connection, exchange.sha256)
        return judgement
    except (psycopg.DataError, psycopg.errors.StatementTooComplex, psycopg.errors.ProgramLimitExceeded) as error:
        reason = error.diag.message_primary or type(error).__name__
    refused = finding("json.postgres", "", "", f"PostgreSQL cannot hold this as jsonb: {reason}")
    findings = (refused, *judgement.findings)
    return replace(judgement, verdict=QUARANTINED, findings=findings, outcomes=0, document_text=None, held=())


def _is_flattened(endpoint: str, document: Any) -> bool:
    """Whether a document is made of what SQL makes rows of, each thing with its key; what is below may be anything."""
    if endpoint in ENVELOPES:
        document = document.get("data") if isinstance(document, dict) else None
    items = [document] if endpoint in ONE_EVENT else document
    keys = ENTRY_KEYS.get(endpoint, ("id", "sport_key"))
    return isinstance(items, list) and all(
        isinstance(item, dict) and all(isinstance(item.get(key), str) for key in keys) for item in items
    )


def reason_of(text: str) -> str:
    """A reason as it is kept: one printable line.

    Raises:
        UsageError: ``REASON_MISSING``.
    """
    reason = printable(" ".join(text.split()), _MAX_REASON)
    if not reason:
        raise UsageError("REASON_MISSING", "A reason is wanted.", "Say why with --reason, for the next reader.")
    return reason
