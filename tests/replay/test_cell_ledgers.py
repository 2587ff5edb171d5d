"""Bets and predictions are explained as all of gold is: from the entry, and from the market that judges it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import to_iso
from pipeline.replay.cell_explain import Explainer
from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from tests.conftest import Project
from tests.ledgers import BET, PREDICTION, answer, ledger_batch
from tests.replay.from_bytes import computed_from_bytes
from tests.replay.support import CLOCK, Databases


@pytest.fixture(scope="module")
def judged(server: Server, bundled: Warehouse, clone_names: Iterator[str], project: Project) -> Iterator[Warehouse]:
    """The bundled recording, with bets and predictions on one of its games."""
    made = server.clone_database(bundled, next(clone_names))
    try:
        with made.connect(Role.READER) as connection:
            [(event_id, sport, home, price, start_at)] = connection.execute(
                "select c.event_id, c.sport_key, c.outcome_name, c.price_decimal, c.start_at from gold.closings as c"
                " join gold.results as r on r.event_id = c.event_id and r.completed"
                " where c.market_key = 'h2h' and c.outcome_side = 'home' and c.bookmaker_key = 'draftkings' and c.is_closing"
                " order by 1 limit 1"
            ).fetchall()
        same = {"event_id": event_id, "sport_key": sport, "market": "h2h", "outcome": home, "point": None}
        before = start_at - dt.timedelta(minutes=30)
        bet = {**BET, **same, "price": float(price), "odds_format": "decimal", "placed_at": to_iso(before)}
        guess = {**PREDICTION, **same, "made_at": to_iso(before)}
        batch = ledger_batch(
            answer("bets", [bet, {**bet, "bet_id": "2", "stake": 5}]),
            answer("predictions", [guess]),
            at=before,
            source="simulated",
        )
        with made.connect(Role.INGESTER) as ingester:
            load_batch(ingester, batch, CLOCK, mix_sources=True)
        applied = apply_batches(made, project, [batch.batch_id], CLOCK)
        assert applied.published, applied.failed
        yield made
    finally:
        server.drop_database(made)


@pytest.mark.parametrize("name", ["gold.bets", "gold.bet_ledger", "gold.predictions", "gold.prediction_scores"])
def test_entries_of_ledgers_are_explained_from_bytes(
    name: str, judged: Warehouse, databases: Databases, project: Project
) -> None:
    with judged.connect(Role.TRANSFORMER) as connection:
        explainer = Explainer(connection)
        row = explainer.row_at_random(name, 1, 1)
        assert row is not None
        one = explainer.explain_row(name, row)
        assert {"bets", "predictions"} & {piece.answer.endpoint for piece in one.pieces}
        assert computed_from_bytes(connection, databases, project, [one])[name, one.key] == row


@pytest.mark.parametrize("name", ["gold.prediction_bins", "gold.prediction_evaluation"])
def test_what_counts_predictions_names_them(name: str, judged: Warehouse) -> None:
    with judged.connect(Role.TRANSFORMER) as connection:
        explainer = Explainer(connection)
        row = explainer.row_at_random(name, 1, 1)
        assert row is not None
        one = explainer.explain_row(name, row)
        assert [one.found[number].relation for number in one.found[0].reads] == ["gold.prediction_scores"]
