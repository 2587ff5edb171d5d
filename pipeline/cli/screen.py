"""Where lines go: results to stdout; what is told on the way, and a progress bar, where and as the user wants them."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn, Protocol, TextIO, runtime_checkable

from pipeline.cli.ending import Stop, without_secrets
from pipeline.clock import SystemClock, to_iso
from pipeline.printable import printable

if TYPE_CHECKING:
    from tqdm import tqdm

    from pipeline.runs.progress import BatchLine

# The logger of everything below.
LOGGER: Final = "sports_market"


class Summary(Protocol):
    """What a run found."""

    @property
    def exit_code(self) -> int:
        """What the command ends with."""

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""

    def lines(self) -> list[str]:
        """For people."""


@runtime_checkable
class Digested(Protocol):
    """A summary that ends in digests."""

    def every_digest(self) -> Mapping[str, str]:
        """The digest of each table and view."""


@dataclass(frozen=True, slots=True)
class Telling:
    """What a user wants to be told.

    Attributes:
        json_only: nothing but one document may reach stdout; everything else goes to stderr.
        quiet: nothing on the way: no batch, note or progress bar.
        verbose: every step.
        log_as_json: what is told on the way is a JSON object per line, on stderr.
        digests: the digest of each table, and not that of all of them alone.
    """

    json_only: bool = False
    quiet: bool = False
    verbose: bool = False
    log_as_json: bool = False
    digests: bool = False

    @property
    def level(self) -> int:
        """The least level of logging that is told."""
        return logging.ERROR if self.quiet else logging.DEBUG if self.verbose else logging.WARNING


class Screen:
    """Where lines go.

    Args:
        telling: what the user wants to be told.
        stop: whether somebody asked to stop, who is heeded between two batches if no earlier.
    """

    def __init__(self, telling: Telling | None = None, stop: Stop | None = None) -> None:
        self._telling = telling or Telling()
        self._stop = stop or Stop()
        self._bar: tqdm[NoReturn] | None = None
        self._stdout = sys.stdout
        self._left = contextlib.ExitStack()
        self._said: str | None = None

    def __enter__(self) -> Screen:
        # A library that prints must not break the document.
        if self._telling.json_only:
            self._left.enter_context(contextlib.redirect_stdout(sys.stderr))
        self._left.enter_context(_logging_to(_Handler(self), self._telling.level))
        return self

    def __exit__(self, *problem: Any) -> None:
        self.end_progress()
        self._left.close()

    def tell(self, line: str) -> None:
        """A line of the result."""
        self._write(line, sys.stderr if self._telling.json_only else self._stdout)

    def reveal(self, line: str) -> bool:
        """A line that must reach no log: it is told to a person at a terminal, and to nobody else. Whether it was told."""
        is_seen = self._stdout.isatty() and not self._telling.json_only
        if is_seen:
            self._write(line, self._stdout)
        return is_seen

    def write(self, content: bytes) -> None:
        """The result itself, byte for byte."""
        self._stdout.buffer.write(content)
        self._stdout.flush()

    def note(self, line: str) -> None:
        """A line beside the result."""
        if not self._telling.quiet:
            self.log(logging.INFO, line)

    def log(self, level: int, line: str, **facts: Any) -> None:
        """A line on the way, for people, or as JSON with what is known of it."""
        text = line if not self._telling.log_as_json else _as_json(level, line, facts)
        with contextlib.suppress(OSError):  # nobody may be there to read it
            self._write(text, sys.stderr)

    def progress(self, unit: str) -> Callable[[int, int | None], None]:
        """What to call with (done, of how many); draws a bar on a terminal, with how long it may still take."""

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
        if self._telling.log_as_json and not self._telling.quiet:
            self.log(logging.INFO, "batch", **asdict(line))
        elif not self._telling.quiet:
            for text in batch_lines(line, is_news=line.detail != self._said):
                self.tell(text)
        self._said = line.detail
        self.progress("batch")(line.done, line.total)

    def end_progress(self) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def end(self, summary: Summary) -> int:
        """Show what a run found; its exit code."""
        self.end_progress()
        if not (self._telling.json_only and self._telling.quiet):
            for line in summary.lines():
                self.tell(line)
            if isinstance(summary, Digested):
                for line in _digest_lines(summary.every_digest(), self._telling.digests):
                    self.tell(line)
        if self._telling.json_only:
            document = summary.to_json()
            if isinstance(summary, Digested):
                document |= _overall_as_json(summary.every_digest())
            print(json.dumps(document, indent=2, sort_keys=False), file=self._stdout, flush=True)
        return summary.exit_code

    def _open_bar(self, unit: str, total: int | None) -> tqdm[NoReturn]:
        from tqdm import tqdm

        is_drawn = sys.stderr.isatty() and not (self._telling.quiet or self._telling.log_as_json)
        self._bar = tqdm(unit=unit, total=total, file=sys.stderr, disable=not is_drawn, leave=False)
        return self._bar

    def _write(self, line: str, file: TextIO) -> None:
        line = printable(line, keep="\n\t")
        if self._bar is None:
            print(line, file=file, flush=True)
        else:
            self._bar.write(line, file=file)
            file.flush()


def batch_lines(line: BatchLine, is_news: bool = True) -> list[str]:
    """What a person is told of a batch: a line of at most 100 columns, and what is wrong with it, where that is news."""
    width = len(str(line.total))
    text = (
        f"{line.done:>{width}}/{line.total} {line.batch_id} {line.state:9} {line.outcomes:>7,} outcomes"
        f" {line.changes:>8,} changes {line.seconds:7.2f} s"
    )
    held = [f"{line.quarantined} quarantined"] * (line.quarantined > 0) + [f"{line.held} elements held back"] * (line.held > 0)
    more = [f"  {', '.join(held)}"] if held else []
    return [text, *more, *([f"  {line.detail}"] if line.detail is not None and is_news else [])]


def _digest_lines(digests: Mapping[str, str], each: bool) -> list[str]:
    """One digest of all, and those of the tables where they are asked for."""
    from pipeline.warehouse.digest import overall_digests

    told = [f"{name} {digest}" for name, digest in digests.items()] if each else []
    return told + [f"digest of {count} {kind}: {digest}" for kind, (count, digest) in overall_digests(digests).items()]


def _overall_as_json(digests: Mapping[str, str]) -> dict[str, str]:
    from pipeline.warehouse.digest import overall_digests

    return {f"digest_of_{kind}": digest for kind, (_, digest) in overall_digests(digests).items()}


def _as_json(level: int, line: str, facts: dict[str, Any]) -> str:
    told = {"at": to_iso(SystemClock().now()), "level": logging.getLevelName(level).lower(), "message": line, **facts}
    return json.dumps(told, default=str)


class _Handler(logging.Handler):
    """Sends records to a screen."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self._screen = screen

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._screen.log(record.levelno, without_secrets(record.getMessage()))
        except Exception:
            self.handleError(record)


@contextlib.contextmanager
def _logging_to(handler: logging.Handler, level: int) -> Iterator[None]:
    logger = logging.getLogger(LOGGER)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]
