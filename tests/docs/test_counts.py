"""What is counted of the project's parts, and what must not grow."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.docs.counts import PARTS, counted, lines_of, long_models

MODEL = "dbt/models/gold/prices/long.sql"


def test_every_part_is_there() -> None:
    assert [name for name, count in counted(lines_of()).items() if not count] == []


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_the_folder_is_counted_as_it_is_and_a_revision_as_it_was(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        names = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", "-C", tmp_path, *names, *arguments], check=True, capture_output=True)

    def write(path: str, lines: int) -> None:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("x\n" * lines, encoding="utf-8")

    git("init", "-q")
    write(MODEL, 201)
    write("pipeline/a.py", 3)
    write("pipeline/a.txt", 50)
    git("add", ".")
    git("commit", "-q", "-m", "some")
    write(MODEL, 200)
    write("pipeline/a.py", 5)
    (tmp_path / "pipeline" / "a.txt").unlink()

    before, now = lines_of("HEAD", tmp_path), lines_of(None, tmp_path)
    assert before == {MODEL: 201, "pipeline/a.py": 3, "pipeline/a.txt": 50} and now == {MODEL: 200, "pipeline/a.py": 5}
    assert counted(before) == dict.fromkeys(PARTS, 0) | {"SQL of gold and macros": 201, "Python in pipeline": 3}
    assert long_models(before) == {MODEL: 201} and long_models(now) == {}


def test_no_model_is_longer_than_a_reader_takes_in() -> None:
    assert long_models(lines_of()) == {}


def test_contracts_written_by_hand_stay_short() -> None:
    lines = lines_of()
    tables = [name for name in lines if name.startswith("contracts/warehouse/") and name.count(".") == 2]
    assert counted(lines)["contracts of tables, by hand"] <= 55 * len(tables)
