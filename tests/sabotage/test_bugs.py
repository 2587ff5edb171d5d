"""Each bug of the list can be put back: what it replaces stands in its file once. `nox -s sabotage` shows that it is found."""

from __future__ import annotations

import pytest

from tests.conftest import REPOSITORY
from tests.sabotage.bugs import BUGS, Bug


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_has_its_place(bug: Bug) -> None:
    text = (REPOSITORY / bug.file).read_text(encoding="utf-8")
    assert text.count(bug.old) == 1 and bug.new != bug.old
    assert all((REPOSITORY / test).exists() for test in bug.tests)


def test_their_names_tell_them_apart() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) > 30
