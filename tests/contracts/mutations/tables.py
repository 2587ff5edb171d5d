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

from pipeline.contracts.row_rules import batch_query, broken_query, broken_rules, count_broken
from pipeline.contracts.suites import run_suites
from pipeline.contracts.tables import KEY_IS_UNIQUE, Rule, TableContract, read_contracts
from pipeline.warehouse.connect import Connection, Role, Warehouse
from tests.contracts.mutations.score import Score, Trial

SUITE: Final = "suite"
BATCH: Final = "batch"
TABLE: Final = "table"
# Where the rows are laid out that are to be broken.
GOOD: Final = "silver.good"


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


# a leg read later than it counts; the rows' other ages follow
_NEGATIVE: Final = "array_fill(-1, array[cardinality(ages_at_open)])"
_AGES: Final = (
    _one(ages_at_open=_NEGATIVE, max_leg_age_seconds="greatest((select max(a.a) from unnest(ages_at_best) as a (a)), -1)"),
    _one(ages_at_best=_NEGATIVE),
)
_LEGS: Final = tuple(
    _one("cardinality(outcome_names) = 2", **{column: f"{column}[1:1]"})
    for column in (
        "outcome_sides", "books_at_open", "prices_at_open", "stake_shares_at_open", "ages_at_open",
        "books_at_best", "prices_at_best", "stake_shares_at_best", "ages_at_best",
    )
)  # fmt: skip

# endpoints that list events without odds
_OF_EVENTS: Final = ("events", "historical_events", "scores")

# by the rule's name; where a table needs another, by the table's name and the rule's
MUTANTS: Final[Mapping[str, tuple[RowMutant, ...]]] = {
    "a_book_speaks_for_a_sharp_group": (
        _one("opening_basis = 'sharp'", bookmaker_key="null"),
        _one("opening_basis = 'sharp'", price_decimal="null"),
    ),
    "a_pair_stands_once": (_one(other_bookmaker_key="bookmaker_key"), _one(other_bookmaker_key="''")),
    "a_price_at_or_below_1_is_a_problem": (
        _one("problem is null", price_decimal="1"),
        _one("problem is null", price_decimal="null"),
    ),
    "a_probability_is_one": (_one(probability="0"), _one(probability="1")),
    "age_is_not_negative": (_one(quote_age_seconds="-1"),),
    "gold.best_price.age_is_not_negative": (_one(age_at_open_seconds="-1"),),
    "gold.consensus.age_is_not_negative": (_one(oldest_quote_age_at_open_seconds="-1"),),
    "gold.closings.age_is_not_negative": (_one("price_native is not null", closing_age_seconds="-1"),),
    "gold.arbitrages.age_is_not_negative": _AGES,
    "gold.arbitrages_clean.age_is_not_negative": _AGES,
    "gold.middles.age_is_not_negative": _AGES,
    "gold.middles_clean.age_is_not_negative": _AGES,
    "age_is_that_of_the_newest": (
        _one(closing_age_seconds="closing_age_seconds + 1"),
        _one(newest_quote_at="start_at + interval '1 s'", closing_age_seconds="-1"),
    ),
    "ages_are_in_order": (
        _one("quote_age_p50_seconds is not null", quote_age_p95_seconds="quote_age_p50_seconds - 1"),
        _one("quote_age_p50_seconds is not null", quote_age_p50_seconds="-1"),
    ),
    "all_move_among_those_quoting": (_one(quoting_count="size + other_way_count - 1"), _one(other_way_count="-1")),
    "an_exact_match_keeps_the_name": (_one("match = 'exact'", player="player || 'x'"),),
    "an_offer_is_told_whole": (
        _one("market_key is not null", bookmaker_key="null"),
        _one("market_key is not null", bookmaker_key="''"),
        _one("market_key is not null", market_key="''"),
        _one("market_key is not null", market_ordinal="null"),
    ),
    "an_outcome_is_told_whole": (
        *(
            _one("outcome_ordinal is not null", **{column: value})
            for column in ("bookmaker_key", "market_key")
            for value in ("null", "''")
        ),
        *(_one("outcome_ordinal is not null", **{column: "null"}) for column in ("outcome_name", "price_native")),
        _one("outcome_ordinal is not null", outcome_ordinal="null", price_native="null"),
        _one("outcome_ordinal is not null", outcome_ordinal="null", outcome_name="null"),
    ),
    "arrays_have_one_length": (
        _one(outcome_sides="outcome_sides || outcome_sides"),
        _one("fair_shin is not null", fair_shin="fair_shin[2:]"),
        _one(outcome_names="'{}'", outcome_sides="'{}'", implied_probabilities="'{}'"),
    ),
    "gold.arbitrages.arrays_have_one_length": (*_LEGS, _one("outcome_set = 'two_way'", outcome_set="'three_way'")),
    "gold.arbitrages_clean.arrays_have_one_length": _LEGS,
    "gold.middles.arrays_have_one_length": _LEGS,
    "gold.middles_clean.arrays_have_one_length": _LEGS,
    "away_score_is_the_number_sent": (
        _one("away_score is not null", away_score="away_score + 1"),
        _one("away_score is not null", away_score_text="null"),
    ),
    "best_hold_follows": (
        _one("best_hold is not null", best_hold="best_hold + 0.00001"),
        _one("best_hold is not null", best_hold="null"),
    ),
    "best_hold_is_below_1": (_one(best_hold="1"),),
    "best_is_as_good_as_the_first": (
        _one("best_at > valid_from", best_at="valid_from"),
        _one("best_at = valid_from", best_at="valid_from + interval '1 s'"),
    ),
    "gold.arbitrages.best_is_as_good_as_the_first": (
        _one("best_at > valid_from", best_at="valid_from"),
        _one("best_at > valid_from", margin_best="margin_at_open - 0.001"),
    ),
    "gold.middles.best_is_as_good_as_the_first": (
        _one("best_at > valid_from", best_at="valid_from"),
        _one("best_at > valid_from", cost_best="cost_at_open + 0.001"),
    ),
    "best_price_is_above_1": (_one(best_price_decimal="0"), _one(best_price_decimal="1")),
    "best_prices_are_above_1": (
        _one("over_price_decimal is not null", over_price_decimal="1"),
        _one("under_price_decimal is not null", under_price_decimal="0.5"),
    ),
    "best_within_the_stretch": (_one(best_at="valid_from - interval '1 s'"), _one("valid_to is not null", best_at="valid_to")),
    "body_sha256_is_a_hash": (_one(body_sha256="upper(body_sha256)"), _one(body_sha256="''")),
    "bookmaker_key_is_not_empty": (_one(bookmaker_key="''"),),
    "books_are_sorted_and_stand_once": (
        _one(books="books || books"),
        _one("cardinality(books) > 1", books="array(select book.key from unnest(books) as book (key) order by 1 desc)"),
    ),
    "books_is_an_object": (_one(books="'[]'::jsonb"),),
    "books_where_a_price": (
        _one("over_price_decimal is not null", over_books="'{}'"),
        _one("under_price_decimal is not null", under_books="'{}'"),
    ),
    "brier_follows": (
        _one("outcome_set <> 'three_way'", brier="brier + 0.0000000001"),
        _one("outcome_set = 'three_way'", brier="2.1"),
        _one("outcome_set = 'three_way'", brier="-0.1"),
    ),
    "candidates_where_not_joined": (_one("match = 'exact'", candidates="array['x']"),),
    "catalogue_facts_come_from_the_catalogue": (_one("not is_catalogue", is_active="true"),),
    "clean_is_fresh_and_before_the_start": (
        _one("quality = 'clean'", phase="'in_play'"),
        _one("quality = 'clean'", quality="'in_play'"),
        _one("quality = 'clean'", max_leg_age_seconds="null"),
    ),
    "close_where_there_is_one": (
        _one("price_closing is not null", price_closing="null"),
        _one("price_closing is not null", clv_status="'no_close'"),
    ),
    "closed_rows_say_what_was_seen": (
        _one("valid_to is not null", last_seen_at="null"),
        _one("valid_to is not null", captures="null"),
        _one("valid_to is null", captures="1"),
    ),
    "clv_ev_follows": (
        _one("clv_ev is not null", clv_ev="clv_ev + 0.0000000001"),
        _one("clv_ev is not null", clv_ev="null"),
        _one("clv_ev is not null", consensus_closing="null"),
    ),
    "clv_points_follow": (
        _one("clv_status = 'point_moved'", clv_points="-clv_points"),
        _one("clv_points is not null", clv_points="null"),
        _one("clv_points is null", clv_points="0"),
    ),
    "clv_price_follows": (_one("clv_price is not null", clv_price="clv_price + 0.0000000001"),),
    "clv_probability_follows": (_one("clv_probability is not null", clv_probability="clv_probability + 0.00000001"),),
    "completed_since_where_completed": (_one("completed", completed_since="null"), _one("completed", completed="false")),
    "counts_are_not_negative": tuple(
        _one(**{column: "-1"})
        for column in ("events", "books", "outcomes", "baseline_batches", "credits", "starts_suspect", "results_missing")
    ),
    "delta_point_follows": (_one("delta_point is not null", delta_point="delta_point + 1"), _one(delta_point="99")),
    "delta_point_follows_the_lines": (
        _one("delta_point is not null", delta_point="delta_point + 1"),
        _one("delta_point is not null", delta_point="null"),
    ),
    "delta_probability_at_one_point": (
        _one("delta_probability is not null", delta_probability="delta_probability + 0.1"),
        _one("delta_probability is not null", kind="'outcome_set'"),
        _one("delta_point <> 0", delta_probability="new_probability - old_probability"),
    ),
    "delta_probability_at_the_same_point": (
        _one("delta_probability is not null", delta_probability="delta_probability + 0.1"),
        _one("delta_probability is not null", delta_probability="null"),
        _one("delta_point <> 0", delta_probability="new_probability - old_probability"),
    ),
    "deviation_within_the_range": (_one(stddev_pop="-0.1"), _one(stddev_pop="probability_max - probability_min + 0.1")),
    "differences_in_range": (_one(brier_difference="-2.1"), _one(log_loss_difference="14")),
    "direction_fits_the_outcome": (
        _one("outcome_side = 'home' and direction is not null", direction="'over'"),
        _one("outcome_side = 'over' and direction is not null", direction="'away'"),
        _one("outcome_side = 'draw'", direction="'home'"),
    ),
    "direction_follows_the_move": (
        _one("direction = 'over'", direction="'under'"),
        _one("direction = 'home'", direction="'away'"),
        _one("direction = 'home'", direction="'over'"),
        _one("delta_point <> 0", delta_point="- delta_point"),
    ),
    "direction_follows_the_probability": (
        _one("delta_probability > 0 and outcome_side = 'home'", direction="'away'"),
        _one("delta_probability < 0 and outcome_side = 'under'", direction="'under'"),
    ),
    "duplicate_no_counts_from_1": (_one(duplicate_no="0"),),
    "error_of_two_or_more": (_one("n_events > 1", brier_se="null"), _one("n_events = 1", log_loss_se="0.1")),
    "errors_are_not_negative": (_one("n_events > 1", brier_se="-0.1"), _one("n_events > 1", log_loss_se="-0.1")),
    "event_id_is_not_empty": (_one(event_id="''"),),
    "every_leg_returns_the_same": (
        _one(prices_at_open="array[prices_at_open[1] + 0.01] || prices_at_open[2:]"),
        _one(stake_shares_at_best="array[stake_shares_at_best[1] + 0.01] || stake_shares_at_best[2:]"),
    ),
    "fair_basis_follows_the_line": (
        _one("fair_basis <> 'half_stake'", line_point="2.25"),
        _one("line_point = 0.5", fair_basis="'half_stake'"),
    ),
    "gold.expected_value.fair_basis_follows_the_line": (
        _one("fair_basis <> 'half_stake'", line_point="2.25"),
        _one("line_point is null", fair_basis="'half_stake'"),
        _one("line_point is null", line_point="3"),
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
    "fair_probability_in_range": (
        _one("fair_probability is not null", fair_probability="0"),
        _one("fair_probability is not null", fair_probability="1"),
    ),
    "fair_values_in_range": (
        *(_one("fair_sharp is not null", **{column: "1"}) for column in ("fair_median", "fair_mean", "fair_sharp")),
        *(_one("fair_sharp is not null", **{column: "0"}) for column in ("fair_median", "fair_mean", "fair_sharp")),
        _one(median_sum="0"),
    ),
    "fair_where_complete": (
        _one("fair_power is not null", fair_power="null"),
        _one("fair_power is not null", power_k="null"),
        _one("fair_power is not null", is_complete="false"),
        _one("not is_complete", fair_additive="implied_probabilities"),
    ),
    "fields_are_never_complete": (_one("is_complete", outcome_set="'field'"), _one("is_complete", outcome_set="'other'")),
    "first_is_tied_where_several": (_one(first_is_tied="not first_is_tied"),),
    "first_movers_are_of_the_groups": (
        _one(first_movers="'{}'"),
        _one(first_movers="array['nobody']"),
        _one(first_movers="first_movers || first_movers"),
    ),
    "gap_is_positive": (_one(captures_median_gap_seconds="-1"),),
    "gap_takes_time": (_one(capture_gap_seconds="-1"),),
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
    "grades_rest_on_scores": (_one("grade = 'win'", home_score="null"), _one("grade = 'push'", away_score="null")),
    "groups_are_sorted_and_stand_once": (
        _one(groups="groups || groups"),
        _one(groups="array(select one.key from unnest(groups) as one (key) order by 1 desc)"),
    ),
    "halves_on_quarter_points": (_one("grade = 'half_win'", line_point="0.5"), _one("grade = 'half_loss'", line_point="null")),
    "held_back_is_not_negative": (_one(held_back="-1"),),
    "hold_is_below_1": (_one("mean_hold is not null", mean_hold="1"),),
    "home_score_is_the_number_sent": (_one("home_score is not null", home_score="home_score + 1"),),
    "horizon_is_one_of_ours": (_one(horizon_hours="2"), _one(horizon_hours="-1")),
    "horizon_tells_the_time": (
        _one("horizon = '6h'", horizon="'1h'"),
        _one("horizon = '24h'", seconds_to_start="86401"),
        _one("horizon = 'opening'", seconds_to_start="-1"),
    ),
    "incomplete_sets_have_a_problem": (_one("is_complete and problem is null", is_complete="false"),),
    "interval_holds_the_rate": (
        _one(hit_rate_low="-0.1"),
        _one(hit_rate_high="1.1"),
        _one(hit_rate_low="hit_rate + 0.01"),
        _one(hit_rate_high="hit_rate - 0.01"),
    ),
    "its_group_quotes": (
        _one(operator_group="'nobody'"),
        _one(quoting_groups="quoting_groups || quoting_groups"),
        _one(
            "cardinality(quoting_groups) > 1",
            quoting_groups="array(select one.key from unnest(quoting_groups) as one (key) order by 1 desc)",
        ),
    ),
    "kind_says_what_changed": (
        _one("kind = 'price'", kind="'point'"),
        _one("kind = 'price'", kind="'both'"),
        _one("kind = 'both'", kind="'price'"),
    ),
    "known_where_decided": (
        _one("not is_known", is_known="true", score="null"),
        _one("tie_share > 0.5", is_known="true", score="0"),
    ),
    "last_seen_not_before_first_seen": (_one("last_seen_at is not null", last_seen_at="first_seen_at - interval '1 s'"),),
    "last_seen_not_before_valid_from": (_one(last_seen_at="valid_from - interval '1 s'"),),
    "last_seen_within_the_stretch": (
        _one("valid_to is not null", last_seen_at="valid_to"),
        _one("valid_to is not null", last_seen_at="valid_from - interval '1 s'"),
    ),
    "legs_of_two_books": tuple(
        _one(**{column: f"array_fill({column}[1], array[cardinality({column})])"})
        for column in ("books_at_open", "books_at_best")
    ),
    "liability_is_lay_less_1": (_one(lay_liability="lay_price_decimal"), _one(lay_price_decimal="1", lay_liability="0")),
    "line_point_is_the_point_or_its_mirror": (_one("line_point is not null", line_point="line_point + 0.5"),),
    "line_rank_counts_from_1": (_one(line_rank="0"),),
    "line_values_together": (
        _one("line_median is not null", line_median="null"),
        _one("line_median is not null", line_modal="null"),
        _one("line_median is not null", group_share_at_modal="null"),
        _one("line_median is null", fair_line="1"),
    ),
    "lines_between_the_extremes": (
        _one("line_median is not null", line_median="line_max + 1"),
        _one("line_median is not null", line_modal="line_min - 1"),
        _one(line_min="line_max + 1"),
    ),
    "log_loss_is_clipped": (_one(log_loss="0"), _one(log_loss="14")),
    "margin_and_hold_follow": (
        _one("is_complete", margin="null"),
        _one("is_complete", hold="null"),
        _one("is_complete", margin="overround"),
        _one("is_complete", hold="margin"),
    ),
    "margin_is_positive": (_one(margin_at_open="0"), _one(margin_at_open="-0.01")),
    "market_key_is_not_empty": (_one(market_key="''"),),
    "markets_are_of_books_shown": (_one("book_markets <> '{}'", books="'{}'::jsonb"),),
    "markets_only_with_odds": (_one("book_markets <> '{}'", shows_odds="false"),),
    "mean_between_the_extremes": (
        _one("fair_mean is not null", fair_mean="probability_max + 0.0000000001"),
        _one("fair_sharp is not null", fair_sharp="probability_min - 0.0000000001"),
        _one("probability_min < probability_max", probability_min="probability_max", probability_max="probability_min"),
    ),
    "mean_lies_in_the_bin": (
        _one(bin="10", mean_probability="1"),
        _one("bin > 0", mean_probability="bin / 10.0 - 0.01"),
        _one("bin < 9", mean_probability="(bin + 1) / 10.0 + 0.01"),
    ),
    "mean_scores_in_range": (_one(brier="-0.1"), _one(brier="2.1"), _one(log_loss="0"), _one(log_loss="14")),
    "median_and_mean_together": (_one("fair_mean is not null", fair_mean="null"), _one("fair_mean is null", fair_mean="0.5")),
    "median_between_the_extremes": (
        _one("fair_median is not null", fair_median="probability_max + 0.1", median_sum="1"),
        _one("fair_median is not null", fair_median="probability_min - 0.1", median_sum="1"),
    ),
    "medians_where_there_is_a_baseline": (
        _one("baseline_batches > 0", events_median="null"),
        _one("baseline_batches > 0", books_median="null"),
        _one("baseline_batches > 0", outcomes_median="null"),
        _one("baseline_batches > 0", baseline_batches="0"),
    ),
    "method_problems_are_true": (
        _one("fair_additive is not null", problem="'additive_negative'"),
        _one("overround > 1", problem="'underround'"),
        _one("fair_additive is not null and problem is null", fair_additive="null"),
    ),
    "midpoint_between_the_sides": (_one(midpoint_probability="0.0000001"), _one(midpoint_probability="0.9999999")),
    "month_begins": (_one(month="month + 1"),),
    "more_move_than_against": (_one(size="other_way_count"),),
    "move_probabilities_in_range": (
        _one(old_probability="-0.1"),
        _one(old_probability="1.1"),
        _one(new_probability="-0.1"),
        _one(new_probability="1.1"),
    ),
    "name_is_not_empty": (_one(name_as_sent="''"),),
    "net_is_not_above_the_price": (
        _one(back_net_price_decimal="back_price_decimal + 0.01"),
        _one(back_net_price_decimal="1"),
    ),
    "no_level_is_skipped": (
        _one("market_ordinal is not null", book_ordinal="null"),
        _one("outcome_ordinal is not null", market_ordinal="null"),
    ),
    "silver.stg_event_markets.no_level_is_skipped": (_one("market_ordinal is not null", book_ordinal="null"),),
    "no_margin_no_change": (_one("fair_shin is not null", overround="1"),),
    "no_more_answers_than_requests": (_one(answered="asked + 1"), _one(answered="-1")),
    "no_more_books_offer_it_than_count": (_one(book_count="0"),),
    "gold.prop_prices.no_more_books_offer_it_than_count": (_one(over_book_count="-1"), _one(under_book_count="-1")),
    "no_outcomes_without_events": (_one("outcomes > 0", events="0"), _one("outcomes > 0", books="0")),
    "no_player_where_they_collide": (
        _one("player is not null", player="null"),
        _one("player is not null", reason="'collision'"),
    ),
    "no_share_of_nothing": (
        _one("uptime is not null", uptime="null"),
        _one("stale_share is not null", aged_quotes="0"),
        _one("outlier_share is null", outlier_share="0"),
        _one("mean_hold is not null", mean_hold="null"),
    ),
    "none_has_no_quote": (_one("price_native is not null", close_status="'none'"),),
    "normalised_names_are_lower_case": (
        _one(normalised_name="'J. Smith'"),
        _one(normalised_name="normalised_name || ' '"),
        _one(normalised_name="'j. smith'"),
    ),
    "not_yet_before_the_opening": (_one("not_yet_at is not null", not_yet_at="first_seen_at"),),
    "oldest_leg_follows": (
        _one("max_leg_age_seconds is not null", max_leg_age_seconds="max_leg_age_seconds + 1"),
        _one("max_leg_age_seconds is not null", max_leg_age_seconds="null"),
        _one("max_leg_age_seconds is not null", ages_at_open="array_fill(null::integer, array[cardinality(ages_at_open)])"),
    ),
    "oldest_not_after_newest": (_one(oldest_quote_at="newest_quote_at + interval '1 s'"),),
    "one_group_deviates_by_nothing": (
        _one("group_count = 1", stddev_pop="0.0000000001"),
        _one("probability_min < probability_max", group_count="1", stddev_pop="0"),
    ),
    "one_line_is_shared_by_all": (
        _one(
            "line_min = line_max and group_count > 1 and line_median is not null",
            group_share_at_modal="round(1 - 1.0 / group_count, 10)",
        ),
        _one("line_min < line_max and line_median is not null", group_share_at_modal="1"),
    ),
    "moves_to_another_key": (_one(moved_from="sport_key"),),
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
    "ordinals_count_from_1": tuple(
        _one("outcome_ordinal is not null", **{f"{level}_ordinal": "0"}) for level in ("event", "book", "market", "outcome")
    ),
    **{f"silver.stg_{endpoint}.ordinals_count_from_1": (_one(event_ordinal="0"),) for endpoint in _OF_EVENTS},
    "silver.stg_sports.ordinals_count_from_1": (_one(sport_ordinal="0"),),
    "silver.stg_participants.ordinals_count_from_1": (_one(participant_ordinal="0"),),
    "silver.stg_event_markets.ordinals_count_from_1": tuple(
        _one("market_ordinal is not null", **{f"{level}_ordinal": "0"}) for level in ("book", "market")
    ),
    "others_are_counted": (_one(group_count="-1"), _one("fair_probability is not null", group_count="0")),
    "outcome_is_0_or_1": (_one("outcome_set = 'three_way'", outcome="2"),),
    "outcomes_are_sorted": (_one("cardinality(outcome_names) = 2", outcome_names="array[outcome_names[2], outcome_names[1]]"),),
    "outliers_are_legs": tuple(_one(**{column: "array['nobody']"}) for column in ("outliers_at_open", "outliers_at_best")),
    "outliers_are_said": (
        _one("quality = 'clean'", outliers_at_best="books_at_best[1:1]"),
        _one("quality = 'clean'", quality="'outlier'"),
    ),
    "overrides_name_their_reason": (_one(rule="'override'"), _one(override_reason="'the referee said so'")),
    "overround_is_positive": (_one(overround="0"),),
    "overround_is_the_sum": (_one(overround="overround + 0.0000000001"), _one(overround="null")),
    "p_value_in_range": (_one(p_value="-0.1"), _one(p_value="1.1"), _one(score="0", p_value="0.5")),
    "pair_errors_of_two_or_more": (
        _one("common_n > 1", brier_difference_se="null"),
        _one("common_n > 1", log_loss_difference_se="-0.1"),
        _one("common_n = 1", log_loss_difference_se="0.1"),
    ),
    "participant_id_is_not_empty": (_one(participant_id="''"),),
    "place_counts_from_0": (_one(place="-1"),),
    "point_moved_or_not": (
        _one("clv_status = 'point_moved'", clv_status="'same_point'"),
        _one("clv_status = 'same_point'", clv_status="'point_moved'"),
        _one("clv_status = 'same_point'", point_closing="coalesce(point_closing, 0) + 1"),
        _one("clv_status = 'same_point'", clv_status="'no_close'", point_closing="1"),
    ),
    "power_k_follows_the_margin": (
        _one("overround > 1", power_k="0.9"),
        _one("overround < 1", power_k="1.1"),
        _one("power_k is not null", power_k="0"),
    ),
    "prev_seen_before_changed_at": (_one(prev_seen_at="changed_at"),),
    "prev_seen_before_valid_from": (_one("prev_seen_at is not null", prev_seen_at="valid_from"),),
    "price_and_probability_together": (
        _one("price_decimal is not null", price_decimal="null"),
        _one("price_decimal is not null", implied_probability="null"),
    ),
    "price_decimal_is_a_price": (_one(price_decimal="0"), _one(price_decimal="-2")),
    "price_decimal_is_above_1": (_one("price_decimal is not null", price_decimal="1"),),
    "gold.clv.prices_are_above_1": (_one(price_taken="1"), _one("price_closing is not null", price_closing="1")),
    "prices_are_above_1": (
        _one(prices_at_open="array[1] || prices_at_open[2:]"),
        _one(prices_at_best="prices_at_best[:1] || array[0.5] || prices_at_best[3:]"),
    ),
    "probabilities_are_in_range": (
        _one(probability_taken="0"),
        _one(probability_taken="1"),
        _one("consensus_closing is not null", consensus_closing="1"),
        _one("consensus_closing is not null", consensus_closing="0"),
        _one("probability_closing is not null", probability_closing="0"),
        _one("probability_closing is not null", probability_closing="1"),
    ),
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
    "probability_is_one_over_price": (_one("price_decimal is not null", price_decimal="price_decimal + 1"),),
    "problem_where_not_sound": (
        _one("is_sound", problem="'incomplete'"),
        _one("not is_sound", problem="null"),
        _one("not is_sound", problem="'underround'"),
    ),
    "quote_at_is_the_earlier_time": (_one(quote_at="captured_at + interval '1 s'"),),
    "quote_at_not_after_captured_at": (_one(quote_at="captured_at + interval '1 s'"),),
    "quote_at_not_after_first_seen": (_one(quote_at="first_seen_at + interval '1 s'"),),
    "quoted_before_the_look": (_one(valid_from="start_at + interval '1 s'"), _one("horizon_hours = 24", valid_from="start_at")),
    "quotes_close_before_the_start": (_one("quote_at is not null", quote_at="start_at + interval '1 s'"),),
    "gold.closing_consensus.quotes_close_before_the_start": (_one(newest_quote_at="start_at + interval '1 s'"),),
    "reason_where_not_usable": (_one("is_usable", is_usable="false"), _one("is_usable", reason="'too_old'")),
    "reason_where_unmatched": (
        _one("match = 'unmatched'", match="'alias'"),
        _one("match <> 'unmatched'", match="'unmatched'"),
    ),
    "return_follows_the_grade": (
        _one("grade = 'win'", return_multiple="price_decimal - 1"),
        _one("grade = 'win'", grade="'half_win'"),
        _one("grade = 'win'", grade="'push'"),
        _one("grade = 'loss'", return_multiple="0.5"),
        _one("grade = 'loss'", grade="'half_loss'"),
        _one("grade = 'loss'", grade="'void'"),
    ),
    "run_starts_with_or_before_it": (_one(run_began_at="changed_at + interval '1 s'"),),
    "runner_coverage_of_fields": (
        _one("outcome_set <> 'field'", runner_coverage="1"),
        _one("runner_coverage is not null", runner_coverage="0"),
        _one("runner_coverage is not null", runner_coverage="1.1"),
    ),
    "runner_up_is_below_the_best": (_one("runner_up_price_decimal is not null", runner_up_price_decimal="best_price_decimal"),),
    "runner_up_where_more_books_count": (
        _one("runner_up_price_decimal is not null", runner_up_price_decimal="null"),
        _one("runner_up_price_decimal is null", book_count="book_count + 1"),
    ),
    "score_and_p_value_together": (_one("score is null", p_value="0.5"), _one("score is null", score="0")),
    "score_follows": (_one("lead_count + lag_count > 0", score="2"),),
    "scores_or_a_problem": (_one("completed and problem is null", home_score="null"),),
    "seen_at_least_once": (_one(observations="0"),),
    **{
        f"gold.{table}.seen_at_least_once": (_one("captures is not null", captures="0"),)
        for table in ("arbitrages", "arbitrages_clean", "middles", "middles_clean")
    },
    "seen_before_it_is_taken": (_one(seconds_since_seen="-1"),),
    "seen_for_follows": (_one(seen_for_seconds="seen_for_seconds + 1"),),
    "seen_for_is_not_negative": (_one(seen_for_seconds="-1"),),
    "set_no_counts_from_1": (_one(set_no="0"),),
    "share_is_of_whole_groups": (
        _one("group_share_at_modal is not null", group_share_at_modal="0"),
        _one("group_share_at_modal is not null", group_share_at_modal="1 + 1.0 / group_count"),
        _one("group_count > 2 and group_share_at_modal is not null", group_share_at_modal="0.5 / group_count"),
    ),
    "shares_are_shares": (_one(uptime="1.1"), _one(stale_share="-0.1"), _one(outlier_share="1.1")),
    "shares_follow_the_grade": (
        _one("grade = 'win'", won_share="0.5"),
        _one("grade = 'win'", refunded_share="1"),
        _one("grade = 'half_win'", won_share="1"),
        _one("grade = 'push'", refunded_share="0"),
        _one("grade = 'half_loss'", refunded_share="1"),
        _one("grade = 'loss'", refunded_share="0.5"),
        _one("grade = 'unresolved'", won_share="0"),
        _one("grade = 'loss'", grade="'void'"),
    ),
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
    "sides_face_each_other": (
        _one(outcome_sides="array[outcome_sides[2], outcome_sides[1]]"),
        _one(outcome_sides="array['over', 'away']"),
    ),
    "since_seen_is_not_negative": (_one(seconds_since_seen="-1"),),
    "size_counts_the_groups": (_one(size="size + 1", quoting_count="quoting_count + 1"),),
    "some_book_offers_it": (_one(books="'{}'"),),
    "some_event_is_common": (_one(common_n="0"),),
    "some_event_is_observed": (_one(n_events="0"),),
    "some_group_hangs_it": (_one(group_count="0"),),
    "some_group_opens_it": (_one(operator_groups="'{}'"),),
    "some_group_speaks": (_one(group_count="0"), _one(book_count="group_count - 1")),
    "some_moves_are_compared": (
        _one(lead_count="-1"),
        _one(lag_count="-1"),
        _one(tie_count="-1"),
        _one(lead_count="0", lag_count="0", tie_count="0"),
    ),
    "some_side_is_offered": (_one(over_price_decimal="null", under_price_decimal="null"),),
    "something_moved": (
        _one("delta_point <> 0", delta_point="0"),
        _one("delta_probability is not null", delta_probability="0"),
    ),
    "sound_sets_are_complete": (_one("is_sound", is_complete="false"),),
    "source_rank_in_range": (_one(source_rank="0"), _one(source_rank="6")),
    "sport_key_is_not_empty": (_one(sport_key="''"),),
    "spread_is_lay_less_back": (_one(spread="spread + 0.01"),),
    "spread_within_the_ages": (
        _one("leg_age_spread_seconds is not null", leg_age_spread_seconds="leg_age_spread_seconds + 1"),
        _one("leg_age_spread_seconds is not null", leg_age_spread_seconds="null"),
    ),
    "stake_shares_sum_to_1": tuple(
        _one(**{column: f"array[{column}[1] + 0.000000001] || {column}[2:]"})
        for column in ("stake_shares_at_open", "stake_shares_at_best")
    ),
    "stands_since_before_it_was_seen": (_one(valid_from="captured_at + interval '1 s'"),),
    "start_changes_are_counted": (_one(start_change_count="-1"),),
    "start_follows_from_acceptance": (
        _one(start_as_known="start_as_known + interval '1 s'"),
        _one("old_start <> new_start", accepted="not accepted"),
    ),
    "started_before_triggered": (_one(started_at="triggered_at + interval '1 s'"),),
    "starts_are_near": (_one(start_gap_seconds="21601"), _one(start_gap_seconds="-1")),
    "status_says_whether_they_agree": (
        _one("close_status = 'too_few_groups'", close_status="'ok'"),
        _one("close_status in ('ok', 'old')", close_status="'too_few_groups'"),
    ),
    "taken_before_the_start": (_one(taken_at="start_at"),),
    "the_consensus_is_by_power": (_one("bookmaker_key = 'consensus'", method="'shin'"),),
    "the_first_is_the_best_until_better": (
        _one("best_at > valid_from", best_at="valid_from"),
        _one("best_at = valid_from", books_at_best="books_at_best[2:] || books_at_best[1]"),
        _one("best_at = valid_from", ages_at_best="ages_at_best[2:] || 7777"),
    ),
    "the_first_start_is_accepted": (_one("old_start is null", accepted="false"),),
    "the_quote_is_whole": (
        _one("price_native is not null", quote_at="null"),
        _one("price_native is not null", price_native="null"),
    ),
    "tie_share_follows": (_one(tie_share="tie_share + 0.1"),),
    "together_where_both_listed": (
        _one(kind="'both_listed'", both_listed_from="null"),
        _one(kind="'apart'", both_listed_from="start_at"),
    ),
    "two_groups": (_one(other_group="operator_group"),),
    "two_ids": (_one(other_event_id="event_id"),),
    "unlisted_events_were_last_seen": (_one("last_seen_at is not null", status="'gone'", last_seen_at="null"),),
    "unresolved_says_why": (
        _one("grade = 'win'", grade_reason="'prop'"),
        _one("grade = 'unresolved'", grade_reason="'final_score'"),
    ),
    "valid_from_before_valid_to": (_one(valid_to="valid_from"), _one(valid_to="valid_from - interval '1 s'")),
    "value_follows": (
        _one("ev_fraction is not null", ev_fraction="ev_fraction + 0.0000000001"),
        _one("ev_fraction is not null", ev_fraction="null"),
        _one("ev_fraction is null", ev_fraction="0"),
    ),
    "value_where_enough_groups": (
        _one("ev_fraction is not null", ev_basis="'too_few_groups'"),
        _one("ev_fraction is null", ev_basis="'median_of_others'"),
    ),
    "values_at_one_point": (
        _one("clv_status = 'point_moved'", clv_price="0"),
        _one("clv_status = 'point_moved'", clv_ev="0"),
        _one("clv_status = 'point_moved'", clv_probability="0"),
        _one("clv_status = 'point_moved'", consensus_closing="0.5"),
        _one("clv_status = 'same_point'", clv_price="null"),
    ),
    "wide_middles_have_winning_numbers": (_one("width > 1.5", winning_numbers="'{}'"),),
    "width_is_that_of_the_lines": (
        _one(width="width + 0.5"),
        _one(line_point="other_line_point", other_line_point="line_point"),
        _one(other_line_point="line_point", width="0"),
    ),
    "window_is_not_empty": (_one(commence_from="captured_at", commence_to="captured_at - interval '1 s'"),),
    "winning_numbers_between_the_lines": (
        _one("outcome_sides[1] = 'over'", winning_numbers="array[cast(ceil(other_line_point) as integer)]"),
        _one("outcome_sides[1] = 'home'", winning_numbers="array[cast(floor(-line_point) as integer)]"),
        _one("width > 1.5", winning_numbers="array_fill(winning_numbers[1], array[50])"),
    ),
}

# Good rows of what the bundled recording does not hold, as JSON arrays.
ROWS: Final[Mapping[str, str]] = {
    "gold.arbitrages": """[{"event_id": "00000000000000000000000000000000", "sport_key": "americanfootball_nfl", "phase": "pre",
        "quality": "clean", "valid_from": "2025-01-01T00:00:00Z", "valid_to": "2025-01-01T00:30:00Z",
        "last_seen_at": "2025-01-01T00:20:00Z", "captures": 3, "best_at": "2025-01-01T00:10:00Z",
        "max_leg_age_seconds": 60, "leg_age_spread_seconds": 40, "books_at_open": ["betmgm", "fanduel"],
        "prices_at_open": ["2", "2.1"], "stake_shares_at_open": ["0.5121951219", "0.4878048781"],
        "ages_at_open": [20, 60], "outliers_at_open": [], "books_at_best": ["betmgm", "fanduel"],
        "prices_at_best": ["2", "2.15"], "stake_shares_at_best": ["0.5180722891", "0.4819277109"],
        "ages_at_best": [30, 50], "outliers_at_best": [], "margin_at_open": "0.0243902439",
        "margin_best": "0.0361445783", "arbitrage_id": "00000000-0000-0000-0000-000000000001", "market_key": "h2h",
        "outcome_set": "two_way", "outcome_names": ["Away", "Home"], "outcome_sides": ["away", "home"]}]""",
    "gold.arbitrages_clean": """[{"event_id": "00000000000000000000000000000000", "sport_key": "americanfootball_nfl",
        "valid_from": "2025-01-01T00:00:00Z", "valid_to": "2025-01-01T00:30:00Z",
        "last_seen_at": "2025-01-01T00:20:00Z", "captures": 3, "seen_for_seconds": 1200,
        "best_at": "2025-01-01T00:10:00Z", "max_leg_age_seconds": 60, "leg_age_spread_seconds": 40,
        "books_at_open": ["betmgm", "fanduel"], "prices_at_open": ["2", "2.1"],
        "stake_shares_at_open": ["0.5121951219", "0.4878048781"], "ages_at_open": [20, 60], "books_at_best": ["betmgm",
        "fanduel"], "prices_at_best": ["2", "2.15"], "stake_shares_at_best": ["0.5180722891", "0.4819277109"],
        "ages_at_best": [30, 50], "margin_at_open": "0.0243902439", "margin_best": "0.0361445783",
        "arbitrage_id": "00000000-0000-0000-0000-000000000001", "market_key": "h2h", "outcome_set": "two_way",
        "outcome_names": ["Away", "Home"], "outcome_sides": ["away", "home"]},
        {"event_id": "00000000000000000000000000000000", "sport_key": "americanfootball_nfl",
        "valid_from": "2025-01-02T00:00:00Z", "valid_to": null, "last_seen_at": "2025-01-02T00:00:00Z", "captures": 1,
        "seen_for_seconds": 0, "best_at": "2025-01-02T00:00:00Z", "max_leg_age_seconds": 60,
        "leg_age_spread_seconds": 40, "books_at_open": ["betmgm", "fanduel"], "prices_at_open": ["2", "2.1"],
        "stake_shares_at_open": ["0.5121951219", "0.4878048781"], "ages_at_open": [20, 60], "books_at_best": ["betmgm",
        "fanduel"], "prices_at_best": ["2", "2.1"], "stake_shares_at_best": ["0.5121951219", "0.4878048781"],
        "ages_at_best": [20, 60], "margin_at_open": "0.0243902439", "margin_best": "0.0243902439",
        "arbitrage_id": "00000000-0000-0000-0000-000000000001", "market_key": "h2h", "outcome_set": "two_way",
        "outcome_names": ["Away", "Home"], "outcome_sides": ["away", "home"]}]""",
    "gold.middles": """[{"event_id": "00000000000000000000000000000000", "sport_key": "americanfootball_nfl", "phase": "pre",
        "quality": "clean", "valid_from": "2025-01-01T00:00:00Z", "valid_to": "2025-01-01T00:30:00Z",
        "last_seen_at": "2025-01-01T00:20:00Z", "captures": 3, "best_at": "2025-01-01T00:10:00Z",
        "max_leg_age_seconds": 60, "leg_age_spread_seconds": 40, "books_at_open": ["betmgm", "fanduel"],
        "prices_at_open": ["1.97", "1.97"], "stake_shares_at_open": ["0.5000000000", "0.5000000000"],
        "ages_at_open": [20, 60], "outliers_at_open": [], "books_at_best": ["betmgm", "fanduel"],
        "prices_at_best": ["1.97", "1.99"], "stake_shares_at_best": ["0.5025252525", "0.4974747475"],
        "ages_at_best": [30, 50], "outliers_at_best": [], "cost_at_open": "0.0152284264", "cost_best": "0.0101267760",
        "middle_id": "00000000-0000-0000-0000-000000000001", "market_key": "totals", "line_point": "42.5",
        "other_line_point": "44.5", "width": "2", "winning_numbers": [43, 44], "outcome_names": ["Over", "Under"],
        "outcome_sides": ["over", "under"]},
        {"event_id": "00000000000000000000000000000000", "sport_key": "americanfootball_nfl", "phase": "pre",
        "quality": "clean", "valid_from": "2025-01-02T00:00:00Z", "valid_to": null, "last_seen_at": null,
        "captures": null, "best_at": "2025-01-02T00:00:00Z", "max_leg_age_seconds": 60, "leg_age_spread_seconds": 40,
        "books_at_open": ["betmgm", "fanduel"], "prices_at_open": ["1.97", "1.97"],
        "stake_shares_at_open": ["0.5000000000", "0.5000000000"], "ages_at_open": [20, 60], "outliers_at_open": [],
        "books_at_best": ["betmgm", "fanduel"], "prices_at_best": ["1.97", "1.97"],
        "stake_shares_at_best": ["0.5000000000", "0.5000000000"], "ages_at_best": [20, 60], "outliers_at_best": [],
        "cost_at_open": "0.0152284264", "cost_best": "0.0152284264",
        "middle_id": "00000000-0000-0000-0000-000000000002", "market_key": "spreads", "line_point": "3.5",
        "other_line_point": "-1.5", "width": "5", "winning_numbers": [-3, -2, -1, 0, 1], "outcome_names": ["Home",
        "Away"], "outcome_sides": ["home", "away"]}]""",
    "gold.middles_clean": """[{"event_id": "00000000000000000000000000000000", "sport_key": "americanfootball_nfl",
        "valid_from": "2025-01-01T00:00:00Z", "valid_to": "2025-01-01T00:30:00Z",
        "last_seen_at": "2025-01-01T00:20:00Z", "captures": 3, "seen_for_seconds": 1200,
        "best_at": "2025-01-01T00:10:00Z", "max_leg_age_seconds": 60, "leg_age_spread_seconds": 40,
        "books_at_open": ["betmgm", "fanduel"], "prices_at_open": ["1.97", "1.97"],
        "stake_shares_at_open": ["0.5000000000", "0.5000000000"], "ages_at_open": [20, 60], "books_at_best": ["betmgm",
        "fanduel"], "prices_at_best": ["1.97", "1.99"], "stake_shares_at_best": ["0.5025252525", "0.4974747475"],
        "ages_at_best": [30, 50], "cost_at_open": "0.0152284264", "cost_best": "0.0101267760",
        "middle_id": "00000000-0000-0000-0000-000000000001", "market_key": "totals", "line_point": "42.5",
        "other_line_point": "44.5", "width": "2", "winning_numbers": [43, 44], "outcome_names": ["Over", "Under"],
        "outcome_sides": ["over", "under"]},
        {"event_id": "00000000000000000000000000000000", "sport_key": "americanfootball_nfl",
        "valid_from": "2025-01-02T00:00:00Z", "valid_to": null, "last_seen_at": "2025-01-02T00:00:00Z", "captures": 1,
        "seen_for_seconds": 0, "best_at": "2025-01-02T00:00:00Z", "max_leg_age_seconds": 60,
        "leg_age_spread_seconds": 40, "books_at_open": ["betmgm", "fanduel"], "prices_at_open": ["1.97", "1.97"],
        "stake_shares_at_open": ["0.5000000000", "0.5000000000"], "ages_at_open": [20, 60], "books_at_best": ["betmgm",
        "fanduel"], "prices_at_best": ["1.97", "1.97"], "stake_shares_at_best": ["0.5000000000", "0.5000000000"],
        "ages_at_best": [20, 60], "cost_at_open": "0.0152284264", "cost_best": "0.0152284264",
        "middle_id": "00000000-0000-0000-0000-000000000002", "market_key": "spreads", "line_point": "3.5",
        "other_line_point": "-1.5", "width": "5", "winning_numbers": [-3, -2, -1, 0, 1], "outcome_names": ["Home",
        "Away"], "outcome_sides": ["home", "away"]}]""",
    "silver.participants": """[{"exchange_id": "00000000-0000-0000-0000-000000000001", "participant_id": "par_1",
        "sport_key": "basketball_nba", "captured_at": "2025-01-01T00:00:00Z", "full_name": "Some Team"}]""",
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
            _execute(connection, f"drop table {GOOD}")
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
        _execute(connection, f"create table {self._laid} as select 0 as number, false as is_key, {columns} from {GOOD} limit 0")
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
                _execute(connection, f"insert into {self.contract.name} select * from {GOOD} on conflict do nothing")
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
            # the one query of a batch tells that something is broken, the contract's own which rule
            is_told = connection.execute(broken_query({self.contract.name: self.scope}, [self.contract]).encode()).fetchone()
            rows = connection.execute(batch_query(self.contract, self.scope).encode()).fetchall()
            return is_told is not None and rule.name in {found.rule for found in broken_rules(self.contract, rows)}

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
        except (
            error,
            psycopg.errors.CheckViolation,
        ):  # of a table that is kept by month, no month takes a row without its time
            return True
        return False


def good_rows(connection: Connection, contract: TableContract) -> None:
    """Copy a table, or what a view shows, into ``silver.good``, with rows of what the bundled recording does not hold.

    Whoever commits drops it before: it is no temporary table, as the transformer may make none.
    """
    _execute(connection, f"create unlogged table {GOOD} as select * from {contract.name}")
    if contract.name in ROWS:
        row = ROWS[contract.name].replace("'", "''")
        _execute(connection, f"insert into {GOOD} select * from jsonb_populate_recordset(null::{GOOD}, '{row}'::jsonb)")
    if any(column.name == "captured_at" for column in contract.columns):
        # where the table is kept by month, those rows must find theirs
        _execute(
            connection,
            "select ops.make_months(parted.partrelid::regclass, array("
            f" select distinct ops.month_of(good.captured_at) from {GOOD} as good"
            " where good.captured_at is not null order by 1))"
            f" from pg_partitioned_table as parted where parted.partrelid = to_regclass('{contract.name}')",
        )


def _is_key(rule: Rule) -> bool:
    return rule.name == KEY_IS_UNIQUE


def _first(contract: TableContract, mutant: RowMutant, columns: str) -> str:
    """The first good row that can be broken so."""
    return f"select {columns} from {GOOD} where {mutant.of} order by {', '.join(contract.key)} limit 1"


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
        connection.execute("insert into ops.touched_events (event_id, tail_from) values (%s, '-infinity')", [event_id])


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
