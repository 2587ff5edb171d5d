"""What an operator sees, in a real browser: a backfill, a batch that is withheld, why, the fix, and numbers over partitions.

Run by `python3 -m nox -s browser`, which asks for a browser. SPORTS_MARKET_SCREENSHOTS names a folder
in which pages are pictured; SPORTS_MARKET_BROWSER_BATCHES says how many of the bundled recording's batches there are (all).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from pipeline.orchestration.home import DATABASE
from pipeline.recording.store import Recording
from pipeline.resources import resource
from tests.conftest import Project, with_parse
from tests.recordings import bundled_part

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif("SPORTS_MARKET_BROWSER" not in os.environ, reason="python3 -m nox -s browser runs it")

RECORDING = Recording.open(resource("fixtures/recordings/simulated"))
BATCH_IDS = RECORDING.batch_ids[: int(os.environ.get("SPORTS_MARKET_BROWSER_BATCHES") or len(RECORDING))]
BAD = BATCH_IDS[1]
JOB = "/locations/pipeline.orchestration.definitions/jobs/ingest"
PATIENCE_MS = 120_000
MINUTES = 10 * 60


@dataclass
class Site:
    """Dagster's address, and the warehouse as its owner."""

    url: str
    owner: psycopg.Connection[Any]
    runs: psycopg.Connection[Any]

    def states(self) -> dict[str, int]:
        """How many batches are in each state."""
        rows = self.owner.execute("select state, count(*) from ops.batch_states group by state").fetchall()
        return dict(rows)

    def wait_for(self, **states: int) -> None:
        """Until the batches stand so, and no run is under way that would tell more."""
        self._wait(lambda: self.states() == states and not self._running(), lambda: f"{self.states()}, not {states}")

    def _running(self) -> bool:
        query = "select exists (select from runs where status not in ('SUCCESS', 'FAILURE', 'CANCELED'))"
        return bool(self.runs.execute(query).fetchall()[0][0])

    def _wait(self, done: Callable[[], bool], told: Callable[[], str]) -> None:
        end = time.monotonic() + MINUTES
        while not done():
            assert time.monotonic() < end, told()
            time.sleep(1)


@pytest.fixture(scope="module")
def site(project: Project) -> Iterator[Site]:
    """Everything, brought up by the command."""
    folder = Path(tempfile.mkdtemp(prefix="sm-", dir="/tmp"))
    recording = bundled_part(folder / "recordings" / "first", len(BATCH_IDS))
    with_parse(folder / "state", project)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPORTS_MARKET_", "DAGSTER_"))}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "up", "--port", "0"],
        env={**kept, "SPORTS_MARKET_STATE_DIR": str(folder / "state"), "SPORTS_MARKET_RECORDINGS_DIR": str(recording.parent)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = dict(re.findall(r"^(\w[\w ]*): +(\S+)$", _until_ready(process), re.MULTILINE))
        place = conninfo_to_dict(said["Warehouse"])
        address = {"host": place["host"], "port": place["port"], "user": "postgres", "autocommit": True}
        with (
            psycopg.connect(**address, dbname=place["dbname"]) as owner,
            psycopg.connect(**address, dbname=DATABASE) as runs,
        ):
            yield Site(said["Dagster"], owner, runs)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=MINUTES)
        shutil.rmtree(folder, ignore_errors=True)


def _until_ready(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("Ctrl-C"):
            return "".join(lines)
    raise AssertionError("it ended: " + "".join(lines))


@pytest.fixture(scope="module")
def page(site: Site) -> Iterator[Any]:
    """A page of a browser that asks nobody but Dagster."""
    with playwright.sync_playwright() as driver:
        quiet = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(quiet))
        with contextlib.closing(browser.new_page(viewport={"width": 1500, "height": 950}, base_url=site.url)) as opened:
            opened.set_default_timeout(PATIENCE_MS)
            yield opened
        browser.close()


def picture(page: Any, name: str) -> None:
    """Keep what is seen, where somebody asked for it."""
    folder = os.environ.get("SPORTS_MARKET_SCREENSHOTS")
    if folder:
        page.wait_for_timeout(2000)
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def backfill(page: Any, which: str) -> None:
    """Launch a backfill of partitions from the job's page."""
    page.goto(f"{JOB}/partitions")
    page.get_by_role("button", name="Materialize…").click()
    page.get_by_role("button", name=which, exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    page.get_by_role("button", name="Launch backfill").wait_for(state="hidden")


def test_an_operator_takes_batches_in_sees_what_is_withheld_and_runs_it_again(site: Site, page: Any) -> None:
    at = RECORDING.read(BAD).scheduled_at.isoformat()
    site.owner.execute(
        "create function public.spoil() returns trigger language plpgsql as $$ begin"
        f" if new.moment_at = '{at}' then new.price_decimal := 0.5; end if; return new; end $$"
    )
    site.owner.execute("create trigger spoil before insert on silver.quotes for each row execute function public.spoil()")
    backfill(page, "All")
    site.wait_for(published=len(BATCH_IDS) - 1, withheld=1)

    # the check that failed tells the rule and the row
    page.goto("/assets/silver/quotes?view=checks&checkDetail=silver_quotes")
    page.get_by_text("Execution history").wait_for()  # the check's tabs, below the asset's
    page.get_by_text("Partitions", exact=True).last.click()
    page.get_by_text(f"Passed ({len(BATCH_IDS) - 1})").wait_for()
    page.get_by_text("Failed (1)").first.wait_for()
    # its name is cut short where there is little room
    page.get_by_text(BAD[-8:]).locator("visible=true").first.click()
    page.get_by_text("a complete set is priced").first.wait_for()
    picture(page, "failed-check")

    # what is withheld is missing, alone; after the fix its partition runs again
    page.goto("/assets/gold/price_history?view=partitions")
    page.get_by_text(f"Materialized ({len(BATCH_IDS) - 1})").wait_for()
    site.owner.execute("drop function public.spoil cascade")
    backfill(page, "All")  # those that stand already are left as they are
    site.wait_for(published=len(BATCH_IDS))
    page.goto("/assets/gold/price_history?view=partitions")
    page.get_by_text(f"Materialized ({len(BATCH_IDS)})").wait_for()

    page.goto(f"/assets/gold/price_history?view=partitions&partition={BAD}")
    page.get_by_text("changes", exact=True).first.wait_for()
    picture(page, "partition")


def test_every_check_of_a_table_is_seen_with_its_numbers_over_partitions(page: Any) -> None:
    page.goto("/assets/gold/price_history?view=checks&checkDetail=determinism")
    page.get_by_text("Passed").first.wait_for()
    page.get_by_text("differing").first.wait_for()
    page.locator("canvas").first.wait_for()
    picture(page, "check")

    page.goto("/assets/gold/price_history")
    page.get_by_role("button", name="Plots").click()
    page.locator("canvas").first.wait_for()
    picture(page, "plots")


def test_the_lineage_leads_from_the_api_to_gold(page: Any) -> None:
    page.goto("/assets/gold/price_history?view=lineage&lineageScope=upstream&lineageDepth=9")
    for name in ("the_odds_api", "recording", "exchanges", "quotes", "price_history"):
        page.get_by_text(name, exact=True).first.wait_for()


def test_the_lineage_opens_on_boxes_of_subjects_all_seen_each_after_what_it_hangs_on(page: Any) -> None:
    page.goto("/asset-groups")
    subjects = {f"gold_{path.parent.name}" for path in resource("dbt/models/gold").glob("*/*.sql")}
    drawn = page.locator("svg foreignObject")

    def left(name: str) -> float:
        box = drawn.get_by_text(name, exact=True).first.bounding_box()
        # within the window, none cut off or off the sheet
        assert box["x"] > 0 and box["x"] + box["width"] < 1500 and 0 < box["y"] < 950, name
        return float(box["x"])

    drawn.get_by_text("silver_staging", exact=True).first.wait_for()
    picture(page, "lineage")
    flow = (
        "sources",
        "bronze",
        "silver_staging",
        "silver",
        "gold_events",
        "gold_prices",
        "gold_fair",
        "gold_closings",
        "gold_games",
    )
    assert list(flow) == sorted(flow, key=left)
    assert all(left(name) > left("silver") for name in subjects)
    # boxes alone: their tables unfold on a click
    assert drawn.get_by_text("price_history", exact=True).count() == 0
    page.get_by_text("gold_prices", exact=True).last.click()
    drawn.get_by_text("price_history", exact=True).first.wait_for()
