"""Charts of the report as Plotly figures in JSON: pure functions of the facts. Colours of ink and paper are the page's."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.report.facts import Batch, Event, Hold, OpenClose, Stretch
from pipeline.texts import shown

# Okabe and Ito's colours, told apart by colour-blind readers and on light and dark paper; dashes tell them apart once more.
COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#8c6bb1", "#999999")
DASHES: Final = ("solid", "dash", "dot", "dashdot")
# More lines than that are a tangle; the tables have all.
LINES: Final = 7
# Characters of a name beside a line.
LABEL: Final = 60
CONSENSUS: Final = "consensus"


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure.

    Attributes:
        key: its id on the page.
        label: what it shows, in words, for who cannot see it.
        figure: ``data`` and ``layout`` as JSON, safe within a script.
    """

    key: str
    label: str
    figure: str


def chances_chart(key: str, event: Event) -> Chart | None:
    """Fair probability of the home side over time; None without any."""
    if not event.chances:
        return None
    lines = _liveliest(event.chances)
    team = shown(str(event.home_team), LABEL)
    return _chart(
        key,
        f"Fair probability of {team} over time, by {len(lines)} sources; the table has their ranges.",
        [_steps(source, stretches, number, 100) for number, (source, stretches) in enumerate(lines)],
        _over_time(event, "fair probability of the home side, %"),
    )


def totals_chart(key: str, event: Event) -> Chart | None:
    """The total of each book over time; None without any."""
    if not event.totals:
        return None
    lines = _liveliest(event.totals)
    return _chart(
        key,
        f"The total that {len(lines)} books hung over time, in points of the sport.",
        [_steps(source, stretches, number, 1) for number, (source, stretches) in enumerate(lines)],
        _over_time(event, "total, points of the sport"),
    )


def closings_chart(key: str, closings: Sequence[OpenClose]) -> Chart | None:
    """Opening and closing price of each book, side by side; None without a close."""
    known = [each for each in closings if each.is_closing]
    if not known:
        return None
    books = [_label(each.bookmaker_key) for each in known]
    marks = (
        ("first price", "circle-open", [float(each.opening_price_decimal) for each in known]),
        ("closing price", "circle", [float(each.closing_price_decimal or 0) for each in known]),
    )
    return _chart(
        key,
        "First and closing decimal price of the home side, by book; the table has the numbers.",
        [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": prices,
                "y": books,
                "marker": {
                    "symbol": symbol,
                    "size": 11,
                    "color": COLOURS[number],
                    "line": {"width": 2, "color": COLOURS[number]},
                },
                "hovertemplate": "%{y}: %{x:.2f}<extra>" + name + "</extra>",
            }
            for number, (name, symbol, prices) in enumerate(marks)
        ],
        {
            "height": 150 + 22 * len(books),
            "xaxis": {"title": {"text": "decimal price of the home side"}},
            "yaxis": {"autorange": "reversed", "type": "category", "automargin": True},
        },
    )


def holds_chart(key: str, holds: Sequence[Hold]) -> Chart | None:
    """Mean hold by book and market; None without any."""
    if not holds:
        return None
    markets = sorted({hold.market_key for hold in holds})
    by_book: dict[str, list[Hold]] = {}
    for hold in holds:
        by_book.setdefault(hold.bookmaker_key, []).append(hold)
    books = sorted(by_book, key=lambda book: (min(hold.mean_hold for hold in by_book[book]), book))
    found = {(hold.bookmaker_key, hold.market_key): hold for hold in holds}
    symbols = ("circle", "square", "diamond")
    return _chart(
        key,
        f"Mean hold of {len(books)} books before the start, by market, in percent of stakes; the table has the numbers.",
        [
            {
                "type": "scatter",
                "mode": "markers",
                "name": _label(market),
                "x": [round(100 * float(found[book, market].mean_hold), 4) for book in books if (book, market) in found],
                "y": [_label(book) for book in books if (book, market) in found],
                "marker": {"symbol": symbols[number % 3], "size": 10, "color": COLOURS[number % len(COLOURS)]},
                "hovertemplate": "%{y}: %{x:.2f} %<extra>" + _label(market) + "</extra>",
            }
            for number, market in enumerate(markets)
        ],
        {
            "height": 150 + 22 * len(books),
            "xaxis": {"title": {"text": "mean hold, % of stakes"}, "rangemode": "tozero"},
            "yaxis": {
                "autorange": "reversed",
                "type": "category",
                "categoryorder": "array",
                "categoryarray": [_label(book) for book in books],
                "automargin": True,
            },
        },
    )


def batches_chart(key: str, batches: Sequence[Batch]) -> Chart | None:
    """Outcomes of each batch, and the median of its plan's batches before it; None without any."""
    known = [batch for batch in batches if batch.outcomes is not None]
    if not known:
        return None
    names = [_label(batch.batch_id[:16]) for batch in known]
    return _chart(
        key,
        f"Outcomes that each of {len(known)} batches brought, beside the median of the batches of its plan before it.",
        [
            {
                "type": "bar",
                "name": "outcomes",
                "x": list(range(len(known))),
                "y": [batch.outcomes for batch in known],
                "text": names,
                "textposition": "none",
                "marker": {"color": COLOURS[0]},
                "hovertemplate": "%{text}: %{y:,}<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": "median before it",
                "x": list(range(len(known))),
                "y": [batch.outcomes_median for batch in known],
                "marker": {"symbol": "line-ew-open", "size": 12, "color": COLOURS[1], "line": {"width": 3}},
                "hovertemplate": "median: %{y:,}<extra></extra>",
            },
        ],
        {
            "xaxis": {"title": {"text": "batches in order of time"}, "showticklabels": False},
            "yaxis": {"title": {"text": "outcomes"}, "rangemode": "tozero"},
        },
    )


def _liveliest(stretches: Sequence[Stretch]) -> list[tuple[str, list[Stretch]]]:
    """The consensus, and the books with the most changes, in order of name."""
    by_source: dict[str, list[Stretch]] = {}
    for stretch in stretches:
        by_source.setdefault(stretch.source, []).append(stretch)
    books = sorted((source for source in by_source if source != CONSENSUS), key=lambda book: (-len(by_source[book]), book))
    liveliest = sorted(books[:LINES])
    return [(source, by_source[source]) for source in ([CONSENSUS] if CONSENSUS in by_source else []) + liveliest]


def _steps(source: str, stretches: Sequence[Stretch], number: int, factor: int) -> dict[str, Any]:
    """A line of steps: a value holds until the next, and the line is broken where there was none."""
    times: list[str] = []
    values: list[float | None] = []
    for place, stretch in enumerate(stretches):
        value = round(float(stretch.value) * factor, 4)
        times += [_time(stretch.begins), _time(stretch.ends)]
        values += [value, value]
        following = stretches[place + 1].begins if place + 1 < len(stretches) else None
        if following is not None and following > stretch.ends:
            times.append(_time(stretch.ends))
            values.append(None)
    is_consensus = source == CONSENSUS
    return {
        "type": "scatter",
        "mode": "lines",
        "name": _label(source),
        "x": times,
        "y": values,
        "line": {
            "width": 3.5 if is_consensus else 1.6,
            "color": COLOURS[number % len(COLOURS)],
            "dash": "solid" if is_consensus else DASHES[number % len(DASHES)],
        },
        "hovertemplate": "%{x|%d %b %H:%M} UTC: %{y:.1f}<extra>" + _label(source) + "</extra>",
    }


def _over_time(event: Event, title: str) -> dict[str, Any]:
    start = _time(event.start_at)
    return {
        "xaxis": {"title": {"text": "time, UTC"}, "type": "date"},
        "yaxis": {"title": {"text": title}},
        "shapes": [
            {"type": "line", "x0": start, "x1": start, "yref": "paper", "y0": 0, "y1": 1, "line": {"dash": "dot", "width": 1.5}}
        ],
        "annotations": [
            {
                "x": start,
                "y": 1,
                "yref": "paper",
                "yanchor": "bottom",
                "text": "start",
                "showarrow": False,
                "font": {"size": 11},
            }
        ],
    }


def _chart(key: str, label: str, data: list[dict[str, Any]], layout: dict[str, Any]) -> Chart:
    spread = {
        "height": 380,
        "margin": {"l": 56, "r": 12, "t": 24, "b": 56},
        "legend": {"orientation": "h", "y": -0.22, "yanchor": "top"},
        "hovermode": "closest",
        **layout,
    }
    if spread["height"] != 380:  # below a chart as high as its rows are many
        spread["legend"] = {"orientation": "h", "y": 1, "yanchor": "bottom"}
    text = json.dumps({"data": data, "layout": spread}, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # nothing in a name ends the script that holds it
    return Chart(key, label, text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))


def _label(text: str) -> str:
    """A text of others in a figure, where Plotly would take tags for markup and links, and ``%{…}`` for a value."""
    plain = shown(text, LABEL).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return plain.replace("%{", "&#37;{")


def _time(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S")
