"""What ``sports-market contracts`` does: check the promises, run the suites, render the pages, write out the documents."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from pipeline.clock import Clock
from pipeline.contracts.compatibility import Change, classify, committed_contracts, pairs, unannounced
from pipeline.contracts.freshness import freshness
from pipeline.contracts.pages import write_pages
from pipeline.contracts.promises import documents, project_files
from pipeline.contracts.suites import SuitesReport, run_suites, write_data_docs
from pipeline.contracts.tables import SUFFIX, TableContract, contracts_in, in_step, read_contracts, readers
from pipeline.warehouse.connect import Warehouse

HEAD: Final = "HEAD"


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What ``contracts check`` found. The documents are valid, or there is no report.

    Attributes:
        contracts: documents that were read.
        differences: where dbt and the contracts say different things.
        changes: against the earlier version.
        base: what it was compared with; None where there is no earlier version.
        faults: changes that the version does not announce, with who reads the table.
    """

    contracts: int
    differences: tuple[str, ...]
    changes: tuple[Change, ...]
    base: str | None
    faults: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0, or 1 where dbt is out of step or a change is not announced."""
        return 1 if self.differences or self.faults else 0

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "contracts": self.contracts,
            "differences": list(self.differences),
            "base": self.base,
            "changes": [{"contract": each.contract, "breaking": each.is_breaking, "what": each.what} for each in self.changes],
            "faults": list(self.faults),
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [f"{self.contracts} contracts of tables are valid"]
        lines += [f"dbt differs: {each}" for each in self.differences] or ["dbt is in step"]
        if self.base is None:
            lines.append("there is no earlier version to compare with (no git here, or none of these documents in it)")
        else:
            lines += [f"since {self.base}: {each}" for each in self.changes] or [f"nothing changed since {self.base}"]
        lines += [f"FAILED {each}" for each in self.faults]
        return lines


def check(manifest: Any, base: str = HEAD, root: Path | None = None) -> CheckReport:
    """Check documents, dbt, and compatibility with an earlier version.

    Args:
        manifest: dbt's, as parsed.
        base: the git revision whose contracts are the earlier version; they are built from what it holds.
        root: the folder that holds ``contracts`` and ``dbt``; by default the project's own.

    Raises:
        SetupError: ``CONTRACT_INVALID``.
        UsageError: ``NO_SUCH_REVISION``.
    """
    contracts = read_contracts(root)
    earlier = committed_contracts(root, base)
    changes: list[Change] = []
    faults = []
    for old, new in () if earlier is None else pairs(earlier, contracts):
        changes += classify(old, new)
        fault = unannounced(old, new)
        if fault is not None:
            assert new is not None
            faults.append(f"{fault}; read by: {', '.join(readers(manifest, new.name)) or 'nothing here'}")
    faults += [
        f"{change.contract}: the contract is gone, and dbt reads the table: {', '.join(readers(manifest, change.contract))}"
        for change in changes
        if change.what == "the contract is gone" and readers(manifest, change.contract)
    ]
    return CheckReport(
        len(contracts), tuple(in_step(contracts, manifest)), tuple(changes), None if earlier is None else base, tuple(faults)
    )


def run(
    warehouse: Warehouse,
    contracts: Sequence[TableContract] | None = None,
    clock: Clock | None = None,
    max_age: dt.timedelta | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SuitesReport:
    """Run the suite of every contract on all rows of a warehouse, and tell how old it is.

    Args:
        warehouse: which one.
        contracts: by default the project's own.
        clock: tells the present; without it, ages are not asked for.
        max_age: how old a table may be; without it, an age beyond the declared latency is a warning.
        progress: called after each suite with how many of how many are done.
    """
    chosen = read_contracts() if contracts is None else contracts
    ages = () if clock is None else freshness(warehouse, clock, chosen, max_age)
    return SuitesReport(run_suites(warehouse, chosen, progress), ages, max_age is not None)


def export(folder: Path) -> tuple[Path, ...]:
    """Write the full document of each table, as the Open Data Contract Standard has it; returns the files, by name.

    Args:
        folder: made where it is missing; documents of the same names are replaced.

    Raises:
        SetupError: ``CONTRACT_INVALID``; nothing is written then.
    """
    built = documents(project_files())
    contracts_in(built)  # valid, or nothing is written
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, document in built.items():
        path = folder / f"{name}{SUFFIX}"
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return tuple(written)


def docs(manifest: Any, folder: Path) -> Path:
    """Write a page per contract, and Data Docs of the suites in ``data_docs/``; returns the index."""
    contracts = read_contracts()
    index = write_pages(contracts, {each.name: readers(manifest, each.name) for each in contracts}, folder)
    write_data_docs(contracts, folder / "data_docs")
    return index
