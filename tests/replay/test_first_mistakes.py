"""What a first version of such a pipeline gets wrong, one test each."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import UTC, ManualClock, to_iso
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, Failure, PlanIdentity
from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import stored_digests
from tests.conftest import Project

NFL, EPL = "americanfootball_nfl", "soccer_epl"
NOON = dt.datetime(2025, 3, 9, 12, tzinfo=UTC)  # the day on which New York's clocks change
GAME, MATCH = "a" * 32, "b" * 32
MARKETS, BOOKS = ("h2h", "spreads", "totals"), ("fanduel", "pinnacle")


def market(key: str, *outcomes: tuple[Any, ...]) -> dict[str, Any]:
    found = [dict(zip(("name", "price", "point"), outcome, strict=False)) for outcome in outcomes]
    return {"key": key, "last_update": to_iso(NOON), "outcomes": found}


def event(
    sport: str, event_id: str, books: dict[str, Sequence[dict[str, Any]]], *, start: dt.datetime | None = None
) -> dict[str, Any]:
    return {
        "id": event_id,
        "sport_key": sport,
        "sport_title": sport,
        "commence_time": to_iso(start or NOON + dt.timedelta(hours=6)),
        "home_team": "Home",
        "away_team": "Away",
        "bookmakers": [
            {"key": key, "title": key, "last_update": to_iso(NOON), "markets": list(markets)} for key, markets in books.items()
        ],
    }


def poll(minutes: int, *answers: tuple[str, list[dict[str, Any]]], status: int = 200, body: bytes | None = None) -> Batch:
    """A batch with an odds answer per sport, in decimal odds."""
    at = NOON + dt.timedelta(minutes=minutes)
    exchanges = []
    for place, (sport, events) in enumerate(answers):
        request = ApiRequest.of(
            "odds", sport=sport, params={"regions": "us", "markets": ",".join(MARKETS), "oddsFormat": "decimal"}
        )
        exchanges.append(
            Exchange(
                place=place,
                attempt=1,
                request=request,
                coverage=Coverage(sport=sport, markets=MARKETS, books=BOOKS),
                captured_at=at,
                status=status,
                body=json.dumps(events).encode() if body is None else body,
                failure=None if status == 200 else Failure("INVALID_KEY", "no"),
            )
        )
    plan = PlanIdentity({"kind": "test", "sports": [sport for sport, _ in answers]})
    return Batch(plan.batch_id(at), at, plan, "import", tuple(exchanges))


class Lab:
    """A database and what is read from it."""

    def __init__(self, warehouse: Warehouse, project: Project) -> None:
        self.warehouse = warehouse
        self.project = project
        self.clock = ManualClock(NOON + dt.timedelta(days=400))

    def load(self, *batches: Batch) -> None:
        with self.warehouse.connect(Role.INGESTER) as ingester:
            for batch in batches:
                load_batch(ingester, batch, self.clock)

    def apply(self, *batches: Batch) -> None:
        applied = apply_batches(self.warehouse, self.project, [batch.batch_id for batch in batches], self.clock)
        assert applied.published, applied.failed

    def take(self, *batches: Batch) -> None:
        for batch in batches:
            self.load(batch)
            self.apply(batch)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.warehouse.connect(Role.READER) as reader:
            return reader.execute(query.encode()).fetchall()


@pytest.fixture
def lab(prepared: Warehouse, project: Project) -> Lab:
    return Lab(prepared, project)


def h2h(home: float, away: float) -> dict[str, Any]:
    return market("h2h", ("Away", away), ("Home", home))


def test_a_late_batch_is_not_lost(lab: Lab) -> None:
    """A watermark of the highest batch id would skip it."""
    early, late, last = (
        poll(m, (NFL, [event(NFL, GAME, {"fanduel": [h2h(p, 2.0)]})])) for m, p in ((0, 1.8), (15, 1.9), (30, 1.7))
    )
    lab.take(early, last, late)
    assert lab.rows("select price_native from gold.price_history where outcome_name = 'Home' order by valid_from") == [
        (Decimal("1.80000000"),),
        (Decimal("1.90000000"),),
        (Decimal("1.70000000"),),
    ]


def test_a_batch_that_was_only_half_loaded_is_applied_later(lab: Lab) -> None:
    """Sealed in bronze, but never applied: a later batch must not hide it."""
    half, later = (poll(m, (NFL, [event(NFL, GAME, {"fanduel": [h2h(p, 2.0)]})])) for m, p in ((0, 1.8), (15, 1.9)))
    lab.load(half)
    lab.take(later)
    assert lab.rows("select count(*) from silver.quotes") == [(2,)]
    lab.apply(half)
    assert lab.rows("select count(*) from silver.quotes") == [(4,)]


def test_no_time_of_gold_is_the_machines(lab: Lab) -> None:
    """current_timestamp in gold: every time is one of the answers', however late they are loaded."""
    lab.take(poll(0, (NFL, [event(NFL, GAME, {"fanduel": [h2h(1.8, 2.0)]})])))
    for table, column in lab.rows(
        "select table_schema || '.' || table_name, column_name from information_schema.columns"
        " where table_schema in ('silver', 'gold') and data_type like 'timestamp%'"
        " and table_name not in ('book_profile', 'event_override')"
    ):
        assert lab.rows(f"select max({column}) is null or max({column}) <= '{NOON + dt.timedelta(hours=6)}' from {table}") == [
            (True,)
        ], (
            table,
            column,
        )


def test_times_keep_their_zone(lab: Lab) -> None:
    """Naive New York time would lose the hour that the clocks skip that night."""
    # 08:00, 07:00 and 06:00 UTC: 04:00 EDT, 03:00 EDT, 01:00 EST
    starts = [NOON - dt.timedelta(hours=h) for h in (4, 5, 6)]
    events = [event(NFL, f"{n}" * 32, {"fanduel": [h2h(1.8, 2.0)]}, start=start) for n, start in enumerate(starts)]
    lab.take(poll(-600, (NFL, events)))
    found = lab.rows(
        "select start_at, data_type from gold.events cross join information_schema.columns as c"
        " where c.table_schema = 'gold' and c.table_name = 'events' and c.column_name = 'start_at' order by event_id"
    )
    assert found == [(start, "timestamp with time zone") for start in starts]


def test_draws_and_totals_are_rows_like_others(lab: Lab) -> None:
    """A pivot into home and away drops the draw, and leaves totals without a price."""
    three = market("h2h", ("Away", 3.1), ("Home", 2.3), ("Draw", 3.4))
    totals = market("totals", ("Over", 1.9, 2.25), ("Under", 1.95, 2.25))
    lab.take(poll(0, (EPL, [event(EPL, MATCH, {"fanduel": [three, totals]})])))
    assert lab.rows("select market_key, outcome_name, price_decimal, point from gold.price_history order by 1, 2") == [
        ("h2h", "Away", Decimal("3.10000000"), None),
        ("h2h", "Draw", Decimal("3.40000000"), None),
        ("h2h", "Home", Decimal("2.30000000"), None),
        ("totals", "Over", Decimal("1.90000000"), Decimal("2.250")),
        ("totals", "Under", Decimal("1.95000000"), Decimal("2.250")),
    ]


def test_lines_of_one_name_do_not_overwrite_each_other(lab: Lab) -> None:
    """`point` missing from the key: two totals of one book are two lines."""
    totals = market("totals", ("Over", 1.9, 41.5), ("Over", 2.4, 44.5), ("Under", 1.9, 41.5), ("Under", 1.6, 44.5))
    lab.take(poll(0, (NFL, [event(NFL, GAME, {"fanduel": [totals]})])))
    assert lab.rows("select outcome_name, point, line_rank from gold.price_history order by 1, 2") == [
        ("Over", Decimal("41.500"), 1),
        ("Over", Decimal("44.500"), 2),
        ("Under", Decimal("41.500"), 1),
        ("Under", Decimal("44.500"), 2),
    ]


def test_prices_keep_their_decimals(lab: Lab) -> None:
    """A cast to integer makes 1.91 a 2."""
    lab.take(poll(0, (NFL, [event(NFL, GAME, {"fanduel": [h2h(1.91, 1.909)]})])))
    assert lab.rows("select price_native from silver.quotes order by 1") == [(Decimal("1.90900000"),), (Decimal("1.91000000"),)]


@pytest.mark.parametrize("status", [200, 401, 500])
def test_an_error_body_makes_no_rows(lab: Lab, status: int) -> None:
    """Without a look at the status, the keys of an error's body become odds."""
    body = json.dumps({"message": "API key is not valid", "error_code": "INVALID_KEY", "details_url": "x"}).encode()
    lab.take(poll(0, (NFL, [event(NFL, GAME, {"fanduel": [h2h(1.8, 2.0)]})])), poll(15, (NFL, []), status=status, body=body))
    assert lab.rows("select count(*), count(valid_to) from gold.price_history") == [(2, 0)]  # and it is no absence either


def test_an_event_without_books_is_an_event(lab: Lab) -> None:
    """A cross join with its books makes it vanish."""
    lab.take(poll(0, (NFL, [event(NFL, GAME, {})])))
    assert lab.rows("select event_id, status from gold.events") == [(GAME, "listed")]
    assert lab.rows("select count(*) from silver.event_sightings") == [(1,)]


def test_a_model_may_begin_from_nothing(lab: Lab) -> None:
    """Models that read themselves must not need an earlier run: an empty warehouse takes its first batch, or none."""
    assert lab.rows("select count(*) from gold.price_history") == [(0,)]
    lab.take(poll(0, (NFL, [])))
    assert lab.rows("select count(*) from gold.events") == [(0,)]


def test_another_sports_poll_is_no_absence(lab: Lab) -> None:
    """Odds of soccer say nothing about football."""
    lab.take(poll(0, (NFL, [event(NFL, GAME, {"fanduel": [h2h(1.8, 2.0)]})])), poll(15, (EPL, [])))
    assert lab.rows("select end_reason, valid_to from gold.price_history") == [("open", None), ("open", None)]
    assert lab.rows("select valid_to from gold.event_listing_intervals") == [(None,)]
    lab.take(poll(30, (NFL, [])))
    assert lab.rows("select distinct end_reason from gold.price_history") == [("event_absent",)]


def test_an_equal_batch_changes_nothing(lab: Lab) -> None:
    """A poll that only moves last_update writes no row of gold, and the same batch again not even to bronze."""
    first = poll(0, (NFL, [event(NFL, GAME, {"fanduel": [h2h(1.8, 2.0)]})]))
    lab.take(first)
    with lab.warehouse.connect(Role.TRANSFORMER) as connection:
        before = stored_digests(connection)
    lab.take(poll(15, (NFL, [event(NFL, GAME, {"fanduel": [h2h(1.8, 2.0)]})])), first)
    with lab.warehouse.connect(Role.TRANSFORMER) as connection:
        assert stored_digests(connection) == before
    assert lab.rows("select count(*) from silver.quotes") == [(4,)]
