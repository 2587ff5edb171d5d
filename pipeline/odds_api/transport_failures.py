"""What an exception of the HTTP library means. Apart from the failures themselves, which are read where nothing is sent."""

from __future__ import annotations

import requests
from urllib3.exceptions import ReadTimeoutError

from pipeline.odds_api.api_errors import Failure


def classify_transport(error: requests.RequestException) -> Failure:
    """The failure that stands for an exception of the transport.

    The message names the kind of the innermost cause and never its text, which may quote the URL.
    """
    inner: BaseException = error
    while (deeper := inner.__cause__ or inner.__context__) is not None:
        inner = deeper
    reason = error.args[0] if error.args else None
    kind = type(inner).__name__
    if isinstance(error, requests.exceptions.SSLError):
        return Failure("TLS", f"No secure connection ({kind}).")
    # requests tells of a time-out while the body is read as a ConnectionError
    if isinstance(error, requests.Timeout) or isinstance(reason, ReadTimeoutError):
        return Failure("TIMEOUT", f"No answer in time ({kind}).")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return Failure("DECODE", f"The body's transfer encoding is broken ({kind}).")
    if isinstance(error, requests.exceptions.ChunkedEncodingError) or isinstance(inner, ConnectionResetError | BrokenPipeError):
        return Failure("RESET", f"The connection broke off ({kind}).")
    if not isinstance(error, requests.ConnectionError):
        return Failure("PROTOCOL", f"What came is no HTTP answer ({kind}).")
    if "Connection aborted" in str(reason):
        return Failure("RESET", f"The connection broke off ({kind}).")
    return Failure("CONNECT", f"No connection ({kind}).")
