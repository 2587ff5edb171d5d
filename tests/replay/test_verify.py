"""Verifying a warehouse looks at all rows, and finds what no batch has touched."""

from __future__ import annotations

from pipeline.contracts.tables import read_contracts
from pipeline.replay.verify import verify
from pipeline.transform.apply import rebuild
from pipeline.warehouse.connect import Role, Warehouse
from tests.conftest import Project


def test_all_rows_are_held_to_every_contract(prepared: Warehouse, project: Project) -> None:
    sound = verify(prepared, project)
    assert sound.exit_code == 0
    assert {check.name for check in sound.checks} >= {f"contract.{each.name}" for each in read_contracts()}

    with prepared.connect(Role.TRANSFORMER) as connection:
        connection.execute("insert into gold.sports (sport_key, first_seen_at) values ('', '2025-01-01Z')")
        connection.commit()
    failed = {check.name: check.message for check in verify(prepared, project).failed if check.name.startswith("contract.")}
    assert failed == {"contract.gold.sports": 'sport_key_is_not_empty: : {"sport_key": ""} (1 rows)'}


def test_it_tells_how_far_it_is(prepared: Warehouse, project: Project) -> None:
    told: list[tuple[int, int | None]] = []

    def progress(done: int, total: int | None) -> None:
        told.append((done, total))

    # staging is not computed: it would be all bodies once more
    views = sum(name.startswith("gold.") for name in project.views())
    tests = len(project.program.parts["whole"])
    assert verify(prepared, project.program.telling(progress, "whole", views=True)).exit_code == 0
    assert told == [(number, views + tests) for number in range(1, views + tests + 1)]

    told.clear()
    rebuild(prepared, project.program.telling(progress, "make", "blocking"))
    steps = len(project.program.parts["make"]) + len(project.program.parts["blocking"])
    assert told == [(number, steps) for number in range(1, steps + 1)]
