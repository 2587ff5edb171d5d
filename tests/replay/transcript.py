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
from pipeline.transform.preparing import PreparingSession
from pipeline.transform.program import Program, Step, _take
from pipeline.warehouse.connect import Warehouse
from tests.replay.support import take


@dataclass(frozen=True)
class Transcript:
    """What a transformation sends, in order, questions to the catalog and checks left out.

    Attributes:
        steps: the program's, tests left out.
    """

    steps: tuple[Step, ...] = field(repr=False)

    @contextmanager
    def instead_of_dbt(self) -> Iterator[None]:
        """Let transformations send these statements."""

        def run(session: Any, warehouse: Warehouse, engine: Engine, work: Work) -> tuple[NodeResult, ...]:
            with session.cursor() as cursor:
                return tuple(_take(cursor, step) for step in self.steps)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(apply, "_run", run)
            yield

    @contextmanager
    def on_small_markets(self) -> Iterator[None]:
        """The same, with a connection's plans kept for all its batches: where tables stay small, all plans are good.

        Half of what the server does for a small batch is planning, as it is told again and again how tables have grown.
        """

        def begin_run(session: PreparingSession) -> None:
            with session.cursor() as cursor:
                cursor.execute("select 1")

        prepared = PreparingSession.prepared

        def prepared_at_once(session: PreparingSession, cursor: Any, text: str, values: int = 0) -> str:
            session._names.setdefault(text, None)
            return prepared(session, cursor, text, values)

        with pytest.MonkeyPatch.context() as patch, self.instead_of_dbt():
            patch.setattr(PreparingSession, "begin_run", begin_run)
            patch.setattr(PreparingSession, "prepared", prepared_at_once)
            patch.setattr(apply, "refresh_statistics", lambda session: None)
            yield


def of_program(program: Program) -> Transcript:
    """What the program sends for a batch, but for its checks."""
    return Transcript(tuple(step for step in program.parts["batch"] if step.resource_type != "test"))


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
