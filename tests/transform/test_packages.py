"""Whichever dbt_utils is installed, the hub's or the stand-in, it behaves as documented."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.transform.project import install_packages
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project

NULL = "_dbt_utils_surrogate_key_null_"

# SQL values of (a, b, c) → how they look as text; None = null.
ROWS: list[tuple[tuple[str, str, str], tuple[str | None, str | None, str | None]]] = [
    (("'x'", "1", "true"), ("x", "1", "true")),
    (("'x'", "null", "true"), ("x", None, "true")),
    (("''", "1", "false"), ("", "1", "false")),
    (("null", "null", "null"), (None, None, None)),
    (("'a-'", "-8", "true"), ("a-", "-8", "true")),
    (("'São Paulo ½'", "2147483647", "false"), ("São Paulo ½", "2147483647", "false")),
]

PROJECT = """
name: conformance
version: "1.0"
config-version: 2
profile: sports_market
packages-install-path: "{packages}"
flags: {{send_anonymous_usage_stats: false}}
"""
SOURCE = """
{{{{ config(materialized='table') }}}}
select v.n, v.a, cast(v.b as integer) as b, cast(v.c as boolean) as c, cast(v.p as numeric(8, 3)) as p
from (values {values}) as v (n, a, b, c, p)
"""
KEYS = """
{{ config(materialized='table') }}
select
    n,
    {{ dbt_utils.generate_surrogate_key(['a']) }} as key_of_one,
    {{ dbt_utils.generate_surrogate_key(['a', 'b', 'c']) }} as key_of_three,
    {{ dbt_utils.generate_surrogate_key(['c', 'b', 'a']) }} as key_of_reversed,
    {{ dbt_utils.generate_surrogate_key(['p', 'cast(b as numeric(12, 2))']) }} as key_of_scaled
from {{ ref('source_rows') }}
"""
PAIRS = """
{{ config(materialized='table') }}
select v.x, v.y
from (values ('a', 1), ('a', 1), ('a', 1), ('a', 2), ('b', 1), ('c', null), ('c', null)) as v (x, y)
"""
TESTS = """
version: 2
models:
  - name: source_rows
    data_tests:
      - dbt_utils.unique_combination_of_columns: {combination_of_columns: [n]}
      - dbt_utils.unique_combination_of_columns: {name: three_are_unique, combination_of_columns: [n, a, b]}
  - name: pairs
    data_tests:
      - dbt_utils.unique_combination_of_columns: {name: pairs_are_unique, combination_of_columns: [x, y]}
"""


@pytest.fixture
def built(project: Project, empty_database: Warehouse, tmp_path: Path) -> Iterator[tuple[dict[str, Any], Warehouse]]:
    """A small project over the installed package, built: its results by name, and the database."""
    from dbt.cli.main import dbtRunner

    project.manifest()  # installs the packages
    values = ", ".join(f"({n}, {a}, {b}, {c}, -8.5)" for n, ((a, b, c), _) in enumerate(ROWS))
    files = {
        "dbt_project.yml": PROJECT.format(packages=project.packages_dir),
        "models/source_rows.sql": SOURCE.format(values=values),
        "models/keys.sql": KEYS,
        "models/pairs.sql": PAIRS,
        "models/tests.yml": TESTS,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    places = ["--project-dir", str(tmp_path), "--profiles-dir", str(project.directory), "--log-path", str(tmp_path / "logs")]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**empty_database.dbt_env(Role.OWNER), "DO_NOT_TRACK": "1"}.items():
            patch.setitem(os.environ, name, value)
        result = dbtRunner().invoke(["--quiet", "--log-level", "none", "build", *places])
    assert result.result is not None, result.exception
    yield {one.node.name: one for one in result.result}, empty_database


def key(*values: str | None) -> str:
    """The documented key: md5 of the values as text, nulls as a placeholder, joined by a hyphen."""
    return hashlib.md5("-".join(NULL if value is None else value for value in values).encode()).hexdigest()


def test_keys_and_uniqueness(built: tuple[dict[str, Any], Warehouse]) -> None:
    results, warehouse = built
    with warehouse.connect(Role.OWNER) as connection:
        rows = connection.execute("select * from silver.keys order by n").fetchall()
    expected = [
        (n, key(a), key(a, b, c), key(c, b, a), key("-8.500", None if b is None else f"{b}.00"))
        for n, (_, (a, b, c)) in enumerate(ROWS)
    ]
    assert rows == expected

    # a combination that stands three times, and one with a null that stands twice
    failed = results["pairs_are_unique"]
    assert (str(failed.status), failed.failures) == ("fail", 2)
    passed = [name for name, one in results.items() if str(one.status) == "pass"]
    assert len(passed) == 2 and "three_are_unique" in passed


def test_a_null_is_not_an_empty_text() -> None:
    assert key(None) != key("")


def test_the_stand_in_is_installed_where_the_hub_was_not_asked_and_said_to_be(tmp_path: Path) -> None:
    source = _project(tmp_path / "project")
    said: list[str] = []
    install_packages(source, tmp_path / "packages", said.append)
    assert (tmp_path / "packages" / "dbt_utils" / "which").read_text() == "stand-in"
    assert len(said) == 1 and "stand-in" in said[0]


def test_the_package_itself_is_used_where_dbt_deps_brought_it(tmp_path: Path) -> None:
    source = _project(tmp_path / "project")
    said: list[str] = []
    install_packages(source, tmp_path / "packages", said.append)
    _package(source / "dbt_packages" / "dbt_utils", "hub")
    said.clear()
    install_packages(source, tmp_path / "packages", said.append)
    assert (tmp_path / "packages" / "dbt_utils" / "which").read_text() == "hub"
    assert said == []


def _project(folder: Path) -> Path:
    _package(folder / "stand_in" / "dbt_utils", "stand-in")
    return folder


def _package(folder: Path, which: str) -> None:
    folder.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: dbt_utils\n")
    (folder / "which").write_text(which)
