"""One client of the console: welcomed, listened to, and seen off.

A console is a task of its own and no wire of the switchboard: it waits a lot and talks little,
and it must be served while everything else is suspended.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final

import attrs
import trio

from protocol import backend
from protocol.errors import ProtocolViolation
from protocol.framing import FrameReader
from trio_pool.conduct import PeerClosed, next_message
from trio_pool.config import AuthType
from trio_pool.console import Answer, Command, Conversation, Failure, converse
from trio_pool.console.driver_talk import PARAMETERS
from trio_pool.console.tables import ADMIN_ONLY
from trio_pool.errors import NotAllowed
from trio_pool.handover import Channel, send_with
from trio_pool.journal import Journal

if TYPE_CHECKING:
    from trio_pool.server import Server

log = Journal(__name__)

OWNER: Final = "pgbouncer"
# Limit: no command is longer.
_MESSAGE_BYTES_MAX: Final = 1_048_576


@attrs.frozen
class Visitor:
    """Who sits at the console, and whether they may do more than look."""

    user: str
    is_admin: bool
    is_owner: bool = False
    """It is our own account, over the unix socket."""


class Visit:
    """A visitor at work; what it waits for can be interrupted with its cancel key."""

    def __init__(self, who: Visitor, cancel_key: bytes) -> None:
        self.who = who
        # Where a process that takes our place has cancel requests carried out.
        self.channel: Channel | None = None
        # It was sent our listening sockets: its SHUTDOWN means that it serves in our place.
        self.has_our_sockets = False
        self._cancel_key = cancel_key
        self._waiting: trio.CancelScope | None = None

    def interrupt(self, key: bytes) -> None:
        """Break off what this visitor waits for, if `key` is the right one."""
        if self._waiting is not None and hmac.compare_digest(self._cancel_key, key):
            self._waiting.cancel()

    async def wait_for(self, order: Awaitable[Answer]) -> Answer:
        """The answer to an order, or that it was broken off."""
        with trio.CancelScope() as self._waiting:
            return await order
        return Failure("canceling statement due to user request", "57014")


def is_owner(user: str, account: int | None) -> bool:
    """Whether this client needs no password: `account`, at its end of a unix socket, is ours."""
    return user == OWNER and account == os.getuid()


def visitor(server: Server, user: str, owner: bool = False) -> Visitor:
    """What `user`, who has proved it, may do. Raises NotAllowed."""
    settings = server.config.settings
    if owner or user in settings.admin_users:
        return Visitor(user, is_admin=True, is_owner=owner)
    if user in settings.stats_users:
        return Visitor(user, is_admin=False)
    if settings.auth_type is AuthType.ANY:
        return Visitor(user, is_admin=False)
    raise NotAllowed()


def welcome(key: tuple[int, bytes]) -> bytes:
    """AuthenticationOk and all that follows it."""
    reports = [backend.parameter_status(name, value) for name, value in PARAMETERS.items()]
    return b"".join(
        [
            backend.authentication_ok(),
            *reports,
            backend.backend_key_data(*key),
            backend.ready_for_query(),
        ]
    )


async def attend(
    server: Server, stream: trio.abc.Stream, words: bytes, visit: Visit, rest: bytes
) -> None:
    """Say `words`, then serve until the client leaves; `rest` is what came behind its login."""
    reader = FrameReader(_MESSAGE_BYTES_MAX)
    reader.feed(rest)
    try:
        await stream.send_all(words)
        await _talk(server, stream, reader, visit)
    except ProtocolViolation as violation:
        text = backend.error_response("FATAL", violation.sqlstate, violation.message)
        with trio.move_on_after(1):
            await stream.send_all(text)
    except (PeerClosed, trio.BrokenResourceError):
        log.debug("a client of the console left without a word")
    finally:
        if server.operations.suspended and len(server.consoles) == 1:
            log.info("the last console left while all is suspended: going on")
            server.operations.end_suspension()


async def _talk(server: Server, stream: trio.abc.Stream, reader: FrameReader, visit: Visit) -> None:
    talk = Conversation()
    conversation = converse(talk)
    try:
        wanted = next(conversation)
        while True:
            if wanted is not None:
                wanted = conversation.send(await _answer(server, visit, wanted))
                continue
            if talk.out:
                await _send(server, stream, visit, talk.take_output())
            afterwards, server.operations.afterwards = server.operations.afterwards, None
            if afterwards is not None:
                afterwards()
            wanted = conversation.send(await next_message(stream, reader))
    except StopIteration:
        return


async def _send(server: Server, stream: trio.abc.Stream, visit: Visit, data: bytes) -> None:
    """Send an answer, with the descriptors that belong to it."""
    channel, visit.channel = visit.channel, None
    if channel is None or not isinstance(stream, trio.SocketStream):
        await stream.send_all(data)
        return
    sockets = [sock.fileno() for sock in server.entrances.listeners]
    try:
        await send_with(stream, data, [*sockets, channel.descriptor])
    finally:
        channel.sent()
    visit.has_our_sockets = True


async def _answer(server: Server, visit: Visit, command: Command) -> Answer:
    who = visit.who
    if command.verb == "SHOW":
        table = command.argument.upper()
        if table == "FDS" and who.is_owner:
            visit.channel = server.entrances.open_channel()
        if who.is_admin or table not in ADMIN_ONLY:
            return server.operations.show(table)
    elif who.is_admin:
        if command.verb == "SHUTDOWN" and visit.has_our_sockets:
            server.entrances.succeeded = True
        return await visit.wait_for(server.operations.carry_out(command))
    return Failure("admin access needed", "42501", f"Add {who.user!r} to admin_users to allow it.")
