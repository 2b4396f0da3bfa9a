"""What holds for every text whatsoever, and for hostile ones of any length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.sql import check, texts
from protocol.sql.classify import classify
from protocol.sql.lexer import tokens
from protocol.sql.split import split


@given(texts, st.booleans())
def test_classification_keeps_its_promises_for_any_text(text: bytes, conforming: bool) -> None:
    check(text, conforming)


def test_a_name_that_is_not_utf8_is_cut_like_any_other() -> None:
    check(b"execute p" + b"\xb1" * 78 + b" \x95($1)", True)


@given(texts, st.booleans())
def test_the_quick_split_agrees_with_the_tokens(text: bytes, conforming: bool) -> None:
    """Two ways to the same statements: what may hide a semicolon, and every single token."""
    found = split(text, conforming)
    if found.unsure or b"create" in text.lower() or 0 in text:
        return

    slow: list[list[int]] = [[]]
    for _, start, stop in tokens(text, conforming=conforming):
        if text[start:stop] == b";":
            slow.append([])
        else:
            slow[-1] += (start, stop)

    assert list(found.spans) == [(ends[0], ends[-1], 1) for ends in slow if ends]


@pytest.mark.parametrize(
    "unit",
    [
        *(b"(", b")", b"/*", b"*/", b"$a$", b"$a ", b"a$", b"1$", b"$1", b"'", b"'\n", b"e''"),
        *(b'"', b'U&"', b";", b"a;", b"--", b"--\n", b"+-", b"1.", b"1e", b"\\", b"\n", b"a'"),
        *(b"'\n--\n", b"into temp,", b"begin atomic ", b"execute a;", b"\xff", b"a.", b"_1"),
    ],
)
@pytest.mark.parametrize("head", [b"", b"create rule ", b"execute a", b"prepare a as ", b"select "])
def test_a_long_repetition_is_classified_without_repeating_the_work(
    head: bytes, unit: bytes
) -> None:
    # Why this length: anything quadratic takes minutes, and the run is noticed to hang.
    found = classify(head + unit * (60_000 // len(unit)))

    assert all(command.start < command.stop for command in found.commands)
