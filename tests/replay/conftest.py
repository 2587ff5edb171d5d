"""Databases for tests that need more than one of them, or one per generated example."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.database import Server
from tests.replay import wild
from tests.replay.support import Databases, databases_of
from tests.replay.transcript import Transcript, take_down


@pytest.fixture(scope="session")
def databases(server: Server, prepared_template: Warehouse, clone_names: Iterator[str]) -> Databases:
    """``with databases() as warehouse:`` gives a prepared database, dropped afterwards."""
    return databases_of(server, prepared_template, clone_names)


@pytest.fixture(scope="session")
def transcript(databases: Databases, project: DbtProject) -> Transcript:
    """What dbt sends for a batch."""
    with databases() as warehouse:
        return take_down(warehouse, project, wild.market_of(0)[0])
