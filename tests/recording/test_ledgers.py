"""Bets and predictions from CSV: a recording of their own endpoints, or a list of what to mend."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import to_iso
from pipeline.contracts.judgement import judge
from pipeline.errors import ConflictError, RecordingError, UsageError
from pipeline.odds_api.endpoints import IMPORTED, cost
from pipeline.recording.ledgers import BETS, PREDICTIONS, TABLES, import_ledger
from pipeline.recording.model import Coverage
from pipeline.recording.store import Recording, content_sha256
from tests.ledgers import BET, PREDICTION, row_of, write
from tests.recording.test_results import CELLS, bytes_of

KNOWN = "2025-10-13T08:00:00Z"
ROWS = {"bets": row_of(BET), "predictions": row_of(PREDICTION)}
ITEMS = {"bets": BET, "predictions": PREDICTION}
ID = {"bets": "bet_id", "predictions": "prediction_id"}
both = pytest.mark.parametrize("things", TABLES)


def items_of(folder: Path) -> list[dict[str, Any]]:
    """All items of a recording, as they were written: numbers by their digits."""
    return [
        item
        for batch in Recording.open(folder).batches()
        for exchange in batch.exchanges
        for item in json.loads(exchange.body or b"", parse_float=Decimal)
    ]


@both
def test_a_row_becomes_an_item_of_an_answer_that_nobody_asks_for(tmp_path: Path, things: str) -> None:
    report = import_ledger(things, [write(tmp_path / "a.csv", ROWS[things])], tmp_path / "out", captured_at=KNOWN)

    [batch] = Recording.open(tmp_path / "out").batches()
    [exchange] = batch.exchanges
    assert (report.rows, report.entries, report.duplicates, report.batches, report.batches_written) == (1, 1, 0, 1, 1)
    assert batch.scheduled_at == exchange.captured_at == report.first_at == report.last_at
    assert to_iso(batch.scheduled_at) == KNOWN, "it is dated by its capture, not by what it tells of"
    assert (exchange.request.endpoint, exchange.request.sport, batch.source) == (things, None, "import")
    assert exchange.coverage == Coverage(events=()), "it tells nothing of events, books or markets"
    assert cost(exchange.request) == 0 and things in IMPORTED
    assert judge(exchange).verdict == "accepted"
    assert json.loads(exchange.body or b"") == [ITEMS[things]]
    assert set(report.to_json()) >= {things, "ledgers", "sports"} and things in report.lines()[0]


def test_numbers_keep_their_digits_and_no_more(tmp_path: Path) -> None:
    row = {**ROWS["bets"], "price": "+150.00", "stake": "0.10000001", "point": "-0.0"}
    import_ledger("bets", [write(tmp_path / "a.csv", row)], tmp_path / "out", captured_at=KNOWN)
    [item] = items_of(tmp_path / "out")
    assert (item["price"], item["stake"], item["point"]) == (150, Decimal("0.10000001"), 0)
    assert b'"point": 0,' in next(iter(Recording.open(tmp_path / "out").batches())).exchanges[0].body  # type: ignore[operator]
    same = write(tmp_path / "b.csv", {**row, "price": "150", "point": "0"})
    assert import_ledger("bets", [same], tmp_path / "out", captured_at=KNOWN).batches_written == 0


@both
def test_a_batch_per_time_and_ledger(tmp_path: Path, things: str) -> None:
    row = ROWS[things]
    file = write(
        tmp_path / "a.csv",
        {**row, ID[things]: "2", "captured_at": ""},
        {**row, "captured_at": ""},
        {**row, "ledger": "", "captured_at": ""},
        {**row, "captured_at": "2025-10-14T08:00:00Z"},
        {**row, "captured_at": ""},
    )
    report = import_ledger(things, [file], tmp_path / "out", captured_at=KNOWN, ledger=" other ")
    assert (report.rows, report.entries, report.duplicates, report.batches) == (5, 4, 1, 3)
    assert report.ledgers == tuple(sorted((row["ledger"], "other")))
    found = {
        (batch.batch_id[:16], exchange.request.param("ledger")): [item[ID[things]] for item in json.loads(exchange.body or b"")]
        for batch in Recording.open(tmp_path / "out").batches()
        for exchange in batch.exchanges
    }
    assert found == {
        ("20251013T080000Z", row["ledger"]): ["1", "2"],
        ("20251013T080000Z", "other"): ["1"],
        ("20251014T080000Z", row["ledger"]): ["1"],
    }


@both
def test_the_same_rows_give_the_same_bytes_and_again_change_nothing(tmp_path: Path, things: str) -> None:
    rows = [{**ROWS[things], ID[things]: number} for number in "3170"]
    out, again = tmp_path / "out", tmp_path / "again"
    import_ledger(things, [write(tmp_path / "a.csv", *rows)], out, captured_at=KNOWN)
    before = bytes_of(out)
    assert import_ledger(things, [tmp_path / "a.csv"], out, captured_at=KNOWN).batches_written == 0
    assert bytes_of(out) == before
    import_ledger(things, [write(tmp_path / "b.csv", *rows[::-1])], again, captured_at=KNOWN)
    one, other = (content_sha256(batch) for folder in (out, again) for batch in Recording.open(folder).batches())
    assert one == other, "the order of the rows is not part of what they say"


@both
def test_a_correction_needs_a_later_time(tmp_path: Path, things: str) -> None:
    out = tmp_path / "out"
    import_ledger(things, [write(tmp_path / "a.csv", ROWS[things])], out, captured_at=KNOWN)
    before = bytes_of(out)
    corrected = write(tmp_path / "a.csv", {**ROWS[things], "outcome": "Baltimore Ravens"})
    with pytest.raises(ConflictError, match="later captured_at"):
        import_ledger(things, [corrected], out, captured_at=KNOWN)
    assert bytes_of(out) == before
    assert import_ledger(things, [corrected], out, captured_at="2025-10-13T08:00:01Z").batches_written == 1


def test_those_of_a_simulated_market_are_declared(tmp_path: Path) -> None:
    file = write(tmp_path / "a.csv", ROWS["bets"])
    for name, simulated, source in (("real", False, "import"), ("made_up", True, "simulated")):
        import_ledger("bets", [file], tmp_path / name, captured_at=KNOWN, simulated=simulated)
        assert [batch.source for batch in Recording.open(tmp_path / name).batches()] == [source]


@pytest.mark.parametrize(
    ("things", "changes", "said"),
    [
        *((things, *each) for things in TABLES for each in (
            ({"ledger": ""}, "column ledger is empty; write a name of at most 120 characters, or give --ledger"),
            ({"ledger": "x" * 121}, "column ledger: "),
            ({ID[things]: ""}, f"column {ID[things]} is empty"),
            ({"event_id": "0123"}, "column event_id: '0123'; write the event's id"),
            ({"sport_key": "NFL"}, "column sport_key: 'NFL'; write a sport key"),
            ({"market": "Money line"}, "column market: 'Money line'; write a market key"),
            ({"outcome": ""}, "column outcome is empty; write the outcome's name"),
            ({"point": "3,5"}, "column point: '3,5'; write the outcome's handicap"),
            ({"point": "1e3"}, "column point"),
            ({"description": "x" * 501}, "column description"),
            ({TABLES[things].required[1]: "noon"}, f"column {TABLES[things].required[1]}: 'noon'; write when it was"),
            ({"captured_at": "noon"}, "column captured_at: 'noon'; write when this was written down"),
            ({"captured_at": "2025-10-12T16:29:59Z"}, f"it is before {TABLES[things].required[1]}"),
        )),
        ("bets", {"bookmaker_key": "Draft Kings"}, "column bookmaker_key: 'Draft Kings'; write the book's key"),
        ("bets", {"odds_format": "fractional"}, "column odds_format: 'fractional'; write american or decimal"),
        ("bets", {"price": "-99"}, "column price: '-99'; write a price of its odds_format, from 100 up or from -100 down"),
        ("bets", {"price": "99"}, "column price"),
        ("bets", {"price": "1", "odds_format": "decimal"}, "column price: '1'; write a price of its odds_format, above 1"),
        ("bets", {"price": "-110", "odds_format": "decimal"}, "column price"),
        ("bets", {"price": "10/11", "odds_format": "decimal"}, "column price"),
        ("bets", {"price": "١٥٠"}, "column price"),
        ("bets", {"price": "nan"}, "column price"),
        ("bets", {"stake": "0.00"}, "column stake: '0.00'; write what was staked"),
        ("bets", {"stake": "-5"}, "column stake"),
        ("bets", {"stake": "$5"}, "column stake"),
        ("predictions", {"probability": "0"}, "column probability: '0'; write a fraction between 0 and 1"),
        ("predictions", {"probability": "1"}, "column probability"),
        ("predictions", {"probability": "55%"}, "column probability"),
        ("predictions", {"probability": ".000"}, "column probability"),
    ],
)  # fmt: skip
def test_a_bad_cell_is_refused_with_its_place(tmp_path: Path, things: str, changes: dict[str, str], said: str) -> None:
    good = {"captured_at": KNOWN, **ROWS[things]}
    file = write(tmp_path / "a.csv", good, {**good, ID[things]: "2", **changes})
    with pytest.raises(RecordingError) as caught:
        import_ledger(things, [file], tmp_path / "out")
    assert caught.value.code == f"{things.upper()}_INVALID"
    assert f"{file}, line 3, " in caught.value.message and said in caught.value.message
    assert not (tmp_path / "out").exists(), "nothing is written"


def test_no_other_time_stands_in_for_the_capture(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"line 2, column captured_at is empty; .* or give --captured-at"):
        import_ledger("bets", [write(tmp_path / "a.csv", ROWS["bets"])], tmp_path / "out")


@both
def test_files_and_options_that_are_wrong_are_said(tmp_path: Path, things: str) -> None:
    file, prefix = write(tmp_path / "a.csv", ROWS[things]), things.upper()
    with pytest.raises(RecordingError, match=f"{prefix}_NOT_FOUND"):
        import_ledger(things, [tmp_path / "none.csv"], tmp_path / "out", captured_at=KNOWN)
    for options in ({"captured_at": "today"}, {"sport": "Ice Hockey"}, {"ledger": " "}, {"ledger": "x" * 121}):
        with pytest.raises(UsageError, match=f"{prefix}_OPTION_INVALID"):
            import_ledger(things, [file], tmp_path / "out", **options)
    (tmp_path / "b.csv").write_text(",".join(TABLES[things].required) + ",odds\n")
    with pytest.raises(RecordingError, match="line 1: column odds is unknown"):
        import_ledger(things, [tmp_path / "b.csv"], tmp_path / "out")
    (tmp_path / "c.csv").write_text(",".join(TABLES[things].required) + "\n")
    with pytest.raises(RecordingError, match=f"no {things}; write one row per {things[:-1]} below the header"):
        import_ledger(things, [tmp_path / "c.csv"], tmp_path / "out")
    other = write(tmp_path / "d.csv", {**ROWS[things], "outcome": "Draw"})
    with pytest.raises(RecordingError, match=r"d\.csv, line 2: .* says something else at .*a\.csv, line 2; keep one"):
        import_ledger(things, [file, other], tmp_path / "out", captured_at=KNOWN)


def test_a_prediction_is_of_who_wins_where_nothing_else_is_said(tmp_path: Path) -> None:
    row = {name: value for name, value in ROWS["predictions"].items() if name not in ("market", "point", "description")}
    import_ledger("predictions", [write(tmp_path / "a.csv", row)], tmp_path / "out", captured_at=KNOWN)
    assert [(item["market"], item["point"]) for item in items_of(tmp_path / "out")] == [("h2h", None)]


CHANGES = st.lists(
    st.tuples(
        st.sampled_from("0123"), st.dictionaries(st.sampled_from([*BET, *PREDICTION]), st.sampled_from(CELLS), max_size=2)
    ),
    max_size=3,
)


@given(things=st.sampled_from(list(TABLES)), changes=CHANGES)
def test_any_table_is_taken_whole_and_good_or_refused(
    tmp_path_factory: pytest.TempPathFactory, things: str, changes: list[tuple[str, dict[str, str]]]
) -> None:
    table = TABLES[things]
    rows = [
        {**ROWS[things], ID[things]: number, **{name: cell for name, cell in changed.items() if name in table.columns}}
        for number, changed in changes
    ]
    folder = tmp_path_factory.mktemp("any")
    write(folder / "a.csv", *rows, columns=table.columns)
    try:
        report = import_ledger(things, [folder / "a.csv"], folder / "out", captured_at=KNOWN)
    except RecordingError as error:
        assert error.code == f"{things.upper()}_INVALID" and not (folder / "out").exists()
        return
    assert report.rows == len(rows)
    for batch in Recording.open(folder / "out").batches():
        for exchange in batch.exchanges:
            assert judge(exchange).verdict == "accepted"
    # nothing is lost, and nothing is invented
    written = Counter((item["ledger"], item[ID[things]], item["outcome"]) for item in items_of(folder / "out"))
    asked = {(row["ledger"].strip(), row[ID[things]].strip(), row["outcome"].strip()) for row in rows}
    assert set(written) == asked and set(written.values()) <= {1}


def test_the_tables_name_the_columns_of_their_items() -> None:
    assert set(BETS.columns) == {*BET, "captured_at"} and set(PREDICTIONS.columns) == {*PREDICTION, "captured_at"}
