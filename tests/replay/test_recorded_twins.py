"""Real books that read one feed: what book_twins says of those that the seed does not hold as one desk."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.warehouse.connect import Role
from tests.conftest import Project
from tests.replay.support import Databases, batches_of, take
from tests.replay.transcript import Transcript

pytestmark = pytest.mark.recorded

# the odds of a month, an answer a day
FILES = range(252, 284)


def test_books_of_one_feed_stand_out_where_the_seed_holds_them_apart(
    recorded_dir: Path, tmp_path: Path, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = batches_of(recorded_dir / "nba_historical_2023.tar.xz", FILES, {}, tmp_path)
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, batches, step=0)
        with warehouse.connect(Role.TRANSFORMER, autocommit=True) as connection:
            query = (
                b"select bookmaker_key, other_bookmaker_key, changes, events, equal_changes, equal_share, is_enough,"
                b" is_candidate from gold.book_twins where changes >= 20 and equal_share > 0.5 order by 1, 2"
            )
            # as the seed has it, nobody's prices are another's
            assert connection.execute(query).fetchall() == []
            connection.execute("delete from silver.book_profile where bookmaker_key in ('twinspires', 'unibet_us')")
            found = connection.execute(query).fetchall()
    # nearly all changes are the same, of which a candidate needs two hundred
    assert found == [
        ("betrivers", "twinspires", 47, 39, 46, Decimal("0.9787234043"), False, False),
        ("betrivers", "unibet_us", 48, 40, 47, Decimal("0.9791666667"), False, False),
        ("twinspires", "unibet_us", 47, 39, 47, Decimal(1), False, False),
    ]
