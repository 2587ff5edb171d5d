"""All that an operator opens, brought up by one command and taken down again: the server, the warehouse, Dagster, the docs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

import psutil  # type: ignore[import-untyped]
import psycopg
import requests

from pipeline.clock import SystemClock, Timer
from pipeline.errors import SetupError, UsageError, WarehouseError
from pipeline.orchestration import front_page
from pipeline.orchestration.at_hand import BUNDLED_SAYS, offers_bundled
from pipeline.orchestration.explain_pages import explanations
from pipeline.orchestration.home import make_home
from pipeline.printable import printable
from pipeline.settings import Settings
from pipeline.transform.apply import prepare
from pipeline.transform.docs import write_dbt_docs
from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import bootstrap, check_embedded, resolve_server
from pipeline.warehouse.embedded import LOOPBACK
from pipeline.warehouse.reader_door import ReaderDoor, opened_to_reader

Say = Callable[[str], None]
Reveal = Callable[[str], bool]

MODULE: Final = "pipeline.orchestration.definitions"
LOG_FILE: Final = "dagster.log"
# Where rows are explained, for who makes links.
EXPLAIN_URL: Final = "SPORTS_MARKET_EXPLAIN_URL"
_MARK: Final = "SPORTS_MARKET_UP"
_PATIENCE_SECONDS: Final = 6
_POLL_SECONDS: Final = 0.25
_TELL_SECONDS: Final = 15
_LOG_LINES: Final = 5
_COLUMNS: Final = 100
_COLOUR: Final = re.compile(r"\x1b\[[\d;]*m")
# What a line of Dagster's log begins with: a time, a name and a level.
_WHEN_AND_WHO: Final = re.compile(r"^[\d-]+ [\d:]+ [+-]\d{4} - [\w.-]+ - [A-Z]+ - ")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where it listens, on the loopback alone: nobody else on the network sees it, as Dagster asks for no password.

    Attributes:
        pages: Dagster's; 0 = any that is free.
        tcp: the embedded server's, for the reader; 0 = any that is free, None = it listens on none.
    """

    pages: int
    tcp: int | None = None


def up(
    settings: Settings, project: DbtProject, ports: Ports, wait_seconds: int, timer: Timer, say: Say, reveal: Reveal
) -> None:
    """Bring everything up, say where it is, and stay until Dagster ends or an interrupt comes.

    Args:
        settings: name the warehouse and the state folder.
        project: the dbt project.
        ports: where it is to listen.
        wait_seconds: how long Dagster may take until it answers.
        timer: waits.
        say: takes a line for the user.
        reveal: takes a line that must reach no log, and tells whether the user saw it.

    Raises:
        UsageError: ``PORT_IN_USE``; ``TCP_NOT_EMBEDDED``: a port is wanted of a server that is not our own.
        SetupError: ``DAGSTER_ENDED``: it ended by itself; ``DAGSTER_TIMEOUT``: it does not answer in time; or the warehouse
            cannot be had.
    """
    if ports.tcp is not None:
        check_embedded(settings)
    ports = _free_ports(ports)
    with resolve_server(settings, say, ports.tcp) as server, contextlib.ExitStack() as served:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        say("Looking at the models; their tables are made if there are none …")
        prepare(warehouse, project)
        explain_at = served.enter_context(explanations(warehouse, LOOPBACK))
        door = None if ports.tcp is None else served.enter_context(opened_to_reader(warehouse, ports.tcp, settings.state_dir))
        front = _Front(warehouse, door, docs_folder(settings) / "index.html")
        served.callback(front.close)
        say(f"Start here:  {front.open().as_uri()}")
        say(f"Explain:     {front.found('Explain', explain_at)}")
        home = {**make_home(settings.state_dir, server), EXPLAIN_URL: explain_at}
        log = Path(home["DAGSTER_HOME"]) / LOG_FILE
        with _dagster(home, settings, ports.pages, timer) as process:
            url = f"http://{LOOPBACK}:{ports.pages}"
            say(f"Starting Dagster; what it says is in {log} …")
            _wait_until_it_answers(process, url, log, wait_seconds, timer, say)
            say(f"Dagster:     {front.found('Dagster', url)}")
            say(f"Warehouse:   {reader_url(warehouse)}")
            if door is not None and not reveal(f"TCP:         {door.with_password()}"):
                say(f"TCP:         {door.address}")
            say(f"dbt docs:    {front.found('dbt docs', _dbt_docs(project, warehouse, settings).as_uri())}")
            say(f"Contracts:   {front.found('Contracts', _contract_docs(project, settings).as_uri())}")
            if offers_bundled(settings):
                say(BUNDLED_SAYS)
            say("Ctrl-C ends all of it.")
            looks = 0
            while process.poll() is None:
                timer.sleep(_POLL_SECONDS)
                looks += 1
                if looks * _POLL_SECONDS >= front_page.EVERY_SECONDS:
                    front.renew()
                    looks = 0
            raise _ended(process, log)


class _Front:
    """The page that says where everything is, as far as it is up."""

    def __init__(self, warehouse: Warehouse, door: ReaderDoor | None, page: Path) -> None:
        self._warehouse = warehouse
        self._page = page
        self._links = [
            front_page.Link("Dagster", None, "batches as partitions, every proof as a check, backfills, schedules"),
            front_page.Link("dbt docs", None, "tables and columns, what they mean, and what they come from"),
            front_page.Link("Contracts", None, "what each table promises"),
            front_page.Link("Explain", None, "where a row of gold comes from, down to the bytes of the answers"),
            front_page.Link("Warehouse", reader_url(warehouse), "for BI tools and notebooks, as the reader"),
        ]
        if door is not None:
            about = f"the same for tools that need a host and a port; the password is the end of {door.file}"
            self._links.append(front_page.Link("Warehouse by TCP", door.address, about))

    def open(self) -> Path:
        """Write it for the first time."""
        self.renew()
        return self._page

    def found(self, title: str, address: str) -> str:
        """Something is up: link it."""
        self._links = [replace(link, address=address) if link.title == title else link for link in self._links]
        self.renew()
        return address

    def renew(self) -> None:
        """Write it anew; a warehouse that is busy, or gone, leaves the page as it is."""
        self._write(up=True)

    def close(self) -> None:
        """All of it ends: whoever still has the page open is told, and led nowhere that is gone."""
        self._links = [replace(each, address=None) if (each.address or "").startswith("http") else each for each in self._links]
        self._write(up=False)

    def _write(self, *, up: bool) -> None:
        with contextlib.suppress(psycopg.Error, WarehouseError):
            front_page.write(self._page, self._links, front_page.standing_of(self._warehouse), SystemClock().now(), up=up)


def reader_url(warehouse: Warehouse) -> str:
    """The warehouse's address for BI tools, as the reader; without its password."""
    user = warehouse.user(Role.READER)
    if warehouse.host.startswith("/"):
        return f"postgresql:///{warehouse.dbname}?host={warehouse.host}&port={warehouse.port}&user={user}"
    return f"postgresql://{user}@{warehouse.host or 'localhost'}:{warehouse.port or '5432'}/{warehouse.dbname}"


def _free_ports(wanted: Ports) -> Ports:
    """The ports that can be had; both are held until both are found, so that they are two."""
    with socket.socket() as pages, socket.socket() as tcp:
        return Ports(_held(pages, wanted.pages, "--port"), None if wanted.tcp is None else _held(tcp, wanted.tcp, "--tcp"))


def _held(probe: socket.socket, port: int, option: str) -> int:
    # what was closed a moment ago is free; who only holds it, as another probe does, must not be overlooked
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((LOOPBACK, port))
        probe.listen()
    except OSError as error:
        raise UsageError(
            "PORT_IN_USE", f"Port {port} of {LOOPBACK} cannot be had: {error.strerror}.", f"Name another one ({option})."
        ) from None
    return int(probe.getsockname()[1])


@contextlib.contextmanager
def _dagster(home: Mapping[str, str], settings: Settings, port: int, timer: Timer) -> Iterator[subprocess.Popen[bytes]]:
    """Dagster's processes; none is left afterwards, however it comes to an end."""
    environment = {**os.environ, **home, _MARK: str(os.getpid()), "SPORTS_MARKET_STATE_DIR": str(settings.state_dir.absolute())}
    if settings.database_url is not None:
        environment["SPORTS_MARKET_DATABASE_URL"] = settings.database_url
    arguments = [sys.executable, "-m", "dagster", "dev", "-m", MODULE, "--host", LOOPBACK, "--port", str(port)]
    with (Path(home["DAGSTER_HOME"]) / LOG_FILE).open("wb") as log:
        process = _start(arguments, environment, log)
        try:
            yield process
        finally:
            _end(process, timer)


def _start(arguments: list[str], environment: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
    # a session of its own: a Ctrl-C reaches us alone, and we end the others in order
    return subprocess.Popen(
        arguments, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


def _end(process: subprocess.Popen[bytes], timer: Timer) -> None:
    """End a process and all that it started: the first is asked, those that it leaves behind are told, the rest is killed."""
    family = [member for member in psutil.process_iter() if _is_marked(member)]
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
    for number in (signal.SIGTERM, signal.SIGKILL):
        family = _left(family, process, timer)
        _signal(family, number)
    _left(family, process, timer)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_SECONDS)


def _left(family: Iterable[psutil.Process], process: subprocess.Popen[bytes], timer: Timer) -> list[psutil.Process]:
    """Those of a family that still run after some patience."""
    end = timer.elapsed() + _PATIENCE_SECONDS
    while left := [member for member in family if _runs(member, process)]:
        if timer.elapsed() >= end:
            return left
        timer.sleep(_POLL_SECONDS)
    return []


def _runs(member: psutil.Process, process: subprocess.Popen[bytes]) -> bool:
    """Whether it has not ended yet; one that has, and that its parent never asks about, has ended all the same."""
    if member.pid == process.pid:
        return process.poll() is None
    # where we are the first process, or stand in for it, the orphans are ours
    with contextlib.suppress(ChildProcessError):
        os.waitpid(member.pid, os.WNOHANG)
    try:
        return bool(member.is_running() and member.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.NoSuchProcess:
        return False


def _is_marked(process: psutil.Process) -> bool:
    """Whether it was started by this command, by way of whomever: parents end, and sessions are begun anew."""
    try:
        return bool(process.environ().get(_MARK) == str(os.getpid()))
    except (psutil.Error, OSError):  # gone, or somebody else's
        return False


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def _wait_until_it_answers(
    process: subprocess.Popen[bytes], url: str, log: Path, wait_seconds: int, timer: Timer, say: Say
) -> None:
    began = told = timer.elapsed()
    with requests.Session() as session:
        session.trust_env = False
        while process.poll() is None:
            with contextlib.suppress(requests.RequestException):
                if session.get(f"{url}/server_info", timeout=5).ok:
                    return
            now = timer.elapsed()
            if now - began >= wait_seconds:
                raise SetupError(
                    "DAGSTER_TIMEOUT",
                    f"Dagster does not answer at {url} within {wait_seconds} s; it said: {_last_words(log)}",
                    f"Give it more time (--wait), or see what it waits for in {log}.",
                )
            if now - told >= _TELL_SECONDS:
                told = now
                words = _WHEN_AND_WHO.sub("", _last_words(log, 1))
                waited = f"… for {now - began:.0f} s of at most {wait_seconds}; its last words: "
                say(waited + printable(words, most=_COLUMNS - 1 - len(waited)))
            timer.sleep(_POLL_SECONDS)
    raise _ended(process, log)


def _last_words(log: Path, count: int = _LOG_LINES) -> str:
    lines = _COLOUR.sub("", log.read_text(encoding="utf-8", errors="replace")).splitlines()[-count:]
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " | ".join(lines)) or "nothing"


def _ended(process: subprocess.Popen[bytes], log: Path) -> SetupError:
    how = f"Dagster ended with {process.returncode}: {_last_words(log)}"
    return SetupError("DAGSTER_ENDED", how, f"All that it said is in {log}.")


def _dbt_docs(project: DbtProject, warehouse: Warehouse, settings: Settings) -> Path:
    return write_dbt_docs(project, warehouse, docs_folder(settings) / "dbt")


def _contract_docs(project: DbtProject, settings: Settings) -> Path:
    from pipeline.contracts.commands import docs  # what it stands on takes ten seconds to import

    return docs(project.manifest(), docs_folder(settings) / "contracts")


def docs_folder(settings: Settings) -> Path:
    """Where pages are written."""
    return settings.state_dir.absolute() / "docs"
