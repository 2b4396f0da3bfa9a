"""A replication client and the one backend that is its alone: bytes pass both ways as they come.

A walsender keeps its state in its connection and may stream for ever, both ways at once: there is
nothing to lend and nothing to track. So neither side's messages are read; only where those of the
server end is kept, for words of our own may stand nowhere else. When one side ends, the other one
ends, too; what had been received from the first is still sent.
"""

from __future__ import annotations

import attrs
import trio

from protocol.framing import HEADER_BYTES
from protocol.handshake import LoggedIn
from protocol.startup_message import Replication
from trio_pool.errors import Ending, SessionFailed
from trio_pool.farewell import GOODBYE_SECONDS, fatal, say
from trio_pool.journal import Journal
from trio_pool.pool import Pool
from trio_pool.pool.growth import count_own
from trio_pool.switchboard import Bell, Switchboard
from trio_pool.wire import NOBODY, UNSENT_BYTES_MAX, Socket, Turn, Wire

log = Journal(__name__)


@attrs.define(eq=False)
class OwnBackend:
    """A connection to the server of `pool` that is not among its backends, but counts in its
    limits until `close`.
    """

    number: int
    pool: Pool
    sock: Socket
    address: tuple[str, int]
    login: LoggedIn
    closed: bool = False

    def close(self) -> None:
        """Close at once. Idempotent."""
        if self.closed:
            return
        self.closed = True
        self.sock.close()
        count_own(self.pool, -1)
        log.info("backend closed backend=%d pool=%s", self.number, self.pool.name)


class Boundary:
    """Where the messages of a stream end, told from their lengths alone."""

    __slots__ = ("_left", "_header")

    def __init__(self) -> None:
        # Of the message under way: bytes to come, or the beginning of its header.
        self._left = 0
        self._header = b""

    @property
    def reached(self) -> bool:
        """What has passed ends with a whole message."""
        return not self._left and not self._header

    def passed(self, data: bytes) -> None:
        """These bytes have gone by."""
        position, end = 0, len(data)
        while position < end:
            if self._left:
                step = min(self._left, end - position)
                self._left -= step
                position += step
                continue
            taken = data[position : position + HEADER_BYTES - len(self._header)]
            position += len(taken)
            self._header += taken
            if len(self._header) == HEADER_BYTES:
                self._left = max(0, int.from_bytes(self._header[1:], "big") - 4)
                self._header = b""


class Side(Turn):
    """The turn of one of the two wires."""

    __slots__ = ("wire", "other", "boundary", "_passage")

    def __init__(self, passage: Passage, wire: Wire, boundary: Boundary | None) -> None:
        self.wire = wire
        self.other = self
        # Of what comes from this side; None where nobody asks.
        self.boundary = boundary
        self._passage = passage
        wire.turn = self

    def on_bytes(self, data: bytes) -> None:
        """Pass them on, and read no more than the other side takes."""
        if self.boundary is not None:
            self.boundary.passed(data)
        self._passage.active_at = trio.current_time()
        other = self.other.wire
        other.put(data)
        if other.unsent_bytes > UNSENT_BYTES_MAX:
            self.wire.pause()

    def on_closed(self) -> None:
        """This side says no more."""
        self._passage.end(None, self)

    def on_drained(self) -> None:
        """This side has taken everything: the other one may say more."""
        self.other.wire.resume()

    def on_failure(self, failure: Exception) -> None:
        """A bug of ours, logged by the switchboard."""
        self._passage.end(SessionFailed())


class Passage:
    """One replication connection, from its login to its end. `end` is idempotent."""

    def __init__(
        self,
        number: int,
        user: str,
        kind: Replication,
        application_name: bytes,
        wire: Wire,
        own: OwnBackend,
        cancel_key: bytes,
        switchboard: Switchboard,
    ) -> None:
        self.number = number
        self.user = user
        self.kind = kind
        self.application_name = application_name
        self.own = own
        self.pool = own.pool
        self.cancel_key = cancel_key
        self.connected_at = self.active_at = trio.current_time()
        self.ended = Bell()
        # Why it ended; None when one of the two has left.
        self.ending: Ending | None = None
        self.client = Side(self, wire, None)
        self.server = Side(self, Wire(own.sock, switchboard, NOBODY), Boundary())
        self.client.other, self.server.other = self.server, self.client
        # What is still to be said, once it has ended.
        self._last_to_client = self._last_to_server = b""
        self._client_left = False

    def end(self, why: Ending | None, left: Side | None = None) -> None:
        """Both wires leave the switchboard; the task does the rest. `left` has closed."""
        if self.ended.is_set():
            return
        self.ending = why
        self._client_left = left is self.client
        for side in (self.client, self.server):
            side.wire.turn = NOBODY
        _, self._last_to_client = self.client.wire.give_up()
        _, self._last_to_server = self.server.wire.give_up()
        boundary = self.server.boundary
        if why is not None and boundary is not None and boundary.reached:
            self._last_to_client += fatal(why.code, why.text, why.advice)
        self.ended.set()

    async def part(self) -> None:
        """Say to whoever is still there what is to be said, and close; even while we stop."""
        deadline = trio.current_time() + GOODBYE_SECONDS
        try:
            with trio.CancelScope(shield=True, deadline=deadline):
                if self._client_left and self._last_to_server:
                    await say(self.own.sock, self._last_to_server, linger=False)
                elif not self._client_left:
                    self.own.close()
                    await say(self.client.wire.sock, self._last_to_client, linger=True)
        finally:
            self.own.close()
            self.client.wire.sock.close()
