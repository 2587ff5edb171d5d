"""``sports-market explain``: what it accepts, what it says, and what it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline import cli
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from tests.conftest import address
from tests.recordings import bundled_part


@pytest.fixture(autouse=True)
def place(bundled: Warehouse, own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", bundled.role_prefix)
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", address(bundled))
    monkeypatch.setenv("SPORTS_MARKET_STATE_DIR", str(own_state))
    monkeypatch.chdir(tmp_path)


def key_of_a_price(bundled: Warehouse) -> dict[str, str]:
    with bundled.connect(Role.READER) as reader:
        [(line_id, valid_from)] = reader.execute(
            "select line_id::text, valid_from::text from gold.best_price where valid_to is not null order by 1, 2 limit 1"
        ).fetchall()
    return {"line_id": line_id, "valid_from": valid_from}


def test_a_cell_is_explained_as_a_tree(bundled: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    key = key_of_a_price(bundled)
    words = [f"{name}={value}" for name, value in key.items()]
    assert cli.main(["explain", "best_price", "--key", *words, "--column", "best_price_decimal"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"gold.best_price [line_id={key['line_id']}")
    assert lines[1].startswith("  best_price_decimal = ")
    assert any("  best_price_decimal ← gold.price_history.price_decimal" in line for line in lines)
    assert any("─ gold.price_history [" in line for line in lines)
    assert any("answer: " in line and "/bookmakers/" in line and " bytes " in line for line in lines)
    assert any(line.startswith("Looked at, and said nothing: ") for line in lines)
    # the same row by its time, and keys given one at a time
    at = key["valid_from"].replace(" ", "T")
    assert cli.main(["explain", "gold.best_price", "--key", words[0], "--at", at, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["relation"] == "gold.best_price" and document["key"]["line_id"] == key["line_id"]
    answers = [row["answer"] for row in document["rows"] if row["answer"] is not None]
    assert all(each["bytes"][0] < each["bytes"][1] and each["pointer"].startswith("/") for each in answers) and answers


def test_every_answer_is_named_where_it_is_asked_for(bundled: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"{name}={value}" for name, value in key_of_a_price(bundled).items()]
    assert cli.main(["explain", "best_price", "--key", words[0], "--key", words[1], "--all-answers", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    named = {each["exchange_id"] for each in document["answers"]}
    assert {row["answer"]["exchange_id"] for row in document["rows"] if row["answer"] is not None} <= named
    assert cli.main(["explain", "best_price", "--key", *words, "--all-answers"]) == 0
    assert f"All {len(named):,} answers that it can depend on:" in capsys.readouterr().out


def test_what_is_not_there_ends_in_1_and_says_who_was_silent(bundled: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    with bundled.connect(Role.READER) as reader:
        [(event_id,)] = reader.execute("select min(event_id) from gold.best_price").fetchall()
    key = [f"event_id={event_id}", "bookmaker_key=nobody", "market_key=h2h", "description=null"]
    assert cli.main(["explain", "price_history", "--key", *key]) == 1
    out = capsys.readouterr().out
    assert "  there is no such row" in out and "did not ask for the book" in out


def test_rows_that_chance_chooses_of_a_recording(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = bundled_part(tmp_path / "one", 1)
    arguments = ["explain", "gold.price_history", "--random", "3", "--recording", str(recording), "--json"]
    assert cli.main(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    assert len(first["explanations"]) == 3
    assert cli.main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert cli.main([*arguments, "--seed", "7"]) == 0
    assert json.loads(capsys.readouterr().out) != first
    with server.home.connect_unchecked(Role.OWNER) as owner:
        assert owner.execute("select datname from pg_database where datname like 'replay%'").fetchall() == []


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["best_prise", "--random", "1"], "TABLE_UNKNOWN", 2),
        (["best_price"], "USAGE", 2),
        (["best_price", "--random", "1", "--key", "event_id=x"], "USAGE", 2),
        (["best_price", "--key", "x"], "EXPLAIN_KEY", 2),
        (["best_price", "--key", "book=x"], "COLUMN_UNKNOWN", 2),
        (["best_price", "--key", "event_id=x", "--column", "book"], "COLUMN_UNKNOWN", 2),
        (["best_price", "--key", "event_id=x", "--at", "yesterday"], "TIME_INVALID", 2),
        (["best_price", "--key", "market_key=h2h"], "EXPLAIN_MANY", 2),
        (["events", "--key", "event_id=x", "--at", "2024-10-26"], "EXPLAIN_AT", 2),
        (["bets", "--random", "1"], "EXPLAIN_EMPTY", 2),
        (["bets", "--random", "1", "--recording", "nowhere"], "RECORDING_NOT_FOUND", 3),
        (["bets", "--random", "1", "--database-url", "nonsense"], "DATABASE_URL_INVALID", 2),
    ],
)
def test_wrong_use_has_a_code(arguments: list[str], code: str, exit_code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", *arguments]) == exit_code
    assert f"error {code}: " in capsys.readouterr().err


def test_a_database_without_gold_is_refused(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", address(warehouse))
    assert cli.main(["explain", "events", "--random", "1"]) == 3
    assert "error DATABASE_NOT_READY: " in capsys.readouterr().err
