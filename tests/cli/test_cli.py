"""The command line: what it accepts, what it says, and what it ends with."""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import psycopg
import psycopg2
import pytest

import pipeline
from pipeline import cli
from pipeline.cli.ending import Stop, stopping
from pipeline.cli.proving import BUNDLED
from pipeline.cli.screen import Screen
from pipeline.clock import SystemClock
from pipeline.errors import SportsMarketError, UsageError
from pipeline.market.sandbox.sandbox_clock import SandboxClock
from pipeline.market.sandbox.server import serving
from pipeline.market.sandbox.service import Sandbox
from pipeline.market.simulator import SimulatedMarket
from pipeline.recording.model import exchange_id
from pipeline.recording.store import Recording, RecordingWriter, content_sha256
from pipeline.resources import resource
from pipeline.runs.progress import BatchLine
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.database import Server
from tests.conftest import address
from tests.ledgers import BET, PREDICTION, row_of, write
from tests.recordings import bundled_part

REPOSITORY: Final = Path(__file__).resolve().parents[2]
README: Final = REPOSITORY / "README.md"
SECONDS: Final = 240


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of whoever runs the tests, and a folder of the test's own."""
    for name in [name for name in os.environ if name.startswith(("SPORTS_MARKET_", "ODDS_API_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it."""
    return subprocess.run(
        _command(*arguments), env=_environment(env), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS
    )


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pipeline.cli", *arguments]


def _environment(extra: dict[str, str] | None) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **(extra or {})}


def commands() -> dict[str, argparse.ArgumentParser]:
    """Each command by the words that it is called with."""
    found: dict[str, argparse.ArgumentParser] = {}

    def walk(prefix: str, parser: argparse.ArgumentParser) -> None:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for name, one in action.choices.items():
                    walk(f"{prefix} {name}".strip(), one)
        if parser.get_default("command"):
            found[prefix] = parser

    walk("", cli.parser())
    return found


# --- help and wrong use ----------------------------------------------------------------------------------------------


def test_the_commands() -> None:
    ours = {
        "import",
        "results import",
        "bets import",
        "predictions import",
        "replay",
        "attest",
        "diff",
        "explain",
        "report",
        "export",
        "compute",
        "load",
        "verify",
        "rebuild",
        "archive",
        "drift",
        "completion",
        "simulate",
        "sandbox",
        "plan cost",
        "ingest",
        "credits",
        "backfill",
        "up",
        "dagster backfill",
        "db bootstrap",
        "recording reseal",
    }
    held = {f"quarantine {name}" for name in ("list", "show", "retry", "waive", "withdraw")}
    promises = {f"contracts {name}" for name in ("check", "run", "docs", "export")}
    assert set(commands()) == ours | held | promises


@pytest.mark.parametrize("name", sorted(commands()))
def test_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([*name.split(), "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"usage: sports-market {name}" in text
    for action in commands()[name]._actions:
        assert action.help


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"sports-market {pipeline.__version__}\n"


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom pipeline.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=_environment(None), capture_output=True, text=True, check=True)
    heavy = {"dagster", "dbt", "great_expectations", "psycopg", "psycopg2", "requests", "tqdm", "yaml", "jsonschema_rs"}
    assert heavy & set(json.loads(done.stderr.replace("'", '"'))) == set()


def test_nothing_calls_home_unless_the_user_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cli.QUIET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GX_ANALYTICS_ENABLED", "true")
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    found = {name: os.environ.get(name) for name in cli.QUIET}
    assert found == {
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
        "GX_ANALYTICS_ENABLED": "true",
    }


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ([], "See `sports-market --help`"),
        (["up", "--port", "65536"], "next: See `sports-market up --help`"),
        (["credits", "--days", "0"], "next: See `sports-market credits --help`"),
        (["replya"], "did you mean replay?"),
        (["db"], "See `sports-market db --help`"),
        (["db", "boostrap"], "did you mean bootstrap?"),
        (["replay", "--databse-url=x"], "did you mean --database-url?"),
        (["replay", "--jsn"], "did you mean --json?"),
        (["replay", "--order", "shufled"], "did you mean shuffled?"),
        (["replay", "--batches", "0"], "See `sports-market replay --help`"),
        (["replay", "--batches", "three"], "See `sports-market replay --help`"),
        (["replay", "--step", "-1"], "See `sports-market replay --help`"),
        (["replay", "a", "b"], "See `sports-market replay --help`"),
        (["load"], "See `sports-market load --help`"),
        (["import", "folder"], "See `sports-market import --help`"),
        (["verify", "--js"], "did you mean --json?"),
        (["quarantine", "waive", "3f"], "See `sports-market quarantine waive --help`"),
    ],
)
def test_wrong_use_is_told_in_one_message(arguments: list[str], hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(r"error USAGE: .+\n  next: .+\n", shown.err), shown.err
    assert hint in shown.err


def test_a_hint_is_not_what_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    """A word of the message that is an option, whatever stands behind it, is what was given."""
    for name, parser in commands().items():
        for action in parser._actions:
            for option in (option for option in action.option_strings if option.startswith("--")):
                for value in ("0", "-1", "x", "99999999"):
                    with pytest.raises(SystemExit):
                        cli.main([*name.split(), f"{option}={value}", "--no-such-option"])
                    said = capsys.readouterr()
                    assert f"did you mean {option}?" not in said.err, (name, said.err)


MOMENTS = ("--from", "2025-10-09T00:00:00Z", "--to", "2025-10-10T00:00:00Z", "--credits", "1")
ONCE = ("ingest", "--live", "--once", "--spool", "spool")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["replay", "nowhere"], "RECORDING_NOT_FOUND"),
        (["replay", "empty"], "RECORDING_EMPTY"),
        (["replay", "nowhere", "--update", "--step", "0"], "REPLAY_OPTIONS"),
        (["replay", "good", "--database-url", "nonsense"], "DATABASE_URL_INVALID"),
        (["load", "nowhere"], "RECORDING_NOT_FOUND"),
        (["load", "file"], "RECORDING_NOT_FOUND"),
        (["load", "broken"], "RECORDING_INDEX_BROKEN"),
        (["load", "good", "--database-url", "nonsense"], "DATABASE_URL_INVALID"),
        (["report", "--out", "no/page.html"], "REPORT_OUT"),
        (["report", "--out", "page.html", "--recording", "nowhere"], "RECORDING_NOT_FOUND"),
        (["report", "--out", "page.html", "--database-url", "nonsense"], "DATABASE_URL_INVALID"),
        ([*ONCE, "--plan", "nowhere.yml"], "PLAN_NOT_FOUND"),
        ([*ONCE, "--plan", "file"], "PLAN_INVALID"),
        ([*ONCE, "--plan", "example"], "API_KEY_MISSING"),
        ([*ONCE[:2], "--every", "5x", *ONCE[3:], "--plan", "example"], "CADENCE_INVALID"),
        ([*ONCE, "--plan", "example", "--api-url", "ftp://x"], "API_BASE_URL_INVALID"),
        (["backfill", "--plan", "nowhere", "--spool", "spool", *MOMENTS], "PLAN_NOT_FOUND"),
        (["backfill", "--plan", "example", "--spool", "spool", *MOMENTS], "PLAN_NOT_HISTORICAL"),
        (["plan", "cost", "nowhere"], "PLAN_NOT_FOUND"),
        (["results", "import", "nowhere.csv", "--out", "out"], "RESULTS_NOT_FOUND"),
        (["bets", "import", "nowhere.csv", "--out", "out"], "BETS_NOT_FOUND"),
        (["predictions", "import", "nowhere.csv", "--out", "out"], "PREDICTIONS_NOT_FOUND"),
        (["bets", "import", "nowhere.csv", "--out", "out", "--ledger", ""], "BETS_OPTION_INVALID"),
        (["import", "there", "--out", "o", "--endpoint", "bets"], "ENDPOINT_IMPORTED"),
        (["import", "nowhere", "--out", "out"], "IMPORT_SOURCE_NOT_FOUND"),
        (["archive", "--before", "2025-13"], "MONTH_INVALID"),
        (["archive", "--before", "2025-10", "--out", "file"], "ARCHIVE_OUT"),
        (["archive", "--restore", "--out", "nowhere"], "ARCHIVE_OUT"),
        (["drift", "nowhere", "good"], "BATCH_UNKNOWN"),
        (["dagster", "backfill", "nowhere"], "RECORDING_NOT_FOUND"),
        (["dagster", "backfill", "empty"], "RECORDING_EMPTY"),
        (["dagster", "backfill", "good", "--batch", "nope"], "BATCH_UNKNOWN"),
        (["quarantine", "show", "zz"], "ANSWER_ID_INVALID"),
        (["quarantine", "retry", "zz"], "ANSWER_ID_INVALID"),
        (["quarantine", "waive", "zz", "--reason", "x"], "ANSWER_ID_INVALID"),
        (["quarantine", "retry"], "RETRY_OPTIONS"),
        (["verify", "--database-url", "nonsense"], "DATABASE_URL_INVALID"),
        (["rebuild", "--database-url", "nonsense"], "DATABASE_URL_INVALID"),
        (["up", "--database-url", "nonsense"], "DATABASE_URL_INVALID"),
        (["up", "--port", "65536"], "USAGE"),
        (["contracts", "check", "--base", "nope"], "NO_SUCH_REVISION"),
        (["contracts", "run", "--max-age", "x"], "AGE"),
        (["contracts", "docs", "--out", "file"], "DOCS_OUT"),
        (["contracts", "export", "--out", "file"], "EXPORT_OUT"),
        (["simulate", "--out", "other"], "RECORDING_FOLDER_IN_USE"),
        (["recording", "reseal", "nowhere"], "RECORDING_NOT_FOUND"),
    ],
)
def test_what_cannot_be_meant_is_told_before_heavy_imports(tmp_path: Path, arguments: list[str], code: str) -> None:
    shutil.copytree(resource(BUNDLED), "good")
    shutil.copytree("good", "broken")
    sorted(Path("broken/batches").glob("*/index.json"))[-1].write_text("{}")
    for folder in ("empty", "other"):
        Path(folder).mkdir()
    Path("other/thesis.txt").write_text("mine")
    Path("file").write_text("- nothing\n")
    before = sorted(map(str, tmp_path.rglob("*")))
    script = (
        "import sys\nfrom pipeline.cli import main\n"
        "try: code = main(sys.argv[1:])\nexcept SystemExit as end: code = end.code\n"
        "print(code, sorted({'dbt', 'dagster', 'great_expectations', 'itables'} & sys.modules.keys()))"
    )
    env = _environment({"SPORTS_MARKET_STATE_DIR": "state"})
    done = subprocess.run([sys.executable, "-c", script, *arguments], env=env, capture_output=True, text=True, check=True)
    assert re.findall(r"^error (\w+): ", done.stderr, re.MULTILINE) == [code], done.stderr
    assert re.fullmatch(r"[23] \[\]\n", done.stdout), done.stdout
    assert sorted(map(str, tmp_path.rglob("*"))) == before


def test_a_spool_of_something_else_is_told_before_heavy_imports(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    Path("spool").mkdir()
    Path("spool/thesis.txt").write_text("mine")
    monkeypatch.setenv("SPORTS_MARKET_API_KEY", "0" * 32)
    assert cli.main([*ONCE, "--plan", "example"]) == 2
    assert capsys.readouterr().err.startswith("error RECORDING_FOLDER_IN_USE: ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["replay", "there", "--update", "--order", "reversed"], "REPLAY_OPTIONS"),
        (["import", "there", "--out", "o", "--endpoint", "ods"], "UNKNOWN_ENDPOINT"),
        (["import", "there", "--out", "o", "--captured-at", "noon"], "IMPORT_OPTION_INVALID"),
        (["import", "there", "--out", "o", "--regions", "moon"], "UNKNOWN_REGION"),
        (["import", "there", "--out", "o", "--time-from", "names"], "IMPORT_OPTION_INVALID"),
        (["import", "there", "--out", "o", "--asked", "nowhere.yml"], "ASKED_NOT_FOUND"),
        (["drift", "one"], "DRIFT_OPTIONS"),
        (["quarantine", "retry"], "RETRY_OPTIONS"),
        (["quarantine", "retry", "3f", "--all"], "RETRY_OPTIONS"),
        (["quarantine", "show", "3f", "--body", "--json"], "SHOW_OPTIONS"),
        (["drift", "one", "two", "--batch", "three"], "DRIFT_OPTIONS"),
    ],
)
def test_what_cannot_be_meant_ends_in_2(arguments: list[str], code: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.startswith(f"error {code}: ")


def test_a_broken_setting_ends_in_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PREFIX", "No Prefix")
    assert cli.main(["db", "bootstrap"]) == 2
    assert "error ROLE_PREFIX_INVALID" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["replay", "nowhere"], ["load", "nowhere"]])
def test_a_missing_recording_is_told_before_anything_is_started(
    command: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(command) == 3
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.startswith("error RECORDING_NOT_FOUND: ") and "nowhere" in shown.err
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_cannot_be_reached(capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://someone:s3cretword@127.0.0.1:1/nothing"
    assert cli.main(["verify", "--database-url", url]) == 3
    shown = capsys.readouterr()
    assert "error DATABASE_UNREACHABLE: " in shown.err and "s3cretword" not in shown.err


# --- the docs ---------------------------------------------------------------------------------------------------------


def docs() -> str:
    """The README and the pages that it leads to."""
    return "\n".join(path.read_text(encoding="utf-8") for path in (README, *sorted((REPOSITORY / "docs").glob("*.md"))))


@pytest.mark.parametrize("name", sorted(commands()))
def test_the_docs_name_every_command_and_option(name: str) -> None:
    text = docs()
    assert f"sports-market {name}" in text
    options = {option for action in commands()[name]._actions for option in action.option_strings if option.startswith("--")}
    missing = {option for option in options - {"--help"} if not re.search(rf"{option}\b", text)}
    assert missing == set()


@pytest.mark.parametrize("name", sorted(commands()))
def test_the_readmes_table_has_every_command(name: str) -> None:
    group, _, one = name.rpartition(" ")
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| `sports-market ")]
    assert [row for row in rows if group in row and re.search(rf"[`\s]{one}`", row)]


def test_the_docs_name_no_option_that_is_not_there() -> None:
    known = {option for parser in commands().values() for action in parser._actions for option in action.option_strings}
    lines = [line for line in docs().splitlines() if line.lstrip(" $").startswith("sports-market ")]
    named = {option for line in lines for option in re.findall(r"(?<!\w)--[a-z-]+", line)}
    assert len(lines) > 50
    assert named - known - {"--version"} == set()


def test_the_docs_tell_every_exit_code_and_setting() -> None:
    text = docs()
    for code in (0, 1, 2, 3, 130):
        assert re.search(rf"^\| {code} \|", text, re.MULTILINE), code
    source = (REPOSITORY / "pipeline" / "settings.py").read_text(encoding="utf-8")
    for name in set(re.findall(r'(?:text|secret)\("([A-Z_]+)"\)', source)):
        assert f"`{name}`" in text


# --- how errors end --------------------------------------------------------------------------------------------------


def failing(error: BaseException, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run a command that fails like this."""

    def fail(*_: Any) -> int:
        raise error

    monkeypatch.setattr("pipeline.cli.standing._run_rebuild", fail)
    return cli.main(["rebuild", *arguments])


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (UsageError("SOME_USE", "wrong", "right"), "SOME_USE", 2),
        (SportsMarketError("SOME", "what", "next"), "SOME", 3),
        (OSError(errno.ENOSPC, "No space left on device", "/some/file"), "DISK_FULL", 3),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "DISK_FULL", 3),
        (PermissionError(errno.EACCES, "Permission denied", "/some/file"), "FILE_UNUSABLE", 3),
        (psycopg.errors.DiskFull("no"), "DISK_FULL", 3),
        (psycopg.errors.AdminShutdown("bye"), "DATABASE_LOST", 3),
        (psycopg.OperationalError("the connection is lost"), "DATABASE_LOST", 3),
        (psycopg.errors.InsufficientPrivilege("no"), "DATABASE_FORBIDDEN", 3),
        (psycopg.errors.UndefinedTable("no"), "DATABASE_NOT_READY", 3),
        (psycopg.errors.DivisionByZero("no"), "DATABASE_ERROR", 3),
        (psycopg2.InterfaceError("connection already closed"), "DATABASE_LOST", 3),
        (psycopg2.OperationalError("server closed the connection unexpectedly"), "DATABASE_LOST", 3),
        (psycopg2.InterfaceError("cursor already closed"), "DATABASE_ERROR", 3),
        (psycopg.errors.QueryCanceled("canceling statement due to statement timeout"), "DATABASE_CANCELED", 3),
        (psycopg.errors.LockNotAvailable("no"), "WAREHOUSE_BUSY", 3),
        (psycopg.errors.TooManyConnections("no"), "DATABASE_EXHAUSTED", 3),
        (psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"), "DATABASE_ERROR", 3),
        (ValueError("of ours"), "INTERNAL", 3),
        (MemoryError(), "INTERNAL", 3),
        (KeyboardInterrupt(), "INTERRUPTED", 130),
    ],
)
def test_every_error_is_one_message_and_a_code(
    error: BaseException, code: str, exit_code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(error, monkeypatch) == exit_code
    shown = capsys.readouterr()
    assert shown.out == "" and re.fullmatch(rf"error {code}: .+\n  next: .+\n", shown.err), shown.err


def test_debug_shows_where(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(ValueError("of ours"), monkeypatch, "--debug") == 3
    shown = capsys.readouterr().err
    assert "Traceback" in shown and shown.count("error INTERNAL: ValueError: of ours") == 1


def test_no_secret_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ODDS_API_KEY", "k3y0fth1s")
    monkeypatch.setenv("SPORTS_MARKET_ROLE_PASSWORD", "r0lepass")
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", "postgresql://u:p%40ss@h/d")
    monkeypatch.setattr(sys, "argv", ["sports-market", "rebuild", "--database-url=host=h password='l1bpq'"])
    secrets = ("k3y0fth1s", "r0lepass", "p%40ss", "p@ss", "l1bpq")
    assert failing(ValueError(" ".join(secrets)), monkeypatch, "--debug") == 3
    shown = capsys.readouterr().err
    assert [secret for secret in secrets if secret in shown] == []


def test_what_a_library_makes_of_an_interrupt_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def swallow(*_: Any) -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise RuntimeError("a library's own words") from None
        return 0

    monkeypatch.setattr("pipeline.cli.standing._run_rebuild", swallow)
    assert cli.main(["rebuild"]) == 130
    assert capsys.readouterr().err.startswith("error INTERRUPTED: ")


def test_signal_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    cli.main(["load", "nowhere"])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_reader_that_goes_away_is_no_accident(answers: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        _command("import", str(answers), "--out", "recording"),
        env=_environment(None), stdout=writing, stderr=subprocess.PIPE, text=True, timeout=SECONDS,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (3, "")


def test_a_progress_bar_on_a_terminal_leaves_the_result_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Screen() as screen:
        screen.progress("file")(1, 2)
        screen.tell("a result")
        screen.progress("file")(2, 2)
    assert capsys.readouterr().out == "a result\n"
    assert " 50%" in terminal.getvalue() and "1/2" in terminal.getvalue()


def test_an_interrupt_that_was_lost_is_heeded_after_the_batch() -> None:
    stop = Stop()
    with Screen(stop=stop) as screen:
        screen.progress("batch")(1, 3)
        stop.asked = True
        with pytest.raises(KeyboardInterrupt):
            screen.progress("batch")(2, 3)


def test_an_interrupt_that_is_lost_is_not_printed_and_other_accidents_are(monkeypatch: pytest.MonkeyPatch) -> None:
    class Garbage:
        def __init__(self, accident: Callable[[], object]) -> None:
            self.accident = accident

        def __del__(self) -> None:
            self.accident()

    told: list[BaseException | None] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda lost: told.append(lost.exc_value))
    with stopping() as stop:
        Garbage(lambda: os.kill(os.getpid(), signal.SIGINT))
        assert stop.asked and told == []
        Garbage(lambda: 1 / 0)
    assert [type(each) for each in told] == [ZeroDivisionError]


# --- import and simulate ---------------------------------------------------------------------------------------------


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    folder = tmp_path / "answers"
    (folder / "odds").mkdir(parents=True)
    for minute in (10, 20):
        (folder / "odds" / f"20251009T00{minute}00Z.json").write_text("[]")
    return folder


def test_import(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", str(answers), "--out", "recording", "--sport", "icehockey_nhl"]) == 0
    shown = capsys.readouterr()
    assert re.search(r"^total +2 +2 +0 +0$", shown.out, re.MULTILINE)
    assert shown.err == ""  # no progress bar where there is no terminal
    assert len(Recording.open("recording")) == 2


def test_a_refused_file_is_named_and_ends_in_1(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (answers / "odds" / "undated.json").write_text("[]")
    assert cli.main(["import", str(answers), "--out", "recording", "--endpoint", "x_*=scores"]) == 1
    shown = capsys.readouterr()
    assert re.search(r"^total +3 +2 +0 +1$", shown.out, re.MULTILINE)
    assert "refused odds/undated.json: it has no capture time" in shown.err
    assert "no file matches --endpoint x_*" in shown.err


def test_an_import_as_json(answers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (answers / "odds" / "undated.json").write_text("[]")
    assert cli.main(["import", str(answers), "--out", "recording", "--sport", "icehockey_nhl", "--json"]) == 1
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert report["total"] == {"files": 3, "exchanges": 2, "duplicates": 0, "refused": 1}
    assert [kind["files"] for kind in report["refused"]] == [["odds/undated.json"]]
    assert report["coverage_guessed"] == []


def test_what_others_named_neither_moves_the_cursor_nor_forges_a_line(
    answers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b[2J\nerror FORGED: all is well.json"
    (answers / "odds" / evil).write_text("[]")
    assert cli.main(["import", str(answers), "--out", "recording", "--sport", "icehockey_nhl"]) == 1
    assert cli.main(["import", str(answers / "odds" / f"no{evil}"), "--out", "other"]) == 3
    assert cli.main(["results", "import", f"no{evil}", "--out", "other"]) == 3
    assert cli.main(["load", f"no{evil}"]) == 3
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert not [line for line in shown.err.splitlines() if line.startswith("error FORGED")]
    assert "refused odds/\\x1b[2J\\nerror FORGED" in shown.err


def test_an_import_of_nothing_ends_in_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "undated.json").write_text("[]")
    assert cli.main(["import", "answers", "--out", "recording"]) == 3
    assert "Nothing was imported." in capsys.readouterr().out
    assert not (tmp_path / "recording").exists()


def test_results_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "event_id,sport_title,commence_time,home_team,away_team,home_score,away_score"
    row = f"{'0a' * 16},NHL,2025-10-09T23:00:00Z,A,B,3,2"
    (tmp_path / "results.csv").write_text(f"{header}\n{row}\n")
    command = ["results", "import", "results.csv", "--out", "recording", "--captured-at", "2025-10-16T12:00:00Z", "--json"]
    assert cli.main([*command, "--sport", "icehockey_nhl"]) == 0
    assert json.loads(capsys.readouterr().out)["batches_written"] == 1
    assert len(Recording.open("recording")) == 1
    assert cli.main(command) == 3
    shown = capsys.readouterr()
    assert shown.out == "" and "results.csv, line 2, column sport_key is empty" in shown.err


@pytest.mark.parametrize(("things", "item"), [("bets", BET), ("predictions", PREDICTION)])
def test_import_of_a_ledger(things: str, item: Mapping[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "ledger.csv", {**row_of(item), "ledger": "", "sport_key": ""})
    command = [things, "import", "ledger.csv", "--out", "recording", "--captured-at", "2025-10-16T12:00:00Z", "--json"]
    assert cli.main([*command, "--sport", "icehockey_nhl", "--ledger", "mine"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown[things], shown["ledgers"], shown["sports"]) == (1, ["mine"], ["icehockey_nhl"])
    assert len(Recording.open("recording")) == 1
    assert cli.main(command) == 3
    err = capsys.readouterr().err
    assert "ledger.csv, line 2, column ledger is empty" in err and "or give --sport" in err


def test_simulate_makes_the_bundled_recording(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["simulate", "--out", "recording"]) == 0
    made, bundled = Recording.open("recording"), Recording.open(resource(BUNDLED))
    assert {batch.batch_id: content_sha256(batch) for batch in made.batches()} == {
        batch.batch_id: content_sha256(batch) for batch in bundled.batches()
    }


def test_drift_of_recordings_and_batches(capsys: pytest.CaptureFixture[str]) -> None:
    bundled = str(resource(BUNDLED))
    assert cli.main(["drift", bundled, bundled]) == 0
    assert capsys.readouterr().out == f"{bundled} → {bundled}: no differences in shape\n"
    first, second = (f"{bundled}/batches/{batch_id}" for batch_id in Recording.open(bundled).batch_ids[:2])
    assert cli.main(["drift", first, second]) == 0
    capsys.readouterr()
    assert cli.main(["drift", first, bundled, "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert "market_new" in {each["kind"] for each in document["drifts"]}


# --- against a server ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A server as the command line finds it."""

    server: Server
    env: dict[str, str]

    def databases(self) -> set[str]:
        with self.server.home.connect_unchecked(Role.OWNER) as connection:
            rows = connection.execute("select datname from pg_database where datname like 'replay%'").fetchall()
        return {name for (name,) in rows}


@pytest.fixture
def place(server: Server, template: Warehouse, own_state: Path) -> Place:
    """The tests' server; its roles are there since the template was made."""
    env = {
        "SPORTS_MARKET_DATABASE_URL": address(server.home),
        "SPORTS_MARKET_ROLE_PREFIX": server.home.role_prefix,
        "SPORTS_MARKET_STATE_DIR": str(own_state),
    }
    return Place(server, env)


@pytest.fixture
def two_batches(tmp_path: Path) -> Path:
    """The first two batches of the bundled recording, without snapshots."""
    return bundled_part(tmp_path / "two", 2, with_snapshots=False)


def test_json_is_one_document_and_nothing_else(place: Place, two_batches: Path, tmp_path: Path) -> None:
    before = place.databases()
    done = run("replay", str(two_batches), "--json", env=place.env)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["batches"] == document["new"] == 2
    assert document["outcomes"]["in_bodies"] == document["outcomes"]["in_silver"] > 0
    assert "gold.price_history" in document["digests"]
    assert place.databases() == before
    assert list((tmp_path / "state").glob("run-*")) == []


def test_people_are_told_one_digest_in_lines_of_100_columns_and_each_if_they_ask(place: Place, two_batches: Path) -> None:
    told = run("replay", str(two_batches), "--digests", env=place.env)
    lines = told.stdout.splitlines()
    digests = dict(line.split() for line in lines if line.startswith("gold."))
    assert all(len(line) <= 100 for line in lines)
    assert lines[2] == "2 batches: 0 proven, 2 new; 0 checks failed"
    kinds = [re.fullmatch(r"digest of (\d+) (tables|views): (sha256:[0-9a-f]{64})", line) for line in lines[-2:]]
    assert sum(int(found[1]) for found in kinds if found) == len(digests) > 50

    quiet = run("replay", str(two_batches), "--quiet", env=place.env)
    assert quiet.stdout.splitlines() == [line for line in lines[2:] if not line.startswith("gold.")]
    assert quiet.stderr == ""


def test_only_what_was_compared_and_equal_is_proven(place: Place, two_batches: Path) -> None:
    def counts(*options: str) -> dict[str, int]:
        document = json.loads(run("replay", str(two_batches), "--json", *options, env=place.env).stdout)
        return {state: document[state] for state in ("proven", "written", "new", "different") if document[state]}

    assert counts("--batches", "1", "--update") == {"written": 1}
    assert counts() == {"proven": 1, "new": 1}
    assert counts("--update") == {"proven": 1, "written": 1}
    assert counts("--update") == {"proven": 2}


def test_what_is_told_on_the_way_is_json_where_it_is_asked_for(place: Place, two_batches: Path) -> None:
    done = run("replay", str(two_batches), "--log-format", "json", "--verbose", env=place.env)
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert all({"at", "level", "message"} <= each.keys() for each in told)
    assert [each["batch_id"] for each in told if each["message"] == "batch"] == list(Recording.open(two_batches).batch_ids)
    assert any(each["level"] == "debug" for each in told)
    assert all(line.startswith(("2 batches", "outcomes", "digest")) for line in done.stdout.splitlines())

    failed = run("replay", "nowhere", "--log-format", "json", env=place.env)
    error = json.loads(failed.stderr)
    assert (failed.returncode, error["level"], error["code"]) == (3, "error", "RECORDING_NOT_FOUND")
    assert error["message"] and error["next"]


def test_what_is_wrong_with_a_batch_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen() as screen:
        for done in (1, 2, 3):
            screen.batch(BatchLine(done, 3, f"b{done}", "different", 1, 1, done // 3, 0.5, "gold.t x: expected 1, found 2"))
    lines = capsys.readouterr().out.splitlines()
    assert [line.strip() for line in lines if line.startswith("  ")] == ["gold.t x: expected 1, found 2", "1 quarantined"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_completes_commands_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    written = capsys.readouterr().out
    assert {"replay", "backfill", "log-format"} <= set(re.findall(r"[\w-]+\w", written.replace("--", " ")))


@pytest.mark.proof(cases=0)  # `nox -s replay -- --require-snapshots`
def test_the_bundled_recording_is_proven_on_this_server(place: Place) -> None:
    """The snapshots were made on one version of PostgreSQL; this is whichever the tests run on."""
    done = run("replay", "--json", "--step", "0", "--require-snapshots", env=place.env)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["proven"], document["covered"]) == (1, document["batches"] - 1)


def test_keep_leaves_the_database_and_names_it(place: Place, two_batches: Path) -> None:
    before = place.databases()
    done = run("replay", str(two_batches), "--batches", "1", "--step", "0", "--require-snapshots", "--keep", env=place.env)
    (kept,) = place.databases() - before
    try:
        assert done.returncode == 1 and f"dbname={kept} " in done.stderr
        assert re.search(r"^1/1 \S+ new ", done.stdout, re.MULTILINE)
    finally:
        with place.server.home.connect_unchecked(Role.OWNER) as connection:
            connection.execute(f'drop database "{kept}" with (force)'.encode())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_in_130_and_leaves_nothing(place: Place, number: signal.Signals, tmp_path: Path) -> None:
    before = place.databases()
    process = subprocess.Popen(
        _command("replay"), env=_environment(place.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(" 1/")  # in the middle of the second batch
        time.sleep(0.3)
        process.send_signal(number)
        _, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.count("error INTERRUPTED: ") == 1 and "Traceback" not in err
    assert place.databases() == before
    assert list((tmp_path / "state").glob("run-*")) == []


@pytest.fixture
def standing(place: Place, empty_database: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    for name, value in place.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SPORTS_MARKET_DATABASE_URL", address(empty_database))
    yield empty_database


def test_a_database_that_was_never_loaded(standing: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", "--json"]) == 3
    shown = capsys.readouterr()
    assert shown.out == "" and "error DATABASE_NOT_READY: " in shown.err


def test_a_standing_warehouse(standing: Warehouse, two_batches: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["db", "bootstrap"]) == 0
    assert "Applied 002_bronze.sql." in capsys.readouterr().out
    assert cli.main(["db", "bootstrap"]) == 0
    assert "up to date" in capsys.readouterr().out

    assert cli.main(["load", str(two_batches), "--json"]) == 0
    loaded = json.loads(capsys.readouterr().out)
    assert (loaded["batches"], loaded["published"], loaded["standing"]) == (2, 2, 0)
    assert cli.main(["load", str(two_batches), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["published"], again["standing"], again["digests"]) == (0, 2, loaded["digests"])

    assert cli.main(["drift"]) == 0
    assert capsys.readouterr().out == "the newest 2 batches: no differences in shape\n"
    assert cli.main(["drift", "--batch", "nobody", "--json"]) == 2
    assert "error BATCH_UNKNOWN: " in capsys.readouterr().err

    assert cli.main(["verify", "--json"]) == 0
    verified = json.loads(capsys.readouterr().out)
    assert verified["failed_checks"] == 0
    assert cli.main(["rebuild"]) == 0
    assert "built anew" in capsys.readouterr().out
    assert cli.main(["verify", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == verified


def test_a_live_run(standing: Warehouse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Against the sandbox: asked, recorded and loaded; told again without a call; the key nowhere."""
    key, system = "5e2bd0a17c9f4836b1d5a09c7e3f6284", SystemClock()
    monkeypatch.setenv("SPORTS_MARKET_API_KEY", key)
    sandbox = Sandbox(SimulatedMarket(7), SandboxClock.parse("2026-01-04T17:07:00Z*0", system), system, faults=["ok", "500"])
    with serving(sandbox) as url:
        plan = REPOSITORY / "pipeline" / "plans" / "example.yml"
        command = ["ingest", "--live", "--once", "--plan", str(plan), "--spool", "spool"]
        command += ["--api-url", url, "--sandbox-clock", "--json"]
        assert cli.main(command) == 0
        shown = capsys.readouterr()
        done = json.loads(shown.out)
        assert (done["batch_id"][:16], done["requests"], done["attempts"]) == ("20260104T170000Z", 7, 8)
        assert done["credits"]["reported"] == done["credits"]["computed"] == sandbox.account.used == 10
        assert cli.main(command) == 0
        assert json.loads(capsys.readouterr().out)["digests"] == done["digests"]
        assert len(sandbox.calls) == 8
    assert cli.main(["verify", "--json"]) == 0
    written = b"".join(file.read_bytes() for file in Path().rglob("*") if file.is_file())
    assert key not in shown.err + shown.out and key.encode() not in written


def test_quarantine(standing: Warehouse, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """An answer that breaks the schema: listed, shown, still refused, waived and withdrawn."""
    batch = Recording.open(resource(BUNDLED)).read(Recording.open(resource(BUNDLED)).batch_ids[0])
    place = next(e.place for e in batch.exchanges if e.request.endpoint == "odds" and b'"price"' in (e.body or b""))
    body = json.dumps(json.loads(batch.exchanges[place].body or b"")).replace('"id": "', '"id": "other ').encode()
    sealing = RecordingWriter(tmp_path / "broken", durable=False).begin(
        batch.batch_id, batch.scheduled_at, batch.plan, batch.source
    )
    for exchange in batch.exchanges:
        sealing.add(replace(exchange, body=body) if exchange.place == place else exchange)
    sealing.seal()
    answer = str(exchange_id(batch.batch_id, place, 1))

    def told(code: int, *arguments: str) -> Any:
        assert cli.main([*arguments, "--json"]) == code
        return json.loads(capfdbinary.readouterr().out)

    assert cli.main(["db", "bootstrap"]) == 0
    capfdbinary.readouterr()
    loaded = told(0, "load", str(tmp_path / "broken"))
    assert loaded["quarantined"] == 1
    (held,) = told(0, "quarantine", "list")["answers"]
    assert (held["answer"], held["batch_id"], held["rule"]) == (answer, batch.batch_id, "schema")
    assert told(0, "quarantine", "list", "--batch", batch.batch_id, "--rule", "schema")["answers"] == [held]
    assert cli.main(["quarantine", "list", "--rule", "shema"]) == 2
    assert b"error RULE_UNKNOWN: " in capfdbinary.readouterr().err

    short = answer[:10]
    assert told(0, "quarantine", "show", short)["verdicts"][0]["findings"][0]["rule"] == "schema"
    assert cli.main(["quarantine", "show", short, "--body"]) == 0
    assert capfdbinary.readouterr().out == body

    refused = told(1, "quarantine", "retry", short)
    assert (refused["refused"], refused["digests"]) == (1, loaded["digests"])
    waived = told(0, "quarantine", "waive", short, "--reason", "the vendor has new ids")
    assert (waived["waived"], waived["batches"]) == (1, 1)
    assert waived["digests"] != loaded["digests"]
    assert told(0, "quarantine", "list")["answers"] == []
    (decided,) = told(0, "quarantine", "list", "--all")["answers"]
    assert (decided["verdict"], decided["reason"]) == ("waived", "the vendor has new ids")
    assert told(0, "verify")["answers"] == {"quarantined": 0, "waived": 1, "withdrawn": 0}
    withdrawn = told(0, "quarantine", "withdraw", short, "--reason", "it has not")
    assert withdrawn["digests"] == loaded["digests"]

    assert cli.main(["quarantine", "retry", "--all"]) == 0
    shown = capfdbinary.readouterr().out.decode()
    assert shown.startswith("0 answers: none to decide on; 0 batches applied, 0 withheld\n")
    assert cli.main(["quarantine", "show", short]) == 0
    assert "withdrawn" in capfdbinary.readouterr().out.decode()
