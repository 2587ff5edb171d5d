"""Bronze is what came: it is only ever added to, one id has one content for ever, and no body can make a load fail."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline.bronze import batch_load as bronze_load
from pipeline.bronze.batch_load import load_batch
from pipeline.contracts.judgement import Judgement, judge
from pipeline.errors import ConflictError
from pipeline.odds_api.api_errors import Failure
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.recording.store import Recording, RecordingWriter, content_sha256
from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import PIPELINE_ROLES, Role, Warehouse
from tests.conftest import Project
from tests.replay import wild
from tests.replay.support import CLOCK

BATCH = wild.market_of(96)[0]


def with_exchange(batch: Batch, place: int, **changes: Any) -> Batch:
    return replace(
        batch,
        exchanges=tuple(replace(exchange, **changes) if exchange.place == place else exchange for exchange in batch.exchanges),
    )


def loaded(warehouse: Warehouse, batch: Batch) -> bronze_load.LoadedBatch:
    with warehouse.connect(Role.INGESTER) as ingester:
        return load_batch(ingester, batch, CLOCK)


COLUMNS = {"batches": "source", "bodies": "byte_count", "exchanges": "status", "late_documents": "document"}
CHANGES = ("update bronze.{table} set {column} = {column}", "delete from bronze.{table}", "truncate bronze.{table} cascade")


@pytest.mark.parametrize("role", PIPELINE_ROLES)
def test_bronze_refuses_change_to_every_role(warehouse: Warehouse, role: Role) -> None:
    loaded(warehouse, BATCH)
    with warehouse.connect(role, autocommit=True) as connection:
        for table, column in COLUMNS.items():
            for change in CHANGES:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(change.format(table=table, column=column).encode())


def test_even_the_owner_does_not_change_it_by_mistake(warehouse: Warehouse) -> None:
    loaded(warehouse, BATCH)
    with warehouse.connect(Role.OWNER, autocommit=True) as connection:
        for table, column in COLUMNS.items():
            for change in CHANGES:
                # TRUNCATE ... CASCADE may meet another table's trigger first
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"bronze is append-only: [A-Z]+ on bronze"):
                    connection.execute(change.format(table=table, column=column).encode())


def test_the_trigger_stands_alone_without_the_grants(warehouse: Warehouse) -> None:
    """Whoever is granted too much by mistake is refused all the same."""
    loaded(warehouse, BATCH)
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute(f"grant all on all tables in schema bronze to {warehouse.user(Role.INGESTER)}".encode())
    with warehouse.connect(Role.INGESTER) as ingester, pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
        ingester.execute("update bronze.exchanges set status = 500")


def test_bodies_are_stored_byte_for_byte(warehouse: Warehouse) -> None:
    odd = b"\n[ ]\r\n\t "
    batch = with_exchange(BATCH, 0, body=odd)
    loaded(warehouse, batch)
    with warehouse.connect(Role.TRANSFORMER) as connection:
        found: dict[str | None, bytes] = dict(connection.execute("select body_sha256, body from bronze.bodies").fetchall())
        wrong = connection.execute(
            "select count(*) from bronze.bodies where encode(sha256(body), 'hex') <> body_sha256"
        ).fetchone()
    assert found == {exchange.sha256: exchange.body for exchange in batch.exchanges if exchange.body is not None}
    assert found[batch.exchanges[0].sha256] == odd
    assert wrong == (0,)


# --- one id, one content --------------------------------------------------------------------------------------------------

OTHERS: dict[str, Callable[[Batch], Batch]] = {
    "other bytes": lambda batch: with_exchange(batch, 0, body=(batch.exchanges[0].body or b"") + b" "),
    "other coverage": lambda batch: with_exchange(batch, 0, coverage=replace(batch.exchanges[0].coverage, books=("fanduel",))),
    "other time": lambda batch: with_exchange(
        batch, 0, captured_at=batch.exchanges[0].captured_at + dt.timedelta(microseconds=1)
    ),
    "an exchange less": lambda batch: replace(batch, exchanges=batch.exchanges[:-1]),
    "a failure instead": lambda batch: wild.without(batch, frozenset({0})),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_content_under_a_known_id_is_an_error_that_names_both_hashes(warehouse: Warehouse, kind: str) -> None:
    other = OTHERS[kind](BATCH)
    assert len(BATCH.exchanges) > 1
    loaded(warehouse, BATCH)
    before = counts(warehouse)
    with pytest.raises(ConflictError) as raised:
        loaded(warehouse, other)
    assert raised.value.code == "BATCH_CONFLICT"
    assert BATCH.batch_id in str(raised.value)
    assert content_sha256(BATCH) in str(raised.value)
    assert content_sha256(other) in str(raised.value)
    assert counts(warehouse) == before


def test_the_same_content_changes_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    first = loaded(warehouse, BATCH)
    before = counts(warehouse)
    writer = RecordingWriter(tmp_path / "copy", durable=False)
    copy = writer.begin(BATCH.batch_id, BATCH.scheduled_at, BATCH.plan, BATCH.source)
    for exchange in BATCH.exchanges:
        copy.add(exchange)
    copy.seal()
    again = loaded(warehouse, Recording.open(tmp_path / "copy").read(BATCH.batch_id))
    assert (first.is_new, again.is_new) == (True, False)
    assert replace(again, is_new=True) == first
    assert counts(warehouse) == before


def counts(warehouse: Warehouse) -> list[int]:
    with warehouse.connect(Role.OWNER) as connection:
        return [
            int(row[0])
            for table in (
                "bronze.batches",
                "bronze.exchanges",
                "bronze.bodies",
                "ops.verdicts",
                "ops.ledger",
                "ops.batch_states",
            )
            for row in connection.execute(f"select count(*) from {table}".encode())
        ]


# --- bodies that PostgreSQL cannot hold -----------------------------------------------------------------------------------

HOSTILE = {
    "NUL escape": b'[{"id": "\\u0000"}]',
    "NUL byte": b'["\x00"]',
    "lone surrogate": b'["\\ud800"]',
    "surrogates in a row": b'["\\udc00\\ud800"]',
    "huge exponent": b"[1e400]",
    "huge negative exponent": b"[1e-400000]",
    "NaN": b"[NaN]",
    "infinity": b"[-Infinity]",
    "no UTF-8": b'["\xff\xfe"]',
    "a byte order mark": b"\xef\xbb\xbf[]",
    "deep": b"[" * 5000 + b"]" * 5000,
    "many digits": b"[" + b"9" * 200_000 + b"]",
    "two documents": b"[][]",
    "nothing": b"",
    "a page": b"<html>502</html>",
}


def test_what_postgres_cannot_hold_is_quarantined_and_the_batch_goes_on(prepared: Warehouse, project: Project) -> None:
    hostile = [replace(BATCH.exchanges[0], place=100 + number, body=body) for number, body in enumerate(HOSTILE.values())]
    batch = replace(BATCH, exchanges=(*BATCH.exchanges, *hostile))
    done = loaded(prepared, batch)
    assert done.quarantined == len(HOSTILE)
    assert apply_batches(prepared, project, (batch.batch_id,), CLOCK).published
    with prepared.connect(Role.INGESTER, autocommit=True) as ingester:
        for number, (kind, body) in enumerate(HOSTILE.items()):
            answer = exchange_id(batch.batch_id, 100 + number, 1)
            found = ingester.execute(
                "select ledger.admitted, verdicts.verdict, jsonb_array_length(verdicts.findings), bodies.document is null,"
                " bodies.body from ops.ledger as ledger join ops.verdicts as verdicts using (exchange_id)"
                " join bronze.exchanges as exchanges using (exchange_id) join bronze.bodies as bodies using (body_sha256)"
                " where exchange_id = %s",
                [answer],
            ).fetchone()
            assert found is not None
            assert found[:2] == (False, "quarantined"), kind
            assert found[2] > 0, kind
            assert found[4] == body, kind
            assert found[3], kind


@pytest.mark.parametrize("body", [b'["\\u0000"]', b"[1e200000]"], ids=["refused text", "refused number"])
def test_what_only_postgres_refuses_is_quarantined_too(
    prepared: Warehouse, project: Project, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    """Should our parser ever let through what PostgreSQL does not take, the savepoint catches it, and the batch goes on."""

    def blind(exchange: Exchange) -> Judgement:
        return Judgement("accepted", (), 7, body.decode()) if exchange.body == body else judge(exchange)

    monkeypatch.setattr(bronze_load, "judge", blind)
    batch = with_exchange(BATCH, 0, body=body)
    done = loaded(prepared, batch)
    assert done.quarantined == 1
    with prepared.connect(Role.INGESTER) as ingester:
        row = ingester.execute(
            "select findings -> 0 ->> 'rule' from ops.verdicts where exchange_id = %s", [exchange_id(batch.batch_id, 0, 1)]
        ).fetchone()
    assert row == ("json.postgres",)
    assert apply_batches(prepared, project, (batch.batch_id,), CLOCK).published


def test_bytes_that_came_with_a_failure_first_are_admitted_as_an_answer(warehouse: Warehouse) -> None:
    """The same bytes are one body. Whether it is JSON must not depend on what they came with first."""
    answer = BATCH.exchanges[0]
    failed = with_exchange(BATCH, 0, status=500, failure=Failure("HTTP_500", "no"))
    later = replace(
        BATCH, batch_id=BATCH.plan.batch_id(BATCH.scheduled_at + wild.STEP), scheduled_at=BATCH.scheduled_at + wild.STEP
    )
    assert answer.failure is None
    loaded(warehouse, failed)
    assert loaded(warehouse, later).quarantined == 0


def test_bytes_that_were_no_json_by_an_earlier_contract_are_admitted_by_a_later_one(
    prepared: Warehouse, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The body's own row has no document for ever; the batch that brings the bytes again is published all the same."""
    with monkeypatch.context() as patch:
        patch.setattr(bronze_load, "judge", lambda exchange: Judgement("quarantined", (), 0, None))
        assert loaded(prepared, BATCH).quarantined > 0
    at = BATCH.scheduled_at + wild.STEP
    again = replace(BATCH, batch_id=BATCH.plan.batch_id(at), scheduled_at=at)
    assert loaded(prepared, again).outcomes > 0
    assert apply_batches(prepared, project, (BATCH.batch_id, again.batch_id), CLOCK).published
