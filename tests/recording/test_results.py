"""Results from CSV: a recording in the API's own shape, or a list of what to mend."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contracts.judgement import judge
from pipeline.errors import ConflictError, RecordingError, UsageError
from pipeline.recording.results import OPTIONAL, REQUIRED, import_results
from pipeline.recording.store import Recording, content_sha256

KNOWN = "2025-10-16T12:00:00Z"
GAME = {
    "event_id": "0123456789abcdef0123456789abcdef",
    "sport_key": "americanfootball_nfl",
    "sport_title": "NFL",
    "commence_time": "2025-10-12T17:00:00Z",
    "home_team": "Baltimore Ravens",
    "away_team": "Los Angeles Rams",
    "home_score": "3",
    "away_score": "17",
}


def write(file: Path, *rows: dict[str, str]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row)) or list(GAME)
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return file


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_a_row_becomes_what_the_api_would_have_answered(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", {**GAME, "last_update": "2025-10-12T20:12:09+00:00"})

    report = import_results([file], tmp_path / "out", captured_at=KNOWN)

    [batch] = Recording.open(tmp_path / "out").batches()
    [exchange] = batch.exchanges
    assert (report.rows, report.entries, report.duplicates, report.batches, report.batches_written) == (1, 1, 0, 1, 1)
    assert batch.scheduled_at == exchange.captured_at == report.first_at == report.last_at
    assert (exchange.request.text, batch.source) == ("scores sport=americanfootball_nfl ?dateFormat=iso", "import")
    assert exchange.coverage.events == (GAME["event_id"],), "it tells nothing of other events"
    assert judge(exchange).verdict == "accepted"
    assert json.loads(exchange.body or b"") == [
        {
            "id": GAME["event_id"],
            "sport_key": "americanfootball_nfl",
            "sport_title": "NFL",
            "commence_time": "2025-10-12T17:00:00Z",
            "completed": True,
            "home_team": "Baltimore Ravens",
            "away_team": "Los Angeles Rams",
            "scores": [{"name": "Baltimore Ravens", "score": "3"}, {"name": "Los Angeles Rams", "score": "17"}],
            "last_update": "2025-10-12T20:12:09Z",
        }
    ]


def test_results_of_a_simulated_market_are_declared(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", GAME)
    for name, simulated, source in (("real", False, "import"), ("made_up", True, "simulated")):
        import_results([file], tmp_path / name, captured_at=KNOWN, simulated=simulated)
        assert [batch.source for batch in Recording.open(tmp_path / name).batches()] == [source]
    assert Recording.open(tmp_path / "real").batch_ids != Recording.open(tmp_path / "made_up").batch_ids


def test_a_batch_per_time_and_an_answer_per_sport(tmp_path: Path) -> None:
    other = {
        **GAME,
        "event_id": "f" * 32,
        "sport_key": "basketball_nba",
        "sport_title": "NBA",
        "captured_at": "2025-10-15T08:00:00Z",
    }
    postponed = {**GAME, "event_id": "a" * 32, "completed": "no", "home_score": "", "away_score": ""}
    mine = write(tmp_path / "a.csv", GAME, other, postponed)
    hockey = {key: value for key, value in GAME.items() if key != "sport_key"} | {"event_id": "b" * 32, "sport_title": "NHL"}
    theirs = write(tmp_path / "b.csv", hockey, GAME)

    report = import_results([mine, theirs], tmp_path / "out", captured_at=KNOWN, sport="icehockey_nhl")

    assert (report.rows, report.entries, report.duplicates, report.batches) == (5, 4, 1, 2)
    assert report.sports == ("americanfootball_nfl", "basketball_nba", "icehockey_nhl")
    found = {
        (batch.batch_id[:16], exchange.request.sport): [
            (game["id"][0], game["completed"], game["scores"] is None) for game in games
        ]
        for batch in Recording.open(tmp_path / "out").batches()
        for exchange in batch.exchanges
        if (games := json.loads(exchange.body or b""))
    }
    assert found == {
        ("20251015T080000Z", "basketball_nba"): [("f", True, False)],
        ("20251016T120000Z", "americanfootball_nfl"): [("0", True, False), ("a", False, True)],
        ("20251016T120000Z", "icehockey_nhl"): [("b", True, False)],
    }


def test_the_same_rows_give_the_same_bytes_and_again_change_nothing(tmp_path: Path) -> None:
    rows = [{**GAME, "event_id": digit * 32} for digit in "3a70"]
    out, again = tmp_path / "out", tmp_path / "again"
    import_results([write(tmp_path / "a.csv", *rows)], out, captured_at=KNOWN)
    before = bytes_of(out)

    assert import_results([tmp_path / "a.csv"], out, captured_at=KNOWN).batches_written == 0
    assert bytes_of(out) == before

    import_results([write(tmp_path / "b.csv", *rows[::-1])], again, captured_at=KNOWN)
    one, other = (content_sha256(batch) for folder in (out, again) for batch in Recording.open(folder).batches())
    assert one == other, "the order of the rows is not part of what they say"

    later = import_results([tmp_path / "a.csv"], out, captured_at="2025-10-17T12:00:00Z")
    assert (later.batches_written, len(Recording.open(out))) == (1, 2)


def test_a_correction_needs_a_later_time(tmp_path: Path) -> None:
    out = tmp_path / "out"
    import_results([write(tmp_path / "a.csv", GAME)], out, captured_at=KNOWN)
    before = bytes_of(out)

    with pytest.raises(ConflictError, match="later captured_at") as caught:
        import_results([write(tmp_path / "a.csv", {**GAME, "home_score": "13"})], out, captured_at=KNOWN)
    assert caught.value.code == "BATCH_CONFLICT"
    assert bytes_of(out) == before


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"event_id": "0123"}, "column event_id: '0123'; write the event's id"),
        ({"event_id": "0123456789ABCDEF0123456789ABCDEF"}, "column event_id"),
        ({"sport_key": "NFL"}, "column sport_key: 'NFL'; write a sport key"),
        ({"sport_key": ""}, "column sport_key is empty; write a sport key such as icehockey_nhl, or give --sport"),
        ({"sport_title": ""}, "column sport_title is empty"),
        ({"home_team": " "}, "column home_team is empty"),
        ({"away_team": "Baltimore Ravens"}, "column away_team: 'Baltimore Ravens'; write the other team"),
        ({"commence_time": "2025-10-12"}, "column commence_time: '2025-10-12'; write the event's start"),
        ({"commence_time": "2025-10-12T17:00:00"}, "column commence_time"),
        ({"captured_at": "noon"}, "column captured_at: 'noon'; write when the result was known"),
        ({"captured_at": "2025-10-12T16:59:59Z"}, "it is before commence_time"),
        ({"captured_at": "2025-10-16T12:00:00.5Z"}, "column captured_at"),
        ({"last_update": "yesterday"}, "column last_update: 'yesterday'"),
        ({"completed": "perhaps"}, "column completed: 'perhaps'; write true or false"),
        ({"home_score": "3-0"}, "column home_score: '3-0'; write a plain number"),
        ({"away_score": "-1"}, "column away_score: '-1'; write a plain number"),
        ({"away_score": "١"}, "column away_score"),
        ({"away_score": ""}, "column away_score is empty; write the score, or completed = false and no score at all"),
        ({"completed": "false", "away_score": ""}, "column away_score is empty"),
        ({"home_team": "x" * 501}, "column home_team"),
    ],
)
def test_a_bad_cell_is_refused_with_its_place(tmp_path: Path, changes: dict[str, str], said: str) -> None:
    file = write(
        tmp_path / "a.csv", {"captured_at": KNOWN, **GAME}, {"captured_at": KNOWN, **GAME, "event_id": "e" * 32, **changes}
    )
    with pytest.raises(RecordingError) as caught:
        import_results([file], tmp_path / "out")
    assert caught.value.code == "RESULTS_INVALID"
    assert f"{file}, line 3, {said}" in caught.value.message or (
        said in caught.value.message and ", line 3, " in caught.value.message
    )
    assert not (tmp_path / "out").exists(), "nothing is written"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "line 1: there is no column event_id; add it"),
        ("event_id,score\n", "line 1: column score is unknown; did you mean home_score? Else remove it"),
        (",".join([*REQUIRED, "home_team"]) + "\n", "line 1: column home_team stands twice; keep one"),
        (",".join(REQUIRED) + "\n", "no results; write one row per game below the header"),
        (",".join(REQUIRED) + "\n1,2\n", "line 2: 2 cells under 7 columns"),
        (",".join(REQUIRED) + '\n"1"2' + ",x" * 6 + "\n", "write it as a spreadsheet saves CSV"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(RecordingError) as caught:
        import_results([tmp_path / "a.csv"], tmp_path / "out", captured_at=KNOWN, sport="icehockey_nhl")
    assert said in caught.value.message


def test_all_that_is_wrong_is_said_at_once_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    bad = {**GAME, "home_score": "x", "away_score": "y"}
    file = write(tmp_path / "a.csv", *[{**bad, "event_id": f"{number:032x}"} for number in range(15)])
    with pytest.raises(RecordingError) as caught:
        import_results([file], tmp_path / "out", captured_at=KNOWN)
    assert caught.value.message.count("write a plain number") == 20
    assert caught.value.message.endswith("and 10 more")


def test_two_results_of_one_event_at_one_time_are_refused(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.csv", GAME), write(tmp_path / "b.csv", {**GAME, "home_score": "4"})
    with pytest.raises(RecordingError, match=r"b\.csv, line 2: event .* has another result at .*a\.csv, line 2; keep one"):
        import_results([one, other], tmp_path / "out", captured_at=KNOWN)


def test_what_cannot_be_read_and_wrong_options_are_said(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", GAME)
    with pytest.raises(RecordingError, match="RESULTS_NOT_FOUND"):
        import_results([tmp_path / "none.csv"], tmp_path / "out", captured_at=KNOWN)
    for options in ({"captured_at": "today"}, {"captured_at": KNOWN, "sport": "Ice Hockey"}):
        with pytest.raises(UsageError, match="RESULTS_OPTION_INVALID"):
            import_results([file], tmp_path / "out", **options)
    (tmp_path / "latin.csv").write_bytes(file.read_bytes().replace(b"Ravens", "Räv".encode("latin-1")))
    with pytest.raises(RecordingError, match="line 2: it is no UTF-8"):
        import_results([tmp_path / "latin.csv"], tmp_path / "out", captured_at=KNOWN)


def test_a_spreadsheet_may_save_it(tmp_path: Path) -> None:
    plain = write(tmp_path / "a.csv", {**GAME, "home_team": 'Ravens, "the"'})
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + plain.read_bytes().replace(b"\r\n", b"\n") + b"\n")
    for name in "ab":
        import_results([tmp_path / f"{name}.csv"], tmp_path / name, captured_at=KNOWN)
    one, other = (content_sha256(batch) for name in "ab" for batch in Recording.open(tmp_path / name).batches())
    assert one == other


CELLS = (
    "",
    " ",
    "0",
    "00",
    "-1",
    "1e3",
    "NaN",
    "true",
    "x",
    "x" * 501,
    "é🏒",
    "a\nb",
    "a\x00b",
    ',";',
    "2025-10-12T17:00:00Z",
    "9999-01-01T00:00:00Z",
)
ROW = st.tuples(
    st.sampled_from("0123"), st.dictionaries(st.sampled_from([*GAME, *OPTIONAL]), st.sampled_from(CELLS), max_size=2)
)


@given(changes=st.lists(ROW, max_size=3))
def test_any_table_is_taken_whole_and_good_or_refused(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, dict[str, str]]]
) -> None:
    rows = [{**GAME, "event_id": digit * 32, **changed} for digit, changed in changes]
    folder = tmp_path_factory.mktemp("any")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*REQUIRED, *OPTIONAL], restval="")
    writer.writeheader()
    writer.writerows(rows)
    (folder / "a.csv").write_bytes(text.getvalue().encode())
    try:
        report = import_results([folder / "a.csv"], folder / "out", captured_at=KNOWN)
    except RecordingError as error:
        assert error.code == "RESULTS_INVALID" and not (folder / "out").exists()
        return
    assert report.rows == len(rows)
    for batch in Recording.open(folder / "out").batches():
        for exchange in batch.exchanges:
            judged = judge(exchange)
            assert judged.verdict in ("accepted", "accepted_with_findings"), judged.findings
