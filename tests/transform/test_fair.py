"""The methods of fair probabilities: their formulas as SQL, against packages and what must hold of any set of prices."""

from __future__ import annotations

import itertools
import random
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import odds_tools
import pytest
from jinja2 import Environment

from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse
from tests.replay.fair import Fair, fair

SMALL: Final = Decimal("0.0000000001")
METHODS: Final = ("multiplicative", "additive", "power", "shin")
Values = tuple[Decimal, ...]


def solved(warehouse: Warehouse, sets: list[Values]) -> dict[Values, Fair]:
    """What the SQL of the macros makes of sets of implied probabilities."""
    macros: Any = Environment().from_string(resource("dbt/macros/fair.sql").read_text(encoding="utf-8")).module
    query = f"""
        with asked as materialized (
            select given.q as implied_probabilities, (select sum(each.q) from unnest(given.q) as each (q)) as overround
            from (
                select cast(lines.line as numeric(12, 10)[]) as q from unnest(%s::text[]) as lines (line)
            ) as given
        ),
        fair as ({macros.fair_values("asked")})
        select
            implied_probabilities, fair_multiplicative, fair_additive, fair_power, fair_shin, power_k, shin_z from fair
    """
    lines = ["{" + ",".join(map(str, each)) + "}" for each in sets]
    with warehouse.connect(Role.READER) as connection:
        rows = connection.execute(query.encode(), [lines]).fetchall()
    return {tuple(q): Fair(tuple(m), a and tuple(a), tuple(p), s and tuple(s), k, z) for q, m, a, p, s, k, z in rows}


def rounded(q: float) -> Decimal:
    return Decimal(q).quantize(SMALL)


def drawn(seed: int, count: int) -> list[Values]:
    """Sets of 2 to 40 outcomes, as even and as lopsided as they come, with sums from below 1 to 30."""
    chance = random.Random(seed)
    sets = []
    while len(sets) < count:
        n = chance.choice((2, 2, 2, 3, 3, 4, 8, 40))
        weights = [chance.random() ** chance.choice((1, 1, 4, 9)) + 1e-5 for _ in range(n)]
        total = chance.choice((0.05, 0.5, 0.98, 1, 1.0000001, 1.02, 1.05, 1.3, 1.9, 4, 12, 30))
        found = tuple(rounded(weight * total / sum(weights)) for weight in weights)
        if all(Decimal("0.000001") <= q <= Decimal("0.9991") for q in found):
            sets.append(found)
    return sorted(set(sets))


EDGES: Final[list[Values]] = [
    tuple(Decimal(q) for q in each)
    for each in (
        # 1.001 on both sides, and 1.00000001
        ("0.9990009990", "0.9990009990"),
        ("0.9999999900", "0.9999999900"),
        ("0.9999999900", "0.0000010000"),
        ("0.9999999900", "0.9999999900", "0.9999999900"),
        ("0.9990009990", "0.9990009990", "0.9990009990"),
        ("0.9990009990", "0.0010000000", "0.0000010000"),
        ("0.0250000000", "0.0250000000"),
        ("0.0200000000", "0.0200000000", "0.0100000000"),
        ("0.9000000000", "0.0000010000"),
        ("0.5000000000", "0.5000000000"),
        ("0.2000000000", "0.3000000000", "0.5000000000"),
        ("0.2500000000", "0.2500000000", "0.2500000000", "0.2500000000"),
        ("0.9677419355",) * 31,
        ("0.9000000000",) * 30 + ("0.0100000000", "0.9900000000"),
    )
]


@pytest.fixture(scope="module")
def sets() -> list[Values]:
    return EDGES + drawn(6, 400)


@pytest.fixture(scope="module")
def found(prepared_template: Warehouse, server: Any, clone_names: Any, sets: list[Values]) -> Any:
    made = server.clone_database(prepared_template, next(clone_names))
    try:
        yield solved(made, sets)
    finally:
        server.drop_database(made)


def test_the_edges_and_all_drawn_sets_survive(found: dict[Values, Fair], sets: list[Values]) -> None:
    assert found.keys() == set(sets)
    totals = [sum(each) for each in sets]
    assert min(totals) <= Decimal("0.05") and max(totals) >= 30


def test_what_must_hold_of_any_set(found: dict[Values, Fair]) -> None:
    for implied, values in found.items():
        total, count = sum(implied), len(implied)
        for method in METHODS:
            fair_values = getattr(values, method)
            if fair_values is None:
                assert method == ("shin" if total < 1 else "additive")
                continue
            assert abs(sum(fair_values) - 1) <= count * SMALL, (method, implied)
            assert all(0 <= p <= 1 for p in fair_values), (method, implied)
            ordered = sorted(zip(implied, fair_values, strict=True))
            assert all(a[1] <= b[1] for a, b in itertools.pairwise(ordered)), (method, implied)
            if total == 1:
                assert fair_values == implied
        if count == 2 and total >= 1:
            assert values.shin == values.additive is not None
        assert values.shin_z is None or 0 <= values.shin_z < 1
        assert values.power_k > 0
        assert (values.power_k >= 1 or total < 1) and (values.power_k <= 1 or total > 1)


def test_another_solver_finds_the_same(found: dict[Values, Fair]) -> None:
    for implied, values in found.items():
        expected = fair(tuple(map(Fraction, implied)))
        for column in ("multiplicative", "additive", "power", "shin"):
            ours, theirs = getattr(values, column), getattr(expected, column)
            assert (ours is None) == (theirs is None), (column, implied)
            if ours is not None:
                assert all(abs(a - b) <= SMALL for a, b in zip(ours, theirs, strict=True)), (column, implied, ours, theirs)


def test_a_package_finds_the_same(found: dict[Values, Fair]) -> None:
    compared = 0
    for implied, values in found.items():
        odds = [float(1 / q) for q in implied]
        for method in METHODS:
            ours = getattr(values, method)
            # with sums that are 1 within the last digits the package refuses, or not, as its floats fall
            if ours is None or (method == "shin" and abs(sum(implied) - 1) < Decimal("0.00000001")):
                continue
            theirs = odds_tools.fair_probabilities(odds, method)
            assert all(abs(float(a) - b) < 1e-9 for a, b in zip(ours, theirs, strict=True)), (method, implied, ours, theirs)
            compared += 1
    assert compared > 1000
