"""The order of the house: data enters at the top and leaves at the bottom, and a folder imports only what stands below it."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "pipeline"

# From the top down. Folders and modules in one row do not import each other.
HOUSE = (
    ("cli",),
    ("orchestration",),
    ("report",),
    ("compute",),
    ("replay",),
    ("export",),
    ("runs",),
    ("transform",),
    ("bronze",),
    ("collect",),
    ("contracts",),
    ("recording",),
    ("market",),
    ("odds_api",),
    ("warehouse",),
    ("settings",),
    ("resources", "licences"),
    ("secret", "clock", "errors", "printable", "texts", "whole_files"),
)
ROW = {part: row for row, parts in enumerate(HOUSE) for part in parts}
# The bootstrap is a package of its own beside the house: it stands on the connections, and databases are made with it.
BOOTSTRAP = "init_db"
MAY_USE_BOOTSTRAP = {("warehouse", "database")}


def imports(source: str, package: str) -> Iterator[str]:
    """The modules of ours that a module names, wherever it imports them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{package}: a relative import hides where it leads"
            module = node.module or ""
            # `from pipeline import cli` names a part too
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "pipeline" else [module]
        else:
            continue
        yield from (name for name in names if name.partition(".")[0] in ("pipeline", BOOTSTRAP))


def part_of(module: str) -> str:
    """``replay`` of ``pipeline.replay.run``; the package itself (its version) is at the very bottom."""
    return module.split(".")[1] if "." in module else "errors"


def faults(module: str, source: str) -> list[str]:
    """What a module of the package imports from beside or above it."""
    own = part_of(module)
    found = []
    for name in imports(source, module):
        if name.partition(".")[0] == BOOTSTRAP:
            if tuple(module.split(".")[1:]) not in MAY_USE_BOOTSTRAP:
                found.append(f"{module} imports {name}")
        elif "." in name and part_of(name) in ROW and part_of(name) != own and ROW[part_of(name)] <= ROW[own]:
            found.append(f"{module} imports {name}")
    return found


def modules() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if "_data" not in path.parts:
            name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
            yield name, path.read_text(encoding="utf-8")


def test_every_part_has_its_place() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path.is_dir() and any(path.glob("*.py")))}
    assert parts - {"__init__"} - ROW.keys() == set()


def test_modules_have_unique_names() -> None:
    """A name says which of two alike things a module is about, without its folder."""
    names = Counter(
        module.rpartition(".")[2] for module, _ in modules() if not (PACKAGE.parent / Path(*module.split("."))).is_dir()
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_the_docs_tell_the_same_order() -> None:
    """All but the small modules at the bottom."""
    text = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    told = re.findall(r"`(\w+)`", text.partition("`tests/test_house.py` says so:")[2].partition(".")[0])
    order = [part for parts in HOUSE for part in parts]
    assert told == order[: order.index("settings") + 1]


def test_nothing_imports_what_stands_beside_or_above_it() -> None:
    found = [fault for module, source in modules() if module != "pipeline" for fault in faults(module, source)]
    assert found == []


def circles(sources: Mapping[str, str]) -> list[list[str]]:
    """Modules that import each other round about, also where one does so late: the first circle that is found."""
    below = {
        module: {
            f"{name}.{alias}" if f"{name}.{alias}" in sources else name
            for name, alias in imported(source)
            if f"{name}.{alias}" in sources or name in sources
        }
        for module, source in sources.items()
    }
    try:
        tuple(TopologicalSorter(below).static_order())
    except CycleError as error:
        return [error.args[1]]
    return []


def imported(source: str) -> Iterator[tuple[str, str]]:
    """Each module that is imported from, and what of it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)


def test_no_modules_import_each_other_round_about() -> None:
    assert circles(dict(modules())) == []


def test_a_circle_is_found() -> None:
    late = "def f():\n    from pipeline.a import b"
    assert circles(
        {"pipeline.a.b": "from pipeline.a.c import x", "pipeline.a.c": "from pipeline.a.d import x", "pipeline.a.d": late}
    )
    assert not circles(
        {"pipeline.a.b": "from pipeline.a.c import x", "pipeline.a.c": "import pipeline.a.d", "pipeline.a.d": ""}
    )


def test_the_bootstrap_stands_on_connections_and_settings_only() -> None:
    allowed = ("pipeline.errors", "pipeline.settings", "pipeline.warehouse.connect", BOOTSTRAP)
    for path in sorted((REPOSITORY / BOOTSTRAP).glob("*.py")):
        extra = ("pipeline.warehouse.database",) if path.name == "__main__.py" else ()
        names = [name for name in imports(path.read_text(encoding="utf-8"), path.name) if not name.startswith(allowed + extra)]
        assert names == [], path


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pipeline.warehouse.connect", "from pipeline.replay.run import replay"),
        ("pipeline.recording.store", "import pipeline.collect.plan"),
        ("pipeline.runs.load", "from pipeline.replay.determinism import compare_with_rebuild"),
        ("pipeline.collect.plan", "def f():\n    from pipeline.bronze import load"),
        ("pipeline.settings", "from pipeline import resources, warehouse"),
        ("pipeline.clock", "from pipeline.errors import UsageError"),
        ("pipeline.odds_api.client", "from pipeline.market.simulator import SimulatedMarket"),
        ("pipeline.recording.store", "import init_db"),
    ],
)
def test_an_import_upward_or_sideways_is_found(module: str, source: str) -> None:
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("pipeline.replay.run", "from pipeline.bronze.batch_load import load_batch\nimport pipeline.clock"),
        ("pipeline.replay.run", "from pipeline.replay.snapshots import Snapshot"),
        ("pipeline.replay.run", "from pipeline.runs.load import failure_text"),
        ("pipeline.recording.store", "import pipeline\nfrom pipeline import errors"),
        ("pipeline.warehouse.database", "import init_db"),
        ("pipeline.errors", "import json"),
    ],
)
def test_an_import_downward_passes(module: str, source: str) -> None:
    assert faults(module, source) == []


def test_a_relative_import_is_refused() -> None:
    with pytest.raises(AssertionError):
        faults("pipeline.replay.run", "from . import load")


def test_init_files_are_where_they_belong() -> None:
    """dbt would take an ``__init__.py`` for nothing; pytest would take one among the tests for a package."""
    assert list((REPOSITORY / "dbt").rglob("__init__.py")) == []
    assert list((REPOSITORY / "tests").rglob("__init__.py")) == []


def test_test_files_have_unique_names() -> None:
    names = [path.name for path in (REPOSITORY / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
