"""What the benchmarks have in common: a figure with its limit, and the CPU that a server uses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.warehouse.database import Server


@dataclass(frozen=True)
class Figure:
    """One measured figure with its limit."""

    name: str
    value: float
    limit: float
    at_most: bool
    detail: str

    @property
    def ok(self) -> bool:
        return self.value <= self.limit if self.at_most else self.value >= self.limit


class PostgresCpu:
    """CPU seconds of an embedded server, its finished children included."""

    def __init__(self, server: Server) -> None:
        assert server.embedded is not None
        self.postmaster = int((server.embedded.data_dir / "postmaster.pid").read_text().split()[0])

    def seconds(self) -> float:
        total = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:  # it has just ended
                continue
            if int(stat.parent.name) == self.postmaster:
                total += sum(int(value) for value in fields[11:15])
            elif int(fields[1]) == self.postmaster:
                total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")
