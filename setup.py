"""The build step that pyproject.toml cannot say: the trees of data go into the wheel, as ``pipeline/_data``."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
TREES = ("contracts", "dbt", "fixtures", "init_db")
# What dbt and Python leave behind in a checkout.
LEFT_OUT = ("target", "dbt_packages", "logs", "package-lock.yml", ".user.yml", "__pycache__", "*.py", "*.pyc", ".DS_Store")


class BuildWithData(build_py):
    """Builds the packages and copies the data beside them; an editable install finds the data in the checkout."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if self.editable_mode:
            return
        data = Path(self.build_lib) / "pipeline" / "_data"
        # An earlier build may have left files here that are gone from the tree since.
        shutil.rmtree(data, ignore_errors=True)
        for tree in TREES:
            shutil.copytree(ROOT / tree, data / tree, ignore=shutil.ignore_patterns(*LEFT_OUT))


setup(cmdclass={"build_py": BuildWithData})
