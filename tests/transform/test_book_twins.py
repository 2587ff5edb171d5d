"""book_twins against a walk over the answers themselves, and what is said where two desks move as one."""

from __future__ import annotations

import itertools
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest

from pipeline.contracts.tables import read_contracts
from pipeline.transform.apply import transformer_session
from pipeline.transform.checks import whole_table_checks

GAMES, CAPTURES = 20, 11
START = 100_000
# how the price of the home side goes on: a new one at each capture
PRICES = [round(1.5 + step / 20, 2) for step in range(CAPTURES)]
TOTALS = [("Over", 1.9, 40), ("Under", 1.9, 40)]
Shown = dict[str, tuple[float, float]]


def shown_at(game: int, capture: int) -> Shown:
    """What each book shows: home and away price."""
    price = (PRICES[capture], 2.2)
    nth = game * (CAPTURES - 1) + capture  # of the 200 changes
    shown = {
        "fanduel": price,
        "betmgm": price,
        # another price at 10 and at 11 changes of 200
        "draftkings": (price[0] + 0.01, 2.2) if capture == 3 and game < 10 else price,
        "bovada": (price[0] + 0.01, 2.2) if nth % 19 == 1 and capture else price,
        # of one desk with draftkings it is not; it moves never
        "mybookieag": (1.9, 1.9),
        # one desk
        "betonlineag": (round(price[0] + 0.1, 2), 2.1),
        "lowvig": (round(price[0] + 0.1, 2), 2.1),
    }
    if capture not in (5, 6):
        shown["betus"] = price
    # a price that is none is nobody's twin
    if capture == 8:
        shown["betus"] = (1.0, 1.0)
    return shown


@pytest.fixture(scope="module")
def twins(module_market: Any) -> Any:
    market = module_market
    for capture in range(CAPTURES):
        games = []
        for game in range(GAMES):
            books = [
                market.book(
                    key, {"h2h": [("Home", home), ("Away", away)], "totals": [("Over", 1.9, 40), ("Under", 1.9, 40)]}, None
                )
                for key, (home, away) in shown_at(game, capture).items()
            ]
            games.append(market.game(f"game {game}", START, books))
        market.load(capture * 10, market.odds(*games))
    market.publish()
    return market


def walked() -> dict[tuple[str, str], tuple[int, int, int]]:
    """Changes, events and equal changes of each two books, answer by answer."""
    found: dict[tuple[str, str], list[set[Any]]] = defaultdict(lambda: [set(), set(), set()])
    for game in range(GAMES):
        answers = [
            {key: price for key, price in shown_at(game, capture).items() if min(price) > 1} for capture in range(CAPTURES)
        ]
        for one, other in itertools.combinations(sorted({*itertools.chain(*answers)}), 2):
            common = [(answer[one], answer[other]) for answer in answers if one in answer and other in answer]
            for nth, (before, after) in enumerate(itertools.pairwise(common)):
                if before != after:
                    found[(one, other)][0].add((game, nth))
                    found[(one, other)][1].add(game)
                    if after[0] == after[1]:
                        found[(one, other)][2].add((game, nth))
    return {pair: (len(changes), len(events), len(equal)) for pair, (changes, events, equal) in found.items()}


def test_counts_are_those_of_a_walk_over_the_answers(twins: Any) -> None:
    rows = twins.rows(
        "select bookmaker_key, other_bookmaker_key, changes, events, equal_changes, equal_share from gold.book_twins"
    )
    expected = walked()
    found = {tuple(sorted(row[:2])): row[2:] for row in rows}
    assert {pair: row[:3] for pair, row in found.items()} == {pair: expected[pair] for pair in found}
    assert all(row[3] == round(Decimal(row[2]) / row[0], 10) for row in found.values())
    # every two groups, of which betonline has two books
    assert len(found) == 7 * 6 // 2
    assert not any({"betonlineag", "lowvig"} == set(pair) for pair in found)
    assert expected[("betmgm", "fanduel")] == (200, 20, 200)
    assert expected[("draftkings", "fanduel")] == (200, 20, 190)
    assert expected[("betus", "fanduel")][0] < 200


def test_candidates_agree_in_nineteen_of_twenty_of_enough_changes(twins: Any) -> None:
    candidates = twins.rows("select operator_group, other_group from gold.book_twins where is_candidate order by 1, 2")
    assert candidates == [("betmgm", "draftkings"), ("betmgm", "fanduel"), ("draftkings", "fanduel")]
    # all are equal, and fewer than two hundred
    assert twins.rows(
        "select equal_share, is_enough from gold.book_twins where (operator_group, other_group) = ('betus', 'fanduel')"
    ) == [(Decimal(1), False)]
    [(share, enough)] = twins.rows(
        "select equal_share, is_enough from gold.book_twins where (operator_group, other_group) = ('bovada', 'fanduel')"
    )
    assert Decimal("0.94") < share < Decimal("0.95") and enough


def test_a_desk_that_is_held_as_two_is_a_warning(twins: Any) -> None:
    """It is told, with an example, and fails nothing."""
    [contract] = [each for each in read_contracts() if each.name == "gold.book_twins"]
    with transformer_session(twins.warehouse) as session:
        [found] = whole_table_checks(session, {}, [contract])
    assert found.ok
    assert found.failures == 3
    assert found.message is not None
    assert found.message.startswith("no_desk_is_held_as_two: ")
