"""Keep the key out of every text and byte that is kept."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

from pipeline.secret import MASK, Secret

__all__ = ["KEPT_HEADERS", "SIMULATED_HEADER", "Secret", "hide_keys_in_logs", "redact", "redact_bytes"]

# With it a server says that its answers are made up; the sandbox does. It is kept with each, so that none is taken for real.
SIMULATED_HEADER: Final = "x-simulated"
# Response headers worth keeping. Everything else (cookies above all) is dropped where it arrives.
KEPT_HEADERS: Final = frozenset(
    {
        "age",
        "content-type",
        "date",
        "etag",
        "last-modified",
        "retry-after",
        "x-requests-last",
        "x-requests-remaining",
        "x-requests-used",
        SIMULATED_HEADER,
    }
)
_KEY_IN_QUERY: Final = re.compile(r"(apikey(?:=|%3d))[^&\s\"'<>)]+", re.IGNORECASE)


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """The text with ``***`` for each secret, however it is quoted, and for the value of any ``apiKey`` in a query."""
    for form in _forms(secrets):
        text = text.replace(form, MASK)
    return _KEY_IN_QUERY.sub(rf"\g<1>{MASK}", text)


def redact_bytes(data: bytes, secrets: Iterable[Secret] = ()) -> bytes:
    """The bytes with ``***`` for each secret, however it is quoted; all else stays as it is, byte for byte."""
    for form in _forms(secrets):
        data = data.replace(form.encode(), MASK.encode())
    return data


def _forms(secrets: Iterable[Secret]) -> list[str]:
    """Each secret as it stands, in a URL and in JSON; the longest first, since one may hold another."""
    forms = set()
    for text in (secret.reveal() for secret in secrets):
        escaped = (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        forms |= {text, quote(text), quote(text, safe=""), quote_plus(text), *escaped}
    return sorted(forms, key=lambda form: (-len(form), form))


class _KeyFilter(logging.Filter):
    """Rewrites records that quote a URL with a key."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        clean = redact(text)
        if clean != text:
            record.msg, record.args = clean, ()
        return True


_KEY_FILTER: Final = _KeyFilter()


def hide_keys_in_logs() -> None:
    """Make urllib3, which logs each URL at DEBUG, log it without the key. Calling it again changes nothing."""
    for name in ("urllib3.connectionpool", "urllib3.util.retry", "urllib3.poolmanager"):
        logging.getLogger(name).addFilter(_KEY_FILTER)
