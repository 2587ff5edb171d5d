"""Break good rows in every way that a contract's rule is there for, and see each of them noticed, at every place that says so.

A mutant is one good row with some columns set to something else. Where a rule is enforced:

suite  of Great Expectations, on whole tables. The mutants of a contract lie side by side in a table without constraints. The
       rules are asked about each of them alone; the suite, which sees all of them, must count as many broken rows of each rule.
batch  the question that is asked in a batch's transaction, about the rows it touched: of the real table, in which the row is
       broken, in a transaction that is rolled back. What a table refuses by itself is broken by taking its constraint away.
table  the real table refuses the row: a null, or a second row of one key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import psycopg

from pipeline.contracts.mutations.score import Score, Trial
from pipeline.contracts.row_rules import batch_query, broken_rules, count_broken
from pipeline.contracts.suites import run_suites
from pipeline.contracts.tables import KEY_IS_UNIQUE, Rule, TableContract, read_contracts
from pipeline.warehouse.connect import Connection, Role, Warehouse

SUITE: Final = "suite"
BATCH: Final = "batch"
TABLE: Final = "table"


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
    "ages_are_in_order": (
        _one("quote_age_p50_seconds is not null", quote_age_p95_seconds="quote_age_p50_seconds - 1"),
        _one("quote_age_p50_seconds is not null", quote_age_p50_seconds="-1"),
    ),
    "an_exact_match_keeps_the_name": (_one("match = 'exact'", player="player || 'x'"),),
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
    "best_hold_follows": (
        _one("best_hold is not null", best_hold="best_hold + 0.00001"),
        _one("best_hold is not null", best_hold="null"),
    ),
    "best_price_is_above_1": (_one(best_price_decimal="0"), _one(best_price_decimal="1")),
    "best_prices_are_above_1": (
        _one("over_price_decimal is not null", over_price_decimal="1"),
        _one("under_price_decimal is not null", under_price_decimal="0.5"),
    ),
    "body_sha256_is_a_hash": (_one(body_sha256="upper(body_sha256)"), _one(body_sha256="''")),
    "books_are_sorted_and_stand_once": (
        _one(books="books || books"),
        _one("cardinality(books) > 1", books="array(select book.key from unnest(books) as book (key) order by 1 desc)"),
    ),
    "bookmaker_key_is_not_empty": (_one(bookmaker_key="''"),),
    "books_where_a_price": (
        _one("over_price_decimal is not null", over_books="'{}'"),
        _one("under_price_decimal is not null", under_books="'{}'"),
    ),
    "candidates_where_not_joined": (_one("match = 'exact'", candidates="array['x']"),),
    "books_is_an_object": (_one(books="'[]'::jsonb"),),
    "catalogue_facts_come_from_the_catalogue": (_one("not is_catalogue", is_active="true"),),
    "completed_since_where_completed": (_one("completed", completed_since="null"), _one("completed", completed="false")),
    "counts_are_not_negative": tuple(
        _one(**{column: "-1"})
        for column in ("events", "books", "outcomes", "baseline_batches", "credits", "starts_suspect", "results_missing")
    ),
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
    "held_back_is_not_negative": (_one(held_back="-1"),),
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
    "markets_are_of_books_shown": (_one("book_markets <> '{}'", books="'{}'::jsonb"),),
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
    "medians_where_there_is_a_baseline": (
        _one("baseline_batches > 0", events_median="null"),
        _one("baseline_batches > 0", books_median="null"),
        _one("baseline_batches > 0", outcomes_median="null"),
        _one("baseline_batches > 0", baseline_batches="0"),
    ),
    "midpoint_between_the_sides": (_one(midpoint_probability="0.0000001"), _one(midpoint_probability="0.9999999")),
    "name_is_not_empty": (_one(name_as_sent="''"),),
    "net_is_not_above_the_price": (
        _one(back_net_price_decimal="back_price_decimal + 0.01"),
        _one(back_net_price_decimal="1"),
    ),
    "no_margin_no_change": (_one("fair_shin is not null", overround="1"),),
    "no_more_books_offer_it_than_count": (_one(book_count="0"),),
    "gold.prop_prices.no_more_books_offer_it_than_count": (_one(over_book_count="-1"), _one(under_book_count="-1")),
    "no_more_answers_than_requests": (_one(answered="asked + 1"), _one(answered="-1")),
    "no_outcomes_without_events": (_one("outcomes > 0", events="0"), _one("outcomes > 0", books="0")),
    "no_player_where_they_collide": (
        _one("player is not null", player="null"),
        _one("player is not null", reason="'collision'"),
    ),
    "none_has_no_quote": (_one("price_native is not null", close_status="'none'"),),
    "normalised_names_are_lower_case": (
        _one(normalised_name="'J. Smith'"),
        _one(normalised_name="normalised_name || ' '"),
        _one(normalised_name="'j. smith'"),
    ),
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
    "reason_where_unmatched": (
        _one("match = 'unmatched'", match="'alias'"),
        _one("match <> 'unmatched'", match="'unmatched'"),
    ),
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
    "some_side_is_offered": (_one(over_price_decimal="null", under_price_decimal="null"),),
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


def places(contract: TableContract, mutant: RowMutant) -> tuple[str, ...]:
    """Where a mutant of a contract must be noticed."""
    batch = (BATCH,) if contract.is_checked_per_batch else ()
    return (SUITE, *batch, *((TABLE,) if mutant.refused_by else ()))


def score(warehouse: Warehouse, scopes: Mapping[str, str], contracts: Sequence[TableContract] | None = None) -> Score:
    """Try every mutant of every rule at every place, and see whether a rule fires on good rows.

    Args:
        warehouse: holds the bundled recording, and is nobody's: tables come and go in it, and are gone at the end.
        scopes: ``schema.table`` of each stored table → the condition over alias ``t`` that picks the rows a batch touched.
        contracts: by default the project's own.
    """
    chosen = read_contracts() if contracts is None else contracts
    trials: list[Trial] = []
    silent: list[str] = []
    for contract in chosen:
        mutants = [(rule, mutant) for rule in contract.rules for mutant in mutants_of(contract, rule)]
        killers = _Killers(warehouse, contract, scopes.get(contract.name, "false"), mutants)
        noticed = {SUITE: killers.suite(), BATCH: killers.batch(), TABLE: killers.table()}
        for number, (rule, mutant) in enumerate(mutants):
            wanted = places(contract, mutant)
            trials += [
                Trial(f"{contract.name}.{rule.name}", str(mutant), place, ", ".join(wanted), number in noticed[place])
                for place in wanted
            ]
        silent += [
            f"{contract.name}.{rule.name}: there is no mutant" for rule in contract.rules if not mutants_of(contract, rule)
        ]
    return Score(trials, silent, false_alarms(warehouse, chosen))


def false_alarms(warehouse: Warehouse, contracts: Sequence[TableContract] | None = None) -> list[str]:
    """What rules find in good rows: nothing, or they are wrong."""
    with warehouse.connect(Role.READER) as connection:
        return [
            f"{contract.name} ({found.example}) by {found.rule}"
            for contract in (read_contracts() if contracts is None else contracts)
            for found in count_broken(connection, contract)
        ]


@dataclass(frozen=True)
class _Killers:
    """What notices the mutants of one contract. Each place gives the numbers of those that it noticed."""

    warehouse: Warehouse
    contract: TableContract
    scope: str
    mutants: Sequence[tuple[Rule, RowMutant]]

    def suite(self) -> set[int]:
        columns = ", ".join(column.name for column in self.contract.columns)
        # a row of one key twice would be seen among the others; it lies apart
        shown = {"mutants": "not is_key", "twins": "is_key"}
        contracts = [replace(self.contract, table=name, is_view=True) for name in shown]
        with self.warehouse.connect(Role.TRANSFORMER) as connection:
            good_rows(connection, self.contract)
            alone = self._lay_out(connection)
            for name, condition in shown.items():
                _execute(
                    connection,
                    f"create view {self.contract.schema}.{name} as select {columns} from {self._laid} where {condition}",
                )
            connection.commit()
            try:
                found = run_suites(self.warehouse, contracts)
            finally:
                _execute(connection, f"drop table {self._laid} cascade")
                connection.commit()
        counted = [Counter({each.rule: each.failing for each in suite.broken}) for suite in found]
        noticed = set()
        for number, (rule, _) in enumerate(self.mutants):
            is_key = _is_key(rule)
            expected = sum(alone[other][rule.name] for other, (own, _) in enumerate(self.mutants) if _is_key(own) == is_key)
            if alone[number][rule.name] and counted[is_key][rule.name] == expected:
                noticed.add(number)
        return noticed

    @property
    def _laid(self) -> str:
        return f"{self.contract.schema}.all_mutants"

    def _lay_out(self, connection: Connection) -> list[Counter[str]]:
        """All mutants in one table; of each, how many rows break which rule."""
        columns = ", ".join(column.name for column in self.contract.columns)
        _execute(
            connection, f"create table {self._laid} as select 0 as number, false as is_key, {columns} from pg_temp.good limit 0"
        )
        alone = []
        for number, (rule, mutant) in enumerate(self.mutants):
            _execute(
                connection,
                f"insert into {self._laid} select {number}, {_is_key(rule)}, made.*"
                f" from ({_broken_row(self.contract, mutant)}) as made, generate_series(1, {mutant.copies})",
            )
            relation = f"(select {columns} from {self._laid} where number = {number}) as one"
            alone.append(Counter({each.rule: each.failing for each in count_broken(connection, self.contract, relation)}))
        return alone

    def batch(self) -> set[int]:
        if not self.contract.is_checked_per_batch:
            return set()
        with self.warehouse.connect(Role.TRANSFORMER) as connection:
            try:
                good_rows(connection, self.contract)
                _execute(connection, f"insert into {self.contract.name} select * from pg_temp.good on conflict do nothing")
                found = [self._in_batch(connection, rule, mutant) for rule, mutant in self.mutants]
            finally:
                connection.rollback()
        return {number for number, is_noticed in enumerate(found) if is_noticed}

    def _in_batch(self, connection: Connection, rule: Rule, mutant: RowMutant) -> bool:
        with connection.transaction(force_rollback=True):
            if mutant.refused_by:
                for column in ["", *mutant.changes]:
                    _execute(connection, _without_constraint(connection, self.contract, column))
            else:
                touched = connection.execute(_update(self.contract, mutant).encode()).fetchall()
                if len(touched) != 1:
                    return False
                _touch(connection, *touched[0])
            rows = connection.execute(batch_query(self.contract, self.scope).encode()).fetchall()
            return rule.name in {found.rule for found in broken_rules(self.contract, rows)}

    def table(self) -> set[int]:
        noticed = set()
        with self.warehouse.connect(Role.TRANSFORMER) as connection:
            good_rows(connection, self.contract)
            for number, (_, mutant) in enumerate(self.mutants):
                if mutant.refused_by and self._is_refused(connection, mutant, mutant.refused_by):
                    noticed.add(number)
            connection.rollback()
        return noticed

    def _is_refused(self, connection: Connection, mutant: RowMutant, error: type[psycopg.Error]) -> bool:
        """Whether the real table refuses the broken rows, with this error."""
        try:
            with connection.transaction(force_rollback=True):
                for _ in range(mutant.copies):
                    _execute(connection, f"insert into {self.contract.name} {_broken_row(self.contract, mutant)}")
        except error:
            return True
        return False


def good_rows(connection: Connection, contract: TableContract) -> None:
    """Copy a table, or what a view shows, into ``pg_temp.good``, with a row of what the bundled recording does not hold."""
    _execute(connection, "drop table if exists pg_temp.good")
    _execute(connection, f"create temporary table good as select * from {contract.name}")
    if contract.name in ROWS:
        row = ROWS[contract.name].replace("'", "''")
        _execute(
            connection, f"insert into pg_temp.good select * from jsonb_populate_record(null::pg_temp.good, '{row}'::jsonb)"
        )


def _is_key(rule: Rule) -> bool:
    return rule.name == KEY_IS_UNIQUE


def _first(contract: TableContract, mutant: RowMutant, columns: str) -> str:
    """The first good row that can be broken so."""
    return f"select {columns} from pg_temp.good where {mutant.of} order by {', '.join(contract.key)} limit 1"


def _broken_row(contract: TableContract, mutant: RowMutant) -> str:
    columns = ", ".join(
        f"cast({mutant.changes.get(column.name, column.name)} as {column.physical_type}) as {column.name}"
        for column in contract.columns
    )
    return f"select {columns} from ({_first(contract, mutant, '*')}) as good"


def _update(contract: TableContract, mutant: RowMutant) -> str:
    """Break the row in the real table; gives its event and its answer, where it has them."""
    types = {column.name: column.physical_type for column in contract.columns}
    changes = ", ".join(f"{name} = cast({value} as {types[name]})" for name, value in mutant.changes.items())
    key = ", ".join(contract.key)
    scope = ", ".join(name if name in types else "null" for name in ("event_id", "exchange_id"))
    return f"update {contract.name} set {changes} where ({key}) = ({_first(contract, mutant, key)}) returning {scope}"


def _touch(connection: Connection, event_id: str | None, exchange_id: str | None) -> None:
    """As if a batch had come that touches this row: one that takes an answer away, which touches whatever it may have told."""
    _execute(connection, "delete from ops.pending")
    _execute(connection, "delete from ops.touched_events")
    connection.execute(
        "insert into ops.pending (exchange_id, admitted) values (coalesce(%s::uuid, gen_random_uuid()), false)", [exchange_id]
    )
    if event_id is not None:
        connection.execute(
            "insert into ops.touched_events (event_id, sport_key, tail_from) values (%s, 'any', '-infinity')", [event_id]
        )


def _without_constraint(connection: Connection, contract: TableContract, column: str) -> str:
    """A statement that lets a table take a null in a column, or, without one, two rows of one key."""
    if column:
        return f"alter table {contract.name} alter column {column} drop not null"
    row = connection.execute(
        "select conname from pg_constraint where conrelid = to_regclass(%s) and contype = 'p'", [contract.name]
    ).fetchone()
    assert row is not None, contract.name
    return f'alter table {contract.name} drop constraint "{row[0]}"'


def _execute(connection: Connection, statement: str) -> None:
    connection.execute(statement.encode())
