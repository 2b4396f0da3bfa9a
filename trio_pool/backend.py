"""One of our connections to a PostgreSQL server.

A backend is idle in its pool, held by exactly one Holder, or settling after a cancel. What it
owes is read off its ledger (BackendState.pipeline), never off a flag here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.backend import decode_error_response, decode_parameter_status
from protocol.errors import ProtocolViolation
from protocol.framing import FrameReader
from protocol.handshake import LoggedIn
from protocol.tags import BackendTag
from trio_pool.errors import BackendLost, Ending, SessionFailed
from trio_pool.journal import Journal
from trio_pool.relay import BackendState
from trio_pool.settings import BackendSettings
from trio_pool.switchboard import Switchboard
from trio_pool.wire import Socket, Turn, Wire, endpoints

if TYPE_CHECKING:
    from trio_pool.pool import Pool

log = Journal(__name__)


class Holder(Turn):
    """Whoever holds a backend, or waits for one: a session, or somebody of the pool's own.

    Why a class and no Protocol: as Turn. Why a Turn: a session is both.
    """

    __slots__ = ("waiting_since",)

    def __init__(self) -> None:
        # By the janitor's clock; 0.0: it waits for none.
        self.waiting_since = 0.0

    def suits(self, backend: Backend) -> bool:
        """Whether you may be given this one, which knows custom settings (trio_pool.customs)."""
        return True

    def granted(self, backend: Backend) -> None:
        """The backend is yours until you give it back to its pool."""

    def heard(self, data: bytes) -> None:
        """The server sent bytes."""

    def backend_drained(self) -> None:
        """All that was put to the server has been sent."""

    def backend_lost(self, why: Ending) -> None:
        """The backend is gone; it has been discarded already."""

    def refused(self, why: Ending) -> None:
        """There will be no backend."""


class Backend(Turn):
    """A logged-in connection; its wire's turn."""

    __slots__ = (
        "number",
        "pool",
        "wire",
        "state",
        "pid",
        "key",
        "address",
        "holder",
        "opened_at",
        "expires_at",
        "idle_since",
        "held_since",
        "again_since",
        "busy_since",
        "resting_since",
        "cancels",
        "settling",
        "blamed",
    )

    def __init__(
        self,
        number: int,
        pool: Pool,
        sock: Socket,
        address: tuple[str, int],
        login: LoggedIn,
        now: float,
        switchboard: Switchboard,
    ) -> None:
        self.number = number
        self.pool = pool
        self.state = BackendState(pool.statements_max, BackendSettings(login.parameters))
        self.pid = login.pid
        self.state.process = login.pid.to_bytes(4, "big")
        self.key = login.key
        self.address = address
        self.holder: Holder | None = None
        self.opened_at = now
        self.expires_at = now
        self.live_for(pool.limits.server_lifetime)
        self.idle_since = now
        self.held_since = now
        # When a client that keeps it began its present transaction; before `held_since`: the first.
        self.again_since = now
        # By the sweeps' clock: when the present query came, and when the last one ended that
        # left a transaction open. 0.0: there is none.
        self.busy_since = 0.0
        self.resting_since = 0.0
        # Cancel requests on their way to this backend: it must not change hands meanwhile.
        self.cancels = 0
        self.settling = False
        # Whose replies were being heard when a bug showed: it may have lost the backend already.
        self.blamed: Holder | None = None
        self.wire = Wire(sock, switchboard, self)

    @property
    def server_address(self) -> str:
        """Where its server really is; empty over a unix socket, and once it is gone."""
        host = endpoints(self.wire.sock)[0][0]
        return "" if host == "unix" else host

    def live_for(self, lifetime: float) -> None:
        """It is to be closed `lifetime` seconds after it was opened; 0: never."""
        self.expires_at = self.opened_at + lifetime if lifetime > 0 else float("inf")

    def on_bytes(self, data: bytes) -> None:
        """Replies for the holder; what comes while idle is nobody's."""
        holder = self.holder
        if holder is not None:
            try:
                holder.heard(data)
            except Exception:
                self.blamed = holder
                raise
        else:
            self._idle_bytes(data)

    def _idle_bytes(self, data: bytes) -> None:
        """A server may report settings and notices at any time; anything else spoils it."""
        reader = FrameReader(len(data))
        reader.feed(data)
        try:
            while (frame := reader.next_frame()) is not None:
                tag, body = frame
                if tag == BackendTag.PARAMETER_STATUS:
                    status = decode_parameter_status(body)
                    self.state.settings.reported(status.name, status.value)
                elif tag != BackendTag.NOTICE:
                    self._log_end(tag, body)
                    self.pool.discard(self)
                    return
        except ProtocolViolation as violation:
            log.warning("idle backend sent nonsense backend=%d: %s", self.number, violation)
            self.pool.discard(self)

    def _log_end(self, tag: int, body: bytes) -> None:
        said = decode_error_response(body).get("M") if tag == BackendTag.ERROR else None
        text = (said or b"").decode("utf-8", "replace")
        log.info("idle backend ended backend=%d type=%d %s", self.number, tag, text)

    def on_closed(self) -> None:
        """The server is gone."""
        holder = self.holder
        self.pool.discard(self)
        if holder is not None:
            holder.backend_lost(BackendLost())

    def on_drained(self) -> None:
        """The server has taken all bytes: the holder may send more."""
        if self.holder is not None:
            self.holder.backend_drained()

    def on_failure(self, failure: Exception) -> None:
        """A bug: this backend cannot be trusted any more, and its holder is told."""
        holder = self.holder or self.blamed
        self.blamed = None
        try:
            self.pool.discard(self)
        finally:
            if holder is not None:
                holder.backend_lost(SessionFailed())
