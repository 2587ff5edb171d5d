"""A real start that slips at the last moment: moves across the short time in play are moves, in every order of the answers."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Project
from tests.replay.model import Gold
from tests.replay.support import Databases, assert_model_agrees, digests, import_folder, read_gold, take
from tests.replay.transcript import Transcript


def test_moves_over_a_start_that_slips(
    cases_dir: Path, tmp_path: Path, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = import_folder(cases_dir / "52-start-slips-again" / "in", tmp_path)
    model = Gold(batches)
    found = set()
    with transcript.instead_of_dbt():
        for order in (batches, batches[::-1]):
            with databases() as warehouse:
                take(warehouse, project, order)
                assert_model_agrees(warehouse, model)
                found.add(digests(warehouse)["gold.moves"])
                gold = read_gold(warehouse)
    assert len(found) == 1
    # two moves before the start slips, and all that compare over the short time in which it seemed to be reached
    in_play = [row for row in gold["gold.margins"].values() if row["phase_as_known"] == "in_play"]
    assert in_play
    moves = list(gold["gold.moves"].values())
    across = [
        move
        for move in moves
        if any(
            (row["bookmaker_key"], row["market_key"]) == (move["bookmaker_key"], move["market_key"])
            and move["prev_seen_at"] < row["valid_from"] < move["changed_at"]
            for row in in_play
        )
    ]
    assert (len(moves), len(across)) == (25, 23)
    assert len({move["bookmaker_key"] for move in across}) == 9
