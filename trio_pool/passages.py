"""All replication connections: how they begin, who they are, and how they end.

They are clients like others to an operator (limits, tables, KILL, a cancel request), and have no
pool to wait in: each gets a connection to the server of its own, with the startup parameters that
it came with, and what that server said of itself.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import trio

from protocol.backend import authentication_ok, backend_key_data, parameter_status, ready_for_query
from protocol.startup import CancelRequest
from trio_pool.cancel import interrupt
from trio_pool.errors import Ending, QueryWaitTimeout, ShuttingDown
from trio_pool.journal import Journal
from trio_pool.passage import OwnBackend, Passage
from trio_pool.pool import Pool
from trio_pool.pool.growth import has_room_for_own

if TYPE_CHECKING:
    from trio_pool.card import Card
    from trio_pool.opening import Opener
    from trio_pool.server import Server
    from trio_pool.wire import Wire

log = Journal(__name__)

_LOOK_SECONDS: Final = 0.05
# What the pool says itself, or the server need not know.
_NOT_PASSED_ON: Final = (b"user", b"database")
_PROTOCOL_OPTION: Final = b"_pq_."


class Passages:
    """Replication clients by the process numbers that their cancel requests name."""

    def __init__(self, server: Server, opener: Opener) -> None:
        self._server = server
        self._opener = opener
        self._by_pid: dict[int, Passage] = {}

    def __contains__(self, pid: int) -> bool:
        return pid in self._by_pid

    def __iter__(self) -> Iterator[Passage]:
        return iter(list(self._by_pid.values()))

    def __len__(self) -> int:
        return len(self._by_pid)

    async def open(self, pool: Pool, card: Card) -> OwnBackend:
        """A connection to the server for this client alone; the caller closes it or seats it.

        Waits for query_wait_timeout where max_db_connections, max_user_connections or PAUSE
        stand in the way. Raises an Ending.
        """
        with trio.move_on_after(pool.limits.query_wait_timeout or float("inf")) as patience:
            # Why no queue: such clients are few, come rarely and stay long.
            while not has_room_for_own(pool):  # noqa: ASYNC110
                await trio.sleep(_LOOK_SECONDS)
        if patience.cancelled_caught:
            raise QueryWaitTimeout(hint="See max_db_connections, max_user_connections and PAUSE.")
        ignored = {name.lower().encode() for name in card.config.settings.ignore_startup_parameters}
        parameters = [
            (name, value)
            for name, value in card.message.pairs
            if name not in _NOT_PASSED_ON
            and not name.startswith(_PROTOCOL_OPTION)
            and name.lower() not in ignored
        ]
        return await self._opener.open_own(pool, tuple(parameters))

    def seat(
        self, wire: Wire, card: Card, own: OwnBackend, number: int, closing: bytes, rest: bytes
    ) -> None:
        """Tell the client that it is ready, and let bytes pass; `rest` came behind its login."""
        server, message = self._server, card.message
        pid, key = server.new_cancel_key(card.minor)
        login = own.login
        said = [parameter_status(name, value) for name, value in login.parameters.items()]
        opening = b"".join([authentication_ok(), *said, *login.notices])
        wire.put(closing + opening + backend_key_data(pid, key) + ready_for_query())
        name = message.parameters.get(b"application_name", b"")
        passage = Passage(
            *(number, card.user, message.replication, name, wire, own, key, server.switchboard)
        )
        self._by_pid[pid] = passage
        server.census.count(own.pool.database.name, card.user, +1)
        if server.config.settings.log_connections:
            log.info(
                "client connected session=%d database=%r user=%r replication=%s",
                *(number, own.pool.database.name, card.user, passage.kind.value),
            )
        server.start_soon(self._attend, passage, pid)
        if rest:
            passage.client.on_bytes(rest)
        if server.shutdown.draining:
            passage.end(ShuttingDown())

    async def _attend(self, passage: Passage, pid: int) -> None:
        """The client's task: park until the end; every way out gives back what it held."""
        try:
            await passage.ended.wait()
        finally:
            passage.end(ShuttingDown())
            del self._by_pid[pid]
            server, statistics = self._server, passage.pool.statistics
            statistics.received += passage.client.wire.received
            statistics.sent += passage.client.wire.sent
            server.census.count(passage.pool.database.name, passage.user, -1)
            try:
                if server.config.settings.log_disconnections:
                    why = passage.ending.text if passage.ending is not None else "client left"
                    log.info("client disconnected session=%d reason=%r", passage.number, why)
                await passage.part()
            except Exception:
                log.exception("a client's task failed session=%d", passage.number)
            finally:
                server.clients.left()

    def end_all(self, why: Ending, database: str = "") -> None:
        """End those of this database, or all."""
        for passage in self:
            if database in ("", passage.pool.database.name):
                passage.end(why)

    async def cancel(self, request: CancelRequest, seconds_max: float) -> None:
        """Pass a cancel request on, if its key is the right one."""
        passage = self._by_pid.get(request.pid)
        if passage is None or not hmac.compare_digest(passage.cancel_key, request.key):
            return
        own = passage.own
        if own.login.key:
            await interrupt(own.pool, own.address, own.login.pid, own.login.key, seconds_max)
