"""What the benchmarks have in common: a figure with its limit, ratios, and the CPU that a server uses."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.warehouse.database import Server


@dataclass(frozen=True)
class Figure:
    """One measured figure with its limit.

    Attributes:
        limit: what fails the run; close to what is measured.
        aim: what is wanted, where that is another number.
    """

    name: str
    value: float
    limit: float
    at_most: bool
    detail: str
    aim: float | None = None

    @property
    def ok(self) -> bool:
        return self._keeps(self.limit)

    @property
    def line(self) -> str:
        """For people."""
        sign = "≤" if self.at_most else "≥"
        aim = "" if self.aim is None else f"; aim {sign} {self.aim:.4g}{'' if self._keeps(self.aim) else ', MISSED'}"
        return f"{'ok  ' if self.ok else 'FAIL'} {self.name} {self.value:.2f} ({sign} {self.limit:.4g}{aim}) {self.detail}"

    def with_slack(self, slack: float) -> Figure:
        """The same with a limit so many times as wide."""
        return replace(self, limit=self.limit * slack if self.at_most else self.limit / slack)

    def _keeps(self, bound: float) -> bool:
        return self.value <= bound if self.at_most else self.value >= bound


def typical_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios, pair by pair: what was measured side by side is compared, and one odd pair bears on nothing."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


class PostgresCpu:
    """CPU seconds of an embedded server, its finished children included."""

    def __init__(self, server: Server) -> None:
        assert server.embedded is not None
        self.postmaster = int((server.embedded.data_dir / "postmaster.pid").read_text().split()[0])

    def seconds(self) -> float:
        """So far. A child that ends while it is looked at would be missed, or counted twice: then all are looked at again."""
        while True:
            children = self._children()
            total = sum(children.values())
            fields = stat_fields(Path("/proc") / str(self.postmaster))
            # what ended is only counted in ticks
            total += own_seconds(Path("/proc") / str(self.postmaster), fields) + _ticks(fields[13:15])
            if self._children().keys() == children.keys():
                return total

    def _children(self) -> dict[int, float]:
        """CPU seconds of each by its number."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has just ended
                fields = stat_fields(folder)
                if int(fields[1]) == self.postmaster:
                    found[int(folder.name)] = own_seconds(folder, fields)
        return found


def stat_fields(folder: Path) -> list[str]:
    """The fields of a process's ``stat``, from the state on."""
    return (folder / "stat").read_text().rsplit(")", 1)[1].split()


def own_seconds(folder: Path, fields: Sequence[str]) -> float:
    """CPU seconds of one process of one thread, to the nanosecond where the kernel says so, else in ticks.

    Args:
        folder: ``/proc/PID``.
        fields: of its ``stat``, from the state on.
    """
    try:
        return int((folder / "schedstat").read_text().split()[0]) / 1e9
    except FileNotFoundError:
        return _ticks(fields[11:13])


def _ticks(fields: Sequence[str]) -> float:
    return sum(map(int, fields)) / os.sysconf("SC_CLK_TCK")
