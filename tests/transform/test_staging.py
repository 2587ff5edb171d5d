"""Staging views, against a flattening of the same bodies in Python: what they show, what they leave out, and what they open."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest

from pipeline.bronze.batch_load import is_answer, load_batch
from pipeline.clock import UTC, from_iso
from pipeline.contracts.judgement import judge
from pipeline.contracts.row_rules import NEWEST_ANSWERS, newest_answers
from pipeline.contracts.tables import Rule, read_contracts
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.runs.context import RunContext
from pipeline.runs.quarantine import retry_answers, withdraw_answer
from pipeline.transform.apply import apply_batches, transformer_session
from pipeline.transform.checks import CheckResult, whole_table_checks
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from tests.conftest import Project
from tests.ledgers import good_ledgers, ledger_batch
from tests.recordings import BUNDLED
from tests.replay import wild
from tests.replay.support import CLOCK, take

ENDPOINTS: Final = (
    "bets", "event_markets", "event_odds", "events", "historical_event_odds", "historical_events", "historical_odds", "odds",
    "participants", "predictions", "scores", "sports",
)  # fmt: skip
BATCHES: Final = (*Recording.open(resource(BUNDLED)).batches(), ledger_batch(*good_ledgers(), source="simulated"))
Row = dict[str, Any]


# --- the same in Python ---------------------------------------------------------------------------------------------------


def without(document: Any, pointers: Iterable[str]) -> Any:
    """A document without the elements at some pointers; an element within one that is gone is gone with it."""
    doomed = set(pointers)

    def copy(value: Any, place: str) -> Any:
        if isinstance(value, dict):
            return {key: copy(each, f"{place}/{key}") for key, each in value.items()}
        if isinstance(value, list):
            kept = ((number, each) for number, each in enumerate(value) if f"{place}/{number}" not in doomed)
            return [copy(each, f"{place}/{number}") for number, each in kept]
        return value

    return copy(document, "")


def at(value: Any) -> dt.datetime | None:
    """A time as an answer writes it: ISO, or seconds."""
    if value is None:
        return None
    return from_iso(value) if isinstance(value, str) else dt.datetime.fromtimestamp(int(value), UTC)


def below(items: Any) -> list[tuple[int | None, Any]]:
    """Elements and their places from 1; of none, one that is nothing."""
    return list(enumerate(items, 1)) if items else [(None, {})]


def of_event(event: Row) -> Row:
    plain = {name: event.get(name) for name in ("sport_key", "sport_title", "home_team", "away_team")}
    start, outrights = at(event["commence_time"]), bool(event.get("has_outrights"))
    return {"event_id": event["id"], **plain, "commence_time": start, "has_outrights": outrights}


def score(event: Row, side: str) -> str | None:
    named = [each["score"] for each in event["scores"] or () if each["name"] == event[side]]
    return named[-1] if named else None


def number(text: str | None) -> Decimal | None:
    return Decimal(text) if text is not None and re.fullmatch(r"\d{1,6}(\.\d{1,2})?", text) else None


def flattened(exchange: Exchange, document: Any) -> Iterator[Row]:
    """What an endpoint's view shows of one answer, but for what it says of the answer itself."""
    endpoint = exchange.request.endpoint
    data = document["data"] if endpoint.startswith("historical") else document
    if endpoint == "participants":
        for place, each in enumerate(data, 1):
            asked = exchange.request.sport
            yield {
                "sport_key": asked,
                "participant_ordinal": place,
                "participant_id": each["id"],
                "full_name": each["full_name"],
            }
        return
    if endpoint in ("bets", "predictions"):
        one = endpoint[:-1]
        renamed = {"market": "market_key", "outcome": "outcome_name", "price": "price_native"}
        for place, each in enumerate(data, 1):
            told = {renamed.get(name, name): value for name, value in each.items()}
            yield {
                f"{one}_ordinal": place,
                **told,
                **{name: at(told[name]) for name in ("placed_at", "made_at") if name in told},
            }
        return
    if endpoint == "sports":
        for place, each in enumerate(data, 1):
            names = {"sport_key": "key", "sport_group": "group", "sport_title": "title", "description": "description"}
            flags = {"is_active": "active", "has_outrights": "has_outrights"}
            yield {"sport_ordinal": place, **{name: each[field] for name, field in {**names, **flags}.items()}}
        return
    for event_place, event in enumerate(data if isinstance(data, list) else [data], 1):
        told = of_event(event) if endpoint == "event_markets" else {"event_ordinal": event_place, **of_event(event)}
        if endpoint in ("events", "historical_events"):
            yield told
        elif endpoint == "scores":
            texts = {side: score(event, f"{side}_team") for side in ("home", "away")}
            del told["has_outrights"]
            yield {
                **told,
                "completed": event["completed"],
                **{f"{side}_score_text": text for side, text in texts.items()},
                **{f"{side}_score": number(text) for side, text in texts.items()},
                "last_update": at(event["last_update"]),
            }
        else:
            yield from ({**told, **row} for row in of_books(event["bookmakers"], has_outcomes=endpoint != "event_markets"))


def of_books(books: Any, *, has_outcomes: bool) -> Iterator[Row]:
    for book_place, book in below(books):
        for market_place, market in below(book.get("markets")):
            shown = {
                "book_ordinal": book_place,
                "bookmaker_key": book.get("key"),
                "bookmaker_title": book.get("title"),
                "market_ordinal": market_place,
                "market_key": market.get("key"),
                "last_update": at(market.get("last_update")),
            }
            if not has_outcomes:
                yield shown
                continue
            shown["last_update"] = at(market.get("last_update") or book.get("last_update"))
            for place, outcome in below(market.get("outcomes")):
                yield {
                    **shown,
                    "outcome_ordinal": place,
                    "outcome_name": outcome.get("name"),
                    "price_native": outcome.get("price"),
                    **{name: outcome.get(name) for name in ("description", "point", "sid", "link", "bet_limit", "multiplier")},
                }


def expected(batches: Sequence[Batch]) -> dict[str, Counter[frozenset[tuple[str, Any]]]]:
    """Endpoint → how often which row stands in its view."""
    found: dict[str, Counter[frozenset[tuple[str, Any]]]] = {endpoint: Counter() for endpoint in ENDPOINTS}
    for batch in batches:
        for exchange in filter(is_answer, batch.exchanges):
            judged = judge(exchange)
            if judged.verdict == "quarantined":
                continue
            body = json.loads(exchange.body or b"", parse_float=Decimal)
            endpoint = exchange.request.endpoint
            answer = {
                "exchange_id": exchange_id(batch.batch_id, exchange.place, exchange.attempt),
                "batch_id": batch.batch_id,
                "endpoint": endpoint,
                "place": exchange.place,
                "body_sha256": hashlib.sha256(exchange.body or b"").hexdigest(),
                "moment_at": batch.scheduled_at,
                "captured_at": exchange.captured_at,
            }
            if endpoint.endswith("odds"):
                answer["odds_format"] = dict(exchange.request.params).get("oddsFormat", "decimal")
            for row in flattened(exchange, without(body, (each.pointer for each in judged.held))):
                found[endpoint][frozenset({**answer, **row}.items())] += 1
    return found


def shown(warehouse: Warehouse) -> dict[str, Counter[frozenset[tuple[str, Any]]]]:
    """The same, as a reader finds it."""
    found = {}
    with warehouse.connect(Role.READER) as connection:
        for endpoint in ENDPOINTS:
            cursor = connection.execute(f"select * from silver.stg_{endpoint}".encode())
            names = [column.name for column in cursor.description or ()]
            found[endpoint] = Counter(frozenset(zip(names, row, strict=True)) for row in cursor.fetchall())
    return found


def assert_shows(warehouse: Warehouse, batches: Sequence[Batch]) -> None:
    wanted, found = expected(batches), shown(warehouse)
    for endpoint in ENDPOINTS:
        lacks, more = wanted[endpoint] - found[endpoint], found[endpoint] - wanted[endpoint]
        assert not lacks and not more, (endpoint, sorted(map(sorted, [*lacks][:1])), sorted(map(sorted, [*more][:1])))


# --- what they show -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def loaded(server: Server, prepared_template: Warehouse, clone_names: Iterator[str], project: Project) -> Iterator[Warehouse]:
    """The bundled recording, all of it."""
    made = server.clone_database(prepared_template, next(clone_names))
    take(made, project, BATCHES, step=0)
    yield made
    server.drop_database(made)


def test_no_model_is_a_part_of_others_and_each_endpoint_has_its_view(project: Project) -> None:
    models = [node for node in project.manifest().nodes.values() if str(node.resource_type) == "model"]
    assert {node.config.materialized for node in models} == {"ledgered", "view"}
    views = {node.name for node in models if node.name.startswith("stg_")}
    assert views == {f"stg_{endpoint}" for endpoint in ENDPOINTS}
    for node in models:
        if node.name == "quotes":
            parents = {each.rpartition(".")[2] for each in node.depends_on.nodes}
            assert {"stg_odds", "stg_event_odds", "stg_historical_odds", "stg_historical_event_odds"} <= parents


def test_they_show_the_bundled_answers(loaded: Warehouse) -> None:
    wanted = expected(BATCHES)
    assert [endpoint for endpoint in ENDPOINTS if not wanted[endpoint]] == []
    assert_shows(loaded, BATCHES)


def test_what_odds_show_is_what_silver_holds_of_them(loaded: Warehouse) -> None:
    key = "exchange_id, event_id, bookmaker_key, market_key, outcome_name, price_native, point"
    staged = " union all ".join(
        f"select {key} from silver.stg_{endpoint} where outcome_ordinal is not null"
        for endpoint in ENDPOINTS
        if endpoint.endswith("odds")
    )
    with loaded.connect(Role.READER) as connection:
        for one, other in ((staged, "silver.quotes"), ("silver.quotes", staged)):
            left, right = (each if each is staged else f"select {key} from {each}" for each in (one, other))
            assert connection.execute(f"({left}) except all ({right})".encode()).fetchall() == []


@pytest.mark.parametrize("seed", [7, 31])
def test_they_show_wild_answers_without_what_is_held_back(prepared: Warehouse, project: Project, seed: int) -> None:
    batches = [wild.with_broken_elements(batch, seed) for batch in wild.market_of(seed)]
    judged = [judge(exchange) for batch in batches for exchange in filter(is_answer, batch.exchanges)]
    assert any(each.held for each in judged)
    take(prepared, project, batches, step=5)
    assert_shows(prepared, batches)


def test_what_is_sealed_withheld_or_withdrawn_is_not_shown(prepared: Warehouse, project: Project) -> None:
    priced = [batch for batch in BATCHES[2:] if any(each.request.endpoint == "odds" for each in batch.exchanges)]
    batches = (*BATCHES[:2], priced[0])
    take(prepared, project, batches[:1])
    with prepared.connect(Role.INGESTER) as ingester:
        load_batch(ingester, batches[1], CLOCK)
    assert_shows(prepared, batches[:1])  # sealed

    with prepared.connect(Role.OWNER) as owner:
        owner.execute("alter table gold.price_history add constraint never check (valid_from is null) not valid")
    assert not apply_batches(prepared, project, [batches[1].batch_id], CLOCK).published
    assert_shows(prepared, batches[:1])  # withheld
    with prepared.connect(Role.OWNER) as owner:
        owner.execute("alter table gold.price_history drop constraint never")
    take(prepared, project, batches[1:])
    assert_shows(prepared, batches)

    [odds, *_] = [each for each in batches[2].exchanges if is_answer(each) and each.request.endpoint == "odds"]
    answer = exchange_id(batches[2].batch_id, odds.place, odds.attempt)
    with prepared.connect(Role.READER) as reader:
        query = b"select count(*), count(*) filter (where book_ordinal = 1) from silver.stg_odds where exchange_id = %s"

        def rows() -> Any:
            return reader.execute(query, [answer]).fetchone()

        whole = rows()
        assert whole and whole[0]
        withdraw_answer(RunContext(prepared, project, CLOCK), f"{answer}/0/bookmakers/0", "because")
        assert 0 < rows()[0] < whole[0]
        withdraw_answer(RunContext(prepared, project, CLOCK), str(answer), "because")
        assert rows() == (0, 0)
        retry_answers(RunContext(prepared, project, CLOCK), [str(answer)])
        assert 0 < rows()[0] < whole[0]  # the element is still withdrawn
        retry_answers(RunContext(prepared, project, CLOCK), [f"{answer}/0/bookmakers/0"])
        assert rows() == whole
    assert_shows(prepared, batches)


# --- what they open -------------------------------------------------------------------------------------------------------


def nodes(plan: Row) -> Iterator[Row]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def opened(warehouse: Warehouse, endpoint: str, condition: str) -> list[Row]:
    """The nodes of a run plan that read a stored table, by a planner who takes no table for small."""
    with warehouse.connect(Role.OWNER) as connection:
        connection.execute("set enable_seqscan = off")
        query = f"explain (analyze, timing off, format json) select * from silver.stg_{endpoint} where {condition}"
        [([plan],)] = connection.execute(query.encode()).fetchall()
    return [node for node in nodes(plan["Plan"]) if "Relation Name" in node]


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("column", ["exchange_id", "batch_id"])
def test_one_answer_or_batch_is_found_by_index(loaded: Warehouse, endpoint: str, column: str) -> None:
    with loaded.connect(Role.READER) as connection:
        asked = f"select {column}, count(distinct exchange_id) from silver.stg_{endpoint} group by 1 order by 1 limit 1"
        [(value, answers)] = connection.execute(asked.encode()).fetchall()
    found = opened(loaded, endpoint, f"{column} = '{value}'")
    assert {"exchanges", "ledger", "batches"} <= {node["Relation Name"] for node in found}
    assert {node["Node Type"] for node in found} <= {"Index Scan", "Index Only Scan", "Bitmap Heap Scan"}
    bodies = [node for node in found if node["Relation Name"].startswith("bodies_") and node["Actual Loops"]]
    # of each batch a handful of answers; of the others no row is read
    assert sum(node["Actual Rows"] * node["Actual Loops"] for node in bodies) == answers
    ledger = [node for node in found if node["Relation Name"] == "ledger"]
    assert all(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 10 for node in ledger)


def test_a_time_narrows_what_is_opened_for_one_event(loaded: Warehouse) -> None:
    with loaded.connect(Role.READER) as connection:
        asked = b"select event_id, captured_at from silver.stg_odds order by captured_at, event_ordinal limit 1"
        [(event_id, captured_at)] = connection.execute(asked).fetchall()
    found = opened(loaded, "odds", f"event_id = '{event_id}' and captured_at = '{captured_at}'")
    [exchanges] = [node for node in found if node["Relation Name"] == "exchanges"]
    assert exchanges["Index Name"] == "exchanges_time"


# --- who may, and their rules ---------------------------------------------------------------------------------------------


def test_a_reader_sees_no_bytes_header_or_request(loaded: Warehouse) -> None:
    with loaded.connect(Role.READER) as connection:
        rows = connection.execute(
            "select a.attrelid::regclass::text, a.attname, a.atttypid::regtype::text from pg_attribute as a"
            " join pg_class as c on c.oid = a.attrelid where c.relnamespace = 'silver'::regnamespace and c.relkind = 'v'"
            " and a.attnum > 0"
        ).fetchall()
        assert {table for table, _, _ in rows} == {f"silver.stg_{endpoint}" for endpoint in ENDPOINTS}
        assert not {kind for _, _, kind in rows} & {"bytea", "jsonb", "json"}
        assert not {name for _, name, _ in rows} & {"body", "headers", "request", "document", "held", "applied_held"}
        for table in ("bronze.bodies", "bronze.exchanges", "ops.ledger"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                connection.execute(f"select 1 from {table}".encode())
    for role in (Role.INGESTER, Role.READER):
        with loaded.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("create or replace view silver.stg_odds as select 1 as one")


def test_verify_holds_them_to_their_rules_on_the_newest_answers(loaded: Warehouse) -> None:
    staging = [each for each in read_contracts() if each.table.startswith("stg_")]
    assert {each.of_endpoint for each in staging} == set(ENDPOINTS)
    assert {each.of_endpoint for each in read_contracts() if each not in staging} == {None}
    [odds] = [each for each in staging if each.table == "stg_odds"]
    relation = newest_answers(odds)
    assert relation is not None
    with loaded.connect(Role.TRANSFORMER) as connection:
        all_of_them = connection.execute(b"select exchange_id from silver.stg_odds group by 1").fetchall()
        assert 2 < len(all_of_them) <= NEWEST_ANSWERS
        few = relation.replace(f"limit {NEWEST_ANSWERS}", "limit 2")
        newest: list[UUID] = [each for (each,) in connection.execute(f"select exchange_id from {few} group by 1".encode())]
        times = [
            each
            for (each,) in connection.execute(
                b"select captured_at from silver.stg_odds group by exchange_id, captured_at order by captured_at desc limit 2"
            )
        ]
        found = connection.execute(b"select captured_at from bronze.exchanges where exchange_id = any (%s)", [newest])
        assert sorted(each for (each,) in found) == sorted(times)

    def checked(*rules: Rule) -> CheckResult:
        with transformer_session(loaded) as session:
            [found] = whole_table_checks(session, {}, [replace(odds, written_rules=(*odds.written_rules, *rules))])
        return found

    assert checked().ok
    one_more = Rule("one_more", "One more.", "accuracy", "error", "outcome_ordinal <= 1")
    assert "one_more" in (checked(one_more).message or "")
