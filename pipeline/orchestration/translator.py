"""dbt's nodes in Dagster: how they are called, and which of them there are.

**The rule.** A relation's asset key is its schema and its name, as in the database: ``gold/price_history``,
``bronze/batches``, ``ops/ledger``. That holds for models, seeds and sources, so that the models' sources are the assets which
the load of a batch makes, and the lineage has no gap.

**Groups.** A model's group is its folder (``gold_prices``, ``silver_staging``), a seed's its schema: no second list says what
belongs together. The lineage opens on boxes of groups, so that no two of them may hang on each other.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

import dagster as dg
from dagster._core.definitions.metadata.source_code import CodeReferencesMetadataSet
from dagster_dbt import DagsterDbtTranslator, build_dbt_asset_specs

from pipeline.contracts.tables import TableContract, read_contracts
from pipeline.orchestration.dagster_resources import project_of, settings
from pipeline.orchestration.partitions import batches
from pipeline.orchestration.up import EXPLAIN_URL, docs_folder
from pipeline.report.explanation_page import address_of
from pipeline.resources import resource
from pipeline.transform.docs import FILE as DBT_DOCS
from pipeline.transform.lineage import read_lineage
from pipeline.transform.query_sources import Column

BLOCKING: Final = "blocking"
STORED: Final = "ledgered"
CONTRACTS: Final[Mapping[tuple[str, ...], TableContract]] = {(each.schema, each.table): each for each in read_contracts()}


class Translator(DagsterDbtTranslator):
    """Keys and groups by the rule above; stored models and blocking tests have a partition per batch."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Schema and name."""
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["name"]])

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """The folder below dbt/models; else the schema."""
        _top, *folders = PurePosixPath(dbt_resource_props["original_file_path"]).parent.parts
        return "_".join(folders) or str(dbt_resource_props["schema"])

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The model's own; its SQL is a link away."""
        return str(dbt_resource_props.get("description") or "")

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> dg.PartitionsDefinition | None:
        """One per batch where a batch adds rows."""
        return batches if is_stored(dbt_resource_props) else None

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """The team that its contract names."""
        contract = CONTRACTS.get((dbt_resource_props["schema"], dbt_resource_props["name"]))
        return [] if contract is None else [f"team:{contract.owner}"]

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> dict[str, Any]:
        """Columns and where each comes from; where its SQL, its contract and its pages are.

        The pages are there once ``up`` or the job ``docs`` wrote them. What a column comes from is told here and not with each
        batch: it follows from the code alone, and views are never materialized.
        """
        found = dict(super().get_metadata(dbt_resource_props))
        columns = read_lineage().get((dbt_resource_props["schema"], dbt_resource_props["name"]))
        if columns is not None:
            found["dagster/column_lineage"] = _lineage(columns)
        contract = CONTRACTS.get((dbt_resource_props["schema"], dbt_resource_props["name"]))
        if contract is not None:
            file = resource(f"contracts/warehouse/{contract.name}.yml")
            # no links: a page that came by HTTP may not open a file
            pages = docs_folder(settings())
            found |= {
                "contract": dg.MetadataValue.path(str(file)),
                "contract_page": dg.MetadataValue.path((pages / "contracts" / f"{contract.name}.html").as_uri()),
                "dbt_docs": dg.MetadataValue.path(
                    f"{(pages / 'dbt' / DBT_DOCS).as_uri()}#!/model/{dbt_resource_props['unique_id']}"
                ),
                "contract_version": contract.version,
                **_explained(contract.name),
                "grain": contract.grain,
            }
        source = resource("dbt") / dbt_resource_props["original_file_path"]
        references = dg.CodeReferencesMetadataValue(
            code_references=[dg.LocalFileCodeReference(file_path=str(source), label="dbt")]
        )
        return {**found, **CodeReferencesMetadataSet(code_references=references)}

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetCheckSpec | None:
        """A test as dagster-dbt has it; that it withholds a batch is our gate, so that Dagster need not be one."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        node = manifest["nodes"][unique_id]
        return dg.AssetCheckSpec(
            name=spec.name,
            asset=spec.asset_key,
            description=node.get("description") or f"dbt test {node['name']}",
            metadata=spec.metadata,
            additional_deps=spec.additional_deps,
            partitions_def=batches if is_blocking(node) else None,
        )


def _explained(name: str) -> dict[str, Any]:
    """Where it is told where a row of a table of gold comes from: a page while ``up`` runs, else a command."""
    if not name.startswith("gold."):
        return {}
    pages = os.environ.get(EXPLAIN_URL)
    told = f"sports-market explain {name} --key COLUMN=VALUE"
    return {"explain": told if pages is None else dg.MetadataValue.url(address_of(pages, name, {}))}


def _lineage(columns: Mapping[str, tuple[Column, ...]]) -> dg.TableColumnLineage:
    def dep(source: Column) -> dg.TableColumnDep:
        return dg.TableColumnDep(dg.AssetKey([source.schema, source.table]), source.name)

    return dg.TableColumnLineage({name: [dep(each) for each in sources] for name, sources in columns.items()})


def is_stored(node: Mapping[str, Any]) -> bool:
    """Whether a node is a table to which each batch adds."""
    return bool(node["resource_type"] == "model" and node["config"]["materialized"] == STORED)


def is_blocking(node: Mapping[str, Any]) -> bool:
    """Whether a test is looked at for every batch."""
    return BLOCKING in node.get("tags", ())


# dbt's own document, kept in the state folder: parsing the project takes seconds.
MANIFEST: Final = project_of(settings()).manifest_json()
TRANSLATOR: Final = Translator()
SOURCES: Final[Mapping[tuple[str, str], str]] = {
    (node["schema"], node["name"]): node["description"] for node in MANIFEST["sources"].values()
}
STORED_MODELS: Final = build_dbt_asset_specs(
    manifest=MANIFEST, dagster_dbt_translator=TRANSLATOR, select=f"config.materialized:{STORED}"
)
# No run makes them: seeds and views are there with the warehouse, and a view is as new as its tables. So Dagster must not
# wait for their materialization, nor ask about it before a backfill.
STANDING: Final = build_dbt_asset_specs(
    manifest=MANIFEST, dagster_dbt_translator=TRANSLATOR, select="resource_type:seed config.materialized:view"
)


def test_specs(*, blocking: bool) -> list[dg.AssetCheckSpec]:
    """Dbt's tests: those of every batch, or those of whole tables."""
    tests = [
        key for key, node in MANIFEST["nodes"].items() if node["resource_type"] == "test" and is_blocking(node) == blocking
    ]
    pairs = ((spec, unique_id) for spec in (*STORED_MODELS, *STANDING) for unique_id in tests)
    found = (TRANSLATOR.get_asset_check_spec(spec, MANIFEST, unique_id, None) for spec, unique_id in pairs)
    return [spec for spec in found if spec is not None]
