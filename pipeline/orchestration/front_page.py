"""The page that ``up`` opens on: where everything is, how the last batches stand, and what they gave cause to tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

from pipeline.warehouse.connect import Role, Warehouse
from pipeline.whole_files import written_whole

# So many batches, and alerts, are shown; so often, in seconds, the page is written and read anew.
SHOWN: Final = 20
EVERY_SECONDS: Final = 15

_BATCHES: Final = """
select h.batch_id, h.scheduled_at, h.state, h.answers, h.quarantined, h.failed_checks, h.detail
from ops.batch_health as h
order by h.batch_id desc
limit %s
"""
_STATES: Final = "select s.state, count(*) from ops.batch_states as s group by s.state order by s.state"
_ALERTS: Final = """
select a.raised_at, a.kind, a.message
from ops.alerts as a
order by a.raised_at desc, a.kind, a.alert_id
limit %s
"""


@dataclass(frozen=True, slots=True)
class Link:
    """Something to open.

    Attributes:
        title: what it is.
        address: its URL; None while it is on its way, or gone.
        about: what is found there.
    """

    title: str
    address: str | None
    about: str


@dataclass(frozen=True, slots=True)
class BatchRow:
    """How a batch stands, as ``ops.batch_health`` has it."""

    batch_id: str
    scheduled_at: dt.datetime
    state: str
    answers: int
    quarantined: int
    failed_checks: int
    detail: str | None

    @property
    def time(self) -> str:
        """When it was due, UTC."""
        return f"{self.scheduled_at.astimezone(dt.UTC):%a %d %b %Y %H:%M}"


@dataclass(frozen=True, slots=True)
class AlertRow:
    """What a batch gave cause to tell."""

    raised_at: dt.datetime
    kind: str
    message: str

    @property
    def time(self) -> str:
        """The batch's time, UTC."""
        return f"{self.raised_at.astimezone(dt.UTC):%a %d %b %H:%M}"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is shown beside the links.

    Attributes:
        states: how many batches are in each state.
        batches: the newest ones, the newest first.
        alerts: the newest ones, the newest first.
    """

    states: tuple[tuple[str, int], ...]
    batches: tuple[BatchRow, ...]
    alerts: tuple[AlertRow, ...]


def standing_of(warehouse: Warehouse) -> Standing:
    """How a warehouse's batches stand, as the reader sees it."""
    with warehouse.connect(Role.READER) as reader:
        states = reader.execute(_STATES).fetchall()
        batches = reader.execute(_BATCHES, [SHOWN]).fetchall()
        alerts = reader.execute(_ALERTS, [SHOWN]).fetchall()
    return Standing(
        tuple((str(state), int(count)) for state, count in states),
        tuple(BatchRow(*row) for row in batches),
        tuple(AlertRow(*row) for row in alerts),
    )


def render(links: Sequence[Link], standing: Standing, now: dt.datetime, *, up: bool = True) -> str:
    """The page, which reads itself anew every so often while all is up; everything that data says is escaped."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    # as the report's page looks
    css = Markup(files("pipeline.report").joinpath("page.css").read_text(encoding="utf-8"))
    environment = Environment(
        loader=PackageLoader("pipeline.orchestration", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template("front_page.html.j2")
    return template.render(
        css=css,
        links=links,
        standing=standing,
        written_at=f"{now.astimezone(dt.UTC):%a %d %b %Y %H:%M:%S} UTC",
        every=EVERY_SECONDS,
        up=up,
    )


def write(page: Path, links: Sequence[Link], standing: Standing, now: dt.datetime, *, up: bool = True) -> None:
    """Write the page; whoever reads it sees the old one or the new one."""
    page.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(page) as file:
        file.write_text(render(links, standing, now, up=up), encoding="utf-8")
