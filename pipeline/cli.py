"""The command line: every command is a call of something below. It reads arguments, shows what happens, and ends in a code.

Exit codes: 0 no difference, 1 a difference or a failed check, 2 wrong use, 3 environment or bad recording, 130 interrupted.
What a command needs is imported when it runs, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import errno
import functools
import itertools
import json
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TextIO

import pipeline
from pipeline.errors import Interrupted, SetupError, SportsMarketError, UsageError, WarehouseError
from pipeline.printable import printable
from pipeline.settings import SECRET_VARIABLES, Settings

if TYPE_CHECKING:
    from datetime import timedelta

    from tqdm import tqdm

    from pipeline.recording.store import Recording
    from pipeline.replay.progress import BatchLine
    from pipeline.secret import Secret
    from pipeline.transform.engine import Engine
    from pipeline.transform.project import DbtProject
    from pipeline.warehouse.connect import Warehouse
    from pipeline.warehouse.database import Server

PROGRAM: Final = "sports-market"
BUNDLED: Final = "fixtures/recordings/simulated"
FAILED, WRONG_USE, BROKEN = 1, 2, 3

# The address's passwords are found by its form, and only some webhooks hold a secret.
_SECRET_VARIABLES: Final = ("ODDS_API_KEY", *(name for name in SECRET_VARIABLES if not name.endswith("_URL")))
# In a database URL, and in libpq's other form.
_PASSWORD: Final = re.compile(r"://[^\s:/@]*:([^\s@]+)@|\bpassword\s*=\s*'?([^\s']+)")

# Nothing here tells anybody that it runs; whoever sets one of these keeps it.
QUIET: Final[Mapping[str, str]] = {
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    "GX_ANALYTICS_ENABLED": "false",
}


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
    with _stopping() as stop:
        screen = Screen(getattr(options, "json", False), stop)
        try:
            with screen:
                code = options.command(options, screen)
        except BrokenPipeError:
            _drop_output()
            return BROKEN
        except KeyboardInterrupt:
            return _tell(Interrupted())
        except Exception as error:
            # Whatever the libraries between make of an interrupt, it was one.
            known = Interrupted() if stop.asked else _known(error)
            if options.debug:
                print(printable(_without_secrets(traceback.format_exc()), keep="\n\t"), file=sys.stderr, end="")
            return _tell(known or _unknown(error))
    return int(code)


# --- arguments -------------------------------------------------------------------------------------------------------


class Command(Protocol):
    """What a subcommand runs."""

    def __call__(self, options: argparse.Namespace, screen: Screen, /) -> int:
        """Run it and return the exit code."""


class _Parser(argparse.ArgumentParser):
    """Ends wrong use with one message of the house: what is wrong, the nearest right word, where to look."""

    def error(self, message: str) -> NoReturn:
        nearest = self._nearest(message)
        hint = f"did you mean {nearest}? " if nearest else ""
        _tell(UsageError("USAGE", message[:1].upper() + message[1:] + ".", f"{hint}See `{self.prog} --help`."))
        sys.exit(WRONG_USE)

    def _nearest(self, message: str) -> str | None:
        """The option or choice that a word of the message comes near to."""
        said = message.partition("(choose from")[0].split()
        words = [word.strip("'").partition("=")[0] for word in said if word.startswith(("'", "-"))]
        known = [option for option in self._option_string_actions if option.startswith("--")]
        for action in self._actions:
            # a mapping of commands, a tuple of values
            known += [str(choice) for choice in action.choices or ()]
        # such as `--days:` and `-h/--help`: what was just given is no hint
        given = {part.strip("':,.") for word in said for part in word.split("/")} | set(words)
        for word in reversed(words):
            near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
            if near and word not in known and near[0] not in given:
                return near[0]
        return None


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = _Parser(
        prog=PROGRAM,
        description="Record, replay and prove sports odds: from the answers of The Odds API to analytics-ready tables.",
        epilog="Exit codes: 0 no difference, 1 a difference or failed check, 2 wrong use, 3 environment or bad recording,"
        " 130 interrupted.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"{PROGRAM} {pipeline.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", dest="command_name", required=True)

    one = _command(commands, "import", _import, "turn answers that you have into a recording")
    one.add_argument(
        "source", metavar="ARCHIVE_OR_FOLDER", type=Path, help="a folder, a file, or a tar or zip archive of answers"
    )
    one.add_argument(
        "--out", metavar="DIR", type=Path, required=True, help="the recording's folder: new, or holding part of it"
    )
    one.add_argument(
        "--endpoint",
        metavar="NAME|GLOB=NAME",
        action="append",
        default=[],
        help="the endpoint of all files, or of those whose path matches; repeatable (default: by subfolder, else by shape)",
    )
    one.add_argument("--sport", metavar="KEY", help="the sport that was asked for (default: the answers' own)")
    one.add_argument("--captured-at", metavar="TIME", help="UTC time of files that bear none, such as 2025-10-09T00:42:48Z")
    one.add_argument(
        "--odds-format", choices=("american", "decimal"), help="how prices are written (default: as each file tells)"
    )
    one.add_argument("--markets", metavar="KEYS", help="market keys that were asked for (default: those the answers show)")
    one.add_argument("--books", metavar="KEYS", help="bookmaker keys that were asked for (default: those the answers show)")
    one.add_argument("--regions", metavar="KEYS", help="regions that were asked for; covers their books")
    one.add_argument("--asked", metavar="FILE.yml", type=Path, help="what the requests of which files asked for, for certain")
    one.add_argument(
        "--time-from", metavar="name|folder|mtime|body:POINTER", help="where capture times stand (default: name, else folders)"
    )
    one.add_argument("--name-pattern", metavar="PATTERN", help="how names bear times, such as 'nfl_%%d.%%m.%%Y_%%H%%M*.json'")
    one.add_argument("--answer-at", metavar="POINTER", help="where in a wrapper the answer stands, such as /data")
    _simulated(one)
    _json(one)

    _results(commands)

    one = _command(commands, "replay", _replay, "replay a recording in a database of its own, and prove every batch")
    one.add_argument("recording", metavar="RECORDING", type=Path, nargs="?", help="its folder (default: the bundled one)")
    _json(one)
    one.add_argument("--batches", metavar="N", type=_at_least(1), help="only the first N batches")
    _database_url(one, "the server on which the replay makes its own database")
    one.add_argument("--keep", action="store_true", help="keep that database, and say where it is")
    one.add_argument("--order", choices=("recorded", "reversed", "shuffled"), default="recorded", help="order of the batches")
    one.add_argument("--seed", metavar="S", type=int, default=0, help="of the shuffle (default: 0)")
    one.add_argument("--step", metavar="N", type=_at_least(0), default=1, help="batches per run; 0 = all at once")
    _engines(one)
    one.add_argument("--require-snapshots", action="store_true", help="a state without a snapshot is a difference")
    one.add_argument("--update", action="store_true", help="write the snapshots, and show what changes")

    one = _command(commands, "load", _load, "load a recording into a standing warehouse")
    one.add_argument("recording", metavar="DIR", type=Path, help="the recording's folder")
    one.add_argument("--batches", metavar="N", type=_at_least(1), help="only the first N batches")
    _mix_sources(one)
    _database_url(one)
    _json(one)
    _engines(one)

    one = _command(commands, "verify", _verify, "recompute digests and reconciliation of a standing warehouse")
    _database_url(one)
    _json(one)

    one = _command(commands, "rebuild", _rebuild, "build silver and gold of a standing warehouse anew from bronze")
    _database_url(one)

    one = _command(commands, "archive", _archive, "take old months out of a standing warehouse, into recordings, and back")
    one.description = (
        "Write the batches of old months as recordings, read these back and hold them against bronze, and only then detach the"
        " months' partitions of bronze and silver. Gold stays. --restore brings months back."
    )
    which = one.add_mutually_exclusive_group(required=True)
    which.add_argument("--before", metavar="YYYY-MM", help="archive the months before this one")
    which.add_argument("--restore", action="store_true", help="bring archived months back")
    one.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="the archive: a recording per month (default: archive; to restore: where it was written)",
    )
    one.add_argument("--since", metavar="YYYY-MM", help="with --restore: only this month and the later ones")
    one.add_argument("--drop", action="store_true", help="drop what is detached, instead of keeping it in the schema detached")
    one.add_argument("--dry-run", action="store_true", help="only tell what would be archived, and what must stay")
    _database_url(one)
    _json(one)

    one = _command(commands, "report", _report, "write what a warehouse holds as one HTML page, which needs no network")
    one.add_argument("--out", metavar="FILE", type=Path, required=True, help="the page: a file, made or written anew")
    one.add_argument(
        "--recording", metavar="DIR", type=Path, help="replay this recording in a database of its own, and report on it"
    )
    one.add_argument(
        "--step", metavar="N", type=_at_least(0), default=1, help="of --recording: batches per run; 0 = all at once"
    )
    one.add_argument("--event", metavar="ID", action="append", default=[], help="an event to show; repeatable")
    one.add_argument("--sport", metavar="KEY", help="only events and holds of this sport")
    one.add_argument(
        "--events", metavar="N", type=_at_least(1), default=3, help="without --event: the N with the most changes (default: 3)"
    )
    _database_url(one)

    one = _command(commands, "up", _up, "bring up the warehouse, Dagster and the docs, until Ctrl-C")
    _database_url(one)
    one.add_argument("--port", metavar="N", type=_port, default=3000, help="of Dagster's pages (default: 3000; 0 = any)")
    one.add_argument(
        "--wait", metavar="SECONDS", type=_at_least(1), default=600, help="how long Dagster may take to answer (default: 600)"
    )

    _recording(commands)

    one = _command(commands, "simulate", _simulate, "record the simulated market: the bundled recording, made anew")
    one.add_argument("--out", metavar="DIR", type=Path, required=True, help="the recording's folder: new or empty")

    plan = commands.add_parser("plan", help="what to ask the API", description="What to ask the API.", allow_abbrev=False)
    steps = plan.add_subparsers(title="commands", metavar="COMMAND", dest="step_name", required=True)
    one = _command(steps, "cost", _plan_cost, "tell what a plan costs at most, per run and per month, before any call")
    one.add_argument("plan", metavar="FILE", type=Path, help="a YAML file, or the name of an example")
    one.add_argument("--events", metavar="N", type=_at_least(0), default=20, help="events that a sport lists (default: 20)")
    one.add_argument("--sports", metavar="N", type=_at_least(0), default=20, help="sports in season, of groups (default: 20)")
    one.add_argument("--starts", metavar="N", type=_at_least(0), help="different starts of those events (default: as many)")
    one.add_argument("--listed", metavar="TIME", default="7d", help="how long they are listed before it (default: 7d)")
    one.add_argument("--in-play", metavar="TIME", default="4h", help="how long they are listed after it (default: 4h)")
    _json(one)

    one = _command(commands, "ingest", _ingest, "ask the API what a plan says, keep the answers in a recording, and load it")
    one.add_argument("--live", action="store_true", required=True, help="make real calls, which cost credits")
    how = one.add_mutually_exclusive_group(required=True)
    how.add_argument("--once", action="store_true", help="one batch, then end")
    how.add_argument(
        "--every", metavar="TIME", nargs="?", const="", help="go on by the plan's cadence, or every 90s, 15m, 6h; until stopped"
    )
    one.add_argument("--plan", metavar="FILE", type=Path, required=True, help="what to ask: a YAML file, or an example's name")
    one.add_argument("--spool", metavar="DIR", type=Path, required=True, help="the recording that all runs collect into")
    one.add_argument("--api-url", metavar="URL", help="the API, or a sandbox (default: SPORTS_MARKET_API_BASE_URL)")
    one.add_argument("--sandbox-clock", action="store_true", help="take the time from the sandbox at that URL")
    one.add_argument("--workers", metavar="N", type=_at_least(1), default=4, help="calls under way at a time (default: 4)")
    _mix_sources(one)
    _database_url(one)
    _json(one)

    one = _command(commands, "backfill", _backfill, "collect what the API's history holds of a stretch of time, and load it")
    one.add_argument("--plan", metavar="FILE", type=Path, required=True, help="what to ask: a plan with `historical: true`")
    one.add_argument("--spool", metavar="DIR", type=Path, required=True, help="the recording that it collects into")
    one.add_argument(
        "--from", metavar="TIME", dest="begin", required=True, help="the first moment, such as 2025-10-09T00:00:00Z"
    )
    one.add_argument("--to", metavar="TIME", dest="end", required=True, help="the last moment")
    one.add_argument("--credits", metavar="N", type=_at_least(0), required=True, help="what this call may spend at most")
    one.add_argument("--dry-run", action="store_true", help="tell calls and credits, and make no call")
    one.add_argument(
        "--events", metavar="N", type=_at_least(0), default=20, help="events of a sport, for --dry-run (default: 20)"
    )
    one.add_argument("--api-url", metavar="URL", help="the API, or a sandbox (default: SPORTS_MARKET_API_BASE_URL)")
    one.add_argument("--workers", metavar="N", type=_at_least(1), default=4, help="calls under way at a time (default: 4)")
    _mix_sources(one)
    _database_url(one)
    _json(one)

    one = _command(commands, "credits", _credits, "show what was spent, per day, endpoint and sport, and where that differs")
    one.add_argument("--days", metavar="N", type=_at_least(1), default=31, help="up to the newest with a call (default: 31)")
    _database_url(one)
    _json(one)

    one = _command(commands, "sandbox", _sandbox, "serve the simulated market over HTTP, as the API does, until stopped")
    one.add_argument("--port", metavar="N", type=_port, default=0, help="0 = any free one (default)")
    one.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen (default: this machine only)")
    one.add_argument("--seed", metavar="S", type=int, default=0, help="of the market (default: 0)")
    one.add_argument("--key", metavar="K", help="the only key that is good (default: any of 32 or 40 letters and digits)")
    one.add_argument("--credits", metavar="N", type=_at_least(0), default=100_000, help="credits per month (default: 100000)")
    one.add_argument("--clock", metavar="TIME", default="wall", help="where its time begins, and perhaps its rate: TIME*60")
    one.add_argument("--faults", metavar="LIST", default="", help="what befalls the first calls: 500,ok,event_odds:reset")
    one.add_argument("--print-url", action="store_true", help="print its URL on stdout, and nothing else there")

    database = commands.add_parser("db", help="the database itself", description="The database itself.", allow_abbrev=False)
    steps = database.add_subparsers(title="commands", metavar="COMMAND", dest="step_name", required=True)
    one = _command(steps, "bootstrap", _bootstrap, "make schemas, roles, tables and rights, as far as they are missing")
    _database_url(one)

    _quarantine(commands)

    one = _command(commands, "drift", _drift, "show new and lost fields, types, markets, books, sports and error codes")
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
    _database_url(one)
    _json(one)

    dagster = commands.add_parser("dagster", help="what Dagster does", description="What Dagster does.", allow_abbrev=False)
    steps = dagster.add_subparsers(title="commands", metavar="COMMAND", dest="step_name", required=True)
    one = _command(
        steps, "backfill", _dagster_backfill, "take a recording in as Dagster does: a partition per batch, every proof a check"
    )
    one.add_argument(
        "recording",
        metavar="DIR",
        type=Path,
        nargs="?",
        help="a recording, or a folder of them (default: those at hand, else the bundled)",
    )
    one.add_argument("--batch", metavar="ID", action="append", help="only this batch; repeatable")
    _database_url(one)
    _json(one)

    contracts = commands.add_parser(
        "contracts", help="what tables promise", description="What tables promise.", allow_abbrev=False
    )
    steps = contracts.add_subparsers(title="commands", metavar="COMMAND", dest="step_name", required=True)
    one = _command(
        steps, "check", _contracts_check, "check the promises, that dbt is in step, and that nothing breaks unannounced"
    )
    one.add_argument("--base", metavar="REV", default="HEAD", help="git revision to compare with (default: HEAD)")
    one = _command(steps, "run", _contracts_run, "run the suite of every contract on all rows of a standing warehouse")
    one.add_argument("--max-age", metavar="AGE", help="fail where the newest published answer is older: 90m, 25h, 2d")
    _database_url(one)
    _json(one)
    one = _command(
        steps, "score", _contracts_score, "break good answers and rows in every way: every rule must fire, everywhere it says"
    )
    _database_url(one, "the server on which it makes its own database")
    _json(one)
    one = _command(steps, "docs", _contracts_docs, "render a page per contract, and Data Docs of the suites")
    one.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder of the pages")
    one = _command(steps, "export", _contracts_export, "write the full contract of each table (Open Data Contract Standard)")
    one.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder of the documents")
    return top


def _simulated(command: argparse.ArgumentParser) -> None:
    command.add_argument("--simulated", action="store_true", help="they are made up (else they are The Odds API's)")


def _mix_sources(command: argparse.ArgumentParser) -> None:
    command.add_argument("--mix-sources", action="store_true", help="take simulated and real answers into one warehouse")


def _results(commands: Any) -> None:
    text = "results that the API no longer gives"
    group = commands.add_parser("results", help=text, description=f"{text[:1].upper()}{text[1:]}.", allow_abbrev=False)
    steps = group.add_subparsers(title="commands", metavar="COMMAND", dest="step_name", required=True)
    one = _command(steps, "import", _results_import, "turn results in CSV files into a recording of the API's own scores")
    one.add_argument("files", metavar="FILE", type=Path, nargs="+", help="a CSV file with a header, one row per game")
    one.add_argument("--out", metavar="DIR", type=Path, required=True, help="the recording's folder: new, or a recording")
    one.add_argument("--captured-at", metavar="TIME", help="when the results were known (default: the column captured_at)")
    one.add_argument("--sport", metavar="KEY", help="the sport key (default: the column sport_key)")
    _simulated(one)
    _json(one)


def _engines(one: argparse.ArgumentParser) -> None:
    text = "what runs the SQL: the program that dbt rendered once, or dbt itself, the judge of it (default: program)"
    one.add_argument("--engine", choices=("program", "dbt"), default="program", help=text)


def _recording(commands: Any) -> None:
    group = commands.add_parser("recording", help="recordings on disk", description="Recordings on disk.", allow_abbrev=False)
    steps = group.add_subparsers(title="commands", metavar="COMMAND", dest="step_name", required=True)
    one = _command(
        steps, "reseal", _recording_reseal, "seal a recording as it is: one of an older format, or changed on purpose"
    )
    one.add_argument("recording", metavar="DIR", type=Path, help="the recording's folder")
    _json(one)


def _quarantine(commands: Any) -> None:
    text = "answers, and elements of them, that their contract refuses"
    group = commands.add_parser("quarantine", help=text, description=f"{text[:1].upper()}{text[1:]}.", allow_abbrev=False)
    steps = group.add_subparsers(title="commands", metavar="COMMAND", dest="step_name", required=True)

    def command(name: str, run: Command, text: str) -> argparse.ArgumentParser:
        one = _command(steps, name, run, text)
        _database_url(one)
        _json(one)
        return one

    def answer(one: argparse.ArgumentParser, nargs: str | None = None) -> None:
        one.add_argument(
            "answer",
            metavar="ANSWER",
            nargs=nargs,
            help="an exchange id, or the beginning of one; of an element, its pointer after it",
        )

    def selection(one: argparse.ArgumentParser, everything: str) -> None:
        one.add_argument("--all", action="store_true", help=everything)
        one.add_argument("--batch", metavar="ID", help="those of this batch")
        one.add_argument("--rule", metavar="ID", help="those with a finding of this rule")

    one = command("list", _quarantine_list, "list the answers and elements that are held back, and by which rule")
    selection(one, "also those that were released, waived or withdrawn")
    one = command("show", _quarantine_show, "show an answer's findings, verdicts and request")
    answer(one)
    one.add_argument("--body", action="store_true", help="write its body to stdout as it came, and nothing else")
    one = command("retry", _quarantine_retry, "judge answers again, and admit those that the contract takes now")
    answer(one, "*")
    selection(one, "every answer in quarantine")
    for name, run, text in (
        ("waive", _quarantine_waive, "admit an answer or element although the contract refuses it"),
        ("withdraw", _quarantine_withdraw, "take back an answer or element that was admitted by mistake"),
    ):
        one = command(name, run, text)
        answer(one)
        one.add_argument("--reason", metavar="TEXT", required=True, help="why; kept with the verdict")


def _command(commands: Any, name: str, run: Command, text: str) -> argparse.ArgumentParser:
    one: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[:1].upper() + text[1:] + ".", allow_abbrev=False
    )
    one.add_argument("--debug", action="store_true", help="show where an error comes from")
    one.set_defaults(command=run, parser=one)
    return one


def _json(one: argparse.ArgumentParser) -> None:
    one.add_argument("--json", action="store_true", help="print one JSON document on stdout, and everything else on stderr")


def _database_url(one: argparse.ArgumentParser, text: str = "the warehouse, as its owner") -> None:
    default = "SPORTS_MARKET_DATABASE_URL, else the embedded server"
    one.add_argument("--database-url", metavar="URL", help=f"{text} (default: {default})")


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return number


def _port(text: str) -> int:
    port = _at_least(0)(text)
    if port > 65_535:
        raise argparse.ArgumentTypeError(f"{port} is more than 65535")
    return port


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    options, left = parser().parse_known_args(arguments)
    if left:
        # said by the command's own parser, which knows its options
        options.parser.error(f"unrecognized arguments: {' '.join(left)}")
    return options


# --- commands --------------------------------------------------------------------------------------------------------


def _import(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.recording.importer import ImportOptions, import_recording

    wanted = ImportOptions.parse(
        endpoints=options.endpoint,
        sport=options.sport,
        captured_at=options.captured_at,
        odds_format=options.odds_format,
        markets=options.markets,
        books=options.books,
        regions=options.regions,
        asked=options.asked,
        time_from=options.time_from,
        name_pattern=options.name_pattern,
        answer_at=options.answer_at,
        simulated=options.simulated,
    )
    report = import_recording(options.source, options.out, wanted, screen.progress("file"))
    screen.end_progress()
    for line in report.warnings:
        screen.note(line)
    return screen.end(report)


def _results_import(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.recording.results import import_results

    given = {"captured_at": options.captured_at, "sport": options.sport, "simulated": options.simulated}
    return screen.end(import_results(options.files, options.out, **given))


def _replay(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.replay.options import ReplayOptions
    from pipeline.resources import resource

    wanted = ReplayOptions(
        batches=options.batches,
        order=options.order,
        seed=options.seed,
        step=options.step,
        require_snapshots=options.require_snapshots,
        update=options.update,
    )
    wanted.check()
    recording = options.recording or resource(BUNDLED)
    found = _recording_at(recording, options, screen)
    screen.note(f"Recording: {recording} ({len(found)} batches)")
    from pipeline.replay.run import replay

    with (
        _server(options, screen) as server,
        _database_of_its_own(server, engine := _engine(options, screen), options.keep, screen) as warehouse,
        _scratch(options) as scratch,
    ):
        screen.progress("batch")(0, min(len(found), options.batches or len(found)))
        summary = replay(found, warehouse, engine, SystemClock(), wanted, scratch, screen.batch)
    return screen.end(summary)


def _load(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.warehouse.database import bootstrap

    found = _recording_at(options.recording, options, screen)
    from pipeline.replay.load import load_recording

    with _server(options, screen) as server:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        screen.progress("batch")(0, min(len(found), options.batches or len(found)))
        engine, mix = _engine(options, screen), options.mix_sources
        summary = load_recording(
            found, warehouse, engine, SystemClock(), screen.batch, batches=options.batches, mix_sources=mix
        )
    return screen.end(summary)


def _recording_reseal(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.collect.scheduled import claimed
    from pipeline.recording.store import reseal

    # a spool that a run is at work in changes meanwhile
    spool = (options.recording / ".lock").exists()
    with claimed(options.recording) if spool else contextlib.nullcontext(True) as ours:
        if not ours:
            raise SetupError("SPOOL_BUSY", f"A run is at work in {options.recording}.", "Run it again when that has ended.")
        return screen.end(reseal(options.recording))


def _verify(options: argparse.Namespace, screen: Screen) -> int:
    _check_database(options)
    from pipeline.replay.verify import verify

    with _server(options, screen) as server:
        report = verify(server.warehouse(), _engine(options, screen))
    return screen.end(report)


def _rebuild(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.warehouse.database import bootstrap

    _check_database(options)
    from pipeline.transform.apply import rebuild

    with _server(options, screen) as server:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        rebuild(warehouse, _engine(options, screen))
    screen.tell(f"Silver and gold of {warehouse.place} were built anew from bronze.")
    return 0


def _archive(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.warehouse.database import bootstrap
    from pipeline.warehouse.months import month_from

    if options.restore and (options.drop or options.dry_run):
        raise UsageError("USAGE", "--drop and --dry-run do not go with --restore.", "See `sports-market archive --help`.")
    if options.since is not None and not options.restore:
        raise UsageError("USAGE", "--since goes with --restore.", "See `sports-market archive --help`.")
    since = None if options.since is None else month_from(options.since)
    before = None if options.before is None else month_from(options.before)
    out = options.out or Path("archive")
    if (options.restore and options.out is not None and not out.is_dir()) or (out.exists() and not out.is_dir()):
        raise UsageError("ARCHIVE_OUT", f"{out} is no folder.", "Name the folder of the archive, with a recording per month.")
    _check_database(options)
    from pipeline.replay.archive import archive, restore

    with _server(options, screen) as server:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        show = screen.progress("batch")
        if before is None:
            return screen.end(restore(warehouse, _engine(options, screen), since, options.out, show))
        return screen.end(
            archive(warehouse, before, out, SystemClock(), drop=options.drop, dry_run=options.dry_run, progress=show)
        )


def _report(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.replay.options import ReplayOptions
    from pipeline.report.out import check_out

    check_out(options.out)
    found = None if options.recording is None else _recording_at(options.recording, options, screen)
    _check_database(options)
    from pipeline.replay.run import replay
    from pipeline.report.facts import Wanted
    from pipeline.report.write import write_report

    wanted = Wanted(tuple(options.event), options.sport, options.events)
    if found is None:
        with _server(options, screen) as server:
            written = write_report(server.warehouse(), wanted, options.out)
        screen.tell(f"{options.out}: {written}")
        return 0
    with (
        _server(options, screen) as server,
        _database_of_its_own(server, engine := _engine(options, screen), False, screen) as warehouse,
        _scratch(options) as scratch,
    ):
        screen.progress("batch")(0, len(found))
        how = ReplayOptions(step=options.step)
        summary = replay(found, warehouse, engine, SystemClock(), how, scratch, screen.batch)
        screen.end_progress()
        written = write_report(warehouse, wanted, options.out, summary)
    screen.tell(f"{options.out}: {written}")
    return summary.exit_code


def _bootstrap(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.warehouse.database import bootstrap

    with _server(options, screen) as server:
        warehouse = server.warehouse()
        outcome = bootstrap(warehouse)
    for line in outcome.lines():
        screen.tell(line)
    return 0


def _dagster_backfill(options: argparse.Namespace, screen: Screen) -> int:
    settings = _settings(options)
    # the code that Dagster loads knows what the environment says, and nothing of options
    given = {"SPORTS_MARKET_DATABASE_URL": settings.database_url, "SPORTS_MARKET_RECORDINGS_DIR": options.recording}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    _check_shelf(_settings(options), options.batch, screen)
    _check_database(options)
    with _server(options, screen) as server:
        from pipeline.orchestration.home import make_home

        os.environ.update(make_home(settings.state_dir, server))
        from dagster import DagsterInstance

        from pipeline.orchestration.backfill import backfill

        with DagsterInstance.get() as instance:
            summary = backfill(instance, options.batch, screen.note)
    return screen.end(summary)


def _up(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock

    _check_database(options)
    from pipeline.orchestration.up import up

    up(_settings(options), _project(options, screen), options.port, options.wait, SystemClock(), screen.tell)
    return 0


def _simulate(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.collect.simulated import record_simulated

    batches = record_simulated(options.out, screen.progress("batch"))
    screen.end_progress()
    screen.tell(f"{options.out}: {batches} batches of the simulated market")
    return 0


def _plan_cost(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.collect.plan_cost import PlanCost
    from pipeline.collect.plan_file import load_plan_file
    from pipeline.collect.plan_month import Listing

    starts = options.events if options.starts is None else min(options.starts, options.events)
    listing = Listing(options.events, starts, _period(options.listed), _period(options.in_play))
    return screen.end(PlanCost.of(load_plan_file(options.plan), options.events, options.sports, listing))


def _period(text: str) -> timedelta:
    from pipeline.collect.cadence import parse_duration

    period = parse_duration(text)
    if period is None:
        raise UsageError("PERIOD_INVALID", f"{text!r} is no period.", "Write 90s, 15m, 6h or 1d.")
    return period


def _ingest(options: argparse.Namespace, screen: Screen) -> int:
    from datetime import datetime

    from pipeline.clock import Clock, SystemClock
    from pipeline.collect.live import Conduct
    from pipeline.collect.plan_file import load_plan_file, with_period
    from pipeline.odds_api.client import OddsApiClient, open_session
    from pipeline.odds_api.retry import Pace
    from pipeline.odds_api.sandbox.clock import FollowingClock
    from pipeline.recording.adapters import LiveAdapter
    from pipeline.warehouse.database import bootstrap

    file, settings, system = load_plan_file(options.plan), _settings(options), SystemClock()
    if options.every is not None:
        file = with_period(file, options.every)
    api_url, api_key = _api(options, settings)
    _check_spool(options, screen)
    _check_database(options)
    from pipeline.replay.ingest import IngestSummary, gold_digests, ingest_once
    from pipeline.replay.ingest_on import LoopSummary, ingest_on

    clock: Clock = FollowingClock(api_url) if options.sandbox_clock else system
    with _server(options, screen) as server, open_session(LiveAdapter(clock, system)) as session:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        client = OddsApiClient(session, clock=clock, base_url=api_url, api_key=api_key, pace=Pace(system))
        conduct = Conduct(timer=system, workers=options.workers)
        engine = _engine(options, screen)

        def once(at: datetime | None = None) -> IngestSummary:
            given = (file, client, options.spool, warehouse, engine, clock, conduct, screen.batch, at)
            return ingest_once(*given, mix_sources=options.mix_sources)

        summary: IngestSummary | LoopSummary = once() if options.once else ingest_on(once, file, clock, system, screen.note)
        if options.json:
            summary = changed(summary, digests=gold_digests(warehouse))
        return screen.end(summary)


def _api(options: argparse.Namespace, settings: Settings) -> tuple[str, Secret]:
    """Where the API is, and the key to ask it with."""
    from pipeline.settings import check_api_key, check_base_url

    api_url = check_base_url(options.api_url) if options.api_url else settings.api_base_url
    return api_url, check_api_key(settings.api_key, "Set SPORTS_MARKET_API_KEY; a sandbox takes any 32 digits.")


def _backfill(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.collect.backfill import Forecast, Span, parse_moment
    from pipeline.collect.live import Conduct
    from pipeline.collect.plan_file import load_plan_file
    from pipeline.collect.scheduled import spool_of
    from pipeline.odds_api.client import OddsApiClient, open_session
    from pipeline.odds_api.retry import Pace
    from pipeline.recording.adapters import LiveAdapter
    from pipeline.warehouse.database import bootstrap

    begin, end = parse_moment(options.begin), parse_moment(options.end)
    span, clock = Span(load_plan_file(options.plan), begin, end, options.credits), SystemClock()
    if options.dry_run:
        return screen.end(Forecast.of(span, spool_of(options.spool) if options.spool.is_dir() else None, options.events))
    settings = _settings(options)
    api_url, api_key = _api(options, settings)
    _check_spool(options, screen)
    _check_database(options)
    from pipeline.replay.backfill import backfill

    with _server(options, screen) as server, open_session(LiveAdapter(clock)) as session:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        client = OddsApiClient(session, clock=clock, base_url=api_url, api_key=api_key, pace=Pace(clock))
        conduct, engine = Conduct(timer=clock, workers=options.workers), _engine(options, screen)
        given = (span, client, options.spool, warehouse, engine, clock, conduct, screen.note, screen.batch)
        summary = backfill(*given, mix_sources=options.mix_sources)
    return screen.end(summary)


def _credits(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.report.credits import credits_spent
    from pipeline.warehouse.connect import Role

    with _server(options, screen) as server, server.warehouse().connect(Role.READER) as reader:
        return screen.end(credits_spent(reader, options.days))


def _sandbox(options: argparse.Namespace, screen: Screen) -> int:
    import threading

    from pipeline.clock import SystemClock
    from pipeline.odds_api.sandbox.clock import SandboxClock
    from pipeline.odds_api.sandbox.server import serving
    from pipeline.odds_api.sandbox.service import Sandbox
    from pipeline.odds_api.simulator import SimulatedMarket
    from pipeline.secret import Secret

    system = SystemClock()
    sandbox = Sandbox(
        SimulatedMarket(options.seed),
        SandboxClock.parse(options.clock, system),
        system,
        key=Secret(options.key) if options.key else None,
        credits=options.credits,
        faults=[fault for fault in options.faults.split(",") if fault],
    )
    with serving(sandbox, options.host, options.port) as url, contextlib.suppress(KeyboardInterrupt):
        screen.tell(url if options.print_url else f"The sandbox is at {url}; Ctrl-C stops it.")
        threading.Event().wait()
    return 0


def _quarantine_list(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.bronze.held import Selection, held
    from pipeline.warehouse.connect import Role

    with _server(options, screen) as server, server.warehouse().connect(Role.INGESTER) as ingester:
        return screen.end(held(ingester, Selection(options.batch, options.rule, options.all)))


def _quarantine_show(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.bronze.held import body, case, find_part
    from pipeline.warehouse.connect import Role

    if options.body and options.json:
        raise UsageError("SHOW_OPTIONS", "A body is shown as it came, and not as JSON.", "Leave out --json or --body.")
    _check_answers(options)
    with _server(options, screen) as server, server.warehouse().connect(Role.INGESTER) as ingester:
        part = find_part(ingester, options.answer)
        if options.body:
            screen.write(body(ingester, part.answer))
            return 0
        return screen.end(case(ingester, part))


def _quarantine_retry(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.bronze.held import Selection

    if bool(options.answer) == bool(options.all or options.batch or options.rule):
        raise UsageError("RETRY_OPTIONS", "Wanted are answers, or some of --all, --batch and --rule.", "Say which to retry.")
    _check_answers(options)
    from pipeline.replay.quarantine import retry_answers

    return _decide(options, screen, retry_answers, options.answer or Selection(options.batch, options.rule))


def _quarantine_waive(options: argparse.Namespace, screen: Screen) -> int:
    _check_answers(options)
    from pipeline.replay.quarantine import waive_answer

    return _decide(options, screen, waive_answer, options.answer, options.reason)


def _quarantine_withdraw(options: argparse.Namespace, screen: Screen) -> int:
    _check_answers(options)
    from pipeline.replay.quarantine import withdraw_answer

    return _decide(options, screen, withdraw_answer, options.answer, options.reason)


def _decide(options: argparse.Namespace, screen: Screen, decide: Callable[..., Summary], *wanted: Any) -> int:
    from pipeline.clock import SystemClock

    with _server(options, screen) as server:
        summary = decide(server.warehouse(), _engine(options, screen), *wanted, SystemClock(), screen.batch)
    return screen.end(summary)


def _drift(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.contracts.drift_report import drift_between, drift_in, newest_drift, unknown_side
    from pipeline.recording.model import batch_time
    from pipeline.warehouse.connect import Connection, Role

    if len(options.sides) not in (0, 2) or (options.sides and options.batch):
        raise UsageError("DRIFT_OPTIONS", "Two sides, --batch or neither are wanted.", "See `sports-market drift --help`.")
    for side in options.sides:
        # neither a folder nor something that begins as a batch id does: told before a server is asked
        if not Path(side).is_dir() and batch_time(side) is None:
            raise unknown_side(side)
    _check_database(options)
    with contextlib.ExitStack() as stack:

        @functools.cache
        def reader() -> Connection:
            server = stack.enter_context(_server(options, screen))
            return stack.enter_context(server.warehouse().connect(Role.READER))

        if options.sides:
            before, after = options.sides
            report = drift_between(before, after, reader, screen.progress("batch"))
        elif options.batch:
            report = drift_in(reader(), options.batch)
        else:
            report = newest_drift(reader())
    return screen.end(report)


def _contracts_check(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.contracts.commands import check
    from pipeline.contracts.compatibility import committed_contracts

    committed_contracts(revision=options.base)  # a revision that there is not is told before dbt is read
    return screen.end(check(_project(options, screen).manifest(), options.base))


def _contracts_run(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.contracts.commands import run
    from pipeline.contracts.freshness import parse_age

    max_age = None if options.max_age is None else parse_age(options.max_age)
    with _server(options, screen) as server:
        report = run(server.warehouse(), clock=SystemClock(), max_age=max_age)
    return screen.end(report)


def _contracts_score(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock

    _check_database(options)
    from pipeline.replay.mutation import mutation_score

    with (
        _server(options, screen) as server,
        _database_of_its_own(server, engine := _engine(options, screen), False, screen) as warehouse,
    ):
        score = mutation_score(warehouse, engine, SystemClock())
    return screen.end(score)


def _contracts_docs(options: argparse.Namespace, screen: Screen) -> int:
    if options.out.exists() and not options.out.is_dir():
        raise UsageError("DOCS_OUT", f"{options.out} is no folder.", "Name a folder, new or of earlier pages.")
    from pipeline.contracts.commands import docs

    index = docs(_project(options, screen).manifest(), options.out)
    screen.tell(f"{index}: the contracts' pages")
    return 0


def _contracts_export(options: argparse.Namespace, screen: Screen) -> int:
    if options.out.exists() and not options.out.is_dir():
        raise UsageError("EXPORT_OUT", f"{options.out} is no folder.", "Name a folder, new or of earlier documents.")
    from pipeline.contracts.commands import export

    screen.tell(f"{options.out}: {len(export(options.out))} documents")
    return 0


# --- what several commands need ----------------------------------------------------------------------------------------


def _settings(options: argparse.Namespace) -> Settings:
    settings = Settings.from_env(os.environ)
    if getattr(options, "database_url", None) is None:
        return settings
    return changed(settings, database_url=options.database_url)


# A command first sees whether what it was given can be meant, by these, and then imports what is heavy (dbt, Dagster).


def _recording_at(folder: Path, options: argparse.Namespace, screen: Screen) -> Recording:
    """A recording whose indexes are good; what should be known of it is said. Also sees to the database's address."""
    from pipeline.recording.store import Recording

    found = Recording.open(folder)
    for remark in found.remarks:
        screen.note(f"warning: {remark}")
    found.check(found.batch_ids[: getattr(options, "batches", None)])
    _check_database(options)
    return found


def _check_spool(options: argparse.Namespace, screen: Screen) -> None:
    from pipeline.errors import RecordingError
    from pipeline.recording.store import Recording, RecordingWriter

    if not RecordingWriter.check(options.spool):
        return
    try:
        for remark in Recording.open(options.spool).remarks:
            screen.note(f"warning: {remark}")
    except RecordingError as error:
        if error.code != "RECORDING_EMPTY":  # nothing is sealed yet
            raise


def _check_shelf(settings: Settings, batch_ids: Sequence[str] | None, screen: Screen) -> None:
    """See whether there are recordings where the settings say, and in them the batches that are named."""
    from pipeline.errors import RecordingError
    from pipeline.odds_api.endpoints import nearest
    from pipeline.recording.shelf import Shelf
    from pipeline.resources import resource

    folder = settings.recordings_dir or resource("fixtures/recordings")
    if not folder.is_dir():
        raise RecordingError("RECORDING_NOT_FOUND", f"{folder} does not exist.", "Name a recording, or a folder of them.")
    shelf = Shelf((folder, settings.state_dir.absolute() / "live"))
    for remark in shelf.remarks:
        screen.note(f"warning: {remark}")
    if not shelf.batch_ids:
        raise RecordingError("RECORDING_EMPTY", f"{folder} holds no sealed batch.", "Name a recording, or a folder of them.")
    if missing := sorted(set(batch_ids or ()) - set(shelf.batch_ids)):
        raise UsageError(
            "BATCH_UNKNOWN",
            f"No recording in {folder} holds {missing[0]}; the nearest is {nearest(missing[0], shelf.batch_ids)}.",
            "Name one of its batches, or the folder of its recording.",
        )


def _check_answers(options: argparse.Namespace) -> None:
    from pipeline.bronze.held import answer_range

    given = options.answer if isinstance(options.answer, list) else [options.answer]
    for text in given:
        answer_range(text)
    _check_database(options)


def _check_database(options: argparse.Namespace) -> None:
    """See whether the database's address can be read; no connection is made."""
    from pipeline.warehouse.connect import from_url

    settings = _settings(options)
    if settings.database_url is not None:
        from_url(settings.database_url, settings.role_prefix, settings.role_password)


def _server(options: argparse.Namespace, screen: Screen) -> Server:
    from pipeline.warehouse.database import resolve_server

    return resolve_server(_settings(options), screen.note)


def _engine(options: argparse.Namespace, screen: Screen) -> Engine:
    """What runs the project's SQL: the program that dbt rendered, or dbt itself where that is asked for."""
    if getattr(options, "engine", "program") == "dbt":
        return _project(options, screen)
    from pipeline.transform.program import load_program

    return load_program(_settings(options).state_dir.absolute() / "dbt", screen.note)


def _project(options: argparse.Namespace, screen: Screen) -> DbtProject:
    from pipeline.transform.project import DbtProject

    return DbtProject(_settings(options).state_dir.absolute() / "dbt", screen.note)


@contextlib.contextmanager
def _scratch(options: argparse.Namespace) -> Iterator[Path]:
    """A folder for what is needed during one run only, on the disk of the state folder."""
    state_dir = _settings(options).state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=state_dir) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _database_of_its_own(server: Server, engine: Engine, keep: bool, screen: Screen) -> Iterator[Warehouse]:
    """A bootstrapped database, made for this run and dropped after it unless it is to be kept."""
    warehouse = _make_database(server, engine)
    try:
        screen.note(f"Database of this run: {warehouse.place}")
        yield warehouse
    finally:
        if keep:
            words = f"host={warehouse.host} port={warehouse.port} dbname={warehouse.dbname} user={warehouse.owner}"
            screen.note(f"Kept the database of this run: {words}")
        else:
            server.drop_database(warehouse)


def _make_database(server: Server, engine: Engine) -> Warehouse:
    """A database of a free name: a run that was killed leaves its own behind, and it is not ours to drop."""
    from pipeline.replay.template import prepared_copy
    from pipeline.transform.program import Program
    from pipeline.warehouse.database import bootstrap

    for number in itertools.count():
        name = f"replay_{os.getpid()}_{number}"
        try:
            copy = prepared_copy(server, engine, name) if isinstance(engine, Program) else None
            if copy is not None:
                return copy
            warehouse = server.create_database(name)
        except WarehouseError as error:
            if error.code != "DATABASE_EXISTS":
                raise
            continue
        try:
            bootstrap(warehouse)
        except BaseException:
            server.drop_database(warehouse)
            raise
        return warehouse
    raise AssertionError("unreachable")


class Summary(Protocol):
    """What a run found."""

    @property
    def exit_code(self) -> int:
        """What the command ends with."""

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""

    def lines(self) -> list[str]:
        """For people."""


class Screen:
    """Where lines go: results to stdout, notes to stderr, a progress bar to a terminal.

    Args:
        json_only: nothing but one document may reach stdout; everything else goes to stderr.
        stop: whether somebody asked to stop, who is heeded between two batches if no earlier.
    """

    def __init__(self, json_only: bool, stop: _Stop | None = None) -> None:
        self._json_only = json_only
        self._stop = stop or _Stop()
        self._bar: tqdm[NoReturn] | None = None
        self._stdout = sys.stdout

    def __enter__(self) -> Screen:
        # A library that prints must not break the document.
        self._redirect = contextlib.redirect_stdout(sys.stderr) if self._json_only else contextlib.nullcontext()
        self._redirect.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self.end_progress()
        self._redirect.__exit__(*problem)

    def tell(self, line: str) -> None:
        """A line of the result."""
        self._write(line, sys.stderr if self._json_only else self._stdout)

    def write(self, content: bytes) -> None:
        """The result itself, byte for byte."""
        self._stdout.buffer.write(content)
        self._stdout.flush()

    def note(self, line: str) -> None:
        """A line beside the result."""
        with contextlib.suppress(OSError):  # nobody may be there to read it
            self._write(line, sys.stderr)

    def progress(self, unit: str) -> Callable[[int, int | None], None]:
        """What to call with (done, of how many); draws a bar on a terminal."""

        def show(done: int, total: int | None) -> None:
            bar = self._open_bar(unit, total) if self._bar is None else self._bar
            bar.total = total
            bar.update(done - bar.n)
            if self._stop.asked:
                # what is raised while Python collects garbage is lost
                raise KeyboardInterrupt

        return show

    def batch(self, line: BatchLine) -> None:
        """A batch is done: its line, and the bar."""
        width = len(str(line.total))
        text = (
            f"{line.done:>{width}}/{line.total} {line.batch_id} {line.state:9} {line.outcomes:>7,} outcomes"
            f" {line.changes:>7,} changes {line.quarantined:>3} quarantined {line.seconds:6.2f} s"
            + (f"  {line.held} elements held back" if line.held else "")
        )
        self.tell(text if line.detail is None else f"{text}  {line.detail}")
        self.progress("batch")(line.done, line.total)

    def end_progress(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def end(self, summary: Summary) -> int:
        """Show what a run found; its exit code."""
        self.end_progress()
        for line in summary.lines():
            self.tell(line)
        if self._json_only:
            print(json.dumps(summary.to_json(), indent=2, sort_keys=False), file=self._stdout, flush=True)
        return summary.exit_code

    def _open_bar(self, unit: str, total: int | None) -> tqdm[NoReturn]:
        from tqdm import tqdm

        self._bar = tqdm(unit=unit, total=total, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)
        return self._bar

    def _write(self, line: str, file: TextIO) -> None:
        line = printable(line, keep="\n\t")
        if self._bar is None:
            print(line, file=file, flush=True)
        else:
            self._bar.write(line, file=file)
            file.flush()


# --- how it ends -----------------------------------------------------------------------------------------------------


class _Stop:
    """Whether somebody asked to stop."""

    asked = False


@contextlib.contextmanager
def _stopping() -> Iterator[_Stop]:
    """Ctrl-C and SIGTERM both interrupt, so that what was begun is rolled back and what was made for the run is dropped."""
    stop = _Stop()

    def interrupt(number: int, frame: object) -> None:
        stop.asked = True
        raise KeyboardInterrupt

    def unraisable(lost: sys.UnraisableHookArgs) -> None:
        # an interrupt that comes while Python collects garbage; it is heeded where the next batch ends
        if not (stop.asked and issubclass(lost.exc_type, KeyboardInterrupt)):
            tell_lost(lost)

    tell_lost = sys.unraisablehook
    try:
        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where signals are somebody else's
        before = {}
    sys.unraisablehook = unraisable
    try:
        yield stop
    finally:
        sys.unraisablehook = tell_lost
        for number, handler in before.items():
            signal.signal(number, handler)


def _known(error: Exception) -> SportsMarketError | None:
    """The error of the house that another one means; None where it is a fault of ours."""
    if isinstance(error, SportsMarketError):
        return error
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = f" ({error.filename})" if error.filename else ""
        return SetupError("DISK_FULL", f"No space is left on the disk{where}.", "Free some space, and run it again.")
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return SetupError("FILE_UNUSABLE", f"{error.filename}: {error.strerror}.", "Check the path and its permissions.")
    if _is_database_error(error):
        return _database_error(error)
    return None


def _is_database_error(error: Exception) -> bool:
    # What was never imported cannot have failed.
    drivers = (sys.modules.get(name) for name in ("psycopg", "psycopg2"))
    return any(driver is not None and isinstance(error, driver.Error) for driver in drivers)


def _database_error(error: Exception) -> SportsMarketError:
    from pipeline.warehouse.connect import meaning

    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    text = next(iter(str(error).splitlines()), type(error).__name__)
    if state in ("42P01", "3F000"):  # no such table, no such schema
        return WarehouseError(
            "DATABASE_NOT_READY",
            f"The database lacks something that a load makes: {text}",
            f"Load a recording into it first (`{PROGRAM} load DIR`), or name another database.",
        )
    return meaning(state, text)


def _unknown(error: Exception) -> SportsMarketError:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    where = f" (at {Path(last[0].filename).name}:{last[0].lineno})" if last else ""
    text = " ".join(str(error).split())
    return SportsMarketError(
        "INTERNAL", f"{type(error).__name__}: {text}{where}", "Run the same command with --debug, and report what it shows."
    )


def _tell(error: SportsMarketError) -> int:
    # what follows in a message is indented, so that it cannot pass for a line of ours
    message, next_step = (re.sub(r"\n(?! )", "\n  ", printable(text, keep="\n\t")) for text in (error.message, error.next_step))
    lines = f"error {error.code}: {message}\n  next: {next_step}"
    with contextlib.suppress(OSError):  # nobody is there to read it
        print(_without_secrets(lines), file=sys.stderr, flush=True)
    return error.exit_code


def _without_secrets(text: str) -> str:
    """The text without the key and the passwords that the environment, its files or the command line hold."""
    from urllib.parse import unquote

    from pipeline.odds_api.redaction import redact
    from pipeline.secret import Secret
    from pipeline.settings import with_files

    try:
        environ = with_files(os.environ)
    except SetupError:  # the file that cannot be read is what is told
        environ = dict(os.environ)
    values = {environ.get(name, "").strip() for name in _SECRET_VARIABLES}
    for place in (environ.get("SPORTS_MARKET_DATABASE_URL", ""), *sys.argv[1:]):
        for found in _PASSWORD.findall(place):
            values |= {*found, *map(unquote, found)}
    return redact(text, [Secret(value) for value in values if value])


def _drop_output() -> None:
    """Nobody reads stdout any more: let Python's last flush go nowhere."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
