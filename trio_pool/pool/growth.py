"""How many backends a pool has: when one more is opened, and when one makes room for another.

A backend is opened for each who waits and for whom none is on its way, within pool_size and the
limits of the database and the user. The opening itself waits, so it is a task of the server's
(trio_pool.opening).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_pool.pool.caps import within_caps
from trio_pool.pool.failures import may_open

if TYPE_CHECKING:
    from trio_pool.pool.pool import Pool


def grow(pool: Pool) -> None:
    """Open as many backends as are waited for and allowed."""
    while len(pool.waiting) > pool.opening + pool.checking and _has_room(pool):
        _begin_opening(pool)


def keep_minimum(pool: Pool) -> None:
    """Open what min_pool_size asks for, while there are clients to serve (janitor)."""
    short = pool.limits.min_pool_size - len(pool.backends) - pool.opening
    if short > 0 and pool.failure is None and _has_room(pool):
        _begin_opening(pool)


def open_spare(pool: Pool) -> None:
    """Who comes next finds a backend, though each serves one transaction only."""
    if not (pool.idle or pool.waiting or pool.opening) and _has_room(pool):
        _begin_opening(pool)


def _begin_opening(pool: Pool) -> None:
    pool.opening += 1
    pool.caps.count(pool.database.name, pool.user, 1)
    pool.open_soon(pool)


def _has_room(pool: Pool) -> bool:
    if not may_open(pool):
        return False
    limits = pool.limits
    if limits.pool_size and len(pool.backends) + pool.opening >= _size(pool):
        return False
    return within_caps(pool)


def _size(pool: Pool) -> int:
    """pool_size, the ear, and the reserve when someone has waited too long."""
    limits, settings = pool.limits, pool.settings
    reserve = 0
    if limits.reserve_pool_size and pool.waiting and settings.reserve_pool_timeout:
        if pool.now - pool.waiting[0].waiting_since >= settings.reserve_pool_timeout:
            reserve = limits.reserve_pool_size
    return limits.pool_size + reserve + (pool.ear is not None)


def fits(pool: Pool) -> bool:
    """There are no more backends than pool_size allows."""
    return not pool.limits.pool_size or len(pool.backends) <= pool.limits.pool_size


def make_room(pool: Pool) -> None:
    """Where no idle backend suits whoever waits, the one that was idle for longest goes."""
    if pool.idle and must_make_room(pool):
        pool.discard(pool.idle[0])


def must_make_room(pool: Pool) -> bool:
    """Whether someone waits for whom no backend can be opened before another is closed."""
    if len(pool.waiting) <= pool.opening + pool.checking or not may_open(pool):
        return False
    return not _has_room(pool)


def has_room_for_own(pool: Pool) -> bool:
    """Whether a client may have a connection to the server for itself alone now.

    Idle backends that stand in its way are closed.
    """
    if pool.closed or pool.paused:
        return False
    while not within_caps(pool) and pool.idle:
        pool.discard(pool.idle[0])
    return within_caps(pool)


def count_own(pool: Pool, change: int) -> None:
    """A client has one such connection more or less; it is none of the pool's backends."""
    pool.caps.count(pool.database.name, pool.user, change)
    pool.owned += change
    if change < 0:
        grow(pool)
