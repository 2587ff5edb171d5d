"""Break good rows in every way that a contract's rule is there for, and see each of them noticed.

A mutant is a copy of one good row with some columns set to something else. It lies in a temporary table, which has none of the
constraints of the real one; what the real table refuses by itself (null, a second row of one key) is tried there too, and must
be refused. All of it happens in a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import psycopg

from pipeline.contracts.row_rules import RuleCount, count_broken
from pipeline.contracts.tables import KEY_IS_UNIQUE, Rule, TableContract, read_contracts
from pipeline.warehouse.connect import Connection, Role, Warehouse

Trial = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class RowMutant:
    """How a row is broken.

    Attributes:
        changes: column → SQL expression over the good row.
        of: which rows can be broken so.
        copies: how many rows of it there are.
        refused_by: the error with which the real table refuses it, if it does.
    """

    changes: Mapping[str, str]
    of: str = "true"
    copies: int = 1
    refused_by: type[psycopg.Error] | None = field(default=None)

    def __str__(self) -> str:
        if self.copies > 1:
            return f"{self.copies} times the same row"
        return ", ".join(f"{column} = {value}" for column, value in self.changes.items())


def _one(of: str = "true", **changes: str) -> RowMutant:
    return RowMutant(changes, of)


# by the rule's name; where a table needs another, by the table's name and the rule's
MUTANTS: Final[Mapping[str, tuple[RowMutant, ...]]] = {
    "a_book_speaks_for_a_sharp_group": (
        _one("opening_basis = 'sharp'", bookmaker_key="null"),
        _one("opening_basis = 'sharp'", price_decimal="null"),
    ),
    "a_price_at_or_below_1_is_a_problem": (
        _one("problem is null", price_decimal="1"),
        _one("problem is null", price_decimal="null"),
    ),
    "age_is_not_negative": (_one(quote_age_seconds="-1"),),
    "gold.best_price.age_is_not_negative": (_one(age_at_open_seconds="-1"),),
    "gold.consensus.age_is_not_negative": (_one(oldest_quote_age_at_open_seconds="-1"),),
    "gold.closings.age_is_not_negative": (_one("price_native is not null", closing_age_seconds="-1"),),
    "arrays_have_one_length": (
        _one(outcome_sides="outcome_sides || outcome_sides"),
        _one("fair_shin is not null", fair_shin="fair_shin[2:]"),
        _one(outcome_names="'{}'", outcome_sides="'{}'", implied_probabilities="'{}'"),
    ),
    "away_score_is_the_number_sent": (
        _one("away_score is not null", away_score="away_score + 1"),
        _one("away_score is not null", away_score_text="null"),
    ),
    "best_hold_is_below_1": (_one(best_hold="1"),),
    "best_price_is_above_1": (_one(best_price_decimal="0"), _one(best_price_decimal="1")),
    "body_sha256_is_a_hash": (_one(body_sha256="upper(body_sha256)"), _one(body_sha256="''")),
    "bookmaker_key_is_not_empty": (_one(bookmaker_key="''"),),
    "books_is_an_object": (_one(books="'[]'::jsonb"),),
    "catalogue_facts_come_from_the_catalogue": (_one("not is_catalogue", is_active="true"),),
    "completed_since_where_completed": (_one("completed", completed_since="null"), _one("completed", completed="false")),
    "delta_point_follows": (_one("delta_point is not null", delta_point="delta_point + 1"), _one(delta_point="99")),
    "delta_probability_at_one_point": (
        _one("delta_probability is not null", delta_probability="delta_probability + 0.1"),
        _one("delta_probability is not null", kind="'outcome_set'"),
        _one("delta_point <> 0", delta_probability="new_probability - old_probability"),
    ),
    "deviation_within_the_range": (_one(stddev_pop="-0.1"), _one(stddev_pop="probability_max - probability_min + 0.1")),
    "direction_fits_the_outcome": (
        _one("outcome_side = 'home' and direction is not null", direction="'over'"),
        _one("outcome_side = 'over' and direction is not null", direction="'away'"),
        _one("outcome_side = 'draw'", direction="'home'"),
    ),
    "direction_follows_the_probability": (
        _one("delta_probability > 0 and outcome_side = 'home'", direction="'away'"),
        _one("delta_probability < 0 and outcome_side = 'under'", direction="'under'"),
    ),
    "duplicate_no_counts_from_1": (_one(duplicate_no="0"),),
    "event_id_is_not_empty": (_one(event_id="''"),),
    "fair_basis_follows_the_line": (
        _one("fair_basis <> 'half_stake'", line_point="2.25"),
        _one("line_point = 0.5", fair_basis="'half_stake'"),
    ),
    "fair_keeps_the_order": tuple(
        _one(
            "implied_probabilities[1] > implied_probabilities[2] and fair_shin is not null and cardinality(fair_shin) = 2",
            **{column: f"array[{column}[2], {column}[1]]"},
        )
        for column in ("fair_multiplicative", "fair_additive", "fair_power", "fair_shin")
    ),
    "fair_methods_together": (
        _one("fair_power is not null", fair_power="null"),
        _one("fair_shin is not null", fair_power="null", fair_multiplicative="null"),
    ),
    "fair_probabilities_in_range": (
        _one(
            "fair_additive is not null",
            fair_additive="array[1] || array_fill(0::numeric, array[cardinality(fair_additive) - 1])",
        ),
        *(
            _one("cardinality(fair_shin) = 2", **{column: "array[1.1, -0.1]"})
            for column in ("fair_multiplicative", "fair_power", "fair_shin")
        ),
    ),
    "fair_probabilities_sum_to_1": tuple(
        _one(f"cardinality({column}) = 2", **{column: f"array[{column}[1] + 0.0000000003, {column}[2]]"})
        for column in ("fair_multiplicative", "fair_additive", "fair_power", "fair_shin")
    ),
    "fair_where_complete": (
        _one("fair_power is not null", fair_power="null"),
        _one("fair_power is not null", power_k="null"),
        _one("fair_power is not null", is_complete="false"),
        _one("not is_complete", fair_additive="implied_probabilities"),
    ),
    "fields_are_never_complete": (_one("is_complete", outcome_set="'field'"), _one("is_complete", outcome_set="'other'")),
    "gap_where_replaced": (
        _one(kind="'replaced'", replaced_after_seconds="null"),
        _one(kind="'replaced'", replaced_after_seconds="-1"),
        _one(kind="'apart'", replaced_after_seconds="1"),
    ),
    "gaps_take_time": (
        _one(capture_gap_seconds="-1"),
        _one(seconds_since_last_change="-1", capture_gap_seconds="-1"),
        _one(seconds_since_last_change="capture_gap_seconds - 1"),
    ),
    "home_score_is_the_number_sent": (_one("home_score is not null", home_score="home_score + 1"),),
    "incomplete_sets_have_a_problem": (_one("is_complete and problem is null", is_complete="false"),),
    "kind_says_what_changed": (
        _one("kind = 'price'", kind="'point'"),
        _one("kind = 'price'", kind="'both'"),
        _one("kind = 'both'", kind="'price'"),
    ),
    "last_seen_not_before_first_seen": (_one("last_seen_at is not null", last_seen_at="first_seen_at - interval '1 s'"),),
    "last_seen_not_before_valid_from": (_one(last_seen_at="valid_from - interval '1 s'"),),
    "last_seen_within_the_stretch": (
        _one("valid_to is not null", last_seen_at="valid_to"),
        _one("valid_to is not null", last_seen_at="valid_from - interval '1 s'"),
    ),
    "liability_is_lay_less_1": (_one(lay_liability="lay_price_decimal"), _one(lay_price_decimal="1", lay_liability="0")),
    "line_point_is_the_point_or_its_mirror": (_one("line_point is not null", line_point="line_point + 0.5"),),
    "line_rank_counts_from_1": (_one(line_rank="0"),),
    "market_key_is_not_empty": (_one(market_key="''"),),
    "margin_and_hold_follow": (
        _one("is_complete", margin="null"),
        _one("is_complete", hold="null"),
        _one("is_complete", margin="overround"),
        _one("is_complete", hold="margin"),
    ),
    "markets_only_with_odds": (_one("book_markets <> '{}'", shows_odds="false"),),
    "mean_between_the_extremes": (
        _one("fair_mean is not null", fair_mean="probability_max + 0.0000000001"),
        _one("fair_sharp is not null", fair_sharp="probability_min - 0.0000000001"),
        _one("probability_min < probability_max", probability_min="probability_max", probability_max="probability_min"),
    ),
    "median_and_mean_together": (_one("fair_mean is not null", fair_mean="null"), _one("fair_mean is null", fair_mean="0.5")),
    "median_between_the_extremes": (
        _one("fair_median is not null", fair_median="probability_max + 0.1", median_sum="1"),
        _one("fair_median is not null", fair_median="probability_min - 0.1", median_sum="1"),
    ),
    "method_problems_are_true": (
        _one("fair_additive is not null", problem="'additive_negative'"),
        _one("overround > 1", problem="'underround'"),
        _one("fair_additive is not null and problem is null", fair_additive="null"),
    ),
    "midpoint_between_the_sides": (_one(midpoint_probability="0.0000001"), _one(midpoint_probability="0.9999999")),
    "net_is_not_above_the_price": (
        _one(back_net_price_decimal="back_price_decimal + 0.01"),
        _one(back_net_price_decimal="1"),
    ),
    "no_margin_no_change": (_one("fair_shin is not null", overround="1"),),
    "no_more_books_offer_it_than_count": (_one(book_count="0"),),
    "none_has_no_quote": (_one("price_native is not null", close_status="'none'"),),
    "not_yet_before_the_opening": (_one("not_yet_at is not null", not_yet_at="first_seen_at"),),
    "one_group_deviates_by_nothing": (
        _one("group_count = 1", stddev_pop="0.0000000001"),
        _one("probability_min < probability_max", group_count="1", stddev_pop="0"),
    ),
    "only_listings_tell_absence": (_one(covers_listing="not covers_listing"),),
    "open_rows_have_no_end": (
        _one("valid_to is null", last_seen_at="valid_from"),
        _one("valid_to is not null", observations="null"),
    ),
    "open_rows_say_so": (_one("valid_to is not null", end_reason="'open'"), _one("valid_to is not null", valid_to="null")),
    "opening_where_not_censored": (
        _one("not is_left_censored", opened_at="null"),
        _one("is_left_censored", opened_at="first_seen_at"),
    ),
    "outcomes_are_sorted": (_one("cardinality(outcome_names) = 2", outcome_names="array[outcome_names[2], outcome_names[1]]"),),
    "overround_is_the_sum": (_one(overround="overround + 0.0000000001"), _one(overround="null")),
    "overround_is_positive": (_one(overround="0"),),
    "participant_id_is_not_empty": (_one(participant_id="''"),),
    "place_counts_from_0": (_one(place="-1"),),
    "power_k_follows_the_margin": (
        _one("overround > 1", power_k="0.9"),
        _one("overround < 1", power_k="1.1"),
        _one("power_k is not null", power_k="0"),
    ),
    "prev_seen_before_valid_from": (_one("prev_seen_at is not null", prev_seen_at="valid_from"),),
    "price_and_probability_together": (
        _one("price_decimal is not null", price_decimal="null"),
        _one("price_decimal is not null", implied_probability="null"),
    ),
    "price_decimal_is_a_price": (_one(price_decimal="0"), _one(price_decimal="-2")),
    "price_decimal_is_above_1": (_one("price_decimal is not null", price_decimal="1"),),
    "probabilities_in_range": (
        _one(probability_min="-0.1"),
        _one(probability_max="1.1"),
        _one(fair_median="1.1"),
        _one(median_sum="0"),
    ),
    "probability_in_range": (_one(implied_probability="0"), _one(implied_probability="1.1"), _one(implied_probability="'NaN'")),
    "gold.market_openings.probability_in_range": (_one(probability="0"), _one(probability="1")),
    "gold.fair_probabilities.probability_in_range": (
        _one(implied_probability="0"),
        _one(implied_probability="1"),
        *(_one(**{column: "-0.1"}) for column in ("fair_multiplicative", "fair_additive", "fair_power", "fair_shin")),
    ),
    "problem_where_not_sound": (
        _one("is_sound", problem="'incomplete'"),
        _one("not is_sound", problem="null"),
        _one("not is_sound", problem="'underround'"),
    ),
    "probability_is_one_over_price": (_one("price_decimal is not null", price_decimal="price_decimal + 1"),),
    "quote_at_is_the_earlier_time": (_one(quote_at="captured_at + interval '1 s'"),),
    "quote_at_not_after_captured_at": (_one(quote_at="captured_at + interval '1 s'"),),
    "quote_at_not_after_first_seen": (_one(quote_at="first_seen_at + interval '1 s'"),),
    "quotes_close_before_the_start": (_one("quote_at is not null", quote_at="start_at + interval '1 s'"),),
    "reason_where_not_usable": (_one("is_usable", is_usable="false"), _one("is_usable", reason="'too_old'")),
    "runner_up_is_below_the_best": (_one("runner_up_price_decimal is not null", runner_up_price_decimal="best_price_decimal"),),
    "runner_up_where_more_books_count": (
        _one("runner_up_price_decimal is not null", runner_up_price_decimal="null"),
        _one("runner_up_price_decimal is null", book_count="book_count + 1"),
    ),
    "runner_coverage_of_fields": (
        _one("outcome_set <> 'field'", runner_coverage="1"),
        _one("runner_coverage is not null", runner_coverage="0"),
        _one("runner_coverage is not null", runner_coverage="1.1"),
    ),
    "scores_or_a_problem": (_one("completed and problem is null", home_score="null"),),
    "seen_at_least_once": (_one(observations="0"),),
    "seen_for_is_not_negative": (_one(seen_for_seconds="-1"),),
    "set_no_counts_from_1": (_one(set_no="0"),),
    "sharp_basis_is_named": (
        _one("fair_sharp is null", sharp_basis="'pinnacle'"),
        _one("fair_sharp is not null", sharp_basis="'none'"),
    ),
    "sharp_only_with_the_median": (_one("fair_sharp is not null", fair_median="null"),),
    "sharp_weight_where_sharp": (
        _one(sharp_weight_total="-0.1"),
        _one("fair_sharp is not null", sharp_weight_total="0"),
    ),
    "shin_is_additive_at_two": (
        _one("cardinality(fair_shin) = 2", fair_shin="array[fair_shin[1] + 0.0000000001, fair_shin[2] - 0.0000000001]"),
    ),
    "shin_where_no_underround": (
        _one("fair_shin is not null", fair_shin="null"),
        _one("fair_shin is not null", shin_z="null"),
        _one("fair_shin is null and fair_power is not null", fair_shin="fair_power"),
    ),
    "shin_z_in_range": (_one("shin_z is not null", shin_z="1"), _one("shin_z is not null", shin_z="-0.1")),
    "since_seen_is_not_negative": (_one(seconds_since_seen="-1"),),
    "some_book_offers_it": (_one(books="'{}'"),),
    "some_group_speaks": (_one(group_count="0"), _one(book_count="group_count - 1")),
    "some_group_opens_it": (_one(operator_groups="'{}'"),),
    "sound_sets_are_complete": (_one("is_sound", is_complete="false"),),
    "source_rank_in_range": (_one(source_rank="0"), _one(source_rank="6")),
    "sport_key_is_not_empty": (_one(sport_key="''"),),
    "spread_is_lay_less_back": (_one(spread="spread + 0.01"),),
    "stands_since_before_it_was_seen": (_one(valid_from="captured_at + interval '1 s'"),),
    "start_changes_are_counted": (_one(start_change_count="-1"),),
    "start_follows_from_acceptance": (
        _one(start_as_known="start_as_known + interval '1 s'"),
        _one("old_start <> new_start", accepted="not accepted"),
    ),
    "starts_are_near": (_one(start_gap_seconds="21601"), _one(start_gap_seconds="-1")),
    "the_first_start_is_accepted": (_one("old_start is null", accepted="false"),),
    "the_quote_is_whole": (
        _one("price_native is not null", quote_at="null"),
        _one("price_native is not null", price_native="null"),
    ),
    "together_where_both_listed": (
        _one(kind="'both_listed'", both_listed_from="null"),
        _one(kind="'apart'", both_listed_from="start_at"),
    ),
    "two_ids": (_one(other_event_id="event_id"),),
    "unlisted_events_were_last_seen": (_one("last_seen_at is not null", status="'gone'", last_seen_at="null"),),
    "valid_from_before_valid_to": (_one(valid_to="valid_from"), _one(valid_to="valid_from - interval '1 s'")),
    "window_is_not_empty": (_one(commence_from="captured_at", commence_to="captured_at - interval '1 s'"),),
}

# Good rows of what the bundled recording does not hold.
ROWS: Final[Mapping[str, str]] = {
    "silver.participants": """{"exchange_id": "00000000-0000-0000-0000-000000000001", "participant_id": "par_1",
        "sport_key": "basketball_nba", "captured_at": "2025-01-01T00:00:00Z", "full_name": "Some Team"}""",
}


def mutants_of(contract: TableContract, rule: Rule) -> tuple[RowMutant, ...]:
    """How rows of a table are broken so that one rule must notice; empty where nobody wrote it down."""
    column = rule.name.removesuffix("_is_there")
    if column != rule.name and rule.condition == f"{column} is not null":
        return (RowMutant({column: "null"}, refused_by=None if contract.is_view else psycopg.errors.NotNullViolation),)
    if rule.name.endswith("_is_known") and rule not in contract.written_rules:
        return (RowMutant({rule.name.removesuffix("_is_known"): "'no such value'"}),)
    if rule.name == KEY_IS_UNIQUE:
        return (RowMutant({}, copies=2, refused_by=None if contract.is_view else psycopg.errors.UniqueViolation),)
    return MUTANTS.get(f"{contract.name}.{rule.name}", MUTANTS.get(rule.name, ()))


def score(warehouse: Warehouse) -> list[Trial]:
    """Try every mutant of every rule.

    Args:
        warehouse: holds the bundled recording; nothing in it is changed.

    Returns:
        (rule, mutant, killer): the rule as ``schema.table.rule``; the killer names every place that noticed, and is None where
        one that should have noticed did not, where no good row could be broken so, and where a rule has no mutant.
    """
    with warehouse.connect(Role.TRANSFORMER) as connection:
        try:
            return [trial for contract in read_contracts() for trial in _trials(connection, contract)]
        finally:
            connection.rollback()


def false_alarms(warehouse: Warehouse) -> list[tuple[str, RuleCount]]:
    """(table, rule) of every rule that some row of a warehouse breaks: of good rows none may."""
    with warehouse.connect(Role.READER) as connection:
        return [(contract.name, found) for contract in read_contracts() for found in count_broken(connection, contract)]


def _trials(connection: Connection, contract: TableContract) -> Iterator[Trial]:
    _execute(connection, "drop table if exists pg_temp.good, pg_temp.broken")
    _execute(connection, f"create temporary table good as select * from {contract.name}")
    if contract.name in ROWS:
        row = ROWS[contract.name].replace("'", "''")
        _execute(
            connection, f"insert into pg_temp.good select * from jsonb_populate_record(null::pg_temp.good, '{row}'::jsonb)"
        )
    _execute(connection, "create temporary table broken as select * from pg_temp.good limit 0")
    for rule in contract.rules:
        name = f"{contract.name}.{rule.name}"
        mutants = mutants_of(contract, rule)
        if not mutants:
            yield name, "there is no mutant", None
        for mutant in mutants:
            yield name, str(mutant), _killer(connection, contract, rule, mutant)


def _killer(connection: Connection, contract: TableContract, rule: Rule, mutant: RowMutant) -> str | None:
    _execute(connection, "delete from pg_temp.broken")
    columns = ", ".join(
        f"cast({mutant.changes.get(column.name, column.name)} as {column.physical_type}) as {column.name}"
        for column in contract.columns
    )
    good = f"select * from pg_temp.good where {mutant.of} order by {', '.join(contract.key)} limit 1"
    rows = f"select {columns} from ({good}) as good"
    made = connection.execute(
        f"insert into pg_temp.broken select made.* from ({rows}) as made, generate_series(1, {mutant.copies})".encode()
    )
    if made.rowcount != mutant.copies:
        return None
    if rule.name not in {found.rule for found in count_broken(connection, contract, "pg_temp.broken")}:
        return None
    if mutant.refused_by is None:
        return "contract"
    return "contract and table" if _is_refused(connection, contract, mutant.refused_by) else None


def _is_refused(connection: Connection, contract: TableContract, error: type[psycopg.Error]) -> bool:
    """Whether the real table refuses the broken rows, with this error."""
    try:
        with connection.transaction(force_rollback=True):
            _execute(connection, f"insert into {contract.name} select * from pg_temp.broken")
    except error:
        return True
    return False


def _execute(connection: Connection, statement: str) -> None:
    connection.execute(statement.encode())
