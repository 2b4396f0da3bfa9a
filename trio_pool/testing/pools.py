"""Pools of a test session: started in front of a server, remembered, ended with the session."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

import attrs

from trio_pool.check import unreached
from trio_pool.hooks import Hooks
from trio_pool.opened import config_of
from trio_pool.testing.servers import url_of
from trio_pool.threaded import ThreadedPool, pool_in_thread

# Why so quiet: what is logged at INFO lands in the reports of failing tests.
_SETTINGS: Final[dict[str, str | float]] = {
    "max_client_conn": 1000,
    "log_connections": 0,
    "log_disconnections": 0,
    "log_stats": 0,
}


class StartPool(Protocol):
    """Starts a pool in front of a server (`servers.url_of` says which); it ends with the session.

    `settings` are those of an ini file.
    """

    def __call__(
        self, server: object, hooks: Hooks | None = None, **settings: str | float
    ) -> ThreadedPool: ...


class Unreachable(Exception):
    """The server of the test suite does not let us in; `str()` says why."""


@attrs.define(eq=False)
class Pools:
    """The pools that were started so far, and what ends them."""

    running: list[ThreadedPool] = attrs.field(factory=list)
    stack: contextlib.ExitStack = attrs.field(factory=contextlib.ExitStack)
    # Where the server came from, for the summary.
    how: str = ""

    def start(
        self, server: object, hooks: Hooks | None, settings: dict[str, str | float]
    ) -> ThreadedPool:
        """A pool in front of `server` (see `url_of`). Raises Unreachable, ConfigError, OSError."""
        config = config_of(url_of(server), {**_SETTINGS, **settings})
        # Why a thread: the fixture may be asked for from within somebody's event loop.
        with ThreadPoolExecutor(1) as thread:
            failures = thread.submit(unreached, config).result()
        if failures:
            raise Unreachable(f"the PostgreSQL to test with cannot be used: {'; '.join(failures)}")
        # Why hooks that call nothing: with them the pool remembers what its clients said last.
        block = pool_in_thread(config, read_config=None, hooks=hooks or Hooks())
        pool = self.stack.enter_context(block)
        self.running.append(pool)
        return pool

    def end(self) -> None:
        """End them all, newest first. Raises what had ended one before."""
        self.running.clear()
        self.stack.close()
