"""A real in-play quote that had not been read for a quarter of an hour was the best price once."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.warehouse.connect import Role
from tests.conftest import Project
from tests.replay.model import Gold
from tests.replay.support import Databases, assert_model_agrees, import_folder, take
from tests.replay.transcript import Transcript

pytestmark = pytest.mark.recorded

AT = "timestamptz '2026-07-18 21:15:29Z'"


def test_a_real_quote_of_a_quarter_of_an_hour_ago_is_no_best_price(
    cases_dir: Path, tmp_path: Path, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = import_folder(cases_dir / "51-in-play-best-price" / "in", tmp_path)
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, batches)
        assert_model_agrees(warehouse, Gold(batches))
        with warehouse.connect(Role.READER) as reader:
            query = (
                "select best_price_decimal, best_hold from gold.best_price where outcome_name = 'Draw' and market_key = 'h2h'"
                f" and valid_from <= {AT} and (valid_to > {AT} or valid_to is null)"
            )
            found = reader.execute(query.encode()).fetchall()
    [(price, hold)] = found
    assert price == Decimal("3.75") and hold > 0
