"""Bets and predictions as tests need them: rows of CSV, items of answers, and the answers themselves."""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity

WRITTEN: Final = dt.datetime(2025, 10, 13, 8, tzinfo=dt.UTC)
_EVENT: Final = {
    "event_id": "0123456789abcdef0123456789abcdef", "sport_key": "americanfootball_nfl", "market": "spreads",
    "description": None, "outcome": "Los Angeles Rams", "point": -7.5,
}  # fmt: skip
BET: Final[Mapping[str, Any]] = {
    "ledger": "mine", "bet_id": "1", "placed_at": "2025-10-12T16:30:00Z", **_EVENT,
    "bookmaker_key": "draftkings", "price": -110, "odds_format": "american", "stake": 25,
}  # fmt: skip
PREDICTION: Final[Mapping[str, Any]] = {
    "ledger": "model", "prediction_id": "1", "made_at": "2025-10-12T16:30:00Z", **_EVENT, "market": "h2h", "point": None,
    "probability": 0.625,
}  # fmt: skip


def answer(endpoint: str, items: Any, at: dt.datetime = WRITTEN, ledger: str = "mine") -> Exchange:
    """The answer that an import makes of some items."""
    request = ApiRequest.of(endpoint, params={"ledger": ledger})
    return Exchange(0, 1, request, Coverage(events=()), at, 200, body=json.dumps(items).encode())


def good_ledgers() -> list[Exchange]:
    """Two good answers of each endpoint, with every member in use."""
    decimal = {"bet_id": "2", "odds_format": "decimal", "price": 1.91, "point": None, "market": "h2h"}
    prop = {"description": "A. Player", "market": "player_points", "outcome": "Over", "point": 24.5}
    return [
        answer("bets", [BET, {**BET, **decimal}]),
        answer("bets", [{**BET, **prop}], ledger="other"),
        answer("predictions", [PREDICTION, {**PREDICTION, "prediction_id": "2", "outcome": "Draw"}]),
        answer("predictions", [{**PREDICTION, **prop}], ledger="other"),
    ]


def ledger_batch(*exchanges: Exchange, at: dt.datetime = WRITTEN, source: str = "import") -> Batch:
    """A batch of such answers."""
    plan = PlanIdentity({"kind": "import", "endpoints": [], "sports": [], "declared": {"ledger": "of a test"}})
    placed = tuple(replace(each, place=place, captured_at=at) for place, each in enumerate(exchanges))
    return Batch(plan.batch_id(at), at, plan, source, placed)


def row_of(item: Mapping[str, Any]) -> dict[str, str]:
    """An item as a row of CSV."""
    return {name: "" if value is None else str(value) for name, value in item.items()}


def write(file: Path, *rows: Mapping[str, str], columns: Sequence[str] | None = None) -> Path:
    """A CSV file of some rows."""
    names = columns or list(dict.fromkeys(name for row in rows for name in row))
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return file
