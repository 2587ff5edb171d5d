"""The report of a recorded week of the NFL, on its Sunday afternoon: small, full, and true to gold."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.report.facts import Facts, Wanted, gather
from pipeline.report.page import render
from pipeline.report.screen_rows import screen_table
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay.support import batches_of, take

pytestmark = pytest.mark.recorded

# A file of each eighth hour, and all of the afternoon on which games are to come, in play and over.
WHICH = (*range(0, 230, 23), *range(236, 266))


@pytest.fixture
def facts(recorded_dir: Path, tmp_path: Path, prepared: Warehouse, project: Project) -> Facts:
    batches = batches_of(recorded_dir / "nfl_week6_2025.tar.xz", WHICH, {"endpoints": ["odds"]}, tmp_path)
    take(prepared, project, batches, step=0)
    with prepared.connect(Role.READER) as connection:
        return gather(connection, Wanted())


def test_a_week_is_a_small_page_that_answers_every_question(facts: Facts) -> None:
    text = render(facts, "A standing warehouse")
    assert len(text.encode()) < 5_000_000
    # each question has an answer here, but for results, which this recording has none of
    assert facts.movement.hour and facts.movement.day and facts.movement.steam
    for movers in (facts.movement.hour, facts.movement.day):
        # what most operators moved stands first
        counts = [mover.groups_moved for mover in movers]
        assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]
    assert facts.chances.arbitrages and facts.chances.middles and facts.closings.markets and facts.closings.by_book
    assert all(row.hold_h2h and row.closes and row.uptime and row.clv_1h is not None for row in facts.books.rows)
    assert len(facts.books.rows) == 11 and facts.books.calibration == ()
    playing, coming = ([game for game in facts.screen.games if game.is_in_play is way] for way in (True, False))
    assert playing and coming and all(game.is_fresh for game in facts.screen.games)
    table = screen_table(facts)
    assert len(table.rows) > 30 and set(table.markets) == {"Moneyline", "Spread", "Total"}
    prices = [price for row in table.rows for line in row.lines for price in line.prices if price is not None]
    # books hang other lines than most, and stall in play: both are told, and neither is the best
    assert sum(price.is_off_line for price in prices) > 20
    assert sum(bool(price.why) for price in prices) > 10
    assert not [price for price in prices if price.is_best and (price.why or price.is_off_line)]
    # a row has a best price of each outcome, or no book has one to act on at its line
    for row in table.rows:
        for line in row.lines:
            could = [price for price in line.prices if price is not None and not price.why and not price.is_off_line]
            assert bool(line.best_books) == bool(could), (row.title, line.name)
            assert any(price.is_best for price in could) == bool(could)
    # what stands is told apart from what is gone
    found = (*facts.chances.arbitrages, *facts.chances.middles)
    assert {each.is_fresh for each in found} == {True, False}
    assert all(each.is_open and each.seen_seconds is not None for each in found if each.is_fresh)
    order = [(not each.is_fresh, not each.is_open) for each in facts.chances.arbitrages]
    assert order == sorted(order)
    assert all(value.is_usable and value.age_seconds <= 900 for value in facts.chances.values)
