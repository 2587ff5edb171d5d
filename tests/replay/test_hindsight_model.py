"""What is known afterwards, and what people bet, is that of a plain model, on slices of real recordings and the bundled one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.recording.model import Batch
from pipeline.recording.store import Recording
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.replay import wild
from tests.replay.hindsight_model import GAME_MARKETS, Hindsight
from tests.replay.ledger_model import BET_KEY, EVALUATION_KEY, PREDICTION_KEY, Ledgers, drawn, drawn_scores
from tests.replay.model import Gold, Table, market_rule
from tests.replay.slices import PLAYED, SLICES
from tests.replay.support import Databases, batches_of, differences, take
from tests.replay.test_odd_answers import book, event, h2h, poll
from tests.replay.transcript import Transcript
from tests.replay.value_model import BIN_KEY, Values, prediction_bins
from tests.replay.views_model import Scorecards, expected_value, lead_lag, moves_of

OPENING_KEY: Final = ("event_id", "market_key", "outcome_name")
CLV_KEY: Final = ("event_id", "bookmaker_key", "market_key", "description", "outcome_name", "key_point", "horizon")
KEYS: Final = {
    "quotes_sampled": ("event_id", "bookmaker_key", "market_key", "outcome_set", "outcome_side", "minutes_to_start"),
    "game_lines": ("event_id",),
    "game_lines_now": ("event_id",),
    "market_openings": OPENING_KEY,
    "market_openings_now": OPENING_KEY,
    "outcome_grades": ("event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name"),
    "best_price_now": ("event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name"),
    "clv": CLV_KEY,
    "clv_now": CLV_KEY,
    "calibration_observations": ("event_id", "market_key", "outcome_set", "bookmaker_key", "method", "horizon_hours"),
    "book_twins": ("operator_group", "other_group"),
    "book_scorecard": ("sport_key", "bookmaker_key", "month"),
    "outlier_counts": ("event_id", "bookmaker_key", "horizon_hours"),
    "outlier_counts_now": ("event_id", "bookmaker_key", "horizon_hours"),
    "expected_value": (
        "event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name", "bookmaker_key",
    ),
    "lead_lag": ("sport_key", "market_key", "operator_group", "other_group"),
    "bet_ledger": BET_KEY,
    "prediction_scores": PREDICTION_KEY,
    "prediction_evaluation": EVALUATION_KEY,
    "prediction_bins": BIN_KEY,
}  # fmt: skip
CLV_MINUTES: Final = {"24h": 24 * 60, "6h": 6 * 60, "1h": 60, "15min": 15}
# Entries that are drawn from each recording.
BETS, PREDICTIONS = 400, 250
WILD_SEEDS: Final = tuple(int(seed) for seed in (os.environ.get("SPORTS_MARKET_SEEDS") or "200,202,205").split(","))
BROKEN_SEEDS: Final = (2, 22, 28)


def read(warehouse: Warehouse, table: str) -> Table:
    """All columns but surrogate keys; a series has the point that is part of its name."""
    key = KEYS[table]
    columns, series = "told.*", ""
    if key is CLV_KEY:
        columns += ", first_row.point as key_point"
        series = (
            " join (select series_id, min(point) as point from gold.price_history group by series_id) as first_row"
            " on first_row.series_id = told.series_id"
        )
    with warehouse.connect(Role.READER) as connection:
        cursor = connection.execute(f"select {columns} from gold.{table} as told{series}".encode())
        names = [column.name for column in cursor.description or ()]
        rows = [
            {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in zip(names, values, strict=True)
                if name not in ("line_id", "series_id")
            }
            for values in cursor
        ]
    if key is OPENING_KEY:
        # so far the model goes
        rows = [row for row in rows if row["outcome_side"] in GAME_MARKETS.get(row["market_key"], ())]
    if key is CLV_KEY:
        # the model has no closings of outrights
        rows = [row for row in rows if market_rule(row["market_key"])["family"] != "outrights"]
        for row in rows:
            if market_rule(row["market_key"])["is_point_in_key"] != "true":
                row["key_point"] = None
    return {tuple(row[name] for name in key): {name: row[name] for name in row if name not in key} for row in rows}


def model_of(batches: Sequence[Batch]) -> tuple[list[Batch], dict[str, Table]]:
    """The batches of bets and predictions about what is quoted; and the tables, as the model has them."""
    hindsight = Hindsight(Gold(batches))
    entries = drawn(hindsight, BETS, PREDICTIONS)
    ledgers, values = Ledgers(hindsight, entries), Values(hindsight)
    scores = ledgers.prediction_scores()
    return entries, {
        "quotes_sampled": hindsight.quotes_sampled(),
        "game_lines": hindsight.game_lines(),
        "game_lines_now": hindsight.game_lines_now(),
        "market_openings": hindsight.market_openings(),
        "market_openings_now": hindsight.market_openings_now(),
        "outcome_grades": hindsight.outcome_grades(),
        "best_price_now": hindsight.best_price_now(),
        "clv": values.clv(),
        "clv_now": values.clv_now(),
        "calibration_observations": values.calibration_observations(),
        "book_twins": values.book_twins(),
        "book_scorecard": Scorecards(hindsight).rows(),
        "outlier_counts": Scorecards(hindsight).outlier_counts(),
        "outlier_counts_now": Scorecards(hindsight).outlier_counts_now(),
        "expected_value": expected_value(hindsight),
        "lead_lag": lead_lag(moves_of(hindsight)),
        "bet_ledger": ledgers.bet_ledger(),
        "prediction_scores": scores,
        "prediction_evaluation": ledgers.prediction_evaluation(),
        "prediction_bins": prediction_bins(scores),
    }


def assert_agreed(warehouse: Warehouse, expected: dict[str, Table]) -> int:
    """The cells compared; the tables must be equal in all of them."""
    found = {table: read(warehouse, table) for table in KEYS}
    lines = differences(found, expected, most=20)
    assert not lines, "\n".join(lines)
    return sum(len(row) for rows in found.values() for row in rows.values())


def assert_horizons_are_sampled(expected: dict[str, Table]) -> int:
    """What clv and calibration read so long before the start is what was sampled then, on the same line; how much of it is."""
    samples = expected["quotes_sampled"]
    read_of = []
    for (event_id, bookmaker, market, description, _, _, horizon), row in expected["clv"].items():
        key = (event_id, bookmaker, market, row["outcome_set"], row["outcome_side"], CLV_MINUTES.get(horizon))
        if description is None and key in samples and samples[key]["line_point"] == row["line_point"]:
            names = ("price_net", "fair_probability", "seconds_since_seen")
            read_of.append((key, names, (row["price_taken"], row["probability_taken"], row["seconds_since_seen"])))
    for (event_id, market, kind, bookmaker, method, hours), row in expected["calibration_observations"].items():
        key = (event_id, bookmaker, market, kind, "over" if market == "totals" else "home", 60 * hours)
        if method == "power" and key in samples:
            read_of.append((key, ("line_point", "fair_probability"), (row["line_point"], row["probability"])))
    for key, names, told in read_of:
        assert tuple(samples[key][name] for name in names) == told, key
    return len(read_of)


@pytest.mark.recorded
@pytest.mark.proof
@pytest.mark.parametrize("name", SLICES)
def test_hindsight_is_that_of_the_model(
    name: str, recorded_dir: Path, tmp_path: Path, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = batches_of(recorded_dir / f"{name}.tar.xz", *SLICES[name], tmp_path)
    # no archive has odds and final scores of one game
    batches += drawn_scores(Hindsight(Gold(batches)))
    entries, expected = model_of(batches)
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, [*batches, *entries], step=0)
        assert assert_agreed(warehouse, expected) > 0
    if name in PLAYED:
        assert all(expected[table] for table in KEYS)
        assert assert_horizons_are_sampled(expected) > 1000
        assert {row["close_status"] for row in expected["calibration_observations"].values()} == {None, "ok", "aged"}
        assert {row["clv_status"] for row in expected["clv"].values()} >= {"same_point", "no_close"}
        assert {row["ev_basis"] for row in expected["expected_value"].values()} == {"median_of_others", "too_few_groups"}


@pytest.mark.proof
def test_hindsight_of_the_bundled_recording(databases: Databases, project: Project, transcript: Transcript) -> None:
    batches = list(Recording.open(resource("fixtures") / "recordings" / "simulated").batches())
    entries, expected = model_of(batches)
    with databases() as warehouse, transcript.instead_of_dbt():
        take(warehouse, project, [*batches, *entries], step=0)
        assert assert_agreed(warehouse, expected) > 100_000
    # it has what the rules tell apart
    assert {row["was_there"] for row in expected["bet_ledger"].values()} == {"yes", "no", "unknown"}
    assert {row["clv_status"] for row in expected["bet_ledger"].values()} == {
        "in_play",
        "same_point",
        "point_moved",
        "no_close",
    }
    assert {row["status"] for row in expected["prediction_scores"].values()} >= {
        "ok",
        "superseded",
        "after_start",
        "not_graded",
    }
    assert expected["prediction_evaluation"]
    assert {(key[-1], row["clv_status"]) for key, row in expected["clv"].items()} == {
        (horizon, status) for horizon in ("opening", *CLV_MINUTES) for status in ("same_point", "point_moved", "no_close")
    }
    observed = expected["calibration_observations"]
    assert {kind for _, _, kind, _, _, _ in observed} == {"two_way", "three_way", "yes_no"}
    assert {row["close_status"] for row in observed.values()} == {None, "ok", "aged"}
    assert "consensus" in {book for _, _, _, book, _, _ in observed}
    values = expected["expected_value"].values()
    assert {row["is_usable"] for row in values} == {True, False}
    assert {row["ev_basis"] for row in values} == {"median_of_others", "too_few_groups"}
    assert {row["fair_basis"] for row in values} == {"plain", "no_push", "half_stake"}
    cards = list(expected["book_scorecard"].values())
    assert any(0 < card["uptime"] < 1 for card in cards if card["uptime"] is not None)
    assert all(
        any(card[share] for card in cards) for share in ("stale_share_pre", "stale_share_in_play", "outlier_share", "mean_hold")
    )
    assert assert_horizons_are_sampled(expected) > 1000
    assert {row["grade"] for row in expected["outcome_grades"].values()} >= {"win", "loss", "push", "unresolved"}


@pytest.mark.proof
@pytest.mark.parametrize("seed", WILD_SEEDS)
def test_hindsight_of_a_wild_market(seed: int, databases: Databases, project: Project, transcript: Transcript) -> None:
    batches = wild.market_of(seed)
    entries, expected = model_of(batches)
    with databases() as warehouse, transcript.on_small_markets():
        take(warehouse, project, [*batches, *entries], step=0)
        assert_agreed(warehouse, expected)


@pytest.mark.proof
@pytest.mark.parametrize("seed", BROKEN_SEEDS)
def test_hindsight_where_elements_are_held_back(
    seed: int, databases: Databases, project: Project, transcript: Transcript
) -> None:
    batches = [wild.with_broken_elements(batch, seed) for batch in wild.market_of(seed)]
    entries, expected = model_of(batches)
    with databases() as warehouse, transcript.on_small_markets():
        take(warehouse, project, [*batches, *entries], step=0)
        assert_agreed(warehouse, expected)


@pytest.mark.proof
def test_a_stalled_book_has_no_vote_and_a_price_ages(databases: Databases, project: Project, transcript: Transcript) -> None:
    """Of five other groups one has stalled; a price that no answer shows any more is as old as the newest answer makes it."""
    prices = {"pinnacle": (1.9, 1.9), "draftkings": (1.88, 1.92), "betmgm": (1.87, 1.93), "bovada": (1.91, 1.87)}

    def offered(read_at: str) -> list[dict[str, Any]]:
        fresh = {**prices, "fanduel": (2.0, 1.83)}
        stalled = book("williamhill_us", h2h(1.75, 2.1), last_update="2026-01-10T11:40:00Z")
        return [stalled, *(book(key, h2h(*price), last_update=read_at) for key, price in fresh.items())]

    # a line that stands twice in a book: the entry that comes first speaks
    doubled = book("betus", h2h(1.86, 1.86), h2h(1.86, 1.95))
    first = offered("2026-01-10T11:59:30Z")
    batches = [
        poll(0, event(*first), event(first[-1], doubled, id="d" * 32), books=(*prices, "fanduel", "betus")),
        poll(7, event(*offered("2026-01-10T12:06:30Z")), books=("pinnacle",)),
    ]
    entries, expected = model_of(batches)
    with databases() as warehouse, transcript.on_small_markets():
        take(warehouse, project, [*batches, *entries], step=0)
        assert_agreed(warehouse, expected)
    values = expected["expected_value"].items()
    assert {(row["group_count"], row["is_usable"]) for key, row in values if key[-1] == "fanduel"} == {(4, True), (1, False)}
