"""``report``: one HTML page of what a warehouse holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.cli.arguments import Commands, at_least, command, database_option
from pipeline.cli.opening import (
    check_database,
    context_of,
    database_of_its_own,
    engine_of,
    recording_at,
    scratch_folder,
    server_of,
)
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError


def add_report(commands: Commands) -> None:
    """``report``, and what it accepts."""
    one = command(commands, "report", _run, "write what a warehouse tells of prices, moves, value and books as one HTML page")
    one.add_argument("--out", metavar="FILE", type=Path, required=True, help="the page: a file, made or written anew")
    one.add_argument(
        "--recording", metavar="DIR", type=Path, help="replay this recording in a database of its own, and report on it"
    )
    one.add_argument(
        "--step", metavar="N", type=at_least(0), default=1, help="of --recording: batches per run; 0 = all at once"
    )
    one.add_argument("--event", metavar="ID", action="append", default=[], help="an event whose lines are drawn; repeatable")
    one.add_argument("--sport", metavar="KEY", help="only this sport")
    one.add_argument(
        "--events",
        metavar="N",
        type=at_least(1),
        default=3,
        help="without --event: draw the N that changed most (default: 3)",
    )
    one.add_argument(
        "--explain-at", metavar="URL", help="where `up` explains rows: prices lead to where they come from (see its front page)"
    )
    database_option(one)


def _run(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.replay.options import ReplayOptions
    from pipeline.report.out import check_out

    check_out(options.out)
    explain_at = _explain_at(options)
    found = None if options.recording is None else recording_at(options.recording, options, screen)
    check_database(options)
    from pipeline.replay.run import replay
    from pipeline.report.facts import Wanted
    from pipeline.report.write import write_report

    wanted = Wanted(tuple(options.event), options.sport, options.events, explain_at)
    if found is None:
        with server_of(options, screen) as server:
            written = write_report(server.warehouse(), wanted, options.out)
        screen.tell(f"{options.out}: {written}")
        return 0
    with (
        server_of(options, screen) as server,
        database_of_its_own(server, engine := engine_of(options, screen), False, screen) as warehouse,
        scratch_folder(options) as scratch,
    ):
        screen.progress("batch")(0, len(found))
        how = ReplayOptions(step=options.step)
        summary = replay(found, context_of(warehouse, engine, screen), how, scratch)
        screen.end_progress()
        written = write_report(warehouse, wanted, options.out, summary)
    screen.tell(f"{options.out}: {written}")
    return summary.exit_code


def _explain_at(options: argparse.Namespace) -> str | None:
    """Where rows are explained, without a slash at the end."""
    if options.explain_at is None:
        return None
    address = urlsplit(options.explain_at)
    if address.scheme not in ("http", "https") or not address.netloc:
        raise UsageError(
            "REPORT_EXPLAIN", f"{options.explain_at!r} is no address of a page.", "Write it as `sports-market up` tells it."
        )
    return str(options.explain_at).rstrip("/")
