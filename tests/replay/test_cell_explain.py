"""A cell of gold is explained down to the bytes of the answers; and these bytes alone give the cell."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest

from pipeline.bronze.read_back import read_exchange
from pipeline.clock import from_iso
from pipeline.errors import UsageError
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity
from pipeline.replay import cell_reads
from pipeline.replay.cell_answers import Bodies, piece_of
from pipeline.replay.cell_explain import Explainer, Explanation, Found, is_of_many, parsed
from pipeline.replay.cell_reads import (
    MORE_THAN_READ,
    OF_ANSWERS,
    OTHERWISE,
    QUOTES,
    SIGHTINGS,
    SILVER_KEYS,
    UNEXPLAINED,
    read_of,
    relations_read,
)
from pipeline.replay.cell_scope import named_answers
from pipeline.replay.json_positions import locate
from pipeline.transform.computed import queries_of_views, reading
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.digest import relations
from tests.conftest import Project
from tests.replay.from_bytes import cells_of_event, chosen_events, computed_from_bytes, differing, key_texts
from tests.replay.support import Databases, batches_of, take

# Relations that the bundled recording has no row of. Tests of their own hold those of ledgers; outlier_counts has the same
# sources as its view of games to come.
WITHOUT_ROWS: Final = {
    "gold.bets", "gold.predictions", "gold.bet_ledger", "gold.prediction_scores", "gold.prediction_bins",
    "gold.prediction_evaluation", "gold.middles", "gold.middles_clean", "gold.arbitrages_clean", "gold.outlier_counts_now",
}  # fmt: skip
NAMES: Final = [relation.name for relation in relations()]
LEDGERS: Final = ("silver.bet_captures", "silver.prediction_captures")
# A row of these is a row of few others, which all can be named: computed from these alone it is the same.
COUNTING: Final = ("gold.calibration", "gold.calibration_bins", "gold.calibration_differences")


@pytest.fixture(scope="module")
def reader(bundled: Warehouse) -> Iterator[Connection]:
    with bundled.connect(Role.TRANSFORMER) as connection:
        yield connection


@pytest.fixture(scope="module")
def explainer(reader: Connection) -> Explainer:
    return Explainer(reader)


@pytest.fixture(scope="module")
def explained(explainer: Explainer) -> dict[str, Explanation]:
    """A row of each relation that has any."""
    found = {}
    for name in NAMES:
        row = explainer.row_at_random(name, 1, 1)
        if row is not None:
            found[name] = explainer.explain_row(name, row)
    return found


# --- down to the bytes -----------------------------------------------------------------------------------------------


def test_every_table_and_view_is_explained(explained: dict[str, Explanation]) -> None:
    assert set(NAMES) - explained.keys() == WITHOUT_ROWS
    assert [name for name, each in explained.items() if len(each.found) < 2 or not each.pieces] == []
    assert [name for name, each in explained.items() if not each.models[name].rule or not each.models[name].lineage] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in WITHOUT_ROWS])
def test_what_is_named_is_there(name: str, explained: dict[str, Explanation], reader: Connection) -> None:
    """Each row that an answer tells has its bytes, and these say what the row says."""
    one = explained[name]
    opened = {piece.answer.exchange_id for piece in one.pieces}
    of_answers = [each for each in one.found if each.relation in OF_ANSWERS]
    assert of_answers
    for each in of_answers:
        exchange = dict(each.key).get("exchange_id") or each.cells.get("exchange_id")
        if each.piece is None:
            assert exchange is None or exchange not in opened or each.relation == QUOTES, each
            continue
        body = read_exchange(reader, UUID(each.piece.answer.exchange_id)).body
        assert body is not None
        assert locate(body, each.piece.pointer) == each.piece.range
        said = json.loads(each.piece.range.of(body), parse_float=Decimal)
        assert_says(each, said)
    # every row but the first is one that another has read
    assert {0, *(number for each in one.found for number in each.reads)} == {each.number for each in one.found}


def assert_says(found: Found, said: dict[str, Any]) -> None:
    """What an answer says at a place is what the row of silver tells."""
    cells = {**dict(found.key), **found.cells}
    if found.relation == QUOTES:
        assert cells.get("outcome_name", said["name"]) == said["name"]
        if "price_native" in cells:
            assert Decimal(cells["price_native"]) == said["price"]
        if "point" in cells:
            assert Decimal(cells["point"]) == said["point"]
    elif found.relation in (SIGHTINGS, "silver.scores"):
        assert said["id"] == cells["event_id"]
        assert cells.get("home_team", said["home_team"]) == said["home_team"]
    elif found.relation == "silver.bookmaker_sightings":
        assert said["key"] == cells["bookmaker_key"]
    elif found.relation == "silver.sport_sightings":
        assert cells["sport_key"] in (said.get("key"), said.get("sport_key"))


def test_all_quotes_of_an_answer_are_found_in_it(reader: Connection, explainer: Explainer) -> None:
    """Also those that stand twice, and alternate lines: no two have the same bytes."""
    rows = [
        parsed(text)
        for (text,) in reader.execute(
            "select to_jsonb(q)::text from silver.quotes as q where q.exchange_id in ("
            " select exchange_id from silver.quotes group by exchange_id order by count(distinct market_key) desc, 1 limit 8)"
        ).fetchall()
    ]
    bodies = Bodies(reader)
    bodies.read({row["exchange_id"] for row in rows})
    places = set()
    for row in rows:
        body = bodies.get(row["exchange_id"])
        assert body is not None
        piece = piece_of(QUOTES, row, body)
        assert piece is not None, row
        said = json.loads(piece.range.of(body.data), parse_float=Decimal)
        assert said["name"] == row["outcome_name"] and said.get("description") == row["description"]
        assert (said["price"] is None) == (row["price_native"] is None)
        if row["price_native"] is not None:
            assert Decimal(row["price_native"]) == said["price"]
        places.add((row["exchange_id"], piece.range))
    assert len(places) == len(rows) > 1000


def test_every_relation_is_explained_or_it_is_said_why_not(project: Project, explainer: Explainer) -> None:
    made = {*project.program.all_tables, *project.program.views()}
    assert made >= SILVER_KEYS.keys() and made >= set(NAMES)
    left = {name for name in made - SILVER_KEYS.keys() - set(NAMES) if name not in UNEXPLAINED}
    assert {name for name in left if not name.startswith("silver.stg_")} == set()
    assert {name for name in UNEXPLAINED if name not in made} == {"silver.stg_"}
    # and their keys are those that the models have
    for name, key in SILVER_KEYS.items():
        assert set(key) <= explainer.types(name).keys()


@pytest.mark.parametrize("name", [name for name in SILVER_KEYS if name not in LEDGERS])
def test_tables_of_silver_are_explained(name: str, explainer: Explainer, reader: Connection) -> None:
    for seed in (1, 2):
        row = explainer.row_at_random(name, seed, 1)
        assert row is not None
        one = explainer.explain(name, key_texts(explainer.key_of(name, row)))
        assert one.row == row and one.pieces
        piece = one.pieces[0]
        body = read_exchange(reader, UUID(piece.answer.exchange_id)).body
        assert body is not None and locate(body, piece.pointer) == piece.range


def test_what_a_model_names_is_read_or_it_is_said_why_not(explainer: Explainer) -> None:
    unread = {
        (name, other)
        for name in NAMES
        for other in relations_read(name)
        if other != QUOTES and read_of(name, explainer.columns[name], other, explainer.columns[other]) is None
    }
    said = {pair for pair, condition in OTHERWISE.items() if condition is None}
    assert unread - said == {("gold.closing_coverage", "silver.event_sport_keys")}
    assert {name for name, _ in said} - {"gold.events"} <= MORE_THAN_READ.keys()
    # nothing is written of what is no longer read
    assert {pair for pair in OTHERWISE if pair[1] not in relations_read(pair[0])} == set()
    assert {name for name in MORE_THAN_READ if not is_of_many(explainer.types(name))} == set()


def test_only_what_a_column_comes_from_is_read(explained: dict[str, Explanation], explainer: Explainer) -> None:
    row = explained["gold.margins"].row
    assert row is not None
    one = explainer.explain_row("gold.margins", row, ["sport_key"])
    assert {each.relation for each in one.found} == {"gold.margins", "silver.event_sport_keys", SIGHTINGS}
    assert one.models["gold.margins"].lineage == {"sport_key": ("silver.event_sport_keys.sport_key",)}
    told = explainer.explain_row("gold.margins", row, ["overround"])
    assert 1 < len(told.found) <= len(explained["gold.margins"].found)
    assert "  overround = " in "\n".join(told.lines()) and "  hold = " not in "\n".join(told.lines())


def test_a_tree_and_a_document_tell_the_same(explained: dict[str, Explanation]) -> None:
    one = explained["gold.best_price"]
    lines, document = "\n".join(one.lines()), one.to_json()
    assert json.loads(json.dumps(document)) == document
    for each in one.found:
        if each.piece is not None:
            assert f"bytes {each.piece.range.start}–{each.piece.range.end}" in lines
            assert document["rows"][each.number]["answer"]["bytes"] == [each.piece.range.start, each.piece.range.end]
    assert lines.count("─ gold.price_history [") >= sum(each.relation == "gold.price_history" for each in one.found)


# --- which row -------------------------------------------------------------------------------------------------------


def test_a_row_is_named_by_its_key_or_by_a_time(explained: dict[str, Explanation], explainer: Explainer) -> None:
    one = explained["gold.best_price"]
    assert explainer.explain("gold.best_price", key_texts(one.key)).row == one.row
    line = {"line_id": str(dict(one.key)["line_id"])}
    assert one.row is not None
    at = from_iso(one.row["valid_from"])
    assert explainer.explain("gold.best_price", line, at=at).row == one.row


def test_a_row_of_a_view_is_found_by_a_key_that_names_no_event(explained: dict[str, Explanation], explainer: Explainer) -> None:
    for name in ("gold.openings", "gold.fair_probabilities", "gold.current_odds"):
        one = explained[name]
        assert explainer.found(name, key_texts(one.key)) == one.row


@pytest.mark.parametrize(
    ("name", "key", "columns", "at", "code"),
    [
        ("gold.best_prise", {"event_id": "x"}, (), None, "TABLE_UNKNOWN"),
        ("silver.quote", {"event_id": "x"}, (), None, "TABLE_UNKNOWN"),
        ("silver.parameters", {"name": "x"}, (), None, "EXPLAIN_NOT"),
        ("silver.stg_odds", {"event_id": "x"}, (), None, "EXPLAIN_NOT"),
        ("gold.best_price", {"events": "x"}, (), None, "COLUMN_UNKNOWN"),
        ("gold.best_price", {"event_id": "x"}, ("book",), None, "COLUMN_UNKNOWN"),
        ("gold.best_price", {"valid_from": "yesterday noon"}, (), None, "EXPLAIN_KEY"),
        ("gold.best_price", {"line_id": "x"}, (), None, "EXPLAIN_KEY"),
        ("gold.best_price", {"market_key": "h2h"}, (), None, "EXPLAIN_MANY"),
        ("gold.events", {"event_id": "x"}, (), "2024-10-26T00:00:00Z", "EXPLAIN_AT"),
    ],
)
def test_what_cannot_be_meant_has_a_code(
    name: str, key: dict[str, str | None], columns: tuple[str, ...], at: str | None, code: str, bundled: Warehouse
) -> None:
    with bundled.connect(Role.TRANSFORMER) as connection, pytest.raises(UsageError) as caught:
        Explainer(connection).explain(name, key, columns, None if at is None else from_iso(at))
    assert caught.value.code == code and caught.value.next_step


# --- absence ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "why"),
    [
        ("event_absent", "does not show the event"),
        ("book_absent", "shows the event without the book"),
        ("outcome_absent", "shows the market without the outcome"),
    ],
)
def test_what_ended_a_price_is_named(reason: str, why: str, explainer: Explainer, reader: Connection) -> None:
    rows = reader.execute(
        "select series_id::text, line_rank::text, valid_from::text, valid_to from gold.price_history where end_reason = %s"
        " order by 1, 2, 3 limit 3",
        [reason],
    ).fetchall()
    assert rows
    for series_id, rank, valid_from, valid_to in rows:
        one = explainer.explain("gold.price_history", {"series_id": series_id, "line_rank": rank, "valid_from": valid_from})
        assert one.silences is not None and one.reasons["end_reason"] == reason
        assert any(why in each.why for each in one.silences.named if from_iso(each.captured_at) <= valid_to)


def test_a_row_that_is_not_there_has_reasons_too(explainer: Explainer, reader: Connection) -> None:
    [(event_id,)] = reader.execute(
        "select event_id from gold.price_history where market_key = 'h2h' and end_reason = 'event_absent' limit 1"
    ).fetchall()
    key = {"event_id": event_id, "bookmaker_key": "nobody", "market_key": "h2h"}
    one = explainer.explain("gold.price_history", key)
    assert one.row is None and one.exit_code == 1
    assert one.silences is not None and one.silences.count
    assert {"did not ask for the book"} <= {each.why for each in one.silences.named}
    assert "there is no such row" in "\n".join(one.lines())


# --- these bytes alone give the cell ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_named_bytes_alone_give_the_cell(
    seed: int, reader: Connection, explainer: Explainer, databases: Databases, project: Project
) -> None:
    """25 cells with those of real recordings; `nox -s proofs` takes more."""
    [event_id] = chosen_events(reader, seed, 1)
    assert_bytes_give_cells(reader, explainer, databases, project, event_id, seed, 5)


@pytest.mark.proof(cases=0)
@pytest.mark.parametrize("seed", range(100, 112))
def test_the_named_bytes_alone_give_many_cells(
    seed: int, reader: Connection, explainer: Explainer, databases: Databases, project: Project
) -> None:
    [event_id] = chosen_events(reader, seed, 1)
    assert_bytes_give_cells(reader, explainer, databases, project, event_id, seed, 40)


SLICES: Final[dict[str, tuple[Any, dict[str, Any]]]] = {
    "nfl_week6_2025": ((*range(0, 415, 60), *range(240, 275, 3)), {"endpoints": ["odds"]}),
    "worldcup_quarterfinals_2026": ((*range(0, 428, 60), *range(328, 353, 3)), {"endpoints": ["odds"]}),
    "nhl_four_endpoints_2025": (range(22), {}),
    "nba_player_props_2024": (range(3), {"captured_at": "2024-02-22T20:00:00Z"}),
    "outrights_and_lay_2021": (range(7), {"captured_at": "2021-11-11T12:00:00Z"}),
}


def assert_slice(
    name: str, recorded: Path, folder: Path, databases: Databases, project: Project, events: int, count: int
) -> None:
    batches = batches_of(recorded / f"{name}.tar.xz", *SLICES[name], folder)
    with databases() as warehouse:
        take(warehouse, project, batches, step=0)
        with warehouse.connect(Role.TRANSFORMER) as connection:
            explainer = Explainer(connection)
            for seed, event_id in enumerate(chosen_events(connection, 7, events)):
                assert_bytes_give_cells(connection, explainer, databases, project, event_id, seed, count)


@pytest.mark.recorded
@pytest.mark.parametrize("name", ["nfl_week6_2025", "nhl_four_endpoints_2025"])
def test_bytes_of_real_answers_give_the_cell(
    name: str, recorded_dir: Path, tmp_path: Path, databases: Databases, project: Project
) -> None:
    assert_slice(name, recorded_dir, tmp_path, databases, project, 1, 5)


@pytest.mark.recorded
@pytest.mark.proof(cases=0)
@pytest.mark.parametrize("name", SLICES)
def test_bytes_of_real_answers_give_many_cells(
    name: str, recorded_dir: Path, tmp_path: Path, databases: Databases, project: Project
) -> None:
    assert_slice(name, recorded_dir, tmp_path, databases, project, 4, 30)


def assert_bytes_give_cells(
    connection: Connection,
    explainer: Explainer,
    databases: Databases,
    project: Project,
    event_id: str,
    seed: int,
    count: int,
) -> None:
    cells = cells_of_event(explainer, event_id, seed, count)
    assert len(cells) == count or len({cell.explanation.relation for cell in cells}) > 5
    found = computed_from_bytes(connection, databases, project, [cell.explanation for cell in cells])
    assert differing(cells, found) == []


def test_without_one_of_the_answers_a_cell_is_another(
    explainer: Explainer, reader: Connection, databases: Databases, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the proof can fail: the answer that a price begins with is left out of what is named."""
    from tests.replay import from_bytes

    rows = reader.execute(
        "select series_id::text, line_rank::text, valid_from::text from gold.price_history where valid_to is not null"
        " and event_id in (select event_id from gold.price_history group by 1 having count(distinct valid_from) > 3)"
        " order by valid_from desc, 1 limit 1"
    ).fetchall()
    [(series_id, rank, valid_from)] = rows
    one = explainer.explain("gold.price_history", {"series_id": series_id, "line_rank": rank, "valid_from": valid_from})
    assert one.row is not None
    whole = from_bytes.answers_about

    def without(*arguments: Any) -> Any:
        return tuple(each for each in whole(*arguments) if from_iso(each.answer.captured_at) != from_iso(one.row["valid_from"]))

    cells = [from_bytes.Cell(one, "valid_from")]
    assert differing(cells, computed_from_bytes(reader, databases, project, [one])) == []
    monkeypatch.setattr(from_bytes, "answers_about", without)
    assert differing(cells, computed_from_bytes(reader, databases, project, [one])) != []


def test_every_answer_is_named_with_its_bytes(explained: dict[str, Explanation], reader: Connection) -> None:
    one = explained["gold.price_history"]
    named = named_answers(reader, one)
    assert {piece.answer.exchange_id for piece in one.pieces} <= {each.answer.exchange_id for each in named}
    assert any(not each.items for each in named) or all(each.items for each in named)
    for each in named:
        body = read_exchange(reader, UUID(each.answer.exchange_id)).body
        assert body is not None
        for pointer, found in each.items:
            assert locate(body, pointer) == found


# --- rows that count others ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COUNTING)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_row_that_counts_names_what_it_counts(
    name: str, seed: int, bundled: Warehouse, explainer: Explainer, project: Project
) -> None:
    """The view over the named rows alone gives the row, and each of these is of an event, and so explained by itself."""
    row = explainer.row_at_random(name, seed, seed)
    assert row is not None
    one = explainer.explain_row(name, row)
    [relation] = {one.found[number].relation for number in one.found[0].reads}
    keys = [dict(one.found[number].key) for number in one.found[0].reads]
    assert all("event_id" in key for key in keys) and not one.found[0].left_out
    made = (statement for step in project.program.parts["make"] for statement in step.statements)
    query = reading(queries_of_views(made)[name], {relation: "pg_temp.named_rows"})
    columns = ", ".join(keys[0])
    with bundled.connect(Role.OWNER) as owner:
        owner.execute(
            f"create temporary table named_rows as select r.* from {relation} as r"
            f" join jsonb_populate_recordset(null::{relation}, %s::jsonb) as k using ({columns})".encode(),
            [json.dumps(keys)],
        )
        wanted = " and ".join(f"t.{column} = w.{column}" for column, _ in one.key)
        found = owner.execute(
            f"select to_jsonb(t)::text from ({query.replace('%', '%%')}) as t,"
            f" jsonb_populate_record(null::{name}, %s::jsonb) as w where {wanted}".encode(),
            [json.dumps(dict(one.key))],
        ).fetchall()
        owner.rollback()
    assert [parsed(text) for (text,) in found] == [row]


@pytest.mark.parametrize(
    "name", [*COUNTING, "gold.lead_lag", "gold.closing_coverage", "gold.book_scorecard", "gold.book_twins"]
)
def test_rows_that_are_counted_are_explained_from_bytes(
    name: str,
    explained: dict[str, Explanation],
    explainer: Explainer,
    reader: Connection,
    databases: Databases,
    project: Project,
) -> None:
    one = explained[name]
    counted = [
        one.found[number]
        for number in one.found[0].reads
        if "event_id" in dict(one.found[number].key) or one.found[number].cells.get("event_id")
    ]
    assert counted
    each = counted[len(counted) // 2]
    there = explainer.explain(each.relation, key_texts(each.key))
    found = computed_from_bytes(reader, databases, project, [there])
    assert found[there.relation, there.key] == there.row


@pytest.mark.parametrize("name", ["gold.bookmakers", "gold.sports"])
def test_books_and_sports_come_from_the_answers_that_decide(
    name: str, explainer: Explainer, reader: Connection, databases: Databases, project: Project
) -> None:
    for seed in (1, 2):
        row = explainer.row_at_random(name, seed, 1)
        assert row is not None
        one = explainer.explain_row(name, row)
        assert computed_from_bytes(reader, databases, project, [one])[name, one.key] == row


def test_what_is_named_beyond_what_is_counted_is_said(explained: dict[str, Explanation]) -> None:
    assert {name for name, each in explained.items() if each.remark} == MORE_THAN_READ.keys() & explained.keys()
    assert cell_reads.MORE_THAN_READ["gold.lead_lag"] in "\n".join(explained["gold.lead_lag"].lines())


# --- odd answers -----------------------------------------------------------------------------------------------------


def market(key: str, *outcomes: tuple[str, Any], **more: Any) -> dict[str, Any]:
    return {"key": key, **more, "outcomes": [{"name": name, "price": price} for name, price in outcomes]}


def test_what_stands_twice_and_what_is_held_back_is_told_apart(prepared: Warehouse, project: Project) -> None:
    """A book and an outcome that stand twice, and a market that is held back: each quote has bytes of its own, with its price.

    Where the book is read later, it speaks, though it comes second.
    """
    at = dt.datetime(2025, 1, 5, 12, tzinfo=dt.UTC)
    event = {
        "id": "0123456789abcdef0123456789abcdef", "sport_key": "americanfootball_nfl", "sport_title": "NFL",
        "commence_time": "2025-01-05T18:00:00Z", "home_team": "Los Angeles Rams", "away_team": "Seattle Seahawks",
    }  # fmt: skip
    home, away = event["home_team"], event["away_team"]

    def book(minute: int, *markets: dict[str, Any]) -> dict[str, Any]:
        told = f"2025-01-05T11:{minute}:00Z"
        return {"key": "draftkings", "title": "DraftKings", "last_update": told, "markets": list(markets)}

    books = [
        book(40, market("h2h", (home, 1.5), (away, 2.5)), market("totals", ("Over", "much"), ("Under", 1.9))),
        book(50, market("h2h", (home, 1.6), (away, 2.4), (home, 1.61), (away, 2.41))),
    ]
    body = json.dumps([{**event, "bookmakers": books}]).encode()
    request = ApiRequest.of("odds", sport="americanfootball_nfl", params={"markets": "h2h,totals", "bookmakers": "draftkings"})
    coverage = Coverage("americanfootball_nfl", None, ("h2h", "totals"), ("draftkings",))
    plan = PlanIdentity({"kind": "import", "endpoints": [], "sports": [], "declared": {}})
    batch = Batch(plan.batch_id(at), at, plan, "import", (Exchange(0, 1, request, coverage, at, 200, body=body),))
    take(prepared, project, [batch])
    with prepared.connect(Role.TRANSFORMER) as connection:
        explainer = Explainer(connection)
        rows = [parsed(text) for (text,) in connection.execute("select to_jsonb(q)::text from silver.quotes as q").fetchall()]
        bodies = Bodies(connection)
        bodies.read(row["exchange_id"] for row in rows)
        found = {}
        for row in rows:
            read = bodies.get(row["exchange_id"])
            assert read is not None
            piece = piece_of(QUOTES, row, read)
            assert piece is not None
            assert Decimal(row["price_native"]) == json.loads(piece.range.of(body), parse_float=Decimal)["price"]
            found[piece.pointer] = row["duplicate_no"]
        one = explainer.explain("gold.events", {"event_id": event["id"]})
        silent = explainer.explain(
            "gold.price_history", {"event_id": event["id"], "bookmaker_key": "draftkings", "market_key": "totals"}
        )
    assert one.row is not None and silent.row is None and silent.silences is not None
    assert [each.why for each in silent.silences.named] == ["holds the book, or its market, back"]
    assert len(found) == len(rows) == 6 and set(found.values()) == {1, 2, 3}
    assert found["/0/bookmakers/1/markets/0/outcomes/0"] == 1 and found["/0/bookmakers/0/markets/0/outcomes/0"] == 3
