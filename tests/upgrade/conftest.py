"""A release's code, run in processes of its own; nothing of it is imported here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.upgrade.releases import RELEASES, Release, ReleaseMissing, is_required, take_out

_MAIN = "import sys; from pipeline.cli import main; sys.exit(main())"


@dataclass(frozen=True, slots=True)
class Installed:
    """A release and where it is.

    Attributes:
        release: which one.
        folder: its code.
        environment: of its processes, such as which warehouse is theirs.
    """

    release: Release
    folder: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> Any:
        """One of its commands, which must end well; what it says, as JSON where it is asked for."""
        said = self.python(_MAIN, *arguments)
        return json.loads(said) if "--json" in arguments else said

    def python(self, code: str, *arguments: str) -> str:
        """What its Python prints."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SPORTS_MARKET_")}
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            env={**environment, **self.environment, "PYTHONPATH": str(self.folder)},
            cwd=self.folder.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{self.release.tag}: {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The last release, which knows no warehouse yet."""
    try:
        folder = take_out(RELEASES[-1], tmp_path_factory.mktemp("released") / "code")
    except ReleaseMissing as error:
        if is_required():
            pytest.fail(str(error))
        pytest.skip(str(error))
    return Installed(RELEASES[-1], folder, {})
