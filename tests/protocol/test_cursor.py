"""Reading a body never goes beyond it and never believes its counts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.cursor import Cursor
from protocol.errors import ProtocolViolation

READS: list[Callable[[Cursor], object]] = [
    Cursor.byte,
    Cursor.int16,
    Cursor.uint16,
    Cursor.int32,
    Cursor.uint32,
    Cursor.cstring,
    Cursor.value,
    Cursor.rest,
    Cursor.expect_end,
    lambda cursor: cursor.take(3),
    lambda cursor: cursor.count16(4),
]


def test_numbers_are_read_in_network_order_with_their_sign() -> None:
    cursor = Cursor(b"\xff\xfe\xff\xfe\xff\xff\xff\xfe\xff\xff\xff\xfe\x07")

    assert cursor.int16() == -2
    assert cursor.uint16() == 0xFFFE
    assert cursor.int32() == -2
    assert cursor.uint32() == 0xFFFFFFFE
    assert cursor.byte() == 7
    cursor.expect_end()


def test_a_string_ends_at_its_first_nul() -> None:
    cursor = Cursor(b"one\0\0two")

    assert cursor.cstring() == b"one"
    assert cursor.cstring() == b""
    with pytest.raises(ProtocolViolation, match="invalid string in message"):
        cursor.cstring()


def test_a_null_value_differs_from_an_empty_one() -> None:
    cursor = Cursor(b"\xff\xff\xff\xff\0\0\0\0\0\0\0\1x")

    assert [cursor.value(), cursor.value(), cursor.value()] == [None, b"", b"x"]


@pytest.mark.parametrize("length", [2, 2**31 - 1, -2, -(2**31)])
def test_a_value_with_a_lying_length_is_refused(length: int) -> None:
    cursor = Cursor(length.to_bytes(4, "big", signed=True) + b"x")

    with pytest.raises(ProtocolViolation, match="insufficient data left in message"):
        cursor.value()


def test_a_count_is_refused_unless_the_body_can_hold_that_many() -> None:
    assert Cursor(b"\0\2" + bytes(8)).count16(4) == 2
    with pytest.raises(ProtocolViolation, match="insufficient data left in message"):
        Cursor(b"\xff\xff" + bytes(8)).count16(4)


def test_bytes_that_nobody_reads_are_reported() -> None:
    with pytest.raises(ProtocolViolation, match="invalid message format") as caught:
        Cursor(b"x").expect_end()

    assert caught.value.sqlstate == "08P01"


@given(st.binary(max_size=30), st.lists(st.sampled_from(READS), max_size=10))
def test_any_reads_of_any_bytes_stay_inside_the_body(
    body: bytes, reads: list[Callable[[Cursor], object]]
) -> None:
    cursor = Cursor(body)
    for read in reads:
        before = cursor.left
        with contextlib.suppress(ProtocolViolation):
            read(cursor)
        assert 0 <= cursor.left <= before
