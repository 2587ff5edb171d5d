"""What carries out the transformation of a batch: dbt itself, or the program that dbt rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import psycopg2.extensions

if TYPE_CHECKING:
    from pipeline.warehouse.connect import Warehouse

Session: TypeAlias = psycopg2.extensions.connection

# make: relations and seeds from nothing, filled from all admitted answers; batch: stored models and blocking tests;
# blocking: the blocking tests; silver: silver's stored models; whole: the tests of whole tables
Work = Literal["make", "batch", "blocking", "silver", "whole"]
WORKS: tuple[Work, ...] = ("make", "batch", "blocking", "silver", "whole")


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one dbt node.

    Attributes:
        unique_id: dbt's id, e.g. ``model.sports_market.price_history``.
        name: the node's name.
        resource_type: ``model``, ``test``, ``seed``, ``operation`` …
        status: dbt's word: ``success``, ``pass``, ``fail``, ``error``, ``skipped``, ``warn``.
        failures: failing rows of a test, else None.
        message: what happened, if anything.
        sql: the query of a test.
    """

    unique_id: str
    name: str
    resource_type: str
    status: str
    failures: int | None
    message: str | None
    sql: str | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against publishing."""
        return self.status in ("success", "pass", "warn", "no-op")


class Engine(Protocol):
    """Runs the project's SQL on one session, in the transaction that the caller ends."""

    def fingerprints(self) -> Mapping[str, str]:
        """Name of each model and seed → hash of the code that computes its rows."""

    def scopes(self) -> Mapping[str, str]:
        """``schema.table`` of each stored model → the condition over alias ``t`` that picks the rows a run may change."""

    def views(self) -> tuple[str, ...]:
        """``schema.view`` of each view."""

    def compute_views(self, session: Session) -> Mapping[str, str]:
        """``schema.view`` → a relation that holds its rows until the caller rolls back; empty where none is made."""

    def run(
        self, session: Session, warehouse: Warehouse, work: Work, computed: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[NodeResult, ...]:
        """Do one kind of work; never commits or rolls back.

        Args:
            session: of the transformer.
            warehouse: that it is connected to.
            work: which.
            computed: from :meth:`compute_views`: what tests may read in the place of views.

        Raises:
            SetupError: nothing was run at all.
            KeyboardInterrupt: it was interrupted; the transaction is to be given up.
        """
