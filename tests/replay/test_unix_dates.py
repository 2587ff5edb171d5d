"""Times in seconds since 1970 (``dateFormat=unix``) are the same times: they are admitted, and gold is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.bronze.batch_load import is_answer
from pipeline.contracts.judgement import judge
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.store import Recording
from pipeline.warehouse.connect import Role
from tests.conftest import Project
from tests.replay import wild
from tests.replay.model import Gold
from tests.replay.support import Databases, assert_model_agrees, digests, take
from tests.replay.transcript import Transcript

SEEDS = (4, 31)


@pytest.mark.parametrize("seed", SEEDS)
def test_gold_is_the_same_in_both_date_formats(
    seed: int, databases: Databases, project: Project, transcript: Transcript
) -> None:
    iso = wild.market_of(seed)
    unix = [wild.with_unix_dates(batch) for batch in iso]
    verdicts = [[judge(e).verdict for batch in batches for e in batch.exchanges if is_answer(e)] for batches in (iso, unix)]
    assert verdicts[0] == verdicts[1] and "quarantined" not in verdicts[0]
    # some of one format, some of the other, in whatever order
    mixed = [pair[place % 2] for place, pair in enumerate(zip(iso, unix, strict=True))]
    found = []
    with transcript.instead_of_dbt():
        for batches in (iso, unix, mixed[::-1]):
            with databases() as warehouse:
                take(warehouse, project, batches)
                assert_model_agrees(warehouse, Gold(batches))
                found.append(digests(warehouse))
    assert found[0] == found[1] == found[2]


def test_saved_answers_with_unix_dates_are_imported_and_admitted(
    tmp_path: Path, databases: Databases, project: Project, transcript: Transcript
) -> None:
    event = {
        "id": "8" * 32, "sport_key": "americanfootball_cfl", "sport_title": "CFL", "commence_time": 1768154400,
        "home_team": "Harbor Foxes", "away_team": "Mesa Rockets",
        "bookmakers": [{"key": "draftkings", "title": "DraftKings", "last_update": 1768068000, "markets": [
            {"key": "h2h", "last_update": 1768068000,
             "outcomes": [{"name": "Harbor Foxes", "price": -120}, {"name": "Mesa Rockets", "price": 100}]},
        ]}],
    }  # fmt: skip
    folder = tmp_path / "in" / "odds"
    folder.mkdir(parents=True)
    (folder / "20260110T180000Z.json").write_text(json.dumps([event]))
    import_recording(tmp_path / "in", tmp_path / "out", ImportOptions())
    batches = list(Recording.open(tmp_path / "out").batches())
    with transcript.instead_of_dbt(), databases() as warehouse:
        take(warehouse, project, batches)
        assert_model_agrees(warehouse, Gold(batches))
        with warehouse.connect(Role.READER) as connection:
            starts = connection.execute("select to_char(start_at, 'YYYY-MM-DD HH24:MI') from gold.events").fetchall()
            assert starts == [("2026-01-11 18:00",)]
            assert connection.execute("select count(*) from silver.quotes").fetchone() == (2,)
