"""How long the project's parts are: ``python -m tests.docs.counts [REV]``, of the folder as it is or of a git revision."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
LONGEST_MODEL: Final = 200
PARTS: Final[Mapping[str, Callable[[str], bool]]] = {
    "contracts of tables, by hand": lambda path: path.startswith("contracts/warehouse/"),
    "SQL of gold and macros": lambda path: path.startswith(("dbt/models/gold/", "dbt/macros/")) and path.endswith(".sql"),
    "SQL of silver": lambda path: path.startswith("dbt/models/silver/") and path.endswith(".sql"),
    "dbt's YAML": lambda path: path.startswith("dbt/") and path.endswith(".yml"),
    "Python in pipeline": lambda path: path.startswith("pipeline/") and path.endswith(".py"),
    "tests": lambda path: path.startswith("tests/") and path.endswith(".py"),
}


def lines_of(revision: str | None = None, repository: Path = REPOSITORY) -> dict[str, int]:
    """Path → lines, of each text file that git knows.

    Args:
        revision: of which revision; None: of the folder as it is.
        repository: a checkout.
    """

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", repository, *arguments], capture_output=True, text=True, check=True).stdout

    if revision is None:
        paths = [path for path in git("ls-files").splitlines() if (repository / path).is_file()]
        return {path: (repository / path).read_bytes().count(b"\n") for path in paths}
    # numstat against the empty tree: lines added, removed, path
    empty = git("hash-object", "-t", "tree", "/dev/null").strip()
    rows = (row.split("\t") for row in git("diff", "--numstat", empty, revision).splitlines())
    return {path: int(added) for added, _, path in rows if added != "-"}


def counted(lines: Mapping[str, int]) -> dict[str, int]:
    """Lines of each part."""
    return {name: sum(count for path, count in lines.items() if is_of_it(path)) for name, is_of_it in PARTS.items()}


def long_models(lines: Mapping[str, int]) -> dict[str, int]:
    """The models that are longer than a reader takes in at once."""
    return {
        path: count
        for path, count in lines.items()
        if path.startswith("dbt/models/") and path.endswith(".sql") and count > LONGEST_MODEL
    }


def main() -> None:
    """Print the counts."""
    lines = lines_of(sys.argv[1] if len(sys.argv) > 1 else None)
    for name, count in counted(lines).items():
        print(f"{count:>8,}  {name}")
    longest = long_models(lines)
    print(f"models of more than {LONGEST_MODEL} lines: {', '.join(longest) or 'none'}")


if __name__ == "__main__":
    main()
