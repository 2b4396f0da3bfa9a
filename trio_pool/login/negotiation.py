"""What comes first: requests for encryption, a cancel request, or the startup packet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from protocol import startup
from protocol.errors import ProtocolViolation
from protocol.startup import CancelRequest, SSLRequest
from protocol.startup_message import StartupMessage
from trio_pool.card import Card
from trio_pool.journal import Journal
from trio_pool.login.admission import admit
from trio_pool.login.encryption import TLS_RECORD, encrypt, may_encrypt
from trio_pool.login.refusal import dismiss
from trio_pool.wire import NOBODY

if TYPE_CHECKING:
    from trio_pool.login.login import Login, Step

log = Journal(__name__)

# SSLRequest and GSSENCRequest may each come once before the startup packet.
_NEGOTIATIONS_MAX: Final = 2


def negotiate(login: Login) -> Step | None:
    """Read packets until one says what the client wants."""
    data = login.received
    if data[:1] == TLS_RECORD and may_encrypt(login):
        # Direct TLS: what has come is the beginning of the handshake.
        login.received = b""
        encrypt(login, data)
        return None
    if len(data) < 4:
        return None
    stop = 4 + startup.packet_bytes(data[:4])
    if len(data) < stop:
        return None
    known = login.server.cards.find(data[:stop], login.server.config)
    if known is not None:
        login.card, login.received = known, data[stop:]
        return admit
    packet, login.received = data[4:stop], data[stop:]
    try:
        request = startup.decode_startup(packet)
    except ProtocolViolation as violation:
        log.info("login refused: %s", violation.message)
        dismiss(login, startup.refusal(packet, violation))
        return None
    if isinstance(request, StartupMessage):
        login.card = Card(data[:stop], request, login.server.config)
        return admit
    if isinstance(request, CancelRequest):
        login.server.lobby.leave(login)
        login.server.cancels.start(login.wire.give_up()[0], request)
        login.wire.turn = NOBODY
        return None
    return _answer(login, isinstance(request, SSLRequest))


def _answer(login: Login, is_for_tls: bool) -> Step | None:
    """To a request for encryption: yes, and it begins; or no, and another packet may come."""
    login.negotiations += 1
    if login.negotiations > _NEGOTIATIONS_MAX:
        raise ProtocolViolation("too many requests for encryption")
    if not (is_for_tls and may_encrypt(login)):
        login.wire.put(b"N")
        return negotiate
    if login.received:
        # Hazard: taken as encrypted, it would let anybody on the way put words in.
        raise ProtocolViolation("received unencrypted data after SSL request")
    login.wire.put(b"S")
    encrypt(login, b"")
    return None
