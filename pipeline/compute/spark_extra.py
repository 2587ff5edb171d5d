"""Spark: an extra of the project, imported late."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Final

from pipeline.errors import SetupError
from pipeline.export.extra import require

EXTRA: Final = "spark"
PACKAGE: Final = "pyspark"


def require_spark() -> None:
    """See that Spark is installed, and a Java for it.

    Raises:
        SetupError: ``EXTRA_MISSING``, ``JAVA_MISSING``.
    """
    require(PACKAGE, extra=EXTRA)
    if not has_java():
        raise SetupError(
            "JAVA_MISSING",
            "Spark needs a Java runtime, and none is found.",
            "Install Java 17 or 21, and let JAVA_HOME name its folder where `java` is not on the path.",
        )


def has_java() -> bool:
    """Whether there is a Java where Spark looks for it."""
    home = os.environ.get("JAVA_HOME")
    return (Path(home) / "bin" / "java").exists() if home else shutil.which("java") is not None
