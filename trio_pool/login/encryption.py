"""TLS with a client: when it is offered, how it begins, and who may do without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol.errors import ProtocolViolation
from trio_pool.config import TlsMode
from trio_pool.errors import TlsRequired
from trio_pool.journal import Journal
from trio_pool.tls import ALPN, TlsFailed, TlsSocket
from trio_pool.wire import NOBODY, Wire, is_local, plain_of

if TYPE_CHECKING:
    from trio_pool.login.login import Login

log = Journal(__name__)

TLS_RECORD: Final = b"\x16"
"""What a client begins with that takes TLS for granted (PostgreSQL 17: sslnegotiation=direct)."""

_TLS_OPTIONAL: Final = (TlsMode.DISABLE, TlsMode.ALLOW, TlsMode.PREFER)


def may_encrypt(login: Login) -> bool:
    """TLS is offered here, and has not begun. As at a server, not over unix sockets."""
    sock = login.wire.sock
    offered = login.server.encryption.client is not None
    return offered and not isinstance(sock, TlsSocket) and not is_local(sock)


def encrypt(login: Login, received: bytes) -> None:
    """From here on every byte is a TLS record's; `received` begins the handshake."""
    context = login.server.encryption.client
    assert context is not None
    login.binding = login.server.encryption.binding
    sock, unsent = login.wire.give_up()
    login.wire.turn = NOBODY
    encrypted = TlsSocket(
        plain_of(sock), context, server_side=True, received=received, unsent=unsent
    )
    login.direct = bool(received)
    login.wire = Wire(encrypted, login.server.switchboard, login)
    if received:
        try:
            encrypted.shake()
        except TlsFailed as failure:
            log.info("login refused: %s", failure)
            login.on_closed()


def check_encryption(login: Login) -> None:
    """Raises TlsRequired, and ProtocolViolation for direct TLS without its ALPN."""
    sock, mode = login.wire.sock, login.server.config.settings.client_tls_sslmode
    if isinstance(sock, TlsSocket):
        if login.direct and sock.protocol != ALPN:
            raise ProtocolViolation(
                "received direct SSL connection request without ALPN protocol negotiation"
            )
    elif mode not in _TLS_OPTIONAL and not is_local(sock):
        raise TlsRequired()
