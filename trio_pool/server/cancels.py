"""Cancel requests: whose query it is that is to be cancelled, and who carries it out.

A request may be for a client of ours, the console, a replication client, a client of a peer, or
one of the process whose place we took.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

import trio

from protocol.startup import CancelRequest
from trio_pool.cancel import Target, aim, insist, shoot
from trio_pool.peers import Messenger, peer_of
from trio_pool.session import Session
from trio_pool.wire import Socket, as_stream

if TYPE_CHECKING:
    from trio_pool.server.server import Server

# Limit: cancel requests that are being carried out at once.
_AT_ONCE_MAX: Final = 64


class Cancels:
    """Those that are being carried out. Whoever sent one counts as a client until it is done."""

    def __init__(self, server: Server) -> None:
        self.messenger = Messenger()
        self._server = server
        self._limiter = trio.CapacityLimiter(_AT_ONCE_MAX)

    def start(self, sock: Socket, request: CancelRequest) -> None:
        """Carry out a cancel request; whoever sent it sees us close when that is done."""
        # Why at once: the pool may be stopped, and the session be gone, before the task runs.
        target = aim(self._session_of(request))
        self._server.start_soon(self._cancel, sock, request, target)

    async def _cancel(self, sock: Socket, request: CancelRequest, target: Target | None) -> None:
        server = self._server
        # The query may have come in the same sweep as the request, and been read after it.
        target = target or aim(self._session_of(request))
        try:
            at_console = server.consoles.interrupt(request)
            if target is not None:
                await self._shoot(target)
            async with as_stream(sock):
                await self._pass_on(request, at_console)
        finally:
            server.clients.left()

    async def _shoot(self, target: Target) -> None:
        seconds_max = self._server.config.settings.cancel_wait_timeout
        # Why shielded: what a client has asked for is done although the pool is being stopped;
        # a query that nobody waits for would go on for ever.
        with trio.CancelScope(shield=True):
            async with self._limiter:
                await shoot(target.backend, seconds_max)
        if target.recent:
            self._server.start_soon(insist, target, seconds_max)

    async def _pass_on(self, request: CancelRequest, at_console: bool) -> None:
        """Have those carry it out whose client it is, if it is not ours."""
        server, settings = self._server, self._server.config.settings
        timeout = settings.cancel_wait_timeout
        peer = peer_of(request.pid, settings.peer_id, server.config.peers)
        predecessor = server.origin.predecessor
        if peer is not None:
            async with self._limiter:
                await self.messenger.pass_on(request, peer, timeout)
        elif request.pid in server.passages:
            async with self._limiter:
                await server.passages.cancel(request, timeout)
        elif predecessor and not at_console and request.pid not in server.sessions:
            async with self._limiter:
                await predecessor.pass_on(request, timeout)

    def _session_of(self, request: CancelRequest) -> Session | None:
        session = self._server.sessions.get(request.pid)
        if session is None or not hmac.compare_digest(session.cancel_key, request.key):
            return None
        return session
