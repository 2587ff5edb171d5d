"""From a request line to what it asks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlencode

from pipeline.errors import UsageError
from pipeline.market.simulator.answers import Refused
from pipeline.odds_api.endpoints import parse_url
from pipeline.odds_api.request import ApiRequest
from pipeline.secret import Secret

# Asks for a fault, in place of the header of that meaning; no name of the API's.
FAULT_PARAMETER: Final = "sandboxFault"
_OLD_HISTORY: Final = re.compile(r"/v4/sports/([^/]+)/odds-history/?")
_WELL_FORMED: Final = re.compile(r"[0-9A-Za-z]{32}|[0-9A-Za-z]{40}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request line says.

    Attributes:
        request: the request, without what is not the API's.
        key: the ``apiKey`` of the query.
        fault: the fault that the query asks for.
    """

    request: ApiRequest
    key: Secret | None = field(repr=False)
    fault: str | None


def read(method: str, path: str, query: str) -> Asked:
    """What is asked.

    Args:
        method: HTTP method.
        path: as sent, quoted.
        query: as sent, without the question mark.

    Raises:
        Refused: 404 for a path that the API does not have, 405 for another method than GET.
    """
    if old := _OLD_HISTORY.fullmatch(path):
        path = f"/v4/historical/sports/{old[1]}/odds"
    if not path.startswith("/v4/") or path.count("/v4/") > 1:
        raise _not_found()
    given = parse_qs(query, keep_blank_values=True)
    key = given.get("apiKey", [""])[-1]
    fault = given.get(FAULT_PARAMETER, [None])[-1]
    left = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != FAULT_PARAMETER]
    try:
        request = parse_url(f"{path}?{urlencode(left)}")
    except UsageError:
        raise _not_found() from None
    if method != "GET":
        raise Refused(405, "METHOD_NOT_ALLOWED", "Only GET is answered")
    return Asked(request, Secret(key) if key else None, fault)


def check_key(key: Secret | None, wanted: Secret | None) -> None:
    """See whether a key is one that is answered.

    Args:
        key: the key that came.
        wanted: the only good one, or None where any well-formed one is (32 or 40 letters and digits).

    Raises:
        Refused: 401 MISSING_KEY or INVALID_KEY.
    """
    if key is None:
        raise Refused(401, "MISSING_KEY", "API key is missing. Get an API key at https://the-odds-api.com")
    if key != wanted if wanted is not None else not _WELL_FORMED.fullmatch(key.reveal()):
        raise Refused(401, "INVALID_KEY", "API key is not valid. Get an API key at https://the-odds-api.com")


def _not_found() -> Refused:
    return Refused(404, "NOT_FOUND", "Not found")
