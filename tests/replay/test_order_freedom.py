"""Gold depends on the set of admitted answers alone: however they came, the same digests."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable

import psycopg2
import pytest

from pipeline.bronze.batch_load import load_batch
from pipeline.bronze.verdicts import retry, withdraw
from pipeline.recording.model import Batch
from pipeline.transform.apply import apply_batches, prepare, rebuild
from pipeline.transform.project import COMMANDS
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import recomputed_digests
from tests.conftest import Project
from tests.replay import wild
from tests.replay.admission import answers_of, decide, ids_of, quarantining, take_back
from tests.replay.model import Gold, is_admitted
from tests.replay.support import CLOCK, Databases, assert_model_agrees, differences, digests, read_gold, take
from tests.replay.transcript import Transcript

# drawn so that batches interleave, moments share times, formats mix, and some answers fail
BATCHES = wild.market_of(96)
Order = Callable[[list[Batch]], list[Batch]]


@pytest.fixture(scope="module")
def golden(databases: Databases, project: Project, transcript: Transcript) -> dict[str, str]:
    """The digests after all batches, one after the other, in recorded order."""
    with databases() as warehouse, transcript.on_small_markets():
        take(warehouse, project, BATCHES)
        assert_model_agrees(warehouse, Gold(BATCHES))
        return digests(warehouse)


def shuffled(seed: int) -> Order:
    def order(batches: list[Batch]) -> list[Batch]:
        return random.Random(seed).sample(batches, len(batches))

    return order


WAYS: dict[str, tuple[Order, int]] = {
    "reversed": (lambda batches: batches[::-1], 1),
    "shuffled": (shuffled(1), 1),
    "all at once": (lambda batches: batches, 0),
    "by threes": (lambda batches: batches, 3),
    "by threes, shuffled": (shuffled(2), 3),
    "each twice": (lambda batches: [batch for batch in batches for _ in range(2)], 1),
    "all twice": (lambda batches: batches + batches[::-1], 2),
}


def test_the_market_is_wild_enough() -> None:
    exchanges = [exchange for batch in BATCHES for exchange in batch.exchanges]
    times = [exchange.captured_at for exchange in exchanges]
    assert times != sorted(times), "no batch reaches into another"
    assert len({exchange.request.param("oddsFormat") for exchange in exchanges}) > 2
    assert {"odds", "events"} <= {exchange.request.endpoint for exchange in exchanges}
    assert len(Gold(BATCHES).price_history()) > 100


@pytest.mark.parametrize("way", WAYS)
def test_the_order_and_the_steps_do_not_matter(
    way: str, golden: dict[str, str], prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    order, step = WAYS[way]
    with transcript.on_small_markets():
        take(prepared, project, order(list(BATCHES)), step=step)
    assert digests(prepared) == golden


def test_through_dbt_it_is_the_same(golden: dict[str, str], prepared: Warehouse, project: Project) -> None:
    take(prepared, project, shuffled(3)(list(BATCHES)), step=2)
    assert digests(prepared) == golden


# --- admission ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", range(3))
def test_quarantined_and_released_later(
    first: int, golden: dict[str, str], prepared: Warehouse, project: Project, transcript: Transcript
) -> None:
    late = answers_of(BATCHES, 3, first)
    ids = {id(exchange) for _, exchange in late}
    with transcript.on_small_markets():
        with quarantining(late):
            take(prepared, project, BATCHES)
        assert_model_agrees(prepared, Gold(BATCHES, lambda exchange: is_admitted(exchange) and id(exchange) not in ids))
        decide(prepared, project, retry, late[::-1])
    assert digests(prepared) == golden


@pytest.mark.parametrize("first", range(3))
def test_withdrawn_is_as_if_it_had_never_come(
    first: int, golden: dict[str, str], databases: Databases, project: Project, transcript: Transcript
) -> None:
    gone = answers_of(BATCHES, 3, first)
    failed = [
        wild.without(batch, frozenset(exchange.place for holder, exchange in gone if holder is batch)) for batch in BATCHES
    ]
    with transcript.on_small_markets(), databases() as warehouse, databases() as never:
        take(warehouse, project, BATCHES)
        decide(warehouse, project, take_back, gone)
        take(never, project, failed)
        assert not differences(read_gold(warehouse), read_gold(never))
        assert digests(warehouse) == digests(never)
        # and back
        decide(warehouse, project, retry, gone[::-1])
        assert digests(warehouse) == golden


def test_all_withdrawn_leaves_nothing(prepared: Warehouse, project: Project, transcript: Transcript) -> None:
    with transcript.on_small_markets():
        take(prepared, project, BATCHES, step=0)
        with prepared.connect(Role.INGESTER) as ingester:
            touched = {withdraw(ingester, answer, "all wrong", CLOCK).batch_id for answer in ids_of(answers_of(BATCHES, 1))}
        assert apply_batches(prepared, project, sorted(touched), CLOCK).published
    assert not any(read_gold(prepared).values())
    with prepared.connect(Role.READER) as reader:
        for table in ("quotes", "coverage", "event_sightings", "bookmaker_sightings", "sport_sightings", "scores"):
            assert reader.execute(f"select count(*) from silver.{table}".encode()).fetchone() == (0,)


# --- from nothing ---------------------------------------------------------------------------------------------------------


def test_a_rebuild_is_the_same(golden: dict[str, str], prepared: Warehouse, project: Project, transcript: Transcript) -> None:
    withdrawn = answers_of(BATCHES, 4)
    with transcript.on_small_markets():
        take(prepared, project, BATCHES, step=3)
        decide(prepared, project, take_back, withdrawn)
    before = digests(prepared)
    rebuild(prepared, project)
    assert digests(prepared) == before != golden
    # what comes after a rebuild fits on to it
    with transcript.on_small_markets():
        decide(prepared, project, retry, withdrawn)
    assert digests(prepared) == golden
    assert not prepare(prepared, project)


def plain_dbt(warehouse: Warehouse, project: Project, *arguments: str) -> None:
    """dbt as anybody runs it: its own process, its own connections, a commit per model; it parses once, as anybody's does."""
    project.manifest()  # its packages are installed then
    environment = {
        **os.environ,
        **warehouse.dbt_env(Role.TRANSFORMER),
        "SPORTS_MARKET_DBT_PACKAGES": str(project.packages_dir),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    command = [
        sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments, "--project-dir", str(project.directory),
        "--profiles-dir", str(project.directory), "--target-path", str(project.work_dir / "plain"),
        "--log-path", str(project.work_dir / "plain_logs"),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def rows_digests(warehouse: Warehouse) -> dict[str, str]:
    """From all rows: plain dbt keeps no digests."""
    session = psycopg2.connect(warehouse.conninfo(Role.TRANSFORMER))
    try:
        return recomputed_digests(session)
    finally:
        session.close()


def test_plain_dbt_is_the_judge(golden: dict[str, str], prepared: Warehouse, project: Project) -> None:
    """A build without our transaction makes the same rows: first what is pending, then everything anew."""
    half = len(BATCHES) // 2
    take(prepared, project, BATCHES[half:], step=0)
    with prepared.connect(Role.INGESTER) as ingester:
        for batch in BATCHES[:half]:
            load_batch(ingester, batch, CLOCK)
    # its own connection, and a commit per model
    results = project.invoke(*COMMANDS["batch"], prepared.dbt_env(Role.TRANSFORMER))
    assert all(result.ok for result in results), [(r.name, r.message) for r in results if not r.ok]
    assert rows_digests(prepared) == golden
    plain_dbt(prepared, project, "run-operation", "settle_run")
    with prepared.connect(Role.TRANSFORMER) as connection:
        assert connection.execute("select count(*) from ops.ledger where admitted <> applied").fetchone() == (0,)
    plain_dbt(prepared, project, "build", "--full-refresh", "--exclude", "resource_type:unit_test")
    assert rows_digests(prepared) == golden
