"""Invariant: the same bytes are the same frames, in whatever pieces they arrive.

For every stream and every way of cutting it: the frames found, the bytes left over and the
violation raised (if any, a ProtocolViolation) are those of the stream fed as a whole; and
frames and left-over bytes together are the stream. And a run of frames with one tag ends where
looking at one after the other says, however many there are at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hypothesis import strategies as st

from fuzz.harness import Target, fuzz
from protocol import backend, build, frontend
from protocol.errors import ProtocolViolation
from protocol.framing import FrameReader, after_alike
from protocol.strides import stride_over
from tests.support.messages import BACKEND_MESSAGES, FRONTEND_MESSAGES
from tests.support.runs import end_of_run

BODY_BYTES_MAX = 64
# So many of the stream's first frame are put in front of it.
RUN = 150

Case = tuple[bytes, list[int]]

_frames = (FRONTEND_MESSAGES | BACKEND_MESSAGES).map(lambda message: message.encode())
_streams = st.lists(_frames | st.binary(max_size=8), max_size=6).map(b"".join)
cases = st.tuples(_streams, st.lists(st.integers(1, 12), max_size=40))
"""Whole frames with noise between them, and the sizes of the pieces to cut them into."""


def _read(pieces: list[bytes]) -> tuple[list[bytes], bytes, str]:
    reader = FrameReader(BODY_BYTES_MAX)
    frames: list[bytes] = []
    for at, piece in enumerate(pieces):
        reader.feed(piece)
        try:
            while (frame := reader.next_frame()) is not None:
                frames.append(build.message(*frame))
        except ProtocolViolation as violation:
            return frames, reader.rest() + b"".join(pieces[at + 1 :]), violation.message
    return frames, reader.rest(), ""


def check(case: Case) -> None:
    """Raise AssertionError if the invariant does not hold for this stream and cutting."""
    stream, sizes = case
    pieces: list[bytes] = []
    rest = stream
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    whole = _read([stream])
    assert _read([*pieces, rest]) == whole
    assert _read([stream[at : at + 1] for at in range(len(stream))]) == whole
    assert b"".join(whole[0]) + whole[1] == stream
    first = whole[0][0] if whole[0] else b""
    for chunk in filter(None, (stream, first * RUN + stream, stream * RUN)):
        assert after_alike(chunk, 0) == stride_over(chunk, 0) == end_of_run(chunk, 0)


def read(data: bytes) -> Case:
    """The first byte counts the sizes, which follow; the rest is the stream."""
    count = data[0] % 16 if data else 0
    return data[1 + count :], [1 + size % 12 for size in data[1 : 1 + count]]


def seeds() -> Iterator[bytes]:
    """A login, a query and its answer, a pipeline, and headers that lie."""
    for stream in (
        backend.authentication_ok() + backend.ready_for_query(),
        frontend.query(b"select 1") + frontend.terminate(),
        frontend.parse(b"s", b"select $1") + frontend.bind(b"", b"s", (), [b"x"]) + frontend.sync(),
        b"Q\0\0\0\3" + b"P\x7f\xff\xff\xff",
        b"S\0\0\0",
    ):
        yield b"\0" + stream
        yield b"\3\1\4\2" + stream


TARGET: Final = Target(cases, check, read, seeds)

if __name__ == "__main__":
    fuzz(TARGET)
