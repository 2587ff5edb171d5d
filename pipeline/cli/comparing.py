"""``diff``: what differs between two states of gold."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.cli.arguments import Commands, command, database_option, engine_option, json_option
from pipeline.cli.opening import check_database, loaded, scratch_folder, server_of, settings_of
from pipeline.cli.screen import Screen
from pipeline.errors import UsageError
from pipeline.export.extra import PACKAGES, require
from pipeline.whole_files import written_whole

if TYPE_CHECKING:
    import duckdb

    from pipeline.export.readable import Wanted
    from pipeline.replay.diff_found import Diff
    from pipeline.replay.diff_rows import SideRows
    from pipeline.replay.diff_side import Side
    from pipeline.warehouse.connect import Warehouse


def add_diff(commands: Commands) -> None:
    """``diff``, and what it accepts."""
    one = command(commands, "diff", _run, "tell what differs between two states of gold, by row, column and cell")
    one.description = (
        "Compare two databases, recordings, exports or points in time. A side is a database's address (postgresql://…),"
        " warehouse: or warehouse:NAME, or the folder of a recording or an export; with @2025-01-05T12:00:00Z behind it, it is"
        " read as it was then. Tables with equal digests are not read."
    )
    one.add_argument("a", metavar="A", help="what was")
    one.add_argument("b", metavar="B", help="what is")
    one.add_argument("--tables", metavar="NAME", nargs="+", help="only these tables and views (default: what is stored)")
    one.add_argument("--views", action="store_true", help="the views too, which are computed for it")
    out_option(one)
    json_option(one)
    database_option(one, "the server of warehouse: and of recordings' own databases")
    engine_option(one)


def out_option(one: argparse.ArgumentParser) -> None:
    """``--out`` of a diff."""
    one.add_argument("--out", metavar="FILE", type=Path, help="write it as a page (.html), or its cells (.parquet)")


def _run(options: argparse.Namespace, screen: Screen) -> int:
    from pipeline.replay.diff_page import check_diff_out
    from pipeline.replay.diff_side import side_of

    sides = side_of(options.a), side_of(options.b)
    check_diff_out(options.out)
    check_database(options)
    names = None
    if options.tables is not None:
        from pipeline.export.readable import named

        names = [one.name for one in named(options.tables)]
    require(*PACKAGES)
    from pipeline.replay.diff import workroom

    with ExitStack() as stack:
        room = stack.enter_context(workroom(stack.enter_context(scratch_folder(options))))
        wanted = _asked(sides)
        a, b = (
            (side.name, stack.enter_context(_opened(side, alias, wanted, room, options, screen)))
            for side, alias in zip(sides, ("file_a", "file_b"), strict=True)
        )
        found = diffed(a, b, room, options.out, screen, names, with_views=options.views)
    return screen.end(found)


def diffed(
    a: tuple[str, SideRows],
    b: tuple[str, SideRows],
    room: duckdb.DuckDBPyConnection,
    out: Path | None,
    screen: Screen,
    names: list[str] | None = None,
    *,
    with_views: bool = False,
) -> Diff:
    """Compare two sides that are open, and write what was asked for."""
    from pipeline.replay.diff import compare
    from pipeline.replay.diff_page import CELLS

    screen.end_progress()
    progress = screen.progress("table")
    if out is not None and out.suffix == CELLS:
        with written_whole(out) as file:
            found = compare(a, b, room, names, with_views=with_views, progress=progress, cells_to=file)
        screen.note(f"Wrote {out}.")
    else:
        found = compare(a, b, room, names, with_views=with_views, progress=progress)
        if out is not None:
            write_page(found, out, screen)
    screen.end_progress()
    return found


def write_page(found: Diff, out: Path, screen: Screen) -> None:
    """Write a diff as a page."""
    from pipeline.replay.diff_page import render_diff

    with written_whole(out) as file:
        file.write_text(render_diff(found), encoding="utf-8")
    screen.note(f"Wrote {out}.")


def _asked(sides: tuple[Side, Side]) -> Wanted:
    """Which rows are compared: those that the exports were asked for."""
    from pipeline.export.readable import EVERYTHING
    from pipeline.replay.diff_rows import manifest_of, wanted_of
    from pipeline.replay.diff_side import Kind

    found = [wanted_of(manifest_of(side.folder)) for side in sides if side.kind is Kind.EXPORT]
    if len(found) == 2 and found[0] != found[1]:
        raise UsageError(
            "DIFF_ASKED",
            f"{sides[0].name} and {sides[1].name} were asked for other sports or times.",
            "Export both with the same --sport, --since and --until.",
        )
    return found[0] if found else EVERYTHING


@contextmanager
def _opened(
    side: Side, alias: str, wanted: Wanted, room: duckdb.DuckDBPyConnection, options: argparse.Namespace, screen: Screen
) -> Iterator[SideRows]:
    from pipeline.replay.diff_rows import DatabaseRows, ExportRows
    from pipeline.replay.diff_side import Kind

    if side.kind is Kind.EXPORT:
        with ExportRows(side.folder, side.at, room, alias) as files:
            yield files
        return
    with _warehouse(side, options, screen) as warehouse, DatabaseRows(warehouse, side.at, wanted) as rows:
        yield rows


@contextmanager
def _warehouse(side: Side, options: argparse.Namespace, screen: Screen) -> Iterator[Warehouse]:
    """The database that holds a side."""
    from pipeline.replay.diff_side import Kind
    from pipeline.warehouse.database import resolve_server

    if side.kind is Kind.ADDRESS:
        with resolve_server(replace(settings_of(options), database_url=side.place), screen.note) as server:
            yield server.warehouse()
        return
    if side.kind is Kind.STANDING:
        with server_of(options, screen) as server:
            yield server.warehouse(side.place or None)
        return
    with loaded(side.folder, options, screen) as warehouse:
        yield warehouse
