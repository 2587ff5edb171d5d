"""What the proofs share: taking batches into a database of their own, reading gold back, and telling where two golds differ."""

from __future__ import annotations

import datetime as dt
import tarfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import UTC, Clock, ManualClock
from pipeline.recording.importer import ImportOptions, import_recording
from pipeline.recording.model import Batch
from pipeline.recording.store import Recording
from pipeline.transform.apply import Applied, Transformer, apply_batches
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from pipeline.warehouse.digest import recomputed_digests, stored_digests, stored_tables
from tests.conftest import Project
from tests.recordings import unpack
from tests.replay.model import Gold, Table, market_rule

Databases = Callable[[], AbstractContextManager[Warehouse]]

CLOCK: Final = ManualClock(dt.datetime(2031, 1, 1, tzinfo=UTC))

# Columns that the model leaves out: surrogate keys, told apart by what they stand for.
KEYS: Final = {
    "gold.sports": ("sport_key",),
    "gold.bookmakers": ("bookmaker_key",),
    "gold.events": ("event_id",),
    "gold.event_start_changes": ("event_id", "exchange_id"),
    "gold.event_listing_intervals": ("event_id", "valid_from"),
    "gold.price_history": (
        "event_id", "bookmaker_key", "market_key", "description", "outcome_name", "key_point", "line_rank", "valid_from",
    ),
    "gold.stale_quotes": (
        "event_id", "bookmaker_key", "market_key", "description", "outcome_name", "key_point", "line_rank", "valid_from",
    ),
    "gold.best_price": (
        "event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name", "valid_from",
    ),
    "gold.margins": ("event_id", "bookmaker_key", "market_key", "description", "line_point", "set_no", "valid_from"),
    "gold.consensus": (
        "event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name", "method", "valid_from",
    ),
    "gold.consensus_line": ("event_id", "market_key", "description", "valid_from"),
    "gold.moves": ("event_id", "market_key", "description", "outcome_set", "bookmaker_key", "changed_at"),
    "gold.steam": ("event_id", "market_key", "description", "outcome_set", "direction", "triggered_at"),
    "gold.arbitrages": (
        "event_id", "market_key", "description", "line_point", "outcome_set", "outcome_names", "valid_from",
    ),
    "gold.middles": (
        "event_id", "market_key", "description", "line_point", "other_line_point", "outcome_sides", "valid_from",
    ),
    "gold.results": ("event_id",),
}  # fmt: skip
# What is stored of events that have begun; hindsight_model.py has it.
HINDSIGHT: Final = frozenset(
    f"gold.{name}"
    for name in (
        "closings", "closing_consensus", "clv", "outcome_grades", "calibration_observations", "quotes_sampled", "game_lines",
        "market_openings", "outlier_counts",
    )
)  # fmt: skip
SURROGATES: Final = ("series_id", "line_id", "set_id", "market_id", "arbitrage_id", "middle_id")


def databases_of(server: Server, template: Warehouse, names: Iterator[str]) -> Databases:
    """Makes clones of a template, each dropped at the end of its block."""

    @contextmanager
    def database() -> Iterator[Warehouse]:
        made = server.clone_database(template, next(names))
        try:
            yield made
        finally:
            server.drop_database(made)

    return database


def take(
    warehouse: Warehouse,
    project: Project,
    batches: Sequence[Batch],
    *,
    step: int = 1,
    clock: Clock = CLOCK,
) -> list[Applied]:
    """Load and apply batches in the order given, ``step`` of them per transformation (0 = all at once), as a run does."""
    applied = []
    with warehouse.connect(Role.INGESTER) as ingester, Transformer(warehouse) as transformer:
        for start in range(0, len(batches), step or len(batches)):
            chunk = batches[start : start + (step or len(batches))]
            for batch in chunk:
                load_batch(ingester, batch, clock)
            done = apply_batches(transformer, project, tuple(dict.fromkeys(batch.batch_id for batch in chunk)), clock)
            assert done.published, [(check.name, check.message) for check in done.failed]
            applied.append(done)
    return applied


def batches_of(archive: Path, places: Sequence[int], declared: dict[str, Any], folder: Path) -> list[Batch]:
    """The batches of some of an archive's files, which are taken in order of their names, so of their times."""
    with tarfile.open(archive) as source:
        files = sorted(
            (m for m in source.getmembers() if m.isfile() and m.name.endswith(".json")), key=lambda m: Path(m.name).name
        )
        chosen = [files[place] for place in sorted(set(places))]
        unpack(source, folder / "answers", chosen)
    return import_folder(folder / "answers", folder, **declared)


def import_folder(answers: Path, folder: Path, **declared: Any) -> list[Batch]:
    """The batches of a folder of answers."""
    import_recording(answers, folder / "recording", ImportOptions.parse(**declared))
    return list(Recording.open(folder / "recording").batches())


def digests(warehouse: Warehouse) -> dict[str, str]:
    """The digests of the stored tables, which must be those of their rows."""
    with warehouse.connect(Role.TRANSFORMER) as connection:
        stored = stored_digests(connection)
        assert stored == recomputed_digests(connection), "the kept digests are not those of the rows"
    return stored


def read_gold(warehouse: Warehouse) -> dict[str, Table]:
    """Stored gold that tests/replay/model.py computes, in the model's shape; hindsight has a model of its own."""
    found = {}
    with warehouse.connect(Role.READER) as connection:
        for table in stored_tables():
            if table.name in HINDSIGHT:
                continue
            cursor = connection.execute(f"select * from {table.name}".encode())
            assert cursor.description is not None
            columns = [column.name for column in cursor.description]
            rows: Table = {}
            for values in cursor:
                row = {
                    name: tuple(value) if isinstance(value, list) else value
                    for name, value in zip(columns, values, strict=True)
                }
                key = tuple(_key_value(row, name) for name in KEYS[table.name])
                assert key not in rows, f"{table.name} has two rows {key}"
                rows[key] = {name: value for name, value in row.items() if name not in SURROGATES}
            found[table.name] = rows
    return found


def _key_value(row: dict[str, Any], name: str) -> Any:
    if name == "key_point":
        return row["point"] if market_rule(row["market_key"])["is_point_in_key"] == "true" else None
    return row[name]


def differences(found: dict[str, Table], expected: dict[str, Table], most: int = 6) -> list[str]:
    """The first differing cells, as lines; empty where the two are equal."""
    lines = []
    for table in sorted(found.keys() | expected.keys()):
        here, there = found.get(table, {}), expected.get(table, {})
        for key in sorted(here.keys() | there.keys(), key=_readable):
            if key not in here or key not in there:
                lines.append(f"{table} {_readable(key)}: {'only in the model' if key in there else 'only in SQL'}")
                lines.append(f"    {_readable((there if key in there else here)[key].items())}")
                continue
            for column in sorted(here[key].keys() | there[key].keys()):
                if here[key].get(column) != there[key].get(column):
                    lines.append(
                        f"{table} {_readable(key)} {column}: SQL {_text(here[key].get(column))},"
                        f" model {_text(there[key].get(column))}"
                    )
            if len(lines) >= most:
                break
    return lines


def assert_model_agrees(warehouse: Warehouse, model: Gold) -> None:
    """Gold in SQL is gold in Python, row by row, and silver has every outcome once."""
    lines = differences(read_gold(warehouse), model.tables())
    assert not lines, "\n".join(["SQL and the model differ:", *lines])
    with warehouse.connect(Role.READER) as connection:
        assert connection.execute("select count(*) from silver.quotes").fetchone() == (model.outcome_count,)


def _text(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, uuid.UUID):
        return str(value)[:8]
    if isinstance(value, tuple):
        return "=".join(map(_text, value)) if len(value) == 2 and isinstance(value[0], str) else str([_text(v) for v in value])
    return str(value)


def _readable(values: Any) -> str:
    return "(" + ", ".join(_text(value) for value in values) + ")"
