"""The pages that dbt makes of a project: every model, column and test, and how they hang together."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.errors import SetupError
from pipeline.transform.project import DbtProject, hand_on_interrupt
from pipeline.warehouse.connect import Role, Warehouse

FILE: Final = "index.html"


def write_dbt_docs(project: DbtProject, warehouse: Warehouse, folder: Path) -> Path:
    """Render dbt's own documentation as one page that needs neither a server nor a network.

    Args:
        project: the dbt project.
        warehouse: whose tables are described, with silver and gold in it.
        folder: it is made where it is missing.

    Returns:
        The page.

    Raises:
        SetupError: ``DBT_FAILED``.
    """
    from dbt.cli.main import dbtRunner

    target = project.work_dir / "docs"
    with project.environment(warehouse.dbt_env(Role.TRANSFORMER)):
        # what it would log of an error, with its trace, is in the result
        silent = ("--quiet", "--log-level", "none", "--log-level-file", "none")
        result = dbtRunner().invoke(["docs", "generate", "--static", *silent, *project.places(target)])
    hand_on_interrupt(result)
    page = target / "static_index.html"
    if not result.success or not page.is_file():
        raise SetupError("DBT_FAILED", f"dbt could not write its docs: {result.exception}", "The warehouse is unchanged.")
    folder.mkdir(parents=True, exist_ok=True)
    return page.replace(folder / FILE)
