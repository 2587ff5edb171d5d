"""Answers that are refused, released and withdrawn, as tests want."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from uuid import UUID

import pytest

from pipeline.bronze import batch_load as bronze_load
from pipeline.bronze.verdicts import Decision, withdraw
from pipeline.contracts.judgement import Finding, Judgement, judge
from pipeline.recording.model import Batch, Exchange, exchange_id
from pipeline.transform.apply import Applied, Transformer, apply_batches
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Role, Warehouse
from tests.replay.model import is_admitted
from tests.replay.support import CLOCK


def answers_of(batches: Iterable[Batch], every: int, first: int = 0) -> list[tuple[Batch, Exchange]]:
    """Every so manieth admitted answer."""
    answers = [(batch, exchange) for batch in batches for exchange in batch.exchanges if is_admitted(exchange)]
    return answers[first::every]


def ids_of(answers: Iterable[tuple[Batch, Exchange]]) -> list[UUID]:
    return [exchange_id(batch.batch_id, exchange.place, exchange.attempt) for batch, exchange in answers]


@contextmanager
def quarantining(answers: Sequence[tuple[Batch, Exchange]]) -> Iterator[None]:
    """Let the contract refuse some answers."""
    refused = {id(exchange) for _, exchange in answers}

    def stricter(exchange: Exchange) -> Judgement:
        found = judge(exchange)
        if id(exchange) in refused:
            return replace(found, verdict="quarantined", findings=(Finding("schema", "", "", "refused by a test"),))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bronze_load, "judge", stricter)
        yield


def decide(
    warehouse: Warehouse, engine: Engine, verdict: Callable[..., Decision], answers: Sequence[tuple[Batch, Exchange]]
) -> list[Applied]:
    """Give a verdict on each answer, and apply its batch anew after each."""
    done = []
    with Transformer(warehouse) as transformer:
        for answer in ids_of(answers):
            with warehouse.connect(Role.INGESTER) as ingester:
                decision = verdict(ingester, answer, clock=CLOCK)
            assert decision.is_new
            done.append(apply_batches(transformer, engine, (decision.batch_id,), CLOCK))
            assert done[-1].published
    return done


take_back = partial(withdraw, reason="as a test wants")
