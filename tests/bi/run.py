"""Superset on gold, for real: a replayed warehouse that listens, the bundle imported by Superset's command, every chart asked.

``python -m tests.bi.run VENV`` takes a Superset that is installed in VENV; ``--serve`` leaves its server running until Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import requests

from pipeline.resources import resource
from pipeline.settings import Settings
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import resolve_server
from pipeline.warehouse.reader_door import opened_to_reader
from tests.bi.bundle import ADDRESS, CHARTS, FOLDER, PORT, SLUG

CONFIG: Final = FOLDER.parent / "superset_config.py"
USER: Final = "admin"
WAIT_SECONDS: Final = 300
# A price that stood an hour before a game with a close: what a bettor could have taken.
_BET: Final = """
select
    c.event_id, c.sport_key, c.market_key, c.outcome_name, c.bookmaker_key, c.price_native, c.odds_format,
    c.start_at - interval '1 hour'
from gold.closings as c
where c.is_closing and c.market_key = 'h2h'
order by c.start_at, c.event_id, c.bookmaker_key, c.outcome_name
limit 2
"""


@dataclass(frozen=True, slots=True)
class Superset:
    """An installed Superset with a state of its own.

    Attributes:
        programs: the folder of its venv's programs.
        environment: what each of them runs in.
        password: of its one user.
    """

    programs: Path
    environment: Mapping[str, str]
    password: str

    def run(self, *words: str) -> None:
        """Run one of its commands to its end; what it said is shown where it fails."""
        done = subprocess.run(
            [self.programs / "superset", *words], env=self.environment, capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode:
            sys.exit(f"superset {words[0]} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")

    @contextlib.contextmanager
    def served(self, port: int, log: Path) -> Iterator[str]:
        """Its server, and the address where it answers."""
        words = [str(self.programs / "superset"), "run", "--host", "127.0.0.1", "--port", str(port), "--with-threads"]
        with log.open("wb") as out:
            process = subprocess.Popen(words, env=self.environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(f"{url}/health", process, log)
            yield url
        finally:
            process.terminate()
            process.wait(60)


def main() -> int:
    """Import, ask, and tell; 1 where a chart errs or has no row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("venv", type=Path)
    parser.add_argument("--serve", action="store_true", help="leave the server running until Ctrl-C")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="sm-bi-", dir="/tmp"))
    try:
        with _warehouse(work) as passwords:
            superset = _made(options.venv.absolute() / "bin", work, passwords)
            with superset.served(_free_port(), work / "superset.log") as url:
                failed = _ask_all(url, superset.password)
                if options.serve:
                    print(f"{url}/superset/dashboard/{SLUG}/ as {USER}, {superset.password}; Ctrl-C ends it", flush=True)
                    with contextlib.suppress(KeyboardInterrupt):
                        time.sleep(86_400)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return 1 if failed else 0


@contextlib.contextmanager
def _warehouse(work: Path) -> Iterator[Path]:
    """The bundled recording and a small ledger in a warehouse that lets the reader in by TCP; the file with its password."""
    state = work / "state"
    environment = {**os.environ, "SPORTS_MARKET_STATE_DIR": str(state)}
    environment.pop("SPORTS_MARKET_DATABASE_URL", None)
    _timed("load", lambda: _sports_market(environment, "load", str(resource("fixtures/recordings/simulated"))))
    settings = Settings(state_dir=state)
    with resolve_server(settings, print) as server:
        _write_ledger(server.warehouse(), work / "bets.csv")
    told = ("--ledger", "example", "--captured-at", "2024-10-29T08:00:00Z", "--simulated")
    _sports_market(environment, "bets", "import", str(work / "bets.csv"), "--out", str(work / "bets"), *told)
    _sports_market(environment, "load", str(work / "bets"))
    with resolve_server(settings, print, PORT) as server, opened_to_reader(server.warehouse(), PORT, state) as door:
        with psycopg.connect(door.address) as reader:
            assert reader.execute("select count(*) from gold.bet_ledger").fetchone() == (2,)
        yield door.file


def _sports_market(environment: Mapping[str, str], *words: str) -> None:
    subprocess.run([sys.executable, "-m", "pipeline.cli", *words, "--quiet"], env=environment, check=True)


def _write_ledger(warehouse: Warehouse, out: Path) -> None:
    with warehouse.connect(Role.READER) as reader:
        rows = reader.execute(_BET.encode()).fetchall()
    assert rows
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        names = ("event_id", "sport_key", "market", "outcome", "bookmaker_key", "price", "odds_format", "placed_at")
        writer.writerow(("bet_id", "stake", *names))
        for number, (*values, placed_at) in enumerate(rows, 1):
            writer.writerow((number, 25, *values, placed_at.isoformat().replace("+00:00", "Z")))


def _made(programs: Path, work: Path, passwords: Path) -> Superset:
    """A Superset whose database has the bundle, as a reader of docs/bi.md makes it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FLASK_", "SUPERSET_"))}
    environment = {
        **kept,
        "SUPERSET_CONFIG_PATH": str(CONFIG),
        "SUPERSET_HOME": str(work / "superset"),
        "PGPASSFILE": str(passwords),
    }
    superset = Superset(programs, environment, "only-on-this-machine")
    bundle = shutil.make_archive(str(work / "bundle"), "zip", FOLDER.parent, FOLDER.name)
    who = ("--firstname", "A", "--lastname", "Reader", "--email", "reader@localhost", "--password", superset.password)
    _timed("db upgrade", lambda: superset.run("db", "upgrade"))
    _timed("create-admin", lambda: superset.run("fab", "create-admin", "--username", USER, *who))
    _timed("init", lambda: superset.run("init"))
    _timed("import-dashboards", lambda: superset.run("import-dashboards", "--path", bundle, "--username", USER))
    return superset


def _ask_all(url: str, password: str) -> int:
    """Ask every chart for its data, tell what came, and how many failed."""
    with requests.Session() as session:
        session.trust_env = False
        login = {"username": USER, "password": password, "provider": "db", "refresh": False}
        token = _json(session.post(f"{url}/api/v1/security/login", json=login, timeout=60))["access_token"]
        session.headers["Authorization"] = f"Bearer {token}"
        dashboard = _json(session.get(f"{url}/api/v1/dashboard/{SLUG}/charts", timeout=60))["result"]
        charts = {each["slice_name"]: each["id"] for each in dashboard}
        missing = {each.title for each in CHARTS} - charts.keys()
        problems = [f"{title}: not on the dashboard" for title in sorted(missing)]
        for title, number in charts.items():
            began = time.monotonic()
            answer = session.get(f"{url}/api/v1/chart/{number}/data/", timeout=300)
            rows, problem = _rows(answer)
            problems += [f"{title}: {problem}"] if problem else []
            print(f"{title:40} {rows:5} rows {time.monotonic() - began:6.2f} s  {problem or ''}", flush=True)
        uri = _json(session.get(f"{url}/api/v1/database/1/connection", timeout=60))["result"]["sqlalchemy_uri"]
        problems += [] if uri == ADDRESS else [f"the database is {uri}"]
    print(f"{len(charts)} charts asked, {len(problems)} failed", *problems, sep="\n")
    return len(problems)


def _rows(answer: requests.Response) -> tuple[int, str]:
    """How many rows a chart has, and what is wrong with it."""
    if not answer.ok:
        return 0, f"{answer.status_code}: {answer.text[:500]}"
    [result] = answer.json()["result"]
    problem = result.get("error") or ("" if result["rowcount"] else "no row")
    # a filter on what is not there would only be left out
    problem = problem or "; ".join(f"filter {each['column']}: {each['reason']}" for each in result["rejected_filters"])
    return int(result["rowcount"] or 0), str(problem)


def _json(answer: requests.Response) -> Any:
    if not answer.ok:
        sys.exit(f"{answer.url}: {answer.status_code}: {answer.text[:2000]}")
    return answer.json()


def _timed(what: str, do: Any) -> None:
    began = time.monotonic()
    do()
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=5).ok:
                return
        time.sleep(0.5)
    sys.exit(f"Superset does not answer; it said: {log.read_text(errors='replace')[-6000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
