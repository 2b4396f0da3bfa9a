"""Those who do not get in: what they are told, and what is noted of them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import trio

from protocol.errors import AuthenticationRefused, LengthViolation, ProtocolViolation
from trio_pool.errors import Ending, LoginsExceeded
from trio_pool.farewell import fatal
from trio_pool.journal import Journal
from trio_pool.wire import NOBODY, endpoints, is_local

if TYPE_CHECKING:
    from trio_pool.login.login import Login

log = Journal(__name__)

Refusal = Ending | AuthenticationRefused | ProtocolViolation
REFUSALS: Final = (Ending, AuthenticationRefused, ProtocolViolation)


def refuse(login: Login, why: Refusal) -> None:
    """Tell the client why it is not logged in; the end of the login."""
    shown = login.server.config.settings.log_pooler_errors
    level = logging.INFO if shown else logging.DEBUG
    if isinstance(why, Ending):
        log.log(level, "login ended: %s", why.text)
        dismiss(login, fatal(why.code, why.text, why.advice))
        return
    log.log(level, "login refused: %s", why.message)
    if isinstance(why, LengthViolation):
        # As a server does: whoever counts like that does not speak its language.
        dismiss(login, b"")
    else:
        if isinstance(why, AuthenticationRefused):
            _note_offence(login)
        dismiss(login, fatal(why.sqlstate, why.message, why.hint))


def refuse_offender(login: Login) -> None:
    """Raises LoginsExceeded when too many logins from this address have failed."""
    server, sock = login.server, login.wire.sock
    (address, _), _ = endpoints(sock)
    limit = server.config.settings.max_login_failures
    if not is_local(sock) and server.offenders.are_too_many(address, limit, trio.current_time()):
        raise LoginsExceeded()


def _note_offence(login: Login) -> None:
    server, wire = login.server, login.wire
    limit = server.config.settings.max_login_failures
    if limit and not wire.closed and not is_local(wire.sock):
        server.offenders.count(endpoints(wire.sock)[0][0], limit, trio.current_time())


def dismiss(login: Login, words: bytes) -> None:
    """Leave the rest to a task: the client may take its time to read why."""
    close_own(login)
    if login.wire.closed:
        return
    login.server.lobby.leave(login)
    sock, unsent = login.wire.give_up()
    login.wire.turn = NOBODY
    login.server.clients.dismiss(sock, unsent + words)


def close_own(login: Login) -> None:
    """The client will not get what was opened for it alone."""
    if login.own is not None:
        login.own.close()
        login.own = None
