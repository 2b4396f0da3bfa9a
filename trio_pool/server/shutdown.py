"""The end, which nests: no new clients, then every client at its next boundary, then the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from trio_pool.errors import ShuttingDown

if TYPE_CHECKING:
    from trio_pool.server.server import Server


class Shutdown:
    """How far it has come, and how it goes on."""

    def __init__(self, server: Server) -> None:
        # Sessions end at their next transaction boundary.
        self.draining = False
        # No new clients are taken, and the end is near.
        self.stopping = False
        # Nobody needs us any more.
        self.finished = trio.Event()
        self._server = server

    def drain(self) -> None:
        """Stop taking clients; end each at its next transaction boundary, and then stop."""
        self.drain_sessions()
        self.stop_when_empty()

    def drain_sessions(self) -> None:
        """The same, without the stop that follows when no client is here."""
        self.draining = True
        self.close_entrance()
        for session in list(self._server.sessions.values()):
            session.drain(ShuttingDown())
        # A stream has no boundary at which it could end, and may go on for ever.
        self._server.passages.end_all(ShuttingDown())

    def close_entrance(self) -> None:
        """Stop taking clients; who comes now is refused, or served by a successor."""
        if not self.stopping:
            self._server.origin.manager.stopping()
        self.stopping = True
        self._server.entrances.close()

    def stop_when_empty(self) -> None:
        """Take no clients, and stop when those that are here have left."""
        self.close_entrance()
        self.stop_if_empty()

    def stop_if_empty(self) -> None:
        """The end, if it was asked for and nobody needs us any more.

        Cancel requests for a predecessor's clients come by us: it ends first, unless we hurry.
        """
        predecessor = self._server.origin.predecessor
        needed = predecessor is not None and not predecessor.gone and not self.draining
        if self.stopping and not len(self._server.clients) and not needed:
            self.finished.set()

    async def see_off_predecessor(self) -> None:
        """Serve in the place of another process, and wait for its end."""
        predecessor = self._server.origin.predecessor
        if predecessor is not None:
            await predecessor.see_off()
            self.stop_if_empty()

    def stop_now(self) -> None:
        """Stop in the middle of whatever is going on."""
        self._server.nursery.cancel_scope.cancel()
