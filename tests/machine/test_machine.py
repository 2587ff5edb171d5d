"""The state machine, for so many steps: ``SPORTS_MARKET_STEPS`` says how many, ``SPORTS_MARKET_SEED`` where it begins."""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import Project
from tests.machine.machine import Bench, Machine
from tests.replay.support import Databases

STEPS: Final = int(os.environ.get("SPORTS_MARKET_STEPS") or 60)
SEED: Final = int(os.environ.get("SPORTS_MARKET_SEED") or 7)
STEPS_EACH, RUNS_EACH = 25, 4
# A fresh load is half of what a step costs: with few steps not each is compared with one.
FRESH_EVERY: Final = 1 if STEPS > 1000 else 10


def test_whatever_is_done_gold_is_that_of_the_admitted_answers(databases: Databases, project: Project) -> None:
    bench = Bench(databases, project, FRESH_EVERY)
    chosen = settings(
        max_examples=RUNS_EACH,
        stateful_step_count=STEPS_EACH,
        phases=(Phase.generate, Phase.shrink),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    number = SEED
    while bench.steps.total() < STEPS:
        machine = seed(number)(type("Machine", (Machine,), {"bench": bench}))
        run_state_machine_as_test(machine, settings=chosen)
        number += 1
    print(f"{bench.steps.total()} steps, {bench.fresh} fresh loads, seeds {SEED} to {number - 1}: {dict(bench.steps)}")
