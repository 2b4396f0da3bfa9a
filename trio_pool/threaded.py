"""A pool for programs that know nothing of Trio: in a thread, for as long as a block lasts.

The pool has a thread and a `trio.run` of its own, so that blocking code, asyncio and Trio can
all talk to it from the thread they are in. This is how test suites embed one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

import trio

from trio_pool import server
from trio_pool.config import Config

_START_SECONDS_MAX: Final = 30.0
_STOP_SECONDS_MAX: Final = 30.0


@contextlib.contextmanager
def pool_in_thread(
    config: Config, read_config: Callable[[], Config] | None = None
) -> Iterator[server.Serving]:
    """Serve `config` until the block ends; `Serving.addresses` says where.

    `read_config` is what RELOAD of the console calls for a new configuration.

    Raises what kept the pool from starting, and at the end of the block what ended it early.
    """
    thread = _PoolThread(config, read_config)
    thread.start()
    try:
        yield thread.wait_until_listening()
    finally:
        thread.stop()


class _PoolThread:
    """One `trio.run` in a thread, with its end and its failure handed back."""

    def __init__(self, config: Config, read_config: Callable[[], Config] | None) -> None:
        self._config = config
        self._read_config = read_config
        self._known = threading.Event()
        self._serving: server.Serving | None = None
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        self._failure: BaseException | None = None
        # Why a daemon: a pool that does not stop must be an error, not a program that hangs.
        self._thread = threading.Thread(target=self._run, name="trio-pool", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait_until_listening(self) -> server.Serving:
        """What `serve` started. Raises what kept it from starting."""
        if not self._known.wait(_START_SECONDS_MAX):
            raise TimeoutError("the pool did not start to listen")
        if self._serving is None:
            failure, self._failure = self._failure, None
            raise failure or RuntimeError("the pool ended before it listened")
        return self._serving

    def stop(self) -> None:
        """Cancel the pool and wait for its end. Raises what had ended it before."""
        if self._token is not None:
            # A pool that has ended already has nothing left to cancel.
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._scope.cancel)
        self._thread.join(_STOP_SECONDS_MAX)
        if self._thread.is_alive():
            raise TimeoutError("the pool did not stop when it was cancelled")
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseException as failure:  # noqa: BLE001 (raised again by `stop`)
            self._failure = failure
        finally:
            self._known.set()

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            await server.serve(
                self._config, read_config=self._read_config, dedicated=True, task_status=self
            )

    def started(self, value: server.Serving | None = None) -> None:
        """Told by `serve` that it listens."""
        self._serving = value
        self._known.set()
