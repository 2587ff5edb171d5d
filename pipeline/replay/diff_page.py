"""A diff as one HTML page that needs nothing else, and where it, or a file of its cells, can be written.

The same diff gives the same bytes: there is no clock in it, and no chance.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Final

from pipeline.errors import UsageError
from pipeline.replay.diff_found import Diff, cell, named
from pipeline.texts import shown

PAGE: Final = ".html"
CELLS: Final = ".parquet"
TITLE: Final = "sports-market diff"
_TEMPLATE: Final = "diff.html.j2"


def render_diff(diff: Diff) -> str:
    """The page."""
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True
    )
    environment.filters |= {"shown": shown, "count": "{:,}".format, "named": named, "cell": cell}
    template = environment.from_string(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))
    return template.render(title=TITLE, diff=diff)


def check_diff_out(out: Path | None, *, with_cells: bool = True) -> None:
    """See, before any work, that a file can be written.

    Args:
        out: the file; None where none is wanted.
        with_cells: whether a file of cells can be made; else a page only.

    Raises:
        UsageError: ``DIFF_OUT``.
    """
    if out is None:
        return
    ways = f"{PAGE} (a page)" + (f" or {CELLS} (a row per changed cell)" if with_cells else "")
    step = f"Name a file that ends in {ways}, in a folder that you may write to."
    if out.suffix not in ((PAGE, CELLS) if with_cells else (PAGE,)):
        raise UsageError("DIFF_OUT", f"{out} does not end in {ways}.", step)
    if out.is_dir():
        raise UsageError("DIFF_OUT", f"{out} is a folder.", step)
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK | os.X_OK):
        raise UsageError("DIFF_OUT", f"Nothing can be written into {out.parent}.", step)
