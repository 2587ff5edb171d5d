"""The program of the project as it stands: found, or rendered anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pipeline.resources import resource
from pipeline.transform.program import FILE, Program, project_key, write_program


def load_program(work_dir: Path, say: Callable[[str], None]) -> Program:
    """The program of the project as it stands: the one that comes with it, one that was rendered before, or a new one.

    Args:
        work_dir: a folder of ours where a new one is kept.
        say: told where one is rendered, which takes half a minute.

    Raises:
        SetupError: dbt cannot render it.
    """
    directory = resource("dbt")
    key = project_key(directory)
    for file in (directory / FILE, work_dir / f"program-{key}.json"):
        program = _read(file)
        if program is not None and program.key == key:
            return program
    say("The dbt project is not the one that the program at hand was rendered from: dbt renders it anew.")
    # dbt takes seconds to import, and is not needed again
    from pipeline.transform.project import DbtProject
    from pipeline.transform.render import render_apart

    program = render_apart(DbtProject(work_dir, say), key)
    write_program(work_dir / f"program-{key}.json", program)
    for older in set(work_dir.glob("program-*.json")) - {work_dir / f"program-{key}.json"}:
        older.unlink(missing_ok=True)
    return program


def _read(file: Path) -> Program | None:
    try:
        return Program.from_json(json.loads(file.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None
