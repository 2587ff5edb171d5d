"""Starts that are settled, and games that were not played: the model agrees, and the order of answers tells nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.recording.model import Batch
from pipeline.warehouse.connect import Role
from tests.conftest import Project
from tests.replay.closing_model import Closings
from tests.replay.model import Gold
from tests.replay.orders import prove
from tests.replay.support import Databases, assert_model_agrees, import_folder, take
from tests.replay.test_odd_answers import GAME, book, event, h2h, poll
from tests.replay.transcript import Transcript


def at(hours: float) -> str:
    """An NBA game leaves the list 1.75 to 3.5 hours after its start, which here is at 15:00."""
    return f"2026-01-10T{int(hours):02}:{round(hours % 1 * 60):02}:00Z"


def shown(minute: int, start: float = 15, *others: Any, id: str = GAME) -> Batch:
    return poll(minute, event(book("fanduel", h2h(1.9, 1.9)), commence_time=at(start), id=id), *others)


def other(start: float) -> Any:
    return event(id="d" * 32, commence_time=at(start), home_team="Heat", away_team="Nets")


SCRIPTS: Final = {
    "settled, and open again": [
        shown(0), shown(179), shown(190, 11), shown(290, 11), poll(300), shown(310, 11), poll(320), poll(700),
    ],
    "the rival is the start": [shown(0), shown(179), shown(190, 20), shown(481, 20), poll(600), poll(700)],
    "both may be": [shown(0), shown(190, 13), shown(200, 13), poll(400)],
    "the latest rival alone": [shown(0), shown(190, 11), shown(195, 20), shown(205, 20), poll(280, other(14))],
    # its start as known last is that of an answer that was not believed before
    "a rival that came true": [shown(0), shown(190, 19.5), shown(200, 18), shown(400, 19.5), shown(500, 19.5), poll(600)],
    "gone while others play": [shown(0), shown(185, 15, other(14)), poll(200, other(14)), poll(400, other(14))],
    "gone while others are to come": [shown(0), shown(185, 15, other(22)), poll(200, other(22)), poll(400, other(22))],
    "an empty list, and nothing after it": [shown(0), shown(185), poll(200), poll(284)],
    "an empty list for long": [shown(0), shown(185), poll(200), poll(284), poll(285), poll(286)],
    "an empty list, and back": [shown(0), shown(185), poll(200), poll(290), shown(291), poll(292)],
}  # fmt: skip
BASES: Final = {
    "settled, and open again": ("settled_kept", "gone"),
    "the rival is the start": ("settled_rival", "gone"),
    "both may be": ("kept_unproven", "gone"),
    "the latest rival alone": ("as_announced", "gone_early"),
    "a rival that came true": ("settled_kept", "gone"),
    "gone while others play": ("as_announced", "gone_early"),
    "gone while others are to come": ("as_announced", "gone"),
    "an empty list, and nothing after it": ("as_announced", "gone"),
    "an empty list for long": ("as_announced", "gone_early"),
    "an empty list, and back": ("as_announced", "gone"),
}


@pytest.mark.proof
@pytest.mark.parametrize("name", SCRIPTS)
def test_what_settles_a_start_is_the_set_of_answers(
    name: str, databases: Databases, project: Project, transcript: Transcript
) -> None:
    gold = Gold(SCRIPTS[name])
    row = gold.events(gold.listing_intervals(), gold.results())[(GAME,)]
    assert (row["start_basis"], row["status"]) == BASES[name]
    prove(SCRIPTS[name], 0, databases, project, transcript)


# --- real answers of one afternoon each --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "expected", "statuses"),
    [
        # a start that was rewritten to four hours before, after it happened
        ("50-start-rewritten-by-hours", ("settled_kept", False, "gone"), {"ok": 58, "not_quoting": 6}),
        # a game that left the list a quarter of an hour after its start
        ("53-vanished-after-the-start", ("as_announced", False, "gone_early"), {"unplayed": 30}),
    ],
)
def test_real_answers(
    case: str,
    expected: tuple[str, bool, str],
    statuses: dict[str, int],
    cases_dir: Path,
    tmp_path: Path,
    databases: Databases,
    project: Project,
    transcript: Transcript,
) -> None:
    batches = import_folder(cases_dir / case / "in", tmp_path)
    model = Gold(batches)
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, batches)
        assert_model_agrees(warehouse, model)
        with warehouse.connect(Role.READER) as connection:
            assert connection.execute("select start_basis, start_is_suspect, status from gold.events").fetchall() == [expected]
            found = connection.execute("select close_status, count(*) from gold.closings group by 1").fetchall()
            covered = connection.execute(
                "select sum(event_count), sum(ok_count), sum(unplayed_count) from gold.closing_coverage"
            ).fetchone()
            compared = connection.execute("select count(*) from gold.clv").fetchone()
    assert dict(found) == statuses
    assert statuses == {status: sum(close.status == status for close in Closings(model).closes.values()) for status in statuses}
    assert covered is not None and covered[0] > 0
    assert (covered[1] > 0, covered[2] > 0) == ("ok" in statuses, "unplayed" in statuses)
    assert (compared == (0,)) == ("unplayed" in statuses)
