"""Explanations over a real HTTP server: tables are listed, rows chosen and led back to bytes, and wrong requests told."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
import requests

from pipeline import cli
from pipeline.orchestration.explain_pages import explanations
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import relations
from tests.conftest import address


@pytest.fixture(scope="module")
def pages(bundled: Warehouse) -> Iterator[str]:
    with explanations(bundled, "127.0.0.1") as url:
        yield url


def got(url: str) -> str:
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 200, answer.text
    assert "://" not in re.sub(r'<a href="[^"]*"', "", answer.text)  # it needs nothing else
    return answer.text


def links(page: str, base: str) -> list[str]:
    return [urljoin(base, html.unescape(each)) for each in re.findall(r'<a href="([^"]+)"', page)]


def test_it_lists_every_relation_of_gold(pages: str) -> None:
    assert [urlsplit(each).path.rpartition("/")[2] for each in links(got(pages), pages)] == [each.name for each in relations()]


@pytest.mark.parametrize("name", ["gold.best_price", "gold.best_price_now", "gold.consensus", "gold.closings", "gold.events"])
def test_a_row_is_chosen_and_led_back_to_the_bytes(name: str, pages: str, bundled: Warehouse) -> None:
    choice = got(f"{pages}/{name}")
    chosen = links(choice, pages)
    assert len(chosen) > 3
    page = got(chosen[0])
    with bundled.connect(Role.TRANSFORMER) as reader:
        found = re.findall(r"bytes (\d+)–(\d+) of body <code>([0-9a-f]{64})</code></p>\s*<pre>(.*?)</pre>", page, re.DOTALL)
        assert found
        for start, end, sha256, text in found:
            row = reader.execute("select body from bronze.bodies where body_sha256 = %s", [sha256]).fetchone()
            assert row is not None
            body = bytes(row[0])[int(start) : int(end)].decode()
            shown = html.unescape(text)
            assert body.startswith(shown.removesuffix("…"))
    # what it was computed from is explained in its turn
    below = [each for each in links(page, pages) if f"/{name}?" not in each]
    assert below
    assert "What it was computed from" in got(below[0])


def test_a_key_that_fits_no_row_is_told(pages: str) -> None:
    assert "There is no such row" in got(f"{pages}/gold.events?event_id=nobody")


def test_what_holds_over_time_is_asked_at_a_time(pages: str, bundled: Warehouse) -> None:
    with bundled.connect(Role.READER) as reader:
        line, at = reader.execute(
            "select line_id, max(valid_from) from gold.best_price group by 1 having count(*) > 2 limit 1"
        ).fetchall()[0]
    page = got(f"{pages}/gold.best_price?line_id={line}&at={at.strftime('%Y-%m-%dT%H:%M:%SZ')}")
    assert "What it was computed from" in page


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/gold.nothing", 400, "TABLE_UNKNOWN"),
        ("/gold.events?colour=red", 400, "COLUMN_UNKNOWN"),
        ("/gold.best_price?line_id=x", 400, "EXPLAIN_KEY"),
        ("/gold.events?at=tomorrow", 400, "at"),
        ("/a/b", 404, "There is nothing here"),
    ],
)
def test_wrong_requests_are_told(path: str, status: int, told: str, pages: str) -> None:
    answer = requests.get(pages + path, timeout=30)
    assert (answer.status_code, told in answer.text) == (status, True)


def test_markup_in_an_address_is_text(pages: str) -> None:
    answer = requests.get(f"{pages}/gold.events", params={"event_id": "<script>alert(1)</script>"}, timeout=30)
    assert "<script>" not in answer.text
    assert "default-src 'none'" in answer.text


def test_another_name_is_refused(pages: str) -> None:
    """A page of another name that resolves to the loopback would be read by whoever owns the name."""
    answer = requests.get(pages, headers={"Host": "rebound.example"}, timeout=30)
    assert answer.status_code == 421
    assert requests.post(pages, timeout=30).status_code == 501


def test_a_report_leads_there(pages: str, bundled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", bundled.role_prefix)
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", address(bundled))
    monkeypatch.setenv("SPORTS_MARKET_STATE_DIR", str(tmp_path))
    out = tmp_path / "report.html"
    assert cli.main(["report", "--out", str(out), "--explain-at", f"{pages}/"]) == 0
    found = [each for each in links(out.read_text(), pages) if each.startswith(f"{pages}/gold.")]
    assert len(found) > 10
    assert "What it was computed from" in got(found[0])
    assert cli.main(["report", "--out", str(out), "--explain-at", "javascript:alert(1)"]) == 2


def test_a_page_is_written_by_the_command(
    bundled: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", bundled.role_prefix)
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", address(bundled))
    monkeypatch.setenv("SPORTS_MARKET_STATE_DIR", str(tmp_path))
    out = tmp_path / "row.html"
    assert cli.main(["explain", "best_price", "--random", "1", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["explanations"][0]
    text = html.unescape(out.read_text())
    assert "<h1>gold.best_price</h1>" in text
    assert all(row["answer"]["pointer"] in text for row in told["rows"] if row["answer"])
    assert links(out.read_text(), "file:///") == []  # alone it leads nowhere
    assert cli.main(["explain", "best_price", "--random", "2", "--out", str(out)]) == 2
    assert cli.main(["explain", "best_price", "--random", "1", "--out", str(tmp_path)]) == 2
