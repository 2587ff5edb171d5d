"""Formulas that stand in macros, against exact arithmetic in Python; the SQL runs on PostgreSQL."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from typing import Any

import jinja2
import pytest

from pipeline.contracts import semantics
from pipeline.contracts.rules import RULES
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse


def rendered(file: str, call: str) -> str:
    """One call of a macro that needs nothing of dbt."""
    source = resource(f"dbt/macros/{file}").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=False).from_string(source + "{{ " + call + " }}").render().strip()


def answers(warehouse: Warehouse, query: str, values: Sequence[Any]) -> list[Any]:
    """The first column of a query with one parameter."""
    with warehouse.connect(Role.READER) as connection:
        return [row[0] for row in connection.execute(query.encode(), [values]).fetchall()]


def rounded(value: Fraction, places: int) -> Decimal:
    """As PostgreSQL rounds: half away from zero."""
    scaled = Decimal(value.numerator * 10 ** (places + 2) // value.denominator) / 100
    return scaled.quantize(Decimal(1), ROUND_HALF_UP).scaleb(-places)


@pytest.mark.parametrize("size", range(9))
def test_the_median_of_others_leaves_out_one(prepared: Warehouse, size: int) -> None:
    ordered = [Decimal(number * number) / 8 for number in range(size)]
    text = rendered("median.sql", "median_of_others('given.ordered', 'given.position')")
    query = f"select {text} from (select %s::numeric[] as ordered, generate_series(1, 9) as position) as given"
    query += " where position <= cardinality(ordered)"

    others = [ordered[:place] + ordered[place + 1 :] for place in range(size)]
    assert answers(prepared, query, ordered) == [statistics.median(rest) if rest else None for rest in others]


@pytest.mark.parametrize("size", range(7))
def test_the_median_of_all(prepared: Warehouse, size: int) -> None:
    ordered = [Decimal(number * number) / 8 for number in range(size)]
    text = rendered("median.sql", "median_of('given.ordered')")
    query = f"select {text} from (select %s::numeric[] as ordered) as given"
    assert answers(prepared, query, ordered) == [statistics.median(ordered) if ordered else None]


def decimal_of(american: int) -> Fraction:
    return 1 + (Fraction(american, 100) if american > 0 else Fraction(100, -american))


@pytest.mark.parametrize(("macro", "places"), [("price_decimal", 8), ("implied_probability", 10)])
def test_american_prices_are_exact_to_the_last_place(prepared: Warehouse, macro: str, places: int) -> None:
    prices = [sign * price for price in (*range(100, 1300), 9999, 10_000, 100_000, 999_999) for sign in (1, -1)]
    text = rendered("prices.sql", f"{macro}('given.price', {chr(34)}'american'{chr(34)})")
    found = answers(prepared, f"select {text} from unnest(%s::numeric[]) as given (price)", prices)

    exact = [decimal_of(price) if macro == "price_decimal" else 1 / decimal_of(price) for price in prices]
    assert found == [rounded(value, places) for value in exact]


@pytest.mark.parametrize(("macro", "places"), [("price_decimal", 8), ("implied_probability", 10)])
def test_decimal_prices_are_exact_and_below_one_there_is_none(prepared: Warehouse, macro: str, places: int) -> None:
    prices = [Decimal(cents) / 100 for cents in range(90, 1300)]
    text = rendered("prices.sql", f"{macro}('given.price', {chr(34)}'decimal'{chr(34)})")
    found = answers(prepared, f"select {text} from unnest(%s::numeric[]) as given (price)", prices)

    exact = [Fraction(price) if macro == "price_decimal" else 1 / Fraction(price) for price in prices]
    assert found == [None if price < 1 else rounded(value, places) for price, value in zip(prices, exact, strict=True)]


def test_a_placeholder_is_the_same_price_in_sql_and_in_the_rules_of_answers() -> None:
    [limit] = re.findall(r"lowest_price <= ([0-9.]+)", resource("dbt/macros/sets.sql").read_text(encoding="utf-8"))
    assert f"above {limit}," in RULES["market.placeholder_price"].promise
    assert 1 / float(limit) >= semantics._PLACEHOLDER > 1 / (float(limit) + 0.000001)


def test_seconds_between_nothing_and_a_time_are_unknown(prepared: Warehouse) -> None:
    source = resource("dbt/macros/engine.sql").read_text(encoding="utf-8")
    call = "{{ default__seconds_between('given.a', 'given.b') }}"
    text = jinja2.Environment(autoescape=False).from_string(source + call).render()
    query = f"select {text} from (values (null::timestamptz, 'epoch'::timestamptz), ('epoch', null),"
    query += " ('epoch', '1970-01-01T00:00:01.9Z'),"
    query += " ('1970-01-01T00:00:01.9Z', 'epoch'), ('epoch', '9999-01-01Z')) as given (a, b) where %s::int[] is not null"
    assert answers(prepared, query, []) == [None, None, 1, -2, 2147483647]
