"""``python -m init_db``: bootstrap a database."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace

from init_db.bootstrap import bootstrap
from pipeline.errors import SportsMarketError
from pipeline.settings import Settings
from pipeline.warehouse.database import resolve_server


def main(arguments: Sequence[str] | None = None) -> int:
    """Bootstrap the database that the arguments or the environment name; the embedded one if they name none.

    Returns:
        The exit code: 0, or the error's.
    """
    parser = argparse.ArgumentParser(prog="python -m init_db", description="Make schemas, roles, tables, rights; idempotent.")
    parser.add_argument("--database-url", help="as the owner (default: SPORTS_MARKET_DATABASE_URL, else the embedded one)")
    parser.add_argument("--role-prefix", help="what the roles' names start with (default: SPORTS_MARKET_ROLE_PREFIX)")
    options = parser.parse_args(arguments)
    try:
        settings = Settings.from_env(os.environ)
        if options.database_url is not None:
            settings = replace(settings, database_url=options.database_url)
        if options.role_prefix is not None:
            settings = replace(settings, role_prefix=options.role_prefix)
        with resolve_server(settings, print) as server:
            bootstrap(server.warehouse(), print)
    except SportsMarketError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
