"""One client after its login: its relay, its wire, and the backend it may hold.

The methods are called from the sweep: they never wait. `end` is the one way out, idempotent;
the session's task (trio_pool.server) then wakes, says goodbye and closes. A session that is too
young to have a task is left to its `host`.
"""

from __future__ import annotations

from typing import Protocol

from protocol.errors import ProtocolViolation
from trio_pool import absence
from trio_pool.backend import Backend, Holder
from trio_pool.customs import sets_first
from trio_pool.errors import (
    Ending,
    ServerSaidFatal,
    SessionFailed,
    SettingsNotRestored,
    StatementModeTransaction,
)
from trio_pool.journal import Journal
from trio_pool.pool import Pool
from trio_pool.relay import (
    Relay,
    asks,
    attach,
    detach,
    end_segment,
    has_prepared,
    proceed,
    take_back,
    take_from_client,
    take_from_server,
)
from trio_pool.session.ending import (
    client_failure,
    end_if_done,
    end_over,
    give_everything_back,
    leave,
)
from trio_pool.session.releasing import hand_on, release
from trio_pool.switchboard import Bell
from trio_pool.wire import UNSENT_BYTES_MAX, Wire

log = Journal(__name__)

# Client bytes kept while it waits for a backend or an answer; beyond, it is not read from.
_KEPT_BYTES_MAX = 65_536


class Host(Protocol):
    """Who answers for a session that has no task yet."""

    def ended(self, session: Session) -> None:
        """It has ended, and has given everything back but its wire."""


class Session(Holder):
    """The turn of a client's wire, and a holder of backends."""

    __slots__ = (
        "number",
        "cancel_key",
        "user",
        "connected_at",
        "pool",
        "relay",
        "wire",
        "backend",
        "active_at",
        "draining",
        "leaving",
        "ended",
        "host",
        "ending",
        "quiet_end",
    )

    def __init__(
        self,
        number: int,
        pool: Pool,
        relay: Relay,
        wire: Wire,
        cancel_key: bytes,
    ) -> None:
        super().__init__()
        self.number = number
        self.cancel_key = cancel_key
        # Who logged in; backends may be another's (user= of a database).
        self.user = pool.user
        self.connected_at = pool.now
        self.pool = pool
        self.relay = relay
        self.backend: Backend | None = None
        self.active_at = pool.now
        self.draining: Ending | None = None
        # The client has said its last: what it has asked for is still carried out.
        self.leaving = False
        self.ended = Bell()
        # Who is told of the end while no task waits for it.
        self.host: Host | None = None
        # Why it ended; None when the client simply left.
        self.ending: Ending | None = None
        # The client sits in the middle of a message: no word of ours can reach it.
        self.quiet_end = False
        self.wire = wire
        wire.turn = self

    # The client's wire.

    def on_bytes(self, data: bytes) -> None:
        """The client sent bytes."""
        relay = self.relay
        self.active_at = self.pool.now
        if relay.pins:
            relay.pins_suspect = True
        backend = self.backend
        try:
            if backend is None:
                if self.pool.idle and not relay.parts and asks(data):
                    self._borrow()
            elif not backend.busy_since:
                self.pool.go_on(backend)
            take_from_client(relay, data)
        except (ProtocolViolation, Ending) as failure:
            self.send()
            self.end(client_failure(failure))
            return
        self._carry_on()

    def _borrow(self) -> None:
        """A backend is idle: the client has it before it knows that it needs it."""
        customs = self.relay.settings.customs
        pool = self.pool
        backend = pool.lend_alike(self, customs) if customs else pool.lend_idle(self)
        if backend is None:
            return
        self.backend = backend
        attach(self.relay, backend.state)

    def on_closed(self) -> None:
        """The client says no more; as at a server, what it has said before still counts."""
        if self.leaving or self.wire.broken:
            self.end(None)
        else:
            leave(self)

    def on_drained(self) -> None:
        """The client has taken all bytes."""
        if self.backend is not None:
            self.backend.wire.resume()

    def on_failure(self, failure: Exception) -> None:
        """A bug of ours, logged by the switchboard."""
        self.end(SessionFailed())

    def _carry_on(self) -> None:
        """Send what the relay has decided, and give it what it asks for."""
        relay = self.relay
        if relay.wants_backend and self.backend is None:
            if relay.to_client:
                self.send()
            if self.waiting_since == 0.0:
                self.pool.request(self)
            elif relay.parts_bytes > _KEPT_BYTES_MAX:
                self.wire.pause()
            return
        self.send()
        if relay.goodbye and not self.leaving:
            leave(self)
            return
        if relay.hold is not None and relay.parts_bytes > _KEPT_BYTES_MAX:
            self.wire.pause()

    def send(self) -> None:
        """Put both directions, and stop reading from whoever is faster than the other."""
        # Why `take` only where there is more than one piece: nearly always there is not.
        relay, backend = self.relay, self.backend
        outbox = relay.to_client
        first = outbox.first
        if first is not None:
            if outbox.others is None:
                outbox.first = None
            else:
                first = outbox.take()
            self.wire.put(first)
            if self.wire.unsent_bytes > UNSENT_BYTES_MAX and backend is not None:
                backend.wire.pause()
        outbox = relay.to_server
        first = outbox.first
        if first is not None and backend is not None:
            if outbox.others is None:
                outbox.first = None
            else:
                first = outbox.take()
            backend.wire.put(first)
            if backend.wire.unsent_bytes > UNSENT_BYTES_MAX:
                self.wire.pause()

    # The backend.

    def suits(self, backend: Backend) -> bool:
        """Whether all custom settings that this backend knows are the client's own.

        Or will be, by the first thing that it says there.
        """
        relay = self.relay
        strange = backend.state.settings.customs - relay.settings.customs
        if not strange or self.pool.shares_customs:
            return True
        return bool(relay.parts) and sets_first(strange, relay.parts[0])

    def granted(self, backend: Backend) -> None:
        """A backend is ours: what the client has been waiting to say is said now."""
        self.backend = backend
        self.waiting_since = 0.0
        self.active_at = self.pool.now
        if not self.wire.reading and not self.leaving:
            self.wire.resume()
        try:
            attach(self.relay, backend.state)
        except (ProtocolViolation, Ending) as failure:
            self.end(client_failure(failure))
            return
        self._carry_on()
        if self.leaving:
            # No Sync may ever come that would end the lease.
            end_if_done(self)

    def heard(self, data: bytes) -> None:
        """The server sent bytes for this client."""
        relay, backend = self.relay, self.backend
        if backend is None:
            return
        self.active_at = self.pool.now
        try:
            take_from_server(relay, data)
        except (ProtocolViolation, Ending) as failure:
            if isinstance(failure, SettingsNotRestored) and take_back(relay):
                self._try_another(backend)
            else:
                end_over(self, backend, failure)
            return
        if relay.server_gone:
            end_over(self, backend, ServerSaidFatal())
            return
        if relay.resume:
            self._resume()
            if self.backend is not backend:
                return
        if relay.to_client.first is not None or relay.to_server.first is not None:
            self.send()
        if self.leaving:
            end_if_done(self)
        elif relay.releasable:
            release(self, backend)
        elif not backend.state.pipeline.owed:
            self.pool.rest(backend)
            if self.pool.statement_mode and self._in_transaction(backend):
                self.end(StatementModeTransaction())

    def _try_another(self, backend: Backend) -> None:
        """What the client said was not done on this backend, and waits for another one."""
        self.backend = None
        self.pool.discard(backend)
        detach(self.relay)
        self._carry_on()

    def _resume(self) -> None:
        listening = self.relay.listening
        if listening is not None and listening.crossing is not None:
            absence.backend_has_crossed(self, listening)
        else:
            self._proceed()

    def _proceed(self) -> None:
        if not self.wire.reading and not self.leaving:
            self.wire.resume()
        backend = self.backend
        if backend is not None and self.pool.adversary is not None and self.relay.releasable:
            # What the client has said since belongs to its next transaction.
            # Hazard: asked of `self`, the compiler would believe that nobody takes it away.
            release(self, backend)
            if self.backend is None and not self.ended.is_set():
                self.on_bytes(b"")
            return
        try:
            proceed(self.relay)
        except (ProtocolViolation, Ending) as failure:
            self.send()
            self.end(client_failure(failure))
            return
        self._carry_on()

    @staticmethod
    def _in_transaction(backend: Backend) -> bool:
        pipeline = backend.state.pipeline
        return not pipeline.owed and not pipeline.segment_open and pipeline.status == ord("T")

    def go_on(self) -> None:
        """The client is at home again: what it has been waiting to say is said now."""
        self._proceed()
        if self.leaving and not self.ended.is_set():
            end_if_done(self)

    def part(self) -> None:
        """The pool's ear listens for the client: the backend goes to whoever is next."""
        backend = self.backend
        assert backend is not None
        if self.draining is not None:
            self.end(self.draining)
            return
        hand_on(self, backend)
        if self.relay.parts:
            self.on_bytes(b"")
        if self.leaving and not self.ended.is_set():
            end_if_done(self)

    def leave_home(self) -> None:
        """The client has lingered long enough, if it is at rest now."""
        backend = self.backend
        if backend is not None and self.relay.releasable and self.relay.pins:
            release(self, backend, may_linger=False)

    def end_preparing(self) -> None:
        """The client is silent; if it has only prepared, its backend need not wait for it."""
        relay = self.relay
        if self.backend is None or self.pool.session_mode or not has_prepared(relay):
            return
        if relay.pins and not absence.only_listens(self):
            # It would keep the backend anyway.
            return
        end_segment(relay)
        self.send()

    def mark_heard(self, mark: bytes) -> None:
        """The pool's ear has heard a mark of this client's."""
        absence.mark_in_ear(self, mark)

    def ear_confirmed(self) -> None:
        """The pool's ear listens to all that it was told to."""
        absence.ear_confirmed(self)

    def ear_lost(self) -> None:
        """The pool's ear is gone."""
        absence.ear_lost(self)

    def backend_drained(self) -> None:
        """The server has taken all bytes: the client may send more."""
        if not self.leaving:
            self.wire.resume()
        backend = self.backend
        if backend is not None and self.relay.releasable:
            release(self, backend)

    def backend_lost(self, why: Ending) -> None:
        """The backend died under this client (and is discarded already)."""
        self.backend = None
        if self.relay.backend is not None:
            detach(self.relay)
        self.quiet_end = self.relay.mid_message
        self.end(why)

    def refused(self, why: Ending) -> None:
        """There will be no backend."""
        self.waiting_since = 0.0
        self.end(why)

    def no_longer_waits(self) -> None:
        """What it waited with was refused: it leaves the line, and goes on with what follows."""
        self.waiting_since = 0.0
        self.pool.withdraw(self)
        self.send()
        self.on_bytes(b"")

    # The end.

    def drain(self, why: Ending) -> None:
        """End at the next transaction boundary, which may be now."""
        self.draining = why
        if self.backend is None or self.relay.releasable:
            self.end(why)

    def end(self, why: Ending | None) -> None:
        """Give everything back at once; the session's task does the rest. Idempotent."""
        if self.ended.is_set():
            return
        self.ending = why
        try:
            give_everything_back(self)
        except Exception:
            log.exception("the end of a session failed session=%d", self.number)
            self.ending = SessionFailed()
        self.ended.set()
        if self.host is not None:
            self.host.ended(self)
        else:
            self.wire.pause()
