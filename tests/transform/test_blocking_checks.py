"""Every rule that blocks a batch can fail: a row is broken by hand, and the rule is seen to speak."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg
import pytest

from pipeline.contracts.promises import documents, project_files
from pipeline.contracts.row_rules import batch_query, broken_query, broken_rules
from pipeline.contracts.tables import read_contracts
from pipeline.errors import WarehouseError
from pipeline.resources import resource
from pipeline.transform import checks
from pipeline.transform.apply import apply_batches, rebuild, transformer_session
from pipeline.transform.checks import batch_checks
from pipeline.warehouse.connect import Role, Warehouse
from tests.ledgers import BET, PREDICTION

CHECKS: Final = (
    "silver_quotes",
    "silver_answers",
    "gold_events",
    "gold_price_history",
    "gold_stale_quotes",
    "gold_best_price",
    "gold_margins",
    "gold_consensus",
    "gold_consensus_line",
    "gold_steam",
    "gold_arbitrages",
    "gold_middles",
    "gold_hindsight",
)
NBA: Final = "basketball_nba"
NCAAF: Final = "americanfootball_ncaaf"
GOLF: Final = "golf_open"

# Rows to break, as conditions. Minute 20 is the last batch's time, T the table.
LAST: Final = "captured_at = timestamptz '2025-10-09 12:20Z'"
ONE_QUOTE: Final = (
    "quote_id = (select min(quote_id::text)::uuid from silver.quotes"
    f" where {LAST} and market_key = 'h2h' and outcome_side = 'home')"
)
ONE_LINE: Final = (
    "series_id = (select min(series_id::text)::uuid from gold.price_history"
    " where market_key = 'h2h' and bookmaker_key = 'fanduel' and outcome_side = 'home')"
)
BEST: Final = (
    "line_id = (select min(line_id::text)::uuid from gold.best_price where market_key = 'h2h' and valid_to is null and"
    " valid_from = timestamptz '2025-10-09 12:20Z')"
)

SET: Final = "set_id = (select min(set_id::text)::uuid from gold.margins where market_key = 'h2h' and valid_to is null)"

# a line on which the last batch changed a price
TOUCHED_LINE: Final = (
    "exists (select 1 from ops.touched_lines as l where l.event_id = c.event_id and starts_with(l.line_key, c.market_key))"
)
AGREED: Final = f"""
    line_id = (select min(line_id::text)::uuid from gold.consensus as c where valid_to is null and {TOUCHED_LINE})
    and valid_to is null
"""


def copy(table: str, where: str, **changes: str) -> str:
    """A statement that inserts a row again with some columns changed."""
    values = ", ".join(f"'{column}', {value}" for column, value in changes.items())
    changed = f"jsonb_populate_record(t, jsonb_build_object({values}))"
    return f"insert into {table} select ({changed}).* from {table} as t where {where} limit 1"


# (rule, statements that break it)
BROKEN: Final[tuple[tuple[str, str], ...]] = (
    # silver.quotes
    ("quotes: rows are of admitted answers", "update ops.pending set admitted = false"),
    (
        "quotes: quote_id is the hash of the natural key",
        copy("silver.quotes", ONE_QUOTE, quote_id="gen_random_uuid()"),
    ),
    (
        "quotes: series_id is the hash of the series key",
        f"update silver.quotes set series_id = md5('x')::uuid where {ONE_QUOTE}",
    ),
    ("quotes: price_decimal follows from the native price", f"update silver.quotes set price_decimal = 1.5 where {ONE_QUOTE}"),
    ("quotes: price_side is that of the market", f"update silver.quotes set price_side = 'lay' where {ONE_QUOTE}"),
    (
        "quotes: overround is the sum over the set",
        f"update silver.quotes set overround = overround + 0.0000000001 where {ONE_QUOTE}",
    ),
    (
        "quotes: line_point is null for h2h, the home handicap for spreads, else the point",
        f"update silver.quotes set line_point = point where {LAST} and market_key = 'spreads' and outcome_side = 'away'",
    ),
    (
        "quotes: a complete set is priced and has as many outcomes as its kind",
        f"update silver.quotes set outcome_set = 'three_way' where {ONE_QUOTE}",
    ),
    (
        "quotes: a set without a problem is within the limits of overround",
        f"update silver.quotes set overround = 9 where {ONE_QUOTE}",
    ),
    ("quotes: line_rank counts from 1 without a gap", f"update silver.quotes set line_rank = 3 where {LAST} and line_rank = 2"),
    ("quotes: its event is in event_sightings", f"update silver.quotes set event_id = 'nowhere' where {ONE_QUOTE}"),
    (
        "quotes: its book and market are in event_sightings",
        f"update silver.quotes set bookmaker_key = 'nobody' where {ONE_QUOTE}",
    ),
    ("quotes: sport, place and times are those of its answer", f"update silver.quotes set place = 77 where {ONE_QUOTE}"),
    # the rest of silver
    (
        "event_sightings: every event of the answer once",
        f"delete from silver.event_sightings where {LAST} and endpoint = 'events'",
    ),
    ("scores: every event of a scores answer once", f"delete from silver.scores where {LAST}"),
    ("participants: every participant of the answer once", f"delete from silver.participants where {LAST}"),
    ("bet_captures: every bet of the answer once", f"delete from silver.bet_captures where {LAST}"),
    ("prediction_captures: every prediction of the answer once", f"delete from silver.prediction_captures where {LAST}"),
    ("sport_sightings: every sport of the catalogue once", f"delete from silver.sport_sightings where {LAST} and is_catalogue"),
    (
        "sport_sightings: every sport of the events once",
        f"delete from silver.sport_sightings where {LAST} and not is_catalogue",
    ),
    ("bookmaker_sightings: every book of the events once", f"delete from silver.bookmaker_sightings where {LAST}"),
    ("offered_markets: every market of every book once", f"delete from silver.offered_markets where {LAST}"),
    ("coverage: an answer covers what it was asked for and what it shows", f"delete from silver.coverage where {LAST}"),
    (
        "event_sightings: endpoint, place, body and times are those of the answer",
        f"update silver.event_sightings set place = 77 where {LAST}",
    ),
    ("event_sightings: coverage covers it", f"update silver.coverage set event_id = 'nowhere' where {LAST}"),
    ("coverage: endpoint and times are those of the answer", f"update silver.coverage set endpoint = 'odd' where {LAST}"),
    (
        "coverage: markets and books are those of the request",
        f"update silver.coverage set books = books || array['zz'] where {LAST}",
    ),
    ("scores: its event is in event_sightings", f"update silver.scores set event_id = 'nowhere' where {LAST}"),
    # events and what hangs on them
    ("events: every event that an answer shows has one row, and no other", "delete from gold.events"),
    (
        "events: start_at is what its basis says",
        "update gold.events set start_at = start_at + interval '1 second'",
    ),
    (
        "events: start_is_suspect where a start was not believed and nothing settles it",
        "update gold.events set start_is_suspect = not start_is_suspect",
    ),
    (
        "events: start_basis is the override, else what fits when it left the list, where a start was not believed",
        "update gold.events set start_basis = 'settled_kept'",
    ),
    ("events: start_change_count counts the changes that were believed", "update gold.events set start_change_count = 9"),
    (
        "events: it was first seen when the first answer showed it",
        "update gold.events set first_seen_at = first_seen_at - interval '1 day'",
    ),
    (
        "events: the first and the latest start are those of the first and the latest answer",
        "update gold.events set commence_time_latest = commence_time_latest + interval '1 second'",
    ),
    ("events: the sport is that of the latest answer", "update gold.events set sport_key = 'chess'"),
    ("events: it is simulated where an answer that shows it is", "update gold.events set source = 'simulated'"),
    (
        "events: last_seen_at is null while it is listed, else the last listing's",
        "update gold.events set last_seen_at = first_seen_at",
    ),
    ("events: an event with a start and a start walk", "delete from gold.event_start_changes"),
    ("events: status follows from result, listing and start", "update gold.events set status = 'gone'"),
    (
        "event_start_changes: old_start is what was known before",
        f"update gold.event_start_changes set old_start = captured_at where {LAST}",
    ),
    (
        "event_start_changes: new_start is what its answer says",
        f"update gold.event_start_changes set new_start = captured_at where {LAST}",
    ),
    (
        "event_start_changes: it is accepted as the walk's rule says",
        f"update gold.event_start_changes set accepted = not accepted where {LAST}",
    ),
    (
        "event_listing_intervals: intervals of an event do not overlap",
        copy("gold.event_listing_intervals", "valid_to is null", valid_from="timestamptz '2025-10-09 12:20Z'"),
    ),
    (
        "event_listing_intervals: it begins with an answer that lists the event",
        "update gold.event_listing_intervals set valid_from = valid_from - interval '1 minute' where valid_to is null",
    ),
    ("event_listing_intervals: its event is in events", "delete from gold.events"),
    (
        "event_listing_intervals: its sport is the one that its event belonged to at valid_from",
        "update gold.event_listing_intervals set sport_key = 'chess' where valid_to is null",
    ),
    (
        "event_sport_keys: periods of an event follow on one another, and only the last is open",
        "update silver.event_sport_keys set valid_to = timestamptz '2025-10-09 12:20Z'",
    ),
    (
        "event_sport_keys: moved_from is the key before, which is another",
        "update silver.event_sport_keys set moved_from = 'chess'",
    ),
    (
        "event_sport_keys: it begins with the answer that is read last of its time",
        "update silver.event_sport_keys set sport_key = 'chess'",
    ),
    (
        "event_sport_keys: no answer within it shows another key last",
        f"update silver.event_sightings set sport_key = 'chess' where {LAST}",
    ),
    ("event_sport_keys: every event that an answer shows has one", "delete from silver.event_sport_keys"),
    ("results: every event with a score has one row, and no other", "delete from gold.results"),
    (
        "results: score and completion are those of the newest final score, else of the newest",
        "update gold.results set home_score = 99",
    ),
    (
        "results: two games are told by a start after the first final score",
        "update gold.results set problem = 'one_id_two_games'",
    ),
    (
        "results: a final score is taken back only where a later answer has none",
        "update gold.results set problem = 'final_taken_back'",
    ),
    (
        "results: a later answer without a final score is a problem",
        copy(
            "silver.scores",
            LAST,
            exchange_id="gen_random_uuid()",
            captured_at="timestamptz '2025-10-09 12:25Z'",
            completed="false",
        ),
    ),
    (
        "results: score_since is not after the score that counts",
        "update gold.results set score_since = score_since + interval '1 day'",
    ),
    ("results: its event is in events", "delete from gold.events"),
    (
        "sports: every sport that an answer names has a row since its first naming",
        f"delete from gold.sports where sport_key = '{NBA}'",
    ),
    (
        "bookmakers: every book that an answer shows has a row since its first showing",
        "update gold.bookmakers set first_seen_at = first_seen_at + interval '1 second'",
    ),
    # price_history
    (
        "price_history: rows of a series do not overlap, and at most one is open",
        copy("gold.price_history", f"valid_to is null and {ONE_LINE}", valid_from="timestamptz '2025-10-09 12:05Z'"),
    ),
    (
        "price_history: prev_seen_at is there where the series was there before",
        f"update gold.price_history set prev_seen_at = null where {ONE_LINE}",
    ),
    (
        "price_history: end_reason is changed or phase where the next row says so",
        "update gold.price_history set end_reason = 'changed' where end_reason = 'book_absent'",
    ),
    (
        "price_history: an absence is that of an answer which asked for the book and market",
        "update gold.price_history set valid_to = valid_to + interval '1 second' where end_reason = 'book_absent'",
    ),
    (
        "price_history: price_decimal and implied_probability follow from the native price",
        f"update gold.price_history set price_decimal = 7 where {ONE_LINE}",
    ),
    (
        "price_history: its sport is the one that its event belonged to at valid_from",
        f"update gold.price_history set sport_key = 'chess' where {ONE_LINE}",
    ),
    (
        "price_history: line_point is null for h2h, the home handicap for spreads, else the point",
        f"update gold.price_history set line_point = 3 where {ONE_LINE}",
    ),
    (
        "price_history: it begins with a quote that shows it",
        f"update gold.price_history set outcome_name = 'X' where {ONE_LINE}",
    ),
    (
        "price_history: it was last seen in a quote",
        "update gold.price_history set last_seen_at = last_seen_at + interval '1 second' where valid_to is not null",
    ),
    (
        "price_history: phase_as_known is pre before the start that was known at valid_from, else in_play",
        f"update gold.price_history set phase_as_known = 'in_play' where {ONE_LINE}",
    ),
    ("price_history: its event is in events", "delete from gold.events"),
    (
        "price_history: every quote is in a row with its price and point",
        f"delete from gold.price_history where valid_to is null and {ONE_LINE}",
    ),
    # best_price
    # stale_quotes
    (
        "stale_quotes: rows of a series do not overlap, and at most one is open",
        copy("gold.stale_quotes", "valid_to is null", valid_from="timestamptz '2025-10-09 12:25Z'"),
    ),
    ("stale_quotes: its event is in events", "delete from gold.events"),
    (
        "stale_quotes: its series is quoted then",
        "update gold.stale_quotes set valid_from = timestamptz '2025-10-09 11:00Z' where valid_to is null",
    ),
    ("stale_quotes: what is not fresh now is open, and nothing else", "delete from gold.stale_quotes"),
    (
        "best_price: line_id is the hash of the line and outcome",
        f"update gold.best_price set outcome_set = 'yes_no' where {BEST}",
    ),
    (
        "best_price: rows of a line do not overlap, and at most one is open",
        copy("gold.best_price", f"valid_to is null and {BEST}", valid_from="timestamptz '2025-10-09 12:25Z'"),
    ),
    ("best_price: its event is in events", "delete from gold.events"),
    (
        "best_price: best_hold follows from the best prices of the line",
        "update gold.best_price set best_hold = best_hold + 0.01 where valid_to is null and outcome_name = 'Home'",
    ),
    ("best_price: every book has that price then", f"update gold.best_price set books = array['nobody'] where {BEST}"),
    # margins
    ("margins: set_id is the hash of the set", f"update gold.margins set set_no = 7 where {SET}"),
    (
        "margins: rows of a set do not overlap, and at most one is open",
        copy("gold.margins", f"valid_to is null and {SET}", valid_from="timestamptz '2025-10-09 12:25Z'"),
    ),
    ("margins: its event is in events", "delete from gold.events"),
    (
        "margins: every price that stands is in one set, with its probability",
        f"update gold.margins set implied_probabilities[1] = 0.123 where valid_to is null and {SET}",
    ),
    # consensus
    (
        "consensus: line_id is the hash of the line and outcome",
        f"update gold.consensus set outcome_set = 'yes_no' where {AGREED}",
    ),
    (
        "consensus: rows of a line do not overlap, and at most one is open",
        copy("gold.consensus", AGREED, valid_from="timestamptz '2025-10-09 12:25Z'"),
    ),
    ("consensus: its event is in events", "delete from gold.events"),
    ("consensus: the medians of a line sum to 1", "update gold.consensus set fair_median = 0.4"),
    (
        "consensus: the lowest and the highest are those of sets that stand",
        f"update gold.consensus set probability_min = 0.001 where {AGREED}",
    ),
    # consensus_line
    (
        "consensus_line: market_id is the hash of event, market and description",
        "update gold.consensus_line set market_id = md5(market_id::text)::uuid where valid_to is null",
    ),
    (
        "consensus_line: rows of a market do not overlap, and at most one is open",
        copy(
            "gold.consensus_line",
            f"market_id in (select c.market_id from gold.consensus_line as c where {TOUCHED_LINE}) and valid_to is null",
            valid_from="timestamptz '2025-10-09 12:25Z'",
        ),
    ),
    ("consensus_line: its event is in events", "delete from gold.events"),
    (
        "consensus_line: the lowest and the highest are lines of sets that stand",
        "update gold.consensus_line set line_max = line_max + 0.5 where valid_to is null",
    ),
    ("consensus_line: where a line stands the market has a row", "delete from gold.consensus_line where valid_to is null"),
    # moves and steam
    ("moves: market_id is the hash of event, market and description", "update gold.moves set description = 'x'"),
    ("moves: its event is in events", "delete from gold.events"),
    ("moves: it is as far as a move must be", "update gold.moves set delta_point = 0.25"),
    ("moves: its book has that line then, before the start", "update gold.moves set new_probability = 0.123"),
    ("moves: its run starts with a move that way", "update gold.moves set run_began_at = run_began_at - interval '1 s'"),
    ("steam: market_id is the hash of event, market and description", "update gold.steam set description = 'x'"),
    ("steam: its groups are as many as it takes", "update gold.steam set quoting_count = 3 * size"),
    (
        "steam: it is too coarse where the gap is longer than the window",
        "update gold.steam set too_coarse = not too_coarse",
    ),
    (
        "steam: a move of an episode without another row triggers it",
        copy("gold.steam", "true", triggered_at="triggered_at + interval '1 s'"),
    ),
    ("steam: each of its groups moved that way within the window", "update gold.steam set groups = groups || array['zz']"),
    # arbitrages
    ("arbitrages: arbitrage_id is the hash of the line", "update gold.arbitrages set outcome_set = 'yes_no'"),
    (
        "arbitrages: rows of a line do not overlap, and at most one is open",
        copy("gold.arbitrages", "valid_to is null", valid_from="timestamptz '2025-10-09 12:25Z'"),
    ),
    ("arbitrages: its event is in events", "delete from gold.events"),
    (
        "arbitrages: what sums to less than 1 now is open, and nothing else",
        "update gold.arbitrages set valid_to = timestamptz '2025-10-09 12:25Z' where valid_to is null",
    ),
    (
        "arbitrages: what sums to less than 1 now is open, and nothing else",
        "update gold.margins set is_sound = false where bookmaker_key = 'bovada'",
    ),
    (
        "arbitrages: every leg has that price then",
        "update gold.arbitrages set prices_at_best[1] = 7 where best_at = timestamptz '2025-10-09 12:20Z'",
    ),
    # middles
    ("middles: middle_id is the hash of the pair of lines", "update gold.middles set other_line_point = 46.5, width = 4"),
    (
        "middles: rows of a pair do not overlap, and at most one is open",
        copy("gold.middles", "valid_to is null", valid_from="timestamptz '2025-10-09 12:25Z'"),
    ),
    ("middles: its event is in events", "delete from gold.events"),
    ("middles: it is as wide and as cheap as is listed", "update gold.middles set width = 0.25"),
    ("middles: it is as wide and as cheap as is listed", "update gold.middles set cost_at_open = 0.021"),
    (
        "middles: what is cheap now is open, and nothing else",
        "update gold.middles set valid_to = timestamptz '2025-10-09 12:25Z' where valid_to is null",
    ),
    (
        "middles: what is cheap now is open, and nothing else",
        "update gold.margins set is_sound = false where bookmaker_key = 'bovada'",
    ),
    (
        "middles: every leg has that price then",
        "update gold.middles set books_at_open[2] = 'fanduel' where valid_from = timestamptz '2025-10-09 12:20Z'",
    ),
    # hindsight
    (
        "hindsight: what has not begun, or is no event, has none",
        "update ops.due_events set is_reached = true; update gold.events set start_at = start_at + interval '1 day'",
    ),
    (
        "hindsight: each series quoted by the start of what has begun has one closing",
        "delete from gold.closings where series_id = (select min(series_id::text)::uuid from gold.closings)",
    ),
    ("hindsight: a touched event that has begun has closings, where it is quoted", "delete from gold.closings"),
    ("game_lines: a game has one row, with its start and status", "update gold.game_lines set status = 'gone_early'"),
)


# What the checks leave to the contracts: (table: rule, statements that break it).
BROKEN_ROWS: Final[tuple[tuple[str, str], ...]] = (
    (
        "silver.quotes: probability_is_one_over_price",
        f"update silver.quotes set implied_probability = implied_probability + 0.0001 where {ONE_QUOTE}",
    ),
    ("silver.quotes: odds_format_is_known", f"update silver.quotes set odds_format = 'hongkong' where {ONE_QUOTE}"),
    (
        "silver.quotes: quote_at_is_the_earlier_time",
        f"update silver.quotes set quote_at = captured_at + interval '1 second' where {ONE_QUOTE}",
    ),
    ("silver.quotes: outcome_set_is_known", f"update silver.quotes set outcome_set = 'four_way' where {ONE_QUOTE}"),
    (
        "silver.quotes: fields_are_never_complete",
        f"update silver.quotes set is_complete = true where {LAST} and outcome_set = 'field'",
    ),
    ("silver.quotes: duplicate_no_counts_from_1", f"update silver.quotes set duplicate_no = 0 where {ONE_QUOTE}"),
    ("silver.event_sightings: markets_only_with_odds", f"update silver.event_sightings set shows_odds = false where {LAST}"),
    (
        "silver.event_sightings: markets_are_of_books_shown",
        f"update silver.event_sightings set books = '{{}}' where {LAST} and shows_odds",
    ),
    ("silver.event_sightings: source_rank_in_range", f"update silver.event_sightings set source_rank = 6 where {LAST}"),
    (
        "silver.coverage: window_is_not_empty",
        f"update silver.coverage set commence_from = captured_at, commence_to = captured_at - interval '1 hour' where {LAST}",
    ),
    (
        "silver.coverage: only_listings_tell_absence",
        f"update silver.coverage set covers_listing = not covers_listing where {LAST}",
    ),
    (
        "silver.event_sport_keys: valid_from_before_valid_to",
        "update silver.event_sport_keys"
        " set valid_from = timestamptz '2025-10-09 12:21Z', valid_to = timestamptz '2025-10-09 12:20Z'",
    ),
    ("silver.event_sport_keys: moves_to_another_key", "update silver.event_sport_keys set moved_from = sport_key"),
    ("silver.event_sport_keys: sport_key_is_not_empty", "update silver.event_sport_keys set sport_key = ''"),
    ("silver.scores: home_score_is_the_number_sent", f"update silver.scores set home_score = 99 where {LAST}"),
    (
        "gold.event_start_changes: start_follows_from_acceptance",
        f"update gold.event_start_changes set start_as_known = captured_at where {LAST}",
    ),
    (
        "gold.event_listing_intervals: valid_from_before_valid_to",
        "update gold.event_listing_intervals set valid_from = valid_to where valid_to is not null",
    ),
    (
        "gold.event_listing_intervals: open_rows_have_no_end",
        "update gold.event_listing_intervals set observations = 2 where valid_to is null",
    ),
    (
        "gold.event_listing_intervals: last_seen_within_the_stretch",
        "update gold.event_listing_intervals set last_seen_at = valid_to where valid_to is not null",
    ),
    ("gold.results: completed_since_where_completed", "update gold.results set completed_since = null"),
    ("gold.results: problem_is_known", "update gold.results set problem = 'bad'"),
    (
        "gold.price_history: valid_from_before_valid_to",
        "update gold.price_history set valid_from = valid_to where end_reason = 'book_absent'",
    ),
    (
        "gold.price_history: open_rows_have_no_end",
        f"update gold.price_history set last_seen_at = valid_from where valid_to is null and {ONE_LINE}",
    ),
    (
        "gold.price_history: last_seen_within_the_stretch",
        "update gold.price_history set last_seen_at = valid_to where valid_to is not null",
    ),
    (
        "gold.price_history: prev_seen_before_valid_from",
        f"update gold.price_history set prev_seen_at = valid_from where {ONE_LINE}",
    ),
    ("gold.best_price: valid_from_before_valid_to", f"update gold.best_price set valid_to = valid_from where {BEST}"),
    (
        "gold.best_price: runner_up_is_below_the_best",
        f"update gold.best_price set runner_up_price_decimal = best_price_decimal where {BEST}",
    ),
    ("gold.best_price: books_are_sorted_and_stand_once", f"update gold.best_price set books = books || books where {BEST}"),
    ("gold.best_price: some_book_offers_it", f"update gold.best_price set books = '{{}}' where {BEST}"),
    (
        "gold.best_price: runner_up_where_more_books_count",
        f"update gold.best_price set book_count = cardinality(books) + 1, runner_up_price_decimal = null where {BEST}",
    ),
    ("gold.best_price: outcome_set_is_known", f"update gold.best_price set outcome_set = 'other' where {BEST}"),
    ("silver.quotes: incomplete_sets_have_a_problem", f"update silver.quotes set is_complete = false where {ONE_QUOTE}"),
    ("silver.quotes: price_and_probability_together", f"update silver.quotes set implied_probability = null where {ONE_QUOTE}"),
    ("silver.scores: away_score_is_the_number_sent", f"update silver.scores set away_score = 99 where {LAST}"),
    (
        "gold.event_start_changes: the_first_start_is_accepted",
        f"update gold.event_start_changes set accepted = false, old_start = null where {LAST}",
    ),
    (
        "gold.event_listing_intervals: seen_at_least_once",
        "update gold.event_listing_intervals set observations = 0 where valid_to is not null",
    ),
    ("gold.price_history: seen_at_least_once", "update gold.price_history set observations = 0 where valid_to is not null"),
    (
        "gold.price_history: open_rows_say_so",
        "update gold.price_history set end_reason = 'open' where end_reason = 'book_absent'",
    ),
    (
        "gold.price_history: end_reason_is_known",
        "update gold.price_history set end_reason = 'bored' where end_reason = 'book_absent'",
    ),
    ("gold.best_price: best_price_is_above_1", f"update gold.best_price set best_price_decimal = 1 where {BEST}"),
    ("gold.best_price: no_more_books_offer_it_than_count", f"update gold.best_price set book_count = 0 where {BEST}"),
)


@dataclass(frozen=True)
class Loaded:
    """A warehouse with three batches, the last one applied by itself, the checks as dbt compiles them, and the contracts'."""

    warehouse: Warehouse
    checks: dict[str, str]
    scopes: dict[str, str]

    def broken_rules(self, session: psycopg.Connection[Any]) -> set[str]:
        """What the checks say now."""
        return {row[0] for query in self.checks.values() for row in session.execute(query.encode()).fetchall()}

    def broken_contracts(self, session: psycopg.Connection[Any]) -> set[str]:
        """What the contracts say of the rows that the last batch touched; the one query of all names the same contracts."""
        contracts = [contract for contract in read_contracts() if contract.is_checked_per_batch]
        found = {
            (contract.name, broken.rule)
            for contract in contracts
            for query in [batch_query(contract, self.scopes[contract.name])]
            for broken in broken_rules(contract, session.execute(query.encode()).fetchall())
        }
        named = {name for (name,) in session.execute(broken_query(self.scopes, contracts).encode()).fetchall()}
        assert named == {name for name, _ in found}
        return {f"{name}: {rule}" for name, rule in found}


@pytest.fixture(scope="module")
def loaded(module_market: Any) -> Loaded:
    """Answers of every kind, so that each rule has rows to look at."""
    _fill(module_market)
    project, warehouse = module_market.project, module_market.warehouse
    project.invoke("compile", ["--select", "tag:blocking"], warehouse.dbt_env(Role.TRANSFORMER))
    nodes = {node.name: node for node in project.manifest().nodes.values() if "blocking" in node.tags}
    assert set(nodes) == set(CHECKS)
    return Loaded(warehouse, {name: node.compiled_code for name, node in nodes.items()}, project.scopes())


def _fill(market: Any) -> None:
    book = market.book

    def nfl(minute: float, price: float, start: float, second_book: bool = True) -> list[dict[str, Any]]:
        shown = [
            book("fanduel", {"h2h": [("Home", price), ("Away", 2.0)], "spreads": [("Home", 1.9, -3), ("Away", 1.9, 3)]}, minute)
        ]
        if second_book:
            shown.append(book("betmgm", {"h2h": [("Home", 1.7), ("Away", 2.1)]}, minute))
        return [market.game("e", start, shown)]

    def totals(minute: float, point: float) -> list[dict[str, Any]]:
        # four desks that move together
        return [
            book(key, {"totals": [("Over", 1.9, point), ("Under", 1.9, point)]}, minute)
            for key in ("bovada", "betus", "betmgm", "fanduel")
        ]

    def others(minute: float) -> list[Any]:
        outrights = [book("fanduel", {"outrights": [("Ann", 3.5), ("Ben", 3.5)]}, minute)]
        repeated = [("Over", 1.9, 210), ("Under", 1.9, 210), ("Over", 2.6, 216), ("Under", 1.45, 216)]
        score = {
            "completed": True,
            "scores": [{"name": "Home", "score": "21"}, {"name": "Away", "score": "7"}],
            "last_update": None,
        }
        offers = {
            "key": "fanduel",
            "title": "FanDuel",
            "markets": [{"key": "alternate_spreads", "last_update": "2025-10-09T11:00:00Z"}],
        }
        # read once, and too old in the last batch
        props = market.game("n", 600, [book("fanduel", {"totals": repeated}, 0)], sport=NBA)
        listing = {key: value for key, value in props.items() if key != "bookmakers"} | {"bookmakers": [offers]}
        catalogue = {
            "key": NBA,
            "group": "Basketball",
            "title": "NBA",
            "description": "",
            "active": True,
            "has_outrights": False,
        }
        person = {"id": "par_01hqmkq6fzfvyvrsb30jj85ade", "full_name": "Home"}
        return [
            market.odds(market.game("o", 600, outrights, sport=GOLF, home=None, away=None, has_outrights=True), sport=GOLF),
            market.event_odds(props, sport=NBA),
            market.Answer("event_markets", listing, sport=NBA, event_id=props["id"], books=("fanduel",)),
            market.events(market.game("e", 600, None)),
            # begins before the last batch
            market.event_odds(market.game("b", 15, totals(minute, 43.5), sport=NCAAF, home="B", away="C"), sport=NCAAF),
            market.event_odds(market.game("m", 600, totals(minute, 43.5 if minute > 10 else 42.5), sport=NCAAF), sport=NCAAF),
            market.scores(market.game("s", -200, None, **score)),
            market.Answer("sports", [catalogue], sport=None),
            market.Answer("participants", [person]),
            market.Answer("bets", [dict(BET)], sport=None),
            market.Answer("predictions", [dict(PREDICTION)], sport=None),
        ]

    def cheap(minute: float, home: float, under: float) -> Any:
        """An arbitrage, which gets better, and a middle, which begins."""
        low = {"h2h": [("Home", home), ("Away", 1.75)], "totals": [("Over", 1.97, 42.5), ("Under", 1.85, 42.5)]}
        high = {"h2h": [("Home", 1.75), ("Away", 2.0)], "totals": [("Over", 1.85, 44.5), ("Under", under, 44.5)]}
        return market.event_odds(market.game("c", 600, [book("betmgm", low, minute), book("bovada", high, minute)]))

    def nothing() -> Any:
        return market.game("w", 600, [], home="X", away="Y")

    asked = {"books": ("betmgm", "fanduel"), "markets": ("h2h", "spreads")}
    market.load(0, market.odds(*nfl(0, 1.8, 600), nothing(), **asked), *others(0), cheap(0, 2.1, 1.85))
    market.load(10, market.odds(*nfl(10, 1.8, 600), nothing(), **asked), *others(10), cheap(10, 2.1, 1.85))
    market.publish()
    # a price and a start that move, a book and an event that go
    market.load(20, market.odds(*nfl(20, 1.85, 615, second_book=False), **asked), *others(20), cheap(20, 2.12, 1.97))
    market.publish()


@pytest.fixture
def session(loaded: Loaded) -> Iterator[psycopg.Connection[Any]]:
    """A session of the transformer whose changes are rolled back."""
    with loaded.warehouse.connect(Role.TRANSFORMER) as connection:
        yield connection
        connection.rollback()


def test_no_rule_speaks_against_sound_rows(loaded: Loaded, session: psycopg.Connection[Any]) -> None:
    assert loaded.broken_rules(session) == set()
    assert loaded.broken_contracts(session) == set()


@pytest.mark.parametrize(("rule", "statement"), BROKEN, ids=[rule for rule, _ in BROKEN])
def test_a_broken_row_breaks_its_rule(loaded: Loaded, session: psycopg.Connection[Any], rule: str, statement: str) -> None:
    changed = session.execute(statement.encode())
    assert changed.rowcount > 0, "nothing was broken"
    assert rule in loaded.broken_rules(session)


def test_a_row_whose_price_is_none_is_not_the_quotes_that_has_one(loaded: Loaded, session: psycopg.Connection[Any]) -> None:
    as_none = "odds_format = 'american', price_native = 1.8, price_decimal = null, implied_probability = null"
    session.execute(f"update gold.price_history set {as_none} where valid_to is null and {ONE_LINE}".encode())
    assert "price_history: every quote is in a row with its price and point" in loaded.broken_rules(session)


@pytest.mark.parametrize(("rule", "statement"), BROKEN_ROWS, ids=[rule for rule, _ in BROKEN_ROWS])
def test_a_broken_row_breaks_its_contract(loaded: Loaded, session: psycopg.Connection[Any], rule: str, statement: str) -> None:
    changed = session.execute(statement.encode())
    assert changed.rowcount > 0, "nothing was broken"
    assert rule in loaded.broken_contracts(session)


def test_a_row_that_no_batch_touched_is_left_alone(loaded: Loaded, session: psycopg.Connection[Any]) -> None:
    session.execute("delete from ops.touched_events")
    session.execute("update gold.price_history set observations = 0 where valid_to is not null")
    assert loaded.broken_contracts(session) == set()


def test_every_stored_table_has_a_scope_and_every_contract_says_when_it_is_evaluated(loaded: Loaded) -> None:
    contracts = read_contracts()
    assert {each.name for each in contracts if each.is_checked_per_batch} == loaded.scopes.keys()
    built = documents(project_files())
    for contract in contracts:
        said = "per_batch" if contract.is_checked_per_batch else "per_answer" if contract.of_endpoint else "whole_table"
        [evaluated] = built[contract.name]["schema"][0]["customProperties"]
        assert (evaluated["property"], evaluated["value"]) == ("evaluated", said)


def test_every_rule_of_the_checks_is_broken_here(loaded: Loaded) -> None:
    rules = set()
    for name in CHECKS:
        text = resource(f"dbt/tests/blocking/{name}.sql").read_text(encoding="utf-8")
        for part in text.split("\nunion all\n"):
            block = part[part.rindex("\nselect") :]
            heading = re.search(r"select\s+(?:'(\w+: [^']*)')?( \|\| )?(rules\.rule)?", block)
            assert heading and (heading.group(1) or heading.group(3)), block
            # a list of VALUES, or one that stands at the beginning of the file
            listed = re.search(r"broken_of\((\w+)\)", block)
            rows = text[text.index(f"set {listed[1]} = [") :].split("\n] -%}")[0] if listed else block
            found = re.findall(r"\n    \(\s*'((?:[^']|'')+)',", rows) if heading.group(3) else [""]
            rules |= {(heading.group(1) or "") + rule.replace("''", "'") for rule in found}
    assert rules == {rule for rule, _ in BROKEN}


@pytest.fixture
def game(market: Any) -> Any:
    """A market with one game, published."""
    home = market.book("fanduel", {"h2h": [("Home", 1.8), ("Away", 2.0)]}, 0)
    market.load(0, market.odds(market.game("e", 600, [home])))
    market.publish()
    return market


def again(game: Any, minute: float = 10) -> str:
    """Load the game's odds once more, with another price, so that its rows are looked at."""
    home = game.book("fanduel", {"h2h": [("Home", 1.9), ("Away", 2.0)]}, 0)
    loaded: str = game.load(minute, game.odds(game.game("e", 600, [home])))
    return loaded


def execute(game: Any, *statements: str) -> None:
    with game.warehouse.connect(Role.TRANSFORMER) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_a_failed_check_withholds_the_batch(game: Any) -> None:
    execute(game, "update gold.price_history set prev_seen_at = valid_from where outcome_name = 'Home'")
    before = game.rows("select t::text from gold.price_history as t order by 1")

    batch = again(game)
    applied = apply_batches(game.warehouse, game.project, [batch], game.clock)

    assert not applied.published
    [failed] = applied.failed
    [key] = game.rows(
        "select concat_ws(' ', series_id, line_rank, valid_from) from gold.price_history where prev_seen_at is not null"
    )
    assert (failed.name, failed.failures) == ("contract.gold.price_history", 1)
    assert failed.message is not None and failed.message.startswith(f"prev_seen_before_valid_from: {key[0]}: {{")
    assert '"prev_seen_at": "2025-10-09T12:00:00+00:00"' in failed.message and failed.message.endswith("(1 rows)")
    [row] = failed.rows
    assert (row.rule, row.key, row.rows) == ("prev_seen_before_valid_from", key[0], 1)
    assert "prev_seen_at: 2025-10-09T12:00:00+00:00" in row.holds
    assert game.rows("select t::text from gold.price_history as t order by 1") == before
    assert game.rows(f"select state, detail from ops.batch_states where batch_id = '{batch}'") == [
        ("withheld", "failed: contract.gold.price_history")
    ]
    found = game.rows(f"select check_name, status, failures, message from ops.check_results where batch_id = '{batch}'")
    assert (failed.name, "fail", 1, failed.message) in found
    names = {f"contract.{each.name}" for each in read_contracts() if each.is_checked_per_batch}
    assert {name for name, *_ in found} >= {*CHECKS, "outcomes_reconcile", *names}


def test_a_table_that_takes_what_it_must_refuse_breaks_its_contract(loaded: Loaded, session: psycopg.Connection[Any]) -> None:
    for table, name in session.execute(
        "select conrelid::regclass::text, conname from pg_constraint where contype = 'p' and conrelid in"
        " ('gold.results'::regclass, 'silver.quotes'::regclass)"
    ).fetchall():
        session.execute(f"alter table {table} drop constraint {name}".encode())
    session.execute("create unique index on gold.results (event_id, sport_key)")
    session.execute("alter table gold.events alter column status drop not null")
    assert loaded.broken_contracts(session) == {
        "gold.results: key_is_unique",
        "silver.quotes: key_is_unique",
        "gold.events: status_is_there",
    }
    session.execute("create unique index on gold.results (event_id)")
    assert "gold.results: key_is_unique" not in loaded.broken_contracts(session)


def _swapped(monkeypatch: pytest.MonkeyPatch, conditions: Mapping[str, str]) -> None:
    """The project's contracts, with other conditions of the first rule of some."""
    own = read_contracts()
    swapped = tuple(
        replace(each, written_rules=(replace(each.written_rules[0], condition=conditions[each.name]), *each.written_rules[1:]))
        if each.name in conditions
        else each
        for each in own
    )
    monkeypatch.setattr(checks, "_contracts", lambda: swapped)


def test_a_contract_without_a_table_of_its_own_withholds_the_batch(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(game.project), "scopes", lambda self: {})
    applied = apply_batches(game.warehouse, game.project, [again(game)], game.clock)
    assert not applied.published
    assert {failed.message for failed in applied.failed} == {"its rules did not run: dbt stores no such table"}


def test_a_contract_that_cannot_run_withholds_the_batch_and_hides_no_other(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _swapped(monkeypatch, {"gold.events": "1 / (length(event_id) - length(event_id)) > 0", "silver.quotes": "false"})
    applied = apply_batches(game.warehouse, game.project, [again(game)], game.clock)
    assert not applied.published
    said = {failed.name: failed.message or "" for failed in applied.failed}
    assert said.keys() == {"contract.gold.events", "contract.silver.quotes"}
    assert said["contract.gold.events"] == "its rules did not run: division by zero"
    assert re.match(r"\w+: .* \(\d+ rows\)$", said["contract.silver.quotes"])
    assert {"contract.gold.results", "contract.gold.best_price"} < {check.name for check in applied.checks if check.ok}


def test_a_rule_that_gives_no_answer_did_not_run(loaded: Loaded, session: psycopg.Connection[Any]) -> None:
    [events] = [each for each in read_contracts() if each.name == "gold.events"]
    answers = session.execute(batch_query(events, loaded.scopes["gold.events"]).encode()).fetchall()
    assert not broken_rules(events, answers)
    some = [answer for answer in answers if answer[0] != "event_id_is_there"]
    assert [(found.rule, found.example) for found in broken_rules(events, some)] == [
        ("event_id_is_there", "the rule did not run")
    ]


def test_a_warning_is_told_and_withholds_nothing(game: Any) -> None:
    [events] = [each for each in read_contracts() if each.name == "gold.events"]
    mild = tuple(replace(rule, condition="false", severity="warning") for rule in events.written_rules[:1])
    again(game)
    game.publish()
    with transformer_session(game.warehouse) as session:
        [found] = batch_checks(session, game.project.scopes(), [replace(events, written_rules=mild)])
    assert found.ok and found.failures == 1 and "event_id_is_not_empty" in (found.message or "")


def test_a_rebuild_is_held_to_the_contracts(game: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    [results] = [each for each in read_contracts() if each.name == "gold.events"]
    strict = replace(results, written_rules=tuple(replace(rule, condition="false") for rule in results.written_rules[:1]))
    monkeypatch.setattr(checks, "_contracts", lambda: (strict,))
    with pytest.raises(WarehouseError, match=r"contract\.gold\.events: event_id_is_not_empty"):
        rebuild(game.warehouse, game.project)


def test_a_batch_needs_no_great_expectations() -> None:
    # importing it costs seconds
    code = "import sys, pipeline.transform.apply as a; a.batch_checks; sys.exit('great_expectations' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=resource("dbt").parent, check=False).returncode == 0


@pytest.mark.parametrize(
    ("example", "key", "holds"),
    [
        ('a b: {"price": 1.50, "point": null}', "a b", "price: 1.50, point: null"),
        ('Over: {half: {"price": 2}', "Over: {half", "price: 2"),
        ('a: {"b": {"c": 1}}', "a", "b: {'c': 1}"),
        ("a b", "a b", ""),
        (None, "", ""),
    ],
)
def test_an_example_is_a_key_and_a_row(example: str | None, key: str, holds: str) -> None:
    """A name may hold what a row begins with."""
    assert checks._key_and_row(example) == (key, holds)
