"""``sports-market export``: what it accepts, what it says, and what it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.export import extra
from pipeline.export.manifest import MANIFEST
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.digest import stored_tables
from tests.conftest import address


@pytest.fixture(autouse=True)
def of_the_warehouse(bundled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", bundled.role_prefix)
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", address(bundled))
    monkeypatch.setenv("SPORTS_MARKET_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)


def test_files_are_written_and_proven(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["export", "--out", "lake"]) == 0
    out = capsys.readouterr().out
    assert f"lake: {len(stored_tables())} tables of 26 batches" in out
    assert "gold.price_history " in out
    # the proof needs no database
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", "postgresql://localhost:1/nowhere")
    assert cli.main(["export", "--verify", "lake"]) == 0
    assert ", 0 faults" in capsys.readouterr().out.splitlines()[0]


def test_one_document_is_printed_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--tables", "moves", "gold.events", "--sport", "basketball_nba", "--since", "2024-10-25", "--format", "csv"]
    assert cli.main(["export", "--out", "lake", *arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["format"] == "csv"
    assert set(document["tables"]) == {"gold.events", "gold.moves"}
    assert document["tables"]["gold.moves"]["digest"].startswith(f"sum128:{document['tables']['gold.moves']['rows']}:")
    assert cli.main(["export", "--verify", "lake", "--json"]) == 0
    proof = json.loads(capsys.readouterr().out)
    assert proof["faults"] == []
    assert proof["digests"] == {name: each["digest"] for name, each in document["tables"].items()}
    manifest = Path("lake", MANIFEST)
    manifest.write_bytes(manifest.read_bytes().replace(b"basketball", b"basketbell", 1))
    assert cli.main(["export", "--verify", "lake", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["faults"][0]["code"] == "MANIFEST_CHANGED"


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["--out", "lake", "--tables", "best_prise"], "TABLE_UNKNOWN", 2),
        (["--out", "lake", "--tables", "silver.quotes"], "TABLE_UNKNOWN", 2),
        (["--out", "lake", "--sport", "nhl"], "SPORT_UNKNOWN", 2),
        (["--out", "lake", "--since", "2024-13-01"], "TIME_INVALID", 2),
        (["--out", "lake", "--until", "2024-10-25T00:00:00"], "TIME_INVALID", 2),
        (["--out", "lake", "--since", "2024-10-26", "--until", "2024-10-25"], "SPAN_EMPTY", 2),
        (["--out", "file"], "EXPORT_OUT", 2),
        (["--out", "foreign"], "EXPORT_FOREIGN", 2),
        (["--out", "lake", "--database-url", "postgresql://localhost:1/nowhere"], "DATABASE_UNREACHABLE", 3),
        (["--out", "lake", "--database-url", "nonsense"], "DATABASE_URL_INVALID", 2),
        (["--verify", "foreign"], "EXPORT_NOT_FOUND", 3),
        (["--verify", "nowhere"], "EXPORT_NOT_FOUND", 3),
        (["--verify", "foreign", "--format", "csv"], "USAGE", 2),
        (["--verify", "foreign", "--database-url", "postgresql://localhost:1/nowhere"], "USAGE", 2),
    ],
)
def test_wrong_use_has_a_code(
    arguments: list[str], code: str, exit_code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").write_text("x")
    assert cli.main(["export", *arguments]) == exit_code
    assert f"error {code}: " in capsys.readouterr().err
    assert not (tmp_path / "lake" / MANIFEST).exists()


@pytest.mark.parametrize("arguments", [[], ["--out", "a", "--verify", "a"], ["--out", "a", "--format", "xlsx"]])
def test_arguments_that_argparse_refuses(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["export", *arguments])
    assert ended.value.code == 2
    assert "error USAGE" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--out", "--verify"])
def test_the_packages_that_are_missing_are_named(
    option: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = extra.find_spec
    monkeypatch.setattr(extra, "find_spec", lambda name: None if name == "duckdb" else there(name))
    assert cli.main(["export", option, "lake"]) == 3
    error = capsys.readouterr().err
    assert "error EXTRA_MISSING: What is asked for needs duckdb, which is not installed." in error
    assert "pip install '.[export]'" in error
