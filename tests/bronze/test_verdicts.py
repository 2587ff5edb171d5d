"""Later verdicts, and looking answers up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest

from pipeline.bronze import batch_load as bronze_load
from pipeline.bronze import verdicts
from pipeline.bronze.batch_load import load_batch
from pipeline.bronze.held_elements import Part
from pipeline.bronze.lookup import Selection, body, case, find_answer, held_back
from pipeline.bronze.verdicts import put_back, retry, waive, withdraw
from pipeline.clock import UTC
from pipeline.contracts.judgement import Judgement, judge
from pipeline.contracts.rules import RULES
from pipeline.errors import UsageError
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.warehouse.connect import Connection, Role, Warehouse
from tests.replay import wild
from tests.replay.support import CLOCK

BATCH, LATER, *_ = wild.market_of(96)
FIRST = exchange_id(BATCH.batch_id, 0, 1)


@pytest.fixture
def ingester(warehouse: Warehouse) -> Iterator[Connection]:
    with warehouse.connect(Role.INGESTER, autocommit=True) as connection:
        yield connection


def loaded(connection: Connection, *bodies: bytes) -> Batch:
    """The batch, with answers of these bodies instead of its first ones."""
    exchanges = [replace(e, body=bodies[n]) if n < len(bodies) else e for n, e in enumerate(BATCH.exchanges)]
    batch = replace(BATCH, exchanges=tuple(exchanges))
    load_batch(connection, batch, CLOCK)
    return batch


def rows(connection: Connection, answer: UUID) -> list[tuple[Any, ...]]:
    return connection.execute(
        "select verdict_no, verdict, reason from ops.verdicts where exchange_id = %s order by verdict_no", [answer]
    ).fetchall()


def ledger(connection: Connection, answer: UUID) -> tuple[Any, ...] | None:
    return connection.execute("select outcomes, admitted, applied from ops.ledger where exchange_id = %s", [answer]).fetchone()


def test_verdicts_are_appended_and_the_last_one_counts(ingester: Connection) -> None:
    loaded(ingester)
    assert not retry(ingester, FIRST, CLOCK).is_new
    with pytest.raises(UsageError, match="ANSWER_ADMITTED"):
        waive(ingester, FIRST, "again", CLOCK)
    taken = withdraw(ingester, FIRST, "  wrong\n", CLOCK)
    assert (taken.batch_id, taken.verdict, taken.is_new) == (BATCH.batch_id, "withdrawn", True)
    assert not withdraw(ingester, FIRST, "again", CLOCK).is_new
    assert retry(ingester, FIRST, CLOCK).verdict == "released"
    assert not retry(ingester, FIRST, CLOCK).is_new
    for decide in (withdraw, waive):
        with pytest.raises(UsageError, match="ANSWER_UNKNOWN"):
            decide(ingester, UUID(int=1), "what?", CLOCK)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ingester.execute("update ops.verdicts set verdict = 'accepted'")
    assert rows(ingester, FIRST) == [(1, "accepted", None), (2, "withdrawn", "wrong"), (3, "released", None)]
    decided = ingester.execute("select distinct decided_at from ops.verdicts").fetchall()
    assert [each[0].astimezone(UTC) for each in decided] == [CLOCK.now()]


def test_a_released_answer_has_the_outcomes_of_its_new_judgement(ingester: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bronze_load, "judge", lambda exchange: Judgement("quarantined", (), 0, None))
        loaded(ingester)
    before = ledger(ingester, FIRST)
    assert before is not None and before[:2] == (0, False)
    assert case(ingester, Part(FIRST)).is_json is False
    assert retry(ingester, FIRST, CLOCK).verdict == "released"
    assert ledger(ingester, FIRST) == (judge(BATCH.exchanges[0]).outcomes, True, False)
    assert case(ingester, Part(FIRST)).is_json is True


def test_an_answer_is_judged_again_as_it_came(ingester: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Request, times and headers as well: rules look at them."""
    seen: list[Exchange] = []

    def judging(exchange: Exchange) -> Judgement:
        seen.append(exchange)
        return judge(exchange)

    batch = loaded(ingester)
    monkeypatch.setattr(verdicts, "judge", judging)
    answers = [exchange for exchange in batch.exchanges if bronze_load.is_answer(exchange)]
    for exchange in answers:
        answer = exchange_id(batch.batch_id, exchange.place, exchange.attempt)
        withdraw(ingester, answer, "to see it again", CLOCK)
        retry(ingester, answer, CLOCK)
    assert seen == answers


@pytest.mark.parametrize("content", [b'["\\u0000"]', b"[1e200000]"], ids=["refused text", "refused number"])
def test_what_only_postgres_refuses_stays_where_it_is(
    ingester: Connection, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    def blind(exchange: Exchange) -> Judgement:
        return Judgement("accepted", (), 7, content.decode())

    loaded(ingester, content)
    monkeypatch.setattr(verdicts, "judge", blind)
    for _ in range(2):
        found = retry(ingester, FIRST, CLOCK)
        assert (found.verdict, found.findings[0]["rule"]) == ("quarantined", "json.postgres")
    assert len(rows(ingester, FIRST)) == 2
    with pytest.raises(UsageError, match="ANSWER_NOT_JSON"):
        waive(ingester, FIRST, "why not", CLOCK)
    assert ledger(ingester, FIRST) == (0, False, False)


def test_a_withdrawal_that_is_put_back_leaves_the_verdict_before_it(warehouse: Warehouse, ingester: Connection) -> None:
    loaded(ingester)
    for _ in range(2):
        withdraw(ingester, FIRST, "wrong", CLOCK)
        retry(ingester, FIRST, CLOCK)
    with warehouse.connect(Role.TRANSFORMER, autocommit=True) as transformer:
        transformer.execute("update ops.ledger set applied = true where exchange_id = %s", [FIRST])
    withdraw(ingester, FIRST, "wrong", CLOCK)
    assert put_back(ingester, FIRST, "it did not work", CLOCK).verdict == "released"
    assert rows(ingester, FIRST)[-1] == (7, "released", "it did not work")
    assert ledger(ingester, FIRST) == (judge(BATCH.exchanges[0]).outcomes, True, True)


def test_what_is_put_back_is_what_readers_see(ingester: Connection) -> None:
    """Here nothing was ever applied, so the admitting verdicts are passed over."""
    loaded(ingester, b'{"message": "no"}')
    first = held_back(ingester, Selection()).answers[0]
    assert first.answer == FIRST
    assert put_back(ingester, FIRST, "it did not work", CLOCK).verdict == "quarantined"
    (now,) = held_back(ingester, Selection()).answers
    assert now == replace(first, reason="it did not work")


# --- looking up -----------------------------------------------------------------------------------------------------------


def test_an_answer_is_found_by_the_beginning_of_its_id(ingester: Connection) -> None:
    batch = loaded(ingester)
    ids = sorted(exchange_id(batch.batch_id, e.place, e.attempt) for e in batch.exchanges if bronze_load.is_answer(e))
    for answer in ids:
        assert find_answer(ingester, str(answer)) == find_answer(ingester, answer.hex.upper()) == answer
        alone = next(n for n in range(1, 33) if sum(other.hex.startswith(answer.hex[:n]) for other in ids) == 1)
        assert find_answer(ingester, answer.hex[:alone]) == answer
    for text, code in (("", "ANSWER_ID_INVALID"), ("g", "ANSWER_ID_INVALID"), ("0" * 33, "ANSWER_ID_INVALID")):
        with pytest.raises(UsageError, match=code):
            find_answer(ingester, text)
    with pytest.raises(UsageError, match="ANSWER_UNKNOWN"):
        find_answer(ingester, "".join("0" if digit != "0" else "1" for digit in ids[0].hex))


def test_the_beginning_of_two_ids_names_both(ingester: Connection) -> None:
    loaded(ingester)
    twin = UUID(int=FIRST.int ^ 1)
    ingester.execute(
        "insert into bronze.exchanges select (jsonb_populate_record(e, jsonb_build_object('exchange_id', %s::uuid,"
        " 'place', 99))).* from bronze.exchanges as e where exchange_id = %s",
        [twin, FIRST],
    )
    ingester.execute("insert into ops.ledger values (%s, %s, 0, false, false)", [twin, BATCH.batch_id])
    with pytest.raises(UsageError, match="ANSWER_AMBIGUOUS") as raised:
        find_answer(ingester, FIRST.hex[:31])
    assert str(FIRST) in raised.value.message and str(twin) in raised.value.message


def test_a_list_tells_the_rule_and_the_place(ingester: Connection) -> None:
    assert held_back(ingester, Selection()).lines() == ["Nothing is held back."]
    loaded(ingester, b"<html>", b'{"id": 7}')
    found = held_back(ingester, Selection())
    syntax, schema = found.answers
    assert (syntax.rule, syntax.pointer, syntax.value, syntax.findings) == ("json.syntax", "", "<html>", 1)
    assert schema.rule == "schema" and schema.findings > 1
    document = json.loads(json.dumps(found.to_json()))
    assert document["quarantined"] == 2
    assert document["answers"][0]["answer"] == str(FIRST)
    head, one, two = found.lines()
    assert head.split()[:3] == ["answer", "kind", "batch"]
    assert FIRST.hex[:12] in one and "json.syntax" in one and " schema " in two
    assert [each.answer for each in held_back(ingester, Selection(rule="schema")).answers] == [schema.answer]
    assert held_back(ingester, Selection(rule="json.nul")).answers == ()
    load_batch(ingester, LATER, CLOCK)
    place = next(exchange.place for exchange in LATER.exchanges if bronze_load.is_answer(exchange))
    withdraw(ingester, exchange_id(LATER.batch_id, place, 1), "wrong", CLOCK)
    assert held_back(ingester, Selection()) == found
    everything = held_back(ingester, Selection(everything=True))
    assert [each.verdict for each in everything.answers] == ["quarantined", "quarantined", "withdrawn"]
    assert "withdrawn" in everything.lines()[-1]


def test_a_case_tells_everything(ingester: Connection) -> None:
    content = b' [{"id": 7}]\r\n'
    loaded(ingester, content)
    retry(ingester, FIRST, CLOCK)
    found = case(ingester, Part(FIRST))
    document = json.loads(json.dumps(found.to_json()))
    assert (document["batch_state"], document["is_admitted"], document["is_json"]) == ("sealed", False, True)
    assert document["request"] == BATCH.exchanges[0].request.text
    (verdict,) = document["verdicts"]
    assert verdict["verdict"] == "quarantined"
    assert {each["promise"] for each in verdict["findings"]} == {RULES["schema"].promise}
    assert all(each.keys() >= {"rule", "pointer", "value", "message"} for each in verdict["findings"])
    text = "\n".join(found.lines())
    assert RULES["schema"].promise in text and BATCH.batch_id in text and str(FIRST) in text
    assert body(ingester, FIRST) == content
