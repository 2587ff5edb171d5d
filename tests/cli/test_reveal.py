"""What must reach no log is shown to a person at a terminal, and to nobody else."""

from __future__ import annotations

import os

import pytest

from pipeline.cli.screen import Screen, Telling

LINE = "a password"


@pytest.mark.parametrize(
    ("telling", "is_told"), [(Telling(), True), (Telling(quiet=True), True), (Telling(json_only=True), False)]
)
def test_it_is_told_at_a_terminal(monkeypatch: pytest.MonkeyPatch, telling: Telling, is_told: bool) -> None:
    ours, its = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as seen, os.fdopen(its, "w") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        with Screen(telling) as screen:
            assert screen.reveal(LINE) is is_told
            screen.write(b"end")
        said = b""
        while not said.endswith(b"end"):  # a terminal gives what has come so far
            said += seen.read(100)
        assert said == (b"a password\r\nend" if is_told else b"end")


@pytest.mark.parametrize("telling", [Telling(), Telling(verbose=True), Telling(log_as_json=True), Telling(json_only=True)])
def test_elsewhere_it_is_not_told(capfd: pytest.CaptureFixture[str], telling: Telling) -> None:
    with Screen(telling) as screen:
        assert not screen.reveal(LINE)
        screen.note("a note")
    said = capfd.readouterr()
    assert "a note" in said.err and LINE not in said.out + said.err
