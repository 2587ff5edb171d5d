"""What is counted of the project's parts, and what must not grow."""

from __future__ import annotations

from tests.docs.counts import PARTS, counted, lines_of, long_models


def test_the_folder_and_its_revision_count_alike() -> None:
    here, committed = counted(lines_of()), counted(lines_of("HEAD"))
    assert here.keys() == committed.keys() == PARTS.keys()
    assert all(count > 0 for count in committed.values())
    # a folder with changes of a few files differs by little
    assert all(abs(here[name] - committed[name]) < 0.5 * committed[name] for name in PARTS)


def test_no_model_is_longer_than_a_reader_takes_in() -> None:
    assert long_models(lines_of()) == {}


def test_contracts_written_by_hand_stay_short() -> None:
    assert counted(lines_of())["contracts of tables, by hand"] <= 3500
