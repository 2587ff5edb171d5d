"""A database with all relations and no row of a batch, kept on the embedded server; a replay's own database is a copy of it.

Making one takes six times the CPU of copying it. On a server that is somebody else's nothing is left behind, so none is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
from importlib import resources
from typing import Final

from pipeline.errors import SportsMarketError
from pipeline.transform.apply import prepare
from pipeline.transform.program import Program
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap

PREFIX: Final = "sports_market_template_"
# A process makes it under this name, which none that is done has.
_DRAFT: Final = f"{PREFIX}draft"
# One process at a time makes it; a killed one lets go.
_LOCK: Final = 7_305_011


def prepared_copy(server: Server, program: Program, name: str) -> Warehouse | None:
    """Make a database that is bootstrapped and prepared, by copying the template, which is made where it is missing.

    Args:
        server: where.
        program: what makes the relations.
        name: of the database.

    Returns:
        The database, which the server's object may drop; None where there is no template to be had: make it another way.

    Raises:
        WarehouseError: ``DATABASE_EXISTS``: there is a database of this name.
    """
    if server.embedded is None:
        return None
    wanted = _name(server, program)
    try:
        if not server.exists(wanted):
            _make(server, program, wanted)
        return server.clone_database(server.warehouse(wanted), name)
    except SportsMarketError as error:
        # a full disk, or another version of the project that just removed it
        if error.code == "DATABASE_EXISTS":
            raise
        with contextlib.suppress(SportsMarketError):  # it may not have come to be
            server.drop_database(server.warehouse(name))
        return None


def _name(server: Server, program: Program) -> str:
    """It tells all that decides what such a database holds: the SQL, the migrations, the roles' names, the server."""
    digest = hashlib.sha256()
    for file in sorted(resources.files("init_db").iterdir(), key=lambda file: file.name):
        if file.name.endswith((".sql", ".py")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    digest.update(f"{program.key} {server.home.role_prefix} {server.major}".encode())
    return f"{PREFIX}{digest.hexdigest()[:16]}"


def _make(server: Server, program: Program, name: str) -> None:
    with server.home.connect_unchecked(Role.OWNER) as alone:
        alone.execute("select pg_advisory_lock(%s)", [_LOCK])
        if server.exists(name):
            return
        # of other code, and what a killed process left
        server.drop_templates(PREFIX)
        draft = server.create_database(_DRAFT)
        try:
            bootstrap(draft)
            prepare(draft, program)
            with draft.connect_unchecked(Role.OWNER) as owner:
                owner.execute("analyze")
            server.keep_as_template(draft, name)
        except BaseException:
            with contextlib.suppress(SportsMarketError):  # the next one to make it does
                server.drop_database(draft)
            raise
