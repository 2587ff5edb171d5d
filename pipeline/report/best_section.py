"""Every outcome and line with its best price: what the screen has no room for. A pure function of the facts."""

from __future__ import annotations

from decimal import Decimal

from pipeline.report.explanation_page import address_of
from pipeline.report.facts import Facts
from pipeline.report.grids import Cell, Column, change, since, table
from pipeline.report.parts import Part
from pipeline.report.price_cells import odds_cell
from pipeline.report.screen_facts import Best
from pipeline.report.wording import game_title, market_title, outcome_text


def best_part(facts: Facts, explain_at: str | None = None) -> Part:
    """Every outcome and line with its best price now; each leads to its explanation, where there is one."""
    titles = {game.event_id: game for game in facts.screen.games}

    def game_of(best: Best) -> str:
        game = titles[best.event_id]
        return game_title(game.home_team, game.away_team, game.sport_title)

    known = [best for best in facts.screen.best if best.event_id in titles]
    rows = [
        (
            # an outright bears the name of its sport
            Cell(game_of(best), note="" if titles[best.event_id].home_team is None else titles[best.event_id].sport_title),
            market_title(best.market_key),
            Cell(
                outcome_text(best.market_key, best.outcome_side, best.outcome_name, best.line_point, best.description),
                link="" if explain_at is None else address_of(explain_at, "gold.best_price_now", _key(best)),
            ),
            odds_cell(best.price_decimal, best.price_american),
            ", ".join(best.titles),
            odds_cell(best.runner_up_price_decimal),
            best.book_count,
            change(best.ev_fraction),
            since(best.age_seconds),
        )
        for best in known
    ]
    return Part(
        title="Best price of every outcome, on every line",
        line=f"{len(rows):,} outcomes",
        is_folded=True,
        notes=(
            "Each price is the best that could be acted on in the newest answer about its game: complete, unbroken, fresh, not "
            "far from the others, and of exchanges after commission. “Worth” is what a bet would bring if the other operators "
            "are right; it is told before the start, where at least four of them say.",
            "Where a number comes from, down to the bytes of the answers: sports-market explain best_price --key event_id=…"
            " market_key=… outcome_name=… --at TIME"
            if explain_at is None
            else "An outcome leads to where its price comes from, down to the bytes of the answers, while `up` runs.",
        ),
        table=table(
            "best",
            "Best prices now",
            (
                "Game",
                "Market",
                "Outcome",
                "Best price #",
                "At",
                "Next best #",
                Column("Books", True, "that have a price to act on"),
                "Worth #",
                "Age #",
            ),
            rows,
            "No price can be acted on: in the newest answers none is complete, fresh and near the others.",
        ),
    )


def _key(best: Best) -> dict[str, object]:
    """The key of its row."""
    names = ("event_id", "market_key", "description", "line_point", "outcome_set", "outcome_name")
    values = {name: getattr(best, name) for name in names}
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in values.items()}
