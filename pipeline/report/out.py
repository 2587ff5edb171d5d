"""Where a report can be written: told before any work, and before anything heavy is imported."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import SetupError, UsageError


def check_out(out: Path) -> None:
    """See, before any work, that the page can be written.

    Raises:
        UsageError: ``REPORT_OUT``: it is a folder, or in none.
        SetupError: ``REPORT_OUT``: its folder cannot be written to.
    """
    step = "Name a file in a folder that you may write to."
    if out.is_dir():
        raise UsageError("REPORT_OUT", f"{out} is a folder.", step)
    if not out.parent.is_dir():
        raise UsageError("REPORT_OUT", f"There is no folder {out.parent}.", step)
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise SetupError("REPORT_OUT", f"{out.parent} cannot be written to.", step)
