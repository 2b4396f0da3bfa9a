"""Where one message ends and the next begins.

A frame is (tag, start, stop) in a chunk of bytes; nothing is copied to find it. Limits are
checked on the header, before a byte of the body is kept (PostgreSQL: tcop/postgres.c,
SocketBackend; the same two limits and the same split of types).

Only lengths and tags are judged here; what a body says is its own module's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.errors import LengthViolation, ProtocolViolation
from protocol.strides import stride_over
from protocol.tags import FrontendTag

if TYPE_CHECKING:
    from mypy_extensions import i64

HEADER_BYTES: Final = 5
# PQ_SMALL_MESSAGE_LIMIT and PQ_LARGE_MESSAGE_LIMIT of PostgreSQL.
SMALL_BYTES_MAX: Final = 10_000
LARGE_BYTES_MAX: Final = 0x3FFF_FFFE
# A server's message outside of bulk data: generous, yet far below what a lying header could ask.
BACKEND_BYTES_MAX: Final = 0x3FFF_FFFE

_LARGE: Final = frozenset(
    {
        FrontendTag.PARSE,
        FrontendTag.BIND,
        FrontendTag.QUERY,
        FrontendTag.FUNCTION_CALL,
        FrontendTag.COPY_DATA,
        FrontendTag.PASSWORD,
    }
)
_SMALL: Final = frozenset(
    {
        FrontendTag.CLOSE,
        FrontendTag.DESCRIBE,
        FrontendTag.EXECUTE,
        FrontendTag.FLUSH,
        FrontendTag.SYNC,
        FrontendTag.TERMINATE,
        FrontendTag.COPY_DONE,
        FrontendTag.COPY_FAIL,
    }
)

# Largest length word each frontend tag may carry; 0 for a tag that no frontend sends.
LENGTH_MAX: Final[list[int]] = [
    LARGE_BYTES_MAX if tag in _LARGE else SMALL_BYTES_MAX if tag in _SMALL else 0
    for tag in range(256)
]


def length_limits(bytes_max: int, refused: tuple[int, ...] = ()) -> list[int]:
    """The same for whoever allows less: no message above `bytes_max`, and none of these tags."""
    lower = [min(length, bytes_max) for length in LENGTH_MAX]
    for tag in refused:
        lower[tag] = 0
    return lower


def check_frontend_header(tag: int, length: int) -> None:
    """Refuse a header no PostgreSQL server would accept.

    Raises ProtocolViolation (08P01).
    """
    if length < 4 or length > LENGTH_MAX[tag]:
        refuse_frontend_header(tag, length)


def refuse_frontend_header(tag: int, length: int) -> None:
    """Raises ProtocolViolation (08P01) that says what is wrong with the header.

    For a length that the type cannot have it is a LengthViolation.
    """
    if LENGTH_MAX[tag] == 0 or 4 <= length <= LENGTH_MAX[tag]:
        raise ProtocolViolation(f"invalid frontend message type {tag}")
    raise LengthViolation("invalid message length", tag)


def check_backend_header(tag: int, length: int) -> None:
    """Refuse a header no PostgreSQL server sends. Raises ProtocolViolation."""
    if length < 4 or length > BACKEND_BYTES_MAX or not 48 < tag < 123:
        raise ProtocolViolation(f"server sent an impossible header: type {tag}, length {length}")


# Whether this is run from its source: what is cheap differs.
_INTERPRETED: Final = hasattr(check_backend_header, "__code__")
# Where no more is left a loop is the quickest in any form.
_FEW_BYTES: Final = 512
# Names are looked through so far before they are searched.
_LOOKED_THROUGH_BYTES: Final = 1 if _INTERPRETED else 12


def after_alike(chunk: bytes, position: i64) -> i64:
    """Where the run of whole frames ends that have the tag of the one at `position`.

    This is the loop that bulk data spends its time in: rows are skipped by their lengths.
    A frame whose length is impossible, or that is not whole, ends the run.
    """
    size: i64 = len(chunk)
    if size - position > _FEW_BYTES and _INTERPRETED:
        return stride_over(chunk, position)
    end: i64 = size - 4
    tag: i64 = chunk[position]
    while position < end and chunk[position] == tag:
        length: i64 = chunk[position + 4]
        # Why not all four bytes at once: compiled, each shift is checked, and most rows are short.
        if chunk[position + 3] != 0 or chunk[position + 2] != 0 or chunk[position + 1] != 0:
            high: i64 = chunk[position + 3]
            length += high << 8
            high = chunk[position + 2]
            length += high << 16
            high = chunk[position + 1]
            length += high << 24
        stop: i64 = position + length
        if length < 4 or stop >= size:
            break
        position = stop + 1
    return position


class FrameReader:
    """Collects whole frames for the phases that read one message at a time.

    `body_bytes_max` bounds what is kept for a single message; a larger one raises
    LengthViolation as soon as its header is known.
    """

    __slots__ = ("_buffer", "_body_bytes_max")

    def __init__(self, body_bytes_max: int = SMALL_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._body_bytes_max = body_bytes_max

    def feed(self, data: bytes) -> None:
        """Add received bytes."""
        self._buffer += data

    def next_frame(self) -> tuple[int, bytes] | None:
        """The next (tag, body), or None when more bytes are needed."""
        buffer = self._buffer
        if len(buffer) < HEADER_BYTES:
            return None
        length = int.from_bytes(buffer[1:5], "big")
        if length < 4 or length - 4 > self._body_bytes_max:
            raise LengthViolation("invalid message length", buffer[0])
        if len(buffer) < 1 + length:
            return None
        tag, body = buffer[0], bytes(buffer[5 : 1 + length])
        del buffer[: 1 + length]
        return tag, body

    def rest(self) -> bytes:
        """Bytes received behind the last frame taken; they belong to the next phase."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


def name_end(data: bytes, start: int, stop: int) -> int:
    """Where the NUL is that ends the name at `start`; -1 if there is none before `stop`.

    Why looked at one by one first: most names are empty or short, and to call for a search costs
    as much as fifty looks, compiled, and as much as two where this is interpreted.
    """
    place: i64 = start
    # Why not min: compiled, for three numbers it is a call.
    end: i64 = start + _LOOKED_THROUGH_BYTES
    end = min(end, stop)
    end = min(end, len(data))
    while place < end:
        if data[place] == 0:
            return place
        place += 1
    return data.find(b"\0", place, stop)
