"""What a batch brought, beside the batches of its plan before it: worked out here by hand from the answers."""

from __future__ import annotations

from typing import Any

from pipeline.transform.apply import rebuild
from pipeline.warehouse.connect import Role

DAY = 24 * 60


def health(market: Any, *columns: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = market.rows(f"select {', '.join(columns)} from gold.batch_health order by batch_id")
    return found


def h2h(market: Any, key: str, updated: float) -> dict[str, Any]:
    shown: dict[str, Any] = market.book(key, {"h2h": [("Home", 1.9), ("Away", 2.0)]}, updated)
    return shown


def test_a_batch_is_counted_and_compared_with_those_of_its_plan(market: Any) -> None:
    asked = {"books": ("betmgm", "bovada", "fanduel"), "markets": ("h2h",)}
    # games, and books of each: of one plan; between them a batch of another plan, which is no yardstick
    sizes = [(1, 3), (2, 2), (2, 1), (1, 1)]
    for number, (games, books) in enumerate(sizes):
        minute = number * 10
        keys = asked["books"][:books]
        shown = [market.game(f"e{n}", 600, [h2h(market, key, minute) for key in keys]) for n in range(games)]
        market.load(minute, market.odds(*shown, **asked), market.events(market.game("e0", 600, None)))
    market.load(5, market.odds(market.game("e0", 600, [h2h(market, "fanduel", 5)]), **asked), plan="another")
    market.publish()

    # outcomes: 1·3·2, 2·2·2, 2·1·2, 1·1·2; of an even number of batches the lower of the two in the middle
    columns = ("events", "books", "outcomes", "baseline_batches", "events_median", "books_median", "outcomes_median")
    assert health(market, "asked", "answered", "held_back", *columns) == [
        (2, 2, 0, 1, 3, 6, 0, None, None, None),
        (1, 1, 0, 1, 1, 2, 0, None, None, None),
        (2, 2, 0, 2, 2, 8, 1, 1, 3, 6),
        (2, 2, 0, 2, 1, 4, 2, 1, 2, 6),
        (2, 2, 0, 1, 1, 2, 3, 2, 2, 6),
    ]
    # an import costs nothing that we know of
    assert {row[0] for row in health(market, "credits")} == {None}


def test_no_more_batches_are_a_baseline_than_the_parameter_says(market: Any) -> None:
    with market.warehouse.connect(Role.TRANSFORMER) as connection:
        connection.execute("update silver.parameters set value = 2 where name = 'health_baseline_batches'")
    for minute, games in ((0, 5), (10, 1), (20, 2), (30, 3)):
        shown = [market.game(f"e{n}", 600, [h2h(market, "fanduel", minute)]) for n in range(games)]
        market.load(minute, market.odds(*shown))
    market.publish()

    assert health(market, "baseline_batches", "events_median") == [(0, None), (1, 5), (2, 1), (2, 1)]


def test_ages_are_those_of_the_outcomes(market: Any) -> None:
    # twenty books, read 0, 10, … 190 seconds before; two outcomes each
    books = [h2h(market, f"book{number:02}", 10 - number / 6) for number in range(20)]
    unknown = market.event_odds(market.game("f", 600, [market.book("fanduel", {"h2h": [("Home", 1.9), ("Away", 2.0)]})]))
    market.load(10, market.odds(market.game("e", 600, books)), unknown)
    market.publish()

    # 40 ages: the 20th is 90, the 38th is 180; the answer without a last_update has no age
    assert health(market, "quote_age_p50_seconds", "quote_age_p95_seconds", "outcomes") == [(90, 180, 42)]


def test_a_start_that_is_not_believed_is_counted_in_its_batch(market: Any) -> None:
    shown = [h2h(market, "fanduel", 0)]
    market.load(0, market.odds(market.game("e", 5, shown), market.game("f", 5, shown)))
    # after the start: nine hours earlier is not believed, twenty minutes later is
    market.load(10, market.odds(market.game("e", 5 - 9 * 60, shown), market.game("f", 25, shown)))
    market.load(20, market.odds(market.game("e", 5 - 9 * 60, shown), market.game("f", 25, shown)))
    market.publish()

    assert health(market, "starts_suspect") == [(0,), (1,), (0,)]


def test_a_result_that_is_missing_is_told_before_the_api_forgets_it(market: Any) -> None:
    def score(name: str, start: float, done: bool) -> dict[str, Any]:
        told = [{"name": "Home", "score": "21"}, {"name": "Away", "score": "7"}] if done else None
        game: dict[str, Any] = market.game(name, start, None, completed=done, scores=told, last_update=None)
        return game

    market.load(0, market.events(market.game("a", 10, None), market.game("b", 10, None), market.game("c", 1.5 * DAY, None)))
    market.load(DAY, market.scores(score("a", 10, True), score("b", 10, False)))
    # two days and more after a and b: a is done; c is too young; another sport was not asked about
    market.load(2 * DAY + 20, market.events())
    market.load(2 * DAY + 25, market.events(sport="icehockey_nhl"))
    market.load(2 * DAY + 30, market.scores(score("b", 10, True)))
    market.load(3 * DAY + 20, market.events())
    market.publish()

    assert health(market, "results_missing") == [(0,), (0,), (1,), (0,), (0,), (0,)]


def test_no_result_is_missed_of_a_game_that_left_before_it_began(market: Any) -> None:
    both = [market.game(name, start, [h2h(market, "fanduel", 65)]) for name, start in (("a", 60), ("b", 30))]
    market.load(65, market.odds(*both))
    # what began half an hour before is still shown, so that the list is whole: a left it, and was not played
    market.load(80, market.odds(both[1]))
    market.load(2 * DAY + 100, market.events())
    market.publish()

    assert market.rows("select status from gold.events order by start_at") == [("gone",), ("gone_early",)]
    assert health(market, "results_missing") == [(0,), (0,), (1,)]


def test_answers_that_failed_or_are_held_back_are_told_apart(market: Any) -> None:
    batch_id = market.load(0, market.odds(market.game("e", 600, [h2h(market, "fanduel", 0)])), market.events())
    market.publish()
    with market.warehouse.connect(Role.OWNER) as connection:
        connection.execute("update ops.ledger set admitted = false, applied = false where outcomes = 0")
        connection.execute(
            "insert into bronze.exchanges (exchange_id, batch_id, place, attempt, endpoint, request, coverage, captured_at,"
            " headers, failure_code) values ('00000000-0000-0000-0000-000000000001', %s, 2, 1, 'odds', '{}', '{}', now(),"
            " '{}', 'timeout')",
            [batch_id],
        )

    assert health(market, "asked", "answered", "held_back", "events") == [(3, 2, 1, 1)]


def test_a_batch_that_is_not_published_is_not_there(market: Any) -> None:
    market.load(0, market.odds(market.game("e", 600, [h2h(market, "fanduel", 0)])))
    market.publish()
    market.load(10, market.odds(market.game("e", 600, [h2h(market, "fanduel", 10)])))

    assert health(market, "events") == [(1,)]


def test_a_rebuild_stops_no_load_although_a_view_reads_bronze(market: Any) -> None:
    market.load(0, market.odds(market.game("e", 600, [h2h(market, "fanduel", 0)])))
    market.publish()
    before = health(market, "*")
    with market.warehouse.connect(Role.INGESTER) as ingester:
        ingester.execute("lock table bronze.batches, ops.ledger in row exclusive mode")
        rebuild(market.warehouse, market.project)
    assert health(market, "*") == before
