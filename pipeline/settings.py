"""What the environment says: where the database is, where state lives, which key to use. Read once, then frozen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pipeline.errors import SetupError, UsageError
from pipeline.secret import Secret

DEFAULT_STATE_DIR: Final = Path(".sports-market")
DEFAULT_ROLE_PREFIX: Final = "sports_market_"
DEFAULT_API_BASE_URL: Final = "https://api.the-odds-api.com"

# What may hold a password or key. Each may stand in a file instead, whose path is in the variable of this name and _FILE.
SECRET_VARIABLES: Final = (
    "SPORTS_MARKET_DATABASE_URL",
    "SPORTS_MARKET_ROLE_PASSWORD",
    "SPORTS_MARKET_INGESTER_PASSWORD",
    "SPORTS_MARKET_TRANSFORMER_PASSWORD",
    "SPORTS_MARKET_READER_PASSWORD",
    "SPORTS_MARKET_API_KEY",
    "SPORTS_MARKET_WEBHOOK_URL",
)

# Role names are prefix + at most 11 letters and PostgreSQL cuts names at 63 bytes; the server reserves pg_.
_ROLE_PREFIX = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,39}")


def check_role_prefix(prefix: str) -> str:
    """The prefix itself, if role names may start with it.

    Raises:
        UsageError: ``ROLE_PREFIX_INVALID``.
    """
    if not _ROLE_PREFIX.fullmatch(prefix):
        raise UsageError(
            "ROLE_PREFIX_INVALID",
            f"{prefix!r} cannot start the names of database roles.",
            "Use 1 to 40 lower-case letters, digits and underscores that start neither with a digit nor with pg_"
            " (SPORTS_MARKET_ROLE_PREFIX).",
        )
    return prefix


def check_base_url(url: str) -> str:
    """The URL without a trailing slash, if it is an absolute http(s) URL without query and fragment.

    Raises:
        UsageError: ``API_BASE_URL_INVALID``; the text is not repeated, as it may hold a key.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            "API_BASE_URL_INVALID",
            "The base URL of the API is not an absolute http(s) URL without query and fragment.",
            f"Set SPORTS_MARKET_API_BASE_URL to something like {DEFAULT_API_BASE_URL}, or unset it.",
        )
    return url.rstrip("/")


def check_lock_seconds(text: str) -> int:
    """Whole seconds, from 1 to a day.

    Raises:
        UsageError: ``LOCK_SECONDS_INVALID``.
    """
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 86_400:
        raise UsageError(
            "LOCK_SECONDS_INVALID",
            f"{text!r} is no time to wait for another transformation.",
            "Set SPORTS_MARKET_LOCK_SECONDS to whole seconds from 1 to 86400, or unset it.",
        )
    return int(text)


def check_api_key(key: Secret | None, without: str) -> Secret:
    """A key that can be one, before any call is made with it; whether it is good, only the API knows.

    Args:
        key: as it was given.
        without: what to do where there is none.

    Raises:
        UsageError: ``API_KEY_MISSING``, ``API_KEY_INVALID``; the key is not repeated.
    """
    if key is None:
        raise UsageError("API_KEY_MISSING", "There is no key to ask the API with.", without)
    if not (key.reveal().isascii() and key.reveal().isalnum()):
        raise UsageError(
            "API_KEY_INVALID",
            "The key holds something else than letters and digits.",
            "Set SPORTS_MARKET_API_KEY to the key alone, without quotes or spaces.",
        )
    return key


def with_files(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with the secrets that stand in files; a variable that is set itself comes before its file.

    Raises:
        SetupError: ``SECRET_FILE_UNREADABLE``: there is no such file, or it is empty; the text is not repeated.
    """
    found = dict(environ)
    for name in SECRET_VARIABLES:
        variable = f"{name}_FILE"
        path = environ.get(variable, "").strip()
        if not path or environ.get(name, "").strip():
            continue
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
            problem = "" if text else "it is empty"
        except (OSError, ValueError) as error:
            text, problem = "", (error.strerror or "") if isinstance(error, OSError) else "it is no text in UTF-8"
        if not text:
            raise SetupError(
                "SECRET_FILE_UNREADABLE",
                f"The file {path}, which {variable} names, gives no secret: {problem}.",
                f"Write the secret into it, and let this user read it; or unset {variable}.",
            )
        found[name] = text
    return found


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one run.

    Attributes:
        database_url: a libpq URL of a server and database; ``None`` = the embedded server. May hold a password, so
            it is left out of ``repr``.
        state_dir: where the embedded server and other local state live.
        role_prefix: what the names of the three database roles start with.
        role_password: what the three roles' passwords are derived from; ``None`` = the password in ``database_url``.
        ingester_password: the ingester's own; ``None`` = derived.
        transformer_password: the transformer's own; ``None`` = derived.
        reader_password: the reader's own; ``None`` = derived.
        lock_seconds: how long a transformation waits for another one; ``None`` = half an hour.
        api_key: the key of The Odds API; ``None`` = not given.
        api_base_url: scheme and host of the API, without a trailing slash.
        recordings_dir: a folder of recordings that are taken in; ``None`` = the bundled ones.
        plan_file: what Dagster's live batches ask; ``None`` = a small plan of two leagues.
        simulated: whether the simulated market answers Dagster's live batches where there is no key.
        webhook_url: where failed runs are told, beside the log; may hold a token.
        spark_master: of Spark, where Dagster's job ``compute`` submits; ``None`` = not given.
    """

    database_url: str | None = field(default=None, repr=False)
    state_dir: Path = DEFAULT_STATE_DIR
    role_prefix: str = DEFAULT_ROLE_PREFIX
    role_password: Secret | None = None
    ingester_password: Secret | None = None
    transformer_password: Secret | None = None
    reader_password: Secret | None = None
    lock_seconds: int | None = None
    api_key: Secret | None = None
    api_base_url: str = DEFAULT_API_BASE_URL
    recordings_dir: Path | None = None
    plan_file: Path | None = None
    simulated: bool = False
    webhook_url: Secret | None = None
    spark_master: str | None = None

    def __post_init__(self) -> None:
        check_role_prefix(self.role_prefix)
        object.__setattr__(self, "api_base_url", check_base_url(self.api_base_url))

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """The settings that the environment variables name, and the files of :func:`with_files`; an empty one counts as unset.

        Args:
            environ: usually ``os.environ``.

        Raises:
            UsageError: a value cannot be meant (``ROLE_PREFIX_INVALID``, ``API_BASE_URL_INVALID``,
                ``LOCK_SECONDS_INVALID``).
            SetupError: ``SECRET_FILE_UNREADABLE``.
        """
        environ = with_files(environ)

        def text(name: str) -> str | None:
            return environ.get(name, "").strip() or None

        def secret(name: str) -> Secret | None:
            value = text(name)
            return Secret(value) if value else None

        return cls(
            database_url=text("SPORTS_MARKET_DATABASE_URL"),
            state_dir=Path(text("SPORTS_MARKET_STATE_DIR") or DEFAULT_STATE_DIR),
            role_prefix=text("SPORTS_MARKET_ROLE_PREFIX") or DEFAULT_ROLE_PREFIX,
            role_password=secret("SPORTS_MARKET_ROLE_PASSWORD"),
            ingester_password=secret("SPORTS_MARKET_INGESTER_PASSWORD"),
            transformer_password=secret("SPORTS_MARKET_TRANSFORMER_PASSWORD"),
            reader_password=secret("SPORTS_MARKET_READER_PASSWORD"),
            lock_seconds=None if (seconds := text("SPORTS_MARKET_LOCK_SECONDS")) is None else check_lock_seconds(seconds),
            # the second name is what other tools call it
            api_key=secret("SPORTS_MARKET_API_KEY") or secret("ODDS_API_KEY"),
            api_base_url=text("SPORTS_MARKET_API_BASE_URL") or DEFAULT_API_BASE_URL,
            plan_file=Path(plan) if (plan := text("SPORTS_MARKET_PLAN")) else None,
            simulated=text("SPORTS_MARKET_SIMULATED") == "1",
            recordings_dir=Path(recordings) if (recordings := text("SPORTS_MARKET_RECORDINGS_DIR")) else None,
            webhook_url=secret("SPORTS_MARKET_WEBHOOK_URL"),
            spark_master=text("SPORTS_MARKET_SPARK_MASTER"),
        )
