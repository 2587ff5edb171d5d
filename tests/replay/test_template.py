"""The template of a replay's own database: made once, copied, renewed with the code, and gone without where it cannot be."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import WarehouseError
from pipeline.replay import template
from pipeline.replay.template import PREFIX, prepared_copy
from pipeline.transform.apply import prepare
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server, bootstrap
from pipeline.warehouse.embedded import EmbeddedServer
from tests.conftest import CARELESS, Project


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="sm-", dir="/tmp") as folder:
        embedded = EmbeddedServer.start(Path(folder), options=CARELESS)
        with Server(embedded.warehouse("template_test_"), embedded, "a server of the test's own") as made:
            yield made


def templates(server: Server) -> list[str]:
    with server.home.connect_unchecked(Role.OWNER) as connection:
        rows = connection.execute("select datname from pg_database where starts_with(datname, %s)", [PREFIX]).fetchall()
    return sorted(str(name) for (name,) in rows)


def shape(warehouse: Warehouse) -> list[object]:
    """What there is, whose it is, who may what, and how many rows are there."""
    with warehouse.connect(Role.OWNER) as connection:
        relations = connection.execute(
            "select relnamespace::regnamespace::text, relname, relkind::text, relowner::regrole::text, relacl::text"
            " from pg_class where relnamespace::regnamespace::text in ('bronze', 'silver', 'gold', 'ops') order by 1, 2"
        ).fetchall()
        counts = [
            (name, connection.execute(f"select count(*) from {schema}.{name}".encode()).fetchone())
            for schema, name, kind, *_ in relations
            if kind == "r"
        ]
        rights = connection.execute("select datacl::text from pg_database where datname = current_database()").fetchall()
        prints = connection.execute("select model, fingerprint from ops.fingerprints order by model").fetchall()
    return [relations, counts, rights, prints]


def test_a_copy_is_what_would_have_been_made(own_server: Server, project: Project) -> None:
    plain = own_server.create_database("plain")
    bootstrap(plain)
    prepare(plain, project.program)
    for name in ("first", "second"):
        copy = prepared_copy(own_server, project.program, name)
        assert copy is not None
        assert shape(copy) == shape(plain)
        assert prepare(copy, project.program) is False
        own_server.drop_database(copy)  # it is ours to drop; the template stays
        assert len(templates(own_server)) == 1
    own_server.drop_database(plain)


def test_another_program_has_another_one_and_the_old_one_goes(own_server: Server, project: Project) -> None:
    copies = []
    before: list[str] = []
    for key in ("one", "two"):
        copy = prepared_copy(own_server, replace(project.program, key=key), f"of_{key}")
        assert copy is not None
        copies.append(copy)
        assert len(templates(own_server)) == 1
        assert templates(own_server) != before
        before = templates(own_server)
    for copy in copies:
        own_server.drop_database(copy)


def test_what_a_killed_process_left_is_made_anew(own_server: Server, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    program = replace(project.program, key="killed")

    def killed() -> None:
        monkeypatch.setattr(template, "prepare", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        prepared_copy(own_server, program, "never")

    process = multiprocessing.get_context("fork").Process(target=killed)
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert templates(own_server) == [f"{PREFIX}draft"]
    copy = prepared_copy(own_server, program, "after")
    assert copy is not None
    assert prepare(copy, program) is False
    assert [name for name in templates(own_server) if name.endswith("draft")] == []
    own_server.drop_database(copy)


def test_two_at_once_make_one(own_server: Server, project: Project) -> None:
    program = replace(project.program, key="raced")
    context = multiprocessing.get_context("fork")

    def make(number: int) -> None:
        os._exit(0 if prepared_copy(own_server, program, f"raced_{number}") else 1)

    processes = [context.Process(target=make, args=(number,)) for number in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(templates(own_server)) == 1
    own_server.drop_templates("raced_")


def test_without_one_it_goes_the_long_way(own_server: Server, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise WarehouseError("DISK_FULL", "The disk is full.", "Free some space.")

    monkeypatch.setattr(template, "bootstrap", full)
    assert prepared_copy(own_server, replace(project.program, key="full"), "full") is None
    assert not own_server.exists("full")
    assert templates(own_server) == []  # nor is a half-made one left on a full disk


def test_a_copy_that_fails_half_way_is_not_left_behind(
    own_server: Server, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(warehouse: Warehouse) -> None:
        raise WarehouseError("BOOTSTRAP_FORBIDDEN", "No.", "Ask.")

    monkeypatch.setattr("init_db.grant_database", forbidden)
    assert prepared_copy(own_server, project.program, "half") is None
    assert not own_server.exists("half")


def test_a_taken_name_is_told(own_server: Server, project: Project) -> None:
    taken = own_server.create_database("taken")
    with pytest.raises(WarehouseError) as caught:
        prepared_copy(own_server, project.program, "taken")
    assert caught.value.code == "DATABASE_EXISTS"
    own_server.drop_database(taken)


def test_nothing_is_kept_on_a_server_that_is_not_ours(own_server: Server, project: Project) -> None:
    theirs = Server(own_server.home, None, "somebody's server")
    before = templates(own_server)
    assert prepared_copy(theirs, replace(project.program, key="theirs"), "theirs") is None
    assert templates(own_server) == before
