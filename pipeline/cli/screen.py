"""Where lines go: results to stdout, notes to stderr, a progress bar to a terminal."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TextIO

from pipeline.cli.ending import Stop
from pipeline.printable import printable

if TYPE_CHECKING:
    from tqdm import tqdm

    from pipeline.runs.progress import BatchLine


class Summary(Protocol):
    """What a run found."""

    @property
    def exit_code(self) -> int:
        """What the command ends with."""

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""

    def lines(self) -> list[str]:
        """For people."""


class Screen:
    """Where lines go: results to stdout, notes to stderr, a progress bar to a terminal.

    Args:
        json_only: nothing but one document may reach stdout; everything else goes to stderr.
        stop: whether somebody asked to stop, who is heeded between two batches if no earlier.
    """

    def __init__(self, json_only: bool, stop: Stop | None = None) -> None:
        self._json_only = json_only
        self._stop = stop or Stop()
        self._bar: tqdm[NoReturn] | None = None
        self._stdout = sys.stdout

    def __enter__(self) -> Screen:
        # A library that prints must not break the document.
        self._redirect = contextlib.redirect_stdout(sys.stderr) if self._json_only else contextlib.nullcontext()
        self._redirect.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self.end_progress()
        self._redirect.__exit__(*problem)

    def tell(self, line: str) -> None:
        """A line of the result."""
        self._write(line, sys.stderr if self._json_only else self._stdout)

    def write(self, content: bytes) -> None:
        """The result itself, byte for byte."""
        self._stdout.buffer.write(content)
        self._stdout.flush()

    def note(self, line: str) -> None:
        """A line beside the result."""
        with contextlib.suppress(OSError):  # nobody may be there to read it
            self._write(line, sys.stderr)

    def progress(self, unit: str) -> Callable[[int, int | None], None]:
        """What to call with (done, of how many); draws a bar on a terminal."""

        def show(done: int, total: int | None) -> None:
            bar = self._open_bar(unit, total) if self._bar is None else self._bar
            bar.total = total
            bar.update(done - bar.n)
            if self._stop.asked:
                # what is raised while Python collects garbage is lost
                raise KeyboardInterrupt

        return show

    def batch(self, line: BatchLine) -> None:
        """A batch is done: its line, and the bar."""
        width = len(str(line.total))
        text = (
            f"{line.done:>{width}}/{line.total} {line.batch_id} {line.state:9} {line.outcomes:>7,} outcomes"
            f" {line.changes:>7,} changes {line.quarantined:>3} quarantined {line.seconds:6.2f} s"
            + (f"  {line.held} elements held back" if line.held else "")
        )
        self.tell(text if line.detail is None else f"{text}  {line.detail}")
        self.progress("batch")(line.done, line.total)

    def end_progress(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def end(self, summary: Summary) -> int:
        """Show what a run found; its exit code."""
        self.end_progress()
        for line in summary.lines():
            self.tell(line)
        if self._json_only:
            print(json.dumps(summary.to_json(), indent=2, sort_keys=False), file=self._stdout, flush=True)
        return summary.exit_code

    def _open_bar(self, unit: str, total: int | None) -> tqdm[NoReturn]:
        from tqdm import tqdm

        self._bar = tqdm(unit=unit, total=total, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False)
        return self._bar

    def _write(self, line: str, file: TextIO) -> None:
        line = printable(line, keep="\n\t")
        if self._bar is None:
            print(line, file=file, flush=True)
        else:
            self._bar.write(line, file=file)
            file.flush()
