"""What the fuzz once found is not found again; and the fuzz itself finds what it is there for."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.bronze import batch_load
from pipeline.contracts.judgement import Judgement
from pipeline.recording.model import Exchange
from pipeline.warehouse.connect import Warehouse
from tests.conftest import Project
from tests.contracts.mutations.answers import good_answers
from tests.fuzz.mutations import changed, damaged, fewer, mutated, reduced
from tests.fuzz.path import NOON, Case, Fault, Way, small

FOUND = sorted((Path(__file__).parent / "found").glob("*.json"))


@pytest.mark.parametrize("file", FOUND, ids=[file.stem for file in FOUND])
def test_what_was_found_once(file: Path, prepared: Warehouse, project: Project) -> None:
    Case.read(file).take(Way(prepared, project))


def priced() -> Exchange:
    exchange = next(each for each in good_answers() if each.request.endpoint == "odds")
    return small(exchange, random.Random(1))


def test_an_admitted_answer_that_sql_refuses_is_a_fault(
    prepared: Warehouse, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the contract blind, SQL or a check would say so."""
    document = json.loads(priced().body or b"")
    document[0]["bookmakers"][0]["markets"][0]["outcomes"][0]["price"] = "much"
    broken = replace(priced(), body=json.dumps(document).encode())
    path = Way(prepared, project)
    path.answers([broken])  # let in without its market
    assert path.admitted == 1
    monkeypatch.setattr(batch_load, "judge", lambda exchange: Judgement("accepted", (), 0, (exchange.body or b"").decode(), {}))
    with pytest.raises(Exception) as caught:
        path.answers([broken])
    assert isinstance(caught.value, Fault) or "much" in str(caught.value)


def test_a_case_comes_back_as_it_was_written(tmp_path: Path) -> None:
    for case in (
        Case("answers", "said", (replace(priced(), place=0, captured_at=NOON, headers=()),)),
        Case("index", "x", bodies=(b"\xff\0",), consistent=True),
        Case("files", "x", endpoint="odds", bodies=(b"[]", b"{")),
    ):
        case.write(tmp_path / "case.json")
        assert Case.read(tmp_path / "case.json") == case


def test_the_same_seed_makes_the_same_mutants() -> None:
    body = priced().body or b""
    made = [[mutated(body, chance) for _ in range(50)] for chance in (random.Random(5), random.Random(5), random.Random(6))]
    assert made[0] == made[1] != made[2]
    assert len(set(made[0])) > 40


def test_mutations_leave_what_they_are_given() -> None:
    document = json.loads(priced().body or b"")
    before = json.dumps(document)
    chance = random.Random(3)
    for _ in range(300):
        changed(document, chance)
        damaged(b"", chance)
    assert json.dumps(document) == before


def test_what_fails_is_reduced_to_what_makes_it_fail() -> None:
    assert fewer(list(range(100)), lambda some: {3, 77} <= set(some)) == [3, 77]
    document = {"a": [1, {"b": [{"bad": "x", "c": 1}, 5]}], "d": {"e": [1, 2, 3]}}
    small_ = json.loads(reduced(json.dumps(document).encode(), lambda part: b'"bad"' in part))
    assert small_ == {"a": [{"b": [{"bad": "x"}]}]}
    assert reduced(b"xx[[bad\xff]yy", lambda part: b"bad\xff" in part) == b"bad\xff"
