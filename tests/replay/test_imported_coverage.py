"""What an import takes for asked decides what gold takes for gone: a false gap never, whatever people save."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.recording.importer import ImportOptions, ImportReport, import_recording
from pipeline.recording.store import Recording
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.support import take

SPORT = "basketball_nba"
GAME, LATER = "a" * 32, "b" * 32


def quotes(key: str, *markets: tuple[str, float, float]) -> dict[str, Any]:
    def outcomes(market: str, first: float, second: float) -> list[dict[str, Any]]:
        if market == "totals":
            return [{"name": "Over", "price": first, "point": 210.5}, {"name": "Under", "price": second, "point": 210.5}]
        return [{"name": "Hawks", "price": first}, {"name": "Bulls", "price": second}]

    found = [{"key": market, "outcomes": outcomes(market, *prices)} for market, *prices in markets]
    return {"key": key, "title": key, "last_update": "2026-01-10T17:00:00Z", "markets": found}


def game(
    *books: dict[str, Any], event_id: str = GAME, start: str = "2026-01-10T23:00:00Z", sport: str = SPORT
) -> dict[str, Any]:
    return {
        "id": event_id, "sport_key": sport, "sport_title": "a sport", "commence_time": start,
        "home_team": "Hawks", "away_team": "Bulls", "bookmakers": list(books),
    }  # fmt: skip


def imported(
    folder: Path, files: dict[str, Any], warehouse: Warehouse, project: Project, **options: Any
) -> tuple[ImportReport, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """The report; rows of price_history (book, market, outcome, price, from, end); rows of listing (event, until)."""
    for name, document in files.items():
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document))
    report = import_recording(folder / "in", folder / "out", ImportOptions.parse(**options))
    take(warehouse, project, list(Recording.open(folder / "out").batches()))
    with warehouse.connect(Role.READER) as reader:
        history = reader.execute(
            "select bookmaker_key, market_key, outcome_name, price_decimal, valid_from, end_reason from gold.price_history"
            " order by event_id, bookmaker_key, market_key, outcome_name, valid_from"
        ).fetchall()
        listed = reader.execute("select event_id, valid_to from gold.event_listing_intervals order by 1, valid_from").fetchall()
    return report, history, listed


def ends(history: list[tuple[Any, ...]]) -> set[str]:
    return {row[-1] for row in history}


def test_a_file_per_market_makes_no_gap(tmp_path: Path, prepared: Warehouse, project: Project) -> None:
    files: dict[str, Any] = {}
    for minute, moved in ((0, 1.91), (10, 1.91), (20, 1.83)):
        books = ("fanduel", "draftkings")
        files[f"h2h_20260110T18{minute:02}00Z.json"] = [game(*(quotes(book, ("h2h", moved, 1.99)) for book in books))]
        files[f"totals_20260110T18{minute:02}02Z.json"] = [game(*(quotes(book, ("totals", 1.9, 1.9)) for book in books))]
    report, history, listed = imported(tmp_path, files, prepared, project, endpoints=["odds"])
    assert len(history) == 10
    assert ends(history) == {"open", "changed"}
    assert listed == [(GAME, None)]
    (guess,) = report.guessed
    assert [(family.name, family.files, family.markets) for family in guess.families] == [
        ("h2h_<time>.json", 3, ("h2h",)), ("totals_<time>.json", 3, ("totals",)),
    ]  # fmt: skip


def test_an_event_that_one_of_two_names_lacks_is_not_gone(tmp_path: Path, prepared: Warehouse, project: Project) -> None:
    files = {
        "odds/us_20260110T180000Z.json": [game(quotes("fanduel", ("h2h", 1.9, 1.9))), game(event_id=LATER)],
        "odds/eu_20260110T180002Z.json": [game(quotes("pinnacle", ("h2h", 1.9, 1.9)))],
        "odds/us_20260110T181000Z.json": [game(quotes("fanduel", ("h2h", 1.9, 1.9)))],
        "odds/eu_20260110T181002Z.json": [game(quotes("pinnacle", ("h2h", 1.9, 1.9)))],
    }
    report, history, listed = imported(tmp_path, files, prepared, project)
    assert (ends(history), listed) == ({"open"}, [(GAME, None), (LATER, None)])
    assert report.guessed


def test_what_one_name_shows_and_then_lacks_is_gone(tmp_path: Path, prepared: Warehouse, project: Project) -> None:
    """The rule finds real gaps still: of an event, a book and a market."""
    both = quotes("fanduel", ("h2h", 1.9, 1.9), ("totals", 1.9, 1.9))
    files = {
        "odds/20260110T180000Z.json": [game(both, quotes("pinnacle", ("h2h", 1.9, 1.9))), game(both, event_id=LATER)],
        "odds/20260110T181000Z.json": [game(quotes("fanduel", ("h2h", 1.9, 1.9)))],
    }
    report, history, listed = imported(tmp_path, files, prepared, project)
    assert report.guessed == ()
    assert sorted(row[-1] for row in history) == [
        *["book_absent"] * 2, *["event_absent"] * 4, *["market_absent"] * 2, *["open"] * 2,
    ]  # fmt: skip
    assert listed[1] == (LATER, dt.datetime(2026, 1, 10, 18, 10, tzinfo=dt.UTC))


def test_a_poll_of_upcoming_that_shows_one_sport_makes_no_gap(tmp_path: Path, prepared: Warehouse, project: Project) -> None:
    hockey = game(quotes("fanduel", ("h2h", 1.9, 1.9)), event_id=LATER, sport="icehockey_nhl")
    other = game(quotes("fanduel", ("h2h", 1.9, 1.9)), event_id="c" * 32)
    files = {
        "odds/20260110T180000Z.json": [game(quotes("fanduel", ("h2h", 1.9, 1.9))), hockey],
        "odds/20260110T181000Z.json": [other],
    }
    report, history, listed = imported(tmp_path, files, prepared, project)
    assert ends(history) == {"open"}
    assert {until for _, until in listed} == {None}
    assert [(guess.sport, "several sports" in guess.why) for guess in report.guessed] == [("upcoming", True)]


@pytest.mark.parametrize(
    ("asked", "is_listed"),
    [
        ("window: {to: 2026-01-10T23:59:59Z}", True),
        (f"events: [{GAME}]", True),
        ("sport: upcoming", True),
        ("window: {to: 2026-01-14T00:00:00Z}", False),
        ("markets: h2h", False),
    ],
)
def test_what_was_asked_for_can_be_declared(
    asked: str, is_listed: bool, tmp_path: Path, prepared: Warehouse, project: Project
) -> None:
    today = game(quotes("fanduel", ("h2h", 1.9, 1.9)))
    files = {
        "odds/20260110T120000Z.json": [
            today, game(quotes("fanduel", ("h2h", 1.9, 1.9)), event_id=LATER, start="2026-01-13T19:00:00Z"),
        ],
        "odds/20260110T180000Z.json": [today],
    }  # fmt: skip
    (tmp_path / "asked.yml").write_text(f'- files: "20260110T18*.json"\n  {asked}\n')
    report, history, listed = imported(tmp_path, files, prepared, project, asked=tmp_path / "asked.yml")
    assert dict(listed)[GAME] is None
    assert (dict(listed)[LATER] is None) == is_listed
    assert ("event_absent" in ends(history)) != is_listed
    assert report.guessed == ()


def test_formats_are_told_per_file(tmp_path: Path, prepared: Warehouse, project: Project) -> None:
    files = {
        "odds/20260110T180000Z.json": [game(quotes("fanduel", ("h2h", 1.01, 151.0)))],
        "odds/20260110T181000Z.json": [game(quotes("fanduel", ("h2h", -10000, 15000)))],
    }
    report, history, _ = imported(tmp_path, files, prepared, project)
    assert [(row[2], float(row[3]), row[-1]) for row in history] == [("Bulls", 151.0, "open"), ("Hawks", 1.01, "open")]
    assert report.odds_formats == {f"odds {SPORT}": {"american": 1, "decimal": 1}}
