"""``export``: gold as files, and the proof of such files."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.cli.arguments import Commands, command, database_option, digests_option, json_option
from pipeline.cli.opening import check_database, server_of
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError
from pipeline.export.extra import FORMATS, PACKAGES, require

_OF_OUT = ("format", "tables", "sport", "since", "until", "database_url")


def add_export(commands: Commands) -> None:
    """``export``, and what it accepts."""
    one = command(commands, "export", _run, "write gold as files that prove themselves, or prove such files")
    one.description = (
        "Write tables of gold as files, by sport and month, with a manifest of digests; in a folder that holds an export"
        " already, only what changed. --verify proves such a folder with DuckDB, and needs no database."
    )
    which = one.add_mutually_exclusive_group(required=True)
    which.add_argument("--out", metavar="DIR", type=Path, help="the folder of the files: made, or brought up to date")
    which.add_argument("--verify", metavar="DIR", type=Path, help="prove the files in this folder")
    one.add_argument("--format", choices=FORMATS, help="of the files (default: parquet)")
    one.add_argument(
        "--tables", metavar="NAME", nargs="+", help="tables and views of gold (default: every table that is stored)"
    )
    one.add_argument("--sport", metavar="KEY", help="only rows of this sport; tables without one are written whole")
    one.add_argument("--since", metavar="TIME", help="only rows from this time on: a day, or 2025-10-09T00:42:48Z")
    one.add_argument("--until", metavar="TIME", help="only rows before this time")
    database_option(one)
    json_option(one)
    digests_option(one)


def _run(options: argparse.Namespace, screen: Screen) -> int:
    if options.verify is not None:
        if given := [name for name in _OF_OUT if getattr(options, name) is not None]:
            option = given[0].replace("_", "-")
            raise UsageError("USAGE", f"--{option} goes with --out.", "See `sports-market export --help`.")
        require(*PACKAGES)
        from pipeline.export.verify_export import verify_export

        return screen.end(verify_export(options.verify, screen.progress("table")))
    from pipeline.export.readable import Wanted, moment, named, readable, span

    wanted = Wanted(options.sport, moment(options.since, "--since"), moment(options.until, "--until"))
    span(wanted.since, wanted.until)
    stored = tuple(one for one in readable().values() if not one.relation.is_view)
    tables = stored if options.tables is None else named(options.tables)
    check_database(options)
    require(*PACKAGES)
    from pipeline.export.work_folder import check_folder
    from pipeline.export.write_export import write_export

    check_folder(options.out)
    with server_of(options, screen) as server:
        progress = screen.progress("table")
        summary = write_export(server.warehouse(), options.out, tables, options.format or "parquet", wanted, progress)
    return screen.end(summary)
