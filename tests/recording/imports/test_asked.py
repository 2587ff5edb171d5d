"""What was asked, declared in a file: right, or refused with what is wrong and where."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from pipeline.clock import UTC
from pipeline.errors import UsageError
from pipeline.recording.imports.asked import Asked, load_asked

ID = "a" * 32


def load(folder: Path, text: str) -> tuple[Asked, ...]:
    (folder / "asked.yml").write_text(text)
    return load_asked(folder / "asked.yml")


def test_everything_that_can_be_declared(tmp_path: Path) -> None:
    first, second, third = load(
        tmp_path,
        f"""
- files: [us_*.json, "eu/*"]
  sport: icehockey_nhl
  markets: h2h, totals
  regions: [us, eu]
  format: american
  window: {{from: 2026-01-10T00:00:00Z, to: "2026-01-10T23:59:59+01:00"}}
- {{files: "*", books: fanduel, events: {ID}}}
- {{files: x, sport: upcoming}}
""",
    )
    assert first == Asked(
        files=("eu/*", "us_*.json"), sport="icehockey_nhl", markets=("h2h", "totals"), regions=("eu", "us"), books=(),
        odds_format="american", commence_from=dt.datetime(2026, 1, 10, tzinfo=UTC),
        commence_to=dt.datetime(2026, 1, 10, 22, 59, 59, tzinfo=UTC),
    )  # fmt: skip
    assert second == Asked(files=("*",), books=("fanduel",), events=(ID,))
    assert third.sport == "upcoming"
    assert first.matches("top/us_1.json") and first.matches("eu/1.json") and not first.matches("us.json")
    assert first.to_json()["commenceTimeTo"] == "2026-01-10T22:59:59Z"
    assert second.to_json() == {"files": ["*"], "bookmakers": ["fanduel"], "eventIds": [ID]}


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("- {files: x, market: h2h}", "ASKED_UNKNOWN_KEY", "nearest is 'markets'"),
        ("- {files: x, window: {form: 2026-01-10T00:00:00Z}}", "ASKED_UNKNOWN_KEY", "entry 1, window.*nearest is 'from'"),
        ("- {files: a}\n- {markets: h2h}", "ASKED_INVALID", "entry 2.*names no files"),
        ("files: x", "ASKED_INVALID", "is no list"),
        ("[]", "ASKED_INVALID", "is no list"),
        ("- x", "ASKED_INVALID", "entry 1"),
        ("- {files: x, markets: [1]}", "ASKED_INVALID", "markets is"),
        ("- {files: x, markets: []}", "ASKED_INVALID", "markets is"),
        ("- {files: x, markets: 'h2h,,x'}", "ASKED_INVALID", "markets"),
        ("- {files: x, books: Fan Duel}", "ASKED_INVALID", "no key"),
        ("- {files: x, regions: usa}", "UNKNOWN_REGION", "nearest is 'us"),
        ("- {files: x, regions: us, books: fanduel}", "ASKED_INVALID", "books and regions"),
        ("- {files: x, format: fractional}", "ASKED_INVALID", "format is"),
        ("- {files: x, window: {to: 2026-01-10}}", "ASKED_INVALID", "to of its window"),
        ("- {files: x, window: {to: 2026-01-10T00:00:00}}", "ASKED_INVALID", "to of its window"),
        (
            "- {files: x, window: {from: 2026-01-11T00:00:00Z, to: 2026-01-10T00:00:00Z}}",
            "ASKED_INVALID",
            "ends before it begins",
        ),
        ("- {files: x, events: abc}", "ASKED_INVALID", "no event id"),
        ("- {files: x, sport: NFL}", "ASKED_INVALID", "sport is"),
        (f"- {{files: x, sport: upcoming, events: {ID}}}", "ASKED_INVALID", "upcoming"),
        ("- {files: [x", "ASKED_INVALID", "no YAML"),
        ("- !!python/object:os.system {}", "ASKED_INVALID", "no YAML"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, code: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        load(tmp_path, text)
    assert caught.value.code == code
    assert caught.value.next_step


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="ASKED_NOT_FOUND"):
        load_asked(tmp_path / "nowhere.yml")
