"""Ctrl-C while dbt works is an interrupt, and neither a fault of the project nor a trace on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.transform.docs import write_dbt_docs
from pipeline.transform.project import DbtProject
from pipeline.warehouse.connect import Warehouse


def interrupted(*arguments: Any, **named: Any) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("what", ["parse", "docs"])
def test_what_interrupts_dbt_is_handed_on(
    what: str, prepared: Warehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # where a parse begins, within all that dbt does about an error of its own
    monkeypatch.setattr("dbt.parser.manifest.ManifestLoader.get_full_manifest", interrupted)
    project = DbtProject(tmp_path / "dbt", lambda line: None)
    with pytest.raises(KeyboardInterrupt):
        if what == "parse":
            project.manifest()
        else:
            write_dbt_docs(project, prepared, tmp_path / "docs")
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
