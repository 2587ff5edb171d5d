"""The statements that one transformation sends, taken down once and sent again without dbt: the same text for every batch.

A transformation through dbt costs most of a second, whatever the batch. A model's SQL is the same text for every batch, so
what dbt sent for one batch serves any other; that leaves the SQL, which is what generated markets are to prove.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg2.extensions
import pytest

from pipeline.recording.model import Batch
from pipeline.transform import apply
from pipeline.transform.project import DbtProject, NodeResult
from pipeline.warehouse.connect import Warehouse
from tests.replay.support import take

_COMMENT = re.compile(r"^\s*/\*.*?\*/\s*", re.DOTALL)
_LINE_COMMENT = re.compile(r"^\s*--[^\n]*\n\s*")


@dataclass(frozen=True)
class Transcript:
    """What a transformation sends, in order, questions to the catalog and checks left out.

    Attributes:
        dbname: the database it was taken down in, which the statements name.
        statements: texts.
    """

    dbname: str
    statements: tuple[str, ...] = field(repr=False)

    @contextmanager
    def instead_of_dbt(self) -> Iterator[None]:
        """Let transformations send these statements."""

        def run(
            session: Any, warehouse: Warehouse, project: DbtProject, command: str, arguments: Sequence[str]
        ) -> tuple[NodeResult, ...]:
            with session.cursor() as cursor:
                for statement in self.statements:
                    cursor.execute(statement.replace(f'"{self.dbname}"', f'"{warehouse.dbname}"'))
            return ()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(apply, "_run", run)
            yield


def take_down(warehouse: Warehouse, project: DbtProject, batch: Batch) -> Transcript:
    """Apply one batch through dbt, and take down what is sent."""
    statements = sent_statements(warehouse, project, batch)
    return Transcript(warehouse.dbname, tuple(text for text in statements if not _opening(text).startswith("select")))


def sent_statements(warehouse: Warehouse, project: DbtProject, batch: Batch) -> list[str]:
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


def _opening(text: str) -> str:
    while True:
        shorter = _LINE_COMMENT.sub("", _COMMENT.sub("", text))
        if shorter == text:
            return text.lstrip().lower()
        text = shorter
