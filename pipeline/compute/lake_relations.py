"""The one list of how each relation of silver and gold is computed where the events are spread over tasks.

A relation that is on none of its lines is an error, which a test finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class How(Enum):
    """How a relation is computed.

    Attributes:
        EVENT: by the tasks, each for its own events; the rows of all tasks are the relation's, and their digests add up.
        SHARED: as EVENT, but of an answer several tasks may have a row, which one row stands for.
        MERGED: by the second stage, with the program's own SQL, from the rows that all tasks have of what it reads.
        SEED: it comes with the code, the same in every task.
        ANSWERS: a view of the answers themselves, which tasks have in pieces; no lake holds it.
    """

    EVENT = "event"
    SHARED = "shared"
    MERGED = "merged"
    SEED = "seed"
    ANSWERS = "answers"


def _list(**lines: str) -> Mapping[str, How]:
    return {
        f"{schema}.{name}": How[how.upper()]
        for line, names in lines.items()
        for schema, _, how in [line.partition("_")]
        for name in names.split()
    }


HOW: Final[Mapping[str, How]] = _list(
    silver_event="bet_captures event_sightings event_sport_keys offered_markets participants prediction_captures quotes scores",
    silver_shared="bookmaker_sightings coverage sport_sightings",
    silver_seed="book_profile event_override market_rules parameters player_alias result_override settlement_rules sport_rules",
    silver_answers="stg_bets stg_event_markets stg_event_odds stg_events stg_historical_event_odds stg_historical_events"
    " stg_historical_odds stg_odds stg_participants stg_predictions stg_scores stg_sports",
    gold_event="arbitrages arbitrages_clean best_price bet_ledger bets calibration_observations closing_consensus"
    " closing_consensus_now closing_returns closings closings_now clv clv_now consensus consensus_line current_odds"
    " event_listing_intervals event_start_changes events exchange_quotes expected_value fair_probabilities game_lines"
    " game_lines_now line_movement margins market_openings market_openings_now middles middles_clean moves openings"
    " outcome_grades outcome_grades_now outlier_counts outlier_counts_now players prediction_scores predictions"
    " price_history price_history_now prop_prices quotes_sampled quotes_sampled_now results stale_quotes steam"
    " unmatched_players",
    # best_price_now tells titles of books, and a title is the latest that any event's answer gives
    gold_merged="batch_health best_price_now book_scorecard book_twins bookmakers calibration calibration_bins"
    " calibration_differences closing_coverage event_duplicates lead_lag prediction_bins prediction_evaluation sports",
)

# Of stored tables that are merged, what they read beside the answers at hand; of views the database knows.
READ_BY: Final[Mapping[str, str]] = {
    "gold.sports": "silver.sport_sightings",
    "gold.bookmakers": "silver.bookmaker_sightings",
}

# Of SHARED relations the columns that may differ between tasks: the least value stands, as where one task has all events.
LEAST: Final[Mapping[str, tuple[str, ...]]] = {
    "silver.bookmaker_sightings": ("title",),
    "silver.coverage": (),
    "silver.sport_sightings": ("sport_title",),
}


def relations_that_are(*how: How) -> tuple[str, ...]:
    """The relations that are computed in one of these ways, in the list's order."""
    return tuple(name for name, found in HOW.items() if found in how)
