"""Where the columns of each model come from: computed from the compiled models, and kept beside them in ``dbt/lineage.json``.

What a source is, ``query_sources`` says. A model's sources are columns of what it names with ``ref`` and ``source``; where it
reads its own earlier rows, they are what these were made of.

``python -m pipeline.transform.lineage`` writes the file anew, and a test says when that is due. So that who opens Dagster's
pages asks no database.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from pipeline.errors import SetupError, SportsMarketError
from pipeline.resources import resource
from pipeline.settings import Settings
from pipeline.transform.query_sources import Column, column_sources
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import bootstrap, resolve_server

if TYPE_CHECKING:
    from pipeline.transform.project import DbtProject

# Schema and name of a model → its columns in their order → the sources of each, sorted.
Lineage: TypeAlias = Mapping[tuple[str, str], Mapping[str, tuple[Column, ...]]]

FILE: Final = "lineage.json"
_MODELS: Final = ("--select", "config.materialized:ledgered", "config.materialized:view")


@functools.cache
def read_lineage() -> Lineage:
    """What the file says."""
    found: dict[tuple[str, str], dict[str, tuple[Column, ...]]] = {}
    for name, sources in json.loads(resource(f"dbt/{FILE}").read_bytes()).items():
        schema, table, column = name.split(".")
        found.setdefault((schema, table), {})[column] = tuple(Column(*source.split(".")) for source in sources)
    return found


def lineage_text(lineage: Lineage) -> str:
    """The file's text: one line per column, models by name, columns as they stand in the model."""
    lines = [
        f"{json.dumps('.'.join((*model, name)))}: {json.dumps(['.'.join((s.schema, s.table, s.name)) for s in sources])}"
        for model, columns in sorted(lineage.items())
        for name, sources in columns.items()
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def compiled_models(project: DbtProject, warehouse: Warehouse) -> dict[tuple[str, str], str]:
    """Schema and name of each model that is a relation → its query, as dbt compiles it for a warehouse.

    Raises:
        SetupError: ``DBT_FAILED``.
    """
    nodes = project.manifest().nodes
    found = {}
    for result in project.invoke("compile", _MODELS, warehouse.dbt_env(Role.TRANSFORMER)):
        if result.resource_type != "model":  # hooks are compiled too
            continue
        if not result.sql:
            raise SetupError("DBT_FAILED", f"dbt cannot compile {result.unique_id}: {result.message}", "Mend the model.")
        found[nodes[result.unique_id].schema, result.name] = result.sql
    return found


def compute_lineage(models: Mapping[tuple[str, str], str], warehouse: Warehouse) -> Lineage:
    """Ask PostgreSQL what it takes each model for.

    Args:
        models: from :func:`compiled_models`, for the same warehouse.
        warehouse: prepared; nothing is written to it.

    Raises:
        SetupError: ``QUERY_UNKNOWN``: a model has a construct that ``query_sources`` does not know.
    """
    with warehouse.connect(Role.OWNER) as connection:
        return {model: beyond_itself(model, column_sources(connection, query)) for model, query in models.items()}


def beyond_itself(model: tuple[str, str], columns: Mapping[str, frozenset[Column]]) -> dict[str, tuple[Column, ...]]:
    """Put in the place of a model's own columns what they come from, however often it reads itself."""
    found = {}
    for name in columns:
        reached, waiting = {name}, [name]
        sources: set[Column] = set()
        while waiting:
            for each in columns[waiting.pop()]:
                if (each.schema, each.table) != model:
                    sources.add(each)
                elif each.name not in reached:
                    reached.add(each.name)
                    waiting.append(each.name)
        found[name] = tuple(sorted(sources))
    return found


def main() -> int:
    """Write the file anew, by a database that is made for it and dropped. Returns the exit code."""
    from pipeline.transform.apply import prepare
    from pipeline.transform.project import DbtProject

    try:
        settings = Settings.from_env(os.environ)
        project = DbtProject(settings.state_dir.absolute() / "dbt", print)
        with resolve_server(settings, print) as server:
            warehouse = server.create_database(f"lineage_{os.getpid()}")
            try:
                bootstrap(warehouse)
                prepare(warehouse, project)
                text = lineage_text(compute_lineage(compiled_models(project, warehouse), warehouse))
            finally:
                server.drop_database(warehouse)
    except SportsMarketError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    file = resource("dbt") / FILE
    file.write_text(text, encoding="utf-8")
    print(f"{file}: {text.count(chr(10)) - 2} columns")
    return 0


if __name__ == "__main__":
    sys.exit(main())
