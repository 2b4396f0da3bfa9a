"""Backend messages with the tag `R`: what the server asks for before it lets a client in.

They share one tag and differ by the code that begins the body. Source: PostgreSQL
documentation, "Message Formats" (AuthenticationXXX); libpq/auth.c for the codes.

Invariant: `decode_authentication(body).encode()` gives back the very bytes. Salts and
challenges are public; nothing here is secret.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from protocol import build
from protocol.cursor import Cursor
from protocol.errors import ProtocolViolation
from protocol.tags import BackendTag


class AuthenticationCode:
    """The number that begins the body."""

    OK: Final = 0
    KERBEROS_V5: Final = 2
    CLEARTEXT_PASSWORD: Final = 3
    MD5_PASSWORD: Final = 5
    GSS: Final = 7
    GSS_CONTINUE: Final = 8
    SSPI: Final = 9
    SASL: Final = 10
    SASL_CONTINUE: Final = 11
    SASL_FINAL: Final = 12


def _authentication(code: int, data: bytes = b"") -> bytes:
    return build.message(BackendTag.AUTHENTICATION, build.int32(code) + data)


def authentication_ok() -> bytes:
    return _authentication(AuthenticationCode.OK)


def authentication_kerberos_v5() -> bytes:
    return _authentication(AuthenticationCode.KERBEROS_V5)


def authentication_cleartext_password() -> bytes:
    return _authentication(AuthenticationCode.CLEARTEXT_PASSWORD)


def authentication_md5_password(salt: bytes) -> bytes:
    """Ask for an MD5 digest; `salt` is 4 bytes."""
    if len(salt) != 4:
        raise ProtocolViolation("an MD5 salt has 4 bytes")
    return _authentication(AuthenticationCode.MD5_PASSWORD, salt)


def authentication_gss() -> bytes:
    return _authentication(AuthenticationCode.GSS)


def authentication_gss_continue(data: bytes) -> bytes:
    return _authentication(AuthenticationCode.GSS_CONTINUE, data)


def authentication_sspi() -> bytes:
    return _authentication(AuthenticationCode.SSPI)


def authentication_sasl(mechanisms: Sequence[bytes]) -> bytes:
    """Offer SASL mechanisms, the preferred one first."""
    names = b"".join([build.cstring(name) for name in mechanisms])
    return _authentication(AuthenticationCode.SASL, names + b"\0")


def authentication_sasl_continue(data: bytes) -> bytes:
    return _authentication(AuthenticationCode.SASL_CONTINUE, data)


def authentication_sasl_final(data: bytes) -> bytes:
    return _authentication(AuthenticationCode.SASL_FINAL, data)


@attrs.frozen
class AuthenticationOk:
    """The client is who it says; ReadyForQuery may still be refused."""

    def encode(self) -> bytes:
        return authentication_ok()


@attrs.frozen
class AuthenticationKerberosV5:
    """Kerberos V5 is demanded (no supported server does)."""

    def encode(self) -> bytes:
        return authentication_kerberos_v5()


@attrs.frozen
class AuthenticationCleartextPassword:
    """The password itself is demanded."""

    def encode(self) -> bytes:
        return authentication_cleartext_password()


@attrs.frozen
class AuthenticationMD5Password:
    """A digest of the password and this salt is demanded."""

    salt: bytes

    def encode(self) -> bytes:
        return authentication_md5_password(self.salt)


@attrs.frozen
class AuthenticationGSS:
    """GSSAPI is demanded."""

    def encode(self) -> bytes:
        return authentication_gss()


@attrs.frozen
class AuthenticationGSSContinue:
    """A GSSAPI or SSPI token."""

    data: bytes

    def encode(self) -> bytes:
        return authentication_gss_continue(self.data)


@attrs.frozen
class AuthenticationSSPI:
    """SSPI is demanded."""

    def encode(self) -> bytes:
        return authentication_sspi()


@attrs.frozen
class AuthenticationSASL:
    """One of these SASL mechanisms is demanded."""

    mechanisms: tuple[bytes, ...]

    def encode(self) -> bytes:
        return authentication_sasl(self.mechanisms)


@attrs.frozen
class AuthenticationSASLContinue:
    """A challenge of the SASL mechanism."""

    data: bytes

    def encode(self) -> bytes:
        return authentication_sasl_continue(self.data)


@attrs.frozen
class AuthenticationSASLFinal:
    """The outcome of the SASL mechanism; AuthenticationOk follows."""

    data: bytes

    def encode(self) -> bytes:
        return authentication_sasl_final(self.data)


Authentication = (
    AuthenticationOk
    | AuthenticationKerberosV5
    | AuthenticationCleartextPassword
    | AuthenticationMD5Password
    | AuthenticationGSS
    | AuthenticationGSSContinue
    | AuthenticationSSPI
    | AuthenticationSASL
    | AuthenticationSASLContinue
    | AuthenticationSASLFinal
)


def _sasl(cursor: Cursor) -> AuthenticationSASL:
    mechanisms: list[bytes] = []
    while name := cursor.cstring():
        mechanisms.append(name)
    return AuthenticationSASL(tuple(mechanisms))


_BY_CODE: Final[dict[int, Callable[[Cursor], Authentication]]] = {
    AuthenticationCode.OK: lambda cursor: AuthenticationOk(),
    AuthenticationCode.KERBEROS_V5: lambda cursor: AuthenticationKerberosV5(),
    AuthenticationCode.CLEARTEXT_PASSWORD: lambda cursor: AuthenticationCleartextPassword(),
    AuthenticationCode.MD5_PASSWORD: lambda cursor: AuthenticationMD5Password(cursor.take(4)),
    AuthenticationCode.GSS: lambda cursor: AuthenticationGSS(),
    AuthenticationCode.GSS_CONTINUE: lambda cursor: AuthenticationGSSContinue(cursor.rest()),
    AuthenticationCode.SSPI: lambda cursor: AuthenticationSSPI(),
    AuthenticationCode.SASL: _sasl,
    AuthenticationCode.SASL_CONTINUE: lambda cursor: AuthenticationSASLContinue(cursor.rest()),
    AuthenticationCode.SASL_FINAL: lambda cursor: AuthenticationSASLFinal(cursor.rest()),
}


def decode_authentication(body: bytes) -> Authentication:
    """What an `R` message asks for or says; raises ProtocolViolation on unknown codes."""
    cursor = Cursor(body)
    code = cursor.int32()
    build_from = _BY_CODE.get(code)
    if build_from is None:
        raise ProtocolViolation(f"authentication method {code} is not known")
    message = build_from(cursor)
    cursor.expect_end()
    return message
