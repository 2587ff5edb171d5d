"""The report as one HTML page that needs nothing else: no network, no other file. A pure function of the facts.

The same facts give the same bytes: there is no clock in it, and no chance.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from importlib.resources import files
from typing import Any, Final

import jinja2
from markupsafe import Markup

from pipeline.replay.run import ReplaySummary
from pipeline.report.charts import Chart, batches_chart, chances_chart, closings_chart, holds_chart, totals_chart
from pipeline.report.facts import Calibration, Event, Facts, total
from pipeline.texts import shown

TITLE: Final = "sports-market report"
TEMPLATE: Final = "page.html.j2"
# Rows of a table on the page.
ROWS: Final = 60
NONE: Final = "–"
# calibration's name of the horizon 0
CLOSE: Final = 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, with the unit, and whether it holds numbers."""

    title: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table: texts."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A chart or a table."""

    chart: Chart | None = None
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that stands out; ``tone`` is good, bad or empty."""

    title: str
    value: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a section: notes, numbers, then charts and tables."""

    title: str = ""
    notes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page."""

    key: str
    title: str
    parts: tuple[Part, ...]


def render(facts: Facts, source: str, replayed: ReplaySummary | None = None) -> str:
    """The page.

    Args:
        facts: what a warehouse holds.
        source: what was read, in words without an address or a name.
        replayed: what a replay found, where the facts are of one.
    """
    from plotly.offline import get_plotlyjs

    facts = _cut_names(facts)
    sections = (
        _proof(facts, replayed),
        _movement(facts),
        _best_prices(facts),
        _closings(facts),
        _holds(facts),
        calibration_section(facts.calibration, facts.completed),
        _health(facts),
        _credits(facts),
    )
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True, finalize=_finalize
    )
    environment.filters["csp"] = _source
    template = environment.from_string(files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8"))
    return template.render(
        title=TITLE,
        subtitle=f"{source}: answers of {_time(facts.first_at)} to {_time(facts.as_of)} UTC. All times are UTC.",
        sections=sections,
        # a script that holds its own end tag would end there
        plotly=get_plotlyjs().replace("</script", "<\\/script"),
    )


# --- sections --------------------------------------------------------------------------------------------------------


def _proof(facts: Facts, replayed: ReplaySummary | None) -> Section:
    states = dict(facts.batch_states)
    withheld = states.get("withheld", 0)
    quarantined = sum(batch.quarantined for batch in facts.batches)
    failed, warned = (sum(getattr(check, name) for check in facts.checks) for name in ("failed", "warned"))
    figures = [
        Figure("batches", f"{total(facts.batch_states):,}"),
        Figure("published", f"{states.get('published', 0):,}"),
        Figure("withheld", f"{withheld:,}", "bad" if withheld else "good"),
        Figure("answers quarantined", f"{quarantined:,}"),
        Figure("checks failed", f"{failed:,}", "bad" if failed else "good"),
        Figure("checks that warned", f"{warned:,}"),
    ]
    notes = [
        "A batch is a sealed set of API answers. It is published as a whole, with every check passed, or withheld. "
        "A quarantined answer broke its contract; it is kept, and nothing here depends on it."
    ]
    if replayed is None:
        notes.append(
            "This is a standing warehouse: nothing was replayed for this report. The digests below are those kept for each "
            "event; “sports-market verify” recomputes them from all rows."
        )
    else:
        count = replayed.count
        proven, different = count("proven") + count("covered"), count("different")
        figures += [
            Figure("proven by snapshot", f"{proven:,}", "good" if proven else ""),
            Figure("without a snapshot", f"{count('new'):,}"),
            Figure("different from it", f"{different:,}", "bad" if different else "good"),
        ]
        notes.append(
            f"The recording was replayed for this report. {replayed.outcomes_in_bodies:,} outcomes were counted in admitted "
            f"bodies, and {replayed.outcomes_in_silver:,} are in silver. A state is proven where it equals the snapshot beside "
            "the recording; digests of stored tables were recomputed from all rows, and of views from theirs."
        )
        notes += [f"Failed: {shown(failure)}" for failure in replayed.failures]
    digests = facts.digests if replayed is None else tuple(replayed.digests.items())
    notable = [batch for batch in facts.batches if batch.state == "withheld" or batch.quarantined or batch.failures]
    blocks = [
        _table(
            f"Batches withheld, or with answers that failed or are quarantined ({len(notable)})",
            (
                "batch",
                "state",
                "requests #",
                "failures #",
                "quarantined #",
                "waived #",
                "withdrawn #",
                "failed checks #",
                "why",
            ),
            (
                (
                    batch.batch_id,
                    batch.state,
                    batch.exchanges,
                    batch.failures,
                    batch.quarantined,
                    batch.waived,
                    batch.withdrawn,
                    batch.failed_checks,
                    _cut(batch.detail),
                )
                for batch in notable
            ),
        ),
        _table(
            "Checks of the batches",
            ("check", "passed, batches #", "warned, batches #", "failed, batches #"),
            ((check.name, check.passed, check.warned, check.failed) for check in facts.checks),
        ),
        _table("Digests of gold", ("table", "digest"), digests),
    ]
    return Section("proof", "What was taken in, and proven", (Part("", tuple(notes), tuple(figures), tuple(blocks)),))


def _movement(facts: Facts) -> Section:
    parts = [
        Part(
            notes=(
                f"Events shown: {facts.chosen_by}. Fair probabilities are by the power method, margin removed, of a book’s own "
                "set; the consensus is the median of operator groups. Lines end at the start and where no quote stood.",
            )
        )
    ]
    for number, event in enumerate(facts.events):
        charts = (
            chances_chart(f"chances-{number}", event),
            totals_chart(f"totals-{number}", event),
        )
        parts.append(
            Part(
                event.title,
                (
                    f"{event.sport_key}, {_starts(event)}, {event.status};"
                    f" {event.changes:,} changes before the start.{_made_up(event)}",
                ),
                blocks=(
                    *(Block(chart=chart) for chart in charts if chart is not None),
                    _table(
                        f"{event.title}: fair probability of the home side before the start, by source",
                        ("source", "first, %#", "last, %#", "lowest, %#", "highest, %#", "stretches #"),
                        _ranges(event),
                    ),
                ),
            )
        )
    if not facts.events:
        parts.append(Part(notes=("No price of a game changed before its start.",)))
    return Section("movement", "Line movement", tuple(parts))


def _ranges(event: Event) -> Iterable[tuple[Any, ...]]:
    sources = sorted({stretch.source for stretch in event.chances})
    for source in sources:
        values = [stretch.value for stretch in event.chances if stretch.source == source]
        yield source, *(_percent(value) for value in (values[0], values[-1], min(values), max(values))), len(values)


def _best_prices(facts: Facts) -> Section:
    parts = [
        Part(
            notes=(
                "The best price of each outcome, in sets that are complete, unbroken and fresh, at the start of the event, "
                "or now where the start is not reached. "
                "“Age” is how old the quote was, by its last_update, as it became the best; “stood” is the time since.",
            )
        )
    ]
    parts += [
        Part(
            event.title,
            notes=(_explained(event, "best_price", "line_point=… outcome_name=… --at TIME"),),
            blocks=(
                _table(
                    f"{event.title}: best prices, {_starts(event)}",
                    ("market", "line, points #", "outcome", "best price, decimal #", "at", "books #", "age, s #", "stood, s #"),
                    (
                        (
                            best.market_key,
                            _plain(best.line_point),
                            best.outcome_name,
                            f"{best.price_decimal:.3f}",
                            ", ".join(best.books),
                            best.book_count,
                            best.age_at_open_seconds,
                            best.stood_seconds,
                        )
                        for best in event.best_prices
                    ),
                ),
            ),
        )
        for event in facts.events
    ]
    return Section("best", "Best prices and their age", tuple(parts))


def _explained(event: Event, table: str, more: str) -> str:
    """How to ask where a number comes from."""
    return (
        f"Where a number comes from, down to the bytes of the answers: sports-market explain {table}"
        f" --key event_id={event.event_id} market_key=… {more}"
    )


def _closings(facts: Facts) -> Section:
    parts = [
        Part(
            notes=(
                "Each book’s first price of the home side, and its last sound one before the start. A price that was there "
                "when it was first asked for is no opening. It is a close where its status is “ok” (at most 10 minutes old) or "
                "“aged” (at most 30); the chart and the change, which is that of the implied probability, are of these alone.",
            )
        )
    ]
    for number, event in enumerate(facts.events):
        chart = closings_chart(f"closings-{number}", event.closings)
        parts.append(
            Part(
                event.title,
                notes=(_explained(event, "closings", "bookmaker_key=… outcome_name=…"),),
                blocks=(
                    *(() if chart is None else (Block(chart=chart),)),
                    _table(
                        f"{event.title}: first price and last before the start, decimal",
                        (
                            "book",
                            "outcome",
                            "first price #",
                            "is an opening",
                            "last price #",
                            "change, % points #",
                            "its age, s #",
                            "status",
                        ),
                        (
                            (
                                each.bookmaker_key,
                                each.outcome_name,
                                f"{each.opening_price_decimal:.3f}",
                                "no" if each.is_left_censored else "yes",
                                None if each.closing_price_decimal is None else f"{each.closing_price_decimal:.3f}",
                                None
                                if each.closing_price_decimal is None or not each.is_closing
                                else f"{100 * (1 / each.closing_price_decimal - 1 / each.opening_price_decimal):+.2f}",
                                each.closing_age_seconds,
                                each.close_status,
                            )
                            for each in event.closings
                        ),
                    ),
                ),
            )
        )
    return Section("closings", "Closing against opening", tuple(parts))


def _holds(facts: Facts) -> Section:
    chart = holds_chart("holds-chart", facts.holds)
    return Section(
        "holds",
        "Hold by book",
        (
            Part(
                notes=(
                    "The share of stakes that a book keeps if they are balanced: 1 − 1 / overround, the mean over sound sets "
                    "before the start, where each stretch of no change counts once.",
                ),
                blocks=(
                    *(() if chart is None else (Block(chart=chart),)),
                    _table(
                        "Mean hold before the start, % of stakes",
                        ("book", "market", "mean hold, % #", "sets #"),
                        ((hold.bookmaker_key, hold.market_key, _percent(hold.mean_hold), hold.sets) for hold in facts.holds),
                    ),
                ),
            ),
        ),
    )


def calibration_section(calibration: Sequence[Calibration], completed: int) -> Section:
    """How well probabilities fitted what happened, as far as this warehouse can tell; and what it cannot tell, in words."""
    played = f"{completed:,} events have a completed score here."
    if not calibration:
        return Section("calibration", "Calibration", (Part(notes=(f"No probability has met a graded result yet. {played}",)),))
    thin = sum(not row.publishable for row in calibration)
    notes = (
        "Brier score: mean squared difference of probability and outcome, lower is better; two-way and three-way are not "
        f"comparable. Games of one day are not independent, so a standard error is the least it can be. {played}",
        *((f"{thin:,} of {len(calibration):,} rows are of too few events to say anything; they are marked.",) if thin else ()),
    )
    return Section(
        "calibration",
        "Calibration",
        (
            Part(
                notes=notes,
                blocks=(
                    _table(
                        "Calibration by book and hours to the start, power method",
                        (
                            "sport",
                            "market",
                            "outcomes",
                            "book",
                            "hours before #",
                            "events #",
                            "Brier score #",
                            "± standard error #",
                            "log loss #",
                            "enough events",
                        ),
                        (
                            (
                                row.sport_key,
                                row.market_key,
                                row.outcome_set,
                                row.bookmaker_key,
                                "close" if row.horizon_hours == CLOSE else row.horizon_hours,
                                row.n_events,
                                f"{row.brier:.4f}",
                                None if row.brier_se is None else f"{row.brier_se:.4f}",
                                f"{row.log_loss:.4f}",
                                "yes" if row.publishable else "no",
                            )
                            for row in calibration
                        ),
                    ),
                ),
            ),
        ),
    )


def _health(facts: Facts) -> Section:
    chart = batches_chart("health-chart", facts.batches)
    newest = tuple(reversed(facts.batches))
    return Section(
        "health",
        "Batch health",
        (
            Part(
                notes=(
                    "What each batch brought, beside the median of up to 20 batches of its plan before it. Ages are from when "
                    "a book was read to the answer. “Results missing” are games whose score the API will soon forget.",
                ),
                blocks=(
                    *(() if chart is None else (Block(chart=chart),)),
                    _table(
                        "Batches, the newest first",
                        (
                            "batch",
                            "state",
                            "requests #",
                            "failures #",
                            "quarantined #",
                            "events #",
                            "books #",
                            "outcomes #",
                            "median before #",
                            "quote age, half within, s #",
                            "95 % within, s #",
                            "starts doubted #",
                            "results missing #",
                        ),
                        (
                            (
                                batch.batch_id,
                                batch.state,
                                batch.exchanges,
                                batch.failures,
                                batch.quarantined,
                                batch.events,
                                batch.books,
                                batch.outcomes,
                                batch.outcomes_median,
                                batch.quote_age_p50_seconds,
                                batch.quote_age_p95_seconds,
                                batch.starts_suspect,
                                batch.results_missing,
                            )
                            for batch in newest
                        ),
                    ),
                ),
            ),
        ),
    )


def _credits(facts: Facts) -> Section:
    if not facts.credits:
        notes = ("No call of our own is in this warehouse: what was imported cost nothing here.",)
        return Section("credits", "Credits", (Part(notes=notes),))
    computed, reported = sum(row.computed for row in facts.credits), sum(row.reported for row in facts.credits)
    return Section(
        "credits",
        "Credits",
        (
            Part(
                figures=(
                    Figure("credits by the rules", f"{computed:,}"),
                    Figure("credits by the API’s word", f"{reported:,}"),
                    Figure("credits of lost answers, at most", f"{sum(row.doubtful for row in facts.credits):,}"),
                ),
                blocks=(
                    _table(
                        "Credits spent, by day, endpoint and sport",
                        ("day", "endpoint", "sport", "calls #", "by the rules #", "by the API’s word #", "in doubt #"),
                        (
                            (
                                row.day.isoformat(),
                                row.endpoint,
                                row.sport_key,
                                row.calls,
                                row.computed,
                                row.reported,
                                row.doubtful,
                            )
                            for row in facts.credits
                        ),
                    ),
                ),
            ),
        ),
    )


def _finalize(value: Any) -> Any:
    """What stands on the page: texts without controls; what is HTML or a script already is left alone."""
    return shown(value, max(len(value), 1)) if isinstance(value, str) and not isinstance(value, Markup) else value


def _cut_names(facts: Facts) -> Facts:
    """The facts with names that fit into a heading or a sentence."""
    events = tuple(
        replace(event, title=shown(event.title), sport_key=shown(event.sport_key), status=shown(event.status))
        for event in facts.events
    )
    return replace(facts, events=events, chosen_by=shown(facts.chosen_by))


def _source(script: str) -> str:
    """A script as the page's policy names it: no other one runs, wherever it may stand."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


# --- texts -----------------------------------------------------------------------------------------------------------


def _table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Block:
    """A table of texts; a column whose title ends in ``#`` holds numbers. What is left out is said in its title."""
    heads = tuple(Column(column.removesuffix("#").rstrip(), column.endswith("#")) for column in columns)
    found = [tuple(_text(cell) for cell in row) for row in rows]
    left_out = f"; {ROWS} of {len(found):,} rows" if len(found) > ROWS else ""
    return Block(table=Table(title + left_out, heads, tuple(found[:ROWS])))


def _text(value: Any) -> str:
    if value is None or value == "":
        return NONE
    return f"{value:,}" if isinstance(value, int) else shown(str(value))


def _percent(value: Decimal) -> str:
    return f"{100 * value:.2f}"


def _plain(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= 160 else text[:159] + "…"


def _starts(event: Event) -> str:
    return f"start {_time(event.start_at)} UTC"


def _made_up(event: Event) -> str:
    return " Simulated: neither the game nor its prices are real." if event.source == "simulated" else ""


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M")
