"""Answers that switch format, sport key, regions and books: the set of them decides, and nothing is withheld."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from pipeline.recording.model import Batch
from pipeline.replay.verify import verify
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay import switching
from tests.replay.model import Gold, is_admitted
from tests.replay.orders import prove
from tests.replay.support import Databases, assert_model_agrees, digests, take
from tests.replay.transcript import Transcript

# each one is a market of its own, taken in four times over
EXAMPLES = int(os.environ.get("SPORTS_MARKET_EXAMPLES") or 4)


def rows(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with warehouse.connect(Role.READER) as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.mark.parametrize("name", switching.DIRECTED)
def test_what_chance_finds_too_seldom(name: str, databases: Databases, project: Project, transcript: Transcript) -> None:
    prove(switching.batches_of(switching.DIRECTED[name]), 0, databases, project, transcript)


@settings(
    max_examples=EXAMPLES,
    derandomize="SPORTS_MARKET_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(script=switching.scripts, seed=st.integers(0, 9))
def test_a_switching_market_is_the_same_in_the_model_and_in_any_order(
    script: list[switching.Poll], seed: int, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = switching.batches_of(script)
    note(
        "\n".join(
            f"{b.batch_id} {e.place} {e.captured_at:%H:%M:%S} {e.status} {e.request.text}" for b in batches for e in b.exchanges
        )
    )
    prove(batches, seed, databases, project, transcript)


def three(*polls: switching.Poll) -> list[Batch]:
    batches = switching.batches_of(polls)
    assert len(batches) == 3
    return batches


THREE = {
    # a price list as American numbers, which are none; the same as decimal ones; another price
    "formats": three(
        switching.one(told=2), switching.one(told=1), switching.one(switching.Change("price", book=2, value=4), told=1)
    ),
    # under one key; under another; under that without one of its books
    "keys": three(switching.one(), switching.one(switching.MOVE, key=1), switching.one(switching.BOOK, key=1)),
}


@pytest.mark.parametrize("name", THREE)
def test_in_every_order_of_three_all_are_published(name: str, databases: Databases, project: Project) -> None:
    golden = set()
    for order in itertools.permutations(THREE[name]):
        with databases() as warehouse:
            take(warehouse, project, order)
            assert_model_agrees(warehouse, Gold(THREE[name]))
            golden.add(tuple(sorted(digests(warehouse).items())))
    assert len(golden) == 1


def test_a_price_in_another_format_is_the_price_that_silver_has(databases: Databases, project: Project) -> None:
    with databases() as warehouse:
        take(warehouse, project, THREE["formats"][:1])
        numbers = rows(warehouse, "select distinct odds_format, price_decimal from gold.price_history")
        assert numbers == [("american", None)], "decimal numbers under an American label are no prices"
        take(warehouse, project, THREE["formats"][1:2])
        open_rows = rows(
            warehouse,
            "select series_id, line_rank, odds_format, price_native, price_decimal, implied_probability from gold.price_history"
            " where valid_to is null order by 1, 2",
        )
        newest = rows(
            warehouse,
            "select series_id, line_rank, odds_format, price_native, price_decimal, implied_probability from silver.quotes"
            " where captured_at = (select max(captured_at) from silver.quotes) order by 1, 2",
        )
        assert open_rows == newest and len(newest) > 4
        assert all(price is not None for *_, price, _ in open_rows)


def test_an_event_belongs_to_the_key_under_which_it_was_last_shown(databases: Databases, project: Project) -> None:
    moved, gone = switching.MOVE, switching.BOOK
    polls = [switching.one(), switching.one(moved, key=1), switching.one(gone, key=0), switching.one(key=1)]
    first, second, third, fourth = switching.batches_of(polls)
    game = switching.EVENTS[0]
    with databases() as warehouse:
        take(warehouse, project, [first, second, third])
        of_it = f"gold.price_history where event_id = '{game}'"
        ended = f"select bookmaker_key, end_reason, valid_to from {of_it} and valid_to is not null"
        assert rows(warehouse, ended) == [], "what asked for the old key tells nothing of it"
        take(warehouse, project, [fourth])
        assert {row[:2] for row in rows(warehouse, ended)} == {("draftkings", "book_absent")}
        assert {row[2] for row in rows(warehouse, ended)} == {fourth.scheduled_at}
        assert rows(warehouse, f"select sport_key from gold.events where event_id = '{game}'") == [(switching.KEYS[1],)]
        # the rows keep the key of their beginning
        assert rows(warehouse, f"select distinct sport_key from gold.price_history where event_id = '{game}'") == [
            (switching.KEYS[0],)
        ]
        known = rows(
            warehouse, f"select distinct known_until from gold.price_history_now where event_id = '{game}' and valid_to is null"
        )
        assert known == [(fourth.scheduled_at,)]
        periods = rows(
            warehouse,
            "select sport_key, valid_from, valid_to, moved_from from silver.event_sport_keys"
            f" where event_id = '{game}' order by valid_from",
        )
        assert periods == [
            (switching.KEYS[0], first.scheduled_at, second.scheduled_at, None),
            (switching.KEYS[1], second.scheduled_at, None, switching.KEYS[0]),
        ]


@pytest.mark.parametrize("seed", [3, 8])
def test_a_switching_market_through_dbt_can_be_verified(seed: int, databases: Databases, project: Project) -> None:
    batches = switching.market_of(seed)
    assert all(is_admitted(exchange) for batch in batches for exchange in batch.exchanges if exchange.status == 200)
    with databases() as warehouse:
        take(warehouse, project, batches[::2] + batches[1::2], step=3)
        assert_model_agrees(warehouse, Gold(batches))
        report = verify(warehouse, project)
    assert not report.failed, [(check.name, check.message) for check in report.failed]
