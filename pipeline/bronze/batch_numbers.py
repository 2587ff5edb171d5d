"""What one batch is in bronze, in numbers."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.warehouse.connect import Connection


@dataclass(frozen=True, slots=True)
class FindingText:
    """What a contract found in an answer that is quarantined.

    Attributes:
        request: the request's text.
        rule: the rule's name.
        pointer: where in the body, as a JSON pointer.
        value: what stood there.
        message: what is wrong with it.
    """

    request: str
    rule: str
    pointer: str
    value: str
    message: str


@dataclass(frozen=True, slots=True)
class BatchNumbers:
    """One batch.

    Attributes:
        plan_id: of its plan.
        source: ``live``, ``import``, ``simulated`` or ``backfill``.
        exchanges: requests, with every attempt.
        failures: those that brought no answer.
        bodies: different bodies.
        body_bytes: bytes of these.
        credits: credits that the API counted for it.
        answers: answers that were judged.
        quarantined: answers of these that are not admitted.
        held: elements of the others that are held back.
        outcomes: outcome objects in the bodies of admitted answers.
        findings: the first of why answers are quarantined, then of why elements are held back.
        drifts: new or lost fields, types, words, as they were told when the batch was loaded.
        drift: the first of them, in a line; None where there is none.
    """

    plan_id: str
    source: str
    exchanges: int
    failures: int
    bodies: int
    body_bytes: int
    credits: int
    answers: int
    quarantined: int
    held: int
    outcomes: int
    findings: tuple[FindingText, ...]
    drifts: int
    drift: str | None


def batch_numbers(connection: Connection, batch_id: str, most_findings: int = 10) -> BatchNumbers:
    """The numbers of a loaded batch, as the ingester sees them."""
    batch = connection.execute("select plan_id, source from bronze.batches where batch_id = %s", [batch_id]).fetchone()
    sent = connection.execute(
        "select count(*), count(*) filter (where failure_code is not null),"
        " coalesce(sum((headers ->> 'x-requests-last')::numeric)"
        "     filter (where headers ->> 'x-requests-last' ~ '^[0-9]{1,9}$'), 0)"
        " from bronze.exchanges where batch_id = %s",
        [batch_id],
    ).fetchone()
    stored = connection.execute(
        "select count(*), coalesce(sum(byte_count), 0) from bronze.bodies as bodies where (bodies.body_sha256, bodies.month) in"
        " (select exchanges.body_sha256, ops.month_of(exchanges.captured_at) from bronze.exchanges as exchanges"
        " where exchanges.batch_id = %s)",
        [batch_id],
    ).fetchone()
    judged = connection.execute(
        "select count(*), count(*) filter (where not admitted), coalesce(sum(outcomes) filter (where admitted), 0),"
        " coalesce(sum(cardinality(held)) filter (where admitted), 0)"
        " from ops.ledger where batch_id = %s",
        [batch_id],
    ).fetchone()
    found = connection.execute(
        "select request, rule, pointer, value, message from ("
        "select 1 as nth, exchanges.place, exchanges.attempt, verdicts.verdict_no, finding.place as finding_no,"
        " exchanges.request ->> 'text' as request, finding.item ->> 'rule' as rule,"
        " finding.item ->> 'pointer' as pointer, finding.item ->> 'value' as value, finding.item ->> 'message' as message"
        " from ops.ledger as ledger"
        " join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id"
        " join ops.verdicts as verdicts on verdicts.exchange_id = ledger.exchange_id and verdicts.verdict = 'quarantined'"
        " cross join lateral jsonb_array_elements(verdicts.findings) with ordinality as finding (item, place)"
        " where ledger.batch_id = %(batch_id)s and not ledger.admitted"
        " union all select 2, exchanges.place, exchanges.attempt, verdicts.verdict_no, finding.place,"
        " exchanges.request ->> 'text', finding.item ->> 'rule', finding.item ->> 'pointer',"
        " finding.item ->> 'value', finding.item ->> 'message'"
        " from ops.ledger as ledger"
        " join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id"
        " join ops.element_verdicts as verdicts on verdicts.exchange_id = ledger.exchange_id"
        " and verdicts.pointer = any (ledger.held) and verdicts.verdict = 'quarantined'"
        " cross join lateral jsonb_array_elements(verdicts.findings) with ordinality as finding (item, place)"
        " where ledger.batch_id = %(batch_id)s and ledger.admitted) as found"
        " order by nth, place, attempt, pointer, verdict_no, finding_no limit %(most)s",
        {"batch_id": batch_id, "most": most_findings},
    ).fetchall()
    drift = connection.execute(
        "select failures, message from ops.check_results where batch_id = %s and check_name = 'drift'", [batch_id]
    ).fetchone()
    connection.commit()
    assert batch is not None and sent is not None and stored is not None and judged is not None
    return BatchNumbers(
        plan_id=batch[0],
        source=batch[1],
        exchanges=sent[0],
        failures=sent[1],
        bodies=stored[0],
        body_bytes=int(stored[1]),
        credits=int(sent[2]),
        answers=judged[0],
        quarantined=judged[1],
        held=int(judged[3]),
        outcomes=int(judged[2]),
        findings=tuple(FindingText(*(text or "" for text in row)) for row in found),
        drifts=0 if drift is None else drift[0],
        drift=None if drift is None else drift[1],
    )
