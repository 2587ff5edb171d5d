"""The command line: every command is a call of something below. It reads arguments, shows what happens, and ends in a code.

Exit codes: 0 no difference, 1 a difference or a failed check, 2 wrong use, 3 environment or bad recording, 130 interrupted.
A module per group of commands. What a command needs is imported when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Final

import pipeline
from pipeline.cli import (
    attesting,
    collecting,
    comparing,
    computing_lake,
    deciding,
    explaining,
    exporting,
    orchestrating,
    promising,
    proving,
    recordings,
    reporting,
    simulating,
    standing,
)
from pipeline.cli.arguments import Commands, Parser, command
from pipeline.cli.ending import BROKEN, PROGRAM, drop_output, known_error, stopping, tell_error, unknown_error, without_secrets
from pipeline.cli.screen import Screen, Telling
from pipeline.errors import Interrupted
from pipeline.printable import printable

# Nothing here tells anybody that it runs; whoever sets one of these keeps it.
QUIET: Final[Mapping[str, str]] = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
}

# In the order in which help lists them.
COMMANDS: Final = (
    recordings.add_import,
    recordings.add_results,
    recordings.add_bets,
    recordings.add_predictions,
    proving.add_replay,
    attesting.add_attest,
    comparing.add_diff,
    explaining.add_explain,
    standing.add_load,
    standing.add_verify,
    standing.add_rebuild,
    standing.add_archive,
    reporting.add_report,
    exporting.add_export,
    computing_lake.add_compute,
    orchestrating.add_up,
    recordings.add_recording,
    simulating.add_simulate,
    collecting.add_plan,
    collecting.add_ingest,
    collecting.add_backfill,
    collecting.add_credits,
    simulating.add_sandbox,
    standing.add_db,
    deciding.add_quarantine,
    promising.add_drift,
    orchestrating.add_dagster,
    promising.add_contracts,
)


def _add_completion(commands: Commands) -> None:
    one = command(commands, "completion", _run_completion, "write what makes a shell complete commands and options")
    one.add_argument("shell", choices=("bash", "zsh", "tcsh"), help="which shell")


def _run_completion(options: argparse.Namespace, screen: Screen) -> int:
    import shtab

    screen.tell(shtab.complete(parser(), options.shell))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; ``sys.argv`` by default.

    Returns:
        The exit code. Wrong arguments leave through ``SystemExit`` with code 2, as argparse does.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    options = _parse(sys.argv[1:] if arguments is None else arguments)
    with stopping() as stop:
        telling = _telling(options)
        screen = Screen(telling, stop)
        try:
            with screen:
                code = options.command(options, screen)
        except BrokenPipeError:
            drop_output()
            return BROKEN
        except KeyboardInterrupt:
            return tell_error(Interrupted(), telling.log_as_json)
        except Exception as error:
            # Whatever the libraries between make of an interrupt, it was one.
            known = Interrupted() if stop.asked else known_error(error)
            if options.debug:
                print(printable(without_secrets(traceback.format_exc()), keep="\n\t"), file=sys.stderr, end="")
            return tell_error(known or unknown_error(error), telling.log_as_json)
    return int(code)


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = Parser(
        prog=PROGRAM,
        description="Record, replay and prove sports odds: from the answers of The Odds API to analytics-ready tables.",
        epilog="Exit codes: 0 no difference, 1 a difference or failed check, 2 wrong use, 3 environment or bad recording,"
        " 130 interrupted.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {pipeline.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", dest="command_name", required=True)
    for add in (*COMMANDS, _add_completion):
        add(commands)
    return top


def _telling(options: argparse.Namespace) -> Telling:
    return Telling(
        json_only=getattr(options, "json", False),
        quiet=options.quiet,
        verbose=options.verbose,
        log_as_json=options.log_format == "json",
        digests=getattr(options, "digests", False),
    )


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    options, left = parser().parse_known_args(arguments)
    if left:
        # said by the command's own parser, which knows its options
        options.parser.error(f"unrecognized arguments: {' '.join(left)}")
    return options
