"""Frames are found whatever the pieces they arrive in, and absurd headers are refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import backend, frontend
from protocol.errors import LengthViolation, ProtocolViolation
from protocol.exchange import Message
from protocol.framing import (
    BACKEND_BYTES_MAX,
    LARGE_BYTES_MAX,
    SMALL_BYTES_MAX,
    FrameReader,
    check_backend_header,
    check_frontend_header,
)
from protocol.tags import BackendTag, FrontendTag
from tests.support.conversations import messages_in
from tests.support.messages import BACKEND_MESSAGES

LARGE = b"PBQFdp"
SMALL = b"CDEHSXcf"
STREAMS = st.lists(BACKEND_MESSAGES, max_size=6).map(
    lambda messages: b"".join([message.encode() for message in messages])
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
