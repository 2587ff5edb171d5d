"""What a book quotes: featured markets, alternates and the smaller game markets, as a function of the time of reading."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.market.simulator.draws import Draws
from pipeline.market.simulator.maths import clamp, nearest, normal_cdf, quoted
from pipeline.market.simulator.play import Play
from pipeline.market.simulator.world import DAY, HOUR, Book

_DESK_STEPS = 86400
_LAY_STEPS = ((200, 1), (300, 2), (400, 5), (600, 10), (1000, 20), (2000, 50), (5000, 200), (100000, 1000))


@dataclass(frozen=True, slots=True)
class Quote:
    """One outcome at one book.

    Attributes:
        name: outcome name.
        price: in the book's own notation (see ``maths.quoted``).
        point: in quarters (so 9 = 2.25), or None.
        description: player, for props.
        decimal: whether ``price`` is hundredths of decimal odds.
    """

    name: str
    price: int
    point: int | None = None
    description: str | None = None
    decimal: bool = False


class View:
    """What one book thinks of one event when it is read.

    Args:
        draws: the seed's draws.
        play: the event's course.
        book: the book.
        read: epoch seconds of the reading.
    """

    __slots__ = ("_bias", "_draws", "_state", "book", "live", "play", "read")

    def __init__(self, draws: Draws, play: Play, book: Book, read: int) -> None:
        self._draws = draws
        self.play = play
        self.book = book
        self.read = read
        self.live = read >= play.listing.start
        key = f"{play.label}/desk/{book.desk}"
        sd = play.listing.sport.margin_sd
        steps = ((int(_DESK_STEPS * play.listing.sport.tempo), 0.010),)
        shift = 0.0125 * draws.bell(key) + draws.walk(key, read, steps)
        total_shift = 0.0125 * draws.bell(f"{key}/total") + draws.walk(f"{key}/total", read, steps)
        keen = 0.4 if book.exchange or book.margin < 0.032 else 1.0  # the sharpest stand closest to the fair price
        self._bias = (shift * sd * keen, total_shift * play.listing.sport.total_sd * keen)
        self._state: tuple[float, float, float, float, int, int, float] | None = None

    def state(self) -> tuple[float, float, float, float, int, int, float]:
        """Expected final margin and total, their standard deviations, the score so far, and the share left to play."""
        if self._state is None:
            play, sport = self.play, self.play.listing.sport
            start = play.listing.start
            if self.live:
                at = max(start, self.read - self.book.lag // 12)
                margin, total = play.expected(start)
                score = play.score(at)
                left = 1.0 - score.done
                spread = _root(left + 0.004)
                self._state = (
                    score.home - score.away + (margin + self._bias[0]) * left,
                    score.home + score.away + (total + self._bias[1]) * left,
                    sport.margin_sd * spread,
                    sport.total_sd * spread,
                    score.home,
                    score.away,
                    left,
                )
            else:
                margin, total = play.expected(self.read - self.book.lag)
                bias = self._bias
                self._state = (margin + bias[0], total + bias[1], sport.margin_sd, sport.total_sd, 0, 0, 1.0)
        return self._state

    # --- which markets -------------------------------------------------------------------------------------------------

    def featured(self) -> tuple[str, ...]:
        """Featured market keys that the book shows for this event now, sorted."""
        play, book = self.play, self.book
        sport, event = play.listing.sport, play.listing.event_id
        value = self._draws.integer(f"{event}/{book.desk}/markets")
        to_start = play.listing.game.scheduled - self.read
        if sport.kind == "fight":
            keys = ["h2h"]
        elif sport.kind == "soccer":
            keys = ["h2h"]
            if value % 100 < 55 or book.quarter:
                keys.append("spreads")
            if (value >> 8) % 100 < 66:
                keys.append("totals")
        else:
            keys = []
            # Football books hang the moneyline last, and not at all where it would be lopsided.
            late = sport.kind == "football" and value % 100 < 34 and to_start > ((value >> 16) % 5) * DAY
            lopsided = abs(play.base_margin) > 1.9 * sport.margin_sd and value % 100 < 80
            if not late and not lopsided and value % 100 < 98:
                keys.append("h2h")
            if (value >> 24) % 100 < 99:
                keys.append("spreads")
            if (value >> 32) % 1000 < 985 and to_start < ((value >> 40) % 40 + 30) * 6 * HOUR:
                keys.append("totals")
        if book.lay and "h2h" in keys:
            keys.append("h2h_lay")
        return tuple(sorted(keys))

    # --- prices --------------------------------------------------------------------------------------------------------

    def quotes(self, market: str) -> list[Quote]:
        """The outcomes of a featured market, in the API's order (by name, ``Draw`` last); empty where nothing is quoted."""
        placeholder = self._placeholder(market)
        if market == "h2h":
            found = self._h2h()
        elif market == "h2h_lay":
            found = self._lay(self._h2h(), "h2h")
        elif market == "spreads":
            found = self.spread_at(self.main_spread())
        elif market == "totals":
            found = self.total_at(self.main_total())
        else:
            return []
        if placeholder is not None:
            found = [Quote(q.name, placeholder, q.point, q.description, q.decimal) for q in found]
        return found

    def _placeholder(self, market: str) -> int | None:
        """Now and then a feed carries a stand-in for "closed" in play: -100000 or -10000 (1.0 or 1.01) on every side."""
        if not self.live or market.endswith("_lay"):
            return None
        value = self._draws.integer(f"{self.play.listing.event_id}/{self.book.desk}/closed/{market}/{self.read // 300}")
        if value % 10000 >= 7:
            return None
        whole = (value >> 16) % 3 > 0 if market == "h2h" else False
        if self.book.ladder.startswith("decimal"):
            return 101 if whole else 100
        return -10000 if whole else -100000

    def _limits(self) -> tuple[float, float]:
        """Lowest and highest implied probability that the book shows: few go beyond 10,000 to 100, and only in play."""
        if self.live and self._draws.integer(f"{self.play.label}/desk/{self.book.desk}/long") % 100 < 12:
            return 0.0062, 0.9906
        return 0.0105, 0.9888

    def _priced(self, probability: float, margin: float) -> int:
        # Books take less margin off a near certainty, and none may pass 1.
        weight = clamp(5.0 * probability * (1.0 - probability) + 0.12, 0.0, 1.0)
        return quoted(clamp(probability + margin / 2 * weight, *self._limits()), self.book.ladder)

    def _pair(self, names: tuple[str, str], p_first: float, point: tuple[int, int] | None, margin: float) -> list[Quote]:
        decimal = self.book.ladder.startswith("decimal")
        points: tuple[int | None, int | None] = (None, None) if point is None else point
        return [
            Quote(names[0], self._priced(p_first, margin), points[0], None, decimal),
            Quote(names[1], self._priced(1.0 - p_first, margin), points[1], None, decimal),
        ]

    def three_way(self) -> tuple[float, float, float]:
        """Fair probabilities of home, draw and away."""
        margin, _, spread, _, _, _, _ = self.state()
        no_home = normal_cdf((0.57 - margin) / spread)
        away = normal_cdf((-0.57 - margin) / spread)
        return 1.0 - no_home, no_home - away, away

    def home_wins(self) -> float:
        """Fair probability that the home side wins, a level end set aside."""
        margin, _, spread, _, _, _, _ = self.state()
        return clamp(normal_cdf(margin / spread), 0.001, 0.999)

    def _h2h(self) -> list[Quote]:
        game, book = self.play.listing.game, self.book
        if game.sport.kind != "soccer":
            return _by_name(self._pair((game.home, game.away), self.home_wins(), None, self._h2h_margin()))
        home, draw, away = self.three_way()
        if book.key == "betonlineag" and self._mislabelled():
            return _by_name(self._pair((game.home, game.away), home / (home + away), None, book.margin))
        decimal = book.ladder.startswith("decimal")
        outcomes = _by_name(
            [Quote(name, self._three_priced(p), None, None, decimal) for name, p in ((game.home, home), (game.away, away))]
        )
        if not self._draw_withdrawn(draw):
            outcomes.append(Quote("Draw", self._three_priced(draw), None, None, decimal))
        return outcomes

    def _h2h_margin(self) -> float:
        return self.book.margin * 0.92

    def _three_priced(self, probability: float) -> int:
        scaled = probability * (1.0 + self.book.margin * 1.15 * (1.0 if probability < 0.8 else 0.25))
        return quoted(clamp(scaled, *self._limits()), self.book.ladder)

    def _mislabelled(self) -> bool:
        """A two-way price "to advance" sent as h2h for some hours, days before the game."""
        event, scheduled = self.play.listing.event_id, self.play.listing.game.scheduled
        if not self._draws.chance(f"{event}/mislabelled", 0.04):
            return False
        begin = scheduled - self._draws.between(f"{event}/mislabelled/at", 2 * DAY, 5 * DAY)
        return begin <= self.read < begin + self._draws.between(f"{event}/mislabelled/for", 2, 8) * 1800

    def _draw_withdrawn(self, draw: float) -> bool:
        if not self.live or self.state()[6] > 0.14 or 0.05 < draw < 0.93:
            return False
        return self._draws.chance(f"{self.play.listing.event_id}/{self.book.desk}/draw", 0.08)

    def _lay(self, back: list[Quote], market: str) -> list[Quote]:
        event = self.play.listing.event_id
        outcomes = []
        for quote in back:
            if self._draws.integer(f"{event}/{self.book.desk}/{market}/lay/{quote.name}/{self.read // 7200}") % 100 < 4:
                continue  # nobody offers to lay it
            outcomes.append(Quote(quote.name, lay_price(quote.price), quote.point, quote.description, True))
        return outcomes

    def main_spread(self) -> int:
        """The home handicap that the book hangs, in quarters."""
        sport = self.play.listing.sport
        margin = self.state()[0]
        if sport.kind == "baseball":
            if not self.live:
                return -6 if margin > 0.0 else 6
            half = int(nearest(-margin - 0.5, 1.0) * 4) + 2  # always x.5
            return half
        if sport.kind == "soccer":
            return int(nearest(-margin, 0.25 if self.book.quarter else 0.5) * 4)
        if self._halves("spread"):
            return int((nearest(-margin - 0.5, 1.0) + 0.5) * 4)
        return int(nearest(-margin, 0.5) * 4)

    def _halves(self, which: str) -> bool:
        """Whether the market hangs only x.5 for this event, so that smaller moves show in the price."""
        return self._draws.integer(f"{self.play.label}/halves/{which}") % 100 < 65

    def main_total(self) -> int:
        """The total that the book hangs, in quarters."""
        sport = self.play.listing.sport
        total = self.state()[1]
        score = self.state()[4] + self.state()[5]
        if sport.kind == "soccer":
            step = 0.25 if self.book.quarter else 1.0
            value = nearest(total - (0.0 if self.book.quarter else 0.5), step) + (0.0 if self.book.quarter else 0.5)
        else:
            value = nearest(total - 0.5, 1.0) + 0.5 if self._halves("total") else nearest(total, 0.5)
        return max(int(value * 4), (score * 4 + 2) if self.live else 2)

    def spread_at(self, quarters: int, margin: float | None = None) -> list[Quote]:
        """Both sides of a spread; ``quarters`` is the home handicap."""
        game = self.play.listing.game
        expected, _, spread, _, _, _, _ = self.state()
        covers = clamp(normal_cdf((expected + quarters / 4) / spread), 0.004, 0.996)
        rate = self.book.margin if margin is None else margin
        return _by_name(self._pair((game.home, game.away), covers, (quarters, -quarters), rate))

    def total_at(self, quarters: int, margin: float | None = None) -> list[Quote]:
        """Over and Under of a total."""
        _, expected, _, spread, _, _, _ = self.state()
        over = clamp(normal_cdf((expected - quarters / 4) / spread), 0.004, 0.996)
        return self._pair(("Over", "Under"), over, (quarters, quarters), self.book.margin if margin is None else margin)

    # --- additional markets --------------------------------------------------------------------------------------------

    def additional(self) -> tuple[str, ...]:
        """Keys of the smaller game markets that the book shows in event odds, sorted."""
        kind = self.play.listing.sport.kind
        if self.book.exchange or kind in ("fight", "outright"):
            return ()
        offered = ["alternate_spreads", "alternate_totals", "team_totals"]
        offered += ["btts", "draw_no_bet", "double_chance"] if kind == "soccer" else ["h2h_h1", "spreads_h1", "totals_h1"]
        event = self.play.listing.event_id
        live = ("alternate_totals",) if self.live else tuple(offered)
        return tuple(
            sorted(k for k in offered if k in live and self._draws.integer(f"{event}/{self.book.desk}/has/{k}") % 100 < 62)
        )

    def additional_quotes(self, market: str) -> list[Quote]:
        """The outcomes of one of ``additional()``'s markets."""
        game, sport = self.play.listing.game, self.play.listing.sport
        margin, total, spread, total_spread, _, _, _ = self.state()
        rate = self.book.margin * 1.2
        step = {"soccer": 2, "baseball": 4}.get(sport.kind, 4)
        names = (game.home, game.away)
        if market == "alternate_spreads":
            ladder = [self.main_spread() + step * i for i in range(-4, 5)]
            pairs = [self.spread_at(point, rate) for point in ladder]
            return sorted((quote for pair in pairs for quote in pair), key=lambda quote: (quote.name, quote.point or 0))
        if market == "alternate_totals":
            ladder = [point for i in range(-4, 5) if (point := self.main_total() + step * i) > 0]
            pairs = [self.total_at(point, rate) for point in ladder]
            return sorted((quote for pair in pairs for quote in pair), key=lambda quote: (quote.name, quote.point or 0))
        if market == "team_totals":
            outcomes = []
            for side, team in enumerate(names):
                mean = (total + margin) / 2 if side == 0 else (total - margin) / 2
                line = max(0.5, nearest(mean - 0.5, 1.0) + 0.5)
                over = clamp(normal_cdf((mean - line) / (total_spread * 0.72)), 0.05, 0.95)
                pair = self._pair(("Over", "Under"), over, (int(line * 4), int(line * 4)), rate)
                outcomes += [Quote(q.name, q.price, q.point, team, q.decimal) for q in pair]
            return outcomes
        if market == "h2h_h1":
            return _by_name(self._pair(names, clamp(normal_cdf(margin * 0.5 / (spread * 0.72)), 0.02, 0.98), None, rate))
        if market == "spreads_h1":
            line = nearest(-margin * 0.5, 0.5)
            covers = normal_cdf((margin * 0.5 + line) / (spread * 0.72))
            return _by_name(self._pair(names, covers, (int(line * 4), -int(line * 4)), rate))
        if market == "totals_h1":
            line = nearest(total * 0.49, 0.5)
            over = normal_cdf((total * 0.49 - line) / (total_spread * 0.72))
            return self._pair(("Over", "Under"), over, (int(line * 4), int(line * 4)), rate)
        home, draw, away = self.three_way()
        if market == "draw_no_bet":
            return _by_name(self._pair(names, home / (home + away), None, rate))
        if market == "btts":
            yes = clamp(0.5 + (total - 2.6) * 0.16 - abs(margin) * 0.06, 0.2, 0.8)
            pair = self._pair(("Yes", "No"), yes, None, rate)
            return _by_name(pair)
        if market == "double_chance":
            decimal = self.book.ladder.startswith("decimal")
            sides = ((f"{names[0]} or Draw", home + draw), (f"{names[1]} or Draw", away + draw), ("No Draw", home + away))
            return _by_name([Quote(name, self._three_priced(min(p, 0.96)), None, None, decimal) for name, p in sides])
        return []


def lay_price(back_cents: int) -> int:
    """The lay offer beside a back price, in hundredths of decimal odds: a tick or two above it."""
    for limit, step in _LAY_STEPS:
        if back_cents < limit:
            return back_cents + step
    return back_cents


def _by_name(quotes: list[Quote]) -> list[Quote]:
    return sorted(quotes, key=lambda quote: quote.name)


def _root(value: float) -> float:
    """Square root by Newton's rule from a fixed first guess: the same bits everywhere."""
    guess = 0.5 + value / 2
    for _ in range(7):
        guess = 0.5 * (guess + value / guess)
    return guess
