"""The slices of the real recordings that the models are compared on: small ones, of every archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

# which of its files (by time), and what an import must be told
SLICES: Final[dict[str, tuple[Sequence[int], dict[str, Any]]]] = {
    # far apart, and close together while games begin and are on
    "nfl_week6_2025": ((*range(0, 415, 60), *range(240, 275, 3)), {"endpoints": ["odds"]}),
    # two matches are played from the 330th to the 350th file
    "worldcup_quarterfinals_2026": ((*range(0, 428, 25), *range(322, 353, 2)), {"endpoints": ["odds"]}),
    "nba_historical_2023": ((*range(0, 60, 4), *range(250, 290, 3)), {}),
    "nfl_decimal_repeats_2023": (range(21), {"endpoints": ["odds"]}),
    "nhl_four_endpoints_2025": (range(22), {}),
    "outrights_and_lay_2021": (range(7), {"captured_at": "2021-11-11T12:00:00Z"}),
    "nba_player_props_2024": (range(3), {"captured_at": "2024-02-22T20:00:00Z"}),
    "ncaaf_odds_and_scores_2026": (range(2), {}),
    "four_leagues_in_one_list_2025": (range(1), {}),
    "malformed": (range(3), {"endpoints": ["event_odds"], "captured_at": "2025-11-25T18:20:00Z"}),
    "nfl_unix_dates_2024": (range(2), {}),
    "nhl_2024_scores_finished": (range(4), {}),
    "soccer_eu_lay_2024": (range(15), {}),
}
# in these, games begin and are on
PLAYED: Final = ("nfl_week6_2025", "worldcup_quarterfinals_2026")
