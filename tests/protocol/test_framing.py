"""Frames are found whatever the pieces they arrive in, and absurd headers are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol import backend, frontend
from protocol.errors import LengthViolation, ProtocolViolation
from protocol.exchange import Message
from protocol.framing import (
    BACKEND_BYTES_MAX,
    LARGE_BYTES_MAX,
    SMALL_BYTES_MAX,
    FrameReader,
    after_alike,
    check_backend_header,
    check_frontend_header,
)
from protocol.strides import stride_over
from protocol.tags import BackendTag, FrontendTag
from tests.support.conversations import messages_in
from tests.support.messages import BACKEND_MESSAGES
from tests.support.runs import end_of_run

LARGE = b"PBQFdp"
SMALL = b"CDEHSXcf"
STREAMS = st.lists(BACKEND_MESSAGES, max_size=6).map(
    lambda messages: b"".join([message.encode() for message in messages])
)

# Compiled, the first is a loop; interpreted, it leaves long chunks to the second.
WAYS = pytest.mark.parametrize("way", [after_alike, stride_over])
Way = Callable[[bytes, int], int]

# Lengths on both sides of where another byte of the header begins to count.
LENGTHS = st.integers(4, 12) | st.integers(252, 264) | st.sampled_from([65_535, 65_536])
# A few of one length, or more than are compared at once, or more than ever are.
COUNTS = st.integers(1, 12) | st.integers(15, 90) | st.sampled_from([1_000, 6_000])
BODIES = st.sampled_from([b"\0", b"D", b"D\0\0\0\x04", b"x"])
GROUPS = st.tuples(st.sampled_from([b"D", b"D", b"D", b"d"]), LENGTHS, COUNTS, BODIES)


def rows_of(groups: list[tuple[bytes, int, int, bytes]]) -> bytes:
    """As many rows of each length as its group says; not many of the large ones."""
    return b"".join(
        (tag + length.to_bytes(4, "big") + (body * length)[: length - 4])
        * min(count, 1 + 100_000 // length)
        for tag, length, count, body in groups
    )


def frames_of(reader: FrameReader) -> Iterator[Message]:
    while (frame := reader.next_frame()) is not None:
        yield frame


@given(STREAMS, st.data())
def test_the_same_frames_come_out_whole_byte_by_byte_and_in_any_pieces(
    stream: bytes, data: st.DataObject
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    ways = [
        [stream],
        [stream[at : at + 1] for at in range(len(stream))],
        [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)],
    ]
    for pieces in ways:
        reader = FrameReader()
        frames: list[Message] = []
        for piece in pieces:
            reader.feed(piece)
            frames += frames_of(reader)
        assert frames == messages_in(stream)
        assert reader.rest() == b""


@given(STREAMS, st.binary(max_size=4))
def test_bytes_behind_the_last_frame_are_kept_for_the_next_phase(
    stream: bytes, behind: bytes
) -> None:
    reader = FrameReader()
    reader.feed(stream + behind)
    list(frames_of(reader))

    assert reader.rest() == behind
    assert reader.rest() == b""


def test_a_frame_is_taken_alone_and_the_following_one_stays() -> None:
    reader = FrameReader()
    reader.feed(frontend.sync() + frontend.flush())

    assert reader.next_frame() == (FrontendTag.SYNC, b"")
    assert reader.rest() == frontend.flush()


@pytest.mark.parametrize("length", [0, 3, 15, 2**31 - 1, 2**32 - 1])
def test_a_header_is_refused_before_its_body_arrives(length: int) -> None:
    reader = FrameReader(body_bytes_max=10)
    reader.feed(b"p" + length.to_bytes(4, "big"))

    with pytest.raises(LengthViolation, match="invalid message length"):
        reader.next_frame()


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    reader = FrameReader(body_bytes_max=10)
    reader.feed(frontend.sasl_response(b"0123456789"))

    assert reader.next_frame() == (FrontendTag.PASSWORD, b"0123456789")


@pytest.mark.parametrize("tag", LARGE)
def test_messages_that_carry_texts_and_data_may_be_large(tag: int) -> None:
    check_frontend_header(tag, 4)
    check_frontend_header(tag, LARGE_BYTES_MAX)
    for length in (3, LARGE_BYTES_MAX + 1):
        with pytest.raises(LengthViolation, match="invalid message length"):
            check_frontend_header(tag, length)


@pytest.mark.parametrize("tag", SMALL)
def test_messages_that_carry_only_names_may_not_be_large(tag: int) -> None:
    check_frontend_header(tag, 4)
    check_frontend_header(tag, SMALL_BYTES_MAX)
    for length in (3, SMALL_BYTES_MAX + 1):
        with pytest.raises(LengthViolation, match="invalid message length"):
            check_frontend_header(tag, length)


@pytest.mark.parametrize("tag", sorted(set(range(256)) - {*LARGE, *SMALL}))
def test_a_tag_that_no_frontend_sends_is_refused_whatever_its_length(tag: int) -> None:
    with pytest.raises(ProtocolViolation, match=f"invalid frontend message type {tag}"):
        check_frontend_header(tag, 4)


@pytest.mark.hard_case(199)
def test_every_backend_tag_may_come_and_none_beyond_the_limit() -> None:
    tags = [value for name, value in vars(BackendTag).items() if name.isupper()]
    for tag in tags:
        check_backend_header(tag, 4)
        check_backend_header(tag, BACKEND_BYTES_MAX)
        for length in (3, BACKEND_BYTES_MAX + 1):
            with pytest.raises(ProtocolViolation, match="impossible header"):
                check_backend_header(tag, length)


@pytest.mark.parametrize("tag", [0, 48, 123, 255])
def test_a_tag_that_is_no_letter_or_digit_is_no_servers(tag: int) -> None:
    with pytest.raises(ProtocolViolation, match="impossible header"):
        check_backend_header(tag, 4)


def test_an_error_is_a_frame_like_any_other() -> None:
    reader = FrameReader()
    reader.feed(backend.error_response("FATAL", "53300", "too many"))

    frame = reader.next_frame()
    assert frame is not None
    assert backend.decode_error_response(frame[1]).sqlstate == "53300"


@WAYS
@settings(deadline=None)
@given(
    st.lists(GROUPS, min_size=1, max_size=6),
    st.none() | st.tuples(st.integers(0), st.integers(0, 255)),
    st.integers(0, 300),
)
@example([(b"D", 23, 6_000, b"D"), (b"D", 22, 1, b"x"), (b"D", 23, 6_000, b"D")], None, 0)
def test_a_run_of_rows_ends_where_looking_at_each_says(
    way: Way, groups: list[tuple[bytes, int, int, bytes]], hit: tuple[int, int] | None, cut: int
) -> None:
    chunk = rows_of(groups)
    if hit is not None:
        at = hit[0] % len(chunk)
        chunk = chunk[:at] + bytes([hit[1]]) + chunk[at + 1 :]
    chunk = chunk[: max(1, len(chunk) - cut)]
    assert way(chunk, 0) == end_of_run(chunk, 0)
    before = backend.ready_for_query()
    assert way(before + chunk, len(before)) == len(before) + end_of_run(chunk, 0)


@WAYS
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("row", [0, 1, 7, 8, 9, 30, 500, 998, 999])
def test_a_header_that_differs_in_one_byte_is_seen_among_a_thousand(
    way: Way, row: int, place: int
) -> None:
    one = backend.data_row([b"same", b"width"])
    chunk = bytearray(one * 1_000)
    chunk[row * len(one) + place] ^= 0x80 if place < 4 else len(one) ^ 4
    assert way(bytes(chunk), 0) == end_of_run(bytes(chunk), 0)


@WAYS
def test_a_run_ends_in_front_of_a_row_that_is_not_whole(way: Way) -> None:
    one = backend.data_row([b"same", b"width"])
    chunk = one * 301
    for missing in range(1, len(one) + 1):
        assert way(chunk[:-missing], 0) == 300 * len(one)


@WAYS
@pytest.mark.parametrize("length", [0, 1, 2, 3, 2**31 - 1, 2**31, 2**32 - 1])
@pytest.mark.parametrize("row", [0, 5, 8, 300])
def test_a_run_ends_in_front_of_a_length_that_no_row_has(way: Way, row: int, length: int) -> None:
    one = backend.data_row([b"same", b"width"])
    begin = row * len(one)
    chunk = one * row + b"D" + length.to_bytes(4, "big") + one * 600
    assert way(chunk, 0) == begin
