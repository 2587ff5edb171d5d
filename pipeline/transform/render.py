"""dbt renders the program of a batch: each kind of work is done once on an empty warehouse, and what dbt sends is taken down.

``python -m pipeline.transform.render`` writes ``dbt/program.json`` anew, and with it ``dbt/relations.json`` and the exposure
``dbt/models/bi_tools.yml``, which follow from the models too. A test says when it is due.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg2.extensions

from pipeline.errors import SetupError, SportsMarketError
from pipeline.resources import resource
from pipeline.settings import Settings
from pipeline.transform.engine import WORKS, NodeResult, Session, Work
from pipeline.transform.program import FILE, WRITES_ROWS, Program, Step, project_key, write_program
from pipeline.transform.project import DbtProject
from pipeline.warehouse.database import Server, bootstrap
from pipeline.warehouse.digest import FILE as RELATIONS
from pipeline.warehouse.digest import relations_text

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

    from pipeline.warehouse.connect import Warehouse

# dbt puts a comment before each statement that says which node it belongs to; what has none goes on with the one before.
_COMMENT: Final = re.compile(r"\A\s*/\*\s*(\{.*?\})\s*\*/\s*", re.DOTALL)
# What dbt asks the catalog: whether a relation is there, of what columns it is. In a program that is settled.
_CATALOG: Final = re.compile(r"\Aselect\b(?!\s+ops\.)", re.IGNORECASE)
# The name that dbt's own hook goes by.
HOOK: Final = "prepare_run"
# What stands before a statement and says what it is for.
_REMARK: Final = re.compile(r"\A(?:\s*--[^\n]*\n)*\s*")
# A model's one statement begins so; it gives the number of rows that it wrote.
_MAIN: Final = "with fresh as materialized"


def render_apart(project: DbtProject, key: str) -> Program:
    """Render the program in an embedded server that is there for this alone.

    Args:
        project: dbt's.
        key: of the state of the project.

    Raises:
        SetupError: ``DBT_PROJECT_BROKEN``, ``DBT_FAILED``, ``PROGRAM_NOT_RENDERED``.
    """
    from pipeline.warehouse.embedded import EmbeddedServer

    # a short path, in which a socket fits
    with tempfile.TemporaryDirectory(prefix="sm-", dir="/tmp") as folder:
        embedded = EmbeddedServer.start(Path(folder))
        with Server(embedded.warehouse("render_"), embedded, "an embedded server") as server:
            return render(project, server.create_database("render"), key)


def render(project: DbtProject, warehouse: Warehouse, key: str) -> Program:
    """Take down what dbt sends for each kind of work.

    Args:
        project: parsed.
        warehouse: an empty database, which is bootstrapped and filled with relations.
        key: of the state of the project.
    """
    from pipeline.transform.apply import transformer_session

    bootstrap(warehouse)
    manifest = project.manifest()
    parts: dict[Work, tuple[Step, ...]] = {}
    with transformer_session(warehouse) as session:
        for work in WORKS:
            with session.cursor() as cursor:
                # empty: no batch has this name
                cursor.execute("delete from ops.run_batches; insert into ops.run_batches values ('')")
            sent, results = _listened(session, warehouse, project, work)
            broken = [result for result in results if not result.ok]
            if broken:
                raise SetupError(
                    "PROGRAM_NOT_RENDERED",
                    f"{broken[0].unique_id}: {broken[0].message}",
                    "Mend what is named, and run it again.",
                )
            parts[work] = tuple(_steps(sent, results, manifest, warehouse.dbname))
    relations = [each for each in manifest.nodes.values() if str(each.resource_type) in ("model", "seed")]
    return Program(
        key,
        project.fingerprints(),
        project.scopes(),
        project.views(),
        tuple(sorted(f"{each.schema}.{each.alias}" for each in relations if each.config.materialized in ("ledgered", "seed"))),
        parts,
    )


def _listened(
    session: Session, warehouse: Warehouse, project: DbtProject, work: Work
) -> tuple[list[str], tuple[NodeResult, ...]]:
    sent: list[str] = []

    class Listening(psycopg2.extensions.cursor):
        def execute(self, query: Any, values: Any = None) -> None:
            super().execute(query, values)
            sent.append(self.query.decode() if self.query is not None else str(query))

    session.cursor_factory = Listening
    try:
        with _every_table_grown():
            return sent, project.run(session, warehouse, work)
    finally:
        session.cursor_factory = psycopg2.extensions.cursor


@contextmanager
def _every_table_grown() -> Iterator[None]:
    """Let each table be analyzed, so that the statement for it is sent."""
    os.environ["SPORTS_MARKET_DBT_GROWN"] = "0"
    try:
        yield
    finally:
        del os.environ["SPORTS_MARKET_DBT_GROWN"]


def _steps(sent: Iterable[str], results: Iterable[NodeResult], manifest: Manifest, dbname: str) -> Iterator[Step]:
    """One step for each node that did something, in dbt's order; what comes before all nodes first."""
    of_nodes: dict[str, list[str]] = {}
    node = HOOK
    for text in sent:
        comment = _COMMENT.match(text)
        if comment is not None:
            told = json.loads(comment[1])
            node = told.get("node_id", HOOK)
        statement = text[comment.end() :].strip() if comment is not None else text.strip()
        if not _CATALOG.match(statement) and statement:
            # a program belongs to no database
            statement = statement.replace(f'"{dbname}".', "")
            of_nodes.setdefault(node, []).extend(_each(statement) if WRITES_ROWS.match(statement) else [statement])
    if HOOK in of_nodes:
        yield Step(HOOK, HOOK, "operation", tuple(of_nodes[HOOK]))
    nodes = [result for result in results if result.resource_type in ("model", "seed", "test")]
    after = _after(manifest, {result.unique_id for result in nodes})
    for result in nodes:
        if result.resource_type == "test":
            test: Any = manifest.nodes[result.unique_id]
            if test.config.severity.upper() != "ERROR":
                raise SetupError("PROGRAM_NOT_RENDERED", f"{result.unique_id} only warns.", "A test of ours fails or passes.")
            query = (result.sql or "").replace(f'"{dbname}".', "")
            yield Step(result.unique_id, result.name, result.resource_type, (query,), after=after[result.unique_id])
            continue
        statements = tuple(of_nodes.get(result.unique_id, ()))
        counted = next((place for place, text in enumerate(statements) if text.startswith(_MAIN)), None)
        grown = [text for text in statements if text.startswith(("analyze ", "select ops.analyze_months"))]
        kept = tuple(text for text in statements if text not in grown)
        yield Step(
            result.unique_id,
            result.name,
            result.resource_type,
            kept,
            counted,
            grown[0] if grown else None,
            after[result.unique_id],
        )


def _each(text: str) -> Iterator[str]:
    """The statements of a text, one by one, so that each can be prepared; the run's hook is one text of many."""
    import sqlparse  # of dbt

    for statement in sqlparse.split(text, strip_semicolon=True):
        yield _REMARK.sub("", statement).rstrip()


def _after(manifest: Manifest, chosen: set[str]) -> dict[str, tuple[str, ...]]:
    """What each of some nodes waits for, as dbt has it: what it reads, and the tests of what it reads.

    A test holds a node up where all that the test looks at comes before the node.
    """

    def parents(unique_id: str) -> tuple[str, ...]:
        node: Any = manifest.nodes.get(unique_id)
        return () if node is None else tuple(getattr(node.depends_on, "nodes", ()))  # a seed reads nothing

    before: dict[str, set[str]] = {}

    def all_before(unique_id: str) -> set[str]:
        if unique_id not in before:
            direct = parents(unique_id)
            before[unique_id] = set(direct).union(*(all_before(each) for each in direct)) if direct else set()
        return before[unique_id]

    tests = [each for each in chosen if str(manifest.nodes[each].resource_type) == "test"]
    found = {}
    for unique_id in chosen:
        waits = all_before(unique_id) & chosen
        if str(manifest.nodes[unique_id].resource_type) == "model":
            waits |= {test for test in tests if parents(test) and set(parents(test)) <= all_before(unique_id)}
        found[unique_id] = tuple(sorted(waits))
    return found


def main() -> int:
    """Write the program anew, and what else follows from the models. Returns the exit code."""
    from pipeline.contracts.tables import read_contracts
    from pipeline.transform.relations import EXPOSURE, digested, exposure_text

    try:
        settings = Settings.from_env(os.environ)
        directory = resource("dbt")
        # read by dbt, so before it
        (directory / EXPOSURE).write_text(exposure_text(directory), encoding="utf-8")
        project = DbtProject(settings.state_dir.absolute() / "dbt", print)
        found = digested(project.manifest(), read_contracts())
        program = render_apart(project, project_key(directory))
    except SportsMarketError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    write_program(directory / FILE, program)
    (directory.parent / RELATIONS).write_text(relations_text(found), encoding="utf-8")
    told: Mapping[str, int] = {work: len(steps) for work, steps in program.parts.items()}
    print(f"{directory / FILE}: {', '.join(f'{number} steps of {work}' for work, number in told.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
