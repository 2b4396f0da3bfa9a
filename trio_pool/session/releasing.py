"""The end of a transaction: whether the client keeps its backend, and how it is handed on.

Law: a decision to release is made and carried out without an await in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_pool import absence
from trio_pool.backend import Backend
from trio_pool.pinned import settle_pins
from trio_pool.pool.errands import reset
from trio_pool.relay import ask_about_prepared, ask_what_is_left, detach

if TYPE_CHECKING:
    from trio_pool.session.session import Session


def release(session: Session, backend: Backend, may_linger: bool = True) -> None:
    """The transaction is over: the backend goes to whoever is next, if nothing keeps it."""
    if session.draining is not None:
        session.end(session.draining)
        return
    if session.pool.session_mode:
        _keep(session, backend)
        return
    if backend.wire.sending:
        return
    if session.relay.unasked:
        # Our own questions are no part of the client's time.
        session.pool.rest(backend)
        ask_about_prepared(session.relay, backend.state)
        session.send()
        return
    if session.relay.settings_suspect or session.relay.pins:
        if may_linger and absence.lingers(session):
            _keep(session, backend)
            return
        settle_pins(session.relay, session.number, session.pool)
        if ask_what_is_left(session.relay, backend.state):
            session.pool.rest(backend)
            session.send()
            return
        if session.relay.pins and session.pool.adversary is None:
            if not absence.leave(session, backend):
                _keep(session, backend)
            return
        absence.stop_listening(session)
    hand_on(session, backend)


def hand_on(session: Session, backend: Backend) -> None:
    """Whoever is next has the backend, clean as it is, or wiped first."""
    if not backend.wire.reading:
        backend.wire.resume()
    detach(session.relay)
    session.backend = None
    if not session.wire.reading and not session.leaving:
        session.wire.resume()
    try:
        if session.pool.resets_always:
            reset(session.pool, backend, session.pool.settings.server_reset_query)
        else:
            session.pool.give_back(backend)
    except Exception:
        # Nobody else knows of it any more.
        session.pool.discard(backend)
        raise


def _keep(session: Session, backend: Backend) -> None:
    """The transaction is over, and the backend stays."""
    session.relay.counters.kept += 1
    session.pool.rest(backend)
