"""Invariant: any bytes have a classification, and it speaks of these bytes.

For every text: nothing is raised; asked twice, the answer is the same; statements lie in the
text in order, and names and bodies in their statements; and when every name is replaced by its
quoted form, the same commands are found with the same names.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hypothesis import strategies as st

from fuzz.harness import Target, fuzz
from protocol.sql import grammar
from protocol.sql.classify import classify
from protocol.sql.command import Classification, Command
from protocol.sql.identifiers import quote_identifier
from protocol.sql.prefilter import ordinary
from protocol.sql.rewrite import rewrite

CORPUS: Final = Path(__file__).parent / "corpus" / "sql"

_WORDS = [keyword.encode() for keyword in grammar.RULES] + [
    *(b"all", b"as", b"select", b"int", b"table", b"temp", b"transaction", b"prepared", b"to"),
    *(b"savepoint", b"local", b"session", b"time zone", b"cursor with hold for", b"begin atomic"),
    *(b"end", b"rule", b"function", b"uescape", b"from stdin", b"default", b"into", b"analyze"),
]
_SPELLED = [
    *(b"a", b"B", b'"c"', b'"d""e"', b'U&"f\\0061"', b"x$1", b"\xc3\xa9", b"'s'", b"'t''u'"),
    *(b"E'v\\'w'", b"U&'!' ", b"'!'", b"$$y;$$", b"$z$;$$;$z$", b"1", b"1_0$", b"$1", b"b'0'"),
]
_MARKS = [
    *(b"'", b'"', b"$", b"$$", b";", b"(", b")", b"/*", b"*/", b"--", b"\\", b"=", b"-", b"."),
    *(b",", b"*", b"E", b"U&", b"\n", b"\r", b" ", b"\t", b"\x0b", b"\0", b"\xff"),
]

fragments = st.sampled_from(_WORDS) | st.sampled_from(_SPELLED) | st.sampled_from(_MARKS)
texts: st.SearchStrategy[bytes] = (
    st.lists(fragments, max_size=25).map(b" ".join)
    | st.lists(fragments, max_size=25).map(b"".join)
    | st.binary(max_size=60)
)
"""Texts that nearly make sense, texts that hardly do, and noise."""


def check(text: bytes, conforming: bool) -> None:
    """Raise AssertionError if the invariant does not hold for this text."""
    found = classify(text, conforming)
    assert classify(text, conforming) == found
    ordinary(text)
    at = 0
    for command in found.commands:
        assert at <= command.start < command.stop <= len(text)
        at = command.stop
        _check_spans(text, command)
    _check_names(text, found, conforming)


def _check_spans(text: bytes, command: Command) -> None:
    for start, stop in (
        (command.name_start, command.name_stop),
        (command.types_start, command.types_stop),
        (command.body_start, command.body_stop),
    ):
        assert start == stop == 0 or command.start < start < stop <= command.stop
    assert (command.name is None) == (command.name_stop == 0)


def _check_names(text: bytes, found: Classification, conforming: bool) -> None:
    named = [command for command in found.commands if command.name is not None]
    if any(text[command.name_stop : command.name_stop + 1] == b'"' for command in named):
        # Two names side by side, which no statement has, would become one.
        return
    changes = [(c.name_start, c.name_stop, quote_identifier(c.name or b"")) for c in named]
    again = classify(rewrite(text, changes), conforming)
    assert [(c.kind, c.name) for c in again.commands] == [(c.kind, c.name) for c in found.commands]
    assert again.unsure == found.unsure


def _check_pair(drawn: tuple[bytes, bool]) -> None:
    check(*drawn)


def read(data: bytes) -> tuple[bytes, bool]:
    """The first byte says whether backslashes are ordinary, the rest is the text."""
    return data[1:], bool(data[:1] and data[0] & 1)


def seeds() -> Iterator[bytes]:
    """The statements of the corpus."""
    for path in sorted(CORPUS.glob("*.sql")):
        for line in path.read_bytes().splitlines():
            yield b"\1" + line


TARGET: Final = Target(st.tuples(texts, st.booleans()), _check_pair, read, seeds)

if __name__ == "__main__":
    fuzz(TARGET)
