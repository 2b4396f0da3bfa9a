"""Reading a message body without believing it.

A body is a message without its tag and length. Every read is checked against what is left,
so that a claimed length or count can make us neither read beyond the end nor allocate for
more items than the body could hold.

Invariant: a Cursor raises ProtocolViolation and nothing else, whatever the bytes.
The texts are the server's own for the same faults (PostgreSQL, libpq/pqformat.c).
"""

from __future__ import annotations

import struct
from typing import Final

from protocol.errors import ProtocolViolation

_INT16: Final = struct.Struct("!h")
_UINT16: Final = struct.Struct("!H")
_INT32: Final = struct.Struct("!i")
_UINT32: Final = struct.Struct("!I")


class Cursor:
    """A place in a message body that moves forward with every read."""

    __slots__ = ("_at", "_body", "_stop")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0
        self._stop = len(body)

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return self._stop - self._at

    def _advance(self, size: int) -> int:
        start = self._at
        if size < 0 or size > self._stop - start:
            raise ProtocolViolation("insufficient data left in message")
        self._at = start + size
        return start

    def byte(self) -> int:
        """The next byte as an unsigned number."""
        return self._body[self._advance(1)]

    def int16(self) -> int:
        """A signed number of two bytes."""
        value: int = _INT16.unpack_from(self._body, self._advance(2))[0]
        return value

    def uint16(self) -> int:
        """An unsigned number of two bytes."""
        value: int = _UINT16.unpack_from(self._body, self._advance(2))[0]
        return value

    def int32(self) -> int:
        """A signed number of four bytes."""
        value: int = _INT32.unpack_from(self._body, self._advance(4))[0]
        return value

    def uint32(self) -> int:
        """An unsigned number of four bytes."""
        value: int = _UINT32.unpack_from(self._body, self._advance(4))[0]
        return value

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        start = self._advance(size)
        return self._body[start : self._at]

    def cstring(self) -> bytes:
        """The bytes up to the next NUL, which is consumed but not returned."""
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise ProtocolViolation("invalid string in message")
        start, self._at = self._at, end + 1
        return self._body[start:end]

    def count16(self, item_bytes_min: int) -> int:
        """A two-byte count of items, each of which takes at least `item_bytes_min` bytes.

        The server reads counts as unsigned: 65,535 parameters are allowed.
        """
        count = self.uint16()
        if count * item_bytes_min > self.left:
            raise ProtocolViolation("insufficient data left in message")
        return count

    def value(self) -> bytes | None:
        """A value with its length before it; length -1 is NULL."""
        size = self.int32()
        if size == -1:
            return None
        return self.take(size)

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(self.left)

    def expect_end(self) -> None:
        """Raise unless the whole body has been read."""
        if self._at != self._stop:
            raise ProtocolViolation("invalid message format")
