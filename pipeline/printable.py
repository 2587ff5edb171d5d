"""Text of others, fit for a terminal or a log: it can neither move the cursor nor forge a line."""

from __future__ import annotations

from typing import Final

# Longer names are cut where they are shown: nobody reads them, and a list of them would hide the rest.
MOST: Final = 300


def printable(text: str, *, keep: str = "", most: int | None = None) -> str:
    r"""The text with every character that is not plainly printed written as an escape, such as ``\x1b`` or ``\n``.

    Control characters, line and paragraph separators, marks that turn the direction of writing, and bytes of a file name
    that are no UTF-8 are all escaped.

    Args:
        text: any text.
        keep: characters that stay as they are, such as the newline of a text of several lines.
        most: characters after which it is cut, with an ellipsis.
    """
    if most is not None and len(text) > most:
        text = f"{text[:most]}…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return char.encode("unicode_escape").decode("ascii")
