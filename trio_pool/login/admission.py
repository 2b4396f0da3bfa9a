"""Who cannot be served at all hears so before anything else is done for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.startup_message import Replication
from trio_pool.errors import TooManyClients, UnsupportedReplication
from trio_pool.login.encryption import check_encryption
from trio_pool.login.exchange import challenge
from trio_pool.login.refusal import refuse_offender

if TYPE_CHECKING:
    from trio_pool.login.login import Login, Step


def admit(login: Login) -> Step:
    """Raises TooManyClients, LoginsExceeded, TlsRequired and UnsupportedReplication."""
    card, server = login.said, login.server
    if len(server.clients) > server.config.settings.max_client_conn and not card.at_console:
        raise TooManyClients()
    if server.config.settings.max_login_failures:
        refuse_offender(login)
    check_encryption(login)
    if card.message.replication is not Replication.NONE and card.at_console:
        raise UnsupportedReplication()
    if card.negotiation:
        login.wire.put(card.negotiation)
    return challenge
