"""The dbt project as this package runs it: where it is, its packages, its manifest, and one call to run it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import SetupError
from pipeline.resources import resource
from pipeline.transform.engine import NodeResult as NodeResult
from pipeline.transform.engine import Session, Work
from pipeline.transform.fingerprints import fingerprints
from pipeline.transform.program import project_key
from pipeline.warehouse.connect import Role

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

    from pipeline.warehouse.connect import Warehouse

Say = Callable[[str], None]

# No log, no colour, no telemetry, no look-ups of versions, no relation cache: what a batch does not need.
LEAN_FLAGS: Final = (
    "--quiet",
    "--log-level", "none",
    "--log-level-file", "none",
    "--no-use-colors",
    "--no-write-json",
    "--no-version-check",
    "--no-send-anonymous-usage-stats",
    "--no-populate-cache",
)  # fmt: skip


# What dbt is asked for each kind of work. Views, seeds and whole-table tests have no part in a batch.
COMMANDS: Final[Mapping[Work, tuple[str, tuple[str, ...]]]] = {
    "make": ("build", ("--full-refresh", "--exclude", "resource_type:test", "resource_type:unit_test")),
    "batch": ("build", ("--select", "config.materialized:ledgered", "tag:blocking", "--indirect-selection", "empty")),
    "blocking": ("test", ("--select", "tag:blocking")),
    "silver": ("run", ("--select", "tag:silver,config.materialized:ledgered")),
    # seeds have tests too, and no tag
    "whole": ("test", ("--select", "resource_type:test", "--exclude", "tag:blocking")),
}


class DbtProject:
    """The dbt project, parsed once per process; an :class:`pipeline.transform.engine.Engine` that asks dbt itself.

    Args:
        work_dir: a folder of ours for dbt's packages and target.
        say: what the user is told.
    """

    def __init__(self, work_dir: Path, say: Say) -> None:
        self.directory = resource("dbt")
        self.work_dir = work_dir
        self._say = say
        self._manifest: Manifest | None = None

    @property
    def packages_dir(self) -> Path:
        """Where the dbt packages are installed."""
        return self.work_dir / "packages"

    def manifest(self) -> Manifest:
        """The parsed project; parsing costs seconds, so it is done once, and kept in the work folder for the next process.

        Raises:
            SetupError: ``DBT_PROJECT_BROKEN``, with dbt's own text.
        """
        if self._manifest is None:
            from dbt.cli.main import dbtRunner

            install_packages(self.directory, self.packages_dir, self._say)
            with self.environment({}):
                # dbt finds there what an earlier process has parsed, if that was this very project
                target = self.work_dir / f"parsed-{project_key(self.directory)}"
                result = dbtRunner().invoke(["parse", *LEAN_FLAGS, "--partial-parse", *self.places(target)])
            for older in set(self.work_dir.glob("parsed-*")) - {target}:
                shutil.rmtree(older, ignore_errors=True)
            hand_on_interrupt(result)
            if not result.success or result.result is None:
                raise SetupError(
                    "DBT_PROJECT_BROKEN", f"dbt cannot parse {self.directory}: {result.exception}", "Mend the project."
                )
            self._manifest = result.result  # type: ignore[assignment]
        assert self._manifest is not None
        return self._manifest

    def manifest_json(self) -> Mapping[str, Any]:
        """The parsed project as dbt writes it down; kept in the work folder for as long as no file of the project changes.

        Reading what is kept costs milliseconds and imports nothing of dbt.

        Raises:
            SetupError: ``DBT_PROJECT_BROKEN``.
        """
        kept = self.work_dir / f"manifest-{project_key(self.directory)}.json"
        if not kept.is_file():
            document = self.manifest().writable_manifest().to_dict(omit_none=False)
            self.work_dir.mkdir(parents=True, exist_ok=True)
            temporary = kept.with_name(f"{kept.name}.{os.getpid()}")
            temporary.write_text(json.dumps(document, default=str), encoding="utf-8")
            temporary.replace(kept)
        found: dict[str, Any] = json.loads(kept.read_bytes())
        return found

    def fingerprints(self) -> Mapping[str, str]:
        """Name of each model and seed → hash of the code that computes its rows."""
        return fingerprints(self.manifest())

    def scopes(self) -> Mapping[str, str]:
        """``schema.table`` of each stored model → the condition that picks the rows a run may change."""
        return {
            f"{node.schema}.{node.alias}": str(node.config.get("scope"))
            for node in self.manifest().nodes.values()
            if str(node.resource_type) == "model" and node.config.materialized == "ledgered"
        }

    def views(self) -> tuple[str, ...]:
        """``schema.view`` of each view."""
        return tuple(
            f"{node.schema}.{node.alias}"
            for node in self.manifest().nodes.values()
            if str(node.resource_type) == "model" and node.config.materialized == "view"
        )

    def compute_views(self, session: Session) -> Mapping[str, str]:
        """None: dbt's tests read the views themselves."""
        return {}

    def run(
        self, session: Session, warehouse: Warehouse, work: Work, computed: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[NodeResult, ...]:
        """Do one kind of work on a session, in its transaction."""
        self.manifest()
        # dbt's import takes seconds
        from pipeline.transform.one_transaction import one_transaction

        command, arguments = COMMANDS[work]
        with one_transaction(session):
            return self.invoke(command, arguments, warehouse.dbt_env(Role.TRANSFORMER))

    def invoke(self, command: str, arguments: Iterable[str], environment: Mapping[str, str]) -> tuple[NodeResult, ...]:
        """Run one dbt command in this process.

        Args:
            command: ``build``, ``run``, ``test``, ``seed`` or ``compile``.
            arguments: further arguments, such as a selection.
            environment: the profile's variables, from ``Warehouse.dbt_env``.

        Raises:
            SetupError: ``DBT_FAILED`` where dbt did not come to run nodes at all.
        """
        from dbt.cli.main import dbtRunner

        manifest = self.manifest()
        _forget_earlier_runs()
        _make_fresh(manifest, environment["SPORTS_MARKET_DBT_DBNAME"])
        with self.environment(environment):
            result = dbtRunner(manifest=manifest).invoke(
                [command, *LEAN_FLAGS, "--no-partial-parse", *self.places(), "--threads", "1", *arguments]
            )
        hand_on_interrupt(result)
        if result.result is None:
            raise SetupError(
                "DBT_FAILED", f"dbt {command} did not run: {result.exception}", "See the message; the warehouse is unchanged."
            )
        return tuple(_node_results(result.result.results))  # type: ignore[union-attr]

    def places(self, target: Path | None = None) -> tuple[str, ...]:
        """The arguments that tell dbt where the project is, and where to write: ``target``, else a folder of ours."""
        directory = str(self.directory)
        return (
            "--project-dir",
            directory,
            "--profiles-dir",
            directory,
            "--target-path",
            str(target or self.work_dir / "target"),
        )

    @contextmanager
    def environment(self, extra: Mapping[str, str]) -> Iterator[None]:
        """The environment in which dbt finds its packages, and what is given; as it was afterwards."""
        wanted = {
            "SPORTS_MARKET_DBT_PACKAGES": str(self.packages_dir),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            "DO_NOT_TRACK": "1",
            **extra,
        }
        before = {name: os.environ.get(name) for name in wanted}
        os.environ.update(wanted)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def hand_on_interrupt(result: dbtRunnerResult) -> None:
    """Dbt keeps what ended a command as a value; Ctrl-C is no fault of the project's.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    if isinstance(result.exception, KeyboardInterrupt):
        raise result.exception


def _forget_earlier_runs() -> None:
    """Each new adapter of dbt lengthens a list that all of them share, and then reads it: run n would cost n times as much."""
    from dbt.adapters.base import impl

    seen: set[str] = set()
    flags: list[Any] = impl.DEFAULT_BASE_BEHAVIOR_FLAGS
    flags[:] = [flag for flag in flags if not (flag["name"] in seen or seen.add(flag["name"]))]  # type: ignore[func-returns-value]


def _make_fresh(manifest: Manifest, dbname: str) -> None:
    """Let a manifest serve another run, on any database.

    dbt writes the database's name into each node as it parses, and marks nodes as compiled as it runs: without this, a node
    would go into the second run as the first one left it.
    """
    for item in (*manifest.nodes.values(), *manifest.sources.values()):
        node: Any = item
        if node.database != dbname:
            if node.relation_name:
                node.relation_name = node.relation_name.replace(f'"{node.database}"', f'"{dbname}"', 1)
            node.database = dbname
        if str(node.resource_type) in ("model", "test"):
            node.extra_ctes_injected = False
            node.extra_ctes = []
            node.compiled = False
            node.compiled_code = None


def _node_results(results: Iterable[Any]) -> Iterator[NodeResult]:
    for item in results:
        yield NodeResult(
            unique_id=item.node.unique_id,
            name=item.node.name,
            resource_type=str(item.node.resource_type),
            status=str(item.status),
            failures=item.failures,
            message=item.message,
            sql=getattr(item.node, "compiled_code", None),
        )


def install_packages(project: Path, packages_dir: Path, say: Say) -> None:
    """Make sure that dbt_utils is there: what ``dbt deps`` installed, else our stand-in, and say which.

    The hub is asked only where the user did it: ``dbt deps`` in a checkout fills ``dbt/dbt_packages``, which is used then.
    """
    installed = packages_dir / "dbt_utils"
    from_hub = project / "dbt_packages" / "dbt_utils"
    source = from_hub if (from_hub / "dbt_project.yml").is_file() else project / "stand_in" / "dbt_utils"
    if source != from_hub:
        say("dbt_utils: the project's stand-in (run `dbt deps` in dbt/ to use the package itself)")
    if _contents(installed) == _contents(source):  # another process may be reading it
        return
    temporary = packages_dir.with_name(f"{packages_dir.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(source, temporary / "dbt_utils")
    packages_dir.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(installed, ignore_errors=True)
    try:
        (temporary / "dbt_utils").rename(installed)
    except OSError:
        if not installed.is_dir():  # else another process was faster
            raise
    shutil.rmtree(temporary, ignore_errors=True)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}
