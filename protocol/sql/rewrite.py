"""Putting other bytes into a text, and finding one's way back.

A replacement is (start, stop, bytes): the span of the original text that gives way, and what
takes its place. Replacements are in ascending order and do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Replacement = tuple[int, int, bytes]

_CONTINUATION_BYTES: Final = bytes(range(0x80, 0xC0))


def rewrite(text: bytes, replacements: Sequence[Replacement]) -> bytes:
    """The text with every span replaced."""
    pieces: list[bytes] = []
    at = 0
    for start, stop, new in replacements:
        pieces += (text[at:start], new)
        at = stop
    pieces.append(text[at:])
    return b"".join(pieces)


def original_position(position: int, replacements: Sequence[Replacement], text: bytes) -> int:
    """Where a position in the rewritten text lies in the original text.

    Both count characters of UTF-8 from 1, as the field P of an ErrorResponse does. A position
    inside a replacement becomes the beginning of what was replaced.
    """
    remaining = position - 1
    at = 0
    for start, stop, new in replacements:
        kept = character_count(text[at:start])
        if remaining < kept:
            break
        replaced = character_count(new)
        if remaining < kept + replaced:
            return character_count(text[:start]) + 1
        remaining -= kept + replaced
        at = stop
    return character_count(text[:at]) + remaining + 1


def character_count(text: bytes) -> int:
    """The number of characters in UTF-8 text: of bytes that do not continue one."""
    return len(text.translate(None, _CONTINUATION_BYTES))
