"""What a task does: its events' answers into a database of its own, the same program that a batch runs, rows and digests out.

Files are named by their place and bytes, and what a task gives back names its files. So attempts of a task, also two at a time,
do not disturb each other: what an attempt wrote whose result nobody took is named by nothing, and goes with its folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from psycopg import sql

from pipeline.bronze.batch_load import LookedAt, insert_batch
from pipeline.clock import Clock
from pipeline.compute.cutting import Head, Piece, looked_at_by
from pipeline.compute.lake_relations import LEAST, READ_BY, How, relations_that_are
from pipeline.compute.shard_server import ShardServer
from pipeline.errors import CheckFailed
from pipeline.export.manifest import ExportedFile, ExportedTable, Manifest, Part, read_manifest
from pipeline.export.readable import named
from pipeline.export.write_export import write_export
from pipeline.export.writers import file_of, to_disk
from pipeline.replay.cell_reads import SILVER_KEYS
from pipeline.runs.load import failure_text
from pipeline.transform.apply import apply_batches, transformer_session
from pipeline.transform.program import Program
from pipeline.warehouse.connect import Connection, Role, Warehouse

# Of all relations that these views read, through other views as well, those that are stored.
_READ_BY_VIEWS: Final = """
with recursive reads (reader, relation) as (
    select rules.ev_class, needs.refobjid
    from pg_rewrite as rules
    join pg_depend as needs on needs.classid = 'pg_rewrite'::regclass and needs.objid = rules.oid
    where needs.refclassid = 'pg_class'::regclass and needs.refobjid <> rules.ev_class
),
reached (relation) as (
    select to_regclass(named.name)::oid from unnest(%s::text[]) as named (name)
    union
    select reads.relation from reads join reached on reached.relation = reads.reader
)
select distinct namespaces.nspname || '.' || relations.relname
from reached
join pg_class as relations on relations.oid = reached.relation
join pg_namespace as namespaces on namespaces.oid = relations.relnamespace
where relations.relkind in ('r', 'p')
"""


@dataclass(frozen=True, slots=True)
class StagedPart:
    """A part of a relation, in a file that waits to take its place.

    Attributes:
        part: it; its path is where the file is to stand.
        staged: name of the file in the folder where files wait.
        file: its bytes and hash.
    """

    part: Part
    staged: str
    file: ExportedFile


@dataclass(frozen=True, slots=True)
class StagedTable:
    """A relation as one task has it.

    Attributes:
        table: its form; without parts.
        parts: its rows.
    """

    table: ExportedTable
    parts: tuple[StagedPart, ...]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """What one task made.

    Attributes:
        program: of the manifest: a hash of the code that computed the rows.
        answers: of the manifest: what the rows are made of, as the task's database has it.
        tables: relations of gold, with their rows.
        inputs: for the second stage: relation, and the file that waits with the task's rows.
        events: how many were its own.
        outcomes: outcome objects in its pieces.
        seconds: it took.
    """

    program: str
    answers: str | None
    tables: tuple[StagedTable, ...]
    inputs: tuple[tuple[str, str], ...]
    events: int
    outcomes: int
    seconds: float


def run_shard(
    own: ShardServer, stage: Path, heads: Sequence[Head], events: Iterable[str], pieces: Iterable[Piece], clock: Clock
) -> TaskResult:
    """Compute the relations of some events.

    Args:
        own: the worker's server.
        stage: the folder, seen by all, where files wait.
        heads: all batches.
        events: the task's own events, also those that ledgers alone name.
        pieces: all that is said of them.
        clock: dates states; nothing in gold depends on it.

    Raises:
        CheckFailed: ``COMPUTE_WITHHELD``: a check failed.
    """
    begun = clock.now()
    found, mine = list(pieces), set(events)
    by_batch: dict[str, list[Piece]] = {}
    for piece in found:
        by_batch.setdefault(piece.batch_id, []).append(piece)
    with own.database() as warehouse, own.scratch() as scratch:
        # the heads first: whoever reads gold afterwards sees each batch whole
        load(warehouse, (looked_at_by(head, by_batch.get(head.batch_id, ())) for head in heads), clock)
        applied = apply_batches(warehouse, own.program, [head.batch_id for head in heads], clock)
        if not applied.published:
            raise CheckFailed(
                "COMPUTE_WITHHELD",
                f"A check failed, so nothing was written: {failure_text(applied)}.",
                "Replay the recording to see which batch it is (`sports-market replay DIR`), and leave it out.",
            )
        with warehouse.connect(Role.OWNER) as owner:
            _leave_to_others(owner, mine)
            inputs = inputs_of(owner)
            copied = tuple((name, _copied_out(owner, name, stage, scratch)) for name in inputs)
        manifest, tables = exported(warehouse, relations_that_are(How.EVENT), stage, scratch)
    outcomes = sum(piece.outcomes for piece in found)
    seconds = (clock.now() - begun).total_seconds()
    return TaskResult(manifest.program, manifest.answers, tables, copied, len(mine), outcomes, seconds)


def run_merge(
    own: ShardServer, stage: Path, heads: Sequence[Head], inputs: Sequence[tuple[str, str]], clock: Clock
) -> TaskResult:
    """Compute the relations that look over events, from what all tasks have of what they read.

    Args:
        own: the worker's server.
        stage: the folder where the tasks' files wait.
        heads: all batches.
        inputs: relation and name of each file.
        clock: dates states.
    """
    begun = clock.now()
    with own.database() as warehouse, own.scratch() as scratch:
        load(warehouse, (head.looked for head in heads), clock)
        with warehouse.connect(Role.OWNER) as owner:
            for name in inputs_of(owner):
                _take_in(owner, name, [stage / file for relation, file in inputs if relation == name])
            # every answer is applied by now; what each one bears on is read from what is pending
            owner.execute("update ops.ledger set applied = admitted, applied_held = held where admitted")
            owner.execute("update ops.batch_states set state = 'published'")
            owner.execute(
                "insert into ops.pending (exchange_id, admitted, captured_at, held)"
                " select ledger.exchange_id, ledger.admitted, exchanges.captured_at, ledger.held from ops.ledger as ledger"
                " join bronze.exchanges as exchanges on exchanges.exchange_id = ledger.exchange_id where ledger.admitted"
            )
            # nobody kept these up
            owner.execute("delete from ops.table_digests")
        with warehouse.connect(Role.OWNER, autocommit=True) as owner:
            owner.execute("analyze")
        _run_only(own.program, warehouse, [name.partition(".")[2] for name in READ_BY])
        manifest, tables = exported(warehouse, relations_that_are(How.MERGED), stage, scratch)
    return TaskResult(manifest.program, manifest.answers, tables, (), 0, 0, (clock.now() - begun).total_seconds())


def load(warehouse: Warehouse, batches: Iterable[LookedAt], clock: Clock) -> None:
    """Load batches, all or none."""
    with warehouse.connect(Role.INGESTER) as ingester, ingester.transaction():
        for looked in batches:
            insert_batch(ingester, looked, clock)


def inputs_of(connection: Connection) -> tuple[str, ...]:
    """The stored relations that tasks compute and the second stage reads; ``gold.events``, as it tells of rows their sport."""
    stored = {name for (name,) in connection.execute(_READ_BY_VIEWS, [list(relations_that_are(How.MERGED))]).fetchall()}
    wanted = {*stored, *READ_BY.values(), "gold.events"}
    return tuple(name for name in relations_that_are(How.EVENT, How.SHARED) if name in wanted)


def exported(
    warehouse: Warehouse, names: Iterable[str], stage: Path, scratch: Path
) -> tuple[Manifest, tuple[StagedTable, ...]]:
    """Write relations of gold as files that wait; also the manifest that they were written with."""
    out = scratch / "lake"
    gold = [name for name in names if name.startswith("gold.")]
    write_export(warehouse, out, named(gold))
    manifest = read_manifest(out)
    assert manifest is not None
    tables = []
    for table in manifest.tables:
        parts = tuple(_staged(part, out / part.path, manifest.files[part.path], stage) for part in table.parts)
        tables.append(StagedTable(replace(table, parts=()), parts))
    return manifest, tuple(tables)


def _staged(part: Part, written: Path, file: ExportedFile, stage: Path) -> StagedPart:
    folder, _, name = part.path.rpartition("/")
    path = f"{folder}/{file.sha256[:32]}.{name.rpartition('.')[2]}"
    # with its folder: of two tables of one form that have no rows the files are the same
    staged = path.replace("/", "~")
    _put(written, stage / staged)
    # what the task's own server made of the rows is nothing to another one
    return StagedPart(replace(part, path=path, state=None), staged, file)


def _put(source: Path, target: Path) -> None:
    """Move a file to the folder that all see, whole or not at all; one of the same name has the same bytes."""
    if target.exists():
        return
    # on the other disk first, under a name that no other task has
    handle, name = tempfile.mkstemp(prefix=".", dir=target.parent)
    os.close(handle)
    waiting = Path(name)
    try:
        shutil.copyfile(source, waiting)
        waiting.chmod(0o644)
        to_disk(waiting)
        waiting.replace(target)
    finally:
        waiting.unlink(missing_ok=True)


def _leave_to_others(connection: Connection, events: set[str]) -> None:
    """Drop what ledgers say of other tasks' events: each task has whole ledgers, as an entry's newest capture counts."""
    for captures, entries, key in (
        ("silver.bet_captures", "gold.bets", "bet_id"),
        ("silver.prediction_captures", "gold.predictions", "prediction_id"),
    ):
        connection.execute(
            sql.SQL(
                "delete from {captures} as c using {entries} as e where e.ledger = c.ledger and e.{key} = c.{key}"
                " and e.event_id <> all (%s)"
            ).format(
                captures=sql.Identifier(*captures.split(".")),
                entries=sql.Identifier(*entries.split(".")),
                key=sql.Identifier(key),
            ),
            [sorted(events)],
        )


def _copied_out(connection: Connection, name: str, stage: Path, scratch: Path) -> str:
    """The rows of a relation as a file that waits; its name."""
    out = scratch / "rows"
    query = sql.SQL("copy (select t.* from {} as t) to stdout (format binary)").format(sql.Identifier(*name.split(".")))
    with out.open("wb") as stream, connection.cursor().copy(query) as copy:
        for block in copy:
            stream.write(block)
    file = f"{file_of(out).sha256[:32]}.rows"
    _put(out, stage / file)
    out.unlink()
    return file


def _take_in(connection: Connection, name: str, files: Sequence[Path]) -> None:
    """Fill a relation with what all tasks have of it."""
    relation = sql.Identifier(*name.split("."))
    least = LEAST.get(name)
    into: sql.Composable = relation
    if least is not None:
        into = sql.Identifier("pg_temp", "seen")
        connection.execute(sql.SQL("create temp table seen (like {})").format(relation))
    is_by_month = connection.execute("select relkind = 'p' from pg_class where oid = %s::regclass", [name]).fetchone()
    if is_by_month == (True,):
        connection.execute(
            "select ops.make_months(%s::regclass, array(select distinct ops.month_of(captured_at) from bronze.exchanges))",
            [name],
        )
    for file in files:
        _copied_in(connection, into, file)
    if least is not None:
        keys = sql.SQL(", ").join(map(sql.Identifier, SILVER_KEYS[name]))
        order = sql.SQL(", ").join([keys, *map(sql.Identifier, least)])
        connection.execute(
            sql.SQL("insert into {} select distinct on ({}) seen.* from pg_temp.seen as seen order by {}").format(
                relation, keys, order
            )
        )
        connection.execute("drop table pg_temp.seen")


def _copied_in(connection: Connection, into: sql.Composable, file: Path) -> None:
    with (
        file.open("rb") as stream,
        connection.cursor().copy(sql.SQL("copy {} from stdin (format binary)").format(into)) as copy,
    ):
        for block in _blocks(stream):
            copy.write(block)


def _blocks(stream: Any) -> Iterator[bytes]:
    while block := stream.read(1 << 20):
        yield block


def _run_only(program: Program, warehouse: Warehouse, models: Sequence[str]) -> None:
    """Let the program compute some models of what is pending."""
    steps = tuple(step for step in program.parts["batch"] if step.name in models)
    alone = replace(program, parts={**program.parts, "batch": steps})
    with transformer_session(warehouse) as session:
        failed = [each for each in alone.run(session, warehouse, "batch") if not each.ok]
        if failed:
            raise CheckFailed(
                "COMPUTE_MERGE", f"{failed[0].name} failed: {failed[0].message}.", "Mend the model, and run it again."
            )
        with contextlib.closing(session.cursor()) as cursor:
            cursor.execute("delete from ops.pending")
            cursor.execute("delete from ops.row_changes")
        session.commit()
