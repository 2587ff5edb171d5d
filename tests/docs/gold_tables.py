"""The page of gold's tables, from the YAML beside the models; ``python -m tests.docs.gold_tables`` writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

REPOSITORY: Final = Path(__file__).resolve().parents[2]
MODELS: Final = REPOSITORY / "dbt" / "models" / "gold"
PAGE: Final = REPOSITORY / "docs" / "gold_tables.md"
HEAD: Final = """# Tables of gold

This page is written from the YAML beside the models by `python -m tests.docs.gold_tables`; change a text there. What a row of
each table is, in one line: [Gold](gold.md#tables).
"""


def described() -> list[dict[str, Any]]:
    """The models of gold as dbt's YAML has them, by name."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(MODELS.glob("*.yml"))]
    return sorted((model for file in files for model in file.get("models", [])), key=lambda model: str(model["name"]))


def page(models: list[dict[str, Any]]) -> str:
    """The page in Markdown: a section per model, with a table of its columns."""
    return "\n".join([HEAD, *(_section(model) for model in models)])


def _section(model: dict[str, Any]) -> str:
    keys = [each["columns"] for each in model.get("constraints", []) if each["type"] == "primary_key"]
    return "\n".join(
        [
            f"## {model['name']}\n",
            f"{_text(model['description'])}\n",
            *(f"Key: {', '.join(f'`{column}`' for column in key)}.\n" for key in keys),
            "| column | type | meaning |",
            "| --- | --- | --- |",
            *(
                f"| `{column['name']}` | {column['data_type']}{_not_null(column)} | {_text(column['description'])} |"
                for column in model["columns"]
            ),
            "",
        ]
    )


def _not_null(column: dict[str, Any]) -> str:
    return ", not null" if {"type": "not_null"} in column.get("constraints", []) else ""


def _text(description: str) -> str:
    """One line that Markdown takes as it stands."""
    line = " ".join(description.split())
    for sign in "\\|<*[":
        line = line.replace(sign, f"\\{sign}")
    return line


if __name__ == "__main__":
    PAGE.write_text(page(described()), encoding="utf-8")
