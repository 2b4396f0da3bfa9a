"""Backend messages about the session rather than about a statement.

Settings reported, the cancel key, version negotiation, notifications, transaction status.
For each an encoder, a frozen class and a decoder. Source: PostgreSQL documentation,
"Message Formats".

Invariant: `decode_x(body).encode()` gives back the very bytes, for every body that decodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from protocol import build
from protocol.cursor import Cursor
from protocol.errors import ProtocolViolation
from protocol.tags import BackendTag, TransactionStatus

KEY_BYTES_MIN: Final = 4
KEY_BYTES_MAX: Final = 256

_STATUSES: Final = (
    TransactionStatus.IDLE,
    TransactionStatus.IN_TRANSACTION,
    TransactionStatus.FAILED,
)


def check_key(key: bytes) -> bytes:
    """The key if its size is one that the protocol allows: exactly 4 bytes in 3.0, up to
    256 from 3.2 on. Raises ProtocolViolation otherwise.
    """
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ProtocolViolation(f"a cancel key of {len(key)} bytes is not allowed")
    return key


def backend_key_data(pid: int, key: bytes) -> bytes:
    """The number and key with which a CancelRequest can be made."""
    body = build.uint32(pid) + check_key(key)
    return build.message(BackendTag.BACKEND_KEY_DATA, body)


def negotiate_protocol_version(version: int, options: Sequence[bytes] = ()) -> bytes:
    """The newest version spoken, as major * 65536 + minor, and the options not understood."""
    names = b"".join([build.cstring(name) for name in options])
    body = build.uint32(version) + build.uint32(len(options)) + names
    return build.message(BackendTag.NEGOTIATE_PROTOCOL_VERSION, body)


def notification_response(pid: int, channel: bytes, payload: bytes = b"") -> bytes:
    """A NOTIFY by the backend `pid`."""
    body = build.uint32(pid) + build.cstring(channel) + build.cstring(payload)
    return build.message(BackendTag.NOTIFICATION, body)


def parameter_status(name: bytes, value: bytes) -> bytes:
    """The value that a reported setting has."""
    return build.message(BackendTag.PARAMETER_STATUS, build.cstring(name) + build.cstring(value))


def ready_for_query(status: int = TransactionStatus.IDLE) -> bytes:
    """Everything up to the last Sync, Query or FunctionCall is answered."""
    return build.message(BackendTag.READY_FOR_QUERY, bytes([status]))


@attrs.frozen
class BackendKeyData:
    """BackendKeyData, decoded."""

    pid: int
    key: bytes = attrs.field(repr=False)

    def encode(self) -> bytes:
        return backend_key_data(self.pid, self.key)


@attrs.frozen
class NegotiateProtocolVersion:
    """NegotiateProtocolVersion, decoded."""

    version: int
    options: tuple[bytes, ...] = ()

    @property
    def minor(self) -> int:
        """The newest minor version of major version 3 that the server speaks.

        The documentation calls the field a minor version, servers send the whole version
        (tcop/backend_startup.c); the low half is right under either reading.
        """
        return self.version & 0xFFFF

    def encode(self) -> bytes:
        return negotiate_protocol_version(self.version, self.options)


@attrs.frozen
class NotificationResponse:
    """NotificationResponse, decoded."""

    pid: int
    channel: bytes
    payload: bytes

    def encode(self) -> bytes:
        return notification_response(self.pid, self.channel, self.payload)


@attrs.frozen
class ParameterStatus:
    """ParameterStatus, decoded."""

    name: bytes
    value: bytes

    def encode(self) -> bytes:
        return parameter_status(self.name, self.value)


@attrs.frozen
class ReadyForQuery:
    """ReadyForQuery, decoded; `status` is one of TransactionStatus."""

    status: int

    def encode(self) -> bytes:
        return ready_for_query(self.status)


def decode_backend_key_data(body: bytes) -> BackendKeyData:
    """Raises ProtocolViolation, as all decoders here do, when the body is malformed."""
    cursor = Cursor(body)
    return BackendKeyData(cursor.uint32(), check_key(cursor.rest()))


def decode_negotiate_protocol_version(body: bytes) -> NegotiateProtocolVersion:
    cursor = Cursor(body)
    version, count = cursor.uint32(), cursor.uint32()
    if count > cursor.left:
        raise ProtocolViolation("insufficient data left in message")
    options = tuple([cursor.cstring() for _ in range(count)])
    cursor.expect_end()
    return NegotiateProtocolVersion(version, options)


def decode_notification_response(body: bytes) -> NotificationResponse:
    cursor = Cursor(body)
    message = NotificationResponse(cursor.uint32(), cursor.cstring(), cursor.cstring())
    cursor.expect_end()
    return message


def decode_parameter_status(body: bytes) -> ParameterStatus:
    cursor = Cursor(body)
    message = ParameterStatus(cursor.cstring(), cursor.cstring())
    cursor.expect_end()
    return message


def decode_ready_for_query(body: bytes) -> ReadyForQuery:
    cursor = Cursor(body)
    status = cursor.byte()
    cursor.expect_end()
    if status not in _STATUSES:
        raise ProtocolViolation(f"transaction status {status} is not known")
    return ReadyForQuery(status)
