"""The page of gold's tables, from their contracts; ``python -m tests.docs.gold_tables`` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pipeline.contracts.described import described_models
from pipeline.contracts.promises import project_files
from pipeline.contracts.tables import TableContract, contracts_of

REPOSITORY: Final = Path(__file__).resolve().parents[2]
MODELS: Final = REPOSITORY / "dbt" / "models" / "gold"
PAGE: Final = REPOSITORY / "docs" / "gold_tables.md"
HEAD: Final = """# Tables of gold

This page is written from the YAML beside the models by `python -m tests.docs.gold_tables`; change a text there. Of what a table
promises beyond its columns, the pages of `sports-market contracts docs` tell.
"""


def described(root: Path = REPOSITORY) -> list[TableContract]:
    """The tables and views of gold, in the order of the files of YAML: by subject."""
    files = project_files(root)
    contracts = {each.name: each for each in contracts_of(files)}
    return [contracts[name] for name in described_models(files, []) if name.startswith("gold.")]


def page(contracts: list[TableContract]) -> str:
    """The page in Markdown: a list, then a section per model with a table of its columns."""
    listed = [
        f"| [`{each.table}`](#{each.table}){' (view)' if each.is_view else ''} | {_text(each.purpose)} |" for each in contracts
    ]
    return "\n".join([HEAD, "| table | what it holds |", "| --- | --- |", *listed, "", *(_section(each) for each in contracts)])


def _section(contract: TableContract) -> str:
    return "\n".join(
        [
            f"## {contract.table}\n",
            f"{_text(contract.description)}\n",
            f"Key: {', '.join(f'`{column}`' for column in contract.key)}.\n",
            "| column | type | unit | meaning |",
            "| --- | --- | --- | --- |",
            *(
                f"| `{column.name}` | {column.physical_type}{', not null' if column.required else ''}"
                f" | {_text(column.unit or '')} | {_text(column.description)} |"
                for column in contract.columns
            ),
            "",
        ]
    )


def _text(description: str) -> str:
    """One line that Markdown takes as it stands."""
    line = " ".join(description.split())
    for sign in "\\|<*[":
        line = line.replace(sign, f"\\{sign}")
    return line


if __name__ == "__main__":
    PAGE.write_text(page(described()), encoding="utf-8")
