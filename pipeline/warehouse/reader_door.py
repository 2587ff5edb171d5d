"""The reader's password for the embedded server's door: made once, kept in a file that libpq reads, and good while it is open.

It is one of libpq's password files (``PGPASSFILE``, or ``passfile`` in an address): who may read it types no password, and an
address that names it can be shown to anybody.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psycopg
from psycopg import sql

from pipeline.errors import SetupError, WarehouseError
from pipeline.secret import Secret
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.embedded import LOOPBACK
from pipeline.whole_files import written_whole

PASSWORD_FILE: Final = "reader.pgpass"
_KEPT: Final = re.compile(r"[^\n]*:([\w-]{32})\n")
_END_SESSIONS: Final = """
select pg_terminate_backend(s.pid)
from pg_stat_activity as s
where s.usename = %s and s.client_addr is not null
"""


@dataclass(frozen=True, slots=True)
class ReaderDoor:
    """How the reader comes in by TCP.

    Attributes:
        port: on the loopback.
        dbname: the database.
        user: the reader's name there.
        password: good for as long as the door is open.
        file: holds the password, for its owner alone.
    """

    port: int
    dbname: str
    user: str
    password: Secret = field(repr=False)
    file: Path

    @property
    def address(self) -> str:
        """A libpq address that names the file and not the password."""
        return f"postgresql://{self.user}@{LOOPBACK}:{self.port}/{self.dbname}?passfile={quote(str(self.file))}"

    def with_password(self) -> str:
        """A libpq address that opens the door by itself: show it to a person, and write it down nowhere."""
        return f"postgresql://{self.user}:{self.password.reveal()}@{LOOPBACK}:{self.port}/{self.dbname}"


@contextlib.contextmanager
def opened_to_reader(warehouse: Warehouse, port: int, state_dir: Path) -> Iterator[ReaderDoor]:
    """Let the reader in by the embedded server's door; afterwards nobody is in there any more, and nobody can come.

    Args:
        warehouse: the embedded server's own database, bootstrapped.
        port: the door's.
        state_dir: the password is kept there, so that it stays the same.

    Raises:
        SetupError: ``STATE_DIR_UNWRITABLE``.
        WarehouseError: the owner cannot come in.
    """
    user, file = warehouse.user(Role.READER), state_dir.absolute() / PASSWORD_FILE
    door = ReaderDoor(port, warehouse.dbname, user, _password(file, f"{LOOPBACK}:*:{warehouse.dbname}:{user}"), file)
    _let_in(warehouse, user, door.password)
    try:
        yield door
    finally:
        # a server that is gone lets nobody in either
        with contextlib.suppress(psycopg.Error, WarehouseError):
            _shut_out(warehouse, user)


def _password(file: Path, place: str) -> Secret:
    """The password that a file has for a place, made anew where others could have read it."""
    try:
        password = _kept(file) or Secret.at_random()
        with written_whole(file) as unfinished:
            unfinished.touch(mode=0o600)
            unfinished.write_text(f"{place}:{password.reveal()}\n", encoding="utf-8")
    except OSError as error:
        raise SetupError(
            "STATE_DIR_UNWRITABLE",
            f"The reader's password cannot be kept in {file}: {error.strerror}.",
            "Let this user write there, or set SPORTS_MARKET_STATE_DIR to another folder.",
        ) from None
    return password


def _kept(file: Path) -> Secret | None:
    try:
        with file.open(encoding="utf-8", errors="replace") as opened:
            if stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                return None
            found = _KEPT.fullmatch(opened.read())
    except FileNotFoundError:
        return None
    return Secret(found[1]) if found else None


def _let_in(warehouse: Warehouse, user: str, password: Secret) -> None:
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        # hashed here, so that the server's log never holds it
        hashed = owner.pgconn.encrypt_password(password.reveal().encode(), user.encode(), b"scram-sha-256").decode()
        owner.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(user), sql.Literal(hashed)))


def _shut_out(warehouse: Warehouse, user: str) -> None:
    with warehouse.connect(Role.OWNER, autocommit=True) as owner:
        owner.execute(sql.SQL("alter role {} password null").format(sql.Identifier(user)))
        owner.execute(_END_SESSIONS, [user])
