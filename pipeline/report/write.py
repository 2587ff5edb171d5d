"""Write the report of a warehouse to a file: all of it, or nothing."""

from __future__ import annotations

from pathlib import Path

from pipeline.replay.run import ReplaySummary
from pipeline.report.facts import Wanted, gather
from pipeline.report.out import check_out
from pipeline.report.page import render
from pipeline.report.proof_facts import total
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.whole_files import written_whole


def write_report(warehouse: Warehouse, wanted: Wanted, out: Path, replayed: ReplaySummary | None = None) -> str:
    """Read a warehouse as the reader, and write the page.

    Args:
        warehouse: with silver and gold in it.
        wanted: which events to show.
        out: the page.
        replayed: what a replay found, where the warehouse holds one.

    Returns:
        What was written, in a line.

    Raises:
        UsageError: ``NO_SUCH_EVENT``, ``NO_SUCH_SPORT``, ``REPORT_OUT``.
        SetupError: ``REPORT_OUT``; ``NOTHING_TO_REPORT`` where no batch is published.
    """
    check_out(out)
    with warehouse.connect(Role.READER) as connection:
        facts = gather(connection, wanted)
    page = render(
        facts, "A standing warehouse" if replayed is None else "A replayed recording", replayed, wanted.explain_at
    ).encode()
    with written_whole(out) as file:
        file.write_bytes(page)
    games = len(facts.screen.games)
    return f"{total(facts.proof.batch_states):,} batches, {games:,} games on the screen, {len(page) / 1e6:.1f} MB"
