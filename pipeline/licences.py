"""``python -m pipeline.licences``: what is installed beside this package, a line each: name, version, licence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import PackageMetadata, distributions
from typing import Final

UNKNOWN: Final = "not told"
_CLASSIFIER: Final = "License :: "


def licence_of(metadata: PackageMetadata) -> str:
    """A licence as its package tells it: the SPDX expression, else its classifiers, else the first line of its own words."""
    expression = _words(metadata, "License-Expression")
    if expression:
        return expression
    classifiers = [text for text in metadata.get_all("Classifier") or () if text.startswith(_CLASSIFIER)]
    # "License :: OSI Approved" alone names none
    names = [name for text in classifiers if (name := text.split(" :: ")[-1]) != "OSI Approved"]
    return "; ".join(names) or _words(metadata, "License") or UNKNOWN


def _words(metadata: PackageMetadata, field: str) -> str:
    texts = metadata.get_all(field) or [""]
    first = next(iter(texts[0].strip().splitlines()), "").strip()
    return "" if first == "UNKNOWN" else first


def lines(packages: Iterable[PackageMetadata]) -> list[str]:
    """The table, in order of names; a package that is found twice is listed once."""
    rows = {
        re.sub(r"[-_.]+", "-", each["Name"]).lower(): (each["Name"], each["Version"], licence_of(each)) for each in packages
    }
    width, other = (max((len(row[place]) for row in rows.values()), default=0) for place in (0, 1))
    return [f"{name:{width}}  {version:{other}}  {licence}" for _, (name, version, licence) in sorted(rows.items())]


if __name__ == "__main__":
    print("\n".join(lines(each.metadata for each in distributions())))
