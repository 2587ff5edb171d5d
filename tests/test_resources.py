"""Where data files are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import resources
from pipeline.errors import SetupError
from pipeline.resources import resource


@pytest.mark.parametrize("name", ["contracts/odds_api/VERSION", "init_db", "dbt", "fixtures"])
def test_a_checkout_has_it_beside_the_package(name: str) -> None:
    assert resource(name) == Path(resources.__file__).resolve().parents[1] / name


def test_an_installed_package_looks_only_into_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "pipeline"
    (package / "_data" / "contracts").mkdir(parents=True)
    (tmp_path / "fixtures").mkdir()
    monkeypatch.setattr(resources, "_PACKAGE", package)
    assert resource("contracts") == package / "_data" / "contracts"
    with pytest.raises(SetupError, match=r"RESOURCE_MISSING.*fixtures"):
        resource("fixtures")


@pytest.mark.parametrize(
    "name", ["", "pipeline", "/etc/passwd", "contracts/../pipeline", "contracts//x", "../contracts", "contracts/."]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not below"):
        resource(name)
