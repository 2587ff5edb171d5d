"""The examples of docs/files.md run as they stand, over files of the bundled recording and over a warehouse that holds it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.warehouse.connect import Warehouse
from tests.conftest import REPOSITORY, address
from tests.export.gold_of_batches import export

EXAMPLES = re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / "docs" / "files.md").read_text(encoding="utf-8"), re.M | re.S)
README = re.findall(
    r"^    from pipeline import .*?\n(?=\n\S)", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.M | re.S
)


@pytest.fixture(scope="module")
def folder(bundled: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("examples")
    export(bundled, made / "lake")
    return made


def test_each_reader_has_an_example() -> None:
    firsts = [re.search(r"^(?:import|from) (\w+)", example, re.M)[1] for example in EXAMPLES]  # type: ignore[index]
    assert firsts == ["duckdb", "polars", "pandas", "pipeline"]
    assert len(README) == 1


@pytest.mark.parametrize("example", [*EXAMPLES, *(re.sub(r"^    ", "", each, flags=re.M) for each in README)])
def test_an_example_runs(example: str, folder: Path, bundled: Warehouse) -> None:
    environment = {
        "PYTHONPATH": str(REPOSITORY),
        "PATH": "/usr/bin:/bin",
        "PYTHONIOENCODING": "utf-8",
        "SPORTS_MARKET_ROLE_PREFIX": bundled.role_prefix,
        "SPORTS_MARKET_DATABASE_URL": address(bundled),
    }
    run = subprocess.run([sys.executable, "-c", example], cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) > 1
    assert "shape: (0," not in run.stdout
    assert "0 rows" not in run.stdout
