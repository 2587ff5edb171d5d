"""Every rule of the blocking checks can fail: a row is broken by hand, and the rule is seen to speak."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import pytest

from pipeline.resources import resource
from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Role, Warehouse

CHECKS: Final = (
    "silver_quotes",
    "silver_answers",
    "gold_events",
    "gold_price_history",
    "gold_best_price",
    "gold_margins",
    "gold_consensus",
)
NBA: Final = "basketball_nba"
GOLF: Final = "golf_open"

# Rows to break, as conditions. Minute 20 is the last batch's time, T the table.
LAST: Final = "captured_at = timestamptz '2025-10-09 12:20Z'"
ONE_QUOTE: Final = (
    "quote_id = (select min(quote_id::text)::uuid from silver.quotes"
    f" where {LAST} and market_key = 'h2h' and outcome_side = 'home')"
)
ONE_LINE: Final = (
    "series_id = (select min(series_id::text)::uuid from gold.price_history"
    " where market_key = 'h2h' and bookmaker_key = 'fanduel' and outcome_side = 'home')"
)
BEST: Final = (
    "line_id = (select min(line_id::text)::uuid from gold.best_price where market_key = 'h2h' and valid_to is null and"
    " valid_from = timestamptz '2025-10-09 12:20Z')"
)

SET: Final = "set_id = (select min(set_id::text)::uuid from gold.margins where market_key = 'h2h' and valid_to is null)"

AGREED: Final = "line_id = (select min(line_id::text)::uuid from gold.consensus where valid_to is null) and valid_to is null"


def copy(table: str, where: str, **changes: str) -> str:
    """A statement that inserts a row again with some columns changed."""
    values = ", ".join(f"'{column}', {value}" for column, value in changes.items())
    changed = f"jsonb_populate_record(t, jsonb_build_object({values}))"
    return f"insert into {table} select ({changed}).* from {table} as t where {where} limit 1"


# (rule, statements that break it)
BROKEN: Final[tuple[tuple[str, str], ...]] = (
    # silver.quotes
    ("quotes: rows are of admitted answers", "update ops.pending set admitted = false"),
    (
        "quotes: quote_id is the hash of the natural key",
        copy("silver.quotes", ONE_QUOTE, quote_id="gen_random_uuid()"),
    ),
    (
        "quotes: series_id is the hash of the series key",
        f"update silver.quotes set series_id = md5('x')::uuid where {ONE_QUOTE}",
    ),
    ("quotes: price_decimal follows from the native price", f"update silver.quotes set price_decimal = 1.5 where {ONE_QUOTE}"),
    (
        "quotes: implied_probability is 1 / price_decimal",
        f"update silver.quotes set implied_probability = implied_probability + 0.0001 where {ONE_QUOTE}",
    ),
    ("quotes: odds_format is american or decimal", f"update silver.quotes set odds_format = 'hongkong' where {ONE_QUOTE}"),
    ("quotes: price_side is that of the market", f"update silver.quotes set price_side = 'lay' where {ONE_QUOTE}"),
    (
        "quotes: overround is the sum over the set",
        f"update silver.quotes set overround = overround + 0.0000000001 where {ONE_QUOTE}",
    ),
    (
        "quotes: quote_at is the earlier of captured_at and last_update",
        f"update silver.quotes set quote_at = captured_at + interval '1 second' where {ONE_QUOTE}",
    ),
    (
        "quotes: line_point is null for h2h, the home handicap for spreads, else the point",
        f"update silver.quotes set line_point = point where {LAST} and market_key = 'spreads' and outcome_side = 'away'",
    ),
    ("quotes: outcome_set is known", f"update silver.quotes set outcome_set = 'four_way' where {ONE_QUOTE}"),
    (
        "quotes: a complete set is priced and has as many outcomes as its kind",
        f"update silver.quotes set outcome_set = 'three_way' where {ONE_QUOTE}",
    ),
    (
        "quotes: a set without a problem is complete and within the limits of overround",
        f"update silver.quotes set is_complete = false where {ONE_QUOTE}",
    ),
    (
        "quotes: a field is never complete",
        f"update silver.quotes set is_complete = true where {LAST} and outcome_set = 'field'",
    ),
    ("quotes: line_rank counts from 1 without a gap", f"update silver.quotes set line_rank = 3 where {LAST} and line_rank = 2"),
    ("quotes: duplicate_no counts from 1", f"update silver.quotes set duplicate_no = 0 where {ONE_QUOTE}"),
    ("quotes: its event is in event_sightings", f"update silver.quotes set event_id = 'nowhere' where {ONE_QUOTE}"),
    (
        "quotes: its book and market are in event_sightings",
        f"update silver.quotes set bookmaker_key = 'nobody' where {ONE_QUOTE}",
    ),
    ("quotes: sport, place and times are those of its answer", f"update silver.quotes set place = 77 where {ONE_QUOTE}"),
    # the rest of silver
    (
        "event_sightings: every event of the answer once",
        f"delete from silver.event_sightings where {LAST} and endpoint = 'events'",
    ),
    ("scores: every event of a scores answer once", f"delete from silver.scores where {LAST}"),
    ("participants: every participant of the answer once", f"delete from silver.participants where {LAST}"),
    ("sport_sightings: every sport of the catalogue once", f"delete from silver.sport_sightings where {LAST} and is_catalogue"),
    (
        "sport_sightings: every sport of the events once",
        f"delete from silver.sport_sightings where {LAST} and not is_catalogue",
    ),
    ("bookmaker_sightings: every book of the events once", f"delete from silver.bookmaker_sightings where {LAST}"),
    ("offered_markets: every market of every book once", f"delete from silver.offered_markets where {LAST}"),
    ("coverage: an answer covers what it was asked for and what it shows", f"delete from silver.coverage where {LAST}"),
    (
        "event_sightings: endpoint, place, body and times are those of the answer",
        f"update silver.event_sightings set place = 77 where {LAST}",
    ),
    ("event_sightings: only odds answers show markets", f"update silver.event_sightings set shows_odds = false where {LAST}"),
    (
        "event_sightings: every market is of a book that is shown",
        f"update silver.event_sightings set books = '{{}}' where {LAST} and shows_odds",
    ),
    ("event_sightings: source_rank is 1 to 5", f"update silver.event_sightings set source_rank = 6 where {LAST}"),
    ("event_sightings: coverage covers it", f"update silver.coverage set event_id = 'nowhere' where {LAST}"),
    ("coverage: endpoint and times are those of the answer", f"update silver.coverage set endpoint = 'odd' where {LAST}"),
    (
        "coverage: markets and books are those of the request",
        f"update silver.coverage set books = books || array['zz'] where {LAST}",
    ),
    (
        "coverage: the window is not empty",
        f"update silver.coverage set commence_from = captured_at, commence_to = captured_at - interval '1 hour' where {LAST}",
    ),
    (
        "coverage: only answers that list events tell that one is not listed",
        f"update silver.coverage set covers_listing = not covers_listing where {LAST}",
    ),
    ("scores: a score is the number in its text", f"update silver.scores set home_score = 99 where {LAST}"),
    ("scores: its event is in event_sightings", f"update silver.scores set event_id = 'nowhere' where {LAST}"),
    # events and what hangs on them
    ("events: every event that an answer shows has one row, and no other", "delete from gold.events"),
    (
        "events: start_at is the override, else the last start of the walk",
        "update gold.events set start_at = start_at + interval '1 second'",
    ),
    (
        "events: start_is_suspect where a start was not believed",
        "update gold.events set start_is_suspect = not start_is_suspect",
    ),
    ("events: start_change_count counts the changes that were believed", "update gold.events set start_change_count = 9"),
    (
        "events: it was first seen when the first answer showed it",
        "update gold.events set first_seen_at = first_seen_at - interval '1 day'",
    ),
    (
        "events: the first and the latest start are those of the first and the latest answer",
        "update gold.events set commence_time_latest = commence_time_latest + interval '1 second'",
    ),
    ("events: the sport is that of the latest answer", "update gold.events set sport_key = 'chess'"),
    (
        "events: last_seen_at is null while it is listed, else the last listing's",
        "update gold.events set last_seen_at = first_seen_at",
    ),
    ("events: an event with a start and a start walk", "delete from gold.event_start_changes"),
    ("events: status follows from result, listing and start", "update gold.events set status = 'gone'"),
    (
        "event_start_changes: old_start is what was known before",
        f"update gold.event_start_changes set old_start = captured_at where {LAST}",
    ),
    (
        "event_start_changes: new_start is what its answer says",
        f"update gold.event_start_changes set new_start = captured_at where {LAST}",
    ),
    (
        "event_start_changes: it is accepted as the walk's rule says",
        f"update gold.event_start_changes set accepted = not accepted where {LAST}",
    ),
    (
        "event_start_changes: start_as_known is the new start where it is accepted, else the old one",
        f"update gold.event_start_changes set start_as_known = captured_at where {LAST}",
    ),
    (
        "event_listing_intervals: valid_from is before valid_to",
        "update gold.event_listing_intervals set valid_from = valid_to where valid_to is not null",
    ),
    (
        "event_listing_intervals: intervals of an event do not overlap",
        copy("gold.event_listing_intervals", "valid_to is null", valid_from="timestamptz '2025-10-09 12:20Z'"),
    ),
    (
        "event_listing_intervals: last_seen_at and observations are null while it is open, and only then",
        "update gold.event_listing_intervals set observations = 2 where valid_to is null",
    ),
    (
        "event_listing_intervals: last_seen_at lies within the interval",
        "update gold.event_listing_intervals set last_seen_at = valid_to where valid_to is not null",
    ),
    (
        "event_listing_intervals: it begins with an answer that lists the event",
        "update gold.event_listing_intervals set valid_from = valid_from - interval '1 minute' where valid_to is null",
    ),
    ("event_listing_intervals: its event is in events", "delete from gold.events"),
    ("results: every event with a score has one row, and no other", "delete from gold.results"),
    ("results: score and completion are those of the newest score", "update gold.results set home_score = 99"),
    (
        "results: score_since is not after the newest score",
        "update gold.results set score_since = score_since + interval '1 day'",
    ),
    ("results: completed_since is there where it is completed", "update gold.results set completed_since = null"),
    ("results: its event is in events", "delete from gold.events"),
    ("results: problem is known", "update gold.results set problem = 'bad'"),
    (
        "sports: every sport that an answer names has a row since its first naming",
        f"delete from gold.sports where sport_key = '{NBA}'",
    ),
    (
        "bookmakers: every book that an answer shows has a row since its first showing",
        "update gold.bookmakers set first_seen_at = first_seen_at + interval '1 second'",
    ),
    # price_history
    (
        "price_history: valid_from is before valid_to",
        "update gold.price_history set valid_from = valid_to where end_reason = 'book_absent'",
    ),
    (
        "price_history: rows of a series do not overlap, and at most one is open",
        copy("gold.price_history", f"valid_to is null and {ONE_LINE}", valid_from="timestamptz '2025-10-09 12:05Z'"),
    ),
    (
        "price_history: last_seen_at and observations are null while it is open, and only then",
        f"update gold.price_history set last_seen_at = valid_from where valid_to is null and {ONE_LINE}",
    ),
    (
        "price_history: last_seen_at lies within the row",
        "update gold.price_history set last_seen_at = valid_to where valid_to is not null",
    ),
    (
        "price_history: prev_seen_at is before valid_from",
        f"update gold.price_history set prev_seen_at = valid_from where {ONE_LINE}",
    ),
    (
        "price_history: prev_seen_at is there where the series was there before",
        f"update gold.price_history set prev_seen_at = null where {ONE_LINE}",
    ),
    (
        "price_history: end_reason is open where the row is, changed or phase where the next row says so, else an absence",
        "update gold.price_history set end_reason = 'changed' where end_reason = 'book_absent'",
    ),
    (
        "price_history: an absence is that of an answer which asked for the book and market",
        "update gold.price_history set valid_to = valid_to + interval '1 second' where end_reason = 'book_absent'",
    ),
    (
        "price_history: price_decimal and implied_probability follow from the native price",
        f"update gold.price_history set price_decimal = 7 where {ONE_LINE}",
    ),
    (
        "price_history: line_point is null for h2h, the home handicap for spreads, else the point",
        f"update gold.price_history set line_point = 3 where {ONE_LINE}",
    ),
    (
        "price_history: it begins with a quote that shows it",
        f"update gold.price_history set outcome_name = 'X' where {ONE_LINE}",
    ),
    (
        "price_history: it was last seen in a quote",
        "update gold.price_history set last_seen_at = last_seen_at + interval '1 second' where valid_to is not null",
    ),
    (
        "price_history: phase_as_known is pre before the start that was known at valid_from, else in_play",
        f"update gold.price_history set phase_as_known = 'in_play' where {ONE_LINE}",
    ),
    ("price_history: its event is in events", "delete from gold.events"),
    (
        "price_history: every quote is in a row with its price and point",
        f"delete from gold.price_history where valid_to is null and {ONE_LINE}",
    ),
    # best_price
    (
        "best_price: line_id is the hash of the line and outcome",
        f"update gold.best_price set outcome_set = 'yes_no' where {BEST}",
    ),
    ("best_price: valid_from is before valid_to", f"update gold.best_price set valid_to = valid_from where {BEST}"),
    (
        "best_price: rows of a line do not overlap, and at most one is open",
        copy("gold.best_price", f"valid_to is null and {BEST}", valid_from="timestamptz '2025-10-09 12:25Z'"),
    ),
    (
        "best_price: the best price is above 1 and above the runner-up",
        f"update gold.best_price set runner_up_price_decimal = best_price_decimal where {BEST}",
    ),
    ("best_price: books are sorted and each stands once", f"update gold.best_price set books = books || books where {BEST}"),
    ("best_price: there is a book, and no fewer are counted", f"update gold.best_price set books = '{{}}' where {BEST}"),
    (
        "best_price: there is a runner-up where more books count than offer the best",
        f"update gold.best_price set book_count = cardinality(books) + 1, runner_up_price_decimal = null where {BEST}",
    ),
    ("best_price: outcome_set is a product", f"update gold.best_price set outcome_set = 'other' where {BEST}"),
    ("best_price: its event is in events", "delete from gold.events"),
    (
        "best_price: best_hold follows from the best prices of the line",
        "update gold.best_price set best_hold = best_hold + 0.01 where valid_to is null and outcome_name = 'Home'",
    ),
    ("best_price: every book has that price then", f"update gold.best_price set books = array['nobody'] where {BEST}"),
    # margins
    ("margins: set_id is the hash of the set", f"update gold.margins set set_no = 7 where {SET}"),
    (
        "margins: rows of a set do not overlap, and at most one is open",
        copy("gold.margins", f"valid_to is null and {SET}", valid_from="timestamptz '2025-10-09 12:25Z'"),
    ),
    ("margins: its event is in events", "delete from gold.events"),
    (
        "margins: every price that stands is in one set, with its probability",
        f"update gold.margins set implied_probabilities[1] = 0.123 where valid_to is null and {SET}",
    ),
    # consensus
    (
        "consensus: line_id is the hash of the line and outcome",
        f"update gold.consensus set outcome_set = 'yes_no' where {AGREED}",
    ),
    (
        "consensus: rows of a line do not overlap, and at most one is open",
        copy("gold.consensus", AGREED, valid_from="timestamptz '2025-10-09 12:25Z'"),
    ),
    ("consensus: its event is in events", "delete from gold.events"),
    ("consensus: the medians of a line sum to 1", "update gold.consensus set fair_median = 0.4"),
    (
        "consensus: the lowest and the highest are those of sets that stand",
        f"update gold.consensus set probability_min = 0.001 where {AGREED}",
    ),
)


@dataclass(frozen=True)
class Loaded:
    """A warehouse with three batches, the last one applied by itself, and the checks as dbt compiles them."""

    warehouse: Warehouse
    checks: dict[str, str]

    def broken_rules(self, session: psycopg.Connection[Any]) -> set[str]:
        """What the checks say now."""
        return {row[0] for query in self.checks.values() for row in session.execute(query.encode()).fetchall()}


@pytest.fixture(scope="module")
def loaded(module_market: Any) -> Loaded:
    """Answers of every kind, so that each rule has rows to look at."""
    _fill(module_market)
    project, warehouse = module_market.project, module_market.warehouse
    project.run("compile", ["--select", "tag:blocking"], warehouse.dbt_env(Role.TRANSFORMER))
    nodes = {node.name: node for node in project.manifest().nodes.values() if "blocking" in node.tags}
    assert set(nodes) == set(CHECKS)
    return Loaded(warehouse, {name: node.compiled_code for name, node in nodes.items()})


def _fill(market: Any) -> None:
    book = market.book

    def nfl(minute: float, price: float, start: float, second_book: bool = True) -> list[dict[str, Any]]:
        shown = [
            book("fanduel", {"h2h": [("Home", price), ("Away", 2.0)], "spreads": [("Home", 1.9, -3), ("Away", 1.9, 3)]}, minute)
        ]
        if second_book:
            shown.append(book("betmgm", {"h2h": [("Home", 1.7), ("Away", 2.1)]}, minute))
        return [market.game("e", start, shown)]

    def others(minute: float) -> list[Any]:
        outrights = [book("fanduel", {"outrights": [("Ann", 3.5), ("Ben", 3.5)]}, minute)]
        repeated = [("Over", 1.9, 210), ("Under", 1.9, 210), ("Over", 2.6, 216), ("Under", 1.45, 216)]
        score = {
            "completed": True,
            "scores": [{"name": "Home", "score": "21"}, {"name": "Away", "score": "7"}],
            "last_update": None,
        }
        offers = {
            "key": "fanduel",
            "title": "FanDuel",
            "markets": [{"key": "alternate_spreads", "last_update": "2025-10-09T11:00:00Z"}],
        }
        props = market.game("n", 600, [book("fanduel", {"totals": repeated})], sport=NBA)
        listing = {key: value for key, value in props.items() if key != "bookmakers"} | {"bookmakers": [offers]}
        catalogue = {
            "key": NBA,
            "group": "Basketball",
            "title": "NBA",
            "description": "",
            "active": True,
            "has_outrights": False,
        }
        person = {"id": "par_01hqmkq6fzfvyvrsb30jj85ade", "full_name": "Home"}
        return [
            market.odds(market.game("o", 600, outrights, sport=GOLF, home=None, away=None, has_outrights=True), sport=GOLF),
            market.event_odds(props, sport=NBA),
            market.Answer("event_markets", listing, sport=NBA, event_id=props["id"], books=("fanduel",)),
            market.events(market.game("e", 600, None)),
            market.scores(market.game("s", -200, None, **score)),
            market.Answer("sports", [catalogue], sport=None),
            market.Answer("participants", [person]),
        ]

    asked = {"books": ("betmgm", "fanduel"), "markets": ("h2h", "spreads")}
    market.load(0, market.odds(*nfl(0, 1.8, 600), market.game("w", 600, [], home="X", away="Y"), **asked), *others(0))
    market.load(10, market.odds(*nfl(10, 1.8, 600), market.game("w", 600, [], home="X", away="Y"), **asked), *others(10))
    market.publish()
    # a price and a start that move, a book and an event that go
    market.load(20, market.odds(*nfl(20, 1.85, 615, second_book=False), **asked), *others(20))
    market.publish()


@pytest.fixture
def session(loaded: Loaded) -> Iterator[psycopg.Connection[Any]]:
    """A session of the transformer whose changes are rolled back."""
    with loaded.warehouse.connect(Role.TRANSFORMER) as connection:
        yield connection
        connection.rollback()


def test_no_rule_speaks_against_sound_rows(loaded: Loaded, session: psycopg.Connection[Any]) -> None:
    assert loaded.broken_rules(session) == set()


@pytest.mark.parametrize(("rule", "statement"), BROKEN, ids=[rule for rule, _ in BROKEN])
def test_a_broken_row_breaks_its_rule(loaded: Loaded, session: psycopg.Connection[Any], rule: str, statement: str) -> None:
    changed = session.execute(statement.encode())
    assert changed.rowcount > 0, "nothing was broken"
    assert rule in loaded.broken_rules(session)


def test_every_rule_of_the_checks_is_broken_here(loaded: Loaded) -> None:
    rules = set()
    for name in CHECKS:
        text = resource(f"dbt/tests/blocking/{name}.sql").read_text(encoding="utf-8")
        for part in text.split("\nunion all\n"):
            block = part[part.rindex("\nselect") :]
            heading = re.search(r"select\s+(?:'(\w+: [^']*)')?( \|\| )?(rules\.rule)?", block)
            assert heading and (heading.group(1) or heading.group(3)), block
            found = re.findall(r"\n    \(\s*'((?:[^']|'')+)',", block) if heading.group(3) else [""]
            rules |= {(heading.group(1) or "") + rule.replace("''", "'") for rule in found}
    assert rules == {rule for rule, _ in BROKEN}


def test_a_failed_check_withholds_the_batch(market: Any) -> None:
    home = market.book("fanduel", {"h2h": [("Home", 1.8), ("Away", 2.0)]}, 0)
    market.load(0, market.odds(market.game("e", 600, [home])))
    market.publish()
    with market.warehouse.connect(Role.TRANSFORMER) as connection:
        # an open row that the next batch does not touch, as its scope is another book's
        connection.execute("update gold.best_price set runner_up_price_decimal = 9")
        connection.execute("update gold.price_history set prev_seen_at = valid_from")
    before = market.rows("select t::text from gold.price_history as t order by 1")

    batch = market.load(10, market.odds(market.game("e", 600, [home])))
    applied = apply_batches(market.warehouse, market.project, [batch], market.clock)

    assert not applied.published
    assert {check.name for check in applied.failed} >= {"gold_price_history"}
    assert market.rows("select t::text from gold.price_history as t order by 1") == before
