from __future__ import annotations

import subprocess
import sys
from email.message import Message
from typing import cast

import pytest

from pipeline.licences import PackageMetadata, licence_of, lines


def metadata(*fields: tuple[str, str]) -> PackageMetadata:
    message = Message()
    for name, value in fields:
        message[name] = value
    return cast(PackageMetadata, message)


MIT = ("Classifier", "License :: OSI Approved :: MIT License")


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "BSD-3-Clause"), MIT, ("License", "old words")], "BSD-3-Clause"),
        ([MIT, ("Classifier", "License :: Public Domain"), ("License", "MIT")], "MIT License; Public Domain"),
        ([("Classifier", "License :: OSI Approved"), ("License", "MPL 2.0")], "MPL 2.0"),
        ([("License", "The Licence\n\nPermission is hereby granted …")], "The Licence"),
        ([("License", "UNKNOWN")], "not told"),
        ([("Classifier", "Topic :: Database")], "not told"),
    ],
)
def test_the_best_that_a_package_tells_is_taken(fields: list[tuple[str, str]], licence: str) -> None:
    assert licence_of(metadata(*fields)) == licence


def test_a_package_is_listed_once_under_its_own_spelling() -> None:
    twice = [metadata(("Name", name), ("Version", "1.10"), MIT) for name in ("B_b", "b-b", "a")]
    assert lines(twice) == ["a    1.10  MIT License", "b-b  1.10  MIT License"]


def test_the_command_lists_what_is_installed() -> None:
    done = subprocess.run([sys.executable, "-m", "pipeline.licences"], capture_output=True, text=True, check=True)
    rows = {line.split()[0].lower(): line for line in done.stdout.splitlines()}
    assert rows["psycopg"].endswith("LGPL-3.0-only") or "Lesser General Public License" in rows["psycopg"]
    assert {"dagster", "dbt-core", "requests"} <= rows.keys()
