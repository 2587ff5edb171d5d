"""dbt's docs are complete: whatever a reader of them meets has a description, and exposures say who reads what."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
import yaml

from pipeline.contracts.described import described_models
from pipeline.contracts.promises import project_files
from pipeline.contracts.tables import read_contracts
from pipeline.resources import resource
from tests.conftest import Project

# A description that is a block, and nothing else.
TAKES = re.compile(r"\{\{ doc\('\w+'\) \}\}")
REPOSITORY = Path(__file__).resolve().parents[2]
# What else reads gold, by the exposure's name; None: all of it.
READERS = {
    "report": sorted((REPOSITORY / "pipeline" / "report").glob("*.py")),
    "gold_notebook": [REPOSITORY / "docs" / "gold.ipynb"],
    "bi_tools": None,
}


def test_whatever_is_ours_has_a_description(project: Project) -> None:
    manifest = project.manifest()
    named = (
        # a generic test is said by the column or model that it stands with
        *(each for each in manifest.nodes.values() if each.resource_type != "operation" and not hasattr(each, "test_metadata")),
        *manifest.macros.values(),
        *manifest.exposures.values(),
        *manifest.sources.values(),
    )
    ours = [each for each in named if each.package_name == "sports_market"]
    assert {str(each.resource_type) for each in ours} >= {"model", "seed", "macro", "exposure", "source", "analysis", "test"}
    assert sorted({each.unique_id for each in ours if not each.description.strip()}) == []
    assert sorted(source.name for source in manifest.sources.values() if not source.source_description.strip()) == []


def test_every_column_has_a_description(project: Project) -> None:
    nodes = [node for node in project.manifest().nodes.values() if node.package_name == "sports_market"]
    described = {node.name: {column.name: column.description for column in node.columns.values()} for node in nodes}
    for contract in read_contracts():
        assert [column.name for column in contract.columns] == list(described[contract.table]), contract.name
    for path in sorted(resource("dbt/seeds").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            assert next(csv.reader(file)) == list(described[path.stem]), path.name
    missing = [
        f"{name}.{column}" for name, columns in described.items() for column, text in columns.items() if not text.strip()
    ]
    assert missing == []


def test_a_text_of_columns_stands_once() -> None:
    """What two columns are in the same words is a block, and each block is taken by two at least."""
    texts: Counter[str] = Counter()
    for path in sorted(resource("dbt/models").rglob("*.yml")):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", ()):
            texts.update(column["description"] for column in model["columns"])
    assert [text for text, times in texts.items() if times > 1 and not TAKES.fullmatch(text)] == []
    blocks = Counter(block for text, times in texts.items() for block in re.findall(r"doc\('(\w+)'\)", text) * times)
    dictionary = resource("dbt/models/columns.md").read_text(encoding="utf-8")
    written = re.findall(r"{% docs (\w+) %}\n(.+)\n{% enddocs %}", dictionary)
    assert [name for name, _ in written] == sorted(blocks)
    assert [name for name, times in blocks.items() if times < 2] == []
    assert not {text for _, text in written} & texts.keys()


def test_dbt_reads_the_same_texts_as_we(project: Project) -> None:
    models = described_models(project_files(), faults := [])
    assert faults == []
    nodes = {f"{node.schema}.{node.name}": node for node in project.manifest().nodes.values() if node.resource_type == "model"}
    for name, model in models.items():
        assert model.description == nodes[name].description
        assert {each.name: each.description for each in model.columns} == {
            column.name: column.description for column in nodes[name].columns.values()
        }
        units = {column.name: column.config.meta.get("unit") for column in nodes[name].columns.values()}
        assert {each.name: each.unit for each in model.columns} == units


def test_a_description_of_nothing_is_found(project: Project) -> None:
    """dbt takes a patch of a macro that is not there without a word."""
    written = set(
        re.findall(r"^  - name: (\w+)$", resource("dbt/macros/_macros.yml").read_text(encoding="utf-8"), re.MULTILINE)
    )
    known = {macro.name for macro in project.manifest().macros.values() if macro.package_name == "sports_market"}
    assert written - known == set()


@pytest.mark.parametrize("name", READERS)
def test_an_exposure_names_what_is_read(name: str, project: Project) -> None:
    manifest = project.manifest()
    gold = {node.name for node in manifest.nodes.values() if node.resource_type == "model" and node.schema == "gold"}
    [exposure] = [each for each in manifest.exposures.values() if each.name == name]
    declared = {manifest.nodes[unique_id].name for unique_id in exposure.depends_on.nodes}
    reads = READERS[name]
    texts = "\n".join(path.read_text(encoding="utf-8") for path in reads or ())
    assert (gold if reads is None else gold & set(re.findall(r"\bgold\.(\w+)", texts))) == declared


def test_every_reader_is_an_exposure(project: Project) -> None:
    assert {each.name for each in project.manifest().exposures.values()} == set(READERS)
