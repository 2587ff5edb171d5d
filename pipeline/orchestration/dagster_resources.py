"""What steps work with, configured from the environment (``pipeline.settings``). No secret is ever a field."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import dagster as dg
from dagster_dbt import DbtCliResource
from pydantic import Field, PrivateAttr

from pipeline.clock import Clock, SystemClock
from pipeline.collect.plan import MarketPlan
from pipeline.collect.plan_file import PlanFile, load_plan_file
from pipeline.errors import SportsMarketError, UsageError
from pipeline.market.simulator import SimulatedMarket, SimulatorAdapter
from pipeline.odds_api.client import OddsApiClient, open_session
from pipeline.odds_api.credits import Budget
from pipeline.odds_api.retry import Pace
from pipeline.orchestration.at_hand import shelf_of
from pipeline.recording.adapters import LiveAdapter
from pipeline.recording.shelf import Shelf
from pipeline.replay.equivalence import anew_in_process
from pipeline.settings import Settings, check_api_key
from pipeline.transform.apply import prepare
from pipeline.transform.current_program import load_program
from pipeline.transform.engine import Engine
from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap, resolve_server

# One at a time where it costs credits, and where batches are published; the lock in the warehouse holds without them.
API_POOL: Final = "api"
WAREHOUSE_POOL: Final = "warehouse"
# A lake is computed by all that a cluster has.
CLUSTER_POOL: Final = "cluster"
# As anybody runs dbt by hand: every model anew, and every test.
PLAIN_BUILD: Final = ("build", "--full-refresh", "--exclude", "resource_type:unit_test", "--no-partial-parse")
# What live batches ask where no plan is named.
SMALL_PLAN: Final = PlanFile(
    "small",
    MarketPlan(
        endpoints=("sports", "events", "odds", "scores"),
        sports=("americanfootball_nfl", "icehockey_nhl"),
        markets=("h2h", "spreads", "totals"),
        regions=("us",),
    ),
    dt.timedelta(minutes=10),
    Budget(),
)


def settings() -> Settings:
    """The environment's, read anew: a code location outlives a change of it."""
    return Settings.from_env(os.environ)


def project_of(given: Settings) -> DbtProject:
    """The dbt project, parsed at most once per process."""
    return _project(given.state_dir.absolute() / "dbt")


@functools.cache
def _project(work_dir: Path) -> DbtProject:
    return DbtProject(work_dir, lambda line: None)


def engine_of(given: Settings) -> Engine:
    """The program that dbt rendered, read at most once per process."""
    return _program(given.state_dir.absolute() / "dbt")


@functools.cache
def _program(work_dir: Path) -> Engine:
    return load_program(work_dir, lambda line: None)


class Workshop(dg.ConfigurableResource[Any]):
    """The warehouse, the dbt project and the recordings, opened on first use and let go at the end of the run.

    Attributes:
        dbt: what computes the full refresh that the warehouse is compared with. ``in_process``: our one transaction; ``cli``:
            plain dbt, by dagster-dbt's resource, in a process of its own and with a commit per model, as nobody reads the
            database in which it does. Batches are always published in process: only there they are one transaction.
    """

    dbt: Literal["in_process", "cli"] = "in_process"
    _stack: contextlib.ExitStack = PrivateAttr(default_factory=contextlib.ExitStack)
    _opened: dict[str, Any] = PrivateAttr(default_factory=dict)

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator[Workshop]:
        """Let everything go afterwards."""
        with self._stack:
            yield self

    @property
    def clock(self) -> Clock:
        """Dates what is not data."""
        return SystemClock()

    @property
    def settings(self) -> Settings:
        """The environment's."""
        return settings()

    @property
    def project(self) -> DbtProject:
        """The dbt project."""
        return project_of(self.settings)

    @property
    def engine(self) -> Engine:
        """What runs the project's SQL: the program that dbt rendered."""
        return engine_of(self.settings)

    @property
    def shelf(self) -> Shelf:
        """The recordings, as they are now."""
        return shelf_of(self.settings)

    @property
    def server(self) -> Server:
        """The server of the warehouse."""
        if "server" not in self._opened:
            self._opened["server"] = self._stack.enter_context(resolve_server(self.settings, lambda line: None))
        server: Server = self._opened["server"]
        return server

    @property
    def warehouse(self) -> Warehouse:
        """The standing warehouse, bootstrapped."""
        if "warehouse" not in self._opened:
            warehouse = self.server.warehouse()
            bootstrap(warehouse)
            self._opened["warehouse"] = warehouse
        found: Warehouse = self._opened["warehouse"]
        return found

    def make_anew(self, warehouse: Warehouse, engine: Engine) -> None:
        """Compute silver and gold of a database from its bronze, by what :attr:`dbt` says; see ``compare_full_refresh``."""
        if self.dbt == "in_process":
            anew_in_process(warehouse, engine)
            return
        project = self.project
        project.manifest()  # dbt's packages are there from now on
        directory = str(project.directory)
        with project.environment(warehouse.dbt_env(Role.TRANSFORMER)):
            command = DbtCliResource(
                project_dir=directory, profiles_dir=directory, dbt_executable=str(Path(sys.executable).with_name("dbt"))
            )
            command.cli(PLAIN_BUILD, manifest=project.manifest_json(), target_path=project.work_dir / "cli").wait()

    @contextlib.contextmanager
    def opened(self) -> Iterator[Opened]:
        """The warehouse with silver's and gold's relations, and a session that loads."""
        warehouse = self.warehouse
        prepare(warehouse, self.engine)
        with warehouse.connect(Role.INGESTER) as ingester:
            yield Opened(warehouse, ingester)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a batch is taken in with."""

    warehouse: Warehouse
    ingester: Connection


class Api(dg.ConfigurableResource[Any]):
    """What live batches are asked of: the API, or a sandbox, with the key that the environment gives.

    Attributes:
        simulated: let the simulated market answer where there is no key, as ``SPORTS_MARKET_SIMULATED=1`` does.
        seed: of the simulated market.
    """

    simulated: bool = False
    seed: int = 7

    @property
    def file(self) -> PlanFile:
        """What is asked, how often, and what it may cost."""
        file = load_plan_file(given) if (given := settings().plan_file) else SMALL_PLAN
        return file if file.every is not None else dataclasses.replace(file, every=SMALL_PLAN.every)

    @property
    def proven_plan(self) -> str | None:
        """The id of the live plan, where that asks for a proof of its batches before they are committed; it is read anew."""
        file = self.file
        return file.plan.identity.plan_id if file.prove else None

    @property
    def source(self) -> str:
        """Who answers: ``live`` or ``simulated``."""
        given = settings()
        return "simulated" if given.api_key is None and (self.simulated or given.simulated) else "live"

    @contextlib.contextmanager
    def client(self, clock: Clock) -> Iterator[OddsApiClient]:
        """A client of whoever answers.

        Raises:
            UsageError: ``API_KEY_MISSING``, ``API_KEY_INVALID``.
        """
        given = settings()
        if self.source == "simulated":
            with open_session(SimulatorAdapter(SimulatedMarket(self.seed), clock, says_so=True)) as session:
                yield OddsApiClient(session, clock=clock)
        else:
            key = check_api_key(
                given.api_key, "Set SPORTS_MARKET_API_KEY, or SPORTS_MARKET_SIMULATED=1 for the simulated market."
            )
            with open_session(LiveAdapter(clock)) as session:
                pace = Pace(SystemClock())
                yield OddsApiClient(session, clock=clock, base_url=given.api_base_url, api_key=key, pace=pace)


class Cluster(dg.ConfigurableResource[Any]):
    """The Spark that lakes are computed on. Nothing of Spark is imported before a lake is.

    Attributes:
        master: of Spark; empty = what ``SPORTS_MARKET_SPARK_MASTER`` says.
        conf: settings of Spark, by name.
    """

    master: str = ""
    conf: dict[str, str] = Field(default={})

    @property
    def address(self) -> str:
        """The master's.

        Raises:
            UsageError: ``SPARK_MASTER_MISSING``.
        """
        found = self.master or settings().spark_master
        if not found:
            raise UsageError(
                "SPARK_MASTER_MISSING",
                "No Spark is named to compute on.",
                "Set SPORTS_MARKET_SPARK_MASTER, or `master` of the resource `cluster`, to spark://host:7077 or local[2].",
            )
        return found


@contextlib.contextmanager
def said() -> Iterator[None]:
    """An error of the house ends the step with its text; it is tried again only where that may help."""
    try:
        yield
    except SportsMarketError as error:
        raise dg.Failure(
            f"{error.code}: {error.message}",
            {"code": error.code, "next": error.next_step},
            allow_retries=error.code in ("DATABASE_UNREACHABLE", "WAREHOUSE_BUSY", "SPOOL_BUSY"),
        ) from error


ALL: Final[Mapping[str, Any]] = {"workshop": Workshop(), "api": Api(), "cluster": Cluster()}
