"""What commands cost that people type: CPU of the process and of all that it started, the embedded server included."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Final

from pipeline.resources import resource as packaged
from tests.benchmarks.batches import BUNDLED
from tests.benchmarks.figures import Figure

FIRST_LIMIT: Final = 8.0
FIRST_AIM: Final = 12.0
WARM_LIMIT: Final = 4.8
VERIFY_LIMIT: Final = 7.1
# of the two
AIM: Final = 3.0


def commands(state: Path, rounds: int) -> list[Figure]:
    """A first replay of one batch, a warm one, and verify of the bundled batches.

    Args:
        state: a state folder that is not there yet.
        rounds: of the last two, whose median is told.
    """
    one = ("replay", "--batches", "1")
    first = _seconds(state, *one)
    warm = statistics.median(_seconds(state, *one) for _ in range(rounds))
    _seconds(state, "load", str(packaged(BUNDLED)))
    verify = statistics.median(_seconds(state, "verify") for _ in range(rounds))
    told = "seconds of CPU, the embedded server's included"
    return [
        Figure("replay_first", first, FIRST_LIMIT, True, f"{told}: `replay --batches 1`, the very first time", aim=FIRST_AIM),
        Figure("replay_warm", warm, WARM_LIMIT, True, f"{told}: the same again, median of {rounds}", aim=AIM),
        Figure(
            "verify_bundled",
            verify,
            VERIFY_LIMIT,
            True,
            f"{told}: `verify` of the bundled batches, median of {rounds}",
            aim=AIM,
        ),
    ]


def _seconds(state: Path, *arguments: str) -> float:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPORTS_MARKET_")}
    environment["SPORTS_MARKET_STATE_DIR"] = str(state)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "pipeline.cli", *arguments], env=environment, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"sports-market {' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
