"""A hook of mkdocs: the notebook as a page of the site, with its words, its code and its tables. It runs nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

NOTEBOOK: Final = "gold.ipynb"
PAGE: Final = "notebook.md"
TABLE: Final = re.compile(r"<table.*</table>", re.DOTALL)


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the page that is made of the notebook."""
    from mkdocs.structure.files import File

    text = (Path(config.docs_dir) / NOTEBOOK).read_text(encoding="utf-8")
    files.append(File.generated(config, PAGE, content=markdown(text)))
    return files


def markdown(notebook: str) -> str:
    """The notebook's cells, one after the other."""
    return "\n\n".join(_cell(cell) for cell in json.loads(notebook)["cells"]) + "\n"


def _cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    tables = (TABLE.search("".join(output["data"]["text/html"])) for output in cell["outputs"])
    return "\n\n".join((f"\n```python\n{source}\n```", *(table[0] for table in tables if table is not None)))
