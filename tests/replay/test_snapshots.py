"""The bundled recording's expected states, in the one store that `sports-market replay` and these tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion
from syrupy.data import SnapshotCollections
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from pipeline.bronze.batch_load import load_batch
from pipeline.clock import SystemClock
from pipeline.errors import RecordingError
from pipeline.recording.store import Recording
from pipeline.replay.explain import explain
from pipeline.replay.snapshots import (
    FOLDER,
    Snapshot,
    SnapshotStore,
    TableChanges,
    changes_at_hand,
    expected_rows,
    found_rows,
    parse,
    render,
    table_named,
)
from pipeline.resources import resource
from pipeline.transform.apply import Session, Transformer, apply_batches
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from pipeline.warehouse.digest import stored_digests, stored_tables
from tests.conftest import Project

# their names are the batches', not the test's
pytestmark = pytest.mark.filterwarnings("ignore:\\s*Can not relate snapshot")

BUNDLED = resource("fixtures/recordings/simulated")
BATCH_IDS = Recording.open(BUNDLED).batch_ids


class StoreExtension(SingleFileSnapshotExtension):
    """Syrupy on the recording's own snapshots, through the functions that the command uses."""

    _write_mode = WriteMode.TEXT
    file_extension = "json"

    @classmethod
    def dirname(cls, *, test_location: Any) -> str:
        return str(BUNDLED / FOLDER)

    @classmethod
    def get_snapshot_name(cls, *, test_location: Any, index: Any = 0) -> str:
        return str(index)

    def serialize(self, data: Any, **_: Any) -> str:
        return render(data)

    def discover_snapshots(self, **_: Any) -> SnapshotCollections:
        return SnapshotCollections()  # none of them is ever unused: a partial run deletes nothing

    def delete_snapshots(self, **_: Any) -> None:
        raise AssertionError("snapshots are deleted by hand")


# `nox -s replay -- --require-snapshots` shows the same on the embedded server
REPLAYED = pytest.mark.proof(cases=0)


@pytest.fixture(scope="module")
def replayed(
    server: Server, prepared_template: Warehouse, clone_names: Iterator[str], project: Project
) -> Iterator[tuple[Warehouse, dict[str, Snapshot]]]:
    """The bundled recording in a database, and the state after each of its batches."""
    warehouse = server.clone_database(prepared_template, next(clone_names))
    states: dict[str, Snapshot] = {}
    clock = SystemClock()
    with warehouse.connect(Role.INGESTER) as ingester, Transformer(warehouse) as transformer:
        for batch in Recording.open(BUNDLED).batches():
            load_batch(ingester, batch, clock)

            def note(session: Session, batch_id: str = batch.batch_id) -> None:
                states[batch_id] = Snapshot(batch_id, stored_digests(session), changes_at_hand(session))

            applied = apply_batches(transformer, project, [batch.batch_id], clock, before_commit=note)
            assert applied.published, applied.failed
    yield warehouse, states
    server.drop_database(warehouse)


@REPLAYED
@pytest.mark.parametrize("batch_id", BATCH_IDS)
def test_state_after_batch(batch_id: str, replayed: tuple[Warehouse, dict[str, Snapshot]], snapshot: SnapshotAssertion) -> None:
    assert replayed[1][batch_id] == snapshot(name=batch_id, extension_class=StoreExtension)


@REPLAYED
def test_the_snapshots_add_up_to_the_tables(replayed: tuple[Warehouse, dict[str, Snapshot]]) -> None:
    """The rows that the batches changed, one after another, are the rows of gold."""
    warehouse, states = replayed
    with warehouse.connect(Role.TRANSFORMER) as session:
        for table in stored_tables():
            found = found_rows(session, table)
            assert found == expected_rows(table, states.values()), table.name
            # the simulated market hangs no two lines far enough apart for a middle
            assert found or table.name == "gold.middles", table.name


@REPLAYED
def test_a_difference_is_named_to_the_cell(replayed: tuple[Warehouse, dict[str, Snapshot]]) -> None:
    warehouse, states = replayed
    table = table_named("gold.price_history")
    snapshots = list(states.values())
    with warehouse.connect(Role.TRANSFORMER) as session:
        digests = stored_digests(session)
        assert explain(session, snapshots, digests) == ()
        key, row = min(found_rows(session, table).items())
        session.execute(
            "update gold.price_history set price_native = 99 where series_id = %s and line_rank = %s and valid_from = %s",
            list(key),
        )
        differences = explain(session, snapshots, {**digests, table.name: "sum128:1:other"})
        session.rollback()
    assert [(d.table, d.column, d.expected, d.found) for d in differences] == [
        ("gold.price_history", "price_native", row["price_native"], "99.00000000")
    ]
    assert dict(differences[0].key) == dict(zip(table.key, key, strict=True))
    assert differences[0].batch_id == BATCH_IDS[-1]


@REPLAYED
def test_missing_and_extra_rows_are_named(replayed: tuple[Warehouse, dict[str, Snapshot]]) -> None:
    warehouse, states = replayed
    with warehouse.connect(Role.TRANSFORMER) as session:
        session.execute("delete from gold.bookmakers where bookmaker_key = 'pinnacle'")
        session.execute("insert into gold.bookmakers values ('zzz', 'Zzz', now())")
        differences = explain(session, list(states.values()), {**stored_digests(session), "gold.bookmakers": "sum128:1:other"})
        session.rollback()
    assert [(dict(d.key), d.column, d.found == "no row") for d in differences] == [
        ({"bookmaker_key": "pinnacle"}, "*", True),
        ({"bookmaker_key": "zzz"}, "*", False),
    ]


cells = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)
few = st.sampled_from(["a", "b"])
# long enough that a column that reads like the other is left out
long = st.sampled_from(["a" * 40, "b" * 40])
rows = st.lists(
    st.fixed_dictionaries(
        {"id": st.text(), "cell": cells},
        optional={"valid_from": few, "event_id": few, "market_key": few, "price": long, "price_native": long},
    ),
    max_size=6,
).map(lambda found: tuple(sorted(found, key=lambda row: repr(sorted(row.items())))))


@given(
    st.dictionaries(st.sampled_from([table.name for table in stored_tables()]), st.tuples(rows, rows, rows)),
    st.text(min_size=1),
)
def test_what_is_rendered_is_parsed_again(changes: dict[str, Any], digest: str) -> None:
    kept = {name: TableChanges(*kinds) for name, kinds in changes.items() if any(kinds)}
    given_snapshot = Snapshot("20250101T000000Z-0123456789ab", {"gold.events": digest}, kept)
    text = render(given_snapshot)
    again = parse(text, "here")
    assert render(again) == text
    assert again.digests == given_snapshot.digests
    for name, table in kept.items():
        for kind in ("added", "changed", "removed"):
            assert sorted(map(_sorted_text, getattr(again.changes[name], kind))) == sorted(
                map(_sorted_text, getattr(table, kind))
            )


def _sorted_text(row: Any) -> str:
    return repr(sorted(row.items()))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 4}', '{"format": 4, "batch_id": "a", "digests": {}, "changes": {"t": {"added": [{}]}}}']
)
def test_a_broken_snapshot_is_named(text: str) -> None:
    with pytest.raises(RecordingError, match=r"SNAPSHOT_BROKEN.*here"):
        parse(text, "here")


def test_a_snapshot_of_another_format_is_refused() -> None:
    with pytest.raises(RecordingError, match=r"^SNAPSHOT_FORMAT: here.*sports-market replay RECORDING --update"):
        parse('{"format": 2, "batch_id": "a", "digests": {}, "changes": {}}', "here")
    with pytest.raises(RecordingError, match=r"^SNAPSHOT_FORMAT_NEWER: here.*Upgrade"):
        parse('{"format": 1000, "batch_id": "a", "digests": {}, "changes": {}}', "here")


def test_views_of_an_earlier_format_are_refused_and_written_anew(tmp_path: Path) -> None:
    """Their digests are of another kind: they differ whatever the views hold."""
    store = SnapshotStore(tmp_path)
    store.folder.mkdir()
    (store.folder / "views.json").write_text('{"a": {"gold.openings": "sha256:0123"}, "b": {"gold.openings": "sha256:4567"}}')
    with pytest.raises(RecordingError, match=r"^SNAPSHOT_FORMAT: .*views.json has format 3.*replay RECORDING --update"):
        store.read_views("a")
    store.write_views("b", {"gold.openings": "sum128:0:0"})
    assert (store.read_views("a"), store.read_views("b")) == (None, {"gold.openings": "sum128:0:0"})
    for broken in ("[]", '{"format": 4}', '{"format": "x"}'):
        (store.folder / "views.json").write_text(broken)
        for attempt in (lambda: store.read_views("a"), lambda: store.write_views("a", {})):
            with pytest.raises(RecordingError, match=r"^SNAPSHOT_BROKEN: .*views.json"):
                attempt()


def test_the_store_leaves_others_alone(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    store.write(Snapshot("a", {"gold.events": "1"}))
    store.write(Snapshot("b", {"gold.events": "2"}))
    store.write_views("a", {"gold.openings": "3"})
    store.write_views("b", {"gold.openings": "4"})
    store.write(Snapshot("b", {"gold.events": "5"}))
    assert store.read("a") == Snapshot("a", {"gold.events": "1"})
    assert store.read("b") == Snapshot("b", {"gold.events": "5"})
    assert store.read("c") is None
    assert (store.read_views("a"), store.read_views("b"), store.read_views("c")) == (
        {"gold.openings": "3"},
        {"gold.openings": "4"},
        None,
    )
