"""Someone between a client's wire and its session who hears the client first.

A Monitor is the turn of the wire in the session's place; it exists only for clients of a pool
that has hooks or is adversarial, so that all others pay nothing. It changes no byte.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from trio_pool.errors import Ending
from trio_pool.hooks import Client, Hooks, call
from trio_pool.overheard import Overheard
from trio_pool.wire import Wire, endpoints

if TYPE_CHECKING:
    from trio_pool.session import Session

# Limits: texts of a client that are remembered, and how much of each.
_TEXTS_MAX: Final = 64
_TEXT_BYTES_MAX: Final = 2_000


class Monitor:
    """The turn of one client's wire, in front of its session's."""

    __slots__ = ("session", "client", "texts", "_hooks", "_heard")

    def __init__(self, session: Session, hooks: Hooks) -> None:
        self.session = session
        self.client = Client(
            number=session.number,
            user=session.user,
            database=session.pool.database.name,
            address=endpoints(session.wire.sock)[0],
        )
        # What it said last, oldest first.
        self.texts: deque[bytes] = deque(maxlen=_TEXTS_MAX)
        self._hooks = hooks
        self._heard = Overheard()

    def on_bytes(self, data: bytes) -> None:
        """The client sent bytes: those who want to know are told, then the session."""
        try:
            self._tell(data)
        except Ending as ending:
            self.session.end(ending)
            return
        self.session.on_bytes(data)

    def _tell(self, data: bytes) -> None:
        """Raises the Ending that a hook has come to."""
        session = self.session
        lent = session.backend is not None or session.waiting_since > 0
        for said in self._heard.hear(data):
            if not lent:
                lent = True
                call(self._hooks.on_lend, self.client)
            if said.text is not None:
                self.texts.append(said.text[:_TEXT_BYTES_MAX])
                if self._hooks.on_query is not None:
                    call(self._hooks.on_query, self.client, said.text.decode("utf-8", "replace"))

    def on_closed(self) -> None:
        """The client says no more."""
        self.session.on_closed()

    def on_drained(self) -> None:
        """The client has taken all bytes."""
        self.session.on_drained()

    def on_failure(self, failure: Exception) -> None:
        """A bug of ours, logged by the switchboard."""
        self.session.on_failure(failure)


def monitor_of(wire: Wire) -> Monitor | None:
    """Who listens to this wire, if anybody does."""
    turn = wire.turn
    return turn if isinstance(turn, Monitor) else None
