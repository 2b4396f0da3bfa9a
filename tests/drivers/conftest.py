"""What every driver test stands on: a route to PostgreSQL, a table of its own, clients in crowds.

Each test runs three times: straight to PostgreSQL (the control: what one private server shows),
through a pool of one backend, and through a pool of two. The same assertions hold for all three;
nothing in these tests may ask which route it was given.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from uuid import uuid4

import psycopg
import pytest

# A watchdog, not a measurement: a client that hangs must end the test and not the run.
PATIENCE_SECONDS = 30.0

ROUTES = {"direct": None, "pool1": 1, "pool2": 2}


@pytest.fixture
def errands(postgres) -> Iterator[str]:
    """The name of a table of this test alone: (worker int, turn int, note text)."""
    name = f"errands_{uuid4().hex[:12]}"
    with psycopg.connect(postgres.url(), autocommit=True) as owner:
        owner.execute(
            f"create table {name} (worker int, turn int, note text, primary key (worker, turn))"
        )
        yield name
        # A test that failed may have left a lock behind; say so rather than wait for it.
        owner.execute("set lock_timeout = '5s'")
        owner.execute(f"drop table {name}")


@pytest.fixture(params=ROUTES)
def url(request: pytest.FixtureRequest, postgres, errands: str) -> str:
    """Where the driver connects to. Asks for `errands` so that the pool ends before the table."""
    size = ROUTES[request.param]
    if size is None:
        return postgres.url()
    return request.getfixturevalue("pool")(default_pool_size=size, pool_mode="transaction").url()


@pytest.fixture
def rows_of(postgres) -> Callable[[str], list[tuple[int, int, str]]]:
    """Read a table of errands behind the pool's back, in order."""

    def read(table: str) -> list[tuple[int, int, str]]:
        with psycopg.connect(postgres.url()) as witness:
            found = witness.execute(f"select worker, turn, note from {table} order by 1, 2")
            return found.fetchall()

    return read


@pytest.fixture
def six_psycopg(url: str) -> Iterator[list[psycopg.Connection]]:
    """Six connections with psycopg's defaults, autocommit included (off)."""
    with contextlib.ExitStack() as stack:
        connected = []
        for _ in range(6):
            connected.append(psycopg.connect(url, connect_timeout=20))
            stack.callback(connected[-1].close)
        yield connected


@pytest.fixture
def crowd() -> Callable[[int, int, Callable[[int, int], None]], None]:
    """Run `errand(worker, turn)` in one thread per worker, all of them once in every turn.

    The barrier between turns (never inside a transaction) is what makes sure that every other
    worker had the backends in the meantime. Raises the first worker's exception.
    """

    def run(workers: int, turns: int, errand: Callable[[int, int], None]) -> None:
        together = threading.Barrier(workers, timeout=PATIENCE_SECONDS)
        ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

        def work(worker: int) -> None:
            try:
                for turn in range(turns):
                    together.wait()
                    errand(worker, turn)
            except BaseException as failure:  # noqa: BLE001 (raised again below, in the caller)
                ended.put(failure)
            else:
                ended.put(None)

        for worker in range(workers):
            threading.Thread(target=work, args=(worker,), daemon=True).start()
        for answered in range(workers):
            try:
                failure = ended.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                pytest.fail(f"{workers - answered} of {workers} clients still wait for an answer")
            if failure is not None:
                # The others may wait for ever for what this one holds: nobody waits for them.
                raise failure

    return run
