"""One bad value costs its element, and no more: the rest is in gold, and what is held back is unknown, not gone."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import jsonschema_rs
import pytest

from pipeline.bronze.batch_load import is_answer
from pipeline.bronze.held_elements import Part
from pipeline.bronze.lookup import Selection, case, held_back
from pipeline.contracts import judgement as judging
from pipeline.contracts.elements import Element, element_at
from pipeline.contracts.judgement import judge
from pipeline.errors import UsageError
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.replay.verify import verify
from pipeline.runs.context import RunContext
from pipeline.runs.quarantine import DecisionSummary, retry_answers, waive_answer, withdraw_answer
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import view_digests
from tests.conftest import Project
from tests.replay import wild
from tests.replay.model import Gold
from tests.replay.support import CLOCK, Databases, assert_model_agrees, differences, digests, read_gold, take
from tests.replay.test_odd_answers import book, event, h2h, poll
from tests.replay.transcript import Transcript

SEEDS = (2, 22, 28)


@pytest.mark.parametrize("seed", SEEDS)
def test_markets_with_broken_elements_are_the_same_in_the_model_and_in_any_order(
    seed: int, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = [wild.with_broken_elements(batch, seed) for batch in wild.market_of(seed)]
    judged = [judge(exchange) for batch in batches for exchange in batch.exchanges if is_answer(exchange)]
    broken = [element for each in judged for element in each.held]
    assert len({each.kind for each in broken}) == 3
    model = Gold(batches)
    tables = model.tables()
    shuffled = random.Random(seed).sample(batches, len(batches))
    found = []
    with transcript.on_small_markets():
        for order, step in ((batches, 1), (shuffled, 1), (batches[::-1], 3), (batches, 0)):
            with databases() as warehouse:
                take(warehouse, project, order, step=step)
                lines = differences(read_gold(warehouse), tables)
                assert not lines, "\n".join(lines)
                found.append(digests(warehouse))
                with warehouse.connect(Role.TRANSFORMER) as connection:
                    assert connection.execute("select count(*) from ops.elements").fetchone() == (len(broken),)
                    view_digests(connection)
    assert all(each == found[0] for each in found)


def test_what_is_held_back_is_unknown_and_not_gone(databases: Databases, project: Project, transcript: Transcript) -> None:
    def polled(minute: int, fanduel: Any, *books: Any, **fields: Any) -> Any:
        return poll(minute, event(book("fanduel", fanduel), *books, **fields), event(book("newbook", h2h(2, 2)), id="d" * 32))

    broken = h2h(1.9, 1.9)
    broken["outcomes"][0]["price"] = None
    batches = [
        polled(0, h2h(1.9, 1.9), book("pinnacle", h2h(1.8, 2.0))),
        polled(1, broken, book("pinnacle", h2h(1.8, 2.0))),  # the market of one book
        polled(2, h2h(1.9, 1.9), book("pinnacle", h2h(1.8, 2.0), last_update="now")),  # a book
        polled(3, h2h(1.9, 1.9), book("pinnacle", h2h(1.8, 2.0)), home_team=7),  # an event
        polled(4, h2h(1.9, 1.9), book("pinnacle", h2h(1.8, 2.0)), id="x"),  # an event that nobody can name
        polled(5, h2h(1.9, 1.9), book("PINNACLE", h2h(1.8, 2.0))),  # a book that nobody can name
        polled(6, h2h(1.9, 1.9), book("pinnacle", h2h(1.8, 2.0))),
    ]
    with transcript.on_small_markets(), databases() as warehouse:
        take(warehouse, project, batches)
        assert_model_agrees(warehouse, Gold(batches))
        with warehouse.connect(Role.READER) as connection:
            # nothing ended: each line was there in every answer that told of it
            rows = connection.execute(
                "select bookmaker_key, end_reason, observations from gold.price_history_now order by 1, outcome_name"
            ).fetchall()
            listed = connection.execute("select count(*) from gold.event_listing_intervals where valid_to is null").fetchone()
            status = connection.execute("select status, count(*) from gold.events group by status").fetchall()
    assert rows == [("fanduel", "open", 4)] * 2 + [("newbook", "open", 7)] * 2 + [("pinnacle", "open", 3)] * 2
    assert listed == (2,) and status == [("listed", 2)]


def test_outcomes_add_up_three_ways_through_dbt(databases: Databases, project: Project) -> None:
    batches = [wild.with_broken_elements(batch, 5) for batch in wild.market_of(5)]
    with databases() as warehouse:
        take(warehouse, project, batches, step=4)
        report = verify(warehouse, project)
    assert not report.failed, [(check.name, check.message) for check in report.failed]
    told = report.to_json()["outcomes"]
    in_bodies = sum(
        len(market.get("outcomes") or ())
        for batch in batches
        for exchange in batch.exchanges
        if is_answer(exchange) and "odds" in exchange.request.endpoint
        for shown in _events(json.loads(exchange.body or b""))
        for one in shown["bookmakers"]
        for market in one["markets"]
    )
    assert told["in_silver"] + told["held_by_element"] + told["of_answers_held_back"] == in_bodies
    assert told["in_silver"] and told["held_by_element"]


def _events(document: Any) -> list[Any]:
    data = document["data"] if isinstance(document, dict) and "data" in document else document
    return data if isinstance(data, list) else [data]


# --- decisions ------------------------------------------------------------------------------------------------------------


def told_by(warehouse: Warehouse, statement: str) -> list[Any]:
    with warehouse.connect(Role.OWNER) as connection:
        return connection.execute(statement.encode()).fetchall()


def decide(kind: str, warehouse: Warehouse, project: Project, *wanted: str) -> DecisionSummary:
    context = RunContext(warehouse, project, CLOCK)
    if kind == "retry":
        return retry_answers(context, wanted or Selection())
    run = {"waive": waive_answer, "withdraw": withdraw_answer}[kind]
    return run(context, wanted[0], "because")


GOOD = [
    poll(minute, event(book("fanduel", h2h(1.9 + minute / 100, 1.9)), book("pinnacle", h2h(1.8 + minute / 100, 2.0))))
    for minute in range(4)
]


def golden(databases: Databases, project: Project, batches: list[Batch]) -> dict[str, str]:
    with databases() as warehouse:
        take(warehouse, project, batches)
        return digests(warehouse)


def with_price(batch: Batch, price: Any, book_no: int = 0) -> Batch:
    (exchange,) = batch.exchanges
    document = json.loads(exchange.body or b"")
    document[0]["bookmakers"][book_no]["markets"][0]["outcomes"][0]["price"] = price
    return replace(batch, exchanges=(replace(exchange, body=json.dumps(document).encode()),))


def test_elements_are_listed_shown_withdrawn_and_given_back(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    answer = exchange_id(GOOD[1].batch_id, 0, 1)
    pointer = "/0/bookmakers/1"
    with transcript.on_small_markets():
        whole = golden(databases, project, GOOD)
        gone = [without_book(batch, 1) if batch is GOOD[1] else batch for batch in GOOD]
        with databases() as warehouse:
            take(warehouse, project, GOOD)
            summary = decide("withdraw", warehouse, project, f"{answer}{pointer}")
            assert [(str(each.part), each.outcome) for each in summary.answers] == [(f"{answer}{pointer}", "withdrawn")]
            assert (summary.batches, summary.exit_code) == (1, 0)
            # unknown and not gone: the stretch goes on
            model = Gold(GOOD, held=lambda exchange: withdrawn(exchange, GOOD[1], pointer))
            lines = differences(read_gold(warehouse), model.tables())
            assert not lines, lines
            assert digests(warehouse) != whole and digests(warehouse) != golden(databases, project, gone)
            assert decide("withdraw", warehouse, project, f"{answer}{pointer}").answers[0].outcome == "standing"
            with warehouse.connect(Role.INGESTER) as ingester:
                assert held_back(ingester, Selection()).answers == ()
                (listed,) = held_back(ingester, Selection(everything=True)).answers
                assert (listed.element, listed.kind, listed.verdict) == (pointer, "bookmaker", "withdrawn")
                shown = case(ingester, Part(answer, pointer))
                assert (shown.is_admitted, shown.is_applied) == (False, False)
                assert f"element   {pointer}" in shown.lines() and shown.verdicts[0].reason == "because"
                assert case(ingester, Part(answer)).held == (pointer,)
                assert case(ingester, Part(answer, "/0")).verdicts == ()
                with pytest.raises(UsageError, match="ELEMENT_UNKNOWN"):
                    case(ingester, Part(answer, "/7"))
            assert decide("retry", warehouse, project, f"{answer}{pointer}").answers[0].outcome == "released"
            assert digests(warehouse) == whole
            assert decide("retry", warehouse, project, f"{answer}{pointer}").answers[0].outcome == "standing"


def without_book(batch: Batch, book_no: int) -> Batch:
    (exchange,) = batch.exchanges
    document = json.loads(exchange.body or b"")
    del document[0]["bookmakers"][book_no]
    return replace(batch, exchanges=(replace(exchange, body=json.dumps(document).encode()),))


def withdrawn(exchange: Exchange, batch: Batch, pointer: str) -> list[Element]:
    if exchange.body != batch.exchanges[0].body:
        return []
    found = element_at("odds", json.loads(exchange.body or b""), pointer)
    assert found is not None
    return [found]


def test_what_a_mended_contract_takes_is_as_if_it_had_never_been_held(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    version, documents, _ = judging._load()
    common = json.loads(json.dumps(documents["common.schema.json"]))
    common["$defs"]["outcome"]["properties"]["price"] = {"type": "number", "maximum": 1.905}
    strict_registry = jsonschema_rs.Registry(
        [(each["$id"], each) for each in {**documents, "common.schema.json": common}.values()], draft=jsonschema_rs.Draft202012
    )
    with transcript.on_small_markets():
        whole = golden(databases, project, GOOD)
        with databases() as warehouse:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(judging, "_load", lambda: (version, documents, strict_registry))
                patch.setattr(judging, "_validator", judging._validator.__wrapped__)
                take(warehouse, project, GOOD)
                with warehouse.connect(Role.INGESTER) as ingester:
                    listed = held_back(ingester, Selection(rule="schema"))
                # pinnacle's 2.0 in each, and what fanduel has from the second on
                assert listed.to_json()["elements"] == 7 and listed.to_json()["quarantined"] == 0
                assert digests(warehouse) != whole
                refused = decide("retry", warehouse, project)
                assert (refused.count("refused"), refused.exit_code) == (7, 1)
            summary = decide("retry", warehouse, project)
            assert (summary.count("released"), summary.batches, summary.exit_code) == (7, 4, 0)
            assert digests(warehouse) == whole
            assert told_by(warehouse, "select count(*) from ops.ledger where not is_settled or held <> '{}'") == [(0,)]


def test_a_waiver_lets_in_what_sql_can_take_and_is_undone_where_it_cannot(databases: Databases, project: Project) -> None:
    batches = [with_price(GOOD[0], 0.5), with_price(GOOD[1], None)]
    first, second = (f"{exchange_id(batch.batch_id, 0, 1)}/0/bookmakers/0/markets/0" for batch in batches)
    with databases() as warehouse:
        take(warehouse, project, batches)
        before = digests(warehouse)
        summary = decide("waive", warehouse, project, second)
        assert [each.outcome for each in summary.answers] == ["undone"] and summary.withheld == 0 and summary.failures
        assert digests(warehouse) == before
        assert [each.outcome for each in decide("waive", warehouse, project, first).answers] == ["waived"]
        assert told_by(warehouse, "select count(*) from silver.quotes where price_native = 0.5") == [(1,)]
        assert told_by(warehouse, "select verdict from ops.element_verdicts order by exchange_id, verdict_no") == [
            *([(v,) for v in ("quarantined", "waived", "quarantined")] if second < first else [("quarantined",), ("waived",)]),
            *([("quarantined",), ("waived",)] if second < first else [(v,) for v in ("quarantined", "waived", "quarantined")]),
        ]
        assert decide("retry", warehouse, project).count("refused") == 1
        for wrong, code in ((f"{first}/outcomes/0", "ELEMENT_UNKNOWN"), (first, "standing")):
            if code == "standing":
                assert decide("waive", warehouse, project, wrong).answers[0].outcome == "standing"
            else:
                with pytest.raises(UsageError, match=code):
                    decide("waive", warehouse, project, wrong)
        other = f"{exchange_id(batches[0].batch_id, 0, 1)}/0/bookmakers/1"
        with pytest.raises(UsageError, match="ELEMENT_ADMITTED"):
            decide("waive", warehouse, project, other)
        report = verify(warehouse, project)
        assert not report.failed, [(check.name, check.message) for check in report.failed]


def test_of_an_answer_that_is_held_back_no_element_is_decided_on(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    (exchange,) = GOOD[0].exchanges
    broken = replace(GOOD[0], exchanges=(replace(exchange, body=b'{"message": "x"}'),))
    answer = exchange_id(broken.batch_id, 0, 1)
    with transcript.on_small_markets(), databases() as warehouse:
        take(warehouse, project, [broken])
        with pytest.raises(UsageError, match="ANSWER_HELD"):
            decide("withdraw", warehouse, project, f"{answer}/0")
        # an answer that is withdrawn and given back keeps what of it is held back
        take(warehouse, project, [with_price(GOOD[1], None)])
        before = digests(warehouse)
        whole = str(exchange_id(GOOD[1].batch_id, 0, 1))
        assert decide("withdraw", warehouse, project, whole).exit_code == 0
        assert digests(warehouse) != before
        assert decide("retry", warehouse, project, whole).count("released") == 1
        assert digests(warehouse) == before
