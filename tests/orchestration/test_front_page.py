"""The page that ``up`` opens on, against a warehouse with batches; what data says is text, and nothing else."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from pipeline.orchestration.front_page import AlertRow, BatchRow, Link, Standing, render, standing_of, write
from pipeline.resources import resource
from pipeline.runs.context import RunContext
from pipeline.runs.load import load_recording
from pipeline.warehouse.connect import Warehouse
from tests.conftest import Project
from tests.replay.support import CLOCK

NOW = dt.datetime(2026, 1, 4, 17, tzinfo=dt.UTC)


def test_it_tells_how_the_last_batches_stand(prepared: Warehouse, project: Project, tmp_path: Path) -> None:
    load_recording(resource("fixtures/recordings/simulated"), RunContext(prepared, project, CLOCK), batches=6)
    standing = standing_of(prepared)
    assert standing.states == (("published", 6),)
    assert [batch.state for batch in standing.batches] == ["published"] * 6
    assert standing.batches[0].batch_id > standing.batches[-1].batch_id
    assert {alert.kind for alert in standing.alerts} >= {"steam"}
    page = tmp_path / "new" / "index.html"
    write(page, [Link("Dagster", None, "")], standing, NOW)
    text = page.read_text(encoding="utf-8")
    assert "6 published" in text and standing.batches[0].batch_id in text and standing.alerts[0].message in text
    assert "is starting" in text and [file.name for file in page.parent.iterdir()] == [page.name]


def test_nothing_that_data_says_is_markup() -> None:
    evil = "<script>alert(1)</script>"
    standing = Standing(((evil, 1),), (BatchRow(evil, NOW, "withheld", 1, 1, 1, evil),), (AlertRow(NOW, evil, evil),))
    text = render([Link("Dagster", "http://127.0.0.1:3000", evil)], standing, NOW)
    assert "<script" not in text and text.count("&lt;script&gt;") == 6
