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
    # some lines were in play in between, and moved meanwhile
    phases: dict[tuple[str, str], list[str]] = {}
    for row in sorted(gold["gold.margins"].values(), key=lambda row: row["valid_from"]):
        phases.setdefault((row["bookmaker_key"], row["market_key"]), []).append(row["phase_as_known"])
    slipped = {line for line, told in phases.items() if "in_play" in told and "pre" in told[told.index("in_play") :]}
    moved = [row for row in gold["gold.moves"].values() if (row["bookmaker_key"], row["market_key"]) in slipped]
    assert slipped
    assert moved
