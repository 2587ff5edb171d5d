"""Times as people write them: read right, or not at all; and names without them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.clock import UTC
from pipeline.recording.imports.times import NamePattern, time_in, time_in_folders, time_of, without_times

AT = dt.datetime(2026, 1, 10, 18, 5, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "seconds", "has_zone"),
    [
        ("20260110T180507Z.json", 0, True),
        ("mlb_20260110T180507.json", 0, False),
        ("20260110T180507.25Z.json", 0.25, True),
        ("2026-01-10T18:05:07.123456Z.json", 0.123456, True),
        ("20260110T180507250Z.json", 0.25, True),
        ("2026-01-10T18:05:07+00:00.json", 0, True),
        ("2026-01-10T18:05:07+02:00.json", -7200, True),
        ("20260110T180507-0500.json", 18000, True),
        ("20260110T180507+0530.json", -19800, True),
        ("20260110_180507-0500.json", 0, False),  # a number that somebody counted
        ("mlb_2026-01-10_18-05-07.json", 0, False),
        ("2026-01-10 18:05:07.json", 0, False),
        ("mlb_20260110_180507.json", 0, False),
        ("20260110180507_us.json", 0, False),
        ("odds_1768068307.json", 0, True),
        ("odds_1768068307250.json", 0.25, True),
        ("1768068307.5.json", 0.5, True),
        ("20261310T180507Z_20260110T180507Z.json", 0, True),  # the first that is a real one
    ],
)
def test_a_time_in_a_name(name: str, seconds: float, has_zone: bool) -> None:
    found = time_in(name)
    assert found is not None
    assert (found.at, found.has_zone) == (AT + dt.timedelta(seconds=seconds), has_zone)


@pytest.mark.parametrize(
    "name",
    [
        *("2026-01-10.json", "20260110.json", "odds_1.json", "20261310T180507Z.json", "20260110T250507Z.json"),
        *("120260110T180507Z.json", "20260110T1805071.json", "e10fe83ee6178a598e7fa84ea0913366.json", "12345678901.json"),
        *("00001768068307aa00001768068307aa.json", "18890110T180507Z.json", "29990110T180507Z.json", "0123456789.json"),
    ],
)
def test_what_is_no_time_is_none(name: str) -> None:
    assert time_in(name) is None


@given(st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2100, 12, 31), timezones=st.just(UTC)))
def test_every_form_of_a_time_is_read_back(at: dt.datetime) -> None:
    whole = at.replace(microsecond=0)
    for form in ("%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H-%M-%S", "%Y%m%d_%H%M%S", "%Y-%m-%d %H:%M:%S+00:00", "%Y%m%d%H%M%S"):
        found = time_in(f"nfl_{whole:{form}}.json")
        assert found is not None and found.at == whole
        assert without_times(f"nfl_{whole:{form}}.json") == "nfl_<time>.json"
    exact = time_of(at.isoformat())
    assert exact is not None and exact.at == at
    pattern = NamePattern("x-%d.%m.%y %I:%M:%S%p*")
    if at.year >= 2000 and at.year < 2100:
        found = pattern.time(f"x-{whole:%d.%m.%y %I:%M:%S%p}.json")
        assert found is not None and found.at == whole


@given(st.text(max_size=40))
def test_no_text_stops_the_search(text: str) -> None:
    time_in(text)
    time_of(text)
    time_in_folders(text)
    assert without_times(without_times(text)) == without_times(text)


@pytest.mark.parametrize("value", [1768068307, 1768068307.0, 1768068307000, "1768068307", " 2026-01-10T18:05:07Z "])
def test_a_value_is_a_time(value: object) -> None:
    found = time_of(value)
    assert found is not None and found.at == AT


@pytest.mark.parametrize(
    "value", [True, None, [], {}, -5, 0, 1e300, float("nan"), float("inf"), "soon", "2026-01-10", "at 1768068307"]
)
def test_a_value_is_none(value: object) -> None:
    assert time_of(value) is None


@pytest.mark.parametrize(
    ("path", "alone", "clock"),
    [
        ("2026-01-10/18/odds.json", False, "18:00:00"),
        ("a/20260110/18/05/odds.json", False, "18:05:00"),
        ("2026/01/10/18/odds.json", False, "18:00:00"),
        ("date=2026-01-10/hour=18/odds.json", False, "18:00:00"),
        ("2026-01-10/18-05-07.json", False, "18:05:07"),
        ("2026-01-10/odds_18-05.json", False, "18:05:00"),
        ("2026-01-10/180507.json", True, "18:05:07"),
        ("2026-01-10/180507.json", False, None),  # may be a number
        ("2026-01-10/odds.json", True, None),
        ("2026-01-10/25/odds.json", False, None),
        ("18/odds.json", True, None),
        ("x_20260110T180507Z/odds.json", False, "18:05:07"),
    ],
)
def test_a_time_in_folders(path: str, alone: bool, clock: str | None) -> None:
    found = time_in_folders(path, alone=alone)
    assert (None if found is None else f"{found.at:%H:%M:%S}") == clock
    assert found is None or found.at.date() == AT.date()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("h2h_20260110T180507Z.json", "h2h_<time>.json"),
        ("a/h2h_1768068307.json.gz", "a/h2h_<time>.json"),
        ("2026-01-10/h2h_20260110T180507Z.json", "<date>/h2h_<time>.json"),
        ("nfl/2026/01/10/18/odds.json", "nfl/<date>/<time>/odds.json"),
        ("odds_2023-10-24.json", "odds_<date>.json"),
        ("odds_2.json", "odds_2.json"),
        ("2026-01-10/2.json", "<date>/2.json"),
        ("week6_2025/20260110T180507Z.json", "week6_2025/<time>.json"),
        ("us/20260110T180507Z.json", "us/<time>.json"),
    ],
)
def test_a_name_without_its_times(path: str, name: str) -> None:
    assert without_times(path) == name


@pytest.mark.parametrize(
    ("pattern", "path", "found"),
    [
        ("nfl_%d.%m.%Y_%H%M*.json", "a/nfl_10.01.2026_1805_x.json", "2026-01-10 18:05:00"),
        ("%s.json", "1768068307.json", "2026-01-10 18:05:07"),
        ("%Y-%j", "2026-010", "2026-01-10 00:00:00"),
        ("*%d%b%Y-%I%p.json", "odds 10Jan2026-06pm.json", "2026-01-10 18:00:00"),
        ("%Y%m%dT%H%M%S%z*", "20260110T200507+0200.json", "2026-01-10 18:05:07"),
        ("%Y-%m-%d/odds_%H.json", "x/2026-01-10/odds_18.json", "2026-01-10 18:00:00"),
        ("%Y-%m-%d.json", "2026-02-30.json", None),
        ("%Y-%j", "2026-366", None),
        ("%Y-%m-%d.json", "other_2026-01-10.json", None),
        ("100%% %Y%m%d", "100% 20260110", "2026-01-10 00:00:00"),
    ],
)
def test_a_pattern_of_names(pattern: str, path: str, found: str | None) -> None:
    time = NamePattern(pattern).time(path)
    assert (None if time is None else f"{time.at:%Y-%m-%d %H:%M:%S}") == found


def test_a_pattern_tells_what_differs_in_the_time_alone() -> None:
    pattern = NamePattern("nfl_%d.%m_%Y*")
    assert pattern.without_times("a/nfl_10.01_2026_us.json") == pattern.without_times("a/nfl_11.02_2025_us.json")
    assert pattern.without_times("a/nfl_10.01_2026_us.json") != pattern.without_times("a/nfl_10.01_2026_eu.json")


@pytest.mark.parametrize("pattern", ["", "odds", "%Y-%m", "%Q%Y%m%d", "%Y%m%d%Y", "%Y%m%d %I", "%H:%M", "%"])
def test_a_pattern_that_cannot_tell_a_date(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"%"):
        NamePattern(pattern)
