"""What follows from the models of gold, and is kept in files: which of them are digested, and that BI tools read them all.

``dbt/relations.json`` and ``dbt/models/bi_tools.yml`` are written with the program, by ``python -m pipeline.transform.render``.
They are files, as who needs them starts without dbt, or is dbt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.contracts.promises import FOLDER
from pipeline.contracts.tables import TableContract
from pipeline.errors import SetupError
from pipeline.warehouse.digest import GoldTable

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

EXPOSURE: Final = "models/bi_tools.yml"
_EXPOSURE_HEAD: Final = """\
# Written by `python -m pipeline.transform.render`: every model of gold.
version: 2

exposures:
  - name: bi_tools
    label: BI tools
    type: analysis
    maturity: medium
    description: "BI tools and ad-hoc SQL that connect as the role reader. They may read all of gold, which contracts promise."
    owner: {name: sports-market}
    depends_on:
"""


def exposure_text(project: Path) -> str:
    """The exposure of those who may read all of gold.

    Args:
        project: dbt's.
    """
    names = sorted(path.stem for path in (project / "models" / "gold").rglob("*.sql"))
    return _EXPOSURE_HEAD + "".join(f"      - ref('{name}')\n" for name in names)


def digested(manifest: Manifest, contracts: Sequence[TableContract]) -> tuple[GoldTable, ...]:
    """The relations of gold with their keys; what others are computed from comes first.

    Args:
        manifest: dbt's, as parsed.
        contracts: all of them; their keys are those of a row.

    Raises:
        SetupError: ``MODEL_INCOMPLETE``: a model of gold has no contract, or a stored one no scope.
    """
    models = {
        unique_id: node
        for unique_id, node in manifest.nodes.items()
        if str(node.resource_type) == "model" and node.schema in ("silver", "gold")
    }
    keys = {contract.name: contract.key for contract in contracts}
    found = []
    for unique_id in _in_order(models):
        node = models[unique_id]
        if node.schema != "gold":
            continue
        name = f"{node.schema}.{node.alias}"
        if name not in keys:
            raise SetupError("MODEL_INCOMPLETE", f"{name} has no contract.", f"Write {FOLDER}/{name}.yml.")
        is_view = node.config.materialized == "view"
        scope_key = "" if is_view else node.config.get("scope_key")
        if scope_key is None:
            raise SetupError(
                "MODEL_INCOMPLETE",
                f"{name} is stored, and its config has no scope_key.",
                "Name the column that says which event, or which row itself, a row is about.",
            )
        found.append(GoldTable(name, keys[name], scope_key))
    return tuple(found)


def _in_order(models: Mapping[str, Any]) -> list[str]:
    """By how many models a model stands above at most, then by name: it reads none that comes later."""
    depths: dict[str, int] = {}

    def depth(unique_id: str) -> int:
        if unique_id not in depths:
            depths[unique_id] = 1 + max(
                (depth(each) for each in models[unique_id].depends_on.nodes if each in models), default=0
            )
        return depths[unique_id]

    return sorted(models, key=lambda unique_id: (depth(unique_id), models[unique_id].alias))
