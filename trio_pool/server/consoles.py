"""The clients of the console: each has a task, and a cancel key like others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.startup import CancelRequest
from trio_pool.admin.desk import Visit, Visitor, attend
from trio_pool.journal import Journal
from trio_pool.wire import Socket, as_stream

if TYPE_CHECKING:
    from trio_pool.server.server import Server

log = Journal(__name__)


class Consoles:
    """The visits to the console, by the process numbers that their cancel requests name."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._visits: dict[int, Visit] = {}

    def __len__(self) -> int:
        return len(self._visits)

    def __contains__(self, pid: int) -> bool:
        return pid in self._visits

    def start(
        self, sock: Socket, words: bytes, who: Visitor, key: tuple[int, bytes], rest: bytes
    ) -> None:
        """Serve a client of the console; it counts among the clients no longer."""
        self._server.clients.left()
        visit = self._visits[key[0]] = Visit(who, key[1])
        self._server.start_soon(self._attend, sock, words, visit, key[0], rest)

    async def _attend(
        self, sock: Socket, words: bytes, visit: Visit, pid: int, rest: bytes
    ) -> None:
        try:
            async with as_stream(sock) as stream:
                await attend(self._server, stream, words, visit, rest)
        except Exception:
            log.exception("a console failed")
        finally:
            del self._visits[pid]

    def interrupt(self, request: CancelRequest) -> bool:
        """Break off the order that the request is for; False when it is for no visit of ours."""
        visit = self._visits.get(request.pid)
        if visit is not None:
            visit.interrupt(request.key)
        return visit is not None
