"""Databases for tests that need more than one of them, or one per generated example."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.warehouse.connect import Warehouse
from pipeline.warehouse.database import Server
from tests.conftest import Project, address
from tests.replay.support import Databases, databases_of
from tests.replay.transcript import Transcript, of_program


@pytest.fixture(scope="session")
def databases(server: Server, prepared_template: Warehouse, clone_names: Iterator[str]) -> Databases:
    """``with databases() as warehouse:`` gives a prepared database, dropped afterwards."""
    return databases_of(server, prepared_template, clone_names)


@pytest.fixture(scope="session")
def transcript(project: Project) -> Transcript:
    """What is sent for a batch, but for the checks."""
    return of_program(project.program)


@pytest.fixture
def command_place(
    server: Server, template: Warehouse, own_state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where commands run: on the tests' server, with a state folder and a working folder of their own."""
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", server.home.role_prefix)
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", address(server.home))
    monkeypatch.setenv("SPORTS_MARKET_STATE_DIR", str(own_state))
    monkeypatch.chdir(tmp_path)
