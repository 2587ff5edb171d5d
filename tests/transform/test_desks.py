"""The seed book_profile: a row per book, and how its desk is known, held to the recordings."""

from __future__ import annotations

import csv
import itertools
import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from pipeline.odds_api.catalogue import BOOKS_BY_REGION
from pipeline.resources import resource

CATALOGUE: Final = {book for books in BOOKS_BY_REGION.values() for book in books}
# another desk under the name: Caesars in the US, Kambi's odds in the US, Entain in each country, LeoVegas in Sweden, fantasy
OTHER_DESKS: Final = {"williamhill_us", "unibet_us", "ladbrokes_au", "betmgm_se", "betr_us_dfs"}
# Figures of fewer quotes tell of a game or two.
ENOUGH: Final = 20
# Two books on desks of their own are never equal in more, unless both rows say so and why they are apart all the same.
MOST: Final = 0.5
SHARED: Final = re.compile(
    r"(same (operator|book|exchange|odds feed): .+; unmeasured|(same (operator|odds feed): .+; )?equal to \w+ in .+ h2h quotes)"
    r"\b.*"
)
OWN: Final = re.compile(r"own desk: (unmeasured|nearest is \w+, equal in .+ h2h quotes)\b.*")
FIGURE: Final = re.compile(r"(?:nearest is|equal to|and to) (\w+),?(?: equal)? in ([\d,]+) of ([\d,]+)")
Pair = tuple[str, str]


@pytest.fixture(scope="module")
def profiles() -> dict[str, dict[str, str]]:
    with (resource("dbt") / "seeds" / "book_profile.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = {row["bookmaker_key"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def _games(folder: Path) -> Iterator[dict[str, Any]]:
    """Every showing of an event with its books, in all archives; what is no JSON is none."""
    for path in sorted(folder.glob("*.tar.xz")):
        with tarfile.open(path) as archive:
            for member in archive:
                file = archive.extractfile(member)
                try:
                    answer = json.load(file) if file is not None else []
                except ValueError:
                    continue
                if isinstance(answer, dict):
                    answer = answer.get("data", [answer])
                for game in answer if isinstance(answer, list) else [answer]:
                    if "bookmakers" in game:
                        yield game


def equal_quotes(folder: Path) -> dict[Pair, tuple[int, int]]:
    """Of each two books, by name: how many h2h sets of one event that one answer shows of both are equal, and of how many."""
    equal, common = Counter[Pair](), Counter[Pair]()
    for game in _games(folder):
        prices = {
            book["key"]: sorted((each["name"], each["price"]) for each in market["outcomes"])
            for book in game["bookmakers"]
            for market in book["markets"]
            if market["key"] == "h2h"
        }
        for pair in itertools.combinations(sorted(prices), 2):
            common[pair] += 1
            equal[pair] += prices[pair[0]] == prices[pair[1]]
    return {pair: (equal[pair], count) for pair, count in common.items()}


def test_each_book_of_the_catalogue_has_a_row(profiles: dict[str, dict[str, str]]) -> None:
    assert CATALOGUE - profiles.keys() == set()


def test_a_name_in_several_states_or_countries_is_one_desk_or_known_not_to_be(profiles: dict[str, dict[str, str]]) -> None:
    stems: dict[str, set[str]] = defaultdict(set)
    for key in profiles.keys() - OTHER_DESKS:
        stem = re.sub(r"_(ex_)?(az|fl|oh|uk|us|eu|au|de|fr|it|nl|se|ag)$", "", key)
        stems[stem].add(profiles[key]["operator_group"])
    # the exchange and the sportsbook of Betfair
    assert {stem: groups for stem, groups in stems.items() if len(groups) > 1} == {}
    assert profiles["betfair_sb_uk"]["operator_group"] != profiles["betfair_ex_uk"]["operator_group"]


def test_each_row_says_how_its_desk_is_known_or_that_it_is_unmeasured(profiles: dict[str, dict[str, str]]) -> None:
    desks: dict[str, list[str]] = defaultdict(list)
    for row in profiles.values():
        desks[row["operator_group"]].append(row["source"])
    wrong = {
        (desk, source)
        for desk, sources in desks.items()
        for source in sources
        if not (SHARED if len(sources) > 1 else OWN).fullmatch(source)
    }
    assert wrong == set()


def test_the_books_of_a_desk_weigh_the_same(profiles: dict[str, dict[str, str]]) -> None:
    """Which of them speaks does not change the weight of what it says."""
    weights: dict[str, set[str]] = defaultdict(set)
    for row in profiles.values():
        weights[row["operator_group"]].add(row["sharp_weight"])
    assert {desk: each for desk, each in weights.items() if len(each) > 1} == {}


@pytest.mark.recorded
def test_figures_are_those_of_the_recordings(recorded_dir: Path, profiles: dict[str, dict[str, str]]) -> None:
    """Each figure is right, a book on its own has none that is nearer, and what is called unmeasured is."""
    found = equal_quotes(recorded_dir)

    def figure(one: str, other: str) -> tuple[int, int]:
        return found.get((min(one, other), max(one, other)), (0, 0))

    recorded = {book for pair in found for book in pair}
    assert recorded - profiles.keys() == set()
    for book, row in profiles.items():
        told = {
            other: (int(equal.replace(",", "")), int(count.replace(",", "")))
            for other, equal, count in FIGURE.findall(row["source"])
        }
        assert told == {other: figure(book, other) for other in told}, book
        desk = row["operator_group"]
        alone = row["source"].startswith("own desk")
        shares = {
            other: equal / count
            for other in recorded
            if (alone or profiles[other]["operator_group"] == desk) and other != book
            for equal, count in [figure(book, other)]
            if count >= ENOUGH
        }
        if "unmeasured" in row["source"]:
            assert shares == {}, book
        elif alone:
            assert max(shares.values()) == shares[next(iter(told))], book
        near = {
            other
            for other in recorded
            if profiles[other]["operator_group"] != desk
            for equal, count in [figure(book, other)]
            if count >= ENOUGH and equal > MOST * count
        }
        assert near <= told.keys(), book
