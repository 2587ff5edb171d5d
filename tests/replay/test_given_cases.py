"""Small inputs that were once got wrong: what must come out of each, and the model agrees."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.warehouse.connect import Role
from tests.conftest import Project
from tests.replay.hindsight_model import Hindsight
from tests.replay.model import Gold
from tests.replay.support import Databases, assert_model_agrees, import_folder, take
from tests.replay.transcript import Transcript

GRADES: Final = (
    "select event.sport_key, grade.market_key, grade.outcome_name, grade.grade, grade.grade_reason"
    " from gold.outcome_grades as grade join gold.events as event on event.event_id = grade.event_id order by 1, 2, 3"
)


@dataclass(frozen=True)
class Case:
    """What queries must find; and the grades of what was quoted, as (sport, market, outcome, grade, reason)."""

    answers: dict[str, list[Any]]
    grades: list[tuple[str, str, str, str, str]]


CASES: Final = {
    # the entry that was read earlier, and is superseded in the same answer, is nobody's price
    "06-book-twice": Case(
        {
            "select outcome_name, best_price_decimal, books from gold.best_price order by 1": [
                ("Harbor Foxes", Decimal("1.83"), ["draftkings"]),
                ("Mesa Rockets", Decimal("2.05"), ["betonlineag"]),
            ],
            "select price_decimal, is_usable, reason from gold.current_odds where bookmaker_key = 'betonlineag' order by 1": [
                (Decimal("1.80"), True, None),
                (Decimal("1.90"), False, "superseded"),
                (Decimal("1.95"), False, "superseded"),
                (Decimal("2.05"), True, None),
            ],
        },
        [],
    ),
    # four books that all move are one desk, and no market
    "08-skins-of-one-desk": Case(
        {
            "select distinct group_count, fair_median from gold.consensus": [(1, None)],
            "select distinct operator_group, count(distinct bookmaker_key) from gold.moves group by 1": [("hard_rock", 4)],
            "select * from gold.steam": [],
        },
        [],
    ),
    "12-one-id-two-games": Case(
        {
            "select completed, problem from gold.results": [(True, "one_id_two_games")],
            "select home_score, away_score from gold.game_lines": [(None, None)],
        },
        [
            ("baseball_mlb", "h2h", "Harbor Foxes", "unresolved", "one_id_two_games"),
            ("baseball_mlb", "h2h", "Mesa Rockets", "unresolved", "one_id_two_games"),
        ],
    ),
    # 3:2 the day after tells nothing of the ninetieth minute
    "16-play-off-after-extra-time": Case(
        {"select distinct completed, home_score, away_score from gold.results": [(True, 3, 2)]},
        [
            (sport, market, name, "unresolved", "extra_time_possible")
            for sport in ("soccer_efl_champ", "soccer_fifa_world_cup_qualifiers_europe", "soccer_usa_mls")
            for market, names in (("h2h", ("Draw", "Harbor Foxes", "Mesa Rockets")), ("totals", ("Over", "Under")))
            for name in names
        ],
    ),
    "30-finished-then-not": Case(
        {"select completed, home_score, away_score, problem from gold.results": [(True, 71, 68, "final_taken_back")]},
        [
            ("basketball_ncaab", "h2h", "Harbor Foxes", "win", "final_score"),
            ("basketball_ncaab", "h2h", "Mesa Rockets", "loss", "final_score"),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_must_come_out(
    name: str, cases_dir: Path, tmp_path: Path, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = import_folder(cases_dir / name / "in", tmp_path)
    model = Gold(batches)
    hindsight = Hindsight(model)
    expected = CASES[name]
    with transcript.instead_of_dbt():
        # what came first is not told by the order of taking
        for order in (batches, batches[::-1]):
            with databases() as warehouse:
                take(warehouse, project, order)
                assert_model_agrees(warehouse, model)
                with warehouse.connect(Role.READER) as reader:
                    for query, rows in expected.answers.items():
                        assert reader.execute(query.encode()).fetchall() == rows, query
                    assert reader.execute(GRADES.encode()).fetchall() == expected.grades
    graded = [
        (row["sport_key"], key[1], key[5], row["grade"], row["grade_reason"]) for key, row in hindsight.outcome_grades().items()
    ]
    assert sorted(graded) == expected.grades
