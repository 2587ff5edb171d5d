"""The program of a batch: the statements that dbt renders from models, tests and seeds, run without dbt.

A model's SQL is the same text for every batch. So dbt renders it once (``render``), into a file that belongs to one state of
the project. What runs every batch is this file: a list of steps, each a node of dbt's with its statements, in its order.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

import psycopg2

from pipeline.transform.computed import Computed, compute_views, queries_of_views, reading
from pipeline.transform.engine import WORKS, NodeResult, Session, Work
from pipeline.transform.preparing import send
from pipeline.warehouse.connect import Warehouse
from pipeline.whole_files import written_whole

T = TypeVar("T")
# Called with how many of how many are done.
Progress = Callable[[int, int | None], None]

FORMAT: Final = 1
FILE: Final = "program.json"
# A table that grew by so many rows in one run is analyzed: what is read next is planned by what stands there now.
GROWN: Final = 5000
# Beside a model's own statement, what is prepared: of hooks what writes rows, rendered as single statements.
WRITES_ROWS: Final = re.compile(r"(insert|update|delete)\b")
# What is not dbt's to read, or follows from the rest.
_LEFT_OUT: Final = ("target", "logs", FILE, "lineage.json", "relations.json")


@dataclass(frozen=True, slots=True)
class Step:
    """One node of dbt's.

    Attributes:
        unique_id, name, resource_type: dbt's.
        statements: what is sent, in order. Of a test: the query of the rows that break it.
        counted: place of the statement that gives the number of rows that it wrote; None where none does.
        grown: the statement that follows where these are many.
        after: unique ids of the steps without whose success it is skipped.
    """

    unique_id: str
    name: str
    resource_type: str
    statements: tuple[str, ...]
    counted: int | None = None
    grown: str | None = None
    after: tuple[str, ...] = ()


def _to_nobody() -> None:
    """Nobody is told."""


@dataclass(frozen=True)
class Program:
    """All that a warehouse is made and kept by; an :class:`pipeline.transform.engine.Engine`.

    Attributes:
        key: of the state of the project that it was rendered from.
        of_models: the fingerprint of each model and seed.
        of_tables: the scope of each stored table.
        all_views, all_tables: ``schema.name`` of each relation; tables with the seeds.
        parts: the steps of each kind of work.
        tell: called after each step, and each view that is computed.
    """

    key: str
    of_models: Mapping[str, str]
    of_tables: Mapping[str, str]
    all_views: tuple[str, ...]
    all_tables: tuple[str, ...]
    parts: Mapping[Work, tuple[Step, ...]]
    tell: Callable[[], None] = field(default=_to_nobody, compare=False, repr=False)

    def telling(self, progress: Progress, *works: Work, views: bool = False) -> Program:
        """The same, which tells how far it is on its way through some kinds of work, each of them done once.

        Args:
            progress: called from the thread that waits for the server.
            works: what will be done.
            views: whether views are computed too.
        """
        total = sum(len(self.parts[work]) for work in works) + (len(self._queries()) if views else 0)
        done = itertools.count(1)
        return replace(self, tell=lambda: progress(next(done), total))

    def fingerprints(self) -> Mapping[str, str]:
        """Name of each model and seed → hash of the code that computes its rows."""
        return self.of_models

    def scopes(self) -> Mapping[str, str]:
        """``schema.table`` of each stored model → the condition that picks the rows a run may change."""
        return self.of_tables

    def views(self) -> tuple[str, ...]:
        """``schema.view`` of each view."""
        return self.all_views

    def compute_views(self, session: Session) -> Mapping[str, str]:
        """``schema.view`` → a table that holds its rows in this transaction, which the caller rolls back."""
        return interruptible(session, lambda: compute_views(session, self._queries(), self.tell))

    def _queries(self) -> dict[str, str]:
        return queries_of_views(statement for step in self.parts["make"] for statement in step.statements)

    def run(
        self, session: Session, warehouse: Warehouse, work: Work, computed: Computed = MappingProxyType({})
    ) -> tuple[NodeResult, ...]:
        """Do one kind of work, as :class:`pipeline.transform.engine.Engine` says."""
        if work == "make":
            with session.cursor() as cursor:
                for table in self.all_tables:
                    cursor.execute(f"drop table if exists {table} cascade")
        steps = self.parts[work]
        if computed:
            steps = tuple(
                replace(step, statements=tuple(reading(statement, computed) for statement in step.statements)) for step in steps
            )
        return interruptible(session, lambda: tuple(_results(session, steps, self.tell)))

    def to_json(self) -> dict[str, Any]:
        """One JSON document; each text stands once in it."""
        texts: dict[str, int] = {}

        def place(text: str) -> int:
            return texts.setdefault(text, len(texts))

        parts = {
            work: [
                {
                    "id": step.unique_id,
                    "name": step.name,
                    "type": step.resource_type,
                    "statements": [place(text) for text in step.statements],
                    "counted": step.counted,
                    "grown": None if step.grown is None else place(step.grown),
                    "after": list(step.after),
                }
                for step in steps
            ]
            for work, steps in self.parts.items()
        }
        return {
            "format": FORMAT,
            "key": self.key,
            "fingerprints": dict(self.of_models),
            "scopes": dict(self.of_tables),
            "views": list(self.all_views),
            "tables": list(self.all_tables),
            "parts": parts,
            "texts": list(texts),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Program:
        """The inverse of :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: the document is no such program.
        """
        if document["format"] != FORMAT:
            raise ValueError(f"format {document['format']}")
        texts = document["texts"]
        return cls(
            document["key"],
            document["fingerprints"],
            document["scopes"],
            tuple(document["views"]),
            tuple(document["tables"]),
            {
                work: tuple(
                    Step(
                        each["id"],
                        each["name"],
                        each["type"],
                        tuple(texts[place] for place in each["statements"]),
                        each["counted"],
                        None if each["grown"] is None else texts[each["grown"]],
                        tuple(each["after"]),
                    )
                    for each in document["parts"][work]
                )
                for work in WORKS
            },
        )


def project_key(directory: Path) -> str:
    """A hash of the rendering dbt's version and of every file of the project that its SQL comes from."""
    left_out = {directory / name for name in _LEFT_OUT}
    files = (
        file
        for file in directory.rglob("*")
        if file.is_file() and file not in left_out and not left_out & set(file.parents) and file.suffix != ".pyc"
    )
    found = {str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    text = json.dumps([FORMAT, version("dbt-core"), version("dbt-postgres"), found], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_program(file: Path, program: Program) -> None:
    """Write a program, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(file) as unfinished:
        unfinished.write_text(json.dumps(program.to_json(), indent=0, ensure_ascii=False) + "\n", encoding="utf-8")


def interruptible(session: Session, work: Callable[[], T]) -> T:
    """Do something that waits for the server, so that Ctrl-C cancels the statement at hand and ends it."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        doing = pool.submit(work)
        try:
            return doing.result()
        except BaseException:
            if not doing.done():
                session.cancel()
            raise


def _results(session: Session, steps: Sequence[Step], tell: Callable[[], None]) -> list[NodeResult]:
    """What became of each step; one that the server refuses is the last."""
    results: list[NodeResult] = []
    failed: set[str] = set()
    with session.cursor() as cursor:
        for step in steps:
            if not failed.isdisjoint(step.after):
                failed.add(step.unique_id)
                results.append(NodeResult(step.unique_id, step.name, step.resource_type, "skipped", None, None))
                tell()
                continue
            try:
                result = _test(cursor, step) if step.resource_type == "test" else _take(cursor, step)
            except psycopg2.Error as error:
                if session.closed:
                    raise
                message = " ".join(str(error).split())
                results.append(NodeResult(step.unique_id, step.name, step.resource_type, "error", None, message))
                break
            if not result.ok:
                failed.add(step.unique_id)
            results.append(result)
            tell()
    return results


def _take(cursor: Any, step: Step) -> NodeResult:
    for place, statement in enumerate(step.statements):
        if place != step.counted and not WRITES_ROWS.match(statement):
            cursor.execute(statement)
            continue
        send(cursor, statement)
        if place == step.counted and cursor.fetchall()[0][0] >= GROWN and step.grown is not None:
            cursor.execute(step.grown)
    return NodeResult(step.unique_id, step.name, step.resource_type, "success", None, None)


def _test(cursor: Any, step: Step) -> NodeResult:
    *before, query = step.statements
    for statement in before:
        cursor.execute(statement)
    send(cursor, f"select count(*) from ({query}) as broken")
    failures = int(cursor.fetchall()[0][0])
    status, message = ("fail", f"Got {failures} results") if failures else ("pass", None)
    return NodeResult(step.unique_id, step.name, step.resource_type, status, failures, message, query)
