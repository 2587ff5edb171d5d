"""On real recordings the closings and the consensus at the close are those of a plain model: slices with starts of games."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.closing_model import Closings
from tests.replay.model import Gold, Table, market_rule
from tests.replay.slices import SLICES
from tests.replay.support import Databases, batches_of, differences, take
from tests.replay.transcript import Transcript

pytestmark = pytest.mark.recorded

# how quotes closed; where nothing begins, all is provisional
STATUSES: Final = {
    "nfl_week6_2025": {"provisional", "ok", "aged", "old", "not_quoting"},
    "worldcup_quarterfinals_2026": {"provisional", "ok", "aged", "old"},
    # of an answer a day no quote is a closing
    "nba_historical_2023": {"provisional", "old", "not_quoting"},
    "nfl_decimal_repeats_2023": {"provisional", "old"},
    "nhl_four_endpoints_2025": {"provisional", "aged", "old"},
    "four_leagues_in_one_list_2025": {"provisional", "ok"},
}
# too few books for a consensus, or none whose quote is a closing
WITHOUT_CONSENSUS: Final = ("nba_historical_2023", "ncaaf_odds_and_scores_2026")


def read(warehouse: Warehouse, query: str, key: Sequence[str]) -> Table:
    with warehouse.connect(Role.READER) as connection:
        cursor = connection.execute(query.encode())
        names = [column.name for column in cursor.description or ()]
        rows = [dict(zip(names, values, strict=True)) for values in cursor]
    return {tuple(row[name] for name in key): {name: row[name] for name in row if name not in key} for row in rows}


@pytest.mark.proof
@pytest.mark.parametrize("name", SLICES)
def test_closings_are_those_of_the_model(
    name: str, recorded_dir: Path, tmp_path: Path, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = batches_of(recorded_dir / f"{name}.tar.xz", *SLICES[name], tmp_path)
    model = Closings(Gold(batches))
    closed, agreed = model.closing_rows(), model.consensus_rows()
    # the slices hold what the rules tell apart
    assert {row["close_status"] for row in closed.values()} == STATUSES.get(name, {"provisional"})
    assert any(row["fair_median"] is not None for row in agreed.values()) == (name not in WITHOUT_CONSENSUS)
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, batches, step=0)
        found = read(
            warehouse,
            "select closing.event_id, closing.bookmaker_key, closing.market_key, closing.description, closing.outcome_name,"
            " first_row.point as key_point, closing.price_native, closing.line_point, closing.captured_at, closing.quote_at,"
            " closing.closing_age_seconds, closing.fair_probability, closing.close_status,"
            " closing.is_closing"
            " from (select * from gold.closings union all select * from gold.closings_now) as closing"
            " join (select series_id, min(point) as point from gold.price_history group by series_id) as first_row"
            " on first_row.series_id = closing.series_id",
            ("event_id", "bookmaker_key", "market_key", "description", "outcome_name", "key_point"),
        )
        lines = read(
            warehouse,
            "select event_id, market_key, description, line_point, outcome_set, outcome_name, outcome_side, fair_median,"
            " fair_mean, fair_sharp, sharp_basis, median_sum, group_count, book_count, closing_age_seconds, close_status,"
            " is_closing, is_main_line"
            " from (select * from gold.closing_consensus union all select * from gold.closing_consensus_now) as closing"
            " where outcome_set <> 'field'",
            ("event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name"),
        )
        covered = read(warehouse, "select * from gold.closing_coverage", ("sport_key", "day", "bookmaker_key", "market_key"))
    covered = {key: row for key, row in covered.items() if market_rule(key[3])["family"] != "outrights"}
    # the point is part of a series' name only where the market's rule says so
    found = {
        (*key[:5], key[5] if market_rule(key[2])["is_point_in_key"] == "true" else None): row
        for key, row in found.items()
        if market_rule(key[2])["family"] != "outrights"
    }
    difference = differences(
        {"closings": found, "consensus": lines, "coverage": covered},
        {"closings": closed, "consensus": agreed, "coverage": model.coverage_rows()},
    )
    assert not difference, "\n".join(difference)
