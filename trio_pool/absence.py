"""How a session leaves its backend to others while its client listens, and comes back.

The laws are trio_pool.channels'; here is who does it when. A client that listens lingers at home
for a while after each transaction, so that a busy one does not cross all the time, but only
while the pool has idle backends for others. Everything is done in the sweep or by the janitor,
between two messages; nothing in here waits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_pool.backend import Backend
from trio_pool.channels import AWAY, HOME, LEAVING, Listening
from trio_pool.ear import Ear, tell_if_lost
from trio_pool.errors import ListenFailed
from trio_pool.pinned import begin_pin
from trio_pool.pins import LISTEN, Pin
from trio_pool.pool.caps import keep_ear, may_have_ear
from trio_pool.pool.growth import grow
from trio_pool.relay import detach
from trio_pool.relay.crossing import (
    begin_to_leave,
    frame_of,
    marks_are_heard,
    wait_for_ear,
)

if TYPE_CHECKING:
    from trio_pool.pool import Pool
    from trio_pool.session import Session

# How long a client that listens keeps a backend that nobody else needs.
LINGER_SECONDS: Final = 1.0
_ENCODING: Final = b"client_encoding"


def only_listens(session: Session) -> bool:
    """Nothing but LISTEN keeps the client's backend, and LISTEN need not."""
    shared = session.pool.statements.pin_policy.shared
    kept_by = {pin.reason for pin in session.relay.pins if not pin.over}
    own = session.pool.session_mode or session.pool.adversary is not None
    return kept_by == {LISTEN} and LISTEN in shared and not own


def lingers(session: Session) -> bool:
    """Whether the client keeps its backend for the moment, before anything is asked."""
    relay, pool = session.relay, session.pool
    if not relay.pins_suspect or relay.settings_suspect or not pool.idle:
        return False
    return session.draining is None and only_listens(session)


def send_away_if_idle(session: Session, now: float) -> None:
    """The janitor's look at a client that is pinned."""
    if not session.pool.idle or now - session.active_at >= LINGER_SECONDS:
        if only_listens(session):
            session.leave_home()


def leave(session: Session, backend: Backend) -> bool:
    """Begin to leave home, if LISTEN alone keeps the client there.

    False when that cannot be, or not yet: then the client is pinned as by everything else.
    """
    pool, relay = session.pool, session.relay
    if not only_listens(session):
        return False
    pin = next(pin for pin in relay.pins if not pin.over)
    if not pin.channels:
        # The question what it listens to was not answered.
        return False
    if not _can_share(pool, backend):
        begin_pin(pin, session.number, pool)
        return False
    listening = relay.listening
    if listening is None:
        listening = relay.listening = Listening()
    listening.channels = pin.channels
    listening.said = pin.statement
    ear = pool.ear
    if ear is None:
        ear = Ear(pool)
        keep_ear(pool, ear)
    if not ear.has_backend and backend.state.spoiled is None and not pool.paused:
        # Also when it waits for one: those who keep them may be just these clients.
        _stay_behind(session, backend, ear, listening)
        return True
    if pool.paused:
        # Nothing may stay open: the client will be told that it may have missed something.
        ear.enter(session, pin.channels)
        listening.lost = True
    elif not ear.listens_for(session, pin.channels) or not _same_server(ear, backend):
        return False
    begin_to_leave(relay, backend.state, listening)
    session.send()
    return True


def _can_share(pool: Pool, backend: Backend) -> bool:
    """Whether an ear hears what this backend would.

    With several hosts it may sit at another server. With another encoding than the login's it
    would hear other bytes.
    """
    settings = backend.state.settings
    own_encoding = settings.values.get(_ENCODING, b"")
    usual = own_encoding in (b"", settings.initial.get(_ENCODING))
    return may_have_ear(pool) and usual and len(pool.database.hosts) == 1 and not pool.closed


def _same_server(ear: Ear, backend: Backend) -> bool:
    link = ear.link
    return link is not None and link.backend is not None and link.backend.address == backend.address


def _stay_behind(session: Session, backend: Backend, ear: Ear, listening: Listening) -> None:
    """The backend goes on listening, now as the ear; the client leaves without it."""
    listening.place = AWAY
    listening.markless = True
    session.relay.settings.depart()
    session.relay.pins = ()
    detach(session.relay)
    session.backend = None
    if not session.wire.reading:
        session.wire.resume()
    if not backend.wire.reading:
        backend.wire.resume()
    ear.take_over(session, backend, listening.channels)
    grow(session.pool)


def stop_listening(session: Session) -> None:
    """The server says that the client listens to nothing, or the client has ended."""
    ear = session.pool.ear
    if ear is not None:
        ear.forget(session)


def backend_has_crossed(session: Session, listening: Listening) -> None:
    """The backend has done its part, or cannot."""
    relay = session.relay
    relay.resume = False
    session.send()
    if listening.complete:
        _arrive(session, listening)
    elif listening.answered:
        wait_for_ear(relay)
        if session.pool.ear is not None:
            session.pool.ear.awaited[session] = session.pool.now
    else:
        session.end(ListenFailed())


def mark_in_ear(session: Session, mark: bytes) -> None:
    """The ear has heard a mark of this client's."""
    listening = session.relay.listening
    crossing = None if listening is None else listening.crossing
    if listening is not None and crossing is not None and crossing.mark == mark:
        _hear_no_more_or_begin(session, listening)


def ear_lost(session: Session) -> None:
    """The ear is gone: who was not at home has missed something."""
    listening = session.relay.listening
    if listening is None or listening.place == HOME:
        return
    listening.lost = True
    if listening.crossing is not None:
        _hear_no_more_or_begin(session, listening)
    ear_confirmed(session)


def ear_confirmed(session: Session) -> None:
    """The ear listens to all that it was told to; or it is gone."""
    listening = session.relay.listening
    if listening is not None and listening.markless:
        marks_are_heard(session.relay, listening)
        session.send()


def _hear_no_more_or_begin(session: Session, listening: Listening) -> None:
    kept = listening.mark_in_ear()
    if kept:
        session.wire.put(b"".join([frame_of(note) for note in kept]))
    if listening.complete:
        _arrive(session, listening)


def _arrive(session: Session, listening: Listening) -> None:
    relay = session.relay
    if session.pool.ear is not None:
        session.pool.ear.awaited.pop(session, None)
    leaving = listening.place == LEAVING
    listening.arrive()
    relay.hold = None
    if leaving:
        relay.settings.depart()
        relay.pins = ()
        if session.pool.ear is not None and session.pool.ear.ready:
            tell_if_lost(session, listening)
        session.part()
        return
    relay.pins = (Pin(LISTEN, listening.said, channels=listening.channels),)
    relay.pins_suspect = True
    tell_if_lost(session, listening)
    if session.backend is not None:
        # Only now the client's own time begins.
        session.active_at = session.backend.again_since = session.pool.now
    session.go_on()
