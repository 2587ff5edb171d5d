"""What a change of a contract does to those who rely on it, and whether its version says so.

Breaking is what a reader may trip over (a column that goes, changes its type or may be null now, another key, another unit),
and what makes rows bad that were good (a tightened rule). A breaking change needs a higher major version.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.contracts.described import MODELS
from pipeline.contracts.promises import FOLDER, is_source
from pipeline.contracts.tables import VERSION, Column, Rule, TableContract, contracts_of
from pipeline.errors import SetupError, UsageError
from pipeline.resources import resource

# Facts of a contract of which a change is told, and breaks nobody.
_TOLD: Final = (
    "status", "is_view", "is_checked_per_batch", "of_endpoint", "purpose", "description", "grain", "freshness", "owner",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two versions of a contract.

    Attributes:
        contract: ``schema.table``.
        is_breaking: whether somebody who relied on the old version may trip over it.
        what: in words.
    """

    contract: str
    is_breaking: bool
    what: str

    def __str__(self) -> str:
        return f"{self.contract}: {'breaking' if self.is_breaking else 'compatible'}: {self.what}"


def classify(old: TableContract | None, new: TableContract | None) -> tuple[Change, ...]:
    """Every difference between two versions of one contract; None where there was or is none."""
    name = (old or new or _nothing()).name
    if new is None:
        return (Change(name, True, "the contract is gone"),)
    if old is None:
        return (Change(name, False, "the contract is new"),)
    return tuple(Change(name, is_breaking, what) for is_breaking, what in _differences(old, new))


def unannounced(old: TableContract | None, new: TableContract | None) -> str | None:
    """Why the version of the new contract does not do; None where it does."""
    if new is None or old is None:
        return None
    before, after = _numbers(old.version), _numbers(new.version)
    if after < before:
        return f"{new.name}: version {new.version} is below {old.version}"
    if any(change.is_breaking for change in classify(old, new)) and after[0] == before[0]:
        return f"{new.name}: a breaking change needs version {before[0] + 1}.0.0, and it is {new.version}"
    return None


def committed_contracts(root: Path | None = None, revision: str = "HEAD") -> tuple[TableContract, ...] | None:
    """The contracts as a git revision has them, built from what that revision holds.

    Args:
        root: the folder that holds ``contracts`` and ``dbt``; by default the project's own.
        revision: of git.

    Returns:
        None where there is nothing to compare with: no git, no checkout, or no contracts in that revision.

    Raises:
        UsageError: ``NO_SUCH_REVISION``.
        SetupError: ``CONTRACT_INVALID``: what that revision has cannot be read.
    """
    top = resource("contracts").parent if root is None else root
    if _git(top, "rev-parse", "--show-prefix") is None:
        return None
    if _git(top, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}") is None:
        if revision == "HEAD":  # nothing was committed yet
            return None
        raise UsageError("NO_SUCH_REVISION", f"git knows no revision {revision!r} here.", "Name a commit, a branch or a tag.")
    # pathspecs of git, relative to the folder, as are the paths that it tells
    listed = (_git(top, "ls-tree", "-r", "-z", "--name-only", revision, f"{FOLDER}/", f"{MODELS}/") or "").split("\0")
    files = {}
    for path in listed:
        if is_source(path):
            text = _git(top, "show", f"{revision}:./{path}")
            if text is None:
                raise SetupError("CONTRACT_INVALID", f"{path} of {revision} cannot be read.", "Name another revision.")
            files[path] = text
    if not any(path.startswith(f"{FOLDER}/") for path in files):
        return None
    try:
        return contracts_of(files)
    except SetupError as error:
        raise SetupError(error.code, f"Of revision {revision}: {error.message}", "Name another revision.") from None


def pairs(
    old: Sequence[TableContract], new: Sequence[TableContract]
) -> Iterator[tuple[TableContract | None, TableContract | None]]:
    """Old and new versions by name."""
    before, after = {each.name: each for each in old}, {each.name: each for each in new}
    for name in sorted(before.keys() | after.keys()):
        yield before.get(name), after.get(name)


def _differences(old: TableContract, new: TableContract) -> Iterator[tuple[bool, str]]:
    if old.key != new.key:
        yield True, f"the key was ({', '.join(old.key)}) and is ({', '.join(new.key)})"
    before, after = {each.name: each for each in old.columns}, {each.name: each for each in new.columns}
    for name in before.keys() | after.keys():
        if name not in after:
            yield True, f"column {name} is gone"
        elif name not in before:
            yield False, f"column {name} is new"
        else:
            yield from _column_differences(before[name], after[name])
    if [name for name in before if name in after] != [name for name in after if name in before]:
        yield True, "the columns are in another order"
    yield from _rule_differences(
        {each.name: each for each in old.written_rules}, {each.name: each for each in new.written_rules}
    )
    for what in _TOLD:
        if getattr(old, what) != getattr(new, what):
            yield False, f"{what} changed"


def _column_differences(old: Column, new: Column) -> Iterator[tuple[bool, str]]:
    for what in ("physical_type", "logical_type", "unit"):
        if getattr(old, what) != getattr(new, what):
            yield True, f"column {old.name}: {what} was {getattr(old, what)} and is {getattr(new, what)}"
    if old.required and not new.required:
        yield True, f"column {old.name} may be null now"
    if new.required and not old.required:
        yield True, f"column {old.name} may not be null any more"
    if old.values != new.values:
        gone = sorted(set(old.values) - set(new.values)) if old.values else ["any other"]
        is_tighter = bool(new.values) and bool(gone)
        yield (
            is_tighter,
            f"column {old.name}: its values were {', '.join(old.values) or 'any'} and are {', '.join(new.values) or 'any'}",
        )
    if old.description != new.description:
        yield False, f"column {old.name}: description changed"


def _rule_differences(before: Mapping[str, Rule], after: Mapping[str, Rule]) -> Iterator[tuple[bool, str]]:
    for name in before.keys() | after.keys():
        old, new = before.get(name), after.get(name)
        if new is None:
            yield False, f"rule {name} is gone"
        elif old is None:
            yield new.severity == "error", f"rule {name} is new ({new.severity})"
        elif old.condition != new.condition:
            # whether it is tighter or looser cannot be told from its text
            yield new.severity == "error", f"rule {name} has another condition"
        elif old.severity != new.severity:
            yield new.severity == "error", f"rule {name} was a {old.severity} and is a {new.severity}"
        elif old != new:
            yield False, f"rule {name}: description changed"


def _numbers(version: str) -> tuple[int, ...]:
    found = VERSION.fullmatch(version)
    assert found is not None  # the parser saw to it
    return tuple(int(part) for part in found.groups())


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says; None where it fails, or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, encoding="utf-8", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _nothing() -> TableContract:
    raise ValueError("neither an old nor a new contract")
