"""A client that has proved who it is gets what it came for.

That is a session of a pool, once the settings it wants have been tried; the console; or, for
replication, a connection to the server of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from protocol.auth import Accepted
from protocol.backend import backend_key_data, ready_for_query
from protocol.startup_message import Replication
from trio_pool.admin.desk import visitor
from trio_pool.admin.desk import welcome as console_welcome
from trio_pool.card import Card
from trio_pool.errors import NoSuchDatabase
from trio_pool.hooks import Client, Hooks, call
from trio_pool.login.methods import at_own_console
from trio_pool.pool import Pool
from trio_pool.settings import ClientSettings
from trio_pool.trial import Wanted, greeting_for, try_settings, welcome
from trio_pool.wire import Wire, endpoints

if TYPE_CHECKING:
    from trio_pool.login.login import Login, Step

_READY: Final = ready_for_query()


@attrs.define(eq=False)
class Arrival:
    """A client that has logged in; `rest` is what it sent behind its login."""

    wire: Wire
    card: Card
    pool: Pool
    settings: ClientSettings
    key: tuple[int, bytes]
    rest: bytes


def settle(login: Login) -> Step | None:
    """Find the pool and what its server says to these settings.

    Raises NoSuchDatabase, DatabaseDisabled, ClientsExceeded, ProtocolViolation, and what the
    embedding program says no with.
    """
    accepted, server, card = login.accepted, login.server, login.said
    assert accepted is not None
    if card.at_console:
        _enter_console(login, accepted)
        return None
    pool = server.pool_for(card)
    if pool is None:
        raise NoSuchDatabase(f"no such database: {card.database}")
    server.refuse_if_full(card)
    if pool.user == card.user:
        pool.login.learn(accepted.password, accepted.keys)
        if login.found is not None:
            pool.login.secret = login.found.secret
    if card.message.replication is not Replication.NONE:
        return _pass_through(login, pool, card, accepted)
    if pool.parameters is None:
        return login.wait(welcome, pool)
    wanted = _wanted(login, card)
    greeting = greeting_for(pool, wanted)
    if greeting is None:
        return login.wait(try_settings, pool, wanted)
    if server.hooks is not None:
        _tell(login, server.hooks, card)
    server.cards.remember(card)
    key = server.new_cancel_key(card.minor)
    login.wire.put(accepted.closing + greeting.opening + backend_key_data(*key) + _READY)
    server.lobby.leave(login)
    server.clients.seat(
        Arrival(login.wire, card, pool, greeting.settings.copy(), key, login.received)
    )
    return None


def _wanted(login: Login, card: Card) -> Wanted:
    """The settings the client is to have."""
    if not card.config.settings.application_name_add_host:
        return card.wanted
    (host, port), _ = endpoints(login.wire.sock)
    values = dict(card.wanted.values)
    name = values.get(b"application_name") or b"app"
    values[b"application_name"] = name + f" - {host}:{port}".encode()
    return Wanted(values)


def _tell(login: Login, hooks: Hooks, card: Card) -> None:
    """The embedding program has a word to say. Raises the Ending that it says no with."""
    address, _ = endpoints(login.wire.sock)
    client = Client(number=0, user=card.user, database=card.database, address=address)
    call(hooks.on_authentication, client)


def _pass_through(login: Login, pool: Pool, card: Card, accepted: Accepted) -> Step | None:
    """A replication client has a backend of its own, and no session of a pool."""
    server, own = login.server, login.own
    if own is None:
        if server.hooks is not None:
            _tell(login, server.hooks, card)
        return login.wait(_open_own, login, pool, card)
    login.own = None
    server.lobby.leave(login)
    server.passages.seat(
        login.wire, card, own, server.clients.new_number(), accepted.closing, login.received
    )
    return None


async def _open_own(login: Login, pool: Pool, card: Card) -> None:
    login.own = await login.server.passages.open(pool, card)


def _enter_console(login: Login, accepted: Accepted) -> None:
    server, card = login.server, login.said
    who = visitor(server, card.user, at_own_console(login))
    key = server.new_cancel_key(card.minor)
    server.lobby.leave(login)
    sock, unsent = login.wire.give_up()
    words = unsent + accepted.closing + console_welcome(key)
    server.consoles.start(sock, words, who, key, login.received)
