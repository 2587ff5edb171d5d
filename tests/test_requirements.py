"""What is installed is pinned by its hash, for every Python and machine, and comes from wherever the user's pip takes it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
RUNTIME, DEVELOPMENT, SUPERSET = "requirements.txt", "requirements-dev.txt", "deploy/superset/requirements.txt"
ENTRY = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[\w,-]+\])?==(?P<version>[\w.]+)(?: ; [^\\\n]+?)?"
    r"(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)


def text_of(file: str) -> str:
    return (REPOSITORY / file).read_text(encoding="utf-8")


def pins(file: str) -> dict[str, str]:
    """Name → version, of what a file pins itself."""
    return {normal(found["name"]): found["version"] for found in ENTRY.finditer(text_of(file))}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("file", [RUNTIME, DEVELOPMENT, SUPERSET])
def test_nothing_stands_there_but_pins_with_hashes(file: str) -> None:
    rest = [line for line in ENTRY.sub("", text_of(file)).splitlines() if not line.startswith("#")]
    assert rest == ([f"-r {RUNTIME}"] if file == DEVELOPMENT else [])
    assert "://" not in text_of(file)
    assert len(pins(file)) == len(ENTRY.findall(text_of(file))) > 10


def test_what_is_needed_is_pinned_once() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {normal(re.match(r"[\w.-]+", each)[0]) for each in requirements}  # type: ignore[index]

    assert names(project["dependencies"]) <= pins(RUNTIME).keys()
    extras = project["optional-dependencies"]
    # Spark is half a gigabyte, for those alone who have a cluster: it is pinned where it is named
    spark = extras.pop("spark")
    assert names([each for extra in extras.values() for each in extra]) <= pins(RUNTIME).keys() | pins(DEVELOPMENT).keys()
    assert [each for each in spark if not each.startswith("sports-market[")] == ["pyspark==4.0.1"]
    assert pins(RUNTIME).keys() & pins(DEVELOPMENT).keys() == set()


def test_what_superset_needs_is_pinned_once() -> None:
    needs = [line for line in text_of(SUPERSET.replace(".txt", ".in")).splitlines() if not line.startswith("#")]
    assert {normal(re.match(r"[\w-]+", each)[0]) for each in needs} <= pins(SUPERSET).keys()  # type: ignore[index]
    assert {f"{name}=={version}" for name, version in pins(SUPERSET).items()} >= {each for each in needs if "==" in each}


def test_a_release_has_the_hashes_of_all_its_files() -> None:
    """A package in machine code has a file per Python and machine; one of them alone would serve one machine."""
    hashes = {normal(found["name"]): found["hashes"].count("sha256") for found in ENTRY.finditer(text_of(RUNTIME))}
    # Linux on x86_64 and aarch64 with Python 3.11, 3.12 and 3.13
    assert all(hashes[name] >= 6 for name in ("numpy", "pandas", "psycopg-binary", "psycopg2-binary", "grpcio", "orjson"))


def test_each_job_installs_by_hash() -> None:
    installs = re.findall(r"[^\n]*\"?-r\"?,[^\n]*", text_of("noxfile.py"))
    assert len(installs) == 3
    assert all('"--require-hashes"' in line for line in installs)
