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
from protocol.sql.stretches import (
    INSIDE,
    INSIDE_WITH_ESCAPES,
    PLAIN,
    PLAIN_WITH_CREATES,
    PLAINEST,
    STRETCH,
    STRETCH_OF_ESCAPES,
)

STATEMENTS_MAX: Final = 10_000
"""Limit: a text with more statements is not split any further, and reported as unsure."""

STATEMENTS_WITH_NAMES_MAX: Final = 100_000
"""The same for a text that speaks of prepared statements, for which no other limit holds."""

ALONE_MAX: Final = 500
"""Limit: beyond so many statements, plain ones in a row are found as one span."""

SPANS_MAX: Final = 1_200
"""Limit: of spans; a text with more of them is not split any further, and reported as unsure."""

STEPS_MAX: Final = 500
"""Limit: of looks at what hides semicolons (quotes, comments). One look passes many of the plain
kinds. A text that needs more is not split any further, and reported as unsure."""

COMMENTS_MAX: Final = 30_000
"""Limit: a text with more of what looks like the beginning of a comment is unsure at once."""

TOKENS_MAX: Final = 4_000
"""Limit: of tokens in all the CREATEs of a text that may hold semicolons, likewise."""

NESTING_MAX: Final = 10_000
"""Limit: the server itself refuses deeper parentheses (its stacks are exhausted earlier)."""

INSIDE_MAX: Final = 10_000
"""Limit: steps to the end of parentheses; each passes a quote, a comment or a parenthesis."""

Span = tuple[int, int, int]
"""Where the first token begins, where the last one ends, and how many statements that is."""


@attrs.frozen
class Split:
    """Spans of the statements: from the first token to the last, without the semicolon."""

    spans: tuple[Span, ...]
    unsure: bool


# A trigger executes a function.
_EXECUTES: Final = re.compile(rb"execute(?!\s+(?:function|procedure)\b)")
_EMPTY: Final = re.compile(rb";[; \t\n\r\f\v]*")
_HOLDS_SEMICOLONS: Final = re.compile(
    rb"create(?![A-Za-z0-9_$\x80-\xff])(?![ \t\n\r\f\v]+"
    rb"(?:database|domain|index|schema|sequence|server|table|temp|temporary|trigger|type|unique|view)\b)",
    re.IGNORECASE,
)
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


class _Reading:
    """One run over a text, and what it has cost."""

    __slots__ = ("text", "conforming", "steps", "tokens", "_names", "_nests", "_plain")

    def __init__(self, text: bytes, conforming: bool) -> None:
        self.text = text
        self.conforming = conforming
        self.steps = 0
        self.tokens = 0
        # 0 for no, 1 for yes, -1 until somebody asks.
        self._names = -1
        self._nests = -1
        self._plain: re.Pattern[bytes] | None = None

    def limited(self) -> bool:
        """Whether the limits hold."""
        if self._names < 0:
            self._names = names_statements(self.text)
        return self._names == 0

    def nests(self) -> bool:
        """Whether a semicolon may be a part of a CREATE."""
        if self._nests < 0:
            lowered = self.text.lower()
            self._nests = b"rule" in lowered or b"atomic" in lowered
        return self._nests == 1

    def plain(self) -> re.Pattern[bytes]:
        """What is found together in this text."""
        if self._plain is None:
            self._plain = PLAIN_WITH_CREATES if self.limited() else PLAIN
            if self.nests() or b"temp" in self.text.lower():
                self._plain = PLAINEST
        return self._plain


def split(text: bytes, conforming: bool = True) -> Split:
    """The statements of text."""
    reading = _Reading(text, conforming)
    if text.count(b"--") + text.count(b"/*") > COMMENTS_MAX and reading.limited():
        return Split((), unsure=True)
    lowered = b""
    spans: list[Span] = []
    count = at = 0
    while True:
        if conforming and len(spans) >= ALONE_MAX:
            lowered = lowered or text.lower()
            start, at, gathered = _gather(lowered, at, reading.plain(), STATEMENTS_MAX - count)
            if gathered:
                spans.append((start, at - 1, gathered))
                count += gathered
        start = skip_space(text, at)
        if start >= len(text):
            return Split(tuple(spans), unsure=False)
        if empty := _EMPTY.match(text, start):
            at = empty.end()
            continue
        many = count >= STATEMENTS_MAX or len(spans) >= SPANS_MAX
        if many and (count >= STATEMENTS_WITH_NAMES_MAX or reading.limited()):
            return Split(tuple(spans), unsure=True)
        if text[start] in b"cC" and _HOLDS_SEMICOLONS.match(text, start) and reading.nests():
            stop, at, sure = _end_of_create(reading, start)
        else:
            stop, at, sure = _end_of_statement(reading, start)
        spans.append((start, stop, 1))
        count += 1
        if not sure:
            return Split(tuple(spans), unsure=True)


def names_statements(text: bytes) -> bool:
    """Whether a text may prepare, execute or drop statements by name.

    Then the limits do not hold: such names are the client's own, and must be exchanged.
    """
    lowered = text.lower()
    if b"prepare" in lowered or b"deallocate" in lowered or b"discard" in lowered:
        return True
    return b"execute" in lowered and _EXECUTES.search(lowered) is not None


def _gather(lowered: bytes, at: int, plain: re.Pattern[bytes], most: int) -> Span:
    """Plain statements in a row: where they begin, past their last semicolon, how many."""
    start = at
    count = 0
    while count < most and (found := plain.match(lowered, at)):
        if not count:
            start = found.start(1)
        at = found.end()
        count += 1
    return (start, at, count)


def _end_of_statement(reading: _Reading, start: int) -> tuple[int, int, bool]:
    """Where the last token ends, where the semicolon is (or the text ends), and if that is sure.

    Long texts pass here, so this looks only at what may hide a semicolon.
    """
    text = reading.text
    stretch = STRETCH if reading.conforming else STRETCH_OF_ESCAPES
    at = low = start
    content = commented = start  # the end of the last token before the last comment, and its end
    while True:
        run = stretch.match(text, at)
        at = run.end() if run else at
        if at >= len(text):
            break
        byte = text[at]
        if byte == _SEMICOLON:
            break
        reading.steps += 1
        if byte in b"-/" and not _begins_comment(text, at):
            # The stretch was at its bound there.
            end = at + 1
        elif byte in b"-/":
            end = at if byte == 0x2D else comment_end(text, at)
            end = skip_space(text, end) if end >= 0 else end
            content, commented = _content_end(text, at, content, commented), end
        else:
            end = _quote_end(text, low, at, reading.conforming)
        if end < 0 or reading.steps > STEPS_MAX and reading.limited():
            return (len(text), len(text), False)
        at = low = end
    return (_content_end(text, at, content, commented), at, True)


def end_of_parentheses(text: bytes, start: int, stop: int, conforming: bool) -> int:
    """Past the parenthesis that closes the one at start; -1 if there is none before stop.

    Also where that cannot be told, or takes more than INSIDE_MAX steps.
    """
    stretch = INSIDE if conforming else INSIDE_WITH_ESCAPES
    at = low = start
    depth = steps = 0
    while 0 <= at < stop and steps < INSIDE_MAX and depth <= NESTING_MAX:
        steps += 1
        run = stretch.match(text, at, stop)
        at = run.end() if run else at
        if at >= stop:
            break
        byte = text[at]
        if byte == _OPENING:
            depth += 1
            at += 1
        elif byte == _CLOSING:
            depth -= 1
            at += 1
            if depth == 0:
                return at
        elif byte in b"-/" and not _begins_comment(text, at):
            at += 1
        elif byte in b"-/":
            at = low = skip_space(text, at)
            if text.startswith(b"/*", at):
                # It is never closed.
                return -1
        else:
            at = low = _quote_end(text, low, at, conforming)
    return -1


def _begins_comment(text: bytes, at: int) -> bool:
    return text.startswith((b"--", b"/*"), at)


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


def _end_of_create(reading: _Reading, start: int) -> tuple[int, int, bool]:
    """The same for CREATE, which alone may hold semicolons that do not end it."""
    text = reading.text
    depth = bodies = 0
    stop = start
    before = b""
    for kind, first, last in tokens(text, start, conforming=reading.conforming):
        if kind in (TokenKind.UNTERMINATED, TokenKind.DOUBTFUL) or depth > NESTING_MAX:
            return (len(text), len(text), False)
        reading.tokens += 1
        if reading.tokens > TOKENS_MAX and reading.limited():
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
