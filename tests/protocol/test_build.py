"""Pieces of messages are well formed or are not made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import build
from protocol.cursor import Cursor
from protocol.errors import ProtocolViolation


@given(st.binary(max_size=30), st.lists(st.none() | st.binary(max_size=9), max_size=9))
def test_what_is_built_is_what_a_cursor_reads(text: bytes, items: list[bytes | None]) -> None:
    text = text.replace(b"\0", b"")
    cursor = Cursor(build.cstring(text) + build.values(items))

    assert cursor.cstring() == text
    assert [cursor.value() for _ in range(cursor.count16(4))] == items
    cursor.expect_end()


def test_a_string_with_a_nul_inside_is_not_made() -> None:
    for text in (b"\0", b"a\0", b"a\0b"):
        with pytest.raises(ProtocolViolation, match="NUL"):
            build.cstring(text)


def test_a_count_that_does_not_fit_is_not_made() -> None:
    assert build.count16(65_535) == b"\xff\xff"
    with pytest.raises(ProtocolViolation, match="65536 items"):
        build.count16(65_536)


def test_the_length_of_a_message_counts_itself_but_not_the_tag() -> None:
    assert build.message(ord("Q"), b"abc") == b"Q\0\0\0\7abc"
