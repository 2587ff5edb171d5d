"""The packages that only some commands need, those of files and dataframes first: extras of the project, imported late."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from pipeline.errors import SetupError

EXTRA: Final = "export"
PACKAGES: Final = ("pyarrow", "duckdb")
# Kinds of files.
FORMATS: Final = ("parquet", "csv", "duckdb")


def require(*packages: str, extra: str = EXTRA) -> None:
    """See that the packages of an extra are installed.

    Raises:
        SetupError: ``EXTRA_MISSING``.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise SetupError(
            "EXTRA_MISSING",
            f"What is asked for needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            f"In the checkout: python3 -m pip install '.[{extra}]'. Elsewhere: python3 -m pip install {' '.join(missing)}.",
        )
