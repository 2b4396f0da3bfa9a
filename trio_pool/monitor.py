"""Someone between a client's wire and its session who hears the client first.

A Monitor is the turn of the wire in the session's place; it exists only for clients of a pool
that has hooks or is adversarial, so that all others pay nothing. It changes no byte.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from protocol.tags import FrontendTag
from trio_pool.errors import Ending
from trio_pool.hooks import Client, Hooks, call
from trio_pool.overheard import Overheard, Said
from trio_pool.wire import Turn, Wire, endpoints

if TYPE_CHECKING:
    from trio_pool.adversary import Adversary
    from trio_pool.session import Session

# Limits: texts of a client that are remembered, and how much of each.
_TEXTS_MAX: Final = 64
_TEXT_BYTES_MAX: Final = 2_000


class Monitor(Turn):
    """The turn of one client's wire, in front of its session's."""

    __slots__ = (
        "session",
        "client",
        "texts",
        "next_texts",
        "parsed",
        "lost",
        "_hooks",
        "_adversary",
        "_heard",
    )

    def __init__(self, session: Session, hooks: Hooks, adversary: Adversary | None) -> None:
        self.session = session
        self.client = Client(
            number=session.number,
            user=session.user,
            database=session.pool.database.name,
            address=endpoints(session.wire.sock)[0],
        )
        # What it said last, oldest first; to an adversary only what belongs to this transaction.
        self.texts: deque[bytes] = deque(maxlen=_TEXTS_MAX)
        # What it has said already, while the server is still asked what the last one left.
        self.next_texts: deque[bytes] = deque(maxlen=_TEXTS_MAX)
        # For an adversary: names of statements that it prepared by Parse, and the texts of those
        # that did not follow it.
        self.parsed: set[bytes] = set()
        self.lost: dict[bytes, bytes] = {}
        self._hooks = hooks
        self._adversary = adversary
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
                self._texts.append(said.text[:_TEXT_BYTES_MAX])
                if self._hooks.on_query is not None:
                    call(self._hooks.on_query, self.client, said.text.decode("utf-8", "replace"))
            if self._adversary is not None:
                self._remember(said, self._adversary)

    @property
    def _texts(self) -> deque[bytes]:
        """Where a text belongs that is heard now."""
        backend = self.session.backend
        between = backend is not None and backend.state.pipeline.fresh
        return self.next_texts if between and self._adversary is not None else self.texts

    def turn_the_page(self) -> None:
        """The transaction is over."""
        self.texts, self.next_texts = self.next_texts, self.texts
        self.next_texts.clear()

    def _remember(self, said: Said, adversary: Adversary) -> None:
        """What is executed again belongs to the transaction as well."""
        if said.tag == FrontendTag.PARSE:
            self.parsed.add(said.name)
            self.lost.pop(said.name, None)
        elif said.tag == FrontendTag.BIND:
            statement = self.session.relay.client.names.get(said.name)
            if statement is not None:
                self._texts.append(statement.text[:_TEXT_BYTES_MAX])
            elif said.name in self.lost:
                adversary.missed(self, said.name)

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
