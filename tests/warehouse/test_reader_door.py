"""The embedded server's door: who comes in by TCP and who does not, and what is left when it is shut. All of it is real."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
import psycopg
import pytest

from pipeline.errors import SetupError, UsageError
from pipeline.settings import Settings
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap, resolve_server
from pipeline.warehouse.reader_door import PASSWORD_FILE, ReaderDoor, opened_to_reader

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Opened:
    server: Server
    warehouse: Warehouse
    door: ReaderDoor

    @property
    def data_dir(self) -> Path:
        assert self.server.embedded is not None
        return self.server.embedded.data_dir

    def connect(self, **other: str) -> psycopg.Connection[tuple[object, ...]]:
        """By TCP with the right password, but for what is said otherwise."""
        return psycopg.connect(self.door.with_password(), connect_timeout=10, **other)  # type: ignore[arg-type]


@contextmanager
def opened(state_dir: Path, port: int | None = None) -> Iterator[Opened]:
    settings = Settings(state_dir=state_dir)
    port = free_port() if port is None else port
    with resolve_server(settings, lambda line: None, port) as server:
        warehouse = server.warehouse()
        bootstrap(warehouse)
        with opened_to_reader(warehouse, port, state_dir) as door:
            yield Opened(server, warehouse, door)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    with opened(tmp_path_factory.mktemp("door")) as made:
        yield made


def listens(data_dir: Path) -> set[tuple[str, int]]:
    """The addresses on which the server listens, and its ports."""
    pid = int((data_dir / "postmaster.pid").read_text().split()[0])
    found = psutil.Process(pid).net_connections("inet")
    return {(each.laddr.ip, each.laddr.port) for each in found if each.status == psutil.CONN_LISTEN}


def test_the_reader_comes_in_with_its_password_and_reads(here: Opened) -> None:
    for address in (here.door.with_password(), here.door.address):
        with psycopg.connect(address) as reader:
            assert reader.info.host == "127.0.0.1" and reader.pgconn.used_password
            row = reader.execute("select current_user, count(*) from ops.batch_states").fetchone()
            assert row == ("sports_market_reader", 0)


def test_it_writes_nothing(here: Opened) -> None:
    with here.connect() as reader:
        reader.autocommit = True
        for statement in ("create table gold.mine (x int)", "delete from ops.batch_states", "create schema mine"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(statement.encode())


@pytest.mark.parametrize("password", ["wrong", "", "'; drop role x; --"])
def test_another_password_opens_nothing(here: Opened, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSFILE", "/dev/null")
    with pytest.raises(psycopg.OperationalError, match="password"):
        here.connect(password=password)


@pytest.mark.parametrize(
    "other",
    [{"user": "postgres"}, {"user": "sports_market_transformer"}, {"user": "sports_market_ingester"}, {"dbname": "postgres"}],
)
def test_nobody_else_comes_in_and_nowhere_else(here: Opened, other: dict[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry"):
        here.connect(**other)


def test_it_listens_on_the_loopback_alone(here: Opened) -> None:
    assert listens(here.data_dir) == {("127.0.0.1", here.door.port)}
    with pytest.raises(psycopg.OperationalError, match="refused"):
        here.connect(host="127.0.0.2")


def test_all_roles_still_come_in_by_the_socket(here: Opened) -> None:
    for role in Role:
        with here.warehouse.connect(role) as connection:
            assert not connection.pgconn.used_password


def test_the_password_is_in_one_file_that_is_its_owners(here: Opened) -> None:
    password = here.door.password.reveal()
    assert len(password) == 32 and password not in repr(here.door) and password not in here.door.address
    assert stat.S_IMODE(here.door.file.stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError):
        here.connect(password="wrong")
    folder = here.door.file.parent
    holders = [path for path in folder.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert holders == [here.door.file]


def test_shut_it_lets_nobody_in_and_ends_who_is_in(short_folder: Path) -> None:
    with ExitStack() as others:
        with opened(short_folder) as made:
            # another command comes, and goes on using the server
            others.enter_context(resolve_server(Settings(state_dir=short_folder), lambda line: None))
            inside = others.enter_context(made.connect())
            socket_reader = others.enter_context(made.warehouse.connect(Role.READER))
        with pytest.raises(psycopg.OperationalError, match="terminating"):
            inside.execute("select 1")
        with pytest.raises(psycopg.OperationalError, match="password"):
            made.connect()
        assert socket_reader.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        made.connect()


def test_the_password_stays_and_the_port_may_change(short_folder: Path) -> None:
    with opened(short_folder) as first:
        pass
    with opened(short_folder) as second, second.connect():
        assert second.door.password == first.door.password
    with resolve_server(Settings(state_dir=short_folder), lambda line: None) as server:
        assert server.embedded is not None and server.embedded.port == "5432"
        assert listens(server.embedded.data_dir) == set()


SPOILT: Final[dict[str, Callable[[Path], object]]] = {
    "open to others": lambda file: file.chmod(0o644),
    "of another kind": lambda file: file.write_text("a:b"),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_password_that_others_could_read_is_made_anew(short_folder: Path, how: str) -> None:
    with opened(short_folder) as first:
        pass
    SPOILT[how](short_folder / PASSWORD_FILE)
    with opened(short_folder) as second, second.connect():
        assert second.door.password != first.door.password
        assert stat.S_IMODE(second.door.file.stat().st_mode) == 0o600


def test_a_password_that_cannot_be_kept_is_told(short_folder: Path) -> None:
    (short_folder / PASSWORD_FILE).mkdir()
    with pytest.raises(SetupError) as caught, opened(short_folder):
        pass
    assert caught.value.code == "STATE_DIR_UNWRITABLE"
    assert PASSWORD_FILE in caught.value.message


def test_while_another_command_uses_the_server_no_door_is_opened(short_folder: Path) -> None:
    settings, port = Settings(state_dir=short_folder), free_port()
    with resolve_server(settings, lambda line: None) as other:
        with pytest.raises(SetupError) as caught:
            resolve_server(settings, lambda line: None, port)
        assert caught.value.code == "EMBEDDED_IN_USE"
        assert other.embedded is not None and listens(other.embedded.data_dir) == set()
    with opened(short_folder, port) as made, made.connect():
        # those that come later use it as it is
        with resolve_server(settings, lambda line: None) as later:
            assert later.embedded is not None and later.embedded.port == str(port)
        with pytest.raises(SetupError) as caught:
            resolve_server(settings, lambda line: None, free_port())
        assert caught.value.code == "EMBEDDED_IN_USE"


def killed(state_dir: Path, tcp_port: int | None) -> None:
    """Another command starts the server and is killed: the server goes on."""
    program = f"""
        import os, signal
        from pathlib import Path
        from pipeline.settings import Settings
        from pipeline.warehouse.database import resolve_server
        server = resolve_server(Settings(state_dir=Path({str(state_dir)!r})), print, {tcp_port})
        os.kill(os.getpid(), signal.SIGKILL)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert listens(state_dir / "postgres") == (set() if tcp_port is None else {("127.0.0.1", tcp_port)})


def test_after_a_kill_the_next_command_shuts_it(short_folder: Path) -> None:
    killed(short_folder, free_port())
    with resolve_server(Settings(state_dir=short_folder), lambda line: None) as server:
        assert server.embedded is not None and listens(server.embedded.data_dir) == set()
    assert not (short_folder / "postgres" / "postmaster.pid").exists()


def test_after_a_kill_a_door_is_opened_all_the_same(short_folder: Path) -> None:
    killed(short_folder, None)
    with opened(short_folder) as made, made.connect() as reader:
        assert reader.execute("select 1").fetchone() == (1,)


def test_another_server_is_not_ours_to_open(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path / "state", database_url="postgresql://owner:hidden@127.0.0.1:1/x")
    with pytest.raises(UsageError) as caught:
        resolve_server(settings, lambda line: None, 15432)
    assert caught.value.code == "TCP_NOT_EMBEDDED"
    assert "hidden" not in str(caught.value)
    assert not (tmp_path / "state").exists()
