"""A pool inside a Trio program: `open_pool`, and what the program holds of it.

The pool is served by tasks of the program's own Trio run for as long as the block lasts. For
programs without Trio see `threaded` (blocking code) and `beside_asyncio`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator

import attrs
import trio

from trio_pool import server
from trio_pool.access import Access, Address
from trio_pool.config import Config, Settings, config_from_url
from trio_pool.config.settings import settings_from
from trio_pool.dependence import Dependence
from trio_pool.hooks import Hooks
from trio_pool.leftovers import Leftover, leftovers
from trio_pool.relay import Counters
from trio_pool.session import Session


@attrs.frozen(kw_only=True)
class Stats:
    """A pool at one moment: how many there are now, and what was counted since it started."""

    clients: int
    waiting: int
    """Clients that wait for a backend."""
    backends: int
    idle_backends: int
    pinned: int
    """Clients that keep their backend between transactions, for what they left in it."""
    unsettled: int
    """Clients that have their answer, while the server is still asked what they have left."""
    transactions: int
    queries: int
    replays: int
    """Statements prepared again on a backend that lacked them."""


@attrs.frozen
class OpenPool:
    """A pool that serves. Not to be used after its block, nor from other threads."""

    access: Access
    """Its addresses, and the URLs and environments that lead there."""
    serving: server.Serving = attrs.field(repr=False)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens: (host, port), or the path of a unix socket."""
        return self.access.addresses

    @property
    def url(self) -> str:
        """A connection URL for its first database and user, the password included."""
        return self.access.url()

    def stats(self) -> Stats:
        """How it is doing now."""
        return stats_of(self.serving.server)

    def leftovers(self) -> tuple[Leftover, ...]:
        """What clients have open or have left: transactions, and what pins them."""
        return leftovers(self.serving.server)

    def dependences(self) -> dict[Dependence, int]:
        """What clients have depended on between transactions, and how often (`adversarial`)."""
        return dependences(self.serving.server)

    async def pause(self, database: str = "") -> None:
        """Lend no more backends of `database` (of any when empty); returns when all are closed.

        Clients notice nothing but that they wait. Raises OrderRefused.
        """
        await self.serving.server.operations.pause(database)

    async def resume(self, database: str = "") -> None:
        """The end of `pause`. Raises OrderRefused when it was not paused."""
        await self.serving.server.operations.resume(database)

    def stop(self) -> None:
        """Take no new clients, and end each at its next transaction boundary."""
        self.serving.stop()


@contextlib.asynccontextmanager
async def open_pool(
    target: Config | str, *, hooks: Hooks | None = None, **settings: str | float
) -> AsyncIterator[OpenPool]:
    """Serve `target` (a Config, or the URL of a server) in this Trio run until the block ends.

    `settings` are those of an ini file and win over the target's; for a URL the port is any free
    one unless `listen_port` says otherwise. Clients that are still there at the end are told
    57P01. Raises ConfigError, and OSError when an address cannot be bound; an exception of the
    block is raised as it is.
    """
    config = config_of(target, settings)
    try:
        async with trio.open_nursery() as nursery:
            serve = functools.partial(server.serve, config, hooks=hooks)
            try:
                serving: server.Serving = await nursery.start(serve)
            except BaseExceptionGroup as group:
                raise sole(group, deep=True) from None
            yield OpenPool(Access(config, serving.addresses), serving)
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        # Why: the nursery is ours, and no business of the program's.
        raise sole(group) from None


def config_of(target: Config | str, settings: dict[str, str | float]) -> Config:
    """The configuration of a URL or of a Config, with settings that win over it.

    Raises ConfigError.
    """
    config = config_from_url(target, listen_port=0) if isinstance(target, str) else target
    if not settings:
        return config
    texts = {**config.settings.texts, **settings_from(**settings).texts}
    return attrs.evolve(config, settings=Settings(texts=texts))


def sole(group: BaseExceptionGroup[BaseException], deep: bool = False) -> BaseException:
    """The one exception of a group that holds one, else the group; `deep`: of groups in it, too."""
    if len(group.exceptions) != 1:
        return group
    only = group.exceptions[0]
    return sole(only, deep) if deep and isinstance(only, BaseExceptionGroup) else only


def _is_asked_about(session: Session) -> bool:
    pipeline = None if session.backend is None else session.backend.state.pipeline
    return pipeline is not None and bool(pipeline.owed) and pipeline.fresh


def dependences(serving: server.Server) -> dict[Dependence, int]:
    """A copy of what an adversarial pooler has found so far. Call it where the pooler runs."""
    return {} if serving.adversary is None else dict(serving.adversary.found.counts)


def stats_of(serving: server.Server) -> Stats:
    """Counts of everything there is in a pooler. Call it where the pooler runs."""
    pools = list(serving.pools.values())
    counters: Counters = serving.counters
    pinned = {left.client for left in leftovers(serving) if left.pins}
    return Stats(
        clients=len(serving.sessions),
        waiting=sum(len(pool.waiting) for pool in pools),
        backends=sum(len(pool.backends) for pool in pools),
        idle_backends=sum(len(pool.idle) + len(pool.unchecked) for pool in pools),
        pinned=len(pinned),
        unsettled=sum(_is_asked_about(session) for session in serving.sessions.values()),
        transactions=counters.transactions,
        queries=counters.queries,
        replays=counters.replays,
    )
