"""Everybody who has connected: from accept, by login and session, to the end of their task."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from trio_pool.errors import ShuttingDown
from trio_pool.farewell import dismiss, part_with
from trio_pool.hooks import NO_HOOKS
from trio_pool.journal import Journal
from trio_pool.login import Arrival, Login
from trio_pool.monitor import Monitor
from trio_pool.relay import Relay
from trio_pool.session import Session
from trio_pool.statements import ClientStatements
from trio_pool.wire import NOBODY, Socket

if TYPE_CHECKING:
    from trio_pool.server.server import Server

log = Journal(__name__)


class Clients:
    """Counts them, and starts and ends what each of them is."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._count = 0
        self._numbers = 0

    def __len__(self) -> int:
        return self._count

    def admit(self, sock: socket.socket) -> None:
        """A client has connected; from here on it is one of them until it has `left`."""
        self._server.lobby.enter(Login(self._server, sock))
        self._count += 1

    def left(self) -> None:
        """One of them is gone."""
        self._count -= 1
        self._server.shutdown.stop_if_empty()

    def tend_arrivals(self, now: float) -> None:
        """Clients that have come lately: those who stay get their task, and the logins that
        have taken too long end (janitor).
        """
        self._server.newcomers.settle()
        timeout = self._server.config.settings.client_login_timeout
        if timeout:
            self._server.lobby.expire(now - timeout)

    def dismiss(self, sock: Socket, words: bytes) -> None:
        """Tell a client that will not be logged in why."""
        self._server.start_soon(self._dismiss, sock, words)

    async def _dismiss(self, sock: Socket, words: bytes) -> None:
        try:
            await dismiss(sock, words)
        finally:
            self.left()

    def new_number(self) -> int:
        """The number of another client."""
        self._numbers += 1
        return self._numbers

    def seat(self, arrival: Arrival) -> None:
        """Begin the session of a client that has been told it is ready."""
        server, pool, (pid, key) = self._server, arrival.pool, arrival.key
        relay = Relay(
            ClientStatements(server.config.settings.max_client_prepared_bytes),
            arrival.settings,
            pool.statements,
            server.classifier,
            pool.statistics.counters,
        )
        relay.process = pid.to_bytes(4, "big")
        session = Session(self.new_number(), pool, relay, arrival.wire, key)
        card = arrival.card
        session.user = card.user
        server.census.count(card.database, card.user, +1)
        server.sessions[pid] = session
        if server.hooks is not None or server.adversary is not None:
            arrival.wire.turn = Monitor(session, server.hooks or NO_HOOKS, server.adversary)
        # Why so early: from here on somebody answers for it, whatever fails.
        server.newcomers.enter(session, pid)
        if server.config.settings.log_connections:
            log.info(
                "client connected session=%d database=%r user=%r",
                *(session.number, card.database, card.user),
            )
        if server.shutdown.draining:
            session.drain(ShuttingDown())
        if arrival.rest:
            arrival.wire.turn.on_bytes(arrival.rest)

    def start_task(self, session: Session, pid: int) -> None:
        """Start the client's task, which is there until the client is gone."""
        self._server.nursery.start_soon(self._attend, session, pid, name="client")

    async def _attend(self, session: Session, pid: int) -> None:
        """The client's task: park until the session ends; every way out gives back what it held."""
        try:
            await session.ended.wait()
        finally:
            try:
                session.end(ShuttingDown())
                self.forget(session, pid)
                await part_with(session)
            except Exception:
                log.exception("a client's task failed session=%d", session.number)
                session.wire.close()
            finally:
                # Session and wire know each other: parted, they are freed at once.
                session.wire.turn = NOBODY
                self.left()

    def forget(self, session: Session, pid: int) -> None:
        """The session has ended: nobody can find it any more, and what it moved is counted."""
        del self._server.sessions[pid]
        statistics = session.pool.statistics
        statistics.received += session.wire.received
        statistics.sent += session.wire.sent
        self._server.census.count(session.pool.database.name, session.user, -1)
