"""Put known bugs back in, one at a time, in a copy of the code, and say what finds each, and after how many batches.

First the bundled recording is replayed against its snapshots, in order and then shuffled; then what the bug names of the
tests is asked. A bug that nothing finds is a failure. All that finds one must be content with the code as it is.

    python -m tests.sabotage.run                       # all of them
    python -m tests.sabotage.run --most 6 --seed 3     # some, drawn
    python -m tests.sabotage.run --only draw           # those whose name has the word
    python -m tests.sabotage.run --from 15             # all but the first fourteen
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.conftest import REPOSITORY
from tests.sabotage.bugs import BUGS, Bug

# What a copy needs to replay, and to run tests.
_FOLDERS: Final = ("pipeline", "init_db", "dbt", "contracts", "fixtures", "tests", "docs", "deploy", ".ci")
_REPLAYS: Final = (("replay",), ("replay, shuffled", "--order", "shuffled", "--seed", "7", "--step", "3"))
_SECONDS: Final = 900


@dataclass(frozen=True, slots=True)
class Found:
    """What found a bug.

    Attributes:
        by: such as ``replay``, or a folder of tests; None where nothing did.
        what: the check or the table that said it.
        batches: that were replayed until then; None where it was no replay.
    """

    by: str | None
    what: str = ""
    batches: int | None = None


def copy_of_the_code(folder: Path) -> Path:
    """What it takes to replay and to run tests."""
    for name in _FOLDERS:
        ignore = shutil.ignore_patterns("__pycache__", "target", "logs", "_data")
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, folder / name, ignore=ignore, symlinks=True)
    for file in REPOSITORY.iterdir():
        if file.is_file():
            shutil.copy(file, folder)
    return folder


def put_back(bug: Bug, code: Path) -> None:
    """Edit a copy of the code.

    Raises:
        ValueError: the text to be replaced does not stand in the file exactly once.
    """
    path = code / bug.file
    text = path.read_text(encoding="utf-8")
    if text.count(bug.old) != 1:
        raise ValueError(f"{bug.name}: its text stands {text.count(bug.old)} times in {bug.file}")
    path.write_text(text.replace(bug.old, bug.new), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of the code, and what its programs keep.

    Attributes:
        code: the copy.
        state: folder of the server and the caches, which copies share.
    """

    code: Path
    state: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of its modules."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SPORTS_MARKET_")},
            "PYTHONPATH": str(self.code),
            "PYTHONSAFEPATH": "1",
            "SPORTS_MARKET_STATE_DIR": str(self.state),
        }
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.code,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def replay(self, *options: str) -> subprocess.CompletedProcess[str]:
        """Replay the bundled recording against its snapshots."""
        return self.run("pipeline.cli", "replay", "--json", "--require-snapshots", "--log-format", "json", *options)

    def test(self, tests: str) -> subprocess.CompletedProcess[str]:
        """Run some tests, up to the first that fails."""
        return self.run("pytest", "-q", "-x", "-p", "no:cacheprovider", "--proofs=some", tests)


class Sound:
    """The code as it is: what finds a bug must be content with it, or it would find one everywhere.

    Args:
        copy: of the code, without a bug.
    """

    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self._tests: dict[str, subprocess.CompletedProcess[str]] = {}

    def check_replays(self) -> None:
        """Raises ``ValueError`` where a replay does not end well."""
        for name, *options in _REPLAYS:
            done = self._copy.replay(*options)
            if done.returncode:
                raise ValueError(f"Without any bug the {name} ends in {done.returncode}: {_told(name, done).what}")

    def check_tests(self, tests: str) -> None:
        """Raises ``ValueError`` where a test fails, or none ran."""
        if tests not in self._tests:
            self._tests[tests] = self._copy.test(tests)
        done = self._tests[tests]
        if done.returncode:
            raise ValueError(f"Without any bug {tests} ends in {done.returncode}:\n{done.stdout[-2000:]}")


def find(bug: Bug, copy: Copy, sound: Sound) -> Found:
    """Ask one thing after the other until something finds the bug.

    Raises:
        ValueError: a test fails without it too.
    """
    for name, *options in _REPLAYS:
        done = copy.replay(*options)
        if done.returncode:
            return _told(name, done)
    for tests in bug.tests:
        done = copy.test(tests)
        if done.returncode == 1:
            sound.check_tests(tests)
            failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
            return Found("tests", failed[0].partition(" ")[2].partition(" - ")[0] if failed else tests)
    return Found(None)


def _told(name: str, done: subprocess.CompletedProcess[str]) -> Found:
    """What a replay that ended in a difference, a failure or an error said first."""
    told = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    batches = [each for each in told if each.get("message") == "batch"]
    first = next((each for each in batches if each["state"] in ("different", "withheld")), None)
    errors = [each for each in told if each.get("level") == "error"]
    if first is not None:
        return Found(name, f"{first['state']}: {(first['detail'] or '').partition(':')[0]}", first["done"])
    if errors:
        return Found(name, errors[0]["code"], len(batches))
    document: dict[str, Any] = json.loads(done.stdout)
    differing = [each["table"] for each in document["differences"]]
    return Found(name, "; ".join([*document["failures"], *differing])[:120] or "it ended in 1", len(batches))


def main(arguments: Sequence[str] | None = None) -> int:
    """Find them; 1 where one was not found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="WORD", default="", help="bugs whose name has this word")
    parser.add_argument("--most", metavar="N", type=int, help="so many of them, drawn by the seed")
    parser.add_argument("--seed", metavar="S", type=int, default=0)
    parser.add_argument("--from", metavar="N", type=int, default=1, dest="first", help="from the N-th of the list on")
    options = parser.parse_args(arguments)
    chosen = [bug for bug in BUGS[options.first - 1 :] if options.only in bug.name]
    if options.most is not None and options.most < len(chosen):
        chosen = sorted(random.Random(options.seed).sample(chosen, options.most), key=BUGS.index)
    missed, counts = [], []
    with tempfile.TemporaryDirectory(prefix="sm-", dir="/tmp") as folder:
        # one server for all; each bug's program has a database of its own
        state, clean = Path(folder) / "state", Path(folder) / "sound"
        clean.mkdir()
        sound = Sound(Copy(copy_of_the_code(clean), state))
        sound.check_replays()
        for number, bug in enumerate(chosen, start=1):
            code = Path(folder) / f"bug-{number}"
            code.mkdir()
            put_back(bug, copy_of_the_code(code))
            found = find(bug, Copy(code, state), sound)
            shutil.rmtree(code)
            if found.by is None:
                missed.append(bug.name)
            if found.batches is not None:
                counts.append(found.batches)
            after = "" if found.batches is None else f" after {found.batches} batches"
            verdict = "NOT FOUND" if found.by is None else f"{found.by}{after}: {found.what}"
            print(f"{number:>2}/{len(chosen)} {bug.name} ({bug.origin})\n      {verdict}", flush=True)
    mean = f"; by a replay after {sum(counts) / len(counts):.1f} batches on average" if counts else ""
    print(f"{len(chosen) - len(missed)} of {len(chosen)} bugs found{mean}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
