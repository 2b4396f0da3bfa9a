"""Is this text certainly an ordinary statement?

Every text of every client passes here, so `ordinary` looks at four bytes and for a semicolon and
leaves everything else to `classify`. It may answer False too often, never True wrongly.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.sql.lexer import SPACE

# Statements that neither make nor use nor drop prepared statements, and set nothing in the
# session by themselves. Why not CREATE and EXPLAIN: both can hold an EXECUTE. Why not COPY,
# DECLARE, CLOSE, DO, CALL, LISTEN, LOAD, SET: the relay wants to know.
# fmt: off
ORDINARY_KEYWORDS: Final = (
    b"abort", b"alter", b"analyse", b"analyze", b"begin", b"checkpoint", b"cluster", b"comment",
    b"commit", b"delete", b"drop", b"end", b"fetch", b"grant", b"import", b"insert", b"lock",
    b"merge", b"move", b"notify", b"reassign", b"refresh", b"reindex", b"release", b"revoke",
    b"rollback", b"savepoint", b"security", b"select", b"show", b"start", b"table", b"truncate",
    b"update", b"vacuum", b"values", b"with",
)
# fmt: on


def _openings() -> frozenset[bytes]:
    """The first four bytes of a text that begins with such a word, in the usual spellings."""
    openings: set[bytes] = set()
    for word in ORDINARY_KEYWORDS:
        heads = (
            [word[:4]] if len(word) > 3 else [word, *(word + end for end in (b" ", b";", b"\n"))]
        )
        for head in heads:
            openings |= {head, head.upper(), head.capitalize()}
    return frozenset(openings)


_OPENINGS: Final = _openings()

# The same in lower case, for those who have the text as a str (of latin-1).
ORDINARY_OPENINGS: Final = frozenset([opening.decode().lower() for opening in _OPENINGS])


def ordinary(text: bytes) -> bool:
    """True only if text is certainly one statement (or none) that opens with an ordinary keyword.

    Text is the SQL of a Query or Parse without the NUL at its end.
    """
    if not _opens_ordinarily(text):
        return False
    semicolon = text.find(b";")
    return semicolon < 0 or semicolon == len(text) - 1 or text[semicolon + 1 :].isspace()


def _opens_ordinarily(text: bytes) -> bool:
    return text[:4] in _OPENINGS or text.lstrip(SPACE)[:4].lower() in _OPENINGS


# Every word that opens a statement with a rule of its own (grammar.RULES) and is not ordinary.
# Why nothing else before it: what precedes a statement ends in a semicolon, a line or a comment,
# save for space. Inside of statements and quotes such a place only makes the answer False.
# Why one look at the next byte first: there may be a million of these places.
_NOTABLE_OPENING: Final = re.compile(
    r"[;/\n\r][ \t\f\v]*+(?=[cdelprsu])(?:call|close|copy|create|deallocate|declare|discard|do"
    r"|execute|explain|listen|load|prepare|reset|set|unlisten)\b"
)


PLACES_MAX: Final = 150_000
"""Limit: a text with more places where a statement may open is not looked at any further."""
_NO_PLACES: Final = bytes(byte for byte in range(256) if byte not in b";/\n\r")


def ordinary_script(text: bytes) -> bool:
    """True only if every statement of text is certainly ordinary, however many there are.

    For long texts: a thousand INSERTs in one Query need not be split to be understood.
    """
    if not _opens_ordinarily(text):
        return False
    if len(text) > PLACES_MAX and len(text.translate(None, _NO_PLACES)) > PLACES_MAX:
        return False
    return _NOTABLE_OPENING.search(text.lower().decode("latin-1")) is None
