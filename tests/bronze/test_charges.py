"""What each call cost is kept with the batch, on the day of the API's clock, and told where rule and header differ."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from pipeline import cli
from pipeline.bronze.batch_load import load_batch
from pipeline.clock import UTC, ManualClock
from pipeline.odds_api.api_errors import Failure
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.model import Batch, Coverage, Exchange, PlanIdentity
from pipeline.warehouse.connect import Role, Warehouse

AT = dt.datetime(2026, 1, 4, 17, tzinfo=UTC)
PAST = dt.datetime(2023, 10, 24, 11, 55, 38, tzinfo=UTC)
NBA = "basketball_nba"
ODDS = ApiRequest.of("odds", sport=NBA, params={"regions": "us,eu"})
HISTORY = ApiRequest.of("historical_events", sport=NBA, params={"date": "2023-10-24T12:00:00Z"})
HEADERS = (("date", "Tue, 06 Jan 2026 00:00:01 GMT"), ("x-requests-last", "3"), ("x-requests-used", "3"))
EVENT = {
    "id": "e" * 32,
    "sport_key": NBA,
    "sport_title": "NBA",
    "commence_time": "2026-01-05T00:00:00Z",
    "home_team": "A",
    "away_team": "B",
}
LISTED = json.dumps([EVENT | {"bookmakers": []}]).encode()
ENVELOPE = {"timestamp": "2023-10-24T11:55:38Z", "previous_timestamp": None, "next_timestamp": None, "data": [EVENT]}


def batch(source: str) -> Batch:
    plan = PlanIdentity({"kind": "test", "source": source})
    exchanges = (
        Exchange(0, 1, ODDS, Coverage(NBA), AT, None, failure=Failure("RESET", "gone")),
        Exchange(0, 2, ODDS, Coverage(NBA), AT, 200, HEADERS, LISTED),
        Exchange(1, 1, HISTORY, Coverage(NBA), PAST, 200, (("date", HEADERS[0][1]),), json.dumps(ENVELOPE).encode()),
        Exchange(2, 1, ODDS, Coverage(NBA), AT, None, failure=Failure("CONNECT", "nobody there")),
        Exchange(3, 1, ODDS, Coverage(NBA), AT, 200, (("date", "no date"),), b"<html>"),
        Exchange(4, 1, ODDS, Coverage(NBA), AT, 422, (("x-requests-last", "0"),), b"{}", Failure("INVALID_MARKET", "x")),
    )
    return Batch(plan.batch_id(AT), AT, plan, source, exchanges)


def test_the_ledger(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with warehouse.connect(Role.INGESTER) as ingester:
        for source in ("live", "import", "simulated"):
            load_batch(ingester, batch(source), ManualClock(AT), mix_sources=True)
            load_batch(ingester, batch(source), ManualClock(AT))
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", warehouse.role_prefix)
    for name in ("SPORTS_MARKET_DATABASE_URL", "SPORTS_MARKET_ROLE_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    password = warehouse.role_password
    if password is not None:
        monkeypatch.setenv("SPORTS_MARKET_ROLE_PASSWORD", password.reveal())
    address = ["--database-url", warehouse.conninfo(Role.OWNER)]
    assert cli.main(["credits", "--json", *address]) == 1
    found = json.loads(capsys.readouterr().out)
    columns = ("day", "endpoint", "sport_key", "calls", "computed", "reported", "difference", "doubtful")
    assert [tuple(row[column] for column in columns) for row in found["rows"]] == [
        # two credits by the rules, three by the headers; the envelope's day is none
        ("2026-01-06", "historical_events", NBA, 1, 1, 0, 0, 0),
        ("2026-01-06", "odds", NBA, 1, 2, 3, 1, 0),
        # lost, and something that is no answer: two each at most; not sent, and refused: nothing
        ("2026-01-04", "odds", NBA, 4, 0, 0, 0, 4),
    ]
    assert found["total"] == {"calls": 6, "computed": 3, "reported": 3, "difference": 1, "doubtful": 4}
    assert cli.main(["credits", "--days", "1", *address]) == 1
    text = capsys.readouterr().out
    assert "2026-01-06" in text and "2026-01-04" not in text
