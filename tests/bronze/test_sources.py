"""A warehouse holds one source, and its events say which: nothing simulated is taken for real."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.bronze.sources import refuse_calls
from pipeline.bronze.verdicts import withdraw
from pipeline.clock import UTC, to_iso
from pipeline.errors import ConflictError
from pipeline.odds_api.api_errors import Failure
from pipeline.odds_api.endpoints import BASE_URL
from pipeline.odds_api.redaction import KEPT_HEADERS, SIMULATED_HEADER
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity, exchange_id
from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.model import Gold
from tests.replay.support import CLOCK, assert_model_agrees, digests, take

NFL = "americanfootball_nfl"
ONE, TWO = (f"{number:032x}" for number in (1, 2))
SAYS_SO = ((SIMULATED_HEADER, "true"),)
REAL, SIMULATED = "the_odds_api", "simulated"


def batch(hour: int, *event_ids: str, source: str = "live", headers: tuple[tuple[str, str], ...] = (), **changes: Any) -> Batch:
    """A list of events."""
    at = dt.datetime(2025, 10, 9, hour, tzinfo=UTC)
    start = to_iso(at.replace(hour=23))
    shown = [
        {"id": each, "sport_key": NFL, "sport_title": "NFL", "commence_time": start, "home_team": "A", "away_team": "B"}
        for each in event_ids
    ]
    exchange = Exchange(
        place=0,
        attempt=1,
        request=ApiRequest.of("events", sport=NFL),
        coverage=Coverage(sport=NFL),
        captured_at=at,
        status=200,
        headers=headers,
        body=json.dumps(shown).encode(),
    )
    plan = PlanIdentity({"kind": "test", "hour": hour})
    return Batch(plan.batch_id(at), at, plan, source, (replace(exchange, **changes),))


def load(warehouse: Warehouse, *batches: Batch, **how: Any) -> None:
    with warehouse.connect(Role.INGESTER) as ingester:
        for each in batches:
            assert load_batch(ingester, each, CLOCK, **how).is_new


def counts(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    with warehouse.connect(Role.OWNER) as connection:
        return connection.execute(
            "select (select count(*) from bronze.batches), (select count(*) from bronze.bodies),"
            " (select count(*) from ops.ledger)"
        ).fetchall()


def sources(warehouse: Warehouse) -> dict[str, str]:
    with warehouse.connect(Role.READER) as connection:
        return dict(connection.execute("select event_id, source from gold.events").fetchall())


# Said by something in between: it is nobody's.
PROXY = {"status": 502, "body": b"Bad Gateway", "failure": Failure("HTTP_502", "")}
FAILED = {"status": None, "body": None, "headers": (), "failure": Failure("TIMEOUT", "")}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (batch(1), batch(2, source="simulated")),
        (batch(1, source="import"), batch(2, headers=SAYS_SO)),
        (batch(1, source="simulated"), batch(2)),
        (batch(1, headers=SAYS_SO), batch(2, source="backfill")),
        # an answer that is refused or is none tells it as well
        (batch(1, source="simulated"), batch(2, body=b"no JSON")),
        (batch(1), batch(2, headers=SAYS_SO, status=404, failure=Failure("EVENT_NOT_FOUND", ""))),
    ],
)
def test_the_first_load_settles_the_source_and_another_is_refused(warehouse: Warehouse, first: Batch, second: Batch) -> None:
    load(warehouse, first)
    before = counts(warehouse)
    with pytest.raises(ConflictError) as raised:
        load(warehouse, second)
    error = raised.value
    assert error.code == "SOURCES_MIXED" and second.batch_id in error.message and "--mix-sources" in error.next_step
    assert REAL in error.message and SIMULATED in error.message
    assert counts(warehouse) == before
    # both are meant: from then on either is at home
    load(warehouse, second, mix_sources=True)
    load(warehouse, batch(3), batch(4, source="simulated"))


@pytest.mark.parametrize("source", ["live", "simulated"])
def test_the_same_source_and_calls_without_an_answer_are_taken(warehouse: Warehouse, source: str) -> None:
    nobody = batch(1, **FAILED)
    load(warehouse, nobody, batch(2, source=source), batch(3, source=source), batch(4, **FAILED), batch(6, **PROXY))
    marked = batch(5, source=source, headers=SAYS_SO)
    if source == "live":
        with pytest.raises(ConflictError, match="SOURCES_MIXED"):
            load(warehouse, marked)
    else:
        load(warehouse, marked)


def test_a_batch_of_both_is_refused_even_as_the_first(warehouse: Warehouse) -> None:
    one = batch(1)
    both = replace(one, exchanges=(*one.exchanges, replace(one.exchanges[0], place=1, headers=SAYS_SO)))
    with pytest.raises(ConflictError, match=r"SOURCES_MIXED.*simulated and the_odds_api"):
        load(warehouse, both)
    assert counts(warehouse) == [(0, 0, 0)]


def test_of_two_first_loads_at_once_one_is_refused(warehouse: Warehouse) -> None:
    batches = [batch(hour, source=("live", "simulated")[hour % 2]) for hour in range(8)]

    def attempt(one: Batch) -> str:
        try:
            load(warehouse, one)
        except ConflictError as error:
            return error.code
        return one.source

    with ThreadPoolExecutor(8) as pool:
        ended = sorted(pool.map(attempt, batches))
    assert ended in (["SOURCES_MIXED"] * 4 + ["live"] * 4, ["SOURCES_MIXED"] * 4 + ["simulated"] * 4)


def test_no_credit_is_spent_for_a_warehouse_that_cannot_take_the_answers(warehouse: Warehouse) -> None:
    refuse_calls(warehouse, BASE_URL)
    load(warehouse, batch(1, source="simulated"))
    with pytest.raises(ConflictError, match=r"SOURCES_MIXED.*api\.the-odds-api\.com"):
        refuse_calls(warehouse, f"{BASE_URL}/")
    # whose the answers of another host are is told by these
    refuse_calls(warehouse, "http://127.0.0.1:8000")


def test_an_event_is_simulated_as_soon_as_an_admitted_answer_of_it_is(prepared: Warehouse, project: Project) -> None:
    batches = [batch(1, ONE, TWO), batch(2, ONE, headers=SAYS_SO), batch(3, ONE, TWO)]
    load(prepared, *batches, mix_sources=True)
    for each in reversed(batches):
        assert apply_batches(prepared, project, (each.batch_id,), CLOCK).published
    assert sources(prepared) == {ONE: SIMULATED, TWO: REAL}
    assert_model_agrees(prepared, Gold(batches))
    with prepared.connect(Role.INGESTER) as ingester:
        withdraw(ingester, exchange_id(batches[1].batch_id, 0, 1), "a test", CLOCK)
        ingester.commit()
    assert apply_batches(prepared, project, (batches[1].batch_id,), CLOCK).published
    assert sources(prepared) == {ONE: REAL, TWO: REAL}


def test_a_batch_of_a_simulated_recording_needs_no_header(prepared: Warehouse, project: Project) -> None:
    batches = [batch(1, ONE, source="simulated")]
    take(prepared, project, batches)
    assert sources(prepared) == {ONE: SIMULATED}
    assert_model_agrees(prepared, Gold(batches))
    assert digests(prepared)


def test_the_header_that_says_it_is_kept_and_is_the_one_that_sql_reads(warehouse: Warehouse) -> None:
    assert SIMULATED_HEADER in KEPT_HEADERS
    with warehouse.connect(Role.TRANSFORMER) as connection:
        cases = [("live", {}), ("live", {SIMULATED_HEADER: "true"}), ("simulated", {}), ("import", {"date": "x"})]
        found = [
            connection.execute("select ops.source_of(%s, %s::jsonb)", [source, json.dumps(headers)]).fetchone()
            for source, headers in cases
        ]
    assert found == [(REAL,), (SIMULATED,), (SIMULATED,), (REAL,)]
