"""The notebook's cells run one after the other, as the reader on the bundled recording, and each shows something."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.warehouse.connect import Role, Warehouse

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "gold.ipynb"
URL = "SPORTS_MARKET_READER_URL"


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return found


def run(source: str, names: dict[str, Any]) -> Any:
    """What a cell shows: the value of its last line, if that is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, str(NOTEBOOK), "exec"), names)
    return eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names) if isinstance(last, ast.Expr) else None


def test_it_holds_no_output() -> None:
    code = [cell for cell in cells() if cell["cell_type"] == "code"]
    assert code and [cell for cell in code if cell["outputs"] or cell["execution_count"] is not None] == []


@pytest.mark.filterwarnings("error")
def test_every_cell_runs_and_shows_rows(bundled: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL, bundled.conninfo(Role.READER))
    names: dict[str, Any] = {}
    shown = 0
    for cell in cells():
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            value = run(source, names)
            if value is not None:
                assert isinstance(value, pd.DataFrame) and len(value), source
                shown += 1
    assert shown >= 8
    assert names["connection"].closed
