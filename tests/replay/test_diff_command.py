"""``sports-market diff``, ``replay --diff`` and ``replay --against``: what they accept, what they say, what they end with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from pipeline import cli
from pipeline.recording.store import Recording
from pipeline.replay import against
from pipeline.replay.snapshots import FOLDER, SnapshotStore, TableChanges
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from tests.conftest import REPOSITORY, address
from tests.export.gold_of_batches import export
from tests.recordings import bundled_part

GIT: Final = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", "-c", "commit.gpgsign=false"]
needs_git = pytest.mark.skipif(
    shutil.which("git") is None or not (REPOSITORY / ".git").exists(), reason="the checkout is none of git"
)


pytestmark = pytest.mark.usefixtures("command_place")


@pytest.fixture
def edited(server: Server, bundled: Warehouse, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    """The bundled recording's gold with one title changed, and a digest that tells so."""
    made = server.clone_database(bundled, next(clone_names))
    with made.connect(Role.OWNER) as owner:
        owner.execute("update gold.bookmakers set title = 'Another' where bookmaker_key = 'betmgm'")
        owner.execute("update ops.table_digests set row_sum = row_sum + 1 where table_name = 'gold.bookmakers'")
        owner.commit()
    yield made
    server.drop_database(made)


def test_two_databases(bundled: Warehouse, edited: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["diff", address(bundled), f"warehouse:{bundled.dbname}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("0 tables differ, ")
    assert cli.main(["diff", f"warehouse:{bundled.dbname}", f"warehouse:{edited.dbname}", "--out", "page.html"]) == 1
    out = capsys.readouterr().out
    assert "gold.bookmakers: 0 rows added, 0 removed, 1 changed, 1 cells" in out
    assert "  title: 1 cells\n    [bookmaker_key=betmgm] BetMGM → Another\n" in out
    page = Path("page.html").read_bytes()
    assert b"BetMGM" in page and b"Another" in page
    assert cli.main(["diff", f"warehouse:{bundled.dbname}", f"warehouse:{edited.dbname}", "--out", "page.html"]) == 1
    assert Path("page.html").read_bytes() == page
    assert [path.name for path in Path().iterdir() if path.name.startswith(".")] == []


def test_one_document_and_a_file_of_cells(
    bundled: Warehouse, edited: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(bundled, tmp_path / "lake", "bookmakers", "sports")
    capsys.readouterr()
    assert cli.main(["diff", "lake", address(edited), "--json", "--out", "cells.parquet"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert list(document["tables"]) == ["gold.bookmakers"]
    assert document["equal"] == ["gold.sports"]
    assert document["tables"]["gold.bookmakers"]["columns"][0]["samples"] == [
        {"key": {"bookmaker_key": "betmgm"}, "about": {}, "a": "BetMGM", "b": "Another"}
    ]
    assert duckdb.sql("select column_name, a, b from 'cells.parquet'").fetchall() == [("title", "BetMGM", "Another")]


def test_recordings_are_replayed_in_databases_of_their_own(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two, one = bundled_part(tmp_path / "two", 2), bundled_part(tmp_path / "one", 1)
    assert cli.main(["diff", str(one), str(two), "--tables", "price_history", "sports", "--json"]) == 1
    [(name, table)] = json.loads(capsys.readouterr().out)["tables"].items()
    assert name == "gold.price_history" and table["added"] and not table["removed"]
    # what the first batch told, both tell of its time
    times = [batch.exchanges[0].captured_at for batch in Recording.open(one).batches()]
    at = max(times).isoformat()
    assert cli.main(["diff", f"{one}@{at}", f"{two}@{at}", "--tables", "price_history"]) == 0
    with server.home.connect_unchecked(Role.OWNER) as owner:
        left = owner.execute("select datname from pg_database where datname like 'replay%'").fetchall()
    assert left == []


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["diff", "nowhere", "warehouse:"], "DIFF_SIDE_UNKNOWN", 2),
        (["diff", "warehouse:", "warehouse:", "--tables", "best_prise"], "TABLE_UNKNOWN", 2),
        (["diff", "warehouse:", "warehouse:", "--out", "page.pdf"], "DIFF_OUT", 2),
        (["diff", "warehouse:", "warehouse:", "--out", "nowhere/page.html"], "DIFF_OUT", 2),
        (["diff", "warehouse:nothing_here", "warehouse:"], "DATABASE_NOT_FOUND", 3),
        (["diff", "warehouse:", "warehouse:"], "DATABASE_NOT_READY", 3),
        (["diff", "warehouse:", "warehouse:", "--database-url", "nonsense"], "DATABASE_URL_INVALID", 2),
        (["diff", "postgresql://localhost:1/nowhere", "warehouse:"], "DATABASE_UNREACHABLE", 3),
        (["diff", "broken", "warehouse:"], "EXPORT_MANIFEST_BROKEN", 3),
        (["replay", "--out", "page.html"], "REPLAY_OPTIONS", 2),
        (["replay", "--diff", "--out", "cells.parquet"], "DIFF_OUT", 2),
        (["replay", "--diff", "--update"], "REPLAY_OPTIONS", 2),
        (["replay", "--diff", "--order", "reversed"], "REPLAY_OPTIONS", 2),
        (["replay", "--against", "HEAD", "--update"], "REPLAY_OPTIONS", 2),
    ],
)
def test_wrong_use_has_a_code(arguments: list[str], code: str, exit_code: int, capsys: pytest.CaptureFixture[str]) -> None:
    Path("broken").mkdir()
    Path("broken", "manifest.json").write_text("{}")
    assert cli.main(arguments) == exit_code
    assert f"error {code}: " in capsys.readouterr().err


def test_exports_that_were_asked_for_other_rows_are_not_compared(
    bundled: Warehouse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from pipeline.export.readable import Wanted

    export(bundled, tmp_path / "all", "sports")
    export(bundled, tmp_path / "some", "sports", wanted=Wanted("basketball_nba"))
    assert cli.main(["diff", "all", "some"]) == 2
    assert "error DIFF_ASKED: " in capsys.readouterr().err


# --- replay --diff ---------------------------------------------------------------------------------------------------


def test_what_differs_over_all_states_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A snapshot in between expects another row, which a later one takes back: the last state alone would tell nothing."""
    recording = bundled_part(tmp_path / "three", 3)
    store = SnapshotStore(recording)
    first, second, third = (store.read(batch_id) for batch_id in Recording.open(recording).batch_ids)
    assert first and second and third
    old = next(row for row in first.changes["gold.bookmakers"].added if row["bookmaker_key"] == "betmgm")
    there = second.changes.get("gold.bookmakers", TableChanges())
    changed = {"bookmaker_key": "betmgm", "title": "Elsewhere"}
    wrong = TableChanges(there.added, (*there.changed, changed), there.removed)
    digests = {**second.digests, "gold.bookmakers": "sum128:1:00000000000000000000000000000000"}
    store.write(type(second)(second.batch_id, digests, {**second.changes, "gold.bookmakers": wrong}))
    after = third.changes.get("gold.bookmakers", TableChanges())
    right = TableChanges(after.added, (*after.changed, {**changed, "title": old["title"]}), after.removed)
    store.write(type(third)(third.batch_id, third.digests, {**third.changes, "gold.bookmakers": right}))

    assert cli.main(["replay", str(recording), "--diff", "--json", "--out", "page.html"]) == 1
    found = json.loads(capsys.readouterr().out)["diff"]
    assert found["b"].endswith("over all states (1 differ)")
    assert list(found["tables"]) == ["gold.bookmakers"]
    [column] = found["tables"]["gold.bookmakers"]["columns"]
    assert column["samples"] == [
        {"key": {"bookmaker_key": "betmgm"}, "about": {"after": second.batch_id}, "a": "Elsewhere", "b": old["title"]}
    ]
    assert "Elsewhere" in Path("page.html").read_text()


def test_states_without_a_snapshot_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = bundled_part(tmp_path / "two", 2)
    last = Recording.open(recording).batch_ids[-1]
    (recording / FOLDER / f"{last}.json").unlink()
    assert cli.main(["replay", str(recording), "--diff", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["diff"]["not_compared"] == {"the states from here on": f"{last} has no snapshot"}


# --- replay --against ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of this code as it is, and before it of the same with another text in one view's program."""
    folder = tmp_path_factory.mktemp("clone") / "code"
    folder.mkdir()
    for name in ("pipeline", "init_db", "dbt", "contracts", "fixtures"):
        left = shutil.ignore_patterns("__pycache__", "snapshots", "dbt_packages", "target", "logs", "_data")
        shutil.copytree(REPOSITORY / name, folder / name, ignore=left)
    # a view that tells the side in capitals; what it was rendered from is not asked
    program = folder / "dbt" / "program.json"
    text = program.read_text(encoding="utf-8")
    before = text.replace("opening.outcome_side, opening.point", "upper(opening.outcome_side) as outcome_side, opening.point")
    assert before != text
    program.write_text(before, encoding="utf-8")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "before")
    program.write_text(text, encoding="utf-8")
    git(folder, "commit", "-q", "-a", "-m", "now")
    git(folder, "rm", "-q", "--cached", "dbt/program.json")
    git(folder, "commit", "-q", "-m", "none")
    git(folder, "tag", "none")
    git(folder, "reset", "-q", "HEAD~1")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run([*GIT, "-C", str(folder), *words], check=True, capture_output=True)


def run(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The clone's command, as a user of it runs it."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=clone,
        env={**os.environ, "PYTHONPATH": str(clone)},
        capture_output=True,
        text=True,
        timeout=400,
    )


@needs_git
def test_what_a_change_of_code_changes_in_gold_is_told(clone: Path, tmp_path: Path, server: Server) -> None:
    recording = bundled_part(tmp_path / "one", 1)
    done = run(clone, "replay", str(recording), "--against", "HEAD~1", "--json", "--out", str(tmp_path / "page.html"))
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert list(found["tables"]) == ["gold.openings"]
    assert [column["name"] for column in found["tables"]["gold.openings"]["columns"]] == ["outcome_side"]
    sample: dict[str, Any] = found["tables"]["gold.openings"]["columns"][0]["samples"][0]
    assert sample["a"] == sample["b"].upper()
    assert found["a"].startswith("one, by HEAD~1 (") and found["b"] == "one, by this code"
    assert "outcome_side" in (tmp_path / "page.html").read_text()
    with server.home.connect_unchecked(Role.OWNER) as owner:
        left = owner.execute("select datname from pg_database where datname like 'replay%'").fetchall()
    assert left == []


@needs_git
def test_all_states_of_another_revision_are_compared(clone: Path, tmp_path: Path) -> None:
    recording = bundled_part(tmp_path / "two", 2)
    done = run(clone, "replay", str(recording), "--against", "HEAD", "--diff", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["diff"]
    assert found["a"].startswith("two, by HEAD (") and found["tables"] == {} and found["not_compared"] == {}
    # what the recording holds itself was left alone
    assert len(list((recording / FOLDER).iterdir())) == 2


@needs_git
@pytest.mark.parametrize(
    ("revision", "code"), [("nowhere", "AGAINST_UNKNOWN"), ("--help", "AGAINST_UNKNOWN"), ("none", "AGAINST_TOO_OLD")]
)
def test_a_revision_that_cannot_run_has_a_code(
    revision: str, code: str, clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(against, "resource", lambda name: clone / name)
    assert cli.main(["replay", f"--against={revision}"]) == 2
    assert f"error {code}: " in capsys.readouterr().err


def test_without_a_checkout_there_is_no_other_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(against, "resource", lambda name: tmp_path / name)
    assert cli.main(["replay", "--against", "HEAD"]) == 3
    assert "error AGAINST_NO_CHECKOUT: " in capsys.readouterr().err
