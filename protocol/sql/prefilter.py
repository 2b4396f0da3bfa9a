"""Is this text certainly an ordinary statement?

Every text of every client passes here, so `ordinary` looks at four bytes and for a semicolon and
leaves everything else to `classify`. It may answer False too often, never True wrongly.

`suspects` is the second level: words anywhere in a text that may leave something behind in the
session although the statement is ordinary, such as a call of set_config in a SELECT.
"""

from __future__ import annotations

import re
from enum import IntFlag
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
_NOTABLE_OPENING: Final = re.compile(
    r"[;/\n\r][ \t\f\v]*+(?:call|close|copy|create|deallocate|declare|discard|do|execute|explain"
    r"|listen|load|prepare|reset|set|unlisten)\b"
)


def ordinary_script(text: bytes) -> bool:
    """True only if every statement of text is certainly ordinary, however many there are.

    For long texts: a thousand INSERTs in one Query need not be split to be understood.
    """
    if not _opens_ordinarily(text):
        return False
    return _NOTABLE_OPENING.search(text.decode("latin-1").lower()) is None


class Suspicion(IntFlag):
    """What a text may leave behind in a session, judged by its words alone."""

    NONE = 0
    SETTING = 1
    SET_CONFIG = 2
    TEMP = 4
    ADVISORY_LOCK = 8
    HOLD_CURSOR = 16
    LISTEN = 32
    LOAD = 64
    SEQUENCE = 128
    DO_OR_CALL = 256
    STATEMENTS = 512
    REMOTE = 1024
    OBSCURED = 2048


_NONE: Final = Suspicion.NONE

# Why plain words before any pattern, and str: `in` is several times cheaper than a search by
# pattern, and three times cheaper in a str than in bytes. Most texts contain none of the words.
_WORDS: Final = (
    ("set_config", Suspicion.SET_CONFIG),
    ("temp", Suspicion.TEMP),
    ("advisory_lock", Suspicion.ADVISORY_LOCK),
    ("advisory_unlock", Suspicion.ADVISORY_LOCK),
    ("hold", Suspicion.HOLD_CURSOR),
    ("listen", Suspicion.LISTEN),
    ("currval", Suspicion.SEQUENCE),
    ("lastval", Suspicion.SEQUENCE),
    ("nextval", Suspicion.SEQUENCE),
    ("setval", Suspicion.SEQUENCE),
    ("prepare", Suspicion.STATEMENTS),
    ("execute", Suspicion.STATEMENTS),
    ("dealloc", Suspicion.STATEMENTS),
    ("dblink", Suspicion.REMOTE),
    ('u&"', Suspicion.OBSCURED),
)
# These mean something as the first word of a statement only. Why no line break in the space that
# may precede them: each line is tried by itself, which keeps the search linear.
_FIRST_WORDS: Final = re.compile(
    r"(?:^|[;/\n\r])[ \t\f\v]*"
    r"(?:(?P<setting>(?:re)?set|discard)|(?P<load>load)|(?P<code>do|call))\b"
)
_FIRST_WORD_STARTS: Final = ("set", "reset", "discard", "load", "do", "call")


def suspects(text: bytes) -> Suspicion:
    """Every suspicion that a word in text raises, also from strings, comments and other words."""
    lowered = text.decode("latin-1").lower()
    found = _NONE
    for word, suspicion in _WORDS:
        if word in lowered:
            found |= suspicion
    begun = lowered.lstrip().startswith(_FIRST_WORD_STARTS)
    followed = lowered.find(";", 0, -1) >= 0
    if not (begun or followed or "--" in lowered or "/*" in lowered):
        return found
    for match in _FIRST_WORDS.finditer(lowered):
        if match.group("setting"):
            found |= Suspicion.SETTING
        elif match.group("load"):
            found |= Suspicion.LOAD
        else:
            found |= Suspicion.DO_OR_CALL
    return found
