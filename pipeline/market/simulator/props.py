"""Player props and outrights: markets with a name in the description, and fields of many runners."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from pipeline.market.simulator.draws import Draws
from pipeline.market.simulator.fixtures import GOLF_FIELD, Game, people
from pipeline.market.simulator.maths import clamp, nearest, normal_cdf, quoted
from pipeline.market.simulator.play import Play
from pipeline.market.simulator.quotes import Quote
from pipeline.market.simulator.world import DAY, Book


@dataclass(frozen=True, slots=True)
class PropMarket:
    """A player market.

    Attributes:
        key: market key.
        means: expectation of each listed player of a team, best first.
        spread: standard deviation as a share of the expectation, at least ``floor``.
        floor: smallest standard deviation.
        sides: ``both`` (Over and Under), ``over`` (one-sided), ``yes_no``, ``yes``.
        rungs: how many points a one-sided list holds per player.
    """

    key: str
    means: tuple[float, ...]
    spread: float
    floor: float
    sides: str = "both"
    rungs: int = 1


_MARKETS: dict[str, tuple[PropMarket, ...]] = {
    "basketball": (
        PropMarket("player_assists", (7.4, 5.2, 3.9, 3.1, 2.4, 2.0), 0.36, 1.1),
        PropMarket("player_double_double", (0.42, 0.30, 0.16), 0.0, 0.0, "yes_no"),
        PropMarket("player_points", (26.5, 22.0, 17.5, 14.5, 12.0, 10.0, 8.5, 7.0), 0.27, 2.4),
        PropMarket("player_points_alternate", (26.5, 22.0, 17.5, 14.5), 0.27, 2.4, "over", 5),
        PropMarket("player_rebounds", (9.8, 7.6, 6.1, 5.0, 4.1, 3.4), 0.33, 1.3),
    ),
    "football": (
        PropMarket("player_anytime_td", (0.46, 0.38, 0.31, 0.24, 0.18), 0.0, 0.0, "yes"),
        PropMarket("player_pass_yds", (242.0,), 0.27, 40.0),
        PropMarket("player_rush_yds", (66.0, 34.0), 0.45, 14.0),
    ),
    "baseball": (
        PropMarket("batter_home_runs", (0.20, 0.17, 0.15, 0.12, 0.10), 0.0, 0.36, "over"),
        PropMarket("pitcher_strikeouts", (5.8,), 0.36, 1.6),
    ),
    "soccer": (PropMarket("player_shots", (3.1, 2.4, 1.8, 1.3, 0.9), 0.62, 0.8, "over", 4),),
}
PROP_KEYS = frozenset(market.key for group in _MARKETS.values() for market in group)
_NICKNAMES = {
    "Ben": "Benjamin",
    "Chris": "Christopher",
    "Zach": "Zachary",
    "Miles": "Myles",
    "Théo": "Theodore",
    "Leon": "León",
}


def spelled(draws: Draws, desk: str, player: str) -> str:
    """The player's name as one desk writes it: suffixes, accents, first names and initials differ."""
    style = draws.integer(f"spelling/{desk}") % 5
    odd = draws.integer(f"spelling/{desk}/{player}") % 100
    name = player
    if style in (1, 2):
        name = "".join(c for c in unicodedata.normalize("NFD", name) if not unicodedata.combining(c))
    if style in (2, 3) and name.endswith(" Jr."):
        name = name[: -len(" Jr.")] if style == 2 else name[:-1]
    first, _, rest = name.partition(" ")
    if odd < 6:
        return f"{first[0]}. {rest}"
    if odd < 20 and first in _NICKNAMES:
        return f"{_NICKNAMES[first]} {rest}"
    return name


def roster(draws: Draws, game: Game) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Both sides' listed players, the best first."""
    sides = tuple(tuple(people(draws, f"{game.sport.key}/{game.season}/roster/{team}", 8)) for team in (game.home, game.away))
    return sides[0], sides[1]


def prop_markets(draws: Draws, play: Play, book: Book, read: int) -> tuple[str, ...]:
    """Keys of the player markets that the book shows for the event, sorted. None in play, none days ahead."""
    listing = play.listing
    if book.props == "none" or read >= listing.start or read < listing.game.scheduled - 2 * DAY:
        return ()
    shown = []
    for market in _MARKETS.get(listing.sport.kind, ()):
        if market.sides == "over" and market.rungs > 1 and book.props not in ("over", "main"):
            continue
        if book.props == "over" and market.sides in ("yes", "yes_no"):
            continue
        share = 95 if market.key in ("player_points", "player_shots") else 60
        if draws.integer(f"{listing.event_id}/{book.desk}/props/{market.key}") % 100 < share:
            shown.append(market.key)
    return tuple(sorted(shown))


def prop_quotes(draws: Draws, play: Play, book: Book, read: int, key: str) -> list[Quote]:
    """The outcomes of one player market at one book.

    Rows of a pair stand together; players come in the book's own order. Caesars' feed sometimes carries every row twice with
    another price; the Kambi books send up to nine points of one player under the plain key.
    """
    listing = play.listing
    market = next(m for m in _MARKETS[listing.sport.kind] if m.key == key)
    event = listing.event_id
    players: list[tuple[str, float]] = []
    for side in roster(draws, listing.game):
        for rank, mean in enumerate(market.means):
            who = side[rank]
            if draws.integer(f"{event}/{book.desk}/{key}/{who}") % 100 < 82:
                form = 1.0 + 0.10 * draws.bell(f"{listing.sport.key}/{key}/{who}/form") / 3
                drift = 1.0 + 0.05 * draws.walk(f"{event}/{key}/{who}", read - book.lag, ((50400, 1.0), (10800, 0.6)))
                players.append(
                    (who, mean * form * drift * (1.0 + 0.02 * draws.signed(f"{event}/{book.desk}/{key}/{who}/view")))
                )
    if book.key in ("draftkings", "bovada"):
        players.sort()
    else:
        players.sort(key=lambda row: draws.integer(f"{event}/{book.desk}/{key}/place/{row[0]}"))

    rows: list[Quote] = []
    for who, mean in players:
        rows += _player_rows(draws, book, market, f"{event}/{book.desk}/{key}/{who}", spelled(draws, book.desk, who), mean)
    if book.props == "many" and market.sides == "both":
        pairs = [rows[i : i + 2] for i in range(0, len(rows), 2)]
        pairs.sort(key=lambda pair: draws.integer(f"{event}/{book.desk}/{key}/{pair[0].description}/{pair[0].point}"))
        rows = [quote for pair in pairs for quote in pair]
    if book.key == "williamhill_us" and market.sides == "both" and draws.integer(f"{event}/twice/{key}") % 100 < 40:
        rows = [row for pair in (rows[i : i + 2] for i in range(0, len(rows), 2)) for row in _twice(pair)]
    return rows


def _twice(pair: list[Quote]) -> list[Quote]:
    """A pair and the same pair at a worse price, as one book's feed really sends it."""
    again = [Quote(q.name, _shorter(q.price), q.point, q.description, q.decimal) for q in pair]
    return [*pair, *again]


def _shorter(american: int) -> int:
    changed = american - 6
    return changed if abs(changed) >= 100 else -(200 - changed)


def _player_rows(draws: Draws, book: Book, market: PropMarket, label: str, name: str, mean: float) -> list[Quote]:
    decimal = book.ladder.startswith("decimal")
    margin = book.margin * 1.5

    def quote(side: str, probability: float, point: int | None) -> Quote:
        return Quote(side, quoted(clamp(probability + margin / 2, 0.01, 0.985), book.ladder), point, name, decimal)

    if market.sides == "yes":
        return [quote("Yes", mean, None)]
    if market.sides == "yes_no":
        return [quote("Yes", mean, None), quote("No", 1.0 - mean, None)]
    spread = max(market.spread * mean, market.floor)
    main = max(0.5, nearest(mean - 0.5, 1.0) + 0.5)
    if market.sides == "over":
        one_sided = draws.integer(f"{label}/one-sided") % 100 < 88 or book.props == "over"
        points = [main + step for step in range(-(market.rungs // 2), market.rungs - market.rungs // 2) if main + step > 0]
        rows = []
        for point in points:
            over = clamp(normal_cdf((mean - point) / spread), 0.01, 0.97)
            rows.append(quote("Over", over, int(point * 4)))
            if not one_sided:
                rows.append(quote("Under", 1.0 - over, int(point * 4)))
        return rows
    count = 1
    if book.props == "many" and mean >= 6:
        count = 5 + draws.integer(f"{label}/rungs") % 5
    first = main - (count - 1) // 2
    rows = []
    for step in range(count):
        point = first + step
        if point <= 0:
            continue
        over = clamp(normal_cdf((mean - point) / spread), 0.02, 0.98)
        sides = [quote("Over", over, int(point * 4)), quote("Under", 1.0 - over, int(point * 4))]
        if book.props == "over":
            sides = sides[:1]
        elif book.key == "betonlineag" and draws.integer(f"{label}/under-first") & 1:
            sides.reverse()
        rows += sides
    return rows


# --- outrights ---------------------------------------------------------------------------------------------------------

_STAIRS: tuple[int, ...] = (
    *range(110, 300, 10),
    *range(300, 600, 25),
    *range(600, 1500, 50),
    *range(1500, 3000, 100),
    3400, 4100, 5100, 6700, 8100, 10100, 12600, 15100, 20100, 25100, 30100, 40100, 50100, 75100, 100000,
)  # fmt: skip


def _stair(cents: float) -> int:
    chosen = _STAIRS[0]
    for stair in _STAIRS:
        if stair > cents:
            break
        chosen = stair
    return chosen


def field_of(draws: Draws, game: Game) -> list[str]:
    """All runners of a tournament, the strongest first."""
    return people(draws, f"{game.label}/field", GOLF_FIELD)


def outright_quotes(draws: Draws, play: Play, book: Book, read: int, market: str) -> list[Quote]:
    """The runners that the book quotes, sorted by name; ``outrights_lay`` is shorter than ``outrights``.

    Prices run from about 1.1 to 1000, in hundredths of decimal odds.
    """
    game = play.listing.game
    field = field_of(draws, game)
    label = f"{game.label}/{book.desk}"
    size = GOLF_FIELD - 10 if book.lay else 62 + draws.integer(f"{label}/size") % 5
    weights = []
    for rank in range(len(field)):
        walk = draws.walk(f"{game.label}/{rank}", read - book.lag, ((1209600, 0.22), (259200, 0.12), (64800, 0.06)))
        weights.append((1.0 + walk) / ((rank + 7) * (1.0 + rank / 8)))
    total = 0.0
    for weight in weights:
        total += weight
    margin = 1.12 if book.lay else 1.32 + book.margin * 2
    quotes = []
    for rank, name in enumerate(field[:size]):
        view = 1.0 + 0.07 * draws.signed(f"{label}/view/{rank}")
        cents = int(clamp(100.0 / (weights[rank] / total * view * margin), 110.0, 100000.0))
        price = quoted(100 / cents, "decimal_fine") if book.lay else _stair(cents)
        if market == "outrights_lay":
            if rank > size - 5 or draws.integer(f"{label}/lay/{rank}") % 100 < 3:
                continue
            price = min(quoted(100 / (cents * 1.16), "decimal_fine"), 100000)  # nobody hurries to lay a long shot
        quotes.append(Quote(name, price, None, None, True))
    return sorted(quotes, key=lambda quote: quote.name)
