"""Grades and returns, against cases that are worked out here by hand from the answers, and against the simulator's truth."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import to_iso
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.results import import_results
from pipeline.recording.store import Recording
from pipeline.warehouse.connect import Role

HALF = Decimal("0.5")


def finished(
    market: Any, name: str, *points: int, start: float = 60, teams: tuple[str, str] = ("Home", "Away"), **more: Any
) -> dict[str, Any]:
    """A game of the scores, completed; points and teams are the home side's and the away side's."""
    scores = [{"name": team, "score": str(score)} for team, score in zip(teams, points, strict=True)]
    facts = {"completed": True, "scores": scores, "last_update": None, **more}
    game: dict[str, Any] = market.game(name, start, None, home=teams[0], away=teams[1], **facts)
    return game


def grades(market: Any, where: str = "true") -> dict[tuple[Any, ...], str]:
    rows = market.rows(f"select market_key, line_point, outcome_name, grade from gold.outcome_grades where {where}")
    return {(key, None if point is None else float(point), name): grade for key, point, name, grade in rows}


def test_a_game_is_graded_line_by_line(market: Any) -> None:
    book = market.book(
        "fanduel",
        {
            "h2h": [("Home", 1.8), ("Away", 2.1)],
            "spreads": [("Home", 1.9, -4), ("Away", 1.9, 4)],
            "alternate_spreads": [("Home", 1.8, -3.5), ("Away", 2.0, 3.5), ("Away", 1.5, 6.5)],
            "totals": [("Over", 1.9, 43.5), ("Under", 1.9, 43.5)],
        },
        0,
    )
    # the scores have the sides the other way round
    answer = finished(market, "e", 20, 24, teams=("Away", "Home"))
    market.load(0, market.odds(market.game("e", 60, [book])))
    market.load(300, market.scores(answer))
    market.publish()

    assert grades(market) == {
        ("h2h", None, "Home"): "win",
        ("h2h", None, "Away"): "loss",
        # 24 - 20 - 4 is nothing
        ("spreads", -4.0, "Home"): "push",
        ("spreads", -4.0, "Away"): "push",
        ("alternate_spreads", -3.5, "Home"): "win",
        ("alternate_spreads", -3.5, "Away"): "loss",
        ("alternate_spreads", -6.5, "Away"): "win",
        ("totals", 43.5, "Over"): "win",
        ("totals", 43.5, "Under"): "loss",
    }


def test_a_unit_at_the_closing_price_comes_back_as_graded(market: Any) -> None:
    early = market.book("fanduel", {"totals": [("Over", 1.8, 2.5), ("Under", 2.0, 2.5)]}, 0)
    late = market.book("fanduel", {"totals": [("Over", 2.0, 2.75), ("Under", 1.85, 2.75)]}, 50)
    sport = {"sport": "soccer_epl"}
    market.load(0, market.odds(market.game("e", 60, [early], **sport), **sport))
    market.load(50, market.odds(market.game("e", 60, [late], **sport), **sport))
    market.load(170, market.scores(finished(market, "e", 2, 1, **sport), **sport))
    market.publish()

    found = market.rows(
        "select outcome_name, line_point, close_status, grade, return_multiple from gold.closing_returns order by 1"
    )

    # three goals: half of the stake on 2.5 won, half on 3 refunded; the other side loses half
    assert found == [
        ("Over", Decimal("2.750"), "ok", "half_win", (Decimal(2) + 1) / 2),
        ("Under", Decimal("2.750"), "ok", "half_loss", HALF),
    ]
    # what no longer stood at the close is graded too
    assert grades(market, "line_point = 2.5") == {("totals", 2.5, "Over"): "win", ("totals", 2.5, "Under"): "loss"}


MLS = {"sport": "soccer_usa_mls"}
THREE_WAY = [("Home", 2.5), ("Draw", 3.2), ("Away", 2.9)]


def test_a_match_that_went_on_is_left_to_an_override(market: Any) -> None:
    override(market, "known", home_score=1, away_score=1, reason="after 90 minutes")
    book = market.book("fanduel", {"h2h": THREE_WAY}, 50)
    names = ("e", "known")

    def told(*points: int, **more: Any) -> Any:
        return market.scores(*(finished(market, name, *points, **more, **MLS) for name in names), **MLS)

    market.load(50, market.odds(*(market.game(name, 60, [book], **MLS) for name in names), **MLS))
    # level after 90 minutes and called completed; 131 minutes after the start it still goes on
    market.load(170, told(1, 1))
    market.load(191, told(1, 1, completed=False))
    market.load(220, told(2, 1))
    market.publish()

    left = f"event_id = '{market.id_of('e')}'"
    assert set(market.rows(f"select distinct grade, grade_reason from gold.outcome_grades where {left}")) == {
        ("unresolved", "extra_time_possible")
    }
    assert market.rows(f"select count(*) from gold.closing_returns where {left}") == [(0,)]

    assert grades(market, f"not {left}") == {
        ("h2h", None, "Home"): "loss",
        ("h2h", None, "Draw"): "win",
        ("h2h", None, "Away"): "loss",
    }
    # 3.2 for the draw, nothing for the others
    assert market.rows("select sum(return_multiple) from gold.closing_returns") == [(Decimal("3.2"),)]


@pytest.mark.parametrize(
    ("sport", "minute", "reason"),
    [
        ("soccer_usa_mls", 60 + 130, "final_score"),
        ("soccer_usa_mls", 60 + 131, "extra_time_possible"),
        ("soccer_efl_champ", 24 * 60, "extra_time_possible"),
        ("soccer_germany_bundesliga", 24 * 60, "extra_time_possible"),
        ("soccer_fifa_world_cup_qualifiers_europe", 24 * 60, "extra_time_possible"),
        ("soccer_uefa_euro_qualification", 24 * 60, "extra_time_possible"),
        ("soccer_new_competition", 24 * 60, "extra_time_possible"),
        ("soccer_fa_cup", 60 + 110, "final_score"),
        ("soccer_epl", 24 * 60, "final_score"),
        ("soccer_italy_serie_b", 24 * 60, "extra_time_possible"),
    ],
)
def test_soccer_is_graded_where_something_shows_that_it_ended_in_90_minutes(
    market: Any, sport: str, minute: int, reason: str
) -> None:
    """Three goals to two, which may have been two each; that nobody saw extra time shows nothing."""
    book = market.book("fanduel", {"h2h": THREE_WAY, "totals": [("Over", 1.9, 2.5), ("Under", 1.9, 2.5)]}, 0)
    market.load(0, market.odds(market.game("e", 60, [book], sport=sport), sport=sport))
    market.load(minute, market.scores(finished(market, "e", 3, 2, sport=sport), sport=sport))
    market.publish()

    expected = {"unresolved"} if reason != "final_score" else {"win", "loss"}
    assert set(grades(market).values()) == expected
    assert market.rows("select distinct grade_reason from gold.outcome_grades") == [(reason,)]


def test_a_final_score_that_is_taken_back_is_graded(market: Any) -> None:
    book = market.book("fanduel", {"h2h": [("Home", 1.8), ("Away", 2.1)]}, 0)
    market.load(0, market.odds(market.game("e", 60, [book])))
    market.load(240, market.scores(finished(market, "e", 71, 68)))
    market.load(24 * 60, market.scores(market.game("e", 60, None, completed=False, scores=None, last_update=None)))
    market.publish()

    assert grades(market) == {("h2h", None, "Home"): "win", ("h2h", None, "Away"): "loss"}
    assert market.rows("select problem from gold.results") == [("final_taken_back",)]
    assert market.rows("select status from gold.events") == [("completed",)]


def test_two_games_under_one_id_are_left_to_an_override(market: Any) -> None:
    mlb = {"sport": "baseball_mlb"}
    names = ("e", "known")
    override(market, "known", home_score=5, away_score=1, reason="the first game")
    first = market.book("fanduel", {"h2h": [("Home", 1.5), ("Away", 2.7)]}, 0)
    market.load(0, market.odds(*(market.game(name, 60, [first], **mlb) for name in names), **mlb))
    market.load(235, market.scores(*(finished(market, name, 5, 1, **mlb) for name in names), **mlb))
    market.publish()
    left = f"event_id = '{market.id_of('e')}'"
    assert grades(market, left) == {("h2h", None, "Home"): "win", ("h2h", None, "Away"): "loss"}

    # the evening's game: the same teams, the same id
    second = market.book("fanduel", {"h2h": [("Home", 2.1), ("Away", 1.8)]}, 240)
    market.load(240, market.odds(*(market.game(name, 270, [second], **mlb) for name in names), **mlb))
    told = (finished(market, name, 0, 1, start=270, completed=False, **mlb) for name in names)
    market.load(300, market.scores(*told, **mlb))
    market.publish()
    assert set(market.rows(f"select distinct grade, grade_reason from gold.outcome_grades where {left}")) == {
        ("unresolved", "one_id_two_games")
    }
    assert grades(market, f"not {left}") == {("h2h", None, "Home"): "win", ("h2h", None, "Away"): "loss"}


def override(market: Any, name: str, **facts: Any) -> None:
    with market.warehouse.connect(Role.TRANSFORMER) as connection:
        columns = ", ".join(facts)
        places = ", ".join(["%s"] * len(facts))
        connection.execute(
            f"insert into silver.result_override (event_id, {columns}) values (%s, {places})".encode(),
            [market.id_of(name), *facts.values()],
        )


def test_an_override_needs_no_score(market: Any) -> None:
    override(market, "bout", winner="away", reason="split decision")
    override(market, "contest", winner="void", reason="no contest")
    mma = {"sport": "mma_mixed_martial_arts"}
    book = market.book("fanduel", {"h2h": [("Home", 1.8), ("Away", 2.1)]}, 0)
    for name in ("bout", "contest"):
        market.load(0, market.odds(market.game(name, 60, [book], **mma), **mma), plan=name)
    market.publish()

    query = "select event_id, outcome_name, grade, override_reason from gold.outcome_grades"
    # decided before it begins
    assert market.rows(query) == []
    foretold = set(market.rows(query + "_now"))
    market.load(60, market.odds(**mma))
    market.publish()
    assert market.rows(query + "_now") == []
    found = market.rows(query)
    bout, contest = market.id_of("bout"), market.id_of("contest")
    assert (
        set(found)
        == foretold
        == {
            (bout, "Home", "loss", "split decision"),
            (bout, "Away", "win", "split decision"),
            (contest, "Home", "void", "no contest"),
            (contest, "Away", "void", "no contest"),
        }
    )


def test_what_was_never_called_completed_is_unresolved_and_not_void(market: Any) -> None:
    book = market.book("fanduel", {"h2h": [("Home", 1.8), ("Away", 2.1)]}, 0)
    market.load(0, market.odds(market.game("e", 60, [book])))
    three_days = 60 + 3 * 24 * 60
    market.load(three_days, market.odds())
    market.publish()
    reasons = "select distinct grade, grade_reason from gold.outcome_grades"
    assert market.rows(reasons) == [("unresolved", "not_completed")]

    # another sport's answer tells nothing of it, one of its own does
    market.load(three_days + 5, market.odds(sport="basketball_nba"))
    market.publish()
    assert market.rows(reasons) == [("unresolved", "not_completed")]
    market.load(three_days + 6, market.odds())
    market.publish()
    assert market.rows(reasons) == [("unresolved", "never_completed")]


# --- from CSV to grades ----------------------------------------------------------------------------------------------


def compiled(market: Any, name: str) -> str:
    """An analysis as dbt compiles it."""
    [found] = market.project.invoke("compile", ["--select", name], market.warehouse.dbt_env(Role.TRANSFORMER))
    assert found.sql, found.message
    return str(found.sql)


def test_what_is_unresolved_is_filled_in_and_imported(market: Any, tmp_path: Path) -> None:
    book = market.book("fanduel", {"h2h": [("Home", 1.8), ("Away", 2.1)]}, 0)
    market.load(0, market.odds(market.game("e", 60, [book])))
    market.load(60 * 24 * 5, market.odds())
    market.publish()

    [row] = market.rows(compiled(market, "unresolved_games"))
    assert row[-1] == "h2h: never_completed"
    columns = ["event_id", "sport_key", "sport_title", "commence_time", "home_team", "away_team"]
    table = tmp_path / "results.csv"
    with table.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([[*columns, "home_score", "away_score", "reasons"], (*row[:6], 14, 27, row[8])])
    before = market.rows("select * from gold.events"), market.rows("select * from gold.sports")
    # known the day after the game, long before the newest answer
    import_results([table], tmp_path / "recording", captured_at=to_iso(market.at(60 * 24)))
    for batch in Recording.open(tmp_path / "recording").batches():
        with market.warehouse.connect(Role.INGESTER) as connection:
            loaded = load_batch(connection, batch, market.clock)
        assert (loaded.quarantined, loaded.batch_id) == (0, batch.batch_id)
        market.waiting.append(batch.batch_id)
    market.publish()

    assert grades(market) == {("h2h", None, "Home"): "loss", ("h2h", None, "Away"): "win"}
    assert market.rows(compiled(market, "unresolved_games")) == []
    [(event_id, status)] = market.rows("select event_id, status from gold.events")
    assert (event_id, status) == (market.id_of("e"), "completed")
    # the score tells who won, and nothing else about the event changes
    at = [
        name
        for (name,) in market.rows(
            "select column_name from information_schema.columns where table_name = 'events' and"
            " table_schema = 'gold' order by ordinal_position"
        )
    ].index("status")
    after = market.rows("select * from gold.events"), market.rows("select * from gold.sports")
    assert [row[:at] + row[at + 1 :] for row in after[0]] == [row[:at] + row[at + 1 :] for row in before[0]]
    assert after[1] == before[1]


# --- the simulator's truth -------------------------------------------------------------------------------------------

BOOKS = ("betmgm", "draftkings", "fanduel", "pinnacle")
EVENING = dt.datetime(2025, 1, 10, 22, 0, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def season(module_market: Any) -> Iterator[tuple[Any, dict[str, dict[str, Any]]]]:
    """Five evenings of simulated basketball with odds, and the scores of the next noon; also the scores as they came."""
    market, world = module_market, SimulatedMarket(seed=11)
    truth: dict[str, dict[str, Any]] = {}
    for day in range(5):
        evening = EVENING + dt.timedelta(days=day)
        for at, endpoint, params in (
            (evening, "odds", {"bookmakers": ",".join(BOOKS), "markets": "h2h,spreads,totals", "oddsFormat": "american"}),
            (evening + dt.timedelta(hours=14), "scores", {"daysFrom": "1"}),
        ):
            body = world.answer(ApiRequest.of(endpoint, sport="basketball_nba", params=params), at).body
            answer = market.Answer(
                endpoint,
                json.loads(body),
                sport="basketball_nba",
                markets=("h2h", "spreads", "totals") if endpoint == "odds" else (),
                books=BOOKS if endpoint == "odds" else (),
                odds_format="american",
            )
            market.load((at - market.at(0)).total_seconds() / 60, answer)
            if endpoint == "scores":
                truth.update({game["id"]: game for game in answer.document if game["completed"]})
    market.publish()
    yield market, truth


def worth(key: str, name: str, point: float | None, game: dict[str, Any]) -> float:
    """How much more than nothing a bet wins by, from the scores as they came: who has more, with the handicap, or in total."""
    score = {each["name"]: float(each["score"]) for each in game["scores"]}
    if key == "totals":
        assert point is not None
        return (sum(score.values()) - point) * (1 if name == "Over" else -1)
    [rival] = set(score) - {name}
    return score[name] + (point or 0) - score[rival]


def test_grades_of_the_simulated_season_are_its_truth(season: Any) -> None:
    market, truth = season
    rows = market.rows(
        "select distinct g.event_id, g.market_key, g.outcome_name, h.point, g.grade from gold.outcome_grades as g"
        " join gold.price_history as h using (event_id, market_key, outcome_name)"
        " where h.line_point is not distinct from g.line_point"
    )
    assert len(truth) > 30
    graded = {row[0] for row in rows if row[4] != "unresolved"}
    assert graded == truth.keys() & {row[0] for row in rows}
    assert len(graded) > 25
    for event_id, key, name, point, grade in rows:
        if event_id in truth:
            value = worth(key, name, None if point is None else float(point), truth[event_id])
            assert grade == ("win" if value > 0 else "push" if value == 0 else "loss"), (event_id, key, name, point)


def test_the_sides_of_a_line_are_settled_against_each_other(season: Any) -> None:
    market, _ = season
    found = market.rows(
        "select sum(won_share) + sum(refunded_share) / 2, count(*) from gold.outcome_grades where grade <> 'unresolved'"
        " group by event_id, market_key, line_point having count(*) = 2"
    )
    assert len(found) > 100
    # a stake on each side: one is won, or both come back
    assert {total for total, _ in found} == {Decimal(1)}
