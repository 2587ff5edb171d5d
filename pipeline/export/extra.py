"""The packages that only files and dataframes need: an extra of the project, imported late."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from pipeline.errors import SetupError

EXTRA: Final = "export"
PACKAGES: Final = ("pyarrow", "duckdb")
# Kinds of files.
FORMATS: Final = ("parquet", "csv", "duckdb")


def require(*packages: str) -> None:
    """See that the packages are installed.

    Raises:
        SetupError: ``EXTRA_MISSING``.
    """
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise SetupError(
            "EXTRA_MISSING",
            f"What is asked for needs {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed.",
            f"In the checkout: python3 -m pip install '.[{EXTRA}]'. Elsewhere: python3 -m pip install {' '.join(missing)}.",
        )
