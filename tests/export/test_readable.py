"""What can be exported, and the sport and month of its rows, follow from the catalogue and the promises."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.contracts.cuts import Dating, dating_of
from pipeline.contracts.promises import Promise, project_files, read_promises
from pipeline.errors import SetupError, UsageError
from pipeline.export.readable import named, readable, readable_of
from pipeline.warehouse.digest import GoldTable, relations

PROMISES = {promise.name: promise for promise in read_promises(project_files())[1]}


def test_all_of_gold_can_be_read() -> None:
    assert list(readable()) == [relation.name for relation in relations()]


@pytest.mark.parametrize(
    ("name", "dating"),
    [
        ("best_price", Dating("valid_from")),
        ("moves", Dating("changed_at")),
        ("bookmakers", Dating("first_seen_at")),
        ("events", Dating("start_at")),
        ("clv", Dating("start_at")),
        ("results", Dating("start_at", of_event=True)),
        ("market_openings", Dating("start_at")),
        ("lead_lag", Dating(None)),
    ],
)
def test_when_a_row_is_follows_from_its_promise(name: str, dating: Dating) -> None:
    assert readable()[f"gold.{name}"].dating == dating


def with_month(promise: Promise, month: str) -> Promise:
    return replace(promise, facts={**promise.facts, "month": month})


def test_a_promise_may_name_the_column() -> None:
    promise = with_month(PROMISES["gold.book_scorecard"], "month")
    assert dating_of(promise) == Dating("month")
    one = readable_of(GoldTable(promise.name, promise.key), promise)
    assert (one.time_sql, one.sport_sql, one.reads_events) == ("t.month", "t.sport_key", False)


def test_a_promise_that_names_no_column_is_refused() -> None:
    files: dict[str, Any] = dict(project_files())
    path = "contracts/warehouse/gold.book_scorecard.yml"
    files[path] += "\nmonth: mouth\n"
    with pytest.raises(SetupError, match="month: the model has no column mouth"):
        read_promises(files)


def test_names_are_taken_with_and_without_their_schema() -> None:
    assert [one.short for one in named(["moves", "gold.events", "events"])] == ["events", "moves"]
    with pytest.raises(UsageError, match="The nearest is best_price") as caught:
        named(["best_prices"])
    assert caught.value.code == "TABLE_UNKNOWN"
