"""The recipe of docs/adding.md for a table of gold, walked on a copy of the project: four files, and no fifth place."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

REPOSITORY: Final = Path(__file__).resolve().parents[2]
COPIED: Final = (
    *("pipeline", "init_db", "contracts", "dbt", "fixtures", "tests", "docs"),
    *("README.md", "CONTRIBUTING.md", "noxfile.py", "pyproject.toml"),
)
LEFT_BEHIND: Final = ("target", "dbt_packages", "logs", "__pycache__")

TABLE: Final = {
    "dbt/models/gold/grades/score_gaps.sql": """\
{{ config(
    row_key=['event_id'],
    scope=rows_of_events(),
    scope_key='event_id',
) }}
-- By how much the two sides of an event are apart.
select
    results.event_id,
    results.sport_key,
    cast(abs(results.home_score - results.away_score) as numeric(9, 2)) as score_gap
from {{ ref('results') }} as results
join {{ source('ops', 'touched_events') }} as touched on touched.event_id = results.event_id
where results.home_score is not null and results.away_score is not null
""",
    "dbt/models/gold/grades/_score_gaps.yml": """\
version: 2

models:
  - name: score_gaps
    description: "By how much the two sides of an event are apart. Stored; a batch computes the events that it touches."
    config:
      contract: {enforced: true}
    constraints:
      - type: primary_key
        columns: [event_id]
    data_tests:
      - dbt_utils.unique_combination_of_columns:
          arguments: {combination_of_columns: [event_id]}
    columns:
      - name: event_id
        description: "{{ doc('event_id') }}"
        data_type: text
        constraints: [{type: not_null}]
      - name: sport_key
        description: "{{ doc('sport_key') }}"
        data_type: text
        constraints: [{type: not_null}]
      - name: score_gap
        description: "The higher score minus the lower one."
        data_type: "numeric(9,2)"
        config: {meta: {unit: "points, goals or runs"}}
        constraints: [{type: not_null}]
""",
    "contracts/warehouse/gold.score_gaps.yml": """\
version: 1.0.0
dated_by: event_id
cut:
  hindsight: the newest score
rules:
  score_gap_is_not_negative:
    says: The higher score is not below the lower one.
    dimension: accuracy
    holds: score_gap >= 0
    broken_by:
      - {score_gap: "-1"}
""",
    "tests/transform/test_score_gaps.py": '''\
"""score_gaps against a case that is worked out here by hand from the answers."""

from decimal import Decimal


def test_the_gap_is_between_the_two_scores(market):
    scores = [{"name": "Home", "score": "3"}, {"name": "Away", "score": "5"}]
    market.load(700, market.scores(market.game("e", 600, None, completed=True, scores=scores, last_update=None)))
    market.publish()
    assert market.rows("select score_gap from gold.score_gaps") == [(Decimal(2),)]
''',
}
# What the program makes of it: no part of the recipe.
FOLLOWS: Final = """\
from pipeline.contracts.tables import read_contracts
from pipeline.warehouse.connect import Role
from pipeline.warehouse.digest import recomputed_digests, stored_digests
from tests.contracts.mutations.tables import score
from tests.transform.test_score_gaps import test_the_gap_is_between_the_two_scores as fill


def test_it_is_checked_digested_and_every_rule_can_fail(market):
    fill(market)
    with market.warehouse.connect(Role.TRANSFORMER) as session:
        kept = stored_digests(session)
        assert kept["gold.score_gaps"].startswith("sum128:1:") and kept == recomputed_digests(session)
    [contract] = [each for each in read_contracts() if each.name == "gold.score_gaps"]
    result = score(market.warehouse, market.project.scopes(), [contract])
    assert result.exit_code == 0, result.text()
    killed = {(trial.rule, trial.place) for trial in result.trials}
    assert {("gold.score_gaps.score_gap_is_not_negative", place) for place in ("suite", "batch")} <= killed
"""
# Those that hold lists of tables, and compare what is kept in files.
LISTS: Final = (
    "tests/contracts/test_promises.py::test_no_promise_says_what_is_shared_or_follows",
    "tests/contracts/test_table_contracts.py::test_every_published_model_has_a_contract_and_dbt_is_in_step",
    "tests/contracts/test_table_contracts.py::test_every_rule_has_a_mutant",
    "tests/docs/test_site.py::test_the_page_of_tables_is_in_step",
    "tests/lint",
    "tests/replay/test_truncation.py::test_every_relation_of_gold_has_a_rule",
    "tests/test_house.py",
    "tests/transform/test_blocking_checks.py::test_every_stored_table_has_a_scope_and_every_contract_says_when_it_is_evaluated",
    "tests/transform/test_dbt_tests.py::test_every_stored_table_has_a_whole_table_test_of_its_key",
    "tests/transform/test_documentation.py",
    "tests/transform/test_program.py::test_the_file_is_of_the_project_as_it_stands",
    "tests/transform/test_relations.py",
    "tests/transform/test_views.py::test_every_view_has_its_key_and_the_column_by_which_its_digest_is_built",
    "tests/warehouse/test_digest.py::test_the_columns_stand_in_the_order_of_the_contract",
)


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Path]:
    """The project, in a folder of its own, with a state folder whose path is short enough for a socket."""
    project = tmp_path / "project"
    project.mkdir()
    for name in COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, project / name, ignore=shutil.ignore_patterns(*LEFT_BEHIND))
        else:
            shutil.copy(source, project / name)
    yield project


def run(project: Path, state: str, *arguments: str) -> str:
    """A command of Python in the copy; its output."""
    # a process of its own, and no worker of these tests: syrupy locks files for workers, and leaves the locks
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    environment = {**kept, "PYTHONPATH": str(project), "SPORTS_MARKET_STATE_DIR": state, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=project, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def test_the_recipe_names_four_files_and_what_is_written_anew() -> None:
    text = (REPOSITORY / "docs" / "adding.md").read_text(encoding="utf-8")
    recipe = text[text.index("## A gold table") : text.index("## An endpoint")]
    assert re.findall(r"^(\d)\. ", recipe, re.MULTILINE) == ["1", "2", "3", "4"]
    for path in (
        "dbt/models/gold/<subject>/<table>.sql",
        "contracts/warehouse/gold.<table>.yml",
        "`dbt/models/gold/<subject>/_<subject>.yml`",
        "`tests/transform/`",
    ):
        assert path in recipe
    for command in ("nox -s program", "nox -s lineage", "-m tests.docs.gold_tables"):
        assert f"\n    python3 -m {command.removeprefix('-m ')}\n" in text
    assert "tests/orchestration/test_definitions.py --snapshot-update" in " ".join(recipe.split())
    sessions = (REPOSITORY / "noxfile.py").read_text(encoding="utf-8")
    assert all(f'"python", "-m", "pipeline.transform.{name}"' in sessions for name in ("render", "lineage"))


@pytest.mark.proof(cases=0)  # `nox -s proofs`
def test_a_table_needs_its_four_files_and_no_fifth_place(copy: Path) -> None:
    before = contents(copy)
    for path, text in TABLE.items():
        assert not (copy / path).exists()
        (copy / path).write_text(text, encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="sm-", dir="/tmp") as state:
        for module in ("pipeline.transform.render", "pipeline.transform.lineage", "tests.docs.gold_tables"):
            run(copy, state, "-m", module)
        pytests = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist")
        run(copy, state, *pytests, "tests/orchestration/test_definitions.py", "--snapshot-update")
        (copy / "tests" / "transform" / "test_follows.py").write_text(FOLLOWS, encoding="utf-8")
        case = next(path for path in TABLE if path.startswith("tests/"))
        run(copy, state, *pytests, case, "tests/transform/test_follows.py", *LISTS)
    after = contents(copy)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert changed - TABLE.keys() == {
        "dbt/program.json",
        "dbt/relations.json",
        "dbt/lineage.json",
        "dbt/models/bi_tools.yml",
        "docs/gold_tables.md",
        "tests/orchestration/__snapshots__/test_definitions.ambr",
        "tests/transform/test_follows.py",
    }


def contents(project: Path) -> dict[str, bytes]:
    """Hash of each file, but for what tools keep for themselves."""
    files = (path for path in project.rglob("*") if path.is_file() and not path.relative_to(project).as_posix().startswith("."))
    return {path.relative_to(project).as_posix(): hashlib.sha256(path.read_bytes()).digest() for path in files}
