"""What steps work with, configured from the environment (``pipeline.settings``). No secret is ever a field."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import dagster as dg
import requests
from pydantic import PrivateAttr

from pipeline.clock import Clock, SystemClock
from pipeline.collect.plan import MarketPlan, load_plan
from pipeline.errors import SportsMarketError
from pipeline.odds_api.client import open_session
from pipeline.odds_api.simulator import SimulatedMarket, SimulatorAdapter
from pipeline.recording.shelf import Shelf
from pipeline.resources import resource
from pipeline.settings import Settings
from pipeline.transform.apply import prepare
from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Connection, Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap, resolve_server

LIVE_RECORDING: Final = "live"
# One at a time where it costs credits, and where batches are published; the lock in the warehouse holds without them.
API_POOL: Final = "api"
WAREHOUSE_POOL: Final = "warehouse"


def settings() -> Settings:
    """The environment's, read anew: a code location outlives a change of it."""
    return Settings.from_env(os.environ)


def project_of(given: Settings) -> DbtProject:
    """The dbt project, parsed at most once per process."""
    return _project(given.state_dir.absolute() / "dbt")


@functools.cache
def _project(work_dir: Path) -> DbtProject:
    return DbtProject(work_dir, lambda line: None)


def live_folder(given: Settings) -> Path:
    """The recording that live batches are collected into."""
    return given.state_dir.absolute() / LIVE_RECORDING


def shelf_of(given: Settings) -> Shelf:
    """The recordings that are taken in, and what was collected live."""
    return Shelf((given.recordings_dir or resource("fixtures/recordings"), live_folder(given)))


class Workshop(dg.ConfigurableResource[Any]):
    """The warehouse, the dbt project and the recordings, opened on first use and let go at the end of the run.

    Attributes:
        dbt: ``in_process`` publishes batch by batch, each in one transaction; ``cli`` runs dagster-dbt's command line on all
            batches of a run together, which readers may see half-way.
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

    @contextlib.contextmanager
    def opened(self) -> Iterator[Opened]:
        """The warehouse with silver's and gold's relations, and a session that loads."""
        warehouse = self.warehouse
        prepare(warehouse, self.project)
        with warehouse.connect(Role.INGESTER) as ingester:
            yield Opened(warehouse, ingester)


@dataclass(frozen=True, slots=True)
class Opened:
    """What a batch is taken in with."""

    warehouse: Warehouse
    ingester: Connection


class Api(dg.ConfigurableResource[Any]):
    """What live batches are asked of. Real calls are not made yet: the simulated market answers.

    Attributes:
        plan_file: what is asked (YAML); empty = a small plan of two leagues.
        seed: of the simulated market.
    """

    plan_file: str = ""
    seed: int = 7

    @property
    def plan(self) -> MarketPlan:
        """What is asked."""
        if self.plan_file:
            return load_plan(self.plan_file)
        return MarketPlan(
            endpoints=("sports", "events", "odds", "scores"),
            sports=("americanfootball_nfl", "icehockey_nhl"),
            markets=("h2h", "spreads", "totals"),
            regions=("us",),
        )

    def session(self, clock: Clock) -> requests.Session:
        """A session whose requests are answered; the caller closes it."""
        return open_session(SimulatorAdapter(SimulatedMarket(self.seed), clock))


@contextlib.contextmanager
def said() -> Iterator[None]:
    """An error of the house ends the step with its text; it is tried again only where that may help."""
    try:
        yield
    except SportsMarketError as error:
        raise dg.Failure(
            f"{error.code}: {error.message}",
            {"code": error.code, "next": error.next_step},
            allow_retries=error.code in ("DATABASE_UNREACHABLE", "WAREHOUSE_BUSY"),
        ) from error


ALL: Final[Mapping[str, Any]] = {"workshop": Workshop(), "api": Api()}
