"""Take a sealed batch into bronze: bodies byte for byte, a verdict per answer, a line per answer in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import psycopg
from psycopg.types.json import Jsonb

from pipeline.bronze.charges import OWN, Charge, record_charges
from pipeline.bronze.held_elements import hold_back
from pipeline.bronze.late_documents import keep_document
from pipeline.bronze.sources import refuse_mixed, sources_of, wait_for_others
from pipeline.clock import Clock
from pipeline.contracts import strict_json
from pipeline.contracts.drift import Shape, shape_of, shape_of_failure, union
from pipeline.contracts.drift_store import record_shape
from pipeline.contracts.judgement import Finding, Judgement, contract_version, judge
from pipeline.errors import ConflictError
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.recording.store import content_sha256
from pipeline.warehouse.connect import Connection
from pipeline.warehouse.months import month_of, refuse_archived

QUARANTINED: Final = "quarantined"


@dataclass(frozen=True, slots=True)
class LoadedBatch:
    """What a load did.

    Attributes:
        batch_id: the batch.
        is_new: False where the warehouse had the very same batch already.
        answers: exchanges with an answer.
        failures: exchanges with a recorded failure.
        quarantined: answers that were quarantined.
        outcomes: outcome objects in the bodies of admitted answers, counted in Python; without those of held elements.
        held: elements of admitted answers that are held back.
    """

    batch_id: str
    is_new: bool
    answers: int
    failures: int
    quarantined: int
    outcomes: int
    held: int


@dataclass(frozen=True, slots=True)
class LookedAt:
    """A batch, and all that is known of it once its answers were judged.

    Attributes:
        batch: it.
        content: the hash of its content.
        hashes: of each exchange the sha256 of the body that came, or None.
        judgements: of each exchange that on its answer, without the parsed document; None where it is no answer.
        charges: what calls of our own cost.
        shape: what its answers look like; None where nobody is to compare it.
    """

    batch: Batch
    content: str
    hashes: tuple[str | None, ...]
    judgements: tuple[Judgement | None, ...]
    charges: tuple[tuple[Exchange, Charge], ...]
    shape: Shape | None


def load_batch(connection: Connection, batch: Batch, clock: Clock, *, mix_sources: bool = False) -> LoadedBatch:
    """Load one batch as the ingester; commits before it returns.

    Args:
        connection: a session of the ingester, not within a transaction.
        batch: sealed.
        clock: dates the verdicts; nothing in silver or gold depends on it.
        mix_sources: take it even where the warehouse holds another source.

    Raises:
        ConflictError: ``BATCH_CONFLICT``: the warehouse has this batch id with other content; names both hashes.
            ``SOURCES_MIXED``: it is simulated and the warehouse is not, or the other way round.
        WarehouseError: ``MONTHS_ARCHIVED``: a batch that is not known, of a month that is archived.
    """
    content = content_sha256(batch)
    known = connection.execute("select content_sha256 from bronze.batches where batch_id = %s", [batch.batch_id]).fetchone()
    connection.commit()
    if known is not None:
        if known[0] != content:
            raise ConflictError(
                "BATCH_CONFLICT",
                f"The warehouse holds batch {batch.batch_id} with content {known[0]}; the recording has {content}.",
                "One batch id has one content for ever: restore the recording, or load it into another database.",
            )
        return _known_batch(connection, batch)

    refuse_archived(connection, [exchange.captured_at for exchange in batch.exchanges], f"Batch {batch.batch_id}")
    sources = sources_of(connection, batch)
    is_first = not mix_sources and refuse_mixed(connection, sources, f"Batch {batch.batch_id}")
    connection.commit()
    looked = look_at(batch, content)
    with connection.transaction():
        if is_first:
            wait_for_others(connection)
            refuse_mixed(connection, sources, f"Batch {batch.batch_id}")
        judged = insert_batch(connection, looked, clock)
    return LoadedBatch(
        batch_id=batch.batch_id,
        is_new=True,
        answers=sum(judgement is not None for _, judgement in judged),
        failures=sum(judgement is None for _, judgement in judged),
        quarantined=sum(judgement is not None and judgement.verdict == QUARANTINED for _, judgement in judged),
        outcomes=sum(
            judgement.outcomes for _, judgement in judged if judgement is not None and judgement.verdict != QUARANTINED
        ),
        held=sum(len(judgement.held) for _, judgement in judged if judgement is not None),
    )


def insert_batch(connection: Connection, looked: LookedAt, clock: Clock) -> list[tuple[Exchange, Judgement | None]]:
    """Write a batch that is not there yet, within the caller's transaction.

    Exchanges may lack a body that came: its hash is in the index all the same, and silver finds nothing in it.

    Returns:
        Each exchange with its judgement, which PostgreSQL may have made a quarantine.
    """
    batch = looked.batch
    connection.execute(
        "insert into bronze.batches (batch_id, scheduled_at, plan_id, plan, source, exchange_count, content_sha256)"
        " values (%s, %s, %s, %s, %s, %s, %s)",
        [
            batch.batch_id,
            batch.scheduled_at,
            batch.plan.plan_id,
            Jsonb(dict(batch.plan.document)),
            batch.source,
            len(batch.exchanges),
            looked.content,
        ],
    )
    months = sorted({month_of(exchange.captured_at) for exchange in batch.exchanges if exchange.body is not None})
    connection.execute("select bronze.make_months(%s::date[])", [months])
    judged = [
        (exchange, insert_body(connection, exchange, sha256, judgement))
        for exchange, sha256, judgement in zip(batch.exchanges, looked.hashes, looked.judgements, strict=True)
    ]
    _insert_exchanges(connection, batch, looked.hashes)
    _insert_verdicts(connection, batch, judged, clock)
    record_charges(connection, batch, looked.charges)
    if looked.shape is not None:
        record_shape(connection, batch, looked.shape, clock)
    connection.execute(
        "insert into ops.batch_states (batch_id, state, changed_at) values (%s, 'sealed', %s)",
        [batch.batch_id, clock.now()],
    )
    return judged


def is_answer(exchange: Exchange) -> bool:
    """Whether an exchange holds an answer to be judged, and not a failure."""
    return exchange.failure is None and exchange.status == 200 and exchange.body is not None


def look_at(batch: Batch, content: str) -> LookedAt:
    """Judge a batch's answers, and tell their shape and what each call cost. No parsed document outlives its turn."""
    judgements: list[Judgement | None] = []
    charges: list[tuple[Exchange, Charge]] = []
    shapes = []
    for exchange in batch.exchanges:
        judgement = document = None
        if is_answer(exchange):
            judgement = judge(exchange)
            document = judgement.document
            if judgement.document is not None:
                shapes.append(shape_of(batch.batch_id, exchange, judgement.document))
                judgement = replace(judgement, document=None)
        else:
            shapes.append(shape_of_failure(batch.batch_id, exchange))
        judgements.append(judgement)
        if batch.source in OWN:
            charges.append((exchange, Charge.of(exchange, document)))
    hashes = tuple(exchange.sha256 for exchange in batch.exchanges)
    return LookedAt(batch, content, hashes, tuple(judgements), tuple(charges), union(shapes))


def _known_batch(connection: Connection, batch: Batch) -> LoadedBatch:
    row = connection.execute(
        "select count(*), count(*) filter (where not admitted), coalesce(sum(outcomes) filter (where admitted), 0),"
        " coalesce(sum(cardinality(held)) filter (where admitted), 0)"
        " from ops.ledger where batch_id = %s",
        [batch.batch_id],
    ).fetchone()
    connection.commit()
    assert row is not None
    answers, quarantined, outcomes, held = row
    return LoadedBatch(batch.batch_id, False, answers, len(batch.exchanges) - answers, quarantined, outcomes, held)


def insert_body(
    connection: Connection, exchange: Exchange, sha256: str | None, judgement: Judgement | None
) -> Judgement | None:
    """Store a body once per content and month, with its document where PostgreSQL can hold it.

    It may have come with an answer or with a failure.

    Returns:
        The judgement; that of an answer which PostgreSQL cannot hold becomes a quarantine.
    """
    if exchange.body is None:
        return judgement
    statement = (
        "insert into bronze.bodies (body_sha256, byte_count, body, document, month)"
        " select %(sha256)s, octet_length(given.body), given.body,"
        " case when %(is_json)s then convert_from(given.body, 'UTF8')::jsonb end, %(month)s"
        " from (select %(body)b::bytea as body) as given on conflict do nothing"
    )
    is_json = judgement.document_text is not None if judgement is not None else _is_strict_json(exchange.body)
    values = {"sha256": sha256, "body": exchange.body, "is_json": is_json, "month": month_of(exchange.captured_at)}
    if not is_json:
        connection.execute(statement, values)
        return judgement
    try:
        with connection.transaction():
            is_known = connection.execute(statement, values).rowcount == 0
            if is_known:
                keep_document(connection, sha256)
        return judgement
    except (psycopg.DataError, psycopg.errors.StatementTooComplex, psycopg.errors.ProgramLimitExceeded) as error:
        reason = error.diag.message_primary or type(error).__name__
    connection.execute(statement, {**values, "is_json": False})
    if judgement is None:
        return None
    finding = Finding(rule="json.postgres", pointer="", value="", message=f"PostgreSQL cannot hold this as jsonb: {reason}")
    findings = (*judgement.findings, finding)
    return Judgement(verdict=QUARANTINED, findings=findings, outcomes=0, document_text=None)


def _is_strict_json(body: bytes) -> bool:
    try:
        strict_json.parse(body)
    except strict_json.NotStrict:
        return False
    return True


def _insert_exchanges(connection: Connection, batch: Batch, hashes: Sequence[str | None]) -> None:
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into bronze.exchanges (exchange_id, batch_id, place, attempt, endpoint, sport_key, event_id, request,"
            " coverage, captured_at, status, headers, body_sha256, failure_code, failure_message)"
            " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (
                    exchange_id(batch.batch_id, exchange.place, exchange.attempt),
                    batch.batch_id,
                    exchange.place,
                    exchange.attempt,
                    exchange.request.endpoint,
                    exchange.request.sport,
                    exchange.request.event_id,
                    Jsonb({"text": exchange.request.text, "params": dict(exchange.request.params)}),
                    Jsonb(exchange.coverage.to_json()),
                    exchange.captured_at,
                    exchange.status,
                    Jsonb(dict(exchange.headers)),
                    sha256,
                    exchange.failure.code if exchange.failure else None,
                    exchange.failure.message if exchange.failure else None,
                )
                for exchange, sha256 in zip(batch.exchanges, hashes, strict=True)
            ],
        )


def _insert_verdicts(
    connection: Connection, batch: Batch, judged: list[tuple[Exchange, Judgement | None]], clock: Clock
) -> None:
    decided_at = clock.now()
    answers = [
        (exchange_id(batch.batch_id, exchange.place, exchange.attempt), judgement)
        for exchange, judgement in judged
        if judgement is not None
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into ops.verdicts (exchange_id, verdict_no, verdict, findings, contract_version, decided_at)"
            " values (%s, 1, %s, %s, %s, %s)",
            [
                (key, j.verdict, Jsonb([finding.to_json() for finding in j.findings]), contract_version(), decided_at)
                for key, j in answers
            ],
        )
        cursor.executemany(
            "insert into ops.ledger (exchange_id, batch_id, outcomes, admitted) values (%s, %s, %s, %s)",
            # with what is held back, which is taken off next
            [
                (key, batch.batch_id, j.outcomes + sum(each.outcomes for each in j.held), j.verdict != QUARANTINED)
                for key, j in answers
            ],
        )
    for key, judgement in answers:
        if judgement.held:
            hold_back(connection, key, judgement, decided_at)
