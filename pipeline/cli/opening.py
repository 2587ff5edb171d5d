"""What commands open: settings, recordings, servers, engines, databases.

A command first sees whether what it was given can be meant, by these, and then imports what is heavy (dbt, Dagster).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.screen import Screen
from pipeline.errors import UsageError, WarehouseError
from pipeline.settings import Settings

if TYPE_CHECKING:
    from pipeline.recording.store import Recording
    from pipeline.runs.context import RunContext
    from pipeline.transform.engine import Engine, Work
    from pipeline.transform.program import Program
    from pipeline.transform.project import DbtProject
    from pipeline.warehouse.connect import Warehouse
    from pipeline.warehouse.database import Server


def settings_of(options: argparse.Namespace) -> Settings:
    """What the environment says, and ``--database-url``."""
    settings = Settings.from_env(os.environ)
    if getattr(options, "database_url", None) is None:
        return settings
    return replace(settings, database_url=options.database_url)


def recording_at(folder: Path, options: argparse.Namespace, screen: Screen) -> Recording:
    """A recording whose indexes are good; what should be known of it is said. Also sees to the database's address."""
    from pipeline.recording.store import Recording

    found = Recording.open(folder)
    for remark in found.remarks:
        screen.note(f"warning: {remark}")
    found.check(found.batch_ids[: getattr(options, "batches", None)])
    check_database(options)
    return found


def check_spool(options: argparse.Namespace, screen: Screen) -> None:
    """See whether what is to be collected into can be; what should be known of it is said."""
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


def check_shelf(settings: Settings, batch_ids: Sequence[str] | None, screen: Screen) -> None:
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


def check_database(options: argparse.Namespace) -> None:
    """See whether the database's address can be read; no connection is made."""
    from pipeline.warehouse.connect import from_url

    settings = settings_of(options)
    if settings.database_url is not None:
        from_url(settings.database_url, settings.role_prefix, settings.role_password)


def server_of(options: argparse.Namespace, screen: Screen) -> Server:
    """The server that the settings name, or the embedded one."""
    from pipeline.warehouse.database import resolve_server

    return resolve_server(settings_of(options), screen.note)


def engine_of(options: argparse.Namespace, screen: Screen) -> Engine:
    """What runs the project's SQL: the program that dbt rendered, or dbt itself where that is asked for."""
    if getattr(options, "engine", "program") == "dbt":
        return project_of(options, screen)
    return program_of(options, screen)


def program_of(options: argparse.Namespace, screen: Screen) -> Program:
    """The program that dbt rendered."""
    from pipeline.transform.current_program import load_program

    return load_program(settings_of(options).state_dir.absolute() / "dbt", screen.note)


def telling_program_of(options: argparse.Namespace, screen: Screen, *works: Work, views: bool = False) -> Program:
    """The program, which shows how far it is on its way through that work."""
    return program_of(options, screen).telling(screen.progress("step"), *works, views=views)


def project_of(options: argparse.Namespace, screen: Screen) -> DbtProject:
    """Dbt's project, for what only dbt can tell."""
    from pipeline.transform.project import DbtProject

    return DbtProject(settings_of(options).state_dir.absolute() / "dbt", screen.note)


def context_of(warehouse: Warehouse, engine: Engine, screen: Screen, *, prove: bool = False) -> RunContext:
    """What a run works with: its batches are told on the screen, and its clock is the machine's."""
    from pipeline.clock import SystemClock
    from pipeline.runs.context import RunContext

    return RunContext(warehouse, engine, SystemClock(), screen.batch, prove)


@contextlib.contextmanager
def scratch_folder(options: argparse.Namespace) -> Iterator[Path]:
    """A folder for what is needed during one run only, on the disk of the state folder."""
    state_dir = settings_of(options).state_dir.absolute()
    state_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=state_dir) as folder:
        yield Path(folder)


@contextlib.contextmanager
def database_of_its_own(server: Server, engine: Engine, keep: bool, screen: Screen) -> Iterator[Warehouse]:
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


@contextlib.contextmanager
def loaded(folder: Path, options: argparse.Namespace, screen: Screen) -> Iterator[Warehouse]:
    """A recording, loaded into a database of its own that is dropped afterwards."""
    found = recording_at(folder, options, screen)
    screen.note(f"Recording: {folder} ({len(found)} batches)")
    from pipeline.runs.load import load_recording

    with (
        server_of(options, screen) as server,
        database_of_its_own(server, engine := engine_of(options, screen), False, screen) as warehouse,
    ):
        show = screen.progress("batch")
        context = replace(context_of(warehouse, engine, screen), report=lambda line: show(line.done, line.total))
        summary = load_recording(found, context)
        screen.end_progress()
        if summary.exit_code:
            screen.note(f"warning: {folder}: {summary.lines()[0]}")
        yield warehouse


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
