"""Answers that keep to the contract and are odd all the same: none makes SQL fail, and the model agrees on each."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from pipeline.clock import UTC, to_iso
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import view_digests
from tests.conftest import Project
from tests.replay.model import Gold, quotes_of
from tests.replay.support import Databases, assert_model_agrees, digests, read_gold, take
from tests.replay.transcript import Transcript

NOON = dt.datetime(2026, 1, 10, 12, tzinfo=UTC)
SPORT, GAME = "basketball_nba", "c" * 32
MARKETS = ("h2h", "outrights", "player_points", "spreads", "totals")
BOOKS = ("fanduel", "newbook", "pinnacle")

Json = dict[str, Any]


def event(*books: Json, **fields: Any) -> Json:
    return {
        "id": GAME, "sport_key": SPORT, "sport_title": "NBA", "commence_time": to_iso(NOON + dt.timedelta(hours=3)),
        "home_team": "Hawks", "away_team": "Bulls", "bookmakers": list(books), **fields,
    }  # fmt: skip


def book(key: str, *markets: Json, title: str | None = None, last_update: str = "2026-01-10T11:59:30Z") -> Json:
    return {"key": key, "title": title or key, "last_update": last_update, "markets": list(markets)}


def market(key: str, *outcomes: tuple[Any, ...]) -> Json:
    """Outcomes as (name, price), (name, price, point) or (name, price, point, description)."""
    found = [dict(zip(("name", "price", "point", "description"), outcome, strict=False)) for outcome in outcomes]
    return {"key": key, "outcomes": found}


def h2h(home: float, away: float) -> Json:
    return market("h2h", ("Hawks", home), ("Bulls", away))


def poll(minute: int, *events: Json, at: dt.datetime | None = None, place: int = 0, books: tuple[str, ...] = BOOKS) -> Batch:
    scheduled = NOON + dt.timedelta(minutes=minute)
    request = ApiRequest.of(
        "odds", sport=SPORT, params={"bookmakers": ",".join(books), "markets": ",".join(MARKETS), "oddsFormat": "decimal"}
    )
    coverage = Coverage(sport=SPORT, markets=MARKETS, books=books)
    exchange = Exchange(place, 1, request, coverage, at or scheduled, 200, body=json.dumps(list(events)).encode())
    plan = PlanIdentity({"kind": "odd"})
    return Batch(plan.batch_id(scheduled), scheduled, plan, "import", (exchange,))


def one_player(over: float = 1.9) -> Json:
    return market("player_points", ("Over", over, 20.5, "J. Allen"), ("Under", 1.9, 20.5, "J. Allen"))


def two_players() -> Json:
    return market(
        "player_points",
        *(("Over", price, 20.5, "J. Allen") for price in (1.9, 3.5)),
        *(("Under", price, 20.5, "J. Allen") for price in (1.9, 1.3)),
    )


def doubled_list() -> Json:
    names = ("J. Allen", "M. Bell")
    return market("player_points", *((side, 1.9, 20.5, name) for name in names * 2 for side in ("Over", "Under")))


def field(*runners: str) -> Json:
    return market("outrights", *((name, 3.2 + n / 10) for n, name in enumerate(runners)))


ODD: dict[str, Callable[[], list[Batch]]] = {
    # the sum of 12,000 certainties
    "a field of twelve thousand at even stakes": lambda: [
        poll(0, event(book("fanduel", market("outrights", *((f"Runner {n}", 1) for n in range(12_000))))))
    ],
    "a spread and totals without a line": lambda: [
        poll(
            0,
            event(
                book(
                    "fanduel",
                    market("spreads", ("Hawks", 1.9), ("Bulls", 1.9)),
                    market("totals", ("Over", 1.9), ("Under", 1.9)),
                ),
                book(
                    "pinnacle",
                    market("spreads", ("Hawks", 1.9, -2.5), ("Bulls", 1.9, 2.5)),
                    market("totals", ("Over", 1.9), ("Under", 1.9)),
                ),
            ),
        )
    ],
    # the best of both is a gift of 50,000 %
    "teams swapped at extreme prices": lambda: [
        poll(0, event(book("fanduel", h2h(999.0, 1.01)), book("pinnacle", h2h(1.01, 999.0)))),
        poll(1, event(book("fanduel", h2h(999999, 1.01)), book("pinnacle", h2h(1.01, 999999)))),
    ],
    "times a thousand years apart": lambda: [
        poll(
            0, event(book("fanduel", h2h(1.9, 1.9), last_update="1000-01-01T00:00:00Z"), commence_time="2999-12-31T23:59:59Z")
        ),
        poll(
            1, event(book("fanduel", h2h(1.9, 1.9), last_update="2999-01-01T00:00:00Z"), commence_time="1000-01-01T00:00:00Z")
        ),
        poll(2),
    ],
    "an empty description beside none": lambda: [
        poll(
            0,
            event(
                book(
                    "fanduel",
                    market("totals", ("Over", 1.9, 200), ("Under", 1.9, 200), ("Over", 2, 200, ""), ("Under", 1.8, 200, "")),
                )
            ),
        ),
        poll(1, event(book("fanduel", market("totals", ("Over", 1.9, 200, ""), ("Under", 1.9, 200, ""))))),
    ],
    "a book twice, a market twice": lambda: [
        poll(
            0,
            event(book("fanduel", h2h(1.9, 1.9), h2h(1.8, 2.0), title="One"), book("fanduel", h2h(1.7, 2.1), title="Another")),
        ),
        poll(1, event(book("fanduel", h2h(1.9, 1.9), title="Another"), book("fanduel", title="One"))),
    ],
    "a book twice, the older entry says more": lambda: [
        poll(
            0,
            event(
                book(
                    "fanduel",
                    h2h(1.95, 1.9),
                    market("totals", ("Over", 1.9, 200), ("Under", 1.9, 200), ("Over", 1.8, 201), ("Under", 2.0, 201)),
                    last_update="2026-01-10T11:52:00Z",
                ),
                book("fanduel", h2h(1.8, 2.05), market("totals", ("Over", 1.85, 200)), last_update="2026-01-10T11:59:00Z"),
                book("pinnacle", h2h(1.83, 2.0), market("totals", ("Over", 1.9, 201), ("Under", 1.9, 201))),
            ),
        ),
        poll(1, event(book("fanduel", h2h(1.8, 2.05)), book("fanduel", market("h2h", ("Bulls", 2.0), ("Draw", 3.0))))),
        poll(2, event(book("fanduel", h2h(1.8, 2.05)))),
    ],
    # shown so, then as one, then so again; two entries of a market, of which one is old, are no two people
    "two players and two runners of one name": lambda: [
        poll(0, event(book("fanduel", one_player()), book("pinnacle", one_player(1.8), field("A", "B", "C")))),
        poll(1, event(book("fanduel", two_players()), book("pinnacle", one_player(1.8), field("A", "A", "B")))),
        poll(2, event(book("fanduel", one_player(), one_player(1.7)), book("pinnacle", one_player(1.8), field("A", "B", "C")))),
        poll(3, event(book("fanduel", two_players()), book("pinnacle", one_player()), book("newbook", field("A", "B", "C")))),
        poll(4, event(book("fanduel", doubled_list()), book("pinnacle", one_player()))),
    ],
    "teams of one name, teams without a name, a team called Draw": lambda: [
        poll(0, event(book("fanduel", h2h(1.9, 1.9)), away_team="Hawks")),
        poll(1, event(book("fanduel", h2h(1.9, 1.9)), home_team=None, away_team=None)),
        poll(2, event(book("fanduel", market("h2h", ("Draw", 1.9), ("Bulls", 1.9))), home_team="Draw")),
    ],
    "hyphens that would run together in a key": lambda: [
        poll(
            0,
            event(
                book(
                    "fanduel",
                    market(
                        "player_points",
                        ("C", 1.9, 1, "A-B"),
                        ("B-C", 1.8, 1, "A"),
                        ("X-", 1.7, 1),
                        ("X", 1.6, -1),
                        ("Y~1", 2, 1),
                        ("Y-", 2, 1),
                    ),
                )
            ),
        )
    ],
    "points at the ends of what there is": lambda: [
        poll(
            0,
            event(
                book(
                    "fanduel",
                    market("spreads", ("Hawks", 1.9, -99999), ("Bulls", 1.9, 99999)),
                    market("totals", ("Over", 1.9, -0.0), ("Under", 1.9, 0)),
                )
            ),
        ),
        poll(1, event(book("fanduel", market("spreads", ("Hawks", 1.9), ("Bulls", 1.9), ("Nobody", 1.9, 3.3333))))),
    ],
    "prices with more places than there are": lambda: [
        poll(0, event(book("fanduel", h2h(1.9000000001, 1.123456789)), book("pinnacle", h2h(1, 1.000000001)))),
        poll(1, event(book("fanduel", h2h(1.9, 1.12345679)), book("pinnacle", h2h(1, 1)))),
    ],
    "a microsecond between answers": lambda: [
        poll(0, event(book("fanduel", h2h(1.9, 1.9))), at=NOON + dt.timedelta(microseconds=1)),
        poll(1, event(book("fanduel", h2h(1.8, 1.9))), at=NOON + dt.timedelta(microseconds=2)),
        poll(2, at=NOON + dt.timedelta(microseconds=3)),
    ],
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_answer_makes_no_trouble(kind: str, prepared: Warehouse, project: Project, transcript: Transcript) -> None:
    """Checks included: what the contract lets in withholds no batch."""
    batches = ODD[kind]()
    model = Gold(batches)
    assert model.outcome_count > 0
    with transcript.instead_of_dbt():
        take(prepared, project, batches[:0:-1])
    take(prepared, project, batches[:1])
    assert_model_agrees(prepared, model)
    digests(prepared)
    with prepared.connect(Role.TRANSFORMER) as connection:
        view_digests(connection)  # each view can be read to its end


def test_a_book_that_stands_twice_speaks_with_what_was_read_last() -> None:
    """The older entry is kept, at the end of the ranks, and no price of it is offered, nor added up."""
    gold = Gold(ODD["a book twice, the older entry says more"]()[:1])
    best = {
        (key[1], key[3], key[5]): (row["best_price_decimal"], row["books"])
        for key, row in gold.best_price(gold.price_history()).items()
    }
    assert best == {
        ("h2h", None, "Hawks"): (Decimal("1.83"), ("pinnacle",)),
        ("h2h", None, "Bulls"): (Decimal("2.05"), ("fanduel",)),
        ("totals", 201, "Over"): (Decimal("1.9"), ("pinnacle",)),
        ("totals", 201, "Under"): (Decimal("1.9"), ("pinnacle",)),
    }
    ranks = {
        (q.name, q.native): (q.rank, q.problem) for q in quotes_of(gold.answers[0]) if (q.book, q.market) == ("fanduel", "h2h")
    }
    assert ranks[("Hawks", Decimal("1.8"))] == (1, None) and ranks[("Hawks", Decimal("1.95"))] == (2, "superseded")


# --- each was wrong once --------------------------------------------------------------------------------------------------


def changing_formats(*prices: tuple[str, float]) -> list[Batch]:
    batches = []
    for minute, (odds_format, price) in enumerate(prices):
        batch = poll(minute, event(book("fanduel", market("h2h", ("Hawks", price)))))
        (exchange,) = batch.exchanges
        params = {**dict(exchange.request.params), "oddsFormat": odds_format}
        request = ApiRequest.of("odds", sport=SPORT, params=params)
        fields = {name: getattr(exchange, name) for name in ("place", "attempt", "coverage", "captured_at", "status", "body")}
        batches.append(
            Batch(batch.batch_id, batch.scheduled_at, batch.plan, batch.source, (Exchange(request=request, **fields),))
        )
    return batches


def test_a_price_is_compared_with_the_last_one_whatever_its_format(
    prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    """200, 3.01 and 202 follow each other within a rounding; 200 and 202 do not. The stretch's first price is not the last."""
    batches = changing_formats(("american", 200), ("decimal", 3.01), ("american", 202), ("american", 202), ("american", 203))
    model = Gold(batches)
    assert [row["price_native"] for row in model.price_history().values()] == [200, 203]
    with transcript.instead_of_dbt():
        take(prepared, project, batches)
    assert_model_agrees(prepared, model)


def test_of_two_answers_at_one_time_one_may_hold_no_price(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    """Of equals a hash decides: where it takes the one without a price, the other's set does not speak for it."""
    shown = event(book("fanduel", h2h(1.9, 1.9)), book("pinnacle", h2h(1.8, 2.0)))
    for number in range(6):
        batches = []
        for kind, odds_format in (("one", "decimal"), ("two", "american")):
            (exchange,) = poll(0, shown).exchanges
            params = {**dict(exchange.request.params), "oddsFormat": odds_format}
            request = ApiRequest.of("odds", sport=SPORT, params=params)
            body = (exchange.body or b"") + b" " * number * (kind == "two")
            plan = PlanIdentity({"kind": kind})
            one = Exchange(0, 1, request, exchange.coverage, exchange.captured_at, 200, body=body)
            batches.append(Batch(plan.batch_id(NOON), NOON, plan, "import", (one,)))
        with transcript.instead_of_dbt():
            for order in (batches, batches[::-1]):
                with databases() as warehouse:
                    take(warehouse, project, order)  # nothing is withheld
                    digests(warehouse)


def test_of_two_moments_at_one_time_the_later_one_speaks_for_the_set_too(
    prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    """The price is that of the later moment, so what is said of its set is too, whatever the places in the plans."""
    at = NOON + dt.timedelta(minutes=5)
    half, whole = event(book("fanduel", market("h2h", ("Hawks", 1.8)))), event(book("fanduel", h2h(1.9, 1.95)))
    batches = [poll(0, half, at=at), poll(1, whole, at=at, place=3)]
    with transcript.instead_of_dbt():
        take(prepared, project, batches)
    with prepared.connect(Role.TRANSFORMER) as connection:
        rows = connection.execute("select outcome_names, is_complete, is_sound from gold.margins").fetchall()
    assert rows == [(["Bulls", "Hawks"], True, True)]
    assert_model_agrees(prepared, Gold(batches))


def test_a_late_answer_that_repeats_a_price_moves_the_ages_of_later_rows(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    """No row of price_history changes by it, and yet a quote that stood at a later change was read later."""

    def asked(minute: int, key: str, market: Json, read: str) -> Batch:
        return poll(minute, event(book(key, market, last_update=f"2026-01-10T{read}Z")), books=(key,))

    first = poll(0, event(book("fanduel", h2h(2.1, 1.9)), book("pinnacle", h2h(2.0, 1.9))))
    repeats, changes = asked(1, "fanduel", h2h(2.1, 1.9), "12:00:40"), asked(2, "pinnacle", h2h(2.0, 1.8), "12:01:50")
    with transcript.instead_of_dbt():
        with databases() as warehouse:
            take(warehouse, project, [first, changes])
            before = read_gold(warehouse)
            take(warehouse, project, [repeats])
            late, after = digests(warehouse), read_gold(warehouse)
            assert_model_agrees(warehouse, Gold([first, repeats, changes]))
        with databases() as warehouse:
            take(warehouse, project, [first, repeats, changes])
            assert digests(warehouse) == late
    assert before["gold.price_history"] == after["gold.price_history"]
    ages = [[row["oldest_quote_age_at_open_seconds"] for row in gold["gold.consensus"].values()] for gold in (before, after)]
    assert ages[0] != ages[1]


def test_what_one_answer_repeats_and_the_next_one_leaves_out_ends(
    prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    """Both come in one run: that the first says nothing new does not mean that nothing happened."""
    shown = event(book("fanduel", h2h(1.9, 1.95)), book("pinnacle", h2h(1.8, 2.0)))
    batches = [poll(0, shown), poll(1, shown), poll(2, event(book("pinnacle", h2h(1.8, 2.0)))), poll(3, shown), poll(4)]
    with transcript.instead_of_dbt():
        take(prepared, project, batches[:1])
        take(prepared, project, batches[1:3], step=2)
        take(prepared, project, batches[3:], step=2)
    assert_model_agrees(prepared, Gold(batches))
