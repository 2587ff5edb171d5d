"""Alerts are sent once, only those a plan asks for, and only while they are news."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import ManualClock
from pipeline.replay.run import ReplayOptions, replay
from pipeline.runs.alerting import MOST, send_alerts
from pipeline.runs.context import RunContext
from pipeline.runs.load import load_recording
from pipeline.secret import Secret
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.hooks import Hook, listening
from tests.ledgers import WRITTEN
from tests.recordings import bundled_part
from tests.replay.support import CLOCK, Databases

PLAN = "0123456789ab"
KINDS = ("arbitrage", "steam")


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hook]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with listening() as found:
        yield found


def raise_one(warehouse: Warehouse, name: str, kind: str = "steam", plan: str = PLAN, age: float = 0) -> None:
    raised = WRITTEN - dt.timedelta(minutes=age)
    with warehouse.connect(Role.OWNER) as owner:
        owner.execute(
            "insert into bronze.batches (batch_id, scheduled_at, plan_id, plan, source, exchange_count, content_sha256)"
            " values (%s, %s, %s, '{}', 'live', 0, '') on conflict do nothing",
            [f"b-{plan}", raised, plan],
        )
        owner.execute(
            "insert into ops.alerts (alert_id, kind, batch_id, raised_at, message, row_table, row_key)"
            " values (%s, %s, %s, %s, %s, 'gold.steam', '{\"market_id\": \"1\"}')",
            [name, kind, f"b-{plan}", raised, f"about {name}"],
        )
        owner.commit()


def send(warehouse: Warehouse, hook: Hook | None, kinds: tuple[str, ...] = KINDS) -> list[str]:
    told: list[str] = []
    webhook = None if hook is None else Secret(f"http://127.0.0.1:{hook.server_port}/hooks/t0ken")
    send_alerts(warehouse, webhook, kinds, PLAN, ManualClock(WRITTEN), told.append)
    return told


def test_what_a_plan_asks_for_is_sent_once(prepared: Warehouse, hook: Hook) -> None:
    raise_one(prepared, "first", age=5)
    raise_one(prepared, "second", kind="arbitrage")
    raise_one(prepared, "unasked", kind="book_quiet")
    raise_one(prepared, "others", plan="ba9876543210")
    raise_one(prepared, "old", age=25 * 60)
    assert send(prepared, hook) == ["alert steam: about first", "alert arbitrage: about second"]
    [(path, body)] = hook.taken
    assert path == "/hooks/t0ken" and body["text"] == "steam: about first\narbitrage: about second"
    assert body["alerts"][0] == {
        "kind": "steam", "at": "2025-10-13T07:55:00Z", "message": "about first", "table": "gold.steam",
        "key": {"market_id": "1"},
    }  # fmt: skip
    assert send(prepared, hook) == [] and len(hook.taken) == 1
    assert send(prepared, hook, ()) == []


def test_what_the_webhook_does_not_take_goes_with_the_next(prepared: Warehouse, hook: Hook) -> None:
    raise_one(prepared, "first")
    hook.status = 500
    told = send(prepared, hook)
    assert told[-1] == "The webhook did not take 1 alerts: HTTPError; they go with the next."
    assert "t0ken" not in " ".join(told)
    hook.status = 200
    raise_one(prepared, "second")
    assert len(send(prepared, hook)) == 2 and len(hook.taken[-1][1]["alerts"]) == 2


def test_without_a_webhook_they_are_told_alone_and_many_come_in_parts(prepared: Warehouse) -> None:
    for number in range(MOST + 1):
        raise_one(prepared, f"{number:03}")
    assert len(send(prepared, None)) == MOST
    assert len(send(prepared, None)) == 1


def test_a_replay_raises_the_same_and_sends_none(
    prepared: Warehouse, databases: Databases, hook: Hook, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPORTS_MARKET_WEBHOOK_URL", f"http://127.0.0.1:{hook.server_port}/hooks/t0ken")
    recording = bundled_part(tmp_path / "recording", 8)

    def raised(warehouse: Warehouse) -> list[tuple[Any, ...]]:
        with warehouse.connect(Role.OWNER) as owner:
            return owner.execute("select to_jsonb(alerts) from ops.alerts as alerts order by alert_id").fetchall()

    load_recording(recording, RunContext(prepared, project, CLOCK))
    told = raised(prepared)
    assert {alert["kind"] for (alert,) in told} == {"steam"}
    for number in range(2):
        with databases() as fresh:
            (scratch := tmp_path / f"scratch-{number}").mkdir()
            replay(recording, RunContext(fresh, project, CLOCK), ReplayOptions(), scratch)
            assert raised(fresh) == told
    assert {alert["sent_at"] for (alert,) in told} == {None}
    assert hook.taken == []
