"""Passwords as SCRAM compares them: SASLprep (RFC 4013, a profile of RFC 3454).

PostgreSQL prepares a password where it can and takes the raw bytes where it cannot (bytes
that are not UTF-8, prohibited characters), so that any password works as long as both sides
do the same (common/saslprep.c, scram_build_secret).

Invariant: never raises; the same bytes always give the same result.
"""

from __future__ import annotations

import stringprep
import unicodedata
from typing import Final

_PROHIBITED: Final = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
    stringprep.in_table_a1,
)


def saslprep(password: bytes) -> bytes:
    """The prepared password, or `password` itself when SASLprep does not allow it."""
    if password.isascii():
        return password
    try:
        text = password.decode("utf-8")
    except UnicodeDecodeError:
        return password
    prepared = _prepare(text)
    return password if prepared is None else prepared.encode("utf-8")


def _prepare(text: str) -> str | None:
    mapped = "".join(
        [
            " " if stringprep.in_table_c12(char) else char
            for char in text
            if not stringprep.in_table_b1(char)
        ]
    )
    # Why: RFC 3454 means Unicode 3.2, the server normalises by the tables of its own time.
    normal = unicodedata.normalize("NFKC", mapped)
    if not normal or any(prohibits(char) for char in normal for prohibits in _PROHIBITED):
        return None
    return normal if _direction_allowed(normal) else None


def _direction_allowed(text: str) -> bool:
    # RFC 3454 section 6: text with a right-to-left character has no left-to-right one, and
    # begins and ends with a right-to-left one.
    if not any(stringprep.in_table_d1(char) for char in text):
        return True
    if any(stringprep.in_table_d2(char) for char in text):
        return False
    return stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
