"""Everything is brought up by one command, seen over HTTP and SQL, and gone again after Ctrl-C, kill or a failure."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests

from pipeline.errors import SetupError
from pipeline.orchestration.up import Ports, _free_ports, _wait_until_it_answers
from tests.conftest import Project, with_parse

MINUTES = 4 * 60


@pytest.fixture(scope="module")
def state(project: Project) -> Iterator[Path]:
    # not below pytest's folder, which another session would close to the server's user
    folder = Path(tempfile.mkdtemp(prefix="sm-", dir="/tmp"))
    yield with_parse(folder, project)
    shutil.rmtree(folder, ignore_errors=True)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli", "up", *arguments]


def _environment(state: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPORTS_MARKET_", "DAGSTER_"))}
    return {**kept, "SPORTS_MARKET_STATE_DIR": str(state)}


@contextlib.contextmanager
def _started(state: Path, *options: str, at_a_terminal: bool = False) -> Iterator[tuple[subprocess.Popen[str], dict[str, str]]]:
    """The command once it has said all; killed at the end if it still runs."""
    ours, its = os.openpty() if at_a_terminal else os.pipe()
    process = subprocess.Popen(
        _command("--port", "0", *options), env=_environment(state), stdout=its, stderr=subprocess.PIPE, text=True
    )
    os.close(its)
    with os.fdopen(ours, encoding="utf-8") as stdout:
        try:
            said = {}
            # a terminal that its last writer has left is an error to read
            with contextlib.suppress(OSError):
                for line in stdout:
                    name, _, value = line.strip().partition(":")
                    said[name] = value.strip()
                    if line.startswith("Ctrl-C"):
                        break
            if "Ctrl-C ends all of it." not in said:
                raise AssertionError(process.communicate()[1])
            yield process, said
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=MINUTES)


def _family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def _of_those_alive(family: list[psutil.Process], ask: Callable[[psutil.Process], list[Any]]) -> list[list[Any]]:
    """What each says of itself; short-lived helpers of Dagster end while they are asked."""
    answers = []
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            answers.append(ask(member))
    return answers


def test_it_says_where_everything_is_and_ctrl_c_leaves_no_process_behind(state: Path) -> None:
    with _started(state) as (process, said):
        answer = requests.get(f"{said['Dagster']}/server_info", timeout=30)
        assert answer.ok and "dagster_version" in answer.json()
        with psycopg.connect(said["Warehouse"]) as reader:
            row = reader.execute("select current_user, count(*) from gold.price_history").fetchone()
            assert row == ("sports_market_reader", 0)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("select from bronze.bodies")
        for name in ("dbt docs", "Contracts"):
            page = Path(said[name].removeprefix("file://")).read_text(encoding="utf-8")
            assert "price_history" in page, name
        front = Path(said["Start here"].removeprefix("file://")).read_text(encoding="utf-8")
        for name in ("Dagster", "dbt docs", "Contracts"):
            assert f'<a href="{said[name]}">{name}</a>' in front
        assert "is starting" not in front and "No batch is here yet." in front
        family = _family(process)
        assert len(family) >= 4
        # nothing of it listens but on the loopback, and the server not even there
        assert {host for _, host, _ in _listening(family)} == {"127.0.0.1"}
        assert "TCP" not in said and "postgres" not in {name for name, _, _ in _listening(family)}
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=MINUTES) == 130
        # who still has the page open is told, and led to files alone
        front = Path(said["Start here"].removeprefix("file://")).read_text(encoding="utf-8")
        assert "Ended at" in front and "http-equiv" not in front and front.count("is not running") == 2
        assert re.findall(r'<a href="(\w+):', front) == ["file", "file"]
        # helpers of its own end with it, a moment later
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive


def _listening(family: list[psutil.Process]) -> set[tuple[str, str, int]]:
    """The programs that listen, and on which addresses and ports."""
    return {
        (name, connection.laddr.ip, connection.laddr.port)
        for name, connections in _of_those_alive(family, lambda member: [member.name(), member.net_connections("inet")])
        for connection in connections
        if connection.status == psutil.CONN_LISTEN
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_lets_the_reader_in_by_tcp_until_ctrl_c(state: Path) -> None:
    port = _free_port()
    with _started(state, "--tcp", str(port), at_a_terminal=True) as (process, said):
        address = re.fullmatch(
            rf"postgresql://sports_market_reader:([\w-]{{32}})@127\.0\.0\.1:{port}/sports_market", said["TCP"]
        )
        assert address, said
        with psycopg.connect(said["TCP"]) as reader:
            row = reader.execute("select current_user, count(*) from gold.price_history").fetchone()
            assert row == ("sports_market_reader", 0)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute("delete from gold.price_history")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(said["TCP"], password="wrong")
        with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
            psycopg.connect(said["TCP"], user="postgres")
        # by the socket all is as ever, and its name is the port's now
        with psycopg.connect(said["Warehouse"]) as reader:
            assert reader.execute("select current_user").fetchone() == ("sports_market_reader",)
        family = _family(process)
        assert {each for each in _listening(family) if each[0] == "postgres"} == {("postgres", "127.0.0.1", port)}
        # the page tells the file, and the password is in that file alone
        front = Path(said["Start here"].removeprefix("file://")).read_text(encoding="utf-8")
        assert f"127.0.0.1:{port}/sports_market?passfile={state}/reader.pgpass" in front
        # not below the parse that several tests share
        files = [path for path in state.rglob("*") if path.is_file()]
        assert [path for path in files if address[1].encode() in path.read_bytes()] == [state / "reader.pgpass"]
        assert (state / "reader.pgpass").stat().st_mode & 0o777 == 0o600
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=MINUTES) == 130
        assert process.stderr is not None
        assert address[1] not in process.stderr.read()
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_dagster_that_dies_ends_the_command_with_its_last_words(state: Path) -> None:
    with _started(state) as (process, _):
        family = _family(process)
        commands = _of_those_alive(family, lambda member: [member, *member.cmdline()])
        [dagster] = [member for member, *command in commands if "dagster" in command and "dev" in command]
        dagster.kill()
        assert process.wait(timeout=MINUTES) == 3
        assert process.stderr is not None
        told = process.stderr.read()
        assert re.search(r"error DAGSTER_ENDED: Dagster ended with -9: .*\n  next: .*dagster\.log", told), told
        _, alive = psutil.wait_procs(family, timeout=60)
        assert not alive


@pytest.mark.parametrize("option", ["--port", "--tcp"])
def test_a_port_that_is_taken_is_told_before_anything_starts(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        started = time.monotonic()
        done = _refused(tmp_path, "--port", "0", option, port)
    assert done.returncode == 2
    assert f"error PORT_IN_USE: Port {port} of 127.0.0.1" in done.stderr
    assert f"Name another one ({option})" in done.stderr
    assert time.monotonic() - started < MINUTES


def _refused(tmp_path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        _command(*options), env=_environment(tmp_path / "state"), capture_output=True, text=True, check=False, timeout=MINUTES
    )
    assert not (tmp_path / "state").exists()
    return done


def test_one_port_is_not_given_twice(tmp_path: Path) -> None:
    port = str(_free_port())
    done = _refused(tmp_path, "--port", port, "--tcp", port)
    assert done.returncode == 2
    assert f"error PORT_IN_USE: Port {port} of 127.0.0.1" in done.stderr and "(--tcp)" in done.stderr


@pytest.mark.parametrize(
    ("port", "said"),
    [
        ("0", "0 is less than 1024"),
        ("1023", "1023 is less than 1024"),
        ("65536", "65536 is more than 65535"),
        ("five", "'five' is no whole number"),
    ],
)
def test_a_port_that_is_none_is_told(tmp_path: Path, port: str, said: str) -> None:
    done = _refused(tmp_path, "--tcp", port)
    assert done.returncode == 2
    assert "error USAGE: Argument --tcp: " in done.stderr and said in done.stderr


def test_a_port_of_another_server_is_refused(tmp_path: Path) -> None:
    done = _refused(tmp_path, "--port", "0", "--tcp", "--database-url", "postgresql://owner:hidden@127.0.0.1:1/x")
    assert done.returncode == 2
    assert "error TCP_NOT_EMBEDDED: " in done.stderr and "Leave --tcp out" in done.stderr
    assert "hidden" not in done.stderr


def test_two_ports_that_are_free_are_two() -> None:
    for _ in range(20):
        found = _free_ports(Ports(0, 0))
        assert found.pages != found.tcp and found.tcp and found.pages
    assert _free_ports(Ports(0)).tcp is None


class Steps:
    """A timer that lets no time pass, and counts it."""

    def __init__(self) -> None:
        self.at = 0.0

    def elapsed(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_it_says_what_it_waits_for_and_for_how_long_at_most(tmp_path: Path) -> None:
    log = tmp_path / "dagster.log"
    log.write_text(
        "first\n\x1b[32m2026-11-30 15:23:27 +0000\x1b[0m - dagster.code_server - \x1b[34mINFO\x1b[0m -"
        " Loading code of pipeline.orchestration.definitions, which takes a while\n"
    )
    said: list[str] = []
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with pytest.raises(SetupError) as caught:
            _wait_until_it_answers(process, "http://127.0.0.1:1", log, 40, Steps(), said.append)
    finally:
        process.kill()
        process.wait()
    assert said == [
        # neither colours nor what every line of it begins with; no line is longer than a screen
        f"… for {at} s of at most 40; its last words: Loading code of pipeline.orchestration.definitions, which…"
        for at in (15, 30)
    ]
    assert {len(line) for line in said} == {100}
    assert caught.value.code == "DAGSTER_TIMEOUT"
    assert "within 40 s" in caught.value.message and "first | " in caught.value.message
    assert "--wait" in caught.value.next_step and str(log) in caught.value.next_step


# What a command has started: itself, and a child of a process that never asks what became of it.
UNREAPED = """
import atexit, os, subprocess, sys, time
marked = {**os.environ, "SPORTS_MARKET_UP": str(os.getpid())}
careless = (
    "import ast, subprocess, sys, time\\n"
    "print(subprocess.Popen(['sleep', '600'], env=ast.literal_eval(sys.argv[1])), flush=True)\\n"
    "time.sleep(100)\\n"
)
parent = subprocess.Popen([sys.executable, "-c", careless, repr(marked)], stdout=subprocess.PIPE)
atexit.register(parent.kill)
parent.stdout.readline()
"""
ORPHANED = """
import ctypes, os, subprocess, sys, time
marked = {**os.environ, "SPORTS_MARKET_UP": str(os.getpid())}
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # orphans become ours, as they are the first process's
subprocess.run(["sh", "-c", "sleep 600 & sleep 600 &"], env=marked, check=True)
"""
ENDS = """
from pipeline.clock import SystemClock
from pipeline.orchestration.up import _end, _is_marked
import psutil
process = subprocess.Popen(["sleep", "600"], env=marked, start_new_session=True)
time.sleep(0.5)
family = [member for member in psutil.process_iter() if _is_marked(member)]
_end(process, SystemClock())
def runs(member):
    try:
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
print(len(family), sum(runs(member) for member in family))
"""


@pytest.mark.parametrize(("started", "members"), [(UNREAPED, 2), (ORPHANED, 3)])
def test_it_ends_where_nobody_asks_what_became_of_a_process(started: str, members: int) -> None:
    done = subprocess.run([sys.executable, "-c", started + ENDS], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == [str(members), "0"], done.stderr
