"""The commands that are killed: what each starts from, how it is called, and what it must leave behind."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pipeline.bronze.lookup import Selection, held_back
from pipeline.clock import UTC, ManualClock
from pipeline.compute.computing import batches_in, compute
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.replay.verify import verify
from pipeline.warehouse.connect import PIPELINE_ROLES, Role, Warehouse
from pipeline.warehouse.database import Server
from tests.compute.this_process import ThisProcess
from tests.conftest import Project, live_environment, with_parse
from tests.recordings import written
from tests.replay import wild
from tests.replay.admission import answers_of, ids_of, quarantining
from tests.replay.support import digests, take
from tests.runs import killing, test_archive
from tests.runs.killing import Ended
from tests.runs.test_quarantine import a_rule, stricter

BATCHES: Final = wild.market_of(96)[:4]
AT: Final = dt.datetime(2026, 1, 4, 17, 7, 31, tzinfo=UTC)
REFUSED: Final = answers_of(BATCHES, 2)
PLAN: Final = """\
endpoints: [sports, events, odds, scores]
sports: [basketball_nba]
regions: [us]
cadence: 10m
"""
HISTORY: Final = """\
historical: true
endpoints: [events, odds]
sports: [basketball_nba]
regions: [us]
cadence: 10m
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command works.

    Attributes:
        warehouse: a database of its own.
        folder: what it reads and writes.
        url: of the sandbox.
        project: the project.
    """

    warehouse: Warehouse
    folder: Path
    url: str
    project: Project

    def run(self, arguments: Sequence[str], at: int = 0, after_seconds: float | None = None) -> Ended:
        """Run a command here, in a process of its own."""
        environment = live_environment(self.warehouse, self.folder.parent / "state")
        return killing.run(arguments, environment, self.folder, at=at, after_seconds=after_seconds)


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        arguments: of ``sports-market``, by the place where it works.
        start: makes what it starts from, in a prepared database and an empty folder.
        contract: the code's, while it starts and runs.
        is_bare: it starts from a database without any schema, and roles that are not there.
        asks: it asks the sandbox: what comes is dated by when it came, so a replay of its spool is what gold must be.
        proves: it works in a database of its own. A killed one leaves that behind, as nobody drops what is not his.
    """

    arguments: Callable[[Place], Sequence[str]]
    start: Callable[[Place], None]
    contract: Callable[[], AbstractContextManager[None]] = nullcontext
    is_bare: bool = False
    asks: bool = False
    proves: bool = False


def _filled(place: Place) -> None:
    take(place.warehouse, place.project, BATCHES, step=0)


def _holding(place: Place) -> None:
    with quarantining(REFUSED):
        take(place.warehouse, place.project, BATCHES, step=0)


def _recorded(place: Place) -> None:
    written(place.folder / "recording", BATCHES)


def _recorded_few(place: Place) -> None:
    written(place.folder / "recording", BATCHES[:2])


def _computed(place: Place) -> None:
    _recorded(place)
    with ThisProcess() as workers:
        compute(batches_in([place.folder / "recording"], None, None), place.folder / "lake", workers)


def _old(place: Place) -> None:
    take(place.warehouse, place.project, test_archive.BATCHES, step=0)


def _archived(place: Place) -> None:
    _old(place)
    assert place.run(_COMMANDS["archive"].arguments(place)).code == 0


def _planned(place: Place) -> None:
    (place.folder / "plan.yml").write_text(PLAN)


def _planned_history(place: Place) -> None:
    (place.folder / "plan.yml").write_text(HISTORY)


def _always(*arguments: str) -> Callable[[Place], Sequence[str]]:
    return lambda place: arguments


def _waive(place: Place) -> Sequence[str]:
    """The first element that was ever held back."""
    with place.warehouse.connect(Role.INGESTER) as ingester:
        first = held_back(ingester, Selection(everything=True)).answers[0]
    return ("quarantine", "waive", str(first.part), *_REASON)


_SPAN: Final = ("--from", "2026-01-01T17:00:00Z", "--to", "2026-01-01T17:30:00Z", "--credits", "500")
_REASON: Final = ("--reason", "as a test wants")
_COMMANDS: Final[Mapping[str, Command]] = {
    "load": Command(_always("load", "recording"), _recorded),
    "load_lake": Command(_always("load", "--from-lake", "lake", "--recordings", "recording"), _computed),
    "ingest": Command(
        lambda place: (
            *("ingest", "--live", "--once", "--plan", "plan.yml", "--spool", "spool", "--api-url", place.url),
            *("--sandbox-clock", "--workers", "1"),
        ),
        _planned,
        asks=True,
    ),
    "backfill": Command(
        lambda place: (
            *("backfill", "--plan", "plan.yml", "--spool", "spool", *_SPAN, "--api-url", place.url, "--workers", "1"),
        ),
        _planned_history,
        asks=True,
    ),
    "archive": Command(_always("archive", "--before", "2025-12", "--out", "archive", "--drop"), _old),
    "restore": Command(_always("archive", "--restore", "--out", "archive"), _archived),
    "rebuild": Command(_always("rebuild"), _filled),
    "retry": Command(_always("quarantine", "retry", "--all"), _holding),
    "waive": Command(_waive, _filled, contract=lambda: stricter(a_rule)),
    "withdraw": Command(_always("quarantine", "withdraw", str(ids_of(REFUSED)[0]), *_REASON), _filled),
    "bootstrap": Command(_always("db", "bootstrap"), _recorded, is_bare=True),
    "snapshots": Command(_always("replay", "recording", "--update"), _recorded_few, proves=True),
    "export": Command(_always("export", "--out", "export"), _filled),
}
# Those that CI kills come first; the others go the same ways.
_FIRST: Final = ("load", "load_lake", "ingest", "restore", "rebuild", "waive", "export")
NAMES: Final = (*_FIRST, *(name for name in _COMMANDS if name not in _FIRST))


@dataclass(frozen=True, slots=True)
class State:
    """What a command left.

    Attributes:
        digests: of the stored tables.
        relations: how many rows each table of the database has, by name.
        files: sha256 of each file below its folder, by path.
    """

    digests: Mapping[str, str]
    relations: Mapping[str, int]
    files: Mapping[str, str]


# What tells of runs and not of their result: what a run that was killed noted before it died stays.
_OF_RUNS: Final = frozenset(("ops.charges",))


class Stage:
    """One command's: what it starts from, and what an undisturbed run of it leaves."""

    def __init__(
        self, name: str, server: Server, names: Iterator[str], prepared: Warehouse, project: Project, work: Path
    ) -> None:
        self.name, self.command = name, _COMMANDS[name]
        self._server, self._names, self._prepared, self._project, self._work = server, names, prepared, project, work
        self._numbers = itertools.count()
        self._closing = ExitStack()

    def __enter__(self) -> Stage:
        self._begun = self._closing.enter_context(self._place(None))
        with self.command.contract():
            self.command.start(self._begun)
        with self.place() as undisturbed:
            began = time.monotonic()
            ended = self.run(undisturbed)
            assert ended.code == 0, ended.said
            self.seconds = time.monotonic() - began
            self.steps = ended.done
            self.wanted = self.state(undisturbed)
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.close()

    def run(self, place: Place, at: int = 0, after_seconds: float | None = None) -> Ended:
        """The command, once."""
        with self.command.contract():
            ended = place.run(self.command.arguments(place), at, after_seconds)
        if self.command.proves:
            with self._server.home.connect_unchecked(Role.OWNER) as owner:
                owner.execute(f'drop database if exists "replay_{ended.pid}_0" with (force)'.encode())
        return ended

    @contextmanager
    def place(self) -> Iterator[Place]:
        """What the command starts from, anew."""
        with self._place(self._begun) as place:
            yield place

    @contextmanager
    def _place(self, begun: Place | None) -> Iterator[Place]:
        number = next(self._numbers)
        name = next(self._names)
        work = self._work / str(number)
        folder = work / "work"
        with_parse(_made(work) / "state", self._project)
        if begun is None:
            folder.mkdir()
        else:
            shutil.copytree(begun.folder, folder)
        if self.command.is_bare:
            made = self._server.create_database(name)
        else:
            made = self._server.clone_database(begun.warehouse if begun is not None else self._prepared, name)
        warehouse = replace(made, role_prefix=f"{name}_") if self.command.is_bare else made
        try:
            with self._sandbox() as url:
                yield Place(warehouse, folder, url, self._project)
        finally:
            self._server.drop_database(made)
            if self.command.is_bare:
                with self._server.home.connect_unchecked(Role.OWNER) as owner:
                    for role in PIPELINE_ROLES:
                        owner.execute(f'drop role if exists "{warehouse.user(role)}"'.encode())
            shutil.rmtree(work)

    @contextmanager
    def _sandbox(self) -> Iterator[str]:
        """One of the place's own, as each has so many credits."""
        if not self.command.asks:
            yield ""
            return
        with serving(Sandbox(SimulatedMarket(7), SandboxClock(ManualClock(AT)), ManualClock(AT))) as url:
            yield url

    def state(self, place: Place) -> State:
        """What stands now."""
        found = {} if self.command.is_bare else digests(place.warehouse)
        return State(found, _relations(place.warehouse), _files(place.folder))

    def end(self, place: Place) -> None:
        """Run it again, to its end: nothing is wrong, nothing is left over, and all is as an undisturbed run leaves it."""
        ended = self.run(place)
        assert ended.code == 0, ended.said
        found = self.state(place)
        if self.command.asks:
            self._compare_with_spool(place)
        else:
            _same("digests", found.digests, self.wanted.digests)
            _same("files", found.files, self.wanted.files)
        wanted, relations = dict(self.wanted.relations), dict(found.relations)
        for name in _OF_RUNS:
            wanted.pop(name), relations.pop(name)
        _same("relations", relations, wanted)
        if self.command.is_bare:
            loaded = place.run(("load", "recording"))
            assert loaded.code == 0, loaded.said
        report = verify(place.warehouse, self._project)
        assert not report.failed, [(each.name, each.message) for each in report.failed]

    def _compare_with_spool(self, place: Place) -> None:
        fresh = self._server.clone_database(self._prepared, next(self._names))
        try:
            loaded = replace(place, warehouse=fresh).run(("load", "spool"))
            assert loaded.code == 0, loaded.said
            _same("digests", digests(place.warehouse), digests(fresh))
        finally:
            self._server.drop_database(fresh)


def _same(what: str, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Fail with what differs, and nothing else."""
    names = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
    assert not names, f"{what} differ: {[(name, found.get(name), wanted.get(name)) for name in names]}"


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _relations(warehouse: Warehouse) -> dict[str, int]:
    """Every table that has rows of its own, and how many."""
    with warehouse.connect_unchecked(Role.OWNER) as owner:
        names = owner.execute(
            "select format('%I.%I', relnamespace::regnamespace, relname), relkind = 'r' from pg_class where relkind in"
            " ('r', 'v', 'm', 'S') and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema') order by 1"
        ).fetchall()
        counts = {}
        for name, has_rows in names:
            [(counts[name],)] = owner.execute(f"select count(*) from {name}".encode()).fetchall() if has_rows else [(0,)]
    return counts


def _files(folder: Path) -> dict[str, str]:
    """By path, what each file holds."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "a folder"
        for path in sorted(folder.rglob("*"))
    }
