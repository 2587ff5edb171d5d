"""A text that must not be seen: it is shown as ``***`` wherever it is printed by accident.

The one place that may ask chance: for a password, which reaches no table.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Final, NoReturn

MASK: Final = "***"


class Secret:
    """Holds a password or key. ``repr``, ``str`` and ``format`` show ``***``; only :meth:`reveal` gives the text.

    Two secrets are equal when their texts are. A secret refuses to be pickled, so that no process writes it down.

    Args:
        value: the text; must not be empty.

    Raises:
        ValueError: the text is empty (an unset secret is ``None``, not an empty one).
    """

    __slots__ = ("_value",)
    _value: str

    def __init__(self, value: str) -> None:
        if not value:
            raise ValueError("a secret must not be empty; an unset one is None")
        object.__setattr__(self, "_value", value)

    @classmethod
    def at_random(cls) -> Secret:
        """One that nobody can guess: 32 characters that a URL takes as they stand (192 bits)."""
        return cls(secrets.token_urlsafe(24))

    def reveal(self) -> str:
        """The text itself, for the one place that sends it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        # An environment variable that is no UTF-8 comes with lone surrogates.
        return hmac.compare_digest(self._value.encode(errors="surrogatepass"), other._value.encode(errors="surrogatepass"))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a secret is frozen")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")
