"""Another revision of this project on the same recording: unpacked beside this one, and run as a process of its own.

Its own package loads the recording with its own program, into a database that this run makes and drops. What it makes of it is
compared with what this code makes of it: gold in the end, or, by its snapshots, after every batch.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import RecordingError, SetupError, UsageError
from pipeline.replay.snapshots import FOLDER
from pipeline.resources import resource
from pipeline.warehouse.connect import Role, Warehouse

# What a revision must have to be run: the statements of a batch, rendered.
PROGRAM: Final = "dbt/program.json"
# Of the other process's last words so many are told.
_TOLD: Final = 400


@dataclass(frozen=True, slots=True)
class Revision:
    """A revision that can be run.

    Attributes:
        checkout: the repository's folder.
        commit: its hash, all 40 digits.
        name: what messages and pages call it.
    """

    checkout: Path
    commit: str
    name: str


def revision_of(text: str) -> Revision:
    """Find a revision in the checkout that this code is of.

    Args:
        text: as git takes it: a branch, a tag, a hash, ``HEAD~3``.

    Raises:
        SetupError: ``AGAINST_NO_CHECKOUT``: this code is of none, or there is no git.
        UsageError: ``AGAINST_UNKNOWN``: there is no such revision; ``AGAINST_TOO_OLD``: it has no program.
    """
    checkout = resource("dbt").parent
    top = _git(checkout, "rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != checkout.resolve():
        raise SetupError(
            "AGAINST_NO_CHECKOUT",
            f"{checkout} is no git checkout, so there is no other revision to run.",
            "Run it in a clone of the project, with git installed (`pip install -e .` makes the command that of the clone).",
        )
    commit = None if text.startswith("-") else _git(checkout, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}")
    if commit is None:
        raise UsageError(
            "AGAINST_UNKNOWN",
            f"The checkout has no revision {text!r}.",
            "Name a branch, a tag or a hash; a shallow clone lacks older ones (`git fetch --unshallow` brings them).",
        )
    if _git(checkout, "cat-file", "-e", f"{commit}:{PROGRAM}") is None:
        raise UsageError(
            "AGAINST_TOO_OLD",
            f"{text} has no {PROGRAM}, so it cannot be run beside this code.",
            "Name a later revision.",
        )
    return Revision(checkout, commit, f"{text} ({commit[:10]})" if not commit.startswith(text) else commit[:10])


def unpack_revision(revision: Revision, folder: Path) -> Path:
    """The files of a revision, in a folder that is made for them; what git leaves out of archives is left out.

    Raises:
        SetupError: ``AGAINST_NO_CHECKOUT``.
    """
    folder.mkdir(parents=True)
    with subprocess.Popen(
        ["git", "-C", str(revision.checkout), "archive", "--format=tar", revision.commit], stdout=subprocess.PIPE
    ) as sending:
        assert sending.stdout is not None
        with tarfile.open(fileobj=sending.stdout, mode="r|") as archive:
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(folder)
    if sending.returncode:
        raise SetupError("AGAINST_NO_CHECKOUT", f"git cannot give the files of {revision.name}.", "Look at the clone.")
    return folder


def load_there(code: Path, recording: Path, batches: int | None, warehouse: Warehouse, state_dir: Path) -> bool:
    """Let the code of another revision load a recording into a database.

    Args:
        code: the revision's files.
        recording: its folder.
        batches: only the first so many; None for all.
        warehouse: an empty database, which it bootstraps.
        state_dir: where that process keeps what it keeps; no embedded server is made there.

    Returns:
        Whether it published every batch.

    Raises:
        RecordingError: ``AGAINST_FAILED``: it could not; its own last words are told.
    """
    return _run_there(code, ["load", str(recording.absolute())], batches, warehouse, state_dir, recording)


def snapshots_there(
    code: Path, recording: Path, batches: int | None, warehouse: Warehouse, state_dir: Path, copy: Path
) -> Path:
    """Let the code of another revision write its snapshots of a recording, into a copy of it.

    Args:
        code: the revision's files.
        recording: its folder.
        batches: only the first so many; None for all.
        warehouse: on whose server it makes a database of its own.
        state_dir: as of :func:`load_there`.
        copy: a folder that is made.

    Returns:
        The copy.

    Raises:
        RecordingError: ``AGAINST_FAILED``.
    """
    shutil.copytree(recording, copy, ignore=lambda folder, names: [FOLDER] if Path(folder) == recording else [])
    _run_there(code, ["replay", str(copy), "--update"], batches, warehouse, state_dir, recording)
    return copy


def _run_there(
    code: Path, words: list[str], batches: int | None, warehouse: Warehouse, state_dir: Path, recording: Path
) -> bool:
    words += [] if batches is None else ["--batches", str(batches)]
    environment = {
        # whatever is set of other variables, of roles and their passwords, is the same for both
        **os.environ,
        "PYTHONPATH": str(code),
        "PYTHONSAFEPATH": "1",
        "SPORTS_MARKET_STATE_DIR": str(state_dir),
        # not on the command line, where everybody sees it
        "SPORTS_MARKET_DATABASE_URL": warehouse.conninfo(Role.OWNER),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *words],
        cwd=code,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    # 1: a batch is withheld there; what it published is compared all the same
    if done.returncode not in (0, 1):
        raise RecordingError(
            "AGAINST_FAILED",
            f"The other revision cannot take {recording}: {' '.join(done.stderr.split())[-_TOLD:]}",
            "Take a recording that both can read, or another revision.",
        )
    return done.returncode == 0


def _git(checkout: Path, *words: str) -> str | None:
    """What git says; None where it refuses, or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(checkout), *words], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
