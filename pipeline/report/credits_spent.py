"""What was spent: credits per day, endpoint and sport, as the API reported them and as its rules say."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from pipeline.warehouse.connect import Connection


@dataclass(frozen=True, slots=True)
class Spent:
    """One line of the ledger ``ops.credits``.

    Attributes:
        day: UTC, such as ``2026-01-04``.
        endpoint: the endpoint.
        sport_key: the sport; None where the endpoint has none.
        calls: attempts, failed ones included.
        computed: credits by the rules.
        reported: credits by the answers' headers.
        difference: reported less computed, of the calls where both are known.
        doubtful: credits that lost answers may have cost on top.
    """

    day: str
    endpoint: str
    sport_key: str | None
    calls: int
    computed: int
    reported: int
    difference: int
    doubtful: int


@dataclass(frozen=True, slots=True)
class CreditsReport:
    """The ledger of some days, newest first."""

    rows: tuple[Spent, ...]

    @property
    def exit_code(self) -> int:
        """1 where the API charged something else than its rules say."""
        return 1 if any(row.difference for row in self.rows) else 0

    def total(self, column: str) -> int:
        """The sum of a column."""
        return sum(getattr(row, column) for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        names = [item.name for item in fields(Spent)]
        return {
            "total": {name: self.total(name) for name in names[3:]},
            "rows": [{name: getattr(row, name) for name in names} for row in self.rows],
        }

    def lines(self) -> list[str]:
        """For people."""
        lines = [
            f"{'day':12}{'endpoint':24}{'sport':36}{'calls':>8}{'computed':>10}{'reported':>10}{'differs':>9}{'doubtful':>10}"
        ]
        for row in self.rows:
            counts = f"{row.calls:>8,}{row.computed:>10,}{row.reported:>10,}{row.difference:>9,}{row.doubtful:>10,}"
            lines.append(f"{row.day:12}{row.endpoint:24}{row.sport_key or '':36}{counts}")
        total = [self.total(name) for name in ("calls", "computed", "reported", "difference", "doubtful")]
        lines.append(f"{'total':72}{total[0]:>8,}{total[1]:>10,}{total[2]:>10,}{total[3]:>9,}{total[4]:>10,}")
        return lines


def credits_spent(connection: Connection, days: int) -> CreditsReport:
    """The ledger.

    Args:
        connection: of the reader, or any other role.
        days: so many days up to the newest that has a call.
    """
    rows = connection.execute(
        "select day::text, endpoint, sport_key, calls, computed, reported, difference, doubtful from ops.credits"
        " where day > (select max(day) from ops.charges) - %s::integer"
        " order by day desc, endpoint, sport_key nulls first",
        [days],
    ).fetchall()
    return CreditsReport(tuple(Spent(day, endpoint, sport, *map(int, counts)) for day, endpoint, sport, *counts in rows))
