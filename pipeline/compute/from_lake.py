"""Back home: fill an empty warehouse from a lake, without computing gold; from then on it is a warehouse like any other.

Bronze comes from the recordings, as in any load: what comes next reads it. Silver is flattened from it, so no lake holds a row
of each quote. Gold is what is dear, and is copied. Then its digests are computed from the rows that stand, and held against the
manifest's; those of views, which read silver too, where that is asked for.

The batches are sealed one by one, all is published in one transaction. Whoever is killed goes on by the same command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg2

from pipeline.bronze.batch_load import LoadedBatch, load_batch
from pipeline.clock import Clock
from pipeline.compute.computing import BatchPlace, batches_in
from pipeline.errors import CheckFailed, ConflictError, SetupError, UsageError, WarehouseError
from pipeline.export.copy_rows import copied_blocks, copy_statement
from pipeline.export.manifest import Manifest, read_manifest
from pipeline.export.write_export import program_of
from pipeline.recording.store import Recording
from pipeline.runs.load import LoadSummary
from pipeline.transform.apply import Transformer, prepare, publish_computed
from pipeline.transform.engine import Engine, Session
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import columns_of, kept_digests, made_of_digest, stored_tables, view_digests

_NAMED: Final = 3
_ANEW: Final = "Load the recordings without the lake (`sports-market load DIR`): it computes gold here."


@dataclass(frozen=True, slots=True)
class Lake:
    """A lake that may fill a warehouse.

    Attributes:
        folder: its folder.
        manifest: of it.
        places: where each batch that it is made of is to be read, in order.
        others: how many more batches the recordings hold.
    """

    folder: Path
    manifest: Manifest
    places: tuple[BatchPlace, ...]
    others: int

    @property
    def digests(self) -> dict[str, str]:
        """Of each relation."""
        return {table.name: table.digest for table in self.manifest.tables}


def open_lake(folder: Path, recordings: Sequence[Path], engine: Engine) -> Lake:
    """See whether a lake may fill a warehouse; no row of it is read.

    Args:
        folder: of ``compute`` or ``export``.
        recordings: which hold its batches.
        engine: of the code at hand.

    Raises:
        SetupError: ``EXPORT_NOT_FOUND``, ``EXPORT_MANIFEST_BROKEN``, ``EXPORT_FORMAT_NEWER``, ``LAKE_PROGRAM``,
            ``LAKE_UNPROVEN``.
        UsageError: ``LAKE_CUT``, ``LAKE_TABLES``.
        RecordingError: a recording is broken.
        ConflictError: ``LAKE_BATCHES``: they lack batches that it is made of; ``BATCH_CONFLICT``.
    """
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None:
        raise SetupError(
            "EXPORT_NOT_FOUND", f"{folder} holds no export.", "Name the folder that `sports-market compute` or `export` wrote."
        )
    _check_whole(folder, manifest)
    if manifest.program != program_of(engine.fingerprints()):
        raise SetupError(
            "LAKE_PROGRAM",
            f"{folder} was computed by other code or with other seeds than those at hand.",
            f"Compute the lake anew with this version, or {_ANEW[0].lower()}{_ANEW[1:]}",
        )
    found = {place.batch_id: place for place in batches_in(recordings, None, None)}
    missing = [batch_id for batch_id in manifest.batches if batch_id not in found]
    if missing:
        raise ConflictError(
            "LAKE_BATCHES",
            f"The recordings lack {len(missing):,} of the {len(manifest.batches):,} batches of which {folder} is made, such as"
            f" {', '.join(missing[:_NAMED])}.",
            "Name all recordings that it was computed from: what comes next needs their answers.",
        )
    places = tuple(found[batch_id] for batch_id in sorted(manifest.batches))
    return Lake(folder, manifest, places, len(found) - len(places))


def _check_whole(folder: Path, manifest: Manifest) -> None:
    cut = {name: value for name, value in manifest.asked.items() if value is not None}
    if cut:
        raise UsageError(
            "LAKE_CUT",
            f"{folder} holds only rows of {', '.join(f'{name} {value}' for name, value in cut.items())}.",
            "Export without --sport, --since and --until: what comes next needs all rows.",
        )
    held = {table.name for table in manifest.tables}
    missing = [table.name for table in stored_tables() if table.name not in held]
    if missing:
        raise UsageError(
            "LAKE_TABLES",
            f"{folder} lacks {len(missing)} of gold's tables, such as {', '.join(missing[:_NAMED])}.",
            "Export all of them (without --tables).",
        )
    if manifest.answers is None:
        raise SetupError(
            "LAKE_UNPROVEN",
            f"{folder} does not say of which answers it is made: an older version wrote it.",
            "Write it again with this version; what did not change is kept.",
        )


def load_lake(
    lake: Lake,
    warehouse: Warehouse,
    engine: Engine,
    clock: Clock,
    *,
    mix_sources: bool = False,
    with_views: bool = False,
    progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> LoadSummary:
    """Fill an empty warehouse from a lake.

    Where the warehouse holds exactly this already, nothing is done.

    Args:
        lake: what :func:`open_lake` let in.
        warehouse: bootstrapped; with no batch but those of the lake, and none of them published.
        engine: what runs the project's SQL.
        clock: dates verdicts and states.
        mix_sources: take simulated answers together with others.
        with_views: compute the lake's views too, and hold their digests against its own.
        progress: called with (batches loaded, of how many).

    Raises:
        WarehouseError: ``WAREHOUSE_NOT_EMPTY``, ``MODELS_CHANGED``.
        ConflictError: ``LAKE_ANSWERS``: the recordings' answers are not those that the lake is made of; ``BATCH_CONFLICT``,
            ``SOURCES_MIXED``.
        CheckFailed: ``LAKE_ROWS``, ``LAKE_DIFFERS``, ``GOLD_REFUSED``.
        SetupError: ``LAKE_UNREADABLE``.
    """
    gold = _Gold(lake, warehouse, engine, with_views)
    with Transformer(warehouse) as transformer:
        prepare(transformer, engine)
        with transformer.transaction() as session:
            if gold.is_there(session):
                return LoadSummary(len(lake.places), 0, len(lake.places), 0, 0, 0, digests=kept_digests(session))
            gold.allow(session)
        loaded = tuple(_sealed(lake, warehouse, clock, mix_sources, progress))
        publish_computed(transformer, engine, [place.batch_id for place in lake.places], clock, gold)
        with transformer.transaction() as session:
            digests = kept_digests(session)
    quarantined, held = sum(each.quarantined for each in loaded), sum(each.held for each in loaded)
    return LoadSummary(len(loaded), len(loaded), 0, 0, quarantined, 0, held, digests)


def _sealed(
    lake: Lake, warehouse: Warehouse, clock: Clock, mix_sources: bool, progress: Callable[[int, int | None], None]
) -> Iterator[LoadedBatch]:
    opened: dict[str, Recording] = {}
    with warehouse.connect(Role.INGESTER) as ingester:
        for done, place in enumerate(lake.places):
            progress(done, len(lake.places))
            if place.recording not in opened:
                opened[place.recording] = Recording.open(place.recording)
            batch = opened[place.recording].read(place.batch_id)
            yield load_batch(ingester, batch, clock, mix_sources=mix_sources)
    progress(len(lake.places), len(lake.places))


class _Gold:
    """The lake's rows, as :class:`pipeline.transform.apply.ComputedGold`."""

    def __init__(self, lake: Lake, warehouse: Warehouse, engine: Engine, with_views: bool) -> None:
        self._lake, self._warehouse, self._engine, self._with_views = lake, warehouse, engine, with_views

    def is_there(self, session: Session) -> bool:
        """Whether the warehouse holds these batches, all published, and gold is the lake's."""
        wanted = {place.batch_id: "published" for place in self._lake.places}
        if _states(session) != wanted or made_of_digest(session) != self._lake.manifest.answers:
            return False
        return not _differing(self._lake.digests, kept_digests(session))

    def allow(self, session: Session) -> None:
        """Refuse a warehouse that holds more than this lake's batches, sealed."""
        own = {place.batch_id for place in self._lake.places}
        in_the_way = {name: state for name, state in _states(session).items() if name not in own or state != "sealed"}
        if in_the_way:
            [(name, state), *_] = sorted(in_the_way.items())
            raise WarehouseError(
                "WAREHOUSE_NOT_EMPTY",
                f"{self._warehouse.place} holds {len(in_the_way):,} batches already, such as {name}, which is {state}.",
                "A lake fills an empty warehouse: name another database, or load what is new the ordinary way.",
            )

    def fill(self, session: Session) -> None:
        """Copy the rows of stored tables, where the answers at hand are those that they are made of."""
        answers = made_of_digest(session)
        if answers != self._lake.manifest.answers:
            raise ConflictError(
                "LAKE_ANSWERS",
                f"{self._lake.folder} is made of other answers than the recordings give: {self._lake.manifest.answers} there,"
                f" {answers} here.",
                "Answers of one sport alone (`compute --sport`), decisions on quarantined answers, or other contracts make such"
                f" a difference. {_ANEW}",
            )
        stored = [table.name for table in stored_tables()]
        tables = {table.name: table for table in self._lake.manifest.tables}
        columns = columns_of(session, stored_tables())
        for name in stored:
            if columns[name] != tables[name].columns:
                raise CheckFailed("LAKE_ROWS", f"{self._lake.folder}: {name} has other columns than here.", _ANEW)
            blocks: Any = _Blocks(copied_blocks(self._lake.folder, self._lake.manifest.format, tables[name]))
            with session.cursor() as cursor:
                try:
                    cursor.copy_expert(copy_statement(tables[name]), blocks)
                except psycopg2.Error as error:
                    if blocks.error is not None:
                        raise blocks.error from None
                    first = next(iter(str(error).splitlines()), type(error).__name__)
                    what = f"{self._lake.folder}: PostgreSQL refuses rows of {name}: {first}"
                    raise CheckFailed("LAKE_ROWS", what, _ANEW) from error
                # what follows reads them, and is planned by what stands there now
                cursor.execute(f"analyze {name}")

    def prove(self, session: Session) -> None:
        """Hold what stands against the manifest: the rows of tables, and those of views where that is asked for."""
        wanted = self._lake.digests
        found = kept_digests(session)
        if self._with_views:
            found |= self._of_views(session)
        differing = _differing(wanted, found)
        if differing:
            first = differing[0]
            raise CheckFailed(
                "LAKE_DIFFERS",
                f"What came of {self._lake.folder} differs in {', '.join(differing)}: {first} has {found.get(first)}, and not"
                f" {wanted[first]}.",
                f"Nothing of it was published. Ask `sports-market export --verify` whether its files are whole. {_ANEW}",
            )

    def _of_views(self, session: Session) -> dict[str, str]:
        with session.cursor() as cursor:
            cursor.execute("savepoint views")
            found = view_digests(session, self._engine.compute_views(session))
            # with the tables that held their rows
            cursor.execute("rollback to savepoint views")
        return found


def _states(session: Session) -> dict[str, str]:
    with session.cursor() as cursor:
        cursor.execute("select batch_id, state from ops.batch_states")
        return dict(cursor.fetchall())


def _differing(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    return [name for name, digest in wanted.items() if name in found and found[name] != digest]


class _Blocks:
    """What psycopg2 reads from; it keeps what went wrong here, which the driver would tell as the server's refusal."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> Any:
        """The next block, whatever its size; empty at the end."""
        try:
            return next(self._blocks, b"")
        except BaseException as error:
            self.error = error
            raise
