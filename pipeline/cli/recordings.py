"""Recordings on disk: ``import``, ``results import``, ``bets import``, ``predictions import`` and ``recording reseal``."""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

from pipeline.cli.arguments import Commands, Run, command, group, json_option, simulated_option
from pipeline.cli.screen import Screen
from pipeline.errors import SetupError


def add_import(commands: Commands) -> None:
    """``import``, and what it accepts."""
    one = command(commands, "import", _run_import, "turn answers that you have into a recording")
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
    simulated_option(one)
    json_option(one)


def _run_import(options: argparse.Namespace, screen: Screen) -> int:
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


def add_results(commands: Commands) -> None:
    """``results import``, and what it accepts."""
    steps = group(commands, "results", "results that the API no longer gives")
    one = command(steps, "import", _run_results_import, "turn results in CSV files into a recording of the API's own scores")
    one.add_argument("files", metavar="FILE", type=Path, nargs="+", help="a CSV file with a header, one row per game")
    one.add_argument("--out", metavar="DIR", type=Path, required=True, help="the recording's folder: new, or a recording")
    one.add_argument("--captured-at", metavar="TIME", help="when the results were known (default: the column captured_at)")
    one.add_argument("--sport", metavar="KEY", help="the sport key (default: the column sport_key)")
    simulated_option(one)
    json_option(one)


def _run_results_import(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.recording.results import import_results

    given = {"captured_at": options.captured_at, "sport": options.sport, "simulated": options.simulated}
    return screen.end(import_results(options.files, options.out, **given))


def add_bets(commands: Commands) -> None:
    """``bets import``, and what it accepts."""
    _add_ledger(commands, "bets", "bets that were placed", "the book of bets", "placed")


def add_predictions(commands: Commands) -> None:
    """``predictions import``, and what it accepts."""
    _add_ledger(commands, "predictions", "predictions that were made", "the model", "made")


def _add_ledger(commands: Commands, things: str, text: str, keeper: str, done: str) -> None:
    steps = group(commands, things, f"{text}, as somebody wrote them down")
    run = _run_ledger_import(things)
    one = command(steps, "import", run, f"turn {things} in CSV files into a recording, to be judged by the market")
    one.add_argument("files", metavar="FILE", type=Path, nargs="+", help=f"a CSV file with a header, one row per {things[:-1]}")
    one.add_argument("--out", metavar="DIR", type=Path, required=True, help="the recording's folder: new, or a recording")
    one.add_argument("--ledger", metavar="NAME", help=f"the name of {keeper} (default: the column ledger)")
    one.add_argument(
        "--captured-at",
        metavar="TIME",
        help=f"when they were written down, which is not when they were {done} (default: the column captured_at)",
    )
    one.add_argument("--sport", metavar="KEY", help="the sport key (default: the column sport_key)")
    simulated_option(one)
    json_option(one)


def _run_ledger_import(things: str) -> Run:
    def run(options: argparse.Namespace, screen: Screen) -> int:
        from pipeline.recording.ledgers import import_ledger

        given = {name: getattr(options, name) for name in ("captured_at", "sport", "ledger", "simulated")}
        return screen.end(import_ledger(things, options.files, options.out, **given))

    return run


def add_recording(commands: Commands) -> None:
    """``recording reseal``, and what it accepts."""
    steps = group(commands, "recording", "recordings on disk")
    one = command(steps, "reseal", _run_reseal, "seal a recording as it is: one of an older format, or changed on purpose")
    one.add_argument("recording", metavar="DIR", type=Path, help="the recording's folder")
    json_option(one)


def _run_reseal(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.collect.scheduled import claimed
    from pipeline.recording.store import reseal

    # a spool that a run is at work in changes meanwhile
    spool = (options.recording / ".lock").exists()
    with claimed(options.recording) if spool else contextlib.nullcontext(True) as ours:
        if not ours:
            raise SetupError("SPOOL_BUSY", f"A run is at work in {options.recording}.", "Run it again when that has ended.")
        return screen.end(reseal(options.recording))
