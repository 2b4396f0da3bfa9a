"""Names as the server knows them, from names as a text spells them, and back.

Sources: src/backend/parser/scansup.c (folding, truncation) and parser.c (U& escapes). The rules
are those of a server and client that both speak UTF-8; with a single-byte server encoding the
server also folds letters beyond ASCII, which cannot be known here.
"""

from __future__ import annotations

import re
from typing import Final

from protocol.sql.lexer import Token, TokenKind, tokens

IDENTIFIER_BYTES_MAX: Final = 63  # NAMEDATALEN - 1
_CHARACTER_BYTES_MAX: Final = 4

_UNICODE_ESCAPE: Final = rb"(?:([0-9A-Fa-f]{4})|\+([0-9A-Fa-f]{6})|(%b)|(.?))"
_NOT_AN_ESCAPE: Final = b"0123456789abcdefABCDEF+'\" \t\n\r\f\v"
_SAFE_UNQUOTED: Final = re.compile(rb"[a-z_][a-z0-9_]*\Z")


def fold_identifier(word: bytes) -> bytes:
    """An unquoted name in lower case. ASCII letters only, whatever the locale."""
    return word.lower()


def truncate_identifier(name: bytes) -> bytes:
    """The first 63 bytes, fewer where that would cut a UTF-8 character in two."""
    if len(name) <= IDENTIFIER_BYTES_MAX:
        return name
    for end in range(IDENTIFIER_BYTES_MAX, IDENTIFIER_BYTES_MAX - _CHARACTER_BYTES_MAX, -1):
        if name[end] & 0xC0 != 0x80:
            return name[:end]
    # No character is that long: this is not UTF-8, and the server will say so.
    return name[:IDENTIFIER_BYTES_MAX]


def quote_identifier(name: bytes) -> bytes:
    """The name in double quotes, which always means exactly this name."""
    return b'"' + name.replace(b'"', b'""') + b'"'


def identifier(text: bytes, token: Token) -> bytes | None:
    """The name that a token of text stands for; None if the server would refuse it.

    For a UNICODE_QUOTED token the span may take in the UESCAPE clause that follows.
    """
    kind, start, stop = token
    if kind is TokenKind.WORD:
        return truncate_identifier(fold_identifier(text[start:stop]))
    if kind is TokenKind.QUOTED:
        name: bytes | None = text[start + 1 : stop - 1].replace(b'""', b'"')
    elif kind is TokenKind.UNICODE_QUOTED:
        name = _unicode_name(text, start, stop)
    else:
        return None
    return truncate_identifier(name) if name else None


def _unicode_name(text: bytes, start: int, stop: int) -> bytes | None:
    parts = list(tokens(text, start, stop))
    quoted = text[start + 3 : parts[0][2] - 1].replace(b'""', b'"')
    escape = b"\\"
    if len(parts) == 3:
        escape = _single_character(text[parts[2][1] : parts[2][2]])
        if not escape or escape in _NOT_AN_ESCAPE:
            return None
    return _unescape(quoted, escape)


def _single_character(constant: bytes) -> bytes:
    """The one byte that a string constant means, or nothing."""
    if constant.startswith(b"$"):
        inside = constant.index(b"$", 1) + 1
        value = constant[inside:-inside]
    else:
        value = constant[constant.index(b"'") + 1 : -1].replace(b"\\\\", b"\\")
    return value if len(value) == 1 else b""


def _unescape(quoted: bytes, escape: bytes) -> bytes | None:
    """Decode \\XXXX and \\+XXXXXX; None for a bad escape, a lone surrogate, or U+0000."""
    mark = re.escape(escape)
    pieces: list[bytes] = []
    high = 0
    at = 0
    for found in re.finditer(mark + _UNICODE_ESCAPE % mark, quoted, re.DOTALL):
        between = quoted[at : found.start()]
        at = found.end()
        if found.group(4) is not None or (high and between):
            return None
        pieces.append(between)
        point = ord(escape) if found.group(3) else int(found.group(1) or found.group(2), 16)
        surrogate = point & 0xFFFFFC00
        if bool(high) != (surrogate == 0xDC00) or not 0 < point <= 0x10FFFF:
            return None
        if surrogate == 0xD800:
            high = point
            continue
        if high:
            point = 0x10000 + ((high - 0xD800) << 10) + (point - 0xDC00)
            high = 0
        pieces.append(chr(point).encode())
    return None if high else b"".join([*pieces, quoted[at:]])
