"""Write the report of a warehouse to a file: all of it, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import SetupError, UsageError
from pipeline.replay.run import ReplaySummary
from pipeline.report.facts import Wanted, gather, total
from pipeline.report.page import render
from pipeline.warehouse.connect import Role, Warehouse


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
    page = render(facts, "A standing warehouse" if replayed is None else "A replayed recording", replayed).encode()
    unfinished = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(page)
        unfinished.replace(out)
    finally:
        unfinished.unlink(missing_ok=True)
    return f"{total(facts.batch_states):,} batches, {len(facts.events)} events, {len(page) / 1e6:.1f} MB"


def check_out(out: Path) -> None:
    """See, before any work, that the page can be written.

    Raises:
        UsageError: ``REPORT_OUT``: it is a folder, or in none.
        SetupError: ``REPORT_OUT``: its folder cannot be written to.
    """
    step = "Name a file in a folder that you may write to."
    if out.is_dir():
        raise UsageError("REPORT_OUT", f"{out} is a folder.", step)
    if not out.parent.is_dir():
        raise UsageError("REPORT_OUT", f"There is no folder {out.parent}.", step)
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise SetupError("REPORT_OUT", f"{out.parent} cannot be written to.", step)
