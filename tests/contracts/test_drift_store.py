"""Drift on a real PostgreSQL: the view finds what comparing finds, in whatever order batches come; it never blocks."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.contracts.drift import Drift, Shape, compare, profile, union
from pipeline.contracts.drift_report import drift_between, drift_in, newest_drift
from pipeline.contracts.drift_store import drift_of, drift_since, record_shape, shape_in
from pipeline.errors import UsageError
from pipeline.odds_api.api_errors import Failure
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Exchange, PlanIdentity
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Connection, Role, Warehouse
from tests.conftest import Project
from tests.replay.support import CLOCK

BUNDLED = resource("fixtures/recordings/simulated")
BATCHES = list(Recording.open(BUNDLED).batches())


def load(warehouse: Warehouse, batches: Sequence[Batch]) -> None:
    with warehouse.connect(Role.INGESTER) as ingester:
        for batch in batches:
            load_batch(ingester, batch, CLOCK)


def everything(warehouse: Warehouse) -> dict[str, tuple[Drift, ...]]:
    with warehouse.connect(Role.READER) as reader:
        return drift_since(reader, "", "~")


def expected(batches: Sequence[Batch]) -> dict[str, tuple[Drift, ...]]:
    """By comparing in Python: with all that came before it in time, and for what is gone with the one before of its plan."""
    found, known = {}, Shape({})
    last: dict[tuple[str, str], Shape] = {}
    for batch in sorted(batches, key=lambda batch: batch.batch_id):
        here = profile(batch)
        drifts = [each for each in compare(known, here) if each.kind != "field_gone"]
        for endpoint in {mark.endpoint for mark in here.marks}:
            part = Shape({mark: seen for mark, seen in here.marks.items() if mark.endpoint == endpoint})
            before = last.get((batch.plan.plan_id, endpoint), Shape({}))
            drifts += [each for each in compare(before, part) if each.kind == "field_gone"]
            last[batch.plan.plan_id, endpoint] = part
        if drifts:
            found[batch.batch_id] = tuple(sorted(drifts, key=Drift.order))
        known = union([known, here])
    return found


def changed(batch: Batch, change: Any) -> Batch:
    """A batch whose answers of odds came otherwise."""

    def other(exchange: Exchange) -> Exchange:
        if exchange.request.endpoint != "odds" or exchange.failure:
            return exchange
        document = json.loads(exchange.body or b"")
        for event in document:
            for book in event["bookmakers"]:
                change(book)
        return replace(exchange, body=json.dumps(document).encode())

    return replace(batch, exchanges=tuple(map(other, batch.exchanges)))


def at_hour(batch: Batch, hour: int) -> Batch:
    """The same answers, under another time."""
    at = batch.scheduled_at.replace(hour=hour)
    return replace(batch, scheduled_at=at, batch_id=batch.plan.batch_id(at))


# four batches of one plan, with odds in plenty
POLLED = [at_hour(next(batch for batch in BATCHES if len(batch.exchanges) > 4), hour) for hour in (1, 2, 3, 4)]
LOST = [
    POLLED[0],
    changed(POLLED[1], lambda book: book.pop("last_update")),
    changed(POLLED[2], lambda book: (book.pop("last_update"), book.update(boosted=True, title=None))),
    POLLED[3],
]


def people(hour: int, count: int, *fields: str, plan: str = "one") -> Batch:
    """A batch of participants; of a field with a star only every other one has it."""
    given = next(batch for batch in BATCHES if any(each.request.endpoint == "participants" for each in batch.exchanges))
    exchange = next(each for each in given.exchanges if each.request.endpoint == "participants")
    document = [
        {"id": number, **{field.strip("*"): number for field in fields if not (field.endswith("*") and number % 2)}}
        for number in range(count)
    ]
    body = json.dumps(document).encode()
    identity = PlanIdentity({"kind": "import", "name": plan})
    at = given.scheduled_at.replace(hour=hour)
    return Batch(identity.batch_id(at), at, identity, "import", (replace(exchange, body=body, place=0),))


# what may go without being gone: too few had it or might have it, not all had it, others were asked
KEPT = [
    people(1, 10, "gone", "some*"),
    people(2, 10),
    people(3, 9, "few"),
    people(4, 10),
    people(5, 10, "hidden"),
    people(6, 9),
    people(7, 10, "theirs", plan="two"),
    people(8, 10),
    people(9, 10, "gone"),
    people(10, 10, plan="two"),
]


def bodies(hour: int, endpoint: str, *documents: Any, code: str | None = None) -> Batch:
    """A batch of one answer for each document, of which the last may be a failure."""
    batch = people(hour, 0)
    exchange = replace(batch.exchanges[0], request=ApiRequest.of(endpoint, sport="soccer_epl"))
    answers = [replace(exchange, place=place, body=json.dumps(document).encode()) for place, document in enumerate(documents)]
    if code is not None:
        answers[-1] = replace(answers[-1], status=422, failure=Failure(code, "no"))
    return replace(batch, exchanges=tuple(answers))


ODD = [
    bodies(1, "participants", {"message": "no"}, {}, code="INVALID_MARKET"),
    # its items are no new field of what was an object; the types of a field come from two answers
    bodies(2, "participants", [{"id": 1}], [{"id": 2, "fresh": 1}]),
    bodies(3, "participants", [{"id": 1, "fresh": 1, "both": "x"}], [{"id": 2, "both": 1}], [{"id": None}]),
    # that endpoint was never asked, and then it was
    bodies(4, "scores", {}, code="EVENT_NOT_FOUND"),
    bodies(5, "scores", {}, code="UNKNOWN_SPORT"),
]


@pytest.mark.parametrize("batches", [BATCHES, LOST, KEPT, ODD], ids=["bundled", "fields lost", "fields kept", "odd"])
def test_the_view_finds_what_comparing_finds_in_any_order(warehouse: Warehouse, batches: list[Batch]) -> None:
    # the earliest last: each is late against all that are there
    load(warehouse, batches[::-1])
    found = everything(warehouse)
    assert found == expected(batches) != {}
    with warehouse.connect(Role.READER) as reader:
        assert [shape_in(reader, batch.batch_id) for batch in batches] == [profile(batch) for batch in batches]
        assert {batch.batch_id: drift_of(reader, batch.batch_id) for batch in batches if batch.batch_id in found} == found


def test_only_what_all_of_enough_had_and_none_of_enough_has_is_gone(warehouse: Warehouse) -> None:
    load(warehouse, KEPT)
    found = [each for drifts in everything(warehouse).values() for each in drifts]
    assert [(each.path, each.batch_id) for each in found if each.kind == "field_gone"] == [
        ("[].gone", KEPT[0].batch_id),
        ("[].theirs", KEPT[6].batch_id),
    ]
    assert [each.path for each in found if each.kind == "field_new"] == ["[].few", "[].hidden", "[].theirs"]


def test_what_is_lost_and_found_is_said_once(warehouse: Warehouse) -> None:
    load(warehouse, LOST)
    path = "[].bookmakers[]"
    found = everything(warehouse).values()
    assert [[(each.kind, each.path, each.before, each.after) for each in drifts] for drifts in found] == [
        [("field_gone", f"{path}.last_update", "string", None)],
        [
            ("field_new", f"{path}.boosted", None, "boolean"),
            ("type_changed", f"{path}.title", "string", "null"),
        ],
        [("field_gone", f"{path}.boosted", "boolean", None)],
    ]


def checks(connection: Connection) -> dict[str, tuple[Any, ...]]:
    rows = connection.execute(
        "select batch_id, status, failures, message from ops.check_results where check_name = 'drift'"
    ).fetchall()
    return {batch_id: tuple(rest) for batch_id, *rest in rows}


def test_the_check_warns_and_blocks_nothing(prepared: Warehouse, project: Project) -> None:
    boosted = changed(POLLED[1], lambda book: book.update(boosted=True))
    batches = [POLLED[0], boosted]
    load(prepared, batches)
    ids = [batch.batch_id for batch in batches]
    place = next(exchange.place for exchange in boosted.exchanges if exchange.request.endpoint == "odds")
    expected = {
        ids[0]: ("pass", 0, None),
        ids[1]: ("warn", 1, f"field_new odds [].bookmakers[].boosted: boolean, e.g. place {place}"),
    }
    with prepared.connect(Role.READER) as reader:
        assert checks(reader) == expected
        assert apply_batches(prepared, project, ids, CLOCK).published
        reader.rollback()
        assert checks(reader) == expected


def test_a_refused_answer_drifts_as_well(warehouse: Warehouse) -> None:
    broken = changed(POLLED[1], lambda book: book.update(markets=None))
    load(warehouse, [POLLED[0], broken])
    with warehouse.connect(Role.READER) as reader:
        assert [(each.kind, each.path, each.before, each.after) for each in drift_of(reader, broken.batch_id)] == [
            ("type_changed", "[].bookmakers[].markets", "array", "null")
        ]


def test_a_batch_that_brings_nothing_writes_nothing_but_its_shape(warehouse: Warehouse) -> None:
    load(warehouse, POLLED[:1])

    # xmax too: a row that is only locked is written as well
    query = "select xmin, xmax, firsts from ops.shape_firsts as firsts order by firsts"

    def firsts() -> list[tuple[Any, ...]]:
        with warehouse.connect(Role.READER) as reader:
            return reader.execute(query.encode()).fetchall()

    before = firsts()
    load(warehouse, POLLED[3:])
    assert firsts() == before != []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_loads_at_once_agree_on_the_first(warehouse: Warehouse, order: tuple[int, int]) -> None:
    one_batch, other_batch = (POLLED[number] for number in order)
    with warehouse.connect(Role.INGESTER) as one, ThreadPoolExecutor(1) as pool:
        with one.transaction():
            one.execute(
                "insert into bronze.batches values (%s, %s, %s, '{}', 'live', 0, '')",
                [one_batch.batch_id, one_batch.scheduled_at, one_batch.plan.plan_id],
            )
            record_shape(one, one_batch, profile(one_batch), CLOCK)
            other = pool.submit(load, warehouse, [other_batch])
            waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
            with warehouse.connect(Role.OWNER, autocommit=True) as owner:
                while owner.execute(waiting.encode()).fetchone() != (1,):
                    assert not other.done()
                    time.sleep(0.01)
        other.result(timeout=60)
        assert one.execute("select distinct batch_id from ops.shape_firsts").fetchall() == [(POLLED[0].batch_id,)]


# --- reports ---------------------------------------------------------------------------------------------------------


def test_sides_are_recordings_their_batches_and_batches_of_the_warehouse(warehouse: Warehouse) -> None:
    load(warehouse, BATCHES[:2])
    one, two = (batch.batch_id for batch in BATCHES[:2])
    steps: list[int] = []
    with warehouse.connect(Role.READER) as reader:

        def found(before: str, after: str) -> Any:
            return drift_between(before, after, lambda: reader, lambda done, total: steps.append(done))

        loaded, on_disk = found(one, two), found(f"{BUNDLED}/batches/{one}", f"{BUNDLED}/batches/{two}")
        assert loaded.found[two] == on_disk.found[f"{BUNDLED}/batches/{two}"]
        assert loaded.apart == on_disk.apart
        whole = found(one, str(BUNDLED))
        assert whole.exit_code == 1 and whole.found[str(BUNDLED)] != ()
        assert steps == list(range(1, len(BATCHES) + 1))
        assert found(str(BUNDLED), two).to_json()["drifts"] == []
        with pytest.raises(UsageError, match="BATCH_UNKNOWN"):
            found(one, "20200101T000000Z-nobody")
        with pytest.raises(UsageError, match="BATCH_UNKNOWN"):
            drift_in(reader, "20200101T000000Z-nobody")


def test_what_the_newest_batches_brought(warehouse: Warehouse) -> None:
    with warehouse.connect(Role.READER) as reader:
        assert newest_drift(reader).lines() == ["the newest 0 batches: no differences in shape"]
    load(warehouse, BATCHES)
    with warehouse.connect(Role.READER) as reader:
        report = newest_drift(reader)
        assert dict(report.found) == expected(BATCHES)
        last = max(report.found)
        one = drift_in(reader, last)
        assert (one.exit_code, one.lines()) == (
            1,
            [
                f"batch {last}: 1 difference in shape",
                last,
                "  error_code_new event_odds: EVENT_NOT_FOUND, e.g. place 5",
            ],
        )
        first = drift_in(reader, BATCHES[0].batch_id)
        assert (first.exit_code, first.to_json()["drifts"]) == (0, [])
