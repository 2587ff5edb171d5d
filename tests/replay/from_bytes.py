"""Computing rows anew from the bytes that their explanations name, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.bronze.batch_load import load_batch
from pipeline.replay.cell_answers import Row
from pipeline.replay.cell_explain import Explainer, Explanation
from pipeline.replay.cell_scope import answers_about, batches_of_named, events_of
from pipeline.transform.apply import Transformer, apply_batches
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.digest import relations
from tests.conftest import Project
from tests.replay.support import CLOCK, Databases


@dataclass(frozen=True)
class Cell:
    """A cell of a warehouse, and where it comes from."""

    explanation: Explanation
    column: str

    @property
    def name(self) -> str:
        return f"{self.explanation.relation}.{self.column} {dict(self.explanation.key)}"


def chosen_events(connection: Connection, seed: int, count: int) -> list[str]:
    """Events that nobody chose."""
    rows = connection.execute("select event_id from gold.events order by md5(%s || event_id) limit %s", [str(seed), count])
    return [event_id for (event_id,) in rows.fetchall()]


def cells_of_event(explainer: Explainer, event_id: str, seed: int, count: int) -> list[Cell]:
    """Cells of rows about an event that nobody chose, of as many relations as there are."""
    names = [relation.name for relation in relations() if "event_id" in explainer.types(relation.name)]
    names.sort(key=lambda name: hashlib.sha256(f"{seed} {event_id} {name}".encode()).hexdigest())
    found: list[Cell] = []
    for turn in range(count):
        there = [(name, explainer.row_at_random(name, seed, turn, event_id)) for name in names]
        for name, row in there:
            if row is not None:
                columns = sorted(
                    explainer.types(name), key=lambda each: hashlib.sha256(f"{seed} {turn} {each}".encode()).digest()
                )
                found.append(Cell(explainer.explain_row(name, row), columns[0]))
                if len(found) == count:
                    return found
        if not found:
            break
    return found


def computed_from_bytes(
    connection: Connection, databases: Databases, project: Project, explanations: Sequence[Explanation]
) -> dict[tuple[str, Any], Row | None]:
    """The rows of some explanations, computed anew in a database that has the bytes which these name, and no others.

    Args:
        connection: to the warehouse that they explain.
        databases: makes the other one.
        project: computes.
        explanations: of rows of the same events.

    Returns:
        Relation and key → the row as it is there; None where there is none.
    """
    events = sorted({event for each in explanations for event in events_of(each)})
    named = answers_about(connection, events, explanations)
    batches = batches_of_named(connection, named)
    assert sum(len(batch.exchanges) for batch in batches) == len(named)
    with databases() as warehouse:
        with warehouse.connect(Role.INGESTER) as ingester, Transformer(warehouse) as transformer:
            for batch in batches:
                assert not load_batch(ingester, batch, CLOCK, mix_sources=True).quarantined
            done = apply_batches(transformer, project, tuple(batch.batch_id for batch in batches), CLOCK)
            assert done.published, [(check.name, check.message) for check in done.failed]
        return rows_of(warehouse, explanations)


def rows_of(warehouse: Warehouse, explanations: Iterable[Explanation]) -> dict[tuple[str, Any], Row | None]:
    """The rows of a warehouse that have these relations and keys."""
    with warehouse.connect(Role.TRANSFORMER) as connection:
        there = Explainer(connection)
        return {(each.relation, each.key): there.found(each.relation, key_texts(each.key)) for each in explanations}


def key_texts(key: Iterable[tuple[str, Any]]) -> dict[str, str | None]:
    return {name: value if value is None or isinstance(value, str) else json.dumps(value) for name, value in key}


def differing(cells: Iterable[Cell], found: Mapping[tuple[str, Any], Row | None]) -> list[str]:
    """The cells that are not what they were."""
    lines = []
    for cell in cells:
        one = cell.explanation
        there = found[one.relation, one.key]
        assert one.row is not None
        if there is None:
            lines.append(f"{cell.name}: no row")
        elif there[cell.column] != one.row[cell.column]:
            lines.append(f"{cell.name}: {one.row[cell.column]}, from the bytes {there[cell.column]}")
    return lines
