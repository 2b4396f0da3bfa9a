"""A pool for programs that know nothing of Trio: in a thread, for as long as a block lasts.

The pool has a thread and a `trio.run` of its own, so that blocking code, asyncio and Trio can
all talk to it from the thread they are in. This is how test suites embed one.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Final, TypeVar

import trio

from trio_pool.access import Access, Address
from trio_pool.config import Config
from trio_pool.dependence import Dependence
from trio_pool.hooks import Hooks
from trio_pool.leftovers import Leftover
from trio_pool.opened import OpenPool, Stats, config_of, sole
from trio_pool.relay import Counters
from trio_pool.server import Server, Serving, serve

T = TypeVar("T")

_START_SECONDS_MAX: Final = 30.0
_STOP_SECONDS_MAX: Final = 30.0
# How often whoever waits for the pool's thread looks whether it is still there.
_LOOK_SECONDS: Final = 0.5


@contextlib.contextmanager
def pool_in_thread(
    target: Config | str,
    *,
    read_config: Callable[[], Config] | None = None,
    hooks: Hooks | None = None,
    **settings: str | float,
) -> Iterator[ThreadedPool]:
    """Serve `target` (a Config, or the URL of a server) in a thread until the block ends.

    `settings` and `hooks` are those of `open_pool`; hooks are called in the pool's thread.
    `read_config` is what RELOAD of the console calls for a new configuration.
    Raises what kept the pool from starting, and at the end of the block what ended it early.
    """
    pool = ThreadedPool(config_of(target, settings), read_config, hooks)
    pool.start()
    try:
        pool.wait_until_listening()
        yield pool
    finally:
        pool.end()


class ThreadedPool:
    """A pool in a thread of its own. Every method may be called from any thread; those that need
    the pool's thread wait for it, which takes well under a millisecond unless they say otherwise.
    """

    def __init__(
        self, config: Config, read_config: Callable[[], Config] | None, hooks: Hooks | None
    ) -> None:
        self._config = config
        self._read_config = read_config
        self._hooks = hooks
        self._known = threading.Event()
        self._open: OpenPool | None = None
        self._scope = trio.CancelScope()
        self._token: trio.lowlevel.TrioToken | None = None
        self._failure: BaseException | None = None
        # Why a daemon: a pool that does not stop must be an error, not a program that hangs.
        self._thread = threading.Thread(target=self._run, name="trio-pool", daemon=True)

    @property
    def access(self) -> Access:
        """Its addresses, and the URLs and environments that lead there."""
        return self._opened.access

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens: (host, port), or the path of a unix socket."""
        return self.access.addresses

    @property
    def url(self) -> str:
        """A connection URL for its first database and user, the password included."""
        return self.access.url()

    @property
    def server(self) -> Server:
        """The pooler itself, which belongs to its thread: look, and do not touch."""
        return self._opened.serving.server

    @property
    def counters(self) -> Counters:
        """What all relays have counted together."""
        return self.server.counters

    @property
    def _opened(self) -> OpenPool:
        if self._open is None:
            raise RuntimeError("the pool has not started")
        return self._open

    def stats(self) -> Stats:
        """How it is doing now."""
        return self._look(self._opened.stats)

    def leftovers(self) -> tuple[Leftover, ...]:
        """What clients have open or have left: transactions, and what pins them."""
        return self._look(self._opened.leftovers)

    def dependences(self) -> dict[Dependence, int]:
        """What clients have depended on between transactions, and how often (`adversarial`)."""
        return self._look(self._opened.dependences)

    def pause(self, database: str = "") -> None:
        """Lend no more backends of `database` (of any when empty); returns when all are closed,
        which is when the transactions that run have ended. Raises OrderRefused.
        """
        self.run(lambda: self._opened.pause(database))

    def resume(self, database: str = "") -> None:
        """The end of `pause`. Raises OrderRefused when it was not paused."""
        self.run(lambda: self._opened.resume(database))

    def stop(self) -> None:
        """Take no new clients, and end each at its next transaction boundary."""
        self._look(self._opened.stop)

    # Questions from one thread to another.

    def _look(self, question: Callable[[], T]) -> T:
        """Have the pool's thread answer at once."""
        answer: Future[T] = Future()
        self._soon(lambda: _answer(answer, question))
        return self._wait(answer)

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Have a task of the pool's do what takes time.

        Raises what it raises, and RuntimeError when the pool has ended.
        """
        answer: Future[T] = Future()

        async def carry_out() -> None:
            try:
                answer.set_result(await work())
            except trio.Cancelled:
                answer.set_exception(_ended())
                raise
            except Exception as failure:  # noqa: BLE001 (raised again where it was asked for)
                answer.set_exception(failure)

        self._soon(lambda: self.server.start_soon(carry_out))
        return self._wait(answer)

    def _soon(self, call: Callable[[], None]) -> None:
        assert self._token is not None
        try:
            self._token.run_sync_soon(call)
        except trio.RunFinishedError:
            raise _ended() from None

    def _wait(self, answer: Future[T]) -> T:
        while not answer.done():
            if not self._thread.is_alive():
                raise _ended()
            with contextlib.suppress(TimeoutError):
                answer.exception(_LOOK_SECONDS)
        return answer.result()

    # Its beginning and its end.

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wait_until_listening(self) -> None:
        """Return once clients can connect. Raises what kept it from starting."""
        if not self._known.wait(_START_SECONDS_MAX):
            raise TimeoutError("the pool did not start to listen")
        if self._open is None:
            failure, self._failure = self._failure, None
            raise failure or RuntimeError("the pool ended before it listened")

    def end(self) -> None:
        """Cancel the pool and wait for its end. Raises what had ended it before."""
        if self._token is not None:
            # A pool that has ended already has nothing left to cancel.
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._scope.cancel)
        self._thread.join(_STOP_SECONDS_MAX)
        if self._thread.is_alive():
            raise TimeoutError("the pool did not stop when it was cancelled")
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def _run(self) -> None:
        try:
            trio.run(self._serve)
        except BaseExceptionGroup as group:
            self._failure = sole(group, deep=True)
        except BaseException as failure:  # noqa: BLE001 (raised again by `end`)
            self._failure = failure
        finally:
            self._known.set()

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            await serve(
                self._config,
                read_config=self._read_config,
                dedicated=True,
                hooks=self._hooks,
                task_status=self,
            )

    def started(self, value: Serving | None = None) -> None:
        """Told by `serve` that it listens."""
        assert value is not None
        self._open = OpenPool(Access(self._config, value.addresses), value)
        self._known.set()


def _answer(answer: Future[T], question: Callable[[], T]) -> None:
    try:
        answer.set_result(question())
    except Exception as failure:  # noqa: BLE001 (raised again where it was asked for)
        answer.set_exception(failure)


def _ended() -> RuntimeError:
    return RuntimeError("the pool has ended")
