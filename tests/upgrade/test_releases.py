"""What is written down of the releases is so."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import pipeline
from tests.conftest import REPOSITORY
from tests.upgrade.conftest import Installed
from tests.upgrade.releases import RELEASES, Release, ReleaseMissing, is_required, take_out


def test_a_release_is_the_code_of_its_version(released: Installed) -> None:
    where, version = released.python("import pipeline; print(pipeline.__file__); print(pipeline.__version__)").split()
    assert Path(where) == released.folder / "pipeline" / "__init__.py"
    assert version == released.release.version


def test_the_code_at_hand_is_later_than_every_release() -> None:
    versions = [numbers(release.version) for release in RELEASES]
    assert versions == sorted(versions) and len({release.version for release in RELEASES}) == len(RELEASES)
    assert numbers(pipeline.__version__) > versions[-1]


def numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")[:3]]


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.tag)
def test_a_tag_that_is_there_is_the_commit_that_is_written_down(release: Release) -> None:
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "--verify", "--quiet", f"refs/tags/{release.tag}^{{commit}}"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    assert found in ("", release.commit)


def test_a_clone_without_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ReleaseMissing, match=r"lacks v9.9.9 \(commit 0{40}\).*git fetch --unshallow"):
        take_out(Release("9.9.9", "0" * 40), tmp_path / "code")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReleaseMissing, match="git"):
        take_out(RELEASES[-1], tmp_path / "code")
    assert not (tmp_path / "code").exists()
    for value, required in (("true", True), ("", False)):
        monkeypatch.setenv("CI", value)
        assert is_required() is required
