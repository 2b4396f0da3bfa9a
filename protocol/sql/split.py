"""The statements of a text, as the server's grammar separates them.

A semicolon ends a statement except inside quotes and comments, inside the parentheses of CREATE
RULE ... DO (a; b), and inside the BEGIN ATOMIC body of CREATE FUNCTION or PROCEDURE. Empty
statements do not count: the server answers nothing for them (only a text without any statement
has an answer of its own, EmptyQueryResponse).
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from protocol.sql.lexer import (
    SPACE,
    TokenKind,
    comment_end,
    skip_space,
    string_end,
    token_at,
    tokens,
)

STATEMENTS_MAX: Final = 10_000
"""Limit: a text with more statements is not split any further, and reported as unsure."""

NESTING_MAX: Final = 10_000
"""Limit: the server itself refuses deeper parentheses (its stacks are exhausted earlier)."""


INSIDE_MAX: Final = 10_000
"""Limit: steps to the end of parentheses; each passes a quote, a comment or a parenthesis."""


@attrs.frozen
class Split:
    """Spans of the statements: from the first token to the last, without the semicolon."""

    spans: tuple[tuple[int, int], ...]
    unsure: bool


TOKENS_MAX: Final = 4_000
"""Limit: a CREATE that may hold semicolons is not looked at any further."""

# What cannot decide anything: other bytes, plain quotes, and what is told from a name at once. Why
# not after e or E: such a string may have escapes, and so may what continues it on another line.
# Why a bounded repeat: the engine keeps a record of every round.
_WORD: Final = rb"A-Za-z0-9_$\x80-\xff"
_PLAIN: Final = rb"""|(?<![eE])'[^']*'|"[^"]*"|-(?!-)|/(?!\*)"""
_ESCAPED: Final = (
    rb"|(?<=[^%b][eE])'[^'\\]*+(?:\\[\x00-\xff][^'\\]*+){0,64}+'(?![ \t\f\v]*+['\n\r\-])" % _WORD
)
_DOLLAR: Final = rb"|(?<![%b])\$(?:[0-9]+|\$[^$]*+\$\$(?![%b]))" % (_WORD, _WORD)
_QUOTED: Final = rb"""|"[^"]*"|-(?!-)|/(?!\*)"""
_STRETCH: Final = re.compile(rb"""(?:[^'"$;/\-]+%b%b%b){1,256}""" % (_PLAIN, _ESCAPED, _DOLLAR))
_STRETCH_OF_ESCAPES: Final = re.compile(rb"""(?:[^'"$;/\-]+%b){1,256}""" % _QUOTED)
# The same between parentheses, which count there.
_INSIDE: Final = re.compile(rb"""(?:[^'"$()/\-]+%b%b%b){1,256}""" % (_PLAIN, _ESCAPED, _DOLLAR))
_INSIDE_WITH_ESCAPES: Final = re.compile(rb"""(?:[^'"$()/\-]+%b){1,256}""" % _QUOTED)
_EMPTY: Final = re.compile(rb";[; \t\n\r\f\v]*")
_CREATE: Final = re.compile(rb"create(?![A-Za-z0-9_$\x80-\xff])", re.IGNORECASE)
_WORD_BYTES: Final = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$" + bytes(range(0x80, 0x100))
)
_PREFIX: Final = re.compile(rb"(?:\$?[0-9]+)?[eEbBxX]")
_NAME: Final = re.compile(rb"[A-Za-z_\x80-\xff]")
_WORD_REST: Final = re.compile(rb"[A-Za-z_\x80-\xff0-9$]*")
_DOUBTFUL: Final = re.compile(rb"[0-9]+[A-Za-z_\x80-\xff]")

_SEMICOLON: Final = ord(";")
_OPENING: Final = ord("(")
_CLOSING: Final = ord(")")


def split(text: bytes, conforming: bool = True) -> Split:
    """The statements of text, at most STATEMENTS_MAX."""
    spans: list[tuple[int, int]] = []
    lowered = text.lower()
    nested = b"rule" in lowered or b"atomic" in lowered
    at = 0
    while True:
        start = skip_space(text, at)
        if start >= len(text):
            return Split(tuple(spans), unsure=False)
        if empty := _EMPTY.match(text, start):
            at = empty.end()
            continue
        if len(spans) == STATEMENTS_MAX:
            return Split(tuple(spans), unsure=True)
        measure = end_of_create if nested and _CREATE.match(text, start) else end_of_statement
        stop, at, sure = measure(text, start, conforming)
        spans.append((start, stop))
        if not sure:
            return Split(tuple(spans), unsure=True)


def end_of_statement(text: bytes, start: int, conforming: bool) -> tuple[int, int, bool]:
    """Where the last token ends, where the semicolon is (or the text ends), and if that is sure.

    Long texts pass here, so this looks only at what may hide a semicolon.
    """
    stretch = _STRETCH if conforming else _STRETCH_OF_ESCAPES
    at = low = start
    content = commented = start  # the end of the last token before the last comment, and its end
    while at < len(text):
        if run := stretch.match(text, at):
            at = run.end()
            continue
        byte = text[at]
        if byte == _SEMICOLON:
            break
        if byte in b"-/":
            end = at if byte == 0x2D else comment_end(text, at)
            end = skip_space(text, end) if end >= 0 else end
            content, commented = _content_end(text, at, content, commented), end
        else:
            end = _quote_end(text, low, at, conforming)
        if end < 0:
            return (len(text), len(text), False)
        at = low = end
    return (_content_end(text, at, content, commented), at, True)


def end_of_parentheses(text: bytes, start: int, stop: int, conforming: bool) -> int:
    """Past the parenthesis that closes the one at start; -1 if there is none before stop.

    Also where that cannot be told, or takes more than INSIDE_MAX steps.
    """
    stretch = _INSIDE if conforming else _INSIDE_WITH_ESCAPES
    at = low = start
    depth = steps = 0
    while 0 <= at < stop and steps < INSIDE_MAX and depth <= NESTING_MAX:
        steps += 1
        if run := stretch.match(text, at, stop):
            at = run.end()
            continue
        byte = text[at]
        if byte == _OPENING:
            depth += 1
            at += 1
        elif byte == _CLOSING:
            depth -= 1
            at += 1
            if depth == 0:
                return at
        elif byte in b"-/":
            at = low = skip_space(text, at)
            if text.startswith(b"/*", at):
                # It is never closed.
                return -1
        else:
            at = low = _quote_end(text, low, at, conforming)
    return -1


def _content_end(text: bytes, at: int, content: int, commented: int) -> int:
    trailing = text[commented:at].rstrip(SPACE)
    return commented + len(trailing) if trailing else content


def _quote_end(text: bytes, low: int, at: int, conforming: bool) -> int:
    """Past what the quote or dollar at `at` begins; -1 if it cannot be told or is refused anyway.

    What the quote means depends on the word before it, which begins at low or later.
    """
    first = at
    while first > low and text[first - 1] in _WORD_BYTES:
        first -= 1
    word = text[first:at]
    if text[at] == 0x27:
        return string_end(text, at - 1 if _PREFIX.fullmatch(word) else at, conforming)
    if text[at] == 0x24 and _NAME.search(word):
        # The dollar is a part of a name, unless the name began with a digit: see DOUBTFUL.
        # Hazard: stepping over the dollar alone would look back at the name from every dollar.
        rest = _WORD_REST.match(text, at)
        return -1 if rest is None or _DOUBTFUL.match(word) else rest.end()
    token = token_at(text, at, conforming)
    return -1 if token[0] in (TokenKind.UNTERMINATED, TokenKind.JUNK) else token[2]


def end_of_create(text: bytes, start: int, conforming: bool) -> tuple[int, int, bool]:
    """The same for CREATE, which alone may hold semicolons that do not end it."""
    depth = bodies = 0
    stop = start
    before = b""
    for count, (kind, first, last) in enumerate(tokens(text, start, conforming=conforming)):
        if kind in (TokenKind.UNTERMINATED, TokenKind.DOUBTFUL) or depth > NESTING_MAX:
            return (len(text), len(text), False)
        if count == TOKENS_MAX:
            return (len(text), len(text), False)
        token = text[first:last].upper() if last - first < 8 else b"?"
        if token == b"(":
            depth += 1
        elif token == b")":
            depth -= 1
        elif token == b";" and depth <= 0 and not bodies:
            return (stop, first, True)
        elif token == b"ATOMIC" and before == b"BEGIN" and depth == 0:
            bodies += 1
        elif token == b"END" and bodies and before in (b";", b"ATOMIC"):
            # Every statement of a body ends in a semicolon, so an END after one (or after none)
            # is the body's, and the END of a CASE never is.
            bodies -= 1
        before = token
        stop = last
    return (stop, len(text), True)
