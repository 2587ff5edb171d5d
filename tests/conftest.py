"""Fixtures that all tests share: one PostgreSQL cluster per run, a bootstrapped template, a clone of it per test."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest

from pipeline.errors import WarehouseError
from pipeline.settings import Settings
from pipeline.warehouse.connect import PIPELINE_ROLES, Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap, resolve_server
from pipeline.warehouse.embedded import EmbeddedServer

if TYPE_CHECKING:
    from pipeline.transform.program import Program
    from pipeline.transform.project import DbtProject

REPOSITORY: Final = Path(__file__).resolve().parents[1]
RECORDED: Final = Path(os.environ.get("SPORTS_MARKET_RECORDED") or REPOSITORY.parent / "shared" / "recorded")

# Roles and databases of this run alone: the server may be anybody's, and hold a standing warehouse.
ROLE_PREFIX: Final = f"sports_market_test_{os.getpid()}_"
DEFAULT_CONTAINER_MAJOR: Final = "18"

# The tests' data need not survive a power cut; and no plan may depend on whether a vacuum came by in between.
CARELESS: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--postgres",
        default=os.environ.get("SPORTS_MARKET_TEST_POSTGRES") or "embedded",
        metavar="embedded|embedded:MAJOR|container|container:MAJOR|URL",
        help="where the tests' databases are: the embedded server, a container (needs Docker), or any server whose user may"
        " make databases and roles; default: SPORTS_MARKET_TEST_POSTGRES, else embedded",
    )
    parser.addoption(
        "--proofs",
        choices=("all", "some"),
        default="all",
        help="of the slow proofs all, or of each as many cases as it names: none where another job of CI shows the same",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proof(cases=1): slow; with --proofs=some only so many of its cases are run")
    config.addinivalue_line("markers", "recorded: needs the real recordings (SPORTS_MARKET_RECORDED)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not RECORDED.is_dir():
        for item in items:
            if item.get_closest_marker("recorded"):
                item.add_marker(pytest.mark.skip(reason=f"no recordings in {RECORDED} (SPORTS_MARKET_RECORDED)"))
    if config.getoption("--proofs") == "some":
        _leave_out_proofs(config, items)


def _leave_out_proofs(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the cases of proofs beyond the first ones; pytest's summary counts them."""
    seen: Counter[str] = Counter()
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        proof = item.get_closest_marker("proof")
        test = item.nodeid.partition("[")[0]
        seen[test] += 1
        (left_out if proof and seen[test] > proof.kwargs.get("cases", 1) else kept).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def recorded_dir() -> Path:
    """The folder of the real recordings; tests that ask for it are skipped where it is absent."""
    if not RECORDED.is_dir():
        pytest.skip(f"no recordings in {RECORDED} (SPORTS_MARKET_RECORDED)")
    return RECORDED


@pytest.fixture(scope="session")
def cases_dir() -> Path:
    """The folder of small inputs that were once got wrong; tests that ask for it are skipped where it is absent."""
    folder = RECORDED.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"no cases in {folder}")
    return folder


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The one server of this run (of this worker, under xdist)."""
    where: str = request.config.getoption("--postgres")
    kind, _, major = where.partition(":")
    if kind == "embedded":
        yield from _embedded(int(major or 18))
    elif kind == "container":
        yield from _container(major or DEFAULT_CONTAINER_MAJOR)
    else:
        with _server_at(where) as server:
            yield server


def _embedded(major: int) -> Iterator[Server]:
    # A short path, so that the socket fits; pytest's own are long.
    folder = Path(tempfile.mkdtemp(prefix="sm-", dir="/tmp"))
    try:
        embedded = EmbeddedServer.start(folder, postgres_version=major, options=CARELESS, tied=True)
        with Server(embedded.warehouse(ROLE_PREFIX), embedded, "the tests' embedded server") as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _container(major: str) -> Iterator[Server]:
    from testcontainers.community.postgres import PostgresContainer

    careless = " ".join(f"-c {name}={value}" for name, value in CARELESS.items())
    container = PostgresContainer(f"postgres:{major}", username="tester", password="t€st p@ss'word", dbname="tester")
    with container.with_command(f"postgres {careless}") as running:
        host, port = running.get_container_host_ip(), running.get_exposed_port(5432)
        with _server_at(f"postgresql://tester:t%E2%82%ACst%20p%40ss%27word@{host}:{port}/tester") as server:
            yield server


def _server_at(url: str) -> Server:
    return resolve_server(Settings(database_url=url, role_prefix=ROLE_PREFIX), lambda line: None)


@pytest.fixture(scope="session")
def template(server: Server) -> Iterator[Warehouse]:
    """A bootstrapped database. Clone it; never connect to it."""
    made = _create_somewhere(server)
    try:
        bootstrap(made)
        yield made
    finally:
        server.drop_database(made)
    with server.home.connect_unchecked(Role.OWNER) as connection:
        # a fixture that failed half-way left its database, and the roles cannot go before it
        left = connection.execute("select datname from pg_database where starts_with(datname, %s)", [made.dbname]).fetchall()
        for (name,) in left:
            connection.execute(f'drop database "{name}" with (force)'.encode())
        for role in PIPELINE_ROLES:
            connection.execute(f"drop role {made.user(role)}".encode())


def _create_somewhere(server: Server) -> Warehouse:
    """A database of a free name: a run that was killed leaves its own behind."""
    for number in itertools.count():
        try:
            return server.create_database(f"{ROLE_PREFIX}{number}")
        except WarehouseError as error:
            if error.code != "DATABASE_EXISTS":
                raise
    raise AssertionError("unreachable")


@pytest.fixture(scope="session")
def clone_names(template: Warehouse) -> Iterator[str]:
    """Names for databases that belong to this run."""
    return (f"{template.dbname}_{number}" for number in itertools.count())


@pytest.fixture
def empty_database(server: Server, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    """A database of the test's own without any schema; dropped afterwards."""
    made = server.create_database(next(clone_names))
    yield made
    server.drop_database(made)


@pytest.fixture
def warehouse(server: Server, template: Warehouse, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    """A bootstrapped database of the test's own; dropped afterwards."""
    made = server.clone_database(template, next(clone_names))
    yield made
    server.drop_database(made)


class Project:
    """The project as users run it, by its program; and, for what only dbt can tell, dbt: ``manifest()``, ``invoke(…)``.

    Attributes:
        program: an engine.
        dbt: the other one, the judge. Parsed once per run on first use.
    """

    def __init__(self, program: Program, dbt: DbtProject) -> None:
        self.program = program
        self.dbt = dbt

    def run(self, *arguments: Any) -> Any:
        """As the program does."""
        return self.program.run(*arguments)

    def compute_views(self, *arguments: Any) -> Any:
        """As the program does."""
        return self.program.compute_views(*arguments)

    def fingerprints(self) -> Mapping[str, str]:
        """Of the program."""
        return self.program.fingerprints()

    def scopes(self) -> Mapping[str, str]:
        """Of the program."""
        return self.program.scopes()

    def views(self) -> tuple[str, ...]:
        """Of the program."""
        return self.program.views()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dbt, name)


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project. It serves any number of databases, one after another."""
    from pipeline.transform.current_program import load_program
    from pipeline.transform.project import DbtProject

    work_dir = tmp_path_factory.mktemp("dbt")
    return Project(load_program(work_dir, print), DbtProject(work_dir, lambda line: None))


def with_parse(state_dir: Path, project: Project) -> Path:
    """Make a state folder whose processes find what this one has of dbt, as a user's do after the first."""
    state_dir.mkdir(exist_ok=True)
    (state_dir / "dbt").symlink_to(project.work_dir)
    return state_dir


@pytest.fixture
def own_state(tmp_path: Path, project: Project) -> Path:
    """A state folder of the test's own."""
    return with_parse(tmp_path / "state", project)


def address(warehouse: Warehouse) -> str:
    """A libpq address of a database as its owner."""
    password = warehouse.password(Role.OWNER)
    words = {
        "host": warehouse.host,
        "port": warehouse.port,
        "dbname": warehouse.dbname,
        "user": warehouse.owner,
        "password": password.reveal() if password else "",
        **dict(warehouse.parameters),
    }
    return psycopg.conninfo.make_conninfo("", **{name: value for name, value in words.items() if value})


def live_environment(warehouse: Warehouse, state_dir: Path) -> dict[str, str]:
    """What a process that asks the sandbox needs, with a key that is nobody's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SPORTS_MARKET_")} | {
        "PYTHONPATH": str(REPOSITORY),
        "SPORTS_MARKET_API_KEY": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
        "SPORTS_MARKET_STATE_DIR": str(state_dir),
        "SPORTS_MARKET_ROLE_PREFIX": warehouse.role_prefix,
        "SPORTS_MARKET_DATABASE_URL": warehouse.conninfo(Role.OWNER),
    }


@pytest.fixture(scope="session")
def prepared_template(server: Server, template: Warehouse, clone_names: Iterator[str], project: Project) -> Iterator[Warehouse]:
    """A bootstrapped database with silver's and gold's relations and seeds, and no batch. Clone it; never connect to it."""
    from pipeline.transform.apply import prepare

    made = server.clone_database(template, next(clone_names))
    try:
        assert prepare(made, project)
        yield made
    finally:
        server.drop_database(made)


@pytest.fixture
def prepared(server: Server, prepared_template: Warehouse, clone_names: Iterator[str]) -> Iterator[Warehouse]:
    """A database of the test's own, with relations made, ready for ``load_batch`` and ``apply_batches``; dropped afterwards."""
    made = server.clone_database(prepared_template, next(clone_names))
    yield made
    server.drop_database(made)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A temporary folder with a short path, in which a socket fits; pytest's own paths are long."""
    folder = Path(tempfile.mkdtemp(prefix="sm-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def bundled(server: Server, prepared_template: Warehouse, clone_names: Iterator[str], project: Project) -> Iterator[Warehouse]:
    """A database that holds the bundled recording, for tests that only read."""
    from pipeline.clock import SystemClock
    from tests.recordings import fill

    made = server.clone_database(prepared_template, next(clone_names))
    try:
        fill(made, project, SystemClock())
        yield made
    finally:
        server.drop_database(made)
