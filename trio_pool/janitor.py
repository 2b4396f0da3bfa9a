"""Time: one task looks at the clock for everybody.

Timeouts are timestamps, compared once per round; nothing on the steady path sets a timer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from typing import TypeVarTuple

import trio

from protocol.backend import notice_response
from protocol.pipeline import PREPARING
from trio_pool.absence import send_away_if_idle
from trio_pool.backend import Backend
from trio_pool.errand import Errand
from trio_pool.errors import (
    ClientIdleTimeout,
    IdleTransactionTimeout,
    QueryTimeout,
    QueryWaitTimeout,
    SessionFailed,
    TransactionTimeout,
)
from trio_pool.journal import Journal
from trio_pool.pool import Pool
from trio_pool.pool.errands import doubt, look_again
from trio_pool.pool.failures import never_worked
from trio_pool.pool.growth import grow, keep_minimum, make_room
from trio_pool.session import Session

log = Journal(__name__)

Given = TypeVarTuple("Given")

ROUND_SECONDS = 0.1
# Why less often: there may be thousands of idle clients, and there are few backends.
IDLE_ROUND_SECONDS = 1.0
# Behind a Parse and its Flush drivers go on at once, on the backend that has the statement; who
# was silent for a whole round does not.
PREPARING_SECONDS = 0.15
QUEUED = notice_response(
    "NOTICE", "00000", "No server connection available in postgres backend, client being queued"
)
# Longer than any login that could still be about to use such a pool.
FORGET_SECONDS = 600.0


async def keep_time(
    pools: MutableMapping[tuple[str, str], Pool],
    sessions: Mapping[int, Session],
    tend_arrivals: Callable[[float], None],
    stands_still: Callable[[], bool],
) -> None:
    """Round after round, for ever; all of them are looked at anew each time.

    While all `stands_still` (SUSPEND) nobody is late; nor is anybody in the round behind that, in
    which what has come meanwhile is read.
    """
    idle_looked_at = trio.current_time()
    stood_still = False
    while True:
        await trio.sleep(ROUND_SECONDS)
        before, stood_still = stood_still, stands_still()
        if before or stood_still:
            continue
        now = trio.current_time()
        for name, pool in list(pools.items()):
            _guarded(tend, pool, now)
            if never_worked(pool) and now - pool.failed_at > FORGET_SECONDS:
                # Whoever may log in can ask for any number of databases that do not exist.
                del pools[name]
        if now - idle_looked_at >= IDLE_ROUND_SECONDS:
            idle_looked_at = now
            _guarded(dismiss_idle, pools.values(), sessions, now)
        _guarded(tend_arrivals, now)


def _guarded(call: Callable[[*Given], None], *given: *Given) -> None:
    """A round that fails is a bug, and no reason for there to be no more rounds."""
    try:
        call(*given)
    except Exception:
        log.exception("a round of the janitor failed")


def tend(pool: Pool, now: float) -> None:
    """Everything that time does to a pool."""
    _notify(pool, pool.tended_at, now)
    pool.now = pool.tended_at = now
    while pool.waiting and _waited_too_long(pool, now):
        pool.waiting.popleft().refused(QueryWaitTimeout())
    grow(pool)
    make_room(pool)
    look_again(pool)
    if pool.parameters is not None:
        keep_minimum(pool)
    idle = pool.settings.server_idle_timeout
    for backend in [*pool.idle, *pool.unchecked]:
        if now > backend.expires_at:
            pool.discard(backend)
        elif 0 < idle <= now - backend.idle_since:
            if len(pool.backends) > pool.limits.min_pool_size:
                pool.discard(backend)
    if pool.ear is not None:
        pool.ear.tend(now)
    if pool.settings.server_check_query is not None:
        delay = pool.settings.server_check_delay
        for backend in [backend for backend in pool.idle if now - backend.idle_since > delay]:
            doubt(pool, backend)
    for backend in list(pool.backends):
        holder = backend.holder
        if isinstance(holder, Session):
            if holder.relay.pins:
                send_away_if_idle(holder, now)
            if backend.state.pipeline.segment_open == PREPARING:
                if now - holder.active_at >= PREPARING_SECONDS:
                    holder.end_preparing()
            try:
                _check(holder, backend, now)
            except Exception:
                log.exception("a client could not be looked at session=%d", holder.number)
                holder.end(SessionFailed())
        elif isinstance(holder, Errand):
            _hurry(pool, holder, now - backend.held_since)


def _notify(pool: Pool, before: float, now: float) -> None:
    """Tell each client once that it has been waiting for query_wait_notify."""
    seconds = pool.settings.query_wait_notify
    for holder in pool.waiting if seconds else ():
        if before < holder.waiting_since + seconds <= now and isinstance(holder, Session):
            holder.wire.put(QUEUED)


def _waited_too_long(pool: Pool, now: float) -> bool:
    timeout = pool.limits.query_wait_timeout
    return 0 < timeout <= now - pool.waiting[0].waiting_since


def _hurry(pool: Pool, errand: Errand, seconds: float) -> None:
    """A server that does not answer our own question within its connect timeout is gone."""
    if 0 < pool.settings.server_connect_timeout <= seconds:
        errand.give_up(pool)


def _check(session: Session, backend: Backend, now: float) -> None:
    """Everything that time does to a client that holds a backend; all of it is off by default."""
    limits, listening = session.pool.limits, session.relay.listening
    # On its way to the ear or back it waits for us; nothing of its own has begun.
    crosses = listening is not None and listening.crossing is not None
    began = max(backend.held_since, backend.again_since)
    if 0 < limits.transaction_timeout <= now - began:
        if not session.relay.releasable and not crosses:
            session.end(TransactionTimeout())
            return
    held = now - session.active_at
    if backend.state.pipeline.owed:
        if 0 < limits.query_timeout <= held:
            session.end(QueryTimeout())
    elif 0 < limits.idle_transaction_timeout <= held and not crosses:
        if not session.relay.releasable:
            session.end(IdleTransactionTimeout())


def dismiss_idle(pools: Iterable[Pool], sessions: Mapping[int, Session], now: float) -> None:
    """End the clients that have said nothing for client_idle_timeout, where that is set."""
    if not any(pool.limits.client_idle_timeout > 0 for pool in pools):
        return
    for session in list(sessions.values()):
        timeout = session.pool.limits.client_idle_timeout
        silent = session.backend is None and not session.waiting_since
        if silent and 0 < timeout <= now - session.active_at:
            session.end(ClientIdleTimeout())
