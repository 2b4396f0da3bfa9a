"""The life of a pooler, from the first listener to the end of its nursery."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable

import attrs
import trio

from trio_pool.admin.signals import obey_signals
from trio_pool.admin.statistics import keep_books
from trio_pool.config import Config
from trio_pool.hooks import Hooks
from trio_pool.janitor import keep_time
from trio_pool.listener import Address, addresses_of, adopt, open_listeners
from trio_pool.origin import Origin
from trio_pool.pool import closing
from trio_pool.relay import Counters
from trio_pool.server.server import Server
from trio_pool.switchboard import Switchboard
from trio_pool.web.extra import require_http


@attrs.frozen(eq=False)
class Serving:
    """What `serve` has started: where it listens, what it counts, and how to stop it."""

    addresses: tuple[Address, ...]
    server: Server = attrs.field(repr=False)

    @property
    def counters(self) -> Counters:
        """What all relays have counted together."""
        return self.server.counters

    def stop(self) -> None:
        """Take no new clients and end each at its next transaction boundary."""
        self.server.shutdown.drain()


async def serve(
    config: Config,
    *,
    signals: bool = False,
    read_config: Callable[[], Config] | None = None,
    dedicated: bool = False,
    hooks: Hooks | None = None,
    origin: Origin | None = None,
    task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve `config` until cancelled or drained; started with a `Serving`.

    With `signals`, those of PgBouncer are obeyed (trio_pool.admin.signals). `read_config` is
    what RELOAD and SIGHUP call, in a thread, for a new configuration; it may raise ConfigError.
    With `dedicated` the pool expects to be alone in this Trio run: it is faster at that, and may
    keep other tasks waiting for a millisecond or two. `hooks` are the embedding program's. `origin`
    is for a process that a service manager has started, or that takes the place of another one.
    Raises OSError when an address cannot be bound, and Endings for a configuration that cannot
    be served; ConfigError when it wants a package that is not installed.
    """
    require_http(config.settings)
    switchboard = Switchboard(dedicated)
    with contextlib.ExitStack() as stack:
        stack.callback(switchboard.close)
        async with trio.open_nursery() as nursery:
            server = Server(config, nursery, switchboard, read_config, hooks, origin)
            # Why behind all tasks: one more sweep may come after the closing below.
            stack.callback(server.lobby.close)
            stack.callback(server.newcomers.close)
            if signals:
                nursery.start_soon(obey_signals, server)
            try:
                await _serve(server, nursery, task_status)
            finally:
                server.entrances.close_channels()
                server.lobby.close()
                server.newcomers.settle()
                with trio.CancelScope(shield=True):
                    await server.lookups.close()
                for pool in server.pools.values():
                    closing.close(pool)
            nursery.cancel_scope.cancel()


async def _serve(
    server: Server, nursery: trio.Nursery, task_status: trio.TaskStatus[Serving]
) -> None:
    origin, settings = server.origin, server.config.settings
    given = origin.predecessor.sockets if origin.predecessor else origin.sockets
    listeners = adopt(given, settings) if given else await open_listeners(settings)
    addresses = addresses_of(listeners)
    server.entrances.callback(server.entrances.forget_files, addresses)
    for listener in listeners:
        server.entrances.open(listener)
    try:
        nursery.start_soon(server.suspension.turn)
        nursery.start_soon(keep_books, server)
        nursery.start_soon(
            keep_time,
            server.pools,
            server.sessions,
            server.clients.tend_arrivals,
            server.suspension.stands_still,
        )
        if settings.http_listen_addr:
            await _start_http(server, nursery)
        task_status.started(Serving(addresses, server))
        origin.manager.ready()
        if origin.manager.watchdog_seconds:
            nursery.start_soon(origin.manager.keep_watched)
        nursery.start_soon(server.shutdown.see_off_predecessor)
        await server.shutdown.finished.wait()
    finally:
        server.entrances.close()


async def _start_http(server: Server, nursery: trio.Nursery) -> None:
    from trio_pool.web.service import serve_http

    if server.origin.predecessor is None:
        await nursery.start(serve_http, server)
    else:
        # It has the address until it is told that we serve, and goes on with its clients.
        nursery.start_soon(functools.partial(serve_http, server, patient=True))
