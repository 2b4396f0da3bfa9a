"""The four frontend messages that share the tag `p`.

Which of them a body is follows from what the server asked for, not from the bytes; so each
has a decoder of its own, and where the question is not known the contents stay opaque
(`AuthenticationData`). Source: PostgreSQL documentation, "SASL Authentication".

Invariant: contents are secrets or proofs of them and never appear in a repr.
"""

from __future__ import annotations

import attrs

from protocol import build
from protocol.cursor import Cursor
from protocol.errors import ProtocolViolation
from protocol.tags import FrontendTag


def password(secret: bytes) -> bytes:
    """Answer to CleartextPassword (the password) or MD5Password (the digest)."""
    return build.message(FrontendTag.PASSWORD, build.cstring(secret))


def sasl_initial(mechanism: bytes, data: bytes | None) -> bytes:
    """Choose a SASL mechanism; `data` is its first message, None when it has none."""
    return build.message(FrontendTag.PASSWORD, build.cstring(mechanism) + build.value(data))


def sasl_response(data: bytes) -> bytes:
    """A further message of the SASL mechanism."""
    return build.message(FrontendTag.PASSWORD, data)


def gss_response(data: bytes) -> bytes:
    """A GSSAPI or SSPI token."""
    return build.message(FrontendTag.PASSWORD, data)


@attrs.frozen
class PasswordMessage:
    """PasswordMessage, decoded."""

    secret: bytes = attrs.field(repr=False)

    def encode(self) -> bytes:
        return password(self.secret)


@attrs.frozen
class SASLInitialResponse:
    """SASLInitialResponse, decoded."""

    mechanism: bytes
    data: bytes | None = attrs.field(repr=False)

    def encode(self) -> bytes:
        return sasl_initial(self.mechanism, self.data)


@attrs.frozen
class SASLResponse:
    """SASLResponse, decoded."""

    data: bytes = attrs.field(repr=False)

    def encode(self) -> bytes:
        return sasl_response(self.data)


@attrs.frozen
class GSSResponse:
    """GSSResponse, decoded."""

    data: bytes = attrs.field(repr=False)

    def encode(self) -> bytes:
        return gss_response(self.data)


@attrs.frozen
class AuthenticationData:
    """Any message with the tag `p` whose question is not known."""

    data: bytes = attrs.field(repr=False)

    def encode(self) -> bytes:
        return build.message(FrontendTag.PASSWORD, self.data)


def decode_password(body: bytes) -> PasswordMessage:
    """Raises ProtocolViolation unless the body is exactly one string."""
    cursor = Cursor(body)
    message = PasswordMessage(cursor.cstring())
    if cursor.left:
        raise ProtocolViolation("invalid password packet size")
    return message


def decode_sasl_initial(body: bytes) -> SASLInitialResponse:
    """Raises ProtocolViolation when the body is not a SASLInitialResponse."""
    cursor = Cursor(body)
    message = SASLInitialResponse(cursor.cstring(), cursor.value())
    cursor.expect_end()
    return message


def decode_sasl_response(body: bytes) -> SASLResponse:
    return SASLResponse(body)


def decode_gss_response(body: bytes) -> GSSResponse:
    return GSSResponse(body)


def decode_authentication_data(body: bytes) -> AuthenticationData:
    return AuthenticationData(body)
