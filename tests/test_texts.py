from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.texts import LIMIT, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Club Atlético Boca Juniors", "Club Atlético Boca Juniors"),
        ("مەیدان\u200cها 👨\u200d👩\u200d👧 a\u00a0b", "مەیدان\u200cها 👨\u200d👩\u200d👧 a\u00a0b"),
        ("a\r\n\tb\u2028c", "a b c"),
        ("\x1b[31mred\x9b", "\ufffd[31mred\ufffd"),
        ("\u202etxt.exe\u2066", "\ufffdtxt.exe\ufffd"),
        ("\ud800", "\ufffd"),
        ("x" * 401, "x" * 399 + "…"),
    ],
)
def test_what_is_no_text_is_seen_as_such(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text(), st.integers(1, 50))
def test_a_line_without_controls_comes_out_and_stays_as_it_is(text: str, limit: int) -> None:
    line = shown(text, limit)
    assert len(line) <= limit <= LIMIT
    assert not [each for each in line if unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp")]
    assert shown(line, limit) == line
