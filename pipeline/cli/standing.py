"""A standing warehouse: ``db bootstrap``, ``load``, ``verify``, ``rebuild`` and ``archive``."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipeline.cli.arguments import (
    Commands,
    at_least,
    command,
    database_option,
    digests_option,
    engine_option,
    group,
    json_option,
    mix_sources_option,
    prove_option,
)
from pipeline.cli.opening import check_database, context_of, engine_of, recording_at, server_of, telling_program_of
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError


def add_db(commands: Commands) -> None:
    """``db bootstrap``, and what it accepts."""
    steps = group(commands, "db", "the database itself")
    one = command(steps, "bootstrap", _run_bootstrap, "make schemas, roles, tables and rights, as far as they are missing")
    database_option(one)


def _run_bootstrap(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.warehouse.database import bootstrap

    with server_of(options, screen) as server:
        warehouse = server.warehouse()
        outcome = bootstrap(warehouse)
    for line in outcome.lines():
        screen.tell(line)
    return 0


def add_load(commands: Commands) -> None:
    """``load``, and what it accepts."""
    one = command(commands, "load", _run_load, "load a recording into a standing warehouse")
    which = one.add_mutually_exclusive_group(required=True)
    which.add_argument("recording", metavar="DIR", type=Path, nargs="?", help="the recording's folder")
    which.add_argument(
        "--from-lake",
        metavar="LAKE",
        type=Path,
        help="fill an empty warehouse with gold that `compute` or `export` wrote, instead of computing it",
    )
    one.add_argument("--batches", metavar="N", type=at_least(1), help="only the first N batches")
    one.add_argument(
        "--recordings", metavar="PATH", type=Path, nargs="+", help="with --from-lake: the recordings that it was made from"
    )
    one.add_argument(
        "--views", action="store_true", help="with --from-lake: compute the views too, and hold them against the lake's"
    )
    prove_option(one)
    mix_sources_option(one)
    database_option(one)
    json_option(one)
    digests_option(one)
    engine_option(one)


def _run_load(options: argparse.Namespace, screen: Screen) -> int:
    if options.from_lake is not None:
        return _run_load_lake(options, screen)
    if options.recordings is not None or options.views:
        raise UsageError("USAGE", "--recordings and --views go with --from-lake.", "See `sports-market load --help`.")
    from pipeline.warehouse.database import bootstrap

    found = recording_at(options.recording, options, screen)
    from pipeline.runs.load import load_recording

    with server_of(options, screen) as server:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        screen.progress("batch")(0, min(len(found), options.batches or len(found)))
        context = context_of(warehouse, engine_of(options, screen), screen, prove=options.prove)
        summary = load_recording(found, context, batches=options.batches, mix_sources=options.mix_sources)
    return screen.end(summary)


def _run_load_lake(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.export.extra import PACKAGES, require

    if options.recordings is None or options.batches is not None or options.prove:
        raise UsageError(
            "USAGE",
            "--from-lake goes with --recordings, and with neither --batches nor --prove.",
            "Write `sports-market load --from-lake LAKE --recordings PATH …`.",
        )
    check_database(options)
    require(*PACKAGES)
    from pipeline.clock import SystemClock
    from pipeline.compute.from_lake import load_lake, open_lake
    from pipeline.warehouse.database import bootstrap

    engine = engine_of(options, screen)
    lake = open_lake(options.from_lake, options.recordings, engine)
    if lake.others:
        screen.note(f"{lake.others:,} batches of the recordings are not in the lake: load them afterwards, the ordinary way.")
    with server_of(options, screen) as server:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        show = screen.progress("batch")
        summary = load_lake(
            lake,
            warehouse,
            engine,
            SystemClock(),
            mix_sources=options.mix_sources,
            with_views=options.views,
            progress=show,
        )
    return screen.end(summary)


def add_verify(commands: Commands) -> None:
    """``verify``, and what it accepts."""
    one = command(commands, "verify", _run_verify, "recompute digests and reconciliation of a standing warehouse")
    one.description = (
        "Recompute every digest of a standing warehouse, reconcile bronze, silver and gold, and ask every contract's rules."
        " --day proves one day instead: gold of its events is computed anew from bronze and compared, and with --spool every"
        " answer of it is held against bronze."
    )
    one.add_argument("--day", metavar="DAY", help="only what the batches of a day bear on: 2026-01-15 (UTC), or yesterday")
    one.add_argument("--spool", metavar="DIR", type=Path, help="with --day: the recording that the day was collected into")
    database_option(one)
    json_option(one)
    digests_option(one)


def _run_verify(options: argparse.Namespace, screen: Screen) -> int:
    if options.day is not None:
        return _prove_day(options, screen)
    if options.spool is not None:
        raise UsageError("USAGE", "--spool goes with --day.", "See `sports-market verify --help`.")
    check_database(options)
    from pipeline.replay.verify import verify

    with server_of(options, screen) as server:
        report = verify(server.warehouse(), telling_program_of(options, screen, "whole", views=True))
    return screen.end(report)


def _prove_day(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock
    from pipeline.recording.store import Recording
    from pipeline.replay.day import day_of, prove_day
    from pipeline.warehouse.database import bootstrap

    day = day_of(options.day, SystemClock().now())
    # what is broken in it is a finding, and is told of the batch
    spool = None if options.spool is None else Recording.open(options.spool)
    check_database(options)
    with server_of(options, screen) as server:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        return screen.end(prove_day(warehouse, telling_program_of(options, screen, "batch"), spool, day))


def add_rebuild(commands: Commands) -> None:
    """``rebuild``, and what it accepts."""
    one = command(commands, "rebuild", _run_rebuild, "build silver and gold of a standing warehouse anew from bronze")
    database_option(one)


def _run_rebuild(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.warehouse.database import bootstrap

    check_database(options)
    from pipeline.transform.apply import rebuild

    with server_of(options, screen) as server:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        rebuild(warehouse, telling_program_of(options, screen, "make", "blocking"))
    screen.end_progress()
    screen.tell(f"Silver and gold of {warehouse.place} were built anew from bronze.")
    return 0


def add_archive(commands: Commands) -> None:
    """``archive``, and what it accepts."""
    one = command(commands, "archive", _run_archive, "take old months out of a standing warehouse, into recordings, and back")
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
    database_option(one)
    json_option(one)


def _run_archive(options: argparse.Namespace, screen: Screen) -> int:
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
    check_database(options)
    from pipeline.runs.archive import archive, restore

    with server_of(options, screen) as server:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        show = screen.progress("batch")
        if before is None:
            return screen.end(restore(warehouse, engine_of(options, screen), since, options.out, show))
        return screen.end(
            archive(warehouse, before, out, SystemClock(), drop=options.drop, dry_run=options.dry_run, progress=show)
        )
