"""When no backend can be opened: who is told, and when the server is tried again.

What passes by itself is tried again soon, and clients wait. What lasts (a wrong password, a
database that is not there) is told to all who wait and to all who come, until the next attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_pool.errors import Ending

if TYPE_CHECKING:
    from trio_pool.pool.pool import Pool

# The first pause after a backend could not be opened; it doubles up to server_login_retry.
_RETRY_SECONDS = 0.1


def failing(pool: Pool) -> Ending | None:
    """Why nobody gets a backend at present, when that will not change by waiting."""
    hopeless = pool.failure_lasts and not pool.backends and not pool.opening
    return pool.failure if hopeless and pool.now < retry_at(pool) else None


def may_open(pool: Pool) -> bool:
    """Whether it is the time for an attempt, if a backend is wanted."""
    return not pool.closed and not pool.paused and pool.now >= retry_at(pool)


def retry_at(pool: Pool) -> float:
    """When to try the server again: soon after a first failure, then ever later."""
    if pool.failure is None:
        return float("-inf")
    if pool.failure_lasts:
        return pool.failed_at + pool.settings.server_login_retry
    soon: float = _RETRY_SECONDS * 2 ** min(pool.failures_in_a_row, 10)
    return pool.failed_at + min(soon, pool.settings.server_login_retry)


def not_opened(pool: Pool, why: Ending, lasting: bool) -> None:
    """A backend could not be opened; `lasting` when trying again soon is no use.

    Then whoever waits is told. A server that is full, starting or unreachable is tried
    again, and clients wait as long as query_wait_timeout lets them.
    """
    pool.opening -= 1
    pool.caps.count(pool.database.name, pool.user, -1)
    pool.failure = why
    pool.failed_at = pool.now
    pool.failures_in_a_row += 1
    pool.failure_lasts = lasting
    if lasting and not pool.backends:
        refuse_waiting(pool, why)


def refuse_waiting(pool: Pool, why: Ending) -> None:
    """Nobody who waits will get a backend."""
    refused = list(pool.waiting)
    pool.waiting.clear()
    for holder in refused:
        holder.refused(why)


def never_worked(pool: Pool) -> bool:
    """No backend was ever opened, and nobody waits for one or has one of its own."""
    return pool.parameters is None and not pool.opening and not pool.waiting and not pool.owned
