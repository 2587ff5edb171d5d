"""What is stored of events that have begun depends on the set of answers alone, whatever comes late, goes, and comes back."""

from __future__ import annotations

import datetime as dt
import json
import random
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import pytest

from pipeline.bronze.verdicts import retry
from pipeline.clock import UTC, to_iso
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity
from pipeline.transform.apply import rebuild
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay import wild
from tests.replay.admission import answers_of, decide, take_back
from tests.replay.support import HINDSIGHT, Databases, digests, take
from tests.replay.test_odd_answers import book as odd_book
from tests.replay.test_odd_answers import event, market, poll
from tests.replay.transcript import Transcript

START: Final = dt.datetime(2026, 1, 10, 15, tzinfo=UTC)
NBA, PRESEASON = "basketball_nba", "basketball_nba_preseason"
GAME, OTHER = "a" * 32, "b" * 32
BOOKS: Final = ("betmgm", "draftkings", "fanduel", "pinnacle")
MARKETS: Final = ("h2h", "spreads", "totals")
# game_lines has a row of each event from the beginning
STORED: Final = tuple(sorted(name.removeprefix("gold.") for name in HINDSIGHT if name != "gold.game_lines"))
COMING: Final = tuple(f"{name}_now" for name in STORED if name != "calibration_observations")
VIEWS: Final = (*COMING, "closing_coverage", "best_price_now", "game_lines_now", "book_twins")

Json = dict[str, Any]


def at(minute: float) -> dt.datetime:
    """Minutes after the start that is told first."""
    return START + dt.timedelta(minutes=minute)


def book(key: str, minute: float, total: float = 215.5, read: float | None = None) -> Json:
    """A book's three markets, of prices that differ by book and by minute."""
    shift = (BOOKS.index(key) + round(minute) % 7) / 100
    markets = {
        "h2h": [("Hawks", 1.85 + shift), ("Bulls", 1.95 - shift)],
        "spreads": [("Hawks", 1.9 + shift / 2, -2.5), ("Bulls", 1.9 - shift / 2, 2.5)],
        "totals": [("Over", 1.9 - shift / 2, total), ("Under", 1.9 + shift / 2, total)],
    }
    return {
        "key": key, "title": key.title(), "last_update": to_iso(at(minute if read is None else read)),
        "markets": [
            {"key": market, "outcomes": [dict(zip(("name", "price", "point"), each, strict=False)) for each in outcomes]}
            for market, outcomes in markets.items()
        ],
    }  # fmt: skip


def game(*books: Json, start: float = 0, sport: str = NBA, id: str = GAME, **more: Any) -> Json:
    teams = ("Hawks", "Bulls") if id == GAME else ("Heat", "Nets")
    return {
        "id": id, "sport_key": sport, "sport_title": sport, "commence_time": to_iso(at(start)),
        "home_team": teams[0], "away_team": teams[1], "bookmakers": list(books), **more,
    }  # fmt: skip


def answer(
    endpoint: str, minute: float, *events: Json, sport: str = NBA, books: Sequence[str] = BOOKS, plan: str = "one",
    window: float | None = None,
) -> Batch:  # fmt: skip
    """A batch of one answer about a sport; a window is a bound on the start from below."""
    asked = {"bookmakers": ",".join(books), "markets": ",".join(MARKETS), "oddsFormat": "decimal"} if endpoint == "odds" else {}
    if window is not None:
        asked["commenceTimeFrom"] = to_iso(at(window))
    coverage = Coverage(
        sport=sport,
        markets=MARKETS if endpoint == "odds" else (),
        books=tuple(books) if endpoint == "odds" else (),
        commence_from=None if window is None else at(window),
    )
    request = ApiRequest.of(endpoint, sport=sport, params=asked)
    identity = PlanIdentity({"kind": endpoint, "plan": plan})
    exchange = Exchange(0, 1, request, coverage, at(minute), 200, body=json.dumps(list(events)).encode())
    return Batch(identity.batch_id(at(minute)), at(minute), identity, "import", (exchange,))


def shown(minute: float, start: float = 0, keys: Sequence[str] = BOOKS, read: float | None = None, **more: Any) -> Batch:
    """A poll that shows the game, with its books as they are at that minute."""
    total = more.pop("total", 215.5)
    sport = more.get("sport", NBA)
    others = more.pop("others", ())
    return answer(
        "odds", minute, game(*(book(key, minute, total, read) for key in keys), start=start, sport=sport), *others, **more
    )


def coming(minute: float) -> Json:
    """Another game, ten hours later."""
    return game(*(book(key, minute, 218.5) for key in BOOKS), start=600, id=OTHER)


def score(minute: float, *points: int, completed: bool = True, start: float = 0) -> Batch:
    told = [{"name": name, "score": str(each)} for name, each in zip(("Hawks", "Bulls"), points, strict=False)]
    event = game(start=start, completed=completed, scores=told or None, last_update=None)
    del event["bookmakers"]
    return answer("scores", minute, event)


DAY: Final = 24 * 60
SCRIPTS: Final[dict[str, list[Batch]]] = {
    "polls up to the start and after it": [shown(-400), shown(-90), shown(-20), shown(-4), shown(3)],
    "what asked first": [answer("odds", -500), shown(-400), shown(-20), shown(3)],
    "what asked first, for one book": [answer("odds", -500, books=("pinnacle",)), shown(-400), shown(-20), shown(3)],
    "two that asked first, of one moment": [
        answer("odds", -500), answer("odds", -500, plan="two"), shown(-500, plan="three"), shown(-20), shown(3),
    ],
    "what asked first, for later games": [
        answer("odds", -500, window=30), answer("odds", -450, window=-30), shown(-20), shown(3),
    ],
    "an answer at the very start": [shown(-20), shown(-5), shown(0)],
    "reached by a list without odds": [shown(-400), shown(-20), answer("events", 2, game()), answer("events", 3)],
    "reached by another game's scores": [shown(-20), shown(-5), answer("scores", 1)],
    "a start that moves later after it was reached, and back": [
        shown(-300), shown(-10), shown(2), shown(5, 60), shown(50, 60), shown(55, 0), shown(61, 0),
    ],
    "a start that moves earlier": [shown(-200), shown(-65), shown(-50, -55), shown(-40, -55)],
    "a start that was never believed, then settled": [
        shown(-60), shown(-3), shown(10, -240), shown(100, -240), answer("odds", 140), answer("odds", 150),
    ],
    "a close that came after the start": [shown(-30), shown(-8), shown(2, read=-1), shown(4, read=-1), shown(6)],
    "a close that came after the start, from another poll": [
        shown(-30), shown(2, read=-1, plan="two"), shown(3),
        shown(2, keys=("pinnacle",), books=("pinnacle",), read=-2, plan="three"),
    ],
    "a final score that comes late, is corrected and taken back": [
        shown(-30), shown(-5), shown(3), score(30, 20, 18, completed=False), score(150, 100, 98), score(170, 100, 101),
        score(180, 100, 101, completed=False),
    ],
    "a score after the days in which one may come": [
        shown(-30), shown(-5), shown(3), answer("odds", 3 * DAY + 5), score(3 * DAY + 10, 100, 98),
    ],
    "no score in the days in which one may come": [shown(-30), shown(3), answer("odds", 3 * DAY), answer("odds", 3 * DAY + 1)],
    "a later game under the same id": [
        shown(-30), shown(3), score(150, 100, 98), score(160, 100, 98, start=DAY), shown(170, DAY), shown(DAY + 5, DAY),
    ],
    "lines in play": [
        shown(-30), shown(-5), score(150, 100, 98), shown(3, total=216), shown(5, total=217.5), shown(7, total=216),
        shown(9, total=219.5),
    ],
    "a book that comes in play": [
        shown(-30, keys=BOOKS[:3]), shown(-20), shown(-10, keys=BOOKS[:3]), shown(3, keys=BOOKS[:3]), shown(5), shown(7),
    ],
    "a sharp book that comes in play": [
        answer("odds", -90), shown(-30, keys=BOOKS[:3]), shown(-10, keys=BOOKS[:3]), shown(3, keys=BOOKS[:3]), shown(5),
        shown(7),
    ],
    "gone early while others play": [
        shown(-30), shown(-5), shown(5, others=(game(id=OTHER, start=-5),)),
        answer("odds", 20, game(id=OTHER, start=-5)), answer("odds", 240, game(id=OTHER, start=-5)), shown(250),
    ],
    "another sport's key from before the start on": [
        answer("odds", -500, sport=PRESEASON), shown(-300, sport=PRESEASON), answer("odds", -250), shown(-100), shown(-5),
        answer("odds", 1, sport=PRESEASON), shown(3),
    ],
    "another sport's key after the start": [
        answer("odds", -500), shown(-300, sport=PRESEASON), shown(-5, sport=PRESEASON), answer("odds", 2, sport=PRESEASON),
        shown(10), score(150, 100, 98),
    ],
    "a game to come beside one that is on, and a last answer that is fresh": [
        answer("odds", -500), *(shown(minute, others=(coming(minute),)) for minute in (-400, -90, -4, 3)),
    ],
    "withdrawn before the start, and back": [
        shown(-300), shown(-100), answer("odds", -90), shown(-20), answer("odds", -6), shown(3),
    ],
}  # fmt: skip


@pytest.mark.proof(cases=3)
@pytest.mark.parametrize("name", SCRIPTS)
def test_hindsight_is_that_of_the_set_of_answers(
    name: str, databases: Databases, project: Project, transcript: Transcript
) -> None:
    """In any order, and with each of the answers withdrawn and given back in turn."""
    batches = sorted(SCRIPTS[name], key=lambda batch: batch.batch_id)
    with transcript.on_small_markets():
        golden = seen_after(databases, project, batches, step=0)
        ways = {
            "one by one": (batches, 1), "by twos": (batches, 2), "reversed": (batches[::-1], 1),
            **{f"shuffled {seed}": (random.Random(seed).sample(batches, len(batches)), 1) for seed in range(3)},
        }  # fmt: skip
        for way, (order, step) in ways.items():
            assert_same(way, seen_after(databases, project, order, step=step), golden)
        with databases() as warehouse:
            take(warehouse, project, batches)
            for place, (batch, exchange) in enumerate(answers_of(batches, 1)):
                decide(warehouse, project, take_back, [(batch, exchange)])
                never = [wild.without(each, frozenset({exchange.place})) if each is batch else each for each in batches]
                assert_same(f"{place} withdrawn", seen(warehouse), seen_after(databases, project, never, step=0))
                decide(warehouse, project, retry, [(batch, exchange)])
                assert_same(f"{place} given back", seen(warehouse), golden)


def seen_after(databases: Databases, project: Project, batches: Sequence[Batch], *, step: int) -> dict[str, str]:
    with databases() as warehouse:
        take(warehouse, project, batches, step=step)
        return seen(warehouse)


def seen(warehouse: Warehouse) -> dict[str, str]:
    """The digests of all tables, which must be those of their rows, and what the views say that go with them."""
    found = digests(warehouse)
    with warehouse.connect(Role.READER) as reader:
        for view in VIEWS:
            rows = reader.execute(f"select cast(v as text) from gold.{view} as v order by 1".encode()).fetchall()
            found[view] = str(hash(tuple(rows)))
    return found


def assert_same(way: str, found: dict[str, str], golden: dict[str, str]) -> None:
    assert not (other := sorted(table for table in golden if found[table] != golden[table])), f"{way}: {other}"


# --- what stands where ----------------------------------------------------------------------------------------------------


def counted(warehouse: Warehouse) -> dict[str, int]:
    with warehouse.connect(Role.READER) as reader:
        found = {}
        for table in (*STORED, *COMING):
            [(found[table],)] = reader.execute(f"select count(*) from gold.{table}".encode()).fetchall()
    return found


def test_rows_come_as_the_start_is_reached_and_go_as_it_is_not(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = [shown(-300), shown(-20), shown(-4)]
    after = answer("odds", 2)
    with transcript.on_small_markets(), databases() as warehouse:
        take(warehouse, project, batches)
        coming = counted(warehouse)
        assert not any(coming[name] for name in STORED)
        assert all(coming[name] for name in COMING)
        take(warehouse, project, [after])
        begun = counted(warehouse)
        assert not any(begun[name] for name in COMING)
        assert all(begun[name] for name in STORED if name != "calibration_observations")
        decide(warehouse, project, take_back, answers_of([after], 1))
        assert counted(warehouse) == coming
        decide(warehouse, project, retry, answers_of([after], 1))
        assert counted(warehouse) == begun


def test_there_is_something_in_each_of_them(databases: Databases, project: Project, transcript: Transcript) -> None:
    """What the order of answers is proven not to tell is not nothing."""
    with transcript.on_small_markets(), databases() as warehouse, warehouse.connect(Role.READER) as reader:
        take(warehouse, project, SCRIPTS["a game to come beside one that is on, and a last answer that is fresh"], step=0)
        counts = {view: reader.execute(f"select count(*) from gold.{view}".encode()).fetchall()[0][0] for view in VIEWS}
        phases = reader.execute("select distinct phase from gold.best_price_now").fetchall()
    assert all(counts.values()), counts
    assert set(phases) == {("pre",), ("in_play",)}


def test_a_rebuild_has_the_same(prepared: Warehouse, project: Project, transcript: Transcript) -> None:
    with transcript.on_small_markets():
        take(prepared, project, SCRIPTS["lines in play"])
    before = seen(prepared)
    rebuild(prepared, project)
    assert seen(prepared) == before


def test_what_is_first_quoted_in_play_has_no_closing(databases: Databases, project: Project, transcript: Transcript) -> None:
    batches = [shown(-20, keys=BOOKS[:3]), shown(2, keys=BOOKS[:3]), shown(4)]
    with transcript.on_small_markets(), databases() as warehouse:
        take(warehouse, project, batches)
        with warehouse.connect(Role.READER) as reader:
            found = reader.execute("select distinct bookmaker_key from gold.closings order by 1").fetchall()
    assert [key for (key,) in found] == list(BOOKS[:3])


def test_a_sharp_book_that_comes_in_play_opens_no_market(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = SCRIPTS["a sharp book that comes in play"]
    with transcript.on_small_markets(), databases() as warehouse:
        take(warehouse, project, batches)
        with warehouse.connect(Role.READER) as reader:
            found = reader.execute("select h2h_opened_at, h2h_opening_basis from gold.game_lines").fetchall()
            markets = reader.execute("select distinct opening_basis, first_seen_at from gold.market_openings").fetchall()
    assert found == [(at(-30), "groups")]
    assert markets == [("groups", at(-30))]


def test_what_is_known_of_a_game_before_it_begins_is_in_game_lines_now(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    query = b"select h2h_opened_at, h2h_closing_probability_home is not null, h2h_close_status from gold."
    with transcript.on_small_markets(), databases() as warehouse, warehouse.connect(Role.READER) as reader:
        take(warehouse, project, [answer("odds", -40), shown(-30, keys=BOOKS[:3])])
        assert reader.execute(query + b"game_lines").fetchall() == [(None, False, "provisional")]
        assert reader.execute(query + b"game_lines_now").fetchall() == [(at(-30), True, "provisional")]
        reader.rollback()
        take(warehouse, project, [shown(2, keys=BOOKS[:3])])
        [(opened_at, _, close_status)] = reader.execute(query + b"game_lines").fetchall()
        assert (opened_at, close_status) == (at(-30), "aged")
        assert reader.execute(query + b"game_lines_now").fetchall() == []


def test_the_score_is_that_of_the_game_s_own_sides(databases: Databases, project: Project, transcript: Transcript) -> None:
    turned = game(
        completed=True, scores=[{"name": "Hawks", "score": "100"}, {"name": "Bulls", "score": "98"}], last_update=None
    )
    turned |= {"home_team": "Bulls", "away_team": "Hawks"}
    del turned["bookmakers"]
    batches = [shown(-20), shown(2), answer("scores", 150, turned), shown(160)]
    with transcript.on_small_markets(), databases() as warehouse:
        take(warehouse, project, batches)
        with warehouse.connect(Role.READER) as reader:
            found = reader.execute("select home_team, home_score, away_team, away_score from gold.game_lines").fetchall()
    assert found == [("Hawks", 100, "Bulls", 98)]


def test_of_a_line_that_a_book_shows_twice_the_first_is_the_best_price_now(
    databases: Databases, project: Project, transcript: Transcript
) -> None:
    twice = market("totals", ("Over", 1.9, 215.5), ("Under", 1.9, 215.5), ("Over", 2.0, 215.5), ("Under", 1.8, 215.5))
    with transcript.on_small_markets(), databases() as warehouse:
        take(warehouse, project, [poll(0, event(odd_book("fanduel", twice)))])
        with warehouse.connect(Role.READER) as reader:
            found = reader.execute("select price_decimal, bookmaker_keys, book_count from gold.best_price_now").fetchall()
    assert found == [(Decimal("1.9"), ["fanduel"], 1)] * 2
