"""Statements in their plainest spelling: one look finds what the grammar finds."""

from __future__ import annotations

import attrs
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.sql.classify import classify
from protocol.sql.command import Command
from protocol.sql.grammar import RULES

_COMMENT = b"/**/"
_WORDS = [
    *(b"a", b"B1", b'"c"', b"all", b"to", b"=", b"1", b"'x'", b"default", b"local", b"session"),
    *(b"time zone", b"transaction", b"authorization", b"work", b"savepoint", b"prepare", b"as"),
    *(b"select 1", b"(int, text)", b"(select 1)", b"cursor", b"with hold", b"for", b"no scroll"),
    *(b"table", b"temp", b"or replace", b"view", b"function", b"execute", b"role", b"a.b", b"$1"),
    *(b"pg_temp.x", b"unique", b"index", b'U&"d"', b"prepared", b"and chain", b"characteristics"),
]
_words = st.lists(st.sampled_from(_WORDS), max_size=6).map(b" ".join)
_keywords = st.sampled_from([word.encode() for word in RULES])


def _facts(command: Command, text: bytes, shift: int) -> object:
    """What is said of a command, its places as the bytes that stand there."""
    spans = {f"{name}_{end}": 0 for name in ("name", "types", "body") for end in ("start", "stop")}
    written = [
        text[command.name_start : command.name_stop],
        text[command.types_start : command.types_stop],
        text[command.body_start : command.body_stop],
    ]
    return attrs.evolve(command, stop=command.stop - shift, **spans), written


@given(_keywords, _words)
@example(b"SET", b"local to to 1")
@example(b"SET", b"session session authorization to 1")
@example(b"SET", b"session characteristics = unique")
@example(b"RESET", b"time zone")
@example(b"DEALLOCATE", b"prepare prepare")
@example(b"CREATE", b"table a as execute b")
@example(b"PREPARE", b"transaction 'x'")
@example(b"RELEASE", b"savepoint savepoint")
@example(b"RELEASE", b'savepoint "c"')
@example(b"ROLLBACK", b"to savepoint/**/a")
def test_a_comment_makes_no_difference(keyword: bytes, rest: bytes) -> None:
    text, commented = keyword + b" " + rest, keyword + _COMMENT + b" " + rest
    glance, grammar = classify(text), classify(commented)
    if not rest or grammar.unsure:
        return

    (seen,), (expected,) = glance.commands, grammar.commands

    assert not glance.unsure
    assert _facts(seen, text, 0) == _facts(expected, commented, len(_COMMENT))
