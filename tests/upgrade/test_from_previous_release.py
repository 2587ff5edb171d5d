"""What the previous release left behind, under the code at hand: a warehouse with an archived month, recordings, snapshots.

That release makes it, in processes of its own, by its commands. Whatever changes here since (a table, a digest, a format), its
user must get through by what the README says, and end in what a load from nothing gives.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline import cli
from pipeline.clock import UTC, compact
from pipeline.market.simulator import SimulatedMarket
from pipeline.odds_api.request import ApiRequest
from pipeline.recording.store import Recording, content_sha256
from pipeline.transform.apply import transformer_session
from pipeline.transform.fingerprints import fingerprints, stored_fingerprints
from pipeline.warehouse.connect import PIPELINE_ROLES, Role, Warehouse
from pipeline.warehouse.database import Server
from pipeline.warehouse.digest import recomputed_digests
from tests.conftest import ROLE_PREFIX, Project, with_parse
from tests.replay.support import Databases, databases_of, digests, take
from tests.upgrade.conftest import Installed

MARKET = SimulatedMarket(281)
NFL = "americanfootball_nfl"
# A Sunday of October, which is over by the month's end, and one of November, which is not.
OCTOBER, NOVEMBER = ("2024-10-27T12:00:00Z", "2024-10-27T18:00:00Z"), ("2024-11-10T12:00:00Z", "2024-11-10T18:00:00Z")
POLLS = (
    (dt.datetime(2024, 10, 26, 19, tzinfo=UTC), OCTOBER),
    (dt.datetime(2024, 10, 27, 17, 30, tzinfo=UTC), OCTOBER),
    (dt.datetime(2024, 10, 29, 12, tzinfo=UTC), OCTOBER),
    (dt.datetime(2024, 11, 10, 12, tzinfo=UTC), NOVEMBER),
)
LATER = ((dt.datetime(2024, 11, 10, 17, 30, tzinfo=UTC), NOVEMBER), (dt.datetime(2024, 11, 12, 12, tzinfo=UTC), NOVEMBER))
SCORES_AT = dt.datetime(2024, 10, 29, 12, tzinfo=UTC)
# Of the simulated recording: small ones, of one endpoint and of three.
KEPT = ("20241027T165500Z-8c63193ce7b8", "20241027T183000Z-7fd0e03903ee")
# Held back as wholes by every version: they are no JSON.
CUT = (dt.datetime(2024, 10, 27, 17, 45, tzinfo=UTC), dt.datetime(2024, 11, 10, 12, 15, tzinfo=UTC))


def answer(request: ApiRequest, at: dt.datetime) -> bytes:
    return MARKET.answer(request, at).body


def odds(polls: tuple[tuple[dt.datetime, tuple[str, str]], ...]) -> dict[str, bytes]:
    asked = {"regions": "us", "markets": "h2h,spreads,totals", "oddsFormat": "decimal"}
    return {
        f"odds/{compact(at)}.json": answer(
            ApiRequest.of("odds", sport=NFL, params={**asked, "commenceTimeFrom": since, "commenceTimeTo": until}), at
        )
        for at, (since, until) in polls
    }


def scores(at: dt.datetime) -> bytes:
    """Of games that are over alone: of others too would keep October from being archived."""
    events = json.loads(answer(ApiRequest.of("scores", sport=NFL, params={"daysFrom": "3"}), at))
    return json.dumps([event for event in events if event["completed"]]).encode()


def files(folder: Path, bodies: dict[str, bytes]) -> Path:
    for name, body in bodies.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def url(warehouse: Warehouse) -> str:
    """Its address as its owner, as that release read it: settings of sessions are its own."""
    password = warehouse.password(Role.OWNER)
    words = {
        **{"host": warehouse.host, "port": warehouse.port, "dbname": warehouse.dbname, "user": warehouse.owner},
        **{"password": password.reveal() if password else "", **dict(warehouse.parameters)},
    }
    return psycopg.conninfo.make_conninfo("", **{name: value for name, value in words.items() if value})


@dataclass(frozen=True, slots=True)
class Left:
    """What the release left.

    Attributes:
        warehouse: with October archived.
        recording: its batches, some of October.
        archive: October's recording is in it.
        simulated: a recording of the simulated market, two batches, with their snapshots.
        code: the release.
    """

    warehouse: Warehouse
    recording: Path
    archive: Path
    simulated: Path
    code: Installed


@pytest.fixture(scope="module")
def databases(server: Server, prepared_template: Warehouse, clone_names: Iterator[str]) -> Databases:
    return databases_of(server, prepared_template, clone_names)


@pytest.fixture(scope="module")
def left(
    server: Server, clone_names: Iterator[str], released: Installed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("left")
    # roles of its own: they belong to the server, and the release may have given others their passwords
    made = replace(server.create_database(next(clone_names)), role_prefix=f"{ROLE_PREFIX}left_")
    try:
        environment = {
            "SPORTS_MARKET_DATABASE_URL": url(made),
            "SPORTS_MARKET_ROLE_PREFIX": made.role_prefix,
            "SPORTS_MARKET_STATE_DIR": str(folder / "state"),
        }
        code = replace(released, environment=environment)
        answers = {
            **odds(POLLS),
            f"scores/{compact(SCORES_AT)}.json": scores(SCORES_AT),
            **{f"odds/{compact(at)}.json": b'[{"id": "cut' for at in CUT},
        }
        recording, archive, simulated = folder / "recording", folder / "archive", folder / "simulated"
        code.run("import", str(files(folder / "answers", answers)), "--out", str(recording), "--sport", NFL)
        code.run("db", "bootstrap")
        loaded = code.run("load", str(recording), "--json")
        assert (loaded["published"], loaded["quarantined"], loaded["withheld"]) == (len(answers) - 1, len(CUT), 0)
        archived = code.run("archive", "--before", "2024-11", "--out", str(archive), "--json")
        assert [month["recording"] for month in archived["months"]] == [str(archive / "2024-10")]
        code.run("simulate", "--out", str(simulated))
        for batch_id in set(Recording.open(simulated).batch_ids) - set(KEPT):
            shutil.rmtree(simulated / "batches" / batch_id)
        assert code.run("replay", str(simulated), "--update", "--json")["proven"] == 2
        yield Left(made, recording, archive, simulated, code)
    finally:
        server.drop_database(made)
        with server.home.connect_unchecked(Role.OWNER) as connection:
            for role in PIPELINE_ROLES:
                connection.execute(f'drop role if exists "{made.user(role)}"'.encode())


Ours = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def ours(
    left: Left, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ours:
    """A command of the code at hand: its exit code, what it says as JSON, and its errors."""
    environment = {
        **left.code.environment,
        "SPORTS_MARKET_STATE_DIR": str(with_parse(tmp_path / "state", project)),
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, Any, str]:
        capsys.readouterr()
        code = cli.main(list(arguments))
        said = capsys.readouterr()
        return code, json.loads(said.out) if "--json" in arguments and said.out else said.out, said.err

    return run


def test_its_warehouse_is_moved_and_goes_on(
    left: Left, ours: Ours, project: Project, databases: Databases, tmp_path: Path
) -> None:
    """As the README has it: bootstrap, bring the archived months back, rebuild, archive them again."""
    later = tmp_path / "later"
    assert ours("import", str(files(tmp_path / "answers", odds(LATER))), "--out", str(later), "--sport", NFL)[0] == 0
    before = gold_of_release(left)

    code, _, errors = ours("db", "bootstrap")
    assert code == 0, errors
    assert ours("db", "bootstrap")[1] == "Nothing to do: the database is up to date.\n"
    has_changed = models_have_changed(left.warehouse, project)
    if has_changed:
        code, _, errors = ours("load", str(later))
        assert code == 3 and "MODELS_CHANGED" in errors and "sports-market rebuild" in errors
    code, _, errors = ours("rebuild")
    assert code == 3 and "MONTHS_ARCHIVED" in errors and "sports-market archive --restore" in errors
    assert gold_of_release(left) == before

    code, restored, errors = ours("archive", "--restore", "--json")
    assert (code, restored["months"], restored["silver"]) == (0, ["2024-10"], not has_changed), errors
    code, _, errors = ours("rebuild")
    assert code == 0, errors
    with databases() as fresh:
        take(fresh, project, list(Recording.open(left.recording).batches()), step=0)
        assert digests(left.warehouse) == digests(fresh)
    code, verified, errors = ours("verify", "--json")
    assert code == 0, (verified, errors)

    # its month is there in full, and what it wrote of it serves again
    code, archived, errors = ours("archive", "--before", "2024-11", "--out", str(left.archive), "--json")
    assert (code, [month["recording"] for month in archived["months"]]) == (0, [str(left.archive / "2024-10")]), errors
    code, loaded, errors = ours("load", str(later), "--json")
    assert (code, loaded["published"], loaded["withheld"]) == (0, len(LATER), 0), errors
    code, loaded, errors = ours("load", str(left.recording), "--json")
    assert (code, loaded["published"]) == (0, 0), errors
    with databases() as fresh:
        take(fresh, project, [*Recording.open(left.recording).batches(), *Recording.open(later).batches()], step=0)
        assert digests(left.warehouse) == digests(fresh)
    code, verified, errors = ours("verify", "--json")
    assert code == 0, (verified, errors)


def gold_of_release(left: Left) -> dict[str, str]:
    """What each table of gold holds, whatever columns the release gave it."""
    with left.warehouse.connect(Role.OWNER) as connection:
        found = recomputed_digests(connection)
    assert not found["gold.price_history"].startswith("sum128:0:")
    return found


def models_have_changed(warehouse: Warehouse, project: Project) -> bool:
    with transformer_session(warehouse) as session:
        return stored_fingerprints(session) != fingerprints(project.manifest())


def test_its_recordings_are_read_and_replayed(
    left: Left, ours: Ours, project: Project, databases: Databases, tmp_path: Path
) -> None:
    here = tmp_path / "recording"
    shutil.copytree(left.recording, here)
    code, replayed, errors = ours("replay", str(here), "--step", "0", "--json")
    assert (code, replayed["failures"]) == (0, []), (replayed["failures"], errors)
    with databases() as loaded:
        take(loaded, project, list(Recording.open(left.recording).batches()), step=0)
        stored = digests(loaded)
    assert {name: replayed["digests"][name] for name in stored} == stored
    # what it archived is what it recorded
    archived, whole = Recording.open(left.archive / "2024-10"), Recording.open(left.recording)
    assert 0 < len(archived) < len(whole)
    for batch in archived.batches():
        assert content_sha256(batch) == content_sha256(whole.read(batch.batch_id))


def test_its_snapshots_are_proven_or_told_to_be_renewed(left: Left, ours: Ours, tmp_path: Path) -> None:
    here = tmp_path / "simulated"
    shutil.copytree(left.simulated, here)
    code, replayed, errors = ours("replay", str(here), "--require-snapshots", "--json")
    assert code in (0, 1, 3)
    if code == 0:
        assert replayed["proven"] == 2
    elif code == 1:
        assert replayed["different"] == 2 and replayed["differences"] and not replayed["failures"]
    else:
        assert "sports-market replay" in errors and "--update" in errors
    # and renewed they are, whatever they were: even of a format that is not read any more
    for snapshot in here.glob("snapshots/*-*.json"):
        snapshot.write_text(re.sub(r'"format": \d+', '"format": 1', snapshot.read_text(), count=1))
    code, _, errors = ours("replay", str(here))
    assert code == 3 and "SNAPSHOT_" in errors and "--update" in errors
    code, _, errors = ours("replay", str(here), "--update")
    assert code == 0, errors
    code, replayed, errors = ours("replay", str(here), "--step", "0", "--require-snapshots", "--json")
    assert (code, replayed["proven"], replayed["covered"]) == (0, 1, 1), errors
