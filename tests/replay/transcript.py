"""The program of a batch without its checks: for proofs of rows, which generated markets need many of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2.extensions
import pytest

from pipeline.recording.model import Batch
from pipeline.transform import apply
from pipeline.transform.engine import Engine, NodeResult, Work
from pipeline.transform.program import Program
from pipeline.warehouse.connect import Warehouse
from tests.replay.support import take


@dataclass(frozen=True)
class Transcript:
    """What a transformation sends, in order, questions to the catalog and checks left out.

    Attributes:
        statements: texts.
    """

    statements: tuple[str, ...] = field(repr=False)

    @contextmanager
    def instead_of_dbt(self) -> Iterator[None]:
        """Let transformations send these statements."""

        def run(session: Any, warehouse: Warehouse, engine: Engine, work: Work) -> tuple[NodeResult, ...]:
            with session.cursor() as cursor:
                for statement in self.statements:
                    cursor.execute(statement)
            return ()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(apply, "_run", run)
            yield


def of_program(program: Program) -> Transcript:
    """What the program sends for a batch, but for its checks."""
    steps = [step for step in program.parts["batch"] if step.resource_type != "test"]
    return Transcript(tuple(statement for step in steps for statement in step.statements))


def sent_statements(warehouse: Warehouse, project: Engine, batch: Batch) -> list[str]:
    """Everything that dbt sends as one batch is applied."""
    sent: list[str] = []

    class Listening(psycopg2.extensions.cursor):
        def execute(self, query: Any, values: Any = None) -> None:
            super().execute(query, values)
            sent.append(self.query.decode() if self.query is not None else str(query))

    original = apply._run

    def run(session: Any, *rest: Any) -> Any:
        session.cursor_factory = Listening
        try:
            return original(session, *rest)
        finally:
            session.cursor_factory = psycopg2.extensions.cursor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "_run", run)
        take(warehouse, project, [batch])
    return sent
