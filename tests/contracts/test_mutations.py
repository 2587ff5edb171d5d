"""The mutation score: whole as things are, and below 100 % as soon as a rule sleeps or accuses the innocent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.contracts.finding import finding
from pipeline.contracts.judgement import Judgement, judge
from pipeline.contracts.rules import RULES
from pipeline.contracts.shapes import ENDPOINT_NAMES
from pipeline.recording.model import Exchange
from tests.contracts.mutations import answers
from tests.contracts.mutations.answers import good_answers, score

SCORES = [each for each in good_answers() if each.request.endpoint in ("scores", "sports")]


@pytest.mark.proof(cases=0)  # `nox -s mutation`
def test_every_rule_is_killed_everywhere_and_no_good_answer_is() -> None:
    result = score()
    assert result.ok, result.text()
    assert {trial.rule for trial in result.trials} == {rule.id for rule in RULES.values() if not rule.backstop}
    assert {trial.place for trial in result.trials} == set(ENDPOINT_NAMES)
    assert "mutation score 100.00 %" in result.text()


def without(rule: str, exchange: Exchange) -> Judgement:
    """A judge that sleeps through one rule."""
    found = judge(exchange)
    left = tuple(each for each in found.findings if each.rule != rule)
    return replace(found, findings=left, verdict=found.verdict if left else "accepted")


@pytest.mark.parametrize("rule", ["scores.names", "identity.duplicate_sport", "schema", "json.nul"])
def test_a_rule_that_sleeps_is_named(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BASES", 1)
    result = score(SCORES, lambda exchange: without(rule, exchange))
    assert not result.ok
    assert {trial.rule for trial in result.trials if not trial.killed} == {rule}
    assert any(line.startswith(f"{rule} at ") for line in result.silent)
    assert f"SURVIVED {rule}: " in result.text()


def test_a_rule_that_only_warns_where_it_must_quarantine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BASES", 1)

    def mild(exchange: Exchange) -> Judgement:
        found = judge(exchange)
        return replace(found, verdict="accepted_with_findings", held=()) if found.findings else found

    assert {trial.rule for trial in score(SCORES, mild).trials if not trial.killed} >= {"schema", "identity.duplicate_event"}


def test_a_rule_that_fires_on_good_answers_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "BASES", 1)
    first = SCORES[0]

    def harsh(exchange: Exchange) -> Judgement:
        found = judge(exchange)
        accusation = finding("time.ahead", "/0", "", "")
        return replace(found, findings=(*found.findings, accusation)) if exchange == first else found

    result = score(SCORES, harsh)
    assert not result.ok
    assert any(" by time.ahead at /0" in line for line in result.accused)
    assert "ACCUSED " in result.text()
