"""Where a page or a file can be written: told before any work, and before anything heavy is imported."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import SetupError, UsageError


def check_out(out: Path, code: str = "REPORT_OUT") -> None:
    """See, before any work, that a file can be written.

    Raises:
        UsageError: the code: it is a folder, or in none.
        SetupError: the code: its folder cannot be written to.
    """
    step = "Name a file in a folder that you may write to."
    if out.is_dir():
        raise UsageError(code, f"{out} is a folder.", step)
    if not out.parent.is_dir():
        raise UsageError(code, f"There is no folder {out.parent}.", step)
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise SetupError(code, f"{out.parent} cannot be written to.", step)
