"""The README and the pages of docs/: what they name is there, and they lead to what is there."""

from __future__ import annotations

import argparse
import ast
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
import yaml

from pipeline import cli
from pipeline.contracts.tables import Column
from tests.docs import notebook_page
from tests.docs.gold_tables import MODELS, PAGE, described, page

REPOSITORY: Final = Path(__file__).resolve().parents[2]
PAGES: Final = (
    *(
        REPOSITORY / name
        for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "deploy/README.md", "dbt/models/gold/README.md")
    ),
    *sorted((REPOSITORY / "docs").glob("*.md")),
)
BY_NAME: Final = pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(REPOSITORY)) for path in PAGES])
# a span that names a file or folder of the repository, and not a table or a setting
FILE: Final = re.compile(
    r"`((?:pipeline|dbt|tests|docs|contracts|fixtures|init_db|deploy|\.ci)/[\w./-]*|noxfile\.py|mkdocs\.yml|README\.md)(?:\s[^`]*)?`"
)


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """What can be linked to in a page: its headings, as GitHub and mkdocs name them alike."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def broken_links(path: Path, text: str) -> list[str]:
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = target.partition("#")
        if "://" in target:
            continue
        file = (path.parent / place).resolve() if place else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            found.append(target)
    return found


@BY_NAME
def test_links_lead_somewhere(path: Path) -> None:
    assert broken_links(path, text_of(path)) == []


def test_a_link_to_nothing_is_found() -> None:
    readme = REPOSITORY / "README.md"
    text = "[a](docs/nothing.md) [b](docs/operate.md#nothing) [c](docs/operate.md#load) [d](#start) [e](https://example.org)"
    assert broken_links(readme, text) == ["docs/nothing.md", "docs/operate.md#nothing"]


@BY_NAME
def test_files_that_are_named_are_there(path: Path) -> None:
    named = set(FILE.findall(text_of(path)))
    assert {name for name in named if not (REPOSITORY / name).exists()} == set()


def test_the_pages_name_many_files() -> None:
    assert len({name for path in PAGES for name in FILE.findall(text_of(path))}) > 60


@BY_NAME
def test_sessions_that_are_named_are_there(path: Path) -> None:
    assert set(re.findall(r"nox -s ([a-z_]+)", text_of(path))) <= sessions()


def test_contributing_names_every_session() -> None:
    assert set(re.findall(r"nox -s ([a-z_]+)", text_of(REPOSITORY / "CONTRIBUTING.md"))) == sessions()


def sessions() -> set[str]:
    tree = ast.parse(text_of(REPOSITORY / "noxfile.py"))
    return {
        each.name
        for each in tree.body
        if isinstance(each, ast.FunctionDef) and any(ast.unparse(one) == "nox.session" for one in each.decorator_list)
    }


@BY_NAME
def test_commands_that_are_named_are_there(path: Path) -> None:
    """At the beginning of a line or of a span of code, after a sign of the shell or ``&&``."""
    named = re.findall(r"(?:^ +(?:\$ )?|`|&& )sports-market ([^\n`]*)", text_of(path), re.MULTILINE)
    assert [words for words in named if not is_command(words)] == []


def is_command(words: str) -> bool:
    parser = cli.parser()
    for word in words.split():
        groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not groups:
            return True
        if word.startswith("-"):
            return words in ("--version", "--help")
        # a group without one of its own, as a table of commands has it
        if word == "…":
            break
        if word not in groups[0].choices:
            return False
        parser = groups[0].choices[word]
    return True


@pytest.mark.parametrize("words", ["replays recording", "quarantine forget 1", "contracts checks"])
def test_a_command_that_is_not_there_is_found(words: str) -> None:
    assert not is_command(words)


def test_the_page_of_tables_is_in_step() -> None:
    assert text_of(PAGE) == page(described()), "write it anew: python3 -m tests.docs.gold_tables"
    models = sorted(path.stem for path in MODELS.rglob("*.sql"))
    assert sorted(re.findall(r"^## (\w+)", text_of(PAGE), re.MULTILINE)) == models
    assert sorted(re.findall(r"^\| \[`(\w+)`\]", text_of(PAGE), re.MULTILINE)) == models


def test_a_description_is_markdown_as_it_stands() -> None:
    contract, *_ = described()
    column = Column("a_b", "text", "string", True, "x | y,\n  <b> and [c]", "m", ())
    [row] = [line for line in page([replace(contract, columns=(column,))]).splitlines() if "a_b" in line]
    assert row == r"| `a_b` | text, not null | m | x \| y, \<b> and \[c] |"


def test_the_readme_is_one_page() -> None:
    assert 80 <= len(text_of(REPOSITORY / "README.md").splitlines()) <= 110


def test_the_changes_begin_with_the_version_in_progress() -> None:
    """The version that the package has, without what marks it as not released."""
    version = re.search(r'__version__ = "([\d.]+?)(?:\.dev\d+)?"', text_of(REPOSITORY / "pipeline" / "__init__.py"))
    assert version
    assert re.findall(r"^## ([\d.]+)", text_of(REPOSITORY / "CHANGELOG.md"), re.MULTILINE)[0] == version[1]


def test_the_site_has_every_page_and_asks_no_other_host() -> None:
    site = yaml.safe_load(text_of(REPOSITORY / "mkdocs.yml"))
    listed = [file for entry in site["nav"] for file in entry.values()]
    assert sorted(listed) == sorted([notebook_page.PAGE, *(path.name for path in (REPOSITORY / "docs").glob("*.md"))])
    [hook] = site["hooks"]
    assert REPOSITORY / hook == Path(notebook_page.__file__)
    # the theme would load it from elsewhere
    assert site["theme"]["highlightjs"] is False
    assert site["strict"] and site["plugins"] == ["search"]
    assert f"/{site['site_dir']}/" in text_of(REPOSITORY / ".gitignore").splitlines()


def test_what_makes_the_site_is_an_extra_of_its_own() -> None:
    extras = tomllib.loads(text_of(REPOSITORY / "pyproject.toml"))["project"]["optional-dependencies"]
    assert [re.match(r"\w+", each)[0] for each in extras["docs"]] == ["mkdocs"]  # type: ignore[index]
