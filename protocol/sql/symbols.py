"""One statement made ready for the grammar.

A statement becomes a line of symbols with one space between: words in upper case, `"` for a
quoted name, `'` for a string, `()` for parentheses with all they hold. Each symbol knows its
span in the original text. So the grammar is free of quoting, comments and nesting, and cannot
backtrack over anything long.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from protocol.sql.lexer import Token, TokenKind, tokens
from protocol.sql.split import end_of_parentheses

SYMBOLS_MAX: Final = 64
"""Limit: what the grammar needs of a statement ends far earlier (CREATE TABLE ... AS EXECUTE)."""

_PLAIN: Final = {
    TokenKind.QUOTED: '"',
    TokenKind.UNICODE_QUOTED: '"',
    TokenKind.STRING: "'",
    TokenKind.NUMBER: "0",
    TokenKind.PARAMETER: "$",
}
_OPENING: Final = ord("(")
_PUNCTUATION: Final = frozenset([b"=", b",", b".", b"*", b"+", b"-"])


class Symbols:
    """The first symbols of a statement as a `line`, and the way back to the text."""

    __slots__ = ("_tokens", "line")

    def __init__(self, text: bytes, start: int, stop: int, conforming: bool) -> None:
        self._tokens: dict[int, Token] = {}
        words: list[str] = []
        column = 0
        source = _collapsed(text, start, stop, conforming)
        for token in _with_escape_clause(text, source):
            word = _symbol(text, token)
            self._tokens[column] = token
            words.append(word)
            column += len(word) + 1
            if len(words) == SYMBOLS_MAX:
                break
        self.line = " ".join(words)

    def token(self, column: int) -> Token:
        """The token (or parentheses, or UESCAPE clause included) whose symbol is at column."""
        return self._tokens[column]


def _symbol(text: bytes, token: Token) -> str:
    kind, start, stop = token
    if kind is TokenKind.WORD:
        return text[start:stop].upper().decode("latin-1")
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind is TokenKind.OPERATOR and text[start] == _OPENING:
        return "()"
    return text[start:stop].decode("latin-1") if text[start:stop] in _PUNCTUATION else "~"


def _with_escape_clause(text: bytes, source: Iterator[Token]) -> Iterator[Token]:
    """Join U&"name" UESCAPE 'c' to one token, as the server's parser does."""
    held: list[Token] = []
    for token in source:
        kind, start, stop = token
        if len(held) == 1 and text[start:stop].upper() == b"UESCAPE":
            held.append(token)
            continue
        if len(held) == 2 and kind is TokenKind.STRING:
            yield (TokenKind.UNICODE_QUOTED, held[0][1], stop)
            held = []
            continue
        yield from held
        held = []
        if kind is TokenKind.UNICODE_QUOTED:
            held = [token]
        else:
            yield token
    yield from held


def _collapsed(text: bytes, start: int, stop: int, conforming: bool) -> Iterator[Token]:
    """Join parentheses and all between them to one token; ends where that cannot be done."""
    at = start
    while at >= 0:
        again = -1
        for token in tokens(text, at, stop, conforming):
            if token[0] is TokenKind.OPERATOR and text[token[1]] == _OPENING:
                again = end_of_parentheses(text, token[1], stop, conforming)
                if again >= 0:
                    yield (TokenKind.OPERATOR, token[1], again)
                break
            yield token
        at = again
