"""Putting a message together: the counterpart of `cursor`.

Invariant: what these functions return is one well-formed piece of a message, or they raise
ProtocolViolation. In particular a string with a NUL inside never reaches the wire, where it
would be read as two strings (the classic way to smuggle one value in as another).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from protocol.errors import ProtocolViolation

_HEADER: Final = struct.Struct("!BI")
_UINT16: Final = struct.Struct("!H")
_INT32: Final = struct.Struct("!i")
_UINT32: Final = struct.Struct("!I")
_NULL: Final = b"\xff\xff\xff\xff"

COUNT16_MAX: Final = 65_535


def message(tag: int, body: bytes = b"") -> bytes:
    """A whole message: tag, length, body."""
    return _HEADER.pack(tag, len(body) + 4) + body


def cstring(text: bytes) -> bytes:
    """`text` with the NUL that ends it."""
    if b"\0" in text:
        raise ProtocolViolation("string contains a NUL byte")
    return text + b"\0"


def count16(count: int) -> bytes:
    """A count of items in two bytes."""
    if count > COUNT16_MAX:
        raise ProtocolViolation(f"{count} items are more than a message can hold")
    return _UINT16.pack(count)


def uint32(number: int) -> bytes:
    """An unsigned number, an OID for instance, in four bytes."""
    return _UINT32.pack(number)


def int32(number: int) -> bytes:
    """A signed number in four bytes."""
    return _INT32.pack(number)


def formats(codes: Sequence[int]) -> bytes:
    """Format codes (0 text, 1 binary) with their count before them."""
    return count16(len(codes)) + struct.pack(f"!{len(codes)}h", *codes)


def oids(numbers: Sequence[int]) -> bytes:
    """Object identifiers with their count before them."""
    return count16(len(numbers)) + struct.pack(f"!{len(numbers)}I", *numbers)


def value(data: bytes | None) -> bytes:
    """A value with its length before it; None is NULL."""
    return _NULL if data is None else _INT32.pack(len(data)) + data


def values(items: Sequence[bytes | None]) -> bytes:
    """Values with their count before them."""
    return count16(len(items)) + b"".join([value(item) for item in items])
