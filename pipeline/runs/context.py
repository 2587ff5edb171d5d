"""What every run works with, as one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.clock import Clock
from pipeline.runs.progress import BatchLine
from pipeline.transform.engine import Engine
from pipeline.warehouse.connect import Warehouse


def _unheard(line: BatchLine) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """Where a run works, with what, in whose time, and who is told.

    Attributes:
        warehouse: bootstrapped.
        engine: what runs the project's SQL.
        clock: dates verdicts and states; nothing in silver or gold depends on it.
        report: told of each batch that is done.
        prove: whether what a batch bears on is computed anew from bronze before it is committed, and compared.
    """

    warehouse: Warehouse
    engine: Engine
    clock: Clock
    report: Callable[[BatchLine], None] = _unheard
    prove: bool = False
