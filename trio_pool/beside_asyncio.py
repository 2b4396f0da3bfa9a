"""A pool for asyncio programs: beside their loop, in a thread with a Trio run of its own.

Nothing of asyncio is changed; its loop only waits for the thread where a method says `await`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from trio_pool.access import Access, Address
from trio_pool.config import Config
from trio_pool.dependence import Dependence
from trio_pool.hooks import Hooks
from trio_pool.leftovers import Leftover
from trio_pool.opened import Stats
from trio_pool.threaded import ThreadedPool, pool_in_thread


class PoolBeside:
    """A pool as an asyncio program sees it; the same as `ThreadedPool`, without blocking."""

    def __init__(self, pool: ThreadedPool) -> None:
        self._pool = pool

    @property
    def access(self) -> Access:
        """Its addresses, and the URLs and environments that lead there."""
        return self._pool.access

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens: (host, port), or the path of a unix socket."""
        return self._pool.addresses

    @property
    def url(self) -> str:
        """A connection URL for its first database and user, the password included."""
        return self._pool.url

    def stats(self) -> Stats:
        """How it is doing now; waits for the pool's thread, well under a millisecond."""
        return self._pool.stats()

    def leftovers(self) -> tuple[Leftover, ...]:
        """What clients have open or have left; waits like `stats`."""
        return self._pool.leftovers()

    def dependences(self) -> dict[Dependence, int]:
        """What clients have depended on between transactions; waits like `stats`."""
        return self._pool.dependences()

    async def pause(self, database: str = "") -> None:
        """Lend no more backends; returns when all are closed. Raises OrderRefused."""
        await asyncio.to_thread(self._pool.pause, database)

    async def resume(self, database: str = "") -> None:
        """The end of `pause`. Raises OrderRefused when it was not paused."""
        await asyncio.to_thread(self._pool.resume, database)


@contextlib.asynccontextmanager
async def pool_beside_asyncio(
    target: Config | str, *, hooks: Hooks | None = None, **settings: str | float
) -> AsyncIterator[PoolBeside]:
    """`open_pool` for asyncio. Hooks are called in the pool's thread, not in the loop's."""
    block = pool_in_thread(target, read_config=None, hooks=hooks, **settings)
    pool = await asyncio.to_thread(block.__enter__)
    try:
        yield PoolBeside(pool)
    finally:
        await asyncio.shield(asyncio.to_thread(block.__exit__, None, None, None))
