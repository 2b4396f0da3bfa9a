"""Invariant: the same bytes are the same frames, in whatever pieces they arrive.

For every stream and every way of cutting it: the frames found, the bytes left over and the
violation raised (if any, a ProtocolViolation) are those of the stream fed as a whole; and
frames and left-over bytes together are the stream.
"""

from __future__ import annotations

from hypothesis import strategies as st

from fuzz.harness import fuzz
from protocol import build
from protocol.errors import ProtocolViolation
from protocol.framing import FrameReader
from tests.support.messages import BACKEND_MESSAGES, FRONTEND_MESSAGES

BODY_BYTES_MAX = 64

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


if __name__ == "__main__":
    fuzz(cases, check)
