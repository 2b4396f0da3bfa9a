"""The packets before the first message: startup, SSL and GSS requests, cancel.

They carry no tag, only a length, so they can only be told apart from what follows by being
first. A packet here is what follows that length. Sources: PostgreSQL documentation,
"Message Flow" (Start-up) and tcop/backend_startup.c, whose limits and texts these are.

Invariant: `decode_startup` returns one of four classes or raises ProtocolViolation with the
SQLSTATE the server would report; nothing in a packet is interpreted beyond its own pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from protocol import build
from protocol.backend_report import error_response
from protocol.backend_session import check_key, negotiate_protocol_version
from protocol.cursor import Cursor
from protocol.errors import LengthViolation, ProtocolViolation
from protocol.startup_message import StartupMessage

MAJOR: Final = 3
# The newest minor version of the protocol that is spoken here.
MINOR_MAX: Final = 2
# From this minor version on a cancel key may be longer than 4 bytes.
MINOR_OF_LONG_KEYS: Final = 2

# Limit: MAX_STARTUP_PACKET_LENGTH in libpq/pqcomm.h, counted without the length itself.
PACKET_BYTES_MAX: Final = 10_000
_PACKET_BYTES_MIN: Final = 4

_CANCEL: Final = 1234 << 16 | 5678
_SSL: Final = 1234 << 16 | 5679
_GSSENC: Final = 1234 << 16 | 5680


@attrs.frozen
class SSLRequest:
    """May we speak TLS? The answer is one byte, S or N."""

    def encode(self) -> bytes:
        return ssl_request()


@attrs.frozen
class GSSENCRequest:
    """May we speak GSSAPI encryption? The answer is one byte, G or N."""

    def encode(self) -> bytes:
        return gssenc_request()


@attrs.frozen
class CancelRequest:
    """Cancel what the backend with this number and key is doing; never answered."""

    pid: int
    key: bytes = attrs.field(repr=False)

    def encode(self) -> bytes:
        return cancel_request(self.pid, self.key)


FirstPacket = StartupMessage | SSLRequest | GSSENCRequest | CancelRequest


def _packet(code: int, body: bytes = b"") -> bytes:
    return build.uint32(len(body) + 8) + build.uint32(code) + body


def ssl_request() -> bytes:
    return _packet(_SSL)


def gssenc_request() -> bytes:
    return _packet(_GSSENC)


def cancel_request(pid: int, key: bytes) -> bytes:
    return _packet(_CANCEL, build.uint32(pid) + check_key(key))


def startup_message(parameters: Iterable[tuple[bytes, bytes]], minor: int = 0) -> bytes:
    """A startup packet with its length; `parameters` in the order they are sent."""
    return StartupMessage(minor, tuple(parameters)).encode()


def packet_bytes(header: bytes) -> int:
    """How many bytes follow the 4 bytes that begin every packet.

    Raises LengthViolation when that is more or less than a packet may have: nothing
    should be read, and no memory taken, for such a peer.
    """
    size = Cursor(header).uint32() - 4
    if not _PACKET_BYTES_MIN <= size <= PACKET_BYTES_MAX:
        raise LengthViolation("invalid length of startup packet", -1)
    return size


def decode_startup(packet: bytes) -> FirstPacket:
    """What a client begins with; `packet` is without its length.

    Raises ProtocolViolation: 08P01 for malformed packets, 0A000 for versions that are not
    spoken (see `refusal`), 28000 for a missing user. A malformed cancel request is not
    answered at all.
    """
    if not _PACKET_BYTES_MIN <= len(packet) <= PACKET_BYTES_MAX:
        raise ProtocolViolation("invalid length of startup packet")
    cursor = Cursor(packet)
    code = cursor.uint32()
    if code == _CANCEL:
        return CancelRequest(cursor.uint32(), check_key(cursor.rest()))
    if code in (_SSL, _GSSENC):
        cursor.expect_end()
        return SSLRequest() if code == _SSL else GSSENCRequest()
    major, minor = code >> 16, code & 0xFFFF
    if major != MAJOR:
        raise ProtocolViolation(
            f"unsupported frontend protocol {major}.{minor}: "
            f"server supports {MAJOR}.0 to {MAJOR}.{MINOR_MAX}",
            sqlstate="0A000",
        )
    return _decode_parameters(cursor, minor)


def _decode_parameters(cursor: Cursor, minor: int) -> StartupMessage:
    pairs: list[tuple[bytes, bytes]] = []
    try:
        while name := cursor.cstring():
            pairs.append((name, cursor.cstring()))
        cursor.expect_end()
    except ProtocolViolation as violation:
        raise ProtocolViolation(
            "invalid startup packet layout: expected terminator as last byte"
        ) from violation
    message = StartupMessage(minor, tuple(pairs))
    if not message.user:
        raise ProtocolViolation("no PostgreSQL user name specified in startup packet", "28000")
    return message


def negotiate(message: StartupMessage, minor_max: int = MINOR_MAX) -> tuple[int, bytes]:
    """The minor version to speak with this client, and what to tell it beforehand.

    The bytes are a NegotiateProtocolVersion when the client asked for a newer version or for
    protocol options (none is known here), and empty otherwise.
    """
    minor = min(message.minor, minor_max)
    if minor == message.minor and not message.protocol_options:
        return minor, b""
    return minor, negotiate_protocol_version(MAJOR << 16 | minor_max, message.protocol_options)


def refusal(packet: bytes, violation: ProtocolViolation) -> bytes:
    """The FATAL error that tells a client why its first packet was refused.

    Clients of major versions 1 and 2 expect a bare string behind the tag, without a length
    (libpq/pqcomm.c and utils/error/elog.c). Whoever has not sent a version gets version 3.
    A cancel request is never answered: the bytes are then empty.
    """
    code = Cursor(packet).uint32() if len(packet) >= 4 else MAJOR << 16
    if code == _CANCEL:
        return b""
    if code >> 16 < MAJOR:
        return b"E" + f"FATAL:  {violation.message}\n".encode() + b"\0"
    return error_response("FATAL", violation.sqlstate, violation.message, hint=violation.hint)
