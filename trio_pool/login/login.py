"""One client that is not logged in yet.

What is known of it is here, for the steps that the other modules of this folder are.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVarTuple

import trio

from protocol.auth import Accepted, AuthMethod
from protocol.exchange import Exchange
from protocol.framing import FrameReader
from trio_pool.card import Card
from trio_pool.errors import ClientLoginTimeout, SessionFailed
from trio_pool.journal import Journal
from trio_pool.judges import Judge
from trio_pool.login.negotiation import negotiate
from trio_pool.login.refusal import REFUSALS, close_own, refuse
from trio_pool.login.secret import Found
from trio_pool.passage import OwnBackend
from trio_pool.wire import NOBODY, Turn, Wire

if TYPE_CHECKING:
    from trio_pool.server import Server

log = Journal(__name__)

# Limit: what a client may say behind its login before that is through.
_UNREAD_BYTES_MAX: Final = 65_536


class Login(Turn):
    """The turn of the wire of a client that is not logged in yet."""

    __slots__ = (
        "wire",
        "since",
        "server",
        "step",
        "received",
        "negotiations",
        "card",
        "exchange",
        "frames",
        "accepted",
        "found",
        "direct",
        "binding",
        "judge",
        "method",
        "own",
        "roles",
        "_waiting",
    )

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.since = trio.current_time()
        self.server = server
        # Why no bound method: it would make a cycle, which only the collector could free.
        self.step: Step = negotiate
        self.received = b""
        self.negotiations = 0
        self.card: Card | None = None
        self.exchange: Exchange[Accepted] | None = None
        self.frames: FrameReader | None = None
        self.accepted: Accepted | None = None
        self._waiting: trio.CancelScope | None = None
        # What a server knows of a user that the user list does not have, once it was asked.
        self.found: Found | None = None
        self.direct = False
        # Of the certificate that this client was shown: a reload may have brought another.
        self.binding: bytes | None = None
        # Who judges the password, if it is not a matter of a secret.
        self.judge: Judge | None = None
        self.method: AuthMethod | None = None
        # Those that the user is a member of, once somebody has asked.
        self.roles: frozenset[str] | None = None
        # A connection to the server that is to be this client's alone.
        self.own: OwnBackend | None = None
        self.wire = Wire(sock, server.switchboard, self)

    @property
    def said(self) -> Card:
        """What the client has said, and what the present configuration makes of it."""
        card, config = self.card, self.server.config
        assert card is not None
        if card.config is not config:
            card = self.card = Card(card.packet, card.message, config)
        return card

    # The turn of the wire.

    def on_bytes(self, data: bytes) -> None:
        """The stranger sent bytes."""
        self.received = self.received + data if self.received else data
        if self._waiting is None:
            self._advance()
        elif len(self.received) > _UNREAD_BYTES_MAX:
            self.wire.pause()

    def on_closed(self) -> None:
        """The stranger left; nobody is told."""
        log.debug("client left during login")
        if self._waiting is not None:
            self._waiting.cancel()
        self.server.lobby.leave(self)
        self.wire.close()
        self.wire.turn = NOBODY
        self.server.clients.left()

    def on_drained(self) -> None:
        """Everything said has been sent."""

    def on_failure(self, failure: Exception) -> None:
        """A bug of ours, logged by the switchboard."""
        refuse(self, SessionFailed())

    def expire(self) -> None:
        """The time for the login is over."""
        if self._waiting is not None:
            self._waiting.cancel()
        else:
            refuse(self, ClientLoginTimeout())

    def _advance(self) -> None:
        step: Step | None = self.step
        try:
            while step is not None:
                self.step = step
                step = step(self)
        except REFUSALS as why:
            refuse(self, why)

    # What takes more than a step.

    def wait(self, ask: Callable[[*Asked], Awaitable[None]], *asked: *Asked) -> Step | None:
        """Have a task `ask`; then the step that called this is taken again.

        Why the wire is read all the same: who leaves meanwhile is to be missed at once.
        """
        self._waiting = trio.CancelScope()
        self.server.start_soon(self._wait_for, functools.partial(ask, *asked), self._waiting)
        return None

    async def _wait_for(self, ask: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        try:
            with scope:
                await ask()
        except REFUSALS as why:
            refuse(self, why)
        except Exception:
            log.exception("a login failed")
            refuse(self, SessionFailed())
        self._waiting = None
        if self.wire.closed:
            # The client may have left just when it was opened.
            close_own(self)
            return
        if scope.cancel_called:
            refuse(self, ClientLoginTimeout())
            return
        self.wire.resume()
        self._advance()


Step = Callable[[Login], "Step | None"]
"""What is to be done next. Returns the step after it, or None: more bytes or a wait are needed."""
Asked = TypeVarTuple("Asked")
