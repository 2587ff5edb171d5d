"""What the page is made of: sections of parts, each with words, drawings and a table; cards that answer at first sight."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.report.charts import Chart
from pipeline.report.grids import Table


@dataclass(frozen=True, slots=True)
class Card:
    """An answer at first sight: what was asked, the answer, its note, and the section that tells more."""

    question: str
    answer: str
    note: str
    section: str


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a section.

    Attributes:
        title: its heading, or the line that unfolds.
        line: what the line says beside the title, where it unfolds.
        tone: of that line: good, bad or empty.
        is_folded: whether it is one line that unfolds.
        notes: sentences.
        charts: drawings.
        table: after them.
    """

    title: str = ""
    line: str = ""
    tone: str = ""
    is_folded: bool = False
    notes: tuple[str, ...] = ()
    charts: tuple[Chart, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page; ``lead`` says in a sentence what it answers."""

    key: str
    title: str
    lead: str
    parts: tuple[Part, ...]
