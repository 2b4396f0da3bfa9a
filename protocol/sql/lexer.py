"""The tokens of PostgreSQL's lexer (src/backend/parser/scan.l), as offsets into the text.

The invariant: for a text that the server accepts, a quote, comment or dollar quote begins and
ends here exactly where it does in the server. What can only lead to a syntax error in every
supported server is tokenized in whichever way is simplest.

Nothing here knows a statement. Every function is iterative and linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from typing import Final


class TokenKind(IntEnum):
    """What a token is; space and comments are not tokens."""

    WORD = 1
    QUOTED = 2  # "name"
    UNICODE_QUOTED = 3  # U&"name", without the UESCAPE that may follow
    STRING = 4  # every constant in quotes: '', E'', U&'', B'', X'', $$
    NUMBER = 5
    PARAMETER = 6  # $1
    OPERATOR = 7  # operators and the punctuation , ( ) [ ] . ; :
    JUNK = 8  # a byte that no server accepts outside of quotes
    DOUBTFUL = 9  # servers of different versions read it differently
    UNTERMINATED = 10  # a quote or comment that is never closed; always the last token


_SLASH: Final = ord("/")
_TWO: Final = b".."
_WINDOW_BYTES: Final = 256
_WINDOW_GROWTH: Final = 16

Token = tuple[TokenKind, int, int]
"""Kind, first byte, byte after the last."""

SPACE: Final = b" \t\n\r\f\v"
# Why \v: it is space from PostgreSQL 16 on, and a syntax error before.

# Hazard: a group that is repeated is never possessive here. Before Python 3.11.5 such a repeat goes
# on from the middle of a round that failed (cpython issue 106052).
# Why bounded repeats: the engine keeps a record of every round.
_PLAIN_COMMENT: Final = rb"/\*(?:[^*/]++|\*(?!/)|/(?!\*)){0,256}\*/"
_NESTED_COMMENT: Final = rb"/\*(?:[^*/]++|\*(?!/)|/(?!\*)|%b){0,256}\*/" % _PLAIN_COMMENT
# Why comments with it, but for deeply nested ones: there may be one on each line.
_SPACES: Final = re.compile(rb"(?:[ \t\n\r\f\v]++|--[^\n\r]*+|%b){1,256}" % _NESTED_COMMENT)
# Within a comment: what does not change how deep it is.
_COMMENT_REST: Final = re.compile(rb"(?:[^*/]++|\*(?!/)|/(?!\*)|%b){1,256}" % _PLAIN_COMMENT)
_LINE_END: Final = re.compile(rb"[\n\r]")
COMMENTS_MAX: Final = 20_000
"""Limit: steps to the end of a comment that holds comments which hold more of them; beyond, it is
taken for one that is never closed."""
# A string goes on after a line break; comments of the -- kind may stand in between.
# Hazard: without the possessive ++ a long run of space would be split in every possible way.
_CONTINUATION: Final = re.compile(
    rb"(?:[ \t\f\v]++|--[^\n\r]*+)*[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*'"
)
# Pieces without anything that needs a second look, one a line.
_PIECES: Final = re.compile(rb"(?:[ \t\f\v]*+[\n\r][ \t\n\r\f\v]*+'[^'\\]*+'(?!')){1,256}")
_OPENING: Final = re.compile(
    rb"""
      (?P<string>(?:[eEbBxX]|[uU]&)?')
    | (?P<quoted>(?:[uU]&)?")
    | (?P<word>[A-Za-z_\x80-\xff][A-Za-z_\x80-\xff0-9$]*)
    # Why doubtful: up to 14 the letters begin a name that takes in the $; 16 ends the number there.
    | (?P<doubtful>[0-9]+(?:\.[0-9]+)?[A-Za-z_\x80-\xff][A-Za-z_\x80-\xff0-9]*\$)
    | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<dollar>\$(?:[A-Za-z_\x80-\xff][A-Za-z_\x80-\xff0-9]*)?\$)
    | (?P<parameter>\$[0-9]+)
    # Why: `=-` is two tokens to the server (scan.l on trailing signs); elsewhere it is no matter.
    | (?P<operator>=(?=[+\-])|(?:(?!--|/\*)[~!@#^&|`?+\-*/%<>=])+|[,()\[\].;:])
    """,
    re.VERBOSE,
)
_KIND: Final = {
    "operator": TokenKind.OPERATOR,
    "word": TokenKind.WORD,
    "doubtful": TokenKind.DOUBTFUL,
    "number": TokenKind.NUMBER,
    "parameter": TokenKind.PARAMETER,
}


def tokens(
    text: bytes, start: int = 0, stop: int | None = None, conforming: bool = True
) -> Iterator[Token]:
    """The tokens of text from start to stop, which must not lie inside a token.

    `conforming` is the server's standard_conforming_strings: without it a backslash is an
    escape in every string. An UNTERMINATED token ends the iteration.
    """
    limit = len(text) if stop is None else stop
    while True:
        start = skip_space(text, start)
        if start >= limit:
            return
        token = token_at(text, start, conforming)
        yield token
        start = token[2]
        if token[0] is TokenKind.UNTERMINATED:
            return


def token_at(text: bytes, start: int, conforming: bool) -> Token:
    """The token that begins at start, where there is neither space nor a complete comment."""
    found = _OPENING.match(text, start)
    if found is None:
        if text.startswith(b"/*", start):
            return (TokenKind.UNTERMINATED, start, len(text))
        return (TokenKind.JUNK, start, start + 1)
    group = found.lastgroup
    inside = found.end()
    if group == "string":
        kind, end = TokenKind.STRING, string_end(text, start, conforming)
    elif group == "quoted":
        kind = TokenKind.QUOTED if inside - start == 1 else TokenKind.UNICODE_QUOTED
        end = quote_end(text, inside, b'"')
    elif group == "dollar":
        kind, end = TokenKind.STRING, dollar_end(text, start, inside)
    else:
        return (_KIND[group or ""], start, inside)
    return (TokenKind.UNTERMINATED, start, len(text)) if end < 0 else (kind, start, end)


def skip_space(text: bytes, start: int) -> int:
    """Where the next token begins: past space and complete comments."""
    while True:
        if spaces := _SPACES.match(text, start):
            start = spaces.end()
        elif text.startswith(b"/*", start) and (end := comment_end(text, start)) >= 0:
            start = end
        else:
            return start


def line_end(text: bytes, start: int) -> int:
    """Where the line ends in which start lies; a carriage return ends a line, too."""
    found = _LINE_END.search(text, start)
    return found.start() if found else len(text)


def comment_end(text: bytes, start: int) -> int:
    """Past the comment that opens at start, nested ones included; -1 if it never ends."""
    at = start + 2
    depth = 1
    for _ in range(COMMENTS_MAX):
        while rest := _COMMENT_REST.match(text, at):
            at = rest.end()
        if at >= len(text):
            break
        depth += 1 if text[at] == _SLASH else -1
        at += 2
        if depth == 0:
            return at
    return -1


def string_end(text: bytes, start: int, conforming: bool) -> int:
    """Past the string whose prefix or quote is at start, with its continuations, or -1."""
    prefix = text[start : start + 1]
    inside = text.index(b"'", start) + 1
    while True:
        if prefix in b"eE" or (prefix == b"'" and not conforming):
            end = quote_end(text, inside, b"'", escapes=True)
        elif prefix in b"bBxX":
            # Why: in these a doubled quote is no escape; the second one begins another string.
            end = text.find(b"'", inside) + 1 or -1
        else:
            end = quote_end(text, inside, b"'")
        if end < 0:
            return -1
        while pieces := _PIECES.match(text, end):
            end = pieces.end()
        continued = _CONTINUATION.match(text, end)
        if continued is None:
            return end
        inside = continued.end()


def dollar_end(text: bytes, start: int, inside: int) -> int:
    """Past the dollar quote whose opening tag is text[start:inside], or -1."""
    found = text.find(text[start:inside], inside)
    return -1 if found < 0 else found + inside - start


def quote_end(text: bytes, inside: int, quote: bytes, escapes: bool = False) -> int:
    """Past the quote that ends what goes on at inside; -1 if there is none.

    What is doubled ends nothing, nor does what a backslash precedes where there are `escapes`.
    """
    size = _WINDOW_BYTES
    while True:
        # Why copies: there may be half a million escapes, and this takes no step for each.
        window = text[inside : inside + size]
        if escapes and b"\\" in window:
            window = window.replace(b"\\\\", _TWO).replace(b"\\" + quote, _TWO)
        found = window.replace(quote + quote, _TWO).find(quote)
        rest = inside + size < len(text)
        # The last byte may be the first of two.
        if found >= 0 and (found < len(window) - 1 or not rest):
            return inside + found + 1
        if not rest:
            return -1
        size *= _WINDOW_GROWTH
