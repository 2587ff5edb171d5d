"""What people have on their disks, imported: right, and said where something had to be taken for granted."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import UTC
from pipeline.errors import ConflictError, UsageError
from pipeline.odds_api.catalogue import books_of
from pipeline.recording.importer import Counts, ImportOptions, ImportReport, import_recording
from pipeline.recording.model import Coverage, Exchange
from pipeline.recording.store import Recording

MLB, NHL = "baseball_mlb", "icehockey_nhl"
GAME, OTHER = "a" * 32, "b" * 32
AT = "20260110T180000Z"


def game(
    *books: str, market: str = "h2h", prices: tuple[float, ...] = (1.9, 1.9), sport: str = MLB, **fields: Any
) -> dict[str, Any]:
    outcomes = [{"name": str(index), "price": price} for index, price in enumerate(prices)]
    return {
        "id": GAME, "sport_key": sport, "commence_time": "2026-01-11T18:00:00Z",
        "bookmakers": [{"key": book, "markets": [{"key": market, "outcomes": outcomes}]} for book in books or ("fanduel",)],
    } | fields  # fmt: skip


def put(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def run(source: Path, out: Path, **options: Any) -> tuple[ImportReport, list[Exchange]]:
    report = import_recording(source, out, ImportOptions.parse(**options))
    batches = list(Recording.open(out).batches()) if report.batches else []
    return report, [exchange for batch in batches for exchange in batch.exchanges]


def notes(report: ImportReport) -> dict[str, int]:
    found: dict[str, int] = {}
    for note in report.notes:
        found[note.code] = found.get(note.code, 0) + note.count
    return found


# --- times -----------------------------------------------------------------------------------------------------------


def test_names_folders_and_fractions(tmp_path: Path) -> None:
    files = {
        "odds/2026-01-10T18:00:00.123456Z.json": [game()],
        "odds/2026-01-10T20:00:00+02:00.json": [game()],
        "odds/mlb_20260110_180100.json": [game()],
        "odds/2026-01-10/18/odds.json": [game("betmgm")],
        "odds/odds_1768068180.json": [game()],
    }
    report, found = run(put(tmp_path / "in", files), tmp_path / "out")
    assert [exchange.captured_at.isoformat()[14:26] for exchange in found] == [
        "00:00.123456",
        "00:00+00:00",
        "00:00+00:00",
        "01:00+00:00",
        "03:00+00:00",
    ]
    assert report.batches == 3
    assert (report.times, notes(report)["TIME_WITHOUT_ZONE"]) == ({"folder": 1, "name": 4}, 2)


def test_a_time_long_after_all_quotes_were_read_is_asked_about(tmp_path: Path) -> None:
    """A local time, or that of a copy: none of its sets would be fresh."""

    def read(*last_updates: str | int) -> dict[str, Any]:
        shown = game(*(f"book{number}" for number in range(len(last_updates))))
        for book, told in zip(shown["bookmakers"], last_updates, strict=True):
            book["markets"][0]["last_update"] = told
        return shown

    files = {
        "odds/20260110T180000Z.json": [read("2026-01-10T17:44:59Z", "2026-01-10T12:00:00Z")],
        "odds/20260110T190000Z.json": [read("2026-01-10T18:45:00Z", "2026-01-10T12:00:00Z")],
        "odds/20260110T200000Z.json": [read(1768070000)],
        "odds/20260110T210000Z.json": [game()],
    }
    report, _ = run(put(tmp_path / "in", files), tmp_path / "out", markets="h2h", books="book0,book1,fanduel")
    assert report.total.exchanges == 4
    assert [(note.count, note.names) for note in report.notes if note.code == "READ_LONG_BEFORE"] == [
        (2, ("odds/20260110T180000Z.json", "odds/20260110T200000Z.json"))
    ]
    assert any("is that when the answer came, and in UTC?" in line for line in report.lines())


def test_an_answer_at_another_fraction_of_the_second_is_another_observation(tmp_path: Path) -> None:
    files = {f"odds/{name}.json": [game()] for name in ("20260110T180000.1Z", "20260110T180000.7Z", "a_20260110T180000.1Z")}
    report, _ = run(put(tmp_path / "in", files), tmp_path / "out", markets="h2h", books="fanduel")
    assert (report.total, report.batches) == (Counts(3, 2, 1), 1)
    again = import_recording(tmp_path / "in", tmp_path / "out", ImportOptions.parse(markets="h2h", books="fanduel"))
    assert again.batches_written == 0


@pytest.mark.parametrize(
    ("time_from", "minute"), [("body:/meta/at", 5), ("body:/epoch", 6), ("name", 0), ("folder", 7), ("mtime", 8)]
)
def test_times_stand_where_they_are_said_to(time_from: str, minute: int, tmp_path: Path) -> None:
    wrapper = {"meta": {"at": "2026-01-10T18:05:00Z"}, "epoch": 1768068360000, "data": [game()]}
    source = put(tmp_path / "in", {f"odds/20260110T180700Z/x_{AT}.json": wrapper, f"odds/x/{AT}.json": [game()]})
    for path in source.rglob("*.json"):
        os.utime(path, (1768068480, 1768068480))
    report, found = run(source, tmp_path / "out", answer_at="/data", time_from=time_from)
    assert found[-1].captured_at == dt.datetime(2026, 1, 10, 18, minute, tzinfo=UTC)
    assert json.loads(found[-1].body or b"") == [game()]
    refused = [each.path for each in report.refused]
    assert refused == ([] if time_from in ("name", "mtime") else [f"odds/x/{AT}.json"])
    report, found = run(source, tmp_path / "else", answer_at="/data", time_from=time_from, captured_at="2026-01-10T00:00:00Z")
    assert not report.refused


def test_archives_tell_when_a_file_was_changed(tmp_path: Path) -> None:
    body = json.dumps([game()]).encode()
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("odds/1.json")
        info.size, info.mtime = len(body), 1768068480
        tar.addfile(info, io.BytesIO(body))
    report, found = run(tmp_path / "a.tar", tmp_path / "out", time_from="mtime")
    assert found[0].captured_at == dt.datetime(2026, 1, 10, 18, 8, tzinfo=UTC)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("odds/1.json", body)  # with a time of some zone
    report, _ = run(tmp_path / "a.zip", tmp_path / "zip", time_from="mtime")
    assert report.total == Counts(1, 0, 0, 1)


def test_a_pattern_dates_the_files_that_it_matches(tmp_path: Path) -> None:
    files = {"odds/mlb 10.01.2026 6PM.json": [game()], "odds/mlb 10.01.2026 7PM.json": [game("betmgm")], f"odds/{AT}.json": []}
    report, found = run(put(tmp_path / "in", files), tmp_path / "out", name_pattern="mlb %d.%m.%Y %I%p.json")
    assert [exchange.captured_at.hour for exchange in found] == [18, 19]
    assert [each.path for each in report.refused] == [f"odds/{AT}.json"]
    assert {exchange.coverage.books for exchange in found} == {("betmgm", "fanduel")}, "they differ in the time alone"


@pytest.mark.parametrize(
    "options",
    [
        {"time_from": "names"},
        {"time_from": "body"},
        {"time_from": "name:/x"},
        {"time_from": "body:x"},
        {"time_from": "mtime", "name_pattern": "%Y%m%d"},
        {"name_pattern": "odds"},
        {"answer_at": "data"},
        {"answer_at": "/a~2"},
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="IMPORT_OPTION_INVALID"):
        ImportOptions.parse(**options)


# --- encodings and wrappers ------------------------------------------------------------------------------------------


def test_the_answer_is_stored_and_what_was_around_it_is_said(tmp_path: Path) -> None:
    answer = json.dumps([game(name="ä")], ensure_ascii=False)
    files = {
        f"odds/{AT}.json": answer.encode(),
        "odds/20260110T180100Z.json.gz": gzip.compress(answer.encode()),
        "odds/20260110T180200Z.json": b"\xef\xbb\xbf" + answer.encode(),
        "odds/20260110T180300Z.json": answer.encode("utf-16"),
        "odds/20260110T180400Z.json": b'{"n": 1, "data":' + answer.encode() + b"}",
        "odds/20260110T180500Z.jsonl": (answer + "\n\n" + answer.replace("1.9", "1.8") + "\n" + "{broken").encode(),
    }
    report, found = run(put(tmp_path / "in", files), tmp_path / "out", answer_at="/data")
    assert [exchange.body for exchange in found] == [answer.encode()] * 6 + [answer.replace("1.9", "1.8").encode()]
    assert notes(report) == {"ANSWER_TAKEN_OUT": 6}
    assert [(each.path, "no JSON" in each.reason) for each in report.refused] == [("odds/20260110T180500Z.jsonl:4", True)]
    assert report.total == Counts(8, 7, 0, 1)
    again = import_recording(tmp_path / "in", tmp_path / "out", ImportOptions.parse(answer_at="/data"))
    assert again.batches_written == 0


def test_a_wrapper_is_refused_with_the_place_of_the_answer(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {f"odds/{AT}.json": {"fetched_at": 1, "response": {"body": [game()]}}})
    report, _ = run(source, tmp_path / "out")
    assert "the answer stands at /response/body in it (name it with --answer-at)" in report.refused[0].reason
    report, found = run(source, tmp_path / "out", answer_at="/response/body")
    assert found[0].body == json.dumps([game()]).encode()


def test_an_error_of_the_api_is_no_answer(tmp_path: Path) -> None:
    error = {"message": "Usage quota has been reached.", "error_code": "OUT_OF_USAGE_CREDITS"}
    source = put(tmp_path / "in", {f"odds/{AT}.json": error, "odds/20260110T180100Z.json": [game()]})
    for pointer in (None, "/data"):
        report, _ = run(source, tmp_path / "out", answer_at=pointer)
        assert [each.reason for each in report.refused] == ["is the API's error OUT_OF_USAGE_CREDITS, no answer"]


# --- endpoints -------------------------------------------------------------------------------------------------------


def test_the_endpoint_is_told_by_the_shape_where_none_is_given(tmp_path: Path) -> None:
    score = {"id": GAME, "sport_key": MLB, "completed": False, "scores": None}
    files = {
        f"a_{AT}.json": [game()], "a_20260110T180100Z.json": [], f"b_{AT}.json": [score], f"c_{AT}.json": game(),
        f"d_{AT}.json": [], f"e_{AT}.json": {"timestamp": "2026-01-10T17:55:00Z", "data": [game()]},
    }  # fmt: skip
    report, _ = run(put(tmp_path / "in", files), tmp_path / "out")
    assert {name: counts.exchanges for name, counts in report.by_endpoint.items()} == {
        "odds": 2, "event_odds": 1, "scores": 1, "historical_odds": 1, "unknown": 0,
    }  # fmt: skip
    assert [each.path for each in report.refused] == [f"d_{AT}.json"]
    assert notes(report)["ENDPOINT_GUESSED"] == 5


@pytest.mark.parametrize("endpoint", ["scores", "*.json=scores", "event_odds", "historical_odds", "participants"])
def test_an_endpoint_that_contradicts_the_shape_is_refused(endpoint: str, tmp_path: Path) -> None:
    files = {f"{AT}.json": [game()], "20260110T180100Z.json": b"<html>"}
    report, _ = run(put(tmp_path / "in", files), tmp_path / "out", endpoints=[endpoint])
    name = endpoint.rpartition("=")[2]
    assert [each.reason for each in report.refused] == [f"has the shape of odds, and not of {name} as --endpoint says"]
    assert report.total == Counts(2, 1, 0, 1), "what has no shape contradicts nothing"


def test_refusals_of_a_kind_are_one_line(tmp_path: Path) -> None:
    files = {f"odds/{number:04}.json": [game()] for number in range(1000)} | {f"odds/{AT}.json": [], "odds/a.txt": b""}
    report, _ = run(put(tmp_path / "in", files), tmp_path / "out")
    many, one = report.warnings
    assert many.startswith(
        "refused 1,000 files (odds/0000.json, odds/0001.json, odds/0002.json and 997 more): it has no capture"
    )
    assert one == "refused odds/a.txt: is a text, no answer"
    kinds = report.to_json()["refused"]
    assert [(kind["count"], len(kind["files"])) for kind in kinds] == [(1000, 1000), (1, 1)]


# --- odds formats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "formats", "codes"),
    [
        ({"1": (1.01, 151.0), "2": (-10000, 15000)}, ["decimal", "american"], set()),
        ({"1": (1.9, 1.9), "2": (150, 200)}, ["decimal", "decimal"], {"ODDS_FORMAT_OF_FAMILY"}),
        ({"1": (-110, -110), "2": (150, 200)}, ["american", "american"], {"ODDS_FORMAT_OF_FAMILY"}),
        ({"1": (1.9, 1.9), "2": (150, 200), "3": (-110, 100)}, ["decimal", "american", "american"], {"ODDS_FORMAT_GUESSED"}),
        ({"1": (150, 200)}, ["american"], {"ODDS_FORMAT_GUESSED"}),
        ({"1": (-110, -120, 1.0)}, ["american"], {"ODDS_FORMAT_GUESSED"}),
        ({"1": ()}, ["decimal"], set()),
        ({"1": (), "2": (-110,)}, ["american", "american"], set()),
        # one that is not sure of itself speaks for no other
        ({"1": (1.9, 1.8, -110), "2": (150, 200)}, ["decimal", "american"], {"ODDS_FORMAT_GUESSED"}),
        ({"1": (-110, 1.5), "2": (-110,)}, ["american", "american"], {"ODDS_FORMAT_OF_FAMILY"}),
    ],
)
def test_formats_are_told_per_file(
    files: dict[str, tuple[float, ...]], formats: list[str], codes: set[str], tmp_path: Path
) -> None:
    source = put(tmp_path / "in", {f"odds/2026011{n}T180000Z.json": [game(prices=prices)] for n, prices in files.items()})
    report, found = run(source, tmp_path / "out")
    assert [exchange.request.param("oddsFormat") for exchange in found] == formats
    assert set(notes(report)) == codes


def test_prices_that_speak_for_both_formats_alike_are_refused(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {f"odds/{AT}.json": [game(prices=(-110, 1.5))]})
    report, _ = run(source, tmp_path / "out")
    assert "fit american and decimal odds alike (see --odds-format)" in report.refused[0].reason
    assert (report.total, report.exit_code) == (Counts(1, 0, 0, 1), 3)
    assert run(source, tmp_path / "out", odds_format="decimal")[0].total == Counts(1, 1)
    (tmp_path / "asked.yml").write_text("- {files: '*', format: american}")
    _, (exchange,) = run(source, tmp_path / "asked", asked=tmp_path / "asked.yml")
    assert exchange.request.param("oddsFormat") == "american"


def test_unix_dates_are_a_parameter_of_the_request(tmp_path: Path) -> None:
    files = {f"odds/{AT}.json": [game(commence_time=1768154400)], "odds/20260110T180100Z.json": [game()]}
    _, found = run(put(tmp_path / "in", files), tmp_path / "out")
    assert [exchange.request.param("dateFormat") for exchange in found] == ["unix", "iso"]
    envelope = {"timestamp": 1768068300, "data": [game(commence_time=1768154400)]}
    _, found = run(put(tmp_path / "past", {"odds/1.json": envelope}), tmp_path / "envelope")
    assert found[0].captured_at == dt.datetime(2026, 1, 10, 18, 5, tzinfo=UTC)
    assert (found[0].request.endpoint, found[0].request.param("dateFormat")) == ("historical_odds", "unix")


# --- coverage --------------------------------------------------------------------------------------------------------


def test_each_of_several_families_covers_what_it_shows(tmp_path: Path) -> None:
    files = {
        f"odds/us_{AT}.json": [game("fanduel")], "odds/us_20260110T181000Z.json": [game("betmgm")],
        "odds/eu_20260110T180001Z.json": [game("pinnacle", market="totals")],
        "odds/nhl_20260110T180002Z.json": [game(sport=NHL)],
    }  # fmt: skip
    report, found = run(put(tmp_path / "in", files), tmp_path / "out")
    us = Coverage(MLB, (), ("h2h",), ("betmgm", "fanduel"))
    assert [exchange.coverage for exchange in found] == [
        us, Coverage(MLB, (), ("totals",), ("pinnacle",)), Coverage(NHL, None, ("h2h",), ("fanduel",)), us,
    ]  # fmt: skip
    assert [(guess.endpoint, guess.sport, [family.name for family in guess.families]) for guess in report.guessed] == [
        ("odds", MLB, ["odds/eu_<time>.json", "odds/us_<time>.json"])
    ]
    text = "\n".join(report.lines())
    assert "COVERAGE_GUESSED: odds baseball_mlb: files of several names." in text
    assert "  odds/us_<time>.json: 2 files; markets h2h; books betmgm, fanduel\n" in text
    assert report.to_json()["coverage_guessed"][0]["code"] == "COVERAGE_GUESSED"
    assert report.exit_code == 0


def test_an_empty_answer_of_another_name_makes_no_doubt(tmp_path: Path) -> None:
    files = {f"odds/us_{AT}.json": [game()], "odds/x_20260110T180001Z.json": [], "odds/us_20260110T181000Z.json": []}
    _, found = run(put(tmp_path / "in", files), tmp_path / "out")
    whole = Coverage(MLB, None, ("h2h",), ("fanduel",))
    assert [exchange.coverage for exchange in found] == [whole, Coverage(MLB, ()), whole]


def test_a_name_that_says_upcoming_covers_what_is_shown(tmp_path: Path) -> None:
    files = {
        f"odds/upcoming_{AT}.json": [game()],
        f"scores/upcoming_{AT}.json": [{"id": GAME, "sport_key": MLB, "scores": None}],
    }
    report, found = run(put(tmp_path / "in", files), tmp_path / "out")
    assert [exchange.coverage.events for exchange in found] == [(), None]
    assert [guess.why for guess in report.guessed] == ["the name says upcoming"]


def test_families_of_one_event_cover_that_event(tmp_path: Path) -> None:
    files = {
        f"event_odds/{GAME}_props_{AT}.json": game(market="player_points"), f"event_odds/{GAME}_h2h_{AT}.json": game(),
        f"event_odds/{OTHER}_h2h_{AT}.json": game("betmgm", id=OTHER),
    }  # fmt: skip
    report, found = run(put(tmp_path / "in", files), tmp_path / "out")
    assert [(exchange.coverage.events, exchange.coverage.markets, exchange.coverage.books) for exchange in found] == [
        ((GAME,), ("h2h",), ("fanduel",)), ((GAME,), ("player_points",), ("fanduel",)), ((OTHER,), ("h2h",), ("betmgm",)),
    ]  # fmt: skip
    assert report.guessed == ()


ASKED = f"""
- files: us_*.json
  markets: [h2h, totals]
  regions: us
  window: {{from: 2026-01-10T00:00:00Z, to: 2026-01-12T00:00:00Z}}
- files: eu_*.json
  books: [pinnacle]
  events: [{GAME}]
- files: "none_*"
  sport: upcoming
"""


def test_what_was_asked_is_the_request_and_the_coverage(tmp_path: Path) -> None:
    files = {
        f"odds/us_{AT}.json": [game("fanduel", "newbook")], "odds/eu_20260110T180001Z.json": [game("pinnacle")],
        f"event_odds/us_{AT}.json": game("fanduel"),
    }  # fmt: skip
    (tmp_path / "asked.yml").write_text(ASKED)
    source = put(tmp_path / "in", files)
    report, (us, event, eu) = run(source, tmp_path / "out", asked=tmp_path / "asked.yml")
    begin, end = dt.datetime(2026, 1, 10, tzinfo=UTC), dt.datetime(2026, 1, 12, tzinfo=UTC)
    books = tuple(sorted((*books_of(["us"]), "newbook")))
    assert us.coverage == Coverage(MLB, None, ("h2h", "totals"), books, begin, end)
    assert dict(us.request.params) == {
        "commenceTimeFrom": "2026-01-10T00:00:00Z", "commenceTimeTo": "2026-01-12T00:00:00Z", "dateFormat": "iso",
        "markets": "h2h,totals", "oddsFormat": "decimal", "regions": "us",
    }  # fmt: skip
    assert eu.coverage == Coverage(MLB, (GAME,), ("h2h",), ("pinnacle",))
    assert eu.request.param("eventIds") == GAME
    assert event.coverage == Coverage(MLB, (GAME,), ("h2h", "totals"), books_of(["us"])), "one event has no window"
    assert (report.guessed, report.unmatched_asked) == ((), ("none_*",))
    assert "warning: no file matches none_* of --asked" in report.warnings


def test_what_is_asked_is_part_of_the_plan_and_what_is_inferred_is_not(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {f"odds/us_{AT}.json": [game()]})
    (tmp_path / "asked.yml").write_text(ASKED)
    run(source, tmp_path / "out")
    run(source, tmp_path / "asked", asked=tmp_path / "asked.yml")
    plain, asked = (Recording.open(tmp_path / name).batch_ids[0] for name in ("out", "asked"))
    assert plain != asked
    put(source, {"odds/eu_20260110T190000Z.json": [game("pinnacle")]})
    with pytest.raises(ConflictError, match="BATCH_CONFLICT"):
        run(source, tmp_path / "out")
    run(source, tmp_path / "other")
    assert Recording.open(tmp_path / "other").batch_ids[0] == plain
