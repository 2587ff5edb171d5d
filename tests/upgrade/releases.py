"""The releases, and their code as it was: what an upgrade begins with."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conftest import REPOSITORY
from tests.recordings import unpack


@dataclass(frozen=True, slots=True)
class Release:
    """A version that somebody may have.

    Attributes:
        version: as ``pipeline.__version__`` says it there; its tag is this with a ``v`` in front.
        commit: which one it is; a clone may lack the tags.
    """

    version: str
    commit: str

    @property
    def tag(self) -> str:
        """Its name in git."""
        return f"v{self.version}"


# In order; whoever marks a release adds it here. Upgrades are tested from the last one.
RELEASES: Final = (Release("0.1.0", "5c8cf6dcd8161d8d30c60a016286801304dd7ae6"),)
# What of a release runs.
_PARTS: Final = ("pipeline", "init_db", "dbt", "contracts")


class ReleaseMissing(Exception):
    """The code of a release cannot be had here."""


def take_out(release: Release, folder: Path) -> Path:
    """Put a release's code into a folder, out of git.

    Raises:
        ReleaseMissing: this is no clone, or it lacks the commit; says what to do.
    """
    command = ["git", "-C", str(REPOSITORY), "archive", "--format=tar", release.commit, *_PARTS]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise ReleaseMissing(f"{release.tag} cannot be taken out of git: {error}") from error
    if done.returncode != 0:
        raise ReleaseMissing(
            f"This checkout lacks {release.tag} (commit {release.commit}): {done.stderr.decode(errors='replace').strip()}."
            " Fetch the whole history: git fetch --unshallow"
        )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
        unpack(packed, folder)
    return folder


def is_required() -> bool:
    """Whether a missing release is a failure: in CI, where a shallow clone would leave upgrades untested in silence."""
    return os.environ.get("CI", "").lower() == "true"
