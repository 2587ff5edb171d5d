"""Where Dagster keeps its own state: a folder with its configuration, and a database of its own beside the warehouse.

``python -m pipeline.orchestration.home COMMAND …`` makes both, and becomes the command: how ``deploy/`` starts each of
Dagster's processes.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import yaml

from pipeline.errors import SetupError, SportsMarketError, UsageError, WarehouseError
from pipeline.settings import Settings
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server, resolve_server
from pipeline.whole_files import written_whole

DATABASE: Final = "sports_market_dagster"
FOLDER: Final = "dagster"
URL_VARIABLE: Final = "SPORTS_MARKET_DAGSTER_URL"
# Ticks of sensors that found nothing come twice a minute.
KEEP_TICKS_DAYS: Final = {"skipped": 2, "success": 14, "failure": 60, "started": 14}

CONFIGURATION: Final = {
    # the address may hold a password, so it stands in no file
    "storage": {"postgres": {"postgres_url": {"env": URL_VARIABLE}}},
    # one step at a time per pool: credits are spent and batches published in turn
    "concurrency": {"pools": {"default_limit": 1, "granularity": "op"}},
    "retention": {"schedule": {"purge_after_days": KEEP_TICKS_DAYS}, "sensor": {"purge_after_days": KEEP_TICKS_DAYS}},
    "run_monitoring": {"enabled": True},
    "telemetry": {"enabled": False},
    # no invitation to sign up before the first page is seen
    "nux": {"enabled": False},
}


def make_home(state_dir: Path, server: Server) -> dict[str, str]:
    """Write Dagster's configuration, and make its database where it is missing; Dagster makes the tables itself.

    Args:
        state_dir: the folder is made in it.
        server: it must run for as long as Dagster does.

    Returns:
        The environment variables with which any of Dagster's commands finds both.

    Raises:
        WarehouseError: ``DATABASE_CREATE_FORBIDDEN``.
    """
    home = state_dir.absolute() / FOLDER
    home.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(CONFIGURATION, sort_keys=False)
    file = home / "dagster.yaml"
    if not file.is_file() or file.read_text(encoding="utf-8") != text:
        # several processes may start at once, and each reads it
        with written_whole(file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    if not server.exists(DATABASE):
        try:
            server.create_database(DATABASE)
        except WarehouseError as error:
            if error.code != "DATABASE_EXISTS":  # another process was faster
                raise
    # no role of the pipeline has any business there, and none can hold a lock that Dagster waits for
    server.close_to_others(server.warehouse(DATABASE))
    return {"DAGSTER_HOME": str(home), URL_VARIABLE: url_of(server.warehouse(DATABASE))}


def url_of(warehouse: Warehouse) -> str:
    """The database's address as its owner, in the form that SQLAlchemy reads. It may hold a password: never print it."""
    password = warehouse.password(Role.OWNER)
    login = quote(warehouse.owner, safe="") + ("" if password is None else f":{quote(password.reveal(), safe='')}")
    parameters = dict(warehouse.parameters)
    if warehouse.host.startswith("/"):
        parameters |= {"host": warehouse.host, "port": warehouse.port}
        place = ""
    else:
        place = f"{warehouse.host}:{warehouse.port}" if warehouse.port else warehouse.host
    given = {name: value for name, value in parameters.items() if value}
    # the driver by name: what SQLAlchemy takes by itself is not the one that Dagster is written for
    return f"postgresql+psycopg2://{login}@{place}/{quote(warehouse.dbname, safe='')}" + (
        f"?{urlencode(given)}" if given else ""
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Make Dagster's home on the server of the database URL, then become a command that finds it.

    Args:
        arguments: the command and its arguments; ``sys.argv`` by default.

    Returns:
        The error's exit code; where all is well it does not return.
    """
    command = list(sys.argv[1:] if arguments is None else arguments)
    try:
        settings = Settings.from_env(os.environ)
        if not command or settings.database_url is None:
            raise UsageError(
                "COMMAND_OR_URL_MISSING",
                "Both a command to become and a database URL are needed: the embedded server would end with this process.",
                "Set SPORTS_MARKET_DATABASE_URL or SPORTS_MARKET_DATABASE_URL_FILE, and name the command.",
            )
        with resolve_server(settings, lambda line: None) as server:
            home = make_home(settings.state_dir, server)
        try:
            os.execvpe(command[0], command, {**os.environ, **home})
        except OSError as error:
            raise SetupError("COMMAND_NOT_FOUND", f"{command[0]}: {error.strerror}.", "Name a command that there is.") from None
    except SportsMarketError as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
