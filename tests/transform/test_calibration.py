"""Calibration: a case worked out by hand, and a market of which the truth is known.

No finished score was ever recorded, so what is held against these numbers is made up: chances that are known, and results drawn
from them by a hash.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import pytest

from pipeline.warehouse.connect import Role

MLB: Final = "baseball_mlb"
GAMES: Final = 400
# How far a book's log odds are from the truth: fanduel and draftkings by chance, betmgm hardly, bovada always to the home side.
NOISE: Final[Mapping[str, float]] = {"betmgm": 0.02, "draftkings": 0.1, "fanduel": 0.1}
SHIFTED: Final = "bovada"
SHIFT: Final = 0.8


def draw(*label: object) -> float:
    """A number in [0, 1) that depends on its label alone."""
    return int(hashlib.sha256("/".join(map(str, label)).encode()).hexdigest()[:12], 16) / 16**12


def chance(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def prices(home: float) -> list[tuple[str, float]]:
    """Prices of a chance with a margin of 4 %, by the power method, to two decimals."""
    low, high = 0.5, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if home**middle + (1 - home) ** middle < 1.04 else (middle, high)
    return [("Home", round(home**-low, 3)), ("Away", round((1 - home) ** -low, 3))]


@pytest.fixture(scope="module")
def known(module_market: Any) -> Any:
    """A market of one day whose chances are known: prices an hour before, and results drawn from the chances."""
    market = module_market
    games, results = [], []
    for game in range(GAMES):
        truth = (draw("truth", game) - 0.5) * 3
        offers = {book: chance(truth + (draw(book, game) - 0.5) * 2 * noise) for book, noise in NOISE.items()}
        offers[SHIFTED] = chance(truth + SHIFT)
        books = [market.book(book, {"h2h": prices(home)}, 0) for book, home in sorted(offers.items())]
        won = draw("result", game) < chance(truth)
        scores = [{"name": "Home", "score": "5" if won else "2"}, {"name": "Away", "score": "2" if won else "5"}]
        games.append(market.game(f"g{game}", 60, books, sport=MLB))
        results.append(market.game(f"g{game}", 60, None, sport=MLB, completed=True, scores=scores, last_update=None))
    market.load(0, market.odds(*games, sport=MLB))
    market.load(300, market.scores(*results, sport=MLB))
    market.publish()
    return market


def test_the_consensus_is_calibrated_within_its_error(known: Any) -> None:
    bins = known.rows(
        "select n_events, mean_probability, hit_rate, hit_rate_low, hit_rate_high from gold.calibration_bins"
        " where bookmaker_key = 'consensus' and horizon_hours = 1 order by bin"
    )
    assert sum(n for n, *_ in bins) == GAMES
    outside = [one for one in bins if not one[3] <= one[1] <= one[4]]
    # one in twenty may be outside of a 95 % interval
    assert len(bins) >= 6 and len(outside) <= 1, outside
    # over all bins: as many came as were held for sure, within three standard errors
    [(excess, variance)] = known.rows(
        "select sum(outcome - probability), sum(probability * (1 - probability)) from gold.calibration_observations"
        " where bookmaker_key = 'consensus' and horizon_hours = 1"
    )
    assert abs(excess) < 3 * math.sqrt(variance)


def test_a_book_with_shifted_prices_is_seen_as_worse(known: Any) -> None:
    rows = known.rows(
        "select bookmaker_key, other_bookmaker_key, common_n, brier_difference, brier_difference_se, log_loss_difference,"
        " log_loss_difference_se, publishable from gold.calibration_differences where horizon_hours = 1"
    )
    found = {row[:2]: row[2:] for row in rows}
    assert len(found) == 10  # five forecasters
    for pair, (common, brier, brier_se, loss, loss_se, publishable) in found.items():
        assert (common, publishable) == (GAMES, True)
        if SHIFTED in pair:
            sign = 1 if pair[0] == SHIFTED else -1
            assert sign * brier > 3 * brier_se and sign * loss > 3 * loss_se, pair
        else:
            assert abs(brier) < 3 * brier_se, pair

    # its bins say so too: what it holds for some 75 % comes less often
    [(mean, high)] = known.rows(
        "select mean_probability, hit_rate_high from gold.calibration_bins"
        f" where bookmaker_key = '{SHIFTED}' and method = 'power' and horizon_hours = 1 and bin = 7"
    )
    assert mean > high
    # and it is an outlier on most games, of which the consensus knows nothing
    [(shifted, others)] = known.rows(
        f"select max(outlier_share) filter (where bookmaker_key = '{SHIFTED}'),"
        f" max(outlier_share) filter (where bookmaker_key <> '{SHIFTED}') from gold.book_scorecard"
    )
    assert shifted > Decimal("0.9") and others == 0


def test_scores_are_what_they_are_by_other_arithmetic(known: Any) -> None:
    rows = known.rows(
        "select probability, outcome, brier, log_loss from gold.calibration_observations"
        " where bookmaker_key = 'fanduel' and method = 'shin' and horizon_hours = 1"
    )
    losses = [-math.log(p if y else 1 - p) for p, y, _, _ in rows]
    assert losses == pytest.approx([float(row[3]) for row in rows], abs=1e-9)
    briers = [(float(p) - y) ** 2 for p, y, _, _ in rows]
    mean = sum(briers) / len(briers)
    error = math.sqrt(sum((one - mean) ** 2 for one in briers) / (len(briers) - 1) / len(briers))
    [(n, brier, brier_se, publishable)] = known.rows(
        "select n_events, brier, brier_se, publishable from gold.calibration"
        " where bookmaker_key = 'fanduel' and method = 'shin' and horizon_hours = 1"
    )
    assert (n, publishable) == (GAMES, True)
    assert (float(brier), float(brier_se)) == pytest.approx((mean, error), abs=1e-9)


def test_reliability_of_a_book_is_one_query(known: Any) -> None:
    [found] = known.project.invoke("compile", ["--select", "reliability_of_a_book"], known.warehouse.dbt_env(Role.TRANSFORMER))
    rows = known.rows(found.sql)
    assert {row[2] for row in rows} == {"consensus", "fanduel"}
    # games of the book and of the consensus
    assert sum(row[4] for row in rows) == 2 * GAMES
    assert sum(row[9] for row in rows) >= len(rows) - 2


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_an_observation_is_what_stood_so_many_hours_before(market: Any) -> None:
    def offer(home: float, away: float, minute: float) -> list[dict[str, Any]]:
        return [market.book("fanduel", {"h2h": [("Home", home), ("Away", away)]}, minute)]

    start = 7 * 60
    # 7 h before, 2 h before, half an hour before, 5 minutes after the start
    for minute, (home, away) in {0: (2.0, 2.0), 300: (1.6, 2.4), 390: (1.25, 5.0), 425: (1.1, 8.0)}.items():
        game = market.game("e", start, offer(home, away, minute))
        market.load(minute, market.odds(game))
    scores = [{"name": "Home", "score": "14"}, {"name": "Away", "score": "21"}]
    market.load(600, market.scores(market.game("e", start, None, completed=True, scores=scores, last_update=None)))
    market.publish()

    found = market.rows(
        "select horizon_hours, valid_from, probability, outcome, brier, close_status from gold.calibration_observations"
        " where method = 'multiplicative' order by 1"
    )

    # q / B: 5 / 6.25; 2.4 / 4; 0.5, three times nothing else stood; home lost
    at = market.at
    assert found == [
        (0, at(390), Decimal("0.8"), 0, Decimal("0.64"), "aged"),
        (1, at(300), Decimal("0.6"), 0, Decimal("0.36"), None),
        (3, at(0), Decimal("0.5"), 0, Decimal("0.25"), None),
        (6, at(0), Decimal("0.5"), 0, Decimal("0.25"), None),
    ]


def test_a_push_tells_nothing_and_a_draw_is_scored_over_three(market: Any) -> None:
    sport = {"sport": "soccer_epl"}
    # no margin: the fair probabilities are the prices' own
    sides = {"h2h": [("Home", 2.0), ("Draw", 4.0), ("Away", 4.0)], "totals": [("Over", 2.0, 2), ("Under", 2.0, 2)]}
    for minute in (0, 50):
        book = market.book("fanduel", sides, minute)
        market.load(minute, market.odds(market.game("e", 60, [book], **sport), **sport))
    scores = [{"name": "Home", "score": "1"}, {"name": "Away", "score": "1"}]
    market.load(
        180, market.scores(market.game("e", 60, None, completed=True, scores=scores, last_update=None, **sport), **sport)
    )
    market.publish()

    found = market.rows(
        "select horizon_hours, market_key, outcome_set, probability, outcome, brier, round(log_loss, 6)"
        " from gold.calibration_observations where method = 'power' order by 1"
    )

    # 0.25 + 0.5625 + 0.0625, and ln 4
    expected = ("h2h", "three_way", Decimal("0.5"), 0, Decimal("0.875"), Decimal("1.386294"))
    assert found == [(0, *expected), (1, *expected)]


def test_a_book_is_scored_on_what_it_was_asked_for(market: Any) -> None:
    books = ("betmgm", "fanduel")

    def offer(key: str, updated: float, home: float = 2.0) -> dict[str, Any]:
        made: dict[str, Any] = market.book(key, {"h2h": [("Home", home), ("Away", 2.0)]}, updated)
        return made

    start = 100
    # 60 s and 315 s old, and 105 s in play; betmgm comes once, and is not asked for in the last answer
    market.load(0, market.odds(market.game("e", start, [offer("fanduel", -1), offer("betmgm", -5.25)]), books=books))
    market.load(50, market.odds(market.game("e", start, [offer("fanduel", 50, 1.9)]), books=books))
    market.load(60, market.odds(market.game("e", start, []), books=books))
    market.load(110, market.odds(market.game("e", start, [offer("fanduel", 108.25, 1.7)]), books=books[1:]))
    market.publish()

    found = market.rows(
        "select bookmaker_key, month::text, round(mean_hold, 6), hold_sets, round(uptime, 6), covering_captures,"
        " round(stale_share, 6), aged_quotes, stale_share_pre, aged_quotes_pre, stale_share_in_play, aged_quotes_in_play,"
        " outlier_share, compared_sets from gold.book_scorecard order by 1"
    )

    # holds 0 and 1 - 1 / (1/1.9 + 1/2) = 1 - 3.8 / 3.9; an answer without any quote tells of no book
    third = Decimal("0.333333")
    assert found == [
        ("betmgm", "2025-10-01", Decimal(0), 1, Decimal("0.5"), 2, Decimal(1), 2, Decimal(1), 2, None, 0, None, 0),
        ("fanduel", "2025-10-01", Decimal("0.012821"), 2, Decimal(1), 3, third, 6, Decimal(0), 4, Decimal(1), 2, None, 0),
    ]


def test_a_book_that_quotes_one_of_three_games_is_up_a_third(market: Any) -> None:
    def offer(*keys: str) -> list[dict[str, Any]]:
        return [market.book(key, {"h2h": [("Home", 2.0), ("Away", 2.0)]}, 0) for key in keys]

    both = ("betmgm", "fanduel")
    market.load(
        0,
        market.odds(
            market.game("e", 100, offer("fanduel", "betmgm")),
            market.game("f", 100, offer("fanduel")),
            market.game("g", 100, offer("fanduel")),
            market.game("h", 100, []),
            books=both,
        ),
    )
    market.publish()
    found = market.rows("select bookmaker_key, round(uptime, 6), covering_captures from gold.book_scorecard order by 1")
    assert found == [("betmgm", Decimal("0.333333"), 3), ("fanduel", Decimal(1), 3)]


def test_a_quote_is_as_stale_as_the_start_then_known_makes_it(market: Any) -> None:
    """100 s old: fresh enough before the start as it was known, whatever is said of the start later."""
    offer = market.book("fanduel", {"h2h": [("Home", 2.0), ("Away", 2.0)]}, 50 - 100 / 60)
    market.load(50, market.odds(market.game("e", 55, [offer])))
    market.load(56, market.odds(market.game("e", 45, [])))
    market.publish()
    assert market.rows("select start_at from gold.events") == [(market.at(45),)]
    found = market.rows("select stale_share, stale_share_pre, aged_quotes_pre, aged_quotes_in_play from gold.book_scorecard")
    assert found == [(Decimal(0), Decimal(0), 2, 0)]


def test_an_outlier_is_counted_at_the_hours_looked_at(market: Any) -> None:
    def offer(key: str, home: float, away: float, read: float) -> dict[str, Any]:
        made: dict[str, Any] = market.book(key, {"h2h": [("Home", home), ("Away", away)]}, read)
        return made

    def even(minute: float, *more: str) -> list[dict[str, Any]]:
        return [offer(key, 1.95, 1.95, minute) for key in ("draftkings", "fanduel", "betonlineag", *more)]

    # 0.61 against three times 0.5, and from half an hour before the start not any more; bovada has stalled until then, and
    # what is not fresh is no outlier, nor do the others compare with it
    stalled = offer("bovada", 1.2, 5.0, -20)
    market.load(0, market.odds(market.game("e", 200, [*even(0), offer("betmgm", 1.6, 2.5, 0), stalled])))
    market.load(170, market.odds(market.game("e", 200, even(170, "betmgm", "bovada"))))
    market.publish()
    query = "select bookmaker_key, outlier_share, compared_sets from gold.book_scorecard order by 1"
    # 3 h and 1 h before the start; nothing is known of the start yet
    assert market.rows(query)[0] == ("betmgm", Decimal(1), 2)
    assert ("bovada", None, 0) in market.rows(query)

    market.load(200, market.odds(market.game("e", 200, even(200, "betmgm", "bovada"))))
    market.publish()
    assert market.rows(query) == [
        ("betmgm", Decimal("0.6666666667"), 3),
        ("betonlineag", Decimal(0), 3),
        ("bovada", Decimal(0), 1),
        ("draftkings", Decimal(0), 3),
        ("fanduel", Decimal(0), 3),
    ]
