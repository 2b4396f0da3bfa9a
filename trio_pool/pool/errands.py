"""The errands on which a pool sends its own backends, between two clients of theirs.

A reset of what a session has left, the question whether a backend lives, one for code that leaves
something behind, and the round trip behind a cancel request. Whoever waits gets the backend when
the answer is there (trio_pool.errand).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocol import frontend
from trio_pool.errand import Answer, Errand
from trio_pool.journal import Journal
from trio_pool.pool.growth import grow, open_spare
from trio_pool.watch import LOOK, watch_for

if TYPE_CHECKING:
    from trio_pool.backend import Backend
    from trio_pool.pool.pool import Pool

log = Journal(__name__)

# Code made behind the pool's back is found after so long at the latest.
_LOOK_SECONDS = 300.0


def settle(pool: Pool, backend: Backend, certain: bool) -> None:
    """One cancel request has ended; `certain` when the server is known to have acted on it.

    The last one lets a backend that waited for it go on, behind one empty round trip: a
    signal that is still on its way then hits nobody's query.
    """
    backend.cancels -= 1
    if not certain:
        backend.state.spoiled = "a cancel request may still arrive"
    if backend.cancels or not backend.settling:
        return
    backend.settling = False
    if backend.state.spoiled is not None:
        pool.discard(backend)
    else:
        _send(pool, backend, Errand(lambda _: frontend.sync(), lambda _, a: a.error is None))


def doubt(pool: Pool, backend: Backend) -> None:
    """An idle backend was not heard of for server_check_delay: ask before it is lent."""
    pool.idle.remove(backend)
    pool.unchecked.append(backend)


def check(pool: Pool, backend: Backend) -> None:
    """Ask, and lend to whoever waits if the server answers."""

    def done(backend: Backend | None, answer: Answer) -> bool:
        pool.checking -= 1
        alive = answer.error is None and answer.ending is None
        if not alive:
            grow(pool)
        return alive

    pool.checking += 1
    query = (pool.settings.server_check_query or "").encode()
    _send(pool, backend, Errand(lambda _: frontend.query(query), done))


def reset(pool: Pool, backend: Backend, query: str) -> None:
    """Wipe what a session has left, then give back; a backend that will not be wiped goes."""

    def done(backend: Backend | None, answer: Answer) -> bool:
        if backend is not None and answer.error is None:
            backend.state.settings.reset()
            backend.state.statements.forget_all()
        return answer.error is None

    if pool.adversary is not None:
        pool.adversary.over(backend.holder, backend)
        pool.discard(backend)
        open_spare(pool)
        return
    if not query:
        pool.give_back(backend)
        return
    if pool.now != backend.held_since:
        # The client's lease ends here: what follows is ours.
        pool.count_lease(backend)
    _send(pool, backend, Errand(lambda _: frontend.query(query.encode()), done))


def look_again(pool: Pool) -> None:
    """Ask once in a while for code that was made where nobody here could see it (janitor)."""
    if pool.idle and pool.now - pool.looked_at > _LOOK_SECONDS:
        look(pool, pool.idle.pop(0))


def look(pool: Pool, backend: Backend) -> None:
    """Ask which code leaves something behind (trio_pool.watch), then give the backend back."""
    if pool.closed or not pool.statements.asks_early:
        pool.give_back(backend)
        return
    pool.looked_at = pool.now
    pool.statements.functions.stale = False
    # Whoever waits gets this one in a moment.
    pool.checking += 1

    def done(backend: Backend | None, answer: Answer) -> bool:
        pool.checking -= 1
        if answer.error is None and answer.ending is None:
            pool.statements.watch(watch_for(answer.rows))
        else:
            log.warning("the catalogues could not be asked for code pool=%s", pool.name)
            grow(pool)
        return True

    pool.lend(backend, Errand(lambda _: frontend.query(LOOK), done))


def _send(pool: Pool, backend: Backend, errand: Errand) -> None:
    """Our own question, which is no client's query."""
    pool.lend(backend, errand)
    backend.busy_since = 0.0
