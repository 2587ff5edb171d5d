"""Break good answers in every way that a rule is there for, and see each of them noticed."""

from __future__ import annotations

import copy
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from pipeline.contracts.judgement import Judgement, judge
from pipeline.contracts.rules import RULES
from pipeline.contracts.strict_json import escape
from pipeline.recording.model import Exchange
from pipeline.recording.store import Recording
from pipeline.resources import resource
from tests.contracts.mutations import schema
from tests.contracts.mutations.mutators import MUTATORS, furnished
from tests.contracts.mutations.score import Score, Trial
from tests.ledgers import good_ledgers

# Good answers that are broken, of each endpoint; more of them find nothing new.
BASES: Final = 2

Judge = Callable[[Exchange], Judgement]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken answer.

    Attributes:
        name: what was broken.
        exchange: with the broken body (or request).
        rule: that must fire.
        pointer: where it must, or None where that does not matter.
    """

    name: str
    exchange: Exchange
    rule: str
    pointer: str | None = None

    def is_killed_by(self, judgement: Judgement) -> bool:
        """Whether the rule fired, where it must, with its severity."""
        fired = [found for found in judgement.findings if found.rule == self.rule and self.pointer in (None, found.pointer)]
        match RULES[self.rule].severity:
            case "quarantine":
                return bool(fired) and judgement.verdict == "quarantined"
            case "hold":
                return (judgement.verdict == "quarantined" and bool(fired)) or any(map(judgement.holds_back, fired))
            case "finding":
                return bool(fired) and judgement.verdict in ("accepted_with_findings", "quarantined")


def good_answers() -> list[Exchange]:
    """The answers of the bundled recording, of all endpoints of the API; and bets and predictions, which nobody simulates."""
    recording = Recording.open(resource("fixtures/recordings/simulated"))
    return [
        *(each for batch in recording.batches() for each in batch.exchanges if each.failure is None and each.body),
        *good_ledgers(),
    ]


def mutants(exchange: Exchange) -> Iterator[Mutant]:
    """Every mutant of one good answer."""
    endpoint = exchange.request.endpoint
    document = json.loads(exchange.body or b"")
    for broken in schema.breaks(endpoint, document):
        pointer = "".join(f"/{escape(step)}" for step in broken.path)
        yield Mutant(broken.kind, with_document(exchange, broken.document), "schema", pointer)
    for mutator in MUTATORS:
        if endpoint in RULES[mutator.rule].endpoints:
            changed = mutator.change(exchange, copy.deepcopy(document))
            if changed is not None:
                yield Mutant(mutator.name, changed, mutator.rule)


def with_document(exchange: Exchange, document: Any) -> Exchange:
    """The same exchange with another document as its body."""
    return replace(exchange, body=json.dumps(document).encode())


def bases(good: Iterable[Exchange], judging: Judge) -> list[Exchange]:
    """The answers that are broken: of each endpoint the fullest that no rule fires on, with a book of every market."""
    by_endpoint: dict[str, list[Exchange]] = defaultdict(list)
    for exchange in sorted(good, key=lambda each: (-len(each.body or b""), each.request.text)):
        chosen = by_endpoint[exchange.request.endpoint]
        if len(chosen) < BASES and judging(exchange).verdict == "accepted":
            chosen.append(furnished(exchange))
    return [exchange for chosen in by_endpoint.values() for exchange in chosen]


def score(good: Iterable[Exchange] | None = None, judging: Judge = judge) -> Score:
    """Judge every mutant, and every good answer.

    Args:
        good: answers that no rule may fire on, but for rules of things that the API itself gets wrong; of all endpoints.
        judging: what is put to the test.
    """
    answers = good_answers() if good is None else list(good)
    chosen = bases(answers, judging)
    trials: list[Trial] = []
    reached: Counter[tuple[str, str]] = Counter()
    for base in chosen:
        endpoint = base.request.endpoint
        for mutant in mutants(base):
            killed = mutant.is_killed_by(judging(mutant.exchange))
            reached[mutant.rule, endpoint] += killed
            killer = RULES[mutant.rule].where.replace("{endpoint}", "*")
            trials.append(Trial(mutant.rule, mutant.name, endpoint, killer, killed))
    order = list(RULES)
    return Score(
        trials=sorted(trials, key=lambda trial: order.index(trial.rule)),
        silent=[
            f"{rule.id} at {place}"
            for rule in RULES.values()
            if not rule.backstop
            for place in rule.endpoints
            if not reached[rule.id, place]
        ],
        accused=[
            f"{exchange.request.text} by {found.rule} at {found.pointer}"
            for exchange in (*answers, *chosen)
            for found in judging(exchange).findings
            if not RULES[found.rule].in_the_wild
        ],
        apart=[
            f"{rule.id} ({rule.where}) fires only where every other rule has let something through; its own test breaks them"
            for rule in RULES.values()
            if rule.backstop
        ],
    )
