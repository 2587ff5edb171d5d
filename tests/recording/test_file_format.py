"""What a recording's documents may say, field by field: the faults are told in whole sentences."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.recording.file_format import BrokenDocument, NewerFormat, parse, seals_of
from pipeline.recording.seals import pretty, seal_of, sealed

DAY = "20251009"
BATCH = f"{DAY}T004248Z-0123456789ab"
SEAL = "0f" * 32
LIST: dict[str, Any] = {"format": 2, "day": DAY, "seals": {BATCH: SEAL}}


def test_a_list_of_seals_is_read() -> None:
    assert seals_of(LIST, DAY) == {BATCH: SEAL}
    assert seals_of(LIST | {"seals": {}}, DAY) == {}


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"format": 1}, "format: there are no lists of seals before format 2"),
        ({"day": "20251010"}, "day: it is the list of another day than 20251009"),
        ({"day": "2025x009"}, "day: '2025x009' has another form than it must"),
        ({"day": "202510099"}, "day: '202510099' has 9 characters, and not 1 to 8"),
        ({"seals": {BATCH.replace(DAY, "20251010"): SEAL}}, f"seals.20251010{BATCH[8:]}: this is no batch of that day"),
        ({"seals": {f"{DAY}Tx": SEAL}}, f"seals.{DAY}Tx: this is no batch of that day"),
        ({"seals": {BATCH: SEAL[:-1] + "g"}}, f"seals.{BATCH}: "),
        ({"seals": {BATCH: 7}}, f"seals.{BATCH}: 7 "),
        ({"seals": [BATCH]}, "seals: "),
    ],
)
def test_a_list_of_seals_that_cannot_be_meant(changed: dict[str, Any], fault: str) -> None:
    with pytest.raises(BrokenDocument) as caught:
        seals_of(LIST | changed, DAY)
    assert str(caught.value).startswith(fault)
    assert caught.value.code == "RECORDING_INDEX_BROKEN"


def test_a_list_of_seals_that_is_none() -> None:
    with pytest.raises(BrokenDocument) as caught:
        seals_of([LIST], DAY)
    # of the whole document no field is named
    assert not str(caught.value).startswith((":", "None"))


def test_a_list_of_seals_of_a_later_version() -> None:
    with pytest.raises(NewerFormat, match=r"\A99\Z") as caught:
        seals_of(LIST | {"format": 99}, DAY)
    assert caught.value.version == 99


@pytest.mark.parametrize(("length", "shown"), [(58, "'" + "x" * 58 + "'"), (59, "'" + "x" * 56 + "...")])
def test_a_long_value_is_shown_in_part(length: int, shown: str) -> None:
    with pytest.raises(BrokenDocument) as caught:
        seals_of(LIST | {"day": "x" * length}, DAY)
    assert str(caught.value).startswith(f"day: {shown} ")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("1" * 31, f"the number {'1' * 30}... is out of range"),
        ("0." + "1" * 29, f"the number 0.{'1' * 28} is out of range"),
        ("1e999", "the number 1e999 is out of range"),
        ("NaN", "NaN is no JSON"),
        ("-Infinity", "-Infinity is no JSON"),
    ],
)
def test_a_number_that_no_column_holds(text: str, fault: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse(f'{{"x": {text}}}'.encode())
    assert fault in str(caught.value)


def test_numbers_up_to_thirty_digits_are_read() -> None:
    assert parse(f'{{"x": {"1" * 30}, "y": 0.{"1" * 28}}}'.encode()) == {"x": int("1" * 30), "y": float("0." + "1" * 28)}


def test_a_seal_is_that_of_the_canonical_text() -> None:
    data, seal = sealed({"b": 1, "a": ['x\n  "seal": "' + SEAL + '"']})
    assert seal_of(data) == seal
    assert data.startswith(b'{\n  "a": [')
    assert seal_of(data.replace(b'"b": 1', b'"b": 2')) is None
    with pytest.raises(ValueError, match="not JSON compliant"):
        pretty({"x": float("nan")})
