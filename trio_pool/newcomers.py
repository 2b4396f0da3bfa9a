"""Clients that have just logged in: those who stay get a task, those who leave at once need none.

A task costs as much as the whole of a short visit, and there are applications that connect for
every query. So the pooler's own task answers for whoever has just come, until the janitor's next
round: a visit that is over by then, with nothing left to say, ends within the sweep. Everybody
else gets the task that stays to the end.

Law: whoever is in here has no task, and whoever has one is not in here. Nobody is forgotten: the
pooler starts the tasks of those who are left before its nursery ends, and a client's task cleans
up whatever comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_pool.farewell import part_at_once
from trio_pool.session import Session
from trio_pool.wire import NOBODY

if TYPE_CHECKING:
    from trio_pool.server import Server


class Newcomers:
    """The host of the sessions that have no task yet, each with its process number."""

    __slots__ = ("_server", "_young")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._young: dict[Session, int] = {}

    def enter(self, session: Session, pid: int) -> None:
        """Answer for this session, which has just begun."""
        self._young[session] = pid
        session.host = self

    def settle(self) -> None:
        """Give a task to each of them."""
        while self._young:
            session, pid = next(iter(self._young.items()))
            self._server.clients.start_task(session, pid)
            del self._young[session]
            session.host = None

    def close(self) -> None:
        """Close on those who came in the last sweep of all: no task can be started any more."""
        for session in self._young:
            session.wire.close()
            session.wire.turn = NOBODY

    def ended(self, session: Session) -> None:
        """End the visit here and now, or have a task say what there is to be said."""
        pid = self._young[session]
        if session.ending is not None or session.wire.sending:
            session.wire.pause()
            # Why in this order: where it fails, the next round tries again.
            self._server.clients.start_task(session, pid)
            del self._young[session]
            session.host = None
            return
        del self._young[session]
        session.host = None
        self._server.clients.forget(session, pid)
        part_at_once(session)
        session.wire.turn = NOBODY
        self._server.clients.left()
