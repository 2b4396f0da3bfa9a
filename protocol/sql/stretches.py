"""What a splitter may pass at once: stretches of a text in which nothing ends a statement.

Patterns only. Each takes a bounded number of rounds, so that whoever counts its looks knows what a
text costs. What is not certain at once they leave: the lexer takes a closer look.
"""

from __future__ import annotations

import re
from typing import Final

# What hides semicolons, kind by kind; what is not certain at once is left for a closer look. `gap`
# is what else there is. After e or E a string may have escapes, and so may what continues it on
# another line; a comment that ends a statement is no part of it.
_WORD: Final = rb"A-Za-z0-9_$\x80-\xff"
_ENDS: Final = rb"(?!'|[ \t\f\v]*+(?:-|[\n\r][ \t\n\r\f\v]*+['\-]))"
_ESCAPED: Final = rb"'[^'\\]*+(?:\\[\x00-\xff][^'\\]*+){0,256}'%b" % _ENDS
_STRING: Final = rb"(?<![eE])'[^']*+'|(?<=[A-Za-z_\x80-\xff][eE])'[^']*+'"
_ESCAPE_STRING: Final = rb"(?<=[^%b][eE])%b" % (_WORD, _ESCAPED)
_QUOTED: Final = rb"""\"[^"]*+\"|-(?!-)|/(?!\*)"""
_COMMENTS: Final = (
    rb"(?:(?:--[^\n\r]*+[\n\r]|/\*[^*/]*+\*/)[ \t\n\r\f\v]*+){1,32}(?=[^;/\-\s\x0b'\"$])"
)
_DOLLAR: Final = (
    rb"(?<![%b])\$(?:[0-9]++|((?:[A-Za-z_\x80-\xff][A-Za-z_\x80-\xff0-9]*+)?)\$[^$]*+\$\1\$(?![%b]))"
) % (_WORD, _WORD)


def _stretch(gap: bytes, *kinds: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"%b*+(?:(?:%b)%b*+){0,64}" % (gap, b"|".join(kinds), gap))


_CONFORMING: Final = (_STRING, _QUOTED, _COMMENTS, _ESCAPE_STRING, _DOLLAR)
_ESCAPING: Final = (rb"(?<![bBxX])" + _ESCAPED, _QUOTED, _COMMENTS, _DOLLAR)
_GAP: Final = rb"""[^'"$;/\-]"""
STRETCH: Final = _stretch(_GAP, *_CONFORMING)
STRETCH_OF_ESCAPES: Final = _stretch(_GAP, *_ESCAPING)
# The same between parentheses, which count there.
_INSIDE_GAP: Final = rb"""[^'"$()/\-]"""
INSIDE: Final = _stretch(_INSIDE_GAP, *_CONFORMING)
INSIDE_WITH_ESCAPES: Final = _stretch(_INSIDE_GAP, *_ESCAPING)

# A whole statement of those that say nothing about the session, with its semicolon, in lower case.
_PLAIN_WORDS: Final = rb"alter|analyze|comment|delete|drop|grant|insert|revoke|truncate|update"
_SELECTS: Final = rb"|select|table|values|with"
_CREATES: Final = (
    rb"|create(?=[ \t\n\r\f\v]+(?:unique[ \t\n\r\f\v]+)?"
    rb"(?:domain|index|schema|sequence|table|type|view)[ \t\n\r\f\v])"
)


def _plain(words: bytes) -> re.Pattern[bytes]:
    kinds = b"|".join((_STRING, rb"\"[^\"]*+\"|-(?!-)|/(?!\*)|(?<![%b])\$[0-9]++" % _WORD))
    return re.compile(
        rb"[ \t\n\r\f\v]*+(%b)(?=[ \t\n\r\f\v])%b*+(?:(?:%b)%b*+){0,256};"
        % (words, _GAP, kinds, _GAP)
    )


PLAINEST: Final = _plain(_PLAIN_WORDS)
PLAIN: Final = _plain(_PLAIN_WORDS + _SELECTS)
PLAIN_WITH_CREATES: Final = _plain(_PLAIN_WORDS + _SELECTS + _CREATES)
