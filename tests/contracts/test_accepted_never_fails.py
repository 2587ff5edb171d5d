"""An admitted answer never makes SQL fail: whatever the judge lets in is applied, and the batch passes its checks."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import ManualClock
from pipeline.contracts.judgement import judge
from pipeline.contracts.rules import RULES
from pipeline.contracts.shapes import PRICED
from pipeline.recording.model import Batch, Exchange, PlanIdentity, exchange_id
from pipeline.transform.apply import apply_batches
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project
from tests.contracts.generated import GOOD, NOON, from_schemas, mutated
from tests.contracts.mutations import answers
from tests.contracts.mutations.answers import bases, mutants

# each one is a batch of answers, and one apply
EXAMPLES = int(os.environ.get("SPORTS_MARKET_EXAMPLES") or 5)
ANSWERS = 40

numbers = itertools.count()


@pytest.fixture(scope="module")
def standing(server: Any, prepared_template: Warehouse, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    """One warehouse that takes in batch after batch."""
    made = server.clone_database(prepared_template, next(clone_names))
    yield made
    server.drop_database(made)


def take(warehouse: Warehouse, project: Project, exchanges: Sequence[Exchange]) -> Batch:
    """Load the answers as one batch, and see it published."""
    at = NOON + dt.timedelta(minutes=next(numbers))
    plan = PlanIdentity({"kind": "import", "name": "generated"})
    placed = tuple(replace(exchange, place=place, attempt=1) for place, exchange in enumerate(exchanges))
    batch = Batch(plan.batch_id(at), at, plan, "import", placed)
    clock = ManualClock(at)
    with warehouse.connect(Role.INGESTER) as ingester:
        load_batch(ingester, batch, clock)
    applied = apply_batches(warehouse, project, [batch.batch_id], clock)
    assert applied.published, applied.failed
    return batch


@settings(
    max_examples=EXAMPLES,
    derandomize="SPORTS_MARKET_EXAMPLES" not in os.environ,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # a smaller failing batch would cost an apply for each try
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    print_blob=True,
)
@given(made=st.lists(from_schemas() | mutated(), min_size=ANSWERS, max_size=ANSWERS))
def test_what_is_admitted_is_applied(made: list[Exchange], standing: Warehouse, project: Project) -> None:
    admitted = [answer for answer in made if judge(answer).verdict != "quarantined"]
    for answer in admitted:
        note(f"{answer.request.text} {answer.captured_at} {answer.body!r}")
    if admitted:
        take(standing, project, admitted)


def test_generated_answers_are_admitted_often_enough_to_tell_something() -> None:
    counts: dict[str, int] = defaultdict(int)

    @settings(max_examples=300, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(answer=from_schemas() | mutated())
    def count(answer: Exchange) -> None:
        found = judge(answer)
        counts[found.verdict] += 1
        if found.verdict != "quarantined":
            counts[answer.request.endpoint] += 1

    count()
    assert counts["accepted"] + counts["accepted_with_findings"] >= 100, counts
    assert counts["quarantined"] >= 30, counts
    assert all(counts[name] for name in PRICED), counts


def test_what_a_finding_flags_sql_flags_too(standing: Warehouse, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every admitted mutant, in one batch: where a rule says that SQL sees its break as well, it does, in that market."""
    monkeypatch.setattr(answers, "BASES", 1)
    admitted = [
        mutant
        for base in bases(GOOD, judge)
        for mutant in mutants(base)
        if RULES[mutant.rule].severity == "finding" and judge(mutant.exchange).verdict != "quarantined"
    ]
    assert {mutant.rule for mutant in admitted} == {rule.id for rule in RULES.values() if rule.severity == "finding"}
    batch = take(standing, project, [mutant.exchange for mutant in admitted])
    with standing.connect(Role.READER) as connection:
        rows = connection.execute(
            "select exchange_id, event_id, bookmaker_key, market_key, array_agg(distinct problem order by problem)"
            " from silver.quotes where problem is not null group by 1, 2, 3, 4"
        ).fetchall()
    seen = {tuple(map(str, row[:4])): set(row[4]) for row in rows}
    for mutant, exchange in zip(admitted, batch.exchanges, strict=True):
        problems = set(RULES[mutant.rule].problems)
        if not problems:
            continue
        flagged = [
            json_of for json_of in (found.to_json() for found in judge(exchange).findings) if json_of["rule"] == mutant.rule
        ]
        assert flagged
        key = str(exchange_id(batch.batch_id, exchange.place, exchange.attempt))
        for found in flagged:
            place = (key, *(str(found[name]) for name in ("event_id", "bookmaker_key", "market_key")))
            assert seen.get(place, set()) & problems, (mutant.name, json.dumps(found), seen.get(place))
