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
# Known keys, player props apart: those are an open set (player_*, batter_*, pitcher_*).
GAME_MARKETS: Final = tuple(
    sorted(
        {*FEATURED_MARKETS, *LAY_MARKETS.values(), *_GAME_EXTRAS}
        | {f"{prefix}{base}_{period}" for prefix in ("", "alternate_") for base in _PERIOD_BASES for period in _PERIODS}
    )
)


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
