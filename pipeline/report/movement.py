"""A picture of how prices moved: a small SVG, one line of steps per bookmaker."""

from __future__ import annotations

import base64
from html import escape
from typing import Final

from pipeline.replay.publish import Movement

WIDTH, HEIGHT, MARGIN = 640, 240, 28
COLOURS: Final = ("#4f77d0", "#d0694f", "#3f9b6c", "#9b59b6", "#c79a2b", "#5b6770")


def movement_svg(movement: Movement) -> str:
    """The picture. Prices go up, time goes to the right; a price holds until the next one."""
    times = [time for line in movement.lines for time, _ in line.points] + [line.until for line in movement.lines]
    prices = [price for line in movement.lines for _, price in line.points]
    first, last, low, high = min(times), max(times), min(prices), max(prices)

    def x(time: float) -> float:
        return MARGIN + (WIDTH - 2 * MARGIN) * ((time - first) / (last - first) if last > first else 0.5)

    def y(price: float) -> float:
        return HEIGHT - MARGIN - (HEIGHT - 3 * MARGIN) * ((price - low) / (high - low) if high > low else 0.5)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}"'
        ' font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{MARGIN}" y="16">{escape(movement.title)}</text>',
        f'<text x="2" y="{y(high):.0f}">{high:.2f}</text><text x="2" y="{y(low):.0f}">{low:.2f}</text>',
    ]
    for number, (line, colour) in enumerate(zip(movement.lines, COLOURS, strict=False)):
        path = f"M{x(line.points[0][0]):.1f} {y(line.points[0][1]):.1f}"
        path += "".join(f"H{x(time):.1f}V{y(price):.1f}" for time, price in line.points[1:]) + f"H{x(line.until):.1f}"
        parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        label = escape(line.bookmaker_key)
        parts.append(f'<text x="{MARGIN + number * 98}" y="{HEIGHT - 6}" fill="{colour}">{label}</text>')
    return "".join((*parts, "</svg>"))


def movement_markdown(movement: Movement) -> str:
    """The picture within a line of Markdown, with nothing to be fetched."""
    data = base64.b64encode(movement_svg(movement).encode()).decode()
    return f"![{movement.title.replace(']', ')')}](data:image/svg+xml;base64,{data})"
