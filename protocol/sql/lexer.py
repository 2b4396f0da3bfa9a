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


Token = tuple[TokenKind, int, int]
"""Kind, first byte, byte after the last."""

SPACE: Final = b" \t\n\r\f\v"
# Why \v: it is space from PostgreSQL 16 on, and a syntax error before.

# Why comments with it, but for nested ones: there may be one on each line. Why a bounded repeat:
# the engine keeps a record of every round.
_SPACES: Final = re.compile(rb"(?:[ \t\n\r\f\v]++|--[^\n\r]*+|/\*[^*/]*+\*/){1,256}+")
_LINE_END: Final = re.compile(rb"[\n\r]")
_COMMENT_MARK: Final = re.compile(rb"/\*|\*/")
_ESCAPE_MARK: Final = re.compile(rb"['\\]")
# A string goes on after a line break; comments of the -- kind may stand in between.
# Hazard: without the possessive ++ a long run of space would be split in every possible way.
_CONTINUATION: Final = re.compile(
    rb"(?:[ \t\f\v]++|--[^\n\r]*+)*[\n\r](?:[ \t\n\r\f\v]++|--[^\n\r]*+[\n\r])*'"
)
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
        end = _doubled_quote_end(text, inside, b'"')
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
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, start):
        depth += 1 if mark.group() == b"/*" else -1
        if depth == 0:
            return mark.end()
    return -1


def string_end(text: bytes, start: int, conforming: bool) -> int:
    """Past the string whose prefix or quote is at start, with its continuations, or -1."""
    prefix = text[start : start + 1]
    inside = text.index(b"'", start) + 1
    while True:
        if prefix in b"eE" or (prefix == b"'" and not conforming):
            end = _escaped_string_end(text, inside)
        elif prefix in b"bBxX":
            # Why: in these a doubled quote is no escape; the second one begins another string.
            end = text.find(b"'", inside) + 1 or -1
        else:
            end = _doubled_quote_end(text, inside, b"'")
        continued = _CONTINUATION.match(text, end) if end >= 0 else None
        if continued is None:
            return end
        inside = continued.end()


def dollar_end(text: bytes, start: int, inside: int) -> int:
    """Past the dollar quote whose opening tag is text[start:inside], or -1."""
    found = text.find(text[start:inside], inside)
    return -1 if found < 0 else found + inside - start


def _doubled_quote_end(text: bytes, inside: int, quote: bytes) -> int:
    while (found := text.find(quote, inside)) >= 0:
        if text[found + 1 : found + 2] != quote:
            return found + 1
        inside = found + 2
    return -1


def _escaped_string_end(text: bytes, inside: int) -> int:
    while found := _ESCAPE_MARK.search(text, inside):
        if found.group() == b"\\" or text[found.end() : found.end() + 1] == b"'":
            inside = found.end() + 1
        else:
            return found.end()
    return -1
