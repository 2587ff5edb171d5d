"""What is promised, and what comes: ``contracts …`` and ``drift``."""

from __future__ import annotations

import argparse
import contextlib
import functools
from pathlib import Path

from pipeline.cli.arguments import Commands, command, database_option, group, json_option
from pipeline.cli.opening import check_database, project_of, server_of
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError


def add_drift(commands: Commands) -> None:
    """``drift``, and what it accepts."""
    one = command(commands, "drift", _run_drift, "show new and lost fields, types, markets, books, sports and error codes")
    one.description = (
        "Compare answers by shape alone: fields, their JSON types, the keys they name. With two sides, what AFTER has that"
        " BEFORE had not; with --batch, what it brought that no batch before it showed; else what the newest batches brought."
    )
    one.epilog = "Exit codes: 0 no difference, 1 a difference, as diff has it."
    one.add_argument(
        "sides",
        metavar="BEFORE AFTER",
        nargs="*",
        help="each a recording, a batch's folder in one, or the id of a batch of the warehouse",
    )
    one.add_argument("--batch", metavar="ID", help="what this batch of the warehouse brought")
    database_option(one)
    json_option(one)


def _run_drift(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.contracts.drift_report import drift_between, drift_in, newest_drift, unknown_side
    from pipeline.recording.model import batch_time
    from pipeline.warehouse.connect import Connection, Role

    if len(options.sides) not in (0, 2) or (options.sides and options.batch):
        raise UsageError("DRIFT_OPTIONS", "Two sides, --batch or neither are wanted.", "See `sports-market drift --help`.")
    for side in options.sides:
        # neither a folder nor something that begins as a batch id does: told before a server is asked
        if not Path(side).is_dir() and batch_time(side) is None:
            raise unknown_side(side)
    check_database(options)
    with contextlib.ExitStack() as stack:

        @functools.cache
        def reader() -> Connection:
            server = stack.enter_context(server_of(options, screen))
            return stack.enter_context(server.warehouse().connect(Role.READER))

        if options.sides:
            before, after = options.sides
            report = drift_between(before, after, reader, screen.progress("batch"))
        elif options.batch:
            report = drift_in(reader(), options.batch)
        else:
            report = newest_drift(reader())
    return screen.end(report)


def add_contracts(commands: Commands) -> None:
    """The commands of ``contracts``, and what they accept."""
    steps = group(commands, "contracts", "what tables promise")
    one = command(steps, "check", _run_check, "check the promises, that dbt is in step, and that nothing breaks unannounced")
    one.add_argument("--base", metavar="REV", default="HEAD", help="git revision to compare with (default: HEAD)")
    one = command(steps, "run", _run_run, "run the suite of every contract on all rows of a standing warehouse")
    one.add_argument("--max-age", metavar="AGE", help="fail where the newest published answer is older: 90m, 25h, 2d")
    database_option(one)
    json_option(one)
    one = command(steps, "docs", _run_docs, "render a page per contract, and Data Docs of the suites")
    one.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder of the pages")
    one = command(steps, "export", _run_export, "write the full contract of each table (Open Data Contract Standard)")
    one.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder of the documents")


def _run_check(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.contracts.commands import check
    from pipeline.contracts.compatibility import committed_contracts

    committed_contracts(revision=options.base)  # a revision that there is not is told before dbt is read
    return screen.end(check(project_of(options, screen).manifest(), options.base))


def _run_run(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.contracts.commands import run
    from pipeline.contracts.freshness import parse_age

    max_age = None if options.max_age is None else parse_age(options.max_age)
    with server_of(options, screen) as server:
        report = run(server.warehouse(), clock=SystemClock(), max_age=max_age, progress=screen.progress("contract"))
    return screen.end(report)


def _run_docs(options: argparse.Namespace, screen: Screen) -> int:
    if options.out.exists() and not options.out.is_dir():
        raise UsageError("DOCS_OUT", f"{options.out} is no folder.", "Name a folder, new or of earlier pages.")
    from pipeline.contracts.commands import docs

    index = docs(project_of(options, screen).manifest(), options.out)
    screen.tell(f"{index}: the contracts' pages")
    return 0


def _run_export(options: argparse.Namespace, screen: Screen) -> int:
    if options.out.exists() and not options.out.is_dir():
        raise UsageError("EXPORT_OUT", f"{options.out} is no folder.", "Name a folder, new or of earlier documents.")
    from pipeline.contracts.commands import export

    screen.tell(f"{options.out}: {len(export(options.out))} documents")
    return 0
