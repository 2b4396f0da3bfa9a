"""The end of a session: when a client that leaves is done, and what it gives back.

Everything goes back in one breath, on every way out (Session.end). What is clean serves the next
client; what is not goes with the session, as when a client vanishes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol.errors import ProtocolViolation
from trio_pool import absence
from trio_pool.backend import Backend
from trio_pool.errors import (
    ClientViolation,
    Ending,
    ServerBroken,
    ServerSaidFatal,
    SettingsNotRestored,
)
from trio_pool.journal import Journal
from trio_pool.pinned import end_pins
from trio_pool.pins import LOAD, WIPE
from trio_pool.pool.errands import reset
from trio_pool.relay import detach, hear_out

if TYPE_CHECKING:
    from trio_pool.session.session import Session


log = Journal(__name__)


def client_failure(failure: ProtocolViolation | Ending) -> Ending:
    """What a client is told that the session cannot go on with."""
    if isinstance(failure, ProtocolViolation):
        return ClientViolation(failure.message, failure.hint)
    return failure


def end_over(session: Session, backend: Backend, failure: ProtocolViolation | Ending) -> None:
    """The session cannot go on with what the server has said; nobody gets this backend again."""
    if isinstance(failure, ProtocolViolation):
        log.warning("backend discarded backend=%d: %s", backend.number, failure)
        backend.state.spoiled = "it broke the protocol"
        failure = ServerBroken()
    elif isinstance(failure, ServerSaidFatal):
        backend.state.spoiled = "the server ended it"
    elif isinstance(failure, SettingsNotRestored):
        backend.state.spoiled = "it could not be given its client's settings"
    else:
        backend.state.spoiled = "the session ended over what it said"
    session.send()
    session.end(failure)


def leave(session: Session) -> None:
    """The client says no more: what it has asked for is still carried out."""
    session.leaving = True
    end_if_done(session)
    if not session.ended.is_set():
        session.wire.pause()


def end_if_done(session: Session) -> None:
    """A client that leaves is gone once nothing it has asked for is outstanding."""
    backend, relay = session.backend, session.relay
    listening = relay.listening
    crossing = listening is not None and listening.crossing is not None
    if backend is None:
        if not session.waiting_since:
            session.end(None)
    elif backend.state.pipeline.copying_in or relay.up_passing > 0 or session.wire.broken:
        session.end(None)
    elif relay.hold is not None or crossing or not backend.state.pipeline.status_known():
        # What was kept back is still to be said, and what ends with a Sync to be answered.
        pass
    elif hear_out(relay):
        session.send()
    else:
        session.end(None)


def give_everything_back(session: Session) -> None:
    """Its place in the line, its backend, and what it listens to."""
    if session.waiting_since:
        session.waiting_since = 0.0
        session.pool.withdraw(session)
    backend = session.backend
    if backend is not None:
        session.backend = None
        session.quiet_end = session.quiet_end or session.relay.mid_message
        try:
            _leave_backend(session, backend)
        except Exception:
            session.pool.discard(backend)
            raise
    absence.stop_listening(session)


def _leave_backend(session: Session, backend: Backend) -> None:
    clean = session.relay.releasable and not backend.wire.sending
    if clean and session.pool.adversary is not None:
        session.pool.adversary.over(session, backend)
    # Settings nobody has read yet go with a reset, or with the backend.
    clean = clean and (not session.relay.settings_suspect or bool(session.relay.pins))
    detach(session.relay)
    _part_from(session, backend, clean)


def _part_from(session: Session, backend: Backend, clean: bool) -> None:
    # Nobody has asked which of these there are.
    backend.state.settings.make(session.relay.settings.mentioned)
    if not clean:
        # Whatever it was doing, the server rolls it back, as when a client vanishes.
        session.pool.discard(backend)
        return
    if not backend.wire.reading:
        backend.wire.resume()
    settings = session.pool.settings
    pins = session.relay.pins
    if pins:
        end_pins(session.relay, session.number, session.pool)
    if any(pin.reason == LOAD for pin in pins):
        # Nothing takes a library out of a process again.
        session.pool.discard(backend)
    elif pins:
        reset(session.pool, backend, WIPE)
    elif session.pool.session_mode or session.pool.resets_always:
        reset(session.pool, backend, settings.server_reset_query)
    else:
        session.pool.give_back(backend)
