"""Which bookmakers a region means, and which market keys there are.

As published in May 2026. Books come, go and are renamed, so this is what a request is taken to have asked for, and
never a reason to refuse an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from pipeline.errors import UsageError
from pipeline.odds_api.endpoints import nearest

_REGIONS: Final = {
    "us": "betonlineag betmgm betrivers betus bovada draftkings fanatics fanduel lowvig mybookieag williamhill_us",
    "us2": "ballybet betanysports betparx espnbet fliff hardrockbet hardrockbet_az hardrockbet_fl hardrockbet_oh rebet",
    "us_dfs": "betr_us_dfs pick6 prizepicks underdog",
    "us_ex": "betopenly kalshi novig polymarket prophetx",
    "uk": "betfair_ex_uk betfair_sb_uk betfred_uk betvictor betway boylesports casumo coral grosvenor ladbrokes_uk leovegas"
    " livescorebet matchbook paddypower skybet smarkets sport888 unibet_uk virginbet williamhill",
    "eu": "betanysports betclic_fr betfair_ex_eu betonlineag betsson betvictor codere_it coolbet everygame gtbets leovegas_se"
    " marathonbet matchbook mybookieag nordicbet onexbet pinnacle pmu_fr sport888 suprabets tipico_de unibet_fr unibet_it"
    " unibet_nl unibet_se williamhill winamax_de winamax_fr",
    "fr": "betclic_fr netbet_fr pmu_fr unibet_fr winamax_fr",
    "se": "atg_se betinia_se betmgm_se betsson campobet_se expekt_se hajper_se leovegas_se mrgreen_se nordicbet sport888_se"
    " svenskaspel_se unibet_se",
    "au": "bet365_au betfair_ex_au betr_au betright dabble_au ladbrokes_au neds playup pointsbetau sportsbet tab tabtouch"
    " unibet",
}
BOOKS_BY_REGION: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {region: tuple(sorted(books.split())) for region, books in _REGIONS.items()}
)

# What the odds endpoints of a whole sport can be asked for; only event odds take any other key.
FEATURED_MARKETS: Final = ("h2h", "outrights", "spreads", "totals")
# These come by themselves, from exchanges, with the market they belong to.
LAY_MARKETS: Final[Mapping[str, str]] = MappingProxyType({"h2h": "h2h_lay", "outrights": "outrights_lay"})

_GAME_EXTRAS: Final = (
    "alternate_spreads",
    "alternate_team_totals",
    "alternate_totals",
    "btts",
    "double_chance",
    "draw_no_bet",
    "h2h_3_way",
    "team_totals",
    "to_qualify",
)
_PERIOD_BASES: Final = ("h2h", "h2h_3_way", "spreads", "totals", "team_totals")
_PERIODS: Final = (
    *("q1", "q2", "q3", "q4", "h1", "h2", "p1", "p2", "p3"),
    *("1st_1_innings", "1st_3_innings", "1st_5_innings", "1st_7_innings"),
)
# Player props as published, which are an open set: a key that is not here may be new, or misspelt.
_PROPS: Final = {
    "player": "1st_td afl_fantasy_points anytime_td assists assists_q1 blocked_shots blocks blocks_steals clearances_over"
    " defensive_interceptions disposals disposals_over double_double fantasy_points field_goals first_basket"
    " first_goal_scorer first_team_basket frees_attempts frees_made goal_scorer_anytime goal_scorer_first goal_scorer_last"
    " goals goals_scored_over kicking_points last_goal_scorer last_td marks_most marks_over method_of_first_basket"
    " pass_attempts pass_completions pass_interceptions pass_longest_completion pass_rush_reception_tds"
    " pass_rush_reception_yds pass_rush_yds pass_tds pass_yds pass_yds_q1 pats points points_assists points_q1"
    " points_rebounds points_rebounds_assists power_play_points rebounds rebounds_assists rebounds_q1 reception_longest"
    " reception_tds reception_yds receptions rush_attempts rush_longest rush_reception_tds rush_reception_yds rush_tds"
    " rush_yds sacks shots shots_on_goal shots_on_target solo_tackles steals tackles_assists tackles_most tackles_over"
    " tds_over threes to_receive_card to_receive_red_card total_saves triple_double try_scorer_anytime try_scorer_first"
    " try_scorer_last try_scorer_over turnovers",
    "batter": "doubles fantasy_score first_home_run hits hits_runs_rbis home_runs rbis runs_scored singles stolen_bases"
    " strikeouts total_bases triples walks",
    "pitcher": "earned_runs hits_allowed outs record_a_win strikeouts walks",
}
PROP_MARKETS: Final = tuple(sorted(f"{kind}_{name}" for kind, names in _PROPS.items() for name in names.split()))
# Known keys, player props apart.
GAME_MARKETS: Final = tuple(
    sorted(
        {*FEATURED_MARKETS, *LAY_MARKETS.values(), *_GAME_EXTRAS}
        | {f"{prefix}{base}_{period}" for prefix in ("", "alternate_") for base in _PERIOD_BASES for period in _PERIODS}
    )
)


def unknown_markets(markets: Iterable[str]) -> dict[str, str]:
    """The market keys that are not known, and the nearest one that is; they may be new, and are no reason to refuse a plan."""
    known = {*GAME_MARKETS, *PROP_MARKETS, *(f"{key}_alternate" for key in PROP_MARKETS)}
    return {key: nearest(key, sorted(known)) for key in sorted(set(markets)) if key not in known}


def books_of(regions: Iterable[str]) -> tuple[str, ...]:
    """The bookmaker keys of these regions, sorted, each once (a book can sit in several).

    Raises:
        UsageError: ``UNKNOWN_REGION``, naming the nearest one.
    """
    books: set[str] = set()
    for region in regions:
        if region not in BOOKS_BY_REGION:
            raise UsageError(
                "UNKNOWN_REGION",
                f"There is no region {region!r}; the nearest is {nearest(region, BOOKS_BY_REGION)!r}.",
                f"Known regions: {', '.join(BOOKS_BY_REGION)}.",
            )
        books.update(BOOKS_BY_REGION[region])
    return tuple(sorted(books))


def with_lay(markets: Iterable[str]) -> tuple[str, ...]:
    """The market keys and the lay markets that come with them, sorted."""
    keys = set(markets)
    return tuple(sorted(keys | {lay for back, lay in LAY_MARKETS.items() if back in keys}))
