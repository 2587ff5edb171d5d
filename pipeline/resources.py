"""Where the project's data files are: SQL, contracts, dbt models, the bundled recording.

In a checkout they lie beside the package; an installed wheel carries them in ``pipeline/_data``.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import SetupError

_PACKAGE = Path(__file__).resolve().parent
_FOLDERS = ("contracts", "dbt", "fixtures", "init_db")


def resource(name: str) -> Path:
    """The path of a data file or folder.

    Args:
        name: relative, with forward slashes, below one of ``contracts``, ``dbt``, ``fixtures``, ``init_db``;
            e.g. ``contracts/odds_api/odds.schema.json``.

    Raises:
        ValueError: the name leads elsewhere.
        SetupError: ``RESOURCE_MISSING``, the installation lacks it.
    """
    parts = name.split("/")
    if parts[0] not in _FOLDERS or any(part in ("", ".", "..") for part in parts):
        raise ValueError(f"{name!r} is not below one of {', '.join(_FOLDERS)}")
    installed = _PACKAGE / "_data"
    # An installed package must never look beside itself: site-packages may hold somebody else's "fixtures".
    path = (installed if installed.is_dir() else _PACKAGE.parent).joinpath(*parts)
    if not path.exists():
        message = f"The installation lacks {name} (looked at {path})."
        raise SetupError("RESOURCE_MISSING", message, "Install sports-market again.")
    return path
