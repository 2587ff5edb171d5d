"""Dagster over the warehouse: ``up`` and ``dagster backfill``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pipeline.cli.arguments import Commands, at_least, command, database_option, group, json_option, port, tcp_port
from pipeline.cli.opening import check_database, check_shelf, project_of, server_of, settings_of
from pipeline.cli.screen import Screen


def add_up(commands: Commands) -> None:
    """``up``, and what it accepts."""
    one = command(commands, "up", _run_up, "bring up the warehouse, Dagster and the docs, until Ctrl-C")
    database_option(one)
    one.add_argument("--port", metavar="N", type=port, default=3000, help="of Dagster's pages (default: 3000; 0 = any)")
    one.add_argument(
        "--tcp",
        metavar="PORT",
        type=tcp_port,
        nargs="?",
        const=0,
        help="let the reader into the embedded server by TCP too, with a password, from this machine alone (any free port)",
    )
    one.add_argument(
        "--wait", metavar="SECONDS", type=at_least(1), default=600, help="how long Dagster may take to answer (default: 600)"
    )


def _run_up(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.clock import SystemClock

    check_database(options)
    from pipeline.orchestration.up import Ports, up

    ports = Ports(options.port, options.tcp)
    up(settings_of(options), project_of(options, screen), ports, options.wait, SystemClock(), screen.tell, screen.reveal)
    return 0


def add_dagster(commands: Commands) -> None:
    """``dagster backfill``, and what it accepts."""
    steps = group(commands, "dagster", "what Dagster does")
    one = command(
        steps, "backfill", _run_backfill, "take a recording in as Dagster does: a partition per batch, every proof a check"
    )
    one.add_argument(
        "recording",
        metavar="DIR",
        type=Path,
        nargs="?",
        help="a recording, or a folder of them (default: those at hand, else the bundled)",
    )
    one.add_argument("--batch", metavar="ID", action="append", help="only this batch; repeatable")
    database_option(one)
    json_option(one)


def _run_backfill(options: argparse.Namespace, screen: Screen) -> int:
    settings = settings_of(options)
    # the code that Dagster loads knows what the environment says, and nothing of options
    given = {"SPORTS_MARKET_DATABASE_URL": settings.database_url, "SPORTS_MARKET_RECORDINGS_DIR": options.recording}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    check_shelf(settings_of(options), options.batch, screen)
    check_database(options)
    with server_of(options, screen) as server:
        from pipeline.orchestration.home import make_home

        os.environ.update(make_home(settings.state_dir, server))
        from dagster import DagsterInstance

        from pipeline.orchestration.dagster_backfill import backfill_partitions

        with DagsterInstance.get() as instance:
            summary = backfill_partitions(instance, options.batch, screen.note)
    return screen.end(summary)
