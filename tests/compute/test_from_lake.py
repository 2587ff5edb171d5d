"""A warehouse that was filled from a lake is the one that computed it: in all that is stored, and in all that comes after."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.bronze.batch_load import load_batch
from pipeline.compute.computing import batches_in, compute
from pipeline.compute.from_lake import load_lake, open_lake
from pipeline.errors import SportsMarketError
from pipeline.export import extra
from pipeline.export.manifest import MANIFEST
from pipeline.export.readable import readable
from pipeline.export.write_export import write_export
from pipeline.recording.store import Recording
from pipeline.replay.verify import verify
from pipeline.resources import resource
from pipeline.runs.context import RunContext
from pipeline.runs.load import load_batches
from pipeline.runs.quarantine import withdraw_answer
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from tests.compute.this_process import ThisProcess
from tests.conftest import Project, address
from tests.export.gold_of_batches import export, manifest_of
from tests.recordings import BUNDLED, bundled_part, written
from tests.replay.admission import answers_of, ids_of
from tests.replay.support import CLOCK, Databases, databases_of, digests, take

RECORDING = resource(BUNDLED)
BATCH_IDS = Recording.open(RECORDING).batch_ids
# Of the bundled recording: what a lake holds, what comes later, and what comes late.
LATE = BATCH_IDS[7]
EARLY = tuple(batch_id for batch_id in BATCH_IDS[:-5] if batch_id != LATE)
LAST = BATCH_IDS[-5:]
# What a run fills anew before it reads it.
SCRATCH = (
    "ops.pending",
    "ops.touched_",
    "ops.row_changes",
    "ops.due_",
    "ops.coverage_taken",
    "ops.quotes_taken",
)
CLOCKED = ("changed_at", "checked_at", "decided_at")


def load(warehouse: Warehouse, project: Project, batch_ids: Sequence[str], recording: Path = RECORDING) -> None:
    summary = load_batches(Recording.open(recording), batch_ids, RunContext(warehouse, project, CLOCK))
    assert summary.withheld == 0


def stands(warehouse: Warehouse) -> dict[str, str]:
    """Of each stored relation but scratch a hash of its rows, without times of runs."""
    found = {}
    with warehouse.connect(Role.OWNER) as owner:
        names = owner.execute(
            "select schemaname || '.' || tablename from pg_tables where schemaname in ('bronze', 'silver', 'gold', 'ops')"
        ).fetchall()
        for (name,) in names:
            if name.startswith(SCRATCH):
                continue
            row = f"(to_jsonb(t) {' '.join(f'- {column!r}' for column in CLOCKED)})::text"
            query = f"select coalesce(md5(string_agg({row}, ',' order by {row})), '') from {name} as t"
            [(found[name],)] = owner.execute(query.encode()).fetchall()
    return found


def same(found: Warehouse, wanted: Warehouse) -> None:
    one, other = stands(found), stands(wanted)
    assert [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)] == []


def sound(warehouse: Warehouse, project: Project) -> None:
    report = verify(warehouse, project)
    assert not report.failed, [(each.name, each.message) for each in report.failed]


@pytest.fixture(scope="module")
def databases(server: Server, prepared_template: Warehouse, clone_names: Iterator[str]) -> Databases:
    return databases_of(server, prepared_template, clone_names)


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the batches that a lake holds."""
    recording = Recording.open(RECORDING)
    return written(tmp_path_factory.mktemp("early") / "recording", map(recording.read, EARLY))


@pytest.fixture(scope="module")
def lake(early: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two tasks compute of it."""
    out = tmp_path_factory.mktemp("lake") / "lake"
    with ThisProcess() as workers:
        compute(batches_in([early], None, None), out, workers, shards=2)
    return out


@pytest.fixture
def ordinary(databases: Databases, project: Project) -> Iterator[Warehouse]:
    """A warehouse that took the same batches in."""
    with databases() as warehouse:
        take(warehouse, project, [Recording.open(RECORDING).read(batch_id) for batch_id in EARLY], step=0)
        yield warehouse


def from_lake(lake: Path, warehouse: Warehouse, project: Project, *recordings: Path) -> Any:
    return load_lake(open_lake(lake, recordings or [RECORDING], project), warehouse, project, CLOCK, with_views=True)


def refused(code: str, lake: Path, warehouse: Warehouse, project: Project, *recordings: Path) -> str:
    """The message; and nothing of it is published."""
    with pytest.raises(SportsMarketError) as raised:
        from_lake(lake, warehouse, project, *recordings)
    assert raised.value.code == code, raised.value
    return raised.value.message


def holds_nothing(warehouse: Warehouse) -> None:
    with warehouse.connect(Role.OWNER) as owner:
        assert owner.execute("select count(*) from ops.batch_states where state <> 'sealed'").fetchone() == (0,)
    assert {digest.split(":")[1] for digest in digests(warehouse).values()} == {"0"}


def test_from_there_it_goes_on_as_if_it_had_computed_all(
    lake: Path, ordinary: Warehouse, prepared: Warehouse, project: Project
) -> None:
    summary = from_lake(lake, prepared, project)
    assert (summary.batches, summary.published) == (len(EARLY), len(EARLY))
    assert summary.digests == digests(ordinary) == digests(prepared)
    same(prepared, ordinary)
    sound(prepared, project)
    # a second time changes nothing
    again = from_lake(lake, prepared, project)
    assert (again.published, again.standing, again.digests) == (0, len(EARLY), summary.digests)

    for batch_ids in (LAST, (LATE,)):
        for warehouse in (prepared, ordinary):
            load(warehouse, project, batch_ids)
        same(prepared, ordinary)
    sound(prepared, project)
    assert "already" in refused("WAREHOUSE_NOT_EMPTY", lake, prepared, project)


@pytest.mark.parametrize("format", ["csv", "duckdb", "parquet"])
def test_an_export_of_any_kind_will_do(
    format: str, ordinary: Warehouse, prepared: Warehouse, project: Project, tmp_path: Path
) -> None:
    write_export(ordinary, tmp_path / "lake", tuple(readable().values()), format)
    from_lake(tmp_path / "lake", prepared, project)
    same(prepared, ordinary)


# --- what is refused: nothing is published, and the right lake still goes in -------------------------------------------------

FEW = BATCH_IDS[:2]


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory, databases: Databases, project: Project) -> Path:
    """A lake of two batches, views included."""
    out = tmp_path_factory.mktemp("few") / "lake"
    with databases() as warehouse:
        load(warehouse, project, FEW)
        write_export(warehouse, out, tuple(readable().values()))
    return out


@pytest.fixture
def own(few: Path, tmp_path: Path) -> Path:
    """A copy, to be spoilt."""
    return Path(shutil.copytree(few, tmp_path / "spoilt"))


def spoil(lake: Path, **changes: Any) -> None:
    (lake / MANIFEST).write_bytes(replace(manifest_of(lake), **changes).to_bytes())


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("LAKE_PROGRAM", {"program": "0" * 64}),
        ("LAKE_CUT", {"asked": {"sport": "basketball_nba", "since": None, "until": None}}),
        ("LAKE_TABLES", {"tables": ()}),
        ("LAKE_UNPROVEN", {"answers": None}),
        ("LAKE_BATCHES", {"batches": (*FEW, "20300101T000000Z-000000000000")}),
        ("LAKE_ANSWERS", {"answers": f"sum128:9:{'0' * 32}"}),
    ],
)
def test_a_lake_of_something_else(code: str, changes: dict[str, Any], own: Path, prepared: Warehouse, project: Project) -> None:
    spoil(own, **changes)
    refused(code, own, prepared, project)
    holds_nothing(prepared)


def test_what_is_no_lake(prepared: Warehouse, project: Project, tmp_path: Path) -> None:
    refused("EXPORT_NOT_FOUND", tmp_path / "nowhere", prepared, project)
    refused("EXPORT_NOT_FOUND", RECORDING, prepared, project)


@pytest.mark.parametrize("name", ["gold.price_history", "gold.batch_health"])
def test_other_rows_than_the_manifest_says(name: str, few: Path, own: Path, prepared: Warehouse, project: Project) -> None:
    """Of a table from the lake, and of a view, which is computed of silver too."""
    tables = manifest_of(own).tables
    spoil(own, tables=tuple(replace(t, digest=f"sum128:1:{'0' * 32}") if t.name == name else t for t in tables))
    assert f"differs in {name}" in refused("LAKE_DIFFERS", own, prepared, project)
    holds_nothing(prepared)
    # the batches are sealed, as in a load that was cut short
    from_lake(few, prepared, project)
    sound(prepared, project)


def test_a_file_that_is_broken_or_gone(few: Path, own: Path, prepared: Warehouse, project: Project) -> None:
    [table] = [table for table in manifest_of(own).tables if table.name == "gold.price_history"]
    file = own / next(part.path for part in table.parts if part.rows)
    file.write_bytes(file.read_bytes()[:-100])
    assert "gold.price_history" in refused("LAKE_UNREADABLE", own, prepared, project)
    file.unlink()
    refused("LAKE_UNREADABLE", own, prepared, project)
    holds_nothing(prepared)


def test_rows_that_postgresql_refuses(own: Path, prepared: Warehouse, project: Project) -> None:
    tables = manifest_of(own).tables
    spoil(own, tables=tuple(replace(t, parts=t.parts * 2) if t.name == "gold.events" else t for t in tables))
    assert "duplicate key" in refused("LAKE_ROWS", own, prepared, project)
    holds_nothing(prepared)


def test_rows_that_break_their_contract(databases: Databases, prepared: Warehouse, project: Project, tmp_path: Path) -> None:
    """A lake may prove itself and hold nonsense all the same."""
    with databases() as warehouse:
        load(warehouse, project, FEW)
        with warehouse.connect(Role.OWNER) as owner:
            owner.execute("update gold.price_history set price_decimal = 0.5")
            owner.execute("delete from ops.table_digests")
        export(warehouse, tmp_path / "lake")
    assert "checks failed" in refused("GOLD_REFUSED", tmp_path / "lake", prepared, project)
    holds_nothing(prepared)


def test_a_decision_of_no_recording(databases: Databases, prepared: Warehouse, project: Project, tmp_path: Path) -> None:
    recording = Recording.open(RECORDING)
    with databases() as warehouse:
        load(warehouse, project, FEW)
        answer = ids_of(answers_of([recording.read(FEW[0])], 1))[0]
        summary = withdraw_answer(RunContext(warehouse, project, CLOCK), str(answer), "as a test wants")
        assert summary.exit_code == 0
        export(warehouse, tmp_path / "lake")
    assert "other answers" in refused("LAKE_ANSWERS", tmp_path / "lake", prepared, project)
    holds_nothing(prepared)


def changed(folder: Path) -> Path:
    """A recording of a batch with the same id, and another header of one answer."""
    batch = Recording.open(RECORDING).read(FEW[0])
    first, *others = batch.exchanges
    return written(folder, [replace(batch, exchanges=(replace(first, headers=(*first.headers, ("x-other", "1"))), *others))])


def test_recordings_that_tell_otherwise(few: Path, prepared: Warehouse, project: Project, tmp_path: Path) -> None:
    other = changed(tmp_path / "other")
    message = refused("BATCH_CONFLICT", few, prepared, project, RECORDING, other)
    assert FEW[0] in message and str(other) in message
    rest = bundled_part(tmp_path / "rest", 1, first=1)
    refused("LAKE_ANSWERS", few, prepared, project, other, rest)
    holds_nothing(prepared)


def test_a_warehouse_that_holds_something(few: Path, prepared: Warehouse, project: Project) -> None:
    with prepared.connect(Role.INGESTER) as ingester:
        load_batch(ingester, Recording.open(RECORDING).read(LATE), CLOCK)
    assert LATE in refused("WAREHOUSE_NOT_EMPTY", few, prepared, project)


# --- the command ---------------------------------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, warehouse: Warehouse, state: Path, *arguments: str) -> int:
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", address(warehouse))
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", warehouse.role_prefix)
    monkeypatch.setenv("SPORTS_MARKET_STATE_DIR", str(state))
    return cli.main(["load", *arguments])


def test_the_command(
    few: Path,
    warehouse: Warehouse,
    own_state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Into a database where nothing was prepared; what it lacks is loaded the ordinary way."""
    parts = [str(bundled_part(tmp_path / str(number), 2, first=2 * number)) for number in range(2)]
    lake = ("--from-lake", str(few), "--recordings", *parts, "--json")
    assert run(monkeypatch, warehouse, own_state, *lake) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert (found["batches"], found["published"], found["withheld"]) == (2, 2, 0)
    stored = {table.name: table.digest for table in manifest_of(few).tables}
    assert found["digests"].items() <= stored.items()
    assert "2 batches of the recordings are not in the lake" in shown.err
    assert run(monkeypatch, warehouse, own_state, parts[1], "--json") == 0
    assert json.loads(capsys.readouterr().out)["published"] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from-lake", "lake"],
        ["--from-lake", "lake", "--recordings", "r", "--batches", "1"],
        ["recording", "--recordings", "r"],
        ["recording", "--views"],
    ],
)
def test_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["load", *arguments]) == 2
    assert "error USAGE" in capsys.readouterr().err


def test_without_arrow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(extra, "find_spec", lambda name: None)
    assert cli.main(["load", "--from-lake", "lake", "--recordings", "r"]) == 3
    assert "error EXTRA_MISSING" in capsys.readouterr().err
