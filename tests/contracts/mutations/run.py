"""The mutation score: good answers and good rows are broken in every way that a rule is there for.

    python -m tests.contracts.mutations.run [--json]

Ends in 1 where a mutant survives, a rule has none, or something good is accused.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from pipeline.clock import SystemClock
from pipeline.settings import Settings
from pipeline.transform.current_program import load_program
from pipeline.warehouse.database import Server, bootstrap
from pipeline.warehouse.embedded import EmbeddedServer
from tests.conftest import CARELESS
from tests.contracts.mutations import answers, tables
from tests.contracts.mutations.score import Score, together
from tests.recordings import fill


def mutation_score(folder: Path) -> Score:
    """One score of all rules: of answers, and of tables at every place that enforces them.

    Args:
        folder: empty and of a short path, for a server of its own, into which the bundled recording is loaded.
    """
    program = load_program(folder / "dbt", lambda line: print(line, file=sys.stderr))
    embedded = EmbeddedServer.start(folder / "state", options=CARELESS)
    with Server(embedded.warehouse(Settings().role_prefix), embedded, "the score's embedded server") as server:
        warehouse = server.create_database("mutants")
        bootstrap(warehouse)
        fill(warehouse, program, SystemClock())
        return together(answers.score(), tables.score(warehouse, program.scopes()))


def main() -> int:
    """Print the score; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sm-mutants-", dir="/tmp") as folder:
        score = mutation_score(Path(folder))
    print(json.dumps(score.to_json(), indent=2) if options.json else score.text())
    return score.exit_code


if __name__ == "__main__":
    sys.exit(main())
