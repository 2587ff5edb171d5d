"""The notebook shows what its cells give on the bundled recording, as the reader; ``--snapshot-update`` renews it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.warehouse.connect import Role, Warehouse
from tests.docs.notebook_page import markdown

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "gold.ipynb"
URL = "SPORTS_MARKET_READER_URL"
# as in Jupyter, whatever terminal the tests run in
AS_IN_JUPYTER = ("display.max_columns", 20, "display.width", 80, "display.max_rows", 60)


def run(source: str, names: dict[str, Any]) -> Any:
    """What a cell shows: the value of its last line, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names) if isinstance(last, ast.Expr) else None


def executed(text: str) -> tuple[str, int]:
    """A notebook with the outputs that Jupyter would keep, and how many of them are tables with rows."""
    notebook = json.loads(text)
    names: dict[str, Any] = {}
    shown = 0
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, start=1):
        value = run("".join(cell["source"]), names)
        cell["execution_count"], cell["outputs"] = number, []
        if value is not None:
            assert isinstance(value, pd.DataFrame) and len(value), cell["source"]
            data = {"text/html": value._repr_html_(), "text/plain": repr(value)}  # type: ignore[operator]
            kept = {kind: text.splitlines(keepends=True) for kind, text in data.items()}
            cell["outputs"] = [{"data": kept, "execution_count": number, "metadata": {}, "output_type": "execute_result"}]
            shown += 1
    assert names["connection"].closed
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n", shown


@pytest.mark.filterwarnings("error")
def test_its_outputs_are_what_its_cells_give(
    bundled: Warehouse, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv(URL, bundled.conninfo(Role.READER))
    stored = NOTEBOOK.read_text(encoding="utf-8")
    with pd.option_context(*AS_IN_JUPYTER):
        given, shown = executed(stored)
        assert executed(stored) == (given, shown)
    assert shown >= 8
    if request.config.getoption("update_snapshots"):
        NOTEBOOK.write_text(given, encoding="utf-8")
        return
    assert given == stored


def test_it_says_first_how_to_run_it() -> None:
    first = "".join(json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"][0]["source"])
    for step in ("pip install", "sports-market load", "sports-market up", f"export {URL}=", "jupyter lab"):
        assert step in first
    assert first.index("load") < first.index("sports-market up") < first.index("jupyter lab docs")


def test_the_site_shows_its_words_its_code_and_its_tables() -> None:
    page = markdown(NOTEBOOK.read_text(encoding="utf-8"))
    assert page.startswith("# Gold, with pandas\n")
    assert page.count("\n```python\n") >= 10 and "select event_id, sport_key" in page
    assert page.count('<table border="1" class="dataframe">') == page.count("</table>") >= 8
    assert "<style" not in page and "<script" not in page
