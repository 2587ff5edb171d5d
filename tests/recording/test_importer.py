"""Importing what people have: every file is an exchange, a duplicate, or refused by name."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import lzma
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ConflictError, RecordingError, SportsMarketError, UsageError
from pipeline.odds_api.catalogue import books_of
from pipeline.odds_api.endpoints import ENDPOINTS, parse_url, url
from pipeline.recording import source_files
from pipeline.recording.importer import Counts, ImportOptions, ImportReport, import_recording
from pipeline.recording.imports import copying
from pipeline.recording.model import Batch, Coverage, Exchange
from pipeline.recording.source_files import Source
from pipeline.recording.store import Recording, RecordingWriter

NFL = "americanfootball_nfl"
NHL = "icehockey_nhl"
ID = "e10fe83ee6178a598e7fa84ea0913366"
OTHER_ID = "0" * 32


def event(
    event_id: str = ID, *, sport: str = NFL, prices: tuple[float, ...] = (1.91,), book: str = "fanduel"
) -> dict[str, Any]:
    outcomes = [{"name": str(price), "price": price} for price in prices]
    return {
        "id": event_id,
        "sport_key": sport,
        "bookmakers": [{"key": book, "markets": [{"key": "h2h", "outcomes": outcomes}]}],
    }


def put(folder: Path, files: dict[str, Any]) -> Path:
    """Write files; a value that is no bytes is written as JSON."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def run(source: Path, out: Path, **options: Any) -> tuple[ImportReport, list[Batch]]:
    report = import_recording(source, out, ImportOptions.parse(**options))
    adds_up(report)
    return report, list(Recording.open(out).batches()) if report.batches else []


def adds_up(report: ImportReport) -> None:
    for counts in (report.total, *report.by_endpoint.values()):
        assert counts.files == counts.exchanges + counts.duplicates + counts.refused
    for name in ("files", "exchanges", "duplicates", "refused"):
        assert getattr(report.total, name) == sum(getattr(counts, name) for counts in report.by_endpoint.values())
    assert report.total.refused == len(report.refused)


def exchanges(batches: list[Batch]) -> list[Exchange]:
    return [exchange for batch in batches for exchange in batch.exchanges]


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pack(archive: Path, files: dict[str, bytes], mode: str = "w:xz") -> Path:
    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive


# --- times -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("20251009T004248Z.json", "2025-10-09T00-42-48Z.json", "2025-10-09T00:42:48Z.json", "nfl_20251009T004248Z_us"),
        *("odds.2025-10-09T004248Z.answer", "7-20251009T004248Z.json"),
    ],
)
def test_the_time_is_in_the_name(name: str, tmp_path: Path) -> None:
    _, batches = run(put(tmp_path / "in", {f"odds/{name}": [event()]}), tmp_path / "out")
    assert [batch.scheduled_at for batch in batches] == [dt.datetime(2025, 10, 9, 0, 42, 48, tzinfo=dt.UTC)]
    assert exchanges(batches)[0].captured_at == batches[0].scheduled_at


@pytest.mark.parametrize(
    "name",
    [
        "20251309T004248Z.json",
        "20251009T244248Z.json",
        "120251009T004248Z.json",
        "2025-10-09.json",
        "a.json",
    ],
)
def test_a_file_without_a_time_is_refused_by_name(name: str, tmp_path: Path) -> None:
    source = put(tmp_path / "in", {f"odds/{name}": [event()], "odds/20251009T004248Z.json": [event()]})
    report, batches = run(source, tmp_path / "out")
    assert [refused.path for refused in report.refused] == [f"odds/{name}"]
    assert "no capture time" in report.refused[0].reason
    assert len(exchanges(batches)) == 1
    report, batches = run(source, tmp_path / "given", captured_at="2025-10-08T00:00:00Z")
    assert report.refused == ()
    assert [batch.batch_id[:16] for batch in batches] == ["20251008T000000Z", "20251009T004248Z"]


def test_an_envelope_has_its_own_time_and_endpoint(tmp_path: Path) -> None:
    answer = {"timestamp": "2023-10-24T11:55:43Z", "data": [event()]}
    report, batches = run(put(tmp_path / "in", {"odds/20231024T120000Z.json": answer}), tmp_path / "out")
    assert report.by_endpoint == {"historical_odds": Counts(1, 1)}
    (exchange,) = exchanges(batches)
    assert exchange.captured_at == dt.datetime(2023, 10, 24, 11, 55, 43, tzinfo=dt.UTC)
    assert exchange.request.param("date") == "2023-10-24T11:55:43Z"


def test_envelopes_are_of_the_three_endpoints_only_and_need_a_real_time(tmp_path: Path) -> None:
    files = {
        "scores/20231024T120000Z.json": {"timestamp": "2023-10-24T11:55:43Z", "data": []},
        "events/20231024T120001Z.json": {"timestamp": "2023-02-30T11:55:43Z", "data": []},
        "event_odds/20231024T120002Z.json": {"timestamp": "2023-10-24T11:55:44Z", "data": event()},
        "historical_odds/20231024T120003Z.json": b"no envelope",
        "odds/20231024T120004Z.json": {"timestamp": "2023-10-24T11:55:45Z", "data": "no list"},
    }
    _, batches = run(put(tmp_path / "in", files), tmp_path / "out")
    assert [(exchange.request.endpoint, batch.batch_id[9:15]) for batch in batches for exchange in batch.exchanges] == [
        ("historical_event_odds", "115544"),
        ("scores", "120000"),
        ("historical_events", "120001"),
        ("historical_odds", "120003"),
        ("odds", "120004"),
    ]


def test_a_known_envelope_is_a_duplicate_unless_its_bytes_differ(tmp_path: Path) -> None:
    answer = {"timestamp": "2023-10-24T11:55:43Z", "data": [event()]}
    again = json.dumps(answer, indent=1).encode()
    report, batches = run(
        put(tmp_path / "in", {"odds/1.json": answer, "odds/2.json": answer, "odds/3.json": again}), tmp_path / "out"
    )
    assert report.by_endpoint == {"historical_odds": Counts(3, 2, 1)}
    first, second = exchanges(batches)
    assert first.request == second.request
    assert second.body == again


# --- endpoints -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "declared", "found"),
    [
        ("odds/T.json", [], "odds"),
        ("scores/odds/nfl/T.json", [], "odds"),
        ("Event-Odds/T.json", [], "event_odds"),
        ("odds-history/T.json", [], "historical_odds"),
        ("nfl/T.json", ["scores"], "scores"),
        ("odds/T.json", ["scores"], "odds"),
        ("odds/T.json", ["odds/*=events"], "events"),
        ("a/odds/T.json", ["scores", "odds/*.json=events"], "events"),
        ("a/odds/T.json", ["*=participants", "odds/*=events"], "participants"),
        ("odds/T.json", ["events/*=events"], "odds"),
        ("T.json", ["T.json=event-markets"], "event_markets"),
    ],
)
def test_the_endpoint_is_declared_or_a_folder(path: str, declared: list[str], found: str, tmp_path: Path) -> None:
    name = path.replace("T.json", "20251009T004248Z.json")
    declared = [text.replace("T.json", "20251009T004248Z.json") for text in declared]
    report, _ = run(put(tmp_path / "in", {name: [event()]}), tmp_path / "out", endpoints=declared)
    assert list(report.by_endpoint) == [found]


def test_the_source_itself_may_be_the_endpoints_folder(tmp_path: Path) -> None:
    source = put(tmp_path / "scores", {"20251009T004248Z.json": []})
    assert list(run(source, tmp_path / "out")[0].by_endpoint) == ["scores"]
    assert list(run(source / "20251009T004248Z.json", tmp_path / "one")[0].by_endpoint) == ["scores"]
    assert list(run(source, tmp_path / "declared", endpoints=["events"])[0].by_endpoint) == ["events"]


def test_a_file_of_an_unknown_endpoint_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    report, batches = run(put(tmp_path / "in", {"20251009T004248Z.json": [{"a": 1}], "x.json": b"no"}), tmp_path / "out")
    assert batches == []
    assert not (tmp_path / "out").exists()
    assert report.by_endpoint == {"unknown": Counts(2, 0, 0, 2)}
    assert ["its endpoint is unknown" in refused.reason for refused in report.refused] == [True, True]
    assert "; it has no capture time" in report.refused[1].reason


def test_a_glob_that_matches_nothing_is_reported(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T004248Z.json": []})
    report, _ = run(source, tmp_path / "out", endpoints=["score/*=scores", "odds/*=odds"])
    assert report.unmatched_globs == ("score/*",)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"endpoints": ["ods"]}, "UNKNOWN_ENDPOINT"),
        ({"endpoints": ["*=ods"]}, "UNKNOWN_ENDPOINT"),
        ({"endpoints": ["odds", "events"]}, "IMPORT_OPTION_INVALID"),
        ({"endpoints": ["=odds"]}, "IMPORT_OPTION_INVALID"),
        ({"endpoints": ["*.json="]}, "IMPORT_OPTION_INVALID"),
        ({"captured_at": "2025-10-09"}, "IMPORT_OPTION_INVALID"),
        ({"captured_at": "2025-02-30T00:00:00Z"}, "IMPORT_OPTION_INVALID"),
        ({"captured_at": "2025-10-09T00:00:00+02:00"}, "IMPORT_OPTION_INVALID"),
        ({"odds_format": "fractional"}, "IMPORT_OPTION_INVALID"),
        ({"sport": "NFL games"}, "IMPORT_OPTION_INVALID"),
        ({"markets": "h2h,,totals"}, "IMPORT_OPTION_INVALID"),
        ({"regions": "usa"}, "UNKNOWN_REGION"),
        ({"regions": "us", "books": "fanduel"}, "IMPORT_OPTION_INVALID"),
    ],
)
def test_options_that_cannot_be_meant(options: dict[str, Any], code: str) -> None:
    with pytest.raises(UsageError) as caught:
        ImportOptions.parse(**options)
    assert caught.value.code == code
    assert caught.value.next_step


# --- batches ---------------------------------------------------------------------------------------------------------


def test_files_of_one_time_are_one_batch_in_the_order_of_endpoints_then_names(tmp_path: Path) -> None:
    at = "20251009T004248Z"
    files = {
        f"scores/{at}.json": [],
        f"odds/b_{at}.json": [event(sport=NHL)],
        f"odds/a_{at}.json": [event()],
        f"zz/odds/a_{at}.json": [event(OTHER_ID)],
        f"sports/{at}.json": [],
        "odds/20251009T004249Z.json": [event()],
    }
    report, batches = run(put(tmp_path / "in", files), tmp_path / "out")
    assert [len(batch.exchanges) for batch in batches] == [5, 1]
    first = batches[0].exchanges
    assert [exchange.place for exchange in first] == [0, 1, 2, 3, 4]
    assert [exchange.request.endpoint for exchange in first] == ["sports", "odds", "odds", "odds", "scores"]
    bodies = [exchange.body for exchange in first]
    assert bodies[1:4] == [
        json.dumps(files[name]).encode() for name in (f"odds/a_{at}.json", f"zz/odds/a_{at}.json", f"odds/b_{at}.json")
    ]
    assert (report.batches, report.batches_written) == (2, 2)


def test_the_same_bytes_are_a_duplicate_in_one_batch_and_an_observation_in_another(tmp_path: Path) -> None:
    files = {
        "odds/20251009T004248Z.json": [event()],
        "odds/x_20251009T004248Z.json": [event()],
        "odds/20251009T004249Z.json": [event()],
    }
    report, batches = run(put(tmp_path / "in", files), tmp_path / "out")
    assert report.total == Counts(3, 2, 1)
    assert [len(batch.exchanges) for batch in batches] == [1, 1]


def test_the_same_bytes_of_another_request_are_no_duplicate(tmp_path: Path) -> None:
    files: dict[str, Any] = {f"{folder}/20251009T004248Z.json": [] for folder in ("odds", "events", "scores")}
    assert run(put(tmp_path / "in", files), tmp_path / "out")[0].total == Counts(3, 3)


@given(st.binary(max_size=60), st.sampled_from(list(ENDPOINTS)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_every_dated_file_is_kept_byte_for_byte(tmp_path_factory: pytest.TempPathFactory, body: bytes, endpoint: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    _, batches = run(put(folder / "in", {f"{endpoint}/20251009T004248Z.json": body}), folder / "out")
    (exchange,) = exchanges(batches)
    assert exchange.body == body
    assert (exchange.status, exchange.failure, exchange.attempt) == (200, None, 1)
    assert parse_url(url("https://api.example", exchange.request)) == exchange.request


@pytest.mark.parametrize(
    "body",
    [b"[" * 5_000_000, b"\xff\xfe\x00", b'{"timestamp": 1e999, "data": [1, {"bookmakers": [{"key": []}]}]}', b"1" * 5000],
)
def test_a_body_that_is_no_answer_does_not_stop_the_import(body: bytes, tmp_path: Path) -> None:
    _, batches = run(put(tmp_path / "in", {"odds/20251009T004248Z.json": body}), tmp_path / "out")
    assert exchanges(batches)[0].body == body


# --- requests and coverage -------------------------------------------------------------------------------------------


def test_coverage_is_what_a_family_ever_shows(tmp_path: Path) -> None:
    files = {
        "odds/20251009T000000Z.json": [event(book="betmgm")],
        "odds/20251009T000100Z.json": [event(book="fanduel")],
        "odds/20251009T000200Z.json": [event(sport=NHL, book="pinnacle")],
        "odds/20251009T000300Z.json": {"timestamp": "2025-10-09T00:03:00Z", "data": [event(book="bovada")]},
        "event_odds/20251009T000400Z.json": event(book="unibet"),
        "scores/20251009T000500Z.json": [{"id": ID, "sport_key": NFL}],
        "sports/20251009T000600Z.json": [],
    }
    _, batches = run(put(tmp_path / "in", files), tmp_path / "out")
    odds, later, hockey, past, one, scores, sports = exchanges(batches)
    assert odds.coverage == later.coverage == Coverage(NFL, None, ("h2h",), ("betmgm", "fanduel"))
    assert past.coverage == Coverage(NFL, None, ("h2h",), ("bovada",))
    assert hockey.coverage == Coverage(NHL, None, ("h2h",), ("pinnacle",))
    assert one.coverage == Coverage(NFL, (ID,), ("h2h",), ("unibet",))
    assert scores.coverage == Coverage(NFL)
    assert sports.coverage == Coverage()
    assert dict(odds.request.params) == {
        "bookmakers": "betmgm,fanduel", "dateFormat": "iso", "markets": "h2h", "oddsFormat": "decimal",
    }  # fmt: skip
    assert dict(scores.request.params) == {"dateFormat": "iso"}
    assert sports.request.params == ()
    assert one.request.event_id == ID
    for exchange in exchanges(batches):
        assert set(dict(exchange.request.params)) <= set(ENDPOINTS[exchange.request.endpoint].params)


def test_what_is_simulated_is_declared_and_another_plan(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T004248Z.json": [event()]})
    _, plain = run(source, tmp_path / "plain")
    _, declared = run(source, tmp_path / "declared", simulated=True)
    assert ([batch.source for batch in plain], [batch.source for batch in declared]) == (["import"], ["simulated"])
    assert plain[0].batch_id != declared[0].batch_id
    assert plain[0].exchanges == declared[0].exchanges


def test_declared_coverage_wins(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event(book="betmgm")]})
    _, batches = run(source, tmp_path / "books", books="fanduel, bovada", markets="totals,h2h")
    (exchange,) = exchanges(batches)
    assert exchange.coverage == Coverage(NFL, None, ("h2h", "totals"), ("bovada", "fanduel"))
    assert exchange.request.param("bookmakers") == "bovada,fanduel"
    _, batches = run(source, tmp_path / "regions", regions="us,eu")
    (exchange,) = exchanges(batches)
    assert exchange.coverage.books == books_of(["eu", "us"])
    assert (exchange.request.param("regions"), exchange.request.param("bookmakers")) == ("eu,us", None)


def test_a_book_that_no_region_has_is_covered_when_it_is_shown(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event(book="foxbet")]})
    _, batches = run(source, tmp_path / "out", regions="us")
    assert exchanges(batches)[0].coverage.books == tuple(sorted(("foxbet", *books_of(["us"]))))


def test_what_is_no_key_covers_nothing(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event(book="Fan Duel")]})
    assert exchanges(run(source, tmp_path / "out")[1])[0].coverage.books == ()


@pytest.mark.parametrize(
    ("prices", "found"),
    [
        ((1.91, 2.5), "decimal"),
        ((150, -110), "american"),
        ((150, 200), "american"),
        ((150, 2.5), "decimal"),
        ((150.5,), "decimal"),
        ((), "decimal"),
        ((300.0, 100.0), "american"),
    ],
)
def test_prices_that_fit_both_formats_are_read_like_their_family(prices: tuple[float, ...], found: str, tmp_path: Path) -> None:
    files = {
        "odds/20251009T000000Z.json": [event(prices=prices[:1])],
        "odds/20251009T000100Z.json": [event(prices=prices[1:])],
        "odds/20251009T000200Z.json": [],
        "odds/20251009T000300Z.json": [event(sport=NHL, prices=(1.5,))],
        "event_odds/20251009T000400Z.json": event(prices=(1.5,)),
    }
    report, batches = run(put(tmp_path / "in", files), tmp_path / "out", sport=None)
    formats = [exchange.request.param("oddsFormat") for exchange in exchanges(batches)]
    # the empty answer may be of either sport
    assert (formats[:2], formats[3:]) == ([found, found], ["decimal", "decimal"])
    assert set(report.odds_formats[f"odds {NFL}"]) == {found}
    _, batches = run(tmp_path / "in", tmp_path / "declared", odds_format="american")
    assert {exchange.request.param("oddsFormat") for exchange in exchanges(batches)} == {"american"}


def test_the_sport_is_the_answers_own_else_the_only_one_there_is(tmp_path: Path) -> None:
    files = {
        "odds/20251009T000000Z.json": [event()],
        "odds/20251009T000100Z.json": [],
        "odds/20251009T000200Z.json": b"<html>",
        "events/20251009T000300Z.json": [],
        "participants/20251009T000400Z.json": [],
    }
    source = put(tmp_path / "in", files)
    report, batches = run(source, tmp_path / "one")
    assert [exchange.request.sport for exchange in exchanges(batches)] == [NFL] * 5
    assert report.sports == (NFL,)
    put(source, {"events/20251009T000500Z.json": [event(sport=NHL)]})
    _, batches = run(source, tmp_path / "two")
    assert [exchange.request.sport for exchange in exchanges(batches)] == [NFL, NFL, NFL, NHL, "unknown", NHL]
    _, batches = run(source, tmp_path / "declared", sport="baseball_mlb")
    assert {exchange.request.sport for exchange in exchanges(batches)} == {"baseball_mlb"}


def test_an_answer_of_several_sports_is_upcoming(tmp_path: Path) -> None:
    answer = [event(book="betmgm"), event(OTHER_ID, sport=NHL, book="bovada")]
    files = {"odds/20251009T000000Z.json": answer, "odds/20251009T000100Z.json": [event()]}
    _, batches = run(put(tmp_path / "in", files), tmp_path / "out")
    upcoming, odds = exchanges(batches)
    assert upcoming.request.sport == "upcoming"
    assert upcoming.coverage == Coverage(None, (), ("h2h",), ("betmgm", "bovada", "fanduel"))
    # one of the same name that shows one sport is another such poll
    assert (odds.request.sport, odds.coverage) == ("upcoming", upcoming.coverage)


def test_the_event_is_the_bodys_else_the_files_name(tmp_path: Path) -> None:
    at = "2025-10-09T00:00:00Z"
    files = {
        f"event_odds/{OTHER_ID}.json": event(),
        f"event_odds/x/{OTHER_ID}.json": b"no JSON",
        "event_odds/20251009T000001Z.json": [event()],
        f"event_odds/y/{OTHER_ID}.json": {"timestamp": at, "data": event()},
    }
    _, batches = run(put(tmp_path / "in", files), tmp_path / "out", captured_at=at)
    found = exchanges(batches)
    assert [(exchange.request.endpoint, exchange.request.event_id) for exchange in found] == [
        ("event_odds", ID), ("event_odds", OTHER_ID), ("historical_event_odds", ID), ("event_odds", None),
    ]  # fmt: skip
    assert [exchange.coverage.events for exchange in found] == [(ID,), (OTHER_ID,), (ID,), ()]


def test_the_plan_is_what_was_declared_and_never_what_was_inferred(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()], "scores/20251009T000000Z.json": []})
    _, batches = run(source, tmp_path / "out")
    assert batches[0].plan.document == {"kind": "import", "endpoints": ["odds", "scores"], "sports": [NFL], "declared": {}}
    assert batches[0].source == "import"
    _, more = run(put(source, {"odds/20251009T000100Z.json": [event(book="betmgm")]}), tmp_path / "more")
    assert more[0].batch_id == batches[0].batch_id
    assert more[0].exchanges[0].coverage != batches[0].exchanges[0].coverage
    _, batches = run(source, tmp_path / "declared", markets="h2h", odds_format="decimal", sport=NFL)
    assert batches[0].plan.document["declared"] == {"sport": NFL, "oddsFormat": "decimal", "markets": ["h2h"]}


# --- again, and after an interruption --------------------------------------------------------------------------------


def test_importing_again_changes_nothing(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {f"odds/20251009T0000{n:02}Z.json": [event()] for n in range(5)})
    first, _ = run(source, tmp_path / "out")
    before = tree(tmp_path / "out")
    second, _ = run(source, tmp_path / "out")
    assert (first.batches_written, second.batches_written, second.batches) == (5, 0, 5)
    assert tree(tmp_path / "out") == before
    assert run(source, tmp_path / "other")[1] == list(Recording.open(tmp_path / "out").batches())


def test_other_content_is_a_conflict_that_names_both_hashes_and_changes_nothing(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()], "odds/20251009T000001Z.json": [event()]})
    _, batches = run(source, tmp_path / "out")
    before = tree(tmp_path / "out")
    put(source, {"odds/20251009T000001Z.json": [event(prices=(1.92,))], "odds/20251008T000001Z.json": [event()]})
    with pytest.raises(ConflictError, match="BATCH_CONFLICT") as caught:
        run(source, tmp_path / "out")
    _, fresh = run(source, tmp_path / "fresh")
    assert f"sha256:{batches[1].exchanges[0].sha256}" in str(caught.value)
    assert f"sha256:{fresh[2].exchanges[0].sha256}" in str(caught.value)
    assert tree(tmp_path / "out") == before


def test_other_coverage_is_a_conflict(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()]})
    run(source, tmp_path / "out")
    put(source, {"odds/20251009T000001Z.json": [event(book="betmgm")]})
    with pytest.raises(ConflictError, match=r"BATCH_CONFLICT.*fanduel.*betmgm,fanduel"):
        run(source, tmp_path / "out")


def test_another_recording_in_the_folder_is_a_conflict(tmp_path: Path) -> None:
    run(put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()]}), tmp_path / "out")
    with pytest.raises(ConflictError, match="IMPORT_OUT_HOLDS_OTHER"):
        run(put(tmp_path / "other", {"scores/20251009T000000Z.json": []}), tmp_path / "out")


def test_new_files_are_added_to_a_recording(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()]})
    run(source, tmp_path / "out")
    report, batches = run(put(source, {"odds/20251009T000001Z.json": [event()]}), tmp_path / "out")
    assert (report.batches, report.batches_written, len(batches)) == (2, 1, 2)


@pytest.mark.parametrize("stop_at", range(1, 17))
def test_an_interrupted_import_leaves_whole_batches_and_is_completed(stop_at: int, tmp_path: Path) -> None:
    """Interrupted after any reading: what is there is whole, and the next import ends in the same bytes."""
    times = ("20251009T000000Z", "20251009T000001Z", "20251009T000002Z", "20251009T000003Z")
    files = {f"{folder}/{at}.json": [event()] for folder in ("odds", "scores") for at in times}
    source = put(tmp_path / "in", files)
    calls = 0

    def stop(done: int, total: int | None) -> None:
        nonlocal calls
        calls += 1
        assert (done, total) == (calls, 16)
        if calls == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_recording(source, tmp_path / "out", ImportOptions(), stop)
    if (tmp_path / "out" / "batches").exists():
        assert all(len(batch.exchanges) == 2 for batch in Recording.open(tmp_path / "out").batches())
    run(source, tmp_path / "out")
    run(source, tmp_path / "whole")
    ours, whole = tree(tmp_path / "out"), tree(tmp_path / "whole")
    heads = [json.loads(side.pop("recording.json")) for side in (ours, whole)]
    # a seal is of the name too
    assert [heads[0].pop(key) != heads[1].pop(key) for key in ("name", "seal")] == [True, True]
    assert heads[0] == heads[1]
    assert ours == whole


def test_an_interruption_within_a_batch_leaves_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()], "scores/20251009T000000Z.json": []})
    take, taken = copying.Spool.take, []

    def stop(spool: Any, index: int) -> bytes:
        taken.append(index)
        if len(taken) == 2:
            raise KeyboardInterrupt
        return take(spool, index)

    with monkeypatch.context() as patch:
        patch.setattr(copying.Spool, "take", stop)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "out")
    assert set(tree(tmp_path / "out")) <= {"recording.json", ".gitattributes"}
    assert len(exchanges(run(source, tmp_path / "out")[1])) == 2


def test_what_a_killed_import_left_unsealed_is_made_anew(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()]})
    _, (batch,) = run(source, tmp_path / "whole")
    writer = RecordingWriter(tmp_path / "out")
    other = dataclasses.replace(batch.exchanges[0], body=b"of other files")
    writer.begin(batch.batch_id, batch.scheduled_at, batch.plan, "import").add(other)
    assert run(source, tmp_path / "out")[1] == [batch]
    assert not (tmp_path / "out" / "unsealed").exists()


def test_bodies_that_wait_for_their_batch_go_to_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_MAX_SPOOL_BYTES", 100)
    files = {
        f"{folder}/20251009T00000{n}Z.json": [event(f"{n:032x}")] for folder in ("odds", "events", "scores") for n in range(9)
    }
    _, batches = run(put(tmp_path / "in", files), tmp_path / "out")
    assert sorted(exchange.body or b"" for exchange in exchanges(batches)) == sorted(
        json.dumps(body).encode() for body in files.values()
    )
    assert not [name for name in tree(tmp_path / "out") if name.startswith("tmp")]


def test_a_source_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()], "odds/20251009T000001Z.json": [event()]})

    def change(done: int, total: int | None) -> None:
        if done == 2:
            put(source, {"odds/20251009T000001Z.json": [event(prices=(1.5,))]})

    with pytest.raises(RecordingError, match=r"IMPORT_SOURCE_CHANGED.*20251009T000001Z"):
        import_recording(source, tmp_path / "out", ImportOptions(), change)


# --- sources ---------------------------------------------------------------------------------------------------------

FILES = {"top/odds/20251009T000000Z.json": json.dumps([event()]).encode(), "top/scores/20251009T000000Z.json": b"[]"}


@pytest.mark.parametrize(
    ("ending", "mode"), [(".tar", "w"), (".tar.xz", "w:xz"), (".tar.gz", "w:gz"), (".tgz", "w:gz"), (".tar.bz2", "w:bz2")]
)
def test_an_archive_is_read_like_its_folder(ending: str, mode: str, tmp_path: Path) -> None:
    archive = pack(tmp_path / f"answers{ending}", FILES, mode)
    calls: list[tuple[int, int | None]] = []
    report = import_recording(archive, tmp_path / "out", ImportOptions(), lambda done, total: calls.append((done, total)))
    assert calls == [(1, None), (2, None), (3, 4), (4, 4)]
    other, batches = run(put(tmp_path / "in", FILES), tmp_path / "folder")
    assert dataclasses.replace(report, out=other.out) == other
    assert list(Recording.open(tmp_path / "out").batches()) == batches


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"20251009T000000Z.json": [event()]}) / "20251009T000000Z.json"
    report, batches = run(source, tmp_path / "out", endpoints=["odds"])
    assert (report.total, len(batches)) == (Counts(1, 1), 1)


def test_dotfiles_are_no_part_and_texts_and_links_are_refused(tmp_path: Path) -> None:
    source = put(
        tmp_path / "in", {"odds/20251009T000000Z.json": [event()], "odds/README.md": b"", "odds/20251009T000000Z.txt": b"[]"}
    )
    put(source, {".git/20251009T000000Z.json": [], "odds/.20251009T000000Z.json": [], "odds/.DS_Store": b""})
    put(tmp_path / "else", {"20251009T000009Z.json": [event()]})
    (source / "odds" / "20251009T000001Z.json").symlink_to(tmp_path / "else" / "20251009T000009Z.json")
    (source / "odds" / "20251009T000002Z.json").symlink_to(tmp_path / "nowhere")
    (source / "linked").symlink_to(tmp_path / "else", target_is_directory=True)
    os.mkfifo(source / "odds" / "20251009T000003Z.json")
    report, batches = run(source, tmp_path / "out")
    assert len(exchanges(batches)) == 1
    assert {refused.path: refused.reason for refused in report.refused} == {
        "linked": "is a link",
        "odds/20251009T000000Z.txt": "is a text, no answer",
        "odds/20251009T000001Z.json": "is a link",
        "odds/20251009T000002Z.json": "is a link",
        "odds/20251009T000003Z.json": "is no regular file",
        "odds/README.md": "is a text, no answer",
    }


def test_an_archive_reaches_nothing_outside_of_it(tmp_path: Path) -> None:
    put(tmp_path, {"secret.json": [event()]})
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        for name in ("../odds/20251009T000000Z.json", "/odds/20251009T000000Z.json", "odds/../../20251009T000000Z.json"):
            tar.addfile(tarfile.TarInfo(name))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"odds/20251009T00000{int(kind)}Z.json")
            member.type, member.linkname = kind, "../secret.json"
            tar.addfile(member)
        tar.addfile(tarfile.TarInfo("./odds/.hidden.json"))
        tar.addfile(tarfile.TarInfo("./odds/./20251009T000009Z.json"))
    report, batches = run(archive, tmp_path / "out")
    assert [exchange.body for exchange in exchanges(batches)] == [b""]
    assert sorted({refused.reason for refused in report.refused}) == [
        "has a name that leads out of the archive", "is a link", "is no regular file",
    ]  # fmt: skip
    assert report.total == Counts(8, 1, 0, 7)


def test_a_path_that_an_archive_holds_twice_is_two_files(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        for body in (b"[]", b"[ ]", b"[]"):
            member = tarfile.TarInfo("scores/20251009T000000Z.json")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    report, batches = run(archive, tmp_path / "out")
    assert report.total == Counts(3, 2, 1)
    assert [exchange.body for exchange in exchanges(batches)] == [b"[]", b"[ ]"]


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_files, "MAX_FILE_BYTES", 1024 * 1024)
    body = b" " * (1024 * 1024 + 1)
    report, _ = run(put(tmp_path / "in", {"odds/20251009T000000Z.json": body}), tmp_path / "out")
    assert [refused.reason for refused in report.refused] == ["is larger than 1 MiB"]
    report, _ = run(pack(tmp_path / "a.tar", {"odds/20251009T000000Z.json": body}, "w"), tmp_path / "out")
    assert [refused.reason for refused in report.refused] == ["is larger than 1 MiB"]


def _archive_bytes(tmp_path: Path, mode: str) -> bytes:
    many = {f"odds/20251009T0000{n:02}Z.json": os.urandom(3000) for n in range(20)}
    return pack(tmp_path / "whole", many, mode).read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.97])
@pytest.mark.parametrize(("ending", "mode"), [(".tar.xz", "w:xz"), (".tar.gz", "w:gz"), (".tar.bz2", "w:bz2")])
def test_an_archive_that_is_cut_off_is_broken_and_not_short(ending: str, mode: str, share: float, tmp_path: Path) -> None:
    data = _archive_bytes(tmp_path, mode)
    archive = tmp_path / f"cut{ending}"
    archive.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(RecordingError, match="IMPORT_SOURCE_BROKEN"):
        run(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("at", [0, 100, 512 + 3072 + 700, 512 + 3072 + 100, 10 * (512 + 3072) + 20])
def test_a_plain_archive_that_is_cut_off_is_broken(at: int, tmp_path: Path) -> None:
    archive = tmp_path / "cut.tar"
    archive.write_bytes(_archive_bytes(tmp_path, "w")[:at])
    with pytest.raises(RecordingError, match="IMPORT_SOURCE_BROKEN"):
        run(archive, tmp_path / "out")


def test_an_archive_with_a_damaged_header_is_broken(tmp_path: Path) -> None:
    data = bytearray(_archive_bytes(tmp_path, "w"))
    data[3 * (512 + 3072) + 10] ^= 1
    (tmp_path / "bad.tar").write_bytes(data)
    with pytest.raises(RecordingError, match="IMPORT_SOURCE_BROKEN"):
        run(tmp_path / "bad.tar", tmp_path / "out")


def test_an_archive_that_is_none_is_broken(tmp_path: Path) -> None:
    for name, data in (("a.tar", b"x" * 2000), ("a.tar.xz", b"x" * 2000), ("b.tar.xz", lzma.compress(b"x" * 2000))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(RecordingError, match="IMPORT_SOURCE_BROKEN"):
            run(tmp_path / name, tmp_path / "out")


def test_sources_and_places_that_cannot_be_meant(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()]})
    run(source, tmp_path / "out")
    (tmp_path / "empty").mkdir()
    put(tmp_path / "used", {"notes": b""})
    cases = [
        (tmp_path / "nowhere", tmp_path / "x", "IMPORT_SOURCE_NOT_FOUND"),
        (tmp_path / "empty", tmp_path / "x", "IMPORT_SOURCE_EMPTY"),
        (tmp_path / "out", tmp_path / "x", "IMPORT_SOURCE_IS_RECORDING"),
        (source, source / "out", "IMPORT_OUT_OVERLAPS"),
        (source / "odds", source, "IMPORT_OUT_OVERLAPS"),
        (source, source, "IMPORT_OUT_OVERLAPS"),
        (source, tmp_path / "used", "RECORDING_FOLDER_IN_USE"),
        (source, tmp_path / "used" / "notes", "RECORDING_FOLDER_IN_USE"),
    ]
    for place, out, code in cases:
        with pytest.raises(SportsMarketError) as caught:
            run(place, out)
        assert caught.value.code == code
    assert not (tmp_path / "x").exists()
    assert set(tree(tmp_path / "used")) == {"notes"}
    run(source, tmp_path / "empty")


def test_names_that_are_no_utf_8_are_shown_escaped(tmp_path: Path) -> None:
    source = put(tmp_path / "in", {"odds/20251009T000000Z.json": [event()]})
    (source / "odds" / os.fsdecode(b"\xff.json")).write_bytes(b"[]")
    assert [refused.path for refused in run(source, tmp_path / "out")[0].refused] == ["odds/\\xff.json"]


# --- real recordings -------------------------------------------------------------------------------------------------

UNDATED = {
    "nba_player_props_2024": "2024-02-22T20:00:00Z",
    "outrights_and_lay_2021": "2021-11-13T17:35:00Z",
    "malformed": "2025-11-25T18:20:00Z",
}
FLAT = {
    "nfl_week6_2025": "odds",
    "worldcup_quarterfinals_2026": "odds",
    "nfl_decimal_repeats_2023": "odds",
    "malformed": "event_odds",
}


@pytest.mark.parametrize(
    ("archive", "files", "batches"),
    [
        ("malformed", 3, 1),
        ("nba_historical_2023", 476, 238),
        ("nba_player_props_2024", 3, 1),
        ("ncaaf_odds_and_scores_2026", 2, 1),
        ("nfl_decimal_repeats_2023", 21, 21),
        ("nhl_four_endpoints_2025", 22, 6),
        ("outrights_and_lay_2021", 7, 1),
        ("worldcup_quarterfinals_2026", 428, 428),
    ],
)
def test_a_real_archive_is_imported_whole(archive: str, files: int, batches: int, recorded_dir: Path, tmp_path: Path) -> None:
    source = recorded_dir / f"{archive}.tar.xz"
    declared = {"endpoints": [FLAT[archive]] if archive in FLAT else [], "captured_at": UNDATED.get(archive)}
    report, found = run(source, tmp_path / "out", **declared)
    assert (report.total, report.batches, report.unmatched_globs) == (Counts(files, files), batches, ())
    bodies = sorted(exchange.body or b"" for exchange in exchanges(found))
    assert bodies == sorted(file.body or b"" for file in Source(source).files())
    if archive in UNDATED:
        report, _ = run(source, tmp_path / "undated", endpoints=declared["endpoints"])
        assert report.total == Counts(files, 0, 0, files)
    if archive in FLAT:
        report, _ = run(source, tmp_path / "flat", captured_at=UNDATED.get(archive))
        # what is no answer has no shape that tells its endpoint
        refused = 2 if archive == "malformed" else 0
        assert report.total == Counts(files, files - refused, 0, refused)
        assert sum(note.count for note in report.notes if note.code == "ENDPOINT_GUESSED") == files - refused


def test_a_slice_of_the_real_nfl_archive(recorded_dir: Path, tmp_path: Path) -> None:
    for number, file in enumerate(Source(recorded_dir / "nfl_week6_2025.tar.xz").files()):
        if number % 15 == 0:
            put(tmp_path / "in", {file.path: file.body})
    report, batches = run(tmp_path / "in", tmp_path / "out", endpoints=["odds"])
    assert (report.total, report.sports) == (Counts(28, 28), (NFL,))
    assert report.odds_formats == {f"odds {NFL}": {"american": 28}}
    assert report.guessed == ()
    assert {exchange.coverage.markets for exchange in exchanges(batches)} == {("h2h", "spreads", "totals")}
    assert len(exchanges(batches)[0].coverage.books) == 11


def test_real_answers_of_four_endpoints_share_their_batches(recorded_dir: Path, tmp_path: Path) -> None:
    _, batches = run(recorded_dir / "nhl_four_endpoints_2025.tar.xz", tmp_path / "out")
    assert [exchange.request.endpoint for exchange in batches[0].exchanges] == ["sports", "events", "odds", "event_odds"]
    wrong = batches[-1].exchanges[-1]
    assert (wrong.request.endpoint, wrong.request.event_id, wrong.coverage.events) == ("event_odds", None, ())


def test_real_envelopes_are_dated_by_themselves(recorded_dir: Path, tmp_path: Path) -> None:
    report, batches = run(recorded_dir / "nba_historical_2023.tar.xz", tmp_path / "out")
    assert list(report.by_endpoint) == ["historical_events", "historical_odds"]
    for batch in batches:
        assert [json.loads(exchange.body or b"")["timestamp"] for exchange in batch.exchanges] == [
            batch.scheduled_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        ] * 2
